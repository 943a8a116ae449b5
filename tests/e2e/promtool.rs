//! What promtool says: nothing about our own metrics, nothing new about the machine's, and our rules are good.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use support::agent::{Agent, program};
use support::peers::Peer;
use support::shared::{peer, project};

use crate::held::{QUICK, assert_none, collections};

/// Returns what `promtool check metrics` says of a text, a line a complaint.
fn complaints(promtool: &std::path::Path, text: &str) -> BTreeSet<String> {
    let mut command = Command::new(promtool);
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("promtool runs");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(text.as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.code().is_some_and(|code| code == 0 || code == 3), "it cannot be read: {said}");
    said.lines().map(str::to_owned).collect()
}

#[test]
fn promtool_says_nothing_of_ours_that_it_does_not_say_of_node_exporter() {
    let Some(promtool) = peer("promtool", "what promtool says of /metrics") else { return };
    let Some(exporter) = Peer::node_exporter(&[]) else { return };
    // With upstreams and receivers, whose metrics are there only then.
    let more = "remote_write: [{url: 'http://127.0.0.1:1/write'}]
mqtt: [{broker: '127.0.0.1:1', topic: t}]
notify: {route: {receiver: a}, receivers: [{name: a, webhook_configs: [{url: 'http://127.0.0.1:1/'}]}]}
";
    let mut agent = Agent::new(&format!("{QUICK}{more}")).started();
    collections(&mut agent, 1);
    let text = agent.get("/metrics").text();
    let families = text.lines().filter(|line| line.starts_with("# TYPE narthex_")).count();
    assert!(families > 30, "only {families} families of our own:\n{text}");
    let ours = complaints(&promtool, &text);
    let theirs = complaints(&promtool, &exporter.get("/metrics").text());
    let new: Vec<String> = ours.difference(&theirs).cloned().collect();
    assert_none("promtool check metrics", &new);
    let own: Vec<String> = ours.iter().filter(|line| line.contains("narthex_")).cloned().collect();
    assert_none("promtool of narthex_*", &own);
    println!("promtool: {} complaints, all of node_exporter's {}; {families} own families", ours.len(), theirs.len());
}

#[test]
fn our_configurations_are_good() {
    for file in ["configs/minimal.yml", "configs/narthex.yml"] {
        let output = Command::new(program()).args(["check", "config", file]).current_dir(project()).output();
        let output = output.expect("the agent runs");
        assert!(output.status.success(), "{file}: {}", String::from_utf8_lossy(&output.stderr));
    }
    // It does fail for one with mistakes.
    let bad = support::folder::Folder::new("bad");
    let file = bad.write("bad.yml", "global: {scrape_intervall: 1s}\n");
    let output = Command::new(program()).args(["check", "config"]).arg(&file).output().expect("the agent runs");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn our_rules_pass_promtool() {
    let Some(promtool) = peer("promtool", "what promtool says of our rules") else { return };
    for args in [["check", "rules", "board.yml"], ["test", "rules", "board.test.yml"]] {
        let mut command = Command::new(&promtool);
        let output = command.args(args).current_dir(project().join("configs/rules")).output().expect("promtool runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "promtool {args:?}: {said}");
        assert!(said.contains("SUCCESS"), "{said}");
    }
}
