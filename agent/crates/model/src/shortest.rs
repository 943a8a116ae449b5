//! The shortest decimal that reads back to a double, for doubles of a usual size.
//!
//! Raffaello Giulietti's Schubfach ("The Schubfach way to render doubles", 2020): the double's neighbours are scaled by
//! a power of ten to where one step is a digit, and of the one or two decimals between them the nearer one counts. The
//! powers are 128 bits each, made by the compiler, and only those that doubles from about 1e-7 to 1e23 need: others are
//! left to the standard library, which takes several times as long.

/// The least and the greatest power of ten that there is.
const POWER_MIN: i32 = -8;
const POWER_MAX: i32 = 26;
const MANTISSA_BITS: u32 = 52;
const POWERS: [u128; (POWER_MAX - POWER_MIN + 1) as usize] = powers();

/// Returns digits and an exponent of ten; the digits may end with zeros. `None` for zero, for what is not finite, and
/// where there is no such power.
pub(crate) fn decimal(value: f64) -> Option<(u64, i32)> {
    let bits = value.to_bits();
    let (mantissa, exponent) = (bits & ((1 << MANTISSA_BITS) - 1), (bits >> MANTISSA_BITS & 0x7ff) as i32);
    if exponent == 0 || exponent == 0x7ff {
        return None;
    }
    let (c, q) = (mantissa | 1 << MANTISSA_BITS, exponent - 1_075);
    // At a power of two the neighbour below is nearer than the one above.
    let is_uneven = mantissa == 0;
    let k = (q * 1_262_611 - if is_uneven { 524_031 } else { 0 }) >> 22;
    let power = *POWERS.get(usize::try_from(-k - POWER_MIN).ok()?)?;
    let shift = q + ((-k * 1_741_647) >> 19) + 1;
    // In quarters of a step: the ends of what reads back to this double, and the double.
    let scaled = |quarters: u64| scaled(power, quarters << shift);
    let (low, here, high) = (scaled(4 * c - 2 + u64::from(is_uneven)), scaled(4 * c), scaled(4 * c + 2));
    // An even double takes in the ends.
    let (low, high) = (low + (c & 1), high - (c & 1));
    let digits = here / 4;
    let tens = digits / 10;
    let (is_below, is_above) = (low <= 40 * tens, 40 * tens + 40 <= high);
    if is_below != is_above {
        return Some((tens + u64::from(is_above), k + 1));
    }
    let (is_below, is_above) = (low <= 4 * digits, 4 * digits + 4 <= high);
    let is_up = if is_below != is_above {
        is_above
    } else {
        here > 4 * digits + 2 || here == 4 * digits + 2 && digits & 1 == 1
    };
    Some((digits + u64::from(is_up), k))
}

/// Multiplies and drops 128 bits; the last bit says whether anything was dropped.
fn scaled(power: u128, by: u64) -> u64 {
    let low = (power & u128::from(u64::MAX)) * u128::from(by);
    let high = (power >> 64) * u128::from(by) + (low >> 64);
    (high >> 64) as u64 | u64::from(high as u64 > 1)
}

/// Returns the first 128 bits of each power, rounded up where there are more.
const fn powers() -> [u128; (POWER_MAX - POWER_MIN + 1) as usize] {
    let mut all = [0; (POWER_MAX - POWER_MIN + 1) as usize];
    let mut power = POWER_MIN;
    while power <= POWER_MAX {
        // A power of five has the same bits as one of ten.
        let mut five = 1u64;
        let mut left = power.unsigned_abs();
        while left > 0 {
            five *= 5;
            left -= 1;
        }
        all[(power - POWER_MIN) as usize] =
            if power >= 0 { (five as u128) << (five as u128).leading_zeros() } else { inverse(five) + 1 };
        power += 1;
    }
    all
}

/// Returns the first 128 bits of one divided by a number that is no power of two.
const fn inverse(of: u64) -> u128 {
    // The remainder begins at the greatest power of two below, so that the first bit is set.
    let mut rest = 1u128 << (63 - of.leading_zeros());
    let (mut found, mut left) = (0u128, 128);
    while left > 0 {
        rest <<= 1;
        found <<= 1;
        if rest >= of as u128 {
            rest -= of as u128;
            found |= 1;
        }
        left -= 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the standard library finds: digits without zeros at the end, and the exponent of the last one.
    fn searched(value: f64) -> (u64, i32) {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').expect("an exponent");
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let exponent: i32 = exponent.parse().expect("an integer");
        ((whole.to_owned() + part).parse().expect("digits"), exponent - part.len() as i32)
    }

    fn check(value: f64) -> bool {
        let Some((mut digits, mut exponent)) = decimal(value) else { return false };
        while digits.is_multiple_of(10) {
            (digits, exponent) = (digits / 10, exponent + 1);
        }
        // Of two that are equally near Go takes the even one, the standard library the greater.
        let exact = format!("{value:.110}").trim_end_matches('0').replace('.', "");
        let is_tie = exact.trim_start_matches('0') == format!("{digits}5") && digits & 1 == 0;
        let (wanted, at) = searched(value);
        assert_eq!((digits + u64::from(is_tie), exponent), (wanted, at), "{value:e}");
        true
    }

    #[test]
    fn powers_are_what_they_are_known_to_be() {
        let at = |power: i32| POWERS[(power - POWER_MIN) as usize];
        assert_eq!((at(0), at(1), at(2)), (1 << 127, 0xa << 124, 0x64 << 121));
        assert_eq!(at(-1), 0xcccc_cccc_cccc_cccc_cccc_cccc_cccc_cccd);
        assert_eq!(at(-8) >> 64, 0xabcc_7711_8461_cefc);
        assert_eq!(at(26) >> 64, 0xa56f_a5b9_9019_a5c8);
    }

    #[test]
    fn the_digits_are_those_that_the_standard_library_finds() {
        let (mut seed, mut found) = (0x9e37_79b9_7f4a_7c15u64, 0);
        for round in 0..600_000u64 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let value = match round % 6 {
                // Any of a usual size.
                0 => f64::from_bits((1_000 + seed % 100) << 52 | seed >> 12),
                // A power of two, and beside one.
                1 => f64::from_bits(((1_000 + seed % 100) << 52) + seed % 3 - 1),
                2 => (seed >> 12) as f64 / [3.0, 7.0, 15.0, 60.0, 1e9][seed as usize % 5],
                3 => (seed % 100_000) as f64 / 1e7,
                4 => (seed >> 40) as f64 * 0.1,
                _ => f64::from_bits(seed & !(1 << 63)),
            };
            found += u32::from(value.is_finite() && value > 0.0 && check(value));
        }
        assert!(found > 450_000, "{found}");
        for value in [1e-6, 9.5367431640625e-7, 1e21, 9_007_199_254_740_993.0, 0.3, 5e-7, 1.0 / 3.0, 2e22, 123e18] {
            assert!(check(value), "{value}");
        }
        for value in [0.0, f64::INFINITY, f64::NAN, 1e-300, 1e300, 5e-324, f64::MAX] {
            assert_eq!(decimal(value), None);
        }
    }
}
