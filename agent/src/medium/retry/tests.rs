//! Carrying between stores without files: what is asked of the new one is what the old one had.

use std::sync::Mutex;

use model::{Querier, ReadAt, TimeRange, UnixMs};
use tsdb::Options;

use super::*;

/// A medium in memory that may be full.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<(Vec<u8>, bool)>>);

impl Memory {
    fn bytes(&self) -> std::sync::MutexGuard<'_, (Vec<u8>, bool)> {
        self.0.lock().expect("no test panics with it")
    }
}

impl ReadAt for Memory {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<()> {
        let (from, held) = (offset as usize, self.bytes());
        let found = held.0.get(from..from + buf.len()).ok_or(std::io::ErrorKind::UnexpectedEof)?;
        buf.copy_from_slice(found);
        Ok(())
    }
}

impl Disk for Memory {
    fn len(&mut self) -> std::io::Result<u64> {
        Ok(self.bytes().0.len() as u64)
    }

    fn read(&mut self, offset: u64, buf: &mut [u8]) -> std::io::Result<()> {
        self.read_at(offset, buf)
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> std::io::Result<()> {
        let mut held = self.bytes();
        if held.1 {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        held.0[offset as usize..offset as usize + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&mut self, bytes: u64) -> std::io::Result<()> {
        self.bytes().0.resize(bytes as usize, 0);
        Ok(())
    }

    fn sync(&mut self) -> std::io::Result<()> {
        if self.bytes().1 { Err(std::io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

const BEGIN_MS: u64 = 1_795_249_200_000;
const SOURCE: SourceId = SourceId(1);

fn at(ms: u64, wall_trusted: bool) -> Now {
    Now { mono: Mono(1_000_000 + ms), wall: UnixMs((BEGIN_MS + ms) as i64), wall_trusted }
}

fn options() -> Options {
    Options { file_bytes: 1 << 20, sync_interval_ms: 1_000, ..Options::default() }
}

/// Appends a reading: a series that stays, and one that comes and goes.
fn read(store: &mut Store, ms: u64, wall_trusted: bool) {
    let mut batch = Batch::new();
    batch.family("a_total", "Help.", MetricKind::Counter);
    batch.add(&[("l", "1")], ms as f64);
    if ms % 3_000 < 2_000 {
        batch.family("b", "", MetricKind::Gauge);
        batch.add(&[], -(ms as f64));
    }
    store.append(at(ms, wall_trusted), &batch, SOURCE, &Labels::from_pairs([("job", "node")]));
}

/// Returns every sample: series, time, bits.
fn all(reader: &Reader) -> Vec<(String, i64, u64)> {
    let mut found = Vec::new();
    let visit = &mut |labels: &Labels, samples: model::SeriesSamples<'_>| {
        let points = samples.at.iter().zip(samples.floats);
        found.extend(points.map(|(at, value)| (labels.to_string(), at.0, value.to_bits())));
        true
    };
    reader.select(&[], TimeRange::ALL, visit).expect("readable");
    found.sort();
    found
}

fn on(disk: &mut Memory, now: Now) -> Store {
    let shared = Arc::new(disk.clone());
    Store::open(disk, shared, None, options(), now).expect("a medium that works").0
}

fn carry(into: &Store) -> Carry {
    Carry { read: RowId::default(), begin: into.reader().newest(), marks: Vec::new(), rows: 0 }
}

#[test]
fn all_rows_arrive_with_their_times_and_ends_and_nothing_is_added() {
    let mut memory = Store::in_memory(options(), at(0, true));
    let mut disk = Memory::default();
    // The two clocks are not read at the very same instant: the new store sees the wall a little later.
    let later = |ms| Now { wall: at(ms + 1, true).wall, ..at(ms, true) };
    let mut store = on(&mut disk, later(500));
    (0..10).for_each(|n| read(&mut memory, n * 1_000, true));
    let mut carried = carry(&store);
    assert!(carried.run(&memory.reader(), &mut store, &mut disk, None, later(9_500)));
    assert_eq!(all(&store.reader()), all(&memory.reader()));
    // What comes meanwhile is carried by the second run, and only that.
    let rows = carried.rows;
    (10..20).for_each(|n| read(&mut memory, n * 1_000, true));
    assert!(carried.run(&memory.reader(), &mut store, &mut disk, None, later(19_500)));
    let ours = all(&memory.reader());
    assert_eq!((all(&store.reader()), carried.rows), (ours.clone(), ours.len() as u64));
    assert!(rows > 15 && ours.iter().any(|(_, _, bits)| *bits == model::stale_nan().to_bits()), "{ours:?}");
    assert_eq!(store.reader().metadata("a_total").map(|family| family.kind), Some(MetricKind::Counter));
}

#[test]
fn rows_without_a_date_wait_for_the_clock() {
    let mut memory = Store::in_memory(options(), at(0, false));
    let mut disk = Memory::default();
    let mut store = on(&mut disk, at(500, false));
    read(&mut memory, 1_000, false);
    let mut carried = carry(&store);
    assert!(!carried.run(&memory.reader(), &mut store, &mut disk, None, at(1_500, false)));
    assert_eq!(carried.rows, 0);
    read(&mut memory, 2_000, true);
    assert!(carried.run(&memory.reader(), &mut store, &mut disk, None, at(2_500, true)));
    assert_eq!(all(&store.reader()), all(&memory.reader()));
}

#[test]
fn acknowledgements_are_translated_and_rounded_down() {
    let mut memory = Store::in_memory(options(), at(0, true));
    let mut disk = Memory::default();
    // Rows of an earlier life are on the medium, and acknowledged up to the second.
    let mut store = on(&mut disk, at(0, true));
    (0..3).for_each(|n| read(&mut store, n, true));
    let mut saved = Acks::default();
    saved.add(Span { after: RowId::default(), until: RowId { opening: store.opening(), n: 1 } });
    (1..5).for_each(|n| read(&mut memory, n * 1_000, true));
    let mut carried = carry(&store);
    assert!(carried.run(&memory.reader(), &mut store, &mut disk, None, at(5_000, true)));
    assert_eq!(carried.acknowledged(None, RowId::default()), None);
    let two = carried.marks[1];
    let half_way = RowId { n: two.0.n + 1, ..two.0 };
    let acks = carried.acknowledged(Some(&saved.save()), half_way).and_then(|acks| Acks::restore(&acks)).expect("acks");
    // What was there before is still owed from the third row on, up to where the carried rows begin.
    assert_eq!(acks.gap(), (RowId { opening: store.opening(), n: 1 }, Some(carried.begin)));
    let mut rest = acks.clone();
    rest.add(Span { after: RowId::default(), until: carried.begin });
    assert_eq!(rest.gap(), (two.1, None));
}

#[test]
fn a_medium_that_fills_up_while_running_is_counted_and_recovers() {
    let mut disk = Memory::default();
    let mut store = on(&mut disk, at(0, true));
    let end = |store: &mut Store, disk: &mut Memory, ms| settle(store, disk, None, at(ms, true));
    read(&mut store, 1_000, true);
    end(&mut store, &mut disk, 2_000);
    let before = store.stats();
    disk.bytes().1 = true;
    (3..6).for_each(|n| {
        read(&mut store, n * 1_000, true);
        end(&mut store, &mut disk, n * 1_000 + 999);
    });
    let full = store.stats();
    assert!(full.faults >= 3 && full.certain == before.certain, "{full:?}");
    assert_eq!(all(&store.reader()).iter().filter(|(name, ..)| name.contains("a_total")).count(), 4);
    disk.bytes().1 = false;
    end(&mut store, &mut disk, 8_000);
    let after = store.stats();
    assert_eq!((after.faults, after.certain), (full.faults, store.reader().newest()));
    // It is there after the power was cut.
    let served = all(&store.reader());
    drop(store);
    assert_eq!(all(&on(&mut disk, at(9_000, true)).reader()), served);
}
