//! What stands behind an operand: `[5m]`, `[1h:1m]`, `offset 5m`, `@ 123`, `anchored`, `smoothed`.
//!
//! Each may stand once; in which order is the peer's rule, and so are the texts when it does not. Durations may be
//! expressions where that feature is on.

use model::UnixMs;

use super::lex::{Kind, Word};
use super::{Parsed, Parser, literal};
use crate::ast::*;
use crate::error::ParseError;

impl Parser<'_> {
    /// Parses `[5m]`, `[1h:1m]`, `offset 5m`, `@ 123`, `anchored`, `smoothed`, as many as there are.
    pub(super) fn suffixes(&mut self, mut expr: Expr) -> Parsed<Expr> {
        loop {
            expr = match self.peek()?.kind {
                Kind::LeftBracket => self.range(expr)?,
                Kind::Keyword(Word::Offset) => self.offset(expr)?,
                Kind::Keyword(word @ (Word::Anchored | Word::Smoothed)) => self.extension(expr, word)?,
                Kind::At => self.at(expr)?,
                _ => return Ok(expr),
            };
        }
    }

    #[inline(never)]
    fn range(&mut self, expr: Expr) -> Parsed<Expr> {
        let open = self.take()?;
        self.length = ("subquery selector", "number or duration");
        let Some(range) = self.range_length()? else { return Err(self.unexpected("", "")) };
        match self.peek()?.kind {
            Kind::RightBracket => {
                let close = self.take()?;
                self.length = ("", "");
                self.matrix(expr, open.span.to(close.span), range)
            }
            Kind::Colon => {
                self.take()?;
                self.length.1 = "number or duration or \"]\"";
                let step = match self.peek()?.kind {
                    Kind::RightBracket => None,
                    _ => match self.range_length()? {
                        Some(step) => Some(step),
                        None => return Err(self.unexpected("", "")),
                    },
                };
                self.expect(Kind::RightBracket, "subquery selector", "\"]\"")?;
                self.length = ("", "");
                let (span, below) = (Span { end: self.end, ..expr.span }, expr.height);
                let subquery = Subquery { expr, range, step, offset: Length::default(), at: None };
                self.node(span, below, ExprKind::Subquery(Box::new(subquery)))
            }
            _ => Err(self.unexpected("subquery or range", "\":\" or \"]\"")),
        }
    }

    fn matrix(&mut self, expr: Expr, brackets: Span, range: Length) -> Parsed<Expr> {
        let problem = match &expr.kind {
            ExprKind::Vector(selector) if !selector.offset.is_zero() => "no offset modifiers allowed before range",
            ExprKind::Vector(selector) if matches!(selector.at, Some(At::Time(_))) => {
                "no @ modifiers allowed before range"
            }
            ExprKind::Vector(_) => "",
            _ => "ranges only allowed for vector selectors",
        };
        let span = expr.span.to(brackets);
        match expr.kind {
            ExprKind::Vector(selector) if problem.is_empty() => {
                let matrix = MatrixSelector { selector: *selector, range };
                self.node(span, 0, ExprKind::Matrix(Box::new(matrix)))
            }
            _ => Err(self.error(brackets, problem)),
        }
    }

    #[inline(never)]
    fn offset(&mut self, mut expr: Expr) -> Parsed<Expr> {
        self.take()?;
        self.length = ("offset", "number or duration");
        let Some(offset) = self.offset_length()? else { return Err(self.unexpected("", "")) };
        self.length = ("", "");
        let slot = match &mut expr.kind {
            ExprKind::Vector(selector) => &mut selector.offset,
            ExprKind::Matrix(matrix) => &mut matrix.selector.offset,
            ExprKind::Subquery(subquery) => &mut subquery.offset,
            _ => return Err(self.misplaced(&expr, "offset")),
        };
        if !slot.is_zero() {
            return Err(self.error(expr.span, "offset may not be set multiple times"));
        }
        *slot = offset;
        expr.span.end = self.end;
        Ok(expr)
    }

    fn misplaced(&self, expr: &Expr, what: &str) -> ParseError {
        let text = format!(
            "{what} modifier must be preceded by an instant vector selector or range vector selector or a subquery"
        );
        self.error(expr.span, text)
    }

    fn extension(&mut self, mut expr: Expr, word: Word) -> Parsed<Expr> {
        self.take()?;
        let (name, wanted) = match word {
            Word::Anchored => ("anchored", Extension::Anchored),
            _ => ("smoothed", Extension::Smoothed),
        };
        let slot = match &mut expr.kind {
            ExprKind::Vector(selector) => &mut selector.extension,
            ExprKind::Matrix(matrix) => &mut matrix.selector.extension,
            ExprKind::Subquery(_) => {
                return Err(self.error(expr.span, format!("{name} modifier is not supported for subqueries")));
            }
            _ => return Err(self.error(expr.span, format!("{name} modifier not implemented"))),
        };
        if !self.features.extended_range_selectors {
            return Err(self.error(expr.span, format!("{name} modifier is experimental and not enabled")));
        }
        if *slot != Extension::None && *slot != wanted {
            return Err(self.error(expr.span, "anchored and smoothed modifiers cannot be used together"));
        }
        *slot = wanted;
        expr.span.end = self.end;
        Ok(expr)
    }

    #[inline(never)]
    fn at(&mut self, mut expr: Expr) -> Parsed<Expr> {
        self.take()?;
        let at = match self.peek()?.kind {
            Kind::Keyword(word @ (Word::Start | Word::End)) => {
                self.take()?;
                self.expect(Kind::LeftParen, "@", "timestamp")?;
                self.expect(Kind::RightParen, "@", "timestamp")?;
                if word == Word::Start { At::Start } else { At::End }
            }
            _ => self.at_time(&expr)?,
        };
        let slot = match &mut expr.kind {
            ExprKind::Vector(selector) => &mut selector.at,
            ExprKind::Matrix(matrix) => &mut matrix.selector.at,
            ExprKind::Subquery(subquery) => &mut subquery.at,
            _ => return Err(self.misplaced(&expr, "@")),
        };
        if slot.is_some() {
            return Err(self.error(expr.span, "@ <timestamp> may not be set multiple times"));
        }
        *slot = Some(at);
        expr.span.end = self.end;
        Ok(expr)
    }

    fn at_time(&mut self, expr: &Expr) -> Parsed<At> {
        let negate = self.sign()?;
        let token = self.peek()?;
        if !matches!(token.kind, Kind::Number | Kind::Duration) {
            return Err(self.unexpected("@", "timestamp"));
        }
        self.take()?;
        let seconds = literal::value(self.text, token)? * if negate { -1.0 } else { 1.0 };
        let out_of_bounds = seconds.is_nan() || seconds.abs() >= i64::MAX as f64;
        if out_of_bounds {
            let shown = crate::print::go_fixed(seconds);
            return Err(self.error(expr.span, format!("timestamp out of bounds for @ modifier: {shown}")));
        }
        Ok(At::Time(UnixMs((seconds * 1000.0).round() as i64)))
    }
}
