//! A proxy, and whom one asks without it: `no_proxy` as Go reads it.
//!
//! Names match themselves and what is below them, `.name` only what is below; addresses match themselves, networks
//! (`10.0.0.0/8`) what is in them; each may have a port; `*` is everybody. Where there are exceptions at all, this host
//! is one of them.
//!
//! Source: golang.org/x/net/http/httpproxy.

use std::net::IpAddr;

use super::url::Url;

/// A proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Where it is, an `http` URL.
    pub url: String,
    except: Vec<String>,
}

impl Proxy {
    /// Returns the proxy at a URL, with `no_proxy` as it is written.
    pub fn new(url: &str, except: &str) -> Proxy {
        let except = except.split(',').map(|part| part.trim().to_ascii_lowercase()).filter(|part| !part.is_empty());
        Proxy { url: url.to_owned(), except: except.collect() }
    }

    /// Returns whether this is asked through the proxy.
    pub(super) fn is_for(&self, url: &Url) -> bool {
        if self.except.is_empty() {
            return true;
        }
        let host = url.host.to_ascii_lowercase();
        let host = host.trim_end_matches('.');
        let address: Option<IpAddr> = host.parse().ok();
        let is_here = host == "localhost" || address.is_some_and(|address| address.is_loopback());
        !is_here && !self.except.iter().any(|rule| matches(rule, host, address, url.port))
    }
}

fn matches(rule: &str, host: &str, address: Option<IpAddr>, port: u16) -> bool {
    if rule == "*" {
        return true;
    }
    if let Some(network) = rule.split_once('/') {
        return address.is_some_and(|address| is_within(address, network) == Some(true));
    }
    let (name, wanted) = match rule.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, Some(port)),
        _ => (rule, None),
    };
    if wanted.is_some_and(|wanted| wanted.parse() != Ok(port)) {
        return false;
    }
    let name = name.trim_start_matches('[').trim_end_matches(']');
    if let Ok(wanted) = name.parse::<IpAddr>() {
        return address == Some(wanted);
    }
    let name = name.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(name);
    match name.strip_prefix('.') {
        Some(_) => host.ends_with(name),
        None => host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.')),
    }
}

fn is_within(address: IpAddr, (network, bits): (&str, &str)) -> Option<bool> {
    let (network, bits): (IpAddr, u32) = (network.parse().ok()?, bits.parse().ok()?);
    let (a, b, all) = match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
        _ => return Some(false),
    };
    let rest = u32::checked_sub(all, bits)?;
    Some(rest == 128 || a >> rest == b >> rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_are_those_of_go() {
        for (except, url, through) in [
            ("", "http://127.0.0.1/", true),
            ("plc.barn", "http://127.0.0.1/", false),
            ("plc.barn", "http://localhost:1/", false),
            ("plc.barn", "http://plc.barn/", false),
            ("plc.barn", "http://a.plc.barn:8080/", false),
            ("plc.barn", "http://xplc.barn/", true),
            (".barn", "http://plc.barn/", false),
            (".barn", "http://barn/", true),
            ("*.barn", "http://plc.BARN/", false),
            ("plc.barn:80", "http://plc.barn/", false),
            ("plc.barn:81", "http://plc.barn/", true),
            ("10.0.0.0/8, 192.0.2.7", "http://10.9.8.7/", false),
            ("10.0.0.0/8, 192.0.2.7", "http://192.0.2.7:9/", false),
            ("10.0.0.0/8, 192.0.2.7", "http://192.0.2.8:9/", true),
            ("fd00::/8", "http://[fd12::1]/", false),
            ("fd00::/8", "http://[fe80::1]/", true),
            ("::/0", "http://[fe80::1]/", false),
            ("10.0.0.0/99", "http://10.0.0.1/", true),
            ("*", "http://far.example/", false),
        ] {
            let url = Url::parse(url).expect("a good URL");
            assert_eq!(Proxy::new("http://proxy:3128", except).is_for(&url), through, "{except} {url}");
        }
    }
}
