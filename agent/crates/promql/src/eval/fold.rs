//! What aggregations that fold keep of a group: a little for every step, however many series there are.
//!
//! `sum avg count min max group stddev stdvar` take one series after the other. Floats are kept apart by what the
//! operator needs of them, each in a row of its own, so that adding a series is a walk over a few dense rows. What
//! histograms need is there only in groups that have any.

use std::sync::Arc;

use model::{ResetHint, is_stale_nan};

use super::Cx;
use super::kahan::{Kahan, Mean};
use crate::annotations::for_metric;
use crate::ast::{AggregateOp, Span};
use crate::hist::{Hist, Sum};
use crate::value::{Point, Series};

/// One group.
pub(super) struct Fold {
    op: AggregateOp,
    /// How many floats each step has.
    counts: Vec<u32>,
    floats: Floats,
    /// One for each step once there is a histogram.
    hists: Vec<HistFold>,
}

/// What is known of the floats at each step.
enum Floats {
    Nothing,
    Sums {
        sum: Vec<f64>,
        lost: Vec<f64>,
    },
    Means(Vec<Mean>),
    Extremes(Vec<f64>),
    /// Mean and sum of squares, as Welford has them.
    Deviations {
        mean: Vec<f64>,
        squares: Vec<f64>,
    },
}

/// What is known of the histograms at a step.
#[derive(Clone, Default)]
struct HistFold {
    count: u32,
    sum: Option<Box<Sum>>,
    /// Whether histograms were found that do not go together.
    broken: bool,
    /// Which hints were seen: 1 a reset, 2 none.
    resets: u8,
}

impl Fold {
    pub fn new(op: AggregateOp, steps: usize) -> Fold {
        use AggregateOp::*;
        let zeros = || vec![0.0; steps];
        let floats = match op {
            // Adding to minus zero gives what is added, minus zero too.
            Sum => Floats::Sums { sum: vec![-0.0; steps], lost: zeros() },
            Avg => Floats::Means(vec![Mean::default(); steps]),
            Max | Min => Floats::Extremes(zeros()),
            Stddev | Stdvar => Floats::Deviations { mean: zeros(), squares: zeros() },
            _ => Floats::Nothing,
        };
        Fold { op, counts: vec![0; steps], floats, hists: Vec::new() }
    }

    /// Takes in a series; `span` is where the aggregated expression stands.
    pub fn add(&mut self, cx: &Cx<'_>, span: Span, series: &Series) {
        let present = self.counts.iter_mut().zip(&series.floats).enumerate();
        let present = present.filter(|(_, (_, value))| !is_stale_nan(**value));
        match &mut self.floats {
            Floats::Nothing => present.for_each(|(_, (count, _))| *count += 1),
            Floats::Sums { sum, lost } => present.for_each(|(step, (count, value))| {
                *count += 1;
                let mut kahan = Kahan { sum: sum[step], lost: lost[step] };
                kahan.add(*value);
                (sum[step], lost[step]) = (kahan.sum, kahan.lost);
            }),
            Floats::Means(means) => present.for_each(|(step, (count, value))| {
                *count += 1;
                means[step].add(*value);
            }),
            Floats::Extremes(best) => present.for_each(|(step, (count, value))| {
                let is_beyond = if self.op == AggregateOp::Max { *value > best[step] } else { *value < best[step] };
                if *count == 0 || is_beyond || best[step].is_nan() {
                    best[step] = *value;
                }
                *count += 1;
            }),
            Floats::Deviations { mean, squares } => present.for_each(|(step, (count, value))| {
                *count += 1;
                let delta = value - mean[step];
                mean[step] += delta / f64::from(*count);
                squares[step] += delta * (value - mean[step]);
            }),
        }
        for step in 0..series.hists.len() {
            if let Some(hist) = series.hist(step) {
                self.add_hist(cx, span, series.labels.name(), step, hist);
            }
        }
    }

    fn add_hist(&mut self, cx: &Cx<'_>, span: Span, name: &str, step: usize, hist: &Arc<Hist>) {
        use AggregateOp::*;
        if !matches!(self.op, Count | Group | Sum | Avg) {
            return cx.info(span, &format!("ignored histogram in {} aggregation", self.op.as_str()));
        }
        if self.hists.is_empty() {
            self.hists.resize(self.counts.len(), HistFold::default());
        }
        let fold = &mut self.hists[step];
        fold.count += 1;
        if matches!(self.op, Count | Group) {
            return;
        }
        fold.resets |= match hist.hint {
            ResetHint::Reset => 1,
            ResetHint::NotReset => 2,
            _ => 0,
        };
        match &mut fold.sum {
            None => fold.sum = Some(Box::new(crate::hist::Sum::new(hist, self.op == Avg))),
            Some(sum) => match sum.add(hist) {
                Ok(combined) if combined.reconciled => {
                    cx.info(span, "mismatched custom buckets were reconciled during aggregation");
                }
                Ok(_) => {}
                // Said of the first that does not fit, by its name.
                Err(_) if !fold.broken => {
                    fold.broken = true;
                    cx.warn(span, &for_metric(super::rate::MIXED_SCHEMAS, name));
                }
                Err(_) => {}
            },
        }
    }

    /// Sets the group's value at every step where it has one.
    pub fn finish(mut self, cx: &Cx<'_>, span: Span, out: &mut Series) {
        for step in 0..self.counts.len() {
            let hist = self.hists.get_mut(step).map(std::mem::take).unwrap_or_default();
            let floats = self.counts[step];
            if floats + hist.count == 0 {
                continue;
            }
            let point = match self.op {
                AggregateOp::Sum | AggregateOp::Avg if hist.count > 0 => hist.finish(cx, span, floats > 0),
                _ => Some(Point::Float(self.value(step, floats + hist.count))),
            };
            out.set(step, point);
        }
    }

    fn value(&self, step: usize, count: u32) -> f64 {
        match &self.floats {
            Floats::Nothing if self.op == AggregateOp::Group => 1.0,
            Floats::Nothing => f64::from(count),
            Floats::Sums { sum, .. } if sum[step].is_infinite() => sum[step],
            Floats::Sums { sum, lost } => sum[step] + lost[step],
            Floats::Means(means) => means[step].value(),
            Floats::Extremes(best) => best[step],
            Floats::Deviations { squares, .. } => {
                let variance = squares[step] / f64::from(self.counts[step]);
                if self.op == AggregateOp::Stddev { variance.sqrt() } else { variance }
            }
        }
    }
}

impl HistFold {
    fn finish(self, cx: &Cx<'_>, span: Span, is_mixed: bool) -> Option<Point> {
        if is_mixed {
            cx.warn(span, "encountered a mix of histograms and floats for aggregation");
            return None;
        }
        if self.broken {
            return None;
        }
        if self.resets == 3 {
            cx.warn(span, "conflicting counter resets during histogram aggregation");
        }
        Some(Point::Hist(Arc::new(self.sum?.finish())))
    }
}
