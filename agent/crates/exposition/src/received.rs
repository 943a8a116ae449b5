//! Reads what a remote-write sender sends: `prometheus.WriteRequest` (1.0) and `io.prometheus.write.v2.Request`.
//!
//! The body comes unpacked. Each sample becomes a row with its own time; because a batch has a series once, the k-th
//! samples of all series make the k-th batch, floats and histograms apart, so that what a store refuses can be told by
//! kind. A series that is wrong (no name, labels twice or out of order of UTF-8, a histogram whose counts do not add
//! up) is left out and told, the others are taken: the specification's partial write. Bytes that are no request are
//! refused whole. A length that claims more than is there is refused before anything is made of it.
//!
//! Sources: the Remote-Write 1.0 and 2.0 specifications; prometheus `prompb/types.proto`, `write/v2/types.proto`.

mod histogram;
mod series;

use model::{Batch, MetricKind, UnixMs};

use crate::scrape::wire::Wire;
use series::Builder;

/// The most reasons that are told of one request.
const REASONS_MAX: usize = 8;

/// Which message a body holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteVersion {
    /// `prometheus.WriteRequest`.
    V1,
    /// `io.prometheus.write.v2.Request`.
    V2,
}

/// What bounds a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteLimits {
    /// The most series.
    pub series: usize,
    /// The most samples of one series.
    pub samples_each: usize,
    /// The most symbols of a 2.0 request.
    pub symbols: usize,
}

impl Default for WriteLimits {
    fn default() -> WriteLimits {
        WriteLimits { series: 50_000, samples_each: 10_000, symbols: 1_000_000 }
    }
}

/// A request as batches and counts.
#[derive(Debug, Default)]
pub struct Written {
    /// Floats: the first of each series, then the second, and so on.
    pub floats: Vec<Batch>,
    /// Native histograms, likewise.
    pub histograms: Vec<Batch>,
    /// Exemplars that came with series that were taken.
    pub exemplars: Vec<WrittenExemplar>,
    /// Samples and histograms left out, with the first reasons.
    pub left_out: u64,
    /// Why, in words; at most eight.
    pub reasons: Vec<String>,
}

/// One exemplar.
#[derive(Debug, Clone, PartialEq)]
pub struct WrittenExemplar {
    /// Whose it is.
    pub series: model::Labels,
    /// Its own labels.
    pub labels: model::Labels,
    /// Its value.
    pub value: f64,
    /// When it was observed.
    pub at: UnixMs,
}

impl Written {
    fn leave_out(&mut self, samples: u64, reason: String) {
        self.left_out += samples;
        if self.reasons.len() < REASONS_MAX {
            self.reasons.push(reason);
        }
    }
}

/// Reads a request.
///
/// # Errors
/// With what is wrong, when the bytes are no such message or pass a limit.
pub fn read_write_request(body: &[u8], version: WriteVersion, limits: WriteLimits) -> Result<Written, String> {
    let symbols = match version {
        WriteVersion::V1 => Vec::new(),
        WriteVersion::V2 => symbols(body, limits)?,
    };
    let mut builder = Builder::new(version, &symbols, limits);
    let (series, metadata) = match version {
        WriteVersion::V1 => (1, 3),
        WriteVersion::V2 => (5, u64::MAX),
    };
    let mut wire = Wire::new(body);
    while let Some((number, field)) = wire.field()? {
        match number {
            number if number == series => builder.series(field.bytes())?,
            number if number == metadata => builder.metadata(field.bytes())?,
            _ => {}
        }
    }
    Ok(builder.finish())
}

fn symbols(body: &[u8], limits: WriteLimits) -> Result<Vec<&str>, String> {
    let (mut symbols, mut wire) = (Vec::new(), Wire::new(body));
    while let Some((number, field)) = wire.field()? {
        if number == 4 {
            if symbols.len() >= limits.symbols {
                return Err(format!("at most {} symbols are accepted", limits.symbols));
            }
            symbols.push(std::str::from_utf8(field.bytes()).map_err(|_| "a symbol is not UTF-8".to_owned())?);
        }
    }
    match symbols.first() {
        Some(first) if !first.is_empty() => Err("expected the empty string as the first symbol".to_owned()),
        _ => Ok(symbols),
    }
}

/// Returns the kind that both messages number alike.
fn kind(number: u64) -> MetricKind {
    match number {
        1 => MetricKind::Counter,
        2 => MetricKind::Gauge,
        3 => MetricKind::Histogram,
        4 => MetricKind::GaugeHistogram,
        5 => MetricKind::Summary,
        6 => MetricKind::Info,
        7 => MetricKind::StateSet,
        _ => MetricKind::Unknown,
    }
}

#[cfg(test)]
mod tests;
