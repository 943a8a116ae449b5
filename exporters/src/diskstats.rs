//! `node_disk_*`: reads, writes, discards, flushes and the time they took, for each disk and partition.
//!
//! ```text
//!  179       0 mmcblk0 1668954 4055950 3701211 7338148 6093430 ...   <- /proc/diskstats, Raspberry Pi 4, kernel 6.6
//!  major minor device  reads merged sectors ms writes merged sectors ms now ms weighted_ms, discards, flushes
//! ```
//!
//! What udev knows of a device (`/run/udev/data/b179:0`, lines such as `E:ID_SERIAL=0xc6e8d2d1`) is in `udev`.
//! Old kernels print fewer columns; what is not printed is not told. A line that is odd is reported, the rest kept.

mod udev;

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo, FlagInfo};
use crate::error::{CollectError, Troubles};
use crate::filter::Filter;
use crate::host::{Host, Reader};
use crate::number::unsigned;
use crate::settings::{Settings, SettingsError};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "diskstats",
    default_on: true,
    make: |settings| Ok(Box::new(Diskstats::new(settings)?)),
    flags: &[INCLUDE, EXCLUDE, IGNORED],
    doc: "Reads, writes, discards and flushes of each disk from `/proc/diskstats`, and what udev knows of it.",
};

const INCLUDE: FlagInfo = FlagInfo {
    name: "collector.diskstats.device-include",
    default: "",
    help: "Regexp of diskstats devices to include (mutually exclusive to device-exclude).",
};
const EXCLUDE: FlagInfo = FlagInfo {
    name: "collector.diskstats.device-exclude",
    default: "^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\\d+n\\d+p)\\d+$",
    help: "Regexp of diskstats devices to exclude (mutually exclusive to device-include).",
};
const IGNORED: FlagInfo =
    FlagInfo { name: "collector.diskstats.ignored-devices", default: "", help: "An older name of device-exclude." };

const SECTOR_BYTES: f64 = 512.0;
const SECONDS: f64 = 0.001;

/// The columns after the device: name after `node_disk_`, help, what one unit is worth.
const COLUMNS: [(&str, &str, f64); 17] = [
    ("reads_completed_total", "The total number of reads completed successfully.", 1.0),
    ("reads_merged_total", "The total number of reads merged.", 1.0),
    ("read_bytes_total", "The total number of bytes read successfully.", SECTOR_BYTES),
    ("read_time_seconds_total", "The total number of seconds spent by all reads.", SECONDS),
    ("writes_completed_total", "The total number of writes completed successfully.", 1.0),
    ("writes_merged_total", "The number of writes merged.", 1.0),
    ("written_bytes_total", "The total number of bytes written successfully.", SECTOR_BYTES),
    ("write_time_seconds_total", "This is the total number of seconds spent by all writes.", SECONDS),
    ("io_now", "The number of I/Os currently in progress.", 1.0),
    ("io_time_seconds_total", "Total seconds spent doing I/Os.", SECONDS),
    ("io_time_weighted_seconds_total", "The weighted # of seconds spent doing I/Os.", SECONDS),
    ("discards_completed_total", "The total number of discards completed successfully.", 1.0),
    ("discards_merged_total", "The total number of discards merged.", 1.0),
    ("discarded_sectors_total", "The total number of sectors discarded successfully.", 1.0),
    ("discard_time_seconds_total", "This is the total number of seconds spent by all discards.", SECONDS),
    ("flush_requests_total", "The total number of flush requests completed successfully", 1.0),
    ("flush_requests_time_seconds_total", "This is the total number of seconds spent by all flush requests.", SECONDS),
];

/// How many columns a line has at least.
const COLUMNS_MIN: usize = 11;

/// Reads `/proc/diskstats`.
struct Diskstats {
    file: Reader,
    filter: Filter,
    udev: udev::Udev,
    text: String,
    disks: Vec<Disk>,
    name: String,
}

/// One line, its device's name as a range of the collector's text.
struct Disk {
    name: (usize, usize),
    device: (u64, u64),
    columns: [u64; COLUMNS.len()],
    columns_found: usize,
}

impl Diskstats {
    fn new(settings: &Settings) -> Result<Diskstats, SettingsError> {
        let exclude = (EXCLUDE.name, EXCLUDE.default);
        Ok(Diskstats {
            file: Reader::new(),
            filter: Filter::new(settings, INCLUDE.name, exclude, Some(IGNORED.name))?,
            udev: udev::Udev::default(),
            text: String::new(),
            disks: Vec::new(),
            name: String::new(),
        })
    }

    /// Reads every wanted disk; returns the first odd line.
    fn read(&mut self, host: &Host) -> Result<Option<usize>, CollectError> {
        self.text.clear();
        self.disks.clear();
        let mut bad = None;
        let text = self.file.kept_text(&host.procfs, "diskstats")?;
        for (at, line) in text.lines().enumerate() {
            match parse_line(line) {
                Some((name, disk)) if disk.columns_found >= COLUMNS_MIN => {
                    if self.filter.is_wanted(name) {
                        let start = self.text.len();
                        self.text.push_str(name);
                        self.disks.push(Disk { name: (start, self.text.len()), ..disk });
                    }
                }
                Some(_) => {} // A partition of a 2.4 kernel.
                None => {
                    bad.get_or_insert(at + 1);
                }
            }
        }
        Ok(bad)
    }
}

impl Collector for Diskstats {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let bad = self.read(host)?;
        let mut troubles = Troubles::default();
        let (text, disks) = (&self.text, &self.disks);
        let devices = disks.iter().map(|disk| (&text[disk.name.0..disk.name.1], disk.device));
        troubles.note(self.udev.collect(host, devices.clone(), out));
        for (column, (name, help, worth)) in COLUMNS.iter().enumerate() {
            self.name.clear();
            self.name.extend(["node_disk_", name]);
            let kind = if *name == "io_now" { MetricKind::Gauge } else { MetricKind::Counter };
            out.family(&self.name, help, kind);
            for (disk, (name, _)) in disks.iter().zip(devices.clone()).filter(|(disk, _)| column < disk.columns_found) {
                out.add(&[("device", name)], disk.columns[column] as f64 * worth);
            }
        }
        if let Some(line) = bad {
            troubles.note::<()>(Err(self.file.malformed(line, "`major minor device` and up to 17 numbers")));
        }
        troubles.finish()
    }
}

fn parse_line(line: &str) -> Option<(&str, Disk)> {
    let mut fields = line.split_ascii_whitespace();
    let device = (unsigned(fields.next()?)?, unsigned(fields.next()?)?);
    let name = fields.next()?;
    let mut disk = Disk { name: (0, 0), device, columns: [0; COLUMNS.len()], columns_found: 0 };
    for (column, field) in disk.columns.iter_mut().zip(fields) {
        *column = unsigned(field)?;
        disk.columns_found += 1;
    }
    Some((name, disk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_device_and_as_many_numbers_as_the_kernel_knows() {
        let read = |line| parse_line(line).map(|(name, disk)| (name, disk.device, disk.columns_found));
        assert_eq!(read(" 8 0 sda 1 2 3 4 5 6 7 8 9 10 11"), Some(("sda", (8, 0), 11)));
        assert_eq!(read(" 8 0 sda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19"), Some(("sda", (8, 0), 17)));
        assert_eq!(read(" 8 1 sda1 1 2 3 4"), Some(("sda1", (8, 1), 4)));
        for bad in ["", "8", "8 0", "x 0 sda 1", "8 0 sda 1 y"] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}
