//! When what is appended reaches the medium, and how much is written for it: a row waits for a sync interval at most,
//! pages are not begun for little, and what is written again and again was written once when the file was made.

mod board;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use board::{Board, Memory, at, options};
use model::{Disk, RowId};
use tsdb::{Options, Store};

/// Appends every 15 s for so many steps; returns how long each batch waited until its rows were certain, and how many
/// syncs and journal bytes that took.
fn lived(series: usize, steps: usize) -> (Vec<u64>, u64, u64) {
    let options = Options { file_bytes: 64 << 20, tail_bytes: 0, ..options() };
    let mut board = Board::new(options);
    let names: Vec<String> = (0..series).map(|n| n.to_string()).collect();
    let (mut waiting, mut waited) = (BTreeMap::<RowId, u64>::new(), Vec::new());
    let (mut dice, mut before) = (0x9e37_79b9_7f4a_7c15u64, (0, 0));
    for step in 0..steps {
        let values: Vec<(&str, f64)> = names
            .iter()
            .map(|name| {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (name.as_str(), (dice >> 55) as f64)
            })
            .collect();
        // Small state is saved before the time is told, as by an answer that comes between two collections.
        board.store.put_cell("acknowledged", &step.to_le_bytes()).expect("room");
        let appended = board.append(1, &values);
        waiting.insert(RowId { n: appended.rows.end - 1, ..appended.rows.first }, board.now.mono.0);
        if step == 8 {
            // The first pages name the series.
            before = (board.store.stats().syncs, board.store.stats().journal_bytes);
        }
        for second in 0..15 {
            board.pass(if second == 0 { 0 } else { 1_000 });
            let later = waiting.split_off(&board.store.stats().certain.plus(1));
            let certain = std::mem::replace(&mut waiting, later);
            waited.extend(certain.values().map(|since| board.now.mono.0 - since));
        }
        // The next collection comes first where a sync is due in the same instant.
        board.now = at(board.now.mono.0 + 1_000);
    }
    let stats = board.store.stats();
    (waited, stats.syncs - before.0, stats.journal_bytes - before.1)
}

#[test]
fn a_row_waits_for_a_sync_interval_and_not_longer() {
    let (waited, syncs, bytes) = lived(100, 208);
    assert!(waited.len() >= 200 && waited.iter().all(|ms| *ms <= 60_000), "{waited:?}");
    assert_eq!(waited.iter().max(), Some(&60_000));
    // Of five collections the last comes when the first has waited for as long as it may: 40 and not 50 times in 200.
    assert!((39..=41).contains(&syncs), "{syncs} syncs, {bytes} bytes");
    assert_eq!(bytes, syncs * 4096);
}

#[test]
fn a_page_that_is_full_is_not_kept_waiting_for_what_would_need_another() {
    let (waited, syncs, bytes) = lived(600, 208);
    assert!(waited.iter().all(|ms| *ms <= 60_000), "{waited:?}");
    // Four collections fill a page, five would need two.
    assert!((48..=52).contains(&syncs), "{syncs} syncs, {bytes} bytes");
    assert!(bytes <= (syncs + 4) * 4096, "{bytes} bytes in {syncs} syncs");
}

/// Names come once a block, and are most of what is written in the first sync of it.
#[test]
fn names_of_many_series_are_squeezed() {
    for series in [200, 1_000, 4_000] {
        let mut board = Board::new(Options { file_bytes: 64 << 20, tail_bytes: 8 << 20, ..options() });
        let names: Vec<String> = (0..series).map(|n| format!("a-mount-point/of-some-length/{n}")).collect();
        let values: Vec<(&str, f64)> = names.iter().map(|name| (name.as_str(), name.len() as f64)).collect();
        board.append(1, &values);
        board.drain();
        let named = board.tail.len();
        board.store.flush(board.now);
        board.drain();
        let written = board.store.stats().journal_bytes as usize;
        assert!(written <= named / 2 + 4096, "{series} series: {named} bytes of records, {written} written");
    }
}

/// A disk that counts what is written to each page.
#[derive(Clone, Default)]
struct Counting(Memory, Arc<Mutex<BTreeMap<u64, u64>>>);

impl Disk for Counting {
    fn len(&mut self) -> io::Result<u64> {
        self.0.len()
    }
    fn read(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, buf)
    }
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut counts = self.1.lock().expect("not poisoned");
        (offset / 4096..(offset + bytes.len() as u64) / 4096).for_each(|page| *counts.entry(page).or_default() += 1);
        self.0.write(offset, bytes)
    }
    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }
    fn sync(&mut self) -> io::Result<()> {
        self.0.sync()
    }
}

/// Opens a file of this size; returns how many pages were written.
fn pages_written(disk: &Counting, bytes: u64) -> usize {
    disk.1.lock().expect("not poisoned").clear();
    let read = Arc::new(disk.0.clone());
    let options = Options { file_bytes: bytes, ..options() };
    Store::open(&mut disk.clone(), read, None, options, at(0)).expect("a store that opens");
    disk.1.lock().expect("not poisoned").len()
}

#[test]
fn making_a_file_writes_what_is_written_again_and_again_and_nothing_else() {
    for (bytes, slot, journal) in [(256 << 10, 4, 16), (16 << 20, 4, 64), (256 << 20, 64, 1_024)] {
        let disk = Counting::default();
        let written = pages_written(&disk, bytes);
        assert_eq!(written, 2 + 2 * slot + journal, "{bytes} bytes");
        assert!(pages_written(&disk, bytes) <= 2, "one that is there is not made again");
    }
}

#[test]
fn growing_a_file_writes_its_new_areas_once_too() {
    let disk = Counting::default();
    pages_written(&disk, 1 << 20);
    let written = pages_written(&disk, 64 << 20);
    // Two slots of 16 pages and a journal of 256 behind the old end, superblocks, a checkpoint.
    assert!((2 * 16 + 256..2 * 16 + 256 + 8).contains(&written), "{written} pages");
}
