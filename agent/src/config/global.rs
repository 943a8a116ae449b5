//! `global`: the intervals, what scrape jobs have in common, and the labels that leave the board with every sample and alert.
//!
//! ```text
//! global:
//!   scrape_interval: 15s
//!   external_labels: {site: barn, board: ${HOSTNAME}}
//! ```
//! `$NAME` and `${NAME}` in external labels are taken from the environment, `$$` is a dollar, as in Prometheus 3.
//! Both intervals default to 15 s, where Prometheus says 1m: a board collects for itself alone.

use model::duration::DisplayMs;
use model::limits::{LABEL_BYTES_MAX, LABELS_MAX};
use model::{Labels, LabelsBuilder};
use relabel::NameScheme;
use yaml::{Errors, Map, Node};

use super::limits::{INTERVAL_MS_MAX, INTERVAL_MS_MIN};
use super::raw::{At, at, within};
use super::scrape::{ScrapeDefaults, histograms, limits, name_scheme, protocols};

/// The interval of everything that has none of its own, in milliseconds.
const INTERVAL_MS: u64 = 15_000;

/// Keys of Prometheus that are not served yet.
const UNSERVED: [&str; 4] =
    ["scrape_failure_log_file", "rule_query_offset", "query_log_file", "metric_name_escaping_scheme"];

/// Intervals and labels for everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Global {
    /// How often the board is read, in milliseconds, unless `collect` says otherwise.
    pub scrape_interval_ms: u64,
    /// How often rules are evaluated, in milliseconds, unless their group says otherwise.
    pub evaluation_interval_ms: u64,
    /// Added to what leaves the board, where a label of that name is not there.
    pub external_labels: Labels,
    /// What scrape jobs take that say nothing else.
    pub scrape: ScrapeDefaults,
}

impl Default for Global {
    fn default() -> Global {
        Global {
            scrape_interval_ms: INTERVAL_MS,
            evaluation_interval_ms: INTERVAL_MS,
            external_labels: Labels::empty(),
            scrape: ScrapeDefaults::default(),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct RawGlobal {
    scrape_interval: Option<At<u64>>,
    evaluation_interval: Option<At<u64>>,
    external_labels: Vec<Node>,
    scrape_timeout: Option<At<u64>>,
    scrape: ScrapeDefaults,
}

impl RawGlobal {
    pub fn read(root: &mut Map, errors: &mut Errors, warnings: &mut Errors) -> RawGlobal {
        let Some(node) = root.get("global") else { return RawGlobal::default() };
        let mut map = node.map(errors);
        let labels = map.get("external_labels");
        if let Some(labels) = labels.as_ref().filter(|node| !node.is_map()) {
            labels.complain("this is no map", "a map (name: value)", errors);
        }
        let raw = RawGlobal {
            scrape_interval: at(&mut map, "scrape_interval", errors, Node::duration_ms),
            evaluation_interval: at(&mut map, "evaluation_interval", errors, Node::duration_ms),
            external_labels: labels.filter(Node::is_map).map_or_else(Vec::new, |node| node.children()),
            scrape_timeout: at(&mut map, "scrape_timeout", errors, Node::duration_ms).filter(|at| at.value != 0),
            scrape: read_scrape(&mut map, errors),
        };
        map.known_but_unserved(&UNSERVED, "", warnings);
        map.finish(errors);
        raw
    }

    /// Returns which names are accepted, for sections that are checked before all is believed.
    pub fn names(&self) -> NameScheme {
        self.scrape.names
    }

    pub fn believe(self, env: &dyn Fn(&str) -> Option<String>, errors: &mut Errors) -> Global {
        let scrape_interval_ms = interval(self.scrape_interval, INTERVAL_MS, errors);
        let mut scrape = self.scrape;
        scrape.timeout_ms = self.scrape_timeout.as_ref().map_or(scrape.timeout_ms, |at| at.value);
        if let Some(at) = self.scrape_timeout.filter(|at| at.value > scrape_interval_ms) {
            let what = "global scrape timeout greater than scrape interval";
            at.complain(what, DisplayMs(scrape_interval_ms).to_string(), errors);
        }
        scrape.timeout_ms = scrape.timeout_ms.min(scrape_interval_ms);
        Global {
            scrape_interval_ms,
            scrape,
            evaluation_interval_ms: interval(self.evaluation_interval, INTERVAL_MS, errors),
            external_labels: external_labels(&self.external_labels, env, errors),
        }
    }
}

fn read_scrape(map: &mut Map, errors: &mut Errors) -> ScrapeDefaults {
    let default = ScrapeDefaults::default();
    ScrapeDefaults {
        timeout_ms: default.timeout_ms,
        limits: limits(map, default.limits, errors),
        protocols: protocols(map, "global config", errors),
        histograms: histograms(map, default.histograms, errors),
        extra_metrics: map.bool("extra_scrape_metrics", errors).unwrap_or(false),
        names: name_scheme(map, default.names, errors),
    }
}

/// Returns an interval within the limits; 0 is the default, as in Prometheus.
pub(super) fn interval(given: Option<At<u64>>, default: u64, errors: &mut Errors) -> u64 {
    let given = given.filter(|at| at.value != 0);
    within(given, INTERVAL_MS_MIN..=INTERVAL_MS_MAX, default, DisplayMs, errors)
}

fn external_labels(nodes: &[Node], env: &dyn Fn(&str) -> Option<String>, errors: &mut Errors) -> Labels {
    let mut builder = LabelsBuilder::new();
    for (count, node) in nodes.iter().enumerate() {
        let Some(value) = node.str(errors) else { continue };
        let name = node.name().unwrap_or("");
        if name.is_empty() || name == "__name__" || count >= LABELS_MAX {
            node.complain(
                "this label cannot be added",
                "a name, not empty and not __name__, at most 64 of them",
                errors,
            );
        } else if builder.set(name, &expand(&value, env)).is_err() {
            let expected = ["at most ", &LABEL_BYTES_MAX.to_string(), " bytes"].concat();
            node.complain("the label is too long", expected, errors);
        }
    }
    builder.finish()
}

/// Replaces `$NAME` and `${NAME}` by variables of the environment; one that is not set is empty.
fn expand(text: &str, env: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        let (name, after) = match rest.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some(braced) => braced,
            None if rest.starts_with('$') => ("$", &rest[1..]),
            None => rest.split_at(rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())),
        };
        match name {
            "$" => out.push('$'),
            "" => out.push('$'),
            name => out.push_str(&env(name).unwrap_or_default()),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_expanded_as_the_shell_would() {
        let env = |name: &str| (name == "HOST").then(|| "pi".to_owned());
        for (text, expected) in [
            ("plain", "plain"),
            ("$HOST", "pi"),
            ("${HOST}-x", "pi-x"),
            ("a$HOST.b", "api.b"),
            ("$$HOST", "$HOST"),
            ("$NOBODY!", "!"),
            ("${NOBODY}", ""),
            ("5$", "5$"),
            ("${open", "${open"),
        ] {
            assert_eq!(expand(text, &env), expected, "{text}");
        }
    }
}
