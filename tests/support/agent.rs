//! The built agent as a process: started on a free port in a folder of its own, ended by its id, started again there.
//!
//! The program is `NARTHEX_BIN`, else what `cargo build --package narthex --release` makes (a moment when nothing
//! changed); with `NARTHEX_PROFILE=dev` the unoptimised one, which is built sooner. Data, tail and configuration lie
//! in the folder, so that agents of tests that run beside each other never meet.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use crate::folder::Folder;
use crate::http::{self, Answer};
use crate::process::Process;
use crate::shared::project;
use crate::wait::SOON;

/// An agent with its folder; the process may be running or not.
pub struct Agent {
    folder: Folder,
    address: SocketAddr,
    args: Vec<String>,
    env: Vec<(String, String)>,
    process: Option<Process>,
}

impl Agent {
    /// Returns an agent that is not started yet. `config` is the text of its configuration; `{folder}` in it stands
    /// for the agent's folder. Empty: none is given, so that it takes the one built in.
    ///
    /// # Panics
    /// When the folder cannot be made.
    pub fn new(config: &str) -> Agent {
        let folder = Folder::new("agent");
        let mut args = Vec::new();
        if !config.is_empty() {
            let text = config.replace("{folder}", &folder.path().to_string_lossy());
            args.push(format!("--config.file={}", folder.write("narthex.yml", text).display()));
        }
        folder.write("run/.keep", "");
        Agent { folder, address: free_address(), args, env: Vec::new(), process: None }
    }

    /// Returns it with another argument.
    #[must_use]
    pub fn arg(mut self, arg: &str) -> Agent {
        self.args.push(arg.to_owned());
        self
    }

    /// Returns it with another variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Agent {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    /// When it is not ready in time, or ends before; with what it said.
    #[must_use]
    pub fn started(mut self) -> Agent {
        self.start();
        self
    }

    /// Starts it, again or for the first time, and waits until it is ready.
    ///
    /// # Panics
    /// As [`Agent::started`].
    pub fn start(&mut self) {
        self.launch();
        let address = self.address;
        let ready = |_: &Process| http::get(address, "/-/ready").ok().filter(|answer| answer.status == 200);
        self.process().until(SOON, "being ready", ready);
    }

    /// Starts it and does not wait: for starts that are to fail.
    ///
    /// # Panics
    /// When it runs already, or cannot be started at all.
    pub fn launch(&mut self) {
        assert!(self.process.as_mut().is_none_or(|process| process.ended().is_some()), "the agent runs already");
        let mut command = Command::new(program());
        command
            .args(&self.args)
            .arg(format!("--storage.path={}", self.data_folder().display()))
            .arg(format!("--web.listen-address={}", self.address))
            .env("STATE_DIRECTORY", self.data_folder())
            .env("RUNTIME_DIRECTORY", self.folder.path().join("run"))
            .env_remove("NOTIFY_SOCKET")
            .envs(self.env.iter().cloned())
            .current_dir(self.folder.path());
        self.process = Some(Process::start("narthex", &mut command));
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns its folder.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Returns the folder of its data file.
    pub fn data_folder(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Returns its process.
    ///
    /// # Panics
    /// When it was never started.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("the agent was started")
    }

    /// Gets a path from it.
    ///
    /// # Panics
    /// When it does not answer; with what it said.
    pub fn get(&self, path: &str) -> Answer {
        http::get(self.address, path).unwrap_or_else(|e| {
            panic!("GET {path}: {e}\n{}", self.process.as_ref().map_or(String::new(), Process::stderr))
        })
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

    /// Kills it at once.
    pub fn kill(&mut self) {
        self.process().kill();
    }

    /// Sends SIGTERM and returns how it ended.
    ///
    /// # Panics
    /// When it does not end in time.
    pub fn terminate(&mut self) -> ExitStatus {
        self.process().terminate(SOON)
    }

    /// Sends SIGHUP.
    pub fn reload(&mut self) {
        self.process().signal("HUP");
    }
}

/// Returns a loopback address whose port was free a moment ago, and which no other test of this run was given.
///
/// # Panics
/// When there is none.
pub fn free_address() -> SocketAddr {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port");
        let address = listener.local_addr().expect("it is bound");
        if GIVEN.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(address.port()) {
            return address;
        }
    }
}

/// Returns the built program.
///
/// # Panics
/// When it cannot be built.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| match std::env::var_os("NARTHEX_BIN") {
        Some(path) => PathBuf::from(path),
        None => build(),
    })
}

fn build() -> PathBuf {
    let is_dev = std::env::var("NARTHEX_PROFILE").is_ok_and(|profile| profile == "dev");
    let target = target_folder();
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--quiet", "--package", "narthex", "--bin", "narthex"]).current_dir(project());
    command.arg("--target-dir").arg(&target);
    if !is_dev {
        command.arg("--release");
    }
    let mut building = Process::start("cargo build", &mut command);
    let status = building.wait(Duration::from_secs(1_800));
    assert!(status.success(), "cargo build: {status}\n{}", building.stderr());
    target.join(if is_dev { "debug" } else { "release" }).join("narthex")
}

/// The folder this very test was built into: `TARGET/PROFILE/deps/test-0123`.
fn target_folder() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    test.ancestors().nth(3).expect("cargo puts tests three folders deep").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_addresses_are_free_and_differ() {
        let (a, b) = (free_address(), free_address());
        assert!(a != b && a.ip().is_loopback() && TcpListener::bind(a).is_ok());
    }

    #[test]
    fn the_folder_is_written_into_the_configuration() {
        let agent = Agent::new("rule_files: [\"{folder}/rules.yml\"]\n").arg("--log.format=json");
        let text = std::fs::read_to_string(agent.folder().path().join("narthex.yml")).expect("written");
        assert_eq!(text, format!("rule_files: [\"{}/rules.yml\"]\n", agent.folder().path().display()));
        assert_eq!(agent.args.len(), 2);
    }
}
