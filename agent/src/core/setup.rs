//! What core needs of the configuration: believed values only.
//!
//! Made by `believed` at start and at each reload. Rules and receivers begin from it; what they knew before is
//! carried over by core.

use std::sync::Arc;

use notify::Notifier;
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

    /// Returns what tells receivers, at its beginning; `None` when nobody is to be told.
    pub fn notifier(&self) -> Option<Notifier> {
        self.notify.clone().map(Notifier::new)
    }
}
