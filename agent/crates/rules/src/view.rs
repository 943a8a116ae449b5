//! How groups, rules and alerts stand, as values of their own: what the API shows, while the state itself may be away
//! for an evaluation. Made on request and thrown away; nothing here changes a state or is saved.
//! The peer's names for what is shown are in its `web/api/v1`, types `RuleGroup`, `AlertingRule` and `Alert`.

use model::labels::NAME;
use model::{Alert, AlertState, Now, UnixMs};

use crate::alert::Active;
use crate::group::{AlertRule, Rule, RuleKind};
use crate::manager::{RuleStatus, public};

/// A group and how its last evaluation went.
#[derive(Debug, Clone)]
pub struct GroupView {
    /// The name, unique within its file.
    pub name: String,
    /// The file it came from.
    pub file: String,
    /// How often it is evaluated.
    pub interval_ms: u64,
    /// The most series or alerts one of its rules may give; 0: no limit but ours.
    pub limit: usize,
    /// When it was evaluated last; `None` before the first time.
    pub last_evaluation: Option<UnixMs>,
    /// How long that took, in seconds.
    pub seconds: f64,
    /// Its rules in order.
    pub rules: Vec<RuleView>,
}

/// A rule and how its last evaluation went.
#[derive(Debug, Clone)]
pub struct RuleView {
    /// The alert's name or the name of the recorded series.
    pub name: String,
    /// The expression.
    pub query: String,
    /// What is laid over its results, templates as they are written; by name.
    pub labels: Vec<(String, String)>,
    /// How it went.
    pub status: RuleStatus,
    /// What an alerting rule has besides.
    pub alert: Option<AlertRuleView>,
}

/// What an alerting rule has besides.
#[derive(Debug, Clone)]
pub struct AlertRuleView {
    /// How long the condition must hold.
    pub for_ms: u64,
    /// How long it fires on when the condition holds no more.
    pub keep_firing_for_ms: u64,
    /// The annotations' templates; by name.
    pub annotations: Vec<(String, String)>,
    /// What is pending or fires, each with the time since when it is only kept firing.
    pub alerts: Vec<(Alert, Option<UnixMs>)>,
}

impl AlertRuleView {
    /// Returns the furthest that any of its alerts has come; `None` when there is none.
    pub fn state(&self) -> Option<AlertState> {
        let is_firing = self.alerts.iter().any(|(alert, _)| alert.state == AlertState::Firing);
        let any = (!self.alerts.is_empty()).then_some(AlertState::Pending);
        if is_firing { Some(AlertState::Firing) } else { any }
    }
}

/// Returns a rule with its status and alerts.
pub(crate) fn view(rule: &Rule, status: &RuleStatus, alerts: &[Active], generator_url: &str, now: Now) -> RuleView {
    let (labels, alert) = match &rule.kind {
        RuleKind::Record(record) => {
            let labels = record.labels.iter().filter(|(name, _)| *name != NAME);
            (labels.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(), None)
        }
        RuleKind::Alert(alert) => (texts(&alert.labels), Some(alert_view(alert, alerts, generator_url, now))),
    };
    RuleView { name: rule.name.clone(), query: rule.expr.to_string(), labels, status: status.clone(), alert }
}

fn alert_view(rule: &AlertRule, alerts: &[Active], generator_url: &str, now: Now) -> AlertRuleView {
    let live = alerts.iter().filter(|alert| alert.state != AlertState::Resolved);
    let since = |alert: &Active| {
        let gone_ms = alert.gone?.ms(now.mono);
        Some(now.wall.plus_ms(i64::try_from(gone_ms).ok()?.checked_neg()?))
    };
    AlertRuleView {
        for_ms: rule.for_ms,
        keep_firing_for_ms: rule.keep_firing_for_ms,
        annotations: texts(&rule.annotations),
        alerts: live.map(|alert| (public(alert, generator_url), since(alert))).collect(),
    }
}

fn texts(templates: &[(String, crate::template::Template)]) -> Vec<(String, String)> {
    let mut texts: Vec<_> = templates.iter().map(|(name, text)| (name.clone(), text.text().to_owned())).collect();
    texts.sort();
    texts
}
