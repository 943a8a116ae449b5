//! The bytes of a sealed block in groups that are squeezed one by one: written as they come, read where they are
//! wanted.
//!
//! A group has at most `GROUP_BYTES_MAX` bytes before it is squeezed, whatever its length claims; one that would not
//! get smaller stands as it is. Groups that were unpacked are kept at hand, few of a block and as many as `KEPT_BYTES_MAX`
//! allows all selections together, because the columns of series that are asked for one after the other lie side by
//! side; and their memory is used again.
//!
//! A selection goes from block to block for each series. So when there is no room for one more block's group it takes
//! that of the one used last, which will be wanted again last, and keeps the others.

use std::collections::VecDeque;

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::CParameter;

use crate::blob::{Fault, Pages};
use crate::index::{META_HEAD, Meta};
use crate::layout::BLOB_PAYLOAD;
use crate::wire::{Take, put_varint};

/// A group is cut behind the stream with which it has so many bytes: what reading one column must unpack.
const GROUP_BYTES: usize = 16 << 10;
/// No group has more.
const GROUP_BYTES_MAX: usize = 64 << 10;
/// Higher levels take twice the time for a hundredth of the bytes.
const LEVEL: i32 = 6;
/// The logarithms of what it looks matches up in: without them it takes more memory than all that is squeezed at once.
const TABLE_LOGS: [CParameter; 2] = [CParameter::HashLog(14), CParameter::ChainLog(13)];
/// The most bytes of unpacked groups that all selections together keep at hand, beside the one that each reads.
pub(crate) const KEPT_BYTES_MAX: usize = 1 << 20;
/// The most groups of one block that are kept: series are asked for in the order in which they lie, nearly.
const KEPT_OF_BLOCK_MAX: usize = 3;
/// The most bytes that a group's entry in the directory takes.
const ENTRY_BYTES_MAX: usize = 6;

/// Returns at most how many bytes groups need beside what is in them, where they are cut `cuts` times by force.
pub(crate) fn overhead(bytes: usize, cuts: usize) -> usize {
    (bytes / GROUP_BYTES + cuts + 1) * ENTRY_BYTES_MAX
}

/// Squeezes bytes as they come.
pub(crate) struct Squeezer {
    compressor: Option<Compressor<'static>>,
    raw: Vec<u8>,
    squeezed: Vec<u8>,
    directory: Vec<u8>,
    groups: Vec<Box<[u8]>>,
}

impl Squeezer {
    pub fn new() -> Squeezer {
        // Without memory for the compressor everything is kept as it is, and is found again all the same.
        let compressor = Compressor::new(LEVEL).and_then(|mut compressor| {
            TABLE_LOGS.into_iter().try_for_each(|log| compressor.set_parameter(log)).map(|()| compressor)
        });
        let (raw, squeezed, directory) = (Vec::new(), Vec::with_capacity(GROUP_BYTES_MAX), Vec::new());
        Squeezer { compressor: compressor.ok(), raw, squeezed, directory, groups: Vec::new() }
    }

    /// Adds what `fill` appends; answers whether that made a group full.
    pub fn add(&mut self, fill: &mut dyn FnMut(&mut Vec<u8>)) -> bool {
        fill(&mut self.raw);
        let full = self.raw.len() >= GROUP_BYTES;
        if full {
            self.cut();
        }
        full
    }

    /// Takes the entries of the groups so far, and the groups: each by itself, as one piece of memory would be copied to
    /// twice its size whenever it is full.
    pub fn take(&mut self) -> (Vec<u8>, Vec<Box<[u8]>>) {
        (std::mem::take(&mut self.directory), std::mem::take(&mut self.groups))
    }

    /// Ends a group here.
    pub fn cut(&mut self) {
        for group in self.raw.chunks(GROUP_BYTES_MAX) {
            self.squeezed.clear();
            // It has room for what gets smaller; what does not is an error here, and stands as it is.
            let squeezed =
                self.compressor.as_mut().and_then(|to| to.compress_to_buffer(group, &mut self.squeezed).ok());
            let stored = if squeezed.is_some_and(|bytes| bytes < group.len()) { &self.squeezed } else { group };
            put_varint(&mut self.directory, group.len() as u64);
            put_varint(&mut self.directory, stored.len() as u64);
            self.groups.push(stored.into());
        }
        self.raw.clear();
    }
}

/// What unpacks groups; it takes memory that is worth keeping from one selection to the next.
pub(crate) type Context = Decompressor<'static>;

/// Groups that were unpacked, and what unpacks them.
pub(crate) struct Unpacker {
    pub context: Option<Context>,
    /// The most bytes of them.
    pub kept_bytes_max: usize,
    stored: Vec<u8>,
    /// The one used last is the last.
    kept: VecDeque<((u64, u32), Vec<u8>)>,
    kept_bytes: usize,
}

impl Default for Unpacker {
    fn default() -> Unpacker {
        let (context, stored, kept) = (None, Vec::new(), VecDeque::new());
        Unpacker { context, kept_bytes_max: KEPT_BYTES_MAX, stored, kept, kept_bytes: 0 }
    }
}

impl Unpacker {
    /// Gives up what is at hand.
    pub fn forget(&mut self) {
        (self.kept, self.kept_bytes) = (VecDeque::new(), 0);
    }

    /// Unpacks one group, or finds it at hand.
    fn group(&mut self, key: (u64, u32), bytes: usize, load: &mut Load<'_>) -> Result<&[u8], (Fault, usize)> {
        if let Some(at) = self.kept.iter().position(|(kept, _)| *kept == key) {
            if at + 1 < self.kept.len()
                && let Some(found) = self.kept.remove(at)
            {
                self.kept.push_back(found);
            }
        } else {
            self.stored.clear();
            if let Err(fault) = load(&mut self.stored) {
                return Err((fault, self.stored.len()));
            }
            let mut group = self.room(key.0, bytes);
            if !self.unpack(bytes, &mut group) {
                return Err((Fault::Damaged, 0));
            }
            self.kept_bytes += group.capacity();
            self.kept.push_back((key, group));
        }
        self.kept.back().map(|(_, group)| group.as_slice()).ok_or((Fault::Damaged, 0))
    }

    /// Returns memory for one more group of a block: that of its oldest, where there are enough or there is no room,
    /// or else of the one used last.
    fn room(&mut self, block: u64, bytes: usize) -> Vec<u8> {
        let mut room = Vec::new();
        let of_block = |kept: &&((u64, u32), Vec<u8>)| kept.0.0 == block;
        let is_full = self.kept_bytes + bytes > self.kept_bytes_max;
        if (is_full || self.kept.iter().filter(of_block).count() >= KEPT_OF_BLOCK_MAX)
            && let Some(at) = self.kept.iter().position(|kept| of_block(&kept))
        {
            room = self.drop_group(at);
        }
        while self.kept_bytes + bytes > self.kept_bytes_max && !self.kept.is_empty() {
            room = self.drop_group(self.kept.len() - 1);
        }
        // Memory that is far too large would be kept too.
        let is_fit = room.capacity() / 2 <= bytes && self.kept_bytes + room.capacity() <= self.kept_bytes_max;
        if is_fit { room } else { Vec::new() }
    }

    fn drop_group(&mut self, at: usize) -> Vec<u8> {
        let old = self.kept.remove(at).map(|(_, old)| old).unwrap_or_default();
        self.kept_bytes -= old.capacity();
        old
    }

    fn unpack(&mut self, bytes: usize, group: &mut Vec<u8>) -> bool {
        group.clear();
        group.reserve_exact(bytes);
        if self.stored.len() == bytes {
            group.extend_from_slice(&self.stored);
            return true;
        }
        if self.context.is_none() {
            self.context = Decompressor::new().ok();
        }
        let Some(context) = self.context.as_mut() else { return false };
        context.decompress_to_buffer(&self.stored, group).is_ok_and(|found| found == bytes) && group.len() == bytes
    }
}

type Load<'a> = dyn FnMut(&mut Vec<u8>) -> Result<(), Fault> + 'a;

/// Where a sealed block is and where its groups are.
#[derive(Debug, Clone)]
pub(crate) struct Groups {
    block: u64,
    /// Its first page in the ring.
    pub start: u32,
    /// Where each group begins: before it was squeezed, and in the block's payload; and where the last one ends.
    places: Vec<(u32, u32)>,
}

impl Groups {
    /// Reads what stands before a block's groups.
    pub fn load(pages: &mut Pages<'_>, block: u64, start: u32) -> Result<(Meta, Groups), Fault> {
        let mut bytes = Vec::new();
        pages.bytes(block, start, 0, META_HEAD as u32, &mut bytes)?;
        let meta = Meta::take(&bytes).ok_or(Fault::Damaged)?;
        bytes.clear();
        pages.bytes(block, start, META_HEAD as u32, meta.directory_bytes, &mut bytes)?;
        let places = directory(&bytes, META_HEAD as u32 + meta.directory_bytes).ok_or(Fault::Damaged)?;
        Ok((meta, Groups { block, start, places }))
    }

    /// Returns about how much memory it takes.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Groups>() + size_of_val(self.places.as_slice())
    }

    /// Returns one without any group.
    #[cfg(test)]
    pub fn at(start: u32) -> Groups {
        Groups { block: 0, start, places: Vec::new() }
    }

    /// Returns where in the block's payload the last group ends.
    pub fn end(&self) -> usize {
        self.places.last().map_or(0, |(_, end)| *end as usize)
    }

    /// Appends the groups in which `len` bytes from `from` on lie, as they stand.
    pub fn squeezed(&self, pages: &mut Pages<'_>, (from, len): (u32, u32), out: &mut Vec<u8>) -> Result<(), Fault> {
        let end = from.checked_add(len).ok_or(Fault::Damaged)?;
        let first = self.places.partition_point(|(begin, _)| *begin <= from).saturating_sub(1);
        let last = self.places.partition_point(|(begin, _)| *begin < end);
        let (Some((_, first)), Some((_, last))) = (self.places.get(first), self.places.get(last)) else {
            return Err(Fault::Damaged);
        };
        pages.bytes(self.block, self.start, *first, last.saturating_sub(*first), out)
    }

    /// Appends `len` bytes from `from` on, as they were before they were squeezed; what comes before a fault is kept,
    /// and the fault's page is told.
    pub fn bytes(
        &self,
        pages: &mut Pages<'_>,
        unpacker: &mut Unpacker,
        (from, len): (u32, u32),
        out: &mut Vec<u8>,
    ) -> Result<(), (Fault, u32)> {
        let end = from.checked_add(len).ok_or((Fault::Damaged, 0))?;
        let mut at = from;
        while at < end {
            let group = self.places.partition_point(|(begin, _)| *begin <= at);
            let (Some((begin, stored)), Some((next, stored_end))) =
                (group.checked_sub(1).and_then(|group| self.places.get(group)), self.places.get(group))
            else {
                return Err((Fault::Damaged, 0));
            };
            let mut load =
                |bytes: &mut Vec<u8>| pages.bytes(self.block, self.start, *stored, stored_end - stored, bytes);
            let unpacked = unpacker.group((self.block, group as u32), (next - begin) as usize, &mut load);
            let unpacked =
                unpacked.map_err(|(fault, read)| (fault, (*stored as usize + read) as u32 / BLOB_PAYLOAD as u32))?;
            let until = end.min(*next);
            out.extend_from_slice(&unpacked[(at - begin) as usize..(until - begin) as usize]);
            at = until;
        }
        Ok(())
    }
}

/// Returns where each group begins and the last one ends; groups lie behind each other from `at` on.
fn directory(bytes: &[u8], mut at: u32) -> Option<Vec<(u32, u32)>> {
    let (mut take, mut begin) = (Take::new(bytes), 0u32);
    let mut places = vec![(begin, at)];
    while !take.rest.is_empty() {
        let raw = take.varint32().filter(|raw| (1..=GROUP_BYTES_MAX as u32).contains(raw))?;
        let stored = take.varint32().filter(|stored| *stored <= raw)?;
        (begin, at) = (begin.checked_add(raw)?, at.checked_add(stored)?);
        places.push((begin, at));
    }
    Some(places)
}

#[cfg(test)]
#[path = "groups_tests.rs"]
mod tests;
