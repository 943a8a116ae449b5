//! Which series there are: label sets by number and numbers by label set.
//!
//! A series keeps its number for as long as any block of the ring names it, also across restarts; numbers are never
//! given twice. The index is bounded by `series_max`: a new series beyond it is refused, old ones go on. A series
//! leaves when the last block that names it leaves the ring.
//!
//! There are no postings: a selection walks all label sets, which for a board's few thousand series costs less than
//! keeping lists would; metric names are compared by hash first.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use model::{Labels, MatchOp, Matcher};

use crate::numbers::NumberMap;

const NONE: u32 = u32::MAX;
/// What a series takes beside the bytes of its labels: its entry and two places in maps that are half full, and what an
/// allocation costs.
const SERIES_BYTES: usize = 160;

struct Entry {
    labels: Labels,
    name_hash: u64,
    last_block: u64,
    /// The next entry whose label set has the same hash.
    same_hash: u32,
}

/// The index.
pub(crate) struct Index {
    entries: NumberMap<Entry>,
    by_hash: HashMap<u64, u32>,
    hasher: RandomState,
    next: u32,
    label_bytes: usize,
    series_max: usize,
    bytes_max: usize,
}

impl Index {
    pub fn new(series_max: usize) -> Index {
        Index {
            entries: NumberMap::default(),
            by_hash: HashMap::new(),
            hasher: RandomState::new(),
            next: 0,
            label_bytes: 0,
            series_max,
            bytes_max: usize::MAX,
        }
    }

    /// Sets how much memory the index may take; what is there stays.
    pub fn limit_memory(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    /// Returns about how much memory the index takes.
    pub fn memory_bytes(&self) -> usize {
        self.label_bytes + self.entries.len() * SERIES_BYTES
    }

    /// Returns whether another series may be added.
    pub fn has_memory_for(&self, labels: &Labels) -> bool {
        self.memory_bytes() + labels.packed().len() + SERIES_BYTES <= self.bytes_max
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns how many bytes the label sets take.
    pub fn label_bytes(&self) -> usize {
        self.label_bytes
    }

    /// Returns the number that the next new series gets.
    pub fn next(&self) -> u32 {
        self.next
    }

    /// Makes sure that numbers below this one are not given again.
    pub fn keep_below(&mut self, next: u32) {
        self.next = self.next.max(next);
    }

    pub fn labels(&self, series: u32) -> Option<&Labels> {
        self.entries.get(&series).map(|entry| &entry.labels)
    }

    /// Returns the number of a packed label set.
    pub fn find(&self, packed: &[u8]) -> Option<u32> {
        let mut at = *self.by_hash.get(&self.hasher.hash_one(packed))?;
        while at != NONE {
            let entry = self.entries.get(&at)?;
            if entry.labels.packed() == packed {
                return Some(at);
            }
            at = entry.same_hash;
        }
        None
    }

    /// Adds a label set that is not there yet; `None` when the index is full.
    pub fn add(&mut self, labels: Labels, block: u64) -> Option<u32> {
        if self.entries.len() >= self.series_max || self.next == NONE {
            return None;
        }
        let series = self.next;
        self.insert(series, labels, block);
        Some(series)
    }

    /// Puts in a series as the file names it; the newest block that names it counts.
    pub fn insert(&mut self, series: u32, labels: Labels, block: u64) {
        self.keep_below(series.saturating_add(1));
        if let Some(entry) = self.entries.get_mut(&series) {
            entry.last_block = entry.last_block.max(block);
            return;
        }
        let hash = self.hasher.hash_one(labels.packed());
        let name_hash = self.hasher.hash_one(labels.name());
        let same_hash = self.by_hash.insert(hash, series).unwrap_or(NONE);
        self.label_bytes += labels.packed().len();
        self.entries.insert(series, Entry { labels, name_hash, last_block: block, same_hash });
    }

    /// Notes that a block names this series.
    pub fn seen(&mut self, series: u32, block: u64) {
        if let Some(entry) = self.entries.get_mut(&series) {
            entry.last_block = entry.last_block.max(block);
        }
    }

    /// Forgets the series that no block from `oldest` on names.
    pub fn forget_before(&mut self, oldest: u64) {
        let gone: Vec<u32> = self.entries.iter().filter(|(_, e)| e.last_block < oldest).map(|(s, _)| *s).collect();
        for series in gone {
            self.remove(series);
        }
    }

    fn remove(&mut self, series: u32) {
        let Some(entry) = self.entries.remove(&series) else { return };
        self.label_bytes -= entry.labels.packed().len();
        let hash = self.hasher.hash_one(entry.labels.packed());
        let Some(first) = self.by_hash.get_mut(&hash) else { return };
        if *first == series {
            *first = entry.same_hash;
            if *first == NONE {
                self.by_hash.remove(&hash);
            }
            return;
        }
        let mut at = *first;
        while let Some(other) = self.entries.get_mut(&at) {
            if other.same_hash == series {
                other.same_hash = entry.same_hash;
                return;
            }
            at = other.same_hash;
        }
    }

    /// Returns the series that may match, in no order: those of the metric name, where a matcher names one. What the
    /// matchers say is for [`matching`], which may take long and needs no lock.
    pub fn candidates(&self, matchers: &[Matcher]) -> Vec<(u32, Labels)> {
        let name = matchers.iter().find(|m| m.op == MatchOp::Equal && m.name == model::labels::NAME);
        let name_hash = name.map(|matcher| self.hasher.hash_one(matcher.value.as_str()));
        let named = self.entries.iter().filter(|(_, entry)| name_hash.is_none_or(|hash| hash == entry.name_hash));
        named.map(|(series, entry)| (*series, entry.labels.clone())).collect()
    }

    /// Visits every label set.
    pub fn each(&self, visit: &mut dyn FnMut(&Labels)) {
        self.entries.values().for_each(|entry| visit(&entry.labels));
    }
}

/// Returns the series that all matchers accept, ascending by number.
pub(crate) fn matching(mut found: Vec<(u32, Labels)>, matchers: &[Matcher]) -> Vec<(u32, Labels)> {
    found.retain(|(_, labels)| matchers.iter().all(|matcher| matcher.matches_labels(labels)));
    found.sort_unstable_by_key(|(series, _)| *series);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(n: u32) -> Labels {
        Labels::from_pairs([("__name__", "m"), ("n", n.to_string().as_str())])
    }

    #[test]
    fn series_are_found_kept_and_forgotten() {
        let mut index = Index::new(3);
        let numbers: Vec<u32> = (0..3).map(|n| index.add(labels(n), u64::from(n)).expect("room")).collect();
        assert_eq!(index.add(labels(3), 3), None);
        assert_eq!(index.find(labels(1).packed()), Some(numbers[1]));
        index.seen(numbers[0], 9);
        index.forget_before(2);
        assert_eq!((index.len(), index.find(labels(1).packed())), (2, None));
        assert_eq!(index.add(labels(3), 9), Some(3));
        let matchers = [Matcher::equal("__name__", "m"), Matcher::equal("n", "3")];
        let found = matching(index.candidates(&matchers), &matchers);
        assert_eq!(found, [(3, labels(3))]);
        index.forget_before(10);
        assert_eq!((index.len(), index.label_bytes(), index.by_hash.len()), (0, 0, 0));
    }
}
