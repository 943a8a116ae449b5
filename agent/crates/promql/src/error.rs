//! What can go wrong: a text that is no expression, and an expression that cannot be evaluated.
//!
//! Both print what Prometheus prints. A [`ParseError`] knows line and column (both from 1, columns in bytes); an
//! [`EvalError`] says by its variant what the caller can do about it: the API maps them to its error types.

use std::fmt;

use model::SelectError;

/// A text that is no expression: the first thing wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// The line, from 1; 0 where there is no position (an empty text).
    pub line: u32,
    /// The column in bytes, from 1.
    pub column: u32,
    /// What is wrong.
    pub message: String,
}

impl ParseError {
    /// Returns an error at a byte offset of a text.
    pub(crate) fn at(text: &str, offset: usize, message: impl Into<String>) -> ParseError {
        let message = message.into();
        if text.is_empty() {
            return ParseError { line: 0, column: 0, message };
        }
        let (line, column) = line_column(text, offset);
        ParseError { line, column, message }
    }
}

/// Returns line and byte column of an offset, both from 1.
pub(crate) fn line_column(text: &str, offset: usize) -> (u32, u32) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() as u32 + 1;
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() as u32 + 1;
    (line, column)
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "unknown position: parse error: {}", self.message),
            line => write!(f, "{line}:{}: parse error: {}", self.column, self.message),
        }
    }
}

impl std::error::Error for ParseError {}

/// Why an expression has no answer.
#[derive(Debug)]
pub enum EvalError {
    /// The expression makes no sense on these data; the text is Prometheus's.
    Execution(String),
    /// More samples would be held at once than the limit allows.
    TooManySamples {
        /// The limit.
        samples_max: u64,
    },
    /// More series would be held at once than the limit allows.
    TooManySeries {
        /// The limit.
        series_max: u64,
    },
    /// The range has more steps than the limit allows, or makes no sense.
    Steps(String),
    /// The caller said stop: its time is over or its client has gone.
    Stopped,
    /// The store failed.
    Select(SelectError),
}

impl EvalError {
    /// Returns an execution error.
    pub(crate) fn new(message: impl Into<String>) -> EvalError {
        EvalError::Execution(message.into())
    }
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EvalError::Execution(message) | EvalError::Steps(message) => f.write_str(message),
            EvalError::TooManySamples { .. } => {
                f.write_str("query processing would load too many samples into memory in query execution")
            }
            EvalError::TooManySeries { series_max } => {
                write!(f, "query processing would hold more than {series_max} series")
            }
            EvalError::Stopped => f.write_str("query was canceled in query execution"),
            EvalError::Select(_) => f.write_str("expanding series"),
        }
    }
}

impl std::error::Error for EvalError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            EvalError::Select(source) => Some(source),
            _ => None,
        }
    }
}
