//! One label matcher: `job="node"`, `mode!="idle"`, `device=~"sd.*"`, `fstype!~"tmpfs|ramfs"`.
//!
//! A matcher is believed: its pattern was compiled when it was made, so matching cannot fail. A label that is
//! absent matches as the empty string, as everywhere in Prometheus. Selectors, `match[]`, routes and silences all
//! use this one type.

use std::fmt;

use crate::labels::{Escaped, Labels};
use crate::pattern::{Pattern, PatternError};

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

impl MatchOp {
    /// Returns the operator as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Regex => "=~",
            MatchOp::NotRegex => "!~",
        }
    }
}

/// A label matcher whose pattern, if it has one, is compiled.
#[derive(Debug, Clone)]
pub struct Matcher {
    /// The label's name.
    pub name: String,
    /// How it compares.
    pub op: MatchOp,
    /// The value or the pattern's text.
    pub value: String,
    pattern: Option<Pattern>,
}

impl Matcher {
    /// Returns a matcher.
    ///
    /// # Errors
    /// When the operator takes a pattern and the value is not one.
    pub fn new(name: &str, op: MatchOp, value: &str) -> Result<Matcher, PatternError> {
        let pattern = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(Pattern::new(value)?),
        };
        Ok(Matcher { name: name.to_owned(), op, value: value.to_owned(), pattern })
    }

    /// Returns an equality matcher, which cannot fail.
    pub fn equal(name: &str, value: &str) -> Matcher {
        Matcher { name: name.to_owned(), op: MatchOp::Equal, value: value.to_owned(), pattern: None }
    }

    /// Returns whether this value of the label matches; an absent label is the empty string.
    pub fn matches(&self, value: &str) -> bool {
        match (self.op, &self.pattern) {
            (MatchOp::NotEqual, _) => value != self.value,
            (MatchOp::Regex, Some(pattern)) => pattern.is_match(value),
            (MatchOp::NotRegex, Some(pattern)) => !pattern.is_match(value),
            _ => value == self.value,
        }
    }

    /// Returns whether a label set's label matches.
    pub fn matches_labels(&self, labels: &Labels) -> bool {
        match self.pattern {
            Some(_) => self.matches(labels.get(&self.name).unwrap_or("")),
            None => {
                let is_same = labels.get_bytes(&self.name).unwrap_or_default() == self.value.as_bytes();
                is_same == (self.op != MatchOp::NotEqual)
            }
        }
    }

    /// Returns whether the matcher accepts series that do not have the label at all.
    pub fn matches_empty(&self) -> bool {
        self.matches("")
    }

    /// Returns the compiled pattern of `=~` and `!~`.
    pub fn pattern(&self) -> Option<&Pattern> {
        self.pattern.as_ref()
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Matcher) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl Eq for Matcher {}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}\"{}\"", self.name, self.op.as_str(), Escaped(&self.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(op: MatchOp, value: &str, yes: &[&str], no: &[&str]) {
        let matcher = Matcher::new("l", op, value).expect("a good pattern");
        // An empty value is an absent label.
        let labels = |text: &str| Labels::from_pairs([("a", "b"), ("l", text), ("m", "n")]);
        for text in yes {
            assert!(matcher.matches(text) && matcher.matches_labels(&labels(text)), "{matcher} should match {text:?}");
        }
        for text in no {
            assert!(!matcher.matches(text) && !matcher.matches_labels(&labels(text)), "{matcher} not {text:?}");
        }
    }

    #[test]
    fn each_operator_compares_as_it_is_read() {
        check(MatchOp::Equal, "a", &["a"], &["", "b"]);
        check(MatchOp::NotEqual, "a", &["", "b"], &["a"]);
        check(MatchOp::Regex, "a|b.*", &["a", "b", "bc"], &["", "ac", "xa"]);
        check(MatchOp::NotRegex, "a|b.*", &["", "ac", "xa"], &["a", "b", "bc"]);
    }

    #[test]
    fn the_empty_string_stands_for_an_absent_label() {
        let labels = Labels::from_pairs([("a", "1")]);
        assert!(Matcher::equal("b", "").matches_labels(&labels));
        assert!(Matcher::new("b", MatchOp::Regex, ".*").expect("good").matches_labels(&labels));
        assert!(!Matcher::new("b", MatchOp::Regex, ".+").expect("good").matches_labels(&labels));
    }
}
