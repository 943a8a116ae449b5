//! `node_softirqs_functions_total`: soft interrupts by CPU and kind.
//!
//! ```text
//!                     CPU0       CPU1       <- /proc/softirqs, a laptop, kernel 6.1
//!           HI:          7          1
//!        TIMER:     424191     108342
//! ```
//!
//! Only the kinds that the peer knows are told.

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo};
use crate::error::{CollectError, Troubles};
use crate::host::{Host, Reader};
use crate::number::{Decimal, unsigned};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "softirqs",
    default_on: false,
    make: |_| Ok(Box::new(Softirqs::default())),
    flags: &[],
    doc: "Soft interrupts by CPU and kind from `/proc/softirqs`.",
};

const KINDS: [&str; 10] =
    ["HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU"];

/// Reads `/proc/softirqs`.
#[derive(Default)]
struct Softirqs {
    file: Reader,
}

impl Collector for Softirqs {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let mut bad = None;
        out.family("node_softirqs_functions_total", "Softirq counts per CPU.", MetricKind::Counter);
        for (at, line) in self.file.kept_text(&host.procfs, "softirqs")?.lines().enumerate() {
            let Some((kind, counts)) = line.split_once(':') else { continue };
            let Some(kind) = KINDS.iter().find(|known| **known == kind.trim()) else { continue };
            for (cpu, count) in counts.split_ascii_whitespace().enumerate() {
                match unsigned(count) {
                    Some(count) => {
                        out.add(&[("cpu", Decimal::new(cpu as u64).as_str()), ("type", kind)], count as f64);
                    }
                    None => {
                        bad.get_or_insert(at + 1);
                    }
                }
            }
        }
        Troubles::of_line(&self.file, bad, "a number for each CPU")
    }
}
