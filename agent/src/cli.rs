//! The command line: which command, which flags, which exit status.
//!
//! Flags are spelled as the peers spell theirs (`--config.file`, `--web.listen-address`, `--path.procfs`), so that a
//! unit file or a habit carries over. Every command has `--help` with an example. Exit status 0 is success, 1 a
//! found fault, 2 wrong usage, 3 what lint finds where that is fatal; errors name the next step.

pub mod args;
pub mod check;
pub mod check_rules;
pub mod collect;
pub mod help;
pub mod query;
pub mod run;
pub mod test;
pub mod test_rules;
pub mod tsdb;
pub mod web_flags;

use std::process::ExitCode;

use args::Arguments;

/// The version people see.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Why a command ended without success.
#[derive(Debug)]
pub enum Failure {
    /// The command line makes no sense: exit status 2.
    Usage(String),
    /// Something is wrong: exit status 1. Empty when everything is already said.
    Fault(String),
    /// Everything is said already, and this is the exit status.
    Status(u8),
}

/// The exit status of a check that found nothing wrong, and something odd that is to be fatal; promtool's.
pub const LINT_STATUS: u8 = 3;

/// Runs the command that these arguments name.
pub fn main(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> ExitCode {
    match dispatch(Arguments::new(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Fault(text)) => {
            if !text.is_empty() {
                eprintln!("narthex: {text}");
            }
            ExitCode::from(1)
        }
        Err(Failure::Status(status)) => ExitCode::from(status),
        Err(Failure::Usage(text)) => {
            eprintln!("narthex: {text}\nTry 'narthex --help'.");
            ExitCode::from(2)
        }
    }
}

fn dispatch(mut arguments: Arguments) -> Result<(), Failure> {
    match arguments.command()?.as_deref() {
        None | Some("run") => run::main(arguments),
        Some("collect") => collect::main(arguments),
        Some("check") => check::main(arguments),
        Some("test") => test::main(arguments),
        Some("query") => query::main(arguments),
        Some("tsdb") => tsdb::main(arguments),
        Some("help") => help::print(help::GENERAL),
        Some("version") => help::print(&version()),
        Some(other) => Err(Failure::Usage(format!(
            "there is no command '{other}': run, collect, check, test, query, tsdb, help, version"
        ))),
    }
}

/// Returns what `--version` prints.
pub fn version() -> String {
    format!("narthex {VERSION} ({}-{})\n", std::env::consts::ARCH, std::env::consts::OS)
}

/// Joins an error and its causes with `: `.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
