//! Prints a batch as Prometheus text 0.0.4, as the Go client library's `/metrics` does.
//!
//! Families come sorted by name, those of one name as one; rows come sorted by their label values. In a histogram
//! the buckets of one label set stand together by rising bound, `le` as the last label, then `_sum` and `_count`;
//! a summary likewise with `quantile`. Labels given with an empty value are printed, as the peer does.
//! Families without rows print nothing. Nothing is allocated but the output's growth once the writer is warm.
//!
//! Sources: client_golang `prometheus/internal/metric.go` (order), prometheus/common `expfmt/text_create.go`.

use std::cmp::Ordering;
use std::ops::Range;

use model::float::write_exposition;
use model::labels::NAME;
use model::{Batch, Counts, Family, Histogram, MetricKind, Row, Value};

/// Prints a batch with scratch memory of its own: for whoever prints once.
pub fn write_text(batch: &Batch, out: &mut String) {
    let mut writer = TextWriter::default();
    writer.arrange(batch);
    writer.still.print(batch, out, &mut |_| ());
}

/// Prints batches and keeps the text of one without its values for as long as the next is laid out alike: then only
/// the values are written, a fifth of the work.
#[derive(Debug, Default)]
pub struct TextWriter {
    /// What stands for the layout of the batch that was put in order last; `None` when its text may not be used again.
    last: Option<u128>,
    families: Vec<u32>,
    /// The rows of one group of families in the order in which they are printed.
    rows: Vec<u32>,
    still: Still,
    layout: u64,
    /// Where the values of the text that was written last are in it.
    values: Vec<Range<u32>>,
}

/// Most values are no longer than this.
const VALUE_BYTES: usize = 10;

/// A text without its values.
#[derive(Debug, Default)]
struct Still {
    text: String,
    places: Vec<Place>,
}

/// Where which value of which row belongs in the text.
#[derive(Debug, Clone, Copy)]
struct Place {
    at: u32,
    row: u32,
    part: Part,
}

#[derive(Debug, Clone, Copy)]
enum Part {
    Float,
    Count,
    Sum,
}

impl TextWriter {
    /// Returns a writer that has printed nothing yet.
    pub fn new() -> TextWriter {
        TextWriter::default()
    }

    /// Appends the batch's text.
    pub fn write(&mut self, batch: &Batch, out: &mut String) {
        // A native histogram has other lines than a float of the same series.
        let is_native = batch.rows().iter().any(|row| row.value.float().is_none());
        let print = (!is_native).then(|| batch.layout_print());
        if print.is_none() || self.last != print {
            self.arrange(batch);
            self.last = print;
        }
        self.values.clear();
        self.still.print(batch, out, &mut |value| self.values.push(value));
    }

    /// Returns where the values of the text that was written last are in it, in ascending order; bytes from the
    /// start of what it was appended to, at most 4 GiB.
    pub fn values(&self) -> &[Range<u32>] {
        &self.values
    }

    /// Returns a number that is the same for texts that differ by nothing but their values.
    pub fn layout(&self) -> u64 {
        self.layout
    }

    /// Puts families and rows in order, which is more work than to print them, and prints all but the values.
    fn arrange(&mut self, batch: &Batch) {
        let families = batch.families();
        self.layout += 1;
        self.still.text.clear();
        self.still.places.clear();
        self.families.clear();
        self.families.extend(0..families.len() as u32);
        let name = |index: u32| batch.name(&families[index as usize]);
        self.families.sort_unstable_by(|a, b| name(*a).cmp(name(*b)).then(a.cmp(b)));
        for merged in self.families.chunk_by(|a, b| name(*a) == name(*b)) {
            let first = &families[merged[0] as usize];
            self.rows.clear();
            merged.iter().for_each(|family| self.rows.extend(rows_of(batch, *family)));
            if !self.rows.is_empty() {
                sort_rows(batch, first, &mut self.rows);
                self.still.family(batch, first, &self.rows);
            }
        }
        // It stays for as long as the layout does.
        self.still.text.shrink_to_fit();
        self.still.places.shrink_to_fit();
    }
}

impl Still {
    /// Appends the text, and says where its values are.
    fn print(&self, batch: &Batch, out: &mut String, tell: &mut impl FnMut(Range<u32>)) {
        // In one piece, or what is outgrown on the way stays behind in the memory.
        out.reserve(self.text.len() + self.places.len() * VALUE_BYTES);
        let mut from = 0;
        for place in &self.places {
            out.push_str(&self.text[from..place.at as usize]);
            from = place.at as usize;
            let start = out.len() as u32;
            push_value(out, &batch.rows()[place.row as usize], place.part);
            tell(start..out.len() as u32);
        }
        out.push_str(&self.text[from..]);
    }

    fn family(&mut self, batch: &Batch, family: &Family, rows: &[u32]) {
        let name = batch.name(family);
        let bound = bound_label(family.kind);
        for (word, text) in [("HELP", batch.help(family)), ("TYPE", family.kind.as_prometheus())] {
            // A push without a help text has no such line with the peer; a collector always has one.
            if text.is_empty() {
                continue;
            }
            self.text.extend(["# ", word, " ", name, " "]);
            push_escaped(&mut self.text, text, false);
            self.text.push('\n');
        }
        for row in rows {
            self.row(batch, bound, *row);
        }
    }

    fn row(&mut self, batch: &Batch, bound: &str, index: u32) {
        let row = &batch.rows()[index as usize];
        if let Value::Histogram(_) = &row.value {
            return self.native(batch, index);
        }
        self.text.push_str(metric_name(batch, row));
        let mut open = false;
        for (name, value) in Printed::of(batch, row).filter(|(name, _)| *name != bound) {
            push_label(&mut self.text, &mut open, name, value);
        }
        if let Some((name, value)) = batch.labels(row).find(|(name, _)| !bound.is_empty() && *name == bound) {
            push_label(&mut self.text, &mut open, name, value);
        }
        self.end(open, index, Part::Float);
    }

    /// A native histogram has no text form; the peer prints its last bucket, sum and count.
    fn native(&mut self, batch: &Batch, index: u32) {
        let row = &batch.rows()[index as usize];
        for (suffix, part) in [("_bucket", Part::Count), ("_sum", Part::Sum), ("_count", Part::Count)] {
            self.text.extend([metric_name(batch, row), suffix]);
            let mut open = false;
            for (name, value) in Printed::of(batch, row) {
                push_label(&mut self.text, &mut open, name, value);
            }
            if suffix == "_bucket" {
                push_label(&mut self.text, &mut open, "le", "+Inf");
            }
            self.end(open, index, part);
        }
    }

    fn end(&mut self, open: bool, row: u32, part: Part) {
        if open {
            self.text.push('}');
        }
        self.places.push(Place { at: self.text.len() as u32, row, part });
        self.text.push('\n');
    }
}

/// Returns the indices of a family's rows: they lie together, in the order in which families were opened.
fn rows_of(batch: &Batch, family: u32) -> std::ops::Range<u32> {
    let start = batch.rows().partition_point(|row| row.family < family);
    let end = batch.rows().partition_point(|row| row.family <= family);
    start as u32..end as u32
}

fn sort_rows(batch: &Batch, family: &Family, rows: &mut [u32]) {
    let name = batch.name(family);
    let bound = bound_label(family.kind);
    let row = |index: u32| &batch.rows()[index as usize];
    rows.sort_unstable_by(|a, b| compare(batch, name, bound, row(*a), row(*b)).then(a.cmp(b)));
}

/// Returns the label that stands last and is compared as a number.
fn bound_label(kind: MetricKind) -> &'static str {
    match kind {
        MetricKind::Histogram | MetricKind::GaugeHistogram => "le",
        MetricKind::Summary => "quantile",
        _ => "",
    }
}

/// Returns how many observations a native histogram holds.
pub(crate) fn count_of(histogram: &Histogram) -> f64 {
    match &histogram.counts {
        Counts::Integer { count, .. } => *count as f64,
        Counts::Float { count, .. } => *count,
    }
}

fn metric_name<'a>(batch: &'a Batch, row: &Row) -> &'a str {
    batch.labels(row).find(|(name, _)| *name == NAME).map_or("", |(_, value)| value)
}

fn push_value(out: &mut String, row: &Row, part: Part) {
    let value = match (&row.value, part) {
        (Value::Histogram(histogram), Part::Sum) => histogram.sum,
        (Value::Histogram(histogram), _) => count_of(histogram),
        (value, _) => value.float().unwrap_or_default(),
    };
    out.push(' ');
    write_exposition(out, value);
    if let Some(at) = row.at {
        push_integer(out, at.0);
    }
}

/// Appends a space and an integer.
pub(crate) fn push_integer(out: &mut String, value: i64) {
    use std::fmt::Write;
    let _ = write!(out, " {value}");
}

pub(crate) fn push_label(out: &mut String, open: &mut bool, name: &str, value: &str) {
    out.push(if *open { ',' } else { '{' });
    *open = true;
    out.push_str(name);
    out.push_str("=\"");
    push_escaped(out, value, true);
    out.push('"');
}

/// Appends a text with backslash and newline escaped, and double quotes too where it is quoted.
fn push_escaped(out: &mut String, text: &str, quoted: bool) {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|b| b == b'\\' || b == b'\n' || (quoted && b == b'"')) {
        out.push_str(&rest[..at]);
        out.push_str(match rest.as_bytes()[at] {
            b'\n' => "\\n",
            b'"' => "\\\"",
            _ => "\\\\",
        });
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
}

/// Orders two rows of one family as the Go library orders its metrics, and within one metric of several rows by
/// part: buckets or quantiles by their bound, then the sum, then the count.
fn compare(batch: &Batch, name: &str, bound: &str, a: &Row, b: &Row) -> Ordering {
    let labels = |row| Printed::of(batch, row).filter(|(name, _)| *name != bound);
    let (mut left, mut right) = (labels(a), labels(b));
    let mut by_value = Ordering::Equal;
    let by_labels = loop {
        match (left.next(), right.next()) {
            (None, None) => break by_value,
            (None, Some(_)) => break Ordering::Less,
            (Some(_), None) => break Ordering::Greater,
            (Some((_, left)), Some((_, right))) => by_value = by_value.then_with(|| left.cmp(right)),
        }
    };
    by_labels.then_with(|| match bound.is_empty() {
        true => Ordering::Equal,
        false => {
            let part = |row| match metric_name(batch, row).strip_prefix(name) {
                Some("_sum") => 1,
                Some("_count") => 2,
                _ => 0,
            };
            part(a).cmp(&part(b)).then_with(|| number(batch, bound, a).total_cmp(&number(batch, bound, b)))
        }
    })
}

fn number(batch: &Batch, bound: &str, row: &Row) -> f64 {
    let text = batch.labels(row).find(|(name, _)| *name == bound).map_or("", |(_, value)| value);
    text.parse().unwrap_or(f64::NAN)
}

/// Walks the labels that are printed, name left out, blank ones in their place.
struct Printed<'a, B: Iterator<Item = &'a str>> {
    labels: std::iter::Peekable<model::labels::PackedIter<'a>>,
    blanks: std::iter::Peekable<B>,
}

impl<'a> Printed<'a, std::iter::Empty<&'a str>> {
    fn of(batch: &'a Batch, row: &'a Row) -> Printed<'a, impl Iterator<Item = &'a str>> {
        Printed { labels: batch.labels(row).peekable(), blanks: batch.blanks(row).peekable() }
    }
}

impl<'a, B: Iterator<Item = &'a str>> Iterator for Printed<'a, B> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        self.labels.next_if(|(name, _)| *name == NAME);
        match (self.labels.peek(), self.blanks.peek()) {
            (Some((name, _)), Some(blank)) if blank < name => self.blanks.next().map(|blank| (blank, "")),
            (None, Some(_)) => self.blanks.next().map(|blank| (blank, "")),
            _ => self.labels.next(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fill: impl Fn(&mut Batch), expected: &str) {
        let mut batch = Batch::new();
        fill(&mut batch);
        let mut out = String::new();
        write_text(&batch, &mut out);
        assert_eq!(out, expected);
    }

    #[test]
    fn families_and_rows_are_sorted_and_equal_names_are_one_family() {
        check(
            |batch| {
                batch.family("b", "Second.", MetricKind::Counter);
                batch.add(&[("x", "2")], 1e6);
                batch.family("a", "First\\ of \"all\"\nlines.", MetricKind::Gauge);
                batch.add(&[], -0.5);
                batch.family("b", "Ignored.", MetricKind::Counter);
                batch.add(&[("x", "1")], f64::INFINITY);
                batch.family("empty", "Nothing.", MetricKind::Gauge);
            },
            "# HELP a First\\\\ of \"all\"\\nlines.\n# TYPE a gauge\na -0.5\n\
             # HELP b Second.\n# TYPE b counter\nb{x=\"1\"} +Inf\nb{x=\"2\"} 1e+06\n",
        );
    }

    #[test]
    fn blank_labels_are_printed_in_their_place() {
        check(
            |batch| {
                batch.family("a", "", MetricKind::Unknown);
                batch.add(&[("device", "/dev/\"x\""), ("device_error", ""), ("fstype", "ext4"), ("zone", "")], 1.0);
            },
            "# TYPE a untyped\na{device=\"/dev/\\\"x\\\"\",device_error=\"\",fstype=\"ext4\",zone=\"\"} 1\n",
        );
    }

    #[test]
    fn rows_are_ordered_by_values_and_fewer_labels_come_first() {
        check(
            |batch| {
                batch.family("a", "h", MetricKind::Gauge);
                batch.add(&[("b", "2"), ("c", "1")], 1.0);
                batch.add(&[("d", "9")], 2.0);
                batch.add(&[("b", "10"), ("z", "1")], 3.0);
            },
            "# HELP a h\n# TYPE a gauge\na{d=\"9\"} 2\na{b=\"10\",z=\"1\"} 3\na{b=\"2\",c=\"1\"} 1\n",
        );
    }

    #[test]
    fn histograms_and_summaries_stand_together_with_the_bound_last() {
        check(
            |batch| {
                batch.family("h", "h", MetricKind::Histogram);
                for zone in ["z1", "z0"] {
                    batch.add_suffixed("_count", &[("zone", zone)], 3.0);
                    batch.add_suffixed("_sum", &[("zone", zone)], 2.5);
                    batch.add_suffixed("_bucket", &[("le", "+Inf"), ("zone", zone)], 3.0);
                    batch.add_suffixed("_bucket", &[("le", "10"), ("zone", zone)], 2.0);
                    batch.add_suffixed("_bucket", &[("le", "9"), ("zone", zone)], 1.0);
                }
                batch.family("s", "s", MetricKind::Summary);
                batch.add_suffixed("_count", &[], 2.0);
                batch.add(&[("quantile", "0.99")], 0.2);
                batch.add(&[("quantile", "0.5")], 0.1);
                batch.add_suffixed("_sum", &[], 0.3);
            },
            "# HELP h h\n# TYPE h histogram\n\
             h_bucket{zone=\"z0\",le=\"9\"} 1\nh_bucket{zone=\"z0\",le=\"10\"} 2\nh_bucket{zone=\"z0\",le=\"+Inf\"} 3\n\
             h_sum{zone=\"z0\"} 2.5\nh_count{zone=\"z0\"} 3\n\
             h_bucket{zone=\"z1\",le=\"9\"} 1\nh_bucket{zone=\"z1\",le=\"10\"} 2\nh_bucket{zone=\"z1\",le=\"+Inf\"} 3\n\
             h_sum{zone=\"z1\"} 2.5\nh_count{zone=\"z1\"} 3\n\
             # HELP s s\n# TYPE s summary\n\
             s{quantile=\"0.5\"} 0.1\ns{quantile=\"0.99\"} 0.2\ns_sum 0.3\ns_count 2\n",
        );
    }

    #[test]
    fn an_order_is_kept_while_the_layout_is_and_no_longer() {
        let mut writer = TextWriter::new();
        let mut printed = |rows: &[(&str, &str, &str, f64)]| {
            let mut batch = Batch::new();
            for (family, label, value, number) in rows {
                batch.family(family, "h", MetricKind::Gauge);
                batch.add(&[(label, value)], *number);
            }
            let (mut kept, mut fresh, before) = (String::new(), String::new(), writer.layout());
            writer.write(&batch, &mut kept);
            write_text(&batch, &mut fresh);
            assert_eq!(kept, fresh);
            writer.layout() != before
        };
        assert!(printed(&[("b", "x", "2", 1.0), ("b", "x", "1", 2.0), ("a", "x", "1", 3.0)]));
        assert!(!printed(&[("b", "x", "2", 4.0), ("b", "x", "1", 5.0), ("a", "x", "1", 6.0)]));
        assert!(printed(&[("b", "x", "1", 4.0), ("b", "x", "2", 5.0), ("a", "x", "1", 6.0)]));
        // The same series otherwise, with a blank label that is printed.
        assert!(printed(&[("b", "x", "", 4.0), ("b", "y", "", 5.0), ("a", "x", "1", 6.0)]));
        assert!(printed(&[("b", "y", "", 4.0), ("b", "x", "", 5.0), ("a", "x", "1", 6.0)]));
        assert!(printed(&[]));
        assert!(printed(&[("a", "x", "1", 1.0)]));
    }

    #[test]
    fn a_series_that_becomes_a_native_histogram_has_other_lines() {
        let mut writer = TextWriter::new();
        let mut printed = |is_native: bool| {
            let mut batch = Batch::new();
            batch.family("a", "h", MetricKind::Histogram);
            batch.add(&[("x", "1")], 1.5);
            if is_native {
                let counts = Counts::Float { count: 2.0, zero: 2.0, positive: vec![], negative: vec![] };
                batch.histogram_last(std::sync::Arc::new(Histogram {
                    schema: 0,
                    zero_threshold: 0.0,
                    sum: 0.5,
                    positive_spans: vec![],
                    negative_spans: vec![],
                    custom_bounds: vec![],
                    counts,
                    hint: model::ResetHint::Unknown,
                }));
            }
            let mut out = String::new();
            writer.write(&batch, &mut out);
            out.lines().count()
        };
        assert_eq!([false, true, true, false, false].map(&mut printed), [3, 5, 5, 3, 3]);
        assert_eq!(printed(true), 5);
        let mut out = String::new();
        writer.write(&Batch::new(), &mut out);
        assert_eq!(out, "", "nothing of what was not kept");
    }

    #[test]
    fn a_warm_writer_allocates_nothing() {
        let mut batch = Batch::new();
        for name in ["b", "a", "c"] {
            batch.family(name, "h", MetricKind::Gauge);
            (0..50).for_each(|i| batch.add(&[("i", ["x", "y", "z"][i % 3])], i as f64));
        }
        let (mut writer, mut out) = (TextWriter::new(), String::new());
        writer.write(&batch, &mut out);
        let capacity = (writer.families.capacity(), writer.still.places.capacity(), out.capacity());
        out.clear();
        writer.write(&batch, &mut out);
        assert_eq!(capacity, (writer.families.capacity(), writer.still.places.capacity(), out.capacity()));
    }
}
