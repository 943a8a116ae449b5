//! Makes native histograms with custom bounds (NHCB) of classic ones, as Prometheus does behind its parsers.
//!
//! Consecutive `_bucket`, `_sum` and `_count` series of one histogram and one label set are collected; the first
//! entry that is not of them lets the histogram out before itself. Buckets that do not rise, counts below zero and a
//! count that is not that of the last bucket make no histogram: its classic series are dropped, as with the peer.
//! A count or bucket that is no integer makes a histogram of floats. What follows an exponential histogram of the same
//! name and labels is its classic form and not converted.
//!
//! Sources: Prometheus, `model/textparse/nhcbparse.go`, `util/convertnhcb`, `model/histogram` (Compact).

use model::histogram::CUSTOM_BUCKETS_SCHEMA;
use model::{Counts, Histogram, MetricKind, ResetHint, Span};

use super::entry::{Entry, ExemplarItem, Exemplars, Item, ItemKind, LabelRefs, Sample, Texts};
use super::number::parse_float;

/// Runs of at most so many empty buckets between others are kept.
const EMPTY_BUCKETS_MAX: usize = 2;

/// Collects the series of one classic histogram at a time.
#[derive(Debug, Default)]
pub(super) struct Nhcb {
    is_emitting: bool,
    is_stashed: bool,
    is_collecting: bool,
    kind: MetricKind,
    /// The name that the last `# TYPE` was about.
    family: String,
    /// The histogram that is collected, then emitted.
    item: Item,
    /// The last exponential histogram: its name and labels.
    native: Item,
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
    is_bad: bool,
}

/// What a series is to its histogram.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Part {
    Bucket(f64),
    Sum,
    Count,
}

impl Nhcb {
    /// Forgets everything and keeps the memory.
    pub(super) fn clear(&mut self) {
        (self.is_emitting, self.is_stashed, self.is_collecting) = (false, false, false);
        self.kind = MetricKind::Unknown;
        self.family.clear();
        self.item.clear();
        self.native.clear();
    }

    /// Returns whether the entry to lend is a histogram made here.
    pub(super) fn is_emitting(&self) -> bool {
        self.is_emitting
    }

    /// Returns the histogram made here.
    pub(super) fn entry(&self) -> Option<Entry<'_>> {
        self.item.entry(&[], "", 0)
    }

    /// Returns whether an entry waits that a histogram was let out before.
    pub(super) fn take_stashed(&mut self) -> bool {
        self.is_emitting = false;
        std::mem::take(&mut self.is_stashed)
    }

    /// Lets the last histogram out, at the end.
    pub(super) fn finish(&mut self) -> bool {
        self.is_emitting = self.is_collecting && self.convert();
        self.is_emitting
    }

    /// Lets the collected histogram out if this entry is not of it; the entry then waits.
    pub(super) fn emit_before(&mut self, entry: &Entry<'_>) -> bool {
        if !self.is_collecting {
            return false;
        }
        if let Entry::Sample(sample) = entry
            && self.kind == MetricKind::Histogram
            && is_same(&self.item, base_of(sample.name).1, &sample.labels)
        {
            return false;
        }
        self.is_emitting = self.convert();
        self.is_stashed = self.is_emitting;
        self.is_emitting
    }

    /// Takes an entry in if it is of a classic histogram, and says whether it is.
    pub(super) fn collect(&mut self, entry: &Entry<'_>) -> bool {
        match entry {
            Entry::Type { name, kind } => {
                self.kind = *kind;
                self.family.clear();
                self.family.push_str(name);
                false
            }
            Entry::Histogram(sample) => {
                self.native.clear();
                copy_series(&mut self.native, sample.name, &sample.labels);
                self.native.kind = ItemKind::Histogram;
                false
            }
            Entry::Sample(sample) => self.part(sample).is_some_and(|part| self.take(sample, part)),
            _ => false,
        }
    }

    /// Returns what this series is to the histogram whose type was said last.
    fn part(&self, sample: &Sample<'_>) -> Option<Part> {
        let (suffix, base) = base_of(sample.name);
        if self.kind != MetricKind::Histogram || base != self.family {
            return None;
        }
        let after_native = self.native.kind == ItemKind::Histogram && is_same(&self.native, base, &sample.labels);
        if after_native {
            return None;
        }
        match suffix {
            "_bucket" => {
                let bound = parse_float(sample.labels.get("le")?.as_bytes()).ok()?;
                (!bound.is_nan()).then_some(Part::Bucket(bound))
            }
            "_sum" => Some(Part::Sum),
            "_count" => Some(Part::Count),
            _ => None,
        }
    }

    fn take(&mut self, sample: &Sample<'_>, part: Part) -> bool {
        if !self.is_collecting {
            self.is_collecting = true;
            self.buckets.clear();
            (self.count, self.sum, self.is_bad) = (None, 0.0, false);
            self.item.clear();
            copy_series(&mut self.item, base_of(sample.name).1, &sample.labels);
            self.item.start = sample.start.map(|start| start.0);
        }
        self.item.at = sample.at.map(|at| at.0);
        copy_exemplars(&mut self.item, &sample.exemplars);
        match part {
            Part::Sum => self.sum = sample.value,
            Part::Count if sample.value < 0.0 => self.is_bad = true,
            Part::Count => self.count = Some(sample.value),
            Part::Bucket(bound) => self.is_bad |= !self.put_bucket(bound, sample.value),
        }
        true
    }

    /// Puts a bucket in its place; `false` where the buckets cannot be a histogram's.
    fn put_bucket(&mut self, bound: f64, count: f64) -> bool {
        let at = self.buckets.partition_point(|(other, _)| *other < bound);
        let below = at.checked_sub(1).and_then(|at| self.buckets.get(at));
        let above = self.buckets.get(at);
        if let Some((_, there)) = above.filter(|(other, _)| *other == bound) {
            return *there == count;
        }
        let is_rising =
            below.is_none_or(|(_, below)| *below <= count) && above.is_none_or(|(_, above)| count <= *above);
        if count < 0.0 || !is_rising {
            return false;
        }
        self.buckets.insert(at, (bound, count));
        true
    }

    /// Makes the histogram of what was collected; `false` where it makes none.
    fn convert(&mut self) -> bool {
        self.is_collecting = false;
        if self.is_bad {
            return false;
        }
        let last = self.buckets.last().copied();
        let count = self.count.or(last.map(|(_, count)| count)).unwrap_or(0.0);
        if last.is_none_or(|(bound, _)| bound != f64::INFINITY) {
            if last.is_some_and(|(_, below)| below > count) {
                return false;
            }
            self.buckets.push((f64::INFINITY, count));
        }
        if self.buckets.last().is_none_or(|(_, last)| *last != count) {
            return false;
        }
        let spans = [Span { offset: 0, length: self.buckets.len() as u32 }];
        let is_integer = |value: f64| value.round() == value && value.abs() < (1u64 << 63) as f64;
        let (positive_spans, counts) = if self.buckets.iter().all(|(_, count)| is_integer(*count)) {
            let absolute = self.counts(|count, below| count as u64 - below as u64);
            let (spans, positive) = compact(&spans, &absolute, EMPTY_BUCKETS_MAX);
            (spans, Counts::Integer { count: count as u64, zero: 0, positive, negative: Vec::new() })
        } else {
            let absolute = self.counts(|count, below| count - below);
            let (spans, positive) = compact(&spans, &absolute, EMPTY_BUCKETS_MAX);
            (spans, Counts::Float { count, zero: 0.0, positive, negative: Vec::new() })
        };
        self.item.kind = ItemKind::Histogram;
        self.item.histogram = Some(Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            zero_threshold: 0.0,
            sum: self.sum,
            positive_spans,
            negative_spans: Vec::new(),
            custom_bounds: self.buckets.iter().map(|(bound, _)| *bound).filter(|bound| bound.is_finite()).collect(),
            counts,
            hint: ResetHint::Unknown,
        });
        true
    }

    /// Returns each bucket's own count, from the counts up to each bound.
    fn counts<T>(&self, difference: impl Fn(f64, f64) -> T) -> Vec<T> {
        let below = std::iter::once(0.0).chain(self.buckets.iter().map(|(_, count)| *count));
        self.buckets.iter().zip(below).map(|((_, count), below)| difference(*count, below)).collect()
    }
}

/// Splits a histogram's suffix off a series' name.
fn base_of(name: &str) -> (&'static str, &str) {
    let suffixes = ["_bucket", "_sum", "_count"];
    let found = suffixes.iter().find_map(|suffix| Some((*suffix, name.strip_suffix(suffix)?)));
    found.unwrap_or(("", name))
}

/// Returns whether a series is of this histogram: the same name, and the same labels but for `le`.
fn is_same(item: &Item, base: &str, labels: &LabelRefs<'_>) -> bool {
    let texts = Texts { text: "", base: 0, kept: &item.kept };
    let mut others = 0;
    let is_known = |(name, value): (&str, &str)| {
        let mut pairs = item.pairs.iter().map(|(name, value)| (texts.of(*name), texts.of(*value)));
        pairs.any(|pair| pair == (name, value))
    };
    texts.of(item.name) == base
        && labels.iter().filter(|(name, _)| *name != "le").all(|pair| {
            others += 1;
            is_known(pair)
        })
        && others == item.pairs.len()
}

fn copy_series(item: &mut Item, name: &str, labels: &LabelRefs<'_>) {
    item.name = item.keep(name);
    for (name, value) in labels.iter().filter(|(name, _)| *name != "le") {
        let pair = (item.keep(name), item.keep(value));
        item.pairs.push(pair);
    }
}

fn copy_exemplars(item: &mut Item, exemplars: &Exemplars<'_>) {
    for exemplar in exemplars.iter() {
        let first = item.exemplar_pairs.len();
        for (name, value) in exemplar.labels.iter() {
            let pair = (item.keep(name), item.keep(value));
            item.exemplar_pairs.push(pair);
        }
        let pairs = (first, item.exemplar_pairs.len());
        item.exemplars.push(ExemplarItem { pairs, value: exemplar.value, at: exemplar.at.map(|at| at.0) });
    }
}

/// Drops empty buckets but for runs of at most `empty_max` between others, and returns the spans of what is left.
pub(super) fn compact<T: Copy + Default + PartialEq>(
    spans: &[Span],
    counts: &[T],
    empty_max: usize,
) -> (Vec<Span>, Vec<T>) {
    let (mut out_spans, mut out): (Vec<Span>, Vec<T>) = (Vec::new(), Vec::new());
    let mut counts = counts.iter().copied();
    let (mut index, mut end) = (0i64, 0i64);
    for span in spans {
        index += i64::from(span.offset);
        for count in counts.by_ref().take(span.length as usize) {
            if count != T::default() {
                let gap = index - end;
                match out_spans.last_mut() {
                    Some(last) if gap <= empty_max as i64 => {
                        out.extend((0..gap).map(|_| T::default()));
                        last.length += gap as u32 + 1;
                    }
                    _ => out_spans.push(Span { offset: clamp(gap), length: 1 }),
                }
                out.push(count);
                end = index + 1;
            }
            index += 1;
        }
    }
    (out_spans, out)
}

/// Offsets of several spans can sum up to more than one can say; such buckets are beyond every float.
fn clamp(offset: i64) -> i32 {
    offset.clamp(i32::MIN.into(), i32::MAX.into()) as i32
}
