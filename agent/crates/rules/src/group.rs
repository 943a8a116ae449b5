//! Rule files: read from the tree of a YAML file, validated as Prometheus validates them, all errors at once.
//!
//! ```yaml
//! groups:
//!   - name: heat
//!     rules:
//!       - alert: Hot
//!         expr: node_thermal_zone_temp > 80
//!         for: 5m
//! ```
//! An error in an expression points into it. Equal rules in one group are accepted, as Prometheus does, and noted in
//! [`Group::warnings`]: files in the field have them.

use std::collections::HashSet;

use model::{Labels, LabelsBuilder};
use promql::{Expr, Features, ValueType};
use yaml::{Bounds, Error, Errors, Map, Node};

use crate::limits::{GROUPS_MAX, RULES_PER_GROUP_MAX, TOOL_NODES_MAX, TOOL_TEXT_BYTES_MAX};
use crate::template::Template;

/// Rules that are evaluated together, one after the other.
#[derive(Debug, Clone)]
pub struct Group {
    /// The name, unique within its file.
    pub name: String,
    /// The file it came from.
    pub file: String,
    /// How often it is evaluated; `None`: as the configuration says.
    pub interval_ms: Option<u64>,
    /// How far in the past its expressions look.
    pub query_offset_ms: u64,
    /// The most series or alerts one of its rules may give; 0: no limit but ours.
    pub limit: usize,
    /// The rules in order.
    pub rules: Vec<Rule>,
    /// What is odd but accepted.
    pub warnings: Vec<Error>,
}

/// One rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The alert's name or the name of the recorded series.
    pub name: String,
    /// The expression.
    pub expr: Expr,
    /// What is made of its result.
    pub kind: RuleKind,
}

/// What a rule makes of its expression's result.
#[derive(Debug, Clone)]
pub enum RuleKind {
    /// Series.
    Record(RecordRule),
    /// Alerts.
    Alert(AlertRule),
}

/// A recording rule.
#[derive(Debug, Clone)]
pub struct RecordRule {
    /// Laid over every series.
    pub labels: Labels,
}

/// An alerting rule.
#[derive(Debug, Clone)]
pub struct AlertRule {
    /// How long the condition must hold.
    pub for_ms: u64,
    /// How long it fires on when the condition holds no more.
    pub keep_firing_for_ms: u64,
    /// Laid over every alert.
    pub labels: Vec<(String, Template)>,
    /// Say more about it.
    pub annotations: Vec<(String, Template)>,
}

/// How a rule file is read.
#[derive(Debug, Clone, Copy, Default)]
pub struct LoadOptions {
    /// Names must be those of Prometheus 2: letters, digits, underscores and colons.
    pub legacy_names: bool,
    /// Keys that nobody knows are no errors.
    pub ignore_unknown_fields: bool,
    /// Which parts of the query language are on.
    pub features: Features,
    /// A tool that runs for a moment, and not on a board: a file may be larger than an agent takes.
    pub is_tool: bool,
}

/// Reads a rule file. What has errors is left out, and the errors say what and where.
pub fn load(file: &str, text: &str, errors: &mut Errors) -> Vec<Group> {
    load_with(file, text, LoadOptions::default(), errors)
}

/// As [`load`], but names must be those of Prometheus 2: letters, digits, underscores and colons.
pub fn load_legacy(file: &str, text: &str, errors: &mut Errors) -> Vec<Group> {
    load_with(file, text, LoadOptions { legacy_names: true, ..LoadOptions::default() }, errors)
}

/// As [`load`], in the way that is asked for.
pub fn load_with(file: &str, text: &str, options: LoadOptions, errors: &mut Errors) -> Vec<Group> {
    let bounds = match options.is_tool {
        true => Bounds { text_bytes_max: TOOL_TEXT_BYTES_MAX, nodes_max: TOOL_NODES_MAX },
        false => Bounds::default(),
    };
    // As with the peer, of several documents the first counts, and that is said.
    let (root, second) = match yaml::parse_first(file, text, bounds) {
        Ok(found) => found,
        Err(found) => {
            errors.append(found);
            return Vec::new();
        }
    };
    let mut map = root.map(errors);
    let nodes = map.list("groups", errors);
    let mut reader = Reader { options, errors };
    reader.finish(map);
    let mut groups: Vec<Group> = Vec::new();
    for node in &nodes {
        if groups.len() == GROUPS_MAX && !options.is_tool {
            node.complain("too many groups", format!("at most {GROUPS_MAX}"), reader.errors);
            break;
        }
        let Some(group) = reader.group(node) else { continue };
        if groups.iter().any(|other| other.name == group.name) {
            let what = format!("groupname: \"{}\" is repeated in the same file", group.name);
            node.complain(what, "", reader.errors);
        }
        groups.push(group);
    }
    if let Some(first) = groups.first_mut() {
        first.warnings.extend(second);
    }
    groups
}

struct Reader<'a> {
    options: LoadOptions,
    errors: &'a mut Errors,
}

impl Reader<'_> {
    fn finish(&mut self, map: Map) {
        if !self.options.ignore_unknown_fields {
            map.finish(self.errors);
        }
    }

    fn group(&mut self, node: &Node) -> Option<Group> {
        let mut map = node.map(self.errors);
        let name = map.need("name", self.errors).and_then(|at| Some((at.str(self.errors)?, at)));
        let interval_ms = map.duration_ms("interval", self.errors).filter(|ms| *ms > 0);
        let query_offset_ms = map.duration_ms("query_offset", self.errors).unwrap_or(0);
        let limit = map.i64("limit", self.errors).unwrap_or(0).max(0) as usize;
        let labels = map.get("labels").map_or_else(Vec::new, |at| self.pairs(&at, "label"));
        let nodes = map.list("rules", self.errors);
        self.finish(map);
        if nodes.len() > RULES_PER_GROUP_MAX && !self.options.is_tool {
            node.complain("too many rules", format!("at most {RULES_PER_GROUP_MAX} in a group"), self.errors);
            return None;
        }
        let (mut rules, mut warnings, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        for node in &nodes {
            let Some((rule, identity)) = self.rule(node, &labels) else { continue };
            if !seen.insert(identity) {
                warnings.push(node.error(format!("the same rule {:?} stands in this group already", rule.name), ""));
            }
            rules.push(rule);
        }
        let (name, at) = name?;
        if name.is_empty() {
            at.complain("Groupname must not be empty", "", self.errors);
        }
        Some(Group { name, file: node.file().to_owned(), interval_ms, query_offset_ms, limit, rules, warnings })
    }

    /// Reads a rule, and a text that is equal for equal rules.
    fn rule(&mut self, node: &Node, group_labels: &[(String, Node)]) -> Option<(Rule, String)> {
        let mut map = node.map(self.errors);
        let record = map.get("record").and_then(|at| Some((at.str(self.errors)?, at)));
        let alert = map.get("alert").and_then(|at| Some((at.str(self.errors)?, at)));
        let expr = self.expr(&mut map);
        let holds = (map.get("for"), map.get("keep_firing_for"));
        let own = map.get("labels").map_or_else(Vec::new, |at| self.pairs(&at, "label"));
        let notes = map.get("annotations");
        self.finish(map);
        let inherited = group_labels.iter().filter(|(name, _)| own.iter().all(|(n, _)| n != name));
        let labels: Vec<(String, Node)> = inherited.chain(&own).cloned().collect();
        let (name, kind) = match (record, alert) {
            (Some(_), Some((_, at))) => {
                at.complain("only one of 'record' and 'alert' must be set", "", self.errors);
                return None;
            }
            (None, None) => {
                node.complain("one of 'record' or 'alert' must be set", "", self.errors);
                return None;
            }
            (Some((name, at)), None) => {
                self.check_record(
                    &name,
                    &at,
                    [("for", &holds.0), ("keep_firing_for", &holds.1), ("annotations", &notes)],
                );
                (name, RuleKind::Record(RecordRule { labels: self.plain(&labels) }))
            }
            (None, Some((name, _))) => {
                let notes = notes.map_or_else(Vec::new, |at| self.pairs(&at, "annotation"));
                let mut hold = |at: Option<Node>| at.and_then(|at| at.duration_ms(self.errors)).unwrap_or(0);
                let (for_ms, keep_firing_for_ms) = (hold(holds.0), hold(holds.1));
                let labels = self.templates(&name, &labels);
                let annotations = self.templates(&name, &notes);
                (name, RuleKind::Alert(AlertRule { for_ms, keep_firing_for_ms, labels, annotations }))
            }
        };
        let rule = Rule { name, expr: expr?, kind };
        let identity = identity(&rule);
        Some((rule, identity))
    }

    fn check_record(&mut self, name: &str, at: &Node, unfit: [(&str, &Option<Node>); 3]) {
        for (key, node) in unfit {
            if let Some(node) = node {
                node.complain(format!("invalid field '{key}' in recording rule"), "", self.errors);
            }
        }
        if name.contains(['{', '}']) {
            let what = format!("braces present in the recording rule name; should it be in expr?: {name}");
            at.complain(what, "a metric name", self.errors);
        } else if !self.is_name(name, true) {
            at.complain(format!("invalid recording rule name: {name}"), "a metric name", self.errors);
        }
    }

    fn expr(&mut self, map: &mut Map) -> Option<Expr> {
        let Some(node) = map.get("expr") else {
            map.node().complain("field 'expr' must be set in rule", "", self.errors);
            return None;
        };
        let text = node.str(self.errors)?;
        match promql::parse_with(&text, self.options.features) {
            Ok(expr) if matches!(expr.value_type(), ValueType::Scalar | ValueType::Vector) => Some(expr),
            Ok(expr) => {
                let what = format!("the expression gives a {}", expr.value_type().documented());
                node.complain(what, "an instant vector or a scalar", self.errors);
                None
            }
            Err(error) => {
                let place = node.place_within(error.line.max(1), column(&text, error.line, error.column));
                let what = format!("could not parse expression: {error}");
                self.errors.push(node.error_at(place, what, ""));
                None
            }
        }
    }

    /// Reads labels or annotations with the places of their values.
    fn pairs(&mut self, node: &Node, what: &str) -> Vec<(String, Node)> {
        if !node.is_map() {
            let _ = node.pairs(self.errors);
            return Vec::new();
        }
        let mut pairs = Vec::new();
        for child in node.children() {
            let name = child.name().unwrap_or("").to_owned();
            if !self.is_name(&name, false) || (what == "label" && name == model::labels::NAME) {
                let error = child.error_at(child.key_place(), format!("invalid {what} name: {name}"), "");
                self.errors.push(error);
                continue;
            }
            pairs.push((name, child));
        }
        pairs
    }

    fn text(&mut self, node: &Node) -> String {
        if node.is_null() { String::new() } else { node.str(self.errors).unwrap_or_default() }
    }

    fn plain(&mut self, pairs: &[(String, Node)]) -> Labels {
        let mut builder = LabelsBuilder::new();
        for (name, node) in pairs {
            let value = self.text(node);
            if let Err(error) = builder.set(name, &value) {
                node.complain(error.to_string(), "", self.errors);
            }
        }
        builder.finish()
    }

    fn templates(&mut self, alert: &str, pairs: &[(String, Node)]) -> Vec<(String, Template)> {
        let mut templates = Vec::new();
        for (name, node) in pairs {
            let text = self.text(node);
            match Template::parse(alert, &text) {
                Ok(template) => templates.push((name.clone(), template)),
                Err(error) => node.complain(format!("error parsing {error}"), "", self.errors),
            }
        }
        templates
    }

    fn is_name(&self, name: &str, colon: bool) -> bool {
        if !self.options.legacy_names {
            return !name.is_empty();
        }
        let letter = |c: char| c == '_' || c.is_ascii_alphabetic() || (colon && c == ':');
        name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit())
    }
}

/// Turns a column in bytes into one in characters.
fn column(text: &str, line: u32, bytes: u32) -> u32 {
    let line = text.split('\n').nth(line.max(1) as usize - 1).unwrap_or("");
    let before = line.as_bytes().get(..bytes.saturating_sub(1) as usize).unwrap_or(line.as_bytes());
    String::from_utf8_lossy(before).chars().count() as u32 + 1
}

fn identity(rule: &Rule) -> String {
    let mut out = format!("{} {}", rule.name, rule.expr);
    match &rule.kind {
        RuleKind::Record(record) => out.push_str(&record.labels.to_string()),
        RuleKind::Alert(alert) => {
            out.push_str(&format!(" {} {}", alert.for_ms, alert.keep_firing_for_ms));
            for (name, template) in alert.labels.iter().chain(&alert.annotations) {
                out.push_str(&["\0", name, "\0", template.text()].concat());
            }
        }
    }
    out
}

#[cfg(test)]
mod tests;
