//! Reads Prometheus text 0.0.4 and OpenMetrics 1.0 text as Prometheus does when it scrapes.
//!
//! As lenient and as strict as the peer, with its error texts: the tokens come from `lexer`, the order in which they
//! may stand is here, and `labels` ends what it begins. A text is checked for UTF-8 once; comments need not be UTF-8, all else must be.
//! Stricter than the peer's parser where the peer refuses a scrape a step later: label names are unique, no name is
//! empty. Different in one thing: blanks before a metric name of Prometheus text are not part of the name.
//!
//! Sources: Prometheus, `model/textparse/promparse.go` and `openmetricsparse.go`.

use model::MetricKind;

use super::entry::{ExemplarItem, Item, ItemKind, Piece};
use super::lexer::{Lexer, Token};
use super::number::{NotANumber, nan, parse_float};
use super::quote::quote;
use super::starts::Starts;
use super::{Limits, ScrapeOptions};

/// What went wrong; the line is found where it is reported.
pub(super) type What<T> = Result<T, String>;

/// The end of the name of a series that says when its family began.
const CREATED: &str = "_created";

/// The metadata that came last, as far as it is not in the memory.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Carry {
    kind: MetricKind,
    family_bytes: usize,
}

/// Reads one text.
#[derive(Debug)]
pub(super) struct TextScrape<'a> {
    pub(super) lexer: Lexer<'a>,
    /// The valid UTF-8 from `base` on.
    pub(super) text: &'a str,
    pub(super) base: usize,
    /// Where the current entry begins.
    pub(super) entry: usize,
    pub(super) item: Item,
    pub(super) ahead: Item,
    pub(super) kind: MetricKind,
    /// How long the name of the family is whose metadata came last.
    pub(super) family_bytes: usize,
    pub(super) starts: Starts,
    family: Vec<u8>,
    pub(super) unit: String,
    pub(super) is_open: bool,
    /// Whether the series of start times are left out; off while looking ahead for one.
    pub(super) skip_created: bool,
    pub(super) options: ScrapeOptions,
    pub(super) limits: Limits,
}

impl<'a> TextScrape<'a> {
    pub(super) fn new(bytes: &'a [u8], is_open: bool, options: ScrapeOptions, limits: Limits) -> TextScrape<'a> {
        TextScrape {
            lexer: Lexer::new(bytes, is_open),
            text: valid(bytes),
            base: 0,
            entry: 0,
            item: Item::default(),
            ahead: Item::default(),
            kind: MetricKind::Unknown,
            family_bytes: 0,
            starts: Starts::default(),
            family: Vec::new(),
            unit: String::new(),
            is_open,
            skip_created: options.skip_created,
            options,
            limits,
        }
    }

    pub(super) fn take_memory(&mut self, item: Item, ahead: Item, family: Vec<u8>, unit: String) {
        (self.item, self.ahead, self.family, self.unit) = (item, ahead, family, unit);
    }

    /// Returns what must be known of this text to read what follows it.
    pub(super) fn carry(&self) -> Carry {
        Carry { kind: self.kind, family_bytes: self.family_bytes }
    }

    /// Goes on where another text ended; its memory must have been taken too.
    pub(super) fn carry_on(&mut self, carry: Carry) {
        (self.kind, self.family_bytes) = (carry.kind, carry.family_bytes);
    }

    pub(super) fn into_memory(self) -> (Item, Item, Vec<u8>, String) {
        (self.item, self.ahead, self.family, self.unit)
    }

    /// Reads the next entry into the item; `false` at the end.
    pub(super) fn advance(&mut self) -> What<bool> {
        loop {
            self.item.clear();
            self.entry = self.lexer.at;
            if !self.read()? {
                return Ok(false);
            }
            if self.lexer.at - self.entry > self.limits.line_bytes {
                return Err(format!("expected a line of at most {} bytes", self.limits.line_bytes));
            }
            match self.item.kind {
                ItemKind::Nothing => {}
                ItemKind::Sample if self.skip_created && self.is_created() => {}
                ItemKind::Sample => {
                    if self.options.starts && self.is_open {
                        self.item.start = self.start();
                    }
                    self.bound_labels();
                    if self.options.type_and_unit {
                        self.type_and_unit_labels();
                    }
                    return Ok(true);
                }
                _ => return Ok(true),
            }
        }
    }

    /// Reads one entry; `false` at the end.
    pub(super) fn read(&mut self) -> What<bool> {
        match self.lexer.next() {
            Token::EofWord => match self.lexer.next() {
                Token::Eof => return Ok(false),
                _ => return Err("unexpected data after # EOF".to_owned()),
            },
            Token::Eof if self.is_open => return Err("data does not end with # EOF".to_owned()),
            Token::Eof => return Ok(false),
            Token::Linebreak if !self.is_open => {}
            token @ (Token::Help | Token::Type | Token::Unit) => self.metadata(token)?,
            Token::Comment if !self.is_open => self.comment()?,
            Token::BraceOpen => {
                let name = self.labels(None, false)?;
                let token = self.lexer.next();
                self.sample(name, token)?;
            }
            Token::Name => {
                let name = Some(self.piece(self.lexer.start, self.lexer.at));
                let mut token = self.lexer.next();
                if token == Token::BraceOpen {
                    self.labels(name, false)?;
                    token = self.lexer.next();
                }
                self.sample(name, token)?;
            }
            token => return Err(self.unexpected("expected a valid start token", token)),
        }
        Ok(true)
    }

    fn comment(&mut self) -> What<()> {
        self.item.text = self.piece(self.lexer.start, self.lexer.at);
        match self.lexer.next() {
            Token::Linebreak => {}
            token => return Err(self.unexpected("linebreak expected after comment", token)),
        }
        // What is not UTF-8 may stand in a comment only: go on behind it.
        if self.lexer.at > self.base + self.text.len() {
            self.base = self.lexer.at;
            self.text = valid(self.lexer.bytes.get(self.base..).unwrap_or_default());
        }
        self.item.kind = ItemKind::Comment;
        Ok(())
    }

    fn metadata(&mut self, word: Token) -> What<()> {
        let token = self.lexer.next();
        self.item.name = match token {
            Token::Name => self.piece(self.lexer.start, self.lexer.at),
            Token::Quoted => self.unquoted("metric name")?,
            _ => return Err(self.unexpected(&format!("expected metric name after {}", word.name()), token)),
        };
        let raw = (self.lexer.start, self.lexer.at);
        let quotes = usize::from(token == Token::Quoted);
        self.family_changes(raw.0 + quotes, raw.1 - quotes);
        if self.lexer.next() != Token::Text {
            return Err(format!("expected text in {}", word.name()));
        }
        let newline = usize::from(self.is_open);
        let start = (self.lexer.start + 1).min(self.lexer.at);
        let end = (self.lexer.at - newline).max(start);
        self.item.text = self.piece(start, end);
        if !self.is_open {
            match self.lexer.next() {
                Token::Linebreak => {}
                token => return Err(self.unexpected("linebreak expected after metadata", token)),
            }
        }
        match word {
            Token::Help => self.help(start, end),
            Token::Type => self.kind(start, end),
            _ => self.unit(start, end),
        }
    }

    fn family_changes(&mut self, start: usize, end: usize) {
        let name = self.lexer.bytes.get(start..end).unwrap_or_default();
        self.family_bytes = name.len();
        if self.family != name {
            self.family.clear();
            self.family.extend_from_slice(name);
            self.unit.clear();
        }
    }

    fn help(&mut self, start: usize, end: usize) -> What<()> {
        if !self.is_utf8(end) {
            return Err(format!("help text {} is not a valid utf8 string", quote(self.slice(start, end))));
        }
        if self.slice(start, end).contains(&b'\\') {
            self.item.text = self.unescaped(start, end, self.is_open);
        }
        self.item.kind = ItemKind::Help;
        Ok(())
    }

    fn kind(&mut self, start: usize, end: usize) -> What<()> {
        self.kind = match (self.slice(start, end), self.is_open) {
            (b"counter", _) => MetricKind::Counter,
            (b"gauge", _) => MetricKind::Gauge,
            (b"histogram", _) => MetricKind::Histogram,
            (b"summary", _) => MetricKind::Summary,
            (b"untyped", false) | (b"unknown", true) => MetricKind::Unknown,
            (b"gaugehistogram", true) => MetricKind::GaugeHistogram,
            (b"info", true) => MetricKind::Info,
            (b"stateset", true) => MetricKind::StateSet,
            (other, _) => return Err(format!("invalid metric type {}", quote(other))),
        };
        self.item.metric = self.kind;
        self.item.kind = ItemKind::Type;
        Ok(())
    }

    fn unit(&mut self, start: usize, end: usize) -> What<()> {
        let (name, unit) = (&self.family[..], self.slice(start, end));
        let is_suffix = name.strip_suffix(unit).is_some_and(|rest| rest.ends_with(b"_"));
        if !unit.is_empty() && !is_suffix {
            return Err(format!("unit {} not a suffix of metric {}", quote(unit), quote(name)));
        }
        if !self.is_utf8(end) {
            return Err(format!("invalid UTF-8 unit: {}", quote(unit)));
        }
        self.unit.clear();
        self.unit.push_str(self.text.get(start - self.base..end - self.base).unwrap_or_default());
        self.item.kind = ItemKind::Unit;
        Ok(())
    }

    /// Reads labels up to and with the closing brace, and returns the metric name, given or found among them.
    fn labels(&mut self, mut name: Option<Piece>, is_exemplar: bool) -> What<Option<Piece>> {
        let mut token = self.lexer.next();
        loop {
            let label = match token {
                Token::BraceClose => return Ok(name),
                Token::LabelName => self.piece(self.lexer.start, self.lexer.at),
                Token::Quoted => {
                    let label = self.unquoted("metric or label name")?;
                    token = self.lexer.next();
                    if !matches!(token, Token::Comma | Token::BraceClose) {
                        token = self.label_value(label, token, is_exemplar)?;
                        continue;
                    }
                    // Only a series has a metric name.
                    if is_exemplar {
                        return Err(self.unexpected("expected label name", token));
                    }
                    if name.is_some() {
                        let seen = quote(self.slice(self.entry, self.lexer.at));
                        return Err(format!("metric name already set while parsing: {seen}"));
                    }
                    name = Some(label);
                    if token == Token::Comma {
                        token = self.lexer.next();
                    }
                    continue;
                }
                _ => return Err(self.unexpected("expected label name", token)),
            };
            token = self.lexer.next();
            token = self.label_value(label, token, is_exemplar)?;
        }
    }

    /// Reads from the equal sign to behind the comma, and returns the token there.
    #[inline]
    fn label_value(&mut self, label: Piece, token: Token, is_exemplar: bool) -> What<Token> {
        if token != Token::Equal {
            return Err(self.unexpected("expected equal", token));
        }
        let token = self.lexer.next();
        if token != Token::LabelValue {
            return Err(self.unexpected("expected label value", token));
        }
        if !self.is_utf8(self.lexer.at) {
            return Err(format!("invalid UTF-8 label value: {}", quote(self.slice(self.lexer.start, self.lexer.at))));
        }
        let value = self.inner();
        let pairs = if is_exemplar { &mut self.item.exemplar_pairs } else { &mut self.item.pairs };
        pairs.push((label, value));
        let (count, bytes) = (pairs.len(), value.end - value.start);
        if count > self.limits.labels {
            return Err(format!("expected at most {} labels", self.limits.labels));
        }
        if bytes as usize > self.limits.label_bytes || (label.end - label.start) as usize > self.limits.label_bytes {
            return Err(format!("expected a label name and value of at most {} bytes", self.limits.label_bytes));
        }
        let token = self.lexer.next();
        match token {
            Token::Comma => Ok(self.lexer.next()),
            Token::BraceClose => Ok(token),
            // Blanks between labels do in Prometheus text, as with the peer.
            _ if !self.is_open => Ok(token),
            _ => Err(self.unexpected("expected comma or brace close", token)),
        }
    }

    /// Reads the value, and what may follow it on the line.
    #[inline]
    fn sample(&mut self, name: Option<Piece>, token: Token) -> What<()> {
        let Some(name) = name else {
            return Err(format!("metric name not set while parsing: {}", self.seen(self.lexer.at)));
        };
        self.item.name = name;
        self.note_sent();
        self.check_names()?;
        self.item.value = self.value(token, "metric")?;
        self.item.kind = ItemKind::Sample;
        if self.is_open { self.open_suffix() } else { self.prometheus_suffix() }
    }

    fn prometheus_suffix(&mut self) -> What<()> {
        match self.lexer.next() {
            Token::Linebreak => return Ok(()),
            Token::Timestamp => {}
            token => return Err(self.unexpected("expected timestamp or new record", token)),
        }
        self.item.at = Some(self.milliseconds().ok_or_else(|| {
            let digits = self.slice(self.lexer.start, self.lexer.at);
            let what = format!("strconv.ParseInt: parsing {}: value out of range", quote(digits));
            format!("{what} while parsing: {}", self.seen(self.lexer.at))
        })?);
        match self.lexer.next() {
            Token::Linebreak => Ok(()),
            token => Err(self.unexpected("expected next entry after timestamp", token)),
        }
    }

    /// Reads the token as a time in milliseconds.
    pub(super) fn milliseconds(&self) -> Option<i64> {
        std::str::from_utf8(self.slice(self.lexer.start, self.lexer.at)).ok()?.parse().ok()
    }

    fn open_suffix(&mut self) -> What<()> {
        match self.lexer.next() {
            Token::Linebreak => Ok(()),
            Token::Eof => Err("data does not end with # EOF".to_owned()),
            Token::Comment => self.exemplar(),
            Token::Timestamp => {
                self.item.at = Some(self.seconds("timestamp")?);
                match self.lexer.next() {
                    Token::Linebreak => Ok(()),
                    Token::Comment => self.exemplar(),
                    token => Err(self.unexpected("expected next entry after timestamp", token)),
                }
            }
            // The peer goes on and stumbles over it as the next entry, and so do we, for the same error.
            _ => Ok(()),
        }
    }

    fn exemplar(&mut self) -> What<()> {
        let first = self.item.exemplar_pairs.len();
        self.labels(Some(Piece::default()), true)?;
        let token = self.lexer.next();
        let value = self.value(token, "exemplar labels")?;
        let mut at = None;
        match self.lexer.next() {
            Token::Linebreak => {}
            Token::Eof => return Err("data does not end with # EOF".to_owned()),
            Token::Timestamp => {
                at = Some(self.seconds("exemplar timestamp")?);
                match self.lexer.next() {
                    Token::Linebreak => {}
                    token => return Err(self.unexpected("expected next entry after exemplar timestamp", token)),
                }
            }
            token => return Err(self.unexpected("expected timestamp or comment", token)),
        }
        let pairs = (first, self.item.exemplar_pairs.len());
        self.item.exemplars.push(ExemplarItem { pairs, value, at });
        Ok(())
    }

    pub(super) fn value(&self, token: Token, after: &str) -> What<f64> {
        if token != Token::Value {
            return Err(self.unexpected(&format!("expected value after {after}"), token));
        }
        self.number()
    }

    /// Reads the token as a number; in OpenMetrics the blank before it is part of it.
    #[inline]
    fn number(&self) -> What<f64> {
        let digits = self.slice(self.lexer.start + usize::from(self.is_open), self.lexer.at);
        let value = parse_float(digits).map_err(|error| {
            let what = match error {
                NotANumber::Unsupported => "unsupported character in float".to_owned(),
                NotANumber::Syntax => format!("strconv.ParseFloat: parsing {}: invalid syntax", quote(digits)),
                NotANumber::Range => format!("strconv.ParseFloat: parsing {}: value out of range", quote(digits)),
            };
            format!("{what} while parsing: {}", self.seen(self.lexer.at))
        })?;
        Ok(if value.is_nan() { nan() } else { value })
    }

    /// Reads the token as a time in seconds, and returns milliseconds.
    pub(super) fn seconds(&self, what: &str) -> What<i64> {
        let seconds = self.number()?;
        let text = match seconds {
            s if s.is_nan() => "NaN",
            f64::INFINITY => "+Inf",
            f64::NEG_INFINITY => "-Inf",
            _ => return Ok((seconds * 1000.0) as i64),
        };
        Err(format!("invalid {what} {text}"))
    }

    /// Returns whether this is a series that says when its family began.
    pub(super) fn is_created(&self) -> bool {
        self.has_starts() && self.str(self.item.name).ends_with(CREATED)
    }

    /// Returns whether families of the current kind have start times.
    pub(super) fn has_starts(&self) -> bool {
        matches!(self.kind, MetricKind::Counter | MetricKind::Summary | MetricKind::Histogram)
    }

    pub(super) fn str(&self, piece: Piece) -> &str {
        super::entry::Texts { text: self.text, base: self.base, kept: &self.item.kept }.of(piece)
    }

    pub(super) fn piece(&self, start: usize, end: usize) -> Piece {
        Piece { start: start as u32, end: end as u32, kept: false }
    }

    #[inline]
    pub(super) fn is_utf8(&self, end: usize) -> bool {
        end <= self.base + self.text.len()
    }

    pub(super) fn slice(&self, start: usize, end: usize) -> &'a [u8] {
        let end = end.min(self.lexer.bytes.len());
        self.lexer.bytes.get(start.min(end)..end).unwrap_or_default()
    }

    /// Returns the quoted text from the entry's start to here, with the newline that was added at the end.
    fn seen(&self, end: usize) -> String {
        self.quoted_between(self.entry, end)
    }

    fn quoted_between(&self, start: usize, end: usize) -> String {
        if self.is_open || end <= self.lexer.bytes.len() {
            return quote(self.slice(start, end));
        }
        let from = start.max(end.saturating_sub(2 * super::quote::QUOTED_BYTES_MAX));
        let mut bytes = self.slice(from, end).to_vec();
        bytes.push(b'\n');
        quote(&bytes)
    }

    #[cold]
    fn unexpected(&self, expected: &str, token: Token) -> String {
        let end = self.lexer.at + 1;
        let got = self.quoted_between(self.lexer.start, end);
        format!("{expected}, got {got} ({:?}) while parsing: {}", token.name(), self.seen(end))
    }
}

/// Returns the longest prefix that is UTF-8.
fn valid(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    }
}
