//! Reads a column of tokens: value by value, many integers at once, or passing over what is not wanted.
//!
//! What is passed over costs no more than its state: runs as predicted are one step, and of integers no float is made.

use super::{Item, RUN, RUN_MAX, SCALE, State};
use crate::wire::{Take, unzigzag};

/// Reads a column from its start or from a mark, or goes on where it stopped, also when the column has grown since.
///
/// The bytes of the column are given from offset `from` on, which is not behind [`TokenReader::at`].
#[derive(Debug, Clone, Default)]
pub(crate) struct TokenReader {
    state: State,
    /// The offset in the column of the next token, or of a run that is not used up.
    at: usize,
    /// How many values were read.
    count: u32,
    used: u8,
}

impl TokenReader {
    /// Returns a reader that goes on behind `at` bytes and `count` values, where the coder was in this state.
    pub fn resumed(state: State, at: usize, count: u32) -> TokenReader {
        TokenReader { state, at, count, used: 0 }
    }

    /// Returns the next float or histogram.
    pub fn next(&mut self, column: &[u8], from: usize) -> Option<Item> {
        let item = match self.run(column, from)? {
            0 => {
                let mut take = Take::new(column.get(self.at - from..)?);
                let before = take.rest.len();
                let item = self.state.take(&mut take)?;
                self.at += before - take.rest.len();
                item
            }
            _ => {
                self.used += 1;
                Item::Float(self.state.as_predicted())
            }
        };
        self.count += 1;
        Some(item)
    }

    /// Returns the next integer.
    pub fn next_int(&mut self, column: &[u8], from: usize) -> Option<i64> {
        let value = match self.run(column, from)? {
            0 => self.token_int(column, from)?,
            _ => {
                self.used += 1;
                self.state.int_as_predicted()
            }
        };
        self.count += 1;
        Some(value)
    }

    /// Appends the next integers, at most so many; answers how many there were.
    pub fn ints(&mut self, column: &[u8], from: usize, count: u32, out: &mut Vec<i64>) -> u32 {
        let before = self.count;
        let end = before.saturating_add(count);
        while self.count < end {
            let Some(left) = self.run(column, from) else { break };
            if left > 0 {
                let some = u32::from(left).min(end - self.count);
                self.state.ints_as_predicted(some, out);
                (self.used, self.count) = (self.used + some as u8, self.count + some);
            } else {
                let Some(value) = self.token_int(column, from) else { break };
                out.push(value);
                self.count += 1;
            }
        }
        self.count - before
    }

    /// Returns the next integer and how many of it follow each other, as far as one token says so, at most `most`.
    pub fn next_ints(&mut self, column: &[u8], from: usize, most: u32) -> Option<(i64, u32)> {
        let value = self.next_int(column, from)?;
        let left = if self.state.stands_still() { self.run(column, from).unwrap_or(0) } else { 0 };
        let more = u32::from(left).min(most.saturating_sub(1));
        self.pass_run(more);
        Some((value, 1 + more))
    }

    /// Passes over so many floats or histograms; `None` when there are fewer.
    pub fn skip(&mut self, column: &[u8], from: usize, count: u32) -> Option<()> {
        let mut is_behind = false;
        let passed = self.skip_to(column, from, self.count.saturating_add(count), &mut is_behind);
        self.state.catch_up(&mut is_behind);
        passed
    }

    /// Passes over values up to a place. Of integers no float is made on the way: `is_behind` says that the last one
    /// still is to be.
    fn skip_to(&mut self, column: &[u8], from: usize, end: u32, is_behind: &mut bool) -> Option<()> {
        while self.count < end {
            let left = self.run(column, from)?;
            if left > 0 {
                self.pass_run(u32::from(left).min(end - self.count));
            } else if *column.get(self.at - from)? < SCALE {
                self.token_int(column, from)?;
                (self.state.raw, *is_behind, self.count) = (false, true, self.count + 1);
            } else {
                self.state.catch_up(is_behind);
                self.next(column, from)?;
            }
        }
        Some(())
    }

    /// Passes over so many integers; `None` when there are fewer.
    pub fn skip_ints(&mut self, column: &[u8], from: usize, count: u32) -> Option<()> {
        let end = self.count.saturating_add(count);
        while self.count < end {
            match self.run(column, from)? {
                0 => {
                    self.token_int(column, from)?;
                    self.count += 1;
                }
                left => self.pass_run(u32::from(left).min(end - self.count)),
            }
        }
        Some(())
    }

    /// Reads on to the first integer that is not below `least`, if it is among the first `end` of the column.
    pub fn next_not_below(&mut self, column: &[u8], from: usize, least: i64, end: u32) -> Option<i64> {
        while self.count < end {
            let left = u32::from(self.run(column, from)?);
            if left > 1 && left <= end - self.count {
                let before = self.state.clone();
                self.state.skip_predicted(left);
                if self.state.last_int() < least {
                    (self.used, self.count) = (self.used + left as u8, self.count + left);
                    continue;
                }
                self.state = before;
            }
            let value = if left == 0 { self.token_int(column, from)? } else { self.state.int_as_predicted() };
            (self.used, self.count) = (self.used + u8::from(left > 0), self.count + 1);
            if value >= least {
                return Some(value);
            }
        }
        None
    }

    /// Returns the start timestamp of the value read last.
    pub fn start(&self) -> Option<i64> {
        self.state.start()
    }

    /// Returns the offset from which bytes are still needed.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Returns how many values are before the next one.
    pub fn count(&self) -> u32 {
        self.count
    }

    fn token_int(&mut self, column: &[u8], from: usize) -> Option<i64> {
        // Most differences are small.
        if let Some(tag @ 0..0x80) = column.get(self.at - from) {
            self.at += 1;
            return Some(self.state.int_behind(unzigzag(u64::from(*tag) + 1)));
        }
        let mut take = Take::new(column.get(self.at - from..)?);
        let before = take.rest.len();
        let value = self.state.take_int(&mut take)?;
        self.at += before - take.rest.len();
        Some(value)
    }

    fn pass_run(&mut self, count: u32) {
        self.state.skip_predicted(count);
        self.used += count as u8;
        self.count += count;
    }

    /// Returns how many values of the run at hand are left; 0 where another token is next.
    fn run(&mut self, column: &[u8], from: usize) -> Option<u8> {
        loop {
            let tag = *column.get(self.at.checked_sub(from)?)?;
            if !(RUN..RUN + RUN_MAX).contains(&tag) {
                return Some(0);
            }
            let left = (tag - RUN + 1).saturating_sub(self.used);
            if left > 0 {
                return Some(left);
            }
            (self.used, self.at) = (0, self.at + 1);
        }
    }
}
