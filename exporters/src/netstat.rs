//! `node_netstat_*`: what the protocols counted, from IP to TCP and UDP, for IPv4 and IPv6.
//!
//! ```text
//! TcpExt: SyncookiesSent SyncookiesRecv SyncookiesFailed ...    <- /proc/net/netstat, and so /proc/net/snmp
//! TcpExt: 0 0 2 ...
//! Ip6InReceives                     7                      <- /proc/net/snmp6, missing without IPv6
//! ```
//!
//! Which are told is a pattern (`fields`) over `TcpExt_SyncookiesSent`. A pair of lines that does not fit together
//! is reported and the others told; the peer then tells nothing.

use model::{Batch, MetricKind, Pattern};

use crate::collector::{Collector, CollectorInfo, FlagInfo};
use crate::error::{CollectError, Troubles};
use crate::fields::{Fields, is_name};
use crate::host::{Host, Reader};
use crate::number::float;

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "netstat",
    default_on: true,
    make: |settings| {
        let pattern = settings.pattern(FIELDS.name, FIELDS.default)?;
        Ok(Box::new(Netstat { files: Default::default(), pattern }))
    },
    flags: &[FIELDS],
    doc: "What the network protocols counted, from `/proc/net/netstat`, `snmp` and `snmp6`.",
};

const FIELDS: FlagInfo = FlagInfo {
    name: "collector.netstat.fields",
    default: "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)|\
              TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)|\
              Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)|\
              Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$",
    help: "Regexp of fields to return for netstat collector.",
};

/// The files; the last is of IPv6, has a line for each number, and may be missing.
const FILES: [&str; 3] = ["net/netstat", "net/snmp", "net/snmp6"];

/// Reads `/proc/net/netstat`, `snmp` and `snmp6`.
struct Netstat {
    files: [(Reader, Fields); FILES.len()],
    /// None tells every word.
    pattern: Option<Pattern>,
}

impl Collector for Netstat {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let mut troubles = Troubles::default();
        for ((file, fields), path) in self.files.iter_mut().zip(FILES) {
            let is_ipv6 = path == FILES[2];
            let text = match is_ipv6 {
                true => file.kept_text_if_there(&host.procfs, path),
                false => file.kept_text(&host.procfs, path).map(Some),
            };
            let Some(Some(text)) = troubles.note(text) else { continue };
            fields.start();
            let mut tell =
                |group: &str, word: &str, value: &str| tell(&self.pattern, fields, (group, word, value), out);
            let bad_line = if is_ipv6 { lines(text, &mut tell) } else { pairs(text, &mut tell) };
            if let Some(line) = bad_line {
                troubles.note::<()>(Err(file.malformed(line, "names and as many numbers")));
            }
        }
        troubles.finish()
    }
}

/// Tells one number where it is wanted; returns whether it is one.
fn tell(
    pattern: &Option<Pattern>,
    fields: &mut Fields,
    (group, word, value): (&str, &str, &str),
    out: &mut Batch,
) -> bool {
    let field = fields.next(group, word, || {
        let key = [group, "_", word].concat();
        let is_wanted = is_name(&key) && pattern.as_ref().is_none_or(|pattern| pattern.is_match_once(&key));
        is_wanted.then(|| (["node_netstat_", &key].concat(), ["Statistic ", group, word, "."].concat()))
    });
    let Some((name, help)) = field else { return true };
    let Some(value) = float(value) else { return false };
    out.family(name, help, MetricKind::Unknown);
    out.add(&[], value);
    true
}

/// Walks pairs of lines, names above numbers; returns the first odd line.
fn pairs(text: &str, tell: &mut dyn FnMut(&str, &str, &str) -> bool) -> Option<usize> {
    let mut bad = None;
    let mut lines = text.lines().enumerate();
    while let Some((at, names)) = lines.next() {
        let values = lines.next().map_or("", |(_, values)| values);
        let blanks = |line: &str| line.bytes().filter(|b| *b == b' ').count();
        let mut names_and_values = names.split(' ').zip(values.split(' '));
        let group = names_and_values.next().and_then(|(name, value)| (name == value).then_some(name));
        let is_good = match group.and_then(|group| group.strip_suffix(':')) {
            Some(group) if blanks(names) == blanks(values) => {
                names_and_values.fold(true, |is_good, (name, value)| tell(group, name, value) && is_good)
            }
            _ => false,
        };
        if !is_good {
            bad.get_or_insert(at + 2);
        }
    }
    bad
}

/// Walks lines of a name and a number. What stands up to the 6 is the protocol; a name without one is passed over.
fn lines(text: &str, tell: &mut dyn FnMut(&str, &str, &str) -> bool) -> Option<usize> {
    let mut bad = None;
    for (at, line) in text.lines().enumerate() {
        let mut fields = line.split_ascii_whitespace();
        let (Some(name), Some(value)) = (fields.next(), fields.next()) else { continue };
        let Some(six) = name.find('6') else { continue };
        let (group, word) = name.split_at(six + 1);
        if !tell(group, word, value) {
            bad.get_or_insert(at + 1);
        }
    }
    bad
}

#[cfg(test)]
mod tests {
    use super::*;

    type Walk = fn(&str, &mut dyn FnMut(&str, &str, &str) -> bool) -> Option<usize>;

    fn check(walk: Walk, text: &str, expected: &[&str], bad: Option<usize>) {
        let mut told = Vec::new();
        let found = walk(text, &mut |group, word, value| {
            told.push(format!("{group} {word} {value}"));
            value != "x"
        });
        assert_eq!((told.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), found), (expected, bad));
    }

    #[test]
    fn names_stand_above_their_numbers() {
        check(pairs, "Ip: A B\nIp: 1 2\nTcp: C\nTcp: 3\n", &["Ip A 1", "Ip B 2", "Tcp C 3"], None);
        check(pairs, "Ip: A B\nIp: 1\nTcp: C\nTcp: x\n", &["Tcp C x"], Some(2));
        check(pairs, "Ip: A\nTcp: 1\n", &[], Some(2));
        check(pairs, "Ip: A\n", &[], Some(2));
        check(pairs, "", &[], None);
    }

    #[test]
    fn the_six_ends_the_protocol() {
        check(lines, "Ip6InReceives \t7\nUdpLite6X 1\nodd\nother 5\n", &["Ip6 InReceives 7", "UdpLite6 X 1"], None);
        check(lines, "Ip6A x\n", &["Ip6 A x"], Some(1));
    }
}
