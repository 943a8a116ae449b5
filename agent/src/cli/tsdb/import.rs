//! `narthex tsdb import FILE..`: OpenMetrics or Prometheus text with timestamps, from files or standard input.
//!
//! The text is read in pieces. Samples gather by series until there are a quarter of a million; then the first sample
//! of every series makes a batch, the second the next, and so on, because a batch has a series once. So memory is
//! bounded whatever the file's size and order. A file that ends with `# EOF` is OpenMetrics; one that does not, and
//! standard input, whose end is far, are told by the first timestamp: OpenMetrics has seconds, Prometheus text
//! milliseconds. So an OpenMetrics file that was cut short is refused, and not stored in January 1970.

use std::collections::HashMap;
use std::fs::File;
use std::io::{IsTerminal, Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;

use exposition::{Entry, Format, LabelRefs, Limits, Placed, ScrapeOptions, StreamError, TextStream};
use model::labels::{LabelTooLong, LabelsBuilder, NAME};
use model::{Batch, Labels, MetricKind, SourceId, UnixMs, Value};

use super::{Asked, Offline};
use crate::cli::Failure;
use crate::os::clock::monotonic_ns;

/// How many samples are gathered before they are stored.
const GATHERED_MAX: usize = 1 << 18;
/// How many series are stored together at most: their labels fit a block many times over.
const TOGETHER_MAX: usize = 1_000;
/// How often progress is shown, in nanoseconds.
const PROGRESS_NS: u64 = 200_000_000;
/// From here on the timestamps of a file are taken for seconds, of March 1973 as the first; as milliseconds they would be
/// of the second of January 1970.
const SECONDS_MIN: f64 = 1e8;
/// Up to here they are: as milliseconds that is March 1973, as seconds it is far beyond what is stored.
const SECONDS_MAX: f64 = 1e11;
/// Imported rows are a source of their own.
const IMPORT: SourceId = SourceId(5);

/// Runs the command.
pub fn run(asked: &Asked) -> Result<(), Failure> {
    if asked.files.is_empty() {
        return Err(Failure::Usage("tsdb import needs a file, or - for standard input".to_owned()));
    }
    let mut import = Import {
        offline: asked.open(true)?,
        places: Places::default(),
        samples: Vec::new(),
        families: HashMap::new(),
        gathered: 0,
        batch: Batch::new(),
        stored: 0,
        refused: tsdb::Refused::default(),
        failure: None,
    };
    let begun = monotonic_ns();
    for file in &asked.files {
        import.file(file)?;
    }
    import.store_gathered()?;
    import.offline.seal()?;
    import.report((monotonic_ns() - begun) as f64 / 1e9)
}

/// One value of a series, waiting.
struct Waiting {
    value: Value,
    at: UnixMs,
    start: Option<UnixMs>,
}

struct Import {
    offline: Offline,
    /// Kept over all files.
    places: Places,
    samples: Vec<Vec<Waiting>>,
    families: HashMap<String, (MetricKind, String, String)>,
    gathered: usize,
    batch: Batch,
    stored: u64,
    refused: tsdb::Refused,
    failure: Option<Failure>,
}

impl Import {
    fn file(&mut self, name: &str) -> Result<(), Failure> {
        if name == "-" {
            let mut input = std::io::stdin().lock();
            return self.text(name, Format::Text, None, &mut input);
        }
        let fault = |error: std::io::Error| Failure::Fault(format!("{name}: {error}"));
        let mut file = File::open(name).map_err(fault)?;
        let bytes = file.metadata().map_err(fault)?.len();
        let format = if ends_with_eof(&mut file).map_err(fault)? { Format::OpenMetrics } else { Format::Text };
        self.text(name, format, Some(bytes), &mut file)
    }

    fn text(&mut self, name: &str, format: Format, bytes: Option<u64>, input: &mut dyn Read) -> Result<(), Failure> {
        let mut head = Vec::new();
        let format = match format {
            Format::Text => {
                let least = if bytes.is_some() { SECONDS_MIN } else { f64::MIN };
                told_by(input, &mut head, least).map_err(|error| Failure::Fault(format!("{name}: {error}")))?
            }
            known => known,
        };
        let options = ScrapeOptions { starts: true, ..ScrapeOptions::default() };
        let mut stream = TextStream::new(format, options, Limits::default());
        let mut progress = Progress::new(name, bytes);
        let mut input = head.as_slice().chain(input);
        let read = stream.read(&mut input, &mut |placed: Placed<'_>| self.entry(name, placed, &mut progress));
        progress.end();
        match (self.failure.take(), read) {
            (Some(failure), _) => Err(failure),
            (None, Ok(())) => Ok(()),
            (None, Err(StreamError::Text(error))) => {
                Err(Failure::Fault(format!("{name}:{}: {}", error.line, error.what)))
            }
            (None, Err(error)) => Err(Failure::Fault(format!("{name}: {}", crate::cli::chain(&error)))),
        }
    }

    fn entry(&mut self, name: &str, placed: Placed<'_>, progress: &mut Progress) -> ControlFlow<()> {
        let taken = match placed.entry {
            Entry::Sample(s) => self.sample((s.name, s.labels), Value::Float(s.value), (s.at, s.start)),
            Entry::Histogram(h) => {
                self.sample((h.name, h.labels), Value::Histogram(Arc::new(h.histogram.clone())), (h.at, h.start))
            }
            Entry::Type { name, kind } => {
                self.families.entry(name.to_owned()).or_default().0 = kind;
                Ok(())
            }
            Entry::Help { name, text } => {
                self.families.entry(name.to_owned()).or_default().1 = text.to_owned();
                Ok(())
            }
            Entry::Unit { name, unit } => {
                self.families.entry(name.to_owned()).or_default().2 = unit.to_owned();
                Ok(())
            }
            Entry::Comment(_) => Ok(()),
        };
        let stored = taken.map_err(|reason| Failure::Fault(format!("{name}:{}: {reason}", placed.line())));
        progress.show(placed.bytes(), self.stored + self.gathered as u64);
        let stored = stored.and_then(|()| if self.gathered >= GATHERED_MAX { self.store_gathered() } else { Ok(()) });
        match stored {
            Ok(()) => ControlFlow::Continue(()),
            Err(failure) => {
                self.failure = Some(failure);
                ControlFlow::Break(())
            }
        }
    }

    fn sample(
        &mut self,
        (name, labels): (&str, LabelRefs<'_>),
        value: Value,
        (at, start): (Option<UnixMs>, Option<UnixMs>),
    ) -> Result<(), String> {
        let Some(at) = at else {
            return Err("a sample without a timestamp, expected one: imports need to know when".to_owned());
        };
        let Ok(place) = self.places.of(name, labels) else {
            self.refused.labels += 1;
            return Ok(());
        };
        if place == self.samples.len() {
            self.samples.push(Vec::new());
        }
        if let Some(samples) = self.samples.get_mut(place) {
            samples.push(Waiting { value, at, start });
            self.gathered += 1;
        }
        Ok(())
    }

    /// Stores what was gathered: the first sample of every series, the second, and so on.
    fn store_gathered(&mut self) -> Result<(), Failure> {
        self.samples.iter_mut().for_each(|samples| samples.sort_by_key(|waiting| waiting.at));
        let mut order: Vec<usize> = (0..self.samples.len()).filter(|at| !self.samples[*at].is_empty()).collect();
        // The longest first, and families together: so a layer has the shape of the one before, cut off at the end.
        order.sort_by_key(|at| std::cmp::Reverse(self.samples[*at].len()));
        for together in order.chunks(TOGETHER_MAX) {
            self.store_layers(together)?;
        }
        self.samples.iter_mut().for_each(Vec::clear);
        self.gathered = 0;
        Ok(())
    }

    /// Stores what was gathered of these series, of which the first has most.
    fn store_layers(&mut self, order: &[usize]) -> Result<(), Failure> {
        let layers = order.first().map_or(0, |at| self.samples[*at].len());
        self.batch.clear();
        for at in order {
            let labels = &self.places.labels[*at];
            add_family(&mut self.batch, labels.name(), &self.families);
            self.batch.add_labels(labels, Value::Float(0.0));
        }
        for layer in 0..layers {
            let rows = order.partition_point(|at| self.samples[*at].len() > layer);
            self.batch.truncate(rows);
            for (row, at) in order.iter().take(rows).enumerate() {
                let waiting = &self.samples[*at][layer];
                self.batch.set(row, waiting.value.clone(), Some(waiting.at), waiting.start);
            }
            let now = self.offline.now();
            let appended = self.offline.store.append(now, &self.batch, IMPORT, &Labels::empty());
            self.offline.store.release(IMPORT);
            self.stored += appended.rows.len();
            self.refused.add(&appended.refused);
            self.offline.store.tick(now);
            self.offline.carry_out()?;
        }
        Ok(())
    }

    fn report(&self, seconds: f64) -> Result<(), Failure> {
        let stats = self.offline.store.stats();
        let rate = self.stored as f64 / seconds.max(1e-9);
        println!(
            "{}: {} samples of {} series imported in {:.1} s ({rate:.0} a second), {} blocks, {} of {} bytes used",
            self.offline.path.display(),
            self.stored,
            self.places.labels.len(),
            seconds,
            stats.blocks,
            stats.used_bytes,
            stats.ring_bytes,
        );
        if stats.overwritten > 0 {
            println!(
                "{} of them, the oldest, did not fit: give the file more room with --storage.size",
                stats.overwritten
            );
        }
        match self.refused.total() {
            0 => Ok(()),
            refused => Err(Failure::Fault(format!("{refused} samples were refused: {}", reasons(&self.refused)))),
        }
    }
}

/// Says why samples were refused, and what helps where something does.
fn reasons(refused: &tsdb::Refused) -> String {
    let reasons = refused.by_reason().into_iter().filter(|(_, count)| *count > 0);
    let said: Vec<String> = reasons.map(|(reason, count)| format!("{reason} {count}")).collect();
    let hint = if refused.memory > 0 { "; more series need more storage.memory, see --config.file" } else { "" };
    said.join(", ") + hint
}

/// Where series stand: a number for each, in the order in which they came.
#[derive(Default)]
struct Places {
    /// By what a line says of its series, and by the label set that this is: one may be said in more than one way.
    by_text: HashMap<Rc<[u8]>, usize>,
    by_labels: HashMap<Labels, usize>,
    labels: Vec<Labels>,
    texts: Vec<Rc<[u8]>>,
    /// Which one came behind each last time: in a dump mostly itself, in scrapes one behind the other the next.
    behind: Vec<usize>,
    last: usize,
    text: Vec<u8>,
}

impl Places {
    /// Returns a series' place, made when it is new.
    fn of(&mut self, name: &str, labels: LabelRefs<'_>) -> Result<usize, LabelTooLong> {
        self.text.clear();
        for part in labels.iter().flat_map(|(name, value)| [name, value]).chain([name]) {
            self.text.extend_from_slice(part.as_bytes());
            // No text has this byte.
            self.text.push(0xff);
        }
        for near in [self.last, self.behind.get(self.last).copied().unwrap_or_default()] {
            if self.texts.get(near).is_some_and(|text| **text == *self.text) {
                return Ok(self.went_to(near));
            }
        }
        if let Some(place) = self.by_text.get(self.text.as_slice()) {
            return Ok(self.went_to(*place));
        }
        let mut builder = LabelsBuilder::new();
        for (name, value) in labels.iter().chain([(NAME, name)]) {
            builder.set(name, value)?;
        }
        let (labels, text) = (builder.finish(), Rc::<[u8]>::from(self.text.as_slice()));
        let place = *self.by_labels.entry(labels.clone()).or_insert(self.labels.len());
        self.by_text.insert(Rc::clone(&text), place);
        if place == self.labels.len() {
            self.labels.push(labels);
            self.texts.push(text);
            self.behind.push(place);
        }
        Ok(self.went_to(place))
    }

    fn went_to(&mut self, place: usize) -> usize {
        if place != self.last
            && let Some(behind) = self.behind.get_mut(self.last)
        {
            *behind = place;
        }
        self.last = place;
        place
    }
}

/// Opens the family of a series: its own name, or that without a suffix, where the text told of it.
fn add_family(batch: &mut Batch, name: &str, families: &HashMap<String, (MetricKind, String, String)>) {
    let suffixes = ["", "_bucket", "_sum", "_count", "_total", "_created", "_info"];
    let known =
        suffixes.iter().filter_map(|suffix| name.strip_suffix(suffix)).find_map(|base| families.get_key_value(base));
    match known {
        Some((base, (kind, help, unit))) => {
            // A counter's series is named after its family and `_total`, and known under that name.
            let name = if *kind == MetricKind::Counter { name } else { base };
            batch.family_with_unit(name, help, *kind, unit);
        }
        None => batch.family(name, "", MetricKind::Unknown),
    }
}

/// Returns whether the file ends as OpenMetrics does, and goes back to its beginning.
fn ends_with_eof(file: &mut File) -> std::io::Result<bool> {
    let bytes = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(bytes.saturating_sub(16)))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(end.trim_ascii_end().ends_with(b"# EOF"))
}

/// Tells the format by the first timestamp, which is one of OpenMetrics from `least` up to [`SECONDS_MAX`].
fn told_by(input: &mut dyn Read, head: &mut Vec<u8>, least: f64) -> std::io::Result<Format> {
    input.take(1 << 20).read_to_end(head)?;
    if head.trim_ascii_end().ends_with(b"# EOF") {
        return Ok(Format::OpenMetrics);
    }
    let text = String::from_utf8_lossy(head);
    let stamp = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .find_map(|line| line.split(" # ").next()?.rsplit_once(' ')?.1.parse::<f64>().ok());
    Ok(match stamp {
        Some(stamp) if (least..SECONDS_MAX).contains(&stamp) => Format::OpenMetrics,
        _ => Format::Text,
    })
}

/// A line on the terminal that tells how far it is; silent where there is none.
struct Progress {
    name: String,
    bytes: Option<u64>,
    next: Option<u64>,
    count: u32,
}

impl Progress {
    fn new(name: &str, bytes: Option<u64>) -> Progress {
        let next = std::io::stderr().is_terminal().then(monotonic_ns);
        Progress { name: name.to_owned(), bytes, next, count: 0 }
    }

    fn show(&mut self, at: u64, samples: u64) {
        // Asking the time costs more than a sample.
        self.count = self.count.wrapping_add(1);
        let Some(next) = self.next.filter(|_| self.count.is_multiple_of(4_096)) else { return };
        let now = monotonic_ns();
        if now < next {
            return;
        }
        self.next = Some(now + PROGRESS_NS);
        let share = self.bytes.map(|bytes| at as f64 / bytes.max(1) as f64);
        let bar: String = share.map_or(String::new(), |share| {
            let full = (share * 30.0) as usize;
            format!("[{}{}] {:3.0} % ", "#".repeat(full.min(30)), " ".repeat(30 - full.min(30)), share * 100.0)
        });
        let _ = write!(std::io::stderr(), "\r{}: {bar}{samples} samples", self.name);
    }

    fn end(&mut self) {
        if self.next.is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
