//! HTTP/1.1 in: connections are bounded in number, time and bytes, then handed to `web` as plain values.
//!
//! hyper keeps the rules of the wire (keep-alive, chunked bodies, smuggling). What is ours: how many connections
//! there may be, how long a header, a body or a stalled answer may take, how large a body may be, how many answers
//! are computed at a time, and that a client that goes away, or a query that takes too long, is stopped.
//!
//! When every place is taken and one more wants in, connections that are idle are closed at once and those that
//! dawdle soon after, so that a crowd of slow clients delays the others by seconds and never shuts them out.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::REQUESTS_COMPUTED_MAX;
use super::patient::Patient;
use crate::os::clock::boottime;
use crate::trouble::Trouble;
use crate::web::push::PUSH_BYTES_MAX;
use crate::web::{Answer, Request, Web, api};

/// The most connections that are served at a time; the next one waits for a place.
const CONNECTIONS_MAX: usize = 64;
/// How long a connection may still dawdle once others wait for its place.
const HURRY_SECONDS_MAX: u64 = 5;
/// How long the peer may take not a byte of an answer.
const STALL_SECONDS_MAX: u64 = 30;
/// How long the header of a request may take, keep-alive included.
const HEADER_SECONDS_MAX: u64 = 60;
/// How long a body may take.
const BODY_SECONDS_MAX: u64 = 30;
/// The largest body that is read, in bytes: a form with a query, which may be as large as one in a GET.
const BODY_BYTES_MAX: usize = HEADER_BYTES_MAX;
/// The largest header block that is read, in bytes; a query in a GET must fit.
const HEADER_BYTES_MAX: usize = 128 << 10;

/// What all connections share.
pub(super) struct Server {
    web: Arc<Web>,
    /// How long a query may take, in milliseconds; a reload may change it.
    query_ms_max: Arc<AtomicU64>,
    /// Places for answers that are being computed.
    computing: Arc<Semaphore>,
    /// Told when somebody waits for a place among the connections.
    crowded: Notify,
}

impl Server {
    /// Returns what serves these answers.
    pub(super) fn new(web: Arc<Web>, query_ms_max: Arc<AtomicU64>) -> Arc<Server> {
        let computing = Arc::new(Semaphore::new(REQUESTS_COMPUTED_MAX));
        Arc::new(Server { web, query_ms_max, computing, crowded: Notify::new() })
    }

    /// Accepts connections for ever.
    pub(super) async fn accept(self: Arc<Server>, listener: tokio::net::TcpListener) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut trouble = Trouble::default();
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    trouble.heals();
                    let Some(place) = self.place(&places).await else { return };
                    let server = self.clone();
                    let _ = stream.set_nodelay(true);
                    tokio::spawn(async move {
                        server.serve(stream, peer.ip()).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    // Out of descriptors, most likely: the connections there are will end.
                    trouble.fails(boottime(), &error.to_string(), || log::warn!("accepting a connection: {error}"));
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    /// Waits for a place, and asks those who have one to make room.
    async fn place(&self, places: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = places.clone().try_acquire_owned() {
            return Some(place);
        }
        loop {
            self.crowded.notify_waiters();
            // Asked again, because a connection that was just being served did not hear it.
            match tokio::time::timeout(Duration::from_millis(200), places.clone().acquire_owned()).await {
                Ok(place) => return place.ok(),
                Err(_) => continue,
            }
        }
    }

    async fn serve(self: Arc<Server>, stream: TcpStream, peer: IpAddr) {
        let computing = Arc::new(AtomicBool::new(false));
        let (server, busy) = (self.clone(), computing.clone());
        let service = service_fn(move |request| {
            let (server, busy) = (server.clone(), busy.clone());
            async move {
                let answer = server.answer(request, peer, &busy).await;
                busy.store(false, Ordering::Relaxed);
                Ok::<_, Infallible>(answer)
            }
        });
        let stream = Patient::new(stream, Duration::from_secs(STALL_SECONDS_MAX));
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(HEADER_SECONDS_MAX))
            .max_buf_size(HEADER_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let served = tokio::select! {
            served = connection.as_mut() => served,
            () = self.crowded.notified() => {
                connection.as_mut().graceful_shutdown();
                loop {
                    match tokio::time::timeout(Duration::from_secs(HURRY_SECONDS_MAX), connection.as_mut()).await {
                        Ok(served) => break served,
                        Err(_) if computing.load(Ordering::Relaxed) => {}
                        Err(_) => return log::debug!("connection from {peer}: too slow while others wait"),
                    }
                }
            }
        };
        if let Err(error) = served {
            log::debug!("connection from {peer}: {error}");
        }
    }

    /// Answers a request; `busy` is set once it is our turn and not the client's.
    async fn answer(
        &self,
        request: hyper::Request<Incoming>,
        peer: IpAddr,
        busy: &AtomicBool,
    ) -> hyper::Response<Full<Bytes>> {
        let stop = Arc::new(AtomicBool::new(false));
        let _guard = StopOnDrop(stop.clone());
        let request = read(request, peer, stop.clone()).await;
        busy.store(true, Ordering::Relaxed);
        response(match request {
            Err(refusal) => refusal,
            Ok(request) if request.path == "/metrics" => metrics(&self.web, &request).await,
            // Health is asked most when the machine is busiest: it waits for nobody.
            Ok(request) if matches!(request.path.as_str(), "/-/healthy" | "/-/ready") => self.web.answer(&request),
            Ok(request) => self.compute(request, stop).await,
        })
    }

    /// Computes an answer beside this thread. Waiting for a turn counts as time the query takes, as with the peer.
    async fn compute(&self, request: Request, stop: Arc<AtomicBool>) -> Answer {
        let limit = Duration::from_millis(self.query_ms_max.load(Ordering::Relaxed));
        let mut late = std::pin::pin!(tokio::time::sleep(limit));
        let turn = tokio::select! {
            turn = self.computing.clone().acquire_owned() => turn,
            () = late.as_mut() => return api::timed_out("query queue"),
        };
        let web = self.web.clone();
        // The turn goes along: it ends with the work, even when the client has gone away.
        let mut computed = tokio::task::spawn_blocking(move || {
            let answer = web.answer(&request);
            drop(turn);
            answer
        });
        let (computed, is_late) = tokio::select! {
            computed = &mut computed => (computed, false),
            () = late => {
                stop.store(true, Ordering::Relaxed);
                (computed.await, true)
            }
        };
        match computed {
            Ok(answer) if is_late && answer.status == 503 => api::timed_out("expression evaluation"),
            Ok(answer) => answer,
            Err(_) => Answer::text(500, "the request could not be computed\n"),
        }
    }
}

/// Sets the flag when the request's future is dropped: the client went away.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn metrics(web: &Arc<Web>, request: &Request) -> Answer {
    if let Some(refusal) = web.check_metrics(request) {
        return refusal;
    }
    let (tell, told) = tokio::sync::oneshot::channel();
    web.fresh_metrics(Box::new(move |text| drop(tell.send(text))));
    match tokio::time::timeout(Duration::from_secs(BODY_SECONDS_MAX), told).await {
        Ok(Ok(text)) => Answer::exposition(text),
        _ => Answer::text(503, "collecting takes too long, a reader hangs: see the log\n"),
    }
}

async fn read(request: hyper::Request<Incoming>, peer: IpAddr, stop: Arc<AtomicBool>) -> Result<Request, Answer> {
    let (head, body) = request.into_parts();
    let bytes_max = if head.uri.path().starts_with("/metrics/job") { PUSH_BYTES_MAX } else { BODY_BYTES_MAX };
    let body = tokio::time::timeout(Duration::from_secs(BODY_SECONDS_MAX), Limited::new(body, bytes_max).collect())
        .await
        .map_err(|_| Answer::text(408, "the body took too long\n"))?
        .map_err(|_| Answer::text(413, "the body is too large or was cut short\n"))?
        .to_bytes();
    let text = |name: HeaderName| header_text(&head.headers, &name);
    let proxied = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"]
        .iter()
        .any(|name| head.headers.contains_key(*name));
    Ok(Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or("").to_owned(),
        host: text(header::HOST),
        origin: text(header::ORIGIN),
        content_type: text(header::CONTENT_TYPE),
        content_encoding: text(header::CONTENT_ENCODING),
        proxied,
        peer,
        body: body.to_vec(),
        stop,
    })
}

fn header_text(headers: &HeaderMap, name: &HeaderName) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("").to_owned()
}

fn response(answer: Answer) -> hyper::Response<Full<Bytes>> {
    let mut response = hyper::Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() = hyper::StatusCode::from_u16(answer.status).unwrap_or(hyper::StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    response
}

#[cfg(test)]
mod tests;
