//! Rules over label sets: the peer's own cases where they are at hand, ours beside them.

use std::path::{Path, PathBuf};

use model::Labels;

use super::*;
use crate::rule::{NameScheme, Spec};

fn labels(text: &str) -> Labels {
    let pairs = text.split(' ').filter(|pair| !pair.is_empty());
    Labels::from_pairs(pairs.map(|pair| pair.split_once('=').expect("name=value")))
}

fn rules(yaml: &str) -> Vec<Rule> {
    let mut errors = yaml::Errors::new();
    let root = yaml::parse("f", yaml).expect("well-formed");
    let rules = crate::read(Some(root), "empty", NameScheme::Utf8, &mut errors);
    assert_eq!(errors.to_string(), "", "{yaml}");
    rules
}

fn check(yaml: &str, input: &str, expected: Option<&str>) {
    assert_eq!(relabel(&rules(yaml), &labels(input)), expected.map(labels), "{yaml}");
}

#[test]
fn what_is_not_given_copies_the_source() {
    check("- {source_labels: [a, b], target_label: c}", "a=1 b=2", Some("a=1 b=2 c=1;2"));
    check("- {source_labels: [a, b], separator: '', target_label: c}", "a=1 b=2", Some("a=1 b=2 c=12"));
    check("- {source_labels: [none], target_label: a}", "a=1 b=2", Some("b=2"));
    check("- {target_label: a, replacement: x}", "b=2", Some("a=x b=2"));
    check("- {target_label: a, replacement: ''}", "a=1 b=2", Some("b=2"));
}

#[test]
fn patterns_are_anchored_and_groups_are_expanded() {
    check("- {source_labels: [a], regex: o, target_label: c, replacement: x}", "a=foo", Some("a=foo"));
    check(
        "- {source_labels: [a], regex: '(?P<x>f)(.*)', target_label: c, replacement: '$2-${x}'}",
        "a=foo",
        Some("a=foo c=oo-f"),
    );
    check(
        "- {source_labels: [a], regex: '(f)(x)?.*', target_label: c, replacement: '[$2$3$01]'}",
        "a=foo",
        Some("a=foo c=[]"),
    );
    check("- {source_labels: [a], regex: '', target_label: c, replacement: x}", "b=1", Some("b=1 c=x"));
    check("- {source_labels: [a], regex: '', target_label: c, replacement: x}", "a=1", Some("a=1"));
    check("- {source_labels: [a], regex: '(.*)x', target_label: '${1}', replacement: y}", "a=x", Some("a=x"));
}

#[test]
fn a_rule_sees_what_the_one_before_made_and_a_drop_ends_it() {
    check("- {target_label: a, replacement: x}\n- {source_labels: [a], regex: x, action: drop}", "b=1", None);
    check("- {regex: a, action: labeldrop}\n- {source_labels: [a], regex: '1', action: keep}", "a=1", None);
    check("- {source_labels: [a], action: keepequal, target_label: none}", "b=1", Some("b=1"));
}

#[test]
fn maps_copy_and_the_last_of_two_counts() {
    check("- {regex: 'm_(.*)', action: labelmap}", "m_a=1 m_b=2 x=3", Some("a=1 b=2 m_a=1 m_b=2 x=3"));
    check("- {regex: 'm_(.).', action: labelmap}", "m_a1=1 m_a2=2", Some("a=2 m_a1=1 m_a2=2"));
    check("- {regex: 'm_(.*)', action: labelmap, replacement: 'x_$1'}", "m_=1", Some("m_=1 x_=1"));
    check("- {regex: 'm_(.*)', action: labelmap}", "m_=1", Some("m_=1"));
}

#[test]
fn a_label_that_cannot_be_held_ends_the_rules() {
    let long = "x".repeat(model::limits::LABEL_BYTES_MAX);
    let grows = rules("- {source_labels: [a, a], target_label: a}\n- {regex: a, action: labeldrop}");
    let mut builder = LabelsBuilder::new();
    builder.set("a", &long).expect("it is just short enough");
    assert_eq!(apply(&grows, &mut builder), Verdict::TooLong);
    assert_eq!(relabel(&grows, &Labels::from_pairs([("a", long.as_str())])), None);
}

/// Prometheus's TestRelabel, turned into JSON.
#[test]
fn the_peers_cases_come_out_as_there() {
    let Some(path) = shared("suites/config/relabel.json") else { return };
    let text = std::fs::read_to_string(path).expect("it is there");
    let cases: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    let cases = cases.as_array().expect("a list");
    assert!(cases.len() >= 20, "only {} cases", cases.len());
    for case in cases {
        let pairs = |value: &serde_json::Value| {
            let map = value.as_object().cloned().unwrap_or_default();
            let pairs: Vec<_> = map.iter().map(|(n, v)| (n.clone(), v.as_str().unwrap_or("").to_owned())).collect();
            Labels::from_pairs(pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())))
        };
        // JSON is YAML.
        let rules = rules(&case["relabel"].to_string());
        let expected = (!case["drop"].as_bool().unwrap_or(false)).then(|| pairs(&case["output"]));
        assert_eq!(relabel(&rules, &pairs(&case["input"])), expected, "{case}");
    }
}

#[test]
fn rules_are_equal_by_what_they_say() {
    let same = || rules("- {source_labels: [a], target_label: c}");
    assert_eq!(same(), same());
    assert_ne!(same(), rules("- {source_labels: [a], target_label: d}"));
    assert_ne!(
        Rule::new(Spec { target_label: "a".to_owned(), ..Spec::default() }, NameScheme::Utf8),
        Rule::new(Spec { target_label: "a".to_owned(), ..Spec::default() }, NameScheme::Legacy)
    );
}

/// The project's sibling with data that is not ours, or `None`, said loudly.
fn shared(path: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(3).expect("the crate lies in the workspace");
    let base = std::env::var_os("NARTHEX_SHARED").map_or_else(|| root.join("../shared"), PathBuf::from);
    let found = Some(base.join(path)).filter(|path| path.exists());
    if found.is_none() {
        eprintln!("LEFT OUT: {path} is not in {}", base.display());
    }
    found
}
