//! A week of outages: the network comes and goes, the process is killed, the power is cut, all from a seed.
//!
//! After a kill nothing is missing; after a power cut at most the last sync interval; what the upstream got is every
//! row that is stored, frames in doubt byte for byte as before; memory does not grow. Between two trusted clocks
//! every collection is stored under its true date.

use std::collections::HashMap;

use model::{Outbox, RowId, Tail};

use crate::net::row;
use crate::world::{DAY, HOUR, MINUTE, Plan, SECOND, TODAY, World};

const SYNC_MS: u64 = 60 * SECOND;
/// The most memory that open and frozen blocks may take, by the store's own account.
const HEAD_BYTES_MAX: u64 = 4 << 20;

const RULES: &str = "
groups:
  - name: board
    rules:
      - record: sim:temp:avg5m
        expr: avg_over_time(sim_temp[5m])
      - alert: Hot
        expr: sim_temp > 80
        for: 5m
";

/// What has come of a week.
#[derive(Debug, Default)]
struct Week {
    kills: u64,
    cuts: u64,
    /// Collections that power cuts took.
    lost: u64,
    /// Numbers of the collections that must be there.
    expected: Vec<u64>,
    /// How many collections were looked at.
    noted: usize,
    /// Boots that ended before their clock was trusted, or too soon after for that to be certain.
    undated_boots: Vec<u64>,
    trusted_at: Option<u64>,
}

/// How often the process and the board go down; none: never.
struct Weather {
    kill_every_ms: Option<u64>,
    cut_every_ms: Option<u64>,
}

fn live_a_week(seed: u64, weather: &Weather) -> (World, Week) {
    let plan = Plan {
        seed,
        rules: RULES,
        collect_ms: 45 * SECOND,
        group_interval_ms: MINUTE,
        has_upstream: true,
        ..Plan::default()
    };
    let (mut world, mut week) = (World::new(plan), Week::default());
    let (mut network_at, mut kill_at, mut cut_at) = (HOUR, u64::MAX, u64::MAX);
    let pick = |world: &mut World, every: Option<u64>| match every {
        Some(every) => world.time + world.between(every / 8, every * 2),
        None => u64::MAX,
    };
    kill_at = kill_at.min(pick(&mut world, weather.kill_every_ms));
    cut_at = cut_at.min(pick(&mut world, weather.cut_every_ms));
    while world.time < 7 * DAY {
        // The time service is on the network too.
        let synced_at = if world.net.is_up && !world.wall_trusted { world.time + 40 * SECOND } else { u64::MAX };
        let next = network_at.min(kill_at).min(cut_at).min(synced_at).min(7 * DAY);
        // A board that was away is late for what came meanwhile.
        world.run(next.saturating_sub(world.time));
        if next == synced_at {
            world.set_clock();
            week.trusted_at = Some(world.time);
        } else if next == network_at {
            world.net.is_up = !world.net.is_up;
            let long = if world.net.is_up { 6 * HOUR } else { 12 * HOUR };
            network_at = world.time + world.between(MINUTE, long);
            world.temperature = world.between(20, 95) as f64;
        } else if next == kill_at {
            let away = world.between(SECOND, 2 * MINUTE);
            week.kill(&mut world, away);
            kill_at = pick(&mut world, weather.kill_every_ms);
        } else if next == cut_at {
            let away = world.between(SECOND, HOUR);
            week.cut(&mut world, away);
            cut_at = pick(&mut world, weather.cut_every_ms);
        }
    }
    // The weather is good at the end, so that all there is can be sent.
    world.net.is_up = true;
    if !world.wall_trusted {
        world.set_clock();
        week.trusted_at = Some(world.time);
    }
    world.run(HOUR);
    // The last answer may be lost or on its way, and what came is compared with what is acknowledged.
    let patience = world.time + HOUR;
    while world.net.is_in_doubt() && world.time < patience {
        world.run(SECOND);
    }
    (world, week)
}

impl Week {
    fn kill(&mut self, world: &mut World, away_ms: u64) {
        self.note_collected(world);
        self.kills += 1;
        world.kill(away_ms);
        let stored = numbers(world);
        assert!(stored == self.expected, "seed {}: a kill lost something\n{}", world.plan.seed, self.differ(&stored));
    }

    fn cut(&mut self, world: &mut World, away_ms: u64) {
        self.note_collected(world);
        self.cuts += 1;
        let (at, boot) = (world.time, world.boot);
        if self.trusted_at.take().is_none_or(|since| since + SYNC_MS + 2 * SECOND > at) {
            self.undated_boots.push(boot);
        }
        world.cut(away_ms);
        let stored = numbers(world);
        let is_prefix = self.expected.starts_with(&stored);
        assert!(is_prefix, "seed {}: not a prefix\n{}", world.plan.seed, self.differ(&stored));
        let lost = &self.expected[stored.len()..];
        self.lost += lost.len() as u64;
        for collected in world.collected.iter().filter(|collected| lost.contains(&collected.seq)) {
            let age = at - collected.at;
            assert!(age <= SYNC_MS + SECOND, "seed {}: a cut lost what was {age} ms old", world.plan.seed);
        }
        self.expected = stored;
    }

    fn note_collected(&mut self, world: &World) {
        self.expected.extend(world.collected[self.noted..].iter().map(|collected| collected.seq));
        self.noted = world.collected.len();
    }

    fn differ(&self, stored: &[u64]) -> String {
        let at = self.expected.iter().zip(stored).position(|(a, b)| a != b);
        format!("{} expected, {} stored, they part at {at:?}", self.expected.len(), stored.len())
    }

    /// What is stored under which date.
    fn check_dates(&self, world: &World) {
        let collected: HashMap<u64, _> = world.collected.iter().map(|c| (c.seq, c)).collect();
        for (at, seq) in world.stored() {
            let collected = collected[&seq];
            let wanted = TODAY + collected.at as i64;
            let is_known = self.undated_boots.contains(&collected.boot);
            assert!(is_known || at == wanted, "seed {}: {seq} has {at} for {wanted}", world.plan.seed);
        }
    }
}

/// Returns the numbers of the collections that are stored, in the order in which they were.
fn numbers(world: &World) -> Vec<u64> {
    let mut numbers: Vec<u64> = world.stored().into_iter().map(|(_, seq)| seq).collect();
    numbers.sort_unstable();
    numbers
}

/// Checks that the upstream has every stored row, and returns how many there are.
fn check_sent(world: &World, once: bool) -> u64 {
    let seed = world.plan.seed;
    let reader = world.core.store.reader();
    let (mut tail, mut after, mut rows) = (Tail::default(), RowId::default(), 0);
    let acknowledged = world.net.uplink.as_ref().expect("there is one").stats().acknowledged;
    loop {
        reader
            .since(after, Some(acknowledged), 2_000, &mut tail)
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert!(tail.overwritten == 0 || !once, "seed {seed}: {} rows are gone", tail.overwritten);
        for found in &tail.rows {
            let value = found.sample.value.float().expect("a float");
            let row = row(found.labels.iter(), found.sample.at.0, value);
            let frames = world.net.received.get(&row).copied().unwrap_or(0);
            assert!(frames >= 1, "seed {seed}: {} {:?} never came", found.labels, found.sample);
            assert!(frames == 1 || !once, "seed {seed}: {} came in {frames} frames", found.labels);
            rows += 1;
        }
        if tail.until == after {
            break;
        }
        after = tail.until;
    }
    let newest = reader.newest();
    assert!(newest.opening == acknowledged.opening && newest.n - acknowledged.n < 400, "seed {seed}: {acknowledged}");
    if once {
        assert_eq!(world.net.received.len() as u64, rows, "seed {seed}: rows came that are not stored");
    }
    rows
}

fn check_bounded(world: &World) {
    let (seed, stats) = (world.plan.seed, world.core.store.stats());
    assert!(world.head_bytes_max < HEAD_BYTES_MAX, "seed {seed}: {} bytes of memory", world.head_bytes_max);
    assert_eq!(
        stats.refused.total() + stats.overwritten + stats.dropped + stats.tail_full,
        0,
        "seed {seed}: {stats:?}"
    );
    let uplink = world.net.uplink.as_ref().expect("there is one").stats();
    assert_eq!(uplink.refused_rows + uplink.left_out_rows, 0, "seed {seed}: {uplink:?}");
}

#[test]
fn a_week_of_outages_and_kills_loses_and_repeats_nothing() {
    for seed in 1..=2 {
        let weather = Weather { kill_every_ms: Some(2 * HOUR), cut_every_ms: None };
        let (world, mut week) = live_a_week(seed, &weather);
        week.note_collected(&world);
        assert!(numbers(&world) == week.expected, "seed {seed}: {}", week.differ(&numbers(&world)));
        week.check_dates(&world);
        let rows = check_sent(&world, true);
        check_bounded(&world);
        let (frames, repeated) = (world.net.frames, world.net.repeated);
        println!("seed {seed}: 7 days, {rows} rows, {} kills, {frames} frames, {repeated} came again", week.kills);
        assert!(week.kills > 40 && rows > 100_000 && repeated > 20);
        assert!(world.net.uplink.as_ref().is_some_and(|uplink| uplink.stats().changed_frames == 0));
    }
}

#[test]
fn a_week_of_power_cuts_costs_at_most_a_sync_interval_each() {
    for seed in 11..=12 {
        let weather = Weather { kill_every_ms: Some(5 * HOUR), cut_every_ms: Some(6 * HOUR) };
        let (world, mut week) = live_a_week(seed, &weather);
        week.note_collected(&world);
        assert!(numbers(&world) == week.expected, "seed {seed}: {}", week.differ(&numbers(&world)));
        week.check_dates(&world);
        let rows = check_sent(&world, false);
        check_bounded(&world);
        println!(
            "seed {seed}: 7 days, {rows} rows, {} kills, {} cuts that took {} collections, {} boots without a date",
            week.kills,
            week.cuts,
            week.lost,
            week.undated_boots.len()
        );
        assert!(week.cuts > 10 && week.kills > 10 && rows > 100_000 && week.lost > 0);
    }
}
