//! A reader beside the writer: what a query answers is whole, or it is an error that says to ask again.
//!
//! The writer moves on at the worst moment there is, within a read of the medium; and a page that is written while it
//! is read comes back half old and half new, as the system allows.

mod board;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use board::{Board, Memory, START, at, options, select};
use model::{Outbox, Querier, ReadAt, RowId, SelectError, Tail, TimeRange, UnixMs};
use tsdb::{Options, Reader, Store};

type Hook = Box<dyn FnMut() + Send>;

/// The medium, and what happens within a certain read of it.
#[derive(Clone)]
struct Hooked {
    memory: Memory,
    hook: Arc<Mutex<Option<(u64, Hook)>>>,
}

impl ReadAt for Hooked {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.memory.read_at(offset, buf)?;
        let due = {
            let mut hook = self.hook.lock().expect("not poisoned");
            match hook.as_mut() {
                Some((0, _)) => hook.take(),
                Some((reads, _)) => {
                    *reads -= 1;
                    None
                }
                None => None,
            }
        };
        if let Some((_, mut run)) = due {
            run();
            let half = buf.len() / 2;
            let mut later = vec![0; buf.len()];
            self.memory.read_at(offset, &mut later)?;
            buf[half..].copy_from_slice(&later[half..]);
        }
        Ok(())
    }
}

fn noise(board: &mut Board, seed: &mut u64) {
    let mut values = Vec::new();
    for name in ["a", "b", "c", "d", "e", "f"] {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
        values.push((name, f64::from_bits(*seed >> 2)));
    }
    board.append(1, &values);
    board.pass(20_000);
}

/// Returns a board whose ring has gone round.
fn lived() -> (Board, Hooked, u64) {
    let options = Options { file_bytes: 256 << 10, tail_bytes: 0, ..options() };
    let disk = Memory::default();
    let hooked = Hooked { memory: disk.clone(), hook: Arc::default() };
    let opened = Store::open(&mut disk.clone(), Arc::new(hooked.clone()), None, options, at(0));
    let (store, _) = opened.expect("a store that opens");
    let mut board = Board { disk, tail: Vec::new(), store, now: at(0) };
    let mut seed = 7;
    for _ in 0..2_500 {
        noise(&mut board, &mut seed);
    }
    assert!(board.store.stats().overwritten > 0 && board.store.stats().blocks > 3);
    (board, hooked, seed)
}

#[test]
fn a_query_is_whole_or_fails_when_the_ring_moves_on_under_it() {
    let (mut failed, mut whole) = (0, 0);
    // Every one of these boards has lived the same life.
    let before: BTreeMap<_, _> = select(&lived().0.store.reader(), &[]).into_iter().collect();
    let cases = [(60, false), (200, false), (200, true), (420, false), (420, true)];
    for (reads, (batches, is_known)) in (0..60).step_by(3).flat_map(|reads| cases.map(|case| (reads, case))) {
        let (board, hooked, mut seed) = lived();
        let reader = board.store.reader();
        // With the blocks' indices at hand, and without.
        if is_known {
            assert_eq!(select(&reader, &[]).len(), before.len());
        }
        let board = Arc::new(Mutex::new(board));
        let writer = Arc::clone(&board);
        let run = move || (0..batches).for_each(|_| noise(&mut writer.lock().expect("not poisoned"), &mut seed));
        *hooked.hook.lock().expect("not poisoned") = Some((reads, Box::new(run)));
        let mut found = BTreeMap::new();
        let result = reader.select(&[], TimeRange::ALL, &mut |labels, samples| {
            let points: Vec<_> =
                samples.at.iter().zip(samples.floats).map(|(a, v)| (a.0 - START, v.to_bits())).collect();
            found.insert(labels.to_string(), points);
            true
        });
        assert_eq!(board.lock().expect("not poisoned").store.reader().stats().damaged_pages, 0);
        match result {
            Err(SelectError::Overwritten) => failed += 1,
            Err(error) => panic!("{error}"),
            Ok(()) => {
                whole += 1;
                for (labels, points) in &before {
                    let there = found.get(labels).expect("a series that was there");
                    assert!(
                        there.starts_with(points),
                        "{labels}: {} of {} samples, {reads}",
                        there.len(),
                        points.len()
                    );
                }
            }
        }
    }
    println!("{whole} whole, {failed} failed");
    assert!(failed > 5 && whole > 5);
}

#[test]
fn an_outbox_gives_every_row_or_counts_it_when_the_ring_moves_on_under_it() {
    for (reads, batches) in (0..30).step_by(3).flat_map(|reads| [60, 420].map(|batches| (reads, batches))) {
        let (board, hooked, mut seed) = lived();
        let reader = board.store.reader();
        let board = Arc::new(Mutex::new(board));
        let writer = Arc::clone(&board);
        let run = move || (0..batches).for_each(|_| noise(&mut writer.lock().expect("not poisoned"), &mut seed));
        *hooked.hook.lock().expect("not poisoned") = Some((reads, Box::new(run)));
        let (mut tail, mut after, mut there, mut gone) = (Tail::default(), RowId::default(), 0, 0);
        loop {
            match reader.since(after, None, 500, &mut tail) {
                Err(SelectError::Overwritten) => continue,
                other => other.expect("rows"),
            }
            if tail.until == after {
                break;
            }
            assert!(tail.rows.is_sorted_by(|a, b| a.id < b.id) && tail.rows.iter().all(|row| row.id > after));
            (after, there, gone) = (tail.until, there + tail.rows.len() as u64, gone + tail.overwritten);
        }
        assert_eq!(after, reader.newest());
        assert_eq!(there + gone, after.n + 1, "{reads} {batches}");
    }
}

/// A medium of which only what lies before a place can be had at once.
struct Half(Memory, u64);

impl ReadAt for Half {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, buf)
    }

    fn read_at_hand(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        match offset < self.1 {
            true => self.0.read_at(offset, buf),
            false => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

#[test]
fn who_does_not_wait_gets_what_all_get_or_nothing() {
    let (board, ..) = lived();
    let open = |end: u64| {
        let options = Options { file_bytes: 256 << 10, tail_bytes: 0, ..options() };
        let half = Arc::new(Half(board.disk.clone(), end));
        let (store, _) = Store::open(&mut board.disk.clone(), half, None, options, board.now).expect("a store");
        store
    };
    let range = TimeRange { start: UnixMs(board.now.wall.0 - 8_000_000), end: board.now.wall };
    let select = |reader: &Reader| {
        let mut found = Vec::new();
        let result = reader.select(&[], range, &mut |labels, samples| {
            found.push((labels.to_string(), samples.floats.iter().map(|value| value.to_bits()).collect::<Vec<_>>()));
            true
        });
        result.map(|()| found)
    };
    let asked = |store: &Store| {
        let reader = store.reader().at_hand();
        let found = (select(&reader), reader.series(&[], range, &mut |_| true));
        assert_eq!(store.stats().damaged_pages, 0, "what is away is not damaged");
        found
    };
    let store = open(u64::MAX);
    let (all, series) = asked(&store);
    assert!(all.as_ref().is_ok_and(|all| all.len() == 6) && series.is_ok());
    assert_eq!(all.ok(), select(&store.reader()).ok());
    let (away, series) = asked(&open(0));
    assert!(matches!(away, Err(SelectError::Stopped)));
    assert!(series.is_ok(), "all of them are in the open block");
}

#[test]
fn who_does_not_wait_reads_no_more_than_may_be_read_soon() {
    let options = Options { file_bytes: 4 << 20, tail_bytes: 0, ..options() };
    let disk = Memory::default();
    let half = Arc::new(Half(disk.clone(), u64::MAX));
    let (store, _) = Store::open(&mut disk.clone(), half, None, options, at(0)).expect("a store");
    let mut board = Board { disk, tail: Vec::new(), store, now: at(0) };
    let (mut seed, mut read) = (7, 0);
    for _ in 0..40 {
        (0..400).for_each(|_| noise(&mut board, &mut seed));
        read = board.store.stats().used_bytes;
        let result = board.store.reader().at_hand().select(&[], TimeRange::ALL, &mut |_, _| true);
        match result {
            Ok(()) => assert!(read < 1 << 20, "{read}"),
            Err(SelectError::Stopped) => return,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("{read} bytes were read");
}
