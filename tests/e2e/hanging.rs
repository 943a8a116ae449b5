//! A reader that never answers: a system bus that takes no connection holds `connect` for ever, in the real program.
//!
//! The agent starts all the same, tells every other collector after some seconds, and asks the bus again when it
//! answers.

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use support::agent::Agent;
use support::wait;

use crate::held::{LONG, QUICK, collections, value};

/// A bus that nobody serves any more: its queue is full, so that whoever comes next waits.
struct FullBus {
    _listener: UnixListener,
    waiting: Vec<UnixStream>,
}

impl FullBus {
    fn new(path: &Path) -> FullBus {
        let listener = UnixListener::bind(path).expect("a free path");
        let mut waiting = Vec::new();
        // A connection that would wait is made by a thread, which ends with the listener.
        loop {
            let (path, (tell, told)) = (path.to_owned(), std::sync::mpsc::channel());
            std::thread::spawn(move || _ = UnixStream::connect(path).map(|stream| tell.send(stream)));
            match told.recv_timeout(std::time::Duration::from_secs(1)) {
                Ok(stream) => waiting.push(stream),
                Err(_) => return FullBus { _listener: listener, waiting },
            }
        }
    }
}

fn success(agent: &Agent, collector: &str) -> Option<f64> {
    value(agent, &format!("node_scrape_collector_success{{collector=\"{collector}\"}}"))
}

#[test]
fn a_bus_that_takes_no_connection_holds_up_nothing_else() {
    let folder = support::folder::Folder::new("full-bus");
    let path = folder.path().join("bus");
    let bus = FullBus::new(&path);
    assert!(!bus.waiting.is_empty(), "it takes some connections");
    let config = format!("{QUICK}collect: {{enable: [systemd]}}\n");
    let address = format!("unix:path={}", path.display());
    let mut agent = Agent::new(&config).env("DBUS_SYSTEM_BUS_ADDRESS", &address).started();
    agent.process().until(LONG, "the others", |process| process.stderr().contains("systemd) has not").then_some(()));
    wait::until_true(LONG, "the others' samples", || success(&agent, "loadavg") == Some(1.0));
    collections(&mut agent, 3);
    assert_eq!(success(&agent, "systemd"), Some(0.0));
    assert!(value(&agent, "node_load1").is_some() && value(&agent, "up{job=\"node\"}") == Some(1.0));
    let text = agent.get("/metrics").text();
    assert!(text.contains("node_scrape_collector_success{collector=\"systemd\"} 0\n"), "{text}");
    // Now the bus ends, which is an answer too: everybody who waits is refused.
    drop(bus);
    agent.process().until(LONG, "an answer", |process| process.stderr().contains("systemd answers").then_some(()));
    let seconds = "node_scrape_collector_duration_seconds{collector=\"systemd\"}";
    wait::until_true(LONG, "systemd's own lane to end", || value(&agent, seconds).is_some());
}
