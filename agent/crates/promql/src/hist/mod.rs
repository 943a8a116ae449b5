//! A native histogram while it is computed with: counts are floats, buckets are pairs of index and count.
//!
//! Empty buckets are left out, so that two histograms of the same observations are equal however their spans were
//! written. `arith` adds, scales and compares; `read` finds quantiles and fractions. Formula of the bounds: bucket
//! `i` of schema `s` ends at `2^(i * 2^-s)`; with custom bounds it ends at `bounds[i]`, the last at infinity.

use std::sync::Arc;

use model::histogram::{CUSTOM_BUCKETS_SCHEMA, exponential_bound};
use model::{Counts, Histogram, ResetHint, Span};

mod arith;
mod read;

pub(crate) use arith::Sum;
pub(crate) use read::{Part, fraction_of};

/// A histogram with float counts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hist {
    pub schema: i32,
    pub zero_threshold: f64,
    pub zero: f64,
    pub count: f64,
    pub sum: f64,
    /// Index and count, ascending by index.
    pub positive: Vec<(i32, f64)>,
    pub negative: Vec<(i32, f64)>,
    pub bounds: Arc<[f64]>,
    pub hint: ResetHint,
}

impl Hist {
    /// Takes over a stored histogram.
    pub fn from_model(from: &Histogram) -> Hist {
        let spread = |spans: &[Span], count: &dyn Fn(usize) -> f64| {
            let mut out = Vec::new();
            let (mut index, mut at) = (0i32, 0);
            for span in spans {
                index = index.saturating_add(span.offset);
                for _ in 0..span.length {
                    let value = count(at);
                    if value != 0.0 {
                        out.push((index, value));
                    }
                    index = index.saturating_add(1);
                    at += 1;
                }
            }
            out
        };
        let (count, zero, positive, negative) = match &from.counts {
            Counts::Integer { count, zero, positive, negative } => (
                *count as f64,
                *zero as f64,
                spread(&from.positive_spans, &|i| positive.get(i).map_or(0.0, |n| *n as f64)),
                spread(&from.negative_spans, &|i| negative.get(i).map_or(0.0, |n| *n as f64)),
            ),
            Counts::Float { count, zero, positive, negative } => (
                *count,
                *zero,
                spread(&from.positive_spans, &|i| positive.get(i).copied().unwrap_or(0.0)),
                spread(&from.negative_spans, &|i| negative.get(i).copied().unwrap_or(0.0)),
            ),
        };
        Hist {
            schema: from.schema,
            zero_threshold: from.zero_threshold,
            zero,
            count,
            sum: from.sum,
            positive,
            negative,
            bounds: from.custom_bounds.as_slice().into(),
            hint: from.hint,
        }
    }

    /// Returns how many floats take as much memory.
    pub fn weight(&self) -> usize {
        4 + self.positive.len() + self.negative.len() + self.bounds.len()
    }

    /// Returns it as it is handed out.
    pub fn to_model(&self) -> Histogram {
        let spans = |buckets: &[(i32, f64)]| {
            let mut spans: Vec<Span> = Vec::new();
            let mut next = 0i32;
            for (index, _) in buckets {
                match spans.last_mut() {
                    Some(last) if next == *index => last.length += 1,
                    _ => spans.push(Span { offset: index.saturating_sub(next), length: 1 }),
                }
                next = index.saturating_add(1);
            }
            spans
        };
        let counts = |buckets: &[(i32, f64)]| buckets.iter().map(|(_, count)| *count).collect();
        Histogram {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            sum: self.sum,
            positive_spans: spans(&self.positive),
            negative_spans: spans(&self.negative),
            custom_bounds: self.bounds.to_vec(),
            counts: Counts::Float {
                count: self.count,
                zero: self.zero,
                positive: counts(&self.positive),
                negative: counts(&self.negative),
            },
            hint: self.hint,
        }
    }

    /// Returns whether the bounds are custom ones.
    pub fn is_custom(&self) -> bool {
        self.schema == CUSTOM_BUCKETS_SCHEMA
    }

    /// Returns the upper bound of a positive bucket.
    pub fn upper(&self, index: i32) -> f64 {
        if self.is_custom() {
            let at = usize::try_from(index).unwrap_or(0);
            return self.bounds.get(at).copied().unwrap_or(f64::INFINITY);
        }
        exponential_bound(index, self.schema)
    }

    /// Returns the lower bound of a positive bucket.
    pub fn lower(&self, index: i32) -> f64 {
        if self.is_custom() {
            return match usize::try_from(index) {
                Ok(at) if at > 0 => self.bounds.get(at - 1).copied().unwrap_or(f64::INFINITY),
                _ => f64::NEG_INFINITY,
            };
        }
        exponential_bound(index.saturating_sub(1), self.schema)
    }
}
