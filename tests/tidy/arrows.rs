//! Who may name whom: the arrows of ARCHITECTURE.md, read from every manifest.
//!
//! An arrow reads "may name", and there is no arrow not drawn here. Dependencies of tests count as well: a crate whose
//! tests need another is not apart from it. Beside the arrows: which crates may bring the network or a runtime in.
//! The versions and features of dependencies are nobody's business here.

use crate::tree::{File, Tree};
use crate::{assert_caught, assert_tidy};

/// Each package of the workspace, by its short name, and what it may name. `*` is everything.
const ARROWS: &[(&str, &[&str])] = &[
    ("tests", &["*"]),
    ("benches", &["targets", "tsdb", "exposition", "model"]),
    ("fuzz", &["tsdb", "exposition", "promql", "model", "exporters"]),
    (
        "narthex",
        &[
            "exporters",
            "tsdb",
            "rules",
            "notify",
            "forward",
            "promql",
            "exposition",
            "targets",
            "relabel",
            "push",
            "yaml",
            "kernel",
            "model",
        ],
    ),
    ("exporters", &["exposition", "kernel", "model"]),
    ("exposition", &["model"]),
    ("rules", &["promql", "yaml", "model"]),
    // What a configuration file calls relabel_configs is read in one place for everybody who has some.
    ("relabel", &["yaml", "model"]),
    ("targets", &["relabel", "exposition", "model"]),
    ("push", &["exposition", "model"]),
    ("promql", &["model"]),
    ("tsdb", &["kernel", "model"]),
    ("notify", &["yaml", "model"]),
    ("forward", &["relabel", "model"]),
    // A duration is written the same way in a query and in a file.
    ("yaml", &["model"]),
    ("kernel", &[]),
    ("model", &[]),
];

/// All that the crate everybody stands on may bring along.
const MODEL_DEPENDENCIES: [&str; 3] = ["regex-lite", "regex", "heapless"];

/// What waits, talks or asks the system, and so has no place in a library of the middle.
const SHELL_ONLY: [&str; 14] = [
    "tokio",
    "hyper",
    "hyper-util",
    "ureq",
    "rumqttc",
    "mio",
    "socket2",
    "rustix",
    "libc",
    "nix",
    "rustls",
    "lexopt",
    "async-std",
    "smol",
];

/// Checks that each package names only what its arrows allow.
fn check_arrows(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for manifest in tree.manifests() {
        let package = package_of(manifest);
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == package) else {
            complaints.push(format!("{}: `{package}` has no arrows: draw them in tests/tidy/arrows.rs", manifest.path));
            continue;
        };
        for (line, name) in dependencies(manifest) {
            if is_ours(&name) && !allowed.contains(&name.as_str()) && !allowed.contains(&"*") {
                complaints.push(format!("{}:{line}: no arrow leads from {package} to {name}", manifest.path));
            }
        }
    }
    complaints
}

/// Checks that what stays out of the libraries stays out, and that `model` stands on next to nothing.
fn check_foreign(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for manifest in tree.manifests().filter(|manifest| manifest.path.starts_with("agent/crates/")) {
        let package = package_of(manifest);
        for (line, name) in dependencies(manifest) {
            let is_strange = package == "model" && !MODEL_DEPENDENCIES.contains(&name.as_str());
            let is_shell = package != "kernel" && SHELL_ONLY.contains(&name.as_str());
            if is_strange || is_shell {
                complaints.push(format!("{}:{line}: {package} is no place for {name}", manifest.path));
            }
        }
    }
    complaints
}

fn is_ours(name: &str) -> bool {
    ARROWS.iter().any(|(ours, _)| *ours == name)
}

/// Returns a package's short name: `tsdb` for `narthex-tsdb`.
fn package_of(manifest: &File) -> String {
    let named = manifest.text.lines().find_map(|line| line.strip_prefix("name = "));
    short(named.unwrap_or("").trim().trim_matches('"'))
}

fn short(name: &str) -> String {
    name.strip_prefix("narthex-").unwrap_or(name).to_owned()
}

/// Returns the line and short name of every dependency, of any kind and for any target.
fn dependencies(manifest: &File) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut inside = false;
    for (index, line) in manifest.text.lines().enumerate() {
        let line = line.trim();
        if let Some(table) = line.strip_prefix('[') {
            let table = table.trim_end_matches(']');
            inside = table.ends_with("dependencies");
            // [dependencies.NAME] is a dependency by itself.
            if let Some((_, name)) = table.split_once("dependencies.") {
                found.push((index + 1, short(name)));
            }
        } else if let Some((key, value)) = line.split_once('=').filter(|_| inside && !line.starts_with('#')) {
            let key = key.split(['.', ' ']).next().unwrap_or("").trim_matches('"');
            let renamed = value.split_once("package = \"").and_then(|(_, rest)| rest.split('"').next());
            found.push((index + 1, short(renamed.unwrap_or(key))));
        }
    }
    found
}

#[test]
fn packages_name_only_what_is_drawn() {
    assert_tidy(&check_arrows(&Tree::project()));
}

#[test]
fn an_arrow_not_drawn_is_caught() {
    let manifest = |name: &str, rest: &str| format!("[package]\nname = \"narthex-{name}\"\n{rest}");
    let tsdb =
        manifest("tsdb", "[dependencies]\nmodel.workspace = true\nsnap = \"1\"\n[dev-dependencies]\npromql = {}\n");
    let rules =
        manifest("rules", "[dependencies.notify]\npath = \"x\"\n[dependencies]\nx = { package = \"narthex-tsdb\" }\n");
    let tree = Tree::of(&[
        ("a/Cargo.toml", &tsdb),
        ("b/Cargo.toml", &rules),
        ("c/Cargo.toml", &manifest("new", "")),
        ("d/Cargo.toml", &manifest("tests", "[dependencies]\ntsdb = {}\n")),
    ]);
    assert_caught(
        &check_arrows(&tree),
        &["a/Cargo.toml:7:", "b/Cargo.toml:3:", "b/Cargo.toml:6:", "c/Cargo.toml: `new`"],
    );
}

#[test]
fn libraries_bring_no_network_and_no_runtime() {
    assert_tidy(&check_foreign(&Tree::project()));
}

#[test]
fn a_runtime_in_a_library_is_caught() {
    let tree = Tree::of(&[
        ("agent/crates/model/Cargo.toml", "[package]\nname = \"narthex-model\"\n[dependencies]\nserde = \"1\"\n"),
        ("agent/crates/tsdb/Cargo.toml", "[package]\nname = \"narthex-tsdb\"\n[target.x.dependencies]\nlibc = \"1\"\n"),
        ("agent/crates/kernel/Cargo.toml", "[package]\nname = \"narthex-kernel\"\n[dependencies]\nlibc = \"1\"\n"),
        ("agent/Cargo.toml", "[package]\nname = \"narthex\"\n[dependencies]\ntokio = \"1\"\n"),
    ]);
    assert_caught(&check_foreign(&tree), &["agent/crates/model/Cargo.toml:4:", "agent/crates/tsdb/Cargo.toml:4:"]);
}
