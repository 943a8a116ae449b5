//! `node_processes_*`: how many processes and threads there are, by state, and how many there may be.
//!
//! ```text
//! 17 (khungtaskd) S 2 0 0 0 -1 2129984 ...   <- /proc/17/stat, kernel 6.1; the state follows the last bracket,
//!                                               the number of threads is 17 fields later
//! ```
//!
//! One file a process and one a thread are read, so this is off by default. A process that ends meanwhile is not
//! counted.

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo};
use crate::error::{CollectError, Troubles};
use crate::host::{Host, Names, Reader};
use crate::number::unsigned;
use crate::single;

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "processes",
    default_on: false,
    make: |_| Ok(Box::new(Processes::default())),
    flags: &[],
    doc: "Processes and threads by state, and their limits, from `/proc/*/stat` and `/proc/sys/kernel`.",
};

/// How many fields after the state the number of threads stands.
const THREADS_FIELD: usize = 17;

/// Reads `/proc`, every process and every thread.
#[derive(Default)]
struct Processes {
    pids: Names,
    tasks: Names,
    file: Reader,
    text: String,
}

impl Collector for Processes {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let mut troubles = Troubles::default();
        self.pids.list(&host.procfs, &[])?;
        let (mut pids, mut threads) = (0, 0_u64);
        let (mut processes_in, mut threads_in) = ([0; 128], [0; 128]);
        for pid in self.pids.iter().filter(|name| unsigned(name).is_some()) {
            let stat = read_stat(&mut self.file, &mut self.text, host, &[pid, "/stat"]);
            let Some(Some((state, count))) = troubles.note(stat) else { continue };
            pids += 1;
            threads = threads.saturating_add(count);
            processes_in[state] += 1;
            if troubles.note(self.tasks.list_if_there(&host.procfs, &[pid, "/task"])) != Some(true) {
                continue;
            }
            for task in self.tasks.iter() {
                let stat = read_stat(&mut self.file, &mut self.text, host, &[pid, "/task/", task, "/stat"]);
                if let Some(Some((state, _))) = troubles.note(stat) {
                    threads_in[state] += 1;
                }
            }
        }
        tell(out, "node_processes_pids", "Number of PIDs", pids as f64);
        tell(out, "node_processes_threads", "Allocated threads in system", threads as f64);
        tell_states(out, "node_processes_state", "Number of processes in each state.", "state", &processes_in);
        let help = "Number of threads in each state.";
        tell_states(out, "node_processes_threads_state", help, "thread_state", &threads_in);
        for (file, name, help) in [
            ("sys/kernel/pid_max", "node_processes_max_processes", "Number of max PIDs limit"),
            ("sys/kernel/threads-max", "node_processes_max_threads", "Limit of threads in the system"),
        ] {
            if let Some(limit) = troubles.note(single::unsigned(&mut self.file, &host.procfs, &[file])).flatten() {
                tell(out, name, help, limit);
            }
        }
        troubles.finish()
    }
}

fn tell(out: &mut Batch, name: &str, help: &str, value: f64) {
    out.family(name, help, MetricKind::Gauge);
    out.add(&[], value);
}

/// Tells a count for each letter that stands for a state.
fn tell_states(out: &mut Batch, name: &str, help: &str, label: &str, counts: &[u64; 128]) {
    out.family(name, help, MetricKind::Gauge);
    for (letter, count) in (0_u8..).zip(counts).filter(|(_, count)| **count > 0) {
        out.add(&[(label, char::from(letter).encode_utf8(&mut [0; 4]))], *count as f64);
    }
}

/// Reads the state and the number of threads of one process; `None` when it has ended.
fn read_stat(
    file: &mut Reader,
    text: &mut String,
    host: &Host,
    parts: &[&str],
) -> Result<Option<(usize, u64)>, CollectError> {
    text.clear();
    match file.label(&host.procfs, parts, text)?.then(|| parse(text)) {
        Some(None) => Err(file.malformed(1, "`pid (name) state` and at least 17 more fields")),
        found => Ok(found.flatten()),
    }
}

/// Returns the letter of the state and the number of threads. A name may hold blanks and brackets.
fn parse(text: &str) -> Option<(usize, u64)> {
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
    let [letter] = fields.next()?.as_bytes() else { return None };
    let threads = unsigned(fields.nth(THREADS_FIELD - 1)?)?;
    letter.is_ascii_graphic().then_some((usize::from(*letter), threads))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_follows_the_last_bracket() {
        let rest = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 20 0";
        assert_eq!(parse(&format!("7 (a) b) c) R {rest}")), Some((usize::from(b'R'), 20)));
        for bad in ["", "7 (a) ", "7 (a) S", "7 a S 1", "7 (a) SS 1", &format!("7 (a) \u{fffd} {rest}")] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
