//! Who may control: until credentials can be configured, only this host, and no browser or proxy on it.
//!
//! A page on another site can make a browser send a request to this host: it then carries `Origin`, or a `Host`
//! that is a name of the attacker's (DNS rebinding). A reverse proxy on this host makes everybody look local: it
//! says so in a forwarding header, or speaks HTTP/1.0, as the common ones do when nobody told them otherwise, and curl
//! never does. Both are refused. Credentials come with a later change; until then this is the whole rule, and it errs on
//! the side of refusing.

use std::net::IpAddr;

use super::Request;

/// Returns whether this request may change or control anything.
///
/// # Errors
/// With the reason and the way to do it right.
pub fn may_control(request: &Request) -> Result<(), &'static str> {
    if !is_loopback(request.peer) {
        return Err("control is refused from other hosts: ask on the board itself, for example with curl on 127.0.0.1");
    }
    if request.proxied || request.is_http_1_0 {
        return Err("control is refused through a proxy: ask on the board itself, for example with curl on 127.0.0.1");
    }
    if !request.origin.is_empty() || !is_local_host(&request.host) {
        return Err("control is refused from a browser: use curl on 127.0.0.1");
    }
    Ok(())
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
