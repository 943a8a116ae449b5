//! A medium in trouble: the agent starts, collects and serves from memory, says so, and goes on with the medium by
//! itself once that works, without a sample or an upstream's acknowledgement lost.
//!
//! What is in the way is real: a folder where the data file belongs, and, where this user may mount, a file system
//! that is too small and becomes large enough.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::agent::Agent;
use support::receiver::Receiver;
use support::wait;

use crate::held::{LONG, QUICK, assert_none, collections, count, held, missing, newest, value};
use crate::held::{received, until_nothing_is_missing};

const ALL: &str = "{__name__=~\".+\"}";

/// Attempts as often as it would sync.
fn config(more: &str) -> String {
    format!("{}{more}", QUICK.replace("sync_interval: 1h", "sync_interval: 1s"))
}

fn is_on_medium(agent: &Agent) -> bool {
    value(agent, "narthex_storage_on_medium") == Some(1.0)
}

/// Starts an agent in memory, clears the way, and follows it onto the medium and over a restart.
fn check(agent: &mut Agent, clear_the_way: impl FnOnce()) {
    agent.start();
    let until = collections(agent, 3);
    let before = held(agent.address(), ALL, until);
    assert!(count(&before) > 3 * 200 && !is_on_medium(agent), "{} samples", count(&before));
    let said = agent.process().stderr();
    assert_eq!(said.matches("everything is kept in memory").count(), 1, "{said}");

    clear_the_way();
    wait::until_true(LONG, "a medium that is used again", || is_on_medium(agent));
    let until = collections(agent, 2);
    let after = held(agent.address(), ALL, until);
    assert_none("lost on the way to the medium", &missing(&before, &after));
    let said = agent.process().stderr();
    assert_eq!(said.matches("the medium works again").count(), 1, "{said}");
    assert!(agent.terminate().success());

    agent.start();
    let again = held(agent.address(), ALL, until);
    assert_none("lost by the restart", &missing(&after, &again));
    assert_none("made up by the restart", &missing(&again, &after));
    println!("a medium in trouble: {} samples from memory, {} over the restart", count(&before), count(&after));
}

#[test]
fn what_was_collected_in_memory_is_carried_to_the_medium() {
    let receiver = Receiver::start();
    let upstream = format!(
        "remote_write: [{{url: '{}', queue_config: {{batch_send_deadline: 10ms, min_backoff: 30ms}}}}]\n",
        receiver.url("/write")
    );
    let mut agent = Agent::new(&config(&upstream));
    let in_the_way = agent.data_folder().join("narthex.ring");
    fs::create_dir_all(&in_the_way).expect("our own folder");
    check(&mut agent, || fs::remove_dir(&in_the_way).expect("our own folder"));

    let ours = held(agent.address(), ALL, newest(&agent).expect("it has collected"));
    until_nothing_is_missing("the receiver", &ours, || received(&receiver.samples()));
    // What was acknowledged in memory is not sent again: only a frame in doubt may be there twice.
    let sent = receiver.samples().iter().filter(|sample| !sample.is_stale()).count();
    let twice = sent - count(&received(&receiver.samples()));
    assert!(twice * 4 < sent, "{twice} of {sent} samples were sent twice");
    println!("of {sent} samples sent, {twice} came twice");
}

/// A mounted tmpfs, unmounted in the end.
struct Mounted(PathBuf);

impl Mounted {
    fn new(folder: &Path, size: &str) -> Option<Mounted> {
        fs::create_dir_all(folder).expect("our own folder");
        let options = format!("size={size}");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder);
        let mounted = command.output().is_ok_and(|output| output.status.success());
        mounted.then(|| Mounted(folder.to_owned()))
    }

    fn set(&self, option: &str) {
        let mut command = Command::new("mount");
        let status = command.args(["-o", &format!("remount,{option}")]).arg(&self.0).status();
        assert!(status.is_ok_and(|status| status.success()), "remount,{option}");
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// Mounts what a test needs, or says loudly what is left out.
fn mounted(agent: &Agent, size: &str) -> Option<Mounted> {
    let mounted = Mounted::new(&agent.data_folder(), size);
    if mounted.is_none() {
        eprintln!("\nLEFT OUT: what a full or read-only file system does: this user may not mount");
    }
    mounted
}

#[test]
fn a_medium_without_room_is_used_once_there_is_room() {
    let mut agent = Agent::new(&config(""));
    let Some(medium) = mounted(&agent, "1m") else { return };
    check(&mut agent, || medium.set("size=64m"));
    agent.kill();
}

#[test]
fn a_medium_that_is_read_only_is_used_once_it_is_not() {
    let mut agent = Agent::new(&config(""));
    let Some(medium) = mounted(&agent, "64m") else { return };
    medium.set("ro");
    check(&mut agent, || medium.set("rw"));
    agent.kill();
}
