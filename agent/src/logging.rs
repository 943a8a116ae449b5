//! The log: one line an event on standard error, as logfmt or JSON.
//!
//! ```text
//! time=2026-11-21T08:20:04.020Z level=WARN msg="remote_write central: HTTP 503"
//! ```
//!
//! Under systemd (`JOURNAL_STREAM`) the time is left to the journal and each line begins with its priority, so that
//! `journalctl --priority=warning` works. On a terminal the level has a colour. Secrets never get here: the types
//! that hold them print as `<secret>`.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};

use log::{Level, LevelFilter, Log, Metadata, Record};

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// `key=value` pairs.
    #[default]
    Logfmt,
    /// One object a line.
    Json,
}

struct Sink {
    format: Format,
    journal: bool,
    colours: bool,
}

/// Starts logging; later calls change nothing.
pub fn start(format: Format, level: LevelFilter) {
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let sink = Sink { format, journal, colours };
    if log::set_boxed_logger(Box::new(sink)).is_ok() {
        log::set_max_level(level);
    }
}

impl Log for Sink {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // What the libraries say to themselves is worth seeing only when somebody looks for a fault.
        metadata.level() <= Level::Info || metadata.target().starts_with("narthex")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut line = String::new();
        if self.journal {
            let _ = write!(line, "<{}>", priority(record.level()));
        }
        match self.format {
            Format::Logfmt => self.logfmt(&mut line, record),
            Format::Json => self.json(&mut line, record),
        }
        line.push('\n');
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }

    fn flush(&self) {}
}

impl Sink {
    fn logfmt(&self, line: &mut String, record: &Record<'_>) {
        if !self.journal {
            let _ = write!(line, "time={} ", crate::os::clock::wall());
        }
        let (on, off) = if self.colours { (colour(record.level()), "\x1b[0m") } else { ("", "") };
        let _ = write!(line, "{on}level={}{off} msg=", record.level());
        quoted(line, &record.args().to_string());
    }

    fn json(&self, line: &mut String, record: &Record<'_>) {
        let _ = write!(line, "{{\"time\":\"{}\",\"level\":\"{}\",\"msg\":", crate::os::clock::wall(), record.level());
        crate::web::json::string(line, &record.args().to_string());
        line.push('}');
    }
}

/// Appends a value in quotes; control characters cannot forge a line or move a terminal's cursor.
fn quoted(line: &mut String, text: &str) {
    line.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => line.extend(['\\', c]),
            '\n' => line.push_str("\\n"),
            c if c.is_control() => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
    line.push('"');
}

fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::Error => "\x1b[31m",
        Level::Warn => "\x1b[33m",
        Level::Info => "\x1b[32m",
        Level::Debug | Level::Trace => "\x1b[2m",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_cannot_forge_a_line() {
        let mut line = String::new();
        quoted(&mut line, "a \"b\"\nlevel=ERROR \x1b[2J");
        assert_eq!(line, r#""a \"b\"\nlevel=ERROR \u{1b}[2J""#);
    }
}
