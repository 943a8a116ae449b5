//! Which names labels have, and which values one has: of everything, or of the series that somebody chose.
//!
//! A label is a number of the index, so those of many series are found once each without putting a label set together;
//! only what a pattern must look at is. What is found is copied into one piece of memory while the index is held, and
//! sorted after that.

use std::collections::HashSet;

use model::{MatchOp, Matcher, SelectError, TimeRange};

use super::Reader;
use crate::series::Index;

/// Texts in ascending order, each once.
#[derive(Debug, Default)]
pub struct Texts {
    text: String,
    /// Where each begins and ends.
    places: Vec<(u32, u32)>,
}

impl Texts {
    /// Returns the texts.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.places.iter().map(|(from, to)| self.text.get(*from as usize..*to as usize).unwrap_or_default())
    }

    /// Adds a text; beyond 4 GiB of them none is.
    fn push(&mut self, text: &str) {
        let from = self.text.len();
        if let (Ok(from), Ok(to)) = (u32::try_from(from), u32::try_from(from + text.len())) {
            self.text.push_str(text);
            self.places.push((from, to));
        }
    }

    fn sorted(mut self) -> Texts {
        let (text, mut places) = (&self.text, std::mem::take(&mut self.places));
        // Series that came together are sorted mostly: then this costs little more than looking.
        places.sort_by_key(|(from, to)| &text[*from as usize..*to as usize]);
        self.places = places;
        self
    }
}

/// Series that were chosen, by number.
#[derive(Debug)]
pub struct Among(Vec<u32>);

impl Reader {
    /// Chooses the series that any of the selectors accepts, or all where there is none, and that may have samples
    /// within the range.
    ///
    /// # Errors
    /// [`SelectError`], `Stopped` where `stop` says so.
    pub fn among(
        &self,
        selectors: &[Vec<Matcher>],
        range: TimeRange,
        stop: &dyn Fn() -> bool,
    ) -> Result<Among, SelectError> {
        let (all, mut found) = ([Vec::new()], Vec::new());
        // Nothing lies within a range that ends before it begins.
        let selectors = if selectors.is_empty() { &all } else { selectors };
        for matchers in selectors.iter().filter(|_| range.start <= range.end) {
            // Asked here too: a selector that finds nothing asks nobody, and there may be a thousand.
            if stop() {
                return Err(SelectError::Stopped);
            }
            found.extend(self.numbers_there(matchers, range)?);
            found.sort_unstable();
            found.dedup();
        }
        Ok(Among(found))
    }

    fn numbers_there(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<u32>, SelectError> {
        let is_told = |matcher: &Matcher| matcher.op == MatchOp::Equal && !matcher.value.is_empty();
        let (mut series, blocks, _) = self.candidates(matchers, range);
        if !matchers.iter().all(is_told) {
            series = self.matching(&series, matchers).into_iter().map(|(series, _)| series).collect();
        }
        let there = self.there(blocks, &series)?;
        let mut there = there.into_iter();
        series.retain(|_| there.next().unwrap_or(false));
        Ok(series)
    }

    /// Returns the names of the labels that these series have, or all.
    pub fn label_names(&self, among: Option<&Among>) -> Texts {
        let (state, mut names) = (self.shared.read(), Texts::default());
        let mut known = HashSet::new();
        each_label(&state.index, among, &mut |name, _| {
            if !known.contains(name) {
                known.insert(name.to_owned());
            }
        });
        drop(state);
        known.iter().for_each(|name| names.push(name));
        names.sorted()
    }

    /// Returns the values of a label that these series have, or all.
    pub fn label_values(&self, name: &str, among: Option<&Among>) -> Texts {
        let (state, mut values) = (self.shared.read(), Texts::default());
        // Each label is there once.
        each_label(&state.index, among, &mut |other, value| {
            if other == name {
                values.push(value);
            }
        });
        drop(state);
        values.sorted()
    }
}

fn each_label(index: &Index, among: Option<&Among>, visit: &mut dyn FnMut(&str, &str)) {
    match among {
        Some(Among(series)) => index.each_label_of(series, visit),
        None => index.each_label(visit),
    }
}
