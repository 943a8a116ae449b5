//! One group: the families last pushed to it, as metrics and no longer as lines.
//!
//! Lines of a histogram or a summary that belong together are one metric, so that it is replaced, counted and printed
//! whole: buckets in ascending order, `+Inf` added from the count, sum and count 0 where nobody gave them. The group's
//! labels win over a pushed label of the same name; `instance` is there, if only empty, as with the peer.

use std::collections::{BTreeMap, HashMap};

use model::{Batch, MetricKind, Row, UnixMs, Value};

use crate::path::Grouping;

/// What one metric measured.
#[derive(Debug, Clone)]
pub enum Point {
    /// A number.
    Plain(f64),
    /// Buckets by upper bound, then sum and count.
    Histogram {
        /// Upper bound and how many were up to it, ascending.
        buckets: Vec<(f64, f64)>,
        /// The sum.
        sum: f64,
        /// The count.
        count: Option<f64>,
    },
    /// Quantiles, then sum and count.
    Summary {
        /// Quantile and value, ascending.
        quantiles: Vec<(f64, f64)>,
        /// The sum.
        sum: f64,
        /// The count.
        count: f64,
    },
    /// A native histogram.
    Native(Value),
}

/// One label set of a family, the group's labels included.
#[derive(Debug, Clone)]
pub struct Metric {
    /// Names and values in ascending order of names; values may be empty.
    pub labels: Vec<(String, String)>,
    /// What was measured.
    pub point: Point,
}

/// One family of a group.
#[derive(Debug, Clone)]
pub struct Family {
    /// What kind it is.
    pub kind: MetricKind,
    /// The help text, empty when there was none.
    pub help: String,
    /// When it was pushed.
    pub pushed: UnixMs,
    /// Its metrics, in the order they were pushed.
    pub metrics: Vec<Metric>,
}

/// Everything pushed under one set of labels.
#[derive(Debug, Clone, Default)]
pub struct Group {
    /// When a push succeeded last.
    pub pushed: Option<UnixMs>,
    /// When a push failed last.
    pub failed: Option<UnixMs>,
    /// The families by name.
    pub families: BTreeMap<String, Family>,
}

impl Group {
    /// Returns whether nothing failed since the last success.
    pub fn is_successful(&self) -> bool {
        self.failed.is_none_or(|failed| self.pushed.is_some_and(|pushed| pushed >= failed))
    }

    /// Returns how many metrics there are, and how many bytes of text.
    pub(crate) fn cost(&self) -> (usize, usize) {
        let mut cost = (0, 0);
        for (name, family) in &self.families {
            cost.0 += family.metrics.len();
            cost.1 += name.len() + family.help.len();
            let labels = family.metrics.iter().flat_map(|metric| &metric.labels);
            cost.1 += labels.map(|(name, value)| name.len() + value.len()).sum::<usize>();
        }
        cost
    }
}

/// Why a batch is no group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unfit {
    Timestamp,
    Twice { name: String, labels: Vec<(String, String)> },
}

/// Makes families of what was pushed.
pub(crate) fn families(batch: &Batch, grouping: &Grouping, now: UnixMs) -> Result<BTreeMap<String, Family>, Unfit> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut places: HashMap<(u32, Vec<(String, String)>), usize> = HashMap::new();
    for row in batch.rows() {
        if row.at.is_some() {
            return Err(Unfit::Timestamp);
        }
        let about = &batch.families()[row.family as usize];
        let name = batch.name(about);
        if crate::groups::is_own(name) {
            continue;
        }
        let family = families.entry(name.to_owned()).or_insert_with(|| Family {
            kind: about.kind,
            help: batch.help(about).to_owned(),
            pushed: now,
            metrics: Vec::new(),
        });
        let (labels, bound) = labels(batch, row, about.kind, grouping);
        let suffix = full_name(batch, row).strip_prefix(name).unwrap_or_default().to_owned();
        let before = family.metrics.len();
        let place = *places.entry((row.family, labels)).or_insert_with_key(|(_, labels)| {
            let point = first(about.kind, &row.value);
            family.metrics.push(Metric { labels: labels.clone(), point });
            before
        });
        let is_new = place == before;
        let Some(metric) = family.metrics.get_mut(place) else { continue };
        if !metric.point.take(&suffix, bound, &row.value, is_new) {
            return Err(Unfit::Twice { name: name.to_owned(), labels: metric.labels.clone() });
        }
    }
    families.values_mut().flat_map(|family| &mut family.metrics).for_each(|metric| metric.point.finish());
    Ok(families)
}

fn full_name<'a>(batch: &'a Batch, row: &Row) -> &'a str {
    batch.labels(row).find(|(name, _)| *name == model::labels::NAME).map_or("", |(_, value)| value)
}

/// Returns a row's labels under the group's, and the bound of its bucket or quantile.
fn labels(batch: &Batch, row: &Row, kind: MetricKind, grouping: &Grouping) -> (Vec<(String, String)>, Option<f64>) {
    let bound_name = match kind {
        MetricKind::Histogram | MetricKind::GaugeHistogram => "le",
        MetricKind::Summary => "quantile",
        _ => "",
    };
    let (mut labels, mut bound) = (BTreeMap::new(), None);
    let given = batch.labels(row).chain(batch.blanks(row).map(|name| (name, "")));
    for (name, value) in given.filter(|(name, _)| *name != model::labels::NAME) {
        match name == bound_name {
            true => bound = value.parse().ok(),
            false => drop(labels.insert(name.to_owned(), value.to_owned())),
        }
    }
    labels.extend(grouping.iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
    labels.entry("instance".to_owned()).or_default();
    (labels.into_iter().collect(), bound)
}

fn first(kind: MetricKind, value: &Value) -> Point {
    match (kind, value) {
        (_, Value::Histogram(_)) => Point::Native(value.clone()),
        (MetricKind::Histogram | MetricKind::GaugeHistogram, _) => {
            Point::Histogram { buckets: Vec::new(), sum: 0.0, count: None }
        }
        (MetricKind::Summary, _) => Point::Summary { quantiles: Vec::new(), sum: 0.0, count: 0.0 },
        _ => Point::Plain(0.0),
    }
}

impl Point {
    /// Takes one line of the metric; returns false when it was there already.
    fn take(&mut self, suffix: &str, bound: Option<f64>, value: &Value, is_new: bool) -> bool {
        let Value::Float(value) = *value else { return is_new };
        match self {
            Point::Plain(plain) => {
                *plain = value;
                return is_new;
            }
            Point::Histogram { buckets, sum, count } => match (suffix, bound) {
                ("_sum", _) => *sum = value,
                ("_count", _) => *count = Some(value),
                (_, Some(bound)) => return put(buckets, bound, value),
                _ => {}
            },
            Point::Summary { quantiles, sum, count } => match (suffix, bound) {
                ("_sum", _) => *sum = value,
                ("_count", _) => *count = value,
                (_, Some(bound)) => return put(quantiles, bound, value),
                _ => {}
            },
            Point::Native(_) => {}
        }
        true
    }

    fn finish(&mut self) {
        match self {
            Point::Histogram { buckets, count, .. } => {
                buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
                let last = buckets.last().filter(|(bound, _)| *bound == f64::INFINITY).map(|(_, count)| *count);
                let total = count.or(last).unwrap_or(0.0);
                if last.is_none() {
                    buckets.push((f64::INFINITY, total));
                }
                *count = Some(total);
            }
            Point::Summary { quantiles, .. } => quantiles.sort_by(|a, b| a.0.total_cmp(&b.0)),
            _ => {}
        }
    }
}

fn put(places: &mut Vec<(f64, f64)>, bound: f64, value: f64) -> bool {
    let is_new = places.iter().all(|(other, _)| other.to_bits() != bound.to_bits());
    places.push((bound, value));
    is_new
}
