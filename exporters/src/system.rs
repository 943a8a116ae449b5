//! The few questions about a machine that no file answers: space, names, the wall clock.
//!
//! [`System`] is the seam: tests and fixtures answer from a table, [`Live`] asks the kernel. The wall clock is here
//! because `node_time_seconds` is a measured value like any other; nothing in this crate waits or decides by it.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

pub use kernel::{Ethtool, Timex};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

use crate::netlink::{self, Netlink};

/// Where the system bus is when the environment names no other.
const SYSTEM_BUS: &str = "/run/dbus/system_bus_socket";

/// How long the kernel may take for a part of an answer over netlink; it answers at once unless something is broken.
const NETLINK_TIMEOUT: Duration = Duration::from_secs(2);

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
    /// Whether nothing can be written: the mount is read-only, or what is mounted. `None`: kernels before 2.6.36, fakes.
    pub is_read_only: Option<bool>,
}

/// The flags of `statfs(2)` mean something.
const ST_VALID: u64 = 0x20;
/// The mount or its file system is read-only.
const ST_RDONLY: u64 = 1;

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

    /// Returns the size of a page of memory in bytes.
    fn page_bytes(&self) -> u64 {
        4_096
    }

    /// Returns how the kernel keeps its clock.
    ///
    /// # Errors
    /// As the kernel says; a sandbox may forbid the question. A fake that has no clock says `Unsupported`.
    fn timex(&self) -> io::Result<Timex> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Asks a question over netlink and hands over the type and payload of each message of the answer.
    ///
    /// # Errors
    /// As the kernel says. A fake that has no netlink says `Unsupported`.
    fn netlink(&self, _netlink: Netlink, _request: &[u8], _visit: &mut dyn FnMut(u16, &[u8])) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Connects to the system bus.
    ///
    /// # Errors
    /// As the kernel says. A fake that has no bus says `Unsupported`.
    fn system_bus(&self) -> io::Result<UnixStream> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Asks the driver of a network device; the answer lies in the buffer as the kernel lays it out, the command
    /// first.
    ///
    /// # Errors
    /// As the driver says. A fake that has no devices says `Unsupported`.
    fn ethtool(&self, _device: &str, _question: Ethtool, _answer: &mut Vec<u8>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// The kernel this process runs on.
#[derive(Debug, Default)]
pub struct Live {
    /// Where network devices are asked, which is done at every collection.
    route: RefCell<Option<OwnedFd>>,
    /// What all answers over netlink are received with.
    received: RefCell<Vec<u8>>,
}

impl System for Live {
    fn statfs(&self, path: &Path) -> io::Result<Space> {
        let found = rustix::fs::statfs(path)?;
        let flags = found.f_flags as u64;
        Ok(Space {
            block_bytes: found.f_bsize as u64,
            blocks: found.f_blocks as u64,
            blocks_free: found.f_bfree as u64,
            blocks_available: found.f_bavail as u64,
            files: found.f_files as u64,
            files_free: found.f_ffree as u64,
            is_read_only: (flags & ST_VALID != 0).then_some(flags & ST_RDONLY != 0),
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

    fn page_bytes(&self) -> u64 {
        rustix::param::page_size() as u64
    }

    fn timex(&self) -> io::Result<Timex> {
        kernel::clock()
    }

    fn netlink(&self, netlink: Netlink, request: &[u8], visit: &mut dyn FnMut(u16, &[u8])) -> io::Result<()> {
        let protocol = match netlink {
            Netlink::Route => None,
            Netlink::Sockets => Some(rustix::net::netlink::SOCK_DIAG),
            Netlink::Generic => Some(rustix::net::netlink::GENERIC),
        };
        let kept = if netlink == Netlink::Route { self.route.take() } else { None };
        let socket = kept.map_or_else(|| connect(protocol), Ok)?;
        // Whoever asks once more while being told has memory of its own.
        let mut buf = self.received.take();
        let asked = ask(&socket, request, &mut buf, visit);
        self.received.replace(buf);
        // After an error there may be more to come, which would be taken for the next answer.
        if asked.is_ok() && netlink == Netlink::Route {
            self.route.replace(Some(socket));
        }
        asked
    }

    fn system_bus(&self) -> io::Result<UnixStream> {
        let given = std::env::var("DBUS_SYSTEM_BUS_ADDRESS").unwrap_or_default();
        let given = given.split(';').find_map(|address| address.strip_prefix("unix:path="));
        let path = given.and_then(|rest| rest.split(',').next()).unwrap_or(SYSTEM_BUS);
        // Most small boards have none, and that is found out for a third of what connecting takes.
        rustix::fs::access(path, rustix::fs::Access::EXISTS)?;
        UnixStream::connect(path)
    }

    fn ethtool(&self, device: &str, question: Ethtool, answer: &mut Vec<u8>) -> io::Result<()> {
        let (family, kind) = (AddressFamily::INET, SocketType::DGRAM);
        let socket = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
        kernel::ethtool(socket.as_fd(), device, question, answer)
    }
}

fn connect(protocol: Option<rustix::net::Protocol>) -> io::Result<OwnedFd> {
    let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
    let socket = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, protocol)?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(NETLINK_TIMEOUT))?;
    Ok(socket)
}

/// Sends a question and hands over each message of the answer, to its end.
fn ask(socket: &OwnedFd, request: &[u8], buf: &mut Vec<u8>, visit: &mut dyn FnMut(u16, &[u8])) -> io::Result<()> {
    rustix::net::send(socket, request, SendFlags::empty())?;
    if buf.is_empty() {
        // Fresh zeros, which are memory only where an answer is written.
        *buf = vec![0; netlink::RECEIVE_BYTES];
    }
    let mut received = 0;
    loop {
        let (_, bytes) = rustix::net::recv(socket, buf.as_mut_slice(), RecvFlags::TRUNC)?;
        received += bytes;
        let message = buf.get(..bytes).filter(|_| received <= netlink::ANSWER_BYTES_MAX);
        if netlink::read_messages(message.ok_or(io::ErrorKind::FileTooLarge)?, visit)? {
            return Ok(());
        }
        if bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A question on a kept socket gets its own answer, whatever became of the one before.
    #[test]
    fn netlink_answers_again_and_after_an_error() {
        let live = Live::default();
        let names = |kind: u16| {
            let mut request = [20_u32.to_ne_bytes(), [0; 4], [0; 4], [0; 4], [0; 4]].concat();
            request[4..6].copy_from_slice(&kind.to_ne_bytes());
            request[6..8].copy_from_slice(&0x301_u16.to_ne_bytes());
            let mut told = Vec::new();
            live.netlink(Netlink::Route, &request, &mut |kind, bytes| told.push((kind, bytes.len()))).map(|()| told)
        };
        let first = match names(18) {
            Ok(first) => first,
            Err(error) => return println!("LEFT OUT: netlink is refused here: {error}"),
        };
        assert!(first.iter().any(|(kind, _)| *kind == 16), "{first:?}");
        for _ in 0..2 {
            names(9_999).expect_err("no such question");
            let kinds = |told: &[(u16, usize)]| told.iter().map(|(kind, _)| *kind).collect::<Vec<_>>();
            assert_eq!(kinds(&names(18).expect("an answer")), kinds(&first));
        }
    }
}
