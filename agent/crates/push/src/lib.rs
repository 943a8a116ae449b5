//! Pushed metrics: groups that programs leave here and that stay until they are replaced or deleted.
//!
//! The interface is pushgateway's (1.11): a group is named by the labels in the path, `PUT` replaces all of it,
//! `POST` the families it names, `DELETE` removes it. What is pushed must be consistent with all other groups; what
//! is not is refused whole, and unlike with the peer it leaves nothing behind that would make later pushes fail.
//!
//! [`route`] reads a path, [`Groups`] is the state. There is no socket, clock or file here: times are handed in,
//! bodies come parsed, and [`Groups::save`] and [`Groups::restore`] turn a group into bytes and back.

mod group;
mod groups;
mod path;
mod saved;

pub use group::{Family, Group, Metric, Point};
pub use groups::{Counts, Groups, Mode, Refused};
pub use path::{Grouping, Route, route};

/// What bounds the groups; a push beyond is refused and counted.
pub mod limits {
    /// The most groups.
    pub const GROUPS_MAX: usize = 1_000;

    /// The most metrics (label sets of a family) of all groups together.
    pub const METRICS_MAX: usize = 50_000;

    /// The most bytes of names, labels and help texts of all groups together.
    pub const BYTES_MAX: usize = 4 << 20;

    /// The most labels of a path.
    pub const PATH_LABELS_MAX: usize = 32;

    /// The most bytes of one group that are kept across a restart.
    pub const SAVED_BYTES_MAX: usize = 32 << 10;
}
