//! `node_cgroups_cgroups` and `node_cgroups_enabled`: control groups by subsystem.
//!
//! ```text
//! #subsys_name  hierarchy  num_cgroups  enabled      <- /proc/cgroups, kernel 6.1
//! cpuset        5          47           1
//! ```
//!
//! Only subsystems are told, not single groups.

use model::Batch;

use crate::collector::{Collector, CollectorInfo};
use crate::error::{CollectError, Troubles};
use crate::host::{Host, Reader};
use crate::number::unsigned;
use crate::sheet::{Head, Sheet, gauge};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "cgroups",
    default_on: false,
    make: |_| Ok(Box::new(Cgroups::default())),
    flags: &[],
    doc: "How many control groups each subsystem has, from `/proc/cgroups`.",
};

// The peer uses the same help for both.
const HELP: &str = "Current cgroup number of the subsystem.";
static CGROUPS: Head = gauge("node_cgroups_cgroups", HELP, &["subsys_name"]);
static ENABLED: Head = gauge("node_cgroups_enabled", HELP, &["subsys_name"]);

/// Reads `/proc/cgroups`.
#[derive(Default)]
struct Cgroups {
    file: Reader,
    sheet: Sheet,
}

impl Collector for Cgroups {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let mut bad = None;
        let text = self.file.kept_text(&host.procfs, "cgroups")?;
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
            match parse_line(line) {
                Some((name, cgroups, is_enabled)) => {
                    self.sheet.put(&CGROUPS, &[name], cgroups as f64);
                    self.sheet.put(&ENABLED, &[name], f64::from(u8::from(is_enabled)));
                }
                None => {
                    bad.get_or_insert(at + 1);
                }
            }
        }
        self.sheet.tell(out);
        Troubles::of_line(&self.file, bad, "a subsystem and three numbers")
    }
}

fn parse_line(line: &str) -> Option<(&str, u64, bool)> {
    let mut fields = line.split_ascii_whitespace();
    let name = fields.next()?;
    unsigned(fields.next()?)?;
    Some((name, unsigned(fields.next()?)?, unsigned(fields.next()?)? == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_name_and_three_numbers() {
        assert_eq!(parse_line("pids\t10\t170\t0"), Some(("pids", 170, false)));
        for bad in ["", "pids", "pids 1 2", "pids x 2 1"] {
            assert_eq!(parse_line(bad), None, "{bad:?}");
        }
    }
}
