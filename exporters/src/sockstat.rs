//! `node_sockstat_*`: sockets in use, and the memory they hold, by protocol.
//!
//! ```text
//! sockets: used 229                                  <- /proc/net/sockstat, x86-64
//! TCP: inuse 4 orphan 0 tw 4 alloc 17 mem 1             mem in pages
//! FRAG6: inuse 0 memory 0                            <- /proc/net/sockstat6
//! ```
//!
//! A kernel without IPv6 lacks the second file. A line that is odd is reported and the others told; the peer then
//! tells nothing.

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo};
use crate::error::{CollectError, Troubles};
use crate::host::{Host, Reader};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "sockstat",
    default_on: true,
    make: |_| Ok(Box::new(Sockstat::default())),
    flags: &[],
    doc: "Sockets in use and the memory they hold, by protocol, from `/proc/net/sockstat` and `sockstat6`.",
};

/// What is told of a protocol, in the kernel's words.
const KEYS: [&str; 6] = ["inuse", "orphan", "tw", "alloc", "mem", "memory"];

/// The place of `mem` among the keys, which is told in bytes too.
const MEM: usize = 4;

/// The most protocols of one file; what is more is left out and blamed.
const PROTOCOLS_MAX: usize = 64;

/// Reads `/proc/net/sockstat` and `/proc/net/sockstat6`.
#[derive(Default)]
struct Sockstat {
    files: [Reader; 2],
    name: String,
    help: String,
}

impl Collector for Sockstat {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let mut troubles = Troubles::default();
        let page_bytes = host.system.page_bytes() as f64;
        for (file, path) in self.files.iter_mut().zip(["net/sockstat", "net/sockstat6"]) {
            let Some(Some(text)) = troubles.note(file.kept_text_if_there(&host.procfs, path)) else { continue };
            let mut bad_line = None;
            for (at, line) in text.lines().enumerate() {
                match parse(line).filter(|_| at < PROTOCOLS_MAX) {
                    Some(Line::Used(used)) => {
                        out.family("node_sockstat_sockets_used", "Number of IPv4 sockets in use.", MetricKind::Gauge);
                        out.add(&[], used as f64);
                    }
                    Some(Line::Protocol(protocol, counts)) => {
                        for (key, count) in KEYS.iter().zip(counts) {
                            let Some(count) = count else { continue };
                            tell(&mut self.name, &mut self.help, protocol, key, count as f64, out);
                        }
                        if let Some(pages) = counts[MEM] {
                            let bytes = pages as f64 * page_bytes;
                            tell(&mut self.name, &mut self.help, protocol, "mem_bytes", bytes, out);
                        }
                    }
                    None => {
                        bad_line.get_or_insert(at + 1);
                    }
                }
            }
            if let Some(line) = bad_line {
                troubles.note::<()>(Err(file.malformed(line, "a protocol and pairs of a name and a number")));
            }
        }
        troubles.finish()
    }
}

fn tell(name: &mut String, help: &mut String, protocol: &str, key: &str, value: f64, out: &mut Batch) {
    name.clear();
    name.extend(["node_sockstat_", protocol, "_", key]);
    help.clear();
    help.extend(["Number of ", protocol, " sockets in state ", key, "."]);
    out.family(name, help, MetricKind::Gauge);
    out.add(&[], value);
}

/// What one line says.
#[derive(Debug, PartialEq)]
enum Line<'a> {
    /// All sockets in use.
    Used(i64),
    /// A protocol's counts by key.
    Protocol(&'a str, [Option<i64>; KEYS.len()]),
}

fn parse(line: &str) -> Option<Line<'_>> {
    let (protocol, rest) = line.split_once(": ")?;
    let is_name = !protocol.is_empty() && protocol.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let mut counts = [None; KEYS.len()];
    let mut used = None;
    let mut fields = rest.split_ascii_whitespace();
    while let Some(key) = fields.next() {
        let count = fields.next()?.parse().ok()?;
        match KEYS.iter().position(|known| *known == key) {
            Some(at) => counts[at] = Some(count),
            None if key == "used" => used = Some(count),
            None => {}
        }
    }
    if protocol == "sockets" {
        return used.map(Line::Used);
    }
    is_name.then_some(Line::Protocol(protocol, counts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_protocol_and_pairs() {
        assert_eq!(parse("sockets: used 229"), Some(Line::Used(229)));
        let counts = [Some(4), Some(0), Some(4), Some(17), Some(1), None];
        assert_eq!(parse("TCP: inuse 4 orphan 0 tw 4 alloc 17 mem 1"), Some(Line::Protocol("TCP", counts)));
        for bad in ["", "TCP", "TCP: inuse", "TCP: inuse x", "sockets: inuse 1", "T\"P: inuse 1", ": inuse 1"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
