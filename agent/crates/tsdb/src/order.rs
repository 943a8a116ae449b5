//! The order of samples that bring their own times: which are new, which are late, and which are refused.
//!
//! As with Prometheus: a sample newer than its series' newest is taken unless it is out of bounds; the same time again
//! is nothing new where the value is the same, and refused where it is another; an older one is late, and taken within
//! the window. Late samples are stored like others, in the open block, with ids of their own; a selection puts them
//! in their place. Of several with one time the one appended last counts.
//!
//! Samples that have the time they are read at are always in order, also when the clock was set back: a new epoch
//! forgets what was newest. So does a restart.

use model::Value;

use crate::numbers::NumberMap;
use crate::series::Index;

/// How far behind the newest row a sample may be that is the newest of its series, whatever the window is: half of
/// Prometheus's head.
const BOUND_MS: u64 = 3_600_000;
/// How many series may be remembered beyond those there are, before the others are forgotten.
const FORGOTTEN_MAX: usize = 256;

/// What becomes of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Taken,
    /// It is there already.
    Same,
    Duplicate,
    OutOfOrder,
    TooOld,
}

/// What is remembered of the series whose samples bring their own times.
#[derive(Debug, Default)]
pub(crate) struct Order {
    window_ms: u64,
    is_passing: bool,
    epoch: u32,
    /// The time of the newest row.
    now: i64,
    /// By series: the newest time, and what stands for the value there.
    newest: NumberMap<(i64, u64)>,
}

/// Returns what tells one value from another; of a histogram its sum and count.
fn mark(value: &Value) -> u64 {
    match value {
        Value::Float(value) => value.to_bits(),
        Value::Histogram(found) => {
            let count = match &found.counts {
                model::Counts::Integer { count, .. } => *count,
                model::Counts::Float { count, .. } => count.to_bits(),
            };
            found.sum.to_bits() ^ count.rotate_left(32)
        }
    }
}

impl Order {
    pub fn new(window_ms: u64) -> Order {
        Order { window_ms, ..Order::default() }
    }

    /// Returns what takes every sample, and is not kept.
    pub fn any() -> Order {
        Order { window_ms: u64::MAX, is_passing: true, ..Order::default() }
    }

    /// Whether what is noted is of use later.
    pub fn is_kept(&self) -> bool {
        !self.is_passing
    }

    /// Is told which epoch is in force and how far time has come.
    pub fn begin(&mut self, epoch: u32, now: i64, index: &Index) {
        if self.epoch != epoch {
            self.newest.clear();
        } else if self.newest.len() > index.len() + FORGOTTEN_MAX {
            self.newest.retain(|series, _| index.contains(*series));
        }
        (self.epoch, self.now) = (epoch, now);
    }

    /// Whether a sample is so old that no window reaches it; for a series that is not there yet.
    pub fn is_too_old(&self, at: i64) -> bool {
        let bound = i64::try_from(self.window_ms.max(BOUND_MS)).unwrap_or(i64::MAX);
        self.window_ms < u64::MAX && at < self.now.saturating_sub(bound)
    }

    pub fn judge(&self, series: u32, at: i64, value: &Value) -> Verdict {
        match self.newest.get(&series) {
            Some((newest, known)) if at == *newest && mark(value) == *known => Verdict::Same,
            Some((newest, _)) if at == *newest => Verdict::Duplicate,
            Some((newest, _)) if at < *newest && self.window_ms == 0 => Verdict::OutOfOrder,
            Some((newest, _)) if at < *newest => {
                let window = i64::try_from(self.window_ms).unwrap_or(i64::MAX);
                if at < self.now.saturating_sub(window) { Verdict::TooOld } else { Verdict::Taken }
            }
            _ if self.is_too_old(at) => Verdict::TooOld,
            _ => Verdict::Taken,
        }
    }

    /// Notes a sample that was taken.
    pub fn note(&mut self, series: u32, at: i64, value: &Value) {
        let known = self.newest.entry(series).or_insert((i64::MIN, 0));
        if at > known.0 {
            *known = (at, mark(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn check(window_ms: u64, wanted: [Verdict; 6]) {
        let (mut order, index) = (Order::new(window_ms), Index::new(10));
        order.begin(1, DAY, &index);
        let one = Value::Float(1.0);
        order.note(7, DAY - 1_000, &one);
        order.note(7, DAY - 50_000, &one);
        let times = [DAY, DAY - 1_000, DAY - 2_000, DAY - 1_800_000, DAY - 3 * 3_600_000];
        let mut found = times.map(|at| order.judge(7, at, &one)).to_vec();
        found.push(order.judge(7, DAY - 1_000, &Value::Float(2.0)));
        assert_eq!(found, wanted, "window {window_ms}");
    }

    #[test]
    fn late_samples_are_taken_within_the_window() {
        use Verdict::{Duplicate, OutOfOrder, Same, Taken, TooOld};
        check(0, [Taken, Same, OutOfOrder, OutOfOrder, OutOfOrder, Duplicate]);
        check(60_000, [Taken, Same, Taken, TooOld, TooOld, Duplicate]);
        check(2 * 3_600_000, [Taken, Same, Taken, Taken, TooOld, Duplicate]);
        check(u64::MAX, [Taken, Same, Taken, Taken, Taken, Duplicate]);
    }

    #[test]
    fn a_new_series_is_bound_by_time_and_a_step_of_the_clock_forgets() {
        let (mut order, index) = (Order::new(0), Index::new(10));
        order.begin(1, DAY, &index);
        assert_eq!(order.judge(3, DAY - 3_599_000, &Value::Float(0.0)), Verdict::Taken);
        assert_eq!(order.judge(3, DAY - 3_601_000, &Value::Float(0.0)), Verdict::TooOld);
        order.note(3, DAY, &Value::Float(0.0));
        order.begin(2, DAY - 7_200_000, &index);
        assert_eq!(order.judge(3, DAY - 7_200_000, &Value::Float(0.0)), Verdict::Taken);
    }
}
