//! A value that remembers where it stood, and the checks every section makes with it.
//!
//! The raw step fills structs of `Option<At<T>>`; the believed step takes them apart with the helpers here, which
//! note an error at the value's own place and go on with the default, so that all errors are found.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use yaml::{Errors, Map, Node};

/// A value and the node it was read from.
#[derive(Debug, Clone)]
pub(super) struct At<T> {
    pub value: T,
    pub node: Node,
}

impl<T> At<T> {
    pub fn complain(&self, what: impl Into<String>, expected: impl Into<String>, errors: &mut Errors) {
        self.node.complain(what, expected, errors);
    }
}

/// Returns the value of a key with its place.
pub(super) fn at<T>(
    map: &mut Map,
    key: &'static str,
    errors: &mut Errors,
    read: impl FnOnce(&Node, &mut Errors) -> Option<T>,
) -> Option<At<T>> {
    let node = map.get(key)?;
    let value = read(&node, errors)?;
    Some(At { value, node })
}

/// Returns the value of a key without asking for it: it does not become one that is served.
pub(super) fn peek(map: &Map, key: &str) -> Option<Node> {
    child(map.node(), key)
}

/// As [`peek`], of a value that is taken for a map.
pub(super) fn child(node: &Node, key: &str) -> Option<Node> {
    node.children().into_iter().find(|child| child.name() == Some(key) && !child.is_null())
}

/// Returns the items of a list, each with its place; more than `max` are an error and left out.
pub(super) fn items(map: &mut Map, key: &'static str, max: usize, errors: &mut Errors) -> Vec<Node> {
    let Some(node) = map.get(key) else { return Vec::new() };
    let mut items = node.list(errors);
    if items.len() > max {
        items[max].complain(
            ["there are ", &items.len().to_string()].concat(),
            ["at most ", &max.to_string()].concat(),
            errors,
        );
        items.truncate(max);
    }
    items
}

/// Returns the value, or the default when it is absent.
pub(super) fn or<T>(given: Option<At<T>>, default: T) -> T {
    given.map_or(default, |at| at.value)
}

/// Returns the value when it lies within the range; else notes an error and returns the default. `show` prints a
/// bound the way it is written in a file.
pub(super) fn within<D: Display>(
    given: Option<At<u64>>,
    range: RangeInclusive<u64>,
    default: u64,
    show: impl Fn(u64) -> D,
    errors: &mut Errors,
) -> u64 {
    let Some(at) = given else { return default };
    if range.contains(&at.value) {
        return at.value;
    }
    let expected = format!("{} to {}", show(*range.start()), show(*range.end()));
    at.complain(show(at.value).to_string(), expected, errors);
    default
}

/// Prints a size with the largest unit that divides it.
pub(super) fn show_bytes(bytes: u64) -> String {
    let units = [("TB", 1u64 << 40), ("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)];
    let unit = units.into_iter().find(|(_, size)| bytes != 0 && bytes.is_multiple_of(*size)).unwrap_or(("B", 1));
    [&(bytes / unit.1).to_string(), unit.0].concat()
}

/// Returns a path, joined to the configuration's directory when it is relative. An empty one is an error.
pub(super) fn path(given: Option<At<String>>, base: &Path, errors: &mut Errors) -> Option<PathBuf> {
    let at = given?;
    if at.value.is_empty() {
        at.complain("an empty text", "a path", errors);
        return None;
    }
    Some(base.join(&at.value))
}
