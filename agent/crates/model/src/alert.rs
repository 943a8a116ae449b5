//! Where rules and notifications meet: one alert as it stands at one moment.
//!
//! `rules` produces these at each evaluation, `notify` routes, groups and delivers them; neither knows the other.
//! Times are labels (wall times); how long an alert has been pending is elapsed time and stays inside `rules`.

use crate::labels::Labels;
use crate::time::UnixMs;

/// How far an alert has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertState {
    /// The condition holds, but not for long enough yet.
    Pending,
    /// It has held for long enough.
    Firing,
    /// It was firing and the condition holds no more.
    Resolved,
}

/// One alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Identifies the alert; carries `alertname`.
    pub labels: Labels,
    /// Says more about it, already expanded.
    pub annotations: Labels,
    /// How far it has come.
    pub state: AlertState,
    /// The value of the expression when it was evaluated last.
    pub value: f64,
    /// When the condition began to hold.
    pub active_at: UnixMs,
    /// When it began to fire: what receivers call `startsAt`.
    pub fired_at: Option<UnixMs>,
    /// When it was resolved: what receivers call `endsAt`.
    pub resolved_at: Option<UnixMs>,
    /// A link that shows the expression, empty where there is none.
    pub generator_url: String,
}
