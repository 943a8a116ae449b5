//! Stored series as `io.prometheus.client.MetricFamily` messages, each behind its length: what `/federate` answers to
//! whoever asks for protobuf, and the only form that carries native histograms.
//!
//! Fields come in the order of their numbers, so that the bytes are the peer's. Buckets are absolute counts as floats, as
//! the peer sends them. Histograms with custom bounds have no place in this message; their `le` buckets have.
//!
//! Sources: prometheus/client_model `io/prometheus/client/metrics.proto`; Prometheus, `web/federate.go`.

use model::histogram::CUSTOM_BUCKETS_SCHEMA;
use model::{Counts, Histogram, Labels, MetricKind, ResetHint, Span, Value};

use crate::federate::{Escaping, FederateRow, for_each_label, push_name, sort};

/// The message's numbers for kinds.
const COUNTER: u64 = 0;
const GAUGE: u64 = 1;
const UNTYPED: u64 = 3;
const HISTOGRAM: u64 = 4;
const GAUGE_HISTOGRAM: u64 = 5;

/// Sorts the rows and appends their messages. `kind_of` answers for the metric name of a float.
pub fn write_federate_proto(
    rows: &mut [FederateRow],
    external: &Labels,
    escaping: Escaping,
    kind_of: &dyn Fn(&str) -> MetricKind,
    out: &mut Vec<u8>,
) {
    sort(rows);
    let named = |row: &&FederateRow| !row.labels.name().is_empty();
    let mut family = Vec::new();
    let mut last: Option<(&str, u64)> = None;
    for row in rows.iter().filter(named) {
        let key = (row.labels.name(), kind(row, kind_of));
        if last != Some(key) {
            finish(&mut family, out);
            let mut name = String::new();
            push_name(&mut name, key.0, true, escaping);
            push_bytes(&mut family, 1, name.as_bytes());
            push_varint_field(&mut family, 3, key.1);
            last = Some(key);
        }
        push_message(&mut family, 4, |metric| write_metric(metric, row, external, escaping, key.1));
    }
    finish(&mut family, out);
}

/// Appends a family behind its length, if there is one.
fn finish(family: &mut Vec<u8>, out: &mut Vec<u8>) {
    if !family.is_empty() {
        push_varint(out, family.len() as u64);
        out.append(family);
    }
}

fn kind(row: &FederateRow, kind_of: &dyn Fn(&str) -> MetricKind) -> u64 {
    match &row.value {
        Value::Histogram(histogram) if histogram.hint == ResetHint::Gauge => GAUGE_HISTOGRAM,
        Value::Histogram(_) => HISTOGRAM,
        Value::Float(_) => match kind_of(row.labels.name()) {
            MetricKind::Counter => COUNTER,
            MetricKind::Gauge | MetricKind::Info | MetricKind::StateSet => GAUGE,
            // Parts of classic histograms and summaries are families of their own here, and no whole ones.
            _ => UNTYPED,
        },
    }
}

fn write_metric(out: &mut Vec<u8>, row: &FederateRow, external: &Labels, escaping: Escaping, kind: u64) {
    for_each_label(row, external, &mut |name, value| {
        let mut shown = String::new();
        push_name(&mut shown, name, false, escaping);
        push_message(out, 1, |pair| {
            push_bytes(pair, 1, shown.as_bytes());
            push_bytes(pair, 2, value.as_bytes());
        });
    });
    match &row.value {
        Value::Float(value) => {
            let field = match kind {
                GAUGE => 2,
                COUNTER => 3,
                _ => 5,
            };
            push_message(out, field, |number| push_double(number, 1, *value));
            push_varint_field(out, 6, row.at.0 as u64);
        }
        Value::Histogram(histogram) => {
            push_varint_field(out, 6, row.at.0 as u64);
            push_message(out, 7, |body| match histogram.schema {
                CUSTOM_BUCKETS_SCHEMA => write_custom(body, histogram),
                _ => write_native(body, histogram),
            });
        }
    }
}

/// The counts as floats: all, those around zero, and those of both sides.
fn floats(counts: &Counts) -> (f64, f64, Vec<f64>, Vec<f64>) {
    let of = |counts: &[u64]| counts.iter().map(|count| *count as f64).collect();
    match counts {
        Counts::Integer { count, zero, positive, negative } => {
            (*count as f64, *zero as f64, of(positive), of(negative))
        }
        Counts::Float { count, zero, positive, negative } => (*count, *zero, positive.clone(), negative.clone()),
    }
}

fn write_native(out: &mut Vec<u8>, histogram: &Histogram) {
    let (count, zero, positive, negative) = floats(&histogram.counts);
    push_double(out, 2, histogram.sum);
    push_double(out, 4, count);
    push_varint_field(out, 5, zigzag(histogram.schema));
    push_double(out, 6, histogram.zero_threshold);
    push_double(out, 8, zero);
    write_side(out, 9, &histogram.negative_spans, 11, &negative);
    write_side(out, 12, &histogram.positive_spans, 14, &positive);
}

fn write_side(out: &mut Vec<u8>, span_field: u32, spans: &[Span], count_field: u32, counts: &[f64]) {
    for span in spans {
        push_message(out, span_field, |body| {
            push_varint_field(body, 1, zigzag(span.offset));
            push_varint_field(body, 2, u64::from(span.length));
        });
    }
    counts.iter().for_each(|count| push_double(out, count_field, *count));
}

/// A histogram with custom bounds, as the classic one that it was made of.
fn write_custom(out: &mut Vec<u8>, histogram: &Histogram) {
    let (count, _, positive, _) = floats(&histogram.counts);
    push_double(out, 2, histogram.sum);
    let mut counts = vec![0.0; histogram.custom_bounds.len() + 1];
    let (mut index, mut values) = (0i64, positive.into_iter());
    for span in &histogram.positive_spans {
        index += i64::from(span.offset);
        for value in values.by_ref().take(span.length as usize) {
            if let Some(slot) = usize::try_from(index).ok().and_then(|at| counts.get_mut(at)) {
                *slot = value;
            }
            index += 1;
        }
    }
    let mut sum = 0.0;
    for (value, bound) in counts.iter().zip(&histogram.custom_bounds) {
        sum += value;
        push_message(out, 3, |bucket| {
            push_double(bucket, 2, *bound);
            push_double(bucket, 4, sum);
        });
    }
    push_double(out, 4, count);
}

fn zigzag(value: i32) -> u64 {
    u64::from(((value << 1) ^ (value >> 31)) as u32)
}

fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn push_varint_field(out: &mut Vec<u8>, field: u32, value: u64) {
    push_varint(out, u64::from(field << 3));
    push_varint(out, value);
}

fn push_double(out: &mut Vec<u8>, field: u32, value: f64) {
    push_varint(out, u64::from(field << 3 | 1));
    out.extend(value.to_le_bytes());
}

fn push_bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    push_varint(out, u64::from(field << 3 | 2));
    push_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn push_message(out: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    let mut body = Vec::new();
    write(&mut body);
    push_bytes(out, field, &body);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::UnixMs;

    use super::*;

    fn bytes(value: Value, kind: MetricKind) -> Vec<u8> {
        let labels = Labels::from_pairs([("__name__", "up"), ("job", "x")]);
        let mut rows = [FederateRow { labels, value, at: UnixMs(1_795_249_204_020) }];
        let mut out = Vec::new();
        write_federate_proto(&mut rows, &Labels::empty(), Escaping::Underscores, &|_| kind, &mut out);
        out
    }

    #[test]
    fn a_float_has_the_bytes_that_the_peer_sends() {
        let mut expected = b"\x32\x0a\x02up\x18\x03\x22\x2a\x0a\x08\x0a\x03job\x12\x01x".to_vec();
        expected
            .extend(b"\x0a\x0c\x0a\x08instance\x12\x00\x2a\x09\x09\0\0\0\0\0\0\xf0\x3f\x30\xb4\xd6\xc3\xe9\x9f\x34");
        let found = bytes(Value::Float(1.0), MetricKind::Unknown);
        assert_eq!(found, expected, "{found:02x?}");
        assert_eq!(bytes(Value::Float(1.0), MetricKind::Counter)[6], 0);
        assert_eq!(bytes(Value::Float(1.0), MetricKind::Gauge)[6], 1);
    }

    #[test]
    fn a_histogram_with_custom_bounds_is_sent_as_a_classic_one() {
        let histogram = Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            zero_threshold: 0.0,
            sum: 3.0,
            positive_spans: vec![Span { offset: 1, length: 2 }],
            negative_spans: Vec::new(),
            custom_bounds: vec![0.5, 2.0],
            counts: Counts::Integer { count: 7, zero: 0, positive: vec![3, 4], negative: Vec::new() },
            hint: ResetHint::Unknown,
        };
        let mut out = Vec::new();
        write_custom(&mut out, &histogram);
        let mut expected = Vec::new();
        push_double(&mut expected, 2, 3.0);
        for (bound, count) in [(0.5, 0.0f64), (2.0, 3.0)] {
            push_message(&mut expected, 3, |bucket| {
                push_double(bucket, 2, bound);
                push_double(bucket, 4, count);
            });
        }
        push_double(&mut expected, 4, 7.0);
        assert_eq!(out, expected);
        // Spans that lie about their place do no harm.
        let spans = vec![Span { offset: i32::MIN, length: u32::MAX }, Span { offset: i32::MAX, length: 9 }];
        bytes(Value::Histogram(Arc::new(Histogram { positive_spans: spans, ..histogram })), MetricKind::Unknown);
    }
}
