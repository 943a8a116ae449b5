//! `node_pressure_*_seconds_total`: how long tasks waited for CPU, storage, memory or interrupts.
//!
//! ```text
//! some avg10=0.18 avg60=0.34 avg300=0.10 total=159886802    <- /proc/pressure/io, Raspberry Pi 4, kernel 6.6 (psi=1)
//! full avg10=0.18 avg60=0.34 avg300=0.10 total=159229614       in microseconds
//! ```
//!
//! `irq` is newer than the others and may be missing. A kernel without pressure lacks all files, or refuses to open
//! them; that is a fact and no fault. A file that is odd is reported and the others told, where the peer stops.

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo};
use crate::error::{CollectError, Troubles};
use crate::host::{Host, Reader};
use crate::number::unsigned;

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "pressure",
    default_on: true,
    make: |_| Ok(Box::new(Pressure::default())),
    flags: &[],
    doc: "How long tasks waited for CPU, storage, memory or interrupts, from `/proc/pressure`.",
};

/// The file, and the metric and its help for the lines `some` and `full` where they are told.
struct Resource {
    path: &'static str,
    some: Option<(&'static str, &'static str)>,
    full: Option<(&'static str, &'static str)>,
}

const RESOURCES: [Resource; 4] = [
    Resource {
        path: "pressure/cpu",
        some: Some((
            "node_pressure_cpu_waiting_seconds_total",
            "Total time in seconds that processes have waited for CPU time",
        )),
        full: None,
    },
    Resource {
        path: "pressure/io",
        some: Some((
            "node_pressure_io_waiting_seconds_total",
            "Total time in seconds that processes have waited due to IO congestion",
        )),
        full: Some((
            "node_pressure_io_stalled_seconds_total",
            "Total time in seconds no process could make progress due to IO congestion",
        )),
    },
    Resource {
        path: "pressure/memory",
        some: Some((
            "node_pressure_memory_waiting_seconds_total",
            "Total time in seconds that processes have waited for memory",
        )),
        full: Some((
            "node_pressure_memory_stalled_seconds_total",
            "Total time in seconds no process could make progress due to memory congestion",
        )),
    },
    Resource {
        path: "pressure/irq",
        some: None,
        full: Some((
            "node_pressure_irq_stalled_seconds_total",
            "Total time in seconds no process could make progress due to IRQ congestion",
        )),
    },
];

/// Reads `/proc/pressure`.
#[derive(Default)]
struct Pressure {
    files: [Reader; RESOURCES.len()],
}

impl Collector for Pressure {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let mut troubles = Troubles::default();
        for (file, resource) in self.files.iter_mut().zip(&RESOURCES) {
            let text = match troubles.note(file.kept_text_if_there(&host.procfs, resource.path)) {
                Some(Some(text)) => text,
                Some(None) if resource.some.is_some() => {
                    troubles.note::<()>(Err(CollectError::absent("pressure stall information")));
                    continue;
                }
                _ => continue,
            };
            let [some, full] = ["some", "full"].map(|line| total(text, line));
            for (family, total) in [(resource.some, some), (resource.full, full)] {
                let Some((name, help)) = family else { continue };
                let total = total.ok_or_else(|| file.malformed(0, "lines such as `some avg10=0.00 ... total=1`"));
                if let Some(total) = troubles.note(total) {
                    out.family(name, help, MetricKind::Counter);
                    // Two divisions as with the peer, because the last digit depends on it.
                    out.add(&[], total as f64 / 1_000.0 / 1_000.0);
                }
            }
        }
        troubles.finish()
    }
}

/// Returns the total of the line that starts so, in microseconds.
fn total(text: &str, start: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(start))?;
    let total = line.split_ascii_whitespace().find_map(|field| field.strip_prefix("total="))?;
    unsigned(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_found_by_their_line() {
        let text = "some avg10=0.00 avg60=0.00 avg300=0.00 total=14036781\nfull avg10=0.00 total=x\n";
        assert_eq!([total(text, "some"), total(text, "full")], [Some(14_036_781), None]);
        assert_eq!(total("garbage\n", "some"), None);
    }
}
