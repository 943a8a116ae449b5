//! Wireless devices over netlink.
//!
//! ```text
//! CTRL_CMD_GETFAMILY "nl80211"      which number the kernel gave it
//! NL80211_CMD_GET_INTERFACE         every device: number, name, frequency
//! NL80211_CMD_GET_SCAN              the networks a device knows; the one with a status is its own
//! NL80211_CMD_GET_STATION           the stations of a device, and what was counted for them
//! ```
//!
//! The number of the family is asked once and again after an error; a module may come late.

use crate::error::{CollectError, Troubles};
use crate::host::Host;
use crate::netlink::{Dialog, Netlink, attribute, text, u16_at, u32_at, u64_at};
use crate::sheet::Sheet;

use super::{put_device, put_network, put_station, write_mac};

/// The family that knows the numbers of the others.
const CONTROL: u16 = 16;
const GETFAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;

const GET_INTERFACE: u8 = 5;
const GET_STATION: u8 = 17;
const GET_SCAN: u8 = 32;

const IFINDEX: u16 = 3;
const IFNAME: u16 = 4;
const MAC: u16 = 6;
const STATION: u16 = 21;
const FREQUENCY: u16 = 38;
const BSS: u16 = 47;

const BSS_ID: u16 = 1;
const BSS_ELEMENTS: u16 = 6;
const BSS_STATUS: u16 = 9;
const ELEMENT_SSID: u8 = 0;

/// The bytes of a generic head: command, version, fill.
const HEAD_BYTES: usize = 4;
const VERSION: u8 = 1;

/// The most devices asked about.
const DEVICES_MAX: usize = 256;

/// Asks for wireless devices, their networks and their stations.
#[derive(Default)]
pub struct Asker {
    family: Option<u16>,
    dialog: Dialog,
    names: String,
    devices: Vec<(u32, usize, usize)>,
    mac: String,
    ssid: String,
}

impl Asker {
    pub fn collect(&mut self, host: &Host, sheet: &mut Sheet) -> Result<(), CollectError> {
        let family = match self.family {
            Some(family) => family,
            None => self.find_family(host)?,
        };
        self.family = None;
        self.find_devices(host, family, sheet)?;
        let mut troubles = Troubles::default();
        for at in 0..self.devices.len() {
            let (index, start, end) = self.devices[at];
            troubles.note(self.networks(host, family, index, start..end, sheet));
            troubles.note(self.stations(host, family, index, start..end, sheet));
        }
        troubles.finish()?;
        self.family = Some(family);
        Ok(())
    }

    fn find_family(&mut self, host: &Host) -> Result<u16, CollectError> {
        let mut family = None;
        let question = self.dialog.start(CONTROL, false).head(&[GETFAMILY, VERSION, 0, 0]);
        let asked = question.attribute(FAMILY_NAME, b"nl80211\0").try_ask(host, Netlink::Generic, &mut |_, message| {
            family = message.get(HEAD_BYTES..).and_then(|rest| attribute(rest, FAMILY_ID)).and_then(|id| u16_at(id, 0));
        });
        match (asked, family) {
            (Err(error), _) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(CollectError::Io { path: "netlink".into(), source: error })
            }
            (_, family) => family.ok_or_else(|| CollectError::absent("a wireless device")),
        }
    }

    fn find_devices(&mut self, host: &Host, family: u16, sheet: &mut Sheet) -> Result<(), CollectError> {
        self.names.clear();
        self.devices.clear();
        let (names, devices) = (&mut self.names, &mut self.devices);
        let question = self.dialog.start(family, true).head(&[GET_INTERFACE, VERSION, 0, 0]);
        question.ask(host, Netlink::Generic, &mut |_, message| {
            let Some(rest) = message.get(HEAD_BYTES..) else { return };
            let number = |kind| attribute(rest, kind).and_then(|value| u32_at(value, 0));
            // Some virtual devices have no name.
            let name = attribute(rest, IFNAME).and_then(text).filter(|name| !name.is_empty());
            let (Some(index), Some(name)) = (number(IFINDEX), name) else { return };
            if devices.len() < DEVICES_MAX {
                put_device(name, f64::from(number(FREQUENCY).unwrap_or(0)), sheet);
                let start = names.len();
                names.push_str(name);
                devices.push((index, start, names.len()));
            }
        })
    }

    fn networks(
        &mut self,
        host: &Host,
        family: u16,
        index: u32,
        name: std::ops::Range<usize>,
        sheet: &mut Sheet,
    ) -> Result<(), CollectError> {
        let (device, mac, ssid) = (&self.names[name], &mut self.mac, &mut self.ssid);
        let question = self.dialog.start(family, true).head(&[GET_SCAN, VERSION, 0, 0]);
        let mut is_told = false;
        question.attribute(IFINDEX, &index.to_ne_bytes()).ask(host, Netlink::Generic, &mut |_, message| {
            let Some(bss) = message.get(HEAD_BYTES..).and_then(|rest| attribute(rest, BSS)) else { return };
            let Some(status) = attribute(bss, BSS_STATUS).and_then(|value| u32_at(value, 0)) else { return };
            if std::mem::replace(&mut is_told, true) {
                return;
            }
            write_mac(mac, attribute(bss, BSS_ID).unwrap_or(&[]));
            write_lossy(ssid, attribute(bss, BSS_ELEMENTS).and_then(find_ssid).unwrap_or(&[]));
            put_network(device, mac, ssid, status, sheet);
        })
    }

    fn stations(
        &mut self,
        host: &Host,
        family: u16,
        index: u32,
        name: std::ops::Range<usize>,
        sheet: &mut Sheet,
    ) -> Result<(), CollectError> {
        let (device, mac) = (&self.names[name], &mut self.mac);
        let question = self.dialog.start(family, true).head(&[GET_STATION, VERSION, 0, 0]);
        question.attribute(IFINDEX, &index.to_ne_bytes()).ask(host, Netlink::Generic, &mut |_, message| {
            let Some(rest) = message.get(HEAD_BYTES..) else { return };
            let Some(station) = attribute(rest, STATION) else { return };
            write_mac(mac, attribute(rest, MAC).unwrap_or(&[]));
            put_station(device, mac, read_station(station), sheet);
        })
    }
}

/// Returns what was counted for a station, what was not as 0.
fn read_station(info: &[u8]) -> super::Station {
    let number = |kind| attribute(info, kind).and_then(|value| u32_at(value, 0)).map(f64::from);
    let wide = |kind| attribute(info, kind).and_then(|value| u64_at(value, 0)).map(|value| value as f64);
    // The wide counters of bytes came later than the narrow ones.
    let bytes = |wide_kind, kind| wide(wide_kind).or(number(kind)).unwrap_or(0.0);
    let count = |kind| number(kind).unwrap_or(0.0);
    let signal = attribute(info, 7).and_then(|value| value.first()).map_or(0.0, |byte| f64::from(byte.cast_signed()));
    [
        count(16),
        count(1) / 1_000.0,
        attribute(info, 14).map_or(0.0, bit_rate),
        attribute(info, 8).map_or(0.0, bit_rate),
        bytes(23, 2),
        bytes(24, 3),
        count(9),
        count(10),
        signal,
        count(11),
        count(12),
        count(18),
    ]
}

/// Returns a rate in bits per second; the kernel counts in hundreds of kilobits, in 32 bits where 16 are too few.
fn bit_rate(info: &[u8]) -> f64 {
    let wide = attribute(info, 5).and_then(|value| u32_at(value, 0));
    let rate = wide.or_else(|| attribute(info, 1).and_then(|value| u16_at(value, 0)).map(u32::from));
    f64::from(rate.unwrap_or(0)) * 100_000.0
}

/// Finds the name of a network in its beacon: elements of a kind, a length and a value.
fn find_ssid(mut elements: &[u8]) -> Option<&[u8]> {
    loop {
        let (kind, length) = (*elements.first()?, usize::from(*elements.get(1)?));
        let value = elements.get(2..2 + length)?;
        if kind == ELEMENT_SSID {
            return Some(value);
        }
        elements = &elements[2 + length..];
    }
}

/// Writes a text, what is no UTF-8 as U+FFFD.
fn write_lossy(out: &mut String, bytes: &[u8]) {
    out.clear();
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beacon_names_its_network() {
        assert_eq!(find_ssid(&[1, 2, 9, 9, 0, 3, b'a', b'b', b'c', 5, 0]), Some(&b"abc"[..]));
        for bad in [&[][..], &[0], &[0, 3, b'a'], &[1, 0]] {
            assert_eq!(find_ssid(bad), None);
        }
    }

    #[test]
    fn what_was_not_counted_is_nothing() {
        assert_eq!(read_station(&[]), [0.0; 12]);
    }
}
