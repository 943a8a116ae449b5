//! An example of what a series counted: one observation, with labels of its own, mostly the id of a trace.
//!
//! It belongs to a series and is no sample: nothing is computed with it, and it may be forgotten before the samples are.

use crate::labels::Labels;
use crate::time::UnixMs;

/// One exemplar.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// Whose it is.
    pub series: Labels,
    /// Its own labels.
    pub labels: Labels,
    /// What was observed.
    pub value: f64,
    /// When; where the source did not say, when it was read.
    pub at: UnixMs,
    /// Whether the source said when.
    pub has_time: bool,
}
