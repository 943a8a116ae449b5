//! Selectors (`name{label="value", ...}`) and lists of labels (`by (a, b)`).
//!
//! Names may be quoted, and then be any UTF-8. A selector that matches everything is refused, as it is by the peer.
//! What follows a selector is in `suffix`.

use model::{MatchOp, Matcher, labels::NAME};

use super::lex::{Kind, Token, Word};
use super::{Parsed, Parser, literal};
use crate::ast::*;

impl Parser<'_> {
    /// Parses a selector; its name, if it has one, was taken.
    #[inline(never)]
    pub(super) fn selector(&mut self, name: Option<Token>) -> Parsed<Expr> {
        let mut span = match name {
            Some(token) => token.span,
            None => self.peek()?.span,
        };
        let mut matchers = Vec::new();
        if name.is_none() || self.peek()?.kind == Kind::LeftBrace {
            self.matchers(&mut matchers)?;
            span.end = self.end;
        }
        let name = name.map_or("", |token| self.slice(token.span));
        if !name.is_empty() {
            matchers.push(Matcher::equal(NAME, name));
        }
        let selector = VectorSelector {
            name: name.to_owned(),
            matchers,
            offset: Length::default(),
            at: None,
            extension: Extension::None,
        };
        self.node(span, 0, ExprKind::Vector(Box::new(selector)))
    }

    fn matchers(&mut self, out: &mut Vec<Matcher>) -> Parsed<()> {
        self.take()?;
        loop {
            if self.accept(Kind::RightBrace)?.is_some() {
                return Ok(());
            }
            out.push(self.matcher()?);
            if self.accept(Kind::Comma)?.is_none() {
                self.expect(Kind::RightBrace, "label matching", "\",\" or \"}\"")?;
                return Ok(());
            }
        }
    }

    fn matcher(&mut self) -> Parsed<Matcher> {
        let label = self.peek()?;
        if !matches!(label.kind, Kind::Identifier | Kind::Text) {
            return Err(self.unexpected("label matching", "identifier or \"}\""));
        }
        self.take()?;
        let text = self.slice(label.span);
        let name = match label.kind {
            Kind::Text => String::from_utf8_lossy(&literal::unquote(text)).into_owned(),
            _ => text.to_owned(),
        };
        let op = match self.peek()?.kind {
            Kind::Assign => MatchOp::Equal,
            Kind::Op(BinaryOp::NotEqual) => MatchOp::NotEqual,
            Kind::MatchRegex => MatchOp::Regex,
            Kind::MatchNotRegex => MatchOp::NotRegex,
            Kind::Comma | Kind::RightBrace if label.kind == Kind::Text => return Ok(Matcher::equal(NAME, &name)),
            _ if label.kind == Kind::Text => return Err(self.unexpected("label matching", "\",\" or \"}\"")),
            _ => return Err(self.unexpected("label matching", "label matching operator")),
        };
        self.take()?;
        let value = self.expect(Kind::Text, "label matching", "string")?;
        let bytes = literal::unquote(self.slice(value.span));
        Matcher::new(&name, op, &String::from_utf8_lossy(&bytes))
            .map_err(|error| self.error(label.span, format!("error parsing regexp: {}", error.reason)))
    }

    /// Parses `(a, b, "c d")`.
    pub(super) fn grouping(&mut self) -> Parsed<Vec<String>> {
        self.expect(Kind::LeftParen, "grouping opts", "\"(\"")?;
        let mut labels = Vec::new();
        if self.accept(Kind::RightParen)?.is_some() {
            return Ok(labels);
        }
        loop {
            labels.push(self.grouping_label()?);
            match self.peek()?.kind {
                Kind::Comma => {
                    self.take()?;
                    if self.accept(Kind::RightParen)?.is_some() {
                        return Ok(labels);
                    }
                }
                Kind::RightParen => {
                    self.take()?;
                    return Ok(labels);
                }
                _ => return Err(self.unexpected("grouping opts", "\",\" or \")\"")),
            }
        }
    }

    fn grouping_label(&mut self) -> Parsed<String> {
        let token = self.peek()?;
        let text = self.slice(token.span);
        let label = match token.kind {
            Kind::Text => String::from_utf8_lossy(&literal::unquote(text)).into_owned(),
            Kind::Keyword(Word::Without) => return Err(self.unexpected("grouping opts", "label")),
            Kind::Identifier | Kind::Aggregator(_) | Kind::Keyword(_) | Kind::MetricIdentifier => text.to_owned(),
            Kind::Op(BinaryOp::And | BinaryOp::Or | BinaryOp::Unless | BinaryOp::Atan2) => text.to_owned(),
            _ => return Err(self.unexpected("grouping opts", "label")),
        };
        self.take()?;
        Ok(label)
    }
}
