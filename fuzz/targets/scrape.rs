//! Exposition out of any bytes, in all formats and with all options: no panic, errors lie within the text, a stream
//! says what the whole says, what was read is printed and read again, and the stricter parser takes what it takes.
//!
//! The first two bytes choose format and options.
#![no_main]

use std::ops::ControlFlow;

use exposition::{
    Format, Limits, Placed, Scrape, ScrapeFiller, ScrapeOptions, StreamError, TextStream, TextWriter, parse_text,
};
use libfuzzer_sys::fuzz_target;
use model::Batch;

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
