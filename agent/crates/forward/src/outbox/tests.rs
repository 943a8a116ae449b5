//! The machine against a fake ring and a fake receiver: every point a restart can hit, outages, overwriting, clocks.
//!
//! The format here is plain: a frame's bytes are the ids of its rows, so that tests see which rows went.

use std::collections::BTreeMap;

use super::*;
use crate::fake::{FakeOutbox, Random, now};
use crate::remote_write;
use model::Uplink;

const M: &[(&str, &str)] = &[("__name__", "m")];
const OTHER: &[(&str, &str)] = &[("__name__", "other")];

/// Packs ids; at most `rows_max` rows a frame; rows named `other` are not selected.
struct IdPacker {
    rows_max: usize,
}

impl Packer for IdPacker {
    fn pack(&mut self, rows: &[TailRow], body: &mut Vec<u8>) -> Packed {
        let mut packed = Packed::default();
        for (i, row) in rows.iter().enumerate() {
            if row.labels.name() == "m" {
                if packed.items == self.rows_max {
                    break;
                }
                body.extend_from_slice(&row.id.opening.to_le_bytes());
                body.extend_from_slice(&row.id.n.to_le_bytes());
                packed.items += 1;
            }
            packed.taken = i + 1;
        }
        packed
    }
}

fn ids(body: &[u8]) -> Vec<RowId> {
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
    body.chunks(12).map(|c| RowId { opening: number(&c[..4]) as u32, n: number(&c[4..]) }).collect()
}

const PACE: Pace = Pace { frame_rows_max: 10, linger_ms: 0, backoff: BackoffLimits { first_ms: 100, ms_max: 1_000 } };

fn retry() -> Outcome {
    Outcome::Retry { reason: "connection refused".to_owned(), after_ms: None }
}

fn filled(rows: u64) -> FakeOutbox {
    let mut outbox = FakeOutbox::new();
    for i in 0..rows {
        outbox.append(M, i as i64, i as f64);
    }
    outbox
}

fn walk() -> Walk {
    Walk::new(PACE, None, 1)
}

fn packer() -> IdPacker {
    IdPacker { rows_max: usize::MAX }
}

/// Sends everything there is, and returns the ids in the order they went.
fn drain(walk: &mut Walk, outbox: &FakeOutbox, ms: &mut u64) -> Vec<RowId> {
    let mut sent = Vec::new();
    while let Some(frame) = walk.poll(now(*ms), outbox, &mut packer()) {
        sent.extend(ids(&frame.body));
        assert!(sent.len() <= 2 * outbox.rows.len() + 10, "the same rows go round and round");
        *ms += 1;
        walk.settle(now(*ms), frame.id, Outcome::Delivered);
    }
    sent
}

#[test]
fn everything_is_sent_once_and_in_order() {
    let outbox = filled(35);
    let mut walk = walk();
    let sent = drain(&mut walk, &outbox, &mut 0);
    assert_eq!(sent, outbox.rows.iter().map(|row| row.id).collect::<Vec<_>>());
    let stats = walk.stats();
    assert_eq!((stats.sent_frames, stats.sent_rows, stats.behind_rows), (4, 35, 0));
    assert_eq!((stats.waiting, walk.next_deadline()), (Waiting::NothingNew, None));
}

#[test]
fn one_frame_is_in_flight_at_a_time_and_only_its_own_id_settles_it() {
    let outbox = filled(25);
    let mut walk = walk();
    let frame = walk.poll(now(0), &outbox, &mut packer()).expect("a frame");
    assert_eq!(walk.stats().waiting, Waiting::InFlight);
    assert!(walk.poll(now(99_999), &outbox, &mut packer()).is_none());
    walk.settle(now(1), FrameId(frame.id.0 + 1), Outcome::Delivered);
    assert_eq!((walk.stats().sent_frames, walk.stats().in_flight_rows), (0, 10));
    walk.settle(now(1), frame.id, Outcome::Delivered);
    walk.settle(now(1), frame.id, Outcome::Delivered);
    assert_eq!((walk.stats().sent_frames, walk.stats().behind_rows), (1, 15));
}

#[test]
fn a_failed_frame_comes_again_after_a_pause_with_the_same_bytes() {
    let mut outbox = filled(25);
    let mut walk = walk();
    let first = walk.poll(now(0), &outbox, &mut packer()).expect("a frame");
    walk.settle(now(10), first.id, Outcome::Retry { reason: "busy".to_owned(), after_ms: Some(5_000) });
    assert_eq!((walk.stats().waiting, walk.next_deadline()), (Waiting::Backoff, Some(Mono(5_010))));
    outbox.append(M, 9, 9.0);
    outbox.overwrite(26);
    assert!(walk.poll(now(5_009), &outbox, &mut packer()).is_none());
    let again = walk.poll(now(5_010), &outbox, &mut packer()).expect("the pause is over");
    assert_eq!((again.body, again.id), (first.body, first.id), "its rows are gone from the ring, not from the frame");
    walk.settle(now(5_011), again.id, Outcome::Delivered);
    assert!(walk.poll(now(5_012), &outbox, &mut packer()).is_none());
    let stats = walk.stats();
    assert_eq!((stats.sent_rows, stats.overwritten_rows, stats.retries), (10, 16, 1));
    assert_eq!(stats.last_error.as_deref(), Some("busy"));
}

#[test]
fn pauses_grow_while_it_fails_and_start_anew_after_it_went_through() {
    let outbox = filled(25);
    let mut walk = walk();
    let mut pauses = Vec::new();
    let mut ms = 0;
    for outcome in [retry(), retry(), retry(), retry(), Outcome::Delivered, retry()] {
        let frame = walk.poll(now(ms), &outbox, &mut packer()).expect("a frame");
        walk.settle(now(ms), frame.id, outcome);
        let at = walk.next_deadline().expect("a pause, or at once").0;
        pauses.push(at - ms);
        ms = at;
    }
    assert!(pauses[3] >= 400 && pauses[4] == 0 && (50..=100).contains(&pauses[5]), "{pauses:?}");
}

#[test]
fn a_refused_frame_is_counted_and_does_not_stop_the_next() {
    let outbox = filled(15);
    let mut walk = walk();
    let frame = walk.poll(now(0), &outbox, &mut packer()).expect("a frame");
    walk.settle(now(1), frame.id, Outcome::Refused { reason: "é".repeat(ERROR_BYTES_MAX) });
    assert_eq!(drain(&mut walk, &outbox, &mut 2).len(), 5);
    let stats = walk.stats();
    assert_eq!((stats.refused_frames, stats.refused_rows, stats.sent_rows), (1, 10, 5));
    assert_eq!(stats.last_error.map(|text| text.len()), Some(ERROR_BYTES_MAX));
}

#[test]
fn rows_that_nothing_selects_are_acknowledged_silently_in_bounded_steps() {
    let mut outbox = FakeOutbox::new();
    for i in 0..500 {
        outbox.append(OTHER, i, 0.0);
    }
    let last = outbox.append(M, 500, 0.0);
    outbox.skip();
    let mut walk = walk();
    let mut polls = 0;
    let frame = loop {
        polls += 1;
        let before = outbox.reads.get();
        let frame = walk.poll(now(0), &outbox, &mut packer());
        assert!(outbox.reads.get() - before <= LOOKS_MAX as u64);
        match frame {
            Some(frame) => break frame,
            None => assert_eq!(walk.next_deadline(), Some(Mono(0)), "it asks to go on at once"),
        }
    };
    assert_eq!((ids(&frame.body), polls), (vec![last], 7));
    walk.settle(now(0), frame.id, Outcome::Delivered);
    assert_eq!((walk.stats().sent_rows, walk.stats().behind_rows), (1, 0), "ids that are no samples are passed too");
}

#[test]
fn undated_rows_wait_and_say_why() {
    let mut outbox = filled(5);
    let undated = outbox.append(M, 5, 5.0);
    outbox.append(M, 6, 6.0);
    outbox.undated_from = Some(undated);
    let mut walk = walk();
    assert_eq!(drain(&mut walk, &outbox, &mut 0).len(), 5);
    let stats = walk.stats();
    assert_eq!((stats.waiting.as_str(), stats.behind_rows), ("waiting for the clock", 2));
    let since = stats.waiting_since;
    assert!(walk.poll(now(60_000), &outbox, &mut packer()).is_none());
    assert_eq!(walk.stats().waiting_since, since, "still the same wait");
    outbox.undated_from = None;
    assert_eq!(drain(&mut walk, &outbox, &mut 70_000).len(), 2);
}

#[test]
fn few_rows_wait_a_moment_for_more() {
    let mut outbox = filled(3);
    let mut walk = Walk::new(Pace { linger_ms: 5_000, ..PACE }, None, 1);
    assert!(walk.poll(now(1_000), &outbox, &mut packer()).is_none());
    assert_eq!((walk.stats().waiting, walk.next_deadline()), (Waiting::Gathering, Some(Mono(6_000))));
    outbox.append(M, 3, 3.0);
    assert!(walk.poll(now(5_999), &outbox, &mut packer()).is_none());
    let frame = walk.poll(now(6_000), &outbox, &mut packer()).expect("the moment is over");
    assert_eq!(frame.items, 4);
    walk.settle(now(6_001), frame.id, Outcome::Delivered);
    outbox.append(M, 4, 4.0);
    assert!(walk.poll(now(6_002), &outbox, &mut packer()).is_none(), "the next ones wait anew");
    assert_eq!(walk.next_deadline(), Some(Mono(11_002)));
    for i in 5..20 {
        outbox.append(M, i, 0.0);
    }
    assert!(walk.poll(now(6_003), &outbox, &mut packer()).is_some(), "a full frame does not wait");
}

#[test]
fn a_ring_that_cannot_be_read_is_tried_again_after_a_pause() {
    let outbox = filled(3);
    outbox.fail_reads.set(1);
    let mut walk = walk();
    assert!(walk.poll(now(0), &outbox, &mut packer()).is_none());
    assert_eq!(walk.stats().waiting, Waiting::Reading);
    let at = walk.next_deadline().expect("a pause");
    assert!(at >= Mono(50) && walk.poll(now(at.0 - 1), &outbox, &mut packer()).is_none());
    assert_eq!(outbox.reads.get(), 1);
    assert!(walk.poll(now(at.0), &outbox, &mut packer()).is_some());
}

#[test]
fn overwritten_rows_are_counted_once_also_when_the_frame_is_cut_and_across_a_restart() {
    let mut outbox = filled(5);
    let mut old = walk();
    drain(&mut old, &outbox, &mut 0);
    for i in 0..20 {
        outbox.append(M, i, 0.0);
    }
    // Rows 6 to 25 are new. 6 and 7 are overwritten, 20 is lost in the middle.
    outbox.overwrite(7);
    outbox.lost.insert(RowId { opening: 1, n: 20 });
    let mut walk = Walk::new(Pace { frame_rows_max: 100, ..PACE }, Some(&old.save()), 1);
    let mut cutting = IdPacker { rows_max: 4 };
    let first = walk.poll(now(0), &outbox, &mut cutting).expect("a frame");
    assert_eq!((walk.stats().overwritten_rows, first.items), (2, 4), "20 lies behind the cut");
    let mut walk = Walk::new(Pace { frame_rows_max: 100, ..PACE }, Some(&walk.save()), 1);
    let again = walk.poll(now(0), &outbox, &mut cutting).expect("the frame in doubt");
    assert_eq!((again.body, walk.stats().overwritten_rows), (first.body, 2));
    walk.settle(now(0), again.id, Outcome::Delivered);
    assert_eq!(drain(&mut walk, &outbox, &mut 1).len(), 13);
    assert_eq!((walk.stats().overwritten_rows, walk.stats().changed_frames), (3, 0));
}

#[test]
fn a_new_upstream_is_not_owed_what_was_gone_before_it() {
    let mut outbox = filled(30);
    outbox.overwrite(12);
    let mut walk = walk();
    assert_eq!(drain(&mut walk, &outbox, &mut 0).len(), 18);
    assert_eq!(walk.stats().overwritten_rows, 0);
}

#[test]
fn a_frame_in_doubt_whose_rows_are_gone_is_counted_and_passed() {
    let mut outbox = filled(20);
    let mut walk = walk();
    walk.poll(now(0), &outbox, &mut packer()).expect("a frame");
    let saved = walk.save();
    outbox.overwrite(4);
    let mut some_left = Walk::new(PACE, Some(&saved), 1);
    assert_eq!(drain(&mut some_left, &outbox, &mut 0).len(), 16);
    assert_eq!((some_left.stats().overwritten_rows, some_left.stats().changed_frames), (4, 1));
    outbox.overwrite(6);
    let mut none_left = Walk::new(PACE, Some(&saved), 1);
    assert_eq!(drain(&mut none_left, &outbox, &mut 0).len(), 10);
    assert_eq!((none_left.stats().overwritten_rows, none_left.stats().changed_frames), (10, 1));
}

#[test]
fn a_damaged_saved_state_is_said_and_starts_over() {
    let outbox = filled(3);
    let mut walk = Walk::new(PACE, Some(b"\xff\xff"), 1);
    assert!(walk.stats().last_error.is_some_and(|text| text.contains("damaged")));
    assert_eq!(drain(&mut walk, &outbox, &mut 0).len(), 3);
}

#[test]
fn rows_of_a_frame_in_doubt_keep_their_dates() {
    let outbox = filled(15);
    let mut walk = walk();
    assert_eq!(walk.handed_out(), RowId::default());
    let frame = walk.poll(now(0), &outbox, &mut packer()).expect("a frame");
    assert_eq!(walk.handed_out(), RowId { opening: 1, n: 10 });
    walk.settle(now(0), frame.id, retry());
    assert_eq!(Walk::new(PACE, Some(&walk.save()), 1).handed_out(), RowId { opening: 1, n: 10 });
}

/// A week without a receiver, a batch every 15 s, in a ring that holds an hour of them.
#[test]
fn an_outage_of_a_week_costs_no_memory_and_every_row_is_accounted_for() {
    const BATCHES: u64 = 7 * 86_400 / 15;
    let mut outbox = FakeOutbox::new();
    let mut walk = walk();
    let (mut ms, mut appended, mut saved_max, mut attempts) = (0, 0u64, 0, 0u64);
    for _ in 0..BATCHES {
        ms += 15_000;
        for _ in 0..5 {
            outbox.append(M, ms as i64, 0.0);
            appended += 1;
        }
        if outbox.rows.len() > 5 * 240 {
            outbox.forget(5);
        }
        if let Some(frame) = walk.poll(now(ms), &outbox, &mut packer()) {
            attempts += 1;
            walk.settle(now(ms), frame.id, retry());
        }
        saved_max = saved_max.max(walk.save().len());
    }
    assert!(saved_max < 64, "{saved_max} bytes saved");
    assert!(walk.tail.rows.capacity() <= 64 && walk.pending.as_ref().is_some_and(|p| p.body.capacity() <= 256));
    assert!(attempts > BATCHES / 10 && attempts <= BATCHES);
    ms += 60_000;
    let sent = drain(&mut walk, &outbox, &mut ms).len() as u64;
    // The first frame outlived its rows: it was delivered although the ring had long overwritten them.
    assert_eq!(sent, 5 * 240 + 5);
    assert_eq!(sent + walk.stats().overwritten_rows, appended);
    assert_eq!(walk.stats().behind_rows, 0);
}

/// What a board and a receiver live through at random, with a restart at any point between poll, save, send and settle.
struct Life {
    seed: u64,
    random: Random,
    outbox: FakeOutbox,
    walk: Walk,
    saved: Option<Vec<u8>>,
    ms: u64,
    got: BTreeMap<RowId, u32>,
    in_doubt: Option<Vec<u8>>,
    losses_expected: bool,
}

impl Life {
    fn new(seed: u64, losses_expected: bool) -> Life {
        let (random, outbox) = (Random::new(seed), FakeOutbox::new());
        let walk = Walk::new(PACE, None, seed);
        Life { seed, random, outbox, walk, saved: None, ms: 0, got: BTreeMap::new(), in_doubt: None, losses_expected }
    }

    fn restart(&mut self) {
        self.walk = Walk::new(PACE, self.saved.as_deref(), self.seed);
        self.outbox.reopen();
        self.ms = self.random.below(1_000);
    }

    /// One turn; the places where a kill may hit are the `one_in` in it.
    fn turn(&mut self) {
        for _ in 0..self.random.below(15) {
            let labels = if self.random.one_in(4) { OTHER } else { M };
            self.outbox.append(labels, self.ms as i64, 0.0);
            if self.random.one_in(10) {
                self.outbox.skip();
            }
        }
        if self.losses_expected && self.random.one_in(6) {
            let rows = self.random.below(20) as usize;
            self.outbox.overwrite(rows);
        }
        self.outbox.fail_reads.set(u32::from(self.random.one_in(10)));
        self.ms += self.random.below(500);
        let mut packer = IdPacker { rows_max: 7 };
        let Some(frame) = self.walk.poll(now(self.ms), &self.outbox, &mut packer) else {
            if self.random.one_in(10) {
                self.restart();
            }
            return;
        };
        if self.random.one_in(8) {
            return self.restart(); // Before the save: nothing was sent.
        }
        self.saved = Some(self.walk.save());
        if self.random.one_in(8) {
            // After the save, before the send: the frame is in doubt although nobody has it.
            self.in_doubt.get_or_insert(frame.body);
            return self.restart();
        }
        self.receive(&frame);
        if self.random.one_in(8) {
            return self.restart(); // The answer never came.
        }
        let outcome = if self.random.one_in(3) { retry() } else { Outcome::Delivered };
        let settled = outcome == Outcome::Delivered;
        self.walk.settle(now(self.ms), frame.id, outcome);
        if self.random.one_in(8) {
            return self.restart(); // The acknowledgement was not saved.
        }
        self.saved = Some(self.walk.save());
        if settled {
            self.in_doubt = None;
        }
    }

    fn receive(&mut self, frame: &Frame) {
        if let Some(doubt) = self.in_doubt.replace(frame.body.clone())
            && !self.losses_expected
        {
            assert_eq!(ids(&frame.body), ids(&doubt), "seed {}: the frame in doubt came with other bytes", self.seed);
        }
        for id in ids(&frame.body) {
            *self.got.entry(id).or_default() += 1;
        }
    }

    fn finish(mut self) {
        self.outbox.fail_reads.set(0);
        for _ in 0..10_000 {
            self.ms += 2_000;
            let Some(frame) = self.walk.poll(now(self.ms), &self.outbox, &mut packer()) else {
                if self.walk.stats().waiting == Waiting::NothingNew {
                    break;
                }
                continue;
            };
            for id in ids(&frame.body) {
                *self.got.entry(id).or_default() += 1;
            }
            self.walk.settle(now(self.ms), frame.id, Outcome::Delivered);
        }
        let lacking = self.outbox.rows.iter().filter(|row| row.labels.name() == "m" && !self.got.contains_key(&row.id));
        let lacking: Vec<RowId> = lacking.map(|row| row.id).collect();
        let overwritten = self.walk.stats().overwritten_rows;
        assert!(lacking.iter().all(|id| self.outbox.lost.contains(id)), "seed {}: lacks {lacking:?}", self.seed);
        if !self.losses_expected {
            assert_eq!((lacking.len(), overwritten), (0, 0), "seed {}", self.seed);
        }
        assert!(overwritten <= self.outbox.lost.len() as u64, "seed {}: counted more than once", self.seed);
        assert_eq!(self.walk.stats().behind_rows, 0, "seed {}", self.seed);
    }
}

#[test]
fn after_restarts_anywhere_the_receiver_lacks_nothing_and_gets_the_frame_in_doubt_unchanged() {
    for seed in 0..400 {
        let mut life = Life::new(seed, false);
        (0..150).for_each(|_| life.turn());
        life.finish();
    }
}

#[test]
fn after_restarts_and_overwriting_only_what_was_overwritten_is_missing() {
    for seed in 0..400 {
        let mut life = Life::new(seed, true);
        (0..150).for_each(|_| life.turn());
        life.finish();
    }
}

/// The same four points in order, over the real format, so that the promise is not the plain format's alone.
#[test]
fn a_restart_at_each_point_over_remote_write() {
    let config = || remote_write::Config { frame_rows_max: 8, linger_ms: 0, ..Default::default() };
    let outbox = filled(20);
    let mut first = remote_write::uplink(config(), None);
    let before_save = first.save();
    let frame = first.poll(now(0), &outbox).expect("a frame");
    let in_flight = first.save();
    assert_ne!(before_save, in_flight, "the frame's rows are saved before it is sent");
    first.settle(now(1), frame.id, Outcome::Delivered);
    let settled = first.save();
    let bodies = |saved: &[u8]| {
        let mut uplink = remote_write::uplink(config(), Some(saved));
        let mut bodies = Vec::new();
        while let Some(frame) = uplink.poll(now(0), &outbox) {
            bodies.push(frame.body);
            uplink.settle(now(0), frame.id, Outcome::Delivered);
        }
        bodies
    };
    let whole = bodies(&before_save);
    assert_eq!((whole.len(), &whole[0]), (3, &frame.body));
    assert_eq!(bodies(&in_flight), whole);
    assert_eq!(bodies(&settled), whole[1..]);
}
