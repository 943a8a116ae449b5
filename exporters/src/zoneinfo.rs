//! `node_zoneinfo_*`: pages of each zone of memory.
//!
//! ```text
//! Node 0, zone      DMA                         <- /proc/zoneinfo, kernel 5.10
//!   pages free     2949
//!         min      8
//!         protection: (0, 2039, 31932, 31932, 31932)
//!       nr_free_pages 2949
//! ```
//!
//! What a kernel does not print is not told.

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo};
use crate::error::{CollectError, Troubles};
use crate::host::{Host, Reader};
use crate::number::{Decimal, integer};
use crate::sheet::{Head, Sheet, counter, gauge};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "zoneinfo",
    default_on: false,
    make: |_| Ok(Box::new(Zoneinfo::default())),
    flags: &[],
    doc: "Pages of each zone of memory from `/proc/zoneinfo`.",
};

const ZONE: &[&str] = &["node", "zone"];

/// Reads `/proc/zoneinfo`.
#[derive(Default)]
struct Zoneinfo {
    file: Reader,
    sheet: Sheet,
    name: String,
    help: String,
}

impl Collector for Zoneinfo {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let mut bad = None;
        let mut zone = None;
        for (at, line) in self.file.kept_text(&host.procfs, "zoneinfo")?.lines().enumerate() {
            if line.starts_with("Node") {
                zone = parse_zone(line);
                bad = bad.or(if zone.is_none() { Some(at + 1) } else { None });
                continue;
            }
            let Some((node, name)) = zone else { continue };
            let mut words = line.split_ascii_whitespace();
            let Some(key) = words.next() else { continue };
            if key == "protection:" {
                let values = line.split(['(', ')']).nth(1).unwrap_or("").split(',');
                let odd = put_protection(node, name, values, (&mut self.name, &mut self.help), out);
                bad = bad.or(if odd { Some(at + 1) } else { None });
                continue;
            }
            let Some((_, head)) = FAMILIES.iter().find(|(known, _)| *known == key) else { continue };
            match words.next().and_then(integer) {
                Some(value) => self.sheet.put(head, &[node, name], value as f64),
                None => bad = bad.or(Some(at + 1)),
            }
        }
        self.sheet.tell(out);
        Troubles::of_line(&self.file, bad, "`Node n, zone name`, or a word and a number")
    }
}

fn parse_zone(line: &str) -> Option<(&str, &str)> {
    let (node, zone) = line.strip_prefix("Node")?.split_once(", zone")?;
    Some((node.trim(), zone.trim()))
}

/// Tells the protection against each higher zone; returns whether a number is odd.
fn put_protection<'a>(
    node: &str,
    zone: &str,
    values: impl Iterator<Item = &'a str>,
    (name, help): (&mut String, &mut String),
    out: &mut Batch,
) -> bool {
    let mut is_odd = false;
    for (index, value) in values.enumerate() {
        let Some(value) = integer(value.trim()) else {
            is_odd = true;
            continue;
        };
        let index = Decimal::new(index as u64);
        name.clear();
        name.extend(["node_zoneinfo_protection_", index.as_str()]);
        help.clear();
        help.extend(["Protection array ", index.as_str(), ". field"]);
        out.family(name, help, MetricKind::Gauge);
        out.add(&[("node", node), ("zone", zone)], value as f64);
    }
    is_odd
}

/// The kernel's words and their families.
static FAMILIES: [(&str, Head); 32] = [
    ("high", gauge("node_zoneinfo_high_pages", "Zone watermark pages_high", ZONE)),
    ("low", gauge("node_zoneinfo_low_pages", "Zone watermark pages_low", ZONE)),
    ("managed", gauge("node_zoneinfo_managed_pages", "Present pages managed by the buddy system", ZONE)),
    ("min", gauge("node_zoneinfo_min_pages", "Zone watermark pages_min", ZONE)),
    (
        "nr_active_anon",
        gauge("node_zoneinfo_nr_active_anon_pages", "Number of anonymous pages recently more used", ZONE),
    ),
    ("nr_active_file", gauge("node_zoneinfo_nr_active_file_pages", "Number of active pages with file-backing", ZONE)),
    (
        "nr_anon_pages",
        gauge("node_zoneinfo_nr_anon_pages", "Number of anonymous pages currently used by the system", ZONE),
    ),
    (
        "nr_anon_transparent_hugepages",
        gauge(
            "node_zoneinfo_nr_anon_transparent_hugepages",
            "Number of anonymous transparent huge pages currently used by the system",
            ZONE,
        ),
    ),
    ("nr_dirtied", counter("node_zoneinfo_nr_dirtied_total", "Page dirtyings since bootup", ZONE)),
    ("nr_dirty", gauge("node_zoneinfo_nr_dirty_pages", "Number of dirty pages", ZONE)),
    ("nr_file_pages", gauge("node_zoneinfo_nr_file_pages", "Number of file pages", ZONE)),
    ("nr_free_pages", gauge("node_zoneinfo_nr_free_pages", "Total number of free pages in the zone", ZONE)),
    (
        "nr_inactive_anon",
        gauge("node_zoneinfo_nr_inactive_anon_pages", "Number of anonymous pages recently less used", ZONE),
    ),
    (
        "nr_inactive_file",
        gauge("node_zoneinfo_nr_inactive_file_pages", "Number of inactive pages with file-backing", ZONE),
    ),
    ("nr_isolated_anon", gauge("node_zoneinfo_nr_isolated_anon_pages", "Temporary isolated pages from anon lru", ZONE)),
    ("nr_isolated_file", gauge("node_zoneinfo_nr_isolated_file_pages", "Temporary isolated pages from file lru", ZONE)),
    ("nr_kernel_stack", gauge("node_zoneinfo_nr_kernel_stacks", "Number of kernel stacks", ZONE)),
    ("nr_mapped", gauge("node_zoneinfo_nr_mapped_pages", "Number of mapped pages", ZONE)),
    ("nr_shmem", gauge("node_zoneinfo_nr_shmem_pages", "Number of shmem pages (included tmpfs/GEM pages)", ZONE)),
    ("nr_slab_reclaimable", gauge("node_zoneinfo_nr_slab_reclaimable_pages", "Number of reclaimable slab pages", ZONE)),
    (
        "nr_slab_unreclaimable",
        gauge("node_zoneinfo_nr_slab_unreclaimable_pages", "Number of unreclaimable slab pages", ZONE),
    ),
    ("nr_unevictable", gauge("node_zoneinfo_nr_unevictable_pages", "Number of unevictable pages", ZONE)),
    ("nr_writeback", gauge("node_zoneinfo_nr_writeback_pages", "Number of writeback pages", ZONE)),
    ("nr_written", counter("node_zoneinfo_nr_written_total", "Page writings since bootup", ZONE)),
    ("numa_foreign", counter("node_zoneinfo_numa_foreign_total", "Was intended here, hit elsewhere", ZONE)),
    ("numa_hit", counter("node_zoneinfo_numa_hit_total", "Allocated in intended node", ZONE)),
    ("numa_interleave", counter("node_zoneinfo_numa_interleave_total", "Interleaver preferred this zone", ZONE)),
    ("numa_local", counter("node_zoneinfo_numa_local_total", "Allocation from local node", ZONE)),
    ("numa_miss", counter("node_zoneinfo_numa_miss_total", "Allocated in non intended node", ZONE)),
    ("numa_other", counter("node_zoneinfo_numa_other_total", "Allocation from other node", ZONE)),
    ("present", gauge("node_zoneinfo_present_pages", "Physical pages existing within the zone", ZONE)),
    ("spanned", gauge("node_zoneinfo_spanned_pages", "Total pages spanned by the zone, including holes", ZONE)),
];
