//! `node_buddyinfo_blocks`: how many free runs of 2^n pages each zone of memory has.
//!
//! ```text
//! Node 0, zone   Normal   4381   1093    185   1530    567    102      4      0      0      0      0
//!                        (runs of 1, 2, 4 ... pages)      <- /proc/buddyinfo, a laptop, kernel 6.1
//! ```
//!
//! Much free memory and no long runs is memory in pieces.

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo};
use crate::error::{CollectError, Troubles};
use crate::host::{Host, Reader};
use crate::number::{Decimal, float};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "buddyinfo",
    default_on: false,
    make: |_| Ok(Box::new(Buddyinfo::default())),
    flags: &[],
    doc: "Free runs of pages by zone and length from `/proc/buddyinfo`.",
};

/// Reads `/proc/buddyinfo`.
#[derive(Default)]
struct Buddyinfo {
    file: Reader,
}

impl Collector for Buddyinfo {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let mut bad = None;
        out.family("node_buddyinfo_blocks", "Count of free blocks according to size.", MetricKind::Gauge);
        for (at, line) in self.file.kept_text(&host.procfs, "buddyinfo")?.lines().enumerate() {
            let Some((node, zone, counts)) = parse_line(line) else {
                bad.get_or_insert(at + 1);
                continue;
            };
            for (size, count) in counts.split_ascii_whitespace().enumerate() {
                let Some(count) = float(count) else {
                    bad.get_or_insert(at + 1);
                    continue;
                };
                let size = Decimal::new(size as u64);
                out.add(&[("node", node), ("zone", zone), ("size", size.as_str())], count);
            }
        }
        Troubles::of_line(&self.file, bad, "`Node n, zone name` and numbers")
    }
}

/// Splits a line into its node, its zone and its numbers.
fn parse_line(line: &str) -> Option<(&str, &str, &str)> {
    let (node, rest) = line.trim_start().strip_prefix("Node ")?.split_once(',')?;
    let rest = rest.trim_start().strip_prefix("zone")?.trim_start();
    let (zone, counts) = rest.split_once(' ')?;
    Some((node.trim(), zone, counts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_node_a_zone_and_numbers() {
        assert_eq!(parse_line("Node 0, zone    DMA32   759 5 "), Some(("0", "DMA32", "  759 5 ")));
        for bad in ["", "Node 0", "Node 0, zone", "Node 0, zone DMA", "zone DMA 1"] {
            assert_eq!(parse_line(bad), None, "{bad:?}");
        }
    }
}
