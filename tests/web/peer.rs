//! The same questions to us and to a real Prometheus 3.5 that was sent the same samples: the same answers.
//!
//! Status, content type, `Allow` and body are compared. Bodies are compared byte for byte where there is one series,
//! and as JSON in order of labels where there are several, because the peer leaves their order open. Left out of the
//! rules are the times, which are each one's own.

use std::time::{SystemTime, UNIX_EPOCH};

use model::{Clock, Outcome, Uplink};
use narthex::web::Web;
use serde_json::Value;
use support::http::{self, escape};
use support::peers::Peer;
use support::wait;

use crate::world::{self, RULES, STEP_MS, Still, header, request, text};

pub struct Both {
    pub web: Web,
    pub peer: Peer,
    pub now: i64,
    asked: usize,
    complaints: Vec<String>,
}

/// Sends everything in the store to the peer by remote write.
fn send_all(now: i64, peer: &Peer) {
    let reader = world::store(now).reader();
    let mut uplink = forward::remote_write::uplink(forward::remote_write::Config::default(), None);
    let headers: Vec<(&str, &str)> = forward::remote_write::HEADERS.iter().map(|(n, v)| (*n, *v)).collect();
    let mut at = Still(now).now();
    let mut frames = 0;
    // It waits for more rows now and then; after so much time there is nothing left to wait for.
    for _ in 0..100 {
        at.mono = at.mono.plus_ms(10_000);
        let Some(frame) = uplink.poll(at, &reader) else { continue };
        let answer = http::post(peer.address, "/api/v1/write", &headers, &frame.body).expect("the peer answers");
        assert_eq!(answer.status / 100, 2, "{}", answer.text());
        uplink.settle(at, frame.id, Outcome::Delivered);
        frames += 1;
    }
    assert!(frames > 0);
}

/// Returns us and a real Prometheus with the same samples; `None` where there is none.
pub fn both() -> Option<Both> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock past 1970").as_millis() as i64;
    // A whole step back, so that nothing is of the future to the peer.
    let now = now - now % STEP_MS;
    let config = "global: {scrape_interval: 1h, evaluation_interval: 1s}\nrule_files: ['{folder}/rules.yml']\n";
    let args = [
        "--web.enable-remote-write-receiver",
        "--enable-feature=native-histograms,exemplar-storage,promql-per-step-stats",
    ];
    let peer = Peer::prometheus(config, &args)?;
    send_all(now, &peer);
    Some(Both { web: world::web(now), peer, now, asked: 0, complaints: Vec::new() })
}

impl Both {
    /// Asks both; `NOW` in the target stands for the time of the newest samples.
    fn check(&mut self, method: &str, target: &str, form: &str) {
        let target = target.replace("NOW", &(self.now / 1_000).to_string());
        let ours = self.web.answer(&request(method, &target, form));
        let content_type = [("Content-Type", "application/x-www-form-urlencoded")];
        let headers = if form.is_empty() { &[][..] } else { &content_type[..] };
        let theirs = http::request(self.peer.address, method, &target, headers, form.as_bytes()).expect("an answer");
        self.asked += 1;
        let differs = |name: &str| header(&ours, name) != theirs.header(name);
        // What is only asked for by its head has no body, which is the server's business and not the web's.
        let our_text = if method == "HEAD" { String::new() } else { text(&ours) };
        let their_text = theirs.text();
        let is_same =
            our_text == their_text || canonical(&our_text).is_some_and(|our| Some(our) == canonical(&their_text));
        if ours.status != theirs.status || differs("content-type") || differs("allow") || !is_same {
            let shown = |text: &str| text.chars().take(600).collect::<String>();
            self.complaints.push(format!(
                "{method} {target} {form}\n  ours   {} {:?} {}\n  theirs {} {:?} {}",
                ours.status,
                header(&ours, "content-type"),
                shown(&our_text),
                theirs.status,
                theirs.header("content-type"),
                shown(&their_text)
            ));
        }
    }

    fn get(&mut self, target: &str) {
        self.check("GET", target, "");
    }

    fn query(&mut self, query: &str) {
        self.get(&format!("/api/v1/query?time=NOW&query={}", escape(query)));
    }

    fn range(&mut self, query: &str) {
        let start = self.now / 1_000 - 300;
        self.get(&format!("/api/v1/query_range?start={start}.5&end=NOW&step=30&query={}", escape(query)));
    }
}

/// Returns a body of several series as a value with an order; `None` where there are none to be ordered.
fn canonical(body: &str) -> Option<Value> {
    let mut value: Value = serde_json::from_str(body).ok()?;
    let data = value.get_mut("data")?;
    let list = if data.is_array() { data } else { data.get_mut("result")? };
    let list = list.as_array_mut().filter(|list| list.len() > 1)?;
    list.sort_by_key(|item| item.get("metric").unwrap_or(item).to_string());
    Some(value)
}

#[test]
fn a_real_prometheus_answers_the_same() {
    let Some(mut both) = both() else { return };
    queries(&mut both);
    errors(&mut both);
    series(&mut both);
    methods(&mut both);
    let Both { asked, complaints, .. } = both;
    println!("web: {asked} requests are answered as Prometheus answers them");
    assert!(complaints.is_empty(), "{} of {asked} differ:\n{}", complaints.len(), complaints.join("\n"));
    assert!(asked > 150, "{asked}");
}

fn queries(both: &mut Both) {
    for query in [
        "up",
        "up{instance=\"a:1\"}",
        "odd_labels",
        "sum(up)",
        "sum by (job) (up)",
        "1",
        "-1.5e-9",
        "1e300",
        "1/0",
        "vector(1e-7)",
        "\"a<b>&\\u2028\"",
        "''",
        "up[1m]",
        "up{instance=\"a:1\"}[1m]",
        "rate(work_seconds_total[5m])",
        "rate(work_seconds_total{mode=\"user\"}[5m])",
        "native",
        "native{schema=\"custom\"}[1m]",
        "sum(native{schema=\"0\"})",
        "rate(native{schema=\"3\"}[5m])",
        "native{schema=\"1\"} * 0",
        "-native{schema=\"1\"}",
        "histogram_fraction(0, 8, native{schema=\"0\"})",
        "histogram_count(native)",
        "up == 7",
        "no_such_metric",
        "absent(no_such_metric)",
        "sort_desc(work_seconds_total)",
        "topk(1, work_seconds_total)",
        "{__name__=~\"up|odd_labels\"}",
        "{\"a.b\"=\"dot\"}",
        "rate(up[5m])",
        "sum(native{schema=~\".\"}) + sum(up)",
        "quantile(2, up)",
        "up / on() up",
        "label_replace(up, \"x\", \"$1\", \"job\", \"(\")",
        "up offset 1d",
        "up @ 0",
        "timestamp(up{instance=\"a:1\"})",
        "max_over_time(up[5m:15s])",
    ] {
        both.query(query);
    }
    for kind in ["tiny", "small", "huge", "large", "nan", "inf", "minus_inf", "zero", "third"] {
        both.query(&format!("extreme{{kind=\"{kind}\"}}"));
    }
    for schema in ["-4", "-1", "0", "1", "3", "8", "custom"] {
        both.query(&format!("native{{schema=\"{schema}\"}}"));
    }
    for query in [
        "up",
        "up{instance=\"a:1\"}",
        "1",
        "vector(2)",
        "native{schema=\"0\"}",
        "native{schema=\"custom\"}",
        "{__name__=~\"native|up\"}",
        "sum(rate(work_seconds_total[2m]))",
        "up > 7",
        "native{schema=\"0\"} or up",
        "up[5m]",
        "\"text\"",
        "label_replace(native{schema=\"0\"}, \"schema\", \"\", \"\", \"\") or extreme{kind=\"third\"}",
    ] {
        both.range(query);
    }
    both.check("POST", "/api/v1/query", &format!("query=up%7Binstance%3D%22a%3A1%22%7D&time={}", both.now / 1_000));
    both.check("POST", "/api/v1/query?query=2", "query=1&time=5");
    both.check("POST", "/api/v1/query?query=2&time=5", "limit=3");
    for query in
        ["limit=1", "limit=0", "limit=7", "timeout=1m", "timeout=30", "lookback_delta=1ms", "lookback_delta=10"]
    {
        both.get(&format!("/api/v1/query?query=up&time=NOW&{query}"));
        both.get(&format!("/api/v1/query_range?query=up&start=NOW&end=NOW&step=1&{query}"));
    }
    both.get("/api/v1/query?query=up&time=NOW.001&lookback_delta=1m");
    for time in ["0", "1.5", "-1.5", "1435781451.7816", "2015-07-01T20:10:51.781Z", "2015-07-01T22:10:51%2B02:00"] {
        both.get(&format!("/api/v1/query?query=1&time={time}"));
        both.get(&format!("/api/v1/query?query=vector(1)&time={time}"));
        both.get(&format!("/api/v1/query?query='x'&time={time}"));
    }
    for query in [
        "sum(rate(up[5m]))by(job)",
        "up",
        "up{job=\"x\"}[5m:1m] offset 3m",
        "a+b*-c^2",
        "histogram_quantile(0.9,sum by(le)(rate(some_rather_long_metric_name_bucket[5m])))and on(instance)up==bool 1",
        "topk(3, x) without ()",
        "sum(",
        "",
        "\"x\"",
        "1e3",
        "x @ end()",
    ] {
        for path in ["format_query", "parse_query"] {
            both.get(&format!("/api/v1/{path}?query={}", escape(query)));
            both.check("POST", &format!("/api/v1/{path}"), &format!("query={}", escape(query)));
        }
    }
    for query in
        ["query=up", "query=1", "query=up%5B", "", "query=up&start=5&end=1", "query=up&start=x", "query=up&end=x"]
    {
        both.get(&format!("/api/v1/query_exemplars?{query}"));
    }
}

fn errors(both: &mut Both) {
    for query in [
        "",
        "query=",
        "query=up&limit=x",
        "query=up&limit=-1",
        "query=up&limit=1.5",
        "query=up&limit=99999999999999999999",
        "query=up&time=x",
        "query=up&time=2015-13-01T00:00:00Z",
        "query=up&time=2015-02-29T00:00:00Z",
        "query=up&time=2015-07-01t20:10:51z",
        "query=up&time=%22%5C%01",
        "query=up&timeout=x",
        "query=up&timeout=-1m",
        "query=up&lookback_delta=x",
        "query=up&lookback_delta=1e30",
        "query=%3D%3D",
        "query=up%7B",
        "query=rate(up)",
        "query=foo(up)",
        "query=up+offset",
        "query=1;a=1",
        "query=%zz",
        "query=1&a=%zz",
        "query=%ff",
    ] {
        if query == "query=1&a=%zz" {
            both.get(&format!("/api/v1/query?time=1&{query}"));
        } else {
            both.get(&format!("/api/v1/query?{query}"));
        }
    }
    for query in [
        "query=up",
        "query=up&start=x&end=1&step=1",
        "query=up&start=1",
        "query=up&start=1&end=x&step=1",
        "query=up&start=5&end=1&step=1",
        "query=up&start=1&end=5",
        "query=up&start=1&end=5&step=0",
        "query=up&start=1&end=5&step=-1",
        "query=up&start=1&end=5&step=-1m",
        "query=up&start=1&end=5&step=often",
        "query=up&start=1&end=5&step=1e30",
        "query=up&start=1&end=5&step=0.0001",
        "query=up&start=0&end=11001&step=1",
        "query=up&start=0&end=11000.9&step=1",
        "query=vector(1)&start=0&end=11000&step=1&limit=x",
        "start=1&end=5&step=1",
        "query=up(&start=1&end=5&step=1",
        "query=up&start=1&end=5&step=1&timeout=x",
        "query=up&start=1&end=5&step=1&lookback_delta=x",
    ] {
        both.get(&format!("/api/v1/query_range?{query}"));
    }
}

fn series(both: &mut Both) {
    // The peer's own rules add series of their own; these are ours alone.
    let ours = "match[]=up&match[]=native&match[]=odd_labels";
    for path in ["labels", "label/job/values", "label/__name__/values", "label/schema/values", "series"] {
        // What is left out by a limit is the peer's own choice where it does not sort first.
        let one = if path == "label/schema/values" { "" } else { "&limit=1" };
        for query in ["", one, "&limit=100", "&limit=x", "&limit=-1", "&start=x", "&end=x", "&start=5&end=1"] {
            both.get(&format!("/api/v1/{path}?{ours}{query}"));
        }
        for query in [
            "match[]=(",
            "match[]={}",
            "match[]={a=~\".*\"}",
            "match[]=",
            "match[]=rate(up[5m])",
            "match[]=up[5m]",
            "match[]=none",
        ] {
            both.get(&format!("/api/v1/{path}?{}", escape_query(query)));
        }
    }
    for name in ["U__a_2e_b", "a.b", "U__a_2e", "U__", "0x", "%ff", "a%20b", "no_such_label"] {
        both.get(&format!("/api/v1/label/{name}/values"));
    }
    both.get("/api/v1/series");
    both.get("/api/v1/series?match[]=up;a=1");
    both.get("/api/v1/series?match[]=up&a=%zz");
    both.check("POST", "/api/v1/series", "match[]=up&a=%zz");
    both.check("POST", "/api/v1/series", "match[]=up");
    both.check("POST", "/api/v1/labels", "match[]=up");
    both.get("/api/v1/series?match[]=up&start=1&end=2");
    for query in ["limit=x", "limit_per_metric=x", "metric=none", "limit=0"] {
        both.get(&format!("/api/v1/metadata?{query}"));
    }
    both.get("/api/v1/targets/metadata?limit=x");
    both.get("/api/v1/targets/metadata?match_target=(");
    for query in ["limit=0", "limit=x", "limit=-1"] {
        both.get(&format!("/api/v1/status/tsdb?{query}"));
    }
    both.get("/api/v1/status/walreplay");
    for query in [
        "type=x",
        "exclude_alerts=x",
        "match[]=(",
        "group_limit=x",
        "group_limit=0",
        "group_limit=99999999999",
        "group_next_token=x",
        "group_next_token=x&group_limit=1",
        "file[]=none",
        "rule_name[]=none",
        "a=%zz",
    ] {
        both.get(&format!("/api/v1/rules?{query}"));
    }
}

/// Escapes the value of one parameter.
fn escape_query(query: &str) -> String {
    query.split_once('=').map_or(String::new(), |(name, value)| format!("{name}={}", escape(value)))
}

fn methods(both: &mut Both) {
    for (method, path) in [
        ("DELETE", "/api/v1/query"),
        ("PUT", "/api/v1/query_range"),
        ("HEAD", "/api/v1/query?query=1"),
        ("POST", "/api/v1/label/job/values"),
        ("PATCH", "/api/v1/labels"),
        ("DELETE", "/api/v1/series"),
        ("POST", "/api/v1/targets"),
        ("POST", "/api/v1/rules"),
        ("GET", "/api/v1/admin/tsdb/snapshot"),
        ("POST", "/api/v1/admin/tsdb/snapshot"),
        ("PUT", "/api/v1/admin/tsdb/delete_series"),
        ("OPTIONS", "/api/v1/query"),
        ("OPTIONS", "/api/v1/no_such_thing"),
        ("GET", "/api/v1/no_such_thing"),
        ("GET", "/api/v1/"),
        ("GET", "/no_such_thing"),
        ("POST", "/federate"),
        ("POST", "/-/ready"),
        ("DELETE", "/"),
    ] {
        both.check(method, path, "");
    }
}

#[test]
fn what_is_federated_is_what_a_real_prometheus_federates() {
    let Some(both) = both() else { return };
    let text_form = "text/plain;version=0.0.4";
    let proto = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
    let utf8 = "text/plain;version=0.0.4;escaping=allow-utf-8";
    let mut compared = 0;
    for (accept, selector) in [
        (text_form, "up{instance=\"a:1\"}"),
        (text_form, "odd_labels"),
        (text_form, "native"),
        (text_form, "{__name__=~\"native|extreme\",kind!~\"nan|zero\"}"),
        (text_form, "none"),
        (text_form, "{}"),
        (utf8, "odd_labels"),
        (proto, "native{schema=\"0\"}"),
        (proto, "native{schema=\"3\"}"),
        (proto, "native{schema=\"-4\"}"),
        (proto, "native{schema=\"8\"}"),
        (proto, "none"),
    ] {
        let target = format!("/federate?match[]={}", escape(selector));
        let theirs = http::request(both.peer.address, "GET", &target, &[("Accept", accept)], b"").expect("an answer");
        let mut asked = request("GET", &target, "");
        asked.accept = accept.to_owned();
        let ours = both.web.answer(&asked);
        assert_eq!(header(&ours, "content-type"), theirs.header("content-type"), "{selector}");
        if accept == proto {
            assert_eq!(ours.body, theirs.body, "{selector}");
        } else {
            // We know what kind a metric is, and the peer does not say.
            let lines = |text: &str| {
                let lines = text.lines().filter(|line| !line.starts_with("# TYPE"));
                lines.map(str::to_owned).collect::<std::collections::BTreeSet<String>>()
            };
            assert_eq!(lines(&text(&ours)), lines(&theirs.text()), "{selector}");
        }
        compared += 1;
    }
    println!("federate: {compared} answers are those of Prometheus");
}

/// Takes out what is each server's own.
fn without_times(body: &str) -> Value {
    fn walk(value: &mut Value) {
        match value {
            Value::Object(map) => {
                for (name, value) in map.iter_mut() {
                    match name.as_str() {
                        "evaluationTime" | "lastEvaluation" | "activeAt" => *value = Value::Null,
                        "file" => *value = value.as_str().and_then(|file| file.rsplit('/').next()).into(),
                        _ => walk(value),
                    }
                }
            }
            Value::Array(list) => list.iter_mut().for_each(walk),
            _ => {}
        }
    }
    let mut value: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"));
    walk(&mut value);
    value
}

#[test]
fn rules_and_alerts_look_as_with_a_real_prometheus() {
    let Some(mut both) = both() else { return };
    // Only now, so that none was evaluated over nothing.
    both.peer.folder.write("rules.yml", RULES);
    both.peer.process.signal("HUP");
    let evaluated = || {
        let text = both.peer.get("/api/v1/rules").text();
        (!text.contains("\"groups\":[]") && !text.contains("0001-01-01") && text.contains("firing")).then_some(())
    };
    wait::until(wait::SOON * 4, "rules that were evaluated", evaluated);
    let mut compared = 0;
    for target in [
        "/api/v1/rules",
        "/api/v1/alerts",
        "/api/v1/rules?type=alert",
        "/api/v1/rules?type=Record",
        "/api/v1/rules?exclude_alerts=true",
        "/api/v1/rules?rule_name[]=Down&rule_name[]=x:y",
        "/api/v1/rules?rule_group[]=b",
        "/api/v1/rules?match[]=%7Bseverity%3D%22page%22%7D",
        "/api/v1/rules?match[]=%7Bteam%3D%22x%22%7D&exclude_alerts=1",
        "/api/v1/rules?match[]=%7Btmpl%3D~%22.%2B%22%7D",
    ] {
        let ours = without_times(&text(&both.web.answer(&request("GET", target, ""))));
        let theirs = without_times(&both.peer.get(target).text());
        assert_eq!(ours, theirs, "{target}");
        compared += 1;
    }
    println!("web: {compared} answers about rules are as Prometheus gives them");
    // Pages: the token is each server's own, the groups are the same.
    let page = |ask: &dyn Fn(&str) -> String| {
        let first = without_times(&ask("/api/v1/rules?group_limit=1&exclude_alerts=1"));
        let token = first["data"]["groupNextToken"].as_str().expect("there is another page").to_owned();
        let second = ask(&format!("/api/v1/rules?group_limit=1&exclude_alerts=1&group_next_token={token}"));
        let second = without_times(&second);
        assert!(second["data"].get("groupNextToken").is_none(), "{second}");
        (first["data"]["groups"].clone(), second["data"]["groups"].clone())
    };
    let ours = page(&|target| text(&both.web.answer(&request("GET", target, ""))));
    assert_eq!(ours, page(&|target| both.peer.get(target).text()));
}
