//! `node_softnet_*`: packets each CPU processed or dropped, and how often it ran out of time for them.
//!
//! ```text
//! 00049279 00000000 00000001 0 0 0 0 0 00000000 00000000 00000000    <- /proc/net/softnet_stat, a line a CPU
//! processed dropped squeezed - - - - - collision rps     flow_limit [backlog cpu ...]
//! ```
//!
//! Newer kernels print thirteen and more columns and name the CPU; older ones print a line for each CPU that is
//! online. A short line is reported and the other CPUs told, where the peer tells none.

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo};
use crate::error::CollectError;
use crate::host::{Host, Reader};
use crate::number::Decimal;

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "softnet",
    default_on: true,
    make: |_| Ok(Box::new(Softnet::default())),
    flags: &[],
    doc: "Packets each CPU processed, dropped or had no time for, from `/proc/net/softnet_stat`.",
};

/// The column, the metric, its help, its kind.
const FAMILIES: [(usize, &str, &str, MetricKind); 7] = [
    (0, "node_softnet_processed_total", "Number of processed packets", MetricKind::Counter),
    (1, "node_softnet_dropped_total", "Number of dropped packets", MetricKind::Counter),
    (
        2,
        "node_softnet_times_squeezed_total",
        "Number of times processing packets ran out of quota",
        MetricKind::Counter,
    ),
    (
        8,
        "node_softnet_cpu_collision_total",
        "Number of collision occur while obtaining device lock while transmitting",
        MetricKind::Counter,
    ),
    (9, "node_softnet_received_rps_total", "Number of times cpu woken up received_rps", MetricKind::Counter),
    (10, "node_softnet_flow_limit_count_total", "Number of times flow limit has been reached", MetricKind::Counter),
    (11, "node_softnet_backlog_len", "Softnet backlog status", MetricKind::Gauge),
];

/// How many columns are read; the last names the CPU.
const COLUMNS: usize = 13;

/// With fewer columns a line is odd.
const COLUMNS_MIN: usize = 9;

/// The most CPUs told; what is more is left out and blamed.
const CPUS_MAX: usize = 4_096;

/// Reads `/proc/net/softnet_stat`.
#[derive(Default)]
struct Softnet {
    file: Reader,
    cpus: Vec<[u32; COLUMNS]>,
}

impl Collector for Softnet {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let bad_line = parse(self.file.kept_text(&host.procfs, "net/softnet_stat")?, &mut self.cpus);
        for (column, name, help, kind) in FAMILIES {
            out.family(name, help, kind);
            for counts in &self.cpus {
                out.add(&[("cpu", Decimal::new(counts[COLUMNS - 1].into()).as_str())], f64::from(counts[column]));
            }
        }
        match bad_line {
            Some(line) => Err(self.file.malformed(line, "at least nine hexadecimal numbers")),
            None => Ok(()),
        }
    }
}

/// Reads a line for each CPU, each CPU once; returns the first odd one.
fn parse(text: &str, cpus: &mut Vec<[u32; COLUMNS]>) -> Option<usize> {
    cpus.clear();
    let mut bad = None;
    for (at, line) in text.lines().enumerate() {
        let found = parse_line(line, at).filter(|_| cpus.len() < CPUS_MAX);
        let is_new = |counts: &[u32; COLUMNS]| cpus.last().is_none_or(|last| last[COLUMNS - 1] < counts[COLUMNS - 1]);
        match found.filter(is_new) {
            Some(counts) => cpus.push(counts),
            None => {
                bad.get_or_insert(at + 1);
            }
        }
    }
    bad
}

fn parse_line(line: &str, at: usize) -> Option<[u32; COLUMNS]> {
    let mut counts = [0; COLUMNS];
    let mut width = 0;
    for (count, field) in counts.iter_mut().zip(line.split_ascii_whitespace()) {
        *count = u32::from_str_radix(field, 16).ok()?;
        width += 1;
    }
    if width < COLUMNS {
        counts[COLUMNS - 1] = at as u32;
        counts[COLUMNS - 2] = 0;
    }
    (width >= COLUMNS_MIN).then_some(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_all_widths_are_read() {
        let nine = parse_line("a 1 2 3 4 5 6 7 8", 5).expect("good");
        assert_eq!((nine[0], nine[8], nine[9], nine[12]), (10, 8, 0, 5));
        let long = parse_line("a 1 2 3 4 5 6 7 8 9 a b 2 d e", 0).expect("good");
        assert_eq!((long[11], long[12]), (11, 2));
        for bad in ["", "1 2 3", "x 1 2 3 4 5 6 7 8", "100000000 1 2 3 4 5 6 7 8"] {
            assert!(parse_line(bad, 0).is_none(), "{bad:?}");
        }
        let mut cpus = Vec::new();
        assert_eq!(parse("a 1 2 3 4 5 6 7 8\n1 2\nb 1 2 3 4 5 6 7 8\n", &mut cpus), Some(2));
        assert_eq!(cpus.iter().map(|counts| (counts[12], counts[0])).collect::<Vec<_>>(), [(0, 10), (2, 11)]);
    }
}
