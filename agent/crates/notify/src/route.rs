//! The routing tree: which route takes an alert, and into which group it goes there.
//!
//! As Alertmanager: an alert goes to the deepest matching routes; the first matching child takes it unless it says
//! `continue`; where no child matches, the node itself takes it. A route's key is the matchers on the way to it, so it
//! stays the same across restarts: `{}/{severity="critical"}`; a group's adds its labels: `...:{alertname="Hot"}`.

use model::{Labels, Matcher};

/// By which labels alerts are grouped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupBy {
    /// By these.
    Names(Vec<String>),
    /// By all (`...`): every alert is a group of its own.
    All,
}

/// One node of the tree, with what it inherited filled in.
#[derive(Debug, Clone)]
pub struct Route {
    /// The matchers on the way here: names the route across restarts.
    pub key: String,
    /// The receiver's name.
    pub receiver: String,
    /// By which labels alerts are grouped.
    pub group_by: GroupBy,
    /// Which alerts it takes.
    pub matchers: Vec<Matcher>,
    /// Whether its siblings are asked as well.
    pub goes_on: bool,
    /// How long a new group waits for more alerts.
    pub group_wait_ms: u64,
    /// How long between two looks at a group.
    pub group_interval_ms: u64,
    /// How long until an unchanged notice is repeated.
    pub repeat_interval_ms: u64,
    /// Its children.
    pub routes: Vec<Route>,
}

impl Route {
    /// Returns the routes that take an alert with these labels, in order.
    pub fn matching<'a>(&'a self, labels: &Labels) -> Vec<&'a Route> {
        let mut found = Vec::new();
        self.collect(labels, &mut found);
        found
    }

    fn collect<'a>(&'a self, labels: &Labels, found: &mut Vec<&'a Route>) -> bool {
        if !self.matchers.iter().all(|matcher| matcher.matches_labels(labels)) {
            return false;
        }
        let before = found.len();
        for route in &self.routes {
            if route.collect(labels, found) && !route.goes_on {
                break;
            }
        }
        if found.len() == before {
            found.push(self);
        }
        true
    }

    /// Returns the labels that name the alert's group here.
    pub fn group_labels(&self, labels: &Labels) -> Labels {
        match &self.group_by {
            GroupBy::All => labels.clone(),
            GroupBy::Names(names) => labels.filter(|name| names.iter().any(|n| n == name)),
        }
    }

    /// Returns the key of the group with these labels.
    pub fn group_key(&self, labels: &Labels) -> String {
        format!("{}:{labels}", self.key)
    }
}

/// Takes every alert, as the root does, for a receiver that is not there.
impl Default for Route {
    fn default() -> Route {
        Route {
            key: route_key(None, &[]),
            receiver: String::new(),
            group_by: GroupBy::Names(Vec::new()),
            matchers: Vec::new(),
            goes_on: false,
            group_wait_ms: 30_000,
            group_interval_ms: 300_000,
            repeat_interval_ms: 14_400_000,
            routes: Vec::new(),
        }
    }
}

/// Returns the key of a route below another one (`None`: of the root).
pub fn route_key(parent: Option<&str>, matchers: &[Matcher]) -> String {
    let own: Vec<String> = matchers.iter().map(ToString::to_string).collect();
    let own = own.join(",");
    match parent {
        Some(parent) => format!("{parent}/{{{own}}}"),
        None => format!("{{{own}}}"),
    }
}
