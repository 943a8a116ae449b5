//! All jobs and their targets: who is due, what became of it, who has gone.
//!
//! A state machine. `change` and `discovered` say what is wanted, `due` what is to be fetched now, `done` takes what
//! came of it and returns a batch for the store, `home` takes the batch back when the store has it, or makes one of it
//! that names its series when the store does not know them any more, `take_ended` names the sources whose series end.
//! Elapsed time alone decides when.
//!
//! Each target has its own moment within its interval, by the hash of its labels, the same after a restart: scrapes
//! spread. One that was missed, because the machine slept or the last one is still on its way, is not made up for.
//! A target is known by its labels after the rules; as long as these stay, it keeps what was learned of its series.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use exposition::Format;
use model::{Batch, Exemplar, Labels, Mono, Now, SourceId};

use crate::hash::Hash;
use crate::intake::{Count, Desk, Intake, Reading};
use crate::job::{Group, Job};
use crate::limits::TARGETS_MAX;
use crate::report::{self, Report};
use crate::status::{Counts, Health, Last, TargetStatus};
use crate::target::{Found, Target, discovered, populate};

/// How many dropped targets of a job are remembered where nothing is said.
const DROPPED_MAX: usize = 100;

/// Something to be fetched.
#[derive(Debug, Clone, PartialEq)]
pub struct Fetch {
    /// Which target.
    pub target: u32,
    /// For which job.
    pub job: Arc<Job>,
    /// What.
    pub url: String,
    /// How long it may take, in milliseconds.
    pub timeout_ms: u64,
    /// How often, in milliseconds.
    pub interval_ms: u64,
    /// Why it is not to be fetched after all: to be given back to `done` as it is.
    pub refused: Option<String>,
}

/// What a target answered.
#[derive(Debug, Clone, Copy)]
pub struct Body<'a> {
    /// The answer, uncompressed.
    pub bytes: &'a [u8],
    /// Its `Content-Type`, empty where it has none.
    pub content_type: &'a str,
}

/// Why a target did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong.
    pub what: String,
    /// Which count goes up.
    pub reason: Reason,
}

/// Kinds of failures, for the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// No connection, or no answer that can be read.
    Connection,
    /// It took too long.
    Timeout,
    /// Another status than 200.
    Status,
    /// The body was too long, compressed or not.
    BodySize,
    /// The body is not what it should be.
    Parse,
    /// Too many samples.
    SampleLimit,
    /// Too many labels, or labels that are too long.
    LabelLimit,
    /// The job has too many targets.
    TargetLimit,
    /// The target asks for what is not served.
    Unserved,
}

impl Reason {
    /// All of them, with the names they have in a label.
    pub const ALL: [(Reason, &'static str); 9] = [
        (Reason::Connection, "connection"),
        (Reason::Timeout, "timeout"),
        (Reason::Status, "status"),
        (Reason::BodySize, "body_size"),
        (Reason::Parse, "parse"),
        (Reason::SampleLimit, "sample_limit"),
        (Reason::LabelLimit, "label_limit"),
        (Reason::TargetLimit, "target_limit"),
        (Reason::Unserved, "unserved"),
    ];
}

/// Samples on their way to the store.
#[derive(Debug)]
pub struct Delivery {
    /// Whose.
    pub target: u32,
    /// The source in the store.
    pub source: SourceId,
    /// When the scrape began.
    pub at: Now,
    /// The samples, and the report beside them.
    pub batch: Batch,
    /// Whether these are the target's own samples too, and not only the report of a failure.
    pub good: bool,
    /// The exemplars that came with them; the time of one without is that of its sample.
    pub exemplars: Vec<Exemplar>,
    /// How many exemplars were more than are taken of one scrape.
    pub exemplars_left_out: u64,
    /// To be set by whoever could not append the batch because it names no series.
    pub is_unknown: bool,
}

/// Returns the exemplars of the scrape that was read last, with the labels of their series.
fn exemplars(desk: &mut Desk, batch: &Batch, at: Now) -> Vec<Exemplar> {
    let found = desk.examples.drain(..).filter_map(|example| {
        let series = Labels::from_packed(batch.packed(batch.rows().get(example.row as usize)?))?;
        let when = example.at.or(example.sample_at).unwrap_or(at.wall);
        let has_time = example.at.is_some();
        Some(Exemplar { series, labels: example.labels, value: example.value, at: when, has_time })
    });
    found.collect()
}

/// What bounds all targets together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The number of the first source; the others count from there.
    pub source_first: u32,
    /// The most series of all targets together.
    pub rows_max: usize,
    /// Where hashes begin: another on every start.
    pub seed: u64,
    /// Whether each series says its kind and unit in the labels `__type__` and `__unit__`.
    pub type_and_unit: bool,
    /// Whether it is kept when counters began.
    pub starts: bool,
}

/// All jobs and their targets.
pub struct Pools {
    bounds: Bounds,
    pools: Vec<Pool>,
    targets: BTreeMap<u32, Running>,
    queue: BTreeSet<(Mono, u32)>,
    next: u32,
    rows: usize,
    /// How many targets answered well when they were asked last.
    up: usize,
    ended: Vec<SourceId>,
    desk: Desk,
    counts: Counts,
}

/// One job.
struct Pool {
    job: Arc<Job>,
    providers: BTreeMap<u32, Vec<Group>>,
    targets: HashMap<Labels, u32>,
    dropped: Vec<Labels>,
    dropped_total: usize,
    /// Why none of them is scraped.
    refused: Option<String>,
}

/// One target.
struct Running {
    target: Target,
    job: Arc<Job>,
    source: SourceId,
    due: Mono,
    in_flight: bool,
    intake: Intake,
    report: Vec<Labels>,
    last: Last,
}

impl Pools {
    /// Returns no jobs.
    pub fn new(bounds: Bounds) -> Pools {
        Pools {
            desk: Desk {
                seed: bounds.seed,
                type_and_unit: bounds.type_and_unit,
                starts: bounds.starts,
                ..Desk::default()
            },
            bounds,
            pools: Vec::new(),
            targets: BTreeMap::new(),
            queue: BTreeSet::new(),
            next: 0,
            rows: 0,
            up: 0,
            ended: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// Puts other jobs into force. What discovery said of a job that stays is kept until it says something else.
    pub fn change(&mut self, now: Now, jobs: Vec<Job>) {
        let mut old: HashMap<String, Pool> = self.pools.drain(..).map(|pool| (pool.job.name.clone(), pool)).collect();
        let mut pools = Vec::new();
        for job in jobs {
            let job = Arc::new(job);
            let pool = match old.remove(&job.name) {
                Some(pool) => Pool { job, ..pool },
                None => Pool::new(job),
            };
            pools.push(pool);
        }
        for id in old.into_values().flat_map(|pool| pool.targets.into_values()) {
            self.end(id);
        }
        self.pools = pools;
        for index in 0..self.pools.len() {
            self.settle(now, index);
        }
    }

    /// Takes what one provider of a job found, in the place of what it found before.
    pub fn discovered(&mut self, now: Now, job: &str, provider: u32, groups: Vec<Group>) {
        let Some(index) = self.pools.iter().position(|pool| pool.job.name == job) else { return };
        self.pools[index].providers.insert(provider, groups);
        self.settle(now, index);
    }

    /// Forgets providers of a job beyond the first so many: a reload has fewer.
    pub fn keep_providers(&mut self, now: Now, job: &str, count: u32) {
        let Some(index) = self.pools.iter().position(|pool| pool.job.name == job) else { return };
        let before = self.pools[index].providers.len();
        self.pools[index].providers.retain(|provider, _| *provider < count);
        if self.pools[index].providers.len() != before {
            self.settle(now, index);
        }
    }

    /// Returns when the next target is due; `None`: there is none.
    pub fn next_deadline(&self) -> Option<Mono> {
        self.queue.first().map(|(due, _)| *due)
    }

    /// Returns one target that is due, which is then on its way; `None` when there is none any more.
    pub fn due(&mut self, now: Now) -> Option<Fetch> {
        loop {
            let (due, id) = self.queue.first().copied().filter(|(due, _)| *due <= now.mono)?;
            self.queue.remove(&(due, id));
            let Some(running) = self.targets.get_mut(&id) else { continue };
            running.due = next_after(now.mono, due, running.target.interval_ms);
            self.queue.insert((running.due, id));
            if std::mem::replace(&mut running.in_flight, true) {
                self.counts.missed += 1;
                continue;
            }
            let pool = self.pools.iter().find(|pool| pool.job.name == running.job.name);
            let target = &running.target;
            return Some(Fetch {
                target: id,
                job: running.job.clone(),
                url: target.url.clone(),
                timeout_ms: target.timeout_ms,
                interval_ms: target.interval_ms,
                refused: pool.and_then(|pool| pool.refused.clone()),
            });
        }
    }

    /// Returns whether this target is there.
    pub fn has(&self, target: u32) -> bool {
        self.targets.contains_key(&target)
    }

    /// Takes what came of a fetch that began at `at` and took so many seconds. `None`: the target has gone meanwhile.
    pub fn done(&mut self, target: u32, at: Now, seconds: f64, fetched: Result<Body<'_>, Failure>) -> Option<Delivery> {
        let running = self.targets.get_mut(&target)?;
        running.in_flight = false;
        let job = running.job.clone();
        let before = running.intake.rows();
        let rows_max = self.bounds.rows_max.saturating_sub(self.rows - before);
        let bytes = fetched.as_ref().map(|body| body.bytes.len()).ok();
        let read = fetched.map_err(|failure| (failure, Count::default())).and_then(|body| {
            let format = chosen(&job, body.content_type)?;
            let reading = Reading { job: &job, target: &running.target.labels, format, body: body.bytes, rows_max };
            running.intake.read(reading, &mut self.desk).map_err(|(what, count)| (judged(what), count))
        });
        self.rows = self.rows - before + running.intake.rows();
        let (good, batch, count, failure) = match read {
            Ok((batch, count)) => (true, batch, count, None),
            Err((failure, count)) => (false, self.desk.batch(), count, Some(failure)),
        };
        self.counts.note(failure.as_ref().map(|failure| failure.reason), &count);
        let report = Report { up: good, seconds, count, job: &job, timeout_ms: running.target.timeout_ms, bytes };
        let mut batch = batch;
        report::put(&mut batch, &running.report, &report, failure.as_ref().map(|f| f.reason));
        if good {
            running.intake.note_layout(&mut batch);
        }
        self.up = self.up - usize::from(running.last.health == Health::Up) + usize::from(good);
        running.last = Last {
            health: if good { Health::Up } else { Health::Down },
            error: failure.map_or_else(String::new, |failure| failure.what),
            at: Some(at.wall),
            seconds,
            samples: count.scraped,
        };
        batch.set_own_times_stay(!job.track_timestamps_staleness);
        if !self.desk.examples.is_empty()
            && let Some(named) = running.intake.named(&batch, &mut self.desk)
        {
            // An exemplar says whose it is.
            self.desk.keep(std::mem::replace(&mut batch, named));
        }
        let (exemplars, exemplars_left_out) = match good {
            true => (exemplars(&mut self.desk, &batch, at), self.desk.examples_left_out),
            false => (Vec::new(), 0),
        };
        let source = running.source;
        Some(Delivery { target, source, at, batch, good, exemplars, exemplars_left_out, is_unknown: false })
    }

    /// Takes a batch back that the store has appended. One that it could not append comes back with its series named,
    /// unless the target has gone or sent others since.
    pub fn home(&mut self, delivery: Delivery) -> Option<Delivery> {
        let running = self.targets.get(&delivery.target).filter(|_| delivery.is_unknown);
        let named = running.and_then(|running| running.intake.named(&delivery.batch, &mut self.desk));
        let Delivery { batch: bare, .. } = delivery;
        self.desk.keep(bare);
        let exemplars = Vec::new();
        named.map(|batch| Delivery { batch, exemplars, exemplars_left_out: 0, is_unknown: false, ..delivery })
    }

    /// Moves the sources that have ended to `out`; their series are to be marked stale.
    pub fn take_ended(&mut self, out: &mut Vec<SourceId>) {
        out.append(&mut self.ended);
    }

    /// Returns what is counted.
    pub fn counts(&self) -> Counts {
        let mut counts = self.counts.clone();
        counts.targets = self.targets.len() as u64;
        counts.up = self.up as u64;
        counts.series = self.rows as u64;
        counts.dropped_targets = self.pools.iter().map(|pool| pool.dropped_total as u64).sum();
        counts
    }

    /// Returns how every target stands, job by job.
    pub fn status(&self) -> Vec<TargetStatus> {
        let mut all = Vec::with_capacity(self.targets.len());
        for pool in &self.pools {
            let mut ids: Vec<u32> = pool.targets.values().copied().collect();
            ids.sort_unstable();
            all.extend(ids.iter().filter_map(|id| self.targets.get(id)).map(|running| running.status()));
        }
        all
    }

    /// Returns the targets that rules dropped: the job's name and the labels as they were discovered.
    pub fn dropped(&self) -> impl Iterator<Item = (&str, &Labels)> {
        self.pools.iter().flat_map(|pool| pool.dropped.iter().map(|labels| (pool.job.name.as_str(), labels)))
    }

    /// Returns how many targets of each job rules dropped.
    pub fn dropped_by_job(&self) -> impl Iterator<Item = (&str, u64)> {
        self.pools.iter().map(|pool| (pool.job.name.as_str(), pool.dropped_total as u64))
    }

    /// Makes the targets of a job what its providers and its rules say.
    fn settle(&mut self, now: Now, index: usize) {
        let pool = &mut self.pools[index];
        let job = pool.job.clone();
        (pool.dropped, pool.dropped_total) = (Vec::new(), 0);
        let remembered = match job.limits.dropped_targets {
            0 => DROPPED_MAX,
            limit => (limit as usize).min(TARGETS_MAX),
        };
        let mut wanted: Vec<Target> = Vec::new();
        let mut seen: BTreeSet<Vec<u8>> = BTreeSet::new();
        for group in pool.providers.values().flatten() {
            for target in &group.targets {
                match populate(&job, discovered(&job, target, &group.labels)) {
                    Found::Target(target) if seen.insert(target.identity.packed().to_vec()) => wanted.push(*target),
                    Found::Target(_) => {}
                    Found::Dropped(labels) | Found::Wrong(labels, _) => {
                        pool.dropped_total += 1;
                        if pool.dropped.len() < remembered {
                            pool.dropped.push(labels);
                        }
                    }
                }
            }
        }
        let (found, limit) = (wanted.len() as u64, job.limits.targets);
        pool.refused = (limit > 0 && found > limit)
            .then(|| format!("target_limit exceeded (number of targets: {found}, limit: {limit})"));
        let mut old = std::mem::take(&mut pool.targets);
        let mut kept = HashMap::with_capacity(wanted.len());
        let (mut made, mut left_out) = (Vec::new(), 0);
        for target in wanted {
            match old.remove(&target.identity) {
                Some(id) => {
                    kept.insert(target.identity.clone(), id);
                    if let Some(running) = self.targets.get_mut(&id) {
                        running.renew(target, &job);
                    }
                }
                None => made.push(target),
            }
        }
        for id in old.into_values() {
            self.end(id);
        }
        for target in made {
            if self.targets.len() >= TARGETS_MAX {
                left_out += 1;
                continue;
            }
            kept.insert(target.identity.clone(), self.next);
            self.begin(now, target, job.clone());
        }
        self.counts.targets_left_out += left_out;
        self.pools[index].targets = kept;
    }

    fn begin(&mut self, now: Now, target: Target, job: Arc<Job>) {
        let id = self.next;
        self.next = self.next.wrapping_add(1);
        let mut hash = Hash::new(0);
        target.identity.iter().for_each(|(name, value)| _ = hash.add(name).add(value));
        let interval = target.interval_ms.max(1);
        let due = first_after(now.mono, interval, hash.get() % interval);
        self.queue.insert((due, id));
        let source = SourceId(self.bounds.source_first.wrapping_add(id));
        let report = report::labels(&job, &target.labels);
        let (intake, last) = (Intake::default(), Last::default());
        self.targets.insert(id, Running { target, job, source, due, in_flight: false, intake, report, last });
    }

    fn end(&mut self, id: u32) {
        if let Some(running) = self.targets.remove(&id) {
            self.queue.remove(&(running.due, id));
            self.rows -= running.intake.rows();
            self.up -= usize::from(running.last.health == Health::Up);
            self.ended.push(running.source);
        }
    }
}

impl Pool {
    fn new(job: Arc<Job>) -> Pool {
        Pool {
            job,
            providers: BTreeMap::new(),
            targets: HashMap::new(),
            dropped: Vec::new(),
            dropped_total: 0,
            refused: None,
        }
    }
}

impl Running {
    /// Takes over what may have changed though the target is the same.
    fn renew(&mut self, target: Target, job: &Arc<Job>) {
        if *self.job != **job {
            self.intake.forget_labels();
            self.report = report::labels(job, &target.labels);
        }
        (self.target, self.job) = (target, job.clone());
    }

    fn status(&self) -> TargetStatus {
        TargetStatus {
            discovered: self.target.discovered.clone(),
            labels: self.target.labels.clone(),
            pool: self.job.name.clone(),
            url: self.target.url.clone(),
            interval_ms: self.target.interval_ms,
            timeout_ms: self.target.timeout_ms,
            last: self.last.clone(),
        }
    }
}

/// Returns the first moment from now on that lies at this offset in an interval.
fn first_after(now: Mono, interval_ms: u64, offset_ms: u64) -> Mono {
    let begun = now.0 - now.0 % interval_ms + offset_ms;
    if begun < now.0 { Mono(begun).plus_ms(interval_ms) } else { Mono(begun) }
}

/// Returns the next moment after one that was due; what was missed in between is left out.
fn next_after(now: Mono, due: Mono, interval_ms: u64) -> Mono {
    let interval_ms = interval_ms.max(1);
    due.plus_ms((now.since_ms(due) / interval_ms + 1).saturating_mul(interval_ms))
}

fn chosen(job: &Job, content_type: &str) -> Result<Format, (Failure, Count)> {
    let fallback = job.fallback.and_then(|protocol| Format::of_protocol(protocol.as_str()));
    let choice = Format::of_content_type(content_type, fallback);
    let fail = || Failure { what: choice.what.clone().unwrap_or_default(), reason: Reason::Parse };
    choice.format.ok_or_else(|| (fail(), Count::default()))
}

/// Returns the failure that a text of `intake` tells of.
fn judged(what: String) -> Failure {
    let reason = match what.as_str() {
        text if text.starts_with("sample limit") || text.starts_with("more ") => Reason::SampleLimit,
        text if text.starts_with("label_") => Reason::LabelLimit,
        _ => Reason::Parse,
    };
    Failure { what, reason }
}

#[cfg(test)]
mod tests;
