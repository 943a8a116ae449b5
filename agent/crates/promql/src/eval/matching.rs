//! Vectors with vectors: which series meet, and what the result is called.
//!
//! Series are put into groups by their matching labels once, for all steps; then each group is walked step by step,
//! because which of its series have a sample, and so whether the match is unique, changes from step to step.

use std::collections::HashMap;

use model::{Labels, LabelsBuilder, labels::NAME};

use super::{Cx, SAME_LABELS};
use crate::ast::*;
use crate::error::EvalError;
use crate::value::{Grid, Point, Series};

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
struct Results {
    index: HashMap<Labels, usize>,
    all: Vec<Series>,
    steps: usize,
}

impl Results {
    fn new(steps: usize) -> Results {
        Results { index: HashMap::new(), all: Vec::new(), steps }
    }

    fn slot(&mut self, labels: &Labels, drop_name: bool) -> usize {
        match self.index.get(labels) {
            Some(at) => *at,
            None => {
                self.all.push(Series::new(labels.clone(), drop_name, self.steps));
                self.index.insert(labels.clone(), self.all.len() - 1);
                self.all.len() - 1
            }
        }
    }

    fn finish(mut self, cx: &Cx<'_>) -> Result<Vec<Series>, EvalError> {
        self.all.retain(|series| !series.is_empty());
        for series in &self.all {
            cx.hold_series(series)?;
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
        let mut out = Results::new(grid.steps);
        let groups = groups(matching, left, right);
        let keys: HashMap<&Labels, usize> = groups.iter().enumerate().map(|(i, (key, _))| (key, i)).collect();
        let any = |side: &[&Series], step: usize| side.iter().any(|series| series.has(step));
        let mut copy = |series: &Series, keep: &dyn Fn(usize) -> bool| -> Result<(), EvalError> {
            let at = out.slot(&series.labels, series.drop_name);
            for step in (0..grid.steps).filter(|step| series.has(*step) && keep(*step)) {
                if out.all[at].has(step) {
                    return Err(EvalError::new(SAME_LABELS));
                }
                out.all[at].set(step, series.get(step));
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
        out.finish(self)
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
        let mut out = Results::new(grid.steps);
        for (key, group) in groups(matching, many, one) {
            for step in 0..grid.steps {
                if filled || (any_many[step] && any_one[step]) {
                    join.step(&key, &group, step, &mut out)?;
                }
            }
        }
        out.finish(self)
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

impl Join<'_, '_> {
    fn step(&self, key: &Labels, group: &Group<'_>, step: usize, out: &mut Results) -> Result<(), EvalError> {
        let mut ones = group.one.iter().filter(|series| series.has(step));
        let one = ones.next();
        if let (Some(first), Some(second)) = (one, ones.next()) {
            return Err(self.duplicate(key, first, second));
        }
        let right = one.and_then(|series| series.get(step)).or(self.fill_one.map(Point::Float));
        let mut many = group.many.iter().filter(|series| series.has(step)).peekable();
        if many.peek().is_none() {
            // Only the one side is there: the many side may be filled in.
            let (Some(fill), Some(one), Some(right)) = (self.fill_many, one, right) else { return Ok(()) };
            return self.put(key, Some(&one.labels), &Point::Float(fill), &right, step, out, &mut Vec::new());
        }
        let Some(right) = right else { return Ok(()) };
        let mut taken = Vec::new();
        let is_one_to_one = self.matching.card == Cardinality::OneToOne;
        for (i, series) in many.enumerate() {
            if i > 0 && is_one_to_one {
                let text =
                    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
                return Err(EvalError::new(text));
            }
            let Some(left) = series.get(step) else { continue };
            let one = one.map(|one| &one.labels);
            self.put(&series.labels, one, &left, &right, step, out, &mut taken)?;
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments)]
    fn put(
        &self,
        many: &Labels,
        one: Option<&Labels>,
        left: &Point,
        right: &Point,
        step: usize,
        out: &mut Results,
        taken: &mut Vec<usize>,
    ) -> Result<(), EvalError> {
        let op = self.binary.op;
        let (a, b) = if self.swapped { (right, left) } else { (left, right) };
        let (result, known) = self.cx.element(self.span, op, a, b);
        let result = match (op.is_comparison(), self.binary.bool_modifier) {
            (true, true) if known => Some(Point::Float(f64::from(u8::from(result.is_some())))),
            _ => result,
        };
        let Some(result) = result else { return Ok(()) };
        let labels = self.labels(many, one);
        let at = out.slot(&labels, self.binary.bool_modifier);
        if taken.contains(&at) {
            return Err(EvalError::new("multiple matches for labels: grouping labels must ensure unique matches"));
        }
        taken.push(at);
        if out.all[at].has(step) {
            return Err(EvalError::new(SAME_LABELS));
        }
        out.all[at].set(step, Some(result));
        Ok(())
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
