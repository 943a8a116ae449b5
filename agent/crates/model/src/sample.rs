//! One measured value at one time.
//!
//! A sample is a float or a native histogram, each with an optional start timestamp (when its counter began). The
//! staleness marker is a NaN with one particular bit pattern, so floats are kept and compared by their bits.

use std::sync::Arc;

use crate::histogram::Histogram;
use crate::time::UnixMs;

/// The bits of the NaN that says a series has ended (Prometheus: `value.StaleNaN`).
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// Returns the staleness marker.
pub fn stale_nan() -> f64 {
    f64::from_bits(STALE_NAN_BITS)
}

/// Returns whether this is the staleness marker, and not merely some NaN.
pub fn is_stale_nan(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// A float or a native histogram.
#[derive(Debug, Clone)]
pub enum Value {
    /// A float; a staleness marker is one of these.
    Float(f64),
    /// A native histogram, shared because it is large.
    Histogram(Arc<Histogram>),
}

impl Value {
    /// Returns the float, if it is one.
    pub fn float(&self) -> Option<f64> {
        match self {
            Value::Float(value) => Some(*value),
            Value::Histogram(_) => None,
        }
    }

    /// Returns whether this marks the end of a series: a stale float, or a histogram whose sum is the marker.
    pub fn is_stale(&self) -> bool {
        match self {
            Value::Float(value) => is_stale_nan(*value),
            Value::Histogram(histogram) => is_stale_nan(histogram.sum),
        }
    }
}

/// A value with its time.
#[derive(Debug, Clone)]
pub struct Sample {
    /// When it was taken.
    pub at: UnixMs,
    /// When the counter behind it started, where that is known.
    pub start: Option<UnixMs>,
    /// What was measured.
    pub value: Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_nan_is_stale() {
        assert!(is_stale_nan(stale_nan()));
        assert!(stale_nan().is_nan());
        assert!(!is_stale_nan(f64::NAN));
        assert!(Value::Float(stale_nan()).is_stale());
    }
}
