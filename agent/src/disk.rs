//! The disk thread: writes and syncs in the order given, and answers what became of each.
//!
//! A card that stalls for five seconds delays nothing but the answer, because nobody waits here: core hands over
//! operations and goes on. The channel is bounded by what core has in flight, which the store bounds.

use std::sync::mpsc::{Receiver, Sender, channel};

use model::Disk;
use tsdb::{DiskOp, OpDone};

/// The stack of the disk thread, in bytes.
const STACK_BYTES: usize = 256 << 10;

/// Takes operations for the medium.
pub struct DiskThread {
    ops: Sender<DiskOp>,
}

impl DiskThread {
    /// Starts the thread; `tell` is called with the answer to each operation, in order.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(disk: Box<dyn Disk + Send>, tell: Box<dyn Fn(OpDone) + Send>) -> std::io::Result<DiskThread> {
        let (ops, taken) = channel();
        let run = move || execute(disk, &taken, &*tell);
        std::thread::Builder::new().name("disk".to_owned()).stack_size(STACK_BYTES).spawn(run)?;
        Ok(DiskThread { ops })
    }

    /// Hands over an operation.
    pub fn run(&self, op: DiskOp) {
        // The thread ends only with the process, so the channel is open.
        let _ = self.ops.send(op);
    }
}

fn execute(mut disk: Box<dyn Disk + Send>, taken: &Receiver<DiskOp>, tell: &dyn Fn(OpDone)) {
    while let Ok(op) = taken.recv() {
        if let Some(done) = apply(&mut *disk, op) {
            tell(done);
        }
    }
}

/// Carries out one operation; the tail's are not the medium's and have no answer.
pub fn apply(disk: &mut dyn Disk, op: DiskOp) -> Option<OpDone> {
    match op {
        DiskOp::Write { offset, bytes } => {
            let result = disk.write(offset, &bytes);
            Some(OpDone::Written { result })
        }
        DiskOp::Sync { ticket } => Some(OpDone::Synced { ticket, result: disk.sync() }),
        DiskOp::Tail { .. } => None,
    }
}
