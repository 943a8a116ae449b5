//! From parser events to the tree: anchors are expanded, `<<` merges, keys are checked to be different.
//!
//! Everything a text may do to us is bounded here: bytes before parsing, depth and nodes while composing (an alias
//! costs what it expands to, so a "billion laughs" ends at `NODES_MAX`). A file has one document, unless the caller wants
//! the first of several. The parser stops at its first syntax error; duplicate keys are all found.

use std::collections::BTreeMap;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};

use crate::error::{Error, Errors};
use crate::limits::{DEPTH_MAX, ERRORS_MAX, NODES_MAX, TEXT_BYTES_MAX};
use crate::tree::{Node, Place, Slot, Step, Style, Tree, Value};

/// What a file may have.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The longest text, in bytes.
    pub text_bytes_max: usize,
    /// The most nodes, expanded aliases included.
    pub nodes_max: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { text_bytes_max: TEXT_BYTES_MAX, nodes_max: NODES_MAX }
    }
}

/// Parses a text into its tree. An empty text is a null node.
///
/// ```
/// let mut errors = yaml::Errors::new();
/// let node = yaml::parse("a.yml", "global:\n  interval: 15s\n").expect("well-formed");
/// let mut root = node.map(&mut errors);
/// if let Some(global) = root.get("global") {
///     let mut global = global.map(&mut errors);
///     assert_eq!(global.duration_ms("interval", &mut errors), Some(15_000));
///     global.finish(&mut errors);
/// }
/// root.finish(&mut errors);
/// assert!(errors.is_empty());
/// ```
///
/// # Errors
/// On a syntax error, duplicate keys, a second document, or when a limit is passed.
pub fn parse(file: &str, text: &str) -> Result<Node, Errors> {
    let (node, second) = parse_first(file, text, Bounds::default())?;
    match second {
        None => Ok(node),
        Some(error) => Err(error.into()),
    }
}

/// As [`parse`], within these bounds, and of several documents the first: the error says where the second begins.
///
/// # Errors
/// As [`parse`], but for a second document, of which nothing is read.
pub fn parse_first(file: &str, text: &str, bounds: Bounds) -> Result<(Node, Option<Error>), Errors> {
    if text.len() > bounds.text_bytes_max {
        let limit = ["at most ", &bounds.text_bytes_max.to_string(), " bytes"].concat();
        return Err(Error::of_file(file, ["has ", &text.len().to_string(), " bytes"].concat(), limit).into());
    }
    let mut composer = Composer {
        slots: Vec::new(),
        anchors: BTreeMap::new(),
        open: Vec::new(),
        faults: Vec::new(),
        left_out: 0,
        nodes_max: bounds.nodes_max,
        second: None,
    };
    if let Err(fault) = composer.run(text) {
        composer.faults.push(fault);
    }
    let faults = std::mem::take(&mut composer.faults);
    if composer.slots.is_empty() {
        composer.slots.push(slot(0, Step::Root, Place { line: 1, column: 1 }, Value::Null));
    }
    let tree = Arc::new(Tree::new(file, text, composer.slots));
    if faults.is_empty() {
        let what = "a second document begins here";
        let second = composer.second.map(|place| tree.error(place, what.to_owned(), "one document a file".to_owned()));
        return Ok((Node { tree, id: 0 }, second));
    }
    let mut errors = Errors::new();
    (0..composer.left_out).for_each(|_| errors.count_one());
    for fault in faults {
        let mut error = tree.error(fault.place, fault.what, fault.expected);
        if let Some(parent) = fault.parent {
            error.key = Node { tree: tree.clone(), id: parent }.key();
        }
        errors.push(error);
    }
    Err(errors)
}

/// What is wrong, before there is a tree to ask for its place in the file.
struct Fault {
    place: Place,
    parent: Option<u32>,
    what: String,
    expected: String,
}

/// A map or list whose end has not been seen.
struct Open {
    id: u32,
    anchor: usize,
    /// In a map: the key that waits for its value.
    key: Option<(Box<str>, Place)>,
    is_map: bool,
    /// In a map: where each key stands.
    keys: BTreeMap<Box<str>, Place>,
    /// In a map: what `<<` brought, to be added at the end where no key of its own stands against it.
    merged: Vec<u32>,
}

struct Composer {
    slots: Vec<Slot>,
    anchors: BTreeMap<usize, u32>,
    open: Vec<Open>,
    faults: Vec<Fault>,
    /// Faults that were counted but not kept.
    left_out: usize,
    nodes_max: usize,
    /// Where a second document begins.
    second: Option<Place>,
}

impl Composer {
    fn run(&mut self, text: &str) -> Result<(), Fault> {
        let mut documents = 0;
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| syntax(&error))?;
            let place = place(&span);
            match event {
                Event::DocumentStart(..) => {
                    documents += 1;
                    if documents > 1 {
                        self.second = Some(place);
                        return Ok(());
                    }
                }
                Event::Scalar(text, style, anchor, tag) => self.scalar(&text, style, anchor, tag.as_deref(), place)?,
                Event::SequenceStart(_, anchor, tag) => self.start(false, anchor, tag.as_deref(), place)?,
                Event::MappingStart(_, anchor, tag) => self.start(true, anchor, tag.as_deref(), place)?,
                Event::SequenceEnd | Event::MappingEnd => self.end()?,
                Event::Alias(anchor) => self.alias(anchor, place)?,
                // The beginning and end of things, and what is only sent when asked for.
                _ => {}
            }
        }
        Ok(())
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        place: Place,
    ) -> Result<(), Fault> {
        let style = match (tag.map(|tag| core_tag(tag, place)).transpose()?, style) {
            (Some("str"), ScalarStyle::Plain) => Style::Quoted,
            (Some("binary"), _) => return Err(fault(place, "the tag !!binary is not known here", "a plain text")),
            (_, ScalarStyle::Plain) => Style::Plain,
            (_, ScalarStyle::Literal) => Style::Literal,
            (_, ScalarStyle::Folded) => Style::Folded,
            _ => Style::Quoted,
        };
        if let Some(open) = self.open.last_mut()
            && open.is_map
            && open.key.is_none()
        {
            // A key may have an anchor too; nobody refers to one, so it makes no node.
            open.key = Some((text.into(), place));
            return Ok(());
        }
        let null = style == Style::Plain && matches!(text, "" | "~" | "null" | "Null" | "NULL");
        let value = if null { Value::Null } else { Value::Scalar(text.into(), style) };
        let id = self.add(value, place)?;
        self.name_anchor(anchor, id);
        self.attach(id);
        Ok(())
    }

    fn start(&mut self, is_map: bool, anchor: usize, tag: Option<&Tag>, place: Place) -> Result<(), Fault> {
        tag.map(|tag| core_tag(tag, place)).transpose()?;
        self.no_key_here(place)?;
        if self.open.len() >= DEPTH_MAX {
            let limit = ["at most ", &DEPTH_MAX.to_string(), " levels"].concat();
            return Err(fault(place, "too deeply nested", &limit));
        }
        let value = if is_map { Value::Map(Vec::new()) } else { Value::List(Vec::new()) };
        let id = self.add(value, place)?;
        self.open.push(Open { id, anchor, key: None, is_map, keys: BTreeMap::new(), merged: Vec::new() });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Fault> {
        let mut open = self.open.pop().expect("the parser ends only what it started");
        for merged in std::mem::take(&mut open.merged) {
            self.merge(&mut open, merged)?;
        }
        self.name_anchor(open.anchor, open.id);
        self.attach(open.id);
        Ok(())
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Result<(), Fault> {
        self.no_key_here(place)?;
        let target = self
            .anchors
            .get(&anchor)
            .copied()
            .ok_or_else(|| fault(place, "an alias inside what it stands for", "an earlier anchor"))?;
        let (parent, step) = self.next_step();
        let id = self.copy(target, parent, step)?;
        self.attach(id);
        Ok(())
    }

    /// A list, map or alias must not stand where a key is due.
    fn no_key_here(&self, place: Place) -> Result<(), Fault> {
        match self.open.last() {
            Some(open) if open.is_map && open.key.is_none() => {
                Err(fault(place, "a key that is no text", "a name (a value that begins with {, [ or * needs quotes)"))
            }
            _ => Ok(()),
        }
    }

    /// Adds a node where the reading stands: its way is known before its children are read, so that an error inside
    /// can name it.
    fn add(&mut self, value: Value, place: Place) -> Result<u32, Fault> {
        let (parent, step) = self.next_step();
        self.push(slot(parent, step, place, value))
    }

    fn push(&mut self, slot: Slot) -> Result<u32, Fault> {
        if self.slots.len() >= self.nodes_max {
            let limit = ["at most ", &self.nodes_max.to_string(), " values, expanded aliases included"].concat();
            return Err(fault(slot.place, "too many values", &limit));
        }
        self.slots.push(slot);
        Ok(self.slots.len() as u32 - 1)
    }

    fn next_step(&self) -> (u32, Step) {
        let Some(open) = self.open.last() else { return (0, Step::Root) };
        let step = match (&open.key, &self.slots[open.id as usize].value) {
            (Some((name, place)), _) => Step::Key(name.clone(), *place),
            (None, Value::List(items)) => Step::Index(items.len() as u32),
            _ => Step::Root,
        };
        (open.id, step)
    }

    /// Makes a finished node a child of what is open.
    fn attach(&mut self, id: u32) {
        let Some(open) = self.open.last_mut() else { return };
        let Some((name, at)) = open.key.take() else {
            if let Value::List(items) = &mut self.slots[open.id as usize].value {
                items.push(id);
            }
            return;
        };
        if &*name == "<<" {
            open.merged.push(id);
        } else if let Some(first) = open.keys.get(&name) {
            let first = [&first.line.to_string(), ":", &first.column.to_string()].concat();
            let what = ["key ", &name, " is there twice, first at ", &first].concat();
            if self.faults.len() < ERRORS_MAX {
                self.faults.push(Fault { place: at, parent: Some(open.id), what, expected: String::new() });
            } else {
                self.left_out += 1;
            }
        } else {
            open.keys.insert(name, at);
            if let Value::Map(entries) = &mut self.slots[open.id as usize].value {
                entries.push(id);
            }
        }
    }

    /// Adds the entries of a merged map, or of a list of them; what is there already stays.
    fn merge(&mut self, into: &mut Open, from: u32) -> Result<(), Fault> {
        match self.slots[from as usize].value.clone() {
            Value::Map(entries) => {
                for entry in entries {
                    let Step::Key(name, place) = &self.slots[entry as usize].step else { continue };
                    if into.keys.contains_key(name) {
                        continue;
                    }
                    into.keys.insert(name.clone(), *place);
                    self.slots[entry as usize].parent = into.id;
                    if let Value::Map(own) = &mut self.slots[into.id as usize].value {
                        own.push(entry);
                    }
                }
                Ok(())
            }
            Value::List(items) if items.iter().all(|id| matches!(self.slots[*id as usize].value, Value::Map(_))) => {
                items.into_iter().try_for_each(|item| self.merge(into, item))
            }
            _ => Err(fault(self.slots[from as usize].place, "<< cannot merge this", "a map or a list of maps")),
        }
    }

    /// Copies a finished subtree. An alias within an alias makes the copy deeper than anything that was read, so
    /// the depth is counted by the way to the root.
    fn copy(&mut self, from: u32, parent: u32, step: Step) -> Result<u32, Fault> {
        let source = self.slots[from as usize].clone();
        let id = self.push(slot(parent, step, source.place, Value::Null))?;
        let value = match source.value {
            Value::List(items) => Value::List(self.copy_all(items, id)?),
            Value::Map(entries) => Value::Map(self.copy_all(entries, id)?),
            value => value,
        };
        self.slots[id as usize].value = value;
        Ok(id)
    }

    fn copy_all(&mut self, ids: Vec<u32>, parent: u32) -> Result<Vec<u32>, Fault> {
        if self.depth(parent) >= DEPTH_MAX {
            let limit = ["at most ", &DEPTH_MAX.to_string(), " levels"].concat();
            return Err(fault(self.slots[parent as usize].place, "too deeply nested by aliases", &limit));
        }
        let copy = |id: u32| self.copy(id, parent, self.slots[id as usize].step.clone());
        ids.into_iter().map(copy).collect()
    }

    fn depth(&self, mut id: u32) -> usize {
        let mut depth = 0;
        while !matches!(self.slots[id as usize].step, Step::Root) {
            depth += 1;
            id = self.slots[id as usize].parent;
        }
        depth
    }

    fn name_anchor(&mut self, anchor: usize, id: u32) {
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
    }
}

fn slot(parent: u32, step: Step, place: Place, value: Value) -> Slot {
    Slot { parent, step, place, value }
}

fn fault(place: Place, what: &str, expected: &str) -> Fault {
    Fault { place, parent: None, what: what.to_owned(), expected: expected.to_owned() }
}

fn place(span: &Span) -> Place {
    Place { line: span.start.line() as u32, column: span.start.col() as u32 + 1 }
}

/// Returns the name of one of YAML's own tags.
fn core_tag(tag: &Tag, place: Place) -> Result<&'static str, Fault> {
    let own = ["str", "int", "float", "bool", "null", "map", "seq", "binary", "merge"];
    let suffix = tag.suffix_in_namespace("tag:yaml.org,2002:");
    let found = own.into_iter().find(|name| suffix.as_deref() == Some(*name));
    found.ok_or_else(|| fault(place, "a tag of its own", "no tag (a text that begins with ! needs quotes)"))
}

fn syntax(error: &ScanError) -> Fault {
    let what = error.info();
    let expected = if what.contains("mapping values are not allowed") {
        "quotes around a text with `: ` in it, or a line of its own for the key"
    } else if what.contains("unexpected character") {
        "quotes around a text that begins with this character"
    } else if what.contains("tab") {
        "blanks, YAML does not indent with tabs"
    } else if what.contains("did not find expected key") {
        "the same indentation as the keys above"
    } else if what.contains("recursion limit") {
        "fewer levels"
    } else {
        ""
    };
    let place = Place { line: error.marker().line() as u32, column: error.marker().col() as u32 + 1 };
    fault(place, &what, expected)
}
