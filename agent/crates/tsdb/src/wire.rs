//! Numbers and label sets as bytes: little-endian, explicit widths, varints of seven bits, zigzag for signs.
//!
//! Writing appends to a `Vec<u8>` that the caller keeps. Reading takes from a slice and answers `None` at the first
//! thing that makes no sense: no input panics, and no length from outside is believed before it is checked.
//!
//! Label sets are written against the one before: how many leading and trailing bytes are the same, then the rest.

/// Takes values off the front of some bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Take<'a> {
    pub rest: &'a [u8],
}

impl<'a> Take<'a> {
    pub fn new(rest: &'a [u8]) -> Take<'a> {
        Take { rest }
    }

    pub fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(front)
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.bytes(1).map(|b| b[0])
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.bytes(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
    }

    pub fn u64(&mut self) -> Option<u64> {
        let low = u64::from(self.u32()?);
        Some(low | u64::from(self.u32()?) << 32)
    }

    pub fn i64(&mut self) -> Option<i64> {
        self.u64().map(|v| v as i64)
    }

    pub fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.u8()?;
            if shift == 63 && byte > 1 {
                return None;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    pub fn varint32(&mut self) -> Option<u32> {
        self.varint().and_then(|v| u32::try_from(v).ok())
    }

    /// Takes a count of things that have at least one byte each, so that it is bounded by what is left.
    pub fn count(&mut self) -> Option<usize> {
        self.varint().and_then(|v| usize::try_from(v).ok()).filter(|v| *v <= self.rest.len())
    }

    pub fn zigzag(&mut self) -> Option<i64> {
        self.varint().map(unzigzag)
    }

    /// Takes bytes behind their length.
    pub fn block(&mut self) -> Option<&'a [u8]> {
        let count = self.count()?;
        self.bytes(count)
    }

    /// Takes text behind its length.
    pub fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.block()?).ok()
    }

    /// Takes a label set and makes it of the one before, which is replaced.
    pub fn labels(&mut self, last: &mut Vec<u8>) -> Option<()> {
        let front = usize::try_from(self.varint()?).ok()?;
        let back = usize::try_from(self.varint()?).ok()?;
        let middle = self.block()?;
        if front.checked_add(back)? > last.len() {
            return None;
        }
        last.splice(front..last.len() - back, middle.iter().copied());
        Some(())
    }
}

pub(crate) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn put_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn put_zigzag(out: &mut Vec<u8>, value: i64) {
    put_varint(out, zigzag(value));
}

pub(crate) fn put_block(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Writes a label set against the one before, which is replaced.
pub(crate) fn put_labels(out: &mut Vec<u8>, last: &mut Vec<u8>, packed: &[u8]) {
    let front = last.iter().zip(packed).take_while(|(a, b)| a == b).count();
    let room = last.len().min(packed.len()) - front;
    let back = last.iter().rev().zip(packed.iter().rev()).take(room).take_while(|(a, b)| a == b).count();
    put_varint(out, front as u64);
    put_varint(out, back as u64);
    put_block(out, &packed[front..packed.len() - back]);
    last.clear();
    last.extend_from_slice(packed);
}

pub(crate) fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Overwrites four bytes in place.
pub(crate) fn set_u32(page: &mut [u8], at: usize, value: u32) {
    page[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

/// Overwrites eight bytes in place.
pub(crate) fn set_u64(page: &mut [u8], at: usize, value: u64) {
    page[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        let mut out = Vec::new();
        let values = [0, 1, 127, 128, 16_383, 16_384, u64::MAX / 2, u64::MAX];
        for value in values {
            put_varint(&mut out, value);
            put_zigzag(&mut out, value as i64);
        }
        let mut take = Take::new(&out);
        for value in values {
            assert_eq!((take.varint(), take.zigzag()), (Some(value), Some(value as i64)));
        }
        assert!(take.rest.is_empty());
        assert_eq!(Take::new(&[0xff; 12]).varint(), None);
    }

    #[test]
    fn label_sets_come_back_from_what_differs() {
        let sets: [&[u8]; 5] = [b"abcabc", b"abcabcabc", b"abc", b"", b"xyz"];
        let (mut out, mut last) = (Vec::new(), Vec::new());
        for set in sets {
            put_labels(&mut out, &mut last, set);
        }
        let (mut take, mut last) = (Take::new(&out), Vec::new());
        for set in sets {
            take.labels(&mut last).expect("what was written");
            assert_eq!(last, set);
        }
        assert_eq!(Take::new(&[5, 0, 0]).labels(&mut vec![1]), None);
    }
}
