//! Folders of sysfs whose small files are read at every collection.
//!
//! Opening a file of sysfs costs five times what reading it costs, so they stay open where the folder is the
//! kernel's, as many as [`OPEN_MAX`] a collector. A file whose device is gone says so when it is read, and is looked for
//! by its name again. Where a name may be given to another device while the first is there (network devices), or files
//! come late, a [`Folder`] is looked at before its files are read: when it is another than before, they are closed.
//!
//! What it does not do: keep a value. A file is read anew every time.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;
use rustix::io::Errno;

use crate::error::CollectError;
use crate::host::{is_silence, open, set_path};

/// The most files that one collector keeps open; the others are opened every time.
pub const OPEN_MAX: usize = 128;

/// The most bytes of one file: no attribute of sysfs is longer than a page.
pub const BYTES_MAX: usize = 4_096;

/// Where files stay open. A fixture tree is written anew between readings, so its files do not.
pub(crate) const KERNELS: &str = "/sys";

/// One folder, and those of its files that are open.
#[derive(Default)]
pub struct Folder {
    /// The way to it from the root of sysfs.
    dir: String,
    /// The device and number of its node.
    node: (u64, u64),
    files: Vec<Option<File>>,
}

impl Folder {
    /// Returns a folder by its way from the root of sysfs.
    pub fn new(dir: String) -> Folder {
        Folder { dir, ..Folder::default() }
    }

    /// Returns the way to it.
    pub fn dir(&self) -> &str {
        &self.dir
    }

    /// Returns how many of its files are open.
    pub fn open(&self) -> usize {
        self.files.iter().flatten().count()
    }
}

/// Returns where among folders that of a device is, by the device's name; a new one is put behind the others.
pub fn place_of(folders: &mut Vec<(String, Folder)>, device: &str, dir: &[&str]) -> usize {
    folders.iter().position(|(name, _)| name == device).unwrap_or_else(|| {
        folders.push((device.to_owned(), Folder::new(dir.concat())));
        folders.len() - 1
    })
}

/// The memory that folders are read with, and how many of their files are open.
#[derive(Default)]
pub struct Desk {
    path: PathBuf,
    buf: Vec<u8>,
    open: usize,
}

impl Desk {
    /// Looks at a folder and closes its files when it is another than before. Returns whether it is there.
    ///
    /// # Errors
    /// `Io`.
    pub fn enter(&mut self, base: &Path, folder: &mut Folder) -> Result<bool, CollectError> {
        set_path(&mut self.path, base, &[&folder.dir]);
        let node = match rustix::fs::stat(self.path.as_path()) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode).is_dir() => Some((stat.st_dev, stat.st_ino)),
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => None,
            Err(error) => return Err(CollectError::Io { path: self.path.clone(), source: error.into() }),
        };
        if node != Some(folder.node) {
            self.leave(folder);
            folder.node = node.unwrap_or_default();
        }
        Ok(node.is_some())
    }

    /// Closes a folder's files.
    pub fn leave(&mut self, folder: &mut Folder) {
        self.open -= folder.open();
        folder.files.clear();
    }

    /// Reads one file of a folder, by a number that stands for its name and is always the same. `None` stands for a
    /// file that is not there, that this process may not read, or to which the kernel has nothing to say just now.
    ///
    /// # Errors
    /// `Io`.
    pub fn read(
        &mut self,
        base: &Path,
        folder: &mut Folder,
        (number, name): (usize, &str),
    ) -> Result<Option<&[u8]>, CollectError> {
        self.buf.resize(BYTES_MAX, 0);
        if number >= folder.files.len() {
            folder.files.resize_with(number + 1, || None);
        }
        let slot = &mut folder.files[number];
        let mut result = slot.as_ref().map(|file| read_once(file, &mut self.buf));
        // A node that is gone answers so; the name may have come back with another.
        if matches!(&result, Some(Err(error)) if error.raw_os_error() == Some(Errno::NODEV.raw_os_error())) {
            *slot = None;
            self.open -= 1;
            result = None;
        }
        let result = match result {
            Some(result) => result,
            None => {
                set_path(&mut self.path, base, &[&folder.dir, "/", name]);
                open(&self.path).and_then(|file| {
                    let result = read_once(&file, &mut self.buf);
                    if base == Path::new(KERNELS) && self.open < OPEN_MAX {
                        *slot = Some(file);
                        self.open += 1;
                    }
                    result
                })
            }
        };
        match result {
            Ok(bytes) => Ok(Some(&self.buf[..bytes])),
            Err(error) if is_silence(&error) || error.kind() == io::ErrorKind::IsADirectory => Ok(None),
            Err(source) => {
                set_path(&mut self.path, base, &[&folder.dir, "/", name]);
                Err(CollectError::Io { path: self.path.clone(), source })
            }
        }
    }

    /// Reads one file of a folder as text, without the white space around it; see [`Desk::read`].
    ///
    /// # Errors
    /// `Io`, or `Malformed` when it is no UTF-8.
    pub fn text(
        &mut self,
        base: &Path,
        folder: &mut Folder,
        file: (usize, &str),
    ) -> Result<Option<&str>, CollectError> {
        let Some(bytes) = self.read(base, folder, file)?.map(<[u8]>::len) else { return Ok(None) };
        if std::str::from_utf8(&self.buf[..bytes]).is_err() {
            return Err(self.malformed(base, folder, file.1, "UTF-8"));
        }
        Ok(std::str::from_utf8(&self.buf[..bytes]).ok().map(str::trim))
    }

    /// Returns an error that blames one file of a folder.
    pub fn malformed(&mut self, base: &Path, folder: &Folder, name: &str, expected: &str) -> CollectError {
        set_path(&mut self.path, base, &[&folder.dir, "/", name]);
        CollectError::malformed(&self.path, 1, expected)
    }
}

/// Reads from the start, as much as an attribute may hold.
fn read_once(file: &File, buf: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read_at(buf, 0) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
