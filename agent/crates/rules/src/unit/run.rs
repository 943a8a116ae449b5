//! Runs unit tests: rules over series as they come, then what was expected beside what came.
//!
//! As in promtool all groups are evaluated at every evaluation time, whatever their own interval, in the order of the
//! file; the first evaluation that fails ends its test. Alerts are looked at after the evaluation at or before their time,
//! expressions when all is done. What rules record is stored at once, with staleness markers for what they no longer
//! record.

use std::collections::HashSet;

use model::duration::DisplayMs;
use model::{AlertState, Labels, Mono, Now, Pattern, UnixMs, Value, stale_nan};
use promql::script::{Data, histogram_text, parse_histogram, parse_labels};
use promql::{Engine, Features, Limits, QueryValue};
use yaml::Errors;

use super::diff;
use super::file::{AlertCase, ExprCase, Pairs, Test, TestFile};
use super::show::{self, ShownAlert, ShownSample};
use crate::group::{Group, LoadOptions, load_with};
use crate::manager::{Manager, Options};
use crate::view::RuleView;

/// The most samples one query may hold, as in promtool.
const SAMPLES_MAX: u64 = 10_000;

/// How tests are run.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Only tests whose names this matches; it must match the whole name.
    pub only: Option<Pattern>,
    /// Whether alerts that are not as expected are shown as what differs, in colour.
    pub diff: bool,
    /// Whether keys that nobody knows are accepted in rule files.
    pub ignore_unknown_fields: bool,
    /// Which parts of the query language are on.
    pub features: Features,
    /// Whether metric names are taken off at the end of a query.
    pub delayed_name_removal: bool,
}

/// Runs the tests of a file over these rule files (name and text); returns what went wrong, none when all is well.
pub fn run(file: &TestFile, rule_files: &[(String, String)], settings: &Settings) -> Vec<String> {
    let order = &file.group_eval_order;
    if let Some((_, name)) = order.iter().enumerate().find(|(at, name)| order[..*at].contains(name)) {
        return vec![format!("group name repeated in evaluation order: {name}")];
    }
    let mut failures = Vec::new();
    for test in &file.tests {
        if settings.only.as_ref().is_none_or(|only| only.is_match(&test.name)) {
            failures.extend(run_test(file, test, rule_files, settings));
        }
    }
    failures
}

fn run_test(file: &TestFile, test: &Test, rule_files: &[(String, String)], settings: &Settings) -> Vec<String> {
    let step_ms = i64::try_from(test.interval_ms).unwrap_or(i64::MAX);
    let data = match Data::new(step_ms, &test.series) {
        Ok(data) => data,
        Err(error) => return vec![error],
    };
    let groups = match groups(file, rule_files, settings) {
        Ok(groups) => groups,
        Err(errors) => return errors.iter().map(ToString::to_string).collect(),
    };
    if let Some(case) = test.alerts.iter().find(|case| case.alertname.is_empty()) {
        let of = if test.name.is_empty() { String::new() } else { format!(" (in TestGroup {})", test.name) };
        let at = DisplayMs(case.eval_time_ms);
        let what = "an item under alert_rule_test misses required attribute alertname at eval_time";
        return vec![format!("{what} {at}{of}")];
    }
    let engine = Engine {
        limits: Limits { samples_max: SAMPLES_MAX, ..Limits::default() },
        subquery_step_ms: i64::try_from(file.evaluation_interval_ms).unwrap_or(i64::MAX),
        delayed_name_removal: settings.delayed_name_removal,
        ..Engine::default()
    };
    let options = Options {
        default_interval_ms: file.evaluation_interval_ms,
        external_labels: test.external_labels.clone(),
        external_url: test.external_url.clone(),
    };
    let written = groups.iter().map(|_| HashSet::new()).collect();
    let offsets = groups.iter().map(|group| i64::try_from(group.query_offset_ms).unwrap_or(i64::MAX)).collect();
    let manager = Manager::new(groups, options);
    Running {
        test,
        settings,
        interval_ms: file.evaluation_interval_ms,
        fuzzy: file.fuzzy_compare,
        engine,
        data,
        manager,
        written,
        offsets,
    }
    .all()
}

/// Returns the groups in the order in which they are evaluated.
fn groups(file: &TestFile, rule_files: &[(String, String)], settings: &Settings) -> Result<Vec<Group>, Errors> {
    let options = LoadOptions {
        legacy_names: false,
        ignore_unknown_fields: settings.ignore_unknown_fields,
        features: settings.features,
        is_tool: true,
    };
    let mut errors = Errors::new();
    let mut groups = Vec::new();
    for (name, text) in rule_files {
        groups.extend(load_with(name, text, options, &mut errors));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    for group in &mut groups {
        // Elapsed time is counted from slot to slot, and every evaluation is to be one.
        group.interval_ms = Some(file.evaluation_interval_ms);
    }
    groups.sort_by_key(|group| file.group_eval_order.iter().position(|name| *name == group.name).unwrap_or(0));
    Ok(groups)
}

struct Running<'a> {
    test: &'a Test,
    settings: &'a Settings,
    interval_ms: u64,
    fuzzy: bool,
    engine: Engine,
    data: Data,
    manager: Manager,
    /// What each group wrote last.
    written: Vec<HashSet<Labels>>,
    /// How far in the past each group's samples are.
    offsets: Vec<i64>,
}

impl Running<'_> {
    fn all(mut self) -> Vec<String> {
        let mut failures = Vec::new();
        let alert_times = self.test.alerts.iter().map(|case| case.eval_time_ms);
        let last_ms = alert_times.chain(self.test.exprs.iter().map(|case| case.eval_time_ms)).max().unwrap_or(0);
        let mut at_ms = 0;
        while at_ms <= last_ms {
            let errors = self.evaluate(at_ms);
            if !errors.is_empty() {
                failures.extend(errors);
                return failures;
            }
            let until_ms = at_ms.saturating_add(self.interval_ms);
            let mut due: Vec<&AlertCase> =
                self.test.alerts.iter().filter(|case| (at_ms..until_ms).contains(&case.eval_time_ms)).collect();
            due.sort_by_key(|case| case.eval_time_ms);
            failures.extend(due.iter().filter_map(|case| self.alert(case, at_ms)));
            at_ms = until_ms;
        }
        failures.extend(self.test.exprs.iter().filter_map(|case| self.expr(case)));
        failures
    }

    fn now(&self, at_ms: u64) -> Now {
        let wall = UnixMs(i64::try_from(at_ms).unwrap_or(i64::MAX));
        // An interval later, because slots are counted from a group's place within its first interval.
        Now { mono: Mono(at_ms.saturating_add(self.interval_ms)), wall, wall_trusted: true }
    }

    /// Evaluates all groups; returns what failed.
    fn evaluate(&mut self, at_ms: u64) -> Vec<String> {
        let now = self.now(at_ms);
        self.data.reveal(now.wall);
        for group in 0..self.written.len() {
            let evaluation = self.manager.evaluate(group, now, &self.data, &self.engine);
            let mut written = HashSet::new();
            for row in evaluation.batch().rows() {
                let Some(labels) = Labels::from_packed(evaluation.batch().packed(row)) else { continue };
                self.data.append(&labels, row.at.unwrap_or(now.wall), &row.value);
                written.insert(labels);
            }
            let ended = now.wall.plus_ms(-self.offsets[group]);
            for gone in self.written[group].difference(&written) {
                self.data.append(gone, ended, &Value::Float(stale_nan()));
            }
            self.written[group] = written;
            self.manager.apply(now, evaluation);
        }
        let mut errors = Vec::new();
        for group in self.manager.groups() {
            for (rule, status) in group.group.rules.iter().zip(group.rules) {
                if let Some(error) = &status.last_error {
                    let at = show::go_duration(at_ms);
                    errors.push(format!("    rule: {}, time: {at}, err: {error}", rule.name));
                }
            }
        }
        errors
    }

    /// Compares the alerts of one name that fire.
    fn alert(&self, case: &AlertCase, at_ms: u64) -> Option<String> {
        let mut expected: Vec<ShownAlert> = case.expected.iter().map(|alert| expected_alert(case, alert)).collect();
        let groups = self.manager.view(self.now(at_ms));
        let rules = groups.iter().flat_map(|group| &group.rules).filter(|rule| rule.name == case.alertname);
        let mut got: Vec<ShownAlert> = rules.flat_map(firing).collect();
        expected.sort();
        got.sort();
        if expected == got {
            return None;
        }
        let name = if self.test.name.is_empty() { String::new() } else { format!("    name: {},\n", self.test.name) };
        let (alert, at) = (&case.alertname, DisplayMs(case.eval_time_ms));
        if self.settings.diff {
            let diff = diff::diff(&expected, &got);
            return Some(format!("{name}    alertname: {alert}, time: {at}, \n        diff: {diff}"));
        }
        let (expected, got) = (show::alerts(&expected), show::alerts(&got));
        Some(format!("{name}    alertname: {alert}, time: {at}, \n        exp:{expected}, \n        got:{got}"))
    }

    /// Compares what an expression gives.
    fn expr(&self, case: &ExprCase) -> Option<String> {
        let at = DisplayMs(case.eval_time_ms);
        let head = format!("    expr: {}, time: {at},", promql::script::quoted(&case.expr));
        let both = self.answer(case).and_then(|got| Ok((expected_samples(case)?, got)));
        match both {
            Err(error) => Some(format!("{head} err: {error}")),
            Ok((expected, got)) if self.same(&expected, &got) => None,
            Ok((expected, got)) => {
                let (expected, got) = (show::samples(&expected), show::samples(&got));
                Some(format!("{head}\n        exp: {expected}\n        got: {got}"))
            }
        }
    }

    fn answer(&self, case: &ExprCase) -> Result<Vec<ShownSample>, String> {
        let at = UnixMs(i64::try_from(case.eval_time_ms).unwrap_or(i64::MAX));
        let expr = promql::parse_with(&case.expr, self.settings.features).map_err(|error| error.to_string())?;
        let answer = self.engine.instant(&self.data, &expr, at, &|| false).map_err(|error| error.to_string())?;
        let mut got: Vec<ShownSample> = match answer.value {
            QueryValue::Vector(items) => items.iter().map(|item| shown_sample(&item.labels, &item.value)).collect(),
            QueryValue::Scalar(_, value) => vec![shown_sample(&Labels::empty(), &Value::Float(value))],
            _ => return Err("rule result is not a vector or scalar".to_owned()),
        };
        got.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(got)
    }

    fn same(&self, expected: &[ShownSample], got: &[ShownSample]) -> bool {
        let near = |a: f64, b: f64| self.fuzzy && (a.next_down() == b || a.next_up() == b);
        let same = |a: &ShownSample, b: &ShownSample| {
            a.labels == b.labels && a.histogram == b.histogram && (a.value == b.value || near(a.value, b.value))
        };
        expected.len() == got.len() && expected.iter().zip(got).all(|(a, b)| same(a, b))
    }
}

fn owned(labels: &Labels) -> Pairs {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn shown_sample(labels: &Labels, value: &Value) -> ShownSample {
    let histogram = histogram_text(value).unwrap_or_default();
    ShownSample { labels: owned(labels), value: value.float().unwrap_or(0.0), histogram }
}

fn expected_samples(case: &ExprCase) -> Result<Vec<ShownSample>, String> {
    let mut samples = Vec::new();
    for sample in &case.expected {
        let fail = |error: String| format!("labels {}: {error}", promql::script::quoted(&sample.labels));
        let labels = owned(&parse_labels(&sample.labels).map_err(fail)?);
        let histogram = match sample.histogram.as_str() {
            "" => String::new(),
            text => parse_histogram(text).map_err(fail)?,
        };
        samples.push(ShownSample { labels, value: sample.value, histogram });
    }
    samples.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(samples)
}

/// Returns an expected alert with the name that nobody writes.
fn expected_alert(case: &AlertCase, (labels, annotations): &(Pairs, Pairs)) -> ShownAlert {
    let mut labels: Pairs = labels.iter().filter(|(name, _)| name != "alertname").cloned().collect();
    labels.push(("alertname".to_owned(), case.alertname.clone()));
    let mut annotations = annotations.clone();
    labels.sort();
    annotations.sort();
    ShownAlert { labels, annotations }
}

/// Returns a rule's alerts that fire. An annotation that expands to nothing is one all the same, as in Prometheus.
fn firing(rule: &RuleView) -> Vec<ShownAlert> {
    let Some(view) = &rule.alert else { return Vec::new() };
    let firing = view.alerts.iter().map(|(alert, _)| alert).filter(|alert| alert.state == AlertState::Firing);
    let shown = firing.map(|alert| {
        let annotation =
            |(name, _): &(String, String)| (name.clone(), alert.annotations.get(name).unwrap_or_default().to_owned());
        let mut annotations: Pairs = view.annotations.iter().map(annotation).collect();
        annotations.sort();
        ShownAlert { labels: owned(&alert.labels), annotations }
    });
    shown.collect()
}
