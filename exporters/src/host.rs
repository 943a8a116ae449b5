//! The machine as collectors see it: five folders and a handful of system calls, as a value.
//!
//! A fixture tree is the fake: point the folders at it and answer the system calls from a table. Nothing else in
//! this crate opens a path. Reading allocates nothing once buffers are warm: paths and contents live in a
//! [`Reader`] that the collector keeps, files under `/proc` stay open and are read again from their start, and
//! directories are listed through a kept buffer.
//!
//! What it does not do: wait, retry, or cache a value.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, RawDir};
use rustix::io::Errno;

use crate::error::CollectError;
use crate::links::Answer;
use crate::system::{Live, System};
use crate::waiting::Waiting;

/// The most bytes read of one file; what is longer is malformed.
pub const FILE_BYTES_MAX: usize = 16 << 20;

/// A buffer longer than this is given back when the next content is much shorter.
const BUF_BYTES_KEPT: usize = 256 << 10;

/// The most names listed of one directory; what is more is left out and reported.
pub const NAMES_MAX: usize = 65_536;

/// A read of the kernel's files that brings less than this, and less than there was room for, was the last one: they are
/// made a record at a time, and only a record that does not fit into the rest of a page stays for the next read. No
/// record of those read here is this long.
const SHORT_READ_BYTES: usize = 2_048;

/// How many bytes of directory entries are asked for at once.
const LIST_BYTES: usize = 4_096;

/// Where the machine's files are, and who answers its system calls.
pub struct Host {
    /// Where procfs is mounted.
    pub procfs: PathBuf,
    /// Where sysfs is mounted.
    pub sysfs: PathBuf,
    /// Where the root of the file system is, for mount points.
    pub rootfs: PathBuf,
    /// Where udev keeps its data.
    pub udev: PathBuf,
    /// Where device files are.
    pub dev: PathBuf,
    /// Answers what no file says.
    pub system: Box<dyn System>,
    /// Which mounts are being asked, by this lane or by one that hangs.
    pub waiting: Waiting,
    /// What netlink says of network devices, asked for once a collection.
    pub links: RefCell<Answer>,
    /// Files that several collectors want, read once a collection.
    pub shared: RefCell<Shared>,
}

impl Default for Host {
    fn default() -> Host {
        Host {
            procfs: "/proc".into(),
            sysfs: "/sys".into(),
            rootfs: "/".into(),
            udev: "/run/udev/data".into(),
            dev: "/dev".into(),
            system: Box::new(Live::default()),
            waiting: Waiting::default(),
            links: RefCell::default(),
            shared: RefCell::default(),
        }
    }
}

impl Host {
    /// Reads a file whole into a buffer that is cleared first.
    ///
    /// # Errors
    /// `Io`, or `Malformed` when the file is longer than [`FILE_BYTES_MAX`].
    pub fn read<'b>(&self, path: &Path, buf: &'b mut Vec<u8>) -> Result<&'b [u8], CollectError> {
        let io = |source| CollectError::Io { path: path.to_owned(), source };
        let file = open(path).map_err(io)?;
        read_whole(&file, path, buf)?;
        Ok(buf)
    }

    /// Returns when a file was changed last, in whole seconds since 1970, as the peer has it.
    ///
    /// # Errors
    /// `Io`.
    pub fn modified(&self, path: &Path) -> Result<f64, CollectError> {
        // std's own has 32 bits of it on processors of 32: a date behind 2038 would be one before 1970.
        let found = rustix::fs::stat(path);
        let found = found.map_err(|errno| CollectError::Io { path: path.to_owned(), source: errno.into() })?;
        Ok(found.st_mtime as f64)
    }
}

/// What several collectors want of one collection: whoever asks first reads it.
#[derive(Default)]
pub struct Shared {
    /// `/proc/stat`.
    pub stat: Reader,
    has_stat: bool,
    /// What `/sys/devices/system/cpu` lists.
    pub cpus: Names,
    has_cpus: bool,
}

impl Shared {
    /// Begins another collection.
    pub fn forget(&mut self) {
        (self.has_stat, self.has_cpus) = (false, false);
    }

    /// Returns the text of `/proc/stat`.
    ///
    /// # Errors
    /// As [`Reader::kept_text`].
    pub fn stat(&mut self, host: &Host) -> Result<&str, CollectError> {
        if !self.has_stat {
            self.stat.kept_text(&host.procfs, "stat")?;
            self.has_stat = true;
        }
        self.stat.last_text()
    }

    /// Lists `/sys/devices/system/cpu`; returns whether it is there.
    ///
    /// # Errors
    /// As [`Names::list_if_there`].
    pub fn list_cpus(&mut self, host: &Host) -> Result<bool, CollectError> {
        if !self.has_cpus {
            self.has_cpus = self.cpus.list_if_there(&host.sysfs, &["devices/system/cpu"])?;
        }
        Ok(self.has_cpus)
    }
}

/// The memory one collector reads with: a path, a content, and the file it keeps open.
#[derive(Default)]
pub struct Reader {
    path: PathBuf,
    buf: Vec<u8>,
    kept: Option<File>,
    /// Whether what was looked for last was not there.
    misses: bool,
}

impl Reader {
    /// Returns a reader without memory yet.
    pub fn new() -> Reader {
        Reader::default()
    }

    /// Returns the path read last.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads a file below a folder as text.
    ///
    /// # Errors
    /// `Io`, or `Malformed` when it is no UTF-8 or too long.
    pub fn text(&mut self, host: &Host, base: &Path, parts: &[&str]) -> Result<&str, CollectError> {
        self.bytes(host, base, parts)?;
        as_text(&self.path, &self.buf)
    }

    /// Reads a file below a folder as text; a file that is not there is `None`, at no cost.
    ///
    /// # Errors
    /// `Io`, or `Malformed` when it is no UTF-8 or too long.
    pub fn text_if_there(&mut self, base: &Path, parts: &[&str]) -> Result<Option<&str>, CollectError> {
        set_path(&mut self.path, base, parts);
        let file = match look_and_open(&self.path, &mut self.misses, open) {
            Ok(file) => file,
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(CollectError::Io { path: self.path.clone(), source }),
        };
        read_whole(&file, &self.path, &mut self.buf)?;
        as_text(&self.path, &self.buf).map(Some)
    }

    /// Returns whether there is a file or folder, at no cost.
    pub fn is_there(&mut self, base: &Path, parts: &[&str]) -> bool {
        set_path(&mut self.path, base, parts);
        rustix::fs::access(self.path.as_path(), rustix::fs::Access::EXISTS).is_ok()
    }

    /// Reads a file of one value, without the white space around it. `None`, at no cost, is a file that is not
    /// there, that this process may not read, or to which the kernel has nothing to say just now.
    ///
    /// # Errors
    /// `Io`, or `Malformed` when it is no UTF-8 or too long.
    pub fn word(&mut self, base: &Path, parts: &[&str]) -> Result<Option<&str>, CollectError> {
        if !self.fill_if_said(base, parts)? {
            return Ok(None);
        }
        as_text(&self.path, &self.buf).map(|text| Some(text.trim()))
    }

    /// Reads a file as [`Reader::word`] does and appends it to a text. Bytes that are no UTF-8 become U+FFFD, one
    /// for each run of them, as with Go's `ToValidUTF8`. Returns whether there was a file.
    ///
    /// # Errors
    /// `Io`, or `Malformed` when it is too long.
    pub fn label(&mut self, base: &Path, parts: &[&str], out: &mut String) -> Result<bool, CollectError> {
        if !self.fill_if_said(base, parts)? {
            return Ok(false);
        }
        let mut was_odd = false;
        for chunk in self.buf.trim_ascii().utf8_chunks() {
            out.push_str(chunk.valid());
            was_odd &= chunk.valid().is_empty();
            if !chunk.invalid().is_empty() && !was_odd {
                out.push(char::REPLACEMENT_CHARACTER);
                was_odd = true;
            }
        }
        Ok(true)
    }

    fn fill_if_said(&mut self, base: &Path, parts: &[&str]) -> Result<bool, CollectError> {
        set_path(&mut self.path, base, parts);
        let opened = look_and_open(&self.path, &mut self.misses, open);
        match opened.and_then(|file| fill(&file, base == Path::new("/sys"), &mut self.buf)) {
            Ok(()) => Ok(true),
            Err(error) if is_silence(&error) => Ok(false),
            Err(error) => Err(read_error(&self.path, error)),
        }
    }

    /// Returns what was read last.
    ///
    /// # Errors
    /// `Malformed` when it is no UTF-8.
    pub fn last_text(&self) -> Result<&str, CollectError> {
        as_text(&self.path, &self.buf)
    }

    /// Reads a file below a folder.
    ///
    /// # Errors
    /// `Io`, or `Malformed` when it is too long.
    pub fn bytes(&mut self, host: &Host, base: &Path, parts: &[&str]) -> Result<&[u8], CollectError> {
        set_path(&mut self.path, base, parts);
        host.read(&self.path, &mut self.buf)
    }

    /// Reads the one file this reader is for, and keeps it open where it is a file of the kernel's.
    ///
    /// # Errors
    /// `Io`, or `Malformed` when it is no UTF-8 or too long.
    pub fn kept_text(&mut self, base: &Path, name: &str) -> Result<&str, CollectError> {
        self.fill_kept(base, name).map_err(|error| read_error(&self.path, error))?;
        as_text(&self.path, &self.buf)
    }

    /// Reads the one file this reader is for, as [`Reader::kept_text`] does. `None`, at no cost, is a file that is
    /// not there, that this process may not read, or to which the kernel has nothing to say.
    ///
    /// # Errors
    /// `Io`, or `Malformed` when it is no UTF-8 or too long.
    pub fn kept_text_if_there(&mut self, base: &Path, name: &str) -> Result<Option<&str>, CollectError> {
        match self.fill_kept(base, name) {
            Ok(()) => as_text(&self.path, &self.buf).map(Some),
            Err(error) if is_silence(&error) => Ok(None),
            Err(error) => Err(read_error(&self.path, error)),
        }
    }

    fn fill_kept(&mut self, base: &Path, name: &str) -> io::Result<()> {
        if self.kept.is_none() {
            set_path(&mut self.path, base, &[name]);
            self.kept = Some(look_and_open(&self.path, &mut self.misses, open)?);
        }
        let file = self.kept.as_ref().expect("opened above");
        let is_kernels = base == Path::new("/proc") || base == Path::new("/sys");
        // Where directories are named, one record may be longer.
        let ends_short = is_kernels && !name.ends_with("mountinfo");
        let read = fill(file, ends_short, &mut self.buf);
        if read.is_err() || !is_kernels {
            self.kept = None;
        }
        read
    }

    /// Returns whether the kept file says that it is as it was read, as `/proc/*/mountinfo` can. What says nothing of the
    /// kind looks as if it were.
    pub fn is_unchanged(&self) -> bool {
        let Some(file) = &self.kept else { return false };
        let mut asked = [PollFd::new(file, PollFlags::PRI)];
        // An error counts as a change, and so the next reading finds it.
        matches!(poll(&mut asked, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(0))
    }

    /// Returns an error that blames a line of the file read last.
    pub fn malformed(&self, line: usize, expected: &str) -> CollectError {
        CollectError::malformed(&self.path, line, expected)
    }
}

/// Names of a directory's entries, sorted, in memory that is kept.
#[derive(Default)]
pub struct Names {
    path: PathBuf,
    text: String,
    ranges: Vec<(u32, u32)>,
    entries: Vec<MaybeUninit<u8>>,
    /// Whether names were left out: over [`NAMES_MAX`], or no UTF-8.
    pub truncated: bool,
    /// Whether what was looked for last was not there.
    misses: bool,
}

impl Names {
    /// Lists a directory below a folder, `.` and `..` left out, names sorted by their bytes.
    ///
    /// # Errors
    /// `Io`, `NotFound` where there is no such directory.
    pub fn list(&mut self, base: &Path, parts: &[&str]) -> Result<(), CollectError> {
        self.try_list(base, parts).map_err(|source| CollectError::Io { path: self.path.clone(), source })
    }

    fn try_list(&mut self, base: &Path, parts: &[&str]) -> io::Result<()> {
        set_path(&mut self.path, base, parts);
        self.text.clear();
        self.ranges.clear();
        self.truncated = false;
        self.fill()?;
        self.sort();
        Ok(())
    }

    fn sort(&mut self) {
        let text = &self.text;
        let name = |range: &(u32, u32)| &text[range.0 as usize..range.1 as usize];
        self.ranges.sort_unstable_by(|a, b| name(a).cmp(name(b)));
    }

    /// Lists a directory as [`Names::list`] does; returns whether it is there, at no cost where it is not.
    ///
    /// # Errors
    /// `Io`.
    pub fn list_if_there(&mut self, base: &Path, parts: &[&str]) -> Result<bool, CollectError> {
        match self.try_list(base, parts) {
            Ok(()) => Ok(true),
            Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(CollectError::Io { path: self.path.clone(), source }),
        }
    }

    /// Takes the names that `tell` hands over in place of those of a directory; returns what `tell` does.
    pub fn take<T>(&mut self, tell: impl FnOnce(&mut dyn FnMut(&str)) -> T) -> T {
        self.text.clear();
        self.ranges.clear();
        self.truncated = false;
        let Names { text, ranges, .. } = self;
        let told = tell(&mut |name| {
            let start = text.len() as u32;
            text.push_str(name);
            ranges.push((start, text.len() as u32));
        });
        self.sort();
        told
    }

    /// Returns the path listed last.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the names in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.ranges.iter().map(|(start, end)| &self.text[*start as usize..*end as usize])
    }

    fn fill(&mut self) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = |path: &Path| Ok(rustix::fs::open(path, flags, Mode::empty())?);
        let dir = look_and_open(&self.path, &mut self.misses, open)?;
        self.entries.resize_with(LIST_BYTES, MaybeUninit::uninit);
        let mut raw = RawDir::new(dir, &mut self.entries);
        while let Some(entry) = raw.next() {
            let entry = entry?;
            match entry.file_name().to_str() {
                Ok("." | "..") => {}
                Ok(name) if self.ranges.len() < NAMES_MAX => {
                    let start = self.text.len() as u32;
                    self.text.push_str(name);
                    self.ranges.push((start, self.text.len() as u32));
                }
                _ => self.truncated = true,
            }
        }
        Ok(())
    }
}

/// Puts a path together in kept memory; the parts are joined as they are, after one slash.
pub fn set_path(path: &mut PathBuf, base: &Path, parts: &[&str]) {
    let text = path.as_mut_os_string();
    text.clear();
    text.push(base.as_os_str());
    if !text.as_encoded_bytes().ends_with(b"/") {
        text.push("/");
    }
    parts.iter().for_each(|part| text.push(part));
}

fn as_text<'b>(path: &Path, buf: &'b [u8]) -> Result<&'b str, CollectError> {
    std::str::from_utf8(buf).map_err(|error| {
        let line = 1 + buf[..error.valid_up_to()].iter().filter(|b| **b == b'\n').count();
        CollectError::malformed(path, line, "UTF-8")
    })
}

/// Returns whether the kernel only says that there is nothing to say: no such file, not for this process, or a
/// driver that knows the file and not the value (a battery without a gauge), or a process that has just ended.
pub(crate) fn is_silence(error: &io::Error) -> bool {
    const CODES: [Errno; 6] = [Errno::NODATA, Errno::OPNOTSUPP, Errno::INVAL, Errno::AGAIN, Errno::NODEV, Errno::SRCH];
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied)
        || CODES.iter().any(|known| error.raw_os_error() == Some(known.raw_os_error()))
}

fn read_whole(file: &File, path: &Path, buf: &mut Vec<u8>) -> Result<(), CollectError> {
    fill(file, path.starts_with("/sys"), buf).map_err(|error| read_error(path, error))
}

fn read_error(path: &Path, source: io::Error) -> CollectError {
    match source.kind() {
        io::ErrorKind::FileTooLarge => CollectError::malformed(path, 0, "at most 16 MiB"),
        _ => CollectError::Io { path: path.to_owned(), source },
    }
}

/// Opens something that may not be there. Boards lack most of what is looked for, and a look costs two thirds of an open
/// that fails; so what was not there the last time (`misses`) is first looked at.
fn look_and_open<T>(path: &Path, misses: &mut bool, open: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let looked = if *misses { rustix::fs::stat(path).map(drop) } else { Ok(()) };
    let opened = looked.map_err(io::Error::from).and_then(|()| open(path));
    *misses = matches!(&opened, Err(error) if error.kind() == io::ErrorKind::NotFound);
    opened
}

/// Opens a file without waiting for it: a pipe that somebody left in a folder has nothing to say.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

/// Reads from the start until nothing more comes: files of the kernel do not know their size beforehand. One that is
/// made a record at a time (`is_kernels`) need not be asked once more at its end, which costs some of them, such as
/// `/proc/net/udp`, as much as all of the reading.
fn fill(file: &File, is_kernels: bool, buf: &mut Vec<u8>) -> io::Result<()> {
    // One long file must not hold its memory for ever.
    if buf.capacity() > BUF_BYTES_KEPT && buf.len() < buf.capacity() / 4 {
        *buf = Vec::new();
    }
    buf.clear();
    buf.reserve(1_024);
    loop {
        let filled = buf.len();
        if filled == buf.capacity() {
            let is_long = || file.metadata().is_ok_and(|found| found.len() > FILE_BYTES_MAX as u64);
            if filled >= FILE_BYTES_MAX || (filled >= BUF_BYTES_KEPT && is_long()) {
                buf.clear();
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            buf.reserve_exact((filled * 2).min(FILE_BYTES_MAX) - filled);
        }
        let room = buf.capacity() - filled;
        match rustix::io::pread(file, spare_capacity(buf), filled as u64) {
            Ok(0) => return Ok(()),
            Ok(bytes) if is_kernels && bytes < SHORT_READ_BYTES && bytes < room => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(source) => {
                buf.clear();
                return Err(source.into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever the kernel makes of a file, in one piece or in several, all of its lines are read, also the second time.
    #[test]
    fn files_of_the_kernel_are_read_to_their_end() {
        let shape = |text: &str| text.lines().map(|line| line.split(' ').next().map(str::to_owned)).collect::<Vec<_>>();
        let mut read = 0;
        for name in ["vmstat", "meminfo", "stat", "loadavg", "net/netstat", "net/snmp", "net/snmp6", "cpuinfo"] {
            let Ok(expected) = std::fs::read_to_string(Path::new("/proc").join(name)) else { continue };
            let mut reader = Reader::new();
            for _ in 0..2 {
                let found = reader.kept_text(Path::new("/proc"), name).expect("a text");
                assert!(
                    shape(found) == shape(&expected),
                    "{name}: {} of {} lines",
                    found.lines().count(),
                    expected.lines().count()
                );
            }
            read += 1;
        }
        assert!(read > 3, "{read}");
    }

    /// What is not there is found as soon as it is, and missed as soon as it is not.
    #[test]
    fn files_and_folders_come_and_go() {
        let base = std::env::temp_dir().join(format!("narthex-host-comes-{}", std::process::id()));
        let (mut reader, mut kept, mut names) = (Reader::new(), Reader::new(), Names::default());
        for round in 0..6 {
            let is_there = round % 4 > 1;
            if is_there {
                std::fs::create_dir_all(base.join("folder")).expect("a folder");
                std::fs::write(base.join("folder/file"), round.to_string()).expect("a file");
            } else {
                let _ = std::fs::remove_dir_all(&base);
            }
            let expected = is_there.then(|| round.to_string());
            let parts = ["folder/", "file"];
            let expected = expected.as_deref();
            assert_eq!(reader.text_if_there(&base, &parts).expect("no error"), expected, "{round}");
            assert_eq!(reader.word(&base, &parts).expect("no error"), expected, "{round}");
            assert_eq!(kept.kept_text_if_there(&base, "folder/file").expect("no error"), expected, "{round}");
            assert_eq!(names.list_if_there(&base, &["folder"]).expect("no error"), is_there, "{round}");
            assert!(!is_there || names.iter().eq(["file"]));
        }
        let _ = std::fs::remove_dir_all(&base);
    }

    /// What several want is read for the first of them, and anew in the next collection.
    #[test]
    fn what_is_shared_is_read_once_a_collection() {
        let procfs = std::env::temp_dir().join(format!("narthex-host-shared-{}", std::process::id()));
        std::fs::create_dir_all(procfs.join("devices/system/cpu/cpu0")).expect("a folder");
        let host = Host { sysfs: procfs.clone(), procfs: procfs.clone(), ..Host::default() };
        let mut shared = Shared::default();
        shared.stat(&host).expect_err("no such file yet");
        for (content, expected) in [("old", "old"), ("new", "old")] {
            std::fs::write(procfs.join("stat"), content).expect("a file");
            assert_eq!(shared.stat(&host).expect("a text"), expected);
            assert!(shared.list_cpus(&host).expect("no error") && shared.cpus.iter().eq(["cpu0"]));
            std::fs::create_dir_all(procfs.join("devices/system/cpu/cpu1")).expect("a folder");
        }
        shared.forget();
        assert_eq!(shared.stat(&host).expect("a text"), "new");
        assert!(shared.list_cpus(&host).expect("no error") && shared.cpus.iter().eq(["cpu0", "cpu1"]));
        std::fs::remove_dir_all(&procfs).expect("removed");
    }

    #[test]
    fn a_file_that_has_become_shorter_is_read_as_it_is() {
        let path = std::env::temp_dir().join(format!("narthex-host-{}", std::process::id()));
        let mut buf = Vec::new();
        for content in ["a much longer content", "short", ""] {
            std::fs::write(&path, content).expect("a file");
            assert_eq!(Host::default().read(&path, &mut buf).expect("a content"), content.as_bytes());
        }
        std::fs::remove_file(&path).expect("removed");
    }
}
