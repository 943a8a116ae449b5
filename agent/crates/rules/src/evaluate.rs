//! Evaluates a group: its rules in order, each seeing what those before it wrote; one that fails stops no other.
//!
//! Gives an [`Evaluation`] that owns all it says: the batch to be appended (recorded series, `ALERTS`, `ALERTS_FOR_STATE`)
//! and the new state of the alerts, which becomes true when the manager applies it.

use std::error::Error as _;

use model::labels::NAME;
use model::seams::Visitor;
use model::{
    AlertState, Batch, Labels, LabelsBuilder, Matcher, MetricKind, Mono, Now, Querier, SelectError, TimeRange, UnixMs,
    Value,
};
use promql::{Engine, Expr, QueryValue};

use crate::alert::{Active, Found, step};
use crate::group::{AlertRule, Group, RecordRule, Rule, RuleKind};
use crate::limits::{ALERTS_PER_RULE_MAX, ERROR_BYTES_MAX, RECORDED_SERIES_MAX};
use crate::overlay::{Overlay, hash};
use crate::template::{Number, Sample, Scope, Template};

/// What came of evaluating one group once.
#[derive(Debug)]
pub struct Evaluation {
    pub(crate) group: usize,
    pub(crate) now: Now,
    pub(crate) batch: Batch,
    pub(crate) results: Vec<RuleResult>,
}

impl Evaluation {
    /// Returns which group it was.
    pub fn group(&self) -> usize {
        self.group
    }

    /// Returns when it was evaluated: the time of its samples.
    pub fn now(&self) -> Now {
        self.now
    }

    /// Returns what is to be stored.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }
}

/// What came of one rule.
#[derive(Debug)]
pub struct RuleResult {
    /// What went wrong, if something did; the rest then means nothing.
    pub error: Option<String>,
    /// The alerts as they stand now; empty for recording rules.
    pub alerts: Vec<Active>,
    /// Hashes of the series written.
    pub written: Vec<u64>,
    /// How long it took.
    pub nanoseconds: u64,
}

/// What the evaluation of a rule knows of the last one.
pub struct Before<'a> {
    pub alerts: &'a [Active],
    pub written: &'a [u64],
}

/// What all rules of an evaluation share.
pub struct Run<'a> {
    pub engine: &'a Engine,
    pub external_url: &'a str,
    pub external_labels: &'a Labels,
    pub now: Now,
    /// The slot on elapsed time that this evaluation belongs to.
    pub slot: Mono,
    /// When the expressions are evaluated and the samples dated: `now` without the group's offset.
    pub at: UnixMs,
    pub stop: &'a dyn Fn() -> bool,
    /// Measures; from any beginning.
    pub nanoseconds: &'a dyn Fn() -> u64,
}

/// Evaluates all rules of a group into a batch.
pub fn evaluate(
    run: &Run<'_>,
    group: &Group,
    before: &[Before<'_>],
    source: &dyn Querier,
    batch: &mut Batch,
) -> Vec<RuleResult> {
    let mut overlay = Overlay::new(source, run.at);
    let mut results = Vec::with_capacity(group.rules.len());
    for (rule, before) in group.rules.iter().zip(before) {
        let begun = (run.nanoseconds)();
        let mut result = match &rule.kind {
            RuleKind::Record(record) => {
                run.record(rule, record, group.limit, &mut overlay, batch).map(|written| (Vec::new(), written))
            }
            RuleKind::Alert(alert) => run.alert(rule, alert, group.limit, before.alerts, &mut overlay, batch),
        };
        if let Err(message) = &mut result {
            cut(message);
        }
        let nanoseconds = (run.nanoseconds)().saturating_sub(begun);
        results.push(match result {
            Ok((alerts, mut written)) => {
                written.sort_unstable();
                let gone = before.written.iter().filter(|hash| written.binary_search(hash).is_err());
                gone.for_each(|hash| overlay.end(*hash));
                RuleResult { error: None, alerts, written, nanoseconds }
            }
            Err(message) => RuleResult { error: Some(message), alerts: Vec::new(), written: Vec::new(), nanoseconds },
        });
    }
    results
}

fn cut(message: &mut String) {
    if message.len() > ERROR_BYTES_MAX {
        let end = (0..=ERROR_BYTES_MAX).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
        message.truncate(end);
    }
}

type Written = Vec<u64>;

impl Run<'_> {
    fn record(
        &self,
        rule: &Rule,
        record: &RecordRule,
        limit: usize,
        overlay: &mut Overlay<'_>,
        batch: &mut Batch,
    ) -> Result<Written, String> {
        let mut rows: Vec<(Labels, Value)> = Vec::new();
        for (labels, value) in self.query(&rule.expr, overlay)? {
            let mut builder = LabelsBuilder::from(&labels);
            let set = builder.set(NAME, &rule.name).map(|_| ());
            let set = set
                .and_then(|()| record.labels.iter().try_for_each(|(name, value)| builder.set(name, value).map(|_| ())));
            set.map_err(|error| error.to_string())?;
            rows.push((builder.finish(), value));
        }
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        if rows.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err("vector contains metrics with the same labelset after applying rule labels".to_owned());
        }
        if limit > 0 && rows.len() > limit || rows.len() > RECORDED_SERIES_MAX {
            let limit = if limit > 0 { limit.min(RECORDED_SERIES_MAX) } else { RECORDED_SERIES_MAX };
            return Err(format!("exceeded limit of {limit} with {} series", rows.len()));
        }
        batch.family(&rule.name, "", MetricKind::Unknown);
        Ok(rows.iter().map(|(labels, value)| self.write(labels, value, overlay, batch)).collect())
    }

    fn alert(
        &self,
        rule: &Rule,
        alert: &AlertRule,
        limit: usize,
        before: &[Active],
        overlay: &mut Overlay<'_>,
        batch: &mut Batch,
    ) -> Result<(Vec<Active>, Written), String> {
        let mut found: Vec<Found> = Vec::new();
        for (labels, value) in self.query(&rule.expr, overlay)? {
            let one = self.expand(rule, alert, &labels, &value, overlay)?;
            if found.iter().any(|other| other.labels == one.labels) {
                return Err("vector contains metrics with the same labelset after applying alert labels".to_owned());
            }
            if found.len() == ALERTS_PER_RULE_MAX {
                return Err(format!("exceeded limit of {ALERTS_PER_RULE_MAX} alerts"));
            }
            found.push(one);
        }
        let alerts = step(alert, before, found, Now { mono: self.slot, ..self.now });
        let live = alerts.iter().filter(|alert| alert.state != AlertState::Resolved);
        let count = live.clone().count();
        if limit > 0 && count > limit {
            return Err(format!("exceeded limit of {limit} with {count} alerts"));
        }
        let mut written = Vec::new();
        for name in ["ALERTS", "ALERTS_FOR_STATE"] {
            batch.family(name, "", MetricKind::Gauge);
            for alert in live.clone() {
                let mut builder = LabelsBuilder::from(&alert.labels);
                let state = if alert.state == AlertState::Firing { "firing" } else { "pending" };
                let is_state = name == "ALERTS";
                let _ = builder.set(NAME, name);
                let _ = builder
                    .set("alertstate", if is_state { state } else { alert.labels.get("alertstate").unwrap_or("") });
                let value = if is_state { 1.0 } else { alert.active_at.0.div_euclid(1000) as f64 };
                written.push(self.write(&builder.finish(), &Value::Float(value), overlay, batch));
            }
        }
        Ok((alerts, written))
    }

    /// Adds a series to the batch, once, and returns its hash.
    fn write(&self, labels: &Labels, value: &Value, overlay: &mut Overlay<'_>, batch: &mut Batch) -> u64 {
        if !overlay.has(labels) {
            overlay.write(labels, value);
            batch.add_labels(labels, value.clone());
            if self.at != self.now.wall {
                batch.stamp_last(Some(self.at), None);
            }
        }
        hash(labels)
    }

    /// Returns what an expression gives, as a vector.
    fn query(&self, expr: &Expr, source: &dyn Querier) -> Result<Vec<(Labels, Value)>, String> {
        let answer = self.engine.instant(source, expr, self.at, self.stop).map_err(|error| {
            let cause = error.source().map_or_else(String::new, |cause| format!(": {cause}"));
            format!("{error}{cause}")
        })?;
        match answer.value {
            QueryValue::Vector(items) => Ok(items.into_iter().map(|item| (item.labels, item.value)).collect()),
            QueryValue::Scalar(_, value) => Ok(vec![(Labels::empty(), Value::Float(value))]),
            _ => Err("rule result is not a vector or scalar".to_owned()),
        }
    }

    /// Returns a value as templates have it. A histogram is a text there, and the engine is who knows it.
    fn number(&self, value: &Value) -> Number {
        if let Value::Float(value) = value {
            return Number::Float(*value);
        }
        let mut one = Overlay::new(&Nothing, self.at);
        one.write(&Labels::from_pairs([(NAME, "h")]), value);
        let expr = promql::parse("count_values(\"text\", h)").expect("a good expression");
        let counted = self.query(&expr, &one).unwrap_or_default();
        let text = counted.first().and_then(|(labels, _)| labels.get("text")).unwrap_or("");
        Number::Histogram(text.into())
    }

    fn expand(
        &self,
        rule: &Rule,
        alert: &AlertRule,
        labels: &Labels,
        value: &Value,
        source: &dyn Querier,
    ) -> Result<Found, String> {
        let query = |text: &str| {
            let expr = promql::parse(text).map_err(|error| error.to_string())?;
            let found = self.query(&expr, source)?;
            Ok(found.into_iter().map(|(labels, value)| Sample { labels, value: self.number(&value) }).collect())
        };
        let scope = Scope {
            now: self.now.wall,
            external_url: self.external_url,
            external_labels: self.external_labels,
            query: &query,
        };
        let number = self.number(value);
        let text = |template: &Template| {
            template
                .expand(labels, &number, &scope)
                .unwrap_or_else(|error| format!("<error expanding template: {error}>"))
        };
        let mut builder = LabelsBuilder::from(labels);
        builder.remove(NAME);
        for (name, template) in &alert.labels {
            set_cut(&mut builder, name, &text(template));
        }
        set_cut(&mut builder, "alertname", &rule.name);
        let mut annotations = LabelsBuilder::new();
        for (name, template) in &alert.annotations {
            set_cut(&mut annotations, name, &text(template));
        }
        let value = value.float().unwrap_or(0.0);
        Ok(Found { labels: builder.finish(), annotations: annotations.finish(), value })
    }
}

/// Sets a label; a value that is too long is cut.
fn set_cut(builder: &mut LabelsBuilder, name: &str, value: &str) {
    let max = model::limits::LABEL_BYTES_MAX.min(value.len());
    let end = (0..=max).rev().find(|at| value.is_char_boundary(*at)).unwrap_or(0);
    let _ = builder.set(name, &value[..end]);
}

/// A store with nothing in it.
struct Nothing;

impl Querier for Nothing {
    fn select(&self, _: &[Matcher], _: TimeRange, _: &mut Visitor<'_>) -> Result<(), SelectError> {
        Ok(())
    }

    fn series(&self, _: &[Matcher], _: TimeRange, _: &mut dyn FnMut(&Labels) -> bool) -> Result<(), SelectError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Counts, Histogram, Mono, ResetHint};

    #[test]
    fn a_histogram_prints_as_promql_prints_it() {
        let engine = Engine::default();
        let labels = Labels::empty();
        let now = Now { mono: Mono(0), wall: UnixMs(1_795_249_000_000), wall_trusted: true };
        let run = Run {
            engine: &engine,
            external_url: "",
            external_labels: &labels,
            now,
            slot: Mono(0),
            at: now.wall,
            stop: &|| false,
            nanoseconds: &|| 0,
        };
        let counts = Counts::Float { zero: 0.0, count: 3.0, positive: vec![], negative: vec![] };
        let histogram = Histogram {
            schema: 0,
            zero_threshold: 0.0,
            sum: 10.0,
            positive_spans: vec![],
            negative_spans: vec![],
            custom_bounds: vec![],
            counts,
            hint: ResetHint::Unknown,
        };
        let text = run.number(&Value::Histogram(std::sync::Arc::new(histogram)));
        assert_eq!(text, Number::Histogram("{count:3, sum:10}".into()));
        assert_eq!(run.number(&Value::Float(1.5)), Number::Float(1.5));
    }
}
