//! Native histograms of protobuf: spans of buckets with deltas (integers) or counts (floats).
//!
//! Buckets become absolute counts; empty ones are dropped, as the peer compacts them. What cannot be a histogram is
//! refused: spans that need other buckets than there are, a negative bucket, a resolution that nobody has. Whether the
//! count is that of the buckets is not this place's business: see `fill`.
//! The number of buckets is bounded by what the message holds and by [`Limits::buckets`](super::super::Limits).
//!
//! Source: Prometheus, `protobufparse.go` (Histogram, isNativeHistogram), `model/histogram` (Validate, Compact).

use model::{Counts, Histogram, MetricKind, ResetHint, Span};

use super::super::entry::ItemKind;
use super::super::nhcb::compact;
use super::super::wire::{Field, Wire, zigzag};
use super::{ProtoScrape, last};

/// The resolutions there are; both ends included.
const SCHEMAS: std::ops::RangeInclusive<i64> = -4..=8;

/// Returns whether a histogram has anything that only a native one has.
pub(super) fn is_native(message: &[u8]) -> Result<bool, String> {
    let mut wire = Wire::new(message);
    while let Some((number, field)) = wire.field()? {
        let is_native = match number {
            6 | 8 => field.double() > 0.0,
            7 => field.integer() > 0,
            9 | 12 => true,
            _ => false,
        };
        if is_native {
            return Ok(true);
        }
    }
    Ok(false)
}

/// One side's buckets as they stand in the message.
#[derive(Default)]
struct Side {
    spans: Vec<Span>,
    deltas: Vec<i64>,
    counts: Vec<f64>,
}

impl ProtoScrape<'_> {
    /// Makes the metric's value a native histogram.
    pub(super) fn native(&mut self) -> Result<(), String> {
        let value = self.metric.value;
        let mut histogram = histogram_of(value, self.limits.buckets)?;
        if self.family.kind == MetricKind::GaugeHistogram {
            histogram.hint = ResetHint::Gauge;
        }
        self.name("");
        self.item.kind = ItemKind::Histogram;
        self.item.histogram = Some(histogram);
        // A native histogram's exemplars need a time; without exemplars of its own those of its buckets count.
        let own = last(value, 16)?.is_some();
        let mut wire = Wire::new(value);
        while let Some((number, field)) = wire.field()? {
            match number {
                16 => self.exemplar(field.bytes())?,
                3 if !own => {
                    if let Some(field) = last(field.bytes(), 3)? {
                        self.exemplar(field.bytes())?;
                    }
                }
                _ => {}
            }
        }
        self.item.exemplars.retain(|exemplar| exemplar.at.is_some());
        Ok(())
    }
}

fn histogram_of(message: &[u8], buckets_max: usize) -> Result<Histogram, String> {
    let (mut positive, mut negative) = (Side::default(), Side::default());
    let (mut count, mut count_float, mut zero, mut zero_float) = (0, 0.0, 0, 0.0);
    let (mut sum, mut schema, mut zero_threshold) = (0.0, 0, 0.0);
    let mut wire = Wire::new(message);
    while let Some((number, field)) = wire.field()? {
        match number {
            1 => count = field.integer(),
            2 => sum = field.double(),
            4 => count_float = field.double(),
            5 => schema = zigzag(field.integer()),
            6 => zero_threshold = field.double(),
            7 => zero = field.integer(),
            8 => zero_float = field.double(),
            9 => negative.spans.push(span(field.bytes())?),
            10 => push_deltas(&mut negative.deltas, field, buckets_max)?,
            11 => push_counts(&mut negative.counts, field, buckets_max)?,
            12 => positive.spans.push(span(field.bytes())?),
            13 => push_deltas(&mut positive.deltas, field, buckets_max)?,
            14 => push_counts(&mut positive.counts, field, buckets_max)?,
            _ => {}
        }
        let buckets = [&positive, &negative].map(|side| side.deltas.len().max(side.counts.len()).max(side.spans.len()));
        if buckets.iter().sum::<usize>() > buckets_max {
            return Err(format!("expected at most {buckets_max} histogram buckets"));
        }
    }
    if !SCHEMAS.contains(&schema) {
        return Err(format!("expected a histogram schema of -4 to 8, got {schema}"));
    }
    let is_float = count_float > 0.0 || zero_float > 0.0;
    let (positive_spans, negative_spans, counts) = match is_float {
        true => {
            let (positive_spans, positive) = floats(positive)?;
            let (negative_spans, negative) = floats(negative)?;
            (positive_spans, negative_spans, Counts::Float { count: count_float, zero: zero_float, positive, negative })
        }
        false => {
            let (positive_spans, positive) = integers(positive)?;
            let (negative_spans, negative) = integers(negative)?;
            (positive_spans, negative_spans, Counts::Integer { count, zero, positive, negative })
        }
    };
    Ok(Histogram {
        schema: schema as i32,
        zero_threshold,
        sum,
        positive_spans,
        negative_spans,
        custom_bounds: Vec::new(),
        counts,
        hint: ResetHint::Unknown,
    })
}

fn integers(side: Side) -> Result<(Vec<Span>, Vec<u64>), String> {
    check_spans(&side.spans, side.deltas.len())?;
    let mut counts = Vec::with_capacity(side.deltas.len());
    let mut count = 0i64;
    for delta in side.deltas {
        count = count.saturating_add(delta);
        counts.push(u64::try_from(count).map_err(|_| format!("expected a bucket of 0 or more, got {count}"))?);
    }
    Ok(compact(&side.spans, &counts, 0))
}

fn floats(side: Side) -> Result<(Vec<Span>, Vec<f64>), String> {
    check_spans(&side.spans, side.counts.len())?;
    if let Some(bad) = side.counts.iter().find(|count| **count < 0.0 || count.is_nan()) {
        return Err(format!("expected a bucket of 0 or more, got {bad}"));
    }
    Ok(compact(&side.spans, &side.counts, 0))
}

fn check_spans(spans: &[Span], buckets: usize) -> Result<(), String> {
    let needed: u64 = spans.iter().map(|span| u64::from(span.length)).sum();
    if needed != buckets as u64 {
        return Err(format!("spans need {needed} buckets, have {buckets} buckets"));
    }
    if let Some(bad) = spans.iter().skip(1).find(|span| span.offset < 0) {
        return Err(format!("expected a span's offset of 0 or more, got {}", bad.offset));
    }
    Ok(())
}

fn span(message: &[u8]) -> Result<Span, String> {
    let offset = zigzag(last(message, 1)?.map_or(0, Field::integer));
    let length = last(message, 2)?.map_or(0, Field::integer);
    let (Ok(offset), Ok(length)) = (i32::try_from(offset), u32::try_from(length)) else {
        return Err(format!("expected a span of 32 bits, got offset {offset} and length {length}"));
    };
    Ok(Span { offset, length })
}

/// Takes packed or single deltas, and stops one behind the limit, which the caller refuses.
fn push_deltas(out: &mut Vec<i64>, field: Field<'_>, buckets_max: usize) -> Result<(), String> {
    let Field::Bytes(packed) = field else {
        out.push(zigzag(field.integer()));
        return Ok(());
    };
    let mut wire = Wire::new(packed);
    while !wire.rest.is_empty() && out.len() <= buckets_max {
        out.push(zigzag(wire.varint()?));
    }
    Ok(())
}

fn push_counts(out: &mut Vec<f64>, field: Field<'_>, buckets_max: usize) -> Result<(), String> {
    let Field::Bytes(packed) = field else {
        out.push(field.double());
        return Ok(());
    };
    let (counts, rest) = packed.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(format!("expected packed doubles, got {} bytes", packed.len()));
    }
    out.extend(counts.iter().take(buckets_max + 1).map(|bits| f64::from_le_bytes(*bits)));
    Ok(())
}
