//! The tail: what was appended since the last sync, in a file that lives in memory.
//!
//! A killed process loses its memory but not `/run`, so the unsynced rows are also written here, and a kill loses
//! nothing. It is bounded by the store, costs no flash, and is gone after a power cut, as it must be. Where there is
//! no such folder the agent works without and says so.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// The most that is read back at start, in bytes; the store keeps its tail well under it.
pub const TAIL_BYTES_MAX: u64 = 64 << 20;

/// The file with the unsynced tail.
#[derive(Debug)]
pub struct TailFile {
    file: File,
}

impl TailFile {
    /// Opens the file, making it where it is missing, and returns it with what it holds.
    ///
    /// # Errors
    /// As the system answers.
    pub fn open(path: &Path) -> io::Result<(TailFile, Vec<u8>)> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let mut held = Vec::new();
        (&file).take(TAIL_BYTES_MAX).read_to_end(&mut held)?;
        Ok((TailFile { file }, held))
    }

    /// Writes bytes at an offset.
    ///
    /// # Errors
    /// As the system answers.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }
}
