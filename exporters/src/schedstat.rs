//! `node_schedstat_*_total`: how long each CPU ran tasks, how long tasks waited for it, and how often it switched.
//!
//! ```text
//! version 15                                       <- /proc/schedstat, x86-64, kernel 4.18
//! cpu0 498494191 0 3533438552 2553969831 3853684107 2465731542 2045936778163039 343796328169361 4767485306
//! ```
//!
//! The last three numbers are told: running and waiting in nanoseconds, and time slices. Kernels built without it
//! have no such file, which is a fact. A CPU's line that is odd is reported; the peer leaves it out silently.

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo};
use crate::error::CollectError;
use crate::host::{Host, Reader};
use crate::number::{Decimal, unsigned};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "schedstat",
    default_on: true,
    make: |_| Ok(Box::new(Schedstat::default())),
    flags: &[],
    doc: "How long each CPU ran tasks and how long they waited for it, from `/proc/schedstat`.",
};

/// The metric, its help, and what turns the kernel's number into its unit.
const FAMILIES: [(&str, &str, f64); 3] = [
    ("node_schedstat_running_seconds_total", "Number of seconds CPU spent running a process.", 1e9),
    ("node_schedstat_waiting_seconds_total", "Number of seconds spent by processing waiting for this CPU.", 1e9),
    ("node_schedstat_timeslices_total", "Number of timeslices executed by CPU.", 1.0),
];

/// The most CPUs told; what is more is left out and blamed.
const CPUS_MAX: usize = 4_096;

/// Reads `/proc/schedstat`.
#[derive(Default)]
struct Schedstat {
    file: Reader,
    cpus: Vec<(u64, [u64; 3])>,
}

impl Collector for Schedstat {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let Some(text) = self.file.kept_text_if_there(&host.procfs, "schedstat")? else {
            return Err(CollectError::absent("statistics of the scheduler"));
        };
        let bad_line = parse(text, &mut self.cpus);
        for (at, (name, help, unit)) in FAMILIES.iter().enumerate() {
            out.family(name, help, MetricKind::Counter);
            for (cpu, counts) in &self.cpus {
                out.add(&[("cpu", Decimal::new(*cpu).as_str())], counts[at] as f64 / unit);
            }
        }
        match bad_line {
            Some(line) => Err(self.file.malformed(line, "`cpuN` and nine numbers")),
            None => Ok(()),
        }
    }
}

/// Reads the lines of CPUs, each once; returns the first odd one.
fn parse(text: &str, cpus: &mut Vec<(u64, [u64; 3])>) -> Option<usize> {
    cpus.clear();
    let mut bad = None;
    for (at, line) in text.lines().enumerate() {
        let Some(rest) = line.strip_prefix("cpu") else { continue };
        let found = parse_line(rest).filter(|_| cpus.len() < CPUS_MAX);
        match found.filter(|(cpu, _)| cpus.last().is_none_or(|(last, _)| last < cpu)) {
            Some(found) => cpus.push(found),
            None => {
                bad.get_or_insert(at + 1);
            }
        }
    }
    bad
}

fn parse_line(rest: &str) -> Option<(u64, [u64; 3])> {
    let mut fields = rest.split_ascii_whitespace();
    let cpu = unsigned(fields.next()?)?;
    let mut counts = [0; 9];
    for count in &mut counts {
        *count = unsigned(fields.next()?)?;
    }
    Some((cpu, [counts[6], counts[7], counts[8]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_three_of_nine_numbers_are_read() {
        let mut cpus = Vec::new();
        let text =
            "version 15\ntimestamp 1\ncpu0 1 2 3 4 5 6 7 8 9\ndomain0 1 2\ncpu1 1 2\ncpu2 1 2 3 4 5 6 17 18 19\n";
        assert_eq!(parse(text, &mut cpus), Some(5));
        assert_eq!(cpus, [(0, [7, 8, 9]), (2, [17, 18, 19])]);
        assert_eq!(parse("", &mut cpus), None);
        assert!(cpus.is_empty());
    }

    #[test]
    fn a_cpu_is_told_once() {
        let mut cpus = Vec::new();
        let line = "cpu3 1 2 3 4 5 6 7 8 9\n";
        assert_eq!(parse(&[line, line].concat(), &mut cpus), Some(2));
        assert_eq!(cpus.len(), 1);
    }
}
