//! Numbers, durations and quoted texts as Go and Prometheus read them.
//!
//! Hexadecimal, octal and binary numbers, underscores between digits, `Inf` and `NaN` in any case; escapes of Go's
//! three kinds of quotes, to bytes, because a text need not be UTF-8.

use super::Parsed;
use super::lex::{Kind, Token};
use crate::error::ParseError;
use crate::print::quote;

/// The largest duration in milliseconds: 63 bits of nanoseconds.
pub(super) const DURATION_MS_MAX: u64 = i64::MAX as u64 / 1_000_000;

/// Returns the value of a number or, in seconds, of a duration.
pub(super) fn value(text: &str, token: Token) -> Parsed<f64> {
    let slice = &text[token.span.start as usize..token.span.end as usize];
    let fail = |message: String| ParseError::at(text, token.span.start as usize, message);
    match token.kind {
        Kind::Duration => duration_ms(slice).map(|ms| ms as f64 / 1000.0).map_err(fail),
        _ => number(slice).map_err(|reason| {
            fail(format!("error parsing number: strconv.ParseFloat: parsing {}: {reason}", quote(slice)))
        }),
    }
}

/// Reads a number as Go does: octal with a leading zero, hexadecimal, underscores, `inf`, `nan`.
pub(crate) fn number(text: &str) -> Result<f64, &'static str> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let sign = if negative { -1.0 } else { 1.0 };
    if digits.ends_with('_') {
        return Err("invalid syntax");
    }
    let plain: String = digits.chars().filter(|c| *c != '_').collect();
    let lower = plain.to_ascii_lowercase();
    if matches!(lower.as_str(), "inf" | "infinity") {
        return Ok(sign * f64::INFINITY);
    }
    if lower == "nan" {
        return Ok(f64::NAN);
    }
    if let Some(hexadecimal) = lower.strip_prefix("0x") {
        return i64::from_str_radix(hexadecimal, 16).map(|n| sign * n as f64).map_err(|_| "invalid syntax");
    }
    if lower.len() > 1
        && lower.starts_with('0')
        && lower.bytes().all(|b| b.is_ascii_digit())
        && let Ok(octal) = i64::from_str_radix(&lower, 8)
    {
        return Ok(sign * octal as f64);
    }
    if !lower.bytes().all(|b| b.is_ascii_digit() || b".e+-".contains(&b)) {
        return Err("invalid syntax");
    }
    match lower.parse::<f64>() {
        Ok(value) if value.is_infinite() => Err("value out of range"),
        Ok(value) => Ok(sign * value),
        Err(_) => Err("invalid syntax"),
    }
}

/// Reads a duration; the error says what Prometheus says.
pub(super) fn duration_ms(text: &str) -> Result<u64, String> {
    model::duration::parse_ms(text).map_err(|_| complaint(text))
}

fn complaint(text: &str) -> String {
    const UNITS: [&str; 7] = ["y", "w", "d", "h", "m", "s", "ms"];
    let (mut rest, mut last) = (text, None);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let unit_bytes = rest[digits..].bytes().take_while(|b| !b.is_ascii_digit()).count();
        let unit = &rest[digits..digits + unit_bytes];
        rest = &rest[digits + unit_bytes..];
        match UNITS.iter().position(|known| *known == unit) {
            None if !unit.is_empty() => {
                return format!("unknown unit {} in duration {}", quote(unit), quote(text));
            }
            at if at.is_none() || at <= last => return format!("not a valid duration string: {}", quote(text)),
            at => last = at,
        }
    }
    "duration out of range".into()
}

/// Returns what a quoted text stands for. The lexer has checked its escapes.
pub(super) fn unquote(quoted: &str) -> Vec<u8> {
    let inner = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or("");
    if quoted.starts_with('`') {
        return inner.bytes().filter(|b| *b != b'\r').collect();
    }
    let bytes = inner.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'\\' {
            out.push(bytes[at]);
            at += 1;
            continue;
        }
        let c = bytes.get(at + 1).copied().unwrap_or(b'\\');
        let (digits, radix, skip) = match c {
            b'0'..=b'7' => (3, 8, 1),
            b'x' => (2, 16, 2),
            b'u' => (4, 16, 2),
            b'U' => (8, 16, 2),
            _ => (0, 0, 2),
        };
        let code =
            inner.get(at + skip..at + skip + digits).and_then(|text| u32::from_str_radix(text, radix.max(2)).ok());
        match (c, code) {
            (b'u' | b'U', Some(code)) => {
                let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            (_, Some(code)) if digits > 0 => out.push(code as u8),
            _ => out.push(match c {
                b'a' => 7,
                b'b' => 8,
                b'f' => 12,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'v' => 11,
                other => other,
            }),
        }
        at += skip + digits;
    }
    out
}
