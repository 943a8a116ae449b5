//! The store as its owner sees it: rows and cells go in, operations for the disk come out, results come back.
//!
//! Nothing here waits. `tick` decides what is due: the end of a sync interval, a block that is full, the next step of
//! sealing. Operations are handed out in the order in which they must be done; their results must come back in that
//! order. After a fault what was pending is done anew, counted, and everything goes on from memory; when memory is
//! full the oldest frozen block is dropped and counted. `state` is what readers share, behind a lock held briefly.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};
use std::{fmt, io};

use model::{Disk, Mono, Now, ReadAt, RowId, SourceId, UnixMs};

use crate::append::{Scratch, SourceCache, TIME_MAX};
use crate::cells::Small;
use crate::clock;
use crate::epochs::{Dated, Epoch};
use crate::head::Head;
use crate::head::track::Pool;
use crate::journal::Journal;
use crate::layout::Geometry;
use crate::open::{self, OpenError, Opened, Recovery};
use crate::options::Options;
use crate::order::Order;
use crate::reader::Reader;
use crate::refused::Refused;
use crate::ring::Ring;
use crate::seal::{Sealing, Site};
use crate::series::Index;
use crate::tail::Tail;

/// Something for the disk to do. Writes and syncs are done in order; the tail file is another file and may overtake.
#[derive(Debug)]
pub enum DiskOp {
    /// Writes whole pages of the data file. Answered by [`OpDone::Written`].
    Write {
        /// Where.
        offset: u64,
        /// What.
        bytes: Vec<u8>,
    },
    /// Syncs the data file. Answered by [`OpDone::Synced`].
    Sync {
        /// To name it by.
        ticket: u64,
    },
    /// Writes to the tail file on tmpfs, best in one call. Not answered.
    Tail {
        /// Where.
        offset: u64,
        /// What.
        bytes: Vec<u8>,
    },
}

/// What became of an operation. In the order in which they were handed out.
#[derive(Debug)]
pub enum OpDone {
    /// A write has ended.
    Written {
        /// How.
        result: io::Result<()>,
    },
    /// A sync has ended.
    Synced {
        /// Which.
        ticket: u64,
        /// How.
        result: io::Result<()>,
    },
}

/// Why a cell was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellError {
    /// All cells together would have more bytes than a checkpoint holds.
    TooLarge {
        /// What all of them would have.
        bytes: usize,
        /// What is possible.
        bytes_max: usize,
    },
}

impl fmt::Display for CellError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CellError::TooLarge { bytes, bytes_max } = self;
        write!(f, "saved state of {bytes} bytes, at most {bytes_max} fit this data file")
    }
}

impl std::error::Error for CellError {}

/// What the store counts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stats {
    /// Whether there is a data file; else everything is in memory only.
    pub on_disk: bool,
    /// The data file's size.
    pub file_bytes: u64,
    /// The size of the ring within it, and how much of that holds blocks.
    pub ring_bytes: u64,
    /// See `ring_bytes`.
    pub used_bytes: u64,
    /// How many sealed blocks there are.
    pub blocks: u64,
    /// Whether a block is frozen and not yet on the medium.
    pub frozen: bool,
    /// How many rows the sealed blocks and the open ones have.
    pub rows: u64,
    /// How many of them no sealed block has yet.
    pub open_rows: u64,
    /// How many series there are, and how many bytes their label sets have.
    pub series: u64,
    /// See `series`.
    pub label_bytes: u64,
    /// How many series the open block has.
    pub head_series: u64,
    /// About how much memory open and frozen blocks take.
    pub head_bytes: u64,
    /// The oldest and newest time of any row; `None` when there is none.
    pub oldest: Option<UnixMs>,
    /// See `oldest`.
    pub newest: Option<UnixMs>,
    /// Rows appended since opening, staleness markers included.
    pub appended: u64,
    /// Rows refused since opening.
    pub refused: Refused,
    /// How many of them because there is no room for their series, by source, in the order in which the sources were
    /// refused first; the last place is all others'.
    pub refused_series: [(SourceId, u64); REFUSED_SOURCES_MAX],
    /// Bytes written since opening: to the journal, to blocks, to checkpoints.
    pub journal_bytes: u64,
    /// See `journal_bytes`.
    pub block_bytes: u64,
    /// Syncs done, and writes or syncs that failed.
    pub syncs: u64,
    /// See `syncs`.
    pub faults: u64,
    /// Rows that had been sent with a date later than that of a clock that was set back.
    pub sent_ahead: u64,
    /// Rows that left the ring because newer ones needed the room.
    pub overwritten: u64,
    /// Rows that left the ring because they were older than is kept.
    pub expired: u64,
    /// Rows that were dropped from memory because the disk did not take them.
    pub dropped: u64,
    /// Rows, counted in appends, that the tail file had no room for.
    pub tail_full: u64,
    /// Pages that were found damaged, at opening or while reading.
    pub damaged_pages: u64,
    /// How many bytes of the ring a day takes at the present rate; `None` while nothing is known.
    pub bytes_per_day: Option<u64>,
    /// How many days the ring holds at that rate.
    pub days: Option<f64>,
    /// The newest row that is certain to survive a power cut.
    pub certain: RowId,
}

/// How many sources are told apart that have series for which there is no room.
pub const REFUSED_SOURCES_MAX: usize = 16;

impl Stats {
    pub(crate) fn refuse(&mut self, source: SourceId, refused: &Refused) {
        self.refused.add(refused);
        let rows = refused.new_series();
        if rows == 0 {
            return;
        }
        let last = REFUSED_SOURCES_MAX - 1;
        let known = self.refused_series[..last].iter().position(|(known, rows)| *known == source || *rows == 0);
        let at = known.unwrap_or(last);
        self.refused_series[at].0 = if at == last { SourceId(u32::MAX) } else { source };
        self.refused_series[at].1 += rows;
    }
}

/// What readers share with the store.
pub(crate) struct State {
    pub index: Index,
    pub ring: Ring,
    pub head: Head,
    pub frozen: Option<Head>,
    pub small: Small,
    pub newest: RowId,
    pub stats: Stats,
}

impl State {
    pub fn new(index: Index, ring: Ring, head: Head) -> State {
        let (small, newest, stats) = (Small::default(), RowId::default(), Stats::default());
        State { index, ring, head, frozen: None, small, newest, stats }
    }

    /// Changes an epoch, and with it where in time blocks are.
    pub fn set_epoch(&mut self, epoch: Epoch) {
        if let Some(old) = self.small.epochs.get(epoch.number) {
            for offset in [epoch.offset, epoch.heir.map_or(epoch.offset, |heir| heir.offset)] {
                self.ring.moved(epoch.number, offset.saturating_sub(old.offset));
            }
        }
        self.small.epochs.set(epoch);
        // The last known time is that of the newest row: a date that was wrong and was corrected is forgotten.
        let heads = [Some(&self.head), self.frozen.as_ref()].into_iter().flatten();
        let newest = heads.flat_map(|head| head.spans.iter().rev()).find(|span| span.tick_max > i64::MIN);
        if let Some(span) = newest.filter(|span| span.epoch == epoch.number) {
            self.small.last_wall = epoch.date(span.tick_max, self.newest);
        }
    }

    /// Takes note of a row of the head.
    pub fn note_row(&mut self) {
        let Some(newest) = self.head.newest() else { return };
        self.newest = newest;
        self.small.note_rows(newest.opening, newest.n + 1);
        if let Some(span) = self.head.spans.last()
            && let Some(epoch) = self.small.epochs.get(span.epoch)
        {
            self.small.last_wall = epoch.wall(span.tick_max);
        }
    }

    /// Takes over what sealed blocks say, after opening.
    pub fn settle(&mut self) {
        if let Some(last) = self.ring.blocks.iter().rev().find(|block| block.rows > 0)
            && let Some(n) = last.end.n.checked_sub(1)
        {
            self.newest = self.newest.max(RowId { opening: last.end.opening, n });
        }
    }
}

/// The state behind its lock, and the medium to read from.
pub(crate) struct Shared {
    state: RwLock<State>,
    pub read: Option<Arc<dyn ReadAt>>,
    pub file: u32,
    pub geometry: Geometry,
    /// Pages that readers found damaged: block and page.
    pub damaged: Mutex<BTreeSet<(u64, u32)>>,
    /// What unpacks groups, while no reader has it: a reader that finds none makes its own.
    pub unpacking: Mutex<Option<crate::groups::Context>>,
    /// Indices of sealed blocks that are at hand.
    pub known: Mutex<crate::reader::known::Known>,
    /// Who shares what may be kept at hand.
    pub readers: crate::reader::share::Readers,
}

impl Shared {
    fn new(state: State, read: Option<Arc<dyn ReadAt>>, file: u32, geometry: Geometry) -> Shared {
        let (damaged, unpacking, readers) = (Mutex::default(), Mutex::default(), Default::default());
        let known = Mutex::default();
        Shared { state: RwLock::new(state), read, file, geometry, damaged, unpacking, known, readers }
    }

    pub fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether somebody writes just now, so that a reader would wait.
    pub fn is_written(&self) -> bool {
        matches!(self.state.try_read(), Err(TryLockError::WouldBlock))
    }

    pub fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an operation that is on its way belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    Journal,
    JournalSync,
    /// Of the sealing of this block, in this attempt.
    Seal(u64),
    SealSync(u64),
}

/// A journal group that is on its way.
pub(crate) struct Group {
    pub bad: bool,
    pub certain: RowId,
}

/// The bounded ring.
pub struct Store {
    pub(crate) shared: Arc<Shared>,
    pub(crate) options: Options,
    pub(crate) site: Option<Site>,
    pub(crate) journal: Option<Journal>,
    pub(crate) tail: Tail,
    pub(crate) sealing: Option<Sealing>,
    pub(crate) seal_attempt: u64,
    pub(crate) slot: u32,
    pub(crate) sources: HashMap<SourceId, SourceCache>,
    pub(crate) scratch: Scratch,
    pub(crate) order: Order,
    pub(crate) next_retention: Mono,
    pub(crate) opening: u32,
    pub(crate) next_n: u64,
    pub(crate) clock_first: bool,
    /// Up to which row something was sent; `None` until somebody says so.
    pub(crate) handed_out: Option<RowId>,
    pub(crate) head_begun: Mono,
    pub(crate) group: Option<Group>,
    /// When a sync is tried again, should the one on its way fail, or did it.
    pub(crate) retry_sync: Mono,
    pub(crate) flush_ticket: Option<u64>,
    pub(crate) next_ticket: u64,
    pub(crate) ops: Vec<DiskOp>,
    pub(crate) sent: VecDeque<Sent>,
    pub(crate) records: Vec<u8>,
}

impl Store {
    /// Opens the store in a data file, which is made when the disk is empty. `tail` is what the tail file holds.
    ///
    /// This is the only place where the store itself reads and writes.
    ///
    /// # Errors
    /// When the file is not ours, of another version, of an impossible size, or the medium fails.
    pub fn open(
        disk: &mut dyn Disk,
        read: Arc<dyn ReadAt>,
        tail: Option<&[u8]>,
        options: Options,
        now: Now,
    ) -> Result<(Store, Recovery), OpenError> {
        let opened = open::open(disk, &read, tail, &options, now)?;
        let Opened { mut state, journal, site, recovery, slot } = opened;
        (state.stats.on_disk, state.stats.file_bytes) = (true, recovery.file_bytes);
        state.stats.damaged_pages = recovery.damaged_pages;
        state.stats.certain = state.newest;
        let shared = Shared::new(state, Some(read), site.file, site.geometry);
        let tail = Tail::new(site.file, options.tail_bytes);
        let mut store = Store::around(shared, options, tail, now);
        (store.site, store.journal, store.slot, store.opening) = (Some(site), Some(journal), slot, site.opening);
        store.begin_tail();
        store.settle_clock(now);
        Ok((store, recovery))
    }

    /// Returns a store without a medium: everything is in memory, and the oldest is dropped when that is full.
    pub fn in_memory(options: Options, now: Now) -> Store {
        let geometry = Geometry::of(options.file_bytes.max(crate::FILE_BYTES_MIN));
        let ring = Ring::new(geometry.ring_pages(), options.block_pages_max(&geometry));
        let state = State::new(Index::new(options.series_max), ring, Head::new(1, Pool::default()));
        let shared = Shared::new(state, None, 0, geometry);
        let mut store = Store::around(shared, options, Tail::new(0, 0), now);
        store.settle_clock(now);
        store
    }

    fn around(shared: Shared, options: Options, tail: Tail, now: Now) -> Store {
        let blocks = 3 * shared.read().ring.block_pages_max as usize * crate::layout::BLOB_PAYLOAD;
        shared.write().index.limit_memory(options.memory_bytes_max.saturating_sub(blocks));
        let order = Order::new(options.out_of_order_ms);
        Store {
            shared: Arc::new(shared),
            retry_sync: Mono::default(),
            options,
            site: None,
            journal: None,
            tail,
            sealing: None,
            seal_attempt: 0,
            slot: 0,
            sources: HashMap::new(),
            scratch: Scratch::default(),
            order,
            next_retention: Mono::default(),
            opening: 1,
            next_n: 0,
            clock_first: true,
            handed_out: None,
            head_begun: now.mono,
            group: None,
            flush_ticket: None,
            next_ticket: 1,
            ops: Vec::new(),
            sent: VecDeque::new(),
            records: Vec::new(),
        }
    }

    /// Returns a handle for readers on any thread.
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.shared))
    }

    /// Returns the present opening of the data file.
    pub fn opening(&self) -> u32 {
        self.opening
    }

    /// Returns the wall time that rows appended now are labelled with: true, or provisional as long as the clock was
    /// never trusted.
    pub fn wall_of(&self, now: Now) -> UnixMs {
        clock::wall(self.shared.read().small.epochs.newest(), now)
    }

    /// Returns the newest time of any row, from which a clock that is not trusted may start.
    pub fn last_known_wall(&self) -> UnixMs {
        UnixMs(self.shared.read().small.last_wall.clamp(self.options.build_date.0.min(TIME_MAX), TIME_MAX))
    }

    /// Returns whether rows appended now have a true date.
    pub fn is_dated(&self) -> bool {
        self.shared.read().small.epochs.newest().is_some_and(|epoch| epoch.dated == Dated::Yes)
    }
}
