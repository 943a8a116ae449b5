//! The way to the thread that collects, and what happens when it hangs.
//!
//! One thread reads everything, because that costs least as long as nothing hangs. The loop looks here when a
//! collection is late ([`Collect::look`], which is no work and no timer in a healthy house): where one collector has
//! not come back for [`PATIENCE_MS`], its thread is left to wait for it, as a lane of its own, and a new thread goes on
//! with all the others. `node_scrape_collector_success` of the one that hangs is 0 meanwhile; of file systems only the
//! mount that hangs is left out. When it comes back its thread ends, and it is read with the others again.
//!
//! At most [`GIVEN_UP_MAX`] threads wait at a time; when all do, the next one that hangs holds up the collection as
//! a whole, which core reports with `up` 0.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use exporters::lane::Step;
use exporters::{Lane, Progress, Selection, Waiting};
use model::Mono;

use super::{Around, Ask, Worker};
use crate::web::{MetricsReply, SelectedReply};

/// How long a collection may be late before somebody looks, in milliseconds.
pub const LOOK_MS: u64 = 1_000;
/// How long one collector may take before the others go on without it, in milliseconds; the peer's patience with a
/// mount.
pub const PATIENCE_MS: u64 = 5_000;
/// The most threads that wait for something that hangs.
pub const GIVEN_UP_MAX: usize = 8;
/// How many may wait for fresh metrics; more are turned away at once. They pile up only when a reader hangs.
pub const READERS_MAX: usize = 64;

/// Makes a lane of the collectors that are configured, without those that hang.
pub type Lanes = Arc<dyn Fn(&Waiting, &[&'static str]) -> Option<Lane> + Send + Sync>;

/// Speaks to the thread that collects.
#[derive(Clone)]
pub struct Collect {
    door: Arc<Mutex<Door>>,
}

/// Who collects now, and who hangs.
pub struct Door {
    present: Present,
    lanes: Lanes,
    interval_ms: u64,
    around: Around,
    waiting: Waiting,
    given_up: Vec<GivenUp>,
    /// Who was running at the last look, and when that was first seen.
    seen: Option<(Step, Mono)>,
    number: u64,
}

/// The thread in use.
pub struct Present {
    asks: Sender<Ask>,
    readers: Arc<AtomicUsize>,
    shown: Shown,
}

/// What a thread shows of itself.
#[derive(Clone)]
pub struct Shown {
    /// When its next collection is due, as [`Mono`].
    pub due: Arc<AtomicU64>,
    /// How far its lane is.
    pub progress: Arc<Mutex<Progress>>,
    /// Set when it was given up: what it brings home is too late.
    pub is_given_up: Arc<AtomicBool>,
}

/// A thread that waits for something that hangs.
struct GivenUp {
    number: u64,
    /// Who hangs; `None` where others go on asking it for the rest.
    collector: Option<&'static str>,
}

/// A place among those who wait for fresh metrics, given back when the reply is made or thrown away.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Collect {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread, or the collectors cannot be made.
    pub fn start(lanes: Lanes, interval_ms: u64, around: Around) -> std::io::Result<Collect> {
        let waiting = Waiting::default();
        let lane = lanes(&waiting, &[]).ok_or(std::io::ErrorKind::InvalidInput)?;
        let mut started = Ok(());
        let door = Arc::new_cyclic(|door| {
            let (present, thread) = Present::new(lane, interval_ms, &around, (door.clone(), 0));
            started = thread;
            let (given_up, seen, number) = (Vec::new(), None, 0);
            Mutex::new(Door { present, lanes, interval_ms, around, waiting, given_up, seen, number })
        });
        started.map(|()| Collect { door })
    }

    /// Asks for fresh metrics; the reply is thrown away at once when too many wait already.
    pub fn ask_metrics(&self, wants_gzip: bool, reply: MetricsReply) {
        self.door().present.admit(|place| {
            let reply = move |text, packed| {
                drop(place);
                reply(text, packed);
            };
            Ask::Metrics(wants_gzip, Box::new(reply))
        });
    }

    /// Asks some collectors; the reply is thrown away at once when too many wait already.
    pub fn ask_selected(&self, selection: Selection, reply: SelectedReply) {
        self.door().present.admit(|place| {
            let reply = move |text| {
                drop(place);
                reply(text);
            };
            Ask::Selected(selection, Box::new(reply))
        });
    }

    /// Asks for something.
    pub fn ask(&self, ask: Ask) {
        self.door().present.ask(ask);
    }

    /// Reads with other collectors, at another interval, from now on.
    pub fn change(&self, lanes: Lanes, interval_ms: u64) {
        let mut door = self.door();
        (door.lanes, door.interval_ms) = (lanes, interval_ms);
        door.renew();
    }

    /// Gives up a collector that does not come back; returns when to look again.
    pub fn look(&self, now: Mono) -> Mono {
        let mut door = self.door();
        let late = Mono(door.present.shown.due.load(Ordering::Relaxed)).plus_ms(LOOK_MS);
        if now < late {
            door.seen = None;
            return late;
        }
        let step = door.present.shown.progress.lock().unwrap_or_else(PoisonError::into_inner).step();
        match (step, door.seen) {
            (None, _) => {
                door.seen = None;
                now.plus_ms(LOOK_MS)
            }
            (Some(step), Some((seen, since))) if step == seen => {
                let patience_ends = since.plus_ms(PATIENCE_MS);
                if now < patience_ends {
                    return patience_ends;
                }
                door.give_up(step.collector, &Arc::downgrade(&self.door));
                now.plus_ms(LOOK_MS)
            }
            (Some(step), _) => {
                door.seen = Some((step, now));
                now.plus_ms(PATIENCE_MS)
            }
        }
    }

    /// Returns how many threads wait for something that hangs.
    #[cfg(test)]
    pub fn given_up(&self) -> usize {
        self.door().given_up.len()
    }

    fn door(&self) -> MutexGuard<'_, Door> {
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Present {
    /// Makes the ends of a thread and starts it; the number is how it is known when it comes back.
    fn new(
        lane: Lane,
        interval_ms: u64,
        around: &Around,
        home: (Weak<Mutex<Door>>, u64),
    ) -> (Present, std::io::Result<()>) {
        let (asks, asked) = channel();
        let shown = Shown {
            due: Arc::new(AtomicU64::new(around.clock.now().mono.0)),
            progress: Arc::new(Mutex::new(lane.progress())),
            is_given_up: Arc::default(),
        };
        let worker = Worker::new(lane, interval_ms, around.clone(), shown.clone());
        let thread = worker.start(asked, move || {
            if let Some(door) = home.0.upgrade() {
                door.lock().unwrap_or_else(PoisonError::into_inner).came_back(home.1);
            }
        });
        (Present { asks, readers: Arc::default(), shown }, thread)
    }

    fn ask(&self, ask: Ask) {
        // The thread ends only with the process or when it was given up, so the channel is open.
        let _ = self.asks.send(ask);
    }

    fn admit(&self, ask: impl FnOnce(Place) -> Ask) {
        let place = Place(self.readers.clone());
        if self.readers.fetch_add(1, Ordering::Relaxed) < READERS_MAX {
            self.ask(ask(place));
        }
    }
}

impl Door {
    /// Leaves the present thread to wait for a collector, and starts another that goes on without it.
    fn give_up(&mut self, collector: &'static str, home: &Weak<Mutex<Door>>) {
        self.seen = None;
        if self.given_up.len() >= GIVEN_UP_MAX {
            return log::error!("collector {collector} does not answer, and {GIVEN_UP_MAX} threads wait already");
        }
        // A mount that hangs is left out by who asks for the next.
        let mounts = self.given_up.iter().filter(|given_up| given_up.collector.is_none()).count();
        let is_mount = self.waiting.count() > mounts;
        let given_up = GivenUp { number: self.number, collector: (!is_mount).then_some(collector) };
        self.given_up.push(given_up);
        let Some(lane) = (self.lanes)(&self.waiting, &self.hanging()) else {
            self.given_up.pop();
            return;
        };
        self.number += 1;
        let (present, started) = Present::new(lane, self.interval_ms, &self.around, (home.clone(), self.number));
        if let Err(error) = started {
            self.number -= 1;
            self.given_up.pop();
            return log::error!("collector {collector} does not answer; starting a thread for the others: {error}");
        }
        self.present.shown.is_given_up.store(true, Ordering::Relaxed);
        self.present = present;
        let what = if is_mount { "a mount" } else { "collector" };
        log::warn!("{what} ({collector}) has not answered for {} s: the others go on without it", PATIENCE_MS / 1_000);
    }

    /// A thread that was given up has ended.
    fn came_back(&mut self, number: u64) {
        let Some(at) = self.given_up.iter().position(|given_up| given_up.number == number) else { return };
        match self.given_up.swap_remove(at).collector {
            Some(collector) => log::info!("collector {collector} answers again"),
            None => log::info!("a mount that did not answer does so again"),
        }
        self.renew();
    }

    /// Has the present thread read with a new lane.
    fn renew(&mut self) {
        if let Some(lane) = (self.lanes)(&self.waiting, &self.hanging()) {
            self.present.ask(Ask::Change(Box::new(lane), self.interval_ms));
        }
    }

    fn hanging(&self) -> Vec<&'static str> {
        self.given_up.iter().filter_map(|given_up| given_up.collector).collect()
    }
}
