//! The store from outside: what goes in comes out, in memory, from the journal, from sealed blocks, after reopening.
//!
//! The disk is bytes in memory; what is asked for is done at once. What a cut leaves is `tests/power_cut`.

mod board;

use board::{Board, START, at, options, rows, select};
use model::{
    Labels, Matcher, MetricKind, Mono, Now, Outbox, Querier, RowId, SourceId, Tail, TimeRange, UnixMs, is_stale_nan,
};
use tsdb::{Options, Store};

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
    assert_eq!(reader.label_values("n", None).iter().collect::<Vec<_>>(), ["a", "b"]);
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
    let options = || Options { file_bytes: 512 << 10, ..options() };
    let mut board = Board::new(options());
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

#[test]
fn rows_without_a_date_wait_and_are_dated_without_a_gap() {
    let dark = |mono| Now { mono: Mono(mono), wall: UnixMs(17), wall_trusted: false };
    let disk = board::Memory::default();
    let options = Options { build_date: UnixMs(START), ..options() };
    let (mut board, _) = Board::open(disk.clone(), Vec::new(), options.clone(), dark(1_000));
    board.now = dark(1_000);
    board.append(1, &[("a", 1.0)]);
    board.pass(5_000);
    board.append(1, &[("a", 2.0)]);
    let mut tail = Tail::default();
    let reader = board.store.reader();
    reader.since(RowId::default(), None, 10, &mut tail).expect("rows");
    assert_eq!((tail.rows.len(), tail.undated, tail.until), (0, true, RowId::default()));
    // On the provisional wall everything is found: just behind the build date, and elapsed time.
    assert_eq!(select(&reader, &[])[0].1.iter().map(|p| p.0).collect::<Vec<_>>(), [1, 5_001]);
    board.store.flush(board.now);
    board.drain();
    // Time arrives, a year later than thought; the table changes and no row does.
    let year = 31_536_000_000;
    let trusted = Now { mono: Mono(9_000), wall: UnixMs(START + year), wall_trusted: true };
    board.store.tick(trusted);
    board.drain();
    assert_eq!(rows(&reader, 10).iter().map(|row| row.2).collect::<Vec<_>>(), [year - 8_000, year - 3_000]);
    assert_eq!(board.store.wall_of(trusted), trusted.wall);
    board.store.flush(trusted);
    board.drain();
    let again = Board::open(disk, Vec::new(), options, dark(500)).0;
    assert_eq!(rows(&again.store.reader(), 10).len(), 2);
    assert_eq!(again.store.last_known_wall(), UnixMs(START + year - 3_000));
    // The next boot, dark again, goes on behind what is known.
    assert_eq!(again.store.wall_of(dark(700)), UnixMs(START + year - 3_000 + 201));
}

#[test]
fn at_series_max_new_series_are_refused_and_old_ones_go_on() {
    let mut board = Board::new(Options { series_max: 2, ..options() });
    board.append(1, &[("a", 1.0), ("b", 2.0)]);
    board.pass(5_000);
    let appended = board.append(1, &[("a", 1.0), ("c", 3.0), ("b", 2.0)]);
    assert_eq!((appended.rows.len(), appended.refused.series_max, appended.vanished), (2, 1, 0));
    assert_eq!(board.store.stats().refused.series_max, 1);
    assert_eq!(select(&board.store.reader(), &[]).len(), 2);
}

#[test]
fn without_a_disk_memory_is_bounded_and_the_oldest_goes() {
    let options = Options { block_bytes_max: 20_000, ..options() };
    let mut store = Store::in_memory(options, at(0));
    let mut seed = 1u64;
    for i in 0..4_000u64 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let batch = Board::batch(&[("a", f64::from_bits(seed)), ("b", 1.0)]);
        assert_eq!(store.append(at(i * 5_000), &batch, SourceId(1), &Labels::empty()).refused.total(), 0);
        store.tick(at(i * 5_000));
    }
    let stats = store.stats();
    assert!(stats.dropped > 0 && stats.head_bytes < 120_000, "{stats:?}");
    let found = rows(&store.reader(), 100);
    assert!(found.len() > 2_000 && found.last().map(|row| row.0.n) == Some(7_999), "{}", found.len());
}

#[test]
fn a_range_and_matchers_select_what_they_say() {
    let mut board = Board::new(options());
    for i in 0..20 {
        board.append(1, &[("a", f64::from(i)), ("b", 0.0)]);
        board.pass(1_000);
    }
    let range = TimeRange { start: UnixMs(START + 5_000), end: UnixMs(START + 8_000) };
    let mut found = Vec::new();
    let visit = &mut |labels: &Labels, samples: model::SeriesSamples<'_>| {
        found.push((labels.get("n").map(str::to_owned), samples.floats.to_vec()));
        true
    };
    let matchers = [Matcher::new("n", model::MatchOp::NotEqual, "b").expect("good")];
    board.store.reader().select(&matchers, range, visit).expect("a selection");
    assert_eq!(found, [(Some("a".to_owned()), vec![4.0, 5.0, 6.0, 7.0])]);
}

#[test]
fn a_batch_that_no_block_can_hold_is_cut_off_and_counted() {
    let options = || Options { file_bytes: 256 << 10, ..options() };
    let mut board = Board::new(options());
    let names: Vec<String> = (0..2_000).map(|n| format!("name_{n}")).collect();
    let values: Vec<(&str, f64)> = names.iter().map(|name| (name.as_str(), 1.0)).collect();
    for _ in 0..30 {
        let appended = board.append(1, &values);
        assert!(appended.rows.len() > 20 && appended.refused.block_full > 1_000, "{appended:?}");
        assert_eq!(appended.rows.len() + appended.refused.total(), 2_000);
        board.pass(60_000);
    }
    let before = rows(&board.store.reader(), 500);
    let (again, recovery) = Board::open(board.disk.clone(), board.tail.clone(), options(), board.now);
    assert_eq!((recovery.damaged_pages, recovery.damaged_blocks), (0, 0));
    assert_eq!(rows(&again.store.reader(), 500), before);
}

/// A series whose times are somebody else's may only be late: it ends when its batches say so, and else stays.
#[test]
fn series_with_times_of_their_own_end_only_where_they_are_tracked() {
    for stay in [false, true] {
        let mut board = Board::new(options());
        let stamped = |own: Option<i64>| {
            let mut batch = Board::batch(&[("up", 1.0)]);
            if let Some(at) = own {
                batch.family("late", "", MetricKind::Gauge);
                batch.add(&[], 2.0);
                batch.stamp_last(Some(UnixMs(at)), None);
            }
            batch.set_own_times_stay(stay);
            batch
        };
        for (own, ms) in [(Some(START), 15_000), (None, 30_000)] {
            board.pass(ms);
            board.store.append(board.now, &stamped(own), SourceId(7), &Labels::empty());
        }
        board.store.end_source(board.now, SourceId(7));
        let ends = |label: &str, value: &str| {
            let found = select(&board.store.reader(), &[Matcher::equal(label, value)]);
            found[0].1.iter().filter(|point| is_stale_nan(f64::from_bits(point.1))).count()
        };
        assert_eq!((ends("__name__", "late"), ends("n", "up")), (usize::from(!stay), 1), "{stay}");
    }
}
