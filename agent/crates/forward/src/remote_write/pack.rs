//! Makes one remote-write frame of rows: choose, group by series, write, compress.
//!
//! Rows are ordered by series and time through an index that is kept and sorted in place, so a steady upstream
//! allocates only the frame's own bytes. Whether a row still fits is decided by an upper bound of its bytes as if
//! it were alone in its series: a little pessimistic, but the same for the same rows, which is what makes a frame
//! the same when it is made again.

use std::collections::HashMap;

use model::{Labels, LabelsBuilder, TailRow, Value};
use relabel::{Rule, Verdict};

use super::proto;
use crate::outbox::{Packed, Packer};
use crate::select::Selection;

/// How many series' relabelled sets are remembered; with more the memory begins anew.
const RELABELLED_MAX: usize = 20_000;

/// What rules make of series, remembered: a series is relabelled once and not at every sample.
struct Relabelling {
    rules: Vec<Rule>,
    external_labels: Labels,
    known: HashMap<Labels, Option<Labels>>,
}

impl Relabelling {
    /// Returns what a series is called upstream; `None` when it is dropped.
    fn of(&mut self, series: &Labels) -> Option<Labels> {
        if let Some(known) = self.known.get(series) {
            return known.clone();
        }
        let mut builder = LabelsBuilder::new();
        let mut fits = true;
        merged(series, &self.external_labels, |name, value| fits &= builder.set(name, value).is_ok());
        let kept = fits && relabel::apply(&self.rules, &mut builder) == Verdict::Keep;
        let made = kept.then(|| builder.finish()).filter(|labels| !labels.is_empty());
        if self.known.len() >= RELABELLED_MAX {
            self.known.clear();
        }
        self.known.insert(series.clone(), made.clone());
        made
    }
}

/// Packs rows into compressed write requests.
pub struct RequestPacker {
    /// Laid under every series' own; empty where rules have seen them already.
    external_labels: Labels,
    relabelling: Option<Relabelling>,
    /// What each row's series is called upstream.
    names: Vec<Labels>,
    select: Selection,
    frame_bytes_max: usize,
    encoder: snap::raw::Encoder,
    order: Vec<u32>,
    request: Vec<u8>,
}

impl RequestPacker {
    /// Returns a packer of frames of at most so many bytes before compression.
    pub fn new(external_labels: Labels, select: Selection, frame_bytes_max: usize) -> RequestPacker {
        RequestPacker {
            external_labels,
            relabelling: None,
            names: Vec::new(),
            select,
            frame_bytes_max,
            encoder: snap::raw::Encoder::new(),
            order: Vec::new(),
            request: Vec::new(),
        }
    }

    /// Has these rules run over each series, the external labels included, before it is packed.
    pub fn with_rules(mut self, rules: Vec<Rule>) -> RequestPacker {
        if !rules.is_empty() {
            let external_labels = std::mem::take(&mut self.external_labels);
            self.relabelling = Some(Relabelling { rules, external_labels, known: HashMap::new() });
        }
        self
    }

    /// Returns what a row's series is called upstream; `None` when it is not sent.
    fn name(&mut self, row: &TailRow) -> Option<Labels> {
        if !self.select.accepts(&row.labels) {
            return None;
        }
        match &mut self.relabelling {
            Some(relabelling) => relabelling.of(&row.labels),
            None => Some(row.labels.clone()),
        }
    }

    /// Fills `order` with the rows that go into the frame, as they come.
    fn choose(&mut self, rows: &[TailRow]) -> Packed {
        self.order.clear();
        self.names.clear();
        let mut packed = Packed::default();
        let mut bytes = 0;
        for (i, row) in rows.iter().enumerate() {
            let name = self.name(row);
            self.names.push(name.clone().unwrap_or_default());
            if let Some(labels) = &name {
                let row_bytes = self.row_bytes_max(labels, row);
                if row_bytes > self.frame_bytes_max {
                    packed.left_out += 1;
                } else if bytes + row_bytes > self.frame_bytes_max {
                    break;
                } else {
                    bytes += row_bytes;
                    self.order.push(i as u32);
                }
            }
            packed.taken = i + 1;
        }
        packed
    }

    /// Sorts by series and time. Of two samples of one series at one time the later row counts, as a receiver takes
    /// only one and may refuse the whole frame for it. Returns how many were left out.
    fn sort(&mut self, rows: &[TailRow]) -> u64 {
        let (row, names) = (|i: &u32| &rows[*i as usize], &self.names);
        let key = |i: &u32| (names[*i as usize].packed(), row(i).sample.at, *i);
        self.order.sort_unstable_by(|a, b| key(a).cmp(&key(b)));
        let before = self.order.len();
        self.order.dedup_by(|later, kept| {
            let same = row(later).sample.at == row(kept).sample.at && names[*later as usize] == names[*kept as usize];
            if same {
                *kept = *later;
            }
            same
        });
        (before - self.order.len()) as u64
    }

    fn write(&mut self, rows: &[TailRow]) {
        self.request.clear();
        let names = &self.names;
        let same_series = |a: &u32, b: &u32| names[*a as usize] == names[*b as usize];
        for series in self.order.chunk_by(same_series) {
            let labels = &names[series[0] as usize];
            proto::message(&mut self.request, 1, |out| {
                merged(labels, &self.external_labels, |name, value| proto::label(out, name, value));
                for row in series.iter().map(|i| &rows[*i as usize]) {
                    match &row.sample.value {
                        Value::Float(value) => proto::sample(out, *value, row.sample.at),
                        Value::Histogram(histogram) => proto::histogram(out, histogram, row.sample.at),
                    }
                }
            });
        }
    }

    fn row_bytes_max(&self, labels: &Labels, row: &TailRow) -> usize {
        let mut bytes = 12;
        merged(labels, &self.external_labels, |name, value| bytes += proto::label_bytes_max(name, value));
        bytes
            + match &row.sample.value {
                Value::Float(_) => proto::SAMPLE_BYTES_MAX,
                Value::Histogram(histogram) => proto::histogram_bytes_max(histogram),
            }
    }
}

impl Packer for RequestPacker {
    fn pack(&mut self, rows: &[TailRow], body: &mut Vec<u8>) -> Packed {
        let mut packed = self.choose(rows);
        packed.left_out += self.sort(rows);
        packed.items = self.order.len();
        if packed.items == 0 {
            return packed;
        }
        self.write(rows);
        debug_assert!(self.request.len() <= self.frame_bytes_max);
        let start = body.len();
        body.resize(start + snap::raw::max_compress_len(self.request.len()), 0);
        let bytes =
            self.encoder.compress(&self.request, &mut body[start..]).expect("the buffer has the size asked for");
        body.truncate(start + bytes);
        body.shrink_to_fit();
        packed
    }
}

/// Visits both label sets as one, in ascending order of names; the series' own label wins.
fn merged<'a>(series: &'a Labels, external: &'a Labels, mut visit: impl FnMut(&'a str, &'a str)) {
    let (mut ours, mut theirs) = (series.iter().peekable(), external.iter().peekable());
    loop {
        let next = match (ours.peek(), theirs.peek()) {
            (Some((a, _)), Some((b, _))) if a == b => {
                theirs.next();
                ours.next()
            }
            (Some((a, _)), Some((b, _))) if b < a => theirs.next(),
            (Some(_), _) => ours.next(),
            (None, _) => theirs.next(),
        };
        let Some((name, value)) = next else { return };
        visit(name, value);
    }
}

#[cfg(test)]
mod tests;
