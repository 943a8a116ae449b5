//! What selections may keep at hand: one allowance for all of them.
//!
//! A query that keeps what it unpacked is several times as fast as one that does not, and four at once would keep four
//! times as much. So each may keep its part of one allowance; whoever has more, because others have come, gives it up
//! when it next keeps something. A selection over its part is read all the same, and reads anew what it could not keep.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How many selections are being read.
#[derive(Default)]
pub(crate) struct Readers(AtomicUsize);

/// One of them, until it is dropped.
pub(crate) struct Share<'a>(&'a Readers);

impl Readers {
    /// Counts one more.
    pub fn one_more(&self) -> Share<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Share(self)
    }
}

impl Share<'_> {
    /// Returns the part of an allowance that is this selection's now.
    pub fn of(&self, bytes: usize) -> usize {
        bytes / self.0.0.load(Ordering::Relaxed).max(1)
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_all_are_no_more_than_the_whole() {
        let readers = Readers::default();
        let first = readers.one_more();
        assert_eq!(first.of(1_000), 1_000);
        let others: Vec<Share<'_>> = (0..3).map(|_| readers.one_more()).collect();
        assert_eq!((first.of(1_000), others[2].of(1_000)), (250, 250));
        drop(others);
        assert_eq!(first.of(1_000), 1_000);
    }
}
