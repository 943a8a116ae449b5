//! Quotes bytes in error texts as Go's `%q` does, shortened where they are long.
//!
//! Errors repeat what a stranger sent, so they must be short and hold no control bytes.

use std::fmt::Write;

/// The most bytes of a text that an error repeats; the tail is what matters, so the head is left out.
pub(super) const QUOTED_BYTES_MAX: usize = 512;

/// Returns the bytes in double quotes, with everything that does not print escaped.
pub(super) fn quote(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    let from = bytes.len().saturating_sub(QUOTED_BYTES_MAX);
    if from > 0 {
        out.push_str("...");
    }
    for chunk in bytes[from..].utf8_chunks() {
        chunk.valid().chars().for_each(|c| push_char(&mut out, c));
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out.push('"');
    out
}

fn push_char(out: &mut String, c: char) {
    let short = match c {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\x07' => "\\a",
        '\x08' => "\\b",
        '\x0b' => "\\v",
        '\x0c' => "\\f",
        _ => "",
    };
    let code = c as u32;
    let _ = match c {
        _ if !short.is_empty() => write!(out, "{short}"),
        ' '..='~' => write!(out, "{c}"),
        '\0'..='\x7f' => write!(out, "\\x{code:02x}"),
        _ if c.escape_debug().len() == 1 => write!(out, "{c}"),
        _ if code < 0x1_0000 => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_print_is_escaped() {
        assert_eq!(quote(b"a\"\\\n\t\0\x7f\xff"), r#""a\"\\\n\t\x00\x7f\xff""#);
        assert_eq!(quote("ö€\u{200b}\u{a0}".as_bytes()), "\"ö€\\u200b\\u00a0\"");
        let long = quote(&vec![b'x'; 4096]);
        assert!(long.starts_with("\"...x") && long.len() < 600);
    }
}
