//! PromQL: text to tree, tree and samples to an answer, as Prometheus 3 does it.
//!
//! [`parse`] makes an [`Expr`] whose nodes know their positions; [`Engine`] evaluates it against anything that
//! implements `model::Querier`; [`script`] runs Prometheus's own test language against the engine. Nothing here
//! knows files, sockets, clocks or threads. Errors, warnings and printed expressions are Prometheus's texts.
//!
//! Read `ast` first, then `parse`, `eval` (a stream of series, all steps at once) and `functions` (the table).

mod annotations;
mod ast;
mod engine;
mod error;
mod eval;
mod functions;
mod hist;
mod json;
mod parse;
mod pretty;
mod print;
pub mod script;
mod stats;
mod value;
mod xxhash;

pub use ast::*;
pub use engine::{Engine, Limits, RangeArgs};
pub use error::{EvalError, ParseError};
pub use functions::{FUNCTIONS, Function};
pub use parse::{Features, HEIGHT_MAX, NESTING_MAX, parse, parse_metric_selector, parse_selector, parse_with};
pub use stats::SampleStats;
pub use value::{Answer, MatrixSeries, QueryValue, VectorItem};
