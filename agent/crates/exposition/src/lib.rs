//! The exposition formats, both ways: what `/metrics` and `/federate` print, what a `.prom` file says, what a target
//! answers to a scrape, and what a file to be imported holds.
//!
//! Printing follows the Go client library to the byte (order of families, rows and labels, escapes, floats),
//! because people compare our `/metrics` with node_exporter's. There are two ways to read: `parse` is as strict as
//! node_exporter is with its textfiles, `scrape` is exactly as lenient as Prometheus is with its targets (text,
//! OpenMetrics, protobuf). No file, socket or clock is touched here.
//!
//! Read `print` first, then `packed` (its gzip), `federate`, `parse`, `scrape`. There are examples at [`Scrape`] (entry
//! by entry), [`ScrapeFiller`] (a batch at once) and [`TextStream`] (a file larger than memory).

mod federate;
mod federate_proto;
mod packed;
mod parse;
mod print;
mod received;
mod scrape;

pub use federate::{Escaping, FederateRow, write_federate, write_series_name};
pub use federate_proto::write_federate_proto;
pub use packed::Packed;
pub use parse::{ParseError, TEXT_BYTES_MAX, TextParser, parse_text, parse_text_with_any_names};
pub use print::{TextWriter, write_text};
pub use received::{WriteLimits, WriteVersion, Written, WrittenExemplar, read_write_request};
pub use scrape::{
    Choice, Entry, Exemplar, Exemplars, Filled, Format, HistogramSample, LabelRefs, Limits, Place, Placed,
    SCRAPE_BYTES_MAX, STREAM_BYTES, Sample, Scrape, ScrapeError, ScrapeFiller, ScrapeMemory, ScrapeOptions,
    StreamError, TextStream,
};
