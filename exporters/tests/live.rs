//! The real node_exporter beside us on this machine: the same series, with the same help and types.
//!
//! Values move between two readings, so what is compared is every family's head and every row's labels. The peer is
//! found by `NARTHEX_NODE_EXPORTER`; it is started on a free port of the loopback interface and stopped by its id.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use exporters::COLLECTORS;

use crate::support::{printed, settings};

struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks until the peer answers or gives up.
fn fetch(port: u16) -> String {
    for _ in 0..500 {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
            std::thread::yield_now();
            std::thread::park_timeout(std::time::Duration::from_millis(20));
            continue;
        };
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").expect("a request can be sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer in UTF-8");
        return answer.split_once("\r\n\r\n").expect("a head and a body").1.to_owned();
    }
    panic!("the peer did not answer on port {port}");
}

/// Returns heads, and rows without their values.
fn lines(text: &str) -> BTreeSet<String> {
    let row = |line: &str| match line.starts_with('#') {
        true => line.to_owned(),
        // The peer says 0 for a disk that rotates when the kernel lacks any other file it looks for beside that one.
        false => line.rsplit_once(' ').map_or("", |(series, _)| series).replace("rotational=\"1\"", "rotational=\"0\""),
    };
    // A state of processes or connections is told while something is in it, which passes.
    let passes = |line: &&str| ["s_state{", "connection_states{"].iter().any(|part| line.contains(part));
    text.lines().filter(|line| !passes(line)).map(row).collect()
}

/// Runs the peer with these arguments and returns what it says once.
pub fn peer(binary: &std::ffi::OsStr, arguments: &[String], environment: &[(&str, &str)]) -> String {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port();
    let mut command = Command::new(binary);
    command.arg(format!("--web.listen-address=127.0.0.1:{port}")).arg("--web.disable-exporter-metrics");
    command.args(arguments).envs(environment.iter().copied());
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the peer starts");
    let _peer = Peer(child);
    fetch(port)
}

#[test]
fn the_peer_tells_the_same_series() {
    let Some(peer) = std::env::var_os("NARTHEX_NODE_EXPORTER") else {
        eprintln!("LEFT OUT: the real node_exporter beside us (set NARTHEX_NODE_EXPORTER to its path)");
        return;
    };
    let mut flags = vec!["collector.disable-defaults".to_owned()];
    flags.extend(COLLECTORS.iter().map(|info| format!("collector.{}", info.name)));
    let arguments: Vec<String> = flags.iter().map(|flag| format!("--{flag}")).collect();
    let theirs = self::peer(&peer, &arguments, &[]);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let mut lane = exporters::lane(&settings(&flags)).expect("good settings");
    let ours = printed(&mut lane);
    // The peer's directory of text files is not there on most machines, which it calls an error and we do not.
    let (ours, theirs) = (lines(&ours), lines(&theirs));
    let missing: Vec<&String> = theirs.difference(&ours).filter(|line| !line.contains("node_exporter_build")).collect();
    let added = ours.difference(&theirs).filter(|line| !line.contains("node_exporter_build"));
    let added: Vec<&String> = added.collect();
    assert!(missing.is_empty() && added.is_empty(), "missing: {missing:#?}\nadded: {added:#?}");
    assert!(ours.len() > 200, "only {} lines were compared", ours.len());
}

/// Of this machine's devices, netlink and the files of sysfs say the same, to the letter.
#[test]
fn network_devices_are_the_same_by_netlink_and_by_their_files() {
    let told = |flags: &[&str]| {
        let flags = [&["collector.disable-defaults", "collector.netclass"], flags].concat();
        let text = printed(&mut exporters::lane(&settings(&flags)).expect("good settings"));
        text.lines().filter(|line| line.contains("node_network_")).map(str::to_owned).collect::<Vec<_>>()
    };
    // Only where the kernel's own folder is read is netlink asked.
    let files = told(&["path.sysfs=/sys/../sys"]);
    assert_eq!(told(&[]), files);
    assert!(files.len() > 30, "{}", files.len());
}
