//! `query_exemplars`: examples of what the series of an expression counted.
//!
//! The expression is not computed: its selectors say which series are meant.

use std::sync::PoisonError;

use model::TimeRange;

use super::{ApiError, Call, Notes};
use crate::web::json;
use crate::web::params::{TIME_MAX, TIME_MIN};

/// Answers with the exemplars of the selected series.
pub(super) fn exemplars(call: &Call<'_>, out: &mut String) -> Result<Notes, ApiError> {
    let start = call.params.time_or("start", TIME_MIN)?;
    let end = call.params.time_or("end", TIME_MAX)?;
    if end < start {
        return Err(ApiError::bad_data("end timestamp must not be before start timestamp"));
    }
    let parsed = call.parse(call.params.get("query"));
    let expr = parsed.map_err(|error| ApiError::bad_data(error.to_string()))?;
    let selectors = expr.selectors();
    if selectors.is_empty() {
        return Ok(Notes { no_content: true, ..Notes::default() });
    }
    let matchers: Vec<&[model::Matcher]> = selectors.iter().map(|selector| &*selector.matchers).collect();
    let kept = call.web.exemplars.lock().unwrap_or_else(PoisonError::into_inner);
    let found = kept.select(TimeRange { start, end }, &matchers);
    json::list(out, found, |out, (series, exemplars)| {
        out.push_str("{\"seriesLabels\":");
        json::labels(out, series);
        json::key(out, "exemplars");
        json::list(out, exemplars, |out, exemplar| {
            out.push_str("{\"labels\":");
            json::labels(out, &exemplar.labels);
            json::key(out, "value");
            json::float(out, exemplar.value);
            json::key(out, "timestamp");
            json::sample_seconds(out, exemplar.at);
            out.push('}');
        });
        out.push('}');
    });
    Ok(Notes::default())
}
