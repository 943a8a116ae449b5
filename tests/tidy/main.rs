//! The rules that a machine can check, checked by one: what ARCHITECTURE.md and the conventions promise of the code.
//!
//! Each check is a function from a [`tree::Tree`], the project's own files or a few made-up ones, to complaints that
//! name file and line. Each has two tests: the project passes, and a bad sample is caught. A check reads text and
//! knows only a little Rust (comments, strings, test modules); what needs the compiler is clippy's business.
//! New strictness ratchets: it binds what is small today, and old giants are listed with their size as a ceiling.

mod arrows;
mod calls;
mod code;
mod collectors;
mod hosts;
mod licences;
mod scripts;
mod shape;
mod tree;

/// Fails with every complaint on a line of its own.
fn assert_tidy(complaints: &[String]) {
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

/// Passes when exactly the bad lines of a sample are complained of, each by the place it begins with.
fn assert_caught(complaints: &[String], places: &[&str]) {
    let begins = |(complaint, place): (&String, &&str)| complaint.starts_with(*place);
    let is_each = complaints.len() == places.len() && complaints.iter().zip(places).all(begins);
    assert!(is_each, "expected {places:?}, found {complaints:#?}");
}
