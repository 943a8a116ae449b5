//! Whether an answer is the expected one. Every difference is said with what was found and what was expected.
//!
//! Floats are compared to a relative 1e-6, histograms bucket by bucket, annotations by text or pattern; points and
//! their times exactly. Nothing is tried twice and nothing is rounded beforehand.

use model::{Labels, UnixMs, Value, is_stale_nan};

use super::read::{Eval, Wanted, When};
use super::series::Slot;
use crate::hist::Hist;
use crate::value::{Answer, QueryValue};

/// Returns whether two floats are the same for a script.
fn same_float(a: f64, b: f64) -> bool {
    if is_stale_nan(a) || is_stale_nan(b) {
        return is_stale_nan(a) && is_stale_nan(b);
    }
    if (a.is_nan() && b.is_nan()) || a == b {
        return true;
    }
    let difference = (a - b).abs();
    let size = a.abs() + b.abs();
    if a == 0.0 || b == 0.0 || size < f64::MIN_POSITIVE {
        return difference < 1e-6 * f64::MIN_POSITIVE;
    }
    difference / size.min(f64::MAX) < 1e-6
}

fn same_hist(found: &Hist, wanted: &Hist, with_hint: bool) -> bool {
    let same_buckets = |a: &[(i32, f64)], b: &[(i32, f64)]| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && same_float(a.1, b.1))
    };
    found.schema == wanted.schema
        && found.zero_threshold == wanted.zero_threshold
        && found.bounds == wanted.bounds
        && same_float(found.count, wanted.count)
        && same_float(found.sum, wanted.sum)
        && same_float(found.zero, wanted.zero)
        && same_buckets(&found.positive, &wanted.positive)
        && same_buckets(&found.negative, &wanted.negative)
        && (!with_hint || found.hint == wanted.hint)
}

fn same_value(found: &Value, wanted: &Slot, old: bool) -> Result<(), String> {
    let same = match (found, wanted) {
        (Value::Float(a), Slot::Float(b)) => same_float(*a, *b),
        (Value::Histogram(a), Slot::Hist(b, named)) => same_hist(&Hist::from_model(a), b, *named && !old),
        _ => false,
    };
    if same { Ok(()) } else { Err(format!("found {}, expected {}", value_text(found), slot_text(wanted))) }
}

fn value_text(value: &Value) -> String {
    match value {
        Value::Float(value) => value.to_string(),
        Value::Histogram(hist) => hist_text(&Hist::from_model(hist)),
    }
}

fn hist_text(hist: &Hist) -> String {
    format!(
        "{} (schema {}, zero width {}, bounds {:?}, {:?})",
        hist.text(),
        hist.schema,
        hist.zero_threshold,
        hist.bounds,
        hist.hint
    )
}

fn slot_text(slot: &Slot) -> String {
    match slot {
        Slot::Nothing => "nothing".into(),
        Slot::Float(value) => value.to_string(),
        Slot::Hist(hist, _) => hist_text(hist),
    }
}

/// Compares warnings and infos.
pub(super) fn annotations(eval: &Eval, answer: &Answer, old: bool) -> Result<(), String> {
    for (name, found, wanted, none) in
        [("warning", &answer.warnings, &eval.warn, eval.no_warn), ("info", &answer.infos, &eval.info, eval.no_info)]
    {
        let found: Vec<&str> = found.iter().map(|text| if old { without_position(text) } else { text }).collect();
        if none && !found.is_empty() {
            return Err(format!("unexpected {name}: {found:?}"));
        }
        if wanted.is_empty() {
            continue;
        }
        let unmet: Vec<&Wanted> =
            wanted.iter().filter(|wanted| !found.iter().any(|text| wanted.accepts(text))).collect();
        if !unmet.is_empty() {
            return Err(format!("no {name} like {unmet:?}, found {found:?}"));
        }
        if let Some(text) = found.iter().find(|text| !wanted.iter().any(|wanted| wanted.accepts(text))) {
            return Err(format!("unexpected {name}: {text:?}"));
        }
    }
    Ok(())
}

/// Takes ` (line:column)` off the end.
fn without_position(text: &str) -> &str {
    match text.rfind(" (") {
        Some(at) if text[at..].ends_with(')') => &text[..at],
        _ => text,
    }
}

/// Compares the answer of an instant query.
pub(super) fn vector(eval: &Eval, found: &QueryValue, old: bool) -> Result<(), String> {
    match found {
        QueryValue::Text(_, text) => match &eval.text {
            Some(wanted) if wanted == text => Ok(()),
            wanted => Err(format!("found the text {text:?}, expected {wanted:?}")),
        },
        QueryValue::Scalar(_, value) => match eval.scalar {
            Some(wanted) if same_float(*value, wanted) => Ok(()),
            wanted => Err(format!("found the scalar {value}, expected {wanted:?}")),
        },
        QueryValue::Vector(items) => {
            if eval.scalar.is_some() || eval.text.is_some() {
                return Err("found a vector, expected a scalar or a text".into());
            }
            let found: Vec<(&Labels, &Value)> = items.iter().map(|item| (&item.labels, &item.value)).collect();
            samples(eval, &found, eval.ordered, old)
        }
        QueryValue::Matrix(_) => matrix(eval, found, old),
    }
}

/// Compares samples of one time.
fn samples(eval: &Eval, found: &[(&Labels, &Value)], ordered: bool, old: bool) -> Result<(), String> {
    for (at, (labels, value)) in found.iter().enumerate() {
        let wanted = eval.series.iter().position(|(wanted, _)| wanted == *labels);
        let Some(wanted) = wanted else { return Err(format!("unexpected series {labels} with {}", value_text(value))) };
        if ordered && wanted != at {
            return Err(format!("{labels} is number {}, expected number {}", at + 1, wanted + 1));
        }
        if found[..at].iter().any(|(before, _)| before == labels) {
            return Err(format!("{labels} is there twice"));
        }
        let slot = eval.series[wanted].1.first().unwrap_or(&Slot::Nothing);
        same_value(value, slot, old).map_err(|error| format!("{labels}: {error}"))?;
    }
    match eval.series.iter().find(|(wanted, _)| !found.iter().any(|(labels, _)| *labels == wanted)) {
        Some((labels, _)) => Err(format!("series {labels} is missing")),
        None => Ok(()),
    }
}

/// Compares the answer of a range query, or of an instant query that returns a matrix.
pub(super) fn matrix(eval: &Eval, found: &QueryValue, old: bool) -> Result<(), String> {
    let QueryValue::Matrix(found) = found else { return Err("expected a matrix".into()) };
    let (start, step) = match (eval.when, eval.matrix) {
        (When::Range { start, step, .. }, _) | (_, Some((start, _, step))) => (start, step),
        _ => return Err("found a matrix, expected a vector".into()),
    };
    if !found.is_sorted_by(|a, b| a.labels < b.labels) {
        return Err("series are not sorted by labels, or one is there twice".into());
    }
    for series in found {
        let labels = &series.labels;
        let Some((_, slots)) = eval.series.iter().find(|(wanted, _)| wanted == labels) else {
            let points: Vec<String> =
                series.points.iter().map(|(at, v)| format!("{}@{}", value_text(v), at.0)).collect();
            return Err(format!("unexpected series {labels} {points:?}"));
        };
        let wanted: Vec<(i64, &Slot)> = slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| !matches!(slot, Slot::Nothing))
            .map(|(i, slot)| (start + i as i64 * step, slot))
            .collect();
        let times: Vec<i64> = series.points.iter().map(|(at, _)| at.0).collect();
        let wanted_times: Vec<i64> = wanted.iter().map(|(at, _)| *at).collect();
        if times != wanted_times {
            return Err(format!("{labels}: found points at {times:?}, expected {wanted_times:?}"));
        }
        for ((at, value), (_, slot)) in series.points.iter().zip(&wanted) {
            same_value(value, slot, old).map_err(|error| format!("{labels} at {}: {error}", at.0))?;
        }
    }
    let missing = eval.series.iter().find(|(wanted, slots)| {
        slots.iter().any(|slot| !matches!(slot, Slot::Nothing)) && !found.iter().any(|series| series.labels == *wanted)
    });
    match missing {
        Some((labels, _)) => Err(format!("series {labels} is missing")),
        None => Ok(()),
    }
}

/// Compares the points of a range query at one time with what an instant query there should return.
pub(super) fn middle(eval: &Eval, found: &QueryValue, at: UnixMs, old: bool) -> Result<(), String> {
    let QueryValue::Matrix(all) = found else { return Err("expected a matrix".into()) };
    if !all.is_sorted_by(|a, b| a.labels < b.labels) {
        return Err("series are not sorted by labels, or one is there twice".into());
    }
    if eval.ordered {
        return Ok(());
    }
    let points: Vec<(&Labels, &Value)> = all
        .iter()
        .filter_map(|series| {
            series.points.iter().find(|(time, _)| *time == at).map(|(_, value)| (&series.labels, value))
        })
        .collect();
    match eval.scalar {
        None => samples(eval, &points, false, old),
        Some(wanted) => match points[..] {
            [(_, Value::Float(value))] if same_float(*value, wanted) => Ok(()),
            _ => Err(format!("found {points:?}, expected the scalar {wanted}")),
        },
    }
}
