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

use crate::wire::{Take, put_u64, put_varint, put_zigzag, unzigzag, zigzag};

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

/// Reads a packed column; the bytes are given whole each time.
#[derive(Debug, Clone)]
pub(crate) struct PackedReader {
    kind: u8,
    rule: u8,
    /// The width of the group at hand, and how many of its differences were read.
    width: u8,
    used: u8,
    total: u32,
    count: u32,
    /// How many values as predicted are left.
    zeros: u32,
    /// Behind the group at hand.
    at: u32,
    /// The next exception: which value it is, and where the entry behind it is; and how many are left behind it.
    exception: (u32, u32, u32),
    /// The next start timestamp, likewise.
    next_start: (u32, u32, u32),
    start: Option<i64>,
    factor: i64,
    first: i64,
    base: i64,
    last: i64,
    change: i64,
}

impl PackedReader {
    /// Begins to read; `None` when the bytes are not a packed column.
    pub fn new(column: &[u8]) -> Option<PackedReader> {
        let take = &mut Take::new(column);
        let form = take.u8()?;
        let kind = form & 7;
        if form & PACKED == 0 || kind >= KINDS || form & 0x40 != 0 {
            return None;
        }
        let total = take.varint32()?;
        let rule = take.u8()?;
        if rule != INTEGER {
            float(rule, 0)?;
        }
        let factor = if form & FACTOR != 0 { i64::try_from(take.varint()?).ok()? } else { 1 };
        let here = |take: &Take<'_>| (column.len() - take.rest.len()) as u32;
        let none = (u32::MAX, 0, 0);
        let (mut exception, mut next_start) = (none, none);
        if form & EXCEPTIONS != 0 {
            let count = take.count().filter(|count| *count > 0)?;
            exception = (0, here(take), count as u32);
            for _ in 0..count {
                take.varint32()?;
                take.u64()?;
            }
        }
        if form & STARTS != 0 {
            let count = take.count().filter(|count| *count > 0)?;
            next_start = (0, here(take), count as u32);
            for _ in 0..count {
                take.varint32()?;
                if take.u8()? == 1 {
                    take.zigzag()?;
                }
            }
        }
        let first = take.zigzag()?;
        let base = if kind >= 2 { take.zigzag()? } else { 0 };
        let at = here(take);
        let (width, used) = (0, GROUP as u8);
        let (count, zeros, start, last, change) = (0, 0, None, 0, 0);
        let mut reader = PackedReader {
            kind,
            rule,
            width,
            used,
            total,
            count,
            zeros,
            at,
            exception,
            next_start,
            start,
            factor,
            first,
            base,
            last,
            change,
        };
        reader.exception = next_entry(column, exception, 0)?;
        reader.next_start = next_entry(column, next_start, 0)?;
        Some(reader)
    }

    /// Returns the next float.
    pub fn next(&mut self, column: &[u8]) -> Option<f64> {
        let at = self.count;
        let v = self.next_int(column)?;
        self.pass_starts(column, at)?;
        if self.exception.0 == at {
            return self.take_exception(column);
        }
        float(self.rule, v)
    }

    /// Returns the next integer.
    pub fn next_int(&mut self, column: &[u8]) -> Option<i64> {
        if self.count >= self.total {
            return None;
        }
        if self.count > 0 {
            let difference = self.difference(column)?;
            self.step(difference);
        }
        self.count += 1;
        Some(self.first.wrapping_add(self.last.wrapping_mul(self.factor)))
    }

    /// Returns how many integers that are the same as the one read last are certain to follow.
    pub fn same(&self) -> u32 {
        let still = match self.kind {
            0 => true,
            1 => self.change == 0,
            2 | 4 => self.last == self.base,
            _ => self.base == 0,
        };
        if still { self.zeros.min(self.total - self.count) } else { 0 }
    }

    /// Passes over so many values; `None` when there are fewer.
    pub fn skip(&mut self, column: &[u8], count: u32) -> Option<()> {
        let end = self.count.checked_add(count).filter(|end| *end <= self.total)?;
        while self.count < end {
            if self.zeros > 0 && self.count > 0 {
                let some = self.zeros.min(end - self.count);
                self.pass_zeros(some);
                self.count += some;
            } else {
                self.next_int(column)?;
            }
        }
        if count > 0 {
            self.pass_starts(column, self.count - 1)?;
            while self.exception.0 < self.count {
                self.take_exception(column)?;
            }
        }
        Some(())
    }

    /// Reads on to the first integer that is not below `least`, if it is among the first `end` of the column.
    pub fn next_not_below(&mut self, column: &[u8], least: i64, end: u32) -> Option<i64> {
        while self.count < end {
            if self.zeros > 1 && self.count > 0 && self.zeros <= end - self.count {
                let before = self.clone();
                let zeros = self.zeros;
                self.pass_zeros(zeros);
                let ends_at = self.first.wrapping_add(self.last.wrapping_mul(self.factor));
                if ends_at < least {
                    self.count += zeros;
                    continue;
                }
                *self = before;
            }
            let value = self.next_int(column)?;
            if value >= least {
                return Some(value);
            }
        }
        None
    }

    /// Returns the start timestamp of the value read last.
    pub fn start(&self) -> Option<i64> {
        self.start
    }

    /// Returns how many values are before the next one.
    pub fn count(&self) -> u32 {
        self.count
    }

    fn step(&mut self, difference: u64) {
        let before = self.last;
        self.last = match self.kind {
            0 => before.wrapping_add(unzigzag(difference)),
            1 => before.wrapping_add(self.change).wrapping_add(unzigzag(difference)),
            2 => self.base.wrapping_add(difference as i64),
            3 => before.wrapping_add(self.base).wrapping_add(difference as i64),
            _ => self.base.wrapping_add(unzigzag(difference)),
        };
        self.change = self.last.wrapping_sub(before);
    }

    /// Steps over values as predicted that are certain to be there.
    fn pass_zeros(&mut self, count: u32) {
        self.zeros -= count;
        let times = i64::from(count);
        match self.kind {
            0 => self.change = 0,
            1 => self.last = self.last.wrapping_add(self.change.wrapping_mul(times)),
            3 => self.last = self.last.wrapping_add(self.base.wrapping_mul(times)),
            _ => self.last = self.base,
        }
    }

    fn difference(&mut self, column: &[u8]) -> Option<u64> {
        if self.zeros == 0 && usize::from(self.used) == GROUP {
            let tag = *column.get(self.at as usize)?;
            match tag {
                REST => self.zeros = u32::MAX,
                1..=ZEROS => {
                    let end = self.at as usize + 1 + usize::from(tag);
                    if end > column.len() {
                        return None;
                    }
                    (self.at, self.width, self.used) = (end as u32, tag, 0);
                }
                _ => (self.zeros, self.at) = (u32::from(tag - ZEROS) * GROUP as u32, self.at + 1),
            }
        }
        if self.zeros > 0 {
            self.zeros -= 1;
            return Some(0);
        }
        let width = u32::from(self.width);
        let bit = u32::from(self.used) * width;
        self.used += 1;
        let group = column.get(self.at as usize - width as usize..self.at as usize)?;
        let from = (bit / 8) as usize;
        let mut bytes = [0; 16];
        let some = (group.len() - from).min(9);
        bytes[..some].copy_from_slice(&group[from..from + some]);
        let mask = u64::MAX >> (u64::BITS - width);
        Some((u128::from_le_bytes(bytes) >> (bit % 8)) as u64 & mask)
    }

    fn take_exception(&mut self, column: &[u8]) -> Option<f64> {
        let (at, behind, left) = self.exception;
        let bits = Take::new(column.get(behind as usize..)?).u64()?;
        self.exception = next_entry(column, (0, behind + 8, left), at.saturating_add(1))?;
        Some(f64::from_bits(bits))
    }

    /// Takes the start timestamps that are in force up to a value.
    fn pass_starts(&mut self, column: &[u8], at: u32) -> Option<()> {
        while self.next_start.0 <= at {
            let (from, behind, left) = self.next_start;
            let take = &mut Take::new(column.get(behind as usize..)?);
            self.start = if take.u8()? == 1 { Some(take.zigzag()?) } else { None };
            let behind = (column.len() - take.rest.len()) as u32;
            self.next_start = next_entry(column, (0, behind, left), from)?;
        }
        Some(())
    }
}

/// Returns which value the next entry of a list is about, where the rest of it is, and how many are left behind it.
fn next_entry(column: &[u8], (_, behind, left): (u32, u32, u32), from: u32) -> Option<(u32, u32, u32)> {
    if left == 0 {
        return Some((u32::MAX, 0, 0));
    }
    let take = &mut Take::new(column.get(behind as usize..)?);
    let at = from.checked_add(take.varint32()?)?;
    Some((at, (column.len() - take.rest.len()) as u32, left - 1))
}

#[cfg(test)]
#[path = "packed_tests.rs"]
mod tests;
