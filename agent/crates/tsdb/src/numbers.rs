//! A map whose keys are numbers that this store gave: of series, which nobody outside chooses.
//!
//! So they need no hash that withstands an enemy: multiplying spreads them well enough, in a tenth of the time. Numbers
//! that come from a file are those that were given when it was written; what forges a file could do worse.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map by number.
pub(crate) type NumberMap<V> = HashMap<u32, V, BuildHasherDefault<Spread>>;

/// The golden ratio's fraction, odd.
const RATIO: u64 = 0x9e37_79b9_7f4a_7c15;

/// Spreads one number over 64 bits.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32(u32::from(*byte)));
    }

    fn write_u32(&mut self, number: u32) {
        let mixed = (self.0 ^ u64::from(number)).wrapping_mul(RATIO);
        self.0 = mixed ^ mixed >> 32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A map takes its place from the lowest bits and a mark from the highest seven: both differ for neighbours.
    #[test]
    fn neighbours_and_far_numbers_are_spread() {
        for step in [1u32, 1_000, 1 << 16, 1 << 24] {
            let hash = |n: u32| {
                let mut spread = Spread::default();
                spread.write_u32(n.wrapping_mul(step));
                spread.finish()
            };
            let count = 256;
            let mut low: Vec<u64> = (0..count).map(|n| hash(n) & 0xfff).collect();
            let mut high: Vec<u64> = (0..count).map(|n| hash(n) >> 57).collect();
            for found in [&mut low, &mut high] {
                found.sort_unstable();
                found.dedup();
            }
            assert!(low.len() > 200 && high.len() > 60, "step {step}: {} {}", low.len(), high.len());
        }
    }
}
