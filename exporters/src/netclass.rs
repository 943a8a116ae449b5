//! `node_network_up`, `node_network_info` and the other properties of network devices.
//!
//! ```text
//! eth0/carrier 1, eth0/flags 0x1003, eth0/mtu 1500    <- /sys/class/net, Raspberry Pi 4, kernel 6.6
//! eth0/speed   1000        in megabits a second; -1 or EINVAL where the device has none
//! ```
//!
//! The files stay open between collections (see `folder`), because opening them would be nearly all of the work. A
//! file that is missing, forbidden or that the driver refuses leaves its metric out; one that holds no number is
//! reported. Where the kernel answers netlink, three of four files are not read, because it says the same (`facts`);
//! the switch `netlink`, with which the peer tells fewer metrics, is accepted and changes nothing.

mod facts;

use std::path::Path;

use model::{Batch, MetricKind, Pattern};

use crate::collector::{Collector, CollectorInfo, FlagInfo};
use crate::error::{CollectError, Troubles};
use crate::folder::{Desk, Folder, KERNELS};
use crate::host::{Host, Names};
use crate::number::integer;
use crate::settings::{Settings, SettingsError};
use facts::Facts;

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "netclass",
    default_on: true,
    make: |settings| Ok(Box::new(Netclass::new(settings)?)),
    flags: &[IGNORED, INVALID_SPEED, NETLINK],
    doc: "State, speed and properties of each network device, from netlink and `/sys/class/net`.",
};

const IGNORED: FlagInfo = FlagInfo {
    name: "collector.netclass.ignored-devices",
    default: "^$",
    help: "Regexp of net devices to ignore for netclass collector.",
};
const INVALID_SPEED: FlagInfo = FlagInfo {
    name: "collector.netclass.ignore-invalid-speed",
    default: "false",
    help: "Ignore devices where the speed is invalid. This will be the default behavior in 2.x.",
};
const NETLINK: FlagInfo = FlagInfo {
    name: "collector.netclass.netlink",
    default: "false",
    help: "Accepted for the sake of unit files; sysfs is read either way.",
};

const DIR: &str = "class/net";

/// The file, the property as it is told, whether it is a counter.
const NUMBERS: [(&str, &str, bool); 17] = [
    ("addr_assign_type", "address_assign_type", false),
    ("carrier", "carrier", false),
    ("carrier_changes", "carrier_changes_total", true),
    ("carrier_up_count", "carrier_up_changes_total", true),
    ("carrier_down_count", "carrier_down_changes_total", true),
    ("dev_id", "device_id", false),
    ("dormant", "dormant", false),
    ("flags", "flags", false),
    ("ifindex", "iface_id", false),
    ("iflink", "iface_link", false),
    ("link_mode", "iface_link_mode", false),
    ("mtu", "mtu_bytes", false),
    ("name_assign_type", "name_assign_type", false),
    ("netdev_group", "net_dev_group", false),
    ("speed", "speed_bytes", false),
    ("tx_queue_len", "transmit_queue_length", false),
    ("type", "protocol_type", false),
];
const FLAGS: usize = 7;
const SPEED: usize = 14;

/// The files of which `node_network_info` is made; the numbers' files come before them.
const WORDS: [&str; 5] = ["address", "broadcast", "duplex", "ifalias", "operstate"];
const OPERSTATE: usize = 4;

/// The most devices told; what is more is left out and blamed.
const DEVICES_MAX: usize = 4_096;

/// Reads `/sys/class/net`.
struct Netclass {
    ignored: Option<Pattern>,
    ignores_invalid_speed: bool,
    names: Names,
    devices: Vec<Device>,
    /// Devices by name that are not told.
    passed_over: Vec<String>,
    desk: Desk,
    name: String,
    help: String,
}

/// One device, and what was read of it last.
struct Device {
    name: String,
    folder: Folder,
    /// The kernel's number for it, where netlink told of it.
    number: i64,
    is_there: bool,
    numbers: [Option<i64>; NUMBERS.len()],
    words: [String; WORDS.len()],
}

impl Netclass {
    fn new(settings: &Settings) -> Result<Netclass, SettingsError> {
        settings.switch(NETLINK.name, false)?;
        Ok(Netclass {
            ignored: settings.pattern(IGNORED.name, IGNORED.default)?,
            ignores_invalid_speed: settings.switch(INVALID_SPEED.name, false)?,
            names: Names::default(),
            devices: Vec::new(),
            passed_over: Vec::new(),
            desk: Desk::default(),
            name: String::new(),
            help: String::new(),
        })
    }

    /// Makes the devices those that are listed, in their order, and keeps the ones known.
    fn settle(&mut self) {
        let wanted = |name: &&str| !self.passed_over.iter().any(|passed| passed == name);
        if self.names.iter().filter(wanted).eq(self.devices.iter().map(|device| device.name.as_str())) {
            return;
        }
        let mut known = std::mem::take(&mut self.devices);
        self.passed_over.clear();
        for name in self.names.iter().take(DEVICES_MAX) {
            if self.ignored.as_ref().is_some_and(|pattern| pattern.is_match(name)) {
                self.passed_over.push(name.to_owned());
                continue;
            }
            self.devices.push(match known.iter().position(|device| device.name == name) {
                Some(at) => known.swap_remove(at),
                None => Device::new(name),
            });
        }
        known.iter_mut().for_each(|device| self.desk.leave(&mut device.folder));
    }

    /// Finds the devices by their folders and reads all of their files.
    fn read(&mut self, host: &Host) -> Result<(), CollectError> {
        let mut troubles = Troubles::default();
        if !self.names.list_if_there(&host.sysfs, &[DIR])? {
            return Err(CollectError::absent("a network device"));
        }
        self.settle();
        for device in &mut self.devices {
            // What is no folder is no device: `bonding_masters` lies beside them.
            device.is_there = troubles.note(self.desk.enter(&host.sysfs, &mut device.folder)).unwrap_or(false);
            if device.is_there {
                device.read(None, host, &mut self.desk, &mut troubles);
            }
        }
        troubles.finish()
    }

    /// Asks netlink for the devices and reads what it does not say. `None`: it does not answer.
    fn ask(&mut self, host: &Host) -> Option<Result<(), CollectError>> {
        let mut links = host.links.borrow_mut();
        let told = self.names.take(|name| {
            links.each(host, &mut |message| {
                Facts::of(message).and_then(|facts| facts.name()).into_iter().for_each(&mut *name);
            })
        });
        told.ok()?;
        self.settle();
        self.devices.iter_mut().for_each(|device| device.is_there = false);
        let mut troubles = Troubles::default();
        let visited = links.each(host, &mut |message| {
            let Some(facts) = Facts::of(message) else { return };
            let name = facts.name().unwrap_or("");
            let Ok(at) = self.devices.binary_search_by(|device| device.name.as_str().cmp(name)) else { return };
            let device = &mut self.devices[at];
            if device.number != facts.number() {
                // Another device by the same name.
                self.desk.leave(&mut device.folder);
                device.number = facts.number();
            }
            device.is_there = true;
            device.read(Some(&facts), host, &mut self.desk, &mut troubles);
        });
        visited.ok().map(|()| troubles.finish())
    }

    fn tell(&mut self, out: &mut Batch) {
        let devices = || self.devices.iter().filter(|device| device.is_there);
        out.family("node_network_up", "Value is 1 if operstate is 'up', 0 otherwise.", MetricKind::Gauge);
        for device in devices() {
            out.add(&[("device", &device.name)], f64::from(u8::from(device.words[OPERSTATE] == "up")));
        }
        let help = "Non-numeric data from /sys/class/net/<iface>, value is always 1.";
        out.family("node_network_info", help, MetricKind::Gauge);
        for device in devices() {
            let [address, broadcast, duplex, ifalias, operstate] = &device.words;
            let labels = [
                ("address", address.as_str()),
                ("adminstate", admin_state(device.numbers[FLAGS])),
                ("broadcast", broadcast),
                ("device", &device.name),
                ("duplex", duplex),
                ("ifalias", ifalias),
                ("operstate", operstate),
            ];
            out.add(&labels, 1.0);
        }
        for (number, (_, property, is_counter)) in NUMBERS.iter().enumerate() {
            self.name.clear();
            self.name.extend(["node_network_", property]);
            self.help.clear();
            self.help.extend(["Network device property: ", property]);
            let kind = if *is_counter { MetricKind::Counter } else { MetricKind::Gauge };
            out.family(&self.name, &self.help, kind);
            for device in devices() {
                let value = match device.numbers[number] {
                    Some(speed) if number == SPEED && speed < 0 && self.ignores_invalid_speed => None,
                    // The peer multiplies first, in integers that wrap.
                    Some(speed) if number == SPEED => Some(speed.wrapping_mul(1_000).wrapping_mul(1_000) / 8),
                    value => value,
                };
                if let Some(value) = value {
                    out.add(&[("device", &device.name)], value as f64);
                }
            }
        }
    }
}

impl Device {
    fn new(name: &str) -> Device {
        let folder = Folder::new([DIR, "/", name].concat());
        Device {
            name: name.to_owned(),
            folder,
            number: 0,
            is_there: false,
            numbers: Default::default(),
            words: Default::default(),
        }
    }

    /// Reads what `facts` do not say.
    fn read(&mut self, facts: Option<&Facts<'_>>, host: &Host, desk: &mut Desk, troubles: &mut Troubles) {
        for (number, (file, ..)) in NUMBERS.iter().enumerate() {
            if let Some(value) = facts.and_then(|facts| facts.value(file)) {
                self.numbers[number] = value;
                continue;
            }
            let text = troubles.note(desk.text(&host.sysfs, &mut self.folder, (number, file))).flatten();
            // As with the peer, a file without content is a zero.
            let value = text.map(|text| if text.is_empty() { Some(0) } else { integer(text) });
            self.numbers[number] = value.flatten();
            if value == Some(None) {
                let error = desk.malformed(&host.sysfs, &self.folder, file, "an integer");
                troubles.note::<()>(Err(error));
            }
        }
        for (word, file) in WORDS.iter().enumerate() {
            if facts.is_some_and(|facts| facts.word(file, &mut self.words[word])) {
                continue;
            }
            let number = NUMBERS.len() + word;
            let text = troubles.note(desk.text(&host.sysfs, &mut self.folder, (number, file))).flatten();
            self.words[word].clear();
            self.words[word].push_str(text.unwrap_or(""));
        }
    }
}

impl Collector for Netclass {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        self.devices.iter_mut().for_each(|device| device.is_there = false);
        let is_kernels = host.sysfs == Path::new(KERNELS);
        let asked = if is_kernels { self.ask(host) } else { None };
        let result = asked.unwrap_or_else(|| self.read(host));
        self.tell(out);
        result
    }
}

/// Returns what the lowest of the flags says.
fn admin_state(flags: Option<i64>) -> &'static str {
    match flags {
        None => "unknown",
        Some(flags) if flags & 1 == 1 => "up",
        Some(_) => "down",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_flag_says_whether_a_device_is_up() {
        assert_eq!([Some(0x1003), Some(0x1002), None].map(admin_state), ["up", "down", "unknown"]);
        assert_eq!((NUMBERS[FLAGS].0, NUMBERS[SPEED].0, WORDS[OPERSTATE]), ("flags", "speed", "operstate"));
    }
}
