//! Whatever is packed unpacks to the text, with a library's decoder: texts with values of any length, none among
//! them, and with nothing between them, texts longer than deflate looks back, and every length and distance that
//! has a code. And it is no larger than what the library packs.

use std::io::{Read, Write};

use super::*;

/// A text of pieces with values between them.
struct Layout(Vec<String>);

impl Layout {
    fn text(&self, seed: u64) -> (String, Vec<Range<u32>>) {
        let (mut text, mut values, mut seed) = (String::new(), Vec::new(), seed);
        for (at, piece) in self.0.iter().enumerate() {
            text.push_str(piece);
            if at + 1 < self.0.len() {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let start = text.len() as u32;
                text.push_str(&format!("{}", seed >> (seed >> 60)).repeat((seed >> 62) as usize));
                values.push(start..text.len() as u32);
            }
        }
        (text, values)
    }
}

/// Packs, with a library's checksum.
fn pack(packed: &mut Packed, text: &str, values: &[Range<u32>], layout: u64) -> Option<Vec<u8>> {
    packed.pack(text, values, layout, |text| {
        let mut crc = flate2::Crc::new();
        crc.update(text);
        crc.sum()
    })
}

fn unpacked(packed: &[u8]) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text).expect("whole and with the right checksum");
    text
}

fn rows(count: usize) -> Layout {
    let row = |at: usize| format!("\nnode_cpu_seconds_total{{cpu=\"{}\",mode=\"{}\",weg=\"Küche\"}} ", at / 8, at % 8);
    Layout((0..count).map(row).chain(["\n".to_owned()]).collect())
}

#[test]
fn what_is_packed_is_the_text_whatever_its_values() {
    let odd =
        Layout(vec!["aaaaaaaaaa".repeat(90), String::new(), "aaaa".into(), "ÿ€\u{1F40C}".repeat(9), "abc".into()]);
    let nothing = Layout(vec![String::new()]);
    for (layout, number) in [rows(3), rows(400), rows(4_000), odd, nothing].into_iter().zip(1..) {
        let mut packed = Packed::default();
        let (text, values) = layout.text(number);
        assert_eq!(pack(&mut packed, &text, &values, number), None, "not before it is known to stay");
        for seed in 1..60 {
            let (text, values) = layout.text(seed << 7);
            let made = pack(&mut packed, &text, &values, number).expect("learned");
            assert!(unpacked(&made) == text, "layout {number}, seed {seed}");
        }
    }
}

#[test]
fn it_is_no_larger_than_what_a_library_makes_at_its_fastest() {
    let (mut text, mut values) = (String::new(), Vec::new());
    for (at, piece) in rows(500).0.iter().enumerate() {
        text.push_str(piece);
        let start = text.len() as u32;
        text.push_str(&(at * 7_919 % 1_000).to_string());
        values.push(start..text.len() as u32);
    }
    let mut packed = Packed::default();
    pack(&mut packed, &text, &values, 7);
    let ours = pack(&mut packed, &text, &values, 7).expect("learned").len();
    let mut library = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    library.write_all(text.as_bytes()).expect("written");
    let theirs = library.finish().expect("packed").len();
    assert!(ours * 100 <= theirs * 105, "{ours} bytes and not {theirs}");
}

#[test]
fn another_layout_is_learned_anew() {
    let mut packed = Packed::default();
    for (layout, number) in [(rows(5), 1), (rows(9), 2), (rows(5), 3)] {
        let (text, values) = layout.text(1);
        assert_eq!(pack(&mut packed, &text, &values, number), None);
        assert!(unpacked(&pack(&mut packed, &text, &values, number).expect("learned")) == text);
    }
    let (text, values) = Layout(vec!["a".repeat(TEXT_BYTES_MAX + 1)]).text(1);
    pack(&mut packed, &text, &values, 9);
    assert_eq!(pack(&mut packed, &text, &values, 9), None, "too long to be remembered");
}

/// The longest copy has a symbol of its own, and the one before it has no code for it (RFC 1951, section 3.2.5).
#[test]
fn the_longest_copy_has_its_own_symbol() {
    assert_eq!(LENGTHS[COPY_BYTES_MAX - 3], fixed_code(285));
    assert_eq!(LENGTHS[COPY_BYTES_MAX - 4], (fixed_code(284).0 | 30 << 8, 13));
}

/// Every length and every width of distance that there is a code for.
#[test]
fn all_lengths_and_distances_have_their_code() {
    for bytes in 3..=COPY_BYTES_MAX {
        for distance in (0..15).flat_map(|power| [1 << power, (1 << power) + 1, (2 << power) - 1, 2 << power]) {
            let mut bits = Bits { out: HEADER.to_vec(), held: 0, count: 0 };
            let start: Vec<u8> = (0..distance).map(|at| (at % 251 % 128) as u8).collect();
            let mut text = start.clone();
            (0..bytes).for_each(|_| text.push(text[text.len() - distance]));
            bits.put(LAST_FIXED);
            bits.literals(&start);
            bits.copy(bytes, distance);
            bits.put(END_OF_BLOCK);
            let mut found = Vec::new();
            flate2::read::DeflateDecoder::new(&bits.finish()[HEADER.len()..]).read_to_end(&mut found).expect("deflate");
            assert!(found == text, "{bytes} bytes from {distance} back");
        }
    }
}
