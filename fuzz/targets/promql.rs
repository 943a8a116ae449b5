//! Queries out of any text: the parser says what is wrong or makes a tree that prints to the same tree, and evaluating
//! it over a small store, at one time and over a range, ends in an answer or an error.
//!
//! The store holds floats, counters, markers, classic and native histograms. Limits keep one query short.
#![no_main]

#[path = "../../agent/crates/tsdb/tests/board/mod.rs"]
mod board;

use std::cell::Cell;
use std::sync::{Arc, LazyLock};

use board::{Board, START};
use libfuzzer_sys::fuzz_target;
use model::{Batch, Counts, Histogram, Labels, MetricKind, ResetHint, SourceId, Span, UnixMs, Value, stale_nan};
use promql::{Engine, Features, Limits, RangeArgs, parse_with};
use tsdb::Reader;

/// How often a query asks whether it should stop before it must.
const ASKED_MAX: u32 = 20_000;

fn histogram(schema: i32, step: u64) -> Value {
    let is_custom = schema < -4;
    let counts =
        Counts::Integer { count: 7 * step, zero: step, positive: vec![step, 2 * step, 3 * step], negative: Vec::new() };
    let found = Histogram {
        schema,
        zero_threshold: if is_custom { 0.0 } else { 0.001 },
        sum: step as f64 * 1.5,
        positive_spans: vec![Span { offset: 0, length: 2 }, Span { offset: 0, length: 1 }],
        negative_spans: Vec::new(),
        custom_bounds: if is_custom { vec![0.5, 1.0] } else { Vec::new() },
        counts,
        hint: if step == 20 { ResetHint::Reset } else { ResetHint::Unknown },
    };
    Value::Histogram(Arc::new(found))
}

static READER: LazyLock<Reader> = LazyLock::new(|| {
    let mut board = Board::new(board::options());
    for step in 0..60u64 {
        let mut batch = Batch::new();
        batch.family("a", "Help.", MetricKind::Counter);
        for (job, value) in [("x", step as f64), ("y", 3.5), ("z", (step % 7) as f64 * -1e300)] {
            batch.add(&[("job", job), ("le", "1")], value);
        }
        batch.family("b", "", MetricKind::Gauge);
        for (job, value) in [("x", f64::NAN), ("y", f64::INFINITY), ("z", if step == 30 { stale_nan() } else { 0.1 })] {
            batch.add(&[("job", job)], value);
        }
        batch.family("h_bucket", "", MetricKind::Unknown);
        for (le, value) in [("0.5", step), ("1", step * 2), ("+Inf", step * 4)] {
            batch.add(&[("le", le)], value as f64);
        }
        batch.family("n", "", MetricKind::Histogram);
        for (kind, schema) in [("plain", 2), ("custom", -53)] {
            batch.add(&[("kind", kind)], 0.0);
            let last = batch.rows().len() - 1;
            batch.set(last, histogram(schema, step), None, None);
        }
        board.store.append(board.now, &batch, SourceId(1), &Labels::empty());
        board.pass(15_000);
    }
    board.store.reader()
});

fuzz_target!(|bytes: &[u8]| {
    let [flags, text @ ..] = bytes else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let all = flags & 1 != 0;
    let features = if all { Features::ALL } else { Features::default() };
    let Ok(tree) = parse_with(text, features) else { return };
    let printed = tree.to_string();
    let second = match parse_with(&printed, features) {
        Ok(second) => second,
        // What is shorter than a millisecond prints as nothing, with Prometheus too.
        Err(_) if printed.contains("0s") => return,
        Err(error) => panic!("{text:?} prints as {printed:?}: {error}"),
    };
    assert_eq!(printed, second.to_string(), "{text:?}");
    let pretty =
        parse_with(&tree.pretty(), features).unwrap_or_else(|error| panic!("{text:?}: {}: {error}", tree.pretty()));
    assert_eq!(printed, pretty.to_string(), "{text:?}");
    let engine = Engine {
        limits: Limits { samples_max: 20_000, series_max: 1_000, steps_max: 200 },
        delayed_name_removal: flags & 2 != 0,
        ..Engine::default()
    };
    let asked = Cell::new(0);
    let stop = || {
        asked.set(asked.get() + 1);
        asked.get() > ASKED_MAX
    };
    let end = UnixMs(START + 900_000);
    let range = RangeArgs { start: UnixMs(START + 300_000), end, step_ms: 60_000 };
    // What they answer is compared with the peer elsewhere; that they answer or refuse is what counts here.
    let _ = engine.instant(&*READER, &tree, end, &stop);
    let _ = engine.range(&*READER, &tree, range, &stop);
});
