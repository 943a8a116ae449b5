//! Indices of sealed blocks that were read lately, for all readers together.
//!
//! Reading one takes two or three pages, their checksums, unpacking and parsing: more than all else that a small query
//! does. A sealed block never changes, so what was read once stays true until the block leaves the ring; that it is
//! still there is asked of the ring each time, not here. What is kept is bounded by `KEPT_BYTES_MAX`; the one that was
//! not wanted for longest goes first.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::groups::Groups;
use crate::index::BlockIndex;

/// The most bytes of indices that are kept: those of a day of a board with 500 series.
const KEPT_BYTES_MAX: usize = 192 << 10;

/// The index of a sealed block and where its groups are.
pub(crate) type Found = (Arc<BlockIndex>, Arc<Groups>);

/// The indices that are at hand; the one wanted last is the last.
#[derive(Default)]
pub(crate) struct Known {
    kept: VecDeque<(u64, usize, Found)>,
    bytes: usize,
}

impl Known {
    /// Returns a block's index, if it is at hand. `start` is the block's first page in the ring.
    pub fn get(&mut self, block: u64, start: u32) -> Option<Found> {
        let at = self.kept.iter().position(|(kept, _, (_, groups))| *kept == block && groups.start == start)?;
        let found = self.kept.remove(at)?;
        let shared = found.2.clone();
        self.kept.push_back(found);
        Some(shared)
    }

    /// Keeps a block's index, and drops others where there is no room.
    pub fn put(&mut self, block: u64, found: &Found) {
        let bytes = found.0.memory_bytes() + found.1.memory_bytes();
        if bytes > KEPT_BYTES_MAX || self.get(block, found.1.start).is_some() {
            return;
        }
        while self.bytes + bytes > KEPT_BYTES_MAX
            && let Some((_, bytes, _)) = self.kept.pop_front()
        {
            self.bytes -= bytes;
        }
        self.bytes += bytes;
        self.kept.push_back((block, bytes, found.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::{ColumnIndex, Place};

    fn found(start: u32, columns: usize) -> Found {
        let column = ColumnIndex { series: 0, source: 0, values: Place::default(), times: None };
        let mut index = BlockIndex::default();
        index.columns = vec![column; columns];
        (Arc::new(index), Arc::new(Groups::at(start)))
    }

    #[test]
    fn what_was_not_wanted_for_longest_goes_first_and_memory_is_bounded() {
        let mut known = Known::default();
        (0..4).for_each(|block| known.put(block, &found(7, 2_000)));
        assert_eq!(known.kept.iter().map(|kept| kept.0).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(known.get(1, 7).is_some() && known.get(1, 8).is_none() && known.get(0, 7).is_none());
        known.put(4, &found(7, 2_000));
        known.put(4, &found(7, 2_000));
        assert_eq!(known.kept.iter().map(|kept| kept.0).collect::<Vec<_>>(), [3, 1, 4]);
        assert!(known.bytes <= KEPT_BYTES_MAX);
        assert_eq!(known.bytes, known.kept.iter().map(|kept| kept.1).sum());
        known.put(5, &found(7, 100_000));
        assert!(known.get(5, 7).is_none());
        assert_eq!(known.kept.len(), 3);
    }

    #[test]
    fn a_block_that_is_put_elsewhere_is_another() {
        let mut known = Known::default();
        known.put(1, &found(7, 1));
        known.put(1, &found(9, 2));
        assert_eq!(known.get(1, 9).map(|found| found.0.columns.len()), Some(2));
    }
}
