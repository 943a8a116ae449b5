//! `node_arp_entries`: how many neighbours each network device knows.
//!
//! ```text
//! IP address       HW type     Flags       HW address            Mask     Device    <- /proc/net/arp
//! 192.168.1.1      0x1         0x2         cc:aa:dd:ee:aa:bb     *        eth0
//! ```
//!
//! A line that is odd is reported and the others counted; the peer then tells nothing. With `netlink`, the default, what
//! netlink would not list is left out: the addresses that this machine answers for (flag 8). It is not asked, because
//! two more answers of the kernel cost ten times what the file does.

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo, FlagInfo};
use crate::error::CollectError;
use crate::filter::Filter;
use crate::host::{Host, Reader};
use crate::number::integer;

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "arp",
    default_on: true,
    make: |settings| {
        let has_published = !settings.switch(NETLINK.name, true)?;
        let filter = Filter::both(settings, (INCLUDE.name, ""), (EXCLUDE.name, ""))?;
        Ok(Box::new(Arp { file: Reader::new(), filter, has_published, counts: Vec::new(), text: String::new() }))
    },
    flags: &[INCLUDE, EXCLUDE, NETLINK],
    doc: "How many neighbours each network device knows, from `/proc/net/arp`.",
};

const INCLUDE: FlagInfo = FlagInfo {
    name: "collector.arp.device-include",
    default: "",
    help: "Regexp of arp devices to include (mutually exclusive to device-exclude).",
};
const EXCLUDE: FlagInfo = FlagInfo {
    name: "collector.arp.device-exclude",
    default: "",
    help: "Regexp of arp devices to exclude (mutually exclusive to device-include).",
};
const NETLINK: FlagInfo = FlagInfo {
    name: "collector.arp.netlink",
    default: "true",
    help: "Count what netlink lists, without the addresses that this machine answers for.",
};

/// `ATF_PUBL` among the flags: this machine answers for the address.
const PUBLISHED: i64 = 8;

/// The most devices told; what is more is left out and blamed.
const DEVICES_MAX: usize = 4_096;

/// Reads `/proc/net/arp`.
struct Arp {
    file: Reader,
    filter: Filter,
    /// Whether addresses are counted that this machine answers for.
    has_published: bool,
    /// Each device's name, as a piece of the text, and its neighbours.
    counts: Vec<((usize, usize), u64)>,
    text: String,
}

impl Collector for Arp {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        self.counts.clear();
        self.text.clear();
        let mut bad_line = None;
        for (at, line) in self.file.kept_text(&host.procfs, "net/arp")?.lines().enumerate().skip(1) {
            let Some((is_published, device)) = parse(line) else {
                bad_line.get_or_insert(at + 1);
                continue;
            };
            if is_published && !self.has_published {
                continue;
            }
            let name = |(start, end): (usize, usize)| &self.text[start..end];
            match self.counts.iter().position(|(piece, _)| name(*piece) == device) {
                Some(at) => self.counts[at].1 += 1,
                None if self.counts.len() < DEVICES_MAX => {
                    let start = self.text.len();
                    self.text.push_str(device);
                    self.counts.push(((start, self.text.len()), 1));
                }
                None => {
                    bad_line.get_or_insert(at + 1);
                }
            }
        }
        out.family("node_arp_entries", "ARP entries by device", MetricKind::Gauge);
        for ((start, end), count) in &self.counts {
            let device = &self.text[*start..*end];
            if self.filter.is_wanted(device) {
                out.add(&[("device", device)], *count as f64);
            }
        }
        match bad_line {
            Some(line) => Err(self.file.malformed(line, "six fields, the last a device")),
            None => Ok(()),
        }
    }
}

/// Returns whether this machine answers for the address of one line, and the device.
fn parse(line: &str) -> Option<(bool, &str)> {
    let mut fields = line.split_ascii_whitespace();
    let flags = integer(fields.nth(2)?)?;
    let device = fields.nth(2)?;
    fields.next().is_none().then_some((flags & PUBLISHED != 0, device))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_device_is_the_sixth_of_six_fields() {
        assert_eq!(parse("192.168.1.1 0x1 0x2 cc:aa:dd:ee:aa:bb * eth0"), Some((false, "eth0")));
        assert_eq!(parse("10.9.0.77 0x1 0xc 00:00:00:00:00:00 * eth0"), Some((true, "eth0")));
        for bad in [
            "",
            "192.168.1.1 0x1 two cc:aa:dd:ee:aa:bb * eth0",
            "192.168.1.1 0x1 0x2 cc:aa:dd:ee:aa:bb *",
            "1 2 3 4 5 6 7",
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
