//! Pushes, as clients of pushgateway send them: transcripts of the real one are replayed, step by step, and what was
//! pushed is found in the ring, survives a restart, and is refused from elsewhere.
//!
//! Where we answer otherwise on purpose the step is listed, with the reason; a step that is listed and equal is a
//! failure too, so that the list stays true.

use base64::Engine;
use serde_json::Value as Json;
use support::agent::Agent;
use support::http::{self, Answer};
use support::shared::shared;
use support::wait::until_true;

use crate::held::{LONG, QUICK};

/// Transcript, step (counted from 0) and why our answer is another.
const OTHERWISE: &[(&str, usize, &str)] = &[
    ("admin_disabled", 3, "health says who is healthy"),
    ("admin_disabled", 4, "readiness says who is ready"),
    ("empty_instance_base64_clash", 2, "a refused push blocks nobody"),
    ("empty_instance_clash", 3, "a refused push blocks nobody"),
    ("empty_instance_clash", 4, "a refused push blocks nobody"),
    ("empty_instance_clash", 5, "a refused push blocks nobody"),
    ("empty_instance_clash", 7, "a refused push blocks nobody"),
];

#[test]
fn transcripts_of_the_real_pushgateway_are_answered_alike() {
    let Some(folder) = shared("exporters/pushgateway/transcripts", "the transcripts of pushgateway") else { return };
    let mut files: Vec<_> = std::fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path()).collect();
    files.sort();
    let (mut steps, mut wrong) = (0, Vec::new());
    for file in &files {
        let text = std::fs::read(file).expect("readable");
        let transcript: Json = serde_json::from_slice(&text).expect("JSON");
        let name = transcript["name"].as_str().expect("a name");
        let mut agent = Agent::new(QUICK);
        for flag in transcript["flags"].as_array().expect("flags") {
            if flag != "--web.enable-lifecycle" {
                agent = agent.arg(flag.as_str().expect("a flag"));
            }
        }
        let agent = agent.started();
        for (at, step) in transcript["steps"].as_array().expect("steps").iter().enumerate() {
            steps += 1;
            let difference = difference(step, &asked(&agent, step));
            let listed = OTHERWISE.iter().find(|(other, step, _)| *other == name && *step == at);
            match (difference, listed) {
                (Some(difference), None) => wrong.push(format!("{name} step {at}: {difference}")),
                (None, Some((_, _, why))) => wrong.push(format!("{name} step {at} is as the peer's, listed: {why}")),
                _ => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {steps} steps:\n{}", wrong.len(), wrong.join("\n"));
    println!("{steps} steps of {} transcripts, {} listed as different", files.len(), OTHERWISE.len());
}

fn asked(agent: &Agent, step: &Json) -> Answer {
    let text = step["body"].as_str().unwrap_or_default();
    let body = match text.strip_prefix("base64:") {
        Some(packed) => base64::engine::general_purpose::STANDARD.decode(packed).expect("base64"),
        None => text.as_bytes().to_vec(),
    };
    let headers: Vec<(String, String)> = step["headers"]
        .as_object()
        .map(|headers| headers.iter().map(|(n, v)| (n.clone(), v.as_str().unwrap_or_default().to_owned())).collect())
        .unwrap_or_default();
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let (method, path) = (step["method"].as_str().expect("a method"), step["path"].as_str().expect("a path"));
    http::request(agent.address(), method, path, &headers, &body).expect("an answer")
}

fn difference(step: &Json, answer: &Answer) -> Option<String> {
    let (status, response) = (step["status"].as_u64()?, step["response"].as_str()?);
    if u64::from(answer.status) != status {
        let (method, path) = (&step["method"], &step["path"]);
        return Some(format!("{method} {path}: {} and not {status}: {}", answer.status, answer.text()));
    }
    // The reasons of an inconsistency are the peer's internals, printed differently each time.
    let (found, expected) = match (step["path"].as_str()?, status) {
        ("/metrics", 200) => (pushed(&answer.text()), pushed(response)),
        _ if response.starts_with("pushed metrics are invalid") => (head(&answer.text()), head(response)),
        _ => (answer.text(), response.to_owned()),
    };
    (found != expected).then(|| format!("{found:?} and not {expected:?}"))
}

fn head(text: &str) -> String {
    text.split(':').next().unwrap_or_default().to_owned()
}

/// Returns what of `/metrics` was pushed, with times as `<TS>`.
fn pushed(text: &str) -> String {
    let is_pushed = |line: &&str| {
        let name = line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ");
        // What both tell of themselves is not in the recordings.
        !["node_", "narthex_", "process_"].iter().any(|own| name.starts_with(own))
    };
    let timeless = |line: &str| match line.split_once("} ") {
        Some((series, value)) if line.starts_with("push_") && value != "0" => format!("{series}}} <TS>"),
        _ => line.to_owned(),
    };
    text.lines().filter(is_pushed).map(timeless).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_was_pushed_is_stored_survives_a_restart_and_ends() {
    let mut agent = Agent::new(QUICK).started();
    let series = "{job=\"backup\",instance=\"nas\",disk=\"a\"}";
    let values =
        |agent: &Agent| agent.query(&format!("count_over_time(backup_bytes{series}[1m]) + backup_bytes{series}"));
    let path = "/metrics/job/backup/instance/nas";
    let body = b"# TYPE backup_bytes gauge\nbackup_bytes{disk=\"a\"} 12000\n";
    assert_eq!(http::request(agent.address(), "PUT", path, &[], body).expect("an answer").status, 200);
    until_true(LONG, "the push in the ring, three times", || values(&agent).contains("\"12003\""));
    assert!(agent.terminate().success());
    agent.start();
    let metrics = agent.get("/metrics").text();
    assert!(metrics.contains("backup_bytes{disk=\"a\",instance=\"nas\",job=\"backup\"} 12000\n"), "{metrics}");
    assert!(metrics.contains("\nnarthex_push_groups 1\n"), "{metrics}");
    assert_eq!(http::request(agent.address(), "DELETE", path, &[], b"").expect("an answer").status, 202);
    let last = format!("backup_bytes{series}");
    until_true(LONG, "the end of the series", || agent.query(&last).contains("\"result\":[]"));
    assert!(!agent.get("/metrics").text().contains("backup_bytes"));
}

#[test]
fn pushes_are_refused_from_a_browser() {
    let agent = Agent::new(QUICK).started();
    for headers in [vec![("Origin", "http://evil.example")], vec![("X-Forwarded-For", "192.0.2.1")]] {
        for (method, path) in [("PUT", "/metrics/job/a"), ("DELETE", "/metrics/job/a"), ("POST", "/metrics/job/a")] {
            let answer = http::request(agent.address(), method, path, &headers, b"m 1\n").expect("an answer");
            assert_eq!(answer.status, 403, "{method} {path} {headers:?}");
        }
    }
}
