//! The collect thread: reads the machine when it is time, and when somebody asks for fresh metrics.
//!
//! It may block: a file that hangs stalls this thread, and another takes its place (`door`). It owns no state that
//! anyone else needs.
//! Batches go to core filled and come back to be filled again, so a steady machine allocates nothing. Everybody who
//! asks for `/metrics` while a collection is on its way shares its text.
//!
//! Collections are spaced by elapsed time; one that was missed, because the machine slept or a reader hung, is not
//! made up for.

mod door;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use exporters::{Lane, Selection};
use model::{Batch, Clock, Mono, Now};

use self::door::Shown;
pub use self::door::{Collect, Lanes};
use crate::gpio::GpioView;
use crate::os::clock::monotonic_ns;
use crate::os::process::OwnProcess;
use crate::trouble::Trouble;
use crate::web::{MetricsReply, SelectedReply, gzip};

/// The stack of the collect thread, in bytes.
const STACK_BYTES: usize = 512 << 10;
/// How many batches are kept to be filled again; the lane has one more for who asks some collectors.
const SPARE_BATCHES_MAX: usize = 1;

/// One collection, on its way to core.
pub struct Collection {
    /// When it was made.
    pub now: Now,
    /// What was read.
    pub batch: Batch,
    /// How long reading took, in seconds.
    pub seconds: f64,
    /// Who asked for it as text; nobody: it is to be stored.
    pub readers: Vec<MetricsReply>,
}

/// What the collect thread is asked to do.
pub enum Ask {
    /// Make a fresh collection and reply with its text, and with its gzip if that is wanted.
    Metrics(bool, MetricsReply),
    /// Ask some collectors, store nothing, and reply with their text.
    Selected(Selection, SelectedReply),
    /// Print a collection that core has completed, reply, and keep the batch.
    Print(Batch, Vec<MetricsReply>),
    /// Keep a batch for the next collection.
    Spare(Batch),
    /// Read with these collectors at this interval from now on.
    Change(Box<Lane>, u64),
}

/// What every thread that collects is given.
#[derive(Clone)]
pub struct Around {
    /// What the lines of GPIO were seen to do.
    pub gpio: Option<Arc<Mutex<GpioView>>>,
    /// The time.
    pub clock: Arc<dyn Clock + Send + Sync>,
    /// Called with each collection.
    pub tell: Arc<dyn Fn(Collection) + Send + Sync>,
}

struct Worker {
    lane: Lane,
    interval_ms: u64,
    next: Mono,
    around: Around,
    shown: Shown,
    own: OwnProcess,
    spare: Vec<Batch>,
    /// Who waits for the collection after the one that is on its way.
    readers: Vec<MetricsReply>,
    /// Whether one of them wants gzip.
    wanted_gzip: bool,
    /// Whether a collection for readers is on its way through core, and whether one of those wants gzip.
    printing: bool,
    prints_gzip: bool,
    /// What was said of collectors that fail.
    troubles: BTreeMap<&'static str, Trouble>,
    writer: exposition::TextWriter,
    /// What was printed last, whose memory is used again when nobody reads it any more.
    text: Arc<String>,
    packed: exposition::Packed,
}

impl Worker {
    fn new(lane: Lane, interval_ms: u64, around: Around, shown: Shown) -> Worker {
        Worker {
            lane,
            interval_ms,
            next: around.clock.now().mono,
            around,
            shown,
            own: OwnProcess::new(),
            spare: Vec::new(),
            readers: Vec::new(),
            wanted_gzip: false,
            printing: false,
            prints_gzip: false,
            troubles: BTreeMap::new(),
            writer: exposition::TextWriter::new(),
            text: Arc::default(),
            packed: exposition::Packed::default(),
        }
    }

    /// Starts the thread; `ended` is called when it was given up and has come back.
    fn start(self, asked: Receiver<Ask>, ended: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        let run = move || {
            self.run(&asked);
            ended();
        };
        std::thread::Builder::new().name("collect".to_owned()).stack_size(STACK_BYTES).spawn(run).map(drop)
    }

    fn run(mut self, asked: &Receiver<Ask>) {
        while !self.is_given_up() {
            let wait_ms = self.next.since_ms(self.around.clock.now().mono);
            match asked.recv_timeout(Duration::from_millis(wait_ms)) {
                Ok(ask) => self.handle(ask),
                Err(RecvTimeoutError::Timeout) => self.collect_if_due(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn handle(&mut self, ask: Ask) {
        match ask {
            Ask::Metrics(wants_gzip, reply) => {
                self.wanted_gzip |= wants_gzip;
                self.readers.push(reply);
                self.collect_for_readers();
            }
            Ask::Print(batch, readers) => {
                self.print(&batch);
                let packed = match self.prints_gzip {
                    true => {
                        let (values, layout) = (self.writer.values(), self.writer.layout());
                        self.packed.pack(&self.text, values, layout, gzip::checksum).map(Arc::new)
                    }
                    false => None,
                };
                readers.into_iter().for_each(|reply| reply(self.text.clone(), packed.clone()));
                self.keep(batch);
                self.printing = false;
                self.collect_for_readers();
            }
            Ask::Selected(selection, reply) => reply(self.collect_selected(&selection)),
            Ask::Spare(batch) => self.keep(batch),
            Ask::Change(mut lane, interval_ms) => {
                lane.follow(&self.lane);
                self.lane = *lane;
                self.interval_ms = interval_ms;
                *self.shown.progress.lock().unwrap_or_else(PoisonError::into_inner) = self.lane.progress();
                self.is_due_at(self.around.clock.now().mono);
            }
        }
        self.collect_if_due();
    }

    /// Prints a batch.
    fn print(&mut self, batch: &Batch) {
        if Arc::get_mut(&mut self.text).is_none() {
            self.text = Arc::new(String::with_capacity(self.text.len()));
        }
        if let Some(text) = Arc::get_mut(&mut self.text) {
            text.clear();
            self.writer.write(batch, text);
        }
    }

    fn collect_for_readers(&mut self) {
        if !self.printing && !self.readers.is_empty() {
            self.printing = true;
            self.prints_gzip = std::mem::take(&mut self.wanted_gzip);
            let readers = std::mem::take(&mut self.readers);
            self.collect(readers);
        }
    }

    fn collect_if_due(&mut self) {
        let now = self.around.clock.now().mono;
        if now < self.next || self.is_given_up() {
            return;
        }
        // Keep the rhythm; what was missed is not invented.
        let missed = now.since_ms(self.next) / self.interval_ms;
        let next = self.next.plus_ms((missed + 1) * self.interval_ms);
        // What is due is shown to be so until it has been done: that is how one that hangs is seen.
        self.collect(Vec::new());
        self.is_due_at(next);
    }

    fn is_due_at(&mut self, next: Mono) {
        self.next = next;
        self.shown.due.store(next.0, Ordering::Relaxed);
    }

    /// Returns whether another has taken over, because this one hung: nobody waits for what it has.
    fn is_given_up(&self) -> bool {
        self.shown.is_given_up.load(Ordering::Relaxed)
    }

    fn collect(&mut self, readers: Vec<MetricsReply>) {
        let mut batch = self.spare.pop().unwrap_or_default();
        let now = self.around.clock.now();
        let began = monotonic_ns();
        // The lane has a batch for as long as it collects, so that there is one, and another while core has the first.
        self.lane.swap_batch(&mut batch);
        self.lane.collect(&mut monotonic_ns);
        if self.is_given_up() {
            return;
        }
        self.log_failures(now.mono);
        self.lane.swap_batch(&mut batch);
        if let Some(gpio) = &self.around.gpio {
            gpio.lock().unwrap_or_else(PoisonError::into_inner).add_to(&mut batch);
        }
        self.own.add_to(now, &mut batch);
        let seconds = (monotonic_ns() - began) as f64 / 1e9;
        (self.around.tell)(Collection { now, batch, seconds, readers });
    }

    /// Asks some collectors and prints what they say. It goes past core, because nothing of it is to be stored.
    fn collect_selected(&mut self, selection: &Selection) -> Result<String, String> {
        selection.check(&self.lane)?;
        let mut text = String::new();
        let batch = self.lane.collect_some(&|name| selection.wants(name), &mut monotonic_ns);
        // Not by the writer that keeps the layout of what everybody else asks for.
        exposition::write_text(batch, &mut text);
        Ok(text)
    }

    /// Says which collectors fail, and which do so no more. Missing hardware is a fact and no trouble.
    fn log_failures(&mut self, now: Mono) {
        let failures = self.lane.failures();
        for failure in failures {
            let (collector, error) = (failure.collector, &failure.error);
            if error.is_absent() {
                log::debug!("collector {collector}: {}", crate::cli::chain(error));
                continue;
            }
            let reason = crate::cli::chain(error);
            let trouble = self.troubles.entry(collector).or_default();
            trouble.fails(now, &reason, || log::warn!("collector {collector}: {reason}"));
        }
        self.troubles.retain(|collector, trouble| {
            let fails = failures.iter().any(|failure| failure.collector == *collector && !failure.error.is_absent());
            if !fails && trouble.heals() {
                log::info!("collector {collector}: works again");
            }
            fails
        });
    }

    fn keep(&mut self, mut batch: Batch) {
        if self.spare.len() < SPARE_BATCHES_MAX {
            batch.clear();
            self.spare.push(batch);
        }
    }
}

#[cfg(test)]
mod tests;
