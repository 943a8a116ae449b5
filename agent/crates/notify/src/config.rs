//! Reads an Alertmanager-shaped configuration: the routing tree and the receivers.
//!
//! ```yaml
//! route:
//!   receiver: phone
//!   group_by: [alertname]
//! receivers:
//!   - name: phone
//!     webhook_configs:
//!       - url: http://192.168.0.9:8080/alert
//! ```
//! All errors are found at once, each with its place. A key of Alertmanager's that is not served yet is a warning.

use model::Matcher;
use yaml::{Errors, Map, Node};

use crate::limits::{INTEGRATIONS_MAX, RECEIVERS_MAX, ROUTES_MAX};
use crate::matchers::parse_matchers;
use crate::route::{GroupBy, Route, route_key};

/// Routes and receivers. The default one tells nobody.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The root of the routing tree; takes every alert.
    pub route: Route,
    /// Who is notified.
    pub receivers: Vec<Receiver>,
    /// Where this agent is reached from outside; the caller's to fill in.
    pub external_url: String,
}

/// Somebody who is notified, in all of these ways.
#[derive(Debug, Clone)]
pub struct Receiver {
    /// The name routes refer to.
    pub name: String,
    /// Webhooks.
    pub webhooks: Vec<Webhook>,
}

/// An address that gets notices as JSON.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Where to; may hold a secret, so it is not for logs.
    pub url: String,
    /// Whether it also wants to know what is over.
    pub send_resolved: bool,
    /// The most alerts of one notice; 0: all.
    pub max_alerts: u64,
    /// How long one delivery may take; 0: as the sender likes.
    pub timeout_ms: u64,
}

/// Receiver kinds that Alertmanager has and that are not served yet.
const UNSERVED_KINDS: [&str; 19] = [
    "discord_configs",
    "email_configs",
    "incidentio_configs",
    "jira_configs",
    "mattermost_configs",
    "msteams_configs",
    "msteamsv2_configs",
    "opsgenie_configs",
    "pagerduty_configs",
    "pushover_configs",
    "rocketchat_configs",
    "slack_configs",
    "sns_configs",
    "telegram_configs",
    "victorops_configs",
    "webex_configs",
    "wechat_configs",
    "mattermost_configs_v2",
    "googlechat_configs",
];

/// Reads a configuration; `None` where an error left nothing to run.
pub fn load(node: &Node, errors: &mut Errors, warnings: &mut Errors) -> Option<Config> {
    let before = errors.len();
    let mut map = node.map(errors);
    let unserved =
        ["global", "templates", "inhibit_rules", "mute_time_intervals", "time_intervals", "tracing", "event_recorder"];
    map.known_but_unserved(&unserved, "", warnings);
    let receivers = load_receivers(&mut map, errors, warnings);
    let route = map.need("route", errors);
    map.finish(errors);
    let mut tree = Tree { receivers: &receivers, count: 0, errors, warnings };
    let route = tree.route(&route?, None)?;
    (errors.len() == before).then(|| Config { route, receivers, ..Config::default() })
}

fn load_receivers(map: &mut Map, errors: &mut Errors, warnings: &mut Errors) -> Vec<Receiver> {
    let mut receivers: Vec<Receiver> = Vec::new();
    for node in map.list("receivers", errors) {
        let mut map = node.map(errors);
        let name = map.need("name", errors).and_then(|name| Some((name.str(errors)?, name)));
        let mut webhooks = Vec::new();
        for webhook in map.list("webhook_configs", errors) {
            webhooks.extend(load_webhook(&webhook, errors, warnings));
        }
        if webhooks.len() > INTEGRATIONS_MAX {
            node.complain("too many webhooks", format!("at most {INTEGRATIONS_MAX}"), errors);
        }
        map.known_but_unserved(&UNSERVED_KINDS, "", warnings);
        map.finish(errors);
        let Some((name, at)) = name else { continue };
        if receivers.iter().any(|other| other.name == name) {
            at.complain(format!("notification config name {name:?} is not unique"), "", errors);
        }
        if receivers.len() == RECEIVERS_MAX {
            node.complain("too many receivers", format!("at most {RECEIVERS_MAX}"), errors);
        }
        receivers.push(Receiver { name, webhooks });
    }
    receivers
}

fn load_webhook(node: &Node, errors: &mut Errors, warnings: &mut Errors) -> Option<Webhook> {
    let mut map = node.map(errors);
    let send_resolved = map.bool("send_resolved", errors).unwrap_or(true);
    let max_alerts = map.u64("max_alerts", errors).unwrap_or(0);
    let timeout_ms = map.duration_ms("timeout", errors).unwrap_or(0);
    map.known_but_unserved(&["http_config", "url_file", "payload"], "", warnings);
    let from_file = map.has("url_file");
    let url = map.get("url").and_then(|node| Some((node.str(errors)?, node)));
    map.finish(errors);
    match url {
        None if from_file => None,
        None => {
            node.complain("one of url or url_file must be configured", "", errors);
            None
        }
        Some((url, at)) => {
            let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
            if rest.is_none_or(|rest| rest.is_empty() || rest.starts_with('/')) {
                at.complain("unsupported address", "http:// or https:// and a host", errors);
            }
            Some(Webhook { url, send_resolved, max_alerts, timeout_ms })
        }
    }
}

struct Tree<'a> {
    receivers: &'a [Receiver],
    count: usize,
    errors: &'a mut Errors,
    warnings: &'a mut Errors,
}

impl Tree<'_> {
    /// Reads a route and all below it; `parent` is what it inherits from.
    fn route(&mut self, node: &Node, parent: Option<&Route>) -> Option<Route> {
        self.count += 1;
        if self.count > ROUTES_MAX {
            if self.count == ROUTES_MAX + 1 {
                node.complain("too many routes", format!("at most {ROUTES_MAX}"), self.errors);
            }
            return None;
        }
        let mut map = node.map(self.errors);
        let receiver = self.receiver(&mut map, parent);
        let group_by = self.group_by(&mut map, parent);
        let matchers = self.matchers(&mut map, parent.is_none());
        let goes_on = map.get("continue");
        if let (None, Some(goes_on)) = (parent, &goes_on) {
            goes_on.complain("cannot have continue in root route", "", self.errors);
        }
        let goes_on = goes_on.and_then(|node| node.bool(self.errors)).unwrap_or(false);
        let mut time =
            |key, inherited: Option<u64>, default, zero| self.time(&mut map, key, inherited.unwrap_or(default), zero);
        let group_wait_ms = time("group_wait", parent.map(|p| p.group_wait_ms), 30_000, true);
        let group_interval_ms = time("group_interval", parent.map(|p| p.group_interval_ms), 300_000, false);
        let repeat_interval_ms = time("repeat_interval", parent.map(|p| p.repeat_interval_ms), 14_400_000, false);
        map.known_but_unserved(&["mute_time_intervals", "active_time_intervals", "labels"], "", self.warnings);
        let children = map.list("routes", self.errors);
        map.finish(self.errors);
        let mut route = Route {
            key: route_key(parent.map(|p| p.key.as_str()), &matchers),
            receiver: receiver.unwrap_or_default(),
            group_by,
            matchers,
            goes_on,
            group_wait_ms,
            group_interval_ms,
            repeat_interval_ms,
            routes: Vec::new(),
        };
        route.routes = children.iter().filter_map(|child| self.route(child, Some(&route))).collect();
        Some(route)
    }

    fn receiver(&mut self, map: &mut Map, parent: Option<&Route>) -> Option<String> {
        let Some(node) = map.get("receiver") else {
            if parent.is_none() {
                map.node().complain("root route must specify a default receiver", "", self.errors);
            }
            return parent.map(|p| p.receiver.clone());
        };
        let name = node.str(self.errors)?;
        if !self.receivers.iter().any(|receiver| receiver.name == name) {
            let mut known: Vec<&str> = self.receivers.iter().map(|receiver| receiver.name.as_str()).collect();
            known.dedup();
            node.complain(
                format!("undefined receiver {name:?} used in route"),
                format!("one of {}", known.join(", ")),
                self.errors,
            );
        }
        Some(name)
    }

    fn group_by(&mut self, map: &mut Map, parent: Option<&Route>) -> GroupBy {
        let Some(node) = map.get("group_by") else {
            return parent.map_or(GroupBy::Names(Vec::new()), |p| p.group_by.clone());
        };
        let mut names: Vec<String> = Vec::new();
        let mut all = false;
        for item in node.list(self.errors) {
            let Some(name) = item.str(self.errors) else { continue };
            if name == "..." {
                all = true;
            } else if names.contains(&name) {
                item.complain(format!("duplicated label {name:?} in group_by"), "", self.errors);
            } else if name.is_empty() {
                item.complain("invalid label name in group_by", "", self.errors);
            } else {
                names.push(name);
            }
        }
        if all && !names.is_empty() {
            node.complain("cannot have wildcard group_by (`...`) and other labels at the same time", "", self.errors);
        }
        if all { GroupBy::All } else { GroupBy::Names(names) }
    }

    fn matchers(&mut self, map: &mut Map, root: bool) -> Vec<Matcher> {
        let mut matchers = Vec::new();
        for key in ["match", "match_re"] {
            let Some(node) = map.get(key) else { continue };
            for (name, value) in node.pairs(self.errors) {
                let made = if key == "match" {
                    Ok(Matcher::equal(&name, &value))
                } else {
                    // The peer writes the anchors into the text, and so into the group's key.
                    Matcher::new(&name, model::MatchOp::Regex, &format!("^(?:{value})$"))
                };
                match made {
                    Ok(matcher) => matchers.push(matcher),
                    Err(error) => node.complain(error.to_string(), "", self.errors),
                }
            }
        }
        for item in map.list("matchers", self.errors) {
            let Some(text) = item.str(self.errors) else { continue };
            match parse_matchers(&text) {
                Ok(parsed) => matchers.extend(parsed),
                Err(message) => item.complain(message, "a matcher such as severity=\"critical\"", self.errors),
            }
        }
        if root && !matchers.is_empty() {
            map.node().complain("root route must not have any matchers", "", self.errors);
        }
        matchers.sort_by(|a, b| (&a.name, &a.value, a.op.as_str()).cmp(&(&b.name, &b.value, b.op.as_str())));
        matchers
    }

    fn time(&mut self, map: &mut Map, key: &'static str, default: u64, zero_is_fine: bool) -> u64 {
        let Some(node) = map.get(key) else { return default };
        let Some(ms) = node.duration_ms(self.errors) else { return default };
        if ms == 0 && !zero_is_fine {
            node.complain(format!("{key} cannot be zero"), "", self.errors);
        }
        ms
    }
}

#[cfg(test)]
mod tests;
