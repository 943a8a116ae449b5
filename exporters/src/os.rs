//! `node_os_info`, `node_os_version`, `node_os_support_end_timestamp_seconds`: which system is installed.
//!
//! ```text
//! PRETTY_NAME="Raspbian GNU/Linux 12 (bookworm)"    <- /etc/os-release, else /usr/lib/os-release
//! VERSION_ID="12"
//! ID=raspbian
//! ```
//!
//! The file is read again when its node, length or time changes. Quotes and escapes are those of a shell's
//! assignment. A line that is no assignment is reported and the others believed; the peer then tells nothing.

use std::os::unix::fs::MetadataExt;

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo};
use crate::error::CollectError;
use crate::host::{Host, Reader, set_path};
use crate::number::{float, unsigned};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "os",
    default_on: true,
    make: |_| Ok(Box::new(Os::default())),
    flags: &[],
    doc: "Name and version of the system that is installed, from `os-release`.",
};

const FILES: [&str; 2] = ["etc/os-release", "usr/lib/os-release"];

/// The key in the file and the label it becomes, in the order of the labels.
const LABELS: [(&str, &str); 12] = [
    ("BUILD_ID", "build_id"),
    ("ID", "id"),
    ("ID_LIKE", "id_like"),
    ("IMAGE_ID", "image_id"),
    ("IMAGE_VERSION", "image_version"),
    ("NAME", "name"),
    ("PRETTY_NAME", "pretty_name"),
    ("VARIANT", "variant"),
    ("VARIANT_ID", "variant_id"),
    ("VERSION", "version"),
    ("VERSION_CODENAME", "version_codename"),
    ("VERSION_ID", "version_id"),
];
const ID: usize = 1;
const ID_LIKE: usize = 2;
const NAME: usize = 5;
const VERSION_ID: usize = 11;
const SUPPORT_END: &str = "SUPPORT_END";

/// The most bytes of one value; what is longer is blamed.
const VALUE_BYTES_MAX: usize = 1_024;

/// Reads `os-release`.
#[derive(Default)]
struct Os {
    file: Reader,
    path: std::path::PathBuf,
    /// What the file looked like when it was read; all zeros: not yet.
    seen: [i64; 5],
    values: [String; LABELS.len()],
    version: Option<f64>,
    support_end: Option<f64>,
    bad_line: Option<usize>,
}

impl Collector for Os {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        self.settle(host)?;
        let labels: [(&str, &str); LABELS.len()] = std::array::from_fn(|at| (LABELS[at].1, self.values[at].as_str()));
        let help = "A metric with a constant '1' value labeled by build_id, id, id_like, image_id, image_version, name, \
                    pretty_name, variant, variant_id, version, version_codename, version_id.";
        out.family("node_os_info", help, MetricKind::Gauge);
        out.add(&labels, 1.0);
        if let Some(version) = self.version {
            let help = "Metric containing the major.minor part of the OS version.";
            out.family("node_os_version", help, MetricKind::Gauge);
            out.add(&[labels[ID], labels[ID_LIKE], labels[NAME]], version);
        }
        if let Some(end) = self.support_end {
            let help = "Metric containing the end-of-life date timestamp of the OS.";
            out.family("node_os_support_end_timestamp_seconds", help, MetricKind::Gauge);
            out.add(&[], end);
        }
        match self.bad_line {
            Some(line) => Err(CollectError::malformed(&self.path, line, "`KEY=value`")),
            None => Ok(()),
        }
    }
}

impl Os {
    /// Reads the first of the files that is there, unless it is the one that was read last.
    fn settle(&mut self, host: &Host) -> Result<(), CollectError> {
        let mut found = None;
        for file in FILES {
            set_path(&mut self.path, &host.rootfs, &[file]);
            found = std::fs::metadata(&self.path).ok().map(|found| (file, found));
            if found.is_some() {
                break;
            }
        }
        let Some((file, found)) = found else {
            return Err(CollectError::Io { path: self.path.clone(), source: std::io::ErrorKind::NotFound.into() });
        };
        let looks = [found.dev() as i64, found.ino() as i64, found.len() as i64, found.mtime(), found.mtime_nsec()];
        if looks == self.seen {
            return Ok(());
        }
        self.seen = Default::default();
        self.values.iter_mut().for_each(String::clear);
        self.support_end = None;
        let text = self.file.text(host, &host.rootfs, &[file])?;
        let (values, support_end) = (&mut self.values, &mut self.support_end);
        self.bad_line = parse(text, |key, value| {
            if let Some(at) = LABELS.iter().position(|(known, _)| *known == key) {
                value.clone_into(&mut values[at]);
            } else if key == SUPPORT_END && !value.is_empty() {
                *support_end = day(value).map(|day| day as f64 * 86_400.0);
                return support_end.is_some();
            }
            true
        });
        self.version = version(&self.values[VERSION_ID]);
        self.seen = looks;
        Ok(())
    }
}

/// Reads assignments; returns the first odd line, or the first whose value nobody can use.
fn parse(text: &str, mut take: impl FnMut(&str, &str) -> bool) -> Option<usize> {
    let mut bad = None;
    let mut value = String::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        value.clear();
        let key = line.split_once('=').and_then(|(key, rest)| {
            let key = key.strip_prefix("export ").unwrap_or(key).trim();
            let is_name = crate::fields::is_name(key) && !key.starts_with(|c: char| c.is_ascii_digit());
            (is_name && unquote(rest, &mut value)).then_some(key)
        });
        if !key.is_some_and(|key| take(key, &value)) {
            bad.get_or_insert(at + 1);
        }
    }
    bad
}

/// Undoes quotes and escapes as a shell does, up to a comment; returns whether they fit together.
fn unquote(text: &str, out: &mut String) -> bool {
    let mut quote = None;
    let mut kept = 0;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (Some('"') | None, '\\') => match chars.next() {
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some('t') => out.push('\t'),
                Some(escaped) => out.push(escaped),
                None => return false,
            },
            (None, '#') if out.ends_with([' ', '\t']) => break,
            (None, ' ' | '\t') => {
                // White space at the end is no part of the value.
                out.push(c);
                continue;
            }
            _ => out.push(c),
        }
        kept = out.len();
    }
    out.truncate(kept);
    quote.is_none() && out.len() <= VALUE_BYTES_MAX
}

/// Returns the number at the start of a version: `12`, or `20.04` of `20.04.2`.
fn version(text: &str) -> Option<f64> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(text);
    let end = match text[whole..].strip_prefix('.') {
        Some(rest) => whole + 1 + digits(rest),
        None => whole,
    };
    float(&text[..end]).filter(|version| whole > 0 && *version > 0.0)
}

/// Returns the days from 1970 to a date such as `2028-06-30`.
fn day(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, '-');
    let mut part =
        |width: usize| parts.next().filter(|part| part.len() == width).and_then(unsigned).map(|part| part as i64);
    let (year, month, day) = (part(4)?, part(2)?, part(2)?);
    let leap = i64::from(year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
    let days = match month {
        2 => 28 + leap,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=days).contains(&day) {
        return None;
    }
    // Years from March on, so that the leap day is the last: Howard Hinnant's days_from_civil.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    Some(era * 146_097 + year * 365 + year / 4 - year / 100 + (153 * month + 2) / 5 + day - 1 - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_those_of_a_shell() {
        let mut found = Vec::new();
        let text = "# comment\nNAME=\"A \\\"b\\\" c\"\n\nID=x # comment\nexport V='1 \"2\"'  \nE=\nbad line\nQ=\"open\nA=a\\ b\n";
        let bad = parse(text, |key, value| {
            found.push(format!("{key}={value}"));
            true
        });
        assert_eq!(found, ["NAME=A \"b\" c", "ID=x", "V=1 \"2\"", "E=", "A=a b"]);
        assert_eq!(bad, Some(7));
    }

    #[test]
    fn versions_are_major_and_minor() {
        for (text, expected) in [("12", Some(12.0)), ("20.04.2", Some(20.04)), ("7.", Some(7.0)), ("0", None)] {
            assert_eq!(version(text), expected, "{text}");
        }
        assert_eq!([version(""), version("sid"), version(".5")], [None; 3]);
    }

    #[test]
    fn days_are_counted_from_1970() {
        for (text, expected) in [("1970-01-01", 0), ("2000-02-29", 11_016), ("2028-06-30", 21_365), ("1969-12-31", -1)]
        {
            assert_eq!(day(text), Some(expected), "{text}");
        }
        for bad in ["", "2023-02-29", "2023-13-01", "2023-00-10", "23-01-01", "2023-1-1", "2023-01-01x", "+023-01-01"] {
            assert_eq!(day(bad), None, "{bad}");
        }
    }
}
