//! Go's `eq`, `ne`, `lt`, `le`, `gt` and `ge` for templates: only what has the same kind compares.
//!
//! An integer constant and a float do not compare in Go (`gt $value 5` fails, `gt $value 5.0` does not); the same
//! error is given here, because a rule file that only works with us is no rule file.

use std::cmp::Ordering;

use super::value::Value;

/// Returns whether the first value equals any of the others.
pub fn equal(args: &[Value]) -> Result<Value, String> {
    let Some((first, others)) = args.split_first().filter(|(_, others)| !others.is_empty()) else {
        return Err("missing argument for comparison".to_owned());
    };
    for other in others {
        if equals(first, other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn equals(a: &Value, b: &Value) -> Result<bool, String> {
    match (a, b) {
        (Value::Nothing, Value::Nothing) => Ok(true),
        (Value::Nothing, _) | (_, Value::Nothing) => Ok(false),
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Float(a), Value::Float(b)) => Ok(a == b),
        (Value::Map(_) | Value::Vector(_) | Value::List(_) | Value::Args(_), _) => {
            Err(format!("non-comparable type {}: {}", printed(a), a.type_name()))
        }
        _ => Ok(order(a, b)? == Some(Ordering::Equal)),
    }
}

fn printed(value: &Value) -> String {
    let mut out = String::new();
    value.print(&mut out);
    out
}

/// Returns whether the first value is less than the second.
pub fn less(a: &Value, b: &Value) -> Result<bool, String> {
    Ok(order(a, b)? == Some(Ordering::Less))
}

/// Returns whether the first value is at most the second.
pub fn less_or_equal(a: &Value, b: &Value) -> Result<bool, String> {
    Ok(matches!(order(a, b)?, Some(Ordering::Less | Ordering::Equal)))
}

fn order(a: &Value, b: &Value) -> Result<Option<Ordering>, String> {
    Ok(match (a, b) {
        (Value::Str(a), Value::Str(b)) => Some(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::Int(a) | Value::DurationNs(a), Value::Int(b) | Value::DurationNs(b)) => Some(a.cmp(b)),
        (Value::Uint(a), Value::Uint(b)) => Some(a.cmp(b)),
        (Value::Int(a), Value::Uint(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
        (Value::Uint(a), Value::Int(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
        (Value::Bool(_), Value::Bool(_)) => return Err("invalid type for comparison".to_owned()),
        _ => {
            let (a, b) = (a.type_name(), b.type_name());
            return Err(format!("incompatible types for comparison: {a} and {b}"));
        }
    })
}
