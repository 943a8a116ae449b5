//! A fast seeded hash of texts, to know a series again. Not for tables that strangers could fill against us.
//!
//! Eight bytes at a time are folded into a 64-bit state by a full multiplication, as wyhash and its kin do. A text's
//! length goes in before it, so that `a` then `bc` differs from `ab` then `c`.

use model::fold;

/// An odd number without pattern: the golden ratio's fraction.
const K: u64 = 0x9e37_79b9_7f4a_7c15;

/// A hash that grows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hash {
    seed: u64,
    state: u64,
}

impl Hash {
    /// Returns the hash of nothing.
    pub fn new(seed: u64) -> Hash {
        Hash { seed, state: fold(seed ^ K, K) }
    }

    /// Adds a text.
    pub fn add(&mut self, text: &str) -> &mut Hash {
        self.bytes(text.as_bytes())
    }

    /// Adds bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Hash {
        self.number(bytes.len() as u64);
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.number(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.number(u64::from_le_bytes(last));
        }
        self
    }

    /// Adds a number.
    pub fn number(&mut self, number: u64) -> &mut Hash {
        self.state = fold(self.state ^ number, K ^ self.seed.rotate_left(32)).wrapping_add(number);
        self
    }

    /// Returns the hash.
    pub fn get(&self) -> u64 {
        fold(self.state, K)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn texts_that_differ_have_hashes_that_differ() {
        let hash = |parts: &[&str]| {
            let mut hash = Hash::new(7);
            parts.iter().for_each(|part| _ = hash.add(part));
            hash.get()
        };
        assert_ne!(hash(&["a", "bc"]), hash(&["ab", "c"]));
        assert_ne!(hash(&[""]), hash(&["", ""]));
        assert_ne!(hash(&["a\0"]), hash(&["a"]));
        let many: HashSet<u64> = (0..200_000).map(|n| hash(&["http_requests", "path", &n.to_string()])).collect();
        assert_eq!(many.len(), 200_000);
    }
}
