//! Durations in ranges and offsets: `5m`, `-30`, `(step() + 1m) * 2`, `min_of(range(), 1h)`.
//!
//! A literal becomes milliseconds here; anything else is kept as a tree and evaluated with the query, because it may
//! ask for the query's step and range.

use super::lex::{Kind, Token, Word};
use super::{Parsed, Parser, literal};
use crate::ast::*;

/// Seconds beyond which a number is no duration.
const SECONDS_MAX: f64 = (1u64 << 63) as f64 / 1e9;

impl Parser<'_> {
    /// Parses the length of a range or a step; `None` when there is none.
    #[inline(never)]
    pub(super) fn range_length(&mut self) -> Parsed<Option<Length>> {
        if !self.length_begins(true)? {
            return Ok(None);
        }
        let expr = self.length_expr(0)?;
        if let DurationKind::Number { seconds, .. } = expr.kind
            && seconds <= 0.0
        {
            return Err(self.error(expr.span, "duration must be greater than 0"));
        }
        self.length(expr).map(Some)
    }

    /// Parses what stands behind `offset`: one signed operand. Operators behind it belong to the expression.
    #[inline(never)]
    pub(super) fn offset_length(&mut self) -> Parsed<Option<Length>> {
        if !self.length_begins(true)? {
            return Ok(None);
        }
        let expr = self.length_operand(false)?;
        self.length(expr).map(Some)
    }

    fn length(&self, expr: DurationExpr) -> Parsed<Length> {
        // The innermost is what the peer comes upon first.
        let mut first = &expr;
        while let DurationKind::Paren(inner) | DurationKind::Binary { lhs: inner, .. } = &first.kind {
            first = inner;
        }
        let span = first.span;
        let length = Length::of(expr);
        if length.expr.is_some() && !self.features.duration_expressions {
            return Err(self.error(span, "experimental duration expression is not enabled"));
        }
        Ok(length)
    }

    fn length_begins(&mut self, signs: bool) -> Parsed<bool> {
        Ok(match self.peek()?.kind {
            Kind::Number | Kind::Duration | Kind::LeftParen => true,
            Kind::Op(BinaryOp::Add | BinaryOp::Sub) => signs,
            Kind::Keyword(Word::Step | Word::Range | Word::MinOf | Word::MaxOf) => self.paren_follows()?,
            _ => false,
        })
    }

    fn length_expr(&mut self, least: u8) -> Parsed<DurationExpr> {
        self.enter()?;
        let mut left = self.length_operand(true)?;
        while let Kind::Op(op) = self.peek()?.kind {
            use BinaryOp::*;
            if !matches!(op, Add | Sub | Mul | Div | Mod | Pow) || op.precedence() < least {
                break;
            }
            let sign = self.take()?;
            let right = self.length_expr(if op == Pow { op.precedence() } else { op.precedence() + 1 })?;
            if let DurationKind::Number { seconds: 0.0, .. } = right.kind {
                match op {
                    Div => return Err(self.error(sign.span, "division by zero")),
                    Mod => return Err(self.error(sign.span, "modulo by zero")),
                    _ => {}
                }
            }
            let (span, below) = (left.span.to(right.span), left.height.max(right.height));
            let kind = DurationKind::Binary { op, lhs: Box::new(left), rhs: Box::new(right) };
            left = self.length_node(span, below, kind)?;
        }
        self.nesting -= 1;
        Ok(left)
    }

    fn length_node(&self, span: Span, below: u32, kind: DurationKind) -> Parsed<DurationExpr> {
        if below >= super::HEIGHT_MAX {
            return Err(self.error(span, format!("expression is higher than {} operators", super::HEIGHT_MAX)));
        }
        Ok(DurationExpr { span, kind, height: below + 1 })
    }

    fn length_operand(&mut self, is_range: bool) -> Parsed<DurationExpr> {
        let token = self.peek()?;
        match token.kind {
            Kind::Op(op @ (BinaryOp::Add | BinaryOp::Sub)) => {
                self.take()?;
                if !self.length_begins(true)? {
                    return Err(self.unexpected("", ""));
                }
                let inner = match is_range {
                    true => self.length_expr(BinaryOp::Pow.precedence())?,
                    false => {
                        self.enter()?;
                        let inner = self.length_operand(is_range)?;
                        self.nesting -= 1;
                        inner
                    }
                };
                self.length_signed(token, op == BinaryOp::Sub, inner)
            }
            Kind::Number | Kind::Duration => {
                self.take()?;
                let seconds = literal::value(self.text, token)?;
                if seconds.is_nan() || seconds.abs() > SECONDS_MAX {
                    return Err(self.error(token.span, "duration out of range"));
                }
                let kind = DurationKind::Number { seconds, duration: token.kind == Kind::Duration };
                self.length_node(token.span, 0, kind)
            }
            Kind::LeftParen => {
                self.take()?;
                let inner = self.length_expr(0)?;
                let close = self.expect(Kind::RightParen, "", "")?;
                let below = inner.height;
                self.length_node(token.span.to(close.span), below, DurationKind::Paren(Box::new(inner)))
            }
            Kind::Keyword(word @ (Word::Step | Word::Range | Word::MinOf | Word::MaxOf)) => {
                self.length_function(token, word)
            }
            _ => Err(self.unexpected("", "")),
        }
    }

    fn length_signed(&mut self, sign: Token, negate: bool, mut inner: DurationExpr) -> Parsed<DurationExpr> {
        let span = sign.span.to(inner.span);
        if let DurationKind::Number { seconds, .. } = &mut inner.kind {
            if negate {
                *seconds = -*seconds;
            }
            inner.span = span;
            return Ok(inner);
        }
        let below = inner.height;
        self.length_node(span, below, DurationKind::Unary { negate, expr: Box::new(inner) })
    }

    fn length_function(&mut self, name: Token, word: Word) -> Parsed<DurationExpr> {
        self.take()?;
        self.expect(Kind::LeftParen, "", "")?;
        let (below, kind) = match word {
            Word::Step => (0, DurationKind::Step),
            Word::Range => (0, DurationKind::Range),
            _ => {
                let left = self.length_expr(0)?;
                self.expect(Kind::Comma, "", "")?;
                let right = self.length_expr(0)?;
                let below = left.height.max(right.height);
                let (left, right) = (Box::new(left), Box::new(right));
                (
                    below,
                    if word == Word::MinOf {
                        DurationKind::MinOf(left, right)
                    } else {
                        DurationKind::MaxOf(left, right)
                    },
                )
            }
        };
        let close = self.expect(Kind::RightParen, "", "")?;
        self.length_node(name.span.to(close.span), below, kind)
    }
}

impl Length {
    fn of(expr: DurationExpr) -> Length {
        match expr.kind {
            // Rounded to nanoseconds as Prometheus does, of which whole milliseconds count.
            DurationKind::Number { seconds, .. } => {
                Length { ms: ((seconds * 1e9).round() / 1e6).trunc() as i64, expr: None }
            }
            _ => Length { ms: 0, expr: Some(Box::new(expr)) },
        }
    }
}

const _: () = assert!(literal::DURATION_MS_MAX < i64::MAX as u64);
