//! Frames read back with an independent protobuf reader: what a receiver would see.

use std::sync::Arc;

use super::*;
use crate::fake::{Random, row};
use model::{Counts, Histogram, Matcher, ResetHint, Sample, Span, UnixMs, stale_nan};
use prost::Message;

#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<WireLabel>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<WireSample>,
    #[prost(message, repeated, tag = "4")]
    histograms: Vec<WireHistogram>,
}

#[derive(Clone, PartialEq, Message)]
struct WireLabel {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct WireSample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct WireSpan {
    #[prost(sint32, tag = "1")]
    offset: i32,
    #[prost(uint32, tag = "2")]
    length: u32,
}

#[derive(Clone, PartialEq, Message)]
struct WireHistogram {
    #[prost(uint64, optional, tag = "1")]
    count_int: Option<u64>,
    #[prost(double, optional, tag = "2")]
    count_float: Option<f64>,
    #[prost(double, tag = "3")]
    sum: f64,
    #[prost(sint32, tag = "4")]
    schema: i32,
    #[prost(double, tag = "5")]
    zero_threshold: f64,
    #[prost(uint64, optional, tag = "6")]
    zero_count_int: Option<u64>,
    #[prost(double, optional, tag = "7")]
    zero_count_float: Option<f64>,
    #[prost(message, repeated, tag = "8")]
    negative_spans: Vec<WireSpan>,
    #[prost(sint64, repeated, tag = "9")]
    negative_deltas: Vec<i64>,
    #[prost(double, repeated, tag = "10")]
    negative_counts: Vec<f64>,
    #[prost(message, repeated, tag = "11")]
    positive_spans: Vec<WireSpan>,
    #[prost(sint64, repeated, tag = "12")]
    positive_deltas: Vec<i64>,
    #[prost(double, repeated, tag = "13")]
    positive_counts: Vec<f64>,
    #[prost(int32, tag = "14")]
    reset_hint: i32,
    #[prost(int64, tag = "15")]
    timestamp: i64,
    #[prost(double, repeated, tag = "16")]
    custom_values: Vec<f64>,
}

fn packer() -> RequestPacker {
    RequestPacker::new(Labels::empty(), Selection::all(), 1 << 20)
}

fn pack(packer: &mut RequestPacker, rows: &[TailRow]) -> (Packed, WriteRequest) {
    let mut body = Vec::new();
    let packed = packer.pack(rows, &mut body);
    if body.is_empty() {
        return (packed, WriteRequest::default());
    }
    let request = snap::raw::Decoder::new().decompress_vec(&body).expect("a snappy block");
    (packed, WriteRequest::decode(&request[..]).expect("a write request"))
}

fn printed(series: &TimeSeries) -> String {
    let labels: Vec<String> = series.labels.iter().map(|l| format!("{}={}", l.name, l.value)).collect();
    let samples: Vec<String> = series.samples.iter().map(|s| format!("{}@{}", s.value, s.timestamp)).collect();
    format!("{}: {}", labels.join(","), samples.join(" "))
}

#[test]
fn rows_are_grouped_by_series_ascending_in_time() {
    let (a, b) = ([("__name__", "a"), ("x", "1")], [("B", "2"), ("__name__", "b")]);
    let rows = [row(1, &b, 20, 1.0), row(2, &a, 20, 2.0), row(3, &b, 10, 3.0), row(4, &a, 30, 0.0)];
    let (packed, request) = pack(&mut packer(), &rows);
    assert_eq!(packed, Packed { taken: 4, items: 4, left_out: 0 });
    let lines: Vec<String> = request.timeseries.iter().map(printed).collect();
    assert_eq!(lines, ["B=2,__name__=b: 3@10 1@20", "__name__=a,x=1: 2@20 0@30"]);
}

#[test]
fn external_labels_are_added_in_order_and_the_series_own_label_wins() {
    let external = Labels::from_pairs([("A", "first"), ("job", "outside"), ("zone", "last")]);
    let mut packer = RequestPacker::new(external, Selection::all(), 1 << 20);
    let (_, request) = pack(&mut packer, &[row(1, &[("__name__", "a"), ("job", "node")], 5, 1.0)]);
    assert_eq!(printed(&request.timeseries[0]), "A=first,__name__=a,job=node,zone=last: 1@5");
}

#[test]
fn of_two_samples_at_one_time_the_later_row_counts() {
    let a = [("__name__", "a")];
    let rows = [row(1, &a, 5, 1.0), row(2, &a, 5, 2.0), row(3, &a, 6, 3.0), row(4, &a, 5, 4.0)];
    let (packed, request) = pack(&mut packer(), &rows);
    assert_eq!(packed, Packed { taken: 4, items: 2, left_out: 2 });
    assert_eq!(printed(&request.timeseries[0]), "__name__=a: 4@5 3@6");
}

#[test]
fn floats_keep_every_bit() {
    let odd = [stale_nan(), f64::NAN, -0.0, 0.0, f64::INFINITY, f64::NEG_INFINITY, 5e-324, f64::MIN];
    let rows: Vec<TailRow> =
        odd.iter().enumerate().map(|(i, v)| row(i as u64, &[("__name__", "a")], i as i64 - 3, *v)).collect();
    let (_, request) = pack(&mut packer(), &rows);
    let samples = &request.timeseries[0].samples;
    assert_eq!(
        samples.iter().map(|s| (s.value.to_bits(), s.timestamp)).collect::<Vec<_>>(),
        rows.iter().zip(odd).map(|(r, v)| (v.to_bits(), r.sample.at.0)).collect::<Vec<_>>()
    );
}

fn histogram_row(histogram: Histogram) -> TailRow {
    let sample = Sample { at: UnixMs(77), start: None, value: Value::Histogram(Arc::new(histogram)) };
    TailRow { sample, ..row(1, &[("__name__", "h")], 0, 0.0) }
}

fn native() -> Histogram {
    Histogram {
        schema: -2,
        zero_threshold: 0.25,
        sum: -7.5,
        positive_spans: vec![Span { offset: -3, length: 2 }, Span { offset: 300, length: 1 }],
        negative_spans: vec![Span { offset: 1, length: 1 }],
        custom_bounds: vec![],
        counts: Counts::Integer { count: 12, zero: 0, positive: vec![5, 1, u64::MAX], negative: vec![6] },
        hint: ResetHint::NotReset,
    }
}

#[test]
fn native_histograms_go_through() {
    let (packed, request) = pack(&mut packer(), &[histogram_row(native())]);
    assert_eq!(packed.items, 1);
    let span = |offset, length| WireSpan { offset, length };
    let want = WireHistogram {
        count_int: Some(12),
        sum: -7.5,
        schema: -2,
        zero_threshold: 0.25,
        zero_count_int: Some(0),
        negative_spans: vec![span(1, 1)],
        negative_deltas: vec![6],
        positive_spans: vec![span(-3, 2), span(300, 1)],
        positive_deltas: vec![5, -4, -2],
        reset_hint: 2,
        timestamp: 77,
        ..Default::default()
    };
    assert_eq!(request.timeseries[0].histograms, [want]);
    assert!(request.timeseries[0].samples.is_empty());

    let counts = Counts::Float { count: 1.5, zero: 0.0, positive: vec![0.5, 1.0, 0.0], negative: vec![] };
    let custom = Histogram {
        schema: model::histogram::CUSTOM_BUCKETS_SCHEMA,
        custom_bounds: vec![0.1, 1.0],
        negative_spans: vec![],
        counts,
        hint: ResetHint::Gauge,
        ..native()
    };
    let (_, request) = pack(&mut packer(), &[histogram_row(custom)]);
    let got = &request.timeseries[0].histograms[0];
    assert_eq!((got.count_int, got.count_float, got.zero_count_float), (None, Some(1.5), Some(0.0)));
    assert_eq!((&got.positive_counts[..], &got.custom_values[..]), (&[0.5, 1.0, 0.0][..], &[0.1, 1.0][..]));
    assert_eq!((got.schema, got.reset_hint), (-53, 3));
}

#[test]
fn a_row_larger_than_a_whole_frame_is_left_out_and_does_not_stop_the_rest() {
    let large = "x".repeat(4_000);
    let rows = [
        row(1, &[("__name__", "a")], 1, 1.0),
        row(2, &[("__name__", "a"), ("l", &large)], 1, 1.0),
        row(3, &[("__name__", "b")], 1, 1.0),
    ];
    let mut packer = RequestPacker::new(Labels::empty(), Selection::all(), 1_000);
    let (packed, request) = pack(&mut packer, &rows);
    assert_eq!(packed, Packed { taken: 3, items: 2, left_out: 1 });
    assert_eq!(request.timeseries.len(), 2);
    assert_eq!(packer.pack(&rows[1..2], &mut Vec::new()), Packed { taken: 1, items: 0, left_out: 1 });
}

#[test]
fn rows_that_nothing_selects_are_taken_and_not_sent() {
    let select = Selection::any_of(vec![vec![Matcher::equal("__name__", "a")]]);
    let mut packer = RequestPacker::new(Labels::empty(), select, 1_000);
    let rows = [row(1, &[("__name__", "b")], 1, 1.0), row(2, &[("__name__", "a")], 1, 1.0)];
    let (packed, request) = pack(&mut packer, &rows);
    assert_eq!(packed, Packed { taken: 2, items: 1, left_out: 0 });
    assert_eq!(printed(&request.timeseries[0]), "__name__=a: 1@1");
}

fn random_row(random: &mut Random, n: u64) -> TailRow {
    let name = format!("metric_{}", random.below(5));
    let long = "v".repeat(random.below(200) as usize);
    let labels = [("__name__", name.as_str()), ("zzz", long.as_str()), ("a", "1")];
    let labels = &labels[..1 + random.below(3) as usize];
    if random.one_in(8) {
        return TailRow { labels: Labels::from_pairs(labels.iter().copied()), ..histogram_row(native()) };
    }
    row(n, labels, random.below(50) as i64 - 10, f64::from_bits(random.below(u64::MAX)))
}

/// Any rows, any limit: every frame is within its limit, nothing is lost between frames, and the same rows give the
/// same bytes, also from a packer that made other frames before.
#[test]
fn frames_of_random_rows_are_bounded_complete_and_repeatable() {
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let rows: Vec<TailRow> = (0..random.below(300)).map(|n| random_row(&mut random, n)).collect();
        let frame_bytes_max = 200 + random.below(5_000) as usize;
        let external = Labels::from_pairs([("site", "here")]);
        let mut packer = RequestPacker::new(external.clone(), Selection::all(), frame_bytes_max);
        let (mut rest, mut accounted) = (&rows[..], 0);
        while !rest.is_empty() {
            let mut body = Vec::new();
            let packed = packer.pack(rest, &mut body);
            assert!(packed.taken > 0, "seed {seed}: stuck");
            accounted += packed.items as u64 + packed.left_out;
            if packed.items > 0 {
                let request = snap::raw::Decoder::new().decompress_vec(&body).expect("a snappy block");
                assert!(request.len() <= frame_bytes_max, "seed {seed}: {} > {frame_bytes_max}", request.len());
                check_request(seed, &WriteRequest::decode(&request[..]).expect("a write request"), packed.items);
            }
            let mut again = Vec::new();
            let mut fresh = RequestPacker::new(external.clone(), Selection::all(), frame_bytes_max);
            assert_eq!(fresh.pack(&rest[..packed.taken], &mut again), packed, "seed {seed}");
            assert_eq!(again, body, "seed {seed}");
            rest = &rest[packed.taken..];
        }
        assert_eq!(accounted, rows.len() as u64, "seed {seed}");
    }
}

fn check_request(seed: u64, request: &WriteRequest, items: usize) {
    let mut seen = std::collections::BTreeSet::new();
    let mut samples = 0;
    for series in &request.timeseries {
        assert!(series.labels.windows(2).all(|w| w[0].name < w[1].name), "seed {seed}: labels not sorted");
        assert!(series.samples.windows(2).all(|w| w[0].timestamp < w[1].timestamp), "seed {seed}: times");
        assert!(seen.insert(printed(&TimeSeries { samples: vec![], ..series.clone() })), "seed {seed}: series twice");
        samples += series.samples.len() + series.histograms.len();
    }
    assert_eq!(samples, items, "seed {seed}");
}

#[test]
fn rules_see_the_external_labels_and_rename_or_drop_a_series() {
    use relabel::{Action, NameScheme, Rule, Spec};
    let rule = |action: &str, sources: &[&str], regex: &str, target: &str| {
        let spec = Spec {
            source_labels: (!sources.is_empty()).then(|| sources.iter().map(|name| (*name).to_owned()).collect()),
            regex: Some(regex.to_owned()),
            target_label: target.to_owned(),
            action: Action::parse(action),
            ..Spec::default()
        };
        Rule::new(spec, NameScheme::Utf8).expect("it is right")
    };
    let rules = vec![
        rule("drop", &["__name__", "site"], "go_.*;barn", ""),
        rule("replace", &["site"], "(.*)", "place"),
        rule("labeldrop", &[], "site|cpu", ""),
    ];
    let external = Labels::from_pairs([("site", "barn")]);
    let mut packer = RequestPacker::new(external, Selection::all(), 1 << 20).with_rules(rules);
    // Two series that the rules make one go out as one.
    let load = |n: u64, cpu: &str, value: f64| row(n, &[("__name__", "load"), ("cpu", cpu)], n as i64, value);
    let rows = [row(1, &[("__name__", "go_threads")], 1, 9.0), load(2, "0", 1.0), load(3, "1", 2.0)];
    for _ in 0..2 {
        let (packed, request) = pack(&mut packer, &rows);
        assert_eq!(packed, Packed { taken: 3, items: 2, left_out: 0 });
        let lines: Vec<String> = request.timeseries.iter().map(printed).collect();
        assert_eq!(lines, ["__name__=load,place=barn: 1@2 2@3"]);
    }
}
