//! Elapsed time that survives a reboot: what was counted before, and since when it goes on.
//!
//! `Mono` starts anew at each boot, so what is saved is a duration and never a point in time. The time a board was off is
//! not counted. Wall times have no part in it.

use model::Mono;

/// A stopwatch on elapsed time. Wall clocks may jump as they like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed {
    base_ms: u64,
    since: Mono,
}

impl Elapsed {
    /// Returns a stopwatch that starts now with so much already counted.
    pub fn starting(now: Mono, base_ms: u64) -> Elapsed {
        Elapsed { base_ms, since: now }
    }

    /// Returns a stopwatch that goes on from now: what passed since it was made is not counted.
    pub fn skipping(&self, now: Mono) -> Elapsed {
        Elapsed { base_ms: self.base_ms, since: now }
    }

    /// Returns how much was counted up to now.
    pub fn ms(&self, now: Mono) -> u64 {
        self.base_ms.saturating_add(now.since_ms(self.since))
    }
}
