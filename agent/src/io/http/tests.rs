//! The server on a real port, with clients that do it harm.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::RwLock;
use std::thread;

use model::{Batch, Clock, Labels, Mono, Now, UnixMs};

use super::*;
use crate::core::pushes::{Ask, Told};
use crate::web::{House, MetricsReply, Status};

struct Nobody;

impl House for Nobody {
    fn fresh_metrics(&self, _: bool, _: MetricsReply) {}

    fn selected_metrics(&self, _: exporters::Selection, _: crate::web::SelectedReply) {}

    fn status(&self) -> Option<Status> {
        None
    }

    fn rules(&self) -> Option<Vec<rules::GroupView>> {
        None
    }

    fn is_ready(&self) -> bool {
        true
    }

    fn push(&self, _: Ask) -> Option<Told> {
        None
    }

    fn write(&self, _: Vec<Batch>) -> Option<Vec<tsdb::Refused>> {
        None
    }

    fn reload(&self) -> Result<(), String> {
        Ok(())
    }
}

struct Still;

impl Clock for Still {
    fn now(&self) -> Now {
        Now { mono: Mono(0), wall: UnixMs(0), wall_trusted: true }
    }
}

/// Serves until the tests end; returns where.
fn served(query_ms_max: u64) -> SocketAddr {
    served_with(query_ms_max, crate::web::Settings::default())
}

fn served_with(query_ms_max: u64, settings: crate::web::Settings) -> SocketAddr {
    served_as(query_ms_max, Arc::new(web(settings)))
}

fn served_as(query_ms_max: u64, web: Arc<Web>) -> SocketAddr {
    let listener = crate::io::bind("127.0.0.1", 0).expect("a free port");
    let address = listener.local_addr().expect("an address");
    let query_ms_max = Arc::new(AtomicU64::new(query_ms_max));
    thread::spawn(move || crate::io::serve(listener, web, query_ms_max, Box::new(|_| {})));
    address
}

fn web(settings: crate::web::Settings) -> Web {
    let store = tsdb::Store::in_memory(tsdb::Options::default(), Still.now());
    Web {
        house: Box::new(Nobody),
        reader: Arc::new(RwLock::new(store.reader())),
        engine: promql::Engine::default(),
        clock: Arc::new(Still),
        settings,
        external_labels: RwLock::new(Labels::empty()),
        exemplars: Arc::new(std::sync::Mutex::new(crate::exemplars::Exemplars::new(0))),
        queries: Default::default(),
        guard: RwLock::new(Arc::new(crate::web::Guard::new(Vec::new(), None))),
        config: Default::default(),
        push: Default::default(),
    }
}

fn ask(address: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(50))).expect("a limit");
    stream.write_all(text.as_bytes()).expect("the request is taken");
    stream
}

fn answer(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text
}

/// Sixty-four connections that nobody used once shut everybody else out for a minute.
#[test]
fn clients_that_idle_make_room_for_others() {
    let address = served(60_000);
    let idle: Vec<TcpStream> = (0..CONNECTIONS_MAX)
        .map(|_| {
            let mut stream = ask(address, "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n");
            stream.read_exact(&mut [0; 15]).expect("it is served, and stays");
            stream
        })
        .collect();
    let text = answer(ask(address, "GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
    drop(idle);
}

/// `query.timeout` was read and believed, and then nobody looked at it.
#[test]
fn a_query_that_takes_too_long_is_stopped() {
    let address = served(20);
    let query = "max_over_time((vector(1)%2Bvector(1)%2Bvector(1)%2Bvector(1)%2Bvector(1))[5000s:1ms])";
    let text = answer(ask(
        address,
        &format!("GET /api/v1/query?query={} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", query),
    ));
    assert!(text.starts_with("HTTP/1.1 503 ") && text.contains("query timed out in expression evaluation"), "{text}");
}

/// A query that does not end by itself for as long as these tests last.
const HEAVY: &str = "max_over_time((vector(1)%2Bvector(1)%2Bvector(1)%2Bvector(1)%2Bvector(1))[50000s:1ms])";

/// People type quotes and braces, and the peer takes them.
#[test]
fn an_address_may_be_typed_without_escapes() {
    let address = served(60_000);
    let typed =
        "GET /api/v1/query?query=sum(up{job=\"a|b\",x!~`<é>`}) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let text = answer(ask(address, typed));
    assert!(text.starts_with("HTTP/1.1 200 ") && text.contains("\"resultType\":\"vector\""), "{text}");
}

#[test]
fn who_only_looks_does_not_wait_behind_queries() {
    let settings = crate::web::Settings { queries_max: 1, ..crate::web::Settings::default() };
    let address = served_with(40_000, settings);
    let heavy: Vec<TcpStream> =
        (0..3).map(|_| ask(address, &format!("GET /api/v1/query?query={HEAVY} HTTP/1.1\r\nHost: x\r\n\r\n"))).collect();
    let begun = std::time::Instant::now();
    for path in ["/api/v1/status/flags", "/api/v1/status/buildinfo", "/", "/-/healthy"] {
        let text = answer(ask(address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")));
        assert!(text.starts_with("HTTP/1.1 200 "), "{path}: {text}");
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "they waited for a query");
    drop(heavy);
    // The clients are gone, so their queries end and the next one has its turn.
    let text = answer(ask(address, "GET /api/v1/query?query=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
}

fn query(text: &str) -> Request {
    Request::new("GET", &format!("/api/v1/query?query={text}"))
}

#[test]
fn what_was_quick_is_answered_at_once_and_what_is_not_is_begun_anew() {
    let server = Server::new(Arc::new(web(Default::default())), Arc::default());
    let kind = |request: &Request| Quick::kind(request, false).expect("a query");
    let (quick, heavy) = (query("1%2B1"), query(HEAVY));
    assert!(server.at_once(&quick, None, kind(&quick)).is_none(), "nobody knows that it is quick");
    server.quick.took(kind(&quick), 0);
    let answer = server.at_once(&quick, None, kind(&quick)).expect("it is quick");
    assert_eq!((answer.status, quick.is_hurried()), (200, false));
    assert_eq!(answer.body, server.web.answer(&quick).body);
    let before = server.web.queries.told();
    server.quick.took(kind(&heavy), 0);
    assert!(server.at_once(&heavy, None, kind(&heavy)).is_none(), "it comes to no end soon");
    assert!(!server.quick.is_quick(kind(&heavy)), "it is not tried again");
    assert!(!heavy.is_stopped(), "it may be begun anew");
    assert_eq!(server.web.queries.told(), before, "a trial is not counted");
}

#[test]
fn one_query_asked_again_and_again_is_counted_each_time() {
    let web = Arc::new(web(Default::default()));
    let address = served_as(60_000, web.clone());
    let mut texts: Vec<String> = (0..5)
        .map(|time| {
            let path = format!("/api/v1/query?query=vector(time())&time={}", 100 + time / 4);
            answer(ask(address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")))
        })
        .collect();
    assert!(texts.pop().is_some_and(|text| text.contains("[101,")), "the time counts all the same");
    assert!(texts.iter().all(|text| text.contains("[100,") && text.starts_with("HTTP/1.1 200 ")), "{texts:?}");
    let mut batch = Batch::default();
    web.queries.told().add_to(&mut batch);
    assert_eq!(batch.rows().first().and_then(|row| row.value.float()), Some(5.0));
}

#[test]
fn a_query_ends_when_it_said_it_would() {
    let address = served(40_000);
    for (timeout, phase) in [("50ms", "expression evaluation"), ("0", "query queue")] {
        let request = format!(
            "GET /api/v1/query?timeout={timeout}&query={HEAVY} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        );
        let text = answer(ask(address, &request));
        assert!(text.starts_with("HTTP/1.1 503 ") && text.contains("\"errorType\":\"timeout\""), "{text}");
        assert!(text.contains("query timed out in ") && (timeout != "50ms" || text.contains(phase)), "{text}");
    }
    // However quick it is, and was the time before.
    for timeout in ["0", "-1", "0", "-1"] {
        let request =
            format!("GET /api/v1/query?timeout={timeout}&query=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let text = answer(ask(address, &request));
        assert!(text.starts_with("HTTP/1.1 503 ") && text.contains("query timed out in "), "{text}");
    }
}

#[test]
fn answers_are_made_smaller_for_who_takes_them_so() {
    let address = served(60_000);
    for (encoding, expected) in [("gzip, deflate", Some("gzip")), ("deflate", Some("deflate")), ("br", None)] {
        let mut stream = ask(
            address,
            &format!("GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: {encoding}\r\nConnection: close\r\n\r\n"),
        );
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("an answer");
        let text = String::from_utf8_lossy(&bytes);
        let found = text.lines().find_map(|line| line.strip_prefix("content-encoding: "));
        assert_eq!(found, expected, "{encoding}");
    }
}

/// A proxy that nobody configured speaks HTTP/1.0 and says nothing of whom it speaks for.
#[test]
fn control_over_http_1_0_is_refused() {
    let address = served(60_000);
    let close = "Host: 127.0.0.1:9090\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let text = answer(ask(address, &format!("POST /-/reload HTTP/1.0\r\n{close}")));
    assert!(text.contains(" 403 ") && text.contains("through a proxy"), "{text}");
    let text = answer(ask(address, &format!("POST /-/reload HTTP/1.1\r\n{close}")));
    assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
}

/// Large answers that nobody reads took as much memory as there were connections.
#[test]
fn slow_readers_of_large_answers_are_let_go_when_there_is_no_room() {
    let address = served(60_000);
    let series: Vec<String> =
        (0..60).map(|i| format!("label_replace(vector(time()/3),\"i\",\"{i}\",\"\",\"\")")).collect();
    let query = series.join(" or ").replace(' ', "%20").replace('"', "%22");
    let request = format!(
        "GET /api/v1/query_range?query={query}&start=0&end=11000&step=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    );
    let length = |head: &str| -> usize {
        let line = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        line.and_then(|length| length.parse().ok()).unwrap_or_else(|| panic!("no length: {head}"))
    };
    let mut slow: Vec<TcpStream> = (0..4).map(|_| ask(address, &request)).collect();
    // All of them begin only when one of them was let go: there is room for three.
    let heads: Vec<usize> = slow
        .iter_mut()
        .map(|stream| {
            let mut bytes = vec![0; 400];
            stream.read_exact(&mut bytes).expect("the answer begins");
            length(&String::from_utf8_lossy(&bytes))
        })
        .collect();
    let (mut whole, mut found) = (0, Vec::new());
    for (mut stream, expected) in slow.into_iter().zip(heads) {
        assert!(expected * 4 > ANSWERS_HELD_BYTES_MAX, "{expected} bytes are no large answer");
        let mut rest = Vec::new();
        let read = stream.read_to_end(&mut rest);
        whole += usize::from(read.is_ok() && rest.len() + 400 > expected);
        found.push((rest.len(), expected, read.err()));
    }
    assert!((1..4).contains(&whole), "{whole} of 4 were served to the end: {found:?}");
}

#[test]
fn a_query_that_waits_too_long_for_its_turn_is_told_and_counted() {
    let web = Arc::new(web(crate::web::Settings { queries_max: 1, ..crate::web::Settings::default() }));
    let address = served_as(40_000, web.clone());
    let ask_for = |timeout: &str| {
        let request = format!(
            "GET /api/v1/query?timeout={timeout}&query={HEAVY} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        );
        ask(address, &request)
    };
    let first = ask_for("39s");
    // Whoever comes first has the only place; a try that had it itself is timed out at its work, and the next waits.
    let mut texts = (0..50).map(|_| answer(ask_for("100ms")));
    let text = texts.find(|text| text.contains("query queue")).expect("the place is taken");
    assert!(text.starts_with("HTTP/1.1 503 ") && text.contains("\"errorType\":\"timeout\""), "{text}");
    assert!(text.contains("query timed out in query queue"), "{text}");
    assert_eq!((web.queries.of(Limit::Queue), web.queries.of(Limit::Bytes), web.queries.of(Limit::Room)), (1, 0, 0));
    drop(first);
    // Those who only look were never in that queue.
    let text = answer(ask(address, "GET /api/v1/labels HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
}

#[test]
fn an_answer_that_would_be_too_large_is_told_and_counted() {
    let web = Arc::new(web(crate::web::Settings::default()));
    let address = served_as(60_000, web.clone());
    let asked = |count: usize| {
        let series: Vec<String> =
            (0..count).map(|i| format!("label_replace(vector(time()/3),\"i\",\"{i}\",\"\",\"\")")).collect();
        let query = series.join(" or ").replace(' ', "%20").replace('"', "%22");
        answer(ask(
            address,
            &format!(
                "GET /api/v1/query_range?query={query}&start=0&end=11000&step=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            ),
        ))
    };
    let text = asked(30);
    assert!(text.starts_with("HTTP/1.1 200 ") && text.len() > api::ANSWER_BYTES_MAX / 5, "{}", text.len());
    assert_eq!(web.queries.of(Limit::Bytes), 0);
    let text = asked(30 * api::ANSWER_BYTES_MAX / text.len() + 5);
    assert!(text.starts_with("HTTP/1.1 422 "), "{}", &text[..200.min(text.len())]);
    assert!(text.contains("the answer would be larger than 33554432 bytes: ask for less"), "{text}");
    assert_eq!(web.queries.of(Limit::Bytes), 1);
}

#[test]
fn an_answer_without_room_is_told_and_counted() {
    let web = Arc::new(web(crate::web::Settings::default()));
    let server = Server::new(web.clone(), Arc::new(AtomicU64::new(60_000)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let all =
            server.room.clone().acquire_many_owned((ANSWERS_HELD_BYTES_MAX >> 10) as u32).await.expect("all of it");
        assert!(matches!(server.room_for(ANSWER_SMALL_BYTES, 1).await, Ok(None)), "a small one needs none");
        let refused = server.room_for(ANSWER_SMALL_BYTES + 1, 1).await.expect_err("there is none");
        assert_eq!((refused.status, &refused.body[..]), (503, &b"too many answers wait for slow clients\n"[..]));
        assert_eq!(web.queries.of(Limit::Room), 1);
        drop(all);
        let most = server.room_for(ANSWERS_HELD_BYTES_MAX, 1).await.expect("all of it is free").expect("a place");
        assert_eq!(most.num_permits(), ANSWERS_HELD_BYTES_MAX >> 10);
        assert_eq!((server.room.available_permits(), web.queries.of(Limit::Room)), (0, 1));
    });
}
