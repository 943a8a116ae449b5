//! Sections of `prometheus.yml` that have no effect here, checked as far as the peer itself refuses a file for them.
//!
//! Somebody who moves a file here should be told the same faults: a misspelt compression is no less wrong because
//! nobody traces yet. Each is known and warned about; keys inside are not checked one by one.

use relabel::{NameScheme, Rule};
use yaml::{Errors, Map, Node};

use super::http::reserved;
use super::raw::{child, peek};

/// Sections that are not served yet, and what to do instead.
const UNSERVED: [(&str, &str); 4] = [("remote_read", ""), ("otlp", ""), ("tracing", ""), ("runtime", "")];

/// Warns of what has no effect, and checks it; returns the rules for alerts, which have one.
pub(super) fn check(root: &mut Map, names: NameScheme, errors: &mut Errors, warnings: &mut Errors) -> Vec<Rule> {
    for (key, instead) in UNSERVED {
        root.known_but_unserved(&[key], instead, warnings);
    }
    let rules = root.get("alerting").map_or_else(Vec::new, |node| alerting(&node, names, errors, warnings));
    peek(root, "remote_read").iter().flat_map(Node::children).for_each(|node| remote_read(&node, errors));
    if let Some(node) = peek(root, "tracing") {
        tracing(&node, errors);
    }
    if let Some(node) = peek(root, "otlp") {
        otlp(&node, names, errors);
    }
    rules
}

fn alerting(node: &Node, names: NameScheme, errors: &mut Errors, warnings: &mut Errors) -> Vec<Rule> {
    let mut map = node.map(errors);
    let listed = map.get("alert_relabel_configs");
    let found = relabel::read(listed, "empty or null alert relabeling rule", names, errors);
    let instead = "receivers are named under notify, or in alertmanager_config_file";
    map.known_but_unserved(&["alertmanagers"], instead, warnings);
    map.finish(errors);
    for alertmanager in child(node, "alertmanagers").iter().flat_map(Node::children) {
        let empty = "empty or null Alertmanager target relabeling rule";
        rules(child(&alertmanager, "relabel_configs"), empty, names, errors);
    }
    found
}

/// Reads rules that nobody runs, apart: their keys are none that are served.
fn rules(node: Option<Node>, empty: &str, names: NameScheme, errors: &mut Errors) {
    let mut faults = Errors::new();
    relabel::read(node, empty, names, &mut faults);
    errors.append(faults);
}

fn remote_read(node: &Node, errors: &mut Errors) {
    if node.is_null() {
        return node.complain("empty or null remote read config section", "", errors);
    }
    if text(node, "url").is_none() {
        node.complain("url for remote_read is empty", "", errors);
    }
    reserved_headers(child(node, "headers"), errors);
}

fn reserved_headers(headers: Option<Node>, errors: &mut Errors) {
    for header in headers.iter().flat_map(Node::children) {
        if let Some(what) = header.name().and_then(reserved) {
            header.complain(what, "", errors);
        }
    }
}

fn tracing(node: &Node, errors: &mut Errors) {
    if text(node, "endpoint").is_none() {
        node.complain("tracing endpoint must be set", "", errors);
    }
    reserved_headers(child(node, "headers"), errors);
    if let Some(other) = text(node, "compression").filter(|compression| compression != "gzip") {
        let what = ["invalid compression type ", &other, " provided, valid options: gzip"].concat();
        node.complain(what, "", errors);
    }
}

/// What an OTLP metric's name may become.
const OTLP_STRATEGIES: [&str; 4] = [
    "UnderscoreEscapingWithSuffixes",
    "UnderscoreEscapingWithoutSuffixes",
    "NoUTF8EscapingWithSuffixes",
    "NoTranslation",
];

fn otlp(node: &Node, names: NameScheme, errors: &mut Errors) {
    if let Some(strategy) = text(node, "translation_strategy") {
        if !OTLP_STRATEGIES.contains(&strategy.as_str()) {
            let what = ["unsupported OTLP translation strategy \"", &strategy, "\""].concat();
            node.complain(what, OTLP_STRATEGIES.join(", "), errors);
        } else if names == NameScheme::Legacy && strategy.starts_with("No") {
            let what = ["OTLP translation strategy \"", &strategy, "\" is not allowed when UTF8 is disabled"].concat();
            node.complain(what, "", errors);
        }
    }
    let promotes_all = text(node, "promote_all_resource_attributes").as_deref() == Some("true");
    let (promoted, ignored) = (child(node, "promote_resource_attributes"), child(node, "ignore_resource_attributes"));
    let is_some = |list: &Option<Node>| list.as_ref().is_some_and(|list| !list.children().is_empty());
    if promotes_all && is_some(&promoted) {
        let what = "'promote_all_resource_attributes' and 'promote_resource_attributes' cannot be configured \
                    simultaneously";
        node.complain(what, "", errors);
    }
    if !promotes_all && is_some(&ignored) {
        let what = "'ignore_resource_attributes' cannot be configured unless 'promote_all_resource_attributes' is true";
        node.complain(what, "", errors);
    }
    attributes(promoted, "promoted", errors);
    attributes(ignored, "ignored", errors);
}

fn attributes(list: Option<Node>, kind: &str, errors: &mut Errors) {
    let mut seen: Vec<String> = Vec::new();
    for item in list.iter().flat_map(Node::children) {
        let name = item.text().unwrap_or("").trim().to_owned();
        if name.is_empty() {
            item.complain(["empty ", kind, " OTel resource attribute"].concat(), "", errors);
        } else if seen.contains(&name) {
            let what = ["duplicated ", kind, " OTel resource attribute \"", &name, "\""].concat();
            item.complain(what, "", errors);
        }
        seen.push(name);
    }
}

/// Checks `storage.tsdb`, whose place is among keys that are served.
pub(super) fn check_tsdb(node: &Node, errors: &mut Errors) {
    let retention = child(node, "retention");
    let size = retention.as_ref().and_then(|retention| child(retention, "size"));
    if let Some(size) = size.filter(|size| size.text().is_some_and(|text| text.starts_with('-'))) {
        size.complain("'storage.tsdb.retention.size' must be greater than or equal to 0", "", errors);
    }
    if let Some(share) = retention.as_ref().and_then(|retention| child(retention, "percentage")) {
        let number = share.text().and_then(|text| text.parse::<f64>().ok());
        if !number.is_some_and(|number| (0.0..=100.0).contains(&number)) {
            share.complain("'storage.tsdb.retention.percentage' must be in the range [0, 100]", "", errors);
        }
    }
    let floats = child(node, "chunk_encoding").and_then(|encoding| child(&encoding, "floats"));
    if let Some(floats) = floats.filter(|floats| !matches!(floats.text(), Some("xor" | "xor2" | ""))) {
        let what =
            "'storage.tsdb.chunk_encoding.floats' must be 'xor' or 'xor2', or the field must be omitted entirely";
        floats.complain([what, ", got \"", floats.text().unwrap_or(""), "\""].concat(), "", errors);
    }
}

/// Returns a text that is not empty.
fn text(node: &Node, key: &str) -> Option<String> {
    child(node, key)?.text().filter(|text| !text.is_empty()).map(str::to_owned)
}
