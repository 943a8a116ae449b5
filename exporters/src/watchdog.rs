//! `node_watchdog_*`: what each watchdog is set to and how it stands.
//!
//! ```text
//! watchdog0/identity  Broadcom BCM2835 Watchdog timer     <- /sys/class/watchdog, Raspberry Pi 4, kernel 6.6
//! watchdog0/timeout   60                                     in seconds
//! ```
//!
//! Reading these files never feeds a watchdog. What a driver does not have is not told.

use model::Batch;

use crate::collector::{Collector, CollectorInfo};
use crate::error::{CollectError, Troubles};
use crate::host::{Host, Names, Reader};
use crate::sheet::{Head, Sheet, gauge};
use crate::single::{Words, integer};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "watchdog",
    default_on: true,
    make: |_| Ok(Box::new(Watchdog::default())),
    flags: &[],
    doc: "State and times of each watchdog from `/sys/class/watchdog`.",
};

const DIR: &str = "class/watchdog";

static NUMBERS: [(&str, Head); 7] = [
    ("access_cs0", head("node_watchdog_access_cs0", "Value of /sys/class/watchdog/<watchdog>/access_cs0")),
    ("bootstatus", head("node_watchdog_bootstatus", "Value of /sys/class/watchdog/<watchdog>/bootstatus")),
    ("fw_version", head("node_watchdog_fw_version", "Value of /sys/class/watchdog/<watchdog>/fw_version")),
    ("nowayout", head("node_watchdog_nowayout", "Value of /sys/class/watchdog/<watchdog>/nowayout")),
    ("pretimeout", head("node_watchdog_pretimeout_seconds", "Value of /sys/class/watchdog/<watchdog>/pretimeout")),
    ("timeleft", head("node_watchdog_timeleft_seconds", "Value of /sys/class/watchdog/<watchdog>/timeleft")),
    ("timeout", head("node_watchdog_timeout_seconds", "Value of /sys/class/watchdog/<watchdog>/timeout")),
];

const WORDS: [&str; 5] = ["options", "identity", "pretimeout_governor", "state", "status"];
static FACTS: Head = gauge(
    "node_watchdog_info",
    "Info of /sys/class/watchdog/<watchdog>",
    &["name", "options", "identity", "pretimeout_governor", "state", "status"],
);

const fn head(name: &'static str, help: &'static str) -> Head {
    gauge(name, help, &["name"])
}

/// Reads `/sys/class/watchdog`.
#[derive(Default)]
struct Watchdog {
    names: Names,
    file: Reader,
    words: Words,
    sheet: Sheet,
}

impl Collector for Watchdog {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        if !self.names.list_if_there(&host.sysfs, &[DIR])? {
            return Err(CollectError::absent("a watchdog"));
        }
        let mut troubles = Troubles::default();
        for name in self.names.iter() {
            for (file, head) in &NUMBERS {
                let value = integer(&mut self.file, &host.sysfs, &[DIR, "/", name, "/", file]);
                self.sheet.put_some(head, &[name], troubles.note(value).flatten());
            }
            self.words.clear();
            for file in WORDS {
                troubles.note(self.words.read(&mut self.file, &host.sysfs, &[DIR, "/", name, "/", file]));
            }
            let word = |index| self.words.get(index);
            self.sheet.put(&FACTS, &[name, word(0), word(1), word(2), word(3), word(4)], 1.0);
        }
        self.sheet.tell(out);
        troubles.finish()
    }
}
