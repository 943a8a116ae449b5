//! `node_zfs_*`: what ZFS counts of itself, and of each pool and data set.
//!
//! ```text
//! 6 1 0x01 91 4368 5266997922 97951858082072        <- /proc/spl/kstat/zfs/arcstats, OpenZFS 0.7
//! name                            type data
//! anon_size                       4    1917440
//! ```
//!
//! Pools are folders beside these files: `state`, `io` (a row of names and one of numbers), and `objset-*`, one a data
//! set. Rows of other types than integers are passed over, as by the peer; a row that is no number is blamed, and the
//! others are told.

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo};
use crate::error::CollectError;
use crate::host::{Host, Names};
use crate::named::Named;
use crate::number;
use crate::shelf::Shelf;

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "zfs",
    default_on: true,
    make: |_| Ok(Box::new(Zfs::default())),
    flags: &[],
    doc: "What ZFS counts of its caches, pools and data sets, from `/proc/spl/kstat/zfs`.",
};

const DIR: &str = "spl/kstat/zfs";

/// The files that are told, and how their families begin.
const FILES: [(&str, &str); 11] = [
    ("abdstats", "node_zfs_abd_"),
    ("arcstats", "node_zfs_arc_"),
    ("dbufstats", "node_zfs_dbuf_"),
    ("dmu_tx", "node_zfs_dmu_tx_"),
    ("dnodestats", "node_zfs_dnode_"),
    ("fm", "node_zfs_fm_"),
    ("vdev_cache_stats", "node_zfs_vdev_cache_"),
    ("vdev_mirror_stats", "node_zfs_vdev_mirror_"),
    ("xuio_stats", "node_zfs_xuio_"),
    ("zfetchstats", "node_zfs_zfetch_"),
    ("zil", "node_zfs_zil_"),
];
/// How every help begins.
const HELP: &str = "kstat.zfs.misc.";
const POOL: &[&str] = &["zpool"];
const DATASET: &[&str] = &["zpool", "dataset"];
const STATE: &[&str] = &["zpool", "state"];
const STATES: [&str; 7] = ["online", "degraded", "faulted", "offline", "removed", "unavail", "suspended"];

/// The row above all rows.
const HEAD: [&str; 3] = ["name", "type", "data"];
/// How many columns `io` has.
const IO_COLUMNS: usize = 12;
/// Types of rows.
const INT64: &str = "3";
const UINT64: &str = "4";

/// Reads `/proc/spl/kstat/zfs`.
#[derive(Default)]
struct Zfs {
    names: Names,
    sets: Names,
    shelf: Shelf,
    dataset: String,
    rows: Named,
}

impl Collector for Zfs {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        if !self.names.list_if_there(&host.procfs, &[DIR])? {
            return Err(CollectError::absent("ZFS"));
        }
        let Zfs { names, sets, shelf, dataset, rows } = self;
        for name in names.iter() {
            if let Some((file, prefix)) = FILES.iter().find(|(file, _)| *file == name) {
                shelf.enter(&[DIR]);
                read_rows(shelf, host, file, &mut |word, kind, data| match integer(kind, data) {
                    Some(Some(value)) => {
                        let name = [prefix, word.rsplit('.').next().unwrap_or(word)];
                        rows.put(MetricKind::Unknown, &name, &[HELP, file, ".", word], (&[], &[]), value);
                        true
                    }
                    found => found.is_some(),
                });
                continue;
            }
            shelf.enter(&[DIR, "/", name]);
            // Other files are not opened at all: some are slow to make.
            if !shelf.is_there(&host.procfs, ".") {
                continue;
            }
            put_state(shelf, host, name, rows);
            put_io(shelf, host, name, rows);
            let listed = sets.list_if_there(&host.procfs, &[DIR, "/", name]);
            shelf.troubles.note(listed);
            for set in sets.iter().filter(|set| set.starts_with("objset-")) {
                put_dataset(shelf, host, (name, set), dataset, rows);
            }
        }
        rows.tell(out);
        shelf.finish()
    }
}

fn put_state(shelf: &mut Shelf, host: &Host, pool: &str, rows: &mut Named) {
    let mut told = "";
    let is_there = shelf.lines(&host.procfs, "state", "a state", &mut |at, line| {
        if at == 0 {
            told = STATES.iter().find(|state| line.eq_ignore_ascii_case(state)).unwrap_or(&"");
        }
        true
    });
    for state in STATES.iter().filter(|_| is_there) {
        let value = f64::from(told == *state);
        rows.put(MetricKind::Gauge, &["node_zfs_zpool_state"], &[HELP, "state"], (STATE, &[pool, state]), value);
    }
}

fn put_io(shelf: &mut Shelf, host: &Host, pool: &str, rows: &mut Named) {
    shelf.text(&host.procfs, "io", "twelve numbers", &mut |text| {
        let (mut bad, mut columns) = (None, [""; IO_COLUMNS]);
        for (at, line) in text.lines().enumerate() {
            if columns[0].is_empty() {
                let mut words = line.split_ascii_whitespace();
                columns = std::array::from_fn(|_| words.next().unwrap_or(""));
                if columns[0] != "nread" || columns.contains(&"") {
                    columns[0] = "";
                }
                continue;
            }
            let mut values = line.split_ascii_whitespace().map(number::unsigned);
            for column in columns {
                match values.next().flatten() {
                    Some(value) => {
                        let name = ["node_zfs_zpool_", column];
                        let help = [HELP, "io.", column];
                        rows.put(MetricKind::Unknown, &name, &help, (POOL, &[pool]), value as f64);
                    }
                    None => {
                        bad.get_or_insert(at + 1);
                    }
                }
            }
        }
        bad
    });
}

fn put_dataset(shelf: &mut Shelf, host: &Host, (pool, file): (&str, &str), dataset: &mut String, rows: &mut Named) {
    dataset.clear();
    read_rows(shelf, host, file, &mut |word, kind, data| {
        if word == "dataset_name" {
            dataset.clear();
            dataset.push_str(data);
            return true;
        }
        if kind != UINT64 {
            return true;
        }
        let value = integer(kind, data).flatten();
        if let Some(value) = value {
            let name = ["node_zfs_zpool_dataset_", word];
            rows.put(MetricKind::Unknown, &name, &[HELP, "objset.", word], (DATASET, &[pool, dataset.as_str()]), value);
        }
        value.is_some()
    });
}

/// Hands the rows of a file to a reader: a name, a type, and all that follows.
fn read_rows(shelf: &mut Shelf, host: &Host, file: &str, read: &mut dyn FnMut(&str, &str, &str) -> bool) {
    let expected = "a name, a type and a number";
    shelf.text(&host.procfs, file, expected, &mut |text| {
        let (mut bad, mut is_below) = (None, false);
        for (at, line) in text.lines().enumerate() {
            let (name, rest) = word(line);
            let (kind, data) = word(rest);
            if name.is_empty() || kind.is_empty() || data.is_empty() {
                continue;
            }
            if !is_below {
                is_below = [name, kind, data] == HEAD;
                continue;
            }
            if !read(name, kind, data) {
                bad.get_or_insert(at + 1);
            }
        }
        if is_below { bad } else { Some(1) }
    });
}

/// Returns the first word, and what follows it; names of data sets may hold blanks.
fn word(line: &str) -> (&str, &str) {
    let line = line.trim();
    line.split_once([' ', '\t']).map_or((line, ""), |(word, rest)| (word, rest.trim_start()))
}

/// Reads the first word as an integer; other types are nothing to tell.
fn integer(kind: &str, text: &str) -> Option<Option<f64>> {
    let (text, _) = word(text);
    match kind {
        UINT64 => number::unsigned(text).map(|value| Some(value as f64)),
        INT64 => text.parse().ok().map(|value: i64| Some(value as f64)),
        _ => Some(None),
    }
}
