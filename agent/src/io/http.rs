//! HTTP/1.1 in: connections are bounded in number, time and bytes, then handed to `web` as plain values.
//!
//! hyper keeps the rules of the wire (keep-alive, chunked bodies, smuggling). What is ours: how many connections
//! there may be, how long a header, a body or a stalled answer may take, how large a body may be, how many answers
//! are computed at a time, how many bytes of answers wait for slow readers, and that a client that goes away, or a query
//! that takes too long, is stopped.
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

use super::first_line::FirstLine;
use super::patient::Patient;
use super::{PASSWORDS_MAX, REQUESTS_LIGHT_MAX};
use crate::os::clock::{boottime, monotonic_ns};
use crate::trouble::Trouble;
use crate::web::counts::Limit;
use crate::web::guard::Verdict;
use crate::web::gzip::{self, Encoding, Packer};
use crate::web::push::PUSH_BYTES_MAX;
use crate::web::quick::{AT_ONCE_NS_MAX, Quick};
use crate::web::receive::RECEIVE_BYTES_MAX;
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

/// How many bytes of answers may wait for their readers. Who has one more for them waits too, and slow readers are let go.
const ANSWERS_HELD_BYTES_MAX: usize = 48 << 20;
/// Answers up to this size are not counted: a connection holds one at most.
const ANSWER_SMALL_BYTES: usize = 16 << 10;

const _: () = assert!(api::ANSWER_BYTES_MAX <= ANSWERS_HELD_BYTES_MAX);

/// What all connections share.
pub(super) struct Server {
    web: Arc<Web>,
    /// Makes answers smaller.
    packer: Arc<Packer>,
    /// How long a query may take, in milliseconds; a reload may change it.
    query_ms_max: Arc<AtomicU64>,
    /// Places for answers that are being computed from samples.
    computing: Arc<Semaphore>,
    /// Places for all other answers.
    looking: Arc<Semaphore>,
    /// The place for a password that is being compared.
    judging: Arc<Semaphore>,
    /// Room for answers on their way, in KiB.
    room: Arc<Semaphore>,
    /// Told when somebody waits for a place among the connections.
    crowded: Notify,
    /// What is answered at once.
    quick: Arc<Quick>,
}

impl Server {
    /// Returns what serves these answers.
    pub(super) fn new(web: Arc<Web>, query_ms_max: Arc<AtomicU64>) -> Arc<Server> {
        let places = |count| Arc::new(Semaphore::new(count));
        let (computing, looking) = (places(web.settings.queries_max), places(REQUESTS_LIGHT_MAX));
        let (judging, room) = (places(PASSWORDS_MAX), places(ANSWERS_HELD_BYTES_MAX >> 10));
        let (packer, quick, crowded) = (Arc::default(), Arc::default(), Notify::new());
        Arc::new(Server { web, packer, query_ms_max, computing, looking, judging, room, crowded, quick })
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
            .serve_connection(TokioIo::new(FirstLine::new(stream)), service);
        let mut connection = std::pin::pin!(connection);
        let served = tokio::select! {
            served = connection.as_mut() => served,
            () = self.crowded.notified() => {
                connection.as_mut().graceful_shutdown();
                // The time that it may take begins when it is the client's turn.
                let mut was_ours = computing.load(Ordering::Relaxed);
                loop {
                    match tokio::time::timeout(Duration::from_secs(HURRY_SECONDS_MAX), connection.as_mut()).await {
                        Ok(served) => break served,
                        Err(_) if was_ours || computing.load(Ordering::Relaxed) => {
                            was_ours = computing.load(Ordering::Relaxed);
                        }
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
        let encoding = Encoding::accepted(&header_text(request.headers(), &header::ACCEPT_ENCODING));
        let header = header_text(request.headers(), &header::AUTHORIZATION);
        let request = match self.judge(header).await {
            Verdict::Refused => Err(Answer::text(401, "Unauthorized\n").with("www-authenticate", "Basic")),
            verdict => read(request, peer, stop.clone()).await.map(|request| (request, verdict)),
        };
        let request = request.map(|(request, verdict)| Request { is_known: verdict == Verdict::Known, ..request });
        busy.store(true, Ordering::Relaxed);
        let answer = match request {
            Err(refusal) => refusal,
            Ok(request) if request.path == "/metrics" => match self.metrics(&request, encoding).await {
                Err(refusal) => smaller(refusal, encoding, &self.packer),
                Ok(text) => return text.response(),
            },
            // Health is asked most when the machine is busiest: it waits for nobody.
            Ok(request) if matches!(request.path.as_str(), "/-/healthy" | "/-/ready") => self.web.answer(&request),
            Ok(request) => return self.compute(request, encoding, stop).await,
        };
        response(answer, None)
    }

    /// Asks for metrics. They are made smaller by whoever printed them, which has them at hand.
    async fn metrics(&self, request: &Request, encoding: Option<Encoding>) -> Result<Metrics, Answer> {
        if let Some(refusal) = self.web.check_metrics(request) {
            return Err(refusal);
        }
        let (tell, told) = tokio::sync::oneshot::channel();
        let packer = self.packer.clone();
        let made = move |text, packed| Metrics::made(text, packed, encoding, &packer);
        let wants_gzip = encoding == Some(Encoding::Gzip);
        match self.web.selection(request) {
            Err(refusal) => return Err(refusal),
            Ok(Some(selection)) => {
                let reply = move |text: Result<String, _>| drop(tell.send(text.map(|text| made(Arc::new(text), None))));
                self.web.selected_metrics(selection, Box::new(reply));
            }
            Ok(None) => {
                let reply = move |text, packed| drop(tell.send(Ok(made(text, packed))));
                self.web.fresh_metrics(wants_gzip, Box::new(reply));
            }
        }
        match tokio::time::timeout(Duration::from_secs(BODY_SECONDS_MAX), told).await {
            Ok(Ok(Ok(text))) => Ok(text),
            Ok(Ok(Err(reason))) => Err(Answer::text(400, reason)),
            _ => Err(Answer::text(503, "collecting takes too long, a reader hangs: see the log\n")),
        }
    }

    /// Judges who asks; a password is compared beside this thread, one at a time, before anything of a body is read.
    async fn judge(&self, header: String) -> Verdict {
        let guard = self.web.guard();
        if let Some(verdict) = guard.judge_at_once(&header) {
            return verdict;
        }
        let Ok(turn) = self.judging.clone().acquire_owned().await else { return Verdict::Refused };
        let judged = tokio::task::spawn_blocking(move || (guard.judge(&header), turn));
        judged.await.map_or(Verdict::Refused, |(verdict, _)| verdict)
    }

    /// Computes an answer beside this thread. Waiting for a turn counts as time the query takes, as with the peer.
    async fn compute(
        &self,
        request: Request,
        encoding: Option<Encoding>,
        stop: Arc<AtomicBool>,
    ) -> hyper::Response<Full<Bytes>> {
        let asked_ms = api::timeout_ms(&request).unwrap_or(u64::MAX);
        let limit = Duration::from_millis(self.query_ms_max.load(Ordering::Relaxed).min(asked_ms));
        let mut late = std::pin::pin!(tokio::time::sleep(limit));
        let request = Arc::new(request);
        let timed_out = |phase| response(api::timed_out(&self.web, &request, phase), None);
        let asked_at = monotonic_ns();
        let lane = if request.is_heavy() { &self.computing } else { &self.looking };
        let turn = tokio::select! {
            turn = lane.clone().acquire_owned() => turn,
            () = late.as_mut() => {
                self.web.queries.limited(Limit::Queue);
                return timed_out("query queue");
            }
        };
        request.queued_ns.store(monotonic_ns().saturating_sub(asked_at), Ordering::Relaxed);
        let kind = Quick::kind(&request, encoding.is_some()).filter(|_| asked_ms > 0);
        if let Some(answer) = kind.and_then(|kind| self.at_once(&request, encoding, kind)) {
            return self.sent(answer).await;
        }
        let (web, asked, packer, quick) = (self.web.clone(), request.clone(), self.packer.clone(), self.quick.clone());
        // The turn goes along: it lasts until the work is done even when the client has gone away, and until there is
        // room for the answer when it has not.
        let mut computed = tokio::task::spawn_blocking(move || {
            let begun = monotonic_ns();
            let answer = smaller(web.answer(&asked), encoding, &packer);
            if let Some(kind) = kind.filter(|_| answer.status == 200) {
                quick.took(kind, monotonic_ns().saturating_sub(begun));
            }
            (answer, turn)
        });
        let (computed, is_late) = tokio::select! {
            computed = &mut computed => (computed, false),
            () = late => {
                request.is_late.store(true, Ordering::Relaxed);
                stop.store(true, Ordering::Release);
                (computed.await, true)
            }
        };
        match computed {
            // No time at all is too little, however quick the answer was.
            Ok((answer, _)) if asked_ms == 0 && answer.status == 200 => timed_out("query execution"),
            Ok((answer, _)) if is_late && matches!(answer.status, 499 | 503) => timed_out("expression evaluation"),
            Ok((answer, _turn)) => self.sent(answer).await,
            Err(_) => response(Answer::text(500, "the request could not be computed\n"), None),
        }
    }

    /// Answers at once what was answered quickly the last time: to hand a request over to another thread and back takes
    /// as long as many a query. What comes to no end soon, or would have to wait for the medium, is begun anew beside.
    fn at_once(&self, request: &Request, encoding: Option<Encoding>, kind: u32) -> Option<Answer> {
        // While a batch is being appended, others wait for the rest of it; this thread must not.
        if !self.quick.is_quick(kind) || self.web.reader().is_busy() {
            return None;
        }
        let begun = monotonic_ns();
        request.hurry_until_ns.store(begun + AT_ONCE_NS_MAX, Ordering::Relaxed);
        let answer = self.web.answer(request);
        request.hurry_until_ns.store(0, Ordering::Relaxed);
        if matches!(answer.status, 499 | 503) {
            self.quick.failed(kind);
            return None;
        }
        let answer = smaller(answer, encoding, &self.packer);
        self.quick.took(kind, monotonic_ns().saturating_sub(begun));
        Some(answer)
    }

    /// Returns the answer as soon as there is room for it.
    async fn sent(&self, answer: Answer) -> hyper::Response<Full<Bytes>> {
        match self.room_for(answer.body.len(), STALL_SECONDS_MAX * 5).await {
            Ok(room) => response(answer, room),
            Err(refusal) => response(refusal, None),
        }
    }

    /// Waits for room for an answer, so many fifths of a second, and lets slow readers go who are in the way.
    async fn room_for(&self, bytes: usize, fifths: u64) -> Result<Option<OwnedSemaphorePermit>, Answer> {
        if bytes <= ANSWER_SMALL_BYTES {
            return Ok(None);
        }
        let kib = u32::try_from(bytes.min(ANSWERS_HELD_BYTES_MAX) >> 10).unwrap_or(u32::MAX);
        for _ in 0..fifths {
            let room = self.room.clone();
            match tokio::time::timeout(Duration::from_millis(200), room.acquire_many_owned(kib)).await {
                Ok(room) => return Ok(room.ok()),
                Err(_) => self.crowded.notify_waiters(),
            }
        }
        self.web.queries.limited(Limit::Room);
        Err(Answer::text(503, "too many answers wait for slow clients\n"))
    }
}

/// Sets the flag when the request's future is dropped: the client went away.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn read(request: hyper::Request<Incoming>, peer: IpAddr, stop: Arc<AtomicBool>) -> Result<Request, Answer> {
    let (head, body) = request.into_parts();
    let bytes_max = match head.uri.path() {
        path if path.starts_with("/metrics/job") => PUSH_BYTES_MAX,
        "/api/v1/write" => RECEIVE_BYTES_MAX,
        _ => BODY_BYTES_MAX,
    };
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
        accept: text(header::ACCEPT),
        proxied,
        is_http_1_0: head.version < hyper::Version::HTTP_11,
        peer,
        is_known: false,
        body: body.to_vec(),
        stop,
        queued_ns: AtomicU64::new(0),
        is_late: AtomicBool::new(false),
        hurry_until_ns: AtomicU64::new(0),
    })
}

fn header_text(headers: &HeaderMap, name: &HeaderName) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("").to_owned()
}

/// Returns the answer made smaller, where the client takes it so and it is worth it.
fn smaller(mut answer: Answer, encoding: Option<Encoding>, packer: &Packer) -> Answer {
    if let Some(encoding) = encoding.filter(|_| answer.body.len() >= gzip::BYTES_MIN)
        && let Some(packed) = packer.compress(encoding, &answer.body)
    {
        answer.body = packed;
        answer.headers.push(("content-encoding", encoding.name().to_owned()));
    }
    answer.body.shrink_to_fit();
    answer
}

/// An answer's body, and the room it takes until it is sent.
struct Held {
    body: Vec<u8>,
    _room: Option<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

/// A text of metrics, as it goes to one client.
enum Metrics {
    Packed(Arc<Vec<u8>>, Encoding),
    /// Written over by the next collection once everybody who asked has it.
    Plain(Arc<String>),
}

impl Metrics {
    fn made(text: Arc<String>, gzip: Option<Arc<Vec<u8>>>, encoding: Option<Encoding>, packer: &Packer) -> Metrics {
        let Some(encoding) = encoding.filter(|_| text.len() >= gzip::BYTES_MIN) else { return Metrics::Plain(text) };
        let gzip = gzip.filter(|_| encoding == Encoding::Gzip);
        if gzip.is_some() {
            // What was needed before this layout was known is not, and others may not ask for a long time.
            packer.rest();
        }
        match gzip.or_else(|| packer.compress(encoding, text.as_bytes()).map(Arc::new)) {
            Some(packed) => Metrics::Packed(packed, encoding),
            None => Metrics::Plain(text),
        }
    }

    fn response(self) -> hyper::Response<Full<Bytes>> {
        let answer = Answer::exposition(String::new());
        match self {
            Metrics::Packed(packed, encoding) => {
                with_body(answer.with("content-encoding", encoding.name()), Bytes::from_owner(Shared(packed)))
            }
            Metrics::Plain(text) => with_body(answer, Bytes::from_owner(Shared(text))),
        }
    }
}

/// Bytes that others have too.
struct Shared<T>(Arc<T>);

impl<T: AsRef<[u8]>> AsRef<[u8]> for Shared<T> {
    fn as_ref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

fn response(mut answer: Answer, room: Option<OwnedSemaphorePermit>) -> hyper::Response<Full<Bytes>> {
    let body = std::mem::take(&mut answer.body);
    with_body(answer, Bytes::from_owner(Held { body, _room: room }))
}

fn with_body(answer: Answer, body: Bytes) -> hyper::Response<Full<Bytes>> {
    let mut response = hyper::Response::new(Full::new(body));
    *response.status_mut() = hyper::StatusCode::from_u16(answer.status).unwrap_or(hyper::StatusCode::OK);
    let headers = response.headers_mut();
    if !answer.content_type.is_empty() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    }
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    response
}

#[cfg(test)]
mod tests;
