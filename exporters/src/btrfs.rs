//! `node_btrfs_*`: size, use, layout and devices of Btrfs file systems.
//!
//! ```text
//! 0abb23a9-579b-43e6-ad30-227ef47fcb9d/                          <- /sys/fs/btrfs, kernel 6.1
//!   allocation/data/bytes_reserved, allocation/data/raid0/{total_bytes,used_bytes}
//!   commit_stats      commits 258051 / last_commit_ms 1000 / max_commit_ms 51462 / total_commit_ms 47836090
//!   devices/loop25/size   in sectors of 512 bytes
//! ```
//!
//! What the peer asks each mounted file system by `ioctl` (unused bytes and errors of a device) is not told.

use model::Batch;

use crate::collector::{Collector, CollectorInfo};
use crate::error::{CollectError, Troubles};
use crate::host::{Host, Names, Reader};
use crate::number;
use crate::sheet::{Head, Sheet, counter, gauge};
use crate::single::{Words, unsigned};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "btrfs",
    default_on: true,
    make: |_| Ok(Box::new(Btrfs::default())),
    flags: &[],
    doc: "Size, use, layout and devices of each Btrfs file system from `/sys/fs/btrfs`.",
};

const DIR: &str = "fs/btrfs";

const UUID: &[&str] = &["uuid"];
const LAYOUT: &[&str] = &["uuid", "block_group_type", "mode"];
static FACTS: Head = gauge("node_btrfs_info", "Filesystem information", &["uuid", "label"]);
static RESERVE: Head = gauge("node_btrfs_global_rsv_size_bytes", "Size of global reserve.", UUID);
static DEVICE: Head =
    gauge("node_btrfs_device_size_bytes", "Size of a device that is part of the filesystem.", &["uuid", "device"]);
static RESERVED: Head =
    gauge("node_btrfs_reserved_bytes", "Amount of space reserved for a data type", &["uuid", "block_group_type"]);
static USED: Head = gauge("node_btrfs_used_bytes", "Amount of used space by a layout/data type", LAYOUT);
static SIZE: Head = gauge("node_btrfs_size_bytes", "Amount of space allocated for a layout/data type", LAYOUT);
static RATIO: Head = gauge("node_btrfs_allocation_ratio", "Data allocation ratio for a layout/data type", LAYOUT);

/// The key in `commit_stats`, its family, and what one unit is worth.
static COMMITS: [(&str, Head, f64); 4] = [
    ("commits", counter("node_btrfs_commits_total", "The total number of commits that have occurred.", UUID), 1.0),
    (
        "last_commit_ms",
        gauge("node_btrfs_last_commit_seconds", "Duration of the most recent commit, in seconds.", UUID),
        1_000.0,
    ),
    (
        "max_commit_ms",
        gauge("node_btrfs_max_commit_seconds", "Duration of the slowest commit, in seconds.", UUID),
        1_000.0,
    ),
    (
        "total_commit_ms",
        counter("node_btrfs_commit_seconds_total", "Sum of the duration of all commits, in seconds.", UUID),
        1_000.0,
    ),
];

const GROUPS: [&str; 3] = ["data", "metadata", "system"];
const MODES: [&str; 9] = ["single", "dup", "raid0", "raid1", "raid1c3", "raid1c4", "raid10", "raid5", "raid6"];
const SECTOR_BYTES: f64 = 512.0;

/// Reads `/sys/fs/btrfs`.
#[derive(Default)]
struct Btrfs {
    systems: Names,
    devices: Names,
    file: Reader,
    words: Words,
    sheet: Sheet,
}

impl Collector for Btrfs {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        if !self.systems.list_if_there(&host.sysfs, &[DIR])? {
            return Ok(());
        }
        let mut troubles = Troubles::default();
        // `features` lies beside the file systems; only an identity has a dash.
        for system in self.systems.iter().filter(|name| name.contains('-')) {
            let path = |file| [DIR, "/", system, "/", file];
            self.words.clear();
            troubles.note(self.words.read(&mut self.file, &host.sysfs, &path("metadata_uuid")));
            troubles.note(self.words.read(&mut self.file, &host.sysfs, &path("label")));
            // Kernels before 5.10 do not tell a second identity, and then there is none.
            let uuid = Some(self.words.get(0)).filter(|uuid| !uuid.is_empty()).unwrap_or(system);
            self.sheet.put(&FACTS, &[uuid, self.words.get(1)], 1.0);
            let reserve = unsigned(&mut self.file, &host.sysfs, &path("allocation/global_rsv_size"));
            self.sheet.put_some(&RESERVE, &[uuid], troubles.note(reserve).flatten());
            troubles.note(commits(&mut self.file, host, system, uuid, &mut self.sheet));
            troubles.note(self.devices.list_if_there(&host.sysfs, &path("devices")));
            let mut devices = 0.0;
            for device in self.devices.iter() {
                let size = unsigned(&mut self.file, &host.sysfs, &[DIR, "/", system, "/devices/", device, "/size"]);
                let size = troubles.note(size).flatten().map(|sectors| sectors * SECTOR_BYTES);
                self.sheet.put_some(&DEVICE, &[uuid, device], size);
                devices += 1.0;
            }
            for group in GROUPS {
                let path = [DIR, "/", system, "/allocation/", group, "/bytes_reserved"];
                let reserved = troubles.note(unsigned(&mut self.file, &host.sysfs, &path)).flatten();
                self.sheet.put_some(&RESERVED, &[uuid, group], reserved);
                for mode in MODES {
                    let mut number = |file| {
                        let path = [DIR, "/", system, "/allocation/", group, "/", mode, "/", file];
                        troubles.note(unsigned(&mut self.file, &host.sysfs, &path)).flatten()
                    };
                    let (size, used) = (number("total_bytes"), number("used_bytes"));
                    self.sheet.put_some(&SIZE, &[uuid, group, mode], size);
                    self.sheet.put_some(&USED, &[uuid, group, mode], used);
                    let ratio = size.map(|_| ratio(mode, devices));
                    self.sheet.put_some(&RATIO, &[uuid, group, mode], ratio);
                }
            }
        }
        self.sheet.tell(out);
        troubles.finish()
    }
}

/// Reads `commit_stats`; kernels before 6.0 have none, and all counts are then 0.
fn commits(file: &mut Reader, host: &Host, system: &str, uuid: &str, sheet: &mut Sheet) -> Result<(), CollectError> {
    let mut bad = None;
    let mut values = [0.0; COMMITS.len()];
    let text = file.text_if_there(&host.sysfs, &[DIR, "/", system, "/commit_stats"])?.unwrap_or("");
    for (at, line) in text.lines().enumerate() {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        let Some(index) = COMMITS.iter().position(|(known, _, _)| *known == key) else { continue };
        match number::unsigned(value.trim()) {
            Some(value) => values[index] = value as f64,
            None => {
                bad.get_or_insert(at + 1);
            }
        }
    }
    for ((_, head, divisor), value) in COMMITS.iter().zip(values) {
        sheet.put(head, &[uuid], value / divisor);
    }
    Troubles::of_line(file, bad, "a key and a number")
}

/// Returns how many bytes of the devices one byte of content takes.
fn ratio(mode: &str, devices: f64) -> f64 {
    match mode {
        "single" | "raid0" => 1.0,
        "dup" | "raid1" | "raid10" => 2.0,
        "raid1c3" => 3.0,
        "raid1c4" => 4.0,
        "raid5" => devices / (devices - 1.0),
        "raid6" => devices / (devices - 2.0),
        _ => 0.0,
    }
}
