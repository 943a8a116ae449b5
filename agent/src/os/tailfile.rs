//! The tail: what was appended since the last sync, in a file that lives in memory.
//!
//! A killed process loses its memory but not `/run`, so the unsynced rows are also written here, and a kill loses
//! nothing. It is bounded by the store, costs no flash, and is gone after a power cut, as it must be. Where there is
//! no such folder the agent works without and says so.
//!
//! `/dev/shm` is everybody's: a folder there that another user made first could hold a link to one of our own files.
//! So the folder must be ours or root's, a link is not followed, and what is no plain file is refused.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

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
    /// As the system answers, and `PermissionDenied` for a place that somebody else controls.
    pub fn open(path: &Path) -> io::Result<(TailFile, Vec<u8>)> {
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            check_folder(folder)?;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = options.custom_flags(flags.bits() as i32).open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "not a plain file"));
        }
        let mut held = Vec::new();
        (&file).take(TAIL_BYTES_MAX).read_to_end(&mut held)?;
        Ok((TailFile { file }, held))
    }

    /// Returns what the file holds, whoever is writing it; `None` when it cannot be read.
    pub fn held(path: &Path) -> Option<Vec<u8>> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path).ok()?;
        file.metadata().ok().filter(|found| found.is_file())?;
        let mut held = Vec::new();
        file.take(TAIL_BYTES_MAX).read_to_end(&mut held).ok()?;
        Some(held)
    }

    /// Writes bytes at an offset.
    ///
    /// # Errors
    /// As the system answers.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }
}

fn check_folder(folder: &Path) -> io::Result<()> {
    let owner = std::fs::symlink_metadata(folder)?.uid();
    if owner == 0 || owner == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, "its folder belongs to another user"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> std::path::PathBuf {
        std::env::temp_dir().join(format!("narthex-tail-{name}-{}", std::process::id()))
    }

    #[test]
    fn what_was_written_is_held() {
        let folder = folder("held");
        let path = folder.join("a/tail");
        let (tail, held) = TailFile::open(&path).expect("a tail");
        assert!(held.is_empty());
        tail.write(2, b"abc").expect("room");
        assert_eq!(TailFile::open(&path).expect("the tail again").1, b"\0\0abc");
        assert_eq!(std::fs::metadata(folder.join("a")).expect("a folder").mode() & 0o777, 0o700);
        std::fs::remove_dir_all(&folder).expect("our own folder");
    }

    /// Somebody who makes the folder first must not get us to write over a file of ours.
    #[test]
    fn a_link_is_not_followed() {
        let folder = folder("link");
        std::fs::create_dir_all(&folder).expect("a folder");
        let victim = folder.join("victim");
        std::fs::write(&victim, "precious").expect("a file");
        std::os::unix::fs::symlink(&victim, folder.join("tail")).expect("a link");
        assert!(TailFile::open(&folder.join("tail")).is_err());
        assert!(TailFile::open(&folder).is_err(), "a folder is no plain file");
        std::fs::remove_dir_all(&folder).expect("our own folder");
    }
}
