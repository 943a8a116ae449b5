//! Scraping other targets, as Prometheus does, without a clock, a socket or a thread.
//!
//! A [`Job`] is one entry of `scrape_configs`, a [`Group`] what discovery found. The shell tells the time, fetches what
//! it is asked to fetch and hands the bodies in; batches for the store come out.
//!
//! Not here: how a body is fetched, how targets are discovered, the text formats themselves. Read `pools` first.

mod job;
mod pools;
mod status;
mod target;

mod hash;
mod intake;
mod layout;
mod naming;
mod report;

pub use job::{Group, Histograms, Job, Limits, Protocol};
pub use pools::{Body, Bounds, Delivery, Failure, Fetch, Pools, Reason};
pub use status::{Counts, Health, Last, TargetStatus};
pub use target::{Found, Target, discovered, populate};

/// What bounds scraping; each is decided where it is met, and counted.
pub mod limits {
    /// The most targets of all jobs together; further ones are left out and counted.
    pub const TARGETS_MAX: usize = 2_000;

    /// The longest body, in bytes, whatever `body_size_limit` says.
    pub const BODY_BYTES_MAX: u64 = 16 << 20;
}
