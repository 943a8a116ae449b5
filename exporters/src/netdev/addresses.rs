//! `node_network_address_info`: the addresses of network devices, when asked for.
//!
//! ```text
//! inet 192.0.2.2/24 scope global eth0                                      <- `ip addr`, kernel 6.6
//! struct ifaddrmsg: family prefix flags scope (u8 each) device (u32), then attributes
//! ```
//!
//! The scope is told from the address itself, as the peer does: an address of the loopback counts as link-local.

use std::net::IpAddr;

use model::Batch;

use crate::collector::FlagInfo;
use crate::error::CollectError;
use crate::host::Host;
use crate::links::Links;
use crate::netlink::{Dialog, Netlink, attribute, u32_at, write_address};
use crate::number::Decimal;
use crate::sheet::{Head, Sheet, gauge};

pub const ON: FlagInfo =
    FlagInfo { name: "collector.netdev.address-info", default: "false", help: "Collect address-info for every device" };

static FACTS: Head =
    gauge("node_network_address_info", "node network address by device", &["device", "address", "netmask", "scope"]);

const RTM_GETADDR: u16 = 22;
const HEAD_BYTES: usize = 8;
const PREFIX_AT: usize = 1;
const DEVICE_AT: usize = 4;
const IFA_ADDRESS: u16 = 1;
/// Where the other end has an address of its own, this one is ours.
const IFA_LOCAL: u16 = 2;

/// Asks for all addresses.
#[derive(Default)]
pub struct Addresses {
    links: Links,
    text: String,
    sheet: Sheet,
}

impl Addresses {
    pub fn collect(&mut self, host: &Host, dialog: &mut Dialog, out: &mut Batch) -> Result<(), CollectError> {
        self.links.read(host)?;
        let Addresses { links, text, sheet } = self;
        let question = dialog.start(RTM_GETADDR, true).head(&[0; HEAD_BYTES]);
        let asked = question.ask(host, Netlink::Route, &mut |_, message| {
            let (Some(rest), Some(device)) = (message.get(HEAD_BYTES..), u32_at(message, DEVICE_AT)) else { return };
            let bytes = attribute(rest, IFA_LOCAL).or_else(|| attribute(rest, IFA_ADDRESS)).unwrap_or(&[]);
            let Some(address) = write_address(text, bytes) else { return };
            let prefix = Decimal::new(message.get(PREFIX_AT).copied().unwrap_or(0).into());
            sheet.put(&FACTS, &[links.name(device), text, prefix.as_str(), scope(address)], 1.0);
        });
        sheet.tell_once(out);
        asked
    }
}

fn scope(address: IpAddr) -> &'static str {
    let is_near = match address {
        IpAddr::V4(four) => four.is_loopback() || four.is_link_local(),
        IpAddr::V6(six) => six.is_loopback() || six.is_unicast_link_local(),
    };
    match () {
        () if is_near => "link-local",
        () if address.is_unspecified() || address.is_multicast() => "",
        () => "global",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scope_is_seen_from_the_address() {
        let check = |text: &str, expected| assert_eq!(scope(text.parse().expect("an address")), expected, "{text}");
        check("127.0.0.1", "link-local");
        check("169.254.1.1", "link-local");
        check("192.0.2.1", "global");
        check("::1", "link-local");
        check("fe80::1", "link-local");
        check("fd00::1", "global");
        check("::", "");
    }
}
