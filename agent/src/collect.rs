//! The collect thread: reads the machine when it is time, and when somebody asks for fresh metrics.
//!
//! It may block (a file that hangs stalls this thread and nothing else), and owns no state that anyone else needs.
//! Batches go to core filled and come back to be filled again, so a steady machine allocates nothing. Everybody who
//! asks for `/metrics` while a collection is on its way shares its text.
//!
//! Collections are spaced by elapsed time; one that was missed, because the machine slept or a reader hung, is not
//! made up for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use exporters::{Lane, Selection};
use model::{Batch, Clock, Mono, Now};

use crate::gpio::GpioView;
use crate::os::clock::monotonic_ns;
use crate::trouble::Trouble;
use crate::web::{MetricsReply, SelectedReply};

/// The stack of the collect thread, in bytes.
const STACK_BYTES: usize = 512 << 10;
/// How many may wait for fresh metrics; more are turned away at once. They pile up only when a reader hangs.
const READERS_MAX: usize = 64;
/// How many batches are kept to be filled again.
const SPARE_BATCHES_MAX: usize = 2;

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
    /// Make a fresh collection and reply with its text.
    Metrics(MetricsReply),
    /// Ask some collectors, store nothing, and reply with their text.
    Selected(Selection, SelectedReply),
    /// Print a collection that core has completed, reply, and keep the batch.
    Print(Batch, Vec<MetricsReply>),
    /// Keep a batch for the next collection.
    Spare(Batch),
    /// Read with these collectors at this interval from now on.
    Change(Box<Lane>, u64),
}

/// Speaks to the collect thread.
#[derive(Clone)]
pub struct Collect {
    asks: Sender<Ask>,
    readers: Arc<AtomicUsize>,
}

/// A place among those who wait for fresh metrics, given back when the reply is made or thrown away.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Collect {
    /// Starts the thread; `tell` is called with each collection.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        lane: Lane,
        interval_ms: u64,
        gpio: Option<Arc<Mutex<GpioView>>>,
        clock: Arc<dyn Clock + Send + Sync>,
        tell: Box<dyn Fn(Collection) + Send>,
    ) -> std::io::Result<Collect> {
        let (asks, asked) = channel();
        let worker = Worker {
            lane,
            interval_ms,
            next: clock.now().mono,
            gpio,
            clock,
            spare: Vec::new(),
            readers: Vec::new(),
            printing: false,
            troubles: BTreeMap::new(),
            writer: exposition::TextWriter::new(),
            tell,
        };
        std::thread::Builder::new()
            .name("collect".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || worker.run(&asked))?;
        Ok(Collect { asks, readers: Arc::default() })
    }

    /// Asks for fresh metrics; the reply is thrown away at once when too many wait already.
    pub fn ask_metrics(&self, reply: MetricsReply) {
        let place = Place(self.readers.clone());
        if self.readers.fetch_add(1, Ordering::Relaxed) < READERS_MAX {
            self.ask(Ask::Metrics(Box::new(move |text| {
                drop(place);
                reply(text);
            })));
        }
    }

    /// Asks some collectors; the reply is thrown away at once when too many wait already.
    pub fn ask_selected(&self, selection: Selection, reply: SelectedReply) {
        let place = Place(self.readers.clone());
        if self.readers.fetch_add(1, Ordering::Relaxed) < READERS_MAX {
            self.ask(Ask::Selected(
                selection,
                Box::new(move |text| {
                    drop(place);
                    reply(text);
                }),
            ));
        }
    }

    /// Asks for something.
    pub fn ask(&self, ask: Ask) {
        // The thread ends only with the process, so the channel is open.
        let _ = self.asks.send(ask);
    }
}

struct Worker {
    lane: Lane,
    interval_ms: u64,
    next: Mono,
    gpio: Option<Arc<Mutex<GpioView>>>,
    clock: Arc<dyn Clock + Send + Sync>,
    spare: Vec<Batch>,
    /// Who waits for the collection after the one that is on its way.
    readers: Vec<MetricsReply>,
    /// Whether a collection for readers is on its way through core.
    printing: bool,
    /// What was said of collectors that fail.
    troubles: BTreeMap<&'static str, Trouble>,
    writer: exposition::TextWriter,
    tell: Box<dyn Fn(Collection) + Send>,
}

impl Worker {
    fn run(mut self, asked: &Receiver<Ask>) {
        loop {
            let wait_ms = self.next.since_ms(self.clock.now().mono);
            match asked.recv_timeout(Duration::from_millis(wait_ms)) {
                Ok(ask) => self.handle(ask),
                Err(RecvTimeoutError::Timeout) => self.collect_if_due(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn handle(&mut self, ask: Ask) {
        match ask {
            Ask::Metrics(reply) => {
                self.readers.push(reply);
                self.collect_for_readers();
            }
            Ask::Print(batch, readers) => {
                let mut text = String::new();
                self.writer.write(&batch, &mut text);
                for reply in readers {
                    reply(text.clone());
                }
                self.keep(batch);
                self.printing = false;
                self.collect_for_readers();
            }
            Ask::Selected(selection, reply) => reply(self.collect_selected(&selection)),
            Ask::Spare(batch) => self.keep(batch),
            Ask::Change(lane, interval_ms) => {
                self.lane = *lane;
                self.interval_ms = interval_ms;
                self.next = self.clock.now().mono;
            }
        }
        self.collect_if_due();
    }

    fn collect_for_readers(&mut self) {
        if !self.printing && !self.readers.is_empty() {
            self.printing = true;
            let readers = std::mem::take(&mut self.readers);
            self.collect(readers);
        }
    }

    fn collect_if_due(&mut self) {
        let now = self.clock.now().mono;
        if now < self.next {
            return;
        }
        // Keep the rhythm; what was missed is not invented.
        let missed = now.since_ms(self.next) / self.interval_ms;
        self.next = self.next.plus_ms((missed + 1) * self.interval_ms);
        self.collect(Vec::new());
    }

    fn collect(&mut self, readers: Vec<MetricsReply>) {
        let mut batch = self.spare.pop().unwrap_or_default();
        let now = self.clock.now();
        let began = monotonic_ns();
        self.lane.collect(&mut monotonic_ns);
        self.log_failures(now.mono);
        self.lane.swap_batch(&mut batch);
        if let Some(gpio) = &self.gpio {
            gpio.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).add_to(&mut batch);
        }
        let seconds = (monotonic_ns() - began) as f64 / 1e9;
        (self.tell)(Collection { now, batch, seconds, readers });
    }

    /// Asks some collectors and prints what they say. It goes past core, because nothing of it is to be stored.
    fn collect_selected(&mut self, selection: &Selection) -> Result<String, String> {
        selection.check(&self.lane)?;
        let mut text = String::new();
        let batch = self.lane.collect_some(&|name| selection.wants(name), &mut monotonic_ns);
        self.writer.write(batch, &mut text);
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
mod tests {
    use super::*;

    /// A collector that hangs must not let requests for `/metrics` pile up for as long as it hangs.
    #[test]
    fn those_who_wait_for_a_reader_that_hangs_are_bounded() {
        let (asks, asked) = channel();
        let collect = Collect { asks, readers: Arc::default() };
        for _ in 0..1_000 {
            collect.ask_metrics(Box::new(|_| {}));
        }
        let waiting: Vec<Ask> = asked.try_iter().collect();
        assert_eq!(waiting.len(), READERS_MAX);
        drop(waiting);
        collect.ask_metrics(Box::new(|_| {}));
        assert_eq!(asked.try_iter().count(), 1, "a place was given back");
    }
}
