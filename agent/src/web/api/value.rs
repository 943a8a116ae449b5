//! What a query came to, as JSON.
//!
//! ```json
//! [{"metric":{"__name__":"up"},"value":[1435781451.780,"1"]}]
//! [{"metric":{},"values":[[1,"1"]],"histograms":[[2,{"count":"3","sum":"1.5","buckets":[[0,"0.5","1","3"]]}]]}]
//! ```
//!
//! An answer that would weigh more than its limit is an error of the query.

use model::{UnixMs, Value};
use promql::{MatrixSeries, QueryValue};

use super::{ANSWER_BYTES_MAX, ApiError, histogram};
use crate::web::counts::Limit;
use crate::web::json;

/// Returns the peer's name for the type.
pub(super) fn type_of(value: &QueryValue) -> &'static str {
    match value {
        QueryValue::Scalar(..) => "scalar",
        QueryValue::Text(..) => "string",
        QueryValue::Vector(_) => "vector",
        QueryValue::Matrix(_) => "matrix",
    }
}

/// Appends a value.
pub(super) fn write(out: &mut String, value: &QueryValue, stop: &dyn Fn() -> bool) -> Result<(), ApiError> {
    match value {
        QueryValue::Scalar(at, value) => {
            out.push('[');
            json::seconds(out, *at);
            out.push_str(",\"");
            model::float::write_plain(out, *value);
            out.push_str("\"]");
        }
        QueryValue::Text(at, text) => {
            out.push('[');
            json::seconds(out, *at);
            out.push(',');
            json::string(out, text);
            out.push(']');
        }
        QueryValue::Vector(items) => {
            list(out, items, stop, |out, item| {
                out.push_str("{\"metric\":");
                json::labels(out, &item.labels);
                out.push_str(if item.value.float().is_some() { ",\"value\":" } else { ",\"histogram\":" });
                sample(out, item.at, &item.value);
                out.push('}');
            })?;
        }
        QueryValue::Matrix(all) => list(out, all, stop, series)?,
    }
    Ok(())
}

/// Appends a list, unless it grows too large or nobody waits for it any more.
fn list<T>(
    out: &mut String,
    items: &[T],
    stop: &dyn Fn() -> bool,
    write: impl Fn(&mut String, &T),
) -> Result<(), ApiError> {
    out.push('[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write(out, item);
        if out.len() > ANSWER_BYTES_MAX {
            let text = format!("the answer would be larger than {ANSWER_BYTES_MAX} bytes: ask for less");
            return Err(ApiError::execution(text).by(Limit::Bytes));
        }
        if stop() {
            return Err(promql::EvalError::Stopped.into());
        }
    }
    out.push(']');
    Ok(())
}

fn series(out: &mut String, series: &MatrixSeries) {
    out.push_str("{\"metric\":");
    json::labels(out, &series.labels);
    for (name, wants_floats) in [(",\"values\":", true), (",\"histograms\":", false)] {
        let mut points = series.points.iter().filter(|(_, value)| value.float().is_some() == wants_floats).peekable();
        if points.peek().is_some() {
            out.push_str(name);
            json::list(out, points, |out, (at, value)| sample(out, *at, value));
        }
    }
    out.push('}');
}

fn sample(out: &mut String, at: UnixMs, value: &Value) {
    match value {
        Value::Float(value) => json::point(out, at, *value),
        Value::Histogram(value) => {
            out.push('[');
            json::sample_seconds(out, at);
            out.push(',');
            histogram::write(out, value);
            out.push(']');
        }
    }
}

#[cfg(test)]
mod tests {
    use model::Labels;
    use promql::VectorItem;

    use super::*;

    fn vector(items: usize) -> QueryValue {
        let labels = Labels::from_pairs([("text", "x".repeat(900).as_str())]);
        QueryValue::Vector(vec![VectorItem { labels, at: UnixMs(0), value: Value::Float(1.0) }; items])
    }

    #[test]
    fn an_answer_that_would_be_too_large_is_refused() {
        let written = |items| {
            let mut out = String::new();
            let result = write(&mut out, &vector(items), &|| false);
            (result.is_ok(), out.len())
        };
        assert!(matches!(written(1_000), (true, 900_000..)));
        let (is_written, bytes) = written(ANSWER_BYTES_MAX / 900);
        assert!(!is_written && bytes < ANSWER_BYTES_MAX + 2_000, "{bytes}");
    }

    #[test]
    fn an_answer_of_just_the_limit_is_given() {
        let bytes = |items| {
            let mut out = String::new();
            write(&mut out, &vector(items), &|| false).map_or(0, |()| out.len())
        };
        let count = (ANSWER_BYTES_MAX - bytes(1)) / (bytes(2) - bytes(1));
        let QueryValue::Vector(mut items) = vector(count) else { panic!("a vector") };
        let mut written = |last: usize| {
            let (mut out, count) = (String::new(), items.len());
            items[count - 1].labels = Labels::from_pairs([("text", "x".repeat(last).as_str())]);
            write(&mut out, &QueryValue::Vector(items.clone()), &|| false).map(|()| out.len())
        };
        let rest = ANSWER_BYTES_MAX - written(900).expect("it is smaller") + "]".len();
        assert_eq!(written(900 + rest).expect("just the limit"), ANSWER_BYTES_MAX + "]".len());
        let refused = written(900 + rest + 1).expect_err("a byte more");
        let answer = refused.answer();
        assert_eq!(answer.status, 422);
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(said.contains("the answer would be larger than 33554432 bytes: ask for less"), "{said}");
    }

    #[test]
    fn nobody_waits_for_an_answer_that_is_stopped() {
        let error = write(&mut String::new(), &vector(2), &|| true).expect_err("it was stopped");
        assert_eq!(error.answer().status, 499);
    }
}
