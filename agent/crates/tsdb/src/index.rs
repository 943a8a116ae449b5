//! What a reader needs to know of one block to find its way to the values: the same for the open block in memory
//! and for a sealed one on the medium. Also the bytes of it, as they stand at the front of a sealed block.
//!
//! ```text
//! meta    = index bytes u32, table bytes u32, series u32, rows u32, first and end id (u32 u64)x2,
//!           oldest and newest time i64 i64, first and last epoch u32 u32, bytes of the directory u32
//! index   = spans: count, then each (first varint, opening, n, epoch, ticks, the epoch's entry as sealed)
//!           sources: count, then each (lines, bytes of ticks, bases, shapes; count of spans, each as its number and
//!           the lines between its first and that of the one before)
//!           columns: count, then each (source, series less the one before less 1 zigzag << 1 | own times,
//!           bytes of values, bytes of times if own: 0 where they are those of the column before that has its own)
//!           of each source: count of shapes, each as runs
//! streams = the sources' and then the columns' bytes, in that order, without gaps
//! ```

use std::sync::Arc;

use model::RowId;

use crate::epochs::Epoch;
use crate::head::shape::Shape;
use crate::head::{Head, Span};
use crate::layout::NUMBER_MAX;
use crate::wire::{Take, put_i64, put_u32, put_u64, put_varint, put_zigzag, unzigzag, zigzag};

/// The bytes before the index.
pub(crate) const META_HEAD: usize = 68;
/// A block is sealed when a source has so many lines in it.
pub(crate) const LINES_MAX: u32 = 1 << 17;
/// No more are read, whatever bytes claim: a batch or two may come between the limit and the sealing.
pub(crate) const LINES_READ_MAX: u32 = 2 * LINES_MAX;

/// Where a stream lies within the block's unsqueezed bytes, and how long it is. The open block has lengths only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub offset: u32,
    pub len: u32,
}

#[derive(Debug, Clone)]
pub(crate) struct SourceIndex {
    pub rows: u32,
    pub tick: Place,
    pub base: Place,
    pub shape: Place,
    pub shapes: Vec<Arc<Shape>>,
    /// Which lines are of which span: the span, and the first line of it; ascending.
    pub spans: Vec<(u32, u32)>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct ColumnIndex {
    pub series: u32,
    pub source: u32,
    pub values: Place,
    pub times: Option<Place>,
}

/// The index of one block.
#[derive(Debug, Clone, Default)]
pub(crate) struct BlockIndex {
    /// Each with its epoch's entry as it was when the block was sealed.
    pub spans: Vec<(Span, Option<Epoch>)>,
    pub sources: Vec<SourceIndex>,
    pub columns: Vec<ColumnIndex>,
    pub rows: u32,
    /// The numbers of the columns that are left, where a reader dropped those it does not need.
    kept: Option<Vec<u32>>,
}

/// One of a block's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Tick(u32),
    Base(u32),
    Shape(u32),
    Values(u32),
    Times(u32),
}

impl BlockIndex {
    /// Returns where a stream lies.
    pub fn place(&self, which: Which) -> Place {
        match which {
            Which::Tick(source) => self.sources[source as usize].tick,
            Which::Base(source) => self.sources[source as usize].base,
            Which::Shape(source) => self.sources[source as usize].shape,
            Which::Values(column) => self.column(column).values,
            Which::Times(column) => self.column(column).times.unwrap_or_default(),
        }
    }

    /// Returns a column by its number in the block.
    pub fn column(&self, column: u32) -> ColumnIndex {
        let at = match &self.kept {
            Some(kept) => kept.binary_search(&column).expect("a column that was kept"),
            None => column as usize,
        };
        self.columns[at]
    }

    /// Returns it without all columns but these, which are ascending: a query over years looks at many blocks and a few
    /// columns.
    pub fn with_columns(&self, numbers: Vec<u32>) -> BlockIndex {
        BlockIndex {
            spans: self.spans.clone(),
            sources: self.sources.clone(),
            columns: numbers.iter().map(|number| self.column(*number)).collect(),
            rows: self.rows,
            kept: Some(numbers),
        }
    }

    /// Returns about how much memory it takes.
    pub fn memory_bytes(&self) -> usize {
        let of = |source: &SourceIndex| {
            let shapes = source.shapes.iter().map(|shape| shape.memory_bytes()).sum::<usize>();
            size_of::<SourceIndex>() + size_of_val(source.spans.as_slice()) + shapes
        };
        let lists = size_of_val(self.spans.as_slice()) + size_of_val(self.columns.as_slice());
        size_of::<BlockIndex>() + lists + self.sources.iter().map(of).sum::<usize>()
    }

    /// Returns the span a row of the block belongs to.
    pub fn span(&self, row: u32) -> Option<&(Span, Option<Epoch>)> {
        let at = self.spans.partition_point(|(span, _)| span.first <= row);
        at.checked_sub(1).map(|at| &self.spans[at])
    }

    /// Returns a row's id.
    pub fn id(&self, row: u32) -> Option<RowId> {
        self.span(row).map(|(span, _)| span.id.plus(u64::from(row - span.first)))
    }

    /// Returns every stream in the order in which they lie.
    pub fn streams(&self) -> impl Iterator<Item = Which> + '_ {
        let sources = (0..self.sources.len() as u32).flat_map(|s| [Which::Tick(s), Which::Base(s), Which::Shape(s)]);
        let columns = self.columns.iter().zip(0..).flat_map(|(column, at)| {
            [Some(Which::Values(at)), column.times.map(|_| Which::Times(at))].into_iter().flatten()
        });
        sources.chain(columns)
    }

    /// Appends the index as a sealed block has it.
    pub fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.spans.len() as u64);
        for (span, epoch) in &self.spans {
            put_varint(out, u64::from(span.first));
            put_u32(out, span.id.opening);
            put_u64(out, span.id.n);
            put_u32(out, span.epoch);
            put_zigzag(out, span.tick_min);
            put_zigzag(out, span.tick_max);
            out.push(u8::from(epoch.is_some()));
            epoch.iter().for_each(|epoch| epoch.put(out));
        }
        put_varint(out, self.sources.len() as u64);
        for source in &self.sources {
            for number in [source.rows, source.tick.len, source.base.len, source.shape.len] {
                put_varint(out, u64::from(number));
            }
            put_varint(out, source.spans.len() as u64);
            let mut before = 0;
            for (number, line) in &source.spans {
                put_varint(out, u64::from(*number));
                put_varint(out, u64::from(line - before));
                before = *line;
            }
        }
        put_varint(out, self.columns.len() as u64);
        let mut expected = 0i64;
        for column in &self.columns {
            put_varint(out, u64::from(column.source));
            let series = zigzag(i64::from(column.series) - expected);
            put_varint(out, series << 1 | u64::from(column.times.is_some()));
            expected = i64::from(column.series) + 1;
            put_varint(out, u64::from(column.values.len));
            column.times.iter().for_each(|times| put_varint(out, u64::from(times.len)));
        }
        for source in &self.sources {
            put_varint(out, source.shapes.len() as u64);
            source.shapes.iter().for_each(|shape| shape.put(out));
        }
    }

    /// Reads the spans, which come first: all that opening wants to know.
    pub fn take_spans(take: &mut Take<'_>, rows: u32) -> Option<Vec<(Span, Option<Epoch>)>> {
        let mut spans: Vec<(Span, Option<Epoch>)> = Vec::new();
        for _ in 0..take.count()? {
            let first = take.varint32()?;
            let id = RowId { opening: take.u32()?, n: take.u64()? };
            let (epoch, tick_min, tick_max) = (take.u32()?, take.zigzag()?, take.zigzag()?);
            let entry = if take.u8()? == 1 { Some(Epoch::take(take)?) } else { None };
            let before = spans.last().map_or(0, |(last, _)| last.first);
            if !(before..=rows).contains(&first) || id.n >= NUMBER_MAX {
                return None;
            }
            spans.push((Span { first, id, epoch, tick_min, tick_max }, entry));
        }
        Some(spans)
    }

    /// Reads what [`BlockIndex::put`] wrote; streams begin at offset `from` of the block.
    pub fn take(take: &mut Take<'_>, rows: u32, from: u32) -> Option<BlockIndex> {
        let mut index = BlockIndex { rows, spans: BlockIndex::take_spans(take, rows)?, ..BlockIndex::default() };
        let mut end = from;
        let mut place = |len: u32| {
            let place = Place { offset: end, len };
            end = end.checked_add(len)?;
            Some(place)
        };
        for _ in 0..take.count()? {
            let rows = take.varint32().filter(|rows| *rows <= LINES_READ_MAX)?;
            let mut next = || place(take.varint32()?);
            let (tick, base, shape) = (next()?, next()?, next()?);
            let spans = take_line_spans(take, index.spans.len(), rows)?;
            index.sources.push(SourceIndex { rows, tick, base, shape, shapes: Vec::new(), spans });
        }
        let (mut expected, mut last_times) = (0i64, None);
        for _ in 0..take.count()? {
            let source = take.varint32().filter(|source| (*source as usize) < index.sources.len())?;
            let packed = take.varint()?;
            let series = u32::try_from(expected.checked_add(unzigzag(packed >> 1))?).ok()?;
            expected = i64::from(series) + 1;
            let values = place(take.varint32()?)?;
            let mut times = None;
            if packed & 1 == 1 {
                let len = take.varint32()?;
                times = if len > 0 { Some(place(len)?) } else { Some(last_times?) };
                last_times = times;
            }
            index.columns.push(ColumnIndex { series, source, values, times });
        }
        for source in &mut index.sources {
            for _ in 0..take.count()? {
                source.shapes.push(Shape::take(take, index.columns.len() as u32)?.into());
            }
        }
        Some(index)
    }

    /// Puts in how long each stream has become, in the order of [`BlockIndex::streams`].
    pub fn set_lengths(&mut self, lengths: &[u32]) {
        let mut lengths = lengths.iter().copied();
        let mut set = |place: &mut Place| place.len = lengths.next().unwrap_or(0);
        for source in &mut self.sources {
            [&mut source.tick, &mut source.base, &mut source.shape].into_iter().for_each(&mut set);
        }
        for column in &mut self.columns {
            set(&mut column.values);
            column.times.iter_mut().for_each(&mut set);
        }
    }

    /// Describes the open block.
    pub fn of(head: &Head, epoch: &dyn Fn(u32) -> Option<Epoch>) -> BlockIndex {
        let mut end = 0u32;
        let mut place = |len: usize| {
            let place = Place { offset: end, len: len as u32 };
            end = end.wrapping_add(len as u32);
            place
        };
        let source = |source: &crate::head::Source, place: &mut dyn FnMut(usize) -> Place| SourceIndex {
            rows: source.rows,
            tick: place(source.tick.len()),
            base: place(source.base.len()),
            shape: place(source.shape.len()),
            shapes: source.shapes.clone(),
            spans: source.spans.clone(),
        };
        let column = |column: &crate::head::Column, place: &mut dyn FnMut(usize) -> Place| ColumnIndex {
            series: column.series,
            source: column.source,
            values: place(column.values.len()),
            times: column.times.as_ref().map(|times| place(times.len())),
        };
        BlockIndex {
            spans: head.spans.iter().map(|span| (*span, epoch(span.epoch))).collect(),
            sources: head.sources.iter().map(|s| source(s, &mut place)).collect(),
            columns: head.columns.iter().map(|c| column(c, &mut place)).collect(),
            rows: head.rows,
            kept: None,
        }
    }
}

/// Reads which lines are of which span.
fn take_line_spans(take: &mut Take<'_>, spans: usize, rows: u32) -> Option<Vec<(u32, u32)>> {
    let (mut found, mut line): (Vec<(u32, u32)>, u32) = (Vec::new(), 0);
    for _ in 0..take.count()? {
        let number = take.varint32().filter(|number| (*number as usize) < spans)?;
        line = line.checked_add(take.varint32()?).filter(|line| *line <= rows)?;
        if found.last().is_some_and(|(last, _)| *last >= number) {
            return None;
        }
        found.push((number, line));
    }
    Some(found)
}

/// What stands before a sealed block's groups: enough to keep the block in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Meta {
    pub index_bytes: u32,
    pub table_bytes: u32,
    pub series: u32,
    pub rows: u32,
    pub first: RowId,
    pub end: RowId,
    pub epochs: (u32, u32),
    pub oldest: i64,
    pub newest: i64,
    pub directory_bytes: u32,
}

impl Meta {
    pub fn put(&self, out: &mut Vec<u8>) {
        for number in [self.index_bytes, self.table_bytes, self.series, self.rows] {
            put_u32(out, number);
        }
        for id in [self.first, self.end] {
            put_u32(out, id.opening);
            put_u64(out, id.n);
        }
        put_i64(out, self.oldest);
        put_i64(out, self.newest);
        put_u32(out, self.epochs.0);
        put_u32(out, self.epochs.1);
        put_u32(out, self.directory_bytes);
    }

    pub fn take(bytes: &[u8]) -> Option<Meta> {
        let take = &mut Take::new(bytes.get(..META_HEAD)?);
        let [index_bytes, table_bytes, series, rows] = [take.u32()?, take.u32()?, take.u32()?, take.u32()?];
        let first = RowId { opening: take.u32()?, n: take.u64()? };
        let end = RowId { opening: take.u32()?, n: take.u64()? };
        let (oldest, newest) = (take.i64()?, take.i64()?);
        let epochs = (take.u32()?, take.u32()?);
        let directory_bytes = take.u32()?;
        let sane = first.n < NUMBER_MAX && end.n < NUMBER_MAX;
        sane.then_some(Meta {
            index_bytes,
            table_bytes,
            series,
            rows,
            first,
            end,
            epochs,
            oldest,
            newest,
            directory_bytes,
        })
    }

    /// Returns the bytes before the streams, as they were before they were squeezed.
    pub fn bytes(&self) -> Option<u32> {
        self.index_bytes.checked_add(self.table_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An index with two spans, two sources and columns of all kinds.
    fn index() -> BlockIndex {
        let place = |len| Place { offset: 0, len };
        let span = |first, n| Span { first, id: RowId { opening: 3, n }, epoch: 7, tick_min: -5, tick_max: 90_000 };
        let source = |rows, spans| {
            let shapes = vec![Shape::of(&[0, 1, 2]).into(), Shape::of(&[2, 0]).into()];
            SourceIndex { rows, tick: place(9), base: place(300), shape: place(4), shapes, spans }
        };
        let column = |series, source, own: bool| ColumnIndex {
            series,
            source,
            values: place(series),
            times: own.then(|| place(70_000)),
        };
        BlockIndex {
            spans: vec![(span(0, 10), None), (span(40, 99), None)],
            sources: vec![source(100, vec![(0, 0), (1, 33)]), source(0, vec![])],
            columns: vec![column(5, 0, false), column(6, 0, true), column(4_000_000_000, 1, false), column(0, 0, true)],
            rows: 300,
            kept: None,
        }
    }

    #[test]
    fn an_index_comes_back_and_every_part_of_one_is_refused() {
        let (index, mut out) = (index(), Vec::new());
        index.put(&mut out);
        let found = BlockIndex::take(&mut Take::new(&out), 300, 1_000).expect("what was written");
        assert_eq!((found.spans.clone(), found.rows), (index.spans.clone(), 300));
        let mut end = 1_000;
        for which in index.streams() {
            let place = found.place(which);
            assert_eq!(place, Place { offset: end, len: index.place(which).len }, "{which:?}");
            end += place.len;
        }
        for (found, written) in found.sources.iter().zip(&index.sources) {
            assert_eq!((found.rows, &found.spans, &found.shapes), (written.rows, &written.spans, &written.shapes));
        }
        let series: Vec<u32> = found.columns.iter().map(|column| column.series).collect();
        assert_eq!(series, [5, 6, 4_000_000_000, 0]);
        assert!((0..out.len()).all(|cut| BlockIndex::take(&mut Take::new(&out[..cut]), 300, 0).is_none()));
        assert!(BlockIndex::take(&mut Take::new(&out), 39, 0).is_none(), "a span behind the last row");
    }

    #[test]
    fn any_bytes_are_an_index_or_none() {
        let (mut whole, mut seed, mut taken) = (Vec::new(), 0x9e37_79b9_7f4a_7c15u64, 0);
        index().put(&mut whole);
        for _ in 0..50_000 {
            let mut bytes = whole.clone();
            for _ in 0..3 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = (seed >> 33) as usize % bytes.len();
                bytes[at] = [(seed >> 20) as u8, 0xff, 0x80, 0][(seed >> 12) as usize % 4];
            }
            if let Some(found) = BlockIndex::take(&mut Take::new(&bytes), 300, 0) {
                taken += 1;
                assert!(found.columns.len() + found.sources.len() <= bytes.len());
                assert!(found.streams().all(|which| found.place(which).len < u32::MAX));
            }
        }
        assert!(taken > 1_000, "{taken}");
        let mut meta = Vec::new();
        Meta { rows: 7, directory_bytes: 9, ..Meta::default() }.put(&mut meta);
        assert_eq!(meta.len(), META_HEAD);
        assert_eq!(Meta::take(&meta).map(|meta| (meta.rows, meta.directory_bytes)), Some((7, 9)));
        assert_eq!(Meta::take(&meta[1..]), None);
    }
}
