//! Drives one uplink on a small thread of its own: ask for a frame, save what is in doubt, send, settle.
//!
//! The order is the promise. What is about to be sent is first saved in the store (and with it in the tail, which a
//! kill does not touch), so that after a restart the very same frame is sent again and nothing is skipped or sent
//! in another cut. Making a frame may read flash and sending one waits on the network, which is why neither
//! happens in core. A thread that waits costs nothing: it sleeps until something new is appended or a pause ends.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use forward::Stats;
use model::{Clock, Frame, Mono, Outcome, Uplink};

use crate::core::own::UpstreamState;

/// The stack of a sender thread, in bytes.
const STACK_BYTES: usize = 512 << 10;

/// An uplink that also saves itself and tells how it does.
pub trait SavedUplink: Uplink + Send {
    /// Returns the state to be saved.
    fn save(&self) -> Vec<u8>;
    /// Returns how it does.
    fn stats(&self) -> Stats;
}

impl SavedUplink for forward::remote_write::Uplink {
    fn save(&self) -> Vec<u8> {
        self.save()
    }

    fn stats(&self) -> Stats {
        self.stats()
    }
}

impl SavedUplink for forward::mqtt::Uplink {
    fn save(&self) -> Vec<u8> {
        self.save()
    }

    fn stats(&self) -> Stats {
        self.stats()
    }
}

/// Saves a cell and returns when it is where a kill does not reach it.
pub type SaveCell = Box<dyn Fn(&str, Vec<u8>) + Send>;
/// Sends a frame and returns what became of it.
pub type Deliver = Box<dyn FnMut(&Frame) -> Outcome + Send>;

/// What core and the page see of an upstream.
pub struct Upstream {
    /// Its name, unique among the upstreams.
    pub name: String,
    /// `remote_write` or `mqtt`.
    pub kind: &'static str,
    wake: SyncSender<Wake>,
    stats: Arc<Mutex<Stats>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wake {
    News,
    Stop,
}

/// What a driver needs.
pub struct Parts {
    /// The uplink's own state machine.
    pub uplink: Box<dyn SavedUplink>,
    /// The cell it is saved in.
    pub cell: String,
    /// The store, replaced when the store is.
    pub reader: Arc<RwLock<tsdb::Reader>>,
    /// The time.
    pub clock: Arc<dyn Clock + Send + Sync>,
    /// How to save.
    pub save: SaveCell,
    /// How to send.
    pub deliver: Deliver,
}

impl Upstream {
    /// Starts the thread that drives an uplink.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(name: &str, kind: &'static str, parts: Parts) -> std::io::Result<Upstream> {
        let (wake, woken) = sync_channel(1);
        let stats = Arc::new(Mutex::new(parts.uplink.stats()));
        let shown = stats.clone();
        std::thread::Builder::new()
            .name(format!("up {name}"))
            .stack_size(STACK_BYTES)
            .spawn(move || drive(parts, &woken, &shown))?;
        Ok(Upstream { name: name.to_owned(), kind, wake, stats })
    }

    /// Says that something new was appended.
    pub fn wake(&self) {
        // A full channel means that it is about to look anyway.
        let _ = self.wake.try_send(Wake::News);
    }

    /// Returns how it stands.
    pub fn state(&self) -> UpstreamState {
        let stats = self.stats.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone();
        UpstreamState { name: self.name.clone(), kind: self.kind, stats }
    }
}

impl Drop for Upstream {
    /// Ends the thread after the frame it is at, without waiting for it.
    fn drop(&mut self) {
        if let Err(TrySendError::Full(_)) = self.wake.try_send(Wake::Stop) {
            // It will find the channel closed after the wake-up that is already in it.
        }
    }
}

fn drive(mut parts: Parts, woken: &Receiver<Wake>, shown: &Mutex<Stats>) {
    loop {
        let reader = parts.reader.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone();
        let frame = parts.uplink.poll(parts.clock.now(), &reader);
        show(shown, &parts);
        match frame {
            Some(frame) => {
                (parts.save)(&parts.cell, parts.uplink.save());
                let outcome = (parts.deliver)(&frame);
                parts.uplink.settle(parts.clock.now(), frame.id, outcome);
                (parts.save)(&parts.cell, parts.uplink.save());
                show(shown, &parts);
                if matches!(woken.try_recv(), Ok(Wake::Stop) | Err(std::sync::mpsc::TryRecvError::Disconnected)) {
                    return;
                }
            }
            None => {
                if !wait(woken, parts.clock.now().mono, parts.uplink.next_deadline()) {
                    return;
                }
            }
        }
    }
}

/// Waits for news or the deadline; `false` when the upstream is to end.
fn wait(woken: &Receiver<Wake>, now: Mono, deadline: Option<Mono>) -> bool {
    let wake = match deadline {
        Some(deadline) => woken.recv_timeout(Duration::from_millis(deadline.since_ms(now).max(1))),
        None => woken.recv().map_err(|_| RecvTimeoutError::Disconnected),
    };
    !matches!(wake, Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected))
}

fn show(shown: &Mutex<Stats>, parts: &Parts) {
    *shown.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = parts.uplink.stats();
}
