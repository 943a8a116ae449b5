//! Bounds of buckets and quantiles as OpenMetrics prints them, without printing the same one again and again.
//!
//! Most stand as they should or lack only a `.0`, which can be seen at once. The others are read and printed, and a
//! few of those are remembered: the buckets of all label sets of a histogram have the same bounds.

use super::number::{is_plain_bound, parse_float, push_bound};

/// How many printed bounds are remembered; one takes 50 bytes.
const SLOTS: usize = 32;
/// The longest text that is remembered: no shortest float is longer.
const TEXT_BYTES_MAX: usize = 24;

/// Printed bounds, each in the place that its text tells.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    slots: Vec<Slot>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    text: [u8; TEXT_BYTES_MAX],
    text_bytes: u8,
    printed: [u8; TEXT_BYTES_MAX],
    printed_bytes: u8,
}

impl Slot {
    fn text(&self) -> &[u8] {
        self.text.get(..self.text_bytes.into()).unwrap_or_default()
    }

    fn printed(&self) -> &str {
        let printed = self.printed.get(..self.printed_bytes.into()).unwrap_or_default();
        std::str::from_utf8(printed).unwrap_or_default()
    }
}

impl Bounds {
    /// Appends the bound as it should be; `false` where it is so already or is no number.
    pub(super) fn push(&mut self, text: &str, out: &mut String) -> bool {
        let bytes = text.as_bytes();
        if is_plain_bound(bytes) {
            return false;
        }
        if bytes.len() <= 6 && matches!(bytes, [b'1'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit)) {
            out.push_str(text);
            out.push_str(".0");
            return true;
        }
        if bytes.is_empty() || bytes.len() > TEXT_BYTES_MAX {
            return print(bytes, out);
        }
        let at = place(bytes);
        if let Some(slot) = self.slots.get(at).filter(|slot| slot.text() == bytes) {
            out.push_str(slot.printed());
            return true;
        }
        let start = out.len();
        if !print(bytes, out) {
            return false;
        }
        self.remember(at, bytes, &out.as_bytes()[start..]);
        true
    }

    fn remember(&mut self, at: usize, text: &[u8], printed: &[u8]) {
        if printed.len() > TEXT_BYTES_MAX {
            return;
        }
        let mut slot = Slot { text_bytes: text.len() as u8, printed_bytes: printed.len() as u8, ..Slot::default() };
        slot.text[..text.len()].copy_from_slice(text);
        slot.printed[..printed.len()].copy_from_slice(printed);
        self.slots.resize(SLOTS, Slot::default());
        self.slots[at] = slot;
    }
}

fn print(text: &[u8], out: &mut String) -> bool {
    let number = parse_float(text);
    number.map(|number| push_bound(out, number)).is_ok()
}

fn place(text: &[u8]) -> usize {
    let mixed = text.iter().fold(0u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(*byte)));
    (mixed.wrapping_mul(0x9e37_79b9) >> 16) as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_what_would_be_printed() {
        let mut bounds = Bounds::default();
        let odd = ["1", "10", "999999", "1000000", "0", "-0", "-1", "1.50", "1e-7", "-0.0007899999999999999", "+inf"];
        let many: Vec<String> = (1..500).map(|i| format!("{:e}", f64::from(i) / 7.0)).collect();
        for _ in 0..2 {
            for text in odd.into_iter().chain(many.iter().map(String::as_str)) {
                let (mut found, mut wanted) = (String::new(), String::new());
                push_bound(&mut wanted, text.parse().expect("a float"));
                assert!(bounds.push(text, &mut found));
                assert_eq!(found, wanted, "{text}");
            }
        }
        for text in ["", "x", "0.5", "+Inf", "1.0", "1x", &"9".repeat(400)] {
            let mut out = String::new();
            assert!(!bounds.push(text, &mut out) && out.is_empty(), "{text}");
        }
        assert_eq!(bounds.slots.len(), SLOTS);
    }
}
