//! What every script promises: it stops at the first failure, says at its head what it is, and can be run.
//!
//! A script is a file that begins with `#!`, or ends in `.sh` or `.py`. One that is sourced, not run, has no `#!`
//! and leaves the shell's settings to its caller. Scripts for busybox's sh know no `pipefail`. What is inside a
//! script is shellcheck's business, in tests/run.

use crate::tree::{File, Tree};
use crate::{assert_caught, assert_tidy};

const SETTINGS: &str = "set -euo pipefail";

/// Checks every script.
fn check_scripts(tree: &Tree) -> Vec<String> {
    tree.files.iter().filter_map(complaint).collect()
}

fn complaint(file: &File) -> Option<String> {
    let mut lines = file.text.lines().skip_while(|line| line.starts_with("#!")).peekable();
    let first = file.text.lines().next().unwrap_or("");
    let is_run = first.starts_with("#!/");
    if file.path.ends_with(".rs") || !(is_run || file.path.ends_with(".sh") || file.path.ends_with(".py")) {
        return None;
    }
    let begins = if first.contains("python") || file.path.ends_with(".py") { "\"\"\"" } else { "# " };
    if !lines.peek().is_some_and(|line| line.starts_with(begins)) {
        return Some(format!("{}: does not say at its head what it is", file.path));
    }
    let is_strict = lines.find(|line| !line.starts_with('#')).is_some_and(|line| line == SETTINGS);
    (first.contains("bash") && !is_strict).then(|| format!("{}: no `{SETTINGS}` after its head comment", file.path))
}

/// Returns the scripts that begin with `#!` but may not be run.
#[cfg(unix)]
fn check_modes(paths: impl Iterator<Item = (String, u32)>) -> Vec<String> {
    paths.filter(|(_, mode)| mode & 0o111 != 0o111).map(|(path, _)| format!("{path}: not executable")).collect()
}

#[test]
fn every_script_keeps_the_habits() {
    assert_tidy(&check_scripts(&Tree::project()));
}

#[test]
fn a_careless_script_is_caught() {
    let tree = Tree::of(&[
        ("a", "#!/usr/bin/env bash\n# Does it.\n#\n# More.\nset -euo pipefail\ntrue\n"),
        ("b", "#!/usr/bin/env bash\n# Does it.\nset -e\ntrue\n"),
        ("c", "#!/bin/bash\nset -euo pipefail\n"),
        ("d.sh", "# Sourced.\ntrue\n"),
        ("e.sh", "true\n"),
        ("f", "#!/usr/bin/env python3\n\"\"\"Does it.\"\"\"\n"),
        ("g.py", "import os\n"),
        ("h", "#!/bin/busybox sh\n# Does it.\ntrue\n"),
        ("i.rs", "#![forbid(unsafe_code)]\n"),
        ("j.md", "text\n"),
    ]);
    assert_caught(&check_scripts(&tree), &["b: no", "c: does", "e.sh: does", "g.py: does"]);
}

#[cfg(unix)]
#[test]
fn every_script_can_be_run() {
    use std::os::unix::fs::PermissionsExt;
    let root = crate::tree::root();
    let scripts = Tree::project().files.into_iter().filter(|file| file.text.starts_with("#!/"));
    // Init is run by the kernel of a board, from an image that gives it its mode.
    let modes = scripts.filter(|file| !file.text.starts_with("#!/bin/busybox")).map(|file| {
        let metadata = std::fs::metadata(root.join(&file.path)).expect("a file just read is there");
        (file.path, metadata.permissions().mode())
    });
    assert_tidy(&check_modes(modes));
}

#[cfg(unix)]
#[test]
fn a_script_that_cannot_be_run_is_caught() {
    let modes = [("a".to_owned(), 0o100_755), ("b".to_owned(), 0o100_644)];
    assert_caught(&check_modes(modes.into_iter()), &["b: not executable"]);
}
