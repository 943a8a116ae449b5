//! Gets the store: from its file, or in memory when the medium cannot be used.
//!
//! A card that is full, read-only or gone does not keep the agent from collecting, judging and serving: everything
//! is then kept in bounded memory, counted and said, and the medium is tried again. What must not be touched (a
//! file of another program or version, a file another agent holds) is refused instead, with the path.

pub mod retry;

use std::path::{Path, PathBuf};

use model::Now;
use tsdb::{OpenError, Options, Recovery, Store};

use crate::cli::chain;
use crate::config::{Storage, Tail};
use crate::house::BUILD_DATE;
use crate::os::datafile::{DataFile, DataFileError};
use crate::os::paths;
use crate::os::tailfile::TailFile;

/// What came of opening the medium.
pub struct Medium {
    /// The store, on the medium or in memory.
    pub store: Store,
    /// The data file, for the disk thread.
    pub file: Option<DataFile>,
    /// The tail.
    pub tail: Option<TailFile>,
    /// Where the data file is; `None`: in memory.
    pub path: Option<PathBuf>,
    /// Why it is in memory, empty otherwise.
    pub trouble: String,
    /// What opening found.
    pub found: Recovery,
}

/// Opens the data file of this configuration.
///
/// # Errors
/// When there is a file that must not be touched.
pub fn open(storage: &Storage, folder: Option<&Path>, now: Now) -> Result<Medium, String> {
    let path = data_file(storage, folder);
    match try_open(storage, &path, now) {
        Ok(medium) => Ok(medium),
        Err(Refusal::Untouchable(reason)) => Err(reason),
        Err(Refusal::Unusable(reason)) => {
            log::error!("{reason}; everything is kept in memory until the medium can be used");
            let store = Store::in_memory(options(storage), now);
            Ok(Medium { store, file: None, tail: None, path: None, trouble: reason, found: Recovery::default() })
        }
    }
}

/// Returns where the data file is, or is to be.
pub fn data_file(storage: &Storage, folder: Option<&Path>) -> PathBuf {
    let folder = folder.or(storage.path.as_deref()).map_or_else(paths::state_folder, Path::to_owned);
    folder.join(paths::DATA_FILE)
}

/// Why a data file was not opened.
pub enum Refusal {
    /// Somebody else's: never overwritten.
    Untouchable(String),
    /// The medium does not work at present.
    Unusable(String),
}

/// Opens the data file, or says why not.
///
/// # Errors
/// [`Refusal`].
pub fn try_open(storage: &Storage, path: &Path, now: Now) -> Result<Medium, Refusal> {
    let mut file = DataFile::open(path).map_err(|error| match error {
        DataFileError::Busy(_) => Refusal::Untouchable(error.to_string()),
        DataFileError::Io { .. } => Refusal::Unusable(chain(&error)),
    })?;
    let (tail, held) = open_tail(storage, path);
    let reader = file.reader();
    let opened = Store::open(&mut file, reader, held.as_deref(), options(storage), now);
    let (store, recovery) = opened.map_err(|error| match &error {
        OpenError::Io { .. } | OpenError::Room { .. } => {
            Refusal::Unusable(format!("{}: {}", path.display(), chain(&error)))
        }
        _ => Refusal::Untouchable(format!("{}: {}", path.display(), chain(&error))),
    })?;
    if recovery.created {
        file.forget_cached();
    }
    say(path, &recovery);
    let path = Some(path.to_owned());
    Ok(Medium { store, file: Some(file), tail, path, trouble: String::new(), found: recovery })
}

/// Says once what opening found.
fn say(path: &Path, found: &Recovery) {
    let path = path.display();
    if found.created {
        log::info!("{path}: made, {} bytes", found.file_bytes);
    }
    if found.resized_from > 0 {
        let (bytes, before, rows) = (found.file_bytes, found.resized_from, found.rows_cut_off);
        log::info!("{path}: now {bytes} bytes instead of {before}; {rows} samples had no room");
    }
    if found.resize_refused {
        log::warn!(
            "{path}: keeps its {} bytes: the medium has no room for more, or less is too little",
            found.file_bytes
        );
    }
    if found.rows_from_tail > 0 {
        log::info!("{path}: {} samples came back from the unsynced tail", found.rows_from_tail);
    }
    if found.truncated {
        log::warn!("{path}: the file was cut short; what was in its missing end is lost");
    }
    if found.torn_pages > 0 {
        log::info!("{path}: {} pages are not whole, as a power cut leaves them", found.torn_pages);
    }
    if found.damaged_pages > 0 || found.damaged_blocks > 0 {
        let (pages, blocks) = (found.damaged_pages, found.damaged_blocks);
        log::warn!("{path}: {pages} pages and {blocks} blocks are damaged and left out; the rest is served");
    }
    log::debug!("{path}: {found:?}");
}

fn open_tail(storage: &Storage, data_file: &Path) -> (Option<TailFile>, Option<Vec<u8>>) {
    let path = match &storage.tail {
        Tail::Nowhere => None,
        Tail::At(path) => Some(path.clone()),
        Tail::Platform => paths::tail_path(data_file),
    };
    let Some(path) = path else {
        log::info!("there is no folder in memory for the unsynced tail: a kill may lose up to sync_interval");
        return (None, None);
    };
    match TailFile::open(&path) {
        Ok((tail, held)) => (Some(tail), Some(held)),
        Err(error) => {
            log::warn!("{}: {error}: a kill may lose up to sync_interval", path.display());
            (None, None)
        }
    }
}

/// Returns what the configuration says of a store.
pub fn options(storage: &Storage) -> Options {
    Options {
        file_bytes: storage.size_bytes,
        sync_interval_ms: storage.sync_interval_ms,
        series_max: storage.series_max,
        block_bytes_max: block_bytes_max(storage),
        memory_bytes_max: storage.memory_bytes as usize,
        retention_ms: storage.retention_ms,
        out_of_order_ms: storage.out_of_order_ms,
        build_date: BUILD_DATE,
        boot: crate::os::clock::boot_number(),
        ..Options::default()
    }
}

/// A block is open, frozen while it is sealed, and copied once while it is written: a quarter each, one to spare. Whoever
/// gives more memory than the default has many series, which a small block would have to name again and again.
fn block_bytes_max(storage: &Storage) -> usize {
    let (default, memory) = (Options::default().block_bytes_max, storage.memory_bytes as usize);
    default.max(memory / 8).min(memory / 4)
}
