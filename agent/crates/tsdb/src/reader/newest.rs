//! The newest sample of each series, without reading any: the coder of the open block knows it.
//!
//! That holds for a series that was in the newest line of its one source, when nothing elsewhere can be newer: no late
//! sample with its own time, no other block or clock epoch that reaches as far. It is so for nearly every series of
//! nearly every instant query, rule and federation; whoever is left is selected as usual, which also finds what is
//! newest of a series that has just ended.

use model::{Labels, SelectError, SeriesSamples, TimeRange, UnixMs};

use super::{Chosen, Reader};
use crate::drive::head_range;
use crate::head::Head;
use crate::store::State;

/// A series' newest sample.
struct Newest {
    labels: Labels,
    at: UnixMs,
    value: f64,
    start: Option<i64>,
}

/// Which columns of the open block a series has.
#[derive(Clone, Copy, PartialEq)]
enum Has {
    None,
    One(u32),
    More,
}

impl Reader {
    /// Visits the chosen series whose newest sample is at hand and within the range, and leaves the others.
    pub(super) fn visit_at_hand(
        &self,
        chosen: &mut Chosen,
        range: TimeRange,
        visit: &mut model::seams::Visitor<'_>,
    ) -> Result<(), SelectError> {
        for newest in at_hand(&self.shared.read(), chosen, range) {
            let starts = [newest.start.map(UnixMs)];
            let samples = SeriesSamples {
                at: &[newest.at],
                floats: &[newest.value],
                histograms: &[],
                starts: if newest.start.is_some() { &starts } else { &[] },
            };
            if !visit(&newest.labels, samples) {
                return Err(SelectError::Stopped);
            }
        }
        if chosen.series.is_empty() {
            chosen.blocks.clear();
        }
        Ok(())
    }
}

/// Takes the series whose newest sample is at hand from those that were chosen.
fn at_hand(state: &State, chosen: &mut Chosen, range: TimeRange) -> Vec<Newest> {
    let head = &state.head;
    let mut has = vec![Has::None; chosen.series.len()];
    for (column, place) in head.columns.iter().zip(0..) {
        if let Ok(series) = chosen.series.binary_search_by_key(&column.series, |(series, _)| *series) {
            has[series] = if has[series] == Has::None { Has::One(place) } else { Has::More };
        }
    }
    let (elsewhere, walls) = (newest_elsewhere(state, range), walls(state, head));
    let mut found = Vec::with_capacity(has.len());
    let mut has = has.into_iter();
    chosen.series.retain(|(_, labels)| {
        let Some(Has::One(column)) = has.next() else { return true };
        let Some((span, tick, value, start)) = head.newest_of(column) else { return true };
        let Some(Some(offset)) = walls.get(span as usize) else { return true };
        let at = tick.saturating_add(offset.0);
        if at <= elsewhere || at <= offset.1 || at > range.end.0 {
            return true;
        }
        if at >= range.start.0 {
            found.push(Newest { labels: labels.clone(), at: UnixMs(at), value, start });
        }
        false
    });
    found
}

/// Returns, for each span of the open block, what its ticks are less than wall time, and how far the others reach.
fn walls(state: &State, head: &Head) -> Vec<Option<(i64, i64)>> {
    // Where an epoch has an heir, it depends on the row which date is its own.
    let ends = head.spans.iter().map(|span| {
        let epoch = state.small.epochs.get(span.epoch)?;
        let has_rows = span.tick_min <= span.tick_max;
        let end = if has_rows { epoch.range(span.tick_min, span.tick_max).1 } else { i64::MIN };
        Some((epoch.heir.is_none().then(|| epoch.wall(0)), end))
    });
    let ends: Vec<Option<(Option<i64>, i64)>> = ends.collect();
    let others = |at: usize| {
        let others = ends.iter().enumerate().filter(|(other, _)| *other != at);
        others.map(|(_, end)| end.map_or(i64::MAX, |end| end.1)).max().unwrap_or(i64::MIN)
    };
    ends.iter().enumerate().map(|(at, end)| end.and_then(|(offset, _)| Some((offset?, others(at))))).collect()
}

/// Returns how far the blocks besides the open one reach that have something within the range.
fn newest_elsewhere(state: &State, range: TimeRange) -> i64 {
    let sealed = state.ring.blocks.iter().map(|block| (block.oldest, block.newest));
    let frozen = state.frozen.as_ref().and_then(|head| head_range(state, head));
    let within = |(oldest, newest): &(i64, i64)| *oldest <= range.end.0 && *newest >= range.start.0;
    sealed.chain(frozen).filter(within).map(|(_, newest)| newest).max().unwrap_or(i64::MIN)
}
