//! `node_cpu_info`, `node_cpu_frequency_hertz`, `node_cpu_flag_info`, `node_cpu_bug_info`, when asked for.
//!
//! ```text
//! processor  : 0                                            <- /proc/cpuinfo, x86-64 laptop, kernel 4.18
//! vendor_id  : GenuineIntel
//! cpu MHz    : 799.998
//! flags      : fpu vme de pse
//! ```
//!
//! A board whose `cpuinfo` has other keys (ARM) gets empty labels, as the peer prints them there. Flags and bugs are
//! those of the first CPU that match a pattern, because all of them would be hundreds of series.

use model::{Batch, MetricKind, Pattern};

use crate::collector::FlagInfo;
use crate::error::CollectError;
use crate::fields::Fields;
use crate::host::{Host, Reader};
use crate::number::float;
use crate::settings::{Settings, SettingsError};

pub(super) const ON: FlagInfo =
    FlagInfo { name: "collector.cpu.info", default: "false", help: "Enables metric cpu_info" };
pub(super) const FLAGS: FlagInfo = FlagInfo {
    name: "collector.cpu.info.flags-include",
    default: "",
    help: "Filter the `flags` field in cpuInfo with a value that must be a regular expression",
};
pub(super) const BUGS: FlagInfo = FlagInfo {
    name: "collector.cpu.info.bugs-include",
    default: "",
    help: "Filter the `bugs` field in cpuInfo with a value that must be a regular expression",
};

/// The label, the key of the file; the CPU's own number comes first.
const LABELS: [(&str, &str); 10] = [
    ("cpu", "processor"),
    ("cachesize", "cache size"),
    ("core", "core id"),
    ("family", "cpu family"),
    ("microcode", "microcode"),
    ("model", "model"),
    ("model_name", "model name"),
    ("package", "physical id"),
    ("stepping", "stepping"),
    ("vendor", "vendor_id"),
];

/// Reads `/proc/cpuinfo`.
pub(super) struct Info {
    file: Reader,
    is_on: bool,
    tells_frequency: bool,
    flags: Option<(Pattern, Fields)>,
    bugs: Option<(Pattern, Fields)>,
}

impl Info {
    pub(super) fn new(settings: &Settings) -> Result<Info, SettingsError> {
        let asked = |flag: &str| {
            let pattern = settings.pattern(flag, "")?;
            Ok(pattern.map(|pattern| (pattern, Fields::default())))
        };
        let (flags, bugs) = (asked(FLAGS.name)?, asked(BUGS.name)?);
        // The peer tells these frequencies where its cpufreq collector runs, which is the default.
        let frequency_default = !settings.switch("collector.disable-defaults", false)?;
        Ok(Info {
            file: Reader::new(),
            is_on: settings.switch(ON.name, false)? || flags.is_some() || bugs.is_some(),
            tells_frequency: settings.switch("collector.cpufreq", frequency_default)?,
            flags,
            bugs,
        })
    }

    pub(super) fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        if !self.is_on {
            return Ok(());
        }
        let text = self.file.text(host, &host.procfs, &["cpuinfo"])?;
        if !text.starts_with("processor") {
            return Err(self.file.malformed(1, "`processor : N`"));
        }
        out.family("node_cpu_info", "CPU information from /proc/cpuinfo.", MetricKind::Gauge);
        for cpu in cpus(text) {
            out.add(&LABELS.map(|(label, key)| (label, field(cpu, key))), 1.0);
        }
        if self.tells_frequency {
            out.family("node_cpu_frequency_hertz", "CPU frequency in hertz from /proc/cpuinfo.", MetricKind::Gauge);
            for cpu in cpus(text) {
                let labels = [("core", "core id"), ("cpu", "processor"), ("package", "physical id")];
                let hertz = float(field(cpu, "cpu MHz")).unwrap_or(0.0) * 1e6;
                out.add(&labels.map(|(label, key)| (label, field(cpu, key))), hertz);
            }
        }
        let first = cpus(text).next().unwrap_or("");
        let flags = "The `flags` field of CPU information from /proc/cpuinfo taken from the first core.";
        let bugs = "The `bugs` field of CPU information from /proc/cpuinfo taken from the first core.";
        for (key, asked, name, label, help) in [
            ("flags", &mut self.flags, "node_cpu_flag_info", "flag", flags),
            ("bugs", &mut self.bugs, "node_cpu_bug_info", "bug", bugs),
        ] {
            let Some((pattern, words)) = asked else { continue };
            out.family(name, help, MetricKind::Gauge);
            words.start();
            for word in field(first, key).split_ascii_whitespace() {
                // The same words come every time, so the pattern is asked once for each.
                if words.next("", word, || pattern.is_match(word).then(Default::default)).is_some() {
                    out.add(&[(label, word)], 1.0);
                }
            }
        }
        Ok(())
    }
}

/// Splits the file into the parts of single CPUs, each from its `processor` line on.
fn cpus(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.find("processor")?;
        let body = &rest[start..];
        let end = body[1..].find("\nprocessor").map_or(body.len(), |at| at + 2);
        rest = &body[end..];
        Some(&body[..end])
    })
}

/// Returns a key's value in one CPU's part, empty where it is missing, with the blanks that some vendors' names have.
fn field<'a>(cpu: &'a str, key: &str) -> &'a str {
    let value =
        |line: &'a str| line.split_once(": ").filter(|(name, _)| name.trim_end() == key).map(|(_, value)| value);
    cpu.lines().find_map(value).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cpu_has_its_own_part() {
        let text = "processor\t: 0\nvendor_id\t:   Shanghai  \nmodel name : A processor: x\ncpu MHz : 1.5\n\nprocessor\t: 1\n\nHardware : B\n";
        let parts: Vec<&str> = cpus(text).collect();
        assert_eq!(parts.len(), 2);
        assert_eq!(field(parts[0], "model name"), "A processor: x");
        assert_eq!(field(parts[0], "vendor_id"), "  Shanghai  ");
        assert_eq!((field(parts[0], "processor"), field(parts[1], "processor")), ("0", "1"));
        assert_eq!((field(parts[1], "cpu MHz"), field(parts[0], "flags")), ("", ""));
    }
}
