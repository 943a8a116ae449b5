//! `node_selinux_enabled`, and where it is: `node_selinux_config_mode`, `node_selinux_current_mode`.
//!
//! ```text
//! /sys/fs/selinux/enforce   1                        <- Fedora, kernel 6.1
//! /etc/selinux/config       SELINUX=enforcing
//! ```
//!
//! The peer asks the machine it runs on whatever its paths say; here the paths count.

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo};
use crate::error::{CollectError, Troubles};
use crate::host::{Host, Reader};
use crate::single::integer;

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "selinux",
    default_on: true,
    make: |_| Ok(Box::new(Selinux::default())),
    flags: &[],
    doc: "Whether SELinux is there and enforces, from `/sys/fs/selinux` and `/etc/selinux/config`.",
};

/// Reads what the kernel and the configuration say.
#[derive(Default)]
struct Selinux {
    file: Reader,
}

impl Collector for Selinux {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let mut current = integer(&mut self.file, &host.sysfs, &["fs/selinux/enforce"])?;
        if current.is_some() {
            // Without a policy every process is still labelled `kernel`.
            let label = self.file.word(&host.procfs, &["self/attr/current"])?.unwrap_or("");
            current = current.filter(|_| label.trim_end_matches('\0') != "kernel");
        }
        let help = "SELinux is enabled, 1 is true, 0 is false";
        tell(out, "node_selinux_enabled", help, f64::from(u8::from(current.is_some())));
        let Some(current) = current else { return Ok(()) };
        let mut troubles = Troubles::default();
        let config = self.file.text_if_there(&host.rootfs, &["etc/selinux/config"]);
        let configured = configured_mode(troubles.note(config).flatten().unwrap_or(""));
        tell(out, "node_selinux_config_mode", "Configured SELinux enforcement mode", configured);
        tell(out, "node_selinux_current_mode", "Current SELinux enforcement mode", current);
        troubles.finish()
    }
}

fn tell(out: &mut Batch, name: &str, help: &str, value: f64) {
    out.family(name, help, MetricKind::Gauge);
    out.add(&[], value);
}

/// Returns 1 for enforcing, 0 for permissive, -1 for disabled or unsaid.
fn configured_mode(text: &str) -> f64 {
    let said = text.lines().find_map(|line| line.trim().strip_prefix("SELINUX=")).unwrap_or("").trim();
    match said {
        "enforcing" => 1.0,
        "permissive" => 0.0,
        _ => -1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configured_mode_is_one_word() {
        assert_eq!(configured_mode("# SELINUX=permissive\nSELINUXTYPE=targeted\nSELINUX=enforcing\n"), 1.0);
        assert_eq!(configured_mode("SELINUX= permissive"), 0.0);
        assert_eq!(configured_mode("SELINUX=disabled"), -1.0);
        assert_eq!(configured_mode(""), -1.0);
    }
}
