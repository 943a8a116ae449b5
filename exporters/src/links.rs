//! Network devices by number, as netlink tells them: other answers name a device by its number alone.
//!
//! Devices come and go, so this is asked anew at every collection.

use crate::error::CollectError;
use crate::host::Host;
use crate::netlink::{Dialog, Netlink, attribute, text, u32_at};

/// `RTM_GETLINK`: tell of all devices.
pub const GET: u16 = 18;
/// `RTM_NEWLINK`: a device.
pub const NEW: u16 = 16;
/// The bytes of `struct ifinfomsg`.
pub const HEAD_BYTES: usize = 16;
/// The device's name among its attributes.
pub const IFLA_IFNAME: u16 = 3;

/// Where the device's number stands in `struct ifinfomsg`.
const INDEX_AT: usize = 4;

/// The names of all devices, in memory that is kept.
#[derive(Default)]
pub struct Links {
    text: String,
    links: Vec<(u32, usize, usize)>,
}

impl Links {
    /// Asks for all devices.
    pub fn read(&mut self, host: &Host, dialog: &mut Dialog) -> Result<(), CollectError> {
        self.text.clear();
        self.links.clear();
        dialog.start(GET, true).head(&[0; HEAD_BYTES]).ask(host, Netlink::Route, &mut |kind, bytes| {
            let index = u32_at(bytes, INDEX_AT);
            let name = bytes.get(HEAD_BYTES..).and_then(|rest| attribute(rest, IFLA_IFNAME)).and_then(text);
            if let (NEW, Some(index), Some(name)) = (kind, index, name) {
                let start = self.text.len();
                self.text.push_str(name);
                self.links.push((index, start, self.text.len()));
            }
        })
    }

    /// Returns the name of a device, empty where there is none of this number.
    pub fn name(&self, index: u32) -> &str {
        let found = self.links.iter().find(|(known, _, _)| *known == index);
        found.map_or("", |(_, start, end)| &self.text[*start..*end])
    }
}
