//! Brings the families of all files together, and gives way to what other collectors said.
//!
//! Within one name: the first help text counts, a family with another one is an error; a family of another kind, and
//! a series that was there before, are dropped (the peer's registry does so at gather time). Where no file has a
//! help text, it is "Metric read from" and the files. Labels that only some rows of a family have are printed empty
//! in the others. Histograms and summaries come out whole: buckets sorted, `+Inf`, sum and count there.

use std::cmp::Ordering;

use model::labels::NAME;
use model::limits::LABELS_MAX;
use model::{Batch, MetricKind, Row};

use super::{Failures, File, blame};
use crate::error::CollectError;

/// What the rows of a histogram or summary are called after its name; the last is a histogram's alone.
const PARTS: [&str; 3] = ["_count", "_sum", "_bucket"];

/// Kept memory.
#[derive(Default)]
pub(super) struct Merge {
    families: Vec<u32>,
    kept: Vec<u32>,
    rows: Vec<u32>,
    metrics: Vec<Metric>,
    help: String,
}

/// One metric that goes on: its family, and where its rows stand among the sorted ones.
struct Metric {
    family: u32,
    start: u32,
    rows: u32,
}

/// What all files said.
#[derive(Clone, Copy)]
struct Source<'a> {
    parsed: &'a Batch,
    files: &'a [File],
    text: &'a str,
}

impl<'a> Source<'a> {
    fn name(&self, family: u32) -> &'a str {
        self.parsed.name(&self.parsed.families()[family as usize])
    }

    fn help(&self, family: u32) -> &'a str {
        self.parsed.help(&self.parsed.families()[family as usize])
    }

    fn kind(&self, family: u32) -> MetricKind {
        self.parsed.families()[family as usize].kind
    }

    fn rows(&self, family: u32) -> std::ops::Range<u32> {
        let rows = self.parsed.rows();
        let start = rows.partition_point(|row| row.family < family);
        start as u32..rows.partition_point(|row| row.family <= family) as u32
    }

    fn row(&self, row: u32) -> &'a Row {
        &self.parsed.rows()[row as usize]
    }

    fn file(&self, family: u32) -> Option<&'a File> {
        self.files.get(self.files.partition_point(|file| file.families_end <= family as usize))
    }

    fn blame(&self, family: u32, expected: &str) -> CollectError {
        let expected = [expected, " for ", self.name(family)].concat();
        CollectError::Malformed { path: blame(self.text, self.file(family)), line: 0, expected }
    }
}

impl Merge {
    /// Adds what the files said to a batch.
    pub(super) fn tell(
        &mut self,
        parsed: &Batch,
        files: &[File],
        text: &str,
        failures: &mut Failures,
        out: &mut Batch,
    ) {
        let source = Source { parsed, files, text };
        self.families.clear();
        let has_rows = |family: &u32| !source.rows(*family).is_empty();
        self.families.extend((0..parsed.families().len() as u32).filter(has_rows));
        if self.families.is_empty() {
            return;
        }
        self.families.sort_unstable_by(|a, b| source.name(*a).cmp(source.name(*b)).then(a.cmp(b)));
        let built_in_families = out.families().len();
        let mut at = 0;
        while at < self.families.len() {
            let name = source.name(self.families[at]);
            let same = self.families[at..].iter().take_while(|family| source.name(**family) == name).count();
            self.choose(source, at..at + same, failures);
            let known = (0..built_in_families).find(|family| out.name(&out.families()[*family]) == name);
            self.tell_name(source, known, failures, out);
            at += same;
        }
    }

    /// Chooses the families of one name that go on, and their help.
    fn choose(&mut self, source: Source<'_>, same: std::ops::Range<usize>, failures: &mut Failures) {
        self.kept.clear();
        let (mut first_help, mut is_split) = ("", false);
        for family in &self.families[same] {
            let help = source.help(*family);
            if is_split || (!help.is_empty() && !first_help.is_empty() && help != first_help) {
                is_split = true;
                failures.note(source.blame(*family, "the same help text in every file"), true);
                continue;
            }
            if first_help.is_empty() {
                first_help = help;
            }
            self.kept.push(*family);
        }
        self.help.clear();
        if let Some(first) = self.kept.first() {
            self.help.push_str(source.help(*first));
        }
        if self.help.is_empty() {
            self.help.push_str("Metric read from ");
            for (index, family) in self.kept.iter().enumerate() {
                self.help.push_str(if index == 0 { "" } else { ", " });
                let path = source.file(*family).map_or("", |file| &source.text[file.path.0..file.path.1]);
                self.help.push_str(path);
            }
        }
        // What the registry drops: another kind than the first, or a help text where one had none.
        let first_kind = self.kept.first().map(|first| source.kind(*first));
        let generated = self.kept.first().is_some_and(|first| source.help(*first).is_empty());
        let help = &self.help;
        self.kept.retain(|family| {
            let own = source.help(*family);
            let is_same = Some(source.kind(*family)) == first_kind && (own == help || generated && own.is_empty());
            if !is_same {
                failures.note(source.blame(*family, "the kind and help text of the first file"), false);
            }
            is_same
        });
    }

    /// Returns whether a family would say the rows of a histogram or summary once more, or the other way round; as with
    /// the peer's registry, the first file counts. Families come by their names, so the longer name comes later.
    fn collides(&self, source: Source<'_>, first: u32, out: &Batch) -> bool {
        let name = source.name(first);
        let rows_of = |kind| if bound_label(kind) == "le" { &PARTS[..] } else { &PARTS[..2] };
        if !bound_label(source.kind(first)).is_empty() {
            let parts = rows_of(source.kind(first));
            let is_part = |other: &str| other.strip_prefix(name).is_some_and(|rest| parts.contains(&rest));
            return self.families.iter().any(|other| *other < first && is_part(source.name(*other)));
        }
        PARTS.iter().filter_map(|part| Some((name.strip_suffix(part)?, part))).any(|(base, part)| {
            let is_whole = |kind| !bound_label(kind).is_empty() && rows_of(kind).contains(part);
            out.families().iter().any(|other| is_whole(other.kind) && out.name(other) == base)
        })
    }

    /// Adds the rows of the chosen families, which share a name.
    fn tell_name(&mut self, source: Source<'_>, known: Option<usize>, failures: &mut Failures, out: &mut Batch) {
        let Some(first) = self.kept.first().copied() else { return };
        let (name, kind) = (source.name(first), source.kind(first));
        if let Some(known) = known {
            let other = &out.families()[known];
            if other.kind != kind || out.help(other) != self.help {
                failures.note(source.blame(first, "the kind and help text of the collector's own metric"), false);
                return;
            }
        }
        if self.collides(source, first, out) {
            return failures.note(source.blame(first, "no name of a histogram's or summary's own rows"), false);
        }
        let bound = bound_label(kind);
        self.rows.clear();
        self.kept.iter().for_each(|family| self.rows.extend(source.rows(*family)));
        let by_labels = |a: &u32, b: &u32| compare(source, bound, *a, *b).then(a.cmp(b));
        self.rows.sort_unstable_by(by_labels);
        self.metrics.clear();
        let mut at = 0;
        while at < self.rows.len() {
            let first = self.rows[at];
            let same = self.rows[at..].iter().take_while(|row| compare(source, bound, first, **row).is_eq()).count();
            let family = source.row(first).family;
            let own = self.rows[at..at + same].iter().take_while(|row| source.row(**row).family == family).count();
            let is_known = known.is_some_and(|known| is_there(source, first, known, out));
            if is_known || own < same || (bound.is_empty() && own > 1) {
                failures.note(source.blame(family, "each series once"), false);
            }
            if !is_known {
                self.metrics.push(Metric { family, start: at as u32, rows: own as u32 });
            }
            at += same;
        }
        out.family(name, &self.help, kind);
        self.metrics.sort_unstable_by_key(|metric| (metric.family, metric.start));
        let mut blanks = Labels::empty();
        let mut last = None;
        for metric in &self.metrics {
            if last.replace(metric.family) != Some(metric.family) {
                blanks = Labels::of_family(source, metric.family, bound);
            }
            let rows = &self.rows[metric.start as usize..(metric.start + metric.rows) as usize];
            let mut labels = Labels::of_row(source, rows[0], bound, &blanks);
            match bound {
                "" => out.add(labels.all(), source.row(rows[0]).value.float().unwrap_or_default()),
                _ => tell_parts(source, rows, bound, &mut labels, out),
            }
        }
    }
}

/// Adds the rows of one histogram or summary.
fn tell_parts<'a>(source: Source<'a>, rows: &[u32], bound: &'static str, labels: &mut Labels<'a>, out: &mut Batch) {
    let name = source.name(source.row(rows[0]).family);
    let suffix_of = |row: u32| {
        let labels = &mut source.parsed.labels(source.row(row));
        labels.find(|(label, _)| *label == NAME).and_then(|(_, full)| full.strip_prefix(name)).unwrap_or("")
    };
    let value_of = |suffix: &str| {
        let row = rows.iter().rev().find(|row| suffix_of(**row) == suffix);
        row.map_or(0.0, |row| source.row(*row).value.float().unwrap_or_default())
    };
    let is_histogram = bound == "le";
    let count = whole(value_of("_count"), is_histogram);
    let part = if is_histogram { "_bucket" } else { "" };
    let mut has_infinity = false;
    for (index, row) in rows.iter().enumerate().filter(|(_, row)| suffix_of(**row) == part) {
        let at = |row: u32| source.parsed.labels(source.row(row)).find(|(label, _)| *label == bound);
        let Some((_, limit)) = at(*row).filter(|(_, limit)| *limit != "NaN" || !is_histogram) else { continue };
        let is_last = !rows[index + 1..].iter().any(|later| suffix_of(*later) == part && at(*later) == at(*row));
        if !is_last {
            continue;
        }
        has_infinity |= limit == "+Inf";
        let value = source.row(*row).value.float().unwrap_or_default();
        let value = if is_histogram { whole(value, true) } else { value };
        out.add_suffixed(part, labels.with(bound, limit), value);
    }
    if is_histogram && !has_infinity {
        out.add_suffixed("_bucket", labels.with(bound, "+Inf"), count);
    }
    out.add_suffixed("_sum", labels.all(), value_of("_sum"));
    out.add_suffixed("_count", labels.all(), count);
}

/// Returns a count as the peer tells it: of a summary the whole part, of a histogram 0 where it is no whole number.
fn whole(count: f64, is_histogram: bool) -> f64 {
    let whole = count as u64 as f64;
    if is_histogram && whole != count { 0.0 } else { whole }
}

/// Returns whether a series is in a family of a batch already.
fn is_there(source: Source<'_>, row: u32, family: usize, out: &Batch) -> bool {
    let packed = source.parsed.packed(source.row(row));
    out.rows().iter().filter(|other| other.family == family as u32).any(|other| out.packed(other) == packed)
}

fn bound_label(kind: MetricKind) -> &'static str {
    match kind {
        MetricKind::Histogram | MetricKind::GaugeHistogram => "le",
        MetricKind::Summary => "quantile",
        _ => "",
    }
}

/// Orders rows by their labels, name and bound left out.
fn compare(source: Source<'_>, bound: &str, a: u32, b: u32) -> Ordering {
    let labels = |row: u32| source.parsed.labels(source.row(row)).filter(|(name, _)| *name != NAME && *name != bound);
    labels(a).cmp(labels(b))
}

/// The labels of one metric: its own, and empty ones for what others of its family have.
struct Labels<'a> {
    pairs: [(&'a str, &'a str); LABELS_MAX],
    len: usize,
}

impl<'a> Labels<'a> {
    fn empty() -> Labels<'a> {
        Labels { pairs: [("", ""); LABELS_MAX], len: 0 }
    }

    /// Returns every label name of a family, without values.
    fn of_family(source: Source<'a>, family: u32, bound: &str) -> Labels<'a> {
        let mut labels = Labels::empty();
        for row in source.rows(family).map(|row| source.row(row)) {
            let names = source.parsed.labels(row).map(|(name, _)| name).chain(source.parsed.blanks(row));
            for name in names.filter(|name| *name != NAME && *name != bound) {
                if !labels.has(name) {
                    labels.push(name, "");
                }
            }
        }
        labels
    }

    /// Returns a row's labels, and the names of its family that it lacks.
    fn of_row(source: Source<'a>, row: u32, bound: &str, family: &Labels<'a>) -> Labels<'a> {
        let mut labels = Labels::empty();
        let own = source.parsed.labels(source.row(row));
        own.filter(|(name, _)| *name != NAME && *name != bound).for_each(|(name, value)| labels.push(name, value));
        for (name, _) in family.all() {
            if !labels.has(name) {
                labels.push(name, "");
            }
        }
        labels
    }

    fn has(&self, name: &str) -> bool {
        self.all().iter().any(|(known, _)| *known == name)
    }

    /// Adds a label; one beyond the limit of what a row carries is empty and left out.
    fn push(&mut self, name: &'a str, value: &'a str) {
        if self.len < LABELS_MAX - 2 {
            self.pairs[self.len] = (name, value);
            self.len += 1;
        }
    }

    fn all(&self) -> &[(&'a str, &'a str)] {
        &self.pairs[..self.len]
    }

    fn with(&mut self, name: &'a str, value: &'a str) -> &[(&'a str, &'a str)] {
        self.pairs[self.len] = (name, value);
        &self.pairs[..=self.len]
    }
}
