//! `/federate` as the peer's own test has it: the cases of `federate_test.json`, over what its script loads.

use std::sync::{Arc, RwLock};

use model::{Batch, Clock, Labels, MetricKind, Mono, Now, SourceId, UnixMs, Value, stale_nan};
use narthex::web::Web;
use serde_json::Value as Json;
use support::shared::shared;
use tsdb::{Options, Store};

use crate::world::{self, Still, request, text};

/// Fills a store as `load 1m` with such lines does: `name{label="value"} 1+10x99 stale`.
fn loaded(script: &str) -> Store {
    let at = |ms: i64| Now { mono: Mono(ms as u64), wall: UnixMs(ms), wall_trusted: true };
    let mut store = Store::in_memory(Options::default(), at(0));
    let mut series: Vec<(Labels, Vec<f64>)> = Vec::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("load ")) {
        let (name, values) = line.split_once(char::is_whitespace).expect("a series and its values");
        let matchers = promql::parse_metric_selector(name).expect("a series");
        let labels = Labels::from_pairs(matchers.iter().map(|m| (m.name.as_str(), m.value.as_str())));
        series.push((labels, values.split_whitespace().flat_map(expanded).collect()));
    }
    for minute in 0..=101i64 {
        for ((labels, values), source) in series.iter().zip(1..) {
            let Some(value) = values.get(minute as usize) else { continue };
            let mut batch = Batch::new();
            batch.family(labels.name(), "", MetricKind::Unknown);
            batch.add_labels(labels, Value::Float(*value));
            store.append(at(minute * 60_000), &batch, SourceId(source), &Labels::empty());
        }
    }
    store
}

/// `1+10x99`: a hundred values.
fn expanded(text: &str) -> Vec<f64> {
    if text == "stale" {
        return vec![stale_nan()];
    }
    let (start, rest) = text.split_once('+').expect("a start and a step");
    let (step, count) = rest.split_once('x').expect("a step and a count");
    let [start, step, count] = [start, step, count].map(|text| text.parse::<f64>().expect("a number"));
    (0..=count as u32).map(|i| start + step * f64::from(i)).collect()
}

fn web(store: &Store, external: Labels) -> Web {
    let still = Still(101 * 60_000);
    Web {
        reader: Arc::new(RwLock::new(store.reader())),
        clock: Arc::new(Clocked(still.0)),
        external_labels: RwLock::new(external),
        ..world::web(still.0)
    }
}

/// A clock that agrees with the times that were loaded.
struct Clocked(i64);

impl Clock for Clocked {
    fn now(&self) -> Now {
        Now { mono: Mono(self.0 as u64), wall: UnixMs(self.0), wall_trusted: true }
    }
}

/// Sorts the lines of each family, as the peer's test does.
fn sorted(body: &str) -> String {
    let mut families: Vec<Vec<&str>> = Vec::new();
    for line in body.lines() {
        if line.starts_with('#') || families.is_empty() {
            families.push(Vec::new());
        }
        families.last_mut().expect("one was pushed").push(line);
    }
    families.iter_mut().for_each(|family| family[1..].sort_unstable());
    families.concat().iter().map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_peers_own_cases() {
    let Some(path) = shared("suites/rules/federate_test.json", "the peer's cases of /federate") else { return };
    let file: Json = serde_json::from_slice(&std::fs::read(path).expect("it can be read")).expect("JSON");
    let store = loaded(file["loads"][0].as_str().expect("a script"));
    let cases = file["tables"][0]["cases"].as_object().expect("cases");
    for (name, case) in cases {
        let external = case["externalLabels"].as_object().into_iter().flatten();
        let external: Vec<(&str, &str)> =
            external.map(|(name, v)| (name.as_str(), v.as_str().expect("text"))).collect();
        let web = web(&store, Labels::from_pairs(external));
        let params = case["params"].as_str().unwrap_or("");
        let answer = web.answer(&request("GET", &format!("/federate?{params}"), ""));
        assert_eq!(u64::from(answer.status), case["code"].as_u64().expect("a status"), "{name}: {}", text(&answer));
        assert_eq!(sorted(&text(&answer)), sorted(case["body"].as_str().unwrap_or("")), "{name}");
    }
    println!("federate: {} of {} cases", cases.len(), cases.len());
    assert!(cases.len() >= 11);
}

#[test]
fn an_expression_is_told_how_to_be_federated() {
    let answer = world::web(1_800_000_000_000).answer(&request("GET", "/federate?match[]=rate(up[5m])", ""));
    assert_eq!(answer.status, 400);
    let said = text(&answer);
    assert!(said.starts_with("1:5: parse error: unexpected \"(\""), "{said}");
    assert!(said.contains("make the expression a recording rule"), "{said}");
}

#[test]
fn what_is_badly_escaped_is_refused_as_the_peer_refuses_it() {
    for (query, said) in [
        ("match[]=%zz", "error parsing form values: invalid URL escape \"%zz\"\n"),
        ("match[]=up;b=1", "error parsing form values: invalid semicolon separator in query\n"),
    ] {
        let answer = world::web(1_800_000_000_000).answer(&request("GET", &format!("/federate?{query}"), ""));
        assert_eq!((answer.status, text(&answer).as_str()), (400, said));
    }
}
