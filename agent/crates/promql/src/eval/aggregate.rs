//! Aggregations over groups of series.
//!
//! Those that fold (`sum avg count min max group stddev stdvar`) take one series after the other and keep one small
//! state per group and step. Those that must see a whole group at once (`topk bottomk limitk limit_ratio quantile
//! count_values`) collect first.

use std::collections::HashMap;
use std::sync::Arc;

use model::{Labels, ResetHint, labels::NAME};

use super::window::{Kahan, Mean, quantile_of};
use super::{Cx, Sink, text_of};
use crate::ast::*;
use crate::error::EvalError;
use crate::hist::Sum;
use crate::print::{go_float, quote_bytes};
use crate::value::{Grid, Point, Series};

/// Series, and for each group's labels which of them belong to it.
type Grouped = (Vec<Series>, Vec<(Labels, Vec<usize>)>);

/// The state of one group at one step.
#[derive(Clone, Default)]
struct Fold {
    floats: u32,
    value: f64,
    /// Sum and mean; for deviations `value` is the sum of squares.
    mean: Mean,
    sum: Kahan,
    hists: u32,
    hist: Option<Box<Sum>>,
    /// Whether histograms were found that do not go together.
    broken: bool,
    resets: u8,
}

struct Group {
    labels: Labels,
    drop_name: bool,
    folds: Vec<Fold>,
}

/// Returns the labels a series is grouped by.
fn group_labels(aggregate: &Aggregate, labels: &Labels) -> Labels {
    let named = |name: &str| aggregate.grouping.iter().any(|label| label == name);
    match aggregate.without {
        true => labels.filter(|name| name != NAME && !named(name)),
        false => labels.filter(named),
    }
}

impl Cx<'_> {
    pub(super) fn aggregate(
        &self,
        span: Span,
        aggregate: &Aggregate,
        grid: &Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), EvalError> {
        use AggregateOp::*;
        match aggregate.op {
            Topk | Bottomk | Limitk | LimitRatio => self.choose(aggregate, grid, sink),
            CountValues => self.count_values(aggregate, grid, sink),
            Quantile => self.quantile(aggregate, grid, sink),
            _ => self.fold(span, aggregate, grid, sink),
        }
    }

    fn fold(&self, _: Span, aggregate: &Aggregate, grid: &Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        let span = aggregate.expr.span;
        let mut index: HashMap<Labels, usize> = HashMap::new();
        let mut groups: Vec<Group> = Vec::new();
        self.each(&aggregate.expr, grid, &mut |series| {
            let labels = group_labels(aggregate, &series.labels);
            let at = match index.get(&labels) {
                Some(at) => *at,
                None => {
                    self.hold(grid.steps)?;
                    index.insert(labels.clone(), groups.len());
                    let folds = vec![Fold::default(); grid.steps];
                    groups.push(Group { labels, drop_name: series.drop_name, folds });
                    groups.len() - 1
                }
            };
            for (step, fold) in groups[at].folds.iter_mut().enumerate() {
                if let Some(value) = series.float(step) {
                    fold.add(aggregate.op, value);
                } else if let Some(hist) = series.hist(step) {
                    self.fold_hist(span, aggregate.op, fold, hist);
                }
            }
            Ok(())
        })?;
        for group in groups {
            self.release(grid.steps);
            let mut series = Series::new(group.labels, group.drop_name, grid.steps);
            for (step, fold) in group.folds.into_iter().enumerate() {
                series.set(step, self.folded(span, aggregate.op, fold));
            }
            if !series.is_empty() {
                sink(series)?;
            }
        }
        Ok(())
    }

    fn fold_hist(&self, span: Span, op: AggregateOp, fold: &mut Fold, hist: &Arc<crate::hist::Hist>) {
        match op {
            AggregateOp::Count | AggregateOp::Group => fold.hists += 1,
            AggregateOp::Sum | AggregateOp::Avg => {
                fold.hists += 1;
                fold.resets |= match hist.hint {
                    ResetHint::Reset => 1,
                    ResetHint::NotReset => 2,
                    _ => 0,
                };
                match &mut fold.hist {
                    None => fold.hist = Some(Box::new(Sum::new(hist, op == AggregateOp::Avg))),
                    Some(sum) => match sum.add(hist) {
                        Ok(combined) => {
                            if combined.reconciled {
                                self.info(span, "mismatched custom buckets were reconciled during aggregation");
                            }
                        }
                        Err(_) => fold.broken = true,
                    },
                }
            }
            _ => self.info(span, &format!("ignored histogram in {} aggregation", op.as_str())),
        }
    }

    fn folded(&self, span: Span, op: AggregateOp, fold: Fold) -> Option<Point> {
        use AggregateOp::*;
        if fold.floats + fold.hists == 0 {
            return None;
        }
        let count = f64::from(fold.floats + fold.hists);
        if matches!(op, Sum | Avg) && fold.hists > 0 {
            return self.folded_hist(span, fold);
        }
        Some(Point::Float(match op {
            Count => count,
            Group => 1.0,
            Sum if fold.sum.sum.is_infinite() => fold.sum.sum,
            Sum => fold.sum.total(),
            Avg => fold.mean.value(),
            Stdvar => fold.value / f64::from(fold.floats),
            Stddev => (fold.value / f64::from(fold.floats)).sqrt(),
            _ => fold.value,
        }))
    }

    fn folded_hist(&self, span: Span, fold: Fold) -> Option<Point> {
        if fold.floats > 0 {
            self.warn(span, "encountered a mix of histograms and floats for aggregation");
            return None;
        }
        if fold.broken {
            self.warn(span, super::rate::MIXED_SCHEMAS);
            return None;
        }
        if fold.resets == 3 {
            self.warn(span, "conflicting counter resets during histogram aggregation");
        }
        Some(Point::Hist(Arc::new(fold.hist?.finish())))
    }

    /// Evaluates the parameter; NaN is an error where `what` says what it is.
    fn parameter(&self, aggregate: &Aggregate, grid: &Grid, what: Option<&str>) -> Result<Vec<f64>, EvalError> {
        let Some(param) = &aggregate.param else { return Err(EvalError::new("a parameter is missing")) };
        let values = self.scalar(param, grid)?;
        match what {
            Some(what) if values.iter().any(|value| value.is_nan()) => {
                Err(EvalError::new(format!("{what} value is NaN")))
            }
            _ => Ok(values),
        }
    }

    /// Collects the series by group, in the order they came.
    fn grouped(&self, aggregate: &Aggregate, grid: &Grid) -> Result<Grouped, EvalError> {
        let all = self.vector(&aggregate.expr, grid)?;
        let mut index: HashMap<Labels, usize> = HashMap::new();
        let mut groups: Vec<(Labels, Vec<usize>)> = Vec::new();
        for (i, series) in all.iter().enumerate() {
            let labels = group_labels(aggregate, &series.labels);
            let at = *index.entry(labels.clone()).or_insert_with(|| {
                groups.push((labels, Vec::new()));
                groups.len() - 1
            });
            groups[at].1.push(i);
        }
        Ok((all, groups))
    }

    /// `topk`, `bottomk`, `limitk`, `limit_ratio`: some of the series, as they are.
    fn choose(&self, aggregate: &Aggregate, grid: &Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        let is_ratio = aggregate.op == AggregateOp::LimitRatio;
        let params = self.parameter(aggregate, grid, Some(if is_ratio { "Ratio" } else { "Parameter" }))?;
        self.check_parameters(aggregate, &params)?;
        let (all, groups) = self.grouped(aggregate, grid)?;
        let mut out: Vec<Series> =
            all.iter().map(|series| Series::new(series.labels.clone(), series.drop_name, grid.steps)).collect();
        let mut order: Vec<usize> = Vec::new();
        let mut chosen = Vec::new();
        for (_, members) in &groups {
            for (step, param) in params.iter().enumerate() {
                self.choose_step(aggregate, &all, members, step, *param, &mut chosen);
                for at in &chosen {
                    out[*at].set(step, all[*at].get(step));
                }
                if grid.steps == 1 {
                    order.extend(&chosen);
                }
            }
        }
        self.drop_vector(&all);
        if grid.steps > 1 {
            return out.into_iter().filter(|series| !series.is_empty()).try_for_each(sink);
        }
        order
            .into_iter()
            .try_for_each(|at| sink(std::mem::replace(&mut out[at], Series::new(Labels::empty(), false, 0))))
    }

    fn check_parameters(&self, aggregate: &Aggregate, params: &[f64]) -> Result<(), EvalError> {
        let most = params.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let least = params.iter().copied().fold(f64::INFINITY, f64::min);
        if aggregate.op != AggregateOp::LimitRatio {
            if most >= 1.0 && most >= i64::MAX as f64 {
                return Err(EvalError::new(format!("Scalar value {} overflows int64", go_float(most))));
            }
            if most >= 1.0 && least < i64::MIN as f64 {
                return Err(EvalError::new(format!("Scalar value {} underflows int64", go_float(least))));
            }
            return Ok(());
        }
        let span = aggregate.param.as_ref().map_or(Span::default(), |param| param.span);
        for (value, cap, over) in [(most, 1.0, most > 1.0), (least, -1.0, least < -1.0)] {
            if over {
                let text = "ratio value should be between -1 and 1, got";
                self.warn(span, &format!("{text} {}, capping to {}", go_float(value), go_float(cap)));
            }
        }
        Ok(())
    }

    fn choose_step(
        &self,
        aggregate: &Aggregate,
        all: &[Series],
        members: &[usize],
        step: usize,
        param: f64,
        chosen: &mut Vec<usize>,
    ) {
        chosen.clear();
        let present = members.iter().copied().filter(|at| all[*at].has(step));
        let count = if param >= 1.0 { param as usize } else { 0 };
        match aggregate.op {
            AggregateOp::Limitk => chosen.extend(present.take(count)),
            AggregateOp::LimitRatio => chosen.extend(present.filter(|at| in_ratio(param, &all[*at].labels))),
            op => {
                chosen.extend(present.filter(|at| {
                    let float = all[*at].float(step).is_some();
                    if !float {
                        let text = format!("ignored histogram in {} aggregation", op.as_str());
                        self.info(aggregate.expr.span, &text);
                    }
                    float
                }));
                let value = |at: &usize| all[*at].floats[step];
                // NaN counts least for both.
                chosen.sort_by(|a, b| {
                    let (a, b) = (value(a), value(b));
                    let ordered = if op == AggregateOp::Topk { b.partial_cmp(&a) } else { a.partial_cmp(&b) };
                    ordered.unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
                });
                chosen.truncate(count);
            }
        }
    }

    fn quantile(&self, aggregate: &Aggregate, grid: &Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        let params = self.parameter(aggregate, grid, None)?;
        let span = aggregate.param.as_ref().map_or(Span::default(), |param| param.span);
        for q in params.iter().filter(|q| !(0.0..=1.0).contains(*q)) {
            self.warn(span, &format!("quantile value should be between 0 and 1, got {}", go_float(*q)));
        }
        let (all, groups) = self.grouped(aggregate, grid)?;
        let mut values = Vec::new();
        for (labels, members) in groups {
            let drop_name = all[members[0]].drop_name;
            let mut series = Series::new(labels, drop_name, grid.steps);
            for (step, q) in params.iter().enumerate() {
                values.clear();
                values.extend(members.iter().filter_map(|at| all[*at].float(step)));
                if members.iter().any(|at| all[*at].hist(step).is_some()) {
                    self.info(aggregate.expr.span, "ignored histogram in quantile aggregation");
                }
                if !values.is_empty() {
                    series.set(step, Some(Point::Float(quantile_of(*q, &mut values))));
                }
            }
            if !series.is_empty() {
                sink(series)?;
            }
        }
        self.drop_vector(&all);
        Ok(())
    }

    fn count_values(&self, aggregate: &Aggregate, grid: &Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        let param = aggregate.param.as_ref().map_or(&[][..], text_of);
        let label = match std::str::from_utf8(param) {
            Ok(label) if !label.is_empty() => label,
            _ => return Err(EvalError::new(format!("invalid label name {}", quote_bytes(param)))),
        };
        let mut index: HashMap<Labels, usize> = HashMap::new();
        let mut out: Vec<Series> = Vec::new();
        self.each(&aggregate.expr, grid, &mut |series| {
            let labels = group_labels(aggregate, &series.labels);
            for step in 0..grid.steps {
                let Some(point) = series.get(step) else { continue };
                let labels = labels.with(label, &value_text(&point));
                let at = match index.get(&labels) {
                    Some(at) => *at,
                    None => {
                        self.hold(grid.steps)?;
                        index.insert(labels.clone(), out.len());
                        out.push(Series::new(labels, series.drop_name, grid.steps));
                        out.len() - 1
                    }
                };
                let before = out[at].float(step).unwrap_or(0.0);
                out[at].set(step, Some(Point::Float(before + 1.0)));
            }
            Ok(())
        })?;
        self.release(grid.steps * out.len());
        out.into_iter().try_for_each(sink)
    }
}

fn value_text(point: &Point) -> String {
    let mut text = String::new();
    match point {
        Point::Float(value) => model::float::write_plain(&mut text, *value),
        Point::Hist(hist) => text = hist.text(),
    }
    text
}

/// Returns whether a series belongs to this share of all series, by a hash of its labels.
fn in_ratio(ratio: f64, labels: &Labels) -> bool {
    let ratio = ratio.clamp(-1.0, 1.0);
    let share = fnv(labels.packed()) as f64 / u64::MAX as f64;
    if ratio >= 0.0 { share < ratio || ratio == 1.0 } else { share >= 1.0 + ratio }
}

fn fnv(bytes: &[u8]) -> u64 {
    let mut hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
    // FNV leaves the upper bits of short texts alike; these steps spread them (from MurmurHash3's end).
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

impl Fold {
    fn add(&mut self, op: AggregateOp, value: f64) {
        use AggregateOp::*;
        self.floats += 1;
        let first = self.floats == 1;
        match op {
            Sum if first => self.sum.sum = value,
            Sum => self.sum.add(value),
            Avg => self.mean.add(value),
            Max if first || value > self.value || self.value.is_nan() => self.value = value,
            Min if first || value < self.value || self.value.is_nan() => self.value = value,
            Stddev | Stdvar => {
                // Welford; `sum.sum` is the mean so far.
                let delta = value - self.sum.sum;
                self.sum.sum += delta / f64::from(self.floats);
                self.value += delta * (value - self.sum.sum);
            }
            _ => {}
        }
    }
}
