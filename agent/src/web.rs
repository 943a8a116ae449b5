//! Answers to HTTP requests, without sockets: a `Request` in, an `Answer` out.
//!
//! Everything is on one port. Reading is open, as with the peers; what controls is refused from other hosts, and
//! from this host too when a header says that a browser or a proxy brought it (`access`).
//!
//! | path | what |
//! | --- | --- |
//! | `/` | the page |
//! | `/metrics` | a fresh collection, as an exporter prints it |
//! | `/federate` | what is stored, as Prometheus prints it |
//! | `/api/v1/query`, `/api/v1/query_range` | PromQL |
//! | `/api/v1/status/narthex` | what the page shows, as JSON |
//! | `/metrics/job/...`, `/api/v1/metrics` | pushes, as pushgateway takes them |
//! | `/-/healthy`, `/-/ready`, `/-/reload` | for service managers and probes |

pub mod access;
pub mod api;
pub mod federate;
pub mod json;
pub mod params;
pub mod push;
pub mod status;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};

use model::{Clock, Labels};
use promql::Engine;

use crate::core::pushes;

pub use status::Status;

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
    /// Whether a header says that a proxy brought it.
    pub proxied: bool,
    /// Who asks.
    pub peer: IpAddr,
    /// The body.
    pub body: Vec<u8>,
    /// Set when the client has gone away.
    pub stop: Arc<AtomicBool>,
}

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The `Content-Type`.
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

    /// Returns metrics in the text format.
    pub fn exposition(body: impl Into<Vec<u8>>) -> Answer {
        Answer::new(200, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores", body)
    }

    fn method_not_allowed(allow: &str) -> Answer {
        let mut answer = Answer::text(405, format!("method not allowed, use {allow}\n"));
        answer.headers.push(("allow", allow.to_owned()));
        answer
    }
}

/// Takes the text of a fresh collection.
pub type MetricsReply = Box<dyn FnOnce(String) + Send>;

/// What the web needs of the rest of the house.
pub trait House: Send + Sync {
    /// Asks for a fresh collection; concurrent askers share one.
    fn fresh_metrics(&self, reply: MetricsReply);
    /// Returns how things stand; `None` when core does not answer in time.
    fn status(&self) -> Option<Status>;
    /// Returns whether the agent serves.
    fn is_ready(&self) -> bool;
    /// Asks the pushed groups; `None` when core does not answer in time.
    fn push(&self, ask: pushes::Ask) -> Option<pushes::Told>;
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
    /// Labels that `/federate` adds; replaced at reload.
    pub external_labels: RwLock<Labels>,
    /// What is switched on of pushing.
    pub push: push::Options,
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
        let reading = matches!(request.method.as_str(), "GET" | "HEAD");
        let posting = request.method == "POST";
        match request.path.as_str() {
            "/api/v1/query" | "/api/v1/query_range" | "/api/v1/status/narthex" if request.method == "OPTIONS" => {
                Answer::text(204, "")
            }
            "/api/v1/query" if reading || posting => api::query(self, request),
            "/api/v1/query_range" if reading || posting => api::query_range(self, request),
            "/api/v1/query" | "/api/v1/query_range" => Answer::method_not_allowed("GET, POST"),
            "/-/reload" if posting || request.method == "PUT" => self.reload(request),
            "/-/reload" => Answer::method_not_allowed("POST, PUT"),
            _ if !reading => Answer::method_not_allowed("GET"),
            "/" => Answer::new(200, "text/html; charset=utf-8", PAGE),
            "/federate" => federate::federate(self, request),
            "/api/v1/status/narthex" => status::answer(self),
            "/-/healthy" => Answer::text(200, "Narthex is Healthy.\n"),
            "/-/ready" if self.house.is_ready() => Answer::text(200, "Narthex is Ready.\n"),
            "/-/ready" => Answer::text(503, "Service Unavailable\n"),
            _ => Answer::text(404, "404 page not found\n"),
        }
    }

    /// Returns why `/metrics` is refused, or `None`.
    pub fn check_metrics(&self, request: &Request) -> Option<Answer> {
        (!matches!(request.method.as_str(), "GET" | "HEAD")).then(|| Answer::method_not_allowed("GET"))
    }

    /// Asks for a fresh collection.
    pub fn fresh_metrics(&self, reply: MetricsReply) {
        self.house.fresh_metrics(reply);
    }

    fn reload(&self, request: &Request) -> Answer {
        if let Err(reason) = access::may_control(request) {
            return Answer::text(403, format!("{reason}\n"));
        }
        match self.house.reload() {
            Ok(()) => Answer::text(200, ""),
            Err(errors) => Answer::text(500, format!("failed to reload config: {errors}\n")),
        }
    }

    pub(crate) fn reader(&self) -> tsdb::Reader {
        self.reader.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }
}

impl Request {
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
