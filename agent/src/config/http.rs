//! What every HTTP upstream has: an address, a way to say who we are, headers.
//!
//! Keys and contradictions are those of Prometheus's `HTTPClientConfig`. A password or token comes from the file or
//! from a file of its own, which is not read here: it may come later than the configuration, and a check has no right
//! to it. Nothing here prints a secret, not even one in a URL.

use std::fmt;
use std::path::{Path, PathBuf};

use yaml::{Errors, Map, Node, Secret};

use super::limits::HEADERS_MAX;
use super::raw::{At, at, child, path, peek};

/// Keys of Prometheus's HTTP client that a sender does not serve yet.
pub(super) const UNSERVED: [&str; 7] = [
    "proxy_url",
    "no_proxy",
    "proxy_from_environment",
    "proxy_connect_header",
    "follow_redirects",
    "enable_http2",
    "http_headers",
];

/// Headers that the protocols themselves set.
pub(super) const RESERVED_HEADERS: [&str; 18] = [
    "authorization",
    "host",
    "content-encoding",
    "content-length",
    "content-type",
    "user-agent",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "www-authenticate",
    "accept-encoding",
    "x-prometheus-remote-write-version",
    "x-prometheus-remote-read-version",
    "x-prometheus-scrape-timeout-seconds",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
];

/// An `http` or `https` URL. Prints without the password it may hold.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpUrl(String);

impl HttpUrl {
    /// Parses an absolute URL with a host.
    pub fn parse(text: &str) -> Option<HttpUrl> {
        let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"))?;
        let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        let host = &authority[authority.rfind('@').map_or(0, |at| at + 1)..];
        (host_and_port(host).is_some() && !text.contains(|c: char| c.is_whitespace() || c.is_control()))
            .then(|| HttpUrl(text.to_owned()))
    }

    /// Returns the URL as it was given, password included: for the sender, never for a message.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Returns whether it asks for TLS.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https:")
    }
}

/// Splits `host`, `host:port` or `[v6]:port`; the host is not empty.
pub(super) fn host_and_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':').or(rest.is_empty().then_some(""))?),
        None => text.split_once(':').unwrap_or((text, "")),
    };
    if host.is_empty() || (port.is_empty() && text.ends_with(':')) {
        return None;
    }
    if port.is_empty() { Some((host, None)) } else { Some((host, Some(port.parse().ok().filter(|port| *port != 0)?))) }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = self.0.find("://").map_or(0, |at| at + 3);
        let end = self.0[start..].find(['/', '?', '#']).map_or(self.0.len(), |at| start + at);
        match self.0[start..end].rfind('@') {
            Some(at) => write!(f, "{}<secret>{}", &self.0[..start], &self.0[start + at..]),
            None => f.write_str(&self.0),
        }
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Who we say we are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Auth {
    /// Nobody.
    #[default]
    None,
    /// A name and a password.
    Basic {
        /// The name.
        username: String,
        /// The password.
        password: SecretSource,
    },
    /// An `Authorization` header.
    Header {
        /// Its scheme, such as `Bearer`.
        scheme: String,
        /// What follows it.
        credentials: SecretSource,
    },
}

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// In the configuration.
    Text(Secret),
    /// In a file, which the sender reads; blanks around it do not count.
    File(PathBuf),
}

impl Default for SecretSource {
    fn default() -> SecretSource {
        SecretSource::Text(Secret::default())
    }
}

/// `basic_auth`, `authorization` and their older spellings.
#[derive(Debug, Default)]
pub(super) struct RawAuth {
    basic: Option<RawBasic>,
    header: Option<RawHeader>,
    bearer: RawSecret,
    /// Not served, but two ways at once are wrong whether or not one of them is served.
    oauth2: Option<Node>,
}

#[derive(Debug)]
struct RawBasic {
    node: Node,
    username: Option<String>,
    password: RawSecret,
}

#[derive(Debug)]
struct RawHeader {
    node: Node,
    scheme: Option<At<String>>,
    credentials: RawSecret,
}

/// A secret and the other key that may hold its file.
#[derive(Debug, Default)]
pub(super) struct RawSecret {
    text: Option<At<Secret>>,
    file: Option<At<String>>,
}

impl RawSecret {
    pub fn read(map: &mut Map, text: &'static str, file: &'static str, errors: &mut Errors) -> RawSecret {
        RawSecret { text: at(map, text, errors, Node::secret), file: at(map, file, errors, Node::str) }
    }

    pub fn is_absent(&self) -> bool {
        self.text.is_none() && self.file.is_none()
    }

    /// Returns the place of whichever is there.
    fn node(&self) -> Option<&Node> {
        self.text.as_ref().map(|at| &at.node).or(self.file.as_ref().map(|at| &at.node))
    }

    pub fn believe(self, base: &Path, errors: &mut Errors) -> Option<SecretSource> {
        if let (Some(text), Some(file)) = (&self.text, &self.file) {
            file.complain(twice(&text.node, &file.node), "", errors);
        }
        match self.text {
            Some(text) => Some(SecretSource::Text(text.value)),
            None => path(self.file, base, errors).map(SecretSource::File),
        }
    }
}

/// Returns what is said of a secret and its file that are both there, in the peer's words.
fn twice(text: &Node, file: &Node) -> String {
    let path = text.key();
    let owner = match path.rsplit('.').nth(1) {
        Some(owner @ ("authorization" | "basic_auth")) => [owner, " "].concat(),
        _ => String::new(),
    };
    let (text, file) = (text.name().unwrap_or(""), file.name().unwrap_or(""));
    ["at most one of ", &owner, text, " & ", file, " must be configured"].concat()
}

impl RawAuth {
    pub fn read(map: &mut Map, errors: &mut Errors, warnings: &mut Errors) -> RawAuth {
        RawAuth {
            basic: map.get("basic_auth").map(|node| RawBasic::read(node, errors, warnings)),
            header: map.get("authorization").map(|node| RawHeader::read(node, errors, warnings)),
            bearer: RawSecret::read(map, "bearer_token", "bearer_token_file", errors),
            oauth2: peek(map, "oauth2").inspect(|node| check_oauth2(node, errors)),
        }
    }

    pub fn believe(self, base: &Path, errors: &mut Errors) -> Auth {
        let (basic, header) = (self.basic.as_ref().map(|b| &b.node), self.header.as_ref().map(|h| &h.node));
        let named = basic.or(self.oauth2.as_ref());
        let twice = match (named, header, self.bearer.node()) {
            (Some(_), _, Some(bearer)) => {
                Some((bearer, "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured"))
            }
            (_, Some(_), Some(bearer)) => {
                Some((bearer, "authorization is not compatible with bearer_token & bearer_token_file"))
            }
            (Some(_), Some(header), _) => {
                Some((header, "at most one of basic_auth, oauth2 & authorization must be configured"))
            }
            _ => None,
        };
        let both = basic.and(self.oauth2.as_ref());
        let both = both.map(|node| (node, "at most one of basic_auth, oauth2 & authorization must be configured"));
        if let Some((node, what)) = twice.or(both) {
            node.complain(what, "", errors);
        }
        match (self.basic, self.header) {
            (Some(basic), _) => basic.believe(base, errors),
            (None, Some(header)) => header.believe(base, errors),
            (None, None) if self.bearer.is_absent() => Auth::None,
            (None, None) => Auth::Header {
                scheme: "Bearer".to_owned(),
                credentials: self.bearer.believe(base, errors).unwrap_or_default(),
            },
        }
    }
}

/// Checks a section that is not served as far as the peer refuses it.
fn check_oauth2(node: &Node, errors: &mut Errors) {
    let has = |key: &str| child(node, key).is_some_and(|value| value.text() != Some(""));
    for key in ["client_id", "token_url"].into_iter().filter(|key| !has(key)) {
        node.complain(["oauth2 ", key, " must be configured"].concat(), "", errors);
    }
    if has("client_secret") && (has("client_secret_file") || has("client_secret_ref")) {
        let what = "at most one of oauth2 client_secret, client_secret_file & client_secret_ref must be configured";
        node.complain(what, "", errors);
    }
    if has("client_certificate_key") && (has("client_certificate_key_file") || has("client_certificate_key_ref")) {
        let what = "at most one of oauth2 client_certificate_key, client_certificate_key_file & \
                    client_certificate_key_ref must be configured";
        node.complain(what, "", errors);
    }
}

impl RawBasic {
    fn read(node: Node, errors: &mut Errors, warnings: &mut Errors) -> RawBasic {
        let mut map = node.map(errors);
        if ["username", "username_file", "username_ref"].iter().filter(|key| child(&node, key).is_some()).count() > 1 {
            let what = "at most one of basic_auth username, username_file & username_ref must be configured";
            node.complain(what, "", errors);
        }
        let raw = RawBasic {
            username: map.str("username", errors),
            password: RawSecret::read(&mut map, "password", "password_file", errors),
            node,
        };
        map.known_but_unserved(&["username_file", "username_ref", "password_ref"], "", warnings);
        map.finish(errors);
        raw
    }

    fn believe(self, base: &Path, errors: &mut Errors) -> Auth {
        Auth::Basic {
            username: self.username.unwrap_or_default(),
            password: self.password.believe(base, errors).unwrap_or_default(),
        }
    }
}

impl RawHeader {
    fn read(node: Node, errors: &mut Errors, warnings: &mut Errors) -> RawHeader {
        let mut map = node.map(errors);
        let raw = RawHeader {
            scheme: at(&mut map, "type", errors, Node::str),
            credentials: RawSecret::read(&mut map, "credentials", "credentials_file", errors),
            node,
        };
        map.known_but_unserved(&["credentials_ref"], "", warnings);
        map.finish(errors);
        raw
    }

    fn believe(self, base: &Path, errors: &mut Errors) -> Auth {
        let scheme = self.scheme.as_ref().map_or("Bearer", |at| at.value.trim());
        if let Some(at) = self.scheme.as_ref().filter(|at| at.value.trim().eq_ignore_ascii_case("basic")) {
            at.complain("authorization type cannot be set to \"basic\"", "basic_auth instead", errors);
        }
        if scheme.is_empty() || !scheme.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.node.complain("this type is no word", "a scheme such as Bearer", errors);
        }
        let scheme = scheme.to_owned();
        Auth::Header { scheme, credentials: self.credentials.believe(base, errors).unwrap_or_default() }
    }
}

/// Returns what is said of a header that is not for people to set, in the peer's words.
pub(super) fn reserved(name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    if name == "authorization" {
        let keys = "basic_auth, authorization, oauth2, sigv4, azuread or google_iam";
        return Some(["authorization header must be changed via the ", keys, " parameter"].concat());
    }
    let is_reserved = RESERVED_HEADERS.contains(&name.as_str());
    is_reserved.then(|| [&name, " is a reserved header. It must not be changed"].concat())
}

/// Returns headers as they are sent. Their values may be tokens, so they are secrets.
pub(super) fn headers(node: Option<Node>, errors: &mut Errors) -> Vec<(String, Secret)> {
    let Some(node) = node else { return Vec::new() };
    if !node.is_map() {
        node.complain("this is no map", "a map (name: value)", errors);
    }
    let mut headers = Vec::new();
    for (count, child) in node.children().into_iter().enumerate() {
        let name = child.name().unwrap_or("").to_owned();
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let Some(value) = child.secret(errors) else { continue };
        if count >= HEADERS_MAX {
            child.complain("there are too many headers", ["at most ", &HEADERS_MAX.to_string()].concat(), errors);
            break;
        } else if let Some(what) = reserved(&name) {
            child.complain(what, "", errors);
        } else if name.is_empty() || !name.bytes().all(token) {
            child.complain("this is no header's name", "letters, digits and dashes", errors);
        } else if value.reveal().contains(|c: char| c.is_control()) {
            child.complain("this header's value has control characters", "one line", errors);
        } else {
            headers.push((name, value));
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_need_a_scheme_and_a_host() {
        for text in ["http://h", "https://h:8080/a?b#c", "http://u:p@h/", "http://[::1]:9090/x", "http://10.0.0.1"] {
            assert!(HttpUrl::parse(text).is_some(), "{text}");
        }
        for text in [
            "",
            "h",
            "h:80",
            "ftp://h",
            "http://",
            "http:///a",
            "http://:80",
            "http://h:",
            "http://h:x",
            "http://h:0",
            "http://h:99999",
            "http://h /",
            "http://u@",
            "http://[::1",
        ] {
            assert!(HttpUrl::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn urls_print_without_their_password() {
        let url = HttpUrl::parse("http://me:hunter2@h:1/p@q").expect("is valid");
        assert_eq!(format!("{url} {url:?}"), "http://<secret>@h:1/p@q http://<secret>@h:1/p@q");
        assert_eq!(url.reveal(), "http://me:hunter2@h:1/p@q");
    }
}
