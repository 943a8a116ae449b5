//! What reading scrapes and storing them costs, alone: no network, no compression, no other thread.
//!
//! Usage: `parse_append [FILE [TARGETS [MINUTES]]]`, by default `target/parse_append.data`, 200 targets of 500 series
//! scraped every 15 s, and 30 minutes of them. The bodies are those of `tests/benches/scrape`; each target's move by
//! themselves. They go the agent's way: the state machine of `targets`, the store on a real file, and the batch home
//! again. Printed every ten minutes of made-up time: CPU seconds for a million samples since the last line, as the
//! kernel counts this process's time, and its resident memory, of which the bodies are said apart.

use std::fmt::Write;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use model::{Disk, Labels, Mono, Now, ReadAt, UnixMs};
use targets::{Body, Bounds, Delivery, Group, Histograms, Job, Limits, Pools, Protocol};
use tsdb::{DiskOp, OpDone, Options, Store};

const INTERVAL_MS: u64 = 15_000;
const LINE_MS: u64 = 600_000;
/// How many different bodies there are.
const TURNS: u64 = 240;
const SERIES: u64 = 500;

#[derive(Clone)]
struct Medium(Arc<File>);

impl Disk for Medium {
    fn len(&mut self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
    fn read(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(buf, offset)
    }
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }
    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ReadAt for Medium {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(buf, offset)
    }
}

/// Returns 500 series as a service has them: counters, gauges and histograms, which move.
fn body(turn: u64) -> String {
    let mut out = String::new();
    let mut family = |name: &str, help: &str, kind: &str, lines: &[String]| {
        let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{}", lines.concat());
    };
    for number in 0..20 {
        let name = format!("shop_requests_{number}_total");
        let line = |code: u64| {
            let labels = format!("handler=\"/api/v1/things/{number}\",method=\"get\",code=\"{}\"", 200 + code);
            format!("{name}{{{labels}}} {}\n", turn * (number + 3 * code) + number * 1000)
        };
        family(&name, "Requests that were answered, by their kind.", "counter", &(0..10).map(line).collect::<Vec<_>>());
    }
    for number in 0..8 {
        let (name, count, mut lines) = (format!("shop_latency_{number}_seconds"), turn * (number + 1), Vec::new());
        for path in ["/", "/things"] {
            let bounds = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "+Inf"];
            for (bound, at) in bounds.iter().zip(1..) {
                lines.push(format!("{name}_bucket{{path=\"{path}\",le=\"{bound}\"}} {}\n", count * at / 10));
            }
            lines.push(format!("{name}_sum{{path=\"{path}\"}} {:.4}\n", count as f64 * 0.0371));
            lines.push(format!("{name}_count{{path=\"{path}\"}} {count}\n"));
        }
        family(&name, "How long an answer took.", "histogram", &lines);
    }
    for number in 0..12 {
        let name = format!("shop_stock_{number}_kilograms");
        let line = |shelf: u64| {
            let value = ((turn * 7919 + shelf * 104_729 + number) % 100_003) as f64 / 97.0;
            format!("{name}{{shelf=\"{shelf}\"}} {value:.6}\n")
        };
        family(&name, "What lies in the shelves.", "gauge", &(0..9).map(line).collect::<Vec<_>>());
    }
    assert_eq!(out.lines().filter(|line| !line.starts_with('#')).count() as u64, SERIES);
    out
}

fn job() -> Job {
    Job {
        name: "shop".to_owned(),
        interval_ms: INTERVAL_MS,
        timeout_ms: 10_000,
        scheme: "http",
        metrics_path: "/metrics".to_owned(),
        params: Vec::new(),
        honor_labels: false,
        honor_timestamps: true,
        track_timestamps_staleness: false,
        limits: Limits::default(),
        protocols: Protocol::DEFAULT.to_vec(),
        fallback: None,
        compression: true,
        extra_metrics: false,
        histograms: Histograms::default(),
        names: Default::default(),
        relabel: Vec::new(),
        metric_relabel: Vec::new(),
    }
}

fn now(ms: u64) -> Now {
    Now { mono: Mono(ms), wall: UnixMs(1_800_000_000_000 + ms as i64), wall_trusted: true }
}

struct World {
    medium: Medium,
    store: Store,
    pools: Pools,
    ops: Vec<DiskOp>,
}

impl World {
    fn new(path: &str, count: u64) -> Result<World, String> {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path);
        let mut medium = Medium(Arc::new(file.map_err(|error| format!("{path}: {error}"))?));
        // As tests/benches/scrape has it.
        let series = count * SERIES + 10_000;
        let options = Options {
            file_bytes: (series / 50).max(64) * 1_000_000,
            memory_bytes_max: 64_000_000,
            block_bytes_max: 8_000_000,
            series_max: series as usize,
            boot: 1,
            ..Options::default()
        };
        let read = Arc::new(medium.clone());
        let (store, _) =
            Store::open(&mut medium, read, None, options, now(0)).map_err(|error| format!("{path}: {error}"))?;
        let bounds =
            Bounds { source_first: 1, rows_max: series as usize, seed: 7, type_and_unit: false, starts: false };
        let mut pools = Pools::new(bounds);
        pools.change(now(0), vec![job()]);
        let target = |number: u64| {
            let group = Labels::from_pairs([("target", number.to_string().as_str())]);
            Group::of(number.to_string(), &["127.0.0.1:19990".to_owned()], group)
        };
        pools.discovered(now(0), "shop", 0, (0..count).map(target).collect());
        Ok(World { medium, store, pools, ops: Vec::new() })
    }

    fn append(&mut self, mut delivery: Delivery) -> Result<(), String> {
        loop {
            let appended = self.store.append(delivery.at, &delivery.batch, delivery.source, &Labels::empty());
            if appended.refused.total() > 0 {
                return Err(format!("refused: {:?}", appended.refused));
            }
            delivery.is_unknown = appended.is_unknown;
            match self.pools.home(delivery) {
                Some(named) => delivery = named,
                None => return Ok(()),
            }
        }
    }

    fn drain(&mut self, now: Now) -> io::Result<()> {
        self.store.tick(now);
        loop {
            self.store.take_ops(&mut self.ops);
            if self.ops.is_empty() {
                return Ok(());
            }
            for op in std::mem::take(&mut self.ops) {
                let done = match op {
                    DiskOp::Write { offset, bytes } => {
                        OpDone::Written { result: self.medium.0.write_all_at(&bytes, offset) }
                    }
                    DiskOp::Sync { ticket } => OpDone::Synced { ticket, result: Ok(()) },
                    DiskOp::Tail { .. } => continue,
                };
                self.store.done(now, done);
            }
            self.store.tick(now);
        }
    }
}

/// Returns how long this process has run on a processor, in seconds.
fn cpu_seconds() -> Result<f64, String> {
    let text = fs::read_to_string("/proc/self/schedstat").map_err(|error| error.to_string())?;
    let first = text.split_whitespace().next().and_then(|word| word.parse::<f64>().ok());
    first.map(|ns| ns / 1e9).ok_or_else(|| "/proc/self/schedstat says nothing".to_owned())
}

/// Returns the resident memory, in bytes.
fn resident() -> Result<u64, String> {
    let text = fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.map(|kilobytes| kilobytes * 1_024).ok_or_else(|| "/proc/self/status says nothing".to_owned())
}

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let path = arguments.first().map_or("target/parse_append.data", String::as_str);
    let number = |at: usize, usual: u64| arguments.get(at).map_or(Ok(usual), |text| text.parse::<u64>());
    let count = number(1, 200).map_err(|error| error.to_string())?;
    let minutes = number(2, 30).map_err(|error| error.to_string())?;
    let bodies: Vec<String> = (0..TURNS).map(body).collect();
    let bodies_bytes: usize = bodies.iter().map(String::len).sum();
    let (mut world, mut turns) = (World::new(path, count)?, vec![0u64; count as usize]);
    let (mut began, mut next_line, mut samples) = (cpu_seconds()?, LINE_MS, 0u64);
    let end = minutes * 60_000;
    while let Some(due) = world.pools.next_deadline().filter(|due| due.0 <= end) {
        let at = now(due.0);
        let Some(fetch) = world.pools.due(at) else { continue };
        let turn = &mut turns[fetch.target as usize];
        *turn += 1;
        let text = &bodies[(*turn % TURNS) as usize];
        let answer = Body { bytes: text.as_bytes(), content_type: "text/plain; version=0.0.4" };
        let delivery = world.pools.done(fetch.target, at, 0.003, Ok(answer)).ok_or("the target has gone")?;
        samples += delivery.batch.rows().len() as u64;
        world.append(delivery)?;
        world.drain(at).map_err(|error| error.to_string())?;
        if due.0 >= next_line || due.0 + INTERVAL_MS / count > end {
            let used = cpu_seconds()?;
            let memory = (resident()? - bodies_bytes as u64) as f64 / 1e6;
            println!(
                "{:3} min: {:.3} CPU s a million samples, {memory:.1} MB resident beside {:.1} MB of bodies",
                due.0 / 60_000,
                (used - began) / samples as f64 * 1e6,
                bodies_bytes as f64 / 1e6
            );
            (began, samples, next_line) = (cpu_seconds()?, 0, next_line + LINE_MS);
        }
    }
    let stats = world.store.stats();
    println!("{} series, {} rows, {} blocks, {} dropped", stats.series, stats.appended, stats.blocks, stats.dropped);
    fs::remove_file(path).map_err(|error| error.to_string())
}
