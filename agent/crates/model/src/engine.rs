//! The regular expression engine: the small one, or with the cargo feature `full-regex` the one that knows Unicode's
//! classes (`\p{L}`), for 0.55 MB.
//!
//! Both speak RE2's syntax, and neither ever takes more than linear time. What RE2 means by `\d`, `\s`, `\w` and `\b`
//! is ASCII's; the full engine is told so, class by class, because it must be asked for Unicode as a whole.

#[cfg(not(feature = "full-regex"))]
pub use regex_lite::{Regex, escape};

#[cfg(feature = "full-regex")]
pub use regex::{Regex, escape};

/// Compiles a regular expression that may match anywhere in a text.
///
/// # Errors
/// What is wrong with it; of what only the full engine knows, how to get that.
#[cfg(not(feature = "full-regex"))]
pub fn compile(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| match text.contains("\\p") || text.contains("\\P") {
        true => format!("{error} (Unicode classes such as \\p{{L}} need a build with the cargo feature full-regex)"),
        false => error.to_string(),
    })
}

/// Compiles a regular expression that may match anywhere in a text.
///
/// # Errors
/// What is wrong with it.
#[cfg(feature = "full-regex")]
pub fn compile(text: &str) -> Result<Regex, String> {
    // The engine's own message shows the pattern on lines of its own.
    Regex::new(&with_ascii_classes(text)).map_err(|error| match error {
        regex::Error::Syntax(shown) => {
            shown.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
        }
        other => other.to_string(),
    })
}

/// Spells out what `\d`, `\s`, `\w` and `\b` mean in ASCII.
#[cfg(feature = "full-regex")]
fn with_ascii_classes(text: &str) -> String {
    const CLASSES: [(char, &str); 3] = [('d', "0-9"), ('s', "\\t\\n\\x0c\\r "), ('w', "0-9A-Za-z_")];
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        let Some(escaped) = letters.next() else {
            out.push('\\');
            break;
        };
        match CLASSES.iter().find(|(class, _)| *class == escaped.to_ascii_lowercase()) {
            // A class within a class is one of its members.
            Some((class, members)) => {
                out.extend([if *class == escaped { "[" } else { "[^" }, members, "]"]);
            }
            None if matches!(escaped, 'b' | 'B') => out.extend(["(?-u:\\", if escaped == 'b' { "b)" } else { "B)" }]),
            None => out.extend(['\\', escaped]),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_those_of_ascii() {
        for (pattern, yes, no) in [
            ("^\\d+$", "12", "١٢"),
            ("^\\w+$", "a_1", "é"),
            ("^\\W$", "é", "e"),
            ("^[\\w.-]+$", "a.b-c", "a é"),
            ("^[^\\s]$", "x", " "),
            ("^\\S$", "\u{a0}", "\t"),
            ("a\\b.", "a-", "ab"),
            ("^\\\\d$", "\\d", "\\1"),
            ("(?i)^straße$", "STRAßE", "x"),
        ] {
            let regex = compile(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
            assert!(regex.is_match(yes) && !regex.is_match(no), "{pattern}");
        }
        assert!(compile("(").is_err_and(|error| !error.is_empty() && !error.contains('\n')));
    }

    #[test]
    #[cfg(feature = "full-regex")]
    fn unicode_classes_are_known() {
        let regex = compile("^\\p{Greek}+\\PL$").expect("known");
        assert!(regex.is_match("αβ1") && !regex.is_match("ab1") && !regex.is_match("αβγ"));
    }

    #[test]
    #[cfg(not(feature = "full-regex"))]
    fn unicode_classes_are_refused_by_name() {
        let error = compile("\\p{Greek}").expect_err("not known");
        assert!(error.contains("need a build with the cargo feature full-regex"), "{error}");
    }
}
