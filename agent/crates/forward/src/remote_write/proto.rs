//! The bytes of a `prometheus.WriteRequest`, written without a schema compiler.
//!
//! ```text
//! WriteRequest  1: TimeSeries*
//! TimeSeries    1: Label*  2: Sample*  4: Histogram*
//! Label         1: name  2: value            Sample  1: double value  2: int64 timestamp (ms)
//! Histogram     1|2: count u64|double  3: sum  4: schema s32  5: zero_threshold  6|7: zero count u64|double
//!               8: negative spans  9: negative deltas s64  10: negative counts double
//!               11, 12, 13: the same, positive  14: reset hint  15: timestamp  16: custom bounds
//! BucketSpan    1: offset s32  2: length u32
//! ```
//!
//! Fields that are zero are left out, as proto3 says; a value of -0 is not zero. Only writes: reading is a test's.

use model::{Counts, Histogram, ResetHint, UnixMs};

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;

/// The most bytes that a float sample takes within its series: tag, length, value, time.
pub const SAMPLE_BYTES_MAX: usize = 2 + 9 + 11;

/// Appends a message field: its tag, its length, and what `write` appends.
pub fn message(out: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    tag(out, field, BYTES);
    let start = out.len();
    write(out);
    prefix_length(out, start);
}

/// Appends a label of a series.
pub fn label(out: &mut Vec<u8>, name: &str, value: &str) {
    message(out, 1, |out| {
        string(out, 1, name);
        string(out, 2, value);
    });
}

/// Appends a float sample of a series.
pub fn sample(out: &mut Vec<u8>, value: f64, at: UnixMs) {
    message(out, 2, |out| {
        double(out, 1, value);
        uint(out, 2, at.0 as u64);
    });
}

/// Appends a native histogram of a series.
pub fn histogram(out: &mut Vec<u8>, histogram: &Histogram, at: UnixMs) {
    message(out, 4, |out| {
        match &histogram.counts {
            // The counts are a oneof: written even when they are zero, to say which kind it is.
            Counts::Integer { count, zero, .. } => {
                tag(out, 1, VARINT);
                varint(out, *count);
                tag(out, 6, VARINT);
                varint(out, *zero);
            }
            Counts::Float { count, zero, .. } => {
                fixed(out, 2, *count);
                fixed(out, 7, *zero);
            }
        }
        double(out, 3, histogram.sum);
        uint(out, 4, zigzag(i64::from(histogram.schema)));
        double(out, 5, histogram.zero_threshold);
        for (field, spans) in [(8, &histogram.negative_spans), (11, &histogram.positive_spans)] {
            for span in spans {
                message(out, field, |out| {
                    uint(out, 1, zigzag(i64::from(span.offset)));
                    uint(out, 2, u64::from(span.length));
                });
            }
        }
        match &histogram.counts {
            Counts::Integer { positive, negative, .. } => {
                deltas(out, 9, negative);
                deltas(out, 12, positive);
            }
            Counts::Float { positive, negative, .. } => {
                doubles(out, 10, negative);
                doubles(out, 13, positive);
            }
        }
        uint(out, 14, hint(histogram.hint));
        uint(out, 15, at.0 as u64);
        doubles(out, 16, &histogram.custom_bounds);
    });
}

/// Returns an upper bound of the bytes a native histogram takes within its series.
pub fn histogram_bytes_max(histogram: &Histogram) -> usize {
    let spans = histogram.positive_spans.len() + histogram.negative_spans.len();
    let buckets = match &histogram.counts {
        Counts::Integer { positive, negative, .. } => positive.len() + negative.len(),
        Counts::Float { positive, negative, .. } => positive.len() + negative.len(),
    };
    128 + spans * 16 + buckets * 10 + histogram.custom_bounds.len() * 8
}

/// Returns an upper bound of the bytes a label takes within its series.
pub fn label_bytes_max(name: &str, value: &str) -> usize {
    12 + name.len() + value.len()
}

fn hint(hint: ResetHint) -> u64 {
    match hint {
        ResetHint::Unknown => 0,
        ResetHint::Reset => 1,
        ResetHint::NotReset => 2,
        ResetHint::Gauge => 3,
    }
}

/// Each count as its difference to the one before it, across both spans and gaps.
fn deltas(out: &mut Vec<u8>, field: u32, counts: &[u64]) {
    if counts.is_empty() {
        return;
    }
    message(out, field, |out| {
        let mut last = 0u64;
        for count in counts {
            varint(out, zigzag(count.wrapping_sub(last) as i64));
            last = *count;
        }
    });
}

fn doubles(out: &mut Vec<u8>, field: u32, values: &[f64]) {
    if values.is_empty() {
        return;
    }
    message(out, field, |out| values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes())));
}

fn double(out: &mut Vec<u8>, field: u32, value: f64) {
    if value.to_bits() != 0 {
        fixed(out, field, value);
    }
}

fn fixed(out: &mut Vec<u8>, field: u32, value: f64) {
    tag(out, field, FIXED64);
    out.extend_from_slice(&value.to_le_bytes());
}

fn uint(out: &mut Vec<u8>, field: u32, value: u64) {
    if value != 0 {
        tag(out, field, VARINT);
        varint(out, value);
    }
}

fn string(out: &mut Vec<u8>, field: u32, text: &str) {
    tag(out, field, BYTES);
    varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn tag(out: &mut Vec<u8>, field: u32, wire: u32) {
    varint(out, u64::from(field << 3 | wire));
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Puts the length of what was appended since `start` before it: appended behind, then turned to the front, which
/// moves the few hundred bytes of a series by one or two and needs no second buffer.
fn prefix_length(out: &mut Vec<u8>, start: usize) {
    let end = out.len();
    varint(out, (end - start) as u64);
    let prefix_bytes = out.len() - end;
    out[start..].rotate_right(prefix_bytes);
}
