//! What other programs leave in `*.prom` files, and `node_textfile_mtime_seconds`, `node_textfile_scrape_error`.
//!
//! ```text
//! # HELP backup_last_success_timestamp_seconds When the last backup ended.    <- /var/lib/.../backup.prom
//! # TYPE backup_last_success_timestamp_seconds gauge
//! backup_last_success_timestamp_seconds 1.78e+09
//! ```
//!
//! A file is read whole or not at all; a file with timestamps is not read. Every file that was not read, and every
//! second help text for one name, sets the error metric, while the collector itself counts as succeeded, as with
//! the peer. How files' families come together is in `merge`, the directory patterns are in `glob`.
//! Unlike the peer, a default directory that is not there is no error.

mod glob;
mod merge;

use std::path::{Path, PathBuf};

use exposition::TextParser;
use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo, FlagInfo};
use crate::error::CollectError;
use crate::host::{Host, Names, Reader};
use crate::settings::Settings;

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "textfile",
    default_on: true,
    make: |settings| Ok(Box::new(Textfile::new(settings))),
    flags: &[DIRECTORY],
    doc: "Metrics that other programs leave in `*.prom` files.",
};

const DIRECTORY: FlagInfo = FlagInfo {
    name: "collector.textfile.directory",
    default: "/var/lib/prometheus/node-exporter",
    help: "Directory to read text files with metrics from, supports glob matching. (repeatable)",
};

/// The most files read at a collection; what is more is left out and blamed.
const FILES_MAX: usize = 4_096;

/// The most bytes read of all files at a collection; a file that is more is left out and blamed.
const TEXT_BYTES_MAX: usize = 16 << 20;

/// Reads `*.prom` files.
struct Textfile {
    directories: Vec<String>,
    is_default: bool,
    names: Names,
    file: Reader,
    parser: TextParser,
    /// What all files said, one after the other.
    parsed: Batch,
    files: Vec<File>,
    /// The files' paths.
    text: String,
    /// How many bytes of files were read.
    bytes: usize,
    merge: merge::Merge,
    failures: Failures,
}

/// One file that was read.
struct File {
    path: (usize, usize),
    modified: f64,
    /// Where its families end in the batch of all files.
    families_end: usize,
}

/// What went wrong, and whether the error metric says so.
#[derive(Default)]
struct Failures {
    first: Option<CollectError>,
    is_told: bool,
}

impl Failures {
    fn note(&mut self, error: CollectError, is_told: bool) {
        self.first.get_or_insert(error);
        self.is_told |= is_told;
    }
}

impl Textfile {
    fn new(settings: &Settings) -> Textfile {
        let given = settings.values(DIRECTORY.name);
        let directories = match given {
            [] => vec![DIRECTORY.default.to_owned()],
            given => given.iter().map(|directory| glob::clean(directory)).collect(),
        };
        Textfile {
            directories,
            is_default: given.is_empty(),
            names: Names::default(),
            file: Reader::new(),
            parser: TextParser::new(),
            parsed: Batch::new(),
            files: Vec::new(),
            text: String::new(),
            bytes: 0,
            merge: merge::Merge::default(),
            failures: Failures::default(),
        }
    }

    fn read_directory(&mut self, host: &Host, directory: &str) {
        let listed = match self.is_default {
            true => self.names.list_if_there(Path::new(directory), &[]),
            false => self.names.list(Path::new(directory), &[]).map(|()| true),
        };
        match listed {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => return self.failures.note(error, true),
        }
        let names = std::mem::take(&mut self.names);
        for name in names.iter().filter(|name| name.ends_with(".prom")) {
            if let Err(error) = self.read_file(host, directory, name) {
                self.failures.note(error, true);
            }
        }
        self.names = names;
    }

    fn read_file(&mut self, host: &Host, directory: &str, name: &str) -> Result<(), CollectError> {
        if self.files.len() >= FILES_MAX {
            return Err(CollectError::malformed(Path::new(directory), 0, "at most 4096 files"));
        }
        // A family without rows keeps two files' families apart.
        self.parsed.family("", "", MetricKind::Unknown);
        let rows = self.parsed.rows().len();
        let bytes = self.file.bytes(host, Path::new(directory), &[name])?;
        if self.bytes + bytes.len() > TEXT_BYTES_MAX {
            return Err(CollectError::malformed(Path::new(directory), 0, "at most 16 MiB in all files"));
        }
        self.bytes += bytes.len();
        let parsed = self.parser.parse(bytes, &mut self.parsed);
        let path = self.file.path();
        parsed.map_err(|error| CollectError::malformed(path, error.line, &error.what))?;
        if self.parsed.rows()[rows..].iter().any(|row| row.at.is_some()) {
            self.parsed.truncate(rows);
            return Err(CollectError::malformed(path, 0, "no client-side timestamps"));
        }
        let modified = host.modified(path)?;
        let start = self.text.len();
        if directory != "." {
            self.text.push_str(directory);
            self.text.push_str(if directory.ends_with('/') { "" } else { "/" });
        }
        self.text.push_str(name);
        let path = (start, self.text.len());
        self.files.push(File { path, modified, families_end: self.parsed.families().len() });
        Ok(())
    }
}

impl Collector for Textfile {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        self.parsed.clear();
        self.files.clear();
        self.text.clear();
        self.bytes = 0;
        self.failures = Failures::default();
        let directories = std::mem::take(&mut self.directories);
        for directory in directories.iter().filter(|directory| !directory.is_empty()) {
            match glob::is_pattern(directory).then(|| glob::expand(directory)).filter(|found| !found.is_empty()) {
                Some(found) => found.iter().for_each(|found| self.read_directory(host, found)),
                None => self.read_directory(host, directory),
            }
        }
        self.directories = directories;
        self.merge.tell(&self.parsed, &self.files, &self.text, &mut self.failures, out);
        let help = "Unixtime mtime of textfiles successfully read.";
        out.family("node_textfile_mtime_seconds", help, MetricKind::Gauge);
        for file in &self.files {
            out.add(&[("file", &self.text[file.path.0..file.path.1])], file.modified);
        }
        let help = "1 if there was an error opening or reading a file, 0 otherwise";
        out.family("node_textfile_scrape_error", help, MetricKind::Gauge);
        out.add(&[], f64::from(u8::from(self.failures.is_told)));
        match self.failures.first.take() {
            Some(error) => Err(CollectError::Partly(Box::new(error))),
            None => Ok(()),
        }
    }
}

/// Returns a path for an error about a family that no single file is to blame for.
fn blame(text: &str, file: Option<&File>) -> PathBuf {
    file.map_or(PathBuf::new(), |file| text[file.path.0..file.path.1].into())
}
