//! Talks to the service manager as `sd_notify(3)` describes: one datagram with lines of `KEY=value`.
//!
//! Without `NOTIFY_SOCKET` all of it does nothing. The watchdog is fed by core's own loop, so a core that hangs is
//! restarted, and a card that stalls is not taken for one.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use super::clock::boottime;

/// The line to the service manager, if there is one.
#[derive(Debug)]
pub struct Service {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog_ms: Option<u64>,
}

impl Service {
    /// Connects as the environment says.
    pub fn from_env() -> Service {
        let watchdog_us: Option<u64> = std::env::var("WATCHDOG_USEC").ok().and_then(|text| text.parse().ok());
        Service { socket: connect(), watchdog_ms: watchdog_us.map(|us| us / 1_000).filter(|ms| *ms > 0) }
    }

    /// Returns how often to call [`Service::alive`]: half of what the manager allows.
    pub fn watchdog_interval_ms(&self) -> Option<u64> {
        self.watchdog_ms.map(|ms| (ms / 2).max(1))
    }

    /// Says that the agent serves, and what it is doing.
    pub fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={status}\n"));
    }

    /// Says that the agent is alive.
    pub fn alive(&self) {
        self.send("WATCHDOG=1\n");
    }

    /// Says that the configuration is being read again; [`Service::ready`] ends it.
    pub fn reloading(&self) {
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={}\n", super::clock::monotonic_ns() / 1_000));
    }

    /// Says that the agent is on its way out.
    pub fn stopping(&self) {
        self.send("STOPPING=1\n");
    }

    fn send(&self, text: &str) {
        if let Some((socket, address)) = &self.socket
            && let Err(error) = socket.send_to_addr(text.as_bytes(), address)
        {
            log::debug!("service manager: {error} at {} ms after boot", boottime().0);
        }
    }
}

fn connect() -> Option<(UnixDatagram, SocketAddr)> {
    let path = std::env::var("NOTIFY_SOCKET").ok()?;
    let address = match path.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name).ok()?,
        None => SocketAddr::from_pathname(&path).ok()?,
    };
    Some((UnixDatagram::unbound().ok()?, address))
}
