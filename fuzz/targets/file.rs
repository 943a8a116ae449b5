//! Opening a data file of which anything may be wrong but the checksums: superblocks, checkpoints, journal pages and
//! what is squeezed within blocks are changed and made whole again, as a forger would.
//!
//! Whatever they say, opening ends, nothing panics, no more memory is taken than the file is worth, what is appended
//! afterwards is found again, and the file can be opened once more. Sizes that are not the file's own are left out.
#![no_main]

#[path = "../../agent/crates/tsdb/tests/board/mod.rs"]
mod board;
#[path = "../../agent/crates/tsdb/src/crc.rs"]
mod crc;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use arbitrary::Arbitrary;
use board::{Board, Memory, at};
use crc::{crc32c, extend};
use libfuzzer_sys::fuzz_target;
use model::{
    Batch, Counts, Histogram, Labels, Matcher, MetricKind, Outbox, Querier, ResetHint, RowId, SourceId, Span, Tail,
    TimeRange, Value,
};
use tsdb::{Options, Store};

const PAGE: usize = 4096;
const BLOCK_HEAD: usize = 32;
const JOURNAL_HEAD: usize = 56;
const META: usize = 68;
const EXTREMES: [u64; 12] =
    [0, 1, 2, 0x7f, 0xff, 0xffff, 0x7fff_ffff, 0x8000_0000, u32::MAX as u64, u64::MAX, i64::MAX as u64, 1 << 63];

#[derive(Arbitrary, Debug)]
enum Edit {
    /// Bytes of a page.
    Bytes { page: u8, at: u16, bytes: [u8; 6], count: u8 },
    /// A number of a page that claims what it likes.
    Number { page: u8, at: u16, extreme: u8, width: u8 },
    /// Another page in a page's place.
    Copy { page: u8, from: u8 },
    /// Bytes of a sealed block as they were before they were squeezed.
    Group { block: u8, group: u8, at: u16, bytes: Vec<u8> },
    /// Bytes of the tail file.
    Tail { at: u16, bytes: [u8; 4] },
}

fn small() -> Options {
    Options { file_bytes: 256 << 10, tail_bytes: 32 << 10, block_ms_max: 900_000, ..board::options() }
}

fn histogram(count: u64) -> Value {
    let counts = Counts::Integer { count, zero: 1, positive: vec![count, 2], negative: vec![3] };
    let spans = |length| vec![Span { offset: 1, length }];
    let (positive_spans, negative_spans, custom_bounds) = (spans(2), spans(1), Vec::new());
    let (schema, zero_threshold, sum, hint) = (3, 0.5, count as f64, ResetHint::Unknown);
    let found = Histogram { schema, zero_threshold, sum, positive_spans, negative_spans, custom_bounds, counts, hint };
    Value::Histogram(Arc::new(found))
}

/// A life with everything in it that a file can hold, and the tail file at its end.
static LIVED: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let mut board = Board::new(small());
    let mut seed = 7u64;
    for step in 0..700u32 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let noise = f64::from_bits(seed);
        let mut values = vec![("a", noise), ("b", f64::from(step)), ("c", f64::from(step / 7) / 100.0)];
        if step % 5 == 0 {
            values.push(("d", 0.5));
        }
        board.append(1, &values);
        board.append(2, &[("e", (seed >> 50) as f64 / 1e3 / 1e3)]);
        let mut batch = Batch::new();
        batch.family_with_unit("own_seconds", "Times of its own.", MetricKind::Histogram, "seconds");
        batch.add(&[("n", "h")], 0.0);
        batch.set(0, histogram(step.into()), Some(board.now.wall.plus_ms(-i64::from(step))), Some(board.now.wall));
        board.store.append(board.now, &batch, SourceId(3), &Labels::empty());
        if step % 3 == 0 {
            board.store.put_cell("cell", &[step as u8, 1]).expect("small");
        }
        board.pass(20_000);
        if step % 300 == 299 {
            board = Board::open(board.disk.clone(), board.tail.clone(), small(), board.now).0;
        }
    }
    board.append(1, &[("a", 1.0), ("late", 2.0)]);
    assert!(board.store.stats().blocks > 3);
    let bytes = board.disk.0.lock().expect("not poisoned").clone();
    (bytes, board.tail)
});

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Makes a page whole again.
fn reseal(page: &mut [u8]) {
    if page.starts_with(b"NARTHEX\n") {
        let crc = crc32c(&page[12..]);
        page[8..12].copy_from_slice(&crc.to_le_bytes());
        return;
    }
    if &page[4..8] == b"NXck" && page[12..16] == [0; 4] {
        let length = number(page, 32) as usize;
        if let Some(payload) = page.get(40..40 + length.min(PAGE)) {
            let crc = crc32c(payload);
            page[36..40].copy_from_slice(&crc.to_le_bytes());
        }
    }
    let crc = crc32c(&page[4..]);
    page[..4].copy_from_slice(&crc.to_le_bytes());
}

/// Makes the running checksums of the journal's streams right again.
fn chain(bytes: &mut [u8]) {
    let mut pages: Vec<(u64, u32, u64, usize)> = Vec::new();
    for (place, page) in bytes.chunks(PAGE).enumerate().filter(|(_, page)| &page[4..8] == b"NXjp") {
        let wide = |at| u64::from(number(page, at)) | u64::from(number(page, at + 4)) << 32;
        pages.push((wide(16), number(page, 40), wide(24), place));
    }
    pages.sort_unstable();
    let mut ends: HashMap<(u64, u32), u32> = HashMap::new();
    for (block, offset, _, place) in pages {
        let page = &mut bytes[place * PAGE..(place + 1) * PAGE];
        let file = number(page, 8);
        let begun = (offset == 0).then(|| extend(file, &block.to_le_bytes()));
        let Some(prior) = begun.or_else(|| ends.get(&(block, offset)).copied()) else { continue };
        let used = (number(page, 48) as usize).min(PAGE - JOURNAL_HEAD);
        let behind = extend(prior, &page[JOURNAL_HEAD..JOURNAL_HEAD + used]);
        ends.insert((block, offset.wrapping_add(used as u32)), behind);
        page[44..48].copy_from_slice(&prior.to_le_bytes());
        reseal(page);
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Option<usize> {
    let (mut value, mut shift) = (0, 0);
    loop {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 || shift > 28 {
            return Some(value);
        }
    }
}

/// Changes bytes within a group and squeezes it again; `None` when the block has no room for that.
fn edit_group(bytes: &mut [u8], block: u8, group: u8, at: u16, new: &[u8]) -> Option<()> {
    let is_first = |page: &[u8]| &page[4..8] == b"NXbk" && number(page, 12) == 0;
    let firsts: Vec<usize> =
        bytes.chunks(PAGE).enumerate().filter(|(_, page)| is_first(page)).map(|(place, _)| place).collect();
    let first = *firsts.get(usize::from(block) % firsts.len().max(1))?;
    let pages = number(&bytes[first * PAGE..], 24) as usize;
    let range = first * PAGE..(first + pages) * PAGE;
    let payload: Vec<u8> =
        bytes.get(range.clone())?.chunks(PAGE).flat_map(|page| &page[BLOCK_HEAD..]).copied().collect();
    let directory_bytes = number(&payload, 64) as usize;
    let mut directory = payload.get(META..META + directory_bytes)?;
    let (mut groups, mut from) = (Vec::new(), META + directory_bytes);
    while !directory.is_empty() {
        let (raw, stored) = (take_varint(&mut directory)?, take_varint(&mut directory)?);
        groups.push((raw, payload.get(from..from + stored)?.to_vec()));
        from += stored;
    }
    let count = groups.len().max(1);
    let (raw, stored) = groups.get_mut(usize::from(group) % count)?;
    let mut plain = if stored.len() == *raw { stored.clone() } else { zstd::bulk::decompress(stored, *raw).ok()? };
    let at = usize::from(at) % plain.len().max(1);
    let end = plain.len().min(at + new.len());
    plain[at..end].copy_from_slice(&new[..end - at]);
    *stored = zstd::bulk::compress(&plain, 6).ok().filter(|squeezed| squeezed.len() < plain.len()).unwrap_or(plain);
    let mut made = payload[..META].to_vec();
    for (raw, stored) in &groups {
        put_varint(&mut made, *raw);
        put_varint(&mut made, stored.len());
    }
    let directory_bytes = (made.len() - META) as u32;
    made[64..68].copy_from_slice(&directory_bytes.to_le_bytes());
    groups.iter().for_each(|(_, stored)| made.extend_from_slice(stored));
    if made.len() > payload.len() {
        return None;
    }
    made.resize(payload.len(), 0);
    for (page, part) in bytes[range].chunks_mut(PAGE).zip(made.chunks(PAGE - BLOCK_HEAD)) {
        page[BLOCK_HEAD..].copy_from_slice(part);
        reseal(page);
    }
    Some(())
}

/// The pages that hold something.
static USED: LazyLock<Vec<usize>> = LazyLock::new(|| {
    let pages = LIVED.0.chunks(PAGE).enumerate();
    pages.filter(|(_, page)| page.iter().any(|byte| *byte != 0)).map(|(at, _)| at).collect()
});

fn forge(edits: &[Edit], bytes: &mut [u8], tail: &mut [u8]) {
    let place = |page: u8| USED[usize::from(page) % USED.len()] * PAGE;
    for edit in edits.iter().take(8) {
        match edit {
            Edit::Bytes { page, at, bytes: new, count } => {
                let (from, count) = (place(*page), 1 + usize::from(*count) % new.len());
                let at = 12 + usize::from(*at) % (PAGE - 12 - count);
                bytes[from + at..from + at + count].copy_from_slice(&new[..count]);
                reseal(&mut bytes[from..from + PAGE]);
            }
            Edit::Number { page, at, extreme, width } => {
                let (from, width) = (place(*page), [1, 4, 8][usize::from(*width) % 3]);
                let at = 12 + usize::from(*at) % (PAGE - 12 - width);
                let value = EXTREMES[usize::from(*extreme) % EXTREMES.len()].to_le_bytes();
                bytes[from + at..from + at + width].copy_from_slice(&value[..width]);
                reseal(&mut bytes[from..from + PAGE]);
            }
            Edit::Copy { page, from } => bytes.copy_within(place(*from)..place(*from) + PAGE, place(*page)),
            Edit::Group { block, group, at, bytes: new } => drop(edit_group(bytes, *block, *group, *at, new)),
            Edit::Tail { at, bytes: new } => {
                let at = usize::from(*at) % (tail.len() - 4);
                tail[at..at + 4].copy_from_slice(new);
            }
        }
    }
    chain(bytes);
}

fn look(store: &Store) {
    let reader = store.reader();
    let (mut tail, mut after) = (Tail::default(), RowId::default());
    for _ in 0..300 {
        if reader.since(after, None, 997, &mut tail).is_err() || tail.until <= after {
            break;
        }
        after = tail.until;
    }
    let _ = reader.select(&[], TimeRange::ALL, &mut |_, samples| {
        assert!(samples.at.is_sorted_by(|a, b| a < b));
        true
    });
    let _ = reader.series(&[Matcher::equal("__name__", "m")], TimeRange::ALL, &mut |_| true);
    store.stats();
}

fn open_and_go_on(bytes: Vec<u8>, tail: &[u8]) -> Option<()> {
    let disk = Memory(Arc::new(Mutex::new(bytes)));
    for round in 0..2 {
        let now = at(90_000_000 + round * 1_000_000);
        let tail = (round == 0).then_some(tail);
        let (store, _) = Store::open(&mut disk.clone(), Arc::new(disk.clone()), tail, small(), now).ok()?;
        look(&store);
        let mut board = Board { disk: disk.clone(), tail: Vec::new(), store, now };
        let appended = board.append(1, &[("a", 1.0), ("new", 2.0)]);
        for step in 0..10 {
            board.append(1, &[("a", f64::from(step)), ("new", f64::from(step))]);
            board.pass(20_000);
        }
        board.store.flush(board.now);
        board.drain();
        look(&board.store);
        let (mut found, matcher) = (0, Matcher::equal("n", "new"));
        let _ = board.store.reader().select(&[matcher], TimeRange::ALL, &mut |_, samples| {
            found = samples.at.len();
            true
        });
        assert!(found >= 10 || appended.refused.total() > 0, "{found} of the new samples");
    }
    Some(())
}

fuzz_target!(|edits: Vec<Edit>| {
    let (mut bytes, mut tail) = LIVED.clone();
    forge(&edits, &mut bytes, &mut tail);
    let pages = (bytes.len() / PAGE) as u32;
    // A file that claims another size is given this one, which is the subject of another test.
    let is_other = |page: &[u8]| page.starts_with(b"NARTHEX\n") && number(page, 20) != pages;
    if !bytes.chunks(PAGE).any(is_other) {
        open_and_go_on(bytes, &tail);
    }
});
