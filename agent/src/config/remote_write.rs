//! `remote_write`: where samples are sent, with Prometheus's keys.
//!
//! ```text
//! remote_write: [{url: http://central:9090/api/v1/write, basic_auth: {username: barn, password_file: pass}}]
//! ```
//! The ring is the queue, so of `queue_config` only what shapes a request has a meaning; shards and capacity are
//! warned about. A name must be unique: acknowledgements are saved under it (under the URL where there is none).

use std::path::Path;

use model::duration::DisplayMs;
use relabel::{NameScheme, Rule};
use yaml::{Errors, Map, Node, Secret};

use super::http::{Auth, HttpUrl, RawAuth, UNSERVED, headers};
use super::http_client::OAUTH2_INSTEAD;
use super::limits::REMOTE_WRITES_MAX;
use super::raw::{At, at, child, items, within};
use super::tls::Tls;

const TIMEOUT_MS: u64 = 30_000;
const TIMEOUT_MS_MIN: u64 = 100;
const TIMEOUT_MS_MAX: u64 = 600_000;
const SAMPLES_MAX: u64 = 10_000;
const WAIT_MS_MAX: u64 = 3_600_000;
const EMPTY_RULE: &str = "empty or null relabeling rule in remote write config";

/// A remote-write upstream.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteWrite {
    /// What it is called in metrics and under what its acknowledgements are saved.
    pub name: String,
    /// Where requests go.
    pub url: HttpUrl,
    /// How long one request may take, in milliseconds.
    pub timeout_ms: u64,
    /// Sent with each request.
    pub headers: Vec<(String, Secret)>,
    /// Who we say we are.
    pub auth: Auth,
    /// How TLS is spoken.
    pub tls: Tls,
    /// What a request looks like and how it is repeated.
    pub queue: Queue,
    /// What becomes of a series before it is sent.
    pub relabel: Vec<Rule>,
}

/// What a request looks like and how it is repeated. The queue itself is the ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// `max_samples_per_send`.
    pub samples_max: usize,
    /// `batch_send_deadline`: how long fewer samples wait for more, in milliseconds.
    pub linger_ms: u64,
    /// `min_backoff`: the pause after the first failure, in milliseconds.
    pub backoff_ms_min: u64,
    /// `max_backoff`: the longest pause, in milliseconds.
    pub backoff_ms_max: u64,
}

impl Default for Queue {
    fn default() -> Queue {
        Queue { samples_max: 2_000, linger_ms: 5_000, backoff_ms_min: 1_000, backoff_ms_max: 60_000 }
    }
}

#[derive(Debug)]
pub(super) struct RawRemoteWrite {
    node: Node,
    name: Option<At<String>>,
    url: Option<At<HttpUrl>>,
    timeout: Option<At<u64>>,
    headers: Option<Node>,
    auth: RawAuth,
    tls: Tls,
    queue: RawQueue,
    relabel: Vec<Rule>,
}

#[derive(Debug, Default)]
struct RawQueue {
    samples: Option<At<u64>>,
    linger: Option<At<u64>>,
    backoff_min: Option<At<u64>>,
    backoff_max: Option<At<u64>>,
}

impl RawRemoteWrite {
    pub fn read_all(root: &mut Map, errors: &mut Errors, warnings: &mut Errors) -> Vec<RawRemoteWrite> {
        let nodes = items(root, "remote_write", REMOTE_WRITES_MAX, errors);
        nodes.into_iter().map(|node| RawRemoteWrite::read(node, errors, warnings)).collect()
    }

    fn read(node: Node, errors: &mut Errors, warnings: &mut Errors) -> RawRemoteWrite {
        if node.is_null() {
            node.complain("empty or null remote write config section", "", errors);
        }
        let mut map = node.map(errors);
        if map.get("url").is_none() && !node.is_null() {
            node.complain("url for remote_write is empty", "", errors);
        }
        let relabel = map.get("write_relabel_configs");
        let raw = RawRemoteWrite {
            name: at(&mut map, "name", errors, Node::str),
            url: at(&mut map, "url", errors, read_url),
            timeout: at(&mut map, "remote_timeout", errors, Node::duration_ms),
            headers: map.get("headers"),
            auth: RawAuth::read(&mut map, errors, warnings),
            tls: Tls::read(&mut map, Path::new(""), errors, warnings),
            queue: RawQueue::read(&mut map, errors, warnings),
            relabel: relabel::read(relabel, EMPTY_RULE, NameScheme::Utf8, errors),
            node,
        };
        map.known_but_unserved(&["oauth2"], OAUTH2_INSTEAD, warnings);
        map.known_but_unserved(&["protobuf_message"], "version 1 is sent", warnings);
        map.known_but_unserved(&["metadata_config", "send_exemplars", "send_native_histograms"], "", warnings);
        map.known_but_unserved(&["sigv4", "azuread", "google_iam", "round_robin_dns"], "", warnings);
        map.known_but_unserved(&UNSERVED, "", warnings);
        map.finish(errors);
        raw
    }

    fn believe(self, base: &Path, errors: &mut Errors) -> Option<RemoteWrite> {
        // Everything is looked at, so that all that is wrong comes out at once.
        let (headers, auth) = (headers(self.headers, errors), self.auth.believe(base, errors));
        let url = self.url?.value;
        Some(RemoteWrite {
            name: self.name.map(|at| at.value).filter(|name| !name.is_empty()).unwrap_or_else(|| url.to_string()),
            url,
            timeout_ms: within(self.timeout, TIMEOUT_MS_MIN..=TIMEOUT_MS_MAX, TIMEOUT_MS, DisplayMs, errors),
            headers,
            auth,
            tls: self.tls.based_on(base),
            queue: self.queue.believe(errors),
            relabel: self.relabel,
        })
    }
}

impl RawQueue {
    fn read(upstream: &mut Map, errors: &mut Errors, warnings: &mut Errors) -> RawQueue {
        let Some(node) = upstream.get("queue_config") else { return RawQueue::default() };
        for key in ["max_samples_per_send", "max_shards", "min_shards", "capacity"] {
            if let Some(zero) = child(&node, key).filter(|value| value.text() == Some("0")) {
                zero.complain(["remote write queue ", key, " must be positive"].concat(), "", errors);
            }
        }
        let mut map = node.map(errors);
        let raw = RawQueue {
            samples: at(&mut map, "max_samples_per_send", errors, Node::u64),
            linger: at(&mut map, "batch_send_deadline", errors, Node::duration_ms),
            backoff_min: at(&mut map, "min_backoff", errors, Node::duration_ms),
            backoff_max: at(&mut map, "max_backoff", errors, Node::duration_ms),
        };
        let instead = "the ring is the queue, and one request at a time is in flight";
        map.known_but_unserved(&["capacity", "max_shards", "min_shards"], instead, warnings);
        map.known_but_unserved(&["retry_on_http_429", "sample_age_limit"], "", warnings);
        map.finish(errors);
        raw
    }

    fn believe(self, errors: &mut Errors) -> Queue {
        let default = Queue::default();
        let backoff_ms_min = within(self.backoff_min, 1..=WAIT_MS_MAX, default.backoff_ms_min, DisplayMs, errors);
        let longest = default.backoff_ms_max.max(backoff_ms_min);
        // What is wrong with a zero has been said.
        let samples = self.samples.filter(|at| at.value > 0);
        Queue {
            samples_max: within(samples, 1..=SAMPLES_MAX, default.samples_max as u64, |n| n, errors) as usize,
            linger_ms: within(self.linger, 0..=WAIT_MS_MAX, default.linger_ms, DisplayMs, errors),
            backoff_ms_min,
            backoff_ms_max: within(self.backoff_max, backoff_ms_min..=WAIT_MS_MAX, longest, DisplayMs, errors),
        }
    }
}

/// Believes the upstreams; their names must differ.
pub(super) fn believe(raw: Vec<RawRemoteWrite>, base: &Path, errors: &mut Errors) -> Vec<RemoteWrite> {
    let mut names: Vec<String> = Vec::new();
    for raw in &raw {
        let url = || raw.url.as_ref().map(|url| url.value.to_string());
        let given = raw.name.as_ref().map(|at| at.value.clone()).filter(|name| !name.is_empty());
        let Some(name) = given.or_else(url) else { continue };
        if names.contains(&name) {
            let what = ["found multiple remote write configs with job name \"", &name, "\""].concat();
            raw.node.complain(what, "a name of its own for each", errors);
        }
        names.push(name);
    }
    raw.into_iter().filter_map(|raw| raw.believe(base, errors)).collect()
}

/// Reads a URL without quoting it in a message: it may hold a password.
pub(super) fn read_url(node: &Node, errors: &mut Errors) -> Option<HttpUrl> {
    let text = node.str(errors)?;
    let url = HttpUrl::parse(&text);
    if url.is_none() {
        node.complain("this is no URL", "http://host:port/path", errors);
    }
    url
}
