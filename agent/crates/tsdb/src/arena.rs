//! Where the open block's columns grow: one pool of small segments, so that hundreds of growing byte streams need
//! neither an allocation each nor room to spare.
//!
//! Segments of 60 bytes are chained by index and lie in slabs of 16 KiB, those behind the first megabyte in slabs of
//! 256 KiB: allocators give what is so large back to the system when it is freed. Nothing is freed one by one: when a
//! block is sealed its small slabs go to the block that is open by then, so a store whose blocks are small allocates
//! only when it is fuller than ever before, and has little more than the slabs of one block; large ones are dropped.

use crate::codec::{RUN, RUN_MAX};

const SEGMENT_BYTES: usize = 60;
const SLAB_SEGMENTS: usize = 256;
/// How many slabs are of that size; those behind them have so many segments.
const SMALL_SLABS: usize = 64;
const LARGE_SLAB_SEGMENTS: usize = 4_096;
const SMALL_SEGMENTS: usize = SMALL_SLABS * SLAB_SEGMENTS;
const NONE: u32 = u32::MAX;

#[derive(Clone)]
struct Segment {
    next: u32,
    bytes: [u8; SEGMENT_BYTES],
}

/// The pool.
#[derive(Default)]
pub(crate) struct Arena {
    slabs: Vec<Box<[Segment]>>,
    used: u32,
}

/// One growing byte stream in the pool.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    first: u32,
    last: u32,
    len: u32,
    /// How many values the run token at the end counts; 0 when the last token is none.
    run: u8,
}

impl Default for Stream {
    fn default() -> Stream {
        Stream { first: NONE, last: NONE, len: 0, run: 0 }
    }
}

impl Arena {
    /// Empties the pool and keeps its memory.
    pub fn clear(&mut self) {
        self.used = 0;
    }

    /// Takes the small slabs that nothing was put into yet.
    pub fn split(&mut self) -> Arena {
        let taken = self.used.checked_sub(1).map_or(0, |last| place(last).0 + 1);
        let slabs = self.slabs.split_off(taken);
        Arena { slabs: slabs.into_iter().filter(|slab| slab.len() == SLAB_SEGMENTS).collect(), used: 0 }
    }

    /// Takes over the small slabs of a pool that is not needed any more, as far as there is room for small ones.
    pub fn adopt(&mut self, other: Arena) {
        let room = SMALL_SLABS.saturating_sub(self.slabs.len());
        self.slabs.extend(other.slabs.into_iter().filter(|slab| slab.len() == SLAB_SEGMENTS).take(room));
    }

    /// Returns how many slabs there are.
    #[cfg(test)]
    pub fn slabs(&self) -> usize {
        self.slabs.len()
    }

    /// Returns how many bytes are in use.
    pub fn bytes(&self) -> usize {
        self.used as usize * size_of::<Segment>()
    }

    fn add(&mut self) -> u32 {
        let index = self.used;
        let (slab, _) = place(index);
        if slab == self.slabs.len() {
            let segments = if slab < SMALL_SLABS { SLAB_SEGMENTS } else { LARGE_SLAB_SEGMENTS };
            let slab = vec![Segment { next: NONE, bytes: [0; SEGMENT_BYTES] }; segments];
            self.slabs.push(slab.into_boxed_slice());
        }
        self.used += 1;
        self.get_mut(index).next = NONE;
        index
    }

    fn get(&self, index: u32) -> &Segment {
        let (slab, at) = place(index);
        &self.slabs[slab][at]
    }

    fn get_mut(&mut self, index: u32) -> &mut Segment {
        let (slab, at) = place(index);
        &mut self.slabs[slab][at]
    }
}

/// Returns in which slab a segment lies, and where.
#[inline]
fn place(index: u32) -> (usize, usize) {
    let index = index as usize;
    match index.checked_sub(SMALL_SEGMENTS) {
        None => (index / SLAB_SEGMENTS, index % SLAB_SEGMENTS),
        Some(behind) => (SMALL_SLABS + behind / LARGE_SLAB_SEGMENTS, behind % LARGE_SLAB_SEGMENTS),
    }
}

impl Stream {
    /// Returns how many bytes there are.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Appends the token of one value.
    pub fn push(&mut self, arena: &mut Arena, mut bytes: &[u8]) {
        self.run = 0;
        while !bytes.is_empty() {
            let at = self.len as usize % SEGMENT_BYTES;
            if at == 0 {
                self.grow(arena);
            }
            let count = bytes.len().min(SEGMENT_BYTES - at);
            arena.get_mut(self.last).bytes[at..at + count].copy_from_slice(&bytes[..count]);
            self.len += count as u32;
            bytes = &bytes[count..];
        }
    }

    /// Appends one value that comes as predicted.
    pub fn push_predicted(&mut self, arena: &mut Arena) {
        if self.run == 0 || self.run == RUN_MAX {
            self.push(arena, &[RUN]);
            self.run = 1;
            return;
        }
        self.run += 1;
        arena.get_mut(self.last).bytes[(self.len as usize - 1) % SEGMENT_BYTES] = RUN + self.run - 1;
    }

    /// Returns the segment that holds the last byte.
    pub fn newest_segment(&self) -> u32 {
        self.last
    }

    /// Appends a copy of the stream from an offset on.
    pub fn copy(&self, arena: &Arena, from: usize, out: &mut Vec<u8>) {
        self.copy_chain(arena, (self.first, 0), from, out);
    }

    /// Appends a copy from an offset on, where `segment` holds the byte before it.
    pub fn copy_behind(&self, arena: &Arena, segment: u32, from: usize, out: &mut Vec<u8>) {
        let start = from.saturating_sub(1) / SEGMENT_BYTES * SEGMENT_BYTES;
        self.copy_chain(arena, (segment, start), from, out);
    }

    fn copy_chain(&self, arena: &Arena, (mut segment, mut start): (u32, usize), from: usize, out: &mut Vec<u8>) {
        while start < self.len as usize {
            let count = (self.len as usize - start).min(SEGMENT_BYTES);
            let skip = from.saturating_sub(start).min(count);
            let found = arena.get(segment);
            out.extend_from_slice(&found.bytes[skip..count]);
            (segment, start) = (found.next, start + count);
        }
    }

    fn grow(&mut self, arena: &mut Arena) {
        let added = arena.add();
        if self.last == NONE {
            self.first = added;
        } else {
            arena.get_mut(self.last).next = added;
        }
        self.last = added;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_grow_beside_each_other() {
        let mut arena = Arena::default();
        let mut streams = vec![Stream::default(); 3];
        let mut expected = vec![Vec::new(); 3];
        for i in 0..1_000usize {
            let (stream, bytes) = (&mut streams[i % 3], vec![i as u8; i % 11 + 1]);
            stream.push(&mut arena, &bytes);
            expected[i % 3].extend_from_slice(&bytes);
        }
        for (stream, expected) in streams.iter().zip(&expected) {
            for from in [0, 1, 59, 60, 61, 700, expected.len()] {
                let mut out = Vec::new();
                stream.copy(&arena, from, &mut out);
                assert_eq!(out, expected[from..]);
            }
        }
    }

    #[test]
    fn segments_lie_one_after_the_other_in_slabs_of_both_sizes() {
        let (mut arena, mut expected) = (Arena::default(), (0, 0));
        for index in 0..(SMALL_SEGMENTS + 2 * LARGE_SLAB_SEGMENTS + 1) as u32 {
            assert_eq!((arena.add(), place(index)), (index, expected));
            expected.1 += 1;
            if expected.1 == arena.slabs[expected.0].len() {
                expected = (expected.0 + 1, 0);
            }
        }
        assert_eq!(arena.slabs.len(), SMALL_SLABS + 3);
        let (mut stream, bytes) = (Stream::default(), vec![7; 2_000_000]);
        arena.clear();
        stream.push(&mut arena, &bytes);
        let mut out = Vec::new();
        stream.copy(&arena, 1, &mut out);
        assert_eq!((out.len(), arena.slabs.len()), (bytes.len() - 1, SMALL_SLABS + 5));
    }

    #[test]
    fn predicted_values_share_a_byte_until_it_is_full() {
        let (mut arena, mut stream) = (Arena::default(), Stream::default());
        for _ in 0..33 {
            stream.push_predicted(&mut arena);
        }
        stream.push(&mut arena, &[7]);
        stream.push_predicted(&mut arena);
        let mut out = Vec::new();
        stream.copy(&arena, 0, &mut out);
        assert_eq!(out, [0xdf, 0xc0, 7, 0xc0]);
    }
}
