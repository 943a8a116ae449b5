//! Types: what may stand where.
//!
//! Walks the finished tree once, children before parents, as Prometheus does, so that of several faults the same one
//! is named. Notes on the way which nodes evaluate the same at every step.

use model::labels::NAME;

use super::Parsed;
use crate::ast::*;
use crate::error::ParseError;
use crate::print::quote;

/// Checks a tree and completes it.
pub(super) fn check(text: &str, expr: &mut Expr) -> Parsed<()> {
    Checker { text }.node(expr).map(|_| ())
}

struct Checker<'a> {
    text: &'a str,
}

impl Checker<'_> {
    fn fail<T>(&self, span: Span, message: String) -> Parsed<T> {
        Err(ParseError::at(self.text, span.start as usize, message))
    }

    fn node(&self, expr: &mut Expr) -> Parsed<ValueType> {
        let span = expr.span;
        expr.fixed = match &mut expr.kind {
            ExprKind::Number { .. } | ExprKind::Text(_) => true,
            ExprKind::Paren(inner) => {
                self.node(inner)?;
                inner.fixed
            }
            ExprKind::Unary { expr, .. } => {
                let found = self.node(expr)?;
                if !matches!(found, ValueType::Scalar | ValueType::Vector) {
                    let text = "unary expression only allowed on expressions of type scalar or instant vector, got";
                    return self.fail(span, format!("{text} {}", quote(found.documented())));
                }
                expr.fixed
            }
            ExprKind::Binary(_) => return self.chain(expr),
            ExprKind::Vector(selector) => {
                self.selector(span, selector, false)?;
                selector.at.is_some()
            }
            ExprKind::Matrix(matrix) => {
                self.selector(span, &matrix.selector, false)?;
                matrix.selector.at.is_some()
            }
            ExprKind::Subquery(subquery) => {
                let found = match &subquery.expr.kind {
                    ExprKind::Subquery(_) => self.nested(subquery)?,
                    _ => self.node(&mut subquery.expr)?,
                };
                if found != ValueType::Vector {
                    let found = found.as_str();
                    return self.fail(span, format!("subquery is only allowed on instant vector, got {found} instead"));
                }
                subquery.at.is_some()
            }
            ExprKind::Call(call) => self.call(span, call)?,
            ExprKind::Aggregate(aggregate) => self.aggregate(aggregate)?,
        };
        Ok(expr.value_type())
    }

    /// Checks a binary expression and all those down its left side without recursion.
    fn chain(&self, expr: &mut Expr) -> Parsed<ValueType> {
        let mut spine = Vec::new();
        let mut next = std::mem::replace(expr, hole());
        let mut left = loop {
            match &mut next.kind {
                ExprKind::Binary(binary) => {
                    let lhs = std::mem::replace(&mut binary.lhs, hole());
                    spine.push(std::mem::replace(&mut next, lhs));
                }
                _ => break next,
            }
        };
        let mut found = self.node(&mut left)?;
        while let Some(mut parent) = spine.pop() {
            if let ExprKind::Binary(binary) = &mut parent.kind {
                let right = self.node(&mut binary.rhs)?;
                binary.lhs = left;
                self.binary(parent.span, binary, found, right)?;
                parent.fixed = binary.lhs.fixed && binary.rhs.fixed;
                let both = found == ValueType::Scalar && right == ValueType::Scalar;
                found = if both { ValueType::Scalar } else { ValueType::Vector };
            }
            left = parent;
        }
        *expr = left;
        Ok(found)
    }

    /// Returns what a subquery of a subquery ranges over, which is wrong in any case: without recursion, because a row of
    /// brackets may be long. The innermost fault is the one that is named.
    fn nested(&self, subquery: &mut Subquery) -> Parsed<ValueType> {
        let mut inner = std::mem::replace(&mut subquery.expr, hole());
        while let ExprKind::Subquery(next) = inner.kind {
            inner = next.expr;
        }
        let found = self.node(&mut inner)?;
        Ok(if found == ValueType::Vector { ValueType::Matrix } else { found })
    }

    fn binary(&self, span: Span, binary: &mut Binary, left: ValueType, right: ValueType) -> Parsed<()> {
        let operator = self.operator_span(binary);
        let op = binary.op;
        let scalars = left == ValueType::Scalar && right == ValueType::Scalar;
        if binary.bool_modifier && !op.is_comparison() {
            return self.fail(operator, "bool modifier can only be used on comparison operators".into());
        }
        if op.is_comparison() && !binary.bool_modifier && scalars {
            return self.fail(operator, "comparisons between scalars must use BOOL modifier".into());
        }
        let Some(matching) = &binary.matching else { return Ok(()) };
        if let Some(label) = matching.labels.iter().find(|label| matching.on && matching.include.contains(label)) {
            let text = format!("label {} must not occur in ON and GROUP clause at once", quote(label));
            return self.fail(operator, text);
        }
        for (side, found) in [(&binary.lhs, left), (&binary.rhs, right)] {
            if !matches!(found, ValueType::Scalar | ValueType::Vector) {
                let text = "binary expression must contain only scalar and instant vector types";
                return self.fail(side.span, text.into());
            }
        }
        let filled = matching.fill_left.is_some() || matching.fill_right.is_some();
        if left != ValueType::Vector || right != ValueType::Vector {
            if !matching.labels.is_empty() {
                return self.fail(span, "vector matching only allowed between instant vectors".into());
            }
            if filled {
                return self.fail(span, "filling in missing series only allowed between instant vectors".into());
            }
            if op.is_set() {
                let text = format!("set operator {} not allowed in binary scalar expression", quote(op.as_str()));
                return self.fail(span, text);
            }
            binary.matching = None;
        } else if op.is_set() {
            if matching.card != Cardinality::ManyToMany {
                return self.fail(span, format!("no grouping allowed for {} operation", quote(op.as_str())));
            }
            if filled {
                return self.fail(span, "filling in missing series not allowed for set operators".into());
            }
        }
        Ok(())
    }

    /// Returns where the operator stands: behind the left side and its blanks.
    fn operator_span(&self, binary: &Binary) -> Span {
        let start = binary.lhs.span.end as usize;
        let between = self.text.get(start..binary.rhs.span.start as usize).unwrap_or("");
        let blank = between.len() - between.trim_start().len();
        Span { start: (start + blank) as u32, end: binary.rhs.span.start, ..Span::default() }
    }

    fn selector(&self, span: Span, selector: &VectorSelector, bypass: bool) -> Parsed<()> {
        if !selector.name.is_empty() {
            let others = selector.matchers.split_last().map_or(&[][..], |(_, others)| others);
            if let Some(twice) = others.iter().find(|matcher| matcher.name == NAME) {
                let (a, b) = (quote(&selector.name), quote(&twice.value));
                return self.fail(span, format!("metric name must not be set twice: {a} or {b}"));
            }
            return Ok(());
        }
        if !bypass && selector.matchers.iter().all(|matcher| matcher.matches_empty()) {
            return self.fail(span, "vector selector must contain at least one non-empty matcher".into());
        }
        Ok(())
    }

    fn call(&self, span: Span, call: &mut Call) -> Parsed<bool> {
        let function = call.function;
        let name = quote(function.name);
        let (wanted, got) = (function.args.len(), call.args.len());
        let least = wanted - usize::from(function.variadic != 0).min(wanted);
        let most = usize::try_from(function.variadic).map_or(usize::MAX, |more| least + more);
        if function.variadic == 0 && got != wanted {
            return self.fail(span, format!("expected {wanted} argument(s) in call to {name}, got {got}"));
        }
        if got < least {
            return self.fail(span, format!("expected at least {least} argument(s) in call to {name}, got {got}"));
        }
        if function.variadic != 0 && got > most {
            return self.fail(span, format!("expected at most {most} argument(s) in call to {name}, got {got}"));
        }
        let mut fixed = !function.at_unsafe;
        for (i, arg) in call.args.iter_mut().enumerate() {
            if function.name == "info" && i == 1 {
                self.info_selector(arg)?;
                continue;
            }
            let Some(wanted) = function.args.get(i).or(function.args.last()) else { break };
            self.expect(arg, *wanted, || format!("call to function {name}"))?;
            fixed &= arg.fixed;
        }
        Ok(fixed)
    }

    fn info_selector(&self, arg: &Expr) -> Parsed<()> {
        match &arg.kind {
            ExprKind::Vector(selector) if selector.name.is_empty() => self.selector(arg.span, selector, true),
            ExprKind::Vector(_) => {
                self.fail(arg.span, "expected label selectors only, got vector selector instead".into())
            }
            _ => {
                let found = arg.value_type().documented();
                self.fail(arg.span, format!("expected label selectors in call to function \"info\", got {found}"))
            }
        }
    }

    fn aggregate(&self, aggregate: &mut Aggregate) -> Parsed<bool> {
        self.expect(&mut aggregate.expr, ValueType::Vector, || "aggregation expression".into())?;
        let mut fixed = aggregate.expr.fixed;
        if let Some(param) = &mut aggregate.param {
            let wanted = if aggregate.op == AggregateOp::CountValues { ValueType::Text } else { ValueType::Scalar };
            self.expect(param, wanted, || "aggregation parameter".into())?;
            fixed &= param.fixed;
        }
        Ok(fixed)
    }

    fn expect(&self, expr: &mut Expr, wanted: ValueType, context: impl Fn() -> String) -> Parsed<()> {
        let found = self.node(expr)?;
        if found == wanted {
            return Ok(());
        }
        let (wanted, found) = (wanted.documented(), found.documented());
        self.fail(expr.span, format!("expected type {wanted} in {}, got {found}", context()))
    }
}

fn hole() -> Expr {
    Expr { span: Span::default(), kind: ExprKind::Text(Vec::new()), height: 0, fixed: false }
}
