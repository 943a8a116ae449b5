//! The same goldens and the same real queries as over HTTP from the agent itself, on data that `narthex tsdb import` took.
//!
//! So the store, the engine, the limits a board has and the printing are all in the picture. The agent runs meanwhile:
//! what it collects is of today, and the queries are of other days.

use std::process::Command;

use serde_json::Value;
use support::agent::{Agent, program};
use support::http::escape;
use support::peers::Peer;

use crate::given::body::{Body, is_ordered};
use crate::given::shared_text;
use crate::{AT, RANGES, TOLERANCE, real_queries};

/// Nothing is collected but what the agent says of itself, and no rules run.
const CONFIG: &str = "collect: {defaults: false}\nrule_files: []\nstorage: {size: 64MB}\n";

/// Imports a text and starts an agent on it.
fn agent_with(text: &str) -> Agent {
    let mut agent = Agent::new(CONFIG);
    let file = agent.folder().write("data.om", text);
    let mut command = Command::new(program());
    command.args(["tsdb", "import", "--storage.size=64MB"]).arg(file);
    let output = command.arg(format!("--storage.path={}", agent.data_folder().display())).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    agent.start();
    agent
}

fn answer(agent: &Agent, path: &str) -> Body {
    let answer = agent.get(path);
    let body = serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{path}: {error}"));
    Body::of_http(answer.status, &body).without_newer_notes()
}

/// Counts what is equal and prints what is not.
#[derive(Default)]
struct Count {
    equal: usize,
    different: usize,
}

impl Count {
    fn check(&mut self, query: &str, path: &str, found: &Body, wanted: &Body, tolerance: f64) {
        match found.differs(wanted, tolerance, is_ordered(query)) {
            None => self.equal += 1,
            Some(text) => {
                self.different += 1;
                println!("{path} {query}\n    {text:.600}");
            }
        }
    }
}

#[test]
fn the_compliance_queries_are_answered_over_http() {
    let folder = "suites/compliance/promql_golden";
    let Some(data) = shared_text(&format!("{folder}/demo.om.gz")) else { return };
    let Some(golden) = shared_text(&format!("{folder}/expected-3.5.3.shared.jsonl.gz")) else { return };
    let agent = agent_with(&data);
    let (mut queries, mut count) = (0, Count::default());
    for line in golden.lines() {
        let case: Value = serde_json::from_str(line).expect("a golden line");
        let query = case["query"].as_str().expect("a query");
        let escaped = escape(query);
        queries += 1;
        for kind in ["instant", "range"] {
            let wanted = &case[kind];
            let number = |key: &str| wanted[key].as_f64().unwrap_or(0.0);
            let path = match kind {
                "instant" => format!("/api/v1/query?time={}&query={escaped}", number("time")),
                _ => {
                    let (start, end, step) = (number("start"), number("end"), number("step"));
                    format!("/api/v1/query_range?start={start}&end={end}&step={step}&query={escaped}")
                }
            };
            let status = wanted["http"].as_u64().expect("a status") as u16;
            let wanted = Body::of_parts(status, &wanted["resultType"], &wanted["result"], wanted);
            count.check(query, kind, &answer(&agent, &path), &wanted, 1e-5);
        }
    }
    println!("compliance over HTTP: {queries} queries, {} answers equal, {} different", count.equal, count.different);
    assert!(queries >= 350 && count.different == 0 && count.equal == 2 * queries);
}

#[test]
fn the_dashboards_and_the_real_queries_are_answered_over_http() {
    let folder = "exporters/promql-golden";
    let Some(data) = shared_text(&format!("{folder}/history.om.gz")) else { return };
    let Some(golden) = shared_text(&format!("{folder}/results.json.gz")) else { return };
    let agent = agent_with(&data);
    let cases: Vec<Value> = serde_json::from_str(&golden).expect("a golden file");
    let mut count = Count::default();
    for case in &cases {
        let query = case["expr"].as_str().expect("a query");
        let escaped = escape(query);
        for (kind, path) in [
            ("instant", format!("/api/v1/query?time={AT}&query={escaped}")),
            ("range", format!("/api/v1/query_range?start=1790001800&end=1790003600&step=300&query={escaped}")),
        ] {
            count.check(query, kind, &answer(&agent, &path), &Body::of_http(200, &case[kind]), TOLERANCE);
        }
    }
    println!(
        "dashboards over HTTP: {} queries, {} answers equal, {} different",
        cases.len(),
        count.equal,
        count.different
    );
    assert!(cases.len() >= 193 && count.different == 0 && count.equal == 2 * cases.len());

    let Some(queries) = real_queries() else { return };
    let Some(peer) = Peer::prometheus_with_history(&data, &[]) else { return };
    let mut count = Count::default();
    for query in &queries {
        let escaped = escape(query);
        let ranges = RANGES.map(|(start, end, step)| {
            format!("/api/v1/query_range?start={start}&end={end}&step={step}&query={escaped}")
        });
        for path in [format!("/api/v1/query?time={AT}&query={escaped}")].into_iter().chain(ranges) {
            let wanted = crate::peers_answer(&peer, &path).body;
            count.check(query, &path, &answer(&agent, &path), &wanted, TOLERANCE);
        }
    }
    let asked = queries.len();
    println!(
        "real queries over HTTP: {asked} expressions, {} answers equal, {} different",
        count.equal, count.different
    );
    assert!(asked >= 1_964 && count.different == 0 && count.equal == 3 * asked);
}
