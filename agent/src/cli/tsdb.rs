//! `narthex tsdb import|dump|stats|verify|snapshot`: the data file without an agent, or beside one.
//!
//! The file is opened as the agent opens it, and locked: while an agent runs on it these commands are refused, but for
//! `snapshot`, which only reads. Only `import` writes samples; the others change nothing but the opening's number in the file.

mod dump;
mod import;
mod snapshot;
mod stats;
mod verify;

use std::path::PathBuf;

use model::{Clock, Disk, Now};
use tsdb::{DiskOp, OpDone, Recovery, Store};

use super::args::{Arguments, Next, unknown};
use super::{Failure, help};
use crate::believed;
use crate::config::Storage;
use crate::medium::{self, Refusal};
use crate::os::clock::SystemClock;
use crate::os::datafile::DataFile;

const FLAGS: [&str; 8] =
    ["storage.path", "storage.size", "config.file", "match", "min-time", "max-time", "output", "help"];

/// What the command line says.
#[derive(Default)]
struct Asked {
    storage_path: Option<PathBuf>,
    storage_size: Option<u64>,
    config_file: Option<PathBuf>,
    matches: Vec<String>,
    min_time: Option<i64>,
    max_time: Option<i64>,
    is_json: bool,
    files: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// Wrong usage, a file that cannot be opened, input that is wrong, or damage that was found.
pub fn main(mut arguments: Arguments) -> Result<(), Failure> {
    let mut asked = Asked::default();
    let mut command = None;
    while let Some(next) = arguments.next()? {
        match next {
            Next::Flag(flag) => match flag.as_str() {
                "help" | "h" => return help::print(help::TSDB),
                "storage.path" => asked.storage_path = Some(arguments.value()?.into()),
                "storage.size" => asked.storage_size = Some(size(&arguments.value()?)?),
                "config.file" => asked.config_file = Some(arguments.value()?.into()),
                "match" => asked.matches.push(arguments.value()?),
                "min-time" => asked.min_time = Some(milliseconds(&arguments.value()?)?),
                "max-time" => asked.max_time = Some(milliseconds(&arguments.value()?)?),
                "output" | "o" => asked.is_json = is_json(&arguments.value()?)?,
                _ => return Err(unknown(&flag, FLAGS)),
            },
            Next::Operand(word) if command.is_none() => command = Some(word),
            Next::Operand(file) => asked.files.push(file),
        }
    }
    match command.as_deref() {
        Some("import") => import::run(&asked),
        Some("dump") => dump::run(&asked),
        Some("stats") => stats::run(&asked),
        Some("verify") => verify::run(&asked),
        Some("snapshot") => snapshot::run(&asked),
        _ => Err(Failure::Usage("tsdb what? 'narthex tsdb import|dump|stats|verify|snapshot'".to_owned())),
    }
}

fn size(text: &str) -> Result<u64, Failure> {
    yaml::size(text).ok_or_else(|| Failure::Usage(format!("--storage.size={text}: 256MB, 1GB ...")))
}

/// Reads a time as promtool does: milliseconds since 1970.
fn milliseconds(text: &str) -> Result<i64, Failure> {
    text.parse().map_err(|_| Failure::Usage(format!("{text}: expected milliseconds since 1970")))
}

fn is_json(text: &str) -> Result<bool, Failure> {
    match text {
        "json" => Ok(true),
        "table" => Ok(false),
        other => Err(Failure::Usage(format!("-o {other}: table or json"))),
    }
}

/// Opens the data file in a folder, which must be there.
///
/// # Errors
/// When it is not there, cannot be opened, or an agent has it.
pub fn open_to_read(folder: PathBuf) -> Result<Offline, Failure> {
    Asked { storage_path: Some(folder), ..Asked::default() }.open(false)
}

/// A store that nobody else uses, with its file: what it asks of the disk is done at once.
pub struct Offline {
    store: Store,
    file: DataFile,
    path: PathBuf,
    found: Recovery,
    clock: SystemClock,
    ops: Vec<DiskOp>,
}

impl Asked {
    /// Returns what the configuration says of the storage, flags laid over it.
    fn storage(&self) -> Result<Storage, Failure> {
        let loaded = believed::load(self.config_file.as_deref(), promql::Features::default());
        let config = loaded.config.ok_or_else(|| Failure::Fault(super::check::listed(&loaded.errors)))?;
        let mut storage = config.storage;
        // What is asked for is taken, however old; only the file's size bounds it.
        (storage.out_of_order_ms, storage.retention_ms, storage.series_max) = (u64::MAX, None, usize::MAX);
        if let Some(bytes) = self.storage_size {
            storage.size_bytes = bytes;
        }
        Ok(storage)
    }

    /// Opens the data file; `make` says whether it may be made.
    fn open(&self, make: bool) -> Result<Offline, Failure> {
        let mut storage = self.storage()?;
        let path = medium::data_file(&storage, self.storage_path.as_deref());
        // A file that is there keeps its size and all its rows unless somebody says otherwise, and what is brought in is
        // as old as it is.
        if self.storage_size.is_none() && std::fs::metadata(&path).is_ok_and(|found| found.len() > 0) {
            storage.size_bytes = 0;
        }
        (storage.out_of_order_ms, storage.retention_ms) = (u64::MAX, None);
        if !make && !path.exists() {
            let path = path.display();
            return Err(Failure::Fault(format!("{path}: there is no data file, name its folder with --storage.path")));
        }
        let clock = SystemClock { trusted_after: None };
        let opened = medium::try_open(&storage, &path, clock.now()).map_err(|refusal| match refusal {
            Refusal::Untouchable(reason) | Refusal::Unusable(reason) => Failure::Fault(reason),
        })?;
        let Some(file) = opened.file else { return Err(Failure::Fault(opened.trouble)) };
        let (store, found) = (opened.store, opened.found);
        let mut offline = Offline { store, file, path, found, clock, ops: Vec::new() };
        offline.carry_out()?;
        Ok(offline)
    }
}

impl Offline {
    /// Returns what reads it.
    pub fn reader(&self) -> tsdb::Reader {
        self.store.reader()
    }

    fn now(&self) -> Now {
        self.clock.now()
    }

    /// Puts everything into sealed blocks.
    fn seal(&mut self) -> Result<(), Failure> {
        let now = self.now();
        self.store.seal(now);
        self.store.flush(now);
        self.carry_out()?;
        match self.store.stats().dropped {
            0 => Ok(()),
            dropped => Err(Failure::Fault(format!("{}: {dropped} samples were dropped", self.path.display()))),
        }
    }

    /// Does what the store asks of the disk, until it asks no more and no block is frozen: the next one would take its
    /// place, and what it holds would be lost.
    fn carry_out(&mut self) -> Result<(), Failure> {
        let fault = |path: &PathBuf, error: std::io::Error| Failure::Fault(format!("{}: {error}", path.display()));
        loop {
            self.store.take_ops(&mut self.ops);
            if self.ops.is_empty() && !self.store.stats().frozen {
                return Ok(());
            }
            if self.ops.is_empty() {
                self.store.tick(self.clock.now());
            }
            for op in self.ops.drain(..) {
                let done = match op {
                    DiskOp::Write { offset, bytes } => {
                        self.file.write(offset, &bytes).map_err(|error| fault(&self.path, error))?;
                        OpDone::Written { result: Ok(()) }
                    }
                    DiskOp::Sync { ticket } => {
                        self.file.sync().map_err(|error| fault(&self.path, error))?;
                        OpDone::Synced { ticket, result: Ok(()) }
                    }
                    DiskOp::Tail { .. } => continue,
                };
                self.store.done(self.clock.now(), done);
            }
        }
    }
}
