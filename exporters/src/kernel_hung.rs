//! `node_kernel_hung_tasks_total`: how often the kernel found a task that hung.
//!
//! ```text
//! 0        <- /proc/sys/kernel/hung_task_detect_count, kernel 6.13
//! ```
//!
//! Kernels before 6.13 do not count and have no such file.

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo};
use crate::error::CollectError;
use crate::host::{Host, Reader};
use crate::number::unsigned;

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "kernel_hung",
    default_on: true,
    make: |_| Ok(Box::new(KernelHung::default())),
    flags: &[],
    doc: "Tasks found hanging, from `/proc/sys/kernel/hung_task_detect_count`.",
};

/// Reads the count.
#[derive(Default)]
struct KernelHung {
    file: Reader,
}

impl Collector for KernelHung {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let text = self.file.kept_text_if_there(&host.procfs, "sys/kernel/hung_task_detect_count")?;
        let text = text.ok_or_else(|| CollectError::absent("the kernel's count of hung tasks"))?;
        let Some(count) = unsigned(text.trim()) else { return Err(self.file.malformed(1, "an integer")) };
        let help = "Total number of tasks that have been detected as hung since the system booted.";
        out.family("node_kernel_hung_tasks_total", help, MetricKind::Counter);
        out.add(&[], count as f64);
        Ok(())
    }
}
