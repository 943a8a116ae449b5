//! `node_memory_*`: every line of `/proc/meminfo` that the peer knows, in bytes.
//!
//! ```text
//! MemTotal:        3884000 kB       <- Raspberry Pi 4, kernel 6.6
//! Active(anon):     190951 kB
//! HugePages_Total:       0
//! ```
//!
//! The peer drops everything when one line is odd; here the odd line is reported and the rest kept.

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo};
use crate::error::{CollectError, Troubles};
use crate::host::{Host, Reader};
use crate::number::unsigned;

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "meminfo",
    default_on: true,
    make: |_| Ok(Box::new(Meminfo::default())),
    flags: &[],
    doc: "Memory by use, in bytes, from `/proc/meminfo`.",
};

/// The kernel's key, the metric's name after `node_memory_`. What is not listed is not told, as with the peer.
const KEYS: [(&str, &str); 51] = [
    ("MemTotal", "MemTotal_bytes"),
    ("MemFree", "MemFree_bytes"),
    ("MemAvailable", "MemAvailable_bytes"),
    ("Buffers", "Buffers_bytes"),
    ("Cached", "Cached_bytes"),
    ("SwapCached", "SwapCached_bytes"),
    ("Active", "Active_bytes"),
    ("Inactive", "Inactive_bytes"),
    ("Active(anon)", "Active_anon_bytes"),
    ("Inactive(anon)", "Inactive_anon_bytes"),
    ("Active(file)", "Active_file_bytes"),
    ("Inactive(file)", "Inactive_file_bytes"),
    ("Unevictable", "Unevictable_bytes"),
    ("Mlocked", "Mlocked_bytes"),
    ("SwapTotal", "SwapTotal_bytes"),
    ("SwapFree", "SwapFree_bytes"),
    ("Zswap", "Zswap_bytes"),
    ("Zswapped", "Zswapped_bytes"),
    ("Dirty", "Dirty_bytes"),
    ("Writeback", "Writeback_bytes"),
    ("AnonPages", "AnonPages_bytes"),
    ("Mapped", "Mapped_bytes"),
    ("Shmem", "Shmem_bytes"),
    ("Slab", "Slab_bytes"),
    ("SReclaimable", "SReclaimable_bytes"),
    ("SUnreclaim", "SUnreclaim_bytes"),
    ("KernelStack", "KernelStack_bytes"),
    ("PageTables", "PageTables_bytes"),
    ("NFS_Unstable", "NFS_Unstable_bytes"),
    ("Bounce", "Bounce_bytes"),
    ("WritebackTmp", "WritebackTmp_bytes"),
    ("CommitLimit", "CommitLimit_bytes"),
    ("Committed_AS", "Committed_AS_bytes"),
    ("VmallocTotal", "VmallocTotal_bytes"),
    ("VmallocUsed", "VmallocUsed_bytes"),
    ("VmallocChunk", "VmallocChunk_bytes"),
    ("Percpu", "Percpu_bytes"),
    ("HardwareCorrupted", "HardwareCorrupted_bytes"),
    ("AnonHugePages", "AnonHugePages_bytes"),
    ("ShmemHugePages", "ShmemHugePages_bytes"),
    ("ShmemPmdMapped", "ShmemPmdMapped_bytes"),
    ("CmaTotal", "CmaTotal_bytes"),
    ("CmaFree", "CmaFree_bytes"),
    ("HugePages_Total", "HugePages_Total"),
    ("HugePages_Free", "HugePages_Free"),
    ("HugePages_Rsvd", "HugePages_Rsvd"),
    ("HugePages_Surp", "HugePages_Surp"),
    ("Hugepagesize", "Hugepagesize_bytes"),
    ("DirectMap4k", "DirectMap4k_bytes"),
    ("DirectMap2M", "DirectMap2M_bytes"),
    ("DirectMap1G", "DirectMap1G_bytes"),
];

/// Reads `/proc/meminfo`.
#[derive(Default)]
struct Meminfo {
    file: Reader,
    name: String,
    help: String,
}

impl Collector for Meminfo {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let text = self.file.kept_text(&host.procfs, "meminfo")?;
        let (mut seen, mut bad, mut from) = ([false; KEYS.len()], None, 0);
        for (at, line) in text.lines().enumerate() {
            let Some((key, value)) = parse_line(line) else {
                bad.get_or_insert(at + 1);
                continue;
            };
            // The kernel prints in the order of the list, so the next key is mostly the right one.
            let Some(index) = (from..KEYS.len()).chain(0..from).find(|i| KEYS[*i].0 == key) else { continue };
            from = (index + 1) % KEYS.len();
            if std::mem::replace(&mut seen[index], true) {
                continue;
            }
            let (name, help) = (&mut self.name, &mut self.help);
            name.clear();
            name.extend(["node_memory_", KEYS[index].1]);
            help.clear();
            help.extend(["Memory information field ", KEYS[index].1, "."]);
            out.family(name, help, MetricKind::Gauge);
            out.add(&[], value);
        }
        let mut troubles = Troubles::default();
        if let Some(line) = bad {
            troubles.note::<()>(Err(self.file.malformed(line, "`key: number` or `key: number kB`")));
        }
        troubles.finish()
    }
}

/// Reads one line as its key and its value in bytes (or pages, where there is no unit).
fn parse_line(line: &str) -> Option<(&str, f64)> {
    let mut fields = line.split_ascii_whitespace();
    let key = fields.next()?;
    let value = unsigned(fields.next()?)?;
    let value = match (fields.next(), fields.next()) {
        (None, _) => value,
        (Some("kB"), None) => value.saturating_mul(1_024),
        _ => return None,
    };
    Some((key.strip_suffix(':').unwrap_or(""), value as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_key_a_number_and_maybe_a_unit() {
        assert_eq!(parse_line("MemTotal:        3884000 kB"), Some(("MemTotal", 3_977_216_000.0)));
        assert_eq!(parse_line("HugePages_Total:       0"), Some(("HugePages_Total", 0.0)));
        assert_eq!(parse_line("Active(anon):          1 kB"), Some(("Active(anon)", 1_024.0)));
        for bad in ["", "MemTotal:", "Two words: 1 kB", "MemTotal: 1 MB", "MemTotal: -1 kB", "MemTotal: 1 kB more"] {
            assert_eq!(parse_line(bad), None, "{bad:?}");
        }
    }
}
