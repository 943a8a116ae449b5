//! Trees to JSON, as Prometheus's `/api/v1/parse_query` gives them: nested objects without positions.
//!
//! ```json
//! {"expr":{"matchers":[...],"name":"up","offset":0,...,"type":"vectorSelector"},"op":"-","type":"unaryExpr"}
//! ```
//!
//! Keys are in alphabetical order and texts escaped as Go's encoder does it, so that the bytes are the peer's. What a
//! query of level 3.5 cannot have (`anchored`, `smoothed`, fill values) has keys only where it is used. Chains down the
//! left side cost no stack. Lengths that are expressions have no number yet: 0.

use std::fmt::Write;

use model::{Matcher, UnixMs};

use crate::ast::*;

impl Expr {
    /// Appends the tree as a JSON object.
    pub fn write_json(&self, out: &mut String) {
        write(self, out);
    }
}

fn write(expr: &Expr, out: &mut String) {
    match &expr.kind {
        ExprKind::Number { value, .. } => {
            out.push_str("{\"type\":\"numberLiteral\",\"val\":\"");
            model::float::write_plain(out, *value);
            out.push_str("\"}");
        }
        ExprKind::Text(bytes) => {
            out.push_str("{\"type\":\"stringLiteral\",\"val\":");
            write_bytes(bytes, out);
            out.push('}');
        }
        ExprKind::Paren(inner) => {
            out.push_str("{\"expr\":");
            write(inner, out);
            out.push_str(",\"type\":\"parenExpr\"}");
        }
        ExprKind::Unary { negate, expr } => {
            out.push_str("{\"expr\":");
            write(expr, out);
            let op = if *negate { '-' } else { '+' };
            put(out, format_args!(",\"op\":\"{op}\",\"type\":\"unaryExpr\"}}"));
        }
        ExprKind::Binary(_) => write_chain(expr, out),
        ExprKind::Vector(selector) => write_selector(selector, None, out),
        ExprKind::Matrix(matrix) => write_selector(&matrix.selector, Some(&matrix.range), out),
        ExprKind::Subquery(subquery) => write_subquery(subquery, out),
        ExprKind::Call(call) => write_call(call, out),
        ExprKind::Aggregate(aggregate) => write_aggregate(aggregate, out),
    }
}

/// Writes a binary expression and all those down its left side without recursion.
fn write_chain(expr: &Expr, out: &mut String) {
    let mut spine = Vec::new();
    let mut left = expr;
    while let ExprKind::Binary(binary) = &left.kind {
        put(out, format_args!("{{\"bool\":{},\"lhs\":", binary.bool_modifier));
        spine.push(&**binary);
        left = &binary.lhs;
    }
    write(left, out);
    for binary in spine.iter().rev() {
        out.push_str(",\"matching\":");
        match &binary.matching {
            Some(matching) => write_matching(matching, out),
            None => out.push_str("null"),
        }
        out.push_str(",\"op\":");
        write_text(binary.op.as_str(), out);
        out.push_str(",\"rhs\":");
        write(&binary.rhs, out);
        out.push_str(",\"type\":\"binaryExpr\"}");
    }
}

fn write_matching(matching: &Matching, out: &mut String) {
    put(out, format_args!("{{\"card\":\"{}\"", matching.card.as_str()));
    if matching.fill_left.is_some() || matching.fill_right.is_some() {
        out.push_str(",\"fillValues\":{\"lhs\":");
        write_fill(matching.fill_left, out);
        out.push_str(",\"rhs\":");
        write_fill(matching.fill_right, out);
        out.push('}');
    }
    out.push_str(",\"include\":");
    write_labels(&matching.include, out);
    out.push_str(",\"labels\":");
    write_labels(&matching.labels, out);
    put(out, format_args!(",\"on\":{}}}", matching.on));
}

/// Writes a number; what JSON has no number for is a text.
fn write_fill(value: Option<f64>, out: &mut String) {
    match value {
        None => out.push_str("null"),
        Some(value) => {
            let quote = if value.is_finite() { "" } else { "\"" };
            out.push_str(quote);
            model::float::write_plain(out, value);
            out.push_str(quote);
        }
    }
}

fn write_selector(selector: &VectorSelector, range: Option<&Length>, out: &mut String) {
    out.push('{');
    if selector.extension == Extension::Anchored {
        out.push_str("\"anchored\":true,");
    }
    out.push_str("\"matchers\":");
    write_list(&selector.matchers, out, write_matcher);
    out.push_str(",\"name\":");
    write_text(&selector.name, out);
    put(out, format_args!(",\"offset\":{}", selector.offset.ms));
    if let Some(range) = range {
        put(out, format_args!(",\"range\":{}", range.ms));
    }
    if selector.extension == Extension::Smoothed {
        out.push_str(",\"smoothed\":true");
    }
    let (start_or_end, time) = at_parts(selector.at);
    let kind = if range.is_some() { "matrixSelector" } else { "vectorSelector" };
    put(out, format_args!(",\"startOrEnd\":{start_or_end},\"timestamp\":{time},\"type\":\"{kind}\"}}"));
}

fn write_matcher(matcher: &Matcher, out: &mut String) {
    out.push_str("{\"name\":");
    write_text(&matcher.name, out);
    put(out, format_args!(",\"type\":\"{}\",\"value\":", matcher.op.as_str()));
    write_text(&matcher.value, out);
    out.push('}');
}

fn write_subquery(subquery: &Subquery, out: &mut String) {
    out.push_str("{\"expr\":");
    write(&subquery.expr, out);
    put(out, format_args!(",\"offset\":{},\"range\":{}", subquery.offset.ms, subquery.range.ms));
    let step = subquery.step.as_ref().map_or(0, |step| step.ms);
    let (start_or_end, time) = at_parts(subquery.at);
    put(out, format_args!(",\"startOrEnd\":{start_or_end},\"step\":{step}"));
    put(out, format_args!(",\"timestamp\":{time},\"type\":\"subquery\"}}"));
}

/// Returns the values of `startOrEnd` and `timestamp`.
fn at_parts(at: Option<At>) -> (&'static str, String) {
    let null = || "null".to_owned();
    match at {
        None => ("null", null()),
        Some(At::Start) => ("\"start\"", null()),
        Some(At::End) => ("\"end\"", null()),
        Some(At::Time(UnixMs(ms))) => ("null", ms.to_string()),
    }
}

fn write_call(call: &Call, out: &mut String) {
    out.push_str("{\"args\":");
    write_list(&call.args, out, write);
    out.push_str(",\"func\":{\"argTypes\":");
    write_list(call.function.args, out, |kind, out| write_text(kind.as_str(), out));
    let Call { function, .. } = call;
    put(out, format_args!(",\"name\":\"{}\",\"returnType\":\"{}\"", function.name, function.returns.as_str()));
    put(out, format_args!(",\"variadic\":{}}},\"type\":\"call\"}}", function.variadic));
}

fn write_aggregate(aggregate: &Aggregate, out: &mut String) {
    out.push_str("{\"expr\":");
    write(&aggregate.expr, out);
    out.push_str(",\"grouping\":");
    write_labels(&aggregate.grouping, out);
    put(out, format_args!(",\"op\":\"{}\",\"param\":", aggregate.op.as_str()));
    match &aggregate.param {
        Some(param) => write(param, out),
        None => out.push_str("null"),
    }
    put(out, format_args!(",\"type\":\"aggregation\",\"without\":{}}}", aggregate.without));
}

fn write_labels(labels: &[String], out: &mut String) {
    write_list(labels, out, |label, out| write_text(label, out));
}

fn write_list<T>(items: &[T], out: &mut String, mut write: impl FnMut(&T, &mut String)) {
    out.push('[');
    for (i, item) in items.iter().enumerate() {
        out.push_str(if i == 0 { "" } else { "," });
        write(item, out);
    }
    out.push(']');
}

/// Writes bytes as a JSON string; each that is not UTF-8 becomes U+FFFD, as Go's encoder does it.
fn write_bytes(bytes: &[u8], out: &mut String) {
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        push_escaped(chunk.valid(), out);
        chunk.invalid().iter().for_each(|_| out.push_str("\\ufffd"));
    }
    out.push('"');
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    push_escaped(text, out);
    out.push('"');
}

fn push_escaped(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' || matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}') => {
                put(out, format_args!("\\u{:04x}", c as u32));
            }
            c => out.push(c),
        }
    }
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // A string takes everything.
    let _ = out.write_fmt(text);
}
