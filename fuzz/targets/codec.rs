//! Columns there and back: any values, start timestamps and histograms come out of the open block's tokens and of the
//! sealed block's packing bit for bit, read one by one, in runs, and with some passed over.
//!
//! The store's own files are compiled into this target, because nothing of the codec is public.
#![no_main]

#[allow(dead_code)]
#[path = "../../agent/crates/tsdb/src/codec.rs"]
mod codec;
#[allow(dead_code)]
#[path = "../../agent/crates/tsdb/src/column.rs"]
mod column;
#[allow(dead_code)]
#[path = "../../agent/crates/tsdb/src/packed.rs"]
mod packed;
#[allow(dead_code)]
#[path = "../../agent/crates/tsdb/src/wire.rs"]
mod wire;

use arbitrary::Arbitrary;
use codec::{Item, RUN, RUN_MAX, State, TokenReader};
use column::{ColumnReader, Sealer};
use libfuzzer_sys::fuzz_target;

/// No column is longer: it is the kinds of values that matter.
const VALUES_MAX: usize = 4_096;

#[derive(Arbitrary, Debug)]
enum Move {
    Bits(u64),
    Again(u8),
    Up { unit: u8, by: i16, times: u8 },
    Decimal { value: i32, scale: u8 },
    Seconds { micros: i32 },
    Start(Option<i64>),
    Histogram(Vec<u8>),
}

#[derive(Arbitrary, Debug)]
struct Input {
    moves: Vec<Move>,
    integers: Vec<i64>,
    skips: Vec<u8>,
}

#[derive(Clone, PartialEq, Debug)]
enum Kept {
    Float(u64),
    Histogram(Vec<u8>),
}

fn values(moves: Vec<Move>) -> Vec<(Kept, Option<i64>)> {
    let (mut all, mut last, mut start) = (Vec::new(), 0.0f64, None);
    for step in moves {
        let mut put = |value: f64, start| all.push((Kept::Float(value.to_bits()), start));
        match step {
            Move::Bits(bits) => last = f64::from_bits(bits),
            Move::Again(times) => (0..times).for_each(|_| put(last, start)),
            Move::Up { unit, by, times } => {
                let unit = [1.0, 0.01, 0.001, 4096.0, 0.1][usize::from(unit) % 5];
                for _ in 0..times {
                    last += f64::from(by) * unit;
                    put(last, start);
                }
            }
            Move::Decimal { value, scale } => last = f64::from(value) / 10f64.powi(i32::from(scale % 18)),
            Move::Seconds { micros } => last = f64::from(micros) / 1e3 / 1e3,
            // The bits of "none" are no start.
            Move::Start(to) => start = to.filter(|to| *to != i64::MIN),
            Move::Histogram(bytes) => {
                all.push((Kept::Histogram(bytes), start));
                continue;
            }
        }
        all.push((Kept::Float(last.to_bits()), start));
        if all.len() > VALUES_MAX {
            break;
        }
    }
    all
}

/// Writes a column as the open block does.
fn tokens(values: &[(Kept, Option<i64>)]) -> Vec<u8> {
    let (mut state, mut out, mut run) = (State::default(), Vec::new(), 0);
    for (value, start) in values {
        let token = match value {
            Kept::Float(bits) => state.put_float(f64::from_bits(*bits), *start, &mut out),
            Kept::Histogram(bytes) => {
                state.put_histogram(bytes, *start, &mut out);
                true
            }
        };
        count_run(token, &mut run, &mut out);
    }
    out
}

fn count_run(token: bool, run: &mut u8, out: &mut Vec<u8>) {
    if token {
        *run = 0;
    } else if *run == 0 || *run == RUN_MAX {
        out.push(RUN);
        *run = 1;
    } else {
        *out.last_mut().expect("a run") += 1;
        *run += 1;
    }
}

fn kept(item: Item<'_>) -> Kept {
    match item {
        Item::Float(value) => Kept::Float(value.to_bits()),
        Item::Histogram(bytes) => Kept::Histogram(bytes.to_vec()),
    }
}

fn compare(mut reader: ColumnReader, bytes: &[u8], values: &[(Kept, Option<i64>)], skips: &[u8]) {
    let mut passing = reader.clone();
    for (at, (value, start)) in values.iter().enumerate() {
        let found = reader.next(bytes, 0).unwrap_or_else(|| panic!("value {at} of {} is lost", values.len()));
        assert_eq!((kept(found), reader.start()), (value.clone(), *start), "value {at}");
    }
    assert!(reader.next(bytes, 0).is_none(), "one more");
    let (mut at, mut skips) = (0, skips.iter().cycle());
    while let Some(skip) = skips.next().map(|skip| usize::from(*skip)).filter(|skip| at + skip < values.len()) {
        passing.skip(bytes, 0, skip as u32).expect("there are so many");
        at += skip;
        let found = passing.next(bytes, 0).expect("and one more");
        assert_eq!((kept(found), passing.start()), values[at].clone(), "value {at} behind some passed over");
        at += 1;
    }
}

fn floats(values: &[(Kept, Option<i64>)], skips: &[u8]) {
    let tokens = tokens(values);
    compare(ColumnReader::Open(TokenReader::default()), &tokens, values, skips);
    let mut sealed = Vec::new();
    Sealer::default().values(&tokens, &mut sealed);
    compare(ColumnReader::sealed(&sealed).expect("what was sealed"), &sealed, values, skips);
}

fn integers(values: &[i64], skips: &[u8]) {
    let (mut state, mut tokens, mut run) = (State::default(), Vec::new(), 0);
    for value in values {
        let token = state.put_int(*value, &mut tokens);
        count_run(token, &mut run, &mut tokens);
    }
    let mut sealed = Vec::new();
    assert_eq!(Sealer::default().integers(&tokens, &mut sealed), values.len());
    let open = (ColumnReader::Open(TokenReader::default()), tokens.as_slice());
    for (reader, bytes) in [open, (ColumnReader::sealed(&sealed).expect("what was sealed"), sealed.as_slice())] {
        let mut one = reader.clone();
        for value in values {
            assert_eq!(one.next_int(bytes, 0), Some(*value));
        }
        assert_eq!(one.next_int(bytes, 0), None);
        in_runs(reader.clone(), bytes, values, skips);
        passed_over(reader.clone(), bytes, values, skips);
        searched(reader, bytes, values);
    }
}

fn in_runs(mut reader: ColumnReader, bytes: &[u8], values: &[i64], most: &[u8]) {
    let (mut at, mut most) = (0, most.iter().cycle());
    while at < values.len() {
        let most = most.next().map_or(u32::MAX, |most| u32::from(*most).max(1));
        let (value, count) = reader.next_ints(bytes, 0, most).expect("there are more");
        assert!(count <= most && values[at..at + count as usize].iter().all(|known| *known == value));
        at += count as usize;
    }
}

fn passed_over(mut reader: ColumnReader, bytes: &[u8], values: &[i64], skips: &[u8]) {
    let (mut at, mut skips) = (0, skips.iter().cycle());
    while let Some(skip) = skips.next().map(|skip| usize::from(*skip)).filter(|skip| at + skip < values.len()) {
        reader.skip_ints(bytes, 0, skip as u32).expect("there are so many");
        at += skip;
        assert_eq!(reader.next_int(bytes, 0), Some(values[at]));
        at += 1;
    }
}

/// Times ascend, and only they are searched.
fn searched(mut reader: ColumnReader, bytes: &[u8], values: &[i64]) {
    if !values.is_sorted() {
        return;
    }
    let Some(least) = values.get(values.len() / 2) else { return };
    let expected = values.iter().position(|value| value >= least).expect("it is among them");
    assert_eq!(reader.next_not_below(bytes, 0, *least, values.len() as u32), Some(values[expected]));
    assert_eq!(reader.count() as usize, expected + 1);
}

fuzz_target!(|input: Input| {
    let mut integers_of = input.integers;
    floats(&values(input.moves), &input.skips);
    integers(&integers_of, &input.skips);
    integers_of.sort_unstable();
    integers(&integers_of, &input.skips);
});
