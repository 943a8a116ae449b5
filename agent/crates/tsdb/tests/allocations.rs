//! A store whose series stay the same allocates nothing for a sample that comes: columns grow in a pool that a block
//! leaves to the next, and whatever else an append needs it has kept.
//!
//! Counted is what `append` itself asks of the allocator while a block is open, with rows that share a time, rows with
//! times of their own, and histograms. What is bound for the disk is handed over in buffers that change their owner:
//! one for a batch's frame of the tail file, whatever the number of rows, and none where there is no tail file.

mod board;

use std::alloc::System;
use std::sync::Arc;

use board::{Board, Memory, at, options};
use model::{Batch, Counts, Histogram, Labels, MetricKind, ResetHint, SourceId, Span, Value};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tsdb::Options;

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Shared,
    OwnTimes,
    Histograms,
}

fn value(kind: Kind, row: u64, round: u64) -> Value {
    let moving = (row * 7 + round * round * 31) % 1_003;
    if kind != Kind::Histograms {
        return Value::Float(if row.is_multiple_of(3) { f64::from(row as u32) } else { moving as f64 / 10.0 });
    }
    Value::Histogram(Arc::new(Histogram {
        schema: 3,
        zero_threshold: 1e-9,
        sum: moving as f64,
        positive_spans: vec![Span { offset: 2, length: 3 }],
        negative_spans: Vec::new(),
        custom_bounds: Vec::new(),
        counts: Counts::Integer { count: 10 + round * 3, zero: 10, positive: vec![round; 3], negative: Vec::new() },
        hint: ResetHint::Unknown,
    }))
}

/// Returns how often a hundred appends of `rows` rows in the middle of a block that is not the first two allocated.
fn in_a_hundred(kind: Kind, rows: u64, tail_bytes: u64) -> usize {
    let options = Options { file_bytes: 64 << 20, block_bytes_max: 8 << 20, tail_bytes, ..options() };
    let mut board = Board::open(Memory::default(), Vec::new(), options, at(1_000)).0;
    let names: Vec<String> = (0..rows).map(|n| n.to_string()).collect();
    let extra = Labels::from_pairs([("job", "test")]);
    let mut count = 0;
    for round in 0..375 {
        let mut batch = Batch::new();
        batch.family("m", "Help.", MetricKind::Gauge);
        for (name, row) in names.iter().zip(0..) {
            batch.add(&[("n", name)], 0.0);
            let own = (kind == Kind::OwnTimes).then_some(board.now.wall);
            batch.set(row as usize, value(kind, row, round % 125), own, None);
        }
        let region = Region::new(GLOBAL);
        let appended = board.store.append(board.now, &batch, SourceId(1), &extra);
        let change = region.change();
        assert_eq!(appended.rows.len(), rows);
        // Two blocks grow the pools, of which there are two; the third one names its series in the first rows.
        if (260..360).contains(&round) {
            count += change.allocations + change.reallocations;
        }
        board.pass(if round == 125 || round == 250 { 7_200_000 } else { 1_000 });
    }
    assert_eq!(board.store.stats().blocks, 2);
    count
}

/// One test, because the counter counts for the whole process.
#[test]
fn a_sample_that_comes_allocates_nothing() {
    for kind in [Kind::Shared, Kind::OwnTimes, Kind::Histograms] {
        for rows in [10, 100] {
            // What is kept may grow once more, with the dates.
            let found = in_a_hundred(kind, rows, 0);
            assert!(found <= 2, "{found} times for {kind:?}, {rows} rows");
            // The frame, and the list of what the disk is to do.
            let found = in_a_hundred(kind, rows, 64 << 20);
            assert!(found <= 202, "{found} times for {kind:?}, {rows} rows and a tail file");
        }
    }
}
