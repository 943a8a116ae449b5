//! Evaluating a tree over all steps of a query at once.
//!
//! A vector is a stream: `Cx::each` hands one series after the other, with a value for every step, to a sink, so that
//! `sum(rate(x[5m]))` holds one series of `x` and the sums, never all of `x`. Nodes that need everything at once
//! (binary operators, sorting, `topk`) collect. A node that is the same at every step (`@`) is evaluated once.
//! Limits are checked and the caller's `stop` is asked where series and steps are counted, in [`Cx::hold`].

mod aggregate;
mod binary;
mod call;
mod cursor;
mod extended;
mod fold;
mod heap;
mod histograms;
mod info;
pub(crate) mod kahan;
mod labels;
mod matching;
mod operators;
mod rate;
mod select;
pub(crate) mod simple;
pub(crate) mod window;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};

use model::{Labels, MatchOp, Querier, is_stale_nan, labels::NAME};

use crate::annotations::Notes;
use crate::ast::*;
use crate::engine::Limits;
use crate::error::EvalError;
use crate::functions::Imp;
use crate::stats::Counting;
use crate::value::{Grid, Series, Val};

pub(crate) const SAME_LABELS: &str = "vector cannot contain metrics with the same labelset";

/// After how many samples looked at the caller is asked whether to stop.
const PASSED_SAMPLES_MAX: usize = 20_000;

/// What every node may ask: the data, the query's range, the limits.
pub(crate) struct Cx<'a> {
    pub source: &'a dyn Querier,
    pub limits: Limits,
    pub lookback_ms: i64,
    pub subquery_step_ms: i64,
    pub delayed_name_removal: bool,
    /// The query's own range, whatever subquery is being evaluated.
    pub start: i64,
    pub end: i64,
    pub step: i64,
    pub notes: RefCell<Notes>,
    /// Whether only counts and sums of histograms are wanted, as within `histogram_count`: then, as in Prometheus,
    /// resets are looked for while reading.
    pub only_sums: Cell<bool>,
    /// Whether some series lost more than a name, so that series of one name may have become the same.
    pub dropped_metadata: Cell<bool>,
    /// Samples looked at, where somebody wants to know.
    pub counting: Counting,
    /// The most samples held at once.
    pub peak: Cell<u64>,
    pub held: Cell<u64>,
    pub series: Cell<u64>,
    /// Samples looked at since the caller was last asked whether to stop.
    pub passed: Cell<usize>,
    pub stop: &'a dyn Fn() -> bool,
}

/// Takes one series after the other.
pub(crate) type Sink<'s> = dyn FnMut(Series) -> Result<(), EvalError> + 's;

impl Cx<'_> {
    /// Counts samples that are held from now on.
    pub fn hold(&self, samples: usize) -> Result<(), EvalError> {
        let held = self.held.get() + samples as u64;
        self.held.set(held);
        self.peak.set(self.peak.get().max(held));
        if held > self.limits.samples_max {
            return Err(EvalError::TooManySamples { samples_max: self.limits.samples_max });
        }
        self.ask_to_stop()
    }

    /// Counts samples that are only looked at, so that a long walk is stopped as well.
    #[inline]
    pub fn pass_by(&self, samples: usize) -> Result<(), EvalError> {
        let passed = self.passed.get().saturating_add(samples);
        self.passed.set(passed);
        if passed < PASSED_SAMPLES_MAX { Ok(()) } else { self.ask_to_stop() }
    }

    #[cold]
    fn ask_to_stop(&self) -> Result<(), EvalError> {
        self.passed.set(0);
        if (self.stop)() { Err(EvalError::Stopped) } else { Ok(()) }
    }

    /// Counts samples that are no longer held.
    pub fn release(&self, samples: usize) {
        self.held.set(self.held.get().saturating_sub(samples as u64));
    }

    /// Counts a series that becomes part of the answer.
    pub fn hold_answer(&self, samples: usize) -> Result<(), EvalError> {
        self.series.set(self.series.get() + 1);
        if self.series.get() > self.limits.series_max {
            return Err(EvalError::TooManySeries { series_max: self.limits.series_max });
        }
        self.hold(samples)
    }

    /// Counts a series that is held.
    fn hold_series(&self, series: &Series) -> Result<(), EvalError> {
        self.hold_answer(series.weight())
    }

    pub fn warn(&self, span: Span, text: &str) {
        self.notes.borrow_mut().warn(span, text);
    }

    pub fn info(&self, span: Span, text: &str) {
        self.notes.borrow_mut().info(span, text);
    }

    /// Evaluates a node that is no range.
    pub fn eval(&self, expr: &Expr, grid: &Grid) -> Result<Val, EvalError> {
        match expr.value_type() {
            ValueType::Scalar => self.scalar(expr, grid).map(Val::Scalar),
            ValueType::Vector => self.vector(expr, grid).map(Val::Vector),
            ValueType::Text => Ok(Val::Text),
            ValueType::Matrix => Err(EvalError::new("a range vector cannot be evaluated here")),
        }
    }

    /// Evaluates a scalar at every step.
    pub fn scalar(&self, expr: &Expr, grid: &Grid) -> Result<Vec<f64>, EvalError> {
        if expr.fixed && grid.steps > 1 {
            let place = self.counting.at_every(grid.steps);
            let value = self.scalar(expr, &grid.first())?;
            self.counting.at(place);
            return Ok(vec![value.first().copied().unwrap_or(f64::NAN); grid.steps]);
        }
        match &expr.kind {
            ExprKind::Number { value, .. } => Ok(vec![*value; grid.steps]),
            ExprKind::Paren(inner) => self.scalar(inner, grid),
            ExprKind::Unary { negate, expr } => {
                let mut values = self.scalar(expr, grid)?;
                if *negate {
                    values.iter_mut().for_each(|value| *value = -*value);
                }
                Ok(values)
            }
            ExprKind::Binary(_) => match self.chain(expr, grid)? {
                Val::Scalar(values) => Ok(values),
                _ => Err(EvalError::new("expected a scalar")),
            },
            ExprKind::Call(call) => self.scalar_call(call, grid),
            _ => Err(EvalError::new("expected a scalar")),
        }
    }

    /// Evaluates a scalar that stands behind a vector: if both have a fault, that of the vector is named.
    pub fn scalar_after(&self, vector: &Expr, scalar: &Expr, grid: &Grid) -> Result<Vec<f64>, EvalError> {
        self.scalar(scalar, grid).map_err(|error| match error {
            EvalError::Execution(_) => self.each(vector, grid, &mut |_| Ok(())).err().unwrap_or(error),
            other => other,
        })
    }

    /// Evaluates a vector and keeps all its series.
    pub fn vector(&self, expr: &Expr, grid: &Grid) -> Result<Vec<Series>, EvalError> {
        let mut all = Vec::new();
        self.each(expr, grid, &mut |series| {
            self.hold_series(&series)?;
            all.push(series);
            Ok(())
        })?;
        Ok(all)
    }

    /// Passes on what was held.
    pub fn pass_on(&self, all: Vec<Series>, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        for series in all {
            self.release(series.weight());
            self.series.set(self.series.get().saturating_sub(1));
            sink(series)?;
        }
        Ok(())
    }

    /// Gives back what `vector` held.
    pub fn drop_vector(&self, all: &[Series]) {
        for series in all {
            self.release(series.weight());
        }
        self.series.set(self.series.get().saturating_sub(all.len() as u64));
    }

    /// Evaluates a vector series by series; series without any sample are left out.
    pub fn each(&self, expr: &Expr, grid: &Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        if expr.fixed && grid.steps > 1 {
            let place = self.counting.at_every(grid.steps);
            self.each(expr, &grid.first(), &mut |series| {
                // Who takes the series may read others.
                let inner = self.counting.at(place);
                sink(series.repeat(grid.steps))?;
                self.counting.at(inner);
                Ok(())
            })?;
            self.counting.at(place);
            return Ok(());
        }
        match &expr.kind {
            ExprKind::Paren(inner) => self.each(inner, grid, sink),
            ExprKind::Vector(selector) => self.select(expr.span, selector, grid, sink),
            ExprKind::Unary { negate, expr } => self.unary(*negate, expr, grid, sink),
            ExprKind::Call(call) => self.call(expr.span, call, grid, sink),
            ExprKind::Aggregate(aggregate) => self.aggregate(expr.span, aggregate, grid, sink),
            ExprKind::Binary(binary) if streams(binary) => self.stream_with_scalar(expr.span, binary, grid, sink),
            ExprKind::Binary(_) => match self.chain(expr, grid)? {
                Val::Vector(all) => self.pass_on(all, sink),
                _ => Err(EvalError::new("expected a vector")),
            },
            _ => Err(EvalError::new("expected a vector")),
        }
    }

    fn unary(&self, negate: bool, expr: &Expr, grid: &Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        if !negate {
            return self.each(expr, grid, sink);
        }
        self.renamed(Unique::strictly(self, expr), expr, grid, sink, &mut |mut series| {
            series.floats.iter_mut().filter(|value| !is_stale_nan(**value)).for_each(|value| *value = -*value);
            for hist in series.hists.iter_mut().flatten() {
                std::sync::Arc::make_mut(hist).scale(-1.0);
            }
            Ok(Some(series))
        })
    }

    /// Evaluates a vector whose series lose their names, and changes each.
    pub fn renamed(
        &self,
        mut unique: Unique<'_, '_>,
        expr: &Expr,
        grid: &Grid,
        sink: &mut Sink<'_>,
        change: &mut dyn FnMut(Series) -> Result<Option<Series>, EvalError>,
    ) -> Result<(), EvalError> {
        self.each(expr, grid, &mut |mut series| {
            self.drop_name(&mut series);
            match change(series)? {
                Some(series) if !series.is_empty() => unique.pass(series, sink),
                _ => Ok(()),
            }
        })?;
        unique.finish(sink)
    }

    /// Takes the name off, now or at the end.
    pub fn drop_name(&self, series: &mut Series) {
        if self.delayed_name_removal {
            series.drop_name = true;
        } else {
            if series.labels.iter().any(|(name, _)| matches!(name, "__type__" | "__unit__")) {
                self.dropped_metadata.set(true);
            }
            series.labels = crate::eval::without_metadata(&series.labels);
        }
    }
}

/// Returns whether all series of an expression have the same name or none, so that they stay apart without it.
fn has_one_name(expr: &Expr) -> bool {
    let named = |selector: &VectorSelector| {
        selector.matchers.iter().any(|m| m.name == NAME && m.op == MatchOp::Equal && !m.value.is_empty())
    };
    match &expr.unwrapped().kind {
        ExprKind::Vector(selector) => named(selector),
        ExprKind::Matrix(matrix) => named(&matrix.selector),
        ExprKind::Subquery(subquery) => has_one_name(&subquery.expr),
        ExprKind::Aggregate(aggregate) if !aggregate.op.chooses() => {
            aggregate.without || !aggregate.grouping.iter().any(|label| label == NAME)
        }
        ExprKind::Aggregate(aggregate) => has_one_name(&aggregate.expr),
        ExprKind::Call(call) => match call.function.imp {
            Imp::Math(_) | Imp::Date(_) => true,
            Imp::Window(_) => !call.function.keeps_name() || call.args.iter().any(has_one_name),
            Imp::Special(_) => false,
        },
        _ => false,
    }
}

/// Returns whether one side is a scalar and neither is another operator, whose chain must not become recursion.
fn streams(binary: &Binary) -> bool {
    binary.matching.is_none() && ![&binary.lhs, &binary.rhs].iter().any(|side| matches!(side.kind, ExprKind::Binary(_)))
}

/// Returns labels without the metric's name, type and unit, which a computed value no longer has.
pub(crate) fn without_metadata(labels: &Labels) -> Labels {
    labels.filter(|name| !matches!(name, NAME | "__type__" | "__unit__"))
}

/// The bytes of a string literal.
pub(crate) fn text_of(expr: &Expr) -> &[u8] {
    match &expr.unwrapped().kind {
        ExprKind::Text(bytes) => bytes,
        _ => &[],
    }
}

/// Notices series that became the same when their names were taken off: where their steps are apart they become
/// one, else that is an error. With delayed name removal nothing passes through here before the end.
pub(crate) struct Unique<'a, 'c> {
    cx: &'a Cx<'c>,
    /// Whether series need not be kept to be compared.
    passes: bool,
    /// Whether series with the same labels are an error even where their steps are apart: so Prometheus has it for
    /// what it evaluates series by series and not step by step.
    strict: Option<HashSet<Labels>>,
    seen: HashMap<Labels, Series>,
    order: Vec<Labels>,
}

impl<'a, 'c> Unique<'a, 'c> {
    /// For series that came of `arg` and lost their names.
    pub fn of(cx: &'a Cx<'c>, arg: &Expr) -> Unique<'a, 'c> {
        Unique { passes: cx.delayed_name_removal || has_one_name(arg), ..Unique::new(cx) }
    }

    pub fn new(cx: &'a Cx<'c>) -> Unique<'a, 'c> {
        Unique { cx, passes: cx.delayed_name_removal, strict: None, seen: HashMap::new(), order: Vec::new() }
    }

    /// For series that came of `arg`, lost their names and may not be the same at any step.
    pub fn strictly(cx: &'a Cx<'c>, arg: &Expr) -> Unique<'a, 'c> {
        Unique { strict: (!cx.delayed_name_removal).then(HashSet::new), ..Unique::of(cx, arg) }
    }

    /// Passes a series on, or keeps it until all were seen.
    pub fn pass(&mut self, series: Series, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        if self.passes && !self.cx.dropped_metadata.get() {
            return sink(series);
        }
        let Some(seen) = &mut self.strict else { return self.keep(series) };
        match seen.insert(series.labels.clone()) {
            true => sink(series),
            false => Err(EvalError::new(SAME_LABELS)),
        }
    }

    /// As `pass`, for series that may have become the same whatever they were called.
    pub fn pass_relabelled(&mut self, series: Series, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        self.passes = false;
        self.pass(series, sink)
    }

    /// Keeps a series.
    pub fn keep(&mut self, series: Series) -> Result<(), EvalError> {
        match self.seen.get_mut(&series.labels) {
            Some(before) => merge(before, &series),
            None => {
                self.cx.hold_series(&series)?;
                self.order.push(series.labels.clone());
                self.seen.insert(series.labels.clone(), series);
                Ok(())
            }
        }
    }

    /// Passes on what was kept.
    pub fn finish(mut self, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        for labels in &self.order {
            if let Some(series) = self.seen.remove(labels) {
                self.cx.release(series.weight());
                self.cx.series.set(self.cx.series.get().saturating_sub(1));
                sink(series)?;
            }
        }
        Ok(())
    }
}

/// Adds the steps of one series to another; a step that both have is an error.
pub(crate) fn merge(into: &mut Series, from: &Series) -> Result<(), EvalError> {
    for step in 0..from.floats.len() {
        if let Some(point) = from.get(step) {
            if into.has(step) {
                return Err(EvalError::new(SAME_LABELS));
            }
            into.set(step, Some(point));
        }
    }
    Ok(())
}
