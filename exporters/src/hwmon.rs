//! `node_hwmon_*`: temperatures, voltages, currents, fans and alarms of every sensor chip.
//!
//! ```text
//! hwmon1/device -> ../../../raspberrypi-hwmon        <- /sys/class/hwmon, Raspberry Pi 4, kernel 6.6
//! hwmon1/name             rpi_volt
//! hwmon1/in0_lcrit_alarm  0
//! hwmon0/temp1_input      47712                         in thousandths of a degree
//! ```
//!
//! Which files a chip has is learnt once and looked at again when its folder lists others (`chip`); what a file
//! means is in `element`. As with the peer a file that cannot be read now, or that holds no number, tells nothing;
//! of the one number a sensor is for (`input`) we report that too. Chips on one device are told apart by their names,
//! as from node_exporter 1.12 on.

mod chip;
mod element;

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo, FlagInfo};
use crate::error::{CollectError, Troubles};
use crate::filter::Filter;
use crate::folder::{Desk, Folder};
use crate::host::{Host, Names};
use crate::settings::{Settings, SettingsError};
use chip::{Chip, Element, Sensor};
use element::{push_clean, push_valid};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "hwmon",
    default_on: true,
    make: |settings| Ok(Box::new(Hwmon::new(settings)?)),
    flags: &[CHIP_INCLUDE, CHIP_EXCLUDE, SENSOR_INCLUDE, SENSOR_EXCLUDE],
    doc: "Temperatures, voltages, currents, fans and alarms of every sensor chip, from `/sys/class/hwmon`.",
};

const CHIP_INCLUDE: FlagInfo = FlagInfo {
    name: "collector.hwmon.chip-include",
    default: "",
    help: "Regexp of hwmon chip to include (mutually exclusive to device-exclude).",
};
const CHIP_EXCLUDE: FlagInfo = FlagInfo {
    name: "collector.hwmon.chip-exclude",
    default: "",
    help: "Regexp of hwmon chip to exclude (mutually exclusive to device-include).",
};
const SENSOR_INCLUDE: FlagInfo = FlagInfo {
    name: "collector.hwmon.sensor-include",
    default: "",
    help: "Regexp of hwmon sensor to include (mutually exclusive to sensor-exclude).",
};
const SENSOR_EXCLUDE: FlagInfo = FlagInfo {
    name: "collector.hwmon.sensor-exclude",
    default: "",
    help: "Regexp of hwmon sensor to exclude (mutually exclusive to sensor-include).",
};

const DIR: &str = "class/hwmon";

/// The most chips told; what is more is left out and blamed.
const CHIPS_MAX: usize = 256;

/// Reads `/sys/class/hwmon`.
struct Hwmon {
    chip_filter: Filter,
    sensor_filter: Filter,
    names: Names,
    chips: Vec<Chip>,
    desk: Desk,
    listing: Names,
    label: String,
    clean: String,
    scratch: String,
}

impl Hwmon {
    fn new(settings: &Settings) -> Result<Hwmon, SettingsError> {
        Ok(Hwmon {
            chip_filter: Filter::both(settings, (CHIP_INCLUDE.name, ""), (CHIP_EXCLUDE.name, ""))?,
            sensor_filter: Filter::both(settings, (SENSOR_INCLUDE.name, ""), (SENSOR_EXCLUDE.name, ""))?,
            names: Names::default(),
            chips: Vec::new(),
            desk: Desk::default(),
            listing: Names::default(),
            label: String::new(),
            clean: String::new(),
            scratch: String::new(),
        })
    }

    /// Makes the chips those that are listed, and brings each up to date.
    fn settle(&mut self, host: &Host) -> Result<(), CollectError> {
        let mut troubles = Troubles::default();
        let listed = || self.names.iter().take(CHIPS_MAX);
        if !listed().eq(self.chips.iter().map(Chip::entry)) {
            self.chips.iter_mut().for_each(|chip| self.desk.leave(&mut chip.folder));
            self.chips = listed().map(Chip::new).collect();
        }
        if self.names.iter().nth(CHIPS_MAX).is_some() {
            troubles.note::<()>(Err(CollectError::malformed(self.names.path(), 0, "at most 256 chips")));
        }
        let mut changed = false;
        for chip in &mut self.chips {
            let result = chip.settle(host, &mut self.desk, &mut self.listing);
            changed |= troubles.note(result).unwrap_or(false);
        }
        if changed {
            self.name_chips();
        }
        troubles.finish()
    }

    /// Gives each chip its label. Chips on the same device are told apart by their own names, and chips of the same
    /// name by their entries.
    fn name_chips(&mut self) {
        let base = |chip: &Chip| chip.base.clone();
        let own = |chip: &Chip| match chip.name.is_empty() {
            true => chip.base.clone(),
            false => [chip.base.as_str(), "_", &chip.name].concat(),
        };
        let count = |label: &String, make: &dyn Fn(&Chip) -> String| {
            self.chips.iter().filter(|chip| chip.is_there && make(chip) == *label).count()
        };
        let labels: Vec<String> = self
            .chips
            .iter()
            .map(|chip| match (base(chip), own(chip)) {
                (base_label, _) if count(&base_label, &base) < 2 => base_label,
                (_, own_label) if count(&own_label, &own) < 2 => own_label,
                (_, own_label) => [own_label.as_str(), "_", chip.entry()].concat(),
            })
            .collect();
        self.chips.iter_mut().zip(labels).for_each(|(chip, label)| chip.label = label);
    }

    fn tell(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let mut troubles = Troubles::default();
        for chip in self.chips.iter_mut().filter(|chip| chip.is_there) {
            if !self.chip_filter.is_wanted(&chip.label) {
                continue;
            }
            if !chip.name.is_empty() {
                let help = "Annotation metric for human-readable chip names";
                out.family("node_hwmon_chip_names", help, MetricKind::Gauge);
                out.add(&[("chip", &chip.label), ("chip_name", &chip.name)], 1.0);
            }
            let Chip { label: chip_label, folder, sensors, .. } = chip;
            for sensor in sensors {
                self.scratch.clear();
                self.scratch.extend([chip_label.as_str(), ";", &sensor.name]);
                if self.sensor_filter.is_wanted(&self.scratch) {
                    let (label, clean) = (&mut self.label, &mut self.clean);
                    let mut place = Place { host, desk: &mut self.desk, folder, chip: chip_label, label, clean };
                    troubles.note(place.tell(sensor, out));
                }
            }
        }
        troubles.finish()
    }
}

/// Where a sensor's files are, and memory for its label.
struct Place<'a> {
    host: &'a Host,
    desk: &'a mut Desk,
    folder: &'a mut Folder,
    chip: &'a str,
    label: &'a mut String,
    clean: &'a mut String,
}

impl Place<'_> {
    fn tell(&mut self, sensor: &Sensor, out: &mut Batch) -> Result<(), CollectError> {
        let mut troubles = Troubles::default();
        let labels = [("chip", self.chip), ("sensor", sensor.name.as_str())];
        let mut has_label = false;
        self.label.clear();
        if let Some(file) = &sensor.label {
            let found = self.desk.read(&self.host.sysfs, self.folder, file.as_ref());
            if let Some(bytes) = troubles.note(found).flatten() {
                has_label = true;
                push_valid(bytes, self.label);
                out.family("node_hwmon_sensor_label", "Label for given chip and sensor", MetricKind::Gauge);
                out.add(&[labels[0], ("label", self.label), labels[1]], 1.0);
            }
        }
        // What runs at a frequency is called by its label, and tells nothing without one.
        self.clean.clear();
        if sensor.kind == "freq" {
            push_clean(self.label, self.clean);
        }
        for Element { file, meaning } in &sensor.elements {
            if sensor.kind == "freq" && !has_label {
                break;
            }
            let found = self.desk.read(&self.host.sysfs, self.folder, file.as_ref());
            let Some(bytes) = troubles.note(found).flatten() else { continue };
            let value = std::str::from_utf8(bytes).ok().and_then(|text| meaning.value(text.trim()));
            let Some(value) = value else {
                if meaning.is_main {
                    // As with the peer this is no failure; it is reported all the same.
                    let error = self.desk.malformed(&self.host.sysfs, self.folder, &file.name, "a number");
                    troubles.note::<()>(Err(CollectError::Partly(Box::new(error))));
                }
                continue;
            };
            out.family(&meaning.name, &meaning.help, meaning.kind);
            let name = if sensor.kind == "freq" { self.clean.as_str() } else { labels[1].1 };
            out.add(&[labels[0], ("sensor", name)], value);
        }
        troubles.finish()
    }
}

impl Collector for Hwmon {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        if !self.names.list_if_there(&host.sysfs, &[DIR])? {
            return Err(CollectError::absent("a sensor chip"));
        }
        let mut troubles = Troubles::default();
        troubles.note(self.settle(host));
        troubles.note(self.tell(host, out));
        troubles.finish()
    }
}
