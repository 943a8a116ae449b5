//! What an upstream says of itself, for the metrics, the page and the log.
//!
//! Counters marked *saved* survive a restart, because they count losses; the others start at 0, as counters may.

use model::{Mono, RowId};

/// Why there is no frame to send just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Waiting {
    /// Everything stored was sent.
    #[default]
    NothingNew,
    /// A few new rows wait a moment for more, so that frames are not tiny.
    Gathering,
    /// The next rows are not dated: the clock was never trusted so far.
    Clock,
    /// A frame is on its way.
    InFlight,
    /// The frame on its way last failed and is sent again after a pause.
    Backoff,
    /// The ring could not be read; it is tried again after a pause.
    Reading,
    /// Nothing keeps it: it goes on at the next poll.
    Ready,
}

impl Waiting {
    /// Returns the reason as a person reads it.
    pub fn as_str(self) -> &'static str {
        match self {
            Waiting::NothingNew => "nothing new",
            Waiting::Gathering => "gathering rows",
            Waiting::Clock => "waiting for the clock",
            Waiting::InFlight => "in flight",
            Waiting::Backoff => "backoff",
            Waiting::Reading => "waiting to read the store",
            Waiting::Ready => "ready",
        }
    }
}

/// An upstream's present state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stats {
    /// Frames the other side has.
    pub sent_frames: u64,
    /// Samples the other side has.
    pub sent_rows: u64,
    /// Bytes of the bodies the other side has.
    pub sent_bytes: u64,
    /// How often a frame had to be sent again.
    pub retries: u64,
    /// Frames the other side would not take; their samples are dropped. Saved.
    pub refused_frames: u64,
    /// Samples in those frames. Saved.
    pub refused_rows: u64,
    /// Rows the ring overwrote or lost before they were sent. Saved.
    pub overwritten_rows: u64,
    /// Selected rows that this kind of upstream cannot carry: over the frame's limit, a second sample of a series
    /// at one time in one frame, and over MQTT native histograms and staleness markers. Saved.
    pub left_out_rows: u64,
    /// Frames in doubt that could not be made again as they were: at a restart, because rows were overwritten meanwhile
    /// or the configuration changed; and before they were sent, because a clock was set back.
    pub changed_frames: u64,
    /// Samples in the frame that is on its way or in doubt.
    pub in_flight_rows: u64,
    /// Rows stored and not acknowledged, selected or not, as of the last poll. A lower bound while the next row to
    /// send is of an earlier opening of the data file, whose number of rows nobody here knows.
    pub behind_rows: u64,
    /// Everything up to this row is acknowledged.
    pub acknowledged: RowId,
    /// The last thing that went wrong; stays after it went well again.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_at: Mono,
    /// Why there is no frame to send just now.
    pub waiting: Waiting,
    /// Since when.
    pub waiting_since: Mono,
}
