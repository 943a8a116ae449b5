//! Drives one uplink on a small thread of its own: ask for a frame, save what is in doubt, send, settle.
//!
//! The order is the promise. What is about to be sent is first saved in the store (and with it in the tail, which a
//! kill does not touch), so that after a restart the very same frame is sent again and nothing is skipped or sent
//! in another cut. Making a frame may read flash and sending one waits on the network, which is why neither
//! happens in core. A thread that waits costs nothing: it sleeps until something new is appended or a pause ends.
//!
//! A reload puts a new driver in the place of an old one. The new one stands by until the whole configuration is
//! good, then waits until the old one has settled the frame it was at, and goes on from the very state that left.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use forward::Stats;
use model::{Clock, Frame, Mono, Now, Outcome, Uplink};

use crate::core::own::UpstreamState;

/// The stack of a sender thread, in bytes.
const STACK_BYTES: usize = 512 << 10;

/// An uplink that also saves itself and tells how it does.
pub trait SavedUplink: Uplink + Send {
    /// Returns the state to be saved.
    fn save(&self) -> Vec<u8>;
    /// Returns how it does.
    fn stats(&self) -> Stats;
    /// Is told that the frame it gave was not sent and is to be read again at the next poll.
    fn read_again(&mut self, now: Now);
}

impl SavedUplink for forward::Uplink {
    fn save(&self) -> Vec<u8> {
        self.save()
    }

    fn stats(&self) -> Stats {
        self.stats()
    }

    fn read_again(&mut self, now: Now) {
        self.read_again(now);
    }
}

/// Saves a cell and returns when it is where a kill does not reach it; `false` when it was not saved, because the
/// agent is stopping.
pub type SaveCell = Box<dyn Fn(&str, Vec<u8>) -> bool + Send>;
/// Sends a frame and returns what became of it.
pub type Deliver = Box<dyn FnMut(&Frame) -> Outcome + Send>;
/// Makes the uplink from what was saved of it last.
pub type Make = Box<dyn FnOnce(Option<&[u8]>) -> Box<dyn SavedUplink> + Send>;

/// What core and the page see of an upstream.
///
/// It stands by until [`Upstream::go`], so that a reload that fails half-way has sent nothing.
pub struct Upstream {
    /// Its name, unique among the upstreams.
    pub name: String,
    /// `remote_write` or `mqtt`.
    pub kind: &'static str,
    /// The cell it is saved in: whoever has the same continues its work.
    pub cell: String,
    wake: SyncSender<Wake>,
    go: Option<SyncSender<Option<Ended>>>,
    ended: Option<Ended>,
    stats: Arc<Mutex<Stats>>,
}

/// A thread that ends with the state of its uplink, or without one when it never began.
type Ended = JoinHandle<Option<State>>;

/// The state of an uplink, and the number of the store it speaks of: row ids of one mean nothing in another.
struct State {
    store: u64,
    bytes: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wake {
    News,
    Stop,
}

/// What a driver needs.
pub struct Parts {
    /// What was saved of it, as far as it is known before its predecessor has ended.
    pub saved: Option<Vec<u8>>,
    /// The number of the store that speaks of.
    pub store: u64,
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
    /// Makes the thread that drives an uplink, standing by.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(name: &str, kind: &'static str, make: Make, parts: Parts) -> std::io::Result<Upstream> {
        let (wake, woken) = sync_channel(1);
        let (go, gone) = sync_channel(1);
        let stats = Arc::new(Mutex::new(Stats::default()));
        let (shown, cell) = (stats.clone(), parts.cell.clone());
        let ended = std::thread::Builder::new()
            .name(thread_name("up", name))
            .stack_size(STACK_BYTES)
            .spawn(move || run(make, parts, &gone, &woken, &shown))?;
        Ok(Upstream { name: name.to_owned(), kind, cell, wake, go: Some(go), ended: Some(ended), stats })
    }

    /// Begins, once the predecessor over the same cell has ended: two at a time would send frames twice and save
    /// over each other. Nobody waits here; the new thread does, for as long as the old one's last frame takes.
    pub fn go(&mut self, before: Option<Upstream>) {
        let before = before.and_then(|mut before| {
            *lock(&self.stats) = lock(&before.stats).clone();
            before.ended.take()
        });
        if let Some(go) = self.go.take() {
            // There is room for one, and this is the one.
            let _ = go.try_send(before);
        }
    }

    /// Says that something new was appended.
    pub fn wake(&self) {
        // A full channel means that it is about to look anyway.
        let _ = self.wake.try_send(Wake::News);
    }

    /// Returns how it stands.
    pub fn state(&self) -> UpstreamState {
        UpstreamState { name: self.name.clone(), kind: self.kind, stats: lock(&self.stats).clone() }
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

/// Puts new upstreams in the place of old ones; those that no new one continues just end.
pub fn replace(old: &mut Vec<Upstream>, mut new: Vec<Upstream>) {
    for upstream in &mut new {
        let before = old.iter().position(|before| before.cell == upstream.cell).map(|at| old.swap_remove(at));
        upstream.go(before);
    }
    *old = new;
}

/// Returns a name the system takes for a thread: a zero byte in it would be a panic.
pub fn thread_name(what: &str, whom: &str) -> String {
    format!("{what} {}", whom.replace('\0', ""))
}

fn run(
    make: Make,
    mut parts: Parts,
    gone: &Receiver<Option<Ended>>,
    woken: &Receiver<Wake>,
    shown: &Mutex<Stats>,
) -> Option<State> {
    let before = gone.recv().ok()?;
    let store = parts.store;
    let left = before.and_then(|before| before.join().ok().flatten()).filter(|left| left.store == store);
    // A predecessor that never began, or worked over another store, leaves what was saved.
    let left = left.or(parts.saved.take().map(|bytes| State { store, bytes }));
    if is_ended(woken) {
        return left;
    }
    let uplink = make(left.as_ref().map(|left| left.bytes.as_slice()));
    Some(State { store, bytes: drive(uplink, parts, woken, shown) })
}

/// Drives the uplink until it is told to end, and returns its state.
fn drive(mut uplink: Box<dyn SavedUplink>, mut parts: Parts, woken: &Receiver<Wake>, shown: &Mutex<Stats>) -> Vec<u8> {
    // One clone for the driver's life: it remembers where it was, so that each row is decoded once. Another store has
    // another driver.
    let reader = parts.reader.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone();
    loop {
        let dates = reader.dates();
        let frame = uplink.poll(parts.clock.now(), &reader);
        *lock(shown) = uplink.stats();
        let goes_on = match frame {
            Some(frame) => send(&mut *uplink, &mut parts, &frame, (&reader, dates), shown) && !is_ended(woken),
            None => wait(woken, parts.clock.now().mono, uplink.next_deadline()),
        };
        if !goes_on {
            return uplink.save();
        }
    }
}

/// Saves, sends, settles, saves; `false` when saving is over, and with it sending: what is not saved is not sent.
///
/// Once it is saved which rows are sent, these keep their dates. Where a clock was set back between the reading and that,
/// the frame has dates that its rows may have lost: then nothing is sent, and it is read again.
fn send(
    uplink: &mut dyn SavedUplink,
    parts: &mut Parts,
    frame: &Frame,
    (reader, dates): (&tsdb::Reader, u64),
    shown: &Mutex<Stats>,
) -> bool {
    if !(parts.save)(&parts.cell, uplink.save()) {
        return false;
    }
    if reader.dates() != dates {
        uplink.read_again(parts.clock.now());
        return true;
    }
    let outcome = (parts.deliver)(frame);
    uplink.settle(parts.clock.now(), frame.id, outcome);
    *lock(shown) = uplink.stats();
    (parts.save)(&parts.cell, uplink.save())
}

/// Waits for news or the deadline; `false` when the upstream is to end.
fn wait(woken: &Receiver<Wake>, now: Mono, deadline: Option<Mono>) -> bool {
    let wake = match deadline {
        Some(deadline) => woken.recv_timeout(Duration::from_millis(deadline.since_ms(now).max(1))),
        None => woken.recv().map_err(|_| RecvTimeoutError::Disconnected),
    };
    !matches!(wake, Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected))
}

/// Takes the wake-ups that are there already; whether one of them said stop.
fn is_ended(woken: &Receiver<Wake>) -> bool {
    loop {
        match woken.try_recv() {
            Ok(Wake::News) => {}
            Ok(Wake::Stop) | Err(TryRecvError::Disconnected) => return true,
            Err(TryRecvError::Empty) => return false,
        }
    }
}

fn lock(stats: &Mutex<Stats>) -> MutexGuard<'_, Stats> {
    stats.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests;
