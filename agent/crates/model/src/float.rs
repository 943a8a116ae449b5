//! Floats as Go prints them, because every reader of ours compares texts with a Go program's.
//!
//! [`write_exposition`] is `FormatFloat(v, 'g', -1)`, as in `/metrics`, but for negative zero, which the peer's
//! printer takes for zero; [`write_plain`] is `'f', -1`, as in the query API. Both are the shortest digits that
//! read back to the same bits. Source: Go, `strconv/ftoa.go`; prometheus/common, `expfmt/text_create.go`.

use std::fmt::Write;

/// The exponent from which on the exposition format prints one: Go's rule for the shortest form.
const EXPONENT_MIN: i32 = 6;

/// Appends a value as the text exposition format has it: `1.23456789e+08`, `100000`, `1e+06`, `+Inf`, `NaN`.
pub fn write_exposition(out: &mut String, value: f64) {
    if write_special(out, value) {
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
        check(f64::INFINITY, "+Inf", "+Inf");
        check(f64::NEG_INFINITY, "-Inf", "-Inf");
        check(f64::NAN, "NaN", "NaN");
    }
}
