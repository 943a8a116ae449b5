//! The store as the later rules of a group see it: with what the earlier ones have just written.
//!
//! Prometheus appends each rule's result before it evaluates the next. Here a group's batch is appended when all is done, so
//! until then it is laid over the store: new samples, and the ends of series that a rule wrote last time and not now.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use model::seams::Visitor;
use model::{Labels, Matcher, Querier, SelectError, SeriesSamples, Steps, TimeRange, UnixMs, Value, stale_nan};

type Fixed = BuildHasherDefault<DefaultHasher>;

/// What a group's rules have written so far in this evaluation.
pub struct Overlay<'a> {
    base: &'a dyn Querier,
    at: UnixMs,
    written: HashMap<Labels, Value, Fixed>,
    ended: HashSet<u64, Fixed>,
}

/// Returns the short form in which a rule remembers what it wrote last.
pub fn hash(labels: &Labels) -> u64 {
    Fixed::default().hash_one(labels)
}

impl<'a> Overlay<'a> {
    /// Returns the store as it is; what is written will have this time.
    pub fn new(base: &'a dyn Querier, at: UnixMs) -> Overlay<'a> {
        Overlay { base, at, written: HashMap::default(), ended: HashSet::default() }
    }

    /// Adds a series; returns whether nobody wrote it before in this evaluation.
    pub fn write(&mut self, labels: &Labels, value: &Value) -> bool {
        self.written.insert(labels.clone(), value.clone()).is_none()
    }

    /// Returns whether the series was written in this evaluation.
    pub fn has(&self, labels: &Labels) -> bool {
        self.written.contains_key(labels)
    }

    /// Ends a series that was written last time.
    pub fn end(&mut self, hash: u64) {
        self.ended.insert(hash);
    }

    /// Returns what is to be seen of a stored series at the time of the evaluation.
    fn last(&self, labels: &Labels) -> Option<Value> {
        let written = self.written.get(labels).cloned();
        written.or_else(|| self.ended.contains(&hash(labels)).then(|| Value::Float(stale_nan())))
    }

    /// Visits what `read` finds in the store, with what was written over it.
    fn lay_over(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        visit: &mut Visitor<'_>,
        read: &dyn Fn(&mut Visitor<'_>) -> Result<(), SelectError>,
    ) -> Result<(), SelectError> {
        if !range.contains(self.at) || (self.written.is_empty() && self.ended.is_empty()) {
            return read(visit);
        }
        let visited = RefCell::new(HashSet::<Labels, Fixed>::default());
        read(&mut |labels, samples| {
            let Some(value) = self.last(labels) else { return visit(labels, samples) };
            visited.borrow_mut().insert(labels.clone());
            visit_with(labels, samples, self.at, value, visit)
        })?;
        let visited = visited.into_inner();
        for (labels, value) in &self.written {
            let is_new = !visited.contains(labels) && matchers.iter().all(|matcher| matcher.matches_labels(labels));
            let empty = SeriesSamples { at: &[], floats: &[], histograms: &[], starts: &[] };
            if is_new && !visit_with(labels, empty, self.at, value.clone(), visit) {
                return Err(SelectError::Stopped);
            }
        }
        Ok(())
    }
}

impl Querier for Overlay<'_> {
    fn select(&self, matchers: &[Matcher], range: TimeRange, visit: &mut Visitor<'_>) -> Result<(), SelectError> {
        self.lay_over(matchers, range, visit, &|visit| self.base.select(matchers, range, visit))
    }

    fn select_newest(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        visit: &mut Visitor<'_>,
    ) -> Result<(), SelectError> {
        self.lay_over(matchers, range, visit, &|visit| self.base.select_newest(matchers, range, visit))
    }

    fn select_steps(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        steps: Steps,
        visit: &mut Visitor<'_>,
    ) -> Result<(), SelectError> {
        self.lay_over(matchers, range, visit, &|visit| self.base.select_steps(matchers, range, steps, visit))
    }

    fn series(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        visit: &mut dyn FnMut(&Labels) -> bool,
    ) -> Result<(), SelectError> {
        self.base.series(matchers, range, visit)
    }
}

/// Visits a series with one more sample at its end, unless it has one of that time or later already.
fn visit_with(labels: &Labels, samples: SeriesSamples<'_>, at: UnixMs, value: Value, visit: &mut Visitor<'_>) -> bool {
    if samples.at.last().is_some_and(|last| *last >= at) {
        return visit(labels, samples);
    }
    let times = [samples.at, &[at]].concat();
    let mut floats = samples.floats.to_vec();
    let mut histograms = samples.histograms.to_vec();
    match value {
        Value::Float(value) => floats.push(value),
        histogram => {
            floats.push(0.0);
            histograms.push((times.len() - 1, histogram));
        }
    }
    let mut starts = samples.starts.to_vec();
    if !starts.is_empty() {
        starts.push(None);
    }
    visit(labels, SeriesSamples { at: &times, floats: &floats, histograms: &histograms, starts: &starts })
}
