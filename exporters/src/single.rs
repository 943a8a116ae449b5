//! Files that hold one number, as most of sysfs does.
//!
//! A file that is not there, or to which the kernel has nothing to say just now, is `None`: a fact about the board
//! (see [`Reader::word`]). A file that is there and holds something else is blamed.

use std::path::Path;

use crate::error::CollectError;
use crate::host::Reader;

/// Reads a file of one integer that may be negative.
pub fn integer(file: &mut Reader, base: &Path, parts: &[&str]) -> Result<Option<f64>, CollectError> {
    number(file, base, parts, |text| crate::number::integer(text).map(|value| value as f64))
}

/// Reads a file of one unsigned integer.
pub fn unsigned(file: &mut Reader, base: &Path, parts: &[&str]) -> Result<Option<f64>, CollectError> {
    number(file, base, parts, |text| crate::number::unsigned(text).map(|value| value as f64))
}

fn number(
    file: &mut Reader,
    base: &Path,
    parts: &[&str],
    parse: fn(&str) -> Option<f64>,
) -> Result<Option<f64>, CollectError> {
    match file.word(base, parts)?.map(parse) {
        Some(None) => Err(file.malformed(1, "an integer")),
        found => Ok(found.flatten()),
    }
}

/// Words of several files, one after the other, in memory that is kept: the labels of one row.
#[derive(Default)]
pub struct Words {
    text: String,
    ends: Vec<usize>,
}

impl Words {
    /// Forgets all words.
    pub fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    /// Reads one more; a file that is not there is an empty word. Returns whether there was a file.
    pub fn read(&mut self, file: &mut Reader, base: &Path, parts: &[&str]) -> Result<bool, CollectError> {
        let found = file.label(base, parts, &mut self.text);
        self.ends.push(self.text.len());
        found
    }

    /// Adds one more.
    pub fn push(&mut self, word: &str) {
        self.text.push_str(word);
        self.ends.push(self.text.len());
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns a word; there is none after the last.
    pub fn get(&self, index: usize) -> &str {
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before));
        self.ends.get(index).map_or("", |end| &self.text[start.copied().unwrap_or(0)..*end])
    }
}
