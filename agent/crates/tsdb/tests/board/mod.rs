//! A store on a disk that is bytes in memory, where what is asked for is done at once: the stage of the tests beside.
//!
//! Each test file uses what it needs of it. A disk that loses power is in the project's own tests.
#![allow(dead_code)]

mod memory;

use std::sync::Arc;

use model::{
    Batch, Disk, Labels, Matcher, MetricKind, Mono, Now, Outbox, Querier, RowId, SourceId, Tail, TimeRange, UnixMs,
};
use tsdb::{DiskOp, OpDone, Options, Reader, Recovery, Store};

pub use memory::Memory;

/// The wall time at elapsed time 0.
pub const START: i64 = 1_800_000_000_000;

pub struct Board {
    pub disk: Memory,
    pub tail: Vec<u8>,
    pub store: Store,
    pub now: Now,
}

pub fn options() -> Options {
    Options { file_bytes: 1 << 20, sync_interval_ms: 60_000, tail_bytes: 1 << 16, ..Options::default() }
}

pub fn at(mono: u64) -> Now {
    Now { mono: Mono(mono), wall: UnixMs(START + mono as i64), wall_trusted: true }
}

impl Board {
    pub fn new(options: Options) -> Board {
        Board::open(Memory::default(), Vec::new(), options, at(1_000)).0
    }

    pub fn open(disk: Memory, tail: Vec<u8>, options: Options, now: Now) -> (Board, Recovery) {
        let read = Arc::new(disk.clone());
        let (store, recovery) =
            Store::open(&mut disk.clone(), read, Some(&tail), options, now).expect("a store that opens");
        (Board { disk, tail, store, now }, recovery)
    }

    pub fn batch(values: &[(&str, f64)]) -> Batch {
        let mut batch = Batch::new();
        batch.family("m", "Help.", MetricKind::Gauge);
        for (name, value) in values {
            batch.add(&[("n", name)], *value);
        }
        batch
    }

    pub fn append(&mut self, source: u32, values: &[(&str, f64)]) -> tsdb::Appended {
        let extra = Labels::from_pairs([("job", "test")]);
        self.store.append(self.now, &Board::batch(values), SourceId(source), &extra)
    }

    pub fn pass(&mut self, ms: u64) {
        self.now.mono.0 += ms;
        self.now.wall.0 += ms as i64;
        self.store.tick(self.now);
        self.drain();
    }

    pub fn drain(&mut self) {
        loop {
            let mut ops = Vec::new();
            self.store.take_ops(&mut ops);
            if ops.is_empty() {
                return;
            }
            for op in ops {
                match op {
                    DiskOp::Write { offset, bytes } => {
                        let result = self.disk.write(offset, &bytes);
                        self.store.done(self.now, OpDone::Written { result });
                    }
                    DiskOp::Sync { ticket } => {
                        let result = self.disk.sync();
                        self.store.done(self.now, OpDone::Synced { ticket, result });
                    }
                    DiskOp::Tail { offset, bytes } => {
                        let end = offset as usize + bytes.len();
                        self.tail.resize(self.tail.len().max(end), 0);
                        self.tail[offset as usize..end].copy_from_slice(&bytes);
                    }
                }
            }
            self.store.tick(self.now);
        }
    }
}

pub fn select(reader: &Reader, matchers: &[Matcher]) -> Vec<(String, Vec<(i64, u64)>)> {
    let mut found = Vec::new();
    reader
        .select(matchers, TimeRange::ALL, &mut |labels, samples| {
            let points = samples.at.iter().zip(samples.floats).map(|(at, value)| (at.0 - START, value.to_bits()));
            found.push((labels.to_string(), points.collect()));
            true
        })
        .expect("a selection");
    found.sort();
    found
}

pub fn rows(reader: &Reader, step: usize) -> Vec<(RowId, String, i64, u64)> {
    let (mut tail, mut after, mut found) = (Tail::default(), RowId::default(), Vec::new());
    loop {
        reader.since(after, None, step, &mut tail).expect("rows");
        for row in &tail.rows {
            let value = row.sample.value.float().expect("a float");
            found.push((row.id, row.labels.to_string(), row.sample.at.0 - START, value.to_bits()));
        }
        if tail.until == after {
            return found;
        }
        after = tail.until;
    }
}
