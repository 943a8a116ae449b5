//! One group of alerts at one route: what is in it, and which of its receiver's integrations still have to look at it.
//!
//! A group is looked at when it is due (`group_wait` after it began, then every `group_interval`). Looking sets a bit per
//! integration; the bit goes when that integration was told, or need not be. A resolved alert stays until every integration
//! has seen it as resolved, so what an outage kept from being said is said afterwards.

use model::{Alert, AlertState, Labels, Mono};

use crate::fingerprint::fingerprint;
use crate::log::Entry;

/// An alert of a group.
#[derive(Debug, Clone)]
pub struct Member {
    pub alert: Alert,
    pub fingerprint: u64,
    /// Integrations that know it is resolved, or need not.
    seen_resolved: u32,
}

impl Member {
    pub fn is_resolved(&self) -> bool {
        self.alert.state == AlertState::Resolved
    }
}

/// What a group tells one integration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub firing: Vec<u64>,
    pub resolved: Vec<u64>,
}

#[derive(Debug)]
pub struct Group {
    pub key: String,
    pub labels: Labels,
    pub receiver: usize,
    pub group_interval_ms: u64,
    pub repeat_interval_ms: u64,
    /// When it is looked at next.
    pub flush_at: Mono,
    /// Integrations that still have to look, one bit each.
    pub due: u32,
    /// Since when the oldest of them waits, so that groups take turns.
    pub due_since: Mono,
    members: Vec<Member>,
}

impl Group {
    pub fn new(key: String, labels: Labels, receiver: usize, times: [u64; 2], flush_at: Mono) -> Group {
        let [group_interval_ms, repeat_interval_ms] = times;
        Group {
            key,
            labels,
            receiver,
            group_interval_ms,
            repeat_interval_ms,
            flush_at,
            due: 0,
            due_since: flush_at,
            members: Vec::new(),
        }
    }

    pub fn members(&self) -> &[Member] {
        &self.members
    }

    pub fn has(&self, fingerprint: u64) -> bool {
        self.members.iter().any(|member| member.fingerprint == fingerprint)
    }

    /// Takes an alert as it stands now.
    pub fn put(&mut self, alert: Alert) {
        let fingerprint = fingerprint(&alert.labels);
        match self.members.iter_mut().find(|member| member.fingerprint == fingerprint) {
            Some(member) => {
                if member.alert.state != alert.state {
                    member.seen_resolved = 0;
                }
                member.alert = alert;
            }
            None => self.members.push(Member { alert, fingerprint, seen_resolved: 0 }),
        }
    }

    pub fn standing(&self) -> Standing {
        let pick = |resolved: bool| {
            let mut list: Vec<u64> =
                self.members.iter().filter(|m| m.is_resolved() == resolved).map(|m| m.fingerprint).collect();
            list.sort_unstable();
            list
        };
        Standing { firing: pick(false), resolved: pick(true) }
    }

    /// Returns the alerts in the order the peer lists them: by job, instance, then number and order of labels.
    pub fn sorted(&self, with_resolved: bool) -> Vec<&Alert> {
        let mut alerts: Vec<&Alert> =
            self.members.iter().filter(|m| with_resolved || !m.is_resolved()).map(|m| &m.alert).collect();
        let order = |alert: &&Alert| {
            let missing_last =
                |name: &str| alert.labels.get(name).map_or((true, String::new()), |v| (false, v.to_owned()));
            (missing_last("job"), missing_last("instance"), alert.labels.len(), alert.labels.clone())
        };
        alerts.sort_by_cached_key(order);
        alerts
    }

    /// Notes that an integration needs no further look, having seen these alerts resolved.
    pub fn settled(&mut self, integration: usize, resolved: &[u64]) {
        self.due &= !(1 << integration);
        for member in &mut self.members {
            if member.is_resolved() && resolved.binary_search(&member.fingerprint).is_ok() {
                member.seen_resolved |= 1 << integration;
            }
        }
    }

    /// Drops resolved alerts that all integrations know of.
    pub fn sweep(&mut self, integrations: usize) {
        let all = ((1u64 << integrations) - 1) as u32;
        self.members.retain(|member| !member.is_resolved() || member.seen_resolved & all != all);
    }

    /// Returns the place of the alert that has been resolved longest.
    pub fn oldest_resolved(&self) -> Option<(Option<model::UnixMs>, usize)> {
        let resolved = self.members.iter().enumerate().filter(|(_, member)| member.is_resolved());
        resolved.map(|(at, member)| (member.alert.resolved_at, at)).min()
    }

    pub fn remove(&mut self, at: usize) {
        self.members.remove(at);
    }
}

/// Why there is a notice, in the peer's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    First,
    NewAlerts,
    AllResolved,
    SomeResolved,
    Repeat,
}

impl Reason {
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::First => "first notification",
            Reason::NewAlerts => "new alerts added",
            Reason::AllResolved => "all alerts resolved",
            Reason::SomeResolved => "some alerts resolved",
            Reason::Repeat => "repeat interval elapsed",
        }
    }
}

/// Returns why an integration that was told `last` has to be told how the group stands now; `None` where it need not.
///
/// The peer's rule (`notify.DedupStage`): something new fires; nothing fires any more; something was resolved, where that is
/// wanted; or it is time to repeat.
pub fn needs_notice(
    last: Option<&Entry>,
    standing: &Standing,
    send_resolved: bool,
    repeat_ms: u64,
    now: Mono,
) -> Option<Reason> {
    let Some(last) = last else { return (!standing.firing.is_empty()).then_some(Reason::First) };
    let within = |all: &[u64], part: &[u64]| part.iter().all(|fingerprint| all.binary_search(fingerprint).is_ok());
    if !within(&last.firing, &standing.firing) {
        return Some(Reason::NewAlerts);
    }
    if standing.firing.is_empty() {
        return (!last.firing.is_empty()).then_some(Reason::AllResolved);
    }
    if send_resolved && !within(&last.resolved, &standing.resolved) {
        return Some(Reason::SomeResolved);
    }
    (last.age_ms(now) > repeat_ms).then_some(Reason::Repeat)
}
