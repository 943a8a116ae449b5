//! The power goes at every write and every sync of a store's life, with several fates each.
//!
//! What survives, in one sentence: what was there when `sync` returned is there after any power cut; of what came
//! later a prefix may be there; nothing else ever is. `history` is the judge, `life` is what is lived, the faulty disk
//! is in `support`. Each test prints how many cuts it made. The mutations at the end show that the judge would notice.

mod history;
mod life;

use std::collections::BTreeMap;

use model::{Mono, Now, UnixMs};
use support::disk::Fate;
use tsdb::{Mutation, Options};

use life::{Life, Pace};

/// Returns both clocks so many milliseconds after the start; they are trusted and of one boot.
pub fn now(ms: u64) -> Now {
    let wall = 1_800_000_000_000 + (ms + steps(ms) * 3_600_000) as i64;
    Now { mono: Mono(1_000 + ms), wall: UnixMs(wall), wall_trusted: true }
}

/// Returns how often the wall clock has stepped by then: an hour forward, now and then.
pub fn steps(ms: u64) -> u64 {
    ms / 400_000
}

fn options() -> Options {
    Options {
        file_bytes: 256 << 10,
        sync_interval_ms: 20_000,
        block_ms_max: 3_600_000,
        tail_bytes: 64 << 10,
        boot: 7,
        ..Options::default()
    }
}

#[test]
fn every_cut_of_a_short_life_leaves_a_prefix() {
    let (mut cuts, mut kinds) = (0, BTreeMap::new());
    for pace in [Pace::Prompt, Pace::OneByOne] {
        let mut life = Life::new(options(), pace, &Fate::ALL);
        life.live(420, 60).unwrap_or_else(|fault| panic!("{pace:?}: {fault}"));
        assert!(life.wraps >= 2, "the ring wrapped {} times", life.wraps);
        assert!(life.sealed > 10 && life.openings >= 5);
        cuts += life.cuts;
        life.kinds.into_iter().for_each(|(kind, count)| *kinds.entry(kind).or_insert(0) += count);
    }
    println!("{cuts} power cuts: {kinds:?}");
    for kind in ["append", "checkpoint", "clock step", "creation", "recovery", "seal", "wrap"] {
        assert!(kinds.get(kind).is_some_and(|count| *count > 0), "no cut within {kind}");
    }
    assert!(cuts > 4_000);
}

#[test]
fn cut_after_cut_after_cut_leaves_a_prefix() {
    let (mut cuts, mut lives, mut rotten, mut rotten_rows) = (0, 0, 0, 0);
    for seed in 1..=60 {
        let mut life = Life::new(options(), if seed % 2 == 0 { Pace::Prompt } else { Pace::OneByOne }, &[]);
        life.live_and_lose_power(seed, 12).unwrap_or_else(|fault| panic!("seed {seed}: {fault}"));
        cuts += life.cuts;
        lives += 1;
        (rotten, rotten_rows) = (rotten + life.rotten, rotten_rows + life.rotten_rows);
    }
    println!("{cuts} power cuts in {lives} lives; {rotten} times with rotten bits, which cost {rotten_rows} rows");
    assert!(rotten >= 600);
    assert!(cuts >= 600);
}

#[test]
fn a_killed_process_loses_nothing() {
    let mut life = Life::new(options(), Pace::Prompt, &[]);
    let kills = life.live_and_be_killed(300).unwrap_or_else(|fault| panic!("{fault}"));
    println!("{kills} kills");
    assert!(kills >= 300);
}

#[test]
fn a_disk_that_fails_now_and_then_is_never_believed() {
    let mut cuts = 0;
    for seed in 1..=20 {
        let mut life = Life::new(options(), Pace::Prompt, &[Fate::Gone, Fate::There, Fate::OnlyLast]);
        (life.fail_every, life.noise) = (Some(5 + seed), 15);
        life.live(400, 100).unwrap_or_else(|fault| panic!("every {}: {fault}", 5 + seed));
        assert!(life.faults > 5);
        cuts += life.cuts;
    }
    println!("{cuts} power cuts beside failing writes and syncs");
}

/// Each of these breaks one promise on purpose; a judge that did not notice would be worth nothing.
#[test]
fn a_store_that_leaves_out_a_sync_is_caught() {
    for mutation in [Mutation::SkipJournalSync, Mutation::SkipBlockSync, Mutation::FreeJournalEarly] {
        let caught = [Pace::Prompt, Pace::OneByOne].into_iter().find_map(|pace| {
            let mut life = Life::new(Options { mutation, ..options() }, pace, &Fate::ALL);
            life.live(420, 60).err()
        });
        let fault = caught.unwrap_or_else(|| panic!("{mutation:?} was not noticed"));
        println!("{mutation:?}: {fault}");
    }
}
