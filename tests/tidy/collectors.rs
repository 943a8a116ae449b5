//! Every collector has its file, a fixture and a line of documentation.
//!
//! The collectors are those that exporters/src/lib.rs lists in `COLLECTORS`. An expected exposition below
//! `exporters/fixtures` must show the collector's success, and exporters/README.md must have a row of a table that
//! begins with its name. Whether the exposition is right is the business of the collectors' own tests.

use crate::tree::Tree;
use crate::{assert_caught, assert_tidy};

const LIST: &str = "exporters/src/lib.rs";

/// Checks each listed collector, and that no file of a collector is forgotten in the list.
fn check_collectors(tree: &Tree) -> Vec<String> {
    let names = names(tree.text(LIST).unwrap_or(""));
    let guide = tree.text("exporters/README.md").unwrap_or("");
    let mut complaints = Vec::new();
    for name in &names {
        let has_file = |path: &str| tree.files.iter().any(|file| file.path.starts_with(path));
        let has_source = has_file(&format!("exporters/src/{name}.rs")) || has_file(&format!("exporters/src/{name}/"));
        let success = format!("node_scrape_collector_success{{collector=\"{name}\"}} 1\n");
        let is_expected = |path: &str| path.starts_with("exporters/fixtures/") && path.ends_with(".prom");
        let has_fixture = tree.files.iter().any(|file| is_expected(&file.path) && file.text.contains(&success));
        let has_row = guide.lines().any(|line| line.starts_with(&format!("| {name} |")));
        if !has_source {
            complaints.push(format!("{name}: no exporters/src/{name}.rs"));
        }
        if !has_fixture {
            complaints.push(format!("{name}: no expected exposition in exporters/fixtures shows it"));
        }
        if !has_row {
            complaints.push(format!("{name}: no row of exporters/README.md begins with `| {name} |`"));
        }
    }
    complaints
}

/// Returns the modules in the list of collectors, in its order: a collector and its file have one name.
fn names(list: &str) -> Vec<&str> {
    let inside = list.split_once("COLLECTORS: &[").map_or("", |(_, rest)| rest);
    let inside = inside.split_once("\n];").map_or("", |(inside, _)| inside);
    inside.lines().filter_map(|line| line.trim().strip_suffix("::INFO,")).collect()
}

#[test]
fn every_collector_is_shown_and_told() {
    let tree = Tree::project();
    let found = names(tree.text(LIST).expect("the exporters are a library"));
    assert!(found.len() >= 11, "only these collectors found in {LIST}: {found:?}");
    assert_tidy(&check_collectors(&tree));
}

#[test]
fn a_collector_without_fixture_or_words_is_caught() {
    let list = "pub const COLLECTORS: &[CollectorInfo] = &[\n    #[cfg(feature = \"cpu\")]\n    cpu::INFO,\n    \
                net::INFO,\n    stat::INFO,\n];\n";
    let expected = "node_scrape_collector_success{collector=\"cpu\"} 1\nnode_scrape_collector_success{collector=\"net\"} \
                    0\nnode_scrape_collector_success{collector=\"stat\"} 1\n";
    let tree = Tree::of(&[
        (LIST, list),
        ("exporters/src/cpu.rs", ""),
        ("exporters/src/net.rs", ""),
        ("exporters/fixtures/board/expected.prom", expected),
        ("exporters/README.md", "| cpu | processors |\n| net | links |\n"),
    ]);
    let places = ["net: no expected", "stat: no exporters/src/stat.rs", "stat: no row"];
    assert_caught(&check_collectors(&tree), &places);
}
