//! One upstream of whatever format: the machine of [`crate::outbox`] with the packer of its format.
//!
//! Formats differ only in how rows become bytes and in how frames are cut, so that all of them are this one type;
//! `remote_write::uplink` and `mqtt::uplink` make it. What the shell does with a frame is not known here.

use model::{Frame, FrameId, Mono, Now, Outbox, Outcome, RowId};

use crate::outbox::{Pace, Packer, Walk};
use crate::stats::Stats;

/// One upstream. See [`crate::outbox`] for the order of saving and sending.
pub struct Uplink {
    walk: Walk,
    packer: Box<dyn Packer + Send>,
}

impl Uplink {
    /// Returns an upstream that goes on where the saved state left off. See [`Walk::new`] for a state that is damaged
    /// and for the seed.
    pub fn new(pace: Pace, packer: Box<dyn Packer + Send>, saved: Option<&[u8]>, seed: u64) -> Uplink {
        Uplink { walk: Walk::new(pace, saved, seed), packer }
    }

    /// Returns the state to be saved before a new frame is sent, and after it was settled.
    pub fn save(&self) -> Vec<u8> {
        self.walk.save()
    }

    /// Reads the frame that was polled last again: its dates do not hold any more, and it was not sent.
    pub fn read_again(&mut self, now: Now) {
        self.walk.read_again(now);
    }

    /// Returns the counters and the present state.
    pub fn stats(&self) -> Stats {
        self.walk.stats()
    }

    /// Returns the newest row that was ever sent or acknowledged; rows up to here keep their dates.
    pub fn handed_out(&self) -> RowId {
        self.walk.handed_out()
    }
}

impl model::Uplink for Uplink {
    fn poll(&mut self, now: Now, source: &dyn Outbox) -> Option<Frame> {
        self.walk.poll(now, source, self.packer.as_mut())
    }

    fn settle(&mut self, now: Now, frame: FrameId, outcome: Outcome) {
        self.walk.settle(now, frame, outcome);
    }

    fn next_deadline(&self) -> Option<Mono> {
        self.walk.next_deadline()
    }
}
