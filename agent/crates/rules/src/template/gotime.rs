//! Go's way of printing times and durations, as far as templates meet it: UTC only.
//!
//! `String` of a time and `Format` with Go's reference layout (`Mon Jan 2 15:04:05 2006`), `String` of a duration
//! (`30m0s`). A time is whole milliseconds and the nanoseconds within it, because `humanizeTimestamp` keeps those.

use model::UnixMs;

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The reference layout's pieces, longest first where one begins another.
const PIECES: [&str; 29] = [
    "January", "Jan", "Monday", "Mon", "MST", "2006", "-07:00", "-0700", "-07", "Z07:00", "Z0700", "002", "01", "02",
    "03", "04", "05", "06", "15", "PM", "pm", "__2", "_2", "1", "2", "3", "4", "5", "Z07",
];

/// Returns a time as its `String` method: `2015-06-23 13:19:44.128 +0000 UTC`.
pub fn print(at: UnixMs, ns: i64) -> String {
    let [year, month, day, hour, minute, second, ms] = at.civil();
    let mut out = format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}");
    push_fraction(&mut out, ms * 1_000_000 + ns);
    out.push_str(" +0000 UTC");
    out
}

fn push_fraction(out: &mut String, ns: i64) {
    if ns != 0 {
        out.push_str(format!(".{ns:09}").trim_end_matches('0'));
    }
}

/// Returns a time in a Go layout.
pub fn format(at: UnixMs, ns: i64, layout: &str) -> String {
    let mut out = String::with_capacity(layout.len() + 8);
    let mut rest = layout;
    while let Some(first) = rest.chars().next() {
        if let Some(digits) = fraction(rest, &out) {
            push_digits(&mut out, at.civil()[6] * 1_000_000 + ns, &rest[..=digits]);
            rest = &rest[1 + digits..];
            continue;
        }
        match PIECES.iter().find(|piece| rest.starts_with(**piece) && !is_word_tail(piece, rest)) {
            Some(piece) => {
                push_piece(&mut out, at, piece);
                rest = &rest[piece.len()..];
            }
            None => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    out
}

/// `Jan` does not stand in `January` nor in `Janet`: Go looks that no lower case letter follows.
fn is_word_tail(piece: &str, rest: &str) -> bool {
    matches!(piece, "Jan" | "Mon") && rest[piece.len()..].starts_with(|c: char| c.is_ascii_lowercase())
}

/// Returns how many digits a fraction of a second has: `.000`, `,000`, `.999`.
fn fraction(rest: &str, out: &str) -> Option<usize> {
    let tail = rest.strip_prefix(['.', ','])?;
    let digit = tail.chars().next().filter(|c| matches!(c, '0' | '9'))?;
    let digits = tail.bytes().take_while(|b| *b == digit as u8).count();
    let ends = !tail[digits..].starts_with(|c: char| c.is_ascii_digit());
    (ends && out.ends_with(|c: char| c.is_ascii_digit())).then_some(digits)
}

fn push_digits(out: &mut String, ns: i64, piece: &str) {
    let digits = format!("{ns:09}");
    let kept = &digits[..(piece.len() - 1).min(9)];
    let kept = if piece.ends_with('9') { kept.trim_end_matches('0') } else { kept };
    if !kept.is_empty() {
        out.push_str(&piece[..1]);
        out.push_str(kept);
    }
}

fn push_piece(out: &mut String, at: UnixMs, piece: &str) {
    let [year, month, day, hour, minute, second, _] = at.civil();
    let days = at.0.div_euclid(86_400_000);
    let weekday = DAYS[(days + 4).rem_euclid(7) as usize];
    let month_name = MONTHS[(month - 1) as usize];
    let hour12 = if hour % 12 == 0 { 12 } else { hour % 12 };
    let first_of_year = UnixMs(at.0).civil()[0];
    let text = match piece {
        "January" => month_name.to_owned(),
        "Jan" => month_name[..3].to_owned(),
        "Monday" => weekday.to_owned(),
        "Mon" => weekday[..3].to_owned(),
        "MST" => "UTC".to_owned(),
        "2006" => format!("{year:04}"),
        "06" => format!("{:02}", year.rem_euclid(100)),
        "01" => format!("{month:02}"),
        "1" => month.to_string(),
        "02" => format!("{day:02}"),
        "_2" => format!("{day:2}"),
        "2" => day.to_string(),
        "002" => format!("{:03}", day_of_year(first_of_year, month, day)),
        "__2" => format!("{:3}", day_of_year(first_of_year, month, day)),
        "15" => format!("{hour:02}"),
        "03" => format!("{hour12:02}"),
        "3" => hour12.to_string(),
        "04" => format!("{minute:02}"),
        "4" => minute.to_string(),
        "05" => format!("{second:02}"),
        "5" => second.to_string(),
        "PM" => if hour < 12 { "AM" } else { "PM" }.to_owned(),
        "pm" => if hour < 12 { "am" } else { "pm" }.to_owned(),
        "-07:00" => "+00:00".to_owned(),
        "-0700" => "+0000".to_owned(),
        "-07" => "+00".to_owned(),
        _ => "Z".to_owned(),
    };
    out.push_str(&text);
}

fn day_of_year(year: i64, month: i64, day: i64) -> i64 {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334][(month - 1) as usize];
    before + day + i64::from(leap && month > 2)
}

/// Appends a duration as its `String` method: `1h2m3.5s`, `100ms`, `0s`.
pub fn print_duration(out: &mut String, ns: i64) {
    if ns == 0 {
        out.push_str("0s");
        return;
    }
    if ns < 0 {
        out.push('-');
    }
    let magnitude = ns.unsigned_abs();
    if magnitude < 1_000_000_000 {
        let (unit, name) = match magnitude {
            0..1_000 => (1, "ns"),
            1_000..1_000_000 => (1_000, "µs"),
            _ => (1_000_000, "ms"),
        };
        push_decimal(out, magnitude, unit);
        out.push_str(name);
        return;
    }
    let seconds = magnitude / 1_000_000_000;
    if seconds >= 3_600 {
        out.push_str(&format!("{}h", seconds / 3_600));
    }
    if seconds >= 60 {
        out.push_str(&format!("{}m", seconds / 60 % 60));
    }
    push_decimal(out, magnitude % 60_000_000_000, 1_000_000_000);
    out.push('s');
}

fn push_decimal(out: &mut String, value: u64, unit: u64) {
    out.push_str(&(value / unit).to_string());
    let width = unit.ilog10() as usize;
    if !value.is_multiple_of(unit) {
        out.push_str(format!(".{:0width$}", value % unit).trim_end_matches('0'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_print_in_gos_layouts() {
        let at = UnixMs(1_353_755_652_040);
        for (layout, expected) in [
            ("Mon Jan 2 15:04:05 2006", "Sat Nov 24 11:14:12 2012"),
            ("2006-01-02T15:04:05Z07:00", "2012-11-24T11:14:12Z"),
            ("Monday, 02-January-06 3:04PM MST -0700", "Saturday, 24-November-12 11:14AM UTC +0000"),
            ("15:04:05.000 (05.999)", "11:14:12.040 (12.04)"),
            ("day 002, _2", "day 329, 24"),
        ] {
            assert_eq!(format(at, 0, layout), expected, "{layout}");
        }
        assert_eq!(print(at, 0), "2012-11-24 11:14:12.04 +0000 UTC");
    }

    #[test]
    fn durations_print_as_in_go() {
        for (ns, expected) in [
            (0, "0s"),
            (1_800_000_000_000, "30m0s"),
            (3_723_500_000_000, "1h2m3.5s"),
            (-100_000_000, "-100ms"),
            (1_500, "1.5µs"),
            (7, "7ns"),
        ] {
            let mut out = String::new();
            print_duration(&mut out, ns);
            assert_eq!(out, expected);
        }
    }
}
