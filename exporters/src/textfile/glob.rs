//! Directory patterns, as Go's `filepath.Glob` reads them: `*`, `?` and `[a-z]` within one part of a path.
//!
//! Only existing directories come out, sorted. A broken pattern (`[` without an end) matches nothing, and the
//! caller then takes it for the name of a directory. This allocates at each collection; plain names do not come here.

use std::path::Path;

use crate::host::Names;

/// Returns whether a path is a pattern.
pub(super) fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// Returns the shortest path equal to this one, as Go's `filepath.Clean`; empty stays empty.
pub(super) fn clean(path: &str) -> String {
    if path.is_empty() {
        return String::new();
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if !root.is_empty() => {}
            part => parts.push(part),
        }
    }
    match [root, &parts.join("/")].concat() {
        cleaned if cleaned.is_empty() => ".".to_owned(),
        cleaned => cleaned,
    }
}

/// Returns the directories a pattern stands for.
pub(super) fn expand(pattern: &str) -> Vec<String> {
    let (root, pattern) = pattern.strip_prefix('/').map_or(("", pattern), |rest| ("/", rest));
    let mut found = vec![root.to_owned()];
    for part in pattern.split('/') {
        let mut next = Vec::new();
        for base in &found {
            let join = |name: &str| match base.as_str() {
                "" | "/" => [base, name].concat(),
                base => [base, "/", name].concat(),
            };
            if !is_pattern(part) {
                next.extend(Some(join(part)).filter(|path| Path::new(path).exists()));
                continue;
            }
            let mut names = Names::default();
            if names.list(Path::new(if base.is_empty() { "." } else { base }), &[]).is_ok() {
                next.extend(names.iter().filter(|name| matches(part.as_bytes(), name.as_bytes())).map(join));
            }
        }
        found = next;
    }
    found
}

/// Returns whether a name matches a pattern of one part.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=name.len()).any(|skipped| matches(rest, &name[skipped..])),
        ([b'?', rest @ ..], [_, name @ ..]) => matches(rest, name),
        ([b'[', rest @ ..], [first, name @ ..]) => {
            let Some(end) = rest.iter().skip(1).position(|b| *b == b']').map(|end| end + 1) else { return false };
            let (set, is_negated) = match &rest[..end] {
                [b'^', set @ ..] => (set, true),
                set => (set, false),
            };
            in_set(set, *first) != is_negated && matches(&rest[end + 1..], name)
        }
        ([b'\\', literal, rest @ ..], [first, name @ ..]) => literal == first && matches(rest, name),
        ([literal, rest @ ..], [first, name @ ..]) => literal == first && matches(rest, name),
        _ => false,
    }
}

fn in_set(mut set: &[u8], byte: u8) -> bool {
    loop {
        match set {
            [] => return false,
            [low, b'-', high, rest @ ..] => {
                if (*low..=*high).contains(&byte) {
                    return true;
                }
                set = rest;
            }
            [one, rest @ ..] => {
                if *one == byte {
                    return true;
                }
                set = rest;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_go_does() {
        for (path, cleaned) in [
            ("", ""),
            ("a//b/./c/", "a/b/c"),
            ("./a", "a"),
            ("a/..", "."),
            ("/../a", "/a"),
            ("../a", "../a"),
            ("/", "/"),
        ] {
            assert_eq!(clean(path), cleaned);
        }
    }

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, expected) in [
            ("*", "abc", true),
            ("*_dim*", "x_dimension", true),
            ("a?c", "abc", true),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[ab", "a", false),
            ("a*", "ba", false),
            ("\\*", "*", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} on {name}");
        }
    }
}
