//! Notifications: routes alerts as Alertmanager does, groups them, and makes the notices that receivers get.
//!
//! There is no queue of notices. A group that is due is compared with the saved notification log (what each receiver
//! was told last), and what differs is one notice, made when it can be sent; so an outage costs no memory and ends
//! with the present state, once. Waiting is by elapsed time; wall times only stand in the notice.
//!
//! Served: the routing tree with matchers and `continue`, grouping, `webhook_configs`. Not yet, and said as a warning:
//! other receivers, inhibition, silences, time intervals. Nothing here touches the network: [`Notifier::poll`] gives a
//! [`Notice`], the caller sends it and tells [`Notifier::settle`] what became of it.
//!
//! Read `config` first, then `dispatch`, `log` and `webhook`.

mod config;
mod matchers;
mod route;

mod dispatch;
mod group;
mod log;

mod fingerprint;
mod webhook;

pub use config::{Config, Receiver, Webhook, load};
pub use dispatch::{Notice, NoticeId, Notifier, ReceiverCounts, Totals};
pub use fingerprint::fingerprint;
pub use log::RestoreError;
pub use matchers::parse_matchers;
pub use route::{GroupBy, Route};

/// What bounds the crate. What is over a limit is refused and counted.
pub mod limits {
    /// The most alerts that are remembered; when full the oldest resolved one makes room, else the new one is refused.
    pub const ALERTS_MAX: usize = 2_048;
    /// The most groups.
    pub const GROUPS_MAX: usize = 512;
    /// The most routes of a configuration.
    pub const ROUTES_MAX: usize = 256;
    /// The most receivers of a configuration.
    pub const RECEIVERS_MAX: usize = 64;
    /// The most webhooks of one receiver.
    pub const INTEGRATIONS_MAX: usize = 16;
    /// The most entries of the notification log; the oldest makes room.
    pub const LOG_ENTRIES_MAX: usize = 512;
    /// The most bytes the saved log takes; the oldest entries are left out.
    pub const SAVED_BYTES_MAX: usize = 32 << 10;
    /// The most bytes of one notice's body; alerts beyond are counted as truncated.
    pub const BODY_BYTES_MAX: usize = 1 << 20;
    /// The first pause after a failed delivery.
    pub const BACKOFF_MS_MIN: u64 = 1_000;
    /// The longest pause after failed deliveries.
    pub const BACKOFF_MS_MAX: u64 = 60_000;

    const _: () = assert!(BACKOFF_MS_MIN <= BACKOFF_MS_MAX);
    const _: () = assert!(INTEGRATIONS_MAX <= u32::BITS as usize);
}
