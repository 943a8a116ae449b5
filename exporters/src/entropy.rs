//! `node_entropy_available_bits`, `node_entropy_pool_size_bits`: what the kernel's random number generator holds.
//!
//! ```text
//! entropy_avail  256        <- /proc/sys/kernel/random, Raspberry Pi 4, kernel 6.6
//! poolsize       256
//! ```
//!
//! A file that is missing is reported and the other one told; the peer tells nothing more after the first.

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo};
use crate::error::{CollectError, Troubles};
use crate::host::{Host, Reader};
use crate::number::unsigned;

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "entropy",
    default_on: true,
    make: |_| Ok(Box::new(Entropy::default())),
    flags: &[],
    doc: "Bits of entropy that the random number generator has, and may have.",
};

/// The file, the metric, its help.
const FILES: [(&str, &str, &str); 2] = [
    ("sys/kernel/random/entropy_avail", "node_entropy_available_bits", "Bits of available entropy."),
    ("sys/kernel/random/poolsize", "node_entropy_pool_size_bits", "Bits of entropy pool."),
];

/// Reads `/proc/sys/kernel/random`.
#[derive(Default)]
struct Entropy {
    files: [Reader; FILES.len()],
}

impl Collector for Entropy {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let mut troubles = Troubles::default();
        for (file, (path, name, help)) in self.files.iter_mut().zip(FILES) {
            let Some(text) = troubles.note(file.kept_text(&host.procfs, path)) else { continue };
            let bits = unsigned(text.trim()).ok_or_else(|| file.malformed(1, "a number of bits"));
            if let Some(bits) = troubles.note(bits) {
                out.family(name, help, MetricKind::Gauge);
                out.add(&[], bits as f64);
            }
        }
        troubles.finish()
    }
}
