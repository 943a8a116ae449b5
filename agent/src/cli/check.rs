//! `narthex check config FILE..`: every error in a file, without running it. `check rules FILE..`: see `check_rules`.
//!
//! Start, reload and this command load a configuration by the same function, so they cannot disagree. Exit status 1
//! when any file has an error.

use std::path::Path;

use yaml::Errors;

use super::args::{Arguments, Next};
use super::{Failure, check_rules, help};
use crate::believed;

/// Runs the command.
///
/// # Errors
/// A fault when any file has an error.
pub fn main(mut arguments: Arguments) -> Result<(), Failure> {
    let mut files = Vec::new();
    let mut kind = None;
    let mut flags = check_rules::Flags::default();
    while let Some(next) = arguments.next()? {
        match next {
            Next::Flag(flag) if flag == "help" || flag == "h" => return help::print(help::CHECK),
            Next::Flag(flag) if kind.as_deref() == Some("rules") => flags.take(&flag, &mut arguments)?,
            Next::Flag(flag) => flags.take_common(&flag, &mut arguments)?,
            Next::Operand(word) if kind.is_none() => kind = Some(word),
            Next::Operand(file) => files.push(file),
        }
    }
    match kind.as_deref() {
        Some("config") => {}
        Some("rules") => return check_rules::check(&files, &flags),
        _ => {
            return Err(Failure::Usage("check what? 'narthex check config FILE..' or 'check rules FILE..'".to_owned()));
        }
    }
    if files.is_empty() {
        return Err(Failure::Usage("check needs at least one file".to_owned()));
    }
    let mut bad = 0;
    for file in &files {
        let (errors, warnings, found) = config(file, flags.features());
        warnings.iter().for_each(|warning| println!("{warning} (warning)"));
        if errors.is_empty() {
            println!("{file}: good, {found}");
        } else {
            println!("{}", listed(&errors));
            bad += 1;
        }
    }
    if bad == 0 { Ok(()) } else { Err(Failure::Fault(String::new())) }
}

fn config(file: &str, features: promql::Features) -> (Errors, Errors, String) {
    let mut loaded = believed::load(Some(Path::new(file)), features);
    if let Some(config) = &loaded.config
        && let Err(error) = believed::lanes(config)
    {
        loaded.errors.push(yaml::Error::of_file(file, error, ""));
    }
    let rules: usize = loaded.rules.iter().map(|group| group.rules.len()).sum();
    let found = format!("{} rule groups with {rules} rules", loaded.rules.len());
    (loaded.errors, loaded.warnings, found)
}

/// Returns the errors, one a line, and how many there were beyond what is kept.
pub fn listed(errors: &Errors) -> String {
    let mut lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    if errors.left_out() > 0 {
        lines.push(format!("and {} more", errors.left_out()));
    }
    lines.join("\n")
}
