//! A board's day as the medium sees it: every write and every sync of twenty-four hours, on a real file, in seconds.
//!
//! Usage: `live_day FILE BYTES INTERVAL_MS SYNC_MS HOURS < one-collection.prom`
//!
//! The series are those of the text, how they move is said in `made_up`; an upstream's acknowledgement is saved with
//! each collection, as the agent does when it forwards. Printed as JSON: samples, syncs, and the bytes that the store
//! itself wrote; what the file system adds is for the caller to read from the device.

mod made_up;

use std::io::{self, Read};

use made_up::Board;
use model::UnixMs;
use tsdb::Options;

/// When the day begins.
const BEGIN: UnixMs = UnixMs(1_800_000_000_000);
/// An acknowledgement: two ids, the frame in doubt, and the counts of what was lost.
const ACKNOWLEDGEMENT_BYTES: usize = 48;

fn live(path: &str, [bytes, interval_ms, sync_ms, hours]: [u64; 4]) -> Result<String, String> {
    let mut text = Vec::new();
    io::stdin().read_to_end(&mut text).map_err(|error| format!("standard input: {error}"))?;
    let options =
        Options { file_bytes: bytes, tail_bytes: 0, boot: 1, sync_interval_ms: sync_ms, ..Options::default() };
    let mut board = Board::new(path, options, &text, "board:9100", (BEGIN, true))?;
    let steps = hours * 3_600_000 / interval_ms;
    for step in 0..steps {
        let mut state = [0; ACKNOWLEDGEMENT_BYTES];
        state[..8].copy_from_slice(&(step * board.series() as u64).to_le_bytes());
        board.store.put_cell("forward/upstream", &state).map_err(|error| error.to_string())?;
        board.collect(step * interval_ms)?;
    }
    let stats = board.store.stats();
    if stats.dropped + stats.faults + stats.refused.total() > 0 {
        return Err(format!("something was lost: {stats:?}"));
    }
    Ok(format!(
        "{{\"samples\":{},\"series\":{},\"hours\":{hours},\"syncs\":{},\"journal_bytes\":{},\"block_bytes\":{},\"blocks\":{}}}",
        stats.appended,
        board.series(),
        stats.syncs,
        stats.journal_bytes,
        stats.block_bytes,
        stats.blocks
    ))
}

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, numbers @ ..] = arguments.as_slice() else {
        return Err("usage: see the head of live_day.rs".to_owned());
    };
    let numbers: Result<Vec<u64>, _> = numbers.iter().map(|number| number.parse::<u64>()).collect();
    let numbers = numbers.map_err(|error| error.to_string())?;
    let numbers = numbers.try_into().map_err(|_| "usage: FILE BYTES INTERVAL_MS SYNC_MS HOURS".to_owned())?;
    println!("{}", live(path, numbers)?);
    Ok(())
}
