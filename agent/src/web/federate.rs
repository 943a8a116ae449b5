//! `/federate`: the newest sample of every series that a `match[]` selects, as Prometheus prints it.
//!
//! ```text
//! # TYPE node_load1 gauge
//! node_load1{instance="board:9090",job="node"} 0.42 1795249204020
//! ```
//!
//! Who asks for protobuf gets native histograms too, for which the text has no form; the text leaves them out, as the peer
//! does. A series whose newest sample within the lookback is a staleness marker is not printed; labels the series lacks
//! are taken from `external_labels`. Several `match[]` are a union; series come out sorted by name, then labels.

use exposition::{Escaping, FederateRow, write_federate, write_federate_proto};
use model::{Labels, Matcher, MetricKind, Querier, SelectError, SeriesSamples, TimeRange, UnixMs, Value};

use promql::ExprKind;

use super::params::Params;
use super::{Answer, Request, Web};

/// Answers `/federate`.
pub fn federate(web: &Web, request: &Request) -> Answer {
    let params = Params::of(request);
    if let Some(text) = params.malformed() {
        return Answer::error(400, format!("error parsing form values: {text}\n"));
    }
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
        Ok(found) => print(&reader, found, &external, &request.accept),
        Err(error) => Answer::text(503, format!("{error}\n")),
    }
}

/// An expression is a common mistake here, and there is a way to get what was meant.
fn next_step(text: &str) -> &'static str {
    let Ok(expr) = promql::parse(text) else { return "" };
    let mut is_computed = false;
    expr.walk(&mut |node| is_computed |= matches!(node.kind, ExprKind::Call(_) | ExprKind::Aggregate(_)));
    match is_computed {
        true => " (only selectors can be federated: make the expression a recording rule and select its name)",
        false => "",
    }
}

fn newest(
    reader: &tsdb::Reader,
    selectors: &[Vec<Matcher>],
    range: TimeRange,
    stop: &dyn Fn() -> bool,
) -> Result<Vec<FederateRow>, SelectError> {
    let mut found: Vec<FederateRow> = Vec::new();
    for matchers in selectors {
        // Asked here too: a selector that finds nothing asks nobody, and there may be a thousand.
        if stop() {
            return Err(SelectError::Stopped);
        }
        reader.select_newest(matchers, range, &mut |labels, samples| {
            if let Some((at, value)) = last(&samples).filter(|(_, value)| !value.is_stale()) {
                found.push(FederateRow { labels: labels.clone(), value, at });
            }
            !stop()
        })?;
    }
    if selectors.len() > 1 {
        // A series may be selected twice.
        found.sort_unstable_by(|a, b| a.labels.packed().cmp(b.labels.packed()).then(b.at.cmp(&a.at)));
        found.dedup_by(|a, b| a.labels == b.labels);
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

fn print(reader: &tsdb::Reader, mut rows: Vec<FederateRow>, external: &Labels, accept: &str) -> Answer {
    let kind_of = |name: &str| reader.metadata(name).map_or(MetricKind::Unknown, |family| family.kind);
    let (is_proto, escaping) = negotiated(accept);
    match (is_proto, escaping) {
        (true, escaping) => {
            let mut out = Vec::new();
            write_federate_proto(&mut rows, external, escaping, &kind_of, &mut out);
            let content_type = match escaping {
                Escaping::Underscores => PROTO_ESCAPED,
                Escaping::AllowUtf8 => PROTO_UTF8,
            };
            Answer::new(200, content_type, out)
        }
        (false, escaping) => {
            let mut out = String::new();
            write_federate(&mut rows, external, escaping, &kind_of, &mut out);
            match escaping {
                Escaping::Underscores => Answer::exposition(out),
                Escaping::AllowUtf8 => Answer::new(200, TEXT_UTF8, out),
            }
        }
    }
}

const TEXT_UTF8: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8";
const PROTO_ESCAPED: &str = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping=underscores";
const PROTO_UTF8: &str = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping=allow-utf-8";

/// Returns what the client likes best of what there is: whether protobuf, and how names are escaped.
fn negotiated(accept: &str) -> (bool, Escaping) {
    let mut best: Option<(f64, bool, Escaping)> = None;
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or("");
        let params: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
        let param = |name: &str| params.iter().find(|(n, _)| *n == name).map_or("", |(_, value)| value);
        let is_proto = match (kind, param("encoding")) {
            ("application/vnd.google.protobuf", "delimited") => param("proto") == "io.prometheus.client.MetricFamily",
            ("text/plain", _) if matches!(param("version"), "" | "0.0.4" | "1.0.0") => false,
            _ => continue,
        };
        if kind != "text/plain" && !is_proto {
            continue;
        }
        let escaping = match param("escaping") {
            "allow-utf-8" => Escaping::AllowUtf8,
            _ => Escaping::Underscores,
        };
        let weight = param("q").parse().unwrap_or(1.0);
        if best.is_none_or(|(known, ..)| weight > known) {
            best = Some((weight, is_proto, escaping));
        }
    }
    best.map_or((false, Escaping::Underscores), |(_, is_proto, escaping)| (is_proto, escaping))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_says_what_it_likes() {
        let proto = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
        for (accept, expected) in [
            (String::new(), (false, Escaping::Underscores)),
            ("*/*".to_owned(), (false, Escaping::Underscores)),
            (format!("{proto};q=0.6,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"), (true, Escaping::Underscores)),
            (format!("{proto};escaping=allow-utf-8;q=0.6,text/plain;q=0.5"), (true, Escaping::AllowUtf8)),
            (format!("text/plain;version=0.0.4;q=0.9,{proto};q=0.6"), (false, Escaping::Underscores)),
            ("text/plain;version=1.0.0;escaping=allow-utf-8".to_owned(), (false, Escaping::AllowUtf8)),
            ("application/vnd.google.protobuf".to_owned(), (false, Escaping::Underscores)),
            ("application/openmetrics-text;version=1.0.0".to_owned(), (false, Escaping::Underscores)),
        ] {
            assert_eq!(negotiated(&accept), expected, "{accept}");
        }
    }
}
