//! One column of values as a byte stream, written and read a value at a time, bit-exact for every f64.
//!
//! A short decimal becomes an integer at the column's scale (84.5 is 845 at scale 1); written is its difference from a
//! prediction that both sides make alike: the last value, or that plus the last change, whichever was cheaper lately.
//! Anything else is XORed with the value before. No bit packing and no zstd yet: they come behind the same functions.
//!
//! ```text
//! 0x00..0x7f             zigzag difference 1..=128
//! 0x80..0xbf b           zigzag difference 129..=16512, six bits and eight
//! 0xc0..0xdf             1..=32 values as predicted (columns only; the last one of a column may still grow)
//! 0xe0..0xe5 b...        zigzag difference in 3..=8 bytes          0xf0 s <token>  the scale is s from here on
//! 0xf1 0 <token> | 0xf1 1 zigzag <token>    no start timestamp from here on | it moved by so much
//! 0xf8 lead<<4|len b...  XOR with the value before: zero bytes in front, then len bytes, zeros behind
//! 0xf9 len b... | 0xfa len b...   a native histogram whole | what changed since the last one (`histogram.rs`)
//! ```

mod reader;

use std::sync::Arc;

use model::Histogram;

pub(crate) use reader::TokenReader;

use crate::histogram;
use crate::wire::{Take, put_block, put_zigzag, unzigzag, zigzag};

/// The first token of a run of values as predicted.
pub(crate) const RUN: u8 = 0xc0;
/// The most values one run token counts.
pub(crate) const RUN_MAX: u8 = 32;
const WIDE: u8 = 0xe0;
const SCALE: u8 = 0xf0;
const START: u8 = 0xf1;
const XOR: u8 = 0xf8;
const HISTOGRAM: u8 = 0xf9;
const CHANGE: u8 = 0xfa;

const SCALE_MAX: u8 = 15;
/// Integers above this are not all exact as f64, so a scaled one might not come back.
const SCALED_MAX: i64 = 1 << 53;
const NO_START: i64 = i64::MIN;
const POW10: [f64; SCALE_MAX as usize + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// What both sides know after so many values.
#[derive(Debug, Clone)]
pub(crate) struct State {
    bits: u64,
    last: i64,
    change: i64,
    start: i64,
    cost_of_last: u16,
    cost_of_change: u16,
    scale: u8,
    raw: bool,
    /// Whether what came last was a histogram; known to who writes only.
    is_histogram: bool,
    /// The last histogram.
    histogram: Option<Arc<Histogram>>,
    /// How many values in a row found no scale: the search is long, so it is made less often then.
    misses: u8,
}

/// One value as it is read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Item {
    Float(f64),
    Histogram(Arc<Histogram>),
}

impl Default for State {
    fn default() -> State {
        State {
            bits: 0,
            last: 0,
            change: 0,
            start: NO_START,
            cost_of_last: 0,
            cost_of_change: 0,
            scale: 0,
            raw: false,
            is_histogram: false,
            misses: 0,
            histogram: None,
        }
    }
}

impl State {
    /// Writes a float; returns false, and writes nothing, when it is as predicted.
    pub fn put_float(&mut self, value: f64, start: Option<i64>, out: &mut Vec<u8>) -> bool {
        let moved = self.put_start(start, out);
        self.is_histogram = false;
        let bits = value.to_bits();
        if !moved && bits == self.predicted_bits() {
            self.believe();
            return false;
        }
        match self.scaled(value) {
            Some((scale, scaled)) => {
                if scale != self.scale {
                    out.extend_from_slice(&[SCALE, scale]);
                    self.rescale(scale);
                }
                put_difference(out, zigzag(scaled.wrapping_sub(self.predicted_int())));
                self.learn(scaled);
                (self.bits, self.raw, self.misses) = (bits, false, 0);
            }
            None => {
                put_xor(out, bits ^ self.bits);
                (self.bits, self.raw) = (bits, true);
                self.misses = self.misses.wrapping_add(1);
            }
        }
        true
    }

    /// Writes a histogram; `coded` is room to do it in.
    pub fn put_histogram(
        &mut self,
        histogram: &Arc<Histogram>,
        start: Option<i64>,
        out: &mut Vec<u8>,
        coded: &mut Vec<u8>,
    ) {
        self.put_start(start, out);
        self.is_histogram = true;
        coded.clear();
        match self.histogram.as_deref().filter(|last| histogram::has_layout_of(histogram, last)) {
            Some(last) => {
                out.push(CHANGE);
                histogram::put_change(coded, last, histogram);
            }
            None => {
                out.push(HISTOGRAM);
                histogram::put(coded, histogram);
            }
        }
        put_block(out, coded);
        self.histogram = Some(Arc::clone(histogram));
    }

    /// Returns about how much memory the last histogram takes.
    pub fn histogram_bytes(&self) -> usize {
        self.histogram.as_deref().map_or(0, histogram::memory_bytes)
    }

    /// Writes an integer; returns false, and writes nothing, when it is as predicted.
    pub fn put_int(&mut self, value: i64, out: &mut Vec<u8>) -> bool {
        let difference = zigzag(value.wrapping_sub(self.predicted_int()));
        if difference != 0 {
            put_difference(out, difference);
        }
        self.learn(value);
        difference != 0
    }

    /// Returns the float that comes as predicted.
    pub fn as_predicted(&mut self) -> f64 {
        self.believe();
        f64::from_bits(self.bits)
    }

    /// Returns the integer that comes as predicted.
    pub fn int_as_predicted(&mut self) -> i64 {
        self.learn(self.predicted_int());
        self.last
    }

    /// Appends so many integers that come as predicted.
    fn ints_as_predicted(&mut self, count: u32, out: &mut Vec<i64>) {
        let Some(left) = count.checked_sub(1) else { return };
        out.push(self.int_as_predicted());
        let (last, change) = (self.last, self.change);
        out.extend((1..=i64::from(left)).map(|at| last.wrapping_add(change.wrapping_mul(at))));
        self.go_on(left);
    }

    /// Passes over so many values that come as predicted, as if each had been taken.
    pub fn skip_predicted(&mut self, count: u32) {
        if self.raw || count == 0 {
            return;
        }
        let moves = self.cost_of_change < self.cost_of_last;
        self.int_as_predicted();
        self.go_on(count - 1);
        if moves {
            self.bits = unscaled(self.last, self.scale).to_bits();
        }
    }

    /// Takes so many values more that come as predicted, behind one that did: from there on the change stays what it is.
    /// Where the series was taken to stand still it is 0 and both predictions are the same; where it was taken to move
    /// on, that goes on costing nothing, while the other prediction costs what the change does.
    fn go_on(&mut self, count: u32) {
        self.last = self.last.wrapping_add(self.change.wrapping_mul(i64::from(count)));
        let (moving, (mut of_last, mut of_change)) = (cost(self.change), (self.cost_of_last, self.cost_of_change));
        for _ in 0..count {
            let next = (of_last - of_last / 4 + moving, of_change - of_change / 4);
            if next == (of_last, of_change) {
                break;
            }
            (of_last, of_change) = next;
        }
        (self.cost_of_last, self.cost_of_change) = (of_last, of_change);
    }

    /// Reads the token of one float or histogram; a token that is cut off changes nothing.
    pub fn take(&mut self, take: &mut Take<'_>) -> Option<Item> {
        let tag = take.u8()?;
        if tag != SCALE && tag != START {
            return self.take_value(tag, take);
        }
        let before = self.clone();
        let item = self.take_behind(tag, take);
        if item.is_none() {
            *self = before;
        }
        item
    }

    /// Reads a scale or start timestamp and the token behind it.
    fn take_behind(&mut self, mut tag: u8, take: &mut Take<'_>) -> Option<Item> {
        loop {
            match tag {
                SCALE => self.rescale(take.u8().filter(|scale| *scale <= SCALE_MAX)?),
                START => self.take_start(take)?,
                _ => return self.take_value(tag, take),
            }
            tag = take.u8()?;
        }
    }

    fn take_value(&mut self, tag: u8, take: &mut Take<'_>) -> Option<Item> {
        match tag {
            XOR => {
                self.bits ^= take_xor(take)?;
                self.raw = true;
            }
            HISTOGRAM => return self.took(histogram::take(take.block()?)?),
            CHANGE => {
                let before = self.histogram.as_deref()?;
                return self.took(histogram::take_change(take.block()?, before)?);
            }
            _ => {
                let scaled = self.predicted_int().wrapping_add(take_difference(tag, take)?);
                self.learn(scaled);
                (self.bits, self.raw) = (unscaled(scaled, self.scale).to_bits(), false);
            }
        }
        Some(Item::Float(f64::from_bits(self.bits)))
    }

    fn took(&mut self, found: Histogram) -> Option<Item> {
        let found = Arc::new(found);
        self.histogram = Some(Arc::clone(&found));
        Some(Item::Histogram(found))
    }

    /// Reads the token of one integer.
    pub fn take_int(&mut self, take: &mut Take<'_>) -> Option<i64> {
        let tag = take.u8()?;
        let difference = take_difference(tag, take)?;
        Some(self.int_behind(difference))
    }

    fn int_behind(&mut self, difference: i64) -> i64 {
        let value = self.predicted_int().wrapping_add(difference);
        self.learn(value);
        value
    }

    /// Makes the float of the last integer.
    fn catch_up(&mut self, is_behind: &mut bool) {
        if std::mem::take(is_behind) {
            self.bits = unscaled(self.last, self.scale).to_bits();
        }
    }

    /// Returns the start timestamp in force.
    pub fn start(&self) -> Option<i64> {
        (self.start != NO_START).then_some(self.start)
    }

    /// Returns whether the next integers are predicted to be what the last one was.
    fn stands_still(&self) -> bool {
        self.change == 0
    }

    /// Returns the float that was written last, unless a histogram was.
    pub fn last_float(&self) -> Option<f64> {
        (!self.is_histogram).then(|| f64::from_bits(self.bits))
    }

    /// Returns the last integer.
    pub fn last_int(&self) -> i64 {
        self.last
    }

    fn predicted_int(&self) -> i64 {
        if self.cost_of_change < self.cost_of_last { self.last.wrapping_add(self.change) } else { self.last }
    }

    fn predicted_bits(&self) -> u64 {
        let steady = self.raw || self.cost_of_change >= self.cost_of_last;
        if steady { self.bits } else { unscaled(self.predicted_int(), self.scale).to_bits() }
    }

    fn believe(&mut self) {
        self.bits = self.predicted_bits();
        if !self.raw {
            self.learn(self.predicted_int());
        }
    }

    /// Takes note of an integer and of what each prediction would have cost, older ones counting less and less.
    fn learn(&mut self, value: i64) {
        let change = value.wrapping_sub(self.last);
        self.cost_of_last = self.cost_of_last - self.cost_of_last / 4 + cost(change);
        self.cost_of_change = self.cost_of_change - self.cost_of_change / 4 + cost(change.wrapping_sub(self.change));
        (self.last, self.change) = (value, change);
    }

    fn rescale(&mut self, scale: u8) {
        let factor = |from: u8, to: u8| 10i64.pow(u32::from(to - from));
        if scale > self.scale {
            let by = factor(self.scale, scale);
            (self.last, self.change) = (self.last.wrapping_mul(by), self.change.wrapping_mul(by));
        } else {
            let by = factor(scale, self.scale);
            (self.last, self.change) = (self.last / by, self.change / by);
        }
        self.scale = scale;
    }

    fn scaled(&self, value: f64) -> Option<(u8, i64)> {
        if let Some(scaled) = exactly(value, self.scale) {
            return Some((self.scale, scaled));
        }
        if self.misses > 4 && !self.misses.is_multiple_of(16) {
            return None;
        }
        (0..=SCALE_MAX).find_map(|scale| Some((scale, exactly(value, scale)?)))
    }

    fn put_start(&mut self, start: Option<i64>, out: &mut Vec<u8>) -> bool {
        let start = start.unwrap_or(NO_START);
        if start == self.start {
            return false;
        }
        out.push(START);
        if start == NO_START {
            out.push(0);
        } else {
            out.push(1);
            put_zigzag(out, start.wrapping_sub(self.start));
        }
        self.start = start;
        true
    }

    fn take_start(&mut self, take: &mut Take<'_>) -> Option<()> {
        self.start = match take.u8()? {
            0 => NO_START,
            1 => self.start.wrapping_add(take.zigzag()?),
            _ => return None,
        };
        Some(())
    }
}

/// Returns the integer that is this value at this scale, where dividing brings back the very same bits.
fn exactly(value: f64, scale: u8) -> Option<i64> {
    let scaled = if scale == 0 {
        value as i64
    } else {
        let wide = value * POW10[scale as usize];
        let scaled = (wide + if wide < 0.0 { -0.5 } else { 0.5 }) as i64;
        if scaled.unsigned_abs() > SCALED_MAX as u64 {
            return None;
        }
        scaled
    };
    (unscaled(scaled, scale).to_bits() == value.to_bits()).then_some(scaled)
}

fn unscaled(scaled: i64, scale: u8) -> f64 {
    if scale == 0 { scaled as f64 } else { scaled as f64 / POW10[scale as usize] }
}

/// Returns what a prediction costs that is off by so much, in sixteenths of a bit.
fn cost(difference: i64) -> u16 {
    (64 - zigzag(difference).leading_zeros() as u16) * 16
}

fn put_difference(out: &mut Vec<u8>, difference: u64) {
    match difference {
        1..=128 => out.push(difference as u8 - 1),
        129..=16_512 => {
            let rest = difference - 129;
            out.extend_from_slice(&[0x80 | (rest >> 8) as u8, rest as u8]);
        }
        _ => {
            let bytes = (8 - difference.leading_zeros() as usize / 8).max(3);
            out.push(WIDE | (bytes as u8 - 3));
            out.extend_from_slice(&difference.to_le_bytes()[..bytes]);
        }
    }
}

fn take_difference(tag: u8, take: &mut Take<'_>) -> Option<i64> {
    let difference = match tag {
        0..=0x7f => u64::from(tag) + 1,
        0x80..=0xbf => (u64::from(tag & 0x3f) << 8 | u64::from(take.u8()?)) + 129,
        0xe0..=0xe5 => {
            let bytes = take.bytes(usize::from(tag - WIDE) + 3)?;
            bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
        }
        _ => return None,
    };
    Some(unzigzag(difference))
}

fn put_xor(out: &mut Vec<u8>, xor: u64) {
    let lead = (xor.leading_zeros() / 8).min(7) as usize;
    let len = (8 - lead) - (xor.trailing_zeros() as usize / 8).min(8 - lead);
    out.extend_from_slice(&[XOR, (lead << 4 | len) as u8]);
    out.extend_from_slice(&xor.to_be_bytes()[lead..lead + len]);
}

fn take_xor(take: &mut Take<'_>) -> Option<u64> {
    let form = take.u8()?;
    let (lead, len) = (usize::from(form >> 4), usize::from(form & 15));
    let mut bytes = [0; 8];
    bytes.get_mut(lead..lead + len)?.copy_from_slice(take.bytes(len)?);
    Some(u64::from_be_bytes(bytes))
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
