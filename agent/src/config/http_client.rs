//! How a target or a list of targets is fetched: Prometheus's `HTTPClientConfig`, as far as GET needs it.
//!
//! ```text
//! basic_auth: {username: barn, password_file: pass}
//! proxy_url: http://proxy:3128
//! http_headers: {X-Key: {secrets: [abc]}}
//! ```
//! Contradictions are refused in the peer's words. `proxy_from_environment` is not served: what a board fetches is in its
//! configuration alone. Nor is `oauth2`: a token that another program renews in a file is.

use std::path::Path;

use yaml::{Errors, Map, Node, Secret};

use super::http::{Auth, HttpUrl, RESERVED_HEADERS, RawAuth, SecretSource};
use super::limits::HEADERS_MAX;
use super::raw::{At, at, peek};
use super::tls::Tls;

/// The most values of one header.
const HEADER_VALUES_MAX: usize = 16;

/// Keys that are known and have no effect.
const UNSERVED: [&str; 3] = ["proxy_from_environment", "proxy_connect_header", "enable_http2"];
/// What is said of a grant that we do not ask for.
pub(super) const OAUTH2_INSTEAD: &str =
    "have another program renew the token in a file, and name that under authorization.credentials_file";

/// How something is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpClient {
    /// Who we say we are.
    pub auth: Auth,
    /// Headers sent with each request; their values may be tokens.
    pub headers: Vec<(String, SecretSource)>,
    /// Through which proxy; `None` is none.
    pub proxy: Option<Proxy>,
    /// How TLS is spoken.
    pub tls: Tls,
    /// Whether an answer that points elsewhere is followed.
    pub follow_redirects: bool,
}

/// A proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Where it is.
    pub url: HttpUrl,
    /// `no_proxy`: who is asked without it, as Go reads it.
    pub except: String,
}

impl Default for HttpClient {
    fn default() -> HttpClient {
        let (auth, headers, tls) = (Auth::None, Vec::new(), Tls::default());
        HttpClient { auth, headers, proxy: None, tls, follow_redirects: true }
    }
}

impl HttpClient {
    /// Reads the keys that stand among those of a job or a discovery.
    pub(super) fn read(map: &mut Map, base: &Path, errors: &mut Errors, warnings: &mut Errors) -> HttpClient {
        let auth = RawAuth::read(map, errors, warnings).believe(base, errors);
        let proxy = at(map, "proxy_url", errors, read_proxy);
        check_proxy(map, proxy.as_ref(), errors);
        let except = map.str("no_proxy", errors).unwrap_or_default();
        map.known_but_unserved(&["oauth2"], OAUTH2_INSTEAD, warnings);
        map.known_but_unserved(&UNSERVED, "", warnings);
        HttpClient {
            auth,
            headers: map.get("http_headers").map_or_else(Vec::new, |node| headers(&node, base, errors)),
            proxy: proxy.and_then(|proxy| proxy.value).map(|url| Proxy { url, except }),
            tls: Tls::read(map, base, errors, warnings),
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
