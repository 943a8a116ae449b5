//! `/api/v1/query` and `/api/v1/query_range`: PromQL over HTTP, with the peer's bodies and status codes.
//!
//! ```json
//! {"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up"},"value":[1,"1"]}]}}
//! {"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:3: parse error: ..."}
//! ```

use model::{Labels, UnixMs};
use promql::{Answer as Evaluated, EvalError, QueryValue, RangeArgs};

use super::params::Params;
use super::{Answer, Request, Web, json};

/// The most points a range query may compute for each series.
const POINTS_MAX: i64 = 11_000;

/// An error as the API names it.
pub struct ApiError {
    kind: &'static str,
    status: u16,
    text: String,
}

impl ApiError {
    /// Returns the error for a request that makes no sense.
    pub fn bad_data(text: impl Into<String>) -> ApiError {
        ApiError { kind: "bad_data", status: 400, text: text.into() }
    }

    /// Returns the answer that carries it.
    pub fn answer(&self) -> Answer {
        let mut out = String::from("{\"status\":\"error\"");
        json::key(&mut out, "errorType");
        json::string(&mut out, self.kind);
        json::key(&mut out, "error");
        json::string(&mut out, &self.text);
        out.push('}');
        with_cors(Answer::new(self.status, "application/json", out))
    }
}

impl From<EvalError> for ApiError {
    fn from(error: EvalError) -> ApiError {
        let (kind, status) = match &error {
            EvalError::Stopped => ("canceled", 503),
            EvalError::Select(_) => ("internal", 500),
            EvalError::Steps(_) => ("bad_data", 400),
            _ => ("execution", 422),
        };
        ApiError { kind, status, text: error.to_string() }
    }
}

/// Returns the answer for a query that took longer than `query.timeout`; `phase` is where it was, as the peer says it.
pub fn timed_out(phase: &str) -> Answer {
    ApiError { kind: "timeout", status: 503, text: format!("query timed out in {phase}") }.answer()
}

/// Answers an instant query.
pub fn query(web: &Web, request: &Request) -> Answer {
    let params = Params::of(request);
    let answer = || -> Result<Evaluated, ApiError> {
        let at = params.time("time", Some(now(web))).map_err(ApiError::bad_data)?;
        let expr = parse(&params)?;
        Ok(web.engine.instant(&web.reader(), &expr, at, &|| request.is_stopped())?)
    };
    answer().map_or_else(|error| error.answer(), |evaluated| success(&evaluated))
}

/// Answers a range query.
pub fn query_range(web: &Web, request: &Request) -> Answer {
    let params = Params::of(request);
    let answer = || -> Result<Evaluated, ApiError> {
        let range = range_of(&params).map_err(ApiError::bad_data)?;
        let expr = parse(&params)?;
        Ok(web.engine.range(&web.reader(), &expr, range, &|| request.is_stopped())?)
    };
    answer().map_or_else(|error| error.answer(), |evaluated| success(&evaluated))
}

fn now(web: &Web) -> UnixMs {
    web.reader().wall_of(web.clock.now())
}

fn parse(params: &Params) -> Result<promql::Expr, ApiError> {
    promql::parse(params.get("query"))
        .map_err(|error| ApiError::bad_data(format!("invalid parameter \"query\": {error}")))
}

fn range_of(params: &Params) -> Result<RangeArgs, String> {
    let start = params.time("start", None)?;
    let end = params.time("end", None)?;
    if end < start {
        return Err("invalid parameter \"end\": end timestamp must not be before start time".to_owned());
    }
    let step_ms = params.duration_ms("step")?;
    if step_ms <= 0 {
        return Err("invalid parameter \"step\": zero or negative query resolution step widths are not accepted. \
                    Try a positive integer"
            .to_owned());
    }
    if end.0.saturating_sub(start.0) / step_ms > POINTS_MAX {
        return Err("exceeded maximum resolution of 11,000 points per timeseries. \
                    Try decreasing the query resolution (?step=XX)"
            .to_owned());
    }
    Ok(RangeArgs { start, end, step_ms })
}

/// Whether an answer holds a native histogram. Nothing that collects makes one yet; when something does, its answers
/// must not look like floats.
fn has_histograms(value: &QueryValue) -> bool {
    match value {
        QueryValue::Vector(items) => items.iter().any(|item| item.value.float().is_none()),
        QueryValue::Matrix(series) => {
            series.iter().any(|series| series.points.iter().any(|(_, value)| value.float().is_none()))
        }
        QueryValue::Scalar(..) | QueryValue::Text(..) => false,
    }
}

fn success(evaluated: &Evaluated) -> Answer {
    if has_histograms(&evaluated.value) {
        let text = "native histograms are not served over HTTP yet: ask for a float of them, such as histogram_sum()";
        return ApiError { kind: "execution", status: 422, text: text.to_owned() }.answer();
    }
    let mut out = String::from("{\"status\":\"success\",\"data\":{\"resultType\":");
    json::string(&mut out, result_type(&evaluated.value));
    json::key(&mut out, "result");
    write_value(&mut out, &evaluated.value);
    out.push('}');
    write_texts(&mut out, "warnings", &evaluated.warnings);
    write_texts(&mut out, "infos", &evaluated.infos);
    out.push('}');
    with_cors(Answer::new(200, "application/json", out))
}

fn result_type(value: &QueryValue) -> &'static str {
    match value {
        QueryValue::Scalar(..) => "scalar",
        QueryValue::Text(..) => "string",
        QueryValue::Vector(_) => "vector",
        QueryValue::Matrix(_) => "matrix",
    }
}

fn write_value(out: &mut String, value: &QueryValue) {
    match value {
        QueryValue::Scalar(at, value) => json::point(out, *at, *value),
        QueryValue::Text(at, text) => {
            out.push('[');
            json::seconds(out, *at);
            out.push(',');
            json::string(out, text);
            out.push(']');
        }
        QueryValue::Vector(items) => json::list(out, items, |out, item| {
            metric(out, &item.labels);
            out.push_str(",\"value\":");
            json::point(out, item.at, item.value.float().unwrap_or(f64::NAN));
            out.push('}');
        }),
        QueryValue::Matrix(series) => json::list(out, series, |out, series| {
            metric(out, &series.labels);
            out.push_str(",\"values\":");
            json::list(out, &series.points, |out, (at, value)| {
                json::point(out, *at, value.float().unwrap_or(f64::NAN));
            });
            out.push('}');
        }),
    }
}

fn metric(out: &mut String, labels: &Labels) {
    out.push_str("{\"metric\":");
    json::labels(out, labels);
}

fn write_texts(out: &mut String, name: &str, texts: &[String]) {
    if !texts.is_empty() {
        json::key(out, name);
        json::list(out, texts, |out, text| json::string(out, text));
    }
}

/// Any page may read, as with the peer; what controls is not under this roof.
fn with_cors(mut answer: Answer) -> Answer {
    answer.headers.push(("access-control-allow-origin", "*".to_owned()));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, expected: Result<(i64, i64, i64), &str>) {
        let request = Request {
            method: "GET".to_owned(),
            path: "/api/v1/query_range".to_owned(),
            query: query.to_owned(),
            host: String::new(),
            origin: String::new(),
            content_type: String::new(),
            content_encoding: String::new(),
            proxied: false,
            peer: std::net::IpAddr::from([127, 0, 0, 1]),
            body: Vec::new(),
            stop: Default::default(),
        };
        let found = range_of(&Params::of(&request)).map(|range| (range.start.0, range.end.0, range.step_ms));
        match expected {
            Ok(expected) => assert_eq!(found, Ok(expected), "{query}"),
            Err(part) => assert!(found.as_ref().is_err_and(|text| text.contains(part)), "{query}: {found:?}"),
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
    }
}
