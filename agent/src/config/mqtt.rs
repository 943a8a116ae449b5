//! `mqtt`: brokers to which samples are published, one topic each, as JSON with QoS 1.
//!
//! ```text
//! mqtt: [{name: barn, broker: 127.0.0.1:1883, topic: narthex/barn, match: ['{__name__=~"node_.*"}']}]
//! ```
//! `match` are selectors as in `/federate`; none selects everything. The acknowledgements are saved under the name
//! (the broker and topic where there is none). Other qualities of service would lose samples or hold up the ring.

use std::fmt;
use std::path::Path;

use model::Matcher;
use model::duration::DisplayMs;
use yaml::{Errors, Map, Node};

use super::http::{RawSecret, SecretSource, host_and_port};
use super::limits::{MQTT_MAX, SELECTORS_MAX};
use super::raw::{At, at, items, within};

/// The port of a broker that names none.
const PORT: u16 = 1883;

/// The longest topic that MQTT can carry, in bytes.
const TOPIC_BYTES_MAX: usize = 65_535;

const KEEP_ALIVE_MS: u64 = 30_000;
const KEEP_ALIVE_MS_MIN: u64 = 5_000;
const KEEP_ALIVE_MS_MAX: u64 = 65_535_000;

/// An MQTT upstream.
#[derive(Debug, Clone, PartialEq)]
pub struct Mqtt {
    /// What it is called in metrics and under what its acknowledgements are saved.
    pub name: String,
    /// Where the broker listens.
    pub broker: Broker,
    /// Where messages are published.
    pub topic: String,
    /// How the broker knows us; `None` is `narthex-` and the instance.
    pub client_id: Option<String>,
    /// Who we say we are.
    pub username: Option<String>,
    /// And how we prove it.
    pub password: Option<SecretSource>,
    /// How often we say that we are there, in milliseconds.
    pub keep_alive_ms: u64,
    /// Which series are published; none at all means all.
    pub select: Vec<Selector>,
}

/// Where a broker listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// A name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// A selector, parsed, with the text it came from.
#[derive(Clone)]
pub struct Selector {
    /// As it was written.
    pub text: String,
    /// What it means.
    pub matchers: Vec<Matcher>,
}

impl PartialEq for Selector {
    fn eq(&self, other: &Selector) -> bool {
        self.text == other.text
    }
}

impl fmt::Debug for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[derive(Debug)]
pub(super) struct RawMqtt {
    node: Node,
    name: Option<String>,
    broker: Option<Broker>,
    topic: Option<At<String>>,
    client_id: Option<String>,
    username: Option<String>,
    password: RawSecret,
    keep_alive: Option<At<u64>>,
    qos: Option<At<u64>>,
    select: Vec<Selector>,
}

impl RawMqtt {
    pub fn read_all(root: &mut Map, errors: &mut Errors, warnings: &mut Errors) -> Vec<RawMqtt> {
        let nodes = items(root, "mqtt", MQTT_MAX, errors);
        nodes.into_iter().map(|node| RawMqtt::read(node, errors, warnings)).collect()
    }

    fn read(node: Node, errors: &mut Errors, warnings: &mut Errors) -> RawMqtt {
        let mut map = node.map(errors);
        let raw = RawMqtt {
            name: map.str("name", errors),
            broker: map.need("broker", errors).and_then(|node| read_broker(&node, errors)),
            topic: map.need("topic", errors).and_then(|node| Some(At { value: node.str(errors)?, node })),
            client_id: map.str("client_id", errors),
            username: map.str("username", errors),
            password: RawSecret::read(&mut map, "password", "password_file", errors),
            keep_alive: at(&mut map, "keep_alive", errors, Node::duration_ms),
            qos: at(&mut map, "qos", errors, Node::u64),
            select: selectors(items(&mut map, "match", SELECTORS_MAX, errors), errors),
            node,
        };
        map.known_but_unserved(&["tls_config"], "TLS comes later", warnings);
        map.finish(errors);
        raw
    }

    fn believe(self, base: &Path, errors: &mut Errors) -> Option<Mqtt> {
        if let Some(qos) = self.qos.filter(|qos| qos.value != 1) {
            qos.complain(
                ["quality of service ", &qos.value.to_string()].concat(),
                "1, the only one there is here",
                errors,
            );
        }
        let (broker, topic) = (self.broker?, self.topic?);
        let wild = topic.value.contains(['#', '+', '\0']);
        if wild || topic.value.is_empty() || topic.value.len() > TOPIC_BYTES_MAX {
            topic.complain("this is no topic to publish to", "a text without # and +", errors);
        }
        let named = || [&broker.host, ":", &broker.port.to_string(), "/", &topic.value].concat();
        Some(Mqtt {
            name: self.name.filter(|name| !name.is_empty()).unwrap_or_else(named),
            topic: topic.value,
            broker,
            client_id: self.client_id,
            username: self.username,
            password: self.password.believe(base, errors),
            keep_alive_ms: within(
                self.keep_alive,
                KEEP_ALIVE_MS_MIN..=KEEP_ALIVE_MS_MAX,
                KEEP_ALIVE_MS,
                DisplayMs,
                errors,
            ),
            select: self.select,
        })
    }
}

/// Believes the upstreams; their names must differ.
pub(super) fn believe(raw: Vec<RawMqtt>, base: &Path, errors: &mut Errors) -> Vec<Mqtt> {
    let mut upstreams: Vec<Mqtt> = Vec::new();
    for raw in raw {
        let node = raw.node.clone();
        let Some(upstream) = raw.believe(base, errors) else { continue };
        if upstreams.iter().any(|other| other.name == upstream.name) {
            let what = ["there are two mqtt named ", &upstream.name].concat();
            node.complain(what, "a name of its own for each", errors);
        }
        upstreams.push(upstream);
    }
    upstreams
}

fn read_broker(node: &Node, errors: &mut Errors) -> Option<Broker> {
    let broker = |text: &str| {
        let (host, port) = host_and_port(text.strip_prefix("mqtt://").unwrap_or(text))?;
        let valid = !host.contains(|c: char| c.is_whitespace() || c.is_control() || "/@".contains(c));
        valid.then(|| Broker { host: host.to_owned(), port: port.unwrap_or(PORT) })
    };
    let read = broker(&node.str(errors)?);
    if read.is_none() {
        // Not quoted: people write a password into it.
        node.complain("this is no broker", "host:port", errors);
    }
    read
}

fn selectors(nodes: Vec<Node>, errors: &mut Errors) -> Vec<Selector> {
    let mut selectors = Vec::new();
    for node in nodes {
        let Some(text) = node.str(errors) else { continue };
        match promql::parse_selector(&text) {
            Ok(matchers) => selectors.push(Selector { text, matchers }),
            Err(error) => {
                let place = node.place_within(error.line, column_in_chars(&text, error.line, error.column));
                errors.push(node.error_at(place, ["no selector: ", &error.message].concat(), ""));
            }
        }
    }
    selectors
}

/// Turns a column in bytes into one in characters, both from 1.
fn column_in_chars(text: &str, line: u32, column: u32) -> u32 {
    let line = text.split('\n').nth((line as usize).saturating_sub(1)).unwrap_or("");
    let before = (column as usize).saturating_sub(1);
    line.char_indices().take_while(|(at, _)| *at < before).count() as u32 + 1
}
