//! `node_ethtool_*` and `node_network_*`: what the driver of a network device says of itself.
//!
//! ```text
//! rx_packets: 1260062   rx_missed_errors: 401   tx_queue_0_bytes: 12     <- `ethtool -S eth0`, kernel 5.11
//! ```
//!
//! Asked by `ioctl` for each device in `/sys/class/net`. Counters are a driver's own: their names become metrics,
//! `rx` and `tx` written out. Of two counters that would get the same name none is told, as with the peer. What a
//! driver does not answer is not told.

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo, FlagInfo};
use crate::error::{CollectError, Troubles};
use crate::filter::Filter;
use crate::host::{Host, Names};
use crate::netlink::{text, u32_at, u64_at};
use crate::number::push_metric_name;
use crate::settings::{Settings, SettingsError};
use crate::sheet::{Head, Sheet, gauge};
use crate::system::Ethtool as Question;

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "ethtool",
    default_on: false,
    make: |settings| Ok(Box::new(Ethtool::new(settings)?)),
    flags: &[INCLUDE, EXCLUDE, METRICS],
    doc: "What the drivers of network devices say of themselves, by `ioctl`.",
};

const INCLUDE: FlagInfo = FlagInfo {
    name: "collector.ethtool.device-include",
    default: "",
    help: "Regexp of ethtool devices to include (mutually exclusive to device-exclude).",
};
const EXCLUDE: FlagInfo = FlagInfo {
    name: "collector.ethtool.device-exclude",
    default: "",
    help: "Regexp of ethtool devices to exclude (mutually exclusive to device-include).",
};
const METRICS: FlagInfo =
    FlagInfo { name: "collector.ethtool.metrics-include", default: ".*", help: "Regexp of ethtool stats to include." };

const DEVICE: &[&str] = &["device"];
static FACTS: Head = gauge(
    "node_ethtool_info",
    "A metric with a constant '1' value labeled by bus_info, device, driver, expansion_rom_version, \
     firmware_version, version.",
    &["bus_info", "device", "driver", "expansion_rom_version", "firmware_version", "version"],
);
static AUTONEGOTIATE: Head = gauge("node_network_autonegotiate", "If this port is using autonegotiate", DEVICE);
static PORTS: Head =
    gauge("node_network_supported_port_info", "Type of ports or PHYs supported by network device", &["device", "type"]);

/// The families of what a port can do and of what it offers: speeds, negotiation, pause, pause in one direction.
static SUPPORTED: [Head; 4] = [
    gauge(
        "node_network_supported_speed_bytes",
        "Combination of speeds and features supported by network device",
        &["device", "duplex", "mode"],
    ),
    gauge("node_network_autonegotiate_supported", "If this port device supports autonegotiate", DEVICE),
    gauge("node_network_pause_supported", "If this port device supports pause frames", DEVICE),
    gauge("node_network_asymmetricpause_supported", "If this port device supports asymmetric pause frames", DEVICE),
];
static ADVERTISED: [Head; 4] = [
    gauge(
        "node_network_advertised_speed_bytes",
        "Combination of speeds and features offered by network device",
        &["device", "duplex", "mode"],
    ),
    gauge("node_network_autonegotiate_advertised", "If this port device offers autonegotiate", DEVICE),
    gauge("node_network_pause_advertised", "If this port device offers pause capability", DEVICE),
    gauge("node_network_asymmetricpause_advertised", "If this port device offers asymmetric pause capability", DEVICE),
];

/// The bits of negotiation, pause and pause in one direction.
const CAPABILITY_BITS: [u32; 3] = [6, 13, 14];

/// The bits of ports.
const PORT_BITS: [(u32, &str); 6] = [(7, "TP"), (8, "AUI"), (9, "MII"), (10, "FIBRE"), (11, "BNC"), (16, "Backplane")];

/// The bits of speeds: bit, megabits per second, duplex, mode.
const SPEED_BITS: [(u32, u32, &str, &str); 23] = [
    (0, 10, "half", "10baseT"),
    (1, 10, "full", "10baseT"),
    (2, 100, "half", "100baseT"),
    (3, 100, "full", "100baseT"),
    (4, 1_000, "half", "1000baseT"),
    (5, 1_000, "full", "1000baseT"),
    (12, 10_000, "full", "10000baseT"),
    (15, 2_500, "full", "2500baseX"),
    (17, 1_000, "full", "1000baseKX"),
    (18, 10_000, "full", "10000baseKX4"),
    (19, 10_000, "full", "10000baseKR"),
    (20, 10_000, "full", "10000baseR_FEC"),
    (21, 20_000, "full", "20000baseMLD2"),
    (22, 20_000, "full", "20000baseKR2"),
    (23, 40_000, "full", "40000baseKR4"),
    (24, 40_000, "full", "40000baseCR4"),
    (25, 40_000, "full", "40000baseSR4"),
    (26, 40_000, "full", "40000baseLR4"),
    (27, 56_000, "full", "56000baseKR4"),
    (28, 56_000, "full", "56000baseCR4"),
    (29, 56_000, "full", "56000baseSR4"),
    (30, 56_000, "full", "56000baseLR4"),
    (31, 25_000, "full", "25000baseCR"),
];

const MEGABIT_BYTES: f64 = 125_000.0;

/// Counters with a name and help of their own.
const KNOWN: [(&str, &str, &str); 7] = [
    ("rx_bytes", "received_bytes_total", "Network interface bytes received"),
    ("rx_dropped", "received_dropped_total", "Number of received frames dropped"),
    ("rx_errors", "received_errors_total", "Number of received frames with errors"),
    ("rx_packets", "received_packets_total", "Network interface packets received"),
    ("tx_bytes", "transmitted_bytes_total", "Network interface bytes sent"),
    ("tx_errors", "transmitted_errors_total", "Number of sent frames with errors"),
    ("tx_packets", "transmitted_packets_total", "Network interface packets sent"),
];

/// Where things stand in `struct ethtool_cmd` and `struct ethtool_drvinfo`.
const SUPPORTED_AT: usize = 4;
const ADVERTISED_AT: usize = 8;
const AUTONEGOTIATE_AT: usize = 18;
const DRIVER_FIELDS: [(usize, usize); 5] = [(4, 32), (36, 32), (68, 32), (100, 32), (132, 32)];

/// Where names and values of counters begin, and how long a name is.
const NAMES_AT: usize = 12;
const NAME_BYTES: usize = 32;
const VALUES_AT: usize = 8;

/// What a driver answers that knows no such question, or a device that has just gone.
const SILENCE: [rustix::io::Errno; 4] =
    [rustix::io::Errno::OPNOTSUPP, rustix::io::Errno::PERM, rustix::io::Errno::NODEV, rustix::io::Errno::INVAL];

/// Asks the driver of each device.
struct Ethtool {
    devices: Filter,
    metrics: Filter,
    names: Names,
    answer: Vec<u8>,
    values: Vec<u8>,
    text: String,
    counters: Vec<Counter>,
    help: String,
    sheet: Sheet,
}

/// One counter: its metric and its own name as pieces of the text, and its value.
struct Counter {
    metric: (usize, usize),
    own: (usize, usize),
    value: f64,
}

impl Ethtool {
    fn new(settings: &Settings) -> Result<Ethtool, SettingsError> {
        Ok(Ethtool {
            devices: Filter::both(settings, (INCLUDE.name, ""), (EXCLUDE.name, ""))?,
            metrics: Filter::both(settings, (METRICS.name, METRICS.default), ("", ""))?,
            names: Names::default(),
            answer: Vec::new(),
            values: Vec::new(),
            text: String::new(),
            counters: Vec::new(),
            help: String::new(),
            sheet: Sheet::default(),
        })
    }

    /// Asks for the counters of a device and tells them.
    fn counters(&mut self, host: &Host, device: &str, out: &mut Batch) -> Result<(), CollectError> {
        if !ask(host, device, Question::CounterNames, &mut self.answer)?
            || !ask(host, device, Question::Counters, &mut self.values)?
        {
            return Ok(());
        }
        self.read_counters();
        let text = &self.text;
        let piece = |(start, end): (usize, usize)| &text[start..end];
        self.counters.sort_unstable_by(|a, b| {
            (piece(a.metric), piece(a.own), a.own).cmp(&(piece(b.metric), piece(b.own), b.own))
        });
        for same in self.counters.chunk_by(|a, b| piece(a.metric) == piece(b.metric)) {
            let (Some(first), Some(last)) = (same.first(), same.last()) else { continue };
            if piece(first.own) != piece(last.own) {
                continue;
            }
            let own = piece(last.own);
            let known = KNOWN.iter().find(|(known, _, _)| *known == own);
            self.help.clear();
            self.help.extend(["Network interface ", own]);
            out.family(piece(last.metric), known.map_or(&self.help, |(_, _, help)| help), MetricKind::Unknown);
            out.add(&[("device", device)], last.value);
        }
        Ok(())
    }

    /// Puts names and values together; both answers say how many there are, and hold as many as they are long.
    fn read_counters(&mut self) {
        self.text.clear();
        self.counters.clear();
        let named = u32_at(&self.answer, 8).unwrap_or(0) as usize;
        let counted = u32_at(&self.values, 4).unwrap_or(0) as usize;
        let names = self.answer.get(NAMES_AT..).unwrap_or_default().chunks_exact(NAME_BYTES);
        for (index, name) in names.enumerate().take(named.min(counted)) {
            let (Some(name), Some(value)) = (text(name), u64_at(&self.values, VALUES_AT + index * 8)) else { continue };
            if name.is_empty() || !self.metrics.is_wanted(name) {
                continue;
            }
            let start = self.text.len();
            self.text.push_str(name);
            let own = (start, self.text.len());
            push_counter_name(&mut self.text, name);
            self.counters.push(Counter { metric: (own.1, self.text.len()), own, value: value as f64 });
        }
    }
}

impl Collector for Ethtool {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        self.names.list(&host.sysfs, &["class/net"])?;
        let mut troubles = Troubles::default();
        let names = std::mem::take(&mut self.names);
        for device in names.iter() {
            if !self.devices.is_wanted(device) {
                continue;
            }
            if troubles.note(ask(host, device, Question::Settings, &mut self.answer)) == Some(true) {
                put_settings(device, &self.answer, &mut self.sheet);
            }
            if troubles.note(ask(host, device, Question::Driver, &mut self.answer)) == Some(true) {
                put_driver(device, &self.answer, &mut self.sheet);
            }
            troubles.note(self.counters(host, device, out));
        }
        self.names = names;
        self.sheet.tell(out);
        troubles.finish()
    }
}

/// Asks a driver; returns whether it answered.
fn ask(host: &Host, device: &str, question: Question, answer: &mut Vec<u8>) -> Result<bool, CollectError> {
    match host.system.ethtool(device, question, answer) {
        Ok(()) => Ok(true),
        Err(error) if SILENCE.iter().any(|known| error.raw_os_error() == Some(known.raw_os_error())) => Ok(false),
        // A name that no device can have is a file beside the devices, such as `bonding_masters`.
        Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => Ok(false),
        Err(source) => Err(CollectError::Io { path: device.into(), source }),
    }
}

fn put_settings(device: &str, answer: &[u8], sheet: &mut Sheet) {
    let (Some(supported), Some(advertised)) = (u32_at(answer, SUPPORTED_AT), u32_at(answer, ADVERTISED_AT)) else {
        return;
    };
    let is_set = |modes: u32, bit: u32| modes >> bit & 1 == 1;
    for (_, port) in PORT_BITS.iter().filter(|(bit, _)| is_set(supported, *bit)) {
        sheet.put(&PORTS, &[device, port], 1.0);
    }
    for (modes, heads) in [(supported, &SUPPORTED), (advertised, &ADVERTISED)] {
        for (_, megabits, duplex, mode) in SPEED_BITS.iter().filter(|(bit, ..)| is_set(modes, *bit)) {
            sheet.put(&heads[0], &[device, duplex, mode], f64::from(*megabits) * MEGABIT_BYTES);
        }
        for (bit, head) in CAPABILITY_BITS.iter().zip(&heads[1..]) {
            sheet.put(head, &[device], f64::from(u8::from(is_set(modes, *bit))));
        }
    }
    let negotiates = answer.get(AUTONEGOTIATE_AT).copied().unwrap_or(0);
    sheet.put(&AUTONEGOTIATE, &[device], f64::from(negotiates));
}

fn put_driver(device: &str, answer: &[u8], sheet: &mut Sheet) {
    let [driver, version, firmware, bus, rom] =
        DRIVER_FIELDS.map(|(at, bytes)| answer.get(at..at + bytes).and_then(text).unwrap_or(""));
    sheet.put(&FACTS, &[bus, device, driver, rom, firmware, version], 1.0);
}

/// Appends the metric of a counter: in small letters, `rx` and `tx` as words of their own written out.
fn push_counter_name(out: &mut String, own: &str) {
    out.push_str("node_ethtool_");
    if let Some((_, name, _)) = KNOWN.iter().find(|(known, _, _)| *known == own) {
        return out.push_str(name);
    }
    let start = out.len();
    push_metric_name(out, own);
    out[start..].make_ascii_lowercase();
    let under = out[start..].len() - out[start..].trim_start_matches('_').len();
    out.replace_range(start..start + under, "");
    for (short, long) in [("rx", "received"), ("tx", "transmitted")] {
        write_out(out, start, short, long);
    }
}

/// Replaces a word between underscores. Words that share an underscore are not both replaced: the peer's pattern
/// takes the underscore after a word with it.
fn write_out(out: &mut String, mut at: usize, short: &str, long: &str) {
    let start = at;
    while let Some(found) = out[at..].find(short) {
        let (from, to) = (at + found, at + found + short.len());
        let begins = from == start || from > at && out.as_bytes()[from - 1] == b'_';
        let ends = to == out.len() || out.as_bytes()[to] == b'_';
        if !(begins && ends) {
            at = from + 1;
            continue;
        }
        out.replace_range(from..to, long);
        at = (from + long.len() + 1).min(out.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_named_after_their_own_names() {
        let check = |own: &str, expected: &str| {
            let mut out = "x".to_owned();
            push_counter_name(&mut out, own);
            assert_eq!(out, format!("xnode_ethtool_{expected}"), "{own}");
        };
        check("rx_bytes", "received_bytes_total");
        check("rx_xdp_tx", "received_xdp_transmitted");
        check("tx_tx_timeouts", "transmitted_tx_timeouts");
        check("tx0_tx_timeouts", "tx0_transmitted_timeouts");
        check("port.rx_dropped", "port_received_dropped");
        check("[0]: RX-errors", "0_received_errors");
        check("_rx", "received");
        check("prx", "prx");
        check("tx_rx_tx", "transmitted_received_transmitted");
    }

    /// A driver that claims four thousand million counters kept a processor busy for a minute a device.
    #[test]
    fn counters_are_as_many_as_there_are_whatever_is_claimed() {
        let mut ethtool = Ethtool::new(&Settings::new()).expect("good settings");
        let (claimed, mut name) = (u32::MAX.to_ne_bytes(), b"rx_drops".to_vec());
        name.resize(NAME_BYTES, 0);
        ethtool.answer = [&[0; 8][..], &claimed, &name].concat();
        ethtool.values = [&[0; 4][..], &claimed, &7_u64.to_ne_bytes()].concat();
        let start = std::time::Instant::now();
        ethtool.read_counters();
        assert_eq!(ethtool.counters.iter().map(|counter| counter.value).collect::<Vec<_>>(), [7.0]);
        assert!(start.elapsed() < std::time::Duration::from_secs(1), "{:?}", start.elapsed());
    }

    #[test]
    fn settings_are_bits() {
        let mut answer = vec![0; 44];
        // Half and full duplex at 10 and 100 megabits, negotiation, TP, MII, pause.
        answer[SUPPORTED_AT..][..4].copy_from_slice(&0x22cf_u32.to_ne_bytes());
        answer[ADVERTISED_AT..][..4].copy_from_slice(&0x4020_u32.to_ne_bytes());
        answer[AUTONEGOTIATE_AT] = 1;
        let (mut sheet, mut batch, mut text) = (Sheet::default(), Batch::new(), String::new());
        put_settings("eth0", &answer, &mut sheet);
        sheet.tell(&mut batch);
        exposition::write_text(&batch, &mut text);
        for row in [
            "node_network_supported_speed_bytes{device=\"eth0\",duplex=\"half\",mode=\"10baseT\"} 1.25e+06",
            "node_network_supported_speed_bytes{device=\"eth0\",duplex=\"full\",mode=\"100baseT\"} 1.25e+07",
            "node_network_advertised_speed_bytes{device=\"eth0\",duplex=\"full\",mode=\"1000baseT\"} 1.25e+08",
            "node_network_supported_port_info{device=\"eth0\",type=\"MII\"} 1",
            "node_network_autonegotiate_supported{device=\"eth0\"} 1",
            "node_network_pause_supported{device=\"eth0\"} 1",
            "node_network_pause_advertised{device=\"eth0\"} 0",
            "node_network_asymmetricpause_advertised{device=\"eth0\"} 1",
            "node_network_autonegotiate{device=\"eth0\"} 1",
        ] {
            assert!(text.lines().any(|line| line == row), "{row}\n{text}");
        }
        (0..44).for_each(|end| put_settings("eth0", &answer[..end], &mut sheet));
    }
}
