//! A selection over a range finds what a selection over everything finds within that range: in the open block, in
//! sealed ones, over restarts and clock steps, of series that come and go, and of series that have their own times.

mod board;

use std::collections::BTreeSet;

use board::{Board, START, at, options};
use model::{Labels, MatchOp, Matcher, Querier, SelectError, SourceId, Steps, TimeRange, UnixMs};
use tsdb::{Options, Reader};

fn random(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed >> 11
}

type Series = Vec<(String, Vec<(i64, u64)>)>;

fn select(reader: &Reader, matchers: &[Matcher], range: TimeRange) -> Series {
    let mut found = Vec::new();
    let read = reader.select(matchers, range, &mut |labels, samples| {
        let points = samples.at.iter().zip(samples.floats).map(|(at, value)| (at.0, value.to_bits())).collect();
        found.push((labels.to_string(), points));
        true
    });
    read.expect("a selection");
    found.sort();
    found
}

/// The newest sample of each series, and how many were delivered beside them.
fn newest(reader: &Reader, matchers: &[Matcher], range: TimeRange) -> (Series, usize) {
    let (mut found, mut older) = (Vec::new(), 0);
    let read = reader.select_newest(matchers, range, &mut |labels, samples| {
        let (at, value) = (samples.at.last().expect("a time"), samples.floats.last().expect("a value"));
        found.push((labels.to_string(), vec![(at.0, value.to_bits())]));
        older += samples.at.len() - 1;
        true
    });
    read.expect("the newest");
    found.sort();
    (found, older)
}

fn last_of(all: Series) -> Series {
    let last = |points: Vec<(i64, u64)>| points.last().copied().into_iter().collect();
    all.into_iter().map(|(name, points)| (name, last(points))).collect()
}

/// Names and values of labels are those that the label sets of the range have.
fn labels_among(reader: &Reader, matchers: &[Matcher], range: TimeRange) {
    let (mut names, mut values) = (BTreeSet::new(), BTreeSet::new());
    let visited = reader.series(matchers, range, &mut |labels| {
        names.extend(labels.iter().map(|(name, _)| name.to_owned()));
        values.extend(labels.get("n").map(str::to_owned));
        true
    });
    visited.expect("the series");
    let among = reader.among(&[matchers.to_vec()], range, &|| false).expect("the series");
    assert!(names.iter().eq(reader.label_names(Some(&among)).iter()), "{matchers:?} {range:?}");
    assert!(values.iter().eq(reader.label_values("n", Some(&among)).iter()), "{matchers:?} {range:?}");
}

/// What counts at each step: the newest sample within the range that is not later. Delivered are but samples that a
/// selection of everything delivers; how many are not returned.
fn at_steps(reader: &Reader, range: TimeRange, steps: Steps, all: &Series) -> (Series, usize) {
    let (mut found, mut left_out) = (Vec::new(), 0);
    let read = reader.select_steps(&[], range, steps, &mut |labels, samples| {
        let points: Vec<_> = samples.at.iter().zip(samples.floats).map(|(at, value)| (at.0, value.to_bits())).collect();
        let (_, whole) = all.iter().find(|(name, _)| *name == labels.to_string()).expect("a series");
        assert!(points.iter().all(|point| whole.binary_search(point).is_ok()) && points.is_sorted());
        left_out += whole.len() - points.len();
        found.push((labels.to_string(), points));
        true
    });
    read.expect("a selection");
    found.sort();
    (counting(&found, steps), left_out)
}

/// Only the samples that count at some step.
fn counting(all: &Series, steps: Steps) -> Series {
    let last =
        |points: &[(i64, u64)], at: UnixMs| points[..points.partition_point(|point| point.0 <= at.0)].last().copied();
    let picked = |points: &[(i64, u64)]| {
        let mut picked: Vec<_> = (0..steps.count).filter_map(|step| last(points, steps.at(step))).collect();
        picked.dedup();
        picked
    };
    let all = all.iter().map(|(name, points)| (name.clone(), picked(points)));
    all.filter(|(_, points): &(String, Vec<(i64, u64)>)| !points.is_empty()).collect()
}

fn within(all: &Series, range: TimeRange) -> Series {
    let cut = |points: &[(i64, u64)]| points.iter().filter(|p| range.contains(UnixMs(p.0))).copied().collect();
    let cut = all.iter().map(|(name, points)| (name.clone(), cut(points)));
    cut.filter(|(_, points): &(String, Vec<(i64, u64)>)| !points.is_empty()).collect()
}

/// Rows of three sources; what is in them depends on the step only.
fn append(board: &mut Board, step: u64, seed: &mut u64) {
    let noise = f64::from_bits(random(seed) << 10);
    let mut values = vec![("still", 1.0), ("up", step as f64 * 10.0), ("noise", noise)];
    values.push(("walk", (random(seed) % 5_000) as f64 / 100.0));
    if step % 13 < 5 {
        values.push(("sometimes", step as f64));
    }
    board.append(1, &values);
    if step.is_multiple_of(4) {
        board.append(2, &[("slow", step as f64)]);
    }
    let mut batch = Board::batch(&[("own", step as f64)]);
    let late = if step.is_multiple_of(17) { random(seed) as i64 % 900_000 } else { 0 };
    batch.stamp_last(Some(UnixMs(board.now.wall.0 - late)), None);
    board.store.append(board.now, &batch, SourceId(3), &Labels::empty());
}

fn check(options: Options, begin: u64) {
    let mut board = Board::new(options.clone());
    let mut seed = begin;
    for step in 1..=2_500u64 {
        append(&mut board, step, &mut seed);
        board.pass(5_000 + random(&mut seed) % 3);
        if step % 700 == 350 {
            // A clock step: the same elapsed time, another date.
            board.now.wall.0 += if step == 350 { 3_600_000 } else { -1_200_000 };
        }
        if step == 1_500 {
            // Another boot: elapsed time begins anew.
            board.store.flush(board.now);
            board.drain();
            let mut now = at(3_000);
            now.wall = UnixMs(board.now.wall.0 + 60_000);
            let options = Options { boot: 2, ..options.clone() };
            board = Board::open(board.disk.clone(), board.tail.clone(), options, now).0;
        }
    }
    let (reader, end) = (board.store.reader(), board.now.wall.0);
    let all = select(&reader, &[], TimeRange::ALL);
    assert!(all.len() == 7 && all.iter().map(|(_, points)| points.len()).sum::<usize>() > 10_000, "{}", all.len());
    let mut spared = 0;
    for _ in 0..300 {
        let start = START - 100_000 + random(&mut seed) as i64 % (end - START + 200_000);
        let length = random(&mut seed) as i64 % [5_000, 300_000, 20_000_000][random(&mut seed) as usize % 3];
        let range = TimeRange { start: UnixMs(start), end: UnixMs(start + length) };
        assert_eq!(select(&reader, &[], range), within(&all, range), "seed {begin}: {range:?}");
        labels_among(&reader, &[], range);
        labels_among(&reader, &[Matcher::new("n", MatchOp::Regex, "s.*|own").expect("a matcher")], range);
        labels_among(&reader, &[Matcher::equal("n", "sometimes")], range);
        let step_ms = 1 + random(&mut seed) as i64 % [2_000, 60_000, 5_000_000][random(&mut seed) as usize % 3];
        let first = UnixMs(start + random(&mut seed) as i64 % (length + 1));
        let steps = Steps { first, step_ms, count: 1 + ((range.end.0 - first.0).max(0) / step_ms).min(5_000) as usize };
        let (found, left_out) = at_steps(&reader, range, steps, &within(&all, range));
        assert_eq!(found, counting(&within(&all, range), steps), "seed {begin}: {range:?} at {steps:?}");
        spared += left_out;
        let range = TimeRange { end: UnixMs(end - random(&mut seed) as i64 % 20_000), ..range };
        assert_eq!(newest(&reader, &[], range).0, last_of(within(&all, range)), "seed {begin}: newest of {range:?}");
    }
    assert!(spared > 100_000, "{spared}");
    for name in ["sometimes", "own", "still"] {
        let range = TimeRange { start: UnixMs(end - 400_000), end: UnixMs(end) };
        let expected: Series = within(&all, range).into_iter().filter(|(labels, _)| labels.contains(name)).collect();
        assert_eq!(select(&reader, &[Matcher::equal("n", name)], range), expected, "{name}");
    }
}

#[test]
fn a_range_finds_what_lies_within_it() {
    for seed in [0x9e37_79b9, 77] {
        check(Options { block_ms_max: 86_400_000, ..options() }, seed);
        check(Options { block_ms_max: 1_800_000, ..options() }, seed);
    }
}

/// The samples of two series that are there, and of one that has ended.
fn some() -> Board {
    let mut board = Board::new(options());
    for step in 0..50 {
        let step = f64::from(step);
        let all = [("a", step), ("b", -step), ("gone", 1.0)];
        board.append(1, if step < 40.0 { &all } else { &all[..2] });
        board.pass(5_000);
    }
    board
}

#[test]
fn the_newest_samples_are_at_hand() {
    let board = some();
    let range = TimeRange { start: UnixMs(board.now.wall.0 - 100_000), end: board.now.wall };
    let live = [Matcher::new("n", MatchOp::NotEqual, "gone").expect("a matcher")];
    let (found, older) = newest(&board.store.reader(), &live, range);
    assert_eq!(found, last_of(select(&board.store.reader(), &live, range)));
    assert_eq!((found.len(), older), (2, 0), "nothing older was read");
    let past = TimeRange { end: UnixMs(board.now.wall.0 - 12_000), ..range };
    assert_eq!(newest(&board.store.reader(), &live, past).0, last_of(select(&board.store.reader(), &live, past)));
    let (found, older) = newest(&board.store.reader(), &[], range);
    assert_eq!(found, last_of(select(&board.store.reader(), &[], range)));
    assert_eq!((found.len(), older), (3, 0), "of what ended nothing older is delivered");
}

/// Each of these makes something else the newest than what the open block ends with.
#[test]
fn what_is_newer_elsewhere_is_found() {
    let all = TimeRange::ALL;
    let check = |board: &Board, expected: f64| {
        let (found, _) = newest(&board.store.reader(), &[Matcher::equal("n", "a")], all);
        assert_eq!(found, last_of(select(&board.store.reader(), &[Matcher::equal("n", "a")], all)));
        assert_eq!(f64::from_bits(found.last().expect("a series").1[0].1), expected);
    };
    check(&some(), 49.0);
    let mut two = Board::new(options());
    for (source, value) in [(1, 1.0), (2, 2.0), (1, 3.0)] {
        two.append(source, &[("a", value)]);
        two.pass(5_000);
    }
    check(&two, 3.0);
    let mut later = some();
    let mut batch = Board::batch(&[("a", 77.0)]);
    batch.stamp_last(Some(UnixMs(later.now.wall.0 + 1)), None);
    later.store.append(later.now, &batch, SourceId(1), &Labels::from_pairs([("job", "test")]));
    check(&later, 77.0);
    let mut stepped = some();
    stepped.now.wall.0 -= 60_000;
    stepped.pass(5_000);
    stepped.append(1, &[("a", 99.0), ("b", 0.0)]);
    check(&stepped, 49.0);
    stepped.pass(120_000);
    stepped.append(1, &[("a", 99.0), ("b", 0.0)]);
    check(&stepped, 99.0);
}

#[test]
fn labels_are_those_of_any_of_the_selectors() {
    let board = some();
    let (reader, range) = (board.store.reader(), TimeRange::ALL);
    let one = |name: &str| vec![Matcher::equal("n", name)];
    let values = |selectors: &[Vec<Matcher>], range| {
        let among = reader.among(selectors, range, &|| false).expect("the series");
        reader.label_values("n", Some(&among)).iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(values(&[one("gone"), one("none"), one("a"), one("gone")], range), ["a", "gone"]);
    assert_eq!(values(&[], range), ["a", "b", "gone"]);
    assert_eq!(reader.label_names(None).iter().collect::<Vec<_>>(), ["__name__", "job", "n"]);
    let nothing = TimeRange { start: range.end, end: range.start };
    assert_eq!(values(&[], nothing), [""; 0]);
    let past = TimeRange { start: UnixMs(START - 9_000), end: UnixMs(START - 5_000) };
    assert_eq!(values(&[one("a")], past), [""; 0]);
    assert!(matches!(reader.among(&[], range, &|| true), Err(SelectError::Stopped)));
}
