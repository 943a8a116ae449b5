//! Who may control: whoever is known (`guard`), from anywhere; of all others only this host, and no browser or proxy on it.
//!
//! A page on another site can make a browser send a request to this host: it then carries `Origin`, or a `Host`
//! that is a name of the attacker's (DNS rebinding), and a browser that was once given a password sends it along. So
//! `Origin` must be this host's own even of somebody known. A reverse proxy on this host makes everybody look local: it
//! says so in a forwarding header, or speaks HTTP/1.0, as the common ones do when nobody told them otherwise, and curl
//! never does. Both are refused without credentials. It errs on the side of refusing.

use std::net::IpAddr;

use super::Request;

/// Returns whether this request may change or control anything.
///
/// # Errors
/// With the reason and the way to do it right.
pub fn may_control(request: &Request) -> Result<(), &'static str> {
    if request.is_known {
        return match request.origin.is_empty() || is_own(&request.origin, &request.host) {
            true => Ok(()),
            false => Err("control is refused from another site's page"),
        };
    }
    if !is_loopback(request.peer) {
        return Err(
            "control is refused from other hosts: ask on the board itself, for example with curl on 127.0.0.1, \
                    or configure web.bearer_token_file or basic_auth_users",
        );
    }
    if request.proxied || request.is_http_1_0 {
        return Err("control is refused through a proxy: ask on the board itself, for example with curl on 127.0.0.1");
    }
    if !request.origin.is_empty() || !is_local_host(&request.host) {
        return Err("control is refused from a browser: use curl on 127.0.0.1");
    }
    Ok(())
}

/// Returns whether an `Origin` is the very host that is asked.
fn is_own(origin: &str, host: &str) -> bool {
    origin.split_once("://").is_some_and(|(_, from)| !host.is_empty() && from.eq_ignore_ascii_case(host))
}

fn is_loopback(peer: IpAddr) -> bool {
    match peer {
        IpAddr::V4(v4) => v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback()),
    }
}

fn is_local_host(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.split(':').next().unwrap_or(""),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(peer: &str, host: &str, origin: &str, proxied: bool, allowed: bool) {
        let mut request = Request::new("POST", "/-/reload");
        request.peer = peer.parse().expect("an address");
        (request.host, request.origin, request.proxied) = (host.to_owned(), origin.to_owned(), proxied);
        assert_eq!(may_control(&request).is_ok(), allowed, "{peer} {host} {origin} {proxied}");
        request.is_http_1_0 = true;
        assert!(may_control(&request).is_err(), "{peer} {host} over HTTP/1.0");
    }

    #[test]
    fn whoever_is_known_controls_from_anywhere_but_another_sites_page() {
        for (origin, allowed) in [
            ("", true),
            ("http://barn:9090", true),
            ("http://evil.example", false),
            ("http://barn", false),
            ("null", false),
        ] {
            let mut request = Request::new("POST", "/-/reload");
            request.peer = "192.0.2.7".parse().expect("an address");
            (request.host, request.origin, request.proxied) = ("barn:9090".to_owned(), origin.to_owned(), true);
            assert!(may_control(&request).is_err(), "{origin}");
            request.is_known = true;
            assert_eq!(may_control(&request).is_ok(), allowed, "{origin}");
        }
    }

    #[test]
    fn only_this_host_controls_and_no_browser_on_it() {
        check("127.0.0.1", "127.0.0.1:9090", "", false, true);
        check("::1", "[::1]:9090", "", false, true);
        check("::ffff:127.0.0.1", "localhost:9090", "", false, true);
        check("192.0.2.7", "127.0.0.1:9090", "", false, false);
        check("127.0.0.1", "board.example:9090", "", false, false);
        check("127.0.0.1", "127.0.0.1.evil.example", "", false, false);
        check("127.0.0.1", "127.0.0.1:9090", "http://evil.example", false, false);
        check("127.0.0.1", "127.0.0.1:9090", "", true, false);
        check("127.0.0.1", "", "", false, false);
    }
}
