//! Which rule files are read, and what is said of the others; the peer's own files and real ones where they are there.

use std::path::PathBuf;

use super::*;

fn check(text: &str, expected: &[&str]) {
    let mut errors = Errors::new();
    load("r.yml", text, &mut errors);
    errors.sort();
    let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(said, expected, "{text}");
}

#[test]
fn a_file_is_read() {
    let text = "
groups:
  - name: heat
    interval: 30s
    query_offset: 1s
    limit: 5
    labels: {a: group, b: group}
    rules:
      - {record: 'x:y', expr: 1, labels: {b: rule}}
      - {alert: Hot, expr: a > 1, for: 5m, keep_firing_for: 1m, annotations: {s: '{{ $value }}'}}
  - name: empty
    rules: []
";
    let mut errors = Errors::new();
    let groups = load("r.yml", text, &mut errors);
    assert!(errors.is_empty(), "{errors}");
    let group = &groups[0];
    assert_eq!((group.interval_ms, group.query_offset_ms, group.limit, groups.len()), (Some(30_000), 1_000, 5, 2));
    let RuleKind::Record(record) = &group.rules[0].kind else { panic!("a recording rule") };
    assert_eq!(record.labels, Labels::from_pairs([("a", "group"), ("b", "rule")]));
    let RuleKind::Alert(alert) = &group.rules[1].kind else { panic!("an alerting rule") };
    assert_eq!((alert.for_ms, alert.keep_firing_for_ms, alert.labels.len()), (300_000, 60_000, 2));
}

#[test]
fn all_faults_are_found_at_once_with_their_places() {
    check(
        "groups:
  - name: a
    rules:
      - {record: b, expr: 'sum(', for: 1m}
      - alert: C
        expr: |
          up
          + +
        lables: {}
        labels: {__name__: x, s: '{{ $label.foo }}'}
        annotations: {s: '{{ nope }}'}
      - {alert: D, record: d, expr: 1}
      - {expr: 1}
      - {record: 'e{f=\"g\"}', expr: 'a[5m]'}
      - {record: h}
  - name: a
",
        &[
            "r.yml:4:32: groups[0].rules[0].expr: could not parse expression: 1:5: parse error: unclosed left parenthesis",
            "r.yml:4:40: groups[0].rules[0].for: invalid field 'for' in recording rule",
            "r.yml:9:9: groups[0].rules[1].lables: unknown key, expected labels",
            "r.yml:9:11: groups[0].rules[1].expr: could not parse expression: 3:1: parse error: unexpected end of input",
            "r.yml:10:18: groups[0].rules[1].labels.__name__: invalid label name: __name__",
            "r.yml:10:34: groups[0].rules[1].labels.s: error parsing template: __alert_C:1: undefined variable \"$label\"",
            "r.yml:11:26: groups[0].rules[1].annotations.s: error parsing template: __alert_C:1: function \"nope\" not defined",
            "r.yml:12:17: groups[0].rules[2].alert: only one of 'record' and 'alert' must be set",
            "r.yml:13:9: groups[0].rules[3]: one of 'record' or 'alert' must be set",
            "r.yml:14:18: groups[0].rules[4].record: braces present in the recording rule name; should it be in expr?: e{f=\"g\"}, expected a metric name",
            "r.yml:14:36: groups[0].rules[4].expr: the expression gives a range vector, expected an instant vector or a scalar",
            "r.yml:15:9: groups[0].rules[5]: field 'expr' must be set in rule",
            "r.yml:16:5: groups[1]: groupname: \"a\" is repeated in the same file",
        ],
    );
}

#[test]
fn equal_rules_are_noted_and_read() {
    let text = "groups: [{name: a, rules: [{record: b, expr: 1}, {record: b, expr: 1}, {record: b, expr: 2}]}]";
    let mut errors = Errors::new();
    let groups = load("r.yml", text, &mut errors);
    assert!(errors.is_empty());
    let warnings: Vec<String> = groups[0].warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings, ["r.yml:1:50: groups[0].rules[1]: the same rule \"b\" stands in this group already"]);
}

fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("NARTHEX_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../../shared"), PathBuf::from);
    let found = root.join(path);
    if !found.exists() {
        println!("LEFT OUT: {} is not there; set NARTHEX_SHARED", found.display());
        return None;
    }
    Some(found)
}

/// Loads a file and returns how many rules it has, or what is wrong.
fn try_file(file: &std::path::Path, legacy: bool) -> Result<usize, String> {
    let text = std::fs::read_to_string(file).expect("readable");
    let mut errors = Errors::new();
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or("");
    let groups = if legacy { load_legacy(name, &text, &mut errors) } else { load(name, &text, &mut errors) };
    if errors.is_empty() { Ok(groups.iter().map(|group| group.rules.len()).sum()) } else { Err(errors.to_string()) }
}

fn files(folder: &str) -> Vec<PathBuf> {
    let Some(folder) = shared(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("readable").path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "yml" || e == "yaml"));
    files.sort();
    files
}

#[test]
fn the_peers_rule_files_are_read_or_refused_as_it_does() {
    let (mut good, mut bad) = (0, 0);
    for file in files("suites/rules/rulefmt").iter().chain(&files("suites/rules/rules_fixtures")) {
        let name = file.file_name().and_then(|name| name.to_str()).expect("a name");
        // Names that only the old scheme refuses.
        let legacy = name.starts_with("legacy_");
        let refused = name.contains(".bad.") || name == "invalid_rules.yaml";
        let result = try_file(file, legacy);
        assert_eq!(result.is_err(), refused, "{name}: {result:?}");
        if refused { bad += 1 } else { good += 1 }
    }
    println!("rulefmt and rules_fixtures: {good} read, {bad} refused");
}

#[test]
fn promtools_rule_files_are_read_or_refused_as_it_does() {
    for (name, good) in [
        ("rules.yml", true),
        ("rules_duplicates.yml", true),
        ("prometheus-config.rules.good.yml", true),
        ("prometheus-rules.lint.yml", true),
        ("at-modifier.yml", true),
        ("bad-rules-error.yml", true),
        ("long-period.yml", false),
        ("negative-offset.yml", true),
        ("no-test-group-interval.yml", false),
        ("bad-rules-syntax.yml", false),
        ("rules-bad.yml", false),
        ("rules_extrafields.yml", false),
    ] {
        let Some(file) = shared(&["suites/rules/promtool/", name].concat()) else { return };
        let result = try_file(&file, false);
        assert_eq!(result.is_ok(), good, "{name}: {result:?}");
    }
    // A megabyte of rules is over the limit of a file, and that is said.
    let Some(file) = shared("suites/rules/promtool/rules_large.yml") else { return };
    let result = try_file(&file, false).expect_err("too large for a board");
    println!("rules_large.yml: {result}");
    let options = LoadOptions { is_tool: true, ..LoadOptions::default() };
    let text = std::fs::read_to_string(&file).expect("a file");
    let mut errors = Errors::new();
    let groups = load_with("rules_large.yml", &text, options, &mut errors);
    assert!(errors.is_empty() && groups.iter().map(|group| group.rules.len()).sum::<usize>() == 10_002, "{errors}");
}

#[test]
fn of_several_documents_the_first_counts_and_that_is_said() {
    let mut errors = Errors::new();
    let text = "groups:\n- name: a\n  rules: []\n---\ngroups: [{}]\n";
    let groups = load("r.yml", text, &mut errors);
    assert!(errors.is_empty(), "{errors}");
    let said: Vec<String> = groups[0].warnings.iter().map(ToString::to_string).collect();
    assert_eq!(said, ["r.yml:4:1: a second document begins here, expected one document a file"]);
}

#[test]
fn a_part_of_the_language_that_is_switched_on_may_be_used() {
    let text = "groups: [{name: a, rules: [{record: b, expr: 'limitk(1, up)'}]}]";
    for on in [false, true] {
        let mut features = Features::default();
        assert!(!on || features.enable("promql-experimental-functions"));
        let mut errors = Errors::new();
        load_with("r.yml", text, LoadOptions { features, ..LoadOptions::default() }, &mut errors);
        assert_eq!(errors.is_empty(), on, "{errors}");
    }
}

#[test]
fn real_rule_files_are_read() {
    let mut rules = 0;
    for file in files("real-queries") {
        match try_file(&file, false) {
            Ok(count) => rules += count,
            Err(errors) => panic!("{}: {errors}", file.display()),
        }
    }
    println!("real-queries: {rules} rules");
}
