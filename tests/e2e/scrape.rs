//! Scraping: the agent beside a real Prometheus that scrapes the same, and targets that mean no good.
//!
//! The real Prometheus and the real node_exporter are the targets. Both sides must end with the very same series, which
//! covers formats, labels, `up` and what is reported beside it. Bad targets are a server of the test's own: each is
//! down and counted by its reason, and the good one among them is scraped on time.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use support::agent::Agent;
use support::http;
use support::peers::Peer;
use support::wait::{self, SOON};

/// How long a comparison of two programs that scrape every second may take on a busy machine.
const LONG: Duration = Duration::from_secs(90);

/// Returns the series that an instant query finds, each with its labels in order.
fn series(address: SocketAddr, query: &str) -> BTreeSet<String> {
    let path = format!("/api/v1/query?query={}", http::escape(query));
    let Ok(answer) = http::get(address, &path) else { return BTreeSet::new() };
    let body: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    let result = body["data"]["result"].as_array().cloned().unwrap_or_default();
    result.iter().map(|item| item["metric"].to_string()).collect()
}

/// Returns the value of the only series that an instant query finds.
fn value(address: SocketAddr, query: &str) -> Option<f64> {
    let path = format!("/api/v1/query?query={}", http::escape(query));
    let body: serde_json::Value = serde_json::from_slice(&http::get(address, &path).ok()?.body).ok()?;
    body["data"]["result"][0]["value"][1].as_str()?.parse().ok()
}

#[test]
fn the_real_prometheus_scraping_the_same_finds_the_same_series() {
    let Some(exporter) =
        Peer::node_exporter(&["--collector.disable-defaults", "--collector.loadavg", "--collector.meminfo"])
    else {
        return;
    };
    let Some(target) = Peer::prometheus("global: {scrape_interval: 1h}\n", &[]) else { return };
    let jobs = format!(
        "scrape_configs:
- job_name: exporter
  scrape_interval: 1s
  scrape_timeout: 900ms
  params: {{'collect[]': [loadavg, meminfo]}}
  static_configs: [{{targets: ['{exporter}'], labels: {{zone: barn, __meta_x: '1'}}}}]
  relabel_configs: [{{source_labels: [__meta_x, zone], target_label: made}}]
  metric_relabel_configs: [{{source_labels: [__name__], regex: 'go_gc_.*', action: drop}}]
- job_name: prometheus
  scrape_interval: 1s
  scrape_timeout: 900ms
  static_configs: [{{targets: ['{target}', '{target}']}}]
- job_name: nobody
  scrape_interval: 1s
  scrape_timeout: 900ms
  static_configs: [{{targets: ['127.0.0.1:1']}}]
",
        exporter = exporter.address,
        target = target.address,
    );
    let Some(peer) = Peer::prometheus(&jobs, &[]) else { return };
    let agent = Agent::new(&["rule_files: []\n", &jobs].concat()).started();
    let query = "{job=~\"exporter|prometheus|nobody\"}";
    let found = wait::try_until(LONG, || {
        let (ours, theirs) = (series(agent.address(), query), series(peer.address, query));
        (ours.len() > 100 && ours == theirs).then_some(ours.len())
    });
    let (ours, theirs) = (series(agent.address(), query), series(peer.address, query));
    let only =
        |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(found.is_some(), "only ours:\n{}\nonly theirs:\n{}", only(&ours, &theirs), only(&theirs, &ours));
    for up in [
        "up{job=\"exporter\"}",
        "up{job=\"prometheus\"}",
        "up{job=\"nobody\"}",
        "scrape_samples_scraped{job=\"exporter\"}",
    ] {
        assert_eq!(value(agent.address(), up), value(peer.address, up), "{up}");
    }
    // What the API says of the targets is the same too, but for times.
    let shown = |address: SocketAddr| -> BTreeSet<String> {
        let body = http::get(address, "/api/v1/targets?state=active").expect("it serves").body;
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        let targets = body["data"]["activeTargets"].as_array().cloned().unwrap_or_default();
        let keys = [
            "discoveredLabels",
            "labels",
            "scrapePool",
            "scrapeUrl",
            "lastError",
            "health",
            "scrapeInterval",
            "scrapeTimeout",
        ];
        let line = |target: &serde_json::Value| keys.map(|key| format!("{key}={}", target[key])).join(" ");
        targets.iter().filter(|target| target["scrapePool"] != "node").map(line).collect()
    };
    assert_eq!(shown(agent.address()), shown(peer.address));
}

/// What each bad target does with a connection that has asked; the path says which it is.
fn misbehave(path: &str, mut stream: TcpStream, turn: u64) -> std::io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close\r\n";
    match path {
        // Until the client has gone.
        "/slow" => stream.peek(&mut [0]).map(drop),
        "/endless" => {
            write!(stream, "{head}\r\n")?;
            loop {
                stream.write_all(&[b'a'; 4096])?;
            }
        }
        // A gzip stream of a gigabyte of zeros would be some megabyte: this one is stored blocks that repeat for ever.
        "/bomb" => {
            write!(stream, "{head}Content-Encoding: gzip\r\n\r\n")?;
            stream.write_all(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])?;
            let block = [&[0, 0xff, 0xff, 0, 0][..], &[b'\n'; 0xffff]].concat();
            loop {
                stream.write_all(&block)?;
            }
        }
        "/changing" => {
            write!(stream, "{head}\r\n")?;
            for series in 0..200 {
                writeln!(stream, "changing{{n=\"{turn}_{series}\"}} 1")?;
            }
            Ok(())
        }
        "/long" => {
            write!(stream, "{head}\r\nlong{{l=\"")?;
            (0..10).try_for_each(|_| stream.write_all(&[b'x'; 1 << 20]))?;
            stream.write_all(b"\"} 1\n")
        }
        "/duplicates" => write!(stream, "{head}\r\na 1\na 2\na 1 1000\nb 1\n"),
        "/nul" => write!(stream, "{head}\r\na\0 1\n"),
        "/loop" => write!(stream, "HTTP/1.1 302 Found\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n"),
        "/error" => write!(stream, "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"),
        _ => write!(stream, "{head}\r\ngood 1\n"),
    }
}

/// Serves all of them; a connection each, on a thread each.
fn bad_targets() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let address = listener.local_addr().expect("it is bound");
    let turns = Arc::new(AtomicU64::new(0));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let turns = turns.clone();
            std::thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().expect("one more handle"));
                let mut head = String::new();
                while lines.read_line(&mut head).is_ok_and(|read| read > 2) {}
                let path = head.split(' ').nth(1).unwrap_or("").to_owned();
                // Whoever leaves early is what these targets are for.
                let _ = misbehave(&path, stream, turns.fetch_add(1, Ordering::Relaxed));
            });
        }
    });
    address
}

#[test]
fn bad_targets_are_down_and_counted_and_hold_up_nobody() {
    let address = bad_targets();
    let bad = ["slow", "endless", "bomb", "changing", "long", "duplicates", "nul", "loop", "error", "good"];
    let mut config =
        String::from("rule_files: []\nglobal: {scrape_interval: 1s, scrape_timeout: 800ms}\nscrape_configs:\n");
    for name in bad {
        config += &format!(
            "- {{job_name: {name}, metrics_path: /{name}, body_size_limit: 12MB, static_configs: [{{targets: ['{address}']}}]}}\n"
        );
    }
    let mut agent = Agent::new(&config).started();
    let at = agent.address();
    let up = |name: &str| value(at, &format!("up{{job=\"{name}\"}}"));
    for (name, expected) in
        bad.map(|name| (name, f64::from(u8::from(matches!(name, "changing" | "duplicates" | "good")))))
    {
        wait::until(LONG, &format!("up of {name} being {expected}"), || up(name).filter(|up| *up == expected));
    }
    // Of a series that comes twice the first counts, and a sample with a time of its own is another.
    assert_eq!(value(at, "sum(b{job=\"duplicates\"})"), Some(1.0));
    for reason in ["timeout", "body_size", "parse", "connection", "status"] {
        let query = format!("narthex_scrapes_failed_total{{reason=\"{reason}\"}}");
        wait::until(LONG, &query, || value(at, &query).filter(|count| *count > 0.0));
    }
    // Scraped on time in spite of all that: a second apart, give or take what a busy machine does.
    let query = "count_over_time(up{job=\"good\"}[20s])";
    wait::until(LONG, "the good target on time", || value(at, query).filter(|count| *count >= 18.0));
    assert_eq!(value(at, "narthex_scrape_targets"), Some(10.0));
    // Bounded: what changes its labels at every scrape has left no more than the last scrape in our memory.
    assert!(value(at, "narthex_scrape_series").is_some_and(|series| series < 300.0));
    assert!(agent.process().ended().is_none());
}

#[test]
fn lists_in_files_are_watched_and_half_a_file_changes_nothing() {
    let address = bad_targets();
    let agent = Agent::new(
        "rule_files: []\nglobal: {scrape_interval: 1s, scrape_timeout: 800ms}\nscrape_configs:\n- job_name: listed\n  file_sd_configs: [{files: ['{folder}/targets/*.json'], refresh_interval: 1s}]\n",
    );
    let list = |text: &str| agent.folder().write("targets/a.json", text);
    list(&format!("[{{\"targets\": [\"{address}\"], \"labels\": {{\"line\": \"1\"}}}}]"));
    let mut agent = agent.started();
    let at = agent.address();
    let good = |line: &str| series(at, &format!("good{{job=\"listed\",line=\"{line}\"}}")).len();
    wait::until_true(SOON, "the target of the list", || good("1") == 1);
    let failed = || value(at, "narthex_target_lists_failed_total{kind=\"file\"}").unwrap_or(0.0);

    agent.folder().write("targets/a.json", format!("[{{\"targets\": [\"{address}\"], \"labels\": {{\"line\": \"2"));
    wait::until_true(LONG, "half a file being counted", || failed() > 0.0);
    assert_eq!((good("1"), good("2")), (1, 0), "half a file changes nothing");

    agent
        .folder()
        .write("targets/a.json", format!("[{{\"targets\": [\"{address}\"], \"labels\": {{\"line\": \"2\"}}}}]"));
    wait::until_true(SOON, "the other label", || good("2") == 1);
    assert_eq!(good("1"), 0, "the target that went has ended");

    std::fs::remove_file(agent.folder().path().join("targets/a.json")).expect("it is there");
    wait::until_true(SOON, "the end of all targets", || good("2") == 0 && series(at, "up{job=\"listed\"}").is_empty());

    // A reload that names the target itself, then one that names nobody.
    let named = format!(
        "rule_files: []\nscrape_configs:\n- {{job_name: listed, scrape_interval: 1s, scrape_timeout: 1s, static_configs: [{{targets: ['{address}'], labels: {{line: '3'}}}}]}}\n"
    );
    agent.folder().write("narthex.yml", named);
    agent.reload();
    wait::until_true(SOON, "the target of the new configuration", || good("3") == 1);
    agent.folder().write("narthex.yml", "rule_files: []\n");
    agent.reload();
    wait::until_true(SOON, "the end of the job", || good("3") == 0 && series(at, "up{job=\"listed\"}").is_empty());
}
