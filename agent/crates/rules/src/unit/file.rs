//! A file of unit tests: its keys and what they mean. Source: promtool 3.5, `cmd/promtool/unittest.go`.
//!
//! An unknown key is an error, as with promtool. Series, labels and histograms stay texts here; they are read when
//! their test runs, because an error in them is that test's.

use model::{Labels, LabelsBuilder};
use yaml::{Errors, Map, Node};

/// How often rules are evaluated when the file does not say.
const EVALUATION_INTERVAL_MS: u64 = 60_000;

/// A file of tests.
#[derive(Debug, Clone)]
pub struct TestFile {
    /// Where the rules are, as written: paths beside the file, with `*`, `?` and `[a-z]`.
    pub rule_files: Vec<String>,
    pub(super) evaluation_interval_ms: u64,
    pub(super) group_eval_order: Vec<String>,
    pub(super) fuzzy_compare: bool,
    pub(super) tests: Vec<Test>,
}

#[derive(Debug, Clone)]
pub(super) struct Test {
    pub name: String,
    pub interval_ms: u64,
    /// Series and their values.
    pub series: Vec<(String, String)>,
    pub alerts: Vec<AlertCase>,
    pub exprs: Vec<ExprCase>,
    pub external_labels: Labels,
    pub external_url: String,
}

#[derive(Debug, Clone)]
pub(super) struct AlertCase {
    pub eval_time_ms: u64,
    pub alertname: String,
    /// Labels and annotations of each.
    pub expected: Vec<(Pairs, Pairs)>,
}

pub(super) type Pairs = Vec<(String, String)>;

#[derive(Debug, Clone)]
pub(super) struct ExprCase {
    pub expr: String,
    pub eval_time_ms: u64,
    pub expected: Vec<Sample>,
}

#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub labels: String,
    pub value: f64,
    /// Empty where it is a float.
    pub histogram: String,
}

/// Reads a file of tests.
///
/// # Errors
/// Everything that is wrong with it, with places.
pub fn read(file: &str, text: &str) -> Result<TestFile, Errors> {
    let mut errors = Errors::new();
    let mut map = yaml::parse(file, text)?.map(&mut errors);
    let rule_files = map.strings("rule_files", &mut errors);
    let interval_ms = map.duration_ms("evaluation_interval", &mut errors).unwrap_or(0);
    let evaluation_interval_ms = if interval_ms == 0 { EVALUATION_INTERVAL_MS } else { interval_ms };
    let group_eval_order = map.strings("group_eval_order", &mut errors);
    let fuzzy_compare = map.bool("fuzzy_compare", &mut errors).unwrap_or(false);
    let tests = map.list("tests", &mut errors);
    map.finish(&mut errors);
    let tests = tests.iter().map(|node| test(node, evaluation_interval_ms, &mut errors)).collect();
    if errors.is_empty() {
        Ok(TestFile { rule_files, evaluation_interval_ms, group_eval_order, fuzzy_compare, tests })
    } else {
        Err(errors)
    }
}

fn test(node: &Node, evaluation_interval_ms: u64, errors: &mut Errors) -> Test {
    let mut map = node.map(errors);
    let interval_ms = map.duration_ms("interval", errors).unwrap_or(0);
    let mut labels = LabelsBuilder::new();
    for (name, value) in map.pairs("external_labels", errors) {
        if let Err(error) = labels.set(&name, &value) {
            node.complain(error.to_string(), "", errors);
        }
    }
    let test = Test {
        name: text(&mut map, "name", errors),
        interval_ms: if interval_ms == 0 { evaluation_interval_ms } else { interval_ms },
        series: map.list("input_series", errors).iter().map(|node| series(node, errors)).collect(),
        alerts: map.list("alert_rule_test", errors).iter().map(|node| alert_case(node, errors)).collect(),
        exprs: map.list("promql_expr_test", errors).iter().map(|node| expr_case(node, errors)).collect(),
        external_labels: labels.finish(),
        external_url: text(&mut map, "external_url", errors),
    };
    map.finish(errors);
    test
}

fn text(map: &mut Map, key: &'static str, errors: &mut Errors) -> String {
    map.str(key, errors).unwrap_or_default()
}

fn series(node: &Node, errors: &mut Errors) -> (String, String) {
    let mut map = node.map(errors);
    let series = (text(&mut map, "series", errors), text(&mut map, "values", errors));
    map.finish(errors);
    series
}

fn alert_case(node: &Node, errors: &mut Errors) -> AlertCase {
    let mut map = node.map(errors);
    let eval_time_ms = map.duration_ms("eval_time", errors).unwrap_or(0);
    let alertname = text(&mut map, "alertname", errors);
    let alerts = map.list("exp_alerts", errors);
    map.finish(errors);
    let mut expected = Vec::new();
    for node in &alerts {
        let mut map = node.map(errors);
        expected.push((map.pairs("exp_labels", errors), map.pairs("exp_annotations", errors)));
        map.finish(errors);
    }
    AlertCase { eval_time_ms, alertname, expected }
}

fn expr_case(node: &Node, errors: &mut Errors) -> ExprCase {
    let mut map = node.map(errors);
    let expr = text(&mut map, "expr", errors);
    let eval_time_ms = map.duration_ms("eval_time", errors).unwrap_or(0);
    let samples = map.list("exp_samples", errors);
    map.finish(errors);
    let mut expected = Vec::new();
    for node in &samples {
        let mut map = node.map(errors);
        expected.push(Sample {
            labels: text(&mut map, "labels", errors),
            value: map.f64("value", errors).unwrap_or(0.0),
            histogram: text(&mut map, "histogram", errors),
        });
        map.finish(errors);
    }
    ExprCase { expr, eval_time_ms, expected }
}
