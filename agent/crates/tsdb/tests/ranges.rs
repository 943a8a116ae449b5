//! A selection over a range finds what a selection over everything finds within that range: in the open block, in
//! sealed ones, over restarts and clock steps, of series that come and go, and of series that have their own times.

mod board;

use board::{Board, START, at, options};
use model::{Labels, Matcher, Querier, SourceId, TimeRange, UnixMs};
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
    for _ in 0..300 {
        let start = START - 100_000 + random(&mut seed) as i64 % (end - START + 200_000);
        let length = random(&mut seed) as i64 % [5_000, 300_000, 20_000_000][random(&mut seed) as usize % 3];
        let range = TimeRange { start: UnixMs(start), end: UnixMs(start + length) };
        assert_eq!(select(&reader, &[], range), within(&all, range), "seed {begin}: {range:?}");
    }
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
