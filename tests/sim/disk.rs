//! A medium that stalls or fails: nothing but its own answers is late, and nothing acknowledged is lost.
//!
//! With a card that stalls for five seconds at each sync, all that the board does happens at the very same
//! milliseconds as with a good one. A card that fails for an hour costs nothing but counted faults: everything is
//! served from memory, and written once it works again.

use std::sync::Arc;

use model::{Mono, Now, RowId, UnixMs};
use support::disk::{Fate, FaultyDisk};
use tsdb::Store;

use crate::world::{HOUR, MINUTE, Plan, SECOND, World, options};

const RULES: &str = "
groups:
  - name: board
    rules:
      - record: sim:temp:avg5m
        expr: avg_over_time(sim_temp[5m])
      - alert: Hot
        expr: sim_temp > 80
        for: 1m
";

const NOTIFY: &str = "
receivers: [{ name: hook, webhook_configs: [{ url: 'http://127.0.0.1:9/' }] }]
route: { receiver: hook, group_wait: 10s, group_interval: 1m, repeat_interval: 12h }
";

fn plan(seed: u64) -> Plan {
    // So short a block that many are sealed.
    Plan { seed, rules: RULES, notify: NOTIFY, has_upstream: true, file_bytes: 1 << 20, ..Plan::default() }
}

/// Six hours in which it gets hot now and then.
fn six_hours(plan: Plan) -> World {
    let mut world = World::new(plan);
    world.set_clock();
    for _ in 0..12 {
        world.temperature = if world.temperature > 80.0 { 20.0 } else { 90.0 };
        world.run(30 * MINUTE);
    }
    world
}

#[test]
fn a_disk_that_stalls_for_five_seconds_delays_nothing_but_its_answers() {
    for seed in 1..=3 {
        let good = six_hours(plan(seed));
        let stalling = six_hours(Plan { sync_ms: 5 * SECOND, ..plan(seed) });
        let differs = good.trace.iter().zip(&stalling.trace).find(|(a, b)| a != b);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(
            (good.trace.len(), good.receiver.notices.len()),
            (stalling.trace.len(), stalling.receiver.notices.len())
        );
        assert!(stalling.trace.len() > 4_000, "{} things happened", stalling.trace.len());
        assert!(stalling.receiver.notices.len() >= 10, "{} notices", stalling.receiver.notices.len());
        assert!(stalling.core.store.stats().blocks > 2 && stalling.core.store.stats().syncs > 250);
    }
}

#[test]
fn waiting_for_a_stalled_disk_would_be_noticed() {
    let good = six_hours(plan(1));
    let waiting = six_hours(Plan { sync_ms: 5 * SECOND, waits_for_disk: true, ..plan(1) });
    assert!(good.trace.iter().zip(&waiting.trace).any(|(a, b)| a != b));
}

#[test]
fn a_disk_that_fails_for_an_hour_costs_counted_faults_and_nothing_else() {
    for seed in 1..=5 {
        let mut world = World::new(plan(seed));
        world.set_clock();
        world.run(HOUR + seed * 7 * SECOND);
        world.disk_fails = true;
        world.run(HOUR);
        let stats = world.core.store.stats();
        assert!(stats.faults >= 50, "seed {seed}: {} faults", stats.faults);
        let certain = stats.certain;
        check_served(&world);
        check_cuts(&mut world, certain);

        world.disk_fails = false;
        world.run(3 * MINUTE);
        let stats = world.core.store.stats();
        let newest = world.collected.iter().rev().find(|collected| collected.at + 2 * MINUTE < world.time);
        assert!(newest.is_some_and(|newest| newest.newest <= stats.certain), "seed {seed}: not recovered");
        let faults = stats.faults;
        check_served(&world);
        check_cuts(&mut world, stats.certain);
        world.run(HOUR);
        assert_eq!(world.core.store.stats().faults, faults, "seed {seed}");
        check_served(&world);
        assert_eq!(world.core.store.stats().dropped, 0, "seed {seed}");
    }
}

/// Everything collected is served, and nearly all of it was sent.
fn check_served(world: &World) {
    let stored: Vec<u64> = world.stored().into_iter().map(|(_, seq)| seq).collect();
    let collected: Vec<u64> = world.collected.iter().map(|collected| collected.seq).collect();
    assert!(stored == collected, "seed {}: {} of {} are served", world.plan.seed, stored.len(), collected.len());
    assert!(world.net.seqs.len() + 8 > collected.len(), "seed {}: {} were sent", world.plan.seed, world.net.seqs.len());
}

/// Whatever becomes of what is pending, a power cut now leaves what was called certain.
fn check_cuts(world: &mut World, certain: RowId) {
    let wanted: Vec<u64> =
        world.collected.iter().filter(|collected| collected.newest <= certain).map(|collected| collected.seq).collect();
    assert!(wanted.len() > 200);
    for fate in Fate::ALL {
        let left = world.disk.after(fate);
        let found = found_on(&left, &world.plan);
        assert!(found.starts_with(&wanted), "seed {}, {fate:?}: {} of {}", world.plan.seed, found.len(), wanted.len());
    }
}

fn found_on(disk: &FaultyDisk, plan: &Plan) -> Vec<u64> {
    let now = Now { mono: Mono(0), wall: UnixMs(0), wall_trusted: false };
    let opened = Store::open(&mut disk.clone(), Arc::new(disk.clone()), None, options(plan, 99), now);
    let (store, _) = opened.unwrap_or_else(|error| panic!("does not open: {error}"));
    crate::world::series(&store.reader(), "sim_seq", &[("i", "0")]).into_iter().map(|(_, value)| value as u64).collect()
}

#[test]
fn a_disk_that_fails_for_half_a_day_is_served_from_bounded_memory() {
    for seed in 1..=2 {
        let mut world = World::new(plan(seed));
        world.set_clock();
        world.run(HOUR + seed * 7 * SECOND);
        world.disk_fails = true;
        world.run(12 * HOUR);
        let newest = world.stored().last().map(|(_, seq)| *seq);
        assert_eq!(newest, world.collected.last().map(|collected| collected.seq), "seed {seed}");
        assert!(world.head_bytes_max < 4 << 20, "seed {seed}: {} bytes", world.head_bytes_max);
        world.disk_fails = false;
        world.run(3 * HOUR);
        let stats = world.core.store.stats();
        let settled = world.collected.iter().rev().find(|collected| collected.at + 2 * MINUTE < world.time);
        assert!(settled.is_some_and(|settled| settled.newest <= stats.certain), "seed {seed}: {stats:?}");
        // The upstream was there all the time and lacks nothing.
        assert!(world.net.seqs.len() + 8 > world.collected.len(), "seed {seed}: {} were sent", world.net.seqs.len());
    }
}

#[test]
fn a_disk_that_hangs_for_half_a_day_is_served_from_bounded_memory() {
    let mut world = World::new(plan(4));
    world.set_clock();
    world.run(HOUR);
    world.plan.sync_ms = 12 * HOUR;
    world.run(12 * HOUR);
    world.plan.sync_ms = 20;
    world.run(15 * HOUR);
    let stats = world.core.store.stats();
    assert!(world.head_bytes_max < 4 << 20, "{} bytes", world.head_bytes_max);
    let settled = world.collected.iter().rev().find(|collected| collected.at + 2 * MINUTE < world.time);
    assert!(settled.is_some_and(|settled| settled.newest <= stats.certain), "{stats:?}");
    assert!(world.net.seqs.len() + 8 > world.collected.len(), "{} were sent", world.net.seqs.len());
}
