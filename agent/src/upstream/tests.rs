//! The driver with a fake uplink: what is saved before what is sent, and one driver after the other over one cell.

use std::sync::mpsc::{Sender, channel};

use model::{FrameId, Outbox, UnixMs};

use super::*;

/// Has one frame after the other; its state is how many were settled.
struct Endless(u8);

impl Uplink for Endless {
    fn poll(&mut self, _: Now, _: &dyn Outbox) -> Option<Frame> {
        Some(Frame { id: FrameId(u64::from(self.0)), body: vec![self.0], items: 1 })
    }

    fn settle(&mut self, _: Now, _: FrameId, _: Outcome) {
        self.0 += 1;
    }

    fn next_deadline(&self) -> Option<Mono> {
        None
    }
}

impl SavedUplink for Endless {
    fn save(&self) -> Vec<u8> {
        vec![self.0]
    }

    fn stats(&self) -> Stats {
        Stats::default()
    }

    fn read_again(&mut self, _: Now) {}
}

/// Sends all that is stored, its dates, in one frame, and then nothing more.
struct Dates {
    is_sent: bool,
}

fn dates(source: &dyn Outbox) -> Vec<u8> {
    let mut tail = model::Tail::default();
    source.since(model::RowId::default(), None, 100, &mut tail).expect("rows");
    tail.rows.iter().flat_map(|row| row.sample.at.0.to_le_bytes()).collect()
}

impl Uplink for Dates {
    fn poll(&mut self, _: Now, source: &dyn Outbox) -> Option<Frame> {
        let is_new = !std::mem::replace(&mut self.is_sent, true);
        is_new.then(|| Frame { id: FrameId(1), body: dates(source), items: 1 })
    }

    fn settle(&mut self, _: Now, _: FrameId, _: Outcome) {}

    fn next_deadline(&self) -> Option<Mono> {
        None
    }
}

impl SavedUplink for Dates {
    fn save(&self) -> Vec<u8> {
        Vec::new()
    }

    fn stats(&self) -> Stats {
        Stats::default()
    }

    fn read_again(&mut self, _: Now) {
        self.is_sent = false;
    }
}

struct Still;

impl Clock for Still {
    fn now(&self) -> Now {
        Now { mono: Mono(0), wall: UnixMs(0), wall_trusted: true }
    }
}

/// What a driver did, in order.
#[derive(Debug, PartialEq, Eq)]
enum Did {
    Saved(u8),
    Sent(&'static str, u8),
}

/// Returns an upstream that tells what it does, and what lets it deliver a frame.
fn upstream(who: &'static str, did: &Sender<Did>, saves: u8, store: u64) -> (Upstream, Sender<()>) {
    let ring = tsdb::Store::in_memory(tsdb::Options::default(), Still.now());
    let (deliver, delivered) = channel();
    let (saved, sent) = (did.clone(), did.clone());
    let parts = Parts {
        saved: None,
        store,
        cell: "cell".to_owned(),
        reader: Arc::new(RwLock::new(ring.reader())),
        clock: Arc::new(Still),
        save: Box::new(move |_, bytes| saved.send(Did::Saved(bytes[0])).is_ok() && bytes[0] < saves),
        deliver: Box::new(move |frame| {
            sent.send(Did::Sent(who, frame.body[0])).expect("the test listens");
            delivered.recv().expect("the test lets it deliver");
            Outcome::Delivered
        }),
    };
    let make: Make = Box::new(|saved| Box::new(Endless(saved.map_or(0, |saved| saved[0]))));
    (Upstream::start(who, "fake", make, parts).expect("a thread"), deliver)
}

#[test]
fn a_new_driver_waits_for_the_frame_of_the_old_one_and_goes_on_from_there() {
    let (did, doing) = channel();
    let next = || doing.recv().expect("something is done");
    let (mut old, deliver_old) = upstream("old", &did, 9, 0);
    old.go(None);
    assert_eq!([next(), next()], [Did::Saved(0), Did::Sent("old", 0)]);

    let (new, deliver_new) = upstream("new", &did, 9, 0);
    let mut all = vec![old];
    replace(&mut all, vec![new]);
    assert!(doing.try_recv().is_err(), "the old one's frame is in doubt: the new one must not begin");
    deliver_old.send(()).expect("the old one waits");
    assert_eq!([next(), next(), next()], [Did::Saved(1), Did::Saved(1), Did::Sent("new", 1)]);

    drop(all);
    deliver_new.send(()).expect("the new one waits");
    assert_eq!(next(), Did::Saved(2));
    drop(did);
    assert!(doing.recv().is_err(), "both have ended");
}

#[test]
fn a_state_that_speaks_of_another_store_is_left_behind() {
    let (did, doing) = channel();
    let next = || doing.recv().expect("something is done");
    let (mut old, deliver_old) = upstream("old", &did, 9, 0);
    old.go(None);
    assert_eq!([next(), next()], [Did::Saved(0), Did::Sent("old", 0)]);
    let (new, _deliver_new) = upstream("new", &did, 9, 1);
    let mut all = vec![old];
    replace(&mut all, vec![new]);
    deliver_old.send(()).expect("the old one waits");
    assert_eq!([next(), next(), next()], [Did::Saved(1), Did::Saved(0), Did::Sent("new", 0)]);
}

#[test]
fn a_clock_set_back_between_reading_and_saving_has_the_frame_read_again() {
    let at = |mono: u64, wall: i64| Now { mono: Mono(mono), wall: UnixMs(wall), wall_trusted: true };
    let mut ring = tsdb::Store::in_memory(tsdb::Options::default(), at(0, 1_000_000));
    let mut batch = model::Batch::new();
    batch.family("m", "", model::MetricKind::Gauge);
    batch.add(&[], 1.0);
    let none = model::Labels::empty();
    ring.append(at(1_000, 1_001_000), &batch, model::SourceId(1), &none);
    ring.note_sent(model::RowId::default());
    let reader = ring.reader();
    let before = dates(&reader);
    let (sent, frames) = channel();
    let parts = Parts {
        saved: None,
        store: 0,
        cell: "cell".to_owned(),
        reader: Arc::new(RwLock::new(reader.clone())),
        clock: Arc::new(Still),
        save: Box::new({
            let ring = Mutex::new((ring, false));
            move |_, _| {
                let (ring, is_set_back) = &mut *ring.lock().expect("one at a time");
                if !std::mem::replace(is_set_back, true) {
                    let sent = ring.append(at(2_000, 402_000), &batch, model::SourceId(1), &none).rows;
                    ring.note_sent(model::RowId { n: sent.end - 1, ..sent.first });
                }
                true
            }
        }),
        deliver: Box::new(move |frame| {
            sent.send(frame.body.clone()).expect("the test listens");
            Outcome::Delivered
        }),
    };
    let make: Make = Box::new(|_| Box::new(Dates { is_sent: false }));
    let mut upstream = Upstream::start("up", "fake", make, parts).expect("a thread");
    upstream.go(None);
    let frame = frames.recv().expect("a frame");
    drop(upstream);
    assert_eq!(frame, dates(&reader));
    assert_ne!(frame[..8], before[..8], "the row that was read first has another date now");
    assert!(frames.recv().is_err(), "it is sent once");
}

#[test]
fn what_cannot_be_saved_is_not_sent() {
    let (did, doing) = channel();
    let (mut upstream, _deliver) = upstream("up", &did, 0, 0);
    drop(did);
    upstream.go(None);
    assert_eq!(doing.iter().collect::<Vec<_>>(), [Did::Saved(0)]);
}

#[test]
fn one_that_was_never_told_to_go_sends_nothing() {
    let (did, doing) = channel();
    let (upstream, _deliver) = upstream("up", &did, 9, 0);
    drop((did, upstream));
    assert_eq!(doing.iter().count(), 0);
}

#[test]
fn a_name_with_a_zero_byte_names_a_thread() {
    assert_eq!(thread_name("to", "a\0b"), "to ab");
}
