//! What is counted of queries: how many there were, and how many were refused or broken off, by the limit in the way.
//!
//! Counted where the answer is made, by whatever thread does it; read by whoever shows the agent's own metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use model::{Batch, MetricKind};

/// Why a query has no answer, or not all of it. Each is a limit with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// `--query.max-samples`.
    Samples,
    /// The most series a query may hold.
    Series,
    /// The most steps of a range.
    Steps,
    /// The most bytes of an answer.
    Bytes,
    /// `query.timeout`, while it was computed.
    Time,
    /// `query.timeout`, while it waited for its turn.
    Queue,
    /// The client went away.
    Client,
    /// Slow readers held all the room there is for answers.
    Room,
}

/// The limits in the order of their counters, and what they are called in the metric.
const LIMITS: [(Limit, &str); 8] = [
    (Limit::Samples, "samples"),
    (Limit::Series, "series"),
    (Limit::Steps, "steps"),
    (Limit::Bytes, "bytes"),
    (Limit::Time, "time"),
    (Limit::Queue, "queue"),
    (Limit::Client, "client"),
    (Limit::Room, "room"),
];

/// The counters.
#[derive(Debug, Default)]
pub struct Counts {
    queries: AtomicU64,
    limited: [AtomicU64; LIMITS.len()],
}

impl Counts {
    /// Counts a query.
    pub fn query(&self) {
        self.queries.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a limit that was in the way.
    pub fn limited(&self, limit: Limit) {
        for ((known, _), count) in LIMITS.iter().zip(&self.limited) {
            if *known == limit {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Returns how often a limit was in the way.
    pub fn of(&self, limit: Limit) -> u64 {
        let found = LIMITS.iter().zip(&self.limited).find(|((known, _), _)| *known == limit);
        found.map_or(0, |(_, count)| count.load(Ordering::Relaxed))
    }

    /// Returns what is counted so far.
    pub fn told(&self) -> Told {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Told { queries: load(&self.queries), limited: std::array::from_fn(|at| load(&self.limited[at])) }
    }
}

/// What was counted at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Told {
    queries: u64,
    limited: [u64; LIMITS.len()],
}

impl Told {
    /// Adds the agent's own metrics about queries.
    pub fn add_to(&self, out: &mut Batch) {
        out.family("narthex_queries_total", "Queries that were asked for over HTTP.", MetricKind::Counter);
        out.add(&[], self.queries as f64);
        let help = "Queries without an answer, by the limit in the way.";
        out.family("narthex_queries_limited_total", help, MetricKind::Counter);
        for ((_, name), count) in LIMITS.iter().zip(&self.limited) {
            out.add(&[("limit", name)], *count as f64);
        }
    }
}
