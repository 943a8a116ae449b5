//! Whole collectors against what node_exporter 1.11.1 printed on the same trees.
//!
//! `pi4`: a Raspberry Pi 4's tree with its mounts answered from a table; `upstream`: node_exporter's own fixtures
//! with its own flags; `cases`: the Pi's tree with one thing odd. Families that differ on purpose are in
//! `DIFFERENCES.md` and named here.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use exporters::COLLECTORS;

use crate::support::{
    Folder, Table, check, copy, families, lane_over, printed, printed_some, set_modified, settings, shared, space,
};

const DURATION: &str = "node_scrape_collector_duration_seconds";

/// What a golden cannot hold: times, durations, the machine's own names.
const PASSING: [&str; 6] = [
    "node_exporter_build_info",
    DURATION,
    "node_time_seconds",
    "node_time_zone_offset_seconds",
    "node_uname_info",
    "node_scrape_collector_success",
];

const PI4_FLAGS: [&str; 22] = [
    "no-collector.netdev.netlink",
    "no-collector.arp.netlink",
    "no-collector.systemd",
    "no-collector.selinux",
    "no-collector.timex",
    "no-collector.uname",
    "no-collector.bcachefs",
    "collector.buddyinfo",
    "collector.cgroups",
    "collector.interrupts",
    "collector.lnstat",
    "collector.processes",
    "collector.slabinfo",
    "collector.softirqs",
    "collector.swap",
    "collector.sysctl",
    "collector.cpu.info",
    "collector.stat.softirq",
    "collector.sysctl.include=kernel.threads-max",
    "collector.sysctl.include=fs.file-nr:total,current,max",
    "collector.filesystem.mount-points-exclude=^/(dev|proc|run|sys)($|/)",
    "collector.textfile",
];

/// The mounts of the README beside the tree, below a root folder.
fn pi4_mounts(root: &Path) -> Box<Table> {
    let spaces = [
        ("", space(16_384, 16_383, 2_048, 2_035)),
        ("boot/firmware", space(8_192, 8_192, 512, 511)),
        ("data", space(32_768, 19_968, 4_096, 4_094)),
        ("var/log", space(2_048, 1_048, 256, 254)),
    ];
    Box::new(Table { spaces: spaces.map(|(path, space)| (root.join(path), space)).into() })
}

#[test]
fn pi4() {
    let Some(shared) = shared("the Raspberry Pi 4 golden") else { return };
    let folder = Folder::new("pi4");
    let tree = &folder.0;
    copy(&shared.join("edge/pi4-tree/tree"), tree);
    let textfile = tree.join("textfile");
    for entry in fs::read_dir(&textfile).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        let is_hidden = path.ends_with(".hidden.prom");
        set_modified(&path, if is_hidden { 1_795_250_010 } else { 1_780_000_000 });
    }
    let directory = format!("collector.textfile.directory={}", textfile.display());
    let root = format!("path.rootfs={}", tree.display());
    let flags: Vec<&str> = PI4_FLAGS.into_iter().chain([directory.as_str(), &root]).collect();
    let mut lane = lane_over(tree, &flags, pi4_mounts(tree));
    let ours = printed(&mut lane).replace(textfile.to_str().expect("UTF-8"), "textfile");
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
    assert!(compared >= 200, "only {compared} families were compared");
    for row in ours.lines().filter(|line| line.starts_with("node_scrape_collector_success")) {
        assert!(golden.lines().any(|line| line == row), "{row}");
    }
    assert!(
        lane.failures().iter().all(|failure| failure.error.is_absent() || failure.error.is_success()),
        "{:?}",
        lane.failures()
    );
}

/// Flags of upstream's end-to-end run.
const UPSTREAM_FLAGS: [&str; 19] = [
    "collector.cpu.info",
    "collector.arp.device-exclude=nope",
    "no-collector.arp.netlink",
    "collector.bcache.priorityStats",
    "collector.cpu.info.bugs-include=^(cpu_meltdown|spectre_.*|mds)$",
    "collector.cpu.info.flags-include=^(aes|avx.?|constant_tsc)$",
    "collector.hwmon.chip-include=(applesmc|asus_nb_wmi|coretemp|hwmon4|ieee80211|nct6779)",
    "collector.netclass.ignore-invalid-speed",
    "collector.netclass.ignored-devices=(dmz|int)",
    "collector.netdev.device-include=lo",
    "collector.qdisc.device-include=(wlan0|eth0)",
    "collector.stat.softirq",
    "collector.sysctl.include-info=kernel.seccomp.actions_avail",
    "collector.sysctl.include=fs.file-nr",
    "collector.sysctl.include=fs.file-nr:total,current,max",
    "collector.sysctl.include=kernel.threads-max",
    "no-collector.filesystem",
    "no-collector.timex",
    "no-collector.uname",
];

/// Collectors whose goldens were read from the machine they were made on: only names, help, types and labels can
/// be compared. Of whole runs that is netdev alone, whose rows upstream leaves out of its goldens itself.
const LIVE: [&str; 9] =
    ["ethtool", "filesystem", "netdev", "network_route", "selinux", "systemd", "tcpstat", "timex", "uname"];

/// Families that node_exporter has since 1.12, and 1.11.1 does not.
const LATER: [&str; 1] = ["node_mountstats_nfs_mountpoint_info"];

/// Returns a copy of upstream's tree, with what the peer asks netlink and we may read from files.
fn upstream_tree(shared: &Path, version: &str, test: &str) -> Folder {
    let source = shared.join("node_exporter").join(version).join("collector/fixtures");
    let folder = Folder::new(&format!("{test}-{version}"));
    let fixtures = &folder.0;
    for entry in fs::read_dir(&source).expect("a readable folder") {
        let entry = entry.expect("a readable entry");
        if entry.path().is_dir() {
            copy(&entry.path(), &fixtures.join(entry.file_name()));
        }
    }
    // Empty folders count, and the shared data lists them because it cannot hold them.
    let empty = fs::read_to_string(shared.join("EMPTY-FOLDERS.txt")).expect("a list of empty folders");
    let prefix = format!("node_exporter/{version}/collector/fixtures/");
    for path in empty.lines().filter_map(|line| line.strip_prefix(&prefix)) {
        fs::create_dir_all(fixtures.join(path)).expect("a folder can be made");
    }
    // `/proc/self` is a link, which the shared data holds as a file with the way in it.
    let own = fixtures.join("proc/self");
    if let Ok(link) = fs::read_to_string(&own) {
        fs::remove_file(&own).expect("a file to remove");
        std::os::unix::fs::symlink(link.trim_end(), &own).expect("a link can be made");
    }
    let dev = "\n\n lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n";
    fs::write(fixtures.join("proc/net/dev"), dev).expect("a file can be written");
    folder
}

#[test]
fn upstream() {
    let Some(shared) = shared("node_exporter's own fixtures") else { return };
    let tree = upstream_tree(&shared, "v1.11.1", "alone");
    let mut compared = 0;
    for info in COLLECTORS {
        let Ok(golden) =
            fs::read_to_string(shared.join(format!("node_exporter/per-collector-1.11.1/{}.prom", info.name)))
        else {
            eprintln!("{}: no golden", info.name);
            continue;
        };
        let ours = only(info.name, &tree.0);
        // This build of the peer lists other namespaces than upstream's own golden, which is compared below.
        let is_left_out = |family: &str| {
            is_peers_own(family)
                || ["node_textfile_mtime_seconds", "node_time_seconds", "node_time_zone_offset_seconds"]
                    .contains(&family)
                || family.starts_with("node_nvme_namespace_")
                || LATER.contains(&family)
        };
        compared += match LIVE.contains(&info.name) {
            // The machines have different devices.
            true => {
                let is_told = |text: &str, family: &str| text.contains(&format!("# HELP {family} "));
                let is_untold =
                    |family: &str| is_left_out(family) || !is_told(&ours, family) || !is_told(&golden, family);
                check(info.name, &shape(&ours), &shape(&golden), &is_untold)
            }
            false => check(info.name, &ours, &golden, &is_left_out),
        };
    }
    assert!(compared > 300, "only {compared} families were compared");
}

fn upstream_flags(fixtures: &Path) -> Vec<String> {
    let textfile = format!("collector.textfile.directory={}", fixtures.join("textfile/two_metric_files").display());
    let root = format!("path.rootfs={}", fixtures.display());
    let own = ["qdisc", "wifi"].map(|name| format!("collector.{name}.fixtures={}", fixtures.join(name).display()));
    UPSTREAM_FLAGS.map(str::to_owned).into_iter().chain([textfile, root]).chain(own).collect()
}

/// Runs one collector with upstream's flags; what runs beside it is only known to be on.
fn only(name: &str, fixtures: &Path) -> String {
    let own = format!("collector.{name}");
    if LIVE.contains(&name) {
        let mut lane = exporters::lane(&settings(&[&own])).expect("good settings");
        return printed_some(&mut lane, &|wanted| wanted == name);
    }
    let flags = upstream_flags(fixtures);
    let flags: Vec<&str> = flags.iter().map(String::as_str).chain([own.as_str()]).collect();
    let mut lane = lane_over(fixtures, &flags, Box::new(Table { spaces: Vec::new() }));
    let text = printed_some(&mut lane, &|wanted| wanted == name);
    text.replace(fixtures.to_str().expect("UTF-8"), "collector/fixtures")
}

/// Whole runs with upstream's flags against upstream's own goldens, for both versions we follow.
#[test]
fn upstream_end_to_end() {
    let Some(shared) = shared("node_exporter's own end-to-end goldens") else { return };
    for version in ["v1.11.1", "v1.12.1"] {
        let tree = upstream_tree(&shared, version, "whole");
        let fixtures = &tree.0;
        let golden = fs::read_to_string(fixtures_of(&shared, version).join("e2e-output.txt")).expect("a golden");
        let success = |name: &str| format!("node_scrape_collector_success{{collector=\"{name}\"}} ");
        let ran: Vec<&str> =
            COLLECTORS.iter().map(|info| info.name).filter(|name| golden.contains(&success(name))).collect();
        let switches: Vec<String> = ran.iter().map(|name| format!("collector.{name}")).collect();
        let flags = upstream_flags(fixtures);
        let flags: Vec<&str> = flags.iter().map(String::as_str).chain(switches.iter().map(String::as_str)).collect();
        let mut lane = lane_over(fixtures, &flags, Box::new(Table { spaces: Vec::new() }));
        let ours = printed_some(&mut lane, &|name| ran.contains(&name));
        let ours = ours.replace(fixtures.to_str().expect("UTF-8"), "collector/fixtures");
        let told = families_of(&shared, &|collector| ran.contains(&collector));
        // The peer asks the live kernel for these: what stands above the rows is compared.
        let live = families_of(&shared, &|collector| collector == "netdev");
        let is_kept = |line: &&str| !line.split_once('{').is_some_and(|(name, _)| live.contains(name));
        let heads = |text: &str| text.split_inclusive('\n').filter(is_kept).collect::<String>();
        let (ours, golden) = (heads(&ours), heads(&golden));
        let is_left_out = |family: &str| {
            is_peers_own(family)
                || PASSING.contains(&family)
                || family == "node_textfile_mtime_seconds"
                || (version == "v1.11.1" && LATER.contains(&family))
                || !(told.contains(family) || ours.contains(&format!("# HELP {family} ")))
        };
        let compared = check(version, &ours, &golden, &is_left_out);
        assert!(compared > 250, "only {compared} families were compared");
        for row in ours.lines().filter(|line| line.starts_with("node_scrape_collector_success{")) {
            assert!(golden.lines().any(|line| line == row), "{version}: {row}");
        }
    }
}

fn fixtures_of(shared: &Path, version: &str) -> PathBuf {
    shared.join("node_exporter").join(version).join("collector/fixtures")
}

/// Returns the families of some collectors, from the inventory.
fn families_of(shared: &Path, wanted: &dyn Fn(&str) -> bool) -> BTreeSet<String> {
    let inventory = fs::read_to_string(shared.join("node_exporter/families.tsv")).expect("an inventory");
    let rows = inventory.lines().filter_map(|line| line.split_once('\t'));
    let rows = rows.filter(|(collector, _)| wanted(collector));
    rows.filter_map(|(_, rest)| rest.split('\t').next().map(str::to_owned)).collect()
}

fn is_peers_own(family: &str) -> bool {
    let is_own = |prefix| family.starts_with(prefix);
    is_own("go_")
        || is_own("process_")
        || is_own("promhttp_")
        || is_own("node_exporter_")
        || family == DURATION
        || family == PASSING[0]
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

/// Where the peer drops the good part with the bad one and we do not: what is told besides, by the start of its name.
const KEPT: [(&str, &[&str]); 2] =
    [("pressure_garbage", &["node_pressure_memory_"]), ("netstat_header_mismatch", &["node_netstat_"])];

#[test]
fn cases() {
    let Some(shared) = shared("the odd Raspberry Pi trees") else { return };
    let mut run = 0;
    for entry in fs::read_dir(shared.join("edge/collector-cases-pi4")).expect("a readable folder") {
        let name = entry.expect("a readable entry").file_name();
        let name = name.to_str().expect("UTF-8");
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
        let collector = collector.expect("a collector");
        if !COLLECTORS.iter().any(|info| info.name == collector) {
            eprintln!("LEFT OUT: {name}: there is no collector {collector}");
            continue;
        }
        let switch = format!("collector.{collector}");
        let flags = ["collector.disable-defaults", &switch, "no-collector.netdev.netlink", "no-collector.arp.netlink"];
        let ours = printed(&mut lane_over(tree, &flags, pi4_mounts(tree)));
        let golden = fs::read_to_string(case.join("expected.prom")).expect("a golden");
        let kept: &[&str] = KEPT.iter().find(|(case, _)| *case == name).map_or(&[], |(_, families)| families);
        let is_left_out = |family: &str| {
            family == DURATION || family == PASSING[0] || kept.iter().any(|kept| family.starts_with(kept))
        };
        check(name, &ours, &golden, &is_left_out);
        for kept in kept {
            assert!(ours.contains(kept) && !golden.contains(kept), "{name}: {kept}");
        }
        run += 1;
    }
    assert!(run >= 24, "only {run} cases");
}
