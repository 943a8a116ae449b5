//! `series`, `labels` and `label/NAME/values`: what there is, without any sample.
//!
//! Answers are sorted; the peer sorts them too as soon as it is asked two things at once. A name may be escaped as
//! `U__a_2e_b`, for clients whose router takes no dot.

use model::{Labels, Matcher, Querier, SelectError, TimeRange};

use super::query::{ends, truncated};
use super::{ApiError, Call, Notes};
use crate::web::json;
use crate::web::params::{TIME_MAX, TIME_MIN, go_quote, invalid, unescape};

/// Answers with the label sets that the selectors choose.
pub(super) fn series(call: &Call<'_>, out: &mut String) -> Result<Notes, ApiError> {
    if call.request.method == "DELETE" {
        return Err(ApiError::internal("not implemented"));
    }
    call.well_formed()?;
    if call.params.all("match[]").next().is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let limit = call.params.limit()?;
    let range = ends(call)?;
    let selectors = call.selectors().map_err(|error| ApiError::bad_data(invalid("match[]", &error.text)))?;
    let mut found: Vec<Labels> = Vec::new();
    for matchers in &selectors {
        each(call, matchers, range, &mut |labels| found.push(labels.clone()))?;
        // Series that came together are sorted mostly: then this costs little more than looking.
        found.sort();
        found.dedup();
    }
    let shown = limit.unwrap_or(usize::MAX);
    json::list(out, found.iter().take(shown), json::labels);
    Ok(truncated(found.len() > shown))
}

/// Answers with the names of labels.
pub(super) fn label_names(call: &Call<'_>, out: &mut String) -> Result<Notes, ApiError> {
    let limit = call.params.limit()?;
    let range = ends(call)?;
    let selectors = call.selectors()?;
    let names = call.reader().label_names(among(call, &selectors, range)?.as_ref());
    Ok(write(out, &names, limit))
}

/// Answers with the values of one label.
pub(super) fn label_values(call: &Call<'_>, out: &mut String) -> Result<Notes, ApiError> {
    let path = call.request.path.as_str();
    let name = path.strip_prefix("/api/v1/label/").and_then(|rest| rest.strip_suffix("/values")).unwrap_or("");
    let name = unescape(name, false)?;
    let name = match String::from_utf8(name) {
        Ok(name) => unescape_utf8(&name).unwrap_or(name),
        Err(error) => {
            let quoted = go_quote(error.as_bytes());
            return Err(ApiError::bad_data(format!("invalid label name: {quoted}")));
        }
    };
    if name.is_empty() {
        return Err(ApiError::bad_data("invalid label name: \"\""));
    }
    let limit = call.params.limit()?;
    let range = ends(call)?;
    let selectors = call.selectors()?;
    let values = call.reader().label_values(&name, among(call, &selectors, range)?.as_ref());
    Ok(write(out, &values, limit))
}

/// Returns the series whose labels are asked for; `None` for all that there ever were, which the index knows by itself.
fn among(call: &Call<'_>, selectors: &[Vec<Matcher>], range: TimeRange) -> Result<Option<tsdb::Among>, ApiError> {
    if selectors.is_empty() && range.start <= TIME_MIN && range.end >= TIME_MAX {
        return Ok(None);
    }
    call.reader().among(selectors, range, &|| call.is_stopped()).map(Some).map_err(refused)
}

/// Visits the label sets that a selector chooses.
fn each(
    call: &Call<'_>,
    matchers: &[Matcher],
    range: TimeRange,
    visit: &mut dyn FnMut(&Labels),
) -> Result<(), ApiError> {
    if range.end < range.start {
        return Ok(());
    }
    // Asked here too: a selector that finds nothing asks nobody, and there may be a thousand.
    let found = match call.is_stopped() {
        true => Err(SelectError::Stopped),
        false => call.reader().series(matchers, range, &mut |labels| {
            visit(labels);
            !call.is_stopped()
        }),
    };
    found.map_err(refused)
}

fn refused(error: SelectError) -> ApiError {
    match error {
        SelectError::Stopped => promql::EvalError::Stopped.into(),
        error => ApiError::internal(error.to_string()),
    }
}

fn write(out: &mut String, texts: &tsdb::Texts, limit: Option<usize>) -> Notes {
    let shown = limit.unwrap_or(usize::MAX);
    json::list(out, texts.iter().take(shown), json::string);
    truncated(texts.iter().len() > shown)
}

/// Undoes the escape `U__a_2e_b__c`: `a.b_c`. `None` where the text is no such escape and means itself.
fn unescape_utf8(name: &str) -> Option<String> {
    let mut rest = name.strip_prefix("U__")?;
    let mut out = String::with_capacity(rest.len());
    while let Some(at) = rest.find('_') {
        out.push_str(rest.get(..at)?);
        rest = rest.get(at + 1..)?;
        if let Some(after) = rest.strip_prefix('_') {
            out.push('_');
            rest = after;
            continue;
        }
        let (code, after) = rest.split_once('_').filter(|(code, _)| code.len() <= 6)?;
        let is_hex = code.bytes().all(|byte| byte.is_ascii_hexdigit());
        out.push(char::from_u32(u32::from_str_radix(code, 16).ok().filter(|_| is_hex)?)?);
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unescaped_where_they_are_escaped() {
        for (name, expected) in [
            ("U__a_2e_b", Some("a.b")),
            ("U__job", Some("job")),
            ("U__a__b", Some("a_b")),
            ("U___1F600_", Some("\u{1f600}")),
            ("U__", Some("")),
            ("job", None),
            ("U__a_", None),
            ("U__a_2e", None),
            ("U__a_zz_", None),
            ("U__a_d800_", None),
            ("U__a_1234567_", None),
            ("U__a_+1_", None),
        ] {
            assert_eq!(unescape_utf8(name).as_deref(), expected, "{name}");
        }
    }
}
