//! `relabel_configs` and its likes in a configuration file: nodes in, rules and errors out.
//!
//! ```yaml
//! - source_labels: [__address__]
//!   regex: (.*):\d+
//!   target_label: host
//! ```
//! A key without a value is not the key's default but an empty value, as with the peer. What an empty item of the list
//! is called differs from list to list, so the caller says it.

use yaml::{Errors, Map, Node};

use crate::RULES_MAX;
use crate::rule::{Action, NameScheme, Rule, Spec};

/// Returns the rules of a list; an item that is empty is an error in the words of `empty`.
pub fn read(node: Option<Node>, empty: &str, names: NameScheme, errors: &mut Errors) -> Vec<Rule> {
    let items = node.map_or_else(Vec::new, |node| node.list(errors));
    if let Some(item) = items.get(RULES_MAX) {
        let limit = ["at most ", &RULES_MAX.to_string()].concat();
        item.complain(["there are ", &items.len().to_string(), " rules"].concat(), limit, errors);
    }
    let mut rules = Vec::new();
    for item in items.into_iter().take(RULES_MAX) {
        if item.is_null() {
            item.complain(empty, "", errors);
        } else {
            rules.extend(read_rule(&item, names, errors));
        }
    }
    rules
}

/// Returns one rule.
pub fn read_rule(node: &Node, names: NameScheme, errors: &mut Errors) -> Option<Rule> {
    let mut map = node.map(errors);
    let before = errors.len();
    let mut spec = Spec { source_labels: source_labels(&mut map, errors), ..Spec::default() };
    text(&mut map, "separator", &mut spec.separator, errors);
    text(&mut map, "target_label", &mut spec.target_label, errors);
    text(&mut map, "replacement", &mut spec.replacement, errors);
    let mut regex = None;
    if map.has("regex") {
        let text = map.str("regex", errors).unwrap_or_default();
        spec.regex = Some(text);
        regex = map.get("regex");
    }
    if let Some(modulus) = map.u64("modulus", errors) {
        spec.modulus = modulus;
    }
    if map.has("action") {
        spec.action = action(map.get("action"), errors)?;
    }
    map.finish(errors);
    if errors.len() > before {
        return None;
    }
    match Rule::new(spec, names) {
        Ok(rule) => Some(rule),
        Err(what) => {
            // What is wrong with the pattern is said at the pattern.
            let place = regex.filter(|_| what.starts_with("pattern ")).unwrap_or_else(|| node.clone());
            place.complain(what, "", errors);
            None
        }
    }
}

/// Returns the action; `None` after an error, `Some(None)` when it is empty.
fn action(node: Option<Node>, errors: &mut Errors) -> Option<Option<Action>> {
    let Some(node) = node else { return Some(None) };
    let name = node.str(errors)?;
    let found = Action::parse(&name);
    if found.is_none() {
        node.complain(["unknown relabel action \"", &name, "\""].concat(), "", errors);
        return None;
    }
    Some(found)
}

fn source_labels(map: &mut Map, errors: &mut Errors) -> Option<Vec<String>> {
    let node = map.get("source_labels")?;
    let mut names = Vec::new();
    for item in node.list(errors) {
        let name = if item.is_null() { String::new() } else { item.str(errors)? };
        if name.is_empty() {
            item.complain("\"\" is not a valid label name", "", errors);
        }
        names.push(name);
    }
    Some(names)
}

fn text(map: &mut Map, key: &'static str, into: &mut String, errors: &mut Errors) {
    if map.has(key) {
        *into = map.str(key, errors).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let mut errors = Errors::new();
        let root = yaml::parse("f", text).expect("well-formed");
        let rules = read(Some(root), "empty or null target relabeling rule", NameScheme::Utf8, &mut errors);
        assert_eq!(errors.to_string(), expected, "{text}");
        assert_eq!(rules.is_empty(), !expected.is_empty(), "{text}");
    }

    #[test]
    fn rules_are_read_with_the_peers_defaults() {
        check("- {source_labels: [a, b], target_label: c}\n", "");
        check("- {target_label: c, regex: , replacement: x}\n", "");
        check("- {regex: a, action: LabelDrop}\n", "");
        check("- {source_labels: [a], regex: 1, action: keep}\n", "");
        let root = yaml::parse("f", "- {target_label: c, regex: , separator: }\n").expect("well-formed");
        let rules = read(Some(root), "", NameScheme::Utf8, &mut Errors::new());
        let expected = Spec {
            target_label: "c".to_owned(),
            regex: Some(String::new()),
            separator: String::new(),
            ..Spec::default()
        };
        assert_eq!(rules.first().map(|rule| rule.spec().clone()), Some(expected));
    }

    #[test]
    fn what_is_wrong_is_said_where_it_stands() {
        check("- \n", "f:1:3: [0]: empty or null target relabeling rule");
        check("- {action: null}\n", "f:1:3: [0]: relabel action cannot be empty");
        check("- {action: kepp}\n", "f:1:12: [0].action: unknown relabel action \"kepp\"");
        check(
            "- {source_labels: [''], action: keep}\n",
            "f:1:20: [0].source_labels[0]: \"\" is not a valid label name",
        );
        check("- {action: keep, regexp: a}\n", "f:1:18: [0].regexp: unknown key, expected regex");
        check(
            "- {action: hashmod, target_label: a, modulus: x}\n",
            "f:1:47: [0].modulus: \"x\", expected a whole number from 0",
        );
    }
}
