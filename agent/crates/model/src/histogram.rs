//! A native histogram: sparse buckets whose bounds follow from a schema, or custom bounds.
//!
//! Buckets are absolute counts (not deltas) in spans of consecutive indexes. Schemas -4 to 8 are exponential with
//! a growth of 2^(2^-schema); -53 means custom bounds, of which there are only positive ones. Counts are integers
//! where an exporter sent them and floats after arithmetic. Source: Prometheus, `model/histogram`.
//!
//! Only the shape lives here; arithmetic belongs to `promql`.

/// The schema number of histograms with custom bounds.
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;

/// Consecutive buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The gap to the end of the span before; for the first span, the index of its first bucket.
    pub offset: i32,
    /// How many buckets there are.
    pub length: u32,
}

/// What a histogram says about a counter reset between it and the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResetHint {
    /// Nothing is known: compare.
    #[default]
    Unknown,
    /// A reset happened.
    Reset,
    /// None happened.
    NotReset,
    /// It is a gauge: the question makes no sense.
    Gauge,
}

/// The counts of a histogram, of one kind throughout.
#[derive(Debug, Clone, PartialEq)]
pub enum Counts {
    /// As an exporter counts.
    Integer {
        /// All observations.
        count: u64,
        /// Those within the zero bucket.
        zero: u64,
        /// Absolute counts of the positive buckets, in span order.
        positive: Vec<u64>,
        /// Absolute counts of the negative buckets, in span order.
        negative: Vec<u64>,
    },
    /// As arithmetic leaves them.
    Float {
        /// All observations.
        count: f64,
        /// Those within the zero bucket.
        zero: f64,
        /// Absolute counts of the positive buckets, in span order.
        positive: Vec<f64>,
        /// Absolute counts of the negative buckets, in span order.
        negative: Vec<f64>,
    },
}

/// A native histogram.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// The resolution, or [`CUSTOM_BUCKETS_SCHEMA`].
    pub schema: i32,
    /// The width of the zero bucket.
    pub zero_threshold: f64,
    /// The sum of all observations; the staleness marker's bits end a series.
    pub sum: f64,
    /// Where the positive buckets lie.
    pub positive_spans: Vec<Span>,
    /// Where the negative buckets lie.
    pub negative_spans: Vec<Span>,
    /// The upper bounds, ascending, for [`CUSTOM_BUCKETS_SCHEMA`]; else empty.
    pub custom_bounds: Vec<f64>,
    /// The counts.
    pub counts: Counts,
    /// About the reset.
    pub hint: ResetHint,
}
