//! Parameters of a request: from the URL and, for a form, from the body.
//!
//! Times are seconds as a float or RFC 3339, durations are seconds as a float or `1m30s`, as the peer reads them;
//! the error texts are the peer's too, because programs show them to people. A pair that is badly escaped is left out,
//! as Go does; the three endpoints that refuse such a request ask [`Params::malformed`].

use model::{UnixMs, duration};

use super::Request;

/// The most parameters a request may have; more are not read.
const PARAMS_MAX: usize = 1_000;

/// The earliest time there is, for a start that is not given.
pub const TIME_MIN: UnixMs = UnixMs(-(1 << 60));
/// The latest time there is, for an end that is not given.
pub const TIME_MAX: UnixMs = UnixMs(1 << 60);
/// What the peer's own clients send as the earliest and the latest time.
const TIMES_OUTSIDE: [(&str, UnixMs); 2] =
    [("-292273086-05-16T16:47:06Z", TIME_MIN), ("292277025-08-18T07:12:54.999999999Z", TIME_MAX)];

/// The decoded parameters, in order; the body's before the URL's, as Go's `Request.Form` has them.
#[derive(Debug, Default)]
pub struct Params {
    pairs: Vec<(String, String)>,
    malformed: Option<String>,
}

impl Params {
    /// Reads a request's parameters.
    pub fn of(request: &Request) -> Params {
        let mut params = Params::default();
        let kind = request.content_type.split(';').next().unwrap_or_default().trim();
        if request.method == "POST" && kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
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
            let read = match pair.contains(';') {
                true => Err("invalid semicolon separator in query".to_owned()),
                false => unescape(name, true).and_then(|name| Ok((name, unescape(value, true)?))),
            };
            match read {
                Ok((name, value)) => self.pairs.push((lossy(name), lossy(value))),
                Err(error) => _ = self.malformed.get_or_insert(error),
            }
        }
    }

    /// Returns what was wrong with the first pair that could not be read.
    pub fn malformed(&self) -> Option<&str> {
        self.malformed.as_deref()
    }

    /// Returns the first value of a parameter, empty when it is absent.
    pub fn get(&self, name: &str) -> &str {
        self.pairs.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    /// Returns all values of a parameter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.pairs.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Returns a time that must be there.
    ///
    /// # Errors
    /// With the peer's text.
    pub fn time(&self, name: &str) -> Result<UnixMs, String> {
        parse_time(self.get(name)).map_err(|error| invalid(name, &error))
    }

    /// Returns a time, or `default` when the parameter is absent or empty.
    ///
    /// # Errors
    /// With the peer's text, which is another one here.
    pub fn time_or(&self, name: &str, default: UnixMs) -> Result<UnixMs, String> {
        match self.get(name) {
            "" => Ok(default),
            text => {
                parse_time(text).map_err(|error| invalid(name, &format!("invalid time value for '{name}': {error}")))
            }
        }
    }

    /// Returns a duration in milliseconds, and whether it is positive even where it is less than one; may be negative.
    ///
    /// # Errors
    /// With the peer's text.
    pub fn duration_ms(&self, name: &str) -> Result<f64, String> {
        parse_duration_ms(self.get(name)).map_err(|error| invalid(name, &error))
    }

    /// Returns the most items an answer may have; `None` is no limit.
    ///
    /// # Errors
    /// With the peer's text.
    pub fn limit(&self) -> Result<Option<usize>, String> {
        match self.get("limit") {
            "" => Ok(None),
            text => match go_integer("Atoi", text) {
                Err(error) => Err(invalid("limit", &error)),
                Ok(limit) if limit < 0 => Err(invalid("limit", "limit must be non-negative")),
                Ok(limit) => Ok(usize::try_from(limit).ok().filter(|limit| *limit > 0)),
            },
        }
    }
}

/// Returns the peer's text for a parameter that makes no sense.
pub fn invalid(name: &str, error: &str) -> String {
    format!("invalid parameter \"{name}\": {error}")
}

/// Parses an integer as Go's `strconv` does.
///
/// # Errors
/// With Go's text; `function` is the name of Go's function in it.
pub fn go_integer(function: &str, text: &str) -> Result<i64, String> {
    text.parse().map_err(|error: std::num::ParseIntError| {
        let reason = match error.kind() {
            std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        format!("strconv.{function}: parsing {}: {reason}", go_quote(text.as_bytes()))
    })
}

/// Returns bytes as Go's `%q` prints them, as far as it matters in a message: quotes, backslashes, control letters and
/// what is not UTF-8 are escaped.
pub fn go_quote(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' => out.extend(['\\', c]),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
                c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
                c => out.push(c),
            }
        }
        chunk.invalid().iter().for_each(|byte| out.push_str(&format!("\\x{byte:02x}")));
    }
    out.push('"');
    out
}

/// Decodes `%41` and, where `plus` says so, `+`.
///
/// # Errors
/// With Go's text, for what is no escape.
pub fn unescape(text: &str, plus: bool) -> Result<Vec<u8>, String> {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'%' => {
                let escape = bytes.get(at + 1..at + 3).filter(|hex| hex.iter().all(u8::is_ascii_hexdigit));
                let code = escape.and_then(|hex| std::str::from_utf8(hex).ok());
                match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
                    Some(byte) => out.push(byte),
                    None => {
                        let part = bytes.get(at..bytes.len().min(at + 3)).unwrap_or_default();
                        return Err(format!("invalid URL escape {}", go_quote(part)));
                    }
                }
                at += 2;
            }
            b'+' if plus => out.push(b' '),
            byte => out.push(*byte),
        }
        at += 1;
    }
    Ok(out)
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Returns a time given in seconds or as RFC 3339.
///
/// # Errors
/// With the peer's text.
pub fn parse_time(text: &str) -> Result<UnixMs, String> {
    let fail = || format!("cannot parse {} to a valid timestamp", go_quote(text.as_bytes()));
    match text.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds.abs() < 9e15 => Ok(UnixMs((seconds * 1_000.0).round() as i64)),
        Ok(_) => Err(fail()),
        Err(_) => {
            let outside = TIMES_OUTSIDE.iter().find(|(known, _)| *known == text).map(|(_, at)| *at);
            outside.or_else(|| parse_rfc3339(text)).ok_or_else(fail)
        }
    }
}

/// Parses a duration into milliseconds. A fraction of one is kept, so that a step too small to be one is still seen to
/// be positive.
fn parse_duration_ms(text: &str) -> Result<f64, String> {
    let fail = || format!("cannot parse {} to a valid duration", go_quote(text.as_bytes()));
    if let Ok(seconds) = text.parse::<f64>().map_err(|_| ()).and_then(|s| if s.is_nan() { Err(()) } else { Ok(s) }) {
        let ms = seconds * 1_000.0;
        // The peer counts nanoseconds in 63 bits.
        return if ms.abs() <= 9_223_372_036_854.775 { Ok(ms) } else { Err(format!("{}. It overflows int64", fail())) };
    }
    duration::parse_ms(text).map(|ms| ms as f64).map_err(|_| fail())
}

/// Parses `2006-01-02T15:04:05.999Z` and offsets such as `+01:00`, with Go's strictness.
fn parse_rfc3339(text: &str) -> Option<UnixMs> {
    let digits = |from: usize, to: usize| {
        text.get(from..to).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?.parse::<i64>().ok()
    };
    let (year, month, day) = (digits(0, 4)?, digits(5, 7)?, digits(8, 10)?);
    let (hour, minute, second) = (digits(11, 13)?, digits(14, 16)?, digits(17, 19)?);
    let marks: Vec<u8> = [4, 7, 10, 13, 16].iter().filter_map(|at| text.as_bytes().get(*at).copied()).collect();
    let in_day = hour < 24 && minute < 60 && second < 60;
    let is_date = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    if !in_day || !is_date || marks != b"--T::" {
        return None;
    }
    let rest = text.get(19..)?;
    let (fraction, zone) = match rest.strip_prefix(['.', ',']) {
        Some(rest) => rest.split_at(rest.bytes().take_while(u8::is_ascii_digit).count()),
        None => ("0", rest),
    };
    let ms: i64 = format!("{fraction:0<3}").get(..3).filter(|_| !fraction.is_empty())?.parse().ok()?;
    let offset_minutes = match (zone, zone.as_bytes()) {
        ("Z", _) => 0,
        (_, [sign @ (b'+' | b'-'), _, _, b':', _, _]) => {
            let at = text.len() - zone.len();
            let (hours, minutes) = (digits(at + 1, at + 3)?, digits(at + 4, at + 6)?);
            let minutes = Some(hours * 60 + minutes).filter(|_| hours <= 24 && minutes < 60)?;
            if *sign == b'-' { -minutes } else { minutes }
        }
        _ => return None,
    };
    Some(UnixMs::from_civil(year, month, day, hour, minute - offset_minutes, second).plus_ms(ms))
}

fn days_in(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Params {
        Params::of(&Request::new("GET", &format!("/x?{query}")))
    }

    #[test]
    fn pairs_that_are_badly_escaped_are_left_out_and_told() {
        let params = read("a=%3Db+c&b=%zz&c=1;d=2&%ff=%ff&e&f=%2");
        assert_eq!((params.get("a"), params.get("b"), params.get("c"), params.get("e")), ("=b c", "", "", ""));
        assert_eq!(params.get("\u{fffd}"), "\u{fffd}");
        assert_eq!(params.malformed(), Some("invalid URL escape \"%zz\""));
        assert_eq!(read("c=1;d=2").malformed(), Some("invalid semicolon separator in query"));
        assert_eq!(read("f=%2").malformed(), Some("invalid URL escape \"%2\""));
        assert_eq!(read("a=1&a=2").all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(unescape("a+b%2B", false), Ok(b"a+b+".to_vec()));
    }

    #[test]
    fn a_form_comes_before_the_url() {
        let mut request = Request::new("POST", "/x?a=2&b=3");
        request.body = b"a=1".to_vec();
        assert_eq!(Params::of(&request).get("a"), "2");
        request.content_type = "Application/X-WWW-Form-Urlencoded ; charset=utf-8".to_owned();
        let params = Params::of(&request);
        assert_eq!((params.get("a"), params.get("b")), ("1", "3"));
    }

    #[test]
    fn times_come_as_seconds_or_as_rfc_3339() {
        assert_eq!(parse_time("1435781451.781"), Ok(UnixMs(1_435_781_451_781)));
        assert_eq!(parse_time("2026-11-21T08:20:04.020Z"), Ok(UnixMs(1_795_249_204_020)));
        assert_eq!(parse_time("2026-11-21T09:20:04+01:00"), Ok(UnixMs(1_795_249_204_000)));
        assert_eq!(parse_time("1969-12-31T23:59:59Z"), Ok(UnixMs(-1_000)));
        assert_eq!(parse_time("292277025-08-18T07:12:54.999999999Z"), Ok(TIME_MAX));
        for bad in [
            "",
            "now",
            "NaN",
            "Inf",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-11-21",
            "2026-11-21T08:20:04",
            "2026-11-21t08:20:04Z",
            "2026-11-21T08:20:04z",
            "2026-11-21 08:20:04Z",
            "2026-11-21T08:20:04.Z",
            "2026-11-21T08:20:04 01:00",
            "2026-11-21T+8:20:04Z",
            "1e300",
        ] {
            let error = parse_time(bad).expect_err(bad);
            assert_eq!(error, format!("cannot parse {bad:?} to a valid timestamp"));
        }
        let error = read("time=x").time_or("time", TIME_MIN).expect_err("no time");
        let expected =
            "invalid parameter \"time\": invalid time value for 'time': cannot parse \"x\" to a valid timestamp";
        assert_eq!(error, expected);
    }

    #[test]
    fn durations_come_as_seconds_or_with_units() {
        assert_eq!(parse_duration_ms("15"), Ok(15_000.0));
        assert_eq!(parse_duration_ms("0.5"), Ok(500.0));
        assert_eq!(parse_duration_ms("1m30s"), Ok(90_000.0));
        assert_eq!(parse_duration_ms("-3"), Ok(-3_000.0));
        assert!(parse_duration_ms("0.0001").is_ok_and(|ms| ms > 0.0));
        for bad in ["", "x", "-1m", "nan", "1e99", "inf"] {
            assert!(parse_duration_ms(bad).is_err(), "{bad}");
        }
        let error = parse_duration_ms("1e30").expect_err("too long");
        assert_eq!(error, "cannot parse \"1e30\" to a valid duration. It overflows int64");
    }

    #[test]
    fn limits_are_counted_as_go_counts() {
        assert_eq!(
            (read("").limit(), read("limit=0").limit(), read("limit=3").limit()),
            (Ok(None), Ok(None), Ok(Some(3)))
        );
        let said = |query: &str| read(query).limit().expect_err("no limit");
        assert_eq!(said("limit=x"), "invalid parameter \"limit\": strconv.Atoi: parsing \"x\": invalid syntax");
        assert_eq!(said("limit=-1"), "invalid parameter \"limit\": limit must be non-negative");
        assert!(said("limit=99999999999999999999").ends_with("value out of range"));
    }

    #[test]
    fn dates_and_days_agree_with_the_printer() {
        for ms in (-4_000_000_000_000..8_000_000_000_000i64).step_by(86_400_000 * 37 + 1) {
            let at = UnixMs(ms);
            assert_eq!(parse_rfc3339(&at.to_string()), Some(at), "{at}");
        }
    }
}
