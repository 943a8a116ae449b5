//! The two clocks: one to wait by, one to label by.
//!
//! [`Mono`] is elapsed time (CLOCK_BOOTTIME): it never jumps, goes on in suspend, and starts anew at each boot.
//! [`UnixMs`] is a label. The two have no common arithmetic on purpose: never subtract one wall time from another
//! to find how long something took. [`Now`] carries both, read once, and is handed down everywhere.

use std::fmt;

/// Elapsed time since boot, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mono(pub u64);

impl Mono {
    /// Returns the time so many milliseconds later.
    pub fn plus_ms(self, ms: u64) -> Mono {
        Mono(self.0.saturating_add(ms))
    }

    /// Returns how many milliseconds ago `earlier` was; 0 when it is later.
    pub fn since_ms(self, earlier: Mono) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A wall time: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixMs(pub i64);

impl UnixMs {
    /// Returns the time in seconds, as Prometheus's API prints it.
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// Returns the time so many milliseconds later (earlier when negative).
    pub fn plus_ms(self, ms: i64) -> UnixMs {
        UnixMs(self.0.saturating_add(ms))
    }

    /// Returns the time of a date in UTC: the inverse of [`UnixMs::civil`], without milliseconds.
    ///
    /// Months and days are not checked: a 31st of April is the 1st of May.
    pub fn from_civil(year: i64, month: i64, day: i64, hour: i64, minute: i64, second: i64) -> UnixMs {
        let year = if month <= 2 { year - 1 } else { year };
        let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
        UnixMs((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000)
    }

    /// Returns the date and time in UTC: year, month, day, hour, minute, second, millisecond.
    ///
    /// Formula: days from the civil calendar in eras of 400 years of 146,097 days (proleptic Gregorian).
    pub fn civil(self) -> [i64; 7] {
        let (days, ms) = (self.0.div_euclid(86_400_000), self.0.rem_euclid(86_400_000));
        let shifted = days + 719_468; // days since 0000-03-01
        let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        [year, month, day, ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60, ms % 1_000]
    }
}

/// Prints as RFC 3339 in UTC; milliseconds only where there are some.
impl fmt::Display for UnixMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [year, month, day, hour, minute, second, ms] = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if ms != 0 {
            write!(f, ".{ms:03}")?;
        }
        f.write_str("Z")
    }
}

/// Both clocks, read at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// To wait by.
    pub mono: Mono,
    /// To label by. Until it is trusted this is the provisional wall: the larger of the last known time and the
    /// build date, plus elapsed time.
    pub wall: UnixMs,
    /// Whether `wall` is a synchronised clock or passed the configured floor.
    pub wall_trusted: bool,
}

/// A span of wall time, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRange {
    /// The first millisecond.
    pub start: UnixMs,
    /// The last millisecond.
    pub end: UnixMs,
}

impl TimeRange {
    /// Returns the range of all times.
    pub const ALL: TimeRange = TimeRange { start: UnixMs(i64::MIN), end: UnixMs(i64::MAX) };

    /// Returns whether a time lies within.
    pub fn contains(&self, at: UnixMs) -> bool {
        self.start <= at && at <= self.end
    }

    /// Returns whether two ranges share a time.
    pub fn overlaps(&self, other: &TimeRange) -> bool {
        self.start <= other.end && other.start <= self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_times_print_as_rfc_3339() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_795_249_204_020, "2026-11-21T08:20:04.020Z"),
            (4_102_444_799_000, "2099-12-31T23:59:59Z"),
        ] {
            assert_eq!(UnixMs(ms).to_string(), text);
            let [year, month, day, hour, minute, second, part] = UnixMs(ms).civil();
            assert_eq!(UnixMs::from_civil(year, month, day, hour, minute, second).plus_ms(part), UnixMs(ms));
        }
    }

    #[test]
    fn elapsed_time_does_not_run_backwards() {
        assert_eq!(Mono(5).since_ms(Mono(7)), 0);
        assert_eq!(Mono(7).since_ms(Mono(5)), 2);
        assert_eq!(Mono(u64::MAX).plus_ms(1), Mono(u64::MAX));
    }

    #[test]
    fn ranges_include_both_ends() {
        let range = TimeRange { start: UnixMs(1), end: UnixMs(3) };
        assert!(range.contains(UnixMs(1)) && range.contains(UnixMs(3)) && !range.contains(UnixMs(4)));
        assert!(range.overlaps(&TimeRange { start: UnixMs(3), end: UnixMs(9) }));
        assert!(!range.overlaps(&TimeRange { start: UnixMs(4), end: UnixMs(9) }));
    }
}
