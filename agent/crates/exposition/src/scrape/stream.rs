//! Reads a text that is far larger than memory, piece by piece: for importing.
//!
//! A buffer of [`STREAM_BYTES`] is filled and read up to its last whole line; the rest moves to the front. An entry
//! that goes on over the end (a quoted newline) waits for more. The buffer grows only for a line longer than it, up to
//! the line limit. Lines and bytes are counted from the stream's beginning.
//!
//! Start times of OpenMetrics are found within what is in the buffer, which ends where a family ends if it can: a
//! family larger than the buffer has start times only where the `_created` line is near.

use std::fmt;
use std::io::{self, Read};
use std::ops::ControlFlow;

use super::entry::Entry;
use super::text::{Carry, TextScrape};
use super::{Format, Limits, ScrapeError, ScrapeMemory, ScrapeOptions, count_newlines};

/// How much is read at a time, in bytes.
pub const STREAM_BYTES: usize = 1 << 20;

/// Reads one stream.
///
/// ```
/// use std::ops::ControlFlow;
/// use exposition::{Format, Limits, Placed, ScrapeOptions, TextStream};
///
/// let mut lines = 0;
/// let mut stream = TextStream::new(Format::OpenMetrics, ScrapeOptions::default(), Limits::default());
/// stream.read(&mut &b"up 1 1795249204.02\nup 0 1795249219.02\n# EOF\n"[..], &mut |placed: Placed<'_>| {
///     lines = placed.line();
///     ControlFlow::Continue(())
/// })?;
/// assert_eq!((lines, stream.place().lines), (2, 3));
/// # Ok::<(), exposition::StreamError>(())
/// ```
#[derive(Debug)]
pub struct TextStream {
    is_open: bool,
    options: ScrapeOptions,
    limits: Limits,
    memory: ScrapeMemory,
    carry: Carry,
    buffer: Vec<u8>,
    /// How much of the buffer is filled.
    filled: usize,
    place: Place,
    has_ended: bool,
}

/// Where in a stream something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Whole lines before it.
    pub lines: u64,
    /// Bytes before it.
    pub bytes: u64,
}

/// An entry, and where it is.
#[derive(Debug, Clone, Copy)]
pub struct Placed<'e> {
    /// What the stream says there.
    pub entry: Entry<'e>,
    chunk: &'e [u8],
    at: usize,
    before: Place,
}

impl Placed<'_> {
    /// Returns the line it begins on, counted from 1. Counting is done when asked for.
    pub fn line(&self) -> u64 {
        self.before.lines + 1 + count_newlines(self.chunk.get(..self.at).unwrap_or_default())
    }

    /// Returns how many bytes of the stream are before it.
    pub fn bytes(&self) -> u64 {
        self.before.bytes + self.at as u64
    }
}

/// Why a stream was not read to its end.
#[derive(Debug)]
pub enum StreamError {
    /// The reader failed.
    Read(io::Error),
    /// The text is wrong.
    Text(ScrapeError),
    /// The caller wanted no more.
    Stopped,
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StreamError::Read(_) => f.write_str("reading"),
            StreamError::Text(error) => error.fmt(f),
            StreamError::Stopped => f.write_str("stopped"),
        }
    }
}

impl std::error::Error for StreamError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StreamError::Read(error) => Some(error),
            _ => None,
        }
    }
}

/// What became of a chunk.
enum Outcome {
    /// So many bytes are done with.
    Read(usize),
    Stopped,
}

impl TextStream {
    /// Returns a stream of Prometheus text, or of OpenMetrics text.
    ///
    /// `classic_to_native` is not done on streams. Protobuf has no lines and is read as OpenMetrics, which fails.
    pub fn new(format: Format, options: ScrapeOptions, limits: Limits) -> TextStream {
        TextStream {
            is_open: format != Format::Text,
            options,
            limits,
            memory: ScrapeMemory::default(),
            carry: Carry::default(),
            buffer: Vec::new(),
            filled: 0,
            place: Place::default(),
            has_ended: false,
        }
    }

    /// Returns how much has been read and done with.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Reads to the end and hands over each entry.
    ///
    /// # Errors
    /// The reader's error, what is wrong in the text and on which line, or that the caller stopped. Entries handed
    /// over before are good.
    pub fn read(
        &mut self,
        reader: &mut dyn Read,
        each: &mut dyn FnMut(Placed<'_>) -> ControlFlow<()>,
    ) -> Result<(), StreamError> {
        loop {
            let is_last = !self.fill(reader)?;
            let end = if is_last { self.filled } else { self.cut() };
            if end > 0 || is_last {
                match self.chunk(end, is_last, each)? {
                    Outcome::Stopped => return Err(StreamError::Stopped),
                    Outcome::Read(done) => self.consume(done),
                }
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// Reads until the buffer is full; `false` at the stream's end.
    fn fill(&mut self, reader: &mut dyn Read) -> Result<bool, StreamError> {
        if self.filled == self.buffer.len() {
            // Grown only where one line fills the whole buffer.
            let bytes = (self.buffer.len() * 2).max(STREAM_BYTES);
            if self.buffer.len() > self.limits.line_bytes {
                let what = format!("expected a line of at most {} bytes", self.limits.line_bytes);
                return Err(StreamError::Text(ScrapeError { line: self.place.lines + 1, what }));
            }
            self.buffer.resize(bytes, 0);
        }
        while let Some(free) = self.buffer.get_mut(self.filled..).filter(|free| !free.is_empty()) {
            match reader.read(free) {
                Ok(0) => return Ok(false),
                Ok(bytes) => self.filled += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(StreamError::Read(error)),
            }
        }
        Ok(true)
    }

    /// Returns where the last whole line ends; with start times, where the last whole family ends if one does.
    fn cut(&self) -> usize {
        let bytes = self.buffer.get(..self.filled).unwrap_or_default();
        let newline = |bytes: &[u8]| bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let line = newline(bytes);
        if !(self.is_open && self.options.starts) {
            return line;
        }
        let mut end = line;
        while end > 0 {
            if bytes.get(end) == Some(&b'#') {
                return end;
            }
            end = newline(bytes.get(..end - 1).unwrap_or_default());
        }
        line
    }

    /// Reads the buffer up to `end`.
    fn chunk(
        &mut self,
        end: usize,
        is_last: bool,
        each: &mut dyn FnMut(Placed<'_>) -> ControlFlow<()>,
    ) -> Result<Outcome, StreamError> {
        let chunk = self.buffer.get(..end).unwrap_or_default();
        if self.has_ended {
            let error = ScrapeError { line: self.place.lines, what: "unexpected data after # EOF".to_owned() };
            return if chunk.is_empty() { Ok(Outcome::Read(0)) } else { Err(StreamError::Text(error)) };
        }
        let mut text = TextScrape::new(chunk, self.is_open, self.options, self.limits);
        let ScrapeMemory { item, ahead, family, unit, nhcb } = std::mem::take(&mut self.memory);
        text.take_memory(item, ahead, family, unit);
        text.carry_on(self.carry);
        let mut carry = self.carry;
        let outcome = loop {
            match text.advance() {
                Ok(true) => {
                    carry = text.carry();
                    let entry = text.item.entry(chunk, text.text, text.base);
                    let Some(entry) = entry else { continue };
                    let placed = Placed { entry, chunk, at: text.entry, before: self.place };
                    if each(placed).is_break() {
                        break Ok(Outcome::Stopped);
                    }
                }
                Ok(false) => {
                    self.has_ended = self.is_open;
                    break Ok(Outcome::Read(end));
                }
                Err(_) if !is_last && text.lexer.is_at_end() => break Ok(Outcome::Read(text.entry)),
                Err(what) => {
                    let line = 1 + self.place.lines + count_newlines(chunk.get(..text.entry).unwrap_or_default());
                    break Err(StreamError::Text(ScrapeError { line, what }));
                }
            }
        };
        self.carry = carry;
        let (item, ahead, family, unit) = text.into_memory();
        self.memory = ScrapeMemory { item, ahead, family, unit, nhcb };
        outcome
    }

    fn consume(&mut self, done: usize) {
        self.place.lines += count_newlines(self.buffer.get(..done).unwrap_or_default());
        self.place.bytes += done as u64;
        self.buffer.copy_within(done..self.filled, 0);
        self.filled -= done;
    }
}
