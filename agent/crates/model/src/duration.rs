//! Durations as Prometheus writes them: `1h30m`, `15s`, `500ms`, `0`.
//!
//! Units from large to small, each at most once: `y` (365 days) `w` `d` `h` `m` `s` `ms`. Used by the
//! configuration, rule files and the query language alike. No fractions, no sign, no blanks.

use std::fmt;

const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// A text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DurationError(pub String);

impl fmt::Display for DurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a valid duration string: {:?} (expected for example 15s, 1h30m, 500ms)", self.0)
    }
}

impl std::error::Error for DurationError {}

/// Parses a duration into milliseconds.
///
/// # Errors
/// When the text is empty, has an unknown, repeated or misplaced unit, or does not fit 63 bits of nanoseconds.
pub fn parse_ms(text: &str) -> Result<u64, DurationError> {
    let fail = || DurationError(text.to_owned());
    if text == "0" {
        return Ok(0);
    }
    let (mut rest, mut next_unit, mut total) = (text, 0, 0u64);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().map_err(|_| fail())?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let at = UNITS.iter().position(|(unit, _)| *unit == &rest[..letters]).ok_or_else(fail)?;
        if at < next_unit {
            return Err(fail());
        }
        next_unit = at + 1;
        total = number.checked_mul(UNITS[at].1).and_then(|ms| total.checked_add(ms)).ok_or_else(fail)?;
        rest = &rest[letters..];
    }
    // As in Prometheus, whose durations are 63 bits of nanoseconds.
    if text.is_empty() || total > i64::MAX as u64 / 1_000_000 { Err(fail()) } else { Ok(total) }
}

/// A duration in milliseconds that prints as Prometheus prints it: weeks and years only where they divide evenly.
pub struct DisplayMs(pub u64);

impl fmt::Display for DisplayMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ms = self.0;
        if ms == 0 {
            return f.write_str("0s");
        }
        for (unit, size) in UNITS {
            let exact = matches!(unit, "y" | "w");
            if ms >= size && (!exact || ms.is_multiple_of(size)) {
                write!(f, "{}{unit}", ms / size)?;
                ms %= size;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_durations_come_back_as_they_were() {
        for (text, ms) in
            [("15s", 15_000), ("1h30m", 5_400_000), ("500ms", 500), ("1d", 86_400_000), ("4w", 2_419_200_000)]
        {
            assert_eq!(parse_ms(text), Ok(ms));
            assert_eq!(DisplayMs(ms).to_string(), text);
        }
        assert_eq!(parse_ms("0"), Ok(0));
        assert_eq!(parse_ms("1y1w"), Ok(365 * 86_400_000 + 7 * 86_400_000));
        assert_eq!(DisplayMs(8 * 86_400_000).to_string(), "8d");
    }

    #[test]
    fn bad_durations_are_refused() {
        for text in ["", "1", "s", "1x", "1s1h", "1s1s", "-1s", "1.5s", " 1s", "1é", "99999999999y", "300y"] {
            assert!(parse_ms(text).is_err(), "{text:?} was accepted");
        }
    }
}
