//! `node_rapl_*_joules_total`: energy that parts of a processor used.
//!
//! ```text
//! intel-rapl:0/name        package-0        <- /sys/class/powercap, a laptop, kernel 6.1
//! intel-rapl:0/energy_uj   240422366267        in millionths of a joule
//! ```
//!
//! A name that ends in a number tells its own index; equal names are counted. Only root may read the energy; for
//! others a zone is not told.

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo, FlagInfo};
use crate::error::{CollectError, Troubles};
use crate::host::{Host, Names, Reader};
use crate::number;
use crate::single::{Words, unsigned};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "rapl",
    default_on: true,
    make: |settings| {
        let has_label = settings.switch(ZONE_LABEL.name, false)?;
        Ok(Box::new(Rapl { has_label, ..Rapl::default() }))
    },
    flags: &[ZONE_LABEL],
    doc: "Energy used by parts of the processor from `/sys/class/powercap`.",
};

const ZONE_LABEL: FlagInfo = FlagInfo {
    name: "collector.rapl.enable-zone-label",
    default: "false",
    help: "Tell the zone as a label of one metric instead of in the metric's name.",
};

const DIR: &str = "class/powercap";
const MICROJOULES: f64 = 1e6;

/// The most zones; what is more is left out and blamed.
const ZONES_MAX: usize = 256;

/// Reads `/sys/class/powercap`.
#[derive(Default)]
struct Rapl {
    has_label: bool,
    names: Names,
    file: Reader,
    /// The zones' names without their index.
    zones: Words,
    zone: Words,
    path: String,
    metric: String,
    help: String,
}

impl Collector for Rapl {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        if !self.names.list_if_there(&host.sysfs, &[DIR])? {
            return Err(CollectError::absent("a meter of energy"));
        }
        let mut troubles = Troubles::default();
        let base = host.sysfs.to_str().unwrap_or("/sys").trim_end_matches('/');
        self.zones.clear();
        for name in self.names.iter() {
            self.zone.clear();
            let zone = self.zone.read(&mut self.file, &host.sysfs, &[DIR, "/", name, "/name"]);
            if troubles.note(zone) != Some(true) {
                continue;
            }
            if self.zones.len() >= ZONES_MAX {
                troubles.note::<()>(Err(CollectError::malformed(self.names.path(), 0, "at most 256 zones")));
                break;
            }
            let (zone, own_index) = split_name(self.zone.get(0));
            let counted = (0..self.zones.len()).filter(|index| self.zones.get(*index) == zone).count() as u64;
            let index = number::Decimal::new(own_index.unwrap_or(counted));
            self.zones.push(zone);
            let energy = unsigned(&mut self.file, &host.sysfs, &[DIR, "/", name, "/energy_uj"]);
            let Some(energy) = troubles.note(energy).flatten() else { continue };
            self.path.clear();
            self.path.extend([base, "/", DIR, "/", name]);
            let labels = [("index", index.as_str()), ("path", &self.path), ("rapl_zone", zone)];
            if self.has_label {
                out.family("node_rapl_joules_total", "Current RAPL value in joules", MetricKind::Counter);
                out.add(&labels, energy / MICROJOULES);
                continue;
            }
            name_after(&mut self.metric, &mut self.help, zone);
            out.family(&self.metric, &self.help, MetricKind::Counter);
            out.add(&labels[..2], energy / MICROJOULES);
        }
        troubles.finish()
    }
}

fn name_after(metric: &mut String, help: &mut String, zone: &str) {
    metric.clear();
    metric.push_str("node_rapl_");
    number::push_metric_name(metric, zone);
    metric.push_str("_joules_total");
    help.clear();
    help.extend(["Current RAPL ", zone, " value in joules"]);
}

/// Splits `package-0` into a name and an index.
fn split_name(text: &str) -> (&str, Option<u64>) {
    match text.split_once('-') {
        Some((name, index)) if number::unsigned(index).is_some() => (name, number::unsigned(index)),
        _ => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_at_the_end_is_the_index() {
        assert_eq!(split_name("package-1"), ("package", Some(1)));
        assert_eq!(split_name("dram"), ("dram", None));
        assert_eq!(split_name("package-0-die-1"), ("package-0-die-1", None));
    }
}
