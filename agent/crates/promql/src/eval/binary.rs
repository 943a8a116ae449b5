//! Binary operators: chains without recursion, scalars with scalars, vectors with scalars.
//!
//! A long chain of `or` or `+` is walked in a loop, so its length costs no stack. Vectors with vectors are in
//! `matching`; what an operator does to two numbers is in `operators`.

use std::sync::Arc;

use model::{ResetHint, is_stale_nan};

use super::operators::{arithmetic, compare};
use super::{Cx, Sink, Unique};
use crate::ast::*;
use crate::error::EvalError;
use crate::value::{Grid, Point, Series, Val};

impl Cx<'_> {
    /// Evaluates a binary expression and all those down its left side, innermost first.
    pub(super) fn chain(&self, expr: &Expr, grid: &Grid) -> Result<Val, EvalError> {
        let mut spine: Vec<(Span, &Binary)> = Vec::new();
        let mut left = expr;
        while let ExprKind::Binary(binary) = &left.kind {
            if !spine.is_empty() && left.fixed && grid.steps > 1 {
                break;
            }
            spine.push((left.span, binary));
            left = &binary.lhs;
        }
        let mut value = self.eval(left, grid)?;
        while let Some((span, binary)) = spine.pop() {
            let right = self.eval(&binary.rhs, grid)?;
            value = self.binary(span, binary, value, right, grid)?;
        }
        Ok(value)
    }

    fn binary(&self, span: Span, binary: &Binary, left: Val, right: Val, grid: &Grid) -> Result<Val, EvalError> {
        Ok(match (left, right) {
            (Val::Scalar(mut a), Val::Scalar(b)) => {
                a.iter_mut().zip(b).for_each(|(a, b)| *a = arithmetic(binary.op, *a, b));
                Val::Scalar(a)
            }
            (Val::Vector(all), Val::Scalar(scalar)) => {
                Val::Vector(self.all_with_scalar(span, binary, all, &scalar, false)?)
            }
            (Val::Scalar(scalar), Val::Vector(all)) => {
                Val::Vector(self.all_with_scalar(span, binary, all, &scalar, true)?)
            }
            (Val::Vector(left), Val::Vector(right)) => {
                let out = match binary.op.is_set() {
                    true => self.set(binary, &left, &right, grid)?,
                    false => self.matched(span, binary, &left, &right, grid)?,
                };
                self.drop_vector(&left);
                self.drop_vector(&right);
                Val::Vector(out)
            }
            _ => return Err(EvalError::new("a string is no operand")),
        })
    }

    fn all_with_scalar(
        &self,
        span: Span,
        binary: &Binary,
        all: Vec<Series>,
        scalar: &[f64],
        swapped: bool,
    ) -> Result<Vec<Series>, EvalError> {
        self.drop_vector(&all);
        let mut out = Vec::with_capacity(all.len());
        let mut unique = Unique::new(self);
        let drops = binary.bool_modifier || !binary.op.keeps_name();
        for mut series in all {
            self.with_scalar(span, binary, &mut series, scalar, swapped);
            if series.is_empty() {
                continue;
            }
            match drops {
                true => unique.pass(series, &mut |series| {
                    out.push(series);
                    Ok(())
                })?,
                false => out.push(series),
            }
        }
        unique.finish(&mut |series| {
            out.push(series);
            Ok(())
        })?;
        out.iter().try_for_each(|series| self.hold_series(series))?;
        Ok(out)
    }

    /// Streams a vector through an operator whose other side is a scalar.
    pub(super) fn stream_with_scalar(
        &self,
        span: Span,
        binary: &Binary,
        grid: &Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), EvalError> {
        let swapped = binary.lhs.value_type() == ValueType::Scalar;
        let (vector, scalar) = if swapped { (&binary.rhs, &binary.lhs) } else { (&binary.lhs, &binary.rhs) };
        let scalar = match swapped {
            true => self.scalar(scalar, grid)?,
            false => self.scalar_after(vector, scalar, grid)?,
        };
        let drops = binary.bool_modifier || !binary.op.keeps_name();
        let mut unique = Unique::of(self, vector);
        self.each(vector, grid, &mut |mut series| {
            self.with_scalar(span, binary, &mut series, &scalar, swapped);
            match (series.is_empty(), drops) {
                (true, _) => Ok(()),
                (_, true) => unique.pass(series, sink),
                _ => sink(series),
            }
        })?;
        unique.finish(sink)
    }

    fn with_scalar(&self, span: Span, binary: &Binary, series: &mut Series, scalar: &[f64], swapped: bool) {
        if binary.bool_modifier || !binary.op.keeps_name() {
            self.drop_name(series);
        }
        let op = binary.op;
        if series.hists.is_empty() && !matches!(op, BinaryOp::TrimLower | BinaryOp::TrimUpper) {
            for (value, scalar) in series.floats.iter_mut().zip(scalar) {
                if is_stale_nan(*value) {
                    continue;
                }
                let (a, b) = if swapped { (*scalar, *value) } else { (*value, *scalar) };
                if !op.is_comparison() {
                    *value = arithmetic(op, a, b);
                } else if binary.bool_modifier {
                    *value = f64::from(u8::from(compare(op, a, b)));
                } else if !compare(op, a, b) {
                    *value = model::stale_nan();
                }
            }
            return;
        }
        for (step, scalar) in scalar.iter().enumerate() {
            let Some(point) = series.get(step) else { continue };
            let scalar = Point::Float(*scalar);
            let (a, b) = if swapped { (&scalar, &point) } else { (&point, &scalar) };
            let (result, known) = self.element(span, op, a, b);
            let result = match (op.is_comparison(), binary.bool_modifier) {
                (true, true) if known => Some(Point::Float(f64::from(u8::from(result.is_some())))),
                (true, false) if swapped => result.map(|_| point.clone()),
                _ => result,
            };
            series.set(step, result);
        }
    }

    /// Computes one pair. A comparison returns the left side where it holds. The flag says whether the operator is
    /// defined for such operands at all; where it is not, an info says so.
    pub(super) fn element(&self, span: Span, op: BinaryOp, a: &Point, b: &Point) -> (Option<Point>, bool) {
        use BinaryOp::*;
        let hist = |hist| Some(Point::Hist(Arc::new(hist)));
        let result = match (a, b) {
            (Point::Float(a), Point::Float(b)) => match op {
                TrimUpper | TrimLower => return self.undefined(span, op, "float", "float"),
                _ if op.is_comparison() => compare(op, *a, *b).then_some(Point::Float(*a)),
                _ => Some(Point::Float(arithmetic(op, *a, *b))),
            },
            (Point::Float(factor), Point::Hist(h)) => match op {
                Mul => {
                    let mut h = (**h).clone();
                    h.scale(*factor);
                    hist(h)
                }
                _ => return self.undefined(span, op, "float", "histogram"),
            },
            (Point::Hist(h), Point::Float(value)) => {
                let mut h = (**h).clone();
                match op {
                    Mul => h.scale(*value),
                    Div => h.divide(*value),
                    TrimUpper => h.trim(*value, true),
                    TrimLower => h.trim(*value, false),
                    _ => return self.undefined(span, op, "histogram", "float"),
                }
                hist(h)
            }
            (Point::Hist(x), Point::Hist(y)) => match op {
                Equal => x.same_as(y).then(|| a.clone()),
                NotEqual => (!x.same_as(y)).then(|| a.clone()),
                Add | Sub => return (self.combine_hists(span, op, x, y).and_then(hist), true),
                _ => return self.undefined(span, op, "histogram", "histogram"),
            },
        };
        (result, true)
    }

    fn combine_hists(
        &self,
        span: Span,
        op: BinaryOp,
        a: &crate::hist::Hist,
        b: &crate::hist::Hist,
    ) -> Option<crate::hist::Hist> {
        let mut result = a.clone();
        let (combined, what) = match op {
            BinaryOp::Add => (result.add(b), "addition"),
            _ => (result.subtract(b), "subtraction"),
        };
        let Ok(combined) = combined else {
            self.warn(span, &format!("incompatible bucket layout encountered for binary operator {}", op.as_str()));
            return None;
        };
        if combined.collision {
            self.warn(span, &format!("conflicting counter resets during histogram {what}"));
        }
        if combined.reconciled {
            self.info(span, &format!("mismatched custom buckets were reconciled during {what}"));
        }
        if op == BinaryOp::Sub {
            result.hint = ResetHint::Gauge;
        }
        Some(result)
    }

    fn undefined(&self, span: Span, op: BinaryOp, a: &str, b: &str) -> (Option<Point>, bool) {
        let op = op.as_str();
        self.info(span, &format!("incompatible sample types encountered for binary operator \"{op}\": {a} {op} {b}"));
        (None, false)
    }
}
