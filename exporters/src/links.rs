//! Network devices as netlink tells them: by number, because other answers name a device by its number alone, and the
//! kernel's whole answer, which several collectors want of one collection.
//!
//! Devices come and go, so this is asked anew at every collection.

use std::io;

use crate::error::CollectError;
use crate::host::Host;
use crate::netlink::{Dialog, Netlink, attribute, text, u32_at};

/// `RTM_GETLINK`: tell of all devices.
const GET: u16 = 18;
/// `RTM_NEWLINK`: a device.
const NEW: u16 = 16;
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
    /// Learns the names of all devices.
    pub fn read(&mut self, host: &Host) -> Result<(), CollectError> {
        self.text.clear();
        self.links.clear();
        let told = host.links.borrow_mut().each(host, &mut |bytes| {
            let index = u32_at(bytes, INDEX_AT);
            let name = bytes.get(HEAD_BYTES..).and_then(|rest| attribute(rest, IFLA_IFNAME)).and_then(text);
            if let (Some(index), Some(name)) = (index, name) {
                let start = self.text.len();
                self.text.push_str(name);
                self.links.push((index, start, self.text.len()));
            }
        });
        told.map_err(|source| CollectError::Io { path: "netlink".into(), source })
    }

    /// Returns the name of a device, empty where there is none of this number.
    pub fn name(&self, index: u32) -> &str {
        let found = self.links.iter().find(|(known, _, _)| *known == index);
        found.map_or("", |(_, start, end)| &self.text[*start..*end])
    }
}

/// The kernel's answer about all devices, asked for once a collection.
#[derive(Default)]
pub struct Answer {
    dialog: Dialog,
    messages: Vec<u8>,
    ends: Vec<usize>,
    /// What asking came to; `None`: nobody has asked in this collection.
    asked: Option<io::Result<()>>,
}

impl Answer {
    /// Begins another collection.
    pub fn forget(&mut self) {
        self.asked = None;
    }

    /// Visits what is told of each device: the bytes behind a message's head, `struct ifinfomsg` first.
    ///
    /// # Errors
    /// As the kernel says; nothing was visited then.
    pub fn each(&mut self, host: &Host, visit: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let Answer { dialog, messages, ends, asked } = self;
        if asked.is_none() {
            messages.clear();
            ends.clear();
            let question = dialog.start(GET, true).head(&[0; HEAD_BYTES]);
            let answered = question.try_ask(host, Netlink::Route, &mut |kind, message| {
                if kind == NEW {
                    messages.extend_from_slice(message);
                    ends.push(messages.len());
                }
            });
            *asked = Some(answered);
        }
        if let Some(Err(error)) = asked {
            // Each who asks is told the same.
            return Err(error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error));
        }
        let mut start = 0;
        for end in ends {
            visit(&messages[start..*end]);
            start = *end;
        }
        Ok(())
    }
}
