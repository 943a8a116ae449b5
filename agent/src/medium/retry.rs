//! Tries a medium again that could not be used at start, and carries over what was collected meanwhile.
//!
//! A thread of its own opens the data file every now and then, because a sick card may hang. Once that works, rows go
//! from the store in memory to the new one in the order of their ids, with their times, staleness markers included,
//! and each batch is on the medium before the next is read; so memory stays bounded, and core goes on undisturbed.
//! Core then carries the few rows that came since and takes the new store over ([`Found::finish`]).
//!
//! Rows get new ids. `acknowledged` translates what an upstream had acknowledged of the old ones: rounded down to a
//! batch, so that a row may be sent twice and none is skipped. Rows without a date wait for the clock before they
//! are carried, since their times are only known then.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use forward::Acks;
use forward::acks::Span;
use model::{Batch, Clock, Disk, Labels, MetricKind, Mono, Now, Outbox, RowId, SourceId, Tail, TailRow};
use tsdb::{DiskOp, Reader, Store};

use super::{Medium, Refusal, try_open};
use crate::config::Storage;
use crate::disk;
use crate::os::tailfile::TailFile;

/// The longest pause between two attempts, in milliseconds; it is never longer than a sync interval.
const RETRY_MS_MAX: u64 = 30_000;
/// How many rows are read at a time.
const ROWS_MAX: usize = 2_048;
/// The source of rows that are carried over.
const CARRIED: SourceId = SourceId(3);
/// The stack of the thread, in bytes.
const STACK_BYTES: usize = 512 << 10;

/// A medium that works again, with what was carried to it so far.
pub struct Found {
    /// The medium.
    pub medium: Medium,
    carry: Carry,
}

/// Where to try what.
pub struct Retry {
    /// How the store is to be kept.
    pub storage: Storage,
    /// The data file.
    pub path: PathBuf,
    /// The store in memory.
    pub reader: Reader,
    /// The time.
    pub clock: Arc<dyn Clock + Send + Sync>,
    /// Is told when the medium works.
    pub tell: Box<dyn FnOnce(Box<Found>) + Send>,
}

/// Ends the attempts when it is dropped.
pub struct Attempts(#[expect(dead_code, reason = "only its end is waited for")] Sender<()>);

impl Retry {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(self) -> std::io::Result<Attempts> {
        let (end, ended) = channel::<()>();
        let pause = Duration::from_millis(RETRY_MS_MAX.min(self.storage.sync_interval_ms));
        std::thread::Builder::new().name("medium".to_owned()).stack_size(STACK_BYTES).spawn(move || {
            let mut found = None;
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(pause) {
                if found.is_none() {
                    found = self.attempt();
                }
                if let Some(ready) = found.take_if(|found| found.carry_over(&self.reader, self.clock.now())) {
                    (self.tell)(Box::new(ready));
                    return;
                }
            }
        })?;
        Ok(Attempts(end))
    }

    fn attempt(&self) -> Option<Found> {
        match try_open(&self.storage, &self.path, self.clock.now()) {
            Ok(medium) => Some(Found::new(medium)),
            Err(Refusal::Unusable(reason) | Refusal::Untouchable(reason)) => {
                log::debug!("{reason}: still everything is kept in memory");
                None
            }
        }
    }
}

impl Found {
    fn new(medium: Medium) -> Found {
        let begin = medium.store.reader().newest();
        Found { medium, carry: Carry { read: RowId::default(), begin, marks: Vec::new(), rows: 0 } }
    }

    /// Carries what there is; false when rows without a date are in the way, or what is there cannot be read.
    fn carry_over(&mut self, from: &Reader, now: Now) -> bool {
        let Medium { store, file, tail, .. } = &mut self.medium;
        match file {
            Some(file) => self.carry.run(from, store, file, tail.as_ref(), now),
            None => false,
        }
    }

    /// Carries what came since, on core's own thread: from now on nothing is appended to the old store.
    pub fn finish(mut self, from: &Reader, now: Now) -> (Medium, Carry) {
        if !self.carry_over(from, now) {
            log::warn!("the rows of the last moments stay behind: they cannot be read");
        }
        (self.medium, self.carry)
    }
}

/// What was carried from one store to another.
pub struct Carry {
    /// The last row that was read.
    read: RowId,
    /// The newest row of the new store before.
    begin: RowId,
    /// The last row of each batch: as it was, as it is.
    marks: Vec<(RowId, RowId)>,
    /// How many rows.
    pub rows: u64,
}

impl Carry {
    fn run(&mut self, from: &Reader, into: &mut Store, disk: &mut dyn Disk, tail: Option<&TailFile>, now: Now) -> bool {
        let mut found = Tail::default();
        loop {
            if from.since(self.read, None, ROWS_MAX, &mut found).is_err() || found.undated {
                return false;
            }
            if found.until <= self.read {
                return true;
            }
            for rows in found.rows.chunk_by(|a, b| a.sample.at == b.sample.at) {
                self.append(from, into, rows, now);
                settle(into, disk, tail, now);
            }
            self.read = found.until;
        }
    }

    /// Appends rows of one time as they were: with the elapsed time at which they were read.
    fn append(&mut self, from: &Reader, into: &mut Store, rows: &[TailRow], now: Now) {
        let Some((first, last)) = rows.first().zip(rows.last()) else { return };
        let at = first.sample.at;
        // By the new store's own idea of the time, which may be a millisecond off the old one's: dates stay as they were.
        into.tick(now);
        let ago_ms = (into.wall_of(now).0 - at.0).max(0) as u64;
        let then = Now { mono: Mono(now.mono.0.saturating_sub(ago_ms)), wall: at, wall_trusted: now.wall_trusted };
        let mut batch = Batch::new();
        for row in rows {
            let name = row.labels.name();
            match from.metadata(name) {
                Some(family) => batch.family_with_unit(name, &family.help, family.kind, &family.unit),
                None => batch.family(name, "", MetricKind::Unknown),
            }
            batch.add_labels(&row.labels, row.sample.value.clone());
            batch.stamp_last(None, row.sample.start);
        }
        let appended = into.append(then, &batch, CARRIED, &Labels::empty());
        into.forget_source(CARRIED);
        self.rows += appended.rows.end - appended.rows.first.n;
        if let Some(n) = appended.rows.end.checked_sub(1).filter(|n| *n >= appended.rows.first.n) {
            self.marks.push((last.id, RowId { n, ..appended.rows.first }));
        }
    }

    /// Returns an upstream's saved state in the new ids: what was saved with the new store, and of the rows carried
    /// those that were acknowledged up to `acknowledged` in the old ids.
    pub fn acknowledged(&self, saved: Option<&[u8]>, acknowledged: RowId) -> Option<Vec<u8>> {
        let done = self.marks.partition_point(|(old, _)| *old <= acknowledged).checked_sub(1)?;
        let mut acks = saved.and_then(Acks::restore).unwrap_or_default();
        acks.add(Span { after: self.begin, until: self.marks[done].1 });
        Some(acks.save())
    }
}

/// Does what the store wants done, here and now.
fn settle(store: &mut Store, disk: &mut dyn Disk, tail: Option<&TailFile>, now: Now) {
    let mut ops = Vec::new();
    loop {
        store.tick(now);
        store.take_ops(&mut ops);
        if ops.is_empty() && !store.is_packing() {
            return;
        }
        for op in ops.drain(..) {
            match op {
                DiskOp::Tail { offset, bytes } => {
                    if let Some(Err(error)) = tail.map(|tail| tail.write(offset, &bytes)) {
                        log::debug!("writing the unsynced tail: {error}");
                    }
                }
                op => {
                    if let Some(done) = disk::apply(disk, op) {
                        store.done(now, done);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
