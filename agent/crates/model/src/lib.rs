//! What everybody talks about: labels, samples, batches, time, alerts, limits, and the seams.
//!
//! This crate has no idea of files, sockets, threads or clocks. It names the field's own things once, so that
//! the store, the query engine, the rules, the collectors and the senders can meet without naming each other.
//!
//! Nothing here derives `Serialize`: what crosses a wire or a disk has its own type in the crate that owns that
//! format. Read `labels` first, then `batch` (how samples come in), `row` (how they are counted), `time` (the two
//! clocks) and `seams` (where the parts meet).

pub mod labels;
pub mod matcher;
pub mod pattern;
mod re2;

pub mod batch;
pub mod engine;
mod exemplar;
mod fingerprint;
pub mod histogram;
pub mod row;
pub mod sample;

pub mod duration;
pub mod float;
mod shortest;
pub mod time;

pub mod alert;
pub mod limits;
pub mod seams;

pub use alert::{Alert, AlertState};
pub use batch::{Batch, Family, MetricKind, Row, SourceId};
pub use exemplar::Exemplar;
pub use fingerprint::{Fingerprint, fingerprint, fold};
pub use histogram::{Counts, Histogram, ResetHint, Span};
pub use labels::{Labels, LabelsBuilder};
pub use matcher::{MatchOp, Matcher};
pub use pattern::{Pattern, PatternError};
pub use row::{RowId, RowRange};
pub use sample::{STALE_NAN_BITS, Sample, Value, is_stale_nan, stale_nan};
pub use seams::{
    Clock, Disk, Frame, FrameId, Outbox, Outcome, Querier, ReadAt, SelectError, SeriesSamples, Steps, Tail, TailRow,
    Uplink,
};
pub use time::{Mono, Now, TimeRange, UnixMs};
