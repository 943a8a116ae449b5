//! What needs an expression and no data: `format_query`, `parse_query`, and `query_exemplars`, which finds none.
//!
//! The laid out text and the tree are made by `promql`; here is only what the peer says when there is no expression, or
//! one that asks for no series.

use super::{ApiError, Call, Notes};
use crate::web::json;
use crate::web::params::{TIME_MAX, TIME_MIN};

/// Answers with the expression, laid out for people.
pub(super) fn format(call: &Call<'_>, out: &mut String) -> Result<Notes, ApiError> {
    json::string(out, &call.query()?.pretty());
    Ok(Notes::default())
}

/// Answers with the tree of the expression.
pub(super) fn parse(call: &Call<'_>, out: &mut String) -> Result<Notes, ApiError> {
    call.query()?.write_json(out);
    Ok(Notes::default())
}

/// Answers that there are no exemplars: none are kept.
pub(super) fn exemplars(call: &Call<'_>, out: &mut String) -> Result<Notes, ApiError> {
    let start = call.params.time_or("start", TIME_MIN)?;
    let end = call.params.time_or("end", TIME_MAX)?;
    if end < start {
        return Err(ApiError::bad_data("end timestamp must not be before start timestamp"));
    }
    let parsed = call.parse(call.params.get("query"));
    let expr = parsed.map_err(|error| ApiError::bad_data(error.to_string()))?;
    if expr.selectors().is_empty() {
        return Ok(Notes { no_content: true, ..Notes::default() });
    }
    out.push_str("[]");
    Ok(Notes::default())
}
