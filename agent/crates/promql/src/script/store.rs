//! The script's data: series in memory, in the order they were first loaded.
//!
//! A histogram gets the reset hint that Prometheus's storage would find for it when it is read back.

use std::collections::HashMap;
use std::sync::Arc;

use model::{
    Labels, Matcher, Querier, ResetHint, SelectError, SeriesSamples, TimeRange, UnixMs, Value, is_stale_nan,
    labels::NAME,
};

use super::read::{Load, Loaded};
use super::series::Slot;
use crate::hist::Hist;

#[derive(Default)]
pub(super) struct Store {
    index: HashMap<Labels, usize>,
    series: Vec<(Labels, Samples)>,
}

#[derive(Default)]
struct Samples {
    at: Vec<UnixMs>,
    floats: Vec<f64>,
    histograms: Vec<(usize, Value)>,
    starts: Vec<Option<UnixMs>>,
    /// The histogram before, while nothing else came in between.
    last: Option<Arc<Hist>>,
}

impl Store {
    /// Adds series.
    pub fn load(&mut self, load: &Load) -> Result<(), String> {
        for series in &load.series {
            self.add(series, load.step)?;
        }
        if load.with_nhcb {
            for series in with_custom_buckets(&load.series) {
                self.add(&series, load.step)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, loaded: &Loaded, step: i64) -> Result<(), String> {
        let at = self.place(&loaded.labels);
        let samples = &mut self.series[at].1;
        for (i, slot) in loaded.slots.iter().enumerate() {
            if matches!(slot, Slot::Nothing) {
                continue;
            }
            let time = UnixMs(i as i64 * step);
            if samples.at.last().is_some_and(|last| *last >= time) {
                return Err(format!("{} has samples out of order", loaded.labels));
            }
            let start = loaded.starts.get(i).copied().flatten().map(|offset| time.plus_ms(offset));
            samples.push(time, slot, start);
        }
        Ok(())
    }

    /// Returns the place of a series, which is made when it is not there.
    pub fn place(&mut self, labels: &Labels) -> usize {
        let next = self.series.len();
        let at = *self.index.entry(labels.clone()).or_insert(next);
        if at == next {
            self.series.push((labels.clone(), Samples::default()));
        }
        at
    }

    /// Adds a sample to the series at a place; one that is not later than what is there is left out.
    pub fn push(&mut self, place: usize, time: UnixMs, slot: &Slot) {
        let Some((_, samples)) = self.series.get_mut(place) else { return };
        if samples.at.last().is_none_or(|last| *last < time) {
            samples.push(time, slot, None);
        }
    }
}

impl Samples {
    fn push(&mut self, time: UnixMs, slot: &Slot, start: Option<UnixMs>) {
        let value = match slot {
            Slot::Float(value) => {
                if !is_stale_nan(*value) {
                    self.last = None;
                }
                *value
            }
            Slot::Hist(hist, _) => {
                let mut hist = Hist::clone(hist);
                hist.hint = hint(self.last.as_deref(), &hist);
                self.histograms.push((self.at.len(), Value::Histogram(Arc::new(hist.to_model()))));
                self.last = Some(Arc::new(hist));
                0.0
            }
            Slot::Nothing => return,
        };
        self.at.push(time);
        self.floats.push(value);
        self.starts.push(start);
    }
}

/// The hint of a histogram that is read back. A reset begins a chunk, and the first of a chunk reads as unknown.
fn hint(before: Option<&Hist>, now: &Hist) -> ResetHint {
    match (now.hint, before) {
        (ResetHint::Gauge, _) => return ResetHint::Gauge,
        (ResetHint::Reset, _) | (_, None) => return ResetHint::Unknown,
        (_, Some(before)) if before.hint == ResetHint::Gauge => return ResetHint::Unknown,
        _ => {}
    }
    let Some(before) = before else { return ResetHint::Unknown };
    let mut plain = now.clone();
    plain.hint = ResetHint::Unknown;
    let other_buckets = before.schema != now.schema
        || before.bounds != now.bounds
        || before.zero_threshold.to_bits() != now.zero_threshold.to_bits();
    if other_buckets || plain.is_reset_since(before) { ResetHint::Unknown } else { ResetHint::NotReset }
}

impl Querier for Store {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        visit: &mut model::seams::Visitor<'_>,
    ) -> Result<(), SelectError> {
        for (labels, samples) in &self.series {
            if !matchers.iter().all(|matcher| matcher.matches_labels(labels)) {
                continue;
            }
            let from = samples.at.partition_point(|at| *at < range.start);
            let to = samples.at.partition_point(|at| *at <= range.end);
            if from >= to {
                continue;
            }
            let histograms: Vec<(usize, Value)> = samples
                .histograms
                .iter()
                .filter(|(at, _)| (from..to).contains(at))
                .map(|(at, value)| (at - from, value.clone()))
                .collect();
            let has_starts = samples.starts.iter().any(Option::is_some);
            let lent = SeriesSamples {
                at: &samples.at[from..to],
                floats: &samples.floats[from..to],
                histograms: &histograms,
                starts: if has_starts { &samples.starts[from..to] } else { &[] },
            };
            if !visit(labels, lent) {
                return Err(SelectError::Stopped);
            }
        }
        Ok(())
    }

    fn series(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        visit: &mut dyn FnMut(&Labels) -> bool,
    ) -> Result<(), SelectError> {
        self.select(matchers, range, &mut |labels, _| visit(labels))
    }
}

/// The classic buckets of one histogram at one slot.
#[derive(Default, Clone)]
struct Classic {
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: Option<f64>,
}

/// Makes native histograms with custom buckets of classic ones.
fn with_custom_buckets(all: &[Loaded]) -> Vec<Loaded> {
    let mut order: Vec<Labels> = Vec::new();
    let mut found: HashMap<Labels, Vec<Classic>> = HashMap::new();
    for series in all {
        let name = series.labels.name();
        let le = series.labels.get("le").and_then(|le| crate::parse::parse_number(le).ok());
        let (base, kind) =
            match ["_bucket", "_count", "_sum"].iter().find_map(|end| Some((name.strip_suffix(end)?, *end))) {
                Some((base, "_bucket")) if le.is_some() => (base, "_bucket"),
                Some((base, kind)) if kind != "_bucket" => (base, kind),
                _ => continue,
            };
        let labels = series.labels.filter(|label| label != "le").with(NAME, base);
        let slots = found.entry(labels.clone()).or_insert_with(|| {
            order.push(labels);
            Vec::new()
        });
        slots.resize(slots.len().max(series.slots.len()), Classic::default());
        for (slot, classic) in series.slots.iter().zip(slots.iter_mut()) {
            let Slot::Float(value) = slot else { continue };
            match (kind, le) {
                ("_count", _) => classic.count = Some(*value),
                ("_sum", _) => classic.sum = Some(*value),
                (_, Some(le)) => classic.buckets.push((le, *value)),
                _ => {}
            }
        }
    }
    order
        .into_iter()
        .map(|labels| {
            let slots = found.remove(&labels).unwrap_or_default();
            Loaded { labels, slots: slots.into_iter().map(convert).collect(), starts: Vec::new() }
        })
        .collect()
}

fn convert(mut classic: Classic) -> Slot {
    classic.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    let last = classic.buckets.last().copied();
    let count = match (classic.count, last) {
        (Some(count), _) => count,
        (None, Some((_, count))) => count,
        _ => return Slot::Nothing,
    };
    if last.is_none_or(|(le, _)| le != f64::INFINITY) {
        classic.buckets.push((f64::INFINITY, count));
    }
    let bounds: Vec<f64> = classic.buckets.iter().map(|(le, _)| *le).filter(|le| *le != f64::INFINITY).collect();
    let mut before = 0.0;
    let mut positive = Vec::new();
    for (i, (_, cumulative)) in classic.buckets.iter().enumerate() {
        let here = cumulative - before;
        if here < 0.0 {
            return Slot::Nothing;
        }
        if here != 0.0 {
            positive.push((i as i32, here));
        }
        before = *cumulative;
    }
    let hist = Hist {
        schema: model::histogram::CUSTOM_BUCKETS_SCHEMA,
        zero_threshold: 0.0,
        zero: 0.0,
        count,
        sum: classic.sum.unwrap_or(0.0),
        positive,
        negative: Vec::new(),
        bounds: bounds.into(),
        hint: ResetHint::Unknown,
    };
    Slot::Hist(Arc::new(hist), false)
}
