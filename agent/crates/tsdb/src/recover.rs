//! Opening: from whatever the last moment left on the medium to a store that goes on.
//!
//! The newest checkpoint, then the ring backwards from the block it names, then the journal's
//! streams from the block after it, then the tail file. Only heads, indexes and series tables are read, no samples.
//! Of a stream exactly the prefix counts that its chain of offsets and checksums reaches. A gap that a later page
//! knows to have been synced is damage: counted, and what follows is looked for; any other gap is where the power
//! went, and nothing after it is believed. Bytes that are whole but perhaps not certain are written again at once.

mod resize;
mod walk;

use model::{Disk, Labels, ReadAt};
use zstd::bulk::Decompressor;

use crate::blob::RUN_PAGES;
use crate::cells::{Commit, Small};
use crate::crc::extend;
use crate::epochs::Epoch;
use crate::groups::Unpacker;
use crate::head::track::Pool;
use crate::head::{Head, Replayed};
use crate::journal::{Journal, seed};
use crate::layout::{JournalHead, PAGE, is_whole};
use crate::open::{OpenError, Opened, Recovery, io};
use crate::options::{Mutation, Options};
use crate::record::{self, Kind, Next};
use crate::ring::{Block, Ring};
use crate::seal::{Output, Sealing, Site, forget};
use crate::series::Index;
use crate::store::State;
use crate::tail::frames;
use crate::wire::{Take, put_u32, put_u64};

use resize::Target;

/// A journal page that is whole, and its place.
#[derive(Clone, Copy)]
struct FoundPage {
    head: JournalHead,
    place: u64,
}

pub(crate) struct Recover<'a> {
    disk: &'a mut dyn Disk,
    read: &'a dyn ReadAt,
    site: Site,
    state: State,
    recovery: Recovery,
    options: &'a Options,
    /// The newest sealed block, and the small state at its end.
    commit: Commit,
    committed: Small,
    /// The first block as it lies in the ring, where no checkpoint says whether it counts.
    sealed_first: Option<Commit>,
    /// The first block that counts.
    floor: u64,
    target: Option<Target>,
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
    unpacker: Unpacker,
    decompressor: Option<Decompressor<'static>>,
    /// The journal's pages that are whole.
    pages: Vec<FoundPage>,
    /// The block whose series table was read last, and that table as it stands on the medium.
    table: (u64, Vec<u8>),
    next_seq: u64,
    max_synced: u64,
}

impl<'a> Recover<'a> {
    pub fn new(
        disk: &'a mut dyn Disk,
        read: &'a dyn ReadAt,
        site: Site,
        floor: u64,
        options: &'a Options,
        recovery: Recovery,
    ) -> Recover<'a> {
        let ring = Ring::new(site.geometry.ring_pages(), options.block_pages_max(&site.geometry));
        let state = State::new(Index::new(options.series_max), ring, Head::new(1, Pool::default()));
        Recover {
            disk,
            read,
            site,
            state,
            recovery,
            options,
            commit: Commit { layout: site.layout, ..Commit::default() },
            committed: Small::default(),
            sealed_first: None,
            floor,
            target: Target::of(&site.geometry, options.file_bytes),
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
            unpacker: Unpacker::default(),
            decompressor: None,
            pages: Vec::new(),
            table: (0, Vec::new()),
            next_seq: 0,
            max_synced: 0,
        }
    }

    /// Replays the journal's streams from the block after the last sealed one on, then the tail file.
    pub fn streams(&mut self, tail: Option<&[u8]>, tail_bytes: u64) -> Result<(), OpenError> {
        let pages = std::mem::take(&mut self.pages);
        self.next_seq = pages.iter().map(|page| page.head.seq + 1).max().unwrap_or(0);
        self.max_synced = pages.iter().map(|page| page.head.synced).max().unwrap_or(0);
        let frames = tail.map(|tail| frames(self.site.file, tail, tail_bytes)).unwrap_or_default();
        let mut block = self.adopt(&pages);
        loop {
            self.begin(block);
            let missing = self.chain(block, &pages);
            if self.prefers_sealed() {
                block = self.adopt(&pages);
                self.last_seq = None;
                continue;
            }
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

    fn journal_pages(&mut self) -> Vec<FoundPage> {
        let geometry = self.site.geometry;
        let (mut found, pages) = (Vec::new(), u64::from(geometry.journal_pages()));
        let mut run = vec![0; RUN_PAGES * PAGE];
        for first in (0..pages).step_by(RUN_PAGES) {
            let count = (pages - first).min(RUN_PAGES as u64) as usize;
            let bad = self.read_run(geometry.journal(first), &mut run[..count * PAGE]);
            self.recovery.damaged_pages += bad;
            for (page, at) in run[..count * PAGE].chunks(PAGE).zip(first..) {
                let place = geometry.journal(at);
                match JournalHead::parse(self.site.file, page) {
                    Some(head) if geometry.journal(head.seq) == place => found.push(FoundPage { head, place }),
                    Some(_) => {}
                    None if page.iter().all(|byte| *byte == 0) || is_whole(page) => {}
                    None => self.recovery.torn_pages += 1,
                }
            }
        }
        found.sort_by_key(|page| (page.head.block, page.head.offset, page.head.seq));
        found
    }

    /// Reads pages that lie together, at once where that is possible; those that cannot be read are zeros. Returns how
    /// many these are.
    fn read_run(&self, offset: u64, run: &mut [u8]) -> u64 {
        if self.read.read_at(offset, run).is_ok() {
            return 0;
        }
        let mut bad = 0;
        for (page, place) in run.chunks_mut(PAGE).zip((offset..).step_by(PAGE)) {
            if self.read.read_at(place, page).is_err() {
                page.fill(0);
                bad += 1;
            }
        }
        bad
    }

    fn begin(&mut self, block: u64) {
        self.state.head = Head::new(block, Pool::default());
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
            let Some(payload) = self.unpacked(&head, &page) else { break };
            self.first_seq.get_or_insert(head.seq);
            self.last_seq = Some(head.seq);
            self.unsure.extend_from_slice(&payload);
            self.feed(&payload);
            let stays = self.target.is_none_or(|target| !target.moves_journal);
            if stays && head.seq <= self.max_synced && self.partial.is_empty() {
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

    /// Returns the bytes of the stream that a page carries; `None` when it was not squeezed by us.
    fn unpacked(&mut self, head: &JournalHead, page: &[u8]) -> Option<Vec<u8>> {
        let payload = head.payload(page);
        if head.unpacked == 0 {
            return Some(payload.to_vec());
        }
        if self.decompressor.is_none() {
            self.decompressor = Decompressor::new().ok();
        }
        let found = self.decompressor.as_mut()?.decompress(payload, head.unpacked as usize).ok()?;
        (found.len() == head.unpacked as usize).then_some(found)
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
                let replayed = head.replay(kind, payload, &mut self.labels)?;
                // Rows whose date was lost are no rows: an epoch begun later would give them its own.
                if kind == Kind::Span && head.spans.last().is_some_and(|span| small.epochs.get(span.epoch).is_none()) {
                    return None;
                }
                match replayed {
                    Replayed::Series(series) => {
                        let labels = Labels::from_packed(&self.labels)?;
                        self.state.index.insert(series, &labels, head.block);
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
    fn begins_after(&mut self, start: &FoundPage) -> Option<(u32, u32)> {
        let mut page = vec![0; PAGE];
        self.read.read_at(start.place, &mut page).ok()?;
        let head = JournalHead::parse(self.site.file, &page)?;
        let bytes = self.unpacked(&head, &page)?;
        let Next::Record(Kind::Begin, payload) = record::next(&mut Take::new(&bytes)) else {
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
        let small = state.small.clone();
        let mut placed = false;
        while let Some(output) = sealing.step(&state.head) {
            // Only now it is known how many pages it needs: what it spares is found again at the next opening.
            if !placed && !matches!(output, Output::Later) {
                forget(&mut state.ring, &mut state.index, &sealing.block);
                placed = true;
            }
            match output {
                Output::Write(offset, bytes) => {
                    let mut written = Ok(());
                    self.site.geometry.place(offset, bytes, &mut |offset, bytes| {
                        if written.is_ok() {
                            written = self.disk.write(offset, &bytes);
                        }
                    });
                    written.map_err(io("writing a block"))?;
                }
                Output::Sync => self.disk.sync().map_err(io("syncing a block"))?,
                Output::Later => {}
            }
        }
        state.ring.add(sealing.block);
        self.slot = slot;
        let (Block { number, start, pages, .. }, next_series) = (sealing.block, state.index.next());
        self.commit = Commit { block: number, start, pages, next_series, ..self.commit };
        self.committed = small;
        Ok(())
    }

    /// Writes again what is not certain, and hands everything over.
    pub fn finish(mut self) -> Result<Opened, OpenError> {
        let uneven = self.consumed < self.sure.0 || self.broken;
        // A file that shrinks keeps nothing in its journal.
        let shrinks = self.target.is_some_and(|target| !target.grows());
        if uneven || (shrinks && self.consumed > 0) {
            self.seal()?;
            let block = self.state.head.block + 1;
            self.begin(block);
        } else {
            self.recovery.rows_replayed += u64::from(self.state.head.rows);
        }
        let wanted = self.target.is_some();
        let resizes = match self.target {
            Some(target) => self.prepare(target)?,
            None => false,
        };
        self.recovery.resize_refused = wanted && !resizes;
        let mut journal =
            Journal::new(self.site.file, self.site.opening, self.site.geometry, self.next_seq, self.max_synced);
        let block = self.state.head.block;
        if self.consumed == 0 {
            journal.begin(block);
            journal.add(&begin_record(block, (0, 0)));
        } else {
            self.unsure.truncate((self.consumed - self.sure.0) as usize);
            journal.resume(block, (self.consumed, self.crc), &self.unsure, self.sure.1, self.first_seq);
        }
        if !self.unsure.is_empty() && self.site.mutation == Mutation::BelieveShown {
            self.unsure.clear();
            journal.resume(block, (self.consumed, self.crc), &[], self.crc, self.first_seq);
        }
        if !self.unsure.is_empty() {
            let mut writes = Vec::new();
            if journal.cut(&mut |offset, bytes| writes.push((offset, bytes))) {
                for (offset, bytes) in writes {
                    self.disk.write(offset, &bytes).map_err(io("writing the journal"))?;
                }
                self.disk.sync().map_err(io("syncing the journal"))?;
                journal.certain(Mutation::None);
            }
        }
        if resizes {
            self.put_in_force()?;
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
