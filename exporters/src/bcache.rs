//! `node_bcache_*`: caches of block devices in front of slower ones.
//!
//! ```text
//! <uuid>/btree_cache_size                    1.5k                      <- /sys/fs/bcache, kernel 6.1
//! <uuid>/bdev0/stats_total/cache_hits        546                       a device that is cached
//! <uuid>/bdev0/writeback_rate_debug          rate: 1.1M/sec / dirty: 20.4G / ... / change: 321.5k/sec
//! <uuid>/cache0/priority_stats               Unused: 99% / Metadata: 0% / ...
//! ```
//!
//! As with the peer, a file that is missing counts as 0, but for `cache_readaheads`, which newer kernels lack. `internal/btree_read_average_duration_us` is taken for
//! nanoseconds, as by the peer.

use model::Batch;

use crate::collector::{Collector, CollectorInfo, FlagInfo};
use crate::error::CollectError;
use crate::host::{Host, Names};
use crate::humane::{Fraction, humane, positive};
use crate::sheet::{Sheet, counter, gauge};
use crate::shelf::{Entry, Parse, Shelf, unsigned};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "bcache",
    default_on: true,
    make: |settings| {
        let tells_priorities = settings.switch(PRIORITIES.name, false)?;
        Ok(Box::new(Bcache { tells_priorities, ..Bcache::default() }))
    },
    flags: &[PRIORITIES],
    doc: "What caches of block devices hold, hit and miss, from `/sys/fs/bcache`.",
};

const PRIORITIES: FlagInfo =
    FlagInfo { name: "collector.bcache.priorityStats", default: "false", help: "Expose expensive priority stats." };

const DIR: &str = "fs/bcache";
const SET: &[&str] = &["uuid"];
const BACKING: &[&str] = &["backing_device", "uuid"];
const CACHE: &[&str] = &["cache_device", "uuid"];

/// Files of a set of caches.
static SET_FILES: [Entry; 10] = [
    (
        "average_key_size",
        gauge("node_bcache_average_key_size_sectors", "Average data per key in the btree (sectors).", SET),
        1.0,
    ),
    (
        "btree_cache_size",
        gauge("node_bcache_btree_cache_size_bytes", "Amount of memory currently used by the btree cache.", SET),
        1.0,
    ),
    (
        "cache_available_percent",
        gauge(
            "node_bcache_cache_available_percent",
            "Percentage of cache device without dirty data, usable for writeback (may contain clean cached data).",
            SET,
        ),
        1.0,
    ),
    ("congested", gauge("node_bcache_congested", "Congestion.", SET), 1.0),
    (
        "root_usage_percent",
        gauge(
            "node_bcache_root_usage_percent",
            "Percentage of the root btree node in use (tree depth increases if too high).",
            SET,
        ),
        1.0,
    ),
    ("tree_depth", gauge("node_bcache_tree_depth", "Depth of the btree.", SET), 1.0),
    (
        "internal/active_journal_entries",
        gauge("node_bcache_active_journal_entries", "Number of journal entries that are newer than the index.", SET),
        1.0,
    ),
    ("internal/btree_nodes", gauge("node_bcache_btree_nodes", "Total nodes in the btree.", SET), 1.0),
    (
        "internal/btree_read_average_duration_us",
        gauge("node_bcache_btree_read_average_duration_seconds", "Average btree read duration.", SET),
        1e-9,
    ),
    (
        "internal/cache_read_races",
        counter(
            "node_bcache_cache_read_races_total",
            "Counts instances where while data was being read from the cache, the bucket was reused and invalidated - i.e. where the pointer was stale after the read completed.",
            SET,
        ),
        1.0,
    ),
];
/// Files of a device that is cached.
static BACKING_FILES: [Entry; 7] = [
    (
        "dirty_data",
        gauge("node_bcache_dirty_data_bytes", "Amount of dirty data for this backing device in the cache.", BACKING),
        1.0,
    ),
    (
        "stats_total/bypassed",
        counter(
            "node_bcache_bypassed_bytes_total",
            "Amount of IO (both reads and writes) that has bypassed the cache.",
            BACKING,
        ),
        1.0,
    ),
    (
        "stats_total/cache_hits",
        counter("node_bcache_cache_hits_total", "Hits counted per individual IO as bcache sees them.", BACKING),
        1.0,
    ),
    (
        "stats_total/cache_misses",
        counter("node_bcache_cache_misses_total", "Misses counted per individual IO as bcache sees them.", BACKING),
        1.0,
    ),
    (
        "stats_total/cache_bypass_hits",
        counter("node_bcache_cache_bypass_hits_total", "Hits for IO intended to skip the cache.", BACKING),
        1.0,
    ),
    (
        "stats_total/cache_bypass_misses",
        counter("node_bcache_cache_bypass_misses_total", "Misses for IO intended to skip the cache.", BACKING),
        1.0,
    ),
    (
        "stats_total/cache_miss_collisions",
        counter(
            "node_bcache_cache_miss_collisions_total",
            "Instances where data insertion from cache miss raced with write (data already present).",
            BACKING,
        ),
        1.0,
    ),
];
static READAHEADS: [Entry; 1] = [(
    "stats_total/cache_readaheads",
    counter("node_bcache_cache_readaheads_total", "Count of times readahead occurred.", BACKING),
    1.0,
)];
/// Lines of `writeback_rate_debug`.
static RATES: [Entry; 5] = [
    (
        "rate:",
        gauge("node_bcache_writeback_rate", "Current writeback rate for this backing device in bytes.", BACKING),
        1.0,
    ),
    (
        "target:",
        gauge(
            "node_bcache_dirty_target_bytes",
            "Current dirty data target threshold for this backing device in bytes.",
            BACKING,
        ),
        1.0,
    ),
    (
        "proportional:",
        gauge(
            "node_bcache_writeback_rate_proportional_term",
            "Current result of proportional controller, part of writeback rate",
            BACKING,
        ),
        1.0,
    ),
    (
        "integral:",
        gauge(
            "node_bcache_writeback_rate_integral_term",
            "Current result of integral controller, part of writeback rate",
            BACKING,
        ),
        1.0,
    ),
    (
        "change:",
        gauge("node_bcache_writeback_change", "Last writeback rate change step for this backing device.", BACKING),
        1.0,
    ),
];
/// Files of a caching device.
static CACHE_FILES: [Entry; 3] = [
    (
        "io_errors",
        gauge("node_bcache_io_errors", "Number of errors that have occurred, decayed by io_error_halflife.", CACHE),
        1.0,
    ),
    (
        "metadata_written",
        counter(
            "node_bcache_metadata_written_bytes_total",
            "Sum of all non data writes (btree writes and all other metadata).",
            CACHE,
        ),
        1.0,
    ),
    (
        "written",
        counter("node_bcache_written_bytes_total", "Sum of all data that has been written to the cache.", CACHE),
        1.0,
    ),
];
/// Lines of `priority_stats`.
static SHARES: [Entry; 2] = [
    (
        "Unused:",
        gauge(
            "node_bcache_priority_stats_unused_percent",
            "The percentage of the cache that doesn't contain any data.",
            CACHE,
        ),
        1.0,
    ),
    ("Metadata:", gauge("node_bcache_priority_stats_metadata_percent", "Bcache's metadata overhead.", CACHE), 1.0),
];

/// Reads `/sys/fs/bcache`.
#[derive(Default)]
struct Bcache {
    tells_priorities: bool,
    sets: Names,
    devices: Names,
    shelf: Shelf,
    sheet: Sheet,
}

impl Collector for Bcache {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        if !self.sets.list_if_there(&host.sysfs, &[DIR])? {
            return Ok(());
        }
        let Bcache { sets, devices, shelf, sheet, .. } = self;
        // `register` and others lie beside the sets; only an identity has a dash.
        for uuid in sets.iter().filter(|name| name.contains('-')) {
            let listed = devices.list_if_there(&host.sysfs, &[DIR, "/", uuid]);
            if shelf.troubles.note(listed) != Some(true) {
                continue;
            }
            shelf.enter(&[DIR, "/", uuid]);
            shelf.put(&host.sysfs, &SET_FILES, (count, Some(0.0)), &[uuid], sheet);
            for device in devices.iter() {
                shelf.enter(&[DIR, "/", uuid, "/", device]);
                if is_numbered(device, "bdev") {
                    shelf.put(&host.sysfs, &BACKING_FILES, (count, Some(0.0)), &[device, uuid], sheet);
                    shelf.put(&host.sysfs, &READAHEADS, (count, None), &[device, uuid], sheet);
                    put_lines(shelf, host, "writeback_rate_debug", (&RATES, speed), &[device, uuid], sheet);
                } else if is_numbered(device, "cache") {
                    shelf.put(&host.sysfs, &CACHE_FILES, (count, Some(0.0)), &[device, uuid], sheet);
                    if self.tells_priorities {
                        put_lines(shelf, host, "priority_stats", (&SHARES, share), &[device, uuid], sheet);
                    }
                }
            }
        }
        sheet.tell(out);
        shelf.finish()
    }
}

/// Tells the lines of a file that are in a table; a key that is not there counts as 0, as with the peer.
fn put_lines(
    shelf: &mut Shelf,
    host: &Host,
    name: &str,
    (entries, parse): (&'static [Entry], Parse),
    labels: &[&str],
    sheet: &mut Sheet,
) {
    let mut values = [Some(0.0); RATES.len()];
    let is_there = shelf.lines(&host.sysfs, name, "a key and a number", &mut |_, line| {
        let (key, value) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        let known = entries.iter().zip(&mut values).find(|((known, ..), _)| *known == key);
        known.is_none_or(|(_, slot)| {
            let parsed = parse(value.trim());
            *slot = parsed.flatten();
            parsed.is_some()
        })
    });
    if is_there {
        entries.iter().zip(values).for_each(|((_, head, _), value)| sheet.put_some(head, labels, value));
    }
}

fn is_numbered(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn count(text: &str) -> Option<Option<f64>> {
    positive(text, Fraction::Steps).map(Some)
}

fn speed(text: &str) -> Option<Option<f64>> {
    humane(text.strip_suffix("/sec").unwrap_or(text), Fraction::Steps).map(Some)
}

fn share(text: &str) -> Option<Option<f64>> {
    unsigned(text.strip_suffix('%').unwrap_or(text))
}
