//! The labels that series have, each kept once: a name and a value as one number.
//!
//! Series share most of their labels: the metric's name, the target, a path. So a label set is kept as a few numbers,
//! a fifth of its bytes and less, and what all names and values are is told without looking at the series. A label
//! leaves with the last series that has it; its bytes are closed up when half of them are of no use any more.

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

use model::labels::PackedIter;

use crate::numbers::NumberMap;

const NONE: u32 = u32::MAX;
/// What a label takes beside its bytes: its entry and a place in a map that is half full, rounded up.
pub(crate) const PAIR_BYTES: usize = 48;
/// Bytes of no use below this are not worth closing up.
const WASTE_MIN: usize = 16 << 10;

struct Pair {
    start: u32,
    bytes: u32,
    /// How many series have it; 0: its number is free.
    uses: u32,
    /// The next one with the same hash.
    same_hash: u32,
}

/// The labels, by number.
#[derive(Default)]
pub(crate) struct Pairs {
    pairs: Vec<Pair>,
    /// Of each label its packed form.
    bytes: Vec<u8>,
    by_hash: NumberMap<u32>,
    free: Vec<u32>,
    waste: usize,
}

/// Returns the labels of a packed set, each packed.
pub(crate) fn pairs_of(packed: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut at = 0;
    PackedIter::new(packed).map(move |(name, value)| {
        let start = at;
        at += 4 + name.len() + value.len();
        packed.get(start..at).unwrap_or_default()
    })
}

impl Pairs {
    /// Returns about how much memory the labels take.
    pub fn memory_bytes(&self) -> usize {
        self.bytes.len() + (self.pairs.len() - self.free.len()) * PAIR_BYTES
    }

    /// Returns whether so many more bytes can be numbered.
    pub fn has_room_for(&self, bytes: usize) -> bool {
        u32::try_from(self.bytes.len() + bytes).is_ok() && self.pairs.len() < NONE as usize / 2
    }

    /// Returns below which number all labels are.
    pub fn numbers(&self) -> usize {
        self.pairs.len()
    }

    /// Returns a label in its packed form.
    pub fn get(&self, number: u32) -> &[u8] {
        let found = self.pairs.get(number as usize).and_then(|pair| self.bytes.get(range(pair)));
        found.unwrap_or_default()
    }

    /// Returns the number of a packed label.
    pub fn find(&self, packed: &[u8], hasher: &RandomState) -> Option<u32> {
        let mut at = *self.by_hash.get(&hash(packed, hasher))?;
        while let Some(pair) = self.pairs.get(at as usize) {
            if self.get(at) == packed {
                return Some(at);
            }
            at = pair.same_hash;
        }
        None
    }

    /// Returns the number of a packed label that one more series has, made where it is new.
    pub fn take(&mut self, packed: &[u8], hasher: &RandomState) -> u32 {
        if let Some(found) = self.find(packed, hasher) {
            self.pairs[found as usize].uses += 1;
            return found;
        }
        let number = self.free.pop().unwrap_or(self.pairs.len() as u32);
        let same_hash = self.by_hash.insert(hash(packed, hasher), number).unwrap_or(NONE);
        let pair = Pair { start: self.bytes.len() as u32, bytes: packed.len() as u32, uses: 1, same_hash };
        self.bytes.extend_from_slice(packed);
        match self.pairs.get_mut(number as usize) {
            Some(place) => *place = pair,
            None => self.pairs.push(pair),
        }
        number
    }

    /// Notes that one series less has a label.
    pub fn leave(&mut self, number: u32, hasher: &RandomState) {
        let pair = &mut self.pairs[number as usize];
        pair.uses -= 1;
        if pair.uses > 0 {
            return;
        }
        let (next, length, key) = (pair.same_hash, pair.bytes as usize, hash(self.get(number), hasher));
        match self.by_hash.get_mut(&key) {
            Some(first) if *first == number && next == NONE => _ = self.by_hash.remove(&key),
            Some(first) if *first == number => *first = next,
            first => {
                let mut at = first.map_or(NONE, |first| *first);
                while let Some(other) = self.pairs.get_mut(at as usize) {
                    if other.same_hash == number {
                        other.same_hash = next;
                        break;
                    }
                    at = other.same_hash;
                }
            }
        }
        self.free.push(number);
        self.waste += length;
    }

    /// Closes up the bytes where half of them are of no use.
    pub fn close_up(&mut self) {
        if self.waste * 2 < self.bytes.len().max(WASTE_MIN) {
            return;
        }
        let mut kept = Vec::with_capacity(self.bytes.len() - self.waste);
        for pair in self.pairs.iter_mut().filter(|pair| pair.uses > 0) {
            let from = range(pair);
            pair.start = kept.len() as u32;
            kept.extend_from_slice(&self.bytes[from]);
        }
        (self.bytes, self.waste) = (kept, 0);
    }

    /// Visits every label, a name and a value.
    pub fn each(&self, visit: &mut dyn FnMut(&str, &str)) {
        for pair in self.pairs.iter().filter(|pair| pair.uses > 0) {
            PackedIter::new(&self.bytes[range(pair)]).for_each(|(name, value)| visit(name, value));
        }
    }
}

fn range(pair: &Pair) -> Range<usize> {
    pair.start as usize..(pair.start + pair.bytes) as usize
}

fn hash(packed: &[u8], hasher: &RandomState) -> u32 {
    hasher.hash_one(packed) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::labels::push_packed;

    fn packed(name: &str, value: &str) -> Vec<u8> {
        let mut out = Vec::new();
        push_packed(&mut out, name, value);
        out
    }

    #[test]
    fn labels_come_and_go_with_the_series_that_have_them() {
        let (mut pairs, hasher) = (Pairs::default(), RandomState::new());
        let mut model: std::collections::BTreeMap<(String, String), (u32, u32)> = Default::default();
        let mut seed = 7u64;
        for _ in 0..60_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (name, value) = (format!("n{}", (seed >> 60) % 4), format!("value {}", (seed >> 40) % 900));
            let form = packed(&name, &value);
            if (seed >> 33).is_multiple_of(2) {
                let number = pairs.take(&form, &hasher);
                let known = model.entry((name, value)).or_insert((number, 0));
                assert_eq!(known.0, number);
                known.1 += 1;
            } else if let Some(known) = model.get_mut(&(name.clone(), value.clone())) {
                pairs.leave(known.0, &hasher);
                known.1 -= 1;
                if known.1 == 0 {
                    model.remove(&(name, value));
                    assert_eq!(pairs.find(&form, &hasher), None);
                }
            }
            pairs.close_up();
        }
        assert!(model.len() > 1_000);
        let mut seen = std::collections::BTreeSet::new();
        pairs.each(&mut |name, value| assert!(seen.insert((name.to_owned(), value.to_owned()))));
        assert!(seen.iter().eq(model.keys()));
        for ((name, value), (number, _)) in &model {
            assert_eq!(
                (pairs.find(&packed(name, value), &hasher), pairs.get(*number)),
                (Some(*number), &*packed(name, value))
            );
        }
        let live: usize = model.keys().map(|(name, value)| 4 + name.len() + value.len()).sum();
        assert!(pairs.bytes.len() <= (2 * live).max(live + WASTE_MIN), "{} of {live}", pairs.bytes.len());
        for (number, uses) in model.into_values() {
            (0..uses).for_each(|_| pairs.leave(number, &hasher));
        }
        pairs.close_up();
        assert_eq!((pairs.bytes.len(), pairs.by_hash.len(), pairs.memory_bytes()), (0, 0, 0));
    }
}
