//! What rules promise, on simulated time and over a store of two screens: a map of samples.

use std::collections::BTreeMap;

use super::*;
use crate::limits::{RESOLVED_RETENTION_MS, SAVED_BYTES_MAX};
use model::seams::Visitor;
use model::{Matcher, SelectError, SeriesSamples, TimeRange, UnixMs, stale_nan};

const TODAY: i64 = 1_795_249_000_000;
const SECOND: u64 = 1_000;

#[derive(Default)]
struct Memory {
    series: BTreeMap<Labels, Vec<(UnixMs, f64)>>,
}

impl Querier for Memory {
    fn select(&self, matchers: &[Matcher], range: TimeRange, visit: &mut Visitor<'_>) -> Result<(), SelectError> {
        for (labels, samples) in &self.series {
            if !matchers.iter().all(|matcher| matcher.matches_labels(labels)) {
                continue;
            }
            let within: Vec<&(UnixMs, f64)> = samples.iter().filter(|(at, _)| range.contains(*at)).collect();
            let at: Vec<UnixMs> = within.iter().map(|(at, _)| *at).collect();
            let floats: Vec<f64> = within.iter().map(|(_, value)| *value).collect();
            if !at.is_empty()
                && !visit(labels, SeriesSamples { at: &at, floats: &floats, histograms: &[], starts: &[] })
            {
                return Err(SelectError::Stopped);
            }
        }
        Ok(())
    }

    fn series(&self, _: &[Matcher], _: TimeRange, visit: &mut dyn FnMut(&Labels) -> bool) -> Result<(), SelectError> {
        if self.series.keys().all(visit) { Ok(()) } else { Err(SelectError::Stopped) }
    }
}

struct World {
    manager: Manager,
    memory: Memory,
    ms: u64,
    /// The wall time at which elapsed time was 0.
    wall: i64,
    last_rows: Vec<String>,
    written: Vec<Labels>,
}

fn manager(text: &str) -> Manager {
    let mut errors = yaml::Errors::new();
    let groups = crate::load("rules.yml", text, &mut errors);
    assert!(errors.is_empty(), "{errors}");
    let options = Options {
        default_interval_ms: 15 * SECOND,
        external_labels: Labels::from_pairs([("site", "attic")]),
        external_url: "http://pi:9090/".to_owned(),
    };
    Manager::new(groups, options)
}

impl World {
    fn new(text: &str) -> World {
        let (memory, last_rows, written) = (Memory::default(), Vec::new(), Vec::new());
        World { manager: manager(text), memory, ms: 0, wall: TODAY, last_rows, written }
    }

    fn now(&self) -> Now {
        Now { mono: Mono(self.ms), wall: UnixMs(self.wall + self.ms as i64), wall_trusted: true }
    }

    fn set(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let labels = Labels::from_pairs(labels.iter().copied()).with("__name__", name);
        let at = self.now().wall;
        self.memory.series.entry(labels).or_default().push((at, value));
    }

    /// Goes to the next slot, `late_ms` after it, and evaluates everything that is due; returns the alerts.
    fn next(&mut self, late_ms: u64) -> Vec<Alert> {
        loop {
            self.ms = self.manager.next_deadline().expect("groups").0.max(self.ms) + late_ms;
            let alerts = self.evaluate();
            if let Some(alerts) = alerts {
                return alerts;
            }
        }
    }

    fn evaluate(&mut self) -> Option<Vec<Alert>> {
        let due = self.manager.due(self.now());
        let mut alerts = Vec::new();
        self.last_rows.clear();
        let mut written = Vec::new();
        for group in &due {
            let evaluation = self.manager.evaluate(*group, self.now(), &self.memory, &Engine::default());
            let (at, batch) = (evaluation.now().wall, evaluation.batch());
            for row in batch.rows() {
                let labels = Labels::from_packed(batch.packed(row)).expect("packed");
                let value = row.value.float().expect("a float");
                self.last_rows.push(format!("{labels} {value}"));
                self.memory.series.entry(labels.clone()).or_default().push((row.at.unwrap_or(at), value));
                written.push(labels);
            }
            for gone in self.written.iter().filter(|labels| !written.contains(labels)) {
                self.memory.series.entry(gone.clone()).or_default().push((at, stale_nan()));
            }
            alerts.extend(self.manager.apply(self.now(), evaluation));
        }
        self.written = written;
        (!due.is_empty()).then_some(alerts)
    }

    fn states(alerts: &[Alert]) -> Vec<AlertState> {
        alerts.iter().map(|alert| alert.state).collect()
    }
}

const HOT: &str = "
groups:
  - name: heat
    rules:
      - alert: Hot
        expr: temp > 80
        for: 1m
        labels: {severity: '{{ if gt $value 90.0 }}page{{ else }}mail{{ end }}'}
        annotations: {summary: '{{ $labels.zone }} at {{ $value }} in {{ $externalLabels.site }}'}
";

use AlertState::{Firing, Pending, Resolved};

#[test]
fn an_alert_waits_fires_and_is_resolved() {
    let mut world = World::new(HOT);
    assert!(world.next(0).is_empty());
    for i in 0..4 {
        world.set("temp", &[("zone", "cpu")], 85.0 + f64::from(i) / 2.0);
        // However late each evaluation begins, the fifth is a minute after the first.
        let late = [700, 0, 300, 900][i as usize];
        assert_eq!(World::states(&world.next(late)), [Pending]);
    }
    assert_eq!(
        world.last_rows[0],
        "ALERTS{alertname=\"Hot\", alertstate=\"pending\", severity=\"mail\", zone=\"cpu\"} 1"
    );
    world.set("temp", &[("zone", "cpu")], 88.0);
    let alerts = world.next(0);
    assert_eq!(World::states(&alerts), [Firing]);
    let alert = &alerts[0];
    assert_eq!(alert.annotations.get("summary"), Some("cpu at 88 in attic"));
    assert_eq!(alert.generator_url, "http://pi:9090/graph?g0.expr=temp+%3E+80&g0.tab=1");
    let (active, fired) = (alert.active_at, alert.fired_at.expect("it fires"));
    assert_eq!(fired, active.plus_ms(60_000 - 700), "the first evaluation was 700 ms late");
    let since = active.0 / 1000;
    assert_eq!(
        world.last_rows,
        [
            "ALERTS{alertname=\"Hot\", alertstate=\"firing\", severity=\"mail\", zone=\"cpu\"} 1".to_owned(),
            format!("ALERTS_FOR_STATE{{alertname=\"Hot\", severity=\"mail\", zone=\"cpu\"}} {since}"),
        ]
    );
    world.set("temp", &[("zone", "cpu")], 70.0);
    let alerts = world.next(0);
    assert_eq!(World::states(&alerts), [Resolved]);
    assert!(world.last_rows.is_empty() && alerts[0].resolved_at.is_some() && world.manager.alerts().is_empty());
    // It is repeated for a quarter of an hour, then forgotten.
    let end = world.ms + RESOLVED_RETENTION_MS;
    while world.ms < end {
        world.set("temp", &[("zone", "cpu")], 70.0);
        assert_eq!(World::states(&world.next(0)), [Resolved]);
    }
    world.set("temp", &[("zone", "cpu")], 70.0);
    assert!(world.next(0).is_empty());
}

#[test]
fn a_clock_that_jumps_from_1970_fires_exactly_once() {
    let mut world = World::new(HOT);
    world.wall = 0;
    let mut fired = Vec::new();
    for i in 0..20 {
        if i == 3 {
            world.wall = TODAY;
        }
        world.set("temp", &[("zone", "cpu")], 85.0);
        let alerts = world.next(0);
        assert_eq!(World::states(&alerts), [if i < 4 { Pending } else { Firing }], "evaluation {i}");
        fired.extend(alerts[0].fired_at);
    }
    fired.dedup();
    assert_eq!(fired.len(), 1);
    assert!(fired[0].0 > TODAY);
    let since = world.manager.alerts()[0].active_at;
    assert!(
        since.0 < 60_000 && world.last_rows[1].ends_with(&format!(" {}", since.0 / 1000)),
        "labels are not rewritten"
    );
    // And back again: what fires goes on.
    world.wall = 0;
    world.set("temp", &[("zone", "cpu")], 85.0);
    assert_eq!(World::states(&world.next(0)), [Firing]);
}

#[test]
fn elapsed_time_goes_on_after_a_reboot() {
    let mut world = World::new(HOT);
    for _ in 0..3 {
        world.set("temp", &[("zone", "cpu")], 85.0);
        world.next(0);
    }
    let saved = world.manager.save();
    let active_at = world.manager.alerts()[0].active_at;
    // The clock starts anew, an hour was lost, and at first there are no samples.
    let mut again = World::new(HOT);
    again.wall = TODAY + 3_600_000;
    again.manager.restore(&saved, again.now()).expect("its own bytes");
    assert_eq!(World::states(&again.next(0)), [Pending]);
    let mut states = Vec::new();
    for _ in 0..4 {
        again.set("temp", &[("zone", "cpu")], 85.0);
        states.extend(World::states(&again.next(0)));
    }
    // 30 s before and 30 s after; what nobody saw in between does not count.
    assert_eq!(states, [Pending, Pending, Firing, Firing]);
    assert_eq!(again.manager.alerts()[0].active_at, active_at);
    // Saved while it fires, the bytes stay the same, so nothing is written for nothing.
    let firing = again.manager.save();
    again.set("temp", &[("zone", "cpu")], 85.0);
    again.next(0);
    assert_eq!(again.manager.save(), firing);
}

#[test]
fn what_is_not_seen_again_after_a_reboot_is_resolved_after_a_grace() {
    let mut world = World::new(HOT);
    for _ in 0..6 {
        world.set("temp", &[("zone", "cpu")], 85.0);
        world.next(0);
    }
    let saved = world.manager.save();
    let mut again = World::new(HOT);
    again.wall = TODAY + 3_600_000;
    again.manager.restore(&saved, again.now()).expect("its own bytes");
    let mut states = Vec::new();
    while again.ms < 2 * 60_000 {
        states.extend(World::states(&again.next(0)));
    }
    assert_eq!(states[..3], [Firing; 3]);
    assert_eq!(states.last(), Some(&Resolved));
}

#[test]
fn an_alert_whose_rule_is_gone_is_resolved() {
    let mut world = World::new(HOT);
    for _ in 0..6 {
        world.set("temp", &[("zone", "cpu")], 85.0);
        world.next(0);
    }
    let saved = world.manager.save();
    let mut other = World::new(&HOT.replace("alert: Hot", "alert: Warm"));
    other.manager.restore(&saved, other.now()).expect("its own bytes");
    let alerts = other.next(0);
    assert_eq!(World::states(&alerts), [Resolved]);
    assert_eq!(alerts[0].labels.get("alertname"), Some("Hot"));
    assert!(other.next(0).is_empty());
}

#[test]
fn it_may_fire_on_for_a_while() {
    let mut world = World::new(&HOT.replace("for: 1m", "keep_firing_for: 30s"));
    world.set("temp", &[("zone", "cpu")], 85.0);
    assert_eq!(World::states(&world.next(0)), [Firing]);
    for expected in [Firing, Firing, Resolved] {
        world.set("temp", &[("zone", "cpu")], 70.0);
        assert_eq!(World::states(&world.next(0)), [expected]);
    }
    world.set("temp", &[("zone", "cpu")], 85.0);
    assert_eq!(World::states(&world.next(0)), [Firing], "a new one");
}

#[test]
fn a_pending_alert_whose_condition_breaks_starts_anew() {
    let mut world = World::new(HOT);
    for value in [85.0, 85.0, 85.0, 70.0, 85.0, 85.0] {
        world.set("temp", &[("zone", "cpu")], value);
        let states = World::states(&world.next(0));
        assert_eq!(states, if value > 80.0 { vec![Pending] } else { vec![] });
    }
}

#[test]
fn missed_evaluations_are_counted_and_not_made_up() {
    let mut world = World::new(HOT);
    world.set("temp", &[("zone", "cpu")], 85.0);
    world.next(0);
    // Suspended for ten minutes: elapsed time goes on.
    world.ms += 600 * SECOND;
    world.set("temp", &[("zone", "cpu")], 85.0);
    assert_eq!(World::states(&world.next(0)), [Firing]);
    assert!(world.evaluate().is_none(), "only one evaluation");
    let counts = world.manager.counts();
    assert_eq!((counts.evaluations, counts.missed, counts.firing), (2, 39, 1));
}

#[test]
fn a_rule_that_fails_stops_no_other_and_loses_no_alert() {
    let text = "
groups:
  - name: g
    rules:
      - {record: a, expr: 'left * on(x) right'}
      - {record: b, expr: 'vector(1)', labels: {x: y}}
      - {alert: C, expr: 'left * on(x) right or left'}
";
    let mut world = World::new(text);
    world.set("left", &[("x", "1")], 1.0);
    world.next(0);
    assert_eq!(world.manager.counts().firing, 1);
    world.set("left", &[("x", "1")], 1.0);
    for i in ["1", "2"] {
        world.set("right", &[("x", "1"), ("i", i)], 1.0);
    }
    let alerts = world.next(0);
    assert_eq!(world.last_rows, ["b{x=\"y\"} 1"]);
    assert_eq!(World::states(&alerts), [Firing], "its condition was not seen to be false");
    let counts = world.manager.counts();
    assert_eq!((counts.evaluations, counts.failures), (6, 2));
    let group = world.manager.groups().next().expect("one group");
    let error = group.rules[0].last_error.clone().expect("it failed");
    assert!(error.contains("found duplicate series for the match group"), "{error}");
    assert!(group.rules[1].last_error.is_none() && group.rules[1].evaluated);
}

#[test]
fn later_rules_see_what_earlier_ones_have_just_written() {
    let text = "
groups:
  - name: chain
    labels: {from: group, own: group}
    rules:
      - {record: a, expr: 'temp * 2', labels: {own: rule}}
      - {record: b, expr: 'a + 1'}
      - {record: c, expr: 'count(b)'}
";
    let mut world = World::new(text);
    world.set("temp", &[("zone", "cpu")], 1.0);
    world.next(0);
    let own = "from=\"group\", own";
    assert_eq!(
        world.last_rows,
        [
            format!("a{{{own}=\"rule\", zone=\"cpu\"}} 2"),
            format!("b{{{own}=\"group\", zone=\"cpu\"}} 3"),
            format!("c{{{own}=\"group\"}} 1"),
        ]
    );
    world.set("temp", &[("zone", "cpu")], 5.0);
    world.next(0);
    assert!(world.last_rows[1].ends_with(" 11"), "{:?}", world.last_rows);
    // What ends is not seen any more in the same evaluation, though the store has it still.
    world.set("temp", &[("zone", "cpu")], stale_nan());
    world.next(0);
    assert!(world.last_rows.is_empty(), "{:?}", world.last_rows);
}

#[test]
fn a_group_may_look_into_the_past_and_has_a_limit() {
    let text = "
groups:
  - {name: g, query_offset: 1m, limit: 1, rules: [{record: a, expr: temp}]}
";
    let mut world = World::new(text);
    world.set("temp", &[], 1.0);
    world.next(0);
    assert!(world.last_rows.is_empty(), "there was nothing a minute ago");
    world.ms += 60 * SECOND;
    world.next(0);
    assert_eq!(world.last_rows, ["a 1"]);
    let written = world.memory.series[&Labels::from_pairs([("__name__", "a")])][0].0;
    assert!(written < world.now().wall.plus_ms(-59_000));
    world.set("temp", &[("x", "1")], 1.0);
    world.ms += 60 * SECOND;
    world.next(0);
    let group = world.manager.groups().next().expect("one group");
    assert_eq!(group.rules[0].last_error.as_deref(), Some("exceeded limit of 1 with 2 series"));
}

#[test]
fn labels_that_come_out_equal_are_an_error() {
    let text = "
groups:
  - name: g
    rules:
      - {record: a, expr: temp, labels: {zone: x}}
      - {alert: B, expr: temp, labels: {zone: x}}
";
    let mut world = World::new(text);
    world.set("temp", &[("zone", "1")], 1.0);
    world.set("temp", &[("zone", "2")], 1.0);
    world.next(0);
    let group = world.manager.groups().next().expect("one group");
    let errors: Vec<&str> = group.rules.iter().filter_map(|rule| rule.last_error.as_deref()).collect();
    assert_eq!(
        errors,
        [
            "vector contains metrics with the same labelset after applying rule labels",
            "vector contains metrics with the same labelset after applying alert labels",
        ]
    );
}

#[test]
fn an_annotation_that_fails_says_so_and_the_alert_fires_all_the_same() {
    let text = "
groups:
  - name: g
    rules:
      - alert: A
        expr: temp
        annotations: {bad: '{{ gt $value 5 }}', good: '{{ query \"count(temp)\" | first | value }}'}
";
    let mut world = World::new(text);
    world.set("temp", &[], 1.0);
    let alerts = world.next(0);
    let bad = alerts[0].annotations.get("bad").expect("there");
    assert!(
        bad.starts_with("<error expanding template: error executing template __alert_A: template: __alert_A:1:"),
        "{bad}"
    );
    assert_eq!(alerts[0].annotations.get("good"), Some("1"));
}

#[test]
fn torn_state_is_refused_and_whole_state_is_bounded() {
    let mut world = World::new(&HOT.replace("for: 1m", "for: 0s"));
    for i in 0..900 {
        world.set("temp", &[("zone", &format!("a zone with quite a long name, number {i}"))], 85.0);
    }
    world.next(0);
    assert_eq!(world.manager.counts().firing, 900);
    let saved = world.manager.save();
    assert!(saved.len() <= SAVED_BYTES_MAX && saved.len() > SAVED_BYTES_MAX * 9 / 10, "{} bytes", saved.len());
    let one = saved.len() / 200;
    for cut in 2..one {
        let mut other = World::new(HOT);
        assert_eq!(other.manager.restore(&saved[..cut], other.now()), Err(RestoreError::Malformed), "{cut} bytes");
        assert_eq!(other.manager.counts(), Counts::default());
    }
    let now = world.now();
    assert_eq!(world.manager.restore(&[], now), Err(RestoreError::Malformed));
    assert_eq!(world.manager.restore(&[7], now), Err(RestoreError::Version(7)));
}

#[test]
fn groups_do_not_all_wake_at_once() {
    let text: String = (0..10).map(|i| format!("  - {{name: g{i}, rules: [{{record: a, expr: '1'}}]}}\n")).collect();
    let mut world = World::new(&format!("groups:\n{text}"));
    world.next(0);
    let slots: std::collections::BTreeSet<u64> =
        world.manager.groups.iter().map(|group| group.next.expect("seen").0 % (15 * SECOND)).collect();
    assert!(slots.len() > 5, "{slots:?}");
}
