//! Rules: Prometheus rule files, their groups and alerts, and the templates in them.
//!
//! [`load`] reads a file; [`Manager`] says which groups are due, evaluates them over any `model::Querier` and keeps what
//! alerts have come to. `for` and `keep_firing_for` count elapsed time, which is saved and goes on after a reboot; wall times
//! are only labels. A missed evaluation is counted and not invented. Nothing here reads a clock, a file or a socket.
//!
//! Read `group` first, then `manager`, `evaluate`, `alert` and `template`.

mod group;
mod manager;

mod alert;
mod evaluate;
mod overlay;
mod view;

mod elapsed;
mod saved;

pub mod lint;
pub mod template;
pub mod unit;

pub use evaluate::Evaluation;
pub use group::{AlertRule, Group, LoadOptions, RecordRule, Rule, RuleKind, load, load_legacy, load_with};
pub use manager::{Counts, GroupStatus, Manager, Options, RuleStatus};
pub use saved::RestoreError;
pub use view::{AlertRuleView, GroupView, RuleView};

/// What bounds the crate.
pub mod limits {
    /// The most groups of one file.
    pub const GROUPS_MAX: usize = 1_000;
    /// The most rules of one group.
    pub const RULES_PER_GROUP_MAX: usize = 2_000;
    /// The longest file that a tool reads, in bytes, and its most nodes: it runs where files are written, for a moment.
    pub const TOOL_TEXT_BYTES_MAX: usize = 32 << 20;
    /// As [`TOOL_TEXT_BYTES_MAX`].
    pub const TOOL_NODES_MAX: usize = 4 << 20;
    /// The most alerts one rule may have at once; beyond it the rule fails.
    pub const ALERTS_PER_RULE_MAX: usize = 1_000;
    /// The most series one recording rule may write at once; beyond it the rule fails.
    pub const RECORDED_SERIES_MAX: usize = 10_000;
    /// The most bytes the saved state takes; what has resolved is left out first, then what is pending.
    pub const SAVED_BYTES_MAX: usize = 32 << 10;
    /// How long a resolved alert is repeated, as in Prometheus.
    pub const RESOLVED_RETENTION_MS: u64 = 15 * 60_000;
    /// How long, at least, alerts of before a reboot are kept when their condition cannot be seen yet.
    pub const RESTORE_GRACE_MS: u64 = 60_000;
    /// The longest error of a rule that is kept, in bytes.
    pub const ERROR_BYTES_MAX: usize = 1_024;
}
