//! Series in memory, read from OpenMetrics text with timestamps, sorted by labels as a block of Prometheus is.
//!
//! ```text
//! # TYPE demo_num_cpus gauge
//! demo_num_cpus{instance="a",job="demo"} 4 1700000000
//! ```
//!
//! Reads what `promtool tsdb create-blocks-from openmetrics` reads of the shared data: floats, one sample a line.
//! Exemplars and start timestamps are not understood; a line that makes no sense is a panic.

use std::collections::BTreeMap;

use model::seams::Visitor;
use model::{Labels, LabelsBuilder, Matcher, Querier, SelectError, SeriesSamples, TimeRange, UnixMs};

/// The samples of one series.
#[derive(Default, Clone)]
pub struct Samples {
    /// When each was taken, ascending.
    pub at: Vec<UnixMs>,
    /// What each is.
    pub floats: Vec<f64>,
}

/// All series.
#[derive(Default, Clone)]
pub struct Memory {
    /// By labels.
    pub series: BTreeMap<Labels, Samples>,
}

impl Memory {
    /// Reads a text.
    pub fn read(text: &str) -> Memory {
        let mut memory = Memory::default();
        let mut rest = text.lines().filter(|line| !line.starts_with('#')).map(parts).peekable();
        while let Some((series, at, value)) = rest.next() {
            let samples = memory.series.entry(labels(series)).or_default();
            samples.push(at, value);
            // Samples of a series mostly follow each other.
            while let Some((_, at, value)) = rest.next_if(|(next, ..)| *next == series) {
                samples.push(at, value);
            }
        }
        memory
    }

    /// Writes what `read` reads, in the order of the labels.
    pub fn write(&self) -> String {
        let mut out = String::new();
        for (labels, samples) in &self.series {
            let parts: Vec<String> = labels
                .iter()
                .filter(|(name, _)| *name != "__name__")
                .map(|(name, value)| format!("{name}=\"{}\"", model::labels::Escaped(value)))
                .collect();
            for (at, value) in samples.at.iter().zip(&samples.floats) {
                let (name, parts, seconds) = (labels.name(), parts.join(","), at.0 as f64 / 1000.0);
                let value =
                    if value.is_infinite() { format!("{:+}", value).replace("inf", "Inf") } else { value.to_string() };
                out += &format!("{name}{{{parts}}} {value} {seconds:.3}\n");
            }
        }
        out + "# EOF\n"
    }

    /// Adds a sample, later than all of its series so far.
    pub fn add(&mut self, labels: &Labels, at: UnixMs, value: f64) {
        self.series.entry(labels.clone()).or_default().push(at, value);
    }
}

impl Samples {
    fn push(&mut self, at: UnixMs, value: f64) {
        assert!(self.at.last().is_none_or(|last| *last < at), "samples out of order at {at:?}");
        self.at.push(at);
        self.floats.push(value);
    }
}

/// Splits a line into series, time and value.
fn parts(line: &str) -> (&str, UnixMs, f64) {
    let mut words = line.rsplitn(3, ' ');
    let (at, value, series) = (words.next(), words.next(), words.next());
    let number = |text: Option<&str>| -> f64 {
        text.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no number in {line:?}"))
    };
    let at = (number(at) * 1000.0).round() as i64;
    (series.unwrap_or_else(|| panic!("no series in {line:?}")), UnixMs(at), number(value))
}

/// Reads `name{a="b",c="d \"e\""}`.
fn labels(series: &str) -> Labels {
    let (name, mut rest) = series.split_once('{').unwrap_or((series, "}"));
    let mut builder = LabelsBuilder::new();
    builder.set("__name__", name).expect("a short name");
    while let Some((label, quoted)) = rest.split_once("=\"") {
        let (mut value, mut chars) = (String::new(), quoted.char_indices());
        loop {
            match chars.next().unwrap_or_else(|| panic!("no end of a label in {series:?}")) {
                (end, '"') => {
                    rest = quoted[end + 1..].trim_start_matches(',');
                    break;
                }
                (_, '\\') => match chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, c)) => value.push(c),
                    None => panic!("no end of a label in {series:?}"),
                },
                (_, c) => value.push(c),
            }
        }
        builder.set(label, &value).expect("a short label");
    }
    assert_eq!(rest, "}", "{series:?}");
    builder.finish()
}

impl Querier for Memory {
    fn select(&self, matchers: &[Matcher], range: TimeRange, visit: &mut Visitor<'_>) -> Result<(), SelectError> {
        for (labels, samples) in &self.series {
            if !matchers.iter().all(|matcher| matcher.matches_labels(labels)) {
                continue;
            }
            let from = samples.at.partition_point(|at| *at < range.start);
            let to = samples.at.partition_point(|at| *at <= range.end);
            let lent = SeriesSamples {
                at: &samples.at[from..to.max(from)],
                floats: &samples.floats[from..to.max(from)],
                histograms: &[],
                starts: &[],
            };
            if !lent.at.is_empty() && !visit(labels, lent) {
                return Err(SelectError::Stopped);
            }
        }
        Ok(())
    }

    fn series(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        visit: &mut dyn FnMut(&Labels) -> bool,
    ) -> Result<(), SelectError> {
        self.select(matchers, range, &mut |labels, _| visit(labels))
    }
}
