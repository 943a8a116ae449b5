//! Whole answers against those of a real Prometheus 3.5.3 on the same data: value, warnings, infos and errors.
//!
//! The data and the answers lie beside the project and are not part of it; where they are missing the tests say so.
//! What is not compared here: how an answer is printed, and queries of real dashboards (`tests/promql` asks a running
//! Prometheus for those).

mod support;

use model::UnixMs;
use promql::{Engine, RangeArgs};
use serde_json::Value;
use support::body::{Body, is_ordered};
use support::memory::Memory;
use support::shared_text;

/// Asks for a range where there is one, else for an instant.
fn ask(memory: &Memory, query: &str, at: UnixMs, range: Option<RangeArgs>) -> Body {
    let expr = match promql::parse(query) {
        Ok(expr) => expr,
        Err(error) => return Body::of_parse_error(&error),
    };
    let engine = Engine::default();
    Body::of_engine(match range {
        Some(range) => engine.range(memory, &expr, range, &|| false),
        None => engine.instant(memory, &expr, at, &|| false),
    })
    .without_newer_notes()
}

/// Counts what is equal and prints what is not.
#[derive(Default)]
struct Count {
    equal: usize,
    different: usize,
}

impl Count {
    fn check(&mut self, query: &str, kind: &str, found: &Body, wanted: &Body, tolerance: f64) {
        match found.differs(wanted, tolerance, is_ordered(query)) {
            None => self.equal += 1,
            Some(text) => {
                self.different += 1;
                println!("{kind} {query}\n    {text:.600}");
            }
        }
    }
}

#[test]
fn the_compliance_queries_are_answered_as_prometheus_does() {
    let folder = "suites/compliance/promql_golden";
    let Some(data) = shared_text(&format!("{folder}/demo.om.gz")) else { return };
    let Some(golden) = shared_text(&format!("{folder}/expected-3.5.3.shared.jsonl.gz")) else { return };
    let memory = Memory::read(&data);
    let (mut queries, mut count) = (0, Count::default());
    for line in golden.lines() {
        let case: Value = serde_json::from_str(line).expect("a golden line");
        let query = case["query"].as_str().expect("a query");
        queries += 1;
        for kind in ["instant", "range"] {
            let wanted = &case[kind];
            let ms = |key: &str| wanted[key].as_f64().map_or(0, |seconds| (seconds * 1000.0) as i64);
            let range = RangeArgs { start: UnixMs(ms("start")), end: UnixMs(ms("end")), step_ms: ms("step") };
            let found = ask(&memory, query, UnixMs(ms("time")), (kind == "range").then_some(range));
            let status = wanted["http"].as_u64().expect("a status") as u16;
            let wanted = Body::of_parts(status, &wanted["resultType"], &wanted["result"], wanted);
            count.check(query, kind, &found, &wanted, 1e-5);
        }
    }
    println!("compliance: {queries} queries, {} answers equal, {} different", count.equal, count.different);
    assert!(queries >= 350 && count.different == 0 && count.equal == 2 * queries);
}

#[test]
fn the_dashboards_queries_are_answered_as_prometheus_does() {
    let folder = "exporters/promql-golden";
    let Some(data) = shared_text(&format!("{folder}/history.om.gz")) else { return };
    let Some(golden) = shared_text(&format!("{folder}/results.json.gz")) else { return };
    let memory = Memory::read(&data);
    let cases: Vec<Value> = serde_json::from_str(&golden).expect("a golden file");
    let (start, end) = (UnixMs(1_790_001_800_000), UnixMs(1_790_003_600_000));
    let mut count = Count::default();
    for case in &cases {
        let query = case["expr"].as_str().expect("a query");
        for kind in ["instant", "range"] {
            let range = (kind == "range").then_some(RangeArgs { start, end, step_ms: 300_000 });
            let found = ask(&memory, query, UnixMs(1_790_003_590_000), range);
            count.check(query, kind, &found, &Body::of_http(200, &case[kind]), 1e-9);
        }
    }
    println!("dashboards: {} queries, {} answers equal, {} different", cases.len(), count.equal, count.different);
    assert!(cases.len() >= 193 && count.different == 0 && count.equal == 2 * cases.len());
}
