//! `node_bcachefs_*`: counters, devices, errors and compression of bcachefs file systems.
//!
//! ```text
//! <uuid>/counters/fsync           since mount: 302707 / since filesystem creation: 1515147     <- /sys/fs/bcachefs
//! <uuid>/btree_cache_size         2.05G
//! <uuid>/dev-4/io_done            read: / sb : 86016 / btree : 2193358848 / ... / write: / sb : 645120 / ...
//! <uuid>/compression_stats        type compressed uncompressed ... / lz4 48.9G 71.2G 62.5k
//! ```
//!
//! As with the peer, a counter is a family named after its file, and a file that is missing counts as 0. What is odd is
//! blamed and left out; the peer then tells nothing.

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo};
use crate::error::CollectError;
use crate::host::{Host, Names};
use crate::humane::{Fraction, positive};
use crate::named::Named;
use crate::number;
use crate::sheet::{Head, Sheet, counter, gauge};
use crate::shelf::{Entry, Shelf, unsigned};
use crate::single::Words;

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "bcachefs",
    default_on: true,
    make: |_| Ok(Box::new(Bcachefs::default())),
    flags: &[],
    doc: "Counters, devices, errors and compression of bcachefs file systems, from `/sys/fs/bcachefs`.",
};

const DIR: &str = "fs/bcachefs";

const UUID: &[&str] = &["uuid"];
const DEVICE: &[&str] = &["uuid", "device"];
const ALGORITHM: &[&str] = &["uuid", "algorithm"];
const WRITES: &[&str] = &["uuid", "type"];
static FACTS: Head = gauge("node_bcachefs_info", "Filesystem information.", UUID);
static CACHE: [Entry; 1] = [(
    "btree_cache_size",
    gauge("node_bcachefs_btree_cache_size_bytes", "Btree cache memory usage in bytes.", UUID),
    1.0,
)];
static COMPRESSED: Head =
    gauge("node_bcachefs_compression_compressed_bytes", "Compressed size by algorithm.", ALGORITHM);
static UNCOMPRESSED: Head =
    gauge("node_bcachefs_compression_uncompressed_bytes", "Uncompressed size by algorithm.", ALGORITHM);
static WRITTEN: Head = counter("node_bcachefs_btree_writes_total", "Number of btree writes by type.", WRITES);
static WRITE_SIZE: Head =
    gauge("node_bcachefs_btree_write_average_size_bytes", "Average btree write size by type.", WRITES);
static ERRORS: Head = counter("node_bcachefs_errors_total", "Error count by error type.", &["uuid", "error_type"]);
static DEVICE_FACTS: Head =
    gauge("node_bcachefs_device_info", "Device information.", &["uuid", "device", "label", "state"]);
static BUCKET: [Entry; 1] =
    [("bucket_size", gauge("node_bcachefs_device_bucket_size_bytes", "Bucket size in bytes.", DEVICE), 1.0)];
static DEVICE_FILES: [Entry; 2] = [
    ("nbuckets", gauge("node_bcachefs_device_buckets", "Total number of buckets.", DEVICE), 1.0),
    ("durability", gauge("node_bcachefs_device_durability", "Device durability setting.", DEVICE), 1.0),
];
static DONE: Head = counter(
    "node_bcachefs_device_io_done_bytes_total",
    "IO bytes by operation type and data type.",
    &["uuid", "device", "operation", "data_type"],
);
static FAILED: Head =
    counter("node_bcachefs_device_io_errors_total", "IO errors by error type.", &["uuid", "device", "type"]);

/// What stands before a counter's value.
const SINCE_CREATION: &str = "since filesystem creation:";
/// How the two halves of `io_errors` begin.
const ERRORS_SINCE: &str = "IO errors since ";

/// Reads `/sys/fs/bcachefs`.
#[derive(Default)]
struct Bcachefs {
    systems: Names,
    names: Names,
    shelf: Shelf,
    words: Words,
    sheet: Sheet,
    counters: Named,
}

impl Collector for Bcachefs {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        if !self.systems.list_if_there(&host.sysfs, &[DIR])? || self.systems.iter().next().is_none() {
            return Err(CollectError::absent("a bcachefs file system"));
        }
        let Bcachefs { systems, names, shelf, words, sheet, counters } = self;
        for uuid in systems.iter() {
            shelf.enter(&[DIR, "/", uuid]);
            if !shelf.is_there(&host.sysfs, ".") {
                continue;
            }
            sheet.put(&FACTS, &[uuid], 1.0);
            shelf.put(&host.sysfs, &CACHE, (size, Some(0.0)), &[uuid], sheet);
            put_tables(shelf, host, uuid, sheet);
            let listed = names.list_if_there(&host.sysfs, &[DIR, "/", uuid]);
            shelf.troubles.note(listed);
            for name in names.iter() {
                let Some(device) = name.strip_prefix("dev-") else { continue };
                shelf.enter(&[DIR, "/", uuid, "/", name]);
                words.clear();
                shelf.word(&host.sysfs, "label", words);
                shelf.word(&host.sysfs, "state", words);
                sheet.put(&DEVICE_FACTS, &[uuid, device, words.get(0), words.get(1)], 1.0);
                shelf.put(&host.sysfs, &BUCKET, (size, Some(0.0)), &[uuid, device], sheet);
                shelf.put(&host.sysfs, &DEVICE_FILES, (unsigned, Some(0.0)), &[uuid, device], sheet);
                put_transfers(shelf, host, &[uuid, device], sheet);
            }
            let listed = names.list_if_there(&host.sysfs, &[DIR, "/", uuid, "/counters"]);
            shelf.troubles.note(listed);
            shelf.enter(&[DIR, "/", uuid, "/counters"]);
            for name in names.iter() {
                if let Some(value) = shelf.number(&host.sysfs, name, since_creation, None) {
                    let help = ["Bcachefs counter ", name, " since filesystem creation."];
                    let family = ["node_bcachefs_", name, "_total"];
                    counters.put(MetricKind::Counter, &family, &help, (UUID, &[uuid]), value);
                }
            }
        }
        sheet.tell_once(out);
        counters.tell(out);
        shelf.finish()
    }
}

/// Tells compression, writes of the tree, and errors: files of a row for each kind.
fn put_tables(shelf: &mut Shelf, host: &Host, uuid: &str, sheet: &mut Sheet) {
    shelf.lines(&host.sysfs, "compression_stats", "an algorithm and two sizes", &mut |at, line| {
        let Some((algorithm, [compressed, uncompressed])) = row(line).filter(|_| at > 0) else { return true };
        let sizes = [(&COMPRESSED, plain(compressed)), (&UNCOMPRESSED, plain(uncompressed))];
        sizes.iter().for_each(|(head, size)| sheet.put_some(head, &[uuid, algorithm], *size));
        sizes.iter().all(|(_, size)| size.is_some())
    });
    shelf.lines(&host.sysfs, "btree_write_stats", "a kind, a count and a size", &mut |at, line| {
        let Some((kind, [count, size])) = row(line).filter(|_| at > 0) else { return true };
        let values = [(&WRITTEN, whole(count)), (&WRITE_SIZE, plain(size))];
        let kind = kind.trim_end_matches(':');
        values.iter().for_each(|(head, value)| sheet.put_some(head, &[uuid, kind], *value));
        values.iter().all(|(_, value)| value.is_some())
    });
    shelf.lines(&host.sysfs, "errors", "a kind and a count", &mut |_, line| {
        let mut words = line.split_ascii_whitespace();
        let (Some(kind), Some(count)) = (words.next(), words.next()) else { return true };
        sheet.put_some(&ERRORS, &[uuid, kind], whole(count));
        whole(count).is_some()
    });
}

/// Tells what a device read and wrote, and the errors since the file system was made.
fn put_transfers(shelf: &mut Shelf, host: &Host, device: &[&str; 2], sheet: &mut Sheet) {
    let mut operation = "";
    shelf.lines(&host.sysfs, "io_done", "a kind of data and a count", &mut |_, line| {
        let Some((kind, count)) = pair(line) else { return true };
        match (kind, count) {
            ("read", "") => operation = "read",
            ("write", "") => operation = "write",
            _ if operation.is_empty() => {}
            _ => {
                sheet.put_some(&DONE, &[device[0], device[1], operation, kind], whole(count));
                return whole(count).is_some();
            }
        }
        true
    });
    let mut halves = 0;
    shelf.lines(&host.sysfs, "io_errors", "a kind of errors and a count", &mut |_, line| {
        halves += usize::from(line.starts_with(ERRORS_SINCE));
        let Some((kind, count)) = pair(line).filter(|_| halves == 1) else { return true };
        sheet.put_some(&FAILED, &[device[0], device[1], kind], whole(count));
        whole(count).is_some()
    });
}

/// Returns the first word of a row and the two after it.
fn row(line: &str) -> Option<(&str, [&str; 2])> {
    let mut words = line.split_ascii_whitespace();
    Some((words.next()?, [words.next()?, words.next()?]))
}

/// Returns what stands before and after a colon.
fn pair(line: &str) -> Option<(&str, &str)> {
    line.split_once(':').map(|(key, value)| (key.trim(), value.trim()))
}

fn whole(text: &str) -> Option<f64> {
    number::unsigned(text).map(|value| value as f64)
}

fn plain(text: &str) -> Option<f64> {
    positive(text, Fraction::Decimal)
}

/// Reads a size; an empty file counts as 0, as with the peer.
fn size(text: &str) -> Option<Option<f64>> {
    if text.is_empty() { Some(Some(0.0)) } else { plain(text).map(Some) }
}

/// Reads a file of `counters`.
fn since_creation(text: &str) -> Option<Option<f64>> {
    let value = text.lines().rev().find_map(|line| line.strip_prefix(SINCE_CREATION))?;
    plain(value.trim()).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_the_last_line_that_says_since_when() {
        assert_eq!(since_creation("since mount: 1\nsince filesystem creation:  2.05G"), Some(Some(2_201_170_739.0)));
        for bad in ["", "7", "since mount: 7", "since filesystem creation 5", "since filesystem creation:"] {
            assert_eq!(since_creation(bad), None, "{bad}");
        }
    }
}
