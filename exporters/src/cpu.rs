//! `node_cpu_seconds_total`, `node_cpu_guest_seconds_total` and, where there is something to tell,
//! `node_cpu_isolated`, `node_cpu_online`, `node_cpu_*_throttles_total`; `node_cpu_info` when asked for.
//!
//! ```text
//! cpu0 5583806 3780 706408 52758346 606012 0 90457 0 0 0    <- /proc/stat, Raspberry Pi 4, kernel 6.6
//!      user    nice system idle     iowait irq softirq steal guest guest_nice, in hundredths of a second
//! ```
//!
//! Counters never run backwards: the kernel's idle and iowait times do so by a little now and then, and the last
//! value is then told again. Idle falling by three seconds or more means that the CPU was taken out and put back.
//! Files below `/sys/devices/system/cpu` and `/proc/cpuinfo` are in `topology` and `info`.

mod info;
mod topology;

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo, FlagInfo};
use crate::error::{CollectError, Troubles};
use crate::host::Host;
use crate::number::{Decimal, float};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "cpu",
    default_on: true,
    make: |settings| {
        Ok(Box::new(Cpu {
            times: Vec::new(),
            fresh: Vec::new(),
            guest: settings.switch(GUEST.name, true)?,
            topology: topology::Topology::default(),
            info: info::Info::new(settings)?,
        }))
    },
    flags: &[GUEST, info::ON, info::FLAGS, info::BUGS],
    doc: "Seconds each CPU spent in each mode, from `/proc/stat`; throttling, isolation and `cpuinfo` where known.",
};

const GUEST: FlagInfo =
    FlagInfo { name: "collector.cpu.guest", default: "true", help: "Enables metric node_cpu_guest_seconds_total" };

/// The modes in the order of the line; the last two are time given to guests.
const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];
const GUEST_MODES: [&str; 2] = ["user", "nice"];
const IDLE: usize = 3;

/// The kernel counts in hundredths of a second, whatever its own tick.
const USER_HZ: f64 = 100.0;

/// By how many seconds idle must fall to mean a CPU taken out and put back, and not a kernel's slip.
const HOTPLUG_SECONDS: f64 = 3.0;

/// The most CPUs told; what is more is left out and blamed.
const CPUS_MAX: usize = 4_096;

/// One CPU's times in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Times {
    cpu: u64,
    seconds: [f64; 10],
}

/// Reads `/proc/stat` and what else tells about CPUs.
struct Cpu {
    times: Vec<Times>,
    fresh: Vec<Times>,
    guest: bool,
    topology: topology::Topology,
    info: info::Info,
}

impl Collector for Cpu {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let mut troubles = Troubles::default();
        troubles.note(self.info.collect(host, out));
        troubles.note(self.collect_times(host, out));
        troubles.note(self.topology.collect(host, out));
        troubles.finish()
    }
}

impl Cpu {
    fn collect_times(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let mut shared = host.shared.borrow_mut();
        let bad_line = parse(shared.stat(host)?, &mut self.fresh);
        settle(&mut self.times, &self.fresh);
        out.family("node_cpu_seconds_total", "Seconds the CPUs spent in each mode.", MetricKind::Counter);
        for times in &self.times {
            let cpu = Decimal::new(times.cpu);
            for (mode, seconds) in MODES.iter().zip(times.seconds) {
                out.add(&[("cpu", cpu.as_str()), ("mode", mode)], seconds);
            }
        }
        if self.guest {
            let help = "Seconds the CPUs spent in guests (VMs) for each mode.";
            out.family("node_cpu_guest_seconds_total", help, MetricKind::Counter);
            for times in &self.times {
                let cpu = Decimal::new(times.cpu);
                for (mode, seconds) in GUEST_MODES.iter().zip(&times.seconds[MODES.len()..]) {
                    out.add(&[("cpu", cpu.as_str()), ("mode", mode)], *seconds);
                }
            }
        }
        match bad_line {
            Some(line) => Err(shared.stat.malformed(line, "`cpuN` and up to ten numbers")),
            None => Ok(()),
        }
    }
}

/// Reads the lines of single CPUs; returns the first odd one.
fn parse(text: &str, fresh: &mut Vec<Times>) -> Option<usize> {
    fresh.clear();
    let mut bad = None;
    for (at, line) in text.lines().enumerate() {
        let Some(rest) = line.strip_prefix("cpu") else { continue };
        if rest.starts_with([' ', '\t']) {
            continue; // The sum over all CPUs.
        }
        match parse_times(rest) {
            Some(times) if fresh.len() < CPUS_MAX => fresh.push(times),
            _ => {
                bad.get_or_insert(at + 1);
            }
        }
    }
    bad
}

fn parse_times(rest: &str) -> Option<Times> {
    let mut fields = rest.split_ascii_whitespace();
    let mut times = Times { cpu: crate::number::unsigned(fields.next()?)?, seconds: [0.0; 10] };
    // Old kernels print fewer numbers, but never none.
    times.seconds[0] = float(fields.next()?)? / USER_HZ;
    for (slot, field) in times.seconds[1..].iter_mut().zip(fields) {
        *slot = float(field)? / USER_HZ;
    }
    times.seconds.iter().all(|seconds| *seconds >= 0.0).then_some(times)
}

/// Takes over fresh times so that no counter runs backwards, and forgets CPUs that are gone.
fn settle(times: &mut Vec<Times>, fresh: &[Times]) {
    for (index, new) in fresh.iter().enumerate() {
        // Kept times stand in the order of the lines, so the last one is mostly in the same place.
        let last = match times.get(index) {
            Some(last) if last.cpu == new.cpu => Some(*last),
            _ => times.iter().find(|last| last.cpu == new.cpu).copied(),
        };
        let mut settled = *new;
        if let Some(last) = last.filter(|last| last.seconds[IDLE] - new.seconds[IDLE] < HOTPLUG_SECONDS) {
            for (seconds, last) in settled.seconds.iter_mut().zip(last.seconds) {
                *seconds = seconds.max(last);
            }
        }
        match times.get_mut(index) {
            Some(slot) if slot.cpu == new.cpu => *slot = settled,
            _ => times.insert(index, settled),
        }
    }
    times.truncate(fresh.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(cpu: u64, user: f64, idle: f64) -> Times {
        let mut seconds = [0.0; 10];
        (seconds[0], seconds[IDLE]) = (user, idle);
        Times { cpu, seconds }
    }

    fn settled(steps: &[&[Times]]) -> Vec<Times> {
        let mut kept = Vec::new();
        steps.iter().for_each(|fresh| settle(&mut kept, fresh));
        kept
    }

    #[test]
    fn lines_of_single_cpus_are_read_and_odd_ones_blamed() {
        let mut fresh = Vec::new();
        let text = "cpu  9 9 9 9\ncpu0 100 0 0 250\ncpu1 x\ncpu12 5\ncpux 1 2\ncpu3\nintr 7\n";
        assert_eq!(parse(text, &mut fresh), Some(3));
        assert_eq!(fresh, [times(0, 1.0, 2.5), times(12, 0.05, 0.0)]);
    }

    #[test]
    fn counters_do_not_run_backwards() {
        assert_eq!(settled(&[&[times(0, 5.0, 10.0)], &[times(0, 4.9, 9.0)]]), [times(0, 5.0, 10.0)]);
        assert_eq!(settled(&[&[times(0, 5.0, 10.0)], &[times(0, 6.0, 9.0)]]), [times(0, 6.0, 10.0)]);
    }

    #[test]
    fn a_cpu_that_was_taken_out_starts_anew() {
        assert_eq!(settled(&[&[times(0, 5.0, 10.0)], &[times(0, 1.0, 7.0)]]), [times(0, 1.0, 7.0)]);
        let both = [times(0, 1.0, 1.0), times(1, 2.0, 2.0)];
        assert_eq!(settled(&[&both, &both[1..]]), both[1..]);
        assert_eq!(settled(&[&both[1..], &both]), both);
        assert_eq!(settled(&[&both, &[]]), []);
    }
}
