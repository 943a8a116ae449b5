//! What sealing a block needs beside the blocks themselves: the squeezed block, what the next block begins with, and a
//! little that does not grow with how much there is to seal.
//!
//! Counted is what is asked of the allocator from the freeze on. Within a step all that is asked for counts as if none
//! of it were given back before the step ends, so what is found is at least the true peak. What zstd takes is not asked
//! of this allocator; its bound stands beside the squeezer.

mod board;

use std::alloc::System;

use board::{Board, Memory, at, options};
use model::{Batch, Disk, Labels, MetricKind, SourceId};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};
use tsdb::{DiskOp, OpDone, Options};

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What a step of packing and squeezing needs: a run of pages on its way, one group before and after it was squeezed.
const STEP_BYTES_MAX: usize = 384 << 10;
/// What a line (one batch of a source) costs: values of one column and their differences, while it is packed.
const LINE_BYTES_MAX: usize = 64;
/// What a series costs: its column and name in the next block, its entry in the index, its place in the lists.
const SERIES_BYTES_MAX: usize = 256;

fn taken(change: &Stats) -> isize {
    change.bytes_allocated as isize - change.bytes_deallocated as isize
}

/// Does one operation of the disk at a time, as a disk thread does, and lets nothing else come in between.
fn one_op(board: &mut Board, ops: &mut Vec<DiskOp>) {
    board.store.take_ops(ops);
    for op in ops.drain(..) {
        let done = match op {
            DiskOp::Write { offset, bytes } => OpDone::Written { result: board.disk.write(offset, &bytes) },
            DiskOp::Sync { ticket } => OpDone::Synced { ticket, result: board.disk.sync() },
            DiskOp::Tail { .. } => continue,
        };
        board.store.done(board.now, done);
    }
}

/// Seals a block of so many series and batches; returns the most that was taken at once since it was frozen, and what
/// the block has on the medium.
fn sealed(series: usize, batches: u64) -> (usize, usize) {
    let options = Options { file_bytes: 64 << 20, block_bytes_max: 4 << 20, tail_bytes: 0, ..options() };
    let mut board = Board::open(Memory::default(), Vec::new(), options, at(1_000)).0;
    let names: Vec<String> = (0..series).map(|n| format!("device-{n}")).collect();
    let (extra, mut dice) = (Labels::from_pairs([("job", "test")]), 0x9e37_79b9_7f4a_7c15u64);
    let mut batch = Batch::new();
    for _ in 0..batches {
        batch.clear();
        batch.family("m", "Help.", MetricKind::Gauge);
        for name in &names {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            batch.add(&[("n", name)], (dice >> 52) as f64);
        }
        assert_eq!(board.store.append(board.now, &batch, SourceId(1), &extra).rows.len(), series as u64);
        board.pass(1_000);
    }
    assert_eq!(board.store.stats().blocks, 0, "{series} series, {batches} batches: all of it is in the open block");
    // What is pending is not what is looked at.
    board.store.flush(board.now);
    board.drain();

    let (mut ops, region) = (Vec::new(), Region::new(GLOBAL));
    let (mut most, mut step) = (0, Region::new(GLOBAL));
    board.store.seal(board.now);
    while board.store.stats().blocks == 0 {
        board.store.tick(board.now);
        one_op(&mut board, &mut ops);
        let (now, in_step) = (taken(&region.change()), step.change_and_reset());
        most = most.max(now - taken(&in_step) + in_step.bytes_allocated as isize);
    }
    assert!(!board.store.stats().frozen);
    (most as usize, board.store.stats().used_bytes as usize)
}

/// One test, because the counter counts for the whole process.
#[test]
fn sealing_needs_little_beside_the_squeezed_block() {
    for (series, batches) in [(100, 10), (100, 2_500), (2_000, 10), (2_000, 200), (5_000, 80)] {
        let (most, block) = sealed(series, batches);
        let limit = block + series * SERIES_BYTES_MAX + batches as usize * LINE_BYTES_MAX + STEP_BYTES_MAX;
        assert!(most <= limit, "{series} series, {batches} batches: {most} bytes at once, block {block}");
    }
}
