//! The parser against Prometheus's answers, against anything at all, and against its own printer.

mod support;

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::Value;
use support::random::Random;
use support::shared_text;

/// What becomes of a query: its tree and its pretty text, or the error's.
fn outcome(query: &str) -> Result<(Value, String), String> {
    let expr = parse(query).map_err(|error| format!("invalid parameter \"query\": {error}"))?;
    let mut json = String::new();
    expr.write_json(&mut json);
    let tree = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{query:?}: {error}: {json}"));
    Ok((tree, expr.pretty()))
}

/// Every line of the golden file, as tree, printed form and error text; but for those, and only those, that
/// `tests/levels/v3.5-parse.tsv` lists with what changed since.
#[test]
fn queries_parse_print_and_fail_as_prometheus_says() {
    let Some(golden) = shared_text("suites/promqltest/parse_query/golden-3.5.3.jsonl") else { return };
    let (mut same, mut different) = (0, BTreeSet::new());
    for (number, line) in (1..).zip(golden.lines()) {
        let case: Value = serde_json::from_str(line).expect("a golden line");
        let query = case["query"].as_str().expect("a query");
        let wanted = match case["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok((case["ast"].clone(), case["formatted"].as_str().expect("a text").to_owned())),
        };
        let found = outcome(query);
        if found == wanted {
            same += 1;
        } else {
            println!("line {number}: {query:?}\n   found {found:?}\n  wanted {wanted:?}");
            assert!(found.is_ok() && wanted.is_err(), "line {number}: the newer level only accepts more");
            different.insert(number);
        }
    }
    let list = include_str!("levels/v3.5-parse.tsv").lines().filter(|line| !line.starts_with('#'));
    let numbers = list.flat_map(|line| line.split_once('\t').expect("two columns").1.split(' '));
    let listed: BTreeSet<usize> = numbers.map(|number| number.parse().expect("a line's number")).collect();
    println!("{same} lines are the same, {} differ, {} are listed", different.len(), listed.len());
    assert!(same + different.len() >= 2_065, "some lines are missing");
    let unlisted: Vec<_> = different.difference(&listed).collect();
    let equal: Vec<_> = listed.difference(&different).collect();
    assert!(unlisted.is_empty() && equal.is_empty(), "differ unlisted {unlisted:?}, listed but equal {equal:?}");
}

fn parse(text: &str) -> Result<promql::Expr, promql::ParseError> {
    promql::parse_with(text, promql::Features::ALL)
}

const TOKENS: [&str; 66] = [
    "9e15",
    "histogram_quantile(0.5,",
    "[1m:7s]",
    "by(l)",
    "a",
    "up",
    "rate",
    "sum",
    "topk",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "bool",
    "offset",
    "@",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "=",
    "==",
    "!=",
    "=~",
    "!~",
    "<",
    ">",
    "<=",
    "</",
    ">/",
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "and",
    "or",
    "unless",
    "atan2",
    "1",
    "0x1f",
    "1e3",
    "5m",
    "1h30m",
    "inf",
    "nan",
    "\"x\"",
    "'y'",
    "`z`",
    "\"\\x",
    "start()",
    "end()",
    "step()",
    "fill",
    "anchored",
    "#c\n",
    " ",
    "é",
    "\u{0}",
];

#[test]
fn no_text_makes_the_parser_panic_and_what_parses_prints_to_the_same() {
    let mut parsed = 0;
    for seed in 0..60_000 {
        let mut random = Random(seed);
        let mut text = String::new();
        for _ in 0..=random.below(14) {
            let space = if random.below(3) == 0 { "" } else { " " };
            let _ = write!(text, "{}{space}", TOKENS[random.below(TOKENS.len())]);
        }
        let Ok(expr) = parse(&text) else { continue };
        parsed += 1;
        evaluate(&expr);
        let printed = expr.to_string();
        let again = parse(&printed).unwrap_or_else(|error| panic!("seed {seed}: {text:?} -> {printed:?}: {error}"));
        let (tree, pretty) = outcome(&text).expect("it parsed");
        assert!(tree.is_object());
        assert_eq!(parse(&pretty).map(|expr| expr.to_string()), parse(&printed).map(|expr| expr.to_string()));
        // Prometheus prints infinity with its sign, which before `^` reads as an operator of its own.
        if !printed.contains("+Inf ^") {
            assert_eq!(again.to_string(), printed, "seed {seed}: {text:?}");
        }
    }
    assert!(parsed > 500, "only {parsed} texts parsed: the generator makes nothing but nonsense");
}

/// Evaluates whatever it is; it may fail but not panic (arithmetic that overflows panics in this build).
fn evaluate(expr: &promql::Expr) {
    let engine =
        promql::Engine { limits: promql::Limits { samples_max: 5_000, ..Default::default() }, ..Default::default() };
    let _ = engine.instant(&Small, expr, model::UnixMs(200_000), &|| false);
    let range = promql::RangeArgs { start: model::UnixMs(-60_000), end: model::UnixMs(500_000), step_ms: 70_000 };
    let _ = engine.range(&Small, expr, range, &|| false);
}

/// Three series: floats with an end, histograms with a reset, and both mixed.
struct Small;

impl model::Querier for Small {
    fn select(
        &self,
        matchers: &[model::Matcher],
        _: model::TimeRange,
        visit: &mut model::seams::Visitor<'_>,
    ) -> Result<(), model::SelectError> {
        let at: Vec<model::UnixMs> = (0..6).map(|i| model::UnixMs(i * 50_000)).collect();
        let floats = [1.0, 2.0, f64::NAN, f64::INFINITY, 0.5, model::stale_nan()];
        let hist = |n: f64| {
            let span = model::Span { offset: 0, length: 1 };
            model::Value::Histogram(std::sync::Arc::new(model::Histogram {
                schema: 0,
                zero_threshold: 0.1,
                sum: n,
                positive_spans: vec![span],
                negative_spans: Vec::new(),
                custom_bounds: Vec::new(),
                counts: model::Counts::Float { count: n, zero: 0.0, positive: vec![n], negative: Vec::new() },
                hint: model::ResetHint::Unknown,
            }))
        };
        let hists: Vec<(usize, model::Value)> = (0..6).map(|i| (i, hist([1.0, 5.0, 2.0, 3.0, 4.0, 9.0][i]))).collect();
        let starts = [Some(model::UnixMs(-5)); 6];
        for (l, histograms) in [("1", &hists[..0]), ("2", &hists[..]), ("3", &hists[2..4])] {
            let labels = model::Labels::from_pairs([("__name__", "a"), ("l", l), ("le", "1")]);
            let lent = model::SeriesSamples { at: &at, floats: &floats, histograms, starts: &starts };
            if matchers.iter().all(|matcher| matcher.matches_labels(&labels)) && !visit(&labels, lent) {
                return Err(model::SelectError::Stopped);
            }
        }
        Ok(())
    }

    fn series(
        &self,
        _: &[model::Matcher],
        _: model::TimeRange,
        _: &mut dyn FnMut(&model::Labels) -> bool,
    ) -> Result<(), model::SelectError> {
        Ok(())
    }
}

/// The least a thread of the query pool gets.
const STACK_BYTES: usize = 256 << 10;

#[test]
fn what_is_too_deep_is_an_error_and_not_a_crash() {
    let work = || {
        let n = 100_000;
        for (text, wanted) in [
            (format!("{}1{}", "(".repeat(n), ")".repeat(n)), "nested deeper"),
            ("-".repeat(n) + "a", "nested deeper"),
            (format!("{}a{}", "abs(".repeat(n), ")".repeat(n)), "nested deeper"),
            (format!("a[{}1m{}]", "(".repeat(n), ")".repeat(n)), "nested deeper"),
            (format!("a{}", "^a".repeat(n)), "nested deeper"),
            (format!("a{}", " or a".repeat(n)), "higher than"),
            (format!("a{}", "[1m:]".repeat(n)), "higher than"),
            (format!("a{}", "[1m:]".repeat(promql::HEIGHT_MAX as usize - 2)), "subquery is only allowed on instant"),
            (format!("a{}", "{".repeat(n)), "unexpected left brace"),
            (format!("a{}", " offset 1m".repeat(n)), "may not be set multiple times"),
        ] {
            let error = promql::parse(&text).expect_err("too deep").to_string();
            assert!(error.contains(wanted), "{:.40}: {error}", text);
        }
        let deepest = promql::NESTING_MAX as usize - 2;
        for text in [
            format!("{}a{}", "(".repeat(deepest), ")".repeat(deepest)),
            format!("{}a{}", "abs(".repeat(deepest), ")".repeat(deepest)),
            format!("{}a{}", "sum(".repeat(deepest), ")".repeat(deepest)),
            format!("{}a", "1 - -".repeat(deepest / 2)),
            format!("{}a{}", "max_over_time((".repeat(deepest / 2), ")[1m:])".repeat(deepest / 2)),
            format!("a{}", " or a".repeat(promql::HEIGHT_MAX as usize - 2)),
            format!("a{}", " + 1".repeat(promql::HEIGHT_MAX as usize - 2)),
            format!("{}a{}", "(a + ".repeat(deepest / 2), ")".repeat(deepest / 2)),
        ] {
            let expr = promql::parse(&text).unwrap_or_else(|error| panic!("{text:.40}: {error}"));
            let printed = expr.to_string();
            assert_eq!(promql::parse(&printed).expect("as printed").to_string(), printed);
            assert_eq!(promql::parse(&expr.pretty()).expect("as printed").to_string(), printed);
            let mut json = String::new();
            expr.write_json(&mut json);
            assert!(json.matches('{').count() == json.matches('}').count() && json.ends_with('}'));
            let engine = promql::Engine::default();
            let answer = engine.instant(&Nothing, &expr, model::UnixMs(0), &|| false);
            assert!(answer.is_ok(), "{text:.40}: {:?}", answer.err());
        }
    };
    std::thread::Builder::new().stack_size(STACK_BYTES).spawn(work).expect("a thread").join().expect("no overflow");
}

struct Nothing;

impl model::Querier for Nothing {
    fn select(
        &self,
        _: &[model::Matcher],
        _: model::TimeRange,
        visit: &mut model::seams::Visitor<'_>,
    ) -> Result<(), model::SelectError> {
        let one = model::SeriesSamples { at: &[model::UnixMs(0)], floats: &[1.0], histograms: &[], starts: &[] };
        let labels = model::Labels::from_pairs([("__name__", "a")]);
        if visit(&labels, one) { Ok(()) } else { Err(model::SelectError::Stopped) }
    }

    fn series(
        &self,
        _: &[model::Matcher],
        _: model::TimeRange,
        _: &mut dyn FnMut(&model::Labels) -> bool,
    ) -> Result<(), model::SelectError> {
        Ok(())
    }
}

#[test]
fn what_prometheus_keeps_behind_flags_is_refused_by_name() {
    let mut features = promql::Features::default();
    assert!(!features.enable("promql-delayed-name-removal") && !features.enable("PROMQL-duration-expr"));
    for (flag, text) in [
        ("promql-experimental-functions", "limitk(1, info(a))"),
        ("promql-duration-expr", "a[5m+1m]"),
        ("promql-extended-range-selectors", "rate(a[5m] anchored)"),
        ("promql-binop-fill-modifiers", "a + fill(0) b"),
    ] {
        assert!(promql::parse_with(text, features).is_err(), "{text} without {flag}");
        assert!(features.enable(flag), "{flag}");
        assert!(promql::parse_with(text, features).is_ok(), "{text} with {flag}");
    }
    assert_eq!(features, promql::Features::ALL);
    for (text, wanted) in [
        ("info(a)", "1:1: parse error: function \"info\" is not enabled"),
        (
            "1 + limitk(1, a)",
            "1:5: parse error: limitk() is experimental and must be enabled with --enable-feature=promql-experimental-functions",
        ),
        ("a[5m+1m]", "1:3: parse error: experimental duration expression is not enabled"),
        ("rate(a[5m] smoothed)", "1:6: parse error: smoothed modifier is experimental and not enabled"),
        ("a + fill(0) b", "1:5: parse error: binary operator fill modifiers are experimental and not enabled"),
    ] {
        assert_eq!(promql::parse(text).expect_err("behind a flag").to_string(), wanted);
        assert!(parse(text).is_ok(), "{text}");
    }
}

#[test]
fn a_long_text_takes_linear_time() {
    let text = format!("a{{{}}}", "b=\"c\",".repeat(50_000));
    assert_eq!(promql::parse_selector(&text).expect("a selector").len(), 50_001);
    assert_eq!(promql::parse("rate(up[5m])").expect("a call").selectors().len(), 1);
    assert!(promql::parse_selector("up offset 1m").is_err() && promql::parse_selector("sum(up)").is_err());
    assert_eq!(promql::parse("\n  up +").expect_err("no end").to_string(), "2:7: parse error: unexpected end of input");
}
