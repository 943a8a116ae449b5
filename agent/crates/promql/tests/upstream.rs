//! Runs Prometheus's own scripts, which lie beside the project and are not part of it.
//!
//! All of the present level must pass. Of 3.5 those fail, and only those, that `tests/levels/v3.5-scripts.tsv` lists:
//! each with its counterpart, the same evaluation with another result, among the scripts of the present level.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use support::{shared, shared_text};

/// How many `eval` lines the scripts have at least: some missing would be no success.
const HEAD_CASES_MIN: u64 = 1_444;
const OLD_CASES_MIN: u64 = 965;

/// Runs the scripts of a level; returns the cases that failed, as `file:line`, and how many there are. `None` where
/// the scripts are missing.
fn run(level: &str, cases_min: u64) -> Option<BTreeSet<String>> {
    let folder = shared().join("suites/promqltest").join(level);
    let names = |entries: std::fs::ReadDir| entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let files: BTreeSet<String> = std::fs::read_dir(folder).map_or(BTreeSet::new(), |entries| names(entries).collect());
    let (mut passed, mut lines, mut failed) = (0, 0, BTreeSet::new());
    if files.is_empty() {
        shared_text(&format!("suites/promqltest/{level}/functions.test"))?;
    }
    for name in files.iter().filter(|name| name.ends_with(".test")) {
        let text = shared_text(&format!("suites/promqltest/{level}/{name}"))?;
        lines += text.lines().filter(|line| line.trim_start().starts_with("eval")).count() as u64;
        let tally = promql::script::run(&text, &format!("{level}/{name}"), &mut |outcome| {
            if let Some(failure) = &outcome.failure {
                println!("{level}/{name}:{}: {}\n    {failure}", outcome.line, outcome.expr);
                failed.insert(format!("{name}:{}", outcome.line));
            }
        });
        passed += tally.passed;
    }
    println!("{level}: {passed} passed, {} failed, {lines} eval lines", failed.len());
    assert_eq!(passed + failed.len() as u64, lines, "every eval line is one case");
    assert!(lines >= cases_min, "{lines} eval lines: some scripts are missing");
    Some(failed)
}

#[test]
fn scripts_of_the_present_level_pass() {
    let Some(failed) = run("head", HEAD_CASES_MIN) else { return };
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn scripts_of_level_3_5_pass_but_for_what_was_changed_since() {
    let Some(failed) = run("v3.5", OLD_CASES_MIN) else { return };
    let list = include_str!("levels/v3.5-scripts.tsv");
    let mut listed = BTreeSet::new();
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        let [old, new, _] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("three columns: {line}") };
        listed.insert(old.to_owned());
        // The present level has the same evaluation, and its test above says with which result.
        let [before, now] = [("v3.5", old), ("head", new)].map(|(level, place)| {
            let (file, number) = place.split_once(':').expect("file:line");
            let path = format!("suites/promqltest/{level}/{file}");
            let text = texts.entry(path.clone()).or_insert_with(|| shared_text(&path).expect("it was run above"));
            let number: usize = number.parse().expect("a line");
            let found = text.lines().nth(number - 1).unwrap_or_default().trim();
            // `eval_warn instant at ...` is the older way to write `eval instant at ...`.
            let evaluation = found.strip_prefix("eval").and_then(|rest| rest.split_once(' '));
            evaluation.unwrap_or_else(|| panic!("{level}/{place} is no evaluation: {found}")).1.to_owned()
        });
        assert_eq!(before, now, "{old} and {new} are not the same evaluation");
    }
    let unlisted: Vec<_> = failed.difference(&listed).collect();
    let passing: Vec<_> = listed.difference(&failed).collect();
    assert!(unlisted.is_empty() && passing.is_empty(), "failed unlisted {unlisted:?}, listed but passed {passing:?}");
}
