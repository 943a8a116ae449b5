//! Every parameter of every endpoint, filled by chance: an answer each time, with a status that is known, and JSON where
//! JSON is promised. `NARTHEX_FUZZ_SECONDS` makes it run longer, `NARTHEX_FUZZ_SEED` again.

use std::time::{Duration, Instant};

use support::http::escape;

use crate::world::{self, request, text};

const NOW: i64 = 1_800_000_000_000;

/// How many requests a short run makes.
const REQUESTS: u32 = 6_000;

const METHODS: [&str; 16] = [
    "GET", "GET", "GET", "GET", "GET", "GET", "GET", "GET", "POST", "POST", "POST", "OPTIONS", "HEAD", "PUT", "DELETE",
    "BREW",
];

const PATHS: [&str; 32] = [
    "query",
    "query_range",
    "query_exemplars",
    "format_query",
    "parse_query",
    "labels",
    "series",
    "label/job/values",
    "label/U__a_2e_b/values",
    "label/%/values",
    "metadata",
    "targets",
    "targets/metadata",
    "scrape_pools",
    "rules",
    "alerts",
    "alertmanagers",
    "features",
    "notifications",
    "status/config",
    "status/flags",
    "status/runtimeinfo",
    "status/buildinfo",
    "status/tsdb",
    "status/walreplay",
    "status/narthex",
    "admin/tsdb/snapshot",
    "no_such_thing",
    "../../federate",
    "../../-/ready",
    "../../",
    "../../-/reload",
];

const NAMES: [&str; 24] = [
    "query",
    "time",
    "start",
    "end",
    "step",
    "timeout",
    "limit",
    "lookback_delta",
    "stats",
    "match[]",
    "metric",
    "limit_per_metric",
    "match_target",
    "state",
    "scrapePool",
    "type",
    "rule_name[]",
    "rule_group[]",
    "file[]",
    "exclude_alerts",
    "group_limit",
    "group_next_token",
    "matcher",
    "",
];

const VALUES: [&str; 46] = [
    "",
    "up",
    "native",
    "{__name__=~\".+\"}",
    "rate(work_seconds_total[5m])",
    "sum by (job) (up)",
    "up[1m]",
    "up @ 1 offset -5m",
    "max_over_time(up[1h:1s])",
    "histogram_quantile(0.9, native)",
    "\"te<xt\"",
    "1/0",
    "{}",
    "{a=~\"(\"}",
    "((((((((",
    "up{",
    "0",
    "1",
    "-1",
    "1.5",
    "1e9",
    "1e308",
    "-1e308",
    "9223372036854775807",
    "-9223372036854775808",
    "99999999999999999999999",
    "NaN",
    "Inf",
    "0x10",
    "1800000000",
    "1799999990.123",
    "2015-07-01T20:10:51.781Z",
    "2015-02-30T00:00:00Z",
    "-292273086-05-16T16:47:06Z",
    "292277025-08-18T07:12:54.999999999Z",
    "15s",
    "1y",
    "1ms",
    "1h30m",
    "999999999999y",
    "all",
    "true",
    "a",
    "alert",
    "record",
    "\u{0}\u{1}\u{2028}\u{fffd}é\u{1f600}",
];

/// A small generator, so that a seed tells everything.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    /// Returns one of the values, sometimes two glued together, sometimes with a piece taken out or a byte changed.
    fn value(&mut self) -> String {
        let mut value = self.pick(&VALUES).to_owned();
        match self.below(8) {
            0 => value.push_str(self.pick(&VALUES)),
            1 => value = value.chars().take(self.below(12)).collect(),
            2 => value = value.chars().rev().collect(),
            3 => value = value.repeat(self.below(40)),
            _ => {}
        }
        value
    }

    /// Returns parameters as a query or a form, some of them badly escaped.
    fn params(&mut self) -> String {
        let mut params = Vec::new();
        for _ in 0..self.below(7) {
            let (name, value) = (self.pick(&NAMES), self.value());
            params.push(match self.below(12) {
                0 => format!("{name}={}", value.replace(|c: char| c.is_control(), "%")),
                1 => format!("{name}%{}", self.below(300)),
                2 => format!("{name};{}", escape(&value)),
                3 => format!("{name}=%ff%{}", escape(&value)),
                _ => format!("{}={}", escape(name), escape(&value)),
            });
        }
        params.join("&")
    }
}

#[test]
fn no_parameter_does_harm() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("NARTHEX_FUZZ_SEED").unwrap_or(20_261_121);
    let until = number("NARTHEX_FUZZ_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let (mut random, mut web) = (Random(seed), world::web(NOW));
    // A query of chance may ask for much; it is the limits that are to stop it, and soon.
    web.engine.limits.samples_max = 20_000;
    let (mut asked, mut statuses) = (0u32, std::collections::BTreeMap::<u16, u32>::new());
    while asked < REQUESTS || until.is_some_and(|until| Instant::now() < until) {
        let path = format!("/api/v1/{}", random.pick(&PATHS)).replace("/api/v1/../../", "/");
        let method = random.pick(&METHODS);
        let form = if method == "POST" { random.params() } else { String::new() };
        let target = format!("{path}?{}", random.params());
        let answer = web.answer(&request(method, &target, &form));
        asked += 1;
        *statuses.entry(answer.status).or_default() += 1;
        let shown = format!("seed {seed}, request {asked}: {method} {target:.300} {form:.300}");
        assert!([200, 204, 301, 400, 403, 404, 405, 422, 500].contains(&answer.status), "{shown}: {}", answer.status);
        if answer.status == 500 {
            let said = text(&answer);
            assert!(said.contains("not implemented") || said.contains("admin APIs disabled"), "{shown}: {said}");
        }
        if answer.content_type == "application/json" {
            let json: Result<serde_json::Value, _> = serde_json::from_slice(&answer.body);
            assert!(json.is_ok(), "{shown}: {}", text(&answer));
        }
    }
    println!("fuzz: {asked} requests, seed {seed}, answers by status: {statuses:?}");
    assert!(statuses.get(&200).is_some_and(|count| *count > REQUESTS / 20), "{statuses:?}");
    assert!(statuses.get(&400).is_some_and(|count| *count > REQUESTS / 20), "{statuses:?}");
}
