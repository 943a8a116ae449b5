//! A file that is given another size when it is opened: growing keeps everything and uses the new room before anything
//! is overwritten, shrinking keeps the newest that fits; again and again. Cuts within are in `tests/power_cut`.

mod board;

use std::io;
use std::sync::Arc;

use board::{Board, Memory, at, options, rows, select};
use model::Disk;
use tsdb::{OpenError, Options, Recovery, Store};

const KIB: u64 = 1 << 10;
/// A batch of so many series takes some 550 bytes.
const NAMES: &str = "a b c d e f g h i j k l m n o p q r s t u v w x y z \
    aa ab ac ad ae af ag ah ai aj ak al am an ao ap aq ar as at au av aw ax ay az \
    ba bb bc bd be bf bg bh bi bj bk bl";

fn sized(file_bytes: u64) -> Options {
    Options { file_bytes, tail_bytes: 0, ..options() }
}

struct Noise(u64);

impl Noise {
    fn append(&mut self, board: &mut Board, batches: u64) {
        for _ in 0..batches {
            let mut values = Vec::new();
            for name in NAMES.split(' ') {
                self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
                values.push((name, f64::from_bits(self.0 >> 2)));
            }
            board.append(1, &values);
            board.pass(15_000);
        }
    }
}

fn reopen(board: Board, file_bytes: u64) -> (Board, Recovery) {
    let Board { disk, now, .. } = board;
    let (board, recovery) = Board::open(disk, Vec::new(), sized(file_bytes), now);
    assert_eq!(board.disk.0.lock().expect("not poisoned").len() as u64, file_bytes);
    (board, recovery)
}

fn close(board: &mut Board) -> Vec<(model::RowId, String, i64, u64)> {
    board.store.flush(board.now);
    board.drain();
    rows(&board.store.reader(), 1_000)
}

#[test]
fn growing_keeps_everything_and_fills_the_new_room_first() {
    for (batches, grown) in [(40, 512), (310, 320), (320, 1_024), (340, 8_192), (360, 20_480)] {
        let (mut noise, mut board) = (Noise(7), Board::new(sized(256 * KIB)));
        noise.append(&mut board, batches);
        let before = close(&mut board);
        let (mut board, recovery) = reopen(board, grown * KIB);
        assert_eq!((recovery.resized_from, recovery.rows_cut_off, recovery.damaged_pages), (256 * KIB, 0, 0));
        // Blocks that the next one might have needed are found again.
        let grown_rows = rows(&board.store.reader(), 1_000);
        assert!(grown_rows.ends_with(&before), "{batches} {grown}");
        // An eighth of the ring is kept free for the next block.
        let room = (grown - 256) * KIB / 600 * 3 / 4;
        noise.append(&mut board, room.saturating_sub(60));
        let after = close(&mut board);
        assert_eq!(after.first(), grown_rows.first(), "{batches} {grown}: {room}");
        let (board, recovery) = reopen(board, grown * KIB);
        assert_eq!((recovery.damaged_pages, recovery.damaged_blocks, recovery.resized_from), (0, 0, 0));
        let again = rows(&board.store.reader(), 1_000);
        assert!(again.ends_with(&after), "{batches} {grown}");
        let selected = select(&board.store.reader(), &[]).iter().map(|(_, points)| points.len()).sum::<usize>();
        assert_eq!(selected, again.len());
    }
}

#[test]
fn shrinking_keeps_the_newest_that_fits() {
    for batches in [250, 700, 1_300, 1_800] {
        for shrunk in [256, 300, 512, 900, 1_000, 1_020] {
            let (mut noise, mut board) = (Noise(9), Board::new(sized(1_024 * KIB)));
            noise.append(&mut board, batches);
            let before = close(&mut board);
            let (mut board, recovery) = reopen(board, shrunk * KIB);
            assert_eq!((recovery.resized_from, recovery.damaged_pages), (1_024 * KIB, 0));
            let after = rows(&board.store.reader(), 1_000);
            assert!(before.ends_with(&after) || after.ends_with(&before), "{batches} {shrunk}");
            assert_eq!(recovery.rows_cut_off > 0, board.store.stats().overwritten > 0);
            // Whole blocks are kept, and one has up to an eighth of the old ring.
            let wanted = (before.len() as u64).min((shrunk - 120) * KIB / 9).saturating_sub(1_024 * KIB / 8 / 8);
            assert!(after.len() as u64 > wanted, "{batches} {shrunk}: {} of {wanted}", after.len());
            noise.append(&mut board, 60);
            let later = close(&mut board);
            let (again, recovery) = reopen(board, shrunk * KIB);
            assert_eq!((recovery.damaged_pages, recovery.damaged_blocks), (0, 0));
            assert!(rows(&again.store.reader(), 1_000).ends_with(&later), "{batches} {shrunk}");
        }
    }
}

#[test]
fn any_size_follows_any_other() {
    let (mut noise, mut board, mut seed) = (Noise(3), Board::new(sized(256 * KIB)), 5u64);
    let (mut refused, mut done) = (0, 0);
    for turn in 0..90 {
        noise.append(&mut board, 5 + seed % 110);
        board.store.put_cell("turn", &[turn]).expect("small");
        let before = close(&mut board);
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let sizes = [256, 272, 400, 512, 516, 1_024, 2_048, 5_000, 16_384, 40_000];
        let size = sizes[(seed >> 40) as usize % sizes.len()] * KIB;
        let Board { disk, now, .. } = board;
        let before_bytes = disk.0.lock().expect("not poisoned").len() as u64;
        let (again, recovery) = Board::open(disk, Vec::new(), sized(size), now);
        board = again;
        let after = rows(&board.store.reader(), 1_000);
        assert!(before.ends_with(&after) || after.ends_with(&before), "turn {turn}");
        assert!(size < before_bytes || after.len() >= before.len(), "turn {turn}: growing lost rows");
        assert_eq!(board.store.cell("turn"), Some(vec![turn]));
        assert_eq!((recovery.damaged_pages, recovery.damaged_blocks), (0, 0), "turn {turn}");
        refused += u64::from(recovery.resize_refused);
        done += u64::from(recovery.resized_from > 0);
    }
    println!("{done} changes of size, {refused} refused");
    assert!(done > 45 && refused == 0);
}

#[test]
fn a_file_that_cannot_grow_keeps_its_size_and_says_so() {
    let (mut noise, mut board) = (Noise(3), Board::new(sized(256 * KIB)));
    noise.append(&mut board, 20);
    let before = close(&mut board);
    let mut full = Full(board.disk.clone());
    let read = Arc::new(board.disk.clone());
    let (store, recovery) = tsdb::Store::open(&mut full, read, None, sized(512 * KIB), board.now).expect("it opens");
    assert!(recovery.resize_refused && recovery.file_bytes == 256 * KIB && recovery.resized_from == 0);
    assert!(rows(&store.reader(), 1_000).ends_with(&before));
}

#[test]
fn a_file_that_cannot_be_made_says_what_it_needs() {
    let disk = Memory::default();
    let opened = tsdb::Store::open(&mut Full(disk.clone()), Arc::new(disk), None, sized(512 * KIB), board::at(0));
    let error = opened.err().map(|error| error.to_string()).unwrap_or_default();
    assert_eq!(error, "a new data file needs 524288 bytes, which could not be reserved");
}

/// A medium without room for more.
struct Full(Memory);

impl model::Disk for Full {
    fn len(&mut self) -> std::io::Result<u64> {
        self.0.len()
    }
    fn read(&mut self, offset: u64, buf: &mut [u8]) -> std::io::Result<()> {
        self.0.read(offset, buf)
    }
    fn write(&mut self, offset: u64, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write(offset, bytes)
    }
    fn set_len(&mut self, _: u64) -> std::io::Result<()> {
        Err(std::io::ErrorKind::StorageFull.into())
    }
    fn sync(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A disk that cannot reserve room: a file is as long as it is said to be, and what is written behind the limit fails.
#[derive(Clone)]
struct Unreserved(Memory, u64);

impl Disk for Unreserved {
    fn len(&mut self) -> io::Result<u64> {
        self.0.len()
    }
    fn read(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, buf)
    }
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if offset + bytes.len() as u64 > self.1 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.write(offset, bytes)
    }
    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }
    fn sync(&mut self) -> io::Result<()> {
        self.0.sync()
    }
}

#[test]
fn growing_without_room_keeps_the_size_also_where_none_can_be_reserved() {
    let (mut noise, mut board) = (Noise(3), Board::new(sized(256 * KIB)));
    noise.append(&mut board, 100);
    let before = close(&mut board);
    for (limit, grown) in [(256 * KIB, 20_480 * KIB), (300 * KIB, 20_480 * KIB), (400 * KIB, 64 << 20)] {
        let read = Arc::new(board.disk.clone());
        let mut disk = Unreserved(board.disk.clone(), limit);
        let opened = Store::open(&mut disk, read, None, sized(grown), board.now);
        let (store, recovery) = opened.expect("a store that opens");
        assert!(recovery.resize_refused, "{limit} of {grown}");
        assert_eq!((recovery.file_bytes, recovery.resized_from), (256 * KIB, 0), "{limit} of {grown}");
        assert_eq!(disk.len().expect("a length"), 256 * KIB);
        assert_eq!(rows(&store.reader(), 1_000), before);
    }
    // And it goes on from there.
    let (mut board, recovery) = reopen(board, 256 * KIB);
    assert_eq!((recovery.damaged_pages, recovery.torn_pages), (0, 0));
    noise.append(&mut board, 10);
    assert!(close(&mut board).len() > before.len());
}

#[test]
fn a_new_file_without_room_says_each_time_how_much_is_needed() {
    let disk = Memory::default();
    for _ in 0..2 {
        let opened =
            Store::open(&mut Unreserved(disk.clone(), 64 * KIB), Arc::new(disk.clone()), None, sized(64 << 20), at(0));
        let error = opened.err().expect("no room");
        assert!(matches!(error, OpenError::Room { bytes, .. } if bytes == 64 << 20), "{error:?}");
        assert!(error.to_string().contains("67108864"), "{error}");
    }
}
