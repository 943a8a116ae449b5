//! The few questions about a machine that no file answers: space, names, the wall clock.
//!
//! [`System`] is the seam: tests and fixtures answer from a table, [`Live`] asks the kernel. The wall clock is here
//! because `node_time_seconds` is a measured value like any other; nothing in this crate waits or decides by it.

use std::io;
use std::path::Path;
use std::time::Duration;

/// How much room a file system has, as `statfs(2)` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Space {
    /// The size of a block in bytes.
    pub block_bytes: u64,
    /// All blocks.
    pub blocks: u64,
    /// Free blocks.
    pub blocks_free: u64,
    /// Free blocks for ordinary users.
    pub blocks_available: u64,
    /// All file nodes.
    pub files: u64,
    /// Free file nodes.
    pub files_free: u64,
}

/// What `uname(2)` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uname<'a> {
    /// Such as `Linux`.
    pub sysname: &'a str,
    /// Such as `6.12.0`.
    pub release: &'a str,
    /// Such as `#1 SMP`.
    pub version: &'a str,
    /// Such as `armv6l`.
    pub machine: &'a str,
    /// The host's name.
    pub nodename: &'a str,
    /// The NIS domain, mostly `(none)`.
    pub domainname: &'a str,
}

/// Answers what no file says.
pub trait System: Send {
    /// Returns the room on the file system that a path lies on.
    ///
    /// # Errors
    /// As the kernel says.
    fn statfs(&self, path: &Path) -> io::Result<Space>;

    /// Hands over the machine's names.
    fn uname(&self, visit: &mut dyn FnMut(Uname<'_>));

    /// Returns the wall clock as the time since 1970.
    fn wall(&self) -> Duration;
}

/// The kernel this process runs on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Live;

impl System for Live {
    fn statfs(&self, path: &Path) -> io::Result<Space> {
        let found = rustix::fs::statfs(path)?;
        Ok(Space {
            block_bytes: found.f_bsize as u64,
            blocks: found.f_blocks as u64,
            blocks_free: found.f_bfree as u64,
            blocks_available: found.f_bavail as u64,
            files: found.f_files as u64,
            files_free: found.f_ffree as u64,
        })
    }

    fn uname(&self, visit: &mut dyn FnMut(Uname<'_>)) {
        let found = rustix::system::uname();
        visit(Uname {
            sysname: &found.sysname().to_string_lossy(),
            release: &found.release().to_string_lossy(),
            version: &found.version().to_string_lossy(),
            machine: &found.machine().to_string_lossy(),
            nodename: &found.nodename().to_string_lossy(),
            domainname: &found.domainname().to_string_lossy(),
        });
    }

    fn wall(&self) -> Duration {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        Duration::new(now.tv_sec.max(0) as u64, now.tv_nsec as u32)
    }
}
