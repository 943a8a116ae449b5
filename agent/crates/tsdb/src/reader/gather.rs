//! The samples of one series, gathered block by block: only what lies within the range is decoded, from the last
//! place before it at which decoding may begin.
//!
//! A column that shares its source's lines is read along with them; one that has its own times is read by those. The
//! lines of a source are found once a block and kept for the columns that follow, as many as `LINES_KEPT_MAX`.

use std::collections::HashMap;
use std::rc::Rc;

use model::{SelectError, SeriesSamples, TimeRange, UnixMs, Value};

use super::lines::Lines;
use super::{Hit, Selection, Source, View};
use crate::codec::Item;
use crate::head::track::Seek;
use crate::index::{LINES_READ_MAX, Which};

/// The most lines that a selection keeps at hand.
const LINES_KEPT_MAX: usize = 1 << 16;

/// Samples of one series, gathered block by block.
#[derive(Default)]
pub(crate) struct Gathered {
    pub at: Vec<UnixMs>,
    floats: Vec<f64>,
    histograms: Vec<(usize, Value)>,
    starts: Vec<Option<UnixMs>>,
    has_starts: bool,
    unsorted: bool,
}

impl Gathered {
    pub fn clear(&mut self) {
        self.at.clear();
        self.floats.clear();
        self.histograms.clear();
        self.starts.clear();
        (self.has_starts, self.unsorted) = (false, false);
    }

    fn push(&mut self, at: i64, item: Item, start: Option<i64>) {
        let value = match item {
            Item::Float(value) => value,
            Item::Histogram(found) => {
                self.histograms.push((self.at.len(), Value::Histogram(found)));
                0.0
            }
        };
        self.unsorted |= self.at.last().is_some_and(|last| last.0 >= at);
        self.has_starts |= start.is_some();
        self.at.push(UnixMs(at));
        self.floats.push(value);
        self.starts.push(start.map(UnixMs));
    }

    /// Puts samples in the order of their times; of several with the same time the one appended last counts.
    pub fn sort(&mut self) {
        if !self.unsorted {
            return;
        }
        let mut order: Vec<usize> = (0..self.at.len()).collect();
        order.sort_by_key(|at| self.at[*at]);
        let mut kept: Vec<usize> = Vec::with_capacity(order.len());
        for at in order {
            match kept.last_mut() {
                Some(last) if self.at[*last] == self.at[at] => *last = at,
                _ => kept.push(at),
            }
        }
        let mut sorted = Gathered { has_starts: self.has_starts, ..Gathered::default() };
        let mut histograms: HashMap<usize, Value> = self.histograms.drain(..).collect();
        for at in kept {
            if let Some(value) = histograms.remove(&at) {
                sorted.histograms.push((sorted.at.len(), value));
            }
            sorted.at.push(self.at[at]);
            sorted.floats.push(self.floats[at]);
            sorted.starts.push(self.starts[at]);
        }
        *self = sorted;
    }

    pub fn samples(&self) -> SeriesSamples<'_> {
        SeriesSamples {
            at: &self.at,
            floats: &self.floats,
            histograms: &self.histograms,
            starts: if self.has_starts { &self.starts } else { &[] },
        }
    }
}

/// What a selection keeps at hand from one column to the next.
#[derive(Default)]
pub(crate) struct Kept {
    /// Lines by view and source.
    lines: HashMap<(u32, u32), Rc<Lines>>,
    count: usize,
    values: Vec<u8>,
    own: Vec<u8>,
}

/// Adds the samples of one column that lie within the range.
pub(crate) fn gather(
    source: &mut Source<'_>,
    found: &mut Selection,
    hit: &Hit,
    range: TimeRange,
    kept: &mut Kept,
    out: &mut Gathered,
) -> Result<(), SelectError> {
    let view = &mut found.views[hit.view as usize];
    let column = view.index.column(hit.column);
    if column.times.is_some() {
        return gather_own(source, view, hit.column, range, kept, out);
    }
    let lines = match kept.lines.get(&(hit.view, column.source)) {
        Some(lines) => Rc::clone(lines),
        None => {
            let lines = Rc::new(source.lines(view, column.source, range, &found.epochs)?);
            if kept.count + lines.len() > LINES_KEPT_MAX {
                (kept.lines, kept.count) = (HashMap::new(), 0);
            }
            kept.count += lines.len();
            kept.lines.insert((hit.view, column.source), Rc::clone(&lines));
            lines
        }
    };
    let shapes = &view.index.sources[column.source as usize].shapes;
    let has: Vec<bool> = shapes.iter().map(|shape| shape.contains(hit.column)).collect();
    let Some(first) = lines.runs.first() else { return Ok(()) };
    let which = Which::Values(hit.column);
    let mut reader = source.seek(view, which, Seek::Value(lines.values_before(first.first, &has)), &mut kept.values)?;
    let (base, values) = (reader.at(), &kept.values);
    for run in &lines.runs {
        let before = lines.values_before(run.first, &has);
        if reader.skip(values, base, before.saturating_sub(reader.count())).is_none() {
            break;
        }
        lines.walls_of(run, &has, &mut |wall| match reader.next(values, base) {
            Some(item) => {
                out.push(wall, item, reader.start());
                true
            }
            None => false,
        });
    }
    Ok(())
}

/// Adds the samples of a column that has its own times.
fn gather_own(
    source: &mut Source<'_>,
    view: &mut View,
    column: u32,
    range: TimeRange,
    kept: &mut Kept,
    out: &mut Gathered,
) -> Result<(), SelectError> {
    let mut times = source.seek(view, Which::Times(column), Seek::NotBelow(range.start.0), &mut kept.own)?;
    let times_base = times.at();
    let mut reader = source.seek(view, Which::Values(column), Seek::Value(times.count()), &mut kept.values)?;
    let base = reader.at();
    if reader.skip(&kept.values, base, times.count().saturating_sub(reader.count())).is_none() {
        return Ok(());
    }
    // No column has more values than its source has lines, whatever its bytes claim.
    let lines = view.index.sources[view.index.column(column).source as usize].rows.min(LINES_READ_MAX);
    while times.count() < lines
        && let Some(at) = times.next_int(&kept.own, times_base)
        && let Some(item) = reader.next(&kept.values, base)
    {
        if range.contains(UnixMs(at)) {
            out.push(at, item, reader.start());
        }
    }
    Ok(())
}
