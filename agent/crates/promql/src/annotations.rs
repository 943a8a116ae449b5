//! What the engine has to say besides the answer: warnings and infos, each once, with line and column of the node.
//!
//! The texts are Prometheus's, because people search for them. How many are kept is bounded; a note never changes an
//! answer. Which note is due is decided where the fault is seen.

use std::collections::BTreeMap;

use crate::ast::Span;
use crate::print::quote;

/// The most notes of one kind that are kept.
const NOTES_MAX: usize = 64;

/// Notes gathered so far: what is said, and where. Said again elsewhere, it counts as said there, as in Prometheus.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    warnings: BTreeMap<String, Span>,
    infos: BTreeMap<String, Span>,
}

impl Notes {
    /// Adds a warning about a node.
    #[cold]
    pub fn warn(&mut self, span: Span, text: &str) {
        add(&mut self.warnings, span, text);
    }

    /// Adds an info about a node.
    #[cold]
    pub fn info(&mut self, span: Span, text: &str) {
        add(&mut self.infos, span, text);
    }

    /// Returns warnings and infos as they are printed.
    pub fn finish(self) -> (Vec<String>, Vec<String>) {
        let print = |notes: BTreeMap<String, Span>, kind: &str| {
            let print = |(text, span): (String, Span)| format!("PromQL {kind}: {text} ({}:{})", span.line, span.column);
            notes.into_iter().map(print).collect()
        };
        (print(self.warnings, "warning"), print(self.infos, "info"))
    }
}

fn add(notes: &mut BTreeMap<String, Span>, span: Span, text: &str) {
    if let Some(known) = notes.get_mut(text) {
        *known = span;
    } else if notes.len() < NOTES_MAX {
        notes.insert(text.to_owned(), span);
    }
}

/// Appends ` for metric name "x"` where there is a name.
pub(crate) fn for_metric(text: &str, name: &str) -> String {
    match name {
        "" => text.to_owned(),
        name => format!("{text} for metric name {}", quote(name)),
    }
}
