//! Templates: `$1`, `${1}`, `$name` and `${name}` replaced by what a pattern's groups caught, as Go's `Expand` does.
//!
//! A bare name is as long as it can be, so `$1x` is the group `1x`, which there is not: nothing. `$$` is a dollar, and
//! a dollar that begins no name stands for itself.

/// One piece of a template.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    Group(&'a str),
}

/// Returns whether a template has a variable.
pub(crate) fn has_variable(template: &str) -> bool {
    template.contains('$')
}

/// Appends a template to `out`, its variables replaced by what `group` returns for their names.
pub(crate) fn expand<'a>(template: &str, group: impl Fn(&str) -> Option<&'a str>, out: &mut String) {
    let mut rest = template;
    while let Some((piece, after)) = next(rest) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Group(name) => out.push_str(group(name).unwrap_or("")),
        }
        rest = after;
    }
}

/// Returns whether a template makes a label's name of the old kind whatever plain text its variables stand for:
/// letters, underscores and variables, digits not at the front.
pub(crate) fn is_legacy_name(template: &str) -> bool {
    let (mut rest, mut is_first) = (template, true);
    while let Some((piece, after)) = next(rest) {
        match piece {
            Piece::Text(text) => {
                let digit_first = is_first && text.starts_with(|c: char| c.is_ascii_digit());
                if digit_first || !text.chars().all(is_word) {
                    return false;
                }
            }
            Piece::Group(_) => {}
        }
        (rest, is_first) = (after, false);
    }
    !is_first
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Returns the first piece of a template and what follows it; `None` at the end.
fn next(template: &str) -> Option<(Piece<'_>, &str)> {
    let (before, after) = match template.find('$') {
        None if template.is_empty() => return None,
        None => return Some((Piece::Text(template), "")),
        Some(0) => ("", &template[1..]),
        Some(at) => return Some((Piece::Text(&template[..at]), &template[at..])),
    };
    debug_assert!(before.is_empty());
    if let Some(rest) = after.strip_prefix('$') {
        return Some((Piece::Text("$"), rest));
    }
    let (name, rest) = match after.strip_prefix('{') {
        Some(inner) => match inner.split_once('}') {
            Some(found) => found,
            None => return Some((Piece::Text("$"), after)),
        },
        None => after.split_at(after.find(|c| !is_name(c)).unwrap_or(after.len())),
    };
    match name.is_empty() || !name.chars().all(is_name) {
        true => Some((Piece::Text("$"), after)),
        false => Some((Piece::Group(name), rest)),
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_as_go_does() {
        let group = |name: &str| match name {
            "0" => Some("whole"),
            "1" => Some("one"),
            "name" => Some("N"),
            _ => None,
        };
        for (template, expected) in [
            ("plain", "plain"),
            ("$1", "one"),
            ("a-$1-b", "a-one-b"),
            ("${1}x", "onex"),
            ("$1x", ""),
            ("$1-x", "one-x"),
            ("${name}$0", "Nwhole"),
            ("$2", ""),
            ("$$1", "$1"),
            ("$", "$"),
            ("a$", "a$"),
            ("$ x", "$ x"),
            ("${1", "${1"),
            ("${}", "${}"),
            ("${a-b}", "${a-b}"),
            ("é$1é", "é"),
            ("é${1}é", "éoneé"),
        ] {
            let mut out = String::new();
            expand(template, group, &mut out);
            assert_eq!(out, expected, "{template}");
        }
    }

    #[test]
    fn templates_of_old_names_are_recognised() {
        for good in ["a", "_a1", "$1", "${1}", "${foo}_bar", "a$1b", "$1$2", "$11", "${1}1"] {
            assert!(is_legacy_name(good), "{good}");
        }
        for bad in ["", "1a", "a-b", "$", "a$", "${1", "a.$1", "${a-b}", "$$"] {
            assert!(!is_legacy_name(bad), "{bad}");
        }
    }
}
