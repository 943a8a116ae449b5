//! Parameters of a request: from the URL and, for a form, from the body.
//!
//! Times are seconds as a float or RFC 3339, durations are seconds as a float or `1m30s`, as the peer reads them;
//! the error texts are the peer's too, because programs show them to people.

use model::{UnixMs, duration};

use super::Request;

/// The most parameters a request may have; more are not read.
const PARAMS_MAX: usize = 1_000;

/// The decoded parameters, in order; the body's before the URL's, as Go's `Request.Form` has them.
#[derive(Debug, Default)]
pub struct Params {
    pairs: Vec<(String, String)>,
}

impl Params {
    /// Reads a request's parameters.
    pub fn of(request: &Request) -> Params {
        let mut params = Params::default();
        if request.method == "POST" && request.content_type.starts_with("application/x-www-form-urlencoded") {
            params.read(&String::from_utf8_lossy(&request.body));
        }
        params.read(&request.query);
        params
    }

    fn read(&mut self, text: &str) {
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            if self.pairs.len() >= PARAMS_MAX {
                return;
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            self.pairs.push((unescape(name), unescape(value)));
        }
    }

    /// Returns the first value of a parameter, empty when it is absent.
    pub fn get(&self, name: &str) -> &str {
        self.pairs.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    /// Returns all values of a parameter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.pairs.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Returns a time, or `default` when the parameter is absent or empty.
    ///
    /// # Errors
    /// With the peer's text.
    pub fn time(&self, name: &str, default: Option<UnixMs>) -> Result<UnixMs, String> {
        match (self.get(name), default) {
            ("", Some(default)) => Ok(default),
            (text, _) => parse_time(text).map_err(|error| format!("invalid parameter {name:?}: {error}")),
        }
    }

    /// Returns a duration in milliseconds; may be zero or negative.
    ///
    /// # Errors
    /// With the peer's text.
    pub fn duration_ms(&self, name: &str) -> Result<i64, String> {
        parse_duration_ms(self.get(name)).map_err(|error| format!("invalid parameter {name:?}: {error}"))
    }
}

/// Decodes `%41` and `+`; what is not a valid escape stays as it is, what is not UTF-8 is replaced.
pub fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let escape = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        let decoded = escape.filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        match (bytes[at], decoded.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
                continue;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    match String::from_utf8(out) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }
}

fn parse_time(text: &str) -> Result<UnixMs, String> {
    let fail = || format!("cannot parse {text:?} to a valid timestamp");
    match text.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds.abs() < 9e15 => Ok(UnixMs((seconds * 1_000.0).round() as i64)),
        Ok(_) => Err(fail()),
        Err(_) => parse_rfc3339(text).ok_or_else(fail),
    }
}

fn parse_duration_ms(text: &str) -> Result<i64, String> {
    let fail = || format!("cannot parse {text:?} to a valid duration");
    if let Ok(seconds) = text.parse::<f64>() {
        let ms = seconds * 1_000.0;
        return if ms.is_finite() && ms.abs() < 9.2e12 {
            Ok(ms as i64)
        } else {
            Err(format!("{}. It overflows int64", fail()))
        };
    }
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    duration::parse_ms(rest).map(|ms| sign * ms as i64).map_err(|_| fail())
}

/// Parses `2006-01-02T15:04:05.999Z` and offsets such as `+01:00`.
fn parse_rfc3339(text: &str) -> Option<UnixMs> {
    let field = |from: usize, to: usize| text.get(from..to)?.parse::<u32>().ok().map(i64::from);
    let (year, month, day) = (field(0, 4)?, field(5, 7)?, field(8, 10)?);
    let (hour, minute, second) = (field(11, 13)?, field(14, 16)?, field(17, 19)?);
    let marks: Vec<u8> = [4, 7, 10, 13, 16].iter().filter_map(|at| text.as_bytes().get(*at).copied()).collect();
    let valid = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 60;
    if !valid || !matches!(marks.as_slice(), [b'-', b'-', b'T' | b't' | b' ', b':', b':']) {
        return None;
    }
    let rest = text.get(19..)?;
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(rest.bytes().take_while(u8::is_ascii_digit).count()),
        None => ("", rest),
    };
    let ms: i64 = format!("{:0<3}", fraction).get(..3)?.parse().ok()?;
    let offset_minutes = match (zone, zone.as_bytes()) {
        ("Z" | "z", _) => 0,
        (_, [sign @ (b'+' | b'-'), _, _, b':', _, _]) => {
            let minutes = zone.get(1..3)?.parse::<i64>().ok()? * 60 + zone.get(4..6)?.parse::<i64>().ok()?;
            if *sign == b'-' { -minutes } else { minutes }
        }
        _ => return None,
    };
    Some(UnixMs::from_civil(year, month, day, hour, minute - offset_minutes, second).plus_ms(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_and_odd_ones_kept() {
        assert_eq!(unescape("a%3Db+c%2"), "a=b c%2");
        assert_eq!(unescape("%zz%"), "%zz%");
        assert_eq!(unescape("%ff"), "\u{fffd}");
        assert_eq!(unescape("%+1"), "% 1");
    }

    #[test]
    fn times_come_as_seconds_or_as_rfc_3339() {
        assert_eq!(parse_time("1435781451.781"), Ok(UnixMs(1_435_781_451_781)));
        assert_eq!(parse_time("2026-11-21T08:20:04.020Z"), Ok(UnixMs(1_795_249_204_020)));
        assert_eq!(parse_time("2026-11-21T09:20:04+01:00"), Ok(UnixMs(1_795_249_204_000)));
        assert_eq!(parse_time("1969-12-31T23:59:59Z"), Ok(UnixMs(-1_000)));
        for bad in ["", "now", "NaN", "Inf", "2026-13-01T00:00:00Z", "2026-11-21", "2026-11-21T08:20:04", "1e300"] {
            let error = parse_time(bad).expect_err(bad);
            assert_eq!(error, format!("cannot parse {bad:?} to a valid timestamp"));
        }
    }

    #[test]
    fn durations_come_as_seconds_or_with_units() {
        assert_eq!(parse_duration_ms("15"), Ok(15_000));
        assert_eq!(parse_duration_ms("0.5"), Ok(500));
        assert_eq!(parse_duration_ms("1m30s"), Ok(90_000));
        assert_eq!(parse_duration_ms("-1m"), Ok(-60_000));
        assert!(
            parse_duration_ms("").is_err() && parse_duration_ms("1e99").is_err() && parse_duration_ms("x").is_err()
        );
    }

    #[test]
    fn dates_and_days_agree_with_the_printer() {
        for ms in (-4_000_000_000_000..8_000_000_000_000i64).step_by(86_400_000 * 37 + 1) {
            let at = UnixMs(ms);
            assert_eq!(parse_rfc3339(&at.to_string()), Some(at), "{at}");
        }
    }
}
