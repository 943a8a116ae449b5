//! A place among ascending times that only moves forward, as the steps of a query do.
//!
//! Samples come at regular intervals and so do steps: the next place is mostly as far ahead as the last one was. That
//! is tried first; else the place is found by doubling and halving. So a walk costs what it has steps, not samples.

use model::UnixMs;

/// How many times lie behind the place, and how far the last move went.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cursor {
    index: usize,
    stride: usize,
}

impl Cursor {
    /// Moves behind the last time that is not later than `limit`, which is never less than the time before. Returns
    /// how many times are behind the place.
    #[inline]
    pub fn advance(&mut self, at: &[UnixMs], limit: i64) -> usize {
        let guess = self.index + self.stride;
        let behind = guess == self.index || at.get(guess - 1).is_some_and(|at| at.0 <= limit);
        if behind && at.get(guess).is_none_or(|at| at.0 > limit) {
            self.index = guess;
            return guess;
        }
        self.search(at, limit, if behind { guess } else { self.index })
    }

    fn search(&mut self, at: &[UnixMs], limit: i64, from: usize) -> usize {
        let (mut low, mut width) = (from, 1);
        while at.get(low + width - 1).is_some_and(|at| at.0 <= limit) {
            low += width;
            width *= 2;
        }
        let high = at.len().min(low + width - 1).max(low);
        let found = low + at[low..high].partition_point(|at| at.0 <= limit);
        self.stride = found - self.index;
        self.index = found;
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_where_a_search_from_the_start_would_be() {
        let gaps: [&[i64]; 5] = [&[5], &[1, 1, 1, 40], &[3, 0, 7], &[100], &[]];
        for (gap, step) in gaps.iter().flat_map(|gap| [1, 4, 5, 17, 300].map(|step| (gap, step))) {
            let mut now = -20;
            let times = gap.iter().cycle().take(if gap.is_empty() { 0 } else { 200 });
            let at: Vec<UnixMs> = times
                .map(|gap| {
                    now += gap;
                    UnixMs(now)
                })
                .collect();
            let mut cursor = Cursor::default();
            for limit in (-100..5_000).step_by(step) {
                let wanted = at.iter().filter(|at| at.0 <= limit).count();
                assert_eq!(cursor.advance(&at, limit), wanted, "{gap:?} step {step} limit {limit}");
            }
        }
    }
}
