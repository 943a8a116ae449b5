//! `scrape_configs`: whom else to read, with Prometheus's keys, defaults and words for what is wrong.
//!
//! ```text
//! scrape_configs: [{job_name: plc, static_configs: [{targets: ['plc:9100']}]}]
//! ```
//! What a job leaves out it takes from `global`. `scrape_config_files` names further files with the same section.
//! Job names are unique over all of them. What a job's keys mean while it runs is said in the crate `targets`.

use std::path::Path;

use model::duration::DisplayMs;
use relabel::NameScheme;
use targets::{Histograms, Job, Limits, Protocol};
use yaml::{Errors, Map, Node};

use super::discovery::Discovery;
use super::global::Global;
use super::http_client::HttpClient;
use super::limits::{INTERVAL_MS_MAX, INTERVAL_MS_MIN, JOBS_MAX, PARAMS_MAX};
use super::outside::Outside;
use super::raw::{At, at, items, within};
use super::rule_files::expand_files;

/// How long a scrape may take where nobody says it, in milliseconds.
pub(super) const TIMEOUT_MS: u64 = 10_000;

/// Keys that are known and have no effect yet.
const UNSERVED: [&str; 3] =
    ["scrape_failure_log_file", "native_histogram_bucket_limit", "native_histogram_min_bucket_factor"];

/// One entry of `scrape_configs`.
#[derive(Debug, Clone, PartialEq)]
pub struct Scrape {
    /// What is asked of its targets.
    pub job: Job,
    /// How they are reached.
    pub client: HttpClient,
    /// Where they are found.
    pub discovery: Discovery,
}

/// What `global` says for all jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScrapeDefaults {
    /// How long one scrape may take, in milliseconds; a job with a shorter interval takes that.
    pub timeout_ms: u64,
    /// What a target may deliver.
    pub limits: Limits,
    /// The formats that are asked for; `None`: what each job's histograms need.
    pub protocols: Option<Vec<Protocol>>,
    /// What becomes of histograms.
    pub histograms: Histograms,
    /// Whether limits and sizes are reported.
    pub extra_metrics: bool,
    /// Which names are accepted.
    pub names: NameScheme,
}

impl Default for ScrapeDefaults {
    fn default() -> ScrapeDefaults {
        ScrapeDefaults {
            timeout_ms: TIMEOUT_MS,
            limits: Limits::default(),
            protocols: None,
            histograms: Histograms::default(),
            extra_metrics: false,
            names: NameScheme::Utf8,
        }
    }
}

/// Where jobs are written, before any is read.
#[derive(Debug, Default)]
pub(super) struct RawScrapes {
    jobs: Vec<Node>,
    files: Vec<At<String>>,
}

impl RawScrapes {
    pub fn read(root: &mut Map, errors: &mut Errors) -> RawScrapes {
        let files = items(root, "scrape_config_files", JOBS_MAX, errors);
        let file = |node: Node, errors: &mut Errors| Some(At { value: node.str(errors)?, node });
        RawScrapes {
            jobs: items(root, "scrape_configs", JOBS_MAX, errors),
            files: files.into_iter().filter_map(|node| file(node, errors)).collect(),
        }
    }

    pub fn believe(
        self,
        global: &Global,
        base: &Path,
        outside: &Outside,
        errors: &mut Errors,
        warnings: &mut Errors,
    ) -> Vec<Scrape> {
        let mut reader = Reader { global, found: Vec::new(), errors, warnings };
        self.jobs.iter().for_each(|node| reader.job(node, base));
        for at in &self.files {
            for (path, text) in expand_files(at, "scrape config", base, outside, reader.errors, reader.warnings) {
                reader.file(&path, &text);
            }
        }
        reader.found
    }
}

struct Reader<'a> {
    global: &'a Global,
    found: Vec<Scrape>,
    errors: &'a mut Errors,
    warnings: &'a mut Errors,
}

impl Reader<'_> {
    fn file(&mut self, path: &Path, text: &str) {
        let root = match yaml::parse(&path.to_string_lossy(), text) {
            Ok(root) => root,
            Err(faults) => return self.errors.append(faults),
        };
        // Apart, because its keys stand in the reference file already.
        let mut errors = Errors::new();
        let mut map = root.map(&mut errors);
        let jobs = items(&mut map, "scrape_configs", JOBS_MAX, &mut errors);
        map.finish(&mut errors);
        let mut inner =
            Reader { global: self.global, found: Vec::new(), errors: &mut errors, warnings: &mut *self.warnings };
        std::mem::swap(&mut inner.found, &mut self.found);
        jobs.iter().for_each(|node| inner.job(node, path.parent().unwrap_or(Path::new(""))));
        self.found = inner.found;
        self.errors.append(errors);
    }

    fn job(&mut self, node: &Node, base: &Path) {
        if node.is_null() {
            return node.complain("empty or null scrape config section", "", self.errors);
        }
        let scrape = read_job(node, self.global, base, self.errors, self.warnings);
        let name = &scrape.job.name;
        if !name.is_empty() && self.found.iter().any(|other| other.job.name == *name) {
            let what = ["found multiple scrape configs with job name \"", name, "\""].concat();
            node.complain(what, "a name of its own for each", self.errors);
        } else if self.found.len() >= JOBS_MAX {
            let limit = ["at most ", &JOBS_MAX.to_string()].concat();
            node.complain("there are too many jobs", limit, self.errors);
        } else {
            self.found.push(scrape);
        }
    }
}

fn read_job(node: &Node, global: &Global, base: &Path, errors: &mut Errors, warnings: &mut Errors) -> Scrape {
    let mut map = node.map(errors);
    let name = map.str("job_name", errors).unwrap_or_default();
    if name.is_empty() {
        node.complain("job_name is empty", "", errors);
    }
    let (interval_ms, timeout_ms) = times(&mut map, global, &name, errors);
    let defaults = &global.scrape;
    let names = name_scheme(&mut map, defaults.names, errors);
    let scheme = map.word("scheme", &["http", "https"], errors).unwrap_or("http");
    let histograms = histograms(&mut map, defaults.histograms, errors);
    let owner = ["scrape config with job name \"", &name, "\""].concat();
    let given = protocols(&mut map, &owner, errors).or_else(|| defaults.protocols.clone());
    let default = if histograms.native { &Protocol::DEFAULT_NATIVE[..] } else { &Protocol::DEFAULT };
    let job = Job {
        interval_ms,
        timeout_ms,
        scheme,
        metrics_path: map.str("metrics_path", errors).unwrap_or_else(|| "/metrics".to_owned()),
        params: params(map.get("params"), errors),
        honor_labels: map.bool("honor_labels", errors).unwrap_or(false),
        honor_timestamps: map.bool("honor_timestamps", errors).unwrap_or(true),
        track_timestamps_staleness: map.bool("track_timestamps_staleness", errors).unwrap_or(false),
        limits: limits(&mut map, defaults.limits, errors),
        protocols: given.unwrap_or_else(|| default.to_vec()),
        histograms,
        fallback: fallback(&mut map, &name, errors),
        compression: map.bool("enable_compression", errors).unwrap_or(true),
        extra_metrics: map.bool("extra_scrape_metrics", errors).unwrap_or(defaults.extra_metrics),
        names,
        relabel: relabel::read(map.get("relabel_configs"), "empty or null target relabeling rule", names, errors),
        metric_relabel: relabel::read(
            map.get("metric_relabel_configs"),
            "empty or null metric relabeling rule",
            names,
            errors,
        ),
        name,
    };
    let discovery = Discovery::read(&mut map, base, errors, warnings);
    let client = HttpClient::read(&mut map, base, errors, warnings);
    map.known_but_unserved(&UNSERVED, "", warnings);
    map.known_but_unserved(&["metric_name_escaping_scheme"], "", warnings);
    map.finish(errors);
    Scrape { job, client, discovery }
}

/// Returns the interval and the timeout, in milliseconds. 0 is what is not said, as with the peer.
fn times(map: &mut Map, global: &Global, name: &str, errors: &mut Errors) -> (u64, u64) {
    let interval = at(map, "scrape_interval", errors, Node::duration_ms).filter(|at| at.value != 0);
    let timeout = at(map, "scrape_timeout", errors, Node::duration_ms).filter(|at| at.value != 0);
    let range = INTERVAL_MS_MIN..=INTERVAL_MS_MAX;
    let interval_ms = within(interval, range, global.scrape_interval_ms, DisplayMs, errors);
    let Some(timeout) = timeout else { return (interval_ms, global.scrape.timeout_ms.min(interval_ms)) };
    if timeout.value > interval_ms {
        let what = "scrape timeout greater than scrape interval for scrape config with job name \"";
        timeout.complain([what, name, "\""].concat(), DisplayMs(interval_ms).to_string(), errors);
    }
    (interval_ms, timeout.value.min(interval_ms))
}

/// Reads the limits that a job and `global` have in common.
pub(super) fn limits(map: &mut Map, default: Limits, errors: &mut Errors) -> Limits {
    let mut limit = |key: &'static str, default: u64| {
        let given = map.u64(key, errors).filter(|limit| *limit != 0);
        given.unwrap_or(default)
    };
    let mut limits = Limits {
        body_bytes: default.body_bytes,
        samples: limit("sample_limit", default.samples),
        labels: limit("label_limit", default.labels),
        label_name_bytes: limit("label_name_length_limit", default.label_name_bytes),
        label_value_bytes: limit("label_value_length_limit", default.label_value_bytes),
        targets: limit("target_limit", default.targets),
        dropped_targets: limit("keep_dropped_targets", default.dropped_targets),
    };
    limits.body_bytes = map.bytes("body_size_limit", errors).filter(|limit| *limit != 0).unwrap_or(limits.body_bytes);
    limits
}

/// Reads what a job and `global` say of histograms.
pub(super) fn histograms(map: &mut Map, default: Histograms, errors: &mut Errors) -> Histograms {
    let mut flag = |key: &'static str, default: bool| map.bool(key, errors).unwrap_or(default);
    Histograms {
        native: flag("scrape_native_histograms", default.native),
        convert: flag("convert_classic_histograms_to_nhcb", default.convert),
        classic_too: flag("always_scrape_classic_histograms", default.classic_too),
    }
}

/// Reads `metric_name_validation_scheme`.
pub(super) fn name_scheme(map: &mut Map, default: NameScheme, errors: &mut Errors) -> NameScheme {
    let Some(node) = map.get("metric_name_validation_scheme") else { return default };
    match node.str(errors).as_deref() {
        Some("") | None => default,
        Some("utf8") => NameScheme::Utf8,
        Some("legacy") => NameScheme::Legacy,
        Some(other) => {
            let what = ["unrecognized ValidationScheme: \"", other, "\""].concat();
            node.complain(what, "utf8 or legacy", errors);
            default
        }
    }
}

/// Reads `scrape_protocols`; `owner` is who has them, for a message.
pub(super) fn protocols(map: &mut Map, owner: &str, errors: &mut Errors) -> Option<Vec<Protocol>> {
    let node = map.get("scrape_protocols")?;
    let names = node.strings(errors);
    let mut found = Vec::new();
    for name in &names {
        match Protocol::parse(name) {
            Some(protocol) if found.contains(&protocol) => {
                let what = ["duplicated protocol in scrape_protocols, got [", &names.join(" "), "] for ", owner];
                node.complain(what.concat(), "", errors);
            }
            Some(protocol) => found.push(protocol),
            None => node.complain(["scrape_protocols: ", &unknown(name), " for ", owner].concat(), "", errors),
        }
    }
    if names.is_empty() && !node.is_null() {
        node.complain(["scrape_protocols cannot be empty for ", owner].concat(), "", errors);
    }
    (!found.is_empty()).then_some(found)
}

fn fallback(map: &mut Map, job: &str, errors: &mut Errors) -> Option<Protocol> {
    let node = map.get("fallback_scrape_protocol")?;
    let name = node.str(errors).filter(|name| !name.is_empty())?;
    let found = Protocol::parse(&name);
    if found.is_none() {
        let owner = "invalid fallback_scrape_protocol for scrape config with job name \"";
        node.complain([owner, job, "\": ", &unknown(&name)].concat(), "", errors);
    }
    found
}

fn unknown(name: &str) -> String {
    let known: Vec<&str> = Protocol::ALL.iter().map(|(name, _)| *name).collect();
    ["unknown scrape protocol ", name, ", supported: [", &known.join(" "), "]"].concat()
}

fn params(node: Option<Node>, errors: &mut Errors) -> Vec<(String, Vec<String>)> {
    let Some(node) = node else { return Vec::new() };
    if !node.is_map() {
        node.complain("this is no map", "a map (name: [value])", errors);
    }
    let children = node.children();
    if children.len() > PARAMS_MAX {
        let limit = ["at most ", &PARAMS_MAX.to_string()].concat();
        node.complain("there are too many parameters", limit, errors);
    }
    let param = |child: &Node, errors: &mut Errors| {
        let name = child.name().unwrap_or("").to_owned();
        (name, child.strings(errors))
    };
    children.iter().take(PARAMS_MAX).map(|child| param(child, errors)).collect()
}
