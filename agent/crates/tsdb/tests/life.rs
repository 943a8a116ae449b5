//! The store from outside: what goes in comes out, in memory, from the journal, from sealed blocks, after reopening.
//!
//! The disk is bytes in memory; what is asked for is done at once. What a cut leaves is `tests/power_cut`.

use std::io;
use std::sync::{Arc, Mutex};

use model::{
    Batch, Disk, Labels, Matcher, MetricKind, Mono, Now, Outbox, Querier, ReadAt, RowId, SourceId, Tail, TimeRange,
    UnixMs, is_stale_nan,
};
use tsdb::{DiskOp, OpDone, Options, Reader, Recovery, Store};

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Disk for Memory {
    fn len(&mut self) -> io::Result<u64> {
        Ok(self.0.lock().expect("not poisoned").len() as u64)
    }
    fn read(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.read_at(offset, buf)
    }
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let at = offset as usize;
        self.0.lock().expect("not poisoned")[at..at + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        self.0.lock().expect("not poisoned").resize(bytes as usize, 0);
        Ok(())
    }
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ReadAt for Memory {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let bytes = self.0.lock().expect("not poisoned");
        let at = offset as usize;
        buf.copy_from_slice(bytes.get(at..at + buf.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

const START: i64 = 1_800_000_000_000;

struct Board {
    disk: Memory,
    tail: Vec<u8>,
    store: Store,
    now: Now,
}

fn options() -> Options {
    Options { file_bytes: 1 << 20, sync_interval_ms: 60_000, tail_bytes: 1 << 16, ..Options::default() }
}

fn at(mono: u64) -> Now {
    Now { mono: Mono(mono), wall: UnixMs(START + mono as i64), wall_trusted: true }
}

impl Board {
    fn new(options: Options) -> Board {
        Board::open(Memory::default(), Vec::new(), options, at(1_000)).0
    }

    fn open(disk: Memory, tail: Vec<u8>, options: Options, now: Now) -> (Board, Recovery) {
        let read = Arc::new(disk.clone());
        let (store, recovery) =
            Store::open(&mut disk.clone(), read, Some(&tail), options, now).expect("a store that opens");
        (Board { disk, tail, store, now }, recovery)
    }

    fn batch(values: &[(&str, f64)]) -> Batch {
        let mut batch = Batch::new();
        batch.family("m", "Help.", MetricKind::Gauge);
        for (name, value) in values {
            batch.add(&[("n", name)], *value);
        }
        batch
    }

    fn append(&mut self, source: u32, values: &[(&str, f64)]) -> tsdb::Appended {
        let extra = Labels::from_pairs([("job", "test")]);
        self.store.append(self.now, &Board::batch(values), SourceId(source), &extra)
    }

    fn pass(&mut self, ms: u64) {
        self.now.mono.0 += ms;
        self.now.wall.0 += ms as i64;
        self.store.tick(self.now);
        self.drain();
    }

    fn drain(&mut self) {
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

fn select(reader: &Reader, matchers: &[Matcher]) -> Vec<(String, Vec<(i64, u64)>)> {
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

fn rows(reader: &Reader, step: usize) -> Vec<(RowId, String, i64, u64)> {
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

#[test]
fn what_is_appended_is_found_as_series_and_as_rows() {
    let mut board = Board::new(options());
    for i in 0..10 {
        let appended = board.append(1, &[("a", f64::from(i)), ("b", 0.5)]);
        assert_eq!((appended.rows.len(), appended.refused.total()), (2, 0));
        board.pass(5_000);
    }
    let reader = board.store.reader();
    let found = select(&reader, &[Matcher::equal("__name__", "m")]);
    assert_eq!(found.len(), 2);
    let expected: Vec<(i64, u64)> = (0..10).map(|i| (1_000 + i * 5_000, (i as f64).to_bits())).collect();
    assert_eq!(found[0], (r#"m{job="test", n="a"}"#.to_owned(), expected));
    for step in [1, 2, 3, 7, 100] {
        let rows = rows(&reader, step);
        assert_eq!(rows.len(), 20);
        for (i, row) in rows.iter().enumerate() {
            assert_eq!(row.0, RowId { opening: 1, n: i as u64 });
            assert_eq!(row.2, 1_000 + (i as i64 / 2) * 5_000);
        }
    }
    assert_eq!(reader.newest(), RowId { opening: 1, n: 19 });
    assert_eq!(reader.metadata("m").map(|family| family.kind), Some(MetricKind::Gauge));
    assert_eq!(reader.label_values("n"), ["a", "b"]);
}

#[test]
fn everything_is_the_same_after_kill_and_after_reopening() {
    for (synced, tail) in [(true, false), (false, true), (true, true)] {
        let mut board = Board::new(options());
        for i in 0..30 {
            board.append(1, &[("a", f64::from(i)), ("b", 0.5)]);
            if i % 7 == 0 {
                board.append(2, &[("c", -1.0)]);
            }
            board.store.put_cell("place", &[i as u8]).expect("small");
            board.pass(5_000);
        }
        if synced {
            board.store.flush(board.now);
            board.drain();
        }
        let reader = board.store.reader();
        let (before, rows_before) = (select(&reader, &[]), rows(&reader, 5));
        let bytes = if tail { board.tail.clone() } else { Vec::new() };
        let (again, recovery) = Board::open(board.disk.clone(), bytes, options(), board.now);
        assert_eq!((recovery.opening, recovery.damaged_pages), (2, 0));
        let reader = again.store.reader();
        assert_eq!(select(&reader, &[]), before, "synced {synced}, tail {tail}");
        assert_eq!(rows(&reader, 5), rows_before);
        assert_eq!(again.store.cell("place"), Some(vec![29]));
    }
}

#[test]
fn blocks_are_sealed_overwritten_and_found_again() {
    let mut board = Board::new(Options { file_bytes: 512 << 10, ..options() });
    let mut seed = 88_172_645_463_325_252u64;
    let mut expected: Vec<(RowId, u64)> = Vec::new();
    for i in 0..6_000 {
        let mut values = Vec::new();
        for name in ["a", "b", "c", "d", "e", "f"] {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            values.push((name, f64::from_bits(seed)));
        }
        let appended = board.append(1, &values);
        for (k, (_, value)) in values.iter().enumerate() {
            expected.push((appended.rows.first.plus(k as u64), value.to_bits()));
        }
        board.pass(15_000);
        if i % 1_000 == 999 {
            board.store.flush(board.now);
            board.drain();
            board = Board::open(board.disk.clone(), board.tail.clone(), options(), board.now).0;
        }
    }
    let stats = board.store.stats();
    assert!(stats.blocks > 3 && stats.rows < expected.len() as u64, "{stats:?}");
    let reader = board.store.reader();
    for step in [17, 1_000] {
        let found: Vec<(RowId, u64)> = rows(&reader, step).into_iter().map(|row| (row.0, row.3)).collect();
        assert!(found.len() > 5_000, "{}", found.len());
        assert_eq!(found, expected[expected.len() - found.len()..]);
    }
    let mut tail = Tail::default();
    reader.since(RowId::default(), None, 1, &mut tail).expect("rows");
    assert_eq!(tail.overwritten + rows(&reader, 500).len() as u64, expected.len() as u64);
    let series = select(&reader, &[Matcher::equal("n", "c")]);
    assert!(series[0].1.windows(2).all(|pair| pair[0].0 < pair[1].0));
}

#[test]
fn a_series_that_vanishes_gets_a_marker_and_so_does_a_source_that_ends() {
    let mut board = Board::new(options());
    board.append(1, &[("a", 1.0), ("b", 2.0)]);
    board.pass(5_000);
    let appended = board.append(1, &[("a", 1.0)]);
    assert_eq!((appended.rows.len(), appended.vanished, appended.new_series), (1, 1, 0));
    board.pass(5_000);
    board.store.end_source(board.now, SourceId(1));
    let found = select(&board.store.reader(), &[]);
    let stale = |points: &[(i64, u64)]| points.iter().map(|p| is_stale_nan(f64::from_bits(p.1))).collect::<Vec<_>>();
    assert_eq!(stale(&found[0].1), [false, false, true]);
    assert_eq!(stale(&found[1].1), [false, true]);
    assert_eq!(rows(&board.store.reader(), 3).len(), 5);
}
