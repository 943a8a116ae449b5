//! Jobs and targets by a clock of the test's own: bodies in, batches out, as the shell and the store would see them.

use model::UnixMs;
use relabel::{Action, NameScheme, Rule, Spec};

use super::*;
use crate::job::tests::job;
use crate::job::{Histograms, Limits};

const TEXT: &str = "text/plain; version=0.0.4";

fn now(ms: u64) -> Now {
    Now { mono: Mono(ms), wall: UnixMs(1_000_000 + ms as i64), wall_trusted: true }
}

fn pools() -> Pools {
    Pools::new(Bounds { source_first: 100, rows_max: 1_000, seed: 1, type_and_unit: false, starts: false })
}

fn group(addresses: &[&str]) -> Vec<Group> {
    let addresses: Vec<String> = addresses.iter().map(|address| (*address).to_owned()).collect();
    vec![Group::of("0", &addresses, Labels::empty())]
}

/// One target of one job.
fn one(job: Job) -> Pools {
    let mut pools = pools();
    pools.change(now(0), vec![job]);
    pools.discovered(now(0), "j", 0, group(&["h:1"]));
    pools
}

/// Waits for the next target and gives it this answer; returns what goes to the store, and the batch comes home.
fn scrape(pools: &mut Pools, answer: Result<&str, Failure>) -> (bool, Vec<String>) {
    let at = pools.next_deadline().expect("a target is due some time");
    let at = now(at.0);
    let fetch = pools.due(at).expect("it is due");
    let body = answer.map(|text| Body { bytes: text.as_bytes(), content_type: TEXT });
    let delivery = pools.done(fetch.target, at, 0.5, body).expect("the target is there");
    let named = named(pools, delivery);
    let (good, printed) = (named.good, printed(&named.batch));
    assert!(pools.home(named).is_none());
    (good, printed)
}

/// Has the series named, as a store asks for it that does not know them.
fn named(pools: &mut Pools, delivery: Delivery) -> Delivery {
    if !delivery.batch.is_bare() {
        return delivery;
    }
    let rows = delivery.batch.rows().len();
    let named = pools.home(Delivery { is_unknown: true, ..delivery }).expect("they are known");
    assert_eq!((named.batch.rows().len(), named.batch.is_bare(), named.is_unknown), (rows, false, false));
    named
}

fn printed(batch: &Batch) -> Vec<String> {
    let line = |row: &model::Row| {
        let labels = Labels::from_packed(batch.packed(row)).expect("packed here");
        let at = row.at.map_or(String::new(), |at| format!(" @{}", at.0));
        format!("{labels} {}{at}", row.value.float().unwrap_or(f64::NAN))
    };
    batch.rows().iter().map(line).collect()
}

fn failure(reason: Reason) -> Failure {
    Failure { what: "gone".to_owned(), reason }
}

const BASE: &str = "{instance=\"h:1\", job=\"j\"}";

/// The report as it is printed: up, scraped, kept, added.
fn report(values: [f64; 4]) -> Vec<String> {
    let [up, scraped, kept, added] = values;
    vec![
        format!("up{BASE} {up}"),
        format!("scrape_duration_seconds{BASE} 0.5"),
        format!("scrape_samples_scraped{BASE} {scraped}"),
        format!("scrape_samples_post_metric_relabeling{BASE} {kept}"),
        format!("scrape_series_added{BASE} {added}"),
    ]
}

fn check(pools: &mut Pools, body: &str, own: &[&str], values: [f64; 4]) {
    let (good, found) = scrape(pools, Ok(body));
    let mut expected: Vec<String> = own.iter().map(|line| (*line).to_owned()).collect();
    expected.extend(report(values));
    assert_eq!((good, found), (values[0] == 1.0, expected), "{body:?}");
}

#[test]
fn samples_get_the_targets_labels_and_a_report_beside_them() {
    let mut pools = one(job());
    let (a, b) = ("a{instance=\"h:1\", job=\"j\"} 1", "b{instance=\"h:1\", job=\"j\", x=\"y\"} 2");
    check(&mut pools, "a 1\nb{x=\"y\"} 2\n", &[a, b], [1.0, 2.0, 2.0, 2.0]);
    // The same series again: in place.
    let again = ["a{instance=\"h:1\", job=\"j\"} 3", "b{instance=\"h:1\", job=\"j\", x=\"y\"} 4"];
    check(&mut pools, "a 3\nb{x=\"y\"} 4\n", &again, [1.0, 2.0, 2.0, 0.0]);
    // One goes, one comes, the order changes.
    let other = ["c{instance=\"h:1\", job=\"j\"} 5", "a{instance=\"h:1\", job=\"j\"} 6"];
    check(&mut pools, "c 5\na 6\n", &other, [1.0, 2.0, 2.0, 1.0]);
    check(&mut pools, "c 7\n", &["c{instance=\"h:1\", job=\"j\"} 7"], [1.0, 1.0, 1.0, 0.0]);
    check(&mut pools, "", &[], [1.0, 0.0, 0.0, 0.0]);
    assert_eq!(pools.counts().series, 0);
}

#[test]
fn a_failure_is_a_report_alone_and_forgets_nothing() {
    let mut pools = one(job());
    let a = "a{instance=\"h:1\", job=\"j\"} 1";
    check(&mut pools, "a 1\n", &[a], [1.0, 1.0, 1.0, 1.0]);
    let (good, found) = scrape(&mut pools, Err(failure(Reason::Timeout)));
    assert_eq!((good, found), (false, report([0.0; 4])));
    assert_eq!(pools.status()[0].last.error, "gone");
    assert_eq!(pools.status()[0].last.health, Health::Down);
    check(&mut pools, "a 1\nb{\n", &[], [0.0, 1.0, 1.0, 0.0]);
    assert!(pools.status()[0].last.error.contains("line 2"), "{}", pools.status()[0].last.error);
    check(&mut pools, "a 1\n", &[a], [1.0, 1.0, 1.0, 0.0]);
    let counts = pools.counts();
    assert_eq!((counts.scrapes, counts.failed[1], counts.failed[4]), (4, 1, 1));
}

#[test]
fn metadata_reaches_the_store_and_a_change_of_it_too() {
    let mut pools = one(job());
    let mut about = |text: &str| {
        let at = now(pools.next_deadline().expect("due").0);
        let fetch = pools.due(at).expect("due");
        let body = Body { bytes: text.as_bytes(), content_type: TEXT };
        let delivery = pools.done(fetch.target, at, 0.5, Ok(body)).expect("there");
        let delivery = named(&mut pools, delivery);
        let batch = &delivery.batch;
        let family = batch.families()[batch.rows()[0].family as usize];
        let said = (batch.name(&family).to_owned(), batch.help(&family).to_owned(), family.kind);
        pools.home(delivery);
        said
    };
    let text = "# HELP a Old.\n# TYPE a counter\na 1\n";
    assert_eq!(about(text), ("a".to_owned(), "Old.".to_owned(), model::MetricKind::Counter));
    assert_eq!(about(text).1, "Old.");
    assert_eq!(
        about("# HELP a New.\n# TYPE a gauge\na 1\n"),
        ("a".to_owned(), "New.".to_owned(), model::MetricKind::Gauge)
    );
}

#[test]
fn limits_fail_the_scrape_and_count_what_was_sent() {
    let limited = |limits: Limits| one(Job { limits, ..job() });
    let mut pools = limited(Limits { samples: 2, ..Limits::default() });
    check(&mut pools, "a 1\nb 2\nc 3\n", &[], [0.0, 3.0, 3.0, 2.0]);
    assert_eq!(pools.status()[0].last.error, "sample limit exceeded");
    let mut pools = limited(Limits { labels: 3, ..Limits::default() });
    let (good, _) = scrape(&mut pools, Ok("a{b=\"1\"} 1\n"));
    assert!(!good && pools.status()[0].last.error.starts_with("label_limit exceeded"));
    assert_eq!(pools.counts().failed[6], 1);
}

#[test]
fn all_targets_together_are_bounded() {
    let mut pools = Pools::new(Bounds { source_first: 1, rows_max: 3, seed: 1, type_and_unit: false, starts: false });
    pools.change(now(0), vec![job()]);
    pools.discovered(now(0), "j", 0, group(&["h:1", "h:2"]));
    let good: Vec<bool> = (0..2).map(|_| scrape(&mut pools, Ok("a 1\nb 2\n")).0).collect();
    assert_eq!(good, [true, false]);
    assert_eq!(pools.counts().series, 2);
    // The one that has its place keeps it.
    let good: Vec<bool> = (0..2).map(|_| scrape(&mut pools, Ok("a 1\nb 2\n")).0).collect();
    assert_eq!(good, [true, false]);
}

#[test]
fn rules_for_samples_run_once_and_drop_every_time() {
    let spec = Spec {
        source_labels: Some(vec!["__name__".to_owned()]),
        regex: Some("go_.*".to_owned()),
        action: Some(Action::Drop),
        ..Spec::default()
    };
    let mut pools = one(Job { metric_relabel: vec![Rule::new(spec, NameScheme::Utf8).expect("right")], ..job() });
    let a = "a{instance=\"h:1\", job=\"j\"} 1";
    check(&mut pools, "go_x 9\na 1\n", &[a], [1.0, 2.0, 1.0, 1.0]);
    check(&mut pools, "go_x 9\na 1\n", &[a], [1.0, 2.0, 1.0, 0.0]);
    check(&mut pools, "a 1\ngo_x 9\n", &[a], [1.0, 2.0, 1.0, 0.0]);
}

#[test]
fn timestamps_count_unless_they_are_not_honoured() {
    let at = "a{instance=\"h:1\", job=\"j\"} 1 @5000";
    check(&mut one(job()), "a 1 5000\n", &[at], [1.0, 1.0, 1.0, 1.0]);
    let plain = "a{instance=\"h:1\", job=\"j\"} 1";
    check(&mut one(Job { honor_timestamps: false, ..job() }), "a 1 5000\n", &[plain], [1.0, 1.0, 1.0, 1.0]);
}

#[test]
fn a_body_of_an_unknown_type_needs_a_fallback() {
    let ask = |job: Job| {
        let mut pools = one(job);
        let at = now(pools.next_deadline().expect("due").0);
        let fetch = pools.due(at).expect("due");
        let body = Body { bytes: b"a 1\n", content_type: "" };
        pools.done(fetch.target, at, 0.5, Ok(body)).expect("there").good
    };
    assert!(!ask(job()));
    assert!(ask(Job { fallback: Some(crate::Protocol::Text004), ..job() }));
}

#[test]
fn classic_histograms_become_native_ones_where_that_is_wanted() {
    let text = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n";
    let kept = |native: bool, convert: bool, classic_too: bool| {
        let mut pools = one(Job { histograms: Histograms { native, convert, classic_too }, ..job() });
        let (good, found) = scrape(&mut pools, Ok(text));
        assert!(good);
        let again = scrape(&mut pools, Ok(text)).1;
        assert_eq!(found.len(), again.len());
        (found.len() - 5, found.iter().filter(|line| line.starts_with("h{")).count())
    };
    assert_eq!(kept(false, false, false), (4, 0));
    assert_eq!(kept(false, true, false), (1, 1));
    assert_eq!(kept(false, true, true), (5, 1));
}

#[test]
fn extra_metrics_say_limits_and_sizes() {
    let mut pools = one(Job { extra_metrics: true, ..job() });
    let (_, found) = scrape(&mut pools, Ok("a 1\n"));
    let extra = ["scrape_timeout_seconds", "scrape_sample_limit", "scrape_body_size_bytes"];
    let expected: Vec<String> = extra.iter().zip([10, 0, 4]).map(|(name, v)| format!("{name}{BASE} {v}")).collect();
    assert_eq!(found[6..], expected);
    let (_, found) = scrape(&mut pools, Err(failure(Reason::BodySize)));
    assert_eq!(found[7], format!("scrape_body_size_bytes{BASE} -1"));
}

#[test]
fn targets_spread_over_the_interval_and_keep_their_moment() {
    let mut pools = pools();
    pools.change(now(0), vec![job()]);
    let addresses: Vec<String> = (0..60).map(|n| format!("h{n}:1")).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    pools.discovered(now(60_000), "j", 0, group(&addresses));
    let mut quarters = [0; 4];
    let mut first = BTreeMap::new();
    for _ in 0..60 {
        let due = pools.next_deadline().expect("due");
        let fetch = pools.due(now(due.0)).expect("due");
        assert!(due.0 >= 60_000 && due.0 < 75_000);
        quarters[((due.0 - 60_000) / 3_750) as usize] += 1;
        first.insert(fetch.target, due.0);
        pools.done(fetch.target, now(due.0), 0.1, Err(failure(Reason::Connection)));
    }
    assert!(quarters.iter().all(|count| *count >= 6), "{quarters:?}");
    // Awake again after a long sleep: each is due once, and then in its own rhythm.
    let late = now(600_007);
    while let Some(fetch) = pools.due(late) {
        pools.done(fetch.target, late, 0.1, Err(failure(Reason::Connection)));
    }
    let next = pools.next_deadline().expect("due");
    let fetch = pools.due(now(next.0)).expect("due");
    assert_eq!(next.0 % 15_000, first[&fetch.target] % 15_000);
    assert!(next.0 > late.mono.0 && next.0 <= late.mono.0 + 15_000);
}

#[test]
fn a_scrape_that_is_still_on_its_way_is_not_begun_again() {
    let mut pools = one(job());
    let due = pools.next_deadline().expect("due");
    let fetch = pools.due(now(due.0)).expect("due");
    assert!(pools.due(now(due.0 + 15_000)).is_none());
    assert_eq!(pools.counts().missed, 1);
    pools.done(fetch.target, now(due.0), 20.0, Err(failure(Reason::Timeout)));
    assert!(pools.due(now(due.0 + 30_000)).is_some());
}

#[test]
fn targets_that_go_end_their_sources_and_those_that_stay_are_left_alone() {
    let mut pools = one(job());
    scrape(&mut pools, Ok("a 1\n"));
    let mut ended = Vec::new();
    pools.discovered(now(1), "j", 0, group(&["h:1", "h:2"]));
    pools.take_ended(&mut ended);
    assert_eq!(ended, []);
    assert_eq!(pools.status().len(), 2);
    pools.discovered(now(2), "j", 0, group(&["h:2"]));
    pools.take_ended(&mut ended);
    assert_eq!(ended, [SourceId(100)]);
    assert_eq!(pools.counts().series, 0);
    // A job that goes takes its targets along; a reload that changes nothing changes nothing.
    pools.change(now(3), vec![job()]);
    assert_eq!(pools.status().len(), 1);
    pools.change(now(4), vec![]);
    ended.clear();
    pools.take_ended(&mut ended);
    assert_eq!((ended.as_slice(), pools.next_deadline()), (&[SourceId(101)][..], None));
}

/// A list that is empty every other time: what goes ends once, and nothing of it is left.
#[test]
fn discovery_that_flaps_leaves_nothing_behind() {
    let (mut pools, mut ended) = (one(job()), Vec::new());
    for round in 0..2_000u64 {
        scrape(&mut pools, Ok("a 1\nb 2\n"));
        let at = pools.next_deadline().expect("a target is due");
        pools.discovered(now(at.0), "j", 0, Vec::new());
        assert_eq!((pools.next_deadline(), pools.counts().targets, pools.counts().series), (None, 0, 0));
        pools.take_ended(&mut ended);
        assert_eq!(ended.len() as u64, round + 1);
        pools.discovered(now(at.0), "j", 0, group(&["h:1", "h:1"]));
        assert_eq!((pools.counts().targets, pools.queue.len(), pools.desk.spare.len()), (1, 1, 1));
    }
    ended.sort_unstable();
    ended.dedup();
    assert_eq!(ended.len(), 2_000, "each is a source of its own");
}

#[test]
fn a_reload_that_changes_rules_names_series_anew() {
    let mut pools = one(job());
    scrape(&mut pools, Ok("a 1\nb 2\n"));
    let spec = Spec { target_label: "new".to_owned(), replacement: "x".to_owned(), ..Spec::default() };
    let changed = Job { metric_relabel: vec![Rule::new(spec, NameScheme::Utf8).expect("right")], ..job() };
    pools.change(now(1), vec![changed]);
    let (_, found) = scrape(&mut pools, Ok("a 1\nb 2\n"));
    assert_eq!(found[0], "a{instance=\"h:1\", job=\"j\", new=\"x\"} 1");
}

#[test]
fn an_answer_for_a_target_that_has_gone_is_thrown_away() {
    let mut pools = one(job());
    let due = pools.next_deadline().expect("due");
    let fetch = pools.due(now(due.0)).expect("due");
    pools.discovered(now(due.0), "j", 0, Vec::new());
    assert!(pools.done(fetch.target, now(due.0), 0.1, Err(failure(Reason::Timeout))).is_none());
}

/// The store may be slower than the target: it may ask for the names of series that are others by now.
#[test]
fn a_batch_that_comes_home_late_is_named_only_if_it_can_be() {
    let mut pools = one(job());
    let read = |pools: &mut Pools, text: &str| {
        let at = now(pools.next_deadline().expect("due").0);
        let fetch = pools.due(at).expect("due");
        let body = Body { bytes: text.as_bytes(), content_type: TEXT };
        pools.done(fetch.target, at, 0.5, Ok(body)).expect("there")
    };
    let first = read(&mut pools, "a 1\nb 2\n");
    let second = read(&mut pools, "a 3\nb 4\n");
    assert!(!first.batch.is_bare() && second.batch.is_bare());
    assert_eq!(first.batch.layout(), second.batch.layout());
    let third = read(&mut pools, "b 5\na 6\n");
    assert_eq!(printed(&third.batch)[..2], ["b{instance=\"h:1\", job=\"j\"} 5", "a{instance=\"h:1\", job=\"j\"} 6"]);
    assert!(third.batch.layout() != second.batch.layout());
    assert!(pools.home(Delivery { is_unknown: true, ..second }).is_none());
    let fourth = read(&mut pools, "b 7\na 8\n");
    assert_eq!((fourth.batch.is_bare(), fourth.batch.layout()), (true, third.batch.layout()));
    assert_eq!(fourth.batch.rows()[1].value.float(), Some(8.0));
    // A target that has gone is asked for nothing.
    pools.discovered(now(0), "j", 0, group(&[]));
    assert!(pools.home(Delivery { is_unknown: true, ..fourth }).is_none());
}

#[test]
fn a_job_with_too_many_targets_scrapes_none_and_says_so() {
    let mut pools = one(Job { limits: Limits { targets: 1, ..Limits::default() }, ..job() });
    pools.discovered(now(0), "j", 1, group(&["h:2"]));
    let due = pools.next_deadline().expect("due");
    let fetch = pools.due(now(due.0)).expect("due");
    assert_eq!(fetch.refused.as_deref(), Some("target_limit exceeded (number of targets: 2, limit: 1)"));
    pools.keep_providers(now(0), "j", 1);
    assert_eq!(pools.status().len(), 1);
}

#[test]
fn dropped_targets_are_remembered_up_to_a_limit() {
    let spec = Spec { regex: Some("x".to_owned()), action: Some(Action::Keep), ..Spec::default() };
    let relabel = vec![Rule::new(spec, NameScheme::Utf8).expect("right")];
    let limits = Limits { dropped_targets: 1, ..Limits::default() };
    let mut pools = one(Job { relabel, limits, ..job() });
    pools.discovered(now(0), "j", 1, group(&["h:2", "h:3"]));
    assert_eq!((pools.dropped().count(), pools.counts().dropped_targets, pools.status().len()), (1, 3, 0));
}

#[test]
fn exemplars_come_with_the_labels_of_their_series() {
    let spec = Spec {
        source_labels: Some(vec!["kind".to_owned()]),
        regex: Some("odd".to_owned()),
        action: Some(Action::Drop),
        ..Spec::default()
    };
    let dropping = Job { metric_relabel: vec![Rule::new(spec, NameScheme::Utf8).expect("right")], ..job() };
    let mut pools = one(dropping);
    let open = "application/openmetrics-text; version=1.0.0";
    let text = "# TYPE a counter\na_total{kind=\"x\"} 1 # {t=\"1\"} 5 2\na_total{kind=\"odd\"} 1 # {t=\"2\"} 5\n\
                a_total 1 # {t=\"3\"} 6\n# EOF\n";
    // The first time the series are new, and then they are known.
    for round in 0..3u64 {
        let at = now(pools.next_deadline().expect("a target is due").0);
        let fetch = pools.due(at).expect("it is due");
        let body = Body { bytes: text.as_bytes(), content_type: open };
        let mut delivery = pools.done(fetch.target, at, 0.5, Ok(body)).expect("the target is there");
        let exemplars = std::mem::take(&mut delivery.exemplars);
        let show = |e: &Exemplar| format!("{} {} {} {} {}", e.series, e.labels, e.value, e.at.0, e.has_time);
        let shown: Vec<String> = exemplars.iter().map(show).collect();
        let expected = [
            "a_total{instance=\"h:1\", job=\"j\", kind=\"x\"} {t=\"1\"} 5 2000 true".to_owned(),
            format!("a_total{{instance=\"h:1\", job=\"j\"}} {{t=\"3\"}} 6 {} false", at.wall.0),
        ];
        assert_eq!(shown, expected, "round {round}");
        pools.home(delivery);
    }
    let many: String = (0..1_010).map(|i| format!("a_total{{i=\"{i}\"}} 1 # {{t=\"1\"}} 5 2\n")).collect();
    let text = format!("# TYPE a counter\n{many}# EOF\n");
    let mut pools =
        Pools::new(Bounds { source_first: 100, rows_max: 5_000, seed: 1, type_and_unit: false, starts: false });
    pools.change(now(0), vec![job()]);
    pools.discovered(now(0), "j", 0, group(&["h:1"]));
    let at = now(pools.next_deadline().expect("a target is due").0);
    let fetch = pools.due(at).expect("it is due");
    let body = Body { bytes: text.as_bytes(), content_type: open };
    let delivery = pools.done(fetch.target, at, 0.5, Ok(body)).expect("the target is there");
    assert_eq!((delivery.exemplars.len(), delivery.exemplars_left_out), (1_000, 10));
}

/// Behind their flags: what kind of metric a series is of, in its labels, and when its counter began.
#[test]
fn kinds_units_and_starts_are_kept_where_that_is_switched_on() {
    let text =
        "# TYPE a_seconds counter\n# UNIT a_seconds seconds\na_seconds_total 3\na_seconds_created 1000.5\n# EOF\n";
    for (is_on, kind, start) in [(false, None, None), (true, Some(("counter", "seconds")), Some(UnixMs(1_000_500)))] {
        let bounds = Bounds { source_first: 100, rows_max: 1_000, seed: 1, type_and_unit: is_on, starts: is_on };
        let mut pools = Pools::new(bounds);
        pools.change(now(0), vec![job()]);
        pools.discovered(now(0), "j", 0, vec![Group::of("0", &["h:1".to_owned()], Labels::empty())]);
        let at = now(pools.next_deadline().expect("due").0);
        let fetch = pools.due(at).expect("due");
        let body = Body { bytes: text.as_bytes(), content_type: "application/openmetrics-text; version=1.0.0" };
        let delivery = pools.done(fetch.target, at, 0.5, Ok(body)).expect("there");
        let row = &delivery.batch.rows()[0];
        let labels = Labels::from_packed(delivery.batch.packed(row)).expect("packed");
        assert_eq!(labels.get("__type__").zip(labels.get("__unit__")), kind);
        assert_eq!(row.start, start);
    }
}

/// What is remembered must not change what is read: targets that were scraped before and one that never was say the
/// same, whatever changes in between: values, times, kinds, labels, the order, lines that are wrong.
#[test]
fn a_target_that_is_known_is_read_as_one_that_is_not() {
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let values =
        ["1", "2.5", "-3", "NaN", "+Inf", "1e3", "0.000001", "12345678901234567890", "4 99", "5  7", "x", "1 2 3"];
    let kinds = ["counter", "gauge", "histogram", "untyped"];
    let lines = [
        "a",
        "a{x=\"1\"}",
        "a{x=\"2\"} ",
        "a_bucket{le=\"1\"}",
        "a_bucket{le=\"0.5\",y=\"é\"}",
        " b{ z = \"\\\"q\" } ",
        "b ",
    ];
    let (mut known, mut kind, mut good_ones, mut bare_ones) = (one(job()), 0, 0, 0);
    for _ in 0..3_000 {
        // Mostly only values change.
        kind = if next(20) == 0 { next(4) as usize } else { kind };
        let mut body = format!("# HELP a It is.\n# TYPE a {}\n", kinds[kind]);
        let skipped = if next(10) == 0 { next(7) } else { 7 };
        for (line, at) in lines.iter().zip(0..) {
            let value = values[if next(60) == 0 { next(12) } else { next(8) } as usize];
            if at != skipped {
                body.push_str(&format!("{line} {value}\n"));
            }
        }
        let text = if next(50) == 0 { &body[..body.len() - 1 - next(9) as usize] } else { &body };
        let at = known.next_deadline().expect("a target is due");
        let fetch = known.due(now(at.0)).expect("it is due");
        let answer = Body { bytes: text.as_bytes(), content_type: TEXT };
        let delivery = known.done(fetch.target, now(at.0), 0.5, Ok(answer)).expect("there");
        (good_ones, bare_ones) =
            (good_ones + u64::from(delivery.good), bare_ones + u64::from(delivery.batch.is_bare()));
        let delivery = named(&mut known, delivery);
        let (good, found) = (delivery.good, printed(&delivery.batch));
        known.home(delivery);
        let (fresh_good, expected) = scrape(&mut one(job()), Ok(text));
        assert_eq!((good, &found[..found.len() - 1]), (fresh_good, &expected[..expected.len() - 1]), "{text}");
        let error = |pools: &Pools| pools.status()[0].last.error.clone();
        let mut fresh = one(job());
        scrape(&mut fresh, Ok(text));
        assert_eq!(error(&known), error(&fresh), "{text}");
    }
    assert!(good_ones > 2_000 && bare_ones > 500, "{good_ones} {bare_ones}");
}
