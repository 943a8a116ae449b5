//! `node_interrupts_total`: interrupts by CPU and line.
//!
//! ```text
//!            CPU0       CPU1                                     <- /proc/interrupts, Raspberry Pi 4, kernel 6.6
//!  11:  174326351  135776678    GICv2  30 Level     arch_timer
//! IPI0:     10847       9111    Rescheduling interrupts
//! ```
//!
//! A line with fewer numbers than there are CPUs (`ERR`, `MIS`) is not told, as with the peer.

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo, FlagInfo};
use crate::error::{CollectError, Troubles};
use crate::filter::Filter;
use crate::host::{Host, Reader};
use crate::number::{Decimal, float, unsigned};
use crate::settings::{Settings, SettingsError};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "interrupts",
    default_on: false,
    make: |settings| Ok(Box::new(Interrupts::new(settings)?)),
    flags: &[INCLUDE, EXCLUDE, ZEROS],
    doc: "Interrupts by CPU and line from `/proc/interrupts`.",
};

const INCLUDE: FlagInfo = FlagInfo {
    name: "collector.interrupts.name-include",
    default: "",
    help: "Regexp of interrupts name to include (mutually exclusive to --collector.interrupts.name-exclude).",
};
const EXCLUDE: FlagInfo = FlagInfo {
    name: "collector.interrupts.name-exclude",
    default: "",
    help: "Regexp of interrupts name to exclude (mutually exclusive to --collector.interrupts.name-include).",
};
const ZEROS: FlagInfo = FlagInfo {
    name: "collector.interrupts.include-zeros",
    default: "true",
    help: "Include interrupts that have a zero value",
};

/// Reads `/proc/interrupts`.
struct Interrupts {
    file: Reader,
    filter: Filter,
    has_zeros: bool,
    text: Text,
}

/// What a line says after its numbers, blanks between the words made one.
#[derive(Default)]
struct Text {
    info: String,
    devices: String,
    /// What the filter looks at: `name;info;devices`.
    whole: String,
}

impl Interrupts {
    fn new(settings: &Settings) -> Result<Interrupts, SettingsError> {
        Ok(Interrupts {
            file: Reader::new(),
            filter: Filter::both(settings, (INCLUDE.name, ""), (EXCLUDE.name, ""))?,
            has_zeros: settings.switch(ZEROS.name, true)?,
            text: Text::default(),
        })
    }
}

impl Collector for Interrupts {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let mut lines = self.file.kept_text(&host.procfs, "interrupts")?.lines().enumerate();
        let cpus = lines.next().map_or(0, |(_, line)| line.split_ascii_whitespace().count());
        out.family("node_interrupts_total", "Interrupt details.", MetricKind::Counter);
        let mut bad = None;
        for (at, line) in lines {
            let Some((name, rest)) = line.split_once(':') else { continue };
            let name = name.trim_start();
            if !self.text.read(name, rest, cpus) || !self.filter.is_wanted(&self.text.whole) {
                continue;
            }
            for (cpu, number) in rest.split_ascii_whitespace().take(cpus).enumerate() {
                let Some(count) = float(number) else {
                    bad.get_or_insert(at + 1);
                    continue;
                };
                if count != 0.0 || self.has_zeros {
                    let cpu = Decimal::new(cpu as u64);
                    let text = &self.text;
                    let labels =
                        [("cpu", cpu.as_str()), ("type", name), ("info", &text.info), ("devices", &text.devices)];
                    out.add(&labels, count);
                }
            }
        }
        Troubles::of_line(&self.file, bad, "a number for each CPU")
    }
}

impl Text {
    /// Reads what follows the numbers of a line; returns whether there is anything.
    fn read(&mut self, name: &str, rest: &str, cpus: usize) -> bool {
        self.info.clear();
        self.devices.clear();
        let mut words = rest.split_ascii_whitespace().skip(cpus).peekable();
        if words.peek().is_none() {
            return false;
        }
        if unsigned(name).is_some() {
            self.info.push_str(words.next().unwrap_or(""));
            join(words, &mut self.devices);
        } else {
            join(words, &mut self.info);
        }
        self.whole.clear();
        self.whole.extend([name, ";", &self.info, ";", &self.devices]);
        true
    }
}

fn join<'a>(words: impl Iterator<Item = &'a str>, out: &mut String) {
    for word in words {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, rest: &str) -> Option<(String, String)> {
        let mut text = Text::default();
        text.read(name, rest, 2).then_some((text.info, text.devices))
    }

    #[test]
    fn a_numbered_line_has_a_controller_and_devices() {
        let found = |info: &str, devices: &str| Some((info.to_owned(), devices.to_owned()));
        assert_eq!(read("16", " 1  2  GICv2  30 Level   mmc0, usb1"), found("GICv2", "30 Level mmc0, usb1"));
        assert_eq!(read("NMI", " 1 2   Non-maskable interrupts"), found("Non-maskable interrupts", ""));
        assert_eq!(read("ERR", " 0"), None);
        assert_eq!(read("16", ""), None);
    }
}
