//! The parts of an `http` URL that a request needs, and what a `Location` makes of them.
//!
//! Not a general parser: what is not needed to connect and ask is left as it was written. A fragment is dropped. A
//! name and password in front of the host are told apart from it and never printed.

use std::fmt;

/// A URL taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Url {
    pub is_https: bool,
    /// A name, or an address without brackets.
    pub host: String,
    pub port: u16,
    /// Path and query, from the slash on.
    pub path: String,
    /// `name:password`, escapes undone.
    pub login: Option<String>,
    port_is_shown: bool,
}

impl Url {
    /// Parses an absolute URL.
    pub fn parse(text: &str) -> Option<Url> {
        let (scheme, rest) = text.split_once("://")?;
        let is_https = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let rest = rest.split('#').next().unwrap_or("");
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (login, host) = match authority.rsplit_once('@') {
            Some((login, host)) => (Some(unescape(login)), host),
            None => (None, authority),
        };
        let default = if is_https { 443 } else { 80 };
        let (host, port) = split_port(host, default)?;
        let clean = |text: &str| !text.contains(|c: char| c.is_whitespace() || c.is_control());
        if host.is_empty() || !clean(host) || !clean(path) {
            return None;
        }
        let path = match path {
            "" => "/".to_owned(),
            query if query.starts_with('?') => ["/", query].concat(),
            path => path.to_owned(),
        };
        Some(Url { is_https, host: host.to_owned(), port, path, login, port_is_shown: port != default })
    }

    /// Returns where a `Location` points to from here.
    pub fn join(&self, location: &str) -> Option<Url> {
        if location.contains("://") {
            return Url::parse(location);
        }
        let scheme = if self.is_https { "https" } else { "http" };
        if let Some(rest) = location.strip_prefix("//") {
            return Url::parse(&[scheme, "://", rest].concat());
        }
        let here = self.path.split('?').next().unwrap_or("/");
        let folder = &here[..here.rfind('/').map_or(0, |slash| slash + 1)];
        let path = match location {
            "" => here.to_owned(),
            absolute if absolute.starts_with('/') => absolute.to_owned(),
            query if query.starts_with('?') => [here, query].concat(),
            relative => [folder, relative].concat(),
        };
        Url::parse(&[scheme, "://", &self.authority(), &path].concat())
    }

    /// Returns host and port as the `Host` header has them.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { ["[", &self.host, "]"].concat() } else { self.host.clone() };
        if self.port_is_shown { format!("{host}:{}", self.port) } else { host }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", if self.is_https { "https" } else { "http" }, self.authority(), self.path)
    }
}

fn split_port(authority: &str, default: u16) -> Option<(&str, u16)> {
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':').or(rest.is_empty().then_some(""))?),
        None => authority.split_once(':').unwrap_or((authority, "")),
    };
    let port = if port.is_empty() { default } else { port.parse().ok()? };
    Some((host, port))
}

fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let escaped = (byte == b'%').then(|| {
            let two = [bytes.clone().next()?, bytes.clone().nth(1)?];
            u8::from_str_radix(std::str::from_utf8(&two).ok()?, 16).ok()
        });
        match escaped.flatten() {
            Some(byte) => {
                bytes.nth(1);
                out.push(byte);
            }
            None => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        for (text, host, port, path, shown) in [
            ("http://h", "h", 80, "/", "http://h/"),
            ("HTTP://h:8080/a?b=c#d", "h", 8080, "/a?b=c", "http://h:8080/a?b=c"),
            ("http://h?x", "h", 80, "/?x", "http://h/?x"),
            ("http://[::1]:90/m", "::1", 90, "/m", "http://[::1]:90/m"),
            ("http://h:80/m", "h", 80, "/m", "http://h/m"),
            ("https://h/m", "h", 443, "/m", "https://h/m"),
        ] {
            let url = Url::parse(text).expect("a good URL");
            assert_eq!(
                (url.host.as_str(), url.port, url.path.as_str(), url.to_string().as_str()),
                (host, port, path, shown)
            );
        }
        let url = Url::parse("http://a%40b:p%3aq@h/").expect("a good URL");
        assert_eq!((url.login.as_deref(), url.to_string().as_str()), (Some("a@b:p:q"), "http://h/"));
        for bad in ["", "h", "ftp://h", "http://", "http://h:x/", "http://h /", "http://h/a\r\nX: y", "http://[::1"] {
            assert_eq!(Url::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn locations_are_joined() {
        let here = Url::parse("http://h:1/a/b?c").expect("a good URL");
        for (location, expected) in [
            ("http://x/y", "http://x/y"),
            ("//x/y", "http://x/y"),
            ("/y?z", "http://h:1/y?z"),
            ("y", "http://h:1/a/y"),
            ("?z", "http://h:1/a/b?z"),
            ("", "http://h:1/a/b"),
        ] {
            assert_eq!(here.join(location).map(|url| url.to_string()).as_deref(), Some(expected), "{location}");
        }
        assert_eq!(here.join("gopher://x"), None);
    }
}
