//! `node_ipvs_*`: what the kernel's load balancer sends where.
//!
//! ```text
//! TCP  C0A80016:0CEA wlc                                           <- /proc/net/ip_vs, kernel 5.4; in base 16
//!   -> C0A85216:0CEA      Tunnel  100    248        2
//! FWM  10001000 wlc
//! ```
//!
//! The flag names the labels that backends are told apart by; backends that have them all in common are summed. Sums
//! over all are the third line of `/proc/net/ip_vs_stats`.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo, FlagInfo};
use crate::error::{CollectError, Troubles};
use crate::host::{Host, Reader};
use crate::settings::{Settings, SettingsError};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "ipvs",
    default_on: true,
    make: |settings| Ok(Box::new(Ipvs::new(settings)?)),
    flags: &[LABELS],
    doc: "What the kernel's load balancer sends where, from `/proc/net/ip_vs`.",
};

const LABELS: FlagInfo = FlagInfo {
    name: "collector.ipvs.backend-labels",
    default: "local_address,local_port,remote_address,remote_port,proto,local_mark",
    help: "Comma separated list for IPVS backend stats labels.",
};

const LABEL_NAMES: [&str; 6] = ["local_address", "local_port", "remote_address", "remote_port", "proto", "local_mark"];

const TOTALS: [(&str, &str); 5] = [
    ("node_ipvs_connections_total", "The total number of connections made."),
    ("node_ipvs_incoming_packets_total", "The total number of incoming packets."),
    ("node_ipvs_outgoing_packets_total", "The total number of outgoing packets."),
    ("node_ipvs_incoming_bytes_total", "The total amount of incoming data."),
    ("node_ipvs_outgoing_bytes_total", "The total amount of outgoing data."),
];
const BACKENDS: [(&str, &str); 3] = [
    ("node_ipvs_backend_weight", "The current backend weight by local and remote address."),
    ("node_ipvs_backend_connections_active", "The current active connections by local and remote address."),
    ("node_ipvs_backend_connections_inactive", "The current inactive connections by local and remote address."),
];

/// The most backends told; what is more is left out and blamed.
const BACKENDS_MAX: usize = 16_384;

/// Reads `/proc/net/ip_vs` and `/proc/net/ip_vs_stats`.
struct Ipvs {
    has_label: [bool; LABEL_NAMES.len()],
    stats: Reader,
    table: Reader,
    text: String,
    backends: Vec<Backend>,
}

/// A backend: the ends of its labels in the text, and weight, active and inactive connections.
struct Backend {
    start: usize,
    ends: [usize; LABEL_NAMES.len()],
    values: [u64; BACKENDS.len()],
}

impl Ipvs {
    fn new(settings: &Settings) -> Result<Ipvs, SettingsError> {
        let mut has_label = [false; LABEL_NAMES.len()];
        let given = settings.value(LABELS.name).unwrap_or(LABELS.default);
        for name in given.split(',').filter(|name| !name.is_empty()) {
            let Some(index) = LABEL_NAMES.iter().position(|known| *known == name) else {
                let what = format!("unknown IPVS backend labels: \"{name}\"");
                return Err(SettingsError { flag: LABELS.name.to_owned(), what });
            };
            has_label[index] = true;
        }
        let (stats, table) = (Reader::new(), Reader::new());
        Ok(Ipvs { has_label, stats, table, text: String::new(), backends: Vec::new() })
    }

    fn tell_totals(&mut self, text_of: &Host, out: &mut Batch) -> Result<bool, CollectError> {
        let Some(text) = self.stats.text_if_there(&text_of.procfs, &["net/ip_vs_stats"])? else { return Ok(false) };
        let mut values = text.lines().nth(2).unwrap_or("").split_ascii_whitespace();
        for (name, help) in TOTALS {
            let Some(value) = values.next().and_then(|value| u64::from_str_radix(value, 16).ok()) else {
                return Err(self.stats.malformed(3, "five numbers in base 16"));
            };
            out.family(name, help, MetricKind::Counter);
            out.add(&[], value as f64);
        }
        Ok(true)
    }

    /// Reads every backend; returns the first odd line.
    fn read(&mut self, host: &Host) -> Result<Option<usize>, CollectError> {
        self.text.clear();
        self.backends.clear();
        let mut bad = None;
        let mut service = None;
        for (at, line) in self.table.text(host, &host.procfs, &["net/ip_vs"])?.lines().enumerate() {
            let mut fields = line.split_ascii_whitespace();
            let Some(first) = fields.next() else { continue };
            let is_good = match first {
                "IP" | "Prot" => true,
                "->" if line.contains("RemoteAddress:Port") => true,
                "TCP" | "UDP" | "SCTP" => {
                    service = fields.next().and_then(parse_address).map(|address| (first, Some(address), ""));
                    service.is_some()
                }
                "FWM" => {
                    service = fields.next().map(|mark| (first, None, mark));
                    service.is_some()
                }
                "->" if self.backends.len() < BACKENDS_MAX => {
                    let backend =
                        service.and_then(|service| push_backend(service, fields, self.has_label, &mut self.text));
                    let is_good = backend.is_some();
                    self.backends.extend(backend);
                    is_good
                }
                _ => false,
            };
            if !is_good {
                bad.get_or_insert(at + 1);
            }
        }
        Ok(bad)
    }
}

/// A service: its protocol, and its address and port or the mark that the firewall gives.
type Service<'a> = (&'a str, Option<(Address, u16)>, &'a str);

/// An address as the table prints it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Address {
    Four(Ipv4Addr),
    Six(Ipv6Addr),
}

impl Address {
    fn write(self, out: &mut String) {
        let written = match self {
            Address::Four(address) => write!(out, "{address}"),
            Address::Six(address) => write!(out, "{address}"),
        };
        written.expect("writing to memory");
    }
}

/// Reads `C0A80016:0CEA` or `[2620:0000:...]:0CEA`.
fn parse_address(text: &str) -> Option<(Address, u16)> {
    let (address, port) = text.rsplit_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let address = match address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(six) => Address::Six(six.parse().ok()?),
        None if address.len() == 8 => Address::Four(u32::from_str_radix(address, 16).ok()?.into()),
        None => return None,
    };
    Some((address, port))
}

/// Reads a backend's line after its arrow and writes the wanted labels.
fn push_backend<'a>(
    (protocol, local, mark): Service<'_>,
    mut fields: impl Iterator<Item = &'a str>,
    has_label: [bool; LABEL_NAMES.len()],
    text: &mut String,
) -> Option<Backend> {
    let (remote, remote_port) = parse_address(fields.next()?)?;
    fields.next()?;
    let mut values = [0; BACKENDS.len()];
    for value in &mut values {
        *value = crate::number::unsigned(fields.next()?)?;
    }
    let start = text.len();
    let mut ends = [start; LABEL_NAMES.len()];
    for (index, end) in ends.iter_mut().enumerate() {
        match index {
            _ if !has_label[index] => {}
            0 => {
                if let Some((address, _)) = local {
                    address.write(text);
                }
            }
            1 => write!(text, "{}", local.map_or(0, |(_, port)| port)).expect("writing to memory"),
            2 => remote.write(text),
            3 => write!(text, "{remote_port}").expect("writing to memory"),
            4 => text.push_str(protocol),
            _ => text.push_str(mark),
        }
        *end = text.len();
    }
    Some(Backend { start, ends, values })
}

impl Collector for Ipvs {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let mut troubles = Troubles::default();
        if troubles.note(self.tell_totals(host, out)) == Some(false) {
            return Err(CollectError::absent("a load balancer in the kernel"));
        }
        let bad = troubles.note(self.read(host)).flatten();
        let text = &self.text;
        let whole =
            |backend: &Backend| (&text[backend.start..backend.ends[5]], backend.ends.map(|end| end - backend.start));
        self.backends.sort_unstable_by(|a, b| whole(a).cmp(&whole(b)));
        for (index, (name, help)) in BACKENDS.iter().enumerate() {
            out.family(name, help, MetricKind::Gauge);
            for same in self.backends.chunk_by(|a, b| whole(a) == whole(b)) {
                let Some(first) = same.first() else { continue };
                let mut labels = [("", ""); LABEL_NAMES.len()];
                let (mut count, mut start) = (0, first.start);
                for (label, end) in first.ends.iter().enumerate() {
                    if self.has_label[label] {
                        labels[count] = (LABEL_NAMES[label], &text[start..*end]);
                        count += 1;
                    }
                    start = *end;
                }
                let sum: u64 = same.iter().fold(0, |sum, backend| sum.wrapping_add(backend.values[index]));
                out.add(&labels[..count], sum as f64);
            }
        }
        troubles.note(Troubles::of_line(&self.table, bad, "a service, or a backend and three numbers"));
        troubles.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_in_base_16() {
        let four = Address::Four(Ipv4Addr::new(192, 168, 0, 22));
        assert_eq!(parse_address("C0A80016:0CEA"), Some((four, 3_306)));
        let six = Address::Six("2620::1".parse().expect("an address"));
        assert_eq!(parse_address("[2620:0000:0000:0000:0000:0000:0000:0001]:0050"), Some((six, 80)));
        for bad in ["", "C0A80016", "C0A8001:0CEA", "[x]:0050", "C0A80016:10000"] {
            assert_eq!(parse_address(bad), None, "{bad}");
        }
    }
}
