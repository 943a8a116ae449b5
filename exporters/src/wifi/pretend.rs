//! Wireless devices out of files, as the peer's end-to-end test has them.
//!
//! ```text
//! interfaces.json        [{"name": "wlan0", "type": 2, "frequency": 2412}]
//! wlan0/bss.json         {"ssid": "Example", "bssid": "ABEiM0RV", "status": 1}
//! wlan0/stationinfo.json [{"hardwareaddr": "qrvM3e7/", "connected": 30000000000, "signal": -52}]
//! ```
//!
//! Addresses are in base64, times in nanoseconds. This is for tests and may allocate.

use std::path::Path;

use crate::error::CollectError;
use crate::host::{Host, Reader};
use crate::objects::{self, Object};
use crate::sheet::Sheet;

use super::{put_device, put_network, put_station, write_mac};

const NANOSECONDS: f64 = 1e9;

pub fn collect(host: &Host, folder: &Path, sheet: &mut Sheet) -> Result<(), CollectError> {
    let mut file = Reader::new();
    let mut mac = String::new();
    for device in read(&mut file, host, folder, &["interfaces.json"])? {
        let name = device.text("name");
        if name.is_empty() {
            continue;
        }
        put_device(name, device.number("frequency") as f64, sheet);
        for network in read(&mut file, host, folder, &[name, "/bss.json"])? {
            write_mac(&mut mac, &decode(network.text("bssid")));
            put_network(name, &mac, network.text("ssid"), network.number("status") as u32, sheet);
        }
        for station in read(&mut file, host, folder, &[name, "/stationinfo.json"])? {
            write_mac(&mut mac, &decode(station.text("hardwareaddr")));
            let number = |key| station.number(key) as f64;
            let values = [
                number("connected") / NANOSECONDS,
                number("inactive") / NANOSECONDS,
                number("receivebitrate"),
                number("transmitbitrate"),
                number("receivedbytes"),
                number("transmittedbytes"),
                number("receivedpackets"),
                number("transmittedpackets"),
                number("signal"),
                number("transmitretries"),
                number("transmitfailed"),
                number("beaconloss"),
            ];
            put_station(name, &mac, values, sheet);
        }
    }
    Ok(())
}

fn read(file: &mut Reader, host: &Host, folder: &Path, parts: &[&str]) -> Result<Vec<Object>, CollectError> {
    if !file.is_there(folder, parts) {
        return Ok(Vec::new());
    }
    let objects = objects::read(file.text(host, folder, parts)?);
    objects.ok_or_else(|| file.malformed(0, "a list of flat objects"))
}

/// Decodes base64 without fill.
fn decode(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut bytes = Vec::new();
    for group in text.trim_end_matches('=').as_bytes().chunks(4) {
        let bits =
            group.iter().fold(0_u32, |bits, byte| bits << 6 | u32::from(digit(*byte))) << (6 * (4 - group.len()));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..group.len().max(1)]);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded() {
        assert_eq!(decode("ABEiM0RV"), [0, 0x11, 0x22, 0x33, 0x44, 0x55]);
        assert_eq!(decode("AQI="), [1, 2]);
        assert_eq!(decode("AQ=="), [1]);
        assert_eq!(decode(""), []);
    }
}
