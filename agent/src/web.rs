//! Answers to HTTP requests, without sockets: a `Request` in, an `Answer` out. Everything is on one port. Reading is
//! open, as with the peers, unless there are users (`guard`); what controls is refused from other hosts that are not
//! known, and from this host too when a header says that a browser or a proxy brought it (`access`). Paths, methods, status codes and texts are the peer's; two differences are
//! meant: a slash too many at the end of a path is not found, and `/` is our page.
//!
//! | path | what |
//! | --- | --- |
//! | `/` | the page; `/api/v1/status/narthex` is what it shows, as JSON |
//! | `/metrics` | a fresh collection, as an exporter prints it; `collect[]=` and `exclude[]=` as there |
//! | `/federate` | what is stored, as Prometheus prints it |
//! | `/api/v1/...` | Prometheus's HTTP API; `api` lists it |
//! | `/metrics/job/...`, `/api/v1/metrics` | pushes, as pushgateway takes them |
//! | `/-/healthy`, `/-/ready`, `/-/reload` | for service managers and probes |
//! | `/api/v1/write` | remote write, 1.0 and 2.0 |

pub mod access;
pub mod api;
pub mod bcrypt;
pub mod counts;

pub mod federate;
pub mod guard;
pub mod gzip;
pub mod json;
pub mod params;
pub mod push;
pub mod quick;
pub mod receive;
pub mod settings;
pub mod status;
pub mod targets;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use exporters::Selection;
use model::{Batch, Clock, Labels, UnixMs};
use promql::Engine;

use crate::core::pushes;
use crate::exemplars::Exemplars;
use crate::os::clock::monotonic_ns;

pub use guard::Guard;
pub use settings::Settings;
pub use status::Status;
pub use targets::Target;

/// The page, one file without a build step.
const PAGE: &str = include_str!("web/page.html");

/// A request, read whole.
#[derive(Debug)]
pub struct Request {
    /// `GET`, `POST` ...
    pub method: String,
    /// The path, still escaped.
    pub path: String,
    /// What follows the question mark, still escaped.
    pub query: String,
    /// The `Host` header.
    pub host: String,
    /// The `Origin` header.
    pub origin: String,
    /// The `Content-Type` header.
    pub content_type: String,
    /// The `Content-Encoding` header.
    pub content_encoding: String,
    /// The `Accept` header.
    pub accept: String,
    /// Whether a header says that a proxy brought it.
    pub proxied: bool,
    /// Whether it came as HTTP/1.0, which today only proxies speak.
    pub is_http_1_0: bool,
    /// Who asks.
    pub peer: IpAddr,
    /// Whether whoever asks has said who it is, and is one of ours.
    pub is_known: bool,
    /// The body.
    pub body: Vec<u8>,
    /// Set when the client has gone away.
    pub stop: Arc<AtomicBool>,
    /// How long it waited for its turn, in nanoseconds.
    pub queued_ns: AtomicU64,
    /// Set before `stop` when it is stopped because it takes too long.
    pub is_late: AtomicBool,
    /// Until when it may be answered by who does not wait, in nanoseconds of the monotonic clock; 0: it may wait.
    pub hurry_until_ns: AtomicU64,
}

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The `Content-Type`; empty for none.
    pub content_type: &'static str,
    /// Further headers, names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Returns an answer of this type.
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Answer {
        Answer { status, content_type, headers: Vec::new(), body: body.into() }
    }

    /// Returns plain text.
    pub fn text(status: u16, body: impl Into<Vec<u8>>) -> Answer {
        Answer::new(status, "text/plain; charset=utf-8", body)
    }

    /// Returns plain text that a browser must not take for anything else.
    fn error(status: u16, body: impl Into<Vec<u8>>) -> Answer {
        Answer::text(status, body).with("x-content-type-options", "nosniff")
    }

    /// Returns metrics in the text format.
    pub fn exposition(body: impl Into<Vec<u8>>) -> Answer {
        Answer::new(200, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores", body)
    }

    /// Returns it with another header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Answer {
        self.headers.push((name, value.into()));
        self
    }

    fn not_found() -> Answer {
        Answer::error(404, "404 page not found\n")
    }

    fn method_not_allowed(allow: &str) -> Answer {
        Answer::error(405, "Method Not Allowed\n").with("allow", allow)
    }
}

/// Takes the text of a fresh collection, and its gzip where somebody wanted that and it was at hand.
pub type MetricsReply = Box<dyn FnOnce(Arc<String>, Option<Arc<Vec<u8>>>) + Send>;

/// Takes the text of some collectors, or why they are refused.
pub type SelectedReply = Box<dyn FnOnce(Result<String, String>) + Send>;

/// What the web needs of the rest of the house.
pub trait House: Send + Sync {
    /// Asks for a fresh collection; concurrent askers share one.
    fn fresh_metrics(&self, wants_gzip: bool, reply: MetricsReply);
    /// Asks some collectors; what they say is not stored.
    fn selected_metrics(&self, selection: Selection, reply: SelectedReply);
    /// Returns how things stand; `None` when core does not answer in time.
    fn status(&self) -> Option<Status>;
    /// Returns the rule groups with their alerts; `None` when core does not answer in time.
    fn rules(&self) -> Option<Vec<rules::GroupView>>;
    /// Returns whether the agent serves.
    fn is_ready(&self) -> bool;
    /// Asks the pushed groups; `None` when core does not answer in time.
    fn push(&self, ask: pushes::Ask) -> Option<pushes::Told>;
    /// Stores what was written and tells what was refused of each batch; `None` when core does not answer in time.
    fn write(&self, batches: Vec<Batch>) -> Option<Vec<tsdb::Refused>>;
    /// Reads the configuration again and returns what went wrong.
    ///
    /// # Errors
    /// With all errors, one a line.
    fn reload(&self) -> Result<(), String>;
}

/// Everything an answer is made of.
pub struct Web {
    /// The rest of the house.
    pub house: Box<dyn House>,
    /// What is stored; replaced when the store is.
    pub reader: Arc<RwLock<tsdb::Reader>>,
    /// The query engine.
    pub engine: Engine,
    /// The time.
    pub clock: Arc<dyn Clock + Send + Sync>,
    /// What the command line says.
    pub settings: Settings,
    /// Labels that `/federate` adds; replaced at reload.
    pub external_labels: RwLock<Labels>,
    /// Who is known; replaced at reload.
    pub guard: RwLock<Arc<Guard>>,
    /// What is switched on of pushing.
    pub push: push::Options,
    /// The newest exemplars.
    pub exemplars: Arc<Mutex<Exemplars>>,
    /// What is counted of queries.
    pub queries: counts::Counts,
    /// The configuration in force, as YAML without secrets; replaced at reload.
    pub config: RwLock<String>,
}

impl Web {
    /// Answers a request. May compute and read flash; never waits for another host.
    pub fn answer(&self, request: &Request) -> Answer {
        if request.is_stopped() {
            return Answer::text(503, "nobody waits for the answer any more\n");
        }
        if let Some(answer) = push::answer(self, request) {
            return answer;
        }
        if request.path == "/api/v1/write" {
            return receive::answer(self, request);
        }
        if let Some(path) = request.path.strip_prefix("/api/v1/") {
            return match path {
                "status/narthex" => self.get(request, "GET, OPTIONS", || status::answer(self)),
                path => api::answer(self, request, path),
            };
        }
        match request.path.as_str() {
            "/-/reload" => self.reload(request),
            "/" => self.get(request, "GET, OPTIONS", || Answer::new(200, "text/html; charset=utf-8", PAGE)),
            "/federate" => self.get(request, "GET, OPTIONS", || federate::federate(self, request)),
            "/-/healthy" => self.probe(request, || Answer::text(200, "Narthex is Healthy.\n")),
            "/-/ready" => self.probe(request, || match self.house.is_ready() {
                true => Answer::text(200, "Narthex is Ready.\n"),
                false => Answer::text(503, "Service Unavailable\n"),
            }),
            _ => Answer::not_found(),
        }
    }

    /// Answers what may only be got.
    fn get(&self, request: &Request, allow: &str, answer: impl FnOnce() -> Answer) -> Answer {
        match request.method.as_str() {
            "GET" => answer(),
            "OPTIONS" => Answer::new(200, "", "").with("allow", allow),
            _ => Answer::method_not_allowed(allow),
        }
    }

    /// Answers what may also be asked for without its body.
    fn probe(&self, request: &Request, answer: impl FnOnce() -> Answer) -> Answer {
        match request.method.as_str() {
            "HEAD" => answer(),
            _ => self.get(request, "GET, HEAD, OPTIONS", answer),
        }
    }

    /// Returns who is known.
    pub fn guard(&self) -> Arc<Guard> {
        self.guard.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    /// Returns why `/metrics` is refused, or `None`.
    pub fn check_metrics(&self, request: &Request) -> Option<Answer> {
        (request.method != "GET").then(|| self.get(request, "GET, OPTIONS", Answer::not_found))
    }

    /// Returns which collectors a request asks for; `None` stands for a fresh collection of everything.
    ///
    /// # Errors
    /// The refusal.
    pub fn selection(&self, request: &Request) -> Result<Option<Selection>, Answer> {
        let params = params::Params::of(request);
        let names = |key| params.all(key).map(str::to_owned).collect();
        Selection::of(names("collect[]"), names("exclude[]")).map_err(|reason| Answer::text(400, reason))
    }

    /// Asks some collectors.
    pub fn selected_metrics(&self, selection: Selection, reply: SelectedReply) {
        self.house.selected_metrics(selection, reply);
    }

    /// Asks for a fresh collection.
    pub fn fresh_metrics(&self, wants_gzip: bool, reply: MetricsReply) {
        self.house.fresh_metrics(wants_gzip, reply);
    }

    fn reload(&self, request: &Request) -> Answer {
        if !matches!(request.method.as_str(), "POST" | "PUT") {
            return Answer::text(405, "Only POST or PUT requests allowed").with("allow", "POST, PUT");
        }
        if let Err(reason) = access::may_control(request) {
            return Answer::text(403, format!("{reason}\n"));
        }
        match self.house.reload() {
            Ok(()) => Answer::text(200, ""),
            Err(errors) => Answer::error(500, format!("failed to reload config: {errors}\n")),
        }
    }

    pub(crate) fn reader(&self) -> tsdb::Reader {
        self.reader.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    pub(crate) fn now(&self) -> UnixMs {
        self.reader().wall_of(self.clock.now())
    }
}

impl Request {
    /// Returns a request of this host, without headers and body.
    pub fn new(method: &str, target: &str) -> Request {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            host: String::new(),
            origin: String::new(),
            content_type: String::new(),
            content_encoding: String::new(),
            accept: String::new(),
            proxied: false,
            is_http_1_0: false,
            peer: IpAddr::from([127, 0, 0, 1]),
            is_known: false,
            body: Vec::new(),
            stop: Arc::default(),
            queued_ns: AtomicU64::new(0),
            is_late: AtomicBool::new(false),
            hurry_until_ns: AtomicU64::new(0),
        }
    }

    /// Returns whether the answer may take long: it reads what is stored. All else is answered beside such requests.
    pub fn is_heavy(&self) -> bool {
        self.path == "/federate" || self.path.strip_prefix("/api/v1/").is_some_and(api::is_heavy)
    }

    /// Returns whether this is only tried, by who does not wait: if it comes to no end soon it is begun anew elsewhere.
    pub(crate) fn is_hurried(&self) -> bool {
        self.hurry_until_ns.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn is_stopped(&self) -> bool {
        let until = self.hurry_until_ns.load(Ordering::Relaxed);
        self.stop.load(Ordering::Acquire) || until > 0 && monotonic_ns() > until
    }
}
