//! Selectors, ranges and subqueries: from stored samples to values at steps, one series at a time.
//!
//! An instant selector takes, at each step, the newest sample at or before it, unless that is older than the lookback
//! or marks the end of the series. A range is open on the left. All steps of one series are found in one walk, because
//! both ends of the window only move forward.

use std::cell::Cell;
use std::sync::Arc;

use model::{
    Labels, Matcher, ResetHint, SelectError, SeriesSamples, Steps, TimeRange, UnixMs, Value, is_stale_nan, stale_nan,
};

use super::cursor::Cursor;
use super::rate::is_restarted;
use super::window::Window;
use super::{Cx, Sink};
use crate::ast::*;
use crate::error::EvalError;
use crate::hist::Hist;
use crate::stats::{Place, size_of, size_of_stored};
use crate::value::{Grid, MatrixSeries, Point, Series};

/// The samples of one series, floats and histograms apart, without staleness markers. Used again for the next series.
#[derive(Default)]
pub(crate) struct Samples {
    pub at: Vec<UnixMs>,
    pub floats: Vec<f64>,
    pub starts: Vec<Option<UnixMs>>,
    pub hist_at: Vec<UnixMs>,
    pub hists: Vec<Arc<Hist>>,
    pub hist_starts: Vec<Option<UnixMs>>,
    /// How many samples each histogram stands for.
    pub hist_sizes: Vec<usize>,
    /// The indices of floats at which a counter began again; found only where it is asked for.
    pub drops: Vec<usize>,
}

impl Samples {
    /// Finds where a counter began again: its value fell, or its start timestamp says so.
    pub fn find_drops(&mut self) {
        let fell = |i: &usize| self.floats[*i] < self.floats[i - 1];
        let restarted = |i: &usize| {
            !self.starts.is_empty() && is_restarted(self.starts[*i], self.at[*i], self.starts[i - 1], self.at[i - 1])
        };
        self.drops.extend((1..self.floats.len()).filter(|i| fell(i) || restarted(i)));
    }

    fn clear(&mut self) {
        self.at.clear();
        self.floats.clear();
        self.starts.clear();
        self.hist_at.clear();
        self.hists.clear();
        self.hist_starts.clear();
        self.hist_sizes.clear();
        self.drops.clear();
    }

    fn fill(&mut self, lent: &SeriesSamples<'_>, find_resets: bool) {
        self.clear();
        if lent.histograms.is_empty() && lent.starts.is_empty() && !lent.floats.iter().any(|value| is_stale_nan(*value))
        {
            self.at.extend_from_slice(lent.at);
            self.floats.extend_from_slice(lent.floats);
            return;
        }
        let start = |i: usize| lent.starts.get(i).copied().flatten();
        let has_starts = !lent.starts.is_empty();
        let mut hists = lent.histograms.iter().peekable();
        for (i, at) in lent.at.iter().enumerate() {
            if let Some((_, value)) = hists.next_if(|(index, _)| *index == i) {
                if let Value::Histogram(hist) = value
                    && !value.is_stale()
                {
                    self.hist_at.push(*at);
                    self.hist_sizes.push(size_of_stored(hist));
                    let mut hist = Hist::from_model(hist);
                    if find_resets {
                        find_reset(self.hists.last().map(|last| &**last), &mut hist);
                    }
                    self.hists.push(Arc::new(hist));
                    if has_starts {
                        self.hist_starts.push(start(i));
                    }
                }
                continue;
            }
            if !is_stale_nan(lent.floats[i]) {
                self.at.push(*at);
                self.floats.push(lent.floats[i]);
                if has_starts {
                    self.starts.push(start(i));
                }
            }
        }
    }

    fn fill_from_steps(&mut self, series: &Series, grid: &Grid) {
        self.clear();
        for step in 0..grid.steps {
            let at = UnixMs(grid.at(step));
            match series.get(step) {
                Some(Point::Float(value)) => {
                    self.at.push(at);
                    self.floats.push(value);
                }
                Some(Point::Hist(mut hist)) => {
                    // What was between two steps of the subquery is unknown, so a hint says nothing here.
                    if hist.hint != ResetHint::Gauge {
                        Arc::make_mut(&mut hist).hint = ResetHint::Unknown;
                    }
                    self.hist_at.push(at);
                    self.hist_sizes.push(size_of(&hist));
                    self.hists.push(hist);
                }
                None => {}
            }
        }
    }

    fn len(&self) -> usize {
        self.at.len() + self.hist_at.len()
    }
}

/// Where a range lies at each step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reach {
    pub range: i64,
    pub offset: i64,
    /// The time it is pinned to, if it is.
    pub pinned: Option<i64>,
    pub extension: Extension,
}

impl Reach {
    /// Returns the index of the newest sample that counts at a time, for times that ascend.
    #[inline]
    fn newest(&self, at: &[UnixMs], behind: &mut Cursor, to: i64) -> Option<usize> {
        let newest = behind.advance(at, to).checked_sub(1)?;
        (at[newest].0 > to.saturating_sub(self.range)).then_some(newest)
    }

    /// Returns what is to be read for an instant selector: of one that looks at one time only, one sample of a series.
    fn wanted(&self, grid: &Grid) -> Wanted {
        if grid.steps == 1 || self.pinned.is_some() {
            return Wanted::Newest;
        }
        let first = UnixMs(self.to(grid, 0));
        Wanted::Steps(Steps { first, step_ms: grid.step, count: grid.steps })
    }

    /// Returns the end of the range at a step.
    pub fn to(&self, grid: &Grid, step: usize) -> i64 {
        self.pinned.unwrap_or_else(|| grid.at(step)).saturating_sub(self.offset)
    }
}

/// What is to be read of each series.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted {
    /// Every sample of the range.
    All,
    /// No more than the newest one.
    Newest,
    /// No more than the newest one at each of these times.
    Steps(Steps),
}

/// Is handed the series of a range: labels, whether the name is to be dropped, the samples, and where the range lies.
pub(crate) type RangeSink<'s> = dyn FnMut(&Labels, bool, &mut Samples, &Reach) -> Result<(), EvalError> + 's;

/// Is handed a series' labels, its samples, and for every step the index of the sample that counts.
pub(crate) type WalkVisitor<'v> =
    dyn FnMut(&Labels, &SeriesSamples<'_>, &[Option<usize>]) -> Result<(), EvalError> + 'v;

impl Cx<'_> {
    /// Returns the milliseconds of a duration.
    pub fn length(&self, length: &Length) -> Result<i64, EvalError> {
        match &length.expr {
            None => Ok(length.ms),
            Some(expr) => {
                let seconds = self.seconds(expr)?;
                if seconds.is_nan() || seconds.abs() > 9.2e9 {
                    return Err(EvalError::new(format!(
                        "{}:{}: duration is out of range",
                        expr.span.line, expr.span.column
                    )));
                }
                Ok((seconds * 1000.0).round() as i64)
            }
        }
    }

    fn positive_length(&self, length: &Length) -> Result<i64, EvalError> {
        match self.length(length)? {
            ms if ms > 0 => Ok(ms),
            _ => {
                let span = length.expr.as_ref().map_or(Span::default(), |expr| expr.span);
                Err(EvalError::new(format!("{}:{}: duration must be greater than 0", span.line, span.column)))
            }
        }
    }

    fn seconds(&self, expr: &DurationExpr) -> Result<f64, EvalError> {
        Ok(match &expr.kind {
            DurationKind::Number { seconds, .. } => *seconds,
            DurationKind::Step => self.step as f64 / 1000.0,
            DurationKind::Range => (self.end - self.start) as f64 / 1000.0,
            DurationKind::Paren(inner) => self.seconds(inner)?,
            DurationKind::Unary { negate, expr } => self.seconds(expr)? * if *negate { -1.0 } else { 1.0 },
            DurationKind::MinOf(a, b) => self.seconds(a)?.min(self.seconds(b)?),
            DurationKind::MaxOf(a, b) => self.seconds(a)?.max(self.seconds(b)?),
            DurationKind::Binary { op, lhs, rhs } => {
                let (a, b) = (self.seconds(lhs)?, self.seconds(rhs)?);
                match op {
                    BinaryOp::Div | BinaryOp::Mod if b == 0.0 => {
                        let what = if *op == BinaryOp::Div { "division" } else { "modulo" };
                        return Err(EvalError::new(format!("{}:{}: {what} by zero", expr.span.line, expr.span.column)));
                    }
                    _ => super::operators::arithmetic(*op, a, b),
                }
            }
        })
    }

    /// Returns the time an `@` stands for.
    pub fn pinned(&self, at: Option<At>) -> Option<i64> {
        at.map(|at| match at {
            At::Time(time) => time.0,
            At::Start => self.start,
            At::End => self.end,
        })
    }

    pub(super) fn read(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        wanted: Wanted,
        visit: &mut dyn FnMut(&Labels, SeriesSamples<'_>) -> Result<(), EvalError>,
    ) -> Result<(), EvalError> {
        let mut failed = None;
        let mut visit = |labels: &Labels, samples: SeriesSamples<'_>| match visit(labels, samples) {
            Ok(()) => true,
            Err(error) => {
                failed = Some(error);
                false
            }
        };
        let result = match wanted {
            Wanted::All => self.source.select(matchers, range, &mut visit),
            Wanted::Newest => self.source.select_newest(matchers, range, &mut visit),
            Wanted::Steps(steps) => self.source.select_steps(matchers, range, steps, &mut visit),
        };
        match (failed, result) {
            (Some(error), _) => Err(error),
            (None, Ok(())) => Ok(()),
            (None, Err(SelectError::Stopped)) => Err(EvalError::Stopped),
            (None, Err(error)) => Err(EvalError::Select(error)),
        }
    }

    /// Returns where an instant selector looks at each step, and all it may look at.
    fn instant_reach(&self, selector: &VectorSelector, grid: &Grid) -> Result<(Reach, TimeRange), EvalError> {
        let offset = self.length(&selector.offset)?;
        let pinned = self.pinned(selector.at);
        let reach = Reach { range: self.lookback_ms, offset, pinned, extension: Extension::None };
        let (first, last) = (reach.to(grid, 0), reach.to(grid, grid.steps - 1));
        let start = UnixMs(first.saturating_sub(self.lookback_ms).saturating_add(1));
        Ok((reach, TimeRange { start, end: UnixMs(last) }))
    }

    /// Walks the series of an instant selector: for every step the index of the sample that counts.
    pub fn walk(&self, selector: &VectorSelector, grid: &Grid, visit: &mut WalkVisitor<'_>) -> Result<(), EvalError> {
        let (reach, range) = self.instant_reach(selector, grid)?;
        let mut picked: Vec<Option<usize>> = Vec::with_capacity(grid.steps);
        self.read(&selector.matchers, range, reach.wanted(grid), &mut |labels, samples| {
            picked.clear();
            let (mut behind, mut hist) = (Cursor::default(), 0);
            let mut any = false;
            for step in 0..grid.steps {
                let found = reach.newest(samples.at, &mut behind, reach.to(grid, step)).filter(|at| {
                    while samples.histograms.get(hist).is_some_and(|(index, _)| index < at) {
                        hist += 1;
                    }
                    match samples.histograms.get(hist) {
                        Some((index, value)) if index == at => !value.is_stale(),
                        _ => !is_stale_nan(samples.floats[*at]),
                    }
                });
                any |= found.is_some();
                picked.push(found);
            }
            if self.counting.is_on() {
                self.count_picked(&samples, picked.iter().copied());
            }
            if any { visit(labels, &samples, &picked) } else { Ok(()) }
        })
    }

    /// An instant selector.
    pub(super) fn select(
        &self,
        span: Span,
        selector: &VectorSelector,
        grid: &Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), EvalError> {
        if selector.extension != Extension::None {
            return self.select_smoothed(span, selector, grid, sink);
        }
        let (reach, range) = self.instant_reach(selector, grid)?;
        self.read(&selector.matchers, range, reach.wanted(grid), &mut |labels, samples| {
            self.pass_by(grid.steps)?;
            let mut series = Series::new(labels.clone(), false, 0);
            let mut behind = Cursor::default();
            // A staleness marker is stored as it is kept between nodes: as no sample.
            series.floats.extend((0..grid.steps).map(|step| {
                let found = reach.newest(samples.at, &mut behind, reach.to(grid, step));
                found.map_or_else(stale_nan, |at| samples.floats[at])
            }));
            if !samples.histograms.is_empty() {
                self.put_hists(&samples, &reach, grid, &mut series);
            }
            if self.counting.is_on() {
                let mut behind = Cursor::default();
                let picked = (0..grid.steps).map(|step| reach.newest(samples.at, &mut behind, reach.to(grid, step)));
                self.count_picked(&samples, picked);
            }
            if series.is_empty() { Ok(()) } else { sink(series) }
        })
    }

    #[cold]
    fn count_picked(&self, samples: &SeriesSamples<'_>, picked: impl Iterator<Item = Option<usize>>) {
        for (step, at) in picked.enumerate().filter_map(|(step, at)| Some((step, at?))) {
            let count = match samples.histograms.binary_search_by_key(&at, |(index, _)| *index) {
                Ok(found) => match &samples.histograms[found].1 {
                    Value::Histogram(hist) if !is_stale_nan(hist.sum) => size_of_stored(hist),
                    value => usize::from(!value.is_stale()),
                },
                Err(_) => usize::from(!is_stale_nan(samples.floats[at])),
            };
            self.counting.add(step, count);
        }
    }

    /// Puts the histograms that count into a series whose floats are there.
    fn put_hists(&self, samples: &SeriesSamples<'_>, reach: &Reach, grid: &Grid, series: &mut Series) {
        let (mut behind, mut hist) = (Cursor::default(), 0);
        let mut last: Option<(usize, Point)> = None;
        for step in 0..grid.steps {
            let Some(at) = reach.newest(samples.at, &mut behind, reach.to(grid, step)) else { continue };
            while samples.histograms.get(hist).is_some_and(|(index, _)| *index < at) {
                hist += 1;
            }
            match samples.histograms.get(hist) {
                Some((index, value)) if *index == at => {
                    if last.as_ref().is_none_or(|(before, _)| *before != at) {
                        last = Some((at, self.sample_at(samples, at)));
                    }
                    let point = last.as_ref().map(|(_, point)| point.clone());
                    series.set(step, point.filter(|_| !value.is_stale()));
                }
                _ => {}
            }
        }
    }

    /// Reads the series of a range: a matrix selector or a subquery.
    pub fn each_range(&self, arg: &Expr, grid: &Grid, sink: &mut RangeSink<'_>) -> Result<(), EvalError> {
        let mut samples = Samples::default();
        match &arg.unwrapped().kind {
            ExprKind::Matrix(matrix) => {
                let selector = &matrix.selector;
                let reach = Reach {
                    range: self.positive_length(&matrix.range)?,
                    offset: self.length(&selector.offset)?,
                    pinned: self.pinned(selector.at),
                    extension: selector.extension,
                };
                let (mut from, mut to) =
                    (reach.to(grid, 0).saturating_sub(reach.range), reach.to(grid, grid.steps - 1));
                if selector.extension != Extension::None {
                    from = from.saturating_sub(self.lookback_ms);
                }
                if selector.extension == Extension::Smoothed {
                    to = to.saturating_add(self.lookback_ms);
                }
                let range = TimeRange { start: UnixMs(from.saturating_add(1)), end: UnixMs(to) };
                self.read(&selector.matchers, range, Wanted::All, &mut |labels, lent| {
                    samples.fill(&lent, self.only_sums.get());
                    self.lend(labels, false, &mut samples, &reach, sink)
                })
            }
            ExprKind::Subquery(subquery) => self.each_subquery(subquery, grid, &mut samples, sink),
            _ => Err(EvalError::new("expected a range vector")),
        }
    }

    fn lend(
        &self,
        labels: &Labels,
        drop: bool,
        samples: &mut Samples,
        reach: &Reach,
        sink: &mut RangeSink<'_>,
    ) -> Result<(), EvalError> {
        self.hold(samples.len())?;
        let result = if samples.len() == 0 { Ok(()) } else { sink(labels, drop, samples, reach) };
        self.release(samples.len());
        result
    }

    fn each_subquery(
        &self,
        subquery: &Subquery,
        grid: &Grid,
        samples: &mut Samples,
        sink: &mut RangeSink<'_>,
    ) -> Result<(), EvalError> {
        let reach = self.subquery_reach(subquery)?;
        let inner = self.inner_grid(subquery, &reach, grid)?;
        if inner.steps > 0 {
            // What counts is what is seen of it, unless nobody looks through a window.
            let place = self.counting.at_subquery();
            self.each(&subquery.expr, &inner, &mut |series| {
                samples.fill_from_steps(&series, &inner);
                let inner = self.counting.at(place);
                self.lend(&series.labels, series.drop_name, samples, &reach, sink)?;
                self.counting.at(inner);
                Ok(())
            })?;
            self.counting.at(place);
        }
        Ok(())
    }

    fn subquery_reach(&self, subquery: &Subquery) -> Result<Reach, EvalError> {
        Ok(Reach {
            range: self.positive_length(&subquery.range)?,
            offset: self.length(&subquery.offset)?,
            pinned: self.pinned(subquery.at),
            extension: Extension::None,
        })
    }

    /// The steps within a subquery: multiples of its own step, whatever the outer steps are.
    fn inner_grid(&self, subquery: &Subquery, reach: &Reach, grid: &Grid) -> Result<Grid, EvalError> {
        let step = match &subquery.step {
            Some(step) => self.positive_length(step)?,
            None => self.subquery_step_ms.max(1),
        };
        let from = reach.to(grid, 0).saturating_sub(reach.range);
        let to = reach.to(grid, grid.steps - 1);
        let mut start = step.saturating_mul(from / step);
        if start <= from {
            start = start.saturating_add(step);
        }
        let steps = if start > to { 0 } else { (to.saturating_sub(start) / step) as u64 + 1 };
        if steps > self.limits.samples_max {
            return Err(EvalError::TooManySamples { samples_max: self.limits.samples_max });
        }
        Ok(Grid { start, step, steps: steps as usize })
    }

    /// The samples of a range as they are, for a query that is nothing else.
    pub fn raw_matrix(&self, expr: &Expr, grid: &Grid) -> Result<Vec<MatrixSeries>, EvalError> {
        let mut all = Vec::new();
        if let ExprKind::Matrix(matrix) = &expr.unwrapped().kind
            && matrix.selector.extension != Extension::None
        {
            return Err(EvalError::new("anchored and smoothed need a function around them"));
        }
        if let ExprKind::Subquery(_) = &expr.unwrapped().kind {
            self.counting.at(Place::Whole);
        }
        self.each_range(expr, grid, &mut |labels, drop, samples, _| {
            let (mut f, mut h) = (0, 0);
            let mut points = Vec::with_capacity(samples.len());
            while f < samples.at.len() || h < samples.hist_at.len() {
                let float = match (samples.at.get(f), samples.hist_at.get(h)) {
                    (Some(a), Some(b)) => a < b,
                    (a, _) => a.is_some(),
                };
                if float {
                    points.push((samples.at[f], Value::Float(samples.floats[f])));
                    f += 1;
                } else {
                    points.push((samples.hist_at[h], Point::Hist(samples.hists[h].clone()).into_value()));
                    h += 1;
                }
            }
            if self.counting.is_on() {
                self.counting.add(0, samples.at.len() + samples.hist_sizes.iter().sum::<usize>());
            }
            self.hold(points.len())?;
            let labels = if drop { crate::eval::without_metadata(labels) } else { labels.clone() };
            all.push(MatrixSeries { labels, points });
            Ok(())
        })?;
        Ok(all)
    }

    /// Evaluates a function of a window at every step of one series.
    #[allow(clippy::too_many_arguments)]
    pub fn windows(
        &self,
        samples: &Samples,
        reach: &Reach,
        grid: &Grid,
        body: &mut dyn FnMut(usize, &Window<'_>) -> Option<Point>,
        name: &str,
        span: Span,
        out: &mut Series,
    ) -> Result<(), EvalError> {
        let [mut from_f, mut to_f, mut from_h, mut to_h] = [Cursor::default(); 4];
        let (mut drops_from, mut drops_to) = (0, 0);
        let extreme = Cell::new(None);
        for step in 0..grid.steps {
            let to = reach.to(grid, step);
            let from = to.saturating_sub(reach.range);
            let (from_f, to_f) = (from_f.advance(&samples.at, from), to_f.advance(&samples.at, to));
            let (from_h, to_h) = (from_h.advance(&samples.hist_at, from), to_h.advance(&samples.hist_at, to));
            self.pass_by(1 + to_f - from_f + to_h - from_h)?;
            if from_f == to_f && from_h == to_h {
                continue;
            }
            if self.counting.is_on() {
                self.counting.add(step, to_f - from_f + samples.hist_sizes[from_h..to_h].iter().sum::<usize>());
            }
            // The first sample of a window falls from nothing.
            while samples.drops.get(drops_from).is_some_and(|drop| *drop <= from_f) {
                drops_from += 1;
            }
            drops_to = drops_to.max(drops_from);
            while samples.drops.get(drops_to).is_some_and(|drop| *drop < to_f) {
                drops_to += 1;
            }
            let starts = if samples.starts.is_empty() { &[][..] } else { &samples.starts[from_f..to_f] };
            let hist_starts = if samples.hist_starts.is_empty() { &[][..] } else { &samples.hist_starts[from_h..to_h] };
            let window = Window {
                at: &samples.at[from_f..to_f],
                floats: &samples.floats[from_f..to_f],
                before: from_f,
                drops: &samples.drops[drops_from..drops_to],
                extreme: &extreme,
                starts,
                hist_at: &samples.hist_at[from_h..to_h],
                hists: &samples.hists[from_h..to_h],
                hist_starts,
                from,
                to,
                eval_at: grid.at(step),
                params: &[],
                name,
                span,
                param_span: span,
                cx: self,
            };
            if let Some(point) = body(step, &window) {
                out.set(step, Some(point));
            }
        }
        Ok(())
    }
}

/// Finds out what a histogram's hint leaves open, from the histogram before it.
fn find_reset(before: Option<&Hist>, hist: &mut Hist) {
    if let (ResetHint::Unknown, Some(before)) = (hist.hint, before) {
        hist.hint = if hist.is_reset_since(before) { ResetHint::Reset } else { ResetHint::NotReset };
    }
}

impl Cx<'_> {
    /// Returns the sample at an index.
    pub(super) fn sample_at(&self, samples: &SeriesSamples<'_>, at: usize) -> Point {
        let Ok(found) = samples.histograms.binary_search_by_key(&at, |(index, _)| *index) else {
            return Point::Float(samples.floats[at]);
        };
        let hist = match &samples.histograms[found].1 {
            Value::Histogram(hist) => hist,
            Value::Float(value) => return Point::Float(*value),
        };
        let mut hist = Hist::from_model(hist);
        if self.only_sums.get()
            && let Some((_, Value::Histogram(before))) = found.checked_sub(1).map(|at| &samples.histograms[at])
        {
            find_reset(Some(&Hist::from_model(before)), &mut hist);
        }
        Point::Hist(Arc::new(hist))
    }
}
