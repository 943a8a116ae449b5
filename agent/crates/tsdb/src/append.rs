//! From a batch to rows: which series each row is, remembered by the batch's shape, and what is refused.
//!
//! A batch of the same shape as the source's last one needs no lookup: its columns are known. Of any other batch of the
//! same block the rows that come in the order of the last one are known again, so that a series which comes or goes
//! costs little. Any other row's label set, with the source's own labels laid over it, is looked up; series the source
//! no longer has get a staleness marker. A row is refused, and counted by reason, when the index is full, its time cannot be
//! represented, its histogram is too large, its labels are no label set, or another row of the batch is the same
//! series. Refused rows have no id.

use std::collections::HashSet;
use std::sync::Arc;

use model::labels::{PackedIter, push_packed};
use model::{Batch, Labels, Row, RowRange, Value, fingerprint};

use crate::head::shape::Shape;
use crate::head::{Head, Input, InputValue};
use crate::histogram;
use crate::order::{Order, Verdict};
use crate::refused::{Reason, Refused};
use crate::series::Index;

/// How many rows of the last batch are passed by to find one again: so many series may go at one place.
const GONE_TOGETHER_MAX: usize = 64;
const NONE: u32 = u32::MAX;

/// The last time that is stored: 2262-04-11, where nanoseconds end.
pub(crate) const TIME_MAX: i64 = 9_223_372_036_854;

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
    /// Whether nothing was appended because the batch names no series and its layout is not known any more: a new block
    /// has begun, or the source sent something else in between. The same batch with its series will do.
    pub is_unknown: bool,
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
    value_bytes(row) + if there { KNOWN_BYTES_MAX } else { packed.len() + 48 }
}

/// The most bytes that a row of a series which has a column there adds beside its value.
const KNOWN_BYTES_MAX: usize = 8;

/// Returns the most bytes that a row's value can add to its columns.
fn value_bytes(row: &Row) -> usize {
    match &row.value {
        Value::Float(_) => 32,
        Value::Histogram(found) => histogram::bytes_max(found),
    }
}

/// The most bytes a staleness marker adds to its column: a token, and its time where it has its own.
pub(crate) const STALE_BYTES_MAX: usize = 24;

/// A batch on its way in.
#[derive(Clone, Copy)]
pub(crate) struct Offered<'a> {
    /// The source's number.
    pub id: u32,
    pub batch: &'a Batch,
    /// The source's own labels.
    pub extra: &'a Labels,
    /// Stands for the batch's shape.
    pub print: u128,
}

/// What is remembered of a source between two batches.
#[derive(Default)]
pub(crate) struct SourceCache {
    /// Of the last batch's shape; `None` before the first.
    print: Option<u128>,
    extra: Labels,
    /// The last batch's rows.
    rows: Vec<Known>,
    refused: Refused,
    /// The block for which the places below are right.
    block: u64,
    pub source: u32,
    pub shape: u32,
    /// The series of the last batch.
    series: Vec<Had>,
    pub columns: usize,
}

/// What finding the rows of one batch needs meanwhile: one for all sources, kept for its memory. One each would be a
/// tenth of all there is where there are hundreds of sources.
#[derive(Default)]
pub(crate) struct Scratch {
    /// What stands for the labels of the rows at hand, and their places, as far as they are known.
    at_hand: Vec<(u64, u32)>,
    /// For which block these were found; 0: they were not.
    found_for: u64,
    /// The columns of the rows at hand.
    taken: Vec<u32>,
    seen: Seen,
}

/// A row of the last batch.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// Stands for its labels.
    print: u64,
    /// Its column; `NONE` where it was refused and has none.
    place: u32,
    /// Whether it was stored, and if not, why not: a row that is refused for its time alone keeps its column.
    refused: Option<Reason>,
    form: Form,
}

/// A series of the last batch.
#[derive(Debug, Clone, Copy)]
struct Had {
    series: u32,
    own_times: bool,
    /// Its column in the last batch's block; `NONE` where it has none.
    place: u32,
}

/// What resolving a shape found.
pub(crate) struct Resolved {
    pub new_series: u64,
    pub vanished: Vec<(u32, bool)>,
}

impl SourceCache {
    /// Returns whether this batch has the shape of the last one, in the same block.
    pub fn knows(&self, Offered { batch, extra, print, .. }: Offered<'_>, block: u64) -> bool {
        self.block == block
            && self.rows.len() == batch.rows().len()
            && self.extra == *extra
            && batch.rows().iter().zip(&self.rows).all(|(row, known)| form(row) == known.form)
            && self.print == Some(print)
    }

    /// Returns whether a batch whose rows name no series can do without: they all had a column when they were named.
    pub fn can_place(&self, Offered { batch, extra, print, .. }: Offered<'_>, block: u64) -> bool {
        let is_placed = |(row, known): (&Row, &Known)| known.place != NONE && form(row) == known.form;
        self.block == block
            && self.rows.len() == batch.rows().len()
            && self.extra == *extra
            && self.print == Some(print)
            && batch.rows().iter().zip(&self.rows).all(is_placed)
    }

    /// Returns whether the rows of a known batch that bring their own times are to be taken where the last ones were, and
    /// are the same again where those were refused.
    pub fn in_order(&self, batch: &Batch, head: &Head, order: &Order) -> bool {
        batch.rows().iter().zip(&self.rows).all(|(row, known)| match row.at {
            Some(at) => {
                let found = || order.judge(head.series_of(known.place), at.0, &row.value);
                match known.refused {
                    None => found() == Verdict::Taken,
                    Some(Reason::Same) => found() == Verdict::Same,
                    Some(_) => false,
                }
            }
            None => true,
        })
    }

    /// Notes the times that the rows which were taken bring.
    pub fn note_times(&self, batch: &Batch, head: &Head, order: &mut Order) {
        for (row, known) in batch.rows().iter().zip(&self.rows) {
            if let Some(at) = row.at.filter(|_| known.refused.is_none()) {
                order.note(head.series_of(known.place), at.0, &row.value);
            }
        }
    }

    /// Returns the most bytes that a batch can add to the open block.
    pub fn bytes_max(
        &self,
        offered: Offered<'_>,
        is_known: bool,
        (index, head): (&Index, &Head),
        scratch: &mut Scratch,
    ) -> usize {
        let Offered { id, batch, extra, .. } = offered;
        scratch.found_for = 0;
        if is_known {
            return batch.rows().iter().map(value_bytes).sum();
        }
        self.find_places(batch, extra, head.block, scratch);
        let mut merged = Vec::new();
        let rows = batch.rows().iter().zip(&scratch.at_hand).map(|(row, (_, place))| {
            if *place != NONE {
                return value_bytes(row) + KNOWN_BYTES_MAX;
            }
            lay_over(batch.packed(row), extra, &mut merged);
            added_bytes(&merged, row, (id, row.at.is_some()), index, head)
        });
        rows.sum::<usize>() + self.columns * STALE_BYTES_MAX
    }

    /// Finds the columns of the rows that were in the last batch too and come in the same order.
    fn find_places(&self, batch: &Batch, extra: &Labels, block: u64, scratch: &mut Scratch) {
        scratch.found_for = block;
        scratch.at_hand.clear();
        if batch.is_bare() {
            scratch.at_hand.extend(self.rows.iter().map(|known| (known.print, known.place)));
            return;
        }
        let is_comparable = self.block == block && self.extra == *extra;
        let mut next = if is_comparable { 0 } else { self.rows.len() };
        for row in batch.rows() {
            let (print, form) = (fingerprint(batch.packed(row)) as u64, form(row));
            let near = self.rows.iter().enumerate().skip(next).take(GONE_TOGETHER_MAX);
            let mut same = near.filter(|(_, known)| known.print == print && known.form == form && known.place != NONE);
            let place = same.next().map_or(NONE, |(at, known)| {
                next = at + 1;
                known.place
            });
            scratch.at_hand.push((print, place));
        }
    }

    pub fn refused(&self) -> Refused {
        self.refused
    }

    /// Finds every row's column, and makes series, columns and the shape that are new.
    pub fn resolve(
        &mut self,
        Offered { id, batch, extra, print }: Offered<'_>,
        (index, head, order): (&mut Index, &mut Head, &Order),
        room: usize,
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Resolved {
        if scratch.found_for != head.block {
            self.find_places(batch, extra, head.block, scratch);
        }
        let source = head.source(id, out);
        let mut had = std::mem::take(&mut self.series);
        let seen = std::mem::take(&mut scratch.seen);
        let mut lookup =
            Lookup { id, source, extra, index, head, order, room, seen, new_series: 0, merged: Vec::new() };
        lookup.seen.clear();
        self.refused = Refused::default();
        self.rows.clear();
        self.rows.reserve_exact(batch.rows().len());
        scratch.taken.clear();
        for (row, (print, known)) in batch.rows().iter().zip(&scratch.at_hand) {
            let form = form(row);
            let (place, refused) = match lookup.place((batch.packed(row), row, form), *known, out) {
                Ok(found) => found,
                Err(reason) => (NONE, Some(reason)),
            };
            self.rows.push(Known { print: *print, place, refused, form });
            match refused {
                None => scratch.taken.push(place),
                Some(reason) => self.refused.note(reason),
            }
        }
        let Lookup { new_series, mut seen, head, .. } = lookup;
        let is_same_block = self.block == head.block;
        // Those with times of their own may be left alone, now and when the source ends.
        let is_left = |had: &Had| had.own_times && batch.own_times_stay();
        had.retain(|had| {
            let place = if is_same_block { had.place } else { head.place_of(source, had.series, had.own_times) };
            !is_left(had) && !seen.contains(place, had.series, had.own_times)
        });
        let vanished = had.iter().map(|had| (had.series, had.own_times)).collect();
        had.clear();
        had.reserve_exact(seen.all.len());
        had.extend(seen.all.iter().filter(|had| !is_left(had)));
        seen.clear();
        (self.series, scratch.seen) = (had, seen);
        self.print = Some(print);
        self.extra.clone_from(extra);
        (self.block, self.source, self.columns) = (head.block, source, scratch.taken.len());
        if !scratch.taken.is_empty() {
            self.shape = head.shape(source, Shape::of(&scratch.taken), out);
        }
        Resolved { new_series, vanished }
    }

    /// Returns the accepted rows as the head takes them.
    pub fn inputs(&self, batch: &Batch) -> impl Iterator<Item = Input> {
        let accepted = batch.rows().iter().zip(&self.rows).filter(|(_, known)| known.refused.is_none());
        accepted.map(|(row, _)| Input {
            value: match &row.value {
                Value::Float(value) => InputValue::Float(*value),
                Value::Histogram(found) => InputValue::Histogram(Arc::clone(found)),
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
        std::mem::take(&mut self.series).iter().map(|had| (had.series, had.own_times)).collect()
    }
}

/// Which series a batch has a row for.
#[derive(Default)]
struct Seen {
    /// By column.
    columns: Vec<bool>,
    /// Those that have no column, because they were refused.
    others: HashSet<(u32, bool)>,
    all: Vec<Had>,
}

impl Seen {
    fn clear(&mut self) {
        self.columns.clear();
        self.others.clear();
        self.all.clear();
    }

    /// Adds a series; returns whether it was not there.
    fn insert(&mut self, had: Had) -> bool {
        let is_new = match had.place {
            NONE => self.others.insert((had.series, had.own_times)),
            place => self.mark(place),
        };
        if is_new {
            self.all.push(had);
        }
        is_new
    }

    /// Notes a column; returns whether that is new.
    fn mark(&mut self, place: u32) -> bool {
        let place = place as usize;
        if place >= self.columns.len() {
            self.columns.resize(place + 1, false);
        }
        !std::mem::replace(&mut self.columns[place], true)
    }

    /// Says which column a series has that was added without one.
    fn settle(&mut self, place: u32) {
        self.mark(place);
        if let Some(had) = self.all.last_mut() {
            self.others.remove(&(had.series, had.own_times));
            had.place = place;
        }
    }

    fn contains(&self, place: u32, series: u32, own_times: bool) -> bool {
        self.columns.get(place as usize) == Some(&true)
            || (!self.others.is_empty() && self.others.contains(&(series, own_times)))
    }
}

/// What finding rows' columns needs.
struct Lookup<'a> {
    id: u32,
    source: u32,
    extra: &'a Labels,
    index: &'a mut Index,
    head: &'a mut Head,
    order: &'a Order,
    /// How many bytes the block has left.
    room: usize,
    seen: Seen,
    new_series: u64,
    merged: Vec<u8>,
}

impl Lookup<'_> {
    /// Returns the column of a row, made when it is new, and why the row is not taken for its time alone. What is the same
    /// again has a column too, or a source that says it again and again would have to name it each time.
    fn place(
        &mut self,
        (packed, row, form): (&[u8], &Row, Form),
        known: u32,
        out: &mut Vec<u8>,
    ) -> Result<(u32, Option<Reason>), Reason> {
        let own_times = match form {
            Form::BadTime => return Err(Reason::Time),
            Form::BadHistogram => return Err(Reason::Histogram),
            Form::OwnTime => true,
            Form::Shared => false,
        };
        let at = row.at.map(|at| at.0).filter(|_| own_times);
        if known != NONE {
            self.take_room(value_bytes(row) + KNOWN_BYTES_MAX)?;
            let series = self.head.series_of(known);
            return Ok((known, self.see(Had { series, own_times, place: known }, row, at)?));
        }
        lay_over(packed, self.extra, &mut self.merged);
        let room = self.take_room(added_bytes(&self.merged, row, (self.id, own_times), self.index, self.head));
        if at.is_some_and(|at| self.order.is_too_old(at)) && self.index.find(&self.merged).is_none() {
            return Err(Reason::TooOld);
        }
        room?;
        let series = look_up(&self.merged, self.index, self.head.block, &mut self.new_series)?;
        let place = self.head.place_of(self.source, series, own_times);
        let refused = self.see(Had { series, own_times, place }, row, at)?;
        if refused.is_some_and(|reason| reason != Reason::Same) {
            return Ok((place, refused));
        }
        self.head.series(series, &self.merged, out);
        let column = self.head.column(self.source, series, own_times, out);
        if place == NONE {
            self.seen.settle(column);
        }
        Ok((column, refused))
    }

    fn take_room(&mut self, bytes: usize) -> Result<(), Reason> {
        self.room = self.room.checked_sub(bytes).ok_or(Reason::BlockFull)?;
        Ok(())
    }

    /// Notes that the batch has a series, and judges its row's time: returns why it is not taken.
    fn see(&mut self, had: Had, row: &Row, at: Option<i64>) -> Result<Option<Reason>, Reason> {
        if !self.seen.insert(had) {
            return Err(Reason::Repeated);
        }
        Ok(match at.map_or(Verdict::Taken, |at| self.order.judge(had.series, at, &row.value)) {
            Verdict::Taken => None,
            Verdict::Same => Some(Reason::Same),
            Verdict::Duplicate => Some(Reason::Duplicate),
            Verdict::OutOfOrder => Some(Reason::OutOfOrder),
            Verdict::TooOld => Some(Reason::TooOld),
        })
    }
}

/// Returns a series' number, made when it is new.
fn look_up(packed: &[u8], index: &mut Index, block: u64, new_series: &mut u64) -> Result<u32, Reason> {
    if let Some(series) = index.find(packed) {
        index.seen(series, block);
        return Ok(series);
    }
    let labels = Labels::from_packed(packed).ok_or(Reason::Labels)?;
    if !index.has_memory_for(&labels) {
        return Err(Reason::Memory);
    }
    let series = index.add(&labels, block).ok_or(Reason::SeriesMax)?;
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
