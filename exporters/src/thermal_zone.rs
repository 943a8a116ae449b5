//! `node_thermal_zone_temp`, `node_cooling_device_cur_state`, `node_cooling_device_max_state`.
//!
//! ```text
//! thermal_zone0/type      cpu-thermal          <- /sys/class/thermal, Raspberry Pi 4, kernel 6.6
//! thermal_zone0/temp      82811                   in thousandths of a degree Celsius
//! cooling_device0/type    gpio-fan
//! cooling_device0/cur_state 1, max_state 1
//! ```
//!
//! As with the peer, a zone whose `temp` is missing, empty or cannot be read now tells 0, and a cooling device that
//! lacks a file is left out. What is there and no number is reported, and the rest kept.

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo};
use crate::error::{CollectError, Troubles};
use crate::host::{Host, Names, Reader};
use crate::number::unsigned;

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "thermal_zone",
    default_on: true,
    make: |_| Ok(Box::new(ThermalZone::default())),
    flags: &[],
    doc: "Temperatures of thermal zones and states of cooling devices from `/sys/class/thermal`.",
};

const DIR: &str = "class/thermal";

/// Reads `/sys/class/thermal`.
#[derive(Default)]
struct ThermalZone {
    names: Names,
    kind: Reader,
    file: Reader,
}

impl Collector for ThermalZone {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        if !self.names.list_if_there(&host.sysfs, &[DIR])? {
            return Ok(());
        }
        let mut troubles = Troubles::default();
        troubles.note(self.zones(host, out));
        for (file, name, help) in [
            ("cur_state", "node_cooling_device_cur_state", "Current throttle state of the cooling device"),
            ("max_state", "node_cooling_device_max_state", "Maximum throttle state of the cooling device"),
        ] {
            out.family(name, help, MetricKind::Gauge);
            troubles.note(self.cooling(host, file, out));
        }
        troubles.finish()
    }
}

impl ThermalZone {
    fn zones(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let mut troubles = Troubles::default();
        out.family("node_thermal_zone_temp", "Zone temperature in Celsius", MetricKind::Gauge);
        for name in self.names.iter() {
            let Some(zone) = numbered(name, "thermal_zone") else { continue };
            let millidegrees = match self.file.text(host, &host.sysfs, &[DIR, "/", name, "/temp"]) {
                Err(CollectError::Io { .. }) => 0,
                text => match troubles.note(text).map(|text| parse_temp(text.trim())) {
                    Some(Some(value)) => value,
                    _ => {
                        troubles.note::<()>(Err(self.file.malformed(1, "thousandths of a degree")));
                        continue;
                    }
                },
            };
            let kind = read_kind(&mut self.kind, host, name);
            if let Some(kind) = troubles.note(kind) {
                out.add(&[("type", kind), ("zone", zone)], millidegrees as f64 / 1_000.0);
            }
        }
        troubles.finish()
    }

    fn cooling(&mut self, host: &Host, file: &str, out: &mut Batch) -> Result<(), CollectError> {
        let mut troubles = Troubles::default();
        for name in self.names.iter() {
            let Some(number) = numbered(name, "cooling_device") else { continue };
            let mut state = |file: &str| {
                let text = self.file.text_if_there(&host.sysfs, &[DIR, "/", name, "/", file])?;
                match text.map(|text| parse_temp(text.trim())) {
                    Some(None) => Err(self.file.malformed(1, "a number")),
                    state => Ok(state.flatten()),
                }
            };
            // A device is told whole or not at all.
            let other = if file == "cur_state" { "max_state" } else { "cur_state" };
            let (Some(Some(value)), Some(Some(_))) = (troubles.note(state(file)), troubles.note(state(other))) else {
                continue;
            };
            let kind = read_kind(&mut self.kind, host, name);
            if let Some(kind) = troubles.note(kind) {
                out.add(&[("name", number), ("type", kind)], value as f64);
            }
        }
        troubles.finish()
    }
}

/// Returns what follows a prefix when it is a number.
fn numbered<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    name.strip_prefix(prefix).filter(|number| unsigned(number).is_some())
}

/// Reads an integer; an empty file is 0, as with the peer.
fn parse_temp(text: &str) -> Option<i64> {
    if text.is_empty() { Some(0) } else { text.parse().ok() }
}

/// Reads the type of a zone or device; a file that is not there is an empty type.
fn read_kind<'a>(file: &'a mut Reader, host: &Host, name: &str) -> Result<&'a str, CollectError> {
    let text = file.text_if_there(&host.sysfs, &[DIR, "/", name, "/type"])?;
    Ok(text.unwrap_or("").trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temperatures_may_be_negative_or_empty() {
        assert_eq!(
            ["82811", "-5500", "", "x", "1.5"].map(parse_temp),
            [Some(82_811), Some(-5_500), Some(0), None, None]
        );
        assert_eq!(numbered("thermal_zone12", "thermal_zone"), Some("12"));
        assert_eq!(numbered("thermal_zonex", "thermal_zone"), None);
    }
}
