//! What somebody holds: every sample of every series, as an API, a receiver or a topic tells it.
//!
//! ```text
//! node_cpu_seconds_total{cpu="0",mode="idle"}  ->  1795249204020: 12.5, 1795249205020: 13.4
//! ```
//! `missing` compares two of them to the bit. The configuration that most tests start from is here too: everything
//! quick, no rules, and a sync so rare that what survives a kill survives through the tail alone.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value as Json;
use support::agent::Agent;
use support::remote_write::Sample;
use support::{http, wait};

/// The most complaints a failure prints.
const SHOWN_MAX: usize = 10;

/// Every second everything, no rules, nothing synced before the end.
pub const QUICK: &str = "
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: []
storage: {size: 16MB, sync_interval: 1h}
clock: {trusted_after: 2020-01-01}
";

/// How long anything may take that happens every second.
pub const LONG: Duration = Duration::from_secs(60);

/// Samples by series and time in milliseconds.
pub type Samples = BTreeMap<String, BTreeMap<i64, f64>>;

/// Asks an API for every sample that a selector finds up to a time, ten minutes back.
///
/// # Panics
/// When the answer is no matrix.
pub fn held(address: SocketAddr, selector: &str, until_ms: i64) -> Samples {
    held_without(&[], address, selector, until_ms)
}

/// As [`held`], with some labels taken off the series.
///
/// # Panics
/// As [`held`], and when two series are one then.
pub fn held_without(labels: &[&str], address: SocketAddr, selector: &str, until_ms: i64) -> Samples {
    let expression = http::escape(&format!("{selector}[10m]"));
    let path = format!("/api/v1/query?query={expression}&time={}", seconds(until_ms));
    let answer = http::get(address, &path).unwrap_or_else(|e| panic!("GET {path}: {e}"));
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    let answer: Json = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(answer["data"]["resultType"], "matrix");
    let mut samples = Samples::new();
    for series in answer["data"]["result"].as_array().expect("a list of series") {
        let held = samples.entry(name(&series["metric"], labels)).or_default();
        assert!(held.is_empty(), "two series are one: {}", series["metric"]);
        for point in series["values"].as_array().expect("a list of points") {
            held.insert(milliseconds(&point[0]), number(&point[1]));
        }
    }
    samples
}

/// Returns the samples that a remote-write receiver was sent; staleness markers are none.
pub fn received(sent: &[Sample]) -> Samples {
    let mut samples = Samples::new();
    for sample in sent.iter().filter(|sample| !sample.is_stale()) {
        samples.entry(sample.series()).or_default().insert(sample.at_ms, sample.value);
    }
    samples
}

/// Returns a line for each sample of one side that the other lacks, or holds with another value.
pub fn missing(ours: &Samples, theirs: &Samples) -> Vec<String> {
    let mut complaints = Vec::new();
    for (series, points) in ours {
        for (at, value) in points {
            match theirs.get(series).and_then(|points| points.get(at)) {
                Some(found) if same(*value, *found) => {}
                found => complaints.push(format!("{series} at {at}: {value}, there {found:?}")),
            }
        }
    }
    complaints
}

/// Waits until nothing of `ours` is missing on the other side.
///
/// # Panics
/// When the time is over, with what is missing.
pub fn until_nothing_is_missing(what: &str, ours: &Samples, mut theirs: impl FnMut() -> Samples) -> Samples {
    let mut last = Vec::new();
    let found = wait::try_until(LONG, || {
        let theirs = theirs();
        last = missing(ours, &theirs);
        last.is_empty().then_some(theirs)
    });
    found.unwrap_or_else(|| panic!("{what}: {} of {} samples are missing\n{}", last.len(), count(ours), shown(&last)))
}

/// Asserts that there are no complaints.
///
/// # Panics
/// With the first of them.
pub fn assert_none(what: &str, complaints: &[String]) {
    assert!(complaints.is_empty(), "{what}: {} complaints\n{}", complaints.len(), shown(complaints));
}

fn shown(complaints: &[String]) -> String {
    complaints[..complaints.len().min(SHOWN_MAX)].join("\n")
}

/// Returns how many samples there are.
pub fn count(samples: &Samples) -> usize {
    samples.values().map(BTreeMap::len).sum()
}

/// Returns the value of an instant query with one result, if it has one.
pub fn value(agent: &Agent, expression: &str) -> Option<f64> {
    let answer: Json = serde_json::from_str(&agent.query(expression)).expect("JSON");
    let result = answer["data"]["result"].as_array().expect("a list");
    assert!(result.len() < 2, "{expression}: {answer}");
    result.first().map(|item| number(&item["value"][1]))
}

/// Waits for so many collections from now on and returns the time of the last.
pub fn collections(agent: &mut Agent, times: usize) -> i64 {
    let mut last = newest(agent);
    for _ in 0..times {
        let before = last;
        last = wait::until(LONG, "another collection", || Some(newest(agent)).filter(|at| *at > before));
    }
    last.expect("there was one")
}

/// Returns the time of the newest collection: its last row is there, so all of it is.
pub fn newest(agent: &Agent) -> Option<i64> {
    value(agent, "timestamp(scrape_series_added)").map(|seconds| (seconds * 1_000.0).round() as i64)
}

/// Returns a series as Prometheus writes it, without some of its labels.
pub fn name(metric: &Json, without: &[&str]) -> String {
    let labels = metric.as_object().expect("an object of labels");
    // serde_json keeps the members in ascending order.
    let rest = labels.iter().filter(|(name, _)| *name != "__name__" && !without.contains(&name.as_str()));
    let rest: Vec<String> = rest.map(|(name, value)| format!("{name}={:?}", value.as_str().unwrap_or(""))).collect();
    let braces = if rest.is_empty() { String::new() } else { format!("{{{}}}", rest.join(",")) };
    format!("{}{braces}", metric["__name__"].as_str().unwrap_or(""))
}

/// Returns a time of the API in milliseconds.
pub fn milliseconds(seconds: &Json) -> i64 {
    (seconds.as_f64().expect("a time") * 1_000.0).round() as i64
}

/// Returns a value of the API.
pub fn number(text: &Json) -> f64 {
    text.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no number: {text}"))
}

/// Returns a time as the API takes it.
pub fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

/// Returns whether two values are the same to the bit, any NaN being one.
pub fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

#[test]
fn what_differs_is_missing() {
    let of = |points: &[(i64, f64)]| Samples::from([("a".to_owned(), points.iter().copied().collect())]);
    let ours = of(&[(1, 1.5), (2, f64::NAN), (3, 0.0)]);
    assert_eq!(missing(&ours, &of(&[(1, 1.5), (2, -f64::NAN), (3, 0.0), (4, 1.0)])), Vec::<String>::new());
    assert_eq!(missing(&ours, &of(&[(1, 1.500_000_1), (3, -0.0)])).len(), 3);
    assert_eq!(count(&ours), 3);
}
