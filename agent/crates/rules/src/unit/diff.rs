//! `--diff`: expected and got as JSON, what differs in colour: red is missing, green is too much, yellow is another
//! value. Source: what promtool 3.5 prints, which has it from a library named jsondiff.
//!
//! Alerts are compared by their place in the sorted lists, not by likeness, as there.

use std::collections::BTreeMap;

use promql::script::quoted;

use super::file::Pairs;
use super::show::ShownAlert;

const RED: &str = "\u{1b}[0;31m";
const GREEN: &str = "\u{1b}[0;32m";
const YELLOW: &str = "\u{1b}[0;33m";
const END: &str = "\u{1b}[0m";

/// How far a report indents every line but the first.
const MARGIN: &str = "            ";

/// Returns how two lists of alerts differ.
pub fn diff(expected: &[ShownAlert], got: &[ShownAlert]) -> String {
    let empty = [ShownAlert { labels: Pairs::new(), annotations: Pairs::new() }];
    let expected = if expected.is_empty() { &empty } else { expected };
    let got = if got.is_empty() { &empty } else { got };
    let mut items = Vec::new();
    for at in 0..expected.len().max(got.len()) {
        match (expected.get(at), got.get(at)) {
            (Some(expected), Some(got)) => items.push(both(expected, got)),
            (Some(expected), None) => items.push(one(expected, RED)),
            (None, Some(got)) => items.push(one(got, GREEN)),
            (None, None) => {}
        }
    }
    let inner = items.join(&[",\n", MARGIN].concat());
    ["[\n", MARGIN, &inner, "\n", MARGIN, "]"].concat()
}

/// Returns an alert that both lists have a place for.
fn both(expected: &ShownAlert, got: &ShownAlert) -> String {
    let annotations = changes(&expected.annotations, &got.annotations);
    let labels = changes(&expected.labels, &got.labels);
    let lines = ["{".to_owned(), object("Annotations", &annotations) + ",", object("Labels", &labels), "}".to_owned()];
    placed(&lines.join("\n"), |line| line.to_owned())
}

/// Returns an alert that only one list has, in its colour.
fn one(alert: &ShownAlert, colour: &str) -> String {
    let plain = |pairs: &Pairs| pairs.iter().map(|(name, value)| member(name, value)).collect::<Vec<_>>();
    let annotations = object("Annotations", &plain(&alert.annotations));
    let labels = object("Labels", &plain(&alert.labels));
    placed(&["{".to_owned(), annotations + ",", labels, "}".to_owned()].join("\n"), |line| {
        let text = line.trim_start();
        [&line[..line.len() - text.len()], colour, text, END].concat()
    })
}

/// Sets an item's lines where they belong.
fn placed(item: &str, paint: impl Fn(&str) -> String) -> String {
    let lines = item.lines().map(|line| ["    ", &paint(line)].concat());
    lines.collect::<Vec<_>>().join(&["\n", MARGIN].concat())
}

fn object(name: &str, members: &[String]) -> String {
    if members.is_empty() {
        return format!("    \"{name}\": {{}}");
    }
    format!("    \"{name}\": {{\n        {}\n    }}", members.join(",\n        "))
}

fn member(name: &str, value: &str) -> String {
    [&quoted(name), ": ", &quoted(value)].concat()
}

/// Returns the members of both objects in order of names.
fn changes(expected: &Pairs, got: &Pairs) -> Vec<String> {
    let mut all: BTreeMap<&str, (Option<&str>, Option<&str>)> = BTreeMap::new();
    for (name, value) in expected {
        all.entry(name).or_default().0 = Some(value);
    }
    for (name, value) in got {
        all.entry(name).or_default().1 = Some(value);
    }
    let shown = all.into_iter().map(|(name, values)| match values {
        (Some(a), Some(b)) if a != b => [&quoted(name), ": ", YELLOW, &quoted(a), " => ", &quoted(b), END].concat(),
        (Some(value), None) => [RED, &member(name, value), END].concat(),
        (None, Some(value)) => [GREEN, &member(name, value), END].concat(),
        (Some(value), _) => member(name, value),
        (None, None) => String::new(),
    });
    shown.collect()
}
