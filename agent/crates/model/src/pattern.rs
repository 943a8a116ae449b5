//! Regular expressions as Prometheus means them: RE2 syntax, anchored at both ends, the dot matches a newline.
//!
//! Most patterns in the wild are a literal, a list of literals, a prefix or `.+`, so these are matched without an
//! engine at all. The rest goes to regex-lite (70 KiB; the full crate is 617 KiB and a cargo feature). What regex-lite
//! cannot do (`\p{..}`) is refused by name. Selectors, routes and relabelling all come here; which engine it is knows
//! `engine` alone.

use std::fmt;
use std::sync::Arc;

use crate::engine::{Regex, compile, escape};
use crate::limits::PATTERN_BYTES_MAX;

/// A compiled, anchored pattern.
#[derive(Clone)]
pub struct Pattern {
    text: Arc<str>,
    kind: Arc<Kind>,
}

enum Kind {
    /// `.*`
    Anything,
    /// `.+`
    Something,
    /// `a|b|c`, all literal; a single literal is a list of one.
    AnyOf(Vec<String>),
    /// `abc.*` and `abc.+`: the prefix and how many bytes must follow it at least.
    Prefix(String, usize),
    /// `.*abc` and `.+abc`.
    Suffix(String, usize),
    /// `.*abc.*`
    Contains(String),
    Engine(Regex),
}

/// A pattern that is not RE2 or is not supported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternError {
    /// The pattern's text.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pattern {:?}: {}", self.pattern, self.reason)
    }
}

impl std::error::Error for PatternError {}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// When it is longer than `PATTERN_BYTES_MAX`, is not a regular expression, or uses a Unicode class.
    pub fn new(text: &str) -> Result<Pattern, PatternError> {
        let fail = |reason: String| PatternError { pattern: text.to_owned(), reason };
        if text.len() > PATTERN_BYTES_MAX {
            return Err(fail(format!("{} bytes, at most {PATTERN_BYTES_MAX} are accepted", text.len())));
        }
        let kind = match plain(text) {
            Some(kind) => kind,
            None => Kind::Engine(engine(text).map_err(fail)?),
        };
        Ok(Pattern { text: Arc::from(text), kind: Arc::new(kind) })
    }

    /// Returns whether the whole value matches.
    pub fn is_match(&self, value: &str) -> bool {
        match &*self.kind {
            Kind::Anything => true,
            Kind::Something => !value.is_empty(),
            Kind::AnyOf(list) => list.iter().any(|literal| literal == value),
            Kind::Prefix(prefix, more) => value.starts_with(prefix.as_str()) && value.len() >= prefix.len() + more,
            Kind::Suffix(suffix, more) => value.ends_with(suffix.as_str()) && value.len() >= suffix.len() + more,
            Kind::Contains(part) => value.contains(part.as_str()),
            Kind::Engine(regex) => regex.is_match(value),
        }
    }

    /// Returns what [`Pattern::is_match`] does, and keeps none of the memory that an engine takes for it: up to 100 KB
    /// for the patterns of collectors. For whoever asks rarely, and remembers the answer.
    pub fn is_match_once(&self, value: &str) -> bool {
        match &*self.kind {
            // A copy shares the program, and brings its own memory to run it.
            Kind::Engine(regex) => regex.clone().is_match(value),
            _ => self.is_match(value),
        }
    }

    /// Returns the values that match when these are a known, finite list: an index can look them up.
    pub fn literals(&self) -> Option<&[String]> {
        match &*self.kind {
            Kind::AnyOf(list) => Some(list),
            _ => None,
        }
    }

    /// Returns the text between the anchors for replacing with capture groups (`label_replace`, relabelling).
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the pattern compiled for capture groups, anchored as this one is.
    ///
    /// # Errors
    /// As [`Pattern::new`]; for a pattern that exists this happens only where the engine's size limit is met.
    pub fn captures(&self) -> Result<Regex, PatternError> {
        engine(&self.text).map_err(|reason| PatternError { pattern: self.text.to_string(), reason })
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.text)
    }
}

fn engine(text: &str) -> Result<Regex, String> {
    if let Some(complaint) = crate::re2::complaint(text) {
        return Err(complaint);
    }
    compile(&format!("^(?s:{})$", unquote(text)))
}

/// Rewrites RE2's `\Q...\E` quoting, which the engine does not know, into escaped characters.
fn unquote(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = find_quote(rest) {
        out.push_str(&rest[..at]);
        let quoted = &rest[at + 2..];
        let (inside, after) = match quoted.find("\\E") {
            Some(end) => (&quoted[..end], &quoted[end + 2..]),
            None => (quoted, ""),
        };
        out.push_str(&escape(inside));
        rest = after;
    }
    out + rest
}

/// Finds `\Q` that is not itself escaped.
fn find_quote(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at + 1 < bytes.len() {
        match (bytes[at], bytes[at + 1]) {
            (b'\\', b'Q') => return Some(at),
            (b'\\', _) => at += 2,
            _ => at += 1,
        }
    }
    None
}

/// Recognises the shapes that need no engine.
fn plain(text: &str) -> Option<Kind> {
    match text {
        ".*" => return Some(Kind::Anything),
        ".+" => return Some(Kind::Something),
        _ => {}
    }
    let (head, text) = strip_wild_front(text);
    let (text, tail) = strip_wild_back(text);
    match (head, tail) {
        (None, None) => {
            let list: Option<Vec<String>> = split_alternatives(text)?.into_iter().map(literal).collect();
            Some(Kind::AnyOf(list?))
        }
        (None, Some(more)) => Some(Kind::Prefix(literal(text)?, more)),
        (Some(more), None) => Some(Kind::Suffix(literal(text)?, more)),
        (Some(0), Some(0)) => Some(Kind::Contains(literal(text)?)),
        _ => None,
    }
}

fn strip_wild_front(text: &str) -> (Option<usize>, &str) {
    match (text.strip_prefix(".*"), text.strip_prefix(".+")) {
        (Some(rest), _) => (Some(0), rest),
        (_, Some(rest)) => (Some(1), rest),
        _ => (None, text),
    }
}

fn strip_wild_back(text: &str) -> (&str, Option<usize>) {
    let escaped = |rest: &str| rest.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1;
    match (text.strip_suffix(".*"), text.strip_suffix(".+")) {
        (Some(rest), _) if !escaped(rest) => (rest, Some(0)),
        (_, Some(rest)) if !escaped(rest) => (rest, Some(1)),
        _ => (text, None),
    }
}

/// Splits at `|`; one group around the whole is taken off. `None` where alternatives are nested or escaped oddly.
fn split_alternatives(text: &str) -> Option<Vec<&str>> {
    let inner = text.strip_prefix("(?:").or_else(|| text.strip_prefix('('));
    let text = match inner.and_then(|rest| rest.strip_suffix(')')) {
        Some(rest) if !rest.contains(['(', ')']) => rest,
        _ => text,
    };
    (!text.contains("\\|")).then(|| text.split('|').collect())
}

/// Returns the text a pattern stands for when it is literal: no special character but escaped punctuation.
fn literal(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c) if c.is_ascii_punctuation() => out.push(c),
                _ => return None,
            },
            '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$' => return None,
            c => out.push(c),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every value must get the same answer with the shortcut and from the engine.
    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        let compiled = Pattern::new(pattern).expect("a good pattern");
        let engine = engine(pattern).expect("a good pattern");
        for (values, expected) in [(yes, true), (no, false)] {
            for value in values {
                assert_eq!(compiled.is_match(value), expected, "{pattern} on {value:?}");
                assert_eq!(compiled.is_match_once(value), expected, "once: {pattern} on {value:?}");
                assert_eq!(engine.is_match(value), expected, "engine: {pattern} on {value:?}");
            }
        }
    }

    #[test]
    fn patterns_are_anchored() {
        check("a", &["a"], &["", "aa", "ba"]);
        check("a|bc", &["a", "bc"], &["", "abc", "ac"]);
        check("(a|b)", &["a", "b"], &["(a|b)"]);
        check("(?:a|)", &["a", ""], &["b"]);
        check("a.c", &["abc", "a\nc"], &["ac"]);
    }

    #[test]
    fn wild_ends_match_newlines_too() {
        check(".*", &["", "a", "a\nb"], &[]);
        check(".+", &["a", "\n"], &[""]);
        check("ab.*", &["ab", "abc", "ab\n"], &["a", "xab"]);
        check("ab.+", &["abc"], &["ab", "xabc"]);
        check(".*ab", &["ab", "xab"], &["abx"]);
        check(".+ab", &["xab"], &["ab"]);
        check(".*ab.*", &["ab", "xaby"], &["a"]);
        check("a\\.*", &["a", "a.", "a.."], &["ab"]);
        check("a\\\\.*", &["a\\", "a\\b"], &["a", "ab"]);
    }

    #[test]
    fn escaped_punctuation_is_literal() {
        check("10\\.0\\.0\\.1", &["10.0.0.1"], &["10a0b0c1"]);
        check("a\\|b", &["a|b"], &["a", "b"]);
        check("\\Qa.b\\E+", &["a.b", "a.bbb"], &["axb"]);
        check("\\d+", &["12"], &["", "1a"]);
    }

    #[test]
    fn literal_lists_can_be_looked_up() {
        let pattern = Pattern::new("idle|iowait").expect("good");
        assert_eq!(pattern.literals(), Some(&["idle".to_owned(), "iowait".to_owned()][..]));
        assert_eq!(Pattern::new("i.*").expect("good").literals(), None);
    }

    #[test]
    fn bad_patterns_are_refused_with_their_text() {
        for bad in ["(", "a{", "[", "*"] {
            if let Ok(pattern) = Pattern::new(bad) {
                assert_eq!(bad, "a{", "{pattern:?} was accepted");
            }
        }
        assert_eq!(Pattern::new("\\p{L}").is_ok(), cfg!(feature = "full-regex"));
        assert!(Pattern::new(&"x".repeat(PATTERN_BYTES_MAX + 1)).is_err());
    }
}
