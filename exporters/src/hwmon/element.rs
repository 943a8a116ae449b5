//! What the name of a sensor's file means: `temp1_crit_alarm` is the sensor `temp1` of the kind `temp`, its property
//! `crit_alarm`, and becomes `node_hwmon_temp_crit_alarm_celsius`.
//!
//! The rules are node_exporter's to the letter, and so are its oddities: an alarm that has a limit's name before it
//! is scaled like the limit (the Pi's under-voltage alarm reads 0.001), and humidity is divided once too often.
//! Source of the files' names: the kernel's `hwmon/sysfs-interface.rst`.

use model::MetricKind;

use crate::number::float;

/// The kinds of sensors that are told.
const KINDS: [&str; 14] = [
    "vrm",
    "beep_enable",
    "update_interval",
    "in",
    "cpu",
    "fan",
    "pwm",
    "temp",
    "curr",
    "power",
    "energy",
    "humidity",
    "intrusion",
    "freq",
];

/// What turns the kernel's number into the metric's unit.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Unit {
    One,
    /// Times 0.001, which is not quite the same as divided by 1,000.
    Milli,
    Micro,
    /// 1 for the text `1`, else 0.
    Flag,
}

/// What one file says.
#[derive(Debug, PartialEq)]
pub(super) struct Meaning {
    /// The metric.
    pub(super) name: String,
    /// Its help.
    pub(super) help: String,
    /// Its kind.
    pub(super) kind: MetricKind,
    /// Whether this is the number that the sensor is for.
    pub(super) is_main: bool,
    unit: Unit,
}

impl Meaning {
    /// Returns what a file means, by the kind of its sensor and its property. `has_plain` says that the sensor has a
    /// file without a property too.
    pub(super) fn of(kind: &str, property: &str, has_plain: bool) -> Option<Meaning> {
        let is_main = property == "input" || property.is_empty();
        let make = |name: String, help: String, kind: MetricKind, unit: Unit| {
            Some(Meaning { name, help, kind, is_main, unit })
        };
        let gauge = |name: String, help: String, unit: Unit| make(name, help, MetricKind::Gauge, unit);
        match kind {
            "beep_enable" | "vrm" | "update_interval" if !property.is_empty() => return None,
            "beep_enable" => {
                return gauge("node_hwmon_beep_enabled".to_owned(), "Hardware beep enabled".to_owned(), Unit::Flag);
            }
            "vrm" => {
                let help = "Hardware voltage regulator".to_owned();
                return gauge("node_hwmon_voltage_regulator_version".to_owned(), help, Unit::One);
            }
            "update_interval" => {
                let help = "Hardware monitor update interval".to_owned();
                return gauge("node_hwmon_update_interval_seconds".to_owned(), help, Unit::Milli);
            }
            _ => {}
        }
        let mut name = ["node_hwmon_", kind].concat();
        match property {
            "input" if has_plain => name.push_str("_input"),
            "input" | "" => {}
            _ => name.extend(["_", &clean(property)]),
        }
        let with = |suffix: &str| [name.as_str(), suffix].concat();
        let says = |what: &str, property: &str| ["Hardware monitor ", what, " (", property, ")"].concat();
        let power = "power usage update interval";
        match (kind, property) {
            (_, "fault" | "alarm") => {
                let help = ["Hardware sensor ", property, " status (", kind, ")"].concat();
                gauge(name, help, Unit::One)
            }
            (_, "beep") => gauge(with("_enabled"), "Hardware monitor sensor has beeping enabled".to_owned(), Unit::One),
            ("in" | "cpu", _) => gauge(with("_volts"), says("for voltage", property), Unit::Milli),
            ("temp", _) if property != "type" => {
                let property = if property.is_empty() { "input" } else { property };
                gauge(with("_celsius"), says("for temperature", property), Unit::Milli)
            }
            ("curr", _) => gauge(with("_amps"), says("for current", property), Unit::Milli),
            ("energy", _) => {
                make(with("_joule_total"), says("for joules used so far", property), MetricKind::Counter, Unit::Micro)
            }
            ("power", "accuracy") => {
                gauge(name, "Hardware monitor power meter accuracy, as a ratio".to_owned(), Unit::Micro)
            }
            ("power", "average_interval" | "average_interval_min" | "average_interval_max") => {
                gauge(with("_seconds"), says(power, property), Unit::Milli)
            }
            ("power", _) => gauge(with("_watt"), says("for power usage in watts", property), Unit::Micro),
            ("humidity", _) => {
                let what = "for humidity, as a ratio (multiply with 100.0 to get the humidity as a percentage)";
                gauge(name, says(what, property), Unit::Micro)
            }
            ("fan", "input" | "min" | "max" | "target") => {
                gauge(with("_rpm"), says("for fan revolutions per minute", property), Unit::One)
            }
            ("freq", _) => {
                gauge(with("_freq_mhz"), "Hardware monitor for GPU frequency in MHz".to_owned(), Unit::Micro)
            }
            _ => gauge(name, ["Hardware monitor ", kind, " element ", property].concat(), Unit::One),
        }
    }

    /// Returns the metric's value; `None` for what is no number.
    pub(super) fn value(&self, text: &str) -> Option<f64> {
        match self.unit {
            Unit::Flag => Some(f64::from(u8::from(text == "1"))),
            Unit::One => float(text),
            Unit::Milli => float(text).map(|value| value * 0.001),
            Unit::Micro => float(text).map(|value| value / 1e6),
        }
    }
}

/// Takes a file's name apart into kind, number and property: `^([^0-9]+)([0-9]*)?(_(.+))?$`, of the known kinds. A
/// number that is missing is 0.
pub(super) fn split(file: &str) -> Option<(&str, u64, &str)> {
    let end = file.find(|c: char| c.is_ascii_digit()).unwrap_or(file.len());
    let (kind, rest) = file.split_at(end);
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = rest.split_at(digits);
    let number = if number.is_empty() { Some(0) } else { number.parse().ok() };
    let found = match rest.strip_prefix('_') {
        Some(property) if !property.is_empty() => Some((kind, number?, property)),
        None if rest.is_empty() => Some((kind, number?, "")),
        // What does not fit so may do with a line before the number: `temp_x1y` is property `x1y` of `temp`.
        _ => kind.rfind('_').map(|at| (&kind[..at], 0, &file[at + 1..])),
    };
    found.filter(|(kind, _, property)| KINDS.contains(kind) && !(property.is_empty() && file.ends_with('_')))
}

/// Makes a text part of a metric's name or a label: lower case, other letters lines, none at the ends.
pub(super) fn clean(text: &str) -> String {
    let mut cleaned = String::new();
    push_clean(text, &mut cleaned);
    cleaned
}

/// Appends a text as [`clean`] makes it.
pub(super) fn push_clean(text: &str, out: &mut String) {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == ':' || c == '_';
    let start = out.len();
    let mut end = start;
    for c in text.chars().flat_map(char::to_lowercase).map(|c| if fits(c) { c } else { '_' }) {
        if c == '_' && out.len() == start {
            continue;
        }
        out.push(c);
        if c != '_' {
            end = out.len();
        }
    }
    out.truncate(end);
}

/// Appends a label without the ends of lines around it; each run of bytes that are no UTF-8 becomes one U+FFFD.
pub(super) fn push_valid(bytes: &[u8], out: &mut String) {
    let start = bytes.iter().take_while(|b| **b == b'\n').count();
    let end = bytes.iter().rposition(|b| *b != b'\n').map_or(start, |at| at + 1);
    let mut was_odd = false;
    for chunk in bytes[start..end].utf8_chunks() {
        out.push_str(chunk.valid());
        was_odd &= chunk.valid().is_empty();
        if !chunk.invalid().is_empty() && !was_odd {
            out.push(char::REPLACEMENT_CHARACTER);
            was_odd = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_come_apart() {
        for (file, expected) in [
            ("temp1_input", Some(("temp", 1, "input"))),
            ("temp12_crit_alarm", Some(("temp", 12, "crit_alarm"))),
            ("pwm01", Some(("pwm", 1, ""))),
            ("pwm1_auto_point1_pwm", Some(("pwm", 1, "auto_point1_pwm"))),
            ("beep_enable", Some(("beep_enable", 0, ""))),
            ("power", Some(("power", 0, ""))),
            ("temp_x1y", Some(("temp", 0, "x1y"))),
            ("temp1_", None),
            ("temp1x", None),
            ("name", None),
            ("1temp", None),
            ("temp99999999999999999999_input", None),
            ("", None),
        ] {
            assert_eq!(split(file), expected, "{file}");
        }
    }

    #[test]
    fn properties_have_names_and_units() {
        let told = |kind: &str, property: &str, text: &str| {
            let meaning = Meaning::of(kind, property, false).expect("told");
            (meaning.name.clone(), meaning.value(text).expect("a number"))
        };
        assert_eq!(told("in", "lcrit_alarm", "1"), ("node_hwmon_in_lcrit_alarm_volts".to_owned(), 0.001));
        assert_eq!(told("in", "alarm", "1"), ("node_hwmon_in_alarm".to_owned(), 1.0));
        assert_eq!(told("in", "input", "3300"), ("node_hwmon_in_volts".to_owned(), 3.3000000000000003));
        assert_eq!(told("energy", "input", "5000000"), ("node_hwmon_energy_joule_total".to_owned(), 5.0));
        assert_eq!(
            told("power", "average_interval", "2000"),
            ("node_hwmon_power_average_interval_seconds".to_owned(), 2.0)
        );
        assert_eq!(told("temp", "type", "4"), ("node_hwmon_temp_type".to_owned(), 4.0));
        assert_eq!(told("pwm", "Auto Point", "9"), ("node_hwmon_pwm_auto_point".to_owned(), 9.0));
        assert_eq!(told("beep_enable", "", "x").1, 0.0);
        let both = Meaning::of("pwm", "input", true).expect("told");
        assert_eq!((both.name.as_str(), both.value("x")), ("node_hwmon_pwm_input", None));
    }

    #[test]
    fn names_are_cleaned_and_labels_made_valid() {
        assert_eq!(clean("_Cpu-Thermal.0:x "), "cpu_thermal_0:x");
        let mut label = String::new();
        push_valid(b"\n a\xff\xfe\xfdb\xff \n\n", &mut label);
        assert_eq!(label, " a\u{fffd}b\u{fffd} ");
    }
}
