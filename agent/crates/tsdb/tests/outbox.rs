//! The ring as an outbox at its edges: every row is given once or counted as lost, whatever lies between.

mod board;

use board::{Board, at, options, rows};
use model::{Mono, Now, Outbox, RowId, Tail, UnixMs};
use tsdb::Options;

fn small() -> Options {
    Options { file_bytes: 256 << 10, tail_bytes: 0, ..options() }
}

fn noise(board: &mut Board, seed: &mut u64) {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
    board.append(1, &[("a", f64::from_bits(*seed >> 2)), ("b", f64::from_bits(*seed >> 3))]);
    board.pass(20_000);
}

/// A block may be sealed that has no row: small state alone has filled the journal.
#[test]
fn a_block_without_rows_hides_none() {
    for turns in 1..8 {
        let mut board = Board::new(small());
        let mut expected = 0;
        for turn in 0..turns {
            for i in 0..10 {
                board.append(1, &[("a", f64::from(i))]);
                board.pass(20_000);
                expected += 1;
            }
            for i in 0..if turn % 3 == 0 { 40 } else { 20u8 } {
                board.store.put_cell("cell", &vec![i + 1; 6_000]).expect("it fits");
                board.pass(60_000);
            }
        }
        let reader = board.store.reader();
        assert_eq!(rows(&reader, 7).len(), expected, "{turns} turns");
        for n in 0..expected as u64 {
            let mut tail = Tail::default();
            reader.since(RowId { opening: 1, n }, None, 1_000, &mut tail).expect("rows");
            assert_eq!((tail.rows.len() as u64, tail.overwritten), (expected as u64 - n - 1, 0), "{turns} turns");
        }
    }
}

#[test]
fn rows_that_are_all_overwritten_are_counted_and_passed_by() {
    let mut board = Board::new(small());
    let mut seed = 1;
    while board.store.stats().overwritten < 400 {
        noise(&mut board, &mut seed);
    }
    let reader = board.store.reader();
    let first = rows(&reader, 100)[0].0.n;
    let id = |n| RowId { opening: 1, n };
    let check = |after: u64, until: u64| {
        let mut tail = Tail::default();
        reader.since(id(after), Some(id(until)), 10_000, &mut tail).expect("rows");
        let expected = (until - after, id(until), first.min(until + 1).saturating_sub(after + 1));
        assert_eq!((tail.rows.len() as u64 + tail.overwritten, tail.until, tail.overwritten), expected);
    };
    for (after, until) in
        [(5, 90), (5, first - 1), (5, first), (5, first + 9), (first - 2, first - 1), (first, first + 1)]
    {
        check(after, until);
    }
}

#[test]
fn an_opening_that_is_wholly_overwritten_is_counted() {
    let mut board = Board::new(small());
    let mut seed = 1;
    for opening in 0..4 {
        for _ in 0..300 * (1 + opening % 2) {
            noise(&mut board, &mut seed);
        }
        board.store.flush(board.now);
        board.drain();
        board = Board::open(board.disk.clone(), Vec::new(), small(), board.now).0;
    }
    while board.store.stats().overwritten < 2_000 {
        noise(&mut board, &mut seed);
    }
    let reader = board.store.reader();
    let mut tail = Tail::default();
    reader.since(RowId { opening: 1, n: 99 }, Some(RowId { opening: 2, n: 49 }), 100, &mut tail).expect("rows");
    assert_eq!((tail.until, tail.overwritten), (RowId { opening: 2, n: 49 }, 500 + 50));
}

/// The table of epochs is bounded. What it has forgotten must not hold an upstream up for ever.
#[test]
fn rows_of_a_forgotten_boot_without_a_date_are_sent_at_their_place() {
    let dark = |mono| Now { mono: Mono(mono), wall: UnixMs(17), wall_trusted: false };
    let options = Options { build_date: UnixMs(1_800_000_000_000), boot: 1, ..small() };
    let (mut board, _) = Board::open(Default::default(), Vec::new(), options.clone(), dark(0));
    board.now = dark(0);
    board.append(1, &[("a", 1.0)]);
    board.store.flush(board.now);
    board.drain();
    // The block is sealed while it has no date; then a clock steps more often than the table can remember.
    board.now.mono.0 += 8_000_000;
    board.store.tick(board.now);
    board.drain();
    assert_eq!(board.store.stats().blocks, 1);
    let mut tail = Tail::default();
    board.store.reader().since(RowId::default(), None, 10, &mut tail).expect("rows");
    assert!(tail.undated && tail.rows.is_empty());
    for step in 0..1_200 {
        board.now = at(8_000_000 + step * 10);
        board.now.wall.0 += step as i64 * 100_000;
        board.store.tick(board.now);
        board.drain();
    }
    board.store.reader().since(RowId::default(), None, 10, &mut tail).expect("rows");
    assert_eq!((tail.rows.len(), tail.undated), (1, false));
}
