//! One native histogram of a remote-write request, and whether its numbers can be true.
//!
//! Both versions number its fields alike. Counts come as differences (integers) or absolute (floats); the checks and
//! their words are Prometheus's (`model/histogram`): spans that fit the buckets, counts that are not negative and add
//! up, bounds in order.

use model::histogram::CUSTOM_BUCKETS_SCHEMA;
use model::{Counts, Histogram, ResetHint, Span, UnixMs};

use crate::scrape::wire::{Field, Wire, zigzag};

/// The most buckets of one side.
const BUCKETS_MAX: usize = 10_000;

/// Fields as they are read.
#[derive(Default)]
struct Raw {
    is_float: bool,
    count: u64,
    count_float: f64,
    zero: u64,
    zero_float: f64,
    deltas: [Vec<i64>; 2],
    counts: [Vec<f64>; 2],
    spans: [Vec<Span>; 2],
}

const NEGATIVE: usize = 0;
const POSITIVE: usize = 1;

/// Reads a histogram, with its time and, where it has one, the start of its counter.
pub(super) fn read(message: &[u8]) -> Result<(Histogram, UnixMs, Option<UnixMs>), String> {
    let mut raw = Raw::default();
    let (mut at, mut start) = (0, 0);
    let mut found = Histogram {
        schema: 0,
        zero_threshold: 0.0,
        sum: 0.0,
        positive_spans: Vec::new(),
        negative_spans: Vec::new(),
        custom_bounds: Vec::new(),
        counts: Counts::Integer { count: 0, zero: 0, positive: Vec::new(), negative: Vec::new() },
        hint: ResetHint::Unknown,
    };
    let mut wire = Wire::new(message);
    while let Some((number, field)) = wire.field()? {
        match number {
            1 => raw.count = field.integer(),
            2 => (raw.is_float, raw.count_float) = (true, field.double()),
            3 => found.sum = field.double(),
            4 => found.schema = zigzag(field.integer()) as i32,
            5 => found.zero_threshold = field.double(),
            6 => raw.zero = field.integer(),
            7 => raw.zero_float = field.double(),
            8 => spans(&mut raw.spans[NEGATIVE], field)?,
            9 => integers(&mut raw.deltas[NEGATIVE], field)?,
            10 => doubles(&mut raw.counts[NEGATIVE], field)?,
            11 => spans(&mut raw.spans[POSITIVE], field)?,
            12 => integers(&mut raw.deltas[POSITIVE], field)?,
            13 => doubles(&mut raw.counts[POSITIVE], field)?,
            14 => found.hint = hint(field.integer()),
            15 => at = field.integer() as i64,
            16 => doubles(&mut found.custom_bounds, field)?,
            17 => start = field.integer() as i64,
            _ => {}
        }
    }
    let [negative_spans, positive_spans] = raw.spans;
    (found.negative_spans, found.positive_spans) = (negative_spans, positive_spans);
    found.counts = if raw.is_float {
        let [negative, positive] = raw.counts;
        Counts::Float { count: raw.count_float, zero: raw.zero_float, positive, negative }
    } else {
        let [negative, positive] = raw.deltas.map(|deltas| absolute(&deltas));
        Counts::Integer { count: raw.count, zero: raw.zero, positive: positive?, negative: negative? }
    };
    // Whoever ends a series says so in the sum, and the rest is empty.
    if !model::is_stale_nan(found.sum) {
        check(&found)?;
    }
    Ok((found, UnixMs(at), (start != 0).then_some(UnixMs(start))))
}

fn hint(number: u64) -> ResetHint {
    match number {
        1 => ResetHint::Reset,
        2 => ResetHint::NotReset,
        3 => ResetHint::Gauge,
        _ => ResetHint::Unknown,
    }
}

fn absolute(deltas: &[i64]) -> Result<Vec<u64>, String> {
    let mut last = 0i64;
    let step = |delta: &i64| {
        last = last.wrapping_add(*delta);
        u64::try_from(last)
            .map_err(|_| format!("bucket count is {last}: histogram has a bucket whose observation count is negative"))
    };
    deltas.iter().map(step).collect()
}

fn room(there: usize) -> Result<(), String> {
    match there < BUCKETS_MAX {
        true => Ok(()),
        false => Err(format!("at most {BUCKETS_MAX} buckets are accepted")),
    }
}

fn spans(out: &mut Vec<Span>, field: Field<'_>) -> Result<(), String> {
    room(out.len())?;
    let (mut span, mut wire) = (Span { offset: 0, length: 0 }, Wire::new(field.bytes()));
    while let Some((number, field)) = wire.field()? {
        match number {
            1 => span.offset = zigzag(field.integer()) as i32,
            2 => span.length = field.integer() as u32,
            _ => {}
        }
    }
    out.push(span);
    Ok(())
}

/// Reads signed numbers, packed or one by one.
fn integers(out: &mut Vec<i64>, field: Field<'_>) -> Result<(), String> {
    let Field::Bytes(bytes) = field else {
        room(out.len())?;
        out.push(zigzag(field.integer()));
        return Ok(());
    };
    let mut wire = Wire::new(bytes);
    while !wire.rest.is_empty() {
        room(out.len())?;
        out.push(zigzag(wire.varint()?));
    }
    Ok(())
}

fn doubles(out: &mut Vec<f64>, field: Field<'_>) -> Result<(), String> {
    let Field::Bytes(bytes) = field else {
        room(out.len())?;
        out.push(field.double());
        return Ok(());
    };
    let (chunks, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() {
        return Err("expected packed doubles, got a part of one".to_owned());
    }
    room((out.len() + chunks.len()).saturating_sub(1))?;
    out.extend(chunks.iter().map(|chunk| f64::from_le_bytes(*chunk)));
    Ok(())
}

fn check(found: &Histogram) -> Result<(), String> {
    let is_custom = found.schema == CUSTOM_BUCKETS_SCHEMA;
    if !is_custom && !(-4..=8).contains(&found.schema) {
        return Err(format!("invalid histogram schema {}", found.schema));
    }
    let lengths = match &found.counts {
        Counts::Integer { positive, negative, .. } => (positive.len(), negative.len()),
        Counts::Float { positive, negative, .. } => (positive.len(), negative.len()),
    };
    check_spans("positive", &found.positive_spans, lengths.0)?;
    check_spans("negative", &found.negative_spans, lengths.1)?;
    if is_custom {
        check_custom(found, lengths.1)?;
    } else if !found.custom_bounds.is_empty() {
        return Err("histogram with exponential schema must not have custom bounds".to_owned());
    }
    check_counts(found)
}

fn check_spans(side: &str, spans: &[Span], buckets: usize) -> Result<(), String> {
    for (at, span) in spans.iter().enumerate().skip(1) {
        if span.offset < 0 {
            let offset = span.offset;
            return Err(format!(
                "{side} side: span number {} with offset {offset}: histogram has a span whose offset is negative",
                at + 1
            ));
        }
    }
    let needed: u64 = spans.iter().map(|span| u64::from(span.length)).sum();
    if needed != buckets as u64 {
        return Err(format!(
            "{side} side: spans need {needed} buckets, have {buckets} buckets: histogram spans specify different \
             number of buckets than provided"
        ));
    }
    Ok(())
}

fn check_custom(found: &Histogram, negative: usize) -> Result<(), String> {
    let zero = match found.counts {
        Counts::Integer { zero, .. } => zero as f64,
        Counts::Float { zero, .. } => zero,
    };
    let is_ordered = found.custom_bounds.windows(2).all(|pair| pair[0] < pair[1]);
    if !is_ordered || found.custom_bounds.iter().any(|bound| bound.is_nan()) {
        return Err("histogram custom bounds must be in strictly increasing order".to_owned());
    }
    if found.custom_bounds.last() == Some(&f64::INFINITY) {
        return Err("last +Inf bound must not be explicitly defined".to_owned());
    }
    if zero != 0.0 || found.zero_threshold != 0.0 || negative > 0 || !found.negative_spans.is_empty() {
        return Err("custom buckets: must have neither a zero bucket nor negative buckets".to_owned());
    }
    let mut end = 0i64;
    for span in &found.positive_spans {
        end += i64::from(span.offset) + i64::from(span.length);
    }
    match end > found.custom_bounds.len() as i64 + 1 {
        true => Err(format!(
            "only {} custom bounds defined which is insufficient to cover total span length of {end}",
            found.custom_bounds.len()
        )),
        false => Ok(()),
    }
}

fn check_counts(found: &Histogram) -> Result<(), String> {
    match &found.counts {
        Counts::Integer { count, zero, positive, negative } => {
            let sides = [positive, negative].into_iter().flatten();
            let buckets = sides.fold(u128::from(*zero), |sum, count| sum + u128::from(*count));
            // Observations that are not numbers are counted in no bucket, and make the sum no number.
            let is_wrong =
                if found.sum.is_nan() { buckets > u128::from(*count) } else { buckets != u128::from(*count) };
            match is_wrong {
                true => Err(format!(
                    "{buckets} observations found in buckets, but the Count field is {count}: histogram's observation \
                     count should equal the number of observations found in the buckets"
                )),
                false => Ok(()),
            }
        }
        Counts::Float { count, zero, positive, negative } => {
            let all = [positive, negative].into_iter().flatten();
            match [count, zero].into_iter().chain(all).any(|count| *count < 0.0) {
                true => Err("histogram has a bucket whose observation count is negative".to_owned()),
                false => Ok(()),
            }
        }
    }
}
