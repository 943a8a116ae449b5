//! Exposition out of any bytes, in all formats and with all options: no panic, errors lie within the text, a stream
//! says what the whole says, whoever knows the series reads the same values, what was read is printed and read again,
//! and the stricter parser takes what it takes.
//!
//! The first two bytes choose format and options.
#![no_main]

use std::ops::ControlFlow;

use exposition::{
    Entry, Format, Limits, Placed, Scrape, ScrapeFiller, ScrapeOptions, StreamError, TextStream, TextWriter, parse_text,
};
use libfuzzer_sys::fuzz_target;
use model::{Batch, MetricKind, UnixMs};

fn entries(format: Format, body: &[u8], options: ScrapeOptions) -> Result<Vec<String>, (u64, String)> {
    let mut scrape = Scrape::new(format, body, options, Limits::default());
    let (mut all, mut line) = (Vec::new(), 0);
    loop {
        match scrape.next_entry() {
            Ok(Some(entry)) => all.push(format!("{entry:?}")),
            Ok(None) => return Ok(all),
            Err(error) => {
                let lines = 1 + body.iter().filter(|byte| **byte == b'\n').count() as u64;
                assert!(error.line <= lines, "line {} of {lines}", error.line);
                assert!(!error.what.is_empty());
                assert_eq!(scrape.next_entry().err(), Some(error.clone()), "an error stays");
                return Err((error.line, error.what));
            }
        }
        // A histogram made of classic series at the end has no line of its own.
        assert!(format == Format::Protobuf || options.classic_to_native || scrape.line() >= line);
        line = scrape.line();
    }
}

fn streamed(format: Format, body: &[u8], options: ScrapeOptions) -> Result<Vec<String>, (u64, String)> {
    let (mut stream, mut all) = (TextStream::new(format, options, Limits::default()), Vec::new());
    let read = stream.read(&mut &*body, &mut |placed: Placed<'_>| {
        all.push(format!("{:?}", placed.entry));
        ControlFlow::Continue(())
    });
    match read {
        Ok(()) => Ok(all),
        Err(StreamError::Text(error)) => Err((error.line, error.what)),
        Err(error) => panic!("{error}"),
    }
}

/// Reads a body as one does that knows these series, and returns the bits of the values, with the times.
fn known(
    format: Format,
    body: &[u8],
    options: ScrapeOptions,
    series: &[(MetricKind, Vec<u8>)],
) -> Option<Vec<(u64, Option<UnixMs>)>> {
    let mut scrape = Scrape::new(format, body, options, Limits::default());
    let mut found = Vec::new();
    loop {
        if let Some((kind, sent)) = series.get(found.len()).filter(|(_, sent)| !sent.is_empty())
            && let Some((value, at)) = scrape.next_known(sent.len(), |is, text| is == *kind && text == sent)
        {
            found.push((value.to_bits(), at));
            continue;
        }
        match scrape.next_entry().ok()? {
            Some(Entry::Sample(sample)) => found.push((sample.value.to_bits(), sample.at)),
            Some(_) => {}
            None => return Some(found),
        }
    }
}

/// Values may change as they like: whether the series are known makes no difference.
fn know(format: Format, body: &[u8], options: ScrapeOptions) {
    let (mut scrape, mut series) = (Scrape::new(format, body, options, Limits::default()), Vec::new());
    while let Ok(Some(entry)) = scrape.next_entry() {
        if let Entry::Sample(sample) = entry {
            series.push((sample.kind, sample.sent.to_vec()));
        }
    }
    let moved: Vec<u8> = body.iter().map(|byte| if *byte == b'1' { b'7' } else { *byte }).collect();
    for body in [body, &moved] {
        assert_eq!(known(format, body, options, &series), known(format, body, options, &[]));
    }
}

/// What our own printer says is read again by the strict parser, as the same rows.
fn again(batch: &Batch) {
    let (mut text, mut second) = (String::new(), Batch::new());
    TextWriter::new().write(batch, &mut text);
    // Families by the same name at two places, or names beyond the old ones, are no text of the old kind.
    if parse_text(text.as_bytes(), &mut second).is_ok() {
        let mut third = String::new();
        TextWriter::new().write(&second, &mut third);
        assert_eq!(text, third);
    }
}

fuzz_target!(|bytes: &[u8]| {
    let [chosen, flags, body @ ..] = bytes else { return };
    let format = [Format::Text, Format::OpenMetrics, Format::Protobuf][usize::from(*chosen) % 3];
    let is_set = |bit: u8| flags & bit != 0;
    let options = ScrapeOptions {
        starts: is_set(1),
        skip_created: is_set(2),
        type_and_unit: is_set(4),
        classic_to_native: is_set(8),
        keep_classic: is_set(16),
    };
    let whole = entries(format, body, options);
    if format != Format::Protobuf && !options.classic_to_native {
        assert_eq!(whole, streamed(format, body, options));
        know(format, body, options);
    }
    let (mut filler, mut batch) = (ScrapeFiller::new(), Batch::new());
    let filled = filler.fill(format, body, options, Limits::default(), &mut batch);
    assert_eq!(filled.is_ok(), whole.is_ok());
    let rows = batch.rows().len();
    assert!(filled.is_ok() || rows == 0);
    // In memory that was used before the same is found.
    let second = filler.fill(format, body, options, Limits::default(), &mut batch);
    assert_eq!(filled, second);
    batch.truncate(rows);
    let mut strict = Batch::new();
    if parse_text(body, &mut strict).is_ok() {
        again(&strict);
    }
});
