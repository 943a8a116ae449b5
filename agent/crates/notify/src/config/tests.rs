//! What is read, what is refused and what is only warned of; the peer's own files and routing cases where they are there.

use std::path::PathBuf;

use super::*;
use model::Labels;

fn check(text: &str, expected: &[&str]) -> Option<Config> {
    let (mut errors, mut warnings) = (Errors::new(), Errors::new());
    let node = yaml::parse("a.yml", text).expect("well-formed");
    let config = load(&node, &mut errors, &mut warnings);
    errors.sort();
    warnings.sort();
    let said: Vec<String> = errors.iter().chain(warnings.iter()).map(ToString::to_string).collect();
    assert_eq!(said, expected, "{text}");
    assert_eq!(config.is_some(), errors.is_empty());
    config
}

#[test]
fn a_small_file_gets_the_peers_defaults() {
    let config = check("route: {receiver: a}\nreceivers: [{name: a, webhook_configs: [{url: 'http://h'}]}]\n", &[]);
    let config = config.expect("good");
    let route = &config.route;
    assert_eq!((route.group_wait_ms, route.group_interval_ms, route.repeat_interval_ms), (30_000, 300_000, 14_400_000));
    assert_eq!((route.key.as_str(), &route.group_by), ("{}", &GroupBy::Names(vec![])));
    assert!(config.receivers[0].webhooks[0].send_resolved);
}

#[test]
fn all_faults_are_found_at_once_with_their_places() {
    check(
        "route:
  receiver: nobody
  continue: true
  group_by: [a, a]
  group_interval: 0s
  routes:
    - matchers: [a, 'b=~(']
      reciever: x
receivers:
  - name: a
  - name: a
  - name: b
    webhook_configs: [{send_resolved: 1}, {url: ftp://h}]
",
        &[
            "a.yml:2:13: route.receiver: undefined receiver \"nobody\" used in route, expected one of a, b",
            "a.yml:3:13: route.continue: cannot have continue in root route",
            "a.yml:4:17: route.group_by[1]: duplicated label \"a\" in group_by",
            "a.yml:5:19: route.group_interval: group_interval cannot be zero",
            "a.yml:7:18: route.routes[0].matchers[0]: no operator in \"a\", expected a matcher such as severity=\"critical\"",
            "a.yml:7:21: route.routes[0].matchers[1]: pattern \"(\": missing closing ): `(`, expected a matcher such as severity=\"critical\"",
            "a.yml:8:7: route.routes[0].reciever: unknown key, expected receiver",
            "a.yml:11:11: receivers[1].name: notification config name \"a\" is not unique",
            "a.yml:13:23: receivers[2].webhook_configs[0]: one of url or url_file must be configured",
            "a.yml:13:39: receivers[2].webhook_configs[0].send_resolved: \"1\", expected true or false",
            "a.yml:13:49: receivers[2].webhook_configs[1].url: unsupported address, expected http:// or https:// and a host",
        ],
    );
}

#[test]
fn what_is_not_served_yet_is_a_warning() {
    check(
        "global: {resolve_timeout: 5m}
route: {receiver: a}
inhibit_rules: []
receivers:
  - {name: a, email_configs: [{to: b}], webhook_configs: [{url: 'http://h', http_config: {}}]}
",
        &[
            "a.yml:1:1: global: is not served yet and has no effect",
            "a.yml:3:1: inhibit_rules: is not served yet and has no effect",
            "a.yml:5:15: receivers[0].email_configs: is not served yet and has no effect",
            "a.yml:5:77: receivers[0].webhook_configs[0].http_config: is not served yet and has no effect",
        ],
    );
}

fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("NARTHEX_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../../shared"), PathBuf::from);
    let found = root.join(path);
    if !found.exists() {
        println!("LEFT OUT: {} is not there; set NARTHEX_SHARED", found.display());
        return None;
    }
    Some(found)
}

#[test]
fn the_peers_routing_files_route_as_its_own_tests_say() {
    let Some(folder) = shared("suites/alertmanager/cli") else { return };
    for (file, test, expected) in [
        ("conf.routing.yml", "1", &["test1"][..]),
        ("conf.routing.yml", "2", &["test1", "test2"]),
        ("conf.routing-reverted.yml", "2", &["test2", "test1"]),
        ("conf.routing.yml", "volovina", &["default"]),
    ] {
        let text = std::fs::read_to_string(folder.join(file)).expect("readable");
        let (mut errors, mut warnings) = (Errors::new(), Errors::new());
        let node = yaml::parse(file, &text).expect("well-formed");
        let config = load(&node, &mut errors, &mut warnings).expect("good");
        let routes = config.route.matching(&Labels::from_pairs([("test", test)]));
        let receivers: Vec<&str> = routes.iter().map(|route| route.receiver.as_str()).collect();
        assert_eq!(receivers, expected, "{file} {test}");
    }
    for (file, good) in [("conf.good.yml", true), ("conf.bad.yml", false)] {
        let text = std::fs::read_to_string(folder.join(file)).expect("readable");
        let (mut errors, mut warnings) = (Errors::new(), Errors::new());
        let node = yaml::parse(file, &text).expect("well-formed");
        assert_eq!(load(&node, &mut errors, &mut warnings).is_some(), good, "{file}: {errors}");
    }
}

#[test]
fn every_file_the_peer_must_read_is_read() {
    let Some(folder) = shared("suites/alertmanager/config") else { return };
    let expected = std::fs::read_to_string(folder.join("../config_expect.json")).expect("readable");
    let (mut read, mut wrong) = (0, Vec::new());
    for part in expected.split("\n \"").skip(1).filter(|part| part.contains("\"must_load\"")) {
        let name = part.split('"').next().unwrap_or("");
        let Ok(text) = std::fs::read_to_string(folder.join(name)) else { continue };
        let (mut errors, mut warnings) = (Errors::new(), Errors::new());
        match yaml::parse(name, &text) {
            Ok(node) if load(&node, &mut errors, &mut warnings).is_some() => read += 1,
            Ok(_) => wrong.push(errors.to_string()),
            Err(errors) => wrong.push(errors.to_string()),
        }
    }
    println!("config_expect.json: {read} files read that must be");
    assert!(read >= 8 && wrong.is_empty(), "{read} read\n{}", wrong.join("\n"));
}
