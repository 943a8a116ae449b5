//! Finds when a counter of OpenMetrics text began: the `_created` line of its family, wherever it stands.
//!
//! As the peer has it: for a series without a known start the next `_created` line of the family counts if its
//! labels are the series' (`le` and `quantile` aside), else there is none. The peer looks from every series anew;
//! here the next such line is remembered until it is passed, so that a text is read at most twice.
//!
//! Source: Prometheus, `openmetricsparse.go`, StartTimestamp.

use std::hash::{BuildHasher, Hasher, RandomState};

use model::MetricKind;

use super::entry::{Item, ItemKind};
use super::text::TextScrape;

/// What is known about starts.
#[derive(Debug, Default)]
pub(super) struct Starts {
    hasher: RandomState,
    /// The series whose start is known, and its start.
    known: Option<(u64, i64)>,
    /// The next line that says a start: where it ends, for which series, and when.
    next: Option<(usize, Option<(u64, i64)>)>,
}

impl TextScrape<'_> {
    /// Returns when the current sample's counter began.
    pub(super) fn start(&mut self) -> Option<i64> {
        if !self.has_starts() {
            self.starts.known = None;
            return None;
        }
        let name = self.str(self.item.name);
        let series = self.series_hash(name.get(..self.family_bytes).unwrap_or(name));
        if let Some((known, start)) = self.starts.known
            && known == series
        {
            return Some(start);
        }
        let found = match self.starts.next {
            Some((end, found)) if self.lexer.at < end => found,
            _ => self.look_ahead(),
        };
        self.starts.known = found.filter(|(of, _)| *of == series);
        self.starts.known.map(|(_, start)| start)
    }

    /// Reads on to the next line that says a start, or to the family's end, and comes back.
    fn look_ahead(&mut self) -> Option<(u64, i64)> {
        let (lexer, entry) = (self.lexer, self.entry);
        std::mem::swap(&mut self.item, &mut self.ahead);
        let found = loop {
            self.item.clear();
            self.entry = self.lexer.at;
            match self.read_ahead() {
                Some(false) => continue,
                None => break None,
                Some(true) => {}
            }
            let name = self.str(self.item.name);
            let base = &name[..name.len() - "_created".len()];
            break Some((self.series_hash(base), (self.item.value * 1000.0) as i64));
        };
        self.starts.next = Some((self.lexer.at, found));
        std::mem::swap(&mut self.item, &mut self.ahead);
        (self.lexer, self.entry) = (lexer, entry);
        found
    }

    /// Reads one entry of this family and returns whether it says a start; `None` at the family's end.
    fn read_ahead(&mut self) -> Option<bool> {
        // Metadata belongs to the next family and must not be taken in yet.
        if self.lexer.bytes.get(self.lexer.at) == Some(&b'#') || !self.read().ok()? {
            return None;
        }
        (self.item.kind == ItemKind::Sample).then(|| self.is_created())
    }

    /// Returns a hash of the series' name and labels without those that tell its parts apart.
    fn series_hash(&self, name: &str) -> u64 {
        let part = match self.kind {
            MetricKind::Histogram => "le",
            MetricKind::Summary => "quantile",
            _ => "",
        };
        let Item { pairs, .. } = &self.item;
        let mut hasher = self.starts.hasher.build_hasher();
        for (label, value) in pairs.iter().filter(|(label, _)| self.str(*label) != part) {
            for text in [self.str(*label), self.str(*value)] {
                hasher.write_usize(text.len());
                hasher.write(text.as_bytes());
            }
        }
        hasher.write(name.as_bytes());
        hasher.finish()
    }
}
