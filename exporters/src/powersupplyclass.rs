//! `node_power_supply_*`: mains adapters and batteries.
//!
//! ```text
//! BAT0/voltage_now 11660000     <- /sys/class/power_supply, a laptop, kernel 5.4; in millionths of a volt
//! BAT0/temp        251             in tenths of a degree Celsius
//! BAT0/status      Discharging
//! ```
//!
//! Only what a supply has is told. A file that holds no integer is blamed and left out; the peer then drops all
//! supplies.

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo, FlagInfo};
use crate::error::{CollectError, Troubles};
use crate::filter::Filter;
use crate::host::{Host, Names, Reader};
use crate::single::{Words, integer};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "powersupplyclass",
    default_on: true,
    make: |settings| {
        Ok(Box::new(PowerSupply {
            filter: Filter::both(settings, ("", ""), (IGNORED.name, IGNORED.default))?,
            names: Names::default(),
            file: Reader::new(),
            words: Words::default(),
            name: String::new(),
            help: String::new(),
        }))
    },
    flags: &[IGNORED],
    doc: "Charge, voltage, current, power and state of each supply from `/sys/class/power_supply`.",
};

const IGNORED: FlagInfo = FlagInfo {
    name: "collector.powersupply.ignored-supplies",
    default: "^$",
    help: "Regexp of power supplies to ignore for powersupplyclass collector.",
};

const DIR: &str = "class/power_supply";

/// Files that are told as they are, in millionths, and in tenths; where the metric has another name, it follows `=`.
const PLAIN: &str = "authentic calibrate capacity capacity_alert_max capacity_alert_min cycle_count=cyclecount online \
     present time_to_empty_now=time_to_empty_seconds time_to_full_now=time_to_full_seconds";
const MILLIONTHS: &str = "charge_control_limit charge_control_limit_max charge_counter charge_empty \
     charge_empty_design charge_full charge_full_design charge_now=charge_ampere charge_term_current \
     constant_charge_current constant_charge_current_max constant_charge_voltage constant_charge_voltage_max \
     current_boot current_max current_now=current_ampere energy_empty energy_empty_design energy_full \
     energy_full_design energy_now=energy_watthour input_current_limit power_now=power_watt precharge_current \
     voltage_boot voltage_max voltage_max_design voltage_min voltage_min_design voltage_now=voltage_volt voltage_ocv";
const TENTHS: &str = "temp=temp_celsius temp_alert_max=temp_alert_max_celsius temp_alert_min=temp_alert_min_celsius \
     temp_ambient=temp_ambient_celsius temp_ambient_max=temp_ambient_max_celsius \
     temp_ambient_min=temp_ambient_min_celsius temp_max=temp_max_celsius temp_min=temp_min_celsius";

/// What is told as labels, when it is not empty.
const WORDS: [&str; 11] = [
    "capacity_level",
    "charge_type",
    "health",
    "manufacturer",
    "model_name",
    "scope",
    "serial_number",
    "status",
    "technology",
    "type",
    "usb_type",
];

/// Reads `/sys/class/power_supply`.
struct PowerSupply {
    filter: Filter,
    names: Names,
    file: Reader,
    words: Words,
    name: String,
    help: String,
}

impl Collector for PowerSupply {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        if !self.names.list_if_there(&host.sysfs, &[DIR])? {
            return Err(CollectError::absent("a power supply"));
        }
        let mut troubles = Troubles::default();
        for (files, divisor) in [(PLAIN, 1.0), (MILLIONTHS, 1e6), (TENTHS, 10.0)] {
            for entry in files.split_ascii_whitespace() {
                let (file, metric) = entry.split_once('=').unwrap_or((entry, entry));
                self.numbers(host, file, metric, divisor, &mut troubles, out);
            }
        }
        self.facts(host, &mut troubles, out);
        troubles.finish()
    }
}

impl PowerSupply {
    /// Tells one family: the same file of every supply.
    fn numbers(
        &mut self,
        host: &Host,
        file: &str,
        metric: &str,
        divisor: f64,
        troubles: &mut Troubles,
        out: &mut Batch,
    ) {
        self.name.clear();
        self.name.extend(["node_power_supply_", metric]);
        self.help.clear();
        self.help.extend([metric, " value of /sys/class/power_supply/<power_supply>."]);
        for supply in self.names.iter() {
            if !self.filter.is_wanted(supply) {
                continue;
            }
            let value = integer(&mut self.file, &host.sysfs, &[DIR, "/", supply, "/", file]);
            if let Some(value) = troubles.note(value).flatten() {
                out.family(&self.name, &self.help, MetricKind::Gauge);
                out.add(&[("power_supply", supply)], value / divisor);
            }
        }
    }

    fn facts(&mut self, host: &Host, troubles: &mut Troubles, out: &mut Batch) {
        for supply in self.names.iter() {
            if !self.filter.is_wanted(supply) {
                continue;
            }
            self.words.clear();
            for file in WORDS {
                troubles.note(self.words.read(&mut self.file, &host.sysfs, &[DIR, "/", supply, "/", file]));
            }
            let mut labels = [("power_supply", supply); WORDS.len() + 1];
            let mut count = 1;
            for (index, file) in WORDS.iter().enumerate() {
                let word = self.words.get(index);
                if !word.is_empty() {
                    labels[count] = (file, word);
                    count += 1;
                }
            }
            out.family("node_power_supply_info", "info of /sys/class/power_supply/<power_supply>.", MetricKind::Gauge);
            out.add(&labels[..count], 1.0);
        }
    }
}
