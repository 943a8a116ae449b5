//! Runs a parsed template, as Go's `text/template` does: the same scoping, the same checks, the same messages.
//!
//! Bounded: [`STEPS_MAX`](super::STEPS_MAX) nodes, [`OUTPUT_BYTES_MAX`](super::OUTPUT_BYTES_MAX) of text, nested
//! templates at most [`DEPTH_MAX`](super::DEPTH_MAX) deep; over a limit the expansion fails with an error that names it.
//! A missing map entry is the zero value (`missingkey=zero`), which is how Prometheus expands rules.

use std::rc::Rc;

use super::functions::{self, Function, Type};
use super::parse::{Arg, ArgKind, Branch, Command, List, Node, Pipe, Tree};
use super::value::{Value, number};
use super::{DEPTH_MAX, OUTPUT_BYTES_MAX, STEPS_MAX, Scope};

/// Expands a tree. `text` is its source, for the places in messages; `name` is what Go calls the template.
pub fn run(tree: &Tree, text: &str, name: &str, dot: Value, scope: &Scope<'_>) -> Result<String, String> {
    let mut state = State {
        tree,
        text,
        name,
        scope,
        variables: vec![("$".to_owned(), dot.clone())],
        out: String::new(),
        steps: 0,
        depth: 0,
    };
    state.list(&tree.list, &dot)?;
    Ok(state.out)
}

struct State<'a> {
    tree: &'a Tree,
    text: &'a str,
    name: &'a str,
    scope: &'a Scope<'a>,
    variables: Vec<(String, Value)>,
    out: String,
    steps: usize,
    depth: usize,
}

/// Whether a list ran to its end.
#[derive(PartialEq, Eq)]
enum Flow {
    On,
    Break,
    Continue,
}

type Run<T> = Result<T, String>;

impl State<'_> {
    fn error<T>(&self, pos: usize, context: &dyn std::fmt::Display, message: &str) -> Run<T> {
        let before = &self.text[..pos.min(self.text.len())];
        let line = 1 + before.matches('\n').count();
        let column = before.rfind('\n').map_or(pos, |at| pos - at - 1);
        let name = self.name;
        Err(format!("template: {name}:{line}:{column}: executing {name:?} at <{context}>: {message}"))
    }

    fn step(&mut self) -> Run<()> {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return Err(format!("template: {}: exceeded limit of {STEPS_MAX} steps", self.name));
        }
        if self.out.len() > OUTPUT_BYTES_MAX {
            return Err(format!("template: {}: exceeded limit of {OUTPUT_BYTES_MAX} bytes", self.name));
        }
        Ok(())
    }

    fn list(&mut self, list: &List, dot: &Value) -> Run<Flow> {
        for node in list {
            self.step()?;
            let flow = match node {
                Node::Text(text) => {
                    self.out.push_str(text);
                    Flow::On
                }
                Node::Action(pipe) => {
                    let value = self.pipe(pipe, dot)?;
                    if pipe.decl.is_empty() {
                        value.print(&mut self.out);
                    }
                    Flow::On
                }
                Node::If(branch) => self.branch(branch, dot, false)?,
                Node::With(branch) => self.branch(branch, dot, true)?,
                Node::Range(branch) => self.range(branch, dot)?,
                Node::Template { pos, name, pipe } => self.template(*pos, name, pipe.as_ref(), dot)?,
                Node::Break => Flow::Break,
                Node::Continue => Flow::Continue,
            };
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        self.step()?;
        Ok(Flow::On)
    }

    fn branch(&mut self, branch: &Branch, dot: &Value, with: bool) -> Run<Flow> {
        let scope = self.variables.len();
        let value = self.pipe(&branch.pipe, dot)?;
        let flow = if value.truth() {
            self.list(&branch.list, if with { &value } else { dot })
        } else {
            self.list(&branch.otherwise, dot)
        };
        self.variables.truncate(scope);
        flow
    }

    fn range(&mut self, branch: &Branch, dot: &Value) -> Run<Flow> {
        let scope = self.variables.len();
        let value = self.pipe_value(&branch.pipe, dot)?;
        let items: Vec<(Value, Value)> = match &value {
            Value::Nothing => Vec::new(),
            Value::Int(n) => (0..(*n).clamp(0, STEPS_MAX as i64 + 1)).map(|i| (Value::Int(i), Value::Int(i))).collect(),
            Value::List(values) => numbered(values.iter().cloned()),
            Value::Vector(samples) => numbered(samples.iter().map(|s| Value::Sample(s.clone()))),
            Value::Map(labels) => labels.iter().map(|(n, v)| (Value::str(n), Value::str(v))).collect(),
            Value::Args(values) => {
                values.iter().enumerate().map(|(i, v)| (Value::str(&format!("arg{i}")), v.clone())).collect()
            }
            other => {
                let mut printed = String::new();
                other.print(&mut printed);
                return self.error(branch.pipe.pos, &branch.pipe, &format!("range can't iterate over {printed}"));
            }
        };
        if items.is_empty() {
            let flow = self.list(&branch.otherwise, dot);
            self.variables.truncate(scope);
            return flow;
        }
        for (key, item) in items {
            self.bind(&branch.pipe, key, &item);
            let flow = self.list(&branch.list, &item)?;
            self.variables.truncate(scope);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::On)
    }

    /// Gives a range's variables their values: `$item`, or `$index, $item`.
    fn bind(&mut self, pipe: &Pipe, key: Value, item: &Value) {
        let values = match pipe.decl.len() {
            0 => return,
            1 => vec![item.clone()],
            _ => vec![key, item.clone()],
        };
        for (name, value) in pipe.decl.iter().zip(values) {
            self.keep(name, value, pipe.assign);
        }
    }

    fn keep(&mut self, name: &str, value: Value, assign: bool) {
        if assign && let Some(slot) = self.variables.iter_mut().rev().find(|(n, _)| n == name) {
            slot.1 = value;
            return;
        }
        self.variables.push((name.to_owned(), value));
    }

    fn template(&mut self, pos: usize, name: &str, pipe: Option<&Pipe>, dot: &Value) -> Run<Flow> {
        let tree = self.tree;
        let Some((_, list)) = tree.defined.iter().find(|(defined, _)| defined == name) else {
            let context = format!("{{{{template {name:?}}}}}");
            return self.error(pos, &context, &format!("template {name:?} not defined"));
        };
        let dot = match pipe {
            Some(pipe) => self.pipe(pipe, dot)?,
            None => Value::Nothing,
        };
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("template: {}: exceeded maximum template depth ({DEPTH_MAX})", self.name));
        }
        let outer = std::mem::replace(&mut self.variables, vec![("$".to_owned(), dot.clone())]);
        self.list(list, &dot)?;
        self.variables = outer;
        self.depth -= 1;
        Ok(Flow::On)
    }

    /// Evaluates a pipeline and keeps its value in the variables it declares.
    fn pipe(&mut self, pipe: &Pipe, dot: &Value) -> Run<Value> {
        let value = self.pipe_value(pipe, dot)?;
        for name in &pipe.decl {
            self.keep(name, value.clone(), pipe.assign);
        }
        Ok(value)
    }

    fn pipe_value(&mut self, pipe: &Pipe, dot: &Value) -> Run<Value> {
        self.step()?;
        let mut last = None;
        for command in &pipe.commands {
            last = Some(self.command(command, dot, last)?);
        }
        Ok(last.unwrap_or(Value::Nothing))
    }

    fn command(&mut self, command: &Command, dot: &Value, last: Option<Value>) -> Run<Value> {
        let first = &command.args[0];
        let has_args = command.args.len() > 1 || last.is_some();
        match &first.kind {
            ArgKind::Identifier(name) => {
                return self.call(name, command.pos, command, first.pos, &command.args[1..], dot, last);
            }
            ArgKind::Field(names) => return self.fields(dot.clone(), names, first, &command.args[1..], dot, last),
            ArgKind::Chain(inner, names) => {
                let value = self.operand(inner, dot)?;
                return self.fields(value, names, first, &command.args[1..], dot, last);
            }
            ArgKind::Variable(names) if names.len() > 1 => {
                let value = self.variable(&names[0]);
                return self.fields(value, &names[1..], first, &command.args[1..], dot, last);
            }
            _ => {}
        }
        if has_args {
            return self.error(first.pos, first, &format!("can't give argument to non-function {first}"));
        }
        match &first.kind {
            ArgKind::Nil => self.error(first.pos, first, "nil is not a command"),
            _ => self.operand(first, dot),
        }
    }

    fn variable(&self, name: &str) -> Value {
        self.variables.iter().rev().find(|(n, _)| n == name).map_or(Value::Nothing, |(_, value)| value.clone())
    }

    /// Evaluates an operand that stands alone, as a command or as an argument.
    fn operand(&mut self, arg: &Arg, dot: &Value) -> Run<Value> {
        self.step()?;
        match &arg.kind {
            ArgKind::Bool(value) => Ok(Value::Bool(*value)),
            ArgKind::Dot => Ok(dot.clone()),
            ArgKind::Nil => Ok(Value::Nothing),
            ArgKind::Str { text, .. } => Ok(Value::str(text)),
            ArgKind::Number(text) => match number(text) {
                Some(Value::Uint(_)) => self.error(arg.pos, arg, &format!("{text} overflows int")),
                Some(value) => Ok(value),
                None => self.error(arg.pos, arg, "bad number"),
            },
            ArgKind::Field(names) => self.fields(dot.clone(), names, arg, &[], dot, None),
            ArgKind::Variable(names) => {
                let value = self.variable(&names[0]);
                self.fields(value, &names[1..], arg, &[], dot, None)
            }
            ArgKind::Chain(inner, names) => {
                let value = self.operand(inner, dot)?;
                self.fields(value, names, arg, &[], dot, None)
            }
            ArgKind::Pipe(pipe) => self.pipe(pipe, dot),
            ArgKind::Identifier(name) => self.call(name, arg.pos, arg, arg.pos, &[], dot, None),
        }
    }

    /// Follows `.a.b` from a value; only the last one may be a method with arguments.
    fn fields(
        &mut self,
        value: Value,
        names: &[String],
        node: &Arg,
        args: &[Arg],
        dot: &Value,
        last: Option<Value>,
    ) -> Run<Value> {
        let mut value = value;
        let mut last = last;
        for (i, name) in names.iter().enumerate() {
            let is_last = i + 1 == names.len();
            let (args, last) = if is_last { (args, last.take()) } else { (&[][..], None) };
            value = self.field(value, name, node, args, dot, last)?;
        }
        Ok(value)
    }

    fn field(
        &mut self,
        value: Value,
        name: &str,
        node: &Arg,
        args: &[Arg],
        dot: &Value,
        last: Option<Value>,
    ) -> Run<Value> {
        if let Some(result) = self.method(&value, name, node, args, dot, &last)? {
            return Ok(result);
        }
        let has_args = !args.is_empty() || last.is_some();
        let found = match &value {
            Value::Nothing => return Ok(Value::Nothing),
            Value::Map(_) | Value::Args(_) if has_args => {
                return self.error(node.pos, node, &format!("{name} is not a method but has arguments"));
            }
            Value::Map(labels) => return Ok(Value::str(labels.get(name).unwrap_or(""))),
            Value::Args(values) => {
                let at = name.strip_prefix("arg").and_then(|n| n.parse::<usize>().ok());
                return Ok(at.and_then(|at| values.get(at).cloned()).unwrap_or(Value::Nothing));
            }
            Value::Sample(sample) => match name {
                "Labels" => Some(Value::Map(sample.labels.clone())),
                "Value" => Some(Value::from(&sample.value)),
                _ => None,
            },
            Value::Record(fields) => fields.iter().find(|(n, _)| *n == name).map(|(_, value)| value.clone()),
            _ => None,
        };
        match found {
            Some(_) if has_args => {
                self.error(node.pos, node, &format!("{name} has arguments but cannot be invoked as function"))
            }
            Some(value) => Ok(value),
            None => {
                let kind = value.type_name();
                self.error(node.pos, node, &format!("can't evaluate field {name} in type {kind}"))
            }
        }
    }

    /// The few methods that times and durations have.
    fn method(
        &mut self,
        value: &Value,
        name: &str,
        node: &Arg,
        args: &[Arg],
        dot: &Value,
        last: &Option<Value>,
    ) -> Run<Option<Value>> {
        let texts: Run<Vec<Value>> = match value {
            Value::Time(..) | Value::DurationNs(_) => args.iter().map(|arg| self.operand(arg, dot)).collect(),
            _ => return Ok(None),
        };
        let mut given = texts?;
        given.extend(last.clone());
        let wants = usize::from(name == "Format");
        let seconds = |ns: i64| ns as f64 / 1e9;
        let civil = |at: &model::UnixMs, i: usize| Value::Int(at.civil()[i]);
        let result = match (value, name, given.as_slice()) {
            (Value::Time(at, ns), "Format", [Value::Str(layout)]) => {
                Value::str(&super::gotime::format(*at, *ns, layout))
            }
            (Value::Time(at, _), "Unix", []) => Value::Int(at.0.div_euclid(1000)),
            (Value::Time(..), "UTC", []) => value.clone(),
            (Value::Time(at, _), "Year", []) => civil(at, 0),
            (Value::Time(at, _), "Day", []) => civil(at, 2),
            (Value::Time(at, _), "Hour", []) => civil(at, 3),
            (Value::Time(at, _), "Minute", []) => civil(at, 4),
            (Value::Time(at, _), "Second", []) => civil(at, 5),
            (Value::DurationNs(ns), "Seconds", []) => Value::Float(seconds(*ns)),
            (Value::DurationNs(ns), "Minutes", []) => Value::Float(seconds(*ns) / 60.0),
            (Value::DurationNs(ns), "Hours", []) => Value::Float(seconds(*ns) / 3600.0),
            (Value::DurationNs(ns), "Milliseconds", []) => Value::Int(ns / 1_000_000),
            (_, "String", []) => {
                let mut out = String::new();
                value.print(&mut out);
                Value::str(&out)
            }
            (Value::Time(..), "Format", [other]) => {
                let message = format!("wrong type for value; expected string; got {}", other.type_name());
                return self.error(node.pos, node, &message);
            }
            (_, "Format" | "String" | "Unix" | "UTC" | "Seconds", given) => {
                let message = format!("wrong number of args for {name}: want {wants} got {}", given.len());
                return self.error(node.pos, node, &message);
            }
            _ => return Ok(None),
        };
        Ok(Some(result))
    }

    #[allow(clippy::too_many_arguments)]
    fn call(
        &mut self,
        name: &str,
        pos: usize,
        context: &dyn std::fmt::Display,
        name_pos: usize,
        args: &[Arg],
        dot: &Value,
        last: Option<Value>,
    ) -> Run<Value> {
        let Some(function) = functions::find(name) else {
            return self.error(name_pos, &name, &format!("{name:?} is not a defined function"));
        };
        self.check_count(function, name_pos, args.len(), last.is_some())?;
        if matches!(name, "and" | "or") {
            return self.and_or(name == "and", args, dot, last);
        }
        let mut values = Vec::with_capacity(args.len() + 1);
        for (i, arg) in args.iter().enumerate() {
            values.push(self.argument(arg, parameter(function, i), dot)?);
        }
        if let Some(last) = last {
            let wants = parameter(function, values.len());
            if let Err(message) = check_type(&last, wants) {
                return self.error(name_pos, &name, &message);
            }
            values.push(last);
        }
        match (function.body)(self.scope, &values) {
            Ok(value) => Ok(value),
            Err(message) => self.error(pos, context, &format!("error calling {name}: {message}")),
        }
    }

    fn check_count(&self, function: &Function, pos: usize, args: usize, piped: bool) -> Run<()> {
        let given = args + usize::from(piped);
        let name = function.name;
        let wants = function.takes.len();
        if function.repeats && given < wants - 1 {
            let message = format!("wrong number of args for {name}: want at least {} got {args}", wants - 1);
            return self.error(pos, &name, &message);
        }
        if !function.repeats && given != wants {
            return self.error(pos, &name, &format!("wrong number of args for {name}: want {wants} got {given}"));
        }
        Ok(())
    }

    /// `and` and `or` stop at the first argument that decides.
    fn and_or(&mut self, and: bool, args: &[Arg], dot: &Value, last: Option<Value>) -> Run<Value> {
        let mut value = Value::Nothing;
        for arg in args {
            value = self.operand(arg, dot)?;
            if value.truth() != and {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    fn argument(&mut self, arg: &Arg, wants: Type, dot: &Value) -> Run<Value> {
        let literal = match (&arg.kind, wants) {
            (ArgKind::Bool(_) | ArgKind::Number(_), Type::Str) => Some("string"),
            _ => None,
        };
        if let Some(expected) = literal {
            return self.error(arg.pos, arg, &format!("expected {expected}; found {arg}"));
        }
        if let (ArgKind::Bool(_) | ArgKind::Number(_) | ArgKind::Str { .. }, Type::Vector | Type::Sample) =
            (&arg.kind, wants)
        {
            return self.error(arg.pos, arg, &format!("can't handle {arg} for arg of type {}", go_name(wants)));
        }
        let value = self.operand(arg, dot)?;
        match check_type(&value, wants) {
            Ok(()) => Ok(value),
            Err(message) => self.error(arg.pos, arg, &message),
        }
    }
}

fn numbered(values: impl Iterator<Item = Value>) -> Vec<(Value, Value)> {
    values.enumerate().map(|(i, value)| (Value::Int(i as i64), value)).collect()
}

fn parameter(function: &Function, at: usize) -> Type {
    function.takes[at.min(function.takes.len().saturating_sub(1))]
}

fn go_name(wants: Type) -> &'static str {
    match wants {
        Type::Any => "interface {}",
        Type::Str => "string",
        Type::Vector => "template.queryResult",
        Type::Sample => "*template.sample",
    }
}

fn check_type(value: &Value, wants: Type) -> Result<(), String> {
    let fits = match (wants, value) {
        (Type::Any, _) => true,
        (Type::Str, Value::Str(_)) => true,
        (Type::Vector, Value::Vector(_)) => true,
        (Type::Sample, Value::Sample(_)) => true,
        (_, Value::Nothing) => return Err(format!("invalid value; expected {}", go_name(wants))),
        _ => false,
    };
    if fits {
        return Ok(());
    }
    Err(format!("wrong type for value; expected {}; got {}", go_name(wants), value.type_name()))
}

/// Returns the record that a rule's templates get as their dot.
pub fn record(fields: Vec<(&'static str, Value)>) -> Value {
    Value::Record(Rc::new(fields))
}
