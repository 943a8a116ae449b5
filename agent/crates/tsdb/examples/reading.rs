//! What reading the newest minutes costs: over a fresh open block, over one of two hours, over a sealed one.
//!
//! Appends 720 collections at 10 s, or what `ROWS INTERVAL_MS SERIES` say, of series that move as a board's do (three
//! quarters stand still) and prints microseconds a query: the last sample of every series within five minutes as
//! `/federate` asks for it, one metric's last minute as `rate(m[1m])` does, and every sample of the block.
//!
//! `cargo run --release -p narthex-tsdb --example reading`

#[path = "../tests/board/memory.rs"]
mod memory;

use std::sync::Arc;
use std::time::Instant;

use model::{Batch, Disk, Labels, Matcher, MetricKind, Mono, Now, Querier, SourceId, TimeRange, UnixMs, Value};
use tsdb::{DiskOp, OpDone, Options, Reader, Store};

use memory::Memory;

const START: i64 = 1_800_000_000_000;

fn now(mono: u64) -> Now {
    Now { mono: Mono(mono), wall: UnixMs(START + mono as i64), wall_trusted: true }
}

fn run(store: &mut Store, disk: &Memory, now: Now) {
    let mut ops = Vec::new();
    store.tick(now);
    store.take_ops(&mut ops);
    while !ops.is_empty() || store.next_deadline().is_some_and(|at| at <= now.mono) {
        for op in ops.drain(..) {
            match op {
                DiskOp::Write { offset, bytes } => {
                    let result = disk.clone().write(offset, &bytes);
                    store.done(now, OpDone::Written { result });
                }
                DiskOp::Sync { ticket } => store.done(now, OpDone::Synced { ticket, result: Ok(()) }),
                DiskOp::Tail { .. } => {}
            }
        }
        store.tick(now);
        store.take_ops(&mut ops);
    }
}

/// Returns microseconds a query, and the samples that one found.
fn cost(reader: &Reader, matchers: &[Matcher], range: TimeRange, times: u32) -> (f64, usize) {
    let (begun, mut samples) = (Instant::now(), 0);
    for _ in 0..times {
        samples = 0;
        let read = reader.select(matchers, range, &mut |_, found| {
            samples += found.at.len();
            true
        });
        read.expect("a selection");
    }
    (begun.elapsed().as_secs_f64() * 1e6 / f64::from(times), samples)
}

fn print(what: &str, reader: &Reader, end: i64) {
    let range = |ms: i64| TimeRange { start: UnixMs(end - ms), end: UnixMs(end) };
    let federate = cost(reader, &[], range(300_000), 50);
    let rate = cost(reader, &[Matcher::equal("__name__", "m7")], range(60_000), 200);
    let whole = cost(reader, &[], TimeRange::ALL, 5);
    println!(
        "{what}: last 5 min of all {:.0} us ({} samples), 1 min of one metric {:.0} us ({}), everything {:.0} us ({})",
        federate.0, federate.1, rate.0, rate.1, whole.0, whole.1
    );
}

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|number| number.parse::<u64>().ok());
    let (rows, interval) = (numbers.next().unwrap_or(720), numbers.next().unwrap_or(10_000));
    let count = numbers.next().unwrap_or(1_000);
    let disk = Memory::default();
    let options = Options {
        file_bytes: 64 << 20,
        block_ms_max: 7_200_000,
        block_bytes_max: 4 << 20,
        tail_bytes: 0,
        ..Options::default()
    };
    let (mut store, _) =
        Store::open(&mut disk.clone(), Arc::new(disk.clone()), None, options, now(0)).expect("a new file");
    let labels: Vec<Labels> = (0..count)
        .map(|i| Labels::from_pairs([("__name__", format!("m{}", i / 8).as_str()), ("n", i.to_string().as_str())]))
        .collect();
    let extra = Labels::from_pairs([("job", "node"), ("instance", "localhost:9100")]);
    let (mut batch, mut seed) = (Batch::new(), 7u64);
    let mut values: Vec<f64> = (0..count).map(|i| (i * 1_000) as f64).collect();
    let reader = store.reader();
    let mut at = now(0);
    for row in 1..=rows {
        at = now(row * interval + seed % 3);
        batch.clear();
        batch.family("m", "", MetricKind::Unknown);
        for (i, (labels, value)) in labels.iter().zip(&mut values).enumerate() {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            match i % 16 {
                0 => *value += (seed % 100) as f64,
                1 => *value += (seed % 9_000) as f64 / 100.0,
                2 => *value = (seed % 4_000) as f64 * 4096.0,
                3 => *value += 10.0,
                _ => {}
            }
            batch.add_labels(labels, Value::Float(*value));
        }
        store.append(at, &batch, SourceId(1), &extra);
        run(&mut store, &disk, at);
        if row == 60_000 / interval * 5 {
            print("open, 5 min", &reader, at.wall.0);
        }
    }
    println!("the open block takes {} bytes of memory", store.stats().head_bytes);
    print("open, all of it", &reader, at.wall.0);
    let end = now(at.mono.0 + 7_200_001);
    run(&mut store, &disk, end);
    println!("sealed: {} bytes in {} blocks", store.stats().used_bytes, store.stats().blocks);
    print("sealed", &reader, at.wall.0);
}
