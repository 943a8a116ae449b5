//! `node_tcp_connection_states`: connections by state, and the bytes that wait in their queues.
//!
//! ```text
//! struct inet_diag_msg: family state timer retrans | id, 48 bytes | expires rqueue wqueue uid inode
//!                         u8    u8    u8    u8                        u32     u32    u32   u32  u32
//! ```
//!
//! Asked over netlink (`SOCK_DIAG_BY_FAMILY`), once for IPv4 and, where there is IPv6, once for that. A state that
//! no connection is in is not told, as with the peer.

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo};
use crate::error::CollectError;
use crate::host::{Host, Reader};
use crate::netlink::{Dialog, Netlink, u32_at};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "tcpstat",
    default_on: false,
    make: |_| Ok(Box::new(Tcpstat::default())),
    flags: &[],
    doc: "TCP connections by state and the bytes in their queues, over netlink.",
};

/// The kernel's states; 0 is none.
const STATES: [&str; 12] = [
    "",
    "established",
    "syn_sent",
    "syn_recv",
    "fin_wait1",
    "fin_wait2",
    "time_wait",
    "close",
    "close_wait",
    "last_ack",
    "listen",
    "closing",
];

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
/// All states: a bit each.
const ALL: u32 = 0xfff;

const STATE_AT: usize = 1;
const RECEIVE_QUEUE_AT: usize = 56;
const SEND_QUEUE_AT: usize = 60;

/// Asks for all TCP sockets.
#[derive(Default)]
struct Tcpstat {
    dialog: Dialog,
    tcp6: Reader,
}

/// What was counted.
#[derive(Default)]
struct Counts {
    states: [u64; STATES.len()],
    received: u64,
    sent: u64,
}

impl Counts {
    /// Counts one socket; returns whether the message is whole.
    fn add(&mut self, message: &[u8]) -> Option<()> {
        let state = self.states.get_mut(usize::from(*message.get(STATE_AT)?))?;
        let (received, sent) = (u32_at(message, RECEIVE_QUEUE_AT)?, u32_at(message, SEND_QUEUE_AT)?);
        *state += 1;
        self.received += u64::from(received);
        self.sent += u64::from(sent);
        Some(())
    }
}

impl Collector for Tcpstat {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let mut counts = Counts::default();
        let mut is_whole = true;
        let has_ipv6 = self.tcp6.is_there(&host.procfs, &["net/tcp6"]);
        for family in if has_ipv6 { &[AF_INET, AF_INET6][..] } else { &[AF_INET] } {
            let question = self.dialog.start(SOCK_DIAG_BY_FAMILY, true);
            // struct inet_diag_req_v2: family, protocol, extensions, fill, states, and an id of zeros.
            question.head(&[*family, IPPROTO_TCP, 0, 0]).head(&ALL.to_ne_bytes()).head(&[0; 48]);
            question.ask(host, Netlink::Sockets, &mut |_, message| is_whole &= counts.add(message).is_some())?;
        }
        if counts.states.iter().all(|count| *count == 0) {
            return Ok(());
        }
        out.family("node_tcp_connection_states", "Number of connection states.", MetricKind::Gauge);
        for (state, count) in STATES.iter().zip(counts.states).skip(1).filter(|(_, count)| *count > 0) {
            out.add(&[("state", state)], count as f64);
        }
        out.add(&[("state", "rx_queued_bytes")], counts.received as f64);
        out.add(&[("state", "tx_queued_bytes")], counts.sent as f64);
        if is_whole { Ok(()) } else { Err(CollectError::malformed("netlink".as_ref(), 0, "whole sockets")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_counts_once_and_nothing_cut_short_counts() {
        let mut counts = Counts::default();
        let mut message = [0; 72];
        message[STATE_AT] = 10;
        message[RECEIVE_QUEUE_AT..][..4].copy_from_slice(&3_u32.to_ne_bytes());
        message[SEND_QUEUE_AT..][..4].copy_from_slice(&4_u32.to_ne_bytes());
        assert_eq!((counts.add(&message), counts.add(&message)), (Some(()), Some(())));
        assert_eq!((counts.states[10], counts.received, counts.sent), (2, 6, 8));
        message[STATE_AT] = 12;
        assert_eq!((counts.add(&message), counts.add(&message[..60])), (None, None));
        assert_eq!(counts.received, 6);
    }
}
