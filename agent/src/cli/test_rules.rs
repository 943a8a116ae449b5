//! `narthex test rules FILE..`: unit tests for rules, with promtool's files, flags, output and exit status.
//!
//! Reads the files and prints; what a test means is `rules::unit`'s affair. As with promtool what failed goes to
//! standard error. Exit status 1 when any test failed or a file cannot be read.

use std::path::{Path, PathBuf};

use model::Pattern;
use rules::unit::{self, Settings};

use super::Failure;
use super::args::{Arguments, unknown};

/// The flags that the command knows.
const FLAGS: [&str; 5] = ["run", "diff", "ignore-unknown-fields", "enable-feature", "help"];

/// What the flags say.
#[derive(Debug, Default)]
pub struct Flags {
    run: Vec<String>,
    settings: Settings,
    features: crate::web::settings::Settings,
}

impl Flags {
    /// Takes a flag.
    ///
    /// # Errors
    /// Wrong usage: a flag nobody knows, or one without its value.
    pub fn take(&mut self, flag: &str, arguments: &mut Arguments) -> Result<(), Failure> {
        match flag {
            "run" => self.run.push(arguments.value()?),
            "diff" => self.settings.diff = true,
            "ignore-unknown-fields" => self.settings.ignore_unknown_fields = true,
            "enable-feature" => {
                self.features.enable(&arguments.value()?).iter().for_each(|said| eprintln!("narthex: {said}"));
            }
            _ => return Err(unknown(flag, FLAGS)),
        }
        Ok(())
    }

    fn settings(&self) -> Result<Settings, Failure> {
        let only = match self.run.is_empty() {
            true => None,
            // It may match anywhere in a name, and a pattern is anchored.
            false => Some(
                Pattern::new(&format!("(?s:.*)(?:{})(?s:.*)", self.run.join("|")))
                    .map_err(|error| Failure::Usage(format!("--run: {}", super::chain(&error))))?,
            ),
        };
        let features = self.features.features;
        Ok(Settings {
            only,
            features,
            delayed_name_removal: self.features.delayed_name_removal,
            ..self.settings.clone()
        })
    }
}

/// Runs the tests of these files.
///
/// # Errors
/// A fault when any failed; what failed is said already.
pub fn test(files: &[String], flags: &Flags) -> Result<(), Failure> {
    let settings = flags.settings()?;
    let mut bad = 0;
    for file in files {
        let failures = test_file(file, &settings);
        if failures.is_empty() {
            println!("  SUCCESS");
        } else {
            bad += 1;
            eprintln!("  FAILED:");
        }
        for failure in failures {
            eprintln!("{failure}");
            println!();
        }
        println!();
    }
    if bad == 0 { Ok(()) } else { Err(Failure::Fault(String::new())) }
}

fn test_file(file: &str, settings: &Settings) -> Vec<String> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => return vec![format!("reading {file}: {error}")],
    };
    let tests = match unit::read(file, &text) {
        Ok(tests) => tests,
        Err(errors) => return errors.iter().map(ToString::to_string).collect(),
    };
    let folder = Path::new(file).parent().unwrap_or(Path::new(""));
    let mut rule_files: Vec<(String, String)> = Vec::new();
    for pattern in &tests.rule_files {
        let path = folder.join(pattern);
        let found = found(&path);
        if found.is_empty() {
            eprintln!("  WARNING: no file match pattern {}", path.display());
        }
        for path in found {
            let name = path.to_string_lossy().into_owned();
            if rule_files.iter().any(|(other, _)| *other == name) {
                continue;
            }
            match std::fs::read_to_string(&path) {
                Ok(text) => rule_files.push((name, text)),
                Err(error) => return vec![format!("{name}: {error}")],
            }
        }
    }
    unit::run(&tests, &rule_files, settings)
}

/// Returns the files that a path stands for, `*`, `?` and `[a-z]` in any of its parts, in order of names.
fn found(path: &Path) -> Vec<PathBuf> {
    let mut all = vec![PathBuf::new()];
    for part in path.components() {
        let pattern = part.as_os_str().to_string_lossy();
        if !pattern.contains(['*', '?', '[']) {
            all.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        let mut next = Vec::new();
        for folder in &all {
            let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            let Ok(entries) = std::fs::read_dir(listed) else { continue };
            let names = entries.flatten().map(|entry| entry.file_name());
            let fitting = names.filter(|name| crate::config::matches(&pattern, &name.to_string_lossy()));
            next.extend(fitting.map(|name| folder.join(name)));
        }
        next.sort();
        all = next;
    }
    all.retain(|path| path.exists());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_for_files_in_any_folder() {
        let folder = std::env::temp_dir().join(format!("narthex-test-rules-{}", std::process::id()));
        for name in ["b/2.yml", "a/1.yml", "a/1.txt"] {
            std::fs::create_dir_all(folder.join(&name[..1])).expect("a folder");
            std::fs::write(folder.join(name), "").expect("a file");
        }
        let names = |pattern: &str| -> Vec<String> {
            let strip = |path: PathBuf| path.strip_prefix(&folder).map(|path| path.to_string_lossy().into_owned());
            found(&folder.join(pattern)).into_iter().filter_map(|path| strip(path).ok()).collect()
        };
        assert_eq!(names("*/?.yml"), ["a/1.yml", "b/2.yml"]);
        assert_eq!(names("a/1.txt"), ["a/1.txt"]);
        assert!(names("a/2.yml").is_empty() && names("[c-d]/*").is_empty());
        std::fs::remove_dir_all(&folder).expect("removed");
    }
}
