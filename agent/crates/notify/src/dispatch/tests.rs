//! What the notifier promises, on simulated time: grouping, repeating, resolving, outages, reboots, bounds.

use super::*;
use model::UnixMs;

const MINUTE: u64 = 60_000;

fn config(text: &str) -> Config {
    let (mut errors, mut warnings) = (yaml::Errors::new(), yaml::Errors::new());
    let node = yaml::parse("notify.yml", text).expect("well-formed");
    let config = crate::load(&node, &mut errors, &mut warnings);
    assert!(errors.is_empty() && warnings.is_empty(), "{errors}\n{warnings}");
    config.expect("no errors")
}

const PHONE: &str = "
route: {receiver: phone, group_by: [alertname]}
receivers:
  - name: phone
    webhook_configs: [{url: 'http://h/a'}]
";

/// A notifier, its clock, and everything that was sent.
struct World {
    notifier: Notifier,
    ms: u64,
    wall: i64,
}

impl World {
    fn new(text: &str) -> World {
        World { notifier: Notifier::new(config(text)), ms: 0, wall: 1_795_249_000_000 }
    }

    fn now(&self) -> Now {
        Now { mono: Mono(self.ms), wall: UnixMs(self.wall + self.ms as i64), wall_trusted: true }
    }

    fn fire(&mut self, name: &str, device: &str) {
        let alert = self.alert(name, device, AlertState::Firing);
        self.notifier.alerts(self.now(), &[alert]);
    }

    fn resolve(&mut self, name: &str, device: &str) {
        let alert = self.alert(name, device, AlertState::Resolved);
        self.notifier.alerts(self.now(), &[alert]);
    }

    fn alert(&self, name: &str, device: &str, state: AlertState) -> Alert {
        let now = self.now().wall;
        Alert {
            labels: Labels::from_pairs([("alertname", name), ("device", device)]),
            annotations: Labels::empty(),
            state,
            value: 1.0,
            active_at: now,
            fired_at: Some(now),
            resolved_at: (state == AlertState::Resolved).then_some(now),
            generator_url: String::new(),
        }
    }

    /// Runs until a time, settling every notice with `outcome`; returns what was sent: time, receiver, firing, resolved.
    fn run(&mut self, until_ms: u64, mut outcome: impl FnMut(&Notice) -> Outcome) -> Vec<String> {
        let mut sent = Vec::new();
        loop {
            while let Some(notice) = self.notifier.poll(self.now()) {
                let outcome = outcome(&notice);
                if outcome == Outcome::Delivered {
                    let body = text(&notice);
                    let count = |status: &str| body.matches(&format!("{{\"status\":\"{status}\"")).count();
                    let seconds = self.ms / 1000;
                    sent.push(format!("{seconds}s {} +{} -{}", notice.receiver, count("firing"), count("resolved")));
                }
                self.notifier.settle(self.now(), notice.id, outcome);
            }
            let next = self.notifier.next_deadline().map_or(until_ms, |next| next.0.clamp(self.ms, until_ms));
            if next == self.ms && next < until_ms {
                panic!("a deadline at {next} and nothing to do");
            }
            self.ms = next;
            if self.ms >= until_ms {
                return sent;
            }
        }
    }

    fn check(&mut self, until_ms: u64, expected: &[&str]) {
        let sent = self.run(until_ms, |_| Outcome::Delivered);
        assert_eq!(sent, expected, "until {until_ms}");
    }
}

fn text(notice: &Notice) -> String {
    String::from_utf8(notice.body.clone()).expect("JSON is UTF-8")
}

fn retry() -> Outcome {
    Outcome::Retry { reason: "no route to host".to_owned(), after_ms: None }
}

#[test]
fn a_group_waits_then_tells_changes_and_repeats() {
    let mut world = World::new(PHONE);
    world.fire("Hot", "cpu");
    world.check(10_000, &[]);
    world.fire("Hot", "gpu");
    world.check(MINUTE, &["30s phone +2 -0"]);
    // Every evaluation says the same again: nothing to tell.
    for _ in 0..20 {
        world.fire("Hot", "cpu");
        world.fire("Hot", "gpu");
        world.check(world.ms + MINUTE, &[]);
    }
    world.resolve("Hot", "gpu");
    world.check(30 * MINUTE, &["1530s phone +1 -1"]);
    world.fire("Hot", "disk");
    world.check(40 * MINUTE, &["1830s phone +2 -0"]);
    // Told at 30 min 30 s; repeated at the first look more than four hours later.
    world.check(280 * MINUTE, &["16530s phone +2 -0"]);
    world.resolve("Hot", "cpu");
    world.resolve("Hot", "disk");
    world.check(300 * MINUTE, &["16830s phone +0 -2"]);
    assert_eq!((world.notifier.totals().alerts, world.notifier.totals().groups), (0, 0));
    world.check(900 * MINUTE, &[]);
}

#[test]
fn groups_are_told_apart_and_in_turn() {
    let mut world = World::new(PHONE);
    world.fire("Hot", "cpu");
    world.ms = 1_000;
    world.fire("Full", "sda");
    world.check(MINUTE, &["30s phone +1 -0", "31s phone +1 -0"]);
}

#[test]
fn an_outage_costs_no_memory_and_ends_with_the_present_state_told_once() {
    let mut world = World::new(PHONE);
    world.fire("Hot", "cpu");
    world.fire("Hot", "gpu");
    let mut attempts = 0;
    for _ in 0..24 * 60 {
        world.fire("Hot", "cpu");
        let until = world.ms + MINUTE;
        let sent = world.run(until, |_| {
            attempts += 1;
            retry()
        });
        assert!(sent.is_empty());
    }
    world.resolve("Hot", "gpu");
    let counters = world.notifier.totals();
    assert_eq!((counters.alerts, counters.groups, world.notifier.counts()[0].pending), (2, 1, 1));
    // Pauses of 1, 2, 4 ... 60 s, then once a minute.
    assert!((1_400..1_460).contains(&attempts), "{attempts} attempts in a day");
    let start = world.ms / 1000;
    let sent = world.run(world.ms + 10 * MINUTE, |_| Outcome::Delivered);
    assert_eq!(sent.len(), 1);
    assert!(sent[0].ends_with("phone +1 -1"), "{sent:?} after {start}");
    assert_eq!(world.notifier.counts()[0].failed, attempts);
}

#[test]
fn what_is_resolved_while_nobody_could_be_told_is_told_if_it_had_been_said_to_fire() {
    let mut world = World::new(PHONE);
    world.fire("Hot", "cpu");
    world.check(MINUTE, &["30s phone +1 -0"]);
    world.resolve("Hot", "cpu");
    world.run(20 * MINUTE, |_| retry());
    let sent = world.run(25 * MINUTE, |_| Outcome::Delivered);
    assert_eq!(sent.len(), 1);
    assert!(sent[0].ends_with("phone +0 -1"), "{sent:?}");
}

#[test]
fn what_a_receiver_refuses_is_tried_at_the_next_look() {
    let mut world = World::new(PHONE);
    world.fire("Hot", "cpu");
    let refused = |_: &Notice| Outcome::Refused { reason: "410 Gone".to_owned() };
    assert!(world.run(MINUTE, refused).is_empty());
    assert_eq!(world.notifier.counts()[0].refused, 1);
    world.check(10 * MINUTE, &["330s phone +1 -0"]);
}

#[test]
fn one_notice_is_in_flight_and_a_black_hole_delays_nobody_else() {
    let mut world = World::new(
        "
route:
  receiver: hole
  group_by: [alertname]
  group_wait: 0s
  routes:
    - {receiver: phone, matchers: ['alertname=Full']}
receivers:
  - {name: hole, webhook_configs: [{url: 'http://h/a'}]}
  - {name: phone, webhook_configs: [{url: 'http://h/b'}]}
",
    );
    world.fire("Hot", "cpu");
    world.fire("Warm", "cpu");
    let first = world.notifier.poll(world.now()).expect("due");
    assert_eq!((first.receiver.as_str(), first.url.as_str()), ("hole", "http://h/a"));
    assert!(world.notifier.poll(world.now()).is_none(), "the other group waits for the same receiver");
    world.fire("Full", "sda");
    let other = world.notifier.poll(world.now()).expect("another receiver");
    assert_eq!(other.receiver, "phone");
    world.notifier.settle(world.now(), NoticeId(999), Outcome::Delivered);
    world.notifier.settle(world.now(), first.id, Outcome::Delivered);
    assert!(world.notifier.poll(world.now()).is_some());
}

#[test]
fn a_receiver_that_does_not_want_to_know_what_is_over_is_told_again_when_it_starts() {
    let mut world = World::new(&PHONE.replace("'http://h/a'", "'http://h/a', send_resolved: false"));
    world.fire("Hot", "cpu");
    world.check(MINUTE, &["30s phone +1 -0"]);
    world.resolve("Hot", "cpu");
    world.check(10 * MINUTE, &[]);
    world.fire("Hot", "cpu");
    world.check(20 * MINUTE, &["630s phone +1 -0"]);
}

#[test]
fn what_was_told_is_known_after_a_reboot() {
    let mut world = World::new(PHONE);
    world.fire("Hot", "cpu");
    world.check(MINUTE, &["30s phone +1 -0"]);
    assert!(world.notifier.take_changed() && !world.notifier.take_changed());
    let saved = world.notifier.save();
    let mut again = World::new(PHONE);
    again.notifier.restore(&saved, again.now()).expect("its own bytes");
    again.fire("Hot", "cpu");
    again.check(10 * MINUTE, &[]);
    let mut over = World::new(PHONE);
    over.notifier.restore(&saved, over.now()).expect("its own bytes");
    over.resolve("Hot", "cpu");
    over.check(10 * MINUTE, &["30s phone +0 -1"]);
    // It says so once: the rules repeat a resolved alert for a while.
    over.resolve("Hot", "cpu");
    over.check(20 * MINUTE, &[]);
    assert!(again.notifier.restore(&saved[1..], again.now()).is_err());
}

#[test]
fn an_alert_that_is_resolved_while_its_notice_flies_is_told_next_time() {
    let mut world = World::new(PHONE);
    world.fire("Hot", "cpu");
    world.ms = 30_000;
    let notice = world.notifier.poll(world.now()).expect("due");
    world.resolve("Hot", "cpu");
    world.notifier.settle(world.now(), notice.id, Outcome::Delivered);
    world.check(10 * MINUTE, &["330s phone +0 -1"]);
}

#[test]
fn a_reload_keeps_what_was_told_and_ignores_old_notices() {
    let mut world = World::new(PHONE);
    world.fire("Hot", "cpu");
    world.check(MINUTE, &["30s phone +1 -0"]);
    world.fire("Full", "sda");
    world.ms = 2 * MINUTE;
    let old = world.notifier.poll(world.now()).expect("due");
    world.notifier.reload(world.now(), config(PHONE));
    world.notifier.settle(world.now(), old.id, Outcome::Delivered);
    assert_eq!(world.notifier.counts()[0].sent, 1);
    world.check(10 * MINUTE, &["150s phone +1 -0"]);
}

#[test]
fn a_flood_of_alerts_is_bounded_and_counted() {
    let mut world = World::new(&PHONE.replace("[alertname]", "['...']"));
    for i in 0..ALERTS_MAX + 100 {
        world.fire("Hot", &i.to_string());
    }
    let counters = world.notifier.totals();
    assert_eq!((counters.groups, counters.alerts_dropped), (GROUPS_MAX as u64, (ALERTS_MAX + 100 - GROUPS_MAX) as u64));
    let mut world = World::new(PHONE);
    for i in 0..ALERTS_MAX {
        world.fire("Hot", &i.to_string());
    }
    world.resolve("Hot", "7");
    world.fire("Hot", "one more");
    let counters = world.notifier.totals();
    assert_eq!((counters.alerts, counters.alerts_dropped), (ALERTS_MAX as u64, 1));
    world.fire("Hot", "and another");
    assert_eq!(world.notifier.totals().alerts_dropped, 2);
}
