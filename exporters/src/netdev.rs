//! `node_network_*_total`: bytes, packets, errors and drops of each network device.
//!
//! ```text
//! Inter-|   Receive                          |  Transmit          <- /proc/net/dev, Raspberry Pi 4, kernel 6.6
//!  face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed
//!   eth0:1039222903174 102598121 93 1960 6 7 0 689002 50203676344 17471896 1 87 0 9 4 0
//! ```
//!
//! The peer asks netlink by default, which knows one number more (`receive_nohandler`); here that one is read from
//! sysfs, and the rest from `/proc/net/dev`, where the kernel prints the same sums. A short line, over which the
//! peer ends its process, is reported and the rest kept.

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo, FlagInfo};
use crate::error::{CollectError, Troubles};
use crate::filter::Filter;
use crate::host::{Host, Reader};
use crate::number::unsigned;
use crate::settings::{Settings, SettingsError};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "netdev",
    default_on: true,
    make: |settings| Ok(Box::new(Netdev::new(settings)?)),
    flags: &[INCLUDE, EXCLUDE, DETAILED, NETLINK, IFALIAS],
    doc: "Bytes, packets, errors and drops of each network device from `/proc/net/dev`.",
};

const INCLUDE: FlagInfo = FlagInfo {
    name: "collector.netdev.device-include",
    default: "",
    help: "Regexp of net devices to include (mutually exclusive to device-exclude).",
};
const EXCLUDE: FlagInfo = FlagInfo {
    name: "collector.netdev.device-exclude",
    default: "",
    help: "Regexp of net devices to exclude (mutually exclusive to device-include).",
};
const DETAILED: FlagInfo = FlagInfo {
    name: "collector.netdev.enable-detailed-metrics",
    default: "false",
    help: "Use (incompatible) metric names that provide more detailed stats on Linux",
};
const NETLINK: FlagInfo = FlagInfo {
    name: "collector.netdev.netlink",
    default: "true",
    help: "Tell what netlink tells: adds receive_nohandler to what /proc/net/dev says.",
};
const IFALIAS: FlagInfo =
    FlagInfo { name: "collector.netdev.label-ifalias", default: "false", help: "Add ifAlias label" };

const COLUMNS: usize = 16;

/// The columns' names: as told, and as told when detailed names are asked for.
const NAMES: [(&str, &str); COLUMNS] = [
    ("receive_bytes", "receive_bytes"),
    ("receive_packets", "receive_packets"),
    ("receive_errs", "receive_errors"),
    ("receive_drop", "receive_dropped"),
    ("receive_fifo", "receive_fifo"),
    ("receive_frame", "receive_frame"),
    ("receive_compressed", "receive_compressed"),
    ("receive_multicast", "receive_multicast"),
    ("transmit_bytes", "transmit_bytes"),
    ("transmit_packets", "transmit_packets"),
    ("transmit_errs", "transmit_errors"),
    ("transmit_drop", "transmit_dropped"),
    ("transmit_fifo", "transmit_fifo"),
    ("transmit_colls", "transmit_colls"),
    ("transmit_carrier", "transmit_carrier"),
    ("transmit_compressed", "transmit_compressed"),
];

/// Reads `/proc/net/dev`.
struct Netdev {
    file: Reader,
    filter: Filter,
    is_detailed: bool,
    has_nohandler: bool,
    has_alias: bool,
    extra: Reader,
    /// Every device's name and alias, one after the other.
    text: String,
    devices: Vec<Device>,
    name: String,
    help: String,
}

struct Device {
    name: (usize, usize),
    alias: (usize, usize),
    counts: [u64; COLUMNS],
    nohandler: Option<u64>,
}

impl Netdev {
    fn new(settings: &Settings) -> Result<Netdev, SettingsError> {
        Ok(Netdev {
            file: Reader::new(),
            filter: Filter::new(settings, INCLUDE.name, (EXCLUDE.name, EXCLUDE.default), None)?,
            is_detailed: settings.switch(DETAILED.name, false)?,
            has_nohandler: settings.switch(NETLINK.name, true)?,
            has_alias: settings.switch(IFALIAS.name, false)?,
            extra: Reader::new(),
            text: String::new(),
            devices: Vec::new(),
            name: String::new(),
            help: String::new(),
        })
    }

    /// Reads every wanted device; returns the first odd line.
    fn read(&mut self, host: &Host, troubles: &mut Troubles) -> Result<Option<usize>, CollectError> {
        self.devices.clear();
        self.text.clear();
        let mut bad = None;
        let text = self.file.kept_text(&host.procfs, "net/dev")?;
        for (at, line) in text.lines().enumerate().skip(2) {
            let Some((name, counts)) = parse_line(line) else {
                bad.get_or_insert(at + 1);
                continue;
            };
            if !self.filter.is_wanted(name) {
                continue;
            }
            let start = self.text.len();
            self.text.push_str(name);
            let end = self.text.len();
            if self.has_alias {
                let alias = self.extra.text_if_there(&host.sysfs, &["class/net/", name, "/ifalias"]);
                self.text.push_str(troubles.note(alias).flatten().unwrap_or("").trim());
            }
            let mut device = Device { name: (start, end), alias: (end, self.text.len()), counts, nohandler: None };
            if self.has_nohandler {
                let path = ["class/net/", name, "/statistics/rx_nohandler"];
                let count = troubles.note(self.extra.text_if_there(&host.sysfs, &path)).flatten();
                device.nohandler = count.and_then(|count| unsigned(count.trim()));
            }
            self.devices.push(device);
        }
        Ok(bad)
    }

    fn tell(&mut self, name: &str, count: impl Fn(&Device) -> Option<u64>, out: &mut Batch) {
        let (metric, help) = (&mut self.name, &mut self.help);
        metric.clear();
        metric.extend(["node_network_", name, "_total"]);
        help.clear();
        help.extend(["Network device statistic ", name, "."]);
        out.family(metric, help, MetricKind::Counter);
        for device in &self.devices {
            let Some(count) = count(device) else { continue };
            let piece = |(start, end): (usize, usize)| &self.text[start..end];
            let labels = [("device", piece(device.name)), ("ifalias", piece(device.alias))];
            out.add(&labels[..if self.has_alias { 2 } else { 1 }], count as f64);
        }
    }
}

impl Collector for Netdev {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let mut troubles = Troubles::default();
        let bad = self.read(host, &mut troubles)?;
        for (column, (name, detailed)) in NAMES.iter().enumerate() {
            let name = if self.is_detailed { detailed } else { name };
            self.tell(name, |device| Some(device.counts[column]), out);
        }
        if self.has_nohandler {
            self.tell("receive_nohandler", |device| device.nohandler, out);
        }
        if let Some(line) = bad {
            troubles.note::<()>(Err(self.file.malformed(line, "a device and 16 numbers")));
        }
        troubles.finish()
    }
}

/// Reads one device's line. Its name ends at the last colon, because an alias such as `eth0:1` has one of its own.
fn parse_line(line: &str) -> Option<(&str, [u64; COLUMNS])> {
    let (name, rest) = line.rsplit_once(':')?;
    let mut fields = rest.split_ascii_whitespace();
    let mut counts = [0; COLUMNS];
    for count in &mut counts {
        *count = unsigned(fields.next()?)?;
    }
    let name = name.trim();
    (!name.is_empty()).then_some((name, counts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_device_and_sixteen_numbers() {
        let (name, counts) =
            parse_line("  eth0:1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 18446744073709551615").expect("good");
        assert_eq!((name, counts[0], counts[15]), ("eth0", 1, u64::MAX));
        assert_eq!(parse_line("wg0:1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16").map(|(name, _)| name), Some("wg0:1"));
        for bad in ["", "eth0: 1 2 3", "eth0 1 2", ": 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", "a: x"] {
            assert!(parse_line(bad).is_none(), "{bad:?}");
        }
    }
}
