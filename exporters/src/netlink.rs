//! Questions to the kernel over netlink, and how its answers are taken apart.
//!
//! ```text
//! length type flags sequence port | payload                <- a message (`struct nlmsghdr`), in the machine's own
//!   u32   u16  u16     u32   u32    a fixed head, then        order of bytes
//!                                   attributes: length u16, type u16, value, filled up to 4 bytes
//! ```
//!
//! An answer is a sequence of messages that ends with `NLMSG_DONE` or an error. Nothing of an answer is believed: a
//! piece that is cut short or says an odd length ends the reading of what it is in. The memory
//! that answers come into, and who asks over which socket, is [`crate::system`]'s.
//!
//! What it does not do: change anything. Only questions are made here.

use std::fmt::Write;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::CollectError;
use crate::host::Host;

/// Which part of the kernel is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Netlink {
    /// Network devices, routes, neighbours, queues (`NETLINK_ROUTE`).
    Route,
    /// Sockets (`NETLINK_SOCK_DIAG`).
    Sockets,
    /// Whatever registered a name, such as `nl80211` (`NETLINK_GENERIC`).
    Generic,
}

/// The most bytes of one answer; what is more ends it with an error.
pub const ANSWER_BYTES_MAX: usize = 64 << 20;

/// How many bytes are received at once; the kernel fills no more than 32 KiB.
pub const RECEIVE_BYTES: usize = 32 << 10;

const HEAD_BYTES: usize = 16;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_DUMP: u16 = 0x300;
const NLMSG_NOOP: u16 = 1;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

/// The bits of an attribute's type that only say how it is written.
const ATTRIBUTE_TYPE: u16 = 0x3fff;

/// One question.
#[derive(Default)]
pub struct Dialog {
    request: Vec<u8>,
}

impl Dialog {
    /// Begins a question for all there is, or for one thing.
    pub fn start(&mut self, kind: u16, is_for_all: bool) -> &mut Dialog {
        let flags = NLM_F_REQUEST | if is_for_all { NLM_F_DUMP } else { 0 };
        self.request.clear();
        self.request.extend_from_slice(&[0; 4]);
        self.request.extend_from_slice(&kind.to_ne_bytes());
        self.request.extend_from_slice(&flags.to_ne_bytes());
        self.request.extend_from_slice(&[0; 8]);
        self
    }

    /// Adds bytes of the fixed head.
    pub fn head(&mut self, bytes: &[u8]) -> &mut Dialog {
        self.request.extend_from_slice(bytes);
        self
    }

    /// Adds an attribute.
    pub fn attribute(&mut self, kind: u16, value: &[u8]) -> &mut Dialog {
        self.request.extend_from_slice(&((value.len() + 4) as u16).to_ne_bytes());
        self.request.extend_from_slice(&kind.to_ne_bytes());
        self.request.extend_from_slice(value);
        self.request.resize(self.request.len().next_multiple_of(4), 0);
        self
    }

    /// Asks, and hands over the type and the payload of each message of the answer.
    ///
    /// # Errors
    /// `Io`, as the kernel says.
    pub fn ask(
        &mut self,
        host: &Host,
        netlink: Netlink,
        visit: &mut dyn FnMut(u16, &[u8]),
    ) -> Result<(), CollectError> {
        let asked = self.try_ask(host, netlink, visit);
        asked.map_err(|source| CollectError::Io { path: "netlink".into(), source })
    }

    /// Asks as [`Dialog::ask`] does; a refusal costs nothing, for where it is a fact about the board.
    ///
    /// # Errors
    /// As the kernel says.
    pub fn try_ask(&mut self, host: &Host, netlink: Netlink, visit: &mut dyn FnMut(u16, &[u8])) -> io::Result<()> {
        let length = self.request.len() as u32;
        self.request[..4].copy_from_slice(&length.to_ne_bytes());
        host.system.netlink(netlink, &self.request, visit)
    }
}

/// Takes apart what was received at once; returns whether the answer is complete.
///
/// # Errors
/// As the kernel says in the answer; `InvalidData` where a message is cut short.
pub fn read_messages(mut bytes: &[u8], visit: &mut dyn FnMut(u16, &[u8])) -> io::Result<bool> {
    while !bytes.is_empty() {
        let (length, kind, flags) = match (u32_at(bytes, 0), u16_at(bytes, 4), u16_at(bytes, 6)) {
            (Some(length), Some(kind), Some(flags)) => (length as usize, kind, flags),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        };
        let payload = bytes.get(HEAD_BYTES..length).ok_or(io::ErrorKind::InvalidData)?;
        match kind {
            NLMSG_NOOP => {}
            NLMSG_DONE => return Ok(true),
            NLMSG_ERROR => match u32_at(payload, 0).ok_or(io::ErrorKind::InvalidData)? as i32 {
                0 => return Ok(true),
                code => return Err(io::Error::from_raw_os_error(code.wrapping_neg())),
            },
            _ => {
                visit(kind, payload);
                // An answer about one thing is one message and has no end of its own.
                if flags & NLM_F_MULTI == 0 {
                    return Ok(true);
                }
            }
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or(&[]);
    }
    Ok(false)
}

const NLM_F_MULTI: u16 = 2;

/// Returns the type and value of each attribute; what is cut short ends them.
pub fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & ATTRIBUTE_TYPE;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some((kind, value))
    })
}

/// Returns the value of the first attribute of a type.
pub fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(known, _)| *known == kind).map(|(_, value)| value)
}

/// Returns a text without the zero that ends it; nothing where it is no UTF-8.
pub fn text(value: &[u8]) -> Option<&str> {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    std::str::from_utf8(&value[..end]).ok()
}

/// Returns two bytes as a number.
pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
}

/// Returns four bytes as a number.
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

/// Returns eight bytes as a number.
pub fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8)?.try_into().ok().map(u64::from_ne_bytes)
}

/// Writes an address as usual and returns it; nothing is written for anything but 4 or 16 bytes.
pub fn write_address(out: &mut String, bytes: &[u8]) -> Option<IpAddr> {
    out.clear();
    let address = match (<[u8; 4]>::try_from(bytes), <[u8; 16]>::try_from(bytes)) {
        (Ok(four), _) => IpAddr::V4(Ipv4Addr::from(four)),
        (_, Ok(sixteen)) => IpAddr::V6(Ipv6Addr::from(sixteen)).to_canonical(),
        _ => return None,
    };
    write!(out, "{address}").expect("writing to memory");
    Some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, flags: u16, payload: &[u8]) -> Vec<u8> {
        let mut dialog = Dialog::default();
        dialog.start(kind, false).head(payload);
        let mut bytes = dialog.request;
        let length = bytes.len() as u32;
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        bytes
    }

    fn read(bytes: &[u8]) -> (Vec<u16>, Result<bool, i32>) {
        let mut kinds = Vec::new();
        let result = read_messages(bytes, &mut |kind, _| kinds.push(kind));
        (kinds, result.map_err(|error| error.raw_os_error().unwrap_or(0)))
    }

    #[test]
    fn an_answer_ends_with_its_last_message() {
        let part = [message(16, 2, b"abcd"), message(17, 2, b"")].concat();
        assert_eq!(read(&part), (vec![16, 17], Ok(false)));
        assert_eq!(read(&[part.clone(), message(3, 2, &[0; 4])].concat()), (vec![16, 17], Ok(true)));
        assert_eq!(read(&message(16, 0, b"")), (vec![16], Ok(true)));
        assert_eq!(read(&message(2, 0, &(-13_i32).to_ne_bytes())), (vec![], Err(13)));
        assert_eq!(read(&message(2, 0, &[0; 4])), (vec![], Ok(true)));
    }

    #[test]
    fn nothing_cut_short_is_believed() {
        let whole = [message(16, 2, b"abcd"), message(3, 2, &[0; 4])].concat();
        for end in 0..whole.len() {
            let (kinds, result) = read(&whole[..end]);
            assert!(result != Ok(true) && kinds.len() <= 1, "{end}");
        }
        let mut odd = whole.clone();
        odd[0] = 3;
        assert_eq!(read(&odd), (vec![], Err(0)));
    }

    #[test]
    fn attributes_lie_one_after_the_other() {
        let mut dialog = Dialog::default();
        dialog.attribute(3, b"eth0\0").attribute(0x8000 | 4, b"").attribute(5, &7_u32.to_ne_bytes());
        let bytes = dialog.request.as_slice();
        let kinds: Vec<u16> = attributes(bytes).map(|(kind, _)| kind).collect();
        assert_eq!(kinds, [3, 4, 5]);
        assert_eq!(attribute(bytes, 3).and_then(text), Some("eth0"));
        assert_eq!(attribute(bytes, 5).and_then(|value| u32_at(value, 0)), Some(7));
        assert_eq!(attribute(&bytes[..7], 3), None);
        assert_eq!(attributes(&[2, 0, 1, 0]).count(), 0);
    }

    #[test]
    fn addresses_are_written_as_usual() {
        let check = |bytes: &[u8], expected: &str| {
            let mut out = String::from("x");
            write_address(&mut out, bytes);
            assert_eq!(out, expected);
        };
        check(&[192, 0, 2, 1], "192.0.2.1");
        check(&Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1).octets(), "fe80::1");
        check(&Ipv4Addr::new(1, 2, 3, 4).to_ipv6_mapped().octets(), "1.2.3.4");
        check(&[1, 2, 3], "");
    }
}
