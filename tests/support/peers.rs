//! The real peers as processes: Prometheus, node_exporter, mosquitto, on loopback ports, in folders of their own.
//!
//! Each constructor returns `None`, after saying so loudly, when the program is not installed (see `shared`). They
//! are waited for by asking them, and ended by their ids when they are dropped.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::agent::free_address;
use crate::folder::Folder;
use crate::http::{self, Answer};
use crate::process::Process;
use crate::shared::peer;

/// How long a peer may take to be ready; Prometheus on a busy machine takes seconds.
const READY: Duration = Duration::from_secs(60);

/// A running peer.
pub struct Peer {
    /// Its process.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its configuration and data. After the process, so that it is removed when that has ended.
    pub folder: Folder,
}

impl Peer {
    /// Starts Prometheus with this configuration and these further arguments. `{folder}` in the configuration stands
    /// for its folder.
    pub fn prometheus(config: &str, args: &[&str]) -> Option<Peer> {
        Peer::prometheus_in(Folder::new("prometheus"), config, args)
    }

    /// Starts Prometheus on blocks that promtool makes of an OpenMetrics text with timestamps; it scrapes nothing.
    ///
    /// # Panics
    /// When promtool refuses the text.
    pub fn prometheus_with_history(openmetrics: &str, args: &[&str]) -> Option<Peer> {
        let promtool = peer("promtool", "what a real Prometheus says of given data")?;
        let folder = Folder::new("prometheus");
        let text = folder.write("history.om", openmetrics);
        let mut command = Command::new(promtool);
        command.args(["tsdb", "create-blocks-from", "openmetrics"]).arg(text).arg(folder.path().join("data"));
        let output = command.output().expect("promtool runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let args = [&["--storage.tsdb.retention.time=100y"], args].concat();
        Peer::prometheus_in(folder, "global: {scrape_interval: 1h}\n", &args)
    }

    fn prometheus_in(folder: Folder, config: &str, args: &[&str]) -> Option<Peer> {
        let program = peer("prometheus", "what a real Prometheus says")?;
        let config = folder.write("prometheus.yml", config.replace("{folder}", &folder.path().to_string_lossy()));
        let address = free_address();
        let mut command = Command::new(program);
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .args(args);
        Some(Peer::start("prometheus", &mut command, folder, address, "/-/ready"))
    }

    /// Starts Prometheus as a receiver of remote write, at `/api/v1/write`, which scrapes nothing.
    pub fn prometheus_receiver() -> Option<Peer> {
        let config = "global: {scrape_interval: 1h}\n";
        Peer::prometheus(config, &["--web.enable-remote-write-receiver", "--enable-feature=native-histograms"])
    }

    /// Starts node_exporter with these further arguments.
    pub fn node_exporter(args: &[&str]) -> Option<Peer> {
        let program = peer("node_exporter", "what the real node_exporter says")?;
        let (folder, address) = (Folder::new("node_exporter"), free_address());
        let mut command = Command::new(program);
        command.arg(format!("--web.listen-address={address}")).args(args);
        Some(Peer::start("node_exporter", &mut command, folder, address, "/"))
    }

    /// Starts Alertmanager with this configuration.
    pub fn alertmanager(config: &str) -> Option<Peer> {
        let program = peer("alertmanager", "what a real Alertmanager says")?;
        let folder = Folder::new("alertmanager");
        let config = folder.write("alertmanager.yml", config);
        let address = free_address();
        let mut command = Command::new(program);
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--cluster.listen-address=");
        Some(Peer::start("alertmanager", &mut command, folder, address, "/-/ready"))
    }

    /// Starts the mosquitto broker, open to everybody on this machine.
    pub fn mosquitto() -> Option<Peer> {
        Peer::mosquitto_at(free_address())
    }

    /// Starts the mosquitto broker on an address of the test's choice: to come back where it was.
    pub fn mosquitto_at(address: SocketAddr) -> Option<Peer> {
        let program = peer("mosquitto", "what a real MQTT broker carries")?;
        let folder = Folder::new("mosquitto");
        // Started by root it would become another user, who may not read its folder.
        let user = if is_root() { "user root\n" } else { "" };
        let text = format!("listener {} {}\nallow_anonymous true\nlog_type all\n{user}", address.port(), address.ip());
        let config = folder.write("mosquitto.conf", text);
        let mut process = Process::start("mosquitto", Command::new(program).arg("-c").arg(config));
        process.until(READY, "a broker that listens", |p| {
            p.stderr().contains(" running\n").then(|| TcpStream::connect(address).ok()).flatten()
        });
        Some(Peer { process, address, folder })
    }

    /// Gets a path from it.
    ///
    /// # Panics
    /// When it does not answer; with what it said.
    pub fn get(&self, path: &str) -> Answer {
        http::get(self.address, path).unwrap_or_else(|e| panic!("GET {path}: {e}\n{}", self.process.stderr()))
    }

    /// Asks for an instant query and returns the whole answer's text.
    ///
    /// # Panics
    /// When the answer is no success.
    pub fn query(&self, expression: &str) -> String {
        let answer = self.get(&format!("/api/v1/query?query={}", http::escape(expression)));
        assert_eq!(answer.status, 200, "{expression}: {}", answer.text());
        answer.text()
    }

    fn start(name: &str, command: &mut Command, folder: Folder, address: SocketAddr, ready: &str) -> Peer {
        let mut process = Process::start(name, command.current_dir(folder.path()));
        let is_ready = |_: &Process| http::get(address, ready).ok().filter(|answer| answer.status == 200);
        process.until(READY, "being ready", is_ready);
        Peer { process, address, folder }
    }
}

/// A client that prints what a topic carries, one message a line.
pub struct Subscriber {
    process: Process,
}

impl Subscriber {
    /// Subscribes with QoS 1 and waits until the broker has confirmed it.
    ///
    /// The broker's own log is asked, because the client keeps its words to itself until the first message.
    pub fn start(broker: &Peer, topic: &str) -> Option<Subscriber> {
        let program = peer("mosquitto_sub", "what a real MQTT client reads")?;
        let (host, port) = (broker.address.ip().to_string(), broker.address.port().to_string());
        let confirmed = || broker.process.stderr().matches("Sending SUBACK").count();
        let before = confirmed();
        let mut command = Command::new(program);
        command.args(["-h", &host, "-p", &port, "-t", topic, "-q", "1", "-F", "%p"]);
        let mut process = Process::start("mosquitto_sub", &mut command);
        process.until(READY, "a subscription", |_| (confirmed() > before).then_some(()));
        Some(Subscriber { process })
    }

    /// Returns the messages so far, one a line.
    pub fn messages(&self) -> Vec<String> {
        messages(&self.process)
    }

    /// Waits until `ask` finds something in the messages.
    ///
    /// # Panics
    /// When it does not in time.
    pub fn until<T>(&mut self, within: Duration, what: &str, mut ask: impl FnMut(&[String]) -> Option<T>) -> T {
        self.process.until(within, what, |process| ask(&messages(process)))
    }
}

/// The whole lines that were printed; one still being written is not there yet.
fn messages(process: &Process) -> Vec<String> {
    let printed = process.stdout();
    printed.rsplit_once('\n').map_or(Vec::new(), |(whole, _)| whole.lines().map(str::to_owned).collect())
}

/// Publishes one message with QoS 1; `None` when the client is not installed.
///
/// # Panics
/// When the broker does not take it.
pub fn publish(broker: SocketAddr, topic: &str, message: &str) -> Option<()> {
    let program = peer("mosquitto_pub", "what a real MQTT client publishes")?;
    let (host, port) = (broker.ip().to_string(), broker.port().to_string());
    let mut command = Command::new(program);
    command.args(["-h", &host, "-p", &port, "-t", topic, "-q", "1", "-m", message]);
    let mut process = Process::start("mosquitto_pub", &mut command);
    let status = process.wait(READY);
    assert!(status.success(), "{}", process.stderr());
    Some(())
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(Path::new("/proc/self")).is_ok_and(|meta| meta.uid() == 0)
}

#[cfg(test)]
mod tests;
