//! What stands beside an answer or in the place of one, as a real Prometheus has it: statistics, notes when there are many,
//! exemplars. And what is counted when a limit is in the way.

use std::sync::atomic::Ordering;

use narthex::web::counts::Limit;
use serde_json::Value;
use support::http::{self, escape};

use crate::peer::{Both, both};
use crate::world::{self, request, text};

fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).expect("JSON")
}

impl Both {
    /// Asks both and returns both bodies.
    fn ask(&self, target: &str) -> [Value; 2] {
        let target = target.replace("NOW", &(self.now / 1_000).to_string());
        let ours = self.web.answer(&request("GET", &target, ""));
        let theirs = http::get(self.peer.address, &target).expect("an answer");
        [json(&ours.body), json(&theirs.body)]
    }
}

/// Returns the statistics of an answer without what is a matter of machines: how long, and how many were held.
fn statistics(body: &Value) -> String {
    let mut stats = body["data"]["stats"].clone();
    for timing in stats["timings"].as_object_mut().into_iter().flatten() {
        assert!(timing.1.as_f64().is_some_and(|seconds| (0.0..60.0).contains(&seconds)), "{timing:?}");
        *timing.1 = Value::Null;
    }
    if let Some(samples) = stats["samples"].as_object_mut() {
        assert!(samples.insert("peakSamples".to_owned(), Value::Null).is_some_and(|peak| peak.is_u64()));
    }
    stats.to_string()
}

#[test]
fn statistics_are_the_peers() {
    let Some(mut both) = both() else { return };
    assert!(both.web.settings.enable("promql-per-step-stats").is_empty());
    let mut compared = 0;
    for query in [
        "up",
        "1",
        "rate(work_seconds_total[1m])",
        "sum(native)",
        "histogram_quantile(0.9, rate(native[2m]))",
        "max_over_time(sum(up)[2m:15s])",
        "up[1m:30s]",
        "sum(up) + up @ end()",
        "timestamp(up)",
        "absent(no_such_thing)",
        "up and on() work_seconds_total",
    ] {
        for stats in ["all", "1", ""] {
            let instant = format!("/api/v1/query?time=NOW&stats={stats}&query={}", escape(query));
            let start = both.now / 1_000 - 300;
            let range =
                format!("/api/v1/query_range?start={start}&end=NOW&step=30&stats={stats}&query={}", escape(query));
            for target in [instant, range] {
                let [ours, theirs] = both.ask(&target);
                assert_eq!(statistics(&ours), statistics(&theirs), "{target}");
                compared += 1;
            }
        }
    }
    println!("web: statistics of {compared} queries are Prometheus's");
}

#[test]
fn many_notes_are_cut_as_the_peer_cuts_them() {
    let Some(both) = both() else { return };
    let many = |count: usize, of: &dyn Fn(usize) -> String| (0..count).map(of).collect::<Vec<_>>().join(" or ");
    let cases = [
        many(10, &|i| format!("quantile({}, up)", i + 2)),
        many(13, &|i| format!("quantile({}, up)", i + 2)),
        many(12, &|i| format!("label_replace(rate(up[{}m]), \"i\", \"{i}\", \"\", \"\")", i + 2)),
        many(25, &|i| {
            format!("label_replace(quantile({}, rate({{__name__=\"up\"}}[5m])), \"i\", \"{i}\", \"\", \"\")", i + 2)
        }),
        "sum(rate(up[1m])) + sum(rate(up[2m]))".to_owned(),
        "rate(up[1m]) / (rate(up[1m]) + quantile(3, up))".to_owned(),
    ];
    for query in cases {
        let [ours, theirs] = both.ask(&format!("/api/v1/query?time=NOW&query={}", escape(&query)));
        for kind in ["warnings", "infos"] {
            let texts = |body: &Value| -> Vec<String> {
                let all = body[kind].as_array().cloned().unwrap_or_default();
                all.iter().map(|text| text.as_str().expect("text").to_owned()).collect()
            };
            let (ours, theirs) = (texts(&ours), texts(&theirs));
            assert_eq!(ours.len(), theirs.len(), "{query}: {ours:?} {theirs:?}");
            // Which of many are shown is a matter of chance there.
            if ours.len() > 10 {
                assert_eq!(ours.last(), theirs.last(), "{query}");
            } else {
                let sorted = |mut texts: Vec<String>| {
                    texts.sort();
                    texts
                };
                assert_eq!(sorted(ours), sorted(theirs), "{query}");
            }
        }
    }
}

/// A field of protobuf that has a length.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    varint(&mut out, bytes.len() as u64);
    out.extend_from_slice(bytes);
    out
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// An exemplar: the labels of its series, its own, value, time.
type Example<'a> = (&'a [(&'a str, &'a str)], &'a [(&'a str, &'a str)], f64, i64);

/// A body of remote write 1.0 with exemplars.
fn written(exemplars: &[Example<'_>]) -> Vec<u8> {
    let label =
        |(name, value): &(&str, &str)| field(1, &[field(1, name.as_bytes()), field(2, value.as_bytes())].concat());
    let mut body = Vec::new();
    for (series, own, value, at) in exemplars {
        let mut exemplar: Vec<u8> = own.iter().flat_map(label).collect();
        exemplar.push(2 << 3 | 1);
        exemplar.extend_from_slice(&value.to_le_bytes());
        exemplar.push(3 << 3);
        varint(&mut exemplar, *at as u64);
        let labels: Vec<u8> = series.iter().flat_map(label).collect();
        body.extend(field(1, &[labels, field(3, &exemplar)].concat()));
    }
    snap::raw::Encoder::new().compress_vec(&body).expect("small")
}

#[test]
fn exemplars_are_found_as_by_the_peer() {
    let Some(both) = both() else { return };
    let now = both.now;
    let up = |instance| [("__name__", "up"), ("instance", instance), ("job", "node")];
    let (a, b) = (up("a:1"), up("b:1"));
    let long = "x".repeat(130);
    let body = written(&[
        (&b, &[("trace_id", "1")], 1.5, now - 60_000),
        (&a, &[("trace_id", "2")], 1e-9, now - 59_001),
        (&a, &[("trace_id", "3"), ("span<>", "é\u{2028}")], f64::INFINITY, now - 50_000),
        (&a, &[("trace_id", "3"), ("span<>", "é\u{2028}")], f64::INFINITY, now - 50_000),
        (&a, &[("trace_id", "0")], 1.0, now - 55_000),
        (&a, &[("trace_id", &long)], 1.0, now - 40_000),
        (&a, &[], -0.25, now - 30_000),
        (&b, &[("trace_id", "4")], 2.0, now),
    ]);
    let headers = [("Content-Type", "application/x-protobuf"), ("Content-Encoding", "snappy")];
    let theirs = http::post(both.peer.address, "/api/v1/write", &headers, &body).expect("an answer");
    let mut own = request("POST", "/api/v1/write", "");
    (own.content_type, own.content_encoding, own.body) =
        ("application/x-protobuf".to_owned(), "snappy".to_owned(), body.clone());
    let ours = both.web.answer(&own);
    assert_eq!((ours.status, theirs.status), (204, 204), "{} {}", text(&ours), theirs.text());
    let mut found = 0;
    for (query, ends) in [
        ("up", ""),
        ("up{instance=\"b:1\"} + on() group_left() up{instance=~\"a.*\"}", ""),
        ("rate(up[5m])", &format!("&start={}&end={}", now / 1_000 - 59, now / 1_000 - 30)),
        ("up", &format!("&start={}.001&end={0}.001", now / 1_000 - 60)),
        ("up", &format!("&start={}&end={0}", now / 1_000)),
        ("no_such_thing", ""),
        ("{instance=\"a:1\"}", ""),
        ("1", ""),
    ] {
        let target = format!("/api/v1/query_exemplars?query={}{ends}", escape(query));
        let answer = both.web.answer(&request("GET", &target, ""));
        let theirs = http::get(both.peer.address, &target).expect("an answer");
        assert_eq!((answer.status, text(&answer)), (theirs.status, theirs.text()), "{target}");
        found += text(&answer).matches("timestamp").count();
    }
    assert!(found >= 15, "{found}");
    let counts = both.web.exemplars.lock().expect("nobody panicked").counts();
    assert_eq!((counts.taken, counts.duplicate, counts.out_of_order, counts.labels), (5, 1, 1, 1));
}

#[test]
fn each_limit_is_counted_by_its_name() {
    let mut web = world::web(1_800_000_000_000);
    (web.engine.limits.samples_max, web.engine.limits.series_max) = (200, 4);
    let ask = |target: &str| web.answer(&request("GET", target, "")).status;
    let heavy = "/api/v1/query?time=1800000000&query=";
    for (limit, target, status) in [
        (Limit::Samples, format!("{heavy}max_over_time(sum(up)[1h:1s])"), 422),
        (Limit::Series, format!("{heavy}{{__name__=~%22.%2B%22}}"), 422),
        (Limit::Steps, "/api/v1/query_range?start=0&end=11001&step=1&query=1".to_owned(), 400),
    ] {
        assert_eq!((ask(&target), web.queries.of(limit)), (status, 1), "{target}");
    }
    let (stopped, late) = (request("GET", &format!("{heavy}up"), ""), request("GET", &format!("{heavy}up"), ""));
    late.is_late.store(true, Ordering::Relaxed);
    for (limit, request) in [(Limit::Client, stopped), (Limit::Time, late)] {
        // As if it were stopped while it is computed.
        request.stop.store(true, Ordering::Release);
        let answer = narthex::web::api::answer(&web, &request, "query");
        assert_eq!((answer.status, web.queries.of(limit)), (499, 1), "{limit:?}");
    }
    let mut batch = model::Batch::new();
    web.queries.told().add_to(&mut batch);
    assert_eq!(batch.rows().len(), 9);
    assert_eq!(batch.rows()[0].value.float(), Some(5.0), "queries");
}
