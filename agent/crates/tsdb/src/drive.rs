//! What is due, and what became of it: the store's state machine around the journal and the sealing.
//!
//! At most one journal group (pages and a sync) and one write or sync of the sealing are on their way at a time; they
//! share the queue. A fault makes both begin anew at the next interval, whichever of them it hit: after a failed
//! sync nothing is certain that came before it.

use std::sync::Arc;

use model::{Mono, Now, RowId, UnixMs};

use crate::head::Head;
use crate::index::LINES_MAX;
use crate::journal::Journal;
use crate::layout::{BLOB_PAYLOAD, PAGE};
use crate::options::Mutation;
use crate::recover::begin_record;
use crate::seal::{Output, Sealing, forget};
use crate::store::{DiskOp, Group, OpDone, Sent, State, Stats, Store};

/// The most spans a block may have.
const SPANS_MAX: usize = 256;
/// The most rows a block may have.
const ROWS_MAX: u32 = 1 << 30;
const DAY_MS: u64 = 86_400_000;
/// How often it is looked for blocks that are older than is kept.
const RETENTION_STEP_MS: u64 = 60_000;

impl Store {
    /// Does what is due: ends a sync interval, freezes a block that is full, goes on sealing.
    pub fn tick(&mut self, now: Now) {
        self.settle_clock(now);
        self.expire(now);
        if self.is_full(now) && self.shared.read().frozen.is_none() {
            self.freeze(now);
        }
        self.stamp(now);
        let is_crowded = self.journal.as_ref().is_some_and(Journal::is_crowded);
        let is_due = self.sync_due().is_some_and(|due| match &self.journal {
            Some(journal) if journal.fills_a_page() => now.mono.plus_ms(self.options.sync_interval_ms / 4) >= due,
            _ => now.mono >= due,
        });
        if is_due || self.flush_ticket.is_some() || is_crowded {
            self.sync(now);
        }
        self.step_sealing(now);
    }

    /// Drops the blocks that are older than is kept. Only by a date that is true: a wrong one must not cost anything.
    fn expire(&mut self, now: Now) {
        let Some(kept_ms) = self.options.retention_ms else { return };
        if now.mono < self.next_retention || !self.is_dated() {
            return;
        }
        self.next_retention = now.mono.plus_ms(RETENTION_STEP_MS);
        let shared = Arc::clone(&self.shared);
        let state = &mut *shared.write();
        let oldest = state.small.last_wall.saturating_sub_unsigned(kept_ms);
        let mut rows = 0;
        while let Some(block) = state.ring.blocks.front().filter(|block| block.newest < oldest) {
            rows += u64::from(block.rows);
            state.ring.blocks.pop_front();
        }
        if rows > 0 {
            state.stats.expired += rows;
            let frozen = state.frozen.as_ref().map_or(state.head.block, |frozen| frozen.block);
            let first = state.ring.blocks.front().map_or(frozen, |block| block.number);
            state.index.forget_before(first);
        }
    }

    /// Makes everything appended so far certain as soon as possible. The sync that does it has the ticket returned.
    ///
    /// A disk that fails, or that has not taken an older block yet, may take long: whoever waits needs a limit.
    pub fn flush(&mut self, now: Now) -> u64 {
        let ticket = *self.flush_ticket.get_or_insert_with(|| {
            self.next_ticket += 1;
            self.next_ticket - 1
        });
        self.sync(now);
        ticket
    }

    /// Returns when to call [`Store::tick`] again.
    pub fn next_deadline(&self) -> Option<Mono> {
        let journal = self.journal.as_ref()?;
        // What was not stamped is stamped at once.
        let sync = (journal.has_pending() && self.group.is_none()).then(|| self.sync_due().unwrap_or_default());
        let seal = self.sealing.as_ref().filter(|sealing| !sealing.waiting && !sealing.is_done());
        let seal = seal.map(|sealing| sealing.retry_at.unwrap_or_default());
        let state = self.shared.read();
        let ages = state.head.rows > 0 && state.frozen.is_none();
        let full = ages.then(|| self.head_begun.plus_ms(self.options.block_ms_max));
        [sync, seal, full].into_iter().flatten().min()
    }

    /// Returns whether a block is being packed: each [`Store::tick`] does a little of that, and no operation of the disk
    /// is on its way for it.
    pub fn is_packing(&self) -> bool {
        self.sealing.as_ref().is_some_and(Sealing::is_packing)
    }

    /// What came since the owner told the time last waits from now on.
    pub(crate) fn stamp(&mut self, now: Now) {
        self.journal.iter_mut().for_each(|journal| journal.stamp(now.mono));
    }

    /// Returns when the oldest of what is pending has waited for as long as it may. So a sync is as late as it can be,
    /// and what came just before it costs no page of its own.
    fn sync_due(&self) -> Option<Mono> {
        let since = self.journal.as_ref()?.since()?;
        Some(since.plus_ms(self.options.sync_interval_ms).max(self.retry_sync))
    }

    /// Moves the operations that are to be done to `out`, in order.
    pub fn take_ops(&mut self, out: &mut Vec<DiskOp>) {
        out.append(&mut self.ops);
    }

    /// Is told what became of the oldest operation that has not been answered; tail frames have no answer.
    pub fn done(&mut self, now: Now, done: OpDone) {
        let result = match done {
            OpDone::Written { result } => result,
            OpDone::Synced { result, .. } => {
                self.shared.write().stats.syncs += 1;
                result
            }
        };
        let Some(sent) = self.sent.pop_front() else { return };
        if result.is_err() {
            self.fault(now);
        }
        match sent {
            Sent::Journal => {
                let left = self.sent.iter().any(|sent| matches!(sent, Sent::Journal | Sent::JournalSync));
                if !left {
                    self.end_group();
                }
            }
            Sent::JournalSync => self.end_group(),
            Sent::Seal(attempt) | Sent::SealSync(attempt) => {
                let is_last = !self.sent.contains(&Sent::Seal(attempt));
                if attempt == self.seal_attempt && result.is_ok() && is_last {
                    self.sealed_one_step(now);
                }
            }
        }
    }

    /// Returns what is counted.
    pub fn stats(&self) -> Stats {
        stats(&self.shared.read(), self.shared.geometry.ring_pages())
    }

    pub(crate) fn block_bytes_max(&self) -> usize {
        self.shared.read().ring.block_pages_max as usize * BLOB_PAYLOAD
    }

    fn is_full(&self, now: Now) -> bool {
        let state = self.shared.read();
        let area = u64::from(self.shared.geometry.journal_pages());
        let journal = self.journal.as_ref();
        let crowded = journal.is_some_and(|journal| journal.given_up() || journal.pages_used() * 4 > area * 3);
        let full = state.head.sealed_bytes() + state.head.sealed_bytes() / 8 > self.block_bytes_max_of(&state)
            || state.head.histogram_bytes() > self.block_bytes_max_of(&state)
            || state.head.spans.len() >= SPANS_MAX
            || state.head.rows >= ROWS_MAX
            || state.head.lines_max() >= LINES_MAX
            || now.mono.since_ms(self.head_begun) >= self.options.block_ms_max;
        crowded || (full && state.head.rows > 0)
    }

    fn block_bytes_max_of(&self, state: &State) -> usize {
        state.ring.block_pages_max as usize * BLOB_PAYLOAD
    }

    /// Freezes the open block and begins the next; a frozen block that the disk never took is dropped, and counted.
    pub(crate) fn freeze(&mut self, now: Now) {
        let shared = Arc::clone(&self.shared);
        let state = &mut *shared.write();
        let mut pool = state.head.pool.split();
        if let Some(dropped) = state.frozen.take() {
            state.stats.dropped += u64::from(dropped.rows);
            pool.adopt(dropped.pool);
            self.sealing = None;
            self.seal_attempt += 1;
        }
        let block = state.head.block + 1;
        let next = Head::after(&state.head, pool);
        let head = std::mem::replace(&mut state.head, next);
        self.head_begun = now.mono;
        if let (Some(journal), Some(site)) = (&mut self.journal, self.site) {
            let before = journal.position();
            let (small, next_series) = (&state.small, state.index.next());
            let slot = self.slot ^ u32::from(site.mutation != Mutation::SameSlot);
            let sealing = Sealing::new(site, &head, small, next_series, slot, &mut state.ring);
            let lost = forget(&mut state.ring, &mut state.index, &sealing.block);
            state.stats.overwritten += lost;
            state.small.keep_families(&state.index);
            self.sealing = Some(sealing);
            journal.begin(block);
            let record = begin_record(block, before);
            journal.add(&record);
            if let Some((offset, bytes)) =
                self.tail.is_on().then(|| self.tail.frame(block, journal.position(), &record)).flatten()
            {
                self.ops.push(DiskOp::Tail { offset, bytes });
            }
            if site.mutation == Mutation::FreeJournalEarly {
                journal.free(head.block);
            }
        } else {
            state.index.forget_before(head.block);
        }
        state.frozen = Some(head);
    }

    /// Begins a journal group, if there is something pending and none is on its way.
    fn sync(&mut self, now: Now) {
        let Some(journal) = &mut self.journal else { return };
        if self.group.is_some() || (!journal.has_pending() && self.flush_ticket.is_none()) {
            return;
        }
        // Should it fail, it is not tried again before that.
        self.retry_sync = now.mono.plus_ms(self.options.sync_interval_ms);
        let (ops, sent) = (&mut self.ops, &mut self.sent);
        let mut written = 0;
        let room = journal.cut(&mut |offset, bytes: Vec<u8>| {
            written += bytes.len() as u64;
            ops.push(DiskOp::Write { offset, bytes });
            sent.push_back(Sent::Journal);
        });
        if !room {
            return;
        }
        self.tail.turn();
        let state = &mut *self.shared.write();
        state.stats.journal_bytes += written;
        self.group = Some(Group { bad: false, certain: state.newest });
        let skip = self.site.is_some_and(|site| site.mutation == Mutation::SkipJournalSync) && written > 0;
        if !skip {
            let ticket = self.flush_ticket.take().unwrap_or_else(|| {
                self.next_ticket += 1;
                self.next_ticket - 1
            });
            ops.push(DiskOp::Sync { ticket });
            sent.push_back(Sent::JournalSync);
        }
    }

    fn end_group(&mut self) {
        let (Some(group), Some(journal)) = (self.group.take(), &mut self.journal) else { return };
        if group.bad && self.options.mutation != Mutation::BelieveFailedSync {
            journal.failed();
            return;
        }
        journal.certain(self.options.mutation);
        self.retry_sync = Mono::default();
        self.tail.settle();
        let state = &mut *self.shared.write();
        state.stats.certain = state.stats.certain.max(group.certain);
    }

    /// Hands out the next step of sealing, if none is on its way.
    fn step_sealing(&mut self, now: Now) {
        let Some(sealing) = &mut self.sealing else { return };
        if sealing.waiting || sealing.is_done() || sealing.retry_at.is_some_and(|at| now.mono < at) {
            return;
        }
        sealing.retry_at = None;
        let state = self.shared.read();
        let Some(frozen) = &state.frozen else { return };
        match sealing.step(frozen) {
            Some(Output::Write(offset, bytes)) => {
                let (ops, sent, attempt) = (&mut self.ops, &mut self.sent, self.seal_attempt);
                self.shared.geometry.place(offset, bytes, &mut |offset, bytes| {
                    ops.push(DiskOp::Write { offset, bytes });
                    sent.push_back(Sent::Seal(attempt));
                });
            }
            Some(Output::Sync) => {
                self.ops.push(DiskOp::Sync { ticket: self.next_ticket });
                self.next_ticket += 1;
                self.sent.push_back(Sent::SealSync(self.seal_attempt));
            }
            // The next step is due at once, behind whatever else is.
            Some(Output::Later) | None => return,
        }
        sealing.waiting = true;
    }

    fn sealed_one_step(&mut self, now: Now) {
        let Some(sealing) = &mut self.sealing else { return };
        sealing.waiting = false;
        if !sealing.is_done() {
            self.step_sealing(now);
            return;
        }
        let shared = Arc::clone(&self.shared);
        let state = &mut *shared.write();
        // Its rows may have been dated while it was on its way: it reaches as far as before and as now.
        let mut block = sealing.block;
        if let Some((oldest, newest)) = state.frozen.as_ref().and_then(|frozen| head_range(state, frozen)) {
            (block.oldest, block.newest) = (block.oldest.min(oldest), block.newest.max(newest));
        }
        state.ring.add(block);
        state.stats.block_bytes += sealing.bytes_written;
        state.stats.certain = state.stats.certain.max(last_row(sealing.block.end));
        self.slot ^= 1;
        if let Some(journal) = &mut self.journal {
            journal.free(sealing.block.number);
        }
        if let Some(frozen) = state.frozen.take() {
            state.head.pool.adopt(frozen.pool);
        }
        self.sealing = None;
    }

    fn fault(&mut self, now: Now) {
        let state = &mut *self.shared.write();
        state.stats.faults += 1;
        if let Some(group) = &mut self.group {
            group.bad = true;
        }
        if let Some(sealing) = &mut self.sealing {
            sealing.failed(now.mono.plus_ms(self.options.sync_interval_ms), &state.ring);
            state.stats.overwritten += forget(&mut state.ring, &mut state.index, &sealing.block);
            self.seal_attempt += 1;
        }
    }
}

fn last_row(end: RowId) -> RowId {
    RowId { opening: end.opening, n: end.n.saturating_sub(1) }
}

/// Returns what is counted and what follows from it.
pub(crate) fn stats(state: &State, ring_pages: u32) -> Stats {
    let mut stats = state.stats;
    let heads = || [Some(&state.head), state.frozen.as_ref()].into_iter().flatten();
    let page = PAGE as u64;
    stats.ring_bytes = u64::from(ring_pages) * page;
    stats.used_bytes = state.ring.used_pages() * page;
    stats.blocks = state.ring.blocks.len() as u64;
    stats.frozen = state.frozen.is_some();
    stats.open_rows = heads().map(|head| u64::from(head.rows)).sum();
    stats.rows = state.ring.blocks.iter().map(|block| u64::from(block.rows)).sum::<u64>() + stats.open_rows;
    stats.series = state.index.len() as u64;
    stats.label_bytes = state.index.label_bytes() as u64;
    stats.head_series = u64::from(state.head.table_series);
    stats.head_bytes = heads().map(|head| head.memory_bytes() as u64).sum();
    let ranges = heads().filter_map(|head| head_range(state, head));
    let ranges = ranges.chain(state.ring.blocks.iter().filter(|b| b.rows > 0).map(|b| (b.oldest, b.newest)));
    let whole = ranges.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
    (stats.oldest, stats.newest) = (whole.map(|w| UnixMs(w.0)), whole.map(|w| UnixMs(w.1)));
    stats.bytes_per_day = bytes_per_day(state);
    stats.days = stats.bytes_per_day.map(|bytes| stats.ring_bytes as f64 / bytes as f64);
    stats
}

/// Returns the oldest and newest time in an open or frozen block.
pub(crate) fn head_range(state: &State, head: &Head) -> Option<(i64, i64)> {
    let spans = head.spans.iter().filter(|span| span.tick_min <= span.tick_max);
    let spans = spans.filter_map(|span| {
        let epoch = state.small.epochs.get(span.epoch)?;
        Some(epoch.range(span.tick_min, span.tick_max))
    });
    let own = (head.private_min <= head.private_max).then_some((head.private_min, head.private_max));
    spans.chain(own).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}

/// Estimates from the newest blocks, or from the open one while there is none.
fn bytes_per_day(state: &State) -> Option<u64> {
    let day = |bytes: u64, ms: u64| (ms > 0 && bytes > 0).then(|| (bytes.saturating_mul(DAY_MS) / ms).max(1));
    let newest = state.ring.blocks.iter().rev().take(12).filter(|block| block.newest > block.oldest);
    let blocks = newest.fold((0, 0), |(bytes, ms), block| {
        (bytes + u64::from(block.pages) * PAGE as u64, block.newest.abs_diff(block.oldest).saturating_add(ms))
    });
    if blocks.1 > 0 {
        return day(blocks.0, blocks.1);
    }
    let span = state.head.spans.last().filter(|span| span.tick_max > span.tick_min)?;
    let (streams, ms) = (state.head.stream_bytes() as u64, span.tick_max.abs_diff(span.tick_min));
    let fixed = (state.head.sealed_bytes() - state.head.stream_bytes()) as u64;
    Some(day(streams, ms)? + fixed * 12)
}
