//! `node_wifi_*`: wireless devices and the stations they talk to.
//!
//! ```text
//! Station dc:a6:32:01:02:03 (on wlan0)      <- `iw dev wlan0 station dump`, Raspberry Pi 4, kernel 6.6
//!     inactive time: 400 ms   signal: -52 dBm   tx bitrate: 164.0 MBit/s   beacon loss: 1
//! ```
//!
//! Asked over netlink (`nl80211`); a kernel without it has no such thing. What a driver does not count is 0. The
//! flag `fixtures` names a folder to be read instead, for the peer's own end-to-end test.

mod nl80211;
mod pretend;

use std::path::PathBuf;

use model::Batch;

use crate::collector::{Collector, CollectorInfo, FlagInfo};
use crate::error::CollectError;
use crate::host::Host;
use crate::sheet::{Head, Sheet, counter, gauge};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "wifi",
    default_on: false,
    make: |settings| {
        let fixtures = settings.value(FIXTURES.name).filter(|folder| !folder.is_empty()).map(PathBuf::from);
        Ok(Box::new(Wifi { fixtures, asker: nl80211::Asker::default(), sheet: Sheet::default() }))
    },
    flags: &[FIXTURES],
    doc: "Wireless devices and the stations they talk to, over netlink.",
};

const FIXTURES: FlagInfo =
    FlagInfo { name: "collector.wifi.fixtures", default: "", help: "test fixtures to use for wifi collector metrics" };

const STATION: &[&str] = &["device", "mac_address"];
static FREQUENCY: Head = gauge(
    "node_wifi_interface_frequency_hertz",
    "The current frequency a WiFi interface is operating at, in hertz.",
    &["device"],
);
static FACTS: Head = gauge(
    "node_wifi_station_info",
    "Labeled WiFi interface station information as provided by the operating system.",
    &["device", "bssid", "ssid", "mode"],
);

/// The families of a station, in the order of [`Station`].
static STATIONS: [Head; 12] = [
    counter(
        "node_wifi_station_connected_seconds_total",
        "The total number of seconds a station has been connected to an access point.",
        STATION,
    ),
    gauge(
        "node_wifi_station_inactive_seconds",
        "The number of seconds since any wireless activity has occurred on a station.",
        STATION,
    ),
    gauge(
        "node_wifi_station_receive_bits_per_second",
        "The current WiFi receive bitrate of a station, in bits per second.",
        STATION,
    ),
    gauge(
        "node_wifi_station_transmit_bits_per_second",
        "The current WiFi transmit bitrate of a station, in bits per second.",
        STATION,
    ),
    counter("node_wifi_station_receive_bytes_total", "The total number of bytes received by a WiFi station.", STATION),
    counter(
        "node_wifi_station_transmit_bytes_total",
        "The total number of bytes transmitted by a WiFi station.",
        STATION,
    ),
    counter("node_wifi_station_received_packets_total", "The total number of packets received by a station.", STATION),
    counter(
        "node_wifi_station_transmitted_packets_total",
        "The total number of packets transmitted by a station.",
        STATION,
    ),
    gauge("node_wifi_station_signal_dbm", "The current WiFi signal strength, in decibel-milliwatts (dBm).", STATION),
    counter(
        "node_wifi_station_transmit_retries_total",
        "The total number of times a station has had to retry while sending a packet.",
        STATION,
    ),
    counter(
        "node_wifi_station_transmit_failed_total",
        "The total number of times a station has failed to send a packet.",
        STATION,
    ),
    counter(
        "node_wifi_station_beacon_loss_total",
        "The total number of times a station has detected a beacon loss.",
        STATION,
    ),
];

const MEGAHERTZ: f64 = 1e6;

/// Asks for wireless devices and their stations.
struct Wifi {
    fixtures: Option<PathBuf>,
    asker: nl80211::Asker,
    sheet: Sheet,
}

/// What is known of a station, in base units, in the order of [`STATIONS`].
type Station = [f64; STATIONS.len()];

impl Collector for Wifi {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let result = match &self.fixtures {
            Some(folder) => pretend::collect(host, folder, &mut self.sheet),
            None => self.asker.collect(host, &mut self.sheet),
        };
        self.sheet.tell(out);
        result
    }
}

fn put_device(device: &str, megahertz: f64, sheet: &mut Sheet) {
    sheet.put(&FREQUENCY, &[device], megahertz * MEGAHERTZ);
}

/// Adds the network that a device is in. The status is the kernel's: 1 associated, 2 joined.
fn put_network(device: &str, bssid: &str, ssid: &str, status: u32, sheet: &mut Sheet) {
    let mode = match status {
        1 => "client",
        2 => "ad-hoc",
        0 => "unauthenticated",
        _ => "unknown",
    };
    sheet.put(&FACTS, &[device, bssid, ssid, mode], 1.0);
}

fn put_station(device: &str, mac: &str, station: Station, sheet: &mut Sheet) {
    for (head, value) in STATIONS.iter().zip(station) {
        sheet.put(head, &[device, mac], value);
    }
}

/// Writes a hardware address: `dc:a6:32:01:02:03`.
fn write_mac(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.clear();
    for (at, byte) in bytes.iter().enumerate() {
        if at > 0 {
            out.push(':');
        }
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_in_pairs_of_digits() {
        let mut out = "x".to_owned();
        write_mac(&mut out, &[0xdc, 0xa6, 0x32, 1, 2, 0xff]);
        assert_eq!(out, "dc:a6:32:01:02:ff");
        write_mac(&mut out, &[]);
        assert_eq!(out, "");
    }
}
