//! `targets`, `scrape_pools`, `metadata` and `targets/metadata`: what is collected, and what it says of its metrics.
//!
//! Type, help and unit are kept by metric name and not by target, so `targets/metadata` tells the same of every target
//! that has such a series. Its limit counts targets, as with the peer.

use model::labels::NAME;
use model::{Labels, MetricKind, Querier, TimeRange};
use tsdb::FamilyInfo;

use super::status::status_of;
use super::{ApiError, Call, Notes};
use crate::web::json;
use crate::web::params::{TIME_MAX, go_integer, invalid};
use crate::web::targets::{Dropped, Target};

/// How long ago a target's series may have ended, for its metadata to be shown.
const SEEN_MS: i64 = 3_600_000;

/// Answers with the targets.
pub(super) fn targets(call: &Call<'_>, out: &mut String) -> Result<Notes, ApiError> {
    let (state, pool) = (call.params.get("state").to_lowercase(), call.params.get("scrapePool"));
    let shows = |kind: &str| state.is_empty() || state == "any" || state == kind;
    let targets = status_of(call)?.targets;
    let in_pool = |name: &str| pool.is_empty() || name == pool;
    let active = targets.active.iter().filter(|target| shows("active") && in_pool(&target.pool));
    let dropped = targets.dropped.iter().filter(|target| shows("dropped") && in_pool(&target.pool));
    out.push_str("{\"activeTargets\":");
    json::list(out, active, write_target);
    out.push_str(",\"droppedTargets\":");
    json::list(out, dropped, write_dropped);
    // Where nobody asks for them the peer says null, which its own description forbids.
    out.push_str(",\"droppedTargetCounts\":{");
    for (name, count) in targets.pools.iter().filter(|_| shows("dropped")) {
        json::key(out, name);
        json::number(out, *count as f64);
    }
    out.push_str("}}");
    Ok(Notes::default())
}

/// Answers with the names of the jobs.
pub(super) fn scrape_pools(call: &Call<'_>, out: &mut String) -> Result<Notes, ApiError> {
    let mut names: Vec<String> = status_of(call)?.targets.pools.into_iter().map(|(name, _)| name).collect();
    names.sort();
    out.push_str("{\"scrapePools\":");
    json::texts(out, &names);
    out.push('}');
    Ok(Notes::default())
}

/// Answers with type, help and unit of metrics.
pub(super) fn metadata(call: &Call<'_>, out: &mut String) -> Result<Notes, ApiError> {
    let limit = number(call, "limit")?.unwrap_or(-1);
    // One metric has one entry here, so this limit never takes anything away; but nonsense is refused.
    number(call, "limit_per_metric")?;
    let (reader, metric) = (call.web.reader(), call.params.get("metric"));
    let mut left = usize::try_from(limit).unwrap_or(usize::MAX);
    out.push('{');
    let mut write = |name: &str, info: &FamilyInfo| {
        if left > 0 {
            left -= 1;
            json::key(out, name);
            out.push_str("[{");
            json::text(out, "type", kind_name(info.kind));
            json::text(out, "unit", &info.unit);
            json::text(out, "help", &info.help);
            out.push_str("}]");
        }
    };
    match metric {
        "" => reader.each_metadata(&mut write),
        name => _ = reader.metadata(name).map(|info| write(name, &info)),
    }
    out.push('}');
    Ok(Notes::default())
}

/// Answers with type, help and unit of metrics, target by target.
pub(super) fn target_metadata(call: &Call<'_>, out: &mut String) -> Result<Notes, ApiError> {
    let limit = number(call, "limit")?.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let matchers = match call.params.get("match_target") {
        "" => Vec::new(),
        text => promql::parse_metric_selector(text)
            .map_err(|error| ApiError::bad_data(invalid("match_target", &error.to_string())))?,
    };
    let metric = call.params.get("metric");
    let targets = status_of(call)?.targets.active;
    let chosen = targets.iter().filter(|target| matchers.iter().all(|m| m.matches_labels(&target.labels)));
    let mut entries = Vec::new();
    for target in chosen.take(limit) {
        entries.extend(families_of(call, target, metric)?.into_iter().map(|(name, info)| (&target.labels, name, info)));
    }
    json::list(out, &entries, |out, (labels, name, info)| write_entry(out, labels, name, info, metric.is_empty()));
    Ok(Notes::default())
}

/// Returns the metric names, with what is known of them, that a target has series of.
fn families_of(call: &Call<'_>, target: &Target, metric: &str) -> Result<Vec<(String, FamilyInfo)>, ApiError> {
    let reader = call.web.reader();
    let mut matchers: Vec<_> = target.labels.iter().map(|(name, value)| model::Matcher::equal(name, value)).collect();
    if !metric.is_empty() {
        matchers.push(model::Matcher::equal(NAME, metric));
    }
    let range = TimeRange { start: call.web.now().plus_ms(-SEEN_MS), end: TIME_MAX };
    let mut names = std::collections::BTreeSet::new();
    let visited = reader.series(&matchers, range, &mut |labels| {
        if !names.contains(labels.name()) {
            names.insert(labels.name().to_owned());
        }
        !call.is_stopped()
    });
    visited.map_err(|error| ApiError::internal(error.to_string()))?;
    Ok(names.into_iter().filter_map(|name| reader.metadata(&name).map(|info| (name, info))).collect())
}

fn number(call: &Call<'_>, name: &str) -> Result<Option<i64>, ApiError> {
    match call.params.get(name) {
        "" => Ok(None),
        text => match go_integer("Atoi", text) {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(ApiError::bad_data(format!("{name} must be a number"))),
        },
    }
}

fn write_entry(out: &mut String, target: &Labels, name: &str, info: &FamilyInfo, with_name: bool) {
    out.push_str("{\"target\":");
    json::labels(out, target);
    if with_name {
        json::text(out, "metric", name);
    }
    json::text(out, "type", kind_name(info.kind));
    json::text(out, "help", &info.help);
    json::text(out, "unit", &info.unit);
    out.push('}');
}

fn write_target(out: &mut String, target: &Target) {
    out.push_str("{\"discoveredLabels\":");
    json::labels(out, &target.discovered);
    out.push_str(",\"labels\":");
    json::labels(out, &target.labels);
    json::text(out, "scrapePool", &target.pool);
    json::text(out, "scrapeUrl", &target.url);
    json::text(out, "globalUrl", &target.global_url);
    json::text(out, "lastError", &target.last_error);
    json::key(out, "lastScrape");
    json::date(out, target.last_scrape);
    json::key(out, "lastScrapeDuration");
    json::number(out, target.last_seconds);
    json::text(out, "health", target.health.as_str());
    json::text(out, "scrapeInterval", &model::duration::DisplayMs(target.interval_ms).to_string());
    json::text(out, "scrapeTimeout", &model::duration::DisplayMs(target.timeout_ms).to_string());
    out.push('}');
}

fn write_dropped(out: &mut String, target: &Dropped) {
    out.push_str("{\"discoveredLabels\":");
    json::labels(out, &target.discovered);
    json::text(out, "scrapePool", &target.pool);
    out.push('}');
}

/// Returns the peer's word for a kind, as OpenMetrics has it.
fn kind_name(kind: MetricKind) -> &'static str {
    match kind {
        MetricKind::Gauge => "gauge",
        MetricKind::Counter => "counter",
        MetricKind::Histogram => "histogram",
        MetricKind::GaugeHistogram => "gaugehistogram",
        MetricKind::Summary => "summary",
        MetricKind::Info => "info",
        MetricKind::StateSet => "stateset",
        MetricKind::Unknown => "unknown",
    }
}
