//! Appending: the store's half of it, around `append.rs` (which series) and `head.rs` (which columns).
//!
//! Before a batch goes in, the open block is frozen if the worst case would not fit; so a block never has more pages
//! than the ring keeps free for it. Everything an append changes is one run of records: to the journal's pending
//! bytes, and as one frame to the tail file.

use std::sync::Arc;

use model::{Batch, Family, Labels, MetricKind, Now, RowId, RowRange, SourceId, UnixMs, fingerprint, stale_nan};

use crate::append::{Appended, Offered, Resolved, STALE_BYTES_MAX, TIME_MAX};
use crate::cells::{CELLS_SHARE, put_cell, put_family};
use crate::clock;
use crate::head::shape::Shape;
use crate::head::{Head, Input, InputValue};
use crate::layout::BLOB_PAYLOAD;
use crate::options::Mutation;
use crate::order::Order;
use crate::record::{self, Kind};
use crate::refused::Refused;
use crate::series::Index;
use crate::store::{CellError, DiskOp, State, Store};

/// So much room is kept for a batch's records, where they named series.
const RECORDS_KEPT: usize = 16 << 10;

impl Store {
    /// Appends a batch: its rows get consecutive ids in its own order. `extra` are labels laid over every row that
    /// does not have them itself. Series that the source had last time and has not now get a staleness marker.
    ///
    /// Samples that bring their own times are judged by these, see [`crate::Options::out_of_order_ms`]. A batch whose
    /// rows name no series is appended where its layout is known, see [`Appended::is_unknown`].
    pub fn append(&mut self, now: Now, batch: &Batch, source: SourceId, extra: &Labels) -> Appended {
        self.settle_clock(now);
        self.settle_order();
        self.append_by(true, now, batch, source, extra)
    }

    /// Appends a batch of our own making, whose times are ours: they are in order but where the clock was set back
    /// while it was made, and then it is taken all the same.
    pub fn append_own(&mut self, now: Now, batch: &Batch, source: SourceId, extra: &Labels) -> Appended {
        self.settle_clock(now);
        self.append_by(false, now, batch, source, extra)
    }

    fn append_by(&mut self, judged: bool, now: Now, batch: &Batch, source: SourceId, extra: &Labels) -> Appended {
        let mut order = if judged { std::mem::take(&mut self.order) } else { Order::any() };
        let appended = self.append_in(&mut order, now, batch, source, extra);
        if judged {
            self.order = order;
        }
        appended
    }

    fn append_in(&mut self, order: &mut Order, now: Now, batch: &Batch, source: SourceId, extra: &Labels) -> Appended {
        let print = if batch.layout() > 0 { u128::from(batch.layout()) } else { fingerprint(batch.shape()) };
        let offered = Offered { id: source.0, batch, extra, print };
        let (mut is_known, bytes_max) = self.judge(offered, source, order);
        if batch.is_bare() && !is_known && !self.can_place(offered, source) {
            return self.unknown();
        }
        if self.room() < bytes_max && self.shared.read().head.rows > 0 {
            self.freeze(now);
            is_known = false;
            if batch.is_bare() {
                return self.unknown();
            }
        }
        let room = self.room().saturating_sub(self.vanishing_bytes(source));
        let shared = Arc::clone(&self.shared);
        let state = &mut *shared.write();
        self.records.clear();
        self.span(state);
        let cache = self.sources.entry(source).or_default();
        let mut found = Resolved { new_series: 0, vanished: Vec::new() };
        if !is_known {
            for family in batch.families().iter().filter(|family| says_something(batch, family)) {
                let (name, small) = (batch.name(family), &mut state.small);
                if small.set_family(name, family.kind, batch.help(family), batch.unit(family)) {
                    let mut payload = Vec::new();
                    put_family(&mut payload, name, &small.families[name]);
                    record::put(&mut self.records, Kind::Family, &payload);
                }
            }
            let place = (&mut state.index, &mut state.head, &*order);
            found = cache.resolve(offered, place, room, &mut self.scratch, &mut self.records);
        }
        if order.is_kept() {
            cache.note_times(batch, &state.head, order);
        }
        let first = RowId { opening: self.opening, n: self.next_n };
        let tick = now.mono.0 as i64;
        if cache.columns > 0 {
            state.head.append(cache.source, cache.shape, tick, &mut cache.inputs(batch), &mut self.records);
        }
        let (end, refused) = (first.n + cache.columns as u64, cache.refused());
        let wall = clock::wall(state.small.epochs.newest(), now);
        let (index, head) = (&mut state.index, &mut state.head);
        let marked = mark_stale(index, head, source, &found.vanished, (tick, wall), &mut self.records);
        self.next_n = end + marked;
        state.stats.refuse(source, &refused);
        self.keep(state, first.n);
        if !is_known {
            self.records.shrink_to(RECORDS_KEPT);
        }
        self.stamp(now);
        let rows = RowRange { first, end };
        Appended {
            rows,
            new_series: found.new_series,
            vanished: found.vanished.len() as u64,
            refused,
            is_unknown: false,
        }
    }

    /// Returns that nothing was appended.
    fn unknown(&self) -> Appended {
        let next = RowId { opening: self.opening, n: self.next_n };
        let rows = RowRange { first: next, end: next.n };
        Appended { rows, new_series: 0, vanished: 0, refused: Refused::default(), is_unknown: true }
    }

    /// Lets a source's series go without markers, for a writer that sends its own.
    pub fn release(&mut self, source: SourceId) {
        if let Some(cache) = self.sources.get_mut(&source) {
            cache.release();
        }
    }

    /// Seals the open block now, if it has rows: for an import that is over.
    pub fn seal(&mut self, now: Now) {
        if self.shared.read().head.rows > 0 {
            self.freeze(now);
        }
    }

    /// Ends a source: all its series get a staleness marker.
    pub fn end_source(&mut self, now: Now, source: SourceId) {
        self.settle_clock(now);
        if self.room() < self.vanishing_bytes(source) {
            self.freeze(now);
        }
        let Some(mut cache) = self.sources.remove(&source) else { return };
        let shared = Arc::clone(&self.shared);
        let state = &mut *shared.write();
        self.records.clear();
        self.span(state);
        let wall = clock::wall(state.small.epochs.newest(), now);
        let (index, head, series) = (&mut state.index, &mut state.head, cache.take_series());
        let first = self.next_n;
        self.next_n += mark_stale(index, head, source, &series, (now.mono.0 as i64, wall), &mut self.records);
        self.keep(state, first);
    }

    /// Keeps a small named state: it is certain with the next sync, and as old as the rows that are kept with it.
    /// Empty bytes remove it.
    ///
    /// # Errors
    /// When all cells together would be too large; the cell is then as it was.
    pub fn put_cell(&mut self, name: &str, bytes: &[u8]) -> Result<(), CellError> {
        let shared = Arc::clone(&self.shared);
        let state = &mut *shared.write();
        let old = state.small.cells.get(name);
        if old.map_or(bytes.is_empty(), |old| old == bytes) {
            return Ok(());
        }
        let all = state.small.cell_bytes() + bytes.len() + name.len() + 8 - old.map_or(0, Vec::len);
        let slot = self.shared.geometry.slot_pages() as usize * BLOB_PAYLOAD;
        let bytes_max = slot * CELLS_SHARE.0 / CELLS_SHARE.1;
        if all > bytes_max && !bytes.is_empty() {
            return Err(CellError::TooLarge { bytes: all, bytes_max });
        }
        let mut payload = Vec::with_capacity(name.len() + bytes.len() + 8);
        put_cell(&mut payload, name, bytes);
        self.records.clear();
        record::put(&mut self.records, Kind::Cell, &payload);
        if bytes.is_empty() {
            state.small.cells.remove(name);
        } else {
            state.small.cells.insert(name.to_owned(), bytes.to_vec());
        }
        if self.options.mutation != Mutation::CellBesideStream {
            self.keep(state, self.next_n);
        }
        Ok(())
    }

    /// Returns a small named state.
    pub fn cell(&self, name: &str) -> Option<Vec<u8>> {
        self.shared.read().small.cells.get(name).cloned()
    }

    /// Returns the names of the cells that begin so, in ascending order.
    pub fn cell_names(&self, prefix: &str) -> Vec<String> {
        let state = self.shared.read();
        let from = state.small.cells.range(prefix.to_owned()..);
        from.map(|(name, _)| name).take_while(|name| name.starts_with(prefix)).cloned().collect()
    }

    /// Takes note of the clock: dates the present epoch or begins a new one.
    pub(crate) fn settle_clock(&mut self, now: Now) {
        let shared = Arc::clone(&self.shared);
        let mut guard = shared.write();
        let state = &mut *guard;
        let known = state.small.last_wall.clamp(self.options.build_date.0.min(TIME_MAX), TIME_MAX);
        let Self { clock_first, options, .. } = self;
        let change =
            clock::settle(&state.small.epochs, *clock_first, options.boot, known, options.clock_step_ms_min, now);
        self.clock_first = false;
        if change.set.is_empty() {
            return;
        }
        self.records.clear();
        for epoch in change.set {
            state.set_epoch(epoch);
            let mut payload = Vec::new();
            epoch.put(&mut payload);
            record::put(&mut self.records, Kind::Epoch, &payload);
        }
        if self.options.mutation == Mutation::EpochBesideStream {
            return;
        }
        self.keep(state, self.next_n);
        drop(guard);
        self.redate();
    }

    /// Is told the newest row that any upstream was ever handed: rows up to here keep their dates. Until it is told for
    /// the first time after opening, no row's date is changed.
    pub fn note_sent(&mut self, newest: RowId) {
        self.handed_out = self.handed_out.max(Some(newest));
        self.redate();
    }

    /// Gives the rows that were not sent another date, where the clock was set back.
    fn redate(&mut self) {
        let Some(sent) = self.handed_out else { return };
        let shared = Arc::clone(&self.shared);
        let state = &mut *shared.write();
        let Some(epoch) = clock::redated(&state.small.epochs, sent) else { return };
        let heads = [Some(&state.head), state.frozen.as_ref()].into_iter().flatten();
        let ahead = heads.map(|head| head.rows_ahead(&epoch)).sum::<u64>();
        state.stats.sent_ahead += ahead + state.ring.rows_ahead(&epoch);
        state.set_epoch(epoch);
        self.records.clear();
        let mut payload = Vec::new();
        epoch.put(&mut payload);
        record::put(&mut self.records, Kind::Epoch, &payload);
        self.keep(state, self.next_n);
    }

    /// Tells what judges samples by their times how far time has come.
    fn settle_order(&mut self) {
        let state = self.shared.read();
        let epoch = state.small.epochs.newest().map_or(0, |epoch| epoch.number);
        self.order.begin(epoch, state.small.last_wall, &state.index);
    }

    /// Puts what opening left pending into the tail file, which is begun anew.
    pub(crate) fn begin_tail(&mut self) {
        let Some(journal) = &self.journal else { return };
        let block = self.shared.read().head.block;
        if self.tail.is_on()
            && let Some((offset, bytes)) = self.tail.frame(block, journal.position(), journal.pending())
        {
            self.ops.push(DiskOp::Tail { offset, bytes });
        }
    }

    /// Returns whether all of a batch's rows go where the last one's went, and how many bytes of the open block they
    /// can take at most.
    fn judge(&mut self, offered: Offered<'_>, source: SourceId, order: &Order) -> (bool, usize) {
        let state = &*self.shared.read();
        let cache = self.sources.entry(source).or_default();
        let is_known = cache.knows(offered, state.head.block) && cache.in_order(offered.batch, &state.head, order);
        (is_known, cache.bytes_max(offered, is_known, (&state.index, &state.head), &mut self.scratch))
    }

    /// Returns whether the rows of a batch that names no series go where they once went when it did.
    fn can_place(&self, offered: Offered<'_>, source: SourceId) -> bool {
        let block = self.shared.read().head.block;
        self.sources.get(&source).is_some_and(|cache| cache.can_place(offered, block))
    }

    /// Returns how many more bytes the open block can surely take.
    fn room(&self) -> usize {
        self.block_bytes_max().saturating_sub(self.shared.read().head.sealed_bytes())
    }

    /// Returns the most bytes that markers for all of a source's series can take in a fresh block.
    fn vanishing_bytes(&self, source: SourceId) -> usize {
        self.sources.get(&source).map_or(0, |cache| cache.columns * STALE_BYTES_MAX)
    }

    /// Begins a span where the rows to come do not go on from the one in force.
    fn span(&mut self, state: &mut State) {
        let next = RowId { opening: self.opening, n: self.next_n };
        let epoch = state.small.epochs.newest().map_or(0, |epoch| epoch.number);
        let head = &mut state.head;
        if head.next_id() != Some(next) || head.spans.last().is_some_and(|span| span.epoch != epoch) {
            head.span(next, epoch, &mut self.records);
        }
    }

    /// Hands the records of one change to the journal and the tail file.
    fn keep(&mut self, state: &mut State, first_n: u64) {
        if self.next_n > first_n {
            state.stats.appended += self.next_n - first_n;
            state.note_row();
        }
        let Some(journal) = &mut self.journal else { return };
        if self.records.is_empty() {
            return;
        }
        journal.add(&self.records);
        if self.tail.is_on() {
            match self.tail.frame(state.head.block, journal.position(), &self.records) {
                Some((offset, bytes)) => self.ops.push(DiskOp::Tail { offset, bytes }),
                None => state.stats.tail_full += 1,
            }
        }
    }
}

/// Appends staleness markers for a source's series; returns how many rows that were.
fn mark_stale(
    index: &mut Index,
    head: &mut Head,
    source: SourceId,
    series: &[(u32, bool)],
    (tick, wall): (i64, UnixMs),
    out: &mut Vec<u8>,
) -> u64 {
    if series.is_empty() {
        return 0;
    }
    let place = head.source(source.0, out);
    let mut columns = Vec::with_capacity(series.len());
    for (series, own_times) in series {
        let Some(labels) = index.labels(*series) else { continue };
        head.series(*series, labels.packed(), out);
        index.seen(*series, head.block);
        columns.push(head.column(place, *series, *own_times, out));
    }
    if columns.is_empty() {
        return 0;
    }
    let shape = head.shape(place, Shape::of(&columns), out);
    let marker = Input { value: InputValue::Float(stale_nan()), at: wall.0, start: None };
    head.append(place, shape, tick, &mut std::iter::repeat_n(marker, columns.len()), out);
    columns.len() as u64
}

/// Returns whether a family tells anything of its metric: a name alone would wipe out what another source told.
fn says_something(batch: &Batch, family: &Family) -> bool {
    family.kind != MetricKind::Unknown || !batch.help(family).is_empty() || !batch.unit(family).is_empty()
}
