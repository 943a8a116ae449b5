//! Trees to text over several lines, as Prometheus's `Prettify` does: what is longer than a line is broken at its
//! parentheses, arguments and operators, two blanks a level.
//!
//! ```text
//!   sum by (job) (rate(http_requests_total{group="canary"}[5m]))
//! / on (job)
//!   sum by (job) (rate(http_requests_total[5m]))
//! ```
//!
//! What fits is printed as `print` does. Chains down the left side cost no stack. Like the peer, a subquery that fits
//! on its line is not indented.

use std::fmt::{self, Display, Write};

use crate::ast::*;
use crate::print::{AggregateHead, OperatorTail, SubqueryTail};

/// The longest line that is left alone, in bytes.
const LINE_BYTES_MAX: usize = 100;

impl Expr {
    /// Returns the expression over as many lines as it needs; it parses to the same tree.
    pub fn pretty(&self) -> String {
        let mut out = String::new();
        write(self, 0, &mut out);
        out
    }
}

fn write(expr: &Expr, level: usize, out: &mut String) {
    match &expr.kind {
        ExprKind::Unary { negate, expr } => {
            indent(level, out);
            out.push(if *negate { '-' } else { '+' });
            let mut inner = String::new();
            write(expr, level, &mut inner);
            out.push_str(inner.trim());
        }
        ExprKind::Subquery(subquery) if is_long(expr) => {
            write(&subquery.expr, level, out);
            put(out, &SubqueryTail(subquery));
        }
        ExprKind::Subquery(_) => put(out, expr),
        ExprKind::Binary(_) if is_long(expr) => write_chain(expr, level, out),
        ExprKind::Paren(inner) if is_long(expr) => {
            indent(level, out);
            out.push_str("(\n");
            write(inner, level + 1, out);
            close(level, out);
        }
        ExprKind::Call(call) if is_long(expr) => {
            indent(level, out);
            put(out, &format_args!("{}(\n", call.function.name));
            for (i, arg) in call.args.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { ",\n" });
                write(arg, level + 1, out);
            }
            close(level, out);
        }
        ExprKind::Aggregate(aggregate) if is_long(expr) => {
            indent(level, out);
            put(out, &format_args!("{}(\n", AggregateHead(aggregate)));
            if let Some(param) = &aggregate.param {
                write(param, level + 1, out);
                out.push_str(",\n");
            }
            write(&aggregate.expr, level + 1, out);
            close(level, out);
        }
        _ => {
            indent(level, out);
            put(out, expr);
        }
    }
}

/// Writes a binary expression and all long ones down its left side without recursion.
fn write_chain(expr: &Expr, level: usize, out: &mut String) {
    let mut spine = Vec::new();
    let mut left = expr;
    while let ExprKind::Binary(binary) = &left.kind {
        if !is_long(left) {
            break;
        }
        spine.push(&**binary);
        left = &binary.lhs;
    }
    write(left, level + spine.len(), out);
    for (depth, binary) in spine.iter().enumerate().rev() {
        out.push('\n');
        indent(level + depth, out);
        put(out, &format_args!("{}{}\n", binary.op.as_str(), OperatorTail(binary)));
        write(&binary.rhs, level + depth + 1, out);
    }
}

fn close(level: usize, out: &mut String) {
    out.push('\n');
    indent(level, out);
    out.push(')');
}

fn indent(level: usize, out: &mut String) {
    (0..level).for_each(|_| out.push_str("  "));
}

fn put(out: &mut String, text: &dyn Display) {
    // A string takes everything.
    let _ = write!(out, "{text}");
}

/// Returns whether an expression does not fit on a line. Stops printing as soon as that is known.
fn is_long(expr: &Expr) -> bool {
    struct Room(usize);
    impl Write for Room {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 = self.0.checked_sub(text.len()).ok_or(fmt::Error)?;
            Ok(())
        }
    }
    write!(Room(LINE_BYTES_MAX), "{expr}").is_err()
}
