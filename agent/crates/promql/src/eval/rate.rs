//! Rates and differences: `rate increase delta irate idelta`, of floats and of histograms.
//!
//! A window's samples are extrapolated to its ends, but not beyond half a sampling interval where the series seems to
//! begin or end there, nor below zero for counters. A start timestamp says where a counter began at zero: it replaces
//! the extrapolation to the left and shows resets that values hide. Source: Prometheus, `promql/functions.go`.

use std::sync::Arc;

use model::{ResetHint, UnixMs};

use super::window::Window;
use crate::hist::{Hist, Sum};
use crate::value::Point;

pub(super) const MIXED: &str = "encountered a mix of histograms and floats";
pub(super) const MIXED_SCHEMAS: &str =
    "vector contains a mix of histograms with exponential and custom buckets schemas";

/// Returns whether a counter began anew between two samples, by its start timestamp.
pub(super) fn is_restarted(start: Option<UnixMs>, at: UnixMs, before: Option<UnixMs>, before_at: UnixMs) -> bool {
    start.is_some_and(|start| start <= at && (start > before_at || (start == before_at && before != Some(start))))
}

/// The differences within a window, before extrapolation.
struct Spread {
    float: f64,
    hist: Option<Hist>,
    first_at: i64,
    last_at: i64,
    intervals: usize,
    /// The value of the first sample, for the zero point.
    first: f64,
    /// The start timestamp that takes the place of extrapolation to the left.
    began: Option<i64>,
}

/// `rate`, `increase` and `delta`.
pub(super) fn extrapolated(window: &Window<'_>, is_counter: bool, is_rate: bool) -> Option<Point> {
    if !window.floats.is_empty() && !window.hists.is_empty() {
        window.warn(&window.for_name(MIXED));
        return None;
    }
    let (at, starts) =
        if window.hists.is_empty() { (window.at, window.starts) } else { (window.hist_at, window.hist_starts) };
    let (first_at, last_at) = (at.first()?.0, at.last()?.0);
    let start = starts.first().copied().flatten().map(|start| start.0);
    let began = start.filter(|start| is_counter && *start > window.from && *start < first_at);
    if at.len() < 2 && began.is_none() {
        return None;
    }
    if is_counter {
        check_overlaps(window, at, starts);
    }
    let mut spread = Spread { float: 0.0, hist: None, first_at, last_at, intervals: at.len() - 1, first: 0.0, began };
    if window.hists.is_empty() {
        let (first, last) = (window.floats[0], window.floats[window.floats.len() - 1]);
        spread.float = last - first;
        spread.first = first;
        if is_counter {
            for drop in window.drops {
                spread.float += window.floats[drop - 1 - window.before];
            }
            if began.is_some() {
                spread.float += first;
            }
        }
    } else {
        let hist = hist_spread(window, is_counter, began.is_some())?;
        spread.first = window.hists[0].count;
        spread.hist = Some(hist);
    }
    finish(window, spread, is_counter, is_rate)
}

fn check_overlaps(window: &Window<'_>, at: &[UnixMs], starts: &[Option<UnixMs>]) {
    for i in 1..starts.len() {
        if starts[i].is_some_and(|start| start < at[i - 1]) && starts[i] != starts[i - 1] {
            let name = crate::print::quote(window.name);
            let text = "sample has start time that overlaps with previous sample timestamp for metric";
            window.warn(&format!("{text} {name}"));
        }
    }
}

fn finish(window: &Window<'_>, spread: Spread, is_counter: bool, is_rate: bool) -> Option<Point> {
    let begin = spread.began.unwrap_or(spread.first_at);
    let sampled = (spread.last_at - begin) as f64 / 1000.0;
    let average = (spread.last_at - spread.first_at) as f64 / 1000.0 / spread.intervals.max(1) as f64;
    let threshold = average * 1.1;
    let mut to_start = (begin - window.from) as f64 / 1000.0;
    let mut to_end = (window.to - spread.last_at) as f64 / 1000.0;
    if to_start >= threshold {
        to_start = average / 2.0;
    }
    let gained = spread.hist.as_ref().map_or(spread.float, |hist| hist.count);
    if is_counter && gained > 0.0 && spread.first >= 0.0 {
        to_start = to_start.min(sampled * (spread.first / gained));
    }
    if spread.began.is_some() {
        to_start = 0.0;
    }
    if to_end >= threshold {
        to_end = average / 2.0;
    }
    let mut factor = (sampled + to_start + to_end) / sampled;
    if is_rate {
        factor /= super::window::range_seconds(window);
    }
    Some(match spread.hist {
        None => Point::Float(spread.float * factor),
        Some(mut hist) => {
            hist.scale(factor);
            Point::Hist(Arc::new(hist))
        }
    })
}

pub(super) fn not_counter(window: &Window<'_>) {
    let name = crate::print::quote(window.name);
    window.warn(&format!("this native histogram metric is not a counter: {name}"));
}

pub(super) fn not_gauge(window: &Window<'_>) {
    let name = crate::print::quote(window.name);
    window.warn(&format!("this native histogram metric is not a gauge: {name}"));
}

pub(super) fn reconciled(window: &Window<'_>, what: &str) {
    window.info(&format!("mismatched custom buckets were reconciled during {what}"));
}

pub(super) fn is_gauge(hist: &Hist) -> bool {
    hist.hint == ResetHint::Gauge
}

/// An empty histogram with the buckets of another.
pub(super) fn empty_like(like: &Hist) -> Hist {
    Hist {
        schema: like.schema,
        zero_threshold: like.zero_threshold,
        zero: 0.0,
        count: 0.0,
        sum: 0.0,
        positive: Vec::new(),
        negative: Vec::new(),
        bounds: like.bounds.clone(),
        hint: ResetHint::Unknown,
    }
}

fn hist_spread(window: &Window<'_>, is_counter: bool, began: bool) -> Option<Hist> {
    let hists = window.hists;
    let (first, last) = (hists.first()?, hists.last()?);
    let restarted = |i: usize| {
        let (starts, at) = (window.hist_starts, window.hist_at);
        !starts.is_empty() && is_restarted(starts[i], at[i], starts[i - 1], at[i - 1])
    };
    if is_counter && hists.iter().any(|hist| is_gauge(hist)) {
        not_counter(window);
    }
    if !is_counter && (!is_gauge(first) || !is_gauge(last)) {
        not_gauge(window);
    }
    let mut before: Arc<Hist> = first.clone();
    if is_counter && began {
        before = Arc::new(empty_like(first));
    } else if is_counter
        && let Some(second) = hists.get(1)
        && (second.is_reset_since(first) || restarted(1))
    {
        before = Arc::new(empty_like(second));
    }
    let custom = before.is_custom();
    let between = if is_counter { hists.get(1..).unwrap_or(&[]) } else { std::slice::from_ref(last) };
    if between.iter().any(|hist| hist.is_custom() != custom) {
        window.warn(&window.for_name(MIXED_SCHEMAS));
        return None;
    }
    let mut result = Hist::clone(last);
    combine(window, &mut result, &before, false)?;
    if is_counter {
        let skip = usize::from(!began);
        for (i, now) in hists.iter().enumerate().skip(skip) {
            let reset = i > 0 && (now.is_reset_since(&before) || restarted(i));
            if reset {
                combine(window, &mut result, &before, true)?;
            }
            before = now.clone();
        }
    }
    result.hint = ResetHint::Gauge;
    Some(result)
}

/// Adds or subtracts and says what is to be said.
pub(super) fn combine(window: &Window<'_>, into: &mut Hist, other: &Hist, add: bool) -> Option<()> {
    let result = if add { into.add(other) } else { into.subtract(other) };
    match result {
        Ok(combined) => {
            if combined.reconciled {
                reconciled(window, if add { "addition" } else { "subtraction" });
            }
            Some(())
        }
        Err(_) => {
            window.warn(&window.for_name(MIXED_SCHEMAS));
            None
        }
    }
}

/// `irate` and `idelta`: from the last two samples.
pub(super) fn instant(window: &Window<'_>, is_rate: bool) -> Option<Point> {
    let (floats, hists) = (window.floats.len(), window.hists.len());
    if floats + hists < 2 {
        return None;
    }
    let last_is_hist = hists > 0 && (floats == 0 || window.hist_at[hists - 1] > window.at[floats - 1]);
    let mixed = match last_is_hist {
        true => hists < 2 || (floats > 0 && window.at[floats - 1] > window.hist_at[hists - 2]),
        false => floats < 2 || (hists > 0 && window.hist_at[hists - 1] > window.at[floats - 2]),
    };
    if mixed {
        window.warn(&window.for_name(MIXED));
        return None;
    }
    let (at, starts) = if last_is_hist { (window.hist_at, window.hist_starts) } else { (window.at, window.starts) };
    let n = at.len();
    let seconds = (at[n - 1].0 - at[n - 2].0) as f64 / 1000.0;
    if seconds == 0.0 {
        return None;
    }
    let restarted = is_rate && !starts.is_empty() && is_restarted(starts[n - 1], at[n - 1], starts[n - 2], at[n - 2]);
    if !last_is_hist {
        let (before, now) = (window.floats[n - 2], window.floats[n - 1]);
        let value = if is_rate && (now < before || restarted) { now } else { now - before };
        return Some(Point::Float(if is_rate { value / seconds } else { value }));
    }
    let (before, now) = (&window.hists[n - 2], &window.hists[n - 1]);
    match is_rate {
        true if is_gauge(before) || is_gauge(now) => not_counter(window),
        false if !is_gauge(before) || !is_gauge(now) => not_gauge(window),
        _ => {}
    }
    let mut result = Hist::clone(now);
    if !(is_rate && (restarted || now.is_reset_since(before))) {
        combine(window, &mut result, before, false)?;
    }
    result.hint = ResetHint::Gauge;
    if is_rate {
        result.divide(seconds);
    }
    Some(Point::Hist(Arc::new(result)))
}

/// `sum_over_time` and `avg_over_time` of histograms.
pub(super) fn sum_hists(window: &Window<'_>, average: bool) -> Option<Point> {
    let (first, rest) = window.hists.split_first()?;
    let mut sum = Sum::new(first, average);
    let (mut collision, mut reconciled) = (false, false);
    for hist in rest {
        match sum.add(hist) {
            Ok(combined) => {
                collision |= combined.collision;
                reconciled |= combined.reconciled;
            }
            Err(_) => {
                window.warn(&window.for_name(MIXED_SCHEMAS));
                return None;
            }
        }
    }
    // A collision is one of any reset with any non-reset, not only of neighbours.
    let has = |hint| window.hists.iter().any(|hist| hist.hint == hint);
    if collision || (has(ResetHint::Reset) && has(ResetHint::NotReset)) {
        window.warn("conflicting counter resets during histogram aggregation");
    }
    if reconciled {
        window.info("mismatched custom buckets were reconciled during aggregation");
    }
    Some(Point::Hist(Arc::new(sum.finish())))
}
