//! Waiting for what another process does: asked again and again until it is so, or the deadline passes.
//!
//! There is no other waiting in the tests. A deadline is generous, because it only costs time when the test fails
//! anyway; what it waited for is in the panic.

use std::time::{Duration, Instant};

/// How long is waited between two questions.
const STEP: Duration = Duration::from_millis(10);

/// The usual deadline for something that takes well under a second on a quiet machine.
pub const SOON: Duration = Duration::from_secs(20);

/// Returns what `ask` finds, or `None` once the time is over. Asks at least once.
pub fn try_until<T>(within: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + within;
    loop {
        if let Some(found) = ask() {
            return Some(found);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(STEP);
    }
}

/// Returns what `ask` finds.
///
/// # Panics
/// When the time is over; `what` says what was waited for.
pub fn until<T>(within: Duration, what: &str, ask: impl FnMut() -> Option<T>) -> T {
    try_until(within, ask).unwrap_or_else(|| panic!("waited {} s in vain for {what}", within.as_secs_f64()))
}

/// Waits until `ask` says yes.
///
/// # Panics
/// When the time is over.
pub fn until_true(within: Duration, what: &str, mut ask: impl FnMut() -> bool) {
    until(within, what, || ask().then_some(()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_asks_until_the_answer_comes_and_no_longer() {
        let mut asked = 0;
        let found = until(SOON, "the third time", || {
            asked += 1;
            (asked == 3).then_some(asked)
        });
        assert_eq!((found, asked), (3, 3));
        assert_eq!(try_until(Duration::ZERO, || None::<()>), None);
    }
}
