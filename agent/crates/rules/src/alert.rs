//! What the alerts of one rule have come to: inactive, pending, firing, resolved.
//!
//! The step is a function: old state and the expression's result in, new state out, so an evaluation that fails changes
//! nothing. Durations are elapsed time ([`Elapsed`]); wall times are labels and are never subtracted.

use model::{AlertState, Labels, Mono, Now, UnixMs};

use crate::elapsed::Elapsed;
use crate::group::AlertRule;
use crate::limits::RESOLVED_RETENTION_MS;

/// One alert of a rule.
#[derive(Debug, Clone)]
pub struct Active {
    pub labels: Labels,
    pub annotations: Labels,
    pub state: AlertState,
    pub value: f64,
    pub active_at: UnixMs,
    pub fired_at: Option<UnixMs>,
    pub resolved_at: Option<UnixMs>,
    /// How long the condition has held; of a resolved alert, how long it has been resolved.
    pub held: Elapsed,
    /// How long the condition has been gone while `keep_firing_for` holds on.
    pub gone: Option<Elapsed>,
    /// Of before a reboot and not seen since: until then it is kept as it is, because there may be no samples yet.
    pub unseen_until: Option<Mono>,
}

/// What the expression gave for one label set, labels and annotations expanded.
#[derive(Debug, Clone)]
pub struct Found {
    pub labels: Labels,
    pub annotations: Labels,
    pub value: f64,
}

/// Returns the alerts as they stand after an evaluation at `now`; both lists are in order of labels.
pub fn step(rule: &AlertRule, old: &[Active], found: Vec<Found>, now: Now) -> Vec<Active> {
    let mut next: Vec<Active> = Vec::with_capacity(found.len());
    for alert in old.iter().filter(|alert| find(&found, &alert.labels).is_none()) {
        next.extend(vanished(rule, alert, now));
    }
    for found in found {
        let known = old.iter().find(|alert| alert.labels == found.labels && alert.state != AlertState::Resolved);
        next.push(seen(rule, known, found, now));
    }
    next.sort_by(|a, b| a.labels.cmp(&b.labels));
    next
}

fn find<'a>(found: &'a [Found], labels: &Labels) -> Option<&'a Found> {
    found.iter().find(|found| found.labels == *labels)
}

/// The condition holds.
fn seen(rule: &AlertRule, known: Option<&Active>, found: Found, now: Now) -> Active {
    let Found { labels, annotations, value } = found;
    let mut alert = match known {
        Some(known) => {
            let held = if known.unseen_until.is_some() { known.held.skipping(now.mono) } else { known.held };
            Active { annotations, value, held, gone: None, unseen_until: None, ..known.clone() }
        }
        None => Active {
            labels,
            annotations,
            state: AlertState::Pending,
            value,
            active_at: now.wall,
            fired_at: None,
            resolved_at: None,
            held: Elapsed::starting(now.mono, 0),
            gone: None,
            unseen_until: None,
        },
    };
    fire_if_held(rule, &mut alert, now);
    alert
}

fn fire_if_held(rule: &AlertRule, alert: &mut Active, now: Now) {
    if alert.state == AlertState::Pending && alert.held.ms(now.mono) >= rule.for_ms {
        alert.state = AlertState::Firing;
        alert.fired_at = Some(now.wall);
    }
}

/// The condition holds no more; returns what is left of the alert.
fn vanished(rule: &AlertRule, alert: &Active, now: Now) -> Option<Active> {
    let mut alert = alert.clone();
    if alert.state == AlertState::Resolved {
        return (alert.held.ms(now.mono) <= RESOLVED_RETENTION_MS).then_some(alert);
    }
    if alert.unseen_until.is_some_and(|until| now.mono < until) {
        // What was counted before the reboot stands still until it is seen again: `seen` skips this time.
        return Some(alert);
    }
    if alert.state == AlertState::Pending {
        return None;
    }
    if rule.keep_firing_for_ms > 0 {
        let gone = *alert.gone.get_or_insert(Elapsed::starting(now.mono, 0));
        if gone.ms(now.mono) < rule.keep_firing_for_ms {
            return Some(alert);
        }
    }
    alert.state = AlertState::Resolved;
    alert.resolved_at = Some(now.wall);
    alert.held = Elapsed::starting(now.mono, 0);
    (alert.gone, alert.unseen_until) = (None, None);
    Some(alert)
}
