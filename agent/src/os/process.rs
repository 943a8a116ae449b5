//! This process as every exporter tells of itself: `process_*`, with the names and words of Go's client library, which
//! dashboards of node_exporter show.
//!
//! ```text
//! 71 (narthex) S 1 71 71 0 -1 4194560 1 0 0 0 250 75 0 0 20 0 6 0 1234 9437184 1602 ...   <- /proc/self/stat
//! ```
//! Behind the last bracket: state, ten numbers, user and system time in hundredths of a second, six numbers, when it was
//! started after boot, likewise, bytes of its address space and pages of memory. What cannot be read is left out. Bytes
//! sent and received are not told: what `/proc/self/net` says is the whole machine's.

use std::fs::File;
use std::os::unix::fs::FileExt;

use model::{Batch, MetricKind, Now};
use rustix::process::{Resource, getrlimit};

/// How many the clock ticks that `/proc` counts in are, a second: the same on every board (`USER_HZ`).
const TICKS: f64 = 100.0;
/// More than the line is long.
const STAT_BYTES_MAX: usize = 1_024;
/// How much wall and elapsed time must part before the process is said to have begun at another time, in milliseconds:
/// more than two readings of clocks lie apart.
const STEP_MS_MIN: u64 = 500;

/// Reads this process.
#[derive(Debug, Default)]
pub struct OwnProcess {
    stat: Option<File>,
    /// What the wall is ahead of elapsed time, in milliseconds.
    ahead_ms: i64,
}

/// What a line of `/proc/self/stat` says, in seconds and bytes; `started` after boot.
#[derive(Debug, PartialEq)]
struct Stat {
    cpu: f64,
    started: f64,
    virtual_bytes: f64,
    resident_bytes: f64,
}

impl OwnProcess {
    /// Returns one that has not read anything yet.
    pub fn new() -> OwnProcess {
        OwnProcess { stat: File::open("/proc/self/stat").ok(), ahead_ms: 0 }
    }

    /// Adds what it is like now.
    pub fn add_to(&mut self, now: Now, out: &mut Batch) {
        let mut tell = |name, help, kind, value| {
            out.family(name, help, kind);
            out.add(&[], value);
        };
        let gauge = MetricKind::Gauge;
        if let Some(stat) = self.stat() {
            let ahead_ms = now.wall.0.saturating_sub_unsigned(now.mono.0);
            if ahead_ms.abs_diff(self.ahead_ms) >= STEP_MS_MIN {
                self.ahead_ms = ahead_ms;
            }
            let started = self.ahead_ms as f64 / 1e3 + stat.started;
            let cpu = "Total user and system CPU time spent in seconds.";
            tell("process_cpu_seconds_total", cpu, MetricKind::Counter, stat.cpu);
            tell("process_resident_memory_bytes", "Resident memory size in bytes.", gauge, stat.resident_bytes);
            let start = "Start time of the process since unix epoch in seconds.";
            tell("process_start_time_seconds", start, gauge, started);
            tell("process_virtual_memory_bytes", "Virtual memory size in bytes.", gauge, stat.virtual_bytes);
        }
        let limit = |resource| getrlimit(resource).current.unwrap_or(u64::MAX) as f64;
        let most = "Maximum amount of virtual memory available in bytes.";
        tell("process_virtual_memory_max_bytes", most, gauge, limit(Resource::As));
        tell("process_max_fds", "Maximum number of open file descriptors.", gauge, limit(Resource::Nofile));
        if let Some(open) = open_files() {
            tell("process_open_fds", "Number of open file descriptors.", gauge, open);
        }
    }

    fn stat(&self) -> Option<Stat> {
        let mut line = [0; STAT_BYTES_MAX];
        let read = self.stat.as_ref()?.read_at(&mut line, 0).ok()?;
        parse(std::str::from_utf8(&line[..read]).ok()?, rustix::param::page_size() as f64)
    }
}

/// Reads the line. A name may hold blanks and brackets.
fn parse(line: &str, page: f64) -> Option<Stat> {
    let mut fields = line.rsplit_once(')')?.1.split_ascii_whitespace().map(|field| field.parse::<f64>().ok());
    let mut next = |passed: usize| fields.nth(passed)?;
    let (user, system) = (next(11)?, next(0)?);
    let (started, virtual_bytes, pages) = (next(6)?, next(0)?, next(0)?);
    Some(Stat { cpu: (user + system) / TICKS, started: started / TICKS, virtual_bytes, resident_bytes: pages * page })
}

/// Returns how many files are open: the kernel says so from 6.2 on; before, they are counted.
fn open_files() -> Option<f64> {
    let folder = "/proc/self/fd";
    let told = rustix::fs::stat(folder).ok()?.st_size;
    // The folder itself is open while it is read.
    let count = || Some((std::fs::read_dir(folder).ok()?.count() - 1) as i64);
    Some(if told > 0 { told } else { count()? } as f64)
}

#[cfg(test)]
mod tests {
    use model::{Mono, UnixMs};

    use super::*;

    const LINE: &str =
        "71 (a) b) c) S 1 71 71 0 -1 4194560 1 0 0 0 250 75 0 0 20 0 6 0 1234 9437184 1602 18446744073709551615";

    #[test]
    fn the_line_is_read_behind_its_last_bracket() {
        let stat = Stat { cpu: 3.25, started: 12.34, virtual_bytes: 9_437_184.0, resident_bytes: 6_561_792.0 };
        assert_eq!(parse(LINE, 4096.0), Some(stat));
        let cut = LINE.split_once(" 1602").expect("the last number wanted").0;
        for bad in ["", "71 (a) S", cut, &LINE.replace("250", "x"), &LINE.replace(')', "")] {
            assert_eq!(parse(bad, 4096.0), None, "{bad:?}");
        }
    }

    #[test]
    fn this_process_is_told_and_began_once() {
        let mut own = OwnProcess::new();
        let mut told = |wall, mono| {
            let mut out = Batch::new();
            own.add_to(Now { wall: UnixMs(wall), mono: Mono(mono), wall_trusted: true }, &mut out);
            let mut text = String::new();
            exposition::write_text(&out, &mut text);
            let value = |name: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
                line.unwrap_or_else(|| panic!("{name} in {text}")).parse::<f64>().expect("a number")
            };
            let names = ["cpu_seconds_total", "resident_memory_bytes", "virtual_memory_bytes", "open_fds", "max_fds"];
            let all = names.map(|name| value(&format!("process_{name}")));
            assert!(all[1] > 100_000.0 && all[2] > all[1] && all[3] > 2.0 && all[4] >= all[3], "{all:?}");
            assert!(value("process_virtual_memory_max_bytes") >= all[2]);
            value("process_start_time_seconds")
        };
        let began = told(1_790_000_000_000, 5_000_000);
        assert_eq!(told(1_790_000_010_400, 5_010_000), began, "clocks are not read at one moment");
        assert!((told(1_790_000_100_000, 5_010_000) - began - 90.0).abs() < 1e-3, "the wall was set");
        let (told, counted) =
            (open_files().expect("open files"), std::fs::read_dir("/proc/self/fd").expect("a folder"));
        assert!((counted.count() as f64 - told).abs() < 20.0);
    }
}
