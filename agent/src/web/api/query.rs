//! `query` and `query_range`: PromQL over HTTP.
//!
//! A range is checked here before the engine sees it, because the peer names the parameter that is wrong. The limits of
//! what a query may hold are the engine's; what its answer may weigh is checked where it is written.

use std::sync::atomic::Ordering;

use model::UnixMs;
use promql::{Engine, QueryValue, RangeArgs, ValueType};

use super::{ApiError, Call, Notes, value};
use crate::os::clock::monotonic_ns;
use crate::web::counts::Limit;
use crate::web::json;
use crate::web::params::{Params, invalid};

/// The most points a range query may compute for each series.
const POINTS_MAX: f64 = 11_000.0;

const TRUNCATED: &str = "results truncated due to limit";

/// Answers an instant query.
pub(super) fn instant(call: &Call<'_>, out: &mut String) -> Result<Notes, ApiError> {
    let params = &call.params;
    let limit = params.limit()?;
    let at = params.time_or("time", call.web.now())?;
    let engine = engine(call)?;
    let begun = monotonic_ns();
    let expr = call.query()?;
    let parsed = monotonic_ns();
    let evaluated = engine.instant(&call.reader(), &expr, at, &|| call.is_stopped())?;
    let grid = (at, 0);
    answer(call, evaluated, limit, grid, [begun, parsed, monotonic_ns()], out)
}

/// Answers a range query.
pub(super) fn range(call: &Call<'_>, out: &mut String) -> Result<Notes, ApiError> {
    let limit = call.params.limit()?;
    let range = range_of(&call.params).map_err(|(text, limit)| {
        let error = ApiError::bad_data(text);
        if limit { error.by(Limit::Steps) } else { error }
    })?;
    let engine = engine(call)?;
    let begun = monotonic_ns();
    let expr = call.query()?;
    let parsed = monotonic_ns();
    let kind = expr.value_type();
    if !matches!(kind, ValueType::Scalar | ValueType::Vector) {
        let text = format!(
            "invalid expression type \"{}\" for range query, must be Scalar or instant Vector",
            kind.documented()
        );
        return Err(invalid("query", &text).into());
    }
    let evaluated = engine.range(&call.reader(), &expr, range, &|| call.is_stopped())?;
    answer(call, evaluated, limit, (range.start, range.step_ms), [begun, parsed, monotonic_ns()], out)
}

/// Returns the engine with what this request wants otherwise.
fn engine(call: &Call<'_>) -> Result<Engine, ApiError> {
    let mut engine = call.web.engine.clone();
    let (params, given) = (&call.params, |name: &str| !call.params.get(name).is_empty());
    if given("timeout") {
        // How long it may take is watched by whoever called us; here only nonsense is refused.
        params.duration_ms("timeout")?;
    }
    if given("lookback_delta") {
        let parsed = params.duration_ms("lookback_delta");
        let ms = parsed.map_err(|error| match error.split_once("\": ") {
            Some((_, reason)) => format!("error parsing lookback delta duration: {reason}"),
            None => error,
        })?;
        if ms >= 1.0 {
            engine.lookback_ms = ms as i64;
        }
    }
    engine.counts_samples = given("stats");
    Ok(engine)
}

/// Returns the range that is asked for; an error says whether it is that there are too many steps.
fn range_of(params: &Params) -> Result<RangeArgs, (String, bool)> {
    let range = steps_of(params).map_err(|text| (text, false))?;
    range.ok_or_else(|| {
        let text = "exceeded maximum resolution of 11,000 points per timeseries. \
                    Try decreasing the query resolution (?step=XX)";
        (text.to_owned(), true)
    })
}

/// Returns the range that is asked for, `None` where that is too many steps.
fn steps_of(params: &Params) -> Result<Option<RangeArgs>, String> {
    let start = params.time("start")?;
    let end = params.time("end")?;
    if end < start {
        return Err(invalid("end", "end timestamp must not be before start time"));
    }
    let step_ms = params.duration_ms("step")?;
    if step_ms <= 0.0 {
        let text = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(invalid("step", text));
    }
    let steps = (end.0 as f64 - start.0 as f64) / step_ms;
    if steps.floor() > POINTS_MAX || step_ms < 1.0 {
        return Ok(None);
    }
    Ok(Some(RangeArgs { start, end, step_ms: step_ms as i64 }))
}

fn answer(
    call: &Call<'_>,
    evaluated: promql::Answer,
    limit: Option<usize>,
    (start, step_ms): (UnixMs, i64),
    times: [u64; 3],
    out: &mut String,
) -> Result<Notes, ApiError> {
    let promql::Answer { mut value, mut warnings, infos, samples } = evaluated;
    if limit.is_some_and(|limit| truncate(&mut value, limit)) {
        warnings.push(TRUNCATED.to_owned());
    }
    out.push('{');
    json::text(out, "resultType", value::type_of(&value));
    json::key(out, "result");
    value::write(out, &value, &|| call.is_stopped())?;
    if let Some(mut samples) = samples {
        // As with the peer: steps one by one only where the command line allows it and the request wants it.
        if !call.web.settings.per_step_stats || call.params.get("stats") != "all" {
            samples.per_step.clear();
        }
        write_timings(out, call.request.queued_ns.load(Ordering::Relaxed), times);
        write_samples(out, &samples, |step| start.plus_ms(step_ms.saturating_mul(step as i64)));
    }
    out.push('}');
    Ok(Notes { warnings, infos, no_content: false })
}

/// Appends how long the query waited for its turn, and took to be read and to be computed. Sorting is part of that.
fn write_timings(out: &mut String, queued: u64, [begun, parsed, done]: [u64; 3]) {
    let seconds = |from: u64, until: u64| until.saturating_sub(from) as f64 / 1e9;
    let queued = seconds(0, queued);
    out.push_str(",\"stats\":{\"timings\":{");
    for (name, value) in [
        ("evalTotalTime", seconds(parsed, done)),
        ("resultSortTime", 0.0),
        ("queryPreparationTime", seconds(begun, parsed)),
        ("innerEvalTime", seconds(parsed, done)),
        ("execQueueTime", queued),
        ("execTotalTime", queued + seconds(begun, done)),
    ] {
        json::key(out, name);
        json::number(out, value);
    }
    out.push('}');
}

/// Appends how many samples the query looked at, at each step where that is wanted, and held.
fn write_samples(out: &mut String, samples: &promql::SampleStats, at: impl Fn(usize) -> UnixMs) {
    out.push_str(",\"samples\":{");
    if !samples.per_step.is_empty() {
        json::key(out, "totalQueryableSamplesPerStep");
        json::list(out, samples.per_step.iter().enumerate(), |out, (step, count)| {
            out.push('[');
            json::seconds(out, at(step));
            out.push(',');
            json::number(out, *count as f64);
            out.push(']');
        });
    }
    for (name, count) in [("totalQueryableSamples", samples.total), ("peakSamples", samples.peak)] {
        json::key(out, name);
        json::number(out, count as f64);
    }
    out.push_str("}}");
}

/// Leaves only so many series; returns whether there were more.
fn truncate(value: &mut QueryValue, limit: usize) -> bool {
    match value {
        QueryValue::Vector(items) if items.len() > limit => items.truncate(limit),
        QueryValue::Matrix(series) if series.len() > limit => series.truncate(limit),
        _ => return false,
    }
    true
}

/// Returns the peer's word for an answer of which some was left out.
pub(super) fn truncated(is_truncated: bool) -> Notes {
    let warnings = if is_truncated { vec![TRUNCATED.to_owned()] } else { Vec::new() };
    Notes { warnings, ..Notes::default() }
}

/// The two ends of a search for series.
pub(super) fn ends(call: &Call<'_>) -> Result<model::TimeRange, ApiError> {
    use crate::web::params::{TIME_MAX, TIME_MIN};
    let ends: [UnixMs; 2] = [call.params.time_or("start", TIME_MIN)?, call.params.time_or("end", TIME_MAX)?];
    Ok(model::TimeRange { start: ends[0], end: ends[1] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::Request;

    fn check(query: &str, expected: Result<(i64, i64, i64), &str>) {
        let request = Request::new("GET", &format!("/api/v1/query_range?{query}"));
        let found = range_of(&Params::of(&request)).map(|range| (range.start.0, range.end.0, range.step_ms));
        match expected {
            Ok(expected) => assert_eq!(found, Ok(expected), "{query}"),
            Err(part) => assert!(found.as_ref().is_err_and(|(text, _)| text.contains(part)), "{query}: {found:?}"),
        }
    }

    /// The two ends may lie further apart than the number that holds their distance can say: that was a panic in a
    /// debug build, and a check that let everything through in a release build.
    #[test]
    fn a_range_is_bounded_however_wide_it_is() {
        check("start=0&end=11000&step=1", Ok((0, 11_000_000, 1_000)));
        check("start=0&end=11001&step=1", Err("11,000 points"));
        check("start=-8999999999999000&end=8999999999999000&step=1", Err("11,000 points"));
        check("start=2&end=1&step=1", Err("must not be before"));
        check("start=1&end=2&step=0", Err("zero or negative"));
        check("start=1&end=1&step=0.0001", Err("11,000 points"));
        check("start=0&end=11&step=0.0015", Ok((0, 11_000, 1)));
    }
}
