//! Puts the parts together and runs them: threads, channels, the loop around core.
//!
//! ```text
//! collect ─┐                       ┌─► disk thread
//! disk ────┤                       ├─► rules thread
//! rules ───┼─► events ─► core ─────┼─► receivers' threads
//! senders ─┤   (this thread)       ├─► upstreams' threads (woken by news)
//! web ─────┘                       └─► collect (batches come back)
//! ```
//!
//! The loop reads one event or waits for core's next deadline, hands it to `Core::step`, and carries out the effects
//! in order. The tail lives in memory and is written right here; everything that may wait is a thread's.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use model::{Batch, Clock, Labels, Mono, UnixMs};
use tsdb::{DiskOp, OpDone};

use crate::collect::{Ask, Collect};
use crate::core::{Core, Effect, Event, pushes};
use crate::disk::DiskThread;
use crate::exemplars::Exemplars;
use crate::io::scrape::{Scrapes, View};
use crate::medium::retry::{Attempts, Found};
use crate::os::service::Service;
use crate::os::tailfile::TailFile;
use crate::receivers::Receivers;
use crate::rules_thread::RulesThread;
use crate::scraping;
use crate::upstream::{self, Upstream};
use crate::web::targets::{Health, Target, Targets};
use crate::web::{self, MetricsReply, Status, Web};

/// How long a stop may take to flush, in milliseconds: less than a service manager waits.
const STOP_MS_MAX: u64 = 30_000;
/// How long a page waits for core, in milliseconds.
const STATUS_MS_MAX: u64 = 2_000;

/// What reaches the loop.
pub enum Message {
    /// For core.
    Event(Event),
    /// Tell how things stand.
    Status(SyncSender<Status>),
    /// Read the configuration again and say what went wrong.
    Reload(Option<SyncSender<Result<(), String>>>),
    /// Keep an upstream's state, if it speaks of the present store; the sender of `done` waits.
    Keep {
        /// Which store it speaks of.
        store: u64,
        /// The cell.
        cell: String,
        /// The state.
        bytes: Vec<u8>,
        /// Dropped or told when it is kept.
        done: SyncSender<()>,
    },
    /// The medium works again.
    Medium(Box<Found>),
    /// Flush and end.
    Stop,
}

/// Speaks to the loop from other threads.
#[derive(Clone)]
pub struct Line {
    messages: Sender<Message>,
    ready: Arc<AtomicBool>,
    store: Arc<AtomicU64>,
}

impl Line {
    /// Returns a line and the end that the loop reads.
    pub fn new() -> (Line, Receiver<Message>) {
        let (messages, received) = channel();
        (Line { messages, ready: Arc::default(), store: Arc::default() }, received)
    }

    /// Sends a message; once the loop has ended nobody is there to care.
    pub fn send(&self, message: Message) {
        let _ = self.messages.send(message);
    }

    /// Sends an event for core.
    pub fn event(&self, event: Event) {
        self.send(Message::Event(event));
    }

    /// Returns the number of the present store: row ids of one mean nothing in another.
    pub fn store(&self) -> u64 {
        self.store.load(Ordering::Acquire)
    }

    /// Keeps a cell that speaks of rows of this store, and returns when a kill does not lose it any more (as far as
    /// there is a tail); `false` when it was not kept: that store is not the present one, or the loop has ended.
    pub fn keep(&self, store: u64, cell: &str, bytes: Vec<u8>) -> bool {
        let (done, kept) = sync_channel::<()>(1);
        self.send(Message::Keep { store, cell: cell.to_owned(), bytes, done });
        kept.recv().is_ok()
    }

    /// Says that the agent serves.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }
}

/// What the web sees of the house.
pub struct WebHouse {
    /// To the loop.
    pub line: Line,
    /// To the collect thread.
    pub collect: Collect,
    /// To the thread that scrapes.
    pub scrapes: View,
}

impl web::House for WebHouse {
    fn fresh_metrics(&self, wants_gzip: bool, reply: MetricsReply) {
        self.collect.ask_metrics(wants_gzip, reply);
    }

    fn selected_metrics(&self, selection: exporters::Selection, reply: web::SelectedReply) {
        self.collect.ask_selected(selection, reply);
    }

    fn status(&self) -> Option<Status> {
        let (tell, told) = sync_channel(1);
        self.line.send(Message::Status(tell));
        let mut status: Status = told.recv_timeout(Duration::from_millis(STATUS_MS_MAX)).ok()?;
        scraping::add_shown(self.scrapes.shown(), &mut status.targets);
        Some(status)
    }

    fn rules(&self) -> Option<Vec<rules::GroupView>> {
        let (tell, told) = sync_channel(1);
        self.line.event(Event::Look(Box::new(move |manager, now| _ = tell.try_send(manager.view(now)))));
        told.recv_timeout(Duration::from_millis(STATUS_MS_MAX)).ok()
    }

    fn is_ready(&self) -> bool {
        self.line.ready.load(Ordering::Acquire)
    }

    fn push(&self, ask: pushes::Ask) -> Option<pushes::Told> {
        let (tell, told) = sync_channel(1);
        self.line.event(Event::Push(ask, Box::new(move |answer| _ = tell.try_send(answer))));
        told.recv_timeout(Duration::from_millis(STATUS_MS_MAX)).ok()
    }

    fn write(&self, batches: Vec<Batch>) -> Option<Vec<tsdb::Refused>> {
        let (tell, told) = sync_channel(1);
        self.line.event(Event::Received(batches, Box::new(move |refused| _ = tell.try_send(refused))));
        told.recv_timeout(Duration::from_millis(STATUS_MS_MAX)).ok()
    }

    fn reload(&self) -> Result<(), String> {
        let (tell, told) = sync_channel(1);
        self.line.send(Message::Reload(Some(tell)));
        told.recv().unwrap_or_else(|_| Err("the agent is stopping".to_owned()))
    }
}

/// Reads the configuration again; the parts that the loop holds are changed by the callee.
pub type Reload = Box<dyn FnMut(&mut Running) -> Result<(), String>>;

/// Starts the upstreams of the configuration in force.
pub type StartUpstreams = Box<dyn Fn(&Running) -> Result<Vec<Upstream>, String>>;

/// Everything the loop holds.
pub struct Running {
    /// The state machine.
    pub core: Core,
    /// The time.
    pub clock: Arc<dyn Clock + Send + Sync>,
    /// The medium, unless everything is in memory.
    pub disk: Option<DiskThread>,
    /// The tail, where there is a folder in memory.
    pub tail: Option<TailFile>,
    /// Evaluates.
    pub rules: RulesThread,
    /// Sends notices.
    pub receivers: Receivers,
    /// Send samples.
    pub upstreams: Vec<Upstream>,
    /// Reads the machine.
    pub collect: Collect,
    /// Reads other targets.
    pub scrapes: Scrapes,
    /// What answers, for what it counts, and the exemplars.
    pub web: Arc<Web>,
    /// The store as queries see it.
    pub reader: Arc<RwLock<tsdb::Reader>>,
    /// The service manager.
    pub service: Service,
    /// To ourselves.
    pub line: Line,
    /// How things stand, but for what core knows: filled once.
    pub about: Status,
    /// Since when we run.
    pub started: Mono,
    /// Said once, not at every append.
    pub tail_failed: bool,
    /// Tries the medium again, while everything is in memory.
    pub attempts: Option<Attempts>,
    /// Starts the upstreams anew, with what is saved in the present store.
    pub start_upstreams: StartUpstreams,
}

impl Running {
    /// Runs until it is told to stop; returns whether everything was flushed.
    pub fn run(mut self, messages: &Receiver<Message>, mut reload: Reload) -> bool {
        let mut effects = Vec::new();
        let watchdog_ms = self.service.watchdog_interval_ms();
        loop {
            let now = self.clock.now();
            self.core.tick(now, &mut effects);
            self.apply(&mut effects);
            if watchdog_ms.is_some() {
                self.service.alive();
            }
            let look = self.collect.look(now.mono).since_ms(now.mono);
            match receive(messages, self.wait_ms(now.mono, watchdog_ms, look)) {
                Ok(Message::Event(mut event)) => {
                    self.show_upstreams(&event);
                    self.take_exemplars(&mut event);
                    self.core.step(self.clock.now(), event, &mut effects);
                    self.apply(&mut effects);
                }
                Ok(Message::Status(reply)) => {
                    let _ = reply.try_send(self.status());
                }
                Ok(Message::Keep { store, cell, bytes, done }) if store == self.line.store() => {
                    let kept = Event::Keep(cell, bytes, Box::new(move || _ = done.send(())));
                    self.core.step(self.clock.now(), kept, &mut effects);
                    self.apply(&mut effects);
                }
                Ok(Message::Keep { .. }) => {}
                Ok(Message::Medium(found)) => self.take_over(*found),
                Ok(Message::Reload(reply)) => self.reload(&mut reload, reply),
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return self.stop(messages),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn wait_ms(&self, now: Mono, watchdog_ms: Option<u64>, look_ms: u64) -> u64 {
        let deadline = self.core.next_deadline().map_or(look_ms, |deadline| deadline.since_ms(now));
        deadline.min(look_ms).min(watchdog_ms.unwrap_or(look_ms))
    }

    /// The metrics that go with a collection show how upstreams stand at that moment.
    fn show_upstreams(&mut self, event: &Event) {
        if let Event::Collected(_) = event {
            let states = self.upstreams.iter().map(Upstream::state).collect();
            self.core.set_upstreams(states);
            self.core.set_scrapes(self.scrapes.counted());
            let exemplars = self.exemplars().counts();
            self.core.set_asked(self.web.queries.told(), exemplars);
        }
    }

    /// Keeps what a scrape brought beside its samples, which core has no use for.
    fn take_exemplars(&mut self, event: &mut Event) {
        let Event::Scraped(delivery) = event else { return };
        if delivery.exemplars.is_empty() && delivery.exemplars_left_out == 0 {
            return;
        }
        // A time that was ours is told as that of the samples is.
        let (raw, labelled) = (delivery.at.wall, self.core.store.wall_of(delivery.at));
        let mut kept = self.exemplars();
        kept.leave_out(delivery.exemplars_left_out);
        for mut exemplar in delivery.exemplars.drain(..) {
            if !exemplar.has_time && exemplar.at == raw {
                exemplar.at = labelled;
            }
            kept.add(exemplar);
        }
    }

    fn exemplars(&self) -> MutexGuard<'_, Exemplars> {
        self.web.exemplars.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply(&mut self, effects: &mut Vec<Effect>) {
        for effect in effects.drain(..) {
            match effect {
                Effect::Disk(DiskOp::Tail { offset, bytes }) => self.tail(|tail| tail.write(offset, &bytes)),
                Effect::Disk(op) => match &self.disk {
                    Some(disk) => disk.run(op),
                    None => log::debug!("an operation for the medium, and there is none"),
                },
                Effect::Evaluate(job) => self.rules.evaluate(job),
                Effect::Notify(notice) => self.receivers.send(notice),
                Effect::Spare(batch) => self.collect.ask(Ask::Spare(batch)),
                Effect::Print(batch, readers) => self.collect.ask(Ask::Print(batch, readers)),
                Effect::Call(call) => call(),
                Effect::Home(delivery) => self.scrapes.home(delivery),
                Effect::News => self.upstreams.iter().for_each(Upstream::wake),
            }
        }
    }

    fn tail(&mut self, write: impl FnOnce(&TailFile) -> std::io::Result<()>) {
        if let Some(tail) = &self.tail
            && let Err(error) = write(tail)
            && !std::mem::replace(&mut self.tail_failed, true)
        {
            log::warn!("writing the unsynced tail: {error}; a kill may lose up to sync_interval");
        }
    }

    fn reload(&mut self, reload: &mut Reload, reply: Option<SyncSender<Result<(), String>>>) {
        self.service.reloading();
        let result = reload(self);
        match &result {
            Ok(()) => log::info!("configuration read again"),
            Err(errors) => log::error!("the configuration was not changed: {errors}"),
        }
        self.about.reload_error = result.clone().err().unwrap_or_default();
        let now = self.clock.now();
        self.core.reloaded(now, result.is_ok());
        if result.is_ok() {
            self.about.config_loaded = Some(self.core.store.wall_of(now));
        }
        self.service.ready("serving");
        if let Some(reply) = reply {
            let _ = reply.try_send(result);
        }
    }

    /// Goes on with the medium that works again. Upstreams begin anew with their states in its ids.
    fn take_over(&mut self, found: Found) {
        let now = self.clock.now();
        let upstreams: Vec<_> = self.upstreams.iter().map(Upstream::state).collect();
        let (mut medium, carried) = found.finish(&self.core.store.reader(), now);
        for upstream in &upstreams {
            let cell = upstream.cell();
            let saved = medium.store.cell(&cell);
            if let Some(state) = carried.acknowledged(saved.as_deref(), upstream.stats.acknowledged)
                && let Err(error) = medium.store.put_cell(&cell, &state)
            {
                log::error!("keeping {cell}: {error}; what was sent is sent again");
            }
        }
        let Some(file) = medium.file.take() else { return };
        let line = self.line.clone();
        match DiskThread::start(Box::new(file), Box::new(move |done| line.event(Event::Disk(done)))) {
            Ok(disk) => self.disk = Some(disk),
            Err(error) => return log::error!("starting a thread: {error}; everything stays in memory"),
        }
        (self.tail, self.tail_failed, self.attempts) = (medium.tail, false, None);
        self.about.ring.path = medium.path.as_deref().map_or(String::new(), |path| path.display().to_string());
        self.about.ring.trouble.clear();
        *self.reader.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = medium.store.reader();
        let mut effects = Vec::new();
        self.line.store.fetch_add(1, Ordering::AcqRel);
        self.core.replace_store(now, medium.store, &mut effects);
        self.apply(&mut effects);
        match (self.start_upstreams)(self) {
            Ok(upstreams) => upstream::replace(&mut self.upstreams, upstreams),
            Err(error) => log::error!("upstreams rest until the next reload: {error}"),
        }
        log::info!("{}: the medium works again, {} samples were carried to it", self.about.ring.path, carried.rows);
    }

    /// Flushes and waits for the medium, but not for ever.
    fn stop(mut self, messages: &Receiver<Message>) -> bool {
        self.service.stopping();
        log::info!("stopping: flushing what is not on the medium yet");
        let mut effects = Vec::new();
        let ticket = self.core.flush(self.clock.now(), &mut effects);
        self.apply(&mut effects);
        if self.disk.is_none() {
            return true;
        }
        let deadline = self.clock.now().mono.plus_ms(STOP_MS_MAX);
        loop {
            let left_ms = deadline.since_ms(self.clock.now().mono);
            match receive(messages, left_ms) {
                Ok(Message::Event(Event::Disk(done))) => {
                    let flushed = matches!(&done, OpDone::Synced { ticket: t, result: Ok(()) } if *t == ticket);
                    let failed = matches!(&done, OpDone::Synced { ticket: t, result: Err(_) } if *t == ticket);
                    self.core.step(self.clock.now(), Event::Disk(done), &mut effects);
                    if flushed || failed {
                        return flushed;
                    }
                    // A sync that was on its way already has to end before the one that counts can begin.
                    effects.retain(|effect| matches!(effect, Effect::Disk(_)));
                    self.apply(&mut effects);
                }
                Err(_) => return false,
                Ok(_) => {}
            }
            if left_ms == 0 {
                return false;
            }
        }
    }

    fn status(&self) -> Status {
        let now = self.clock.now();
        let stats = self.core.store.stats();
        let mut status = self.about.clone();
        status.now = self.core.store.wall_of(now);
        status.wall_trusted = now.wall_trusted;
        status.up_ms = now.mono.since_ms(self.started);
        status.alerts = self.core.alerts().to_vec();
        status.ring.bytes = stats.file_bytes;
        status.ring.bytes_used = stats.used_bytes;
        status.ring.series = stats.series;
        (status.ring.oldest, status.ring.newest) = (stats.oldest, stats.newest);
        status.ring.blocks = stats.blocks;
        status.ring.damaged_pages = stats.damaged_pages;
        status.targets = own_targets(&self.core);
        status.ring.days = Some(days_held(&stats, status.ring.days.unwrap_or(f64::NAN)));
        status.upstreams = self.upstreams.iter().map(Upstream::state).map(|state| state.shown()).collect();
        status.upstreams.extend(crate::core::own::receivers_shown(self.core.receivers()));
        status
    }
}

/// Returns this board as the target that it is to those who query it.
fn own_targets(core: &Core) -> Targets {
    let (scrape, setup) = core.scrape();
    let address = setup.instance.as_str();
    let url = format!("http://{address}/metrics");
    let interval = model::duration::DisplayMs(setup.interval_ms).to_string();
    let health = match (scrape.at, scrape.up) {
        (None, _) => Health::Unknown,
        (_, true) => Health::Up,
        (_, false) => Health::Down,
    };
    let this_board = Target {
        discovered: Labels::from_pairs([
            ("__address__", address),
            ("__metrics_path__", "/metrics"),
            ("__scheme__", "http"),
            ("__scrape_interval__", &interval),
            ("__scrape_timeout__", &interval),
            ("job", &setup.job),
        ]),
        labels: Labels::from_pairs([("instance", address), ("job", &setup.job)]),
        pool: setup.job.clone(),
        url: url.clone(),
        global_url: url,
        last_error: if health == Health::Down {
            "no collection came in time: a reader hangs".to_owned()
        } else {
            String::new()
        },
        last_scrape: scrape.at,
        last_seconds: scrape.seconds,
        health,
        interval_ms: setup.interval_ms,
        timeout_ms: setup.interval_ms,
    };
    Targets { active: vec![this_board], dropped: Vec::new(), pools: vec![(setup.job.clone(), 0)] }
}

fn receive(messages: &Receiver<Message>, wait_ms: u64) -> Result<Message, RecvTimeoutError> {
    messages.recv_timeout(Duration::from_millis(wait_ms))
}

/// What a sample takes of the data file, its part of all dictionaries included, before this machine's own rate is
/// known: the upper end of what boards were seen to need. Bytes.
const SAMPLE_BYTES_GUESS: f64 = 1.5;

/// Returns how many days a data file holds if every collection has as many rows as one just made.
pub fn days_guessed(file_bytes: u64, rows: usize, interval_ms: u64) -> f64 {
    let rows_per_day = rows.max(1) as f64 * 86_400_000.0 / interval_ms as f64;
    file_bytes as f64 / (rows_per_day * SAMPLE_BYTES_GUESS)
}

/// How much history a measured rate needs: the first minutes are mostly dictionaries. Milliseconds.
const MEASURED_MS_MIN: i64 = 3_600_000;

/// Returns how many days the data file holds: at the rate of its history where that is long enough, else as guessed.
pub fn days_held(stats: &tsdb::Stats, guess: f64) -> f64 {
    match (stats.oldest, stats.newest, stats.days) {
        (Some(oldest), Some(newest), Some(days)) if newest.0 - oldest.0 >= MEASURED_MS_MIN => days,
        _ => guess,
    }
}

/// Returns days as a person says them.
pub fn days_in_words(days: f64) -> String {
    if days >= 10.0 { format!("about {days:.0} days") } else { format!("about {days:.1} days") }
}

/// Keeps the two together that must change together when the store is replaced.
pub type SharedReader = Arc<RwLock<tsdb::Reader>>;

/// The time of a build, before which no clock can be right.
pub const BUILD_DATE: UnixMs = UnixMs(1_795_219_200_000); // 2026-11-21T00:00:00Z
