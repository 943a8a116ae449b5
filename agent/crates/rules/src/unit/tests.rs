//! Tests of tests: each kind of expectation passes and fails, and the failure says what promtool says.

use super::*;

const RULES: &str = "groups:
  - name: a
    rules:
      - {record: twice, expr: 'x * 2'}
      - {alert: High, expr: 'x > 2', for: 2m, labels: {to: '{{ $labels.at }}'}, annotations: {empty: '', v: '{{ $value }}'}}
";

fn run_tests(text: &str, settings: &Settings) -> Vec<String> {
    let file = read("t.yml", text).expect("a file of tests");
    run(&file, &[("r.yml".to_owned(), RULES.to_owned())], settings)
}

fn failures(text: &str) -> Vec<String> {
    run_tests(
        &format!("tests:\n  - name: n\n    input_series: [{{series: 'x{{at=\"b\"}}', values: '1+1x9 _x9'}}]\n{text}"),
        &Settings::default(),
    )
}

#[test]
fn what_is_expected_passes() {
    let good = failures(
        "    promql_expr_test:
      - {expr: twice, eval_time: 3m, exp_samples: [{labels: 'twice{at=\"b\"}', value: 8}]}
      - {expr: 'timestamp(twice)', eval_time: 3m30s, exp_samples: [{labels: '{at=\"b\"}', value: 180}]}
      - {expr: 'ALERTS', eval_time: 2m, exp_samples: [{labels: 'ALERTS{alertname=\"High\",alertstate=\"pending\",at=\"b\",to=\"b\"}', value: 1}]}
      - {expr: 'count(ALERTS)', eval_time: 4m, exp_samples: [{value: 1}]}
    alert_rule_test:
      - {eval_time: 3m59s, alertname: High}
      - {eval_time: 4m, alertname: High, exp_alerts: [{exp_labels: {at: b, to: b}, exp_annotations: {v: 5, empty: ''}}]}
",
    );
    assert!(good.is_empty(), "{good:?}");
}

#[test]
fn what_is_not_as_expected_is_said_in_the_peers_words() {
    let bad = failures(
        "    promql_expr_test:
      - {expr: twice, eval_time: 3m, exp_samples: [{labels: 'twice{at=\"b\"}', value: 9}]}
      - {expr: 'twice[', eval_time: 3m}
      - {expr: x, eval_time: 3m, exp_samples: [{labels: 'x{', value: 9}]}
      - {expr: time(), eval_time: 90m, exp_samples: []}
    alert_rule_test:
      - {eval_time: 4m, alertname: High, exp_alerts: [{exp_labels: {at: b, to: b}, exp_annotations: {v: 5}}]}
      - {eval_time: 3m, alertname: High, exp_alerts: [{}]}
",
    );
    let expected = [
        "    name: n,\n    alertname: High, time: 3m, \n        exp:[\n            0:\n              Labels:{alertname=\"High\"}\n              Annotations:{}\n            ], \n        got:[]",
        "    name: n,\n    alertname: High, time: 4m, \n        exp:[\n            0:\n              Labels:{alertname=\"High\", at=\"b\", to=\"b\"}\n              Annotations:{v=\"5\"}\n            ], \n        got:[\n            0:\n              Labels:{alertname=\"High\", at=\"b\", to=\"b\"}\n              Annotations:{empty=\"\", v=\"5\"}\n            ]",
        "    expr: \"twice\", time: 3m,\n        exp: {__name__=\"twice\", at=\"b\"} 9E+00\n        got: {__name__=\"twice\", at=\"b\"} 8E+00",
        "    expr: \"twice[\", time: 3m, err: 1:7: parse error: unexpected end of input in subquery or range selector, expected number, duration, step(), or range()",
        "    expr: \"x\", time: 3m, err: labels \"x{\": 1:3: parse error: unexpected end of input inside braces",
        "    expr: \"time()\", time: 1h30m,\n        exp: nil\n        got: {} 5.4E+03",
    ];
    for (found, expected) in bad.iter().zip(expected) {
        let found = if expected.contains("twice[") { &found[..found.len().min(40)] } else { found };
        let expected = if expected.contains("twice[") { &expected[..40] } else { expected };
        assert_eq!(found, expected);
    }
    assert_eq!(bad.len(), expected.len());
}

#[test]
fn differences_are_shown_in_colour() {
    let text = format!(
        "tests:
  - input_series: [{{series: 'x{{at=\"b\"}}', values: '1+1x9'}}, {{series: 'x{{at=\"c\"}}', values: '1+1x9'}}]
    alert_rule_test: [{{eval_time: 4m, alertname: High, exp_alerts: [{}]}}]
",
        "{exp_labels: {at: x, on: e}, exp_annotations: {empty: '', v: '5'}}"
    );
    let found = run_tests(&text, &Settings { diff: true, ..Settings::default() });
    let expected = "    alertname: High, time: 4m, 
        diff: [
                {
                    \"Annotations\": {
                        \"empty\": \"\",
                        \"v\": \"5\"
                    },
                    \"Labels\": {
                        \"alertname\": \"High\",
                        \"at\": Y\"x\" => \"b\"E,
                        R\"on\": \"e\"E,
                        G\"to\": \"b\"E
                    }
                },
                G{E
                    G\"Annotations\": {E
                        G\"empty\": \"\",E
                        G\"v\": \"5\"E
                    G},E
                    G\"Labels\": {E
                        G\"alertname\": \"High\",E
                        G\"at\": \"c\",E
                        G\"to\": \"c\"E
                    G}E
                G}E
            ]";
    let plain = |text: &str| {
        let text = text.replace("\u{1b}[0;31m", "R").replace("\u{1b}[0;32m", "G").replace("\u{1b}[0;33m", "Y");
        text.replace("\u{1b}[0m", "E")
    };
    assert_eq!(found.iter().map(|text| plain(text)).collect::<Vec<_>>(), [expected]);
}

#[test]
fn faults_of_a_file_are_found() {
    let error = read("t.yml", "tests: [{nmae: x}]\n").expect_err("an unknown key");
    assert!(error.to_string().contains("unknown key, expected name"), "{error}");
    for (text, expected) in [
        ("group_eval_order: [a, b, a]\n", "group name repeated in evaluation order: a"),
        (
            "tests: [{name: t, alert_rule_test: [{eval_time: 1m}]}]\n",
            "an item under alert_rule_test misses required attribute alertname at eval_time 1m (in TestGroup t)",
        ),
        (
            "tests: [{input_series: [{series: 'a{b=\"c\"', values: 1}]}]\n",
            "2:9: parse error: unexpected character inside braces: '1'",
        ),
        (
            "tests: [{input_series: [{series: x, values: 1}, {series: 'x{alertname=\"c\"}', values: '_ 7'}, {series: 'x{alertname=\"d\"}', values: '_ 7'}], promql_expr_test: [{expr: '1', eval_time: 2m, exp_samples: [{value: 1}]}]}]\n",
            "    rule: High, time: 1m0s, err: vector contains metrics with the same labelset after applying alert labels",
        ),
    ] {
        assert_eq!(run_tests(text, &Settings::default()), [expected]);
    }
}

#[test]
fn only_those_that_are_asked_for_run() {
    let text = "tests: [{name: one, promql_expr_test: [{expr: '1'}]}, {name: two}]\n";
    let only = |pattern: &str| Settings { only: model::Pattern::new(pattern).ok(), ..Settings::default() };
    assert_eq!(run_tests(text, &only("one")).len(), 1);
    assert!(run_tests(text, &only("two")).is_empty());
}
