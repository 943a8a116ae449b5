//! Fills a data file until its ring has gone round, opens it again, and says how long that took, how much was read,
//! and what the process holds in memory.
//!
//! Usage: `open_full FILE BYTES SERIES`, first with a file that is not there, then again in a fresh process. The time
//! in the file is made up; nothing is synced but at the end.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use model::{Batch, Disk, Labels, MetricKind, Mono, Now, Querier, ReadAt, SourceId, TimeRange, UnixMs};
use tsdb::{DiskOp, OpDone, Options, Store};

#[derive(Clone)]
struct Plain(Arc<File>, Arc<AtomicU64>);

impl Disk for Plain {
    fn len(&mut self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
    fn read(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.read_at(offset, buf)
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

impl ReadAt for Plain {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.1.fetch_add(buf.len() as u64, Ordering::Relaxed);
        self.0.read_exact_at(buf, offset)
    }
}

fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = |name| status.lines().find(|line| line.starts_with(name)).unwrap_or(name).to_owned();
    [line("VmRSS:"), line("VmHWM:")].join(" ").replace(['\t', ':'], " ")
}

fn now(ms: u64) -> Now {
    Now { mono: Mono(ms), wall: UnixMs(1_800_000_000_000 + ms as i64), wall_trusted: true }
}

fn fill(store: &mut Store, disk: &mut Plain, series: u64) {
    let (mut batch, mut seed, mut step) = (Batch::new(), 1u64, 0);
    // As a target's are stored, so that an agent that scrapes them goes on with them.
    let extra = Labels::from_pairs([("job", "full"), ("instance", "127.0.0.1:19555")]);
    let names: Vec<String> = (0..series).map(|n| n.to_string()).collect();
    while store.stats().overwritten == 0 {
        step += 1;
        batch.clear();
        batch.family("node_something_total", "Some help.", MetricKind::Counter);
        for (name, n) in names.iter().zip(0..) {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let value = if n % 4 == 0 { (seed >> 44) as f64 / 100.0 } else { f64::from(n) };
            batch.add(&[("device", name.as_str())], value);
        }
        store.append(now(step * 5_000), &batch, SourceId(1), &extra);
        store.tick(now(step * 5_000));
        if step % 1_000 == 0 {
            store.flush(now(step * 5_000));
        }
        let mut ops = Vec::new();
        loop {
            store.take_ops(&mut ops);
            if ops.is_empty() && !store.is_packing() {
                break;
            }
            store.tick(now(step * 5_000));
            for op in ops.drain(..) {
                let done = match op {
                    DiskOp::Write { offset, bytes } => OpDone::Written { result: disk.write(offset, &bytes) },
                    DiskOp::Sync { ticket } => OpDone::Synced { ticket, result: Ok(()) },
                    DiskOp::Tail { .. } => continue,
                };
                store.done(now(step * 5_000), done);
            }
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, bytes, series] = arguments.as_slice() else { return Err("FILE BYTES SERIES".into()) };
    let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
    let read = Arc::new(AtomicU64::new(0));
    let mut disk = Plain(Arc::new(file), Arc::clone(&read));
    let options = Options { file_bytes: bytes.parse()?, tail_bytes: 0, ..Options::default() };
    println!("before: {}", memory());
    let began = Instant::now();
    let (mut store, recovery) = Store::open(&mut disk.clone(), Arc::new(disk.clone()), None, options, now(0))?;
    println!("opened in {:?}, {} bytes read: {}", began.elapsed(), read.load(Ordering::Relaxed), memory());
    println!("{recovery:?}");
    if recovery.created {
        fill(&mut store, &mut disk, series.parse()?);
        disk.0.sync_all()?;
        return Ok(());
    }
    let (began, mut samples) = (Instant::now(), 0);
    store.reader().select(&[model::Matcher::equal("device", "0")], TimeRange::ALL, &mut |_, found| {
        samples += found.at.len();
        true
    })?;
    println!("one series, all of it: {samples} samples in {:?}: {}", began.elapsed(), memory());
    let began = Instant::now();
    let mut count = 0;
    store.reader().series(&[], TimeRange::ALL, &mut |_| {
        count += 1;
        true
    })?;
    println!("{count} series listed in {:?}: {}", began.elapsed(), memory());
    Ok(())
}
