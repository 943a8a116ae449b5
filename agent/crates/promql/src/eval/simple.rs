//! Functions from a number to a number, and from a time to a part of its date.
//!
//! They stream: one value in, one value out, nothing kept. Dates are UTC in the proleptic Gregorian calendar, as the
//! peer's. What a function does to NaN and infinities is what Go's does.

use model::UnixMs;

pub(crate) fn deg(value: f64) -> f64 {
    value * 180.0 / std::f64::consts::PI
}

pub(crate) fn rad(value: f64) -> f64 {
    value * std::f64::consts::PI / 180.0
}

pub(crate) fn sgn(value: f64) -> f64 {
    match value {
        v if v < 0.0 => -1.0,
        v if v > 0.0 => 1.0,
        v => v,
    }
}

/// Rounds to the nearest multiple, halves up.
pub(crate) fn round(value: f64, to_nearest: f64) -> f64 {
    let inverse = 1.0 / to_nearest;
    (value * inverse + 0.5).floor() / inverse
}

pub(crate) fn clamp(value: f64, least: f64, most: f64) -> f64 {
    go_max(least, go_min(most, value))
}

/// The larger of two as Go has it: infinity before NaN, NaN before a number, zero before minus zero.
pub(crate) fn go_max(a: f64, b: f64) -> f64 {
    match (a, b) {
        (f64::INFINITY, _) | (_, f64::INFINITY) => f64::INFINITY,
        _ if a.is_nan() || b.is_nan() => f64::NAN,
        (0.0, 0.0) => {
            if a.is_sign_negative() {
                b
            } else {
                a
            }
        }
        _ => a.max(b),
    }
}

/// The smaller of two as Go has it: minus infinity before NaN, NaN before a number, minus zero before zero.
pub(crate) fn go_min(a: f64, b: f64) -> f64 {
    -go_max(-a, -b)
}

/// What Go makes of a time that is no number or too large, on the peer's x86-64: the last one it can think of.
const NO_TIME: UnixMs = UnixMs(i64::MIN);

/// Floored as Go's `time.Unix(int64(v), 0)`.
pub(crate) fn time_of(seconds: f64) -> UnixMs {
    const END: f64 = (1u64 << 63) as f64;
    match (-END..END).contains(&seconds) {
        true => UnixMs((seconds as i64).saturating_mul(1000).max(NO_TIME.0 + 1)),
        false => NO_TIME,
    }
}

fn civil(at: UnixMs) -> [i64; 7] {
    if at == NO_TIME { [292_277_026_596, 12, 4, 15, 30, 8, 0] } else { at.civil() }
}

pub(crate) fn year(at: UnixMs) -> f64 {
    civil(at)[0] as f64
}

pub(crate) fn month(at: UnixMs) -> f64 {
    civil(at)[1] as f64
}

pub(crate) fn day_of_month(at: UnixMs) -> f64 {
    civil(at)[2] as f64
}

pub(crate) fn hour(at: UnixMs) -> f64 {
    civil(at)[3] as f64
}

pub(crate) fn minute(at: UnixMs) -> f64 {
    civil(at)[4] as f64
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

pub(crate) fn days_in_month(at: UnixMs) -> f64 {
    let [year, month, ..] = civil(at);
    month_days(year, month) as f64
}

pub(crate) fn day_of_week(at: UnixMs) -> f64 {
    // 1970-01-01 was a Thursday.
    (at.0.div_euclid(86_400_000) + 4).rem_euclid(7) as f64
}

pub(crate) fn day_of_year(at: UnixMs) -> f64 {
    let [year, month, day, ..] = civil(at);
    ((1..month).map(|month| month_days(year, month)).sum::<i64>() + day) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infinities_nan_and_zeros_compare_as_in_go() {
        let inf = f64::INFINITY;
        for (a, b, less, more) in [
            (1.0, 2.0, 1.0, 2.0),
            (inf, f64::NAN, f64::NAN, inf),
            (-inf, f64::NAN, -inf, f64::NAN),
            (-0.0, 0.0, -0.0, 0.0),
        ] {
            for (a, b) in [(a, b), (b, a)] {
                let bits = |value: f64| (value.is_nan(), if value.is_nan() { 0 } else { value.to_bits() });
                assert_eq!((bits(go_min(a, b)), bits(go_max(a, b))), (bits(less), bits(more)), "{a} {b}");
            }
        }
    }
}
