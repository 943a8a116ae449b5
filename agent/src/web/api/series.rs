//! `series`, `labels` and `label/NAME/values`: what there is, without any sample.
//!
//! Answers are sorted; the peer sorts them too as soon as it is asked two things at once. A name may be escaped as
//! `U__a_2e_b`, for clients whose router takes no dot.

use std::collections::BTreeSet;

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
    let mut found: BTreeSet<Labels> = BTreeSet::new();
    each(call, &selectors, range, &mut |labels| {
        if !found.contains(labels) {
            found.insert(labels.clone());
        }
    })?;
    let shown = limit.unwrap_or(usize::MAX);
    json::list(out, found.iter().take(shown), json::labels);
    Ok(truncated(found.len() > shown))
}

/// Answers with the names of labels.
pub(super) fn label_names(call: &Call<'_>, out: &mut String) -> Result<Notes, ApiError> {
    let limit = call.params.limit()?;
    let range = ends(call)?;
    let selectors = call.selectors()?;
    let names = if asks_for_all(&selectors, range) {
        call.web.reader().label_names()
    } else {
        let mut names = BTreeSet::new();
        each(call, &selectors, range, &mut |labels| {
            labels.iter().for_each(|(name, _)| insert(&mut names, name));
        })?;
        names.into_iter().collect()
    };
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
    let values = if asks_for_all(&selectors, range) {
        call.web.reader().label_values(&name)
    } else {
        let mut values = BTreeSet::new();
        each(call, &selectors, range, &mut |labels| {
            if let Some(value) = labels.get(&name) {
                insert(&mut values, value);
            }
        })?;
        values.into_iter().collect()
    };
    Ok(write(out, &values, limit))
}

/// Returns whether the question is about everything that there ever was, which the index knows by itself.
fn asks_for_all(selectors: &[Vec<Matcher>], range: TimeRange) -> bool {
    selectors.is_empty() && range.start <= TIME_MIN && range.end >= TIME_MAX
}

/// Visits the label sets that any of the selectors chooses, or all; some twice.
fn each(
    call: &Call<'_>,
    selectors: &[Vec<Matcher>],
    range: TimeRange,
    visit: &mut dyn FnMut(&Labels),
) -> Result<(), ApiError> {
    if range.end < range.start {
        return Ok(());
    }
    let reader = call.web.reader();
    let all = [Vec::new()];
    for matchers in if selectors.is_empty() { &all } else { selectors } {
        // Asked here too: a selector that finds nothing asks nobody, and there may be a thousand.
        let found = match call.is_stopped() {
            true => Err(SelectError::Stopped),
            false => reader.series(matchers, range, &mut |labels| {
                visit(labels);
                !call.is_stopped()
            }),
        };
        found.map_err(|error| match error {
            SelectError::Stopped => promql::EvalError::Stopped.into(),
            error => ApiError::internal(error.to_string()),
        })?;
    }
    Ok(())
}

fn insert(set: &mut BTreeSet<String>, text: &str) {
    if !set.contains(text) {
        set.insert(text.to_owned());
    }
}

fn write(out: &mut String, texts: &[String], limit: Option<usize>) -> Notes {
    let shown = limit.unwrap_or(usize::MAX).min(texts.len());
    json::texts(out, texts.get(..shown).unwrap_or(texts));
    truncated(texts.len() > shown)
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
