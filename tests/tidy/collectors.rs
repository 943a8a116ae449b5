//! Every collector has its file, a fixture and a line of documentation.
//!
//! The collectors are those that exporters/src/lib.rs lists in `COLLECTORS`. `exporters/fixtures` must hold a file or
//! folder that begins with the collector's name, and exporters/README.md a row of a table that begins with it. What
//! the fixture shows is the collector's own test's business.

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
        let has_fixture =
            tree.files.iter().filter_map(|file| file.path.strip_prefix("exporters/fixtures/")).any(|path| {
                path.split('/').any(|part| part.strip_prefix(name).is_some_and(|rest| !rest.starts_with('_')))
            });
        let has_row = guide.lines().any(|line| line.starts_with(&format!("| `{name}` |")));
        if !has_source {
            complaints.push(format!("{name}: no exporters/src/{name}.rs"));
        }
        if !has_fixture {
            complaints.push(format!("{name}: nothing in exporters/fixtures begins with its name"));
        }
        if !has_row {
            complaints.push(format!("{name}: no row of exporters/README.md begins with `| `{name}` |`"));
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
    let tree = Tree::of(&[
        (LIST, list),
        ("exporters/src/cpu.rs", ""),
        ("exporters/src/net.rs", ""),
        ("exporters/fixtures/cpu/expected.prom", ""),
        ("exporters/fixtures/net_dev.prom", ""),
        ("exporters/fixtures/stat.prom", ""),
        ("exporters/README.md", "| `cpu` | processors |\n| `net` | links |\n"),
    ]);
    let places = ["net: nothing", "stat: no exporters/src/stat.rs", "stat: no row"];
    assert_caught(&check_collectors(&tree), &places);
}
