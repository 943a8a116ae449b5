//! The places where parts meet, as traits: small, object safe, and each with one real and one fake side.
//!
//! `Querier` is between the store and everything that reads it. `Disk` and `ReadAt` are between the store and the
//! medium. `Uplink` is between the outbox and the network: a pure state machine that makes frames and is told what
//! became of them. `Clock` is the shell's; everybody else is handed a [`Now`]. The collectors' own seam (`Collector`,
//! `Host`) lives in `narthex-exporters`, because nobody but the agent names it.

use std::fmt;
use std::io;

use crate::labels::Labels;
use crate::matcher::Matcher;
use crate::row::RowId;
use crate::sample::{Sample, Value};
use crate::time::{Mono, Now, TimeRange, UnixMs};

/// One series' samples within a range, in ascending order of time, each time once. Lent, never kept: the memory is
/// used again for the next series.
#[derive(Debug, Clone, Copy)]
pub struct SeriesSamples<'a> {
    /// When each sample was taken.
    pub at: &'a [UnixMs],
    /// The floats, as many as there are times; where `histograms` has an entry for the index, the float means nothing.
    pub floats: &'a [f64],
    /// Native histograms by index, ascending; empty for the usual float series.
    pub histograms: &'a [(usize, Value)],
    /// Start timestamps; empty where no sample has one, else as many as there are times.
    pub starts: &'a [Option<UnixMs>],
}

/// Why a selection ended early.
#[derive(Debug)]
pub enum SelectError {
    /// The visitor said stop: a limit of the query, or the client went away; or who asked does not wait and would have to.
    Stopped,
    /// Pages were overwritten while they were read; asking again helps.
    Overwritten,
    /// The medium failed.
    Io(io::Error),
}

impl fmt::Display for SelectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SelectError::Stopped => f.write_str("the query was stopped"),
            SelectError::Overwritten => f.write_str("data was overwritten while it was read, ask again"),
            SelectError::Io(_) => f.write_str("reading stored samples"),
        }
    }
}

impl std::error::Error for SelectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SelectError::Io(source) => Some(source),
            _ => None,
        }
    }
}

/// The times at which a query looks, ascending: the first, and further ones at equal distances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    /// The first time.
    pub first: UnixMs,
    /// From time to time, in milliseconds; at least 1.
    pub step_ms: i64,
    /// How many times there are; at least 1.
    pub count: usize,
}

impl Steps {
    /// Returns the one time.
    pub fn once(at: UnixMs) -> Steps {
        Steps { first: at, step_ms: 1, count: 1 }
    }

    /// Returns a time by its number; none is later than what can be told.
    pub fn at(&self, step: usize) -> UnixMs {
        UnixMs(self.first.0.saturating_add(self.step_ms.saturating_mul(step as i64)))
    }
}

/// Is handed one series after the other; answering `false` stops the selection with [`SelectError::Stopped`].
pub type Visitor<'a> = dyn FnMut(&Labels, SeriesSamples<'_>) -> bool + 'a;

/// Reads what is stored. Implementations are snapshots: what is appended later is not seen or does no harm.
pub trait Querier {
    /// Visits every series that all matchers accept and that has samples within the range, each once, in no
    /// particular order. Staleness markers are delivered as they are stored.
    ///
    /// # Errors
    /// [`SelectError`]; what was visited before stays valid, but the whole is not.
    fn select(&self, matchers: &[Matcher], range: TimeRange, visit: &mut Visitor<'_>) -> Result<(), SelectError>;

    /// As [`Querier::select`], for who wants of each series no more than its newest sample within the range: older ones
    /// may be left out, so whoever has the newest at hand need not read the others.
    ///
    /// # Errors
    /// [`SelectError`].
    fn select_newest(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        visit: &mut Visitor<'_>,
    ) -> Result<(), SelectError> {
        self.select(matchers, range, visit)
    }

    /// As [`Querier::select`], for who looks at some times only, and wants at each of them no more than the newest
    /// sample within the range that is not later: others may be left out. A histogram comes with the one before it,
    /// which tells whether it was reset.
    ///
    /// # Errors
    /// [`SelectError`].
    fn select_steps(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        _steps: Steps,
        visit: &mut Visitor<'_>,
    ) -> Result<(), SelectError> {
        self.select(matchers, range, visit)
    }

    /// Visits the label sets of all series that all matchers accept and that may have samples within the range.
    ///
    /// # Errors
    /// [`SelectError`].
    fn series(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        visit: &mut dyn FnMut(&Labels) -> bool,
    ) -> Result<(), SelectError>;
}

/// One row on its way out.
#[derive(Debug, Clone)]
pub struct TailRow {
    /// Its id.
    pub id: RowId,
    /// The series.
    pub labels: Labels,
    /// The sample, dated.
    pub sample: Sample,
}

/// Consecutive rows for an upstream, as [`Outbox::since`] finds them. Cleared and filled again by the caller.
#[derive(Debug, Clone, Default)]
pub struct Tail {
    /// The rows, ascending by id.
    pub rows: Vec<TailRow>,
    /// Up to where the outbox was looked through: everything up to this id is in `rows`, was overwritten, or is no
    /// sample. Equal to `after` when there is nothing to send yet.
    pub until: RowId,
    /// How many rows after `after` were overwritten or lost before they were read.
    pub overwritten: u64,
    /// Whether undated rows (clock never trusted so far) are what stopped the walk.
    pub undated: bool,
}

/// The ring seen as an outbox: rows in the order of their ids.
pub trait Outbox {
    /// Fills `out` with at most `rows_max` rows after `after` and up to `until` (included; `None`: as far as there
    /// are dated rows). The same arguments give the same rows, but for those overwritten since.
    ///
    /// # Errors
    /// [`SelectError`] where the medium failed or pages were overwritten under the reader.
    fn since(&self, after: RowId, until: Option<RowId>, rows_max: usize, out: &mut Tail) -> Result<(), SelectError>;

    /// Returns the id of the newest row appended so far.
    fn newest(&self) -> RowId;
}

/// A medium with writes that are only certain after a sync.
pub trait Disk {
    /// Returns the size in bytes.
    ///
    /// # Errors
    /// As the medium fails.
    fn len(&mut self) -> io::Result<u64>;

    /// Returns whether there is nothing at all.
    ///
    /// # Errors
    /// As the medium fails.
    fn is_empty(&mut self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills the buffer from an offset.
    ///
    /// # Errors
    /// As the medium fails; `UnexpectedEof` past the end.
    fn read(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<()>;

    /// Writes bytes at an offset. Before the next sync any part of them may or may not be there after a power cut.
    ///
    /// # Errors
    /// As the medium fails; how much was written is then unknown.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Sets the size; new bytes read as zeros and are reserved on the medium.
    ///
    /// # Errors
    /// As the medium fails, notably when there is not enough room.
    fn set_len(&mut self, bytes: u64) -> io::Result<()>;

    /// Returns when everything written before is on the medium.
    ///
    /// # Errors
    /// As the medium fails; nothing written since the last good sync is certain then.
    fn sync(&mut self) -> io::Result<()>;
}

/// Reads the medium from any thread, beside the one that writes.
pub trait ReadAt: Send + Sync {
    /// Fills the buffer from an offset.
    ///
    /// # Errors
    /// As the medium fails; `UnexpectedEof` past the end.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()>;

    /// Fills the buffer from an offset if that can be had without waiting for the medium.
    ///
    /// # Errors
    /// `WouldBlock` where it cannot be had at once, or nobody knows; then the buffer holds anything.
    fn read_at_hand(&self, _offset: u64, _buf: &mut [u8]) -> io::Result<()> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

/// Names one frame of one uplink, to settle it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FrameId(pub u64);

/// Something to be sent as it is.
#[derive(Debug, Clone)]
pub struct Frame {
    /// To settle it by.
    pub id: FrameId,
    /// The bytes; the same frame is the same bytes each time it is sent.
    pub body: Vec<u8>,
    /// How many samples (or alerts) it carries, for the log and the metrics.
    pub items: usize,
}

/// What became of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The other side has it.
    Delivered,
    /// It may or may not have it: send the same bytes again after a while.
    Retry {
        /// What went wrong, for the log and `/api`; carries no secret.
        reason: String,
        /// The pause the other side asked for, in milliseconds.
        after_ms: Option<u64>,
    },
    /// It will never take it: count the frame as dropped and go on.
    Refused {
        /// What it said, for the log and `/api`; carries no secret.
        reason: String,
    },
}

/// Turns stored rows into frames for one upstream. Pure: no network, no clock, no thread.
pub trait Uplink {
    /// Returns the frame to send now, or `None` when there is nothing to send, one is in flight, or it is waiting.
    fn poll(&mut self, now: Now, source: &dyn Outbox) -> Option<Frame>;

    /// Is told what became of a frame; an id that is not in flight is ignored.
    fn settle(&mut self, now: Now, frame: FrameId, outcome: Outcome);

    /// Returns when to poll again if nothing new is appended before; `None`: only then.
    fn next_deadline(&self) -> Option<Mono>;
}

/// The only source of time. Implemented by the shell and by the simulator.
pub trait Clock {
    /// Returns both clocks, read at one instant.
    fn now(&self) -> Now;
}
