//! Remote write into the agent: the cases of Prometheus's compliance suite for receivers, each sent with an independent
//! encoder to the running agent, and a real Prometheus that writes what it scrapes.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};

use prost::Message;
use serde_json::Value as Json;
use support::agent::Agent;
use support::http::{self, Answer};
use support::shared::shared;

use crate::held::QUICK;

/// `io.prometheus.write.v2.Request`, as far as it is used here.
#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(string, repeated, tag = "4")]
    symbols: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    timeseries: Vec<Series>,
}

#[derive(Clone, PartialEq, Message)]
struct Series {
    #[prost(uint32, repeated, tag = "1")]
    labels: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    histograms: Vec<Histogram>,
    #[prost(message, repeated, tag = "4")]
    exemplars: Vec<Exemplar>,
    #[prost(message, optional, tag = "5")]
    metadata: Option<Metadata>,
    #[prost(int64, tag = "6")]
    created: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    at: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Exemplar {
    #[prost(uint32, repeated, tag = "1")]
    labels: Vec<u32>,
    #[prost(double, tag = "2")]
    value: f64,
    #[prost(int64, tag = "3")]
    at: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Metadata {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(uint32, tag = "3")]
    help: u32,
    #[prost(uint32, tag = "4")]
    unit: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(uint64, tag = "1")]
    count: u64,
    #[prost(double, tag = "3")]
    sum: f64,
    #[prost(double, tag = "5")]
    zero_threshold: f64,
    #[prost(uint64, tag = "6")]
    zero: u64,
    #[prost(message, repeated, tag = "8")]
    negative_spans: Vec<Span>,
    #[prost(sint64, repeated, tag = "9")]
    negative: Vec<i64>,
    #[prost(message, repeated, tag = "11")]
    positive_spans: Vec<Span>,
    #[prost(sint64, repeated, tag = "12")]
    positive: Vec<i64>,
    #[prost(int64, tag = "15")]
    at: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(sint32, tag = "1")]
    offset: i32,
    #[prost(uint32, tag = "2")]
    length: u32,
}

type Pairs<'a> = &'a [(&'a str, &'a str)];

impl Request {
    fn new() -> Request {
        Request { symbols: vec![String::new()], timeseries: Vec::new() }
    }

    fn symbol(&mut self, text: &str) -> u32 {
        let known = self.symbols.iter().position(|symbol| symbol == text);
        known.unwrap_or_else(|| {
            self.symbols.push(text.to_owned());
            self.symbols.len() - 1
        }) as u32
    }

    fn references(&mut self, pairs: Pairs<'_>) -> Vec<u32> {
        pairs.iter().flat_map(|(name, value)| [*name, *value]).map(|text| self.symbol(text)).collect()
    }

    fn with(mut self, labels: Pairs<'_>, fill: impl FnOnce(&mut Request, &mut Series)) -> Request {
        let mut series = Series { labels: self.references(labels), ..Series::default() };
        fill(&mut self, &mut series);
        self.timeseries.push(series);
        self
    }

    fn sample(self, labels: Pairs<'_>, value: f64) -> Request {
        self.with(labels, |_, series| series.samples.push(Sample { value, at: now_ms() }))
    }

    fn exemplar(self, labels: Pairs<'_>, own: Pairs<'_>, value: f64) -> Request {
        self.with(labels, |request, series| {
            series.samples.push(Sample { value, at: now_ms() });
            let labels = request.references(own);
            series.exemplars.push(Exemplar { labels, value, at: now_ms() });
        })
    }

    fn metadata(self, labels: Pairs<'_>, kind: i32, help: &str, unit: &str) -> Request {
        self.with(labels, |request, series| {
            series.samples.push(Sample { value: 1.0, at: now_ms() });
            let (help, unit) = (request.symbol(help), request.symbol(unit));
            series.metadata = Some(Metadata { kind, help, unit });
        })
    }

    fn histogram(self, labels: Pairs<'_>, (positive, negative): (bool, bool), extra: u64) -> Request {
        self.with(labels, |_, series| {
            let side = |is_there: bool| {
                if is_there { (vec![Span { offset: 0, length: 2 }], vec![3, 1]) } else { Default::default() }
            };
            let ((positive_spans, positive), (negative_spans, negative)) = (side(positive), side(negative));
            // Differences of 3 and 1 are counts of 3 and 4.
            let count = 2 + 7 * (positive_spans.len() + negative_spans.len()) as u64 + extra;
            let at = now_ms();
            let (zero, zero_threshold, sum) = (2, 0.001, 12.5);
            series.histograms.push(Histogram {
                count,
                sum,
                zero_threshold,
                zero,
                negative_spans,
                negative,
                positive_spans,
                positive,
                at,
            });
        })
    }
}

/// Returns the time of a while ago, later by a millisecond at least than the last answer: two samples of one series at one time are
/// refused.
fn now_ms() -> i64 {
    static LAST: AtomicI64 = AtomicI64::new(0);
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    // So that none is later than the question about it.
    let now = since.as_millis() as i64 - 10_000;
    let next = |last: i64| now.max(last + 1);
    LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last))).map_or(now, next)
}

fn send(agent: &Agent, request: &Request) -> Answer {
    let body = snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).expect("packed");
    let headers = [
        ("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request"),
        ("Content-Encoding", "snappy"),
        ("X-Prometheus-Remote-Write-Version", "2.0.0"),
    ];
    http::post(agent.address(), "/api/v1/write", &headers, &body).expect("an answer")
}

const HTTP: Pairs<'_> = &[("__name__", "http_requests_total")];
const JOB: Pairs<'_> = &[("__name__", "up"), ("instance", "localhost:9090"), ("job", "testjob")];
const NO_NAME: Pairs<'_> = &[("job", "test")];
const EMPTY_NAME: Pairs<'_> = &[("__name__", "")];

/// Every named case: what is sent and whether it is taken.
fn cases() -> Vec<(&'static str, Request, bool)> {
    let new = Request::new;
    let about = |name: &'static str, kind| new().metadata(&[("__name__", name)], kind, "Help.", "");
    let no_name = |at: u32| format!("localhost:909{at}");
    let four = |with_name: bool| {
        (0..4).fold(new(), |request, at| {
            let instance = no_name(at);
            let mut labels = vec![("__name__", "up"), ("instance", instance.as_str()), ("job", "testjob")];
            if !with_name {
                labels.remove(0);
            }
            request.sample(&labels, 1.0)
        })
    };
    vec![
        (
            "metadata_without_data",
            new().with(HTTP, |request, series| {
                let help = request.symbol("Help.");
                series.metadata = Some(Metadata { kind: 1, help, unit: 0 });
            }),
            true,
        ),
        (
            "exemplars_without_data",
            new().with(HTTP, |request, series| {
                let labels = request.references(&[("trace_id", "abc")]);
                series.exemplars.push(Exemplar { labels, value: 1.0, at: now_ms() });
            }),
            true,
        ),
        (
            "exemplar_without_trace_id",
            new().exemplar(&[("__name__", "cpu_usage"), ("instance", "host1")], &[("user_id", "user123")], 0.85),
            true,
        ),
        (
            "exemplar_with_multiple_labels",
            new().exemplar(
                &[("__name__", "request_latency"), ("service", "auth")],
                &[("trace_id", "trace456"), ("user", "admin"), ("endpoint", "/login")],
                0.05,
            ),
            true,
        ),
        ("exemplar_no_labels", new().exemplar(&[("__name__", "simple_counter")], &[], 1.0), true),
        (
            "exemplar_with_special_chars",
            new().exemplar(
                &[("__name__", "test_metric")],
                &[("trace_id", "trace-with-dashes_and_underscores.123")],
                42.0,
            ),
            true,
        ),
        (
            "exemplar_with_unicode",
            new().exemplar(
                &[("__name__", "unicode_test"), ("region", "🌍")],
                &[("trace_id", "unicode_trace_测试")],
                100.0,
            ),
            true,
        ),
        ("exemplar_without_name_label", new().exemplar(NO_NAME, &[("trace_id", "1")], 1.0), false),
        ("exemplar_with_empty_name", new().exemplar(EMPTY_NAME, &[("trace_id", "1")], 1.0), false),
        (
            "positive_only_histogram",
            new().histogram(&[("__name__", "test_histogram"), ("job", "test")], (true, false), 0),
            true,
        ),
        (
            "negative_only_histogram",
            new().histogram(&[("__name__", "test_histogram"), ("instance", "localhost")], (false, true), 0),
            true,
        ),
        ("minimal_histogram", new().histogram(&[("__name__", "minimal_hist")], (false, false), 0), true),
        ("bad_count_histogram", new().histogram(&[("__name__", "minimal_hist")], (true, false), 1), false),
        ("counter_metadata", about("http_requests_total", 1), true),
        ("gauge_metadata", about("cpu_usage_percent", 2), true),
        ("histogram_metadata", about("request_duration_seconds", 3), true),
        ("metadata_no_help_no_unit", new().metadata(&[("__name__", "simple_counter")], 1, "", ""), true),
        ("unspecified_metadata_type", about("unknown_metric", 0), true),
        ("stateset_metadata_type", about("node_state", 7), true),
        ("gauge_histogram_metadata_type", about("temperature_histogram", 4), true),
        ("metadata_without_name_label", new().metadata(NO_NAME, 1, "Help.", ""), false),
        ("metadata_with_empty_name", new().metadata(EMPTY_NAME, 2, "Help.", ""), false),
        ("simple metric", new().sample(&[("__name__", "up")], f64::INFINITY), true),
        ("simple metric with multiple labels", new().sample(JOB, f64::NAN), true),
        ("simple metric without name label", new().sample(&JOB[1..], 1.0), false),
        ("empty metric", new().sample(&[], 1.0), false),
        ("multiple metrics", four(true), true),
        ("multiple metrics, without name label", four(false), false),
    ]
}

#[test]
fn every_named_case_of_the_compliance_suite_is_answered_as_it_says() {
    let agent = Agent::new(QUICK).started();
    let mut wrong = Vec::new();
    for (name, request, is_taken) in cases() {
        let answer = send(&agent, &request);
        if (answer.status == 204, answer.status == 400) != (is_taken, !is_taken) {
            wrong.push(format!("{name}: {} {}", answer.status, answer.text()));
        }
        let samples: usize = request.timeseries.iter().map(|series| series.samples.len()).sum();
        let told = answer.header("x-prometheus-remote-write-samples-written").map(str::to_owned);
        let expected = if is_taken { samples } else { 0 }.to_string();
        if told.as_deref() != Some(expected.as_str()) {
            wrong.push(format!("{name}: {told:?} samples told, {expected} written"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let Some(file) = shared("suites/compliance/remotewrite/receiver_cases.json", "whether every named case is here")
    else {
        return;
    };
    let suite: Json = serde_json::from_slice(&std::fs::read(file).expect("readable")).expect("JSON");
    let tests = suite.as_array().expect("a list").iter();
    let named: BTreeSet<&str> = tests
        .flat_map(|test| test["cases"].as_array().expect("cases"))
        .filter_map(|case| case["name"].as_str())
        .collect();
    let all = cases();
    let here: BTreeSet<&str> = all.iter().map(|(name, ..)| *name).collect();
    assert_eq!(here, named);
    println!("{} cases, all of the suite's named ones", here.len());
}

#[test]
fn what_is_written_is_answered_and_a_bad_part_does_not_spoil_the_rest() {
    let agent = Agent::new(QUICK).started();
    let request = Request::new().sample(&[("__name__", "good"), ("l", "1")], 42.5).sample(NO_NAME, 1.0);
    let answer = send(&agent, &request);
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(answer.header("x-prometheus-remote-write-samples-written"), Some("1"));
    assert!(agent.query("good{l=\"1\"}").contains("\"42.5\""));
    let answer = send(&agent, &Request::new().histogram(&[("__name__", "native")], (true, true), 0));
    assert_eq!(answer.header("x-prometheus-remote-write-histograms-written"), Some("1"));
    assert!(agent.query("histogram_count(native)").contains("\"16\""));
}

#[test]
fn what_is_no_remote_write_is_refused() {
    let agent = Agent::new(QUICK).started();
    let packed = snap::raw::Encoder::new().compress_vec(b"").expect("packed");
    let good = "application/x-protobuf";
    for (content_type, encoding, body, status) in [
        (good, "snappy", packed.as_slice(), 204),
        ("application/x-protobuf;proto=prometheus.WriteRequest", "snappy", &packed, 204),
        ("application/json", "snappy", &packed, 415),
        ("application/x-protobuf;proto=io.prometheus.write.v3.Request", "snappy", &packed, 415),
        ("text/plain", "snappy", &packed, 415),
        (good, "gzip", &packed, 415),
        (good, "zstd", &packed, 415),
        (good, "snappy", b"\x0a\xff", 400),
        // 4 GB are claimed.
        (good, "snappy", b"\xff\xff\xff\xff\x0f....", 400),
    ] {
        let headers = [("Content-Type", content_type), ("Content-Encoding", encoding)];
        let answer = http::post(agent.address(), "/api/v1/write", &headers, body).expect("an answer");
        assert_eq!(answer.status, status, "{content_type} {encoding}: {}", answer.text());
    }
    let headers = [("Content-Type", good), ("X-Forwarded-For", "192.0.2.1")];
    let answer = http::post(agent.address(), "/api/v1/write", &headers, &packed).expect("an answer");
    assert_eq!(answer.status, 403);
}
