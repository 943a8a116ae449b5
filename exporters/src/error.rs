//! Why a collector could not deliver everything, in words of what the reader of a log can do about it.
//!
//! `Absent` is a fact about the board and no fault; `Io` and `Malformed` name the file. What was read before the
//! error stays in the batch: a collector reports the first bad piece and keeps the good ones.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::host::Reader;

/// What went wrong in a collector.
#[derive(Debug)]
pub enum CollectError {
    /// The board has no such thing; the peer calls it "no data".
    Absent {
        /// What is absent.
        what: Cow<'static, str>,
    },
    /// A file could not be read.
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file was read and says something odd.
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1; 0 where the whole is meant.
        line: usize,
        /// What was expected there.
        expected: String,
    },
    /// It has not come back from an earlier collection, which waits for it on a thread of its own.
    Hangs,
    /// Something was left out for this reason, a metric of the collector's own says so, and the collector still
    /// counts as succeeded.
    Partly(Box<CollectError>),
}

impl CollectError {
    /// Returns the fact that the board has no such thing. It costs nothing, because it comes at every collection.
    pub fn absent(what: &'static str) -> CollectError {
        CollectError::Absent { what: Cow::Borrowed(what) }
    }

    /// Returns an error that blames one line of a file.
    pub fn malformed(path: &Path, line: usize, expected: &str) -> CollectError {
        CollectError::Malformed { path: path.to_owned(), line, expected: expected.to_owned() }
    }

    /// Returns whether this only says that the board lacks something.
    pub fn is_absent(&self) -> bool {
        matches!(self, CollectError::Absent { .. })
    }

    /// Returns whether the collector counts as succeeded all the same.
    pub fn is_success(&self) -> bool {
        matches!(self, CollectError::Partly(_))
    }

    /// Returns whether a file was not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, CollectError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

impl fmt::Display for CollectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CollectError::Absent { what } => write!(f, "{what} is absent"),
            CollectError::Io { path, .. } => write!(f, "reading {}", path.display()),
            CollectError::Hangs => f.write_str("does not answer and is left out until it does"),
            CollectError::Partly(error) => error.fmt(f),
            CollectError::Malformed { path, line: 0, expected } => {
                write!(f, "{}: expected {expected}", path.display())
            }
            CollectError::Malformed { path, line, expected } => {
                write!(f, "{}:{line}: expected {expected}", path.display())
            }
        }
    }
}

impl std::error::Error for CollectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            CollectError::Io { source, .. } => Some(source),
            CollectError::Partly(error) => error.source(),
            _ => None,
        }
    }
}

/// Keeps the first error of a collector that goes on after a bad piece.
#[derive(Debug, Default)]
pub struct Troubles {
    first: Option<CollectError>,
}

impl Troubles {
    /// Notes an error, if it is one, and returns what was read otherwise.
    pub fn note<T>(&mut self, result: Result<T, CollectError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                // What counts as a failure must not hide behind what does not.
                if self.first.as_ref().is_none_or(|first| first.is_success() && !error.is_success()) {
                    self.first = Some(error);
                }
                None
            }
        }
    }

    /// Blames the file read last for one line, where there is a line to blame.
    ///
    /// # Errors
    /// That blame.
    pub fn of_line(file: &Reader, line: Option<usize>, expected: &str) -> Result<(), CollectError> {
        line.map_or(Ok(()), |line| Err(file.malformed(line, expected)))
    }

    /// Returns the first error noted.
    ///
    /// # Errors
    /// That error.
    pub fn finish(self) -> Result<(), CollectError> {
        self.first.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_counts_and_what_is_none_gives_way_to_it() {
        let error = |line| CollectError::malformed(Path::new("x"), line, "y");
        let partly = |line| CollectError::Partly(Box::new(error(line)));
        for (errors, expected) in [
            (vec![error(1), error(2)], "x:1: expected y"),
            (vec![partly(1), partly(2)], "x:1: expected y"),
            (vec![partly(1), error(2), error(3), partly(4)], "x:2: expected y"),
        ] {
            let mut troubles = Troubles::default();
            errors.into_iter().for_each(|error| assert!(troubles.note::<()>(Err(error)).is_none()));
            assert_eq!(troubles.finish().expect_err("an error").to_string(), expected);
        }
        assert!(Troubles::default().finish().is_ok());
    }
}
