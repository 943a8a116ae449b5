//! One series of a remote-write request: its labels, its samples, and the batches they go to.
//!
//! The parts are gathered while the message is read, in memory that the next series uses again, and given out at once
//! when it is over; what cannot be true is counted with its reason. The wire format is read by `scrape::wire`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use model::labels::NAME;
use model::limits::{LABEL_BYTES_MAX, LABELS_MAX};
use model::{Batch, Histogram, Labels, MetricKind, UnixMs, Value};

use super::{WriteLimits, WriteVersion, Written, WrittenExemplar, histogram, kind};
use crate::scrape::wire::{Field, Wire};

/// Gathers a request.
pub(super) struct Builder<'a> {
    version: WriteVersion,
    symbols: &'a [&'a str],
    limits: WriteLimits,
    series: usize,
    /// How many floats and histograms of each series there are already: Prometheus sends a series anew for each sample.
    given: HashMap<Labels, (usize, usize)>,
    out: Written,
    one: One<'a>,
}

/// Names and values of labels.
type Pairs<'a> = Vec<(&'a str, &'a str)>;

/// The parts of the series being read; its memory is kept for the next.
#[derive(Default)]
struct One<'a> {
    labels: Vec<(&'a str, &'a str)>,
    /// Why the labels are none, while the rest is read to be counted.
    wrong: Option<String>,
    floats: Vec<(f64, UnixMs, Option<UnixMs>)>,
    histograms: Vec<(Histogram, UnixMs, Option<UnixMs>)>,
    /// Histograms whose numbers cannot be true.
    bad: Vec<String>,
    exemplars: Vec<(Pairs<'a>, f64, UnixMs)>,
    about: Option<About<'a>>,
    start: Option<UnixMs>,
}

#[derive(Clone, Copy, Default)]
struct About<'a> {
    kind: MetricKind,
    help: &'a str,
    unit: &'a str,
}

impl<'a> Builder<'a> {
    pub(super) fn new(version: WriteVersion, symbols: &'a [&'a str], limits: WriteLimits) -> Builder<'a> {
        let (given, out, one) = (HashMap::new(), Written::default(), One::default());
        Builder { version, symbols, limits, series: 0, given, out, one }
    }

    pub(super) fn finish(self) -> Written {
        self.out
    }

    /// Takes a 1.0 request's metadata: a family without rows.
    pub(super) fn metadata(&mut self, message: &[u8]) -> Result<(), String> {
        let (mut name, mut about, mut wire) = ("", About::default(), Wire::new(message));
        while let Some((number, field)) = wire.field()? {
            match number {
                1 => about.kind = kind(field.integer()),
                2 => name = text(field)?,
                4 => about.help = text(field)?,
                5 => about.unit = text(field)?,
                _ => {}
            }
        }
        if !name.is_empty() {
            layer(&mut self.out.floats, 0).family_with_unit(name, about.help, about.kind, about.unit);
        }
        Ok(())
    }

    /// Takes one series.
    pub(super) fn series(&mut self, message: &'a [u8]) -> Result<(), String> {
        if self.series >= self.limits.series {
            return Err(format!("at most {} series are accepted in a request", self.limits.series));
        }
        self.series += 1;
        self.one.clear();
        let mut wire = Wire::new(message);
        while let Some((number, field)) = wire.field()? {
            match self.version {
                WriteVersion::V1 => self.field_v1(number, field)?,
                WriteVersion::V2 => self.field_v2(number, field)?,
            }
            if self.one.floats.len() + self.one.histograms.len() > self.limits.samples_each {
                return Err(format!("at most {} samples of a series are accepted", self.limits.samples_each));
            }
        }
        self.deliver()
    }

    fn field_v1(&mut self, number: u64, field: Field<'a>) -> Result<(), String> {
        match number {
            1 => {
                let pair = pair(field.bytes())?;
                self.one.labels.push(pair);
            }
            2 => self.sample(field.bytes())?,
            3 => {
                let (mut labels, mut value, mut at, mut wire) = (Vec::new(), 0.0, 0, Wire::new(field.bytes()));
                while let Some((number, field)) = wire.field()? {
                    match number {
                        1 => labels.push(pair(field.bytes())?),
                        2 => value = field.double(),
                        3 => at = field.integer() as i64,
                        _ => {}
                    }
                }
                self.one.exemplars.push((labels, value, UnixMs(at)));
            }
            4 => self.histogram(field.bytes())?,
            _ => {}
        }
        Ok(())
    }

    fn field_v2(&mut self, number: u64, field: Field<'a>) -> Result<(), String> {
        match number {
            1 => {
                let mut refs = Vec::new();
                references(&mut refs, field)?;
                match self.pairs(&refs) {
                    Ok(pairs) => self.one.labels.extend(pairs),
                    Err(reason) => self.one.wrong = Some(reason),
                }
            }
            2 => self.sample(field.bytes())?,
            3 => self.histogram(field.bytes())?,
            4 => self.exemplar_v2(field.bytes())?,
            5 => self.about_v2(field.bytes())?,
            6 => self.one.start = Some(UnixMs(field.integer() as i64)).filter(|start| start.0 != 0),
            _ => {}
        }
        Ok(())
    }

    fn exemplar_v2(&mut self, message: &'a [u8]) -> Result<(), String> {
        let (mut refs, mut value, mut at, mut wire) = (Vec::new(), 0.0, 0, Wire::new(message));
        while let Some((number, field)) = wire.field()? {
            match number {
                1 => references(&mut refs, field)?,
                2 => value = field.double(),
                3 => at = field.integer() as i64,
                _ => {}
            }
        }
        let labels = self.pairs(&refs)?;
        self.one.exemplars.push((labels, value, UnixMs(at)));
        Ok(())
    }

    fn about_v2(&mut self, message: &'a [u8]) -> Result<(), String> {
        let (mut about, mut wire) = (About::default(), Wire::new(message));
        while let Some((number, field)) = wire.field()? {
            match number {
                1 => about.kind = kind(field.integer()),
                3 => about.help = self.symbol(field.integer())?,
                4 => about.unit = self.symbol(field.integer())?,
                _ => {}
            }
        }
        self.one.about = Some(about);
        Ok(())
    }

    fn symbol(&self, reference: u64) -> Result<&'a str, String> {
        let found = usize::try_from(reference).ok().and_then(|at| self.symbols.get(at));
        found
            .copied()
            .ok_or_else(|| format!("symbol {reference} is not among the {} of the request", self.symbols.len()))
    }

    fn pairs(&self, refs: &[u64]) -> Result<Vec<(&'a str, &'a str)>, String> {
        let (pairs, rest) = refs.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(format!("invalid labelRefs length {}", refs.len()));
        }
        pairs.iter().map(|[name, value]| Ok((self.symbol(*name)?, self.symbol(*value)?))).collect()
    }

    fn sample(&mut self, message: &[u8]) -> Result<(), String> {
        let (mut value, mut at, mut start, mut wire) = (0.0, 0, 0, Wire::new(message));
        while let Some((number, field)) = wire.field()? {
            match number {
                1 => value = field.double(),
                2 => at = field.integer() as i64,
                3 => start = field.integer() as i64,
                _ => {}
            }
        }
        let start = (start != 0).then_some(UnixMs(start));
        self.one.floats.push((value, UnixMs(at), start));
        Ok(())
    }

    fn histogram(&mut self, message: &[u8]) -> Result<(), String> {
        match histogram::read(message) {
            Ok(found) => self.one.histograms.push(found),
            Err(reason) => self.one.bad.push(reason),
        }
        Ok(())
    }

    /// Puts the series' samples into the batches, or counts why not.
    fn deliver(&mut self) -> Result<(), String> {
        let one = &mut self.one;
        let samples = (one.floats.len() + one.histograms.len() + one.bad.len()) as u64;
        let labels = match one.wrong.take().map_or_else(|| labels(&mut one.labels), Err) {
            Ok(labels) => labels,
            Err(reason) => {
                self.out.leave_out(samples.max(1), reason);
                return Ok(());
            }
        };
        for reason in one.bad.drain(..) {
            self.out.leave_out(1, format!("{reason} for series {labels}"));
        }
        let about = one.about.unwrap_or_default();
        let family = family_name(labels.name(), about.kind);
        if samples == 0 && one.about.is_some() {
            layer(&mut self.out.floats, 0).family_with_unit(family, about.help, about.kind, about.unit);
        }
        let (floats, histograms) = self.given.entry(labels.clone()).or_default();
        for (value, time, start) in &one.floats {
            let row = (Value::Float(*value), *time, start.or(one.start));
            add(layer(&mut self.out.floats, *floats), (family, about), &labels, row);
            *floats += 1;
        }
        for (found, time, start) in one.histograms.drain(..) {
            let row = (Value::Histogram(Arc::new(found)), time, start.or(one.start));
            add(layer(&mut self.out.histograms, *histograms), (family, about), &labels, row);
            *histograms += 1;
        }
        if *floats + *histograms > self.limits.samples_each {
            return Err(format!("at most {} samples of a series are accepted", self.limits.samples_each));
        }
        for (own, value, at) in one.exemplars.drain(..) {
            let own = Labels::from_pairs(own.iter().copied().filter(|(_, value)| !value.is_empty()));
            self.out.exemplars.push(WrittenExemplar { series: labels.clone(), labels: own, value, at });
        }
        Ok(())
    }
}

impl One<'_> {
    fn clear(&mut self) {
        self.labels.clear();
        self.floats.clear();
        self.histograms.clear();
        self.bad.clear();
        self.exemplars.clear();
        (self.wrong, self.about, self.start) = (None, None, None);
    }
}

fn add(
    batch: &mut Batch,
    (family, about): (&str, About<'_>),
    labels: &Labels,
    (value, at, start): (Value, UnixMs, Option<UnixMs>),
) {
    batch.family_with_unit(family, about.help, about.kind, about.unit);
    batch.add_labels(labels, value);
    batch.stamp_last(Some(at), start);
}

/// Returns the name that metadata is kept under: a classic histogram's or summary's series carry suffixes.
fn family_name(name: &str, kind: MetricKind) -> &str {
    let suffixes: &[&str] = match kind {
        MetricKind::Histogram | MetricKind::GaugeHistogram => &["_bucket", "_sum", "_count"],
        MetricKind::Summary => &["_sum", "_count"],
        _ => &[],
    };
    suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name)
}

fn layer(batches: &mut Vec<Batch>, at: usize) -> &mut Batch {
    if batches.len() <= at {
        batches.resize_with(at + 1, Batch::new);
    }
    &mut batches[at]
}

fn labels(pairs: &mut Vec<(&str, &str)>) -> Result<Labels, String> {
    let shown = |pairs: &[(&str, &str)]| {
        let pairs: Vec<String> = pairs.iter().take(8).map(|(name, value)| format!("{name}={value:?}")).collect();
        format!("{{{}}}", pairs.join(", "))
    };
    if pairs.len() > LABELS_MAX {
        return Err(format!("at most {LABELS_MAX} labels are accepted, got {}", pairs.len()));
    }
    if pairs.iter().any(|(name, value)| name.len() > LABEL_BYTES_MAX || value.len() > LABEL_BYTES_MAX) {
        return Err(format!("at most {LABEL_BYTES_MAX} bytes of a label are accepted"));
    }
    let mut sorted: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, value) in pairs.iter() {
        if name.is_empty() {
            return Err(format!("invalid metric name or labels, got {}", shown(pairs)));
        }
        if sorted.insert(name, value).is_some() {
            return Err(format!("invalid labels for series, labels {}, duplicated label {name}", shown(pairs)));
        }
    }
    if sorted.get(NAME).is_none_or(|name| name.is_empty()) {
        return Err(format!("invalid metric name or labels, got {}", shown(pairs)));
    }
    Ok(Labels::from_pairs(sorted.into_iter().filter(|(_, value)| !value.is_empty())))
}

fn pair(message: &[u8]) -> Result<(&str, &str), String> {
    let (mut pair, mut wire) = (("", ""), Wire::new(message));
    while let Some((number, field)) = wire.field()? {
        match number {
            1 => pair.0 = text(field)?,
            2 => pair.1 = text(field)?,
            _ => {}
        }
    }
    Ok(pair)
}

fn text(field: Field<'_>) -> Result<&str, String> {
    std::str::from_utf8(field.bytes()).map_err(|_| "a text is not UTF-8".to_owned())
}

/// Reads references, packed or one by one.
fn references(out: &mut Vec<u64>, field: Field<'_>) -> Result<(), String> {
    let Field::Bytes(bytes) = field else {
        out.push(field.integer());
        return Ok(());
    };
    let mut wire = Wire::new(bytes);
    while !wire.rest.is_empty() {
        out.push(wire.varint()?);
    }
    Ok(())
}
