//! Reloading and ending: all or nothing, by signal or by request, and nothing is lost by an orderly end.

use support::agent::Agent;
use support::{http, wait};

use crate::held::{LONG, QUICK, assert_none, collections, count, held, missing, newest, value};

const RULES: &str = "groups: [{name: test, rules: [{record: 'test:answer', expr: 'vector(42)'}]}]\n";

/// Two mistakes in the configuration and one in a rule file.
const BAD: &str = "
global: {scrape_intervall: 1s}
rule_files: ['{folder}/bad.yml']
storage: {sync_interval: soon}
";

fn configure(agent: &Agent, text: &str) {
    let text = text.replace("{folder}", &agent.folder().path().to_string_lossy());
    agent.folder().write("narthex.yml", text);
}

fn is_good(agent: &Agent) -> Option<bool> {
    value(agent, "narthex_config_last_reload_successful").map(|good| good == 1.0)
}

/// What the log must name of `BAD`, each with its place.
const BAD_PLACES: [&str; 3] = ["narthex.yml:2:10:", "narthex.yml:4:26:", "bad.yml:1:"];

#[test]
fn a_bad_configuration_changes_nothing_and_a_good_one_everything() {
    let mut agent = Agent::new(QUICK);
    agent.folder().write("rules.yml", RULES);
    agent.folder().write("bad.yml", "groups: [{name: test, rules: [{record: 'x', expr: '1 +'}]}]\n");
    agent.start();
    collections(&mut agent, 1);
    assert_eq!(is_good(&agent), Some(true));

    configure(&agent, BAD);
    agent.reload();
    wait::until_true(LONG, "a reload that failed", || is_good(&agent) == Some(false));
    let log = agent.process().stderr();
    for place in BAD_PLACES {
        assert!(log.contains(place), "{place} is not in the log:\n{log}");
    }
    // It still collects every second.
    collections(&mut agent, 2);

    let good = QUICK.replace("rule_files: []", "rule_files: ['{folder}/rules.yml']");
    configure(&agent, &good.replace("scrape_interval: 1s", "scrape_interval: 200ms"));
    agent.reload();
    wait::until_true(LONG, "a reload that went well", || is_good(&agent) == Some(true));
    wait::until_true(LONG, "the new rule", || value(&agent, "test:answer") == Some(42.0));
    wait::until_true(LONG, "the new interval", || {
        value(&agent, "count_over_time(up[2s])").is_some_and(|collected| collected >= 4.0)
    });
}

#[test]
fn a_reload_by_request_is_for_this_host_and_no_browser() {
    let agent = Agent::new(QUICK).started();
    let post = |headers: &[(&str, &str)]| http::post(agent.address(), "/-/reload", headers, b"").expect("an answer");
    assert_eq!(post(&[]).status, 200);
    for refused in [("Origin", "http://example.org"), ("X-Forwarded-For", "10.0.0.1")] {
        let answer = post(&[refused]);
        assert_eq!(answer.status, 403, "{refused:?}: {}", answer.text());
    }
    assert_eq!(agent.get("/-/reload").status, 405);
    configure(&agent, BAD);
    let answer = post(&[]);
    assert_eq!(answer.status, 500);
    for place in &BAD_PLACES[..2] {
        assert!(answer.text().contains(place), "{place} is not in the answer: {}", answer.text());
    }
    wait::until_true(LONG, "a reload that failed", || is_good(&agent) == Some(false));
}

#[test]
fn an_orderly_end_keeps_everything_without_the_tail() {
    let mut agent = Agent::new(&QUICK.replace("sync_interval: 1h", "sync_interval: 1h, tail: none")).started();
    collections(&mut agent, 3);
    let until = newest(&agent).expect("it has collected");
    let all = "{__name__=~\".+\"}";
    let before = held(agent.address(), all, until);
    let status = agent.terminate();
    assert!(status.success(), "SIGTERM: {status}\n{}", agent.process().stderr());
    agent.start();
    let after = held(agent.address(), all, until);
    assert_none("lost", &missing(&before, &after));
    println!("SIGTERM: ended with 0, all {} samples are there again", count(&before));
}
