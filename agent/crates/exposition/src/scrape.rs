//! Reads what a target answers to a scrape, as Prometheus does: three formats, one stream of entries.
//!
//! [`Scrape`] walks a body and lends one [`Entry`] at a time; nothing is allocated for a line once its memory is
//! warm. It accepts what Prometheus accepts and refuses the rest with Prometheus's words and the line's number.
//! [`ScrapeFiller`] makes a batch of it, whole or not at all. [`Format::of_content_type`] chooses the format.
//!
//! Everything is bounded by [`Limits`]; what a length claims is checked against what is there before it is used.
//! Not here: fetching, decompressing, relabelling, staleness.
//!
//! Sources: Prometheus, `model/textparse`; OpenMetrics 1.0; client_model `metrics.proto`.

mod again;
mod bounds;
mod content;
mod entry;
mod fill;
mod labels;
mod lexer;
mod nhcb;
mod number;
mod proto;
mod quote;
mod starts;
mod stream;
mod text;
pub(crate) mod wire;

use std::fmt;

pub use content::{Choice, Format};
pub use entry::{Entry, Exemplar, Exemplars, HistogramSample, LabelRefs, Sample};
pub use fill::{Filled, ScrapeFiller};
pub use stream::{Place, Placed, STREAM_BYTES, StreamError, TextStream};

use model::{MetricKind, UnixMs};

use entry::Item;
use lexer::newline_in;
use nhcb::Nhcb;
use proto::ProtoScrape;
use text::TextScrape;

/// The longest body that is read, in bytes: offsets are 32 bits wide.
pub const SCRAPE_BYTES_MAX: usize = 1 << 30;

const _: () = assert!(SCRAPE_BYTES_MAX < u32::MAX as usize);

/// How much of what a stranger may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest body, in bytes; never more than [`SCRAPE_BYTES_MAX`].
    pub body_bytes: usize,
    /// The longest line, or the largest metric family of protobuf, in bytes.
    pub line_bytes: usize,
    /// The most labels of one series or exemplar, the metric name not counted.
    pub labels: usize,
    /// The longest label name or value, in bytes.
    pub label_bytes: usize,
    /// The most buckets of one native histogram.
    pub buckets: usize,
}

/// What any real target stays below by far. A batch's own limits are lower: rows over those are left out and counted.
impl Default for Limits {
    fn default() -> Limits {
        Limits { body_bytes: 64 << 20, line_bytes: 1 << 20, labels: 128, label_bytes: 64 << 10, buckets: 4_096 }
    }
}

/// What is made of a scrape beyond reading it. Everything is off to begin with, as with Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScrapeOptions {
    /// Find when counters began: `_created` lines of OpenMetrics, start timestamps of protobuf.
    pub starts: bool,
    /// Leave out the `_created` series of OpenMetrics counters, histograms and summaries.
    pub skip_created: bool,
    /// Add the labels `__type__` and `__unit__` (text formats) from the metadata that came last.
    pub type_and_unit: bool,
    /// Make a native histogram with custom bounds of each classic one.
    pub classic_to_native: bool,
    /// Keep the classic series too, where a histogram is native or made native.
    pub keep_classic: bool,
}

/// Where a scrape is wrong, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScrapeError {
    /// The line, counted from 1; 0 where there are no lines or the whole is meant.
    pub line: u64,
    /// What is wrong, in Prometheus's words where it has some.
    pub what: String,
}

impl fmt::Display for ScrapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.what),
            line => write!(f, "line {line}: {}", self.what),
        }
    }
}

impl std::error::Error for ScrapeError {}

/// The memory of a scrape, to be used for the next one.
#[derive(Debug, Default)]
pub struct ScrapeMemory {
    item: Item,
    ahead: Item,
    family: Vec<u8>,
    unit: String,
    nhcb: Nhcb,
}

/// One scrape while it is read.
///
/// ```
/// use exposition::{Entry, Format, Limits, Scrape, ScrapeOptions};
///
/// let body = b"# TYPE node_load1 gauge\nnode_load1{board=\"a\"} 0.42 1795249204020\n";
/// let format = Format::of_content_type("text/plain; version=0.0.4", None).format.expect("a known type");
/// let mut scrape = Scrape::new(format, body, ScrapeOptions::default(), Limits::default());
/// while let Some(entry) = scrape.next_entry()? {
///     if let Entry::Sample(sample) = entry {
///         assert_eq!((sample.name, sample.labels.get("board"), sample.value), ("node_load1", Some("a"), 0.42));
///     }
/// }
/// # Ok::<(), exposition::ScrapeError>(())
/// ```
#[derive(Debug)]
pub struct Scrape<'a> {
    bytes: &'a [u8],
    reading: Reading<'a>,
    nhcb: Nhcb,
    options: ScrapeOptions,
    refused: Option<ScrapeError>,
    has_ended: bool,
}

// A boxed text would be an allocation for every scrape, and there is one of these at a time.
#[allow(clippy::large_enum_variant)]
#[derive(Debug)]
enum Reading<'a> {
    Text(TextScrape<'a>),
    Proto(ProtoScrape<'a>),
}

impl<'a> Scrape<'a> {
    /// Begins to read a body.
    pub fn new(format: Format, bytes: &'a [u8], options: ScrapeOptions, limits: Limits) -> Scrape<'a> {
        Scrape::with_memory(format, bytes, options, limits, ScrapeMemory::default())
    }

    /// Begins to read a body in memory that was used before.
    pub fn with_memory(
        format: Format,
        bytes: &'a [u8],
        options: ScrapeOptions,
        limits: Limits,
        memory: ScrapeMemory,
    ) -> Scrape<'a> {
        let bytes_max = limits.body_bytes.min(SCRAPE_BYTES_MAX);
        let what = || format!("expected a body of at most {bytes_max} bytes, got {}", bytes.len());
        let refused = (bytes.len() > bytes_max).then(|| ScrapeError { line: 0, what: what() });
        let read = if refused.is_some() { &[] } else { bytes };
        let ScrapeMemory { item, ahead, mut family, mut unit, mut nhcb } = memory;
        family.clear();
        unit.clear();
        nhcb.clear();
        let reading = match format {
            Format::Text | Format::OpenMetrics => {
                let mut text = TextScrape::new(read, format == Format::OpenMetrics, options, limits);
                text.take_memory(item, ahead, family, unit);
                Reading::Text(text)
            }
            Format::Protobuf => Reading::Proto(ProtoScrape::new(read, item, options, limits)),
        };
        Scrape { bytes: read, reading, nhcb, options, refused, has_ended: false }
    }

    /// Returns the next entry, `None` at the end.
    ///
    /// # Errors
    /// What is wrong and where. The scrape is over then; asking again gives the same error.
    pub fn next_entry(&mut self) -> Result<Option<Entry<'_>>, ScrapeError> {
        if let Some(error) = &self.refused {
            return Err(error.clone());
        }
        if self.has_ended {
            return Ok(None);
        }
        let read = match self.options.classic_to_native {
            true => self.advance_native(),
            false => self.reading.advance(),
        };
        match read {
            Err(what) => {
                let error = ScrapeError { line: self.line(), what };
                self.refused = Some(error.clone());
                Err(error)
            }
            Ok(false) => {
                self.has_ended = true;
                Ok(None)
            }
            Ok(true) if self.nhcb.is_emitting() => Ok(self.nhcb.entry()),
            Ok(true) => Ok(self.reading.entry(self.bytes)),
        }
    }

    /// Reads the next line if it is of a series that was read before, without taking the labels apart again. Asked is
    /// whether a line that begins with so many bytes is of it; see [`Sample::sent`] and [`Sample::kind`]. `None` where it
    /// is not, or where anything but a number, perhaps a time, and the line's end follows: [`Scrape::next_entry`] goes
    /// on from there.
    pub fn next_known(
        &mut self,
        bytes: usize,
        is_same: impl FnOnce(MetricKind, &[u8]) -> bool,
    ) -> Option<(f64, Option<UnixMs>)> {
        match &mut self.reading {
            Reading::Text(text) if self.refused.is_none() && !self.has_ended && !self.options.classic_to_native => {
                text.next_known(bytes, is_same)
            }
            _ => None,
        }
    }

    /// Returns the line that the entry lent last begins on, counted from 1; 0 for protobuf.
    ///
    /// Counting is done when asked for: it costs a walk over the text.
    pub fn line(&self) -> u64 {
        let Reading::Text(text) = &self.reading else { return 0 };
        1 + count_newlines(self.bytes.get(..text.entry).unwrap_or_default())
    }

    /// Gives the memory back.
    pub fn into_memory(self) -> ScrapeMemory {
        let Scrape { reading, nhcb, .. } = self;
        match reading {
            Reading::Text(text) => {
                let (item, ahead, family, unit) = text.into_memory();
                ScrapeMemory { item, ahead, family, unit, nhcb }
            }
            Reading::Proto(proto) => ScrapeMemory { item: proto.item, nhcb, ..ScrapeMemory::default() },
        }
    }

    /// Reads on until there is an entry to lend: the scrape's own, or a histogram made of classic series.
    fn advance_native(&mut self) -> Result<bool, String> {
        loop {
            if !self.nhcb.take_stashed() && !self.reading.advance()? {
                self.has_ended = true;
                return Ok(self.nhcb.finish());
            }
            let Some(entry) = self.reading.entry(self.bytes) else { return Ok(false) };
            if self.nhcb.emit_before(&entry) {
                return Ok(true);
            }
            if !self.nhcb.collect(&entry) || self.options.keep_classic {
                return Ok(true);
            }
        }
    }
}

impl Reading<'_> {
    fn advance(&mut self) -> Result<bool, String> {
        match self {
            Reading::Text(text) => text.advance(),
            Reading::Proto(proto) => proto.advance(),
        }
    }

    #[inline]
    fn entry<'e>(&'e self, bytes: &'e [u8]) -> Option<Entry<'e>> {
        match self {
            Reading::Text(text) => text.item.entry(bytes, text.text, text.base),
            Reading::Proto(proto) => proto.item.entry(bytes, "", 0),
        }
    }
}

/// Returns how many newlines there are.
fn count_newlines(bytes: &[u8]) -> u64 {
    let (mut rest, mut lines) = (bytes, 0);
    while let Some(at) = newline_in(rest) {
        rest = &rest[at + 1..];
        lines += 1;
    }
    lines
}

#[cfg(test)]
#[path = "scrape/peer_tests.rs"]
mod peer_tests;
#[cfg(test)]
#[path = "scrape/suite_tests.rs"]
mod suite_tests;
#[cfg(test)]
#[path = "scrape/tests.rs"]
mod tests;
