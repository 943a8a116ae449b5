//! `narthex test promql FILE..`: scripts in Prometheus's test language. `narthex test rules FILE..`: see `test_rules`.
//!
//! Each case of a script that fails is a line with file, line, expression and reason; the last line counts. Exit
//! status 1 when any failed.

use super::args::{Arguments, Next, unknown};
use super::{Failure, help, test_rules};

/// Runs the command.
///
/// # Errors
/// A fault when an expectation failed or a file cannot be read.
pub fn main(mut arguments: Arguments) -> Result<(), Failure> {
    let mut files = Vec::new();
    let mut kind = None;
    let mut flags = test_rules::Flags::default();
    while let Some(next) = arguments.next()? {
        match next {
            Next::Flag(flag) if flag == "help" || flag == "h" => return help::print(help::TEST),
            Next::Flag(flag) if kind.as_deref() == Some("rules") => flags.take(&flag, &mut arguments)?,
            Next::Flag(flag) => return Err(unknown(&flag, ["help"])),
            Next::Operand(word) if kind.is_none() => kind = Some(word),
            Next::Operand(file) => files.push(file),
        }
    }
    match kind.as_deref() {
        Some("promql" | "rules") if files.is_empty() => Err(Failure::Usage("test needs at least one file".to_owned())),
        Some("promql") => promql(&files),
        Some("rules") => test_rules::test(&files, &flags),
        _ => Err(Failure::Usage("test what? 'narthex test promql FILE..' or 'test rules FILE..'".to_owned())),
    }
}

fn promql(files: &[String]) -> Result<(), Failure> {
    let (mut passed, mut failed) = (0, 0);
    for file in files {
        let text = std::fs::read_to_string(file).map_err(|error| Failure::Fault(format!("reading {file}: {error}")))?;
        let tally = promql::script::run(&text, file, &mut |outcome| {
            if let Some(failure) = &outcome.failure {
                println!("{}:{}: {}: {failure}", outcome.file, outcome.line, outcome.expr);
            }
        });
        passed += tally.passed;
        failed += tally.failed;
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 { Ok(()) } else { Err(Failure::Fault(String::new())) }
}
