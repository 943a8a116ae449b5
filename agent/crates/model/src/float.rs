//! Floats as Go prints them, because every reader of ours compares texts with a Go program's.
//!
//! [`write_exposition`] is `FormatFloat(v, 'g', -1)`, as in `/metrics`, but for negative zero, which the peer's
//! printer takes for zero; [`write_plain`] is `'f', -1`, as in the query API. Both are the shortest digits that
//! read back to the same bits. Source: Go, `strconv/ftoa.go`; prometheus/common, `expfmt/text_create.go`.
//! Integers and decimals of up to three places, which are nearly all there is, are printed without a search: no two
//! decimals of fifteen digits are the same double, so what reads back is the shortest.

use std::fmt::Write;

use crate::shortest::decimal;
use crate::time::UnixMs;

/// Doubles below this are exact at three decimals, where they have no more.
const SHORT_MAX: f64 = 1e12;

/// The exponent from which on the exposition format prints one: Go's rule for the shortest form.
const EXPONENT_MIN: i32 = 6;

/// Appends a value as the text exposition format has it: `1.23456789e+08`, `100000`, `1e+06`, `+Inf`, `NaN`.
pub fn write_exposition(out: &mut String, value: f64) {
    // Down to a thousandth and below a million the two forms are the same.
    if (0.001..1e6).contains(&value.abs()) && write_short(out, value) || write_special(out, value) {
        return;
    }
    if value.is_sign_negative() && value != 0.0 {
        out.push('-');
    }
    let mut digits = Digits::new();
    let (text, exponent) = digits.shortest(value);
    if (-4..EXPONENT_MIN).contains(&exponent) {
        push_plain_form(out, text, exponent);
    } else {
        push_exponent_form(out, text, exponent);
    }
}

/// Appends a value as the query API has it: `100000000`, `0.000001`, `+Inf`, `NaN`; never an exponent.
pub fn write_plain(out: &mut String, value: f64) {
    let mut text = Backwards::new();
    if text.plain(value) {
        return out.push_str(text.as_str());
    }
    if write_special(out, value) {
        return;
    }
    if value.is_sign_negative() {
        out.push('-');
    }
    let mut digits = Digits::new();
    let (text, exponent) = digits.shortest(value);
    push_plain_form(out, text, exponent);
}

/// Appends a sample as the query API has it, `[1435781451.780,"1.5"]`, all at once; answers whether that was possible:
/// very small and very large values are not.
pub fn write_point(out: &mut String, at: UnixMs, value: f64) -> bool {
    let mut text = Backwards::new();
    text.bytes(b"\"]");
    if !text.plain(value) {
        return false;
    }
    text.bytes(b",\"");
    text.seconds(at);
    text.byte(b'[');
    out.push_str(text.as_str());
    true
}

/// Appends a time in seconds as samples of the query API have it: no decimals or three.
pub fn write_seconds(out: &mut String, at: UnixMs) {
    let mut text = Backwards::new();
    text.seconds(at);
    out.push_str(text.as_str());
}

/// Returns a value without its sign in thousandths, where it has at most three decimals.
fn thousandths(value: f64) -> Option<u64> {
    let size = value.abs();
    if size.is_nan() || size >= SHORT_MAX {
        return None;
    }
    let thousandths = (size * 1_000.0 + 0.5) as u64;
    ((thousandths as f64 / 1_000.0).to_bits() == size.to_bits()).then_some(thousandths)
}

/// Appends a value that has at most three decimals; answers whether it was one.
fn write_short(out: &mut String, value: f64) -> bool {
    let Some(thousandths) = thousandths(value) else { return false };
    let mut text = Backwards::new();
    text.short(thousandths);
    text.sign(value.is_sign_negative());
    out.push_str(text.as_str());
    true
}

/// Text in a buffer on the stack, the last byte first.
struct Backwards {
    bytes: [u8; BACKWARDS_BYTES],
    at: usize,
}

/// A point fits: its time has a sign, sixteen digits, a dot and three more; its value a sign, at most 23 digits behind
/// the dot or 21 before it, and the dot; and six bytes are around them.
const BACKWARDS_BYTES: usize = 64;
/// Values from the one to below the other are printed without many zeros.
const PLAIN_MIN: f64 = 1e-6;
const PLAIN_MAX: f64 = 1e21;

impl Backwards {
    fn new() -> Backwards {
        Backwards { bytes: [b'0'; BACKWARDS_BYTES], at: BACKWARDS_BYTES }
    }

    fn byte(&mut self, byte: u8) {
        self.at -= 1;
        self.bytes[self.at] = byte;
    }

    fn bytes(&mut self, bytes: &[u8]) {
        bytes.iter().rev().for_each(|byte| self.byte(*byte));
    }

    fn integer(&mut self, mut value: u64) {
        while value >= 10 {
            self.byte(b'0' + (value % 10) as u8);
            value /= 10;
        }
        self.byte(b'0' + value as u8);
    }

    /// Puts an integer with a dot before so many of its digits.
    fn decimals(&mut self, mut value: u64, places: usize) {
        for _ in 0..places {
            self.byte(b'0' + (value % 10) as u8);
            value /= 10;
        }
        if places > 0 {
            self.byte(b'.');
        }
        self.integer(value);
    }

    fn sign(&mut self, is_negative: bool) {
        if is_negative {
            self.byte(b'-');
        }
    }

    /// Puts a time in seconds with no decimals or three.
    fn seconds(&mut self, at: UnixMs) {
        let ms = at.0.unsigned_abs();
        if ms.is_multiple_of(1_000) {
            self.integer(ms / 1_000)
        } else {
            self.decimals(ms, 3)
        }
        self.sign(at.0 < 0);
    }

    /// Puts thousandths with as few decimals as they need.
    fn short(&mut self, thousandths: u64) {
        let (value, places) = match thousandths {
            all if all.is_multiple_of(1_000) => (all / 1_000, 0),
            all if all.is_multiple_of(100) => (all / 100, 1),
            all if all.is_multiple_of(10) => (all / 10, 2),
            all => (all, 3),
        };
        self.decimals(value, places);
    }

    /// Puts a value as the query API has it, if that has no exponent and few zeros; answers whether it was one.
    fn plain(&mut self, value: f64) -> bool {
        if let Some(thousandths) = thousandths(value) {
            self.short(thousandths);
        } else if (PLAIN_MIN..PLAIN_MAX).contains(&value.abs())
            && let Some((mut digits, mut exponent)) = decimal(value.abs())
        {
            while digits.is_multiple_of(10) && exponent < 0 {
                (digits, exponent) = (digits / 10, exponent + 1);
            }
            (0..exponent).for_each(|_| self.byte(b'0'));
            self.decimals(digits, exponent.min(0).unsigned_abs() as usize);
        } else {
            return false;
        }
        self.sign(value.is_sign_negative());
        true
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[self.at..]).expect("ASCII")
    }
}

fn write_special(out: &mut String, value: f64) -> bool {
    let text = match value {
        v if v.is_nan() => "NaN",
        f64::INFINITY => "+Inf",
        f64::NEG_INFINITY => "-Inf",
        _ => return false,
    };
    out.push_str(text);
    true
}

fn push_exponent_form(out: &mut String, digits: &str, exponent: i32) {
    out.push_str(&digits[..1]);
    if digits.len() > 1 {
        out.push('.');
        out.push_str(&digits[1..]);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    let _ = write!(out, "e{sign}{:02}", exponent.unsigned_abs());
}

fn push_plain_form(out: &mut String, digits: &str, exponent: i32) {
    if exponent < 0 {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', (-exponent - 1) as usize));
        out.push_str(digits);
        return;
    }
    let whole = exponent as usize + 1;
    if digits.len() > whole {
        out.push_str(&digits[..whole]);
        out.push('.');
        out.push_str(&digits[whole..]);
    } else {
        out.push_str(digits);
        out.extend(std::iter::repeat_n('0', whole - digits.len()));
    }
}

/// The shortest digits of a float, without sign, dot or exponent, in a buffer on the stack.
struct Digits {
    bytes: [u8; 32],
    len: usize,
}

impl Digits {
    fn new() -> Digits {
        Digits { bytes: [0; 32], len: 0 }
    }

    /// Returns the digits and the exponent of the first one. `value` must be finite.
    fn shortest(&mut self, value: f64) -> (&str, i32) {
        let size = value.abs();
        if (1.0..SHORT_MAX * 1_000.0).contains(&size) && size.fract() == 0.0 {
            return self.integer(size as u64);
        }
        match decimal(size) {
            Some((digits, exponent)) => {
                let (text, above) = self.integer(digits);
                (text, above + exponent)
            }
            None => self.search(value),
        }
    }

    fn search(&mut self, value: f64) -> (&str, i32) {
        write!(self, "{:e}", value.abs()).expect("the shortest form of a double has at most 24 bytes");
        let text = std::str::from_utf8(&self.bytes[..self.len]).expect("ASCII");
        let e = text.find('e').expect("LowerExp prints an exponent");
        let exponent = text[e + 1..].parse().expect("an exponent is an integer");
        if e > 1 {
            // `1.234` becomes `1234`.
            self.bytes.copy_within(2..e, 1);
        }
        let digits = if e > 1 { e - 1 } else { 1 };
        (std::str::from_utf8(&self.bytes[..digits]).expect("ASCII"), exponent)
    }

    /// Returns the digits of a positive integer without the zeros at its end, and the exponent of the first one.
    fn integer(&mut self, value: u64) -> (&str, i32) {
        let mut text = Backwards::new();
        text.integer(value);
        let all = &text.bytes[text.at..];
        let digits = all.len() - all.iter().rev().take_while(|digit| **digit == b'0').count();
        self.bytes[..digits].copy_from_slice(&all[..digits]);
        (std::str::from_utf8(&self.bytes[..digits]).expect("ASCII"), all.len() as i32 - 1)
    }
}

impl Write for Digits {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.len + text.len();
        self.bytes.get_mut(self.len..end).ok_or(std::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: f64, exposition: &str, plain: &str) {
        let (mut a, mut b) = (String::new(), String::new());
        write_exposition(&mut a, value);
        write_plain(&mut b, value);
        assert_eq!((a.as_str(), b.as_str()), (exposition, plain));
    }

    #[test]
    fn floats_print_as_the_peers_print_them() {
        check(0.0, "0", "0");
        check(-0.0, "0", "-0");
        check(1.0, "1", "1");
        check(100_000.0, "100000", "100000");
        check(1e6, "1e+06", "1000000");
        check(1_234_567.0, "1.234567e+06", "1234567");
        check(123_456_789.0, "1.23456789e+08", "123456789");
        check(9_007_199_254_740_993.0, "9.007199254740992e+15", "9007199254740992");
        check(3.3000000000000003, "3.3000000000000003", "3.3000000000000003");
        check(-12.5, "-12.5", "-12.5");
        check(0.0001, "0.0001", "0.0001");
        check(0.00001, "1e-05", "0.00001");
        check(1.5e-7, "1.5e-07", "0.00000015");
        check(1e21, "1e+21", "1000000000000000000000");
        check(0.001, "0.001", "0.001");
        check(-7.25, "-7.25", "-7.25");
        check(999_999_999_999.999, "9.99999999999999e+11", "999999999999.999");
        check(1e12, "1e+12", "1000000000000");
        check(0.0005, "0.0005", "0.0005");
        check(4.35, "4.35", "4.35");
        // Halfway between two decimals, of which the even one counts.
        check(1_443_037_093_199_625.2, "1.4430370931996252e+15", "1443037093199625.2");
        check(1_443_037_093_199_625.8, "1.4430370931996258e+15", "1443037093199625.8");
        check(f64::INFINITY, "+Inf", "+Inf");
        check(f64::NEG_INFINITY, "-Inf", "-Inf");
        check(f64::NAN, "NaN", "NaN");
    }

    /// Short ones are what the search for the shortest digits finds, and read back to the same bits.
    #[test]
    fn short_floats_are_the_shortest() {
        let mut seed = 0x9e37_79b9_7f4a_7c15u64;
        let mut short = 0;
        for round in 0..200_000 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let value = match round % 4 {
                0 => (seed >> (seed % 60)) as f64 / 1_000.0,
                1 => -((seed >> (24 + seed % 40)) as f64) / [1.0, 10.0, 100.0, 4096.0][seed as usize % 4],
                2 => f64::from_bits(((seed >> (24 + seed % 40)) as f64 / 1_000.0).to_bits() ^ (seed & 1)),
                _ => f64::from_bits(seed),
            };
            let (mut found, mut searched) = (String::new(), String::new());
            if !write_short(&mut found, value) {
                continue;
            }
            short += 1;
            let mut digits = Digits::new();
            let (text, exponent) = digits.search(value);
            searched.push_str(if value.is_sign_negative() { "-" } else { "" });
            push_plain_form(&mut searched, text, exponent);
            assert_eq!(found, searched);
            assert_eq!(found.parse::<f64>().map(f64::to_bits), Ok(value.to_bits()));
        }
        assert!(short > 60_000, "{short}");
    }

    #[test]
    fn integers_have_the_digits_that_are_searched() {
        for power in 0..15 {
            for value in [1.0, 2.0, 5.0, 9.99].map(|first| (first * 10f64.powi(power)).round()) {
                for value in [value - 1.0, value, value + 1.0].into_iter().filter(|value| (1.0..1e15).contains(value)) {
                    let (mut found, mut searched) = (Digits::new(), Digits::new());
                    assert_eq!(found.shortest(value), searched.search(value), "{value}");
                }
            }
        }
    }

    /// At once and in its parts a point is the same, and every double of that size is one.
    #[test]
    fn points_are_printed_whole() {
        let (mut seed, mut whole) = (0x2545_f491_4f6c_dd1du64, 0);
        for round in 0..200_000u64 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let value = match round % 5 {
                0 => f64::from_bits(seed),
                1 => f64::from_bits((1_002 + seed % 92) << 52 | seed >> 12),
                2 => (seed >> (seed % 64)) as f64,
                3 => -((seed >> 30) as f64 / 1e6),
                _ => [0.0, -0.0, 1e-6, 1e21, -9.999_999_999_999_999e20, 1e-6f64.next_down()][seed as usize % 6],
            };
            let at = UnixMs(if round % 3 == 0 { seed as i64 } else { (seed >> 20) as i64 });
            let (mut point, mut parts) = (String::new(), String::new());
            let is_whole = write_point(&mut point, at, value);
            assert_eq!(is_whole, value == 0.0 || (1e-6..1e21).contains(&value.abs()), "{value:e}");
            if !is_whole {
                continue;
            }
            whole += 1;
            parts.push('[');
            write_seconds(&mut parts, at);
            parts.push_str(if value.is_sign_negative() { ",\"-" } else { ",\"" });
            let mut digits = Digits::new();
            let (text, exponent) = if value == 0.0 { ("0", 0) } else { digits.shortest(value) };
            push_plain_form(&mut parts, text, exponent);
            assert_eq!(point, parts + "\"]", "{value:e}");
        }
        assert!(whole > 140_000, "{whole}");
    }

    #[test]
    fn seconds_have_no_decimals_or_three() {
        let cases =
            [(0, "0"), (1_435_781_451_780, "1435781451.780"), (-1, "-0.001"), (10_000, "10"), (-20_050, "-20.050")];
        for (at, wanted) in cases {
            let mut out = String::new();
            write_seconds(&mut out, UnixMs(at));
            assert_eq!(out, wanted);
        }
        let mut out = String::new();
        write_seconds(&mut out, UnixMs(i64::MIN));
        assert_eq!(out, "-9223372036854775.808");
    }
}
