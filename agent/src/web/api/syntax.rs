//! What needs an expression and no data: `format_query` and `parse_query`.
//!
//! The laid out text and the tree are made by `promql`; here is only what the peer says when there is no expression.

use super::{ApiError, Call, Notes};
use crate::web::json;

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
