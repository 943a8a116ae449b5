//! One growing column of the open block: its bytes, what the coder knows at their end, and marks to begin reading at.
//!
//! A mark is the coder's state after some token, taken every `MARK_BYTES` bytes of the column. So a read begins at
//! most so many bytes before what it wants, and a column that stands still, which is a byte for 32 values, has none.
//! Marks live in a pool of their own that is emptied, and kept, with the block.

use crate::arena::{Arena, Stream};
use crate::codec::{State, TokenReader};

/// How many bytes of a column there are between two marks: a few microseconds of decoding against a tenth of the
/// open block's memory.
const MARK_BYTES: u32 = 512;
const SLAB_MARKS: usize = 64;
const NONE: u32 = u32::MAX;

/// What is known after so many values.
#[derive(Debug, Clone)]
struct Mark {
    state: State,
    /// How many bytes and values there are before it.
    at: u32,
    count: u32,
    /// The segment that holds the byte before it.
    segment: u32,
    /// The mark before this one.
    before: u32,
    /// The greatest integer before it.
    max: i64,
}

/// The pool of marks.
#[derive(Default)]
pub(crate) struct Marks {
    slabs: Vec<Vec<Mark>>,
    used: u32,
}

impl Marks {
    /// Returns how many bytes are in use.
    pub fn bytes(&self) -> usize {
        self.used as usize * size_of::<Mark>()
    }

    fn add(&mut self, mark: Mark) -> u32 {
        let slab = self.used as usize / SLAB_MARKS;
        if slab == self.slabs.len() {
            self.slabs.push(Vec::with_capacity(SLAB_MARKS));
        }
        self.slabs[slab].push(mark);
        self.used += 1;
        self.used - 1
    }

    fn get(&self, at: u32) -> Option<&Mark> {
        self.slabs.get(at as usize / SLAB_MARKS)?.get(at as usize % SLAB_MARKS)
    }
}

/// Where streams grow: their bytes and their marks.
#[derive(Default)]
pub(crate) struct Pool {
    pub arena: Arena,
    pub marks: Marks,
}

/// The most slabs of marks that a block leaves to the next one.
const KEPT_MARK_SLABS_MAX: usize = 32;

impl Pool {
    /// Empties the pool and keeps its memory.
    pub fn clear(&mut self) {
        self.arena.clear();
        self.marks.slabs.iter_mut().for_each(Vec::clear);
        self.marks.used = 0;
    }

    /// Takes the memory that nothing was put into yet, for the block behind this one.
    pub fn split(&mut self) -> Pool {
        let slabs = self.marks.slabs.split_off((self.marks.used as usize).div_ceil(SLAB_MARKS));
        Pool { arena: self.arena.split(), marks: Marks { slabs, used: 0 } }
    }

    /// Takes over the memory of a block that is not needed any more.
    pub fn adopt(&mut self, mut other: Pool) {
        other.clear();
        self.arena.adopt(other.arena);
        let room = KEPT_MARK_SLABS_MAX.saturating_sub(self.marks.slabs.len());
        self.marks.slabs.extend(other.marks.slabs.into_iter().take(room));
    }

    /// Returns how many bytes are in use.
    pub fn bytes(&self) -> usize {
        self.arena.bytes() + self.marks.bytes()
    }
}

/// One growing column of floats and histograms, or of integers.
#[derive(Debug, Clone)]
pub(crate) struct Track {
    pub state: State,
    stream: Stream,
    count: u32,
    newest_mark: u32,
    marked_at: u32,
    max: i64,
}

impl Default for Track {
    fn default() -> Track {
        let (state, stream) = (State::default(), Stream::default());
        Track { state, stream, count: 0, newest_mark: NONE, marked_at: 0, max: i64::MIN }
    }
}

/// Where a read is to begin at the latest.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Seek {
    /// At this value, counted from 0.
    Value(u32),
    /// At the first integer that is not below this; a mark counts only if nothing before it is.
    NotBelow(i64),
}

impl Track {
    /// Returns how many bytes there are.
    pub fn len(&self) -> usize {
        self.stream.len()
    }

    /// Appends an integer; answers whether it was coded, and not as predicted, to `token`.
    pub fn push_int(&mut self, pool: &mut Pool, value: i64, token: &mut Vec<u8>) -> bool {
        token.clear();
        let coded = self.state.put_int(value, token);
        self.max = self.max.max(value);
        self.push(pool, coded, token);
        coded
    }

    /// Appends a value that is coded in `token`, or one that comes as predicted.
    pub fn push(&mut self, pool: &mut Pool, coded: bool, token: &[u8]) {
        self.count += 1;
        if !coded {
            self.stream.push_predicted(&mut pool.arena);
            return;
        }
        self.stream.push(&mut pool.arena, token);
        let at = self.stream.len() as u32;
        // A mark keeps the histogram before it.
        if at - self.marked_at >= MARK_BYTES + 2 * self.state.histogram_bytes() as u32 {
            let (segment, before) = (self.stream.newest_segment(), self.newest_mark);
            let mark = Mark { state: self.state.clone(), at, count: self.count, segment, before, max: self.max };
            self.newest_mark = pool.marks.add(mark);
            self.marked_at = at;
        }
    }

    /// Appends a copy of the bytes from an offset on.
    pub fn copy(&self, pool: &Pool, from: usize, out: &mut Vec<u8>) {
        self.stream.copy(&pool.arena, from, out);
    }

    /// Appends a copy of the bytes from the last mark before a place on, and returns a reader that begins there.
    pub fn seek(&self, pool: &Pool, seek: Seek, out: &mut Vec<u8>) -> TokenReader {
        let mut at = self.newest_mark;
        while let Some(mark) = pool.marks.get(at) {
            let is_before = match seek {
                Seek::Value(value) => mark.count <= value,
                Seek::NotBelow(least) => mark.max < least,
            };
            if is_before {
                self.stream.copy_behind(&pool.arena, mark.segment, mark.at as usize, out);
                return TokenReader::resumed(mark.state.clone(), mark.at as usize, mark.count);
            }
            at = mark.before;
        }
        self.stream.copy(&pool.arena, 0, out);
        TokenReader::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Item;

    #[test]
    fn a_read_that_begins_anywhere_finds_what_a_whole_one_finds() {
        let (mut pool, mut floats, mut ints) = (Pool::default(), Track::default(), Track::default());
        let (mut seed, mut token) = (0x9e37_79b9_7f4a_7c15u64, Vec::new());
        let (mut values, mut times, mut time) = (Vec::new(), Vec::new(), 0i64);
        for i in 0..4_000u32 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let value = match i / 500 % 4 {
                0 => f64::from_bits(seed),
                1 => 42.0,
                2 => f64::from(i) * 10.0,
                _ => (seed >> 50) as f64 / 100.0,
            };
            token.clear();
            let coded = floats.state.put_float(value, Some(i64::from(i / 700)), &mut token);
            floats.push(&mut pool, coded, &token);
            time += if i % 1_000 < 400 { 15_000 } else { (seed >> 52) as i64 - 30 };
            ints.push_int(&mut pool, time, &mut token);
            values.push(value);
            times.push(time);
        }
        assert!(pool.marks.used > 10);
        let mut bytes = Vec::new();
        for from in (0..4_000).step_by(97) {
            bytes.clear();
            let mut reader = floats.seek(&pool, Seek::Value(from), &mut bytes);
            let base = reader.at();
            reader.skip(&bytes, base, from - reader.count()).expect("so many");
            assert!(reader.at() - base <= MARK_BYTES as usize + 16, "{from} from {base}");
            for (at, value) in values.iter().enumerate().skip(from as usize) {
                let Some(Item::Float(found)) = reader.next(&bytes, base) else { panic!("value {at}") };
                assert_eq!(found.to_bits(), value.to_bits(), "value {at} from {from}");
                assert_eq!(reader.start(), Some(at as i64 / 700));
            }
            assert_eq!(reader.next(&bytes, base), None);
        }
        for least in (0..time).step_by(997_001) {
            bytes.clear();
            let mut reader = ints.seek(&pool, Seek::NotBelow(least), &mut bytes);
            let (base, first) = (reader.at(), reader.count() as usize);
            assert!(times[..first].iter().all(|time| *time < least));
            for (at, time) in times.iter().enumerate().skip(first) {
                assert_eq!(reader.next_int(&bytes, base), Some(*time), "time {at}");
            }
        }
    }

    #[test]
    fn a_pool_that_is_emptied_is_filled_again_without_more_memory() {
        let mut pool = Pool::default();
        for _ in 0..3 {
            pool.clear();
            let (mut track, mut token) = (Track::default(), Vec::new());
            for i in 0..3_000i64 {
                track.push_int(&mut pool, i * i * i % 1_000_003, &mut token);
            }
            assert_eq!(pool.marks.slabs.len(), 1);
            let mut bytes = Vec::new();
            let mut reader = track.seek(&pool, Seek::Value(2_990), &mut bytes);
            let base = reader.at();
            reader.skip_ints(&bytes, base, 2_990 - reader.count()).expect("so many");
            assert_eq!(reader.next_int(&bytes, base), Some(2_990i64.pow(3) % 1_000_003));
        }
    }

    #[test]
    fn blocks_hand_their_memory_on_and_never_take_more() {
        let fill = |pool: &mut Pool, seed: i64| {
            let (mut track, mut token) = (Track::default(), Vec::new());
            for i in 0..30_000i64 {
                track.push_int(pool, (i + seed) * i * i % 1_000_003, &mut token);
            }
            track
        };
        let mut open = Pool::default();
        let mut sizes = Vec::new();
        for round in 0..5 {
            // Frozen, while the next one has begun; then it is sealed.
            let before = fill(&mut open, round);
            let mut next = open.split();
            let (mut track, mut token) = (Track::default(), Vec::new());
            for i in 0..3_000i64 {
                track.push_int(&mut next, i * i * i % 1_009, &mut token);
            }
            let mut bytes = Vec::new();
            before.copy(&open, 0, &mut bytes);
            let mut reader = TokenReader::default();
            assert!((0..30_000i64).all(|i| reader.next_int(&bytes, 0) == Some((i + round) * i * i % 1_000_003)));
            next.adopt(std::mem::take(&mut open));
            open = next;
            let mut bytes = Vec::new();
            track.copy(&open, 0, &mut bytes);
            let mut reader = TokenReader::default();
            assert!((0..3_000i64).all(|i| reader.next_int(&bytes, 0) == Some(i * i * i % 1_009)));
            sizes.push((open.arena.slabs(), open.marks.slabs.len()));
            open.clear();
        }
        assert!(sizes[0].0 > 4 && sizes.iter().all(|size| *size == sizes[0]), "{sizes:?}");
    }
}
