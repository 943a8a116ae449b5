//! What pushes do to groups, read off a running pushgateway 1.11.2, and where we do better.

use exposition::{parse_text, write_text};
use model::{Batch, MetricKind, UnixMs};

use super::{Groups, Mode, Refused};
use crate::limits::GROUPS_MAX;
use crate::path::{Grouping, Route, route};

fn grouping(path: &str) -> Grouping {
    match route(path, false) {
        Route::Group(grouping) => grouping,
        other => panic!("{path} names a group, not {other:?}"),
    }
}

fn push(groups: &mut Groups, mode: Mode, path: &str, text: &str) -> Result<(), Refused> {
    let mut batch = Batch::new();
    parse_text(text.as_bytes(), &mut batch).expect("the text is good");
    let known = |name: &str| (name == "node_load1").then_some(MetricKind::Gauge);
    groups.push(UnixMs(1_500), grouping(path), mode, &batch, &known)
}

fn printed(groups: &Groups) -> String {
    let (mut batch, mut out) = (Batch::new(), String::new());
    groups.fill(&mut batch);
    write_text(&batch, &mut out);
    out.lines()
        .filter(|line| !line.starts_with("push_") && !line.contains(" push_"))
        .map(|l| l.to_owned() + "\n")
        .collect()
}

#[test]
fn a_put_replaces_the_group_and_a_post_the_families_it_names() {
    let mut groups = Groups::new();
    push(&mut groups, Mode::Replace, "/metrics/job/a", "m1 1\nm2 2\n").unwrap();
    push(&mut groups, Mode::Merge, "/metrics/job/a", "m2 3\nm3 4\n").unwrap();
    let all = "# TYPE m1 untyped\nm1{instance=\"\",job=\"a\"} 1\n# TYPE m2 untyped\nm2{instance=\"\",job=\"a\"} 3\n\
               # TYPE m3 untyped\nm3{instance=\"\",job=\"a\"} 4\n";
    assert_eq!(printed(&groups), all);
    push(&mut groups, Mode::Merge, "/metrics/job/a", "").unwrap();
    assert_eq!(printed(&groups), all);
    push(&mut groups, Mode::Replace, "/metrics/job/a", "").unwrap();
    assert_eq!(printed(&groups), "");
    assert!(!groups.is_empty(), "the group keeps the time of its push");
    groups.delete(&grouping("/metrics/job/a"));
    assert!(groups.is_empty());
}

#[test]
fn the_labels_of_the_path_win_and_times_are_told() {
    let mut groups = Groups::new();
    push(&mut groups, Mode::Replace, "/metrics/job/a/instance/i", "m{job=\"x\",instance=\"y\",z=\"1\"} 1\n").unwrap();
    let (mut batch, mut out) = (Batch::new(), String::new());
    groups.fill(&mut batch);
    write_text(&batch, &mut out);
    assert!(out.contains("m{instance=\"i\",job=\"a\",z=\"1\"} 1\n"), "{out}");
    assert!(out.contains("push_time_seconds{instance=\"i\",job=\"a\"} 1.5\n"), "{out}");
    assert!(out.contains("push_failure_time_seconds{instance=\"i\",job=\"a\"} 0\n"), "{out}");
}

#[test]
fn histograms_and_summaries_come_whole() {
    let mut groups = Groups::new();
    let text = "# TYPE h histogram\nh_bucket{le=\"5\"} 2\nh_bucket{le=\"1\"} 1\nh_count 5\n# TYPE s summary\ns_sum 3\n";
    push(&mut groups, Mode::Replace, "/metrics/job/a", text).unwrap();
    let expected = "# TYPE h histogram\nh_bucket{instance=\"\",job=\"a\",le=\"1\"} 1\nh_bucket{instance=\"\",job=\"a\",\
                    le=\"5\"} 2\nh_bucket{instance=\"\",job=\"a\",le=\"+Inf\"} 5\nh_sum{instance=\"\",job=\"a\"} 0\n\
                    h_count{instance=\"\",job=\"a\"} 5\n# TYPE s summary\ns_sum{instance=\"\",job=\"a\"} 3\n\
                    s_count{instance=\"\",job=\"a\"} 0\n";
    assert_eq!(printed(&groups), expected);
}

fn refusal(groups: &mut Groups, path: &str, text: &str) -> String {
    push(groups, Mode::Replace, path, text).expect_err("refused").to_string()
}

#[test]
fn what_is_inconsistent_is_refused_whole_and_noted() {
    let mut groups = Groups::new();
    push(&mut groups, Mode::Replace, "/metrics/job/a", "# TYPE g gauge\ng 1\n").unwrap();
    for (path, text, expected) in [
        ("/metrics/job/b", "ok 1\nm 1 123\n", "pushed metrics must not have timestamps"),
        ("/metrics/job/b", "m{a=\"1\"} 1\nm{a=\"1\"} 2\n", "was collected before with the same name and label values"),
        ("/metrics/job/b", "# TYPE g counter\ng 1\n", "family g has type COUNTER but should have GAUGE"),
        ("/metrics/job/b", "node_load1 1\n", "family node_load1 has type UNTYPED but should have GAUGE"),
    ] {
        let found = refusal(&mut groups, path, text);
        assert!(found.contains(expected), "{found}");
    }
    let group = groups.get(&grouping("/metrics/job/b")).expect("the failure is noted");
    assert_eq!((group.families.len(), group.failed, group.pushed), (0, Some(UnixMs(1_500)), None));
    assert!(!group.is_successful());
    push(&mut groups, Mode::Replace, "/metrics/job/b", "# TYPE g gauge\ng 1\npush_time_seconds 7\n").unwrap();
    assert_eq!(groups.counts().inconsistent, 4);
}

#[test]
fn a_push_refused_for_its_empty_instance_blocks_nobody() {
    let mut groups = Groups::new();
    push(&mut groups, Mode::Replace, "/metrics/job/a", "m 1\n").unwrap();
    for path in ["/metrics/job/a/instance/", "/metrics/job/a/instance@base64/="] {
        assert!(refusal(&mut groups, path, "m 2\n").contains("was collected before"));
    }
    push(&mut groups, Mode::Replace, "/metrics/job/zz", "n 1\n").unwrap();
    assert_eq!(groups.iter().count(), 2);
}

#[test]
fn limits_refuse_new_groups_and_old_ones_go_on() {
    let mut groups = Groups::new();
    for at in 0..GROUPS_MAX {
        push(&mut groups, Mode::Replace, &format!("/metrics/job/{at}"), "m 1\n").unwrap();
    }
    assert_eq!(
        push(&mut groups, Mode::Replace, "/metrics/job/more", "m 1\n"),
        Err(Refused::Full("groups", GROUPS_MAX))
    );
    push(&mut groups, Mode::Replace, "/metrics/job/7", "m 2\n").unwrap();
    assert_eq!((groups.iter().count(), groups.counts().full), (GROUPS_MAX, 1));
}

#[test]
fn groups_survive_as_bytes_and_foreign_bytes_are_refused() {
    let mut groups = Groups::new();
    let text = "# HELP h Help.\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum NaN\n# TYPE c counter\nc{x=\"\"} -0\n";
    push(&mut groups, Mode::Replace, "/metrics/job/a/e@base64/=", text).unwrap();
    let bytes = groups.save(&grouping("/metrics/job/a/e@base64/=")).expect("it is small");
    let mut again = Groups::new();
    assert!(again.restore(&bytes));
    assert_eq!(printed(&again), printed(&groups));
    for cut in 0..bytes.len() {
        assert!(!Groups::new().restore(&bytes[..cut]), "cut at {cut}");
        let mut flipped = bytes.clone();
        flipped[cut] ^= 0x80;
        Groups::new().restore(&flipped);
    }
}
