//! What control groups tell of units where there is no system bus: which run, and with how many tasks.
//!
//! ```text
//! system.slice/ssh.service/pids.current   1        <- /sys/fs/cgroup, kernel 6.1
//! system.slice/ssh.service/pids.max       4915
//! ```
//!
//! A unit has a group as long as it runs. That one failed or never started cannot be seen here, nor its type.

use crate::error::CollectError;
use crate::filter::Filter;
use crate::host::{Host, Names, Reader};
use crate::sheet::Sheet;
use crate::single::unsigned;

use super::{STATE, STATES, TASKS, TASKS_MAX};

/// Where the groups of system units lie, with one hierarchy for all controllers, beside others, and with many.
const DIRS: [&str; 3] = ["fs/cgroup/system.slice", "fs/cgroup/unified/system.slice", "fs/cgroup/systemd/system.slice"];

/// Reads control groups.
#[derive(Default)]
pub struct Groups {
    names: Names,
    file: Reader,
}

impl Groups {
    /// Tells the units that run; returns whether there are groups of units at all.
    pub fn collect(
        &mut self,
        host: &Host,
        filter: &mut Filter,
        has_tasks: bool,
        sheet: &mut Sheet,
    ) -> Result<bool, CollectError> {
        for dir in DIRS {
            if !self.names.list_if_there(&host.sysfs, &[dir])? {
                continue;
            }
            for name in self.names.iter().filter(|name| is_unit(name)) {
                if !filter.is_wanted(name) {
                    continue;
                }
                for state in STATES {
                    sheet.put(&STATE, &[name, state, ""], f64::from(u8::from(state == "active")));
                }
                if !has_tasks {
                    continue;
                }
                for (file, head) in [("/pids.current", &TASKS), ("/pids.max", &TASKS_MAX)] {
                    // Without a limit the file says `max`, which is no number and no fault.
                    let count = unsigned(&mut self.file, &host.sysfs, &[dir, "/", name, file]);
                    sheet.put_some(head, &[name], count.ok().flatten());
                }
            }
            return Ok(true);
        }
        Ok(false)
    }
}

fn is_unit(name: &str) -> bool {
    [".service", ".scope", ".slice", ".mount", ".socket", ".swap"].iter().any(|end| name.ends_with(end))
}
