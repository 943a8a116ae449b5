//! How a target or a list of targets is fetched: Prometheus's `HTTPClientConfig`, as far as GET needs it.
//!
//! ```text
//! basic_auth: {username: barn, password_file: pass}
//! proxy_url: http://proxy:3128
//! http_headers: {X-Key: {secrets: [abc]}}
//! ```
//! Contradictions are refused in the peer's words. TLS comes later: its keys are checked and warned about, so that a
//! file that works there loads here and says what it lacks. `proxy_from_environment` is not served: what a board
//! fetches is in its configuration alone.

use std::path::Path;

use yaml::{Errors, Map, Node, Secret};

use super::http::{Auth, HttpUrl, RESERVED_HEADERS, RawAuth, SecretSource};
use super::limits::HEADERS_MAX;
use super::raw::{At, at, child, peek};

/// The most values of one header.
const HEADER_VALUES_MAX: usize = 16;

/// Keys that are known and have no effect.
const UNSERVED: [&str; 5] = ["oauth2", "no_proxy", "proxy_from_environment", "proxy_connect_header", "enable_http2"];

const TLS_KEYS: [&str; 13] = [
    "ca",
    "ca_file",
    "ca_ref",
    "cert",
    "cert_file",
    "cert_ref",
    "key",
    "key_file",
    "key_ref",
    "server_name",
    "insecure_skip_verify",
    "min_version",
    "max_version",
];

const TLS_VERSIONS: [&str; 4] = ["TLS10", "TLS11", "TLS12", "TLS13"];

/// How something is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpClient {
    /// Who we say we are.
    pub auth: Auth,
    /// Headers sent with each request; their values may be tokens.
    pub headers: Vec<(String, SecretSource)>,
    /// Through which proxy; `None` is none.
    pub proxy_url: Option<HttpUrl>,
    /// Whether an answer that points elsewhere is followed.
    pub follow_redirects: bool,
}

impl Default for HttpClient {
    fn default() -> HttpClient {
        HttpClient { auth: Auth::None, headers: Vec::new(), proxy_url: None, follow_redirects: true }
    }
}

impl HttpClient {
    /// Reads the keys that stand among those of a job or a discovery.
    pub(super) fn read(map: &mut Map, base: &Path, errors: &mut Errors, warnings: &mut Errors) -> HttpClient {
        let auth = RawAuth::read(map, errors, warnings).believe(base, errors);
        let proxy = at(map, "proxy_url", errors, read_proxy);
        check_proxy(map, proxy.as_ref(), errors);
        if let Some(tls) = peek(map, "tls_config") {
            check_tls(&tls, errors);
        }
        map.known_but_unserved(&["tls_config"], "TLS comes later", warnings);
        map.known_but_unserved(&UNSERVED, "", warnings);
        HttpClient {
            auth,
            headers: map.get("http_headers").map_or_else(Vec::new, |node| headers(&node, base, errors)),
            proxy_url: proxy.and_then(|proxy| proxy.value),
            follow_redirects: map.bool("follow_redirects", errors).unwrap_or(true),
        }
    }
}

/// Reads a proxy's URL; an empty one is none. It is not quoted in a message, for it may hold a password.
fn read_proxy(node: &Node, errors: &mut Errors) -> Option<Option<HttpUrl>> {
    let text = node.str(errors)?;
    if text.is_empty() {
        return Some(None);
    }
    let url = HttpUrl::parse(&text).filter(|url| !url.is_https());
    if url.is_none() {
        node.complain("this is no proxy that can be used", "http://host:port", errors);
    }
    Some(url)
}

fn check_proxy(map: &Map, proxy: Option<&At<Option<HttpUrl>>>, errors: &mut Errors) {
    let mut say = |what: &str| map.node().complain(what, "", errors);
    let from_environment = peek(map, "proxy_from_environment").is_some_and(|node| node.text() == Some("true"));
    // One that is wrong has been complained about.
    let has_proxy = proxy.is_some();
    let has_exceptions = peek(map, "no_proxy").is_some_and(|node| node.text() != Some(""));
    let has_headers = peek(map, "proxy_connect_header").is_some_and(|node| !node.children().is_empty());
    if has_headers && !from_environment && !has_proxy {
        say("if proxy_connect_header is configured, proxy_url or proxy_from_environment must also be configured");
    }
    if from_environment && has_proxy {
        say("if proxy_from_environment is configured, proxy_url must not be configured");
    }
    if from_environment && has_exceptions {
        say("if proxy_from_environment is configured, no_proxy must not be configured");
    } else if has_exceptions && !has_proxy {
        say("if no_proxy is configured, proxy_url must also be configured");
    }
}

/// Checks a section that is not served yet, so that a wrong one is not found out later.
fn check_tls(node: &Node, errors: &mut Errors) {
    let mut map = node.map(errors);
    map.known_but_unserved(&TLS_KEYS, "", &mut Errors::new());
    map.finish(errors);
    let has = |key: &str| child(node, key).is_some_and(|value| value.text() != Some(""));
    let count = |keys: [&str; 3]| keys.into_iter().filter(|key| has(key)).count();
    let (ca, cert, key) = (
        count(["ca", "ca_file", "ca_ref"]),
        count(["cert", "cert_file", "cert_ref"]),
        count(["key", "key_file", "key_ref"]),
    );
    let version = |key: &str| {
        let value = child(node, key)?;
        TLS_VERSIONS.iter().position(|known| value.text() == Some(known)).ok_or(value).into()
    };
    let versions: [Option<Result<usize, Node>>; 2] = [version("min_version"), version("max_version")];
    for unknown in versions.iter().flatten().filter_map(|found| found.as_ref().err()) {
        let what = ["unknown TLS version: ", unknown.text().unwrap_or("")].concat();
        unknown.complain(what, TLS_VERSIONS.join(", "), errors);
    }
    let reversed = matches!(&versions, [Some(Ok(min)), Some(Ok(max))] if max < min);
    for (is_wrong, what) in [
        (ca > 1, "at most one of ca, ca_file & ca_ref must be configured"),
        (cert > 1, "at most one of cert, cert_file & cert_ref must be configured"),
        (key > 1, "at most one of key, key_file & key_ref must be configured"),
        (
            cert > 0 && key == 0,
            "exactly one of key or key_file must be configured when a client certificate is configured",
        ),
        (key > 0 && cert == 0, "exactly one of cert or cert_file must be configured when a client key is configured"),
        (
            reversed,
            "tls_config.max_version must be greater than or equal to tls_config.min_version if both are specified",
        ),
    ] {
        if is_wrong {
            node.complain(what, "", errors);
        }
    }
}

/// Reads `http_headers`: each name with values, secrets and files that hold one value each.
fn headers(node: &Node, base: &Path, errors: &mut Errors) -> Vec<(String, SecretSource)> {
    let mut headers = Vec::new();
    if !node.is_map() {
        node.complain("this is no map", "a map (name: {values: [...]})", errors);
    }
    for (count, child) in node.children().into_iter().enumerate() {
        let name = child.name().unwrap_or("").to_owned();
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if count >= HEADERS_MAX {
            child.complain("there are too many headers", ["at most ", &HEADERS_MAX.to_string()].concat(), errors);
            break;
        } else if RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            child.complain(["setting header \"", &name, "\" is not allowed"].concat(), "", errors);
        } else if name.is_empty() || !name.bytes().all(token) {
            child.complain("this is no header's name", "letters, digits and dashes", errors);
        }
        headers.extend(values(&child, base, errors).into_iter().map(|value| (name.clone(), value)));
    }
    headers
}

fn values(node: &Node, base: &Path, errors: &mut Errors) -> Vec<SecretSource> {
    let mut map = node.map(errors);
    let mut values = Vec::new();
    for key in ["values", "secrets"] {
        for item in map.list(key, errors) {
            let Some(value) = item.str(errors) else { continue };
            if value.contains(|c: char| c.is_control()) {
                item.complain("this header's value has control characters", "one line", errors);
            }
            values.push(SecretSource::Text(Secret::new(value)));
        }
    }
    let files = map.strings("files", errors);
    values.extend(files.iter().map(|file| SecretSource::File(base.join(file))));
    map.finish(errors);
    if values.len() > HEADER_VALUES_MAX {
        let limit = ["at most ", &HEADER_VALUES_MAX.to_string()].concat();
        node.complain("there are too many values", limit, errors);
    }
    values
}
