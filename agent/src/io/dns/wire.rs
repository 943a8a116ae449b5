//! DNS messages: one question out, answers of one kind in. Bounds are checked at every byte.
//!
//! ```text
//! id flags 0001 answers authority additional | name 00 type class | records ...
//! ```
//! Records of other kinds (a CNAME on the way) are passed over.
//!
//! Source: RFC 1035, section 4.1; RFC 6891 for the larger UDP answer.

use super::name;
use crate::config::Record;

/// The largest answer by UDP that is asked for, in bytes.
pub(super) const UDP_BYTES_MAX: usize = 4096;
/// The most answers that are taken.
const ANSWERS_MAX: usize = 2_000;
const HEADER_BYTES: usize = 12;
const CLASS_IN: u16 = 1;

/// One record: a host, and with SRV its port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Which kind.
    pub kind: Record,
    /// A name with its final dot, or an address.
    pub host: String,
    /// The port, where the record has one.
    pub port: Option<u16>,
}

/// What a message is to us.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// No answer to the question.
    Other,
    /// Too long for UDP.
    Cut,
    /// There is no such name.
    NoName,
    /// The server failed, or the message is broken.
    Failed(String),
    /// These.
    Records(Vec<Answer>),
}

impl Said {
    pub fn settle(self) -> Result<Option<Vec<Answer>>, String> {
        match self {
            Said::Records(records) => Ok(Some(records)),
            Said::NoName => Ok(None),
            Said::Failed(what) => Err(what),
            Said::Cut | Said::Other => Err("not an answer to the question".to_owned()),
        }
    }
}

fn number(record: Record) -> u16 {
    match record {
        Record::A => 1,
        Record::Ns => 2,
        Record::Mx => 15,
        Record::Aaaa => 28,
        Record::Srv => 33,
    }
}

/// Returns a question; `None` for what cannot be a name.
pub(super) fn question(id: u16, name: &str, record: Record) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(64);
    for number in [id, 0x0100, 1, 0, 0, 1] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    name::put(&mut out, name.strip_suffix('.').unwrap_or(name).split('.'))?;
    for number in [number(record), CLASS_IN] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    // EDNS: the root name, OPT, how much UDP we take, nothing else.
    out.push(0);
    for number in [41, UDP_BYTES_MAX as u16, 0, 0, 0] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    Some(out)
}

/// Returns what a message says to a question.
pub(super) fn answers(id: u16, question: &[u8], message: &[u8], record: Record) -> Said {
    let word = |at: usize| message.get(at..at + 2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]));
    let (Some(flags), true) = (word(2), word(0) == Some(id)) else { return Said::Other };
    // The question comes back, in whatever case; EDNS is no part of it.
    let asked = question.get(HEADER_BYTES..question.len() - 11).unwrap_or_default();
    let echoed = message.get(HEADER_BYTES..HEADER_BYTES + asked.len());
    if flags & 0x8000 == 0 || !echoed.is_some_and(|echoed| echoed.eq_ignore_ascii_case(asked)) {
        return Said::Other;
    }
    match flags & 0xf {
        0 => {}
        3 => return Said::NoName,
        code => return Said::Failed(format!("the server answered with code {code}")),
    }
    if flags & 0x0200 != 0 {
        return Said::Cut;
    }
    let count = usize::from(word(6).unwrap_or(0)).min(ANSWERS_MAX);
    match records(message, HEADER_BYTES + asked.len(), count, record) {
        Some(found) => Said::Records(found),
        None => Said::Failed("the answer is broken".to_owned()),
    }
}

fn records(message: &[u8], mut at: usize, count: usize, record: Record) -> Option<Vec<Answer>> {
    let mut found = Vec::new();
    for _ in 0..count {
        let (_, after) = name(message, at)?;
        let head = message.get(after..after + 10)?;
        let (kind, class) = (u16::from_be_bytes([head[0], head[1]]), u16::from_be_bytes([head[2], head[3]]));
        let (start, length) = (after + 10, usize::from(u16::from_be_bytes([head[8], head[9]])));
        let data = message.get(start..start + length)?;
        at = start + length;
        if kind != number(record) || class != CLASS_IN {
            continue;
        }
        let (host, port) = match record {
            Record::A => (std::net::Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?).to_string(), None),
            Record::Aaaa => (std::net::Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?).to_string(), None),
            Record::Ns => (name(message, start)?.0, None),
            Record::Mx => (name(message, start + 2)?.0, None),
            Record::Srv => {
                let port = data.get(4..6)?;
                (name(message, start + 6)?.0, Some(u16::from_be_bytes([port[0], port[1]])))
            }
        };
        found.push(Answer { kind: record, host, port });
    }
    Some(found)
}

/// Reads a name; returns it with its final dot, and where it ends in the message.
fn name(message: &[u8], start: usize) -> Option<(String, usize)> {
    let mut out = String::new();
    let end = name::take(message, start, &mut |label| {
        out.extend(label.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '?' }));
        out.push('.');
    })?;
    if out.is_empty() {
        out.push('.');
    }
    Some((out, end))
}
