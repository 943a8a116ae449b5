//! 128 bits that stand for bytes, so that whoever wants to know them again need not keep them: for a hundred thousand
//! series their labels were 15 MB.
//!
//! Two lanes of sixteen bytes at a time, each folded by a full multiplication, as wyhash and its kin do; the length goes
//! in before. What differs has the same print once in 2^64 pairs or so when nobody means it. Whoever means it and
//! succeeds has mixed up what is their own; no other source's series are reached by it.

/// Odd numbers without pattern: fractions of the golden ratio, and of the roots of two and three.
const KEYS: [u64; 3] = [0x9e37_79b9_7f4a_7c15, 0x6a09_e667_f3bc_c909, 0xbb67_ae85_84ca_a73b];

/// A fingerprint that grows.
#[derive(Debug, Clone)]
pub struct Fingerprint {
    a: u64,
    b: u64,
}

impl Default for Fingerprint {
    fn default() -> Fingerprint {
        Fingerprint { a: KEYS[0], b: KEYS[1] }
    }
}

impl Fingerprint {
    /// Adds bytes; where they end counts.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Fingerprint {
        self.pair(bytes.len() as u64, 0);
        let (blocks, rest) = bytes.as_chunks::<32>();
        blocks.iter().for_each(|block| self.block(block));
        let mut last = [0; 32];
        last[..rest.len()].copy_from_slice(rest);
        self.block(&last);
        self
    }

    /// Adds two numbers.
    pub fn pair(&mut self, one: u64, other: u64) -> &mut Fingerprint {
        self.a = fold(self.a ^ one, KEYS[1]).wrapping_add(one);
        self.b = fold(self.b ^ other, KEYS[2]).wrapping_add(other);
        self
    }

    fn block(&mut self, block: &[u8; 32]) {
        let [w, x, y, z] =
            std::array::from_fn(|at| u64::from_le_bytes(std::array::from_fn(|byte| block[at * 8 + byte])));
        self.a = fold(self.a ^ w, KEYS[1] ^ x).wrapping_add(x);
        self.b = fold(self.b ^ y, KEYS[2] ^ z).wrapping_add(z);
    }

    /// Returns what stands for all that was added; each half is told by all of it.
    pub fn get(&self) -> u128 {
        let (a, b) = (fold(self.a, KEYS[0]), fold(self.b, KEYS[0]));
        u128::from(fold(a, KEYS[1]) ^ b) << 64 | u128::from(a ^ fold(b, KEYS[2]))
    }
}

/// Returns what stands for these bytes.
pub fn fingerprint(bytes: &[u8]) -> u128 {
    Fingerprint::default().bytes(bytes).get()
}

/// Multiplies in full and lays the upper half over the lower one: every bit of both counts.
pub fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Every bit, the length, and the order of words count; and the two halves do not say the same.
    #[test]
    fn bytes_that_differ_have_prints_that_differ() {
        let text = b"\x10\0\0\0\x08\0__name__\x02\0up\x10\0\0\0\x08\0__name__\x02\0us and a rest that is long enough";
        let mut seen = HashSet::from([fingerprint(text)]);
        for at in 0..text.len() * 8 {
            let mut other = text.to_vec();
            other[at / 8] ^= 1 << (at % 8);
            assert!(seen.insert(fingerprint(&other)), "bit {at}");
        }
        for length in 0..text.len() {
            assert!(seen.insert(fingerprint(&text[..length])), "{length} bytes");
        }
        assert!(seen.insert(fingerprint(&[&text[..], &[0]].concat())));
        for (one, other) in [(0, 8), (8, 16), (0, 16), (16, 24), (3, 40)] {
            let mut swapped = text.to_vec();
            swapped.swap(one, other);
            assert!(seen.insert(fingerprint(&swapped)), "{one} and {other}");
        }
        let halves: HashSet<u64> = seen.iter().flat_map(|print| [*print as u64, (*print >> 64) as u64]).collect();
        assert_eq!(halves.len(), seen.len() * 2);
        let many: HashSet<u64> = (0..100_000u64).map(|n| fingerprint(&n.to_le_bytes()) as u64).collect();
        assert_eq!(many.len(), 100_000);
    }

    #[test]
    fn where_one_ends_and_the_next_begins_counts() {
        let of = |parts: &[&str]| {
            let mut print = Fingerprint::default();
            parts.iter().for_each(|part| _ = print.bytes(part.as_bytes()));
            print.get()
        };
        let all = [of(&["a", "bc"]), of(&["ab", "c"]), of(&["abc"]), of(&["abc", ""]), of(&[""]), of(&["", ""])];
        assert_eq!(HashSet::from(all).len(), all.len());
        let pairs = (0..300u64).flat_map(|one| (0..300).map(move |other| (one, other)));
        let prints: HashSet<u128> = pairs.map(|(one, other)| Fingerprint::default().pair(one, other).get()).collect();
        assert_eq!(prints.len(), 90_000);
    }
}
