//! Pushgateway's interface: `/metrics/job/...`, `/api/v1/metrics` and, where it is switched on, the wipe.
//!
//! Bodies come as text, or as length-delimited protobuf where the `Content-Type` says so, and may be compressed with
//! gzip or snappy; what they unpack to is bounded. Whoever pushes writes: `access` decides who may. Answers, statuses
//! and texts are the peer's (pushgateway 1.11), so that clients and scripts need another port and nothing else.

use std::collections::BTreeMap;
use std::io::Read;

use exposition::{Format, Limits, ScrapeFiller, ScrapeOptions};
use model::{Batch, MetricKind, UnixMs};
use push::{Family, Group, Grouping, Groups, Metric, Mode, Point, Route};

use super::{Answer, Request, Web, access, json, receive};
use crate::core::pushes::{Ask, Told};

/// The largest body of a push, packed and unpacked, in bytes.
pub const PUSH_BYTES_MAX: usize = 4 << 20;

/// What is switched on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Label names in paths may be escaped UTF-8: `--push.enable-utf8-names`.
    pub utf8_names: bool,
    /// `/api/v1/admin/wipe` exists: `--web.enable-admin-api`.
    pub admin: bool,
}

/// Answers if the request is about pushes.
pub fn answer(web: &Web, request: &Request) -> Option<Answer> {
    let method = request.method.as_str();
    Some(match request.path.as_str() {
        "/api/v1/metrics" if matches!(method, "GET" | "HEAD") => list(web),
        "/api/v1/admin/wipe" if !web.push.admin => Answer::text(404, "404 page not found\n"),
        "/api/v1/admin/wipe" if method == "PUT" => change(web, request, Ask::Wipe, 202),
        "/-/quit" if matches!(method, "PUT" | "POST") => Answer::text(403, "Lifecycle API is not enabled."),
        "/api/v1/metrics" | "/api/v1/admin/wipe" => Answer::text(405, "Method Not Allowed\n"),
        path => match (push::route(path, web.push.utf8_names), method) {
            (Route::Elsewhere, _) => return None,
            (_, "OPTIONS") => Answer::text(200, ""),
            (_, method) if !matches!(method, "PUT" | "POST" | "DELETE") => Answer::text(405, "Method Not Allowed\n"),
            (Route::Moved(status, to), _) => {
                let mut moved = Answer::text(status, "");
                moved.headers.push(("location", to));
                moved
            }
            (Route::Bad(reason), _) => Answer::text(400, format!("{reason}\n")),
            (Route::Group(grouping), "DELETE") => change(web, request, Ask::Delete(grouping), 202),
            (Route::Group(grouping), method) => push(web, request, grouping, method),
        },
    })
}

fn push(web: &Web, request: &Request, grouping: Grouping, method: &str) -> Answer {
    if let Err(reason) = access::may_control(request) {
        return Answer::text(403, format!("{reason}\n"));
    }
    let mut batch = Batch::new();
    let names = web.push.utf8_names;
    if let Err(reason) = unpacked(request).and_then(|body| parsed(request, &body, names, &mut batch)) {
        return Answer::text(400, format!("{reason}\n"));
    }
    let mode = if method == "PUT" { Mode::Replace } else { Mode::Merge };
    change(web, request, Ask::Push(grouping, mode, batch), 200)
}

fn change(web: &Web, request: &Request, ask: Ask, status: u16) -> Answer {
    if let Err(reason) = access::may_control(request) {
        return Answer::text(403, format!("{reason}\n"));
    }
    match web.house.push(ask) {
        Some(Told::Refused(refused)) => Answer::text(400, format!("{refused}\n")),
        Some(_) => Answer::text(status, ""),
        None => Answer::text(503, "the agent does not answer in time\n"),
    }
}

fn list(web: &Web) -> Answer {
    match web.house.push(Ask::List) {
        Some(Told::Groups(groups)) => Answer::new(200, "application/json", listed(&groups)),
        _ => Answer::text(503, "the agent does not answer in time\n"),
    }
}

fn unpacked(request: &Request) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    match request.content_encoding.as_str() {
        "gzip" => {
            let packed = flate2::read::GzDecoder::new(request.body.as_slice());
            let read = packed.take(PUSH_BYTES_MAX as u64 + 1).read_to_end(&mut out);
            read.map_err(|error| match error.kind() {
                std::io::ErrorKind::UnexpectedEof => "unexpected EOF".to_owned(),
                _ => format!("gzip: {error}"),
            })?;
        }
        "snappy" => return receive::unpacked(&request.body, "push", PUSH_BYTES_MAX),
        // As the peer, which takes what it does not know for plain.
        _ => out.extend_from_slice(&request.body),
    }
    match out.len() > PUSH_BYTES_MAX {
        true => Err(format!("a push unpacks to at most {PUSH_BYTES_MAX} bytes")),
        false => Ok(out),
    }
}

/// Reads what was pushed; `any_names` may be quoted.
fn parsed(request: &Request, body: &[u8], any_names: bool, out: &mut Batch) -> Result<(), String> {
    let is_protobuf = request.content_type.starts_with("application/vnd.google.protobuf");
    if is_protobuf {
        let options = ScrapeOptions { keep_classic: true, ..ScrapeOptions::default() };
        let read = ScrapeFiller::new().fill(Format::Protobuf, body, options, Limits::default(), out);
        read.map_err(|error| error.to_string())?;
        return match out.refused() {
            0 => Ok(()),
            _ => Err("more or larger samples than are taken".to_owned()),
        };
    }
    let read = if any_names { exposition::parse_text_with_any_names } else { exposition::parse_text };
    read(body, out).map_err(|error| format!("text format parsing error in line {}: {}", error.line, error.what))
}

/// Prints all groups as the peer's `/api/v1/metrics` does: keys in ascending order, values as texts.
fn listed(groups: &Groups) -> String {
    let mut out = String::from("{\"status\":\"success\",\"data\":");
    let groups: Vec<(&Grouping, &Group)> = groups.iter().collect();
    json::list(&mut out, &groups, |out, group| list_group(out, group.0, group.1));
    out.push('}');
    out
}

fn list_group(out: &mut String, grouping: &Grouping, group: &Group) {
    let labels: BTreeMap<&str, &str> = grouping.iter().collect();
    let own = [
        ("push_time_seconds", "Last Unix time when changing this group in the Pushgateway succeeded.", group.pushed),
        (
            "push_failure_time_seconds",
            "Last Unix time when changing this group in the Pushgateway failed.",
            group.failed,
        ),
    ];
    let own = own.map(|(name, help, at)| (name.to_owned(), own_family(&labels, help, at, group)));
    let families: BTreeMap<&String, &Family> =
        group.families.iter().chain(own.iter().map(|(name, family)| (name, family))).collect();
    let mut fields: BTreeMap<&str, String> = BTreeMap::new();
    let mut text = String::new();
    json::pairs(&mut text, labels.into_iter());
    fields.insert("labels", text);
    fields.insert("last_push_successful", group.is_successful().to_string());
    for (name, family) in families {
        let mut text = String::new();
        list_family(&mut text, family);
        fields.insert(name, text);
    }
    out.push('{');
    for (name, text) in fields {
        json::key(out, name);
        out.push_str(&text);
    }
    out.push('}');
}

fn own_family(labels: &BTreeMap<&str, &str>, help: &str, at: Option<UnixMs>, group: &Group) -> Family {
    let mut labels: BTreeMap<String, String> = labels.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
    labels.entry("instance".to_owned()).or_default();
    let point = Point::Plain(at.map_or(0.0, |at| at.0 as f64 / 1_000.0));
    Family {
        kind: MetricKind::Gauge,
        help: help.to_owned(),
        pushed: group.pushed.max(group.failed).unwrap_or(UnixMs(0)),
        metrics: vec![Metric { labels: labels.into_iter().collect(), point }],
    }
}

fn list_family(out: &mut String, family: &Family) {
    out.push('{');
    json::text(out, "time_stamp", &family.pushed.to_string());
    json::text(out, "type", &family.kind.as_prometheus().to_uppercase());
    if !family.help.is_empty() {
        json::text(out, "help", &family.help);
    }
    json::key(out, "metrics");
    json::list(out, &family.metrics, list_metric);
    out.push('}');
}

fn list_metric(out: &mut String, metric: &Metric) {
    let labels = |out: &mut String| {
        json::key(out, "labels");
        json::pairs(out, metric.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    };
    out.push('{');
    match &metric.point {
        Point::Plain(value) => {
            labels(out);
            json::text(out, "value", &number(*value));
        }
        Point::Histogram { buckets, sum, count } => {
            list_places(out, "buckets", buckets);
            json::text(out, "count", &number(count.unwrap_or(0.0)));
            labels(out);
            json::text(out, "sum", &number(*sum));
        }
        Point::Summary { quantiles, sum, count } => {
            json::text(out, "count", &number(*count));
            labels(out);
            list_places(out, "quantiles", quantiles);
            json::text(out, "sum", &number(*sum));
        }
        Point::Native(_) => labels(out),
    }
    out.push('}');
}

/// Prints bounds and values as an object, whose keys the peer sorts as texts.
fn list_places(out: &mut String, name: &str, places: &[(f64, f64)]) {
    let places: BTreeMap<String, String> =
        places.iter().map(|(bound, value)| (number(*bound), number(*value))).collect();
    json::key(out, name);
    json::pairs(out, places.iter().map(|(bound, value)| (bound.as_str(), value.as_str())));
}

fn number(value: f64) -> String {
    let mut text = String::new();
    model::float::write_exposition(&mut text, value);
    text
}
