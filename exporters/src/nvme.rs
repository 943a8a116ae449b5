//! `node_nvme_info` and `node_nvme_namespace_*`: NVMe controllers and their namespaces.
//!
//! ```text
//! nvme0/model                              Samsung SSD 970 PRO 512GB    <- /sys/class/nvme, kernel 6.1
//! nvme0/nvme0n1/size                       1000215216
//! nvme0/nvme0n1/queue/logical_block_size   512
//! ```
//!
//! As with the peer, sizes are told as `size` times the logical block. A namespace is `nvme0n1`, or `nvme0c0n1`
//! where the kernel does multipathing. A file that is missing is an empty label or no row.

use model::Batch;

use crate::collector::{Collector, CollectorInfo};
use crate::error::{CollectError, Troubles};
use crate::host::{Host, Names, Reader};
use crate::number;
use crate::sheet::{Head, Sheet, gauge};
use crate::single::{Words, unsigned};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "nvme",
    default_on: true,
    make: |_| Ok(Box::new(Nvme::default())),
    flags: &[],
    doc: "NVMe controllers, and size and use of their namespaces, from `/sys/class/nvme`.",
};

const DIR: &str = "class/nvme";

const WORDS: [&str; 5] = ["firmware_rev", "model", "serial", "state", "cntlid"];
static FACTS: Head = gauge(
    "node_nvme_info",
    "Non-numeric data from /sys/class/nvme/<device>, value is always 1.",
    &["device", "firmware_revision", "model", "serial", "state", "cntlid"],
);
static NAMESPACE: Head = gauge(
    "node_nvme_namespace_info",
    "Information about NVMe namespaces. Value is always 1",
    &["device", "nsid", "ana_state"],
);
static CAPACITY: Head = gauge(
    "node_nvme_namespace_capacity_bytes",
    "Capacity of the NVMe namespace in bytes. Computed as namespace_size * namespace_logical_block_size",
    &["device", "nsid"],
);
static SIZE: Head = gauge(
    "node_nvme_namespace_size_bytes",
    "Size of the NVMe namespace in bytes. Available in /sys/class/nvme/<device>/<namespace>/size",
    &["device", "nsid"],
);
static USED: Head = gauge(
    "node_nvme_namespace_used_bytes",
    "Used space of the NVMe namespace in bytes. Available in /sys/class/nvme/<device>/<namespace>/nuse",
    &["device", "nsid"],
);
static BLOCK: Head = gauge(
    "node_nvme_namespace_logical_block_size_bytes",
    "Logical block size of the NVMe namespace in bytes. Usually 4Kb. Available in \
     /sys/class/nvme/<device>/<namespace>/queue/logical_block_size",
    &["device", "nsid"],
);

/// Reads `/sys/class/nvme`.
#[derive(Default)]
struct Nvme {
    devices: Names,
    namespaces: Names,
    file: Reader,
    words: Words,
    sheet: Sheet,
}

impl Collector for Nvme {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        if !self.devices.list_if_there(&host.sysfs, &[DIR])? {
            return Err(CollectError::absent("an NVMe controller"));
        }
        let mut troubles = Troubles::default();
        for device in self.devices.iter().filter(|name| is_numbered(name, "nvme")) {
            self.words.clear();
            for file in WORDS {
                troubles.note(self.words.read(&mut self.file, &host.sysfs, &[DIR, "/", device, "/", file]));
            }
            let word = |index| self.words.get(index);
            self.sheet.put(&FACTS, &[device, word(0), word(1), word(2), word(3), word(4)], 1.0);
            if troubles.note(self.namespaces.list_if_there(&host.sysfs, &[DIR, "/", device])) != Some(true) {
                continue;
            }
            for namespace in self.namespaces.iter() {
                let Some(id) = namespace_id(namespace, device) else { continue };
                let mut number = |file: &str| {
                    let path = [DIR, "/", device, "/", namespace, "/", file];
                    troubles.note(unsigned(&mut self.file, &host.sysfs, &path)).flatten()
                };
                let block = number("queue/logical_block_size");
                let bytes = |blocks: Option<f64>| Some(blocks? * block?);
                let (size, used) = (bytes(number("size")), bytes(number("nuse")));
                self.words.clear();
                let path = [DIR, "/", device, "/", namespace, "/ana_state"];
                if troubles.note(self.words.read(&mut self.file, &host.sysfs, &path)) == Some(false) {
                    self.words.clear();
                    self.words.push("unknown");
                }
                self.sheet.put(&NAMESPACE, &[device, id, self.words.get(0)], 1.0);
                for (head, value) in [(&BLOCK, block), (&CAPACITY, size), (&SIZE, size), (&USED, used)] {
                    self.sheet.put_some(head, &[device, id], value);
                }
            }
        }
        self.sheet.tell(out);
        troubles.finish()
    }
}

fn is_numbered(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|number| number::unsigned(number).is_some())
}

/// Returns the number of a namespace: `1` for `nvme0n1` and `nvme0c3n1` of `nvme0`.
fn namespace_id<'a>(name: &'a str, device: &str) -> Option<&'a str> {
    let rest = name.strip_prefix(device)?;
    let (path, id) = rest.split_once('n')?;
    (path.is_empty() || is_numbered(path, "c")).then_some(id).filter(|id| number::unsigned(id).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_numbered_with_or_without_a_path() {
        let id = |name| namespace_id(name, "nvme0");
        assert_eq!((id("nvme0n1"), id("nvme0c3n12")), (Some("1"), Some("12")));
        for other in ["nvme0", "nvme1n1", "nvme0n1p1", "nvme0cn1", "power", "nvme0xn1"] {
            assert_eq!(id(other), None, "{other}");
        }
    }
}
