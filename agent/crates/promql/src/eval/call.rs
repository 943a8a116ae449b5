//! Calls: arguments are brought into the shape a function wants, and what it returns is named.
//!
//! The table of functions says which kind each one is; here that kind becomes a way of evaluating. Names that a
//! function drops are dropped here too, at once or at the end, as the engine is told.

use model::{Labels, LabelsBuilder, MatchOp, UnixMs, is_stale_nan, labels::NAME};

use super::window::{Window, WindowFn};
use super::{Cx, Sink, Unique, simple, text_of};
use crate::ast::*;
use crate::error::EvalError;
use crate::functions::{Imp, Special};
use crate::print::{go_fixed, go_float, quote};
use crate::value::{Grid, Point, Series};

const COUNTER_ENDINGS: [&str; 4] = ["_total", "_sum", "_count", "_bucket"];
const ANCHORED: [&str; 5] = ["changes", "delta", "increase", "rate", "resets"];
const SMOOTHED: [&str; 3] = ["delta", "increase", "rate"];

impl Cx<'_> {
    pub(super) fn call(&self, span: Span, call: &Call, grid: &Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        match &call.function.imp {
            Imp::Math(body) => self.math(&call.args[0], grid, sink, &mut |_, value| body(value)),
            Imp::Date(body) => self.date(call, *body, grid, sink),
            Imp::Window(body) => self.window_call(call, *body, grid, sink),
            Imp::Special(special) => self.special(span, *special, call, grid, sink),
        }
    }

    pub(super) fn scalar_call(&self, call: &Call, grid: &Grid) -> Result<Vec<f64>, EvalError> {
        let Imp::Special(special) = call.function.imp else { return Err(EvalError::new("expected a scalar")) };
        let constant = |value: f64| Ok(vec![value; grid.steps]);
        match special {
            Special::Pi => constant(std::f64::consts::PI),
            Special::Time => Ok((0..grid.steps).map(|step| grid.at(step) as f64 / 1000.0).collect()),
            Special::Start => constant(self.start as f64 / 1000.0),
            Special::End => constant(self.end as f64 / 1000.0),
            Special::Step => constant(self.step as f64 / 1000.0),
            Special::MinOf | Special::MaxOf => {
                let pick = if special == Special::MinOf { simple::go_min } else { simple::go_max };
                let mut values = self.scalar(&call.args[0], grid)?;
                let others = self.scalar(&call.args[1], grid)?;
                values.iter_mut().zip(others).for_each(|(a, b)| *a = pick(*a, b));
                Ok(values)
            }
            Special::Range => constant((self.end - self.start) as f64 / 1000.0),
            _ => self.only_one(&call.args[0], grid),
        }
    }

    /// `scalar(v)`: the value where there is exactly one series.
    fn only_one(&self, arg: &Expr, grid: &Grid) -> Result<Vec<f64>, EvalError> {
        let mut values = vec![f64::NAN; grid.steps];
        let mut found = vec![0u8; grid.steps];
        self.each(arg, grid, &mut |series| {
            for step in 0..grid.steps {
                if let Some(value) = series.float(step) {
                    found[step] = found[step].saturating_add(1);
                    values[step] = if found[step] == 1 { value } else { f64::NAN };
                }
            }
            Ok(())
        })?;
        Ok(values)
    }

    /// Applies a function to every float; histograms vanish, and so does the name.
    fn math(
        &self,
        arg: &Expr,
        grid: &Grid,
        sink: &mut Sink<'_>,
        body: &mut dyn FnMut(usize, f64) -> f64,
    ) -> Result<(), EvalError> {
        self.renamed(Unique::of(self, arg), arg, grid, sink, &mut |mut series| {
            series.hists = Vec::new();
            for (step, value) in series.floats.iter_mut().enumerate() {
                if !is_stale_nan(*value) {
                    *value = body(step, *value);
                }
            }
            Ok(Some(series))
        })
    }

    fn date(&self, call: &Call, body: fn(UnixMs) -> f64, grid: &Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        if let Some(arg) = call.args.first() {
            return self.math(arg, grid, sink, &mut |_, value| body(simple::time_of(value)));
        }
        let mut series = Series::new(Labels::empty(), false, grid.steps);
        for step in 0..grid.steps {
            series.floats[step] = body(UnixMs(grid.at(step).div_euclid(1000) * 1000));
        }
        sink(series)
    }

    fn window_call(&self, call: &Call, body: WindowFn, grid: &Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        let name = call.function.name;
        let Some(at) = call.args.iter().position(|arg| arg.value_type() == ValueType::Matrix) else {
            return Err(EvalError::new("expected a range vector"));
        };
        let arg = &call.args[at];
        self.check_extension(name, arg)?;
        // What is said about a subquery has no place of its own, as in Prometheus: it stands for where it begins.
        let is_subquery = matches!(arg.unwrapped().kind, ExprKind::Subquery(_));
        let span = if is_subquery { Span::beginning() } else { arg.span };
        let others = call.args.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, other)| other);
        // As in the peer, parentheses around what changes with time do not count for its place.
        let param_span =
            others.clone().next().map_or(span, |param| if param.fixed { param } else { param.unwrapped() }.span);
        let params: Vec<Vec<f64>> = others.map(|param| self.scalar(param, grid)).collect::<Result<_, _>>()?;
        let smooths = name == "double_exponential_smoothing";
        let mut refused = None;
        let keeps_name = call.function.keeps_name();
        let wants_counter = matches!(name, "rate" | "increase");
        let mut unique = Unique::strictly(self, arg);
        self.each_range(arg, grid, &mut |labels, drop, samples, reach| {
            let metric = labels.name();
            if wants_counter {
                samples.find_drops();
            }
            let mut out = Series::new(labels.clone(), drop, grid.steps);
            let mut at_step = Vec::with_capacity(params.len());
            let mut evaluate = |step: usize, window: &Window<'_>| {
                if params.is_empty() {
                    return body(window);
                }
                at_step.clear();
                at_step.extend(params.iter().map(|values| values[step]));
                if smooths && refused.is_none() {
                    refused = check_factors(&at_step).err();
                }
                body(&Window { params: &at_step, param_span, ..*window })
            };
            if reach.extension == Extension::None {
                self.windows(samples, reach, grid, &mut evaluate, metric, span, &mut out)?;
            } else {
                self.extended(name, samples, reach, grid, metric, span, &mut out)?;
            }
            if let Some(error) = refused.take() {
                return Err(error);
            }
            if wants_counter && out.floats.iter().any(|value| !is_stale_nan(*value)) {
                self.check_counter(span, metric);
            }
            if out.is_empty() {
                return Ok(());
            }
            if keeps_name {
                // Even a name that was to be taken off at the end, as in Prometheus.
                out.drop_name = false;
                return sink(out);
            }
            self.drop_name(&mut out);
            unique.pass(out, sink)
        })?;
        unique.finish(sink)
    }

    fn check_extension(&self, name: &str, arg: &Expr) -> Result<(), EvalError> {
        let ExprKind::Matrix(matrix) = &arg.unwrapped().kind else { return Ok(()) };
        let (what, allowed) = match matrix.selector.extension {
            Extension::None => return Ok(()),
            Extension::Anchored => ("anchored", &ANCHORED[..]),
            Extension::Smoothed => ("smoothed", &SMOOTHED[..]),
        };
        if allowed.contains(&name) {
            return Ok(());
        }
        let allowed = allowed.join(", ");
        Err(EvalError::new(format!("{what} modifier can only be used with: {allowed} - not with {name}")))
    }

    fn check_counter(&self, span: Span, name: &str) {
        if !name.is_empty() && !COUNTER_ENDINGS.iter().any(|ending| name.ends_with(ending)) {
            let text = "metric might not be a counter, name does not end in _total/_sum/_count/_bucket:";
            self.info(span, &format!("{text} {}", quote(name)));
        }
    }

    fn special(
        &self,
        span: Span,
        special: Special,
        call: &Call,
        grid: &Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), EvalError> {
        let args = &call.args;
        match special {
            Special::Absent => self.absent(&args[0], grid, sink),
            Special::AbsentOverTime => self.absent_over_time(&args[0], grid, sink),
            Special::Clamp | Special::ClampMin | Special::ClampMax => self.clamp(special, args, grid, sink),
            Special::Round => {
                let nearest = match args.get(1) {
                    Some(arg) => self.scalar_after(&args[0], arg, grid)?,
                    None => vec![1.0; grid.steps],
                };
                self.math(&args[0], grid, sink, &mut |step, value| simple::round(value, nearest[step]))
            }
            Special::Sort | Special::SortDesc => self.sort(span, special, &args[0], grid, sink),
            Special::SortByLabel | Special::SortByLabelDesc => self.sort_by_label(span, special, args, grid, sink),
            Special::LabelJoin => self.label_join(args, grid, sink),
            Special::LabelReplace => self.label_replace(args, grid, sink),
            Special::Timestamp => self.timestamp(&args[0], grid, sink, false),
            Special::StartTimestamp => self.timestamp(&args[0], grid, sink, true),
            Special::Vector => {
                let mut series = Series::new(Labels::empty(), false, 0);
                series.floats = self.scalar(&args[0], grid)?;
                sink(series)
            }
            Special::Info => self.join_info(args, grid, sink),
            Special::HistogramQuantile => self.histogram_quantile(args, grid, sink),
            Special::HistogramQuantiles => self.histogram_quantiles(args, grid, sink),
            Special::HistogramFraction => self.histogram_fraction(args, grid, sink),
            _ => self.histogram_value(special, &args[0], grid, sink),
        }
    }

    fn clamp(&self, special: Special, args: &[Expr], grid: &Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        let first = self.scalar_after(&args[0], &args[1], grid)?;
        let second = match args.get(2) {
            Some(arg) => self.scalar_after(&args[0], arg, grid)?,
            None => first.clone(),
        };
        self.renamed(Unique::of(self, &args[0]), &args[0], grid, sink, &mut |mut series| {
            series.hists = Vec::new();
            for (step, value) in series.floats.iter_mut().enumerate().filter(|(_, value)| !is_stale_nan(**value)) {
                *value = match special {
                    Special::ClampMin => simple::go_max(first[step], *value),
                    Special::ClampMax => simple::go_min(first[step], *value),
                    _ if second[step] < first[step] => model::stale_nan(),
                    _ => simple::clamp(*value, first[step], second[step]),
                };
            }
            Ok(Some(series))
        })
    }

    fn absent(&self, arg: &Expr, grid: &Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        let mut present = vec![false; grid.steps];
        self.each(arg, grid, &mut |series| {
            present.iter_mut().enumerate().for_each(|(step, present)| *present |= series.has(step));
            Ok(())
        })?;
        self.absence(arg, &present, sink)
    }

    fn absent_over_time(&self, arg: &Expr, grid: &Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        self.check_extension("absent_over_time", arg)?;
        let mut present = vec![false; grid.steps];
        let mut probe = Series::new(Labels::empty(), false, grid.steps);
        self.each_range(arg, grid, &mut |labels, _, samples, reach| {
            let mut seen = |step: usize, _: &Window<'_>| {
                present[step] = true;
                None
            };
            self.windows(samples, reach, grid, &mut seen, labels.name(), arg.span, &mut probe)
        })?;
        self.absence(arg, &present, sink)
    }

    /// One where nothing is present, with the labels that the selector fixes.
    fn absence(&self, arg: &Expr, present: &[bool], sink: &mut Sink<'_>) -> Result<(), EvalError> {
        let matchers = match &arg.unwrapped().kind {
            ExprKind::Vector(selector) => &selector.matchers[..],
            ExprKind::Matrix(matrix) => &matrix.selector.matchers[..],
            _ => &[],
        };
        let mut builder = LabelsBuilder::new();
        // A label that is matched in two ways, or by anything but a value, is none of them.
        let is_alone = |name: &str| matchers.iter().filter(|other| other.name == name).count() == 1;
        for matcher in matchers.iter().filter(|matcher| matcher.op == MatchOp::Equal && matcher.name != NAME) {
            if is_alone(&matcher.name) {
                set_label(&mut builder, &matcher.name, &matcher.value)?;
            }
        }
        let mut series = Series::new(builder.finish(), false, present.len());
        for (step, present) in present.iter().enumerate().filter(|(_, present)| !**present) {
            debug_assert!(!present);
            series.floats[step] = 1.0;
        }
        if series.is_empty() { Ok(()) } else { sink(series) }
    }

    /// `timestamp` and `start_timestamp`: times of the samples themselves, where the argument is a selector.
    fn timestamp(&self, arg: &Expr, grid: &Grid, sink: &mut Sink<'_>, start: bool) -> Result<(), EvalError> {
        let ExprKind::Vector(selector) = &arg.unwrapped().kind else {
            return self.renamed(Unique::of(self, arg), arg, grid, sink, &mut |mut series| {
                for step in (0..grid.steps).filter(|_| !start) {
                    if series.has(step) {
                        series.set(step, Some(Point::Float(grid.at(step) as f64 / 1000.0)));
                    }
                }
                Ok((!start).then_some(series))
            });
        };
        if selector.extension != Extension::None {
            return Err(EvalError::new("anchored and smoothed selectors have no timestamps of their own"));
        }
        let mut unique = Unique::of(self, arg);
        self.walk(selector, grid, &mut |labels, samples, picked| {
            let mut series = Series::new(labels.clone(), false, grid.steps);
            self.drop_name(&mut series);
            for (step, at) in picked.iter().enumerate() {
                let time = at.and_then(|at| match start {
                    true => Some(samples.starts.get(at).copied().flatten().unwrap_or_default()),
                    false => Some(samples.at[at]),
                });
                series.set(step, time.map(|time| Point::Float(time.as_seconds())));
            }
            if series.is_empty() { Ok(()) } else { unique.pass(series, sink) }
        })?;
        unique.finish(sink)
    }
}

/// The factors of double_exponential_smoothing lie between 0 and 1.
fn check_factors(params: &[f64]) -> Result<(), EvalError> {
    for ((what, short), value) in [("smoothing", "sf"), ("trend", "tf")].into_iter().zip(params) {
        if *value <= 0.0 || *value >= 1.0 {
            let text = format!("invalid {what} factor. Expected: 0 < {short} < 1, got: {}", go_fixed(*value));
            return Err(EvalError::new(text));
        }
    }
    Ok(())
}

/// Sets a label; one that is too long is an error that names it.
pub(super) fn set_label(builder: &mut LabelsBuilder, name: &str, value: &str) -> Result<(), EvalError> {
    builder.set(name, value).map(|_| ()).map_err(|error| EvalError::new(error.to_string()))
}

/// A text argument that must be UTF-8.
pub(super) fn text_arg(arg: &Expr) -> String {
    String::from_utf8_lossy(text_of(arg)).into_owned()
}

/// A quantile outside 0 to 1 is said.
pub(super) fn check_quantile(cx: &Cx<'_>, span: Span, values: &[f64]) {
    for q in values.iter().filter(|q| !(0.0..=1.0).contains(*q)) {
        cx.warn(span, &format!("quantile value should be between 0 and 1, got {}", go_float(*q)));
    }
}
