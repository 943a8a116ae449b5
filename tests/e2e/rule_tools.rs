//! `narthex test rules`, `narthex check rules` and promtool's: the same files, flag by flag, and both must say the same.
//!
//! Verdicts are compared for every file; what is printed too, but for errors of YAML and of syntax, whose words are a
//! library's.

use std::path::Path;
use std::process::{Command, Output};

use support::agent::program;
use support::folder::Folder;
use support::shared::{peer, project, shared};

fn both(promtool: &Path, folder: &Path, words: &[&str]) -> (Output, Output) {
    let run = |program: &Path| Command::new(program).args(words).current_dir(folder).output().expect("it runs");
    (run(program()), run(promtool))
}

fn texts(output: &Output) -> (String, String) {
    (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Puts the two series of a many-to-many error in order: which the peer names first is a matter of chance.
fn in_order(text: &str) -> String {
    let Some((before, rest)) = text.split_once("operation: [{") else { return text.to_owned() };
    let Some((pair, after)) = rest.split_once("}];") else { return text.to_owned() };
    let mut pair: Vec<&str> = pair.split("}, {").collect();
    pair.sort_unstable();
    format!("{before}operation: [{{{}}}];{after}", pair.join("}, {"))
}

/// Compares verdicts, and what is printed unless `verdict_only`.
fn compare(promtool: &Path, folder: &Path, words: &[&str], verdict_only: bool) -> Option<i32> {
    let (ours, theirs) = both(promtool, folder, words);
    let ((our_out, our_err), (their_out, their_err)) = (texts(&ours), texts(&theirs));
    let said = format!("{words:?}: ours:\n{our_out}{our_err}\ntheirs:\n{their_out}{their_err}");
    assert_eq!(ours.status.code(), theirs.status.code(), "{said}");
    if !verdict_only {
        assert_eq!((our_out, in_order(&our_err)), (their_out, in_order(&their_err)), "{said}");
    }
    theirs.status.code()
}

/// The peer's unit tests whose errors are not worded alike: YAML and syntax of rule files.
const WORDED_OTHERWISE: [&str; 3] = ["bad-rules-syntax-test.yml", "rules_run_extrafields.yml", "start-time-test.yml"];

#[test]
fn unit_tests_for_rules_end_as_with_promtool() {
    let Some(promtool) = peer("promtool", "unit tests for rules beside promtool") else { return };
    let Some(folder) = shared("suites/rules/promtool", "promtool's own unit tests for rules") else { return };
    let mut files: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
        if text.lines().any(|line| line.starts_with("tests:")) {
            files.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    files.sort();
    assert!(files.len() >= 14, "{files:?}");
    let mut good = 0;
    for file in &files {
        let verdict_only = WORDED_OTHERWISE.contains(&file.as_str());
        good += usize::from(compare(&promtool, &folder, &["test", "rules", file], verdict_only) == Some(0));
    }
    for words in [
        &["test", "rules", "--run=correct", "rules_run.yml"][..],
        &["test", "rules", "--run=wrong", "rules_run.yml"],
        &["test", "rules", "--run=wr.ng", "--run=^correct test$", "rules_run.yml"],
        &["test", "rules", "--run=nothing", "failing.yml"],
        &["test", "rules", "--diff", "failing.yml"],
        &["test", "rules", "--ignore-unknown-fields", "rules_run_extrafields.yml"],
        &["test", "rules", "failing.yml", "unittest.yml"],
    ] {
        compare(&promtool, &folder, words, false);
    }
    println!("promtool's verdict on all {} files, {good} of them good", files.len());
}

#[test]
fn our_own_unit_tests_for_rules_end_as_with_promtool() {
    let Some(promtool) = peer("promtool", "our unit tests for rules beside promtool") else { return };
    let code = compare(&promtool, &project().join("configs/rules"), &["test", "rules", "board.test.yml"], false);
    assert_eq!(code, Some(0));
}

const RULES: &str = "groups:
- name: later
  rules:
  - {record: b, expr: 'a + 1', labels: {x: y}}
  - {record: gone, expr: 'test > 2 < 5'}
- name: first
  interval: 7s
  query_offset: 1m
  rules:
  - {record: a, expr: 'test * 2'}
  - {record: h, expr: 'hist'}
- name: alerts
  rules:
  - alert: A
    expr: test > 1
    for: 2m
    keep_firing_for: 90s
    annotations: {e: '', x: 'y {{ $value }} {{ $externalLabels.site }} {{ $externalURL }}'}
    labels: {z: '', q: '{{ $labels.q }}!'}
";

const TESTS: &str = r#"rule_files: ['r?les.yml', no-such.yml]
group_eval_order: [first, later]
evaluation_interval: 30s
tests:
- name: series
  interval: 1m
  input_series:
  - {series: 'test{q="1"}', values: '0+1x5 _x3 stale 7'}
  - {series: 'test{q="2"}', values: '9 stale'}
  - {series: 'test{q="2"}', values: '1 2 3 -1x3 NaN Inf'}
  - {series: hist, values: '{{schema:1 count:3 sum:1e9 buckets:[0 1 2]}}+{{schema:1 count:3 sum:5 buckets:[0 1 2]}}x4'}
  - {series: hist0, values: '{{count:3 sum:1e9 buckets:[0 1234567 2]}}'}
  external_labels: {site: barn}
  external_url: http://here
  alert_rule_test:
  - {eval_time: 5m, alertname: A, exp_alerts: [{exp_labels: {q: '1!', z: ''}}, {exp_labels: {q: '2!'}, exp_annotations: {x: y}}]}
  - {eval_time: 3m15s, alertname: A, exp_alerts: [{exp_labels: {q: '1!'}}]}
  - {eval_time: 6m29s, alertname: A}
  - {eval_time: 7m, alertname: A}
  - {eval_time: 20m, alertname: A}
  promql_expr_test:
  - {expr: '{__name__=~"a|b|gone"}', eval_time: 4m}
  - {expr: 'count_over_time({__name__=~".+"}[1h])', eval_time: 20m}
  - {expr: 'sum_over_time(test[10m:])', eval_time: 10m}
  - {expr: 'timestamp(a)', eval_time: 4m}
  - {expr: h, eval_time: 3m, exp_samples: [{labels: h, histogram: '{{schema:1 count:3 sum:4 buckets:[0 1 2]}}'}]}
  - {expr: 'count_values("t", hist0)', eval_time: 1m}
  - {expr: 'quantile(1234567, test)', eval_time: 1m}
  - {expr: ALERTS, eval_time: 3m30s}
  - {expr: ALERTS_FOR_STATE, eval_time: 3m30s}
  - {expr: 'test offset -1h', eval_time: 3m}
  - {expr: 'test', eval_time: 2m, exp_samples: [{labels: 'test{q="1"}', value: 2}, {labels: 'test{q="2"}', value: 3.5}, {value: -.5e-9}]}
  - {expr: 'test[5m]', eval_time: 2m}
  - {expr: '"text"', eval_time: 2m}
  - {expr: 'foo(', eval_time: 2m}
  - {expr: 'time()', eval_time: 1h30m500ms, exp_samples: [{value: 5400.5}]}
  - {expr: 'test', eval_time: 3m, exp_samples: [{labels: '{a="b', value: 1}]}
  - {expr: 'test', eval_time: 3m, exp_samples: [{labels: '{a="b"}', histogram: '{{}} 1'}]}
  - {expr: 'test', eval_time: 3m, exp_samples: [{labels: '{a="b"}', histogram: '1'}]}
- name: no name
  alert_rule_test: [{eval_time: 90m}]
- name: bad series
  input_series: [{series: x, values: 1}, {series: 'test{a=1}', values: 1}]
- name: fails
  input_series: [{series: 'test{q="1"}', values: '_ 5'}, {series: 'test{q="1",alertname="x"}', values: '_ 5'}]
  promql_expr_test: [{expr: '1', eval_time: 9m}]
"#;

#[test]
fn many_kinds_of_failures_are_said_as_promtool_says_them() {
    let Some(promtool) = peer("promtool", "failing unit tests for rules beside promtool") else { return };
    let folder = Folder::new("rule-tests");
    folder.write("rules.yml", RULES);
    folder.write("tests.yml", TESTS);
    for flags in [&[][..], &["--diff"]] {
        let words = [&["test", "rules"][..], flags, &["tests.yml"]].concat();
        assert_eq!(compare(&promtool, folder.path(), &words, false), Some(1));
    }
    for features in ["promql-experimental-functions", "promql-delayed-name-removal"] {
        let flag = format!("--enable-feature={features}");
        compare(&promtool, folder.path(), &["test", "rules", &flag, "tests.yml"], false);
    }
}

#[test]
fn buckets_of_every_resolution_end_where_promtool_says() {
    let Some(promtool) = peer("promtool", "bounds of native histograms beside promtool") else { return };
    let mut series = String::new();
    let mut wanted = String::new();
    for schema in -4..=8 {
        // A whole turn of the finest resolution on both sides of one, and of coarse ones as far as floats go.
        let (first, count) = (-130, 260);
        let buckets = vec!["1"; count].join(" ");
        series += &format!(
            "  - {{series: 'h{{s=\"{schema}\"}}', values: '{{{{schema:{schema} count:{count} sum:1 offset:{first} buckets:[{buckets}]}}}}'}}\n"
        );
        wanted += &format!("  - {{expr: 'h{{s=\"{schema}\"}}', eval_time: 0s}}\n");
    }
    let folder = Folder::new("bounds");
    folder
        .write("tests.yml", format!("tests:\n- interval: 1m\n  input_series:\n{series}  promql_expr_test:\n{wanted}"));
    let code = compare(&promtool, folder.path(), &["test", "rules", "tests.yml"], false);
    assert_eq!(code, Some(1));
}

#[test]
fn rule_files_are_judged_as_by_promtool() {
    let Some(promtool) = peer("promtool", "rule files beside promtool") else { return };
    let mut judged = [0, 0, 0, 0];
    for folder in ["promtool", "rulefmt", "rules_fixtures"] {
        let Some(folder) = shared(&format!("suites/rules/{folder}"), "the peer's own rule files") else { return };
        let mut files: Vec<String> = Vec::new();
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let entry = entry.expect("an entry");
            let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
            let name = entry.file_name().to_string_lossy().into_owned();
            // What tests a newer level than 3.5 is not for this promtool, and other kinds of files are not for this.
            if text.lines().any(|line| line.starts_with("groups:")) {
                files.push(name);
            }
        }
        for file in &files {
            for flags in [&[][..], &["--lint-fatal"], &["--lint=none"], &["--lint=all", "--ignore-unknown-fields"]] {
                let words = [&["check", "rules"][..], flags, &[file.as_str()]].concat();
                let (ours, theirs) = both(&promtool, &folder, &words);
                let code = theirs.status.code().unwrap_or(-1);
                let said = format!("{words:?}: ours {:?}, theirs {:?}", texts(&ours), texts(&theirs));
                assert_eq!(ours.status.code(), Some(code), "{said}");
                // Errors have our words; all else is the same.
                assert_eq!(ours.stdout, theirs.stdout, "{said}");
                assert!(code == 1 || ours.stderr == theirs.stderr, "{said}");
                judged[code as usize & 3] += 1;
            }
        }
    }
    assert!(judged[0] > 60 && judged[1] > 10 && judged[3] > 1, "{judged:?}");
    println!("rule files: {} good, {} bad, {} odd and so told to be fatal", judged[0], judged[1], judged[3]);
}
