//! A label set in one allocation, sorted by name, cheap to clone, compare and hash.
//!
//! Packed form: for every label, in ascending order of the name's bytes: name length as a little-endian u16, the
//! name, value length as a little-endian u16, the value. Equal sets have equal bytes, so equality and hashing are
//! one pass over memory; ordering decodes, because Prometheus orders by (name, value) pairs.
//!
//! A label with an empty value is the same as no label, as everywhere in Prometheus; the builder drops it.
//! Names and values longer than `limits::LABEL_BYTES_MAX` cannot be represented and are refused by the builder.
//!
//! Example: `up{job="node"}` is `08 00 "__name__" 02 00 "up" 03 00 "job" 04 00 "node"`.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::limits::LABEL_BYTES_MAX;

/// The label that carries a series' metric name.
pub const NAME: &str = "__name__";

/// An immutable, sorted label set.
#[derive(Clone, PartialEq, Eq)]
pub struct Labels {
    packed: Arc<[u8]>,
}

impl Labels {
    /// Returns the empty set.
    pub fn empty() -> Labels {
        Labels { packed: Arc::from(&[][..]) }
    }

    /// Returns the set of these pairs, in any order; of a repeated name the last value counts.
    ///
    /// Labels over `LABEL_BYTES_MAX` are left out: use [`LabelsBuilder`] where that must be noticed.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Labels {
        let mut builder = LabelsBuilder::new();
        for (name, value) in pairs {
            let _ = builder.set(name, value);
        }
        builder.finish()
    }

    /// Returns the set whose packed form these bytes are, or `None` when they are not a packed label set: torn,
    /// not UTF-8, out of order, repeated or with an empty name or value.
    pub fn from_packed(packed: &[u8]) -> Option<Labels> {
        check_packed(packed).then(|| Labels { packed: Arc::from(packed) })
    }

    /// Returns the set whose packed form these bytes are, which somebody had from [`Labels::packed`] before: they are
    /// not looked at again. Of other bytes a set is made that has some labels or none.
    pub fn from_known(packed: &[u8]) -> Labels {
        Labels { packed: Arc::from(packed) }
    }

    /// Returns the packed form; equal sets have equal bytes.
    pub fn packed(&self) -> &[u8] {
        &self.packed
    }

    /// Returns the value of a label; a label that is absent has none.
    pub fn get(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.get_bytes(name)?).ok()
    }

    /// Returns a label's value as bytes, which is enough to compare it.
    pub(crate) fn get_bytes(&self, name: &str) -> Option<&[u8]> {
        let found = self.bytes().take_while(|(n, _)| *n <= name.as_bytes()).find(|(n, _)| *n == name.as_bytes());
        found.map(|(_, value)| value)
    }

    /// Returns the metric name, empty when there is none.
    pub fn name(&self) -> &str {
        self.get(NAME).unwrap_or("")
    }

    /// Returns the labels in ascending order of their names.
    pub fn iter(&self) -> PackedIter<'_> {
        PackedIter { rest: &self.packed }
    }

    /// Returns names and values as bytes, which is enough to compare them.
    fn bytes(&self) -> BytesIter<'_> {
        BytesIter { rest: &self.packed }
    }

    /// Returns how many labels there are.
    pub fn len(&self) -> usize {
        self.bytes().count()
    }

    /// Returns whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.packed.is_empty()
    }

    /// Returns this set without the metric name.
    pub fn without_name(&self) -> Labels {
        self.filter(|name| name != NAME)
    }

    /// Returns the labels whose name is kept.
    pub fn filter(&self, mut keep: impl FnMut(&str) -> bool) -> Labels {
        if self.iter().all(|(name, _)| keep(name)) {
            return self.clone();
        }
        let mut packed = Vec::with_capacity(self.packed.len());
        for (name, value) in self.iter().filter(|(name, _)| keep(name)) {
            push_packed(&mut packed, name, value);
        }
        Labels { packed: packed.into() }
    }

    /// Returns this set with one label set; an empty value removes it.
    pub fn with(&self, name: &str, value: &str) -> Labels {
        let mut builder = LabelsBuilder::from(self);
        let _ = builder.set(name, value);
        builder.finish()
    }
}

impl Default for Labels {
    fn default() -> Labels {
        Labels::empty()
    }
}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.packed);
    }
}

impl Ord for Labels {
    fn cmp(&self, other: &Labels) -> Ordering {
        self.bytes().cmp(other.bytes())
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Labels) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Prints as Prometheus does: `name{a="b", c="d"}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        let mut rest = self.iter().filter(|(name, _)| *name != NAME).peekable();
        if rest.peek().is_none() && !self.name().is_empty() {
            return Ok(());
        }
        f.write_str("{")?;
        for (i, (name, value)) in rest.enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            write!(f, "{separator}{name}=\"{}\"", Escaped(value))?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A label value with backslash, double quote and newline escaped, as the text formats want it.
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(['\\', '"', '\n']) {
            f.write_str(&rest[..at])?;
            f.write_str(match rest.as_bytes()[at] {
                b'\n' => "\\n",
                b'"' => "\\\"",
                _ => "\\\\",
            })?;
            rest = &rest[at + 1..];
        }
        f.write_str(rest)
    }
}

/// Walks a packed label set. Stops at the first byte that makes no sense, so that it is safe on any input.
#[derive(Clone)]
pub struct PackedIter<'a> {
    rest: &'a [u8],
}

impl<'a> PackedIter<'a> {
    /// Returns an iterator over these packed bytes.
    pub fn new(packed: &'a [u8]) -> PackedIter<'a> {
        PackedIter { rest: packed }
    }
}

impl<'a> Iterator for PackedIter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        let (name, rest) = take_str(self.rest)?;
        let (value, rest) = take_str(rest)?;
        self.rest = rest;
        Some((name, value))
    }
}

/// Appends one label to a packed set that is being built in ascending order of names.
pub fn push_packed(packed: &mut Vec<u8>, name: &str, value: &str) {
    debug_assert!(name.len() <= LABEL_BYTES_MAX && value.len() <= LABEL_BYTES_MAX);
    for part in [name, value] {
        packed.extend_from_slice(&(part.len() as u16).to_le_bytes());
        packed.extend_from_slice(part.as_bytes());
    }
}

/// Walks a label set that was packed here, without looking at its text.
struct BytesIter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for BytesIter<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let (name, rest) = take_bytes(self.rest)?;
        let (value, rest) = take_bytes(rest)?;
        self.rest = rest;
        Some((name, value))
    }
}

fn take_str(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (text, rest) = take_bytes(bytes)?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

fn take_bytes(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_at_checked(2)?;
    rest.split_at_checked(u16::from_le_bytes([length[0], length[1]]) as usize)
}

fn check_packed(packed: &[u8]) -> bool {
    let mut walk = PackedIter::new(packed);
    let mut last = "";
    for (name, value) in walk.by_ref() {
        if name.is_empty() || value.is_empty() || (!last.is_empty() && name <= last) {
            return false;
        }
        last = name;
    }
    walk.rest.is_empty()
}

/// A label name or value that is too long to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelTooLong {
    /// The label's name, cut to its first 64 bytes.
    pub name: String,
    /// The length found, in bytes; at most `LABEL_BYTES_MAX` is accepted.
    pub bytes: usize,
}

impl fmt::Display for LabelTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "label {} has {} bytes, at most {LABEL_BYTES_MAX} are accepted", self.name, self.bytes)
    }
}

impl std::error::Error for LabelTooLong {}

/// Builds a label set from labels that come in any order.
#[derive(Default, Clone)]
pub struct LabelsBuilder {
    pairs: Vec<(String, String)>,
}

impl LabelsBuilder {
    /// Returns an empty builder.
    pub fn new() -> LabelsBuilder {
        LabelsBuilder::default()
    }

    /// Sets a label; an empty value removes it.
    ///
    /// # Errors
    /// When the name or value is longer than `LABEL_BYTES_MAX`; the builder is then unchanged.
    pub fn set(&mut self, name: &str, value: &str) -> Result<&mut Self, LabelTooLong> {
        let bytes = name.len().max(value.len());
        if bytes > LABEL_BYTES_MAX {
            let cut = name.char_indices().take_while(|(i, _)| *i < 64).map(|(_, c)| c).collect();
            return Err(LabelTooLong { name: cut, bytes });
        }
        self.remove(name);
        if !value.is_empty() && !name.is_empty() {
            self.pairs.push((name.to_owned(), value.to_owned()));
        }
        Ok(self)
    }

    /// Removes a label, if it is there.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.pairs.retain(|(n, _)| n != name);
        self
    }

    /// Returns a label's value as set so far.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Returns the labels set so far, in the order in which they were set.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the finished set.
    pub fn finish(mut self) -> Labels {
        self.pairs.sort_unstable();
        let mut packed = Vec::new();
        for (name, value) in &self.pairs {
            push_packed(&mut packed, name, value);
        }
        Labels { packed: packed.into() }
    }
}

impl From<&Labels> for LabelsBuilder {
    fn from(labels: &Labels) -> LabelsBuilder {
        LabelsBuilder { pairs: labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_repetition_do_not_matter() {
        let a = Labels::from_pairs([("b", "2"), ("__name__", "up"), ("a", "0"), ("a", "1")]);
        let b = Labels::from_pairs([("a", "1"), ("b", "2"), ("__name__", "up")]);
        assert_eq!(a, b);
        assert_eq!(a.to_string(), "up{a=\"1\", b=\"2\"}");
        assert_eq!((a.name(), a.get("b"), a.get("c"), a.len()), ("up", Some("2"), None, 3));
    }

    #[test]
    fn an_empty_value_is_no_label() {
        let labels = Labels::from_pairs([("a", "1"), ("b", "")]);
        assert_eq!(labels, Labels::from_pairs([("a", "1")]));
        assert!(labels.with("a", "").is_empty());
        assert_eq!(labels.with("a", "").to_string(), "{}");
    }

    #[test]
    fn ordering_is_by_pairs_and_not_by_packed_bytes() {
        let short = Labels::from_pairs([("a", "zz")]);
        let long = Labels::from_pairs([("a", "bbbb")]);
        assert!(long < short);
        assert!(Labels::from_pairs([("a", "1")]) < Labels::from_pairs([("a", "1"), ("b", "1")]));
    }

    #[test]
    fn packed_bytes_from_outside_are_checked() {
        let good = Labels::from_pairs([("a", "1"), ("b", "2")]);
        assert_eq!(Labels::from_packed(good.packed()), Some(good.clone()));
        for cut in 1..good.packed().len() {
            let torn = &good.packed()[..cut];
            let whole = Labels::from_packed(torn);
            assert!(whole.is_none() || cut == 6, "accepted {cut} bytes");
        }
        let mut backwards = Vec::new();
        push_packed(&mut backwards, "b", "2");
        push_packed(&mut backwards, "a", "1");
        assert_eq!(Labels::from_packed(&backwards), None);
        assert_eq!(Labels::from_packed(b"\x01\x00\xff\x01\x00a"), None);
    }

    #[test]
    fn values_are_escaped_when_printed() {
        let labels = Labels::from_pairs([("path", "C:\\a \"b\"\nc")]);
        assert_eq!(labels.to_string(), r#"{path="C:\\a \"b\"\nc"}"#);
    }

    #[test]
    fn what_is_too_long_is_refused_and_changes_nothing() {
        let mut builder = LabelsBuilder::new();
        builder.set("a", "1").expect("short");
        let long = "x".repeat(LABEL_BYTES_MAX + 1);
        assert!(builder.set("a", &long).is_err());
        assert_eq!(builder.finish(), Labels::from_pairs([("a", "1")]));
    }
}
