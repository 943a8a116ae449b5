//! Trees back to text: what Prometheus's `String()` prints, so that a printed expression parses to the same tree.
//!
//! Also Go's `%q` and `%v`, which many texts of the peer are made with.

use std::fmt::{self, Display, Formatter, Write};

use model::duration::DisplayMs;
use model::labels::NAME;
use model::{MatchOp, Matcher};

use crate::ast::*;

/// Returns a text as Go's `%q` prints it.
pub(crate) fn quote(text: &str) -> String {
    quote_bytes(text.as_bytes())
}

/// Returns bytes as Go's `%q` prints them; what is not UTF-8 becomes `\xff`.
pub(crate) fn quote_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            push_escaped(&mut out, c);
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out.push('"');
    out
}

fn push_escaped(out: &mut String, c: char) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\u{7}' => out.push_str("\\a"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{b}' => out.push_str("\\v"),
        c if c < ' ' || c == '\u{7f}' => {
            let _ = write!(out, "\\x{:02x}", u32::from(c));
        }
        c if c.is_control() || (c.is_whitespace() && c != ' ') || matches!(u32::from(c), 0xFEFF | 0xE000..=0xF8FF) => {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        }
        c => out.push(c),
    }
}

/// Returns a float as Go's `%g` and `%v` print it: an exponent below 1e-4 and from 1e6 on.
pub(crate) fn go_float(value: f64) -> String {
    let mut out = String::new();
    if value == 0.0 && value.is_sign_negative() {
        out.push('-');
    }
    model::float::write_exposition(&mut out, value);
    out
}

/// Returns a float as Go's `%f` prints it.
pub(crate) fn go_fixed(value: f64) -> String {
    if value.is_finite() { format!("{value:.6}") } else { plain_float(value) }
}

/// Returns a float without exponent, as literals are printed.
fn plain_float(value: f64) -> String {
    let mut out = String::new();
    model::float::write_plain(&mut out, value);
    out
}

/// Returns whether a label can be written without quotes.
pub(crate) fn is_plain_label(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b == b'_' || b.is_ascii_alphabetic())
        && bytes.all(|b| b == b'_' || b.is_ascii_alphanumeric())
}

struct LabelName<'a>(&'a str);

impl Display for LabelName<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if is_plain_label(self.0) { f.write_str(self.0) } else { f.write_str(&quote(self.0)) }
    }
}

struct LabelList<'a>(&'a [String]);

impl Display for LabelList<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, label) in self.0.iter().enumerate() {
            write!(f, "{}{}", if i == 0 { "" } else { ", " }, LabelName(label))?;
        }
        Ok(())
    }
}

/// A signed duration as Prometheus prints it.
struct SignedMs(i64);

impl Display for SignedMs {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.0 < 0 { "-" } else { "" }, DisplayMs(self.0.unsigned_abs()))
    }
}

impl Display for Length {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.expr {
            Some(expr) => expr.fmt(f),
            None => SignedMs(self.ms).fmt(f),
        }
    }
}

impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            DurationKind::Number { seconds, duration: true } => SignedMs((seconds * 1000.0).round() as i64).fmt(f),
            DurationKind::Number { seconds, .. } => f.write_str(&plain_float(*seconds)),
            DurationKind::Step => f.write_str("step()"),
            DurationKind::Range => f.write_str("range()"),
            DurationKind::Paren(inner) => write!(f, "({inner})"),
            DurationKind::Unary { negate, expr } => write!(f, "{}{expr}", if *negate { "-" } else { "" }),
            DurationKind::Binary { op, lhs, rhs } => write!(f, "{lhs} {} {rhs}", op.as_str()),
            DurationKind::MinOf(a, b) => write!(f, "min_of({a}, {b})"),
            DurationKind::MaxOf(a, b) => write!(f, "max_of({a}, {b})"),
        }
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Number { value, duration: true } => SignedMs((value * 1000.0).round() as i64).fmt(f),
            ExprKind::Number { value, .. } => f.write_str(&plain_float(*value)),
            ExprKind::Text(bytes) => f.write_str(&quote_bytes(bytes)),
            ExprKind::Paren(inner) => write!(f, "({inner})"),
            ExprKind::Unary { negate, expr } => write!(f, "{}{expr}", if *negate { "-" } else { "+" }),
            ExprKind::Binary(_) => write_chain(self, f),
            ExprKind::Vector(selector) => write_selector(selector, None, f),
            ExprKind::Matrix(matrix) => write_selector(&matrix.selector, Some(&matrix.range), f),
            ExprKind::Subquery(subquery) => write!(f, "{}{}", subquery.expr, SubqueryTail(subquery)),
            ExprKind::Call(call) => {
                write!(f, "{}(", call.function.name)?;
                for (i, arg) in call.args.iter().enumerate() {
                    write!(f, "{}{arg}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str(")")
            }
            ExprKind::Aggregate(aggregate) => {
                write!(f, "{}(", AggregateHead(aggregate))?;
                if let Some(param) = &aggregate.param {
                    write!(f, "{param}, ")?;
                }
                write!(f, "{})", aggregate.expr)
            }
        }
    }
}

/// What stands before the parenthesis of an aggregation.
pub(crate) struct AggregateHead<'a>(pub &'a Aggregate);

impl Display for AggregateHead<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.op.as_str())?;
        match (self.0.without, self.0.grouping.is_empty()) {
            (true, _) => write!(f, " without ({}) ", LabelList(&self.0.grouping)),
            (_, false) => write!(f, " by ({}) ", LabelList(&self.0.grouping)),
            _ => Ok(()),
        }
    }
}

/// Prints a binary expression and all those down its left side without recursion.
fn write_chain(expr: &Expr, f: &mut Formatter<'_>) -> fmt::Result {
    let mut spine = Vec::new();
    let mut left = expr;
    while let ExprKind::Binary(binary) = &left.kind {
        spine.push(&**binary);
        left = &binary.lhs;
    }
    left.fmt(f)?;
    for binary in spine.iter().rev() {
        write!(f, " {}{} {}", binary.op.as_str(), OperatorTail(binary), binary.rhs)?;
    }
    Ok(())
}

/// What stands between an operator and its right side.
pub(crate) struct OperatorTail<'a>(pub &'a Binary);

impl Display for OperatorTail<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0.bool_modifier {
            f.write_str(" bool")?;
        }
        let Some(matching) = &self.0.matching else { return Ok(()) };
        let grouped = matches!(matching.card, Cardinality::ManyToOne | Cardinality::OneToMany);
        if !matching.labels.is_empty() || matching.on || grouped {
            write!(f, " {} ({})", if matching.on { "on" } else { "ignoring" }, LabelList(&matching.labels))?;
        }
        if grouped {
            let side = if matching.card == Cardinality::ManyToOne { "left" } else { "right" };
            write!(f, " group_{side} ({})", LabelList(&matching.include))?;
        }
        match (matching.fill_left, matching.fill_right) {
            (Some(a), Some(b)) if a.to_bits() == b.to_bits() => write!(f, " fill ({})", go_float(a)),
            (a, b) => {
                for (side, value) in [("left", a), ("right", b)] {
                    if let Some(value) = value {
                        write!(f, " fill_{side} ({})", go_float(value))?;
                    }
                }
                Ok(())
            }
        }
    }
}

/// A matcher as Prometheus prints it: Go's quoting, and quotes around an odd label name.
pub(crate) struct MatcherText<'a>(pub &'a Matcher);

impl Display for MatcherText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", LabelName(&self.0.name), self.0.op.as_str(), quote(&self.0.value))
    }
}

fn write_selector(selector: &VectorSelector, range: Option<&Length>, f: &mut Formatter<'_>) -> fmt::Result {
    f.write_str(&selector.name)?;
    let implied = |matcher: &Matcher| {
        !selector.name.is_empty()
            && matcher.op == MatchOp::Equal
            && matcher.name == NAME
            && matcher.value == selector.name
    };
    let mut texts: Vec<String> =
        selector.matchers.iter().filter(|m| !implied(m)).map(|m| MatcherText(m).to_string()).collect();
    texts.sort_unstable();
    if !texts.is_empty() || selector.name.is_empty() {
        write!(f, "{{{}}}", texts.join(","))?;
    }
    if let Some(range) = range {
        write!(f, "[{range}]")?;
    }
    match selector.extension {
        Extension::None => {}
        Extension::Anchored => f.write_str(" anchored")?,
        Extension::Smoothed => f.write_str(" smoothed")?,
    }
    write_modifiers(selector.at, &selector.offset, f)
}

/// What stands behind the expression of a subquery.
pub(crate) struct SubqueryTail<'a>(pub &'a Subquery);

impl Display for SubqueryTail<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "[{}:", self.0.range)?;
        if let Some(step) = &self.0.step {
            step.fmt(f)?;
        }
        f.write_str("]")?;
        write_modifiers(self.0.at, &self.0.offset, f)
    }
}

fn write_modifiers(at: Option<At>, offset: &Length, f: &mut Formatter<'_>) -> fmt::Result {
    match at {
        None => {}
        Some(At::Time(time)) => write!(f, " @ {:.3}", time.as_seconds())?,
        Some(At::Start) => f.write_str(" @ start()")?,
        Some(At::End) => f.write_str(" @ end()")?,
    }
    if !offset.is_zero() {
        write!(f, " offset {offset}")?;
    }
    Ok(())
}
