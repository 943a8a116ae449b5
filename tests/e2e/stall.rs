//! A card that takes five seconds for every sync: collections, rules and queries of the real agent are as punctual as
//! without.
//!
//! The stall is real too: strace holds the agent's disk thread for five seconds whenever it enters `fdatasync`, and
//! touches no other thread. Syncs are due every second, so one is always held. What is looked at is what somebody who
//! asks sees: how old the newest collection and the newest result of a rule are when the answer comes, and how long
//! the answer takes. Samples come every second, so anything over a second is lateness.
//!
//! Other work on the machine makes everything late, whatever the disk does. So of all looks nine in ten must be on
//! time, and none may be as late as half a stall.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value as Json;
use support::agent::Agent;
use support::process::Process;
use support::wait;

use crate::held::LONG;

const STALL: Duration = Duration::from_secs(5);
/// What is late at most.
const LATE_MAX: Duration = Duration::from_millis(50);
/// How long it is looked.
const LOOKED: Duration = Duration::from_secs(20);

const CONFIG: &str = "
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: ['{folder}/rules.yml']
storage: {size: 16MB, sync_interval: 1s}
clock: {trusted_after: 2020-01-01}
";
const RULES: &str = "groups: [{name: g, interval: 1s, rules: [{record: ruled, expr: 'sum(node_load1) + 1'}]}]";

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64()
}

/// Returns how much older than a second the newest sample of a series is, and how long the answer took.
fn look(agent: &Agent, series: &str) -> Option<(Duration, Duration)> {
    let begun = Instant::now();
    let answer: Json = serde_json::from_str(&agent.query(&format!("max(timestamp({series}))"))).expect("JSON");
    let took = begun.elapsed();
    let newest: f64 = answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()?;
    Some((Duration::from_secs_f64((now() - newest - 1.0).max(0.0)), took))
}

/// Returns the agent's disk thread.
fn disk_thread(agent: &mut Agent) -> String {
    let tasks = PathBuf::from(format!("/proc/{}/task", agent.process().id()));
    let tasks = std::fs::read_dir(tasks).expect("its threads").flatten();
    let is_disk = |task: &PathBuf| std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "disk");
    let found = tasks.map(|task| task.path()).find(is_disk).expect("a thread named disk");
    found.file_name().expect("a number").to_string_lossy().into_owned()
}

/// Returns the ninth of ten and the worst, in order.
fn ranked(mut all: Vec<Duration>) -> (Duration, Duration) {
    all.sort();
    (all[all.len() * 9 / 10], all[all.len() - 1])
}

#[test]
fn a_sync_of_five_seconds_makes_nothing_late() {
    let mut agent = Agent::new(CONFIG);
    agent.folder().write("rules.yml", RULES);
    agent.start();
    let thread = disk_thread(&mut agent);
    let mut command = Command::new("strace");
    let delay = format!("inject=fdatasync:delay_enter={}", STALL.as_micros());
    command.args(["--trace=fdatasync", "--relative-timestamps", "-e", &delay, "--attach", &thread]);
    let mut strace = Process::start("strace", &mut command);
    let said = wait::try_until(LONG, || {
        let said = strace.stderr();
        (said.contains("fdatasync(") || strace.ended().is_some()).then_some(said)
    });
    if strace.ended().is_some() && said.is_none_or(|said| !said.contains("fdatasync(")) {
        // Not through the test harness, which would keep it to itself.
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "\nLEFT OUT: a sync of five seconds: strace may not: {}", strace.stderr());
        return;
    }
    for series in ["up{job=\"node\"}", "ruled"] {
        wait::until(LONG, series, || look(&agent, series));
    }
    let (mut collections, mut rules, mut answers) = (Vec::new(), Vec::new(), Vec::new());
    wait::try_until(LOOKED, || {
        for (series, late) in [("up{job=\"node\"}", &mut collections), ("ruled", &mut rules)] {
            let (age, took) = look(&agent, series).expect("a sample");
            late.push(age.saturating_sub(took));
            answers.push(took);
        }
        None::<()>
    });
    let held = strace.stderr().matches("fdatasync(").count();
    assert!((2..=8).contains(&held), "{held} syncs in {LOOKED:?} were held:\n{}", strace.stderr());
    for (what, late) in [("collections", collections), ("rules", rules), ("queries", answers)] {
        let looks = late.len();
        let (nine_in_ten, worst) = ranked(late);
        println!("{what}: {looks} looks, nine in ten at most {nine_in_ten:?} late, the worst {worst:?}");
        assert!(looks > 100 && nine_in_ten < LATE_MAX, "{what}: {nine_in_ten:?} late in one of ten, {looks} looks");
        assert!(worst < STALL / 2, "{what}: {worst:?} late once");
    }
}
