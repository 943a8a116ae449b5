//! The engine: a tree, a source of samples and a time in, an answer out.
//!
//! It has no state but its settings, so one engine serves any number of threads. What it holds while it works is
//! counted against its limits; time is the caller's affair, who is asked through `stop`.

use std::cell::{Cell, RefCell};

use model::{Labels, Querier, UnixMs};

use crate::annotations::Notes;
use crate::ast::{Expr, ValueType};
use crate::error::EvalError;
use crate::eval::{Cx, Unique, text_of};
use crate::stats::Counting;
use crate::value::{Answer, Grid, MatrixSeries, QueryValue, Series, Val, VectorItem};

/// What a query may use.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most samples held at once.
    pub samples_max: u64,
    /// The most series held at once.
    pub series_max: u64,
    /// The most steps of a range query.
    pub steps_max: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { samples_max: 50_000_000, series_max: 1_000_000, steps_max: 11_000 }
    }
}

/// The steps of a range query.
#[derive(Debug, Clone, Copy)]
pub struct RangeArgs {
    /// The first step.
    pub start: UnixMs,
    /// No step is later.
    pub end: UnixMs,
    /// From step to step, in milliseconds.
    pub step_ms: i64,
}

/// Evaluates expressions.
#[derive(Debug, Clone)]
pub struct Engine {
    /// What a query may use.
    pub limits: Limits,
    /// How old a sample may be and still count, in milliseconds.
    pub lookback_ms: i64,
    /// The step of a subquery that names none, in milliseconds.
    pub subquery_step_ms: i64,
    /// Whether metric names are taken off at the end and not on the way (a feature flag of Prometheus).
    pub delayed_name_removal: bool,
    /// Whether samples that are looked at are counted.
    pub counts_samples: bool,
}

impl Default for Engine {
    fn default() -> Engine {
        Engine {
            limits: Limits::default(),
            lookback_ms: 300_000,
            subquery_step_ms: 60_000,
            delayed_name_removal: false,
            counts_samples: false,
        }
    }
}

impl Engine {
    /// Evaluates at one time.
    ///
    /// # Errors
    /// [`EvalError`], with Prometheus's text.
    pub fn instant(
        &self,
        source: &dyn Querier,
        expr: &Expr,
        at: UnixMs,
        stop: &dyn Fn() -> bool,
    ) -> Result<Answer, EvalError> {
        let grid = Grid { start: at.0, step: 1, steps: 1 };
        let cx = self.context(source, [at.0, at.0, 0], grid.steps, stop);
        let value = match expr.value_type() {
            ValueType::Matrix => QueryValue::Matrix(self.sorted(cx.raw_matrix(expr, &grid)?)?),
            _ => match cx.eval(expr, &grid)? {
                Val::Scalar(values) => QueryValue::Scalar(at, values.first().copied().unwrap_or(f64::NAN)),
                Val::Text => QueryValue::Text(at, String::from_utf8_lossy(text_of(expr)).into_owned()),
                Val::Vector(all) => QueryValue::Vector(vector_items(&cx, all, at)?),
            },
        };
        Ok(answer(cx, value))
    }

    /// Evaluates at every step of a range. The value is a matrix, sorted by labels.
    ///
    /// # Errors
    /// [`EvalError`], with Prometheus's text.
    pub fn range(
        &self,
        source: &dyn Querier,
        expr: &Expr,
        range: RangeArgs,
        stop: &dyn Fn() -> bool,
    ) -> Result<Answer, EvalError> {
        let steps = self.steps(range)?;
        let cx = self.context(source, [range.start.0, range.end.0, range.step_ms], steps, stop);
        let grid = Grid { start: range.start.0, step: range.step_ms, steps };
        let points = |series: &Series| {
            let mut points = Vec::with_capacity(series.len());
            points.extend(
                (0..steps).filter_map(|step| series.get(step).map(|point| (UnixMs(grid.at(step)), point.into_value()))),
            );
            points
        };
        let all = match expr.value_type() {
            ValueType::Scalar => {
                let mut series = Series::new(Labels::empty(), false, 0);
                series.floats = cx.scalar(expr, &grid)?;
                vec![MatrixSeries { labels: Labels::empty(), points: points(&series) }]
            }
            ValueType::Vector => {
                let mut out = Vec::new();
                let mut put = |series: Series| {
                    cx.hold_answer(series.len())?;
                    out.push(MatrixSeries { points: points(&series), labels: series.labels });
                    Ok(())
                };
                if self.delayed_name_removal {
                    let all = cx.vector(expr, &grid)?;
                    cx.drop_vector(&all);
                    finish_names(&cx, all, &mut put)?;
                } else {
                    // Names are gone already: a series can become part of the answer when it comes.
                    cx.each(expr, &grid, &mut put)?;
                }
                out
            }
            other => {
                let text = "invalid expression type";
                return Err(EvalError::Steps(format!(
                    "{text} \"{}\" for range query, must be Scalar or instant Vector",
                    other.documented()
                )));
            }
        };
        let all = self.sorted(all)?;
        Ok(answer(cx, QueryValue::Matrix(all)))
    }

    fn steps(&self, range: RangeArgs) -> Result<usize, EvalError> {
        if range.step_ms <= 0 {
            let text = "zero or negative query resolution step widths are not accepted. Try a positive integer";
            return Err(EvalError::Steps(text.into()));
        }
        let span = range.end.0.checked_sub(range.start.0).filter(|span| *span >= 0);
        let Some(span) = span else {
            return Err(EvalError::Steps("end timestamp must not be before start time".into()));
        };
        let steps = (span / range.step_ms) as u64;
        if steps > self.limits.steps_max {
            let text = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)";
            return Err(EvalError::Steps(match self.limits.steps_max {
                11_000 => text.into(),
                steps_max => text.replacen("11,000", &steps_max.to_string(), 1),
            }));
        }
        Ok(steps as usize + 1)
    }

    fn sorted(&self, mut all: Vec<MatrixSeries>) -> Result<Vec<MatrixSeries>, EvalError> {
        all.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(all)
    }

    fn context<'a>(
        &self,
        source: &'a dyn Querier,
        [start, end, step]: [i64; 3],
        steps: usize,
        stop: &'a dyn Fn() -> bool,
    ) -> Cx<'a> {
        Cx {
            source,
            limits: self.limits,
            lookback_ms: self.lookback_ms,
            subquery_step_ms: self.subquery_step_ms,
            delayed_name_removal: self.delayed_name_removal,
            start,
            end,
            step,
            notes: RefCell::new(Notes::default()),
            only_sums: Cell::new(false),
            dropped_metadata: Cell::new(false),
            counting: Counting::new(self.counts_samples, steps),
            peak: Cell::new(0),
            held: Cell::new(0),
            series: Cell::new(0),
            passed: Cell::new(0),
            stop,
        }
    }
}

/// Takes off the names that were to be taken off at the end.
fn finish_names(
    cx: &Cx<'_>,
    all: Vec<Series>,
    sink: &mut dyn FnMut(Series) -> Result<(), EvalError>,
) -> Result<(), EvalError> {
    if all.iter().all(|series| !series.drop_name) {
        return all.into_iter().try_for_each(sink);
    }
    let mut unique = Unique::new(cx);
    for mut series in all {
        if series.drop_name {
            series.labels = crate::eval::without_metadata(&series.labels);
        }
        unique.keep(series)?;
    }
    unique.finish(sink)
}

fn vector_items(cx: &Cx<'_>, all: Vec<Series>, at: UnixMs) -> Result<Vec<VectorItem>, EvalError> {
    let mut items = Vec::with_capacity(all.len());
    finish_names(cx, all, &mut |series| {
        if let Some(point) = series.get(0) {
            items.push(VectorItem { labels: series.labels, at, value: point.into_value() });
        }
        Ok(())
    })?;
    Ok(items)
}

fn answer(cx: Cx<'_>, value: QueryValue) -> Answer {
    let (warnings, infos) = cx.notes.into_inner().finish();
    Answer { value, warnings, infos, samples: cx.counting.finish(cx.peak.get()) }
}
