//! What a store lives through: rows of two sources, series that come and go, a cell that changes, syncs, seals, a ring
//! that wraps, reopenings; with a cut tried before every single operation of the disk.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use model::{Batch, Labels, MetricKind, Outbox, RowId, SourceId, Tail, UnixMs};
use support::disk::{Fate, FaultyDisk};
use tsdb::{DiskOp, OpDone, Options, Store};

use crate::history::{Event, History, cell_version, rows};
use crate::{now, steps};

/// How fast the disk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// All that is asked for is done before the next batch.
    Prompt,
    /// One operation between two batches: rows come while syncs are on their way.
    OneByOne,
}

pub struct Life {
    options: Options,
    pace: Pace,
    fates: Vec<Fate>,
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
    pub cuts: u64,
    /// How many cuts there were within what.
    pub kinds: BTreeMap<&'static str, u64>,
    steps: u64,
    /// A clock step is on its way to the medium.
    stepped: bool,
    /// What the last write was part of, and where in the ring the last one was.
    kind: &'static str,
    ring_page: u64,
    pub sealed: u64,
    pub wraps: u64,
    pub openings: u64,
    pub faults: u64,
    /// How often bits rotted, and how many rows that cost.
    pub rotten: u64,
    pub rotten_rows: u64,
    pub fail_every: Option<u64>,
    /// How many series of noise a batch has.
    pub noise: u64,
}

fn open(disk: &FaultyDisk, tail: Option<&[u8]>, options: &Options, ms: u64) -> Result<Store, String> {
    let read = Arc::new(disk.clone());
    let opened = Store::open(&mut disk.clone(), read, tail, options.clone(), now(ms));
    opened.map(|(store, _)| store).map_err(|error| error.to_string())
}

impl Life {
    pub fn new(options: Options, pace: Pace, fates: &[Fate]) -> Life {
        let disk = FaultyDisk::default();
        let history = History::default();
        let mut cuts = 0;
        // Creation itself is cut too, at every operation.
        for n in 0.. {
            let made = FaultyDisk::default();
            made.fail_after(n);
            if open(&made, None, &options, 0).is_ok() {
                break;
            }
            for fate in fates {
                history.judge(&made.after(*fate), None, &options).unwrap_or_else(|fault| panic!("creating: {fault}"));
                cuts += 1;
            }
        }
        let store = open(&disk, None, &options, 0).expect("a new file");
        Life {
            options,
            pace,
            fates: fates.to_vec(),
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
            cuts,
            kinds: BTreeMap::from([("creation", cuts)]),
            steps: 0,
            stepped: false,
            kind: "append",
            ring_page: 0,
            sealed: 0,
            wraps: 0,
            openings: 1,
            faults: 0,
            rotten: 0,
            rotten_rows: 0,
            fail_every: None,
            noise: 60,
        }
    }

    /// Lives on for so many batches, reopening now and then; tries every fate before every operation.
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

    /// Lives on while the power goes at random moments, and each life goes on from what was left.
    pub fn live_and_lose_power(&mut self, mut seed: u64, times: u64) -> Result<(), String> {
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
            self.history.judge(&left.fork(), None, &self.options)?;
            self.rot(&left, &mut seed)?;
            self.cuts += 1;
            self.restart(left, None)?;
        }
        Ok(())
    }

    /// Lets bits rot in what a cut left: what is found is true, and what is missing is known to be.
    fn rot(&mut self, left: &FaultyDisk, seed: &mut u64) -> Result<(), String> {
        let mut bytes = left.bytes();
        let pages: Vec<usize> = (10..64).filter(|p| bytes[p * 4096..][..4096].iter().any(|b| *b != 0)).collect();
        for _ in 0..1 + random(seed) % 3 {
            let page = pages[random(seed) as usize % pages.len()];
            bytes[page * 4096 + random(seed) as usize % 4096] ^= 1 << (random(seed) % 8);
        }
        self.rotten += 1;
        self.rotten_rows += self.history.judge_rotten(&FaultyDisk::holding(bytes), &self.options)?;
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
            let killed = FaultyDisk::holding(self.disk.bytes());
            let all = History { certain: self.history.events.len(), ..self.history.clone() };
            all.judge(&killed.fork(), Some(&self.tail), &self.options).map_err(|fault| format!("{batch}: {fault}"))?;
            if batch % 10 == 0 {
                let tail = self.tail.clone();
                self.restart(killed, Some(&tail))?;
            }
            self.ms += 5_000;
        }
        Ok(batches)
    }

    fn append(&mut self) {
        (self.step, self.ms) = (self.step + 1, self.ms + 1);
        self.stepped |= steps(self.ms) != self.steps;
        self.steps = steps(self.ms);
        let mut batch = Batch::new();
        batch.family("m", "Some help.", MetricKind::Gauge);
        let mut seed = self.step.wrapping_mul(0x2545_f491_4f6c_dd1d);
        // Mostly noise, so that a small ring wraps soon; one series comes and goes, one never changes.
        for series in 0..self.noise {
            let value = f64::from_bits(random(&mut seed) >> 2);
            batch.add(&[("series", &series.to_string())], value);
        }
        batch.add(&[("series", "constant")], 1.0);
        if self.step % 11 < 4 {
            batch.add(&[("series", "sometimes")], self.step as f64 / 10.0);
        }
        self.append_batch(&batch, SourceId(1));
        if self.step.is_multiple_of(3) {
            let mut batch = Batch::new();
            batch.family("m", "Some help.", MetricKind::Gauge);
            batch.add(&[("series", "late")], self.step as f64);
            batch.stamp_last(Some(UnixMs(now(self.ms).wall.0 - 1_234)), None);
            batch.add(&[("series", "other")], -(self.step as f64));
            self.append_batch(&batch, SourceId(2));
        }
        if self.step.is_multiple_of(4) {
            self.version += 1;
            self.store.put_cell("version", &self.version.to_le_bytes()).expect("a small cell");
            self.history.events.push(Event::Cell { version: self.version });
        }
        self.take_ops();
    }

    fn append_batch(&mut self, batch: &Batch, source: SourceId) {
        let now = now(self.ms);
        let appended = self.store.append(now, batch, source, &Labels::empty());
        assert_eq!((appended.refused.total(), appended.rows.len()), (0, batch.rows().len() as u64));
        for (at, row) in batch.rows().iter().enumerate() {
            let labels = Labels::from_packed(batch.packed(row)).expect("labels");
            let bits = row.value.float().expect("a float").to_bits();
            let time = row.at.unwrap_or(now.wall).0;
            self.history.row(appended.rows.first.plus(at as u64), labels, time, bits);
        }
        if appended.vanished > 0 {
            let labels = Labels::from_pairs([("__name__", "m"), ("series", "sometimes")]);
            let id = RowId { opening: appended.rows.first.opening, n: appended.rows.end };
            self.history.row(id, labels, now.wall.0, model::STALE_NAN_BITS);
        }
    }

    fn pass(&mut self, ms: u64) -> Result<(), String> {
        self.ms += ms;
        self.store.tick(now(self.ms));
        self.take_ops();
        match self.pace {
            Pace::Prompt => self.all_ops(),
            Pace::OneByOne => {
                self.one_op()?;
                // A disk that is slower than that for long makes the store drop rows, which is another promise.
                while self.ops.len() > 3 || self.store.stats().frozen {
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

    /// Does one operation, after having tried what is left when the power goes within it.
    fn one_op(&mut self) -> Result<(), String> {
        let Some(op) = self.ops.pop_front() else { return Ok(()) };
        self.note_oldest();
        if let Some(every) = self.fail_every
            && self.disk.ops() % every == every - 1
        {
            self.disk.fail_once(0);
            self.faults += 1;
        }
        match op {
            DiskOp::Write { offset, bytes } => {
                let result = model::Disk::write(&mut self.disk, offset, &bytes);
                self.kind = self.kind_of(offset);
                self.try_cuts()?;
                self.store.done(now(self.ms), OpDone::Written { result });
            }
            DiskOp::Sync { ticket } => {
                self.try_cuts()?;
                let result = model::Disk::sync(&mut self.disk);
                let good = result.is_ok();
                self.store.done(now(self.ms), OpDone::Synced { ticket, result });
                if good {
                    self.acknowledge(ticket);
                }
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

    /// Returns what a write to this place is part of; LAYOUT.md says where things are in the smallest file.
    fn kind_of(&mut self, offset: u64) -> &'static str {
        match offset / 4096 {
            0..=9 => "checkpoint",
            10..=25 => "append",
            page => {
                let wraps = page < std::mem::replace(&mut self.ring_page, page);
                if wraps { "wrap" } else { "seal" }
            }
        }
    }

    fn try_cuts(&mut self) -> Result<(), String> {
        let kind = if self.stepped && self.kind == "append" { "clock step" } else { self.kind };
        let mut judged: Vec<Vec<u8>> = Vec::new();
        for fate in &self.fates {
            let left = self.disk.after(*fate);
            // Fates that leave the same bytes are one cut.
            let bytes = left.bytes();
            if judged.contains(&bytes) {
                continue;
            }
            judged.push(bytes);
            self.cuts += 1;
            *self.kinds.entry(kind).or_default() += 1;
            self.history
                .judge(&left, None, &self.options)
                .map_err(|fault| format!("cut {} at step {}, {fate:?}: {fault}", self.cuts, self.step))?;
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
        let certain = self.store.stats().certain;
        let place =
            self.history.events.iter().rposition(|event| matches!(event, Event::Row { id, .. } if *id == certain));
        self.history.certain = self.history.certain.max(place.map_or(0, |at| at + 1));
    }

    fn note_seals(&mut self) {
        let stats = self.store.stats();
        assert_eq!(stats.dropped, 0, "a life that overtaxes its disk");
        if stats.block_bytes != self.newest_block {
            self.sealed += u64::from(stats.block_bytes > self.newest_block);
            self.newest_block = stats.block_bytes;
            self.wraps = self.sealed * 4 / 38;
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

    /// Closes and opens again, with a cut at every operation of opening.
    fn reopen_cutting(&mut self) -> Result<(), String> {
        self.all_ops()?;
        self.note_oldest();
        for n in 0.. {
            let disk = self.disk.fork();
            disk.fail_after(n);
            if open(&disk, None, &self.options, self.ms).is_ok() {
                break;
            }
            for fate in &self.fates {
                self.cuts += 1;
                *self.kinds.entry("recovery").or_default() += 1;
                let fault = self.history.judge(&disk.after(*fate), None, &self.options);
                fault.map_err(|fault| format!("cut at operation {n} of opening, {fate:?}: {fault}"))?;
            }
        }
        self.restart(self.disk.clone(), None)
    }

    /// Goes on with what a medium holds; history ends where that does.
    fn restart(&mut self, disk: FaultyDisk, tail: Option<&[u8]>) -> Result<(), String> {
        self.disk = disk;
        self.ops.clear();
        self.flushes.clear();
        self.store = open(&self.disk, tail, &self.options, self.ms)?;
        self.tail.clear();
        let found = rows(&self.store)?;
        let (last, version) = (found.last().map(|row| row.0), cell_version(&self.store));
        let is_last = |event: &Event| matches!(event, Event::Row { id, .. } if Some(*id) == last);
        let mut keep = self.history.events.iter().rposition(is_last).map_or(0, |at| at + 1);
        while let Some(Event::Cell { version: next }) = self.history.events.get(keep) {
            if *next > version {
                break;
            }
            keep += 1;
        }
        self.history.events.truncate(keep);
        self.history.certain = keep;
        self.version = version;
        self.openings += 1;
        self.newest_block = 0;
        self.note_oldest();
        self.take_ops();
        Ok(())
    }
}

fn random(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}
