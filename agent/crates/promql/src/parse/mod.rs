//! Tokens to tree: a Pratt parser that accepts what Prometheus's grammar accepts and complains in its words.
//!
//! `lex` makes tokens, this file expressions, `selector` matchers and label lists, `suffix` ranges and offsets,
//! `length` durations, `check` types. The first error wins, at the position where Prometheus reports it. Nesting deeper than
//! `NESTING_MAX` and trees higher than `HEIGHT_MAX` are refused, so that neither this parser nor whoever walks the
//! tree runs out of stack; left-leaning chains (`a or b or c ...`) cost height but no nesting.

mod check;
mod length;
pub(crate) mod lex;
mod literal;
mod selector;
mod suffix;

use model::Matcher;

use crate::ast::*;
use crate::error::ParseError;
use crate::functions;
use crate::print::quote;
use lex::{Kind, Lexer, Token, Word};

pub(crate) use literal::number as parse_number;

/// The deepest nesting of parentheses, calls and operators.
pub const NESTING_MAX: u32 = 160;

/// The highest tree: nesting, and chains of left-associative operators.
pub const HEIGHT_MAX: u32 = 2_000;

/// Parts of the language that Prometheus accepts only behind a feature flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Features {
    /// `promql-experimental-functions`: functions and aggregations marked experimental.
    pub experimental_functions: bool,
    /// `promql-duration-expr`: arithmetic in ranges and offsets.
    pub duration_expressions: bool,
    /// `promql-extended-range-selectors`: `anchored` and `smoothed`.
    pub extended_range_selectors: bool,
    /// `promql-binop-fill-modifiers`: `fill`, `fill_left`, `fill_right`.
    pub fill_modifiers: bool,
}

impl Features {
    /// Everything there is.
    pub const ALL: Features = Features {
        experimental_functions: true,
        duration_expressions: true,
        extended_range_selectors: true,
        fill_modifiers: true,
    };

    /// Switches on what a name of Prometheus's `--enable-feature` stands for; returns whether it stands for a part of
    /// the language. `promql-delayed-name-removal` does not: it is the engine's.
    pub fn enable(&mut self, name: &str) -> bool {
        let part = match name {
            "promql-experimental-functions" => &mut self.experimental_functions,
            "promql-duration-expr" => &mut self.duration_expressions,
            "promql-extended-range-selectors" => &mut self.extended_range_selectors,
            "promql-binop-fill-modifiers" => &mut self.fill_modifiers,
            _ => return false,
        };
        *part = true;
        true
    }
}

/// Parses an expression and checks its types. What stands behind a feature flag in Prometheus is refused.
///
/// # Errors
/// The first thing wrong, in Prometheus's words and with its position.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    parse_with(text, Features::default())
}

/// Parses an expression with some of the language's features switched on.
///
/// # Errors
/// As [`parse`].
pub fn parse_with(text: &str, features: Features) -> Result<Expr, ParseError> {
    let mut parser = Parser { features, ..Parser::new(text) };
    if parser.peek()?.kind == Kind::End {
        return Err(parser.error(Span::default(), "no expression found in input"));
    }
    let mut expr = parser.expression(0)?;
    if parser.peek()?.kind != Kind::End {
        return Err(parser.unexpected("", ""));
    }
    check::check(text, &mut expr)?;
    Ok(expr)
}

/// Parses a selector without range, offset or `@`, as `match[]` wants it.
///
/// # Errors
/// As [`parse`], and when the text is another kind of expression.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, ParseError> {
    let expr = parse(text)?;
    match expr.kind {
        ExprKind::Vector(selector)
            if selector.offset.is_zero() && selector.at.is_none() && selector.extension == Extension::None =>
        {
            Ok(selector.matchers)
        }
        _ => Err(ParseError::at(text, expr.span.start as usize, "expected a series selector")),
    }
}

/// Parses a selector as the HTTP API takes it: a name, braces, or both, and nothing else. One that asks for nothing in
/// particular is accepted, as by Prometheus, whose endpoints judge that themselves.
///
/// # Errors
/// As [`parse`], where Prometheus's grammar of selectors gives up.
pub fn parse_metric_selector(text: &str) -> Result<Vec<Matcher>, ParseError> {
    let mut parser = Parser::new(text);
    let name = match parser.peek()?.kind {
        Kind::LeftBrace => None,
        Kind::Identifier | Kind::MetricIdentifier | Kind::Aggregator(_) => Some(parser.take()?),
        Kind::Op(BinaryOp::And | BinaryOp::Or | BinaryOp::Unless) => Some(parser.take()?),
        Kind::Keyword(word) if word.is_metric() => Some(parser.take()?),
        _ => return Err(parser.unexpected("", "")),
    };
    let expr = parser.selector(name)?;
    match (expr.kind, parser.peek()?.kind) {
        (ExprKind::Vector(selector), Kind::End) => Ok(selector.matchers),
        _ => Err(parser.unexpected("", "")),
    }
}

/// Parses the labels of a series between braces, as the test language writes them: `{a="b", "c d"="e"}`.
/// Returns them with the number of bytes read.
pub(crate) fn parse_label_set(text: &str) -> Result<(Vec<Matcher>, usize), ParseError> {
    let mut parser = Parser::new(text);
    let expr = parser.selector(None)?;
    match expr.kind {
        ExprKind::Vector(selector) => Ok((selector.matchers, parser.end as usize)),
        _ => Err(parser.error(expr.span, "expected a label set")),
    }
}

/// Walks the tokens of one text.
pub(crate) struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    /// The token that comes next, once it was looked at.
    ahead: Option<Token>,
    /// One behind the last byte of the token taken last.
    end: u32,
    nesting: u32,
    /// How many aggregations are open: what cannot stand there is reported as theirs.
    aggregations: u32,
    /// Where the length stands that is being read, and what is expected there; two empty texts outside of lengths.
    length: (&'static str, &'static str),
    features: Features,
}

type Parsed<T> = Result<T, ParseError>;

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Parser<'a> {
        Parser {
            text,
            lexer: Lexer::new(text),
            ahead: None,
            end: 0,
            nesting: 0,
            aggregations: 0,
            length: ("", ""),
            features: Features::default(),
        }
    }

    fn peek(&mut self) -> Parsed<Token> {
        if let Some(token) = self.ahead {
            return Ok(token);
        }
        let token = self.lexer.next().map_err(|error| ParseError::at(self.text, error.at, error.message))?;
        self.ahead = Some(token);
        Ok(token)
    }

    fn take(&mut self) -> Parsed<Token> {
        let token = self.peek()?;
        if token.kind != Kind::End {
            self.ahead = None;
            self.end = token.span.end;
        }
        Ok(token)
    }

    fn accept(&mut self, kind: Kind) -> Parsed<Option<Token>> {
        if self.peek()?.kind == kind { self.take().map(Some) } else { Ok(None) }
    }

    fn expect(&mut self, kind: Kind, context: &str, expected: &str) -> Parsed<Token> {
        match self.accept(kind)? {
            Some(token) => Ok(token),
            None => Err(self.unexpected(context, expected)),
        }
    }

    fn slice(&self, span: Span) -> &'a str {
        &self.text[span.start as usize..span.end as usize]
    }

    fn error(&self, span: Span, message: impl Into<String>) -> ParseError {
        ParseError::at(self.text, span.start as usize, message)
    }

    /// The error for a token that cannot stand where it does.
    #[cold]
    fn unexpected(&mut self, context: &str, expected: &str) -> ParseError {
        let token = match self.peek() {
            Ok(token) => token,
            Err(error) => return error,
        };
        let (context, expected) = match (context, self.length.0) {
            ("", "") if self.aggregations > 0 => ("aggregation", ""),
            ("", _) => self.length,
            _ => (context, expected),
        };
        let mut message = format!("unexpected {}", self.describe(token));
        for (word, text) in [(" in ", context), (", expected ", expected)] {
            if !text.is_empty() {
                message.push_str(word);
                message.push_str(text);
            }
        }
        self.error(token.span, message)
    }

    fn describe(&self, token: Token) -> String {
        let text = self.slice(token.span);
        let cut = || match text.chars().count() > 10 {
            true => format!("{}...", quote(&text.chars().take(10).collect::<String>())),
            false => quote(text),
        };
        match token.kind {
            Kind::End => "end of input".into(),
            Kind::Identifier => format!("identifier {}", quote(text)),
            Kind::MetricIdentifier => format!("metric identifier {}", quote(text)),
            Kind::Text => format!("string {}", cut()),
            Kind::Number => format!("number {}", cut()),
            Kind::Duration => format!("duration {}", cut()),
            // The sign has no name in the peer's table but the number of its token.
            Kind::At => "\"<Item 57400>\" <op:@>".into(),
            Kind::Op(_) | Kind::MatchRegex | Kind::MatchNotRegex => format!("<op:{text}>"),
            Kind::Aggregator(_) => format!("<aggr:{text}>"),
            Kind::Keyword(word) if word.is_keyword() => format!("<{text}>"),
            _ => cut(),
        }
    }

    /// Makes a node, or refuses it as too high.
    fn node(&self, span: Span, below: u32, kind: ExprKind) -> Parsed<Expr> {
        let height = below + 1;
        if height > HEIGHT_MAX {
            return Err(self.error(span, format!("expression is higher than {HEIGHT_MAX} operators")));
        }
        Ok(Expr { span, kind, height, fixed: false })
    }

    /// Goes one level down; `leave` comes back.
    fn enter(&mut self) -> Parsed<()> {
        self.nesting += 1;
        if self.nesting > NESTING_MAX {
            let span = Span { start: self.end, end: self.end, ..Span::default() };
            return Err(self.error(span, format!("expression is nested deeper than {NESTING_MAX} levels")));
        }
        Ok(())
    }

    /// Parses operators that bind at least as tightly as `least`.
    fn expression(&mut self, least: u8) -> Parsed<Expr> {
        self.enter()?;
        let mut left = self.operand()?;
        while let Kind::Op(op) = self.peek()?.kind {
            if op.precedence() < least {
                break;
            }
            self.take()?;
            left = self.binary(op, left)?;
        }
        self.nesting -= 1;
        Ok(left)
    }

    #[inline(never)]
    fn binary(&mut self, op: BinaryOp, lhs: Expr) -> Parsed<Expr> {
        let mut binary = self.modifiers(op)?;
        let least = if op == BinaryOp::Pow { op.precedence() } else { op.precedence() + 1 };
        let rhs = self.expression(least)?;
        let (span, below) = (lhs.span.to(rhs.span), lhs.height.max(rhs.height));
        (binary.lhs, binary.rhs) = (lhs, rhs);
        self.node(span, below, ExprKind::Binary(binary))
    }

    /// Parses what stands between an operator and its right side: `bool on(a) group_left(b) fill(0)`.
    #[inline(never)]
    fn modifiers(&mut self, op: BinaryOp) -> Parsed<Box<Binary>> {
        let bool_modifier = self.accept(Kind::Keyword(Word::Bool))?.is_some();
        let mut matching = Matching {
            card: if op.is_set() { Cardinality::ManyToMany } else { Cardinality::OneToOne },
            labels: Vec::new(),
            on: false,
            include: Vec::new(),
            fill_left: None,
            fill_right: None,
        };
        if let Kind::Keyword(word @ (Word::On | Word::Ignoring)) = self.peek()?.kind {
            self.take()?;
            matching.on = word == Word::On;
            matching.labels = self.grouping()?;
            if let Kind::Keyword(side @ (Word::GroupLeft | Word::GroupRight)) = self.peek()?.kind {
                self.take()?;
                matching.card = match side {
                    Word::GroupLeft => Cardinality::ManyToOne,
                    _ => Cardinality::OneToMany,
                };
                if self.peek()?.kind == Kind::LeftParen || !self.begins_operand()? {
                    matching.include = self.grouping()?;
                }
            }
        }
        while let Kind::Keyword(word @ (Word::Fill | Word::FillLeft | Word::FillRight)) = self.peek()?.kind {
            if !self.paren_follows()? {
                break;
            }
            self.fill(word, &mut matching)?;
        }
        let hole = || Expr { span: Span::default(), kind: ExprKind::Text(Vec::new()), height: 0, fixed: false };
        Ok(Box::new(Binary { op, lhs: hole(), rhs: hole(), bool_modifier, matching: Some(matching) }))
    }

    fn fill(&mut self, word: Word, matching: &mut Matching) -> Parsed<()> {
        let name = self.take()?;
        if !self.features.fill_modifiers {
            return Err(self.error(name.span, "binary operator fill modifiers are experimental and not enabled"));
        }
        self.take()?;
        let negate = self.sign()?;
        let number = match self.peek()?.kind {
            Kind::Number | Kind::Duration => self.take()?,
            _ => return Err(self.unexpected("fill value", "number")),
        };
        let value = literal::value(self.text, number)? * if negate { -1.0 } else { 1.0 };
        self.expect(Kind::RightParen, "fill value", "\")\"")?;
        let twice = match word {
            Word::FillLeft => matching.fill_left.replace(value).is_some(),
            Word::FillRight => matching.fill_right.replace(value).is_some(),
            _ => matching.fill_left.replace(value).is_some() | matching.fill_right.replace(value).is_some(),
        };
        if twice {
            return Err(self.error(name.span, "fill modifier must not be set twice for one side"));
        }
        Ok(())
    }

    /// Takes a sign; returns whether it is minus.
    fn sign(&mut self) -> Parsed<bool> {
        match self.peek()?.kind {
            Kind::Op(BinaryOp::Sub) => self.take().map(|_| true),
            Kind::Op(BinaryOp::Add) => self.take().map(|_| false),
            _ => Ok(false),
        }
    }

    /// Returns whether an opening parenthesis stands behind the next token.
    fn paren_follows(&mut self) -> Parsed<bool> {
        let token = self.peek()?;
        Ok(self.text[token.span.end as usize..].trim_start().starts_with('('))
    }

    /// Parses a signed primary with what stands behind it: ranges, `offset`, `@`.
    fn operand(&mut self) -> Parsed<Expr> {
        if let Kind::Op(op @ (BinaryOp::Add | BinaryOp::Sub)) = self.peek()?.kind {
            let sign = self.take()?;
            let inner = self.expression(BinaryOp::Pow.precedence())?;
            return self.signed(sign, op == BinaryOp::Sub, inner);
        }
        let expr = self.primary()?;
        self.suffixes(expr)
    }

    fn signed(&mut self, sign: Token, negate: bool, mut inner: Expr) -> Parsed<Expr> {
        let span = sign.span.to(inner.span);
        if let ExprKind::Number { value, .. } = &mut inner.kind {
            if negate {
                *value = -*value;
            }
            inner.span = span;
            return Ok(inner);
        }
        let below = inner.height;
        self.node(span, below, ExprKind::Unary { negate, expr: Box::new(inner) })
    }

    #[inline(never)]
    fn primary(&mut self) -> Parsed<Expr> {
        let token = self.peek()?;
        match token.kind {
            Kind::Number | Kind::Duration => {
                self.take()?;
                let value = literal::value(self.text, token)?;
                let kind = ExprKind::Number { value, duration: token.kind == Kind::Duration };
                self.node(token.span, 0, kind)
            }
            Kind::Text => {
                self.take()?;
                self.node(token.span, 0, ExprKind::Text(literal::unquote(self.slice(token.span))))
            }
            Kind::LeftParen => self.parenthesised(),
            Kind::LeftBrace => self.selector(None),
            Kind::MetricIdentifier | Kind::Op(BinaryOp::And | BinaryOp::Or | BinaryOp::Unless) => {
                self.take()?;
                self.selector(Some(token))
            }
            Kind::Aggregator(op) => {
                self.take()?;
                match self.peek()?.kind {
                    Kind::LeftParen | Kind::Keyword(Word::By | Word::Without) => self.aggregate(token, op),
                    _ => self.selector(Some(token)),
                }
            }
            Kind::Identifier => self.named(token),
            Kind::Keyword(word) if word.is_metric() => match word.is_keyword() {
                true => {
                    self.take()?;
                    self.selector(Some(token))
                }
                false => self.named(token),
            },
            _ => Err(self.unexpected("", "")),
        }
    }

    /// Returns whether an operand can begin with the next token.
    fn begins_operand(&mut self) -> Parsed<bool> {
        Ok(match self.peek()?.kind {
            Kind::Number | Kind::Duration | Kind::Text | Kind::LeftParen | Kind::LeftBrace => true,
            Kind::Identifier | Kind::MetricIdentifier | Kind::Aggregator(_) => true,
            Kind::Op(op) => op.is_set() || matches!(op, BinaryOp::Add | BinaryOp::Sub),
            Kind::Keyword(word) => word.is_metric(),
            _ => false,
        })
    }

    #[inline(never)]
    fn parenthesised(&mut self) -> Parsed<Expr> {
        let open = self.take()?;
        let inner = self.expression(0)?;
        let close = self.expect(Kind::RightParen, "", "")?;
        let below = inner.height;
        self.node(open.span.to(close.span), below, ExprKind::Paren(Box::new(inner)))
    }

    /// Parses a call or a selector: both begin with a name.
    fn named(&mut self, token: Token) -> Parsed<Expr> {
        self.take()?;
        match self.peek()?.kind {
            Kind::LeftParen => self.call(token),
            _ => self.selector(Some(token)),
        }
    }

    #[inline(never)]
    fn call(&mut self, name: Token) -> Parsed<Expr> {
        let args = self.arguments()?;
        let Some(function) = functions::find(self.slice(name.span)) else {
            let text = format!("unknown function with name {}", quote(self.slice(name.span)));
            return Err(self.error(name.span, text));
        };
        if function.experimental && !self.features.experimental_functions {
            return Err(self.error(name.span, format!("function {} is not enabled", quote(function.name))));
        }
        let span = Span { end: self.end, ..name.span };
        let below = args.iter().map(|arg| arg.height).max().unwrap_or(0);
        self.node(span, below, ExprKind::Call(Box::new(Call { function, args })))
    }

    fn arguments(&mut self) -> Parsed<Vec<Expr>> {
        self.expect(Kind::LeftParen, "", "")?;
        let mut args = Vec::new();
        if self.accept(Kind::RightParen)?.is_some() {
            return Ok(args);
        }
        loop {
            args.push(self.expression(0)?);
            let Some(comma) = self.accept(Kind::Comma)? else { break };
            if !self.begins_operand()? {
                return Err(self.error(comma.span, "trailing commas not allowed in function call args"));
            }
        }
        self.expect(Kind::RightParen, "", "")?;
        Ok(args)
    }

    #[inline(never)]
    fn aggregate(&mut self, name: Token, op: AggregateOp) -> Parsed<Expr> {
        self.aggregations += 1;
        let mut modifier = self.by_or_without()?;
        let mut args = self.arguments()?;
        self.aggregations -= 1;
        if modifier.is_none() {
            modifier = self.by_or_without()?;
        }
        let span = Span { end: self.end, ..name.span };
        if op.is_experimental() && !self.features.experimental_functions {
            let flag = "must be enabled with --enable-feature=promql-experimental-functions";
            return Err(self.error(span, format!("{}() is experimental and {flag}", op.as_str())));
        }
        let wanted = 1 + usize::from(op.takes_parameter());
        match args.len() {
            0 => return Err(self.error(span, "no arguments for aggregate expression provided")),
            got if got != wanted => {
                let text = format!(
                    "wrong number of arguments for aggregate expression provided, expected {wanted}, got {got}"
                );
                return Err(self.error(span, text));
            }
            _ => {}
        }
        let below = args.iter().map(|arg| arg.height).max().unwrap_or(0);
        let Some(expr) = args.pop() else { return Err(self.unexpected("", "")) };
        let (without, grouping) = modifier.unwrap_or_default();
        let aggregate = Aggregate { op, expr, param: args.pop(), grouping, without };
        self.node(span, below, ExprKind::Aggregate(Box::new(aggregate)))
    }

    fn by_or_without(&mut self) -> Parsed<Option<(bool, Vec<String>)>> {
        match self.peek()?.kind {
            Kind::Keyword(word @ (Word::By | Word::Without)) => {
                self.take()?;
                Ok(Some((word == Word::Without, self.grouping()?)))
            }
            _ => Ok(None),
        }
    }
}
