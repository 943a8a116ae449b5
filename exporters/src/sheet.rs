//! Rows gathered device by device and told family by family.
//!
//! Most folders of the kernel are one device each and one number a file, while an exposition is one family after
//! the other. A [`Sheet`] holds the rows in between, in memory that is kept. Heads are constants: name, help, kind
//! and the names of the labels stand once.

use model::{Batch, MetricKind};

/// The most labels a head here has.
const LABELS_MAX: usize = 11;

/// One family: what stands above its rows, and the names of their labels.
#[derive(Debug)]
pub struct Head {
    name: &'static str,
    help: &'static str,
    kind: MetricKind,
    labels: &'static [&'static str],
}

/// Returns the head of a family that goes up and down.
pub const fn gauge(name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Head {
    head(name, help, MetricKind::Gauge, labels)
}

/// Returns the head of a family that only goes up.
pub const fn counter(name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Head {
    head(name, help, MetricKind::Counter, labels)
}

const fn head(name: &'static str, help: &'static str, kind: MetricKind, labels: &'static [&'static str]) -> Head {
    assert!(labels.len() <= LABELS_MAX);
    Head { name, help, kind, labels }
}

/// Rows of many families in the order in which they were read.
#[derive(Default)]
pub struct Sheet {
    rows: Vec<Row>,
    /// The labels' values, one after the other.
    text: String,
}

struct Row {
    head: &'static Head,
    order: u32,
    start: u32,
    ends: [u32; LABELS_MAX],
    value: f64,
}

impl Row {
    /// Returns what is the same for all rows of a family.
    fn address(&self) -> usize {
        std::ptr::from_ref(self.head) as usize
    }

    /// Returns what is the same for rows that have all labels in common.
    fn key<'a>(&self, text: &'a str) -> (usize, &'a str, [u32; LABELS_MAX]) {
        let end = self.head.labels.len().checked_sub(1).map_or(self.start, |last| self.ends[last]);
        let lengths = self.ends.map(|end| end.saturating_sub(self.start));
        (self.address(), &text[self.start as usize..end as usize], lengths)
    }
}

impl Sheet {
    /// Adds a row; the labels' values come in the order of their names.
    pub fn put(&mut self, head: &'static Head, values: &[&str], value: f64) {
        assert_eq!(values.len(), head.labels.len(), "{}", head.name);
        let start = self.text.len() as u32;
        let mut ends = [0; LABELS_MAX];
        for (end, value) in ends.iter_mut().zip(values) {
            self.text.push_str(value);
            *end = self.text.len() as u32;
        }
        self.rows.push(Row { head, order: self.rows.len() as u32, start, ends, value });
    }

    /// Adds a row where there is a value.
    pub fn put_some(&mut self, head: &'static Head, values: &[&str], value: Option<f64>) {
        if let Some(value) = value {
            self.put(head, values, value);
        }
    }

    /// Tells all rows, those of one family together, and forgets them.
    pub fn tell(&mut self, out: &mut Batch) {
        self.rows.sort_unstable_by_key(|row| (row.address(), row.order));
        self.tell_rows(false, out);
    }

    /// Tells all rows as [`Sheet::tell`] does; of rows with the same labels only the first.
    pub fn tell_once(&mut self, out: &mut Batch) {
        let text = &self.text;
        self.rows.sort_unstable_by(|a, b| a.key(text).cmp(&b.key(text)).then(a.order.cmp(&b.order)));
        self.tell_rows(true, out);
    }

    fn tell_rows(&mut self, is_once: bool, out: &mut Batch) {
        let mut last = None;
        for row in &self.rows {
            let key = row.key(&self.text);
            if is_once && last == Some(key) {
                continue;
            }
            last = Some(key);
            out.family(row.head.name, row.head.help, row.head.kind);
            let mut labels = [("", ""); LABELS_MAX];
            let mut start = row.start;
            for ((label, name), end) in labels.iter_mut().zip(row.head.labels).zip(row.ends) {
                *label = (name, &self.text[start as usize..end as usize]);
                start = end;
            }
            out.add(&labels[..row.head.labels.len()], row.value);
        }
        self.rows.clear();
        self.text.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static SIZE: Head = gauge("size", "How large.", &["name", "kind"]);
    static COUNT: Head = counter("count", "How many.", &[]);

    #[test]
    fn rows_come_out_by_family_in_the_order_they_came_in() {
        let (mut sheet, mut batch) = (Sheet::default(), Batch::new());
        for _ in 0..2 {
            sheet.put(&SIZE, &["b", ""], 1.0);
            sheet.put(&COUNT, &[], 2.0);
            sheet.put_some(&COUNT, &[], None);
            sheet.put(&SIZE, &["a", "x"], 3.0);
            batch.clear();
            sheet.tell(&mut batch);
            assert_eq!((batch.families().len(), batch.rows().len()), (2, 3));
            let mut text = String::new();
            exposition::write_text(&batch, &mut text);
            let rows: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
            assert_eq!(rows, ["count 2", "size{kind=\"\",name=\"b\"} 1", "size{kind=\"x\",name=\"a\"} 3"]);
        }
    }

    #[test]
    fn rows_with_the_same_labels_can_be_told_once() {
        let (mut sheet, mut batch) = (Sheet::default(), Batch::new());
        sheet.put(&SIZE, &["ab", "c"], 1.0);
        sheet.put(&COUNT, &[], 2.0);
        sheet.put(&SIZE, &["a", "bc"], 3.0);
        sheet.put(&SIZE, &["ab", "c"], 4.0);
        sheet.put(&COUNT, &[], 5.0);
        sheet.tell_once(&mut batch);
        let mut text = String::new();
        exposition::write_text(&batch, &mut text);
        let rows: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(rows, ["count 2", "size{kind=\"bc\",name=\"a\"} 3", "size{kind=\"c\",name=\"ab\"} 1"]);
    }
}
