//! System calls that no safe library offers: how the kernel keeps its clock, and what the driver of a network device
//! says of itself; two functions of the C library that are slow where we are linked statically; the instruction of the
//! processor for the store's checksum; and the memory of the process.
//!
//! This is the only crate with an unsafe block, and it is small on purpose: each function here is one call with
//! its arguments checked and its answer believed. Everything else goes through rustix.

mod checksum;
#[cfg(any(test, all(target_env = "musl", any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod compare;
pub mod heap;

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

pub use checksum::crc32c;

/// The answer of `adjtimex(2)` for a clock that nobody has set right (`TIME_ERROR`).
const TIME_ERROR: libc::c_int = 5;

/// How the kernel keeps its clock, as `adjtimex(2)` answers. Units are those of the manual page: microseconds or
/// nanoseconds as `status` says, parts per million with sixteen binary places after the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timex {
    /// What the call returned: 0 for a good clock, 5 for one that nobody keeps right.
    pub state: i32,
    /// The status bits.
    pub status: i64,
    /// Distance from the reference clock.
    pub offset: i64,
    /// Correction of the frequency.
    pub frequency: i64,
    /// The largest error in microseconds.
    pub error_max: i64,
    /// The estimated error in microseconds.
    pub error_estimated: i64,
    /// The time constant of the loop that follows the reference.
    pub constant: i64,
    /// Microseconds between ticks.
    pub tick: i64,
    /// Frequency of the pulse per second.
    pub pps_frequency: i64,
    /// Jitter of the pulse per second.
    pub pps_jitter: i64,
    /// Length of the interval between calibrations, as a power of two in seconds.
    pub pps_shift: i64,
    /// Stability of the pulse per second.
    pub pps_stability: i64,
    /// How often the jitter was over its limit.
    pub pps_jitters: i64,
    /// How many intervals were calibrated.
    pub pps_calibrations: i64,
    /// How many calibrations failed.
    pub pps_errors: i64,
    /// How often stability was over its limit.
    pub pps_unstable: i64,
    /// International Atomic Time less UTC, in seconds.
    pub tai: i64,
}

/// Returns whether the kernel says that a time service keeps the wall clock right (`adjtimex(2)`, `STA_UNSYNC`).
///
/// # Errors
/// As the kernel answers; a sandbox may forbid the call.
pub fn clock_is_synchronised() -> io::Result<bool> {
    clock().map(|found| found.state != TIME_ERROR)
}

/// Returns how the kernel keeps its clock (`adjtimex(2)`, nothing changed).
///
/// # Errors
/// As the kernel answers; a sandbox may forbid the call.
#[allow(clippy::unnecessary_cast)] // The fields' widths differ between architectures.
pub fn clock() -> io::Result<Timex> {
    // SAFETY: a timex of zeros is a valid value (integers only), and its `modes` of 0 asks the kernel to change
    // nothing; the pointer is valid for the whole call.
    #[allow(unsafe_code)]
    let (state, found) = unsafe {
        let mut request: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&mut request), request)
    };
    if state == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(Timex {
        state,
        status: found.status as i64,
        offset: found.offset as i64,
        frequency: found.freq as i64,
        error_max: found.maxerror as i64,
        error_estimated: found.esterror as i64,
        constant: found.constant as i64,
        tick: found.tick as i64,
        pps_frequency: found.ppsfreq as i64,
        pps_jitter: found.jitter as i64,
        pps_shift: found.shift as i64,
        pps_stability: found.stabil as i64,
        pps_jitters: found.jitcnt as i64,
        pps_calibrations: found.calcnt as i64,
        pps_errors: found.errcnt as i64,
        pps_unstable: found.stbcnt as i64,
        tai: found.tai as i64,
    })
}

/// What the driver of a network device is asked (`linux/ethtool.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ethtool {
    /// Speed, ports and what the other side is offered: `struct ethtool_cmd`.
    Settings,
    /// Names and versions: `struct ethtool_drvinfo`.
    Driver,
    /// The names of its own counters: `struct ethtool_gstrings`, 32 bytes each.
    CounterNames,
    /// The values of its own counters: `struct ethtool_stats`, eight bytes each.
    Counters,
}

/// The most counters of one driver; one with more is refused.
pub const COUNTERS_MAX: usize = 16_384;

/// By how many a driver's counters may grow between being counted and being read.
const COUNTERS_SLACK: usize = 4_096;

const SIOCETHTOOL: libc::Ioctl = 0x8946;
const ETHTOOL_GSET: u32 = 0x01;
const ETHTOOL_GDRVINFO: u32 = 0x03;
const ETHTOOL_GSTRINGS: u32 = 0x1b;
const ETHTOOL_GSTATS: u32 = 0x1d;
const ETHTOOL_GSSET_INFO: u32 = 0x37;
const ETH_SS_STATS: u32 = 1;

/// Asks the driver of a network device over any socket. The answer lies in the buffer as the kernel lays it out,
/// the command first, and is as long as the driver said before that it would be.
///
/// # Errors
/// As the driver answers (`EOPNOTSUPP` where it knows no such thing), `InvalidInput` for a name that no device can
/// have, `FileTooLarge` for more than [`COUNTERS_MAX`] counters.
pub fn ethtool(socket: BorrowedFd<'_>, device: &str, question: Ethtool, answer: &mut Vec<u8>) -> io::Result<()> {
    match question {
        Ethtool::Settings => ask_driver(socket, device, &[ETHTOOL_GSET], (44, 0), answer),
        Ethtool::Driver => ask_driver(socket, device, &[ETHTOOL_GDRVINFO], (196, 0), answer),
        Ethtool::CounterNames | Ethtool::Counters => {
            // Command, reserved, which sets (one bit each, 64 of them), then a count for each set.
            ask_driver(
                socket,
                device,
                &[ETHTOOL_GSSET_INFO, 0, low(1 << ETH_SS_STATS), high(1 << ETH_SS_STATS)],
                (20, 0),
                answer,
            )?;
            let has_counters = answer[8..16] != [0; 8];
            let count = answer[16..20].try_into().map_or(0, u32::from_ne_bytes);
            if !has_counters || count == 0 {
                return Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP));
            }
            if count as usize > COUNTERS_MAX {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            let (request, head, each): (&[u32], _, _) = match question {
                Ethtool::Counters => (&[ETHTOOL_GSTATS, count], 8, 8),
                _ => (&[ETHTOOL_GSTRINGS, ETH_SS_STATS, count], 12, 32),
            };
            ask_driver(socket, device, request, (head + count as usize * each, COUNTERS_SLACK * each), answer)
        }
    }
}

/// Returns the half of a mask that comes first in memory.
const fn low(mask: u64) -> u32 {
    if cfg!(target_endian = "little") { mask as u32 } else { (mask >> 32) as u32 }
}

/// Returns the other half.
const fn high(mask: u64) -> u32 {
    if cfg!(target_endian = "little") { (mask >> 32) as u32 } else { mask as u32 }
}

/// Puts a request into a buffer of this size, behind which there is spare room, and has the kernel answer into it. What
/// it writes into the spare room is not looked at, so that is memory only if it does.
fn ask_driver(
    socket: BorrowedFd<'_>,
    device: &str,
    request: &[u32],
    (bytes, spare): (usize, usize),
    answer: &mut Vec<u8>,
) -> io::Result<()> {
    let name = device.as_bytes();
    if name.is_empty() || name.len() >= libc::IFNAMSIZ || name.contains(&0) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    answer.clear();
    answer.reserve_exact(bytes + spare);
    answer.resize(bytes, 0);
    for (slot, word) in answer.chunks_exact_mut(4).zip(request) {
        slot.copy_from_slice(&word.to_ne_bytes());
    }
    // SAFETY: an ifreq of zeros is a valid value; its name ends in a zero because it is shorter than the field. The
    // kernel writes through `ifru_data` for as long as the call takes and into this buffer alone, its spare room
    // included: the two fixed answers have the size of their structure, one mask bit is one count, and for counters
    // there is room for as many as the driver just said and `COUNTERS_SLACK` more.
    #[allow(unsafe_code)]
    let returned = unsafe {
        let mut frame: libc::ifreq = std::mem::zeroed();
        for (slot, byte) in frame.ifr_name.iter_mut().zip(name) {
            *slot = *byte as libc::c_char;
        }
        frame.ifr_ifru.ifru_data = answer.as_mut_ptr().cast();
        libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL, &mut frame)
    };
    if returned == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_driver_answers_or_says_why_not() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let socket = std::os::fd::AsFd::as_fd(&socket);
        let mut answer = Vec::new();
        for question in
            [super::Ethtool::Settings, super::Ethtool::Driver, super::Ethtool::CounterNames, super::Ethtool::Counters]
        {
            for odd in ["", "no-such-device0", "a name that is far too long", "a\0b"] {
                super::ethtool(socket, odd, question, &mut answer).expect_err(odd);
            }
            if let Err(error) = super::ethtool(socket, "lo", question, &mut answer) {
                assert!(error.raw_os_error().is_some(), "{question:?}: {error}");
            }
        }
    }

    #[test]
    fn the_kernel_answers() {
        super::clock_is_synchronised().expect("asking changes nothing, so anybody may");
        assert!(super::clock().expect("likewise").tick > 0);
    }
}
