//! Vectors with vectors: which series meet, and what the result is called.
//!
//! Series are put into groups by their matching labels once, for all steps; then each group is walked step by step,
//! because which of its series have a sample, and so whether the match is unique, changes from step to step.

use std::collections::{HashMap, HashSet};

use model::{Labels, LabelsBuilder, labels::NAME};

use super::{Cx, SAME_LABELS};
use crate::ast::*;
use crate::error::EvalError;
use crate::value::{Grid, Point, Series};

const NOT_EXPLICIT: &str =
    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
const NOT_UNIQUE: &str = "multiple matches for labels: grouping labels must ensure unique matches";

/// Series of both sides with the same matching labels.
#[derive(Default)]
struct Group<'a> {
    many: Vec<&'a Series>,
    one: Vec<&'a Series>,
}

/// Returns the labels by which a series is matched.
fn signature(matching: &Matching, labels: &Labels) -> Labels {
    let named = |name: &str| matching.labels.iter().any(|label| label == name);
    match matching.on {
        true => labels.filter(named),
        false => labels.filter(|name| name != NAME && !named(name)),
    }
}

fn groups<'a>(matching: &Matching, many: &'a [Series], one: &'a [Series]) -> Vec<(Labels, Group<'a>)> {
    let mut index: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<(Labels, Group<'a>)> = Vec::new();
    for (side, is_many) in [(many, true), (one, false)] {
        for series in side {
            let key = signature(matching, &series.labels);
            let at = *index.entry(key.clone()).or_insert_with(|| {
                groups.push((key, Group::default()));
                groups.len() - 1
            });
            let group = &mut groups[at].1;
            if is_many { group.many.push(series) } else { group.one.push(series) }
        }
    }
    groups
}

/// Result series by their labels.
struct Results<'a, 'c> {
    cx: &'a Cx<'c>,
    index: HashMap<Labels, usize>,
    all: Vec<Series>,
    /// The first step at which each has a value, where that matters.
    first: Vec<usize>,
    steps: usize,
}

impl<'a, 'c> Results<'a, 'c> {
    fn new(cx: &'a Cx<'c>, steps: usize) -> Results<'a, 'c> {
        Results { cx, index: HashMap::new(), all: Vec::new(), first: Vec::new(), steps }
    }

    fn slot(&mut self, labels: &Labels, drop_name: bool) -> Result<usize, EvalError> {
        if let Some(at) = self.index.get(labels) {
            return Ok(*at);
        }
        self.cx.hold_answer(self.steps)?;
        self.all.push(Series::new(labels.clone(), drop_name, self.steps));
        self.first.push(usize::MAX);
        self.index.insert(labels.clone(), self.all.len() - 1);
        Ok(self.all.len() - 1)
    }

    fn finish(mut self) -> Result<Vec<Series>, EvalError> {
        self.cx.release(self.all.len() * self.steps);
        self.cx.series.set(self.cx.series.get().saturating_sub(self.all.len() as u64));
        self.all.retain(|series| !series.is_empty());
        for series in &self.all {
            self.cx.hold_series(series)?;
        }
        Ok(self.all)
    }
}

impl Cx<'_> {
    /// `and`, `or`, `unless`.
    pub(super) fn set(
        &self,
        binary: &Binary,
        left: &[Series],
        right: &[Series],
        grid: &Grid,
    ) -> Result<Vec<Series>, EvalError> {
        let Some(matching) = &binary.matching else { return Err(EvalError::new("set operators want vectors")) };
        let mut out = Results::new(self, grid.steps);
        let groups = groups(matching, left, right);
        let keys: HashMap<&Labels, usize> = groups.iter().enumerate().map(|(i, (key, _))| (key, i)).collect();
        let any = |side: &[&Series], step: usize| side.iter().any(|series| series.has(step));
        let mut copy = |series: &Series, keep: &dyn Fn(usize) -> bool| -> Result<(), EvalError> {
            self.pass_by(grid.steps)?;
            let at = out.slot(&series.labels, series.drop_name)?;
            for step in (0..grid.steps).filter(|step| series.has(*step) && keep(*step)) {
                if out.all[at].has(step) {
                    return Err(EvalError::new(SAME_LABELS));
                }
                out.all[at].set(step, series.get(step));
                // Whether the name goes is what it was at the first step, as in Prometheus.
                if step < out.first[at] {
                    out.first[at] = step;
                    out.all[at].drop_name = series.drop_name;
                }
            }
            Ok(())
        };
        for series in left {
            let one = keys.get(&signature(matching, &series.labels)).map_or(&[][..], |at| &groups[*at].1.one);
            match binary.op {
                BinaryOp::And => copy(series, &|step| any(one, step))?,
                BinaryOp::Unless => copy(series, &|step| !any(one, step))?,
                _ => copy(series, &|_| true)?,
            }
        }
        if binary.op == BinaryOp::Or {
            for series in right {
                let many = keys.get(&signature(matching, &series.labels)).map_or(&[][..], |at| &groups[*at].1.many);
                copy(series, &|step| !any(many, step))?;
            }
        }
        out.finish()
    }

    /// Arithmetic and comparison.
    pub(super) fn matched(
        &self,
        span: Span,
        binary: &Binary,
        left: &[Series],
        right: &[Series],
        grid: &Grid,
    ) -> Result<Vec<Series>, EvalError> {
        let Some(matching) = &binary.matching else { return Err(EvalError::new("matching wants vectors")) };
        let swapped = matching.card == Cardinality::OneToMany;
        let (many, one) = if swapped { (right, left) } else { (left, right) };
        // With group_right the sides are swapped and the fill values are not: so Prometheus does.
        let (fill_many, fill_one) = (matching.fill_left, matching.fill_right);
        let join = Join { cx: self, span, binary, matching, swapped, fill_many, fill_one };
        let present = |side: &[Series]| -> Vec<bool> {
            (0..grid.steps).map(|step| side.iter().any(|series| series.has(step))).collect()
        };
        let filled = fill_many.is_some() || fill_one.is_some();
        let (any_many, any_one) = (present(many), present(one));
        let mut out = Results::new(self, grid.steps);
        let mut state = State::default();
        let groups = groups(matching, many, one);
        let meets = |step: usize| filled || (any_many[step] && any_one[step]);
        for (key, group) in &groups {
            state.slots.clear();
            state.group += 1;
            for step in 0..grid.steps {
                self.pass_by(group.many.len() + group.one.len())?;
                if meets(step) {
                    join.step(key, group, step, &mut out, &mut state).map_err(|error| match error {
                        // Prometheus goes step by step and names the first fault of the first step that has one.
                        EvalError::Execution(_) => {
                            let steps = (0..grid.steps).filter(|step| meets(*step));
                            steps.into_iter().find_map(|step| join.blame(many, one, step)).unwrap_or(error)
                        }
                        other => other,
                    })?;
                }
            }
        }
        out.finish()
    }
}

/// One binary operator while its groups are walked.
struct Join<'a, 'c> {
    cx: &'a Cx<'c>,
    span: Span,
    binary: &'a Binary,
    matching: &'a Matching,
    swapped: bool,
    fill_many: Option<f64>,
    fill_one: Option<f64>,
}

/// What is remembered from step to step of a group.
#[derive(Default)]
struct State {
    /// For each series of the many side: its partner and the result's place, which mostly stay the same.
    slots: Vec<Option<(Partner, usize)>>,
    /// For each result the group and step that gave it its last value.
    taken: Vec<Option<(usize, usize)>>,
    /// The number of the group.
    group: usize,
}

/// A series of the one side by its number; `None` where a fill value stands in.
type Partner = Option<usize>;

impl Join<'_, '_> {
    fn step(
        &self,
        key: &Labels,
        group: &Group<'_>,
        step: usize,
        out: &mut Results<'_, '_>,
        state: &mut State,
    ) -> Result<(), EvalError> {
        let mut ones = group.one.iter().enumerate().filter(|(_, series)| series.has(step));
        let one = ones.next().map(|(i, series)| (i, *series));
        if let (Some((_, first)), Some((_, second))) = (one, ones.next()) {
            return Err(self.duplicate(key, first, second));
        }
        let right = one.and_then(|(_, series)| series.get(step)).or(self.fill_one.map(Point::Float));
        let mut many = group.many.iter().enumerate().filter(|(_, series)| series.has(step)).peekable();
        if many.peek().is_none() {
            // Only the one side is there: the many side may be filled in.
            let (Some(fill), Some(_), Some(right)) = (self.fill_many, one, right) else { return Ok(()) };
            return match self.value(&Point::Float(fill), &right) {
                Some(result) => self.put(key, None, one, result, step, (out, state)),
                None => Ok(()),
            };
        }
        let Some(right) = right else { return Ok(()) };
        let right = (one, right);
        let is_one_to_one = self.matching.card == Cardinality::OneToOne;
        let mut matched = false;
        for (i, series) in many {
            let Some(left) = series.get(step) else { continue };
            // A match counts, even if a comparison leaves it out of the result.
            if std::mem::replace(&mut matched, true) && is_one_to_one {
                return Err(EvalError::new(NOT_EXPLICIT));
            }
            let Some(result) = self.value(&left, &right.1) else { continue };
            self.put(key, Some((i, *series)), right.0, result, step, (out, state))?;
        }
        Ok(())
    }

    /// Returns what the operator makes of a value of the many and one of the one side.
    fn value(&self, left: &Point, right: &Point) -> Option<Point> {
        let op = self.binary.op;
        let (a, b) = if self.swapped { (right, left) } else { (left, right) };
        let (result, known) = self.cx.element(self.span, op, a, b);
        match (op.is_comparison(), self.binary.bool_modifier) {
            (true, true) if known => Some(Point::Float(f64::from(u8::from(result.is_some())))),
            _ => result,
        }
    }

    /// Finds the first thing wrong at a step, in the order in which Prometheus looks.
    #[cold]
    fn blame(&self, many: &[Series], one: &[Series], step: usize) -> Option<EvalError> {
        let key = |series: &Series| signature(self.matching, &series.labels);
        let mut ones: HashMap<Labels, &Series> = HashMap::new();
        for series in one.iter().filter(|series| series.has(step)) {
            if let Some(first) = ones.insert(key(series), series) {
                return Some(self.duplicate(&key(series), first, series));
            }
        }
        let (mut matched, mut all) = (HashSet::new(), HashSet::new());
        let mut same_labels = None;
        for series in many {
            let (key, partner) = (key(series), ones.get(&key(series)));
            let right = partner.and_then(|one| one.get(step)).or(self.fill_one.map(Point::Float));
            let (Some(left), Some(right)) = (series.get(step), right) else { continue };
            if self.matching.card == Cardinality::OneToOne && !matched.insert((key.clone(), Labels::empty())) {
                return Some(EvalError::new(NOT_EXPLICIT));
            }
            if self.value(&left, &right).is_none() {
                continue;
            }
            let labels = self.labels(&series.labels, partner.map(|one| &one.labels));
            if !all.insert(labels.clone()) {
                same_labels = Some(EvalError::new(SAME_LABELS));
            }
            if self.matching.card != Cardinality::OneToOne && !matched.insert((key, labels)) {
                return Some(EvalError::new(NOT_UNIQUE));
            }
        }
        same_labels
    }

    fn put(
        &self,
        key: &Labels,
        many: Option<(usize, &Series)>,
        one: Option<(usize, &Series)>,
        result: Point,
        step: usize,
        (out, state): (&mut Results<'_, '_>, &mut State),
    ) -> Result<(), EvalError> {
        let at = self.slot(key, many, one, out, state)?;
        state.taken.resize(state.taken.len().max(at + 1), None);
        if state.taken[at] == Some((state.group, step)) {
            return Err(EvalError::new(NOT_UNIQUE));
        }
        state.taken[at] = Some((state.group, step));
        if out.all[at].has(step) {
            return Err(EvalError::new(SAME_LABELS));
        }
        out.all[at].set(step, Some(result));
        Ok(())
    }

    /// Returns the place of a pair's result.
    fn slot(
        &self,
        key: &Labels,
        many: Option<(usize, &Series)>,
        one: Option<(usize, &Series)>,
        out: &mut Results<'_, '_>,
        state: &mut State,
    ) -> Result<usize, EvalError> {
        let partner = one.map(|(i, _)| i);
        let known = many.and_then(|(i, _)| *state.slots.get(i)?);
        if let Some((_, at)) = known.filter(|(before, _)| *before == partner) {
            return Ok(at);
        }
        let labels = self.labels(many.map_or(key, |(_, series)| &series.labels), one.map(|(_, series)| &series.labels));
        let at = out.slot(&labels, self.binary.bool_modifier)?;
        if let Some((i, _)) = many {
            state.slots.resize(state.slots.len().max(i + 1), None);
            state.slots[i] = Some((partner, at));
        }
        Ok(at)
    }

    /// Returns what the result of a pair is called.
    fn labels(&self, many: &Labels, one: Option<&Labels>) -> Labels {
        let drop = !self.binary.op.keeps_name() || (self.binary.bool_modifier && !self.cx.delayed_name_removal);
        let mut labels = if drop { crate::eval::without_metadata(many) } else { many.clone() };
        let named = |name: &str| self.matching.labels.iter().any(|label| label == name);
        if self.matching.card == Cardinality::OneToOne {
            labels = labels.filter(|name| named(name) == self.matching.on);
        }
        if self.matching.include.is_empty() {
            return labels;
        }
        let mut builder = LabelsBuilder::from(&labels);
        for name in &self.matching.include {
            // Values were stored once, so they are not too long.
            let _ = builder.set(name, one.and_then(|one| one.get(name)).unwrap_or(""));
        }
        builder.finish()
    }

    fn duplicate(&self, key: &Labels, first: &Series, second: &Series) -> EvalError {
        let side = if self.swapped { "left" } else { "right" };
        EvalError::new(format!(
            "found duplicate series for the match group {} on the {side} hand-side of the operation: [{}, {}];many-to-many matching not allowed: matching labels must be unique on one side",
            labels_text(key),
            labels_text(&second.labels),
            labels_text(&first.labels),
        ))
    }
}

/// A label set as Go's `Labels.String` prints it: the name is a label like the others.
pub(crate) fn labels_text(labels: &Labels) -> String {
    let parts: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}={}", crate::print::quote(value))).collect();
    format!("{{{}}}", parts.join(", "))
}
