//! Makes a batch of a scrape, whole or not at all.
//!
//! A row is of the family whose metadata came last if its name is the family's or what its kind lets it add
//! (`_bucket`, `_total`, ...), else of a family of its own that is of unknown kind. Rows over a batch's limits are
//! left out and counted there, and so are histograms whose count is not that of their buckets. Exemplars are counted and dropped: nothing stores them.

use std::sync::Arc;

use model::limits::LABELS_MAX;
use model::{Batch, Counts, Histogram, MetricKind, UnixMs};

use super::entry::{Entry, LabelRefs};
use super::{Format, Limits, Scrape, ScrapeError, ScrapeMemory, ScrapeOptions};

/// So many labels are few.
const LABELS_FEW: usize = 8;

/// Fills batches and keeps its memory, so that scraping the same target again allocates nothing.
///
/// ```
/// use exposition::{Format, Limits, ScrapeFiller, ScrapeOptions};
///
/// let (mut filler, mut batch) = (ScrapeFiller::new(), model::Batch::new());
/// let filled = filler.fill(Format::Text, b"up 1\n", ScrapeOptions::default(), Limits::default(), &mut batch)?;
/// assert_eq!((filled.samples, batch.rows().len()), (1, 1));
/// # Ok::<(), exposition::ScrapeError>(())
/// ```
#[derive(Debug, Default)]
pub struct ScrapeFiller {
    memory: ScrapeMemory,
    family: FamilyNow,
}

/// What a scrape held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Filled {
    /// Samples, those included that were over a batch's limits.
    pub samples: u64,
    /// Exemplars, which are dropped.
    pub exemplars: u64,
}

#[derive(Debug, Default)]
struct FamilyNow {
    name: String,
    help: String,
    unit: String,
    kind: MetricKind,
}

impl ScrapeFiller {
    /// Returns a filler without memory yet.
    pub fn new() -> ScrapeFiller {
        ScrapeFiller::default()
    }

    /// Reads a body and adds its rows to the batch.
    ///
    /// # Errors
    /// What is wrong and where; the batch then has no further rows.
    pub fn fill(
        &mut self,
        format: Format,
        bytes: &[u8],
        options: ScrapeOptions,
        limits: Limits,
        out: &mut Batch,
    ) -> Result<Filled, ScrapeError> {
        let rows = out.rows().len();
        let mut scrape = Scrape::with_memory(format, bytes, options, limits, std::mem::take(&mut self.memory));
        self.family.clear();
        let mut filled = Filled::default();
        let result = loop {
            match scrape.next_entry() {
                Ok(Some(entry)) => self.family.add(&entry, out, &mut filled),
                Ok(None) => break Ok(filled),
                Err(error) => break Err(error),
            }
        };
        self.memory = scrape.into_memory();
        if result.is_err() {
            out.truncate(rows);
        }
        result
    }
}

impl FamilyNow {
    fn clear(&mut self) {
        self.be("");
    }

    /// Turns to a family, of which nothing is known if it is another one.
    fn be(&mut self, name: &str) {
        if self.name != name || name.is_empty() {
            for text in [&mut self.name, &mut self.help, &mut self.unit] {
                text.clear();
            }
            self.name.push_str(name);
            self.kind = MetricKind::Unknown;
        }
    }

    fn add(&mut self, entry: &Entry<'_>, out: &mut Batch, filled: &mut Filled) {
        match entry {
            Entry::Help { name, text } => {
                self.be(name);
                self.help.clear();
                self.help.push_str(text);
            }
            Entry::Type { name, kind } => {
                self.be(name);
                self.kind = *kind;
            }
            Entry::Unit { name, unit } => {
                self.be(name);
                self.unit.clear();
                self.unit.push_str(unit);
            }
            Entry::Comment(_) => {}
            Entry::Sample(sample) => {
                filled.exemplars += sample.exemplars.len() as u64;
                filled.samples += 1;
                if self.row(sample.name, &sample.labels, sample.value, out) {
                    stamp(out, sample.at, sample.start);
                }
            }
            Entry::Histogram(sample) => {
                filled.exemplars += sample.exemplars.len() as u64;
                filled.samples += 1;
                if !is_consistent(sample.histogram) {
                    out.refuse(1);
                } else if self.row(sample.name, &sample.labels, 0.0, out) {
                    stamp(out, sample.at, sample.start);
                    out.histogram_last(Arc::new(sample.histogram.clone()));
                }
            }
        }
    }

    /// Adds a row; `false` where it was over a limit.
    fn row(&self, name: &str, labels: &LabelRefs<'_>, value: f64, out: &mut Batch) -> bool {
        // Clearing room for the most labels there can be costs as much as reading a line; few series have many.
        match labels.len() {
            0..=LABELS_FEW => self.row_with(&mut [("", ""); LABELS_FEW], name, labels, value, out),
            _ => self.row_with(&mut [("", ""); LABELS_MAX], name, labels, value, out),
        }
    }

    fn row_with<'e>(
        &self,
        room: &mut [(&'e str, &'e str)],
        name: &str,
        labels: &LabelRefs<'e>,
        value: f64,
        out: &mut Batch,
    ) -> bool {
        let Some(pairs) = room.get_mut(..labels.len()) else {
            out.refuse(1);
            return false;
        };
        pairs.iter_mut().zip(labels.iter()).for_each(|(slot, pair)| *slot = pair);
        let suffix = self.suffix(name);
        match suffix {
            Some(_) => out.family_with_unit(&self.name, &self.help, self.kind, &self.unit),
            None => out.family(name, "", MetricKind::Unknown),
        }
        let before = out.rows().len();
        out.add_suffixed(suffix.unwrap_or_default(), pairs, value);
        out.rows().len() > before
    }

    /// Returns what a series' name adds to the family's, `None` where it is of another family.
    fn suffix(&self, name: &str) -> Option<&'static str> {
        let rest = name.strip_prefix(self.name.as_str()).filter(|_| !self.name.is_empty())?;
        let allowed: &[&'static str] = match self.kind {
            MetricKind::Counter => &["", "_total", "_created"],
            MetricKind::Histogram => &["_bucket", "_sum", "_count", "", "_created"],
            MetricKind::GaugeHistogram => &["_bucket", "_gsum", "_gcount", "_sum", "_count", ""],
            MetricKind::Summary => &["", "_sum", "_count", "_created"],
            MetricKind::Info => &["_info", ""],
            MetricKind::Gauge | MetricKind::StateSet | MetricKind::Unknown => &[""],
        };
        allowed.iter().find(|suffix| **suffix == rest).copied()
    }
}

/// Returns whether the count is that of the buckets. Observations of NaN are in no bucket, and then the sum is NaN.
fn is_consistent(histogram: &Histogram) -> bool {
    let Counts::Integer { count, zero, positive, negative } = &histogram.counts else { return true };
    let found = positive.iter().chain(negative).fold(*zero, |sum, bucket| sum.saturating_add(*bucket));
    found == *count || (found < *count && histogram.sum.is_nan())
}

fn stamp(out: &mut Batch, at: Option<UnixMs>, start: Option<UnixMs>) {
    if at.is_some() || start.is_some() {
        out.stamp_last(at, start);
    }
}
