//! What netlink says of a network device in the words of its files in sysfs.
//!
//! One answer tells of all devices what would be sixteen files each. It leaves out what the driver has to be asked
//! for (speed, duplex), how names and addresses came about, and the flags as they are in sysfs; those are read there.
//!
//! ```text
//! family u8, -, type u16, number i32, flags u32, change u32 | attributes        <- struct ifinfomsg, rtnetlink(7)
//! ```
//!
//! Source: which of the kernel's values becomes which file, `net/core/net-sysfs.c` and `net/core/rtnetlink.c`.

use crate::links::{HEAD_BYTES, IFLA_IFNAME};
use crate::netlink::{attribute, text, u16_at, u32_at};

const IFLA_ADDRESS: u16 = 1;
const IFLA_BROADCAST: u16 = 2;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_TXQLEN: u16 = 13;
const IFLA_OPERSTATE: u16 = 16;
const IFLA_LINKMODE: u16 = 17;
const IFLA_IFALIAS: u16 = 20;
const IFLA_GROUP: u16 = 27;
const IFLA_CARRIER: u16 = 33;
const IFLA_CARRIER_CHANGES: u16 = 35;
const IFLA_CARRIER_UP_COUNT: u16 = 47;
const IFLA_CARRIER_DOWN_COUNT: u16 = 48;

const IFF_UP: u32 = 1;
const IFF_DORMANT: u32 = 0x2_0000;

/// RFC 2863, in the order of its numbers.
const OPERSTATES: [&str; 7] = ["unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up"];

/// One device's message.
pub struct Facts<'a> {
    head: &'a [u8],
    attributes: &'a [u8],
}

impl<'a> Facts<'a> {
    /// Returns what a message tells; nothing where it is cut short.
    pub fn of(message: &'a [u8]) -> Option<Facts<'a>> {
        let (head, attributes) = message.split_at_checked(HEAD_BYTES)?;
        Some(Facts { head, attributes })
    }

    /// Returns the device's name.
    pub fn name(&self) -> Option<&'a str> {
        attribute(self.attributes, IFLA_IFNAME).and_then(text)
    }

    /// Returns the device's number, which another device never has as long as this one is there.
    pub fn number(&self) -> i64 {
        u32_at(self.head, 4).map_or(0, signed)
    }

    /// Returns what the file of this name says; the outer `None` stands for a file that has to be read.
    pub fn value(&self, file: &str) -> Option<Option<i64>> {
        let is_up = u32_at(self.head, 8).unwrap_or(0) & IFF_UP != 0;
        let word = |kind: u16| attribute(self.attributes, kind).and_then(|value| u32_at(value, 0));
        let byte =
            |kind: u16| attribute(self.attributes, kind).and_then(|value| value.first()).map(|byte| i64::from(*byte));
        Some(match file {
            // Of a device that is down, the kernel says neither.
            "carrier" => byte(IFLA_CARRIER).filter(|_| is_up),
            "dormant" => u32_at(self.head, 8).filter(|_| is_up).map(|flags| i64::from(flags & IFF_DORMANT != 0)),
            "carrier_changes" => word(IFLA_CARRIER_CHANGES).map(i64::from),
            "carrier_up_count" => word(IFLA_CARRIER_UP_COUNT).map(i64::from),
            "carrier_down_count" => word(IFLA_CARRIER_DOWN_COUNT).map(i64::from),
            "ifindex" => Some(self.number()),
            // Told only where it is another.
            "iflink" => Some(word(IFLA_LINK).map_or(self.number(), signed)),
            "link_mode" => byte(IFLA_LINKMODE),
            "mtu" => word(IFLA_MTU).map(signed),
            "netdev_group" => word(IFLA_GROUP).map(signed),
            "tx_queue_len" => word(IFLA_TXQLEN).map(i64::from),
            "type" => u16_at(self.head, 2).map(i64::from),
            _ => return None,
        })
    }

    /// Puts what the file of this name says into `out`; returns false where the file has to be read.
    pub fn word(&self, file: &str, out: &mut String) -> bool {
        let attribute = |kind| attribute(self.attributes, kind).unwrap_or(&[]);
        out.clear();
        match file {
            "address" => push_hardware_address(attribute(IFLA_ADDRESS), out),
            "broadcast" => push_hardware_address(attribute(IFLA_BROADCAST), out),
            "ifalias" => match text(attribute(IFLA_IFALIAS)) {
                Some(alias) => out.push_str(alias.trim()),
                None => return false,
            },
            "operstate" => {
                match attribute(IFLA_OPERSTATE).first().and_then(|state| OPERSTATES.get(usize::from(*state))) {
                    Some(state) => out.push_str(state),
                    None => return false,
                }
            }
            _ => return false,
        }
        true
    }
}

/// The kernel prints these as signed.
fn signed(value: u32) -> i64 {
    i64::from(value as i32)
}

fn push_hardware_address(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (at, byte) in bytes.iter().enumerate() {
        if at > 0 {
            out.push(':');
        }
        out.extend([byte >> 4, byte & 15].map(|digit| char::from(DIGITS[usize::from(digit)])));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
        message.extend_from_slice(&(value.len() as u16 + 4).to_ne_bytes());
        message.extend_from_slice(&kind.to_ne_bytes());
        message.extend_from_slice(value);
        message.resize(message.len().next_multiple_of(4), 0);
    }

    /// As the kernel tells of a virtual device that stands on another (VLAN), up and waiting.
    fn vlan() -> Vec<u8> {
        let mut message = vec![0, 0, 1, 0];
        message.extend([7_u32, IFF_UP | IFF_DORMANT, 0].iter().flat_map(|word| word.to_ne_bytes()));
        message[2..4].copy_from_slice(&1_u16.to_ne_bytes());
        put(&mut message, IFLA_IFNAME, b"eth0.2\0");
        for (kind, value) in [(IFLA_MTU, 1_500), (IFLA_LINK, 2), (IFLA_TXQLEN, 1_000), (IFLA_GROUP, u32::MAX)] {
            put(&mut message, kind, &u32::to_ne_bytes(value));
        }
        put(&mut message, IFLA_OPERSTATE, &[5]);
        put(&mut message, IFLA_CARRIER, &[1]);
        put(&mut message, IFLA_ADDRESS, &[0xb8, 0x27, 0xeb, 0, 1, 0x0f]);
        put(&mut message, IFLA_IFALIAS, b" to the shed\0");
        message
    }

    #[test]
    fn a_message_says_what_the_files_say() {
        let message = vlan();
        let facts = Facts::of(&message).expect("a head");
        assert_eq!((facts.name(), facts.number()), (Some("eth0.2"), 7));
        for (file, value) in [
            ("carrier", Some(1)),
            ("dormant", Some(1)),
            ("ifindex", Some(7)),
            ("iflink", Some(2)),
            ("mtu", Some(1_500)),
            ("netdev_group", Some(-1)),
            ("tx_queue_len", Some(1_000)),
            ("type", Some(1)),
            ("carrier_changes", None),
        ] {
            assert_eq!(facts.value(file), Some(value), "{file}");
        }
        assert_eq!((facts.value("speed"), facts.value("flags")), (None, None), "these are files");
        let mut word = String::new();
        for (file, expected) in
            [("address", "b8:27:eb:00:01:0f"), ("broadcast", ""), ("ifalias", "to the shed"), ("operstate", "dormant")]
        {
            assert!(facts.word(file, &mut word) && word == expected, "{file}: {word}");
        }
        assert!(!facts.word("duplex", &mut word));
    }

    #[test]
    fn of_a_device_that_is_down_little_is_said() {
        let mut message = vlan();
        message[8..12].copy_from_slice(&0_u32.to_ne_bytes());
        let facts = Facts::of(&message).expect("a head");
        assert_eq!((facts.value("carrier"), facts.value("dormant")), (Some(None), Some(None)));
    }

    #[test]
    fn a_message_that_is_cut_anywhere_is_no_harm() {
        let message = vlan();
        let mut word = String::new();
        for end in 0..message.len() {
            let Some(facts) = Facts::of(&message[..end]) else { continue };
            for file in ["carrier", "iflink", "type", "mtu"] {
                let _ = facts.value(file);
            }
            for file in ["address", "ifalias", "operstate"] {
                let _ = facts.word(file, &mut word);
            }
        }
    }
}
