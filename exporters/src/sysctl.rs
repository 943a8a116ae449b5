//! `node_sysctl_*`: settings of the kernel that were asked for by name.
//!
//! ```text
//! --collector.sysctl.include=fs.file-nr:total,current,max
//! 1024    0       1631329        <- /proc/sys/fs/file-nr, kernel 6.1
//! ```
//!
//! Several values are told by index, or under the keys that follow a colon. `include-info` tells words as labels.
//! What is missing or no integer is blamed, and the others are told; with the peer the first bad one ends it.

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo, FlagInfo};
use crate::error::{CollectError, Troubles};
use crate::host::{Host, Reader};
use crate::number::{Decimal, integer, push_metric_name};
use crate::settings::{Settings, SettingsError};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "sysctl",
    default_on: false,
    make: |settings| Ok(Box::new(Sysctl::new(settings)?)),
    flags: &[INCLUDE, WORDS],
    doc: "Settings of the kernel asked for by name, from `/proc/sys`.",
};

const INCLUDE: FlagInfo =
    FlagInfo { name: "collector.sysctl.include", default: "", help: "Select sysctl metrics to include" };
const WORDS: FlagInfo = FlagInfo {
    name: "collector.sysctl.include-info",
    default: "",
    help: "Select sysctl metrics to include as info metrics",
};

/// Reads what was asked for.
struct Sysctl {
    asked: Vec<Asked>,
    file: Reader,
}

/// One setting that was asked for.
#[derive(Debug, PartialEq)]
struct Asked {
    name: String,
    path: String,
    /// The metrics and their help: one, or one for each key.
    metrics: Vec<(String, String)>,
    has_keys: bool,
    is_words: bool,
}

impl Sysctl {
    fn new(settings: &Settings) -> Result<Sysctl, SettingsError> {
        let numbers = settings.values(INCLUDE.name).iter().map(|text| Asked::new(text, false));
        let words = settings.values(WORDS.name).iter().map(|text| Asked::new(text, true));
        let asked: Vec<Asked> = numbers.chain(words).collect();
        if asked.iter().any(|asked| asked.is_words && asked.has_keys) {
            let what = "keys are for numbers, not for words".to_owned();
            return Err(SettingsError { flag: WORDS.name.to_owned(), what });
        }
        Ok(Sysctl { asked, file: Reader::new() })
    }
}

impl Asked {
    fn new(text: &str, is_words: bool) -> Asked {
        let (name, keys) = text.split_once(':').map_or((text, None), |(name, keys)| (name, Some(keys)));
        let mut metric = "node_sysctl_".to_owned();
        push_metric_name(&mut metric, name);
        let metrics = match keys {
            None => vec![(metric, format!("sysctl {name}"))],
            Some(keys) => keys
                .split(',')
                .enumerate()
                .map(|(field, key)| {
                    let mut own = format!("{metric}_");
                    push_metric_name(&mut own, key);
                    (own, format!("sysctl {name}, field {field}"))
                })
                .collect(),
        };
        let path = format!("sys/{}", name.replace('.', "/"));
        Asked { name: name.to_owned(), path, metrics, has_keys: keys.is_some(), is_words }
    }

    /// Returns what is wrong with so many values, if anything is.
    fn complaint(&self, values: usize) -> Option<&'static str> {
        match (values, self.has_keys) {
            (0, _) => Some("a value"),
            (1, true) => Some("more than one value, because there are keys"),
            (_, true) if values != self.metrics.len() => Some("as many values as there are keys"),
            _ => None,
        }
    }

    fn tell_numbers(&self, text: &str, out: &mut Batch) -> Result<(), &'static str> {
        let values = || text.split_ascii_whitespace().map(integer);
        let count = values().count();
        if let Some(complaint) = self.complaint(count) {
            return Err(complaint);
        }
        for (index, value) in values().enumerate() {
            let Some(value) = value.map(|value| value as f64) else { continue };
            let at = if self.has_keys { index } else { 0 };
            let (metric, help) = &self.metrics[at];
            // Of keys with one name the first counts.
            if self.metrics[..at].iter().any(|(known, _)| known == metric) {
                continue;
            }
            out.family(metric, help, MetricKind::Unknown);
            let number = Decimal::new(index as u64);
            let labels = [("index", number.as_str())];
            out.add(&labels[..usize::from(count > 1 && !self.has_keys)], value);
        }
        if values().any(|value| value.is_none()) { Err("integers") } else { Ok(()) }
    }

    fn tell_words(&self, text: &str, out: &mut Batch) -> Result<(), &'static str> {
        out.family("node_sysctl_info", "sysctl info", MetricKind::Gauge);
        for (index, word) in text.split_ascii_whitespace().enumerate() {
            let number = Decimal::new(index as u64);
            out.add(&[("name", self.name.as_str()), ("value", word), ("index", number.as_str())], 1.0);
        }
        self.complaint(text.split_ascii_whitespace().count()).map_or(Ok(()), Err)
    }
}

impl Collector for Sysctl {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let mut troubles = Troubles::default();
        for asked in &self.asked {
            let text = self.file.text(host, &host.procfs, &[&asked.path]);
            let told = troubles.note(text).map(|text| match asked.is_words {
                true => asked.tell_words(text, out),
                false => asked.tell_numbers(text, out),
            });
            if let Some(Err(complaint)) = told {
                troubles.note::<()>(Err(self.file.malformed(1, complaint)));
            }
        }
        troubles.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str, values: &str) -> (Vec<String>, Result<(), &'static str>) {
        let mut batch = Batch::new();
        let result = Asked::new(text, false).tell_numbers(values, &mut batch);
        let mut text = String::new();
        exposition::write_text(&batch, &mut text);
        let rows = text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
        (rows, result)
    }

    #[test]
    fn values_are_told_alone_by_index_or_by_key() {
        let check = |text, values, rows: &[&str], result| {
            assert_eq!(told(text, values), (rows.iter().map(|row| (*row).to_owned()).collect(), result), "{text}");
        };
        check("a.b-c", "0x10\n", &["node_sysctl_a_b_c 16"], Ok(()));
        check("a", "1\t-2", &["node_sysctl_a{index=\"0\"} 1", "node_sysctl_a{index=\"1\"} -2"], Ok(()));
        check("a:x,y", "1 2", &["node_sysctl_a_x 1", "node_sysctl_a_y 2"], Ok(()));
        check("a:x,y,x", "1 2 3", &["node_sysctl_a_x 1", "node_sysctl_a_y 2"], Ok(()));
        check("a", "1 x", &["node_sysctl_a{index=\"0\"} 1"], Err("integers"));
        check("a", "", &[], Err("a value"));
        check("a:x", "1", &[], Err("more than one value, because there are keys"));
        check("a:x,y", "1 2 3", &[], Err("as many values as there are keys"));
    }
}
