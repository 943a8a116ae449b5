//! The thread that scrapes: the state machine of `targets`, driven by one small runtime of its own.
//!
//! ```text
//! reload ──┐                         ┌─► batches ─► core ─► (come home)
//! lists ───┼─► asks ─► Pools ─► due ─┤
//! answers ─┘                         └─► sources that ended
//! ```
//! A fetch is a task, so a target that hangs costs its own memory and nobody's time. Bodies are read here one after
//! the other; what came of them goes to core. Without a job there is no thread. Lists of targets are `discover`'s.

use std::collections::HashMap;
use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::{Clock, Mono, Now, SourceId};
use targets::{Body, Bounds, Delivery, Failure, Fetch, Job, Pools, TargetStatus};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use super::discover::{self, Finding, Kind};
pub use super::fetch::Proxy;
use super::fetch::{Budget, Connection, Request, Response, fetch};
use super::tls::TlsClient;
use crate::config::Scrape;
use crate::os::clock::monotonic_ns;
use crate::scraping::{Counted, ListFailures};

/// The stack of the thread, in bytes.
const STACK_BYTES: usize = 512 << 10;
/// How many names are looked up, and files read, at the same time.
const LOOKUPS_MAX: usize = 4;
/// The stack of a thread that looks up a name, in bytes: the system's resolver is not frugal.
const LOOKUP_STACK_BYTES: usize = 256 << 10;
/// How long the thread sleeps when nothing is due, in milliseconds.
const IDLE_MS: u64 = 60_000;
/// How long whoever asks how targets stand waits, in milliseconds.
const SHOW_MS_MAX: u64 = 2_000;

/// The most connections that are kept open between scrapes, one a target; those beyond are dialled anew each time.
/// A process has 1,024 descriptors where nobody said otherwise.
const CONNECTIONS_KEPT_MAX: usize = 512;
/// A connection is not kept for longer than this, in milliseconds: as the peer, a target scraped less often is
/// dialled each time.
const CONNECTION_IDLE_MS_MAX: u64 = 300_000;

/// What the thread has for core.
pub enum News {
    /// Samples; they come back by [`Scrapes::home`] when the store has them.
    Samples(Box<Delivery>),
    /// A target has gone: its series end.
    Ended(SourceId),
}

/// How targets are reached: makes the headers of a request anew each time, for a secret may lie in a file.
pub type Headers = Arc<dyn Fn() -> Result<Vec<(String, String)>, String> + Send + Sync>;

/// How something is fetched.
#[derive(Clone)]
pub struct Manner {
    /// The headers of a request.
    pub headers: Headers,
    /// Through which proxy.
    pub proxy: Option<Proxy>,
    /// How TLS is spoken.
    pub tls: Arc<TlsClient>,
    /// Whether an answer that points elsewhere is followed.
    pub follow_redirects: bool,
}

/// A job with what the thread needs to reach its targets.
#[derive(Clone)]
pub struct Reach {
    /// The job and its discoveries.
    pub scrape: Scrape,
    /// How its targets are fetched.
    pub manner: Manner,
    /// How each of its `http_sd_configs` is fetched, in their order.
    pub list_manners: Vec<Manner>,
}

enum Ask {
    Change(Vec<Reach>),
    Name(Box<Delivery>),
    Show(SyncSender<Shown>),
}

/// How all targets stand.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// Every target.
    pub targets: Vec<TargetStatus>,
    /// Targets that rules dropped: the job and the labels as they were discovered.
    pub dropped: Vec<(String, model::Labels)>,
    /// How many rules dropped of each job, remembered or not.
    pub dropped_by_job: Vec<(String, u64)>,
}

/// Asks the thread how all targets stand. Cheap to clone.
#[derive(Clone, Default)]
pub struct View(Arc<Mutex<Option<UnboundedSender<Ask>>>>);

impl View {
    /// Returns how all targets stand; nothing when nobody is scraped, or the thread does not answer in time.
    pub fn shown(&self) -> Shown {
        let asks = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (tell, told) = sync_channel(1);
        let asked = asks.is_some_and(|asks| asks.send(Ask::Show(tell)).is_ok());
        let shown = asked.then(|| told.recv_timeout(Duration::from_millis(SHOW_MS_MAX)).ok());
        shown.flatten().unwrap_or_default()
    }
}

type Start = Box<dyn Fn(Arc<Mutex<Counted>>, Homes) -> io::Result<UnboundedSender<Ask>> + Send>;

/// The most batches that lie there to be taken home; further ones are dropped.
const HOMES_MAX: usize = 4;

/// Batches that the store is done with: the thread takes them when it needs one, and is not woken for them.
#[derive(Clone, Default)]
struct Homes(Arc<Mutex<Vec<Delivery>>>);

impl Homes {
    fn lay(&self, delivery: Delivery) {
        let mut there = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if there.len() < HOMES_MAX {
            there.push(delivery);
        }
    }

    fn take(&self) -> Vec<Delivery> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Speaks to the thread.
pub struct Scrapes {
    asks: Option<UnboundedSender<Ask>>,
    view: View,
    counted: Arc<Mutex<Counted>>,
    homes: Homes,
    start: Start,
}

impl Scrapes {
    /// Returns no thread yet; `tell` is called with all that core should know.
    pub fn new(bounds: Bounds, clock: Arc<dyn Clock + Send + Sync>, tell: Arc<dyn Fn(News) + Send + Sync>) -> Scrapes {
        let start = Box::new(move |counted, homes| start(bounds, clock.clone(), tell.clone(), counted, homes));
        Scrapes { asks: None, view: View::default(), counted: Arc::default(), homes: Homes::default(), start }
    }

    /// Puts these jobs into force; the thread is started with the first.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn change(&mut self, jobs: Vec<Reach>) -> io::Result<()> {
        if self.asks.is_none() && !jobs.is_empty() {
            self.asks = Some((self.start)(self.counted.clone(), self.homes.clone())?);
            *self.view.0.lock().unwrap_or_else(PoisonError::into_inner) = self.asks.clone();
        }
        self.ask(Ask::Change(jobs));
        Ok(())
    }

    /// Gives a batch back that the store has, or one that it wants to have named.
    pub fn home(&self, delivery: Box<Delivery>) {
        match delivery.is_unknown {
            true => self.ask(Ask::Name(delivery)),
            false => self.homes.lay(*delivery),
        }
    }

    /// Returns what asks how all targets stand.
    pub fn view(&self) -> View {
        self.view.clone()
    }

    /// Returns what is counted; `None` when nothing was ever scraped.
    pub fn counted(&self) -> Option<Counted> {
        self.asks.as_ref()?;
        Some(self.counted.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn ask(&self, ask: Ask) {
        if let Some(asks) = &self.asks {
            // The thread ends only with the process.
            let _ = asks.send(ask);
        }
    }
}

fn start(
    bounds: Bounds,
    clock: Arc<dyn Clock + Send + Sync>,
    tell: Arc<dyn Fn(News) + Send + Sync>,
    counted: Arc<Mutex<Counted>>,
    homes: Homes,
) -> io::Result<UnboundedSender<Ask>> {
    let (asks, asked) = unbounded_channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(LOOKUPS_MAX)
        .thread_stack_size(LOOKUP_STACK_BYTES)
        .thread_keep_alive(Duration::from_secs(5))
        .thread_name("lookup")
        .build()?;
    std::thread::Builder::new().name("scrape".to_owned()).stack_size(STACK_BYTES).spawn(move || {
        let (answers, answered) = unbounded_channel();
        let (findings, found) = unbounded_channel();
        let worker = Worker {
            pools: Pools::new(bounds),
            reaches: Vec::new(),
            clock,
            tell,
            counted,
            budget: Budget::default(),
            answers,
            findings,
            connections: HashMap::new(),
            seekers: Vec::new(),
            failures: ListFailures::default(),
            homes,
        };
        // A task of its own: to wake what `block_on` itself runs goes through the kernel, from this very thread too.
        let run = runtime.spawn(worker.run(asked, answered, found));
        // It ends with the process.
        let _ = runtime.block_on(run);
    })?;
    Ok(asks)
}

/// What came of a fetch.
struct Answer {
    target: u32,
    at: Now,
    seconds: f64,
    result: Result<Response, Failure>,
    open: Option<Connection>,
}

struct Worker {
    pools: Pools,
    reaches: Vec<Reach>,
    clock: Arc<dyn Clock + Send + Sync>,
    tell: Arc<dyn Fn(News) + Send + Sync>,
    counted: Arc<Mutex<Counted>>,
    budget: Budget,
    answers: UnboundedSender<Answer>,
    findings: UnboundedSender<Finding>,
    /// Those left open by the targets' last scrapes.
    connections: HashMap<u32, Connection>,
    seekers: Vec<JoinHandle<()>>,
    failures: ListFailures,
    homes: Homes,
}

impl Worker {
    async fn run(
        mut self,
        mut asked: UnboundedReceiver<Ask>,
        mut answered: UnboundedReceiver<Answer>,
        mut found: UnboundedReceiver<Finding>,
    ) {
        loop {
            let now = self.clock.now();
            while let Some(due) = self.pools.due(now) {
                self.fetch(due);
            }
            self.say_ended();
            let wait = Duration::from_millis(wait_ms(self.pools.next_deadline(), self.clock.now().mono));
            tokio::select! {
                // What core sends home comes before newer answers of the same target.
                biased;
                ask = asked.recv() => match ask {
                    Some(Ask::Change(reaches)) => self.change(reaches),
                    Some(Ask::Name(delivery)) => self.take_home(*delivery),
                    Some(Ask::Show(reply)) => drop(reply.try_send(self.shown())),
                    None => return,
                },
                Some(answer) = answered.recv() => self.take(answer),
                Some(finding) = found.recv() => self.find(finding),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn change(&mut self, reaches: Vec<Reach>) {
        let now = self.clock.now();
        self.seekers.drain(..).for_each(|seeker| seeker.abort());
        let jobs: Vec<Job> = reaches.iter().map(|reach| reach.scrape.job.clone()).collect();
        self.pools.change(now, jobs);
        for reach in &reaches {
            let (name, discovery) = (&reach.scrape.job.name, &reach.scrape.discovery);
            self.pools.discovered(now, name, 0, discovery.fixed.clone());
            let asked = discovery.https.len() + discovery.names.len() + discovery.neighbours.len();
            let count = discovery.files.len() + asked;
            self.pools.keep_providers(now, name, 1 + count as u32);
            self.seekers.extend(discover::start(reach, &self.findings, &self.budget));
        }
        self.reaches = reaches;
        // How targets are reached may have changed.
        self.connections.clear();
        self.count();
    }

    fn find(&mut self, finding: Finding) {
        match finding.groups {
            Ok(groups) => self.pools.discovered(self.clock.now(), &finding.job, finding.provider, groups),
            Err(Kind::File) => self.failures.file += 1,
            Err(Kind::Http) => self.failures.http += 1,
            Err(Kind::Dns) => self.failures.dns += 1,
            Err(Kind::Mdns) => self.failures.mdns += 1,
        }
        self.connections.retain(|target, _| self.pools.has(*target));
        self.count();
    }

    fn fetch(&mut self, due: Fetch) {
        let at = self.clock.now();
        let reach = self.reaches.iter().find(|reach| reach.scrape.job.name == due.job.name);
        let request = match (due.refused, reach) {
            (Some(what), _) => Err(Failure { what, reason: targets::Reason::TargetLimit }),
            (None, None) => Err(unreachable_job()),
            (None, Some(reach)) => request_of(reach, &due.job, due.url, due.timeout_ms),
        };
        let (answers, budget, target) = (self.answers.clone(), self.budget.clone(), due.target);
        let open = self.connections.remove(&target);
        let stays_open = due.interval_ms <= CONNECTION_IDLE_MS_MAX;
        tokio::spawn(async move {
            let began = monotonic_ns();
            let fetched = match request {
                Ok(request) => fetch(&request, open, &budget).await,
                Err(failure) => Err(failure),
            };
            let seconds = (monotonic_ns() - began) as f64 / 1e9;
            let (result, open) = match fetched {
                Ok((response, open)) => (Ok(response), open.filter(|_| stays_open)),
                Err(failure) => (Err(failure), None),
            };
            // The receiver lives as long as the runtime.
            let _ = answers.send(Answer { target, at, seconds, result, open });
        });
    }

    fn take(&mut self, answer: Answer) {
        let Answer { target, at, seconds, result, open } = answer;
        self.homes.take().into_iter().for_each(|delivery| self.take_home(delivery));
        let open = open.filter(|_| self.connections.len() < CONNECTIONS_KEPT_MAX && self.pools.has(target));
        self.connections.extend(open.map(|open| (target, open)));
        let body = match &result {
            Ok(response) => Ok(Body { bytes: &response.body, content_type: &response.content_type }),
            Err(failure) => Err(failure.clone()),
        };
        if let Some(delivery) = self.pools.done(target, at, seconds, body) {
            (self.tell)(News::Samples(Box::new(delivery)));
        }
        self.count();
    }

    /// Takes a batch back, and sends it again with its series named where the store wants that.
    fn take_home(&mut self, delivery: Delivery) {
        if let Some(named) = self.pools.home(delivery) {
            (self.tell)(News::Samples(Box::new(named)));
        }
    }

    fn say_ended(&mut self) {
        let mut ended = Vec::new();
        self.pools.take_ended(&mut ended);
        ended.into_iter().for_each(|source| (self.tell)(News::Ended(source)));
    }

    fn count(&self) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        *counted = Counted { scrapes: self.pools.counts(), lists: self.failures };
    }

    fn shown(&self) -> Shown {
        let dropped = self.pools.dropped().map(|(job, labels)| (job.to_owned(), labels.clone()));
        let dropped_by_job = self.pools.dropped_by_job().map(|(job, count)| (job.to_owned(), count)).collect();
        Shown { dropped: dropped.collect(), targets: self.pools.status(), dropped_by_job }
    }
}

fn unreachable_job() -> Failure {
    Failure { what: "the job is not in force any more".to_owned(), reason: targets::Reason::Connection }
}

/// Returns the request for a target.
///
/// # Errors
/// When a secret that goes with it cannot be read.
fn request_of(reach: &Reach, job: &Job, url: String, timeout_ms: u64) -> Result<Request, Failure> {
    let manner = &reach.manner;
    let headers = (manner.headers)();
    let mut headers = headers
        .map_err(|what| Failure { what: format!("Get {url:?}: {what}"), reason: targets::Reason::Connection })?;
    headers.push(("Accept".to_owned(), accept(job)));
    if job.compression {
        headers.push(("Accept-Encoding".to_owned(), "gzip".to_owned()));
    }
    let seconds = timeout_ms as f64 / 1_000.0;
    headers.push(("X-Prometheus-Scrape-Timeout-Seconds".to_owned(), seconds.to_string()));
    let limit = match job.limits.body_bytes {
        0 => targets::limits::BODY_BYTES_MAX,
        // The peer refuses a body that reaches the limit.
        limit => (limit - 1).min(targets::limits::BODY_BYTES_MAX),
    };
    Ok(Request {
        url,
        headers,
        proxy: manner.proxy.clone(),
        tls: manner.tls.clone(),
        follow_redirects: manner.follow_redirects,
        timeout: Duration::from_millis(timeout_ms),
        body_bytes_max: limit as usize,
    })
}

/// Returns the `Accept` header: the formats with falling weights, anything else last, as the peer has it.
fn accept(job: &Job) -> String {
    let escaping = match job.names {
        relabel::NameScheme::Utf8 => ";escaping=allow-utf-8",
        relabel::NameScheme::Legacy => ";escaping=underscores",
    };
    let mut weight = targets::Protocol::ALL.len() + 1;
    let mut text = String::new();
    for protocol in &job.protocols {
        let is_escaped = matches!(protocol, targets::Protocol::Text100 | targets::Protocol::OpenMetrics100);
        let escaping = if is_escaped { escaping } else { "" };
        text.push_str(&format!("{}{escaping};q=0.{weight},", protocol.media_type()));
        weight -= 1;
    }
    text.push_str(&format!("*/*;q=0.{weight}"));
    text
}

fn wait_ms(deadline: Option<Mono>, now: Mono) -> u64 {
    deadline.map_or(IDLE_MS, |deadline| deadline.since_ms(now).min(IDLE_MS))
}
