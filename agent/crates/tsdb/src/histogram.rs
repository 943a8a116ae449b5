//! A native histogram as bytes: everything, every time, as varints and little-endian floats.
//!
//! Bit-exact, bounded by `BUCKETS_MAX`, and safe to read from any bytes. Writing a layout once and bucket deltas
//! after it is a later step.

use model::{Counts, Histogram, ResetHint, Span};

use crate::wire::{Take, put_u64, put_varint, put_zigzag};

const BUCKETS_MAX: usize = 256;

/// Returns the most bytes that one takes, from how many entries it has: buckets and spans are at most ten bytes each.
pub(crate) fn bytes_max(histogram: &Histogram) -> usize {
    let buckets = match &histogram.counts {
        Counts::Integer { positive, negative, .. } => positive.len() + negative.len(),
        Counts::Float { positive, negative, .. } => positive.len() + negative.len(),
    };
    let spans = histogram.positive_spans.len() + histogram.negative_spans.len();
    96 + (buckets + spans) * 10 + histogram.custom_bounds.len() * 8
}

/// Appends a histogram.
pub(crate) fn put(out: &mut Vec<u8>, histogram: &Histogram) {
    put_zigzag(out, i64::from(histogram.schema));
    out.push(match histogram.hint {
        ResetHint::Unknown => 0,
        ResetHint::Reset => 1,
        ResetHint::NotReset => 2,
        ResetHint::Gauge => 3,
    });
    put_u64(out, histogram.zero_threshold.to_bits());
    put_u64(out, histogram.sum.to_bits());
    for spans in [&histogram.positive_spans, &histogram.negative_spans] {
        put_varint(out, spans.len() as u64);
        for span in spans {
            put_zigzag(out, i64::from(span.offset));
            put_varint(out, u64::from(span.length));
        }
    }
    put_floats(out, &histogram.custom_bounds);
    match &histogram.counts {
        Counts::Integer { count, zero, positive, negative } => {
            out.push(0);
            put_varint(out, *count);
            put_varint(out, *zero);
            for buckets in [positive, negative] {
                put_varint(out, buckets.len() as u64);
                buckets.iter().for_each(|bucket| put_varint(out, *bucket));
            }
        }
        Counts::Float { count, zero, positive, negative } => {
            out.push(1);
            put_u64(out, count.to_bits());
            put_u64(out, zero.to_bits());
            put_floats(out, positive);
            put_floats(out, negative);
        }
    }
}

/// Reads what [`put`] wrote.
pub(crate) fn take(bytes: &[u8]) -> Option<Histogram> {
    let take = &mut Take::new(bytes);
    let schema = i32::try_from(take.zigzag()?).ok()?;
    let hint = match take.u8()? {
        0 => ResetHint::Unknown,
        1 => ResetHint::Reset,
        2 => ResetHint::NotReset,
        3 => ResetHint::Gauge,
        _ => return None,
    };
    let zero_threshold = f64::from_bits(take.u64()?);
    let sum = f64::from_bits(take.u64()?);
    let (positive_spans, negative_spans) = (take_spans(take)?, take_spans(take)?);
    let custom_bounds = take_floats(take)?;
    let counts = match take.u8()? {
        0 => Counts::Integer {
            count: take.varint()?,
            zero: take.varint()?,
            positive: take_integers(take)?,
            negative: take_integers(take)?,
        },
        1 => Counts::Float {
            count: f64::from_bits(take.u64()?),
            zero: f64::from_bits(take.u64()?),
            positive: take_floats(take)?,
            negative: take_floats(take)?,
        },
        _ => return None,
    };
    Some(Histogram { schema, zero_threshold, sum, positive_spans, negative_spans, custom_bounds, counts, hint })
}

fn put_floats(out: &mut Vec<u8>, floats: &[f64]) {
    put_varint(out, floats.len() as u64);
    floats.iter().for_each(|float| put_u64(out, float.to_bits()));
}

fn take_floats(take: &mut Take<'_>) -> Option<Vec<f64>> {
    let count = take.count().filter(|count| *count <= BUCKETS_MAX)?;
    (0..count).map(|_| take.u64().map(f64::from_bits)).collect()
}

fn take_integers(take: &mut Take<'_>) -> Option<Vec<u64>> {
    let count = take.count().filter(|count| *count <= BUCKETS_MAX)?;
    (0..count).map(|_| take.varint()).collect()
}

fn take_spans(take: &mut Take<'_>) -> Option<Vec<Span>> {
    let count = take.count().filter(|count| *count <= BUCKETS_MAX)?;
    (0..count).map(|_| Some(Span { offset: i32::try_from(take.zigzag()?).ok()?, length: take.varint32()? })).collect()
}

/// Returns whether a histogram is small enough to be stored.
pub(crate) fn fits(histogram: &Histogram) -> bool {
    let buckets = match &histogram.counts {
        Counts::Integer { positive, negative, .. } => positive.len().max(negative.len()),
        Counts::Float { positive, negative, .. } => positive.len().max(negative.len()),
    };
    let spans = histogram.positive_spans.len().max(histogram.negative_spans.len());
    buckets.max(spans).max(histogram.custom_bounds.len()) <= BUCKETS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(histogram: &Histogram) {
        let mut out = Vec::new();
        put(&mut out, histogram);
        assert_eq!(take(&out).as_ref(), Some(histogram));
        for cut in 0..out.len() {
            assert_eq!(take(&out[..cut]), None);
        }
    }

    #[test]
    fn histograms_come_back() {
        let mut histogram = Histogram {
            schema: 3,
            zero_threshold: 1e-128,
            sum: 42.5,
            positive_spans: vec![Span { offset: -4, length: 2 }, Span { offset: 3, length: 1 }],
            negative_spans: vec![],
            custom_bounds: vec![],
            counts: Counts::Integer { count: 300, zero: 2, positive: vec![1, 290, 7], negative: vec![] },
            hint: ResetHint::NotReset,
        };
        check(&histogram);
        histogram.schema = -53;
        histogram.custom_bounds = vec![0.1, 0.5, f64::INFINITY];
        histogram.counts = Counts::Float { count: 1.5, zero: 0.0, positive: vec![0.5, 1.0], negative: vec![] };
        check(&histogram);
    }
}
