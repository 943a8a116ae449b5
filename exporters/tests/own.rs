//! Our own small board, whole tree in, whole exposition out, and the promises of the list of collectors.
//!
//! `fixtures/board/expected.prom` is compared to the byte. With `NARTHEX_BLESS` set it is written anew instead, to be
//! read as a difference before it is committed. The table in `README.md` is made from `COLLECTORS` and compared.

use std::fs;
use std::path::{Path, PathBuf};

use exporters::COLLECTORS;

use crate::support::{Folder, Table, copy, lane_over, printed, set_modified, space};

/// Returns our own board.
pub fn board() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/board")
}

/// Returns the flags it is read with.
pub fn flags(tree: &Path) -> Vec<String> {
    let fixed = [
        "collector.cpu.info",
        "collector.stat.softirq",
        "collector.netdev.label-ifalias",
        "collector.bcache.priorityStats",
    ];
    let root = format!("path.rootfs={}", tree.display());
    let asked = ["include=kernel.threads-max", "include=fs.file-nr:total,current,max", "include-info=kernel.actions"]
        .map(|flag| format!("collector.sysctl.{flag}"));
    let features = "collector.cpu.info.flags-include=^(neon|vfp)$".to_owned();
    let directory = format!("collector.textfile.directory={}", tree.join("textfile").display());
    let every_collector = COLLECTORS.iter().map(|info| format!("collector.{}", info.name));
    fixed
        .map(str::to_owned)
        .into_iter()
        .chain([root, features, directory])
        .chain(asked)
        .chain(every_collector)
        .collect()
}

/// Returns its mounts.
pub fn mounts(tree: &Path) -> Box<Table> {
    let spaces = [
        ("", space(1_900_000, 900_000, 480_000, 410_000)),
        ("var/log", space(2_048, 1_900, 60_000, 59_990)),
        ("boot two", space(65_000, 20_000, 0, 0)),
    ];
    Box::new(Table { spaces: spaces.map(|(path, space)| (tree.join(path), space)).into() })
}

#[test]
fn own_board() {
    let folder = Folder::new("own");
    copy(&board(), &folder.0);
    set_modified(&folder.0.join("textfile/backup.prom"), 1_780_000_000);
    let flags = flags(&folder.0);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let mut lane = lane_over(&folder.0, &flags, mounts(&folder.0));
    printed(&mut lane);
    let ours = printed(&mut lane).replace(&format!("{}/", folder.0.display()), "");
    let ours = without_zone(&ours);
    let path = board().join("expected.prom");
    if std::env::var_os("NARTHEX_BLESS").is_some() {
        fs::write(&path, &ours).expect("a writable file");
    }
    let expected = fs::read_to_string(&path).expect("an expected text");
    for (line, (ours, expected)) in ours.lines().zip(expected.lines()).enumerate() {
        assert_eq!(ours, expected, "line {}", line + 1);
    }
    assert_eq!(ours.len(), expected.len());
}

/// The zone is the machine's on which the test runs, and the version is that of the day.
fn without_zone(text: &str) -> String {
    let passing = ["node_time_zone_offset_seconds{", "node_exporter_build_info{"];
    let kept = text.split_inclusive('\n').filter(|line| !passing.iter().any(|name| line.starts_with(name)));
    kept.collect()
}

#[test]
fn the_readme_lists_every_collector() {
    let mut table =
        "| collector | by default | flags of its own | what it tells |\n| --- | --- | --- | --- |\n".to_owned();
    for info in COLLECTORS {
        let flags: Vec<String> = info
            .flags
            .iter()
            .map(|flag| flag.name.strip_prefix("collector.").expect("a collector's flag"))
            .map(|flag| format!("`{}`", flag.strip_prefix(info.name).unwrap_or(flag).trim_start_matches('.')))
            .collect();
        let on = if info.default_on { "on" } else { "off" };
        table.push_str(&format!("| {} | {on} | {} | {} |\n", info.name, flags.join(" "), info.doc));
        assert!(info.doc.ends_with('.') && !info.doc.contains('\n'), "{}: one sentence", info.name);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let mut readme = fs::read_to_string(&path).expect("a README");
    if std::env::var_os("NARTHEX_BLESS").is_some() {
        let start = readme.find("| collector |").expect("a table");
        let end = start + readme[start..].find("\n\n").expect("an empty line after it") + 1;
        readme.replace_range(start..end, &table);
        fs::write(&path, &readme).expect("a writable file");
    }
    assert!(readme.contains(&table), "README.md lacks this table:\n{table}");
}

#[test]
fn every_collector_tells_something_of_our_board() {
    let expected = fs::read_to_string(board().join("expected.prom")).expect("an expected text");
    for info in COLLECTORS {
        let row = format!("node_scrape_collector_success{{collector=\"{}\"}} 1\n", info.name);
        assert!(expected.contains(&row), "{}", info.name);
    }
}
