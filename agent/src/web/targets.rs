//! Targets as the API shows them: what is scraped, and this board, which is shown as if it were.
//!
//! This is the seam for whatever collects: it fills [`Target`]s into a [`super::Status`], and `api` prints them. Nothing
//! here knows how a target was found or asked.

use model::{Labels, UnixMs};
pub use targets::Health;

/// A target that is scraped.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// The labels before relabelling, those with `__` included.
    pub discovered: Labels,
    /// The labels of its series.
    pub labels: Labels,
    /// The job it belongs to.
    pub pool: String,
    /// What is asked.
    pub url: String,
    /// The same for somebody on another host.
    pub global_url: String,
    /// Why the last scrape failed; empty when it did not.
    pub last_error: String,
    /// When the last scrape began; `None` before the first.
    pub last_scrape: Option<UnixMs>,
    /// How long it took, in seconds.
    pub last_seconds: f64,
    /// How it went.
    pub health: Health,
    /// How often it is scraped, in milliseconds.
    pub interval_ms: u64,
    /// How long a scrape may take, in milliseconds.
    pub timeout_ms: u64,
}

/// A target that relabelling dropped.
#[derive(Debug, Clone, Default)]
pub struct Dropped {
    /// The labels before relabelling.
    pub discovered: Labels,
    /// The job it would have belonged to.
    pub pool: String,
}

/// Everything that is scraped.
#[derive(Debug, Clone, Default)]
pub struct Targets {
    /// Those that are scraped.
    pub active: Vec<Target>,
    /// Some of those that were dropped.
    pub dropped: Vec<Dropped>,
    /// The names of all jobs, each with how many of its targets were dropped.
    pub pools: Vec<(String, u64)>,
}
