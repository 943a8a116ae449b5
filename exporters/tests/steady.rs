//! A warm lane over this machine allocates nothing, and is quick.
//!
//! Allocations are counted for the whole process, so other tests running beside this one would be counted too: each
//! reading is repeated, and one without any allocation is proof enough. The limit of a millisecond is the median of
//! the best of several rounds, because the machine may be busy with something else.

use std::alloc::System;
use std::time::Instant;

use exporters::{COLLECTORS, Lane};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use crate::own::{board, flags, mounts};
use crate::support::{Folder, copy, lane_over, settings};

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

/// Collectors that ask over netlink. Their fake allocates its answers, so they are asked of this machine.
const NETLINK: [&str; 8] = ["arp", "ethtool", "netdev", "network_route", "qdisc", "systemd", "tcpstat", "wifi"];

/// Every collector by itself, over our own board, on which each of them has something to tell.
#[test]
fn no_warm_collector_allocates() {
    let folder = Folder::new("steady");
    copy(&board(), &folder.0);
    // What is refused is reported each time, and a report is memory.
    std::fs::remove_file(folder.0.join("textfile/broken.prom")).expect("a file to remove");
    let flags = flags(&folder.0);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let mut lane = lane_over(&folder.0, &flags, mounts(&folder.0));
    let switches = NETLINK.map(|name| format!("collector.{name}"));
    let mut live = exporters::lane(&settings(&switches.each_ref().map(String::as_str))).expect("good settings");
    let loud: Vec<&str> = COLLECTORS
        .iter()
        .map(|info| info.name)
        .filter(|name| !is_quiet(if NETLINK.contains(name) { &mut live } else { &mut lane }, name))
        .collect();
    assert_eq!(loud, [] as [&str; 0]);
}

fn is_quiet(lane: &mut Lane, name: &str) -> bool {
    let mut ns = 0;
    let mut clock = || {
        ns += 1_000;
        ns
    };
    (0..TRIES).any(|_| {
        let region = Region::new(ALLOCATOR);
        lane.collect_some(&|wanted| wanted == name, &mut clock);
        let change = region.change();
        change.allocations == 0 && change.reallocations == 0
    })
}
