//! `node_infiniband_*`: InfiniBand and RDMA adapters, the state of their ports and what they counted.
//!
//! ```text
//! mlx4_0/ports/1/state                      4: ACTIVE                  <- /sys/class/infiniband, kernel 6.1
//! mlx4_0/ports/1/rate                       40 Gb/sec (4X QDR)
//! mlx4_0/ports/1/counters/port_rcv_data     4631917                    in words of four bytes
//! ```
//!
//! An adapter that does not count says `N/A (no PMA)`. A file that is missing is an empty label or no row; the peer
//! then tells of no adapter.

use model::Batch;

use crate::collector::{Collector, CollectorInfo};
use crate::error::CollectError;
use crate::host::{Host, Names};
use crate::number;
use crate::sheet::{Head, Sheet, counter, gauge};
use crate::shelf::{Entry, Shelf};
use crate::single::Words;

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "infiniband",
    default_on: true,
    make: |_| Ok(Box::new(Infiniband::default())),
    flags: &[],
    doc: "State, rate and counters of InfiniBand ports, from `/sys/class/infiniband`.",
};

const DIR: &str = "class/infiniband";
const LABELS: &[&str] = &["device", "port"];
const BYTES_PER_SECOND_PER_GBIT: f64 = 125e6;
/// Data is counted in words of four bytes, and told in bytes.
const WORDS: f64 = 4.0;

static FACTS: Head = gauge(
    "node_infiniband_info",
    "Non-numeric data from /sys/class/infiniband/<device>, value is always 1.",
    &["device", "board_id", "firmware_version", "hca_type"],
);
/// Files that begin with the number of a state.
static STATES: [Entry; 2] = [
    (
        "state",
        gauge(
            "node_infiniband_state_id",
            "State of the InfiniBand port (0: no change, 1: down, 2: init, 3: armed, 4: active, 5: act defer)",
            LABELS,
        ),
        1.0,
    ),
    (
        "phys_state",
        gauge(
            "node_infiniband_physical_state_id",
            "Physical state of the InfiniBand port (0: no change, 1: sleep, 2: polling, 3: disable, 4: shift, 5: link up, 6: link error recover, 7: phytest)",
            LABELS,
        ),
        1.0,
    ),
];
static RATE: [Entry; 1] =
    [("rate", gauge("node_infiniband_rate_bytes_per_second", "Maximum signal transfer rate", LABELS), 1.0)];
/// Files that are counters.
static COUNTERS: [Entry; 30] = [
    (
        "counters_ext/port_multicast_rcv_packets",
        counter(
            "node_infiniband_legacy_multicast_packets_received_total",
            "Number of multicast packets received",
            LABELS,
        ),
        1.0,
    ),
    (
        "counters_ext/port_multicast_xmit_packets",
        counter(
            "node_infiniband_legacy_multicast_packets_transmitted_total",
            "Number of multicast packets transmitted",
            LABELS,
        ),
        1.0,
    ),
    (
        "counters_ext/port_rcv_data_64",
        counter(
            "node_infiniband_legacy_data_received_bytes_total",
            "Number of data octets received on all links",
            LABELS,
        ),
        WORDS,
    ),
    (
        "counters_ext/port_rcv_packets_64",
        counter(
            "node_infiniband_legacy_packets_received_total",
            "Number of data packets received on all links",
            LABELS,
        ),
        1.0,
    ),
    (
        "counters_ext/port_unicast_rcv_packets",
        counter("node_infiniband_legacy_unicast_packets_received_total", "Number of unicast packets received", LABELS),
        1.0,
    ),
    (
        "counters_ext/port_unicast_xmit_packets",
        counter(
            "node_infiniband_legacy_unicast_packets_transmitted_total",
            "Number of unicast packets transmitted",
            LABELS,
        ),
        1.0,
    ),
    (
        "counters_ext/port_xmit_data_64",
        counter(
            "node_infiniband_legacy_data_transmitted_bytes_total",
            "Number of data octets transmitted on all links",
            LABELS,
        ),
        WORDS,
    ),
    (
        "counters_ext/port_xmit_packets_64",
        counter(
            "node_infiniband_legacy_packets_transmitted_total",
            "Number of data packets received on all links",
            LABELS,
        ),
        1.0,
    ),
    (
        "counters/excessive_buffer_overrun_errors",
        counter(
            "node_infiniband_excessive_buffer_overrun_errors_total",
            "Number of times that OverrunErrors consecutive flow control update periods occurred, each having at least one overrun error.",
            LABELS,
        ),
        1.0,
    ),
    (
        "counters/link_downed",
        counter(
            "node_infiniband_link_downed_total",
            "Number of times the link failed to recover from an error state and went down",
            LABELS,
        ),
        1.0,
    ),
    (
        "counters/link_error_recovery",
        counter(
            "node_infiniband_link_error_recovery_total",
            "Number of times the link successfully recovered from an error state",
            LABELS,
        ),
        1.0,
    ),
    (
        "counters/local_link_integrity_errors",
        counter(
            "node_infiniband_local_link_integrity_errors_total",
            "Number of times that the count of local physical errors exceeded the threshold specified by LocalPhyErrors.",
            LABELS,
        ),
        1.0,
    ),
    (
        "counters/multicast_rcv_packets",
        counter(
            "node_infiniband_multicast_packets_received_total",
            "Number of multicast packets received (including errors)",
            LABELS,
        ),
        1.0,
    ),
    (
        "counters/multicast_xmit_packets",
        counter(
            "node_infiniband_multicast_packets_transmitted_total",
            "Number of multicast packets transmitted (including errors)",
            LABELS,
        ),
        1.0,
    ),
    (
        "counters/port_rcv_constraint_errors",
        counter(
            "node_infiniband_port_constraint_errors_received_total",
            "Number of packets received on the switch physical port that are discarded",
            LABELS,
        ),
        1.0,
    ),
    (
        "counters/port_xmit_constraint_errors",
        counter(
            "node_infiniband_port_constraint_errors_transmitted_total",
            "Number of packets not transmitted from the switch physical port",
            LABELS,
        ),
        1.0,
    ),
    (
        "counters/port_rcv_data",
        counter(
            "node_infiniband_port_data_received_bytes_total",
            "Number of data octets received on all links",
            LABELS,
        ),
        WORDS,
    ),
    (
        "counters/port_xmit_data",
        counter(
            "node_infiniband_port_data_transmitted_bytes_total",
            "Number of data octets transmitted on all links",
            LABELS,
        ),
        WORDS,
    ),
    (
        "counters/port_rcv_discards",
        counter(
            "node_infiniband_port_discards_received_total",
            "Number of inbound packets discarded by the port because the port is down or congested",
            LABELS,
        ),
        1.0,
    ),
    (
        "counters/port_xmit_discards",
        counter(
            "node_infiniband_port_discards_transmitted_total",
            "Number of outbound packets discarded by the port because the port is down or congested",
            LABELS,
        ),
        1.0,
    ),
    (
        "counters/port_rcv_errors",
        counter(
            "node_infiniband_port_errors_received_total",
            "Number of packets containing an error that were received on this port",
            LABELS,
        ),
        1.0,
    ),
    (
        "counters/port_rcv_packets",
        counter(
            "node_infiniband_port_packets_received_total",
            "Number of packets received on all VLs by this port (including errors)",
            LABELS,
        ),
        1.0,
    ),
    (
        "counters/port_xmit_packets",
        counter(
            "node_infiniband_port_packets_transmitted_total",
            "Number of packets transmitted on all VLs from this port (including errors)",
            LABELS,
        ),
        1.0,
    ),
    (
        "counters/port_rcv_remote_physical_errors",
        counter(
            "node_infiniband_port_receive_remote_physical_errors_total",
            "Number of packets marked with the EBP (End of Bad Packet) delimiter received on the port.",
            LABELS,
        ),
        1.0,
    ),
    (
        "counters/port_rcv_switch_relay_errors",
        counter(
            "node_infiniband_port_receive_switch_relay_errors_total",
            "Number of packets that could not be forwarded by the switch.",
            LABELS,
        ),
        1.0,
    ),
    (
        "counters/port_xmit_wait",
        counter(
            "node_infiniband_port_transmit_wait_total",
            "Number of ticks during which the port had data to transmit but no data was sent during the entire tick",
            LABELS,
        ),
        1.0,
    ),
    (
        "counters/symbol_error",
        counter(
            "node_infiniband_symbol_error_total",
            "Number of minor link errors detected on one or more physical lanes.",
            LABELS,
        ),
        1.0,
    ),
    (
        "counters/unicast_rcv_packets",
        counter(
            "node_infiniband_unicast_packets_received_total",
            "Number of unicast packets received (including errors)",
            LABELS,
        ),
        1.0,
    ),
    (
        "counters/unicast_xmit_packets",
        counter(
            "node_infiniband_unicast_packets_transmitted_total",
            "Number of unicast packets transmitted (including errors)",
            LABELS,
        ),
        1.0,
    ),
    (
        "counters/VL15_dropped",
        counter(
            "node_infiniband_vl15_dropped_total",
            "Number of incoming VL15 packets dropped due to resource limitations.",
            LABELS,
        ),
        1.0,
    ),
];

/// Reads `/sys/class/infiniband`.
#[derive(Default)]
struct Infiniband {
    devices: Names,
    ports: Names,
    shelf: Shelf,
    words: Words,
    sheet: Sheet,
}

impl Collector for Infiniband {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        if !self.devices.list_if_there(&host.sysfs, &[DIR])? {
            return Err(CollectError::absent("an InfiniBand adapter"));
        }
        let Infiniband { devices, ports, shelf, words, sheet } = self;
        for device in devices.iter() {
            shelf.enter(&[DIR, "/", device]);
            words.clear();
            ["board_id", "fw_ver", "hca_type"].iter().for_each(|file| shelf.word(&host.sysfs, file, words));
            sheet.put(&FACTS, &[device, words.get(0), words.get(1), words.get(2)], 1.0);
            let listed = ports.list_if_there(&host.sysfs, &[DIR, "/", device, "/ports"]);
            if shelf.troubles.note(listed) != Some(true) {
                continue;
            }
            for port in ports.iter().filter(|port| number::unsigned(port).is_some()) {
                shelf.enter(&[DIR, "/", device, "/ports/", port]);
                shelf.put(&host.sysfs, &STATES, (state, None), &[device, port], sheet);
                shelf.put(&host.sysfs, &RATE, (rate, None), &[device, port], sheet);
                shelf.put(&host.sysfs, &COUNTERS, (count, None), &[device, port], sheet);
            }
        }
        sheet.tell(out);
        shelf.finish()
    }
}

/// Reads `4: ACTIVE`.
fn state(text: &str) -> Option<Option<f64>> {
    let (number, _) = text.split_once(':')?;
    number.parse().ok().map(|state: u32| Some(state.into()))
}

/// Reads `40 Gb/sec (4X QDR)`, in bytes a second.
fn rate(text: &str) -> Option<Option<f64>> {
    let (number, _) = text.split_once(' ')?;
    let rate: f32 = number.parse().ok()?;
    (rate.is_finite() && rate >= 0.0).then(|| Some((f64::from(rate) * BYTES_PER_SECOND_PER_GBIT).trunc()))
}

/// Reads a counter, where there is one.
fn count(text: &str) -> Option<Option<f64>> {
    match text {
        "N/A (no PMA)" => Some(None),
        _ => crate::shelf::unsigned(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_rates_and_counters_are_read() {
        assert_eq!((state("4: ACTIVE"), state("5:"), state("ACTIVE")), (Some(Some(4.0)), Some(Some(5.0)), None));
        assert_eq!((rate("2.5 Gb/sec (1X)"), rate("2.5"), rate("-1 Gb/sec")), (Some(Some(312.5e6)), None, None));
        assert_eq!((count("7"), count("N/A (no PMA)"), count("")), (Some(Some(7.0)), Some(None), None));
    }
}
