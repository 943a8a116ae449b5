//! `node_network_*_total`: bytes, packets, errors and drops of each network device.
//!
//! ```text
//! Inter-|   Receive                          |  Transmit          <- /proc/net/dev, Raspberry Pi 4, kernel 6.6
//!  face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed
//!   eth0:1039222903174 102598121 93 1960 6 7 0 689002 50203676344 17471896 1 87 0 9 4 0
//! ```
//!
//! Asked over netlink by default, as the peer does, which knows one number more (`receive_nohandler`) and, with
//! detailed names, the kinds of errors. Where the kernel refuses netlink or `--no-collector.netdev.netlink` says so,
//! `/proc/net/dev` is read instead. A short line there, over which the peer ends its process, is reported and the
//! rest kept. Aliases come from sysfs; addresses, when asked for, over netlink.

mod addresses;

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo, FlagInfo};
use crate::error::{CollectError, Troubles};
use crate::filter::Filter;
use crate::host::{Host, Reader};
use crate::links::{HEAD_BYTES, IFLA_IFNAME};
use crate::netlink::{Dialog, attribute, text, u32_at, u64_at};
use crate::number::unsigned;
use crate::settings::{Settings, SettingsError};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "netdev",
    default_on: true,
    make: |settings| Ok(Box::new(Netdev::new(settings)?)),
    flags: &[INCLUDE, EXCLUDE, DETAILED, NETLINK, IFALIAS, addresses::ON],
    doc: "Bytes, packets, errors and drops of each network device, over netlink or from `/proc/net/dev`.",
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
    help: "Use netlink to gather stats instead of /proc/net/dev.",
};
const IFALIAS: FlagInfo =
    FlagInfo { name: "collector.netdev.label-ifalias", default: "false", help: "Add ifAlias label" };

/// How many numbers the kernel keeps for a device: `struct rtnl_link_stats64`.
const COUNTS: usize = 24;

/// The kernel's numbers in its order, by their detailed names.
const DETAILED_NAMES: [&str; COUNTS] = [
    "receive_packets",
    "transmit_packets",
    "receive_bytes",
    "transmit_bytes",
    "receive_errors",
    "transmit_errors",
    "receive_dropped",
    "transmit_dropped",
    "multicast",
    "collisions",
    "receive_length_errors",
    "receive_over_errors",
    "receive_crc_errors",
    "receive_frame_errors",
    "receive_fifo_errors",
    "receive_missed_errors",
    "transmit_aborted_errors",
    "transmit_carrier_errors",
    "transmit_fifo_errors",
    "transmit_heartbeat_errors",
    "transmit_window_errors",
    "receive_compressed",
    "transmit_compressed",
    "receive_nohandler",
];

/// The columns of `/proc/net/dev`: as told, as told when detailed names are asked for, and of which of the kernel's
/// numbers each is the sum.
const COLUMNS: [(&str, &str, &[usize]); 16] = [
    ("receive_bytes", "receive_bytes", &[2]),
    ("receive_packets", "receive_packets", &[0]),
    ("receive_errs", "receive_errors", &[4]),
    ("receive_drop", "receive_dropped", &[6, 15]),
    ("receive_fifo", "receive_fifo", &[14]),
    ("receive_frame", "receive_frame", &[13, 10, 11, 12]),
    ("receive_compressed", "receive_compressed", &[21]),
    ("receive_multicast", "receive_multicast", &[8]),
    ("transmit_bytes", "transmit_bytes", &[3]),
    ("transmit_packets", "transmit_packets", &[1]),
    ("transmit_errs", "transmit_errors", &[5]),
    ("transmit_drop", "transmit_dropped", &[7]),
    ("transmit_fifo", "transmit_fifo", &[18]),
    ("transmit_colls", "transmit_colls", &[9]),
    ("transmit_carrier", "transmit_carrier", &[17, 16, 19, 20]),
    ("transmit_compressed", "transmit_compressed", &[22]),
];

/// What only netlink tells, by whatever name.
const NOHANDLER: usize = 23;

const IFLA_STATS: u16 = 7;
const IFLA_STATS64: u16 = 23;

/// Asks netlink or reads `/proc/net/dev`.
struct Netdev {
    file: Reader,
    dialog: Dialog,
    filter: Filter,
    is_detailed: bool,
    /// Asked over netlink where the kernel lets us.
    has_netlink: bool,
    has_alias: bool,
    addresses: Option<addresses::Addresses>,
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
    counts: [u64; COUNTS],
}

impl Netdev {
    fn new(settings: &Settings) -> Result<Netdev, SettingsError> {
        Ok(Netdev {
            file: Reader::new(),
            dialog: Dialog::default(),
            filter: Filter::new(settings, INCLUDE.name, (EXCLUDE.name, EXCLUDE.default), None)?,
            is_detailed: settings.switch(DETAILED.name, false)?,
            has_netlink: settings.switch(NETLINK.name, true)?,
            has_alias: settings.switch(IFALIAS.name, false)?,
            addresses: settings.switch(addresses::ON.name, false)?.then(addresses::Addresses::default),
            extra: Reader::new(),
            text: String::new(),
            devices: Vec::new(),
            name: String::new(),
            help: String::new(),
        })
    }

    /// Asks netlink for every wanted device.
    fn ask(&mut self, host: &Host) -> std::io::Result<()> {
        let Netdev { filter, text: names, devices, .. } = self;
        host.links.borrow_mut().each(host, &mut |message| {
            let Some(rest) = message.get(HEAD_BYTES..) else { return };
            let name = attribute(rest, IFLA_IFNAME).and_then(text);
            let (Some(name), Some(counts)) = (name, read_counts(rest)) else { return };
            if filter.is_wanted(name) {
                push_device(name, counts, names, devices);
            }
        })
    }

    /// Reads every wanted device from `/proc/net/dev`.
    fn read(&mut self, host: &Host) -> Result<(), CollectError> {
        let mut bad = None;
        let text = self.file.kept_text(&host.procfs, "net/dev")?;
        for (at, line) in text.lines().enumerate().skip(2) {
            let Some((name, counts)) = parse_line(line) else {
                bad.get_or_insert(at + 1);
                continue;
            };
            if self.filter.is_wanted(name) {
                push_device(name, counts, &mut self.text, &mut self.devices);
            }
        }
        Troubles::of_line(&self.file, bad, "a device and 16 numbers")
    }

    fn read_aliases(&mut self, host: &Host, troubles: &mut Troubles) {
        for device in &mut self.devices {
            let name = &self.text[device.name.0..device.name.1];
            let alias = troubles.note(self.extra.word(&host.sysfs, &["class/net/", name, "/ifalias"])).flatten();
            let start = self.text.len();
            self.text.push_str(alias.unwrap_or(""));
            device.alias = (start, self.text.len());
        }
    }

    fn tell(&mut self, name: &str, count: impl Fn(&Device) -> u64, out: &mut Batch) {
        let (metric, help) = (&mut self.name, &mut self.help);
        metric.clear();
        metric.extend(["node_network_", name, "_total"]);
        help.clear();
        help.extend(["Network device statistic ", name, "."]);
        out.family(metric, help, MetricKind::Counter);
        for device in &self.devices {
            let piece = |(start, end): (usize, usize)| &self.text[start..end];
            let labels = [("device", piece(device.name)), ("ifalias", piece(device.alias))];
            out.add(&labels[..if self.has_alias { 2 } else { 1 }], count(device) as f64);
        }
    }
}

impl Collector for Netdev {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let mut troubles = Troubles::default();
        self.devices.clear();
        self.text.clear();
        let is_asked = self.has_netlink && self.ask(host).is_ok();
        if !is_asked {
            self.devices.clear();
            self.text.clear();
            troubles.note(self.read(host));
        }
        if self.has_alias {
            self.read_aliases(host, &mut troubles);
        }
        if self.is_detailed && is_asked {
            for (index, name) in DETAILED_NAMES.iter().enumerate() {
                self.tell(name, |device| device.counts[index], out);
            }
        } else {
            for (name, detailed, parts) in COLUMNS {
                let name = if self.is_detailed { detailed } else { name };
                let sum = |device: &Device| parts.iter().fold(0, |sum: u64, at| sum.wrapping_add(device.counts[*at]));
                self.tell(name, sum, out);
            }
            if is_asked {
                self.tell(DETAILED_NAMES[NOHANDLER], |device| device.counts[NOHANDLER], out);
            }
        }
        if let Some(addresses) = &mut self.addresses {
            troubles.note(addresses.collect(host, &mut self.dialog, out));
        }
        troubles.finish()
    }
}

fn push_device(name: &str, counts: [u64; COUNTS], text: &mut String, devices: &mut Vec<Device>) {
    let start = text.len();
    text.push_str(name);
    devices.push(Device { name: (start, text.len()), alias: (0, 0), counts });
}

/// Reads a device's numbers, 64 bits each where the kernel has them so. A number it does not know is 0.
fn read_counts(attributes: &[u8]) -> Option<[u64; COUNTS]> {
    let wide = attribute(attributes, IFLA_STATS64);
    let narrow = attribute(attributes, IFLA_STATS);
    match (wide, narrow) {
        (Some(bytes), _) => Some(std::array::from_fn(|at| u64_at(bytes, at * 8).unwrap_or(0))),
        (None, Some(bytes)) => Some(std::array::from_fn(|at| u32_at(bytes, at * 4).map_or(0, u64::from))),
        (None, None) => None,
    }
}

/// Reads one device's line. Its name ends at the last colon, because an alias such as `eth0:1` has one of its own.
fn parse_line(line: &str) -> Option<(&str, [u64; COUNTS])> {
    let (name, rest) = line.rsplit_once(':')?;
    let mut fields = rest.split_ascii_whitespace();
    let mut counts = [0; COUNTS];
    for (_, _, parts) in COLUMNS {
        // The kernel prints sums; the first part stands for all.
        counts[parts[0]] = unsigned(fields.next()?)?;
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
        assert_eq!((name, counts[2], counts[22]), ("eth0", 1, u64::MAX));
        assert_eq!(parse_line("wg0:1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16").map(|(name, _)| name), Some("wg0:1"));
        for bad in ["", "eth0: 1 2 3", "eth0 1 2", ": 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", "a: x"] {
            assert!(parse_line(bad).is_none(), "{bad:?}");
        }
    }
}
