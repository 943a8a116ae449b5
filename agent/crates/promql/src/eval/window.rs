//! Functions over the samples of a range: `rate`, `sum_over_time`, `changes` and their kin.
//!
//! A function gets the floats and the histograms of one window of one series, apart, without staleness markers, and
//! returns one sample or none. The numbers are Prometheus's to the bit: Kahan sums, extrapolation with its zero point,
//! Welford's variance. Staleness, lookback and `@` are none of its business.

use std::cell::Cell;
use std::sync::Arc;

use model::UnixMs;

use super::Cx;
use super::kahan::{Kahan, Mean};
use crate::ast::Span;
use crate::hist::Hist;
use crate::value::Point;

/// The samples of a series within one range, and what the range is.
pub(crate) struct Window<'a> {
    /// Times of the floats.
    pub at: &'a [UnixMs],
    pub floats: &'a [f64],
    /// How many floats of the series lie before the window.
    pub before: usize,
    /// The floats at which a counter began again, behind the first of the window, by their index in the series. Only
    /// for functions that want a counter.
    pub drops: &'a [usize],
    /// What the window before this one found: the index in the series of its extreme, and of the float behind it.
    pub extreme: &'a Cell<Option<(usize, usize)>>,
    /// Start timestamps of the floats; empty when nobody knows any.
    pub starts: &'a [Option<UnixMs>],
    /// Times of the histograms.
    pub hist_at: &'a [UnixMs],
    pub hists: &'a [Arc<Hist>],
    pub hist_starts: &'a [Option<UnixMs>],
    /// The range: behind `from`, up to `to`.
    pub from: i64,
    pub to: i64,
    /// The time of evaluation.
    pub eval_at: i64,
    /// The scalar arguments.
    pub params: &'a [f64],
    /// The metric's name, for annotations.
    pub name: &'a str,
    /// Where the range stands in the text.
    pub span: Span,
    /// Where the first scalar argument stands; where the range does if there is none.
    pub param_span: Span,
    pub cx: &'a Cx<'a>,
}

/// From one window to one sample.
pub(crate) type WindowFn = fn(&Window<'_>) -> Option<Point>;

impl Window<'_> {
    fn seconds(&self) -> f64 {
        (self.to - self.from) as f64 / 1000.0
    }

    pub(super) fn warn(&self, text: &str) {
        self.cx.notes.borrow_mut().warn(self.span, text);
    }

    pub(super) fn info(&self, text: &str) {
        self.cx.notes.borrow_mut().info(self.span, text);
    }

    pub(super) fn for_name(&self, text: &str) -> String {
        crate::annotations::for_metric(text, self.name)
    }

    /// Says that histograms were left out, where there were some beside floats.
    fn ignore_hists(&self) {
        if !self.hists.is_empty() {
            self.info(&self.for_name("ignored histograms in a range containing both floats and histograms"));
        }
    }

    fn is_mixed(&self) -> bool {
        if self.floats.is_empty() || self.hists.is_empty() {
            return false;
        }
        self.warn(&self.for_name("encountered a mix of histograms and floats"));
        true
    }
}

fn float(value: f64) -> Option<Point> {
    Some(Point::Float(value))
}

// Extrapolation.

pub(crate) fn rate(window: &Window<'_>) -> Option<Point> {
    super::rate::extrapolated(window, true, true)
}

pub(crate) fn increase(window: &Window<'_>) -> Option<Point> {
    super::rate::extrapolated(window, true, false)
}

pub(crate) fn delta(window: &Window<'_>) -> Option<Point> {
    super::rate::extrapolated(window, false, false)
}

pub(crate) fn irate(window: &Window<'_>) -> Option<Point> {
    super::rate::instant(window, true)
}

pub(crate) fn idelta(window: &Window<'_>) -> Option<Point> {
    super::rate::instant(window, false)
}

// Counting and picking.

pub(crate) fn count(window: &Window<'_>) -> Option<Point> {
    float((window.floats.len() + window.hists.len()) as f64)
}

pub(crate) fn present(_: &Window<'_>) -> Option<Point> {
    float(1.0)
}

pub(crate) fn last(window: &Window<'_>) -> Option<Point> {
    match (window.at.last(), window.hist_at.last()) {
        (a, Some(b)) if a.is_none_or(|a| a < b) => window.hists.last().cloned().map(Point::Hist),
        _ => window.floats.last().copied().map(Point::Float),
    }
}

pub(crate) fn first(window: &Window<'_>) -> Option<Point> {
    match (window.at.first(), window.hist_at.first()) {
        (a, Some(b)) if a.is_none_or(|a| a > b) => window.hists.first().cloned().map(Point::Hist),
        _ => window.floats.first().copied().map(Point::Float),
    }
}

pub(crate) fn ts_of_first(window: &Window<'_>) -> Option<Point> {
    let first = window.at.first().into_iter().chain(window.hist_at.first()).min()?;
    float(first.as_seconds())
}

pub(crate) fn ts_of_last(window: &Window<'_>) -> Option<Point> {
    let last = window.at.last().into_iter().chain(window.hist_at.last()).max()?;
    float(last.as_seconds())
}

/// Returns the index of the extreme by `is_beyond(new, so far)`; a NaN gives way to anything.
///
/// Windows of one series follow each other and mostly overlap: while the extreme of the one before is still inside,
/// only what is new must be looked at.
fn extreme(window: &Window<'_>, is_beyond: fn(f64, f64) -> bool) -> Option<usize> {
    let first = *window.floats.first()?;
    window.ignore_hists();
    let known = window.extreme.get().filter(|(at, end)| *at >= window.before && *end > window.before);
    let (mut at, skip) = known.map_or((0, 0), |(at, end)| (at - window.before, end - window.before));
    let mut best = if known.is_some() { window.floats[at] } else { first };
    for (i, value) in window.floats.iter().enumerate().skip(skip) {
        if is_beyond(*value, best) || best.is_nan() {
            (at, best) = (i, *value);
        }
    }
    window.extreme.set(Some((at + window.before, window.before + window.floats.len())));
    Some(at)
}

pub(crate) fn max(window: &Window<'_>) -> Option<Point> {
    extreme(window, |new, best| new > best).and_then(|at| float(window.floats[at]))
}

pub(crate) fn min(window: &Window<'_>) -> Option<Point> {
    extreme(window, |new, best| new < best).and_then(|at| float(window.floats[at]))
}

pub(crate) fn ts_of_max(window: &Window<'_>) -> Option<Point> {
    extreme(window, |new, best| new >= best).and_then(|at| float(window.at[at].as_seconds()))
}

pub(crate) fn ts_of_min(window: &Window<'_>) -> Option<Point> {
    extreme(window, |new, best| new <= best).and_then(|at| float(window.at[at].as_seconds()))
}

/// A sample of a window.
type FloatOrHist<'w> = Result<f64, &'w Arc<Hist>>;

/// Walks floats and histograms in the order of their times.
fn in_order<'w>(window: &'w Window<'_>, visit: &mut dyn FnMut(Result<f64, &'w Arc<Hist>>, Option<UnixMs>, UnixMs)) {
    let (mut f, mut h) = (0, 0);
    while f < window.floats.len() || h < window.hists.len() {
        let float_next = match (window.at.get(f), window.hist_at.get(h)) {
            (Some(a), Some(b)) => a < b,
            (a, _) => a.is_some(),
        };
        if float_next {
            visit(Ok(window.floats[f]), window.starts.get(f).copied().flatten(), window.at[f]);
            f += 1;
        } else {
            visit(Err(&window.hists[h]), window.hist_starts.get(h).copied().flatten(), window.hist_at[h]);
            h += 1;
        }
    }
}

pub(crate) fn changes(window: &Window<'_>) -> Option<Point> {
    let mut changes = 0;
    let mut before: Option<Result<f64, &Arc<Hist>>> = None;
    in_order(window, &mut |now, _, _| {
        let same = match (&before, &now) {
            (None, _) => true,
            (Some(Ok(a)), Ok(b)) => a == b || (a.is_nan() && b.is_nan()),
            (Some(Err(a)), Err(b)) => a.same_as(b),
            _ => false,
        };
        changes += u32::from(!same);
        before = Some(now);
    });
    before.and_then(|_| float(f64::from(changes)))
}

pub(crate) fn resets(window: &Window<'_>) -> Option<Point> {
    let mut resets = 0;
    let mut before: Option<(FloatOrHist<'_>, Option<UnixMs>, UnixMs)> = None;
    in_order(window, &mut |now, start, at| {
        let reset = match (&before, &now) {
            (None, _) => false,
            (Some((_, prev_start, prev_at)), _) if super::rate::is_restarted(start, at, *prev_start, *prev_at) => true,
            (Some((Ok(a), ..)), Ok(b)) => b < a,
            (Some((Err(a), ..)), Err(b)) => b.is_reset_since(a),
            _ => true,
        };
        resets += u32::from(reset);
        before = Some((now, start, at));
    });
    before.and_then(|_| float(f64::from(resets)))
}

// Sums and spreads.

pub(crate) fn sum(window: &Window<'_>) -> Option<Point> {
    if window.is_mixed() {
        return None;
    }
    if window.floats.is_empty() {
        return super::rate::sum_hists(window, false);
    }
    let sum = Kahan::of(0.0, window.floats).unwrap_or_else(|| {
        let mut sum = Kahan::default();
        window.floats.iter().for_each(|value| sum.add(*value));
        sum
    });
    float(if sum.sum.is_infinite() { sum.sum } else { sum.total() })
}

pub(crate) fn avg(window: &Window<'_>) -> Option<Point> {
    if window.is_mixed() {
        return None;
    }
    let Some((first, rest)) = window.floats.split_first() else { return super::rate::sum_hists(window, true) };
    if let Some(Kahan { sum, lost }) = Kahan::of(*first, rest) {
        let count = window.floats.len() as f64;
        return float(sum / count + lost / count);
    }
    let mut mean = Mean::default();
    window.floats.iter().for_each(|value| mean.add(*value));
    float(mean.value())
}

fn variance(window: &Window<'_>) -> Option<f64> {
    if window.floats.is_empty() {
        return None;
    }
    window.ignore_hists();
    let (mut mean, mut aux) = (Kahan::default(), Kahan::default());
    for (i, value) in window.floats.iter().enumerate() {
        let delta = value - mean.total();
        mean.add(delta / (i + 1) as f64);
        aux.add(delta * (value - mean.total()));
    }
    Some(aux.total() / window.floats.len() as f64)
}

pub(crate) fn stdvar(window: &Window<'_>) -> Option<Point> {
    variance(window).map(Point::Float)
}

pub(crate) fn stddev(window: &Window<'_>) -> Option<Point> {
    variance(window).map(|variance| Point::Float(variance.sqrt()))
}

/// Orders floats with NaN first, as Prometheus's heaps do.
pub(crate) fn nan_first(a: &f64, b: &f64) -> std::cmp::Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => std::cmp::Ordering::Equal,
        (true, false) => std::cmp::Ordering::Less,
        (false, true) => std::cmp::Ordering::Greater,
        _ => a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal),
    }
}

/// Returns the quantile of values, which are sorted on the way.
pub(crate) fn quantile_of(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_by(nan_first);
    let rank = q * (values.len() as f64 - 1.0);
    let lower = (rank.floor().max(0.0) as usize).min(values.len() - 1);
    let upper = (lower + 1).min(values.len() - 1);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

pub(crate) fn quantile(window: &Window<'_>) -> Option<Point> {
    let q = *window.params.first()?;
    if window.floats.is_empty() {
        return None;
    }
    if !(0.0..=1.0).contains(&q) {
        let text = format!("quantile value should be between 0 and 1, got {}", crate::print::go_float(q));
        window.cx.warn(window.param_span, &text);
    }
    // The peer has this stand at the quantile too.
    Window { span: window.param_span, ..*window }.ignore_hists();
    float(quantile_of(q, &mut window.floats.to_vec()))
}

pub(crate) fn mad(window: &Window<'_>) -> Option<Point> {
    if window.floats.is_empty() {
        return None;
    }
    window.ignore_hists();
    let mut values = window.floats.to_vec();
    let median = quantile_of(0.5, &mut values);
    values.iter_mut().for_each(|value| *value = (*value - median).abs());
    float(quantile_of(0.5, &mut values))
}

// Lines.

/// Returns slope and intercept of the least squares line, with times relative to `zero`.
fn regression(window: &Window<'_>, zero: i64) -> (f64, f64) {
    let constant = window.floats.iter().all(|value| *value == window.floats[0]);
    let (mut x, mut y, mut xy, mut xx) = (Kahan::default(), Kahan::default(), Kahan::default(), Kahan::default());
    for (at, value) in window.at.iter().zip(window.floats) {
        let seconds = (at.0 - zero) as f64 / 1000.0;
        x.add(seconds);
        y.add(*value);
        xy.add(seconds * value);
        xx.add(seconds * seconds);
    }
    if constant {
        let level = if window.floats[0].is_infinite() { f64::NAN } else { window.floats[0] };
        return (if level.is_nan() { f64::NAN } else { 0.0 }, level);
    }
    let n = window.floats.len() as f64;
    let (x, y, xy, xx) = (x.total(), y.total(), xy.total(), xx.total());
    let covariance = xy - x * y / n;
    let variance = xx - x * x / n;
    let slope = covariance / variance;
    (slope, y / n - slope * x / n)
}

pub(crate) fn deriv(window: &Window<'_>) -> Option<Point> {
    if window.floats.len() < 2 {
        if !window.floats.is_empty() {
            window.ignore_hists();
        }
        return None;
    }
    window.ignore_hists();
    float(regression(window, window.at[0].0).0)
}

pub(crate) fn predict_linear(window: &Window<'_>) -> Option<Point> {
    if window.floats.len() < 2 {
        if !window.floats.is_empty() {
            window.ignore_hists();
        }
        return None;
    }
    window.ignore_hists();
    let (slope, intercept) = regression(window, window.eval_at);
    float(slope * window.params.first()? + intercept)
}

pub(crate) fn double_exponential_smoothing(window: &Window<'_>) -> Option<Point> {
    let [smoothing, trend] = *window.params else { return None };
    if window.floats.len() < 2 {
        if !window.floats.is_empty() {
            window.ignore_hists();
        }
        return None;
    }
    window.ignore_hists();
    let (mut before, mut level) = (0.0, window.floats[0]);
    let mut slope = window.floats[1] - window.floats[0];
    for (i, value) in window.floats.iter().enumerate().skip(1) {
        if i > 1 {
            slope = trend * (level - before) + (1.0 - trend) * slope;
        }
        let next = smoothing * value + (1.0 - smoothing) * (level + slope);
        (before, level) = (level, next);
    }
    float(level)
}

/// Returns the length of the window in seconds, for rates.
pub(super) fn range_seconds(window: &Window<'_>) -> f64 {
    window.seconds()
}
