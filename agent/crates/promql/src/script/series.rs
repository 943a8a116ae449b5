//! A series line of the test language: labels, then values of one slot per step.
//!
//! `a{b="c"} 1 2+3x4 _x2 stale {{schema:0 sum:1 count:1 buckets:[1]}}x3`

use std::sync::Arc;

use model::labels::NAME;
use model::{Labels, LabelsBuilder, MatchOp, ResetHint, stale_nan};

use crate::error::ParseError;
use crate::hist::Hist;

/// The most slots one item may stand for.
const SLOTS_MAX: usize = 1_000_000;

/// What one slot holds.
#[derive(Debug, Clone)]
pub(super) enum Slot {
    Nothing,
    Float(f64),
    /// A histogram, and whether its reset hint was written.
    Hist(Arc<Hist>, bool),
}

/// Reads the labels at the front of a line; returns what stands behind.
pub(super) fn labels(line: &str) -> Result<(Labels, &str), String> {
    labels_at(line).map_err(|error| format!("{} in {line:?}", error.message))
}

/// As [`labels`]; an error has the column in the line.
pub(super) fn labels_at(line: &str) -> Result<(Labels, &str), ParseError> {
    let name_end = line.find(|c: char| c.is_whitespace() || c == '{' || c == '@').unwrap_or(line.len());
    let name = &line[..name_end];
    let mut rest = &line[name_end..];
    let mut builder = LabelsBuilder::new();
    let too_long = |error: model::labels::LabelTooLong| ParseError::at(line, 0, error.to_string());
    if name.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+') {
        return Err(ParseError::at(line, 0, format!("unexpected number {name:?} in series values")));
    }
    if !name.is_empty() {
        builder.set(NAME, name).map_err(too_long)?;
    }
    let braces = rest.trim_start();
    if braces.starts_with('{') && !braces.starts_with("{{") {
        let before = (line.len() - braces.len()) as u32;
        let (matchers, used) = crate::parse::parse_label_set(braces)
            .map_err(|error| ParseError { column: error.column + before, ..error })?;
        for matcher in matchers {
            if matcher.op != MatchOp::Equal {
                let what = format!("unexpected {} in label set, expected \"=\"", matcher.op.as_str());
                return Err(ParseError::at(line, before as usize, what));
            }
            builder.set(&matcher.name, &matcher.value).map_err(too_long)?;
        }
        rest = &braces[used..];
    } else if name.is_empty() {
        return Err(ParseError::at(line, 0, "expected a series"));
    }
    Ok((builder.finish(), rest.trim()))
}

/// Reads a quoted text.
pub(super) fn quoted(text: &str) -> Result<String, String> {
    match crate::parse::parse(text).map(|expr| expr.kind) {
        Ok(crate::ast::ExprKind::Text(bytes)) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        _ => Err(format!("{text} is no quoted text")),
    }
}

/// Splits at blanks, but not within `{{...}}`.
fn items(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let (mut start, mut depth) = (None, 0i32);
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        match (c.is_whitespace() && depth <= 0, start) {
            (true, Some(begin)) => {
                out.push(&text[begin..at]);
                start = None;
            }
            (false, None) => start = Some(at),
            _ => {}
        }
    }
    out.extend(start.map(|begin| &text[begin..]));
    out
}

fn repeat(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(n) if n <= SLOTS_MAX => Ok(n),
        _ => Err(format!("{text:?} is no number of repetitions")),
    }
}

/// Reads values.
pub(super) fn slots(text: &str) -> Result<Vec<Slot>, String> {
    let mut out = Vec::new();
    for item in items(text) {
        slot(item, &mut out).map_err(|error| format!("{error} in item {item:?}"))?;
    }
    Ok(out)
}

fn slot(item: &str, out: &mut Vec<Slot>) -> Result<(), String> {
    if let Some(rest) = item.strip_prefix('_') {
        let n = if rest.is_empty() { 1 } else { repeat(rest.strip_prefix('x').ok_or("expected `_xN`")?)? };
        out.extend(std::iter::repeat_n(Slot::Nothing, n));
        return Ok(());
    }
    if item.starts_with("{{") {
        return histograms(item, out);
    }
    let (first, rest) = match item.strip_prefix("stale") {
        Some(rest) => (stale_nan(), rest),
        None => number(item)?,
    };
    let (delta, rest) = match rest.as_bytes().first() {
        Some(b'+' | b'-') => number(rest)?,
        _ => (0.0, rest),
    };
    let n = if rest.is_empty() { 0 } else { repeat(rest.strip_prefix('x').ok_or("expected `xN`")?)? };
    let mut value = first;
    for _ in 0..=n {
        out.push(Slot::Float(value));
        if delta != 0.0 {
            value += delta;
        }
    }
    Ok(())
}

/// Reads a signed number; returns what stands behind.
fn number(text: &str) -> Result<(f64, &str), String> {
    let sign = usize::from(text.starts_with(['+', '-']));
    let body = &text[sign..];
    let mut end = 0;
    if body.starts_with(|c: char| c.is_ascii_alphabetic()) {
        end = body.find(|c: char| !c.is_ascii_alphabetic() || c == 'x').unwrap_or(body.len());
    } else {
        let bytes = body.as_bytes();
        while end < bytes.len() {
            let is_sign = matches!(bytes[end], b'+' | b'-') && end > 0 && matches!(bytes[end - 1], b'e' | b'E');
            if !(bytes[end].is_ascii_digit() || matches!(bytes[end], b'.' | b'_' | b'e' | b'E') || is_sign) {
                break;
            }
            end += 1;
        }
    }
    let value = crate::parse::parse_number(&text[..sign + end]).map_err(|error| format!("{error}: {text:?}"))?;
    Ok((value, &body[end..]))
}

fn histograms(item: &str, out: &mut Vec<Slot>) -> Result<(), String> {
    let end = item.find("}}").ok_or("`{{` without `}}`")?;
    let (first, named) = histogram(&item[2..end])?;
    let rest = &item[end + 2..];
    if rest.is_empty() {
        out.push(Slot::Hist(Arc::new(first), named));
        return Ok(());
    }
    if let Some(n) = rest.strip_prefix('x') {
        let slot = Slot::Hist(Arc::new(first), named);
        out.extend(std::iter::repeat_n(slot, repeat(n)? + 1));
        return Ok(());
    }
    let add = rest.starts_with('+');
    let body =
        rest[1..].strip_prefix("{{").filter(|_| add || rest.starts_with('-')).ok_or("expected `+{{` or `-{{`")?;
    let end = body.find("}}").ok_or("`{{` without `}}`")?;
    let (delta, delta_named) = histogram(&body[..end])?;
    let n = repeat(body[end + 2..].strip_prefix('x').ok_or("expected `xN`")?)?;
    let mut value = first;
    out.push(Slot::Hist(Arc::new(value.clone()), named));
    for _ in 0..n {
        let hint = delta.hint;
        let result = if add { value.add(&delta) } else { value.subtract(&delta) };
        result.map_err(|_| "exponential and custom buckets do not mix")?;
        value.hint = hint;
        out.push(Slot::Hist(Arc::new(value.clone()), delta_named));
    }
    Ok(())
}

/// Reads the inside of `{{...}}`; says whether a reset hint was written.
fn histogram(text: &str) -> Result<(Hist, bool), String> {
    let mut hist = Hist {
        schema: 0,
        zero_threshold: 0.0,
        zero: 0.0,
        count: 0.0,
        sum: 0.0,
        positive: Vec::new(),
        negative: Vec::new(),
        bounds: Arc::from(&[][..]),
        hint: ResetHint::Unknown,
    };
    let (mut offset, mut negative_offset, mut named) = (0, 0, false);
    let (mut positive, mut negative): (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (key, after) = rest.split_once(':').ok_or_else(|| format!("expected `key:value`, found {rest:?}"))?;
        let after = after.trim_start();
        let (value, next) = match after.strip_prefix('[') {
            Some(list) => list.split_once(']').ok_or("`[` without `]`")?,
            None => after.split_at(after.find(char::is_whitespace).unwrap_or(after.len())),
        };
        rest = next.trim_start();
        let float = || crate::parse::parse_number(value).map_err(|error| format!("{error}: {value:?}"));
        let integer = || value.parse::<i32>().map_err(|_| format!("{value:?} is no integer"));
        let list = || value.split_whitespace().map(|v| crate::parse::parse_number(v).map_err(str::to_owned)).collect();
        match key {
            "schema" => hist.schema = integer()?,
            "sum" => hist.sum = float()?,
            "count" => hist.count = float()?,
            "z_bucket" => hist.zero = float()?,
            "z_bucket_w" => hist.zero_threshold = float()?,
            "offset" => offset = integer()?,
            "n_offset" => negative_offset = integer()?,
            "buckets" => {
                positive = {
                    let l: Result<Vec<f64>, String> = list();
                    l?
                }
            }
            "n_buckets" => {
                negative = {
                    let l: Result<Vec<f64>, String> = list();
                    l?
                }
            }
            "custom_values" => {
                let bounds: Result<Vec<f64>, String> = list();
                hist.bounds = bounds?.into();
            }
            "counter_reset_hint" => {
                named = true;
                hist.hint = match value {
                    "unknown" => ResetHint::Unknown,
                    "reset" => ResetHint::Reset,
                    "not_reset" => ResetHint::NotReset,
                    "gauge" => ResetHint::Gauge,
                    other => return Err(format!("{other:?} is no reset hint")),
                };
            }
            other => return Err(format!("unknown key {other:?} of a histogram")),
        }
    }
    let spread = |offset: i32, counts: Vec<f64>| {
        let indexed = counts.into_iter().enumerate().map(|(i, count)| (offset + i as i32, count));
        indexed.filter(|(_, count)| *count != 0.0).collect()
    };
    hist.positive = spread(offset, positive);
    hist.negative = spread(negative_offset, negative);
    Ok((hist, named))
}

/// Reads start timestamps: offsets to the samples' own times.
pub(super) fn starts(text: &str) -> Result<Vec<Option<i64>>, String> {
    let mut out = Vec::new();
    for item in items(text) {
        if let Some(rest) = item.strip_prefix('_') {
            let n = if rest.is_empty() { 1 } else { repeat(rest.strip_prefix('x').ok_or("expected `_xN`")?)? };
            out.extend(std::iter::repeat_n(None, n));
            continue;
        }
        let (body, n) = match item.split_once('x') {
            Some((body, n)) => (body, repeat(n)?),
            None => (item, 0),
        };
        let split = body[1..].find(['+', '-']).map_or(body.len(), |at| at + 1);
        let first = super::read::duration(body[..split].trim_start_matches('+'))?;
        let delta = match &body[split..] {
            "" => 0,
            delta => super::read::duration(delta.trim_start_matches('+'))?,
        };
        out.extend((0..=n as i64).map(|i| Some(first + delta * i)));
    }
    Ok(out)
}
