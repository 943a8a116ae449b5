//! One rule, as it is written and as it is believed: the peer's defaults, and the peer's words for what is wrong.
//!
//! A [`Spec`] is what a file says. [`Rule::new`] checks what the action needs and what it does not take, compiles the
//! pattern, and keeps the spec, by which two rules are equal: a reload asks that. Nothing here touches labels.
//! The order of the checks is the peer's, because a rule with two faults is told the same one.

use std::fmt;

use model::Pattern;

use crate::expand::{has_variable, is_legacy_name};

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Sets the target label to the replacement where the pattern matches the source.
    Replace,
    /// Drops the whole where the pattern does not match.
    Keep,
    /// Drops the whole where the pattern matches.
    Drop,
    /// Drops the whole where source and target label differ.
    KeepEqual,
    /// Drops the whole where source and target label are equal.
    DropEqual,
    /// Sets the target label to the source's hash, modulo a number.
    HashMod,
    /// Copies labels whose name matches to the name that the replacement makes of it.
    LabelMap,
    /// Removes labels whose name matches.
    LabelDrop,
    /// Removes labels whose name does not match.
    LabelKeep,
    /// Sets the target label to the source in lower case.
    Lowercase,
    /// Sets the target label to the source in upper case.
    Uppercase,
}

const ACTIONS: [(&str, Action); 11] = [
    ("replace", Action::Replace),
    ("keep", Action::Keep),
    ("drop", Action::Drop),
    ("keepequal", Action::KeepEqual),
    ("dropequal", Action::DropEqual),
    ("hashmod", Action::HashMod),
    ("labelmap", Action::LabelMap),
    ("labeldrop", Action::LabelDrop),
    ("labelkeep", Action::LabelKeep),
    ("lowercase", Action::Lowercase),
    ("uppercase", Action::Uppercase),
];

impl Action {
    /// Returns the action of this name, in any case.
    pub fn parse(name: &str) -> Option<Action> {
        ACTIONS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, action)| *action)
    }

    /// Returns the name.
    pub fn as_str(self) -> &'static str {
        ACTIONS.iter().find(|(_, action)| *action == self).map_or("", |(name, _)| name)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which names labels may have (`metric_name_validation_scheme`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NameScheme {
    /// Any text that is not empty.
    #[default]
    Utf8,
    /// Letters, digits and underscores, no digit first.
    Legacy,
}

impl NameScheme {
    /// Returns whether a label may have this name.
    pub fn accepts(self, name: &str) -> bool {
        match self {
            NameScheme::Utf8 => !name.is_empty(),
            NameScheme::Legacy => is_legacy_name(name) && !has_variable(name),
        }
    }

    fn accepts_template(self, template: &str) -> bool {
        match self {
            NameScheme::Utf8 => !template.is_empty(),
            NameScheme::Legacy => is_legacy_name(template),
        }
    }
}

/// A rule as a file says it. The default is what is not said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Labels whose values, joined, are the source; `None` when not given.
    pub source_labels: Option<Vec<String>>,
    /// What joins them.
    pub separator: String,
    /// The pattern, without anchors; `None` when not given, which is `(.*)`.
    pub regex: Option<String>,
    /// For `hashmod`; 0 when not given.
    pub modulus: u64,
    /// The label that is set; empty when not given.
    pub target_label: String,
    /// What it is set to.
    pub replacement: String,
    /// `None` when it is given and empty.
    pub action: Option<Action>,
}

/// The replacement of a rule that gives none.
const REPLACEMENT: &str = "$1";
/// The separator of a rule that gives none.
const SEPARATOR: &str = ";";
/// The pattern of a rule that gives none.
pub(crate) const REGEX: &str = "(.*)";

impl Default for Spec {
    fn default() -> Spec {
        Spec {
            source_labels: None,
            separator: SEPARATOR.to_owned(),
            regex: None,
            modulus: 0,
            target_label: String::new(),
            replacement: REPLACEMENT.to_owned(),
            action: Some(Action::Replace),
        }
    }
}

/// A rule that can be run.
#[derive(Clone)]
pub struct Rule {
    pub(crate) spec: Spec,
    pub(crate) action: Action,
    pub(crate) pattern: Pattern,
    /// For actions that ask what groups caught.
    pub(crate) engine: Option<model::engine::Regex>,
    pub(crate) names: NameScheme,
}

impl Rule {
    /// Checks a rule and makes it ready to run.
    ///
    /// # Errors
    /// In the peer's words: what the action lacks or does not take, or what is wrong with the pattern.
    pub fn new(spec: Spec, names: NameScheme) -> Result<Rule, String> {
        let action = check(&spec, names)?;
        let text = spec.regex.as_deref().unwrap_or(REGEX);
        let pattern = Pattern::new(text).map_err(|error| error.to_string())?;
        let catches = matches!(action, Action::Replace | Action::LabelMap) && text != REGEX;
        let engine = catches.then(|| pattern.captures()).transpose().map_err(|error| error.to_string())?;
        Ok(Rule { spec, action, pattern, engine, names })
    }

    /// Returns what the rule does.
    pub fn action(&self) -> Action {
        self.action
    }

    /// Returns the rule as it was written.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Rule) -> bool {
        self.spec == other.spec && self.names == other.names
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.spec.fmt(f)
    }
}

fn check(spec: &Spec, names: NameScheme) -> Result<Action, String> {
    use Action::*;
    let Some(action) = spec.action else { return Err("relabel action cannot be empty".to_owned()) };
    let target = spec.target_label.as_str();
    let bad_target = || format!("{target:?} is invalid 'target_label' for {action} action");
    if action == HashMod && spec.modulus == 0 {
        return Err("relabel configuration for hashmod requires non-zero modulus".to_owned());
    }
    let sets = matches!(action, Replace | KeepEqual | DropEqual | HashMod | Lowercase | Uppercase);
    if sets && target.is_empty() {
        return Err(format!("relabel configuration for {action} action requires 'target_label' value"));
    }
    let is_template = action == Replace && has_variable(target);
    let is_named = if is_template { names.accepts_template(target) } else { names.accepts(target) };
    let takes_only_sources = matches!(action, Lowercase | Uppercase | KeepEqual | DropEqual);
    if (action == Replace || takes_only_sources) && !is_named {
        return Err(bad_target());
    }
    let replaced = spec.replacement != REPLACEMENT;
    if takes_only_sources && replaced {
        return Err(format!("'replacement' can not be set for {action} action"));
    }
    if action == LabelMap && !names.accepts_template(&spec.replacement) {
        return Err(format!("{:?} is invalid 'replacement' for {action} action", spec.replacement));
    }
    if action == HashMod && !is_named {
        return Err(bad_target());
    }
    let separated = spec.separator != SEPARATOR;
    if matches!(action, KeepEqual | DropEqual) && (spec.regex.is_some() || spec.modulus != 0 || separated) {
        return Err(format!("{action} action requires only 'source_labels' and `target_label`, and no other fields"));
    }
    let names_only = matches!(action, LabelDrop | LabelKeep);
    let sourced = spec.source_labels.is_some() || !target.is_empty();
    if names_only && (sourced || spec.modulus != 0 || separated || replaced) {
        return Err(format!("{action} action requires only 'regex', and no other fields"));
    }
    Ok(action)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(action: &str, target: &str) -> Spec {
        Spec { action: Action::parse(action), target_label: target.to_owned(), ..Spec::default() }
    }

    fn refused(spec: Spec, names: NameScheme) -> String {
        Rule::new(spec, names).expect_err("it is wrong")
    }

    #[test]
    fn what_an_action_lacks_is_said_in_the_peers_words() {
        for (given, expected) in [
            (Spec { action: None, ..Spec::default() }, "relabel action cannot be empty"),
            (spec("hashmod", "a"), "relabel configuration for hashmod requires non-zero modulus"),
            (spec("Replace", ""), "relabel configuration for replace action requires 'target_label' value"),
            (spec("uppercase", ""), "relabel configuration for uppercase action requires 'target_label' value"),
            (
                Spec { regex: Some("(.*)".to_owned()), ..spec("dropequal", "a") },
                "dropequal action requires only 'source_labels' and `target_label`, and no other fields",
            ),
            (
                Spec { source_labels: Some(Vec::new()), ..spec("labelkeep", "") },
                "labelkeep action requires only 'regex', and no other fields",
            ),
            (
                Spec { replacement: "x".to_owned(), ..spec("lowercase", "a") },
                "'replacement' can not be set for lowercase action",
            ),
            (
                Spec { replacement: String::new(), ..spec("labelmap", "") },
                "\"\" is invalid 'replacement' for labelmap action",
            ),
        ] {
            assert_eq!(refused(given, NameScheme::Utf8), expected);
        }
        assert!(refused(Spec { regex: Some("(".to_owned()), ..spec("keep", "") }, NameScheme::Utf8).contains('('));
    }

    #[test]
    fn old_names_are_asked_for_where_they_are_wanted() {
        assert!(Rule::new(spec("replace", "a.b"), NameScheme::Utf8).is_ok());
        for (action, target) in [("replace", "a.b"), ("replace", "a-$1"), ("lowercase", "1"), ("keepequal", "é")] {
            let said = refused(spec(action, target), NameScheme::Legacy);
            assert_eq!(said, format!("{target:?} is invalid 'target_label' for {action} action"));
        }
        assert!(Rule::new(spec("replace", "${1}_a"), NameScheme::Legacy).is_ok());
    }
}
