//! That a warm parser allocates nothing for a line: one test in a process of its own, because it counts them all.
//!
//! The bodies are made here and have what real ones have: metadata, labels with and without escapes, bounds that are
//! printed anew, exemplars, times.

use std::alloc::System;
use std::fmt::Write;
use std::ops::ControlFlow;

use exposition::{Entry, Format, Limits, Scrape, ScrapeFiller, ScrapeMemory, ScrapeOptions, TextStream};
use model::Batch;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn body(format: Format, families: usize) -> String {
    let mut out = String::new();
    for i in 0..families {
        write!(out, "# HELP h{i} About \\\\ {i}.\n# TYPE h{i} histogram\n").expect("a string");
        for bound in ["0.5", "1", "1e6", "+Inf"] {
            write!(out, "h{i}_bucket{{path=\"a\\\"b\\n{i}\",\"a.b\"=\"ä\",le=\"{bound}\"}} {i}").expect("a string");
            let tail = match format {
                Format::OpenMetrics => " 12.5 # {trace=\"x\\\\\"} 0.3 12.25\n",
                _ => " 12500\n",
            };
            out.push_str(tail);
        }
        writeln!(out, "h{i}_count{{path=\"a\"}} {i}.25e-3\n{{\"h{i}_sum\",path=\"a\"}} NaN").expect("a string");
        if format == Format::OpenMetrics {
            writeln!(out, "h{i}_created{{path=\"a\"}} 1.5").expect("a string");
        }
    }
    if format == Format::OpenMetrics {
        out.push_str("# EOF\n");
    }
    out
}

/// Returns how often memory was asked for, moving and growing included.
fn allocations(run: impl FnOnce()) -> usize {
    let region = Region::new(ALLOCATOR);
    run();
    let change = region.change();
    change.allocations + change.reallocations
}

#[test]
fn a_warm_parser_allocates_nothing_for_a_line() {
    let options = ScrapeOptions { starts: true, skip_created: true, type_and_unit: true, ..ScrapeOptions::default() };
    for format in [Format::Text, Format::OpenMetrics] {
        let body = body(format, 500);
        let mut memory = ScrapeMemory::default();
        let mut walk = |wanted: usize| {
            let mut samples = 0;
            let taken = std::mem::take(&mut memory);
            let mut scrape = Scrape::with_memory(format, body.as_bytes(), options, Limits::default(), taken);
            let found = allocations(|| {
                while let Some(entry) = scrape.next_entry().expect("a good body") {
                    samples += usize::from(matches!(entry, Entry::Sample(_)));
                }
            });
            memory = scrape.into_memory();
            assert_eq!(samples, 3_000);
            assert!(found <= wanted, "{found} allocations for {format:?}");
        };
        walk(100);
        walk(0);

        let (mut filler, mut batch) = (ScrapeFiller::new(), Batch::new());
        let mut fill = |batch: &mut Batch| {
            batch.clear();
            let filled = filler.fill(format, body.as_bytes(), options, Limits::default(), batch).expect("a good body");
            assert_eq!((filled.samples, batch.rows().len(), batch.refused()), (3_000, 3_000, 0));
        };
        fill(&mut batch);
        assert_eq!(allocations(|| fill(&mut batch)), 0, "{format:?} into a batch");

        let mut stream = TextStream::new(format, options, Limits::default());
        let found = allocations(|| {
            stream.read(&mut body.as_bytes(), &mut |_| ControlFlow::Continue(())).expect("a good body");
        });
        assert!(found < 100, "{found} allocations for a stream of {format:?}");
    }
}
