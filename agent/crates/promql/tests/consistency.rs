//! Random expressions over small data: a range query must give at each step what an instant query gives there.
//!
//! The two share code, but not the shape of the work: windows that slide, nodes evaluated once because they are
//! pinned by `@`, subqueries on a grid of their own, matches found once for all steps. A failure prints its seed.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{
    Counts, Histogram, Labels, Matcher, Querier, ResetHint, SelectError, SeriesSamples, TimeRange, UnixMs, Value,
};
use promql::{Engine, EvalError, Expr, Features, QueryValue, RangeArgs};

/// A generator that always makes the same numbers of a seed (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }
}

const SELECTORS: [&str; 8] =
    ["a", "b", "a{l=\"1\"}", "{l=~\"1|2\"}", "h", "h_bucket", "a offset 45s", "{__name__=~\"a|b\",l!=\"2\"}"];
const AT: [&str; 4] = ["", "", " @ 130", " @ end()"];
const WINDOWS: [&str; 24] = [
    "rate",
    "increase",
    "delta",
    "irate",
    "idelta",
    "deriv",
    "changes",
    "resets",
    "sum_over_time",
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "count_over_time",
    "last_over_time",
    "first_over_time",
    "present_over_time",
    "stddev_over_time",
    "mad_over_time",
    "absent_over_time",
    "ts_of_max_over_time",
    "quantile_over_time",
    "predict_linear",
    "double_exponential_smoothing",
    "stdvar_over_time",
];
const MATHS: [&str; 12] = [
    "abs",
    "ceil",
    "sgn",
    "absent",
    "timestamp",
    "histogram_count",
    "histogram_stddev",
    "sort",
    "minute",
    "deg",
    "histogram_sum",
    "round",
];
const AGGREGATES: [&str; 8] = ["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"];
const GROUPS: [&str; 4] = ["", " by (l)", " without (l)", " by (__name__)"];
const OPERATORS: [&str; 16] = [
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "atan2",
    "==",
    "!=",
    "> bool",
    "<=",
    "and",
    "or",
    "unless",
    "and on (l)",
    "* on (l) group_left ()",
];

fn range(random: &mut Random, depth: usize) -> String {
    let at = random.pick(&AT);
    match random.below(4) {
        0 if depth > 0 => {
            format!("({})[{}]{at}", vector(random, depth - 1), random.pick(&["2m:30s", "1m:", "100s:7s"]))
        }
        1 => format!("{}[2m]{at} {}", random.pick(&SELECTORS[..6]), random.pick(&["offset 30s", "offset -30s", ""])),
        _ => format!("{}[{}]{at}", random.pick(&SELECTORS[..6]), random.pick(&["1m", "90s", "5m"])),
    }
}

fn vector(random: &mut Random, depth: usize) -> String {
    if depth == 0 {
        return format!("{}{}", random.pick(&SELECTORS), random.pick(&AT));
    }
    match random.below(8) {
        0 | 1 => match random.pick(&WINDOWS) {
            "quantile_over_time" => format!("quantile_over_time(0.4, {})", range(random, depth)),
            "predict_linear" => format!("predict_linear({}, 60)", range(random, depth)),
            "double_exponential_smoothing" => {
                format!("double_exponential_smoothing({}, 0.4, 0.3)", range(random, depth))
            }
            name => format!("{name}({})", range(random, depth)),
        },
        2 => format!("{}({})", random.pick(&MATHS), vector(random, depth - 1)),
        3 => format!("{}{} ({})", random.pick(&AGGREGATES), random.pick(&GROUPS), vector(random, depth - 1)),
        4 => format!("topk{} (time() % 3, {})", random.pick(&GROUPS), vector(random, depth - 1)),
        5 => format!("histogram_quantile(0.3, {})", vector(random, depth - 1)),
        6 => format!(
            "({} {} {})",
            vector(random, depth - 1),
            random.pick(&OPERATORS[..13]),
            random.pick(&["2", "time()"])
        )
        .replace("and", "*")
        .replace(" or ", " - ")
        .replace("==", "!="),
        _ => format!("({} {} {})", vector(random, depth - 1), random.pick(&OPERATORS), vector(random, depth - 1)),
    }
}

/// Floats with a reset, a gap and an end, histograms with a reset, classic buckets.
struct Small;

fn histogram(n: f64) -> Value {
    let span = model::Span { offset: 0, length: 2 };
    let counts = Counts::Float { count: n * 2.0, zero: 0.0, positive: vec![n, n], negative: Vec::new() };
    Value::Histogram(Arc::new(Histogram {
        schema: 0,
        zero_threshold: 0.1,
        sum: n * 3.0,
        positive_spans: vec![span],
        negative_spans: Vec::new(),
        custom_bounds: Vec::new(),
        counts,
        hint: ResetHint::Unknown,
    }))
}

impl Querier for Small {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        visit: &mut model::seams::Visitor<'_>,
    ) -> Result<(), SelectError> {
        let make = |name: &str, l: &str, le: &str, value: &dyn Fn(usize) -> Option<f64>| {
            let labels = Labels::from_pairs([("__name__", name), ("l", l), ("le", le)]);
            let samples: Vec<(UnixMs, f64)> =
                (0..30).filter_map(|i| value(i).map(|value| (UnixMs(i as i64 * 15_000), value))).collect();
            (labels, samples)
        };
        let all = [
            make("a", "1", "", &|i| Some((i % 17) as f64 * 2.0)),
            make("a", "2", "", &|i| (!(9..=20).contains(&i)).then_some(10.0 - i as f64)),
            make("b", "1", "", &|i| (i <= 16).then_some(if i == 16 { model::stale_nan() } else { 0.5 })),
            make("b", "3", "", &|i| (i % 3 == 0).then_some(if i == 6 { f64::NAN } else { i as f64 })),
            make("h", "1", "", &|i| Some((i % 13) as f64 + 1.0)),
            make("h_bucket", "1", "1", &|i| Some(i as f64)),
            make("h_bucket", "1", "+Inf", &|i| Some(i as f64 * 1.5)),
        ];
        for (labels, samples) in all.iter().filter(|(labels, _)| matchers.iter().all(|m| m.matches_labels(labels))) {
            let within: Vec<&(UnixMs, f64)> = samples.iter().filter(|(at, _)| range.contains(*at)).collect();
            let at: Vec<UnixMs> = within.iter().map(|(at, _)| *at).collect();
            let floats: Vec<f64> = within.iter().map(|(_, value)| *value).collect();
            let histograms: Vec<(usize, Value)> = match labels.name() {
                "h" => floats.iter().map(|n| histogram(*n)).enumerate().collect(),
                _ => Vec::new(),
            };
            let lent = SeriesSamples { at: &at, floats: &floats, histograms: &histograms, starts: &[] };
            if !at.is_empty() && !visit(labels, lent) {
                return Err(SelectError::Stopped);
            }
        }
        Ok(())
    }

    fn series(&self, _: &[Matcher], _: TimeRange, _: &mut dyn FnMut(&Labels) -> bool) -> Result<(), SelectError> {
        Ok(())
    }
}

type Samples = BTreeMap<String, String>;

fn text(value: &Value) -> String {
    match value {
        Value::Float(value) if value.is_nan() => "NaN".into(),
        // An instant `topk` comes in order of values, so what folds it may differ in the last bit.
        Value::Float(value) => format!("{value:.9e}"),
        Value::Histogram(hist) => {
            format!("{:?} {:e} {:?} {:?}", hist.counts, hist.sum, hist.positive_spans, hist.schema)
        }
    }
}

fn at_step(engine: &Engine, expr: &Expr, at: UnixMs) -> Result<Samples, EvalError> {
    Ok(match engine.instant(&Small, expr, at, &|| false)?.value {
        QueryValue::Vector(items) => items.iter().map(|item| (item.labels.to_string(), text(&item.value))).collect(),
        other => panic!("{other:?} is no vector"),
    })
}

#[test]
fn a_range_query_is_many_instant_queries() {
    let (mut compared, mut samples_seen) = (0, 0);
    for seed in 0..4_000 {
        let mut random = Random(seed);
        let depth = 1 + random.below(4);
        let query = vector(&mut random, depth);
        let Ok(expr) = promql::parse_with(&query, Features::ALL) else { continue };
        // Which of equal values an outer `topk` takes depends on the order an inner one left them in.
        if query.matches("topk").count() > 1 {
            continue;
        }
        // With delayed removal, as in Prometheus, the first step decides whether the name of a result of `or` goes.
        let delayed_name_removal = seed % 2 == 0 && !query.contains(" or ");
        let engine = Engine { delayed_name_removal, ..Engine::default() };
        let (start, step, steps) =
            (60_000 + random.below(5) as i64 * 10_000, 20_000 + random.below(3) as i64 * 5_000, 12);
        let end = start + step * (steps - 1);
        // `@ end()` means another time in each instant query, so it is written out.
        let pinned =
            promql::parse_with(&query.replace("@ end()", &format!("@ {}", end as f64 / 1000.0)), Features::ALL)
                .expect("as before");
        let range = RangeArgs { start: UnixMs(start), end: UnixMs(end), step_ms: step };
        let whole = match engine.range(&Small, &expr, range, &|| false) {
            Ok(answer) => answer,
            Err(error) => {
                let any = (0..steps).any(|i| at_step(&engine, &pinned, UnixMs(start + i * step)).is_err());
                assert!(any, "seed {seed}: {query}: only the range query fails: {error}");
                continue;
            }
        };
        let QueryValue::Matrix(all) = whole.value else { panic!("no matrix") };
        for i in 0..steps {
            let at = UnixMs(start + i * step);
            let here: Samples = all
                .iter()
                .flat_map(|series| series.points.iter().filter(|(time, _)| *time == at).map(move |(_, v)| (series, v)))
                .map(|(series, value)| (series.labels.to_string(), text(value)))
                .collect();
            let alone = at_step(&engine, &pinned, at)
                .unwrap_or_else(|error| panic!("seed {seed}: {query}: only the instant query fails: {error}"));
            assert_eq!(here, alone, "seed {seed}: {query} at {} ms", at.0);
            samples_seen += here.len();
        }
        compared += 1;
    }
    println!("{compared} expressions, {samples_seen} samples");
    assert!(compared > 2_000 && samples_seen > 20_000, "{compared} expressions, {samples_seen} samples");
}
