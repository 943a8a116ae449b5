//! A board and what is around it, simulated: core with the real store, rules, notifier and uplink, in one thread.
//!
//! Time is a number that jumps to whatever is due next, so a week takes about a second. The world carries out core's
//! effects as `agent/src/house.rs` does, each after a delay of its own: operations of the medium one after the other
//! on a disk that loses what was not synced, evaluations, notices, frames. A kill drops core and everything that was
//! on its way in the process; a power cut also takes the tail and what the disk had not synced. Everything follows
//! from the seed. Rules for the network are in `net`, what is wrong is found by the checks of each scenario.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use model::{Batch, Clock, Labels, Matcher, MetricKind, Mono, Now, Outbox, Querier, RowId, TimeRange, UnixMs};
use narthex::collect::Collection;
use narthex::core::{Core, Effect, Event, RulesJob, Setup};
use promql::Engine;
use support::disk::{Fate, FaultyDisk};
use tsdb::{DiskOp, Options, Store};

use crate::net::{Net, Receiver};

pub const SECOND: u64 = 1_000;
pub const MINUTE: u64 = 60 * SECOND;
pub const HOUR: u64 = 60 * MINUTE;
pub const DAY: u64 = 24 * HOUR;

/// What an honest clock shows when the simulation begins: 2026-12-01T00:00:00Z.
pub const TODAY: i64 = 1_796_083_200_000;
/// When the simulated program was built.
pub const BUILD: i64 = TODAY - 30 * DAY as i64;
/// How often core may ask to be woken at one instant before that is called spinning.
const WAKES_MAX: u32 = 64;

/// What can be set of a world.
#[derive(Clone)]
pub struct Plan {
    pub seed: u64,
    pub collect_ms: u64,
    pub rules: &'static str,
    pub notify: &'static str,
    pub group_interval_ms: u64,
    pub file_bytes: u64,
    pub has_upstream: bool,
    /// How long a sync takes.
    pub sync_ms: u64,
    /// Waits for the medium instead of going on: what must not happen, to show that it would be noticed.
    pub waits_for_disk: bool,
    /// Feeds elapsed time that is derived from the wall: what must not happen, to show that it would be noticed.
    pub mono_from_wall: bool,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            seed: 1,
            collect_ms: 15 * SECOND,
            rules: "groups: []",
            notify: "",
            group_interval_ms: 15 * SECOND,
            file_bytes: 8 << 20,
            has_upstream: false,
            sync_ms: 20,
            waits_for_disk: false,
            mono_from_wall: false,
        }
    }
}

/// Something that will happen; `life` is the process it belongs to.
struct Due {
    at: u64,
    life: u32,
    what: What,
}

enum What {
    Collect,
    DiskOp,
    Evaluated(Box<RulesJob>),
    Noticed(notify::NoticeId, model::Outcome),
    Answered(model::FrameId, model::Outcome),
}

/// One collection, as the world remembers it.
#[derive(Debug, Clone, Copy)]
pub struct Collected {
    pub seq: u64,
    /// The world's time.
    pub at: u64,
    pub boot: u64,
    /// The newest row when it was stored.
    pub newest: RowId,
}

/// The clocks as they are at one instant.
struct Fixed(Now);

impl Clock for Fixed {
    fn now(&self) -> Now {
        self.0
    }
}

/// The simulation.
pub struct World {
    pub plan: Plan,
    pub time: u64,
    pub core: Core,
    pub reader: tsdb::Reader,
    pub disk: FaultyDisk,
    pub net: Net,
    pub receiver: Receiver,
    pub collected: Vec<Collected>,
    /// What happened when, for comparing two worlds.
    pub trace: Vec<(u64, String)>,
    pub temperature: f64,
    pub disk_fails: bool,
    /// The wall clock less the world's time.
    pub wall_offset: i64,
    pub wall_trusted: bool,
    pub boot: u64,
    pub head_bytes_max: u64,
    boot_at: u64,
    tail: Vec<u8>,
    random: u64,
    life: u32,
    seq: u64,
    due: Vec<Due>,
    disk_ops: VecDeque<DiskOp>,
    disk_free_at: u64,
    events: Vec<Event>,
    setup: Setup,
}

impl World {
    /// Starts a board with an empty medium; the wall clock stands at 1970 and is not trusted.
    pub fn new(plan: Plan) -> World {
        let disk = FaultyDisk::default();
        let setup = setup(&plan);
        let first = Now { mono: Mono(0), wall: UnixMs(0), wall_trusted: false };
        let store = open(&disk, &[], &plan, 1, first);
        let mut world = World {
            time: 0,
            reader: store.reader(),
            core: Core::new(store, setup.clone(), first),
            net: Net::new(plan.has_upstream, None),
            receiver: Receiver::default(),
            disk,
            collected: Vec::new(),
            trace: Vec::new(),
            temperature: 20.0,
            disk_fails: false,
            wall_offset: 0,
            wall_trusted: false,
            boot: 1,
            head_bytes_max: 0,
            boot_at: 0,
            tail: Vec::new(),
            random: plan.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            life: 1,
            seq: 0,
            due: Vec::new(),
            disk_ops: VecDeque::new(),
            disk_free_at: 0,
            events: Vec::new(),
            setup,
            plan,
        };
        world.schedule(0, What::Collect);
        world
    }

    /// Sets the wall clock right, and trusts it, as a time service does.
    pub fn set_clock(&mut self) {
        self.step_clock(TODAY);
    }

    /// Sets the wall clock to this much more than the world's time, and trusts it.
    pub fn step_clock(&mut self, offset: i64) {
        (self.wall_offset, self.wall_trusted) = (offset, true);
    }

    /// Returns what the agent reads off its clocks.
    pub fn now(&self) -> Now {
        let wall = UnixMs(self.wall_offset + self.time as i64);
        let elapsed = self.time - self.boot_at;
        let mono = if self.plan.mono_from_wall { wall.0 as u64 } else { elapsed };
        Now { mono: Mono(mono), wall, wall_trusted: self.wall_trusted }
    }

    /// Lets time pass.
    pub fn run(&mut self, ms: u64) {
        let end = self.time + ms;
        let (mut at, mut wakes) = (self.time, 0);
        loop {
            let next = self.next_at().max(self.time);
            if next > end {
                self.time = end;
                return;
            }
            wakes = if next == at { wakes + 1 } else { 0 };
            at = next;
            assert!(wakes <= WAKES_MAX, "seed {}: the agent spins at {at} ms", self.plan.seed);
            self.time = next;
            self.turn();
        }
    }

    /// Kills the process and starts it again after a while.
    pub fn kill(&mut self, away_ms: u64) {
        self.time += away_ms;
        self.net.killed();
        self.restart();
    }

    /// Cuts the power; what was not synced meets its fate. The clock is back in 1970.
    pub fn cut(&mut self, away_ms: u64) {
        if let Some(DiskOp::Write { offset, bytes }) = self.disk_ops.front() {
            // It was just being written.
            let _ = model::Disk::write(&mut self.disk, *offset, bytes);
        }
        let fate = Fate::ALL[self.random() as usize % Fate::ALL.len()];
        self.disk = self.disk.after(fate);
        self.tail.clear();
        self.time += away_ms;
        (self.boot, self.boot_at) = (self.boot + 1, self.time);
        (self.wall_offset, self.wall_trusted) = (-(self.time as i64), false);
        self.net.power_cut();
        self.restart();
    }

    /// Returns a number from the seed.
    pub fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    /// Returns a number from the seed within these bounds.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.random() % (high - low)
    }

    /// Returns times and values of the one series that matches, as [`series`] does.
    pub fn series(&self, name: &str, labels: &[(&str, &str)]) -> Vec<(i64, f64)> {
        series(&self.reader, name, labels)
    }

    /// Returns times and numbers of the collections that are stored.
    pub fn stored(&self) -> Vec<(i64, u64)> {
        self.series("sim_seq", &[("i", "0")]).into_iter().map(|(at, value)| (at, value as u64)).collect()
    }

    fn restart(&mut self) {
        self.life += 1;
        self.due.clear();
        self.disk_ops.clear();
        self.disk_free_at = self.time;
        let now = self.now();
        let store = open(&self.disk, &self.tail, &self.plan, self.boot, now);
        let saved = store.cell(crate::net::CELL);
        self.net.started(saved.as_deref());
        self.reader = store.reader();
        self.core = Core::new(store, self.setup.clone(), now);
        self.schedule(0, What::Collect);
    }

    fn schedule(&mut self, after_ms: u64, what: What) {
        self.due.push(Due { at: self.time + after_ms, life: self.life, what });
    }

    /// Returns the world's time of the next thing that is due.
    fn next_at(&self) -> u64 {
        let now = self.now().mono;
        let from_now = |deadline: Option<Mono>| deadline.map(|at| self.time + at.since_ms(now));
        let due = self.due.iter().map(|due| due.at).min();
        let deadlines = [due, from_now(self.core.next_deadline()), from_now(self.net.next_deadline())];
        deadlines.into_iter().flatten().min().unwrap_or(u64::MAX)
    }

    /// Does what is due now: what happened outside first, then what time alone makes due.
    fn turn(&mut self) {
        while let Some(at) = self.due.iter().position(|due| due.at <= self.time) {
            let due = self.due.remove(at);
            if due.life == self.life {
                self.happen(due.what);
            }
        }
        let mut effects = Vec::new();
        self.core.tick(self.now(), &mut effects);
        self.apply(effects);
        self.drive_upstream();
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Collect => self.collect(),
            What::DiskOp => self.disk_op(),
            What::Evaluated(job) => self.step(Event::Evaluated(job)),
            What::Noticed(id, outcome) => self.step(Event::Noticed(id, outcome)),
            What::Answered(id, outcome) => {
                let now = self.now();
                if let Some(state) = self.net.settle(now, id, outcome) {
                    self.keep(state);
                }
            }
        }
    }

    fn step(&mut self, event: Event) {
        let mut effects = Vec::new();
        self.core.step(self.now(), event, &mut effects);
        self.apply(effects);
        while let Some(event) = self.events.pop() {
            self.step(event);
        }
    }

    fn collect(&mut self) {
        self.schedule(self.plan.collect_ms, What::Collect);
        self.seq += 1;
        let mut batch = Batch::new();
        batch.family("sim_seq", "Counts collections.", MetricKind::Counter);
        for i in ["0", "1", "2"] {
            batch.add(&[("i", i)], self.seq as f64);
        }
        batch.family("sim_temp", "A reading.", MetricKind::Gauge);
        batch.add(&[], self.temperature);
        let collection = Collection { now: self.now(), batch, seconds: 0.25, readers: Vec::new() };
        self.net.show_to(&mut self.core);
        self.step(Event::Collected(Box::new(collection)));
        self.head_bytes_max = self.head_bytes_max.max(self.core.store.stats().head_bytes);
        let newest = self.reader.newest();
        self.collected.push(Collected { seq: self.seq, at: self.time, boot: self.boot, newest });
        self.note(format!("collected {}", self.seq));
    }

    fn apply(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Disk(DiskOp::Tail { offset, bytes }) => write_tail(&mut self.tail, offset, &bytes),
                Effect::Disk(op) => {
                    let ms = if matches!(op, DiskOp::Sync { .. }) { self.plan.sync_ms } else { 2 };
                    self.disk_free_at = self.disk_free_at.max(self.time) + ms;
                    self.disk_ops.push_back(op);
                    self.schedule(self.disk_free_at - self.time, What::DiskOp);
                    if self.plan.waits_for_disk {
                        self.time = self.disk_free_at;
                    }
                }
                Effect::Evaluate(mut job) => {
                    let clock = Fixed(self.now());
                    narthex::rules_thread::evaluate(&mut job, &self.reader, &Engine::default(), &clock);
                    self.note(format!("evaluated {} groups", job.evaluations.len()));
                    self.schedule(7, What::Evaluated(job));
                }
                Effect::Notify(notice) => {
                    self.note(format!("notice {}", notice.alerts));
                    let outcome = self.receiver.post(self.time, &notice);
                    self.schedule(40, What::Noticed(notice.id, outcome));
                }
                Effect::Call(call) => call(),
                Effect::News => self.net.wake(),
                Effect::Spare(_) => {}
                Effect::Print(..) => panic!("nobody asked for text"),
                Effect::Home(_) => panic!("nothing is scraped here"),
            }
        }
    }

    fn disk_op(&mut self) {
        let Some(op) = self.disk_ops.pop_front() else { return };
        if self.disk_fails {
            self.disk.fail_once(0);
        }
        if let Some(done) = narthex::disk::apply(&mut self.disk, op) {
            self.step(Event::Disk(done));
        }
    }

    /// As `agent/src/upstream.rs` drives its uplink: what is in doubt is kept before it is sent.
    fn drive_upstream(&mut self) {
        let now = self.now();
        while let Some((frame, state)) = self.net.poll(now, &self.reader) {
            self.keep(state);
            self.note(format!("frame of {}", frame.items));
            let (luck, latency) = (self.random(), self.between(30, 400));
            let outcome =
                self.net.send(&frame, luck).unwrap_or_else(|fault| panic!("seed {}: {fault}", self.plan.seed));
            self.schedule(latency, What::Answered(frame.id, outcome));
        }
    }

    fn keep(&mut self, state: Vec<u8>) {
        let kept = Arc::new(AtomicBool::new(false));
        let tell = kept.clone();
        let done = Box::new(move || tell.store(true, Ordering::Relaxed));
        self.step(Event::Keep(crate::net::CELL.to_owned(), state, done));
        assert!(kept.load(Ordering::Relaxed), "a sender would wait for ever");
    }

    fn note(&mut self, what: String) {
        self.trace.push((self.time, what));
    }
}

fn setup(plan: &Plan) -> Setup {
    let mut errors = yaml::Errors::new();
    let groups = rules::load("sim.yml", plan.rules, &mut errors);
    let notify = (!plan.notify.is_empty()).then(|| {
        let node = yaml::parse("notify.yml", plan.notify).unwrap_or_else(|errors| panic!("{errors}"));
        notify::load(&node, &mut errors, &mut yaml::Errors::new())
    });
    assert!(errors.is_empty(), "{errors}");
    Setup {
        job: "node".to_owned(),
        instance: "sim".to_owned(),
        groups: Arc::new(groups),
        interval_ms: plan.collect_ms,
        evaluation_interval_ms: plan.group_interval_ms,
        external_labels: Labels::empty(),
        alert_relabel: std::sync::Arc::default(),
        external_url: "http://sim".to_owned(),
        notify: notify.flatten(),
    }
}

fn open(disk: &FaultyDisk, tail: &[u8], plan: &Plan, boot: u64, now: Now) -> Store {
    let options = options(plan, boot);
    let opened = Store::open(&mut disk.clone(), Arc::new(disk.clone()), Some(tail), options, now);
    opened.unwrap_or_else(|error| panic!("seed {}: does not open: {error}", plan.seed)).0
}

/// Returns the store's options in this world.
pub fn options(plan: &Plan, boot: u64) -> Options {
    Options { file_bytes: plan.file_bytes, build_date: UnixMs(BUILD), boot, ..Options::default() }
}

fn write_tail(tail: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let (from, to) = (offset as usize, offset as usize + bytes.len());
    if tail.len() < to {
        tail.resize(to, 0);
    }
    tail[from..to].copy_from_slice(bytes);
}

/// Returns times and values of the one series that matches, as they are stored, without staleness markers.
pub fn series(reader: &tsdb::Reader, name: &str, labels: &[(&str, &str)]) -> Vec<(i64, f64)> {
    let labels = labels.iter().map(|(name, value)| Matcher::equal(name, value));
    let matchers: Vec<Matcher> = [Matcher::equal("__name__", name)].into_iter().chain(labels).collect();
    let (mut found, mut series) = (Vec::new(), 0);
    let selected = reader.select(&matchers, TimeRange::ALL, &mut |_, samples| {
        let points = samples.at.iter().zip(samples.floats).filter(|(_, value)| !value.is_nan());
        found.extend(points.map(|(at, value)| (at.0, *value)));
        series += 1;
        true
    });
    selected.unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(series <= 1, "{series} series of {name}");
    found
}
