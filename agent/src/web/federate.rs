//! `/federate`: the newest sample of every series that a `match[]` selects, as Prometheus prints it.
//!
//! ```text
//! # TYPE node_load1 gauge
//! node_load1{instance="board:9090",job="node"} 0.42 1795249204020
//! ```
//!
//! A series whose newest sample within the lookback is a staleness marker is not printed; labels the series lacks
//! are taken from `external_labels`. Several `match[]` are a union; series come out sorted by name, then labels.

use std::collections::HashMap;

use exposition::{FederateRow, write_federate};
use model::{Labels, Matcher, MetricKind, Querier, SelectError, SeriesSamples, TimeRange, UnixMs, Value};

use super::params::Params;
use super::{Answer, Request, Web};

/// Answers `/federate`.
pub fn federate(web: &Web, request: &Request) -> Answer {
    let params = Params::of(request);
    let mut selectors = Vec::new();
    for text in params.all("match[]") {
        match promql::parse_metric_selector(text) {
            // As with the peer, whoever asks for nothing in particular gets nothing.
            Ok(matchers) if matchers.is_empty() => {}
            Ok(matchers) => selectors.push(matchers),
            Err(error) => return Answer::error(400, format!("{error}{}\n", next_step(text))),
        }
    }
    let reader = web.reader();
    let end = reader.wall_of(web.clock.now());
    let range = TimeRange { start: end.plus_ms(-web.engine.lookback_ms), end };
    let external = web.external_labels.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone();
    match newest(&reader, &selectors, range, &|| request.is_stopped()) {
        Ok(found) => Answer::exposition(print(&reader, found, &external)),
        Err(error) => Answer::text(503, format!("{error}\n")),
    }
}

/// An expression is a common mistake here, and there is a way to get what was meant.
fn next_step(text: &str) -> &'static str {
    match promql::parse(text) {
        Ok(_) => " (only selectors can be federated: make the expression a recording rule and select its name)",
        Err(_) => "",
    }
}

fn newest(
    reader: &tsdb::Reader,
    selectors: &[Vec<Matcher>],
    range: TimeRange,
    stop: &dyn Fn() -> bool,
) -> Result<HashMap<Labels, FederateRow>, SelectError> {
    // A series may be selected twice; the packed labels are the key because comparing them is one pass over memory.
    let mut found: HashMap<Labels, FederateRow> = HashMap::new();
    for matchers in selectors {
        // Asked here too: a selector that finds nothing asks nobody, and there may be a thousand.
        if stop() {
            return Err(SelectError::Stopped);
        }
        reader.select(matchers, range, &mut |labels, samples| {
            if let Some((at, value)) = last(&samples).filter(|(_, value)| !value.is_stale()) {
                found.insert(labels.clone(), FederateRow { labels: labels.clone(), value, at });
            }
            !stop()
        })?;
    }
    Ok(found)
}

/// Returns a series' newest sample.
fn last(samples: &SeriesSamples<'_>) -> Option<(UnixMs, Value)> {
    let index = samples.at.len().checked_sub(1)?;
    let value = match samples.histograms.last() {
        Some((at, value)) if *at == index => value.clone(),
        _ => Value::Float(samples.floats[index]),
    };
    Some((samples.at[index], value))
}

fn print(reader: &tsdb::Reader, found: HashMap<Labels, FederateRow>, external: &Labels) -> String {
    let mut rows: Vec<FederateRow> = found.into_values().collect();
    let kind_of = |name: &str| reader.metadata(name).map_or(MetricKind::Unknown, |family| family.kind);
    let mut out = String::new();
    write_federate(&mut rows, external, &kind_of, &mut out);
    out
}
