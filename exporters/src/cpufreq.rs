//! `node_cpu_frequency_*_hertz`, `node_cpu_scaling_frequency_*_hertz`, `node_cpu_scaling_governor`.
//!
//! ```text
//! cpu0/cpufreq/scaling_cur_freq             1500000        <- /sys/devices/system/cpu, Raspberry Pi 4, kernel 6.6
//! cpu0/cpufreq/scaling_available_governors  conservative ondemand userspace powersave performance
//! cpu0/cpufreq/scaling_governor             ondemand          in kilohertz
//! ```
//!
//! A CPU without such a folder tells nothing. What `cpu.info` tells under the same name comes first, as in the
//! peer's goldens. A file that is missing leaves its metric out; the peer drops every
//! CPU when `scaling_setspeed`, which it does not tell, is missing.

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo};
use crate::error::{CollectError, Troubles};
use crate::folder::{Desk, Folder};
use crate::host::{Host, Names};
use crate::number::unsigned;

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "cpufreq",
    default_on: true,
    make: |_| Ok(Box::new(Cpufreq::default())),
    flags: &[],
    doc: "Frequencies and governor of each CPU, from `/sys/devices/system/cpu/cpuN/cpufreq`.",
};

const DIR: &str = "devices/system/cpu";

/// The file, the metric, its help.
const FREQUENCIES: [(&str, &str, &str); 6] = [
    ("cpuinfo_cur_freq", "node_cpu_frequency_hertz", "Current CPU thread frequency in hertz."),
    ("cpuinfo_min_freq", "node_cpu_frequency_min_hertz", "Minimum CPU thread frequency in hertz."),
    ("cpuinfo_max_freq", "node_cpu_frequency_max_hertz", "Maximum CPU thread frequency in hertz."),
    ("scaling_cur_freq", "node_cpu_scaling_frequency_hertz", "Current scaled CPU thread frequency in hertz."),
    ("scaling_min_freq", "node_cpu_scaling_frequency_min_hertz", "Minimum scaled CPU thread frequency in hertz."),
    ("scaling_max_freq", "node_cpu_scaling_frequency_max_hertz", "Maximum scaled CPU thread frequency in hertz."),
];
const GOVERNOR: (usize, &str) = (FREQUENCIES.len(), "scaling_governor");
const GOVERNORS: (usize, &str) = (FREQUENCIES.len() + 1, "scaling_available_governors");

/// The most CPUs told; what is more is left out.
const CPUS_MAX: usize = 4_096;

/// Reads the folders of all CPUs.
#[derive(Default)]
struct Cpufreq {
    cpus: Vec<Cpu>,
    desk: Desk,
}

/// One CPU, and what was read of it last.
struct Cpu {
    /// As the kernel names it: `cpu0`.
    name: String,
    folder: Folder,
    frequencies: [Option<u64>; FREQUENCIES.len()],
    governor: String,
    governors: String,
}

impl Cpufreq {
    /// Makes the CPUs those that are listed, in their order, and keeps the ones known.
    fn settle(&mut self, names: &Names) {
        let listed = || names.iter().filter(|name| is_cpu(name)).take(CPUS_MAX);
        if listed().eq(self.cpus.iter().map(|cpu| cpu.name.as_str())) {
            return;
        }
        self.cpus.iter_mut().for_each(|cpu| self.desk.leave(&mut cpu.folder));
        self.cpus = listed().map(Cpu::new).collect();
    }

    fn read(&mut self, host: &Host) -> Result<(), CollectError> {
        let mut troubles = Troubles::default();
        let desk = &mut self.desk;
        for cpu in &mut self.cpus {
            cpu.frequencies = Default::default();
            cpu.governor.clear();
            if troubles.note(desk.enter(&host.sysfs, &mut cpu.folder)) != Some(true) {
                continue;
            }
            for (number, (file, ..)) in FREQUENCIES.iter().enumerate() {
                let text = troubles.note(desk.text(&host.sysfs, &mut cpu.folder, (number, file))).flatten();
                let value = text.map(unsigned);
                cpu.frequencies[number] = value.flatten();
                if value == Some(None) {
                    let error = desk.malformed(&host.sysfs, &cpu.folder, file, "a frequency in kilohertz");
                    troubles.note::<()>(Err(error));
                }
            }
            for (file, kept) in [(GOVERNOR, &mut cpu.governor), (GOVERNORS, &mut cpu.governors)] {
                let text = troubles.note(desk.text(&host.sysfs, &mut cpu.folder, file)).flatten();
                kept.clear();
                kept.push_str(text.unwrap_or(""));
            }
        }
        troubles.finish()
    }

    fn tell(&self, out: &mut Batch) {
        for (number, (_, name, help)) in FREQUENCIES.iter().enumerate() {
            // With `cpu.info`, the collector of CPUs tells a frequency under the same name and other labels.
            if out.families().iter().any(|family| out.name(family) == *name) {
                continue;
            }
            out.family(name, help, MetricKind::Gauge);
            for cpu in &self.cpus {
                if let Some(kilohertz) = cpu.frequencies[number] {
                    out.add(&[("cpu", cpu.number())], kilohertz as f64 * 1_000.0);
                }
            }
        }
        let help = "Current enabled CPU frequency governor.";
        out.family("node_cpu_scaling_governor", help, MetricKind::Gauge);
        for cpu in self.cpus.iter().filter(|cpu| !cpu.governor.is_empty()) {
            for governor in cpu.governors.split_ascii_whitespace() {
                let is_current = governor == cpu.governor;
                out.add(&[("cpu", cpu.number()), ("governor", governor)], f64::from(u8::from(is_current)));
            }
        }
    }
}

impl Cpu {
    fn new(name: &str) -> Cpu {
        Cpu {
            name: name.to_owned(),
            folder: Folder::new([DIR, "/", name, "/cpufreq"].concat()),
            frequencies: Default::default(),
            governor: String::new(),
            governors: String::new(),
        }
    }

    fn number(&self) -> &str {
        self.name.trim_start_matches("cpu")
    }
}

impl Collector for Cpufreq {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let mut shared = host.shared.borrow_mut();
        if !shared.list_cpus(host)? {
            return Ok(());
        }
        self.settle(&shared.cpus);
        let result = self.read(host);
        self.tell(out);
        result
    }
}

/// Returns whether a folder is a CPU's.
fn is_cpu(name: &str) -> bool {
    name.strip_prefix("cpu").is_some_and(|number| unsigned(number).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_cpus_have_numbers() {
        assert!(is_cpu("cpu0") && is_cpu("cpu12"));
        assert!(!["cpufreq", "cpu", "cpuidle", "power", "cpu1x"].into_iter().any(is_cpu));
    }
}
