//! What is broken on purpose, one thing at a time: a judge that did not notice would be worth nothing.
//!
//! Syncs are left out and checksums are ignored by what stands between the store and the medium; the rest is broken
//! within the store, see `tsdb::Mutation`. [`BROKEN`] is the list, with what each would cost in the field.

use std::io;
use std::sync::Arc;

use model::ReadAt;
use support::disk::{Fate, FaultyDisk};
use tsdb::{Mutation, Options};

use crate::life::{Life, Pace, Plan};
use crate::options;

/// How a thing is broken.
enum How {
    Within(Mutation),
    /// The sync behind such a write is answered and not done.
    NoSync(&'static str),
    /// Every page reads as if its checksum were right.
    NoChecksum,
}

/// What lives notice it.
enum Where {
    /// Cuts at every operation.
    Cuts,
    /// The same while the disk fails now and then.
    Failing,
    /// Kills and cuts while the disk fails now and then.
    Kills,
    /// Changes of the size.
    Sizes,
}

/// What is broken, and what it would cost.
const BROKEN: [(How, Where, &str); 18] = [
    (How::Within(Mutation::SkipJournalSync), Where::Cuts, "rows that were called certain are lost"),
    (How::Within(Mutation::SkipBlockSync), Where::Cuts, "a checkpoint names a block that is not there"),
    (How::Within(Mutation::FreeJournalEarly), Where::Cuts, "a block is neither in the journal nor in the ring"),
    (How::Within(Mutation::BelieveFailedSync), Where::Failing, "what the page cache forgot is called certain"),
    (How::Within(Mutation::BelieveShown), Where::Kills, "so it is after a restart"),
    (How::Within(Mutation::ReusePage), Where::Cuts, "a torn write costs rows that were certain"),
    (How::Within(Mutation::KeepOpening), Where::Cuts, "row ids are given twice"),
    (How::Within(Mutation::SameSlot), Where::Cuts, "a torn checkpoint costs the one before"),
    (How::Within(Mutation::CellBesideStream), Where::Cuts, "an acknowledgement is not as old as its rows"),
    (How::Within(Mutation::EpochBesideStream), Where::Cuts, "rows have the date from before a step"),
    (How::Within(Mutation::SkipResizeSync), Where::Sizes, "the new layout names what is not there"),
    (How::Within(Mutation::ForgetFloor), Where::Sizes, "blocks that were given up come back with holes"),
    (How::NoSync("append"), Where::Cuts, "rows that were called certain are lost"),
    (How::NoSync("seal"), Where::Cuts, "a checkpoint names a block that is not there"),
    (How::NoSync("wrap"), Where::Cuts, "so it does at the start of the ring"),
    (How::NoSync("checkpoint"), Where::Cuts, "journal pages are used again that are still needed"),
    (How::NoChecksum, Where::Cuts, "half a write is taken for a whole one"),
    (How::NoChecksum, Where::Failing, "so it is beside a failing disk"),
];

/// A medium whose pages all seem to be whole.
struct Unchecked(FaultyDisk);

impl ReadAt for Unchecked {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, buf)?;
        for page in buf.chunks_exact_mut(4096).filter(|page| page[4..6] == *b"NX") {
            let checksum = crc32c(&page[4..]);
            page[..4].copy_from_slice(&checksum.to_le_bytes());
        }
        Ok(())
    }
}

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 })
    })
}

fn unchecked(disk: FaultyDisk) -> Arc<dyn ReadAt> {
    Arc::new(Unchecked(disk))
}

/// How many lives are lived at most until one notices: a kill between a sync that failed and the next is rare.
const LIVES_MAX: u64 = 60;

/// Lives until the judge objects.
fn live(how: &How, place: &Where, seed: u64) -> Result<(), String> {
    let pace = if seed.is_multiple_of(2) { Pace::OneByOne } else { Pace::Prompt };
    let mut plan = Plan::new(seed, options(), pace, &Fate::ALL);
    match how {
        How::Within(mutation) => plan.options = Options { mutation: *mutation, ..plan.options },
        How::NoSync(kind) => plan.leaves_out = Some(kind),
        How::NoChecksum => plan.through = unchecked,
    }
    if matches!(place, Where::Failing | Where::Kills) {
        (plan.fail_every, plan.noise, plan.filler) = (Some(8 + seed), 2, 400);
    }
    plan.only_openings = matches!(place, Where::Sizes);
    let mut life = Life::new(plan)?;
    match place {
        Where::Cuts | Where::Failing => life.live(200, 25),
        Where::Kills => life.live_and_lose_power(12),
        Where::Sizes => life.live_and_change_size(120, &[1 << 20, 400 << 10, 256 << 10, 5 << 20, 300 << 10]),
    }
}

#[test]
fn whatever_is_broken_on_purpose_is_caught() {
    let quietly = std::panic::take_hook();
    for (how, place, cost) in BROKEN {
        let name = match &how {
            How::Within(mutation) => format!("{mutation:?}"),
            How::NoSync(kind) => format!("no sync behind {kind}"),
            How::NoChecksum => "no checksums".to_owned(),
        };
        // What makes the store itself give up counts as noticed, too.
        std::panic::set_hook(Box::new(|_| {}));
        let caught = (1..=LIVES_MAX).find_map(|seed| match std::panic::catch_unwind(|| live(&how, &place, seed)) {
            Ok(lived) => lived.err(),
            Err(_) => Some("a panic".to_owned()),
        });
        let _ = std::panic::take_hook();
        let fault = caught.unwrap_or_else(|| panic!("{name} was not noticed"));
        println!("{name} ({cost}): {}", fault.chars().take(160).collect::<String>());
    }
    std::panic::set_hook(quietly);
}
