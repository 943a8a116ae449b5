//! Every metric that dashboards and rules ask for, and every one that a real Raspberry Pi 4 told, is told here.
//!
//! `metrics-used.tsv` is what Node Exporter Full, node-mixin and others ask; the dump is node_exporter 1.7.0 on a
//! board. A name counts as told when a run over one of the trees tells it. What is not told stands below, by file,
//! with the reason.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use exporters::COLLECTORS;

use crate::own::{board, flags, mounts};
use crate::support::{Folder, copy, lane_over, printed, shared};

/// Names that are asked for and not told over these trees, by file, with the reason.
const UNTOLD_IN_QUERIES: [(&str, &str); 1] =
    [("node_kernel_hung_tasks", "node-exporter-full: node_exporter tells node_kernel_hung_tasks_total, and so do we")];

/// Names in `real-pi4-node_exporter-1.7.0.prom` that node_exporter 1.11.1 does not know any more.
const FORGOTTEN: [&str; 2] = ["node_memory_KReclaimable_bytes", "node_memory_SecPageTables_bytes"];

/// What kernels say that the trees do not have, and the flags that one panel and one rule need with the peer as well.
const RARE: [(&str, &str); 4] = [
    ("proc/meminfo", "DirectMap1G: 1 kB\nShmemHugePages: 0 kB\nShmemPmdMapped: 0 kB\n"),
    ("proc/net/snmp", "Tcp: MaxConn\nTcp: -1\n"),
    ("sys/class/hwmon/hwmon0/temp1_alarm", "0\n"),
    ("sys/class/hwmon/hwmon0/temp1_crit_hyst", "90000\n"),
];
const RARE_FLAGS: [&str; 3] =
    ["collector.netstat.fields=.*", "collector.systemd", "collector.systemd.enable-restarts-metrics"];

/// Returns the names of all rows, those of a histogram or summary too.
fn names(text: &str) -> BTreeSet<String> {
    let rows = text.lines().filter(|line| !line.starts_with('#'));
    rows.filter_map(|line| line.split(['{', ' ']).next().map(str::to_owned)).collect()
}

#[test]
fn what_dashboards_and_a_real_board_know_is_told() {
    let Some(shared) = shared("the names that dashboards ask for") else { return };
    let mut told = BTreeSet::new();
    for tree in ["node_exporter/v1.12.1/collector/fixtures", "edge/pi4-tree/tree", ""] {
        let folder = Folder::new(&format!("names-{}", tree.len()));
        copy(&if tree.is_empty() { board() } else { shared.join(tree) }, &folder.0);
        let flags = flags(&folder.0);
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        told.extend(names(&printed(&mut lane_over(&folder.0, &flags, mounts(&folder.0)))));
    }
    let rare = Folder::new("names-rare");
    for (path, text) in RARE {
        let path = rare.0.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder can be made");
        fs::write(path, text).expect("a file can be written");
    }
    told.extend(names(&printed(&mut lane_over(&rare.0, &RARE_FLAGS, mounts(&rare.0)))));
    let used = fs::read_to_string(shared.join("../real-queries/metrics-used.tsv")).expect("a list of names");
    let used = used.lines().skip(1).filter_map(|line| line.split('\t').next());
    let real = fs::read_to_string(shared.join("edge/real-pi4-node_exporter-1.7.0.prom")).expect("a dump");
    let is_peers_own = |name: &&String| ["go_", "process_", "promhttp_"].iter().any(|own| name.starts_with(own));
    let real: BTreeSet<String> = names(&real).iter().filter(|name| !is_peers_own(name)).cloned().collect();
    let untold: Vec<&str> = used.clone().filter(|name| !told.contains(*name)).collect();
    assert_eq!(untold, UNTOLD_IN_QUERIES.map(|(name, _)| name));
    let untold: Vec<&String> = real.iter().filter(|name| !told.contains(*name)).collect();
    assert_eq!(untold, FORGOTTEN);
    assert!(used.count() > 200 && real.len() > 200);
}

/// Every collector of the ranking is served, or named in `DIFFERENCES.md` with the reason.
#[test]
fn what_is_not_served_is_listed_with_its_reason() {
    let Some(shared) = shared("the ranking of collectors") else { return };
    let ranking = fs::read_to_string(shared.join("node_exporter/collector-ranking.tsv")).expect("a ranking");
    let listed = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("DIFFERENCES.md")).expect("a list");
    let listed = listed.split("## Not served").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("its table");
    let rows = listed.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "));
    let left_out: BTreeSet<&str> =
        rows.filter(|(_, why)| !why.trim().is_empty()).flat_map(|(names, _)| names.split(", ")).collect();
    let mut tiers = [0; 3];
    for row in ranking.lines().skip(1) {
        let (tier, rest) = row.split_once('\t').expect("a tier");
        let name = rest.split('\t').next().expect("a name");
        let is_served = COLLECTORS.iter().any(|info| info.name == name);
        assert_ne!(is_served, left_out.contains(name), "{name}: served {is_served}");
        let tier: usize = tier.parse().expect("a number");
        assert!(is_served || tier == 3, "{name} is of tier {tier}");
        tiers[tier - 1] += usize::from(is_served);
    }
    assert_eq!(tiers[0] + tiers[1], 52, "the first two tiers");
    eprintln!("served of tiers 1, 2, 3: {tiers:?}");
}
