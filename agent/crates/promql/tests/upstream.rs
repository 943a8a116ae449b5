//! Runs Prometheus's own scripts, which lie beside the project and are not part of it.
//!
//! The count of passed cases may only grow: raise the floor when it does.

use std::path::{Path, PathBuf};

/// How many cases of `head` and `v3.5` pass at least.
const HEAD_PASSED_MIN: u64 = 1444;
/// Of `v3.5` 19 cases differ by what the newer level defines otherwise: histograms whose custom bounds differ are
/// reconciled and no longer refused (18), and rates of histograms respect the zero point (1).
const OLD_PASSED_MIN: u64 = 946;

fn shared() -> PathBuf {
    if let Some(path) = std::env::var_os("NARTHEX_SHARED") {
        return path.into();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(3).expect("the crate lies three levels down");
    root.join("../shared")
}

fn check(folder: &str, passed_min: u64) {
    let path = shared().join("suites/promqltest").join(folder);
    let Ok(entries) = std::fs::read_dir(&path) else {
        println!("LEFT OUT: {} is not there; set NARTHEX_SHARED to run Prometheus's scripts", path.display());
        return;
    };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    files.sort();
    let (mut passed, mut failed, mut lines) = (0, 0, 0);
    for file in files.iter().filter(|file| file.extension().is_some_and(|end| end == "test")) {
        let text = std::fs::read_to_string(file).expect("a readable script");
        lines += text.lines().filter(|line| line.trim_start().starts_with("eval")).count() as u64;
        let only = std::env::var("ONLY").unwrap_or_default();
        let tally = promql::script::run(&text, &file.to_string_lossy(), &mut |outcome| {
            if let Some(failure) = &outcome.failure
                && outcome.file.contains(&only)
            {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                println!("{name}:{}: {}\n    {failure}", outcome.line, outcome.expr);
            }
        });
        println!("{:>5} passed {:>5} failed  {}", tally.passed, tally.failed, file.display());
        passed += tally.passed;
        failed += tally.failed;
    }
    println!("{folder}: {passed} passed, {failed} failed, {lines} eval lines");
    assert_eq!(passed + failed, lines, "every eval line is one case");
    assert!(passed >= passed_min, "{folder}: {passed} passed, {passed_min} did before");
}

#[test]
fn scripts_of_the_present_level() {
    check("head", HEAD_PASSED_MIN);
}

#[test]
fn scripts_of_level_3_5() {
    check("v3.5", OLD_PASSED_MIN);
}
