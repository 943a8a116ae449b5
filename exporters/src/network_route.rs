//! `node_network_route_info` and `node_network_routes`: the table of routes.
//!
//! ```text
//! default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.9 metric 100     <- `ip route`, kernel 6.6
//! struct rtmsg: family dst_len src_len tos table protocol scope type (u8 each) flags (u32), then attributes
//! ```
//!
//! Only routes to other hosts (unicast) are told; one with several next hops is told once for each. Routes that have
//! all labels in common are one series.

use model::Batch;

use crate::collector::{Collector, CollectorInfo};
use crate::error::{CollectError, Troubles};
use crate::host::Host;
use crate::links::Links;
use crate::netlink::{Dialog, Netlink, attribute, attributes, u16_at, u32_at, write_address};
use crate::number::Decimal;
use crate::sheet::{Head, Sheet, gauge};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "network_route",
    default_on: false,
    make: |_| Ok(Box::new(NetworkRoute::default())),
    flags: &[],
    doc: "The table of routes, over netlink.",
};

static FACTS: Head = gauge(
    "node_network_route_info",
    "network routing table information",
    &["device", "src", "dest", "gw", "priority", "proto", "weight"],
);
static ROUTES: Head = gauge("node_network_routes", "network routes by interface", &["device"]);

/// The most routes told; what is more is left out and blamed. A router with a full table has a million.
const ROUTES_MAX: usize = 4_096;

const RTM_GETROUTE: u16 = 26;
const RTM_NEWROUTE: u16 = 24;
const RTN_UNICAST: u8 = 1;
const HEAD_BYTES: usize = 12;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_PREFSRC: u16 = 7;
const RTA_MULTIPATH: u16 = 9;

/// Who made a route, by the kernel's number.
const PROTOCOLS: [(u8, &str); 21] = [
    (0, "unspec"),
    (1, "redirect"),
    (2, "kernel"),
    (3, "boot"),
    (4, "static"),
    (8, "gated"),
    (9, "ra"),
    (10, "mrt"),
    (11, "zebra"),
    (12, "bird"),
    (13, "dnrouted"),
    (14, "xorp"),
    (15, "ntk"),
    (16, "dhcp"),
    (17, "mrouted"),
    (42, "babel"),
    (186, "bgp"),
    (187, "isis"),
    (188, "ospf"),
    (189, "rip"),
    (192, "eigrp"),
];

/// Asks for all routes.
#[derive(Default)]
struct NetworkRoute {
    dialog: Dialog,
    links: Links,
    texts: [String; 3],
    /// The numbers of the devices that routes lead to, with how many.
    counts: Vec<(u32, u32)>,
    sheet: Sheet,
}

impl Collector for NetworkRoute {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        self.counts.clear();
        self.links.read(host)?;
        let (mut told, mut is_whole) = (0, true);
        let question = self.dialog.start(RTM_GETROUTE, true).head(&[0; HEAD_BYTES]);
        let asked = question.ask(host, Netlink::Route, &mut |kind, message| {
            if kind == RTM_NEWROUTE && message.get(7) == Some(&RTN_UNICAST) {
                told += 1;
                let route = Route::read(message).filter(|_| told <= ROUTES_MAX);
                is_whole &= route.is_some();
                if let Some(route) = route {
                    route.tell(&self.links, &mut self.texts, &mut self.counts, &mut self.sheet);
                }
            }
        });
        for (index, count) in &self.counts {
            self.sheet.put(&ROUTES, &[self.links.name(*index)], f64::from(*count));
        }
        self.sheet.tell_once(out);
        let mut troubles = Troubles::default();
        troubles.note(asked);
        if !is_whole {
            let expected = "at most 4,096 routes, each of them whole";
            troubles.note::<()>(Err(CollectError::malformed("netlink".as_ref(), 0, expected)));
        }
        troubles.finish()
    }
}

/// One route, taken apart.
struct Route<'a> {
    prefix: u8,
    protocol: u8,
    source: &'a [u8],
    target: &'a [u8],
    gateway: &'a [u8],
    device: u32,
    priority: u32,
    hops: &'a [u8],
}

impl<'a> Route<'a> {
    fn read(message: &'a [u8]) -> Option<Route<'a>> {
        let rest = message.get(HEAD_BYTES..)?;
        let bytes = |kind| attribute(rest, kind).unwrap_or(&[]);
        let number = |kind| attribute(rest, kind).and_then(|value| u32_at(value, 0)).unwrap_or(0);
        Some(Route {
            prefix: *message.get(1)?,
            protocol: *message.get(5)?,
            source: bytes(RTA_PREFSRC),
            target: bytes(RTA_DST),
            gateway: bytes(RTA_GATEWAY),
            device: number(RTA_OIF),
            priority: number(RTA_PRIORITY),
            hops: bytes(RTA_MULTIPATH),
        })
    }

    fn tell(&self, links: &Links, texts: &mut [String; 3], counts: &mut Vec<(u32, u32)>, sheet: &mut Sheet) {
        let known = PROTOCOLS.iter().find(|(number, _)| *number == self.protocol);
        let protocol = known.map_or("unknown", |(_, name)| name);
        let priority = Decimal::new(u64::from(self.priority));
        let [source, target, gateway] = texts;
        write_address(source, self.source);
        write_address(target, self.target);
        if self.prefix == 0 {
            target.clear();
            target.push_str("default");
        } else {
            target.extend(["/", Decimal::new(u64::from(self.prefix)).as_str()]);
        }
        let mut tell = |device, through: &[u8], weight: &str| {
            write_address(gateway, through);
            let labels = [links.name(device), source, target, gateway, priority.as_str(), protocol, weight];
            sheet.put(&FACTS, &labels, 1.0);
            match counts.iter_mut().find(|(known, _)| *known == device) {
                Some((_, count)) => *count += 1,
                None => counts.push((device, 1)),
            }
        };
        if self.hops.is_empty() {
            return tell(self.device, self.gateway, "");
        }
        for (device, hops, gateway) in next_hops(self.hops) {
            tell(device, gateway, Decimal::new(u64::from(hops) + 1).as_str());
        }
    }
}

/// Returns device, weight less one and gateway of each next hop: `struct rtnexthop` (length u16, flags u8, hops u8,
/// device u32) and its attributes.
fn next_hops(mut bytes: &[u8]) -> impl Iterator<Item = (u32, u8, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let hop = bytes.get(..length)?;
        let (hops, device) = (*hop.get(3)?, u32_at(hop, 4)?);
        let gateway = attributes(hop.get(8..)?).find(|(kind, _)| *kind == RTA_GATEWAY).map_or(&[][..], |found| found.1);
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some((device, hops, gateway))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_hops_are_taken_apart() {
        let mut bytes = vec![16, 0, 0, 2];
        bytes.extend_from_slice(&7_u32.to_ne_bytes());
        bytes.extend_from_slice(&[8, 0, 5, 0, 10, 0, 0, 1]);
        let bytes: Vec<u8> = match cfg!(target_endian = "little") {
            true => bytes,
            false => return,
        };
        let twice = [bytes.clone(), bytes.clone()].concat();
        assert_eq!(next_hops(&twice).collect::<Vec<_>>(), [(7, 2, &[10, 0, 0, 1][..]); 2]);
        for end in 0..bytes.len() {
            assert_eq!(next_hops(&bytes[..end]).count(), 0, "{end}");
        }
    }
}
