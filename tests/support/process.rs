//! A process that a test starts: its output is collected, and it is ended by its id when the test is done.
//!
//! Only processes started here are ever signalled. Signals other than the kill go through `sh`, whose `kill` is on
//! every system; the tests have no unsafe code either.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::wait;

/// The most bytes kept of each output; what comes later is read and dropped.
const OUTPUT_BYTES_MAX: usize = 16 << 20;

/// How long the last words of an ended process are waited for.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A running process.
pub struct Process {
    name: String,
    child: Child,
    stdout: Output,
    stderr: Output,
    readers: [JoinHandle<()>; 2],
    ended: Option<ExitStatus>,
}

type Output = Arc<Mutex<Vec<u8>>>;

impl Process {
    /// Starts a command with nothing to read.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(name: &str, command: &mut Command) -> Process {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("starting {name} ({command:?}): {e}"));
        let (stdout, reads_stdout) = collect(child.stdout.take().expect("piped"));
        let (stderr, reads_stderr) = collect(child.stderr.take().expect("piped"));
        let readers = [reads_stdout, reads_stderr];
        Process { name: name.to_owned(), child, stdout, stderr, readers, ended: None }
    }

    /// Returns its id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns what it wrote to standard output so far.
    pub fn stdout(&self) -> String {
        text(&self.stdout)
    }

    /// Returns what it wrote to standard error so far.
    pub fn stderr(&self) -> String {
        text(&self.stderr)
    }

    /// Returns how it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().unwrap_or_else(|e| panic!("waiting for {}: {e}", self.name));
        }
        self.ended
    }

    /// Waits until it ended by itself.
    ///
    /// # Panics
    /// When it does not in time.
    pub fn wait(&mut self, within: Duration) -> ExitStatus {
        match wait::try_until(within, || self.ended()) {
            Some(status) => {
                // Its last words may still be in the pipe. A child of its own may hold that open for long.
                wait::try_until(LAST_WORDS, || self.readers.iter().all(JoinHandle::is_finished).then_some(()));
                status
            }
            None => panic!("{} did not end within {} s\n{}", self.name, within.as_secs(), self.stderr()),
        }
    }

    /// Sends a signal by its name, such as `TERM` or `HUP`.
    ///
    /// # Panics
    /// When it has ended already.
    pub fn signal(&mut self, signal: &str) {
        assert!(self.ended().is_none(), "{} ended already\n{}", self.name, self.stderr());
        // It was not waited for yet, so the id is still its own.
        let script = format!("kill -{signal} {}", self.id());
        let status = Command::new("sh").args(["-c", &script]).status().expect("sh is on every system");
        assert!(status.success(), "{script}: {status}");
    }

    /// Kills it at once, as a power cut of the process alone.
    pub fn kill(&mut self) {
        if self.ended().is_none() {
            let _ = self.child.kill();
            self.ended = self.child.wait().ok();
        }
    }

    /// Asks it to end and waits for it.
    ///
    /// # Panics
    /// When it does not in time.
    pub fn terminate(&mut self, within: Duration) -> ExitStatus {
        self.signal("TERM");
        self.wait(within)
    }

    /// Waits until `ask` finds something, while the process runs.
    ///
    /// # Panics
    /// When it ends before, or the time is over; with what it said.
    pub fn until<T>(&mut self, within: Duration, what: &str, mut ask: impl FnMut(&Process) -> Option<T>) -> T {
        // Whether it runs comes first: another process may answer in place of one that could not even bind its port.
        let found = wait::try_until(within, || match self.ended() {
            Some(status) => Some(Err(status)),
            None => ask(self).map(Ok),
        });
        match found {
            Some(Ok(found)) => found,
            Some(Err(status)) => {
                panic!("{} ended ({status}) before {what}\n{}{}", self.name, self.stdout(), self.stderr())
            }
            None => panic!("waited in vain for {what} of {}\n{}{}", self.name, self.stdout(), self.stderr()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- {} said:\n{}{}", self.name, self.stdout(), self.stderr());
        }
    }
}

fn collect(mut from: impl Read + Send + 'static) -> (Output, JoinHandle<()>) {
    let output = Output::default();
    let into = output.clone();
    let reader = std::thread::spawn(move || {
        let mut buf = [0; 4096];
        while let Ok(n @ 1..) = from.read(&mut buf) {
            let mut kept = into.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            if kept.len() < OUTPUT_BYTES_MAX {
                kept.extend_from_slice(&buf[..n]);
            }
        }
    });
    (output, reader)
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.lock().unwrap_or_else(|poisoned| poisoned.into_inner())).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    fn shell(script: &str) -> Process {
        Process::start("sh", Command::new("sh").args(["-c", script]))
    }

    #[test]
    fn output_is_collected_and_signals_arrive() {
        let mut process = shell("trap 'echo bye >&2; exit 3' TERM; echo hello; while :; do read -t 1 x; done");
        process.until(wait::SOON, "a greeting", |p| p.stdout().contains("hello").then_some(()));
        assert_eq!(process.terminate(wait::SOON).code(), Some(3));
        wait::until_true(wait::SOON, "the last word", || process.stderr().contains("bye"));
    }

    #[test]
    fn a_kill_ends_it_by_its_id() {
        let mut process = shell("exec tail -f /dev/null");
        assert!(process.ended().is_none());
        process.kill();
        assert_eq!(process.ended().and_then(|status| status.signal()), Some(9));
    }

    #[test]
    #[should_panic(expected = "ended (exit status: 7) before anything")]
    fn an_early_end_is_told_from_a_slow_start() {
        shell("exit 7").until(wait::SOON, "anything", |_| None::<()>);
    }
}
