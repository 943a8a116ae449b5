//! Numbers as Go's `strconv.ParseFloat` reads them, fast where they are short; and bounds as OpenMetrics prints them.
//!
//! A decimal of at most 19 digits whose digits fit 53 bits and whose power of ten is at most 22 is the exact integer
//! times or divided by the exact power, rounded once: the nearest float. Everything else goes to the standard
//! library, which is exact too. Not read: hexadecimal floats and underscores, as in the peer.
//!
//! Sources: W. D. Clinger, "How to read floating point numbers accurately" (the fast case); Prometheus,
//! `model/textparse/interface.go` (parseFloat), `model/labels/float.go` (le and quantile).

use model::float::write_exposition;

const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// The most digits whose value surely fits a u64.
const DIGITS_MAX: usize = 19;

/// Why a text is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotANumber {
    /// A letter that only hexadecimal floats have, or an underscore.
    Unsupported,
    Syntax,
    Range,
}

/// Reads a float.
#[inline]
pub(super) fn parse_float(text: &[u8]) -> Result<f64, NotANumber> {
    match short_decimal(text) {
        Some(value) => Ok(value),
        None => any_float(text),
    }
}

/// Reads what the fast way can, and says `None` for all else, right or wrong.
#[inline]
fn short_decimal(text: &[u8]) -> Option<f64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let mut mantissa = 0u64;
    let (mut count, mut fraction, mut seen_dot) = (0usize, 0i32, false);
    let mut rest = digits;
    while let [byte, tail @ ..] = rest {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
            count += 1;
            fraction += i32::from(seen_dot);
        } else if *byte == b'.' && !seen_dot {
            seen_dot = true;
        } else {
            break;
        }
        rest = tail;
    }
    if count == 0 || count > DIGITS_MAX || mantissa > 1 << 53 {
        return None;
    }
    let exponent = match rest {
        [] => 0,
        [b'e' | b'E', rest @ ..] => short_exponent(rest)?,
        _ => return None,
    } - fraction;
    let power = POWERS.get(exponent.unsigned_abs() as usize)?;
    let value = if exponent < 0 { mantissa as f64 / power } else { mantissa as f64 * power };
    Some(if negative { -value } else { value })
}

/// Reads a number of digits and at most one dot from a text's beginning, and returns it and how long it is; `None`
/// where it has too many digits to be read fast, or none.
#[inline]
pub(super) fn plain_number(text: &[u8]) -> Option<(f64, usize)> {
    let (mut mantissa, mut at, mut dot) = (0u64, usize::from(text.first() == Some(&b'-')), None);
    let first = at;
    while let Some(byte) = text.get(at) {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
        } else if *byte == b'.' && dot.is_none() {
            dot = Some(at);
        } else {
            break;
        }
        at += 1;
    }
    let digits = at - first - usize::from(dot.is_some());
    if digits == 0 || digits > DIGITS_MAX || mantissa > 1 << 53 {
        return None;
    }
    let power = POWERS.get(dot.map_or(0, |dot| at - dot - 1))?;
    let value = mantissa as f64 / power;
    Some((if first > 0 { -value } else { value }, at))
}

fn short_exponent(text: &[u8]) -> Option<i32> {
    let (sign, digits) = match text {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] => (1, rest),
        _ => (1, text),
    };
    if digits.is_empty() || digits.len() > 3 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(sign * digits.iter().fold(0, |sum, digit| sum * 10 + i32::from(digit - b'0')))
}

#[cold]
fn any_float(text: &[u8]) -> Result<f64, NotANumber> {
    if text.iter().any(|b| matches!(b, b'p' | b'P' | b'_')) {
        return Err(NotANumber::Unsupported);
    }
    let text = std::str::from_utf8(text).map_err(|_| NotANumber::Syntax)?;
    let value: f64 = text.parse().map_err(|_| NotANumber::Syntax)?;
    if value.is_nan() {
        // Go has no signed NaN; ours is always the same one.
        return if text.starts_with(['+', '-']) { Err(NotANumber::Syntax) } else { Ok(nan()) };
    }
    if value.is_infinite() && text.bytes().any(|b| b.is_ascii_digit()) {
        return Err(NotANumber::Range);
    }
    Ok(value)
}

/// Returns the NaN that stands for all of them (Prometheus: `value.NormalNaN`).
pub(super) fn nan() -> f64 {
    f64::from_bits(0x7ff8_0000_0000_0001)
}

/// Appends a bucket's bound or a quantile as OpenMetrics has it: always with a dot or an exponent.
pub(super) fn push_bound(out: &mut String, bound: f64) {
    let start = out.len();
    if bound == 0.0 {
        out.push_str("0.0");
        return;
    }
    write_exposition(out, bound);
    if bound.is_finite() && !out[start..].bytes().any(|b| matches!(b, b'.' | b'e')) {
        out.push_str(".0");
    }
}

/// Returns whether a bound is surely printed as it stands: a plain decimal of few digits with a dot.
pub(super) fn is_plain_bound(text: &[u8]) -> bool {
    if text == b"+Inf" {
        return true;
    }
    let Some(dot) = text.iter().position(|b| *b == b'.') else { return false };
    let (whole, fraction) = (&text[..dot], &text[dot + 1..]);
    let is_whole = match whole {
        b"0" => fraction == b"0" || fraction.iter().take(4).any(|b| *b != b'0'),
        [b'1'..=b'9', ..] => whole.len() <= 6,
        _ => false,
    };
    is_whole
        && whole.len() + fraction.len() <= 15
        && whole.iter().chain(fraction).all(u8::is_ascii_digit)
        && (fraction == b"0" || matches!(fraction, [.., b'1'..=b'9']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_standard_library() {
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        for _ in 0..200_000 {
            let (bits, digits, shift) = (next(), next() % 10u64.pow((next() % 20) as u32), next() % 40);
            let texts = [
                format!("{:?}", f64::from_bits(bits)),
                format!("{}.{}e{}", digits % 1_000_000, digits, shift as i64 - 20),
                format!("-{digits}e-{shift}"),
                format!("{digits}"),
            ];
            for text in texts {
                let expected: f64 = text.parse().expect("a float");
                if expected.is_finite() {
                    let found = parse_float(text.as_bytes()).expect("a float");
                    assert_eq!(found.to_bits(), expected.to_bits(), "{text}");
                }
            }
        }
    }

    #[test]
    fn plain_numbers_end_where_they_end() {
        for text in ["0", "12", "-0", "-7.25", "0.1", ".5", "5.", "9007199254740992", "123456.789012"] {
            let (value, length) = plain_number(format!("{text}\n1").as_bytes()).expect("a plain number");
            let expected = parse_float(text.as_bytes()).expect("a float");
            assert_eq!((value.to_bits(), length), (expected.to_bits(), text.len()), "{text}");
        }
        assert_eq!(plain_number(b"1.2.3"), Some((1.2, 3)));
        assert_eq!(plain_number(b"1e5"), Some((1.0, 1)));
        for text in
            ["", "-", ".", "-.", "NaN", "+1", "9007199254740993", "00000000000000000001", "12345678901234567890"]
        {
            assert_eq!(plain_number(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn odd_numbers_are_read_as_go_reads_them() {
        for (text, bits) in [
            ("nan", nan().to_bits()),
            ("NaN", nan().to_bits()),
            ("inf", f64::INFINITY.to_bits()),
            ("+Inf", f64::INFINITY.to_bits()),
            ("-infinity", f64::NEG_INFINITY.to_bits()),
            (".5", 0.5f64.to_bits()),
            ("5.", 5f64.to_bits()),
            ("+1e3", 1000f64.to_bits()),
            ("-0", (-0f64).to_bits()),
            ("1e-999", 0),
            ("00000000000000000000000000012", 12f64.to_bits()),
        ] {
            assert_eq!(parse_float(text.as_bytes()).map(f64::to_bits), Ok(bits), "{text}");
        }
        use NotANumber::*;
        for (text, error) in [
            ("", Syntax),
            (".", Syntax),
            ("-", Syntax),
            ("e5", Syntax),
            ("1e", Syntax),
            ("1e+", Syntax),
            ("1.2.3", Syntax),
            ("+nan", Syntax),
            ("-nan", Syntax),
            ("0x10", Syntax),
            ("1,5", Syntax),
            ("\u{661}", Syntax),
            ("0x1p-3", Unsupported),
            ("1_0", Unsupported),
            ("1e999", Range),
            ("-1e999", Range),
        ] {
            assert_eq!(parse_float(text.as_bytes()), Err(error), "{text}");
        }
        assert_eq!(parse_float(b"\xff"), Err(Syntax));
    }

    #[test]
    fn bounds_print_as_openmetrics_has_them() {
        for (value, text) in
            [(1.0, "1.0"), (-0.0, "0.0"), (0.5, "0.5"), (1e6, "1e+06"), (1e-7, "1e-07"), (100_000.0, "100000.0")]
        {
            let mut out = String::new();
            push_bound(&mut out, value);
            assert_eq!(out, text);
        }
        let mut plain = 0;
        for i in 0..20_000_u32 {
            for text in [format!("{}.{}", i / 100, i % 100), format!("{}", f64::from(i) / 8192.0), format!("0.000{i}")]
            {
                let mut out = String::new();
                push_bound(&mut out, text.parse().expect("a float"));
                if is_plain_bound(text.as_bytes()) {
                    assert_eq!(out, text);
                    plain += 1;
                }
            }
        }
        assert!(plain > 20_000, "{plain}");
    }
}
