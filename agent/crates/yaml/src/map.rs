//! A map being read: keys are asked for one by one, and what nobody asked for is an error in the end.
//!
//! Asking teaches the map what it may hold, so the code that reads is the only list of keys there is: `finish`
//! compares against it, names the nearest key to a misspelt one, and notes those that are served for [`Errors::noting_keys`].

use crate::error::Errors;
use crate::secret::Secret;
use crate::suggest::nearest;
use crate::tree::Node;

/// A map whose keys are being asked for.
#[derive(Debug)]
pub struct Map {
    node: Node,
    entries: Vec<Node>,
    known: Vec<&'static str>,
    /// Those of a peer's that have no effect here.
    unserved: Vec<&'static str>,
    /// It was not a map at all: that has been said, more would be noise.
    broken: bool,
}

impl Map {
    pub(crate) fn new(node: &Node, entries: Vec<Node>, broken: bool) -> Map {
        Map { node: node.clone(), entries, known: Vec::new(), unserved: Vec::new(), broken }
    }

    /// Returns the map as a value: for its place.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Returns the value of a key; an absent key and a null have none.
    pub fn get(&mut self, key: &'static str) -> Option<Node> {
        self.known.push(key);
        self.find(key).filter(|node| !node.is_null())
    }

    /// Returns whether the key stands there, even with a null.
    pub fn has(&mut self, key: &'static str) -> bool {
        self.known.push(key);
        self.find(key).is_some()
    }

    /// Returns the value of a key that must be there.
    pub fn need(&mut self, key: &'static str, errors: &mut Errors) -> Option<Node> {
        let found = self.get(key);
        if found.is_none() && !self.broken {
            self.node.complain([key, " is missing"].concat(), "", errors);
        }
        found
    }

    /// Returns a text.
    pub fn str(&mut self, key: &'static str, errors: &mut Errors) -> Option<String> {
        self.get(key)?.str(errors)
    }

    /// Returns a text that must not be seen.
    pub fn secret(&mut self, key: &'static str, errors: &mut Errors) -> Option<Secret> {
        self.get(key)?.secret(errors)
    }

    /// Returns a boolean.
    pub fn bool(&mut self, key: &'static str, errors: &mut Errors) -> Option<bool> {
        self.get(key)?.bool(errors)
    }

    /// Returns a whole number from 0.
    pub fn u64(&mut self, key: &'static str, errors: &mut Errors) -> Option<u64> {
        self.get(key)?.u64(errors)
    }

    /// Returns a whole number.
    pub fn i64(&mut self, key: &'static str, errors: &mut Errors) -> Option<i64> {
        self.get(key)?.i64(errors)
    }

    /// Returns a number.
    pub fn f64(&mut self, key: &'static str, errors: &mut Errors) -> Option<f64> {
        self.get(key)?.f64(errors)
    }

    /// Returns a duration in milliseconds.
    pub fn duration_ms(&mut self, key: &'static str, errors: &mut Errors) -> Option<u64> {
        self.get(key)?.duration_ms(errors)
    }

    /// Returns a size in bytes.
    pub fn bytes(&mut self, key: &'static str, errors: &mut Errors) -> Option<u64> {
        self.get(key)?.bytes(errors)
    }

    /// Returns one of a few words.
    pub fn word(&mut self, key: &'static str, words: &[&'static str], errors: &mut Errors) -> Option<&'static str> {
        self.get(key)?.word(words, errors)
    }

    /// Returns the items of a list; none when the key is absent.
    pub fn list(&mut self, key: &'static str, errors: &mut Errors) -> Vec<Node> {
        self.get(key).map_or_else(Vec::new, |node| node.list(errors))
    }

    /// Returns the texts of a list of texts; none when the key is absent.
    pub fn strings(&mut self, key: &'static str, errors: &mut Errors) -> Vec<String> {
        self.get(key).map_or_else(Vec::new, |node| node.strings(errors))
    }

    /// Returns the pairs of a map of texts, such as labels; none when the key is absent.
    pub fn pairs(&mut self, key: &'static str, errors: &mut Errors) -> Vec<(String, String)> {
        self.get(key).map_or_else(Vec::new, |node| node.pairs(errors))
    }

    /// Notes a warning for each of these keys of a peer's that stands here: we know it, and do not serve it yet.
    /// `instead` says what to do instead or where to look; it may be empty.
    pub fn known_but_unserved(&mut self, keys: &[&'static str], instead: &str, warnings: &mut Errors) {
        for key in keys {
            self.unserved.push(key);
            let Some(node) = self.find(key) else { continue };
            let what = if instead.is_empty() {
                "is not served yet and has no effect".to_owned()
            } else {
                ["is not served yet and has no effect: ", instead].concat()
            };
            warnings.push(node.error_at(node.key_place(), what, ""));
        }
    }

    /// Notes an error for each key that nobody asked for.
    pub fn finish(self, errors: &mut Errors) {
        errors.note_keys(|| self.node.path(false), self.known.iter().copied());
        for node in &self.entries {
            let name = node.name().unwrap_or("");
            if self.known.contains(&name) || self.unserved.contains(&name) {
                continue;
            }
            if errors.is_full() {
                errors.count_one();
                continue;
            }
            let expected = match nearest(name, self.known.iter().chain(&self.unserved).copied()) {
                Some(near) => near.to_owned(),
                None if self.known.len() <= LISTED_KEYS_MAX => ["one of ", &self.sorted_keys().join(", ")].concat(),
                None => String::new(),
            };
            errors.push(node.error_at(node.key_place(), "unknown key", expected));
        }
    }

    fn sorted_keys(&self) -> Vec<&'static str> {
        let mut keys = self.known.clone();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    fn find(&self, key: &str) -> Option<Node> {
        self.entries.iter().find(|node| node.name() == Some(key)).cloned()
    }
}

/// The most keys that are all named when an unknown one resembles none.
const LISTED_KEYS_MAX: usize = 12;
