//! `node_uname_info`: kernel, machine and host name as labels.
//!
//! ```text
//! node_uname_info{domainname="(none)",machine="aarch64",nodename="board",release="6.6.31",...} 1
//! ```
//!
//! Read anew each time, because a host name may change while we run.

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo};
use crate::error::CollectError;
use crate::host::Host;

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "uname",
    default_on: true,
    make: |_| Ok(Box::new(Uname)),
    flags: &[],
    doc: "Kernel, machine and host name from the `uname` system call, as labels.",
};

struct Uname;

impl Collector for Uname {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let help = "Labeled system information as provided by the uname system call.";
        out.family("node_uname_info", help, MetricKind::Gauge);
        host.system.uname(&mut |uname| {
            let labels = [
                ("domainname", uname.domainname),
                ("machine", uname.machine),
                ("nodename", uname.nodename),
                ("release", uname.release),
                ("sysname", uname.sysname),
                ("version", uname.version),
            ];
            out.add(&labels, 1.0);
        });
        Ok(())
    }
}
