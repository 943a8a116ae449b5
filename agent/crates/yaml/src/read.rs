//! Typed getters of one value. Each notes an error and returns `None` when the value is of another type.
//!
//! A null is no value of any type here; [`crate::Map`]'s getters take it for an absent key before it comes to this.
//! Go's rules decide what is accepted: a number or boolean where a text is wanted is its spelling, but a quoted
//! number is a text and not a number. Messages quote the value, shortened, and never that of a secret.

use model::duration;

use crate::error::Errors;
use crate::limits::QUOTED_CHARS_MAX;
use crate::map::Map;
use crate::scalar;
use crate::secret::Secret;
use crate::tree::{Node, Style, Value};

impl Node {
    /// Returns the entries of a map. Of anything else this is an error and a map that is satisfied with everything,
    /// so that one wrong value is one error.
    pub fn map(&self, errors: &mut Errors) -> Map {
        match &self.slot().value {
            Value::Map(entries) => Map::new(self, entries.iter().map(|id| self.child(*id)).collect(), false),
            // An empty file, or a section whose keys are all left out.
            Value::Null if self.name().is_some() || self.id == 0 => Map::new(self, Vec::new(), false),
            _ => {
                self.complain(self.described(), "a map (key: value)", errors);
                Map::new(self, Vec::new(), true)
            }
        }
    }

    /// Returns the items of a list; of anything else none and an error. A null is an empty list.
    pub fn list(&self, errors: &mut Errors) -> Vec<Node> {
        match &self.slot().value {
            Value::List(items) => items.iter().map(|id| self.child(*id)).collect(),
            Value::Null => Vec::new(),
            _ => {
                self.complain(self.described(), "a list (- item)", errors);
                Vec::new()
            }
        }
    }

    /// Returns a text.
    pub fn str(&self, errors: &mut Errors) -> Option<String> {
        self.scalar("a text", errors).map(|(text, _)| text.to_owned())
    }

    /// Returns a text that must not be seen.
    pub fn secret(&self, errors: &mut Errors) -> Option<Secret> {
        self.str(errors).map(Secret::new)
    }

    /// Returns a boolean.
    pub fn bool(&self, errors: &mut Errors) -> Option<bool> {
        self.plain("true or false", scalar::bool, errors)
    }

    /// Returns a whole number from 0.
    pub fn u64(&self, errors: &mut Errors) -> Option<u64> {
        self.plain("a whole number from 0", |text| scalar::integer(text)?.try_into().ok(), errors)
    }

    /// Returns a whole number.
    pub fn i64(&self, errors: &mut Errors) -> Option<i64> {
        self.plain("a whole number", |text| scalar::integer(text)?.try_into().ok(), errors)
    }

    /// Returns a number.
    pub fn f64(&self, errors: &mut Errors) -> Option<f64> {
        let read = |text: &str| scalar::float(text).or_else(|| scalar::integer(text).map(|number| number as f64));
        self.plain("a number", read, errors)
    }

    /// Returns a duration such as `1h30m`, in milliseconds.
    pub fn duration_ms(&self, errors: &mut Errors) -> Option<u64> {
        self.parsed("a duration such as 15s or 1h30m", |text| duration::parse_ms(text).ok(), errors)
    }

    /// Returns a size such as `256MB`, in bytes; units are powers of 1024.
    pub fn bytes(&self, errors: &mut Errors) -> Option<u64> {
        self.parsed("a size such as 256MB or 64MiB", scalar::bytes, errors)
    }

    /// Returns the texts of a list of texts.
    pub fn strings(&self, errors: &mut Errors) -> Vec<String> {
        self.list(errors).iter().filter_map(|item| item.str(errors)).collect()
    }

    /// Returns the pairs of a map of texts, such as labels, in the file's order. A null value is an empty text.
    pub fn pairs(&self, errors: &mut Errors) -> Vec<(String, String)> {
        let Value::Map(entries) = &self.slot().value else {
            if !self.is_null() {
                self.complain(self.described(), "a map (name: value)", errors);
            }
            return Vec::new();
        };
        let pair = |id: &u32| {
            let node = self.child(*id);
            let name = node.name().unwrap_or("").to_owned();
            let value = if node.is_null() { Some(String::new()) } else { node.str(errors) };
            value.map(|value| (name, value))
        };
        entries.iter().filter_map(pair).collect()
    }

    /// Returns one of a few words.
    pub fn word(&self, words: &[&'static str], errors: &mut Errors) -> Option<&'static str> {
        let (text, _) = self.scalar("a text", errors)?;
        let found = words.iter().find(|word| **word == text).copied();
        if found.is_none() {
            let near = crate::suggest::nearest(text, words.iter().copied());
            let expected = near.map_or_else(|| ["one of ", &words.join(", ")].concat(), str::to_owned);
            self.complain([&quoted(text), " is not known"].concat(), expected, errors);
        }
        found
    }

    /// Returns what a parser of the caller's makes of the text; `expected` says what would have been right.
    pub fn parsed<T>(&self, expected: &str, parse: impl FnOnce(&str) -> Option<T>, errors: &mut Errors) -> Option<T> {
        let (text, _) = self.scalar(expected, errors)?;
        let value = parse(text);
        if value.is_none() {
            self.complain(quoted(text), expected, errors);
        }
        value
    }

    /// As `parsed`, but quotes make it a text.
    fn plain<T>(&self, expected: &str, parse: impl FnOnce(&str) -> Option<T>, errors: &mut Errors) -> Option<T> {
        let (text, style) = self.scalar(expected, errors)?;
        let value = parse(text);
        match (&value, style) {
            (None, _) => self.complain(quoted(text), expected, errors),
            (Some(_), Style::Plain) => return value,
            (Some(_), _) => {
                self.complain(["the text ", &quoted(text)].concat(), [expected, ", without quotes"].concat(), errors);
            }
        }
        None
    }

    fn scalar(&self, expected: &str, errors: &mut Errors) -> Option<(&str, Style)> {
        match &self.slot().value {
            Value::Scalar(text, style) => Some((text, *style)),
            _ => {
                self.complain(self.described(), expected, errors);
                None
            }
        }
    }

    /// Returns what stands here, for a message; a scalar by its kind only, for it may be a secret.
    fn described(&self) -> &'static str {
        match &self.slot().value {
            Value::Null => "there is nothing here",
            Value::Scalar(..) => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

/// Returns a text in quotes, shortened, control characters escaped, for a message.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for (count, c) in text.chars().enumerate() {
        if count == QUOTED_CHARS_MAX {
            out.push_str("...");
            break;
        }
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out.push('"');
    out
}
