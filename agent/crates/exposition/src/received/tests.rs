//! Requests made with an independent protobuf writer, and requests that nobody honest makes.

use model::{MetricKind, UnixMs, stale_nan};
use prost::Message;

use super::*;

#[derive(Clone, PartialEq, Message)]
struct V1 {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<SeriesV1>,
    #[prost(message, repeated, tag = "3")]
    metadata: Vec<AboutV1>,
}

#[derive(Clone, PartialEq, Message)]
struct SeriesV1 {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Pair>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Point>,
    #[prost(message, repeated, tag = "4")]
    histograms: Vec<Native>,
}

#[derive(Clone, PartialEq, Message)]
struct Pair {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Point {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    at: i64,
}

#[derive(Clone, PartialEq, Message)]
struct AboutV1 {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "4")]
    help: String,
}

#[derive(Clone, PartialEq, Message)]
struct Native {
    #[prost(uint64, tag = "1")]
    count: u64,
    #[prost(double, tag = "3")]
    sum: f64,
    #[prost(message, repeated, tag = "11")]
    spans: Vec<Spans>,
    #[prost(sint64, repeated, tag = "12")]
    deltas: Vec<i64>,
    #[prost(int64, tag = "15")]
    at: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Spans {
    #[prost(sint32, tag = "1")]
    offset: i32,
    #[prost(uint32, tag = "2")]
    length: u32,
}

fn series(pairs: &[(&str, &str)], points: &[(f64, i64)]) -> SeriesV1 {
    let labels = pairs.iter().map(|(name, value)| Pair { name: name.to_string(), value: value.to_string() }).collect();
    let samples = points.iter().map(|(value, at)| Point { value: *value, at: *at }).collect();
    SeriesV1 { labels, samples, histograms: Vec::new() }
}

fn read(request: &V1) -> Written {
    read_write_request(&request.encode_to_vec(), WriteVersion::V1, WriteLimits::default()).expect("a request")
}

fn shown(batch: &Batch) -> Vec<String> {
    let row = |row: &model::Row| {
        let labels = model::Labels::from_packed(batch.packed(row)).expect("packed");
        format!("{labels} {} {:?}", row.value.float().unwrap_or(f64::NAN), row.at.map(|at| at.0))
    };
    batch.rows().iter().map(row).collect()
}

#[test]
fn samples_go_to_layers_and_metadata_to_families() {
    let request = V1 {
        timeseries: vec![
            series(&[("__name__", "a_total"), ("job", "x"), ("none", "")], &[(1.0, 10), (2.0, 20)]),
            series(&[("__name__", "b")], &[(-0.5, 10)]),
        ],
        metadata: vec![AboutV1 { kind: 1, name: "a_total".to_owned(), help: "All.".to_owned() }],
    };
    let written = read(&request);
    assert_eq!(written.floats.len(), 2);
    assert_eq!(shown(&written.floats[0]), ["a_total{job=\"x\"} 1 Some(10)", "b -0.5 Some(10)"]);
    assert_eq!(shown(&written.floats[1]), ["a_total{job=\"x\"} 2 Some(20)"]);
    let batch = &written.floats[0];
    let about = batch.families().iter().find(|family| !batch.help(family).is_empty()).expect("metadata");
    assert_eq!((batch.name(about), batch.help(about), about.kind), ("a_total", "All.", MetricKind::Counter));
    assert_eq!((written.left_out, written.reasons.len()), (0, 0));
}

/// Prometheus names a series anew for each sample. Where it was held up, a request has two scrapes; the second was taken
/// for a repetition of the first, refused, and lost for good.
#[test]
fn a_series_that_is_named_again_goes_on() {
    let (a, b) = (&[("__name__", "a")][..], &[("__name__", "b")][..]);
    let timeseries = vec![
        series(a, &[(1.0, 10)]),
        series(b, &[(5.0, 10)]),
        series(a, &[(2.0, 20), (3.0, 30)]),
        series(b, &[(6.0, 20)]),
    ];
    let written = read(&V1 { timeseries, metadata: Vec::new() });
    let layers: Vec<Vec<String>> = written.floats.iter().map(shown).collect();
    assert_eq!(
        layers,
        [vec!["a 1 Some(10)", "b 5 Some(10)"], vec!["a 2 Some(20)", "b 6 Some(20)"], vec!["a 3 Some(30)"]]
    );
    let often = V1 { timeseries: vec![series(a, &[(1.0, 10)]); 4], metadata: Vec::new() };
    let limits = WriteLimits { samples_each: 3, ..WriteLimits::default() };
    let refused = read_write_request(&often.encode_to_vec(), WriteVersion::V1, limits);
    assert_eq!(refused.err().as_deref(), Some("at most 3 samples of a series are accepted"));
}

#[test]
fn what_is_wrong_is_left_out_and_the_rest_taken() {
    let request = V1 {
        timeseries: vec![
            series(&[("job", "x")], &[(1.0, 10)]),
            series(&[("__name__", ""), ("job", "x")], &[(1.0, 10)]),
            series(&[("__name__", "a"), ("l", "1"), ("l", "2")], &[(1.0, 10), (2.0, 20)]),
            series(&[("__name__", "a"), ("", "1")], &[(1.0, 10)]),
            series(&[("__name__", "good")], &[(7.0, 10)]),
        ],
        metadata: Vec::new(),
    };
    let written = read(&request);
    assert_eq!(shown(&written.floats[0]), ["good 7 Some(10)"]);
    assert_eq!((written.left_out, written.reasons.len()), (5, 4), "{:?}", written.reasons);
}

#[test]
fn histograms_must_add_up_unless_they_end_a_series() {
    let native = |count: u64, sum: f64| Native {
        count,
        sum,
        spans: vec![Spans { offset: 1, length: 2 }],
        deltas: vec![1, 2],
        at: 10,
    };
    let mut one = series(&[("__name__", "h")], &[]);
    one.histograms = vec![native(4, 1.0), native(5, 1.0), native(3, 1.0), native(9, f64::NAN), native(9, stale_nan())];
    let written = read(&V1 { timeseries: vec![one], metadata: Vec::new() });
    assert_eq!((written.left_out, written.histograms.len()), (2, 3), "{:?}", written.reasons);
    let model::Value::Histogram(found) = &written.histograms[0].rows()[0].value else { panic!("a histogram") };
    assert!(matches!(&found.counts, model::Counts::Integer { positive, .. } if positive == &[1, 3]));
    assert_eq!(written.histograms[0].rows()[0].at, Some(UnixMs(10)));
}

#[test]
fn symbols_are_looked_up_and_never_trusted() {
    // symbols "", "__name__", "up"; one series with labels 1 2 and a sample; then one with labels 1 9.
    let symbols = b"\x22\x00\x22\x08__name__\x22\x02up";
    let good = [&symbols[..], b"\x2a\x11\x0a\x02\x01\x02\x12\x0b\x09\0\0\0\0\0\0\xf0\x3f\x10\x0a"].concat();
    let written = read_write_request(&good, WriteVersion::V2, WriteLimits::default()).expect("a request");
    assert_eq!(shown(&written.floats[0]), ["up 1 Some(10)"]);
    let bad = [&symbols[..], b"\x2a\x11\x0a\x02\x01\x09\x12\x0b\x09\0\0\0\0\0\0\xf0\x3f\x10\x0a"].concat();
    let written = read_write_request(&bad, WriteVersion::V2, WriteLimits::default()).expect("a request");
    assert_eq!((written.left_out, written.floats.len()), (1, 0), "{:?}", written.reasons);
    let huge = b"\x0a\xff\xff\xff\xff\x0f.";
    let error = read_write_request(huge, WriteVersion::V1, WriteLimits::default()).expect_err("4 GB");
    assert!(error.contains("4294967295 bytes"), "{error}");
}

#[test]
fn limits_refuse_whole_requests() {
    let limits = WriteLimits { series: 1, samples_each: 1, symbols: 1 };
    let two = V1 { timeseries: vec![series(&[("__name__", "a")], &[(1.0, 1)]); 2], metadata: Vec::new() };
    let long = V1 { timeseries: vec![series(&[("__name__", "a")], &[(1.0, 1), (2.0, 2)])], metadata: Vec::new() };
    for request in [two, long] {
        let error = read_write_request(&request.encode_to_vec(), WriteVersion::V1, limits).expect_err("too much");
        assert!(error.starts_with("at most 1 "), "{error}");
    }
    let error = read_write_request(b"\x22\x00\x22\x01a", WriteVersion::V2, limits).expect_err("too much");
    assert!(error.starts_with("at most 1 symbols"), "{error}");
}

#[test]
fn changed_bytes_never_panic() {
    let mut one = series(&[("__name__", "h"), ("l", "v")], &[(1.0, 10), (2.0, 20)]);
    let spans = vec![Spans { offset: 1, length: 2 }];
    one.histograms = vec![Native { count: 4, sum: 1.0, spans, deltas: vec![1, 2], at: 10 }];
    let good = V1 { timeseries: vec![one], metadata: Vec::new() }.encode_to_vec();
    let mut seed = 7u64;
    for _ in 0..20_000 {
        let mut bytes = good.clone();
        for _ in 0..3 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (seed >> 33) as usize % bytes.len();
            bytes[at] = (seed >> 25) as u8;
        }
        for version in [WriteVersion::V1, WriteVersion::V2] {
            let _ = read_write_request(&bytes, version, WriteLimits::default());
        }
    }
}
