//! `node_dmi_info`: what the firmware calls this machine.
//!
//! ```text
//! sys_vendor     Dell Inc.        <- /sys/class/dmi/id, a server, kernel 5.15
//! product_name   PowerEdge R6515
//! ```
//!
//! Boards with a device tree have no such folder. Serial numbers are for root; who may not read a file has no such
//! label.

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo};
use crate::error::{CollectError, Troubles};
use crate::host::{Host, Reader};
use crate::single::Words;

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "dmi",
    default_on: true,
    make: |_| Ok(Box::new(Dmi::default())),
    flags: &[],
    doc: "Names and versions that the firmware gives the machine, from `/sys/class/dmi/id`.",
};

const HELP: &str = "A metric with a constant '1' value labeled by bios_date, bios_release, bios_vendor, \
     bios_version, board_asset_tag, board_name, board_serial, board_vendor, board_version, chassis_asset_tag, \
     chassis_serial, chassis_vendor, chassis_version, product_family, product_name, product_serial, product_sku, \
     product_uuid, product_version, system_vendor if provided by DMI.";

/// Files, which are also the labels but for the last.
const FILES: [&str; 20] = [
    "bios_date",
    "bios_release",
    "bios_vendor",
    "bios_version",
    "board_asset_tag",
    "board_name",
    "board_serial",
    "board_vendor",
    "board_version",
    "chassis_asset_tag",
    "chassis_serial",
    "chassis_vendor",
    "chassis_version",
    "product_family",
    "product_name",
    "product_serial",
    "product_sku",
    "product_uuid",
    "product_version",
    "sys_vendor",
];

/// Reads `/sys/class/dmi/id`.
#[derive(Default)]
struct Dmi {
    file: Reader,
    words: Words,
}

impl Collector for Dmi {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let mut troubles = Troubles::default();
        let mut is_there = [false; FILES.len()];
        self.words.clear();
        // Most boards have none of them, and one look says so.
        let files = if self.file.is_there(&host.sysfs, &["class/dmi/id"]) { &FILES[..] } else { &[] };
        for (file, is_there) in files.iter().zip(&mut is_there) {
            let found = self.words.read(&mut self.file, &host.sysfs, &["class/dmi/id/", file]);
            *is_there = troubles.note(found) == Some(true);
        }
        if !is_there.contains(&true) {
            return troubles.finish().and(Err(CollectError::absent("a description by the firmware")));
        }
        let mut labels = [("", ""); FILES.len()];
        let mut count = 0;
        for (index, file) in FILES.iter().enumerate().filter(|(index, _)| is_there[*index]) {
            let name = if *file == "sys_vendor" { "system_vendor" } else { file };
            labels[count] = (name, self.words.get(index));
            count += 1;
        }
        out.family("node_dmi_info", HELP, MetricKind::Gauge);
        out.add(&labels[..count], 1.0);
        troubles.finish()
    }
}
