//! `node_nfs_*`: what this machine asked of NFS servers.
//!
//! ```text
//! net 70 70 69 45                          <- /proc/net/rpc/nfs, kernel 5.4
//! rpc 1218785755 374636 1218815394
//! proc3 22 0 1061909262 48906 4077635 ...     how many numbers follow, then one a procedure
//! ```
//!
//! Single mounts are in `/proc/self/mountstats`, see [`crate::mountstats`].

use model::Batch;

use crate::collector::{Collector, CollectorInfo};
use crate::columns::{Column, column, put_columns};
use crate::error::{CollectError, Troubles};
use crate::host::{Host, Reader};
use crate::procedures::{VERSION_2, VERSION_3, put_named};
use crate::sheet::{Head, Sheet, counter};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "nfs",
    default_on: true,
    make: |_| Ok(Box::new(Nfs::default())),
    flags: &[],
    doc: "What this machine asked of NFS servers, from `/proc/net/rpc/nfs`.",
};

static COLUMNS: [Column; 4] = [
    column("net", 3, counter("node_nfs_connections_total", "Total number of NFSd TCP connections.", &[])),
    column("rpc", 0, counter("node_nfs_rpcs_total", "Total number of RPCs performed.", &[])),
    column("rpc", 1, counter("node_nfs_rpc_retransmissions_total", "Number of RPC transmissions performed.", &[])),
    column(
        "rpc",
        2,
        counter(
            "node_nfs_rpc_authentication_refreshes_total",
            "Number of RPC authentication refreshes performed.",
            &[],
        ),
    ),
];
static PACKETS: Head =
    counter("node_nfs_packets_total", "Total NFSd network packets (sent+received) by protocol type.", &["protocol"]);
static REQUESTS: Head = counter("node_nfs_requests_total", "Number of NFS procedures invoked.", &["proto", "method"]);

/// What a client asks of a server of version 4, in the order of the row.
const VERSION_4: &str = "Null Read Write Commit Open OpenConfirm OpenNoattr OpenDowngrade Close Setattr FsInfo Renew \
     SetClientID SetClientIDConfirm Lock Lockt Locku Access Getattr Lookup LookupRoot Remove Rename Link Symlink \
     Create Pathconf StatFs ReadLink ReadDir ServerCaps DelegReturn GetACL SetACL FsLocations ReleaseLockowner \
     Secinfo FsidPresent ExchangeID CreateSession DestroySession Sequence GetLeaseTime ReclaimComplete \
     GetDeviceInfo LayoutGet LayoutCommit LayoutReturn SecinfoNoName TestStateID FreeStateID GetDeviceList \
     BindConnToSession DestroyClientID Seek Allocate DeAllocate LayoutStats Clone";

/// Reads `/proc/net/rpc/nfs`.
#[derive(Default)]
struct Nfs {
    file: Reader,
    sheet: Sheet,
}

impl Collector for Nfs {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let Some(text) = self.file.text_if_there(&host.procfs, &["net/rpc/nfs"])? else {
            return Err(CollectError::absent("an NFS client"));
        };
        let sheet = &mut self.sheet;
        let mut bad = put_columns(text, &COLUMNS, &[], sheet);
        bad = bad.or(put_named(text, "net", 1, &PACKETS, &[], "udp tcp", sheet));
        for (key, version, methods) in [("proc2", "2", VERSION_2), ("proc3", "3", VERSION_3), ("proc4", "4", VERSION_4)]
        {
            bad = bad.or(put_named(text, key, 1, &REQUESTS, &[version], methods, sheet));
        }
        sheet.tell(out);
        Troubles::of_line(&self.file, bad, "a word and numbers")
    }
}
