//! What a receiver's answer means for the frame.
//!
//! | status | outcome |
//! | --- | --- |
//! | 2xx | delivered |
//! | 429, 5xx | again later, not before `Retry-After` |
//! | anything else, out-of-order samples (400) included | refused: dropped, counted, and on with the next |
//!
//! As the specification has it and Prometheus's sender does it (with `retry_on_http_429`): a receiver that refuses a
//! frame once refuses it always, and must not stop what comes after. No answer at all is the shell's to report, as
//! [`Outcome::Retry`].

use model::{Outcome, UnixMs};

/// The most characters of a receiver's words that are kept.
pub const SAID_CHARS_MAX: usize = 160;

/// Judges an answer: its status, its `Retry-After` header, and the beginning of its body. `wall` is for a
/// `Retry-After` that names a date.
pub fn classify(status: u16, retry_after: Option<&str>, said: &str, wall: UnixMs) -> Outcome {
    match status {
        200..=299 => Outcome::Delivered,
        429 | 500..=599 => Outcome::Retry {
            reason: reason(status, said),
            after_ms: retry_after.and_then(|text| retry_after_ms(text.trim(), wall)),
        },
        _ => Outcome::Refused { reason: reason(status, said) },
    }
}

fn reason(status: u16, said: &str) -> String {
    let line = said.trim().lines().next().unwrap_or("");
    let said: String = line.chars().filter(|c| !c.is_control()).take(SAID_CHARS_MAX).collect();
    if said.is_empty() {
        format!("the receiver answered {status}")
    } else {
        format!("the receiver answered {status}: {said}")
    }
}

/// Seconds, or a date as HTTP writes them: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn retry_after_ms(text: &str, wall: UnixMs) -> Option<u64> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than fit are as good as the largest number: the backoff has its own limit.
        return Some(text.parse::<u64>().map_or(u64::MAX, |seconds| seconds.saturating_mul(1_000)));
    }
    let at_ms = http_date_ms(text)?;
    Some(u64::try_from(at_ms.saturating_sub(wall.0)).unwrap_or(0))
}

fn http_date_ms(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut parts = text.strip_suffix(" GMT")?.split(' ').skip(1);
    let day = number(parts.next()?, 31)?;
    let month = parts.next()?;
    let month = MONTHS.iter().position(|name| *name == month)? as i64 + 1;
    let year = number(parts.next()?, 9_999)?;
    let mut clock = parts.next()?.split(':');
    let (hour, minute, second) = (number(clock.next()?, 23)?, number(clock.next()?, 59)?, number(clock.next()?, 60)?);
    if parts.next().is_some() || clock.next().is_some() {
        return None;
    }
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(seconds * 1_000)
}

fn number(text: &str, most: i64) -> Option<i64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().filter(|value| *value <= most)
}

/// Days since 1970 of a proleptic Gregorian date; the inverse of [`UnixMs::civil`].
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALL: UnixMs = UnixMs(784_111_777_000); // Sun, 06 Nov 1994 08:49:37 GMT

    fn after_ms(retry_after: Option<&str>) -> Option<u64> {
        match classify(503, retry_after, "", WALL) {
            Outcome::Retry { after_ms, .. } => after_ms,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn answers_are_judged_as_the_specification_says() {
        let kind = |status| match classify(status, None, "", WALL) {
            Outcome::Delivered => "delivered",
            Outcome::Retry { .. } => "retry",
            Outcome::Refused { .. } => "refused",
        };
        for (status, want) in [
            (200, "delivered"),
            (204, "delivered"),
            (301, "refused"),
            (400, "refused"),
            (401, "refused"),
            (404, "refused"),
            (413, "refused"),
            (429, "retry"),
            (500, "retry"),
            (503, "retry"),
            (599, "retry"),
            (600, "refused"),
            (100, "refused"),
        ] {
            assert_eq!(kind(status), want, "{status}");
        }
    }

    #[test]
    fn a_pause_is_asked_for_in_seconds_or_as_a_date() {
        assert_eq!(after_ms(Some("120")), Some(120_000));
        assert_eq!(after_ms(Some("99999999999999999999999")), Some(u64::MAX));
        assert_eq!(after_ms(Some("Sun, 06 Nov 1994 08:50:37 GMT")), Some(60_000));
        assert_eq!(after_ms(Some("Sun, 06 Nov 1994 08:00:00 GMT")), Some(0), "in the past");
        for odd in
            ["", "-1", "soon", "Sun, 06 Nov 1994", "Sun, 06 Foo 1994 08:49:37 GMT", "1.5", "Sun, 06 Nov 1994 8:49 GMT"]
        {
            assert_eq!(after_ms(Some(odd)), None, "{odd:?}");
        }
        assert_eq!(after_ms(None), None);
    }

    #[test]
    fn dates_agree_with_the_civil_calendar() {
        for day in (-200_000..200_000).step_by(97) {
            let [year, month, date, ..] = UnixMs(day * 86_400_000).civil();
            assert_eq!(days_from_civil(year, month, date), day);
        }
    }

    #[test]
    fn what_the_receiver_said_is_cut_and_cleaned() {
        let said = format!("out of order\x07 sample {}\nsecond line", "x".repeat(500));
        let Outcome::Refused { reason } = classify(400, None, &said, WALL) else { panic!("refused") };
        assert!(reason.starts_with("the receiver answered 400: out of order sample xxx"), "{reason}");
        assert!(reason.len() < 250 && !reason.contains('\n'));
        let Outcome::Refused { reason } = classify(404, None, " \n", WALL) else { panic!("refused") };
        assert_eq!(reason, "the receiver answered 404");
    }
}
