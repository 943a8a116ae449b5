//! How many bytes a day of a thousand series writes to the medium, syncs and acknowledgements included.
//!
//! Reads a raw recording (as `cost` does) from standard input and replays it for a day as the scrapes of two instances,
//! the second of them smaller, one every 15 seconds: each recorded scrape is the next one's predecessor, whatever the time between them was, counters
//! go on where the recording ends and begins anew. An upstream acknowledges after each scrape, the interval between
//! syncs is the default's minute, and the disk counts what it is told to write. Prints megabytes (10^6) a day by what
//! they are for; exits with 1 when they are more than the one argument says.
//!
//! `python3 unpack.py default-5s.delta.gz | cargo run --release -p narthex-tsdb --example wear -- 10`

#[path = "../tests/board/memory.rs"]
mod memory;

use std::io::{self, Read};
use std::sync::Arc;

use model::{Batch, Disk, Labels, MetricKind, Mono, Now, SourceId, UnixMs, Value};
use tsdb::{DiskOp, OpDone, Options, Store};

use memory::Memory;

const INTERVAL_MS: u64 = 15_000;
/// How many series there are; the second instance has what the first one lacks.
const SERIES: usize = 1_000;
const DAY_MS: u64 = 86_400_000;
const START: i64 = 1_800_000_000_000;

/// One series of the recording: its values in turn, and by how much it goes up from the end to the beginning.
struct Recorded {
    labels: Labels,
    values: Vec<Option<f64>>,
    is_counter: bool,
}

fn labels(series: &str) -> Option<Labels> {
    let (name, rest) = series.split_once('{').unwrap_or((series, "}"));
    let mut pairs = vec![("__name__".to_owned(), name.to_owned())];
    let mut rest = rest.strip_suffix('}')?;
    while let Some((label, tail)) = rest.split_once("=\"") {
        let bytes = tail.as_bytes();
        let mut end = 0;
        while bytes.get(end).is_some_and(|byte| *byte != b'"') {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        pairs.push((label.trim_start_matches(',').to_owned(), tail[..end].to_owned()));
        rest = &tail[end + 1..];
    }
    Some(Labels::from_pairs(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))))
}

fn read(text: &str) -> Vec<Recorded> {
    let (mut places, mut found) = (std::collections::HashMap::new(), Vec::<Recorded>::new());
    let mut counters = std::collections::HashSet::new();
    for (scrape, body) in text.split("#@ ").skip(1).enumerate() {
        for line in body.lines().skip(1) {
            if let Some(typed) = line.strip_prefix("# TYPE ") {
                let (name, kind) = typed.split_once(' ').expect("a name and a kind");
                if kind != "gauge" {
                    counters.insert(name.to_owned());
                }
            }
            let Some((series, value)) = line.rsplit_once(' ').filter(|_| !line.starts_with('#')) else { continue };
            let Ok(value) = value.replace("Inf", "inf").parse::<f64>() else { continue };
            let place = *places.entry(series.to_owned()).or_insert_with(|| {
                let labels = labels(series).expect("labels");
                let base = labels.name();
                let base = ["_bucket", "_sum", "_count"].iter().find_map(|s| base.strip_suffix(s)).unwrap_or(base);
                let is_counter =
                    (counters.contains(base) || counters.contains(labels.name())) && labels.get("quantile").is_none();
                found.push(Recorded { labels, values: Vec::new(), is_counter });
                found.len() - 1
            });
            found[place].values.resize(scrape, None);
            found[place].values.push(Some(value));
        }
    }
    let scrapes = found.iter().map(|series| series.values.len()).max().unwrap_or(0);
    found.iter_mut().for_each(|series| series.values.resize(scrapes, None));
    found
}

impl Recorded {
    fn at(&self, turn: usize) -> Option<f64> {
        let scrapes = self.values.len();
        let value = self.values[turn % scrapes]?;
        let (first, last) = (self.values.iter().flatten().next()?, self.values.iter().rev().flatten().next()?);
        let rise = if self.is_counter { last - first } else { 0.0 };
        Some(value + rise * (turn / scrapes) as f64)
    }
}

fn main() {
    let limit: f64 = std::env::args().nth(1).and_then(|limit| limit.parse().ok()).unwrap_or(f64::INFINITY);
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).expect("a recording on standard input");
    let recorded = read(&text);
    let now = |mono: u64| Now { mono: Mono(mono), wall: UnixMs(START + mono as i64), wall_trusted: true };
    let disk = Memory::default();
    let options = Options { file_bytes: 64 << 20, ..Options::default() };
    let opened = Store::open(&mut disk.clone(), Arc::new(disk.clone()), None, options, now(0));
    let (mut store, mut ops, mut batch) = (opened.expect("a new file").0, Vec::new(), Batch::new());
    let (mut written, mut syncs, mut samples, mut series_max) = (0u64, 0u64, 0u64, 0u64);
    for turn in 0..(DAY_MS / INTERVAL_MS) as usize {
        for instance in 0..2u32 {
            let at = now(turn as u64 * INTERVAL_MS + u64::from(instance) * 400 + turn as u64 * 7 % 3);
            // The second board does the same at another time.
            let turn = turn + instance as usize * 171;
            batch.clear();
            batch.family("recorded", "", MetricKind::Unknown);
            let rest = SERIES - recorded.len().min(SERIES);
            let count = if instance == 0 { SERIES } else { rest };
            for series in recorded.iter().take(count) {
                if let Some(value) = series.at(turn) {
                    batch.add_labels(&series.labels, Value::Float(value));
                }
            }
            let extra = format!("board{instance}:9100");
            let extra = Labels::from_pairs([("job", "node"), ("instance", extra.as_str())]);
            samples += store.append(at, &batch, SourceId(instance), &extra).rows.len();
            series_max = series_max.max(store.stats().series);
            // As an upstream's cell: a version, and one range of ids.
            let acknowledged = [&[1u8; 9], &samples.to_le_bytes()[..]].concat();
            store.put_cell("upstream/remote_write/0", &acknowledged).expect("room for a cell");
            store.tick(at);
            loop {
                store.take_ops(&mut ops);
                if ops.is_empty() && !store.is_packing() {
                    break;
                }
                for op in ops.drain(..) {
                    let done = match op {
                        DiskOp::Write { offset, bytes } => {
                            written += bytes.len() as u64;
                            OpDone::Written { result: disk.clone().write(offset, &bytes) }
                        }
                        DiskOp::Sync { ticket } => {
                            syncs += 1;
                            OpDone::Synced { ticket, result: Ok(()) }
                        }
                        DiskOp::Tail { .. } => continue,
                    };
                    store.done(at, done);
                }
                store.tick(at);
            }
        }
    }
    let (stats, mega) = (store.stats(), |bytes: u64| bytes as f64 / 1e6);
    println!(
        "{samples} samples of {series_max} series, a day at {} s: {:.2} MB written in {syncs} syncs; {:.2} MB to the \
         journal, {:.2} MB in {} blocks ({:.3} bytes a sample)",
        INTERVAL_MS / 1_000,
        mega(written),
        mega(stats.journal_bytes),
        mega(written - stats.journal_bytes),
        stats.blocks,
        stats.used_bytes as f64 / (stats.rows - stats.open_rows).max(1) as f64,
    );
    if mega(written) > limit {
        eprintln!("more than {limit} MB");
        std::process::exit(1);
    }
}
