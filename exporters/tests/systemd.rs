//! systemd's units over a bus that is played by this test.
//!
//! The fake takes logins as a daemon does, answers `Hello`, `ListUnits` and properties, and refuses all else. What we
//! say of it is compared with rows written down here and, where `NARTHEX_NODE_EXPORTER` names the peer, with what
//! the peer says of the same bus, to the letter. Damaged answers and hung-up connections are survived.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use exporters::{Host, Lane, Space, System, Uname};

use crate::support::{Folder, printed, settings};

/// Unit, load state, active state.
const UNITS: [(&str, &str, &str); 9] = [
    ("ssh.service", "loaded", "active"),
    ("backup.service", "loaded", "failed"),
    ("idle.service", "loaded", "inactive"),
    ("starting@1.service", "loaded", "activating"),
    ("missing.service", "not-found", "inactive"),
    ("backup.timer", "loaded", "active"),
    ("web.socket", "loaded", "active"),
    ("-.mount", "loaded", "active"),
    ("odd.path", "loaded", "maintenance"),
];

/// Writes values as the bus has them.
#[derive(Default)]
struct Body(Vec<u8>);

impl Body {
    fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    fn number(&mut self, value: u32) {
        self.align(4);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u32);
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
    }

    fn signature(&mut self, text: &str) {
        self.0.push(text.len() as u8);
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
    }
}

/// What a property holds, with its signature.
enum Value {
    Text(&'static str),
    Small(u32),
    Large(u64),
}

fn property(path: &str, name: &str) -> Option<Value> {
    let is = |unit: &str| path.ends_with(&escaped(unit));
    Some(match name {
        "SystemState" => Value::Text("degraded"),
        "Version" => Value::Text("252.38-1~deb12u1"),
        "Virtualization" => Value::Text("kvm"),
        "Type" if is("backup.service") => Value::Text("oneshot"),
        "Type" if is("idle.service") => return None,
        "Type" => Value::Text("notify"),
        "LastTriggerUSec" => Value::Large(1_780_000_000_250_000),
        "NAccepted" => Value::Small(12),
        "NConnections" => Value::Small(2),
        "NRefused" => Value::Small(1),
        "TasksCurrent" if is("ssh.service") => Value::Large(3),
        "TasksCurrent" | "TasksMax" => Value::Large(u64::MAX),
        "NRestarts" => Value::Small(4),
        "ActiveEnterTimestamp" => Value::Large(1_779_999_000_000_000),
        _ => return None,
    })
}

fn escaped(unit: &str) -> String {
    let escape = |c: char| if c.is_ascii_alphanumeric() { c.to_string() } else { format!("_{:02x}", c as u32) };
    unit.chars().map(escape).collect()
}

fn unit_list() -> Body {
    let mut body = Body::default();
    body.number(0);
    body.align(8);
    let start = body.0.len();
    for (name, load, active) in UNITS {
        body.align(8);
        for text in [name, "Some unit", load, active, "sub", ""] {
            body.text(text);
        }
        body.text(&format!("/org/freedesktop/systemd1/unit/{}", escaped(name)));
        body.number(0);
        body.text("");
        body.text("/");
    }
    let bytes = (body.0.len() - start) as u32;
    body.0[..4].copy_from_slice(&bytes.to_le_bytes());
    body
}

/// Returns the answer to a call: its kind, signature and body.
fn respond(call: &[u8], body: &[u8]) -> (u8, &'static str, Body) {
    let mut out = Body::default();
    let has = |text: &str| call.windows(text.len()).any(|window| window == text.as_bytes());
    if has("Hello") {
        out.text(":1.7");
        return (2, "s", out);
    }
    if has("ListUnits") {
        return (2, "a(ssssssouso)", unit_list());
    }
    let path_at = call.windows(12).position(|window| window == b"/org/freedes").unwrap_or(0);
    let path = call[path_at..].split(|byte| *byte == 0).next().unwrap_or(&[]);
    let name = body.strip_suffix(b"\0").and_then(|body| body.rsplit(|byte| *byte == 0).next()).unwrap_or(&[]);
    let (path, name) = (String::from_utf8_lossy(path), String::from_utf8_lossy(name));
    match property(&path, &name) {
        Some(Value::Text(text)) => {
            out.signature("s");
            out.text(text);
        }
        Some(Value::Small(value)) => {
            out.signature("u");
            out.number(value);
        }
        Some(Value::Large(value)) => {
            out.signature("t");
            out.align(8);
            out.0.extend_from_slice(&value.to_le_bytes());
        }
        None => return (3, "", out),
    }
    (2, "v", out)
}

fn write_answer(call: &[u8], body: &[u8]) -> Vec<u8> {
    let (kind, signature, answer) = respond(call, body);
    let mut out = Body(vec![b'l', kind, 1, 1]);
    out.number(answer.0.len() as u32);
    out.number(1);
    out.number(0);
    out.0.extend_from_slice(&[5, 1, b'u', 0]);
    out.0.extend_from_slice(&call[8..12]);
    if kind == 3 {
        out.0.extend_from_slice(&[4, 1, b's', 0]);
        out.text("org.freedesktop.DBus.Error.UnknownProperty");
    }
    if !signature.is_empty() {
        out.align(8);
        out.0.extend_from_slice(&[8, 1, b'g', 0]);
        out.signature(signature);
    }
    let fields = (out.0.len() - 16) as u32;
    out.0[12..16].copy_from_slice(&fields.to_le_bytes());
    out.align(8);
    out.0.extend_from_slice(&answer.0);
    out.0
}

/// Plays the daemon until the other side hangs up. `damage` may change what is sent.
fn serve(stream: UnixStream, damage: &dyn Fn(&mut Vec<u8>)) -> io::Result<()> {
    let mut out = stream.try_clone()?;
    let mut input = BufReader::new(stream);
    input.read_exact(&mut [0])?;
    loop {
        let mut line = String::new();
        input.read_line(&mut line)?;
        match line.trim_end() {
            "BEGIN" => break,
            "AUTH" => out.write_all(b"REJECTED EXTERNAL\r\n")?,
            "AUTH EXTERNAL" => out.write_all(b"DATA\r\n")?,
            line if line.starts_with("AUTH EXTERNAL ") || line.starts_with("DATA") => out.write_all(b"OK 1234\r\n")?,
            "" => return Ok(()),
            _ => out.write_all(b"ERROR\r\n")?,
        }
    }
    loop {
        let mut call = vec![0; 16];
        input.read_exact(&mut call)?;
        let number = |at: usize, call: &[u8]| u32::from_le_bytes([call[at], call[at + 1], call[at + 2], call[at + 3]]);
        let start = (16 + number(12, &call) as usize).next_multiple_of(8);
        call.resize(start + number(4, &call) as usize, 0);
        input.read_exact(&mut call[16..])?;
        let mut answer = write_answer(&call, &call[start..]);
        let good = answer.clone();
        damage(&mut answer);
        out.write_all(&answer)?;
        if answer != good {
            return Ok(());
        }
    }
}

/// Returns a connection to a daemon that is played by a thread until the connection is dropped.
pub fn connect(damage: fn(&mut Vec<u8>)) -> io::Result<UnixStream> {
    let (ours, theirs) = UnixStream::pair()?;
    std::thread::spawn(move || serve(theirs, &damage));
    Ok(ours)
}

/// Is shown a message.
type Visit = fn(&[u8]);

/// Has a collector ask the bus, and hands over every message that the bus says.
pub fn told_while(visit: Visit) {
    static VISIT: std::sync::Mutex<Option<Visit>> = std::sync::Mutex::new(None);
    *VISIT.lock().expect("nobody panics with it") = Some(visit);
    let visit = |message: &mut Vec<u8>| {
        if let Some(visit) = *VISIT.lock().expect("nobody panics with it") {
            visit(message);
        }
    };
    printed(&mut lane(&FLAGS, visit));
}

/// A machine that has nothing but a bus.
struct OnlyBus(fn(&mut Vec<u8>));

impl System for OnlyBus {
    fn statfs(&self, _: &Path) -> io::Result<Space> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn uname(&self, _: &mut dyn FnMut(Uname<'_>)) {}

    fn wall(&self) -> Duration {
        Duration::ZERO
    }

    fn system_bus(&self) -> io::Result<UnixStream> {
        connect(self.0)
    }
}

const FLAGS: [&str; 5] = [
    "collector.disable-defaults",
    "collector.systemd",
    "collector.systemd.enable-task-metrics",
    "collector.systemd.enable-restarts-metrics",
    "collector.systemd.enable-start-time-metrics",
];

fn lane(flags: &[&str], damage: fn(&mut Vec<u8>)) -> Lane {
    let settings = settings(flags);
    let host = Host { sysfs: "/nowhere".into(), system: Box::new(OnlyBus(damage)), ..Host::default() };
    let info = exporters::COLLECTORS.iter().find(|info| info.name == "systemd").expect("listed");
    Lane::new(host, vec![(info.make)(&settings).expect("good settings")])
}

#[test]
fn units_are_told_as_systemd_has_them() {
    let mut lane = lane(&FLAGS, |_| ());
    let first = printed(&mut lane);
    assert_eq!(printed(&mut lane), first, "the connection is kept");
    for row in [
        "node_systemd_unit_state{name=\"ssh.service\",state=\"active\",type=\"notify\"} 1",
        "node_systemd_unit_state{name=\"ssh.service\",state=\"failed\",type=\"notify\"} 0",
        "node_systemd_unit_state{name=\"backup.service\",state=\"failed\",type=\"oneshot\"} 1",
        "node_systemd_unit_state{name=\"web.socket\",state=\"active\",type=\"\"} 1",
        "node_systemd_units{state=\"active\"} 4",
        "node_systemd_units{state=\"maintenance\"} 1",
        "node_systemd_units{state=\"deactivating\"} 0",
        "node_systemd_system_running 0",
        "node_systemd_version{version=\"252.38-1~deb12u1\"} 252.38",
        "node_systemd_timer_last_trigger_seconds{name=\"backup.timer\"} 1.78000000025e+09",
        "node_systemd_socket_refused_connections_total{name=\"web.socket\"} 1",
        "node_systemd_unit_tasks_current{name=\"ssh.service\"} 3",
        "node_systemd_service_restart_total{name=\"ssh.service\"} 4",
        "node_systemd_unit_start_time_seconds{name=\"ssh.service\"} 1.779999e+09",
        "node_systemd_unit_start_time_seconds{name=\"idle.service\"} 0",
        "node_scrape_collector_success{collector=\"systemd\"} 1",
    ] {
        assert!(first.lines().any(|line| line == row), "{row}\n{first}");
    }
    for absent in ["missing.service", "-.mount"] {
        assert!(!first.contains(absent), "{absent}");
    }
    assert!(!first.contains("unit_tasks_max"), "a limit that systemd does not know is not told");
}

#[test]
fn broken_answers_are_survived() {
    let damages: [fn(&mut Vec<u8>); 5] = [
        |answer| answer[0] = b'B',
        |answer| answer[4..8].copy_from_slice(&u32::MAX.to_le_bytes()),
        |answer| answer[12..16].copy_from_slice(&[255, 255, 0, 0]),
        |answer| answer.truncate(20),
        |answer| answer[20..].fill(0xff),
    ];
    for damage in damages {
        let mut lane = lane(&FLAGS, damage);
        for _ in 0..2 {
            let text = printed(&mut lane);
            assert!(text.contains("node_scrape_collector_success{collector=\"systemd\"} 0\n"), "{text}");
        }
    }
}

#[test]
fn without_a_bus_control_groups_tell_what_runs() {
    struct NoBus;
    impl System for NoBus {
        fn statfs(&self, _: &Path) -> io::Result<Space> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn uname(&self, _: &mut dyn FnMut(Uname<'_>)) {}

        fn wall(&self) -> Duration {
            Duration::ZERO
        }
    }
    let folder = Folder::new("systemd-groups");
    let slice = folder.0.join("sys/fs/cgroup/system.slice");
    for (file, text) in [("ssh.service/pids.current", "3\n"), ("ssh.service/pids.max", "max\n"), ("x.mount/a", "")] {
        std::fs::create_dir_all(slice.join(file).parent().expect("a folder")).expect("a folder can be made");
        std::fs::write(slice.join(file), text).expect("a file can be written");
    }
    std::fs::write(slice.join("cgroup.procs"), "").expect("a file can be written");
    let mut lane = crate::support::lane_over(&folder.0, &FLAGS, Box::new(NoBus));
    let text = printed(&mut lane);
    let rows: Vec<&str> =
        text.lines().filter(|line| line.starts_with("node_systemd") && !line.ends_with(" 0")).collect();
    assert_eq!(
        rows,
        [
            "node_systemd_unit_state{name=\"ssh.service\",state=\"active\",type=\"\"} 1",
            "node_systemd_unit_tasks_current{name=\"ssh.service\"} 3"
        ]
    );
    assert!(text.contains("node_scrape_collector_success{collector=\"systemd\"} 0\n"), "{text}");
}

#[test]
fn the_peer_says_the_same_of_the_same_bus() {
    let Some(peer) = std::env::var_os("NARTHEX_NODE_EXPORTER") else {
        eprintln!("LEFT OUT: the real node_exporter on the same bus (set NARTHEX_NODE_EXPORTER to its path)");
        return;
    };
    let folder = Folder::new("systemd-bus");
    let socket = folder.0.join("bus");
    let listener = UnixListener::bind(&socket).expect("a socket");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream, &|_| ()));
        }
    });
    let address = format!("unix:path={}", socket.display());
    let arguments: Vec<String> = FLAGS.iter().map(|flag| format!("--{flag}")).collect();
    let theirs = crate::live::peer(&peer, &arguments, &[("DBUS_SYSTEM_BUS_ADDRESS", &address)]);
    let ours = printed(&mut lane(&FLAGS, |_| ()));
    let compared = crate::support::check("systemd", &ours, &theirs, &|family| {
        family == "node_scrape_collector_duration_seconds" || family == "node_exporter_build_info"
    });
    assert!(compared >= 10, "{compared}");
}
