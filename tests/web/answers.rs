//! Answers without sockets: bad input is refused with the peer's words and status codes, and nothing panics.
//!
//! The house behind it is a fake that can be told to be busy or not ready; the store is a real one in memory.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use model::{Batch, Clock, Labels, MetricKind, Mono, Now, SourceId, UnixMs};
use narthex::core::pushes::{Ask, Told};
use narthex::web::{Answer, House, MetricsReply, Request, Status, Web};
use promql::Engine;
use support::http::escape;
use tsdb::{Options, Store};

const NOW: i64 = 1_800_000_000_000;

struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Now {
        Now { mono: Mono(180_000), wall: UnixMs(NOW), wall_trusted: true }
    }
}

#[derive(Default)]
struct FakeHouse {
    is_ready: bool,
    is_busy: bool,
    reload_error: &'static str,
    reloads: Arc<AtomicBool>,
}

impl House for FakeHouse {
    fn fresh_metrics(&self, _wants_gzip: bool, reply: MetricsReply) {
        reply(Arc::new("up 1\n".to_owned()), None);
    }

    fn selected_metrics(&self, selection: exporters::Selection, reply: narthex::web::SelectedReply) {
        reply(Ok(format!("up{{cpu=\"{}\"}} 1\n", selection.wants("cpu"))));
    }

    fn status(&self) -> Option<Status> {
        let status = Status { board: "a \"board\" <b>\n\u{1}".to_owned(), now: UnixMs(NOW), ..Status::default() };
        (!self.is_busy).then_some(status)
    }

    fn rules(&self) -> Option<Vec<rules::GroupView>> {
        (!self.is_busy).then(Vec::new)
    }

    fn is_ready(&self) -> bool {
        self.is_ready
    }

    fn push(&self, _: Ask) -> Option<Told> {
        None
    }

    fn write(&self, _: Vec<Batch>) -> Option<Vec<tsdb::Refused>> {
        None
    }

    fn reload(&self) -> Result<(), String> {
        self.reloads.store(true, Ordering::Relaxed);
        if self.reload_error.is_empty() { Ok(()) } else { Err(self.reload_error.to_owned()) }
    }
}

/// Returns the web over a store with four samples of `m{i="0"}` and `m{i="1"}`, a minute apart.
fn web(house: FakeHouse) -> Web {
    let at = |mono: u64| Now { mono: Mono(mono), wall: UnixMs(NOW - 180_000 + mono as i64), wall_trusted: true };
    let mut store = Store::in_memory(Options::default(), at(0));
    for minute in 0..4 {
        let mut batch = Batch::new();
        batch.family("m", "Some help.", MetricKind::Gauge);
        batch.add(&[("i", "0")], f64::from(minute));
        batch.add(&[("i", "1")], 0.5);
        store.append(at(u64::from(minute as u32) * 60_000), &batch, SourceId(1), &Labels::empty());
    }
    Web {
        house: Box::new(house),
        reader: Arc::new(RwLock::new(store.reader())),
        engine: Engine::default(),
        clock: Arc::new(FixedClock),
        settings: Default::default(),
        guard: RwLock::new(std::sync::Arc::new(narthex::web::Guard::new(Vec::new(), None))),
        external_labels: RwLock::new(Labels::empty()),
        config: Default::default(),
        push: Default::default(),
        exemplars: Arc::new(Mutex::new(narthex::exemplars::Exemplars::new(0))),
        queries: Default::default(),
    }
}

fn request(method: &str, target: &str) -> Request {
    Request { host: "127.0.0.1:9090".to_owned(), ..Request::new(method, target) }
}

fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body.clone()).expect("UTF-8")
}

/// Asks and compares the status and a part of what is said.
fn check(method: &str, target: &str, status: u16, says: &str) {
    let answer = web(FakeHouse::default()).answer(&request(method, target));
    let said = text(&answer);
    let shown = &target[..target.len().min(120)];
    assert_eq!(answer.status, status, "{method} {shown}: {said}");
    assert!(said.contains(says), "{method} {shown}: {said:.400}");
}

#[test]
fn queries_are_answered_as_the_peer_does() {
    let vector = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"m","i":"0"},"value":[1800000000,"3"]}]}}"#;
    check("GET", "/api/v1/query?query=m%7Bi%3D%220%22%7D", 200, vector);
    check("GET", "/api/v1/query?query=1%2B1&time=7", 200, r#"{"resultType":"scalar","result":[7,"2"]}"#);
    let range = "/api/v1/query_range?query=sum(m)&start=1799999820&end=1800000000&step=1m";
    let points = r#""values":[[1799999820,"0.5"],[1799999880,"1.5"],[1799999940,"2.5"],[1800000000,"3.5"]]"#;
    check("GET", range, 200, points);
    check("GET", "/api/v1/query?query=no_such_metric", 200, r#""result":[]"#);
    let mut post = request("POST", "/api/v1/query");
    post.content_type = "application/x-www-form-urlencoded; charset=utf-8".to_owned();
    post.body = b"query=m%7Bi%3D%220%22%7D".to_vec();
    assert_eq!(text(&web(FakeHouse::default()).answer(&post)), vector);
}

#[test]
fn what_makes_no_sense_is_bad_data() {
    for (target, says) in [
        ("/api/v1/query", "invalid parameter \\\"query\\\""),
        ("/api/v1/query?query=", "parse error"),
        ("/api/v1/query?query=%3D%3D", "1:1"),
        ("/api/v1/query?query=%FF%FE", "parse error"),
        (
            "/api/v1/query?query=m&time=yesterday",
            "invalid parameter \\\"time\\\": invalid time value for 'time': cannot parse \\\"yesterday\\\" to a valid timestamp",
        ),
        ("/api/v1/query?query=m&time=1e400", "invalid parameter \\\"time\\\""),
        ("/api/v1/query?query=m&time=NaN", "invalid parameter \\\"time\\\""),
        ("/api/v1/query_range?query=m", "invalid parameter \\\"start\\\""),
        ("/api/v1/query_range?query=m&start=5&end=1&step=1", "end timestamp must not be before start time"),
        ("/api/v1/query_range?query=m&start=1&end=5&step=0", "zero or negative query resolution step"),
        ("/api/v1/query_range?query=m&start=1&end=5&step=-3", "zero or negative query resolution step"),
        ("/api/v1/query_range?query=m&start=1&end=5&step=often", "cannot parse \\\"often\\\" to a valid duration"),
        ("/api/v1/query_range?query=m&start=0&end=99999999&step=1", "exceeded maximum resolution of 11,000 points"),
    ] {
        check("GET", target, 400, "\"errorType\":\"bad_data\"");
        check("GET", target, 400, says);
    }
    // Nothing is asked for, nothing is given, as with the peer.
    check("GET", "/federate", 200, "");
    check("GET", "/federate?match[]=%7B", 400, "parse error");
}

#[test]
fn extreme_times_are_answered_or_refused_and_never_panic() {
    for time in ["-9223372036854775808", "9223372036854775807", "1e18", "-1e18", "9223372036854775", "0", "-0.001"] {
        for path in ["/api/v1/query?query=rate(m[5m])&time=T", "/api/v1/query_range?query=m&start=-T&end=T&step=1e12"] {
            let answer = web(FakeHouse::default()).answer(&request("GET", &path.replace('T', time)));
            assert!([200, 400, 422].contains(&answer.status), "{path} {time}: {}", text(&answer));
        }
    }
}

#[test]
fn huge_and_deep_queries_are_refused() {
    let query = |text: &str| format!("/api/v1/query?query={}", escape(text));
    check("GET", &query(&"(".repeat(100_000)), 400, "bad_data");
    check("GET", &query(&"-".repeat(100_000)), 400, "bad_data");
    check("GET", &query(&format!("m{}", " + m".repeat(60_000))), 400, "bad_data");
    check("GET", &query(&format!("m{{i=~\"{}\"}}", "(a*)*".repeat(20_000))), 400, "bad_data");
    check("GET", &query(&format!("{}m{}", "abs(".repeat(20_000), ")".repeat(20_000))), 400, "bad_data");
    let many = "x=1&".repeat(50_000) + "query=1";
    check("GET", &format!("/api/v1/query?{many}"), 400, "bad_data");
}

/// A clock that is asked the time while a query is being answered, at which moment the client leaves.
struct LeavingClock(Arc<AtomicBool>);

impl Clock for LeavingClock {
    fn now(&self) -> Now {
        self.0.store(true, Ordering::Relaxed);
        FixedClock.now()
    }
}

#[test]
fn a_client_that_left_stops_its_query() {
    let left = request("GET", "/api/v1/query_range?query=sum(m)&start=1799900000&end=1800000000&step=10");
    left.stop.store(true, Ordering::Relaxed);
    let answer = web(FakeHouse::default()).answer(&left);
    assert_eq!((answer.status, text(&answer).contains("nobody waits")), (503, true), "{}", text(&answer));

    let leaving = request("GET", "/api/v1/query?query=sum(m)");
    let mut web = web(FakeHouse::default());
    web.clock = Arc::new(LeavingClock(leaving.stop.clone()));
    let answer = web.answer(&leaving);
    assert_eq!((answer.status, text(&answer).contains("\"canceled\"")), (499, true), "{}", text(&answer));
}

#[test]
fn collectors_are_asked_for_or_excluded_but_not_both() {
    let web = web(FakeHouse::default());
    let select = |target: &str| web.selection(&request("GET", target));
    assert!(select("/metrics").expect("good").is_none());
    assert!(select("/metrics?collect=cpu").expect("good").is_none());
    let selection = select("/metrics?collect%5B%5D=cpu&collect[]=stat").expect("good").expect("some");
    assert!(selection.wants("cpu") && selection.wants("stat") && !selection.wants("time"));
    let selection = select("/metrics?exclude[]=cpu").expect("good").expect("some");
    assert!(!selection.wants("cpu") && selection.wants("time"));
    let refusal = select("/metrics?collect[]=cpu&exclude[]=stat").expect_err("both");
    assert_eq!(
        (refusal.status, text(&refusal).as_str()),
        (400, "Combined collect and exclude queries are not allowed.")
    );
}

#[test]
fn paths_and_methods_that_are_not_served() {
    for path in
        ["/nothing", "/api/v1/", "/api/v1/query/", "//", "/../etc/passwd", "/%2e%2e/", "", "/metricsx", "/\u{fffd}"]
    {
        check("GET", path, 404, "404 page not found\n");
    }
    for (method, path, allow) in [
        ("DELETE", "/api/v1/query?query=1", "GET, OPTIONS, POST"),
        ("PUT", "/api/v1/query_range", "GET, OPTIONS, POST"),
        ("HEAD", "/api/v1/query", "GET, OPTIONS, POST"),
        ("POST", "/api/v1/label/job/values", "GET, OPTIONS"),
        ("POST", "/federate", "GET, OPTIONS"),
        ("POST", "/", "GET, OPTIONS"),
        ("BREW", "/-/ready", "GET, HEAD, OPTIONS"),
        ("GET", "/-/reload", "POST, PUT"),
    ] {
        let answer = web(FakeHouse::default()).answer(&request(method, path));
        let allowed = answer.headers.iter().find(|(name, _)| *name == "allow").map(|(_, value)| value.as_str());
        assert_eq!((answer.status, allowed), (405, Some(allow)), "{method} {path}");
    }
}

#[test]
fn the_house_is_asked_only_by_those_who_may() {
    let reloads = Arc::new(AtomicBool::new(false));
    let house = || FakeHouse { reloads: reloads.clone(), ..FakeHouse::default() };
    let mut strange = request("POST", "/-/reload");
    strange.origin = "http://elsewhere.example".to_owned();
    assert_eq!(web(house()).answer(&strange).status, 403);
    assert!(!reloads.load(Ordering::Relaxed));
    assert_eq!(web(house()).answer(&request("POST", "/-/reload")).status, 200);
    assert!(reloads.load(Ordering::Relaxed));
    let failing = FakeHouse { reload_error: "narthex.yml:3:1: unknown key", ..FakeHouse::default() };
    let answer = web(failing).answer(&request("POST", "/-/reload"));
    assert_eq!((answer.status, text(&answer).contains("narthex.yml:3:1: unknown key")), (500, true));
}

#[test]
fn a_house_that_is_busy_or_not_ready_says_so() {
    check("GET", "/-/healthy", 200, "Healthy");
    check("GET", "/-/ready", 503, "Unavailable");
    let ready = FakeHouse { is_ready: true, ..FakeHouse::default() };
    assert_eq!(web(ready).answer(&request("HEAD", "/-/ready")).status, 200);
    let busy = FakeHouse { is_busy: true, ..FakeHouse::default() };
    assert_eq!(web(busy).answer(&request("GET", "/api/v1/status/narthex")).status, 503);
}

#[test]
fn a_status_with_odd_texts_is_still_json() {
    let answer = web(FakeHouse::default()).answer(&request("GET", "/api/v1/status/narthex"));
    let status: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(status["board"], "a \"board\" <b>\n\u{1}");
    assert!(status["ring"]["oldest"].is_null() && status["ring"]["days"].is_null(), "{status}");
}

#[test]
fn features_and_statistics_say_what_is_so() {
    let mut web = web(FakeHouse::default());
    let ask = |web: &Web, target: &str| -> serde_json::Value {
        serde_json::from_slice(&web.answer(&request("GET", target)).body).expect("JSON")
    };
    let on = |web: &Web| ask(web, "/api/v1/features")["data"]["promql_functions"]["sort_by_label"].clone();
    assert_eq!(on(&web), false);
    assert_eq!(ask(&web, "/api/v1/query?query=sort_by_label(m,%22i%22)")["errorType"], "bad_data");
    assert!(web.settings.enable("promql-experimental-functions").is_empty());
    assert_eq!(on(&web), true);
    let answer = ask(&web, "/api/v1/query?stats=all&query=sort_by_label(m,%22i%22)");
    assert_eq!(answer["status"], "success");
    assert!(answer["data"]["stats"]["timings"]["execTotalTime"].as_f64().is_some_and(|seconds| seconds > 0.0));
    assert!(ask(&web, "/api/v1/query?query=m")["data"].get("stats").is_none());
    web.settings.flags = vec![("query.timeout".to_owned(), "2m".to_owned())];
    assert_eq!(ask(&web, "/api/v1/status/flags")["data"]["query.timeout"], "2m");
}
