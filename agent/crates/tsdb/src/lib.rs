//! The bounded ring: a time series store in one file that never grows, for a board whose power may go at any instant.
//!
//! What was there when `sync` returned is there after any power cut; of what came later a prefix may be there;
//! nothing else ever is. `LAYOUT.md` beside this crate draws the bytes and says what it assumes of the medium.
//!
//! [`Store`] is a state machine: rows go in, [`DiskOp`]s come out, their results come back as [`OpDone`]; it never
//! waits and never does I/O but while opening. [`Reader`]s see a snapshot from any thread. A row's way through the
//! files: `store` (append) → `head` (columns in memory) and `journal` (what is certain soon) → `seal` (`packed` and
//! squeezed into `groups`, a block of the `ring`); back again through `recover`; out through `reader` and `outbox`.
//!
//! Deliberately not here: downsampling, deletion, a write-ahead log beside the data, memory maps, threads.

mod append;
mod blocks;
mod carry;
mod drive;
mod head;
mod index;
mod journal;
mod open;
mod outbox;
mod reader;
mod recover;
mod rows;
mod seal;
mod snapshot;
mod store;

mod arena;
mod blob;
mod cells;
mod clock;
mod codec;
mod column;
mod costs;
mod crc;
mod epochs;
mod geometry;
mod groups;
mod histogram;
mod layout;
mod numbers;
mod options;
mod order;
mod packed;
mod pairs;
mod record;
mod refused;
mod ring;
mod series;
mod tail;
mod wire;

pub use append::Appended;
pub use blocks::BlockInfo;
pub use cells::FamilyInfo;
pub use costs::Cost;
pub use layout::{FILE_BYTES_MAX, FILE_BYTES_MIN};
pub use open::{OpenError, Recovery};
pub use options::{Mutation, Options};
pub use reader::Reader;
pub use reader::texts::{Among, Texts};
pub use refused::Refused;
pub use snapshot::{SnapshotError, snapshot};
pub use store::{CellError, DiskOp, OpDone, REFUSED_SOURCES_MAX, Stats, Store};
