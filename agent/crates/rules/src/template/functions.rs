//! The functions a template may call: Prometheus's own and Go's built in ones, with their messages.
//!
//! [`FUNCTIONS`] is the list; each entry names its parameters' types, so that a wrong number or type of arguments is
//! found before the call, as Go's reflection does. Known but refused by name (they are for console pages): `safeHtml`,
//! `tmpl`, `html`, `js`, `call`. `query` asks through the scope's callback; nothing here reads anything itself.

use std::rc::Rc;

use model::Labels;

use super::value::{Sample, Value};
use super::{Scope, compare, gofmt, human};

/// What a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Any,
    Str,
    Vector,
    Sample,
}

type Body = fn(&Scope<'_>, &[Value]) -> Result<Value, String>;

/// One function: its parameters, whether the last one repeats, and what it does.
pub struct Function {
    pub name: &'static str,
    pub takes: &'static [Type],
    pub repeats: bool,
    pub body: Body,
}

const fn fixed(name: &'static str, takes: &'static [Type], body: Body) -> Function {
    Function { name, takes, repeats: false, body }
}

const fn many(name: &'static str, takes: &'static [Type], body: Body) -> Function {
    Function { name, takes, repeats: true, body }
}

use Type::{Any, Str, Vector};

/// All functions.
const FUNCTIONS: &[Function] = &[
    // Prometheus's.
    fixed("query", &[Str], query),
    fixed("first", &[Vector], first),
    fixed("label", &[Str, Type::Sample], label),
    fixed("value", &[Type::Sample], value),
    fixed("strvalue", &[Type::Sample], strvalue),
    many("args", &[Any], |_, a| Ok(Value::Args(Rc::new(a.to_vec())))),
    fixed("sortByLabel", &[Str, Vector], sort_by_label),
    fixed("humanize", &[Any], |_, a| Ok(text(human::humanize(float(&a[0])?)))),
    fixed("humanize1024", &[Any], |_, a| Ok(text(human::humanize1024(float(&a[0])?)))),
    fixed("humanizeDuration", &[Any], |_, a| Ok(text(human::duration(float(&a[0])?)))),
    fixed("humanizePercentage", &[Any], |_, a| Ok(text(human::percentage(float(&a[0])?)))),
    fixed("humanizeTimestamp", &[Any], |_, a| Ok(text(human::timestamp(float(&a[0])?)?))),
    fixed("toTime", &[Any], |_, a| human::time(float(&a[0])?)),
    fixed("toDuration", &[Any], |_, a| Ok(Value::DurationNs((float(&a[0])? * 1e9) as i64))),
    fixed("parseDuration", &[Str], parse_duration),
    fixed("now", &[], |scope, _| Ok(Value::Float(scope.now.as_seconds()))),
    fixed("title", &[Str], |_, a| Ok(text(title(string(&a[0]))))),
    fixed("toUpper", &[Str], |_, a| Ok(text(string(&a[0]).to_uppercase()))),
    fixed("toLower", &[Str], |_, a| Ok(text(string(&a[0]).to_lowercase()))),
    fixed("match", &[Str, Str], matches),
    fixed("reReplaceAll", &[Str, Str, Str], replace_all),
    fixed("stripPort", &[Str], |_, a| {
        Ok(text(host_port(string(&a[0])).map_or(string(&a[0]), |(host, _)| host).to_owned()))
    }),
    fixed("stripDomain", &[Str], |_, a| Ok(text(strip_domain(string(&a[0]))))),
    fixed("graphLink", &[Str], |_, a| Ok(text(link(string(&a[0]), 0)))),
    fixed("tableLink", &[Str], |_, a| Ok(text(link(string(&a[0]), 1)))),
    fixed("externalURL", &[], |scope, _| Ok(Value::str(scope.external_url))),
    fixed("pathPrefix", &[], |scope, _| Ok(Value::str(path_of(scope.external_url)))),
    fixed("urlQueryEscape", &[Str], |_, a| Ok(text(query_escape(string(&a[0]))))),
    // Go's. `and` and `or` do not always look at all their arguments: `exec` runs them.
    many("and", &[Any, Any], |_, a| Ok(a[0].clone())),
    many("or", &[Any, Any], |_, a| Ok(a[0].clone())),
    fixed("not", &[Any], |_, a| Ok(Value::Bool(!a[0].truth()))),
    many("eq", &[Any, Any], |_, a| compare::equal(a)),
    fixed("ne", &[Any, Any], |_, a| compare::equal(a).map(|v| Value::Bool(!v.truth()))),
    fixed("lt", &[Any, Any], |_, a| compare::less(&a[0], &a[1]).map(Value::Bool)),
    fixed("ge", &[Any, Any], |_, a| compare::less(&a[0], &a[1]).map(|less| Value::Bool(!less))),
    fixed("le", &[Any, Any], |_, a| compare::less_or_equal(&a[0], &a[1]).map(Value::Bool)),
    fixed("gt", &[Any, Any], |_, a| compare::less_or_equal(&a[0], &a[1]).map(|le| Value::Bool(!le))),
    fixed("len", &[Any], |_, a| length(&a[0])),
    many("index", &[Any, Any], index),
    many("slice", &[Any, Any], slice),
    many("print", &[Any], |_, a| Ok(text(print(a)))),
    many("println", &[Any], |_, a| Ok(text(println(a)))),
    many("printf", &[Str, Any], |_, a| Ok(text(gofmt::sprintf(string(&a[0]), &a[1..])))),
    many("urlquery", &[Any], |_, a| Ok(text(query_escape(&print(a))))),
];

/// Returns whether a template may name this function.
pub fn is_known(name: &str) -> bool {
    find(name).is_some()
}

/// Returns a function by its name.
pub fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// Returns a number for what Prometheus takes as one: numbers, and texts that are numbers.
pub fn float(value: &Value) -> Result<f64, String> {
    match value {
        Value::Float(value) => Ok(*value),
        Value::Int(value) => Ok(*value as f64),
        Value::Uint(value) => Ok(*value as f64),
        Value::DurationNs(ns) => Ok(*ns as f64 / 1e9),
        Value::Str(text) => parse_float(text)
            .ok_or_else(|| format!("strconv.ParseFloat: parsing {}: invalid syntax", gofmt::quote(text))),
        other => Err(format!("can't convert {} to float", other.type_name())),
    }
}

fn parse_float(text: &str) -> Option<f64> {
    let bare = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = bare.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let word = ["inf", "infinity", "nan"].iter().any(|word| bare.eq_ignore_ascii_case(word));
    if digits || word { text.parse().ok() } else { None }
}

fn text(text: String) -> Value {
    Value::Str(Rc::from(text))
}

/// The text of an argument whose type was checked before the call.
fn string(value: &Value) -> &str {
    match value {
        Value::Str(text) => text,
        _ => "",
    }
}

fn vector(value: &Value) -> &[Rc<Sample>] {
    match value {
        Value::Vector(samples) => samples,
        _ => &[],
    }
}

fn sample(value: &Value) -> Result<&Sample, String> {
    match value {
        Value::Sample(sample) => Ok(sample),
        _ => Err("no sample".to_owned()),
    }
}

fn query(scope: &Scope<'_>, args: &[Value]) -> Result<Value, String> {
    let samples = (scope.query)(string(&args[0]))?;
    Ok(Value::Vector(Rc::new(samples.into_iter().map(Rc::new).collect())))
}

fn first(_: &Scope<'_>, args: &[Value]) -> Result<Value, String> {
    match vector(&args[0]).first() {
        Some(sample) => Ok(Value::Sample(sample.clone())),
        None => Err("first() called on vector with no elements".to_owned()),
    }
}

fn label(_: &Scope<'_>, args: &[Value]) -> Result<Value, String> {
    Ok(Value::str(sample(&args[1])?.labels.get(string(&args[0])).unwrap_or("")))
}

fn value(_: &Scope<'_>, args: &[Value]) -> Result<Value, String> {
    Ok(Value::from(&sample(&args[0])?.value))
}

fn strvalue(_: &Scope<'_>, args: &[Value]) -> Result<Value, String> {
    Ok(Value::str(sample(&args[0])?.labels.get("__value__").unwrap_or("")))
}

fn sort_by_label(_: &Scope<'_>, args: &[Value]) -> Result<Value, String> {
    let name = string(&args[0]);
    let of = |labels: &Labels| labels.get(name).unwrap_or("").to_owned();
    let mut sorted = vector(&args[1]).to_vec();
    sorted.sort_by_cached_key(|sample| of(&sample.labels));
    Ok(Value::Vector(Rc::new(sorted)))
}

fn parse_duration(_: &Scope<'_>, args: &[Value]) -> Result<Value, String> {
    let ms = model::duration::parse_ms(string(&args[0])).map_err(|error| error.to_string())?;
    Ok(Value::Float(ms as f64 / 1000.0))
}

fn pattern(text: &str) -> Result<model::engine::Regex, String> {
    model::engine::compile(text).map_err(|error| format!("error parsing regexp: {error}"))
}

fn matches(_: &Scope<'_>, args: &[Value]) -> Result<Value, String> {
    Ok(Value::Bool(pattern(string(&args[0]))?.is_match(string(&args[1]))))
}

fn replace_all(_: &Scope<'_>, args: &[Value]) -> Result<Value, String> {
    let pattern = pattern(string(&args[0]))?;
    Ok(text(pattern.replace_all(string(&args[2]), string(&args[1])).into_owned()))
}

/// Sets the first letter of every word in upper case, as Go's `strings.Title`.
fn title(source: &str) -> String {
    let mut inside = false;
    let mut out = String::with_capacity(source.len());
    for c in source.chars() {
        if inside {
            out.push(c)
        } else {
            out.extend(c.to_uppercase())
        }
        inside = c.is_alphanumeric() || c == '_' || (!c.is_ascii() && !c.is_whitespace());
    }
    out
}

/// Splits `host:port` as Go's `net.SplitHostPort`: brackets around what has colons of its own.
fn host_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    (!host.contains(['[', ']']) && !port.contains(['[', ']'])).then_some((host, port))
}

fn strip_domain(source: &str) -> String {
    let (host, port) = host_port(source).unwrap_or((source, ""));
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    if bare.parse::<std::net::IpAddr>().is_ok() {
        return source.to_owned();
    }
    let first = host.split('.').next().unwrap_or("");
    if port.is_empty() { first.to_owned() } else { format!("{first}:{port}") }
}

/// Returns the page of an expression, relative to the external address.
pub fn link(expression: &str, tab: u8) -> String {
    format!("/graph?g0.expr={}&g0.tab={tab}", query_escape(expression))
}

fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or("", |at| &rest[at..])
}

/// Escapes as Go's `url.QueryEscape`.
pub fn query_escape(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    for byte in source.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte as char),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn length(value: &Value) -> Result<Value, String> {
    let length = match value {
        Value::Str(text) => text.len(),
        Value::Map(labels) => labels.len(),
        Value::Vector(samples) => samples.len(),
        Value::List(values) | Value::Args(values) => values.len(),
        Value::Nothing => return Err("len of nil pointer".to_owned()),
        other => return Err(format!("len of type {}", other.type_name())),
    };
    Ok(Value::Int(length as i64))
}

fn index(_: &Scope<'_>, args: &[Value]) -> Result<Value, String> {
    let mut item = args.first().cloned().unwrap_or(Value::Nothing);
    for key in &args[1..] {
        item = index_one(&item, key)?;
    }
    Ok(item)
}

fn index_one(item: &Value, key: &Value) -> Result<Value, String> {
    match (item, key) {
        (Value::Map(labels), Value::Str(name)) => Ok(Value::str(labels.get(name).unwrap_or(""))),
        (Value::Map(_), other) => Err(format!("value has type {}; should be string", other.type_name())),
        (Value::Vector(samples), key) => position(key, samples.len()).map(|at| Value::Sample(samples[at].clone())),
        (Value::List(values), key) => position(key, values.len()).map(|at| values[at].clone()),
        (Value::Str(text), key) => position(key, text.len()).map(|at| Value::Uint(u64::from(text.as_bytes()[at]))),
        (Value::Nothing, _) => Err("index of untyped nil".to_owned()),
        (other, _) => Err(format!("can't index item of type {}", other.type_name())),
    }
}

fn position(key: &Value, length: usize) -> Result<usize, String> {
    let Value::Int(at) = key else { return Err(format!("cannot index slice/array with type {}", key.type_name())) };
    usize::try_from(*at).ok().filter(|at| *at < length).ok_or_else(|| format!("index out of range: {at}"))
}

fn slice(_: &Scope<'_>, args: &[Value]) -> Result<Value, String> {
    let length = match &args[0] {
        Value::Str(text) => text.len(),
        Value::Vector(samples) => samples.len(),
        Value::List(values) => values.len(),
        Value::Nothing => return Err("slice of untyped nil".to_owned()),
        other => return Err(format!("can't slice item of type {}", other.type_name())),
    };
    let mut ends = [0, length];
    for (end, key) in ends.iter_mut().zip(&args[1..]) {
        *end = position(key, length + 1)?;
    }
    let [from, to] = ends;
    if args.len() > 3 || from > to {
        return Err(format!("invalid slice index: {from} > {to}"));
    }
    Ok(match &args[0] {
        Value::Str(source) => text(String::from_utf8_lossy(&source.as_bytes()[from..to]).into_owned()),
        Value::Vector(samples) => Value::Vector(Rc::new(samples[from..to].to_vec())),
        Value::List(values) => Value::List(Rc::new(values[from..to].to_vec())),
        _ => Value::Nothing,
    })
}

/// Go's `fmt.Sprint`: blanks between operands when neither is a text.
fn print(args: &[Value]) -> String {
    let mut out = String::new();
    for (i, value) in args.iter().enumerate() {
        let is_text = |value: &Value| matches!(value, Value::Str(_));
        if i > 0 && !is_text(value) && !is_text(&args[i - 1]) {
            out.push(' ');
        }
        print_operand(&mut out, value);
    }
    out
}

fn println(args: &[Value]) -> String {
    let mut out = String::new();
    for (i, value) in args.iter().enumerate() {
        out.push_str(if i > 0 { " " } else { "" });
        print_operand(&mut out, value);
    }
    out.push('\n');
    out
}

fn print_operand(out: &mut String, value: &Value) {
    if let Value::Nothing = value { out.push_str("<nil>") } else { value.print(out) }
}
