//! `node_qdisc_*`: what the queues of network devices sent, dropped and hold back.
//!
//! ```text
//! qdisc fq_codel 0: dev eth0 root ...            <- `tc -s qdisc`, kernel 6.6
//!  Sent 4311 bytes 28 pkt (dropped 0, overlimits 0 requeues 2)
//!  backlog 0b 0p requeues 2
//! ```
//!
//! Asked over netlink (`RTM_GETQDISC`). As with the peer, only the queue at the root of a device is told. The flag
//! `fixtures` names a folder with a `results.json` to be read instead, for the peer's own end-to-end test.

use std::path::{Path, PathBuf};

use model::Batch;

use crate::collector::{Collector, CollectorInfo, FlagInfo};
use crate::error::{CollectError, Troubles};
use crate::filter::Filter;
use crate::host::{Host, Reader};
use crate::links::Links;
use crate::netlink::{Dialog, Netlink, attribute, text, u32_at, u64_at};
use crate::objects;
use crate::settings::{Settings, SettingsError};
use crate::sheet::{Head, Sheet, counter, gauge};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "qdisc",
    default_on: false,
    make: |settings| Ok(Box::new(Qdisc::new(settings)?)),
    flags: &[FIXTURES, INCLUDE, EXCLUDE],
    doc: "What the queues of network devices sent, dropped and hold back, over netlink.",
};

const FIXTURES: FlagInfo = FlagInfo {
    name: "collector.qdisc.fixtures",
    default: "",
    help: "test fixtures to use for qdisc collector end-to-end testing",
};
const INCLUDE: FlagInfo = FlagInfo {
    name: "collector.qdisc.device-include",
    default: "",
    help: "Regexp of qdisc devices to include (mutually exclusive to device-exclude).",
};
const EXCLUDE: FlagInfo = FlagInfo {
    name: "collector.qdisc.device-exclude",
    default: "",
    help: "Regexp of qdisc devices to exclude (mutually exclusive to device-include).",
};

const LABELS: &[&str] = &["device", "kind"];

/// The families with the key of the fixture's number, in the order of [`Queue::counts`].
static FAMILIES: [(&str, Head); 7] = [
    ("Bytes", counter("node_qdisc_bytes_total", "Number of bytes sent.", LABELS)),
    ("Packets", counter("node_qdisc_packets_total", "Number of packets sent.", LABELS)),
    ("Drops", counter("node_qdisc_drops_total", "Number of packets dropped.", LABELS)),
    (
        "Requeues",
        counter("node_qdisc_requeues_total", "Number of packets dequeued, not transmitted, and requeued.", LABELS),
    ),
    ("Overlimits", counter("node_qdisc_overlimits_total", "Number of overlimit packets.", LABELS)),
    ("Qlen", gauge("node_qdisc_current_queue_length", "Number of packets currently in queue to be sent.", LABELS)),
    ("Backlog", gauge("node_qdisc_backlog", "Number of bytes currently in queue to be sent.", LABELS)),
];

const RTM_GETQDISC: u16 = 38;
const RTM_NEWQDISC: u16 = 36;
/// `struct tcmsg`: family and fill, then device, handle, parent and info.
const HEAD_BYTES: usize = 20;
const DEVICE_AT: usize = 4;
const PARENT_AT: usize = 12;
const TCA_KIND: u16 = 1;
const TCA_STATS: u16 = 3;
const TCA_STATS2: u16 = 7;
const TCA_STATS_BASIC: u16 = 1;
const TCA_STATS_QUEUE: u16 = 3;
/// The parent of a queue at the root of its device, and of one that hangs nowhere.
const ROOTS: [u32; 2] = [u32::MAX, 0];

/// Asks for all queues.
struct Qdisc {
    filter: Filter,
    fixtures: Option<PathBuf>,
    file: Reader,
    dialog: Dialog,
    links: Links,
    sheet: Sheet,
}

/// One queue.
#[derive(Debug, PartialEq)]
struct Queue<'a> {
    device: u32,
    is_root: bool,
    kind: &'a str,
    counts: [u64; FAMILIES.len()],
}

impl Qdisc {
    fn new(settings: &Settings) -> Result<Qdisc, SettingsError> {
        let fixtures = settings.value(FIXTURES.name).filter(|folder| !folder.is_empty());
        Ok(Qdisc {
            filter: Filter::new(settings, INCLUDE.name, (EXCLUDE.name, EXCLUDE.default), None)?,
            fixtures: fixtures.map(PathBuf::from),
            file: Reader::new(),
            dialog: Dialog::default(),
            links: Links::default(),
            sheet: Sheet::default(),
        })
    }

    fn ask(&mut self, host: &Host) -> Result<(), CollectError> {
        self.links.read(host)?;
        let mut is_whole = true;
        let question = self.dialog.start(RTM_GETQDISC, true).head(&[0; HEAD_BYTES]);
        question.ask(host, Netlink::Route, &mut |kind, message| {
            let queue = read_queue(message).filter(|_| kind == RTM_NEWQDISC);
            is_whole &= queue.is_some();
            let Some(queue) = queue.filter(|queue| queue.is_root) else { return };
            let device = self.links.name(queue.device);
            if self.filter.is_wanted(device) {
                put(device, queue.kind, queue.counts, &mut self.sheet);
            }
        })?;
        if is_whole { Ok(()) } else { Err(CollectError::malformed("netlink".as_ref(), 0, "whole queues")) }
    }

    fn read_fixtures(&mut self, host: &Host, folder: &Path) -> Result<(), CollectError> {
        let text = self.file.text(host, folder, &["results.json"])?;
        let Some(queues) = objects::read(text) else {
            return Err(self.file.malformed(0, "a list of flat objects"));
        };
        for queue in queues.iter().filter(|queue| queue.number("Parent") == 0) {
            let device = queue.text("IfaceName");
            if self.filter.is_wanted(device) {
                let counts = std::array::from_fn(|index| queue.number(FAMILIES[index].0).max(0) as u64);
                put(device, queue.text("Kind"), counts, &mut self.sheet);
            }
        }
        Ok(())
    }
}

impl Collector for Qdisc {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let mut troubles = Troubles::default();
        match self.fixtures.take() {
            Some(folder) => {
                troubles.note(self.read_fixtures(host, &folder));
                self.fixtures = Some(folder);
            }
            None => {
                troubles.note(self.ask(host));
            }
        }
        self.sheet.tell(out);
        troubles.finish()
    }
}

fn put(device: &str, kind: &str, counts: [u64; FAMILIES.len()], sheet: &mut Sheet) {
    for ((_, head), count) in FAMILIES.iter().zip(counts) {
        sheet.put(head, &[device, kind], count as f64);
    }
}

/// Takes a queue apart. Newer kernels count in `TCA_STATS2`, old ones in `TCA_STATS` alone.
fn read_queue(message: &[u8]) -> Option<Queue<'_>> {
    let rest = message.get(HEAD_BYTES..)?;
    let device = u32_at(message, DEVICE_AT)?;
    let is_root = ROOTS.contains(&u32_at(message, PARENT_AT)?);
    let kind = attribute(rest, TCA_KIND).and_then(text)?;
    let mut counts = [0; FAMILIES.len()];
    let number = |bytes, at| u32_at(bytes, at).map(u64::from);
    if let Some(stats) = attribute(rest, TCA_STATS2) {
        if let Some(basic) = attribute(stats, TCA_STATS_BASIC) {
            (counts[0], counts[1]) = (u64_at(basic, 0)?, number(basic, 8)?);
        }
        if let Some(queue) = attribute(stats, TCA_STATS_QUEUE) {
            // Length, backlog, drops, requeues, overlimits.
            for (count, at) in [(5, 0), (6, 4), (2, 8), (3, 12), (4, 16)] {
                counts[count] = number(queue, at)?;
            }
        }
    } else if let Some(stats) = attribute(rest, TCA_STATS) {
        counts[0] = u64_at(stats, 0)?;
        for (count, at) in [(1, 8), (2, 12), (4, 16), (5, 28), (6, 32)] {
            counts[count] = number(stats, at)?;
        }
    }
    Some(Queue { device, is_root, kind, counts })
}
