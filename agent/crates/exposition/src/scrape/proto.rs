//! Reads `io.prometheus.client.MetricFamily` messages, each behind its length, as Prometheus does.
//!
//! A family gives its help, its unit if it has one, its kind, and then each metric's samples in the order in which
//! the peer gives them: `_count` and `_sum` first, then buckets (a missing `+Inf` is added) or quantiles. A histogram
//! with spans, a zero bucket or a zero threshold is native and gives one entry; its classic series follow if they are
//! kept. Texts are copied into the item's buffer, because protobuf's need not be UTF-8 and have to be checked.
//! Families without metrics are skipped. Nothing is allocated for what a length claims.
//!
//! Sources: client_model, `io/prometheus/client/metrics.proto`; Prometheus, `model/textparse/protobufparse.go`.

use model::MetricKind;

use super::entry::{ExemplarItem, Item, ItemKind, Pair, Piece};
use super::number::{nan, push_bound};
use super::quote::quote;
use super::wire::{Field, Wire};
use super::{Limits, ScrapeOptions};

mod native;

/// Reads one body.
#[derive(Debug)]
pub(super) struct ProtoScrape<'a> {
    body: Wire<'a>,
    family: Family<'a>,
    metric: Metric<'a>,
    stage: Stage,
    pub(super) item: Item,
    options: ScrapeOptions,
    limits: Limits,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Family,
    Help,
    Unit,
    Type,
    Metric,
    Value,
    Native,
    Count,
    Sum,
    Parts,
}

#[derive(Debug, Default)]
struct Family<'a> {
    name: &'a str,
    help: &'a str,
    unit: &'a str,
    kind: MetricKind,
    /// The rest of the message, in which the next metric is.
    metrics: Wire<'a>,
}

#[derive(Debug, Default)]
struct Metric<'a> {
    /// The counter, gauge, summary, histogram or untyped value.
    value: &'a [u8],
    at: Option<i64>,
    start: Option<i64>,
    /// The rest of the value, in which the next bucket or quantile is.
    parts: Wire<'a>,
    /// Whether a bucket without a bound above it was seen.
    has_infinity: bool,
    /// How much of the item is the metric's labels.
    pairs: usize,
    kept: usize,
}

impl<'a> ProtoScrape<'a> {
    pub(super) fn new(bytes: &'a [u8], item: Item, options: ScrapeOptions, limits: Limits) -> ProtoScrape<'a> {
        let (body, stage) = (Wire::new(bytes), Stage::Family);
        let (family, metric) = (Family::default(), Metric::default());
        ProtoScrape { body, family, metric, stage, item, options, limits }
    }

    /// Reads the next entry into the item; `false` at the end.
    pub(super) fn advance(&mut self) -> Result<bool, String> {
        loop {
            let next = match self.stage {
                Stage::Family => {
                    if self.body.rest.is_empty() {
                        return Ok(false);
                    }
                    self.family()?
                }
                Stage::Help => {
                    self.metadata(ItemKind::Help, self.family.help);
                    let has_unit = !self.family.unit.is_empty();
                    self.stage = if has_unit { Stage::Unit } else { Stage::Type };
                    return Ok(true);
                }
                Stage::Unit => {
                    self.metadata(ItemKind::Unit, self.family.unit);
                    self.stage = Stage::Type;
                    return Ok(true);
                }
                Stage::Type => {
                    self.metadata(ItemKind::Type, "");
                    self.stage = Stage::Metric;
                    return Ok(true);
                }
                Stage::Metric => self.metric().map_err(|what| self.blame(what))?,
                stage => {
                    let is_entry = self.part(stage).map_err(|what| self.blame(what))?;
                    if is_entry {
                        return Ok(true);
                    }
                    Stage::Metric
                }
            };
            self.stage = next;
        }
    }

    fn blame(&self, what: String) -> String {
        format!("{what} in metric {}", quote(self.family.name.as_bytes()))
    }

    /// Reads what a family says of itself.
    fn family(&mut self) -> Result<Stage, String> {
        let message = self.body.delimited()?;
        let (mut name, mut help, mut unit, mut kind) = (&b""[..], &b""[..], &b""[..], 0);
        let mut is_empty = true;
        let mut wire = Wire::new(message);
        while let Some((number, field)) = wire.field()? {
            match number {
                1 => name = field.bytes(),
                2 => help = field.bytes(),
                3 => kind = field.integer(),
                4 => is_empty = false,
                5 => unit = field.bytes(),
                _ => {}
            }
        }
        if is_empty {
            return Ok(Stage::Family);
        }
        let text = |bytes: &'a [u8]| std::str::from_utf8(bytes).ok();
        let name = text(name).filter(|text| !text.is_empty() && text.len() <= self.limits.label_bytes);
        let name = name.ok_or_else(|| "invalid metric name: expected UTF-8 that is not empty".to_owned())?;
        let quoted = || quote(name.as_bytes());
        let help = text(help).ok_or_else(|| format!("invalid help for metric {}: {}", quoted(), quote(help)))?;
        let unit = text(unit).ok_or_else(|| format!("invalid unit for metric {}: {}", quoted(), quote(unit)))?;
        let kind = match kind {
            0 => MetricKind::Counter,
            1 => MetricKind::Gauge,
            2 => MetricKind::Summary,
            3 => MetricKind::Unknown,
            4 => MetricKind::Histogram,
            5 => MetricKind::GaugeHistogram,
            other => return Err(format!("unknown metric type for metric {}: {other}", quoted())),
        };
        let total = if kind == MetricKind::Counter { name.strip_suffix("_total") } else { None };
        let is_suffix = |name: &str| name.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_'));
        if !unit.is_empty() && !is_suffix(total.unwrap_or(name)) {
            let word = if total.is_some() { "counter" } else { "metric" };
            return Err(format!("unit {} not a suffix of {word} {}", quote(unit.as_bytes()), quoted()));
        }
        self.family = Family { name, help, unit, kind, metrics: Wire::new(message) };
        Ok(Stage::Help)
    }

    fn metadata(&mut self, kind: ItemKind, text: &str) {
        self.item.clear();
        self.item.name = self.item.keep(self.family.name);
        self.item.text = self.item.keep(text);
        (self.item.kind, self.item.metric) = (kind, self.family.kind);
    }

    /// Reads the next metric's labels, time and value; the family is over where there is none.
    fn metric(&mut self) -> Result<Stage, String> {
        let message = loop {
            match self.family.metrics.field()? {
                None => return Ok(Stage::Family),
                Some((4, field)) => break field.bytes(),
                Some(_) => {}
            }
        };
        self.item.clear();
        self.metric = Metric::default();
        let kind = self.family.kind;
        let mut wire = Wire::new(message);
        while let Some((number, field)) = wire.field()? {
            match (number, kind) {
                (1, _) => push_label(&mut self.item.kept, &mut self.item.pairs, field.bytes(), &self.limits)?,
                (6, _) => self.metric.at = Some(field.integer() as i64).filter(|at| *at != 0),
                (2, MetricKind::Gauge) | (3, MetricKind::Counter) | (4, MetricKind::Summary) => {
                    self.metric.value = field.bytes()
                }
                (5, MetricKind::Unknown) => self.metric.value = field.bytes(),
                (7, MetricKind::Histogram | MetricKind::GaugeHistogram) => self.metric.value = field.bytes(),
                _ => {}
            }
        }
        self.check_labels()?;
        (self.metric.pairs, self.metric.kept) = (self.item.pairs.len(), self.item.kept.len());
        self.metric.parts = Wire::new(self.metric.value);
        self.metric.start = self.started()?.filter(|_| self.options.starts);
        Ok(match kind {
            MetricKind::Summary => Stage::Count,
            MetricKind::Histogram | MetricKind::GaugeHistogram => match native::is_native(self.metric.value)? {
                true => Stage::Native,
                false => Stage::Count,
            },
            _ => Stage::Value,
        })
    }

    fn check_labels(&self) -> Result<(), String> {
        let texts = super::entry::Texts { text: "", base: 0, kept: &self.item.kept };
        for (i, (name, _)) in self.item.pairs.iter().enumerate() {
            let name = texts.of(*name);
            let is_repeated = self.item.pairs[..i].iter().any(|(other, _)| texts.of(*other) == name);
            if is_repeated || name == model::labels::NAME {
                return Err(format!("label name {} is not unique", quote(name.as_bytes())));
            }
            if name.is_empty() {
                return Err("expected a label name that is not empty".to_owned());
            }
        }
        Ok(())
    }

    /// Returns when the value's counter began.
    fn started(&self) -> Result<Option<i64>, String> {
        let number = match self.family.kind {
            MetricKind::Counter => 3,
            MetricKind::Summary => 4,
            MetricKind::Histogram | MetricKind::GaugeHistogram => 15,
            _ => return Ok(None),
        };
        match last(self.metric.value, number)? {
            Some(field) => Ok(Some(timestamp(field.bytes())?)),
            None => Ok(None),
        }
    }

    /// Makes the next sample of the metric; `false` where there is none left.
    fn part(&mut self, stage: Stage) -> Result<bool, String> {
        self.item.pairs.truncate(self.metric.pairs);
        self.item.kept.truncate(self.metric.kept);
        self.item.exemplars.clear();
        self.item.exemplar_pairs.clear();
        (self.item.at, self.item.start) = (self.metric.at, self.metric.start);
        let value = self.metric.value;
        match stage {
            Stage::Value => {
                self.sample("", last(value, 1)?.map_or(0.0, Field::double));
                if let (MetricKind::Counter, Some(field)) = (self.family.kind, last(value, 2)?) {
                    self.exemplar(field.bytes())?;
                }
                self.stage = Stage::Metric;
            }
            Stage::Native => {
                self.native()?;
                let is_kept = self.options.keep_classic && last(value, 3)?.is_some();
                self.stage = if is_kept { Stage::Count } else { Stage::Metric };
            }
            Stage::Count => {
                self.sample("_count", count(value, 1, 4)?);
                self.stage = Stage::Sum;
            }
            Stage::Sum => {
                self.sample("_sum", last(value, 2)?.map_or(0.0, Field::double));
                self.stage = Stage::Parts;
            }
            _ => return self.bucket_or_quantile(),
        }
        Ok(true)
    }

    fn bucket_or_quantile(&mut self) -> Result<bool, String> {
        let is_summary = self.family.kind == MetricKind::Summary;
        let message = loop {
            match self.metric.parts.field()? {
                Some((3, field)) => break field.bytes(),
                Some(_) => continue,
                None if is_summary || self.metric.has_infinity => return Ok(false),
                None => {
                    self.metric.has_infinity = true;
                    self.sample("_bucket", count(self.metric.value, 1, 4)?);
                    self.bound("le", f64::INFINITY);
                    return Ok(true);
                }
            }
        };
        if is_summary {
            self.sample("", last(message, 2)?.map_or(0.0, Field::double));
            self.bound("quantile", last(message, 1)?.map_or(0.0, Field::double));
            return Ok(true);
        }
        let bound = last(message, 2)?.map_or(0.0, Field::double);
        self.metric.has_infinity |= bound == f64::INFINITY;
        self.sample("_bucket", count(message, 1, 4)?);
        self.bound("le", bound);
        if let Some(field) = last(message, 3)? {
            self.exemplar(field.bytes())?;
        }
        Ok(true)
    }

    fn sample(&mut self, suffix: &str, value: f64) {
        self.name(suffix);
        self.item.kind = ItemKind::Sample;
        self.item.value = if value.is_nan() && !model::is_stale_nan(value) { nan() } else { value };
    }

    fn name(&mut self, suffix: &str) {
        let start = self.item.keep(self.family.name).start;
        self.item.name = Piece { start, ..self.item.keep(suffix) };
    }

    fn bound(&mut self, name: &str, bound: f64) {
        let name = self.item.keep(name);
        let start = self.item.kept.len() as u32;
        push_bound(&mut self.item.kept, bound);
        self.item.pairs.push((name, Piece { start, end: self.item.kept.len() as u32, kept: true }));
    }

    fn exemplar(&mut self, message: &[u8]) -> Result<(), String> {
        let first = self.item.exemplar_pairs.len();
        let (mut value, mut at) = (0.0, None);
        let mut wire = Wire::new(message);
        while let Some((number, field)) = wire.field()? {
            match number {
                1 => push_label(&mut self.item.kept, &mut self.item.exemplar_pairs, field.bytes(), &self.limits)?,
                2 => value = field.double(),
                3 => at = Some(timestamp(field.bytes())?),
                _ => {}
            }
        }
        let pairs = (first, self.item.exemplar_pairs.len());
        self.item.exemplars.push(ExemplarItem { pairs, value, at });
        Ok(())
    }
}

/// Returns a message's field of this number, the last where there are several.
fn last(message: &[u8], number: u64) -> Result<Option<Field<'_>>, String> {
    let (mut wire, mut found) = (Wire::new(message), None);
    while let Some((n, field)) = wire.field()? {
        if n == number {
            found = Some(field);
        }
    }
    Ok(found)
}

/// Returns a count: the float one where it is above zero, else the integer one.
fn count(message: &[u8], integer: u64, float: u64) -> Result<f64, String> {
    let value = last(message, float)?.map_or(0.0, Field::double);
    if value > 0.0 {
        return Ok(value);
    }
    Ok(last(message, integer)?.map_or(0, Field::integer) as f64)
}

/// Returns a `google.protobuf.Timestamp` in milliseconds.
fn timestamp(message: &[u8]) -> Result<i64, String> {
    let seconds = last(message, 1)?.map_or(0, Field::integer) as i64;
    let nanos = last(message, 2)?.map_or(0, Field::integer) as i64;
    Ok(seconds.saturating_mul(1_000).saturating_add(nanos / 1_000_000))
}

fn push_label(kept: &mut String, pairs: &mut Vec<Pair>, message: &[u8], limits: &Limits) -> Result<(), String> {
    if pairs.len() >= limits.labels {
        return Err(format!("expected at most {} labels", limits.labels));
    }
    let mut put = |number, what: &str| {
        let bytes = last(message, number)?.map_or(&b""[..], Field::bytes);
        if bytes.len() > limits.label_bytes {
            return Err(format!("expected a label name and value of at most {} bytes", limits.label_bytes));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| format!("invalid label {what}: {}", quote(bytes)))?;
        let start = kept.len() as u32;
        kept.push_str(text);
        Ok(Piece { start, end: kept.len() as u32, kept: true })
    };
    let pair = (put(1, "name")?, put(2, "value")?);
    pairs.push(pair);
    Ok(())
}
