//! Compares passwords with bcrypt hashes, as they stand in the peers' web configuration: `$2y$10$` and 53 letters.
//!
//! Only the comparing, so that no dependency is needed for it: Blowfish with its expensive key schedule. Its tables are
//! the digits of pi and are worked out when the first password comes, which costs a fraction of one comparison and no
//! bytes. Slow on purpose: whoever calls this does it beside the network.
//!
//! Source: N. Provos and D. Mazières, "A Future-Adaptable Password Scheme" (1999).

use std::sync::OnceLock;

use base64::Engine;
use base64::alphabet::BCRYPT;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

/// The costs that are taken: each one more takes twice as long, and 14 takes seconds on a board.
pub const COSTS: std::ops::RangeInclusive<u32> = 4..=14;

const ROUND_KEYS: usize = 18;
const BOX_WORDS: usize = 256;
const WORDS: usize = ROUND_KEYS + 4 * BOX_WORDS;
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 23;
const SALT_LETTERS: usize = 22;
const HASH_LETTERS: usize = 31;

/// A hash taken apart.
#[derive(Clone, PartialEq, Eq)]
pub struct Hash {
    cost: u32,
    salt: [u8; SALT_BYTES],
    hash: [u8; HASH_BYTES],
}

impl Hash {
    /// Parses `$2y$10$...`; `None` when it is no such hash or its cost is none that is taken.
    pub fn parse(text: &str) -> Option<Hash> {
        let rest = ["$2a$", "$2b$", "$2y$"].iter().find_map(|version| text.strip_prefix(version))?;
        let (cost, letters) = rest.split_once('$')?;
        let cost = cost.parse().ok().filter(|found| cost.len() == 2 && COSTS.contains(found))?;
        let (salt, hash) = letters.split_at_checked(SALT_LETTERS)?;
        let config = GeneralPurposeConfig::new().with_encode_padding(false);
        let config = config.with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireNone);
        let letters = GeneralPurpose::new(&BCRYPT, config.with_decode_allow_trailing_bits(true));
        let decode = |text: &str| letters.decode(text).ok();
        let hash = Some(hash).filter(|hash| hash.len() == HASH_LETTERS)?;
        Some(Hash { cost, salt: decode(salt)?.try_into().ok()?, hash: decode(hash)?.try_into().ok()? })
    }

    /// Returns whether this is the password. Takes as long for a wrong one.
    pub fn is_of(&self, password: &str) -> bool {
        let key: Vec<u8> = password.bytes().chain([0]).collect();
        let mut state = Blowfish(Box::new(*digits()));
        state.expand(&key, &self.salt);
        for _ in 0..1u32 << self.cost {
            state.expand(&key, &[0; SALT_BYTES]);
            state.expand(&self.salt, &[0; SALT_BYTES]);
        }
        let mut found = Vec::with_capacity(24);
        for text in b"OrpheanBeholderScryDoubt".chunks_exact(8) {
            let word = |at: usize| text[at..at + 4].iter().fold(0, |word, byte| word << 8 | u32::from(*byte));
            let mut pair = (word(0), word(4));
            (0..64).for_each(|_| pair = state.encrypt(pair));
            found.extend_from_slice(&pair.0.to_be_bytes());
            found.extend_from_slice(&pair.1.to_be_bytes());
        }
        found.iter().zip(&self.hash).fold(0, |all, (a, b)| all | (a ^ b)) == 0
    }
}

/// The cipher's state: round keys, then four boxes.
struct Blowfish(Box<[u32; WORDS]>);

impl Blowfish {
    fn expand(&mut self, key: &[u8], salt: &[u8; SALT_BYTES]) {
        let mut bytes = key.iter().cycle();
        for word in &mut self.0[..ROUND_KEYS] {
            *word ^= bytes.by_ref().take(4).fold(0, |word, byte| word << 8 | u32::from(*byte));
        }
        let salt = u128::from_be_bytes(*salt);
        let halves = [(salt >> 64) as u64, salt as u64];
        let mut pair = (0, 0);
        for at in (0..WORDS).step_by(2) {
            let half = halves[at / 2 % 2];
            pair = self.encrypt((pair.0 ^ (half >> 32) as u32, pair.1 ^ half as u32));
            (self.0[at], self.0[at + 1]) = pair;
        }
    }

    fn encrypt(&self, (mut left, mut right): (u32, u32)) -> (u32, u32) {
        let words = &self.0;
        let sbox = |number: usize, byte: u32| words[ROUND_KEYS + number * BOX_WORDS + (byte & 0xff) as usize];
        for round in 0..ROUND_KEYS - 2 {
            left ^= words[round];
            let mixed = sbox(0, left >> 24).wrapping_add(sbox(1, left >> 16)) ^ sbox(2, left >> 8);
            right ^= mixed.wrapping_add(sbox(3, left));
            (left, right) = (right, left);
        }
        (left, right) = (right, left);
        (left ^ words[ROUND_KEYS - 1], right ^ words[ROUND_KEYS - 2])
    }
}

/// Returns the digits of pi behind the point, in base 2^32.
fn digits() -> &'static [u32; WORDS] {
    static DIGITS: OnceLock<Box<[u32; WORDS]>> = OnceLock::new();
    DIGITS.get_or_init(|| {
        // pi = 16 arctan(1/5) - 4 arctan(1/239), J. Machin; two words more than are wanted take the rounding.
        let (mut pi, small) = (arctan(5, 16), arctan(239, 4));
        subtract(&mut pi, &small);
        let mut words = Box::new([0; WORDS]);
        words.copy_from_slice(&pi[1..=WORDS]);
        words
    })
}

/// Returns `factor` times the arctangent of 1/x as words, the first before the point.
fn arctan(x: u32, factor: u32) -> Vec<u32> {
    let mut power = vec![0; WORDS + 3];
    power[0] = factor;
    divide(&mut power, x, 0);
    let (mut sum, mut term) = (power.clone(), Vec::new());
    let (mut n, mut from) = (1, 0);
    loop {
        from = divide(&mut power, x * x, from);
        if from == power.len() {
            return sum;
        }
        n += 2;
        term.clone_from(&power);
        divide(&mut term, n, from);
        if n % 4 == 3 { subtract(&mut sum, &term) } else { add(&mut sum, &term) }
    }
}

/// Divides, where only zeros are before `from`; returns where there are only zeros before afterwards.
fn divide(words: &mut [u32], by: u32, from: usize) -> usize {
    let mut rest = 0u64;
    for word in &mut words[from..] {
        let whole = rest << 32 | u64::from(*word);
        (*word, rest) = ((whole / u64::from(by)) as u32, whole % u64::from(by));
    }
    words[from..].iter().position(|word| *word != 0).map_or(words.len(), |at| from + at)
}

fn add(words: &mut [u32], other: &[u32]) {
    let mut carry = false;
    for (word, other) in words.iter_mut().zip(other).rev() {
        let (sum, a) = word.overflowing_add(*other);
        let (sum, b) = sum.overflowing_add(u32::from(carry));
        (*word, carry) = (sum, a || b);
    }
}

fn subtract(words: &mut [u32], other: &[u32]) {
    let mut borrow = false;
    for (word, other) in words.iter_mut().zip(other).rev() {
        let (rest, a) = word.overflowing_sub(*other);
        let (rest, b) = rest.overflowing_sub(u32::from(borrow));
        (*word, borrow) = (rest, a || b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_the_digits_of_pi() {
        let words = digits();
        assert_eq!((words[0], words[1], words[17]), (0x243f_6a88, 0x85a3_08d3, 0x8979_fb1b));
        assert_eq!((words[18], words[WORDS - 1]), (0xd131_0ba6, 0x3ac3_72e6));
    }

    /// Made by libxcrypt, some of them its own vectors and OpenBSD's.
    #[test]
    fn passwords_are_compared_as_others_do() {
        for (password, hash) in [
            ("", "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s."),
            ("a", "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe"),
            ("U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
            ("U*U*U", "$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a"),
            ("hunter2", "$2y$04$abcdefghijklmnopqrstuuV3duMsC0HpUex6N9qapiuOHHWkwRXVm"),
            ("päss", "$2b$04$abcdefghijklmnopqrstuuF7KK/SfP9IRGj0pPJMr8GdtCS8xpmpC"),
            (&"0123456789".repeat(8), "$2b$04$abcdefghijklmnopqrstuum2G75IXDN/xsgbNa/hCiPSKyIHQd70S"),
        ] {
            let Some(parsed) = Hash::parse(hash) else { panic!("{hash}") };
            assert!(parsed.is_of(password), "{password} {hash}");
            assert!(!parsed.is_of("wrong"), "{hash}");
        }
    }

    #[test]
    fn what_is_no_hash_is_none() {
        for text in [
            "",
            "hunter2",
            "$2y$10$",
            "$1$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            "$2a$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe",
            "$2a$05$CCCCCCCCCCCCCCCCCCCCC!E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            "$2a$05$ÄCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        ] {
            assert!(Hash::parse(text).is_none(), "{text}");
        }
    }
}
