//! Parses Prometheus text 0.0.4 into a batch, whole or not at all.
//!
//! As strict as the parser in prometheus/common 0.6x (`expfmt/text_parse.go`), which node_exporter's textfile
//! collector and pushgateway use: every line ends with a newline, `# TYPE` comes once and before the samples, names
//! are plain (no dots, though they may be quoted), labels are unique, numbers decimal. Families come out in the order of their
//! first mention, each once, wherever its samples stood; `le` and `quantile` are printed anew as numbers.
//! What a format may say and a family need not (a missing `+Inf` bucket) is left as it is.
//!
//! Nothing is added to the batch when there is an error. The parser keeps its memory between texts.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

use model::float::write_exposition;
use model::limits::{LABEL_BYTES_MAX, LABELS_MAX};
use model::{Batch, MetricKind, UnixMs};

/// The longest text that is parsed.
pub const TEXT_BYTES_MAX: usize = 16 << 20;

const _: () = assert!(TEXT_BYTES_MAX < u32::MAX as usize / 4);

/// Where a text is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// The line, counted from 1; 0 where the whole is meant.
    pub line: usize,
    /// What is wrong there.
    pub what: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for ParseError {}

/// Parses one text with memory of its own.
///
/// # Errors
/// The first line that is wrong; the batch is then unchanged.
pub fn parse_text(text: &[u8], out: &mut Batch) -> Result<(), ParseError> {
    TextParser::new().parse(text, out)
}

/// As [`parse_text`], and quoted names may be any text: `{"my.metric", "my.label"="a"} 1`.
///
/// # Errors
/// The first line that is wrong; the batch is then unchanged.
pub fn parse_text_with_any_names(text: &[u8], out: &mut Batch) -> Result<(), ParseError> {
    TextParser { takes_any_names: true, ..TextParser::default() }.parse(text, out)
}

/// A piece of the parser's own text.
type Piece = (u32, u32);

/// What a line failed with; the parser adds the line's number.
type LineResult<T> = Result<T, String>;

/// Parses texts and keeps its memory.
#[derive(Default)]
pub struct TextParser {
    text: String,
    families: Vec<Family>,
    names: NameTable,
    samples: Vec<Sample>,
    pairs: Vec<(Piece, Piece)>,
    order: Vec<u32>,
    /// Whether quoted names may be any text, not only what a plain name may be.
    takes_any_names: bool,
}

struct Family {
    name: Piece,
    help: Option<Piece>,
    kind: Option<MetricKind>,
}

struct Sample {
    family: u32,
    suffix: &'static str,
    pairs: (u32, u32),
    value: f64,
    at: Option<i64>,
}

impl TextParser {
    /// Returns a parser without memory yet.
    pub fn new() -> TextParser {
        TextParser::default()
    }

    /// Parses a text and adds what it says to the batch.
    ///
    /// # Errors
    /// The first line that is wrong; the batch then has no further rows.
    pub fn parse(&mut self, text: &[u8], out: &mut Batch) -> Result<(), ParseError> {
        self.clear();
        if text.len() > TEXT_BYTES_MAX {
            return Err(ParseError { line: 0, what: format!("at most {TEXT_BYTES_MAX} bytes are accepted") });
        }
        for (index, line) in text.split_inclusive(|b| *b == b'\n').enumerate() {
            self.line(line).map_err(|what| ParseError { line: index + 1, what })?;
        }
        self.deliver(out)
    }

    fn clear(&mut self) {
        self.text.clear();
        self.families.clear();
        self.names.clear();
        self.samples.clear();
        self.pairs.clear();
    }

    fn line(&mut self, line: &[u8]) -> LineResult<()> {
        let mut line = Cursor { rest: line };
        line.skip_blanks();
        match line.rest {
            [] | [b'\n'] => return Ok(()),
            [.., b'\n'] => line.rest = &line.rest[..line.rest.len() - 1],
            _ => return Err("unexpected end of input stream".to_owned()),
        }
        match line.rest.first() {
            Some(b'#') => {
                line.rest = &line.rest[1..];
                self.comment(line)
            }
            _ => self.sample(line),
        }
    }

    fn comment(&mut self, mut line: Cursor<'_>) -> LineResult<()> {
        line.skip_blanks();
        let keyword = line.until_blank();
        if keyword != b"HELP" && keyword != b"TYPE" {
            return Ok(());
        }
        line.skip_blanks();
        if line.rest.is_empty() {
            return Ok(());
        }
        let quoted = self.quoted(&mut line)?;
        let name = quoted.as_deref().unwrap_or_else(|| line.name(true));
        if name.is_empty() || !matches!(line.rest, [] | [b' ' | b'\t', ..]) {
            return Err("invalid metric name in comment".to_owned());
        }
        if line.rest.is_empty() {
            return Ok(());
        }
        let (family, _) = self.family_of(name);
        line.skip_blanks();
        if line.rest.is_empty() {
            return Ok(());
        }
        match keyword {
            b"HELP" => self.help(family, line),
            _ => self.kind(family, line),
        }
    }

    fn help(&mut self, family: usize, mut line: Cursor<'_>) -> LineResult<()> {
        if self.families[family].help.is_some() {
            return Err(format!("second HELP line for metric name {:?}", self.piece(self.families[family].name)));
        }
        let help = line.unescape_into(&mut self.text, None)?;
        self.families[family].help = Some(help);
        Ok(())
    }

    fn kind(&mut self, family: usize, line: Cursor<'_>) -> LineResult<()> {
        let name = self.families[family].name;
        if self.families[family].kind.is_some() {
            let name = self.piece(name);
            return Err(format!("second TYPE line for metric name {name:?}, or TYPE reported after samples"));
        }
        const KINDS: [(&str, MetricKind); 6] = [
            ("gauge", MetricKind::Gauge),
            ("counter", MetricKind::Counter),
            ("untyped", MetricKind::Unknown),
            ("histogram", MetricKind::Histogram),
            ("summary", MetricKind::Summary),
            ("gauge_histogram", MetricKind::GaugeHistogram),
        ];
        let kind = KINDS.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(line.rest));
        let kind = kind.ok_or_else(|| format!("unknown metric type {:?}", String::from_utf8_lossy(line.rest)))?;
        self.families[family].kind = Some(kind.1);
        Ok(())
    }

    fn sample(&mut self, mut line: Cursor<'_>) -> LineResult<()> {
        let quoted = self.quoted(&mut line)?;
        let name = quoted.as_deref().unwrap_or_else(|| line.name(true));
        if name.is_empty() && line.rest.first() != Some(&b'{') {
            return Err("invalid metric name".to_owned());
        }
        let mut found = (!name.is_empty()).then(|| self.family_of(name));
        let first = self.pairs.len();
        line.skip_blanks();
        if line.take(b'{') {
            let read = self.labels(&mut line, first);
            let read = read.and_then(|inner| match (inner, found) {
                (Some(_), Some(_)) => Err("multiple metric names".to_owned()),
                (Some(name), None) => Ok(Some(self.family_of(&name))),
                (None, found) => Ok(found),
            });
            let read = read.and_then(|named| {
                found = named;
                self.bounds(found, first)
            });
            read.map_err(|what| {
                let name = found.map_or("", |(family, _)| self.piece(self.families[family].name));
                format!("{what} for metric {name:?}")
            })?;
        }
        let (family, suffix) = found.ok_or("invalid metric name")?;
        let is_histogram = bound_label(self.families[family].kind.unwrap_or_default()) == "le";
        self.families[family].kind.get_or_insert(MetricKind::Unknown);
        let value = line.until_blank();
        let value = go_float(value).ok_or_else(|| not_a("float as value", value))?;
        if is_histogram && value < 0.0 && suffix != "_sum" {
            return Err(format!("negative count for histogram {:?}", self.piece(self.families[family].name)));
        }
        let mut at = None;
        if !line.rest.is_empty() {
            line.skip_blanks();
            let stamp = line.until_blank();
            let number = std::str::from_utf8(stamp).ok().and_then(|text| text.parse().ok());
            at = Some(number.ok_or_else(|| not_a("integer as timestamp", stamp))?);
            line.skip_blanks();
            if !line.rest.is_empty() {
                return Err(format!("spurious string after timestamp: {:?}", String::from_utf8_lossy(line.rest)));
            }
        }
        let pairs = (first as u32, self.pairs.len() as u32);
        self.samples.push(Sample { family: family as u32, suffix, pairs, value, at });
        Ok(())
    }

    /// Reads labels after the brace, up to and with the closing one and the blanks after it; returns a metric name that
    /// stands among them.
    fn labels(&mut self, line: &mut Cursor<'_>, first: usize) -> LineResult<Option<String>> {
        let mut metric = None;
        loop {
            line.skip_blanks();
            if line.take(b'}') {
                line.skip_blanks();
                return Ok(metric);
            }
            let quoted = self.quoted(line)?;
            let name = quoted.as_deref().unwrap_or_else(|| line.name(false));
            if name.is_empty() || name.len() > LABEL_BYTES_MAX {
                return Err("invalid label name".to_owned());
            }
            line.skip_blanks();
            if matches!(line.rest.first(), Some(b',' | b'}')) {
                if metric.replace(name.to_owned()).is_some() {
                    return Err("multiple metric names".to_owned());
                }
                line.take(b',');
                continue;
            }
            if name.contains(':') && !self.takes_any_names {
                return Err("invalid label name".to_owned());
            }
            if name == model::labels::NAME {
                return Err(format!("label name {name:?} is reserved"));
            }
            if self.pairs[first..].iter().any(|(other, _)| self.piece(*other) == name) {
                return Err("duplicate label names".to_owned());
            }
            if self.pairs.len() - first >= LABELS_MAX - 1 {
                return Err(format!("at most {} labels are accepted", LABELS_MAX - 1));
            }
            let piece = self.keep(name);
            if !line.take(b'=') {
                return Err("expected '=' after label name".to_owned());
            }
            line.skip_blanks();
            if !line.take(b'"') {
                return Err("expected '\"' at start of label value".to_owned());
            }
            let value = line.unescape_into(&mut self.text, Some(b'"'))?;
            if (value.1 - value.0) as usize > LABEL_BYTES_MAX {
                return Err(format!("at most {LABEL_BYTES_MAX} bytes of a label value are accepted"));
            }
            self.pairs.push((piece, value));
            line.skip_blanks();
            if !line.take(b',') && line.rest.first() != Some(&b'}') {
                return Err("unexpected end of label value".to_owned());
            }
        }
    }

    /// Takes a quoted name, where one stands here.
    fn quoted(&mut self, line: &mut Cursor<'_>) -> LineResult<Option<String>> {
        if !line.take(b'"') {
            return Ok(None);
        }
        let mut name = String::new();
        line.unescape_into(&mut name, Some(b'"'))?;
        let is_plain = Cursor { rest: name.as_bytes() }.name(true) == name;
        match name.len() <= LABEL_BYTES_MAX && (is_plain || self.takes_any_names) {
            true => Ok(Some(name)),
            false => Err(format!("invalid name {name:?}")),
        }
    }

    /// Prints the bounds among the labels read last anew, as the numbers they are.
    fn bounds(&mut self, found: Option<(usize, &'static str)>, first: usize) -> LineResult<()> {
        let kind = found.and_then(|(family, _)| self.families[family].kind).unwrap_or_default();
        let bound = bound_label(kind);
        for at in first..self.pairs.len() {
            let (name, value) = self.pairs[at];
            if !bound.is_empty() && self.piece(name) == bound {
                self.pairs[at].1 = self.bound(value)?;
            }
        }
        Ok(())
    }

    /// Prints the bound of a bucket or quantile anew, as the number it is.
    fn bound(&mut self, value: Piece) -> LineResult<Piece> {
        let text = self.piece(value);
        let number = go_float(text.as_bytes()).ok_or_else(|| not_a("float as value for a bound", text.as_bytes()))?;
        let start = self.text.len() as u32;
        write_exposition(&mut self.text, number);
        Ok((start, self.text.len() as u32))
    }

    /// Returns the family a sample's or comment's name belongs to, and what the name adds to the family's.
    fn family_of(&mut self, name: &str) -> (usize, &'static str) {
        if let Some(family) = self.find(name) {
            return (family, "");
        }
        for suffix in ["_count", "_sum", "_bucket"] {
            let Some(family) = name.strip_suffix(suffix).and_then(|base| self.find(base)) else { continue };
            match self.families[family].kind {
                Some(MetricKind::Histogram | MetricKind::GaugeHistogram) => return (family, suffix),
                Some(MetricKind::Summary) if suffix != "_bucket" => return (family, suffix),
                _ => {}
            }
        }
        let name = self.keep(name);
        self.families.push(Family { name, help: None, kind: None });
        let (families, text) = (&self.families, &self.text);
        self.names.insert(families.len() as u32 - 1, |family| {
            let (start, end) = families[family as usize].name;
            &text[start as usize..end as usize]
        });
        (self.families.len() - 1, "")
    }

    fn find(&self, name: &str) -> Option<usize> {
        let found = self.names.find(name, |family| self.piece(self.families[family as usize].name));
        found.map(|family| family as usize)
    }

    fn keep(&mut self, text: &str) -> Piece {
        let start = self.text.len() as u32;
        self.text.push_str(text);
        (start, self.text.len() as u32)
    }

    fn piece(&self, (start, end): Piece) -> &str {
        &self.text[start as usize..end as usize]
    }

    fn deliver(&mut self, out: &mut Batch) -> Result<(), ParseError> {
        let samples = &self.samples;
        self.order.clear();
        self.order.extend(0..samples.len() as u32);
        self.order.sort_unstable_by_key(|index| (samples[*index as usize].family, *index));
        let (rows, refused) = (out.rows().len(), out.refused());
        let mut last = None;
        for index in &self.order {
            let sample = &self.samples[*index as usize];
            if last.replace(sample.family) != Some(sample.family) {
                let family = &self.families[sample.family as usize];
                let help = family.help.map_or("", |help| self.piece(help));
                out.family(self.piece(family.name), help, family.kind.unwrap_or_default());
            }
            let mut labels = [("", ""); LABELS_MAX];
            let pairs = &self.pairs[sample.pairs.0 as usize..sample.pairs.1 as usize];
            for (slot, (name, value)) in labels.iter_mut().zip(pairs) {
                *slot = (self.piece(*name), self.piece(*value));
            }
            out.add_suffixed(sample.suffix, &labels[..pairs.len()], sample.value);
            if let Some(at) = sample.at {
                out.stamp_last(Some(UnixMs(at)), None);
            }
        }
        if out.refused() > refused {
            out.truncate(rows);
            return Err(ParseError { line: 0, what: "more or larger samples than a batch carries".to_owned() });
        }
        Ok(())
    }
}

/// Returns the label whose value is a number in a family of this kind.
fn bound_label(kind: MetricKind) -> &'static str {
    match kind {
        MetricKind::Histogram | MetricKind::GaugeHistogram => "le",
        MetricKind::Summary => "quantile",
        _ => "",
    }
}

fn not_a(what: &str, found: &[u8]) -> String {
    format!("expected {what}, got {:?}", String::from_utf8_lossy(found))
}

/// Reads a float as Go's `ParseFloat` does, without hexadecimal forms and underscores.
fn go_float(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let value: f64 = text.parse().ok()?;
    let is_digits = text.bytes().any(|b| b.is_ascii_digit());
    let is_refused = match value {
        v if v.is_nan() => text.starts_with(['+', '-']),
        v if v.is_infinite() => is_digits,
        _ => false,
    };
    (!is_refused).then_some(value)
}

/// The rest of a line.
struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn skip_blanks(&mut self) {
        while let [b' ' | b'\t', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.rest.first() == Some(&byte);
        self.rest = &self.rest[usize::from(found)..];
        found
    }

    fn until_blank(&mut self) -> &'a [u8] {
        let end = self.rest.iter().position(|b| matches!(b, b' ' | b'\t')).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        token
    }

    /// Takes a metric name (which may have colons) or a label name; empty where none begins.
    fn name(&mut self, colons: bool) -> &'a str {
        let is_part = |(i, b): (usize, &u8)| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => true,
            b':' => colons,
            b'0'..=b'9' => i > 0,
            _ => false,
        };
        let end = self.rest.iter().enumerate().take_while(|(i, b)| is_part((*i, b))).count();
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        std::str::from_utf8(name).expect("ASCII letters, digits, underscores and colons")
    }

    /// Appends text up to `end` (or the line's end) with its escapes undone, and takes it with the `end`. What is no
    /// UTF-8 is refused, but marked in what goes on to the line's end, which is for people to read.
    fn unescape_into(&mut self, out: &mut String, end: Option<u8>) -> LineResult<Piece> {
        let start = out.len() as u32;
        loop {
            let is_special = |b: &u8| *b == b'\\' || Some(*b) == end;
            let plain = self.rest.iter().position(is_special).unwrap_or(self.rest.len());
            let (text, rest) = self.rest.split_at(plain);
            match std::str::from_utf8(text) {
                Ok(text) => out.push_str(text),
                Err(_) if end.is_none() => out.push_str(&String::from_utf8_lossy(text)),
                Err(_) => return Err("invalid UTF-8".to_owned()),
            }
            self.rest = rest;
            match self.rest {
                [] if end.is_some() => return Err("label value contains unescaped new-line".to_owned()),
                [] => return Ok((start, out.len() as u32)),
                [b'\\', escaped, rest @ ..] => {
                    out.push(match escaped {
                        b'n' => '\n',
                        b'"' => '"',
                        b'\\' => '\\',
                        other => return Err(format!("invalid escape sequence '\\{}'", other.escape_ascii())),
                    });
                    self.rest = rest;
                }
                [b'\\'] => return Err("invalid escape sequence at the line's end".to_owned()),
                [_, rest @ ..] => {
                    self.rest = rest;
                    return Ok((start, out.len() as u32));
                }
            }
        }
    }
}

/// Finds families by name without an allocation per name: open addressing, at most half full.
#[derive(Default)]
struct NameTable {
    slots: Vec<u32>,
    filled: usize,
    hasher: RandomState,
}

/// A slot without a family.
const FREE: u32 = u32::MAX;

impl NameTable {
    fn clear(&mut self) {
        self.slots.fill(FREE);
        self.filled = 0;
    }

    fn find<'a>(&self, name: &str, name_of: impl Fn(u32) -> &'a str) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        let mut at = self.hasher.hash_one(name) as usize & (self.slots.len() - 1);
        while self.slots[at] != FREE {
            if name_of(self.slots[at]) == name {
                return Some(self.slots[at]);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
        None
    }

    fn insert<'a>(&mut self, family: u32, name_of: impl Fn(u32) -> &'a str) {
        if (self.filled + 1) * 2 > self.slots.len() {
            let bytes = (self.slots.len() * 2).max(64);
            self.slots.clear();
            self.slots.resize(bytes, FREE);
            (0..family).for_each(|other| self.put(other, &name_of));
        }
        self.put(family, &name_of);
        self.filled += 1;
    }

    fn put<'a>(&mut self, family: u32, name_of: impl Fn(u32) -> &'a str) {
        let mut at = self.hasher.hash_one(name_of(family)) as usize & (self.slots.len() - 1);
        while self.slots[at] != FREE {
            at = (at + 1) & (self.slots.len() - 1);
        }
        self.slots[at] = family;
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
