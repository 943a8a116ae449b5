//! What is wrong with a file, and where; warnings are the same with a milder meaning.
//!
//! One line each, all of them collected:
//! ```text
//! narthex.yml:3:3: global.scrape_intervall: unknown key, expected scrape_interval
//! ```
//! [`Error::shown`] adds the line of the file with a caret. No colours here, and no secret: a line that looks as if
//! it held one is shown without its value.

use std::collections::BTreeSet;
use std::fmt;

use crate::limits::{ERRORS_MAX, SHOWN_CHARS_MAX};
use crate::suggest::nearest;
use crate::tree::Place;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Error {
    /// The file's name as it was handed in.
    pub file: String,
    /// The line, from 1; 0 when the whole file is meant.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// The dotted way to the key, such as `scrape_configs[1].job_name`; empty for the file itself.
    pub key: String,
    /// What is wrong.
    pub what: String,
    /// What would have been right; empty where `what` says it all.
    pub expected: String,
    /// The line of the file; empty where it is not known.
    pub source_line: String,
}

impl Error {
    /// Returns an error about a whole file.
    pub fn of_file(file: &str, what: impl Into<String>, expected: impl Into<String>) -> Error {
        Error { file: file.to_owned(), what: what.into(), expected: expected.into(), ..Error::default() }
    }

    pub(crate) fn at(file: &str, source_line: &str, place: Place, what: String, expected: String) -> Error {
        Error {
            file: file.to_owned(),
            line: place.line,
            column: place.column,
            key: String::new(),
            what,
            expected,
            source_line: source_line.chars().take(SHOWN_CHARS_MAX).collect(),
        }
    }

    /// Returns the error with the line of the file below it and a caret under the place.
    pub fn shown(&self) -> String {
        let mut out = self.to_string();
        if self.line == 0 || self.source_line.trim().is_empty() {
            return out;
        }
        let line = without_secret(&self.source_line);
        let before = (self.column as usize).saturating_sub(1);
        if before >= SHOWN_CHARS_MAX {
            return out;
        }
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        // Tabs stay tabs, so that the caret lines up whatever their width.
        let blank: String = self.source_line.chars().take(before).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        out.push_str(&["\n ", &number, " | ", &line, "\n ", &margin, " | ", &blank, "^"].concat());
        out
    }
}

/// Words in a key whose value nobody should see.
const SECRET_WORDS: [&str; 6] = ["password", "secret", "credentials", "token", "passphrase", "api_key"];

/// Returns the line, or what comes before its value when the key says that it is a secret.
fn without_secret(line: &str) -> String {
    for (at, _) in line.match_indices(':') {
        let key = line[..at].trim_end_matches(['"', '\'', ' ']);
        let key = &key[key.rfind([' ', '{', ',', '"', '\'', '-']).map_or(0, |blank| blank + 1)..];
        let key = key.to_ascii_lowercase();
        // A misspelt one counts: it is what an unknown key's message shows.
        let is_near = || key.split('_').any(|part| nearest(part, SECRET_WORDS).is_some());
        if !key.ends_with("_file") && (SECRET_WORDS.iter().any(|word| key.contains(word)) || is_near()) {
            return [&line[..=at], " <secret>"].concat();
        }
    }
    // `https://user:password@host`
    if let (Some(start), Some(end)) = (line.find("://"), line.rfind('@'))
        && start + 3 < end
    {
        return [&line[..start + 3], "<secret>", &line[end..]].concat();
    }
    line.to_owned()
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        f.write_str(": ")?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.what)?;
        if !self.expected.is_empty() {
            write!(f, ", expected {}", self.expected)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// All that is wrong, of one file or of several. Also used for warnings.
#[derive(Debug, Clone, Default)]
pub struct Errors {
    list: Vec<Error>,
    left_out: usize,
    schema: Option<BTreeSet<String>>,
}

impl Errors {
    /// Returns an empty collection.
    pub fn new() -> Errors {
        Errors::default()
    }

    /// Returns an empty collection that also notes every key that is asked for, so that a reference file can be
    /// compared with the code that reads it.
    pub fn noting_keys() -> Errors {
        Errors { schema: Some(BTreeSet::new()), ..Errors::default() }
    }

    /// Adds one error; beyond `ERRORS_MAX` it is only counted.
    pub fn push(&mut self, error: Error) {
        if self.is_full() { self.count_one() } else { self.list.push(error) }
    }

    /// Returns whether further errors will only be counted, so that nobody need word them.
    pub(crate) fn is_full(&self) -> bool {
        self.list.len() >= ERRORS_MAX
    }

    pub(crate) fn count_one(&mut self) {
        self.left_out += 1;
    }

    /// Adds all errors of another collection.
    pub fn append(&mut self, other: Errors) {
        other.list.into_iter().for_each(|error| self.push(error));
        self.left_out += other.left_out;
        if let (Some(mine), Some(theirs)) = (&mut self.schema, other.schema) {
            mine.extend(theirs);
        }
    }

    /// Returns whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Returns how many errors there are, those left out included.
    pub fn len(&self) -> usize {
        self.list.len() + self.left_out
    }

    /// Returns how many errors were counted but not kept.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// Returns the errors that were kept.
    pub fn iter(&self) -> std::slice::Iter<'_, Error> {
        self.list.iter()
    }

    /// Orders the errors by file, line and column, and drops those that are said twice.
    pub fn sort(&mut self) {
        self.list.sort_by(|a, b| (&a.file, a.line, a.column, &a.key).cmp(&(&b.file, b.line, b.column, &b.key)));
        self.list.dedup();
    }

    /// Returns the keys that were asked for, with `[]` for a place in a list; empty unless they are noted.
    pub fn keys_noted(&self) -> impl Iterator<Item = &str> {
        self.schema.iter().flatten().map(String::as_str)
    }

    pub(crate) fn note_keys<'a>(&mut self, path: impl FnOnce() -> String, keys: impl Iterator<Item = &'a str>) {
        let Some(schema) = &mut self.schema else { return };
        let path = path();
        schema.extend(keys.map(|key| if path.is_empty() { key.to_owned() } else { [&path, ".", key].concat() }));
    }
}

impl<'a> IntoIterator for &'a Errors {
    type Item = &'a Error;
    type IntoIter = std::slice::Iter<'a, Error>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl From<Error> for Errors {
    fn from(error: Error) -> Errors {
        Errors { list: vec![error], ..Errors::default() }
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.list.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            fmt::Display::fmt(error, f)?;
        }
        if self.left_out > 0 {
            write!(f, "\nand {} more", self.left_out)?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str, column: u32) -> String {
        let place = Place { line: 1, column };
        Error::at("f.yml", line, place, "wrong".into(), "right".into()).shown()
    }

    #[test]
    fn the_caret_stands_under_the_place() {
        assert_eq!(shown("a: b", 4), "f.yml:1:4: wrong, expected right\n 1 | a: b\n   |    ^");
        assert_eq!(shown("é: b", 4), "f.yml:1:4: wrong, expected right\n 1 | é: b\n   |    ^");
    }

    #[test]
    fn secrets_are_not_shown() {
        for (line, expected) in [
            ("  password: hunter2", " 1 |   password: <secret>"),
            ("  basic_auth: {username: a, password: hunter2}", " 1 |   basic_auth: {username: a, password: <secret>"),
            ("  pasword: hunter2", " 1 |   pasword: <secret>"),
            ("  my_passwrod: hunter2", " 1 |   my_passwrod: <secret>"),
            ("- client_secret: hunter2", " 1 | - client_secret: <secret>"),
            ("\"bearer_token\": hunter2", " 1 | \"bearer_token\": <secret>"),
            ("- url: http://me:hunter2@host/", " 1 | - url: http://<secret>@host/"),
        ] {
            let shown = shown(line, 1);
            assert_eq!(shown.lines().nth(1), Some(expected));
            assert!(!shown.contains("hunter2"));
        }
        assert!(shown("password_file: /etc/pass", 1).contains("/etc/pass"));
    }

    #[test]
    fn errors_beyond_the_limit_are_counted() {
        let mut errors = Errors::new();
        for _ in 0..ERRORS_MAX + 3 {
            errors.push(Error::of_file("f", "wrong", ""));
        }
        assert_eq!((errors.len(), errors.iter().count(), errors.left_out()), (ERRORS_MAX + 3, ERRORS_MAX, 3));
        assert!(errors.to_string().ends_with("f: wrong\nand 3 more"));
    }
}
