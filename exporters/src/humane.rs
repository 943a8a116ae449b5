//! Numbers as kernels print them for people: `2.05G`, `-427.5k`.
//!
//! A letter is a power of 1024; what is left of the number behind the point is cut off, as with the peer. bcache counts
//! what follows the point in steps of 1/10.24, so that `.10` is more than `.9`; the peer undoes that, and so do we.

/// What the digits after the point are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fraction {
    /// A fraction like any other.
    Decimal,
    /// Steps of 1/10.24 where a letter follows, as bcache prints it.
    Steps,
}

/// Reads a number that may have a sign, a point and a letter.
pub fn humane(text: &str, fraction: Fraction) -> Option<f64> {
    let (sign, text) = text.strip_prefix('-').map_or((1.0, text), |rest| (-1.0, rest));
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let power = match text.as_bytes()[digits.len()..] {
        [] => 0,
        [letter] => 1 + "KMGTPEZY".find(char::from(letter.to_ascii_uppercase()))? as i32,
        _ => return None,
    };
    if !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    let value: f64 = match digits.split_once('.') {
        Some((whole, part)) if fraction == Fraction::Steps && power > 0 => {
            whole.parse::<u64>().ok()? as f64 + part.parse::<u64>().ok()? as f64 / 10.24
        }
        _ => digits.parse().ok()?,
    };
    Some((sign * value * 1_024_f64.powi(power)).trunc())
}

/// Reads a number that is not negative.
pub fn positive(text: &str, fraction: Fraction) -> Option<f64> {
    humane(text, fraction).filter(|value| !value.is_sign_negative())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_the_peer_reads_them() {
        for (text, decimal, steps) in [
            ("7", 7.0, 7.0),
            ("1.9", 1.0, 1.0),
            ("2.05G", 2_201_170_739.0, 2_671_771_648.0),
            ("28.2k", 28_876.0, 28_872.0),
            ("-427.5k", -437_760.0, -437_748.0),
            ("5K", 5_120.0, 5_120.0),
            ("4719910958", 4_719_910_958.0, 4_719_910_958.0),
        ] {
            assert_eq!(humane(text, Fraction::Decimal), Some(decimal), "{text}");
            assert_eq!(humane(text, Fraction::Steps), Some(steps), "{text}");
        }
        for bad in
            ["", "-", "k", ".", "x", "5x", "5kB", "1.2.3", "1.2.3k", "inf", "nan", "--1", "1e3", "ä", "5ä", "5 k"]
        {
            assert_eq!(humane(bad, Fraction::Decimal), None, "{bad}");
            assert_eq!(humane(bad, Fraction::Steps), None, "{bad}");
        }
        assert_eq!((positive("-1", Fraction::Steps), positive("1", Fraction::Steps)), (None, Some(1.0)));
    }
}
