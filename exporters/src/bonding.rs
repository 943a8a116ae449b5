//! `node_bonding_slaves` and `node_bonding_active`: network devices that act as one.
//!
//! ```text
//! bonding_masters                                 bond0             <- /sys/class/net, kernel 6.1
//! bond0/bonding/slaves                            eth0 eth1
//! bond0/lower_eth0/bonding_slave/mii_status       up
//! ```
//!
//! A device whose status cannot be read counts as configured and not as active, and is blamed.

use model::Batch;

use crate::collector::{Collector, CollectorInfo};
use crate::error::{CollectError, Troubles};
use crate::host::{Host, Reader};
use crate::sheet::{Head, Sheet, gauge};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "bonding",
    default_on: true,
    make: |_| Ok(Box::new(Bonding::default())),
    flags: &[],
    doc: "Configured and active devices of each bond from `/sys/class/net`.",
};

static SLAVES: Head = gauge("node_bonding_slaves", "Number of configured slaves per bonding interface.", &["master"]);
static ACTIVE: Head = gauge("node_bonding_active", "Number of active slaves per bonding interface.", &["master"]);

/// Reads `/sys/class/net/bonding_masters` and what it names.
#[derive(Default)]
struct Bonding {
    masters: Reader,
    slaves: Reader,
    status: Reader,
    sheet: Sheet,
}

impl Collector for Bonding {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let Some(masters) = self.masters.text_if_there(&host.sysfs, &["class/net/bonding_masters"])? else {
            return Err(CollectError::absent("a bond of network devices"));
        };
        let mut troubles = Troubles::default();
        for master in masters.split_ascii_whitespace() {
            let slaves = self.slaves.text(host, &host.sysfs, &["class/net/", master, "/bonding/slaves"]);
            let Some(slaves) = troubles.note(slaves) else { continue };
            let (mut configured, mut active) = (0, 0);
            for slave in slaves.split_ascii_whitespace() {
                configured += 1;
                let is_up = troubles.note(is_up(&mut self.status, host, master, slave));
                active += u32::from(is_up == Some(true));
            }
            self.sheet.put(&SLAVES, &[master], f64::from(configured));
            self.sheet.put(&ACTIVE, &[master], f64::from(active));
        }
        self.sheet.tell(out);
        troubles.finish()
    }
}

/// Returns whether a device of a bond is up. Old kernels link it as `slave_eth0`, newer ones as `lower_eth0`.
fn is_up(file: &mut Reader, host: &Host, master: &str, slave: &str) -> Result<bool, CollectError> {
    let path = |prefix| ["class/net/", master, prefix, slave, "/bonding_slave/mii_status"];
    if let Some(status) = file.word(&host.sysfs, &path("/lower_"))? {
        return Ok(status == "up");
    }
    Ok(file.text(host, &host.sysfs, &path("/slave_"))?.trim() == "up")
}
