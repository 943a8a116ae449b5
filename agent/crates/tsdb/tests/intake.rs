//! What a store takes and what it refuses and counts: late samples, the same time twice, too many series, too much
//! memory; and what leaves it by age.

mod board;

use board::{Board, Memory, START, at, options, rows, select};
use model::{Batch, Labels, MetricKind, SourceId, UnixMs};
use tsdb::{Appended, Options, Refused};

const HOUR: u64 = 3_600_000;

/// Appends one sample with a time of its own, so many milliseconds before now.
fn append(board: &mut Board, series: &str, ago_ms: u64, value: f64) -> Appended {
    let mut batch = Batch::new();
    batch.family("m", "Help.", MetricKind::Gauge);
    batch.add(&[("n", series)], value);
    batch.stamp_last(Some(UnixMs(board.now.wall.0 - ago_ms as i64)), None);
    // Each from a source of its own, so that none of them vanishes.
    let source = SourceId(series.bytes().map(u32::from).sum());
    board.store.append(board.now, &batch, source, &Labels::empty())
}

fn late(window_ms: u64) -> Board {
    let mut board = Board::new(Options { out_of_order_ms: window_ms, ..options() });
    board.now = at(10 * HOUR);
    board.append(1, &[("own", 1.0)]);
    board
}

#[test]
fn late_samples_get_their_place_within_the_window_and_are_refused_beyond() {
    let mut board = late(HOUR);
    for (ago_ms, value) in [(60_000, 1.0), (600_000, 2.0), (1_000, 3.0), (1_200_000, 4.0), (30_000, 5.0)] {
        let appended = append(&mut board, "a", ago_ms, value);
        assert_eq!((appended.rows.len(), appended.refused.total()), (1, 0), "{ago_ms}");
    }
    let refused = append(&mut board, "a", HOUR + 1, 6.0).refused;
    assert_eq!(refused, Refused { too_old: 1, ..Refused::default() });
    // A series that is not there yet is not made for a sample that is not taken.
    assert_eq!(append(&mut board, "new", 3 * HOUR, 6.0).refused.too_old, 1);
    assert_eq!((board.store.stats().series, board.store.stats().refused.too_old), (2, 2));
    let wanted: Vec<f64> = vec![4.0, 2.0, 1.0, 5.0, 3.0];
    let check = |board: &Board| {
        let found = select(&board.store.reader(), &[model::Matcher::equal("n", "a")]);
        let values: Vec<f64> = found[0].1.iter().map(|(_, bits)| f64::from_bits(*bits)).collect();
        assert_eq!(values, wanted);
        assert!(found[0].1.windows(2).all(|pair| pair[0].0 < pair[1].0));
        // As rows they are in the order in which they came, with ids of their own.
        let rows: Vec<f64> = rows(&board.store.reader(), 2).iter().skip(1).map(|row| f64::from_bits(row.3)).collect();
        assert_eq!(rows, [1.0, 2.0, 3.0, 4.0, 5.0]);
    };
    check(&board);
    // And so it is from the journal and from a sealed block.
    board.store.flush(board.now);
    board.drain();
    let (mut board, _) = Board::open(board.disk.clone(), Vec::new(), options(), board.now);
    check(&board);
    board.pass(2 * HOUR);
    assert_eq!(board.store.stats().blocks, 1);
    check(&board);
}

#[test]
fn without_a_window_order_is_kept_and_the_same_again_is_nothing_new() {
    let mut board = late(0);
    append(&mut board, "a", 60_000, 1.0);
    let one = |refused: Refused| (refused.total() == 1).then_some(refused);
    assert_eq!(one(append(&mut board, "a", 60_001, 2.0).refused).map(|r| r.out_of_order), Some(1));
    assert_eq!(one(append(&mut board, "a", 60_000, 2.0).refused).map(|r| r.duplicate), Some(1));
    assert_eq!(one(append(&mut board, "b", HOUR + 5_000, 2.0).refused).map(|r| r.too_old), Some(1));
    let same = append(&mut board, "a", 60_000, 1.0);
    assert_eq!((same.rows.len(), same.refused.total(), same.vanished), (0, 0, 0));
    assert_eq!(append(&mut board, "a", 59_999, 2.0).rows.len(), 1);
    assert_eq!(rows(&board.store.reader(), 10).len(), 3);
    // Rows that have the time they are read at are always taken, also when the clock was set back.
    board.now.wall.0 -= 5 * HOUR as i64;
    board.now.mono.0 += 1_000;
    assert_eq!(board.append(1, &[("own", 2.0)]).rows.len(), 1);
    assert_eq!(append(&mut board, "a", 0, 3.0).rows.len(), 1);
}

/// A rule that was being evaluated when the clock was set back must not keep later results out.
#[test]
fn what_is_our_own_is_taken_whatever_its_time() {
    let mut board = late(0);
    let append_own = |board: &mut Board, ahead_ms: i64, value: f64| {
        let mut batch = Board::batch(&[("rule", value)]);
        batch.stamp_last(Some(UnixMs(board.now.wall.0 + ahead_ms)), None);
        board.store.append_own(board.now, &batch, SourceId(1_000), &Labels::empty()).rows.len()
    };
    let taken = [3 * HOUR as i64, 0, 15_000, 15_000].map(|ahead| append_own(&mut board, ahead, 1.0));
    assert_eq!(taken, [1; 4]);
}

#[test]
fn times_out_of_bounds_are_refused_and_counted() {
    let mut board = Board::new(options());
    for time in [-1, i64::MIN, 9_223_372_036_855, i64::MAX] {
        let mut batch = Board::batch(&[("a", 1.0)]);
        batch.stamp_last(Some(UnixMs(time)), None);
        let appended = board.store.append(board.now, &batch, SourceId(1), &Labels::empty());
        assert_eq!((appended.rows.len(), appended.refused.time), (0, 1), "{time}");
    }
    for time in [0, 9_223_372_036_854] {
        let mut batch = Board::batch(&[("a", 1.0)]);
        batch.stamp_last(Some(UnixMs(time)), None);
        assert_eq!(board.store.append(board.now, &batch, SourceId(1), &Labels::empty()).rows.len(), 1);
    }
    assert_eq!((board.store.stats().refused.time, rows(&board.store.reader(), 9).len()), (4, 2));
}

/// The seconds of this board's clock do not fit 32 bits any more.
#[test]
fn a_clock_in_2040_is_kept_to_the_millisecond() {
    let in_2040 = 2_208_988_800_123;
    let now =
        |mono: u64| model::Now { mono: model::Mono(mono), wall: UnixMs(in_2040 + mono as i64), wall_trusted: true };
    let (mut board, _) = Board::open(Memory::default(), Vec::new(), options(), now(0));
    for _ in 0..500 {
        board.append(1, &[("a", 1.0)]);
        board.pass(15_000);
    }
    board.store.flush(board.now);
    board.drain();
    let (again, _) = Board::open(board.disk, Vec::new(), options(), board.now);
    let found = select(&again.store.reader(), &[]);
    let times: Vec<i64> = found[0].1.iter().map(|point| point.0 + START - in_2040).collect();
    assert_eq!(times, (0..500).map(|i| i * 15_000).collect::<Vec<_>>());
    assert_eq!(again.store.last_known_wall(), UnixMs(in_2040 + 499 * 15_000));
}

#[test]
fn new_series_are_refused_for_lack_of_memory_and_counted_by_source() {
    let memory = 3 * 64 * 1_024 + 13_000;
    let limits = Options { memory_bytes_max: memory, block_bytes_max: 60 << 10, series_max: 90, ..options() };
    let mut board = Board::new(limits);
    let names: Vec<String> = (0..200).map(|n| format!("name_{n:03}")).collect();
    let some = |range: std::ops::Range<usize>| names[range].iter().map(|name| (name.as_str(), 1.0)).collect::<Vec<_>>();
    let first = board.append(1, &some(0..60));
    assert_eq!((first.rows.len(), first.refused.total()), (60, 0));
    let second = board.append(2, &some(60..200));
    let stats = board.store.stats();
    assert!(second.refused.memory > 50 && second.refused.series_max == 0, "{second:?}");
    assert_eq!(stats.refused_series[0], (SourceId(2), second.refused.memory));
    // Old ones go on.
    board.pass(5_000);
    assert_eq!(board.append(1, &some(0..60)).rows.len(), 60);
    board.append(3, &some(150..151));
    assert_eq!(board.store.stats().refused_series[1], (SourceId(3), 1));
}

#[test]
fn a_series_leaves_with_its_last_block_and_makes_room() {
    let mut board = Board::new(Options { file_bytes: 256 << 10, series_max: 3, ..options() });
    board.append(1, &[("gone", 1.0)]);
    let mut seed = 1u64;
    for _ in 0..3_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        board.append(1, &[("a", f64::from_bits(seed)), ("b", f64::from_bits(!seed))]);
        board.pass(60_000);
    }
    assert!(board.store.stats().overwritten > 0 && board.store.stats().series == 2);
    assert_eq!(board.append(1, &[("a", 1.0), ("b", 1.0), ("new", 1.0)]).refused.total(), 0);
}

#[test]
fn blocks_older_than_is_kept_go_by_a_true_clock_only() {
    let keeping = |retention_ms| Options { retention_ms, ..options() };
    let mut board = Board::new(keeping(Some(10 * HOUR)));
    for i in 0..48 {
        board.append(1, &[("a", f64::from(i))]);
        board.append(1 + i as u32 / 40, &[(if i < 5 { "early" } else { "late" }, 1.0)]);
        board.pass(HOUR / 2);
    }
    let stats = board.store.stats();
    let oldest = stats.oldest.map_or(0, |at| at.0);
    let age_ms = (board.now.wall.0 - oldest) as u64;
    assert!(stats.expired > 40 && (10 * HOUR..=12 * HOUR).contains(&age_ms), "{age_ms} {stats:?}");
    assert!(board.store.reader().label_values("n", None).iter().all(|value| value != "early"));
    let kept = rows(&board.store.reader(), 100);
    // After a restart they are gone again, and stay while no clock can be trusted.
    board.store.flush(board.now);
    board.drain();
    let dark = model::Now { wall: UnixMs(0), wall_trusted: false, ..board.now };
    let (mut again, _) = Board::open(board.disk.clone(), Vec::new(), keeping(Some(10 * HOUR)), dark);
    again.store.tick(dark);
    assert!(rows(&again.store.reader(), 100).len() > kept.len());
    let (mut again, _) = Board::open(board.disk.clone(), Vec::new(), keeping(Some(10 * HOUR)), board.now);
    again.store.tick(board.now);
    assert_eq!(rows(&again.store.reader(), 100).len(), kept.len());
}

/// A backfill: what is as old as its samples say is not kept as long as if it had been read when it was brought in.
#[test]
fn rows_that_bring_their_own_times_age_by_them_alone() {
    let keeping = Options { retention_ms: Some(10 * 86_400_000), out_of_order_ms: u64::MAX, ..options() };
    let mut board = Board::new(keeping.clone());
    for day in 0..8 {
        let mut batch = Board::batch(&[("a", f64::from(day))]);
        batch.stamp_last(Some(UnixMs(board.now.wall.0 - 8 * 86_400_000 + i64::from(day) * 86_400_000)), None);
        board.store.append(board.now, &batch, SourceId(1), &Labels::empty());
        board.store.release(SourceId(1));
    }
    board.store.seal(board.now);
    board.store.flush(board.now);
    board.drain();
    let check = |board: &Board, sealed: u64| {
        let stats = board.store.stats();
        assert_eq!(
            (stats.blocks, stats.oldest, stats.newest.map(|newest| newest.0 - START)),
            (sealed, Some(UnixMs(START + 1_000 - 8 * 86_400_000)), Some(1_000 - 86_400_000),)
        );
        let (bytes, days) = (stats.used_bytes as f64 / 7.0, stats.bytes_per_day.expect("a rate") as f64);
        assert!((bytes - days).abs() < 2.0, "{bytes} {days}");
    };
    check(&board, 1);
    let (mut again, _) = Board::open(board.disk.clone(), Vec::new(), keeping, board.now);
    check(&again, 1);
    for (days, expired) in [(8, 0), (2, 8)] {
        again.pass(days * 86_400_000);
        again.append(2, &[("live", 1.0)]);
        again.pass(HOUR);
        assert_eq!(again.store.stats().expired, expired, "{days}");
    }
}

/// What is imported, or written by another server, has the same times in one series after the other: a sealed block has
/// them once, and every series has its own samples all the same.
#[test]
fn series_that_bring_the_same_times_share_them() {
    let mut board = Board::new(Options { out_of_order_ms: u64::MAX, ..options() });
    let at = |i: i64, series: usize| START - 900_000 + i * 15 + i * i % 7 - if series == 2 { i * i % 5 } else { 0 };
    for i in 0..200 {
        let mut batch = Batch::new();
        for (series, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
            batch.family(name, "", MetricKind::Gauge);
            batch.add(&[], (i * 7 % 11) as f64);
            batch.stamp_last(Some(UnixMs(at(i, series))), None);
        }
        board.store.append(board.now, &batch, SourceId(1), &Labels::empty());
    }
    board.store.release(SourceId(1));
    let open = (select(&board.store.reader(), &[]), rows(&board.store.reader(), 500));
    assert!(
        open.0.len() == 4
            && open.0.iter().zip(0..).all(|((_, points), series)| {
                let times = points.iter().map(|(time, _)| START + time);
                points.len() == 200 && times.eq((0..200).map(|i| at(i, series)))
            })
    );
    board.store.seal(board.now);
    board.store.flush(board.now);
    board.drain();
    let (again, _) = Board::open(board.disk.clone(), Vec::new(), options(), board.now);
    let reader = again.store.reader();
    assert_eq!((again.store.stats().blocks, select(&reader, &[]), rows(&reader, 500)), (1, open.0, open.1));
    let costs = reader.costs().expect("a whole ring");
    let bytes = |name: &str| costs.iter().find(|cost| cost.name == name).expect("a metric").bytes;
    assert!(bytes("b") + 100 < bytes("a"), "{costs:?}");
    assert!(bytes("c") >= bytes("a") && bytes("d") >= bytes("a"), "others than those of the one before: {costs:?}");
}
