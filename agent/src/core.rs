//! The middle of the house: a state machine that owns all mutable state.
//!
//! `step` takes one event and appends what is to be done to a list of effects; `tick` does what time alone makes
//! due; `next_deadline` says when that is. There is no clock, socket, file or thread in here, so the simulator runs
//! a week of outages in a second with the very code that runs on a board. Each step does a bounded amount of work.
//!
//! What may take long is lent out: the rules' state travels to the rules thread and comes back with its results, so
//! nobody waits for a lock. Read `Event` and `Effect` first, then `step`.

pub mod own;
pub mod pushes;
pub mod setup;

use model::{Alert, Batch, Labels, MetricKind, Mono, Now, Outcome, SourceId};
use notify::{Notice, NoticeId, Notifier};
use rules::Manager;
use targets::Delivery;
use tsdb::{DiskOp, OpDone, Store};

use crate::collect::Collection;
use crate::scraping::{Counted, SOURCE_FIRST};
use crate::web::MetricsReply;
use own::Own;
use pushes::Pushes;
pub use setup::Setup;

/// What was read of this machine.
const NODE: SourceId = SourceId(1);
/// `up` and `scrape_*` beside it.
const REPORT: SourceId = SourceId(2);
/// What programs pushed.
const PUSHED: SourceId = SourceId(3);
/// What remote-write senders write.
const RECEIVED: SourceId = SourceId(4);
/// Rule groups count from here.
const RULES_FIRST: u32 = 1_000;

/// Returns what a source is called where it is counted.
fn source_name(source: SourceId) -> &'static str {
    match source {
        NODE | REPORT => "node",
        PUSHED => "push",
        RECEIVED => "remote_write",
        SourceId(SOURCE_FIRST..) => "scrape",
        SourceId(RULES_FIRST..) => "rules",
        _ => "other",
    }
}

/// The cell that keeps pending times and alert states across a restart.
const RULES_CELL: &str = "rules";
/// The cell that keeps what receivers were told.
const NOTIFY_CELL: &str = "notify";

/// How the cells of remote-write upstreams begin, which keep what was acknowledged and what is in doubt.
pub const REMOTE_WRITE_CELLS: &str = "remote_write/";
/// And those of brokers.
pub const MQTT_CELLS: &str = "mqtt/";
const UPSTREAM_CELLS: [&str; 2] = [REMOTE_WRITE_CELLS, MQTT_CELLS];

/// The most who wait to see the rules; further ones are not called.
const LOOKS_MAX: usize = 8;

/// How long rules wait, after the wall was stepped, for a reading that is dated by the new wall.
const STEP_WAIT_MS_MAX: u64 = 60_000;

/// Something that happened.
pub enum Event {
    /// The machine was read.
    Collected(Box<Collection>),
    /// The medium answered.
    Disk(OpDone),
    /// The rules that were due have been evaluated; their state comes home.
    Evaluated(Box<RulesJob>),
    /// A receiver answered, or did not.
    Noticed(NoticeId, Outcome),
    /// An upstream wants its state kept before it sends; `done` is called when a kill does not lose it any more.
    Keep(String, Vec<u8>, Box<dyn FnOnce() + Send>),
    /// Somebody pushes, or asks what was pushed.
    Push(pushes::Ask, pushes::Reply),
    /// Somebody wants to see the rules; called when they are at home.
    Look(Look),
    /// Somebody writes these; what was refused is told.
    Received(Vec<Batch>, Box<dyn FnOnce(Vec<tsdb::Refused>) + Send>),
    /// A target was scraped.
    Scraped(Box<Delivery>),
    /// A target has gone: its series end.
    Ended(SourceId),
    /// A new configuration is in force.
    Changed(Box<Setup>),
}

/// Is shown the rules.
pub type Look = Box<dyn FnOnce(&Manager, Now) + Send>;

/// Something to be done by the shell, in order.
pub enum Effect {
    /// For the medium or the tail.
    Disk(DiskOp),
    /// To be evaluated, with what is stored, and sent back as [`Event::Evaluated`].
    Evaluate(Box<RulesJob>),
    /// To be sent, and answered with [`Event::Noticed`].
    Notify(Notice),
    /// A batch to be filled again.
    Spare(Batch),
    /// A batch to be printed for these readers.
    Print(Batch, Vec<MetricsReply>),
    /// To be called now, after the effects before it.
    Call(Box<dyn FnOnce() + Send>),
    /// Samples of a target that are stored: the batch is used again.
    Home(Box<Delivery>),
    /// Rows were appended: upstreams may want them.
    News,
}

/// The rules' state, on its way to or from the thread that evaluates.
pub struct RulesJob {
    /// The state.
    pub manager: Manager,
    /// What came of each group that was due.
    pub evaluations: Vec<rules::Evaluation>,
}

/// Notices that the wall was stepped since the machine was last read.
///
/// What was read before has its old dates, so a rule evaluated now would find nothing, and an alert that fires would
/// be resolved and fire again, when all that happened is that somebody set the clock.
#[derive(Default)]
struct Step {
    /// What the last reading's wall was ahead of elapsed time, if it had a true date.
    read_ahead: Option<i64>,
    since: Option<Mono>,
}

/// How this machine's last collection went.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scrape {
    /// When it began, or when it should have; `None` before the first.
    pub at: Option<model::UnixMs>,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Whether it came.
    pub up: bool,
}

/// All mutable state.
pub struct Core {
    /// What is stored.
    pub store: Store,
    setup: Setup,
    /// At home unless an evaluation is on its way.
    rules: Option<Box<RulesJob>>,
    rules_deadline: Option<Mono>,
    looks: Vec<Look>,
    step: Step,
    /// How the last collection went.
    scrape: Scrape,
    /// When a collection that has not come is a failed one.
    overdue: Mono,
    rule_counts: rules::Counts,
    notifier: Option<Notifier>,
    alerts: Vec<Alert>,
    pushes: Pushes,
    own: Own,
    report: Batch,
    /// What is said while no collection comes.
    silent: Batch,
    target: Labels,
    ops: Vec<DiskOp>,
    /// Rules that arrived while the old ones were away.
    waiting_setup: Option<Box<Setup>>,
}

impl Step {
    fn notice(&mut self, now: Now, ahead: Option<i64>) {
        if self.read_ahead.is_some() && ahead != self.read_ahead {
            self.since.get_or_insert(now.mono);
        }
    }
}

impl Core {
    /// Returns a core over this store.
    pub fn new(mut store: Store, setup: Setup, now: Now) -> Core {
        store.note_sent(newest_sent(&store));
        let mut manager = setup.manager();
        if let Some(saved) = store.cell(RULES_CELL)
            && let Err(error) = manager.restore(&saved, now)
        {
            log::warn!("how long alerts were pending is lost, they begin anew: {error}");
        }
        let mut notifier = setup.notifier();
        if let (Some(notifier), Some(saved)) = (&mut notifier, store.cell(NOTIFY_CELL))
            && let Err(error) = notifier.restore(&saved, now)
        {
            log::warn!("what receivers were told before is lost, they may be told again: {error}");
        }
        let target = Labels::from_pairs([("job", setup.job.as_str()), ("instance", setup.instance.as_str())]);
        Core {
            rules_deadline: manager.next_deadline(),
            rules: Some(Box::new(RulesJob { manager, evaluations: Vec::new() })),
            looks: Vec::new(),
            step: Step::default(),
            scrape: Scrape::default(),
            overdue: overdue(now, &setup),
            rule_counts: rules::Counts::default(),
            notifier,
            alerts: Vec::new(),
            pushes: Pushes::new(&store),
            own: Own::new(now),
            report: Batch::new(),
            silent: Batch::new(),
            target,
            ops: Vec::new(),
            waiting_setup: None,
            store,
            setup,
        }
    }

    /// Takes one event.
    pub fn step(&mut self, now: Now, event: Event, out: &mut Vec<Effect>) {
        match event {
            Event::Collected(collection) => self.collected(now, *collection, out),
            Event::Disk(done) => self.store.done(now, done),
            Event::Evaluated(job) => self.evaluated(now, job, out),
            Event::Noticed(id, outcome) => self.noticed(now, id, outcome),
            Event::Keep(cell, bytes, done) => {
                // What an upstream is about to send keeps its dates, whatever becomes of the clock.
                if let Some(acks) = forward::Acks::restore(&bytes) {
                    self.store.note_sent(acks.newest());
                }
                self.keep(&cell, &bytes);
                self.drain(out);
                out.push(Effect::Call(done));
            }
            Event::Push(ask, reply) => {
                let at = self.store.wall_of(now);
                let told = self.pushes.ask(now, at, ask, &mut self.store);
                self.drain(out);
                out.push(Effect::Call(Box::new(move || reply(told))));
            }
            Event::Look(look) => match &self.rules {
                Some(job) => look(&job.manager, self.labelled(now)),
                None if self.looks.len() < LOOKS_MAX => self.looks.push(look),
                None => {}
            },
            Event::Received(batches, reply) => {
                let refused = self.received(now, &batches);
                self.drain(out);
                out.push(Effect::News);
                out.push(Effect::Call(Box::new(move || reply(refused))));
            }
            Event::Scraped(mut delivery) => {
                let appended = self.store.append(delivery.at, &delivery.batch, delivery.source, &Labels::empty());
                delivery.is_unknown = appended.is_unknown;
                self.drain(out);
                out.extend([Effect::Home(delivery), Effect::News]);
            }
            Event::Ended(source) => {
                self.store.end_source(now, source);
                self.drain(out);
            }
            Event::Changed(setup) => match self.rules {
                Some(_) => self.change(now, *setup),
                None => self.waiting_setup = Some(setup),
            },
        }
        self.tick(now, out);
    }

    /// Does what time alone makes due.
    pub fn tick(&mut self, now: Now, out: &mut Vec<Effect>) {
        self.store.tick(now);
        self.step.notice(now, self.ahead(now));
        if self.overdue <= now.mono {
            self.missed(now, out);
        }
        if self.rules_deadline().is_some_and(|deadline| deadline <= now.mono)
            && let Some(job) = self.rules.take()
        {
            self.rules_deadline = None;
            out.push(Effect::Evaluate(job));
        }
        if let Some(notifier) = &mut self.notifier {
            while let Some(notice) = notifier.poll(now) {
                out.push(Effect::Notify(notice));
            }
        }
        self.save_notifier();
        self.pushes.save(now, &mut self.store);
        self.drain(out);
    }

    /// Returns when `tick` has something to do, if nothing happens before.
    pub fn next_deadline(&self) -> Option<Mono> {
        let notices = self.notifier.as_ref().and_then(Notifier::next_deadline);
        let pushes = self.pushes.next_deadline();
        let all = [self.store.next_deadline(), self.rules_deadline(), notices, pushes, Some(self.overdue)];
        all.into_iter().flatten().min()
    }

    /// Saves everything and returns the ticket of the sync that makes it last.
    pub fn flush(&mut self, now: Now, out: &mut Vec<Effect>) -> u64 {
        self.save_rules();
        self.save_notifier();
        self.pushes.save_all(now, &mut self.store, false);
        let ticket = self.store.flush(now);
        self.drain(out);
        ticket
    }

    /// Goes on with another store, which has all that this one had.
    pub fn replace_store(&mut self, now: Now, store: Store, out: &mut Vec<Effect>) {
        self.store = store;
        self.pushes.save_all(now, &mut self.store, true);
        self.save_rules();
        if let Some(notifier) = &self.notifier {
            let saved = notifier.save();
            self.keep(NOTIFY_CELL, &saved);
        }
        self.drain(out);
    }

    /// Returns the alerts that are not inactive.
    pub fn alerts(&self) -> &[Alert] {
        &self.alerts
    }

    /// Returns how the last collection of this machine went, and what it is called.
    pub fn scrape(&self) -> (Scrape, &Setup) {
        (self.scrape, &self.setup)
    }

    /// Returns how the receivers stand; none when nobody is to be told.
    pub fn receivers(&self) -> Vec<notify::ReceiverCounts> {
        self.notifier.as_ref().map(Notifier::counts).unwrap_or_default()
    }

    /// Tells core how a reload went, for the metrics.
    pub fn reloaded(&mut self, now: Now, is_good: bool) {
        self.own.reloaded(self.store.wall_of(now), is_good);
    }

    /// Gives core what is counted of scrapes, for the metrics.
    pub fn set_scrapes(&mut self, counted: Option<Counted>) {
        self.own.scrapes = counted;
    }

    /// Gives core what is counted of queries and exemplars, for the metrics.
    pub fn set_asked(&mut self, queries: crate::web::counts::Told, exemplars: crate::exemplars::Counts) {
        (self.own.queries, self.own.exemplars) = (queries, exemplars);
    }

    /// Gives core the upstreams' state, for the metrics.
    pub fn set_upstreams(&mut self, upstreams: Vec<own::UpstreamState>) {
        self.own.upstreams = upstreams;
    }

    /// Returns now, as samples are labelled.
    fn labelled(&self, now: Now) -> Now {
        Now { wall: self.store.wall_of(now), ..now }
    }

    /// Returns when rules are to be evaluated: not before there is something to be seen of them.
    fn rules_deadline(&self) -> Option<Mono> {
        let wait = self.step.since.map_or(Mono(0), |since| since.plus_ms(STEP_WAIT_MS_MAX));
        self.rules_deadline.map(|deadline| deadline.max(wait))
    }

    /// Returns what the wall is ahead of elapsed time; `None` while nothing has a true date.
    fn ahead(&self, now: Now) -> Option<i64> {
        self.store.is_dated().then(|| self.store.wall_of(now).0.saturating_sub_unsigned(now.mono.0))
    }

    fn collected(&mut self, now: Now, collection: Collection, out: &mut Vec<Effect>) {
        let Collection { now: at, mut batch, seconds, readers } = collection;
        self.own.add_to(&mut batch, now, &self.store.stats(), &self.rule_counts, self.notifier.as_ref());
        self.own.add_pushes(&mut batch, self.pushes.groups(), self.pushes.counts());
        if !readers.is_empty() {
            self.pushes.fill(&mut batch);
            out.push(Effect::Print(batch, readers));
            return;
        }
        let appended = self.store.append(at, &batch, NODE, &self.target);
        let rows = batch.rows().len() as f64;
        self.report(at, 1.0, seconds, rows, appended.new_series as f64);
        if let Some(pushed) = self.pushes.batch() {
            self.store.append(at, pushed, PUSHED, &Labels::empty());
        }
        self.overdue = overdue(now, &self.setup);
        self.step = Step { read_ahead: self.ahead(at), since: None };
        self.scrape = Scrape { at: Some(self.store.wall_of(at)), seconds, up: true };
        out.push(Effect::Spare(batch));
        self.drain(out);
        out.push(Effect::News);
    }

    /// Appends what was written; senders mark the end of their series themselves.
    fn received(&mut self, now: Now, batches: &[Batch]) -> Vec<tsdb::Refused> {
        let append = |batch| {
            let refused = self.store.append(now, batch, RECEIVED, &Labels::empty()).refused;
            self.store.release(RECEIVED);
            refused
        };
        batches.iter().map(append).collect()
    }

    /// No collection has come for two intervals: a reader hangs. As after a scrape that failed, the series end, `up` is
    /// 0, and what the agent says of itself goes on.
    fn missed(&mut self, now: Now, out: &mut Vec<Effect>) {
        if now.mono.since_ms(self.overdue) > self.setup.interval_ms {
            // Nobody was awake to be late: a suspended machine's collections are not invented, as failures neither.
            self.overdue = overdue(now, &self.setup);
            return;
        }
        let mut own = std::mem::take(&mut self.silent);
        own.clear();
        self.own.add_to(&mut own, now, &self.store.stats(), &self.rule_counts, self.notifier.as_ref());
        self.store.append(now, &own, NODE, &self.target);
        self.silent = own;
        self.report(now, 0.0, 0.0, 0.0, 0.0);
        self.scrape = Scrape { at: Some(self.store.wall_of(now)), seconds: 0.0, up: false };
        self.overdue = now.mono.plus_ms(self.setup.interval_ms);
        self.drain(out);
        out.push(Effect::News);
    }

    /// Appends what a scrape would report of itself.
    fn report(&mut self, at: Now, up: f64, seconds: f64, rows: f64, added: f64) {
        let report = &mut self.report;
        report.clear();
        for (name, value) in [
            ("up", up),
            ("scrape_duration_seconds", seconds),
            ("scrape_samples_scraped", rows),
            ("scrape_samples_post_metric_relabeling", rows),
            ("scrape_series_added", added),
        ] {
            report.family(name, "", MetricKind::Gauge);
            report.add(&[], value);
        }
        self.store.append(at, report, REPORT, &self.target);
    }

    fn evaluated(&mut self, now: Now, mut job: Box<RulesJob>, out: &mut Vec<Effect>) {
        let none = Labels::empty();
        for evaluation in job.evaluations.drain(..) {
            let source = SourceId(RULES_FIRST + evaluation.group() as u32);
            self.store.append_own(evaluation.now(), evaluation.batch(), source, &none);
            let changed = job.manager.apply(now, evaluation);
            if let Some(notifier) = &mut self.notifier {
                notifier.alerts(now, &self.setup.told(&changed, || job.manager.alerts()));
            }
        }
        self.alerts = job.manager.alerts();
        self.rule_counts = job.manager.counts();
        self.rules_deadline = job.manager.next_deadline();
        for look in self.looks.drain(..) {
            look(&job.manager, Now { wall: self.store.wall_of(now), ..now });
        }
        self.rules = Some(job);
        self.save_rules();
        if let Some(setup) = self.waiting_setup.take() {
            self.change(now, *setup);
        }
        self.drain(out);
        out.push(Effect::News);
    }

    fn noticed(&mut self, now: Now, id: NoticeId, outcome: Outcome) {
        if let Some(notifier) = &mut self.notifier {
            notifier.settle(now, id, outcome);
        }
    }

    fn save_notifier(&mut self) {
        if let Some(notifier) = &mut self.notifier
            && notifier.take_changed()
        {
            let saved = notifier.save();
            self.keep(NOTIFY_CELL, &saved);
        }
    }

    fn save_rules(&mut self) {
        if let Some(job) = &self.rules {
            let saved = job.manager.save();
            if self.store.cell(RULES_CELL).as_ref() != Some(&saved) {
                self.keep(RULES_CELL, &saved);
            }
        }
    }

    /// Keeps a small state; what does not fit is said, and the one before stays.
    fn keep(&mut self, cell: &str, bytes: &[u8]) {
        if let Err(error) = self.store.put_cell(cell, bytes) {
            log::error!("keeping {cell}: {error}");
        }
    }

    /// Puts a new configuration into force; what rules and receivers know of the past is carried over.
    fn change(&mut self, now: Now, setup: Setup) {
        if let Some(old) = self.rules.take() {
            let mut manager = setup.manager();
            if let Err(error) = manager.restore(&old.manager.save(), now) {
                log::warn!("how long alerts were pending is lost, they begin anew: {error}");
            }
            self.rules_deadline = manager.next_deadline();
            self.rules = Some(Box::new(RulesJob { manager, evaluations: Vec::new() }));
        }
        match (&mut self.notifier, &setup.notify) {
            (Some(notifier), Some(config)) => {
                let over_at = self.store.wall_of(now);
                notifier.alerts(now, &self.setup.renamed(&setup, &self.alerts, over_at));
                notifier.reload(now, config.clone());
                notifier.alerts(now, &setup.told(&self.alerts, || self.alerts.clone()));
            }
            _ => self.notifier = setup.notifier(),
        }
        self.overdue = overdue(now, &setup);
        self.setup = setup;
    }

    /// Moves the store's operations to the effects.
    fn drain(&mut self, out: &mut Vec<Effect>) {
        self.store.take_ops(&mut self.ops);
        out.extend(self.ops.drain(..).map(Effect::Disk));
    }
}

#[cfg(test)]
mod tests;

/// Returns the newest row that any upstream was handed before this start.
fn newest_sent(store: &Store) -> model::RowId {
    let names = UPSTREAM_CELLS.into_iter().flat_map(|prefix| store.cell_names(prefix));
    let acks = names.filter_map(|name| forward::Acks::restore(&store.cell(&name)?));
    acks.map(|acks| acks.newest()).max().unwrap_or_default()
}

/// Returns when the next collection, begun at the latest an interval from now, is taken for failed.
fn overdue(now: Now, setup: &Setup) -> Mono {
    now.mono.plus_ms(setup.interval_ms.saturating_mul(2))
}
