//! What the engine has to say besides the answer: warnings and infos, each once, with line and column of the node.
//!
//! The texts are Prometheus's, because people search for them. How many are kept is bounded; a note never changes an
//! answer. Which note is due is decided where the fault is seen.

use std::collections::BTreeSet;

use crate::ast::Span;
use crate::print::quote;

/// The most notes of one kind that are kept.
const NOTES_MAX: usize = 64;

/// Notes gathered so far.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub warnings: BTreeSet<String>,
    pub infos: BTreeSet<String>,
}

impl Notes {
    /// Adds a warning about a node.
    #[cold]
    pub fn warn(&mut self, span: Span, text: &str) {
        add(&mut self.warnings, "PromQL warning: ", span, text);
    }

    /// Adds an info about a node.
    #[cold]
    pub fn info(&mut self, span: Span, text: &str) {
        add(&mut self.infos, "PromQL info: ", span, text);
    }
}

fn add(set: &mut BTreeSet<String>, kind: &str, span: Span, text: &str) {
    if set.len() < NOTES_MAX {
        set.insert(format!("{kind}{text} ({}:{})", span.line, span.column));
    }
}

/// Appends ` for metric name "x"` where there is a name.
pub(crate) fn for_metric(text: &str, name: &str) -> String {
    match name {
        "" => text.to_owned(),
        name => format!("{text} for metric name {}", quote(name)),
    }
}
