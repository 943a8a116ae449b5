//! `node_md_*`: arrays of disks (software RAID).
//!
//! ```text
//! md6 : active raid1 sdb2[2](F) sdc[1](S) sda2[0]                                    <- /proc/mdstat, kernel 5.4
//!       195310144 blocks [2/1] [U_]
//!       [=>...................]  recovery =  8.5% (16775552/195310144) finish=17.0min speed=259783K/sec
//! ```
//!
//! `/sys/block/md*/md` adds how many disks an array has and how many it lacks. An array whose lines are odd is
//! blamed and left out, the others are told.

use model::Batch;

use crate::collector::{Collector, CollectorInfo};
use crate::error::{CollectError, Troubles};
use crate::host::{Host, Names, Reader};
use crate::number;
use crate::sheet::{Head, Sheet, gauge};
use crate::single::unsigned;

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "mdadm",
    default_on: true,
    make: |_| Ok(Box::new(Mdadm::default())),
    flags: &[],
    doc: "State, disks and progress of each software RAID from `/proc/mdstat` and `/sys/block`.",
};

const DEVICE: &[&str] = &["device"];
const STATE: &[&str] = &["device", "state"];
static BLOCKS: Head = gauge("node_md_blocks", "Total number of blocks on device.", DEVICE);
static SYNCED: Head = gauge("node_md_blocks_synced", "Number of blocks synced on device.", DEVICE);
static DISKS: Head = gauge("node_md_disks", "Number of active/failed/spare disks of device.", STATE);
static REQUIRED: Head = gauge("node_md_disks_required", "Total number of disks of device.", DEVICE);
static STATES: Head = gauge("node_md_state", "Indicates the state of md-device.", STATE);
static RAID_DISKS: Head = gauge("node_md_raid_disks", "Number of raid disks on device.", DEVICE);
static DEGRADED: Head = gauge("node_md_degraded", "Number of degraded disks on device.", DEVICE);

/// The states told, each 0 or 1.
const STATE_NAMES: [&str; 5] = ["active", "inactive", "recovering", "resync", "check"];

/// How many lines after an array's first one belong to it: its sizes, a bitmap, its progress.
const LINES_MAX: usize = 3;

/// Reads `/proc/mdstat` and `/sys/block`.
#[derive(Default)]
struct Mdadm {
    file: Reader,
    number: Reader,
    names: Names,
    sheet: Sheet,
}

impl Collector for Mdadm {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let Some(text) = self.file.text_if_there(&host.procfs, &["mdstat"])? else {
            return Err(CollectError::absent("an array of disks"));
        };
        let mut bad = None;
        for (at, (line, rest)) in lines_with_rest(text).enumerate().filter(|(_, (line, _))| is_array(line)) {
            match parse_array(line, rest) {
                Some(array) => put(&array, &mut self.sheet),
                None => {
                    bad.get_or_insert(at + 1);
                }
            }
        }
        let mut troubles = Troubles::default();
        troubles.note(Troubles::of_line(&self.file, bad, "an array, its blocks and its disks"));
        troubles.note(self.names.list_if_there(&host.sysfs, &["block"]));
        for device in self.names.iter().filter(|name| name.starts_with("md")) {
            let mut number = |file| {
                troubles.note(unsigned(&mut self.number, &host.sysfs, &["block/", device, "/md/", file])).flatten()
            };
            let Some(disks) = number("raid_disks") else { continue };
            // Only levels with redundancy can be degraded, and only they have the file.
            let degraded = number("degraded").unwrap_or(0.0);
            self.sheet.put(&DEGRADED, &[device], degraded);
            // What holds arrays, or is none yet, has no disks of its own.
            let level = self.number.word(&host.sysfs, &["block/", device, "/md/level"]);
            if !matches!(troubles.note(level).flatten(), Some("" | "container")) {
                self.sheet.put(&RAID_DISKS, &[device], disks);
            }
        }
        self.sheet.tell(out);
        troubles.finish()
    }
}

/// One array of `/proc/mdstat`.
#[derive(Debug, PartialEq)]
struct Array<'a> {
    name: &'a str,
    state: &'a str,
    active: u64,
    required: u64,
    failed: usize,
    spare: usize,
    blocks: u64,
    synced: u64,
}

fn put(array: &Array<'_>, sheet: &mut Sheet) {
    let name = array.name;
    sheet.put(&BLOCKS, &[name], array.blocks as f64);
    sheet.put(&SYNCED, &[name], array.synced as f64);
    sheet.put(&REQUIRED, &[name], array.required as f64);
    sheet.put(&DISKS, &[name, "active"], array.active as f64);
    sheet.put(&DISKS, &[name, "failed"], array.failed as f64);
    sheet.put(&DISKS, &[name, "spare"], array.spare as f64);
    for state in STATE_NAMES {
        sheet.put(&STATES, &[name, state], f64::from(u8::from(state == array.state)));
    }
}

/// Returns each line with all that follows it.
fn lines_with_rest(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let line;
        (line, rest) = rest.split_once('\n').unwrap_or((rest, ""));
        (!line.is_empty() || !rest.is_empty()).then_some((line, rest))
    })
}

fn is_array(line: &str) -> bool {
    let other = [" ", "Personalities", "unused"];
    !line.trim().is_empty() && !other.iter().any(|prefix| line.starts_with(prefix))
}

/// Reads an array from its first line and what follows it.
fn parse_array<'a>(line: &'a str, rest: &str) -> Option<Array<'a>> {
    let mut fields = line.split_ascii_whitespace();
    let name = fields.next()?;
    let state = fields.nth(1)?;
    let mut own = rest.lines().take(LINES_MAX).take_while(|line| line.starts_with(' '));
    let (blocks, required, active) = parse_sizes(line, own.next()?)?;
    let (failed, spare) = (line.matches("(F)").count(), line.matches("(S)").count());
    let mut array = Array { name, state, active, required, failed, spare, blocks, synced: blocks };
    let Some(progress) = own.find(|line| !line.contains("bitmap")) else { return Some(array) };
    let doing = [("recovery", "recovering"), ("reshape", "reshaping"), ("check", "check"), ("resync", "resync")];
    if let Some((_, state)) = doing.iter().find(|(word, _)| progress.contains(word)) {
        array.state = state;
        let is_waiting = progress.contains("PENDING") || progress.contains("DELAYED");
        array.synced = if is_waiting { 0 } else { parse_progress(progress)? };
    }
    Some(array)
}

/// Reads how many blocks an array has, how many disks it wants, and how many it has:
/// `195310144 blocks super 1.2 [2/1] [U_]`.
fn parse_sizes(array: &str, line: &str) -> Option<(u64, u64, u64)> {
    let blocks = number::unsigned(line.split_ascii_whitespace().next()?)?;
    if array.contains("raid0") || array.contains("linear") {
        let disks = array.matches('[').count() as u64;
        return Some((blocks, disks, disks));
    }
    if array.contains("inactive") {
        return Some((blocks, 0, 0));
    }
    let mut brackets = line.split('[').skip(1).filter_map(|rest| rest.split_once(']')).map(|(inside, _)| inside);
    let (required, active) = brackets.find_map(|inside| inside.split_once('/'))?;
    Some((blocks, number::unsigned(required)?, number::unsigned(active)?))
}

/// Reads how many blocks are done: `(16775552/195310144)`.
fn parse_progress(line: &str) -> Option<u64> {
    let (done, _) = line.split_once('(')?.1.split_once('/')?;
    number::unsigned(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(state: &'static str, active: u64, required: u64, blocks: u64, synced: u64) -> Option<Array<'static>> {
        Some(Array { name: "md1", state, active, required, failed: 0, spare: 0, blocks, synced })
    }

    #[test]
    fn an_array_has_a_state_disks_and_blocks() {
        let read = |first, rest| parse_array(first, rest);
        assert_eq!(read("md1 : active raid1 a[0] b[1]", "  9 blocks [2/1] [U_]\n"), array("active", 1, 2, 9, 9));
        assert_eq!(read("md1 : active raid0 a[0] b[1]", "  9 blocks 64k chunks\n"), array("active", 2, 2, 9, 9));
        assert_eq!(read("md1 : inactive a[0]", "  9 blocks super\n"), array("inactive", 0, 0, 9, 9));
        let check = "  9 blocks [2/2] [UU]\n  [=>..] check =  5.7% (4/9) finish=0.2min speed=1K/sec\n";
        assert_eq!(read("md1 : active raid1 a[0] b[1]", check), array("check", 2, 2, 9, 4));
        let waiting = "  9 blocks [2/2] [UU]\n  bitmap: 0/1 pages [0KB]\n  resync=PENDING\n";
        assert_eq!(read("md1 : active raid1 a[0] b[1]", waiting), array("resync", 2, 2, 9, 0));
        for bad in ["", "\n  9 blocks [2/2] [UU]", "  x blocks", "  9 blocks", "  9 blocks [2]"] {
            assert_eq!(read("md1 : active raid1 a[0]", bad), None, "{bad:?}");
        }
    }

    #[test]
    fn lines_come_with_what_follows() {
        let found: Vec<_> = lines_with_rest("a\n\nb").collect();
        assert_eq!(found, [("a", "\nb"), ("", "b"), ("b", "")]);
        assert!(is_array("md0 : x") && !is_array("unused devices: <none>") && !is_array("  9 blocks"));
    }
}
