//! What a collector is, and what the list of collectors says about each.
//!
//! A collector is one file, one cargo feature and one line in [`crate::COLLECTORS`]. It reads a [`Host`], adds rows
//! to a batch and keeps its buffers. It may block on hardware; it owns no state that anyone else needs.

use model::Batch;

use crate::error::CollectError;
use crate::host::Host;
use crate::settings::{Settings, SettingsError};

/// Reads one part of a board.
pub trait Collector: Send {
    /// Returns the name, as node_exporter spells it after `--collector.`.
    fn name(&self) -> &'static str;

    /// Adds what the board says now. What was read before an error stays.
    ///
    /// # Errors
    /// The first bad piece, or `Absent`.
    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError>;
}

/// One flag of a collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlagInfo {
    /// The name as node_exporter spells it, without the leading dashes.
    pub name: &'static str,
    /// The value when it is not given; a switch says `true` or `false`.
    pub default: &'static str,
    /// What it does.
    pub help: &'static str,
}

impl FlagInfo {
    /// Returns whether the flag is a switch: given as `--x` or `--no-x`, without a value.
    pub fn is_switch(&self) -> bool {
        matches!(self.default, "true" | "false")
    }
}

/// One line of the list.
#[derive(Clone, Copy)]
pub struct CollectorInfo {
    /// The name, as node_exporter spells it after `--collector.`.
    pub name: &'static str,
    /// Whether it runs when nobody says anything.
    pub default_on: bool,
    /// Makes one with these settings.
    pub make: fn(&Settings) -> Result<Box<dyn Collector>, SettingsError>,
    /// Its own flags.
    pub flags: &'static [FlagInfo],
    /// What it tells, in one line.
    pub doc: &'static str,
}
