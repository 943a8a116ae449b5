//! `node_slabinfo_*`: the kernel's own objects by cache.
//!
//! ```text
//! # name         <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables ...  <- /proc/slabinfo
//! tw_sock_TCP    704           864        256       32           2              : tunables ...     2.1, kernel 5.19
//! ```
//!
//! Only root may read the file.

use model::Batch;

use crate::collector::{Collector, CollectorInfo, FlagInfo};
use crate::error::{CollectError, Troubles};
use crate::filter::Filter;
use crate::host::{Host, Reader};
use crate::number::unsigned;
use crate::sheet::{Head, Sheet, gauge};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "slabinfo",
    default_on: false,
    make: |settings| {
        let filter = Filter::both(settings, (INCLUDE.name, INCLUDE.default), (EXCLUDE.name, EXCLUDE.default))?;
        Ok(Box::new(Slabinfo { file: Reader::new(), filter, sheet: Sheet::default() }))
    },
    flags: &[INCLUDE, EXCLUDE],
    doc: "The kernel's own objects by cache from `/proc/slabinfo`.",
};

const INCLUDE: FlagInfo = FlagInfo {
    name: "collector.slabinfo.slabs-include",
    default: ".*",
    help: "Regexp of slabs to include in slabinfo collector.",
};
const EXCLUDE: FlagInfo = FlagInfo {
    name: "collector.slabinfo.slabs-exclude",
    default: "",
    help: "Regexp of slabs to exclude in slabinfo collector.",
};

/// The families in the order of the columns.
static COLUMNS: [Head; 5] = [
    gauge("node_slabinfo_active_objects", "The number of objects that are currently active (i.e., in use).", &["slab"]),
    gauge(
        "node_slabinfo_objects",
        "The total number of allocated objects (i.e., objects that are both in use and not in use).",
        &["slab"],
    ),
    gauge("node_slabinfo_object_size_bytes", "The size of objects in this slab, in bytes.", &["slab"]),
    gauge("node_slabinfo_objects_per_slab", "The number of objects stored in each slab.", &["slab"]),
    gauge("node_slabinfo_pages_per_slab", "The number of pages allocated for each slab.", &["slab"]),
];

/// Reads `/proc/slabinfo`.
struct Slabinfo {
    file: Reader,
    filter: Filter,
    sheet: Sheet,
}

impl Collector for Slabinfo {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let mut bad = None;
        let text = self.file.kept_text(&host.procfs, "slabinfo")?;
        for (at, line) in text.lines().enumerate() {
            if line.starts_with("slabinfo - version") || line.starts_with('#') {
                continue;
            }
            match parse_line(line) {
                Some((slab, numbers)) if self.filter.is_wanted(slab) => {
                    for (head, number) in COLUMNS.iter().zip(numbers) {
                        self.sheet.put(head, &[slab], number as f64);
                    }
                }
                Some(_) => {}
                None => {
                    bad.get_or_insert(at + 1);
                }
            }
        }
        self.sheet.tell(out);
        Troubles::of_line(&self.file, bad, "a name and five numbers")
    }
}

fn parse_line(line: &str) -> Option<(&str, [u64; COLUMNS.len()])> {
    let mut fields = line.split_ascii_whitespace();
    let slab = fields.next()?;
    let mut numbers = [0; COLUMNS.len()];
    for number in &mut numbers {
        *number = unsigned(fields.next()?)?;
    }
    Some((slab, numbers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_name_and_five_numbers() {
        assert_eq!(parse_line("dentry 1 2 3 4 5 : tunables 0"), Some(("dentry", [1, 2, 3, 4, 5])));
        for bad in ["", "dentry", "dentry 1 2 3 4", "dentry 1 2 3 4 x"] {
            assert_eq!(parse_line(bad), None, "{bad:?}");
        }
    }
}
