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
    fn fresh_metrics(&self, _: MetricsReply) {}

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
    let store = tsdb::Store::in_memory(tsdb::Options::default(), Still.now());
    let web = Web {
        house: Box::new(Nobody),
        reader: Arc::new(RwLock::new(store.reader())),
        engine: promql::Engine::default(),
        clock: Arc::new(Still),
        settings: Default::default(),
        external_labels: RwLock::new(Labels::empty()),
        config: Default::default(),
        push: Default::default(),
    };
    let listener = crate::io::bind("127.0.0.1", 0).expect("a free port");
    let address = listener.local_addr().expect("an address");
    let query_ms_max = Arc::new(AtomicU64::new(query_ms_max));
    thread::spawn(move || crate::io::serve(listener, Arc::new(web), query_ms_max, Box::new(|_| {})));
    address
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
