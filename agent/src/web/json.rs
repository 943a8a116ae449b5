//! JSON, written as it is needed, in the peer's two hands.
//!
//! A whole serializer would cost more than these few functions; nothing is parsed here. The peer's bodies are made by
//! two encoders, and ours equal both byte for byte: texts escape what Go's encoder escapes for HTML too (`<`, `>`, `&`),
//! label sets do not; samples of vectors print as `"1e-09"` at `10.020`, scalars as `"0.000000001"` at `10.02`.
//! Strings are copied in runs, and nothing is allocated but the growth of the output.

use std::fmt::Write;

use model::{Labels, UnixMs};

/// Appends a string in quotes, with HTML's letters escaped.
pub fn string(out: &mut String, text: &str) {
    quoted(out, text, true);
}

/// Appends a string in quotes as the peer has it in label sets: HTML's letters stay.
fn plain_string(out: &mut String, text: &str) {
    quoted(out, text, false);
}

fn quoted(out: &mut String, text: &str, for_html: bool) {
    out.push('"');
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let is_html = for_html && matches!(byte, b'<' | b'>' | b'&');
        // U+2028 and U+2029 are the bytes E2 80 A8 and E2 80 A9.
        let is_line =
            for_html && byte == 0xe2 && matches!(text.as_bytes().get(at + 1..at + 3), Some([0x80, 0xa8 | 0xa9]));
        if byte >= b' ' && byte != b'"' && byte != b'\\' && !is_html && !is_line {
            continue;
        }
        out.push_str(text.get(from..at).unwrap_or(""));
        from = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0xe2 => {
                out.push_str(if text.as_bytes().get(at + 2) == Some(&0xa8) { "\\u2028" } else { "\\u2029" });
                from = at + 3;
            }
            byte => {
                let _ = write!(out, "\\u{byte:04x}");
            }
        }
    }
    out.push_str(text.get(from..).unwrap_or(""));
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
    for (i, (name, value)) in pairs.enumerate() {
        if i > 0 {
            out.push(',');
        }
        plain_string(out, name);
        out.push(':');
        plain_string(out, value);
    }
    out.push('}');
}

/// Appends a list.
pub fn list<T>(out: &mut String, items: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut String, T)) {
    out.push('[');
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write(out, item);
    }
    out.push(']');
}

/// Appends a list of texts.
pub fn texts<S: AsRef<str>>(out: &mut String, texts: &[S]) {
    list(out, texts, |out, text| string(out, text.as_ref()));
}

/// Appends a sample as vectors and matrices have it: `[1435781451.780,"1.5"]`.
pub fn point(out: &mut String, at: UnixMs, value: f64) {
    if model::float::write_point(out, at, value) {
        return;
    }
    out.push('[');
    sample_seconds(out, at);
    out.push_str(",\"");
    bare_float(out, value);
    out.push_str("\"]");
}

/// Appends a sample's value in quotes: an exponent below 1e-6 and from 1e21 on.
pub fn float(out: &mut String, value: f64) {
    out.push('"');
    bare_float(out, value);
    out.push('"');
}

fn bare_float(out: &mut String, value: f64) {
    let size = value.abs();
    // Where this form has an exponent the exposition format has the same one.
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        model::float::write_exposition(out, value);
    } else {
        model::float::write_plain(out, value);
    }
}

/// Appends a time in seconds as samples have it: no decimals or three.
pub fn sample_seconds(out: &mut String, at: UnixMs) {
    model::float::write_seconds(out, at);
}

/// Appends a time in seconds with as many decimals as it needs, as scalars and texts have it.
pub fn seconds(out: &mut String, at: UnixMs) {
    sample_seconds(out, at);
    if at.0 % 1_000 != 0 {
        while out.ends_with('0') {
            out.pop();
        }
    }
}

/// Appends a float as a JSON number, `null` where JSON has none.
pub fn number(out: &mut String, value: f64) {
    if !value.is_finite() {
        return out.push_str("null");
    }
    let start = out.len();
    bare_float(out, value);
    // Go's JSON writes 1e-7 where its other printers write 1e-07.
    if let Some(at) = out[start..].find("e-0") {
        out.remove(start + at + 2);
    }
}

/// Appends a value as alerts have it, in quotes and always with an exponent: `"1e+00"`.
pub fn exponent(out: &mut String, value: f64) {
    out.push('"');
    if value.is_finite() {
        let printed = format!("{value:e}");
        let (digits, exponent) = printed.split_once('e').unwrap_or((&printed, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
        let _ = write!(out, "{digits}e{sign}{exponent:0>2}");
    } else {
        model::float::write_plain(out, value);
    }
    out.push('"');
}

/// Appends a time as RFC 3339, in quotes; what never happened is Go's year 1.
pub fn date(out: &mut String, at: Option<UnixMs>) {
    let Some(at) = at else { return out.push_str("\"0001-01-01T00:00:00Z\"") };
    let mut text = at.to_string();
    if at.0 % 1_000 != 0 {
        text.pop();
        text.truncate(text.trim_end_matches('0').len());
        text.push('Z');
    }
    string(out, &text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T>(write: impl Fn(&mut String, T), cases: impl IntoIterator<Item = (T, &'static str)>) {
        for (value, expected) in cases {
            let mut out = String::new();
            write(&mut out, value);
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn strings_are_escaped_as_go_does() {
        let text = "a\"b\\c\n<>&\u{1}é\u{2028}\u{202a}\u{2029}\u{7f}";
        check(string, [(text, "\"a\\\"b\\\\c\\n\\u003c\\u003e\\u0026\\u0001é\\u2028\u{202a}\\u2029\u{7f}\"")]);
        check(plain_string, [(text, "\"a\\\"b\\\\c\\n<>&\\u0001é\u{2028}\u{202a}\u{2029}\u{7f}\"")]);
    }

    #[test]
    fn points_look_like_the_api() {
        let mut out = String::new();
        point(&mut out, UnixMs(1_435_781_451_781), 1.5);
        point(&mut out, UnixMs(-1_500), f64::INFINITY);
        point(&mut out, UnixMs(10_020), 1e21);
        point(&mut out, UnixMs(0), 1e-9);
        let expected = r#"[1435781451.781,"1.5"][-1.500,"+Inf"][10.020,"1e+21"][0,"1e-09"]"#;
        assert_eq!(out, expected);
    }

    #[test]
    fn numbers_and_times_print_as_go_prints_them() {
        check(seconds, [(UnixMs(10_020), "10.02"), (UnixMs(-1_500), "-1.5"), (UnixMs(100_000), "100")]);
        check(
            number,
            [(0.000001, "0.000001"), (1.5e-7, "1.5e-7"), (1e-10, "1e-10"), (1e21, "1e+21"), (f64::NAN, "null")],
        );
        let values = [(0.0, "\"0e+00\""), (-1500.0, "\"-1.5e+03\""), (1e-7, "\"1e-07\""), (1e300, "\"1e+300\"")];
        check(exponent, values);
        check(exponent, [(f64::NAN, "\"NaN\""), (f64::NEG_INFINITY, "\"-Inf\"")]);
        let at = |ms: i64| Some(UnixMs(1_795_249_204_000 + ms));
        check(date, [(at(0), "\"2026-11-21T08:20:04Z\""), (at(20), "\"2026-11-21T08:20:04.02Z\"")]);
        check(date, [(None, "\"0001-01-01T00:00:00Z\"")]);
    }

    #[test]
    fn keys_are_separated() {
        let mut out = String::from("{");
        key(&mut out, "a");
        number(&mut out, 1.0);
        key(&mut out, "b");
        labels(&mut out, &Labels::from_pairs([("x", "1"), ("y", "<")]));
        out.push('}');
        assert_eq!(out, r#"{"a":1,"b":{"x":"1","y":"<"}}"#);
    }
}
