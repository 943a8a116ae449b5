//! What can be set. Every limit has its unit last; `Options::default` is what a board gets that says nothing.
//!
//! The shell fills these from the configuration. What a limit means at the limit is decided where it is met, and
//! counted there. `mutation` breaks a promise on purpose, for tests that must see it broken.

use model::UnixMs;

use crate::layout::{BLOB_PAYLOAD, Geometry};

/// How a store is to be kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// The size of the data file. One that is there is given this size when it is opened; 0: it keeps its own.
    pub file_bytes: u64,
    /// How long rows may wait for a sync, which is what a power cut may cost.
    pub sync_interval_ms: u64,
    /// The most series the whole ring may name; new ones beyond are refused, old ones go on.
    pub series_max: usize,
    /// How much memory label sets and what belongs to them, and open, frozen and copied blocks may take together; at the
    /// limit new series are refused, old ones go on.
    pub memory_bytes_max: usize,
    /// How long rows are kept at most; `None`: as long as there is room. Whole blocks go.
    pub retention_ms: Option<u64>,
    /// How much older than the newest row a sample with its own time may be when its series has a newer one;
    /// `u64::MAX`: any sample is taken.
    pub out_of_order_ms: u64,
    /// How long a block is open at most.
    pub block_ms_max: u64,
    /// How many bytes a block has at most; also bounds the open block's memory.
    pub block_bytes_max: usize,
    /// The size of the file on tmpfs that makes kill -9 harmless; 0 when there is none.
    pub tail_bytes: u64,
    /// A trusted clock that differs from the expected time by more than this begins a new epoch.
    pub clock_step_ms_min: u64,
    /// When this program was built: the clock was never before.
    pub build_date: UnixMs,
    /// A number for the present boot, the same until the next one; 0 when unknown.
    pub boot: u64,
    /// Breaks one promise on purpose, so that a test can show that it is noticed. Never set outside of tests.
    #[doc(hidden)]
    pub mutation: Mutation,
}

/// What is broken on purpose.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mutation {
    /// Nothing.
    #[default]
    None,
    /// Journal pages are called certain without a sync.
    SkipJournalSync,
    /// A checkpoint is written without waiting for its block.
    SkipBlockSync,
    /// Journal pages are freed before the checkpoint is certain.
    FreeJournalEarly,
    /// What a failed sync left pending is called certain.
    BelieveFailedSync,
    /// What reading shows at opening is called certain, without writing it again.
    BelieveShown,
    /// The last page that was synced is written again by the next sync.
    ReusePage,
    /// An opening has the number of the one before.
    KeepOpening,
    /// Checkpoints go to the slot that holds the newest one.
    SameSlot,
    /// A cell is changed beside the stream.
    CellBesideStream,
    /// A clock step is noted beside the stream.
    EpochBesideStream,
    /// A new layout is put in force before what it needs is certain.
    SkipResizeSync,
    /// What a change of the size gave up still counts.
    ForgetFloor,
}

impl Options {
    /// Returns the most pages a block may have: what was asked for, but so few that a ring holds eight.
    pub(crate) fn block_pages_max(&self, geometry: &Geometry) -> u32 {
        self.block_pages_of(geometry.ring_pages())
    }

    /// Returns the same for a ring of so many pages.
    pub(crate) fn block_pages_of(&self, ring_pages: u32) -> u32 {
        let asked = (self.block_bytes_max / BLOB_PAYLOAD) as u32 + 1;
        asked.min(ring_pages / 8).max(2)
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            file_bytes: 256 << 20,
            sync_interval_ms: 60_000,
            series_max: 20_000,
            memory_bytes_max: usize::MAX,
            retention_ms: None,
            out_of_order_ms: u64::MAX,
            // A block names its series once, so a long one is small; reads begin near their range however long it is.
            block_ms_max: 2 * 3_600_000,
            block_bytes_max: 1 << 20,
            tail_bytes: 1 << 20,
            clock_step_ms_min: 1_000,
            build_date: UnixMs(0),
            boot: 0,
            mutation: Mutation::None,
        }
    }
}
