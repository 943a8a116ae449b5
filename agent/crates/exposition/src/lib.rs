//! The exposition formats, both ways: what `/metrics` and `/federate` print, what a `.prom` file says, what a target
//! answers to a scrape, and what a file to be imported holds.
//!
//! Printing follows the Go client library to the byte (order of families, rows and labels, escapes, floats),
//! because people compare our `/metrics` with node_exporter's. There are two ways to read: `parse` is as strict as
//! node_exporter is with its textfiles, `scrape` is exactly as lenient as Prometheus is with its targets (text,
//! OpenMetrics, protobuf). No file, socket or clock is touched here.
//!
//! Read `print` first, then `federate`, `parse`, `scrape`. A scrape is walked entry by entry, or made a batch at once:
//!
//! ```
//! use exposition::{Entry, Format, Limits, Scrape, ScrapeFiller, ScrapeOptions};
//!
//! let body = b"# TYPE node_load1 gauge\nnode_load1{board=\"a\"} 0.42 1795249204020\n";
//! let format = Format::of_content_type("text/plain; version=0.0.4", None).format.expect("a known type");
//!
//! let mut scrape = Scrape::new(format, body, ScrapeOptions::default(), Limits::default());
//! while let Some(entry) = scrape.next_entry()? {
//!     if let Entry::Sample(sample) = entry {
//!         assert_eq!((sample.name, sample.labels.get("board"), sample.value), ("node_load1", Some("a"), 0.42));
//!     }
//! }
//!
//! let (mut filler, mut batch) = (ScrapeFiller::new(), model::Batch::new());
//! let filled = filler.fill(format, body, ScrapeOptions::default(), Limits::default(), &mut batch)?;
//! assert_eq!((filled.samples, batch.rows().len()), (1, 1));
//! # Ok::<(), exposition::ScrapeError>(())
//! ```
//!
//! A file larger than memory goes through [`TextStream`], which needs a reader and a closure:
//!
//! ```
//! use std::ops::ControlFlow;
//! use exposition::{Format, Limits, Placed, ScrapeOptions, TextStream};
//!
//! let mut lines = 0;
//! let mut stream = TextStream::new(Format::OpenMetrics, ScrapeOptions::default(), Limits::default());
//! stream.read(&mut &b"up 1 1795249204.02\nup 0 1795249219.02\n# EOF\n"[..], &mut |placed: Placed<'_>| {
//!     lines = placed.line();
//!     ControlFlow::Continue(())
//! })?;
//! assert_eq!((lines, stream.place().lines), (2, 3));
//! # Ok::<(), exposition::StreamError>(())
//! ```

mod federate;
mod parse;
mod print;
mod received;
mod scrape;

pub use federate::{FederateRow, write_federate};
pub use parse::{ParseError, TEXT_BYTES_MAX, TextParser, parse_text};
pub use print::{TextWriter, write_text};
pub use received::{WriteLimits, WriteVersion, Written, WrittenExemplar, read_write_request};
pub use scrape::{
    Choice, Entry, Exemplar, Exemplars, Filled, Format, HistogramSample, LabelRefs, Limits, Place, Placed,
    SCRAPE_BYTES_MAX, STREAM_BYTES, Sample, Scrape, ScrapeError, ScrapeFiller, ScrapeMemory, ScrapeOptions,
    StreamError, TextStream,
};
