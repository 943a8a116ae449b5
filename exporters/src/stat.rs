//! `node_intr_total`, `node_context_switches_total`, `node_forks_total`, `node_boot_time_seconds`,
//! `node_procs_running`, `node_procs_blocked`, and `node_softirqs_total` when asked for.
//!
//! ```text
//! intr 2607347530 0 16 79887228    <- /proc/stat, Raspberry Pi 4, kernel 6.6
//! btime 1788301884
//! softirq 879792097 48345988 98293026 63778314 16777724 74523040 89919476 2488103 16611803 13245783 19272131
//! ```
//!
//! A line that is missing counts as 0, as with the peer; a line that is odd is reported and left out.

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo, FlagInfo};
use crate::error::{CollectError, Troubles};
use crate::host::Host;
use crate::number::unsigned;

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "stat",
    default_on: true,
    make: |settings| Ok(Box::new(Stat { softirq: settings.switch(SOFTIRQ.name, false)? })),
    flags: &[SOFTIRQ],
    doc: "Interrupts, context switches, forks, boot time and running processes from `/proc/stat`.",
};

const SOFTIRQ: FlagInfo =
    FlagInfo { name: "collector.stat.softirq", default: "false", help: "Export softirq calls per vector" };

/// The kernel's key, the metric, its help, its kind.
const FAMILIES: [(&str, &str, &str, MetricKind); 6] = [
    ("intr", "node_intr_total", "Total number of interrupts serviced.", MetricKind::Counter),
    ("ctxt", "node_context_switches_total", "Total number of context switches.", MetricKind::Counter),
    ("processes", "node_forks_total", "Total number of forks.", MetricKind::Counter),
    ("btime", "node_boot_time_seconds", "Node boot time, in unixtime.", MetricKind::Gauge),
    ("procs_running", "node_procs_running", "Number of processes in runnable state.", MetricKind::Gauge),
    (
        "procs_blocked",
        "node_procs_blocked",
        "Number of processes blocked waiting for I/O to complete.",
        MetricKind::Gauge,
    ),
];

/// The vectors in the order of the line, after the total.
const VECTORS: [&str; 10] =
    ["hi", "timer", "net_tx", "net_rx", "block", "block_iopoll", "tasklet", "sched", "hrtimer", "rcu"];

/// Reads `/proc/stat`, but for the CPUs' times.
struct Stat {
    softirq: bool,
}

impl Collector for Stat {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let mut shared = host.shared.borrow_mut();
        let found = parse(shared.stat(host)?);
        for ((_, name, help, kind), value) in FAMILIES.iter().zip(found.values) {
            if let Some(value) = value {
                out.family(name, help, *kind);
                out.add(&[], value as f64);
            }
        }
        if self.softirq {
            out.family("node_softirqs_total", "Number of softirq calls.", MetricKind::Counter);
            for (vector, calls) in VECTORS.iter().zip(found.softirqs) {
                out.add(&[("vector", vector)], calls as f64);
            }
        }
        let mut troubles = Troubles::default();
        if let Some(line) = found.bad_line {
            troubles.note::<()>(Err(shared.stat.malformed(line, "a key and a number")));
        }
        troubles.finish()
    }
}

/// What the file says; `None` stands for a line that is odd.
#[derive(Debug, PartialEq)]
struct Found {
    values: [Option<u64>; FAMILIES.len()],
    softirqs: [u64; VECTORS.len()],
    bad_line: Option<usize>,
}

fn parse(text: &str) -> Found {
    let mut found = Found { values: [Some(0); FAMILIES.len()], softirqs: [0; VECTORS.len()], bad_line: None };
    for (at, line) in text.lines().enumerate() {
        let mut fields = line.split_ascii_whitespace();
        let Some(key) = fields.next() else { continue };
        let mut good = true;
        if key == "softirq" {
            for (slot, field) in found.softirqs.iter_mut().zip(fields.skip(1)) {
                let value = unsigned(field);
                good &= value.is_some();
                *slot = value.unwrap_or(0);
            }
        } else if let Some(index) = FAMILIES.iter().position(|family| family.0 == key) {
            found.values[index] = fields.next().and_then(unsigned);
            good = found.values[index].is_some();
        }
        if !good {
            found.bad_line.get_or_insert(at + 1);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_lines_are_zero_and_odd_ones_are_blamed() {
        let found = parse("cpu  1 2\nintr 9 1 2\nctxt x\nsoftirq 6 1 2 3\n");
        assert_eq!(found.values, [Some(9), None, Some(0), Some(0), Some(0), Some(0)]);
        assert_eq!(found.softirqs[..4], [1, 2, 3, 0]);
        assert_eq!(found.bad_line, Some(3));
        assert_eq!(parse("").bad_line, None);
    }
}
