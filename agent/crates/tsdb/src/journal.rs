//! From records to journal pages: what is pending, what is on its way, what is certain.
//!
//! Records of a block form one stream of bytes with a running checksum. When the oldest of what is pending has waited
//! for a sync interval, all of it is cut into fresh pages, each of which says where in the stream it belongs and what
//! the checksum was there; a little before, where it fills a page by then and the next rows would begin another. A page
//! that was synced is never written again until its block is sealed. When a write or the sync fails, the same bytes go
//! to fresh pages next time: reading back proves nothing. Pages are numbered without end; the number modulo the size of
//! the area is the place. Several pages for a little are squeezed, each page by itself.
//!
//! More than half of `pending_max` is not left waiting for the interval's end. When the area is full, or more is pending
//! than `pending_max` because the medium is slow, journalling of the block is given up: its rows go on
//! in memory and are certain when the block is sealed.

use model::Mono;
use zstd::bulk::Compressor;

use crate::crc::extend;
use crate::layout::{Geometry, JOURNAL_PAYLOAD, JOURNAL_UNPACKED_MAX, JournalHead, PAGE};
use crate::options::Mutation;

/// So many bytes are squeezed at most in one go, which names some thousand series: it is done in the thread that appends.
const SQUEEZED_BYTES_MAX: usize = 256 << 10;
/// So much room is kept for what is pending: names come once a block and are many times what comes between two syncs.
const PENDING_KEPT: usize = 64 << 10;
/// So many pages are written at once: what is on its way needs no larger piece of memory.
const RUN_PAGES: usize = 16;
/// How often it is tried to fill a page.
const SQUEEZES_MAX: u32 = 4;
/// The quickest: higher levels save a hundredth.
const LEVEL: i32 = 1;

/// Bytes of one block's stream that are not certain yet.
#[derive(Debug, Clone, Copy)]
struct Piece {
    block: u64,
    /// Where in the stream the piece begins, and the checksum there.
    offset: u32,
    prior: u32,
    bytes: usize,
}

pub(crate) struct Journal {
    file: u32,
    opening: u32,
    geometry: Geometry,
    pending: Vec<u8>,
    pieces: Vec<Piece>,
    pending_max: usize,
    /// The stream of the open block: its length and checksum.
    block: u64,
    offset: u32,
    crc: u32,
    given_up: bool,
    /// The block whose journal was given up: until it is sealed nothing behind it is written, so that no later row is
    /// certain before an earlier one.
    blocked: Option<u64>,
    next_seq: u64,
    synced: u64,
    /// The first page of each block whose pages are still needed.
    needed: Vec<(u64, u64)>,
    /// How many pending bytes are on their way, and the last page they are in.
    in_flight: Option<(usize, u64)>,
    /// Since when the oldest of what is pending waits, and of what is on its way; `None` when that was not told yet.
    since: Option<Mono>,
    in_flight_since: Option<Mono>,
    /// The most bytes that were added at once since the last cut.
    most_added: usize,
    /// So many bytes became so many the last time they were squeezed.
    squeezes: (usize, usize),
}

/// Returns the checksum that a block's stream begins with.
pub(crate) fn seed(file: u32, block: u64) -> u32 {
    extend(file, &block.to_le_bytes())
}

/// Returns how many of these bytes go to one page, and their squeezed form where that is what fits.
fn fill(rest: &[u8], squeezer: &mut Option<Compressor<'static>>) -> (usize, Option<Vec<u8>>) {
    let as_it_is = (rest.len().min(JOURNAL_PAYLOAD), None);
    let mut taken = rest.len().min(JOURNAL_UNPACKED_MAX);
    for _ in 0..SQUEEZES_MAX {
        if taken <= JOURNAL_PAYLOAD {
            return as_it_is;
        }
        match squeezer.as_mut().and_then(|squeezer| squeezer.compress(&rest[..taken]).ok()) {
            Some(squeezed) if squeezed.len() <= JOURNAL_PAYLOAD => return (taken, Some(squeezed)),
            // A little less than would fit were every part squeezed alike.
            Some(squeezed) => taken = taken * JOURNAL_PAYLOAD / squeezed.len() * 15 / 16,
            None => return as_it_is,
        }
    }
    as_it_is
}

impl Journal {
    pub fn new(file: u32, opening: u32, geometry: Geometry, next_seq: u64, synced: u64) -> Journal {
        let pending_max = (geometry.journal_pages() as usize * PAGE / 2).min(1 << 20);
        Journal {
            file,
            opening,
            geometry,
            pending: Vec::new(),
            pieces: Vec::new(),
            pending_max,
            block: 0,
            offset: 0,
            crc: 0,
            given_up: false,
            blocked: None,
            next_seq,
            synced,
            needed: Vec::new(),
            in_flight: None,
            since: None,
            in_flight_since: None,
            most_added: 0,
            squeezes: (1, 1),
        }
    }

    /// Begins the stream of a block.
    pub fn begin(&mut self, block: u64) {
        if self.given_up {
            (self.given_up, self.blocked) = (false, Some(self.block));
            self.pieces.clear();
            self.pending.clear();
            (self.in_flight, self.since) = (None, None);
        }
        (self.block, self.offset, self.crc) = (block, 0, seed(self.file, block));
        self.pieces.push(Piece { block, offset: 0, prior: self.crc, bytes: 0 });
    }

    /// Goes on with a block's stream that was recovered up to here; `unsure` are its last bytes, of which it is not
    /// certain that they are on the medium, and `first_seq` its first page.
    pub fn resume(&mut self, block: u64, (offset, crc): (u32, u32), unsure: &[u8], prior: u32, first_seq: Option<u64>) {
        (self.block, self.offset, self.crc) = (block, offset, crc);
        self.needed.extend(first_seq.map(|seq| (block, seq)));
        self.pieces.push(Piece { block, offset: offset - unsure.len() as u32, prior, bytes: unsure.len() });
        self.pending.extend_from_slice(unsure);
    }

    /// Returns the open stream's length and checksum.
    pub fn position(&self) -> (u32, u32) {
        (self.offset, self.crc)
    }

    /// Adds records to the open block's stream; answers whether they will be written.
    pub fn add(&mut self, records: &[u8]) -> bool {
        self.crc = extend(self.crc, records);
        self.offset += records.len() as u32;
        if self.given_up || self.pending.len() + records.len() > self.pending_max.max(records.len()) {
            self.given_up = true;
            return false;
        }
        self.pending.extend_from_slice(records);
        self.most_added = self.most_added.max(records.len());
        if let Some(piece) = self.pieces.last_mut() {
            piece.bytes += records.len();
        }
        true
    }

    /// Returns whether the open block's journal was given up, so that sealing is what makes it certain.
    pub fn given_up(&self) -> bool {
        self.given_up
    }

    /// Returns what is not certain yet.
    pub fn pending(&self) -> &[u8] {
        &self.pending
    }

    /// Returns whether so much is pending that it is better written before its time: the other half of the room is for
    /// what comes while it is.
    pub fn is_crowded(&self) -> bool {
        !self.given_up && self.blocked.is_none() && self.pending.len() > self.pending_max / 2
    }

    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Is told what time it is: what came since the last time waits from now on.
    pub fn stamp(&mut self, now: Mono) {
        if self.since.is_none() && self.pending.len() > self.in_flight.map_or(0, |(bytes, _)| bytes) {
            self.since = Some(now);
        }
    }

    /// Returns whether what is pending most likely fits one page, and with as much as came at once would not any more:
    /// then another page would be written for the little that comes until it is due.
    pub fn fills_a_page(&self) -> bool {
        let pages = |bytes: usize| (bytes * self.squeezes.1).div_ceil(self.squeezes.0 * JOURNAL_PAYLOAD);
        pages(self.pending.len()) == 1 && pages(self.pending.len() + self.most_added) > 1
    }

    /// Returns since when the oldest of what is pending and not on its way waits; `None` when there is nothing, or when
    /// it was not stamped yet.
    pub fn since(&self) -> Option<Mono> {
        self.since
    }

    /// Returns how many pages of the area are taken.
    pub fn pages_used(&self) -> u64 {
        self.needed.first().map_or(0, |(_, first)| self.next_seq - first)
    }

    /// Cuts what is pending into fresh pages and hands them over as (offset in the file, bytes); `false` when the
    /// area has no room for them, or an earlier block must be sealed first.
    pub fn cut(&mut self, write: &mut dyn FnMut(u64, Vec<u8>)) -> bool {
        let pages: usize = self.pieces.iter().map(|piece| piece.bytes.div_ceil(JOURNAL_PAYLOAD)).sum();
        if self.given_up || self.blocked.is_some() {
            return false;
        }
        if self.pages_used() + pages as u64 > u64::from(self.geometry.journal_pages()) {
            return false;
        }
        let (mut at, mut run, mut run_first) = (0, Vec::new(), self.next_seq);
        let mut squeezer = Compressor::new(LEVEL).ok();
        let mut squeezed_left = SQUEEZED_BYTES_MAX;
        for piece in &self.pieces {
            let (mut offset, mut prior) = (piece.offset, piece.prior);
            if piece.bytes > 0 && self.needed.last().is_none_or(|(block, _)| *block < piece.block) {
                self.needed.push((piece.block, self.next_seq));
            }
            let mut rest = &self.pending[at..at + piece.bytes];
            while !rest.is_empty() {
                let (taken, squeezed) = fill(rest, &mut squeezer);
                self.squeezes = match (&squeezed, &mut squeezer) {
                    (Some(squeezed), _) => (taken, squeezed.len()),
                    // It fits as it is; how much more would is of use the next time.
                    (None, Some(squeezer)) if taken == rest.len() && taken > JOURNAL_PAYLOAD / 2 => {
                        squeezer.compress(rest).map_or((1, 1), |squeezed| (taken, squeezed.len()))
                    }
                    _ => self.squeezes,
                };
                let (bytes, behind) = rest.split_at(taken);
                rest = behind;
                squeezed_left = squeezed_left.saturating_sub(taken);
                if squeezed_left == 0 {
                    squeezer = None;
                }
                let seq = self.next_seq;
                let is_apart = seq.is_multiple_of(u64::from(self.geometry.journal_pages()));
                if !run.is_empty() && (is_apart || run.len() >= RUN_PAGES * PAGE) {
                    write(self.geometry.journal(run_first), std::mem::take(&mut run));
                    run_first = seq;
                }
                let payload = squeezed.as_deref().unwrap_or(bytes);
                let head = JournalHead {
                    opening: self.opening,
                    block: piece.block,
                    seq,
                    synced: self.synced,
                    offset,
                    prior,
                    used: payload.len() as u32,
                    unpacked: squeezed.as_ref().map_or(0, |_| taken as u32),
                };
                let start = run.len();
                run.resize(start + PAGE, 0);
                head.page(self.file, payload, &mut run[start..]);
                self.next_seq += 1;
                offset += taken as u32;
                prior = extend(prior, bytes);
            }
            at += piece.bytes;
        }
        if !run.is_empty() {
            write(self.geometry.journal(run_first), run);
        }
        self.in_flight = Some((self.pending.len(), self.next_seq - 1));
        (self.in_flight_since, self.most_added) = (self.since.take(), 0);
        true
    }

    /// Is told that what was cut last is certain.
    pub fn certain(&mut self, mutation: Mutation) {
        let Some((bytes, seq)) = self.in_flight.take() else { return };
        if mutation == Mutation::ReusePage {
            self.next_seq = seq;
        }
        self.synced = seq;
        let mut left = bytes;
        let mut at = 0;
        self.pieces.retain_mut(|piece| {
            let done = piece.bytes.min(left);
            piece.prior = extend(piece.prior, &self.pending[at..at + done]);
            piece.offset += done as u32;
            piece.bytes -= done;
            (left, at) = (left - done, at + done);
            piece.bytes > 0 || piece.block == self.block
        });
        self.pending.drain(..bytes);
        self.pending.shrink_to(PENDING_KEPT);
    }

    /// Is told that what was cut last may or may not be there: it will be cut again.
    pub fn failed(&mut self) {
        (self.in_flight, self.since) = (None, self.in_flight_since.take().or(self.since));
    }

    /// Is told that these blocks are sealed: their pages are free, and what is pending of them is not needed.
    pub fn free(&mut self, through: u64) {
        self.needed.retain(|(block, _)| *block > through);
        self.blocked = self.blocked.filter(|block| *block > through);
        if self.in_flight.is_some() {
            return;
        }
        let mut at = 0;
        let pending = &mut self.pending;
        self.pieces.retain(|piece| {
            if piece.block > through {
                at += piece.bytes;
                return true;
            }
            pending.drain(at..at + piece.bytes);
            false
        });
        self.since = self.since.filter(|_| !self.pending.is_empty());
    }
}
