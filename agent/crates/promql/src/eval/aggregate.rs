//! Aggregations over groups of series.
//!
//! Those that fold (`sum avg count min max group stddev stdvar`) take one series after the other and keep one small
//! state per group and step. Those that must see a whole group at once (`topk bottomk limitk limit_ratio quantile
//! count_values`) collect first.

use std::collections::HashMap;

use model::Labels;
use model::labels::{NAME, push_packed};

use super::fold::Fold;
use super::window::quantile_of;
use super::{Cx, Sink, has_one_name, heap, text_of};
use crate::ast::*;
use crate::error::EvalError;
use crate::functions::Imp;
use crate::print::{go_float, quote_bytes};
use crate::value::{Grid, Point, Series};
use crate::xxhash::xxh64;

/// Series, and for each group's labels which of them belong to it.
type Grouped = (Vec<Series>, Vec<(Labels, Vec<usize>)>);

/// How many samples a step of a group counts for against the limit.
const FOLD_SAMPLES: usize = 3;

/// Finds the group a series belongs to, without an allocation for groups that are known.
struct Groups<'a> {
    aggregate: &'a Aggregate,
    index: HashMap<Box<[u8]>, usize>,
    /// The groups' labels, in the order in which the groups were found.
    labels: Vec<Labels>,
    key: Vec<u8>,
}

impl<'a> Groups<'a> {
    fn new(aggregate: &'a Aggregate) -> Groups<'a> {
        Groups { aggregate, index: HashMap::new(), labels: Vec::new(), key: Vec::new() }
    }

    /// Returns the number of the group: that of a known one, or the next.
    fn of(&mut self, labels: &Labels) -> usize {
        let Aggregate { grouping, without, .. } = self.aggregate;
        self.key.clear();
        if *without || !grouping.is_empty() {
            let named = |name: &str| grouping.iter().any(|label| label == name);
            for (name, value) in labels.iter() {
                if if *without { name != NAME && !named(name) } else { named(name) } {
                    push_packed(&mut self.key, name, value);
                }
            }
        }
        if let Some(at) = self.index.get(self.key.as_slice()) {
            return *at;
        }
        self.index.insert(self.key.as_slice().into(), self.labels.len());
        self.labels.push(Labels::from_packed(&self.key).unwrap_or_default());
        self.labels.len() - 1
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
            Topk | Bottomk | Limitk | LimitRatio => self.choose(span, aggregate, grid, sink),
            CountValues => self.count_values(aggregate, grid, sink),
            Quantile => self.quantile(aggregate, grid, sink),
            _ => self.fold(aggregate, grid, sink),
        }
    }

    fn fold(&self, aggregate: &Aggregate, grid: &Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        let span = aggregate.expr.span;
        let mut groups = Groups::new(aggregate);
        let mut folds: Vec<(bool, Fold)> = Vec::new();
        self.each(&aggregate.expr, grid, &mut |series| {
            let at = groups.of(&series.labels);
            if at == folds.len() {
                self.hold(grid.steps * FOLD_SAMPLES)?;
                folds.push((series.drop_name, Fold::new(aggregate.op, grid.steps)));
            }
            folds[at].1.add(self, span, &series);
            Ok(())
        })?;
        for ((drop_name, fold), labels) in folds.into_iter().zip(groups.labels) {
            self.release(grid.steps * FOLD_SAMPLES);
            let mut series = Series::new(labels, drop_name, grid.steps);
            fold.finish(self, span, &mut series);
            if !series.is_empty() {
                sink(series)?;
            }
        }
        Ok(())
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
        let mut all = self.vector(&aggregate.expr, grid)?;
        // A store hands series out as it has them. Which of equals are chosen, and which group comes first, goes by labels.
        if is_in_order_of_labels(&aggregate.expr) {
            all.sort_by(|a, b| a.labels.cmp(&b.labels));
        }
        let mut groups = Groups::new(aggregate);
        let mut members: Vec<Vec<usize>> = Vec::new();
        for (i, series) in all.iter().enumerate() {
            let at = groups.of(&series.labels);
            if at == members.len() {
                members.push(Vec::new());
            }
            members[at].push(i);
        }
        Ok((all, groups.labels.into_iter().zip(members).collect()))
    }

    /// `topk`, `bottomk`, `limitk`, `limit_ratio`: some of the series, as they are.
    fn choose(&self, span: Span, aggregate: &Aggregate, grid: &Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        let is_ratio = aggregate.op == AggregateOp::LimitRatio;
        let params = self.parameter(aggregate, grid, Some(if is_ratio { "Ratio" } else { "Parameter" }))?;
        let (mut all, groups) = self.grouped(aggregate, grid)?;
        self.check_parameters(aggregate, &params)?;
        self.drop_vector(&all);
        let mut order: Vec<usize> = Vec::new();
        let mut chosen = Vec::new();
        let mut kept = vec![false; all.len()];
        for (_, members) in &groups {
            for (step, param) in params.iter().enumerate() {
                self.pass_by(members.len())?;
                if self.choose_step(aggregate, &all, members, step, *param, &mut chosen) {
                    self.info(span, &format!("ignored histogram in {} aggregation", aggregate.op.as_str()));
                }
                chosen.iter().for_each(|at| kept[*at] = true);
                for at in members {
                    if !std::mem::take(&mut kept[*at]) {
                        all[*at].set(step, None);
                    }
                }
                if grid.steps == 1 {
                    order.extend(&chosen);
                }
            }
        }
        if grid.steps > 1 {
            return all.into_iter().filter(|series| !series.is_empty()).try_for_each(sink);
        }
        order
            .into_iter()
            .try_for_each(|at| sink(std::mem::replace(&mut all[at], Series::new(Labels::empty(), false, 0))))
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
        let span = param_span(aggregate);
        for (value, cap, over) in [(most, 1.0, most > 1.0), (least, -1.0, least < -1.0)] {
            if over {
                let text = "ratio value should be between -1 and 1, got";
                self.warn(span, &format!("{text} {}, capping to {}", go_float(value), go_float(cap)));
            }
        }
        Ok(())
    }

    /// Finds the chosen of a step; returns whether histograms were left out.
    fn choose_step(
        &self,
        aggregate: &Aggregate,
        all: &[Series],
        members: &[usize],
        step: usize,
        param: f64,
        chosen: &mut Vec<usize>,
    ) -> bool {
        let mut left_out = false;
        chosen.clear();
        let present = members.iter().copied().filter(|at| all[*at].has(step));
        let count = if param >= 1.0 { param as usize } else { 0 };
        match aggregate.op {
            AggregateOp::Limitk => chosen.extend(present.take(count)),
            AggregateOp::Topk | AggregateOp::Bottomk if count == 0 => {}
            AggregateOp::LimitRatio => chosen.extend(present.filter(|at| in_ratio(param, &all[*at].labels))),
            op => {
                let value = |at: usize| all[at].floats[step];
                let is_beyond = |a: f64, b: f64| if op == AggregateOp::Topk { a > b } else { a < b };
                // The root is the one to give way: the least of the best, and NaN before any number.
                let less = |a: usize, b: usize| value(a).is_nan() || is_beyond(value(b), value(a));
                for at in present {
                    if all[at].float(step).is_none() {
                        left_out = true;
                    } else if chosen.len() < count {
                        heap::push(chosen, at, &less);
                    } else if let Some(root) = chosen.first().map(|root| value(*root))
                        && (is_beyond(value(at), root) || (root.is_nan() && !value(at).is_nan()))
                    {
                        heap::replace_root(chosen, at, &less);
                    }
                }
                // The best first, NaN last, equals as the heap has them.
                chosen.sort_by(|a, b| {
                    let (a, b) = (value(*a), value(*b));
                    let ordered = if op == AggregateOp::Topk { b.partial_cmp(&a) } else { a.partial_cmp(&b) };
                    ordered.unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
                });
            }
        }
        left_out
    }

    fn quantile(&self, aggregate: &Aggregate, grid: &Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        let params = self.parameter(aggregate, grid, None)?;
        let (all, groups) = self.grouped(aggregate, grid)?;
        // As in Prometheus: NaN, or the largest and the least of what is out of bounds.
        let extreme = |pick: fn(f64, f64) -> f64| {
            params.iter().copied().reduce(|a, b| if a.is_nan() || b.is_nan() { f64::NAN } else { pick(a, b) })
        };
        let extremes: Vec<f64> = [extreme(f64::max), extreme(f64::min)].into_iter().flatten().collect();
        super::call::check_quantile(self, param_span(aggregate), &extremes);
        let mut values = Vec::new();
        for (labels, members) in groups {
            let drop_name = all[members[0]].drop_name;
            let mut series = Series::new(labels, drop_name, grid.steps);
            for (step, q) in params.iter().enumerate() {
                self.pass_by(members.len())?;
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
        // A label that is left out is left out of the result too.
        let is_left_out = aggregate.without && (label == NAME || aggregate.grouping.iter().any(|name| name == label));
        let mut groups = Groups::new(aggregate);
        let mut index: HashMap<Labels, usize> = HashMap::new();
        let mut out: Vec<Series> = Vec::new();
        self.each(&aggregate.expr, grid, &mut |series| {
            let group = groups.of(&series.labels);
            let labels = groups.labels[group].clone();
            for step in 0..grid.steps {
                let Some(point) = series.get(step) else { continue };
                let labels = if is_left_out { labels.clone() } else { labels.with(label, &value_text(&point)) };
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

/// Where the parameter stands, without the parentheses around it.
fn param_span(aggregate: &Aggregate) -> Span {
    aggregate.param.as_ref().map_or(Span::default(), |param| param.unwrapped().span)
}

/// Returns whether the peer has the series of an expression in the order of their labels: they come of one selector, and
/// nothing on the way changed more of them than a name that all have.
fn is_in_order_of_labels(expr: &Expr) -> bool {
    match &expr.unwrapped().kind {
        ExprKind::Vector(_) | ExprKind::Matrix(_) => true,
        ExprKind::Unary { expr, .. } => is_in_order_of_labels(expr) && has_one_name(expr),
        ExprKind::Call(call) => match call.function.imp {
            Imp::Math(_) | Imp::Window(_) => {
                call.args.iter().any(|arg| is_in_order_of_labels(arg) && has_one_name(arg))
            }
            _ => false,
        },
        _ => false,
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

/// Returns whether a series belongs to this share of all series, as Prometheus has it: by a hash of its labels.
fn in_ratio(ratio: f64, labels: &Labels) -> bool {
    let ratio = ratio.clamp(-1.0, 1.0);
    let share = label_hash(labels) as f64 / u64::MAX as f64;
    if ratio >= 0.0 { share < ratio } else { share >= 1.0 + ratio }
}

/// The hash of a label set as Prometheus keeps one in memory: each text behind its length.
fn label_hash(labels: &Labels) -> u64 {
    let mut bytes = Vec::new();
    for text in labels.iter().flat_map(|(name, value)| [name, value]) {
        match u8::try_from(text.len()) {
            Ok(short) if short < u8::MAX => bytes.push(short),
            // A length of three bytes, marked by one that is no length.
            _ => bytes.extend_from_slice(&(text.len() << 8 | 0xff).to_le_bytes()[..4]),
        }
        bytes.extend_from_slice(text.as_bytes());
    }
    xxh64(&bytes)
}
