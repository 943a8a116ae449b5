//! The groups' state machine: which group is due, what its last evaluation said, what its alerts have come to.
//!
//! Every group has its own place within its interval, from a hash of its name, so that groups do not all wake at once.
//! Slots are on elapsed time; a slot that nobody came for is counted as missed and not made up. Durations are counted from
//! slot to slot, so `for: 1m` at an interval of 15 s is five evaluations, however late each one began; samples and labels are
//! dated by the wall clock as it was then.
//!
//! Owned data only: the whole manager may be moved to another thread for an evaluation, or [`Manager::evaluate`] may run
//! there on a shared borrow.

use std::collections::BTreeMap;

use model::{Alert, AlertState, Batch, Labels, Mono, Now, Querier};
use promql::Engine;

use crate::alert::Active;
use crate::evaluate::{Before, Evaluation, Run, evaluate};
use crate::group::{Group, RuleKind};
use crate::limits::RESTORE_GRACE_MS;
use crate::saved::{self, RestoreError};
use crate::template::link;
use crate::view::{GroupView, view};

/// What all groups share.
#[derive(Debug, Clone)]
pub struct Options {
    /// How often groups are evaluated that do not say.
    pub default_interval_ms: u64,
    /// Labels of the whole installation, for templates.
    pub external_labels: Labels,
    /// Where this agent is reached from outside, for links.
    pub external_url: String,
}

/// What was counted since the start, and how many alerts there are now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Rules evaluated.
    pub evaluations: u64,
    /// Rules whose evaluation failed.
    pub failures: u64,
    /// Evaluations of groups that nobody came for in time.
    pub missed: u64,
    /// Alerts pending now.
    pub pending: u64,
    /// Alerts firing now.
    pub firing: u64,
}

/// How a rule's last evaluation went.
#[derive(Debug, Clone, Default)]
pub struct RuleStatus {
    /// Whether it was evaluated at all.
    pub evaluated: bool,
    /// What went wrong, if something did.
    pub last_error: Option<String>,
    /// When it was evaluated last.
    pub last_evaluation: Option<model::UnixMs>,
    /// How long that took, in seconds; 0 where nobody measured.
    pub seconds: f64,
}

/// A group and how its last evaluation went, for the API.
pub struct GroupStatus<'a> {
    /// The group.
    pub group: &'a Group,
    /// How often it is evaluated.
    pub interval_ms: u64,
    /// When it was evaluated last.
    pub last_evaluation: Option<model::UnixMs>,
    /// How long that took.
    pub last_duration_ms: u64,
    /// Its rules in order.
    pub rules: Vec<&'a RuleStatus>,
}

#[derive(Debug, Default)]
struct RuleState {
    /// Names the rule across restarts.
    key: u64,
    status: RuleStatus,
    alerts: Vec<Active>,
    written: Vec<u64>,
    generator_url: String,
}

#[derive(Debug)]
struct GroupState {
    group: Group,
    interval_ms: u64,
    /// The group's place within its interval.
    offset_ms: u64,
    /// The next slot; `None` until the first look at the clock.
    next: Option<Mono>,
    last_evaluation: Option<model::UnixMs>,
    last_duration_ms: u64,
    rules: Vec<RuleState>,
}

/// All groups and what they have come to.
#[derive(Debug)]
pub struct Manager {
    options: Options,
    groups: Vec<GroupState>,
    counts: Counts,
    /// The latest elapsed time seen.
    clock: Mono,
    /// Alerts that fired before a reload or reboot and whose rule is gone.
    orphans: Vec<Active>,
}

impl Manager {
    /// Returns the state of groups that were never evaluated.
    pub fn new(groups: Vec<Group>, options: Options) -> Manager {
        let groups = groups.into_iter().map(|group| GroupState::new(group, &options)).collect();
        Manager { options, groups, counts: Counts::default(), clock: Mono(0), orphans: Vec::new() }
    }

    /// Returns when the next group is due; the beginning of time while the clock was never seen.
    pub fn next_deadline(&self) -> Option<Mono> {
        self.groups.iter().map(|group| group.next.unwrap_or(Mono(0))).min()
    }

    /// Returns the groups that are due. Each is due again at its next slot; slots that have passed meanwhile are counted.
    pub fn due(&mut self, now: Now) -> Vec<usize> {
        self.clock = self.clock.max(now.mono);
        let mut due = Vec::new();
        for (index, group) in self.groups.iter_mut().enumerate() {
            let next = *group.next.get_or_insert(group.slot_from(now.mono));
            if next <= now.mono {
                let slot = group.slot(now.mono);
                self.counts.missed += slot.since_ms(next) / group.interval_ms;
                group.next = Some(slot.plus_ms(group.interval_ms));
                due.push(index);
            }
        }
        due
    }

    /// Evaluates a group that is due. Changes nothing until [`Manager::apply`].
    pub fn evaluate(&self, group: usize, now: Now, source: &dyn Querier, engine: &Engine) -> Evaluation {
        self.evaluate_until(group, now, source, engine, &|| false, &|| 0)
    }

    /// As [`Manager::evaluate`], and asks `stop` whether to give up, and `nanoseconds` how long each rule takes.
    pub fn evaluate_until(
        &self,
        group: usize,
        now: Now,
        source: &dyn Querier,
        engine: &Engine,
        stop: &dyn Fn() -> bool,
        nanoseconds: &dyn Fn() -> u64,
    ) -> Evaluation {
        let Some(state) = self.groups.get(group) else {
            return Evaluation { group, now, batch: Batch::new(), results: Vec::new() };
        };
        let offset_ms = i64::try_from(state.group.query_offset_ms).unwrap_or(i64::MAX);
        let run = Run {
            engine,
            external_url: &self.options.external_url,
            external_labels: &self.options.external_labels,
            now,
            slot: state.slot(now.mono),
            at: now.wall.plus_ms(-offset_ms),
            stop,
            nanoseconds,
        };
        let before: Vec<Before<'_>> =
            state.rules.iter().map(|rule| Before { alerts: &rule.alerts, written: &rule.written }).collect();
        let mut batch = Batch::new();
        let results = evaluate(&run, &state.group, &before, source, &mut batch);
        Evaluation { group, now, batch, results }
    }

    /// Makes an evaluation's state the present one; returns the group's alerts, resolved ones included.
    pub fn apply(&mut self, now: Now, evaluation: Evaluation) -> Vec<Alert> {
        self.clock = self.clock.max(now.mono);
        let mut changed: Vec<Alert> = self.orphans.drain(..).map(|orphan| lost(orphan, now)).collect();
        let Some(group) = self.groups.get_mut(evaluation.group) else { return changed };
        let at = evaluation.now.wall;
        group.last_evaluation = Some(at);
        group.last_duration_ms = now.mono.since_ms(evaluation.now.mono);
        for (rule, result) in group.rules.iter_mut().zip(evaluation.results) {
            self.counts.evaluations += 1;
            self.counts.failures += u64::from(result.error.is_some());
            let seconds = result.nanoseconds as f64 / 1e9;
            rule.status = RuleStatus { evaluated: true, last_evaluation: Some(at), last_error: result.error, seconds };
            if rule.status.last_error.is_none() {
                (rule.alerts, rule.written) = (result.alerts, result.written);
            }
            changed.extend(rule.alerts.iter().map(|alert| public(alert, &rule.generator_url)));
        }
        changed
    }

    /// Returns all alerts that are pending or fire.
    pub fn alerts(&self) -> Vec<Alert> {
        let rules = self.groups.iter().flat_map(|group| &group.rules);
        let live = rules.flat_map(|rule| rule.alerts.iter().map(move |alert| (rule, alert)));
        live.filter(|(_, alert)| alert.state != AlertState::Resolved)
            .map(|(rule, alert)| public(alert, &rule.generator_url))
            .collect()
    }

    /// Returns the groups and how they are, for the API.
    pub fn groups(&self) -> impl Iterator<Item = GroupStatus<'_>> {
        self.groups.iter().map(|state| GroupStatus {
            group: &state.group,
            interval_ms: state.interval_ms,
            last_evaluation: state.last_evaluation,
            last_duration_ms: state.last_duration_ms,
            rules: state.rules.iter().map(|rule| &rule.status).collect(),
        })
    }

    /// Returns how everything stands, sorted by file and name, as values of their own.
    pub fn view(&self, now: Now) -> Vec<GroupView> {
        let of = |state: &GroupState| {
            let rules = state.group.rules.iter().zip(&state.rules);
            GroupView {
                name: state.group.name.clone(),
                file: state.group.file.clone(),
                interval_ms: state.interval_ms,
                limit: state.group.limit,
                last_evaluation: state.last_evaluation,
                seconds: state.rules.iter().map(|rule| rule.status.seconds).sum(),
                rules: rules
                    .map(|(rule, state)| view(rule, &state.status, &state.alerts, &state.generator_url, now))
                    .collect(),
            }
        };
        let mut groups: Vec<GroupView> = self.groups.iter().map(of).collect();
        groups.sort_by(|a, b| (&a.file, &a.name).cmp(&(&b.file, &b.name)));
        groups
    }

    /// Returns what was counted.
    pub fn counts(&self) -> Counts {
        let count = |state: AlertState| {
            let rules = self.groups.iter().flat_map(|group| &group.rules);
            rules.flat_map(|rule| &rule.alerts).filter(|alert| alert.state == state).count() as u64
        };
        Counts { pending: count(AlertState::Pending), firing: count(AlertState::Firing), ..self.counts }
    }

    /// Returns the state of all alerts as bytes, as of the latest time seen.
    pub fn save(&self) -> Vec<u8> {
        let mut holds: BTreeMap<u64, u64> = BTreeMap::new();
        for group in &self.groups {
            for (rule, state) in group.group.rules.iter().zip(&group.rules) {
                if let RuleKind::Alert(alert) = &rule.kind {
                    holds.insert(state.key, alert.for_ms);
                }
            }
        }
        let rules = self.groups.iter().flat_map(|group| &group.rules);
        let alerts = rules.flat_map(|rule| rule.alerts.iter().map(move |alert| (rule.key, alert)));
        saved::save(alerts, self.clock, |rule| holds.get(&rule).copied().unwrap_or(u64::MAX))
    }

    /// Takes saved alerts: what was counted goes on from where it was. Alerts of rules that are gone are resolved at the next
    /// [`Manager::apply`].
    ///
    /// # Errors
    /// When the bytes are no state of alerts; nothing is changed then.
    pub fn restore(&mut self, saved: &[u8], now: Now) -> Result<(), RestoreError> {
        let alerts = saved::restore(saved, now.mono, now.mono)?;
        self.clock = self.clock.max(now.mono);
        for (key, mut alert) in alerts {
            let groups = self.groups.iter_mut();
            let mut rules = groups.flat_map(|group| {
                let grace_ms = RESTORE_GRACE_MS.max(group.interval_ms.saturating_mul(2));
                group.rules.iter_mut().map(move |rule| (rule, grace_ms))
            });
            match rules.find(|(rule, _)| rule.key == key) {
                Some((rule, grace_ms)) => {
                    alert.unseen_until = alert.unseen_until.map(|now| now.plus_ms(grace_ms));
                    rule.alerts.retain(|other| other.labels != alert.labels);
                    rule.alerts.push(alert);
                }
                None if alert.state == AlertState::Firing => self.orphans.push(alert),
                None => {}
            }
        }
        Ok(())
    }
}

impl GroupState {
    fn new(group: Group, options: &Options) -> GroupState {
        let interval_ms = group.interval_ms.unwrap_or(options.default_interval_ms).max(1);
        let name = [group.file.as_str(), "\0", &group.name].concat();
        let rules = group.rules.iter().map(|rule| {
            let mut key = [name.as_str(), "\0", &rule.name].concat();
            if let RuleKind::Alert(alert) = &rule.kind {
                for (name, template) in &alert.labels {
                    key.push_str(&["\0", name, "\0", template.text()].concat());
                }
            }
            let generator_url = [options.external_url.trim_end_matches('/'), &link(&rule.expr.to_string(), 1)].concat();
            RuleState { key: fnv1a(&key), generator_url, ..RuleState::default() }
        });
        let rules = rules.collect();
        let offset_ms = fnv1a(&name) % interval_ms;
        GroupState { group, interval_ms, offset_ms, next: None, last_evaluation: None, last_duration_ms: 0, rules }
    }

    /// Returns the latest slot that is not after now.
    fn slot(&self, now: Mono) -> Mono {
        match now.0.checked_sub(self.offset_ms) {
            Some(since) => Mono(now.0 - since % self.interval_ms),
            None => Mono(0),
        }
    }

    /// Returns the first slot that is not before now.
    fn slot_from(&self, now: Mono) -> Mono {
        let slot = self.slot(now);
        if slot == now || now.0 < self.offset_ms {
            return Mono(self.offset_ms.max(slot.0));
        }
        slot.plus_ms(self.interval_ms)
    }
}

/// A hash that is the same in every version and on every board: it goes into the saved state.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

pub(crate) fn public(alert: &Active, generator_url: &str) -> Alert {
    Alert {
        labels: alert.labels.clone(),
        annotations: alert.annotations.clone(),
        state: alert.state,
        value: alert.value,
        active_at: alert.active_at,
        fired_at: alert.fired_at,
        resolved_at: alert.resolved_at,
        generator_url: generator_url.to_owned(),
    }
}

/// An alert whose rule is gone is over.
fn lost(mut orphan: Active, now: Now) -> Alert {
    orphan.state = AlertState::Resolved;
    orphan.resolved_at = Some(now.wall);
    public(&orphan, "")
}

#[cfg(test)]
mod tests;
