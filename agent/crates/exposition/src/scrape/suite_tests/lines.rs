//! Writes what was read, and what a table expects, as one line an entry, so that they can be compared.
//!
//! Times are milliseconds, floats their bits, labels sorted; a histogram's buckets are the deltas of the tables.

use std::fmt::Write;

use model::{Counts, Histogram, MetricKind};
use serde_json::Value;

use super::super::number;
use super::super::{Entry, Exemplars, LabelRefs};

pub(super) fn line_of(entry: &Entry<'_>) -> String {
    match entry {
        Entry::Help { name, text } => format!("help {name} {text:?}"),
        Entry::Type { name, kind } => format!("type {name} {}", kind_name(*kind)),
        Entry::Unit { name, unit } => format!("unit {name} {unit:?}"),
        Entry::Comment(text) => format!("comment {:?}", String::from_utf8_lossy(text)),
        Entry::Sample(s) => {
            let value = format!("{:x}", s.value.to_bits());
            series_line(s.name, &s.labels, &value, s.at.map(|t| t.0), s.start.map(|t| t.0), &s.exemplars)
        }
        Entry::Histogram(s) => {
            let value = histogram_line(s.histogram);
            series_line(s.name, &s.labels, &value, s.at.map(|t| t.0), s.start.map(|t| t.0), &s.exemplars)
        }
    }
}

fn series_line(
    name: &str,
    labels: &LabelRefs<'_>,
    value: &str,
    at: Option<i64>,
    start: Option<i64>,
    exemplars: &Exemplars<'_>,
) -> String {
    let mut pairs: Vec<(String, String)> = labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    pairs.push(("__name__".to_owned(), name.to_owned()));
    let mut line = written(pairs, value, at, start.unwrap_or(0));
    for exemplar in exemplars.iter() {
        let mut pairs: Vec<_> = exemplar.labels.iter().collect();
        pairs.sort_unstable();
        write!(line, " # {pairs:?} {} {:?}", exemplar.value, exemplar.at.map(|at| at.0)).expect("a string");
    }
    line
}

fn written(mut pairs: Vec<(String, String)>, value: &str, at: Option<i64>, start: i64) -> String {
    pairs.sort_unstable();
    format!("{pairs:?} {value} at {at:?} since {start}")
}

fn histogram_line(h: &Histogram) -> String {
    let Counts::Integer { count, zero, positive, negative } = &h.counts else { panic!("an integer histogram") };
    let deltas = |counts: &[u64]| -> Vec<i64> {
        let below = std::iter::once(0).chain(counts.iter().map(|c| *c as i64));
        counts.iter().zip(below).map(|(count, below)| *count as i64 - below).collect()
    };
    let spans = |spans: &[model::Span]| -> Vec<(i64, u64)> {
        spans.iter().map(|span| (span.offset.into(), span.length.into())).collect()
    };
    format!(
        "schema {} count {count} zero {zero} {:?} sum {:?} + {:?} {:?} - {:?} {:?} bounds {:?}",
        h.schema,
        h.zero_threshold,
        h.sum,
        spans(&h.positive_spans),
        deltas(positive),
        spans(&h.negative_spans),
        deltas(negative),
        h.custom_bounds,
    )
}

fn kind_name(kind: MetricKind) -> &'static str {
    match kind {
        MetricKind::Gauge => "gauge",
        MetricKind::Counter => "counter",
        MetricKind::Histogram => "histogram",
        MetricKind::GaugeHistogram => "gaugehistogram",
        MetricKind::Summary => "summary",
        MetricKind::Info => "info",
        MetricKind::StateSet => "stateset",
        MetricKind::Unknown => "unknown",
    }
}

/// Returns the line that a table's item stands for.
pub(super) fn expected(item: &Value, typed: bool) -> String {
    let text = |key: &str| item[key].as_str().map(str::to_owned);
    let name = text("m").unwrap_or_default();
    if let Some(help) = text("help") {
        return format!("help {name} {help:?}");
    }
    if let Some(kind) = text("typ") {
        return format!("type {name} {kind}");
    }
    if let Some(unit) = text("unit") {
        return format!("unit {name} {unit:?}");
    }
    if let Some(comment) = text("comment") {
        return format!("comment {comment:?}");
    }
    let value = match (&item["shs"], &item["v"]) {
        (Value::Null, Value::Object(_)) => format!("{:x}", number::nan().to_bits()),
        (Value::Null, value) => format!("{:x}", value.as_f64().unwrap_or(0.0).to_bits()),
        (histogram, _) => expected_histogram(histogram),
    };
    let start = item["st"].as_i64().unwrap_or(0);
    let mut line = written(expected_labels(&item["lset"], typed), &value, item["t"].as_i64(), start);
    for exemplar in item["es"].as_array().into_iter().flatten() {
        let mut pairs = Vec::new();
        for (name, value) in exemplar["Labels"].as_object().expect("labels") {
            pairs.push((name.as_str(), value.as_str().expect("text")));
        }
        pairs.sort_unstable();
        let at = exemplar["HasTs"].as_bool().unwrap_or(false).then(|| exemplar["Ts"].as_i64().expect("a time"));
        let value = exemplar["Value"].as_f64().expect("a number");
        write!(line, " # {pairs:?} {value} {at:?}").expect("a string");
    }
    line
}

fn expected_labels(lset: &Value, typed: bool) -> Vec<(String, String)> {
    if let Some(args) = lset["_args"].as_array() {
        let mut pairs = expected_labels(&args[1], typed);
        if typed {
            pairs.retain(|(name, _)| name != "__type__");
            pairs.push(("__type__".to_owned(), args[2].as_str().expect("a type").to_owned()));
        }
        return pairs;
    }
    let which = if typed { "with_type_and_unit" } else { "plain" };
    let lset = if lset["plain"].is_null() { lset } else { &lset[which] };
    if let Some(flat) = lset["_labels"].as_array() {
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        return flat.chunks(2).map(|pair| (text(&pair[0]), text(&pair[1]))).collect();
    }
    let pairs = lset.as_object().expect("labels").iter();
    pairs.map(|(name, value)| (name.clone(), value.as_str().expect("text").to_owned())).collect()
}

fn expected_histogram(h: &Value) -> String {
    let spans = |key: &str| -> Vec<(i64, u64)> {
        let spans = h[key].as_array().into_iter().flatten();
        spans.map(|s| (s["Offset"].as_i64().unwrap_or(0), s["Length"].as_u64().unwrap_or(0))).collect()
    };
    let integers = |key: &str| -> Vec<i64> {
        h[key].as_array().into_iter().flatten().map(|v| v.as_i64().expect("an integer")).collect()
    };
    let bounds: Vec<f64> =
        h["CustomValues"].as_array().into_iter().flatten().map(|v| v.as_f64().expect("a number")).collect();
    format!(
        "schema {} count {} zero {} {:?} sum {:?} + {:?} {:?} - {:?} {:?} bounds {:?}",
        h["Schema"].as_i64().unwrap_or(-53),
        h["Count"].as_u64().unwrap_or(0),
        h["ZeroCount"].as_u64().unwrap_or(0),
        h["ZeroThreshold"].as_f64().unwrap_or(0.0),
        h["Sum"].as_f64().unwrap_or(0.0),
        spans("PositiveSpans"),
        integers("PositiveBuckets"),
        spans("NegativeSpans"),
        integers("NegativeBuckets"),
        bounds,
    )
}
