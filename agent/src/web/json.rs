//! JSON, written as it is needed: strings escaped, floats in quotes where the API has them so.
//!
//! A whole serializer would cost more than these few functions; nothing is parsed here. Strings escape what Go's
//! encoder escapes for HTML too (`<`, `>`, `&`), so that bodies equal the peer's byte for byte.

use std::fmt::Write;

use model::{Labels, UnixMs};

/// Appends a string in quotes.
pub fn string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' || matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}') => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Appends `"key":`, after a comma unless it is the first of its object.
pub fn key(out: &mut String, name: &str) {
    if !out.ends_with('{') {
        out.push(',');
    }
    string(out, name);
    out.push(':');
}

/// Appends `"key":"text"`, after a comma unless it is the first of its object.
pub fn text(out: &mut String, name: &str, text: &str) {
    key(out, name);
    string(out, text);
}

/// Appends a label set as an object.
pub fn labels(out: &mut String, labels: &Labels) {
    pairs(out, labels.iter());
}

/// Appends names and values as an object, as a label set is.
pub fn pairs<'a>(out: &mut String, pairs: impl Iterator<Item = (&'a str, &'a str)>) {
    out.push('{');
    for (name, value) in pairs {
        key(out, name);
        string(out, value);
    }
    out.push('}');
}

/// Appends a list.
pub fn list<T>(out: &mut String, items: &[T], mut write: impl FnMut(&mut String, &T)) {
    out.push('[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write(out, item);
    }
    out.push(']');
}

/// Appends a sample as the API has it: `[1435781451.781,"1.5"]`.
pub fn point(out: &mut String, at: UnixMs, value: f64) {
    out.push('[');
    seconds(out, at);
    out.push_str(",\"");
    model::float::write_plain(out, value);
    out.push_str("\"]");
}

/// Appends a time in seconds with as many decimals as it needs.
pub fn seconds(out: &mut String, at: UnixMs) {
    let (whole, part) = (at.0.unsigned_abs() / 1_000, at.0.unsigned_abs() % 1_000);
    if at.0 < 0 {
        out.push('-');
    }
    let _ = write!(out, "{whole}");
    if part != 0 {
        let _ = write!(out, ".{part:03}");
        while out.ends_with('0') {
            out.pop();
        }
    }
}

/// Appends a float as a JSON number, `null` where JSON has none.
pub fn number(out: &mut String, value: f64) {
    if value.is_finite() { model::float::write_plain(out, value) } else { out.push_str("null") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_go_does() {
        let mut out = String::new();
        string(&mut out, "a\"b\\c\n<>&\u{1}é\u{2028}");
        assert_eq!(out, r#""a\"b\\c\n\u003c\u003e\u0026\u0001é\u2028""#);
    }

    #[test]
    fn points_look_like_the_api() {
        let mut out = String::new();
        point(&mut out, UnixMs(1_435_781_451_781), 1.5);
        point(&mut out, UnixMs(-1_500), f64::INFINITY);
        point(&mut out, UnixMs(10_020), 1e21);
        assert_eq!(out, r#"[1435781451.781,"1.5"][-1.5,"+Inf"][10.02,"1000000000000000000000"]"#);
    }

    #[test]
    fn keys_are_separated() {
        let mut out = String::from("{");
        key(&mut out, "a");
        number(&mut out, 1.0);
        key(&mut out, "b");
        labels(&mut out, &Labels::from_pairs([("x", "1")]));
        out.push('}');
        assert_eq!(out, r#"{"a":1,"b":{"x":"1"}}"#);
    }
}
