//! A native histogram as bytes: whole where its layout is another than the one's before, else what changed.
//!
//! The layout is schema, zero threshold, spans, bounds and the kind of counts. A histogram of the same layout is its
//! hint, its sum, and how far each count is from the one before; those that stand still, most of them, are counted.
//! The count of all follows from the buckets as a rule, so its difference from that is written. Bit-exact, bounded by
//! `BUCKETS_MAX`, and safe to read from any bytes.
//!
//! ```text
//! change  = hint u8, numbers
//! numbers = integers: the bits of the sum, then count less what it is by the buckets, zero, positive, negative;
//!           floats: sum, count, zero, positive, negative; each less (integers, zigzag) or XOR (floats) the one before
//! each    = 0, how many stand still varint | zigzag difference varint | length u8 and bytes of the XOR
//! ```

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
    out.push(hint_byte(histogram.hint));
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
    let hint = take_hint(take)?;
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

fn hint_byte(hint: ResetHint) -> u8 {
    match hint {
        ResetHint::Unknown => 0,
        ResetHint::Reset => 1,
        ResetHint::NotReset => 2,
        ResetHint::Gauge => 3,
    }
}

fn take_hint(take: &mut Take<'_>) -> Option<ResetHint> {
    Some(match take.u8()? {
        0 => ResetHint::Unknown,
        1 => ResetHint::Reset,
        2 => ResetHint::NotReset,
        3 => ResetHint::Gauge,
        _ => return None,
    })
}

/// Returns whether a histogram can be written as what changed since another one.
pub(crate) fn has_layout_of(one: &Histogram, other: &Histogram) -> bool {
    let bits = |floats: &[f64], others: &[f64]| {
        floats.len() == others.len() && floats.iter().zip(others).all(|(a, b)| a.to_bits() == b.to_bits())
    };
    let counts = match (&one.counts, &other.counts) {
        (
            Counts::Integer { positive, negative, .. },
            Counts::Integer { positive: others, negative: other_negative, .. },
        ) => (positive.len(), negative.len()) == (others.len(), other_negative.len()),
        (
            Counts::Float { positive, negative, .. },
            Counts::Float { positive: others, negative: other_negative, .. },
        ) => (positive.len(), negative.len()) == (others.len(), other_negative.len()),
        _ => false,
    };
    counts
        && one.schema == other.schema
        && one.zero_threshold.to_bits() == other.zero_threshold.to_bits()
        && one.positive_spans == other.positive_spans
        && one.negative_spans == other.negative_spans
        && bits(&one.custom_bounds, &other.custom_bounds)
}

/// Returns what the count of all is when only the buckets changed.
fn expected(count: u64, (zero, zero_before): (u64, u64), buckets: &[u64], before: &[u64]) -> u64 {
    let total = |buckets: &[u64]| buckets.iter().fold(0u64, |total, bucket| total.wrapping_add(*bucket));
    let moved = total(buckets).wrapping_sub(total(before));
    count.wrapping_add(zero.wrapping_sub(zero_before)).wrapping_add(moved)
}

/// Appends what changed since a histogram of the same layout.
pub(crate) fn put_change(out: &mut Vec<u8>, before: &Histogram, histogram: &Histogram) {
    out.push(hint_byte(histogram.hint));
    let mut numbers = Changes { out, still: 0 };
    numbers.xor(before.sum.to_bits(), histogram.sum.to_bits());
    match (&before.counts, &histogram.counts) {
        (
            Counts::Integer { count: old, zero: old_zero, positive: old_positive, negative: old_negative },
            Counts::Integer { count, zero, positive, negative },
        ) => {
            let usual = expected(*old, (*zero, *old_zero), positive, old_positive);
            let usual = expected(usual, (0, 0), negative, old_negative);
            numbers.difference(usual, *count);
            numbers.difference(*old_zero, *zero);
            for (old, new) in old_positive.iter().chain(old_negative).zip(positive.iter().chain(negative)) {
                numbers.difference(*old, *new);
            }
        }
        (
            Counts::Float { count: old, zero: old_zero, positive: old_positive, negative: old_negative },
            Counts::Float { count, zero, positive, negative },
        ) => {
            numbers.xor(old.to_bits(), count.to_bits());
            numbers.xor(old_zero.to_bits(), zero.to_bits());
            for (old, new) in old_positive.iter().chain(old_negative).zip(positive.iter().chain(negative)) {
                numbers.xor(old.to_bits(), new.to_bits());
            }
        }
        _ => {}
    }
    numbers.end();
}

/// Reads what [`put_change`] wrote.
pub(crate) fn take_change(bytes: &[u8], before: &Histogram) -> Option<Histogram> {
    let mut take = Take::new(bytes);
    let (hint, mut found) = (take_hint(&mut take)?, before.clone());
    found.hint = hint;
    let mut numbers = Changed { take, still: 0 };
    found.sum = f64::from_bits(numbers.xor(before.sum.to_bits())?);
    match (&before.counts, &mut found.counts) {
        (
            Counts::Integer { zero: old_zero, positive: old_positive, negative: old_negative, .. },
            Counts::Integer { count, zero, positive, negative },
        ) => {
            let more = numbers.difference(0)?;
            *zero = numbers.difference(*zero)?;
            for bucket in positive.iter_mut().chain(negative.iter_mut()) {
                *bucket = numbers.difference(*bucket)?;
            }
            let usual = expected(*count, (*zero, *old_zero), positive, old_positive);
            *count = expected(usual, (0, 0), negative, old_negative).wrapping_add(more);
        }
        (_, Counts::Float { count, zero, positive, negative }) => {
            for float in [count, zero].into_iter().chain(positive.iter_mut()).chain(negative.iter_mut()) {
                *float = f64::from_bits(numbers.xor(float.to_bits())?);
            }
        }
        _ => return None,
    }
    (numbers.still == 0 && numbers.take.rest.is_empty()).then_some(found)
}

/// Numbers on their way out.
struct Changes<'a> {
    out: &'a mut Vec<u8>,
    still: u64,
}

impl Changes<'_> {
    fn difference(&mut self, old: u64, new: u64) {
        if self.moves(old, new) {
            put_zigzag(self.out, new.wrapping_sub(old) as i64);
        }
    }

    fn xor(&mut self, old: u64, new: u64) {
        if self.moves(old, new) {
            let xor = old ^ new;
            let (lead, tail) = (xor.leading_zeros() as usize / 8, xor.trailing_zeros() as usize / 8);
            self.out.push(((lead << 4) | (8 - lead - tail)) as u8);
            self.out.extend_from_slice(&xor.to_be_bytes()[lead..8 - tail]);
        }
    }

    fn moves(&mut self, old: u64, new: u64) -> bool {
        if old == new {
            self.still += 1;
            return false;
        }
        self.end();
        true
    }

    fn end(&mut self) {
        if self.still > 0 {
            self.out.push(0);
            put_varint(self.out, self.still);
            self.still = 0;
        }
    }
}

/// Numbers on their way in.
struct Changed<'a> {
    take: Take<'a>,
    still: u64,
}

impl Changed<'_> {
    fn difference(&mut self, old: u64) -> Option<u64> {
        if self.stands_still()? {
            return Some(old);
        }
        Some(old.wrapping_add(self.take.zigzag()? as u64))
    }

    fn xor(&mut self, old: u64) -> Option<u64> {
        if self.stands_still()? {
            return Some(old);
        }
        let form = self.take.u8()?;
        let (lead, len) = (usize::from(form >> 4), usize::from(form & 15));
        let mut bytes = [0; 8];
        bytes.get_mut(lead..lead + len)?.copy_from_slice(self.take.bytes(len)?);
        Some(old ^ u64::from_be_bytes(bytes))
    }

    fn stands_still(&mut self) -> Option<bool> {
        if self.still == 0 && self.take.rest.first() == Some(&0) {
            self.take.u8()?;
            self.still = self.take.varint()?;
            if self.still == 0 {
                return None;
            }
        }
        let is_still = self.still > 0;
        self.still -= u64::from(is_still);
        Some(is_still)
    }
}

/// Returns about how much memory a histogram takes.
pub(crate) fn memory_bytes(histogram: &Histogram) -> usize {
    bytes_max(histogram) + size_of::<Histogram>()
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

    fn coded(histogram: &Histogram) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, histogram);
        out
    }

    fn check(histogram: &Histogram) {
        let out = coded(histogram);
        assert_eq!(take(&out).as_ref(), Some(histogram));
        for cut in 0..out.len() {
            assert_eq!(take(&out[..cut]), None);
        }
    }

    /// Whatever changed comes back bit for bit, not-a-number included; a change that is cut off is none.
    fn check_change(before: &Histogram, after: &Histogram) -> usize {
        assert!(has_layout_of(after, before));
        let mut out = Vec::new();
        put_change(&mut out, before, after);
        assert!(out.len() <= bytes_max(after), "{} bytes for {after:?}", out.len());
        let found = take_change(&out, before).unwrap_or_else(|| panic!("{before:?}\n{after:?}"));
        assert_eq!(coded(&found), coded(after));
        for cut in 0..out.len() {
            assert_eq!(take_change(&out[..cut], before), None, "cut at {cut}");
        }
        out.len()
    }

    struct Seed(u64);

    impl Seed {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            self.0 ^ self.0 >> 29
        }

        fn number(&mut self) -> u64 {
            match self.next() % 5 {
                0 => 0,
                1 => u64::MAX - self.next() % 3,
                2 => self.next(),
                _ => self.next() % 1_000,
            }
        }

        fn float(&mut self) -> f64 {
            match self.next() % 4 {
                0 => f64::from_bits(self.next()),
                1 => model::stale_nan(),
                2 => -0.0,
                _ => (self.next() % 1_000) as f64 / 8.0,
            }
        }

        fn histogram(&mut self) -> Histogram {
            let (positive, negative) = ((self.next() % 9) as usize, (self.next() % 4) as usize);
            let spans = |buckets: usize| vec![Span { offset: -3, length: buckets as u32 }; usize::from(buckets > 0)];
            let counts = if self.next().is_multiple_of(2) {
                Counts::Integer {
                    count: self.number(),
                    zero: self.number(),
                    positive: (0..positive).map(|_| self.number()).collect(),
                    negative: (0..negative).map(|_| self.number()).collect(),
                }
            } else {
                Counts::Float {
                    count: self.float(),
                    zero: self.float(),
                    positive: (0..positive).map(|_| self.float()).collect(),
                    negative: (0..negative).map(|_| self.float()).collect(),
                }
            };
            let hints = [ResetHint::Unknown, ResetHint::Reset, ResetHint::NotReset, ResetHint::Gauge];
            Histogram {
                schema: (self.next() % 13) as i32 - 4,
                zero_threshold: self.float(),
                sum: self.float(),
                positive_spans: spans(positive),
                negative_spans: spans(negative),
                custom_bounds: (0..self.next() % 3).map(|_| self.float()).collect(),
                counts,
                hint: hints[(self.next() % 4) as usize],
            }
        }

        /// Changes anything but the layout.
        fn change(&mut self, histogram: &Histogram) -> Histogram {
            let mut changed = Histogram { sum: self.float(), hint: self.histogram().hint, ..histogram.clone() };
            let often = self.next() % 4;
            match &mut changed.counts {
                Counts::Integer { count, zero, positive, negative } => {
                    for number in [count, zero].into_iter().chain(positive).chain(negative) {
                        if self.next() % 4 <= often {
                            *number = self.number();
                        }
                    }
                }
                Counts::Float { count, zero, positive, negative } => {
                    for float in [count, zero].into_iter().chain(positive).chain(negative) {
                        if self.next() % 4 <= often {
                            *float = self.float();
                        }
                    }
                }
            }
            changed
        }
    }

    #[test]
    fn any_change_within_a_layout_comes_back_bit_for_bit() {
        let mut seed = Seed(7);
        for _ in 0..3_000 {
            let before = seed.histogram();
            let after = seed.change(&before);
            assert_eq!(take(&coded(&before)).map(|found| coded(&found)), Some(coded(&before)));
            check_change(&before, &after);
            check_change(&after, &before);
            let other = seed.histogram();
            if has_layout_of(&other, &before) {
                check_change(&before, &other);
            }
        }
    }

    #[test]
    fn any_bytes_are_a_change_or_none() {
        let mut seed = Seed(11);
        for _ in 0..20_000 {
            let before = seed.histogram();
            let bytes: Vec<u8> = (0..seed.next() % 40).map(|_| (seed.next() % 7 * (seed.next() % 37)) as u8).collect();
            if let Some(found) = take_change(&bytes, &before) {
                assert!(has_layout_of(&found, &before));
            }
        }
    }

    /// What a histogram of an exporter takes that is observed a few times between two scrapes.
    #[test]
    fn a_few_observations_are_a_few_bytes() {
        let buckets: Vec<u64> = (0..40).map(|at| 1_000 + at * 37).collect();
        let counts = Counts::Integer { count: 100_000, zero: 5, positive: buckets.clone(), negative: Vec::new() };
        let before = Histogram {
            schema: 3,
            zero_threshold: 1e-128,
            sum: 4_211.0,
            positive_spans: vec![Span { offset: -4, length: 40 }],
            negative_spans: vec![],
            custom_bounds: vec![],
            counts,
            hint: ResetHint::NotReset,
        };
        let mut more = buckets;
        (more[12], more[13], more[20]) = (more[12] + 2, more[13] + 1, more[20] + 1);
        let counts = Counts::Integer { count: 100_004, zero: 5, positive: more, negative: Vec::new() };
        let after = Histogram { sum: 4_215.5, counts, ..before.clone() };
        assert_eq!((coded(&before).len(), check_change(&before, &after)), (110, 13));
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
