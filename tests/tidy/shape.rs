//! The shape of files and manifests: head comments, lengths, and the lints that every package takes part in.
//!
//! A head comment is 3 to 15 lines, where the file is tests alone 1 to 15; a file longer than [`LINES_MAX`] is listed with its length as a ceiling, which is
//! lowered when the file shrinks and never raised. What a good head comment says, and whether a file is one idea, no
//! machine can tell.

use std::ops::RangeInclusive;

use crate::code::{code_of, is_test};
use crate::tree::Tree;
use crate::{assert_caught, assert_tidy};

/// How many lines of comment a file begins with.
const HEAD_LINES: RangeInclusive<usize> = 3..=15;

/// The same of a file that only tests compile: it stands beside the code that it is about.
const HEAD_LINES_OF_TESTS: RangeInclusive<usize> = 1..=15;

/// How long a file may be before it needs a line in [`GIANTS`].
const LINES_MAX: usize = 600;

/// Files that were longer than that, and how long they may be.
const GIANTS: &[(&str, usize)] = &[];

/// Checks that each file of Rust begins with a comment about itself.
fn check_heads(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in tree.rust() {
        let lines = file.text.lines().take_while(|line| line.starts_with("//!")).count();
        let expected = if is_test(tree, file) { HEAD_LINES_OF_TESTS } else { HEAD_LINES };
        if !expected.contains(&lines) {
            let (least, most) = (expected.start(), expected.end());
            complaints.push(format!("{}:1: a head comment of {lines} lines, expected {least} to {most}", file.path));
        }
    }
    complaints
}

/// Checks lengths against the limit, or the ceiling of a listed giant, which must still be one.
fn check_lengths(tree: &Tree, giants: &[(&str, usize)]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in tree.rust() {
        let lines = file.text.lines().count();
        let ceiling = giants.iter().find(|(path, _)| *path == file.path).map(|(_, lines)| *lines);
        if lines > ceiling.unwrap_or(LINES_MAX) {
            complaints.push(format!("{}: {lines} lines, at most {}", file.path, ceiling.unwrap_or(LINES_MAX)));
        } else if ceiling.is_some_and(|_| lines <= LINES_MAX) {
            complaints.push(format!("{}: {lines} lines, so no giant any more: take it off the list", file.path));
        }
    }
    let is_gone = |path: &&str| tree.text(path).is_none();
    complaints.extend(giants.iter().map(|(path, _)| *path).filter(is_gone).map(|path| format!("{path}: not there")));
    complaints
}

/// Checks that unsafe code is forbidden for all, that every package takes the workspace's lints and licence, and that
/// no file allows itself what the workspace warns of.
fn check_lints(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    let workspace = tree.text("Cargo.toml").expect("a workspace has a manifest");
    if !workspace.contains("\n[workspace.lints.rust]\nunsafe_code = \"forbid\"\n") {
        complaints.push("Cargo.toml: [workspace.lints.rust] does not begin with unsafe_code = \"forbid\"".to_owned());
    }
    for manifest in tree.manifests() {
        let shares = |line: &str| manifest.text.lines().any(|found| found == line);
        let has_own_lints = manifest.path == "agent/crates/kernel/Cargo.toml" && shares("unsafe_code = \"deny\"");
        if !has_own_lints && !manifest.text.contains("\n[lints]\nworkspace = true\n") {
            complaints.push(format!("{}: does not take the workspace's lints", manifest.path));
        }
        for line in ["license.workspace = true", "rust-version.workspace = true", "edition.workspace = true"] {
            if !shares(line) {
                complaints.push(format!("{}: lacks {line}", manifest.path));
            }
        }
    }
    // A module that several test binaries share is used whole by none of them.
    for file in tree.rust().filter(|file| !is_test(tree, file)) {
        let code = code_of(&file.text);
        for (index, _) in code.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with("#![allow(")) {
            complaints.push(format!("{}:{}: a whole file allows itself a lint", file.path, index + 1));
        }
    }
    complaints
}

#[test]
fn every_file_begins_with_a_comment() {
    assert_tidy(&check_heads(&Tree::project()));
}

#[test]
fn a_file_without_a_head_is_caught() {
    let tree = Tree::of(&[
        ("a.rs", "//! One.\n//!\n//! Three.\nfn a() {}\n"),
        ("b.rs", "use a;\n"),
        ("c.rs", "//! One.\nuse a;\n"),
        ("d.rs", &"//! Line.\n".repeat(16)),
        ("e.sh", "true\n"),
        ("f.rs", "//! One.\n//!\n//! Three.\n#[cfg(test)]\nmod tests;\n#[cfg(test)]\nmod more;\n"),
        ("f/more.rs", "use a;\n"),
        ("f/tests.rs", "//! One.\n"),
    ]);
    assert_caught(&check_heads(&tree), &["b.rs:1:", "c.rs:1:", "d.rs:1:", "f/more.rs:1:"]);
}

#[test]
fn no_file_outgrows_its_ceiling() {
    assert_tidy(&check_lengths(&Tree::project(), GIANTS));
}

#[test]
fn a_file_that_grew_is_caught() {
    let lines = |count: usize| "x\n".repeat(count);
    let (fits, long, giant) = (lines(LINES_MAX), lines(LINES_MAX + 1), lines(900));
    let tree = Tree::of(&[("a.rs", &fits), ("b.rs", &long), ("c.rs", &giant), ("d.rs", &giant), ("e.rs", &fits)]);
    let giants = [("c.rs", 900), ("d.rs", 899), ("e.rs", 700), ("f.rs", 700)];
    assert_caught(&check_lengths(&tree, &giants), &["b.rs: 601", "d.rs: 900", "e.rs: 600", "f.rs: not there"]);
}

#[test]
fn every_package_takes_part_in_the_lints() {
    assert_tidy(&check_lints(&Tree::project()));
}

#[test]
fn a_package_with_its_own_ideas_is_caught() {
    let shared = "[package]\nedition.workspace = true\nrust-version.workspace = true\nlicense.workspace = true\n";
    let good = format!("{shared}\n[lints]\nworkspace = true\n");
    let own = format!("{shared}\n[lints.rust]\nunsafe_code = \"deny\"\n");
    let tree = Tree::of(&[
        ("Cargo.toml", "[workspace]\n[workspace.lints.rust]\nunsafe_code = \"warn\"\n"),
        ("a/Cargo.toml", &good),
        ("a/src/lib.rs", "#![allow(dead_code)]\n"),
        ("a/tests/board.rs", "#![allow(dead_code)]\n"),
        ("b/Cargo.toml", &own),
        ("c/Cargo.toml", &good.replace("license.workspace = true\n", "")),
        ("agent/crates/kernel/Cargo.toml", &own),
    ]);
    let places = ["Cargo.toml: ", "b/Cargo.toml: does not", "c/Cargo.toml: lacks license", "a/src/lib.rs:1:"];
    assert_caught(&check_lints(&tree), &places);
}
