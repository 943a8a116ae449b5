//! `node_vmstat_*`: page faults, paging, swapping and processes killed for want of memory.
//!
//! ```text
//! pgpgin 1713237        <- /proc/vmstat, Raspberry Pi 4, kernel 6.6
//! pgfault 512043214
//! oom_kill 0
//! ```
//!
//! Which words are told is a pattern (`fields`). A word without a number is reported and the others told; the peer
//! then stops where it stands.

use model::{Batch, MetricKind, Pattern};

use crate::collector::{Collector, CollectorInfo, FlagInfo};
use crate::error::CollectError;
use crate::fields::{Fields, is_name};
use crate::host::{Host, Reader};
use crate::number::float;

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "vmstat",
    default_on: true,
    make: |settings| {
        let pattern = settings.pattern(FIELDS.name, FIELDS.default)?;
        Ok(Box::new(Vmstat { file: Reader::new(), pattern, fields: Fields::default() }))
    },
    flags: &[FIELDS],
    doc: "Page faults, paging, swapping and kills for want of memory, from `/proc/vmstat`.",
};

const FIELDS: FlagInfo = FlagInfo {
    name: "collector.vmstat.fields",
    default: "^(oom_kill|pgpg|pswp|pg.*fault).*",
    help: "Regexp of fields to return for vmstat collector.",
};

/// Reads `/proc/vmstat`.
struct Vmstat {
    file: Reader,
    /// None tells every word.
    pattern: Option<Pattern>,
    fields: Fields,
}

impl Collector for Vmstat {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let mut bad_line = None;
        self.fields.start();
        let pattern = &self.pattern;
        for (at, line) in self.file.kept_text(&host.procfs, "vmstat")?.lines().enumerate() {
            let (word, value) = line.split_once([' ', '\t']).unwrap_or((line, ""));
            let field = self.fields.next("", word, || {
                let is_wanted = is_name(word) && pattern.as_ref().is_none_or(|pattern| pattern.is_match_once(word));
                is_wanted
                    .then(|| (["node_vmstat_", word].concat(), ["/proc/vmstat information field ", word, "."].concat()))
            });
            let Some((name, help)) = field else { continue };
            match float(value.trim()) {
                Some(value) => {
                    out.family(name, help, MetricKind::Unknown);
                    out.add(&[], value);
                }
                None => {
                    bad_line.get_or_insert(at + 1);
                }
            }
        }
        match bad_line {
            Some(line) => Err(self.file.malformed(line, "a word and a number")),
            None => Ok(()),
        }
    }
}
