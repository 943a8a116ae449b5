//! The lane for lines that must be waited for: a thread that blocks on GPIO edges and counts them.
//!
//! It owns the lines; the collection owns the rhythm. Between the two lies a [`GpioView`]: the rows of the last look,
//! renewed soon after an edge and at least once an interval, which a collection copies without waiting for hardware.
//! A line that chatters is counted in full and costs at most a few looks a second.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use exporters::Host;
use exporters::gpio::{self, GpioLane, LineId};
use model::{Batch, Labels, Mono};

use crate::config::GpioLine;
use crate::os::clock::boottime;

/// The stack of the GPIO thread, in bytes.
const STACK_BYTES: usize = 128 << 10;
/// How soon after an edge, at least, the lines are looked at again, in milliseconds.
const LOOK_MS_MIN: u64 = 200;

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
    let host = Host { dev: dev.to_owned(), ..Host::default() };
    let lines: Vec<gpio::GpioLine> = lines.iter().map(believed).collect();
    let lane = match GpioLane::open(&host, &lines) {
        Ok(lane) => lane,
        Err(error) => {
            log::warn!("gpio: {}: no line is watched", crate::cli::chain(&error));
            return None;
        }
    };
    let view = Arc::new(Mutex::new(GpioView::default()));
    let shown = view.clone();
    let watch = move || watch(lane, &shown, interval_ms);
    match std::thread::Builder::new().name("gpio".to_owned()).stack_size(STACK_BYTES).spawn(watch) {
        Ok(_) => Some(view),
        Err(error) => {
            log::error!("gpio: starting a thread: {error}");
            None
        }
    }
}

fn watch(mut lane: GpioLane, shown: &Mutex<GpioView>, interval_ms: u64) {
    let mut looked: Option<Mono> = None;
    loop {
        let now = boottime();
        let due_in_ms = looked.map_or(0, |looked| looked.plus_ms(LOOK_MS_MIN).since_ms(now));
        if due_in_ms == 0 {
            look(&mut lane, shown);
            looked = Some(now);
        }
        let timeout_ms = if due_in_ms == 0 { interval_ms } else { due_in_ms };
        if let Err(error) = lane.wait(Duration::from_millis(timeout_ms)) {
            log::error!("gpio: {}: the lines are watched no more", crate::cli::chain(&error));
            return;
        }
    }
}

fn look(lane: &mut GpioLane, shown: &Mutex<GpioView>) {
    let mut view = shown.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    view.batch.clear();
    if let Err(error) = lane.collect(&mut view.batch) {
        log::debug!("gpio: {}", crate::cli::chain(&error));
    }
}

fn believed(line: &GpioLine) -> gpio::GpioLine {
    gpio::GpioLine {
        chip: Some(line.chip.clone()),
        line: LineId::Offset(line.line),
        name: line.name.clone(),
        edges: line.edges,
        bias: line.bias,
        active_low: line.active_low,
        debounce_ms: line.debounce_ms as u32,
    }
}
