//! gzip of a text that is the same as the last one but for its values.
//!
//! Four fifths of the work of packing a `/metrics` is to find what repeats, and that is names and labels, which stay.
//! So it is found once for a layout: which runs of bytes between the values are copies of which earlier ones. Then a
//! text is packed by writing values as they are and the copies by their distance, which is all that values of other
//! lengths change. Codes are deflate's fixed ones, as the fastest level of any library uses them.
//!
//! A layout is learned when it comes the second time; one that comes once is not packed here. What this does not do:
//! find copies among values, look back further than deflate does, or compute the checksum.
//!
//! Sources: RFC 1951, section 3.2.6; RFC 1952.

use std::ops::Range;

/// The shortest copy worth a distance.
const COPY_BYTES_MIN: usize = 4;
/// The longest copy that deflate has a code for.
const COPY_BYTES_MAX: usize = 258;
/// How far back deflate looks.
const DISTANCE_MAX: usize = 32_768;
/// How many earlier places are looked at for the longest copy.
const PLACES_MAX: usize = 32;
/// The buckets of the table of places, as a power of two.
const BUCKET_BITS: u32 = 13;
/// Texts longer than this are not packed here: what is remembered grows with them.
const TEXT_BYTES_MAX: usize = 1 << 20;

const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// The only and last block, with fixed codes.
const LAST_FIXED: (u64, u32) = (0b011, 3);
const END_OF_BLOCK: (u64, u32) = (0, 7);

/// One run of bytes that stood there before.
#[derive(Debug, Clone, Copy)]
struct Copied {
    /// Between which values it is, and how far behind the first of them.
    to: (u32, u32),
    /// The same of what it is a copy of.
    from: (u32, u32),
    bytes: u32,
}

/// What was learned of a layout.
#[derive(Debug, Default)]
pub struct Packed {
    seen: Option<u64>,
    learned: Option<u64>,
    copies: Vec<Copied>,
    /// How long the last result was.
    bytes: usize,
}

impl Packed {
    /// Packs a text that has these values in it, in ascending order. Texts of one `layout` differ by nothing but their
    /// values. `checksum` computes a CRC-32. `None` where the layout is new.
    pub fn pack(
        &mut self,
        text: &str,
        values: &[Range<u32>],
        layout: u64,
        checksum: impl FnOnce(&[u8]) -> u32,
    ) -> Option<Vec<u8>> {
        let text = text.as_bytes();
        if self.seen.replace(layout) != Some(layout) || text.len() > TEXT_BYTES_MAX {
            return None;
        }
        if self.learned != Some(layout) {
            self.copies = copies(text, values);
            self.learned = Some(layout);
        }
        let mut packed = self.write(text, values);
        packed.extend_from_slice(&checksum(text).to_le_bytes());
        packed.extend_from_slice(&(text.len() as u32).to_le_bytes());
        self.bytes = packed.len();
        Some(packed)
    }

    fn write(&self, text: &[u8], values: &[Range<u32>]) -> Vec<u8> {
        let mut bits = Bits { out: Vec::with_capacity(self.bytes + self.bytes / 16 + 64), held: 0, count: 0 };
        bits.out.extend_from_slice(&HEADER);
        bits.put(LAST_FIXED);
        // Where the bytes between values begin in this text.
        let place = |(piece, at): (u32, u32)| match piece {
            0 => at as usize,
            _ => values.get(piece as usize - 1).map_or(0, |value| value.end as usize) + at as usize,
        };
        let mut done = 0;
        for copied in &self.copies {
            let (to, from) = (place(copied.to), place(copied.from));
            // One that has come to be too far away is written as it is.
            let Some(distance) = to.checked_sub(from).filter(|distance| *distance <= DISTANCE_MAX) else { continue };
            bits.literals(text.get(done..to).unwrap_or_default());
            bits.copy(copied.bytes as usize, distance);
            done = to + copied.bytes as usize;
        }
        bits.literals(text.get(done..).unwrap_or_default());
        bits.put(END_OF_BLOCK);
        bits.finish()
    }
}

/// Finds what is a copy of what, between the values of a text.
fn copies(text: &[u8], values: &[Range<u32>]) -> Vec<Copied> {
    const NOWHERE: u32 = u32::MAX;
    let mut found = Vec::new();
    let mut newest = vec![NOWHERE; 1 << BUCKET_BITS];
    // Which place there was before one by the same bucket, for as far back as anybody looks: one that is overwritten is
    // out of reach.
    let mut before = vec![NOWHERE; DISTANCE_MAX];
    let pieces: Vec<Range<usize>> = pieces(text.len(), values).collect();
    let piece_of = |at: usize| pieces.partition_point(|piece| piece.end <= at);
    for (number, piece) in pieces.iter().enumerate() {
        let mut at = piece.start;
        let mut free = at;
        while at + COPY_BYTES_MIN <= piece.end {
            let bucket = &mut newest[bucket(&text[at..])];
            if at >= free {
                let places = std::iter::successors(Some(*bucket), |place| Some(before[*place as usize % DISTANCE_MAX]));
                let is_near = |place: &u32| *place != NOWHERE && at - *place as usize <= DISTANCE_MAX;
                let places = places.take_while(is_near).take(PLACES_MAX);
                let best = places.map(|place| place as usize).map(|place| {
                    let from = piece_of(place);
                    let room = (piece.end - at).min(pieces[from].end - place).min(COPY_BYTES_MAX);
                    let same = text[at..at + room].iter().zip(&text[place..]).take_while(|(a, b)| a == b).count();
                    (same, from, place)
                });
                // Of equally long ones the nearest: it has the shortest distance.
                let best = best.reduce(|best, other| if other.0 > best.0 { other } else { best });
                if let Some((bytes, from, place)) = best.filter(|best| best.0 >= COPY_BYTES_MIN) {
                    let (to, from_at) = ((at - piece.start) as u32, (place - pieces[from].start) as u32);
                    found.push(Copied { to: (number as u32, to), from: (from as u32, from_at), bytes: bytes as u32 });
                    free = at + bytes;
                }
            }
            before[at % DISTANCE_MAX] = std::mem::replace(bucket, at as u32);
            at += 1;
        }
    }
    found.shrink_to_fit();
    found
}

/// Returns what lies between values, before the first and behind the last.
fn pieces(bytes: usize, values: &[Range<u32>]) -> impl Iterator<Item = Range<usize>> {
    let starts = std::iter::once(0).chain(values.iter().map(|value| value.end as usize));
    let ends = values.iter().map(|value| value.start as usize).chain(std::iter::once(bytes));
    starts.zip(ends).map(|(start, end)| start..end)
}

fn bucket(bytes: &[u8]) -> usize {
    let word = bytes.first_chunk().map_or(0, |chunk| u32::from_le_bytes(*chunk));
    (word.wrapping_mul(0x9e37_79b1) >> (32 - BUCKET_BITS)) as usize
}

/// Codes, the first in the lowest bits.
struct Bits {
    out: Vec<u8>,
    held: u64,
    count: u32,
}

impl Bits {
    /// Writes at most 31 bits.
    #[inline(always)]
    fn put(&mut self, (bits, count): (u64, u32)) {
        self.held |= bits << self.count;
        self.count += count;
        if self.count >= 32 {
            self.out.extend_from_slice(&(self.held as u32).to_le_bytes());
            self.held >>= 32;
            self.count -= 32;
        }
    }

    fn literals(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let (bits, count) = LITERALS[usize::from(*byte)];
            self.put((u64::from(bits), u32::from(count)));
        }
    }

    fn copy(&mut self, bytes: usize, distance: usize) {
        let (bits, count) = LENGTHS[bytes - 3];
        let (far, far_count) = distance_code(distance as u32 - 1);
        self.put((u64::from(bits) | far << count, u32::from(count) + far_count));
    }

    fn finish(mut self) -> Vec<u8> {
        let bytes = self.count.div_ceil(8) as usize;
        self.out.extend_from_slice(&self.held.to_le_bytes()[..bytes]);
        self.out
    }
}

/// Returns the code of a distance less one, with the bits that follow it.
fn distance_code(less_one: u32) -> (u64, u32) {
    let (symbol, extra) = match less_one {
        0..4 => (less_one, 0),
        _ => {
            let top = less_one.ilog2();
            (2 * top + (less_one >> (top - 1) & 1), top - 1)
        }
    };
    let code = u64::from(symbol.reverse_bits() >> 27);
    (code | u64::from(less_one & ((1 << extra) - 1)) << 5, 5 + extra)
}

/// The code of each byte, and how many bits it has.
static LITERALS: [(u16, u8); 256] = {
    let mut table = [(0, 0); 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = fixed_code(byte as u16);
        byte += 1;
    }
    table
};

/// The code of each length from 3 on with the bits that follow it, and how many there are.
static LENGTHS: [(u16, u8); 256] = {
    let mut table = [(0, 0); 256];
    let (mut symbol, mut length) = (257, 3_u16);
    while length <= COPY_BYTES_MAX as u16 {
        // Four symbols of each width from the ninth on; the longest copy has one of its own.
        let extra = if symbol < 265 || length == 258 { 0 } else { (symbol - 261) / 4 };
        let (code, bits) = fixed_code(if length == 258 { 285 } else { symbol });
        let mut more = 0;
        while more < 1 << extra && (extra == 0 || length + more < COPY_BYTES_MAX as u16) {
            table[(length + more - 3) as usize] = (code | more << bits, bits + extra as u8);
            more += 1;
        }
        length += more;
        symbol += 1;
    }
    table
};

/// Returns the fixed code of a symbol, as it is written, and how many bits it has.
const fn fixed_code(symbol: u16) -> (u16, u8) {
    let (code, bits) = match symbol {
        0..144 => (0x30 + symbol, 8),
        144..256 => (0x190 + (symbol - 144), 9),
        256..280 => (symbol - 256, 7),
        _ => (0xc0 + (symbol - 280), 8),
    };
    (code.reverse_bits() >> (16 - bits), bits as u8)
}

#[cfg(test)]
mod tests;
