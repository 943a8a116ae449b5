//! Columns and histograms out of any bytes: whatever they claim, reading ends, nothing panics, passing over values
//! finds what reading each finds, and a histogram that was read is written and read again as the same.
//!
//! The store's own files are compiled into this target, because nothing of the codec is public.
#![no_main]

#[allow(dead_code)]
#[path = "../../agent/crates/tsdb/src/codec.rs"]
mod codec;
#[allow(dead_code)]
#[path = "../../agent/crates/tsdb/src/column.rs"]
mod column;
#[allow(dead_code)]
#[path = "../../agent/crates/tsdb/src/histogram.rs"]
mod histogram;
#[allow(dead_code)]
#[path = "../../agent/crates/tsdb/src/packed.rs"]
mod packed;
#[allow(dead_code)]
#[path = "../../agent/crates/tsdb/src/wire.rs"]
mod wire;

use codec::{Item, TokenReader};
use column::ColumnReader;
use libfuzzer_sys::fuzz_target;

/// A few bytes may stand for four thousand million values that are all alike.
const VALUES_MAX: u32 = 5_000;

/// Reads values one by one, and again with every so many passed over.
fn values(reader: &ColumnReader, bytes: &[u8], step: u32) {
    let (mut one, mut found) = (reader.clone(), Vec::new());
    while let Some(item) = one.next(bytes, 0).filter(|_| found.len() < VALUES_MAX as usize) {
        found.push((of(item), one.start()));
    }
    let (mut passing, mut at) = (reader.clone(), 0);
    while at + step < found.len() as u32 {
        passing.skip(bytes, 0, step).expect("they were read before");
        at += step;
        let item = passing.next(bytes, 0).expect("it was read before");
        assert_eq!((of(item), passing.start()), found[at as usize]);
        at += 1;
    }
    let _ = passing.skip(bytes, 0, u32::MAX.min(VALUES_MAX));
}

fn of(item: Item<'_>) -> (u64, Vec<u8>) {
    match item {
        Item::Float(value) => (value.to_bits(), Vec::new()),
        Item::Histogram(bytes) => (1, bytes.to_vec()),
    }
}

fn integers(reader: &ColumnReader, bytes: &[u8], step: u32) {
    let (mut one, mut found) = (reader.clone(), Vec::new());
    while let Some(value) = one.next_int(bytes, 0).filter(|_| found.len() < VALUES_MAX as usize) {
        found.push(value);
    }
    let (mut passing, mut at) = (reader.clone(), 0);
    while at + step < found.len() as u32 {
        // A forger's exceptions and starts, which no column of integers has, are met when values are passed over.
        let Some(()) = passing.skip_ints(bytes, 0, step) else { break };
        at += step;
        assert_eq!(passing.next_int(bytes, 0), Some(found[at as usize]));
        at += 1;
    }
    let (mut runs, mut at) = (reader.clone(), 0);
    while at < found.len() {
        let Some((value, count)) = runs.next_ints(bytes, 0, step + 1) else { break };
        let known = &found[at..found.len().min(at + count as usize)];
        assert!(count > 0 && count <= step + 1 && known.iter().all(|known| *known == value));
        at += count as usize;
    }
    let least = found.get(found.len() / 2).copied().unwrap_or(0);
    let _ = reader.clone().next_not_below(bytes, 0, least, VALUES_MAX);
}

fuzz_target!(|bytes: &[u8]| {
    let Some((step, bytes)) = bytes.split_first() else { return };
    let step = u32::from(*step);
    let open = ColumnReader::Open(TokenReader::default());
    for reader in [Some(open), ColumnReader::sealed(bytes)].into_iter().flatten() {
        values(&reader, bytes, step);
        integers(&reader, bytes, step);
    }
    if let Some(read) = histogram::take(bytes) {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        histogram::put(&mut first, &read);
        let again = histogram::take(&first).expect("what was written is read");
        histogram::put(&mut second, &again);
        assert_eq!(first, second);
    }
});
