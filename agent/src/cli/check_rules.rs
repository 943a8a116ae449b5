//! `narthex check rules FILE..`: promtool's verdicts, output, lint and exit status; our words for what is wrong.
//!
//! Errors come with file, line and column, all of a file at once, on standard error. Without a file standard input is
//! checked. Exit status 1 when a file has errors, 3 when it only has what lint finds and `--lint-fatal` is given.

use std::io::Read;

use rules::LoadOptions;
use rules::lint::{Duplicate, duplicates};
use yaml::Errors;

use super::args::{Arguments, unknown};
use super::check::listed;
use super::{Failure, LINT_STATUS};

/// The flags that the command knows.
const FLAGS: [&str; 5] = ["lint", "lint-fatal", "ignore-unknown-fields", "enable-feature", "help"];

/// The flags that `check config` knows too.
const FLAGS_OF_ALL: [&str; 2] = ["enable-feature", "help"];

/// What the flags say.
#[derive(Debug, Default)]
pub struct Flags {
    lint: Option<String>,
    is_fatal: bool,
    ignore_unknown_fields: bool,
    features: crate::web::settings::Settings,
}

impl Flags {
    /// Takes a flag that every check knows.
    ///
    /// # Errors
    /// As [`Flags::take`].
    pub fn take_common(&mut self, flag: &str, arguments: &mut Arguments) -> Result<(), Failure> {
        if FLAGS_OF_ALL.contains(&flag) { self.take(flag, arguments) } else { Err(unknown(flag, FLAGS_OF_ALL)) }
    }

    /// Returns which parts of the query language are on.
    pub fn features(&self) -> promql::Features {
        self.features.features
    }

    /// Takes a flag.
    ///
    /// # Errors
    /// Wrong usage: a flag nobody knows, or one without its value.
    pub fn take(&mut self, flag: &str, arguments: &mut Arguments) -> Result<(), Failure> {
        match flag {
            "lint" => self.lint = Some(arguments.value()?),
            "lint-fatal" => self.is_fatal = true,
            "ignore-unknown-fields" => self.ignore_unknown_fields = true,
            "enable-feature" => {
                self.features.enable(&arguments.value()?).iter().for_each(|said| eprintln!("narthex: {said}"));
            }
            _ => return Err(unknown(flag, FLAGS)),
        }
        Ok(())
    }

    /// Returns whether rules that say the same are looked for. As with promtool `none` ends the list.
    fn lints(&self) -> bool {
        let mut lints = false;
        for word in self.lint.as_deref().unwrap_or("duplicate-rules").split(',') {
            match word {
                "all" | "duplicate-rules" => lints = true,
                "none" => break,
                other => println!("WARNING: unknown lint option: {other:?}"),
            }
        }
        lints
    }
}

/// Checks these files.
///
/// # Errors
/// A fault when any has errors, or what lint finds and that is to be fatal; what it is is said already.
pub fn check(files: &[String], flags: &Flags) -> Result<(), Failure> {
    let lints = flags.lints();
    let (mut bad, mut odd) = (0, 0);
    let standard_input = ["-".to_owned()];
    for file in if files.is_empty() { &standard_input } else { files } {
        let name = if files.is_empty() { "standard input" } else { file };
        println!("Checking {name}");
        match load(file, flags) {
            Err(said) => {
                bad += 1;
                eprintln!("  FAILED:\n{said}");
                continue;
            }
            Ok(groups) => {
                let found = if lints { duplicates(&groups) } else { Vec::new() };
                if found.is_empty() {
                    let rules: usize = groups.iter().map(|group| group.rules.len()).sum();
                    println!("  SUCCESS: {rules} rules found");
                } else {
                    odd += 1;
                    eprintln!("  FAILED:\n{}", told(&found));
                }
            }
        }
        println!();
    }
    match (bad, odd) {
        (0, 1..) if flags.is_fatal => Err(Failure::Status(LINT_STATUS)),
        (0, _) => Ok(()),
        _ => Err(Failure::Fault(String::new())),
    }
}

/// Reads and loads a file; the error says everything that is wrong with it.
fn load(file: &str, flags: &Flags) -> Result<Vec<rules::Group>, String> {
    let text = match file {
        "-" => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map(|_| text)
        }
        file => std::fs::read_to_string(file),
    };
    let text = text.map_err(|error| format!("{file}: reading: {error}"))?;
    let options = LoadOptions {
        legacy_names: false,
        ignore_unknown_fields: flags.ignore_unknown_fields,
        features: flags.features(),
        is_tool: true,
    };
    let mut errors = Errors::new();
    let groups = rules::load_with(file, &text, options, &mut errors);
    if errors.is_empty() { Ok(groups) } else { Err(listed(&errors)) }
}

/// Returns promtool's words for what lint found.
fn told(found: &[Duplicate]) -> String {
    let mut text = format!("lint error {} duplicate rule(s) found.\n", found.len());
    for rule in found {
        text.push_str(&["Metric: ", &rule.name, "\nLabel(s):\n"].concat());
        rule.labels.iter().for_each(|(name, value)| text.push_str(&["\t", name, ": ", value, "\n"].concat()));
    }
    text + "Might cause inconsistency while recording expressions"
}
