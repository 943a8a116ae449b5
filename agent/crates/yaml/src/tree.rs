//! The tree: nodes in one arena, each with its place, its parent and the step that leads to it.
//!
//! A [`Node`] is a cheap handle that keeps the whole file alive, so a typed reader can hold on to one and complain
//! about it later. The dotted key of a node is found by walking to the root, only when there is an error to say.
//! The tree is made by `compose` and never changes afterwards.

use std::sync::{Arc, OnceLock};

use crate::error::{Error, Errors};
use crate::limits::QUOTED_CHARS_MAX;

/// A line and a column in characters, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

/// A file as it was parsed.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) file: String,
    pub(crate) text: String,
    pub(crate) slots: Vec<Slot>,
    line_starts: OnceLock<Vec<u32>>,
}

/// One node in the arena.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    pub(crate) parent: u32,
    pub(crate) step: Step,
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// How a node is reached from its parent.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Root,
    /// The key, and where it stands.
    Key(Box<str>, Place),
    Index(u32),
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// Absent: nothing, `~` or `null`.
    Null,
    Scalar(Box<str>, Style),
    List(Vec<u32>),
    Map(Vec<u32>),
}

/// How a scalar was written, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// May be a number, a boolean or nothing.
    Plain,
    /// Always a text.
    Quoted,
    /// Always a text, with its line ends; begins on the next line.
    Literal,
    /// Always a text, its lines joined; begins on the next line.
    Folded,
}

/// One value of a file. Cheap to clone; keeps the file's tree alive.
#[derive(Debug, Clone)]
pub struct Node {
    pub(crate) tree: Arc<Tree>,
    pub(crate) id: u32,
}

impl Tree {
    pub(crate) fn new(file: &str, text: &str, slots: Vec<Slot>) -> Tree {
        Tree { file: file.to_owned(), text: text.to_owned(), slots, line_starts: OnceLock::new() }
    }

    pub(crate) fn line(&self, line: u32) -> &str {
        let starts = self.line_starts.get_or_init(|| {
            let ends = self.text.match_indices('\n').map(|(at, _)| at as u32 + 1);
            std::iter::once(0).chain(ends).collect()
        });
        let Some(start) = (line as usize).checked_sub(1).and_then(|index| starts.get(index)) else { return "" };
        self.text[*start as usize..].lines().next().unwrap_or("")
    }

    pub(crate) fn error(&self, place: Place, what: String, expected: String) -> Error {
        Error::at(&self.file, self.line(place.line), place, what, expected)
    }
}

impl Node {
    /// Returns where the value stands.
    pub fn place(&self) -> Place {
        self.slot().place
    }

    /// Returns where the key of this value stands; the value's own place where it has no key.
    pub fn key_place(&self) -> Place {
        match &self.slot().step {
            Step::Key(_, place) => *place,
            _ => self.slot().place,
        }
    }

    /// Returns the file's name as it was handed in.
    pub fn file(&self) -> &str {
        &self.tree.file
    }

    /// Returns the last step to this node when that is a key.
    pub fn name(&self) -> Option<&str> {
        match &self.slot().step {
            Step::Key(name, _) => Some(name),
            _ => None,
        }
    }

    /// Returns the dotted way to this node, such as `scrape_configs[1].job_name`; empty for the root.
    pub fn key(&self) -> String {
        self.path(true)
    }

    /// Returns whether there is nothing here: no text, `~` or `null`.
    pub fn is_null(&self) -> bool {
        matches!(self.slot().value, Value::Null)
    }

    /// Returns whether this is a list.
    pub fn is_list(&self) -> bool {
        matches!(self.slot().value, Value::List(_))
    }

    /// Returns whether this is a map.
    pub fn is_map(&self) -> bool {
        matches!(self.slot().value, Value::Map(_))
    }

    /// Returns the text of a scalar as it was written, quotes and escapes undone.
    pub fn text(&self) -> Option<&str> {
        match &self.slot().value {
            Value::Scalar(text, _) => Some(text),
            _ => None,
        }
    }

    /// Returns the values of a map or the items of a list, in the file's order; of a single value none.
    pub fn children(&self) -> Vec<Node> {
        match &self.slot().value {
            Value::List(ids) | Value::Map(ids) => ids.iter().map(|id| self.child(*id)).collect(),
            _ => Vec::new(),
        }
    }

    /// Returns an error about this value.
    pub fn error(&self, what: impl Into<String>, expected: impl Into<String>) -> Error {
        self.error_at(self.place(), what, expected)
    }

    /// Returns an error about this value that points at a place of the caller's.
    pub fn error_at(&self, place: Place, what: impl Into<String>, expected: impl Into<String>) -> Error {
        Error { key: self.key(), ..self.tree.error(place, what.into(), expected.into()) }
    }

    /// Notes an error about this value.
    pub fn complain(&self, what: impl Into<String>, expected: impl Into<String>, errors: &mut Errors) {
        errors.push(self.error(what, expected));
    }

    /// Returns the place of a line and column (both from 1, columns in characters) of this scalar's text in the
    /// file, so that an error inside an expression points into it. Exact for plain and literal texts and for quoted
    /// ones without escapes on one line; else the place of the value.
    pub fn place_within(&self, line: u32, column: u32) -> Place {
        let start = self.place();
        let Value::Scalar(text, style) = &self.slot().value else { return start };
        let column = column.max(1);
        match style {
            Style::Plain if line == 1 => Place { column: start.column + column - 1, ..start },
            Style::Quoted if line == 1 => Place { column: start.column + column, ..start },
            // A literal's place is its first line that is not empty.
            Style::Literal => {
                let empty = text.bytes().take_while(|byte| *byte == b'\n').count() as u32;
                Place { line: start.line + line.saturating_sub(1 + empty), column: start.column + column - 1 }
            }
            _ => start,
        }
    }

    pub(crate) fn slot(&self) -> &Slot {
        &self.tree.slots[self.id as usize]
    }

    pub(crate) fn child(&self, id: u32) -> Node {
        Node { tree: self.tree.clone(), id }
    }

    /// Returns the way to this node; without numbers, a place in a list is `[]`.
    pub(crate) fn path(&self, numbers: bool) -> String {
        let mut steps = Vec::new();
        let mut slot = self.slot();
        while !matches!(slot.step, Step::Root) {
            steps.push(&slot.step);
            slot = &self.tree.slots[slot.parent as usize];
        }
        let mut path = String::new();
        for step in steps.into_iter().rev() {
            match step {
                Step::Root => {}
                Step::Key(name, _) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.extend(name.chars().take(QUOTED_CHARS_MAX));
                }
                Step::Index(index) if numbers => path.push_str(&["[", &index.to_string(), "]"].concat()),
                Step::Index(_) => path.push_str("[]"),
            }
        }
        path
    }
}

/// Two nodes are equal when they say the same, wherever they stand: so that a reload can tell what has changed.
impl PartialEq for Node {
    fn eq(&self, other: &Node) -> bool {
        match (&self.slot().value, &other.slot().value) {
            (Value::Null, Value::Null) => true,
            (Value::Scalar(a, a_style), Value::Scalar(b, b_style)) => {
                a == b && (*a_style == Style::Plain) == (*b_style == Style::Plain)
            }
            (Value::List(_), Value::List(_)) => self.children() == other.children(),
            (Value::Map(_), Value::Map(_)) => {
                let (mut a, mut b) = (self.children(), other.children());
                a.sort_by(|x, y| x.name().cmp(&y.name()));
                b.sort_by(|x, y| x.name().cmp(&y.name()));
                a.len() == b.len() && a.iter().zip(&b).all(|(x, y)| x.name() == y.name() && x == y)
            }
            _ => false,
        }
    }
}
