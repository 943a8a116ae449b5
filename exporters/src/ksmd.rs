//! `node_ksmd_*`: memory that several processes share because it is the same.
//!
//! ```text
//! pages_shared 1, pages_sharing 255        <- /sys/kernel/mm/ksm, kernel 6.1
//! ```
//!
//! A kernel without it has no such folder, and then nothing is told.

use model::Batch;

use crate::collector::{Collector, CollectorInfo};
use crate::error::{CollectError, Troubles};
use crate::host::{Host, Reader};
use crate::sheet::{Head, Sheet, counter, gauge};
use crate::single::unsigned;

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "ksmd",
    default_on: false,
    make: |_| Ok(Box::new(Ksmd::default())),
    flags: &[],
    doc: "Memory that processes share because it is the same, from `/sys/kernel/mm/ksm`.",
};

/// The files, their families, and what one unit is worth.
static FILES: [(&str, Head, f64); 9] = [
    ("full_scans", counter("node_ksmd_full_scans_total", "ksmd 'full_scans' file.", &[]), 1.0),
    ("merge_across_nodes", gauge("node_ksmd_merge_across_nodes", "ksmd 'merge_across_nodes' file.", &[]), 1.0),
    ("pages_shared", gauge("node_ksmd_pages_shared", "ksmd 'pages_shared' file.", &[]), 1.0),
    ("pages_sharing", gauge("node_ksmd_pages_sharing", "ksmd 'pages_sharing' file.", &[]), 1.0),
    ("pages_to_scan", gauge("node_ksmd_pages_to_scan", "ksmd 'pages_to_scan' file.", &[]), 1.0),
    ("pages_unshared", gauge("node_ksmd_pages_unshared", "ksmd 'pages_unshared' file.", &[]), 1.0),
    ("pages_volatile", gauge("node_ksmd_pages_volatile", "ksmd 'pages_volatile' file.", &[]), 1.0),
    ("run", gauge("node_ksmd_run", "ksmd 'run' file.", &[]), 1.0),
    ("sleep_millisecs", gauge("node_ksmd_sleep_seconds", "ksmd 'sleep_millisecs' file.", &[]), 1_000.0),
];

/// Reads `/sys/kernel/mm/ksm`.
#[derive(Default)]
struct Ksmd {
    file: Reader,
    sheet: Sheet,
}

impl Collector for Ksmd {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        if !self.file.is_there(&host.sysfs, &["kernel/mm/ksm"]) {
            return Err(CollectError::absent("sharing of equal pages"));
        }
        let mut troubles = Troubles::default();
        for (file, head, divisor) in &FILES {
            let value = unsigned(&mut self.file, &host.sysfs, &["kernel/mm/ksm/", file]);
            self.sheet.put_some(head, &[], troubles.note(value).flatten().map(|value| value / divisor));
        }
        self.sheet.tell(out);
        troubles.finish()
    }
}
