//! Opening: from whatever the last moment left on the medium to a store that goes on.
//!
//! Superblocks, then the newest checkpoint, then the ring backwards from the block it names, then the journal's
//! streams from the block after it, then the tail file. Only heads, indexes and series tables are read, no samples.
//! Of a stream exactly the prefix counts that its chain of offsets and checksums reaches. A gap that a later page
//! knows to have been synced is damage: counted, and what follows is looked for; any other gap is where the power
//! went, and nothing after it is believed. Bytes that are whole but perhaps not certain are written again at once.

use std::fmt;
use std::io;
use std::sync::Arc;

use model::{Disk, Now, ReadAt};

use crate::arena::Arena;
use crate::blob::Pages;
use crate::cells::{Commit, Small, parse_checkpoint};
use crate::crc::{crc32c, extend};
use crate::epochs::Epoch;
use crate::head::{Head, Replayed};
use crate::index::{BlockIndex, META_HEAD, Meta};
use crate::journal::{Journal, seed};
use crate::layout::{
    BLOB_PAYLOAD, BlobHead, FILE_BYTES_MAX, FILE_BYTES_MIN, Found, Geometry, JournalHead, KIND_CHECKPOINT, PAGE,
    Superblock, read_superblocks,
};
use crate::options::Options;
use crate::record::{self, Kind, Next};
use crate::ring::{Block, Ring};
use crate::seal::{Output, Sealing, Site, forget, time_range};
use crate::series::Index;
use crate::store::State;
use crate::tail::frames;
use crate::wire::{Take, put_u32, put_u64};

/// Why a data file cannot be used. Nothing was written to it.
#[derive(Debug)]
pub enum OpenError {
    /// Something else is there.
    NotOurs {
        /// Its first bytes.
        found: [u8; 8],
    },
    /// Another version of this format is there.
    Version {
        /// Its version.
        found: u32,
        /// The one that is understood.
        expected: u32,
    },
    /// Ours once, but both superblocks are damaged.
    Damaged,
    /// The configured size is out of bounds.
    Size {
        /// What was asked for.
        bytes: u64,
    },
    /// The medium failed.
    Io {
        /// What was being done.
        doing: &'static str,
        /// How it failed.
        source: io::Error,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::NotOurs { found } => write!(
                f,
                "this is no data file of narthex: it begins with \"{}\", and is left as it is",
                found.escape_ascii()
            ),
            OpenError::Version { found, expected } => {
                write!(f, "the data file has version {found}, this program understands version {expected}")
            }
            OpenError::Damaged => f.write_str("both superblocks of the data file are damaged"),
            OpenError::Size { bytes } => {
                write!(f, "a data file of {bytes} bytes, {FILE_BYTES_MIN} to {FILE_BYTES_MAX} are possible")
            }
            OpenError::Io { doing, .. } => write!(f, "{doing} of the data file"),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            OpenError::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// What opening found, to be said once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovery {
    /// Which opening of the file this is, from 1.
    pub opening: u32,
    /// Whether the file was made just now.
    pub created: bool,
    /// The file's size.
    pub file_bytes: u64,
    /// Whether the file was shorter than it should be; the missing end was made anew, empty.
    pub truncated: bool,
    /// How many sealed blocks there are.
    pub blocks: u64,
    /// How many rows came back from the journal, and how many of them only from the tail file.
    pub rows_replayed: u64,
    /// See `rows_replayed`.
    pub rows_from_tail: u64,
    /// How many pages that should be whole are not.
    pub damaged_pages: u64,
    /// How many sealed blocks are lost because the page that describes them is damaged.
    pub damaged_blocks: u64,
}

/// Everything that opening finds.
pub(crate) struct Opened {
    pub state: State,
    pub journal: Journal,
    pub site: Site,
    pub recovery: Recovery,
    pub slot: u32,
}

fn io(doing: &'static str) -> impl Fn(io::Error) -> OpenError {
    move |source| OpenError::Io { doing, source }
}

pub(crate) fn open(
    disk: &mut dyn Disk,
    read: &Arc<dyn ReadAt>,
    tail: Option<&[u8]>,
    options: &Options,
    now: Now,
) -> Result<Opened, OpenError> {
    let mut recovery = Recovery::default();
    let bytes = disk.len().map_err(io("reading the size"))?;
    let found = if bytes == 0 { Found::Nothing } else { read_superblocks(disk, bytes)? };
    let superblock = match found {
        Found::Ours(superblock, damaged) => {
            recovery.damaged_pages += u64::from(damaged);
            superblock
        }
        Found::Nothing => {
            recovery.created = true;
            create(disk, bytes, options, now)?
        }
    };
    let file_bytes = u64::from(superblock.pages) * PAGE as u64;
    let geometry = Geometry::of(file_bytes);
    if !recovery.created && bytes < file_bytes {
        recovery.truncated = true;
        disk.set_len(file_bytes).map_err(io("reserving the missing end"))?;
    }
    let opening = superblock.opening + 1;
    (recovery.opening, recovery.file_bytes) = (opening, file_bytes);
    let bumped = Superblock { opening, ..superblock };
    disk.write(geometry.superblock(opening), &bumped.page()).map_err(io("writing the superblock"))?;
    disk.sync().map_err(io("syncing the superblock"))?;
    let site = Site { file: superblock.file, opening, geometry, mutation: options.mutation };
    let mut recover = Recover::new(disk, read.as_ref(), site, options, recovery);
    recover.ring();
    recover.streams(tail, options.tail_bytes)?;
    recover.finish()
}

fn create(disk: &mut dyn Disk, bytes: u64, options: &Options, now: Now) -> Result<Superblock, OpenError> {
    if !(FILE_BYTES_MIN..=FILE_BYTES_MAX).contains(&options.file_bytes) {
        return Err(OpenError::Size { bytes: options.file_bytes });
    }
    let mut page = vec![0; PAGE];
    for at in (0..bytes.min(1 << 20)).step_by(PAGE) {
        let have = (bytes - at).min(PAGE as u64) as usize;
        disk.read(at, &mut page[..have]).map_err(io("reading the start"))?;
        if page[..have].iter().any(|byte| *byte != 0) {
            let mut found = [0; 8];
            found.copy_from_slice(&page[..8]);
            return Err(OpenError::NotOurs { found });
        }
    }
    let geometry = Geometry::of(options.file_bytes);
    disk.set_len(u64::from(geometry.pages) * PAGE as u64).map_err(io("reserving the size"))?;
    let mut entropy = Vec::new();
    for number in [now.mono.0, now.wall.0 as u64, options.boot, options.file_bytes] {
        put_u64(&mut entropy, number);
    }
    let superblock = Superblock { file: crc32c(&entropy), pages: geometry.pages, opening: 0 };
    for copy in 0..2 {
        disk.write(geometry.superblock(copy), &superblock.page()).map_err(io("writing the superblock"))?;
    }
    disk.sync().map_err(io("syncing the superblock"))?;
    Ok(superblock)
}

/// A journal page that is whole, and its place.
#[derive(Clone, Copy)]
struct FoundPage {
    head: JournalHead,
    place: u64,
}

struct Recover<'a> {
    disk: &'a mut dyn Disk,
    read: &'a dyn ReadAt,
    site: Site,
    state: State,
    recovery: Recovery,
    commit: Commit,
    slot: u32,
    /// The stream being replayed: complete records, their checksum, and what is fed but not complete.
    consumed: u32,
    crc: u32,
    partial: Vec<u8>,
    /// Where the stream is certain, and the bytes behind that.
    sure: (u32, u32),
    unsure: Vec<u8>,
    first_seq: Option<u64>,
    last_seq: Option<u64>,
    /// The stream cannot be gone on with: its block is to be sealed.
    broken: bool,
    labels: Vec<u8>,
    next_seq: u64,
    max_synced: u64,
}

impl<'a> Recover<'a> {
    fn new(
        disk: &'a mut dyn Disk,
        read: &'a dyn ReadAt,
        site: Site,
        options: &Options,
        recovery: Recovery,
    ) -> Recover<'a> {
        let ring = Ring::new(site.geometry.ring_pages(), options.block_pages_max(&site.geometry));
        let state = State::new(Index::new(options.series_max), ring, Head::new(1, Arena::default()));
        Recover {
            disk,
            read,
            site,
            state,
            recovery,
            commit: Commit::default(),
            slot: 0,
            consumed: 0,
            crc: 0,
            partial: Vec::new(),
            sure: (0, 0),
            unsure: Vec::new(),
            first_seq: None,
            last_seq: None,
            broken: false,
            labels: Vec::new(),
            next_seq: 0,
            max_synced: 0,
        }
    }

    /// Finds the newest checkpoint and the sealed blocks before it.
    fn ring(&mut self) {
        let mut blank = true;
        let mut newest: Option<(Commit, Small, u32)> = None;
        for slot in 0..2 {
            let (found, empty) = self.read_checkpoint(slot);
            blank &= empty;
            if found.is_none() && !empty {
                self.recovery.damaged_pages += 1;
            }
            if let Some((commit, small)) = found
                && newest.as_ref().is_none_or(|(other, _, _)| other.block < commit.block)
            {
                newest = Some((commit, small, slot));
            }
        }
        match newest {
            Some((commit, small, slot)) => (self.commit, self.state.small, self.slot) = (commit, small, slot),
            None if blank => return,
            None => self.commit = self.search(),
        }
        self.state.index.keep_below(self.commit.next_series);
        self.walk_back();
    }

    fn read_checkpoint(&mut self, slot: u32) -> (Option<(Commit, Small)>, bool) {
        let Site { file, geometry, .. } = self.site;
        let mut page = vec![0; PAGE];
        let mut bytes = Vec::new();
        let mut head: Option<BlobHead> = None;
        for index in 0..geometry.slot_pages {
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
        let mut commit = Commit::default();
        for place in 0..self.site.geometry.ring_pages() {
            if let Some(head) = pages.head(place)
                && head.index == 0
                && head.block > commit.block
            {
                commit = Commit { block: head.block, start: place, pages: head.pages, next_series: 0 };
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
        while number > 1 && skipped <= geometry.ring_pages() / 8 + 256 {
            if at == 0 {
                (at, bound) = (geometry.ring_pages(), geometry.ring_pages());
            }
            wrapped |= at > newest_end;
            if wrapped && at <= newest_end {
                break;
            }
            let head = pages.head(at - 1).filter(|head| head.block < number);
            let start = head.and_then(|head| {
                let start = (at - 1).checked_sub(head.index)?;
                (start.checked_add(head.pages)? <= bound && head.index < head.pages).then_some(start)
            });
            let fits = head.zip(start).filter(|(head, _)| !self.is_left_over(&mut pages, head, at, number));
            let Some((head, start)) = fits else {
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
            (at, bound, number, skipped) = (start, start, head.block, 0);
        }
        found.reverse();
        self.state.ring.blocks.extend(found);
        self.state.ring.next = newest_end;
        let next = Block { start: newest_end, pages: 0, ..Block::default() };
        forget(&mut self.state.ring, &mut self.state.index, &next);
        self.recovery.blocks = self.state.ring.blocks.len() as u64;
    }

    /// Returns whether a block is of an earlier lap, left at the end of the ring because what came later did not fit
    /// there: a newer one than this, but still older than `number`, lies close before it.
    fn is_left_over(&self, pages: &mut Pages<'_>, head: &BlobHead, at: u32, number: u64) -> bool {
        if head.block + 1 == number {
            return false;
        }
        let reach = self.site.geometry.ring_pages() / 8 + 8;
        let mut before = (at.saturating_sub(reach)..at - 1).rev();
        before.any(|place| pages.head(place).is_some_and(|other| head.block < other.block && other.block < number))
    }

    /// Reads what stands before a block's values: `None` when it is damaged, an error when another block is there.
    fn load(&mut self, pages: &mut Pages<'_>, head: &BlobHead, start: u32) -> Result<Option<Block>, ()> {
        let mut bytes = Vec::new();
        if let Err(fault) = pages.bytes(head.block, start, 0, META_HEAD as u32, &mut bytes) {
            return if matches!(fault, crate::blob::Fault::Overwritten) { Err(()) } else { Ok(None) };
        }
        let mut whole = || {
            let meta = Meta::take(&bytes)?;
            let length = meta.bytes().filter(|length| *length as usize <= head.pages as usize * BLOB_PAYLOAD)?;
            let mut front = Vec::new();
            pages.bytes(head.block, start, 0, length, &mut front).ok()?;
            let index_end = META_HEAD + meta.index_bytes as usize;
            let index = BlockIndex::take(&mut Take::new(&front[META_HEAD..index_end]), meta.rows, length)?;
            Some((meta, index, front.split_off(index_end)))
        };
        let Some((meta, index, table)) = whole() else { return Ok(None) };
        if self.take_table(&table, meta.series, head.block).is_none() {
            return Ok(None);
        }
        for (_, epoch) in &index.spans {
            if let Some(epoch) = epoch
                && self.state.small.epochs.get(epoch.number).is_none()
            {
                self.state.small.epochs.set(*epoch);
            }
        }
        let mut block = Block::new(head.block, start, head.pages, &meta);
        let (oldest, newest) = time_range(&index, &self.state.small.epochs);
        (block.oldest, block.newest) = (block.oldest.min(oldest), block.newest.max(newest));
        Ok(Some(block))
    }

    fn take_table(&mut self, table: &[u8], count: u32, block: u64) -> Option<()> {
        let (mut take, mut last) = (Take::new(table), -1i64);
        let mut packed = Vec::new();
        for _ in 0..count {
            let series = u32::try_from(last.checked_add(1)?.checked_add(take.zigzag()?)?).ok()?;
            take.labels(&mut packed)?;
            if self.state.index.labels(series).is_none() {
                self.state.index.insert(series, model::Labels::from_packed(&packed)?, block);
            }
            last = i64::from(series);
        }
        Some(())
    }

    /// Replays the journal's streams from the block after the last sealed one on, then the tail file.
    fn streams(&mut self, tail: Option<&[u8]>, tail_bytes: u64) -> Result<(), OpenError> {
        let pages = self.journal_pages();
        self.next_seq = pages.iter().map(|page| page.head.seq + 1).max().unwrap_or(0);
        self.max_synced = pages.iter().map(|page| page.head.synced).max().unwrap_or(0);
        let frames = tail.map(|tail| frames(self.site.file, tail, tail_bytes)).unwrap_or_default();
        let mut block = self.adopt(&pages);
        loop {
            self.begin(block);
            let missing = self.chain(block, &pages);
            let before = self.state.head.rows;
            for frame in frames.iter().filter(|frame| frame.block == block) {
                let (length, crc) = self.fed();
                if let Some(bytes) = frame.after(length, crc).filter(|_| !self.broken) {
                    self.unsure.extend_from_slice(bytes);
                    self.feed(bytes);
                }
            }
            self.recovery.rows_from_tail += u64::from(self.state.head.rows - before);
            let Some(next) = self.following(block, &pages, frames.iter().map(|frame| frame.block), missing) else {
                return Ok(());
            };
            self.seal()?;
            block = next;
        }
    }

    /// Takes blocks that are whole though no checkpoint says so, where the journal can no longer make them: the newest
    /// checkpoint is damaged. Returns the block whose stream comes next.
    fn adopt(&mut self, journal: &[FoundPage]) -> u64 {
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
                (start + head.pages <= geometry.ring_pages() && (0..head.pages).all(same)).then_some((start, head))
            });
            let Some((start, head)) = found else { return number };
            let Ok(Some(block)) = self.load(&mut pages, &head, start) else { return number };
            forget(&mut self.state.ring, &mut self.state.index, &block);
            self.state.ring.add(block);
            self.commit.block = number;
            self.recovery.blocks = self.state.ring.blocks.len() as u64;
        }
    }

    fn journal_pages(&mut self) -> Vec<FoundPage> {
        let geometry = self.site.geometry;
        let mut found = Vec::new();
        let mut page = vec![0; PAGE];
        for at in 0..u64::from(geometry.journal_pages) {
            let place = geometry.journal(at);
            if self.read.read_at(place, &mut page).is_err() {
                self.recovery.damaged_pages += 1;
                continue;
            }
            match JournalHead::parse(self.site.file, &page) {
                Some(head) if geometry.journal(head.seq) == place => found.push(FoundPage { head, place }),
                _ => {}
            }
        }
        found.sort_by_key(|page| (page.head.block, page.head.offset, page.head.seq));
        found
    }

    fn begin(&mut self, block: u64) {
        self.state.head = Head::new(block, Arena::default());
        (self.consumed, self.crc) = (0, seed(self.site.file, block));
        self.partial.clear();
        self.unsure.clear();
        self.sure = (0, self.crc);
        self.first_seq = None;
        self.broken = false;
    }

    fn fed(&self) -> (u32, u32) {
        (self.consumed + self.partial.len() as u32, extend(self.crc, &self.partial))
    }

    /// Feeds the pages that chain; answers whether one is missing that had been synced.
    fn chain(&mut self, block: u64, pages: &[FoundPage]) -> bool {
        let mut page = vec![0; PAGE];
        while !self.broken {
            let (length, crc) = self.fed();
            let end = pages.partition_point(|page| (page.head.block, page.head.offset) <= (block, length));
            let same = |page: &&FoundPage| (page.head.block, page.head.offset) == (block, length);
            let candidates = pages[..end].iter().rev().take_while(same);
            let next =
                candidates.filter(|page| page.head.prior == crc && page.head.used > 0).max_by_key(|p| p.head.seq);
            let Some(next) = next else { break };
            if self.read.read_at(next.place, &mut page).is_err() {
                break;
            }
            let Some(head) = JournalHead::parse(self.site.file, &page).filter(|head| *head == next.head) else { break };
            let payload = head.payload(&page).to_vec();
            self.first_seq.get_or_insert(head.seq);
            self.last_seq = Some(head.seq);
            self.unsure.extend_from_slice(&payload);
            self.feed(&payload);
            if head.seq <= self.max_synced && self.partial.is_empty() {
                self.sure = (self.consumed, self.crc);
                self.unsure.clear();
            }
        }
        let ((length, _), last_seq) = (self.fed(), self.last_seq);
        let lost = pages
            .iter()
            .filter(|page| page.head.block == block && page.head.offset > length && page.head.seq <= self.max_synced);
        let lost = lost.filter(|page| last_seq.is_none_or(|last| page.head.seq > last)).count();
        let claimed = pages.iter().any(|page| {
            page.head.block == block && last_seq.is_some_and(|last| page.head.seq > last && page.head.synced > last)
        });
        if lost > 0 || claimed {
            self.recovery.damaged_pages += 1;
            self.broken = true;
        }
        lost > 0 || claimed
    }

    /// Applies every record that is complete.
    fn feed(&mut self, bytes: &[u8]) {
        let mut buffer = std::mem::take(&mut self.partial);
        buffer.extend_from_slice(bytes);
        let mut take = Take::new(&buffer);
        let mut done = 0;
        while !self.broken {
            match record::next(&mut take) {
                Next::Record(kind, payload) => {
                    let end = buffer.len() - take.rest.len();
                    if self.apply(kind, payload).is_none() {
                        self.broken = true;
                        break;
                    }
                    self.crc = extend(self.crc, &buffer[done..end]);
                    self.consumed += (end - done) as u32;
                    done = end;
                }
                Next::Partial => break,
                Next::Nonsense => self.broken = true,
            }
        }
        buffer.drain(..done);
        self.partial = buffer;
    }

    fn apply(&mut self, kind: Kind, payload: &[u8]) -> Option<()> {
        let take = &mut Take::new(payload);
        let small = &mut self.state.small;
        match kind {
            Kind::Begin => Some(()),
            Kind::Cell => small.take_cell(take),
            Kind::Family => small.take_family(take),
            Kind::Epoch => {
                let epoch = Epoch::take(take)?;
                self.state.set_epoch(epoch);
                Some(())
            }
            _ => {
                let head = &mut self.state.head;
                match head.replay(kind, payload, &mut self.labels)? {
                    Replayed::Series(series) => {
                        let labels = model::Labels::from_packed(&self.labels)?;
                        self.state.index.insert(series, labels, head.block);
                    }
                    Replayed::Row => self.state.note_row(),
                    Replayed::Other => {}
                }
                Some(())
            }
        }
    }

    /// Returns the block whose stream follows, if what is here ends where that one says, or if damage explains it.
    fn following(
        &mut self,
        block: u64,
        pages: &[FoundPage],
        framed: impl Iterator<Item = u64>,
        damaged: bool,
    ) -> Option<u64> {
        // A start with a lower number than a page that counts is what a power cut left of a future that was not.
        let newer = |page: &&FoundPage| self.last_seq.is_none_or(|last| page.head.seq > last);
        let starts = pages.iter().filter(|page| page.head.block > block && page.head.offset == 0).filter(newer);
        let start = starts.min_by_key(|page| page.head.block);
        if let Some(start) = start {
            let number = start.head.block;
            let fits = self.begins_after(start).is_some_and(|(length, crc)| {
                number == block + 1 && (length, crc) == (self.consumed, self.crc) && self.partial.is_empty()
            });
            let certain = self.max_synced > 0 && self.max_synced + 1 >= start.head.seq;
            return (fits || damaged || certain).then_some(number);
        }
        framed.filter(|framed| *framed == block + 1 && self.partial.is_empty() && !self.broken).min()
    }

    /// Returns the length and checksum of the stream before, as a stream's first record has them.
    fn begins_after(&self, start: &FoundPage) -> Option<(u32, u32)> {
        let mut page = vec![0; PAGE];
        self.read.read_at(start.place, &mut page).ok()?;
        let head = JournalHead::parse(self.site.file, &page)?;
        let Next::Record(Kind::Begin, payload) = record::next(&mut Take::new(head.payload(&page))) else {
            return None;
        };
        let take = &mut Take::new(payload);
        take.u64()?;
        Some((take.u32()?, take.u32()?))
    }

    /// Seals the head at once, so that the stream after it can be replayed.
    fn seal(&mut self) -> Result<(), OpenError> {
        let state = &mut self.state;
        self.recovery.rows_replayed += u64::from(state.head.rows);
        if self.consumed == 0 {
            return Ok(());
        }
        let slot = self.slot ^ 1;
        let mut sealing = Sealing::new(self.site, &state.head, &state.small, state.index.next(), slot, &mut state.ring);
        forget(&mut state.ring, &mut state.index, &sealing.block);
        while let Some(output) = sealing.step(&state.head) {
            match output {
                Output::Write(offset, bytes) => self.disk.write(offset, &bytes).map_err(io("writing a block"))?,
                Output::Sync => self.disk.sync().map_err(io("syncing a block"))?,
            }
        }
        state.ring.add(sealing.block);
        self.slot = slot;
        self.commit.block = sealing.block.number;
        Ok(())
    }

    /// Writes again what is not certain, and hands everything over.
    fn finish(mut self) -> Result<Opened, OpenError> {
        let mut journal =
            Journal::new(self.site.file, self.site.opening, self.site.geometry, self.next_seq, self.max_synced);
        let uneven = self.consumed < self.sure.0 || self.broken;
        if uneven {
            self.seal()?;
            let block = self.state.head.block + 1;
            self.begin(block);
        } else {
            self.recovery.rows_replayed += u64::from(self.state.head.rows);
        }
        let block = self.state.head.block;
        if self.consumed == 0 {
            journal.begin(block);
            journal.add(&begin_record(block, (0, 0)));
        } else {
            self.unsure.truncate((self.consumed - self.sure.0) as usize);
            journal.resume(block, (self.consumed, self.crc), &self.unsure, self.sure.1, self.first_seq);
        }
        if !self.unsure.is_empty() {
            let mut writes = Vec::new();
            if journal.cut(&mut |offset, bytes| writes.push((offset, bytes))) {
                for (offset, bytes) in writes {
                    self.disk.write(offset, &bytes).map_err(io("writing the journal"))?;
                }
                self.disk.sync().map_err(io("syncing the journal"))?;
                journal.certain();
            }
        }
        self.state.settle();
        let Recover { state, site, recovery, slot, .. } = self;
        Ok(Opened { state, journal, site, recovery, slot })
    }
}

/// Returns the first record of a block's stream.
pub(crate) fn begin_record(block: u64, before: (u32, u32)) -> Vec<u8> {
    let mut payload = Vec::new();
    put_u64(&mut payload, block);
    put_u32(&mut payload, before.0);
    put_u32(&mut payload, before.1);
    let mut out = Vec::new();
    record::put(&mut out, Kind::Begin, &payload);
    out
}
