//! How targets stand: for `/api/v1/targets`, the page, and the agent's own metrics.
//!
//! Plain values, copied when somebody asks. A target's URL and labels may carry what its owner put there; secrets of
//! the configuration are none of it.

use model::{Labels, UnixMs};

use crate::intake::Count;
use crate::pools::Reason;

/// One target.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetStatus {
    /// The labels before any rule ran.
    pub discovered: Labels,
    /// What its samples carry.
    pub labels: Labels,
    /// The job.
    pub pool: String,
    /// What is fetched.
    pub url: String,
    /// How often, in milliseconds.
    pub interval_ms: u64,
    /// How long it may take, in milliseconds.
    pub timeout_ms: u64,
    /// What came of the last scrape.
    pub last: Last,
}

/// What came of a target's last scrape.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Last {
    /// Whether it went well.
    pub health: Health,
    /// What went wrong; empty when nothing did.
    pub error: String,
    /// When it began; `None` before the first.
    pub at: Option<UnixMs>,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// How many samples were sent.
    pub samples: u64,
}

/// Whether a target answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Health {
    /// It was not asked yet.
    #[default]
    Unknown,
    /// It does.
    Up,
    /// It does not, or not as it should.
    Down,
}

impl Health {
    /// Returns the word that the peer's API has for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Health::Unknown => "unknown",
            Health::Up => "up",
            Health::Down => "down",
        }
    }
}

/// What is counted of all targets together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// Targets that are scraped.
    pub targets: u64,
    /// Those whose last scrape went well.
    pub up: u64,
    /// Series that are remembered of them.
    pub series: u64,
    /// Scrapes that ended, well or not.
    pub scrapes: u64,
    /// Those that failed, in the order of [`Reason::ALL`].
    pub failed: [u64; Reason::ALL.len()],
    /// Scrapes left out because the one before was still on its way.
    pub missed: u64,
    /// Samples left out because they cannot be held.
    pub samples_too_large: u64,
    /// Targets that rules dropped.
    pub dropped_targets: u64,
    /// Targets left out because there are too many.
    pub targets_left_out: u64,
}

impl Counts {
    pub(crate) fn note(&mut self, failed: Option<Reason>, count: &Count) {
        self.scrapes += 1;
        self.samples_too_large += count.too_large;
        let index = failed.and_then(|reason| Reason::ALL.iter().position(|(known, _)| *known == reason));
        if let Some(index) = index {
            self.failed[index] += 1;
        }
    }
}
