//! Core without a house: what it makes of collections that do not come.
//!
//! The long stories (clocks, outages, disks) are told by the simulator in `tests/sim`; here are the short ones, over
//! a store in memory and a time that a test moves by hand.

use std::sync::Arc;

use model::{Batch, Labels, Matcher, MetricKind, Mono, Now, Querier, TimeRange, UnixMs, Value};
use targets::Delivery;
use tsdb::{Options, Store};

use super::{Core, Effect, Event, NODE, PUSHED, RECEIVED, REPORT, RULES_FIRST, Setup, SourceId, source_name};
use crate::collect::Collection;
use crate::scraping::SOURCE_FIRST;

const INTERVAL_MS: u64 = 15_000;
const WALL_MS: i64 = 1_795_249_204_000;

fn now(ms: u64) -> Now {
    Now { mono: Mono(1_000 + ms), wall: UnixMs(WALL_MS + ms as i64), wall_trusted: true }
}

fn core() -> Core {
    let setup = Setup {
        job: "node".to_owned(),
        instance: "board:9090".to_owned(),
        interval_ms: INTERVAL_MS,
        groups: Arc::default(),
        evaluation_interval_ms: INTERVAL_MS,
        external_labels: Labels::empty(),
        external_url: String::new(),
        alert_relabel: Arc::default(),
        notify: None,
    };
    Core::new(Store::in_memory(Options::default(), now(0)), setup, now(0))
}

fn collect(core: &mut Core, ms: u64, out: &mut Vec<Effect>) {
    let mut batch = Batch::new();
    batch.family("node_load1", "1m load average.", MetricKind::Gauge);
    batch.add(&[], 0.5);
    let collection = Collection { now: now(ms), batch, seconds: 0.001, readers: Vec::new() };
    core.step(now(ms), Event::Collected(Box::new(collection)), out);
}

/// Returns the samples of a metric as (milliseconds since the start, value); a staleness marker is `None`.
fn samples(core: &Core, name: &str) -> Vec<(i64, Option<f64>)> {
    let mut found = Vec::new();
    let matchers = [Matcher::equal("__name__", name)];
    let visited = core.store.reader().select(&matchers, TimeRange::ALL, &mut |_, samples| {
        let values = samples.floats.iter().map(|value| (!model::is_stale_nan(*value)).then_some(*value));
        found.extend(samples.at.iter().map(|at| at.0 - WALL_MS).zip(values));
        true
    });
    visited.expect("a store in memory can be read");
    found
}

#[test]
fn a_collection_that_does_not_come_is_a_failed_scrape() {
    let (mut core, mut out) = (core(), Vec::new());
    collect(&mut core, 0, &mut out);
    assert_eq!(samples(&core, "up"), [(0, Some(1.0))]);
    core.tick(now(29_999), &mut out);
    assert_eq!(samples(&core, "up").len(), 1);

    core.tick(now(30_000), &mut out);
    assert_eq!(samples(&core, "up"), [(0, Some(1.0)), (30_000, Some(0.0))]);
    assert_eq!(samples(&core, "node_load1"), [(0, Some(0.5)), (30_000, None)]);
    assert_eq!(samples(&core, "narthex_build_info").len(), 2, "what the agent says of itself goes on");

    core.tick(now(45_000), &mut out);
    collect(&mut core, 50_000, &mut out);
    let up = [(0, Some(1.0)), (30_000, Some(0.0)), (45_000, Some(0.0)), (50_000, Some(1.0))];
    assert_eq!(samples(&core, "up"), up);
    assert_eq!(samples(&core, "node_load1").last(), Some(&(50_000, Some(0.5))));
}

#[test]
fn a_machine_that_slept_has_missed_nothing() {
    let (mut core, mut out) = (core(), Vec::new());
    collect(&mut core, 0, &mut out);
    core.tick(now(8 * 3_600_000), &mut out);
    assert_eq!(samples(&core, "up"), [(0, Some(1.0))]);
    collect(&mut core, 8 * 3_600_000 + 5_000, &mut out);
    assert_eq!(samples(&core, "up").last(), Some(&(8 * 3_600_000 + 5_000, Some(1.0))));
}

#[test]
fn core_asks_to_be_woken_when_a_collection_is_overdue() {
    let (mut core, mut out) = (core(), Vec::new());
    collect(&mut core, 0, &mut out);
    core.tick(now(30_000), &mut out);
    let next = core.next_deadline().expect("there is always a next collection");
    assert!(next > now(30_000).mono && next <= now(45_000).mono, "{next:?}");
}

/// What is refused for want of room is counted by who brought it.
#[test]
fn every_source_is_called_by_its_name() {
    let last_target = SourceId(u32::MAX);
    let names = [NODE, REPORT, PUSHED, RECEIVED, SourceId(RULES_FIRST), SourceId(SOURCE_FIRST), last_target];
    let expected = ["node", "node", "push", "remote_write", "rules", "scrape", "scrape"];
    assert_eq!(names.map(source_name), expected);
}

/// A scrape that names no series goes home to be named where the store does not know them, and is not lost.
#[test]
fn a_scrape_whose_series_are_not_known_goes_home_to_be_named() {
    let (mut core, mut out) = (core(), Vec::new());
    let mut scraped = |core: &mut Core, value: f64, is_bare: bool| {
        let mut batch = Batch::new();
        if is_bare {
            batch.begin_bare(5);
            batch.add_bare(Value::Float(value), None, None);
        } else {
            batch.family("shop", "", MetricKind::Gauge);
            batch.add(&[], value);
            batch.set_layout(5);
        }
        let (at, source) = (now(value as u64), SourceId(SOURCE_FIRST));
        let delivery = Delivery {
            target: 0,
            source,
            at,
            batch,
            good: true,
            exemplars: Vec::new(),
            exemplars_left_out: 0,
            is_unknown: false,
        };
        core.step(at, Event::Scraped(Box::new(delivery)), &mut out);
        let home = out.drain(..).find_map(|effect| match effect {
            Effect::Home(delivery) => Some(delivery),
            _ => None,
        });
        home.expect("it goes home").is_unknown
    };
    assert!(scraped(&mut core, 1.0, true));
    assert!(!scraped(&mut core, 2.0, false));
    assert!(!scraped(&mut core, 3.0, true));
    core.store.seal(now(4));
    assert!(scraped(&mut core, 5.0, true));
    assert!(!scraped(&mut core, 6.0, false));
    let values: Vec<Option<f64>> = samples(&core, "shop").into_iter().map(|(_, value)| value).collect();
    assert_eq!(values, [Some(2.0), Some(3.0), Some(6.0)]);
}
