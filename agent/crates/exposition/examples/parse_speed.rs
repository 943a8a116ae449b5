//! Measures how fast scrapes are read: MB/s, samples a second, and allocations.
//!
//! `cargo run --release -p narthex-exposition --example parse_speed -- FILE...`; a file whose name has `.om` in it is
//! OpenMetrics, every other one Prometheus text. Recordings (`*.raw`, see unpack.py of the shared data) are read as
//! they are: their `#@` lines are comments. Each file is read whole, again and again for a second each way: entry by
//! entry, into a batch (a body of more rows than a batch carries is left out there), and as a stream. Time is what the
//! kernel says this process ran, so that what else a machine does disturbs less; the wall clock where it does not say.

use std::alloc::System;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use exposition::{Format, Limits, Scrape, ScrapeFiller, ScrapeMemory, ScrapeOptions, TextStream};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const LIMITS: Limits =
    Limits { body_bytes: 1 << 30, line_bytes: 1 << 20, labels: 128, label_bytes: 64 << 10, buckets: 4_096 };

fn main() {
    for path in std::env::args().skip(1) {
        let body = std::fs::read(&path).expect("a readable file");
        let format = if path.contains(".om") { Format::OpenMetrics } else { Format::Text };
        println!("{path}: {} bytes", body.len());
        entries(format, &body);
        batches(format, &body);
        streams(format, &body);
    }
}

/// Runs it for a second, and prints what a second would do.
fn measure(what: &str, bytes: usize, mut run: impl FnMut() -> u64) {
    run();
    let region = Region::new(ALLOCATOR);
    let (began, ran, mut runs, mut samples) = (Instant::now(), running(), 0u32, 0);
    while began.elapsed() < Duration::from_secs(1) {
        samples += run();
        runs += 1;
    }
    let wall = began.elapsed();
    let seconds = ran.zip(running()).map_or(wall, |(before, after)| after - before).as_secs_f64();
    let allocations = region.change().allocations as f64 / f64::from(runs);
    println!(
        "  {what}: {:.0} MB/s, {:.2} M samples/s, {allocations:.1} allocations a body of {} samples",
        f64::from(runs) * bytes as f64 / seconds / 1e6,
        samples as f64 / seconds / 1e6,
        samples / u64::from(runs),
    );
}

/// Returns how long this process has run on a processor.
fn running() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

fn entries(format: Format, body: &[u8]) {
    let mut memory = ScrapeMemory::default();
    measure("entries", body.len(), || {
        let taken = std::mem::take(&mut memory);
        let mut scrape = Scrape::with_memory(format, body, ScrapeOptions::default(), LIMITS, taken);
        let mut samples = 0;
        while let Some(entry) = scrape.next_entry().expect("a good body") {
            if let exposition::Entry::Sample(sample) = entry {
                black_box((sample.name, sample.labels.iter().last(), sample.value));
                samples += 1;
            }
        }
        memory = scrape.into_memory();
        samples
    });
}

fn batches(format: Format, body: &[u8]) {
    let (mut filler, mut batch) = (ScrapeFiller::new(), model::Batch::new());
    let mut fill = || {
        batch.clear();
        let filled = filler.fill(format, body, ScrapeOptions::default(), LIMITS, &mut batch).expect("a good body");
        (filled.samples, batch.refused())
    };
    if fill().1 == 0 {
        measure("batch", body.len(), || fill().0);
    }
}

fn streams(format: Format, body: &[u8]) {
    measure("stream", body.len(), || {
        let mut stream = TextStream::new(format, ScrapeOptions::default(), LIMITS);
        let mut samples = 0;
        let read = stream.read(&mut &body[..], &mut |placed| {
            if let exposition::Entry::Sample(sample) = placed.entry {
                black_box((sample.name, sample.labels.iter().last(), sample.value));
                samples += 1;
            }
            ControlFlow::Continue(())
        });
        read.expect("a good body");
        samples
    });
}
