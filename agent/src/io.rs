//! The network, in one tokio `current_thread` runtime on a thread of its own: HTTP in, and the signals.
//!
//! This module and its children are the only ones that name tokio. It waits; it decides nothing: a request is read,
//! bounded, and handed to `web`, which answers without knowing what a socket is. Work that computes or reads flash
//! runs on the runtime's small blocking pool, so that `/-/healthy` answers while a heavy query runs.

pub mod ask;
mod discover;
mod dns;
mod fetch;
mod first_line;
pub mod http;
mod mdns;
pub mod mqtt;
mod patient;
pub mod post;
pub mod scrape;
pub mod signals;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(not(feature = "tls"))]
#[path = "io/tls_absent.rs"]
pub mod tls;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::web::Web;

/// How many requests that read no sample are answered at the same time, beside those that do: nobody who only wants to
/// know how things stand waits for somebody's heavy query.
pub const REQUESTS_LIGHT_MAX: usize = 1;

/// How many passwords are compared at the same time: whoever guesses gets no more of a board than this.
pub const PASSWORDS_MAX: usize = 1;

/// The stack of a thread that computes answers, in bytes. The query engine bounds its own depth to fit.
pub const COMPUTE_STACK_BYTES: usize = 1 << 20;

/// Opens the port, so that a port that is taken is known before anything else is started.
///
/// An empty host is every address: IPv6 and IPv4 where both are to be had.
///
/// # Errors
/// As the system answers.
pub fn bind(host: &str, port: u16) -> io::Result<TcpListener> {
    let listener = match host {
        "" => TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).or_else(|error| match error.kind() {
            io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => Err(error),
            _ => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)),
        }),
        host => TcpListener::bind((host, port)),
    }?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves until the process ends, on the calling thread. A query may take `query_ms_max`, which a reload may change.
///
/// # Errors
/// When the runtime cannot be made; nothing after that ends it.
pub fn serve(
    listener: TcpListener,
    web: Arc<Web>,
    query_ms_max: Arc<AtomicU64>,
    signal: Box<dyn Fn(signals::Signal) + Send>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(web.settings.queries_max + REQUESTS_LIGHT_MAX + PASSWORDS_MAX)
        .thread_stack_size(COMPUTE_STACK_BYTES)
        .thread_keep_alive(Duration::from_secs(60))
        .thread_name("web")
        .build()?;
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        tokio::spawn(signals::watch(signal));
        http::Server::new(web, query_ms_max).accept(listener).await;
        Ok(())
    })
}
