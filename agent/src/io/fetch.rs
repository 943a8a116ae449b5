//! HTTP GET out, for scrapes and discoveries: one request, bounded in time, bytes and redirects.
//!
//! On the runtime, because a target that hangs must hold up nobody and two hundred may be on their way at once; a
//! client of ours, because all that is asked of it is one GET: HTTP/1.1, an answer with a length, in chunks or up to the
//! end, over a connection that whoever asks may keep for the next time. What comes compressed is taken up to the limit and not a byte further. The bytes of all
//! answers on their way are bounded together. The environment's proxy is not used.
//!
//! Errors are worded as Go words them, since people search for these: `Get "http://h/": context deadline exceeded`.

mod answer;
mod connection;
mod proxy;
mod url;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use targets::{Failure, Reason};

use answer::{inflate, read_body};
pub use connection::Connection;
use connection::{Heard, Way, ask};
pub use proxy::Proxy;
use url::Url;

use super::tls::{self, TlsClient};

/// How many times an answer may point elsewhere.
const REDIRECTS_MAX: usize = 10;

/// The most bytes of all answers that are being read, in bytes: two of the longest.
const BYTES_MAX: usize = 2 * targets::limits::BODY_BYTES_MAX as usize;

/// What is to be fetched.
#[derive(Debug, Clone)]
pub struct Request {
    /// From where.
    pub url: String,
    /// Sent along, names as given: `Accept`, `Authorization` and the like.
    pub headers: Vec<(String, String)>,
    /// Through which proxy.
    pub proxy: Option<Proxy>,
    /// How TLS is spoken.
    pub tls: Arc<TlsClient>,
    /// Whether an answer that points elsewhere is followed.
    pub follow_redirects: bool,
    /// How long all of it may take.
    pub timeout: Duration,
    /// How long the body may be, uncompressed, in bytes.
    pub body_bytes_max: usize,
}

/// A good answer.
#[derive(Debug)]
pub struct Response {
    /// Its `Content-Type`, empty where it has none.
    pub content_type: String,
    /// Its body, uncompressed.
    pub body: Vec<u8>,
}

/// Counts the bytes of all answers on their way.
#[derive(Debug, Clone, Default)]
pub struct Budget(Arc<AtomicUsize>);

/// What one answer has taken of the budget; given back when it is dropped.
struct Share {
    budget: Budget,
    bytes: usize,
}

impl Share {
    /// Takes what an answer has grown to; `false` when there is not so much.
    fn grow(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let all = self.budget.0.fetch_add(more, Ordering::Relaxed) + more;
        self.bytes += more;
        all <= BYTES_MAX
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Fetches something, over a connection that was left open if it leads there; anything but a status of 200 is an
/// error. Beside a good answer comes the connection, if it stays open.
///
/// # Errors
/// What went wrong, as Go would word it.
pub async fn fetch(
    request: &Request,
    open: Option<Connection>,
    budget: &Budget,
) -> Result<(Response, Option<Connection>), Failure> {
    let share = Share { budget: budget.clone(), bytes: 0 };
    match tokio::time::timeout(request.timeout, follow(request, open, share)).await {
        Ok(result) => result,
        Err(_) => Err(about(&request.url, "context deadline exceeded", Reason::Timeout)),
    }
}

async fn follow(
    request: &Request,
    mut open: Option<Connection>,
    mut share: Share,
) -> Result<(Response, Option<Connection>), Failure> {
    let mut url = Url::parse(&request.url).ok_or_else(|| about(&request.url, "invalid URL", Reason::Connection))?;
    let first_host = url.host.clone();
    for _ in 0..=REDIRECTS_MAX {
        let fail = |what: &str| about(&url.to_string(), what, Reason::Connection);
        let proxy = match request.proxy.as_ref().filter(|proxy| proxy.is_for(&url)) {
            Some(proxy) => Some(Url::parse(&proxy.url).ok_or_else(|| fail("invalid proxy URL"))?),
            None => None,
        };
        let is_first_host = url.host == first_host;
        let text = head_of(request, &url, proxy.as_ref(), is_first_host);
        let heard =
            ask(open.take(), &Way::of(&url, proxy.as_ref(), &request.tls), &text).await.map_err(|what| fail(&what))?;
        let location = heard.head.location.as_deref();
        let location = location.filter(|_| request.follow_redirects && heard.head.is_redirect());
        if let Some(location) = location {
            url = url.join(location).ok_or_else(|| fail("failed to parse Location header"))?;
            continue;
        }
        return finish(request, &url, heard, &mut share).await;
    }
    Err(about(&url.to_string(), "stopped after 10 redirects", Reason::Connection))
}

async fn finish(
    request: &Request,
    url: &Url,
    heard: Heard,
    share: &mut Share,
) -> Result<(Response, Option<Connection>), Failure> {
    let Heard { mut connection, head, rest } = heard;
    if head.status != 200 {
        let what = format!("server returned HTTP status {} {}", head.status, head.reason);
        return Err(Failure { what: what.trim_end().to_owned(), reason: Reason::Status });
    }
    let limit = request.body_bytes_max;
    let sent = read_body(&mut connection.stream, &head, rest, limit, &mut |bytes| share.grow(bytes)).await;
    let sent = sent.map_err(|problem| problem.failure(&url.to_string()))?;
    let body = match head.is_gzip {
        true => inflate(&sent.bytes, limit, &mut |bytes| share.grow(bytes)),
        false => Ok(sent.bytes),
    };
    let body = body.map_err(|problem| problem.failure(&url.to_string()))?;
    let stays_open = head.stays_open && sent.ends_clean;
    Ok((Response { content_type: head.content_type, body }, stays_open.then_some(connection)))
}

/// Returns the request as it is sent. Who we are is told to the first host only.
fn head_of(request: &Request, url: &Url, proxy: Option<&Url>, is_first_host: bool) -> String {
    // Under TLS a proxy passes on what it cannot read.
    let proxy = proxy.filter(|_| !url.is_https);
    let target = if proxy.is_some() { url.to_string() } else { url.path.clone() };
    let mut text = format!("GET {target} HTTP/1.1\r\nHost: {}\r\n", url.authority());
    text.push_str(concat!("User-Agent: Narthex/", env!("CARGO_PKG_VERSION"), "\r\n"));
    for (name, value) in &request.headers {
        if is_first_host || !name.eq_ignore_ascii_case("authorization") {
            text.push_str(&[name, ": ", value, "\r\n"].concat());
        }
    }
    let said = |name: &str| request.headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
    if let Some(login) = url.login.as_ref().filter(|_| !said("authorization")) {
        text.push_str(&["Authorization: Basic ", &BASE64_STANDARD.encode(login), "\r\n"].concat());
    }
    if let Some(login) = proxy.and_then(|proxy| proxy.login.as_ref()) {
        text.push_str(&proxy_authorization(login));
    }
    text.push_str("\r\n");
    text
}

/// Returns the header that tells a proxy who we are.
fn proxy_authorization(login: &str) -> String {
    ["Proxy-Authorization: Basic ", &BASE64_STANDARD.encode(login), "\r\n"].concat()
}

fn about(url: &str, what: &str, reason: Reason) -> Failure {
    Failure { what: format!("Get {url:?}: {what}"), reason }
}

/// Returns an error in the words that Go has for it.
fn worded(error: &io::Error) -> String {
    if let Some(what) = tls::worded(error) {
        return what;
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset => "connection reset by peer".to_owned(),
        io::ErrorKind::HostUnreachable => "no route to host".to_owned(),
        io::ErrorKind::NetworkUnreachable => "network is unreachable".to_owned(),
        io::ErrorKind::UnexpectedEof => "EOF".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
