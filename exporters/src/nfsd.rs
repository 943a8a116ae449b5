//! `node_nfsd_*`: what this machine did as an NFS server.
//!
//! ```text
//! rc 0 6 18622                         <- /proc/net/rpc/nfsd, kernel 6.1
//! io 157286400 72864
//! proc4ops 72 0 0 0 1098 2 0 ...          how many numbers follow, then one an operation, three of them unused
//! ```

use model::Batch;

use crate::collector::{Collector, CollectorInfo};
use crate::columns::{Column, column, put_columns};
use crate::error::{CollectError, Troubles};
use crate::host::{Host, Reader};
use crate::procedures::{VERSION_2, VERSION_3, put_named};
use crate::sheet::{Head, Sheet, counter, gauge};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "nfsd",
    default_on: true,
    make: |_| Ok(Box::new(Nfsd::default())),
    flags: &[],
    doc: "What this machine did as an NFS server, from `/proc/net/rpc/nfsd`.",
};

static COLUMNS: [Column; 11] = [
    column(
        "rc",
        0,
        counter(
            "node_nfsd_reply_cache_hits_total",
            "Total number of NFSd Reply Cache hits (client lost server response).",
            &[],
        ),
    ),
    column(
        "rc",
        1,
        counter(
            "node_nfsd_reply_cache_misses_total",
            "Total number of NFSd Reply Cache an operation that requires caching (idempotent).",
            &[],
        ),
    ),
    column(
        "rc",
        2,
        counter(
            "node_nfsd_reply_cache_nocache_total",
            "Total number of NFSd Reply Cache non-idempotent operations (rename/delete/…).",
            &[],
        ),
    ),
    column("fh", 0, counter("node_nfsd_file_handles_stale_total", "Total number of NFSd stale file handles", &[])),
    column("io", 0, counter("node_nfsd_disk_bytes_read_total", "Total NFSd bytes read.", &[])),
    column("io", 1, counter("node_nfsd_disk_bytes_written_total", "Total NFSd bytes written.", &[])),
    column("th", 0, gauge("node_nfsd_server_threads", "Total number of NFSd kernel threads that are running.", &[])),
    column(
        "ra",
        0,
        gauge("node_nfsd_read_ahead_cache_size_blocks", "How large the read ahead cache is in blocks.", &[]),
    ),
    column(
        "ra",
        11,
        counter("node_nfsd_read_ahead_cache_not_found_total", "Total number of NFSd read ahead cache not found.", &[]),
    ),
    column("net", 3, counter("node_nfsd_connections_total", "Total number of NFSd TCP connections.", &[])),
    column("rpc", 0, counter("node_nfsd_server_rpcs_total", "Total number of NFSd RPCs.", &[])),
];
static PACKETS: Head =
    counter("node_nfsd_packets_total", "Total NFSd network packets (sent+received) by protocol type.", &["proto"]);
static ERRORS: Head =
    counter("node_nfsd_rpc_errors_total", "Total number of NFSd RPC errors by error type.", &["error"]);
static REQUESTS: Head =
    counter("node_nfsd_requests_total", "Total number NFSd Requests by method and protocol.", &["proto", "method"]);

/// Operations of version 4 in the order of the row, from the fourth number on.
const VERSION_4: &str = "Access Close Commit Create DelegPurge DelegReturn GetAttr GetFH Link Lock Lockt Locku Lookup \
     LookupRoot Nverify Open OpenAttr OpenConfirm OpenDgrd PutFH - - Read ReadDir ReadLink Remove Rename Renew \
     RestoreFH SaveFH SecInfo SetAttr SetClientID SetClientIDConfirm Verify Write RelLockOwner";

/// Reads `/proc/net/rpc/nfsd`.
#[derive(Default)]
struct Nfsd {
    file: Reader,
    sheet: Sheet,
}

impl Collector for Nfsd {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let Some(text) = self.file.text_if_there(&host.procfs, &["net/rpc/nfsd"])? else {
            return Err(CollectError::absent("an NFS server"));
        };
        let sheet = &mut self.sheet;
        let mut bad = put_columns(text, &COLUMNS, &[], sheet);
        bad = bad.or(put_named(text, "net", 1, &PACKETS, &[], "udp tcp", sheet));
        bad = bad.or(put_named(text, "rpc", 2, &ERRORS, &[], "fmt auth cInt", sheet));
        // The first procedure does nothing and is not told.
        let used = |methods: &'static str| methods.split_once(' ').map_or("", |(_, rest)| rest);
        for (key, start, version, methods) in [
            ("proc2", 2, "2", used(VERSION_2)),
            ("proc3", 2, "3", used(VERSION_3)),
            ("proc4ops", 4, "4", VERSION_4),
            ("wdeleg_getattr", 0, "4", "WdelegGetattr"),
        ] {
            bad = bad.or(put_named(text, key, start, &REQUESTS, &[version], methods, sheet));
        }
        sheet.tell(out);
        Troubles::of_line(&self.file, bad, "a word and numbers")
    }
}
