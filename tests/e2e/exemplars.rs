//! Exemplars of a target: the agent and a real Prometheus scrape it, and both find the same.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use serde_json::Value;
use support::agent::Agent;
use support::http;
use support::peers::Peer;
use support::wait::{self, SOON};

/// A histogram and a counter with exemplars, one of them without a time, some that nobody keeps.
const METRICS: &str = "# TYPE work_seconds histogram
work_seconds_bucket{le=\"1.0\"} 3 # {trace_id=\"a\"} 0.5 1700000000.5
work_seconds_bucket{le=\"+Inf\"} 4 # {trace_id=\"b\",span=\"x y\"} 7 1700000001
work_seconds_count 4
work_seconds_sum 9
# TYPE jobs counter
jobs_total{kind=\"<k>\"} 17 # {} 2.25 1700000002.123
jobs_total{kind=\"timeless\"} 1 # {trace_id=\"c\"} 1
jobs_total{kind=\"dropped\"} 1 # {trace_id=\"d\"} 1 1700000003
jobs_total{kind=\"none\"} 1
# EOF
";

/// Answers every request on a port with the metrics.
fn target() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = Vec::new();
            let mut buf = [0; 1024];
            while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                match stream.read(&mut buf) {
                    Ok(count @ 1..) => head.extend_from_slice(&buf[..count]),
                    _ => break,
                }
            }
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            let length = METRICS.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(METRICS.as_bytes()));
        }
    });
    address
}

/// Returns the exemplars of an expression, those without a time of their own with the time 0.
fn exemplars(address: SocketAddr, query: &str) -> Value {
    let path = format!("/api/v1/query_exemplars?query={}", http::escape(query));
    let answer = http::get(address, &path).expect("it serves");
    let mut body: Value = serde_json::from_slice(&answer.body).expect("JSON");
    for series in body["data"].as_array_mut().into_iter().flatten() {
        for exemplar in series["exemplars"].as_array_mut().into_iter().flatten() {
            if exemplar["labels"]["trace_id"] == "c" {
                assert!(exemplar["timestamp"].as_f64().is_some_and(|at| at > 1_790_000_000.0), "{exemplar}");
                exemplar["timestamp"] = 0.into();
            }
        }
    }
    body
}

#[test]
fn a_target_s_exemplars_are_kept_as_by_prometheus() {
    let jobs = format!(
        "scrape_configs:
- job_name: work
  scrape_interval: 1s
  scrape_timeout: 900ms
  static_configs: [{{targets: ['{}']}}]
  metric_relabel_configs: [{{source_labels: [kind], regex: dropped, action: drop}}, {{target_label: more, replacement: m}}]
",
        target()
    );
    let Some(peer) = Peer::prometheus(&jobs, &["--enable-feature=exemplar-storage"]) else { return };
    let agent = Agent::new(&["rule_files: []\n", &jobs].concat()).started();
    let query = "jobs_total + on() rate(work_seconds_bucket[5m])";
    let count = |body: &Value| body.to_string().matches("timestamp").count();
    for address in [peer.address, agent.address()] {
        wait::until_true(SOON, "four exemplars", || count(&exemplars(address, query)) == 4);
    }
    // Some scrapes later there are not more of them.
    let scraped = |address: SocketAddr| {
        let path = format!("/api/v1/query?query={}", http::escape("count_over_time(up{job=\"work\"}[1h])"));
        let body: Value = serde_json::from_slice(&http::get(address, &path).expect("it serves").body).expect("JSON");
        body["data"]["result"][0]["value"][1].as_str().and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0)
    };
    for address in [peer.address, agent.address()] {
        wait::until_true(SOON, "three scrapes", || scraped(address) >= 3.0);
    }
    let (ours, theirs) = (exemplars(agent.address(), query), exemplars(peer.address, query));
    assert_eq!(ours, theirs);
    println!(
        "exemplars: {} of {} series, as Prometheus has them",
        count(&ours),
        ours["data"].as_array().map_or(0, Vec::len)
    );
    wait::until_true(SOON, "the counters", || {
        let text = agent.get("/metrics").text();
        text.contains("narthex_exemplars 4") && text.contains("narthex_exemplars_refused_total{reason=\"duplicate\"}")
    });
}
