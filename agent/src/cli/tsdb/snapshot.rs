//! `narthex tsdb snapshot FOLDER`: a copy of the data file, made while the agent goes on writing to it.
//!
//! The agent is not asked, and need not run: the file is read as a power cut could have left it at one instant during
//! the copying, see the library's `snapshot.rs`. With the unsynced tail, where that can be read, the copy has every
//! sample up to that instant. It is a data file as any other: `dump`, `stats`, `verify` and an agent take it.

use std::path::{Path, PathBuf};

use model::{Clock, Querier, TimeRange};

use super::{Asked, Offline};
use crate::cli::{Failure, chain};
use crate::config::Tail;
use crate::medium;
use crate::os::clock::SystemClock;
use crate::os::datafile::DataFile;
use crate::os::paths;
use crate::os::tailfile::TailFile;

/// Runs the command.
pub fn run(asked: &Asked) -> Result<(), Failure> {
    let [folder] = asked.files.as_slice() else {
        return Err(Failure::Usage("tsdb snapshot needs the folder that the copy goes to".to_owned()));
    };
    let mut storage = asked.storage()?;
    let source = medium::data_file(&storage, asked.storage_path.as_deref());
    let target = Path::new(folder).join(paths::DATA_FILE);
    let fault =
        |path: &Path, error: &dyn std::error::Error| Failure::Fault(format!("{}: {}", path.display(), chain(error)));
    let (reader, bytes) = DataFile::to_read(&source).map_err(|error| fault(&source, &error))?;
    let mut copy = DataFile::make(&target).map_err(|error| fault(&target, &error))?;
    let tail = tail_of(&storage.tail, &source);
    let mut held = || tail.as_deref().and_then(TailFile::held);
    let held = tsdb::snapshot(&*reader, bytes, &mut held, &mut copy).map_err(|error| {
        DataFile::remove(&target);
        fault(if matches!(error, tsdb::SnapshotError::Write(_)) { &target } else { &source }, &error)
    })?;
    // What the tail holds becomes part of the copy.
    storage.size_bytes = 0;
    let clock = SystemClock { trusted_after: None };
    let reader = copy.reader();
    let opened = tsdb::Store::open(&mut copy, reader, held.as_deref(), medium::options(&storage), clock.now());
    let (store, found) = opened.map_err(|error| fault(&target, &error))?;
    let mut offline = Offline { store, file: copy, path: target, found, clock, ops: Vec::new() };
    offline.store.flush(offline.now());
    offline.carry_out()?;
    report(&offline, &source, held.is_none())
}

/// Returns where the tail of the agent on this data file is.
fn tail_of(tail: &Tail, data_file: &Path) -> Option<PathBuf> {
    match tail {
        Tail::Nowhere => None,
        Tail::At(path) => Some(path.clone()),
        Tail::Platform => paths::tail_path(data_file),
    }
}

fn report(offline: &Offline, source: &Path, is_without_tail: bool) -> Result<(), Failure> {
    let (mut series, stats) = (0u64, offline.store.stats());
    let mut count = |_: &model::Labels| {
        series += 1;
        true
    };
    let path = offline.path.display();
    let listed = offline.store.reader().series(&[], TimeRange::ALL, &mut count);
    listed.map_err(|error| Failure::Fault(format!("{path}: {error}")))?;
    let newest = stats.newest.map_or(String::new(), |newest| format!(", up to {newest}"));
    println!("{path}: a copy of {}: {} samples of {series} series{newest}", source.display(), stats.rows);
    if is_without_tail {
        println!("the unsynced tail could not be read: what came after the last sync is not in it");
    }
    match (stats.damaged_pages, offline.found.damaged_blocks) {
        (0, 0) => Ok(()),
        (pages, blocks) => {
            Err(Failure::Fault(format!("{path}: {pages} pages and {blocks} blocks are damaged, as in the original")))
        }
    }
}
