//! Batches that name no series: appended where their layout is known, refused whole where it is not.
//!
//! A source whose series stay the same names them once. What the store must not do is take such a batch for another
//! layout than its own, or lose it without a word.

mod board;

use board::{Board, at, options, select};
use model::{Batch, Labels, Matcher, MetricKind, SourceId, UnixMs, Value, stale_nan};
use tsdb::{Appended, Options};

const SOURCE: SourceId = SourceId(7);

/// Two series with these values, and times of their own for the second.
fn batch(layout: u64, values: [f64; 2], own: Option<i64>, is_bare: bool) -> Batch {
    let mut batch = Batch::new();
    if is_bare {
        batch.begin_bare(layout);
        batch.add_bare(Value::Float(values[0]), None, None);
        batch.add_bare(Value::Float(values[1]), own.map(UnixMs), None);
        return batch;
    }
    batch.family("m", "Help.", MetricKind::Gauge);
    batch.add(&[("n", "a")], values[0]);
    batch.add(&[("n", "b")], values[1]);
    batch.stamp_last(own.map(UnixMs), None);
    batch.set_layout(layout);
    batch
}

fn append(board: &mut Board, batch: &Batch) -> Appended {
    let appended = board.store.append(board.now, batch, SOURCE, &Labels::from_pairs([("job", "test")]));
    board.pass(1_000);
    appended
}

fn values(board: &Board, series: &str) -> Vec<f64> {
    let found = select(&board.store.reader(), &[Matcher::equal("n", series)]);
    found.iter().flat_map(|(_, samples)| samples.iter().map(|(_, bits)| f64::from_bits(*bits))).collect()
}

#[test]
fn a_known_layout_needs_no_names_and_an_unknown_one_is_refused() {
    let mut board = Board::new(options());
    board.now = at(1_000);
    let unknown = append(&mut board, &batch(1, [0.0, 0.0], None, true));
    assert!(unknown.is_unknown && unknown.rows.is_empty());
    assert!(!append(&mut board, &batch(1, [1.0, 2.0], None, false)).is_unknown);
    let known = append(&mut board, &batch(1, [3.0, 4.0], None, true));
    assert_eq!((known.is_unknown, known.rows.len(), known.new_series), (false, 2, 0));
    assert!(append(&mut board, &batch(2, [0.0, 0.0], None, true)).is_unknown);
    let mut short = Batch::new();
    short.begin_bare(1);
    short.add_bare(Value::Float(0.0), None, None);
    assert!(append(&mut board, &short).is_unknown);
    // Nothing of it was taken, and nothing was taken for gone.
    assert!(!append(&mut board, &batch(1, [5.0, 6.0], None, true)).is_unknown);
    assert_eq!((values(&board, "a"), values(&board, "b")), (vec![1.0, 3.0, 5.0], vec![2.0, 4.0, 6.0]));
    // A scrape that failed in between ends the series, and the layout with them.
    let mut failed = Batch::new();
    failed.family("up", "", MetricKind::Gauge);
    failed.add(&[], 0.0);
    assert_eq!(append(&mut board, &failed).vanished, 2);
    assert!(append(&mut board, &batch(1, [0.0, 0.0], None, true)).is_unknown);
    assert!(!append(&mut board, &batch(1, [7.0, 8.0], None, false)).is_unknown);
    let found = values(&board, "a");
    assert_eq!((found.len(), found[3].to_bits(), found[4]), (5, stale_nan().to_bits(), 7.0));
}

#[test]
fn a_new_block_wants_the_names_again() {
    let mut board = Board::new(options());
    board.now = at(1_000);
    append(&mut board, &batch(1, [1.0, 2.0], None, false));
    assert!(!append(&mut board, &batch(1, [3.0, 4.0], None, true)).is_unknown);
    board.store.seal(board.now);
    board.pass(1_000);
    assert!(append(&mut board, &batch(1, [0.0, 0.0], None, true)).is_unknown);
    assert_eq!(append(&mut board, &batch(1, [5.0, 6.0], None, false)).new_series, 0);
    assert!(!append(&mut board, &batch(1, [7.0, 8.0], None, true)).is_unknown);
    assert_eq!(values(&board, "b"), [2.0, 4.0, 6.0, 8.0]);
}

/// Times of their own are judged row by row: what is refused of a batch that names nothing is counted all the same.
#[test]
fn times_of_their_own_are_judged_without_names() {
    let mut board = Board::new(Options { out_of_order_ms: 0, ..options() });
    board.now = at(100_000);
    let own = board.now.wall.0 - 5_000;
    append(&mut board, &batch(1, [1.0, 2.0], Some(own), false));
    assert!(!append(&mut board, &batch(1, [3.0, 4.0], Some(own + 1), true)).is_unknown);
    let late = append(&mut board, &batch(1, [5.0, 6.0], Some(own - 1), true));
    assert_eq!((late.is_unknown, late.rows.len(), late.refused.out_of_order), (false, 1, 1));
    // The second row has its place all the same: it need not be named.
    let again = append(&mut board, &batch(1, [7.0, 8.0], Some(own + 2), true));
    assert_eq!((again.is_unknown, again.rows.len(), again.refused.total()), (false, 2, 0));
    assert_eq!((values(&board, "a"), values(&board, "b")), (vec![1.0, 3.0, 5.0, 7.0], vec![2.0, 4.0, 8.0]));
    // A row that brings a time where it brought none is another series' column.
    assert!(append(&mut board, &batch(1, [0.0, 0.0], None, true)).is_unknown);
}

/// A target that gives the time of its last measurement says the same again until it measures anew.
#[test]
fn a_time_that_is_repeated_needs_no_names() {
    let mut board = Board::new(Options { out_of_order_ms: 0, ..options() });
    board.now = at(100_000);
    let own = board.now.wall.0 - 5_000;
    let mut named = 0;
    let mut tell = |board: &mut Board, value: f64, own: i64| {
        let told = append(board, &batch(1, [value, own as f64], Some(own), true));
        let told = if told.is_unknown {
            named += 1;
            append(board, &batch(1, [value, own as f64], Some(own), false))
        } else {
            told
        };
        assert_eq!((told.refused.total(), told.vanished), (0, 0), "the same again is no fault");
        told.rows.len()
    };
    let mut rows = Vec::new();
    for (step, measured) in [0, 0, 0, 1, 1, 2, 3, 3].into_iter().enumerate() {
        rows.push(tell(&mut board, step as f64, own + measured));
    }
    // The same time again comes first in the next block.
    board.store.seal(board.now);
    board.pass(1_000);
    for (step, measured) in [3, 3, 4, 4].into_iter().enumerate() {
        rows.push(tell(&mut board, 8.0 + step as f64, own + measured));
    }
    assert_eq!(rows, [2, 1, 1, 2, 1, 2, 2, 1, 1, 1, 2, 1]);
    assert_eq!(named, 2, "once a block");
    let seen = |board: &Board| (values(board, "a"), values(board, "b"));
    let measured = [0, 1, 2, 3, 4].map(|since| (own + since) as f64).to_vec();
    let all = ((0..12).map(f64::from).collect::<Vec<_>>(), measured);
    assert_eq!(seen(&board), all);
    // A block in which the column stayed empty is sealed and opened like any other.
    board.store.seal(board.now);
    board.pass(1_000);
    assert_eq!(append(&mut board, &batch(1, [12.0, 0.0], Some(own + 4), false)).rows.len(), 1);
    board.store.seal(board.now);
    board.pass(1_000);
    let (board, _) = Board::open(board.disk.clone(), Vec::new(), options(), board.now);
    assert_eq!(seen(&board), ([all.0, vec![12.0]].concat(), all.1));
}
