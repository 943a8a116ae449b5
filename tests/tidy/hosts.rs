//! Nothing in the project names the machine it was written on or the registry it was fetched from.
//!
//! Looked for in every file, fixtures and lock files included: absolute paths below folders that only some machine
//! has, and hosts that serve packages. Addresses meant for a reader, such as a specification's, are not hosts to
//! fetch from and may stay. The patterns are put together at run time, so that this file does not find itself.

use crate::tree::Tree;
use crate::{assert_caught, assert_tidy};

/// Folders of some machine, without their slashes.
const FOLDERS: [&str; 3] = ["work", "root", "home/user"];

/// Hosts that serve packages, without their last label.
const HOSTS: [(&str, &str); 10] = [
    ("deb.debian", "org"),
    ("security.debian", "org"),
    ("snapshot.debian", "org"),
    ("ftp.debian", "org"),
    ("index.crates", "io"),
    ("static.crates", "io"),
    ("pythonhosted", "org"),
    ("pypi", "org"),
    ("npmjs", "org"),
    ("proxy.golang", "org"),
];

/// Checks every line of every file.
fn check_hosts(tree: &Tree) -> Vec<String> {
    let folders = FOLDERS.map(|folder| format!("/{folder}/"));
    let hosts = HOSTS.map(|(host, last)| format!("{host}.{last}"));
    let mut complaints = Vec::new();
    for file in &tree.files {
        for (index, line) in file.text.lines().enumerate() {
            if let Some(folder) = folders.iter().find(|folder| begins_path(line, folder)) {
                complaints.push(format!("{}:{}: a path of one machine, {folder}", file.path, index + 1));
            }
            if let Some(host) = hosts.iter().find(|host| line.contains(host.as_str())) {
                complaints.push(format!("{}:{}: a host that serves packages, {host}", file.path, index + 1));
            }
        }
    }
    complaints
}

/// Tells whether a folder stands where an absolute path begins, and not in the middle of another path.
fn begins_path(line: &str, folder: &str) -> bool {
    let is_inside = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/}$~*)".contains(&byte);
    line.match_indices(folder).any(|(at, _)| at == 0 || !is_inside(line.as_bytes()[at - 1]))
}

#[test]
fn no_machine_and_no_registry_is_named() {
    assert_tidy(&check_hosts(&Tree::project()));
}

#[test]
fn a_path_or_host_of_one_machine_is_caught() {
    let (folder, host) = (format!("/{}/", FOLDERS[0]), format!("{}.{}", HOSTS[0].0, HOSTS[0].1));
    let texts = [
        format!("cd {folder}main"),
        format!("cd $HOME{folder}main; cd ..{folder}x; /srv{folder}x"),
        format!("fetched from https://{host}/x"),
        "see https://prometheus.io/docs".to_owned(),
        format!("ok\n\"{folder}\""),
    ];
    let names = ["a.sh", "b.sh", "c.md", "d.md", "e.rs"];
    let files: Vec<(&str, &str)> = names.iter().zip(&texts).map(|(name, text)| (*name, text.as_str())).collect();
    // A path after a variable's name is the variable's.
    assert_caught(&check_hosts(&Tree::of(&files)), &["a.sh:1:", "c.md:1:", "e.rs:2:"]);
}
