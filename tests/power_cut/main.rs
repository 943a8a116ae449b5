//! The power goes at every write and every sync of a store's life, with several fates each.
//!
//! What survives, in one sentence: what was there when `sync` returned is there after any power cut; of what came
//! later a prefix may be there; nothing else ever is. `history` is the judge, `life` is what is lived, `cuts` counts;
//! the faulty disk is in `support`. What is broken on purpose, to show that the judge would notice, is in `mutations`.

mod cuts;
mod history;
mod kill;
mod life;
mod mutations;

use std::sync::Mutex;
use std::time::Instant;

use model::{Mono, Now, UnixMs};
use support::disk::Fate;
use tsdb::Options;

use cuts::Counts;
use life::{Life, Pace, Plan};

/// How many cuts there are at least, and within each kind of work.
const CUTS_MIN: u64 = 100_000;
const KIND_CUTS_MIN: u64 = 1_000;

/// Returns both clocks so many milliseconds after the start; they are trusted and of one boot.
fn now(ms: u64) -> Now {
    let wall = 1_800_000_000_000 + (ms + steps(ms) * 3_600_000) as i64;
    Now { mono: Mono(1_000 + ms), wall: UnixMs(wall), wall_trusted: true }
}

/// Returns how often the wall clock has stepped by then: an hour forward, now and then.
fn steps(ms: u64) -> u64 {
    ms / 200_000
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

/// Runs so many lives on as many threads as there are processors; the first fault ends all.
fn many(lives: u64, live: &(dyn Fn(u64) -> Result<Counts, String> + Sync)) -> Counts {
    let (counts, next) = (Mutex::new(Counts::default()), Mutex::new(1..=lives));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        loop {
            let Some(seed) = next.lock().expect("not poisoned").next() else { return };
            let found = live(seed).unwrap_or_else(|fault| panic!("{fault}"));
            counts.lock().expect("not poisoned").take(found);
        }
    };
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    counts.into_inner().expect("not poisoned")
}

/// Short lives with a cut of every fate at every operation, and long ones with a cut now and then that go on from what
/// was left. What the disk was doing is counted.
#[test]
fn a_hundred_thousand_cuts_leave_a_prefix() {
    let begun = Instant::now();
    let mut counts = many(54, &|seed| {
        let pace = if seed % 2 == 0 { Pace::Prompt } else { Pace::OneByOne };
        let mut life = Life::new(Plan::new(seed, options(), pace, &Fate::ALL))?;
        life.live(300, 20 + seed % 30)?;
        if life.sealed < 10 || life.openings < 5 {
            return Err(format!("seed {seed}: {} blocks, {} openings", life.sealed, life.openings));
        }
        Ok(life.counts)
    });
    println!("{counts:?}, {} s", begun.elapsed().as_secs());
    counts.take(many(60, &|seed| {
        let pace = if seed % 2 == 0 { Pace::Prompt } else { Pace::OneByOne };
        let mut life = Life::new(Plan::new(seed, options(), pace, &[]))?;
        life.live_and_lose_power(12)?;
        Ok(life.counts)
    }));
    counts.take(many(10, &|seed| {
        let mut life = Life::new(Plan::new(seed, options(), Pace::Prompt, &Fate::ALL))?;
        let sizes =
            [512 << 10, 300 << 10, 1 << 20, 256 << 10, 5 << 20, 340 << 10].map(|bytes: u64| bytes + seed % 3 * 4096);
        life.plan.only_openings = true;
        life.live_and_change_size(50 + seed * 20, &sizes)?;
        Ok(life.counts)
    }));
    println!("{} power cuts in {} s: {:?}", counts.total(), begun.elapsed().as_secs(), counts.0);
    for kind in ["append", "checkpoint", "clock step", "recovery", "resize", "seal", "wrap"] {
        let count = counts.0.get(kind).copied().unwrap_or(0);
        assert!(count >= KIND_CUTS_MIN, "{count} cuts within {kind}");
    }
    assert!(counts.total() >= CUTS_MIN);
}

/// In files of 16 MiB and more the copies of what matters lie so far apart that no write costs both.
#[test]
fn what_lies_around_a_write_may_be_destroyed() {
    let lost = Mutex::new(0);
    let counts = many(4, &|seed| {
        let options = Options { file_bytes: 16 << 20, block_bytes_max: 24 << 10, ..options() };
        let pace = if seed % 2 == 0 { Pace::Prompt } else { Pace::OneByOne };
        let mut life = Life::new(Plan { erases: true, ..Plan::new(seed, options, pace, &Fate::ALL[..4]) })?;
        life.live(200, 60)?;
        *lost.lock().expect("not poisoned") += life.rotten_rows;
        Ok(life.counts)
    });
    let lost = lost.into_inner().expect("not poisoned");
    println!("{} cuts that destroyed what lay around; {lost} rows lost, all of them there", counts.total());
    assert!(counts.total() > 1_000 && lost > 0);
}

#[test]
fn a_killed_process_loses_nothing() {
    let mut life = Life::new(Plan::new(1, options(), Pace::Prompt, &[])).expect("a new file");
    let kills = life.live_and_be_killed(300).unwrap_or_else(|fault| panic!("{fault}"));
    println!("{kills} kills");
    assert!(kills >= 300);
}

#[test]
fn a_disk_that_fails_now_and_then_is_never_believed() {
    let counts = many(20, &|seed| {
        let fates = [Fate::Gone, Fate::There, Fate::OnlyLast];
        let plan = Plan {
            fail_every: Some(8 + seed),
            noise: 2,
            filler: 400,
            ..Plan::new(seed, options(), Pace::Prompt, &fates)
        };
        let mut life = Life::new(plan)?;
        life.live(400, 100)?;
        if life.faults <= 5 {
            return Err(format!("seed {seed}: {} faults", life.faults));
        }
        Ok(life.counts)
    });
    println!("{} power cuts beside failing writes and syncs", counts.total());
}
