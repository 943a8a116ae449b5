//! `node_disk_info`, `node_disk_filesystem_info`, `node_disk_device_mapper_info`, `node_disk_ata_*`: what udev knows.
//!
//! ```text
//! S:disk/by-id/mmc-SD64G_0xae9f5a2c            <- /run/udev/data/b179:0, Raspberry Pi 4
//! E:ID_SERIAL=0xc6e8d2d1
//! E:ID_PATH=platform-fe340000.mmc
//! ```
//!
//! Only the `E:` lines matter. A device without a file (a board without udev) gets empty labels. Whether a disk
//! rotates is asked of `/sys/block/DEVICE/queue/rotational` alone.

use model::{Batch, MetricKind};

use crate::error::{CollectError, Troubles};
use crate::folder::{Desk, Folder, place_of};
use crate::host::{Host, Reader};
use crate::number::{Decimal, float};

/// Reads udev's files, all into one text.
#[derive(Default)]
pub(super) struct Udev {
    file: Reader,
    text: String,
    devices: Vec<(usize, usize)>,
    desk: Desk,
    /// What says whether a disk rotates, by the disk's name.
    queues: Vec<(String, Folder)>,
}

/// The ATA keys, their metric's name after `node_disk_ata_`, their help.
const ATA: [(&str, &str, &str); 3] = [
    ("ID_ATA_ROTATION_RATE_RPM", "node_disk_ata_rotation_rate_rpm", "ATA disk rotation rate in RPMs (0 for SSDs)."),
    ("ID_ATA_WRITE_CACHE", "node_disk_ata_write_cache", "ATA disk has a write cache."),
    ("ID_ATA_WRITE_CACHE_ENABLED", "node_disk_ata_write_cache_enabled", "ATA disk has its write cache enabled."),
];

impl Udev {
    pub(super) fn collect<'a>(
        &mut self,
        host: &Host,
        devices: impl Iterator<Item = (&'a str, (u64, u64))> + Clone,
        out: &mut Batch,
    ) -> Result<(), CollectError> {
        let mut troubles = Troubles::default();
        self.forget(devices.clone());
        self.read(host, devices.clone(), &mut troubles);
        out.family("node_disk_info", "Info of /sys/block/<block_device>.", MetricKind::Gauge);
        for ((device, (major, minor)), range) in devices.clone().zip(&self.devices) {
            let (major, minor) = (Decimal::new(major), Decimal::new(minor));
            let value = |key| value(&self.text[range.0..range.1], key);
            let serial = ["SCSI_IDENT_SERIAL", "ID_SERIAL_SHORT", "ID_SERIAL"].map(value);
            let at = place_of(&mut self.queues, device, &["block/", device, "/queue"]);
            // Names of disks are not given anew while a disk has them, so its folder need not be looked at.
            let rotational = self.desk.text(&host.sysfs, &mut self.queues[at].1, (0, "rotational"));
            let rotational = troubles.note(rotational).flatten().unwrap_or("0");
            let labels = [
                ("device", device),
                ("major", major.as_str()),
                ("minor", minor.as_str()),
                ("model", value("ID_MODEL")),
                ("path", value("ID_PATH")),
                ("revision", value("ID_REVISION")),
                ("rotational", rotational),
                ("serial", serial.into_iter().find(|serial| !serial.is_empty()).unwrap_or("")),
                ("wwn", value("ID_WWN")),
            ];
            out.add(&labels, 1.0);
        }
        let known = devices.zip(&self.devices).map(|((device, _), range)| (device, &self.text[range.0..range.1]));
        tell_parts(known, out);
        troubles.finish()
    }

    /// Closes what is open of disks that have gone.
    fn forget<'a>(&mut self, devices: impl Iterator<Item = (&'a str, (u64, u64))> + Clone) {
        let Udev { desk, queues, .. } = self;
        queues.retain_mut(|(name, folder)| {
            let is_there = devices.clone().any(|(device, _)| device == name);
            if !is_there {
                desk.leave(folder);
            }
            is_there
        });
    }

    fn read<'a>(&mut self, host: &Host, devices: impl Iterator<Item = (&'a str, (u64, u64))>, troubles: &mut Troubles) {
        self.text.clear();
        self.devices.clear();
        for (_, (major, minor)) in devices {
            let start = self.text.len();
            let (major, minor) = (Decimal::new(major), Decimal::new(minor));
            let path = ["b", major.as_str(), ":", minor.as_str()];
            let text = self.file.text_if_there(&host.udev, &path);
            self.text.push_str(troubles.note(text).flatten().unwrap_or(""));
            self.devices.push((start, self.text.len()));
        }
    }
}

/// Tells what only some devices have.
fn tell_parts<'a>(known: impl Iterator<Item = (&'a str, &'a str)> + Clone, out: &mut Batch) {
    out.family("node_disk_filesystem_info", "Info about disk filesystem.", MetricKind::Gauge);
    for (device, text) in known.clone().filter(|(_, text)| !value(text, "ID_FS_TYPE").is_empty()) {
        let labels =
            [("type", "ID_FS_TYPE"), ("usage", "ID_FS_USAGE"), ("uuid", "ID_FS_UUID"), ("version", "ID_FS_VERSION")];
        let [a, b, c, d] = labels.map(|(label, key)| (label, value(text, key)));
        out.add(&[("device", device), a, b, c, d], 1.0);
    }
    out.family("node_disk_device_mapper_info", "Info about disk device mapper.", MetricKind::Gauge);
    for (device, text) in known.clone().filter(|(_, text)| !value(text, "DM_NAME").is_empty()) {
        let labels = [
            ("lv_layer", "DM_LV_LAYER"),
            ("lv_name", "DM_LV_NAME"),
            ("name", "DM_NAME"),
            ("uuid", "DM_UUID"),
            ("vg_name", "DM_VG_NAME"),
        ];
        let [a, b, c, d, e] = labels.map(|(label, key)| (label, value(text, key)));
        out.add(&[("device", device), a, b, c, d, e], 1.0);
    }
    for (key, name, help) in ATA {
        out.family(name, help, MetricKind::Gauge);
        for (device, text) in known.clone().filter(|(_, text)| !value(text, "ID_ATA").is_empty()) {
            if let Some(number) = float(value(text, key)) {
                out.add(&[("device", device)], number);
            }
        }
    }
}

/// Returns a property's value, empty where there is none; the last one counts.
fn value<'a>(text: &'a str, key: &str) -> &'a str {
    let property = |line: &'a str| line.strip_prefix("E:")?.strip_prefix(key)?.strip_prefix('=');
    text.lines().rev().find_map(property).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_found_by_their_whole_name() {
        let text = "S:x\nE:ID_SERIAL_SHORT=SS\nE:ID_SERIAL=S=1\nG:ID_WWN=no\n";
        assert_eq!(
            (value(text, "ID_SERIAL"), value(text, "ID_SERIAL_SHORT"), value(text, "ID_WWN")),
            ("S=1", "SS", "")
        );
    }
}
