//! One column of a sealed block: all its values at once, so that they can be seen as integers by one rule and the best
//! of several predictions is taken. Bit-exact for every f64; read a value at a time, passed over in less.
//!
//! ```text
//! form u8      0x80 | kind | 8 with a factor | 16 with exceptions | 32 with start timestamps
//! count varint, rule u8, factor varint, exceptions (count varint, each: gap varint, bits u64),
//! starts (count varint, each: gap varint, 0 or 1 and zigzag), first zigzag, base zigzag (kinds 2, 3, 4)
//! groups       0  the rest is as predicted          65..=255  so many, less 64, groups of eight as predicted
//!              1..=64  eight differences of so many bits, lowest first
//! kind         0 zigzag(v - last)   1 zigzag(v - last - change)   2 v - base   3 v - last - base   4 zigzag(v - base)
//! rule         0..=15 v / 10^rule   17..=25 v * 10^-(rule - 16)   32, 33 v / 1000 / 1000 (/ 1000)
//!              62 an integer   63 the bits of a float
//! ```
//! A value is `first + factor * v`; the first v is 0 and has no difference. What seconds are made of decides the rule:
//! programs divide milliseconds, multiply them, or divide microseconds twice, and each leaves its own last bits.

mod reader;

use crate::wire::{put_u64, put_varint, put_zigzag, zigzag};
pub(crate) use reader::PackedReader;

const PACKED: u8 = 0x80;
const FACTOR: u8 = 8;
const EXCEPTIONS: u8 = 16;
const STARTS: u8 = 32;
const KINDS: u8 = 5;
const SCALES: u8 = 16;
const TENTHS: u8 = 16;
const TWICE: u8 = 32;
const THRICE: u8 = 33;
const INTEGER: u8 = 62;
const BITS: u8 = 63;
const GROUP: usize = 8;
const REST: u8 = 0;
const ZEROS: u8 = 64;
/// A column may have one value in so many that is not by its rule, and one more.
const EXCEPTION_SHARE: usize = 24;

const POW10: [f64; SCALES as usize] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
const PARTS: [f64; 10] = [1e0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9];

/// The rules in the order in which they are tried.
fn rules() -> impl Iterator<Item = u8> {
    (0..SCALES).chain(TENTHS + 1..TENTHS + PARTS.len() as u8).chain([TWICE, THRICE])
}

/// Returns the float that an integer stands for; `None` for a rule that there is not.
fn float(rule: u8, v: i64) -> Option<f64> {
    Some(match rule {
        0..SCALES => v as f64 / POW10[rule as usize],
        TWICE => v as f64 / 1000.0 / 1000.0,
        THRICE => v as f64 / 1000.0 / 1000.0 / 1000.0,
        BITS => f64::from_bits(v as u64),
        _ => v as f64 * PARTS.get(rule.checked_sub(TENTHS)? as usize)?,
    })
}

/// Returns the integer that stands for a float by a rule, where there is one.
fn integer(rule: u8, value: f64) -> Option<i64> {
    let scale = match rule {
        0..SCALES => POW10[rule as usize],
        TWICE => 1e6,
        THRICE => 1e9,
        BITS => return Some(value.to_bits() as i64),
        _ => POW10[(rule - TENTHS) as usize],
    };
    let near = (value * scale).round() as i64;
    let same = |v: &i64| float(rule, *v).is_some_and(|found| found.to_bits() == value.to_bits());
    [near, near.saturating_sub(1), near.saturating_add(1)].into_iter().find(same)
}

/// Packs columns; keeps its buffers from one to the next.
#[derive(Default)]
pub(crate) struct Packer {
    integers: Vec<i64>,
    exceptions: Vec<(u32, u64)>,
    best: Vec<u64>,
    other: Vec<u64>,
}

impl Packer {
    /// Appends a column of floats; `starts` says from which value on which start timestamp is in force.
    pub fn floats(&mut self, values: &[f64], starts: &[(u32, Option<i64>)], out: &mut Vec<u8>) {
        let rule = self.choose(values);
        self.put(rule, starts, out);
    }

    /// Appends a column of integers.
    pub fn integers(&mut self, values: &[i64], out: &mut Vec<u8>) {
        self.integers.clear();
        self.integers.extend_from_slice(values);
        self.exceptions.clear();
        self.put(INTEGER, &[], out);
    }

    /// Finds the rule with the fewest exceptions, and leaves the integers and exceptions of it.
    fn choose(&mut self, values: &[f64]) -> u8 {
        let mut fewest = values.len() / EXCEPTION_SHARE + 2;
        let mut best = BITS;
        for rule in rules() {
            let misses = values.iter().filter(|value| integer(rule, **value).is_none()).take(fewest).count();
            if misses < fewest {
                (fewest, best) = (misses, rule);
            }
            if misses == 0 {
                break;
            }
        }
        self.integers.clear();
        self.exceptions.clear();
        let first = values.iter().find_map(|value| integer(best, *value)).unwrap_or(0);
        for (at, value) in values.iter().enumerate() {
            let v = integer(best, *value);
            if v.is_none() {
                self.exceptions.push((at as u32, value.to_bits()));
            }
            self.integers.push(v.unwrap_or(*self.integers.last().unwrap_or(&first)));
        }
        best
    }

    fn put(&mut self, rule: u8, starts: &[(u32, Option<i64>)], out: &mut Vec<u8>) {
        let first = self.integers.first().copied().unwrap_or(0);
        let factor = self.factor(first);
        for v in &mut self.integers {
            *v = v.wrapping_sub(first) / factor;
        }
        let (kind, base) = self.predict();
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let has = flag(factor != 1, FACTOR) | flag(!self.exceptions.is_empty(), EXCEPTIONS);
        out.push(PACKED | kind | has | flag(!starts.is_empty(), STARTS));
        put_varint(out, self.integers.len() as u64);
        out.push(rule);
        if factor != 1 {
            put_varint(out, factor as u64);
        }
        if !self.exceptions.is_empty() {
            put_varint(out, self.exceptions.len() as u64);
            let mut next = 0;
            for (at, bits) in &self.exceptions {
                put_varint(out, u64::from(at - next));
                put_u64(out, *bits);
                next = at + 1;
            }
        }
        if !starts.is_empty() {
            put_varint(out, starts.len() as u64);
            let mut before = 0;
            for (at, start) in starts {
                put_varint(out, u64::from(at - before));
                out.push(u8::from(start.is_some()));
                start.iter().for_each(|start| put_zigzag(out, *start));
                before = *at;
            }
        }
        put_zigzag(out, first);
        if kind >= 2 {
            put_zigzag(out, base);
        }
        put_groups(&self.best, out);
    }

    /// Returns the greatest factor that all values less the first have; 1 where there is none.
    fn factor(&self, first: i64) -> i64 {
        let mut factor = 0u64;
        for v in &self.integers {
            let (mut a, mut b) = (v.wrapping_sub(first).unsigned_abs(), factor);
            while b != 0 {
                (a, b) = (b, a % b);
            }
            factor = a;
            if factor == 1 {
                break;
            }
        }
        i64::try_from(factor).ok().filter(|factor| *factor > 1).unwrap_or(1)
    }

    /// Leaves the differences from the best prediction in `best`; returns its kind and base.
    fn predict(&mut self) -> (u8, i64) {
        let (mut best, mut cheapest) = ((0, 0), usize::MAX);
        for kind in 0..KINDS {
            let base = match kind {
                2 => self.integers.iter().copied().min().unwrap_or(0),
                3 => steps(&self.integers).min().unwrap_or(0),
                4 => middle(&self.integers),
                _ => 0,
            };
            differences(&self.integers, kind, base, &mut self.other);
            let cost = cost(&self.other) + if kind >= 2 { 2 } else { 0 };
            if cost < cheapest {
                (best, cheapest) = ((kind, base), cost);
                std::mem::swap(&mut self.best, &mut self.other);
            }
            if self.best.iter().all(|difference| *difference == 0) {
                break;
            }
        }
        best
    }
}

fn steps(integers: &[i64]) -> impl Iterator<Item = i64> + '_ {
    integers.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]))
}

/// Returns a value in the middle, of those that a column has at a few places.
fn middle(integers: &[i64]) -> i64 {
    let mut some: Vec<i64> = integers.iter().step_by(integers.len() / 32 + 1).copied().collect();
    some.sort_unstable();
    some.get(some.len() / 2).copied().unwrap_or(0)
}

fn differences(integers: &[i64], kind: u8, base: i64, out: &mut Vec<u64>) {
    out.clear();
    let (mut last, mut change) = (0i64, 0i64);
    for v in integers.iter().skip(1) {
        let moved = v.wrapping_sub(last);
        out.push(match kind {
            0 => zigzag(moved),
            1 => zigzag(moved.wrapping_sub(change)),
            2 => v.wrapping_sub(base) as u64,
            3 => moved.wrapping_sub(base) as u64,
            _ => zigzag(v.wrapping_sub(base)),
        });
        (last, change) = (*v, moved);
    }
}

fn width(group: &[u64]) -> u32 {
    u64::BITS - group.iter().fold(0, |all, difference| all | difference).leading_zeros()
}

fn cost(differences: &[u64]) -> usize {
    differences.chunks(GROUP).map(|group| width(group) as usize + usize::from(width(group) > 0)).sum()
}

fn put_groups(differences: &[u64], out: &mut Vec<u8>) {
    let used = differences.len() - differences.iter().rev().take_while(|difference| **difference == 0).count();
    let mut zeros = 0;
    for group in differences[..used].chunks(GROUP) {
        let width = width(group);
        if width == 0 {
            zeros += 1;
            continue;
        }
        put_zeros(std::mem::take(&mut zeros), out);
        out.push(width as u8);
        let (mut bits, mut filled) = (0u128, 0);
        for at in 0..GROUP {
            bits |= u128::from(group.get(at).copied().unwrap_or(0)) << filled;
            filled += width;
            while filled >= 8 {
                out.push(bits as u8);
                (bits, filled) = (bits >> 8, filled - 8);
            }
        }
    }
    if used.div_ceil(GROUP) * GROUP < differences.len() {
        out.push(REST);
    }
}

fn put_zeros(mut groups: usize, out: &mut Vec<u8>) {
    while groups > 0 {
        let some = groups.min(usize::from(u8::MAX - ZEROS));
        out.push(ZEROS + some as u8);
        groups -= some;
    }
}

#[cfg(test)]
#[path = "packed_tests.rs"]
mod tests;
