//! Matchers as Alertmanager's files write them: `severity="critical"`, `team=~"a|b"`, `{a=b, c!="d"}`.
//!
//! Names and values may be bare or in double quotes. One text may hold several matchers, separated by commas, with or
//! without braces around. Patterns are anchored, as everywhere.

use model::{MatchOp, Matcher};

/// Parses one text of a `matchers` list.
///
/// # Errors
/// A message that says what is wrong, such as `no operator in "a b"`.
pub fn parse_matchers(text: &str) -> Result<Vec<Matcher>, String> {
    let text = text.trim();
    let inner = match (text.strip_prefix('{'), text.strip_suffix('}')) {
        (Some(_), Some(_)) => text[1..text.len() - 1].trim(),
        (None, None) => text,
        _ => return Err("braces must be on both sides or on none".to_owned()),
    };
    let mut matchers = Vec::new();
    for part in split(inner) {
        if part.trim().is_empty() {
            // A comma may stand at the end.
            continue;
        }
        matchers.push(parse_one(part.trim())?);
    }
    if matchers.is_empty() && !inner.is_empty() { Err("no matcher".to_owned()) } else { Ok(matchers) }
}

/// Splits at commas that are not within quotes.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn parse_one(text: &str) -> Result<Matcher, String> {
    let name_end = if text.starts_with('"') {
        closing_quote(text).ok_or("the name's closing quote is missing")? + 1
    } else {
        text.find(['=', '!']).ok_or_else(|| format!("no operator in {text:?}"))?
    };
    let (name, rest) = (unquote(text[..name_end].trim())?, text[name_end..].trim_start());
    let (op, value) =
        [("=~", MatchOp::Regex), ("!~", MatchOp::NotRegex), ("!=", MatchOp::NotEqual), ("=", MatchOp::Equal)]
            .into_iter()
            .find_map(|(sign, op)| rest.strip_prefix(sign).map(|value| (op, value.trim())))
            .ok_or_else(|| format!("no operator in {text:?}"))?;
    if name.is_empty() {
        return Err(format!("no label name in {text:?}"));
    }
    let value = unquote(value)?;
    Matcher::new(&name, op, &value).map_err(|error| error.to_string())
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(at),
            _ => {}
        }
    }
    None
}

fn unquote(text: &str) -> Result<String, String> {
    if !text.starts_with('"') {
        if text.contains(['"', '{', '}']) {
            return Err(format!("{text:?} needs quotes around it"));
        }
        return Ok(text.to_owned());
    }
    if closing_quote(text) != Some(text.len() - 1) {
        return Err(format!("the quotes in {text} do not match"));
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text[1..text.len() - 1].chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some(c @ ('"' | '\\'))) => out.push(c),
            ('\\', Some(c)) => out.extend(['\\', c]),
            (c, _) => out.push(c),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, &str>) {
        let printed =
            parse_matchers(text).map(|matchers| matchers.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
        assert_eq!(printed.as_deref().map_err(String::as_str), expected, "{text}");
    }

    #[test]
    fn matchers_are_read_as_files_have_them() {
        check("severity=critical", Ok("severity=\"critical\""));
        check("severity = \"critical\"", Ok("severity=\"critical\""));
        check("{a=~\"b|c\", d!=e,}", Ok("a=~\"b|c\",d!=\"e\""));
        check("a!~\"x,y\"", Ok("a!~\"x,y\""));
        check("a=", Ok("a=\"\""));
        check("\"a b\"=c", Ok("a b=\"c\""));
        check("a=\"b\\\"c\"", Ok("a=\"b\\\"c\""));
        check("{}", Ok(""));
    }

    #[test]
    fn what_is_no_matcher_is_refused() {
        check("abc", Err("no operator in \"abc\""));
        check("{a=b", Err("braces must be on both sides or on none"));
        check("=b", Err("no label name in \"=b\""));
        check("a=\"b", Err("the quotes in \"b do not match"));
        check(",", Err("no matcher"));
        assert!(parse_matchers("a=~\"(\"").is_err());
    }
}
