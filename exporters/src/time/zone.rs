//! The local time zone: its short name and offset at an instant, from `$TZ` or `/etc/localtime`.
//!
//! ```text
//! TZif2 ... transitions ... types ... "LMT\0CET\0CEST\0" \n CET-1CEST,M3.5.0,M10.5.0/3 \n
//! ```
//!
//! The file (RFC 9636) lists transitions; after the last one the rule at its end goes on for ever, and new files
//! list hardly any. As in Go, an unset `$TZ` means `/etc/localtime`, an empty or unreadable one means UTC.
//! The file is read once; a zone changed while we run is seen after a restart, as with the peer.

use std::path::Path;

use crate::host::Host;

/// Where zones are kept.
const FOLDERS: [&str; 3] = ["/usr/share/zoneinfo/", "/usr/share/lib/zoneinfo/", "/usr/lib/locale/TZ/"];

/// The largest count a file may state.
const COUNT_MAX: usize = 1 << 20;

/// The local zone, read at its first use.
#[derive(Debug, Default)]
pub(super) struct Zone {
    table: Option<Table>,
}

impl Zone {
    /// Returns the zone's short name and offset in seconds east of Greenwich at a Unix time.
    pub(super) fn at(&mut self, host: &Host, unix: i64) -> (&str, i32) {
        self.table.get_or_insert_with(|| read_local(host).unwrap_or_default()).at(unix)
    }
}

fn read_local(host: &Host) -> Option<Table> {
    let read = |path: &Path| Table::parse(host.read(path, &mut Vec::new()).ok()?);
    match std::env::var("TZ") {
        Err(std::env::VarError::NotPresent) => read(Path::new("/etc/localtime")),
        Err(_) => None,
        Ok(name) => match name.strip_prefix(':').unwrap_or(&name) {
            "" => None,
            path if path.starts_with('/') => read(Path::new(path)),
            name if name.contains("..") => None,
            name => FOLDERS.iter().find_map(|folder| read(Path::new(&[folder, name].concat()))),
        },
    }
}

/// What a zone file says.
#[derive(Debug, Default, PartialEq)]
struct Table {
    /// When which kind of time begins.
    transitions: Vec<(i64, usize)>,
    kinds: Vec<(String, i32, bool)>,
    rule: Option<Rule>,
}

impl Table {
    fn parse(bytes: &[u8]) -> Option<Table> {
        let first = Header::parse(bytes)?;
        if first.version == 0 {
            return Table::body(bytes, &first, 4).map(|(table, _)| table);
        }
        let second = bytes.get(Header::BYTES + first.body_bytes(4)?..)?;
        let header = Header::parse(second)?;
        let (mut table, end) = Table::body(second, &header, 8)?;
        let footer = std::str::from_utf8(second.get(end..)?).ok()?;
        let footer = footer.strip_prefix('\n').and_then(|rest| rest.split('\n').next()).unwrap_or("");
        table.rule = Rule::parse(footer);
        Some(table)
    }

    fn body(bytes: &[u8], header: &Header, time_bytes: usize) -> Option<(Table, usize)> {
        let end = Header::BYTES + header.body_bytes(time_bytes)?;
        let body = bytes.get(Header::BYTES..end)?;
        let (times, rest) = body.split_at_checked(header.times * time_bytes)?;
        let (indexes, rest) = rest.split_at_checked(header.times)?;
        let (types, rest) = rest.split_at_checked(header.types * 6)?;
        let names = rest.get(..header.name_bytes)?;
        let mut table = Table::default();
        for kind in types.chunks_exact(6) {
            let offset = i32::from_be_bytes([kind[0], kind[1], kind[2], kind[3]]);
            let name = names.get(kind[5] as usize..)?.split(|b| *b == 0).next()?;
            table.kinds.push((String::from_utf8(name.to_vec()).ok()?, offset, kind[4] != 0));
        }
        for (time, index) in times.chunks_exact(time_bytes).zip(indexes) {
            let negative = if time[0] & 0x80 != 0 { -1 } else { 0 };
            let unix = time.iter().fold(negative, |unix: i64, byte| unix << 8 | i64::from(*byte));
            table.transitions.push((unix, *index as usize));
        }
        table.transitions.iter().all(|(_, kind)| *kind < table.kinds.len()).then_some((table, end))
    }

    fn at(&self, unix: i64) -> (&str, i32) {
        let after = self.transitions.partition_point(|(start, _)| *start <= unix);
        if after == self.transitions.len()
            && let Some(rule) = &self.rule
        {
            return rule.at(unix);
        }
        let kind = match after.checked_sub(1) {
            Some(last) => self.kinds.get(self.transitions[last].1),
            None => self.kinds.iter().find(|(_, _, is_summer)| !is_summer).or(self.kinds.first()),
        };
        kind.map_or(("UTC", 0), |(name, offset, _)| (name, *offset))
    }
}

struct Header {
    version: u8,
    ut: usize,
    standard: usize,
    leaps: usize,
    times: usize,
    types: usize,
    name_bytes: usize,
}

impl Header {
    const BYTES: usize = 44;

    fn parse(bytes: &[u8]) -> Option<Header> {
        let count =
            |at: usize| Some(u32::from_be_bytes(bytes.get(20 + at * 4..24 + at * 4)?.try_into().ok()?) as usize);
        let header = Header {
            version: *bytes.strip_prefix(b"TZif")?.first()?,
            ut: count(0)?,
            standard: count(1)?,
            leaps: count(2)?,
            times: count(3)?,
            types: count(4)?,
            name_bytes: count(5)?,
        };
        let is_small = |count: usize| count <= COUNT_MAX;
        [header.ut, header.standard, header.leaps, header.times, header.types, header.name_bytes]
            .iter()
            .all(|count| is_small(*count))
            .then_some(header)
    }

    fn body_bytes(&self, time_bytes: usize) -> Option<usize> {
        let times = self.times.checked_mul(time_bytes + 1)?;
        let leaps = self.leaps.checked_mul(time_bytes + 4)?;
        Some(times + leaps + self.types * 6 + self.name_bytes + self.standard + self.ut)
    }
}

/// A POSIX rule such as `CET-1CEST,M3.5.0,M10.5.0/3`.
#[derive(Debug, PartialEq)]
struct Rule {
    standard: (String, i32),
    summer: Option<(String, i32, Change, Change)>,
}

/// A day of the year and the local time at which clocks are changed.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Change {
    day: Day,
    seconds: i32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Day {
    /// 1 to 365, the leap day never counted.
    Julian(i32),
    /// 0 to 365, the leap day counted.
    Plain(i32),
    /// Month, week (5 is the last), day of the week (0 is Sunday).
    Week(i32, i32, i32),
}

impl Rule {
    fn parse(text: &str) -> Option<Rule> {
        let (standard, rest) = take_name(text)?;
        let (west, rest) = take_clock(rest)?;
        let standard = (standard.to_owned(), -west);
        if rest.is_empty() {
            return Some(Rule { standard, summer: None });
        }
        let (summer, rest) = take_name(rest)?;
        let (offset, rest) = match rest.starts_with(',') {
            true => (standard.1 + 3_600, rest),
            false => take_clock(rest).map(|(west, rest)| (-west, rest))?,
        };
        let mut changes = rest.strip_prefix(',')?.split(',').map(Change::parse);
        let (start, end) = (changes.next()??, changes.next()??);
        Some(Rule { standard, summer: Some((summer.to_owned(), offset, start, end)) })
    }

    fn at(&self, unix: i64) -> (&str, i32) {
        let (standard, offset) = (self.standard.0.as_str(), self.standard.1);
        let Some((summer, summer_offset, start, end)) = &self.summer else { return (standard, offset) };
        let year = model::UnixMs((unix + i64::from(offset)) * 1_000).civil()[0];
        let start = start.unix(year) - i64::from(offset);
        let end = end.unix(year) - i64::from(*summer_offset);
        let is_summer = match start < end {
            true => start <= unix && unix < end,
            false => unix < end || start <= unix,
        };
        if is_summer { (summer, *summer_offset) } else { (standard, offset) }
    }
}

impl Change {
    fn parse(text: &str) -> Option<Change> {
        let (day, seconds) = match text.split_once('/') {
            Some((day, clock)) => (day, take_clock(clock).filter(|(_, rest)| rest.is_empty())?.0),
            None => (text, 7_200),
        };
        let day = match (day.strip_prefix('M'), day.strip_prefix('J')) {
            (Some(parts), _) => {
                let mut parts = parts.split('.').map(|part| part.parse::<i32>().ok());
                let (month, week, weekday) = (parts.next()??, parts.next()??, parts.next()??);
                let is_real = (1..=12).contains(&month) && (1..=5).contains(&week) && (0..=6).contains(&weekday);
                is_real.then_some(Day::Week(month, week, weekday))?
            }
            (_, Some(day)) => Day::Julian(day.parse().ok().filter(|day| (1..=365).contains(day))?),
            _ => Day::Plain(day.parse().ok().filter(|day| (0..=365).contains(day))?),
        };
        Some(Change { day, seconds })
    }

    /// Returns the change's instant in a year, as if local time were UTC.
    fn unix(&self, year: i64) -> i64 {
        let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let leaps = |year: i64| (year - 1).div_euclid(4) - (year - 1).div_euclid(100) + (year - 1).div_euclid(400);
        let new_year = (year - 1_970) * 365 + leaps(year) - leaps(1_970);
        let month_starts = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];
        let leap = i64::from(is_leap(year));
        let month_start = |month: i32| month_starts[month as usize - 1] + if month > 2 { leap } else { 0 };
        let day = match self.day {
            Day::Julian(day) => i64::from(day) - 1 + if day >= 60 { leap } else { 0 },
            Day::Plain(day) => i64::from(day),
            Day::Week(month, week, weekday) => {
                let first = month_start(month);
                let length = if month == 12 { 31 } else { month_start(month + 1) - first };
                // 1970-01-01 was a Thursday.
                let first_weekday = (new_year + first + 4).rem_euclid(7);
                let mut day = (i64::from(weekday) - first_weekday).rem_euclid(7) + (i64::from(week) - 1) * 7;
                while day >= length {
                    day -= 7;
                }
                first + day
            }
        };
        (new_year + day) * 86_400 + i64::from(self.seconds)
    }
}

/// Takes a zone's short name: letters, or anything in angle brackets.
fn take_name(text: &str) -> Option<(&str, &str)> {
    if let Some(rest) = text.strip_prefix('<') {
        return rest.split_once('>');
    }
    let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    (end >= 3).then(|| text.split_at(end))
}

/// Takes `[+-]hours[:minutes[:seconds]]`, in seconds.
fn take_clock(text: &str) -> Option<(i32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && !"+-:".contains(c)).unwrap_or(text.len());
    let (clock, rest) = text.split_at(end);
    let (sign, digits) = match clock.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, clock.strip_prefix('+').unwrap_or(clock)),
    };
    let mut seconds = 0;
    for (part, worth) in digits.split(':').zip([3_600, 60, 1]) {
        seconds += part.parse::<u16>().ok().filter(|part| *part <= 167)? as i32 * worth;
    }
    (!digits.is_empty()).then_some((sign * seconds, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: &str, expected: &[(i64, &str, i32)]) {
        let rule = Rule::parse(rule).expect("a good rule");
        for (unix, name, offset) in expected {
            assert_eq!(rule.at(*unix), (*name, *offset), "at {unix}");
        }
    }

    #[test]
    fn rules_know_summer_and_winter_in_both_hemispheres() {
        // 2026-03-29T01:00:00Z and 2026-10-25T01:00:00Z.
        check(
            "CET-1CEST,M3.5.0,M10.5.0/3",
            &[
                (1_774_745_999, "CET", 3_600),
                (1_774_746_000, "CEST", 7_200),
                (1_792_889_999, "CEST", 7_200),
                (1_792_890_000, "CET", 3_600),
            ],
        );
        check("AEST-10AEDT,M10.1.0,M4.1.0/3", &[(1_767_225_600, "AEDT", 39_600), (1_782_864_000, "AEST", 36_000)]);
        check("NST3:30NDT,M3.2.0,M11.1.0", &[(1_795_219_200, "NST", -12_600), (1_782_864_000, "NDT", -9_000)]);
        check("<+0530>-5:30", &[(0, "+0530", 19_800)]);
    }

    #[test]
    fn odd_rules_are_refused() {
        for bad in ["", "C", "CET", "CET-", "CETx", "CET-1CEST", "CET-1CEST,M13.1.0,M1.1.0", "CET-1CEST,J0,J1", "<x"] {
            assert_eq!(Rule::parse(bad), None, "{bad:?}");
        }
    }

    /// A version 2 file with one transition and no rule, made by hand.
    fn file() -> Vec<u8> {
        let header = |times: u32, types: u32, names: u32| {
            let mut bytes = b"TZif2".to_vec();
            bytes.extend([0; 15]);
            [0, 0, 0, times, types, names].iter().for_each(|count: &u32| bytes.extend(count.to_be_bytes()));
            bytes
        };
        let mut bytes = header(0, 0, 0);
        bytes.extend(header(1, 2, 8));
        bytes.extend(1_000_i64.to_be_bytes());
        bytes.push(1);
        for (offset, is_summer, name) in [(60_i32, 0, 0), (-3_600, 0, 4)] {
            bytes.extend(offset.to_be_bytes());
            bytes.extend([is_summer, name]);
        }
        bytes.extend(b"AAA\0BBB\0\n\n");
        bytes
    }

    #[test]
    fn transitions_say_what_holds_when() {
        let table = Table::parse(&file()).expect("a good file");
        assert_eq!(table.at(999), ("AAA", 60));
        assert_eq!(table.at(1_000), ("BBB", -3_600));
        assert_eq!(Table::default().at(0), ("UTC", 0));
    }

    #[test]
    fn torn_files_are_refused() {
        let whole = file();
        for cut in 0..whole.len() - 2 {
            assert_eq!(Table::parse(&whole[..cut]), None, "{cut} bytes");
        }
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] = 0xff;
            let _ = Table::parse(&bytes).map(|table| table.at(5).1);
        }
    }
}
