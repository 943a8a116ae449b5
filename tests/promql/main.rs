//! The query engine beside a running Prometheus: the same data, the same queries, both answers compared.
//!
//! The queries are those of real dashboards and rules, which lie beside the project, as the peer does; where one is
//! missing the tests say so. Values may differ by a relative error of 1e-9; status, errors, warnings, infos and how many
//! samples were looked at, step by step, must be equal. Here answers of the engine are compared as values; `over_http`
//! asks the agent itself.

#[path = "../../agent/crates/promql/tests/support/mod.rs"]
mod given;

mod over_http;

use given::body::{Body, is_ordered};
use given::expressions::Maker;
use given::memory::Memory;
use given::random::Random;
use given::shared_text;
use model::UnixMs;
use promql::{Engine, Features, RangeArgs};
use serde_json::Value;
use support::http::escape;
use support::peers::Peer;

/// How far apart two floats may be, relative to the larger.
const TOLERANCE: f64 = 1e-9;

/// The same for random expressions: the peer adds up what was computed in an order that is a matter of chance.
const RANDOM_TOLERANCE: f64 = 1e-6;

/// How many random expressions are asked.
const ROUNDS: usize = 600;

/// When instant queries ask, in seconds: within the data and with all of its hour behind.
const AT: i64 = 1_790_003_590;

/// What range queries ask for, in seconds: few wide steps, and narrow ones over everything and a bit more.
const RANGES: [(i64, i64, i64); 2] = [(1_790_001_800, 1_790_003_600, 300), (1_789_999_900, 1_790_003_900, 40)];

/// An answer, and how many samples were looked at, at each step.
struct Counted {
    body: Body,
    samples: Vec<u64>,
}

impl Counted {
    /// Returns how the two differ.
    fn differs(&self, wanted: &Counted, tolerance: f64, ordered: bool) -> Option<String> {
        let differ = self.body.differs(&wanted.body, tolerance, ordered);
        let counts = (self.samples != wanted.samples)
            .then(|| format!("samples: found {:?}, wanted {:?}", self.samples, wanted.samples));
        differ.or(counts)
    }

    /// Returns it without what a matter of chance chose to name.
    fn without_examples(self) -> Counted {
        Counted { body: self.body.without_examples(), ..self }
    }
}

impl std::ops::Deref for Counted {
    type Target = Body;

    fn deref(&self) -> &Body {
        &self.body
    }
}

fn peers_answer(peer: &Peer, path: &str) -> Counted {
    let answer = peer.get(&format!("{path}&stats=all"));
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{path}: {error}"));
    let steps = body["data"]["stats"]["samples"]["totalQueryableSamplesPerStep"].as_array();
    let samples = steps.into_iter().flatten().map(|pair| pair[1].as_u64().expect("a count")).collect();
    Counted { body: Body::of_http(answer.status, &body), samples }
}

fn our_answer(memory: &Memory, query: &str, range: Option<(i64, i64, i64)>) -> Counted {
    answer_of(&Engine::default(), memory, query, AT, range)
}

fn answer_of(engine: &Engine, memory: &Memory, query: &str, at: i64, range: Option<(i64, i64, i64)>) -> Counted {
    let engine = Engine { counts_samples: true, ..engine.clone() };
    let expr = match promql::parse_with(query, Features::ALL) {
        Ok(expr) => expr,
        Err(error) => return Counted { body: Body::of_parse_error(&error), samples: Vec::new() },
    };
    let answer = match range {
        None => engine.instant(memory, &expr, UnixMs(at * 1000), &|| false),
        Some((start, end, step)) => {
            let range = RangeArgs { start: UnixMs(start * 1000), end: UnixMs(end * 1000), step_ms: step * 1000 };
            engine.range(memory, &expr, range, &|| false)
        }
    };
    let samples = answer.as_ref().ok().and_then(|answer| answer.samples.as_ref());
    let samples = samples.map_or(Vec::new(), |samples| samples.per_step.clone());
    Counted { samples, body: Body::of_engine(answer).without_newer_notes() }
}

/// Returns every line of every file of expressions, in the order of the files' names; `None` where they are missing.
fn real_queries() -> Option<Vec<String>> {
    let Ok(folder) = std::fs::read_dir(given::shared().join("real-queries")) else {
        return shared_text("real-queries").map(|_| Vec::new());
    };
    let mut files: Vec<_> = folder.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    files.retain(|name| name.ends_with(".rendered.txt") || name.ends_with(".exprs.txt"));
    files.sort();
    let texts = files.iter().filter_map(|name| shared_text(&format!("real-queries/{name}")));
    Some(texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect())
}

#[test]
fn queries_of_real_dashboards_and_rules_are_answered_as_by_prometheus() {
    let Some(history) = shared_text("exporters/promql-golden/history.om.gz") else { return };
    let Some(queries) = real_queries() else { return };
    let Some(peer) = Peer::prometheus_with_history(&history, &["--enable-feature=promql-per-step-stats"]) else {
        return;
    };
    let memory = Memory::read(&history);
    let (mut equal, mut different, mut with_series) = (0, 0, 0);
    for query in &queries {
        let escaped = escape(query);
        let instant = (format!("/api/v1/query?time={AT}&query={escaped}"), None);
        let ranges = RANGES.map(|(start, end, step)| {
            (
                format!("/api/v1/query_range?start={start}&end={end}&step={step}&query={escaped}"),
                Some((start, end, step)),
            )
        });
        for (path, range) in [instant].into_iter().chain(ranges) {
            let wanted = peers_answer(&peer, &path);
            let found = our_answer(&memory, query, range);
            with_series += usize::from(!wanted.rows.is_empty());
            match found.differs(&wanted, TOLERANCE, is_ordered(query)) {
                None => equal += 1,
                Some(text) => {
                    different += 1;
                    println!("{query}\n    {range:?}: {text:.700}");
                }
            }
        }
    }
    let count = queries.len();
    println!(
        "real queries: {count} expressions, {equal} answers equal ({with_series} with series), {different} different"
    );
    assert!(count >= 1_964, "{count} expressions: some are missing");
    assert!(with_series > 1_000, "{with_series} answers with series compare next to nothing");
    assert_eq!(different, 0);
}

#[test]
fn real_queries_parse_and_print_as_by_prometheus() {
    let Some(queries) = real_queries() else { return };
    let Some(peer) = Peer::prometheus("global: {scrape_interval: 1h}\n", &[]) else { return };
    let mut different = 0;
    for query in &queries {
        let ask = |what: &str| -> Value {
            let answer = peer.get(&format!("/api/v1/{what}?query={}", escape(query)));
            serde_json::from_slice(&answer.body).expect("a JSON body")
        };
        let (tree, text) = (ask("parse_query"), ask("format_query"));
        let expr = promql::parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
        let mut json = String::new();
        expr.write_json(&mut json);
        let found: Value = serde_json::from_str(&json).expect("our own JSON");
        if found != tree["data"] || text["data"].as_str() != Some(&expr.pretty()) {
            different += 1;
            println!("{query}\n  found {json}\n wanted {}\n  found {}\n wanted {text}", tree["data"], expr.pretty());
        }
    }
    println!("real queries: {} parsed and printed, {different} differ", queries.len());
    assert_eq!(different, 0);
}

#[test]
fn shares_of_series_are_those_prometheus_takes() {
    let mut text = String::new();
    for i in 0..400 {
        // Short values, and some around the lengths at which Prometheus writes lengths otherwise.
        let long = "x".repeat([0, 3, 127, 128, 253, 254, 255, 256, 300][i % 9]);
        text += &format!("share{{n=\"{i}\",text=\"{long}\"}} 1 {AT}\n");
    }
    text += "# EOF\n";
    let flags = "--enable-feature=promql-experimental-functions,promql-per-step-stats";
    let Some(peer) = Peer::prometheus_with_history(&text, &[flags]) else { return };
    let memory = Memory::read(&text);
    for ratio in ["0", "0.01", "0.1", "0.5", "0.9", "1", "-0.1", "-0.5", "-0.99", "-1", "1.5", "-2"] {
        let query = format!("limit_ratio({ratio}, share)");
        let wanted = peers_answer(&peer, &format!("/api/v1/query?time={AT}&query={}", escape(&query)));
        let found = our_answer(&memory, &query, None);
        assert_eq!(found.differs(&wanted, 0.0, false), None, "{query}");
        println!("{query}: {} of 400 series", found.rows.len());
    }
}

/// Random expressions over random data, and the same at the peer.
#[test]
fn random_expressions_are_answered_as_by_prometheus() {
    ask_random(&Engine::default(), "");
}

/// The same where metric names are taken off at the end.
#[test]
fn random_expressions_are_answered_as_with_delayed_name_removal() {
    let engine = Engine { delayed_name_removal: true, ..Engine::default() };
    ask_random(&engine, ",promql-delayed-name-removal");
}

fn is_same_labels(answer: &Body) -> bool {
    answer.error.as_ref().is_some_and(|(_, text)| text == "vector cannot contain metrics with the same labelset")
}

fn ask_random(engine: &Engine, flag: &str) {
    let rounds = std::env::var("NARTHEX_FUZZ_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(ROUNDS);
    let seed = std::env::var("NARTHEX_FUZZ_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let mut maker = Maker { random: Random(seed) };
    let start = (AT - 400) * 1000;
    let memory = maker.data(UnixMs(start));
    let flags = format!("--enable-feature=promql-experimental-functions,promql-per-step-stats{flag}");
    let Some(peer) = Peer::prometheus_with_history(&memory.write(), &[&flags]) else { return };
    let (mut equal, mut with_series, mut errors, mut newer, mut different) = (0, 0, 0, 0, 0);
    for round in 0..rounds {
        let query = maker.vector(1 + round % 4).replace("@ 130", &format!("@ {}", AT - 270));
        let escaped = escape(&query);
        let instant = (AT - 400 + (round as i64 * 7) % 400, None);
        let range = (0, Some((AT - 410, AT + 10, [15, 60, 21][round % 3])));
        for (at, range) in [instant, range] {
            let path = match range {
                None => format!("/api/v1/query?time={at}&query={escaped}"),
                Some((start, end, step)) => {
                    format!("/api/v1/query_range?start={start}&end={end}&step={step}&query={escaped}")
                }
            };
            let wanted = peers_answer(&peer, &path).without_examples();
            let found = answer_of(engine, &memory, &query, at, range).without_examples();
            with_series += usize::from(!wanted.rows.is_empty());
            errors += usize::from(wanted.error.is_some());
            match found.differs(&wanted, RANDOM_TOLERANCE, false) {
                None => equal += 1,
                // Since 3.5 a match counts even if a comparison leaves it out.
                Some(_) if found.error.as_ref().is_some_and(|(_, text)| text.contains("must be explicit")) => {
                    newer += 1
                }
                // Since 3.5 series that become the same when names go at the end are one where their steps are apart.
                Some(_) if engine.delayed_name_removal && found.error.is_none() && is_same_labels(&wanted) => {
                    newer += 1
                }
                Some(text) => {
                    different += 1;
                    println!("{query}\n    at {at} or {range:?}: {text:.700}");
                }
            }
        }
    }
    println!(
        "seed {seed}: {equal} answers equal ({with_series} with series, {errors} errors), {newer} newer, {different} different"
    );
    assert!(with_series > rounds / 2 && errors > 0);
    assert_eq!(different, 0);
}
