//! `node_cpu_vulnerabilities_info`: known faults of the processor, and what the kernel does about them.
//!
//! ```text
//! mds         Vulnerable                                                  <- /sys/devices/system/cpu, kernel 6.1
//! spectre_v1  Mitigation: usercopy/swapgs barriers and __user pointer sanitization
//! ```

use model::Batch;

use crate::collector::{Collector, CollectorInfo};
use crate::error::{CollectError, Troubles};
use crate::host::{Host, Names, Reader};
use crate::sheet::{Head, Sheet, gauge};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "cpu_vulnerabilities",
    default_on: false,
    make: |_| Ok(Box::new(CpuVulnerabilities::default())),
    flags: &[],
    doc: "Known faults of the processor and what the kernel does about them, from `/sys/devices/system/cpu`.",
};

const DIR: &str = "devices/system/cpu/vulnerabilities";

static FACTS: Head = gauge(
    "node_cpu_vulnerabilities_info",
    "Details of each CPU vulnerability reported by sysfs. The value of the series is an int encoded state of the \
     vulnerability. The same state is stored as a string in the label",
    &["codename", "state", "mitigation"],
);

/// How a file begins, and the state that this means.
const STATES: [(&str, &str); 4] = [
    ("Not affected", "not affected"),
    ("Vulnerable", "vulnerable"),
    ("Mitigation", "mitigation"),
    ("Unknown", "unknown"),
];

/// Reads `/sys/devices/system/cpu/vulnerabilities`.
#[derive(Default)]
struct CpuVulnerabilities {
    names: Names,
    file: Reader,
    sheet: Sheet,
}

impl Collector for CpuVulnerabilities {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let mut troubles = Troubles::default();
        troubles.note(self.names.list_if_there(&host.sysfs, &[DIR]));
        for name in self.names.iter() {
            let text = self.file.word(&host.sysfs, &[DIR, "/", name]);
            let Some(Some(text)) = troubles.note(text) else { continue };
            let (state, mitigation) = parse(text);
            self.sheet.put(&FACTS, &[name, state, mitigation], 1.0);
        }
        self.sheet.tell(out);
        troubles.finish()
    }
}

/// Returns the state and what follows it: `Vulnerable: no microcode`. A word that is new is told whole.
fn parse(text: &str) -> (&'static str, &str) {
    let begins = |start: &str| text.get(..start.len()).is_some_and(|found| found.eq_ignore_ascii_case(start));
    match STATES.iter().find(|(start, _)| begins(start)) {
        Some((_, state @ "not affected")) => (state, ""),
        Some((start, state)) => (state, text[start.len()..].trim_start_matches([':', ',', ' '])),
        None => ("unknown", text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_may_be_explained() {
        for (text, expected) in [
            ("Not affected", ("not affected", "")),
            ("Vulnerable", ("vulnerable", "")),
            ("Vulnerable: a: b", ("vulnerable", "a: b")),
            ("Vulnerable, IBPB", ("vulnerable", "IBPB")),
            ("Mitigation: PTI", ("mitigation", "PTI")),
            ("Unknown: No mitigations", ("unknown", "No mitigations")),
            ("KVM: Mitigation: VMX disabled", ("unknown", "KVM: Mitigation: VMX disabled")),
            ("", ("unknown", "")),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
