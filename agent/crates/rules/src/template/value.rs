//! The values a template works on, with the names Go's messages give their types, and how Go prints them.
//!
//! Maps are label sets or a few named values; lists are shared, because `$x := query ...` hands them around. Numbers
//! keep Go's difference between `int` and `float64`: `gt $value 5` is an error there, and here.

use std::rc::Rc;

use model::{Labels, UnixMs};

use super::gofmt;

/// One series of a query's result.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Its labels, metric name included.
    pub labels: Labels,
    /// Its value.
    pub value: Number,
}

/// What a series' value is.
#[derive(Debug, Clone, PartialEq)]
pub enum Number {
    /// A float.
    Float(f64),
    /// A native histogram, as PromQL prints it.
    Histogram(Rc<str>),
}

/// Any value within a template.
#[derive(Debug, Clone)]
pub enum Value {
    /// No value at all: Go's nil or an absent map entry.
    Nothing,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Str(Rc<str>),
    Histogram(Rc<str>),
    Time(UnixMs, i64),
    DurationNs(i64),
    Map(Labels),
    Sample(Rc<Sample>),
    Vector(Rc<Vec<Rc<Sample>>>),
    /// No rule's template makes one; the peer's cases have it as their dot.
    #[cfg_attr(not(test), expect(dead_code))]
    List(Rc<Vec<Value>>),
    Record(Rc<Vec<(&'static str, Value)>>),
    Args(Rc<Vec<Value>>),
}

impl Value {
    /// Returns a string value.
    pub fn str(text: &str) -> Value {
        Value::Str(Rc::from(text))
    }

    /// Returns the name Go has for the type.
    pub fn type_name(&self) -> String {
        let name = match self {
            Value::Nothing => "<nil>",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Uint(_) => "uint64",
            Value::Float(_) => "float64",
            Value::Str(_) => "string",
            Value::Histogram(_) => "*histogram.FloatHistogram",
            Value::Time(..) => "*time.Time",
            Value::DurationNs(_) => "time.Duration",
            Value::Map(_) => "map[string]string",
            Value::Sample(_) => "*template.sample",
            Value::Vector(_) => "template.queryResult",
            Value::List(_) => "[]interface {}",
            Value::Args(_) => "map[string]interface {}",
            Value::Record(fields) => return record_type(fields),
        };
        name.to_owned()
    }

    /// Returns whether Go takes it for true.
    pub fn truth(&self) -> bool {
        match self {
            Value::Nothing => false,
            Value::Bool(value) => *value,
            Value::Int(value) | Value::DurationNs(value) => *value != 0,
            Value::Uint(value) => *value != 0,
            Value::Float(value) => *value != 0.0,
            Value::Str(text) => !text.is_empty(),
            Value::Map(labels) => !labels.is_empty(),
            Value::Vector(samples) => !samples.is_empty(),
            Value::List(values) | Value::Args(values) => !values.is_empty(),
            Value::Histogram(_) | Value::Time(..) | Value::Sample(_) | Value::Record(_) => true,
        }
    }

    /// Appends the value as Go's `%v` prints it.
    pub fn print(&self, out: &mut String) {
        match self {
            Value::Nothing => out.push_str("<no value>"),
            Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Value::Int(value) => out.push_str(&value.to_string()),
            Value::Uint(value) => out.push_str(&value.to_string()),
            Value::Float(value) => gofmt::float(out, *value, 'g', None),
            Value::Str(text) | Value::Histogram(text) => out.push_str(text),
            Value::Time(at, ns) => out.push_str(&super::gotime::print(*at, *ns)),
            Value::DurationNs(ns) => super::gotime::print_duration(out, *ns),
            Value::Map(labels) => print_map(out, labels.iter().map(|(n, v)| (n, Value::str(v)))),
            Value::Sample(sample) => {
                out.push('{');
                Value::Map(sample.labels.clone()).print(out);
                out.push(' ');
                Value::from(&sample.value).print(out);
                out.push('}');
            }
            Value::Vector(samples) => print_list(out, samples.iter().map(|s| Value::Sample(s.clone()))),
            Value::List(values) => print_list(out, values.iter().cloned()),
            Value::Args(values) => {
                let names: Vec<String> = (0..values.len()).map(|i| format!("arg{i}")).collect();
                print_map(out, names.iter().map(String::as_str).zip(values.iter().cloned()));
            }
            Value::Record(fields) => {
                out.push('{');
                for (i, (_, value)) in fields.iter().enumerate() {
                    out.push_str(if i > 0 { " " } else { "" });
                    value.print(out);
                }
                out.push('}');
            }
        }
    }
}

impl From<&Number> for Value {
    fn from(number: &Number) -> Value {
        match number {
            Number::Float(value) => Value::Float(*value),
            Number::Histogram(text) => Value::Histogram(text.clone()),
        }
    }
}

fn record_type(fields: &[(&'static str, Value)]) -> String {
    let mut out = "struct {".to_owned();
    for (i, (name, value)) in fields.iter().enumerate() {
        let kind = if *name == "Value" { "interface {}".to_owned() } else { value.type_name() };
        out.push_str(if i > 0 { "; " } else { " " });
        out.push_str(name);
        out.push(' ');
        out.push_str(&kind);
    }
    out.push_str(" }");
    out
}

fn print_list(out: &mut String, values: impl Iterator<Item = Value>) {
    out.push('[');
    for (i, value) in values.enumerate() {
        out.push_str(if i > 0 { " " } else { "" });
        value.print(out);
    }
    out.push(']');
}

fn print_map<'a>(out: &mut String, entries: impl Iterator<Item = (&'a str, Value)>) {
    out.push_str("map[");
    for (i, (name, value)) in entries.enumerate() {
        out.push_str(if i > 0 { " " } else { "" });
        out.push_str(name);
        out.push(':');
        value.print(out);
    }
    out.push(']');
}

/// Returns what a number or character of a template stands for: a float where it has a point or an exponent.
pub fn number(text: &str) -> Option<Value> {
    if text.starts_with('\'') {
        let mut chars = unquote(text)?.chars().collect::<Vec<char>>().into_iter();
        return chars.next().filter(|_| chars.next().is_none()).map(|c| Value::Int(i64::from(u32::from(c))));
    }
    let clean = text.replace('_', "");
    let (sign, digits) = match clean.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, clean.strip_prefix('+').unwrap_or(&clean)),
    };
    let radix = |prefix: &str, radix| {
        let rest = digits.strip_prefix(prefix).or_else(|| digits.strip_prefix(&prefix.to_uppercase()))?;
        i64::from_str_radix(rest, radix).ok().filter(|_| !rest.starts_with(['+', '-'])).map(|n| Value::Int(sign * n))
    };
    if let Some(value) = radix("0x", 16).or_else(|| radix("0b", 2)).or_else(|| radix("0o", 8)) {
        return Some(value);
    }
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        if digits.len() > 1 && digits.starts_with('0') {
            return i64::from_str_radix(digits, 8).ok().map(|n| Value::Int(sign * n));
        }
        return clean.parse().ok().map(Value::Int).or_else(|| digits.parse().ok().map(Value::Uint));
    }
    clean.parse().ok().map(Value::Float)
}

/// Returns what a quoted Go string or character stands for.
pub fn unquote(source: &str) -> Option<String> {
    if let Some(raw) = source.strip_prefix('`') {
        return Some(raw.strip_suffix('`')?.replace('\r', ""));
    }
    let inner = source.get(1..source.len().checked_sub(1)?)?;
    let mut out = String::with_capacity(inner.len());
    let mut bytes: Vec<u8> = Vec::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let plain = match chars.next()? {
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => 10,
            'r' => 13,
            't' => 9,
            'v' => 11,
            c @ ('\\' | '\'' | '"') => c as u8,
            'x' => hex(&mut chars, 2)? as u8,
            'u' => {
                push_char(&mut bytes, hex(&mut chars, 4)?)?;
                continue;
            }
            'U' => {
                push_char(&mut bytes, hex(&mut chars, 8)?)?;
                continue;
            }
            c @ '0'..='7' => {
                let mut code = c.to_digit(8)?;
                for _ in 0..2 {
                    code = code * 8 + chars.next()?.to_digit(8)?;
                }
                u8::try_from(code).ok()?
            }
            _ => return None,
        };
        bytes.push(plain);
    }
    out.push_str(&String::from_utf8_lossy(&bytes));
    Some(out)
}

fn hex(chars: &mut std::str::Chars<'_>, digits: usize) -> Option<u32> {
    (0..digits).try_fold(0u32, |code, _| Some(code.checked_mul(16)? + chars.next()?.to_digit(16)?))
}

fn push_char(bytes: &mut Vec<u8>, code: u32) -> Option<()> {
    bytes.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut [0; 4]).as_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, printed: Option<&str>) {
        let value = number(text).map(|value| {
            let mut out = String::new();
            value.print(&mut out);
            format!("{} {out}", value.type_name())
        });
        assert_eq!(value.as_deref(), printed, "{text}");
    }

    #[test]
    fn numbers_are_ints_unless_they_look_like_floats() {
        check("12", Some("int 12"));
        check("-12", Some("int -12"));
        check("1.50", Some("float64 1.5"));
        check("1e3", Some("float64 1000"));
        check("1e6", Some("float64 1e+06"));
        check("0x1F", Some("int 31"));
        check("017", Some("int 15"));
        check(".5", Some("float64 0.5"));
        check("'a'", Some("int 97"));
        check("1_000", Some("int 1000"));
        check("1x", None);
        check("inf", None);
        check("-", None);
        check("18446744073709551615", Some("uint64 18446744073709551615"));
    }

    #[test]
    fn strings_are_unquoted_as_go_does() {
        for (source, text) in [
            (r#""a\tb\n""#, Some("a\tb\n")),
            ("`a\\n`", Some("a\\n")),
            (r#""\u00e9\x41\101""#, Some("\u{e9}AA")),
            (r#""\q""#, None),
            (r#""\x4""#, None),
        ] {
            assert_eq!(unquote(source).as_deref(), text, "{source}");
        }
    }

    #[test]
    fn maps_and_lists_print_as_go_prints_them() {
        let sample = Sample { labels: Labels::from_pairs([("b", "2"), ("a", "1")]), value: Number::Float(1e21) };
        let mut out = String::new();
        Value::Vector(Rc::new(vec![Rc::new(sample)])).print(&mut out);
        assert_eq!(out, "[{map[a:1 b:2] 1e+21}]");
    }
}
