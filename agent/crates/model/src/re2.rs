//! What RE2 refuses in a regular expression, in Go's words: `missing closing ): ...`.
//!
//! The engine takes some patterns that RE2 does not (`a**`, `a{1001}`) and says other things of those that neither takes.
//! So patterns are looked over here first. Not judged, but left to the engine: ranges in classes, names of groups and
//! classes, and how large nested repetitions become.

/// The most repetitions that may be asked for.
const REPEATS_MAX: u32 = 1_000;

/// Returns what is wrong with a pattern; `None` where nothing was found.
pub(crate) fn complaint(text: &str) -> Option<String> {
    let fail = |what: &str, from: usize, to: usize| Some(format!("{what}: `{}`", text.get(from..to).unwrap_or(text)));
    let bytes = text.as_bytes();
    let (mut at, mut depth, mut can_repeat, mut last_repeat) = (0, 0, false, None);
    while let Some(byte) = bytes.get(at) {
        let (start, repeated) = (at, last_repeat.take());
        at += 1;
        match byte {
            b'(' if bytes.get(at) == Some(&b'?') => {
                let rest = &text[at + 1..];
                if rest.starts_with("P<") || (rest.starts_with('<') && rest.len() > 1) {
                    let Some(end) = rest.find('>') else { return fail("invalid named capture", start, text.len()) };
                    at += end + 2;
                } else {
                    let flags = rest.trim_start_matches(['i', 'm', 's', 'U', '-']);
                    let last = flags.chars().next();
                    at = text.len() - flags.len() + last.map_or(0, char::len_utf8);
                    match last {
                        Some(')') => continue,
                        Some(':') => {}
                        _ => return fail("invalid or unsupported Perl syntax", start, at),
                    }
                }
                (depth, can_repeat) = (depth + 1, false);
            }
            b'(' => (depth, can_repeat) = (depth + 1, false),
            b')' if depth == 0 => return fail("unexpected )", 0, text.len()),
            b')' => (depth, can_repeat) = (depth - 1, true),
            b'|' => can_repeat = false,
            b'[' => {
                at = class_end(text, at);
                if at > text.len() {
                    return fail("missing closing ]", start, text.len());
                }
                can_repeat = true;
            }
            b'\\' => {
                let Some(c) = text[at..].chars().next() else {
                    return fail("trailing backslash at end of expression", at, at);
                };
                at += c.len_utf8();
                let is_octal = matches!(c, '1'..='7') && matches!(bytes.get(at), Some(b'0'..=b'7'));
                if !(is_octal
                    || c.is_ascii_punctuation()
                    || c.is_ascii_control()
                    || "ABQbdDsSwWpPzafnrtvx0 ".contains(c))
                {
                    return fail("invalid escape sequence", start, at);
                }
                let closing = match c {
                    'Q' => "\\E",
                    'x' | 'p' | 'P' if bytes.get(at) == Some(&b'{') => "}",
                    _ => "",
                };
                at += text[at..].find(closing).map_or(text.len() - at, |skipped| skipped + closing.len());
                can_repeat = true;
            }
            b'*' | b'+' | b'?' | b'{' => {
                if *byte == b'{' {
                    let Some((length, is_fine)) = counted(&text[at..]) else {
                        can_repeat = true;
                        continue;
                    };
                    at += length;
                    if !is_fine {
                        return fail("invalid repeat count", start, at);
                    }
                }
                at += usize::from(bytes.get(at) == Some(&b'?'));
                if let Some(before) = repeated {
                    return fail("invalid nested repetition operator", before, at);
                }
                if !can_repeat {
                    return fail("missing argument to repetition operator", start, at);
                }
                last_repeat = Some(start);
            }
            _ => can_repeat = true,
        }
    }
    if depth > 0 { fail("missing closing )", 0, text.len()) } else { None }
}

/// Returns where a class ends whose first byte stands at `at`; behind the text where it does not.
fn class_end(text: &str, mut at: usize) -> usize {
    let bytes = text.as_bytes();
    at += usize::from(bytes.get(at) == Some(&b'^'));
    let first = at;
    while let Some(byte) = bytes.get(at) {
        at += match byte {
            b']' if at > first => return at + 1,
            b'\\' => 2,
            b'[' if text[at..].starts_with("[:") => text[at..].find(":]").map_or(1, |end| end + 2),
            _ => 1,
        };
    }
    text.len() + 1
}

/// Reads `2,3}`: how long it is, and whether the numbers are accepted; `None` where it is only text.
fn counted(text: &str) -> Option<(usize, bool)> {
    let end = text.find('}')?;
    let (least, most) = text[..end].split_once(',').unwrap_or((&text[..end], &text[..end]));
    if least.is_empty() || !least.bytes().chain(most.bytes()).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = |digits: &str| digits.parse().unwrap_or(u32::MAX);
    let highest = if most.is_empty() { number(least) } else { number(most) };
    Some((end + 1, number(least) <= highest && highest <= REPEATS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Prometheus 3.5.3 says them.
    #[test]
    fn what_is_refused_is_refused_in_gos_words() {
        for (pattern, wanted) in [
            ("(", "missing closing ): `(`"),
            ("x(?:a", "missing closing ): `x(?:a`"),
            ("a)b", "unexpected ): `a)b`"),
            ("*", "missing argument to repetition operator: `*`"),
            ("+Inf", "missing argument to repetition operator: `+`"),
            ("a|*", "missing argument to repetition operator: `*`"),
            ("(*a)", "missing argument to repetition operator: `*`"),
            ("a**", "invalid nested repetition operator: `**`"),
            ("a*+", "invalid nested repetition operator: `*+`"),
            ("a{1,2}{3}", "invalid nested repetition operator: `{1,2}{3}`"),
            ("a?{2}", "invalid nested repetition operator: `?{2}`"),
            ("a{1001}", "invalid repeat count: `{1001}`"),
            ("a{2,1}", "invalid repeat count: `{2,1}`"),
            ("[", "missing closing ]: `[`"),
            ("x[^]", "missing closing ]: `[^]`"),
            ("[]", "missing closing ]: `[]`"),
            ("\\8", "invalid escape sequence: `\\8`"),
            ("\\1", "invalid escape sequence: `\\1`"),
            ("\\C", "invalid escape sequence: `\\C`"),
            ("\\u0041", "invalid escape sequence: `\\u`"),
            ("\\é", "invalid escape sequence: `\\é`"),
            ("a\\", "trailing backslash at end of expression: ``"),
            ("(?P<n", "invalid named capture: `(?P<n`"),
            ("(?<", "invalid or unsupported Perl syntax: `(?<`"),
            ("(?P=n)", "invalid or unsupported Perl syntax: `(?P`"),
            ("(?i", "invalid or unsupported Perl syntax: `(?i`"),
            ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
            ("(?#c)", "invalid or unsupported Perl syntax: `(?#`"),
        ] {
            assert_eq!(complaint(pattern).as_deref(), Some(wanted), "{pattern}");
        }
        for pattern in [
            "a*?b+?",
            "(?i)a|b",
            "(?P<n>a)(?<m>b)",
            "(?i:a)",
            "[]a]",
            "[^]a]",
            "[[:alpha:]]*",
            "[\\]]",
            "a{1000}",
            "a{0}",
            "x{2}?",
            "\\Qa*(\\E+",
            "\\x{41}{2}",
            "\\p{Greek}*",
            "\\101",
            "\\.\\-\\_\\d+",
            "^*$",
            "a(?i)*",
            "é+",
            "a{,2}",
            "a{1",
            "||",
        ] {
            assert_eq!(complaint(pattern), None, "{pattern}");
        }
    }
}
