//! Text to tokens, one at a time, as Prometheus's lexer does it: braces and brackets switch what is a token.
//!
//! A token is a kind and a span; whoever wants the text slices it. Errors carry Prometheus's words and stand where
//! Prometheus says they stand (the start of what was being read). Linear: no byte is looked at more than a few
//! times. Comments and blanks are never seen by the parser.

use crate::ast::{AggregateOp, BinaryOp, Span};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    End,
    Identifier,
    MetricIdentifier,
    Number,
    Duration,
    Text,
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    Comma,
    Colon,
    Assign,
    MatchRegex,
    MatchNotRegex,
    At,
    Op(BinaryOp),
    Aggregator(AggregateOp),
    Keyword(Word),
}

/// A word with a meaning of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    By,
    Without,
    On,
    Ignoring,
    GroupLeft,
    GroupRight,
    Bool,
    Offset,
    Anchored,
    Smoothed,
    Fill,
    FillLeft,
    FillRight,
    Start,
    End,
    Step,
    Range,
    MinOf,
    MaxOf,
}

const WORDS: [(&str, Word); 15] = [
    ("by", Word::By),
    ("without", Word::Without),
    ("on", Word::On),
    ("ignoring", Word::Ignoring),
    ("group_left", Word::GroupLeft),
    ("group_right", Word::GroupRight),
    ("bool", Word::Bool),
    ("offset", Word::Offset),
    ("anchored", Word::Anchored),
    ("smoothed", Word::Smoothed),
    ("fill", Word::Fill),
    ("fill_left", Word::FillLeft),
    ("fill_right", Word::FillRight),
    ("start", Word::Start),
    ("end", Word::End),
];

/// Words that mean something only within durations.
const DURATION_WORDS: [(&str, Word); 4] =
    [("step", Word::Step), ("range", Word::Range), ("min_of", Word::MinOf), ("max_of", Word::MaxOf)];

impl Word {
    /// Returns whether Prometheus counts it among its keywords when it names it in an error.
    pub(crate) fn is_keyword(self) -> bool {
        !matches!(self, Word::Start | Word::End | Word::Step | Word::Range | Word::MinOf | Word::MaxOf)
    }

    /// Returns whether it can be a metric name.
    pub(crate) fn is_metric(self) -> bool {
        !matches!(self, Word::On | Word::Ignoring | Word::GroupLeft | Word::GroupRight | Word::Bool)
    }
}

/// A token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub kind: Kind,
    pub span: Span,
}

/// What is wrong, and from which byte on.
#[derive(Debug)]
pub(crate) struct LexError {
    pub at: usize,
    pub message: String,
}

/// Walks a text.
pub(crate) struct Lexer<'a> {
    text: &'a str,
    start: usize,
    pos: usize,
    /// The line of `start`, and where that line begins.
    line: u32,
    line_start: usize,
    paren_depth: i64,
    in_braces: bool,
    in_brackets: bool,
    /// Between `[` and `]` no identifier is read but the words of durations.
    in_duration: bool,
    got_colon: bool,
    got_duration: bool,
}

type Lexed = Result<Kind, LexError>;

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str) -> Lexer<'a> {
        Lexer {
            text,
            start: 0,
            pos: 0,
            line: 1,
            line_start: 0,
            paren_depth: 0,
            in_braces: false,
            in_brackets: false,
            in_duration: false,
            got_colon: false,
            got_duration: false,
        }
    }

    /// Returns the next token; at the end always the end.
    pub(crate) fn next(&mut self) -> Result<Token, LexError> {
        self.skip_blanks();
        self.count_lines();
        let kind = match (self.in_braces, self.in_duration) {
            (true, _) => self.inside_braces(),
            (_, true) => self.duration(),
            _ => self.statement(),
        }?;
        let column = (self.start - self.line_start) as u32 + 1;
        Ok(Token { kind, span: Span { start: self.start as u32, end: self.pos as u32, line: self.line, column } })
    }

    fn count_lines(&mut self) {
        for (at, byte) in self.text.as_bytes()[self.start..self.pos].iter().enumerate() {
            if *byte == b'\n' {
                self.line += 1;
                self.line_start = self.start + at + 1;
            }
        }
        self.start = self.pos;
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = &self.text.as_bytes()[self.pos..];
            match rest.first() {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.pos += 1,
                Some(b'#') => self.pos += rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()),
                _ => return,
            }
        }
    }

    fn peek(&self) -> Option<char> {
        match self.text.as_bytes().get(self.pos) {
            Some(byte) if byte.is_ascii() => Some(char::from(*byte)),
            _ => self.text[self.pos..].chars().next(),
        }
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.pos += next.len_utf8();
        Some(next)
    }

    fn accept(&mut self, set: &str) -> bool {
        let found = self.peek().is_some_and(|c| set.contains(c));
        self.pos += usize::from(found);
        found
    }

    fn fail<T>(&self, message: String) -> Result<T, LexError> {
        Err(LexError { at: self.start, message })
    }

    /// An error behind the token just read, as Prometheus reports those that follow an emitted token.
    fn fail_behind<T>(&self, message: String) -> Result<T, LexError> {
        Err(LexError { at: self.pos, message })
    }

    fn statement(&mut self) -> Lexed {
        let Some(c) = self.bump() else {
            return match (self.paren_depth != 0, self.in_brackets) {
                (true, _) => self.fail("unclosed left parenthesis".into()),
                (_, true) => self.fail("unclosed left bracket".into()),
                _ => Ok(Kind::End),
            };
        };
        Ok(match c {
            ',' => Kind::Comma,
            '*' => Kind::Op(BinaryOp::Mul),
            '/' => Kind::Op(BinaryOp::Div),
            '%' => Kind::Op(BinaryOp::Mod),
            '+' => Kind::Op(BinaryOp::Add),
            '-' => Kind::Op(BinaryOp::Sub),
            '^' => Kind::Op(BinaryOp::Pow),
            '@' => Kind::At,
            '=' if self.peek() == Some('~') => {
                return self.fail("unexpected character after '=': '~'".into());
            }
            '=' if self.accept("=") => Kind::Op(BinaryOp::Equal),
            '=' => Kind::Assign,
            '!' => match self.bump() {
                Some('=') => Kind::Op(BinaryOp::NotEqual),
                other => return self.fail(format!("unexpected character after '!': {}", quoted_char(other))),
            },
            '<' if self.accept("=") => Kind::Op(BinaryOp::LessOrEqual),
            '<' if self.accept("/") => Kind::Op(BinaryOp::TrimUpper),
            '<' => Kind::Op(BinaryOp::Less),
            '>' if self.accept("=") => Kind::Op(BinaryOp::GreaterOrEqual),
            '>' if self.accept("/") => Kind::Op(BinaryOp::TrimLower),
            '>' => Kind::Op(BinaryOp::Greater),
            '0'..='9' => return self.number_or_duration(),
            '.' if self.peek().is_some_and(|c| c.is_ascii_digit()) => return self.number_or_duration(),
            '"' | '\'' | '`' => return self.quoted(c),
            'a'..='z' | 'A'..='Z' | '_' | ':' if self.in_brackets => return self.colon(c),
            'a'..='z' | 'A'..='Z' | '_' | ':' => return Ok(self.word()),
            '(' | ')' => return self.paren(c),
            '[' | ']' if self.in_brackets == (c == '[') => {
                let side = if c == '[' { "left" } else { "right" };
                return self.fail(format!("unexpected {side} bracket '{c}'"));
            }
            '{' => {
                self.in_braces = true;
                Kind::LeftBrace
            }
            '[' => {
                (self.in_brackets, self.in_duration) = (true, true);
                (self.got_colon, self.got_duration) = (false, false);
                Kind::LeftBracket
            }
            ']' => {
                self.in_brackets = false;
                Kind::RightBracket
            }
            other => return self.fail(format!("unexpected character: {}", quoted_char(Some(other)))),
        })
    }

    fn paren(&mut self, c: char) -> Lexed {
        if c == '(' {
            self.paren_depth += 1;
            return Ok(Kind::LeftParen);
        }
        self.paren_depth -= 1;
        if self.paren_depth < 0 {
            return self.fail_behind("unexpected right parenthesis ')'".into());
        }
        Ok(Kind::RightParen)
    }

    fn inside_braces(&mut self) -> Lexed {
        let Some(c) = self.bump() else { return self.fail("unexpected end of input inside braces".into()) };
        Ok(match c {
            'a'..='z' | 'A'..='Z' | '_' => {
                while self.peek().is_some_and(is_word) {
                    self.pos += 1;
                }
                Kind::Identifier
            }
            ',' => Kind::Comma,
            '"' | '\'' | '`' => return self.quoted(c),
            '=' if self.accept("~") => Kind::MatchRegex,
            '=' => Kind::Assign,
            '!' => match self.bump() {
                Some('~') => Kind::MatchNotRegex,
                Some('=') => Kind::Op(BinaryOp::NotEqual),
                other => {
                    return self.fail(format!("unexpected character after '!' inside braces: {}", quoted_char(other)));
                }
            },
            '{' => return self.fail("unexpected left brace '{'".into()),
            '}' => {
                self.in_braces = false;
                Kind::RightBrace
            }
            other => return self.fail(format!("unexpected character inside braces: {}", quoted_char(Some(other)))),
        })
    }

    fn duration(&mut self) -> Lexed {
        let Some(c) = self.bump() else {
            return self.fail("unexpected end of input in duration expression".into());
        };
        Ok(match c {
            ']' => {
                (self.in_brackets, self.in_duration) = (false, false);
                Kind::RightBracket
            }
            ':' if !self.got_duration => {
                return self.fail_behind("unexpected colon before duration in duration expression".into());
            }
            ':' if self.got_colon => {
                return self.fail_behind("unexpected repeated colon in duration expression".into());
            }
            ':' => {
                self.got_colon = true;
                Kind::Colon
            }
            '(' | ')' => return self.paren(c),
            ',' => Kind::Comma,
            '+' => Kind::Op(BinaryOp::Add),
            '-' => Kind::Op(BinaryOp::Sub),
            '*' => Kind::Op(BinaryOp::Mul),
            '/' => Kind::Op(BinaryOp::Div),
            '%' => Kind::Op(BinaryOp::Mod),
            '^' => Kind::Op(BinaryOp::Pow),
            '0'..='9' => return self.number_or_duration(),
            '.' if self.peek().is_some_and(|c| c.is_ascii_digit()) => return self.number_or_duration(),
            's' | 'S' | 'm' | 'M' | 'r' | 'R' => match self.duration_word() {
                Some(kind) => kind,
                None => {
                    return self.fail(format!("unexpected character in duration expression: {}", quoted_char(Some(c))));
                }
            },
            other => {
                return self.fail(format!("unexpected character in duration expression: {}", quoted_char(Some(other))));
            }
        })
    }

    /// Behind a number between brackets, any letter stands for the colon in Prometheus.
    fn colon(&mut self, c: char) -> Lexed {
        if let Some(word) = self.duration_word() {
            return Ok(word);
        }
        if self.got_colon {
            return self.fail(format!("unexpected colon '{c}'"));
        }
        self.got_colon = true;
        Ok(Kind::Colon)
    }

    fn duration_word(&mut self) -> Option<Kind> {
        let end = self.text[self.start..].find(|c| !is_word(c)).map_or(self.text.len(), |n| self.start + n);
        let word = &self.text[self.start..end];
        let (_, found) = DURATION_WORDS.iter().find(|(text, _)| word.eq_ignore_ascii_case(text))?;
        self.pos = end;
        self.got_duration = true;
        Some(Kind::Keyword(*found))
    }

    fn word(&mut self) -> Kind {
        while self.peek().is_some_and(|c| is_word(c) || c == ':') {
            self.pos += 1;
        }
        let word = &self.text[self.start..self.pos];
        if word.contains(':') {
            return Kind::MetricIdentifier;
        }
        let same = |text: &str| word.eq_ignore_ascii_case(text);
        if same("inf") || same("nan") {
            return Kind::Number;
        }
        for op in [BinaryOp::And, BinaryOp::Or, BinaryOp::Unless, BinaryOp::Atan2] {
            if same(op.as_str()) {
                return Kind::Op(op);
            }
        }
        if let Some(op) = AggregateOp::ALL.into_iter().find(|op| same(op.as_str())) {
            return Kind::Aggregator(op);
        }
        match WORDS.iter().chain(&DURATION_WORDS).find(|(text, _)| same(text)) {
            Some((_, word)) => Kind::Keyword(*word),
            None => Kind::Identifier,
        }
    }

    fn quoted(&mut self, open: char) -> Lexed {
        loop {
            match self.bump() {
                Some('\\') if open != '`' => self.escape(open)?,
                None if open == '`' => return self.fail("unterminated raw string".into()),
                None => return self.fail("unterminated quoted string".into()),
                Some('\n') if open != '`' => return self.fail("unterminated quoted string".into()),
                Some(c) if c == open => return Ok(Kind::Text),
                Some(_) => {}
            }
        }
    }

    /// Checks an escape; what it stands for is found when the text is unquoted.
    fn escape(&mut self, open: char) -> Result<(), LexError> {
        let not_terminated = "escape sequence not terminated";
        let Some(c) = self.bump() else { return self.fail(not_terminated.into()) };
        let (digits, radix, largest) = match c {
            'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\' => return Ok(()),
            c if c == open => return Ok(()),
            '0'..='7' => {
                self.pos -= 1;
                (3, 8, 255)
            }
            'x' => (2, 16, 255),
            'u' => (4, 16, 0x10_FFFF),
            'U' => (8, 16, 0x10_FFFF),
            other => return self.fail(format!("unknown escape sequence {}", code_point(other))),
        };
        let mut value = 0u64;
        for _ in 0..digits {
            let Some(c) = self.bump() else { return self.fail(not_terminated.into()) };
            let Some(digit) = c.to_digit(radix) else {
                return self.fail(format!("illegal character {} in escape sequence", code_point(c)));
            };
            value = value * u64::from(radix) + u64::from(digit);
        }
        if value > largest || (0xD800..0xE000).contains(&value) {
            return self.fail("escape sequence is an invalid Unicode code point".into());
        }
        Ok(())
    }

    /// Reads a number or a duration; the first byte has been taken.
    fn number_or_duration(&mut self) -> Lexed {
        self.got_duration = true;
        self.pos = self.start;
        // As in Prometheus, what follows a number between brackets is read as outside of them.
        self.in_duration = false;
        if self.scan_number() {
            return Ok(Kind::Number);
        }
        if self.scan_duration() {
            return Ok(Kind::Duration);
        }
        self.fail(format!("bad number or duration syntax: {}", crate::print::quote(&self.text[self.start..self.pos])))
    }

    /// Reads a number as Prometheus does, whose oddities decide what is one: `0x1e` is not, for the `e`.
    fn scan_number(&mut self) -> bool {
        let first = self.pos;
        let hexadecimal = self.accept("0") && self.accept("xX");
        if hexadecimal {
            self.accept("_");
        }
        let digits = if hexadecimal { "0123456789abcdefABCDEF" } else { "0123456789" };
        self.accept(".");
        self.accept(digits);
        let (mut dot, mut exponent) = (false, false);
        while let Some(c) = self.peek().filter(|c| "._eE".contains(*c) || digits.contains(*c)) {
            self.pos += 1;
            let is_exponent = matches!(c, 'e' | 'E');
            if (c == '.' && dot) || (is_exponent && exponent) {
                return false;
            }
            let refused = match c {
                '.' => "_.",
                '_' => "._eE",
                _ if is_exponent => {
                    self.accept("+-");
                    "._eE"
                }
                _ => {
                    while self.accept(digits) {}
                    continue;
                }
            };
            dot |= c == '.';
            exponent |= is_exponent;
            if self.accept(refused) || if c == '.' { hexadecimal } else { self.peek().is_none() } {
                return false;
            }
        }
        self.pos != first && !self.peek().is_some_and(is_word)
    }

    fn scan_duration(&mut self) -> bool {
        if !self.accept("smhdwy") {
            return false;
        }
        self.accept("s");
        while self.accept("0123456789") {
            while self.accept("0123456789") {}
            if !self.accept("smhdw") {
                return false;
            }
            self.accept("s");
        }
        if self.peek().is_some_and(is_word) {
            self.pos += 1;
            return false;
        }
        true
    }
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_ascii_alphanumeric()
}

fn code_point(c: char) -> String {
    let shown = if c.is_control() { String::new() } else { format!(" '{c}'") };
    format!("U+{:04X}{shown}", u32::from(c))
}

/// A character as Go's `%q` prints it.
fn quoted_char(c: Option<char>) -> String {
    match c {
        None => "'\u{fffd}'".into(),
        Some('\'') => "'\\''".into(),
        Some('\\') => "'\\\\'".into(),
        Some('\n') => "'\\n'".into(),
        Some('\t') => "'\\t'".into(),
        Some('\r') => "'\\r'".into(),
        Some(c) if c.is_control() => format!("'\\x{:02x}'", u32::from(c)),
        Some(c) => format!("'{c}'"),
    }
}
