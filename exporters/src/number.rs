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
    let value = i128::from(u64::from_str_radix(digits, radix).ok()?);
    i64::try_from(if is_negative { -value } else { value }).ok()
}

/// Appends a text, every character that no metric's name may have as an underscore.
pub fn push_metric_name(out: &mut String, text: &str) {
    out.extend(text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == ':' { c } else { '_' }));
}

/// Reads a float as a kernel prints one.
pub fn float(text: &str) -> Option<f64> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

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
