//! `clock`: from which date on the wall clock is believed without anybody having synchronised it.
//!
//! ```text
//! clock: {trusted_after: 2026-01-01}
//! ```
//! A board with a battery-backed clock but no network is right long before adjtimex says so. A date without a time
//! is its midnight, UTC.

use model::UnixMs;
use yaml::{Errors, Map, Node};

/// When the wall clock is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClockFloor {
    /// From this date on; `None` is decided by the machine (`believed::clock_floor`).
    pub trusted_after: Option<UnixMs>,
}

#[derive(Debug, Default)]
pub(super) struct RawClock {
    trusted_after: Option<UnixMs>,
}

impl RawClock {
    pub fn read(root: &mut Map, errors: &mut Errors) -> RawClock {
        let Some(node) = root.get("clock") else { return RawClock::default() };
        let mut map = node.map(errors);
        let date = map.get("trusted_after");
        let raw = RawClock { trusted_after: date.and_then(|node| read_date(&node, errors)) };
        map.finish(errors);
        raw
    }

    pub fn believe(self) -> ClockFloor {
        ClockFloor { trusted_after: self.trusted_after }
    }
}

fn read_date(node: &Node, errors: &mut Errors) -> Option<UnixMs> {
    node.parsed("a date such as 2026-01-31 or 2026-01-31T12:00:00Z", date, errors)
}

/// Reads `YYYY-MM-DD` or `YYYY-MM-DDTHH:MM:SSZ`: what does not print back the same is none.
fn date(text: &str) -> Option<UnixMs> {
    let whole = if text.len() == 10 { [text, "T00:00:00Z"].concat() } else { text.to_owned() };
    let number = |range: std::ops::Range<usize>| whole.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    // Days from the civil calendar, the inverse of `UnixMs::civil`.
    let shifted = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let year_of_era = shifted.rem_euclid(400);
    let days =
        shifted.div_euclid(400) * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let at = UnixMs(((days - 719_468) * 86_400 + hour * 3_600 + minute * 60 + second) * 1_000);
    (at.to_string() == whole).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_print_back_as_they_were() {
        for text in ["1970-01-01", "2000-02-29", "2026-01-31", "2099-12-31"] {
            assert_eq!(date(text).map(|at| at.to_string()), Some(format!("{text}T00:00:00Z")));
        }
        assert_eq!(date("2026-11-21T08:20:04Z"), Some(UnixMs(1_795_249_204_000)));
        for text in [
            "",
            "2026",
            "2026-13-01",
            "2026-02-29",
            "2026-1-1",
            "2026-01-01T00:00:00",
            "2026-01-01 00:00:00Z",
            "éééééééééé",
            "+026-01-01",
        ] {
            assert_eq!(date(text), None, "{text}");
        }
    }
}
