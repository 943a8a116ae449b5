//! Prints stored series for a central Prometheus, as `/federate` does.
//!
//! Each metric name gets one `# TYPE` line, then every series with its value and its own time in milliseconds.
//! External labels are added where a series has no label of that name, and `instance=""` where there is none at
//! all, so that the scraping side does not put its own in. No HELP, as with the peer.
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

use crate::print::{count_of, push_integer, push_label};

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

/// Sorts the rows and appends their text. `kind_of` answers for a metric name; unknown ones print as `untyped`.
pub fn write_federate(
    rows: &mut [FederateRow],
    external: &Labels,
    kind_of: &dyn Fn(&str) -> MetricKind,
    out: &mut String,
) {
    rows.sort_by(|a, b| a.labels.name().cmp(b.labels.name()).then_with(|| a.labels.cmp(&b.labels)));
    let mut last: Option<(&str, bool)> = None;
    for row in rows.iter().filter(|row| !row.labels.name().is_empty()) {
        let native = matches!(row.value, Value::Histogram(_));
        let name = row.labels.name();
        if last != Some((name, native)) {
            let kind = if native { MetricKind::Histogram } else { kind_of(name) };
            out.extend(["# TYPE ", name, " ", kind.as_prometheus(), "\n"]);
            last = Some((name, native));
        }
        match &row.value {
            Value::Float(value) => write_series(row, external, "", *value, out),
            Value::Histogram(histogram) => {
                let count = count_of(histogram);
                for (suffix, value) in [("_bucket", count), ("_sum", histogram.sum), ("_count", count)] {
                    write_series(row, external, suffix, value, out);
                }
            }
        }
    }
}

fn write_series(row: &FederateRow, external: &Labels, suffix: &str, value: f64, out: &mut String) {
    out.extend([row.labels.name(), suffix]);
    let mut open = false;
    for (name, value) in row.labels.iter().filter(|(name, _)| *name != NAME) {
        push_label(out, &mut open, name, value);
    }
    let mut instance = row.labels.get("instance").is_some() || external.get("instance").is_some();
    for (name, value) in external.iter().filter(|(name, _)| row.labels.get(name).is_none()) {
        if !instance && name > "instance" {
            push_label(out, &mut open, "instance", "");
            instance = true;
        }
        push_label(out, &mut open, name, value);
    }
    if !instance {
        push_label(out, &mut open, "instance", "");
    }
    if suffix == "_bucket" {
        push_label(out, &mut open, "le", "+Inf");
    }
    out.push_str("} ");
    write_exposition(out, value);
    push_integer(out, row.at.0);
    out.push('\n');
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
        write_federate(&mut rows, &Labels::from_pairs(external.iter().copied()), &kind_of, &mut out);
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
}
