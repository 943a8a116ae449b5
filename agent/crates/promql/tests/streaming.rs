//! What a query holds: one series at a time where the expression allows it, and no more than the limits.

use std::cell::Cell;

use model::{Labels, Matcher, Querier, SelectError, SeriesSamples, TimeRange, UnixMs};
use promql::{Engine, EvalError, Limits, QueryValue, RangeArgs};

/// Many series of one name, and one of another with the same labels as the first.
struct Many {
    series: usize,
    visited: Cell<usize>,
}

impl Querier for Many {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        visit: &mut model::seams::Visitor<'_>,
    ) -> Result<(), SelectError> {
        let at: Vec<UnixMs> = (0..=240).map(|i| UnixMs(i * 15_000)).filter(|at| range.contains(*at)).collect();
        let floats: Vec<f64> = at.iter().map(|at| at.0 as f64 / 1000.0).collect();
        for (name, i) in (0..self.series).map(|i| ("many", i)).chain([("other", 0)]) {
            let labels = Labels::from_pairs([("__name__", name), ("i", i.to_string().as_str())]);
            if !matchers.iter().all(|matcher| matcher.matches_labels(&labels)) {
                continue;
            }
            self.visited.set(self.visited.get() + 1);
            if !visit(&labels, SeriesSamples { at: &at, floats: &floats, histograms: &[], starts: &[] }) {
                return Err(SelectError::Stopped);
            }
        }
        Ok(())
    }

    fn series(&self, _: &[Matcher], _: TimeRange, _: &mut dyn FnMut(&Labels) -> bool) -> Result<(), SelectError> {
        Ok(())
    }
}

fn run(query: &str, series: usize, limits: Limits, stop_after: usize) -> (Result<QueryValue, EvalError>, usize) {
    let source = Many { series, visited: Cell::new(0) };
    let engine = Engine { limits, ..Engine::default() };
    let range = RangeArgs { start: UnixMs(600_000), end: UnixMs(3_600_000), step_ms: 60_000 };
    let expr = promql::parse(query).expect("a good expression");
    let result = engine.range(&source, &expr, range, &|| source.visited.get() > stop_after);
    (result.map(|answer| answer.value), source.visited.get())
}

#[test]
fn a_sum_over_many_series_holds_few_samples() {
    // 51 steps and 221 samples a series; 2,000 series would be half a million.
    let limits = Limits { samples_max: 1_000, ..Limits::default() };
    for query in [
        "sum(rate(many[5m]))",
        "avg by (j) (abs(many) * 2)",
        "sum(many > bool 5)",
        "max(-many)",
        "count(max_over_time(rate(many[5m])[5m:1m]))",
        "scalar(many)",
        "absent(many)",
    ] {
        let (result, visited) = run(query, 2_000, limits, usize::MAX);
        assert!(result.is_ok(), "{query}: {:?}", result.err());
        assert_eq!(visited, 2_000, "{query}");
    }
    let (result, visited) = run("many", 2_000, limits, usize::MAX);
    assert!(matches!(result, Err(EvalError::TooManySamples { samples_max: 1_000 })));
    assert!(visited < 25, "{visited} series were read after the limit was met");
}

#[test]
fn held_samples_are_given_back() {
    let limits = Limits { samples_max: 51 * 10 * 4, ..Limits::default() };
    let deep = "sort(topk(9, (many * on (i) many)))".to_owned();
    let chain = (0..30).fold(deep, |query, _| format!("({query}) * on (i) many"));
    let (result, _) = run(&chain, 9, limits, usize::MAX);
    assert!(result.is_ok(), "{:?}", result.err());
}

#[test]
fn stopping_is_noticed_at_the_next_series() {
    for query in ["many", "sum(rate(many[5m]))", "sum(many * many)"] {
        let (result, visited) = run(query, 2_000, Limits::default(), 10);
        assert!(matches!(result, Err(EvalError::Stopped)), "{query}");
        assert!(visited <= 12, "{query}: {visited} series were read");
    }
}

#[test]
fn other_limits_are_named() {
    let (result, _) = run("many", 50, Limits { series_max: 49, ..Limits::default() }, usize::MAX);
    assert_eq!(result.expect_err("too many").to_string(), "query processing would hold more than 49 series");
    let (result, _) = run("many", 1, Limits { steps_max: 50, ..Limits::default() }, usize::MAX);
    assert!(result.is_ok());
    let (result, _) = run("many", 1, Limits { steps_max: 49, ..Limits::default() }, usize::MAX);
    let text = result.expect_err("too many").to_string();
    assert!(text.starts_with("exceeded maximum resolution of 49 points per timeseries."), "{text}");
}

#[test]
fn names_that_go_must_leave_series_apart() {
    for query in
        ["rate({__name__=~\".+\"}[5m])", "-{i=\"0\"}", "{i=\"0\"} + 1", "abs({i=\"0\"})", "timestamp({i=\"0\"})"]
    {
        let (result, _) = run(query, 3, Limits::default(), usize::MAX);
        let text = result.expect_err("two series with the same labels").to_string();
        assert_eq!(text, "vector cannot contain metrics with the same labelset", "{query}");
    }
}

#[test]
fn stopping_is_noticed_within_one_series_too() {
    let range = RangeArgs { start: UnixMs(600_000), end: UnixMs(3_600_000), step_ms: 60_000 };
    for query in [
        "quantile_over_time(0.5, many[50m:1s])",
        "max_over_time(many[50m:1s])",
        "sum_over_time(rate(many[5m])[50m:1s])",
        "avg(deriv((many * on (i) many)[50m:1s]))",
    ] {
        let expr = promql::parse(query).expect("a good expression");
        let source = Many { series: 1, visited: Cell::new(0) };
        let asked = Cell::new(0);
        let stop = || {
            asked.set(asked.get() + 1);
            source.visited.get() > 0 && asked.get() > 3
        };
        let result = Engine::default().range(&source, &expr, range, &stop);
        assert!(matches!(result, Err(EvalError::Stopped)), "{query}");
        assert_eq!(asked.get(), 4, "{query}: it went on after it was told to stop");
    }
}

#[test]
fn what_a_series_takes_is_counted_and_not_what_it_has() {
    // One sample in 1,000 steps takes as much memory as 1,000.
    let source = Many { series: 40, visited: Cell::new(0) };
    let range = RangeArgs { start: UnixMs(3_600_000), end: UnixMs(103_600_000), step_ms: 100_000 };
    let expr = promql::parse("topk(100, many)").expect("a good expression");
    for (samples_max, is_enough) in [(41_000, true), (39_000, false)] {
        let engine = Engine { limits: Limits { samples_max, ..Limits::default() }, ..Engine::default() };
        let result = engine.range(&source, &expr, range, &|| false);
        assert_eq!(result.is_ok(), is_enough, "{samples_max}: {:?}", result.err());
    }
}
