//! Whole collectors against what node_exporter 1.11.1 printed on the same trees.
//!
//! `pi4`: a Raspberry Pi 4's tree with its mounts answered from a table; `upstream`: node_exporter's own fixtures
//! with its own flags; `cases`: the Pi's tree with one thing odd. Families that differ on purpose are in
//! `DIFFERENCES.md` and named here.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::support::{Folder, Table, check, copy, families, lane_over, printed, set_modified, shared, space};

/// What a golden cannot hold: times, durations, the machine's own names.
const PASSING: [&str; 5] = [
    "node_scrape_collector_duration_seconds",
    "node_time_seconds",
    "node_time_zone_offset_seconds",
    "node_uname_info",
    "node_scrape_collector_success",
];

const PI4_FLAGS: [&str; 6] = [
    "no-collector.netdev.netlink",
    "no-collector.uname",
    "collector.cpu.info",
    "collector.stat.softirq",
    "collector.filesystem.mount-points-exclude=^/(dev|proc|run|sys)($|/)",
    "path.rootfs=/rf",
];

/// The mounts of the README beside the tree.
fn pi4_mounts() -> Box<Table> {
    let spaces = [
        ("/rf/", space(16_384, 16_383, 2_048, 2_035)),
        ("/rf/boot/firmware", space(8_192, 8_192, 512, 511)),
        ("/rf/data", space(32_768, 19_968, 4_096, 4_094)),
        ("/rf/var/log", space(2_048, 1_048, 256, 254)),
    ];
    Box::new(Table { spaces: spaces.map(|(path, space)| (path.into(), space)).into() })
}

#[test]
fn pi4() {
    let Some(shared) = shared("the Raspberry Pi 4 golden") else { return };
    let tree = shared.join("edge/pi4-tree/tree");
    let folder = Folder::new("pi4");
    copy(&tree.join("textfile"), &folder.0);
    for entry in fs::read_dir(&folder.0).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        let is_hidden = path.ends_with(".hidden.prom");
        set_modified(&path, if is_hidden { 1_795_250_010 } else { 1_780_000_000 });
    }
    let directory = format!("collector.textfile.directory={}", folder.0.display());
    let flags: Vec<&str> = PI4_FLAGS.into_iter().chain([directory.as_str()]).collect();
    let mut lane = lane_over(&tree, &flags, pi4_mounts());
    let ours = printed(&mut lane).replace(folder.0.to_str().expect("UTF-8"), "textfile");
    let golden = fs::read_to_string(shared.join("edge/pi4-tree/expected-1.11.1.prom")).expect("a golden");
    // The golden holds every collector; a family is ours when the inventory says so, or when a text file made it.
    let inventory = fs::read_to_string(shared.join("node_exporter/families.tsv")).expect("an inventory");
    let names: BTreeSet<&str> = lane.names().collect();
    let mut known: BTreeSet<&str> = inventory
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .filter(|(collector, _)| names.contains(collector))
        .filter_map(|(_, rest)| rest.split('\t').next())
        .collect();
    known.extend(families(&ours).into_keys());
    let compared = check("pi4", &ours, &golden, &|name| PASSING.contains(&name) || !known.contains(name));
    assert!(compared >= 100, "only {compared} families were compared");
    for row in ours.lines().filter(|line| line.starts_with("node_scrape_collector_success")) {
        assert!(golden.lines().any(|line| line == row), "{row}");
    }
    assert!(lane.failures().iter().all(|failure| failure.error.is_absent()), "{:?}", lane.failures());
}

/// Flags of upstream's end-to-end run that concern the collectors here.
const UPSTREAM_FLAGS: [&str; 5] = [
    "collector.cpu.info",
    "collector.cpu.info.bugs-include=^(cpu_meltdown|spectre_.*|mds)$",
    "collector.cpu.info.flags-include=^(aes|avx.?|constant_tsc)$",
    "collector.netdev.device-include=lo",
    "collector.stat.softirq",
];

#[test]
fn upstream() {
    let Some(shared) = shared("node_exporter's own fixtures") else { return };
    let source = shared.join("node_exporter/v1.11.1/collector/fixtures");
    let fixtures = Folder::new("upstream-fixtures");
    for part in ["proc", "sys", "udev", "textfile"] {
        copy(&source.join(part), &fixtures.0.join(part));
    }
    let fixtures = &fixtures.0;
    // The peer asks netlink, so its tree lacks these.
    let dev = "\n\n lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n";
    fs::write(fixtures.join("proc/net/dev"), dev).expect("a file can be written");
    let statistics = fixtures.join("sys/class/net/lo/statistics");
    fs::create_dir_all(&statistics).expect("a folder can be made");
    fs::write(statistics.join("rx_nohandler"), "0\n").expect("a file can be written");
    let folder = Folder::new("upstream");
    copy(&fixtures.join("textfile/two_metric_files"), &folder.0);
    let directory = format!("collector.textfile.directory={}", folder.0.display());
    let flags: Vec<&str> = UPSTREAM_FLAGS.into_iter().chain([directory.as_str()]).collect();
    for name in ["cpu", "diskstats", "loadavg", "meminfo", "stat", "textfile", "thermal_zone"] {
        let ours = only(name, fixtures, &flags);
        let ours = ours.replace(folder.0.to_str().expect("UTF-8"), "collector/fixtures/textfile/two_metric_files");
        let golden = golden_of(&shared, name);
        check(name, &ours, &golden, &|family| is_peers_own(family) || family == "node_textfile_mtime_seconds");
    }
    // These read the machine they were made on: only names, help, types and labels can be compared.
    for name in ["filesystem", "netdev", "time", "uname"] {
        let golden = golden_of(&shared, name);
        check(name, &shape(&only(name, fixtures, &[])), &shape(&golden), &is_peers_own);
    }
}

fn only(name: &str, fixtures: &Path, flags: &[&str]) -> String {
    let own = format!("collector.{name}");
    let flags: Vec<&str> = ["collector.disable-defaults", own.as_str(), "collector.cpufreq"]
        .into_iter()
        .chain(flags.iter().copied())
        .collect();
    let spaces = vec![("/".into(), space(10, 5, 10, 5))];
    printed(&mut lane_over(fixtures, &flags, Box::new(Table { spaces })))
}

fn golden_of(shared: &Path, name: &str) -> String {
    let path = shared.join(format!("node_exporter/per-collector-1.11.1/{name}.prom"));
    fs::read_to_string(path).expect("a golden")
}

fn is_peers_own(family: &str) -> bool {
    let is_own = |prefix| family.starts_with(prefix);
    is_own("go_") || is_own("process_") || is_own("promhttp_") || is_own("node_exporter_") || family == PASSING[0]
}

/// Reduces rows to their label names, each combination once.
fn shape(text: &str) -> String {
    let mut seen = BTreeSet::new();
    let mut out = String::new();
    for line in text.lines().filter(|line| !line.starts_with("node_scrape_")) {
        let mut shape = line.to_owned();
        if !line.starts_with('#') {
            let (name, labels) = line.split_once('{').unwrap_or((line.split(' ').next().unwrap_or(""), ""));
            let names: Vec<&str> = labels.split("\",").filter_map(|pair| pair.split("=\"").next()).collect();
            shape = [name, "{", &names.join(","), "}"].concat();
        }
        if seen.insert(shape.clone()) {
            out.push_str(&shape);
            out.push('\n');
        }
    }
    out
}

#[test]
fn cases() {
    let Some(shared) = shared("the odd Raspberry Pi trees") else { return };
    let mut run = 0;
    for name in [
        "diskstats_default_excludes",
        "netdev_odd_names",
        "stat_no_btime",
        "thermal_no_policy",
        "thermal_temp_empty",
        "thermal_temp_missing",
    ] {
        let case = shared.join("edge/collector-cases-pi4").join(name);
        let folder = Folder::new(name);
        let tree = &folder.0;
        copy(&shared.join("edge/pi4-tree/tree"), tree);
        if case.join("override").is_dir() {
            copy(&case.join("override"), tree);
        }
        let removed = fs::read_to_string(case.join("removed.txt")).unwrap_or_default();
        for path in removed.lines().filter(|line| !line.is_empty()) {
            let path = tree.join(path);
            let is_folder = path.is_dir() && !path.is_symlink();
            if is_folder { fs::remove_dir_all(path) } else { fs::remove_file(path) }.expect("a path to remove");
        }
        let info = fs::read_to_string(case.join("case.json")).expect("a case");
        let collector = info.split("\"collector\": \"").nth(1).and_then(|rest| rest.split('"').next());
        let collector = format!("collector.{}", collector.expect("a collector"));
        let flags = ["collector.disable-defaults", &collector, "no-collector.netdev.netlink"];
        let ours = printed(&mut lane_over(tree, &flags, pi4_mounts()));
        let golden = fs::read_to_string(case.join("expected.prom")).expect("a golden");
        check(name, &ours, &golden, &|family| family == PASSING[0]);
        run += 1;
    }
    assert_eq!(run, 6);
}
