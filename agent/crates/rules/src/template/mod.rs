//! Templates in alert labels and annotations: the part of Go's `text/template` that rule files use.
//!
//! Promises Go's results and Go's messages, byte for byte where the peer's own tests look; a fault in the text is found
//! when the rule file is loaded. Everything is bounded by the limits below. No HTML escaping, no console pages.
//!
//! ```text
//! {{ $labels.device }} is at {{ $value | humanize }}C{{ if gt $value 90.0 }}, hurry{{ end }}
//! ```
//!
//! Read `lex`, `parse`, `exec` in this order; `functions` has what a template may call.

mod lex;
mod parse;

mod compare;
mod exec;
mod functions;
mod gofmt;
mod gotime;
mod human;
mod value;

use model::{Labels, UnixMs};

pub(crate) use functions::link;
pub use value::{Number, Sample};

use parse::{Node, Tree};
use value::Value;

/// The longest template, in bytes.
pub const TEMPLATE_BYTES_MAX: usize = 16 << 10;
/// The longest result, in bytes; one more text is let through before it is noticed.
pub const OUTPUT_BYTES_MAX: usize = 64 << 10;
/// The most nodes one expansion may visit.
pub const STEPS_MAX: usize = 20_000;
/// How deep blocks, parentheses and nested templates may nest.
pub const DEPTH_MAX: usize = 32;

/// What Prometheus puts in front of every template of a rule; kept, so that columns in messages agree.
const PRELUDE: &str =
    "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}";

/// Answers a template's `query`.
pub type QueryFn<'a> = dyn Fn(&str) -> Result<Vec<Sample>, String> + 'a;

/// What all expansions of one evaluation share.
pub struct Scope<'a> {
    /// The evaluation's time.
    pub now: UnixMs,
    /// Where this agent is reached from outside.
    pub external_url: &'a str,
    /// Labels of the whole installation.
    pub external_labels: &'a Labels,
    /// Answers `query`.
    pub query: &'a QueryFn<'a>,
}

/// A template that was parsed.
#[derive(Debug, Clone)]
pub struct Template {
    source: String,
    tree: Option<Tree>,
    name: String,
}

impl Template {
    /// Parses a template of the alert of this name.
    ///
    /// # Errors
    /// Go's message, such as `template: __alert_Hot:1: function "foo" not defined`.
    pub fn parse(alert: &str, text: &str) -> Result<Template, String> {
        Template::parse_raw(&["__alert_", alert].concat(), PRELUDE, text)
    }

    fn parse_raw(name: &str, prelude: &str, text: &str) -> Result<Template, String> {
        if text.len() > TEMPLATE_BYTES_MAX {
            return Err(format!("template: {name}: {} bytes, at most {TEMPLATE_BYTES_MAX} are accepted", text.len()));
        }
        let plain = |tree| Template { source: text.to_owned(), tree, name: name.to_owned() };
        if !text.contains("{{") {
            return Ok(plain(None));
        }
        let source = [prelude, text].concat();
        let tree = parse::parse(&source).map_err(|message| format!("template: {name}:{message}"))?;
        Ok(Template { source, ..plain(Some(tree)) })
    }

    /// Returns the template as it was written.
    pub fn text(&self) -> &str {
        self.source.strip_prefix(PRELUDE).filter(|_| self.tree.is_some()).unwrap_or(&self.source)
    }

    /// Expands the template for one series.
    ///
    /// # Errors
    /// Go's message, `error executing template __alert_Hot: template: ...`.
    pub fn expand(&self, labels: &Labels, value: &Number, scope: &Scope<'_>) -> Result<String, String> {
        if self.tree.is_none() {
            return Ok(self.source.clone());
        }
        let dot = exec::record(vec![
            ("Labels", Value::Map(labels.clone())),
            ("ExternalLabels", Value::Map(scope.external_labels.clone())),
            ("ExternalURL", Value::str(scope.external_url)),
            ("Value", Value::from(value)),
        ]);
        self.run(dot, scope)
    }

    fn run(&self, dot: Value, scope: &Scope<'_>) -> Result<String, String> {
        let Some(tree) = &self.tree else { return Ok(self.source.clone()) };
        exec::run(tree, &self.source, &self.name, dot, scope)
            .map_err(|message| format!("error executing template {}: {message}", self.name))
    }

    /// Returns whether the template has no action at all.
    pub fn is_plain(&self) -> bool {
        self.tree.as_ref().is_none_or(|tree| tree.list.iter().all(|node| matches!(node, Node::Text(_))))
    }
}

#[cfg(test)]
mod tests;
