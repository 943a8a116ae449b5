//! The bounded file on tmpfs that makes kill -9 harmless: records that no sync has made certain yet.
//!
//! The file has two halves. Each append adds a frame to one half; when a sync is begun, frames go to the other half
//! from its start, where everything that stood there is certain since the sync before. So nothing is ever reset and
//! no instant exists in which a row is in neither place. After a sync that failed the next one does not turn: what
//! stands in the other half is not certain yet. A frame says where in its block's stream it belongs and
//! what the running checksum is behind it, so a frame that does not fit is old or torn, and is dropped.
//!
//! ```text
//! frame = "NXtf", file u32, block u64, offset u32, length u32, checksum of the stream behind it u32, bytes
//! ```
//! A half that is full takes no more frames until the next sync begins; that is counted.

use crate::crc::extend;
use crate::wire::{Take, put_u32, put_u64};

const MAGIC: [u8; 4] = *b"NXtf";
const FRAME_HEAD: usize = 28;

/// Where the next frame goes.
#[derive(Debug)]
pub(crate) struct Tail {
    file: u32,
    half_bytes: u64,
    second: bool,
    used: u64,
    /// The half before this one is not certain yet.
    unsettled: bool,
}

impl Tail {
    pub fn new(file: u32, bytes: u64) -> Tail {
        Tail { file, half_bytes: bytes / 2, second: false, used: 0, unsettled: false }
    }

    pub fn is_on(&self) -> bool {
        self.half_bytes > 0
    }

    /// Is told that a sync begins.
    pub fn turn(&mut self) {
        if !self.unsettled {
            (self.second, self.used, self.unsettled) = (!self.second, 0, true);
        }
    }

    /// Is told that the sync that began last has made everything before it certain.
    pub fn settle(&mut self) {
        self.unsettled = false;
    }

    /// Returns a frame and where it goes; `None` when the half is full.
    pub fn frame(&mut self, block: u64, (end, crc): (u32, u32), records: &[u8]) -> Option<(u64, Vec<u8>)> {
        let bytes = (FRAME_HEAD + records.len()) as u64;
        if self.used + bytes > self.half_bytes {
            self.used = self.half_bytes;
            return None;
        }
        let mut out = Vec::with_capacity(bytes as usize);
        out.extend_from_slice(&MAGIC);
        put_u32(&mut out, self.file);
        put_u64(&mut out, block);
        put_u32(&mut out, end - records.len() as u32);
        put_u32(&mut out, records.len() as u32);
        put_u32(&mut out, crc);
        out.extend_from_slice(records);
        let offset = u64::from(self.second) * self.half_bytes + self.used;
        self.used += bytes;
        Some((offset, out))
    }
}

/// A frame as it was found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    pub block: u64,
    pub offset: u32,
    crc: u32,
    bytes: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Returns the bytes that go on from a stream of this length and checksum, if the frame fits there.
    pub fn after(&self, length: u32, crc: u32) -> Option<&'a [u8]> {
        let skip = length.checked_sub(self.offset)? as usize;
        let bytes = self.bytes.get(skip..).filter(|bytes| !bytes.is_empty())?;
        (extend(crc, bytes) == self.crc).then_some(bytes)
    }
}

/// Returns the frames of both halves in the order of their streams.
pub(crate) fn frames<'a>(file: u32, tail: &'a [u8], tail_bytes: u64) -> Vec<Frame<'a>> {
    let half = usize::try_from(tail_bytes / 2).unwrap_or(usize::MAX).min(tail.len());
    let (first, second) = tail.split_at(half);
    let mut found = Vec::new();
    for mut take in [Take::new(first), Take::new(second)] {
        while let Some(frame) = next(file, &mut take) {
            found.push(frame);
        }
    }
    found.sort_by_key(|frame| (frame.block, frame.offset));
    found
}

fn next<'a>(file: u32, take: &mut Take<'a>) -> Option<Frame<'a>> {
    if take.bytes(4)? != MAGIC || take.u32()? != file {
        return None;
    }
    let (block, offset, length, crc) = (take.u64()?, take.u32()?, take.u32()?, take.u32()?);
    Some(Frame { block, offset, crc, bytes: take.bytes(length as usize)? })
}
