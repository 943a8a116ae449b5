//! What a scrape says, entry by entry, borrowed from its bytes.
//!
//! An [`Entry`] is a view of the parser's state and lives until the next one is asked for. Labels stand in the order
//! in which they were sent, without the metric name; the escapes are undone. What needed a change (an escape, a
//! bound printed anew, a protobuf string) lies in a buffer that the parser clears and fills again.

use super::bounds::Bounds;
use model::{Histogram, MetricKind, UnixMs};

/// One thing that a scrape says.
#[derive(Debug, Clone, Copy)]
pub enum Entry<'e> {
    /// What a family is about.
    Help {
        /// The family's name.
        name: &'e str,
        /// The text, escapes undone.
        text: &'e str,
    },
    /// What kind of metric a family is.
    Type {
        /// The family's name.
        name: &'e str,
        /// Its kind.
        kind: MetricKind,
    },
    /// What a family is measured in.
    Unit {
        /// The family's name.
        name: &'e str,
        /// The unit, which is the end of the name; empty where the text says so.
        unit: &'e str,
    },
    /// A comment, hash included, of Prometheus text. Its bytes need not be UTF-8.
    Comment(&'e [u8]),
    /// A float of a series.
    Sample(Sample<'e>),
    /// A native histogram of a series.
    Histogram(HistogramSample<'e>),
}

/// A float of a series.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'e> {
    /// The metric name.
    pub name: &'e str,
    /// The other labels.
    pub labels: LabelRefs<'e>,
    /// What was measured; a NaN is always the ordinary one.
    pub value: f64,
    /// When, where the source says so.
    pub at: Option<UnixMs>,
    /// When the counter began, where the source says so and it was asked for.
    pub start: Option<UnixMs>,
    /// Examples of what was counted.
    pub exemplars: Exemplars<'e>,
    /// The series as it was sent, blanks around it too, for [`super::Scrape::next_known`]; empty where that is not known
    /// by its text alone.
    pub sent: &'e [u8],
    /// What its family was said to be.
    pub kind: MetricKind,
}

/// A native histogram of a series.
#[derive(Debug, Clone, Copy)]
pub struct HistogramSample<'e> {
    /// The metric name.
    pub name: &'e str,
    /// The other labels.
    pub labels: LabelRefs<'e>,
    /// What was measured.
    pub histogram: &'e Histogram,
    /// When, where the source says so.
    pub at: Option<UnixMs>,
    /// When the counter began, where the source says so and it was asked for.
    pub start: Option<UnixMs>,
    /// Examples of what was counted.
    pub exemplars: Exemplars<'e>,
}

/// The labels of a series or an exemplar.
#[derive(Debug, Clone, Copy)]
pub struct LabelRefs<'e> {
    pairs: &'e [Pair],
    texts: Texts<'e>,
}

impl<'e> LabelRefs<'e> {
    /// Returns how many labels there are, the metric name not counted.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Returns the labels in the order in which they were sent.
    pub fn iter(&self) -> impl Iterator<Item = (&'e str, &'e str)> + use<'e> {
        let texts = self.texts;
        self.pairs.iter().map(move |(name, value)| (texts.of(*name), texts.of(*value)))
    }

    /// Returns a label's value.
    pub fn get(&self, name: &str) -> Option<&'e str> {
        self.iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }
}

/// An example of what was counted: a trace, mostly.
#[derive(Debug, Clone, Copy)]
pub struct Exemplar<'e> {
    /// Its own labels.
    pub labels: LabelRefs<'e>,
    /// Its value.
    pub value: f64,
    /// When it was taken, where the source says so.
    pub at: Option<UnixMs>,
}

/// The exemplars of one sample.
#[derive(Debug, Clone, Copy)]
pub struct Exemplars<'e> {
    items: &'e [ExemplarItem],
    pairs: &'e [Pair],
    texts: Texts<'e>,
}

impl<'e> Exemplars<'e> {
    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Returns the exemplars in the order in which they were sent.
    pub fn iter(&self) -> impl Iterator<Item = Exemplar<'e>> + use<'e> {
        let (pairs, texts) = (self.pairs, self.texts);
        self.items.iter().map(move |item| Exemplar {
            labels: LabelRefs { pairs: pairs.get(item.pairs.0..item.pairs.1).unwrap_or_default(), texts },
            value: item.value,
            at: item.at.map(UnixMs),
        })
    }
}

/// A text of the current entry: bytes of the scrape, or of the buffer of changed texts.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Piece {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) kept: bool,
}

/// A label's name and value.
pub(super) type Pair = (Piece, Piece);

/// Where pieces lie: in the scrape's text, from `base` on, or in what was changed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Texts<'e> {
    pub(super) text: &'e str,
    pub(super) base: usize,
    pub(super) kept: &'e str,
}

impl<'e> Texts<'e> {
    #[inline]
    pub(super) fn of(&self, piece: Piece) -> &'e str {
        let (start, end) = (piece.start as usize, piece.end as usize);
        let found = match piece.kept {
            true => self.kept.get(start..end),
            false => self.text.get(start.wrapping_sub(self.base)..end.wrapping_sub(self.base)),
        };
        found.unwrap_or_default()
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct ExemplarItem {
    /// Which of the item's exemplar pairs are its labels.
    pub(super) pairs: (usize, usize),
    pub(super) value: f64,
    pub(super) at: Option<i64>,
}

/// What the current entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum ItemKind {
    #[default]
    Nothing,
    Help,
    Type,
    Unit,
    Comment,
    Sample,
    Histogram,
}

/// The current entry, in memory that is used again.
#[derive(Debug, Default)]
pub(super) struct Item {
    pub(super) kind: ItemKind,
    pub(super) name: Piece,
    pub(super) pairs: Vec<Pair>,
    pub(super) value: f64,
    pub(super) at: Option<i64>,
    pub(super) start: Option<i64>,
    /// Where the series stands in the text; nowhere when its text alone does not tell it.
    pub(super) sent: (u32, u32),
    pub(super) text: Piece,
    pub(super) metric: MetricKind,
    pub(super) exemplars: Vec<ExemplarItem>,
    pub(super) exemplar_pairs: Vec<Pair>,
    pub(super) histogram: Option<Histogram>,
    pub(super) kept: String,
    /// Printed bounds, which are not of one entry.
    pub(super) bounds: Bounds,
}

impl Item {
    #[inline]
    pub(super) fn clear(&mut self) {
        self.kind = ItemKind::Nothing;
        self.name = Piece::default();
        self.pairs.clear();
        (self.at, self.start, self.sent) = (None, None, (0, 0));
        self.exemplars.clear();
        self.exemplar_pairs.clear();
        self.kept.clear();
    }

    /// Keeps a text in the buffer.
    pub(super) fn keep(&mut self, text: &str) -> Piece {
        let start = self.kept.len() as u32;
        self.kept.push_str(text);
        Piece { start, end: self.kept.len() as u32, kept: true }
    }

    /// Returns the view of this item; `None` where it is nothing.
    #[inline]
    pub(super) fn entry<'e>(&'e self, bytes: &'e [u8], text: &'e str, base: usize) -> Option<Entry<'e>> {
        let texts = Texts { text, base, kept: &self.kept };
        let labels = LabelRefs { pairs: &self.pairs, texts };
        let exemplars = Exemplars { items: &self.exemplars, pairs: &self.exemplar_pairs, texts };
        let (name, at, start) = (texts.of(self.name), self.at.map(UnixMs), self.start.map(UnixMs));
        Some(match self.kind {
            ItemKind::Nothing => return None,
            ItemKind::Help => Entry::Help { name, text: texts.of(self.text) },
            ItemKind::Type => Entry::Type { name, kind: self.metric },
            ItemKind::Unit => Entry::Unit { name, unit: texts.of(self.text) },
            ItemKind::Comment => {
                Entry::Comment(bytes.get(self.text.start as usize..self.text.end as usize).unwrap_or_default())
            }
            ItemKind::Sample => {
                let sent = bytes.get(self.sent.0 as usize..self.sent.1 as usize).unwrap_or_default();
                let (value, kind) = (self.value, self.metric);
                Entry::Sample(Sample { name, labels, value, at, start, exemplars, sent, kind })
            }
            ItemKind::Histogram => {
                let histogram = self.histogram.as_ref()?;
                Entry::Histogram(HistogramSample { name, labels, histogram, at, start, exemplars })
            }
        })
    }
}
