//! DESIGN's table of what happens to the clock, line by line, as far as it is the store's business. What it means for
//! alerts and upstreams is in `tests/sim`.

mod board;

use board::{Board, Memory, START, options, rows, select};
use model::{Mono, Now, Outbox, Querier, RowId, Tail, TimeRange, UnixMs};
use tsdb::Options;

const HOUR: u64 = 3_600_000;

fn boot(number: u64) -> Options {
    Options { boot: number, build_date: UnixMs(START), ..options() }
}

/// A board whose clock says so much after the start, that many milliseconds after it booted.
fn trusted(mono: u64, wall: i64) -> Now {
    Now { mono: Mono(mono), wall: UnixMs(START + wall), wall_trusted: true }
}

fn dark(mono: u64) -> Now {
    Now { mono: Mono(mono), wall: UnixMs(0), wall_trusted: false }
}

fn append(board: &mut Board, now: Now, value: f64) {
    board.now = now;
    assert_eq!(board.append(1, &[("a", value)]).rows.len(), 1);
}

fn open(disk: &Memory, number: u64, now: Now) -> Board {
    let mut board = Board::open(disk.clone(), Vec::new(), boot(number), now).0;
    board.now = now;
    board
}

fn close(board: &mut Board) {
    board.store.flush(board.now);
    board.drain();
}

/// Returns the dates of all rows that may be sent, relative to the start, and whether some wait.
fn sendable(board: &Board) -> (Vec<i64>, bool) {
    let mut tail = Tail::default();
    board.store.reader().since(RowId::default(), None, 100, &mut tail).expect("rows");
    (tail.rows.iter().map(|row| row.sample.at.0 - START).collect(), tail.undated)
}

/// Returns the dates under which rows are found by a query.
fn found(board: &Board) -> Vec<i64> {
    select(&board.store.reader(), &[]).into_iter().flat_map(|(_, points)| points).map(|point| point.0).collect()
}

#[test]
fn first_trust_dates_the_whole_boot_without_a_gap_or_a_duplicate() {
    let mut board = open(&Memory::default(), 1, dark(10));
    append(&mut board, dark(1_000), 1.0);
    append(&mut board, dark(2_000), 2.0);
    assert_eq!((sendable(&board), found(&board)), ((vec![], true), vec![991, 1_991]));
    append(&mut board, trusted(3_000, 50_000_000), 3.0);
    let dates = vec![49_998_000, 49_999_000, 50_000_000];
    assert_eq!((sendable(&board), found(&board)), ((dates.clone(), false), dates));
}

#[test]
fn a_restart_within_a_boot_that_is_dated_later_dates_what_came_before_it_too() {
    let disk = Memory::default();
    let mut board = open(&disk, 1, dark(10));
    append(&mut board, dark(1_000), 1.0);
    close(&mut board);
    let mut board = open(&disk, 1, dark(2_000));
    append(&mut board, dark(2_500), 2.0);
    append(&mut board, trusted(3_000, 50_000_000), 3.0);
    assert_eq!(sendable(&board), (vec![49_998_000, 49_999_500, 50_000_000], false));
}

#[test]
fn a_step_forward_begins_an_epoch_and_leaves_what_was() {
    let mut board = open(&Memory::default(), 1, trusted(0, 0));
    append(&mut board, trusted(1_000, 1_000), 1.0);
    append(&mut board, trusted(2_000, HOUR as i64 + 2_000), 2.0);
    append(&mut board, trusted(3_000, HOUR as i64 + 3_000), 3.0);
    let dates = vec![1_000, HOUR as i64 + 2_000, HOUR as i64 + 3_000];
    assert_eq!((sendable(&board), found(&board)), ((dates.clone(), false), dates));
    // Less than a step is slewing: dates go on evenly.
    append(&mut board, trusted(4_000, HOUR as i64 + 4_900), 4.0);
    assert_eq!(sendable(&board).0[3], HOUR as i64 + 4_000);
}

#[test]
fn a_step_back_begins_an_epoch_and_rows_keep_their_dates_until_it_is_known_what_was_sent() {
    let mut board = open(&Memory::default(), 1, trusted(0, HOUR as i64));
    append(&mut board, trusted(1_000, HOUR as i64 + 1_000), 1.0);
    append(&mut board, trusted(2_000, 2_000), 2.0);
    assert_eq!(sendable(&board), (vec![HOUR as i64 + 1_000, 2_000], false));
    // A query finds both, in the order of their dates, and new rows go on from the corrected one.
    assert_eq!(found(&board), [2_000, HOUR as i64 + 1_000]);
    assert_eq!(board.store.wall_of(trusted(3_000, 3_000)), UnixMs(START + 3_000));
    assert_eq!(board.store.last_known_wall(), UnixMs(START + 2_000));
    board.store.note_sent(RowId::default());
    assert_eq!((sendable(&board), found(&board)), ((vec![1_000, 2_000], false), vec![1_000, 2_000]));
}

/// Rows that no upstream was handed get the date that the corrected clock gives them, wherever they are by then; those
/// that were sent keep theirs, and are counted where that is later than now.
#[test]
fn a_step_back_dates_rows_again_that_were_not_sent_and_no_others() {
    for sent in 0..=20u64 {
        let (disk, ahead) = (Memory::default(), HOUR as i64);
        let mut board = open(&disk, 1, trusted(0, ahead));
        board.store.note_sent(RowId::default());
        let mut last = RowId::default();
        for i in 1..=20 {
            board.now = trusted(i * 1_000, ahead + i as i64 * 1_000);
            let rows = board.append(1, &[("a", i as f64)]).rows;
            if i == sent {
                last = rows.first;
                board.store.note_sent(last);
            }
            if i == 8 {
                // Half of them are sealed, and of those some were sent.
                board.store.seal(board.now);
                board.drain();
            }
            if i == 14 {
                close(&mut board);
                board = open(&disk, 1, trusted(i * 1_000, ahead + i as i64 * 1_000));
                board.store.note_sent(last);
            }
        }
        for i in 21..=24 {
            append(&mut board, trusted(i * 1_000, i as i64 * 1_000), i as f64);
        }
        let date = |i: u64| i as i64 * 1_000 + if i <= sent { ahead } else { 0 };
        let dates: Vec<i64> = (1..=24).map(date).collect();
        let mut sorted = dates.clone();
        sorted.sort_unstable();
        let check = |board: &Board, when: &str| {
            assert_eq!(sendable(board), (dates.clone(), false), "{sent} sent, {when}");
            assert_eq!(found(board), sorted, "{sent} sent, {when}");
            let reader = board.store.reader();
            for range in [(0, 5_500), (3_000, 23_000), (ahead, ahead + 10_000), (12_500, 12_900)] {
                let expected: Vec<i64> = sorted.iter().copied().filter(|at| (range.0..=range.1).contains(at)).collect();
                let times = TimeRange { start: UnixMs(START + range.0), end: UnixMs(START + range.1) };
                let mut within = Vec::new();
                let read = reader.select(&[], times, &mut |_, samples| {
                    within.extend(samples.at.iter().map(|at| at.0 - START));
                    true
                });
                read.expect("a selection");
                assert_eq!(within, expected, "{sent} sent, {when}, {range:?}");
                let mut newest = None;
                let read = reader.select_newest(&[], times, &mut |_, samples| {
                    newest = samples.at.last().map(|at| at.0 - START);
                    true
                });
                read.expect("a selection");
                assert_eq!(newest, expected.last().copied(), "{sent} sent, {when}, the newest of {range:?}");
            }
        };
        check(&board, "open");
        // What was sent keeps its date when more is sent; that it was later than now is known.
        board.store.note_sent(rows(&board.store.reader(), 7)[22].0);
        assert_eq!(board.store.stats().sent_ahead, sent, "{sent} sent");
        check(&board, "more was sent");
        close(&mut board);
        check(&open(&disk, 1, trusted(25_000, 25_000)), "opened again");
        board.store.seal(board.now);
        board.drain();
        check(&board, "sealed");
        let mut again = open(&disk, 1, trusted(26_000, 26_000));
        check(&again, "sealed and opened again");
        // A second step back is another one's matter.
        append(&mut again, trusted(27_000, 7_000), 0.0);
        again.store.note_sent(rows(&again.store.reader(), 7)[23].0);
        assert_eq!(sendable(&again).0[..24], dates, "{sent} sent");
    }
}

/// A batch of which a part was sent is not torn: its rows were read at one time and keep it.
#[test]
fn a_batch_that_was_sent_in_part_keeps_its_date() {
    let mut board = open(&Memory::default(), 1, trusted(0, HOUR as i64));
    board.now = trusted(1_000, HOUR as i64 + 1_000);
    let rows = board.append(1, &[("a", 1.0), ("b", 2.0), ("c", 3.0)]).rows;
    board.now = trusted(2_000, HOUR as i64 + 2_000);
    board.append(1, &[("a", 4.0), ("b", 5.0), ("c", 6.0)]);
    board.store.note_sent(rows.first.plus(1));
    append(&mut board, trusted(3_000, 3_000), 7.0);
    let late = HOUR as i64 + 1_000;
    assert_eq!(sendable(&board).0[..6], [late, late, late, 2_000, 2_000, 2_000]);
    assert_eq!(board.store.stats().sent_ahead, 2);
}

#[test]
fn a_suspended_board_has_a_gap_and_invents_nothing() {
    let mut board = open(&Memory::default(), 1, trusted(0, 0));
    append(&mut board, trusted(1_000, 1_000), 1.0);
    // Elapsed time goes on in suspend, so the wall is where it is expected: no step.
    let later = 8 * HOUR;
    append(&mut board, trusted(later, later as i64), 2.0);
    append(&mut board, trusted(later + 1_000, later as i64 + 1_000), 3.0);
    assert_eq!(sendable(&board), (vec![1_000, later as i64, later as i64 + 1_000], false));
    assert_eq!(rows(&board.store.reader(), 10).len(), 3);
}

#[test]
fn boots_that_never_knew_the_time_are_placed_between_their_neighbours() {
    let disk = Memory::default();
    let mut board = open(&disk, 1, trusted(100, 100));
    append(&mut board, trusted(5_000, 5_000), 1.0);
    close(&mut board);
    for number in 2..=4 {
        let mut board = open(&disk, number, dark(100));
        for i in 1..=3 {
            append(&mut board, dark(i * 1_000), number as f64);
        }
        assert!(sendable(&board).1, "boot {number} waits");
        close(&mut board);
    }
    let mut board = open(&disk, 5, dark(50));
    append(&mut board, dark(100), 9.0);
    // Everything works on the provisional wall meanwhile, and no two rows share a date.
    let provisional = found(&board);
    assert!(provisional.windows(2).all(|pair| pair[0] < pair[1]) && provisional.len() == 11, "{provisional:?}");
    let day = 24 * HOUR as i64;
    append(&mut board, trusted(200, day), 10.0);
    let (dates, waits) = sendable(&board);
    assert!(!waits && dates.windows(2).all(|pair| pair[0] < pair[1]), "{dates:?}");
    assert_eq!((dates[0], &dates[10..]), (5_000, &[day - 100, day][..]));
    // The three are where they were: after the first boot, each after the one before.
    assert_eq!(dates[1..10], provisional[1..10]);
    assert_eq!(found(&board), dates);
    close(&mut board);
    assert_eq!(sendable(&open(&disk, 5, trusted(300, day + 100))), (dates, false));
}

#[test]
fn values_that_are_times_are_never_rewritten() {
    let mut board = open(&Memory::default(), 1, dark(10));
    append(&mut board, dark(1_000), 1_800_000_000.25);
    append(&mut board, trusted(2_000, 50_000_000), 1_800_050_000.25);
    let values: Vec<f64> = rows(&board.store.reader(), 10).iter().map(|row| f64::from_bits(row.3)).collect();
    assert_eq!(values, [1_800_000_000.25, 1_800_050_000.25]);
}
