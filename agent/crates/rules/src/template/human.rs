//! Numbers for people, as Prometheus's templates print them: `1.235M`, `1.177Mi`, `2d 3h 4m 5s`, `12.5%`.
//!
//! Source: Prometheus, `template/template.go`. All take a float and cannot fail, but for times that Go cannot hold.

use model::UnixMs;

use super::gofmt;
use super::value::Value;

fn four(value: f64, unit: &str) -> String {
    let mut out = String::new();
    gofmt::float(&mut out, value, 'g', Some(4));
    out.push_str(unit);
    out
}

/// Returns a number with an SI prefix.
pub fn humanize(mut value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return four(value, "");
    }
    let mut unit = "";
    if value.abs() >= 1.0 {
        for prefix in ["k", "M", "G", "T", "P", "E", "Z", "Y"] {
            if value.abs() < 1000.0 {
                break;
            }
            (unit, value) = (prefix, value / 1000.0);
        }
    } else {
        for prefix in ["m", "u", "n", "p", "f", "a", "z", "y"] {
            if value.abs() >= 1.0 {
                break;
            }
            (unit, value) = (prefix, value * 1000.0);
        }
    }
    four(value, unit)
}

/// Returns a number with a binary prefix.
pub fn humanize1024(mut value: f64) -> String {
    let mut unit = "";
    if value.abs() > 1.0 && value.is_finite() {
        for prefix in ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"] {
            if value.abs() < 1024.0 {
                break;
            }
            (unit, value) = (prefix, value / 1024.0);
        }
    }
    four(value, unit)
}

/// Returns seconds as days, hours, minutes and seconds, or with a prefix where there is less than one.
pub fn duration(mut value: f64) -> String {
    if !value.is_finite() {
        return four(value, "");
    }
    if value == 0.0 {
        return four(value, "s");
    }
    if value.abs() >= 1.0 {
        let sign = if value < 0.0 { "-" } else { "" };
        value = value.abs();
        let whole = value as i64;
        let (days, hours, minutes, seconds) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60, whole % 60);
        return match (days, hours, minutes) {
            (1.., _, _) => format!("{sign}{days}d {hours}h {minutes}m {seconds}s"),
            (_, 1.., _) => format!("{sign}{hours}h {minutes}m {seconds}s"),
            (_, _, 1..) => format!("{sign}{minutes}m {seconds}s"),
            // Below a minute the fraction is kept.
            _ => format!("{sign}{}", four(value, "s")),
        };
    }
    let mut unit = "";
    for prefix in ["m", "u", "n", "p", "f", "a", "z", "y"] {
        if value.abs() >= 1.0 {
            break;
        }
        (unit, value) = (prefix, value * 1000.0);
    }
    four(value, &[unit, "s"].concat())
}

/// Returns a ratio as a percentage.
pub fn percentage(value: f64) -> String {
    four(value * 100.0, "%")
}

/// Returns seconds since 1970 as a date, or as they are where that means nothing.
pub fn timestamp(value: f64) -> Result<String, String> {
    if !value.is_finite() {
        return Ok(four(value, ""));
    }
    let Value::Time(at, ns) = time(value)? else { unreachable!("a time was made") };
    Ok(super::gotime::print(at, ns))
}

/// Returns seconds since 1970 as a time.
pub fn time(value: f64) -> Result<Value, String> {
    let ns = value * 1e9;
    // As in Prometheus, whose times are 63 bits of nanoseconds.
    if !(ns > i64::MIN as f64 && ns < i64::MAX as f64) {
        let mut text = String::new();
        gofmt::float(&mut text, value, 'g', None);
        return Err(format!("{text} cannot be represented as a nanoseconds timestamp since it overflows int64"));
    }
    let ms = (value * 1_000.0).floor();
    let ms = if (ms / 1_000.0 - value).abs() < 1e-9 { ms } else { (value * 1_000.0).round() };
    Ok(Value::Time(UnixMs(ms as i64), 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_get_their_prefix() {
        assert_eq!([0.0, 999.0, 1234567.0, 0.12, -2500.0].map(humanize), ["0", "999", "1.235M", "120m", "-2.5k"]);
        assert_eq!([1024.0, 1.0, -1048576.0].map(humanize1024), ["1ki", "1", "-1Mi"]);
        assert_eq!([0.125, f64::NAN].map(percentage), ["12.5%", "NaN%"]);
    }

    #[test]
    fn durations_keep_what_matters() {
        assert_eq!(
            [0.0, 0.12345, 12.345, 899.99, -183_845.0].map(duration),
            ["0s", "123.5ms", "12.35s", "14m 59s", "-2d 3h 4m 5s"]
        );
    }

    #[test]
    fn a_time_go_cannot_hold_is_an_error() {
        assert_eq!(timestamp(1_435_065_584.128).as_deref(), Ok("2015-06-23 13:19:44.128 +0000 UTC"));
        assert_eq!(timestamp(f64::NAN).as_deref(), Ok("NaN"));
        assert!(timestamp(1e300).is_err());
    }
}
