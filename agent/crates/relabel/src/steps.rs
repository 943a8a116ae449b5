//! Running rules over a label set.
//!
//! Rules run in their order, each on what the one before left; the first that drops ends it. A label that is absent
//! is an empty text, and a label set to an empty text is removed. The builder keeps labels in the order in which the
//! peer's would visit them, which decides between two labels that a `labelmap` gives one name.

use model::{Labels, LabelsBuilder};

use crate::case;
use crate::expand::{expand, has_variable};
use crate::md5;
use crate::rule::{Action, Rule};

/// What became of a label set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on, as the rules left it.
    Keep,
    /// A rule dropped it.
    Drop,
    /// A rule made a label that is longer than can be held; nothing more can be said of the set.
    TooLong,
}

/// Runs rules over a label set that is being built.
pub fn apply(rules: &[Rule], labels: &mut LabelsBuilder) -> Verdict {
    let verdicts = rules.iter().map(|rule| step(rule, labels));
    verdicts.into_iter().find(|verdict| *verdict != Verdict::Keep).unwrap_or(Verdict::Keep)
}

/// Runs rules over a finished label set; `None` when it is dropped or cannot be held.
pub fn relabel(rules: &[Rule], labels: &Labels) -> Option<Labels> {
    if rules.is_empty() {
        return Some(labels.clone());
    }
    let mut builder = LabelsBuilder::from(labels);
    (apply(rules, &mut builder) == Verdict::Keep).then(|| builder.finish())
}

fn step(rule: &Rule, labels: &mut LabelsBuilder) -> Verdict {
    let source = source_of(rule, labels);
    let target = rule.spec.target_label.as_str();
    match rule.action {
        Action::Keep => kept(rule.pattern.is_match(&source)),
        Action::Drop => kept(!rule.pattern.is_match(&source)),
        Action::KeepEqual => kept(labels.get(target).unwrap_or("") == source),
        Action::DropEqual => kept(labels.get(target).unwrap_or("") != source),
        Action::Replace => replace(rule, &source, labels),
        Action::HashMod => {
            // A rule without a modulus is refused when it is made.
            let number = md5::last_eight(source.as_bytes()) % rule.spec.modulus.max(1);
            set(labels, target, &number.to_string())
        }
        Action::Lowercase | Action::Uppercase => {
            let mut value = String::with_capacity(source.len());
            match rule.action {
                Action::Lowercase => case::lower(&source, &mut value),
                _ => case::upper(&source, &mut value),
            }
            set(labels, target, &value)
        }
        Action::LabelMap => label_map(rule, labels),
        Action::LabelDrop => retain(labels, |name| !rule.pattern.is_match(name)),
        Action::LabelKeep => retain(labels, |name| rule.pattern.is_match(name)),
    }
}

fn kept(is_kept: bool) -> Verdict {
    if is_kept { Verdict::Keep } else { Verdict::Drop }
}

fn set(labels: &mut LabelsBuilder, name: &str, value: &str) -> Verdict {
    match labels.set(name, value) {
        Ok(_) => Verdict::Keep,
        Err(_) => Verdict::TooLong,
    }
}

/// Returns the values of the source labels, joined.
fn source_of(rule: &Rule, labels: &LabelsBuilder) -> String {
    let mut source = String::new();
    for (index, name) in rule.spec.source_labels.iter().flatten().enumerate() {
        if index > 0 {
            source.push_str(&rule.spec.separator);
        }
        source.push_str(labels.get(name).unwrap_or(""));
    }
    source
}

fn replace(rule: &Rule, source: &str, labels: &mut LabelsBuilder) -> Verdict {
    let spec = &rule.spec;
    let (mut target, mut value) = (String::new(), String::new());
    match expand_both(rule, source, &spec.target_label, &mut target) {
        true => expand_both(rule, source, &spec.replacement, &mut value),
        false => return Verdict::Keep,
    };
    if !rule.names.accepts(&target) {
        return Verdict::Keep;
    }
    set(labels, &target, &value)
}

/// Appends a template with what the pattern's groups caught in a text; `false` when it does not match.
fn expand_both(rule: &Rule, text: &str, template: &str, out: &mut String) -> bool {
    let Some(engine) = &rule.engine else {
        // The pattern that is meant when none is given: one group, which is the whole.
        expand(template, |name| matches!(name, "0" | "1").then_some(text), out);
        return true;
    };
    let plain = !has_variable(template);
    if plain && rule.pattern.is_match(text) {
        out.push_str(template);
        return true;
    }
    let Some(found) = (!plain).then(|| engine.captures(text)).flatten() else { return false };
    let is_number = |name: &str| !name.starts_with('0') || name == "0";
    let group = |name: &str| match name.parse::<usize>() {
        Ok(number) => is_number(name).then(|| found.get(number)).flatten(),
        Err(_) => found.name(name),
    };
    expand(template, |name| group(name).map(|part| part.as_str()), out);
    true
}

fn label_map(rule: &Rule, labels: &mut LabelsBuilder) -> Verdict {
    let mut renamed = Vec::new();
    for (name, value) in labels.iter().filter(|(name, _)| rule.pattern.is_match(name)) {
        let mut other = String::new();
        expand_both(rule, name, &rule.spec.replacement, &mut other);
        renamed.push((other, value.to_owned()));
    }
    let verdicts = renamed.iter().map(|(name, value)| set(labels, name, value));
    verdicts.into_iter().find(|verdict| *verdict != Verdict::Keep).unwrap_or(Verdict::Keep)
}

fn retain(labels: &mut LabelsBuilder, keep: impl Fn(&str) -> bool) -> Verdict {
    let gone: Vec<String> = labels.iter().filter(|(name, _)| !keep(name)).map(|(name, _)| name.to_owned()).collect();
    gone.iter().for_each(|name| _ = labels.remove(name));
    Verdict::Keep
}

#[cfg(test)]
mod tests;
