//! `storage`: the ring's data file, what it may weigh, and how much a power cut may cost.
//!
//! ```text
//! storage: {path: /data/narthex, size: 256MB, sync_interval: 60s}
//! ```
//! Absent paths are the platform's (systemd's StateDirectory and RuntimeDirectory where there are), which the shell
//! knows. Of Prometheus's own `storage.tsdb` the window for late samples and the retention by time are served; how much
//! room there is says `size`.

use std::path::{Path, PathBuf};

use model::duration::DisplayMs;
use yaml::{Errors, Map, Node};

use super::peer_sections::check_tsdb;
use super::raw::{At, at, path, peek, show_bytes, within};

const MIB: u64 = 1 << 20;
const SIZE_BYTES_MIN: u64 = 4 * MIB;
const SIZE_BYTES_MAX: u64 = 1 << 40;
const SYNC_MS_MIN: u64 = 1_000;
const SYNC_MS_MAX: u64 = 3_600_000;
const MEMORY_BYTES_MIN: u64 = MIB;
const MEMORY_BYTES_MAX: u64 = 1 << 30;
const SERIES_MAX: u64 = 1_000_000;
/// The peer's default, some 30 MB.
const EXEMPLARS_MAX: u64 = 100_000;

const _: () = assert!(tsdb::FILE_BYTES_MIN <= SIZE_BYTES_MIN && SIZE_BYTES_MAX <= tsdb::FILE_BYTES_MAX);

/// The ring and its medium.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// The directory of the data file; `None` is the platform's state folder.
    pub path: Option<PathBuf>,
    /// The size of the data file in bytes; one that is there is given this size at start.
    pub size_bytes: u64,
    /// How much time a power cut may cost, in milliseconds.
    pub sync_interval_ms: u64,
    /// The most memory the store may use for samples, in bytes.
    pub memory_bytes: u64,
    /// The most series at a time.
    pub series_max: usize,
    /// How long samples are kept at most, in milliseconds; `None`: as long as there is room.
    pub retention_ms: Option<u64>,
    /// How late a sample with its own time may be, in milliseconds.
    pub out_of_order_ms: u64,
    /// How many exemplars are kept, in memory only; 0 keeps none.
    pub exemplars_max: usize,
    /// Where the unsynced tail is kept across a crash of the agent.
    pub tail: Tail,
}

/// The file on tmpfs that a kill -9 leaves behind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Tail {
    /// In the platform's runtime folder, where there is one.
    #[default]
    Platform,
    /// Nowhere: a crash of the agent then costs what a power cut costs.
    Nowhere,
    /// Here; should be on tmpfs.
    At(PathBuf),
}

impl Default for Storage {
    fn default() -> Storage {
        Storage {
            path: None,
            size_bytes: 256 * MIB,
            sync_interval_ms: 60_000,
            memory_bytes: 4 * MIB,
            series_max: 10_000,
            retention_ms: None,
            out_of_order_ms: 0,
            exemplars_max: 1_000,
            tail: Tail::Platform,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct RawStorage {
    path: Option<At<String>>,
    size: Option<At<u64>>,
    sync_interval: Option<At<u64>>,
    memory: Option<At<u64>>,
    series_max: Option<At<u64>>,
    tail: Option<At<String>>,
    retention: Option<At<u64>>,
    out_of_order: Option<At<u64>>,
    exemplars: Option<At<u64>>,
}

impl RawStorage {
    pub fn read(root: &mut Map, errors: &mut Errors, warnings: &mut Errors) -> RawStorage {
        let Some(node) = root.get("storage") else { return RawStorage::default() };
        let mut map = node.map(errors);
        let (mut retention, mut out_of_order) = (None, None);
        if let Some(node) = map.get("tsdb") {
            let mut tsdb = node.map(errors);
            out_of_order = at(&mut tsdb, "out_of_order_time_window", errors, Node::duration_ms);
            if let Some(node) = tsdb.get("retention") {
                let mut kept = node.map(errors);
                retention = at(&mut kept, "time", errors, Node::duration_ms);
                kept.known_but_unserved(&["size", "percentage"], "storage.size says how much room there is", warnings);
                kept.finish(errors);
            }
            tsdb.known_but_unserved(&["stale_series_compaction_threshold", "chunk_encoding"], "", warnings);
            tsdb.finish(errors);
        }
        let mut exemplars = None;
        if let Some(node) = map.get("exemplars") {
            let mut kept = node.map(errors);
            exemplars = at(&mut kept, "max_exemplars", errors, Node::u64);
            kept.finish(errors);
        }
        let raw = RawStorage {
            retention,
            exemplars,
            out_of_order,
            path: at(&mut map, "path", errors, Node::str),
            size: at(&mut map, "size", errors, Node::bytes),
            sync_interval: at(&mut map, "sync_interval", errors, Node::duration_ms),
            memory: at(&mut map, "memory", errors, Node::bytes),
            series_max: at(&mut map, "series_max", errors, Node::u64),
            tail: at(&mut map, "tail", errors, Node::str),
        };
        if let Some(tsdb) = peek(&map, "tsdb") {
            check_tsdb(&tsdb, errors);
        }
        map.finish(errors);
        raw
    }

    pub fn believe(self, base: &Path, errors: &mut Errors) -> Storage {
        let default = Storage::default();
        let size_bytes = within(self.size, SIZE_BYTES_MIN..=SIZE_BYTES_MAX, default.size_bytes, show_bytes, errors);
        let sync_range = SYNC_MS_MIN..=SYNC_MS_MAX;
        let memory_range = MEMORY_BYTES_MIN..=MEMORY_BYTES_MAX;
        Storage {
            path: path(self.path, base, errors),
            size_bytes,
            sync_interval_ms: within(self.sync_interval, sync_range, default.sync_interval_ms, DisplayMs, errors),
            memory_bytes: within(self.memory, memory_range, default.memory_bytes, show_bytes, errors),
            series_max: within(self.series_max, 1..=SERIES_MAX, default.series_max as u64, |n| n, errors) as usize,
            // 0 is Prometheus's way to say that time does not matter.
            retention_ms: self.retention.map(|at| at.value).filter(|ms| *ms > 0),
            out_of_order_ms: self.out_of_order.map_or(default.out_of_order_ms, |at| at.value),
            exemplars_max: within(self.exemplars, 0..=EXEMPLARS_MAX, default.exemplars_max as u64, |n| n, errors)
                as usize,
            tail: match self.tail {
                Some(tail) if tail.value == "none" => Tail::Nowhere,
                tail => path(tail, base, errors).map_or(Tail::Platform, Tail::At),
            },
        }
    }
}
