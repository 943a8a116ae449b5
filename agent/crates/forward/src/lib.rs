//! Turns the rows of the ring into frames for one upstream: remote write, or a topic of an MQTT broker.
//!
//! Nothing is queued here. The ring is the outbox; an upstream is a small saved set of acknowledged rows and at
//! most one frame whose fate is not known. An outage therefore costs one frame of memory however long it lasts,
//! and what the ring overwrote before it was sent is counted.
//!
//! Everything is a pure state machine: bytes out, [`model::Outcome`] in, the time handed over. Sockets, TLS,
//! headers and time limits are the shell's. Read `outbox` first (the machine and the order in which the shell must
//! save and send), then `acks` (what is saved), `remote_write` and `mqtt` (how rows become bytes).

pub mod outbox;

pub mod mqtt;
pub mod remote_write;

pub mod acks;
pub mod backoff;
pub mod select;
pub mod stats;
pub mod uplink;

#[cfg(test)]
mod fake;

pub use acks::{Acks, Doubt, Losses};
pub use backoff::{Backoff, BackoffLimits};
pub use select::Selection;
pub use stats::{Stats, Waiting};
pub use uplink::Uplink;
