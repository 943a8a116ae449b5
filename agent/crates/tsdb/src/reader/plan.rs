//! Which values of a column are wanted, and when each was taken.
//!
//! A query that looks at steps wants at each no more than the newest sample that is not later: the others are not even
//! made. That is decided by times alone, so one plan serves all columns that have the same times. Times of different
//! columns may interleave: what is the newest of all is also the newest of its own column, so each may leave out what
//! its own later samples hide.

use model::{Steps, TimeRange, UnixMs};

/// What a selection asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub range: TimeRange,
    /// The times it looks at; `None`: it wants every sample.
    pub steps: Option<Steps>,
}

/// The wanted values of a column.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// When each was taken.
    pub at: Vec<UnixMs>,
    /// Which value of the column it is; ascending.
    pub places: Vec<u32>,
    /// When the value before each was taken, where that is known and not wanted itself; empty unless steps are asked for.
    pub before: Vec<Option<UnixMs>>,
    /// Whether times do not ascend.
    pub unsorted: bool,
}

impl Plan {
    /// Returns the place of the first value to be read.
    pub fn first(&self) -> Option<u32> {
        let before = self.before.first().copied().flatten();
        self.places.first().map(|first| first - u32::from(before.is_some()))
    }

    /// Returns the first value and how many they are, when they follow each other.
    pub fn run(&self) -> Option<(u32, u32)> {
        let (first, last) = (*self.places.first()?, *self.places.last()?);
        ((last - first) as usize + 1 == self.places.len()).then_some((first, self.places.len() as u32))
    }

    /// Returns how many bytes of memory it has.
    pub fn bytes(&self) -> usize {
        self.at.capacity() * size_of::<UnixMs>()
            + self.places.capacity() * size_of::<u32>()
            + self.before.capacity() * size_of::<Option<UnixMs>>()
    }

    /// Makes room for so many values.
    pub fn reserve(&mut self, count: usize) {
        self.at.reserve(count);
        self.places.reserve(count);
    }

    /// Begins to pick from values whose times ascend where steps are asked for.
    pub fn pick(&mut self, steps: Option<Steps>) -> Pick<'_> {
        let next = steps.map_or(UnixMs(i64::MIN), |steps| steps.first);
        Pick { plan: self, steps, step: 0, next, held: None, before: None }
    }

    fn put(&mut self, at: UnixMs, place: u32) {
        self.unsorted |= self.at.last().is_some_and(|last| *last >= at);
        self.at.push(at);
        self.places.push(place);
    }
}

/// Picks what is wanted from the values of a column in their order.
pub(crate) struct Pick<'a> {
    plan: &'a mut Plan,
    steps: Option<Steps>,
    /// The first step that is not before the value held, and its time.
    step: usize,
    next: UnixMs,
    /// The newest value so far that is not later than the step.
    held: Option<(UnixMs, u32)>,
    /// When the value before that was taken.
    before: Option<UnixMs>,
}

impl Pick<'_> {
    /// Offers a value; answers whether later ones may be wanted.
    pub fn offer(&mut self, at: i64, place: u32) -> bool {
        let at = UnixMs(at);
        let Some(steps) = self.steps else {
            self.plan.put(at, place);
            return true;
        };
        let before = if self.next < at {
            self.take_held();
            self.step += steps_between(self.next, at, steps.step_ms);
            if self.step >= steps.count {
                return false;
            }
            self.next = steps.at(self.step);
            None
        } else {
            self.held.map(|(at, _)| at)
        };
        self.before = before;
        self.held = Some((at, place));
        true
    }

    /// Takes what is still held.
    pub fn end(mut self) {
        self.take_held();
    }

    fn take_held(&mut self) {
        if let Some((at, place)) = self.held.take() {
            self.plan.put(at, place);
            self.plan.before.push(self.before.take());
        }
    }
}

/// Returns how many steps it takes from one time to get to a later one or beyond.
fn steps_between(from: UnixMs, to: UnixMs, step_ms: i64) -> usize {
    let (way, step) = (to.0.saturating_sub(from.0), step_ms.max(1));
    // Mostly it is one: samples are closer than steps.
    let steps = if way <= step { 1 } else { way / step + i64::from(way % step != 0) };
    usize::try_from(steps).unwrap_or(usize::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(times: &[i64], steps: Option<Steps>) -> Plan {
        let mut plan = Plan::default();
        let mut pick = plan.pick(steps);
        times.iter().zip(0..).all(|(at, place)| pick.offer(*at, place));
        pick.end();
        plan
    }

    #[test]
    fn what_is_newest_at_each_step_is_picked_and_what_is_before_it_told() {
        let mut seed = 0x2545_f491_4f6c_dd1du64;
        let mut below = |end: u64| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed >> 11) % end
        };
        for _ in 0..2_000 {
            let (mut time, gap) = (0, 1 + below(40));
            let times: Vec<i64> = (0..1 + below(60))
                .map(|_| {
                    time += below(gap) as i64;
                    time
                })
                .collect();
            let first = UnixMs(below(200) as i64 - 50);
            let steps = Steps { first, step_ms: 1 + below(60) as i64, count: 1 + below(50) as usize };
            let found = plan(&times, Some(steps));
            let newest = |step| times.partition_point(|at| *at <= steps.at(step).0).checked_sub(1).map(|at| at as u32);
            let mut expected: Vec<u32> = (0..steps.count).filter_map(newest).collect();
            expected.dedup();
            assert_eq!(found.places, expected, "{times:?} at {steps:?}");
            for (at, place) in found.places.iter().enumerate() {
                assert_eq!(found.at[at].0, times[*place as usize]);
                let before = place.checked_sub(1).filter(|before| !expected.contains(before));
                assert_eq!(found.before[at].map(|at| at.0), before.map(|before| times[before as usize]));
            }
            let follows = expected.windows(2).all(|pair| pair[0] + 1 == pair[1]);
            assert_eq!(found.run().is_some(), follows && !expected.is_empty());
        }
    }

    #[test]
    fn everything_is_wanted_where_no_steps_are_asked_for_and_steps_may_lie_at_the_ends_of_time() {
        let all = plan(&[5, 5, 3, 9], None);
        assert_eq!((all.run(), all.unsorted, all.first()), (Some((0, 4)), true, Some(0)));
        let steps = |first, step_ms| Some(Steps { first: UnixMs(first), step_ms, count: 3 });
        assert_eq!(plan(&[i64::MIN, 0, i64::MAX], steps(i64::MAX - 1, i64::MAX)).places, [1, 2]);
        assert_eq!(plan(&[i64::MIN, 0, i64::MAX], steps(i64::MIN, 1)).places, [0]);
        assert_eq!(plan(&[1, 2, 3], steps(-90, 1)).places, [0; 0]);
    }
}
