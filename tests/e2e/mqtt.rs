//! The real mosquitto carries the topic: every message is JSON, every sample we hold is in one, also what was
//! collected while the broker was away.
//!
//! The subscriber is the broker's own client, connected directly; the agent comes through a gate that is closed for a
//! while, so that nothing but the agent's own patience brings the samples of that time over.

use serde_json::Value as Json;
use support::agent::Agent;
use support::peers::{Peer, Subscriber};

use crate::gate::Gate;
use crate::held::{LONG, QUICK, Samples, collections, count, held, until_nothing_is_missing, value};

#[test]
fn mosquitto_carries_every_sample_also_after_it_was_away() {
    let Some(broker) = Peer::mosquitto() else { return };
    let Some(subscriber) = Subscriber::start(&broker, "narthex/test") else { return };
    let gate = Gate::to(broker.address);
    let upstream = format!("mqtt: [{{broker: '{}', topic: narthex/test, name: test}}]", gate.address());
    let mut agent = Agent::new(&format!("{QUICK}{upstream}\n")).started();
    collections(&mut agent, 3);
    support::wait::until_true(LONG, "the first message", || !subscriber.messages().is_empty());

    gate.close();
    let away = collections(&mut agent, 3);
    support::wait::until_true(LONG, "an upstream that is behind", || {
        value(&agent, "narthex_upstream_behind_rows").is_some_and(|rows| rows > 300.0)
    });
    assert!(published(&subscriber).values().all(|points| points.keys().all(|at| *at < away)), "it got through");
    gate.open();
    let until = collections(&mut agent, 2);

    let ours = held(agent.address(), "{__name__=~\".+\",job=\"node\"}", until);
    let theirs = until_nothing_is_missing("the topic", &ours, || published(&subscriber));
    assert!(ours.len() > 200, "{} series", ours.len());
    let messages = subscriber.messages();
    println!("mqtt: {} messages carry all {} samples of {} series", messages.len(), count(&ours), theirs.len());
}

/// Returns what the topic carried so far, as series with their labels of place.
fn published(subscriber: &Subscriber) -> Samples {
    let mut samples = Samples::new();
    for message in subscriber.messages() {
        let message: Json = serde_json::from_str(&message).unwrap_or_else(|e| panic!("{e}: {message}"));
        let at = message["ts"].as_i64().unwrap_or_else(|| panic!("no time: {message}"));
        let place = ["instance", "job"].map(|name| (name, message[name].as_str().unwrap_or("")));
        for (key, value) in message["values"].as_object().expect("an object of values") {
            let value = match value {
                Json::String(text) => text.parse().unwrap_or_else(|_| panic!("no number: {text}")),
                value => value.as_f64().unwrap_or_else(|| panic!("no number: {value}")),
            };
            samples.entry(place_in(key, &place)).or_default().insert(at, value);
        }
    }
    samples
}

/// Puts the labels of place back into a series: `up{x="1"}` is `up{instance="a",job="b",x="1"}`.
fn place_in(key: &str, place: &[(&str, &str)]) -> String {
    let (name, labels) = key.split_once('{').unwrap_or((key, "}"));
    let mut labels: Vec<String> = split(labels.strip_suffix('}').unwrap_or_else(|| panic!("no end: {key}")));
    labels.extend(place.iter().map(|(name, value)| format!("{name}={value:?}")));
    labels.sort_by(|a, b| a.split('=').next().cmp(&b.split('=').next()));
    format!("{name}{{{}}}", labels.join(","))
}

/// Splits `a="1",b="x,y"` at the commas that are not in quotes.
fn split(labels: &str) -> Vec<String> {
    let (mut parts, mut part, mut quoted, mut escaped) = (Vec::new(), String::new(), false, false);
    for c in labels.chars() {
        if c == ',' && !quoted {
            parts.push(std::mem::take(&mut part));
            continue;
        }
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        part.push(c);
    }
    parts.extend(Some(part).filter(|part| !part.is_empty()));
    parts
}

#[test]
fn series_are_put_together_again() {
    let place = [("instance", "a:1"), ("job", "node")];
    assert_eq!(place_in("up", &place), "up{instance=\"a:1\",job=\"node\"}");
    let odd = place_in("m{a=\"x,\\\"y\",k=\"2\"}", &place);
    assert_eq!(odd, "m{a=\"x,\\\"y\",instance=\"a:1\",job=\"node\",k=\"2\"}");
}
