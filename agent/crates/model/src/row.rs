//! How stored samples are counted, so that an upstream can say what it has.
//!
//! A row is one sample of one series as it was appended. Its id is (opening, n): `opening` grows each time the
//! data file is opened, `n` counts rows within it from 0. A Batch takes consecutive ids in its own order. Ids are
//! never used twice and survive sealing; they say nothing about time, because clocks jump.

use std::fmt;

/// The id of one appended row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RowId {
    /// Which opening of the data file appended it; the first is 1, so that the default is before every row.
    pub opening: u32,
    /// The row's number within that opening.
    pub n: u64,
}

impl RowId {
    /// Returns the id so many rows on, in the same opening.
    pub fn plus(self, rows: u64) -> RowId {
        RowId { opening: self.opening, n: self.n + rows }
    }
}

impl fmt::Display for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.opening, self.n)
    }
}

/// Consecutive rows of one opening, `first` included, `end` not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowRange {
    /// The first row.
    pub first: RowId,
    /// One behind the last row's `n`.
    pub end: u64,
}

impl RowRange {
    /// Returns how many rows there are.
    pub fn len(&self) -> u64 {
        self.end.saturating_sub(self.first.n)
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether a row lies within.
    pub fn contains(&self, id: RowId) -> bool {
        id.opening == self.first.opening && (self.first.n..self.end).contains(&id.n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_order_by_opening_first() {
        let early = RowId { opening: 1, n: 900 };
        let late = RowId { opening: 2, n: 0 };
        assert!(RowId::default() < early && early < late);
        let range = RowRange { first: early, end: 903 };
        assert_eq!((range.len(), range.contains(early.plus(2)), range.contains(late)), (3, true, false));
        assert_eq!(early.to_string(), "1:900");
    }
}
