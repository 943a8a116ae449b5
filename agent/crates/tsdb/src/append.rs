//! From a batch to rows: which series each row is, remembered by the batch's shape, and what is refused.
//!
//! A batch of the same shape as the source's last one needs no lookup: its columns are known. Otherwise each row's
//! label set, with the source's own labels laid over it, is looked up; series the source no longer has get a
//! staleness marker. A row is refused, and counted by reason, when the index is full, its time cannot be
//! represented, its histogram is too large, its labels are no label set, or another row of the batch is the same
//! series. Refused rows have no id.

use std::collections::HashSet;

use model::labels::{PackedIter, push_packed};
use model::{Batch, Labels, Row, RowRange, Value};

use crate::fingerprint::fingerprint;
use crate::head::shape::Shape;
use crate::head::{Head, Input, InputValue};
use crate::histogram;
use crate::order::{Order, Verdict};
use crate::series::Index;

/// The last time that is stored: 2262-04-11, where nanoseconds end.
pub(crate) const TIME_MAX: i64 = 9_223_372_036_854;

/// How many rows were refused, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Refused {
    /// The index has `series_max` series.
    pub series_max: u64,
    /// Before 1970 or after 2262.
    pub time: u64,
    /// A histogram with too many buckets.
    pub histogram: u64,
    /// Not a label set.
    pub labels: u64,
    /// The same series twice in one batch.
    pub repeated: u64,
    /// More rows in one batch than a block of this file can hold.
    pub block_full: u64,
    /// New series for which the memory is lacking.
    pub memory: u64,
    /// Older than the newest sample of the series, and there is no window for late ones.
    pub out_of_order: u64,
    /// Older than the window for late samples.
    pub too_old: u64,
    /// The time of the series' newest sample, with another value.
    pub duplicate: u64,
}

impl Refused {
    /// Returns how many there are for any reason.
    pub fn total(&self) -> u64 {
        let order = self.out_of_order + self.too_old + self.duplicate;
        self.new_series() + self.time + self.histogram + self.labels + self.repeated + self.block_full + order
    }

    /// Returns how many are of series for which there is no room.
    pub fn new_series(&self) -> u64 {
        self.series_max + self.memory
    }

    /// Adds what another append refused.
    pub fn add(&mut self, other: &Refused) {
        self.series_max += other.series_max;
        self.time += other.time;
        self.histogram += other.histogram;
        self.labels += other.labels;
        self.repeated += other.repeated;
        self.block_full += other.block_full;
        self.memory += other.memory;
        self.out_of_order += other.out_of_order;
        self.too_old += other.too_old;
        self.duplicate += other.duplicate;
    }
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The ids of the rows, staleness markers behind them not included.
    pub rows: RowRange,
    /// How many series are new to the ring.
    pub new_series: u64,
    /// How many series of the source were there last time and are not now.
    pub vanished: u64,
    /// What was left out.
    pub refused: Refused,
}

/// How a row is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Shared,
    OwnTime,
    BadTime,
    BadHistogram,
}

fn form(row: &Row) -> Form {
    if let Value::Histogram(found) = &row.value
        && !histogram::fits(found)
    {
        return Form::BadHistogram;
    }
    match row.at {
        None => Form::Shared,
        Some(at) if (0..=TIME_MAX).contains(&at.0) => Form::OwnTime,
        Some(_) => Form::BadTime,
    }
}

/// Returns the most bytes that a row can add to a block: little where its series has a column there.
fn added_bytes(packed: &[u8], row: &Row, (id, own_times): (u32, bool), index: &Index, head: &Head) -> usize {
    let there = index.find(packed).is_some_and(|series| head.has_column(id, series, own_times));
    value_bytes(row) + if there { 8 } else { packed.len() + 48 }
}

/// Returns the most bytes that a row's value can add to its columns.
fn value_bytes(row: &Row) -> usize {
    match row.value {
        Value::Float(_) => 32,
        Value::Histogram(_) => histogram::BYTES_MAX,
    }
}

/// The most bytes a staleness marker adds to its column: a token, and its time where it has its own.
pub(crate) const STALE_BYTES_MAX: usize = 24;

/// What is remembered of a source between two batches.
#[derive(Default)]
pub(crate) struct SourceCache {
    /// Of the last batch's shape; `None` before the first.
    print: Option<u128>,
    extra: Labels,
    forms: Vec<Form>,
    accepted: Vec<bool>,
    /// The series of each row, where there is one.
    numbers: Vec<u32>,
    refused: Refused,
    /// The block for which the places below are right.
    block: u64,
    pub source: u32,
    pub shape: u32,
    /// The series of the last batch: (number, has its own times), ascending.
    series: Vec<(u32, bool)>,
    pub columns: usize,
}

/// What resolving a shape found.
pub(crate) struct Resolved {
    pub new_series: u64,
    pub vanished: Vec<(u32, bool)>,
}

impl SourceCache {
    /// Returns whether this batch has the shape of the last one, in the same block.
    pub fn knows(&self, batch: &Batch, extra: &Labels, block: u64) -> bool {
        self.block == block
            && self.forms.len() == batch.rows().len()
            && self.extra == *extra
            && batch.rows().iter().zip(&self.forms).all(|(row, known)| form(row) == *known)
            && self.print == Some(fingerprint(batch.shape()))
    }

    /// Returns whether all rows of a known batch that bring their own times are to be taken, as the last ones were.
    pub fn in_order(&self, batch: &Batch, order: &Order) -> bool {
        let known = self.numbers.iter().zip(&self.accepted);
        batch.rows().iter().zip(known).all(|(row, (series, accepted))| match row.at {
            Some(at) => *accepted && order.judge(*series, at.0, &row.value) == Verdict::Taken,
            None => true,
        })
    }

    /// Notes the times that the rows which were taken bring.
    pub fn note_times(&self, batch: &Batch, order: &mut Order) {
        for ((row, series), accepted) in batch.rows().iter().zip(&self.numbers).zip(&self.accepted) {
            if let Some(at) = row.at.filter(|_| *accepted) {
                order.note(*series, at.0, &row.value);
            }
        }
    }

    /// Returns the most bytes that a batch can add to the open block.
    pub fn bytes_max(
        &self,
        (id, batch, extra): (u32, &Batch, &Labels),
        index: &Index,
        head: &Head,
        order: &Order,
    ) -> usize {
        if self.knows(batch, extra, head.block) && self.in_order(batch, order) {
            return batch.rows().iter().map(value_bytes).sum();
        }
        let mut merged = Vec::new();
        let rows = batch.rows().iter().map(|row| {
            lay_over(batch.packed(row), extra, &mut merged);
            added_bytes(&merged, row, (id, row.at.is_some()), index, head)
        });
        rows.sum::<usize>() + self.columns * STALE_BYTES_MAX
    }

    pub fn refused(&self) -> Refused {
        self.refused
    }

    /// Looks every row up, and makes series, columns and the shape that are new.
    pub fn resolve(
        &mut self,
        (id, batch, extra): (u32, &Batch, &Labels),
        index: &mut Index,
        head: &mut Head,
        order: &Order,
        mut room: usize,
        out: &mut Vec<u8>,
    ) -> Resolved {
        let source = head.source(id, out);
        let mut found = Resolved { new_series: 0, vanished: Vec::new() };
        let (mut columns, mut seen, mut merged) = (Vec::new(), HashSet::new(), Vec::new());
        // What is there already is neither refused nor stored again.
        let mut same = 0;
        self.refused = Refused::default();
        self.forms.clear();
        self.accepted.clear();
        self.numbers.clear();
        for row in batch.rows() {
            let form = form(row);
            self.forms.push(form);
            let own_times = form == Form::OwnTime;
            let series = match form {
                Form::BadTime => Err(&mut self.refused.time),
                Form::BadHistogram => Err(&mut self.refused.histogram),
                _ => {
                    lay_over(batch.packed(row), extra, &mut merged);
                    let bytes = added_bytes(&merged, row, (id, own_times), index, head);
                    let (fits, left) = (bytes <= room, room.saturating_sub(bytes));
                    room = if fits { left } else { room };
                    let at = row.at.map(|at| at.0).filter(|_| own_times);
                    let is_late = at.is_some_and(|at| order.is_too_old(at)) && index.find(&merged).is_none();
                    let series = if is_late {
                        Err(Missing::TooOld)
                    } else if fits {
                        look_up(&merged, index, head.block, &mut found.new_series)
                    } else {
                        Err(Missing::Room)
                    };
                    let refused = &mut self.refused;
                    match series {
                        Ok(series) if !seen.insert((series, own_times)) => Err(&mut refused.repeated),
                        Ok(series) => match at.map_or(Verdict::Taken, |at| order.judge(series, at, &row.value)) {
                            Verdict::Taken => Ok(series),
                            Verdict::Same => Err(&mut same),
                            Verdict::Duplicate => Err(&mut refused.duplicate),
                            Verdict::OutOfOrder => Err(&mut refused.out_of_order),
                            Verdict::TooOld => Err(&mut refused.too_old),
                        },
                        Err(Missing::TooOld) => Err(&mut refused.too_old),
                        Err(Missing::Room) => Err(&mut refused.block_full),
                        Err(Missing::Series) => Err(&mut refused.series_max),
                        Err(Missing::Memory) => Err(&mut refused.memory),
                        Err(Missing::Labels) => Err(&mut refused.labels),
                    }
                }
            };
            self.accepted.push(series.is_ok());
            self.numbers.push(*series.as_ref().unwrap_or(&u32::MAX));
            match series {
                Ok(series) => {
                    head.series(series, &merged, out);
                    columns.push(head.column(source, series, own_times, out));
                }
                Err(reason) => *reason += 1,
            }
        }
        // Those with times of their own may be left alone, now and when the source ends.
        self.series.retain(|(_, own_times)| !(*own_times && batch.own_times_stay()));
        found.vanished.extend(self.series.iter().filter(|known| !seen.contains(known)));
        self.series.clear();
        self.series.extend(seen.into_iter().filter(|(_, own_times)| !(*own_times && batch.own_times_stay())));
        self.series.sort_unstable();
        self.print = Some(fingerprint(batch.shape()));
        self.extra = extra.clone();
        (self.block, self.source, self.columns) = (head.block, source, columns.len());
        if !columns.is_empty() {
            self.shape = head.shape(source, Shape::of(&columns), out);
        }
        found
    }

    /// Returns the accepted rows as the head takes them.
    pub fn inputs<'a>(&'a self, batch: &'a Batch) -> impl Iterator<Item = Input<'a>> {
        let accepted = batch.rows().iter().zip(&self.accepted).filter(|(_, accepted)| **accepted);
        accepted.map(|(row, _)| Input {
            value: match &row.value {
                Value::Float(value) => InputValue::Float(*value),
                Value::Histogram(found) => InputValue::Histogram(found),
            },
            at: row.at.map_or(0, |at| at.0),
            start: row.start.map(|start| start.0),
        })
    }

    /// Forgets the series, so that none is missed.
    pub fn release(&mut self) {
        self.series.clear();
    }

    /// Takes all series, for a source that ends.
    pub fn take_series(&mut self) -> Vec<(u32, bool)> {
        self.block = 0;
        std::mem::take(&mut self.series)
    }
}

/// Why a row has no series.
enum Missing {
    /// The block has no room for it.
    Room,
    /// The index is full.
    Series,
    /// There is no memory for another one.
    Memory,
    /// Its sample is older than any that is taken.
    TooOld,
    /// These are no labels.
    Labels,
}

/// Returns a series' number, made when it is new.
fn look_up(packed: &[u8], index: &mut Index, block: u64, new_series: &mut u64) -> Result<u32, Missing> {
    if let Some(series) = index.find(packed) {
        index.seen(series, block);
        return Ok(series);
    }
    let labels = Labels::from_packed(packed).ok_or(Missing::Labels)?;
    if !index.has_memory_for(&labels) {
        return Err(Missing::Memory);
    }
    let series = index.add(labels, block).ok_or(Missing::Series)?;
    *new_series += 1;
    Ok(series)
}

/// Writes a row's labels and those of the source, the row's own where both have one.
fn lay_over(row: &[u8], extra: &Labels, out: &mut Vec<u8>) {
    out.clear();
    if extra.is_empty() {
        out.extend_from_slice(row);
        return;
    }
    let (mut own, mut laid) = (PackedIter::new(row).peekable(), extra.iter().peekable());
    loop {
        let (name, value) = match (own.peek(), laid.peek()) {
            (Some(a), Some(b)) if b.0 < a.0 => laid.next(),
            (Some(a), Some(b)) => {
                if a.0 == b.0 {
                    laid.next();
                }
                own.next()
            }
            (Some(_), None) => own.next(),
            (None, _) => laid.next(),
        }
        .unwrap_or(("", ""));
        if name.is_empty() {
            return;
        }
        push_packed(out, name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_own_labels_win() {
        let row = Labels::from_pairs([("__name__", "up"), ("job", "own"), ("z", "1")]);
        let extra = Labels::from_pairs([("instance", "a:1"), ("job", "node"), ("zz", "2")]);
        let mut out = Vec::new();
        lay_over(row.packed(), &extra, &mut out);
        let expected = [("__name__", "up"), ("instance", "a:1"), ("job", "own"), ("z", "1"), ("zz", "2")];
        assert_eq!(Labels::from_packed(&out), Some(Labels::from_pairs(expected)));
    }
}
