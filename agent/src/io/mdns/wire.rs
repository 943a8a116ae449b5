//! Multicast DNS packets: questions out, records of four kinds in. Bounds are checked at every byte.
//!
//! Dots within a label (`Barn 2.0`) are kept as they are, for people read them. Of a packet that breaks off the records
//! before the break count.
//!
//! Source: RFC 1035, section 4.1; RFC 6762, section 18.

use std::net::Ipv4Addr;

use crate::io::dns::name;

pub(super) const A: u16 = 1;
pub(super) const PTR: u16 = 12;
pub(super) const TXT: u16 = 16;
pub(super) const SRV: u16 = 33;

const HEADER_BYTES: usize = 12;
const CLASS_IN: u16 = 1;
/// The answer to this question may come to us alone.
const UNICAST: u16 = 0x8000;
/// This answer replaces older ones.
const FLUSH: u16 = 0x8000;
const RESPONSE: u8 = 0x80;
/// The most records of one packet.
const RECORDS_MAX: usize = 1_024;

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Data {
    Address(Ipv4Addr),
    Name(String),
    Texts(Vec<String>),
    Service { host: String, port: u16 },
}

impl Data {
    pub fn kind(&self) -> u16 {
        match self {
            Data::Address(_) => A,
            Data::Name(_) => PTR,
            Data::Texts(_) => TXT,
            Data::Service { .. } => SRV,
        }
    }
}

/// Returns one packet with these questions; `None` for what cannot be names.
pub(super) fn question(asked: &[(String, u16)]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(64);
    for number in [0, 0, u16::try_from(asked.len()).ok()?, 0, 0, 0] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    for (name, kind) in asked {
        // An instance's own label may have dots; what follows it begins with an underscore.
        let (first, rest) = name.split_at(name.find("._").filter(|_| !name.starts_with('_')).unwrap_or(0));
        let labels =
            Some(first).filter(|first| !first.is_empty()).into_iter().chain(rest.trim_start_matches('.').split('.'));
        name::put(&mut out, labels)?;
        for number in [*kind, CLASS_IN | UNICAST] {
            out.extend_from_slice(&number.to_be_bytes());
        }
    }
    Some(out)
}

/// Returns the records of an answer, with their names; nothing of a question.
pub(super) fn records(packet: &[u8]) -> Vec<(String, Data)> {
    let mut found = Vec::new();
    // Where it breaks off, what was read until there stays.
    let _ = read(packet, &mut found);
    found
}

fn read(packet: &[u8], found: &mut Vec<(String, Data)>) -> Option<()> {
    if packet.get(2)? & RESPONSE == 0 {
        return None;
    }
    let mut at = HEADER_BYTES;
    for _ in 0..word(packet, 4)? {
        at = name(packet, at)?.1 + 4;
    }
    let count = [6, 8, 10].into_iter().map(|at| word(packet, at).map_or(0, usize::from)).sum::<usize>();
    for _ in 0..count.min(RECORDS_MAX) {
        let (owner, after) = name(packet, at)?;
        let (kind, class) = (word(packet, after)?, word(packet, after + 2)?);
        let (start, length) = (after + 10, usize::from(word(packet, after + 8)?));
        let data = packet.get(start..start + length)?;
        at = start + length;
        // A time to live of nothing says goodbye.
        let is_gone = packet.get(after + 4..after + 8)? == [0; 4];
        if class & !FLUSH != CLASS_IN || is_gone {
            continue;
        }
        let data = match kind {
            A => Data::Address(Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?)),
            PTR => Data::Name(name(packet, start)?.0),
            TXT => Data::Texts(texts(data)),
            SRV => Data::Service { host: name(packet, start + 6)?.0, port: word(packet, start + 4)? },
            _ => continue,
        };
        found.push((owner, data));
    }
    Some(())
}

fn word(packet: &[u8], at: usize) -> Option<u16> {
    packet.get(at..at + 2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
}

fn texts(mut data: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    while let [length, rest @ ..] = data {
        let Some((text, after)) = rest.split_at_checked(usize::from(*length)) else { break };
        found.push(String::from_utf8_lossy(text).into_owned());
        data = after;
    }
    found
}

/// Reads a name; returns it without a final dot, and where it ends in the packet.
fn name(packet: &[u8], start: usize) -> Option<(String, usize)> {
    let mut out = String::new();
    let end = name::take(packet, start, &mut |label| {
        if !out.is_empty() {
            out.push('.');
        }
        out.push_str(&String::from_utf8_lossy(label).replace(char::is_control, "?"));
    })?;
    Some((out, end))
}
