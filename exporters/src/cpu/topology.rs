//! What `/sys/devices/system/cpu` tells: which CPUs are online or isolated, and how often heat slowed them down.
//!
//! ```text
//! isolated                                   1,3-5,9        <- x86-64 laptop, kernel 4.18
//! cpu0/online                                1
//! cpu0/topology/{core_id,physical_package_id} 0
//! cpu0/thermal_throttle/core_throttle_count  5
//! ```
//!
//! All of it is optional: a board without these files tells nothing here and that is no error. Package counts are
//! told once a package, by its first CPU.

use model::{Batch, MetricKind};

use crate::error::{CollectError, Troubles};
use crate::host::{Host, Names, Reader};
use crate::number::{Decimal, unsigned};

const DIR: &str = "devices/system/cpu";

/// Reads the files of all CPUs.
#[derive(Default)]
pub(super) struct Topology {
    file: Reader,
    isolated: Reader,
    packages: Vec<(u64, u64)>,
    cores: Vec<((u64, u64), u64)>,
}

impl Topology {
    pub(super) fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let mut troubles = Troubles::default();
        troubles.note(self.isolated(host, out));
        let mut shared = host.shared.borrow_mut();
        if troubles.note(shared.list_cpus(host)) != Some(true) {
            return troubles.finish();
        }
        troubles.note(self.throttles(host, &shared.cpus, out));
        troubles.note(self.online(host, &shared.cpus, out));
        troubles.finish()
    }

    fn isolated(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let text = self.isolated.kept_text_if_there(&host.sysfs, "devices/system/cpu/isolated")?;
        let Some(text) = text else { return Ok(()) };
        let help = "Whether each core is isolated, information from /sys/devices/system/cpu/isolated.";
        out.family("node_cpu_isolated", help, MetricKind::Gauge);
        let mut good = true;
        for part in text.trim().split(',').filter(|part| !part.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            match (unsigned(first), unsigned(last)) {
                (Some(first), Some(last)) if last.saturating_sub(first) < super::CPUS_MAX as u64 => {
                    (first..=last).for_each(|cpu| out.add(&[("cpu", Decimal::new(cpu).as_str())], 1.0));
                }
                _ => good = false,
            }
        }
        if good { Ok(()) } else { Err(self.isolated.malformed(1, "a list of CPUs such as 1,3-5")) }
    }

    fn throttles(&mut self, host: &Host, names: &Names, out: &mut Batch) -> Result<(), CollectError> {
        self.packages.clear();
        self.cores.clear();
        let mut troubles = Troubles::default();
        for cpu in names.iter().filter(|name| is_cpu(name)) {
            if !self.file.is_there(&host.sysfs, &[DIR, "/", cpu, "/thermal_throttle"]) {
                continue;
            }
            let mut number = |file: &str| read_number(&mut self.file, host, cpu, file);
            let core_count = troubles.note(number("thermal_throttle/core_throttle_count")).flatten();
            let package_count = troubles.note(number("thermal_throttle/package_throttle_count")).flatten();
            if core_count.is_none() && package_count.is_none() {
                continue;
            }
            let Some(package) = troubles.note(number("topology/physical_package_id")).flatten() else { continue };
            let Some(core) = troubles.note(number("topology/core_id")).flatten() else { continue };
            if let Some(count) = core_count.filter(|_| !self.cores.iter().any(|(key, _)| *key == (package, core))) {
                self.cores.push(((package, core), count));
            }
            if let Some(count) = package_count.filter(|_| !self.packages.iter().any(|(key, _)| *key == package)) {
                self.packages.push((package, count));
            }
        }
        let help = "Number of times this CPU package has been throttled.";
        out.family("node_cpu_package_throttles_total", help, MetricKind::Counter);
        for (package, count) in &self.packages {
            out.add(&[("package", Decimal::new(*package).as_str())], *count as f64);
        }
        let help = "Number of times this CPU core has been throttled.";
        out.family("node_cpu_core_throttles_total", help, MetricKind::Counter);
        for ((package, core), count) in &self.cores {
            let (package, core) = (Decimal::new(*package), Decimal::new(*core));
            out.add(&[("core", core.as_str()), ("package", package.as_str())], *count as f64);
        }
        troubles.finish()
    }

    /// Tells who is online where the first CPU says so; a kernel that cannot take CPUs out says nothing.
    fn online(&mut self, host: &Host, names: &Names, out: &mut Batch) -> Result<(), CollectError> {
        let mut troubles = Troubles::default();
        for (index, cpu) in names.iter().filter(|name| is_cpu(name)).enumerate() {
            let online = troubles.note(read_number(&mut self.file, host, cpu, "online")).flatten();
            if index == 0 {
                if online.is_none() {
                    break;
                }
                out.family("node_cpu_online", "CPUs that are online and being scheduled.", MetricKind::Gauge);
            }
            out.add(&[("cpu", &cpu["cpu".len()..])], if online == Some(1) { 1.0 } else { 0.0 });
        }
        troubles.finish()
    }
}

/// Returns whether a name is `cpu` and digits.
fn is_cpu(name: &str) -> bool {
    name.strip_prefix("cpu").is_some_and(|digits| unsigned(digits).is_some())
}

/// Reads a number of one CPU; a file that is not there is `None`.
fn read_number(file: &mut Reader, host: &Host, cpu: &str, name: &str) -> Result<Option<u64>, CollectError> {
    let text = file.text_if_there(&host.sysfs, &[DIR, "/", cpu, "/", name])?;
    let Some(value) = text.map(|text| unsigned(text.trim())) else { return Ok(None) };
    value.map(Some).ok_or_else(|| file.malformed(1, "a number"))
}
