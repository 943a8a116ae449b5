//! Programs instrumented with the libraries people use: prometheus_client of Python, prom-client of Node.js.
//!
//! Real processes with the real libraries, scraped and pushing; what is asked of the agent afterwards is what each
//! program counted, all four kinds of metrics, exemplars and odd labels included, and histograms also as native ones.
//! tests/peers/libraries installs the libraries; what is not there is left out loudly.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use support::agent::{Agent, free_address};
use support::process::Process;
use support::shared::{library, project};
use support::{http, wait};

use crate::held::LONG;

const READY: Duration = Duration::from_secs(60);

fn python() -> Option<Command> {
    let python = library("python/bin/python", "what Python's prometheus_client says")?;
    let mut command = Command::new(python);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    Some(command)
}

fn node() -> Option<Command> {
    let modules = library("node_modules", "what Node's prom-client says")?;
    let mut command = Command::new("node");
    command.env("NODE_PATH", modules);
    Some(command)
}

/// Starts a program that serves metrics, and waits until it does.
fn serving(mut command: Command, file: &str, arg: Option<&str>) -> (Process, SocketAddr) {
    let address = free_address();
    command.arg(project().join("tests/e2e/clients").join(file)).arg(address.port().to_string()).args(arg);
    let mut process = Process::start(file, &mut command);
    process.until(READY, "metrics", |_| http::get(address, "/metrics").ok().filter(|answer| answer.status == 200));
    (process, address)
}

fn jobs(jobs: &[(&str, SocketAddr, &str)]) -> String {
    let mut config = String::from("rule_files: []\nscrape_configs:\n");
    for (name, address, more) in jobs {
        config += &format!(
            "- {{job_name: {name}, scrape_interval: 1s, scrape_timeout: 900ms, {more} static_configs: [{{targets: ['{address}']}}]}}\n"
        );
    }
    config
}

/// Waits until a query has this one value.
fn holds(agent: &Agent, query: &str, expected: f64) {
    let path = format!("/api/v1/query?query={}", http::escape(query));
    let mut last = String::new();
    let found = wait::try_until(LONG, || {
        last = http::get(agent.address(), &path).ok()?.text();
        let body: serde_json::Value = serde_json::from_str(&last).ok()?;
        let result = body["data"]["result"].as_array().filter(|result| result.len() == 1)?;
        let value: f64 = result[0]["value"][1].as_str()?.parse().ok()?;
        (value == expected).then_some(())
    });
    assert!(found.is_some(), "{query}: {last} and not {expected}");
}

/// What a histogram over 0.1, 1 and 10 says that has seen 0.05, 0.5, 0.5, 5 and 50.
fn holds_orders(agent: &Agent, name: &str, job: &str) {
    for (bound, count) in [("0.1", 1.0), ("1.0", 3.0), ("10.0", 4.0), ("+Inf", 5.0)] {
        holds(agent, &format!("{name}_bucket{{job=\"{job}\",le=\"{bound}\"}}"), count);
    }
    holds(agent, &format!("{name}_count{{job=\"{job}\"}}"), 5.0);
    holds(agent, &format!("{name}_sum{{job=\"{job}\"}}"), 56.05);
}

#[test]
fn what_python_counts_is_scraped() {
    let (Some(single), Some(mut multi)) = (python(), python()) else { return };
    let folder = support::folder::Folder::new("multiproc");
    multi.env("PROMETHEUS_MULTIPROC_DIR", folder.path());
    let (_single, shop) = serving(single, "serve.py", None);
    let (_multi, many) = serving(multi, "serve.py", Some("multi"));
    let protocols = "scrape_protocols: [PrometheusText0.0.4],";
    let config = jobs(&[
        ("open", shop, "scrape_protocols: [OpenMetricsText1.0.0],"),
        ("text", shop, protocols),
        ("native", shop, "convert_classic_histograms_to_nhcb: true,"),
        ("multi", many, ""),
    ]);
    let agent = Agent::new(&config).started();
    for job in ["open", "text", "native", "multi"] {
        holds(&agent, &format!("up{{job=\"{job}\"}}"), 1.0);
    }
    for job in ["open", "text"] {
        let kind = r#"kind="a \"b\"\\c\nd""#;
        holds(&agent, &format!("shop_orders_total{{job=\"{job}\",{kind}}}"), 3.0);
        holds(&agent, &format!("shop_temperature_celsius{{job=\"{job}\"}}"), -4.25);
        holds_orders(&agent, "shop_order_seconds", job);
        holds(&agent, &format!("shop_basket_items_count{{job=\"{job}\"}}"), 2.0);
        holds(&agent, &format!("shop_basket_items_sum{{job=\"{job}\"}}"), 7.0);
        holds(&agent, &format!("shop_build_info{{job=\"{job}\",version=\"1.2.3\"}}"), 1.0);
        holds(&agent, &format!("shop_state{{job=\"{job}\",shop_state=\"closed\"}}"), 1.0);
        holds(&agent, &format!("shop_state{{job=\"{job}\",shop_state=\"open\"}}"), 0.0);
    }
    holds(&agent, "histogram_count(shop_order_seconds{job=\"native\"})", 5.0);
    holds(&agent, "histogram_sum(shop_order_seconds{job=\"native\"})", 56.05);
    holds(&agent, "histogram_fraction(-Inf, 1, shop_order_seconds{job=\"native\"})", 0.6);
    // Two processes counted.
    holds(&agent, "multi_jobs_total{kind=\"wash\"}", 6.0);
    holds(&agent, "multi_load", 5.0);
    holds(&agent, "multi_seconds_bucket{le=\"1.0\"}", 2.0);
    holds(&agent, "multi_seconds_sum", 9.0);
    // What is said of them came along.
    let told = agent.get("/api/v1/metadata?metric=shop_order_seconds").text();
    assert!(told.contains("\"type\":\"histogram\"") && told.contains("How long orders took."), "{told}");
}

#[test]
fn what_python_pushes_is_kept() {
    let Some(mut command) = python() else { return };
    let agent = Agent::new(crate::held::QUICK).started();
    command.arg(project().join("tests/e2e/clients/push.py")).arg(agent.address().to_string());
    let mut process = Process::start("push.py", &mut command);
    let status = process.wait(READY);
    assert!(status.success() && process.stdout() == "pushed\n", "{status}: {}", process.stderr());
    let group = "job=\"nightly\",instance=\"nas\",path=\"/a/b\"";
    holds(&agent, &format!("batch_last_success{{{group}}}"), 1_700_000_000.0);
    holds(&agent, &format!("batch_rows_total{{{group}}}"), 42.0);
    holds(&agent, &format!("batch_seconds_bucket{{{group},le=\"10\"}}"), 1.0);
    holds(&agent, &format!("batch_seconds_sum{{{group}}}"), 3.0);
    holds(&agent, &format!("batch_more{{{group}}}"), 7.0);
    holds(&agent, "count(push_time_seconds)", 1.0);
    assert!(!agent.get("/metrics").text().contains("job=\"gone\""));
}

#[test]
fn what_node_counts_is_scraped() {
    let (Some(open), Some(text)) = (node(), node()) else { return };
    let (_open, mill) = serving(open, "serve.cjs", None);
    let (_text, plain) = serving(text, "serve.cjs", Some("text"));
    let config =
        jobs(&[("open", mill, ""), ("text", plain, ""), ("native", mill, "convert_classic_histograms_to_nhcb: true,")]);
    let agent = Agent::new(&config).started();
    for job in ["open", "text"] {
        holds(&agent, &format!("mill_orders_total{{job=\"{job}\",kind=\"flour\"}}"), 3.0);
        holds(&agent, &format!("mill_temperature_celsius{{job=\"{job}\"}}"), -4.25);
        holds_orders(&agent, "mill_order_seconds", job);
        holds(&agent, &format!("mill_sack_kilograms_count{{job=\"{job}\"}}"), 3.0);
        holds(&agent, &format!("mill_sack_kilograms_sum{{job=\"{job}\"}}"), 75.0);
        holds(&agent, &format!("mill_sack_kilograms{{job=\"{job}\",quantile=\"0.5\"}}"), 25.0);
    }
    holds(&agent, "histogram_count(mill_order_seconds{job=\"native\"})", 5.0);
    holds(&agent, "histogram_sum(mill_order_seconds{job=\"native\"})", 56.05);
}
