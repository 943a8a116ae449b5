//! What a store lives through: rows of two sources, series that come and go, a cell that changes, syncs, seals, a ring
//! that wraps, clock steps, disks that fail, kills, reopenings; with cuts tried at every operation of the disk.
//!
//! A life tells `cuts` what the disk is about to do and `history` what was done. It knows of the file's layout only
//! the marks of the pages, to say what a cut was within.

mod batches;

use std::collections::VecDeque;
use std::sync::Arc;

use model::{Labels, Outbox, ReadAt, RowId, Tail};
use support::disk::{AROUND, Fate, FaultyDisk};
use tsdb::{DiskOp, OpDone, Options, Store};

use crate::cuts::{Counts, Cuts, opens_after};
use crate::history::{Court, Event, History, cell_version, row_of, rows};
use crate::now;

/// How fast the disk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// All that is asked for is done before the next batch.
    Prompt,
    /// One operation between two batches: rows come while syncs are on their way.
    OneByOne,
}

/// What a life is like.
#[derive(Clone)]
pub struct Plan {
    pub seed: u64,
    pub options: Options,
    pub pace: Pace,
    /// What is tried at every operation.
    pub fates: Vec<Fate>,
    /// Cuts destroy what lies around the last write.
    pub erases: bool,
    /// No cuts but those within openings.
    pub only_openings: bool,
    /// How many series of noise a batch has.
    pub noise: u64,
    /// How many bytes of labels a series has that is new with each second batch: so few rows fill a small ring.
    pub filler: usize,
    /// Every how many operations one fails.
    pub fail_every: Option<u64>,
    /// What stands between the store and the medium.
    pub through: fn(FaultyDisk) -> Arc<dyn ReadAt>,
    /// How what a cut leaves is opened, when not as before.
    pub judged_as: Option<Options>,
    /// Syncs behind a write of this kind are answered and not done.
    pub leaves_out: Option<&'static str>,
}

/// The store reads the medium as it is.
pub fn plainly(disk: FaultyDisk) -> Arc<dyn ReadAt> {
    Arc::new(disk)
}

impl Plan {
    pub fn new(seed: u64, options: Options, pace: Pace, fates: &[Fate]) -> Plan {
        let fates = fates.to_vec();
        let (noise, filler, fail_every, leaves_out) = (3, 2_400, None, None);
        Plan {
            seed,
            options,
            pace,
            fates,
            noise,
            filler,
            fail_every,
            through: plainly,
            judged_as: None,
            leaves_out,
            only_openings: false,
            erases: false,
        }
    }

    pub fn court(&self) -> Court<'_> {
        Court { options: self.judged_as.as_ref().unwrap_or(&self.options), through: self.through }
    }

    fn open(&self, disk: &FaultyDisk, tail: Option<&[u8]>, ms: u64) -> Result<Store, String> {
        let opened = Store::open(&mut disk.clone(), (self.through)(disk.clone()), tail, self.options.clone(), now(ms));
        opened.map(|(store, _)| store).map_err(|error| error.to_string())
    }
}

pub struct Life {
    pub plan: Plan,
    disk: FaultyDisk,
    tail: Vec<u8>,
    store: Store,
    ops: VecDeque<DiskOp>,
    history: History,
    ms: u64,
    version: u32,
    step: u64,
    flushes: Vec<(u64, usize)>,
    newest_block: u64,
    steps: u64,
    /// A clock step is on its way to the medium.
    stepped: bool,
    /// The labels of the series that vanishes with the next batch.
    fillers: Option<Labels>,
    /// What the last write was part of, and where in the ring the last one was.
    kind: &'static str,
    ring_place: u64,
    /// Where the journal was written to.
    journal: Option<(u64, u64)>,
    cuts: Cuts,
    pub counts: Counts,
    pub sealed: u64,
    pub openings: u64,
    pub faults: u64,
    /// How often bits rotted, and how many rows that cost.
    pub rotten: u64,
    pub rotten_rows: u64,
}

impl Life {
    /// Begins a life with a new file; its creation is cut at every operation too.
    pub fn new(plan: Plan) -> Result<Life, String> {
        let (mut counts, history) = (Counts::default(), History::default());
        let mut cuts = Cuts::default();
        let made = FaultyDisk::default();
        opens_after(&made, &plan, None, &history, "creation", &mut counts, &mut cuts)?;
        let disk = FaultyDisk::default();
        let store = plan.open(&disk, None, 0)?;
        Ok(Life {
            plan,
            disk,
            tail: Vec::new(),
            store,
            ops: VecDeque::new(),
            history,
            ms: 0,
            version: 0,
            step: 0,
            flushes: Vec::new(),
            newest_block: 0,
            steps: 0,
            stepped: false,
            fillers: None,
            kind: "append",
            ring_place: 0,
            journal: None,
            cuts,
            counts,
            sealed: 0,
            openings: 1,
            faults: 0,
            rotten: 0,
            rotten_rows: 0,
        })
    }

    /// Lives on for so many batches, reopening now and then; tries every fate at every operation.
    pub fn live(&mut self, batches: u64, reopen_every: u64) -> Result<(), String> {
        for batch in 1..=batches {
            self.append();
            self.pass(5_000)?;
            if batch % reopen_every == 0 {
                self.reopen_cutting()?;
            }
        }
        self.flush()
    }

    /// Lives on while the power goes at random moments or the process is killed, and each life goes on from what was
    /// left.
    pub fn live_and_lose_power(&mut self, times: u64) -> Result<(), String> {
        let mut seed = self.plan.seed;
        for _ in 0..times {
            for _ in 0..20 + random(&mut seed) % 40 {
                self.append();
                self.pass(5_000)?;
            }
            if random(&mut seed).is_multiple_of(3) {
                self.flush()?;
                self.append();
            }
            self.store.flush(now(self.ms));
            self.take_ops();
            for _ in 0..random(&mut seed) % 6 {
                self.one_op()?;
            }
            if let Some(DiskOp::Write { offset, bytes }) = self.ops.front() {
                let _ = model::Disk::write(&mut self.disk.clone(), *offset, bytes);
            }
            self.note_oldest();
            let fate = Fate::ALL[random(&mut seed) as usize % Fate::ALL.len()];
            let left = self.disk.after(fate);
            self.history.judge(&left.fork(), None, &self.plan.court())?;
            self.counts.add("long lives");
            self.rot(&left, &mut seed)?;
            if random(&mut seed).is_multiple_of(4) {
                // Killed instead: nothing is lost, and what opening writes again is certain from then on.
                let (killed, tail) = (self.disk.after_kill(), self.tail.clone());
                self.history.certain = self.history.events.len();
                self.restart(killed, Some(&tail))?;
                self.try_cuts()?;
            } else {
                self.restart(left, None)?;
            }
        }
        Ok(())
    }

    /// Lets bits rot in what a cut left: what is found is true, and what is missing is known to be.
    fn rot(&mut self, left: &FaultyDisk, seed: &mut u64) -> Result<(), String> {
        let bytes = left.bytes();
        let pages: Vec<usize> = (10..64).filter(|p| bytes[p * 4096..][..4096].iter().any(|b| *b != 0)).collect();
        let rotten = left.fork();
        for _ in 0..1 + random(seed) % 3 {
            let page = pages[random(seed) as usize % pages.len()];
            rotten.rot(page as u64 * 4096 + random(seed) % 4096, 1 << (random(seed) % 8));
        }
        self.rotten += 1;
        self.rotten_rows += self.history.judge_destroyed(&rotten, &self.plan.court(), &|_| true)?;
        Ok(())
    }

    /// Is killed after each batch, sometimes with operations on their way: all that was appended must be there.
    pub fn live_and_be_killed(&mut self, batches: u64) -> Result<u64, String> {
        for batch in 1..=batches {
            self.append();
            if batch % 3 == 0 {
                self.store.flush(now(self.ms));
            }
            self.take_ops();
            for _ in 0..batch % 5 {
                self.one_op()?;
            }
            if batch % 5 == 4 {
                self.all_ops()?;
            }
            // Tail frames are written at once; what the disk was still to do is lost with the process.
            self.note_oldest();
            let killed = self.disk.after_kill();
            let all = History { certain: self.history.events.len(), ..self.history.clone() };
            all.judge(&killed.fork(), Some(&self.tail), &self.plan.court())
                .map_err(|fault| format!("{batch}: {fault}"))?;
            if batch % 10 == 0 {
                let tail = self.tail.clone();
                self.restart(killed, Some(&tail))?;
            }
            self.ms += 5_000;
        }
        Ok(batches)
    }

    fn pass(&mut self, ms: u64) -> Result<(), String> {
        self.ms += ms;
        self.store.tick(now(self.ms));
        self.take_ops();
        match self.plan.pace {
            Pace::Prompt => self.all_ops(),
            Pace::OneByOne => {
                self.one_op()?;
                // A disk that is slower than that for long makes the store drop rows, which is another promise.
                while self.ops.len() > 3 || self.store.stats().frozen {
                    // A seal that failed is tried again when it is time.
                    self.ms += if self.ops.is_empty() && !self.store.is_packing() { 1_000 } else { 0 };
                    self.one_op()?;
                    self.store.tick(now(self.ms));
                    self.take_ops();
                }
                Ok(())
            }
        }
    }

    fn flush(&mut self) -> Result<(), String> {
        let ticket = self.store.flush(now(self.ms));
        self.flushes.push((ticket, self.history.events.len()));
        self.all_ops()
    }

    fn take_ops(&mut self) {
        let mut ops = Vec::new();
        self.store.take_ops(&mut ops);
        for op in ops {
            match op {
                DiskOp::Tail { offset, bytes } => {
                    let end = offset as usize + bytes.len();
                    self.tail.resize(self.tail.len().max(end), 0);
                    self.tail[offset as usize..end].copy_from_slice(&bytes);
                }
                op => self.ops.push_back(op),
            }
        }
    }

    fn all_ops(&mut self) -> Result<(), String> {
        self.take_ops();
        while !self.ops.is_empty() {
            self.one_op()?;
            self.store.tick(now(self.ms));
            self.take_ops();
        }
        Ok(())
    }

    /// Does one operation, and tries what is left when the power goes within it or behind it.
    fn one_op(&mut self) -> Result<(), String> {
        let Some(op) = self.ops.pop_front() else { return Ok(()) };
        self.note_oldest();
        if let Some(every) = self.plan.fail_every
            && self.disk.ops() % every == every - 1
        {
            self.disk.fail_once(0);
            self.faults += 1;
        }
        match op {
            DiskOp::Write { offset, bytes } => {
                let result = model::Disk::write(&mut self.disk, offset, &bytes);
                self.kind = self.kind_of(offset, &bytes);
                self.try_cuts()?;
                self.store.done(now(self.ms), OpDone::Written { result });
            }
            DiskOp::Sync { ticket } => {
                self.try_cuts()?;
                let left_out = self.plan.leaves_out == Some(self.kind);
                let result = if left_out { Ok(()) } else { model::Disk::sync(&mut self.disk) };
                let good = result.is_ok();
                self.store.done(now(self.ms), OpDone::Synced { ticket, result });
                if good {
                    self.acknowledge(ticket);
                }
                self.note_certain();
                self.try_cuts()?;
                self.stepped &= !good || self.kind != "append";
            }
            DiskOp::Tail { .. } => {}
        }
        self.note_seals();
        self.note_certain();
        self.take_ops();
        Ok(())
    }

    /// Returns what a write is part of, by the mark of its first page.
    fn kind_of(&mut self, offset: u64, bytes: &[u8]) -> &'static str {
        match &bytes[4..8] {
            b"NXjp" => {
                let end = offset + bytes.len() as u64;
                self.journal = Some(self.journal.map_or((offset, end), |(a, b)| (a.min(offset), b.max(end))));
                "append"
            }
            b"NXck" => "checkpoint",
            _ => {
                let wraps = offset < std::mem::replace(&mut self.ring_place, offset);
                if wraps { "wrap" } else { "seal" }
            }
        }
    }

    fn try_cuts(&mut self) -> Result<(), String> {
        if self.plan.only_openings {
            return Ok(());
        }
        if self.plan.erases {
            return self.try_erased();
        }
        let kind = if self.stepped && self.kind == "append" { "clock step" } else { self.kind };
        let tried = self.cuts.try_all(&self.disk, &self.plan, &self.history, kind, &mut self.counts);
        tried.map_err(|fault| format!("seed {}, step {}, {kind}: {fault}", self.plan.seed, self.step))
    }

    /// Tries what is left when a card destroys what lies around the last write: that may cost the rows there.
    fn try_erased(&mut self) -> Result<(), String> {
        let Some((offset, bytes)) = self.disk.last_write() else { return Ok(()) };
        let (blocks, journal) = (self.store.reader().blocks(), self.journal.unwrap_or_default());
        for fate in Fate::ERASED {
            let Fate::Erased { before, behind } = fate else { continue };
            let from = offset.saturating_sub(if before { AROUND as u64 } else { 0 });
            let to = offset + bytes + if behind { AROUND as u64 } else { 0 };
            let hit = |(at, bytes): (u64, u64)| at < to && at + bytes > from;
            let in_block = |id: RowId| blocks.iter().find(|block| block.first <= id && id < block.end);
            let destroyed = |id: RowId| match in_block(id) {
                Some(block) => block.places.iter().any(|place| hit(*place)),
                None => hit((journal.0, journal.1 - journal.0)),
            };
            let left = self.disk.after(fate);
            self.counts.add("destroyed around");
            let judged = self.history.judge_destroyed(&left, &self.plan.court(), &destroyed);
            self.rotten_rows +=
                judged.map_err(|fault| format!("step {}, {fate:?}, {}: {fault}", self.step, self.kind))?;
        }
        Ok(())
    }

    /// A flush is acknowledged by its ticket, whatever the store says of itself.
    fn acknowledge(&mut self, ticket: u64) {
        for (_, events) in self.flushes.iter().filter(|(flushed, _)| *flushed == ticket) {
            self.history.certain = self.history.certain.max(*events);
        }
        self.flushes.retain(|(flushed, _)| *flushed != ticket);
    }

    /// What the store says is certain must be so.
    fn note_certain(&mut self) {
        let place = self.history.place_of(self.store.stats().certain);
        self.history.certain = self.history.certain.max(place.map_or(0, |at| at + 1));
    }

    fn note_seals(&mut self) {
        let stats = self.store.stats();
        assert_eq!(stats.dropped, 0, "a life that overtaxes its disk");
        if stats.block_bytes != self.newest_block {
            self.sealed += u64::from(stats.block_bytes > self.newest_block);
            self.newest_block = stats.block_bytes;
        }
    }

    fn note_oldest(&mut self) {
        let mut tail = Tail::default();
        if self.store.reader().since(RowId::default(), None, 1, &mut tail).is_ok()
            && let Some(first) = tail.rows.first()
        {
            self.history.oldest = first.id;
        }
    }

    /// Closes and opens again, with a cut at every operation of opening; half of the time from what a cut left.
    fn reopen_cutting(&mut self) -> Result<(), String> {
        if self.openings.is_multiple_of(2) {
            self.all_ops()?;
        } else {
            self.leave();
        }
        self.note_oldest();
        let (counts, cuts) = (&mut self.counts, &mut self.cuts);
        opens_after(&self.disk, &self.plan, None, &self.history, "recovery", counts, cuts)?;
        self.restart(self.disk.clone(), None)
    }

    /// Lives on while the file is given one size after the other; each time with a cut at every operation of that, and
    /// openings afterwards that want the new size or the old one.
    pub fn live_and_change_size(&mut self, batches: u64, sizes: &[u64]) -> Result<(), String> {
        for bytes in sizes {
            for _ in 0..batches {
                self.append();
                self.pass(5_000)?;
            }
            self.leave();
            let old = self.plan.clone();
            self.plan.options.file_bytes = *bytes;
            let grows = *bytes > old.options.file_bytes;
            // What a change of the size leaves when nothing goes wrong.
            let (before, after) = (self.disk.fork(), self.disk.fork());
            let all = rows(&old.open(&before, None, self.ms)?)?;
            let kept = rows(&self.plan.open(&after, None, self.ms)?)?;
            if after.size() != *bytes || !all.ends_with(&kept) || kept.len() < 20 || (grows && kept != all) {
                let (kept, all, size) = (kept.len(), all.len(), after.size());
                return Err(format!("{bytes} bytes: {kept} of {all} rows are left, the file has {size}"));
            }
            self.history.oldest = kept[0].0;
            let (counts, cuts) = (&mut self.counts, &mut self.cuts);
            opens_after(&self.disk, &self.plan, None, &self.history, "resize", counts, cuts)?;
            let changes_its_mind = Plan { judged_as: Some(old.options), ..self.plan.clone() };
            // Then the ring may have become smaller at either opening.
            let history = History { oldest: RowId::default(), ..self.history.clone() };
            opens_after(&self.disk, &changes_its_mind, None, &history, "resize", counts, cuts)?;
            self.restart(self.disk.clone(), None)?;
        }
        Ok(())
    }

    /// Ends: half of the time as a cut does.
    fn leave(&mut self) {
        self.append();
        self.store.flush(now(self.ms));
        self.take_ops();
        if self.step.is_multiple_of(2)
            && let Some(DiskOp::Write { offset, bytes }) = self.ops.front()
        {
            let _ = model::Disk::write(&mut self.disk.clone(), *offset, bytes);
        }
        self.disk = self.disk.after(Fate::There);
        self.note_oldest();
    }

    /// Goes on with what a medium holds; history ends where that does.
    fn restart(&mut self, disk: FaultyDisk, tail: Option<&[u8]>) -> Result<(), String> {
        self.disk = disk;
        self.ops.clear();
        self.flushes.clear();
        self.store = self.plan.open(&self.disk, tail, self.ms)?;
        self.tail.clear();
        self.fillers = None;
        let found = rows(&self.store)?;
        let (last, version) = (found.last().map(|row| row.0), cell_version(&self.store));
        let is_last = |event: &Event| row_of(event).is_some_and(|row| Some(row.0) == last);
        let mut keep = self.history.events.iter().rposition(is_last).map_or(0, |at| at + 1);
        while let Some(Event::Cell { version: next }) = self.history.events.get(keep) {
            if *next > version {
                break;
            }
            keep += 1;
        }
        self.history.events.truncate(keep);
        self.history.certain = keep;
        self.history.once = self.history.once.filter(|_| self.store.cell("once").is_some());
        self.version = version;
        self.openings += 1;
        self.newest_block = 0;
        self.note_oldest();
        self.take_ops();
        Ok(())
    }
}

pub fn random(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}
