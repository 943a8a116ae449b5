//! The labels of a text's series once they are read: unescaped, checked, bounds and metadata put in.
//!
//! Names are unique and not empty, which the peer checks when it stores a sample. Bounds of buckets and quantiles are
//! printed as the numbers they are, so that `le="1"` and `le="1.0"` are one series, as in Prometheus 3.
//!
//! Sources: Prometheus, `openmetricsparse.go` (unreplace), `labels/float.go`, `schema/labels.go`.

use model::MetricKind;
use model::labels::NAME;

use super::entry::{Pair, Piece};
use super::quote::quote;
use super::text::{TextScrape, What};

impl TextScrape<'_> {
    /// Returns the quoted token without its quotes and escapes, which must be UTF-8.
    pub(super) fn unquoted(&mut self, what: &str) -> What<Piece> {
        if !self.is_utf8(self.lexer.at) {
            let found = quote(self.slice(self.lexer.start + 1, self.lexer.at - 1));
            return Err(format!("invalid UTF-8 {what}: {found}"));
        }
        Ok(self.inner())
    }

    pub(super) fn inner(&mut self) -> Piece {
        let (start, end) = (self.lexer.start + 1, self.lexer.at - 1);
        if self.lexer.escaped { self.unescaped(start, end, true) } else { self.piece(start, end) }
    }

    /// Keeps the text between two offsets with its escapes undone; unknown ones stay.
    pub(super) fn unescaped(&mut self, start: usize, end: usize, quotes: bool) -> Piece {
        let text = self.text.get(start - self.base..end - self.base).unwrap_or_default();
        let kept = &mut self.item.kept;
        let from = kept.len() as u32;
        let mut rest = text;
        while let Some(at) = rest.find('\\') {
            let (plain, escape) = rest.split_at(at);
            kept.push_str(plain);
            let (put, bytes) = match escape.as_bytes().get(1) {
                Some(b'n') => ("\n", 2),
                Some(b'\\') => ("\\", 2),
                Some(b'"') if quotes => ("\"", 2),
                _ => ("\\", 1),
            };
            kept.push_str(put);
            rest = &escape[bytes..];
        }
        kept.push_str(rest);
        Piece { start: from, end: kept.len() as u32, kept: true }
    }

    /// Label names are unique and not empty, and so is the metric name.
    pub(super) fn check_names(&self) -> What<()> {
        let pairs = &self.item.pairs[..];
        if self.item.name.start == self.item.name.end {
            return Err("missing metric name (__name__ label)".to_owned());
        }
        let mut last = "";
        for (i, (name, _)) in pairs.iter().enumerate() {
            let name = self.str(*name);
            // Rising names cannot repeat; mostly the first letters tell.
            let is_rising = name.as_bytes().first() > last.as_bytes().first() || name > last;
            if !is_rising && self.is_repeated(pairs, i, name) {
                return Err(format!("label name {} is not unique: invalid sample", quote(name.as_bytes())));
            }
            if name == NAME {
                return Err(format!("label name {} is not unique: invalid sample", quote(name.as_bytes())));
            }
            if name.is_empty() {
                return Err("expected a label name that is not empty".to_owned());
            }
            last = name;
        }
        Ok(())
    }

    fn is_repeated(&self, pairs: &[Pair], at: usize, name: &str) -> bool {
        pairs[..at].iter().any(|(other, _)| self.str(*other) == name)
    }

    /// Prints the bounds of buckets and quantiles as the numbers they are.
    pub(super) fn bound_labels(&mut self) {
        let bound = match self.kind {
            MetricKind::Histogram => "le",
            MetricKind::Summary => "quantile",
            _ => return,
        };
        for i in 0..self.item.pairs.len() {
            let (name, value) = self.item.pairs[i];
            // What had an escape is no number.
            if value.kept || self.str(name) != bound {
                continue;
            }
            let (from, to) = (value.start as usize - self.base, value.end as usize - self.base);
            let text = self.text.get(from..to).unwrap_or_default();
            let start = self.item.kept.len();
            let is_changed = self.item.bounds.push(text, &mut self.item.kept);
            if is_changed {
                self.item.pairs[i].1 = Piece { start: start as u32, end: self.item.kept.len() as u32, kept: true };
            }
        }
    }

    /// Adds `__type__` and `__unit__`; the labels of that name that were sent give way to them.
    pub(super) fn type_and_unit_labels(&mut self) {
        let kind = match self.kind {
            MetricKind::Gauge => "gauge",
            MetricKind::Counter => "counter",
            MetricKind::Histogram => "histogram",
            MetricKind::GaugeHistogram => "gaugehistogram",
            MetricKind::Summary => "summary",
            MetricKind::Info => "info",
            MetricKind::StateSet => "stateset",
            MetricKind::Unknown => "",
        };
        let unit = std::mem::take(&mut self.unit);
        for (name, value) in [("__type__", kind), ("__unit__", unit.as_str())] {
            if value.is_empty() {
                continue;
            }
            let found = self.item.pairs.iter().position(|(other, _)| self.str(*other) == name);
            found.map(|at| self.item.pairs.remove(at));
            let pair = (self.item.keep(name), self.item.keep(value));
            self.item.pairs.push(pair);
        }
        self.unit = unit;
    }
}
