//! Reading beside the writer: a snapshot of which blocks there are, then one series after the other.
//!
//! The lock is held to find the series and blocks, and to copy one stream of the open block at a time, from the last
//! mark before what is wanted; never while
//! the medium is read or a visitor runs. A block that is sealed meanwhile is found again on the medium: the columns
//! have the same values. A page that was overwritten ends the selection with an error; a damaged page costs the rest of
//! the columns that go through it, is counted once, and the others are served.

mod gather;
pub(crate) mod known;
mod lines;
mod newest;
mod plan;
pub(crate) mod share;
pub(crate) mod texts;

use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

use model::{Labels, Matcher, Querier, SelectError, Steps, TimeRange, UnixMs};

use crate::blob::{Fault, Pages};
use crate::cells::FamilyInfo;
use crate::column::ColumnReader;
use crate::drive::{head_range, stats};
use crate::epochs::Epochs;
use crate::groups::{Groups, KEPT_BYTES_MAX, Unpacker};
use crate::head::Head;
use crate::head::track::Seek;
use crate::index::{BlockIndex, Which};
use crate::outbox::Cursor;
use crate::series::matching;
use crate::store::{Shared, Stats};
use crate::wire::Take;
use gather::{Gathered, Kept, gather};
use known::Found;
use plan::Asked;
use share::Share;

/// How many metric names' metadata are copied at a time, so that no visitor runs under the lock.
const METADATA_COPIED_MAX: usize = 64;
/// How many series are named before a writer may have its turn.
const NAMED_AT_ONCE: usize = 1_024;
/// The most damaged pages that are told apart.
const DAMAGED_MAX: usize = 4_096;

/// Reads the store from any thread.
pub struct Reader {
    pub(crate) shared: Arc<Shared>,
    /// Where this reader's outbox stopped, so that the next call goes on there without decoding again.
    pub(crate) cursor: Mutex<Option<Cursor>>,
    /// Whether it never waits for the medium.
    at_hand: bool,
}

impl Clone for Reader {
    fn clone(&self) -> Reader {
        Reader { at_hand: self.at_hand, ..Reader::new(Arc::clone(&self.shared)) }
    }
}

/// One block as a reader sees it.
pub(crate) struct View {
    pub number: u64,
    /// Where it is in the ring; `None` while it is in memory.
    pub sealed: Option<Arc<Groups>>,
    pub index: Arc<BlockIndex>,
}

/// The medium as a reader sees it.
pub(crate) struct Source<'a> {
    pub shared: &'a Shared,
    pages: Option<Pages<'a>>,
    unpacker: Unpacker,
    /// Its part of what all may keep.
    share: Share<'a>,
    damaged: Vec<(u64, u32)>,
}

impl<'a> Source<'a> {
    pub fn new(shared: &'a Shared) -> Source<'a> {
        let pages = shared.read.as_deref().map(|read| Pages::new(read, shared.file, shared.geometry));
        let mut unpacker = Unpacker::default();
        unpacker.context = shared.unpacking.lock().unwrap_or_else(PoisonError::into_inner).take();
        Source { shared, pages, unpacker, share: shared.readers.one_more(), damaged: Vec::new() }
    }

    /// Describes a sealed block, or the open or frozen one; `None` when it is damaged.
    pub fn view(&mut self, number: u64) -> Result<Option<View>, SelectError> {
        let state = self.shared.read();
        let heads = [Some(&state.head), state.frozen.as_ref()];
        if let Some(head) = heads.into_iter().flatten().find(|head| head.block == number) {
            let epochs = &state.small.epochs;
            let index = BlockIndex::of(head, &|epoch| epochs.get(epoch).copied());
            return Ok(Some(View { number, sealed: None, index: Arc::new(index) }));
        }
        let start = state.ring.get(number).map(|block| block.start).ok_or(SelectError::Overwritten)?;
        drop(state);
        let known = self.shared.known.lock().unwrap_or_else(PoisonError::into_inner).get(number, start);
        match known.map_or_else(|| self.load(number, start), Ok) {
            Ok((index, groups)) => Ok(Some(View { number, sealed: Some(groups), index })),
            Err((fault, page)) => {
                self.judge(fault, number, start, page)?;
                Ok(None)
            }
        }
    }

    /// Notes a damaged page. One of a block that has left the ring meanwhile may have been half written when it was
    /// read, so that is no damage.
    fn judge(&mut self, fault: Fault, number: u64, start: u32, page: u32) -> Result<(), SelectError> {
        if matches!(fault, Fault::Away) {
            return Err(fault.into());
        }
        let there = self.shared.read().ring.get(number).is_some_and(|block| block.start == start);
        if !there {
            return Err(SelectError::Overwritten);
        }
        self.damaged.push((number, page));
        Ok(())
    }

    fn load(&mut self, number: u64, start: u32) -> Result<Found, (Fault, u32)> {
        let pages = self.pages.as_mut().ok_or((Fault::Damaged, 0))?;
        let (meta, groups) = Groups::load(pages, number, start).map_err(|fault| (fault, 0))?;
        let mut bytes = Vec::new();
        self.unpacker.kept_bytes_max = self.share.of(KEPT_BYTES_MAX);
        groups.bytes(pages, &mut self.unpacker, (0, meta.index_bytes), &mut bytes)?;
        let from = meta.bytes().ok_or((Fault::Damaged, 0))?;
        let index = BlockIndex::take(&mut Take::new(&bytes), meta.rows, from).ok_or((Fault::Damaged, 0))?;
        let found = (Arc::new(index), Arc::new(groups));
        self.shared.known.lock().unwrap_or_else(PoisonError::into_inner).put(number, &found);
        Ok(found)
    }

    /// Copies a stream; of one in the open block what lies behind an offset, of one in a sealed block all of it. What
    /// is behind a damaged page is missing.
    pub fn stream(&mut self, view: &mut View, which: Which, from: usize, out: &mut Vec<u8>) -> Result<(), SelectError> {
        out.clear();
        let head = self.with_head(view, &mut |head| head.copy(which, from, out))?;
        if head.is_some() {
            return Ok(());
        }
        self.sealed_stream(view, which, out)
    }

    /// Copies a stream from somewhere before a place on, and returns a reader that begins there.
    pub fn seek(
        &mut self,
        view: &mut View,
        which: Which,
        seek: Seek,
        out: &mut Vec<u8>,
    ) -> Result<ColumnReader, SelectError> {
        out.clear();
        if let Some(reader) = self.with_head(view, &mut |head| head.seek(which, seek, out))? {
            return Ok(ColumnReader::Open(reader));
        }
        self.sealed_stream(view, which, out)?;
        // Nothing can be read of a column whose first page is damaged.
        Ok(ColumnReader::sealed(out).unwrap_or_default())
    }

    /// Runs something with a block that is still in memory, under the lock; one that was sealed meanwhile is looked up
    /// on the medium.
    fn with_head<T>(&mut self, view: &mut View, run: &mut dyn FnMut(&Head) -> T) -> Result<Option<T>, SelectError> {
        if view.sealed.is_some() {
            return Ok(None);
        }
        let state = self.shared.read();
        let heads = [Some(&state.head), state.frozen.as_ref()];
        if let Some(head) = heads.into_iter().flatten().find(|head| head.block == view.number) {
            return Ok(Some(run(head)));
        }
        drop(state);
        *view = self.view(view.number)?.ok_or(SelectError::Overwritten)?;
        Ok(None)
    }

    fn sealed_stream(&mut self, view: &mut View, which: Which, out: &mut Vec<u8>) -> Result<(), SelectError> {
        let place = view.index.place(which);
        let (Some(groups), Some(pages)) = (&view.sealed, self.pages.as_mut()) else { return Ok(()) };
        self.unpacker.kept_bytes_max = self.share.of(KEPT_BYTES_MAX);
        match groups.bytes(pages, &mut self.unpacker, (place.offset, place.len), out) {
            Ok(()) => Ok(()),
            Err((fault, page)) => {
                let start = groups.start;
                self.judge(fault, view.number, start, page)
            }
        }
    }
}

impl Drop for Source<'_> {
    fn drop(&mut self) {
        if self.unpacker.context.is_some() {
            *self.shared.unpacking.lock().unwrap_or_else(PoisonError::into_inner) = self.unpacker.context.take();
        }
        if !self.damaged.is_empty() {
            let mut known = self.shared.damaged.lock().unwrap_or_else(PoisonError::into_inner);
            known.extend(self.damaged.drain(..));
            while known.len() > DAMAGED_MAX {
                known.pop_first();
            }
        }
    }
}

/// Which column of which view holds samples of which series.
struct Hit {
    series: u32,
    view: u32,
    column: u32,
}

/// The series and blocks that a selection is about, as they were at one moment.
struct Chosen {
    series: Vec<(u32, Labels)>,
    blocks: Vec<u64>,
    epochs: Epochs,
}

/// What a selection found before it reads any value.
struct Selection {
    series: Vec<(u32, Labels)>,
    views: Vec<View>,
    hits: Vec<Hit>,
    epochs: Epochs,
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>) -> Reader {
        Reader { shared, cursor: Mutex::new(None), at_hand: false }
    }

    /// Returns one that answers at once or not at all: what would have to wait for the medium, or read much of it, ends
    /// with [`SelectError::Stopped`].
    #[must_use]
    pub fn at_hand(&self) -> Reader {
        Reader { at_hand: true, ..self.clone() }
    }

    /// Returns whether somebody writes just now, so that a reader would wait.
    pub fn is_busy(&self) -> bool {
        self.shared.is_written()
    }

    fn source(&self) -> Source<'_> {
        let mut source = Source::new(&self.shared);
        if self.at_hand {
            source.pages = source.pages.take().map(Pages::at_hand);
        }
        source
    }

    /// Returns what is counted.
    pub fn stats(&self) -> Stats {
        let mut stats = stats(&self.shared.read(), self.shared.geometry.ring_pages());
        stats.damaged_pages += self.shared.damaged.lock().unwrap_or_else(PoisonError::into_inner).len() as u64;
        stats
    }

    /// Returns the wall time that rows appended now are labelled with; see [`crate::Store::wall_of`].
    pub fn wall_of(&self, now: model::Now) -> UnixMs {
        crate::clock::wall(self.shared.read().small.epochs.newest(), now)
    }

    /// Returns type, help and unit of a metric name.
    pub fn metadata(&self, name: &str) -> Option<FamilyInfo> {
        self.shared.read().small.families.get(name).cloned()
    }

    /// Visits type, help and unit of every metric name, in ascending order.
    pub fn each_metadata(&self, visit: &mut dyn FnMut(&str, &FamilyInfo)) {
        let mut after: Option<String> = None;
        loop {
            let from = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            let state = self.shared.read();
            let some = state.small.families.range::<str, _>((from, Bound::Unbounded)).take(METADATA_COPIED_MAX);
            let some: Vec<(String, FamilyInfo)> = some.map(|(name, family)| (name.clone(), family.clone())).collect();
            drop(state);
            some.iter().for_each(|(name, family)| visit(name, family));
            let Some((last, _)) = some.into_iter().next_back() else { return };
            after = Some(last);
        }
    }

    /// Returns the series that have the labels which must be equal, ascending, and the blocks and epochs of a range.
    fn candidates(&self, matchers: &[Matcher], range: TimeRange) -> (Vec<u32>, Vec<u64>, Epochs) {
        let state = self.shared.read();
        let mut candidates = state.index.candidates(matchers);
        let epochs = state.small.epochs.clone();
        let overlaps =
            |(oldest, newest): (i64, i64)| range.overlaps(&TimeRange { start: UnixMs(oldest), end: UnixMs(newest) });
        let sealed = state.ring.blocks.iter().filter(|block| overlaps((block.oldest, block.newest)));
        let mut blocks: Vec<u64> = sealed.map(|block| block.number).collect();
        let heads = [state.frozen.as_ref(), Some(&state.head)].into_iter().flatten();
        blocks.extend(heads.filter(|head| head_range(&state, head).is_some_and(overlaps)).map(|head| head.block));
        drop(state);
        candidates.sort_unstable();
        (candidates, blocks, epochs)
    }

    /// Returns those that all matchers accept; the lock is not held while patterns are matched, and for a part of the
    /// series at a time while their labels are put together.
    fn matching(&self, candidates: &[u32], matchers: &[Matcher]) -> Vec<(u32, Labels)> {
        let mut series = Vec::new();
        for some in candidates.chunks(NAMED_AT_ONCE) {
            let named = self.shared.read().index.named(some);
            series.extend(matching(named, matchers));
        }
        series
    }

    /// Chooses series and blocks.
    fn choose(&self, matchers: &[Matcher], range: TimeRange) -> Chosen {
        let (candidates, mut blocks, epochs) = self.candidates(matchers, range);
        let series = self.matching(&candidates, matchers);
        if series.is_empty() {
            blocks.clear();
        }
        Chosen { series, blocks, epochs }
    }

    /// Returns which of some series, ascending by number, have anything in any of these blocks.
    fn there(&self, blocks: Vec<u64>, series: &[u32]) -> Result<Vec<bool>, SelectError> {
        let source = &mut self.source();
        let (mut there, mut left) = (vec![false; series.len()], series.len());
        for number in blocks.into_iter().rev() {
            if left == 0 {
                break;
            }
            let Some(view) = source.view(number)? else { continue };
            for column in &view.index.columns {
                if let Ok(at) = series.binary_search(&column.series) {
                    left -= usize::from(!there[at]);
                    there[at] = true;
                }
            }
        }
        Ok(there)
    }

    /// Finds the columns of the chosen series; of each block only those are kept.
    fn find(&self, source: &mut Source<'_>, chosen: Chosen) -> Result<Selection, SelectError> {
        let Chosen { series, blocks, epochs } = chosen;
        let mut found = Selection { series, views: Vec::new(), hits: Vec::new(), epochs };
        for number in blocks {
            let Some(mut view) = source.view(number)? else { continue };
            let (at, before) = (found.views.len() as u32, found.hits.len());
            for (column, place) in view.index.columns.iter().zip(0..) {
                if let Ok(series) = found.series.binary_search_by_key(&column.series, |(series, _)| *series) {
                    found.hits.push(Hit { series: series as u32, view: at, column: place });
                }
            }
            let columns: Vec<u32> = found.hits[before..].iter().map(|hit| hit.column).collect();
            if !columns.is_empty() {
                view.index = Arc::new(view.index.with_columns(columns));
                found.views.push(view);
            }
        }
        found.hits.sort_by_key(|hit| (hit.series, hit.view, hit.column));
        // Indexes lie in groups too, and are not wanted again.
        source.unpacker.forget();
        Ok(found)
    }

    /// Visits the samples of the chosen series.
    fn visit_chosen(
        &self,
        chosen: Chosen,
        asked: &Asked,
        visit: &mut model::seams::Visitor<'_>,
    ) -> Result<(), SelectError> {
        let source = &mut self.source();
        let mut found = self.find(source, chosen)?;
        let (mut kept, mut gathered) = (Kept::default(), Gathered::default());
        let hits = std::mem::take(&mut found.hits);
        for group in hits.chunk_by(|a, b| a.series == b.series) {
            gathered.clear();
            for hit in group {
                gather(source, &mut found, hit, asked, &mut kept, &mut gathered)?;
            }
            gathered.sort();
            let labels = &found.series[group[0].series as usize].1;
            if !gathered.at.is_empty() && !visit(labels, gathered.samples()) {
                return Err(SelectError::Stopped);
            }
        }
        Ok(())
    }
}

impl Querier for Reader {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        visit: &mut model::seams::Visitor<'_>,
    ) -> Result<(), SelectError> {
        self.visit_chosen(self.choose(matchers, range), &Asked { range, steps: None }, visit)
    }

    fn select_newest(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        visit: &mut model::seams::Visitor<'_>,
    ) -> Result<(), SelectError> {
        let mut chosen = self.choose(matchers, range);
        self.visit_at_hand(&mut chosen, range, visit)?;
        self.visit_chosen(chosen, &Asked { range, steps: Some(Steps::once(range.end)) }, visit)
    }

    fn select_steps(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        steps: Steps,
        visit: &mut model::seams::Visitor<'_>,
    ) -> Result<(), SelectError> {
        self.visit_chosen(self.choose(matchers, range), &Asked { range, steps: Some(steps) }, visit)
    }

    fn series(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        visit: &mut dyn FnMut(&Labels) -> bool,
    ) -> Result<(), SelectError> {
        let Chosen { series, blocks, .. } = self.choose(matchers, range);
        let numbers: Vec<u32> = series.iter().map(|(series, _)| *series).collect();
        let there = self.there(blocks, &numbers)?;
        for ((_, labels), there) in series.iter().zip(there) {
            if there && !visit(labels) {
                return Err(SelectError::Stopped);
            }
        }
        Ok(())
    }
}
