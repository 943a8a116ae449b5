//! Cuts a Go template into text and tokens, with byte positions and lines as Go's `text/template/parse` counts them.
//!
//! Promises Go's trim markers (`{{- ` and ` -}}`), comments, raw strings and its very messages for what it refuses.
//! Everything is cut at once: templates are short ([`TEMPLATE_BYTES_MAX`](super::TEMPLATE_BYTES_MAX)). A fault ends the
//! list with one token of kind [`Kind::Error`], which the parser reports when it gets there, as Go's does.
//!
//! ```text
//! up {{ $value -}} !      Text("up ") Open Space Variable("$value") Close Text("!")
//! ```

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Open,
    Close,
    Space,
    Identifier,
    Keyword,
    Bool,
    Nil,
    Dot,
    Field,
    Variable,
    Number,
    Char,
    Str,
    RawStr,
    Declare,
    Assign,
    Pipe,
    LeftParen,
    RightParen,
    Comma,
    Error,
    End,
}

/// One token; `text` is its source (trimmed for text, the message for an error).
#[derive(Debug, Clone)]
pub struct Token {
    pub kind: Kind,
    pub text: String,
    pub pos: usize,
    pub line: usize,
}

const KEYWORDS: [&str; 10] = ["if", "else", "end", "range", "with", "define", "template", "block", "break", "continue"];

const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

/// Returns the tokens of a template; the last one is `End` or `Error`.
pub fn lex(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { text, at: 0, parens: 0, trim_next: false, tokens: Vec::new() };
    if let Err(message) = lexer.run() {
        lexer.push(Kind::Error, lexer.at, message);
    } else {
        lexer.push(Kind::End, text.len(), String::new());
    }
    lexer.tokens
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    parens: usize,
    trim_next: bool,
    tokens: Vec<Token>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at.min(self.text.len())..]
    }

    fn push(&mut self, kind: Kind, pos: usize, text: String) {
        let line = 1 + self.text[..pos.min(self.text.len())].matches('\n').count();
        self.tokens.push(Token { kind, text, pos, line });
    }

    /// Pushes the next `bytes` bytes as one token.
    fn take(&mut self, kind: Kind, bytes: usize) {
        let text = self.rest()[..bytes].to_owned();
        self.push(kind, self.at, text);
        self.at += bytes;
    }

    fn run(&mut self) -> Result<(), String> {
        loop {
            let open = self.rest().find("{{");
            self.text_until(open);
            if open.is_none() {
                return Ok(());
            }
            let trims = trims_left(&self.rest()[2..]);
            let skip = if trims { 3 } else { 2 };
            if self.rest()[skip..].trim_start_matches(SPACES).starts_with("/*") && self.comment_follows(skip) {
                self.comment(skip)?;
                continue;
            }
            self.push(Kind::Open, self.at, "{{".to_owned());
            self.at += skip;
            self.parens = 0;
            while !self.action_token()? {}
        }
    }

    /// Pushes text up to the next action, trimmed where a marker on either side says so.
    fn text_until(&mut self, open: Option<usize>) {
        let length = open.unwrap_or(self.rest().len());
        let mut text = &self.rest()[..length];
        let mut pos = self.at;
        if std::mem::take(&mut self.trim_next) {
            let trimmed = text.trim_start_matches(SPACES);
            pos += text.len() - trimmed.len();
            text = trimmed;
        }
        if open.is_some() && trims_left(&self.rest()[length + 2..]) {
            text = text.trim_end_matches(SPACES);
        }
        let text = text.to_owned();
        if !text.is_empty() {
            self.push(Kind::Text, pos, text);
        }
        self.at += length;
    }

    /// Go wants the comment right behind the delimiter, or behind the marker and its one space.
    fn comment_follows(&self, skip: usize) -> bool {
        let rest = &self.rest()[skip..];
        rest.starts_with("/*") || (skip == 3 && rest.get(1..).is_some_and(|rest| rest.starts_with("/*")))
    }

    fn comment(&mut self, skip: usize) -> Result<(), String> {
        let rest = &self.rest()[skip..];
        let end = rest.find("*/").ok_or("unclosed comment")?;
        let after = &rest[end + 2..];
        let (bytes, trim) = close(after).ok_or("comment ends before closing delimiter")?;
        self.trim_next = trim;
        self.at += skip + end + 2 + bytes;
        Ok(())
    }

    /// Pushes the next token of an action; returns whether the action is over.
    fn action_token(&mut self) -> Result<bool, String> {
        if let Some((bytes, trim)) = close(self.rest()) {
            if self.parens > 0 {
                return Err("unclosed left paren".to_owned());
            }
            self.push(Kind::Close, self.at, "}}".to_owned());
            self.at += bytes;
            self.trim_next = trim;
            return Ok(true);
        }
        let Some(first) = self.rest().chars().next() else { return Err("unclosed action".to_owned()) };
        let next = self.rest()[first.len_utf8()..].chars().next();
        match first {
            ' ' | '\t' | '\r' | '\n' => {
                let mut bytes = self.rest().len() - self.rest().trim_start_matches(SPACES).len();
                // The blank before ` -}}` belongs to the closing delimiter.
                if close(&self.rest()[bytes - 1..]).is_some_and(|(_, trim)| trim) {
                    bytes -= 1;
                }
                if bytes > 0 {
                    self.take(Kind::Space, bytes);
                }
            }
            '=' => self.take(Kind::Assign, 1),
            ':' if next == Some('=') => self.take(Kind::Declare, 2),
            ':' => return Err("expected :=".to_owned()),
            '|' => self.take(Kind::Pipe, 1),
            ',' => self.take(Kind::Comma, 1),
            '(' => {
                self.parens += 1;
                self.take(Kind::LeftParen, 1);
            }
            ')' => {
                self.parens = self.parens.checked_sub(1).ok_or("unexpected right paren")?;
                self.take(Kind::RightParen, 1);
            }
            '"' => self.quoted('"', Kind::Str, "unterminated quoted string")?,
            '\'' => self.quoted('\'', Kind::Char, "unterminated character constant")?,
            '`' => {
                let end = self.rest()[1..].find('`').ok_or("unterminated raw quoted string")?;
                self.take(Kind::RawStr, end + 2);
            }
            '$' => self.word(1, Kind::Variable)?,
            '.' if !next.is_some_and(|c| c.is_ascii_digit()) => match next {
                Some(c) if is_word(c) => self.word(1, Kind::Field)?,
                _ => self.word(1, Kind::Dot)?,
            },
            '+' | '-' | '.' | '0'..='9' => self.number()?,
            c if is_word(c) => self.identifier()?,
            c => return Err(format!("unrecognized character in action: {}", code_point(c))),
        }
        Ok(false)
    }

    fn quoted(&mut self, quote: char, kind: Kind, message: &str) -> Result<(), String> {
        let mut escaped = false;
        for (at, c) in self.rest().char_indices().skip(1) {
            match c {
                '\n' => break,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                c if c == quote => {
                    self.take(kind, at + 1);
                    return Ok(());
                }
                _ => {}
            }
        }
        Err(message.to_owned())
    }

    /// Pushes a field, a variable or a dot: `skip` bytes and the word behind them.
    fn word(&mut self, skip: usize, kind: Kind) -> Result<(), String> {
        let rest = &self.rest()[skip..];
        let word = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        self.check_terminator(&rest[word..])?;
        self.take(kind, skip + word);
        Ok(())
    }

    fn identifier(&mut self) -> Result<(), String> {
        let bytes = self.rest().find(|c| !is_word(c)).unwrap_or(self.rest().len());
        self.check_terminator(&self.rest()[bytes..])?;
        let kind = match &self.rest()[..bytes] {
            word if KEYWORDS.contains(&word) => Kind::Keyword,
            "true" | "false" => Kind::Bool,
            "nil" => Kind::Nil,
            _ => Kind::Identifier,
        };
        self.take(kind, bytes);
        Ok(())
    }

    fn number(&mut self) -> Result<(), String> {
        let rest = self.rest();
        let mut bytes = 0;
        for (at, c) in rest.char_indices() {
            let exponent = at > 0 && matches!(rest.as_bytes()[at - 1], b'e' | b'E' | b'p' | b'P');
            let sign = matches!(c, '+' | '-') && (at == 0 || exponent && !rest.starts_with("0x"));
            if !(sign || is_word(c) || c == '.') {
                break;
            }
            bytes = at + c.len_utf8();
        }
        if super::value::number(&rest[..bytes]).is_none() {
            return Err(format!("bad number syntax: {:?}", &rest[..bytes]));
        }
        self.take(Kind::Number, bytes);
        Ok(())
    }

    fn check_terminator(&self, rest: &str) -> Result<(), String> {
        match rest.chars().next() {
            None | Some(' ' | '\t' | '\r' | '\n' | '.' | ',' | '|' | ':' | '=' | ')' | '(') => Ok(()),
            Some(_) if close(rest).is_some() => Ok(()),
            Some(c) => Err(format!("bad character {}", code_point(c))),
        }
    }
}

fn trims_left(after_open: &str) -> bool {
    after_open.starts_with('-') && after_open[1..].starts_with(SPACES)
}

/// Returns the length of a closing delimiter and whether it trims what follows.
fn close(rest: &str) -> Option<(usize, bool)> {
    if rest.starts_with("}}") {
        return Some((2, false));
    }
    (rest.starts_with(SPACES) && rest[1..].starts_with("-}}")).then_some((4, true))
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// Prints a character as Go's `%#U`.
fn code_point(c: char) -> String {
    let code = format!("U+{:04X}", c as u32);
    if c.is_control() || (c.is_whitespace() && c != ' ') { code } else { format!("{code} '{c}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let tokens: Vec<String> = lex(text).iter().map(|t| format!("{:?}:{}", t.kind, t.text)).collect();
        assert_eq!(tokens.join(" "), expected, "{text}");
    }

    #[test]
    fn markers_trim_blanks_on_their_side() {
        check("a {{- 1 -}} b", "Text:a Open:{{ Space:  Number:1 Close:}} Text:b End:");
        check("a {{/* no */}} b", "Text:a  Text: b End:");
        check("a {{- /* no */ -}} b", "Text:a Text:b End:");
        check("{{-1}}", "Open:{{ Number:-1 Close:}} End:");
    }

    #[test]
    fn faults_end_the_list() {
        check("{{", "Open:{{ Error:unclosed action");
        check("{{#}}", "Open:{{ Error:unrecognized character in action: U+0023 '#'");
        check("{{\"a}}", "Open:{{ Error:unterminated quoted string");
        check("{{(1}}", "Open:{{ LeftParen:( Number:1 Error:unclosed left paren");
        check("{{1)}}", "Open:{{ Number:1 Error:unexpected right paren");
        check("{{ /* x", "Open:{{ Space:  Error:unrecognized character in action: U+002F '/'");
        check("{{1x}}", "Open:{{ Error:bad number syntax: \"1x\"");
    }

    #[test]
    fn words_are_told_apart() {
        check(
            "{{$x.Labels.a := .B | first}}",
            "Open:{{ Variable:$x Field:.Labels Field:.a Space:  Declare::= Space:  Field:.B Space:  Pipe:| Space:  \
             Identifier:first Close:}} End:",
        );
    }
}
