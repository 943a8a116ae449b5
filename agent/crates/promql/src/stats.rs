//! How many samples a query looked at: in all, at each step, and how many it held at once.
//!
//! What counts is what Prometheus counts: a selector's sample once a step, a range's samples at every step they lie in, a
//! native histogram as many as it has bytes, by 16. What a subquery reads for a function does not count, but what the
//! function sees of it. How many are held is this engine's own affair. Nobody counts unless asked to, because it is a walk
//! over all values more.

use std::cell::{Cell, RefCell};

use model::{Counts, Histogram};

use crate::hist::Hist;
use crate::value::Series;

/// What was counted of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleStats {
    /// Samples looked at, all steps together.
    pub total: u64,
    /// Samples looked at, at each step.
    pub per_step: Vec<u64>,
    /// The most samples that were held at once.
    pub peak: u64,
}

/// Where samples count that are looked at now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// At their step.
    Step,
    /// At every step: what is looked at is the same at all.
    Every,
    /// At the first step, so often, whatever step it is of those within a subquery.
    First(usize),
    /// In a subquery that is the whole query: what is read for it.
    Whole,
    /// Nowhere.
    Nowhere,
}

/// The counters of a query.
#[derive(Debug)]
pub(crate) struct Counting {
    steps: RefCell<Vec<u64>>,
    place: Cell<Place>,
    is_on: bool,
}

impl Counting {
    pub fn new(is_on: bool, steps: usize) -> Counting {
        let steps = if is_on { vec![0; steps] } else { Vec::new() };
        Counting { steps: RefCell::new(steps), place: Cell::new(Place::Step), is_on }
    }

    /// Returns whether anybody wants to know.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.is_on && self.place.get() != Place::Nowhere
    }

    /// Says where samples count from now on; returns where they did.
    #[inline]
    pub fn at(&self, place: Place) -> Place {
        self.place.replace(place)
    }

    /// Says where samples count that are read for an expression which is the same at every step.
    #[inline]
    pub fn at_every(&self, steps: usize) -> Place {
        match self.place.get() {
            Place::Step => self.at(Place::Every),
            Place::First(times) => self.at(Place::First(times * steps)),
            other => other,
        }
    }

    /// Says where samples count that a subquery reads; returns where those do that are seen of it.
    pub fn at_subquery(&self) -> Place {
        match self.place.get() {
            Place::Whole => {
                self.at(Place::First(1));
                Place::Nowhere
            }
            _ => self.at(Place::Nowhere),
        }
    }

    /// Counts samples of a step.
    #[cold]
    pub fn add(&self, step: usize, samples: usize) {
        let mut steps = self.steps.borrow_mut();
        match self.place.get() {
            Place::Step => steps.get_mut(step).into_iter().for_each(|count| *count += samples as u64),
            Place::First(times) => steps.first_mut().into_iter().for_each(|count| *count += (times * samples) as u64),
            Place::Every => steps.iter_mut().for_each(|count| *count += samples as u64),
            Place::Whole | Place::Nowhere => {}
        }
    }

    /// Counts what a series has at its steps.
    #[cold]
    pub fn add_series(&self, series: &Series) {
        for step in 0..series.floats.len() {
            match series.hist(step) {
                Some(hist) => self.add(step, size_of(hist)),
                None => self.add(step, usize::from(series.float(step).is_some())),
            }
        }
    }

    pub fn finish(self, peak: u64) -> Option<SampleStats> {
        let per_step = self.steps.into_inner();
        self.is_on.then(|| SampleStats { total: per_step.iter().sum(), per_step, peak })
    }
}

/// Returns how many samples a stored histogram stands for: its size in the peer's memory by that of a sample.
pub(crate) fn size_of_stored(hist: &Histogram) -> usize {
    let buckets = match &hist.counts {
        Counts::Integer { positive, negative, .. } => positive.len() + negative.len(),
        Counts::Float { positive, negative, .. } => positive.len() + negative.len(),
    };
    samples_of(hist.positive_spans.len() + hist.negative_spans.len() + buckets + hist.custom_bounds.len())
}

fn samples_of(words: usize) -> usize {
    (168 + 8 * words + 8) / 16
}

/// Returns how many samples a computed histogram stands for.
pub(crate) fn size_of(hist: &Hist) -> usize {
    let spans = |buckets: &[(i32, f64)]| {
        let follows = |pair: &[(i32, f64)]| matches!(pair, [one, next] if one.0.checked_add(1) == Some(next.0));
        buckets.len() - buckets.windows(2).filter(|pair| follows(pair)).count()
    };
    let words = spans(&hist.positive) + spans(&hist.negative) + hist.positive.len() + hist.negative.len();
    samples_of(words + hist.bounds.len())
}
