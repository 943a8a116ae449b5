//! What the dependencies allow us and ask of us, and where they come from.
//!
//! The licences are the ones that `cargo tree` reports for what boards run and what tests use; those we accept stand
//! in deny.toml, which cargo-deny reads too, and which also looks into the licence files. Sources are read from
//! Cargo.lock: one registry, no git, so that a build can be repeated.

use std::process::Command;

use crate::tree::{Tree, root};
use crate::{assert_caught, assert_tidy};

const TARGETS: [&str; 3] = ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl", "arm-unknown-linux-musleabihf"];

/// Checks lines `package|licence expression` against the list of deny.toml.
fn check_licences(packages: &str, deny: &str) -> Vec<String> {
    let accepted = accepted(deny);
    let complaint = |line: &str| {
        let (package, expression) = line.split_once('|')?;
        let is_accepted = is_allowed(expression, &accepted);
        (!is_accepted).then(|| format!("{package}: licence `{expression}` is not accepted in deny.toml"))
    };
    let mut complaints: Vec<String> = packages.lines().filter_map(complaint).collect();
    complaints.sort();
    complaints.dedup();
    complaints
}

/// Checks that every package of Cargo.lock is ours or the one registry's.
fn check_sources(tree: &Tree) -> Vec<String> {
    let lock = tree.text("Cargo.lock").expect("a program commits its Cargo.lock");
    let foreign = |line: &&str| line.starts_with("source = ") && !line.starts_with("source = \"registry+");
    lock.lines().filter(foreign).map(|line| format!("Cargo.lock: {line}: neither ours nor the registry's")).collect()
}

/// Returns the words of `allow = [...]` in deny.toml's table of licences.
fn accepted(deny: &str) -> Vec<&str> {
    let table = deny.split_once("[licenses]").map_or("", |(_, rest)| rest);
    let list = table.split_once("allow = [").and_then(|(_, rest)| rest.split_once(']')).map_or("", |(list, _)| list);
    list.split('"').skip(1).step_by(2).collect()
}

/// Tells whether an SPDX expression leaves us a choice that is accepted. `/` is an old way to write OR.
fn is_allowed(expression: &str, accepted: &[&str]) -> bool {
    let expression = expression.replace('/', " OR ").replace('(', "( ").replace(')', " )");
    let words: Vec<&str> = expression.split_whitespace().collect();
    let mut at = 0;
    let allowed = any_of(&words, &mut at, accepted);
    allowed && at == words.len()
}

fn any_of(words: &[&str], at: &mut usize, accepted: &[&str]) -> bool {
    let mut allowed = all_of(words, at, accepted);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        allowed |= all_of(words, at, accepted);
    }
    allowed
}

fn all_of(words: &[&str], at: &mut usize, accepted: &[&str]) -> bool {
    let mut allowed = one(words, at, accepted);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        allowed &= one(words, at, accepted);
    }
    allowed
}

fn one(words: &[&str], at: &mut usize, accepted: &[&str]) -> bool {
    let Some(&word) = words.get(*at) else { return false };
    *at += 1;
    if word == "(" {
        let allowed = any_of(words, at, accepted);
        *at += 1;
        return allowed;
    }
    if words.get(*at) == Some(&"WITH") {
        let exception = words.get(*at + 1).copied().unwrap_or("");
        *at += 2;
        return accepted.contains(&format!("{word} WITH {exception}").as_str());
    }
    accepted.contains(&word)
}

/// Asks cargo for the packages of the workspace with their licences.
fn packages() -> String {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(cargo);
    command.current_dir(root()).args(["tree", "--workspace", "--locked", "--edges=normal,build,dev", "--no-dedupe"]);
    command.args(["--prefix=none", "--format={p}|{l}"]).args(TARGETS.map(|target| format!("--target={target}")));
    let output = command.output().expect("cargo runs this test, so it is there");
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("names and licences are text")
}

#[test]
fn every_licence_is_accepted() {
    let packages = packages();
    assert!(packages.lines().count() > 12, "only a few packages found:\n{packages}");
    let tree = Tree::project();
    assert_tidy(&check_licences(&packages, tree.text("deny.toml").expect("deny.toml holds the list")));
}

#[test]
fn a_licence_not_accepted_is_caught() {
    let deny = "[licenses]\nallow = [\n \"MIT\",\n \"ISC\",\n \"Apache-2.0 WITH LLVM-exception\",\n]\n";
    let packages = "a v1|MIT\nb v1|GPL-3.0-only\nc v1|GPL-2.0/MIT\nd v1|MIT AND BSD-3-Clause\ne v1|\n\
        f v1|(GPL-3.0 OR MIT) AND ISC\ng v1|Apache-2.0 WITH LLVM-exception\nh v1|Apache-2.0\ni v1|ISC AND (MIT AND X)\n";
    assert_caught(&check_licences(packages, deny), &["b v1", "d v1", "e v1", "h v1", "i v1"]);
}

#[test]
fn every_package_is_ours_or_the_registrys() {
    assert_tidy(&check_sources(&Tree::project()));
}

#[test]
fn a_package_from_git_is_caught() {
    let lock = "[[package]]\nname = \"a\"\n[[package]]\nsource = \"git+https://example.org/b\"\n\
        [[package]]\nsource = \"registry+x\"\n";
    assert_caught(&check_sources(&Tree::of(&[("Cargo.lock", lock)])), &["Cargo.lock: source = \"git"]);
}
