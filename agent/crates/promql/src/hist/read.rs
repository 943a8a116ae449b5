//! Reading a histogram: quantiles, fractions, deviation, trimming, printing.
//!
//! Within a bucket observations are taken as spread evenly: on a logarithmic scale for exponential buckets, on a
//! linear one for the zero bucket and for custom bounds. Source: Prometheus, `promql/quantile.go`.

use std::fmt::Write;

use super::Hist;
use crate::eval::kahan::Kahan;
use crate::print::go_float;

/// One bucket by its bounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    pub lower: f64,
    pub upper: f64,
    pub count: f64,
    /// Whether observations are spread evenly on a linear scale.
    pub linear: bool,
}

impl Part {
    /// Returns the value that stands for the observations of the bucket.
    fn middle(&self) -> f64 {
        if self.linear {
            return (self.lower + self.upper) / 2.0;
        }
        let middle = (self.lower * self.upper).sqrt();
        if self.upper < 0.0 { -middle } else { middle }
    }

    /// Returns how much of the bucket lies below a value within it.
    fn share_below(&self, value: f64) -> f64 {
        if self.lower == f64::NEG_INFINITY {
            return 1.0;
        }
        if self.linear {
            return (value - self.lower) / (self.upper - self.lower);
        }
        let (lower, upper, value_log) = (self.lower.abs().log2(), self.upper.abs().log2(), value.abs().log2());
        match value > 0.0 {
            true => (value_log - lower) / (upper - lower),
            false => 1.0 - (value_log - upper) / (lower - upper),
        }
    }
}

/// What is left of a histogram while it is trimmed.
struct Trimmed {
    bound: f64,
    upper: bool,
    changed: bool,
    count: Kahan,
    sum: Kahan,
}

impl Trimmed {
    /// Returns how much of a bucket stays, `None` for nothing, and counts it.
    fn keep(&mut self, part: Part) -> Option<f64> {
        let (count, value) = if self.upper { self.below(part) } else { self.above(part) };
        self.changed |= count != part.count;
        self.count.add(count);
        if count != 0.0 {
            self.sum.add(count * value);
        }
        (count != 0.0).then_some(count)
    }

    fn below(&mut self, part: Part) -> (f64, f64) {
        let bound = self.bound;
        match (part.lower == f64::NEG_INFINITY, part.upper == f64::INFINITY) {
            (_, true) if bound < f64::INFINITY || bound.is_nan() => (0.0, 0.0),
            (true, _) if bound > f64::NEG_INFINITY => {
                self.changed |= bound < part.upper;
                (part.count, part.upper.min(bound))
            }
            _ if bound >= part.upper => (part.count, part.middle()),
            _ if bound > part.lower => (part.count * part.share_below(bound), Part { upper: bound, ..part }.middle()),
            _ => (0.0, 0.0),
        }
    }

    fn above(&mut self, part: Part) -> (f64, f64) {
        let bound = self.bound;
        match (part.lower == f64::NEG_INFINITY, part.upper == f64::INFINITY) {
            (true, _) if bound > f64::NEG_INFINITY || bound.is_nan() => (0.0, 0.0),
            (_, true) if bound < f64::INFINITY => {
                self.changed |= bound > part.lower;
                (part.count, part.lower.max(bound))
            }
            _ if bound <= part.lower => (part.count, part.middle()),
            _ if bound < part.upper => {
                (part.count * (1.0 - part.share_below(bound)), Part { lower: bound, ..part }.middle())
            }
            _ => (0.0, 0.0),
        }
    }
}

impl Hist {
    /// Returns all populated buckets, ascending.
    pub fn parts(&self) -> Vec<Part> {
        let linear = self.is_custom();
        let mut parts = Vec::with_capacity(self.negative.len() + self.positive.len() + 1);
        for (index, count) in self.negative.iter().rev() {
            parts.push(Part { lower: -self.upper(*index), upper: -self.lower(*index), count: *count, linear });
        }
        if self.zero != 0.0 && !linear {
            let width = self.zero_threshold;
            parts.push(Part { lower: -width, upper: width, count: self.zero, linear: true });
        }
        for (index, count) in &self.positive {
            parts.push(Part { lower: self.lower(*index), upper: self.upper(*index), count: *count, linear });
        }
        parts
    }

    /// A bucket around zero reaches only to the side that has observations.
    fn fit_zero(&self, part: &mut Part) {
        if part.lower <= 0.0 && part.upper >= 0.0 {
            part.linear = true;
            match (self.negative.is_empty(), self.positive.is_empty()) {
                (true, false) => part.lower = 0.0,
                (false, true) => part.upper = 0.0,
                _ => {}
            }
        }
    }

    /// Returns a quantile, and what is to be said about it.
    pub fn quantile(&self, q: f64) -> (f64, Option<&'static str>) {
        if !(0.0..=1.0).contains(&q) && !q.is_nan() {
            return (if q < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY }, None);
        }
        if self.count == 0.0 || q.is_nan() {
            return (f64::NAN, None);
        }
        let has_nan = self.sum.is_nan();
        let forward = has_nan || q < 0.5;
        let mut parts = self.parts();
        let mut rank = if forward { q * self.count } else { (1.0 - q) * self.count };
        if !forward {
            parts.reverse();
        }
        let mut count = 0.0;
        let mut found = Part { lower: 0.0, upper: 0.0, count: 0.0, linear: true };
        for part in parts {
            found = part;
            count += part.count;
            if count >= rank {
                break;
            }
        }
        if self.is_custom() {
            if found.lower == f64::NEG_INFINITY {
                if found.upper <= 0.0 {
                    return (found.upper, None);
                }
                found.lower = 0.0;
            } else if found.upper == f64::INFINITY {
                return (found.lower, None);
            }
        } else if found.lower < 0.0 && found.upper > 0.0 {
            self.fit_zero(&mut found);
        }
        count = count.min(self.count);
        if count < rank {
            if has_nan {
                return (f64::NAN, Some("input to histogram_quantile has NaN observations, result is NaN"));
            }
            return (found.upper, None);
        }
        let note = has_nan.then_some("input to histogram_quantile has NaN observations, result is skewed higher");
        rank = if forward { rank - (count - found.count) } else { count - rank };
        let share = rank / found.count;
        if self.is_custom() || (found.lower <= 0.0 && found.upper >= 0.0) {
            return (found.lower + (found.upper - found.lower) * share, note);
        }
        let (lower, upper) = (found.lower.abs().log2(), found.upper.abs().log2());
        let value = match found.lower > 0.0 {
            true => (lower + (upper - lower) * share).exp2(),
            false => -(upper + (lower - upper) * (1.0 - share)).exp2(),
        };
        (value, note)
    }

    /// Returns the share of observations between two values.
    pub fn fraction(&self, lower: f64, upper: f64) -> f64 {
        let mut parts = self.parts();
        parts.iter_mut().for_each(|part| self.fit_zero(part));
        fraction_of(lower, upper, self.count, &parts)
    }

    /// Returns the variance, with the middle of each bucket for its observations.
    pub fn variance(&self) -> f64 {
        let mean = self.sum / self.count;
        let mut variance = Kahan::default();
        for part in self.parts() {
            let value = if self.is_custom() {
                (part.upper + part.lower) / 2.0
            } else if part.lower <= 0.0 && part.upper >= 0.0 {
                0.0
            } else {
                let middle = (part.upper * part.lower).sqrt();
                if part.upper < 0.0 { -middle } else { middle }
            };
            let delta = value - mean;
            variance.add(part.count * delta * delta);
        }
        variance.total() / self.count
    }

    /// Takes away what lies above a bound (`upper`) or below it. Where anything goes, the sum is estimated anew.
    pub fn trim(&mut self, bound: f64, upper: bool) {
        let mut all = Trimmed { bound, upper, changed: false, count: Kahan::default(), sum: Kahan::default() };
        let linear = self.is_custom();
        let mut negative = Vec::new();
        for (index, count) in &self.negative {
            let part = Part { lower: -self.upper(*index), upper: -self.lower(*index), count: *count, linear };
            negative.extend(all.keep(part).map(|count| (*index, count)));
        }
        if self.zero != 0.0 && !linear {
            let width = self.zero_threshold;
            let mut part = Part { lower: -width, upper: width, count: self.zero, linear: true };
            self.fit_zero(&mut part);
            self.zero = all.keep(part).unwrap_or(0.0);
        }
        let mut positive = Vec::new();
        for (index, count) in &self.positive {
            let mut part = Part { lower: self.lower(*index), upper: self.upper(*index), count: *count, linear };
            if part.lower == f64::NEG_INFINITY && part.upper > 0.0 && part.upper != f64::INFINITY {
                part.lower = 0.0;
            }
            positive.extend(all.keep(part).map(|count| (*index, count)));
        }
        (self.negative, self.positive) = (negative, positive);
        if all.changed {
            (self.count, self.sum) = (all.count.total(), all.sum.total());
        }
    }

    /// Returns the histogram as Go's `FloatHistogram.String` prints it.
    pub fn text(&self) -> String {
        let mut out = format!("{{count:{}, sum:{}", go_float(self.count), go_float(self.sum));
        for part in self.parts() {
            let (open, close) = match part.lower {
                _ if self.is_custom() => ('(', ']'),
                lower if lower <= 0.0 && part.upper >= 0.0 => ('[', ']'),
                lower if lower < 0.0 => ('[', ')'),
                _ => ('(', ']'),
            };
            let (lower, upper) = (go_float(part.lower), go_float(part.upper));
            let _ = write!(out, ", {open}{lower},{upper}{close}:{}", go_float(part.count));
        }
        out.push('}');
        out
    }
}

/// Returns the share of observations between two values, over buckets that ascend.
pub(crate) fn fraction_of(lower: f64, upper: f64, total: f64, parts: &[Part]) -> f64 {
    if total == 0.0 || total.is_nan() || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (rank_of(upper, parts) - rank_of(lower, parts)) / total
}

/// Returns how many observations lie below a value.
fn rank_of(value: f64, parts: &[Part]) -> f64 {
    let mut rank = 0.0;
    for part in parts {
        if part.lower >= value {
            return rank;
        }
        if part.upper > value {
            return rank + part.count * part.share_below(value);
        }
        rank += part.count;
    }
    rank
}
