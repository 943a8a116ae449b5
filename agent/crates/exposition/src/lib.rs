//! The text formats, both ways: what `/metrics` and `/federate` print, and what a `.prom` file says.
//!
//! Printing follows the Go client library to the byte (order of families, rows and labels, escapes, floats),
//! because people compare our `/metrics` with node_exporter's. Parsing follows its strict text parser, because
//! node_exporter's textfile collector takes a file whole or not at all, and so do we.
//!
//! No file, socket or clock is touched here. Read `print` first, then `federate`, then `parse`.
//!
//! ```text
//! # HELP node_load1 1m load average.
//! # TYPE node_load1 gauge
//! node_load1 0.42
//! ```

mod federate;
mod parse;

mod print;

pub use federate::{FederateRow, write_federate};
pub use parse::{ParseError, TEXT_BYTES_MAX, TextParser, parse_text};
pub use print::{TextWriter, write_text};
