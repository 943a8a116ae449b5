//! A small world behind the web: a store in memory with samples of every kind, rules that were evaluated, targets.
//!
//! What the samples are is the same at every run; when they are is the caller's word, because a real peer that is
//! given the same samples wants them to be of today.

use std::sync::{Arc, Mutex, RwLock};

use model::{
    Batch, Clock, Counts, Histogram, Labels, MetricKind, Mono, Now, ResetHint, SourceId, Span, UnixMs, Value,
    histogram::CUSTOM_BUCKETS_SCHEMA,
};
use narthex::exemplars::Exemplars;
use narthex::web::targets::{Dropped, Health, Target, Targets};
use narthex::web::{Answer, House, MetricsReply, Request, Status, Web};
use promql::Engine;
use tsdb::{Options, Store};

/// How far apart samples are, and how many there are of each series.
pub const STEP_MS: i64 = 15_000;
pub const STEPS: i64 = 40;

/// Rules that make alerts of every kind, and one that fails.
pub const RULES: &str = r#"
groups:
  - name: a
    interval: 1s
    limit: 10
    labels: {team: x}
    rules:
      - record: job:up:sum
        expr: sum by (job) (up)
        labels: {kind: "<r>"}
      - alert: Down
        expr: up == 0
        keep_firing_for: 3m
        labels: {severity: page, tmpl: "{{ $labels.job }}"}
        annotations: {summary: "{{ $labels.instance }} <b>"}
      - alert: Slow
        expr: up == 0
        for: 1h
      - alert: Never
        expr: up > 7
  - name: b
    rules:
      - record: x:y
        expr: vector(1)
      - alert: Bad
        expr: up / on() up
"#;

/// A clock that stands still.
pub struct Still(pub i64);

impl Clock for Still {
    fn now(&self) -> Now {
        Now { mono: Mono(10_000_000), wall: UnixMs(self.0), wall_trusted: true }
    }
}

/// A house whose core always answers the same.
pub struct FakeHouse {
    status: Status,
    rules: Vec<rules::GroupView>,
}

impl House for FakeHouse {
    fn fresh_metrics(&self, _wants_gzip: bool, reply: MetricsReply) {
        reply(Arc::new("up 1\n".to_owned()), None);
    }

    fn selected_metrics(&self, _: exporters::Selection, reply: narthex::web::SelectedReply) {
        reply(Ok("up 1\n".to_owned()));
    }

    fn status(&self) -> Option<Status> {
        Some(self.status.clone())
    }

    fn rules(&self) -> Option<Vec<rules::GroupView>> {
        Some(self.rules.clone())
    }

    fn is_ready(&self) -> bool {
        true
    }

    fn push(&self, _: narthex::core::pushes::Ask) -> Option<narthex::core::pushes::Told> {
        None
    }

    fn write(&self, batches: Vec<Batch>) -> Option<Vec<tsdb::Refused>> {
        Some(vec![tsdb::Refused::default(); batches.len()])
    }

    fn reload(&self) -> Result<(), String> {
        Ok(())
    }
}

/// Returns the store, with the newest samples at `now`.
pub fn store(now: i64) -> Store {
    let first = now - STEPS * STEP_MS;
    let at = |ms: i64| Now { mono: Mono((10_000_000 - now + ms) as u64), wall: UnixMs(ms), wall_trusted: true };
    let mut store = Store::in_memory(Options::default(), at(first));
    for step in 0..=STEPS {
        store.append(at(first + step * STEP_MS), &batch(step), SourceId(1), &Labels::empty());
    }
    store
}

fn batch(step: i64) -> Batch {
    let mut batch = Batch::new();
    let number = step as f64;
    batch.family("up", "Whether it answers.", MetricKind::Gauge);
    batch.add(&[("instance", "a:1"), ("job", "node")], 1.0);
    batch.add(&[("instance", "b:1"), ("job", "node")], 0.0);
    batch.add(&[("instance", "c:1"), ("job", "other")], 1.0);
    batch.family("odd_labels", "Texts that must be escaped.", MetricKind::Gauge);
    batch.add(&[("a.b", "dot"), ("text", "<b>&\"x\"\\\n\u{2028}\u{1}é")], 0.1);
    batch.family_with_unit("work_seconds_total", "Grows.", MetricKind::Counter, "seconds");
    batch.add(&[("mode", "user")], number * 0.7);
    batch.add(&[("mode", "idle")], number * 13.0);
    batch.family("extreme", "Numbers far out.", MetricKind::Gauge);
    for (kind, value) in [
        ("tiny", 1e-9),
        ("small", 0.000001),
        ("huge", 1.5e21),
        ("large", 1e20),
        ("nan", f64::NAN),
        ("inf", f64::INFINITY),
        ("minus_inf", f64::NEG_INFINITY),
        ("zero", -0.0),
        ("third", 1.0 / 3.0),
    ] {
        batch.add(&[("kind", kind)], value);
    }
    batch.family("native", "Histograms.", MetricKind::Histogram);
    for schema in [-4, -1, 0, 1, 3, 8] {
        batch.add_labels(
            &Labels::from_pairs([("__name__", "native"), ("schema", &schema.to_string())]),
            Value::Histogram(Arc::new(native(schema, step as u64))),
        );
    }
    batch.add_labels(
        &Labels::from_pairs([("__name__", "native"), ("schema", "custom")]),
        Value::Histogram(Arc::new(custom(step as u64))),
    );
    batch
}

/// Returns a histogram with enough buckets that every fraction of its schema is a bound.
fn native(schema: i32, step: u64) -> Histogram {
    let length = if schema > 0 { (1u32 << schema) + 3 } else { 4 };
    let positive: Vec<u64> = (0..length + 2).map(|i| u64::from(i % 3) * (step + 1)).collect();
    let negative = vec![2 * (step + 1), 0, 1 + step];
    let zero = if schema == 0 { 0 } else { 1 + step };
    let count = positive.iter().chain(&negative).sum::<u64>() + zero;
    Histogram {
        schema,
        zero_threshold: if schema == 3 { 0.0 } else { 0.001 },
        sum: 18.4 * (step + 1) as f64,
        positive_spans: vec![Span { offset: -3, length }, Span { offset: 2, length: 2 }],
        negative_spans: vec![Span { offset: 0, length: 2 }, Span { offset: 1, length: 1 }],
        custom_bounds: Vec::new(),
        counts: Counts::Integer { count, zero, positive, negative },
        hint: ResetHint::Unknown,
    }
}

fn custom(step: u64) -> Histogram {
    let positive = vec![3 * (step + 1), 2 * (step + 1), 5 * (step + 1)];
    Histogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        zero_threshold: 0.0,
        sum: 7.5 * (step + 1) as f64,
        positive_spans: vec![Span { offset: 0, length: 3 }],
        negative_spans: Vec::new(),
        custom_bounds: vec![0.5, 2.0],
        counts: Counts::Integer { count: positive.iter().sum(), zero: 0, positive, negative: Vec::new() },
        hint: ResetHint::Unknown,
    }
}

/// Returns the web over that store.
pub fn web(now: i64) -> Web {
    let reader = store(now).reader();
    let house = FakeHouse { status: status(now), rules: groups(now, &reader) };
    Web {
        house: Box::new(house),
        reader: Arc::new(RwLock::new(reader)),
        engine: Engine::default(),
        clock: Arc::new(Still(now)),
        settings: Default::default(),
        guard: RwLock::new(std::sync::Arc::new(narthex::web::Guard::new(Vec::new(), None))),
        external_labels: RwLock::new(Labels::empty()),
        config: RwLock::new("global:\n  scrape_interval: 15s\n".to_owned()),
        push: Default::default(),
        exemplars: Arc::new(Mutex::new(Exemplars::new(100))),
        queries: Default::default(),
    }
}

fn groups(now: i64, reader: &tsdb::Reader) -> Vec<rules::GroupView> {
    let mut errors = yaml::Errors::new();
    let groups = rules::load("rules.yml", RULES, &mut errors);
    assert!(errors.is_empty(), "{errors:?}");
    let options = rules::Options {
        default_interval_ms: 1_000,
        external_labels: Labels::empty(),
        external_url: "http://board:9090".to_owned(),
    };
    let mut manager = rules::Manager::new(groups, options);
    let at = Still(now).now();
    let late = Now { mono: at.mono.plus_ms(1_000), ..at };
    manager.due(at);
    for group in manager.due(late) {
        let evaluation = manager.evaluate(group, late, reader, &Engine::default());
        manager.apply(late, evaluation);
    }
    manager.view(late)
}

fn status(now: i64) -> Status {
    let labels = |instance: &str| Labels::from_pairs([("instance", instance), ("job", "node")]);
    let target = Target {
        discovered: Labels::from_pairs([("__address__", "a:1"), ("job", "node")]),
        labels: labels("a:1"),
        pool: "node".to_owned(),
        url: "http://a:1/metrics".to_owned(),
        global_url: "http://a:1/metrics".to_owned(),
        last_scrape: Some(UnixMs(now)),
        last_seconds: 0.0125,
        health: Health::Up,
        interval_ms: 15_000,
        timeout_ms: 10_000,
        ..Target::default()
    };
    let down = Target {
        labels: labels("b:1"),
        last_error: "refused".to_owned(),
        last_scrape: None,
        health: Health::Down,
        ..target.clone()
    };
    let dropped = Dropped { discovered: labels("c:1"), pool: "node".to_owned() };
    let targets = Targets { active: vec![target, down], dropped: vec![dropped], pools: vec![("node".to_owned(), 1)] };
    Status {
        host: "board".to_owned(),
        now: UnixMs(now),
        config_loaded: Some(UnixMs(now - 1_000)),
        targets,
        alertmanagers: vec!["http://127.0.0.1:9093/api/v2/alerts".to_owned()],
        ..Status::default()
    }
}

/// Returns a request of this host; a form where there is one.
pub fn request(method: &str, target: &str, form: &str) -> Request {
    let content_type = if form.is_empty() { "" } else { "application/x-www-form-urlencoded" };
    Request {
        host: "127.0.0.1:9090".to_owned(),
        content_type: content_type.to_owned(),
        body: form.as_bytes().to_vec(),
        ..Request::new(method, target)
    }
}

/// Returns an answer's body as text.
pub fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body.clone()).expect("UTF-8")
}

/// Returns a header of an answer.
pub fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    match name {
        "content-type" => Some(answer.content_type).filter(|value| !value.is_empty()),
        _ => answer.headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str()),
    }
}
