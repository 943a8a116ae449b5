//! A reader that hangs: who waits for it is bounded, the others go on without it, and it comes back.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use exporters::{CollectError, Collector, Host};
use model::UnixMs;

use super::door::{GIVEN_UP_MAX, LOOK_MS, PATIENCE_MS, READERS_MAX};
use super::*;

/// The interval: so long that only what is asked for is collected.
const INTERVAL_MS: u64 = 600_000;

struct Still;

impl Clock for Still {
    fn now(&self) -> Now {
        Now { mono: Mono(1_000), wall: UnixMs(0), wall_trusted: true }
    }
}

/// Comes back when it is told to: at once where somebody waits to tell it.
struct Hangs {
    name: &'static str,
    begins: SyncSender<()>,
    gate: Arc<Mutex<Receiver<()>>>,
}

impl Collector for Hangs {
    fn name(&self) -> &'static str {
        self.name
    }

    fn collect(&mut self, _: &Host, _: &mut Batch) -> Result<(), CollectError> {
        let _ = self.begins.send(());
        let _ = self.gate.lock().expect("a gate").recv();
        Ok(())
    }
}

struct Good;

impl Collector for Good {
    fn name(&self) -> &'static str {
        "good"
    }

    fn collect(&mut self, _: &Host, out: &mut Batch) -> Result<(), CollectError> {
        out.family("good", "A reader that answers.", model::MetricKind::Gauge);
        out.add(&[], 1.0);
        Ok(())
    }
}

/// A thread that reads what hangs and what is good.
struct House {
    collect: Collect,
    lanes: Lanes,
    told: Receiver<String>,
    begun: Receiver<()>,
    gate: SyncSender<()>,
}

fn house() -> House {
    let ((tell, told), (begins, begun), (gate, opened)) = (sync_channel(64), sync_channel(64), sync_channel(64));
    let opened = Arc::new(Mutex::new(opened));
    let lanes: Lanes = Arc::new(move |_, hanging| {
        let hangs = Hangs { name: "hangs", begins: begins.clone(), gate: opened.clone() };
        let mut collectors: Vec<Box<dyn Collector>> = vec![Box::new(hangs), Box::new(Good)];
        collectors.retain(|collector| !hanging.contains(&collector.name()));
        Some(Lane::new(Host::default(), collectors).without(hanging.to_vec()))
    });
    let tell = Arc::new(move |collection: Collection| {
        let mut text = String::new();
        exposition::write_text(&collection.batch, &mut text);
        let _ = tell.send(text);
    });
    let around = Around { gpio: None, clock: Arc::new(Still), tell };
    let collect = Collect::start(lanes.clone(), INTERVAL_MS, around).expect("a thread");
    House { collect, lanes, told, begun, gate }
}

fn row(text: &str, collector: &str) -> Option<String> {
    let row = format!("node_scrape_collector_success{{collector=\"{collector}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&row)).map(str::to_owned)
}

/// A collector that hangs must not let requests for `/metrics` pile up for as long as it hangs.
#[test]
fn those_who_wait_for_a_reader_that_hangs_are_bounded() {
    let house = house();
    house.begun.recv().expect("the first collection hangs");
    let held = Arc::new(());
    for _ in 0..1_000 {
        let place = held.clone();
        house.collect.ask_metrics(false, Box::new(move |_, _| drop(place)));
    }
    assert_eq!(Arc::strong_count(&held), 1 + READERS_MAX);
}

#[test]
fn the_others_go_on_without_a_reader_that_hangs_and_with_it_when_it_answers() {
    let house = house();
    house.begun.recv().expect("the first collection hangs");
    let late = Mono(1_000).plus_ms(LOOK_MS);
    assert_eq!(house.collect.look(Mono(1_000)), late, "nothing is late yet");
    assert_eq!(house.collect.look(late), late.plus_ms(PATIENCE_MS), "it is seen to run");
    assert_eq!(house.collect.look(late.plus_ms(10)), late.plus_ms(PATIENCE_MS), "it has some time");
    assert!(house.told.try_recv().is_err(), "nothing was collected");
    house.collect.look(late.plus_ms(PATIENCE_MS));
    let text = house.told.recv().expect("another thread collects");
    assert!(text.contains("good 1\n"), "{text}");
    assert_eq!((row(&text, "good").as_deref(), row(&text, "hangs").as_deref()), (Some("1"), Some("0")));
    house.gate.send(()).expect("somebody hangs");
    // What it brings home is too late; from now on it is read again.
    house.begun.recv().expect("it is asked again");
    house.gate.send(()).expect("somebody asks");
    let text = house.told.recv().expect("a whole collection");
    assert_eq!((row(&text, "good").as_deref(), row(&text, "hangs").as_deref()), (Some("1"), Some("1")));
}

#[test]
fn a_collection_that_is_slow_but_goes_on_is_left_alone() {
    let house = house();
    let late = Mono(1_000).plus_ms(LOOK_MS);
    for _ in 0..20 {
        house.begun.recv().expect("a collection");
        assert_eq!(house.collect.look(late), late.plus_ms(PATIENCE_MS));
        house.gate.send(()).expect("somebody asks");
        let text = house.told.recv().expect("a whole collection");
        assert_eq!(row(&text, "hangs").as_deref(), Some("1"));
        house.collect.change(house.lanes.clone(), INTERVAL_MS);
    }
    house.begun.recv().expect("a collection");
    assert_eq!(house.collect.look(late.plus_ms(PATIENCE_MS)), late.plus_ms(2 * PATIENCE_MS), "it is another run");
}

#[test]
fn no_more_threads_wait_than_are_allowed() {
    const NAMES: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    assert!(GIVEN_UP_MAX < NAMES.len());
    let ((begins, begun), (gate, opened)) = (sync_channel(64), sync_channel::<()>(64));
    let opened = Arc::new(Mutex::new(opened));
    let lanes: Lanes = Arc::new(move |_, hanging| {
        let hangs = Hangs { name: NAMES[hanging.len()], begins: begins.clone(), gate: opened.clone() };
        Some(Lane::new(Host::default(), vec![Box::new(hangs)]).without(hanging.to_vec()))
    });
    let around = Around { gpio: None, clock: Arc::new(Still), tell: Arc::new(|_| ()) };
    let collect = Collect::start(lanes, INTERVAL_MS, around).expect("a thread");
    let late = Mono(1_000).plus_ms(LOOK_MS);
    for waiting in 0..GIVEN_UP_MAX + 2 {
        assert_eq!(collect.given_up(), waiting.min(GIVEN_UP_MAX));
        if waiting <= GIVEN_UP_MAX {
            begun.recv().expect("another thread collects");
        }
        collect.look(late);
        collect.look(late.plus_ms(PATIENCE_MS));
    }
    assert_eq!(collect.given_up(), GIVEN_UP_MAX);
    drop(gate);
}
