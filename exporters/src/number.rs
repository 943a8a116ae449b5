//! Numbers between text and float: what the kernel prints, read the way the peer reads it.
//!
//! [`Decimal`] prints an integer into memory on the stack, for labels. The readers accept what Go's `strconv`
//! accepts of what a kernel prints: an unsigned integer is digits only, a float has no hexadecimal form.

/// An integer as text, without an allocation.
#[derive(Clone, Copy)]
pub struct Decimal {
    bytes: [u8; 20],
    start: u8,
}

impl Decimal {
    /// Prints an integer.
    pub fn new(mut value: u64) -> Decimal {
        let mut bytes = [b'0'; 20];
        let mut start = bytes.len();
        loop {
            start -= 1;
            bytes[start] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 {
                return Decimal { bytes, start: start as u8 };
            }
        }
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[self.start as usize..]).expect("digits")
    }
}

/// Reads an unsigned integer: digits only, no sign.
pub fn unsigned(text: &str) -> Option<u64> {
    if text.starts_with('+') { None } else { text.parse().ok() }
}

/// Reads an integer in the forms that Go's `ParseInt` takes with base 0: `-5`, `0x1f`, `017`.
pub fn integer(text: &str) -> Option<i64> {
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let value = i128::from(any_base(digits)?);
    i64::try_from(if is_negative { -value } else { value }).ok()
}

/// Reads an unsigned integer in the forms that Go's `ParseUint` takes with base 0: `5`, `0x1f`, `017`.
pub fn any_base(digits: &str) -> Option<u64> {
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

/// Appends a text as the peer makes a metric's name of it: each run of other characters than letters, digits and
/// underscores becomes one underscore, with the underscores right before and after it.
pub fn push_metric_name(out: &mut String, text: &str) {
    let is_plain = |c: char| c.is_ascii_alphanumeric();
    let is_odd = |c: char| !is_plain(c) && c != '_';
    let mut rest = text;
    while !rest.is_empty() {
        let plain = rest.find(|c| !is_plain(c)).unwrap_or(rest.len());
        out.push_str(&rest[..plain]);
        rest = &rest[plain..];
        let after = rest.trim_start_matches('_');
        if after.starts_with(is_odd) {
            out.push('_');
            rest = after.trim_start_matches(is_odd).trim_start_matches('_');
        } else {
            out.push_str(&rest[..rest.len() - after.len()]);
            rest = after;
        }
    }
}

/// Reads a float as a kernel prints one.
pub fn float(text: &str) -> Option<f64> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metric_names_are_made_as_the_peer_makes_them() {
        for (text, expected) in [
            ("a.b-c", "a_b_c"),
            ("a__b", "a__b"),
            ("a_ - _b", "a_b"),
            ("a_-_-_b", "a__b"),
            ("[0]: x", "_0_x"),
            ("Wärme:", "W_rme_"),
            ("", ""),
        ] {
            let mut out = String::new();
            push_metric_name(&mut out, text);
            assert_eq!(out, expected, "{text}");
        }
    }

    #[test]
    fn integers_print_and_read_back() {
        for value in [0, 7, 10, 4_096, u64::MAX] {
            assert_eq!(Decimal::new(value).as_str(), value.to_string());
            assert_eq!(unsigned(&value.to_string()), Some(value));
        }
        for (text, value) in [("-5", -5), ("0x1F", 31), ("017", 15), ("0", 0), ("-9223372036854775808", i64::MIN)] {
            assert_eq!(integer(text), Some(value), "{text}");
        }
        for bad in ["", "-", "--1", "0x", "0x-1", "09", "9223372036854775808", "1.0", "1 "] {
            assert_eq!(integer(bad), None, "{bad:?}");
        }
        for bad in ["", "+1", "-1", "1.0", "18446744073709551616", "0x1", " 1"] {
            assert_eq!(unsigned(bad), None, "{bad:?}");
        }
    }
}
