//! Rules with every network down: the alert fires all the same, and its notice arrives when the receiver is back.
//!
//! The lever is a file of the textfile collector: what a program on the board would write.

use serde_json::Value as Json;
use support::agent::Agent;
use support::receiver::{Receiver, Request};
use support::wait;

use crate::held::{LONG, QUICK, value};

const RULES: &str = r#"
groups:
  - name: test
    interval: 1s
    rules:
      - record: test:lever:double
        expr: test_lever * 2
      - alert: LeverPulled
        expr: test:lever:double > 1
        for: 1s
        labels: {severity: critical}
        annotations: {summary: "lever at {{ $value }}"}
"#;

fn pull(agent: &Agent, position: f64) {
    let text = format!("# HELP test_lever A lever.\n# TYPE test_lever gauge\ntest_lever {position}\n");
    // Written beside and renamed, as the collector's documentation asks for.
    let path = agent.folder().write("text/lever.tmp", text);
    std::fs::rename(&path, path.with_extension("prom")).expect("a rename in one folder");
}

fn alerts(request: &Request) -> Vec<Json> {
    let body: Json = serde_json::from_slice(&request.body).expect("a webhook's JSON");
    assert_eq!((body["version"].as_str(), body["receiver"].as_str()), (Some("4"), Some("hook")), "{body}");
    body["alerts"].as_array().expect("a list of alerts").clone()
}

#[test]
fn an_alert_fires_without_a_network_and_is_told_when_there_is_one() {
    let receiver = Receiver::start();
    receiver.go_away();
    let config = format!(
        "{}collect: {{textfile_directories: ['{{folder}}/text']}}
remote_write: [{{url: '{}'}}]
alerting:
  alert_relabel_configs:
    - {{source_labels: [severity], target_label: level, replacement: 'very $1'}}
    - {{regex: severity, action: labeldrop}}
notify:
  route: {{receiver: hook, group_wait: 0s, group_interval: 1s}}
  receivers: [{{name: hook, webhook_configs: [{{url: '{}'}}]}}]
",
        QUICK.replace("rule_files: []", "rule_files: ['{folder}/rules.yml']"),
        receiver.url("/write"),
        receiver.url("/alerts"),
    );
    let mut agent = Agent::new(&config);
    agent.folder().write("rules.yml", RULES);
    pull(&agent, 0.0);
    agent.start();
    wait::until_true(LONG, "a recorded series", || value(&agent, "test:lever:double") == Some(0.0));
    assert_eq!(value(&agent, "ALERTS"), None);

    pull(&agent, 3.0);
    wait::until_true(LONG, "an alert that fires", || value(&agent, "ALERTS{alertstate=\"firing\"}") == Some(1.0));
    assert!(value(&agent, "ALERTS_FOR_STATE{alertname=\"LeverPulled\"}").is_some_and(|at| at > 0.0));
    wait::until_true(LONG, "an attempt that failed", || {
        value(&agent, "narthex_notifications_failed_total").is_some_and(|failed| failed > 0.0)
    });
    assert_eq!(receiver.count(), 0);

    receiver.come_back();
    let told = |status: &'static str| {
        receiver.until(LONG, status, |requests| {
            let notices = requests.iter().filter(|request| request.path == "/alerts");
            notices.flat_map(alerts).find(|alert| alert["status"] == status)
        })
    };
    let firing = told("firing");
    assert_eq!(firing["labels"]["alertname"], "LeverPulled");
    // As the rules for alerts have it; in the store it is what it was.
    assert_eq!((&firing["labels"]["level"], &firing["labels"]["severity"]), (&"very critical".into(), &Json::Null));
    assert_eq!(value(&agent, "ALERTS{alertstate=\"firing\", severity=\"critical\"}"), Some(1.0));
    assert_eq!(firing["annotations"]["summary"], "lever at 6");

    pull(&agent, 0.0);
    let resolved = told("resolved");
    assert_eq!(resolved["fingerprint"], firing["fingerprint"]);
    assert!(resolved["endsAt"].as_str() > resolved["startsAt"].as_str(), "{resolved}");
    wait::until_true(LONG, "no alert", || value(&agent, "ALERTS").is_none());
    let firing_count = |requests: &[Request]| {
        requests
            .iter()
            .filter(|r| r.path == "/alerts" && r.taken)
            .flat_map(alerts)
            .filter(|a| a["status"] == "firing")
            .count()
    };
    assert_eq!(firing_count(&receiver.requests()), 1, "it is told once");
}
