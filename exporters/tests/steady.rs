//! A warm lane over this machine allocates nothing, and is quick.
//!
//! Allocations are counted for the whole process, so other tests running beside this one would be counted too: each
//! reading is repeated, and one without any allocation is proof enough. The limit of a millisecond is the median of
//! the best of several rounds, because the machine may be busy with something else.

use std::alloc::System;
use std::time::Instant;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use crate::support::settings;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How often a reading is repeated until one shows no allocation.
const TRIES: usize = 2_000;

#[test]
fn a_warm_lane_allocates_nothing_and_takes_under_a_millisecond() {
    let mut lane = exporters::lane(&settings(&[])).expect("good settings");
    let start = Instant::now();
    let mut clock = || start.elapsed().as_nanos() as u64;
    let mut writer = exposition::TextWriter::new();
    let mut text = String::new();
    let mut quiet = false;
    for _ in 0..TRIES {
        let region = Region::new(ALLOCATOR);
        text.clear();
        writer.write(lane.collect(&mut clock), &mut text);
        let change = region.change();
        quiet = change.allocations == 0 && change.reallocations == 0;
        if quiet {
            break;
        }
    }
    assert!(quiet, "every collection allocated");
    let median = (0..10).map(|_| {
        let mut times: Vec<u64> = (0..41)
            .map(|_| {
                let before = clock();
                lane.collect(&mut clock);
                clock() - before
            })
            .collect();
        times.sort_unstable();
        times[times.len() / 2]
    });
    let best = median.min().expect("ten rounds");
    let rows = lane.batch().rows().len();
    eprintln!("collecting {rows} rows takes {} us (median of the best round)", best / 1_000);
    assert!(rows > 100, "only {rows} rows");
    assert!(best < 1_000_000, "{best} ns");
}
