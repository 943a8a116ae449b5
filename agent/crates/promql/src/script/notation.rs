//! What unit tests of rules expect, in the test language's notation, and answers printed in it.
//!
//! Texts are Prometheus's: `FloatHistogram.TestExpression` for histograms (as short as possible, one span of buckets)
//! and `labels.Labels.String` for labels. Two histograms are the same for a test when their texts are.

use model::{Labels, ResetHint, Value};

use super::series::{self, Slot};
use crate::hist::Hist;
use crate::print::{go_float, is_plain_label, quote};

/// Reads a label set such as `a{b="c"}`; an empty text is an empty set.
///
/// # Errors
/// What is wrong, as `line:column: parse error: ..`.
pub fn parse_labels(text: &str) -> Result<Labels, String> {
    if text.trim().is_empty() {
        return Ok(Labels::empty());
    }
    let text = text.trim();
    match series::labels_at(text).map_err(|error| error.to_string())? {
        (labels, "") => Ok(labels),
        (_, rest) => {
            let column = text.len() - rest.len() + 1;
            Err(format!("1:{column}: parse error: unexpected {rest:?} after the labels"))
        }
    }
}

/// Reads a histogram such as `{{sum:3 count:2 buckets:[2]}}`; returns its shortest text.
///
/// # Errors
/// When it is no histogram, or several.
pub fn parse_histogram(text: &str) -> Result<String, String> {
    let slots = series::slots(text)?;
    match slots.as_slice() {
        [Slot::Hist(hist, _)] => Ok(expression(hist)),
        [Slot::Float(value)] => Err(format!("expected histogram, got {value:.6}")),
        [Slot::Nothing] => Err("expected histogram, got _".to_owned()),
        all => Err(format!("expected 1 value, got {}", all.len())),
    }
}

/// Returns the shortest text of a value that is a histogram.
pub fn histogram_text(value: &Value) -> Option<String> {
    match value {
        Value::Float(_) => None,
        Value::Histogram(histogram) => Some(expression(&Hist::from_model(histogram))),
    }
}

/// Returns a text in double quotes, as Go's `%q` prints it.
pub fn quoted(text: &str) -> String {
    quote(text)
}

/// Returns labels as `{a="b", c="d"}`, the metric name among them.
pub fn labels_text<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let pair = |(name, value): (&str, &str)| match is_plain_label(name) {
        true => format!("{name}={}", quote(value)),
        false => format!("{}={}", quote(name), quote(value)),
    };
    let pairs: Vec<String> = pairs.into_iter().map(pair).collect();
    ["{", &pairs.join(", "), "}"].concat()
}

fn expression(hist: &Hist) -> String {
    let mut parts = Vec::new();
    if hist.schema != 0 {
        parts.push(format!("schema:{}", hist.schema));
    }
    let numbers =
        [("count", hist.count), ("sum", hist.sum), ("z_bucket", hist.zero), ("z_bucket_w", hist.zero_threshold)];
    let given = numbers.iter().filter(|(_, value)| *value != 0.0);
    parts.extend(given.map(|(name, value)| format!("{name}:{}", go_float(*value))));
    if hist.is_custom() {
        parts.push(format!("custom_values:{}", list(hist.bounds.iter().copied())));
    }
    parts.extend(match hist.hint {
        ResetHint::Unknown => None,
        ResetHint::Reset => Some("counter_reset_hint:reset".to_owned()),
        ResetHint::NotReset => Some("counter_reset_hint:not_reset".to_owned()),
        ResetHint::Gauge => Some("counter_reset_hint:gauge".to_owned()),
    });
    buckets(&mut parts, "", &hist.positive);
    buckets(&mut parts, "n_", &hist.negative);
    ["{{", &parts.join(" "), "}}"].concat()
}

/// Adds the buckets from the first to the last that has something in it.
fn buckets(parts: &mut Vec<String>, sign: &str, all: &[(i32, f64)]) {
    let mut filled = all.iter().filter(|(_, count)| *count != 0.0);
    let Some((first, _)) = filled.next() else { return };
    let last = filled.next_back().map_or(*first, |(last, _)| *last);
    if *first != 0 {
        parts.push(format!("{sign}offset:{first}"));
    }
    let count = |index: i32| all.iter().find(|(at, _)| *at == index).map_or(0.0, |(_, count)| *count);
    parts.push(format!("{sign}buckets:{}", list((*first..=last).map(count))));
}

fn list(values: impl Iterator<Item = f64>) -> String {
    let values: Vec<String> = values.map(go_float).collect();
    ["[", &values.join(" "), "]"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_print_as_short_as_the_peer_prints_them() {
        for (text, expected) in [
            (
                "{{schema:3 count:7 sum:1e9 buckets:[0 1 0 2 0]}}",
                "{{schema:3 count:7 sum:1e+09 offset:1 buckets:[1 0 2]}}",
            ),
            ("{{}}", "{{}}"),
            (
                "{{n_buckets:[4.1 5] n_offset:-5 z_bucket:7.1 z_bucket_w:0.05 counter_reset_hint:gauge}}",
                "{{z_bucket:7.1 z_bucket_w:0.05 counter_reset_hint:gauge n_offset:-5 n_buckets:[4.1 5]}}",
            ),
            (
                "{{schema:-53 count:1 custom_values:[5 10] buckets:[1]}}",
                "{{schema:-53 count:1 custom_values:[5 10] buckets:[1]}}",
            ),
        ] {
            assert_eq!(parse_histogram(text).as_deref(), Ok(expected));
        }
        assert_eq!(parse_histogram("1").unwrap_err(), "expected histogram, got 1.000000");
        assert_eq!(parse_histogram("{{}} 1").unwrap_err(), "expected 1 value, got 2");
    }

    #[test]
    fn labels_are_read_and_printed() {
        let labels = parse_labels(" a{b=\"c\", 'd e'='f'} ").expect("labels");
        assert_eq!(labels_text(labels.iter()), r#"{__name__="a", b="c", "d e"="f"}"#);
        assert_eq!(parse_labels(""), Ok(Labels::empty()));
        assert_eq!(parse_labels("{a=\"b").unwrap_err(), "1:4: parse error: unterminated quoted string");
        assert!(parse_labels("a b").is_err() && parse_labels("a{b!=\"c\"}").is_err());
    }
}
