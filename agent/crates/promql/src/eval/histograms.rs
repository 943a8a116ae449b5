//! Functions on histograms, classic (series with `le`) and native: `histogram_quantile`, `histogram_fraction`, ...
//!
//! Classic buckets are gathered by their other labels, for all steps; a group that has native histograms as well at
//! some step has no result there.

use std::collections::HashMap;

use model::{Labels, LabelsBuilder};

use super::call::{check_quantile, set_label, text_arg};
use super::{Cx, Sink, Unique};
use crate::annotations::for_metric;
use crate::ast::*;
use crate::error::EvalError;
use crate::functions::Special;
use crate::hist::Hist;
use crate::print::{go_float, quote};
use crate::value::{Grid, Point, Series};

/// A classic bucket: upper bound and cumulative count.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    upper: f64,
    count: f64,
}

/// Is handed a step with its classic buckets or its native histogram.
type HistogramVisitor<'v> = dyn FnMut(usize, Result<&mut Vec<Bucket>, &Hist>) + 'v;

/// The series of one histogram.
struct Family {
    labels: Labels,
    drop_name: bool,
    classic: Vec<(f64, Series)>,
    native: Option<Series>,
}

impl Cx<'_> {
    /// `histogram_count`, `_sum`, `_avg`, `_stddev`, `_stdvar` of native histograms.
    pub(super) fn histogram_value(
        &self,
        special: Special,
        arg: &Expr,
        grid: &Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), EvalError> {
        let sums = matches!(special, Special::HistogramCount | Special::HistogramSum | Special::HistogramAvg);
        let before = if sums { self.only_sums.replace(true) } else { self.only_sums.get() };
        let result = self.renamed(Unique::of(self, arg), arg, grid, sink, &mut |mut series| {
            for step in 0..grid.steps {
                let value = series.hist(step).map(|hist| match special {
                    Special::HistogramCount => hist.count,
                    Special::HistogramSum => hist.sum,
                    Special::HistogramAvg => hist.sum / hist.count,
                    Special::HistogramStdvar => hist.variance(),
                    _ => hist.variance().sqrt(),
                });
                series.set(step, value.map(Point::Float));
            }
            Ok(Some(series))
        });
        self.only_sums.set(before);
        result
    }

    fn families(&self, arg: &Expr, span: Span, grid: &Grid) -> Result<Vec<Family>, EvalError> {
        let mut index: HashMap<Labels, usize> = HashMap::new();
        let mut all: Vec<Family> = Vec::new();
        let before = self.only_sums.replace(false);
        self.each(arg, grid, &mut |series| {
            self.hold_series(&series)?;
            let le = series.labels.get("le");
            let bound = le.and_then(parse_bound);
            let has_floats = series.floats.iter().any(|value| !model::is_stale_nan(*value));
            if has_floats && bound.is_none() {
                let text = "bucket label \"le\" is missing or has a malformed value of";
                let text = format!("{text} {}", quote(le.unwrap_or("")));
                self.warn(span, &for_metric(&text, series.labels.name()));
            }
            let mut put = |labels: Labels, drop_name: bool| {
                *index.entry(labels.clone()).or_insert_with(|| {
                    all.push(Family { labels, drop_name, classic: Vec::new(), native: None });
                    all.len() - 1
                })
            };
            let at = match (has_floats, bound) {
                (true, Some(_)) => Some(put(series.labels.filter(|name| name != "le"), series.drop_name)),
                _ => None,
            };
            let native = (!series.hists.is_empty()).then(|| put(series.labels.clone(), series.drop_name));
            if let Some(at) = native {
                all[at].native = Some(series.clone());
            }
            if let (Some(at), Some(bound)) = (at, bound) {
                all[at].classic.push((bound, series));
            }
            Ok(())
        })?;
        self.only_sums.set(before);
        for family in &mut all {
            family.classic.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        Ok(all)
    }

    /// Walks the histograms of every step: classic buckets or a native one.
    fn each_histogram(&self, span: Span, family: &Family, grid: &Grid, visit: &mut HistogramVisitor<'_>) {
        let mut buckets = Vec::new();
        for step in 0..grid.steps {
            buckets.clear();
            buckets.extend(
                family
                    .classic
                    .iter()
                    .filter_map(|(upper, series)| series.float(step).map(|count| Bucket { upper: *upper, count })),
            );
            match (family.native.as_ref().and_then(|series| series.hist(step)), buckets.is_empty()) {
                (Some(_), false) => {
                    let text = "vector contains a mix of classic and native histograms";
                    self.warn(span, &for_metric(text, family.labels.name()));
                }
                (Some(hist), true) => visit(step, Err(hist)),
                (None, false) => visit(step, Ok(&mut buckets)),
                (None, true) => {}
            }
        }
    }

    pub(super) fn histogram_quantile(&self, args: &[Expr], grid: &Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        let q = self.scalar(&args[0], grid)?;
        check_quantile(self, args[0].span, &q);
        let span = args[1].span;
        let mut unique = Unique::new(self);
        for family in self.families(&args[1], span, grid)? {
            let mut out = Series::new(family.labels.clone(), family.drop_name, grid.steps);
            self.drop_name(&mut out);
            let mut name = family.labels.name();
            self.each_histogram(span, &family, grid, &mut |step, histogram| {
                let is_classic = histogram.is_ok();
                out.floats[step] = self.quantile_at(span, name, q[step], histogram);
                // Where names go at once, Prometheus takes it off the buckets it uses again at the next step.
                if is_classic && !self.delayed_name_removal {
                    name = "";
                }
            });
            self.give_back(&family);
            if !out.is_empty() {
                unique.pass(out, sink)?;
            }
        }
        unique.finish(sink)
    }

    pub(super) fn histogram_quantiles(&self, args: &[Expr], grid: &Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        let label = text_arg(&args[1]);
        let span = args[0].span;
        let mut quantiles = Vec::new();
        for arg in &args[2..] {
            let q = self.scalar(arg, grid)?;
            check_quantile(self, arg.span, &q);
            quantiles.push(q);
        }
        let mut unique = Unique::new(self);
        for family in self.families(&args[0], span, grid)? {
            for q in &quantiles {
                // The label's value follows the quantile, which may change from step to step.
                let mut by_value: Vec<(u64, Series)> = Vec::new();
                let mut failed = None;
                self.each_histogram(span, &family, grid, &mut |step, histogram| {
                    let value = self.quantile_at(span, family.labels.name(), q[step], histogram);
                    let bits = q[step].to_bits();
                    let at = by_value.iter().position(|(known, _)| *known == bits).unwrap_or_else(|| {
                        let mut builder = LabelsBuilder::from(&family.labels);
                        let result = set_label(&mut builder, &label, &open_metrics_float(q[step]));
                        failed = failed.take().or(result.err());
                        let mut out = Series::new(builder.finish(), family.drop_name, grid.steps);
                        self.drop_name(&mut out);
                        by_value.push((bits, out));
                        by_value.len() - 1
                    });
                    by_value[at].1.floats[step] = value;
                });
                if let Some(error) = failed {
                    return Err(error);
                }
                for (_, out) in by_value {
                    unique.pass(out, sink)?;
                }
            }
            self.give_back(&family);
        }
        unique.finish(sink)
    }

    fn give_back(&self, family: &Family) {
        for series in family.classic.iter().map(|(_, series)| series).chain(&family.native) {
            self.release(series.weight());
            self.series.set(self.series.get().saturating_sub(1));
        }
    }

    fn quantile_at(&self, span: Span, name: &str, q: f64, histogram: Result<&mut Vec<Bucket>, &Hist>) -> f64 {
        match histogram {
            Ok(buckets) => {
                let (value, forced) = bucket_quantile(q, buckets);
                if forced {
                    let name = quote(name);
                    let text = "input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
                    self.info(span, &format!("{text} for metric name {name}"));
                }
                value
            }
            Err(hist) => {
                let (value, note) = hist.quantile(q);
                if let Some(note) = note {
                    self.info(span, &for_metric(note, name));
                }
                value
            }
        }
    }

    pub(super) fn histogram_fraction(&self, args: &[Expr], grid: &Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        let (lower, upper) = (self.scalar(&args[0], grid)?, self.scalar(&args[1], grid)?);
        let span = args[2].span;
        let mut unique = Unique::new(self);
        for family in self.families(&args[2], span, grid)? {
            let mut out = Series::new(family.labels.clone(), family.drop_name, grid.steps);
            self.drop_name(&mut out);
            self.each_histogram(span, &family, grid, &mut |step, histogram| {
                out.floats[step] = match histogram {
                    Ok(buckets) => bucket_fraction(lower[step], upper[step], buckets),
                    Err(hist) => {
                        if hist.sum.is_nan() {
                            let text = "input to histogram_fraction has NaN observations, which are excluded from all fractions";
                            self.info(span, &for_metric(text, family.labels.name()));
                        }
                        hist.fraction(lower[step], upper[step])
                    }
                };
            });
            self.give_back(&family);
            if !out.is_empty() {
                unique.pass(out, sink)?;
            }
        }
        unique.finish(sink)
    }
}

/// A float as OpenMetrics writes it: always with a dot or an exponent.
fn open_metrics_float(value: f64) -> String {
    let mut text = go_float(value);
    if value.is_finite() && !text.contains(['.', 'e']) {
        text.push_str(".0");
    }
    text
}

fn parse_bound(text: &str) -> Option<f64> {
    crate::parse::parse_number(text).ok()
}

/// Makes buckets of one bound one, and counts that fall into counts that stay. Returns whether one fell by more than
/// rounding explains.
fn repair(buckets: &mut Vec<Bucket>) -> bool {
    buckets.dedup_by(|next, kept| {
        let same = next.upper == kept.upper;
        if same {
            kept.count += next.count;
        }
        same
    });
    let mut forced = false;
    let mut before = buckets.first().map_or(0.0, |bucket| bucket.count);
    for bucket in buckets.iter_mut().skip(1) {
        if bucket.count == before {
            continue;
        }
        if almost_equal(before, bucket.count) {
            bucket.count = before;
        } else if bucket.count < before {
            bucket.count = before;
            forced = true;
        } else {
            before = bucket.count;
        }
    }
    forced
}

fn almost_equal(a: f64, b: f64) -> bool {
    let size = a.abs() + b.abs();
    let difference = (a - b).abs();
    if a == 0.0 || b == 0.0 || size < f64::MIN_POSITIVE {
        return difference < 1e-12 * f64::MIN_POSITIVE;
    }
    difference / size.min(f64::MAX) < 1e-12
}

fn bucket_quantile(q: f64, buckets: &mut Vec<Bucket>) -> (f64, bool) {
    if q.is_nan() || buckets.last().is_none_or(|last| last.upper != f64::INFINITY) {
        let known = match q {
            q if q < 0.0 => f64::NEG_INFINITY,
            q if q > 1.0 => f64::INFINITY,
            _ => f64::NAN,
        };
        return (known, false);
    }
    if !(0.0..=1.0).contains(&q) {
        return (if q < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY }, false);
    }
    let forced = repair(buckets);
    let n = buckets.len();
    let total = buckets[n - 1].count;
    if n < 2 || total == 0.0 || total.is_nan() {
        return (f64::NAN, false);
    }
    let mut rank = q * total;
    let at = buckets[..n - 1].partition_point(|bucket| bucket.count < rank);
    if at == n - 1 {
        return (buckets[n - 2].upper, forced);
    }
    if at == 0 && buckets[0].upper <= 0.0 {
        return (buckets[0].upper, forced);
    }
    let (mut start, mut count) = (0.0, buckets[at].count);
    if at > 0 {
        start = buckets[at - 1].upper;
        count -= buckets[at - 1].count;
        rank -= buckets[at - 1].count;
    }
    (start + (buckets[at].upper - start) * (rank / count), forced)
}

fn bucket_fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if buckets.last().is_none_or(|last| last.upper != f64::INFINITY) {
        return f64::NAN;
    }
    repair(buckets);
    let total = buckets[buckets.len() - 1].count;
    let mut before = Bucket { upper: f64::NEG_INFINITY, count: 0.0 };
    let mut parts = Vec::with_capacity(buckets.len());
    for bucket in buckets.iter() {
        let start = if before.upper == f64::NEG_INFINITY && bucket.upper > 0.0 { 0.0 } else { before.upper };
        parts.push(crate::hist::Part {
            lower: start,
            upper: bucket.upper,
            count: bucket.count - before.count,
            linear: true,
        });
        before = *bucket;
    }
    crate::hist::fraction_of(lower, upper, total, &parts)
}
