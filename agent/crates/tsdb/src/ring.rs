//! Which sealed blocks there are and where the next one goes.
//!
//! Blocks lie one after the other in a ring of pages; one that does not fit before the end goes to the start. The
//! blocks that the block after the next one might overwrite leave this list when the next one is placed: so nobody
//! finds a block whose pages may be written soon, and a reader that found one a seal ago still reads it whole. A
//! block costs 80 bytes here, however large it is.

use std::collections::VecDeque;

use model::RowId;

use crate::epochs::Epoch;
use crate::index::Meta;

/// One sealed block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Block {
    pub number: u64,
    pub start: u32,
    pub pages: u32,
    pub first: RowId,
    pub end: RowId,
    pub rows: u32,
    /// The epochs its rows may belong to.
    pub epochs: (u32, u32),
    pub oldest: i64,
    pub newest: i64,
}

const _: () = assert!(size_of::<Block>() <= 80);

impl Block {
    pub fn new(number: u64, start: u32, pages: u32, meta: &Meta) -> Block {
        let Meta { first, end, rows, epochs, oldest, newest, .. } = *meta;
        Block { number, start, pages, first, end, rows, epochs, oldest, newest }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Ring {
    pub pages: u32,
    /// Where the next block goes, if it fits before the end.
    pub next: u32,
    /// The most pages one block may have.
    pub block_pages_max: u32,
    pub blocks: VecDeque<Block>,
}

impl Ring {
    pub fn new(pages: u32, block_pages_max: u32) -> Ring {
        Ring { pages, next: 0, block_pages_max, blocks: VecDeque::new() }
    }

    /// Returns where a block of so many pages goes.
    pub fn place(&self, pages: u32) -> u32 {
        if self.next + pages <= self.pages { self.next } else { 0 }
    }

    /// Drops the blocks that lie where this one goes or where the one after it might; returns them.
    pub fn make_room(&mut self, start: u32, pages: u32) -> Vec<Block> {
        let end = start + pages + self.block_pages_max;
        let wrapped = if end > self.pages { self.block_pages_max } else { 0 };
        let skipped = if start < self.next { self.next..self.pages } else { 0..0 };
        let hit = |block: &Block| {
            let reach = block.start + block.pages;
            (block.start < end && reach > start)
                || block.start < wrapped
                || (block.start < skipped.end && reach > skipped.start)
        };
        let mut gone = Vec::new();
        while self.blocks.front().is_some_and(hit) {
            gone.extend(self.blocks.pop_front());
        }
        gone
    }

    /// Adds a block that is on the medium.
    pub fn add(&mut self, block: Block) {
        self.next = block.start + block.pages;
        self.blocks.push_back(block);
    }

    /// Returns a block by its number.
    pub fn get(&self, number: u64) -> Option<&Block> {
        let at = self.blocks.partition_point(|block| block.number < number);
        self.blocks.get(at).filter(|block| block.number == number)
    }

    /// Returns how many rows were sent with dates later than it is, by an epoch's heir, where the epoch ends: those of
    /// blocks that are ahead wholly.
    pub fn rows_ahead(&self, epoch: &Epoch) -> u64 {
        let Some(heir) = epoch.heir else { return 0 };
        let of_epoch = || self.blocks.iter().filter(|block| block.epochs == (epoch.number, epoch.number));
        let end = of_epoch().map(|block| block.newest).max().unwrap_or(i64::MIN);
        let now = end.saturating_add(heir.offset).saturating_sub(epoch.offset);
        let until = heir.after.plus(1);
        let sent = |block: &Block| match () {
            () if block.end <= until => u64::from(block.rows),
            () if block.first.opening == until.opening => until.n.saturating_sub(block.first.n),
            () => 0,
        };
        of_epoch().filter(|block| block.oldest > now).map(sent).sum()
    }

    /// Notes that an epoch's date moved: the blocks that may have rows of it now reach as far as before and as after.
    pub fn moved(&mut self, epoch: u32, by: i64) {
        for block in self.blocks.iter_mut().filter(|block| (block.epochs.0..=block.epochs.1).contains(&epoch)) {
            block.oldest = block.oldest.min(block.oldest.saturating_add(by));
            block.newest = block.newest.max(block.newest.saturating_add(by));
        }
    }

    /// Returns how many pages the blocks take.
    pub fn used_pages(&self) -> u64 {
        self.blocks.iter().map(|block| u64::from(block.pages)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_next_two_blocks_need_is_free_however_often_it_wraps() {
        let mut ring = Ring::new(100, 12);
        let mut sizes = [3u32, 12, 7, 1, 9].into_iter().cycle();
        for number in 1..500 {
            let pages = sizes.next().expect("endless");
            let start = ring.place(pages);
            ring.make_room(start, pages);
            let id = RowId::default();
            let block =
                Block { number, start, pages, first: id, end: id, rows: 0, epochs: (0, 0), oldest: 0, newest: 0 };
            ring.add(block);
            for next in 1..=12 {
                let start = ring.place(next);
                let hit = ring.blocks.iter().find(|b| b.start < start + next && b.start + b.pages > start);
                assert_eq!(hit, None, "placing {next} pages at {start}");
            }
            assert!(number < 30 || ring.used_pages() >= 60, "{}", ring.used_pages());
        }
    }
}
