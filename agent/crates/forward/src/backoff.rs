//! How long to wait before the same frame is sent again.
//!
//! Each failure doubles the pause, from `first_ms` up to `ms_max`; the pause taken is drawn from its upper half, so
//! that a thousand boards that lost the same receiver do not come back in the same instant. A pause the other side
//! asks for (`Retry-After`) is a lower bound, itself bounded by [`RETRY_AFTER_MS_MAX`]. The draw comes from a seed
//! that is handed in: the same seed gives the same pauses. Knows nothing of clocks: it returns milliseconds.

/// The longest pause that another side may ask for, in milliseconds: an hour.
pub const RETRY_AFTER_MS_MAX: u64 = 3_600_000;

/// The bounds of the pauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackoffLimits {
    /// The pause after the first failure, in milliseconds, before the draw.
    pub first_ms: u64,
    /// The longest pause of our own choosing, in milliseconds.
    pub ms_max: u64,
}

impl Default for BackoffLimits {
    fn default() -> BackoffLimits {
        BackoffLimits { first_ms: 1_000, ms_max: 60_000 }
    }
}

/// Counts failures in a row and draws pauses.
#[derive(Debug, Clone)]
pub struct Backoff {
    limits: BackoffLimits,
    failures: u32,
    state: u64,
}

impl Backoff {
    /// Returns one that has seen no failure. Bounds of 0 are taken as 1, and a maximum below the first as the first.
    pub fn new(limits: BackoffLimits, seed: u64) -> Backoff {
        let first_ms = limits.first_ms.max(1);
        Backoff { limits: BackoffLimits { first_ms, ms_max: limits.ms_max.max(first_ms) }, failures: 0, state: seed }
    }

    /// Counts a failure and returns the pause in milliseconds; `asked_ms` is what the other side wants at least.
    pub fn fail(&mut self, asked_ms: Option<u64>) -> u64 {
        let doublings = self.failures.min(63);
        self.failures = self.failures.saturating_add(1);
        let whole = match self.limits.first_ms.checked_mul(1 << doublings) {
            Some(ms) => ms.min(self.limits.ms_max),
            None => self.limits.ms_max,
        };
        let half = whole / 2;
        let drawn = half + self.next_random() % (whole - half + 1);
        drawn.max(asked_ms.unwrap_or(0).min(RETRY_AFTER_MS_MAX))
    }

    /// Forgets the failures: something went through.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Returns how many failures there were in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// SplitMix64: tiny, and good enough to spread boards.
    fn next_random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_within_their_upper_half_up_to_the_maximum() {
        for seed in 0..50 {
            let mut backoff = Backoff::new(BackoffLimits { first_ms: 100, ms_max: 1_500 }, seed);
            for whole in [100, 200, 400, 800, 1_500, 1_500, 1_500] {
                let pause = backoff.fail(None);
                assert!((whole / 2..=whole).contains(&pause), "seed {seed}: {pause} is not of {whole}");
            }
            backoff.reset();
            assert!(backoff.fail(None) <= 100);
        }
    }

    #[test]
    fn boards_with_different_seeds_do_not_march_in_step() {
        let pauses: std::collections::BTreeSet<u64> = (0..100)
            .map(|seed| Backoff::new(BackoffLimits { first_ms: 10_000, ms_max: 10_000 }, seed).fail(None))
            .collect();
        assert!(pauses.len() > 90, "only {} different pauses", pauses.len());
    }

    #[test]
    fn what_the_other_side_asks_for_is_a_lower_bound_with_a_limit() {
        let mut backoff = Backoff::new(BackoffLimits { first_ms: 100, ms_max: 100 }, 7);
        assert_eq!(backoff.fail(Some(5_000)), 5_000);
        assert!(backoff.fail(Some(1)) >= 50);
        assert_eq!(backoff.fail(Some(u64::MAX)), RETRY_AFTER_MS_MAX);
    }

    #[test]
    fn extreme_limits_and_many_failures_do_not_overflow() {
        let mut backoff = Backoff::new(BackoffLimits { first_ms: u64::MAX, ms_max: 0 }, 1);
        for _ in 0..200 {
            assert!(backoff.fail(None) >= u64::MAX / 2);
        }
        let mut zero = Backoff::new(BackoffLimits { first_ms: 0, ms_max: 0 }, 1);
        assert!(zero.fail(None) <= 1);
    }
}
