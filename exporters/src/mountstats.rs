//! `node_mountstats_nfs_*`: what each mount of an NFS server did.
//!
//! ```text
//! device 192.168.1.1:/srv mounted on /mnt with fstype nfs4 statvers=1.1     <- /proc/self/mountstats, kernel 4.9
//!     age:    13968
//!     xprt:   tcp 832 0 1 0 11 6428 6428 0 12154 0 24 26 5726
//!     per-op statistics
//!             READ: 1298 1298 0 207680 1210292152 6 79386 79407
//! ```
//!
//! The address of the server is in the same line of `mountinfo`. A server's folder that is mounted twice over one
//! protocol is told once, by its first mount.

use model::Batch;

use crate::collector::{Collector, CollectorInfo};
use crate::error::CollectError;
use crate::host::{Host, Reader};
use crate::number::{Decimal, unsigned};
use crate::sheet::{Head, Sheet, counter, gauge};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "mountstats",
    default_on: false,
    make: |_| Ok(Box::new(Mountstats::default())),
    flags: &[],
    doc: "What each mount of an NFS server did, from `/proc/self/mountstats`.",
};

const MOUNT: &[&str] = &["export", "mountaddr", "protocol"];
const TRANSPORT: &[&str] = &["export", "mountaddr", "protocol", "transport"];
const OPERATION: &[&str] = &["export", "mountaddr", "protocol", "operation"];

static AGE: Head = counter("node_mountstats_nfs_age_seconds_total", "The age of the NFS mount in seconds.", MOUNT);
static POINT: Head = gauge(
    "node_mountstats_nfs_mountpoint_info",
    "Info metric for an NFS mountpoint.",
    &["export", "mountaddr", "mountpoint", "protocol"],
);

/// What follows `bytes:`.
static BYTES: [(usize, Head); 8] = [
    (0, counter("node_mountstats_nfs_read_bytes_total", "Number of bytes read using the read() syscall.", MOUNT)),
    (1, counter("node_mountstats_nfs_write_bytes_total", "Number of bytes written using the write() syscall.", MOUNT)),
    (
        2,
        counter(
            "node_mountstats_nfs_direct_read_bytes_total",
            "Number of bytes read using the read() syscall in O_DIRECT mode.",
            MOUNT,
        ),
    ),
    (
        3,
        counter(
            "node_mountstats_nfs_direct_write_bytes_total",
            "Number of bytes written using the write() syscall in O_DIRECT mode.",
            MOUNT,
        ),
    ),
    (
        4,
        counter(
            "node_mountstats_nfs_total_read_bytes_total",
            "Number of bytes read from the NFS server, in total.",
            MOUNT,
        ),
    ),
    (
        5,
        counter(
            "node_mountstats_nfs_total_write_bytes_total",
            "Number of bytes written to the NFS server, in total.",
            MOUNT,
        ),
    ),
    (6, counter("node_mountstats_nfs_read_pages_total", "Number of pages read directly via mmap()'d files.", MOUNT)),
    (
        7,
        counter("node_mountstats_nfs_write_pages_total", "Number of pages written directly via mmap()'d files.", MOUNT),
    ),
];

/// What follows `events:`, by place.
static EVENTS: [(usize, Head); 26] = [
    (
        0,
        counter(
            "node_mountstats_nfs_event_inode_revalidate_total",
            "Number of times cached inode attributes are re-validated from the server.",
            MOUNT,
        ),
    ),
    (
        1,
        counter(
            "node_mountstats_nfs_event_dnode_revalidate_total",
            "Number of times cached dentry nodes are re-validated from the server.",
            MOUNT,
        ),
    ),
    (
        2,
        counter("node_mountstats_nfs_event_data_invalidate_total", "Number of times an inode cache is cleared.", MOUNT),
    ),
    (
        3,
        counter(
            "node_mountstats_nfs_event_attribute_invalidate_total",
            "Number of times cached inode attributes are invalidated.",
            MOUNT,
        ),
    ),
    (
        4,
        counter(
            "node_mountstats_nfs_event_vfs_open_total",
            "Number of times cached inode attributes are invalidated.",
            MOUNT,
        ),
    ),
    (
        5,
        counter(
            "node_mountstats_nfs_event_vfs_lookup_total",
            "Number of times a directory lookup has occurred.",
            MOUNT,
        ),
    ),
    (6, counter("node_mountstats_nfs_event_vfs_access_total", "Number of times permissions have been checked.", MOUNT)),
    (
        7,
        counter(
            "node_mountstats_nfs_event_vfs_update_page_total",
            "Number of updates (and potential writes) to pages.",
            MOUNT,
        ),
    ),
    (
        8,
        counter(
            "node_mountstats_nfs_event_vfs_read_page_total",
            "Number of pages read directly via mmap()'d files.",
            MOUNT,
        ),
    ),
    (
        9,
        counter(
            "node_mountstats_nfs_event_vfs_read_pages_total",
            "Number of times a group of pages have been read.",
            MOUNT,
        ),
    ),
    (
        10,
        counter(
            "node_mountstats_nfs_event_vfs_write_page_total",
            "Number of pages written directly via mmap()'d files.",
            MOUNT,
        ),
    ),
    (
        11,
        counter(
            "node_mountstats_nfs_event_vfs_write_pages_total",
            "Number of times a group of pages have been written.",
            MOUNT,
        ),
    ),
    (
        12,
        counter(
            "node_mountstats_nfs_event_vfs_getdents_total",
            "Number of times directory entries have been read with getdents().",
            MOUNT,
        ),
    ),
    (
        13,
        counter(
            "node_mountstats_nfs_event_vfs_setattr_total",
            "Number of times directory entries have been read with getdents().",
            MOUNT,
        ),
    ),
    (
        14,
        counter(
            "node_mountstats_nfs_event_vfs_flush_total",
            "Number of pending writes that have been forcefully flushed to the server.",
            MOUNT,
        ),
    ),
    (
        15,
        counter(
            "node_mountstats_nfs_event_vfs_fsync_total",
            "Number of times fsync() has been called on directories and files.",
            MOUNT,
        ),
    ),
    (
        16,
        counter(
            "node_mountstats_nfs_event_vfs_lock_total",
            "Number of times locking has been attempted on a file.",
            MOUNT,
        ),
    ),
    (
        17,
        counter(
            "node_mountstats_nfs_event_vfs_file_release_total",
            "Number of times files have been closed and released.",
            MOUNT,
        ),
    ),
    (19, counter("node_mountstats_nfs_event_truncation_total", "Number of times files have been truncated.", MOUNT)),
    (
        20,
        counter(
            "node_mountstats_nfs_event_write_extension_total",
            "Number of times a file has been grown due to writes beyond its existing end.",
            MOUNT,
        ),
    ),
    (
        21,
        counter(
            "node_mountstats_nfs_event_silly_rename_total",
            "Number of times a file was removed while still open by another process.",
            MOUNT,
        ),
    ),
    (
        22,
        counter(
            "node_mountstats_nfs_event_short_read_total",
            "Number of times the NFS server gave less data than expected while reading.",
            MOUNT,
        ),
    ),
    (
        23,
        counter(
            "node_mountstats_nfs_event_short_write_total",
            "Number of times the NFS server wrote less data than expected while writing.",
            MOUNT,
        ),
    ),
    (
        24,
        counter(
            "node_mountstats_nfs_event_jukebox_delay_total",
            "Number of times the NFS server indicated EJUKEBOX; retrieving data from offline storage.",
            MOUNT,
        ),
    ),
    (25, counter("node_mountstats_nfs_event_pnfs_read_total", "Number of NFS v4.1+ pNFS reads.", MOUNT)),
    (26, counter("node_mountstats_nfs_event_pnfs_write_total", "Number of NFS v4.1+ pNFS writes.", MOUNT)),
];

/// What follows `xprt:` and the protocol, by place with TCP.
static TRANSPORTS: [(usize, Head); 10] = [
    (
        1,
        counter(
            "node_mountstats_nfs_transport_bind_total",
            "Number of times the client has had to establish a connection from scratch to the NFS server.",
            TRANSPORT,
        ),
    ),
    (
        2,
        counter(
            "node_mountstats_nfs_transport_connect_total",
            "Number of times the client has made a TCP connection to the NFS server.",
            TRANSPORT,
        ),
    ),
    (
        4,
        gauge(
            "node_mountstats_nfs_transport_idle_time_seconds",
            "Duration since the NFS mount last saw any RPC traffic, in seconds.",
            TRANSPORT,
        ),
    ),
    (
        5,
        counter(
            "node_mountstats_nfs_transport_sends_total",
            "Number of RPC requests for this mount sent to the NFS server.",
            TRANSPORT,
        ),
    ),
    (
        6,
        counter(
            "node_mountstats_nfs_transport_receives_total",
            "Number of RPC responses for this mount received from the NFS server.",
            TRANSPORT,
        ),
    ),
    (
        7,
        counter(
            "node_mountstats_nfs_transport_bad_transaction_ids_total",
            "Number of times the NFS server sent a response with a transaction ID unknown to this client.",
            TRANSPORT,
        ),
    ),
    (
        9,
        counter(
            "node_mountstats_nfs_transport_backlog_queue_total",
            "Total number of items added to the RPC backlog queue.",
            TRANSPORT,
        ),
    ),
    (
        10,
        gauge(
            "node_mountstats_nfs_transport_maximum_rpc_slots",
            "Maximum number of simultaneously active RPC requests ever used.",
            TRANSPORT,
        ),
    ),
    (
        11,
        counter(
            "node_mountstats_nfs_transport_sending_queue_total",
            "Total number of items added to the RPC transmission sending queue.",
            TRANSPORT,
        ),
    ),
    (
        12,
        counter(
            "node_mountstats_nfs_transport_pending_queue_total",
            "Total number of items added to the RPC transmission pending queue.",
            TRANSPORT,
        ),
    ),
];

/// What follows the name of an operation; the last three are times.
static OPERATIONS: [(usize, Head); 8] = [
    (
        0,
        counter(
            "node_mountstats_nfs_operations_requests_total",
            "Number of requests performed for a given operation.",
            OPERATION,
        ),
    ),
    (
        1,
        counter(
            "node_mountstats_nfs_operations_transmissions_total",
            "Number of times an actual RPC request has been transmitted for a given operation.",
            OPERATION,
        ),
    ),
    (
        2,
        counter(
            "node_mountstats_nfs_operations_major_timeouts_total",
            "Number of times a request has had a major timeout for a given operation.",
            OPERATION,
        ),
    ),
    (
        3,
        counter(
            "node_mountstats_nfs_operations_sent_bytes_total",
            "Number of bytes sent for a given operation, including RPC headers and payload.",
            OPERATION,
        ),
    ),
    (
        4,
        counter(
            "node_mountstats_nfs_operations_received_bytes_total",
            "Number of bytes received for a given operation, including RPC headers and payload.",
            OPERATION,
        ),
    ),
    (
        5,
        counter(
            "node_mountstats_nfs_operations_queue_time_seconds_total",
            "Duration all requests spent queued for transmission for a given operation before they were sent, in seconds.",
            OPERATION,
        ),
    ),
    (
        6,
        counter(
            "node_mountstats_nfs_operations_response_time_seconds_total",
            "Duration all requests took to get a reply back after a request for a given operation was transmitted, in seconds.",
            OPERATION,
        ),
    ),
    (
        7,
        counter(
            "node_mountstats_nfs_operations_request_time_seconds_total",
            "Duration all requests took from when a request was enqueued to when it was completely handled for a given operation, in seconds.",
            OPERATION,
        ),
    ),
];

/// Where the times of an operation begin, in milliseconds.
const TIMES_FROM: usize = 5;
/// Times are told modulo this, as with the peer: what a float can count.
const TIME_LIMIT: u64 = 1 << 53;
/// Where the numbers begin that UDP lacks, and how many they are.
const UDP_LACKS: (usize, usize) = (2, 3);
/// From here on RDMA counts other things.
const RDMA_ENDS: usize = 10;
/// The most mounts told; what is more is left out and blamed.
const MOUNTS_MAX: usize = 256;

/// Reads `/proc/self/mountstats`.
#[derive(Default)]
struct Mountstats {
    file: Reader,
    mounts: Reader,
    /// What was told: a server's folder, its address and the protocol.
    told: Vec<(usize, usize)>,
    text: String,
    sheet: Sheet,
}

impl Collector for Mountstats {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let Some(text) = self.file.text_if_there(&host.procfs, &["self/mountstats"])? else {
            return Err(CollectError::absent("the statistics of mounts"));
        };
        let mut lines = self.mounts.text_if_there(&host.procfs, &["self/mountinfo"])?.unwrap_or("").lines();
        self.told.clear();
        self.text.clear();
        let (mut rest, mut bad) = (text, None);
        while !rest.is_empty() {
            let at = text.len() - rest.len();
            let (mount, later) = rest.split_at(next_mount(rest));
            rest = later;
            let address = lines.next().and_then(address).unwrap_or("");
            let Some(mount) = Mount::of(mount, address) else { continue };
            let sheet = &mut self.sheet;
            sheet.put(&POINT, &[mount.export, address, mount.point, mount.protocol], 1.0);
            let start = self.text.len();
            self.text.extend([mount.export, "\n", address, "\n", mount.protocol]);
            let (known, own) = self.text.split_at(start);
            let is_known = self.told.iter().any(|(start, end)| known.get(*start..*end) == Some(own));
            let is_too_much = !is_known && self.told.len() >= MOUNTS_MAX;
            if is_known || is_too_much {
                self.text.truncate(start);
            } else {
                self.told.push((start, self.text.len()));
            }
            if is_too_much || !(is_known || mount.tell(sheet)) {
                bad.get_or_insert(1 + text[..at].matches('\n').count());
            }
        }
        self.sheet.tell(out);
        bad.map_or(Ok(()), |line| Err(self.file.malformed(line, "a mount with the numbers of its kernel")))
    }
}

/// Returns where the next mount begins.
fn next_mount(text: &str) -> usize {
    let heads = ["\ndevice ", "\nno device mounted "].iter().filter_map(|head| text.find(head));
    heads.min().map_or(text.len(), |at| at + 1)
}

/// Returns the server's address in a line of `mountinfo`.
fn address(line: &str) -> Option<&str> {
    line.rsplit_once(' ')?.1.split(',').find_map(|option| option.strip_prefix("addr="))
}

/// One mount of an NFS server.
struct Mount<'a> {
    export: &'a str,
    address: &'a str,
    point: &'a str,
    protocol: &'a str,
    lines: &'a str,
}

impl<'a> Mount<'a> {
    fn of(text: &'a str, address: &'a str) -> Option<Mount<'a>> {
        let (head, lines) = text.split_once('\n')?;
        let mut words = head.split(' ');
        let (_, export) = (words.next()?, words.next()?);
        let point = words.nth(2)?;
        words.nth(2).filter(|kind| matches!(*kind, "nfs" | "nfs4"))?;
        words.next()?.strip_prefix("statvers=")?;
        let protocol = lines.lines().find_map(|line| line.trim_start().strip_prefix("xprt:"))?;
        let protocol = protocol.split_ascii_whitespace().next()?;
        Some(Mount { export, address, point, protocol, lines })
    }

    /// Tells its numbers; returns whether they were all there.
    fn tell(&self, sheet: &mut Sheet) -> bool {
        let labels = [self.export, self.address, self.protocol];
        let (mut is_whole, mut transports, mut is_operation) = (true, 0, false);
        for line in self.lines.lines().map(str::trim) {
            if line == "per-op statistics" {
                is_operation = true;
            }
            let Some((key, numbers)) = line.split_once(':') else { continue };
            is_whole &= match key {
                _ if is_operation => {
                    let labels = [self.export, self.address, self.protocol, key];
                    put(&OPERATIONS, &labels, numbers, (&Some, TIMES_FROM), sheet)
                }
                "age" => match unsigned(numbers.trim()) {
                    Some(age) => {
                        sheet.put(&AGE, &labels, age as f64);
                        true
                    }
                    None => false,
                },
                "bytes" => put(&BYTES, &labels, numbers, (&Some, usize::MAX), sheet),
                "events" => put(&EVENTS, &labels, numbers, (&Some, usize::MAX), sheet),
                "xprt" => {
                    let number = Decimal::new(transports);
                    transports += 1;
                    self.tell_transport(number.as_str(), numbers, sheet)
                }
                _ => true,
            };
        }
        is_whole
    }

    fn tell_transport(&self, number: &str, numbers: &str, sheet: &mut Sheet) -> bool {
        let (protocol, numbers) = numbers.trim_start().split_once(' ').unwrap_or(("", ""));
        let (from, count) = UDP_LACKS;
        // What an older kernel does not count is 0, as with the peer.
        let there = numbers.split_ascii_whitespace().count();
        let place: &dyn Fn(usize) -> Option<usize> = &|place: usize| match protocol {
            "udp" if place < from => Some(place),
            "udp" => place.checked_sub(count).filter(|own| *own >= from && *own < there),
            "rdma" => Some(place).filter(|place| *place < RDMA_ENDS),
            _ => Some(place).filter(|place| *place < RDMA_ENDS || *place < there),
        };
        put(&TRANSPORTS, &[self.export, self.address, self.protocol, number], numbers, (place, usize::MAX), sheet)
    }
}

/// Tells the numbers of a line by their places; what has no place is 0. From a place on they are times. Returns whether
/// all were there.
fn put(
    heads: &'static [(usize, Head)],
    labels: &[&str],
    numbers: &str,
    (place, times_from): (&dyn Fn(usize) -> Option<usize>, usize),
    sheet: &mut Sheet,
) -> bool {
    let mut is_whole = true;
    for (index, head) in heads {
        let word = match place(*index) {
            Some(place) => numbers.split_ascii_whitespace().nth(place),
            None => Some("0"),
        };
        match word.and_then(unsigned) {
            Some(value) if *index >= times_from => sheet.put(head, labels, (value % TIME_LIMIT) as f64 / 1_000.0),
            Some(value) => sheet.put(head, labels, value as f64),
            None => is_whole = false,
        }
    }
    is_whole
}
