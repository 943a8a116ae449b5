//! Texts to values, by the rules of Go's yaml.v2 and of Prometheus's own types.
//!
//! Booleans: `true yes on` and `false no off` in three spellings each, as YAML 1.1 has them. Integers: decimal,
//! `0x`, `0o`, `0b`, a leading 0 for octal, `_` between digits. Sizes: powers of 1024 whatever the spelling, so
//! that `256MB` and `256MiB` are the same, as in Prometheus's own configuration.

/// Returns the boolean that a plain text stands for.
pub(crate) fn bool(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

/// Returns the integer that a plain text stands for; a float without a fraction counts.
pub(crate) fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] if digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_') => (8, &digits[1..]),
        _ => (10, digits),
    };
    if !digits.starts_with(|c: char| c.is_digit(radix)) {
        return None;
    }
    let parsed = if digits.contains('_') {
        i128::from_str_radix(&digits.replace('_', ""), radix)
    } else {
        i128::from_str_radix(digits, radix)
    };
    match parsed {
        Ok(number) => Some(if negative { -number } else { number }),
        Err(_) if radix == 10 => float(text).filter(|f| f.fract() == 0.0 && f.abs() < 1e18).map(|f| f as i128),
        Err(_) => None,
    }
}

/// Returns the float that a plain text stands for.
pub(crate) fn float(text: &str) -> Option<f64> {
    match text {
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Some(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Some(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Some(f64::NAN),
        _ => {}
    }
    // Rust also reads `inf` and `nan`, YAML does not.
    let numeric = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    if numeric && text.bytes().any(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

const SIZE_UNITS: [(&str, u64); 11] = [
    ("B", 1),
    ("KB", 1 << 10),
    ("KiB", 1 << 10),
    ("MB", 1 << 20),
    ("MiB", 1 << 20),
    ("GB", 1 << 30),
    ("GiB", 1 << 30),
    ("TB", 1 << 40),
    ("TiB", 1 << 40),
    ("PB", 1 << 50),
    ("PiB", 1 << 50),
];

/// Returns the bytes that a size such as `256MB` or `1.5GiB` stands for; only 0 goes without a unit.
pub fn bytes(text: &str) -> Option<u64> {
    if text == "0" {
        return Some(0);
    }
    let letters = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(letters);
    let unit = SIZE_UNITS.iter().find(|(name, _)| *name == unit)?.1;
    if let Ok(whole) = number.parse::<u64>() {
        return if number.starts_with('+') { None } else { whole.checked_mul(unit) };
    }
    let fraction = number.starts_with(|c: char| c.is_ascii_digit()) && !number.contains(['e', 'E']);
    let size = number.parse::<f64>().ok().filter(|_| fraction)? * unit as f64;
    (size.is_finite() && size < u64::MAX as f64).then_some(size as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_as_go_reads_them() {
        for (text, expected) in [
            ("0", Some(0)),
            ("15", Some(15)),
            ("-3", Some(-3)),
            ("+3", Some(3)),
            ("0x1F", Some(31)),
            ("0o17", Some(15)),
            ("017", Some(15)),
            ("0b11", Some(3)),
            ("1_000", Some(1000)),
            ("1e3", Some(1000)),
            ("2.0", Some(2)),
            ("2.5", None),
            ("", None),
            ("-", None),
            ("--3", None),
            ("0x", None),
            ("_1", None),
            ("four", None),
            ("99999999999999999999999999999999999999999999", None),
        ] {
            assert_eq!(integer(text), expected, "{text}");
        }
    }

    #[test]
    fn floats_are_read_as_go_reads_them() {
        for (text, expected) in [
            ("1", Some(1.0)),
            (".5", Some(0.5)),
            ("1e-3", Some(0.001)),
            (".inf", Some(f64::INFINITY)),
            ("inf", None),
            ("nan", None),
            ("e", None),
            ("", None),
        ] {
            assert_eq!(float(text), expected, "{text}");
        }
        assert!(float(".nan").is_some_and(f64::is_nan));
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, expected) in [
            ("256MB", Some(256 << 20)),
            ("64MiB", Some(64 << 20)),
            ("1.5GB", Some(3 << 29)),
            ("512B", Some(512)),
            ("0", Some(0)),
            ("5", None),
            ("MB", None),
            ("-1MB", None),
            ("1 MB", None),
            ("1mb", None),
            ("1e3MB", None),
            ("99999999999999PB", None),
            ("", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}
