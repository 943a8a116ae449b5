//! A store's life by chance: what is appended comes back bit for bit and under its id, from the open block, from sealed
//! ones, and after the process was killed; nothing else comes back, and selecting agrees with the outbox.
//!
//! Power cuts and clocks that jump are the subject of the project's own tests, not of this target.
#![no_main]

#[path = "../../agent/crates/tsdb/tests/board/mod.rs"]
mod board;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arbitrary::Arbitrary;
use board::{Board, Memory, at};
use libfuzzer_sys::fuzz_target;
use model::{
    Batch, Counts, Histogram, Labels, MetricKind, Outbox, Querier, ResetHint, RowId, RowRange, SourceId, Span, Tail,
    TimeRange, UnixMs, Value,
};
use tsdb::Options;

/// Longer lives find nothing that shorter ones do not.
const STEPS_MAX: usize = 120;
/// Rows of a batch.
const ROWS_MAX: usize = 24;

#[derive(Arbitrary, Debug)]
enum Step {
    Append { source: u8, rows: Vec<Row> },
    Many { source: u8, times: u8, seed: u32 },
    Pass { ms: u32 },
    Flush,
    Seal,
    Kill,
    Cell { name: u8, bytes: Vec<u8> },
}

#[derive(Arbitrary, Debug)]
struct Row {
    series: u8,
    value: Chosen,
    back_ms: Option<u32>,
    start: Option<u32>,
}

#[derive(Arbitrary, Debug)]
enum Chosen {
    Bits(u64),
    Small(u8),
    Decimal(i32, u8),
    Histogram(Buckets),
}

#[derive(Arbitrary, Debug)]
struct Buckets {
    schema: i8,
    hint: u8,
    is_float: bool,
    sum: u64,
    zero: u64,
    spans: Vec<(i16, u8)>,
    counts: Vec<u64>,
    bounds: Vec<u64>,
}

impl Chosen {
    fn value(&self) -> Value {
        match self {
            Chosen::Bits(bits) => Value::Float(f64::from_bits(*bits)),
            Chosen::Small(small) => Value::Float(f64::from(*small)),
            Chosen::Decimal(value, scale) => Value::Float(f64::from(*value) / 10f64.powi(i32::from(scale % 12))),
            Chosen::Histogram(buckets) => Value::Histogram(Arc::new(buckets.histogram())),
        }
    }
}

impl Buckets {
    fn histogram(&self) -> Histogram {
        let positive_spans =
            self.spans.iter().map(|(offset, length)| Span { offset: (*offset).into(), length: (*length).into() });
        let floats = |bits: &[u64]| bits.iter().map(|bits| f64::from_bits(*bits)).collect::<Vec<f64>>();
        let (one, two) = self.counts.split_at(self.counts.len() / 2);
        let counts = if self.is_float {
            let (positive, negative) = (floats(one), floats(two));
            Counts::Float { count: f64::from_bits(self.zero), zero: -0.0, positive, negative }
        } else {
            Counts::Integer { count: self.zero, zero: 1, positive: one.to_vec(), negative: two.to_vec() }
        };
        let hints = [ResetHint::Unknown, ResetHint::Reset, ResetHint::NotReset, ResetHint::Gauge];
        Histogram {
            schema: self.schema.into(),
            zero_threshold: f64::from_bits(self.zero),
            sum: f64::from_bits(self.sum),
            positive_spans: positive_spans.collect(),
            negative_spans: Vec::new(),
            custom_bounds: floats(&self.bounds),
            counts,
            hint: hints[usize::from(self.hint) % 4],
        }
    }
}

/// A value by its bits, so that it can be compared and sorted.
fn bits(value: &Value) -> Vec<u64> {
    let Value::Histogram(found) = value else { return vec![value.float().expect("one of two").to_bits()] };
    let mut all = vec![u64::MAX, found.schema as u64, found.zero_threshold.to_bits(), found.sum.to_bits()];
    all.push(found.hint as u64);
    for spans in [&found.positive_spans, &found.negative_spans] {
        all.push(spans.len() as u64);
        all.extend(spans.iter().flat_map(|span| [span.offset as u64, u64::from(span.length)]));
    }
    all.push(found.custom_bounds.len() as u64);
    all.extend(found.custom_bounds.iter().map(|bound| bound.to_bits()));
    let (kind, counts) = match &found.counts {
        Counts::Integer { count, zero, positive, negative } => {
            (0, [vec![*count, *zero], positive.clone(), negative.clone()])
        }
        Counts::Float { count, zero, positive, negative } => {
            let of = |floats: &[f64]| floats.iter().map(|float| float.to_bits()).collect::<Vec<u64>>();
            (1, [of(&[*count, *zero]), of(positive), of(negative)])
        }
    };
    all.push(kind);
    for part in counts {
        all.push(part.len() as u64);
        all.extend(part);
    }
    all
}

/// A row as it must come back.
type Known = (String, i64, Option<i64>, Vec<u64>);

struct Life {
    board: Board,
    known: Vec<(RowRange, Vec<Known>, bool)>,
}

fn options() -> Options {
    Options { file_bytes: 256 << 10, tail_bytes: 1 << 20, block_ms_max: 600_000, ..board::options() }
}

impl Life {
    fn append(&mut self, source: u8, rows: &[Row]) {
        let (mut batch, mut known, now) = (Batch::new(), Vec::new(), self.board.now);
        batch.family("m", "Help.", MetricKind::Gauge);
        for row in rows.iter().take(ROWS_MAX) {
            let (name, value) = (format!("series {}", row.series % 16), row.value.value());
            let own = row.back_ms.map(|ms| now.wall.plus_ms(-i64::from(ms % 4_000_000)));
            let start = row.start.map(|start| UnixMs(start.into()));
            batch.add(&[("n", &name)], 0.0);
            let last = batch.rows().len() - 1;
            batch.set(last, value.clone(), own, start);
            let labels = Labels::from_pairs([("__name__", "m"), ("n", &name), ("job", "fuzz")]);
            known.push((labels.to_string(), own.unwrap_or(now.wall).0, start.map(|start| start.0), bits(&value)));
        }
        let extra = Labels::from_pairs([("job", "fuzz")]);
        let appended = self.board.store.append(now, &batch, SourceId(u32::from(source % 3)), &extra);
        let is_whole = appended.rows.len() == known.len() as u64;
        assert!(is_whole || appended.refused.total() > 0, "{appended:?} of {}", known.len());
        known.sort();
        self.known.push((appended.rows, known, is_whole));
    }

    fn many(&mut self, source: u8, times: u8, seed: u32) {
        for time in 0..times {
            let value = |at: u8| Chosen::Decimal((seed.rotate_left(u32::from(at ^ time)) >> 12) as i32, at);
            let row = |at: u8| Row { series: at, value: value(at), back_ms: None, start: None };
            self.append(source, &(0..12).map(row).collect::<Vec<Row>>());
            self.board.pass(1_000 + u64::from(seed & 0xfff));
        }
    }

    /// Compares what the store has with what it was given.
    fn compare(&self) {
        let reader = self.board.store.reader();
        let stats = self.board.store.stats();
        assert_eq!((stats.faults, stats.damaged_pages, stats.tail_full), (0, 0, 0));
        let is_all_there = stats.overwritten == 0 && stats.dropped == 0 && stats.expired == 0;
        let mut found: BTreeMap<RowId, Known> = BTreeMap::new();
        let (mut tail, mut after) = (Tail::default(), RowId::default());
        loop {
            reader.since(after, None, 501, &mut tail).expect("rows");
            for row in &tail.rows {
                let sample = &row.sample;
                let start = sample.start.map(|start| start.0);
                let known = (row.labels.to_string(), sample.at.0, start, bits(&sample.value));
                assert!(found.insert(row.id, known).is_none(), "{} twice", row.id);
            }
            if tail.until <= after {
                break;
            }
            after = tail.until;
        }
        for (range, known, is_whole) in &self.known {
            let mut here: Vec<Known> =
                (range.first.n..range.end).filter_map(|n| found.get(&RowId { n, ..range.first }).cloned()).collect();
            here.sort();
            if *is_whole && (is_all_there || here.len() == known.len()) {
                assert_eq!(&here, known, "rows of {range:?}");
            } else {
                let mut left = known.clone();
                for row in here {
                    let at = left.iter().position(|known| *known == row).expect("a row that was given");
                    left.remove(at);
                }
            }
        }
        let all: BTreeSet<(String, i64, Vec<u64>)> =
            found.into_values().map(|(labels, at, _, value)| (labels, at, value)).collect();
        let select = reader.select(&[], TimeRange::ALL, &mut |labels, samples| {
            assert!(samples.at.is_sorted_by(|a, b| a < b));
            for (place, at) in samples.at.iter().enumerate() {
                let histogram = samples.histograms.iter().find(|(index, _)| *index == place);
                let value = histogram.map_or(Value::Float(samples.floats[place]), |(_, value)| value.clone());
                assert!(all.contains(&(labels.to_string(), at.0, bits(&value))), "{labels} at {} is nobody's", at.0);
            }
            true
        });
        select.expect("a selection");
    }

    fn kill(&mut self) {
        let (disk, tail, now) = (self.board.disk.clone(), self.board.tail.clone(), self.board.now);
        self.board = Board::open(disk, tail, options(), now).0;
    }
}

fuzz_target!(|steps: Vec<Step>| {
    let board = Board::open(Memory::default(), Vec::new(), options(), at(4_000_000_000)).0;
    let mut life = Life { board, known: Vec::new() };
    for step in steps.iter().take(STEPS_MAX) {
        match step {
            Step::Append { source, rows } => life.append(*source, rows),
            Step::Many { source, times, seed } => life.many(*source, *times, *seed),
            Step::Pass { ms } => life.board.pass(u64::from(ms % 3_000_000)),
            Step::Flush => {
                life.board.store.flush(life.board.now);
                life.board.drain();
            }
            Step::Seal => {
                life.board.store.seal(life.board.now);
                life.board.drain();
            }
            Step::Kill => life.kill(),
            Step::Cell { name, bytes } => {
                let _ = life.board.store.put_cell(&format!("cell {}", name % 4), bytes);
            }
        }
        // Two samples of a batch may not be of one moment.
        life.board.pass(1);
    }
    life.compare();
    life.kill();
    life.compare();
});
