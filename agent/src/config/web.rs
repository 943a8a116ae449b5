//! `web` and `query`: the one port, and what a query may cost.
//!
//! ```text
//! web: {listen_address: ":9090", external_url: http://barn:9090, bearer_token_file: /etc/narthex/token}
//! query: {lookback_delta: 5m, timeout: 2m}
//! ```
//! Prometheus has these as flags (`--web.listen-address`, `--query.timeout`); the flags win over the file.

use std::path::Path;

use model::duration::DisplayMs;
use yaml::{Errors, Map, Node, Secret};

use super::http::{HttpUrl, RawSecret, SecretSource, host_and_port};
use super::limits::{INTERVAL_MS_MAX, INTERVAL_MS_MIN, USERS_MAX};
use super::raw::{At, at, within};
use super::remote_write::read_url;
use crate::web::bcrypt::Hash;

const LOOKBACK_MS: u64 = 300_000;
const TIMEOUT_MS: u64 = 120_000;

/// The one port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Web {
    /// Where it listens.
    pub listen_address: ListenAddress,
    /// How others reach it: for links in alerts; `None` is host name and port.
    pub external_url: Option<HttpUrl>,
    /// Who gets an answer: names with bcrypt hashes. Nobody: everybody does.
    pub users: Vec<(String, Secret)>,
    /// What whoever bears may push, write and control from anywhere.
    pub token: Option<SecretSource>,
}

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenAddress {
    /// A name or an address; empty is every address.
    pub host: String,
    /// The port; 0 lets the system choose.
    pub port: u16,
}

impl ListenAddress {
    /// Parses `:9090`, `127.0.0.1:9090` or `[::1]:9090`.
    pub fn parse(text: &str) -> Option<ListenAddress> {
        if let Some(port) = text.strip_prefix(':') {
            return Some(ListenAddress { host: String::new(), port: port.parse().ok()? });
        }
        if let Some(host) = text.strip_suffix(":0") {
            return Some(ListenAddress { host: host_and_port(host)?.0.to_owned(), port: 0 });
        }
        let (host, port) = host_and_port(text)?;
        let valid = !host.contains(|c: char| c.is_whitespace() || c.is_control() || "/@".contains(c));
        valid.then_some(ListenAddress { host: host.to_owned(), port: port? })
    }
}

/// What a query may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// How long a sample is taken for the present value, in milliseconds.
    pub lookback_ms: u64,
    /// How long a query may take, in milliseconds.
    pub timeout_ms: u64,
}

impl Default for Web {
    fn default() -> Web {
        let listen_address = ListenAddress { host: String::new(), port: 9090 };
        Web { listen_address, external_url: None, users: Vec::new(), token: None }
    }
}

impl Default for Query {
    fn default() -> Query {
        Query { lookback_ms: LOOKBACK_MS, timeout_ms: TIMEOUT_MS }
    }
}

#[derive(Debug, Default)]
pub(super) struct RawWeb {
    listen_address: Option<ListenAddress>,
    external_url: Option<At<HttpUrl>>,
    users: Vec<(String, Secret)>,
    token: RawSecret,
}

#[derive(Debug, Default)]
pub(super) struct RawQuery {
    lookback: Option<At<u64>>,
    timeout: Option<At<u64>>,
}

impl RawWeb {
    pub fn read(root: &mut Map, errors: &mut Errors) -> RawWeb {
        let Some(node) = root.get("web") else { return RawWeb::default() };
        let mut map = node.map(errors);
        let address = map.get("listen_address");
        let raw = RawWeb {
            listen_address: address
                .and_then(|node| node.parsed("an address such as :9090", ListenAddress::parse, errors)),
            external_url: at(&mut map, "external_url", errors, read_url),
            users: map.get("basic_auth_users").map_or_else(Vec::new, |node| users(&node, errors)),
            token: RawSecret::read(&mut map, "bearer_token", "bearer_token_file", errors),
        };
        map.finish(errors);
        raw
    }

    pub fn believe(self, base: &Path, errors: &mut Errors) -> Web {
        let default = Web::default();
        Web {
            listen_address: self.listen_address.unwrap_or(default.listen_address),
            external_url: self.external_url.map(|at| at.value),
            users: self.users,
            token: (!self.token.is_absent()).then(|| self.token.believe(base, errors)).flatten(),
        }
    }
}

/// Reads names and bcrypt hashes.
fn users(node: &Node, errors: &mut Errors) -> Vec<(String, Secret)> {
    let mut users = Vec::new();
    if !node.is_map() {
        node.complain("this is no map", "a map (name: bcrypt hash)", errors);
    }
    for (count, child) in node.children().into_iter().enumerate() {
        if count >= USERS_MAX {
            child.complain("there are too many users", ["at most ", &USERS_MAX.to_string()].concat(), errors);
            break;
        }
        let Some(hash) = child.secret(errors) else { continue };
        if Hash::parse(hash.reveal()).is_none() {
            let expected = "what `htpasswd -nBC 10 \"\"` prints behind the colon, of a cost of 4 to 14";
            child.complain("this is no bcrypt hash", expected, errors);
        }
        users.push((child.name().unwrap_or("").to_owned(), hash));
    }
    users
}

/// Reads the peers' web configuration, which `--web.config.file` names: its users are the ones that count.
///
/// # Errors
/// With everything that is wrong or is not served: whoever asks there for TLS must not get less in silence.
pub fn read_web_config(file: &str, text: &str) -> Result<Vec<(String, Secret)>, Errors> {
    let root = yaml::parse(file, text)?;
    let mut errors = Errors::new();
    let mut map = root.map(&mut errors);
    let users = map.get("basic_auth_users").map_or_else(Vec::new, |node| users(&node, &mut errors));
    for key in ["tls_server_config", "http_server_config", "rate_limit"] {
        if let Some(node) = map.get(key) {
            node.complain([key, " is not served"].concat(), "nothing, or a proxy in front that does it", &mut errors);
        }
    }
    map.finish(&mut errors);
    if errors.is_empty() { Ok(users) } else { Err(errors) }
}

impl RawQuery {
    pub fn read(root: &mut Map, errors: &mut Errors) -> RawQuery {
        let Some(node) = root.get("query") else { return RawQuery::default() };
        let mut map = node.map(errors);
        let raw = RawQuery {
            lookback: at(&mut map, "lookback_delta", errors, Node::duration_ms),
            timeout: at(&mut map, "timeout", errors, Node::duration_ms),
        };
        map.finish(errors);
        raw
    }

    pub fn believe(self, errors: &mut Errors) -> Query {
        let range = INTERVAL_MS_MIN..=INTERVAL_MS_MAX;
        Query {
            lookback_ms: within(self.lookback, range.clone(), LOOKBACK_MS, DisplayMs, errors),
            timeout_ms: within(self.timeout, range, TIMEOUT_MS, DisplayMs, errors),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_to_listen_on() {
        for (text, expected) in [
            (":9090", Some(("", 9090))),
            ("0.0.0.0:9090", Some(("0.0.0.0", 9090))),
            ("[::1]:1", Some(("::1", 1))),
            ("localhost:0", Some(("localhost", 0))),
            (":0", Some(("", 0))),
            ("9090", None),
            ("localhost", None),
            (":", None),
            (":99999", None),
            ("http://h:1", None),
            ("", None),
        ] {
            let address = ListenAddress::parse(text);
            assert_eq!(address.as_ref().map(|address| (address.host.as_str(), address.port)), expected, "{text}");
        }
    }
}
