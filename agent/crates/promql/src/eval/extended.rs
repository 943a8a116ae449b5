//! `anchored` and `smoothed`: ranges that reach beyond their ends for the sample before them, and after them.
//!
//! Anchored, the last sample at or before the range is its first. Smoothed, the values at both ends are those of the
//! line to the neighbour outside; over a counter reset the line starts from zero at the left end and goes on upwards
//! at the right end. Nothing is extrapolated. Source: Prometheus, `promql/functions.go`, `extendedRate`.

use std::sync::Arc;

use model::{ResetHint, SeriesSamples, TimeRange, UnixMs, is_stale_nan};

use super::rate::{MIXED, combine, empty_like, is_gauge, not_counter, not_gauge};
use super::select::{Reach, Samples, Wanted};
use super::window::{Window, changes, resets};
use super::{Cx, Sink};
use crate::ast::*;
use crate::error::EvalError;
use crate::hist::Hist;
use crate::value::{Grid, Point, Series};

impl Cx<'_> {
    /// Evaluates a function of an extended range at every step of one series.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn extended(
        &self,
        function: &str,
        samples: &Samples,
        reach: &Reach,
        grid: &Grid,
        name: &str,
        span: Span,
        out: &mut Series,
    ) -> Result<(), EvalError> {
        let smoothed = reach.extension == Extension::Smoothed;
        let after = if smoothed { self.lookback_ms } else { 0 };
        let wide = Reach { range: reach.range + self.lookback_ms + after, offset: reach.offset - after, ..*reach };
        let mut body = |_: usize, window: &Window<'_>| {
            let to = window.to.saturating_sub(after);
            let window = Window { from: to.saturating_sub(reach.range), to, ..*window };
            match function {
                "rate" => difference(&window, smoothed, true, true),
                "increase" => difference(&window, smoothed, true, false),
                "delta" => difference(&window, smoothed, false, false),
                "changes" => changes(&anchored(&window)?),
                _ => resets(&anchored(&window)?),
            }
        };
        self.windows(samples, &wide, grid, &mut body, name, span, out)
    }

    /// `smoothed` on an instant selector: between two samples, the line through them.
    pub(super) fn select_smoothed(
        &self,
        span: Span,
        selector: &VectorSelector,
        grid: &Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), EvalError> {
        if selector.extension == Extension::Anchored {
            return Err(EvalError::new("anchored modifier can only be used with range vectors"));
        }
        let offset = self.length(&selector.offset)?;
        let pinned = self.pinned(selector.at);
        let reach = Reach { range: 0, offset, pinned, extension: Extension::None };
        let (first, last) = (reach.to(grid, 0), reach.to(grid, grid.steps - 1));
        let range = TimeRange {
            start: UnixMs(first.saturating_sub(self.lookback_ms).saturating_add(1)),
            end: UnixMs(last.saturating_add(self.lookback_ms)),
        };
        self.read(&selector.matchers, range, Wanted::All, &mut |labels, lent| {
            let mut series = Series::new(labels.clone(), false, grid.steps);
            for step in 0..grid.steps {
                let point = self.smooth_at(span, labels.name(), &lent, reach.to(grid, step));
                series.set(step, point);
            }
            if self.counting.is_on() {
                self.counting.add_series(&series);
            }
            if series.is_empty() { Ok(()) } else { sink(series) }
        })
    }

    fn smooth_at(&self, span: Span, name: &str, lent: &SeriesSamples<'_>, time: i64) -> Option<Point> {
        let behind = lent.at.partition_point(|at| at.0 <= time);
        let at = behind.checked_sub(1).filter(|at| lent.at[*at].0 > time.saturating_sub(self.lookback_ms))?;
        let usable = |at: usize| match self.sample_at(lent, at) {
            Point::Float(value) if is_stale_nan(value) => None,
            Point::Hist(hist) if is_stale_nan(hist.sum) => None,
            point => Some(point),
        };
        let before = usable(at)?;
        if lent.at[at].0 == time || lent.at.get(behind).is_none_or(|at| at.0 >= time.saturating_add(self.lookback_ms)) {
            return Some(before);
        }
        let Some(after) = usable(behind) else { return Some(before) };
        let share = (time - lent.at[at].0) as f64 / (lent.at[behind].0 - lent.at[at].0) as f64;
        match (&before, &after) {
            (Point::Float(a), Point::Float(b)) => Some(Point::Float(a + (b - a) * share)),
            (Point::Hist(a), Point::Hist(b)) => {
                let from = if b.is_reset_since(a) { Arc::new(empty_like(b)) } else { a.clone() };
                let mut between = Hist::clone(b);
                let mut fits = between.subtract(&from).is_ok();
                between.scale(share);
                fits &= between.add(&from).is_ok();
                if !fits {
                    self.warn(span, &crate::annotations::for_metric(super::rate::MIXED_SCHEMAS, name));
                }
                fits.then(|| Point::Hist(Arc::new(between)))
            }
            _ => {
                self.warn(span, &crate::annotations::for_metric(MIXED, name));
                None
            }
        }
    }
}

/// Returns the window from its anchor on: the last sample at or before the range.
fn anchored<'a>(window: &Window<'a>) -> Option<Window<'a>> {
    let behind = |at: &[UnixMs]| at.partition_point(|at| at.0 <= window.from);
    let (mut f, mut h) = (behind(window.at), behind(window.hist_at));
    if f == window.at.len() && h == window.hist_at.len() {
        return None;
    }
    let float_anchor = f.checked_sub(1).map(|i| window.at[i]);
    let hist_anchor = h.checked_sub(1).map(|i| window.hist_at[i]);
    match (float_anchor, hist_anchor) {
        (a, Some(b)) if a.is_none_or(|a| a < b) => h -= 1,
        (Some(_), _) => f -= 1,
        _ => {}
    }
    let after = |starts: &'a [Option<UnixMs>], n: usize| starts.get(n..).unwrap_or(&[]);
    Some(Window {
        at: &window.at[f..],
        floats: &window.floats[f..],
        starts: after(window.starts, f),
        hist_at: &window.hist_at[h..],
        hists: &window.hists[h..],
        hist_starts: after(window.hist_starts, h),
        ..*window
    })
}

/// The sample that counts at one end, and whether it lies on a line between two.
struct End {
    point: Point,
    between: bool,
}

fn difference(window: &Window<'_>, smoothed: bool, is_counter: bool, is_rate: bool) -> Option<Point> {
    if !window.floats.is_empty() && !window.hists.is_empty() {
        window.warn(&window.for_name(MIXED));
        return None;
    }
    let at = if window.hists.is_empty() { window.at } else { window.hist_at };
    let point = |i: usize| match window.hists.get(i) {
        Some(hist) => Point::Hist(hist.clone()),
        None => Point::Float(window.floats[i]),
    };
    let newest = at.len().checked_sub(1)?;
    let mut first = at[..newest].partition_point(|at| at.0 <= window.from).saturating_sub(1);
    let mut last = newest;
    if smoothed {
        last = at[..newest].partition_point(|at| at.0 < window.to);
    }
    if at[last].0 <= window.from {
        return None;
    }
    let share = |a: usize, time: i64| (time - at[a].0) as f64 / (at[a + 1].0 - at[a].0) as f64;
    let left = if smoothed && at[first].0 < window.from && first < newest {
        let point = interpolate(window, &point(first), &point(first + 1), share(first, window.from), is_counter, true)?;
        End { point, between: true }
    } else {
        End { point: point(first), between: false }
    };
    // Where both ends lie between the same two samples, both lines are the one that begins at zero after a reset.
    let is_same_line = left.between && last == first + 1;
    let right = if smoothed && last > 0 && at[last].0 > window.to {
        let point =
            interpolate(window, &point(last - 1), &point(last), share(last - 1, window.to), is_counter, is_same_line)?;
        End { point, between: true }
    } else {
        End { point: point(last), between: false }
    };
    check_gauges(window, &window.hists[first.min(window.hists.len())..(last + 1).min(window.hists.len())], is_counter);
    // Samples strictly within, and the right end where it is none of them.
    first += usize::from(at[first].0 <= window.from || !left.between);
    let end = if at[last].0 >= window.to || !right.between { last } else { last + 1 };
    let inner = first..end.max(first);
    let mut result = right.point.clone();
    change(window, &mut result, &left.point, false)?;
    if is_counter {
        let mut before = left.point;
        let mut fresh = left.between;
        for i in inner {
            let now = point(i);
            if is_reset(&before, &now, fresh) {
                change(window, &mut result, &before, true)?;
            }
            (before, fresh) = (now, false);
        }
        let same_sample = !right.between && last < first;
        if !same_sample && is_reset(&before, &right.point, right.between) {
            change(window, &mut result, &before, true)?;
        }
    }
    let seconds = (window.to - window.from) as f64 / 1000.0;
    Some(match result {
        Point::Float(value) => Point::Float(if is_rate { value / seconds } else { value }),
        Point::Hist(hist) => {
            let mut hist = Hist::clone(&hist);
            if is_rate {
                hist.divide(seconds);
            }
            hist.hint = ResetHint::Gauge;
            Point::Hist(Arc::new(hist))
        }
    })
}

fn check_gauges(window: &Window<'_>, hists: &[Arc<Hist>], is_counter: bool) {
    let (Some(first), Some(last)) = (hists.first(), hists.last()) else { return };
    if is_counter && hists.iter().any(|hist| is_gauge(hist)) {
        not_counter(window);
    }
    if !is_counter && (!is_gauge(first) || !is_gauge(last)) {
        not_gauge(window);
    }
}

/// Returns whether a counter was reset between two values. A value on a line has no hint of its own, and what
/// comes behind one was compared when the line was drawn: only the numbers count.
fn is_reset(before: &Point, now: &Point, plain: bool) -> bool {
    match (before, now) {
        (Point::Float(a), Point::Float(b)) => b < a,
        (Point::Hist(a), Point::Hist(b)) if plain => {
            let mut now = Hist::clone(b);
            now.hint = ResetHint::Unknown;
            now.is_reset_since(a)
        }
        (Point::Hist(a), Point::Hist(b)) => b.is_reset_since(a),
        _ => false,
    }
}

fn change(window: &Window<'_>, into: &mut Point, other: &Point, add: bool) -> Option<()> {
    match (into, other) {
        (Point::Float(a), Point::Float(b)) => *a = if add { *a + b } else { *a - b },
        (Point::Hist(a), Point::Hist(b)) => combine(window, Arc::make_mut(a), b, add)?,
        _ => return None,
    }
    Some(())
}

/// Returns the value on the line between two samples.
fn interpolate(
    window: &Window<'_>,
    a: &Point,
    b: &Point,
    share: f64,
    is_counter: bool,
    is_left: bool,
) -> Option<Point> {
    match (a, b) {
        (Point::Float(a), Point::Float(b)) => {
            let (mut from, mut to) = (*a, *b);
            if is_counter && to < from {
                if is_left {
                    from = 0.0;
                } else {
                    to += from;
                }
            }
            Some(Point::Float(from + (to - from) * share))
        }
        (Point::Hist(a), Point::Hist(b)) => {
            let (mut from, mut to) = (Hist::clone(a), Hist::clone(b));
            if is_counter && b.is_reset_since(a) {
                if is_left {
                    from = empty_like(b);
                } else {
                    combine(window, &mut to, a, true)?;
                }
            }
            combine(window, &mut to, &from, false)?;
            to.scale(share);
            combine(window, &mut to, &from, true)?;
            to.hint = ResetHint::Unknown;
            Some(Point::Hist(Arc::new(to)))
        }
        _ => None,
    }
}
