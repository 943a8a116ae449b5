//! What selections keep at hand they keep of one allowance: four that read at once hold little more than one, and all
//! find what one finds.

mod board;

use std::alloc::System;
use std::sync::Barrier;

use board::{Board, options};
use model::{Querier, Steps, TimeRange, UnixMs};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tsdb::{Options, Reader};

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How many sources there are, and series.
const SOURCES: u32 = 8;
const SERIES: usize = SOURCES as usize * 8;

/// What all may keep: a mebibyte of what was unpacked and one of times.
const ALLOWANCE: usize = 2 << 20;
/// What each has beside that: the indexes of the blocks, the series, and the column that it reads.
const BESIDE: usize = 512 << 10;

/// More than twenty blocks of values that nothing packs.
fn ring() -> Board {
    let options = Options { file_bytes: 8 << 20, block_bytes_max: 64 << 10, block_ms_max: 86_400_000, ..options() };
    let (mut board, mut seed) = (Board::new(options), 7u64);
    for step in 0..30_000u64 {
        let mut noise = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            f64::from_bits(seed >> 12)
        };
        let source = step as u32 % SOURCES;
        let values: Vec<(String, f64)> = (0..8).map(|n| (format!("{source}-{n}"), noise())).collect();
        let values: Vec<(&str, f64)> = values.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        board.append(source + 1, &values);
        board.pass(1_000);
    }
    board
}

fn held() -> usize {
    let stats = GLOBAL.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// Selects a sample every few minutes and returns what stands for them; meets the others at the first series, so that
/// all are there, and at the last, so that each still is when it is measured.
fn read(reader: &Reader, end: i64, meeting: &Barrier, measure: &mut dyn FnMut()) -> u64 {
    let (mut found, mut series) = (0u64, 0);
    let range = TimeRange { start: UnixMs(board::START), end: UnixMs(end) };
    let steps = Steps { first: range.start, step_ms: 256_000, count: 120 };
    let read = reader.select_steps(&[], range, steps, &mut |_, samples| {
        series += 1;
        for (at, value) in samples.at.iter().zip(samples.floats) {
            found = (found ^ at.0 as u64 ^ value.to_bits()).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
        }
        if series == 1 || series == SERIES {
            meeting.wait();
        }
        if series == SERIES {
            measure();
            meeting.wait();
        }
        true
    });
    read.expect("a selection");
    assert_eq!(series, SERIES);
    found
}

/// Returns what so many selections hold together when each is at its end, and what they found.
fn at_once(board: &Board, count: usize) -> (usize, u64) {
    let (meeting, before, end) = (Barrier::new(count), held(), board.now.wall.0);
    let mut together = 0;
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..count)
            .map(|_| {
                let (reader, meeting) = (board.store.reader(), &meeting);
                scope.spawn(move || read(&reader, end, meeting, &mut || ()))
            })
            .collect();
        let found = read(&board.store.reader(), end, &meeting, &mut || together = held() - before);
        for other in others {
            assert_eq!(other.join().expect("a thread that ends"), found, "{count} find the same");
        }
        (together, found)
    })
}

/// One test, because the counter counts for the whole process.
#[test]
fn four_selections_keep_what_one_keeps() {
    let board = ring();
    assert!(board.store.stats().blocks > 20, "{} blocks", board.store.stats().blocks);
    let (one, found) = at_once(&board, 1);
    assert!(one > ALLOWANCE * 2 / 3, "one keeps {one} bytes");
    for count in [2, 4, 16] {
        let (together, same) = at_once(&board, count);
        assert_eq!(same, found);
        assert!(together < ALLOWANCE + count * BESIDE, "{count} keep {together} bytes, one {one}");
    }
}
