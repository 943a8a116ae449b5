//! The two clocks of this machine.
//!
//! Elapsed time is CLOCK_BOOTTIME, which goes on in suspend. The wall is CLOCK_REALTIME, believed when the kernel
//! says that a time service keeps it (`adjtimex`), or when it has passed the configured floor: a board without a
//! battery starts in 1970 and is before any floor. rustix asks the kernel itself, with 64-bit seconds on 32-bit
//! boards too, so 2038 is an ordinary year.

use model::{Clock, Mono, Now, UnixMs};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// The system's clocks.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    /// The wall is believed from here on even when the kernel does not call it synchronised; `None`: never.
    pub trusted_after: Option<UnixMs>,
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let wall = wall();
        let past_floor = self.trusted_after.is_some_and(|floor| wall >= floor);
        let wall_trusted = past_floor || kernel::clock_is_synchronised().unwrap_or(false);
        Now { mono: boottime(), wall, wall_trusted }
    }
}

/// Returns the time since boot.
pub fn boottime() -> Mono {
    Mono(milliseconds(clock_gettime(ClockId::Boottime)).max(0) as u64)
}

/// Returns the wall clock as it is, right or wrong: for the log.
pub fn wall() -> UnixMs {
    UnixMs(milliseconds(clock_gettime(ClockId::Realtime)))
}

/// Returns a number for this boot: the same until the next one, 0 where the kernel does not say.
pub fn boot_number() -> u64 {
    let id = std::fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    match id.is_empty() {
        true => 0,
        false => super::paths::fnv1a(&id),
    }
}

/// Returns a nanosecond count that only goes up, to measure short work with.
pub fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

#[allow(clippy::unnecessary_cast)] // The nanoseconds are 32 bits wide on some boards.
fn milliseconds(time: Timespec) -> i64 {
    time.tv_sec as i64 * 1_000 + time.tv_nsec as i64 / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_past_the_floor_is_trusted() {
        let now = SystemClock { trusted_after: Some(UnixMs(0)) }.now();
        assert!(now.wall_trusted && now.wall > UnixMs(1_700_000_000_000));
        assert!(boottime() >= now.mono);
    }
}
