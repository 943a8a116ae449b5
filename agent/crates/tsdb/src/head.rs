//! The open block: columns that grow in memory, and the records that let them grow again after a restart.
//!
//! A source's rows share one column of ticks; a shape says which columns, in which order, one row of a source has.
//! Every sample is coded once: the token goes to the column and to the journal's record, and a sample that comes as
//! predicted is a bit in the record and a count in the column. So replaying a record is reading values with the
//! column's own state and appending them again.
//!
//! The head knows nothing of pages, disks or clocks. `index.rs` describes it to readers as if it were a sealed block.

mod ahead;
pub(crate) mod shape;
pub(crate) mod track;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use model::{Histogram, RowId};

use crate::codec::Item;
use crate::groups;
use crate::head::shape::Shape;
use crate::head::track::{Pool, Track};
use crate::layout::NUMBER_MAX;
use crate::record::{Kind, put};
use crate::wire::{Take, put_labels, put_u32, put_u64, put_varint, put_zigzag};

/// Rows from `first` on are numbered from `id` on and were read in `epoch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub first: u32,
    pub id: RowId,
    pub epoch: u32,
    /// The first tick that is the time of a row: those that bring their own times do not count, and where there are but
    /// such it is above `tick_max`.
    pub tick_min: i64,
    /// The last tick of a row.
    pub tick_max: i64,
}

pub(crate) struct Source {
    /// How many lines there are: a line is the rows of one batch.
    pub rows: u32,
    /// Never goes back within a span.
    pub tick: Track,
    /// The first row's number within the block.
    pub base: Track,
    pub shape: Track,
    pub shapes: Vec<Arc<Shape>>,
    /// Which lines are of which span: the span, and the first line of it; ascending.
    pub spans: Vec<(u32, u32)>,
}

pub(crate) struct Column {
    pub series: u32,
    pub source: u32,
    pub values: Track,
    pub times: Option<Box<Track>>,
}

/// One sample on its way in.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    pub value: InputValue,
    /// Its own time, for a column that has its own times.
    pub at: i64,
    pub start: Option<i64>,
}

#[derive(Debug, Clone)]
pub(crate) enum InputValue {
    Float(f64),
    Histogram(Arc<Histogram>),
}

/// The open block, or one that is frozen until it is on the medium.
pub(crate) struct Head {
    pub block: u64,
    pub pool: Pool,
    pub spans: Vec<Span>,
    pub sources: Vec<Source>,
    pub columns: Vec<Column>,
    /// How many rows there are.
    pub rows: u32,
    /// The series table as it will stand in the sealed block, and how many series it has.
    pub table: Vec<u8>,
    pub table_series: u32,
    pub private_min: i64,
    pub private_max: i64,
    series: HashSet<u32>,
    lookup: HashMap<(u32, u32, bool), u32>,
    by_id: HashMap<u32, u32>,
    last_labels: Vec<u8>,
    last_series: i64,
    stream_bytes: usize,
    shape_bytes: usize,
    /// What the columns' last histograms take in memory.
    histogram_bytes: usize,
    span_entries: usize,
    lines_max: u32,
    payload: Vec<u8>,
    token: Vec<u8>,
    coded: Vec<u8>,
}

impl Head {
    pub fn new(block: u64, mut pool: Pool) -> Head {
        pool.clear();
        Head {
            block,
            pool,
            spans: Vec::new(),
            sources: Vec::new(),
            columns: Vec::new(),
            rows: 0,
            table: Vec::new(),
            table_series: 0,
            private_min: i64::MAX,
            private_max: i64::MIN,
            series: HashSet::new(),
            lookup: HashMap::new(),
            by_id: HashMap::new(),
            last_labels: Vec::new(),
            last_series: -1,
            stream_bytes: 0,
            shape_bytes: 0,
            histogram_bytes: 0,
            span_entries: 0,
            lines_max: 0,
            payload: Vec::new(),
            token: Vec::new(),
            coded: Vec::new(),
        }
    }

    /// Returns the block behind one, with room for as many series: most likely they are the same.
    pub fn after(before: &Head, pool: Pool) -> Head {
        let mut head = Head::new(before.block + 1, pool);
        head.columns.reserve_exact(before.columns.len());
        head.table.reserve_exact(before.table.len());
        head
    }

    /// Returns at most how many bytes the sealed block will have: were nothing packed or squeezed, and every number of
    /// the index as long as it can be.
    pub fn sealed_bytes(&self) -> usize {
        let spans = self.spans.len() * 64 + self.span_entries * 10;
        let index = 256 + spans + self.sources.len() * 64 + self.columns.len() * 24 + self.shape_bytes;
        let bytes = index + self.table.len() + self.stream_bytes;
        bytes + groups::overhead(bytes, 4)
    }

    /// Returns the most lines that any source has.
    pub fn lines_max(&self) -> u32 {
        self.lines_max
    }

    /// Returns how many bytes the columns have.
    pub fn stream_bytes(&self) -> usize {
        self.stream_bytes
    }

    /// Returns about how much memory the block takes.
    pub fn memory_bytes(&self) -> usize {
        let columns = self.columns.len() * (size_of::<Column>() + 40);
        let shapes = self.sources.iter().map(|source| source.shapes.len() * 64).sum::<usize>() + self.shape_bytes * 4;
        self.pool.bytes() + self.table.len() + columns + shapes + self.histogram_bytes
    }

    /// Returns about how much memory the columns' last histograms take.
    pub fn histogram_bytes(&self) -> usize {
        self.histogram_bytes
    }

    /// Returns the id of the newest row.
    pub fn newest(&self) -> Option<RowId> {
        let span = self.spans.iter().rev().find(|span| span.first < self.rows)?;
        Some(span.id.plus(u64::from(self.rows - span.first - 1)))
    }

    /// Returns the id that the next row of the span in force gets.
    pub fn next_id(&self) -> Option<RowId> {
        self.spans.last().map(|span| span.id.plus(u64::from(self.rows - span.first)))
    }

    /// Begins a span.
    pub fn span(&mut self, id: RowId, epoch: u32, out: &mut Vec<u8>) {
        self.payload.clear();
        put_u32(&mut self.payload, id.opening);
        put_u64(&mut self.payload, id.n);
        put_u32(&mut self.payload, epoch);
        put(out, Kind::Span, &self.payload);
        let span = Span { first: self.rows, id, epoch, tick_min: i64::MAX, tick_max: i64::MIN };
        match self.spans.last_mut() {
            Some(last) if last.first == self.rows => *last = span,
            _ => self.spans.push(span),
        }
    }

    /// Puts a series into the block's table, unless it is there.
    pub fn series(&mut self, series: u32, packed: &[u8], out: &mut Vec<u8>) {
        if !self.series.insert(series) {
            return;
        }
        let start = self.table.len();
        put_zigzag(&mut self.table, i64::from(series) - self.last_series - 1);
        put_labels(&mut self.table, &mut self.last_labels, packed);
        self.last_series = i64::from(series);
        self.table_series += 1;
        put(out, Kind::Series, &self.table[start..]);
    }

    /// Returns a source's place, made when it is new.
    pub fn source(&mut self, id: u32, out: &mut Vec<u8>) -> u32 {
        if let Some(found) = self.by_id.get(&id) {
            return *found;
        }
        self.payload.clear();
        put_varint(&mut self.payload, u64::from(id));
        put(out, Kind::Source, &self.payload);
        let place = self.sources.len() as u32;
        self.sources.push(Source {
            rows: 0,
            tick: Track::default(),
            base: Track::default(),
            shape: Track::default(),
            shapes: Vec::new(),
            spans: Vec::new(),
        });
        self.by_id.insert(id, place);
        place
    }

    /// Returns whether a source has a column for a series.
    pub fn has_column(&self, id: u32, series: u32, own_times: bool) -> bool {
        self.by_id.get(&id).is_some_and(|source| self.lookup.contains_key(&(*source, series, own_times)))
    }

    /// Returns the place of a source's column for a series; `u32::MAX` when there is none.
    pub fn place_of(&self, source: u32, series: u32, own_times: bool) -> u32 {
        self.lookup.get(&(source, series, own_times)).copied().unwrap_or(u32::MAX)
    }

    /// Returns the series of a column.
    pub fn series_of(&self, place: u32) -> u32 {
        self.columns[place as usize].series
    }

    /// Returns the newest sample of a column, when it is a float in the newest line of its source: the line's span and
    /// tick, the value and its start timestamp.
    pub fn newest_of(&self, place: u32) -> Option<(u32, i64, f64, Option<i64>)> {
        let column = self.columns.get(place as usize).filter(|column| column.times.is_none())?;
        let source = self.sources.get(column.source as usize)?;
        let shape = source.shapes.get(usize::try_from(source.shape.state.last_int()).ok()?)?;
        let value = column.values.state.last_float().filter(|_| shape.contains(place))?;
        let (span, _) = source.spans.last()?;
        Some((*span, source.tick.state.last_int(), value, column.values.state.start()))
    }

    /// Returns the place of a source's column for a series in the table, made when it is new.
    pub fn column(&mut self, source: u32, series: u32, own_times: bool, out: &mut Vec<u8>) -> u32 {
        if let Some(found) = self.lookup.get(&(source, series, own_times)) {
            return *found;
        }
        self.payload.clear();
        put_varint(&mut self.payload, u64::from(source));
        put_varint(&mut self.payload, u64::from(series) << 1 | u64::from(own_times));
        put(out, Kind::Column, &self.payload);
        let place = self.columns.len() as u32;
        let times = own_times.then(Box::default);
        if self.columns.len() == self.columns.capacity() {
            // Columns are most of what a block needs for a series: twice as much as there is would be too much.
            self.columns.reserve_exact(self.columns.len() / 8 + 16);
        }
        self.columns.push(Column { series, source, values: Track::default(), times });
        self.lookup.insert((source, series, own_times), place);
        place
    }

    /// Returns the place of a source's shape, made when it is new.
    pub fn shape(&mut self, source: u32, wanted: Shape, out: &mut Vec<u8>) -> u32 {
        let shapes = &mut self.sources[source as usize].shapes;
        if let Some(found) = shapes.iter().position(|shape| **shape == wanted) {
            return found as u32;
        }
        self.payload.clear();
        put_varint(&mut self.payload, u64::from(source));
        wanted.put(&mut self.payload);
        put(out, Kind::Shape, &self.payload);
        self.shape_bytes += self.payload.len();
        shapes.push(wanted.into());
        shapes.len() as u32 - 1
    }

    /// Appends one row of a source: a sample for each column of the shape, in its order.
    pub fn append(
        &mut self,
        source: u32,
        shape: u32,
        tick: i64,
        inputs: &mut dyn Iterator<Item = Input>,
        out: &mut Vec<u8>,
    ) {
        let Head { sources, columns, spans, pool, payload, token, coded, .. } = self;
        let row = &mut sources[source as usize];
        let place = row.shapes[shape as usize].clone();
        // A clock that only goes forward says so already; that what a range needs is found by it must not depend on it.
        let span = spans.last_mut();
        let tick = span.as_ref().map_or(tick, |span| tick.max(span.tick_max));
        payload.clear();
        put_varint(payload, u64::from(source));
        put_varint(payload, u64::from(shape));
        put_zigzag(payload, tick.wrapping_sub(row.tick.state.last_int()));
        let slots = place.iter().map(|at| if columns[at as usize].times.is_some() { 2 } else { 1 }).sum::<usize>();
        let (bits, mut slot) = (payload.len(), 0);
        payload.resize(bits + slots.div_ceil(8), 0);
        let (mut grown, mut is_dated) = (0, false);
        for (at, input) in place.iter().zip(inputs) {
            let column = &mut columns[at as usize];
            let before = column.values.len();
            token.clear();
            let at = input.at;
            self.histogram_bytes -= column.values.state.histogram_bytes();
            let is_coded = column.put(input, token, coded);
            self.histogram_bytes += column.values.state.histogram_bytes();
            column.values.push(pool, is_coded, token);
            note_slot(payload, bits, &mut slot, is_coded.then_some(token));
            grown += column.values.len() - before;
            if let Some(times) = &mut column.times {
                let before = times.len();
                let is_coded = times.push_int(pool, at, token);
                note_slot(payload, bits, &mut slot, is_coded.then_some(token));
                grown += times.len() - before;
                self.private_min = self.private_min.min(at);
                self.private_max = self.private_max.max(at);
            } else {
                is_dated = true;
            }
        }
        put(out, Kind::Row, payload);
        for (ints, value) in
            [(&mut row.tick, tick), (&mut row.base, i64::from(self.rows)), (&mut row.shape, i64::from(shape))]
        {
            let before = ints.len();
            ints.push_int(pool, value, token);
            grown += ints.len() - before;
        }
        if let Some(span) = span {
            if is_dated {
                span.tick_min = span.tick_min.min(tick);
            }
            span.tick_max = tick;
            let number = spans.len() as u32 - 1;
            if row.spans.last().is_none_or(|(last, _)| *last < number) {
                row.spans.push((number, row.rows));
                self.span_entries += 1;
            }
        }
        row.rows += 1;
        self.lines_max = self.lines_max.max(row.rows);
        self.stream_bytes += grown;
        self.rows += place.len();
    }

    /// Does again what a record of the kinds written here says; `None` when it cannot be one of ours.
    ///
    /// The label set of a new series is left in `labels`; whoever keeps the index of series takes it from there.
    pub fn replay(&mut self, kind: Kind, payload: &[u8], labels: &mut Vec<u8>) -> Option<Replayed> {
        let take = &mut Take::new(payload);
        let out = &mut Vec::new();
        match kind {
            Kind::Span => {
                let id = RowId { opening: take.u32()?, n: take.u64().filter(|n| *n < NUMBER_MAX)? };
                self.span(id, take.u32()?, out);
            }
            Kind::Series => {
                let series = u32::try_from(self.last_series.checked_add(1)?.checked_add(take.zigzag()?)?).ok()?;
                labels.clone_from(&self.last_labels);
                take.labels(labels)?;
                self.series(series, labels, out);
                return Some(Replayed::Series(series));
            }
            Kind::Source => {
                let id = take.varint32()?;
                self.source(id, out);
            }
            Kind::Column => {
                let source = take.varint32().filter(|source| (*source as usize) < self.sources.len())?;
                let packed = take.varint()?;
                let series = u32::try_from(packed >> 1).ok().filter(|series| self.series.contains(series))?;
                self.column(source, series, packed & 1 == 1, out);
            }
            Kind::Shape => {
                let source = take.varint32().filter(|source| (*source as usize) < self.sources.len())?;
                let wanted = Shape::take(take, self.columns.len() as u32)?;
                self.shape(source, wanted, out);
            }
            Kind::Row => {
                self.replay_row(take)?;
                return Some(Replayed::Row);
            }
            _ => return None,
        }
        Some(Replayed::Other)
    }

    fn replay_row(&mut self, take: &mut Take<'_>) -> Option<()> {
        let (source, shape) = (take.varint32()?, take.varint32()?);
        self.spans.last()?;
        let row = self.sources.get(source as usize)?;
        let place = row.shapes.get(shape as usize)?.clone();
        let tick = row.tick.state.last_int().wrapping_add(take.zigzag()?);
        let slots = place.iter().map(|at| if self.columns[at as usize].times.is_some() { 2 } else { 1 }).sum::<usize>();
        let bits = take.bytes(slots.div_ceil(8))?;
        let mut slot = 0;
        let mut inputs = Vec::with_capacity(place.len() as usize);
        for at in place.iter() {
            let column = &self.columns[at as usize];
            let mut state = column.values.state.clone();
            let value = if take_bit(bits, &mut slot) {
                match state.take(take)? {
                    Item::Float(value) => InputValue::Float(value),
                    Item::Histogram(found) => InputValue::Histogram(found),
                }
            } else {
                InputValue::Float(state.as_predicted())
            };
            let at = match &column.times {
                Some(times) => {
                    let mut state = times.state.clone();
                    if take_bit(bits, &mut slot) { state.take_int(take)? } else { state.int_as_predicted() }
                }
                None => 0,
            };
            inputs.push(Input { value, at, start: state.start() });
        }
        self.append(source, shape, tick, &mut inputs.into_iter(), &mut Vec::new());
        Some(())
    }
}

/// What a replayed record was.
pub(crate) enum Replayed {
    Series(u32),
    Row,
    Other,
}

impl Column {
    fn put(&mut self, input: Input, token: &mut Vec<u8>, coded: &mut Vec<u8>) -> bool {
        let state = &mut self.values.state;
        match input.value {
            InputValue::Float(value) => state.put_float(value, input.start, token),
            InputValue::Histogram(histogram) => {
                state.put_histogram(&histogram, input.start, token, coded);
                true
            }
        }
    }
}

/// Notes whether a slot of a row is coded, and how.
fn note_slot(payload: &mut Vec<u8>, bits: usize, slot: &mut usize, token: Option<&mut Vec<u8>>) {
    if let Some(token) = token {
        payload[bits + *slot / 8] |= 1 << (*slot % 8);
        payload.extend_from_slice(token);
    }
    *slot += 1;
}

fn take_bit(bits: &[u8], slot: &mut usize) -> bool {
    let set = bits[*slot / 8] >> (*slot % 8) & 1 == 1;
    *slot += 1;
    set
}
