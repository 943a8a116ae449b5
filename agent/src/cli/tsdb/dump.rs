//! `narthex tsdb dump`: what is stored as OpenMetrics text with timestamps, which `import` and promtool read.
//!
//! Series come sorted, each with all its samples. Native histograms have no text form and are left out, and counted on
//! standard error; staleness markers have none either.

use std::fmt::Write as _;
use std::io::Write;

use model::{Labels, Matcher, Querier, TimeRange, UnixMs, is_stale_nan};

use super::Asked;
use crate::cli::Failure;

/// How much text is gathered before it is written.
const WRITTEN_BYTES: usize = 1 << 16;

/// Runs the command.
pub fn run(asked: &Asked) -> Result<(), Failure> {
    let offline = asked.open(false)?;
    let range = TimeRange {
        start: UnixMs(asked.min_time.unwrap_or(i64::MIN / 2)),
        end: UnixMs(asked.max_time.unwrap_or(i64::MAX / 2)),
    };
    let reader = offline.store.reader();
    let fault = |error: model::SelectError| Failure::Fault(format!("{}: {error}", offline.path.display()));
    let mut series = Vec::new();
    for matchers in matchers(asked)? {
        let mut take = |labels: &Labels| {
            series.push(labels.clone());
            true
        };
        reader.series(&matchers, range, &mut take).map_err(fault)?;
    }
    series.sort();
    series.dedup();
    let mut out = Dump { text: String::new(), left_out: 0, is_closed: false };
    for labels in &series {
        let exact: Vec<Matcher> = labels.iter().map(|(name, value)| Matcher::equal(name, value)).collect();
        let mut visit = |found: &Labels, samples: model::SeriesSamples<'_>| {
            if found == labels {
                out.series(found, samples);
            }
            !out.is_closed
        };
        match reader.select(&exact, range, &mut visit) {
            Err(model::SelectError::Stopped) => return Ok(()),
            result => result.map_err(fault)?,
        }
    }
    out.text.push_str("# EOF\n");
    out.write();
    if out.left_out > 0 {
        eprintln!("{} native histograms have no text form and were left out", out.left_out);
    }
    Ok(())
}

fn matchers(asked: &Asked) -> Result<Vec<Vec<Matcher>>, Failure> {
    let all = ["{__name__=~\".+\"}".to_owned()];
    let texts = if asked.matches.is_empty() { all.as_slice() } else { &asked.matches };
    let parse = |text: &String| {
        promql::parse_selector(text).map_err(|error| Failure::Usage(format!("--match={text}: {error}")))
    };
    texts.iter().map(parse).collect()
}

struct Dump {
    text: String,
    left_out: u64,
    /// Whoever reads has gone away.
    is_closed: bool,
}

impl Dump {
    fn series(&mut self, labels: &Labels, samples: model::SeriesSamples<'_>) {
        let mut histograms = samples.histograms.iter().map(|(at, _)| *at).peekable();
        for (at, (time, value)) in samples.at.iter().zip(samples.floats).enumerate() {
            if histograms.next_if_eq(&at).is_some() {
                self.left_out += 1;
                continue;
            }
            if is_stale_nan(*value) {
                continue;
            }
            exposition::write_series_name(&mut self.text, labels);
            self.text.push(' ');
            // The formats have no sign before a nought, and all that read them take one.
            if *value == 0.0 && value.is_sign_negative() {
                self.text.push('-');
            }
            model::float::write_exposition(&mut self.text, *value);
            let _ = writeln!(self.text, " {}.{:03}", time.0.div_euclid(1_000), time.0.rem_euclid(1_000));
            if self.text.len() >= WRITTEN_BYTES {
                self.write();
            }
        }
    }

    fn write(&mut self) {
        self.is_closed |= std::io::stdout().lock().write_all(self.text.as_bytes()).is_err();
        self.text.clear();
    }
}
