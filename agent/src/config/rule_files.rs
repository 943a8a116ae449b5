//! `rule_files`: which files rules are read from, with `*` in the last part of a path, as Prometheus has it.
//!
//! ```text
//! rule_files: [builtin:board, rules/*.yml]
//! ```
//! `builtin:board` is the set that comes with the binary, and what an absent key means: a board watches itself with
//! no file at all; `rule_files: []` turns that off. A pattern that matches nothing is a warning, a plain file that
//! is not there an error. The rules in the files are checked by `rules`.

use std::path::{Path, PathBuf};

use yaml::{Errors, Map, Node};

use super::limits::RULE_FILES_MAX;
use super::outside::Outside;
use super::raw::At;

/// Rule sets that come with the binary: the name after `builtin:`, and the text.
const BUILTIN: [(&str, &str); 1] = [("board", include_str!("../../../configs/rules/board.yml"))];

/// A rule file as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFile {
    /// The path, or `builtin:` and a name.
    pub name: String,
    /// The text.
    pub text: String,
}

/// Returns the files that are loaded when nothing is said.
pub(super) fn default_files() -> Vec<RuleFile> {
    BUILTIN.iter().map(|(name, text)| builtin_file(name, text)).collect()
}

fn builtin_file(name: &str, text: &str) -> RuleFile {
    RuleFile { name: ["builtin:", name].concat(), text: text.to_owned() }
}

/// The patterns, or `None` when the key is absent.
#[derive(Debug, Default)]
pub(super) struct RawRuleFiles {
    patterns: Option<Vec<At<String>>>,
}

impl RawRuleFiles {
    pub fn read(root: &mut Map, errors: &mut Errors) -> RawRuleFiles {
        let Some(node) = root.get("rule_files") else { return RawRuleFiles::default() };
        let text = |node: Node, errors: &mut Errors| Some(At { value: node.str(errors)?, node });
        RawRuleFiles { patterns: Some(node.list(errors).into_iter().filter_map(|item| text(item, errors)).collect()) }
    }

    pub fn believe(self, base: &Path, outside: &Outside, errors: &mut Errors, warnings: &mut Errors) -> Vec<RuleFile> {
        let Some(patterns) = self.patterns else { return default_files() };
        let mut files: Vec<RuleFile> = Vec::new();
        for at in &patterns {
            for file in expand(at, base, outside, errors, warnings) {
                if files.iter().any(|other| other.name == file.name) {
                    continue;
                }
                if files.len() == RULE_FILES_MAX {
                    let limit = ["at most ", &RULE_FILES_MAX.to_string()].concat();
                    at.complain("there are too many rule files", limit, errors);
                    return files;
                }
                files.push(file);
            }
        }
        files
    }
}

/// Returns the files that one entry stands for.
fn expand(
    at: &At<String>,
    base: &Path,
    outside: &Outside,
    errors: &mut Errors,
    warnings: &mut Errors,
) -> Vec<RuleFile> {
    if let Some(name) = at.value.strip_prefix("builtin:") {
        let found = BUILTIN.iter().find(|(known, _)| *known == name);
        if found.is_none() {
            at.complain(["there is no built-in rule set ", name].concat(), BUILTIN[0].0, errors);
        }
        return found.map(|(name, text)| builtin_file(name, text)).into_iter().collect();
    }
    let files = expand_files(at, "rule", base, outside, errors, warnings);
    files.into_iter().map(|(path, text)| RuleFile { name: path.to_string_lossy().into_owned(), text }).collect()
}

/// Returns the files that a path or pattern stands for, with their texts; `kind` names them in a message.
///
/// A rule file that cannot be read is an error: somebody relies on it. Of other files it is a warning, as with the
/// peer, to whom each path is a pattern that may match nothing.
pub(super) fn expand_files(
    at: &At<String>,
    kind: &str,
    base: &Path,
    outside: &Outside,
    errors: &mut Errors,
    warnings: &mut Errors,
) -> Vec<(PathBuf, String)> {
    let (directory, last) = at.value.rsplit_once('/').unwrap_or(("", &at.value));
    if at.value.is_empty() || directory.contains(['*', '?', '[']) {
        let what = ["invalid ", kind, " file path \"", &at.value, "\""].concat();
        at.complain(what, "a path with * only in its last part", errors);
        return Vec::new();
    }
    let paths = if last.contains(['*', '?', '[']) {
        matching(at, &base.join(directory), last, outside, warnings)
    } else {
        vec![base.join(&at.value)]
    };
    let faults = if kind == "rule" { errors } else { warnings };
    paths.into_iter().filter_map(|path| read(at, path, outside, faults)).collect()
}

fn matching(
    at: &At<String>,
    directory: &Path,
    pattern: &str,
    outside: &Outside,
    warnings: &mut Errors,
) -> Vec<PathBuf> {
    let mut names = (outside.list)(directory).unwrap_or_default();
    names.retain(|name| matches(pattern, name));
    names.sort_unstable();
    if names.is_empty() {
        warnings.push(at.node.error(["no file matches ", &at.value].concat(), ""));
    }
    names.iter().map(|name| directory.join(name)).collect()
}

fn read(at: &At<String>, path: PathBuf, outside: &Outside, errors: &mut Errors) -> Option<(PathBuf, String)> {
    match (outside.read)(&path) {
        Ok(text) => Some((path, text)),
        Err(error) => {
            let what = ["reading ", &path.to_string_lossy(), ": ", &error.to_string()].concat();
            at.complain(what, "a file that can be read", errors);
            None
        }
    }
}

/// Matches a name against `*`, `?` and `[a-z]`, going back only to the last `*`: no pattern takes long.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n, mut back) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                back = Some((p, n));
                p += 1;
            }
            _ => match (one(&pattern[p..], name[n]), back) {
                (Some(width), _) => (p, n) = (p + width, n + 1),
                (None, Some((star, from))) => {
                    back = Some((star, from + 1));
                    (p, n) = (star + 1, from + 1);
                }
                (None, None) => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Returns how much of the pattern the character uses up, when it is accepted.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match pattern.first()? {
        '?' => Some(1),
        '\\' => (pattern.get(1) == Some(&c)).then_some(2),
        '[' => {
            let negated = usize::from(pattern.get(1) == Some(&'^'));
            let end = pattern.iter().skip(2 + negated).position(|p| *p == ']')? + 2 + negated;
            let set = &pattern[1 + negated..end];
            let ranged = set.windows(3).any(|range| range[1] == '-' && (range[0]..=range[2]).contains(&c));
            ((set.contains(&c) || ranged) != (negated == 1)).then_some(end + 1)
        }
        other => (*other == c).then_some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_a_shell() {
        for (pattern, name, expected) in [
            ("*.yml", "a.yml", true),
            ("*.yml", "a.yaml", false),
            ("*", "", true),
            ("a*b*c", "axbxbxc", true),
            ("a*b*c", "axbxbx", false),
            ("?.yml", "a.yml", true),
            ("?.yml", ".yml", false),
            ("[a-c]x", "bx", true),
            ("[a-c]x", "dx", false),
            ("[^a-c]x", "dx", true),
            ("[ab", "a", false),
            ("\\*", "*", true),
            ("é*", "éa", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
        let (pattern, name) = ("*a".repeat(2_000), "a".repeat(5_000) + "b");
        assert!(!matches(&pattern, &name));
    }
}
