//! HTTP/1.1 in: connections are bounded in number, time and bytes, then handed to `web` as plain values.
//!
//! hyper keeps the rules of the wire (keep-alive, chunked bodies, smuggling). What is ours: how many connections
//! there may be, how long a header or a body may take, how large a body may be, and that a client that goes away
//! stops the query it asked for.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;

use crate::web::{Answer, Request, Web};

/// The most connections at a time; the next one waits in the kernel's queue.
const CONNECTIONS_MAX: usize = 64;
/// How long the header of a request may take, keep-alive included.
const HEADER_SECONDS_MAX: u64 = 60;
/// How long a body may take.
const BODY_SECONDS_MAX: u64 = 30;
/// The largest body that is read, in bytes.
const BODY_BYTES_MAX: usize = 1 << 20;
/// The largest header block that is read, in bytes; a query in a GET must fit.
const HEADER_BYTES_MAX: usize = 128 << 10;

/// Accepts connections for ever.
pub(super) async fn accept(listener: tokio::net::TcpListener, web: Arc<Web>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let web = web.clone();
                let _ = stream.set_nodelay(true);
                tokio::spawn(async move {
                    serve(TokioIo::new(stream), peer.ip(), web).await;
                    drop(permit);
                });
            }
            Err(error) => {
                // Out of descriptors, most likely: the connections there are will end.
                log::warn!("accepting a connection: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(io: TokioIo<tokio::net::TcpStream>, peer: IpAddr, web: Arc<Web>) {
    let service = service_fn(move |request| {
        let web = web.clone();
        async move { Ok::<_, Infallible>(answer(request, peer, web).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(HEADER_SECONDS_MAX))
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(io, service)
        .await;
    if let Err(error) = served {
        log::debug!("connection from {peer}: {error}");
    }
}

/// Sets the flag when the request's future is dropped: the client went away.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn answer(request: hyper::Request<Incoming>, peer: IpAddr, web: Arc<Web>) -> hyper::Response<Full<Bytes>> {
    let stop = Arc::new(AtomicBool::new(false));
    let _guard = StopOnDrop(stop.clone());
    let answer = match read(request, peer, stop).await {
        Err(refusal) => refusal,
        Ok(request) if request.path == "/metrics" => metrics(&web, &request).await,
        // Health is asked most when the machine is busiest: it waits for nobody.
        Ok(request) if request.path.starts_with("/-/") => web.answer(&request),
        Ok(request) => match tokio::task::spawn_blocking(move || web.answer(&request)).await {
            Ok(answer) => answer,
            Err(_) => Answer::text(500, "the request could not be computed\n"),
        },
    };
    response(answer)
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
    let body =
        tokio::time::timeout(Duration::from_secs(BODY_SECONDS_MAX), Limited::new(body, BODY_BYTES_MAX).collect())
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
