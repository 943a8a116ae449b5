//! Reads a packed column: a value at a time, or many at once into buffers that are kept.
//!
//! A group of eight is unpacked as a whole where it is wanted as a whole, and a run of values as predicted costs what
//! filling memory costs. Only integers are carried along; a float is made of those that are delivered. Bytes that end
//! early, or make no sense, end the column there: what came before is the same either way of reading.

use super::{BITS, EXCEPTIONS, FACTOR, GROUP, INTEGER, KINDS, PACKED, REST, SCALES, STARTS, ZEROS};
use super::{POW10, float};
use crate::wire::{Take, unzigzag};

/// How many integers are unpacked before floats are made of them.
const CHUNK: usize = 64;

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
        let mut chunk = [0; CHUNK];
        while self.count < end {
            self.pass(column, end);
            let left = (end - self.count) as usize;
            if left > 0 && self.fill(column, &mut chunk[..left.min(CHUNK)]) == 0 {
                return None;
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

    /// Appends the next integers, at most so many; answers how many there were.
    pub fn ints(&mut self, column: &[u8], count: u32, out: &mut Vec<i64>) -> u32 {
        let (before, mut chunk) = (self.count, [0; CHUNK]);
        let end = before.saturating_add(count).min(self.total);
        while self.count < end {
            let some = ((end - self.count) as usize).min(CHUNK);
            let filled = self.fill(column, &mut chunk[..some]);
            if filled == 0 {
                break;
            }
            out.extend(chunk[..filled].iter().map(|v| self.first.wrapping_add(v.wrapping_mul(self.factor))));
        }
        self.count - before
    }

    /// Whether floats can be read many at once: start timestamps are told of one value only.
    pub fn has_no_starts(&self) -> bool {
        self.next_start.0 == u32::MAX && self.start.is_none()
    }

    /// Appends the next floats, at most so many; answers whether there were so many.
    pub fn floats(&mut self, column: &[u8], count: u32, out: &mut Vec<f64>) -> bool {
        let (end, mut chunk) = (self.count.saturating_add(count), [0; CHUNK]);
        while self.count < end.min(self.total) {
            let (from, begin) = (self.count, out.len());
            let some = ((end.min(self.total) - from) as usize).min(CHUNK);
            let filled = self.fill(column, &mut chunk[..some]);
            if filled == 0 {
                return false;
            }
            self.put_floats(&chunk[..filled], out);
            while self.exception.0 < self.count {
                let at = begin + self.exception.0.saturating_sub(from) as usize;
                let Some(value) = self.take_exception(column) else {
                    out.truncate(at);
                    return false;
                };
                out[at] = value;
            }
        }
        self.count == end
    }

    /// Appends the floats at these places, which ascend and are not before the next one; ends where there are fewer.
    pub fn floats_at(&mut self, column: &[u8], places: &[u32], out: &mut Vec<f64>) {
        let (mut places, mut chunk) = (places.iter().copied().peekable(), [0; CHUNK]);
        while let Some(place) = places.peek().copied() {
            self.pass(column, place);
            let from = self.count;
            let filled = self.fill(column, &mut chunk);
            if filled == 0 {
                return;
            }
            while let Some(place) = places.next_if(|place| *place < self.count) {
                while self.exception.0 < place {
                    if self.take_exception(column).is_none() {
                        return;
                    }
                }
                let value = if self.exception.0 == place {
                    self.take_exception(column)
                } else {
                    let v = chunk[(place - from) as usize];
                    float(self.rule, self.first.wrapping_add(v.wrapping_mul(self.factor)))
                };
                let Some(value) = value else { return };
                out.push(value);
            }
        }
    }

    fn put_floats(&self, integers: &[i64], out: &mut Vec<f64>) {
        let values = integers.iter().map(|v| self.first.wrapping_add(v.wrapping_mul(self.factor)));
        // The rule is looked at once, not for each value.
        match self.rule {
            0 => out.extend(values.map(|v| v as f64)),
            1..SCALES => {
                let scale = POW10[self.rule as usize];
                out.extend(values.map(|v| v as f64 / scale));
            }
            BITS => out.extend(values.map(|v| f64::from_bits(v as u64))),
            rule => out.extend(values.map(|v| float(rule, v).unwrap_or(0.0))),
        }
    }

    /// Passes over runs and whole groups before a place. Groups that tell nothing of what comes later are not unpacked.
    fn pass(&mut self, column: &[u8], place: u32) {
        let (place, is_free, mut group) = (place.min(self.total), matches!(self.kind, 2 | 4), [0; GROUP]);
        while self.count > 0 && self.count < place {
            if self.zeros > 0 {
                let some = self.zeros.min(place - self.count);
                self.pass_zeros(some);
                self.count += some;
                continue;
            }
            if usize::from(self.used) < GROUP {
                return;
            }
            match column.get(self.at as usize) {
                Some(width @ 1..=ZEROS) if place - self.count > GROUP as u32 => {
                    if !is_free && self.group(column, *width, &mut group) {
                        self.pass_group(&group);
                    } else if is_free && self.at as usize + usize::from(*width) < column.len() {
                        self.at += 1 + u32::from(*width);
                    } else {
                        return;
                    }
                    self.count += GROUP as u32;
                }
                None | Some(1..=ZEROS) => return,
                Some(tag) => self.begin_zeros(*tag),
            }
        }
    }

    /// Goes on behind a group whose values tell what comes later: only the sum of its differences matters, and the last
    /// change where that is what is predicted.
    fn pass_group(&mut self, group: &[u64; GROUP]) {
        let moved = match self.kind {
            0 => group.iter().fold(0i64, |moved, difference| moved.wrapping_add(unzigzag(*difference))),
            1 => group.iter().fold(0i64, |moved, difference| {
                self.change = self.change.wrapping_add(unzigzag(*difference));
                moved.wrapping_add(self.change)
            }),
            _ => group
                .iter()
                .fold(self.base.wrapping_mul(GROUP as i64), |moved, difference| moved.wrapping_add(*difference as i64)),
        };
        self.last = self.last.wrapping_add(moved);
    }

    /// Unpacks the next integers as they are before they are scaled; answers how many. It is as many as there is room
    /// for, or fewer where the column ends, or a group begins for which there is no room behind others.
    fn fill(&mut self, column: &[u8], out: &mut [i64]) -> usize {
        let room = out.len().min((self.total - self.count) as usize);
        let (out, mut filled, mut group) = (&mut out[..room], 0, [0; GROUP]);
        if let Some(first) = out.first_mut()
            && self.count == 0
        {
            (*first, filled) = (0, 1);
        }
        while filled < room {
            if self.zeros > 0 {
                let some = (self.zeros as usize).min(room - filled);
                self.fill_zeros(&mut out[filled..filled + some]);
                filled += some;
            } else if usize::from(self.used) == GROUP && room - filled >= GROUP {
                match column.get(self.at as usize) {
                    Some(width @ 1..=ZEROS) => {
                        if !self.group(column, *width, &mut group) {
                            break;
                        }
                    }
                    Some(tag) => {
                        self.begin_zeros(*tag);
                        continue;
                    }
                    None => break,
                }
                self.fill_group(&group, &mut out[filled..filled + GROUP]);
                filled += GROUP;
            } else if usize::from(self.used) == GROUP && filled >= GROUP {
                break;
            } else {
                let Some(difference) = self.difference(column) else { break };
                self.step(difference);
                out[filled] = self.last;
                filled += 1;
            }
        }
        self.count += filled as u32;
        filled
    }

    /// Takes the differences of the next group; answers whether they are there.
    #[inline]
    fn group(&mut self, column: &[u8], width: u8, group: &mut [u64; GROUP]) -> bool {
        let (from, width) = (self.at as usize + 1, usize::from(width));
        // Words are loaded from wherever a difference begins, so there must be one more behind the group.
        if let Some(bytes) = column.get(from..from + width + 8) {
            unpack(bytes, width as u32, group);
        } else {
            let Some(found) = column.get(from..from + width) else { return false };
            let mut bytes = [0; ZEROS as usize + 8];
            bytes[..width].copy_from_slice(found);
            unpack(&bytes[..width + 8], width as u32, group);
        }
        self.at = (from + width) as u32;
        true
    }

    fn begin_zeros(&mut self, tag: u8) {
        match tag {
            REST => self.zeros = u32::MAX,
            _ => (self.zeros, self.at) = (u32::from(tag - ZEROS) * GROUP as u32, self.at + 1),
        }
    }

    fn fill_group(&mut self, group: &[u64; GROUP], out: &mut [i64]) {
        let (mut last, mut change, base) = (self.last, self.change, self.base);
        let both = out.iter_mut().zip(group);
        match self.kind {
            0 => both.for_each(|(out, difference)| {
                last = last.wrapping_add(unzigzag(*difference));
                *out = last;
            }),
            1 => both.for_each(|(out, difference)| {
                change = change.wrapping_add(unzigzag(*difference));
                last = last.wrapping_add(change);
                *out = last;
            }),
            2 => both.for_each(|(out, difference)| *out = base.wrapping_add(*difference as i64)),
            3 => both.for_each(|(out, difference)| {
                last = last.wrapping_add(base).wrapping_add(*difference as i64);
                *out = last;
            }),
            _ => both.for_each(|(out, difference)| *out = base.wrapping_add(unzigzag(*difference))),
        }
        // What is looked at later of the last change is whether there was one, but of kind 1, which needs it.
        self.change = if self.kind == 1 { change } else { out[GROUP - 1].wrapping_sub(out[GROUP - 2]) };
        self.last = out[GROUP - 1];
    }

    fn fill_zeros(&mut self, out: &mut [i64]) {
        let (last, change) = (self.last, if self.kind == 1 { self.change } else { self.base });
        match self.kind {
            0 => out.fill(last),
            1 | 3 => {
                let mut next = last;
                out.iter_mut().for_each(|out| {
                    next = next.wrapping_add(change);
                    *out = next;
                });
            }
            _ => out.fill(self.base),
        }
        self.pass_zeros(out.len() as u32);
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
            if (1..=ZEROS).contains(&tag) {
                let end = self.at as usize + 1 + usize::from(tag);
                if end > column.len() {
                    return None;
                }
                (self.at, self.width, self.used) = (end as u32, tag, 0);
            } else {
                self.begin_zeros(tag);
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

/// Finds the differences of a group; `bytes` are the group's and eight more.
#[inline]
fn unpack(bytes: &[u8], width: u32, group: &mut [u64; GROUP]) {
    let word =
        |from: usize| bytes.get(from..from + 8).and_then(|word| word.try_into().ok()).map_or(0, u64::from_le_bytes);
    let mask = u64::MAX >> (u64::BITS - width);
    if width <= 8 {
        let word = word(0);
        group.iter_mut().zip(0..).for_each(|(out, at)| *out = word >> (at * width) & mask);
    } else if width <= 56 {
        for (out, at) in group.iter_mut().zip(0..) {
            *out = word((at * width / 8) as usize) >> (at * width % 8) & mask;
        }
    } else {
        // These may reach into a ninth byte.
        for (out, at) in group.iter_mut().zip(0..) {
            let (from, shift) = ((at * width / 8) as usize, at * width % 8);
            let high = if shift > 0 { word(from + 1) >> 56 << (64 - shift) } else { 0 };
            *out = (word(from) >> shift | high) & mask;
        }
    }
}
