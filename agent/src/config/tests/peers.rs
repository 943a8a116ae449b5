//! Prometheus's own test files: every good one loads, every bad one is refused, for the same reason.
//!
//! Reasons are the peer's texts. Where the fault is one of YAML itself the peer says its parser's words and we ours;
//! these few are listed with what we say instead.

use super::*;

/// Faults that are named differently: the file, and what we say of it.
const OUR_WORDS: [(&str, &str); 9] = [
    ("labelname.bad.yml", "the tag !!binary is not known here"),
    ("labelvalue.bad.yml", "the tag !!binary is not known here"),
    ("unknown_attr.bad.yml", "scrape_configs[0].consult_sd_configs: unknown key, expected consul_sd_configs"),
    ("unknown_global_attr.bad.yml", "global.nonexistent_field: unknown key"),
    ("section_key_dup.bad.yml", "key scrape_configs is there twice"),
    ("scrape_body_size_limit.bad.yml", "body_size_limit: \"100\", expected a size such as 256MB or 64MiB"),
    ("scrape_config_files_fallback_scrape_protocol2.bad.yml", "fallback_scrape_protocol: a list, expected a text"),
    // The peer's text begins with the path of its own checkout.
    ("scrape_config_files_glob.bad.yml", "invalid scrape config file path \"scrape_configs/*/*\""),
    (
        "scrape_config_files_scrape_protocols2.bad.yml",
        "duplicated protocol in scrape_protocols, got [OpenMetricsText1.0.0 PrometheusProto OpenMetricsText1.0.0] \
         for scrape config with job name \"node\"",
    ),
];

/// Files that must fail and have no text in the peer's table.
const WITHOUT_TEXT: [(&str, &str); 6] = [
    ("otlp_allow_utf8.bad.yml", "unsupported OTLP translation strategy \"Invalid\""),
    ("otlp_promote_all_resource_attributes.bad.yml", "cannot be configured simultaneously"),
    ("otlp_sanitize_ignore_resource_attributes.bad.yml", "duplicated ignored OTel resource attribute \"k8s.job.name\""),
    ("scrape_config_files.bad.yml", "scrape timeout greater than scrape interval for scrape config with job name"),
    ("scrape_config_files_global.bad.yml", "scrape timeout greater than scrape interval"),
    ("scrape_config_files_global_duplicate.bad.yml", "found multiple scrape configs with job name \"prometheus\""),
];

/// Loads one of them; rule files named there and not in the suite are made up: this is about the configuration.
fn load_peer(path: &Path) -> Loaded {
    let read = |asked: &Path| {
        std::fs::read_to_string(asked).or_else(|error| match asked.to_string_lossy().contains("scrape_config") {
            true => Err(error),
            false => Ok(RULES.to_owned()),
        })
    };
    let list = |folder: &Path| {
        let entries = std::fs::read_dir(folder)
            .map(|entries| entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect());
        entries.or_else(|_| Ok(vec!["a.rules".to_owned()]))
    };
    let env = |_: &str| Some("x".to_owned());
    let features = promql::Features::default();
    let outside = Outside { read: &read, list: &list, env: &env, collectors: &[], collector_flags: &[], features };
    load(path, &outside)
}

/// Returns the suite's files whose name ends so.
fn files(folder: &Path, end: &str) -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(folder).expect("a directory").flatten();
    let mut files: Vec<_> =
        entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path())).collect();
    files.retain(|(name, _)| name.ends_with(end));
    files.sort();
    files
}

#[test]
fn every_good_file_loads() {
    let Some(folder) = shared("suites/config/prometheus") else { return };
    let found = files(&folder, ".good.yml");
    assert!(found.len() >= 25, "only {} files were found", found.len());
    for (name, path) in found {
        let loaded = load_peer(&path);
        assert_eq!(loaded.errors.to_string(), "", "{name}");
        assert!(loaded.config.is_some(), "{name}");
    }
}

#[test]
fn every_bad_file_is_refused_for_the_same_reason() {
    let Some(folder) = shared("suites/config/prometheus") else { return };
    let Some(table) = shared("suites/config/expected_errors.json") else { return };
    let text = std::fs::read_to_string(table).expect("it is there");
    // JSON is YAML.
    let table = yaml::parse("expected_errors.json", &text).expect("it is JSON");
    let reason = |name: &str| {
        let row = table.children().into_iter().find(|row| text_of(row, "filename").as_deref() == Some(name));
        row.and_then(|row| text_of(&row, "errMsg"))
    };
    let found = files(&folder, ".bad.yml");
    assert!(found.len() >= 60, "only {} files were found", found.len());
    let mut wrong = Vec::new();
    for (name, path) in found {
        let own = OUR_WORDS.iter().chain(&WITHOUT_TEXT).find(|(file, _)| *file == name);
        let expected = own.map(|(_, said)| (*said).to_owned()).or_else(|| reason(&name));
        // Only the part after the peer's own path, where there is one.
        let expected = expected.unwrap_or_else(|| panic!("{name} has no reason"));
        let expected = expected.rsplit_once(".bad.yml: ").map_or(expected.as_str(), |(_, rest)| rest);
        let loaded = load_peer(&path);
        if loaded.config.is_some() || !loaded.errors.to_string().contains(expected) {
            wrong.push(format!("{name}: expected {expected}\n{}", loaded.errors));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_of_the_peers_that_depend_on_flags_are_judged_as_there() {
    let Some(folder) = shared("suites/config/prometheus") else { return };
    for (name, expected) in [
        ("otlp_allow_utf8.incompatible.yml", "is not allowed when UTF8 is disabled"),
        ("otlp_empty.yml", ""),
        ("scrape_config_global_validation_mode.yml", ""),
        ("scrape_config_local_global_validation_mode.yml", ""),
        ("agent_mode.with_rule_files.yml", ""),
    ] {
        let errors = load_peer(&folder.join(name)).errors.to_string();
        assert_eq!(errors.is_empty(), expected.is_empty(), "{name}: {errors}");
        assert!(errors.contains(expected), "{name}: {errors}");
    }
}

/// The client part of `prometheus/common`, as keys of a job. What the peer finds only when it connects is left out.
#[test]
fn the_peers_http_clients_are_judged_as_there() {
    let Some(folder) = shared("suites/config/common_http") else { return };
    let mut count = 0;
    for (name, path) in files(&folder, "") {
        let text = std::fs::read_to_string(&path).expect("it is there");
        let is_tls = name.starts_with("tls_config");
        let indent = if is_tls { "    " } else { "  " };
        let body: String = match name.ends_with(".json") {
            true => text.lines().map(|line| format!("{indent}{}\n", line.replace('\t', " "))).collect(),
            false => text.lines().map(|line| format!("{indent}{line}\n")).collect(),
        };
        let whole = match (is_tls, name.ends_with(".json")) {
            (true, _) => format!("scrape_configs:\n- job_name: a\n  tls_config:\n{body}"),
            (false, false) => format!("scrape_configs:\n- job_name: a\n{body}"),
            // JSON's outer braces make way for the job's.
            (false, true) => {
                let inner = text.trim().trim_start_matches('{').trim_end_matches('}').replace('\t', " ");
                format!("scrape_configs:\n- {{job_name: a, {}}}\n", inner.replace('\n', " "))
            }
        };
        let loaded = World::new(&[]).load(&whole);
        let is_bad = name.contains(".bad") || name.contains("bad-username") || name.contains("too-much");
        assert_eq!(loaded.config.is_none(), is_bad, "{name}: {}\n{whole}", loaded.errors);
        count += 1;
    }
    assert!(count >= 25, "only {count} files");
}

fn text_of(row: &yaml::Node, key: &str) -> Option<String> {
    row.children().iter().find(|child| child.name() == Some(key))?.text().map(str::to_owned)
}
