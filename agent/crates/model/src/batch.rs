//! What a source delivers at once: families with their metadata, and rows that share one time.
//!
//! A Batch belongs to a source (a collector lane, a target, a rule group, a push group, a writer). It is cleared
//! and filled again, never dropped, so a steady source allocates nothing. All label sets lie packed in one buffer;
//! two batches of the same shape (same series in the same order) have equal [`Batch::shape`] bytes, so that
//! whoever maps rows to series compares once instead of looking each one up.
//!
//! ```text
//! # HELP node_load1 1m load average.        <- Family
//! # TYPE node_load1 gauge
//! node_load1 0.42                           <- Row
//! ```
//!
//! Rows normally carry no time of their own: the whole batch was read at one instant. A row with an explicit time
//! (a backfill, a remote write, a scrape with timestamps) says so in [`Row::at`].

use std::sync::Arc;

use crate::fingerprint::Fingerprint;
use crate::histogram::Histogram;
use crate::labels::{Labels, NAME, PackedIter, push_packed};
use crate::limits::{BATCH_LABEL_BYTES_MAX, BATCH_ROWS_MAX, LABEL_BYTES_MAX, LABELS_MAX};
use crate::sample::Value;
use crate::time::UnixMs;

/// Which source a batch belongs to. The agent hands these out; they mean nothing across a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SourceId(pub u32);

/// What kind of metric a family is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MetricKind {
    /// Goes up and down.
    Gauge,
    /// Only goes up, until it starts again.
    Counter,
    /// Buckets, a sum and a count.
    Histogram,
    /// A histogram whose buckets go up and down.
    GaugeHistogram,
    /// Quantiles, a sum and a count.
    Summary,
    /// Facts in labels, the value is 1.
    Info,
    /// One of several named states is 1.
    StateSet,
    /// Nobody said.
    #[default]
    Unknown,
}

impl MetricKind {
    /// Every kind, by its number.
    pub const ALL: [MetricKind; 8] = [
        MetricKind::Gauge,
        MetricKind::Counter,
        MetricKind::Histogram,
        MetricKind::GaugeHistogram,
        MetricKind::Summary,
        MetricKind::Info,
        MetricKind::StateSet,
        MetricKind::Unknown,
    ];

    /// Returns the number that stands for the kind in what is saved; it never changes.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// Returns the kind of a number; `None` where there is none.
    pub fn from_number(number: u8) -> Option<MetricKind> {
        MetricKind::ALL.get(usize::from(number)).copied()
    }

    /// Returns the kind as a `# TYPE` line of Prometheus text has it.
    pub fn as_prometheus(self) -> &'static str {
        match self {
            MetricKind::Gauge | MetricKind::Info | MetricKind::StateSet => "gauge",
            MetricKind::Counter => "counter",
            MetricKind::Histogram | MetricKind::GaugeHistogram => "histogram",
            MetricKind::Summary => "summary",
            MetricKind::Unknown => "untyped",
        }
    }
}

/// One metric name with its metadata, and where its rows lie in the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    name: (u32, u32),
    help: (u32, u32),
    unit: (u32, u32),
    /// What kind it is.
    pub kind: MetricKind,
}

/// One sample of one series.
#[derive(Debug, Clone)]
pub struct Row {
    /// Which family it belongs to, as an index into [`Batch::families`].
    pub family: u32,
    labels: (u32, u32),
    blanks: (u32, u32),
    /// What was measured.
    pub value: Value,
    /// The sample's own time, where it does not share the batch's.
    pub at: Option<UnixMs>,
    /// When the counter started, where the source says so.
    pub start: Option<UnixMs>,
}

/// Rows that one source delivers at one instant.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    text: String,
    families: Vec<Family>,
    shape: Vec<u8>,
    blanks: String,
    rows: Vec<Row>,
    refused: u64,
    own_times_stay: bool,
    layout: u64,
    is_bare: bool,
}

impl Batch {
    /// Returns an empty batch.
    pub fn new() -> Batch {
        Batch::default()
    }

    /// Empties the batch and keeps its memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.families.clear();
        self.shape.clear();
        self.blanks.clear();
        self.rows.clear();
        self.refused = 0;
        self.own_times_stay = false;
        (self.layout, self.is_bare) = (0, false);
    }

    /// Gives the batch's layout a number, not 0: all batches of its source with this number have the same families and
    /// the same series in the same order. Whoever knows a batch by its number need not compare.
    pub fn set_layout(&mut self, number: u64) {
        self.layout = number;
    }

    /// Returns the number of the layout; 0 when it has none.
    pub fn layout(&self) -> u64 {
        self.layout
    }

    /// Makes this an empty batch whose rows name no series: they are those of this layout, in its order. Whoever does
    /// not know the layout any more has to ask for one that names them.
    pub fn begin_bare(&mut self, layout: u64) {
        self.clear();
        (self.layout, self.is_bare) = (layout, true);
    }

    /// Returns whether the rows name no series.
    pub fn is_bare(&self) -> bool {
        self.is_bare
    }

    /// Adds a row that names no series.
    pub fn add_bare(&mut self, value: Value, at: Option<UnixMs>, start: Option<UnixMs>) {
        self.rows.push(Row { family: 0, labels: (0, 0), blanks: (0, 0), value, at, start });
    }

    /// Says whether a series whose rows had times of their own gets no staleness marker when it is missing: its times
    /// are somebody else's, who may only be late. Without a word it gets one.
    pub fn set_own_times_stay(&mut self, stay: bool) {
        self.own_times_stay = stay;
    }

    /// Returns whether series with times of their own are left alone when they are missing.
    pub fn own_times_stay(&self) -> bool {
        self.own_times_stay
    }

    /// Opens a family; the rows added next belong to it. Opening the last one again goes on with it.
    pub fn family(&mut self, name: &str, help: &str, kind: MetricKind) {
        self.family_with_unit(name, help, kind, "");
    }

    /// Opens a family whose unit is known.
    pub fn family_with_unit(&mut self, name: &str, help: &str, kind: MetricKind, unit: &str) {
        if self.families.last().is_some_and(|last| self.text(last.name) == name) {
            return;
        }
        let [name, help, unit] = [name, help, unit].map(|part| {
            let start = self.text.len() as u32;
            self.text.push_str(part);
            (start, self.text.len() as u32)
        });
        self.families.push(Family { name, help, unit, kind });
    }

    /// Adds a row to the family opened last, under the family's own name.
    ///
    /// Labels may come in any order; empty ones are no part of the series and only remembered for printing, see
    /// [`Batch::blanks`]. A row over a limit is left out and counted in
    /// [`Batch::refused`]. Without an open family this is a mistake of the caller's and panics.
    pub fn add(&mut self, labels: &[(&str, &str)], value: f64) {
        self.add_suffixed("", labels, value);
    }

    /// Adds a row named after the family and a suffix, such as `_sum` of a summary.
    pub fn add_suffixed(&mut self, suffix: &str, labels: &[(&str, &str)], value: f64) {
        let family = *self.families.last().expect("a family is opened before its rows");
        let name_bytes = (family.name.1 - family.name.0) as usize + suffix.len();
        let long = |(name, value): &(&str, &str)| name.len() > LABEL_BYTES_MAX || value.len() > LABEL_BYTES_MAX;
        if name_bytes > LABEL_BYTES_MAX || labels.len() >= LABELS_MAX || labels.iter().any(long) || self.is_full() {
            self.refused += 1;
            return;
        }
        let start = self.shape.len();
        self.shape.extend_from_slice(&[0; 4]);
        self.push_sorted(family, suffix, labels);
        let end = self.shape.len();
        self.shape[start..start + 4].copy_from_slice(&((end - start - 4) as u32).to_le_bytes());
        let blanks = self.push_blanks(labels);
        self.rows.push(Row {
            family: self.families.len() as u32 - 1,
            labels: (start as u32 + 4, end as u32),
            blanks,
            value: Value::Float(value),
            at: None,
            start: None,
        });
    }

    /// Adds a row whose label set, name included, is already at hand.
    pub fn add_labels(&mut self, labels: &Labels, value: Value) {
        self.add_packed(labels.packed(), value);
    }

    /// Adds a row whose label set, name included, is packed already. Whoever packs it keeps the limits.
    pub fn add_packed(&mut self, packed: &[u8], value: Value) {
        if self.is_full() {
            self.refused += 1;
            return;
        }
        self.shape.extend_from_slice(&(packed.len() as u32).to_le_bytes());
        let start = self.shape.len() as u32;
        self.shape.extend_from_slice(packed);
        let family = (self.families.len() as u32).checked_sub(1).expect("a family is opened before its rows");
        let labels = (start, self.shape.len() as u32);
        self.rows.push(Row { family, labels, blanks: (0, 0), value, at: None, start: None });
    }

    /// Gives a row its next value: for a source that delivers the same series again. A row that is not there is left.
    pub fn set(&mut self, row: usize, value: Value, at: Option<UnixMs>, start: Option<UnixMs>) {
        if let Some(row) = self.rows.get_mut(row) {
            (row.value, row.at, row.start) = (value, at, start);
        }
    }

    /// Gives the row added last its own time and, where known, the start of its counter.
    pub fn stamp_last(&mut self, at: Option<UnixMs>, start: Option<UnixMs>) {
        if let Some(row) = self.rows.last_mut() {
            (row.at, row.start) = (at, start);
        }
    }

    /// Makes the row added last a histogram.
    pub fn histogram_last(&mut self, histogram: Arc<Histogram>) {
        if let Some(row) = self.rows.last_mut() {
            row.value = Value::Histogram(histogram);
        }
    }

    /// Counts rows that the source itself left out because of a limit.
    pub fn refuse(&mut self, rows: u64) {
        self.refused += rows;
    }

    /// Takes back everything from this row on: for a source that turns out bad half way.
    ///
    /// Families opened since stay, without rows, and print nothing.
    pub fn truncate(&mut self, rows: usize) {
        if let Some(first) = self.rows.get(rows) {
            self.shape.truncate(first.labels.0 as usize - 4);
            self.rows.truncate(rows);
        }
    }

    /// Returns the families in the order they were opened; one name may occur more than once.
    pub fn families(&self) -> &[Family] {
        &self.families
    }

    /// Returns the rows in the order they were added.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Returns the bytes that are equal for two batches of the same series in the same order.
    pub fn shape(&self) -> &[u8] {
        &self.shape
    }

    /// Returns what stands for everything but values and times: two batches of one print have the same families, and the
    /// same series in the same order. What was worked out of one's layout then holds for the other.
    pub fn layout_print(&self) -> u128 {
        let mut print = Fingerprint::default();
        print.bytes(&self.shape).bytes(self.text.as_bytes()).bytes(self.blanks.as_bytes());
        let both = |(one, other): (u32, u32)| u64::from(one) << 32 | u64::from(other);
        for family in &self.families {
            print.pair(both(family.name), both(family.help)).pair(both(family.unit), family.kind.number().into());
        }
        // Where a row's labels are the shape itself says.
        self.rows.iter().for_each(|row| _ = print.pair(row.family.into(), both(row.blanks)));
        print.get()
    }

    /// Returns how many rows were left out because of a limit.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Returns a family's metric name.
    pub fn name(&self, family: &Family) -> &str {
        self.text(family.name)
    }

    /// Returns a family's help text.
    pub fn help(&self, family: &Family) -> &str {
        self.text(family.help)
    }

    /// Returns a family's unit, empty when unknown.
    pub fn unit(&self, family: &Family) -> &str {
        self.text(family.unit)
    }

    /// Returns a row's packed label set, metric name included.
    pub fn packed(&self, row: &Row) -> &[u8] {
        &self.shape[row.labels.0 as usize..row.labels.1 as usize]
    }

    /// Returns an iterator over a row's labels, metric name included, in ascending order of names.
    pub fn labels(&self, row: &Row) -> PackedIter<'_> {
        PackedIter::new(self.packed(row))
    }

    /// Returns the names of a row's labels that were given with an empty value, in ascending order: `/metrics`
    /// of the peer prints them, everybody else takes them for absent.
    pub fn blanks(&self, row: &Row) -> impl Iterator<Item = &str> {
        self.blanks[row.blanks.0 as usize..row.blanks.1 as usize].split_terminator('\n')
    }

    fn text(&self, (start, end): (u32, u32)) -> &str {
        &self.text[start as usize..end as usize]
    }

    fn is_full(&self) -> bool {
        self.rows.len() >= BATCH_ROWS_MAX || self.shape.len() >= BATCH_LABEL_BYTES_MAX
    }

    fn push_blanks(&mut self, labels: &[(&str, &str)]) -> (u32, u32) {
        let start = self.blanks.len() as u32;
        let mut last = "";
        let blanks = labels.iter().filter(|(_, value)| value.is_empty()).map(|(name, _)| *name);
        while let Some(name) = blanks.clone().filter(|name| *name > last).min() {
            self.blanks.push_str(name);
            self.blanks.push('\n');
            last = name;
        }
        (start, self.blanks.len() as u32)
    }

    /// Appends the packed labels in ascending order, by picking the smallest name left each time: label sets are
    /// small and nearly sorted, and this needs no memory.
    fn push_sorted(&mut self, family: Family, suffix: &str, labels: &[(&str, &str)]) {
        let mut last: Option<&str> = None;
        loop {
            let next = labels
                .iter()
                .map(|(name, _)| *name)
                .chain([NAME])
                .filter(|name| last.is_none_or(|last| *name > last))
                .min();
            let Some(name) = next else { return };
            last = Some(name);
            if name == NAME {
                let bytes = family.name.1 - family.name.0 + suffix.len() as u32;
                self.shape.extend_from_slice(&(NAME.len() as u16).to_le_bytes());
                self.shape.extend_from_slice(NAME.as_bytes());
                self.shape.extend_from_slice(&(bytes as u16).to_le_bytes());
                self.shape.extend_from_slice(&self.text.as_bytes()[family.name.0 as usize..family.name.1 as usize]);
                self.shape.extend_from_slice(suffix.as_bytes());
                continue;
            }
            let value = labels.iter().rev().find(|(n, _)| *n == name).map_or("", |(_, value)| *value);
            if !value.is_empty() && !name.is_empty() {
                push_packed(&mut self.shape, name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(batch: &Batch) -> Vec<String> {
        batch
            .rows()
            .iter()
            .map(|row| Labels::from_packed(batch.packed(row)).expect("packed by the batch").to_string())
            .collect()
    }

    #[test]
    fn rows_carry_their_family_name_and_sorted_labels() {
        let mut batch = Batch::new();
        batch.family("cpu_seconds_total", "Help.", MetricKind::Counter);
        batch.add(&[("mode", "idle"), ("cpu", "0"), ("empty", ""), ("Upper", "1")], 1.0);
        batch.add_suffixed("_sum", &[], 2.0);
        assert_eq!(
            printed(&batch),
            ["cpu_seconds_total{Upper=\"1\", cpu=\"0\", mode=\"idle\"}", "cpu_seconds_total_sum"]
        );
        assert_eq!(batch.help(&batch.families()[0]), "Help.");
    }

    #[test]
    fn empty_labels_are_remembered_for_printing_only() {
        let mut batch = Batch::new();
        batch.family("a", "", MetricKind::Gauge);
        batch.add(&[("package", ""), ("cpu", "0"), ("core", "")], 1.0);
        batch.add(&[("cpu", "1")], 1.0);
        let names: Vec<Vec<&str>> = batch.rows().iter().map(|row| batch.blanks(row).collect()).collect();
        assert_eq!(names, [vec!["core", "package"], vec![]]);
        assert_eq!(printed(&batch), ["a{cpu=\"0\"}", "a{cpu=\"1\"}"]);
    }

    #[test]
    fn equal_series_make_equal_shapes_whatever_the_values() {
        let fill = |value: f64, label: &str| {
            let mut batch = Batch::new();
            batch.family("a", "", MetricKind::Gauge);
            batch.add(&[("l", label)], value);
            batch
        };
        assert_eq!(fill(1.0, "x").shape(), fill(2.0, "x").shape());
        assert_ne!(fill(1.0, "x").shape(), fill(1.0, "y").shape());
    }

    #[test]
    fn clearing_keeps_the_memory() {
        let mut batch = Batch::new();
        batch.family("a", "help", MetricKind::Gauge);
        batch.add(&[("l", "1")], 1.0);
        let capacity = (batch.shape.capacity(), batch.text.capacity(), batch.rows.capacity());
        batch.clear();
        assert!(batch.rows().is_empty() && batch.families().is_empty() && batch.shape().is_empty());
        assert_eq!(capacity, (batch.shape.capacity(), batch.text.capacity(), batch.rows.capacity()));
    }

    #[test]
    fn a_row_gets_its_next_value_where_it_stands() {
        let mut batch = Batch::new();
        batch.family("a", "", MetricKind::Gauge);
        batch.add_packed(Labels::from_pairs([(NAME, "a"), ("l", "1")]).packed(), Value::Float(1.0));
        batch.set(0, Value::Float(2.0), Some(UnixMs(5)), None);
        batch.set(1, Value::Float(3.0), None, None);
        assert_eq!(printed(&batch), ["a{l=\"1\"}"]);
        assert_eq!((batch.rows()[0].value.float(), batch.rows()[0].at), (Some(2.0), Some(UnixMs(5))));
    }

    #[test]
    fn kinds_are_found_by_their_numbers() {
        for (kind, number) in MetricKind::ALL.into_iter().zip(0..) {
            assert_eq!((kind.number(), MetricKind::from_number(number)), (number, Some(kind)));
        }
        assert_eq!(MetricKind::from_number(8), None);
    }

    #[test]
    fn bare_rows_name_nothing_until_the_batch_is_cleared() {
        let mut batch = Batch::new();
        batch.family("a", "", MetricKind::Gauge);
        batch.add(&[("l", "1")], 1.0);
        batch.begin_bare(7);
        batch.add_bare(Value::Float(2.0), Some(UnixMs(5)), None);
        assert_eq!((batch.is_bare(), batch.layout(), batch.rows().len(), batch.families().len()), (true, 7, 1, 0));
        assert_eq!((batch.packed(&batch.rows()[0]), batch.labels(&batch.rows()[0]).count()), (&[][..], 0));
        batch.clear();
        assert_eq!((batch.is_bare(), batch.layout(), batch.rows().len()), (false, 0, 0));
    }

    #[test]
    fn what_is_over_a_limit_is_left_out_and_counted() {
        let mut batch = Batch::new();
        batch.family("a", "", MetricKind::Gauge);
        batch.add(&[("l", &"x".repeat(LABEL_BYTES_MAX + 1))], 1.0);
        let many: Vec<String> = (0..LABELS_MAX).map(|i| format!("l{i}")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "1")).collect();
        batch.add(&many, 1.0);
        assert_eq!((batch.rows().len(), batch.refused(), batch.shape().len()), (0, 2, 0));
    }

    #[test]
    fn a_source_that_turns_out_bad_is_taken_back() {
        let mut batch = Batch::new();
        batch.family("a", "", MetricKind::Gauge);
        batch.add(&[], 1.0);
        let (rows, shape) = (batch.rows().len(), batch.shape().len());
        batch.family("b", "", MetricKind::Gauge);
        batch.add(&[("x", "1")], 2.0);
        batch.add(&[("x", "2")], 3.0);
        batch.truncate(rows);
        assert_eq!((batch.rows().len(), batch.shape().len()), (rows, shape));
        batch.truncate(7);
        assert_eq!(batch.rows().len(), rows);
    }

    #[test]
    fn a_layout_is_told_by_all_but_values_and_times() {
        let print = |families: &[(&str, &str, MetricKind, &str)], labels: &[(&str, &str)], value: f64, at: i64| {
            let mut batch = Batch::new();
            for (name, help, kind, unit) in families {
                batch.family_with_unit(name, help, *kind, unit);
                batch.add(labels, value);
                batch.stamp_last(Some(UnixMs(at)), None);
            }
            batch.layout_print()
        };
        let one = ("a", "help", MetricKind::Gauge, "");
        let first = print(&[one], &[("x", "1")], 1.0, 2);
        assert_eq!(print(&[one], &[("x", "1")], 3.0, 4), first);
        let others = [
            print(&[one], &[("x", "2")], 1.0, 2),
            print(&[one], &[("x", "1"), ("y", "")], 1.0, 2),
            print(&[one], &[("x", "1"), ("z", "")], 1.0, 2),
            print(&[("b", "help", MetricKind::Gauge, "")], &[("x", "1")], 1.0, 2),
            print(&[("a", "Help", MetricKind::Gauge, "")], &[("x", "1")], 1.0, 2),
            print(&[("a", "help", MetricKind::Counter, "")], &[("x", "1")], 1.0, 2),
            print(&[("a", "hel", MetricKind::Gauge, "p")], &[("x", "1")], 1.0, 2),
            print(&[one, one], &[("x", "1")], 1.0, 2),
            print(&[one, ("b", "", MetricKind::Gauge, "")], &[("x", "1")], 1.0, 2),
            print(&[], &[], 1.0, 2),
        ];
        let all: std::collections::HashSet<u128> = others.into_iter().chain([first]).collect();
        assert_eq!(all.len(), 11);
    }
}
