//! The ring as an outbox: rows in the order of their ids.
//!
//! A block's rows are found by its spans (ids), its sources' rows (which shape begins at which row) and its columns.
//! A cursor keeps each column's reader where the last call stopped; when the block is sealed under it the reader goes
//! on behind as many values of the sealed column. So an upstream that keeps up decodes every value once.
//!
//! Rows of an epoch without a date are not delivered: the walk stops before them and says so. Rows that are gone, and
//! rows whose page is damaged, are counted as overwritten.

use std::sync::PoisonError;

use model::{Outbox, RowId, Sample, SelectError, Tail, TailRow, UnixMs, Value};

use crate::codec::Item;
use crate::column::ColumnReader;
use crate::epochs::{Dated, Epoch, Epochs};
use crate::index::Which;
use crate::reader::{Reader, Source, View};
use crate::store::State;

const NONE: u32 = u32::MAX;

/// One row of a source that is not used up: where it begins in the block, when it was read, which shape it has.
#[derive(Debug, Clone, Copy)]
struct Line {
    base: u32,
    tick: i64,
    shape: u32,
}

#[derive(Default)]
struct SourceCursor {
    tick: ColumnReader,
    base: ColumnReader,
    shape: ColumnReader,
    read: u32,
    /// Lines that go on behind the position.
    open: Vec<Line>,
}

/// Where an outbox stopped within a block.
pub(crate) struct Cursor {
    number: u64,
    /// All rows of the block before this one were read.
    at: u32,
    sources: Vec<SourceCursor>,
    columns: Vec<(ColumnReader, ColumnReader)>,
    bytes: [Vec<u8>; 2],
}

impl Cursor {
    fn new(number: u64) -> Cursor {
        Cursor { number, at: 0, sources: Vec::new(), columns: Vec::new(), bytes: Default::default() }
    }

    /// Reads on to row `to`; rows from `from` on are put into `out`, which has a place for each of them.
    fn read(
        &mut self,
        source: &mut Source<'_>,
        view: &mut View,
        (from, to): (u32, u32),
        epochs: &Epochs,
        out: &mut [Option<TailRow>],
    ) -> Result<(), SelectError> {
        self.sources.resize_with(view.index.sources.len(), SourceCursor::default);
        self.columns.resize_with(view.index.columns.len(), Default::default);
        for place in 0..view.index.sources.len() as u32 {
            self.read_lines(source, view, place, to)?;
            let lines = &self.sources[place as usize].open;
            let shapes = &view.index.sources[place as usize].shapes;
            let mut used: Vec<u32> = lines.iter().filter(|l| l.base < to).map(|line| line.shape).collect();
            used.sort_unstable();
            used.dedup();
            let mut columns: Vec<u32> = used.iter().flat_map(|shape| shapes[*shape as usize].iter()).collect();
            columns.sort_unstable();
            columns.dedup();
            let ranks: Vec<Vec<u32>> = used
                .iter()
                .map(|shape| {
                    let mut ranks = vec![NONE; columns.len()];
                    for (column, rank) in shapes[*shape as usize].iter().zip(0..) {
                        if let Ok(at) = columns.binary_search(&column) {
                            ranks[at] = rank;
                        }
                    }
                    ranks
                })
                .collect();
            let lines = lines.clone();
            for (at, column) in columns.iter().enumerate() {
                let rows = lines.iter().filter(|line| line.base < to).filter_map(|line| {
                    let shape = used.binary_search(&line.shape).ok()?;
                    let rank = ranks[shape][at];
                    let row = line.base.checked_add(rank).filter(|_| rank != NONE)?;
                    (self.at..to).contains(&row).then_some((row, *line))
                });
                let rows: Vec<(u32, Line)> = rows.collect();
                self.read_column(source, view, *column, &rows, from, epochs, out)?;
            }
            let shapes = &view.index.sources[place as usize].shapes;
            let open = &mut self.sources[place as usize].open;
            open.retain(|line| line.base.saturating_add(shapes[line.shape as usize].len()) > to);
        }
        self.at = to;
        Ok(())
    }

    /// Reads a source's lines until one begins behind the end.
    fn read_lines(&mut self, source: &mut Source<'_>, view: &mut View, place: u32, to: u32) -> Result<(), SelectError> {
        let cursor = &mut self.sources[place as usize];
        let rows = view.index.sources[place as usize].rows;
        if cursor.open.last().is_some_and(|line| line.base >= to) || cursor.read >= rows {
            return Ok(());
        }
        let mut bytes: [Vec<u8>; 3] = Default::default();
        let readers = [&mut cursor.tick, &mut cursor.base, &mut cursor.shape];
        let whiches = [Which::Tick(place), Which::Base(place), Which::Shape(place)];
        let mut froms = [0; 3];
        for (((reader, which), bytes), from) in readers.into_iter().zip(whiches).zip(&mut bytes).zip(&mut froms) {
            match resume(source, view, which, reader, bytes)? {
                Some(at) => *from = at,
                None => return Ok(()),
            }
        }
        let shapes = view.index.sources[place as usize].shapes.len();
        while cursor.read < rows && cursor.open.last().is_none_or(|line| line.base < to) {
            let tick = cursor.tick.next_int(&bytes[0], froms[0]);
            let base = cursor.base.next_int(&bytes[1], froms[1]).and_then(|base| u32::try_from(base).ok());
            let shape = cursor.shape.next_int(&bytes[2], froms[2]).and_then(|shape| u32::try_from(shape).ok());
            let (Some(tick), Some(base), Some(shape)) = (tick, base, shape) else { break };
            if shape as usize >= shapes {
                break;
            }
            cursor.read += 1;
            cursor.open.push(Line { base, tick, shape });
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments)]
    fn read_column(
        &mut self,
        source: &mut Source<'_>,
        view: &mut View,
        column: u32,
        rows: &[(u32, Line)],
        from: u32,
        epochs: &Epochs,
        out: &mut [Option<TailRow>],
    ) -> Result<(), SelectError> {
        if rows.is_empty() {
            return Ok(());
        }
        let (reader, own_reader) = &mut self.columns[column as usize];
        let [values, own] = &mut self.bytes;
        let Some(at) = resume(source, view, Which::Values(column), reader, values)? else { return Ok(()) };
        let described = view.index.columns[column as usize];
        let own_at = match described.times {
            Some(_) => match resume(source, view, Which::Times(column), own_reader, own)? {
                Some(at) => at,
                None => return Ok(()),
            },
            None => 0,
        };
        let labels = source.shared.read().index.labels(described.series);
        for (row, Line { base, tick, .. }) in rows {
            let Some(item) = reader.next(values, at) else { break };
            let own_time = match described.times {
                Some(_) => match own_reader.next_int(own, own_at) {
                    Some(time) => Some(time),
                    None => break,
                },
                None => None,
            };
            let Some(place) = row.checked_sub(from) else { continue };
            let (Some(labels), Some(slot)) = (&labels, out.get_mut(place as usize)) else { continue };
            let (Some((span, sealed)), Some(id)) = (view.index.span(*row), view.index.id(*row)) else { continue };
            let first = view.index.id(*base).unwrap_or(id);
            let epoch = epochs.get(span.epoch).or(sealed.as_ref());
            let value = match item {
                Item::Float(value) => Value::Float(value),
                Item::Histogram(found) => Value::Histogram(found),
            };
            let at = own_time.unwrap_or_else(|| epoch.map_or(*tick, |epoch| epoch.date(*tick, first)));
            let sample = Sample { at: UnixMs(at), start: reader.start().map(UnixMs), value };
            *slot = Some(TailRow { id, labels: labels.clone(), sample });
        }
        Ok(())
    }
}

/// Copies what a reader needs to go on, and returns from which offset on that is; `None` when it cannot go on, because
/// the column's first page is damaged.
fn resume(
    source: &mut Source<'_>,
    view: &mut View,
    which: Which,
    reader: &mut ColumnReader,
    bytes: &mut Vec<u8>,
) -> Result<Option<usize>, SelectError> {
    source.stream(view, which, reader.at(), bytes)?;
    if view.sealed.is_some() && reader.settle(bytes, !matches!(which, Which::Values(_))).is_none() {
        return Ok(None);
    }
    Ok(Some(reader.at()))
}

/// Returns how many rows there were behind `after` and before `next`, as far as that is remembered.
fn rows_between(openings: &[(u32, u64)], after: RowId, next: RowId) -> u64 {
    if after.opening == next.opening {
        return next.n.saturating_sub(after.n + 1);
    }
    let between = openings.iter().filter(|(opening, _)| after.opening < *opening && *opening < next.opening);
    let rest = openings.iter().find(|(opening, _)| *opening == after.opening);
    rest.map_or(0, |(_, end)| end.saturating_sub(after.n + 1)) + between.map(|(_, end)| end).sum::<u64>() + next.n
}

/// Returns the blocks that may have rows behind this one, oldest first. A block may have no rows at all.
fn blocks_after(state: &State, after: RowId) -> Vec<u64> {
    let sealed = state.ring.blocks.iter().rev().filter(|block| block.rows > 0);
    let mut numbers: Vec<u64> = sealed.take_while(|block| block.end > after).map(|block| block.number).collect();
    numbers.reverse();
    let heads = [state.frozen.as_ref(), Some(&state.head)].into_iter().flatten();
    numbers.extend(heads.filter(|head| head.newest().is_some_and(|newest| newest > after)).map(|head| head.block));
    numbers
}

/// Returns whether rows of an epoch wait for a date. One that the table has forgotten is over, and keeps its place.
fn waits(epochs: &Epochs, number: u32, sealed: Option<&Epoch>) -> bool {
    match epochs.get(number) {
        Some(epoch) => epoch.dated == Dated::No,
        None => sealed.is_none() || epochs.all().first().is_none_or(|oldest| oldest.number <= number),
    }
}

/// Counts what is gone between the place reached and this row, and goes on behind it.
fn pass_by(openings: &[(u32, u64)], last: RowId, out: &mut Tail) {
    if out.until < last {
        out.overwritten += rows_between(openings, out.until, last.plus(1));
        out.until = last;
    }
}

impl Reader {
    /// Returns a number that changes whenever rows that are stored get other dates.
    pub fn dates(&self) -> u64 {
        self.shared.read().small.epochs.changes
    }
}

impl Outbox for Reader {
    fn since(&self, after: RowId, until: Option<RowId>, rows_max: usize, out: &mut Tail) -> Result<(), SelectError> {
        out.rows.clear();
        (out.until, out.overwritten, out.undated) = (after, 0, false);
        let state = self.shared.read();
        let (epochs, openings) = (state.small.epochs.clone(), state.small.openings.clone());
        let blocks = blocks_after(&state, after);
        let newest = state.newest;
        drop(state);
        let limit = until.unwrap_or(newest).min(newest);
        let source = &mut Source::new(&self.shared);
        let mut cursor = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        for number in blocks {
            let Some(mut view) = source.view(number)? else { continue };
            let spans = view.index.spans.clone();
            for (at, (span, sealed)) in spans.iter().enumerate() {
                let end = spans.get(at + 1).map_or(view.index.rows, |(next, _)| next.first);
                let last = span.id.plus(u64::from(end.saturating_sub(span.first)));
                if last <= out.until || end <= span.first {
                    continue;
                }
                let first = span.id.max(RowId { n: out.until.n + 1, ..out.until });
                let first = if first.opening == span.id.opening { first } else { span.id };
                if first.n >= last.n {
                    continue;
                }
                if out.rows.len() >= rows_max {
                    return Ok(());
                }
                if first > limit {
                    pass_by(&openings, limit, out);
                    return Ok(());
                }
                let gap = rows_between(&openings, out.until, first);
                if waits(&epochs, span.epoch, sealed.as_ref()) {
                    out.undated = true;
                    return Ok(());
                }
                out.overwritten += gap;
                let wanted = (rows_max - out.rows.len()) as u64;
                let stop = if limit.opening == first.opening { (limit.n + 1).min(last.n) } else { last.n };
                let stop = stop.min(first.n + wanted);
                let from = span.first + (first.n - span.id.n) as u32;
                let to = span.first + (stop - span.id.n) as u32;
                if cursor.as_ref().is_none_or(|cursor| cursor.number != number || cursor.at > from) {
                    *cursor = Some(Cursor::new(number));
                }
                let mut slots = vec![None; (to - from) as usize];
                let result = match cursor.as_mut() {
                    Some(cursor) => cursor.read(source, &mut view, (from, to), &epochs, &mut slots),
                    None => Ok(()),
                };
                if result.is_err() {
                    *cursor = None;
                    return result;
                }
                out.overwritten += slots.iter().filter(|slot| slot.is_none()).count() as u64;
                out.rows.extend(slots.into_iter().flatten());
                out.until = RowId { opening: first.opening, n: stop - 1 };
            }
        }
        if out.rows.len() < rows_max {
            pass_by(&openings, limit, out);
        }
        Ok(())
    }

    fn newest(&self) -> RowId {
        self.shared.read().newest
    }
}
