//! The data file: one file, one owner, positioned reads and writes.
//!
//! The owner holds an exclusive lock, so a second agent on the same file is refused instead of ruining it. Readers
//! share the descriptor: `pread` needs no position. Room is reserved with `fallocate`, so that a full card is found
//! out when the file is made and never later.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, IoSliceMut};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Disk, ReadAt};
use rustix::fs::{Advice, FallocateFlags, fadvise, fallocate};
use rustix::io::{ReadWriteFlags, preadv2};

/// The data file, opened and locked.
#[derive(Debug, Clone)]
pub struct DataFile {
    file: Arc<File>,
}

/// Why the data file could not be had.
#[derive(Debug)]
pub enum DataFileError {
    /// Somebody else holds it.
    Busy(PathBuf),
    /// The system refused.
    Io {
        /// What was being done.
        what: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl std::fmt::Display for DataFileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DataFileError::Busy(path) => {
                write!(
                    f,
                    "{}: another agent is using this data file (give this one its own --storage.path)",
                    path.display()
                )
            }
            DataFileError::Io { what, path, .. } => write!(f, "{what} {}", path.display()),
        }
    }
}

impl std::error::Error for DataFileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            DataFileError::Busy(_) => None,
            DataFileError::Io { source, .. } => Some(source),
        }
    }
}

impl DataFile {
    /// Opens the file, making it and its folder where they are missing.
    ///
    /// # Errors
    /// [`DataFileError`].
    pub fn open(path: &Path) -> Result<DataFile, DataFileError> {
        let fail = |what, path: &Path| {
            let path = path.to_owned();
            move |source| DataFileError::Io { what, path, source }
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(fail("creating folder", folder))?;
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o640)
            .open(path)
            .map_err(fail("opening data file", path))?;
        match file.try_lock() {
            Ok(()) => {
                small_pages(&file);
                Ok(DataFile { file: Arc::new(file) })
            }
            Err(TryLockError::WouldBlock) => Err(DataFileError::Busy(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(fail("locking data file", path)(source)),
        }
    }

    /// Opens a file that is there to read it, whoever else uses it; returns its size too.
    ///
    /// # Errors
    /// [`DataFileError::Io`].
    pub fn to_read(path: &Path) -> Result<(Arc<dyn ReadAt>, u64), DataFileError> {
        let fail = |source| DataFileError::Io { what: "opening data file", path: path.to_owned(), source };
        let file = File::open(path).map_err(fail)?;
        let bytes = file.metadata().map_err(fail)?.len();
        Ok((Arc::new(DataFile { file: Arc::new(file) }), bytes))
    }

    /// Makes an empty file, and its folder where it is missing.
    ///
    /// # Errors
    /// [`DataFileError`]; where there is a file already it is left as it is.
    pub fn make(path: &Path) -> Result<DataFile, DataFileError> {
        if path.exists() {
            let source = io::ErrorKind::AlreadyExists.into();
            return Err(DataFileError::Io { what: "making data file", path: path.to_owned(), source });
        }
        DataFile::open(path)
    }

    /// Removes a file that came to nothing.
    pub fn remove(path: &Path) {
        let _ = std::fs::remove_file(path);
    }

    /// Asks the kernel to forget what it keeps of the file, once that is on the medium. What was written in large pieces
    /// when the file was made is kept in large pieces, and a page that is then written counts as all of one.
    pub fn forget_cached(&self) {
        if self.file.sync_data().is_ok() {
            small_pages(&self.file);
        }
    }

    /// Returns what readers on other threads use.
    pub fn reader(&self) -> Arc<dyn ReadAt> {
        Arc::new(self.clone())
    }
}

/// Asks the kernel to keep this file in small pieces: without it, what was read ahead is one large folio, and a page
/// written into it is counted (and on some file systems written) as the whole of it. Only advice: failing is fine.
fn small_pages(file: &File) {
    let _ = fadvise(file, 0, None, Advice::DontNeed);
    let _ = fadvise(file, 0, None, Advice::Random);
}

impl ReadAt for DataFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buf, offset)
    }

    fn read_at_hand(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        // Of a file system that cannot tell, as of one that would have to wait, it is an error.
        match preadv2(&*self.file, &mut [IoSliceMut::new(buf)], offset, ReadWriteFlags::NOWAIT) {
            Ok(read) if read == buf.len() => Ok(()),
            _ => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Disk for DataFile {
    fn len(&mut self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buf, offset)
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        let now = self.file.metadata()?.len();
        if bytes <= now {
            return self.file.set_len(bytes);
        }
        match fallocate(&*self.file, FallocateFlags::empty(), 0, bytes) {
            Ok(()) => Ok(()),
            // Some file systems cannot reserve: the size is set all the same, and room may lack later.
            Err(rustix::io::Errno::OPNOTSUPP) => self.file.set_len(bytes),
            Err(errno) => Err(errno.into()),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_owner_is_refused_and_named() {
        let folder = std::env::temp_dir().join(format!("narthex-lock-{}", std::process::id()));
        let path = folder.join("a/b.ring");
        let mut first = DataFile::open(&path).expect("the first owner");
        let error = DataFile::open(&path).expect_err("the second owner").to_string();
        assert!(error.contains("b.ring") && error.contains("--storage.path"), "{error}");
        first.set_len(8_192).expect("room for two pages");
        first.write(4_096, b"abc").expect("a write within");
        let mut buf = [0; 3];
        first.reader().read_at(4_096, &mut buf).expect("a read within");
        assert_eq!((&buf, first.len().expect("a size")), (b"abc", 8_192));
        drop(first);
        DataFile::open(&path).expect("the lock goes with its owner");
        std::fs::remove_dir_all(&folder).expect("our own folder");
    }
}
