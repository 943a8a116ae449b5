//! Adding, subtracting, scaling and comparing histograms, whatever their schemas.
//!
//! The coarser schema wins; zero buckets grow to the wider threshold; custom bounds are reduced to those both have.
//! Exponential and custom buckets do not mix. Source: Prometheus, `model/histogram/float_histogram.go`.

use std::sync::Arc;

use model::ResetHint;

use super::Hist;
use crate::eval::kahan::Kahan;

/// Exponential and custom buckets were to be mixed.
#[derive(Debug)]
pub(crate) struct Incompatible;

/// What is worth saying about a sum.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Combined {
    /// One histogram said it was reset, the other that it was not.
    pub collision: bool,
    /// Custom bounds differed.
    pub reconciled: bool,
}

impl Hist {
    /// Adds another histogram.
    pub fn add(&mut self, other: &Hist) -> Result<Combined, Incompatible> {
        self.combine(other, 1.0)
    }

    /// Takes another histogram away.
    pub fn subtract(&mut self, other: &Hist) -> Result<Combined, Incompatible> {
        self.combine(other, -1.0)
    }

    fn combine(&mut self, other: &Hist, sign: f64) -> Result<Combined, Incompatible> {
        let mut other = other.clone();
        let reconciled = self.align(&mut other)?;
        let collision = self.adjust_hint(other.hint);
        self.zero += sign * other.zero;
        self.count += sign * other.count;
        self.sum += sign * other.sum;
        merge(&mut self.positive, &other.positive, sign);
        merge(&mut self.negative, &other.negative, sign);
        Ok(Combined { collision, reconciled })
    }

    /// Brings both to the same buckets; returns whether custom bounds had to give.
    pub fn align(&mut self, other: &mut Hist) -> Result<bool, Incompatible> {
        if self.is_custom() != other.is_custom() {
            return Err(Incompatible);
        }
        if self.is_custom() {
            let same = self.bounds == other.bounds;
            if !same {
                let common: Arc<[f64]> =
                    self.bounds.iter().copied().filter(|bound| other.bounds.contains(bound)).collect();
                self.reduce_bounds(&common);
                other.reduce_bounds(&common);
            }
            return Ok(!same);
        }
        while self.zero_threshold != other.zero_threshold {
            if self.zero_threshold > other.zero_threshold {
                other.widen_zero(self.zero_threshold);
            } else {
                self.widen_zero(other.zero_threshold);
            }
        }
        let schema = self.schema.min(other.schema);
        self.reduce_schema(schema);
        other.reduce_schema(schema);
        Ok(false)
    }

    fn reduce_bounds(&mut self, common: &Arc<[f64]>) {
        let mut reduced: Vec<(i32, f64)> = Vec::new();
        for (index, count) in &self.positive {
            let upper = self.upper(*index);
            let index = common.iter().position(|bound| *bound >= upper).unwrap_or(common.len()) as i32;
            push(&mut reduced, index, *count);
        }
        self.positive = reduced;
        self.bounds = common.clone();
    }

    /// Brings exponential buckets to a coarser schema.
    pub fn reduce_schema(&mut self, schema: i32) {
        let shift = (self.schema - schema).clamp(0, 30) as u32;
        if shift == 0 {
            return;
        }
        for side in [&mut self.positive, &mut self.negative] {
            let mut reduced = Vec::with_capacity(side.len());
            for (index, count) in side.iter() {
                push(&mut reduced, ((index - 1) >> shift) + 1, *count);
            }
            *side = reduced;
        }
        self.schema = schema;
    }

    /// Widens the zero bucket; a populated bucket that the new threshold would cut goes into it as a whole.
    fn widen_zero(&mut self, threshold: f64) {
        let mut wide = threshold;
        loop {
            let before = wide;
            for side in [&self.positive, &self.negative] {
                for (index, count) in side {
                    let (lower, upper) = (self.lower(*index), self.upper(*index));
                    if *count != 0.0 && lower < wide && upper > wide {
                        wide = upper;
                    }
                }
            }
            if wide == before {
                break;
            }
        }
        let mut swallowed = 0.0;
        let schema = self.schema;
        for side in [&mut self.positive, &mut self.negative] {
            side.retain(|(index, count)| {
                let keep = super::exponential_bound(*index, schema) > wide;
                swallowed += if keep { 0.0 } else { *count };
                keep
            });
        }
        self.zero += swallowed;
        self.zero_threshold = wide;
    }

    fn adjust_hint(&mut self, other: ResetHint) -> bool {
        use ResetHint::*;
        let (hint, collision) = match (self.hint, other) {
            (a, b) if a == b => (a, false),
            (Gauge, _) | (_, Gauge) => (Gauge, false),
            (Unknown, _) | (_, Unknown) => (Unknown, false),
            _ => (Unknown, true),
        };
        self.hint = hint;
        collision
    }

    /// Multiplies all counts and the sum.
    pub fn scale(&mut self, factor: f64) {
        self.each_count(&mut |count| *count *= factor);
        if factor < 0.0 {
            self.hint = ResetHint::Gauge;
        }
    }

    /// Divides all counts and the sum; dividing by zero leaves no bucket.
    pub fn divide(&mut self, divisor: f64) {
        self.each_count(&mut |count| *count /= divisor);
        if divisor < 0.0 {
            self.hint = ResetHint::Gauge;
        }
        if divisor == 0.0 {
            self.positive.clear();
            self.negative.clear();
        }
    }

    fn each_count(&mut self, change: &mut dyn FnMut(&mut f64)) {
        for count in [&mut self.zero, &mut self.count, &mut self.sum] {
            change(count);
        }
        for side in [&mut self.positive, &mut self.negative] {
            side.iter_mut().for_each(|(_, count)| change(count));
            side.retain(|(_, count)| *count != 0.0);
        }
    }

    /// Returns whether anything is infinite.
    fn overflows(&self) -> bool {
        let sides = self.positive.iter().chain(&self.negative).map(|(_, count)| *count);
        [self.zero, self.count, self.sum].into_iter().chain(sides).any(f64::is_infinite)
    }

    /// Returns whether the counter was reset between `before` and this.
    pub fn is_reset_since(&self, before: &Hist) -> bool {
        match self.hint {
            ResetHint::Reset => return true,
            ResetHint::NotReset => return false,
            _ => {}
        }
        if self.count < before.count || self.is_custom() != before.is_custom() {
            return true;
        }
        let mut before = before.clone();
        if self.is_custom() {
            let mut now = self.clone();
            return now.align(&mut before).is_err() || lost(&now.positive, &before.positive);
        }
        if self.schema > before.schema || self.zero_threshold < before.zero_threshold {
            return true;
        }
        before.widen_zero(self.zero_threshold);
        if before.zero_threshold != self.zero_threshold || self.zero < before.zero {
            return true;
        }
        before.reduce_schema(self.schema);
        lost(&self.positive, &before.positive) || lost(&self.negative, &before.negative)
    }

    /// Returns whether two histograms are equal but for the hint and buckets without counts.
    pub fn same_as(&self, other: &Hist) -> bool {
        let same = |a: f64, b: f64| a.to_bits() == b.to_bits() || a == b;
        self.schema == other.schema
            && same(self.zero_threshold, other.zero_threshold)
            && same(self.zero, other.zero)
            && same(self.count, other.count)
            && same(self.sum, other.sum)
            && self.positive == other.positive
            && self.negative == other.negative
            && self.bounds == other.bounds
    }
}

/// Returns whether a bucket has fewer counts than before.
fn lost(now: &[(i32, f64)], before: &[(i32, f64)]) -> bool {
    before.iter().any(|(index, count)| {
        let here = now.binary_search_by_key(index, |(index, _)| *index).map_or(0.0, |at| now[at].1);
        here < *count
    })
}

/// Appends to the bucket of this index, which is the last or behind it.
fn push(buckets: &mut Vec<(i32, f64)>, index: i32, count: f64) {
    match buckets.last_mut() {
        Some((last, sum)) if *last == index => *sum += count,
        _ => buckets.push((index, count)),
    }
}

fn merge(into: &mut Vec<(i32, f64)>, from: &[(i32, f64)], sign: f64) {
    for (index, count) in from {
        match into.binary_search_by_key(index, |(index, _)| *index) {
            Ok(at) => into[at].1 += sign * count,
            Err(at) => into.insert(at, (*index, sign * count)),
        }
    }
    into.retain(|(_, count)| *count != 0.0);
}

/// A running sum or mean of histograms that carries what rounding takes away, bucket by bucket.
#[derive(Debug, Clone)]
pub(crate) struct Sum {
    hist: Hist,
    lost: Hist,
    count: f64,
    /// Whether this is a mean, and whether it had to become a running one because the sum would overflow.
    mean: bool,
    running: bool,
}

impl Sum {
    /// Begins with one histogram.
    pub fn new(first: &Hist, mean: bool) -> Sum {
        let mut lost = first.clone();
        lost.each_count(&mut |count| *count = 0.0);
        Sum { hist: first.clone(), lost, count: 1.0, mean, running: false }
    }

    /// Adds another.
    pub fn add(&mut self, other: &Hist) -> Result<Combined, Incompatible> {
        let mut other = other.clone();
        let reconciled = self.hist.align(&mut other)?;
        self.lost.align(&mut self.hist)?;
        let collision = self.hist.adjust_hint(other.hint);
        self.count += 1.0;
        if self.mean && !self.running {
            let (hist, lost) = (self.hist.clone(), self.lost.clone());
            self.increase(&other);
            if !self.hist.overflows() {
                return Ok(Combined { collision, reconciled });
            }
            (self.hist, self.lost, self.running) = (hist, lost, true);
            let before = self.count - 1.0;
            self.hist.each_count(&mut |count| *count /= before);
            self.lost.each_count(&mut |count| *count /= before);
        }
        if self.running {
            let (count, share) = (self.count, (self.count - 1.0) / self.count);
            self.hist.each_count(&mut |value| *value *= share);
            self.lost.each_count(&mut |value| *value *= share);
            other.each_count(&mut |value| *value /= count);
        }
        self.increase(&other);
        Ok(Combined { collision, reconciled })
    }

    fn increase(&mut self, other: &Hist) {
        for (sum, lost, value) in [
            (&mut self.hist.zero, &mut self.lost.zero, other.zero),
            (&mut self.hist.count, &mut self.lost.count, other.count),
            (&mut self.hist.sum, &mut self.lost.sum, other.sum),
        ] {
            kahan(sum, lost, value);
        }
        increase_side(&mut self.hist.positive, &mut self.lost.positive, &other.positive);
        increase_side(&mut self.hist.negative, &mut self.lost.negative, &other.negative);
    }

    /// Returns the sum or the mean.
    pub fn finish(mut self) -> Hist {
        let divisor = if self.mean && !self.running { self.count } else { 1.0 };
        self.hist.each_count(&mut |count| *count /= divisor);
        self.lost.each_count(&mut |count| *count /= divisor);
        for (sum, lost) in [
            (&mut self.hist.zero, self.lost.zero),
            (&mut self.hist.count, self.lost.count),
            (&mut self.hist.sum, self.lost.sum),
        ] {
            if sum.is_finite() {
                *sum += lost;
            }
        }
        merge(&mut self.hist.positive, &self.lost.positive, 1.0);
        merge(&mut self.hist.negative, &self.lost.negative, 1.0);
        self.hist
    }
}

fn kahan(sum: &mut f64, lost: &mut f64, value: f64) {
    let mut kahan = Kahan { sum: *sum, lost: *lost };
    kahan.add(value);
    (*sum, *lost) = (kahan.sum, kahan.lost);
}

fn increase_side(sums: &mut Vec<(i32, f64)>, losses: &mut Vec<(i32, f64)>, values: &[(i32, f64)]) {
    for (index, value) in values {
        let at = slot(sums, *index);
        let lost_at = slot(losses, *index);
        kahan(&mut sums[at].1, &mut losses[lost_at].1, *value);
    }
    sums.retain(|(_, count)| *count != 0.0);
    losses.retain(|(_, count)| *count != 0.0);
}

/// Returns where the bucket of an index is; it is made where there is none.
fn slot(buckets: &mut Vec<(i32, f64)>, index: i32) -> usize {
    match buckets.binary_search_by_key(&index, |(index, _)| *index) {
        Ok(at) => at,
        Err(at) => {
            buckets.insert(at, (index, 0.0));
            at
        }
    }
}
