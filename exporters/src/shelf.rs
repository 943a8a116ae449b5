//! Folders whose small files each hold one number, or lines, of one device: read one after the other by name.
//!
//! A [`Shelf`] is one folder at a time, the memory to read its files with, and the first that was odd. What files
//! become is a table of [`Entry`]s. What it does not do: keep files open, for hardware that few boards have.

use std::path::Path;

use crate::error::{CollectError, Troubles};
use crate::host::Reader;
use crate::sheet::{Head, Sheet};
use crate::single::Words;

/// A file, the family its number becomes, and by how much the number is multiplied, as the peer does: what comes of it
/// is not always what comes of a division.
pub type Entry = (&'static str, Head, f64);

/// Reads one number: `None` is odd, `Some(None)` says that there is nothing to tell.
pub type Parse = fn(&str) -> Option<Option<f64>>;

/// One folder at a time.
#[derive(Default)]
pub struct Shelf {
    /// The way to the folder.
    dir: String,
    file: Reader,
    /// What was odd since the last [`Shelf::finish`].
    pub troubles: Troubles,
}

impl Shelf {
    /// Goes to another folder.
    pub fn enter(&mut self, parts: &[&str]) {
        self.dir.clear();
        self.dir.extend(parts.iter().copied());
    }

    /// Returns whether the folder has such a file or folder.
    pub fn is_there(&mut self, base: &Path, name: &str) -> bool {
        self.file.is_there(base, &[&self.dir, "/", name])
    }

    /// Reads a file of one number; `absent` stands for a file that is not there.
    pub fn number(&mut self, base: &Path, name: &str, parse: Parse, absent: Option<f64>) -> Option<f64> {
        let word = self.file.word(base, &[&self.dir, "/", name]).map(|word| word.map(parse));
        match self.troubles.note(word)? {
            None => absent,
            Some(Some(value)) => value,
            Some(None) => {
                self.troubles.note::<()>(Err(self.file.malformed(1, "a number")));
                None
            }
        }
    }

    /// Reads a file of one number for each entry, and tells those that there are.
    pub fn put(
        &mut self,
        base: &Path,
        entries: &'static [Entry],
        (parse, absent): (Parse, Option<f64>),
        labels: &[&str],
        sheet: &mut Sheet,
    ) {
        for (name, head, factor) in entries {
            let value = self.number(base, name, parse, absent);
            sheet.put_some(head, labels, value.map(|value| value * factor));
        }
    }

    /// Adds a file's content, without the white space around it, to words; a file that is not there is an empty one.
    pub fn word(&mut self, base: &Path, name: &str, words: &mut Words) {
        let read = words.read(&mut self.file, base, &[&self.dir, "/", name]);
        self.troubles.note(read);
    }

    /// Hands each line of a file, with its place from 0, to a reader, which says whether it is as `expected`; the first
    /// that is not is blamed. Returns whether there was a file.
    pub fn lines(
        &mut self,
        base: &Path,
        name: &str,
        expected: &str,
        read: &mut dyn FnMut(usize, &str) -> bool,
    ) -> bool {
        self.text(base, name, expected, &mut |text| {
            let mut bad = None;
            for (at, line) in text.lines().enumerate() {
                if !read(at, line) {
                    bad.get_or_insert(at + 1);
                }
            }
            bad
        })
    }

    /// Hands a file's text to a reader, which returns the first line, from 1, that is not as `expected`. Returns
    /// whether there was a file.
    pub fn text(
        &mut self,
        base: &Path,
        name: &str,
        expected: &str,
        read: &mut dyn FnMut(&str) -> Option<usize>,
    ) -> bool {
        let word = self.file.word(base, &[&self.dir, "/", name]);
        let Some(Some(text)) = self.troubles.note(word) else { return false };
        let bad = read(text);
        let blame = Troubles::of_line(&self.file, bad, expected);
        self.troubles.note(blame);
        true
    }

    /// Returns the first thing that was odd, and forgets it.
    ///
    /// # Errors
    /// That error.
    pub fn finish(&mut self) -> Result<(), CollectError> {
        std::mem::take(&mut self.troubles).finish()
    }
}

/// Reads an unsigned integer.
pub fn unsigned(text: &str) -> Option<Option<f64>> {
    crate::number::unsigned(text).map(|value| Some(value as f64))
}
