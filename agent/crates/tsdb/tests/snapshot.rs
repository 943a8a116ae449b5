//! A copy of a data file that is written to meanwhile: every row up to an instant during the copying, and nothing else.
//!
//! The store goes on whenever the copy reads: it appends, syncs, seals blocks, goes round its ring, is killed and
//! opened again. How often is by a seed, from hardly ever to far more often than any agent does.

mod board;

use std::collections::HashMap;
use std::io;
use std::sync::Mutex;

use board::{Board, Memory, options, rows};
use model::{ReadAt, RowId};
use tsdb::{Options, SnapshotError, snapshot};

/// A store that lives on while its medium is read.
struct Busy(Mutex<Life>);

struct Life {
    board: Board,
    seed: u64,
    /// One read in so many lets the store go on.
    every: u64,
    /// Every row there ever was.
    kept: HashMap<RowId, (String, i64, u64)>,
    newest: RowId,
}

impl Life {
    fn new(seed: u64, every: u64) -> Life {
        let board = Board::new(small());
        Life { board, seed, every, kept: HashMap::new(), newest: RowId::default() }
    }

    fn next(&mut self) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.seed >> 33
    }

    fn live(&mut self) {
        let noise = f64::from_bits(self.next() << 31 ^ self.next());
        let all = [("a", self.next() as f64), ("b", noise), ("c", -noise)];
        let rows = if self.next().is_multiple_of(7) { 2 } else { 3 };
        let appended = self.board.append(1, &all[..rows]);
        for (n, (name, value)) in (appended.rows.first.n..).zip(&all[..rows]) {
            let id = RowId { n, ..appended.rows.first };
            let at = self.board.now.wall.0 - board::START;
            self.kept.insert(id, (format!("n=\"{name}\""), at, value.to_bits()));
            self.newest = self.newest.max(id);
        }
        let ms = if self.next().is_multiple_of(40) { 7_200_000 } else { 15_000 };
        self.board.pass(ms);
        if self.next().is_multiple_of(300) {
            let (disk, tail, now) = (self.board.disk.clone(), self.board.tail.clone(), self.board.now);
            self.board = Board::open(disk, tail, small(), now).0;
            self.board.now = now;
            self.board.drain();
        }
    }
}

impl ReadAt for Busy {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let mut life = self.0.lock().expect("not poisoned");
        if life.every > 0 && life.next().is_multiple_of(life.every) {
            life.live();
        }
        life.board.disk.read_at(offset, buf)
    }
}

fn small() -> Options {
    Options { file_bytes: 512 << 10, ..options() }
}

/// Returns how many rows the copy has, `None` when the store was too busy.
fn check(seed: u64, every: u64) -> Option<usize> {
    let busy = Busy(Mutex::new(Life::new(seed, every)));
    (0..60 + seed % 7 * 150).for_each(|_| busy.0.lock().expect("not poisoned").live());
    let (before, copy) = (busy.0.lock().expect("not poisoned").newest, Memory::default());
    let mut tail = || Some(busy.0.lock().expect("not poisoned").board.tail.clone());
    let held = match snapshot(&busy, 512 << 10, &mut tail, &mut copy.clone()) {
        Ok(held) => held.expect("a tail"),
        Err(SnapshotError::Restless) => return None,
        Err(error) => panic!("seed {seed}, {every}: {error}"),
    };
    let life = busy.0.into_inner().expect("not poisoned");
    let (again, found) = Board::open(copy.clone(), held, small(), life.board.now);
    assert_eq!((found.damaged_pages, found.damaged_blocks), (0, 0), "seed {seed}, {every}: {found:?}");
    let rows = rows(&again.store.reader(), 500);
    // Every row from the oldest to the newest there was when the copying began, at least; staleness markers are not in
    // our list.
    let newest = rows.last().map(|row| row.0).unwrap_or_default();
    assert!(newest >= before && newest <= RowId { n: life.newest.n + 3, ..life.newest }, "seed {seed}, {every}");
    let mut count = 0;
    for (id, labels, at, bits) in &rows {
        if *bits == model::STALE_NAN_BITS {
            continue;
        }
        let (name, kept_at, kept) = &life.kept[id];
        assert!(labels.contains(name.as_str()) && (at, bits) == (kept_at, kept), "seed {seed}, {every}: {id:?}");
        count += 1;
    }
    let first = rows[0].0;
    let expected = life.kept.keys().filter(|id| (first..=newest).contains(*id)).count();
    assert_eq!(count, expected, "seed {seed}, {every}: a hole");
    Some(count)
}

#[test]
fn a_copy_has_every_row_up_to_an_instant_while_the_store_goes_on() {
    let (mut copies, mut given_up) = (0, 0);
    for seed in 1..60 {
        for every in [0, 200, 40, 12, 4] {
            match check(seed, every) {
                Some(_) => copies += 1,
                None => {
                    given_up += 1;
                    assert!(every != 0 && every < 100, "seed {seed}, {every}");
                }
            }
        }
    }
    println!("{copies} copies, {given_up} times the store was too busy");
    assert!(copies > 200);
}

#[test]
fn what_is_no_data_file_is_not_copied() {
    let (other, mut copy) = (Memory::default(), Memory::default());
    *other.0.lock().expect("not poisoned") = vec![7; 8_192];
    let error = snapshot(&other, 8_192, &mut || None, &mut copy).expect_err("somebody else's file").to_string();
    assert!(error.contains("no data file of narthex"), "{error}");
    assert!(copy.0.lock().expect("not poisoned").is_empty());
}
