//! `node_memory_numa_*`: memory of each node by use.
//!
//! ```text
//! Node 0 MemTotal:       134182340 kB        <- /sys/devices/system/node/node0/meminfo, kernel 4.14
//! numa_hit 193460335812                      <- /sys/devices/system/node/node0/numastat
//! ```
//!
//! Machines with one node have one such folder too. A line that is odd is blamed, the others are told.

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo};
use crate::error::{CollectError, Troubles};
use crate::host::{Host, Names, Reader};
use crate::number::unsigned;

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "meminfo_numa",
    default_on: false,
    make: |_| Ok(Box::new(MeminfoNuma::default())),
    flags: &[],
    doc: "Memory of each node by use, in bytes, from `/sys/devices/system/node`.",
};

const DIR: &str = "devices/system/node";
const KIB: f64 = 1_024.0;

/// Reads `/sys/devices/system/node`.
#[derive(Default)]
struct MeminfoNuma {
    names: Names,
    file: Reader,
    name: String,
    help: String,
}

impl Collector for MeminfoNuma {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let mut troubles = Troubles::default();
        troubles.note(self.names.list_if_there(&host.sysfs, &[DIR]));
        for folder in self.names.iter() {
            let Some(node) = folder.strip_prefix("node").filter(|node| unsigned(node).is_some()) else { continue };
            for (file, suffix, kind) in
                [("/meminfo", "", MetricKind::Gauge), ("/numastat", "_total", MetricKind::Counter)]
            {
                let text = self.file.text_if_there(&host.sysfs, &[DIR, "/", folder, file]);
                let Some(Some(text)) = troubles.note(text) else { continue };
                let mut bad = None;
                for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
                    let Some((key, value)) = parse_line(line) else {
                        bad.get_or_insert(at + 1);
                        continue;
                    };
                    name_after(&mut self.name, &mut self.help, key, suffix);
                    out.family(&self.name, &self.help, kind);
                    out.add(&[("node", node)], value);
                }
                troubles.note(Troubles::of_line(&self.file, bad, "a key and a number"));
            }
        }
        troubles.finish()
    }
}

/// Reads `Node 0 Active(anon): 691324 kB` or `numa_hit 1`; kilobytes become bytes.
fn parse_line(line: &str) -> Option<(&str, f64)> {
    let mut words = line.split_ascii_whitespace();
    let mut key = words.next()?;
    if key == "Node" {
        key = words.nth(1)?;
    }
    let value = unsigned(words.next()?)? as f64;
    match words.next() {
        None => Some((key, value)),
        Some("kB") => Some((key, value * KIB)),
        Some(_) => None,
    }
}

/// Makes `Active_anon` of `Active(anon):`.
fn name_after(name: &mut String, help: &mut String, key: &str, suffix: &str) {
    name.clear();
    name.push_str("node_memory_numa_");
    let start = name.len();
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    for c in key.trim_end_matches(':').trim_end_matches(')').chars() {
        name.push(if is_word(c) { c } else { '_' });
    }
    name.push_str(suffix);
    help.clear();
    help.extend(["Memory information field ", &name[start..], "."]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_key_and_a_number() {
        assert_eq!(parse_line("Node 0 Active(anon):     2 kB"), Some(("Active(anon):", 2_048.0)));
        assert_eq!(parse_line("Node 1 HugePages_Free:   3"), Some(("HugePages_Free:", 3.0)));
        assert_eq!(parse_line("numa_hit 4"), Some(("numa_hit", 4.0)));
        for bad in ["", "Node 0", "Node 0 MemFree:", "numa_hit x", "Node 0 MemFree: 1 MB"] {
            assert_eq!(parse_line(bad), None, "{bad}");
        }
    }
}
