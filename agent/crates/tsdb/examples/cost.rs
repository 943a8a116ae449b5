//! What a recording costs in the store: bytes a sample in blocks, bytes written, time to append, memory of the head.
//!
//! Reads a raw recording (`#@ MILLISECONDS`, then a body in Prometheus text) from standard input, appends it in real
//! time's order on a disk in memory and prints one line. The text is read by a splitter that is good enough for
//! recordings and is not what the agent uses. `STEP` as the only argument keeps every so many scrapes. Times are this
//! thread's on the processor, so that other work on the machine does not count.
//!
//! `python3 unpack.py default-5s.delta.gz | cargo run --release -p narthex-tsdb --example cost`

#[path = "../tests/board/memory.rs"]
mod memory;

use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::{Batch, Disk, Labels, MetricKind, Mono, Now, SourceId, UnixMs, Value};
use tsdb::{DiskOp, OpDone, Options, Store};

use memory::Memory;

/// Splits `name{a="b",c="d"} value` at what is not within quotes.
fn series(line: &str) -> Option<(Labels, f64)> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, rest) = series.split_once('{').unwrap_or((series, "}"));
    let mut pairs = vec![("__name__".to_owned(), name.to_owned())];
    let mut rest = rest.strip_suffix('}')?;
    while let Some((label, tail)) = rest.split_once("=\"") {
        let mut end = 0;
        let bytes = tail.as_bytes();
        while bytes.get(end).is_some_and(|byte| *byte != b'"') {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        pairs.push((label.trim_start_matches(',').to_owned(), tail[..end].to_owned()));
        rest = &tail[end + 1..];
    }
    let value = match value {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        value => value.parse().ok()?,
    };
    Some((Labels::from_pairs(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))), value))
}

/// Returns how long this thread has been on the processor.
fn spent_so_far() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("a Linux kernel with statistics");
    Duration::from_nanos(text.split(' ').next().and_then(|ns| ns.parse().ok()).expect("nanoseconds first"))
}

fn main() {
    let step: usize = std::env::args().nth(1).and_then(|step| step.parse().ok()).unwrap_or(1);
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).expect("a recording on standard input");
    let disk = Memory::default();
    let options = Options { file_bytes: 64 << 20, ..Options::default() };
    let start = Now { mono: Mono(0), wall: UnixMs(0), wall_trusted: false };
    let (mut store, _) =
        Store::open(&mut disk.clone(), Arc::new(disk.clone()), None, options, start).expect("a new file");
    let (mut batch, mut samples, mut first, mut spent) = (Batch::new(), 0u64, None, Duration::ZERO);
    let extra = Labels::from_pairs([("job", "node"), ("instance", "localhost:9100")]);
    let (mut ops, mut head_max, mut last) = (Vec::new(), 0, start);
    for scrape in text.split("#@ ").skip(1).step_by(step) {
        let (ms, body) = scrape.split_once('\n').expect("a time and a body");
        let ms: i64 = ms.trim().parse().expect("milliseconds");
        let base = *first.get_or_insert(ms - 1_000);
        let now = Now { mono: Mono((ms - base) as u64), wall: UnixMs(ms), wall_trusted: true };
        batch.clear();
        batch.family("recorded", "", MetricKind::Unknown);
        for (labels, value) in body.lines().filter(|line| !line.starts_with('#')).filter_map(series) {
            batch.add_labels(&labels, Value::Float(value));
        }
        let begun = spent_so_far();
        samples += store.append(now, &batch, SourceId(1), &extra).rows.len();
        spent += spent_so_far() - begun;
        head_max = head_max.max(store.stats().head_bytes);
        run(&mut store, &disk, &mut ops, now);
        last = now;
    }
    let live = store.stats();
    // The last block is sealed by its age, so that all samples count.
    let end = Now { mono: last.mono.plus_ms(7_200_001), ..last };
    let begun = spent_so_far();
    let step = run(&mut store, &disk, &mut ops, end);
    let sealing = spent_so_far() - begun;
    let stats = store.stats();
    println!(
        "{samples} samples of {} series in {} blocks: {:.3} bytes a sample; journal {:.3} bytes a sample in {} syncs; \
         append {:.3} s a million; open block at most {head_max} bytes in memory; sealing the last one {:.1} ms, nine \
         of ten steps at most {:.2} ms",
        stats.series,
        stats.blocks,
        stats.used_bytes as f64 / samples as f64,
        live.journal_bytes as f64 / samples as f64,
        live.syncs,
        spent.as_secs_f64() * 1e6 / samples as f64,
        sealing.as_secs_f64() * 1e3,
        step.as_secs_f64() * 1e3,
    );
}

/// Does what is due; returns how long nine of ten steps of the store took at most, by the wall's clock.
fn run(store: &mut Store, disk: &Memory, ops: &mut Vec<DiskOp>, now: Now) -> Duration {
    let mut steps = Vec::new();
    store.tick(now);
    store.take_ops(ops);
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
        let begun = Instant::now();
        store.tick(now);
        steps.push(begun.elapsed());
        store.take_ops(ops);
    }
    steps.sort_unstable();
    steps.get(steps.len() * 9 / 10).copied().unwrap_or_default()
}
