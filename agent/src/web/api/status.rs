//! `status/*` and `features`: what this server is and how it stands, in the peer's words where it has them.
//!
//! Keys that speak of Go's runtime or of a write-ahead log are there, because programs ask for them, and say that there
//! is no such thing.

use std::collections::HashMap;

use super::{ApiError, Call, Notes};
use crate::cli::VERSION;
use crate::web::json;
use crate::web::params::go_integer;
use crate::web::status::Status;

/// Which level of the peer's API and language this is: programs switch on what they can do by it.
const API_LEVEL: &str = "3.14.0";

/// How many entries each of the statistics has, unless the request says.
const TOP: i64 = 10;
/// The most it may say.
const TOP_MAX: i64 = 10_000;

/// Returns how things stand.
pub(super) fn status_of(call: &Call<'_>) -> Result<Status, ApiError> {
    call.web.house.status().ok_or_else(|| ApiError::unavailable("core does not answer, try again"))
}

/// Answers with the configuration in force, without secrets.
pub(super) fn config(call: &Call<'_>, out: &mut String) -> Result<Notes, ApiError> {
    let text = call.web.config.read().unwrap_or_else(|poisoned| poisoned.into_inner());
    out.push('{');
    json::text(out, "yaml", &text);
    out.push('}');
    Ok(Notes::default())
}

/// Answers with the command line's flags.
pub(super) fn flags(call: &Call<'_>, out: &mut String) -> Result<Notes, ApiError> {
    out.push('{');
    for (name, value) in &call.web.settings.flags {
        json::text(out, name, value);
    }
    out.push('}');
    Ok(Notes::default())
}

/// Answers with what is on and what is off, by part and name.
pub(super) fn features(call: &Call<'_>, out: &mut String) -> Result<Notes, ApiError> {
    let settings = &call.web.settings;
    let language = settings.features;
    let parts: [(&str, &[(&str, bool)]); 3] = [
        (
            "api",
            &[
                ("admin", false),
                ("exclude_alerts", true),
                ("label_values_match", true),
                ("lifecycle", true),
                ("otlp_write_receiver", false),
                ("query_stats", true),
                ("query_warnings", true),
                ("remote_write_receiver", true),
                ("time_range_labels", true),
                ("time_range_series", true),
            ],
        ),
        ("prometheus", &[("agent_mode", false), ("auto_reload_config", false), ("stringlabels", true)]),
        (
            "promql",
            &[
                ("anchored", language.extended_range_selectors),
                ("at_modifier", true),
                ("bool", true),
                ("by", true),
                ("delayed_name_removal", settings.delayed_name_removal),
                ("duration_expr", language.duration_expressions),
                ("fill", language.fill_modifiers),
                ("group_left", true),
                ("group_right", true),
                ("ignoring", true),
                ("negative_offset", true),
                ("offset", true),
                ("on", true),
                ("per_query_lookback_delta", true),
                ("per_step_stats", false),
                ("smoothed", language.extended_range_selectors),
                ("subqueries", true),
                ("type_and_unit_labels", false),
                ("without", true),
            ],
        ),
    ];
    out.push('{');
    for (part, features) in parts {
        switches(out, part, features.iter().copied());
    }
    let mut functions: Vec<(&str, bool)> = promql::FUNCTIONS
        .iter()
        .map(|function| (function.name, !function.experimental || language.experimental_functions))
        .collect();
    functions.sort_unstable();
    switches(out, "promql_functions", functions.into_iter());
    out.push('}');
    Ok(Notes::default())
}

fn switches<'a>(out: &mut String, part: &str, features: impl Iterator<Item = (&'a str, bool)>) {
    json::key(out, part);
    out.push('{');
    for (name, is_on) in features {
        json::key(out, name);
        out.push_str(if is_on { "true" } else { "false" });
    }
    out.push('}');
}

/// Answers with what an operator is to be told: what is wrong with the last reload, and with the medium.
pub(super) fn notifications(call: &Call<'_>, out: &mut String) -> Result<Notes, ApiError> {
    let status = status_of(call)?;
    let texts = [
        (!status.reload_error.is_empty()).then(|| "Configuration reload has failed.".to_owned()),
        (!status.ring.trouble.is_empty()).then(|| format!("Storage: {}", status.ring.trouble)),
    ];
    json::list(out, texts.iter().flatten(), |out, text| {
        out.push('{');
        json::text(out, "text", text);
        json::key(out, "date");
        json::date(out, Some(status.now));
        out.push_str(",\"active\":true}");
    });
    Ok(Notes::default())
}

/// Answers with when we started, where, and how the last reload went.
pub(super) fn runtimeinfo(call: &Call<'_>, out: &mut String) -> Result<Notes, ApiError> {
    let status = status_of(call)?;
    let up_ms = i64::try_from(status.up_ms).unwrap_or(i64::MAX);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    out.push('{');
    json::key(out, "startTime");
    json::date(out, Some(status.now.plus_ms(-up_ms)));
    json::text(out, "CWD", &call.web.settings.working_folder);
    json::text(out, "hostname", &status.host);
    json::key(out, "serverTime");
    json::date(out, Some(status.now));
    json::key(out, "reloadConfigSuccess");
    out.push_str(if status.reload_error.is_empty() { "true" } else { "false" });
    json::key(out, "lastConfigTime");
    json::date(out, status.config_loaded);
    for (name, number) in [
        ("corruptionCount", status.ring.damaged_pages as f64),
        ("goroutineCount", 0.0),
        ("GOMAXPROCS", threads as f64),
        ("GOMEMLIMIT", 0.0),
    ] {
        json::key(out, name);
        json::number(out, number);
    }
    json::text(out, "GOGC", "");
    json::text(out, "GODEBUG", "");
    // What limits it is the size of the ring; the peer prints a size there too.
    json::text(out, "storageRetention", &format!("{}MiB", status.ring.bytes >> 20));
    out.push('}');
    Ok(Notes::default())
}

/// Answers with the level of the API that programs may count on, and our own version behind the plus sign.
pub(super) fn buildinfo(_: &Call<'_>, out: &mut String) -> Result<Notes, ApiError> {
    out.push('{');
    json::text(out, "version", &format!("{API_LEVEL}+narthex.{VERSION}"));
    for name in ["revision", "branch", "buildUser", "buildDate", "goVersion"] {
        json::text(out, name, "");
    }
    out.push('}');
    Ok(Notes::default())
}

/// Answers that no log is replayed: there is none.
pub(super) fn walreplay(_: &Call<'_>, out: &mut String) -> Result<Notes, ApiError> {
    out.push_str("{\"min\":0,\"max\":0,\"current\":0}");
    Ok(Notes::default())
}

/// Refuses what would change the store, as the peer does unless it was told otherwise.
pub(super) fn admin(_: &Call<'_>, _: &mut String) -> Result<Notes, ApiError> {
    Err(ApiError { kind: "unavailable", status: 500, text: "admin APIs disabled".to_owned(), limit: None })
}

/// Answers with what makes the series many.
pub(super) fn tsdb(call: &Call<'_>, out: &mut String) -> Result<Notes, ApiError> {
    let limit = match call.params.get("limit") {
        "" => TOP,
        text => go_integer("Atoi", text)
            .ok()
            .filter(|limit| *limit >= 1)
            .ok_or_else(|| ApiError::bad_data("limit must be a positive number"))?,
    };
    if limit > TOP_MAX {
        return Err(ApiError::bad_data(format!("limit must not exceed {TOP_MAX}")));
    }
    let counted = count(call)?;
    let stats = call.web.reader().stats();
    out.push_str("{\"headStats\":{");
    let pairs = counted.pairs.len();
    for (name, number) in [
        ("numSeries", stats.head_series as i64),
        ("numLabelPairs", pairs as i64),
        ("chunkCount", stats.head_series as i64),
        ("minTime", stats.oldest.map_or(0, |at| at.0)),
        ("maxTime", stats.newest.map_or(0, |at| at.0)),
    ] {
        json::key(out, name);
        json::number(out, number as f64);
    }
    out.push('}');
    let pairs = |name: &str| counted.pairs.iter().filter(|((label, _), _)| label == name).count() as u64;
    let names = counted.pairs.iter().filter(|((label, _), _)| label == model::labels::NAME);
    let by_pair = counted.pairs.iter().map(|((name, value), count)| (format!("{name}={value}"), *count));
    for (name, entries) in [
        ("seriesCountByMetricName", names.map(|((_, value), count)| (value.clone(), *count)).collect()),
        ("labelValueCountByLabelName", counted.bytes.keys().map(|name| (name.clone(), pairs(name))).collect()),
        ("memoryInBytesByLabelName", counted.bytes.into_iter().collect()),
        ("seriesCountByLabelValuePair", by_pair.collect()),
    ] {
        json::key(out, name);
        write_top(out, entries, usize::try_from(limit).unwrap_or(usize::MAX));
    }
    out.push('}');
    Ok(Notes::default())
}

/// What the label sets of all series come to.
#[derive(Default)]
struct Counted {
    /// How many series have a pair of name and value.
    pairs: HashMap<(String, String), u64>,
    /// How many bytes the values of a name take.
    bytes: HashMap<String, u64>,
}

fn count(call: &Call<'_>) -> Result<Counted, ApiError> {
    use model::Querier;
    let mut counted = Counted::default();
    let range = super::query::ends(call)?;
    let visited = call.web.reader().series(&[], range, &mut |labels| {
        for (name, value) in labels.iter() {
            *counted.pairs.entry((name.to_owned(), value.to_owned())).or_default() += 1;
            *counted.bytes.entry(name.to_owned()).or_default() += value.len() as u64;
        }
        !call.is_stopped()
    });
    visited.map_err(|error| ApiError::internal(error.to_string()))?;
    Ok(counted)
}

fn write_top(out: &mut String, mut entries: Vec<(String, u64)>, limit: usize) {
    entries.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    json::list(out, entries.into_iter().take(limit), |out, (name, count)| {
        out.push('{');
        json::text(out, "name", &name);
        json::key(out, "value");
        json::number(out, count as f64);
        out.push('}');
    });
}
