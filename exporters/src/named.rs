//! Rows of families that are named after words of a file, gathered in any order and told family by family.
//!
//! It is to [`crate::sheet`] what a name made at run time is to a constant. Names, help and labels lie one after the
//! other in memory that is kept. Of rows with the same name and labels the first one counts. What it does not do:
//! remember names from one collection to the next; `fields` does, for files that every board has.

use std::cmp::Ordering;
use std::ops::Range;

use model::{Batch, MetricKind};

use crate::fields::is_name;

/// The most labels of a row.
const LABELS_MAX: usize = 2;

/// Rows in the order in which they were read.
#[derive(Default)]
pub struct Named {
    rows: Vec<Row>,
    text: String,
}

struct Row {
    kind: MetricKind,
    labels: &'static [&'static str],
    order: u32,
    start: u32,
    /// The ends of the name, the help and the labels' values.
    ends: [u32; 2 + LABELS_MAX],
    value: f64,
}

impl Row {
    fn text<'a>(&self, text: &'a str, index: usize) -> &'a str {
        let start = index.checked_sub(1).map_or(self.start, |before| self.ends[before]);
        &text[start as usize..self.ends[index] as usize]
    }

    /// Compares what makes rows the same series.
    fn compare(&self, other: &Row, text: &str) -> Ordering {
        let same = |index| self.text(text, index).cmp(other.text(text, index));
        same(0).then_with(|| same(2)).then_with(|| same(3))
    }
}

impl Named {
    /// Adds a row; name and help come in parts. What cannot be a metric's name is left out.
    pub fn put(
        &mut self,
        kind: MetricKind,
        name: &[&str],
        help: &[&str],
        labels: (&'static [&'static str], &[&str]),
        value: f64,
    ) {
        assert!(labels.0.len() == labels.1.len() && labels.0.len() <= LABELS_MAX);
        let start = self.text.len();
        for part in name {
            self.text.extend(part.chars().map(|c| if c == '-' { '_' } else { c }));
        }
        if !is_name(&self.text[start..]) {
            self.text.truncate(start);
            return;
        }
        let mut ends = [self.text.len() as u32; 2 + LABELS_MAX];
        self.text.extend(help.iter().copied());
        ends[1..].fill(self.text.len() as u32);
        for (index, value) in labels.1.iter().enumerate() {
            self.text.push_str(value);
            ends[2 + index..].fill(self.text.len() as u32);
        }
        let (order, start) = (self.rows.len() as u32, start as u32);
        self.rows.push(Row { kind, labels: labels.0, order, start, ends, value });
    }

    /// Tells all rows, those of one family together, and forgets them.
    pub fn tell(&mut self, out: &mut Batch) {
        let text = &self.text;
        self.rows.sort_unstable_by(|a, b| a.compare(b, text).then(a.order.cmp(&b.order)));
        let mut last: Option<&Row> = None;
        for row in &self.rows {
            if last.is_some_and(|last| last.compare(row, text).is_eq()) {
                continue;
            }
            last = Some(row);
            out.family(row.text(text, 0), row.text(text, 1), row.kind);
            let mut labels = [("", ""); LABELS_MAX];
            let range: Range<usize> = 0..row.labels.len();
            for (index, label) in range.clone().zip(&mut labels) {
                *label = (row.labels[index], row.text(text, 2 + index));
            }
            out.add(&labels[range], row.value);
        }
        self.rows.clear();
        self.text.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_out_by_family_and_each_series_once() {
        let (mut named, mut batch) = (Named::default(), Batch::new());
        for _ in 0..2 {
            let mut put = |word, labels: (&'static [&'static str], &[&str]), value| {
                named.put(MetricKind::Counter, &["x_", word], &["Help of ", word], labels, value);
            };
            put("b", (&["pool"], &["p1"]), 1.0);
            put("a-a", (&[], &[]), 2.0);
            put("b", (&["pool"], &["p0"]), 3.0);
            put("b", (&["pool"], &["p1"]), 4.0);
            put("b", (&["pool", "set"], &["p", "1"]), 6.0);
            put("ä", (&[], &[]), 5.0);
            batch.clear();
            named.tell(&mut batch);
            let mut text = String::new();
            exposition::write_text(&batch, &mut text);
            let heads = ["# HELP x_a_a Help of a-a", "# TYPE x_a_a counter", "x_a_a 2"];
            let rows = ["x_b{pool=\"p0\"} 3", "x_b{pool=\"p1\"} 1", "x_b{pool=\"p\",set=\"1\"} 6"];
            let expected = heads.into_iter().chain(["# HELP x_b Help of b", "# TYPE x_b counter"]).chain(rows);
            assert_eq!(text.lines().collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        }
    }
}
