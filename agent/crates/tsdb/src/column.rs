//! A column as a reader meets it: growing tokens in the open block, packed or tokens in a sealed one.
//!
//! Both are read a value at a time and passed over in less; a reader of the open block that finds it sealed begins
//! anew on what is on the medium and passes over what it had read. The bytes are given with each call: those of the
//! open block from the reader's own place on, those of a sealed one whole.

use crate::codec::{Item, State, TokenReader};
use crate::packed::{PackedReader, Packer};

/// The form of a sealed column that is the tokens of the open block.
pub(crate) const TOKENS: u8 = 0;

/// Reads one column.
#[derive(Debug, Clone)]
pub(crate) enum ColumnReader {
    /// Of the open block.
    Open(TokenReader),
    /// Of a sealed block, the tokens of the open one.
    Tokens(TokenReader),
    /// Of a sealed block.
    Packed(PackedReader),
}

impl Default for ColumnReader {
    fn default() -> ColumnReader {
        ColumnReader::Open(TokenReader::default())
    }
}

impl ColumnReader {
    /// Begins to read a column of a sealed block; `None` when its bytes are none.
    pub fn sealed(column: &[u8]) -> Option<ColumnReader> {
        if column.first() == Some(&TOKENS) {
            return Some(ColumnReader::Tokens(TokenReader::resumed(State::default(), 1, 0)));
        }
        PackedReader::new(column).map(ColumnReader::Packed)
    }

    /// Goes on in the sealed block, where the column of the open one was read until now.
    pub fn settle(&mut self, column: &[u8], are_ints: bool) -> Option<()> {
        let ColumnReader::Open(open) = self else { return Some(()) };
        let count = open.count();
        let mut sealed = ColumnReader::sealed(column)?;
        if are_ints { sealed.skip_ints(column, 0, count) } else { sealed.skip(column, 0, count) }?;
        *self = sealed;
        Some(())
    }

    /// Returns the next float or histogram.
    pub fn next(&mut self, column: &[u8], from: usize) -> Option<Item> {
        match self {
            ColumnReader::Open(reader) | ColumnReader::Tokens(reader) => reader.next(column, from),
            ColumnReader::Packed(reader) => reader.next(column).map(Item::Float),
        }
    }

    /// Returns the next integer.
    pub fn next_int(&mut self, column: &[u8], from: usize) -> Option<i64> {
        match self {
            ColumnReader::Open(reader) | ColumnReader::Tokens(reader) => reader.next_int(column, from),
            ColumnReader::Packed(reader) => reader.next_int(column),
        }
    }

    /// Returns the next integer and how many of it follow each other, as far as that is known at once; at most `most`.
    pub fn next_ints(&mut self, column: &[u8], from: usize, most: u32) -> Option<(i64, u32)> {
        match self {
            ColumnReader::Open(reader) | ColumnReader::Tokens(reader) => reader.next_ints(column, from, most),
            ColumnReader::Packed(reader) => {
                let value = reader.next_int(column)?;
                let more = reader.same().min(most.saturating_sub(1));
                reader.skip(column, more)?;
                Some((value, 1 + more))
            }
        }
    }

    /// Appends the next integers, at most so many; answers how many there were.
    pub fn ints(&mut self, column: &[u8], from: usize, count: u32, out: &mut Vec<i64>) -> u32 {
        match self {
            ColumnReader::Open(reader) | ColumnReader::Tokens(reader) => reader.ints(column, from, count, out),
            ColumnReader::Packed(reader) => reader.ints(column, count, out),
        }
    }

    /// Passes over so many floats or histograms; `None` when there are fewer.
    pub fn skip(&mut self, column: &[u8], from: usize, count: u32) -> Option<()> {
        match self {
            ColumnReader::Open(reader) | ColumnReader::Tokens(reader) => reader.skip(column, from, count),
            ColumnReader::Packed(reader) => reader.skip(column, count),
        }
    }

    /// Passes over so many integers; `None` when there are fewer.
    pub fn skip_ints(&mut self, column: &[u8], from: usize, count: u32) -> Option<()> {
        match self {
            ColumnReader::Open(reader) | ColumnReader::Tokens(reader) => reader.skip_ints(column, from, count),
            ColumnReader::Packed(reader) => reader.skip(column, count),
        }
    }

    /// Reads on to the first integer that is not below `least`, if it is among the first `end` of the column.
    pub fn next_not_below(&mut self, column: &[u8], from: usize, least: i64, end: u32) -> Option<i64> {
        match self {
            ColumnReader::Open(reader) | ColumnReader::Tokens(reader) => {
                reader.next_not_below(column, from, least, end)
            }
            ColumnReader::Packed(reader) => reader.next_not_below(column, least, end),
        }
    }

    /// Returns the start timestamp of the value read last.
    pub fn start(&self) -> Option<i64> {
        match self {
            ColumnReader::Open(reader) | ColumnReader::Tokens(reader) => reader.start(),
            ColumnReader::Packed(reader) => reader.start(),
        }
    }

    /// Returns the offset from which bytes are needed: 0 for a sealed column.
    pub fn at(&self) -> usize {
        match self {
            ColumnReader::Open(reader) => reader.at(),
            _ => 0,
        }
    }

    /// Returns how many values are before the next one.
    pub fn count(&self) -> u32 {
        match self {
            ColumnReader::Open(reader) | ColumnReader::Tokens(reader) => reader.count(),
            ColumnReader::Packed(reader) => reader.count(),
        }
    }
}

/// Turns columns of the open block into those of a sealed one; keeps its buffers from one to the next.
#[derive(Default)]
pub(crate) struct Sealer {
    packer: Packer,
    floats: Vec<f64>,
    integers: Vec<i64>,
    starts: Vec<(u32, Option<i64>)>,
    packed: Vec<u8>,
}

impl Sealer {
    /// Appends a column of integers, of which the tokens are given; returns how many they are.
    pub fn integers(&mut self, tokens: &[u8], out: &mut Vec<u8>) -> usize {
        self.integers.clear();
        let mut reader = TokenReader::default();
        while let Some(value) = reader.next_int(tokens, 0) {
            self.integers.push(value);
        }
        self.packed.clear();
        self.packer.integers(&self.integers, &mut self.packed);
        self.put_smaller(tokens, out);
        self.integers.len()
    }

    /// Appends a column of floats or histograms, of which the tokens are given; returns how many were looked at.
    pub fn values(&mut self, tokens: &[u8], out: &mut Vec<u8>) -> usize {
        self.floats.clear();
        self.starts.clear();
        let (mut reader, mut start) = (TokenReader::default(), None);
        while let Some(item) = reader.next(tokens, 0) {
            let Item::Float(value) = item else {
                put_tokens(tokens, out);
                return self.floats.len();
            };
            if reader.start() != start {
                start = reader.start();
                self.starts.push((self.floats.len() as u32, start));
            }
            self.floats.push(value);
        }
        self.packed.clear();
        self.packer.floats(&self.floats, &self.starts, &mut self.packed);
        self.put_smaller(tokens, out);
        self.floats.len()
    }

    fn put_smaller(&self, tokens: &[u8], out: &mut Vec<u8>) {
        if self.packed.len() <= tokens.len() {
            out.extend_from_slice(&self.packed);
        } else {
            put_tokens(tokens, out);
        }
    }
}

fn put_tokens(tokens: &[u8], out: &mut Vec<u8>) {
    out.push(TOKENS);
    out.extend_from_slice(tokens);
}
