//! Cuts a scraped text into tokens exactly as Prometheus's two generated lexers do.
//!
//! What is a token depends on where in a line one is, so each state has its function. Where nothing fits, the token
//! is `Invalid` and the position is that of the byte that did not fit, as in the peer: its error texts quote from
//! the token's start to one byte behind that position, and ours are the same.
//!
//! Deliberately different: a NUL byte where an entry may begin is invalid, and is kept in a comment. The peer takes
//! it for the end of the text there and drops the rest of a scrape without a word.
//!
//! Sources: Prometheus, `model/textparse/promlex.l` and `openmetricslex.l`.

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Invalid,
    Eof,
    Linebreak,
    Help,
    Type,
    Unit,
    EofWord,
    Text,
    Comment,
    Name,
    Quoted,
    BraceOpen,
    BraceClose,
    LabelName,
    LabelValue,
    Comma,
    Equal,
    Timestamp,
    Value,
}

impl Token {
    /// Returns the token's name in error texts.
    pub(super) fn name(self) -> &'static str {
        match self {
            Token::Invalid => "INVALID",
            Token::Eof => "EOF",
            Token::Linebreak => "LINEBREAK",
            Token::Help => "HELP",
            Token::Type => "TYPE",
            Token::Unit => "UNIT",
            Token::EofWord => "EOFWORD",
            Token::Text => "TEXT",
            Token::Comment => "COMMENT",
            Token::Name => "MNAME",
            Token::Quoted => "QSTRING",
            Token::BraceOpen => "BOPEN",
            Token::BraceClose => "BCLOSE",
            Token::LabelName => "LNAME",
            Token::LabelValue => "LVALUE",
            Token::Comma => "COMMA",
            Token::Equal => "EQUAL",
            Token::Timestamp => "TIMESTAMP",
            Token::Value => "VALUE",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Init,
    Comment,
    MetaName,
    MetaText,
    Labels,
    LabelValue,
    Value,
    Timestamp,
    Exemplar,
    ExemplarValue,
    ExemplarTimestamp,
}

const LETTER: u8 = 1;
const DIGIT: u8 = 2;
const COLON: u8 = 4;
/// Ends a value: blank, newline, NUL; and in Prometheus text a tab or a brace.
const VALUE_END: u8 = 8;
const PROM_VALUE_END: u8 = 16;
/// Ends the plain part of a quoted text: quote, backslash.
const QUOTE: u8 = 32;

const CLASS: [u8; 256] = {
    let mut class = [0u8; 256];
    let mut i = 0;
    while i < 26 {
        class[b'a' as usize + i] = LETTER;
        class[b'A' as usize + i] = LETTER;
        i += 1;
    }
    class[b'_' as usize] = LETTER;
    class[b':' as usize] = COLON;
    let mut i = 0;
    while i < 10 {
        class[b'0' as usize + i] = DIGIT;
        i += 1;
    }
    class[0] = VALUE_END | PROM_VALUE_END;
    class[b' ' as usize] = VALUE_END | PROM_VALUE_END;
    class[b'\n' as usize] = VALUE_END | PROM_VALUE_END;
    class[b'\t' as usize] = PROM_VALUE_END;
    class[b'{' as usize] = PROM_VALUE_END;
    class[b'"' as usize] = QUOTE;
    class[b'\\' as usize] = QUOTE;
    class
};

/// Where in a text the reading is. The fields are offsets of bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lexer<'a> {
    pub(super) bytes: &'a [u8],
    /// Where the token begins.
    pub(super) start: usize,
    /// Where the next token begins, or the byte that did not fit.
    pub(super) at: usize,
    /// Whether the last quoted text has a backslash.
    pub(super) escaped: bool,
    is_open: bool,
    state: State,
}

impl<'a> Lexer<'a> {
    /// Returns a lexer for OpenMetrics or for Prometheus text, which is read as if a newline followed.
    pub(super) fn new(bytes: &'a [u8], is_open: bool) -> Lexer<'a> {
        Lexer { bytes, start: 0, at: 0, escaped: false, is_open, state: State::Init }
    }

    /// Takes the next token.
    pub(super) fn next(&mut self) -> Token {
        if self.is_open { self.next_open() } else { self.next_prometheus() }
    }

    /// Returns whether an entry may begin here.
    pub(super) fn is_between(&self) -> bool {
        self.state == State::Init
    }

    /// Goes to where a value is to begin.
    pub(super) fn go_to_value(&mut self, at: usize) {
        (self.at, self.state) = (at, State::Value);
    }

    /// Returns whether everything has been seen: more text could change what was read last.
    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// Returns the byte here; the newline that Prometheus text is given at its end; `None` behind it.
    fn current(&self) -> Option<u8> {
        match self.bytes.get(self.at) {
            Some(byte) => Some(*byte),
            None if !self.is_open && self.at == self.bytes.len() => Some(b'\n'),
            None => None,
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn skip(&mut self, class: u8) {
        let rest = self.rest();
        self.at += rest.iter().position(|b| CLASS[*b as usize] & class == 0).unwrap_or(rest.len());
    }

    fn skip_until(&mut self, class: u8) {
        let rest = self.rest();
        self.at += rest.iter().position(|b| CLASS[*b as usize] & class != 0).unwrap_or(rest.len());
    }

    fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\t') = self.current() {
            self.at += 1;
        }
    }

    fn skip_line(&mut self) {
        self.at += newline_in(self.rest()).unwrap_or(self.rest().len());
    }

    fn step(&mut self, state: State, token: Token) -> Token {
        self.at += 1;
        self.state = state;
        token
    }

    fn is_letter(byte: u8) -> bool {
        CLASS[byte as usize] & LETTER != 0
    }

    fn is_name_start(byte: u8) -> bool {
        CLASS[byte as usize] & (LETTER | COLON) != 0
    }

    fn name(&mut self, state: State) -> Token {
        self.skip(LETTER | DIGIT | COLON);
        self.state = state;
        Token::Name
    }

    fn label_name(&mut self) -> Token {
        self.skip(LETTER | DIGIT);
        Token::LabelName
    }

    /// Takes a word if it stands here, else what of it does.
    fn word(&mut self, word: &[u8]) -> bool {
        for byte in word {
            if self.current() != Some(*byte) {
                return false;
            }
            self.at += 1;
        }
        true
    }

    /// Takes a quoted text with its quotes. `stop` is a byte that may not stand in it.
    fn quoted(&mut self, stop: &[u8], state: State, token: Token) -> Token {
        self.at += 1;
        self.escaped = false;
        loop {
            let from = self.at;
            self.skip_until(QUOTE);
            if !stop.is_empty() {
                let plain = self.bytes.get(from..self.at).unwrap_or_default();
                if let Some(bad) = plain.iter().position(|b| stop.contains(b)) {
                    self.at = from + bad;
                    return Token::Invalid;
                }
            }
            match self.bytes.get(self.at) {
                Some(b'"') => return self.step(state, token),
                Some(_) => {
                    self.escaped = true;
                    self.at += 1;
                    match self.current() {
                        None => return Token::Invalid,
                        Some(b'\n') => return Token::Invalid,
                        Some(_) => self.at += 1,
                    }
                }
                None => {
                    // The newline given to Prometheus text is part of what was looked at.
                    self.at += usize::from(!self.is_open);
                    return Token::Invalid;
                }
            }
        }
    }

    /// Reads the name after `# HELP` and its like, which both formats write alike.
    #[inline]
    fn meta_name(&mut self, byte: u8) -> Token {
        match byte {
            b'"' => self.quoted(b"\0", State::MetaText, Token::Quoted),
            _ if Self::is_name_start(byte) => self.name(State::MetaText),
            _ => Token::Invalid,
        }
    }

    /// Reads what stands within braces, which both formats write alike.
    #[inline]
    fn in_labels(&mut self, byte: u8) -> Token {
        match byte {
            b'"' => self.quoted(b"\0", State::Labels, Token::Quoted),
            b'}' => self.step(State::Value, Token::BraceClose),
            b'=' => self.step(State::LabelValue, Token::Equal),
            b',' => self.step(State::Labels, Token::Comma),
            _ if Self::is_letter(byte) => self.label_name(),
            _ => Token::Invalid,
        }
    }

    fn next_prometheus(&mut self) -> Token {
        if self.state != State::MetaText {
            self.skip_blanks();
        }
        // At the end the token's start stays where it was, as with the peer, whose errors quote from there.
        let Some(byte) = self.current() else { return Token::Eof };
        self.start = self.at;
        match self.state {
            State::Init | State::Comment => match byte {
                b'\n' => self.step(State::Init, Token::Linebreak),
                b'#' => self.prometheus_comment(),
                b'{' => self.step(State::Labels, Token::BraceOpen),
                _ if Self::is_name_start(byte) => self.name(State::Value),
                _ => Token::Invalid,
            },
            State::MetaName => self.meta_name(byte),
            State::MetaText => self.prometheus_text(),
            State::Labels => self.in_labels(byte),
            State::LabelValue => match byte {
                b'"' => self.quoted(b"", State::Labels, Token::LabelValue),
                _ => Token::Invalid,
            },
            State::Value => match byte {
                b'{' => self.step(State::Labels, Token::BraceOpen),
                0 | b'\n' => Token::Invalid,
                _ => {
                    self.skip_until(PROM_VALUE_END);
                    self.state = State::Timestamp;
                    Token::Value
                }
            },
            _ => match byte {
                b'\n' => self.step(State::Init, Token::Linebreak),
                b'0'..=b'9' => {
                    self.skip(DIGIT);
                    Token::Timestamp
                }
                _ => Token::Invalid,
            },
        }
    }

    /// A `#`: metadata if blanks and its word follow and a blank behind, else a comment to the line's end.
    fn prometheus_comment(&mut self) -> Token {
        self.at += 1;
        if matches!(self.current(), Some(b' ' | b'\t')) {
            self.skip_blanks();
            for (word, token) in [(b"HELP", Token::Help), (b"TYPE", Token::Type)] {
                let rest = self.rest();
                if rest.starts_with(word) && matches!(rest.get(word.len()), Some(b' ' | b'\t')) {
                    self.at += word.len();
                    self.skip_blanks();
                    self.state = State::MetaName;
                    return token;
                }
            }
        }
        self.skip_line();
        self.state = State::Init;
        Token::Comment
    }

    /// The rest of a metadata line; of blanks alone nothing is left.
    fn prometheus_text(&mut self) -> Token {
        self.start = self.at;
        self.skip_line();
        self.state = State::Init;
        let text = self.bytes.get(self.start..self.at).unwrap_or_default();
        if text.iter().all(|b| matches!(b, b' ' | b'\t')) {
            self.start = self.at;
        }
        Token::Text
    }

    fn next_open(&mut self) -> Token {
        let Some(byte) = self.current() else { return Token::Eof };
        self.start = self.at;
        match self.state {
            State::Init => match byte {
                b'#' => self.open_comment(),
                b'{' => self.step(State::Labels, Token::BraceOpen),
                _ if Self::is_name_start(byte) => self.name(State::Value),
                _ => Token::Invalid,
            },
            State::Comment => self.open_word(),
            State::MetaName => self.meta_name(byte),
            State::MetaText => self.open_text(byte),
            State::Labels => self.in_labels(byte),
            State::LabelValue => match byte {
                b'"' => self.quoted(b"\n", State::Labels, Token::LabelValue),
                _ => Token::Invalid,
            },
            State::Value => match byte {
                b'{' => self.step(State::Labels, Token::BraceOpen),
                b' ' => self.open_number(State::Timestamp, Token::Value),
                _ => Token::Invalid,
            },
            State::Timestamp => match byte {
                b'\n' => self.step(State::Init, Token::Linebreak),
                b' ' if self.bytes.get(self.at + 1) == Some(&b'#') => self.open_exemplar(),
                b' ' => self.open_number(State::Timestamp, Token::Timestamp),
                _ => Token::Invalid,
            },
            State::Exemplar => match byte {
                b'"' => self.quoted(b"\n\0", State::Exemplar, Token::Quoted),
                b'}' => self.step(State::ExemplarValue, Token::BraceClose),
                b'=' => self.step(State::ExemplarValue, Token::Equal),
                b',' => self.step(State::Exemplar, Token::Comma),
                _ if Self::is_letter(byte) => self.label_name(),
                _ => Token::Invalid,
            },
            State::ExemplarValue => match byte {
                b'"' => self.quoted(b"\n\0", State::Exemplar, Token::LabelValue),
                b' ' => self.open_number(State::ExemplarTimestamp, Token::Value),
                _ => Token::Invalid,
            },
            State::ExemplarTimestamp => match byte {
                b'\n' => self.step(State::Init, Token::Linebreak),
                b' ' => self.open_number(State::ExemplarTimestamp, Token::Timestamp),
                _ => Token::Invalid,
            },
        }
    }

    fn open_comment(&mut self) -> Token {
        self.at += 1;
        if self.current() != Some(b' ') {
            return Token::Invalid;
        }
        self.at += 1;
        self.state = State::Comment;
        self.open_word()
    }

    fn open_word(&mut self) -> Token {
        let words: (&[u8], State, Token) = match self.current() {
            Some(b'H') => (b"HELP ", State::MetaName, Token::Help),
            Some(b'T') => (b"TYPE ", State::MetaName, Token::Type),
            Some(b'U') => (b"UNIT ", State::MetaName, Token::Unit),
            Some(b'E') => (b"EOF", State::Init, Token::EofWord),
            _ => return Token::Invalid,
        };
        if !self.word(words.0) {
            return Token::Invalid;
        }
        if words.2 == Token::EofWord && self.current() == Some(b'\n') {
            self.at += 1;
        }
        self.state = words.1;
        words.2
    }

    /// A blank and the rest of the line, newline included.
    fn open_text(&mut self, byte: u8) -> Token {
        if byte != b' ' {
            return Token::Invalid;
        }
        self.skip_line();
        if self.is_at_end() {
            return Token::Invalid;
        }
        self.step(State::Init, Token::Text)
    }

    /// A blank and a number, or what stands in its place.
    fn open_number(&mut self, state: State, token: Token) -> Token {
        self.at += 1;
        let from = self.at;
        self.skip_until(VALUE_END);
        if self.at == from {
            return Token::Invalid;
        }
        self.state = state;
        token
    }

    /// A blank and a hash: an exemplar if a blank and a brace follow, a number (and a wrong one) else.
    fn open_exemplar(&mut self) -> Token {
        self.at += 2;
        match self.current() {
            Some(b' ') => {
                self.at += 1;
                if self.current() == Some(b'{') {
                    return self.step(State::Exemplar, Token::Comment);
                }
                Token::Invalid
            }
            _ => {
                self.skip_until(VALUE_END);
                Token::Timestamp
            }
        }
    }
}

/// Returns where the first newline is.
///
/// Eight bytes at a time: a byte of `word ^ newlines` is zero exactly where a newline is, and the well-known
/// `(x - 0x01..) & !x & 0x80..` is not zero exactly when some byte of x is zero.
pub(super) fn newline_in(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let words = bytes.chunks_exact(8);
    let tail = words.remainder();
    for (i, word) in words.enumerate() {
        let x = u64::from_le_bytes(word.try_into().unwrap_or_default()) ^ (ONES * b'\n' as u64);
        let zeros = x.wrapping_sub(ONES) & !x & (ONES * 0x80);
        if zeros != 0 {
            return Some(i * 8 + zeros.trailing_zeros() as usize / 8);
        }
    }
    tail.iter().position(|b| *b == b'\n').map(|at| bytes.len() - tail.len() + at)
}
