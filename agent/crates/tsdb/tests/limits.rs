//! What a store does at its limits and in odd hours: strangers' metadata, a disk that fails while it is killed, a clock
//! that was wrong for a while, an idle store.

mod board;

use board::{Board, Memory, START, at, options, rows};
use model::{Batch, Labels, MetricKind, Mono, Now, SourceId, UnixMs};
use tsdb::{DiskOp, OpDone, Options};

fn append_family(board: &mut Board, name: &str, help: &str, unit: &str) {
    let mut batch = Batch::new();
    batch.family_with_unit(name, help, MetricKind::Gauge, unit);
    batch.add(&[], 1.0);
    board.store.append(board.now, &batch, SourceId(1), &Labels::empty());
}

/// A stranger may send what it likes as metadata.
#[test]
fn metadata_is_bounded_in_bytes_and_makes_room_for_what_is_there() {
    let mut board = Board::new(Options { file_bytes: 512 << 10, series_max: 50, ..options() });
    let long = "x".repeat(100_000);
    for n in 0..9_000 {
        append_family(&mut board, &format!("stranger_{n}"), &long, &long);
        board.pass(5_000);
    }
    let mut bytes = 0;
    board.store.reader().each_metadata(&mut |name, family| bytes += name.len() + family.help.len() + family.unit.len());
    assert!(bytes <= 4 << 20, "{bytes}");
    // The strangers' series leave the ring, and their metadata makes room.
    let mut seed = 1u64;
    for _ in 0..3_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        board.append(2, &[("a", f64::from_bits(seed)), ("b", f64::from_bits(!seed))]);
        board.pass(60_000);
    }
    append_family(&mut board, "ours", "Help.", "");
    assert_eq!(board.store.reader().metadata("ours").map(|family| family.help), Some("Help.".to_owned()));
}

/// The tail file keeps what no sync has made certain, also when a sync failed: nothing of it is overwritten by what
/// comes during the next one.
#[test]
fn a_kill_after_a_failed_sync_loses_nothing() {
    for good_writes in [false, true] {
        let mut board = Board::new(options());
        board.store.flush(board.now);
        board.drain();
        let medium = board.disk.0.lock().expect("not poisoned").clone();
        let mut expected = 0;
        for turn in 0..3 {
            for i in 0..5 {
                board.append(1, &[("a", f64::from(i))]);
                board.now = at(board.now.mono.0 + 1_000);
                expected += 1;
            }
            board.store.flush(board.now);
            board.append(1, &[("a", 77.0)]);
            expected += 1;
            let mut ops = Vec::new();
            board.store.take_ops(&mut ops);
            for op in ops {
                let fail = || std::io::Error::other("the card is gone");
                match op {
                    DiskOp::Write { .. } => {
                        let result = if good_writes { Ok(()) } else { Err(fail()) };
                        board.store.done(board.now, OpDone::Written { result });
                    }
                    DiskOp::Sync { ticket } if turn < 2 => {
                        board.store.done(board.now, OpDone::Synced { ticket, result: Err(fail()) });
                    }
                    DiskOp::Sync { .. } => {}
                    DiskOp::Tail { offset, bytes } => {
                        let end = offset as usize + bytes.len();
                        board.tail.resize(board.tail.len().max(end), 0);
                        board.tail[offset as usize..end].copy_from_slice(&bytes);
                    }
                }
            }
            let disk = Memory(std::sync::Arc::new(std::sync::Mutex::new(medium.clone())));
            let (again, _) = Board::open(disk, board.tail.clone(), options(), board.now);
            assert_eq!(rows(&again.store.reader(), 100).len(), expected, "turn {turn}");
        }
    }
}

/// A server that told a wrong time once must not push every later boot without a clock into the future.
#[test]
fn a_wrong_date_that_was_corrected_is_not_the_last_known_time() {
    let decades = 30 * 31_536_000_000;
    let disk = Memory::default();
    let wrong = |mono: u64| Now { wall: UnixMs(START + decades + mono as i64), ..at(mono) };
    let options = Options { boot: 3, ..options() };
    let (mut board, _) = Board::open(disk.clone(), Vec::new(), options.clone(), wrong(0));
    for (step, now) in [wrong(1_000), wrong(2_000), at(3_000), at(4_000)].into_iter().enumerate() {
        board.now = now;
        board.append(1, &[("a", step as f64)]);
    }
    board.store.flush(board.now);
    board.drain();
    let dark = Now { mono: Mono(500), wall: UnixMs(0), wall_trusted: false };
    let (again, _) = Board::open(disk, Vec::new(), Options { boot: 4, ..options }, dark);
    assert_eq!(again.store.last_known_wall(), UnixMs(START + 4_000));
    assert_eq!(again.store.wall_of(dark), UnixMs(START + 4_001));
}

#[test]
fn an_idle_store_neither_writes_nor_wakes() {
    let mut board = Board::new(options());
    board.append(1, &[("a", 1.0)]);
    board.store.end_source(board.now, SourceId(1));
    let mut wakes = 0;
    while let Some(deadline) = board.store.next_deadline() {
        board.now = at(deadline.0.max(board.now.mono.0));
        board.pass(0);
        wakes += 1;
        assert!(wakes < 10, "it wakes for ever");
    }
    let before = board.disk.0.lock().expect("not poisoned").clone();
    let syncs = board.store.stats().syncs;
    for _ in 0..100 {
        board.pass(3_600_000);
    }
    assert_eq!((board.store.stats().syncs, board.store.next_deadline()), (syncs, None));
    assert!(*board.disk.0.lock().expect("not poisoned") == before);
}

/// Between two syncs there is at least the interval, however many rows come.
#[test]
fn the_sync_interval_is_kept() {
    let mut board = Board::new(options());
    let counts = |board: &Board| (board.store.stats().syncs, board.store.stats().blocks);
    let mut before = counts(&board);
    for minute in 0..50 {
        for _ in 0..60 {
            board.append(1, &[("a", 1.0), ("b", 2.0)]);
            board.pass(1_000);
        }
        let after = counts(&board);
        // Sealing a block takes two of its own.
        assert!(after.0 - before.0 <= 1 + 2 * (after.1 - before.1), "minute {minute}: {before:?} {after:?}");
        before = after;
    }
    assert!(before.0 >= 50 && before.1 >= 1);
}

#[test]
fn five_thousand_series_that_come_at_once_are_all_kept() {
    let mut board = Board::new(Options { file_bytes: 64 << 20, ..options() });
    let names: Vec<String> = (0..5_000).map(|n| format!("a name of some length, as such names are, {n}")).collect();
    let values: Vec<(&str, f64)> = names.iter().zip(0..).map(|(name, n)| (name.as_str(), f64::from(n))).collect();
    for _ in 0..3 {
        let appended = board.append(1, &values);
        assert_eq!((appended.refused.total(), appended.rows.len()), (0, 5_000));
        board.pass(7_200_000);
    }
    assert_eq!(board.store.stats().series, 5_000);
}

#[test]
fn a_series_that_comes_or_goes_anywhere_in_a_batch_leaves_the_others_as_they_are() {
    let mut board = Board::new(options());
    let names: Vec<String> = (0..300).map(|n| n.to_string()).collect();
    let mut there = vec![true; 300];
    let mut expected: Vec<Vec<(i64, u64)>> = vec![Vec::new(); 300];
    let mut seed = 5u64;
    for round in 0..200u64 {
        let before = there.clone();
        for _ in 0..round % 4 * 40 + 1 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            there[(seed >> 33) as usize % 300] ^= true;
        }
        let mut values: Vec<(usize, f64)> = (0..300).filter(|n| there[*n]).map(|n| (n, round as f64)).collect();
        if round % 7 == 0 {
            values.reverse();
        }
        if round % 50 == 20 {
            board.pass(7_200_000);
        }
        let named: Vec<(&str, f64)> = values.iter().map(|(n, value)| (names[*n].as_str(), *value)).collect();
        let appended = board.append(1, &named);
        let gone = (0..300).filter(|n| before[*n] && !there[*n] && round > 0).count();
        assert_eq!((appended.refused.total(), appended.vanished), (0, gone as u64), "round {round}");
        let at = board.now.wall.0 - board::START;
        for n in 0..300 {
            if there[n] {
                expected[n].push((at, (round as f64).to_bits()));
            } else if before[n] && round > 0 {
                expected[n].push((at, model::STALE_NAN_BITS));
            }
        }
        // One series twice counts once.
        if round % 9 == 0 && !named.is_empty() {
            board.pass(1_000);
            let mut twice = named.clone();
            twice.push(named[named.len() / 2]);
            assert_eq!(board.append(1, &twice).refused.repeated, 1);
            let at = board.now.wall.0 - board::START;
            values.iter().for_each(|(n, value)| expected[*n].push((at, value.to_bits())));
        }
        board.pass(5_000);
    }
    let found = board::select(&board.store.reader(), &[]);
    for (labels, points) in found {
        let n = (0..300).find(|n| labels.contains(&format!("n=\"{n}\""))).expect("one of them");
        assert_eq!(points, expected[n], "{labels}");
    }
}

/// Many series that come at once are more than an interval's worth of journal: what waits is written before its time,
/// and the block is not sealed for it, which would have the next one name all series again.
#[test]
fn much_at_once_is_written_early_and_seals_nothing() {
    let size = Options { file_bytes: 64 << 20, series_max: 30_000, block_bytes_max: 8 << 20, ..options() };
    let mut board = Board::new(size);
    board.pass(1_000);
    let before = board.store.stats().journal_bytes;
    for source in 0..50 {
        let mut batch = Batch::new();
        batch.family("many", "", MetricKind::Gauge);
        for row in 0..500 {
            let labels = [("__name__", "many"), ("row", &*row.to_string()), ("target", &*source.to_string())];
            batch.add_labels(&Labels::from_pairs(labels), model::Value::Float(f64::from(row) / 7.0));
        }
        board.store.append(board.now, &batch, SourceId(source), &Labels::empty());
        board.pass(10);
    }
    let stats = board.store.stats();
    assert_eq!((stats.blocks, stats.frozen, stats.open_rows), (0, false, 25_000));
    // Half a megabyte and more of names, squeezed to a third.
    assert!(stats.journal_bytes - before > 160 << 10, "{}", stats.journal_bytes - before);
}
