//! The notifier: alerts in, notices out, on elapsed time.
//!
//! [`Notifier::alerts`] takes what the rules say at each evaluation. [`Notifier::poll`] gives the next notice, at most one
//! in flight per integration; [`Notifier::settle`] is told what became of it. A receiver that does not answer is tried again
//! with growing pauses, for ever, with what is true by then. What it refuses is tried again at the group's next look.
//!
//! Not here: the network, the clock, silences and inhibition.

use std::collections::BTreeMap;

use model::{Alert, AlertState, Labels, Mono, Now, Outcome};

use crate::config::Config;
use crate::fingerprint::{fingerprint, fnv1a, fnv1a_start};
use crate::group::{Group, Reason, Standing, needs_notice};
use crate::limits::{ALERTS_MAX, BACKOFF_MS_MAX, BACKOFF_MS_MIN, GROUPS_MAX};
use crate::log::{Entry, Log, RestoreError};
use crate::route::Route;
use crate::webhook;

/// Names one notice, to settle it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NoticeId(pub u64);

/// Something to be sent as it is: an HTTP POST of `application/json`.
#[derive(Debug, Clone)]
pub struct Notice {
    /// To settle it by.
    pub id: NoticeId,
    /// The receiver's name.
    pub receiver: String,
    /// Which of the receiver's webhooks: `webhook[0]`.
    pub integration: String,
    /// Where to; not for logs.
    pub url: String,
    /// The body.
    pub body: Vec<u8>,
    /// How many alerts it is about.
    pub alerts: usize,
    /// How long the delivery may take; 0: as the sender likes.
    pub timeout_ms: u64,
}

/// What was counted since the start for one receiver, and what it has not been told yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReceiverCounts {
    /// The receiver's name.
    pub receiver: String,
    /// Notices delivered.
    pub sent: u64,
    /// Attempts that failed and are tried again.
    pub failed: u64,
    /// Notices it refused.
    pub refused: u64,
    /// Groups it has not been told of as it should be, times its webhooks.
    pub pending: u64,
    /// What went wrong last; empty once a notice was delivered.
    pub last_error: String,
}

/// What was counted for all receivers together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Alerts left out because of a limit.
    pub alerts_dropped: u64,
    /// Alerts known now.
    pub alerts: u64,
    /// Groups known now.
    pub groups: u64,
}

struct Integration {
    receiver: usize,
    index: usize,
    in_flight: Option<InFlight>,
    failures: u32,
    ready_at: Mono,
}

/// A group that takes an alert, with what it takes to make it.
struct Place {
    at: String,
    key: String,
    labels: Labels,
    receiver: usize,
    group_wait_ms: u64,
    times: [u64; 2],
}

struct InFlight {
    id: NoticeId,
    group: String,
    standing: Standing,
}

/// Groups alerts and makes notices of them.
pub struct Notifier {
    config: Config,
    groups: BTreeMap<String, Group>,
    integrations: Vec<Integration>,
    log: Log,
    next_id: u64,
    counts: Vec<ReceiverCounts>,
    alerts_dropped: u64,
    clock: Mono,
    changed: bool,
}

impl Notifier {
    /// Returns a notifier that knows of no alert yet.
    pub fn new(config: Config) -> Notifier {
        let integrations = integrations(&config);
        let counts = counts(&config, &[]);
        Notifier {
            config,
            groups: BTreeMap::new(),
            integrations,
            log: Log::default(),
            next_id: 1,
            counts,
            alerts_dropped: 0,
            clock: Mono(0),
            changed: false,
        }
    }

    /// Takes another configuration; alerts are routed again, what receivers were told is kept, and a notice in flight
    /// counts as not delivered.
    pub fn reload(&mut self, now: Now, config: Config) {
        let mut alerts: Vec<Alert> = Vec::new();
        for member in self.groups.values().flat_map(|group| group.members()) {
            if !alerts.iter().any(|alert| alert.labels == member.alert.labels) {
                alerts.push(member.alert.clone());
            }
        }
        self.groups.clear();
        self.integrations = integrations(&config);
        self.counts = counts(&config, &self.counts);
        self.config = config;
        let resolved: Vec<Alert> = alerts.extract_if(.., |alert| alert.state == AlertState::Resolved).collect();
        self.alerts(now, &alerts);
        self.alerts(now, &resolved);
    }

    /// Takes alerts as they stand now; pending ones are nobody's business yet.
    pub fn alerts(&mut self, now: Now, alerts: &[Alert]) {
        self.clock = self.clock.max(now.mono);
        for alert in alerts.iter().filter(|alert| alert.state != AlertState::Pending) {
            for place in self.places(&alert.labels) {
                self.put(now, place, alert.clone());
            }
        }
    }

    /// Returns the groups that take an alert, made where they are not there yet.
    fn places(&self, labels: &Labels) -> Vec<Place> {
        let place = |route: &&Route| {
            let receiver = self.config.receivers.iter().position(|receiver| receiver.name == route.receiver)?;
            let group_labels = route.group_labels(labels);
            let key = route.group_key(&group_labels);
            Some(Place {
                // Two routes may have the same matchers, and so the same key, but other receivers.
                at: [&key, "\0", &route.receiver].concat(),
                key,
                labels: group_labels,
                receiver,
                group_wait_ms: route.group_wait_ms,
                times: [route.group_interval_ms, route.repeat_interval_ms],
            })
        };
        self.config.route.matching(labels).iter().filter_map(place).collect()
    }

    fn put(&mut self, now: Now, place: Place, alert: Alert) {
        let fingerprint = fingerprint(&alert.labels);
        let Place { at, key, labels, receiver, group_wait_ms, times } = place;
        if !self.groups.get(&at).is_some_and(|group| group.has(fingerprint)) {
            if alert.state == AlertState::Resolved && !self.was_told(receiver, &key, fingerprint) {
                // It fired and was resolved while nobody was told, or everybody knows already.
                return;
            }
            if !self.make_room(self.groups.contains_key(&at)) {
                self.alerts_dropped += 1;
                return;
            }
        }
        let flush_at = now.mono.plus_ms(group_wait_ms);
        self.groups.entry(at).or_insert_with(|| Group::new(key, labels, receiver, times, flush_at)).put(alert);
    }

    /// Returns whether some integration of the receiver was told that this alert fires.
    fn was_told(&self, receiver: usize, group_key: &str, fingerprint: u64) -> bool {
        let webhooks = self.config.receivers[receiver].webhooks.len();
        (0..webhooks).any(|index| {
            let entry = self.log.get(self.log_key(receiver, index, group_key));
            entry.is_some_and(|entry| entry.firing.binary_search(&fingerprint).is_ok())
        })
    }

    fn make_room(&mut self, group_exists: bool) -> bool {
        if !group_exists && self.groups.len() >= GROUPS_MAX {
            return false;
        }
        let count: usize = self.groups.values().map(|group| group.members().len()).sum();
        if count < ALERTS_MAX {
            return true;
        }
        let oldest = self.groups.values_mut().filter_map(|group| Some((group.oldest_resolved()?, group)));
        let Some(((_, at), group)) = oldest.min_by_key(|(oldest, _)| *oldest) else { return false };
        group.remove(at);
        self.alerts_dropped += 1;
        true
    }

    fn log_key(&self, receiver: usize, index: usize, group_key: &str) -> u64 {
        let name = &self.config.receivers[receiver].name;
        let parts = [name.as_bytes(), &[0xff, index as u8, 0xff], group_key.as_bytes()];
        parts.iter().fold(fnv1a_start(), |hash, part| fnv1a(hash, part))
    }

    /// Returns the next notice to send, or `None` when there is nothing to say or everybody who has to be told is waited for.
    pub fn poll(&mut self, now: Now) -> Option<Notice> {
        self.clock = self.clock.max(now.mono);
        self.look_at_due_groups(now.mono);
        let ready: Vec<usize> = (0..self.integrations.len())
            .filter(|at| self.integrations[*at].in_flight.is_none() && self.integrations[*at].ready_at <= now.mono)
            .collect();
        let notice = ready.into_iter().find_map(|at| self.next_for(at, now.mono));
        self.drop_empty_groups(now.mono);
        notice
    }

    fn look_at_due_groups(&mut self, now: Mono) {
        for group in self.groups.values_mut().filter(|group| group.flush_at <= now) {
            let webhooks = self.config.receivers[group.receiver].webhooks.len();
            if group.due == 0 {
                group.due_since = group.flush_at;
            }
            group.due |= ((1u64 << webhooks) - 1) as u32;
            group.flush_at = now.plus_ms(group.group_interval_ms);
            group.sweep(webhooks);
        }
    }

    /// Looks through the groups that wait for an integration, those waiting longest first, and makes the first notice needed.
    fn next_for(&mut self, at: usize, now: Mono) -> Option<Notice> {
        let Integration { receiver, index, .. } = self.integrations[at];
        let mut waiting: Vec<(Mono, String)> = self
            .groups
            .iter()
            .filter(|(_, group)| group.receiver == receiver && group.due & (1 << index) != 0)
            .map(|(key, group)| (group.due_since, key.clone()))
            .collect();
        waiting.sort();
        for (_, key) in waiting {
            let webhook = &self.config.receivers[receiver].webhooks[index];
            let log_key = self.log_key(receiver, index, &self.groups[&key].key);
            let group = &self.groups[&key];
            let standing = group.standing();
            let last = self.log.get(log_key);
            let needed = needs_notice(last, &standing, webhook.send_resolved, group.repeat_interval_ms, now);
            let tells = webhook.send_resolved || !standing.firing.is_empty();
            if let (Some(reason), true) = (needed, tells) {
                return Some(self.make(at, &key, standing, reason));
            }
            if needed.is_some() {
                // Nothing fires any more and this receiver does not want to know: only the log does.
                self.log.put(now, log_key, Entry::new(now, Vec::new(), standing.resolved.clone()));
                self.changed = true;
            }
            if let Some(group) = self.groups.get_mut(&key) {
                group.settled(index, &standing.resolved);
                group.sweep(self.config.receivers[receiver].webhooks.len());
            }
        }
        None
    }

    fn make(&mut self, at: usize, key: &str, standing: Standing, reason: Reason) -> Notice {
        let Integration { receiver, index, .. } = self.integrations[at];
        let (receiver, group) = (&self.config.receivers[receiver], &self.groups[key]);
        let hook = &receiver.webhooks[index];
        let alerts = group.sorted(hook.send_resolved);
        let body = webhook::body(&webhook::Parts {
            receiver: &receiver.name,
            group_key: &group.key,
            group_labels: &group.labels,
            external_url: &self.config.external_url,
            alerts: &alerts,
            reason,
            max_alerts: hook.max_alerts,
        });
        let id = NoticeId(self.next_id);
        self.next_id += 1;
        let notice = Notice {
            id,
            receiver: receiver.name.clone(),
            integration: format!("webhook[{index}]"),
            url: hook.url.clone(),
            body: body.into_bytes(),
            alerts: alerts.len(),
            timeout_ms: hook.timeout_ms,
        };
        self.integrations[at].in_flight = Some(InFlight { id, group: key.to_owned(), standing });
        notice
    }

    /// Is told what became of a notice; an id that is not in flight is ignored.
    pub fn settle(&mut self, now: Now, id: NoticeId, outcome: Outcome) {
        let Some(at) = self.integrations.iter().position(|i| i.in_flight.as_ref().is_some_and(|f| f.id == id)) else {
            return;
        };
        let integration = &mut self.integrations[at];
        let Some(flight) = integration.in_flight.take() else { return };
        self.clock = self.clock.max(now.mono);
        let (receiver, index) = (integration.receiver, integration.index);
        let counts = &mut self.counts[receiver];
        match outcome {
            Outcome::Delivered => {
                (integration.failures, integration.ready_at) = (0, now.mono);
                counts.sent += 1;
                counts.last_error.clear();
                self.delivered(now.mono, receiver, index, flight);
            }
            Outcome::Retry { reason, after_ms } => {
                let pause = BACKOFF_MS_MIN.saturating_mul(1 << integration.failures.min(16)).min(BACKOFF_MS_MAX);
                integration.failures = integration.failures.saturating_add(1);
                integration.ready_at = now.mono.plus_ms(pause.max(after_ms.unwrap_or(0).min(BACKOFF_MS_MAX)));
                counts.failed += 1;
                counts.last_error = reason;
            }
            Outcome::Refused { reason } => {
                (integration.failures, integration.ready_at) = (0, now.mono);
                counts.refused += 1;
                counts.last_error = reason;
                if let Some(group) = self.groups.get_mut(&flight.group) {
                    group.settled(index, &[]);
                }
            }
        }
    }

    fn delivered(&mut self, now: Mono, receiver: usize, index: usize, flight: InFlight) {
        let Some(group) = self.groups.get_mut(&flight.group) else { return };
        group.settled(index, &flight.standing.resolved);
        group.sweep(self.config.receivers[receiver].webhooks.len());
        let group_key = group.key.clone();
        let key = self.log_key(receiver, index, &group_key);
        self.log.put(now, key, Entry::new(now, flight.standing.firing, flight.standing.resolved));
        self.changed = true;
    }

    fn drop_empty_groups(&mut self, now: Mono) {
        let flying: Vec<&str> =
            self.integrations.iter().filter_map(|i| i.in_flight.as_ref()).map(|flight| flight.group.as_str()).collect();
        let mut dropped = false;
        self.groups.retain(|key, group| {
            let keep = !group.members().is_empty() || flying.contains(&key.as_str());
            dropped |= !keep;
            keep
        });
        if dropped {
            let repeat_ms_max = longest_repeat(&self.config.route);
            let live: Vec<u64> = self
                .groups
                .values()
                .flat_map(|group| {
                    let webhooks = self.config.receivers[group.receiver].webhooks.len();
                    (0..webhooks).map(|index| self.log_key(group.receiver, index, &group.key))
                })
                .collect();
            // As the peer: an entry nobody asks for lives for two repeat intervals.
            self.log.forget(now, repeat_ms_max.saturating_mul(2), |key| live.contains(&key));
        }
    }

    /// Returns when to poll again if no alert comes in before.
    pub fn next_deadline(&self) -> Option<Mono> {
        let flush = self.groups.values().map(|group| group.flush_at);
        let retry = self.integrations.iter().filter(|integration| {
            integration.in_flight.is_none()
                && self
                    .groups
                    .values()
                    .any(|g| g.receiver == integration.receiver && g.due & (1 << integration.index) != 0)
        });
        flush.chain(retry.map(|integration| integration.ready_at)).min()
    }

    /// Returns what was counted, by receiver.
    pub fn counts(&self) -> Vec<ReceiverCounts> {
        let mut counts = self.counts.clone();
        for group in self.groups.values() {
            counts[group.receiver].pending += u64::from(group.due.count_ones());
        }
        counts
    }

    /// Returns what was counted for all together.
    pub fn totals(&self) -> Totals {
        Totals {
            alerts: self.groups.values().map(|group| group.members().len() as u64).sum(),
            groups: self.groups.len() as u64,
            alerts_dropped: self.alerts_dropped,
        }
    }

    /// Returns whether the log changed since this was asked last: then it is worth saving.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Returns the notification log as bytes, at most `SAVED_BYTES_MAX`, as of the latest time seen.
    pub fn save(&self) -> Vec<u8> {
        self.log.save(self.clock)
    }

    /// Takes a saved notification log.
    ///
    /// # Errors
    /// When the bytes are no log; the present one is then kept.
    pub fn restore(&mut self, saved: &[u8], now: Now) -> Result<(), RestoreError> {
        self.log = Log::restore(saved, now.mono)?;
        Ok(())
    }
}

fn integrations(config: &Config) -> Vec<Integration> {
    let of = |(receiver, webhooks): (usize, usize)| {
        (0..webhooks).map(move |index| Integration { receiver, index, in_flight: None, failures: 0, ready_at: Mono(0) })
    };
    config.receivers.iter().map(|receiver| receiver.webhooks.len()).enumerate().flat_map(of).collect()
}

/// Returns counts for every receiver; those known by name go on.
fn counts(config: &Config, old: &[ReceiverCounts]) -> Vec<ReceiverCounts> {
    let of = |name: &String| {
        let known = old.iter().find(|counts| counts.receiver == *name).cloned();
        known.unwrap_or_else(|| ReceiverCounts { receiver: name.clone(), ..ReceiverCounts::default() })
    };
    config.receivers.iter().map(|receiver| of(&receiver.name)).collect()
}

fn longest_repeat(route: &Route) -> u64 {
    route.routes.iter().map(longest_repeat).fold(route.repeat_interval_ms, u64::max)
}

#[cfg(test)]
mod tests;
