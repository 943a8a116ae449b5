//! `node_tape_*`: what each tape drive read and wrote, and how long that took.
//!
//! ```text
//! st0/stats/read_byte_cnt  979383912        <- /sys/class/scsi_tape, kernel 6.1
//! st0/stats/write_ns       5233597394395
//! ```
//!
//! The other names of a drive (`nst0`, `st0a`) count the same and are not told. A file that is missing counts as 0, as
//! with the peer; one that is no number is blamed, and ends the peer's process.

use model::{Batch, Pattern};

use crate::collector::{Collector, CollectorInfo, FlagInfo};
use crate::error::CollectError;
use crate::host::{Host, Names};
use crate::number;
use crate::sheet::{Sheet, counter, gauge};
use crate::shelf::{Entry, Shelf, unsigned};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "tapestats",
    default_on: true,
    make: |settings| {
        let ignored = settings.pattern(IGNORED.name, IGNORED.default)?;
        Ok(Box::new(Tapestats { ignored, names: Names::default(), shelf: Shelf::default(), sheet: Sheet::default() }))
    },
    flags: &[IGNORED],
    doc: "What each tape drive read and wrote, from `/sys/class/scsi_tape`.",
};

const IGNORED: FlagInfo = FlagInfo {
    name: "collector.tapestats.ignored-devices",
    default: "^$",
    help: "Regexp of devices to ignore for tapestats.",
};

const DIR: &str = "class/scsi_tape";
const LABELS: &[&str] = &["device"];
const NANOSECONDS: f64 = 1e-9;

/// The files below `stats`.
static FILES: [Entry; 10] = [
    ("in_flight", gauge("node_tape_io_now", "The number of I/Os currently outstanding to this device.", LABELS), 1.0),
    (
        "io_ns",
        counter(
            "node_tape_io_time_seconds_total",
            "The amount of time spent waiting for all I/O to complete (including read and write). This includes tape movement commands such as seeking between file or set marks and implicit tape movement such as when rewind on close tape devices are used.",
            LABELS,
        ),
        NANOSECONDS,
    ),
    (
        "other_cnt",
        counter(
            "node_tape_io_others_total",
            "The number of I/Os issued to the tape drive other than read or write commands. The time taken to complete these commands uses the following calculation io_time_seconds_total-read_time_seconds_total-write_time_seconds_total",
            LABELS,
        ),
        1.0,
    ),
    (
        "read_byte_cnt",
        counter("node_tape_read_bytes_total", "The number of bytes read from the tape drive.", LABELS),
        1.0,
    ),
    (
        "read_cnt",
        counter("node_tape_reads_completed_total", "The number of read requests issued to the tape drive.", LABELS),
        1.0,
    ),
    (
        "read_ns",
        counter(
            "node_tape_read_time_seconds_total",
            "The amount of time spent waiting for read requests to complete.",
            LABELS,
        ),
        NANOSECONDS,
    ),
    (
        "resid_cnt",
        counter(
            "node_tape_residual_total",
            "The number of times during a read or write we found the residual amount to be non-zero. This should mean that a program is issuing a read larger thean the block size on tape. For write not all data made it to tape.",
            LABELS,
        ),
        1.0,
    ),
    (
        "write_byte_cnt",
        counter("node_tape_written_bytes_total", "The number of bytes written to the tape drive.", LABELS),
        1.0,
    ),
    (
        "write_cnt",
        counter("node_tape_writes_completed_total", "The number of write requests issued to the tape drive.", LABELS),
        1.0,
    ),
    (
        "write_ns",
        counter(
            "node_tape_write_time_seconds_total",
            "The amount of time spent waiting for write requests to complete.",
            LABELS,
        ),
        NANOSECONDS,
    ),
];

/// Reads `/sys/class/scsi_tape`.
struct Tapestats {
    ignored: Option<Pattern>,
    names: Names,
    shelf: Shelf,
    sheet: Sheet,
}

impl Collector for Tapestats {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        if !self.names.list_if_there(&host.sysfs, &[DIR])? {
            return Err(CollectError::absent("a tape drive"));
        }
        let is_drive = |name: &&str| name.strip_prefix("st").is_some_and(|rest| number::unsigned(rest).is_some());
        for device in self.names.iter().filter(is_drive) {
            if self.ignored.as_ref().is_some_and(|ignored| ignored.is_match(device)) {
                continue;
            }
            self.shelf.enter(&[DIR, "/", device, "/stats"]);
            // A drive that was just unplugged counts nothing.
            if self.shelf.is_there(&host.sysfs, ".") {
                self.shelf.put(&host.sysfs, &FILES, (unsigned, Some(0.0)), &[device], &mut self.sheet);
            }
        }
        self.sheet.tell(out);
        self.shelf.finish()
    }
}
