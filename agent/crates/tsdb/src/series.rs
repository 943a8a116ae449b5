//! Which series there are: label sets by number and numbers by label set.
//!
//! A series keeps its number for as long as any block of the ring names it, also across restarts; numbers are never
//! given twice. The index is bounded by `series_max`: a new series beyond it is refused, old ones go on. A series
//! leaves when the last block that names it leaves the ring.
//!
//! A label set is kept as the numbers of its labels (see `pairs`) and put together when somebody wants to see it: at a
//! hundred thousand series that is 3 MB where the sets were 18. There are no postings: a selection walks all series,
//! which for a board's few thousand costs less than keeping lists would; labels that must be equal are compared as
//! numbers first.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use model::labels::{PackedIter, push_packed};
use model::limits::LABEL_BYTES_MAX;
use model::{Labels, MatchOp, Matcher};

use crate::numbers::NumberMap;
use crate::pairs::{PAIR_BYTES, Pairs, pairs_of};

const NONE: u32 = u32::MAX;
/// What a series takes beside its labels: its entry and two places in maps that are half full.
const SERIES_BYTES: usize = 96;
/// Numbers of no use below this are not worth closing up.
const WASTE_MIN: usize = 4 << 10;

struct Entry {
    /// Where the numbers of its labels are.
    start: u32,
    labels: u32,
    last_block: u64,
    /// The next entry whose label set has the same hash.
    same_hash: u32,
}

/// The index.
pub(crate) struct Index {
    entries: NumberMap<Entry>,
    by_hash: NumberMap<u32>,
    hasher: RandomState,
    pairs: Pairs,
    /// The numbers of the labels of every series.
    numbers: Vec<u32>,
    /// How many of them are of no use any more.
    waste: usize,
    next: u32,
    label_bytes: usize,
    series_max: usize,
    bytes_max: usize,
}

impl Index {
    pub fn new(series_max: usize) -> Index {
        Index {
            entries: NumberMap::default(),
            by_hash: NumberMap::default(),
            hasher: RandomState::new(),
            pairs: Pairs::default(),
            numbers: Vec::new(),
            waste: 0,
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
        self.pairs.memory_bytes() + self.numbers.len() * size_of::<u32>() + self.entries.len() * SERIES_BYTES
    }

    /// Returns whether another series may be added.
    pub fn has_memory_for(&self, labels: &Labels) -> bool {
        let new = pairs_of(labels.packed()).filter(|pair| self.pairs.find(pair, &self.hasher).is_none());
        let bytes = new.map(|pair| pair.len() + PAIR_BYTES).sum::<usize>() + labels.len() * size_of::<u32>();
        self.memory_bytes() + bytes + SERIES_BYTES <= self.bytes_max
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns how many bytes the label sets have.
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

    /// Returns whether a series is there.
    pub fn contains(&self, series: u32) -> bool {
        self.entries.contains_key(&series)
    }

    /// Returns a series' labels, put together.
    pub fn labels(&self, series: u32) -> Option<Labels> {
        self.entries.get(&series).map(|entry| self.put_together(entry, &mut Vec::new()))
    }

    fn put_together(&self, entry: &Entry, packed: &mut Vec<u8>) -> Labels {
        packed.clear();
        self.numbers_of(entry).iter().for_each(|number| packed.extend_from_slice(self.pairs.get(*number)));
        Labels::from_known(packed)
    }

    fn numbers_of(&self, entry: &Entry) -> &[u32] {
        let start = entry.start as usize;
        self.numbers.get(start..start + entry.labels as usize).unwrap_or_default()
    }

    /// Returns the number of a packed label set.
    pub fn find(&self, packed: &[u8]) -> Option<u32> {
        let mut at = *self.by_hash.get(&self.hash(packed))?;
        while at != NONE {
            let entry = self.entries.get(&at)?;
            if self.is_set(entry, packed) {
                return Some(at);
            }
            at = entry.same_hash;
        }
        None
    }

    fn is_set(&self, entry: &Entry, packed: &[u8]) -> bool {
        let mut rest = Some(packed);
        for number in self.numbers_of(entry) {
            rest = rest.and_then(|rest| rest.strip_prefix(self.pairs.get(*number)));
        }
        rest.is_some_and(<[u8]>::is_empty)
    }

    fn hash(&self, packed: &[u8]) -> u32 {
        self.hasher.hash_one(packed) as u32
    }

    /// Adds a label set that is not there yet; `None` when the index is full.
    pub fn add(&mut self, labels: &Labels, block: u64) -> Option<u32> {
        if self.entries.len() >= self.series_max || self.next == NONE || !self.has_numbers_for(labels) {
            return None;
        }
        let series = self.next;
        self.insert(series, labels, block);
        Some(series)
    }

    /// Returns whether there are numbers left for a series' labels, of which there are more than memory has room for.
    fn has_numbers_for(&self, labels: &Labels) -> bool {
        self.numbers.len() < NONE as usize / 2 && self.pairs.has_room_for(labels.packed().len())
    }

    /// Puts in a series as the file names it; the newest block that names it counts.
    pub fn insert(&mut self, series: u32, labels: &Labels, block: u64) {
        self.keep_below(series.saturating_add(1));
        if let Some(entry) = self.entries.get_mut(&series) {
            entry.last_block = entry.last_block.max(block);
            return;
        }
        if !self.has_numbers_for(labels) {
            return;
        }
        let start = self.numbers.len() as u32;
        for pair in pairs_of(labels.packed()) {
            self.numbers.push(self.pairs.take(pair, &self.hasher));
        }
        let same_hash = self.by_hash.insert(self.hash(labels.packed()), series).unwrap_or(NONE);
        self.label_bytes += labels.packed().len();
        let labels = self.numbers.len() as u32 - start;
        self.entries.insert(series, Entry { start, labels, last_block: block, same_hash });
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
        self.pairs.close_up();
        if self.waste * 2 >= self.numbers.len().max(WASTE_MIN) {
            self.close_up();
        }
    }

    fn close_up(&mut self) {
        let mut kept = Vec::with_capacity(self.numbers.len() - self.waste);
        for entry in self.entries.values_mut() {
            let from = entry.start as usize..(entry.start + entry.labels) as usize;
            entry.start = kept.len() as u32;
            kept.extend_from_slice(&self.numbers[from]);
        }
        (self.numbers, self.waste) = (kept, 0);
    }

    fn remove(&mut self, series: u32) {
        let Some(entry) = self.entries.remove(&series) else { return };
        let labels = self.put_together(&entry, &mut Vec::new());
        self.label_bytes -= labels.packed().len();
        for at in entry.start..entry.start + entry.labels {
            self.pairs.leave(self.numbers[at as usize], &self.hasher);
        }
        self.waste += entry.labels as usize;
        let hash = self.hash(labels.packed());
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

    /// Returns the series that may match, in no order: those that have the labels which must be equal. What else the
    /// matchers say is for [`matching`], which may take long and needs no lock.
    pub fn candidates(&self, matchers: &[Matcher]) -> Vec<u32> {
        let (mut wanted, mut packed) = (HashSet::new(), Vec::new());
        for matcher in matchers.iter().filter(|matcher| matcher.op == MatchOp::Equal && !matcher.value.is_empty()) {
            packed.clear();
            if matcher.name.len().max(matcher.value.len()) > LABEL_BYTES_MAX {
                return Vec::new();
            }
            push_packed(&mut packed, &matcher.name, &matcher.value);
            let Some(number) = self.pairs.find(&packed, &self.hasher) else { return Vec::new() };
            wanted.insert(number);
        }
        let has_all = |entry: &&Entry| wanted.iter().all(|number| self.numbers_of(entry).contains(number));
        let found = self.entries.iter().filter(|(_, entry)| has_all(entry));
        found.map(|(series, _)| *series).collect()
    }

    /// Returns the labels of these series; those that have gone meanwhile are left out.
    pub fn named(&self, series: &[u32]) -> Vec<(u32, Labels)> {
        let mut packed = Vec::new();
        let entries = series.iter().filter_map(|series| Some((*series, self.entries.get(series)?)));
        entries.map(|(series, entry)| (series, self.put_together(entry, &mut packed))).collect()
    }

    /// Visits every label that any series has, once: a name and a value.
    pub fn each_label(&self, visit: &mut dyn FnMut(&str, &str)) {
        self.pairs.each(visit);
    }

    /// Visits every label that any of these series has, once: a name and a value.
    pub fn each_label_of(&self, series: &[u32], visit: &mut dyn FnMut(&str, &str)) {
        let mut is_seen = vec![false; self.pairs.numbers()];
        for entry in series.iter().filter_map(|series| self.entries.get(series)) {
            for number in self.numbers_of(entry) {
                if let Some(is_seen) = is_seen.get_mut(*number as usize).filter(|is_seen| !**is_seen) {
                    *is_seen = true;
                    PackedIter::new(self.pairs.get(*number)).for_each(|(name, value)| visit(name, value));
                }
            }
        }
    }
}

/// Returns those that all matchers accept, in their order.
pub(crate) fn matching(mut found: Vec<(u32, Labels)>, matchers: &[Matcher]) -> Vec<(u32, Labels)> {
    found.retain(|(_, labels)| matchers.iter().all(|matcher| matcher.matches_labels(labels)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(index: &Index, matchers: &[Matcher]) -> Vec<(u32, Labels)> {
        let mut found = index.candidates(matchers);
        found.sort_unstable();
        index.named(&found)
    }

    fn labels(n: u32) -> Labels {
        Labels::from_pairs([("__name__", "m"), ("n", n.to_string().as_str())])
    }

    #[test]
    fn series_are_found_kept_and_forgotten() {
        let mut index = Index::new(3);
        let numbers: Vec<u32> = (0..3).map(|n| index.add(&labels(n), u64::from(n)).expect("room")).collect();
        assert_eq!(index.add(&labels(3), 3), None);
        assert_eq!(index.find(labels(1).packed()), Some(numbers[1]));
        index.seen(numbers[0], 9);
        index.forget_before(2);
        assert_eq!((index.len(), index.find(labels(1).packed())), (2, None));
        assert_eq!(index.add(&labels(3), 9), Some(3));
        let matchers = [Matcher::equal("__name__", "m"), Matcher::equal("n", "3")];
        let found = matching(candidates(&index, &matchers), &matchers);
        assert_eq!(found, [(3, labels(3))]);
        index.forget_before(10);
        assert_eq!((index.len(), index.label_bytes(), index.by_hash.len()), (0, 0, 0));
        index.each_label(&mut |name, value| panic!("{name}={value} is nobody's"));
    }

    /// Series come and go for long, as with containers: what they leave behind is closed up, and all others are found.
    #[test]
    fn what_comes_and_goes_takes_no_more_than_what_is_there() {
        let set = |n: u32| {
            let (n, shard, path) = (n.to_string(), (n % 7).to_string(), format!("/api/{}", n % 50));
            Labels::from_pairs([("__name__", "m"), ("n", &n), ("shard", &shard), ("path", &path), ("job", "j")])
        };
        let mut index = Index::new(10_000);
        for block in 0..200u32 {
            for n in block * 50..block * 50 + 500 {
                match index.find(set(n).packed()) {
                    Some(series) => index.seen(series, u64::from(block)),
                    None => _ = index.add(&set(n), u64::from(block)).expect("room"),
                }
            }
            index.forget_before(u64::from(block.saturating_sub(3)));
            assert!(index.len() <= 500 + 4 * 50, "{}", index.len());
            assert!(index.numbers.len() <= 2 * 5 * index.len() + WASTE_MIN, "{}", index.numbers.len());
        }
        let there: Vec<u32> = (0..11_000).filter(|n| index.find(set(*n).packed()).is_some()).collect();
        assert_eq!(there.len(), index.len());
        for n in there {
            let series = index.find(set(n).packed()).expect("it is there");
            assert_eq!(index.labels(series), Some(set(n)));
        }
        let matchers = [Matcher::equal("path", "/api/3"), Matcher::equal("shard", "0"), Matcher::equal("none", "")];
        let mut found = matching(candidates(&index, &matchers), &matchers);
        found.retain(|(_, labels)| labels.get("path") != Some("/api/3") || labels.get("shard") != Some("0"));
        assert_eq!(found, []);
        assert!(!index.candidates(&matchers).is_empty());
        assert!(index.candidates(&[Matcher::equal("path", "/api/none")]).is_empty());
        assert!(index.candidates(&[Matcher::equal("path", &"x".repeat(100_000))]).is_empty());
    }
}
