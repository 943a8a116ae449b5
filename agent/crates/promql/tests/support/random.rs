//! A generator that makes the same numbers of the same seed everywhere (splitmix64).

use std::time::{Duration, Instant};

/// The state.
pub struct Random(pub u64);

impl Random {
    /// Returns 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }

    /// Returns one of these.
    pub fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// Returns true once in `n` times.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// Returns seeds: `count` of them from 0 on, or as many as `NARTHEX_FUZZ_SECONDS` has time for, from `NARTHEX_FUZZ_SEED`
/// on.
pub fn rounds(count: usize) -> impl Iterator<Item = u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("NARTHEX_FUZZ_SEED").unwrap_or(0);
    let until = number("NARTHEX_FUZZ_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let last = first.saturating_add(count as u64);
    (first..).take_while(move |seed| until.map_or(*seed < last, |until| Instant::now() < until))
}
