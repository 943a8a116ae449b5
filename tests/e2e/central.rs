//! A central Prometheus scrapes our `/federate` beside the real node_exporter, on one machine at one time.
//!
//! Both sides' samples carry the time at which reading began, and `scrape_duration_seconds` says when it had ended.
//! So for each of our samples there is a last scrape of the peer that had ended before, and a first that began after.
//! A counter must lie between those two values. A gauge must lie between the least and the greatest of them and
//! their neighbours; where it moves by leaps, `slack` says how far outside it may be, and why.
//!
//! Two things are compared with the kernel instead, where the peer is wrong (`exporters/DIFFERENCES.md`): the label
//! `rotational` of `node_disk_info`, and `node_filesystem_readonly`.
//!
//! Left out is only what the peer's own scrapes show to come and go; how many were compared is printed and bounded.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use support::agent::Agent;
use support::folder::Folder;
use support::peers::Peer;
use support::wait;

use crate::held::{LONG, QUICK, Samples, assert_none, held_without};

/// Our collectors.
const COLLECTORS: [&str; 11] = [
    "cpu",
    "diskstats",
    "filesystem",
    "loadavg",
    "meminfo",
    "netdev",
    "stat",
    "textfile",
    "thermal_zone",
    "time",
    "uname",
];

/// How many scrapes and collections are compared, at least.
const ROUNDS: usize = 6;

/// Of what only the presence is compared: how long the peer itself took, and what the kernel is asked about.
const OWN: [&str; 2] = ["node_scrape_collector_duration_seconds", "node_filesystem_readonly"];

/// What is the peer's and not the machine's.
fn is_of_the_machine(name: &str) -> bool {
    name.starts_with("node_") && !name.starts_with("node_exporter_")
}

fn metric(series: &str) -> &str {
    series.split('{').next().unwrap_or(series)
}

/// How far outside its neighbours a gauge may lie, because it leaps to and fro within a second.
fn slack(name: &str, memory_bytes: f64) -> f64 {
    match name {
        // Pages come and go by the hundred megabytes while somebody compiles beside us.
        _ if name.starts_with("node_memory_") => memory_bytes / 20.0,
        "node_filesystem_avail_bytes" | "node_filesystem_free_bytes" => f64::from(256 << 20),
        "node_filesystem_files_free" => 10_000.0,
        // Counts of an instant.
        "node_procs_running" | "node_procs_blocked" | "node_disk_io_now" => 200.0,
        _ => 0.0,
    }
}

/// How far a counter may be off: not at all, but for two ticks where the kernel itself goes back (proc_stat(5)).
fn counter_slack(series: &str) -> f64 {
    let goes_back = ["mode=\"idle\"", "mode=\"iowait\""].iter().any(|mode| series.contains(mode));
    if goes_back { 0.02 } else { 0.0 }
}

struct Both {
    ours: Samples,
    peers: Samples,
    /// When each reading began, and how long it took, in milliseconds.
    our_times: BTreeMap<i64, i64>,
    peer_times: BTreeMap<i64, i64>,
}

fn read(central: &Peer) -> Both {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock past 1970").as_millis() as i64;
    let of = |job: &str| {
        let selector = format!("{{__name__=~\"node_.+|scrape_duration_seconds\",job=\"{job}\"}}");
        let mut samples = held_without(&["job", "instance", "rotational"], central.address, &selector, now);
        let took = samples.remove("scrape_duration_seconds").unwrap_or_default();
        let took = took.into_iter().map(|(at, seconds)| (at, (seconds * 1_000.0).ceil() as i64)).collect();
        samples.retain(|series, _| is_of_the_machine(metric(series)));
        (samples, took)
    };
    let ((ours, our_times), (peers, peer_times)) = (of("node"), of("node_exporter"));
    Both { ours, peers, our_times, peer_times }
}

/// What came of comparing one side with the other.
#[derive(Debug, Default)]
struct Verdict {
    complaints: Vec<String>,
    series: usize,
    samples: usize,
    left_out: BTreeSet<String>,
}

fn compare(both: &Both, kinds: &BTreeMap<String, String>) -> Verdict {
    let mut verdict = Verdict::default();
    let memory_bytes = both.peers.get("node_memory_MemTotal_bytes").and_then(|points| points.values().next());
    let memory_bytes = *memory_bytes.expect("the peer knows how much memory there is");
    for (series, peers) in &both.peers {
        if peers.len() < both.peer_times.len() {
            verdict.left_out.insert(series.clone());
            continue;
        }
        let Some(ours) = both.ours.get(series) else {
            verdict.complaints.push(format!("{series} is missing"));
            continue;
        };
        let name = metric(series);
        let is_counter = kinds.get(name).map(String::as_str) == Some("counter");
        verdict.series += 1;
        let mut compared = 0;
        for (at, value) in ours {
            if OWN.contains(&name) {
                compared += 1;
                continue;
            }
            let Some((low, high)) = bounds(both, peers, *at, is_counter) else { continue };
            let slack = if is_counter { counter_slack(series) } else { slack(name, memory_bytes) };
            compared += 1;
            if *value < low - slack || *value > high + slack {
                verdict.complaints.push(format!("{series} at {at}: {value} is not within {low}..{high} (+-{slack})"));
            }
        }
        verdict.samples += compared;
        if compared == 0 {
            verdict.complaints.push(format!("{series}: none of {} samples lies between two scrapes", ours.len()));
        }
    }
    verdict
}

/// Returns the least and the greatest value that the peer's scrapes allow for a reading begun at this time; `None`
/// where there is no scrape before or after it.
fn bounds(both: &Both, peers: &BTreeMap<i64, f64>, at: i64, is_counter: bool) -> Option<(f64, f64)> {
    let ended = at + both.our_times.get(&at)?;
    let times: Vec<(i64, i64)> = both.peer_times.iter().map(|(at, took)| (*at, at + took)).collect();
    let first = times.iter().rposition(|(_, end)| *end <= at)?;
    let last = times.iter().position(|(begin, _)| *begin >= ended)?;
    let wider = usize::from(!is_counter);
    let range = first.saturating_sub(wider)..=(last + wider).min(times.len() - 1);
    let values: Vec<f64> = times[range].iter().filter_map(|(at, _)| peers.get(at).copied()).collect();
    Some((values.iter().copied().reduce(f64::min)?, values.iter().copied().reduce(f64::max)?))
}

/// Returns the `# HELP` and `# TYPE` lines about the machine.
fn described(text: &str) -> BTreeSet<String> {
    let about = |line: &&str| {
        let rest = line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE "));
        rest.is_some_and(is_of_the_machine)
    };
    text.lines().filter(about).map(str::to_owned).collect()
}

/// Checks with the kernel which disks rotate and which mounts are read-only.
fn check_with_kernel(metrics: &str) {
    let (mut disks, mut mounts) = (0, 0);
    let mountinfo =
        std::fs::read_to_string("/proc/1/mountinfo").or_else(|_| std::fs::read_to_string("/proc/self/mountinfo"));
    let mountinfo = mountinfo.expect("mounts can be read");
    for line in metrics.lines() {
        let label = |name: &str| line.split_once(&format!("{name}=\"")).and_then(|(_, rest)| rest.split('"').next());
        if line.starts_with("node_disk_info{") {
            let device = label("device").expect("a disk has a name");
            let kernel = std::fs::read_to_string(format!("/sys/block/{device}/queue/rotational"));
            assert_eq!(label("rotational"), Some(kernel.as_deref().unwrap_or("0").trim()), "{line}");
            disks += 1;
        }
        if line.starts_with("node_filesystem_readonly{") {
            let point = label("mountpoint").expect("a mount has a place");
            let words = mountinfo.lines().rev().map(|line| line.split(' ').collect::<Vec<_>>());
            // Mount points with blanks are written in another way there.
            let Some(words) = words.into_iter().find(|words| words[4] == point) else { continue };
            let has_ro = |word: Option<&&str>| word.is_some_and(|word| word.split(',').any(|option| option == "ro"));
            let is_read_only = has_ro(words.get(5)) || has_ro(words.last());
            assert!(line.ends_with(if is_read_only { " 1" } else { " 0" }), "{line}: {words:?}");
            mounts += 1;
        }
    }
    assert!(disks > 0 && mounts > 0, "{disks} disks, {mounts} mounts");
}

#[test]
fn a_central_prometheus_sees_by_us_what_it_sees_by_node_exporter() {
    let switches = COLLECTORS.map(|name| format!("--collector.{name}"));
    let mut switches: Vec<&str> = switches.iter().map(String::as_str).collect();
    switches.extend(["--collector.disable-defaults", "--web.disable-exporter-metrics"]);
    // More of the kernel's own: every block device, every mount that does not come and go, every processor.
    let flags = [
        ("collector.diskstats.device-exclude", "^$"),
        ("collector.filesystem.mount-points-exclude", "^/(dev|proc|tmp|run/user)/"),
        ("collector.filesystem.fs-types-exclude", "^(autofs|fuse.*|nsfs|overlay|proc)$"),
        ("collector.cpu.info", "true"),
    ];
    let text_folder = Folder::new("text");
    text_folder.write(
        "board.prom",
        "# HELP node_role What a board is for.\n# TYPE node_role gauge\nnode_role{role=\"barn\"} 1\n",
    );
    let text = text_folder.path().display();
    let mut given: Vec<String> = flags.iter().map(|(flag, value)| format!("--{flag}={value}")).collect();
    given[3] = "--collector.cpu.info".to_owned();
    given.push(format!("--collector.textfile.directory={text}"));
    switches.extend(given.iter().map(String::as_str));
    let Some(exporter) = Peer::node_exporter(&switches) else { return };
    let flags: Vec<String> = flags.iter().map(|(flag, value)| format!("{flag}: '{value}'")).collect();
    let collect = format!("collect: {{textfile_directories: ['{text}'], flags: {{{}}}}}", flags.join(", "));
    let agent = Agent::new(&format!("{QUICK}{collect}\n")).started();
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - {{job_name: node_exporter, static_configs: [{{targets: ['{}']}}]}}
  - job_name: federate
    honor_labels: true
    metrics_path: /federate
    params: {{'match[]': ['{{__name__=~\".+\"}}']}}
    static_configs: [{{targets: ['{}']}}]
",
        exporter.address,
        agent.address()
    );
    let Some(central) = Peer::prometheus(&config, &[]) else { return };

    let (ours, theirs) = (agent.get("/metrics").text(), exporter.get("/metrics").text());
    let undescribed: Vec<String> = described(&theirs).difference(&described(&ours)).cloned().collect();
    assert_none("descriptions that differ from node_exporter's", &undescribed);
    check_with_kernel(&ours);
    let kinds: BTreeMap<String, String> = described(&theirs)
        .iter()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect();

    let both = wait::until(LONG, "enough scrapes of both", || {
        Some(read(&central)).filter(|both| both.our_times.len() >= ROUNDS && both.peer_times.len() >= ROUNDS)
    });
    let verdict = compare(&both, &kinds);
    println!(
        "central: {} samples of {} node_* series ({} families described alike) agree with node_exporter's; \
         left out, because its own scrapes show them come and go: {:?}",
        verdict.samples,
        verdict.series,
        kinds.len(),
        verdict.left_out
    );
    assert_none("what Prometheus sees by us and by node_exporter", &verdict.complaints);
    assert!(verdict.series > 200, "only {} series", verdict.series);
    assert!(verdict.left_out.len() * 20 <= both.peers.len(), "{} are left out", verdict.left_out.len());
}

#[test]
fn what_is_off_is_seen() {
    let series = |points: &[(i64, f64)]| points.iter().copied().collect::<BTreeMap<i64, f64>>();
    let times = BTreeMap::from([(1_000, 50), (2_000, 50), (3_000, 50)]);
    let one = |name: &str, peers: &[(i64, f64)], ours: f64| {
        let memory = ("node_memory_MemTotal_bytes".to_owned(), series(&[(1_000, 1e6), (2_000, 1e6), (3_000, 1e6)]));
        let both = Both {
            ours: Samples::from([
                (name.to_owned(), series(&[(2_500, ours)])),
                (memory.0.clone(), series(&[(2_500, 1e6)])),
            ]),
            peers: Samples::from([(name.to_owned(), series(peers)), memory]),
            our_times: BTreeMap::from([(2_500, 10)]),
            peer_times: times.clone(),
        };
        let verdict = compare(&both, &BTreeMap::from([("node_c".to_owned(), "counter".to_owned())]));
        (verdict.complaints.len(), verdict.left_out.len())
    };
    let rising = [(1_000, 1.0), (2_000, 5.0), (3_000, 7.0)];
    assert_eq!(one("node_c", &rising, 6.0), (0, 0));
    assert_eq!(one("node_c", &rising, 4.0), (1, 0), "a counter has no slack");
    assert_eq!(one("node_g", &rising, 4.0), (0, 0), "a gauge's neighbour was lower");
    assert_eq!(one("node_g", &rising, 0.5), (1, 0));
    assert_eq!(one("node_g", &rising[1..], 6.0), (0, 1), "it comes and goes");
}
