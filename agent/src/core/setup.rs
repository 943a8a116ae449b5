//! What core needs of the configuration: believed values only.
//!
//! Made by `believed` at start and at each reload. Rules and receivers begin from it; what they knew before is
//! carried over by core.

use std::sync::Arc;

use model::{Alert, AlertState, LabelsBuilder, UnixMs};
use notify::Notifier;
use relabel::{Rule, Verdict};
use rules::{Group, Manager};

/// The configuration as core sees it. Cheap to clone: what is large is shared.
#[derive(Clone)]
pub struct Setup {
    /// The `job` label of what was read of this machine.
    pub job: String,
    /// The `instance` label of it.
    pub instance: String,
    /// How often this machine is read, in milliseconds.
    pub interval_ms: u64,
    /// Rule groups.
    pub groups: Arc<Vec<Group>>,
    /// How often groups that say nothing are evaluated.
    pub evaluation_interval_ms: u64,
    /// Labels for templates and for what leaves the house.
    pub external_labels: model::Labels,
    /// Where this agent's pages are, for links in notices.
    pub external_url: String,
    /// What becomes of an alert before receivers are told; where there are rules they see the external labels too.
    pub alert_relabel: Arc<Vec<Rule>>,
    /// Routes and receivers; `None` when nobody is to be told.
    pub notify: Option<notify::Config>,
}

impl Setup {
    /// Returns the rules' state machine, at its beginning.
    pub fn manager(&self) -> Manager {
        Manager::new(
            self.groups.as_ref().clone(),
            rules::Options {
                default_interval_ms: self.evaluation_interval_ms,
                external_labels: self.external_labels.clone(),
                external_url: self.external_url.clone(),
            },
        )
    }

    /// Returns alerts as receivers are told of them: with the external labels, and as `alert_relabel_configs` makes
    /// them; those left out that it drops.
    fn relabelled(&self, alerts: &[Alert]) -> Vec<Alert> {
        if self.external_labels.is_empty() && self.alert_relabel.is_empty() {
            return alerts.to_vec();
        }
        let relabel = |alert: &Alert| {
            let mut labels = LabelsBuilder::from(&self.external_labels);
            for (name, value) in alert.labels.iter() {
                // It was a label before.
                let _ = labels.set(name, value);
            }
            let is_kept = relabel::apply(&self.alert_relabel, &mut labels) == Verdict::Keep;
            let labels = labels.finish();
            (is_kept && !labels.is_empty()).then(|| Alert { labels, ..alert.clone() })
        };
        alerts.iter().filter_map(relabel).collect()
    }

    /// Returns what receivers are told of alerts that changed, of those that there are. Rules may make one of several:
    /// that is over only when all of them are.
    pub fn told(&self, changed: &[Alert], all: impl FnOnce() -> Vec<Alert>) -> Vec<Alert> {
        let is_over = |alert: &Alert| alert.state == AlertState::Resolved;
        let mut told = self.relabelled(changed);
        if !self.alert_relabel.is_empty() && told.iter().any(is_over) {
            let mut firing = self.relabelled(&all());
            firing.retain(|alert| alert.state == AlertState::Firing);
            told.retain(|alert| !is_over(alert) || firing.iter().all(|other| other.labels != alert.labels));
        }
        told
    }

    /// Returns the alerts that are called otherwise by another setup, or not told of at all: as they were, and over.
    pub fn renamed(&self, other: &Setup, all: &[Alert], over_at: UnixMs) -> Vec<Alert> {
        let told = other.relabelled(all);
        let mut renamed = self.relabelled(all);
        renamed.retain(|alert| told.iter().all(|other| other.labels != alert.labels));
        for alert in renamed.iter_mut().filter(|alert| alert.state == AlertState::Firing) {
            (alert.state, alert.resolved_at) = (AlertState::Resolved, Some(over_at));
        }
        renamed
    }

    /// Returns what tells receivers, at its beginning; `None` when nobody is to be told.
    pub fn notifier(&self) -> Option<Notifier> {
        self.notify.clone().map(Notifier::new)
    }
}

#[cfg(test)]
mod tests {
    use model::Labels;
    use relabel::{Action, NameScheme, Spec};

    use super::*;

    fn alert(state: AlertState, labels: &[(&str, &str)]) -> Alert {
        Alert {
            labels: Labels::from_pairs(labels.iter().copied()),
            annotations: Labels::empty(),
            state,
            value: 1.0,
            active_at: UnixMs(0),
            fired_at: Some(UnixMs(0)),
            resolved_at: (state == AlertState::Resolved).then_some(UnixMs(9)),
            generator_url: String::new(),
        }
    }

    fn firing(labels: &[(&str, &str)]) -> Alert {
        alert(AlertState::Firing, labels)
    }

    fn setup(specs: Vec<Spec>) -> Setup {
        let rules = specs.into_iter().map(|spec| Rule::new(spec, NameScheme::Utf8).expect("a good rule"));
        Setup {
            job: String::new(),
            instance: String::new(),
            interval_ms: 1,
            groups: Arc::default(),
            evaluation_interval_ms: 1,
            external_labels: Labels::from_pairs([("replica", "a"), ("site", "barn")]),
            external_url: String::new(),
            alert_relabel: Arc::new(rules.collect()),
            notify: None,
        }
    }

    fn drop_where(name: &str, regex: &str) -> Spec {
        let source_labels = Some(vec![name.to_owned()]);
        Spec { action: Some(Action::Drop), source_labels, regex: Some(regex.to_owned()), ..Spec::default() }
    }

    fn without(regex: &str) -> Spec {
        Spec { action: Some(Action::LabelDrop), regex: Some(regex.to_owned()), ..Spec::default() }
    }

    #[test]
    fn alerts_are_relabelled_and_dropped_before_anybody_is_told() {
        let setup = setup(vec![drop_where("severity", "none"), without("replica")]);
        let alerts =
            [firing(&[("alertname", "A"), ("site", "own")]), firing(&[("alertname", "B"), ("severity", "none")])];
        assert_eq!(setup.told(&alerts, || alerts.to_vec()), [firing(&[("alertname", "A"), ("site", "own")])]);
        // What is outside is seen by rules too.
        let setup = self::setup(vec![drop_where("site", "barn")]);
        assert_eq!(
            setup.told(&alerts, || alerts.to_vec()),
            [firing(&[("alertname", "A"), ("replica", "a"), ("site", "own")])]
        );
        let plain = self::setup(Vec::new()).told(&alerts[..1], || alerts.to_vec());
        assert_eq!(plain, [firing(&[("alertname", "A"), ("replica", "a"), ("site", "own")])]);
    }

    #[test]
    fn of_several_alerts_that_become_one_the_last_ends_it() {
        let setup = setup(vec![without("replica|site|disk")]);
        let named = |state, disk| alert(state, &[("alertname", "Full"), ("disk", disk)]);
        let (over, other) = (named(AlertState::Resolved, "a"), named(AlertState::Firing, "b"));
        assert_eq!(setup.told(std::slice::from_ref(&over), || vec![over.clone(), other]), []);
        let told = setup.told(std::slice::from_ref(&over), || vec![over.clone(), named(AlertState::Resolved, "b")]);
        assert_eq!(told, [alert(AlertState::Resolved, &[("alertname", "Full")])]);
    }

    #[test]
    fn a_reload_that_renames_alerts_ends_those_that_were() {
        let all = [firing(&[("alertname", "A"), ("disk", "a")]), firing(&[("alertname", "B")])];
        let (old, new) = (setup(vec![without("replica|site")]), setup(vec![without("replica|site|disk")]));
        assert_eq!(
            old.renamed(&new, &all, UnixMs(9)),
            [alert(AlertState::Resolved, &[("alertname", "A"), ("disk", "a")])]
        );
        assert_eq!(old.renamed(&old, &all, UnixMs(9)), []);
    }
}
