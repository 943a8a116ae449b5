//! Prints stored series for a central Prometheus, as `/federate` does: as text, or as protobuf for whoever asks so.
//!
//! Each metric name gets one `# TYPE` line, then every series with its value and its own time in milliseconds.
//! External labels are added where a series has no label of that name, and `instance=""` where there is none at
//! all, so that the scraping side does not put its own in. No HELP, as with the peer. Native histograms have no text
//! form and are left out of it, as with the peer; protobuf carries them whole.
//! Which rows are asked for, and the newest sample of each, is the caller's business.
//!
//! ```text
//! # TYPE node_load1 gauge
//! node_load1{instance="board:9090",job="node"} 0.42 1795249204020
//! ```
//!
//! Source: Prometheus, `web/federate.go`.

use model::float::write_exposition;
use model::labels::NAME;
use model::{Labels, MetricKind, UnixMs, Value};

use crate::print::{push_integer, push_label};

/// The newest sample of one series.
#[derive(Debug, Clone)]
pub struct FederateRow {
    /// The series, with its metric name.
    pub labels: Labels,
    /// Its newest value; what is stale is left out by the caller.
    pub value: Value,
    /// When it was taken.
    pub at: UnixMs,
}

/// What becomes of names that were no names before Prometheus 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escaping {
    /// What is no letter, digit, underscore or colon becomes an underscore.
    Underscores,
    /// They stay, in quotes.
    AllowUtf8,
}

/// Sorts the rows and appends their text. `kind_of` answers for a metric name; unknown ones print as `untyped`.
pub fn write_federate(
    rows: &mut [FederateRow],
    external: &Labels,
    escaping: Escaping,
    kind_of: &dyn Fn(&str) -> MetricKind,
    out: &mut String,
) {
    sort(rows);
    let mut last = "";
    for row in rows.iter().filter(|row| !row.labels.name().is_empty()) {
        let Value::Float(value) = row.value else { continue };
        let name = row.labels.name();
        if last != name {
            out.push_str("# TYPE ");
            push_name(out, name, true, escaping);
            out.extend([" ", kind_of(name).as_prometheus(), "\n"]);
            last = name;
        }
        write_series(row, external, escaping, value, out);
    }
}

pub(crate) fn sort(rows: &mut [FederateRow]) {
    rows.sort_by(|a, b| a.labels.name().cmp(b.labels.name()).then_with(|| a.labels.cmp(&b.labels)));
}

fn write_series(row: &FederateRow, external: &Labels, escaping: Escaping, value: f64, out: &mut String) {
    let mut open = push_metric(out, row.labels.name(), escaping);
    for_each_label(row, external, &mut |name, value| push_named(out, &mut open, (name, value), escaping));
    out.push_str("} ");
    write_exposition(out, value);
    push_integer(out, row.at.0);
    out.push('\n');
}

/// Appends a series as the text formats name it, with odd names in quotes: `name{label="value"}`.
pub fn write_series_name(out: &mut String, labels: &Labels) {
    let mut open = push_metric(out, labels.name(), Escaping::AllowUtf8);
    for pair in labels.iter().filter(|(name, _)| *name != NAME) {
        push_named(out, &mut open, pair, Escaping::AllowUtf8);
    }
    if open {
        out.push('}');
    }
}

/// Appends a metric's name, within the braces if it must be quoted; answers whether they are open.
fn push_metric(out: &mut String, name: &str, escaping: Escaping) -> bool {
    let open = escaping == Escaping::AllowUtf8 && !is_plain(name, true);
    if open {
        out.push('{');
    }
    push_name(out, name, true, escaping);
    open
}

fn push_named(out: &mut String, open: &mut bool, (name, value): (&str, &str), escaping: Escaping) {
    if is_plain(name, false) {
        return push_label(out, open, name, value);
    }
    let mut shown = String::new();
    push_name(&mut shown, name, false, escaping);
    push_label(out, open, &shown, value);
}

/// Visits the labels of a row as they are sent: its own, then those of the house that it lacks.
pub(crate) fn for_each_label(row: &FederateRow, external: &Labels, visit: &mut dyn FnMut(&str, &str)) {
    row.labels.iter().filter(|(name, _)| *name != NAME).for_each(|(name, value)| visit(name, value));
    let mut instance = row.labels.get("instance").is_some() || external.get("instance").is_some();
    for (name, value) in external.iter().filter(|(name, _)| row.labels.get(name).is_none()) {
        if !instance && name > "instance" {
            visit("instance", "");
            instance = true;
        }
        visit(name, value);
    }
    if !instance {
        visit("instance", "");
    }
}

/// Returns whether a name is one without quotes.
pub(crate) fn is_plain(name: &str, is_metric: bool) -> bool {
    name.bytes().enumerate().all(|(at, byte)| is_name_byte(byte, at, is_metric))
}

fn is_name_byte(byte: u8, at: usize, is_metric: bool) -> bool {
    byte == b'_' || byte.is_ascii_alphabetic() || (at > 0 && byte.is_ascii_digit()) || (is_metric && byte == b':')
}

/// Appends a name in the way that the reader takes.
pub(crate) fn push_name(out: &mut String, name: &str, is_metric: bool, escaping: Escaping) {
    if is_plain(name, is_metric) {
        return out.push_str(name);
    }
    match escaping {
        Escaping::Underscores => out.extend(name.char_indices().map(|(at, c)| match u8::try_from(c) {
            Ok(byte) if is_name_byte(byte, at, is_metric) => c,
            _ => '_',
        })),
        Escaping::AllowUtf8 => {
            out.push('"');
            for c in name.chars() {
                match c {
                    '"' | '\\' => out.extend(['\\', c]),
                    '\n' => out.push_str("\\n"),
                    c => out.push(c),
                }
            }
            out.push('"');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(pairs: &[(&str, &str)], value: f64, at: i64) -> FederateRow {
        let labels = Labels::from_pairs(pairs.iter().copied());
        FederateRow { labels, value: Value::Float(value), at: UnixMs(at) }
    }

    fn check(external: &[(&str, &str)], expected: &str) {
        let mut rows = [
            row(&[("__name__", "old")], 981.0, 5_880_000),
            row(&[("__name__", "m2"), ("foo", "boo"), ("instance", "i")], 1.0, 6_000_000),
            row(&[("__name__", "m1"), ("foo", "boo"), ("instance", "i")], 1.0, 6_000_000),
            row(&[("__name__", "m1"), ("foo", "bar"), ("instance", "i")], 10_000.0, 6_000_000),
        ];
        let kind_of = |name: &str| if name == "m2" { MetricKind::Counter } else { MetricKind::Unknown };
        let mut out = String::new();
        let external = Labels::from_pairs(external.iter().copied());
        write_federate(&mut rows, &external, Escaping::Underscores, &kind_of, &mut out);
        assert_eq!(out, expected);
    }

    #[test]
    fn names_are_sorted_and_an_instance_is_always_there() {
        check(
            &[],
            "# TYPE m1 untyped\nm1{foo=\"bar\",instance=\"i\"} 10000 6000000\nm1{foo=\"boo\",instance=\"i\"} 1 6000000\n\
             # TYPE m2 counter\nm2{foo=\"boo\",instance=\"i\"} 1 6000000\n\
             # TYPE old untyped\nold{instance=\"\"} 981 5880000\n",
        );
    }

    #[test]
    fn external_labels_fill_in_and_never_override() {
        check(
            &[("foo", "baz"), ("zone", "ie")],
            "# TYPE m1 untyped\nm1{foo=\"bar\",instance=\"i\",zone=\"ie\"} 10000 6000000\n\
             m1{foo=\"boo\",instance=\"i\",zone=\"ie\"} 1 6000000\n\
             # TYPE m2 counter\nm2{foo=\"boo\",instance=\"i\",zone=\"ie\"} 1 6000000\n\
             # TYPE old untyped\nold{foo=\"baz\",instance=\"\",zone=\"ie\"} 981 5880000\n",
        );
    }

    #[test]
    fn an_external_instance_takes_the_place_of_the_empty_one() {
        check(
            &[("instance", "baz")],
            "# TYPE m1 untyped\nm1{foo=\"bar\",instance=\"i\"} 10000 6000000\nm1{foo=\"boo\",instance=\"i\"} 1 6000000\n\
             # TYPE m2 counter\nm2{foo=\"boo\",instance=\"i\"} 1 6000000\n\
             # TYPE old untyped\nold{instance=\"baz\"} 981 5880000\n",
        );
    }

    #[test]
    fn names_with_odd_letters_are_escaped_or_quoted() {
        let text = |escaping| {
            let mut rows = [row(&[("__name__", "a.é\"b"), ("1x", "y")], 1.0, 5)];
            let mut out = String::new();
            write_federate(&mut rows, &Labels::empty(), escaping, &|_| MetricKind::Gauge, &mut out);
            out
        };
        let escaped = "# TYPE a___b gauge\na___b{_x=\"y\",instance=\"\"} 1 5\n";
        assert_eq!(text(Escaping::Underscores), escaped);
        let quoted = "# TYPE \"a.é\\\"b\" gauge\n{\"a.é\\\"b\",\"1x\"=\"y\",instance=\"\"} 1 5\n";
        assert_eq!(text(Escaping::AllowUtf8), quoted);
    }
}
