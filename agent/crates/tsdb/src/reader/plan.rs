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
