//! Makes a data file that is full, as a board's is after its first weeks.
//!
//! Usage: `fill_ring FILE BYTES INTERVAL_MS INSTANCE < one-collection.prom`
//!
//! The series are those of the exposition text on standard input, so they are this machine's own; how they move is said
//! in `made_up`. The last sample lies just before now, and the ring has gone round at least once, or the exit status
//! is 1. Power cuts are not the subject: nothing is synced before the end.

mod made_up;

use std::io::{self, Read};
use std::time::{SystemTime, UNIX_EPOCH};

use made_up::Board;
use model::UnixMs;
use tsdb::Options;

/// How much of the file is written to learn how long all of it takes.
const PROBE_SHARE: f64 = 0.04;

/// How much longer than a full file the made-up past is, so that the oldest blocks are overwritten.
const SURPLUS: f64 = 1.15;

/// Returns how much of the ring holds blocks.
fn share(board: &Board) -> f64 {
    let stats = board.store.stats();
    stats.used_bytes as f64 / stats.ring_bytes as f64
}

/// Fills the file, and returns what to say of it.
fn fill(path: &str, bytes: u64, interval_ms: u64, instance: &str) -> Result<String, String> {
    let mut text = Vec::new();
    io::stdin().read_to_end(&mut text).map_err(|error| format!("standard input: {error}"))?;
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?;
    let end = UnixMs(since_1970.as_millis() as i64);
    let options = Options { file_bytes: bytes, tail_bytes: 0, boot: 1, ..Options::default() };

    // A first try tells how many collections fill the file.
    let mut probe = Board::new(path, options.clone(), &text, instance, (UnixMs(end.0 / 2), false))?;
    let mut steps = 0;
    while share(&probe) < PROBE_SHARE {
        probe.collect(steps * interval_ms)?;
        steps += 1;
    }
    let steps = (steps as f64 / share(&probe) * SURPLUS) as u64;
    drop(probe);

    let begin = end.plus_ms(-((steps * interval_ms) as i64));
    let mut board = Board::new(path, options, &text, instance, (begin, false))?;
    for step in 0..steps {
        board.collect(step * interval_ms)?;
    }
    let now = board.at((steps - 1) * interval_ms);
    board.store.flush(now);
    board.carry_out(now)?;
    board.medium.file.sync_all().map_err(|error| format!("syncing: {error}"))?;
    let stats = board.store.stats();
    if stats.overwritten == 0 || stats.dropped + stats.faults > 0 {
        return Err(format!("the ring has not gone round in {steps} collections: {stats:?}"));
    }
    let rows = board.series();
    let samples = rows as u64 * steps;
    let kept = (end.0 - stats.oldest.unwrap_or(end).0) as f64 / 86_400_000.0;
    Ok(format!("filled {bytes} bytes: {samples} samples of {rows} series, {kept:.1} days of them kept"))
}

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, bytes, interval_ms, instance] = arguments.as_slice() else {
        return Err("usage: fill_ring FILE BYTES INTERVAL_MS INSTANCE < one-collection.prom".to_owned());
    };
    let number = |text: &String| text.parse::<u64>().map_err(|error| format!("{text}: {error}"));
    println!("{}", fill(path, number(bytes)?, number(interval_ms)?, instance)?);
    Ok(())
}
