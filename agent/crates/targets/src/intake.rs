//! One target's scrapes become batches: what was learned of its series once is used again.
//!
//! A target sends the same series in the same order, scrape after scrape. So what is remembered is a list: for each
//! sample of the last good scrape, in its order, a hash of the series as it was sent and the row it became in the
//! batch, if any; and what the rows are called (see `layout`). A scrape that fits the list is a batch of values that
//! names nothing, and allocates nothing. One that does not is read anew from its start: series that are known keep
//! their labels, new ones are named (see `naming`), and a new list is made. A scrape that fails changes nothing of this.
//!
//! In the text formats the hash is that of the series' text, so that a line that is known is not taken apart again. The
//! hash is 64 bits, seeded. A target whose series collide would mix up two series of its own, and no other's.

use std::collections::HashMap;
use std::sync::Arc;

use exposition::{Entry, Format, LabelRefs, Scrape, ScrapeMemory, ScrapeOptions};
use model::histogram::CUSTOM_BUCKETS_SCHEMA;
use model::{Batch, Labels, MetricKind, UnixMs, Value};

use crate::hash::Hash;
use crate::job::{Histograms, Job};
use crate::layout::Layout;
use crate::naming::{Named, name};

/// What a sample of the last good scrape became.
#[derive(Debug, Clone, Copy)]
struct Known {
    series: u64,
    row: u32,
    /// How long the text of the series is, where the hash is that of its text; else 0.
    bytes: u32,
}

/// Instead of a row: a rule dropped the series.
const DROPPED: u32 = u32::MAX;
/// Instead of a row: the series cannot be held.
const TOO_LARGE: u32 = u32::MAX - 1;

/// An exemplar that a scrape brought.
#[derive(Debug)]
pub(crate) struct Example {
    /// The row of its series.
    pub row: u32,
    pub labels: Labels,
    pub value: f64,
    /// When, by its own word.
    pub at: Option<UnixMs>,
    /// When its sample is, by its own word.
    pub sample_at: Option<UnixMs>,
}

/// The most exemplars that are taken of one scrape, in the order in which they come; further ones are counted.
const EXEMPLARS_MAX: usize = 1_000;

/// What a scrape counted, good or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Count {
    /// Samples sent.
    pub scraped: u64,
    /// Samples left after the rules.
    pub kept: u64,
    /// Series that are new to this target.
    pub added: u64,
    /// Samples that cannot be held.
    pub too_large: u64,
}

/// What every scrape of all targets shares.
#[derive(Default)]
pub(crate) struct Desk {
    /// The parser's memory.
    pub memory: ScrapeMemory,
    /// Batches nobody uses, to be filled.
    pub spare: Vec<Batch>,
    /// Names what a target sent last, while it is read anew.
    pub old: Batch,
    /// Starts every hash.
    pub seed: u64,
    /// Whether series say their kind and unit in their labels.
    pub type_and_unit: bool,
    /// Whether it is kept when counters began.
    pub starts: bool,
    /// The exemplars of the scrape that was read last.
    pub examples: Vec<Example>,
    /// How many of them were too many.
    pub examples_left_out: u64,
}

/// How many batches are kept to be filled.
const SPARE_MAX: usize = 2;

impl Desk {
    /// Returns an empty batch.
    pub fn batch(&mut self) -> Batch {
        let mut batch = self.spare.pop().unwrap_or_default();
        batch.clear();
        batch
    }

    /// Keeps a batch to be filled again.
    pub fn keep(&mut self, batch: Batch) {
        if self.spare.len() < SPARE_MAX {
            self.spare.push(batch);
        }
    }

    fn forget_examples(&mut self) {
        self.examples.clear();
        self.examples_left_out = 0;
    }
}

/// Keeps the exemplars of a sample that became this row.
fn keep_examples(entry: &Entry<'_>, row: u32, at: Option<UnixMs>, kept: &mut Vec<Example>, left_out: &mut u64) {
    let exemplars = match entry {
        Entry::Sample(sample) => sample.exemplars,
        Entry::Histogram(sample) => sample.exemplars,
        _ => return,
    };
    if row >= TOO_LARGE {
        return;
    }
    for exemplar in exemplars.iter() {
        if kept.len() >= EXEMPLARS_MAX {
            *left_out += 1;
            continue;
        }
        let labels = Labels::from_pairs(exemplar.labels.iter());
        kept.push(Example { row, labels, value: exemplar.value, at: exemplar.at, sample_at: at });
    }
}

/// A body to be read.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub job: &'a Job,
    /// The target's labels.
    pub target: &'a Labels,
    pub format: Format,
    pub body: &'a [u8],
    /// How many rows this target may have.
    pub rows_max: usize,
}

/// What is remembered of one target.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    known: Vec<Known>,
    /// A hash of all that the last good scrape said of its families.
    about: u64,
    /// How many rows of the batch are the target's own.
    rows: usize,
    /// What the rows are called, the report's too; `None` before the first good scrape, and when the rules changed.
    layout: Option<Layout>,
    /// The number of this layout; of those before it nobody need hear any more.
    number: u64,
}

impl Intake {
    /// Returns how many rows are remembered.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Takes note of what the rows of a good batch are called, when its report stands behind them.
    pub fn note_layout(&mut self, batch: &mut Batch) {
        if !batch.is_bare() {
            self.number += 1;
            batch.set_layout(self.number);
            self.layout = Some(Layout::of(batch));
        }
    }

    /// Returns a batch that names its series, of one that does not; `None` when they are not known any more.
    pub fn named(&self, bare: &Batch, desk: &mut Desk) -> Option<Batch> {
        let layout = self.layout.as_ref().filter(|_| bare.is_bare() && bare.layout() == self.number)?;
        let mut batch = desk.batch();
        layout.write(&mut batch);
        for (at, row) in bare.rows().iter().enumerate() {
            batch.set(at, row.value.clone(), row.at, row.start);
        }
        batch.set_layout(self.number);
        batch.set_own_times_stay(bare.own_times_stay());
        Some(batch)
    }

    /// Forgets what series are called: the rules have changed. Which series there were is still known.
    pub fn forget_labels(&mut self) {
        self.layout = None;
        self.known.retain(|known| known.row < TOO_LARGE);
    }

    /// Reads a body into a batch that lacks only the report.
    ///
    /// # Errors
    /// Why the scrape as a whole fails, and what was counted until then.
    pub fn read(&mut self, reading: Reading<'_>, desk: &mut Desk) -> Result<(Batch, Count), (String, Count)> {
        if self.layout.is_some() {
            let mut batch = desk.batch();
            batch.begin_bare(self.number);
            if let Some(count) = self.again(reading, desk, &mut batch) {
                return Ok((batch, count));
            }
            desk.keep(batch);
        }
        self.anew(reading, desk)
    }

    /// Reads a body that has the series of the last one, in their order; else the batch is of no use.
    fn again(&self, reading: Reading<'_>, desk: &mut Desk, batch: &mut Batch) -> Option<Count> {
        desk.forget_examples();
        let kept = (desk.type_and_unit, desk.starts);
        let mut again = Again {
            seed: desk.seed,
            job: reading.job,
            known: self.known.iter(),
            about: Hash::new(desk.seed),
            count: Count::default(),
            batch,
            examples: &mut desk.examples,
            left_out: &mut desk.examples_left_out,
        };
        let fits = walk(reading, kept, &mut desk.memory, &mut again);
        let has_all = again.known.next().is_none() && again.about.get() == self.about;
        (fits.is_ok() && has_all).then_some(again.count)
    }

    fn anew(&mut self, reading: Reading<'_>, desk: &mut Desk) -> Result<(Batch, Count), (String, Count)> {
        let (mut batch, mut named) = (desk.batch(), std::mem::take(&mut desk.old));
        desk.forget_examples();
        named.clear();
        if let Some(layout) = &self.layout {
            layout.write(&mut named);
        }
        let kept = (desk.type_and_unit, desk.starts);
        let (seed, examples, left_out) = (desk.seed, &mut desk.examples, &mut desk.examples_left_out);
        let old: HashMap<u64, u32> = self.known.iter().map(|known| (known.series, known.row)).collect();
        // Without its layout what is known has no labels any more, and still says which series are not new.
        let labels = self.layout.is_some().then_some(&named);
        let mut list = Vec::with_capacity(self.known.len());
        let (mut about, mut family, mut count) = (Hash::new(seed), Family::default(), Count::default());
        let limit = reading.job.limits.samples;
        let read = walk(reading, kept, &mut desk.memory, &mut |entry: Entry<'_>| {
            let Some(((series, bytes), value, at, start)) = sample_of(&entry, seed, reading.job) else {
                note(&mut about, &entry);
                family.note(&entry);
                return Ok(());
            };
            let Some((metric, sent)) = series_of(&entry) else { return Ok(()) };
            count.scraped += 1;
            let row = old.get(&series).copied();
            let known = row.zip(labels);
            let known = known.and_then(|(row, batch)| Some(batch.packed(batch.rows().get(row as usize)?)));
            let named = match (row, known) {
                (Some(DROPPED), _) => Named::Dropped,
                (Some(TOO_LARGE), _) => Named::TooLarge,
                (_, Some(_)) => Named::As(Labels::empty()),
                _ => name(reading.job, reading.target, metric, &sent.iter().collect::<Vec<_>>())?,
            };
            let mut place = DROPPED;
            match named {
                Named::Dropped => {}
                Named::TooLarge => {
                    (count.kept, count.too_large, place) = (count.kept + 1, count.too_large + 1, TOO_LARGE);
                }
                Named::As(labels) => {
                    count.kept += 1;
                    if limit == 0 || count.kept <= limit {
                        count.added += u64::from(row.is_none());
                        if batch.rows().len() >= reading.rows_max {
                            return Err(format!(
                                "more than the {} series that are left of series_max",
                                reading.rows_max
                            ));
                        }
                        family.open(metric, &mut batch);
                        place = batch.rows().len() as u32;
                        batch.add_packed(known.unwrap_or(labels.packed()), value);
                        batch.stamp_last(at, start);
                    }
                }
            }
            keep_examples(&entry, place, at, examples, left_out);
            list.push(Known { series, row: place, bytes });
            Ok(())
        });
        let over = (limit > 0 && count.kept > limit).then(|| "sample limit exceeded".to_owned());
        let full = (batch.refused() > 0).then(|| "more or larger series than a batch carries".to_owned());
        desk.old = named;
        if let Some(what) = read.err().or(over).or(full) {
            desk.keep(batch);
            return Err((what, count));
        }
        list.shrink_to_fit();
        (self.known, self.about, self.rows) = (list, about.get(), batch.rows().len());
        // What it is called is noted when the report stands behind it.
        self.layout = None;
        Ok((batch, count))
    }
}

/// Who is shown what a body says.
trait Visit {
    /// Takes the next line without an entry being made of it; `false` where it is to be read.
    fn line(&mut self, _scrape: &mut Scrape<'_>) -> bool {
        false
    }

    /// Takes an entry.
    ///
    /// # Errors
    /// Why nothing more is wanted.
    fn entry(&mut self, entry: Entry<'_>) -> Result<(), String>;
}

impl<F: FnMut(Entry<'_>) -> Result<(), String>> Visit for F {
    fn entry(&mut self, entry: Entry<'_>) -> Result<(), String> {
        self(entry)
    }
}

/// Reads the series of the last scrape, in their order.
struct Again<'a> {
    seed: u64,
    job: &'a Job,
    known: std::slice::Iter<'a, Known>,
    about: Hash,
    count: Count,
    batch: &'a mut Batch,
    examples: &'a mut Vec<Example>,
    left_out: &'a mut u64,
}

impl Again<'_> {
    fn take(&mut self, row: u32, value: Value, at: Option<UnixMs>, start: Option<UnixMs>) {
        self.count.scraped += 1;
        self.count.kept += u64::from(row != DROPPED);
        self.count.too_large += u64::from(row == TOO_LARGE);
        if row < TOO_LARGE {
            // They were numbered in this order.
            self.batch.add_bare(value, at, start);
        }
    }
}

impl Visit for Again<'_> {
    fn line(&mut self, scrape: &mut Scrape<'_>) -> bool {
        let Some(known) = self.known.as_slice().first().filter(|known| known.bytes > 0) else { return false };
        let seed = self.seed;
        let is_same =
            |kind: MetricKind, text: &[u8]| Hash::new(seed).number(kind as u64).bytes(text).get() == known.series;
        let Some((value, at)) = scrape.next_known(known.bytes as usize, is_same) else { return false };
        self.known.next();
        self.take(known.row, Value::Float(value), at.filter(|_| self.job.honor_timestamps), None);
        true
    }

    fn entry(&mut self, entry: Entry<'_>) -> Result<(), String> {
        let Some(((series, _), value, at, start)) = sample_of(&entry, self.seed, self.job) else {
            note(&mut self.about, &entry);
            return Ok(());
        };
        let row = self.known.next().filter(|known| known.series == series).map(|known| known.row);
        let Some(row) = row else { return Err(String::new()) };
        self.take(row, value, at, start);
        keep_examples(&entry, row, at, self.examples, self.left_out);
        Ok(())
    }
}

/// The metadata that came last, until a family is opened with it.
#[derive(Default)]
struct Family {
    name: String,
    help: String,
    unit: String,
    kind: MetricKind,
}

impl Family {
    fn note(&mut self, entry: &Entry<'_>) {
        let name = match entry {
            Entry::Help { name, .. } | Entry::Type { name, .. } | Entry::Unit { name, .. } => *name,
            _ => return,
        };
        if self.name != name {
            self.name.clear();
            self.name.push_str(name);
            self.help.clear();
            self.unit.clear();
            self.kind = MetricKind::Unknown;
        }
        match entry {
            Entry::Help { text, .. } => self.help = (*text).to_owned(),
            Entry::Unit { unit, .. } => self.unit = (*unit).to_owned(),
            Entry::Type { kind, .. } => self.kind = *kind,
            _ => {}
        }
    }

    /// Opens the family that a sample belongs to: the one spoken of last, or one that nothing is known of.
    fn open(&self, metric: &str, batch: &mut Batch) {
        let rest = metric.strip_prefix(self.name.as_str()).filter(|_| !self.name.is_empty());
        match rest {
            Some("" | "_sum" | "_count" | "_bucket" | "_total" | "_created" | "_info" | "_gsum" | "_gcount") => {
                batch.family_with_unit(&self.name, &self.help, self.kind, &self.unit);
            }
            _ => batch.family(metric, "", MetricKind::Unknown),
        }
    }
}

/// Adds what is said of a family to the hash of all that is said.
fn note(about: &mut Hash, entry: &Entry<'_>) {
    match entry {
        Entry::Help { name, text } => about.add(name).add(text),
        Entry::Type { name, kind } => about.add(name).add(kind.as_prometheus()).number(*kind as u64),
        Entry::Unit { name, unit } => about.add(name).add(unit),
        _ => about,
    };
}

type Sampled = ((u64, u32), Value, Option<UnixMs>, Option<UnixMs>);

/// Returns a sample's series as a hash, of how many bytes of text, and what is stored of it.
fn sample_of(entry: &Entry<'_>, seed: u64, job: &Job) -> Option<Sampled> {
    let (value, at, start) = match entry {
        Entry::Sample(sample) => (Value::Float(sample.value), sample.at, sample.start),
        Entry::Histogram(sample) => (Value::Histogram(Arc::new(sample.histogram.clone())), sample.at, sample.start),
        _ => return None,
    };
    Some((series_hash(entry, seed)?, value, at.filter(|_| job.honor_timestamps), start))
}

fn series_hash(entry: &Entry<'_>, seed: u64) -> Option<(u64, u32)> {
    let mut hash = Hash::new(seed);
    if let Entry::Sample(sample) = entry
        && !sample.sent.is_empty()
    {
        let bytes = sample.sent.len() as u32;
        return Some((hash.number(sample.kind as u64).bytes(sample.sent).get(), bytes));
    }
    let (metric, labels) = series_of(entry)?;
    hash.add(metric);
    for (name, value) in labels.iter() {
        hash.add(name).add(value);
    }
    Some((hash.get(), 0))
}

fn series_of<'e>(entry: &Entry<'e>) -> Option<(&'e str, LabelRefs<'e>)> {
    match entry {
        Entry::Sample(sample) => Some((sample.name, sample.labels)),
        Entry::Histogram(sample) => Some((sample.name, sample.labels)),
        _ => None,
    }
}

/// Returns whether this is a native histogram that nobody asked for; its classic series come too.
fn is_unwanted(entry: &Entry<'_>, wanted: Histograms) -> bool {
    match entry {
        Entry::Histogram(sample) => !wanted.native && sample.histogram.schema != CUSTOM_BUCKETS_SCHEMA,
        _ => false,
    }
}

/// Hands every entry of a body to a visitor, until that or the body is wrong.
fn walk(
    reading: Reading<'_>,
    (type_and_unit, starts): (bool, bool),
    memory: &mut ScrapeMemory,
    visit: &mut dyn Visit,
) -> Result<(), String> {
    let (wanted, limits) = (reading.job.histograms, exposition::Limits::default());
    let options = ScrapeOptions {
        classic_to_native: wanted.convert,
        keep_classic: wanted.classic_too || !(wanted.native || wanted.convert),
        type_and_unit,
        starts,
        ..ScrapeOptions::default()
    };
    let kept = std::mem::take(memory);
    let mut scrape = Scrape::with_memory(reading.format, reading.body, options, limits, kept);
    let read = loop {
        while visit.line(&mut scrape) {}
        match scrape.next_entry() {
            Ok(None) => break Ok(()),
            Ok(Some(entry)) if is_unwanted(&entry, wanted) => {}
            Ok(Some(entry)) => {
                if let Err(what) = visit.entry(entry) {
                    break Err(what);
                }
            }
            Err(error) => break Err(error.to_string()),
        }
    };
    *memory = scrape.into_memory();
    read
}
