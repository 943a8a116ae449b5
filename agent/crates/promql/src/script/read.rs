//! The script's text to commands: `clear`, `load`, `eval` and what is expected of it.
//!
//! A line that makes no sense is a failed case of its own, with its line, and the rest is read on. How many slots a
//! line may ask for is bounded.

use model::{Labels, Pattern};

use super::series::{self, Slot};

/// A command.
pub(super) enum Command {
    Clear,
    Load(Load),
    Eval(Eval),
}

/// Series to be stored.
pub(super) struct Load {
    pub step: i64,
    pub with_nhcb: bool,
    pub series: Vec<Loaded>,
}

/// One series to be stored.
pub(super) struct Loaded {
    pub labels: Labels,
    pub slots: Vec<Slot>,
    /// Start timestamps as offsets to the samples; empty where none were given.
    pub starts: Vec<Option<i64>>,
}

/// When an expression is evaluated.
#[derive(Debug, Clone, Copy)]
pub(super) enum When {
    Instant(i64),
    Range { start: i64, end: i64, step: i64 },
}

/// A text that some message must have.
#[derive(Debug)]
pub(super) enum Wanted {
    Anything,
    Exactly(String),
    Matching(Pattern),
}

impl Wanted {
    pub fn accepts(&self, message: &str) -> bool {
        match self {
            Wanted::Anything => true,
            Wanted::Exactly(text) => text == message,
            Wanted::Matching(pattern) => pattern.is_match(message),
        }
    }
}

/// An evaluation and what is expected of it.
#[derive(Debug)]
pub(super) struct Eval {
    pub expr: String,
    pub when: When,
    pub fail: Option<Wanted>,
    pub warn: Vec<Wanted>,
    pub info: Vec<Wanted>,
    pub no_warn: bool,
    pub no_info: bool,
    pub ordered: bool,
    pub scalar: Option<f64>,
    pub text: Option<String>,
    /// Start, end and step of the expected points where an instant query returns a matrix.
    pub matrix: Option<(i64, i64, i64)>,
    pub series: Vec<(Labels, Vec<Slot>)>,
}

impl Eval {
    pub fn wants_failure(&self) -> bool {
        self.fail.is_some()
    }

    pub fn judge_failure(&self, message: &str) -> Result<(), String> {
        match &self.fail {
            None => Err(format!("failed: {message}")),
            Some(wanted) if wanted.accepts(message) => Ok(()),
            Some(wanted) => Err(format!("failed with another message: {message}, expected {wanted:?}")),
        }
    }
}

type Read = Result<Command, (String, String)>;

/// Reads all commands, each with its line number. A command that makes no sense is an error and reading goes on behind
/// its block.
pub(super) fn commands(text: &str) -> Vec<(usize, Read)> {
    let lines: Vec<&str> = text
        .lines()
        .map(|line| {
            let line = line.trim();
            if line.starts_with('#') { "" } else { line }
        })
        .collect();
    let mut out = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let (number, head) = (at + 1, lines[at]);
        at += 1;
        if head.is_empty() {
            continue;
        }
        let word = head.split_whitespace().next().unwrap_or("");
        let block_end = (at..lines.len()).find(|i| lines[*i].is_empty()).unwrap_or(lines.len());
        let result = match word {
            "clear" => Ok(Command::Clear),
            _ if word.starts_with("load") => {
                let block = &lines[at..block_end];
                at = block_end;
                load(head, block).map(Command::Load)
            }
            _ if word.starts_with("eval") => eval(head, &lines[at..block_end]).map(|(eval, used)| {
                at += used;
                Command::Eval(eval)
            }),
            _ => Err(format!("unknown command {word:?}")),
        };
        if result.is_err() {
            at = at.max(block_end);
        }
        out.push((number, result.map_err(|error| (head.to_owned(), error))));
    }
    out
}

/// Reads a duration of the query language, signed.
pub(super) fn duration(text: &str) -> Result<i64, String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    if let Ok(ms) = model::duration::parse_ms(digits) {
        return Ok(sign * ms as i64);
    }
    let seconds: f64 = digits.parse().map_err(|_| format!("{text:?} is no duration"))?;
    Ok(sign * (seconds * 1000.0).round() as i64)
}

fn load(head: &str, block: &[&str]) -> Result<Load, String> {
    let words: Vec<&str> = head.split_whitespace().collect();
    let [word, step] = words[..] else { return Err("expected `load STEP`".into()) };
    let mut load = Load {
        step: duration(step)?,
        with_nhcb: match word {
            "load" => false,
            "load_with_nhcb" => true,
            _ => return Err(format!("unknown command {word:?}")),
        },
        series: Vec::new(),
    };
    let mut starts: Option<(Labels, Vec<Option<i64>>)> = None;
    for line in block {
        let (labels, rest) = series::labels(line)?;
        if let Some(items) = rest.strip_prefix("@st") {
            starts = Some((labels, series::starts(items)?));
            continue;
        }
        let slots = series::slots(rest)?;
        let starts = match starts.take() {
            Some((of, starts)) if of == labels && starts.len() == slots.len() => starts,
            Some(_) => return Err(format!("start timestamps do not fit {line:?}")),
            None => Vec::new(),
        };
        load.series.push(Loaded { labels, slots, starts });
    }
    Ok(load)
}

/// Splits off the next word.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

fn expect_word<'a>(text: &'a str, wanted: &str) -> Result<&'a str, String> {
    match word(text) {
        (found, rest) if found == wanted => Ok(rest),
        (found, _) => Err(format!("expected {wanted:?}, found {found:?}")),
    }
}

/// Reads `from A to B step S`; returns what stands behind.
fn range(text: &str) -> Result<((i64, i64, i64), &str), String> {
    let (start, rest) = word(expect_word(text, "from")?);
    let (end, rest) = word(expect_word(rest, "to")?);
    let (step, rest) = word(expect_word(rest, "step")?);
    let range = (duration(start)?, duration(end)?, duration(step)?);
    if range.2 <= 0 || range.1 < range.0 {
        return Err("a range needs a positive step and an end not before its start".into());
    }
    Ok((range, rest))
}

fn eval(head: &str, block: &[&str]) -> Result<(Eval, usize), String> {
    let (prefix, rest) = word(head);
    let (kind, rest) = word(rest);
    let (when, expr) = match kind {
        "instant" => {
            let (at, expr) = word(expect_word(rest, "at")?);
            (When::Instant(duration(at)?), expr)
        }
        "range" => {
            let ((start, end, step), expr) = range(rest)?;
            (When::Range { start, end, step }, expr)
        }
        other => return Err(format!("expected `instant` or `range`, found {other:?}")),
    };
    let mut eval = Eval {
        expr: expr.to_owned(),
        when,
        fail: None,
        warn: Vec::new(),
        info: Vec::new(),
        no_warn: false,
        no_info: false,
        ordered: false,
        scalar: None,
        text: None,
        matrix: None,
        series: Vec::new(),
    };
    match prefix {
        "eval" => {}
        "eval_ordered" => eval.ordered = true,
        "eval_fail" => eval.fail = Some(Wanted::Anything),
        "eval_warn" => eval.warn.push(Wanted::Anything),
        "eval_info" => eval.info.push(Wanted::Anything),
        other => return Err(format!("unknown command {other:?}")),
    }
    let mut used = 0;
    for line in block {
        used += 1;
        if !expectation(&mut eval, line, prefix == "eval_fail")? {
            break;
        }
    }
    check(&eval)?;
    Ok((eval, used))
}

fn check(eval: &Eval) -> Result<(), String> {
    if (eval.no_warn && !eval.warn.is_empty()) || (eval.no_info && !eval.info.is_empty()) {
        return Err("warn with no_warn or info with no_info".into());
    }
    if eval.ordered && (matches!(eval.when, When::Range { .. }) || eval.matrix.is_some()) {
        return Err("`ordered` with a matrix".into());
    }
    let slots = match (eval.when, eval.matrix) {
        (When::Range { start, end, step }, _) | (_, Some((start, end, step))) => (end - start) / step + 1,
        _ => 1,
    };
    match eval.series.iter().find(|(_, series)| series.len() as i64 > slots) {
        Some((labels, series)) => Err(format!("{labels} has {} slots for {slots} steps", series.len())),
        None => Ok(()),
    }
}

/// Reads one line of what is expected. Returns whether the block goes on.
fn expectation(eval: &mut Eval, line: &str, may_fail: bool) -> Result<bool, String> {
    for (start, is_pattern) in [("expected_fail_message", false), ("expected_fail_regexp", true)] {
        if let Some(text) = line.strip_prefix(start).filter(|_| may_fail) {
            eval.fail = Some(if is_pattern { pattern(text.trim())? } else { Wanted::Exactly(text.trim().to_owned()) });
            return Ok(false);
        }
    }
    if let Some(rest) = line.strip_prefix("expect range vector") {
        eval.matrix = Some(range(rest)?.0);
        return Ok(true);
    }
    if let Some(rest) = line.strip_prefix("expect string") {
        eval.text = Some(series::quoted(rest.trim())?);
        return Ok(true);
    }
    if line.split_whitespace().next() == Some("expect") {
        expect(eval, line["expect".len()..].trim())?;
        return Ok(true);
    }
    if let Ok(value) = crate::parse::parse_number(line) {
        eval.scalar = Some(value);
        return Ok(false);
    }
    let (labels, rest) = series::labels(line)?;
    let slots = series::slots(rest)?;
    if matches!(eval.when, When::Instant(_)) && eval.matrix.is_none() && slots.len() != 1 {
        return Err(format!("{} slots for one instant in {line:?}", slots.len()));
    }
    eval.series.push((labels, slots));
    Ok(true)
}

fn pattern(text: &str) -> Result<Wanted, String> {
    // The search is not anchored, patterns are.
    Pattern::new(&format!("(?s:.*)(?:{text})(?s:.*)")).map(Wanted::Matching).map_err(|error| error.to_string())
}

fn expect(eval: &mut Eval, text: &str) -> Result<(), String> {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (kind, rest) = (&text[..end], text[end..].trim());
    let wanted = if rest.is_empty() {
        Wanted::Anything
    } else if let Some(text) = rest.strip_prefix("msg:") {
        Wanted::Exactly(text.trim().to_owned())
    } else if let Some(text) = rest.strip_prefix("regex:") {
        pattern(text.trim())?
    } else {
        return Err(format!("expected `msg:` or `regex:`, found {rest:?}"));
    };
    match kind {
        "fail" if matches!(eval.fail, None | Some(Wanted::Anything)) => eval.fail = Some(wanted),
        "fail" => return Err("more than one `expect fail`".into()),
        "warn" => eval.warn.push(wanted),
        "info" => eval.info.push(wanted),
        "no_warn" => eval.no_warn = true,
        "no_info" => eval.no_info = true,
        "ordered" => eval.ordered = true,
        other => return Err(format!("unknown expectation {other:?}")),
    }
    Ok(())
}
