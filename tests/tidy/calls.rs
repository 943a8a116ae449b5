//! Calls that have their one place: clocks, the network, files, threads, and what a test must not do.
//!
//! The list says for each call where it may stand; anywhere else it is a complaint. What only tests compile may read
//! files and start threads, but neither sleep nor be ignored. The reasons stand in ARCHITECTURE.md: the middle is
//! handed the time and the bytes, so that a week of outages runs in a test in a second.

use crate::assert_tidy;
use crate::code::{code_of, is_test, lines_naming, shipped};
use crate::tree::{File, Tree};

/// Calls and names, whose they are, and the tests for a file where they are out of place.
struct Rule {
    names: &'static [&'static str],
    /// Where the rule holds, by the beginning of the path.
    within: &'static [&'static str],
    /// And where in there it does not.
    but: &'static [&'static str],
    reason: &'static str,
}

const PROGRAM: &[&str] = &["agent/", "exporters/"];
const MIDDLE: &[&str] = &["agent/crates/"];

/// What code that ships may not name.
const SHIPPED: &[Rule] = &[
    Rule {
        names: &["tokio"],
        within: PROGRAM,
        but: &["agent/src/io"],
        reason: "only agent/src/io waits on the network",
    },
    Rule {
        names: &["SystemTime::now", "Instant::now", "Timestamp::now", "Zoned::now", "clock_gettime", "ClockId"],
        within: PROGRAM,
        // There `node_time_seconds` is measured, behind a seam of its own; nothing waits or decides by it.
        but: &["agent/src/os", "exporters/src/system.rs"],
        reason: "only agent/src/os reads a clock; elsewhere the time is handed in",
    },
    Rule {
        names: &["OpenOptions", "sync_data", "sync_all", "fdatasync", "fsync"],
        within: &["agent/"],
        but: &["agent/src/os"],
        reason: "only agent/src/os opens and syncs the data file",
    },
    Rule {
        names: &["thread", "ToSocketAddrs", "TcpStream", "TcpListener", "UdpSocket", "UnixStream", "UnixDatagram"],
        within: MIDDLE,
        but: &[],
        reason: "libraries have no threads and no sockets",
    },
    Rule {
        names: &["fs", "File::open", "File::create", "process::", "env::", "println!", "eprintln!", "print!"],
        within: MIDDLE,
        but: &[],
        reason: "libraries open nothing, ask nothing and print nothing",
    },
    Rule { names: &["async", "await"], within: MIDDLE, but: &[], reason: "libraries are plain state machines" },
    Rule {
        names: &["static mut", "thread_local!", "lazy_static!"],
        within: PROGRAM,
        but: &[],
        reason: "no global state",
    },
    Rule {
        names: &["unsafe"],
        within: &[""],
        but: &["agent/crates/kernel/"],
        reason: "one crate holds every unsafe block there is",
    },
    Rule {
        names: &["serde", "Serialize", "Deserialize"],
        within: &["agent/crates/model/"],
        but: &[],
        reason: "what crosses a wire or a disk has a type in the crate that owns the format",
    },
];

/// What nobody may name, tests included.
const ANYWHERE: &[Rule] = &[
    Rule {
        names: &["todo!", "unimplemented!", "dbg!", "#[ignore"],
        within: &[""],
        but: &[],
        reason: "finish it, or assert what it does today with a FIXME",
    },
    // A test that starts a real program must wait for it somewhere: there, until a deadline.
    Rule {
        names: &["thread::sleep", "sleep_ms"],
        within: &["tests/", "agent/crates/", "exporters/"],
        but: &["tests/support/"],
        reason: "wait for what is to happen, by the fakes' time or with tests/support",
    },
];

/// Checks every file of Rust against both lists.
fn check_calls(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in tree.rust() {
        let (all, ships) = (code_of(&file.text), shipped(&file.text));
        for rule in ANYWHERE {
            complain(rule, file, &all, &mut complaints);
        }
        if !is_test(tree, file) {
            for rule in SHIPPED {
                complain(rule, file, &ships, &mut complaints);
            }
        }
    }
    complaints
}

fn complain(rule: &Rule, file: &File, code: &str, complaints: &mut Vec<String>) {
    let begins = |places: &[&str]| places.iter().any(|place| file.path.starts_with(place));
    if !begins(rule.within) || begins(rule.but) {
        return;
    }
    for name in rule.names {
        complaints
            .extend(lines_naming(code, name).map(|line| format!("{}:{line}: `{name}`: {}", file.path, rule.reason)));
    }
}

#[test]
fn calls_stand_where_they_belong() {
    assert_tidy(&check_calls(&Tree::project()));
}

#[test]
fn a_call_out_of_place_is_caught() {
    let caught = |path: &str, text: &str| check_calls(&Tree::of(&[(path, text)])).len();
    assert_eq!(caught("agent/src/core/step.rs", "let a = Instant::now();"), 1);
    assert_eq!(caught("agent/src/os/clock.rs", "let a = Instant::now();"), 0);
    assert_eq!(caught("exporters/src/time.rs", "use std::time::SystemTime; let a = SystemTime::now();"), 1);
    assert_eq!(caught("agent/src/web/api.rs", "use tokio::sync::Notify;"), 1);
    assert_eq!(caught("agent/src/io/http.rs", "use tokio::sync::Notify;"), 0);
    assert_eq!(caught("agent/src/core.rs", "let a = std::fs::OpenOptions::new(); a.sync_data();"), 2);
    assert_eq!(caught("agent/crates/tsdb/src/ring.rs", "use std::{fs, thread};\nstd::thread::spawn(f);"), 3);
    assert_eq!(caught("agent/crates/tsdb/src/ring.rs", "// std::fs\nlet a = \"std::fs\";"), 0);
    assert_eq!(caught("agent/crates/tsdb/src/ring.rs", "std::fs::read(p);"), 1);
    assert_eq!(caught("agent/crates/tsdb/src/ring.rs", "#[cfg(test)]\nmod tests { fn a() { std::fs::read(p); } }"), 0);
    assert_eq!(caught("agent/crates/promql/tests/x.rs", "std::fs::read(p);"), 0);
    assert_eq!(caught("agent/crates/model/src/row.rs", "#[derive(Debug, Serialize)]"), 1);
    assert_eq!(caught("agent/crates/rules/src/group.rs", "static mut GROUPS: u8 = 0;"), 1);
    assert_eq!(caught("agent/src/main.rs", "unsafe { f() }"), 1);
}

#[test]
fn an_unfinished_or_sleeping_test_is_caught() {
    let caught = |path: &str, text: &str| check_calls(&Tree::of(&[(path, text)])).len();
    assert_eq!(caught("tests/e2e/main.rs", "#[test]\n#[ignore]\nfn a() { todo!() }"), 2);
    assert_eq!(caught("tests/e2e/main.rs", "std::thread::sleep(SECOND);"), 1);
    assert_eq!(caught("tests/support/wait.rs", "std::thread::sleep(SECOND);"), 0);
    assert_eq!(caught("agent/crates/tsdb/src/ring.rs", "#[cfg(test)]\nmod tests { fn a() { dbg!(1); } }"), 1);
    assert_eq!(caught("tests/sim/main.rs", "fn a() { /* todo!() */ f(\"dbg!\") }"), 0);
}
