//! The half of recovery that looks at what is sealed: checkpoints, and the ring backwards from the newest block.
//!
//! Every page names its block and its place in it, so the walk goes over whatever is damaged. A block that is left at
//! the ring's end from an earlier lap is told by a newer one close before it.

use super::{FoundPage, Recover};
use crate::blob::{Fault, Pages};
use crate::cells::{Commit, Small, parse_checkpoint};
use crate::groups::Groups;
use crate::index::BlockIndex;
use crate::layout::{BLOB_PAYLOAD, BlobHead, KIND_CHECKPOINT, PAGE, is_whole};
use crate::ring::Block;
use crate::seal::{Site, forget, time_range};
use crate::wire::Take;

impl Recover<'_> {
    /// Finds the newest checkpoint and the sealed blocks before it.
    pub fn ring(&mut self) {
        self.pages = self.journal_pages();
        let mut blanks = 0;
        let mut newest: Option<(Commit, Small, u32)> = None;
        for slot in 0..2 {
            let (found, empty) = self.read_checkpoint(slot);
            blanks += u32::from(empty);
            if found.is_none() && !empty {
                self.recovery.damaged_pages += 1;
            }
            // One of another layout was written when the size was about to change, or before it did.
            let found = found.filter(|(commit, _)| commit.layout == self.site.layout);
            if let Some((commit, small)) = found
                && newest.as_ref().is_none_or(|(other, _, _)| other.block < commit.block)
            {
                newest = Some((commit, small, slot));
            }
        }
        match newest {
            Some((commit, small, slot)) => (self.commit, self.state.small, self.slot) = (commit, small, slot),
            None if blanks == 2 => return,
            None => {
                let found = self.search();
                // The first checkpoint ever was cut short: all that it says is still in the journal. Or it was damaged
                // later: then the journal may have less than the block.
                let is_first = |page: &FoundPage| (page.head.block, page.head.offset) == (1, 0);
                if blanks == 1 && found.block <= 1 && self.pages.iter().any(is_first) {
                    self.sealed_first = (found.block == 1).then_some(found);
                    return;
                }
                self.commit = found;
            }
        }
        self.state.index.keep_below(self.commit.next_series);
        self.walk_back();
        self.committed = self.state.small.clone();
    }

    /// Takes the first block from the ring, where it has more rows than its stream brought back. What else the stream
    /// said stays. Answers whether it did.
    pub(super) fn prefers_sealed(&mut self) -> bool {
        let Some(found) = self.sealed_first.take() else { return false };
        let mut pages = Pages::new(self.read, self.site.file, self.site.geometry);
        let mut has = |index| {
            let head = pages.head(found.start + index);
            head.is_some_and(|head| (head.block, head.index, head.pages) == (found.block, index, found.pages))
        };
        // Never certain and not whole: the power went while it was written.
        if !(0..found.pages).all(&mut has) {
            return false;
        }
        let rows = Groups::load(&mut pages, found.block, found.start).map_or(0, |(meta, _)| meta.rows);
        if rows <= self.state.head.rows {
            return false;
        }
        let next_series = self.state.index.next();
        self.commit = Commit { next_series, ..found };
        self.walk_back();
        self.committed = self.state.small.clone();
        true
    }

    fn read_checkpoint(&mut self, slot: u32) -> (Option<(Commit, Small)>, bool) {
        let Site { file, geometry, .. } = self.site;
        let mut page = vec![0; PAGE];
        let mut bytes = Vec::new();
        let mut head: Option<BlobHead> = None;
        for index in 0..geometry.slot_pages() {
            let place = geometry.slot(slot) + u64::from(index) * PAGE as u64;
            if self.read.read_at(place, &mut page).is_err() {
                return (None, false);
            }
            let Some(found) = BlobHead::parse(file, KIND_CHECKPOINT, &page) else {
                return (None, index == 0 && page.iter().all(|byte| *byte == 0));
            };
            let first = *head.get_or_insert(found);
            if (found.index, found.block, found.opening) != (index, first.block, first.opening) {
                return (None, false);
            }
            bytes.extend_from_slice(BlobHead::payload(&page));
            if index + 1 == first.pages {
                break;
            }
        }
        (parse_checkpoint(&bytes), false)
    }

    /// Looks at every page of the ring for the newest block: only when both checkpoints are lost.
    fn search(&mut self) -> Commit {
        let mut pages = Pages::new(self.read, self.site.file, self.site.geometry);
        let mut commit = self.commit;
        for place in 0..self.site.geometry.ring_pages() {
            if let Some(head) = pages.head(place)
                && head.index == 0
                && head.block > commit.block.max(self.floor.saturating_sub(1))
            {
                commit = Commit { block: head.block, start: place, pages: head.pages, ..self.commit };
            }
        }
        commit
    }

    /// Walks the ring backwards from the newest block: the page before a block is the last of the one before it.
    fn walk_back(&mut self) {
        let Site { file, geometry, .. } = self.site;
        let mut pages = Pages::new(self.read, file, geometry);
        let newest_end = self.commit.start.saturating_add(self.commit.pages).min(geometry.ring_pages());
        let (mut at, mut bound, mut wrapped, mut skipped) = (newest_end, newest_end, false, 0);
        let mut number = self.commit.block + 1;
        let mut found = Vec::new();
        let mut newest_seen = None;
        while number > self.floor.max(1) && skipped <= geometry.ring_pages() / 8 + 256 {
            if at == 0 {
                (at, bound) = (geometry.ring_pages(), geometry.ring_pages());
            }
            wrapped |= at > newest_end;
            if wrapped && at <= newest_end {
                break;
            }
            let head = pages.head(at - 1).filter(|head| (self.floor..number).contains(&head.block));
            let start = head.and_then(|head| {
                let start = (at - 1).checked_sub(head.index)?;
                (start.checked_add(head.pages)? <= bound && head.index < head.pages).then_some(start)
            });
            let fits = head.zip(start).filter(|(head, _)| !self.is_left_over(&mut pages, head, at, number));
            let Some((head, start)) = fits else {
                self.recovery.torn_pages += u64::from(head.is_none() && self.is_torn(geometry.ring(at - 1)));
                (at, skipped) = (at - 1, skipped + 1);
                continue;
            };
            match self.load(&mut pages, &head, start) {
                Ok(Some(block)) => found.push(block),
                Ok(None) => self.recovery.damaged_blocks += 1,
                Err(()) => {
                    (at, skipped) = (at - 1, skipped + 1);
                    continue;
                }
            }
            // Blocks are numbered one after the other: what is missing between two is damaged beyond being seen.
            match newest_seen {
                Some(_) => self.recovery.damaged_blocks += number - 1 - head.block,
                None => newest_seen = Some(head.block),
            }
            (at, bound, number, skipped) = (start, start, head.block, 0);
        }
        // The checkpoint says that the newest block counted, so one that is not found is damaged, and nothing else.
        if self.commit.block >= self.floor.max(1) {
            self.recovery.damaged_blocks += newest_seen.map_or(1, |newest| self.commit.block - newest);
        }
        found.reverse();
        self.state.ring.blocks.extend(found);
        self.state.ring.next = newest_end;
        let next = Block { start: newest_end, pages: 0, ..Block::default() };
        forget(&mut self.state.ring, &mut self.state.index, &next);
        self.recovery.blocks = self.state.ring.blocks.len() as u64;
    }

    /// Returns whether there is neither nothing nor a whole page.
    fn is_torn(&self, place: u64) -> bool {
        let mut page = vec![0; PAGE];
        let read = self.read.read_at(place, &mut page);
        read.is_err() || (page.iter().any(|byte| *byte != 0) && !is_whole(&page))
    }

    /// Returns whether a block is of an earlier lap, left at the end of the ring because what came later did not fit
    /// there: a newer one than this, but still older than `number`, lies close before it.
    fn is_left_over(&self, pages: &mut Pages<'_>, head: &BlobHead, at: u32, number: u64) -> bool {
        // No block is longer than an eighth of the ring, so nothing longer than that is ever left over.
        let reach = self.site.geometry.ring_pages() / 8 + 8;
        if head.block + 1 == number || at.saturating_add(reach) < self.site.geometry.ring_pages() {
            return false;
        }
        let mut before = (at.saturating_sub(reach)..at - 1).rev();
        before.any(|place| pages.head(place).is_some_and(|other| head.block < other.block && other.block < number))
    }

    /// Reads what stands before a block's values: `None` when it is damaged, an error when another block is there.
    fn load(&mut self, pages: &mut Pages<'_>, head: &BlobHead, start: u32) -> Result<Option<Block>, ()> {
        let (meta, groups) = match Groups::load(pages, head.block, start) {
            Ok(found) => found,
            Err(Fault::Overwritten) => return Err(()),
            Err(Fault::Damaged | Fault::Away) => return Ok(None),
        };
        let mut whole = || {
            meta.bytes().filter(|_| groups.end() <= head.pages as usize * BLOB_PAYLOAD)?;
            let place = (meta.index_bytes, meta.table_bytes);
            let (mut index, mut squeezed) = (Vec::new(), Vec::new());
            groups.bytes(pages, &mut self.unpacker, (0, meta.index_bytes), &mut index).ok()?;
            groups.squeezed(pages, place, &mut squeezed).ok()?;
            let spans = BlockIndex::take_spans(&mut Take::new(&index), meta.rows)?;
            // Block after block names the same series: what is byte for byte what the newer block had says nothing new.
            let same = head.block < self.table.0 && squeezed == self.table.1;
            let mut table = Vec::new();
            if !same {
                groups.bytes(pages, &mut self.unpacker, place, &mut table).ok()?;
            }
            Some((spans, (!same).then_some(table), squeezed))
        };
        let Some((spans, table, squeezed)) = whole() else { return Ok(None) };
        if let Some(table) = table {
            if self.take_table(&table, meta.series, head.block).is_none() {
                return Ok(None);
            }
            self.table = (head.block, squeezed);
        }
        for (_, epoch) in &spans {
            if let Some(epoch) = epoch
                && self.state.small.epochs.get(epoch.number).is_none()
            {
                self.state.small.epochs.set(*epoch);
            }
        }
        let mut block = Block::new(head.block, start, head.pages, &meta);
        let (oldest, newest) = time_range(&spans, &self.state.small.epochs);
        (block.oldest, block.newest) = (block.oldest.min(oldest), block.newest.max(newest));
        Ok(Some(block))
    }

    fn take_table(&mut self, table: &[u8], count: u32, block: u64) -> Option<()> {
        let (mut take, mut last) = (Take::new(table), -1i64);
        let mut packed = Vec::new();
        for _ in 0..count {
            let series = u32::try_from(last.checked_add(1)?.checked_add(take.zigzag()?)?).ok()?;
            take.labels(&mut packed)?;
            if self.state.index.contains(series) {
                self.state.index.seen(series, block);
            } else {
                self.state.index.insert(series, &model::Labels::from_packed(&packed)?, block);
            }
            last = i64::from(series);
        }
        Some(())
    }

    /// Takes blocks that are whole though no checkpoint says so, where the journal can no longer make them: the newest
    /// checkpoint is damaged. Returns the block whose stream comes next.
    pub(super) fn adopt(&mut self, journal: &[FoundPage]) -> u64 {
        let Site { file, geometry, .. } = self.site;
        let mut pages = Pages::new(self.read, file, geometry);
        loop {
            let number = self.commit.block + 1;
            let has = |page: &FoundPage| (page.head.block, page.head.offset) == (number, 0);
            let later = |page: &FoundPage| page.head.block > number && page.head.seq <= self.max_synced;
            if journal.iter().any(has) || !journal.iter().any(later) {
                return number;
            }
            let places = [self.state.ring.next, 0];
            let found = places.into_iter().find_map(|start| {
                let head = pages.head(start).filter(|head| (head.block, head.index) == (number, 0))?;
                let same = |index| pages.head(start + index).is_some_and(|h| h == BlobHead { index, ..head });
                let end = start.checked_add(head.pages).filter(|end| *end <= geometry.ring_pages());
                (end.is_some() && (0..head.pages).all(same)).then_some((start, head))
            });
            let Some((start, head)) = found else { return number };
            let Ok(Some(block)) = self.load(&mut pages, &head, start) else { return number };
            forget(&mut self.state.ring, &mut self.state.index, &block);
            self.state.ring.add(block);
            let next_series = self.state.index.next();
            self.commit = Commit { block: number, start, pages: head.pages, next_series, ..self.commit };
            self.recovery.blocks = self.state.ring.blocks.len() as u64;
        }
    }
}
