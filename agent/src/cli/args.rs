//! Flags and operands, one after the other, whatever the command.
//!
//! lexopt cuts the words; here they become `--name=value` pairs in the peers' spelling: `--collector.cpu.info` and
//! `--collector.cpu.info=true` are the same, `--no-collector.cpu` switches off. Which flags there are is each
//! command's business.

use std::ffi::OsString;

use lexopt::{Arg, Parser};

use super::Failure;

/// What comes next on the command line.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// A flag without its dashes.
    Flag(String),
    /// Anything else.
    Operand(String),
}

/// The command line as it is read.
pub struct Arguments {
    parser: Parser,
    ahead: Option<Next>,
}

impl Arguments {
    /// Takes the arguments, the program's name first.
    pub fn new(arguments: impl IntoIterator<Item = OsString>) -> Arguments {
        Arguments { parser: Parser::from_iter(arguments), ahead: None }
    }

    /// Returns the command: the first argument, when it is no flag. `--help` and `--version` are commands too when
    /// they come first.
    ///
    /// # Errors
    /// When an argument is not text.
    pub fn command(&mut self) -> Result<Option<String>, Failure> {
        match self.next()? {
            Some(Next::Operand(word)) => Ok(Some(word)),
            Some(Next::Flag(name)) if name == "version" || name == "V" => Ok(Some("version".to_owned())),
            Some(Next::Flag(name)) if name == "help" || name == "h" => Ok(Some("help".to_owned())),
            flag => {
                self.ahead = flag;
                Ok(None)
            }
        }
    }

    /// Returns the next flag or operand.
    ///
    /// # Errors
    /// When an argument is not text, or a flag that takes no value was given one.
    #[allow(clippy::should_implement_trait)] // It fails, and a value may be asked for in between.
    pub fn next(&mut self) -> Result<Option<Next>, Failure> {
        if let Some(ahead) = self.ahead.take() {
            return Ok(Some(ahead));
        }
        Ok(match self.parser.next().map_err(usage)? {
            None => None,
            Some(Arg::Long(name)) => Some(Next::Flag(name.to_owned())),
            Some(Arg::Short(letter)) => Some(Next::Flag(letter.to_string())),
            Some(Arg::Value(word)) => Some(Next::Operand(text(word)?)),
        })
    }

    /// Returns the value of the flag just read.
    ///
    /// # Errors
    /// When there is none.
    pub fn value(&mut self) -> Result<String, Failure> {
        text(self.parser.value().map_err(usage)?)
    }

    /// Returns the value that was given to the flag just read with `=`.
    ///
    /// # Errors
    /// When it is not text.
    pub fn optional_value(&mut self) -> Result<Option<String>, Failure> {
        self.parser.optional_value().map(text).transpose()
    }
}

/// Returns the failure for a flag that the command does not know.
pub fn unknown<'a>(flag: &str, known: impl IntoIterator<Item = &'a str>) -> Failure {
    Failure::Usage(match yaml::nearest(flag, known) {
        Some(near) => format!("there is no flag --{flag}, did you mean --{near}?"),
        None => format!("there is no flag --{flag}"),
    })
}

fn usage(error: lexopt::Error) -> Failure {
    Failure::Usage(error.to_string())
}

fn text(word: OsString) -> Result<String, Failure> {
    word.into_string().map_err(|word| Failure::Usage(format!("{} is not UTF-8", word.to_string_lossy())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(words: &[&str]) -> Arguments {
        Arguments::new(["narthex"].iter().chain(words).map(OsString::from))
    }

    #[test]
    fn the_command_may_be_left_out() {
        let mut a = arguments(&["--config.file", "x.yml"]);
        assert_eq!(a.command().expect("text"), None);
        assert_eq!(a.next().expect("text"), Some(Next::Flag("config.file".to_owned())));
        assert_eq!(a.value().expect("a value"), "x.yml");
        assert_eq!(a.next().expect("text"), None);
        assert_eq!(arguments(&["collect"]).command().expect("text").as_deref(), Some("collect"));
        assert_eq!(arguments(&["--help"]).command().expect("text").as_deref(), Some("help"));
    }

    #[test]
    fn a_missing_value_is_wrong_usage() {
        let mut a = arguments(&["--config.file"]);
        a.next().expect("text");
        assert!(matches!(a.value(), Err(Failure::Usage(_))));
    }
}
