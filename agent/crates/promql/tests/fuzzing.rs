//! Known expressions, broken in random places: the parser says what is wrong and never panics, and what still parses
//! prints to the same tree and evaluates to something.
//!
//! The expressions are those of Prometheus's parser tests and scripts and of real dashboards, which lie beside the
//! project, and a few of our own for where they are missing. `NARTHEX_FUZZ_SECONDS` makes it as long as one likes,
//! `NARTHEX_FUZZ_SEED` begins elsewhere; the seed of a failure is printed.

mod support;

use model::UnixMs;
use promql::{Engine, Features, Limits, RangeArgs};
use serde_json::Value;
use support::memory::Memory;
use support::random::{Random, rounds};
use support::{shared, shared_text};

/// How often each expression is broken.
const ROUNDS: usize = 12;

/// How many places of it at most.
const BREAKS_MAX: usize = 4;

const OWN: [&str; 8] = [
    "sum by (job, \"a b\") (rate(x{job=~\"a|b\", c!=\"\"}[5m] offset -1h)) / on (job) group_left (y) z @ end()",
    "histogram_quantile(0.9, sum without (pod) (rate(h_bucket[5m:30s] @ 1.5)))",
    "label_replace(up, \"a\", \"${1}x\", \"b\", \"(.*)\\u00e9\") or vector(-0x1F) unless absent(up) and 1e3 > bool .5",
    "topk(3, {\"utf8 name\", l='v'}) ^ -2 ^ a atan2 b % 7",
    "max_over_time((a > 1)[1h30m:] offset 5m) + fill_left(0) fill_right(NaN) b",
    "rate(a[step() + min_of(1m, range())] smoothed) </ 5 >/ histogram_count(h)",
    "limitk(2, a) + ignoring (x) group_right (y) quantile(0.5, b) == count_values(\"v\", c)",
    "quantile_over_time(scalar(q), a[2m] anchored) # comment\n * time()",
];

const PIECES: [&str; 40] = [
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "=",
    "=~",
    "!=",
    "\"",
    "'",
    "`",
    "\\",
    "5m",
    "0",
    "-",
    "+",
    "*",
    "/",
    "^",
    "@",
    " offset ",
    " by (a) ",
    " without ",
    " on() ",
    " group_left ",
    " bool ",
    " and ",
    "start()",
    "rate",
    "sum",
    "1e999",
    "é",
    "\u{0}",
    "#",
    "\n",
    "[1m:]",
    "fill(1)",
];

/// All expressions that are known.
fn expressions() -> Vec<String> {
    let mut all: Vec<String> = OWN.iter().map(|text| (*text).to_owned()).collect();
    if let Some(golden) = shared_text("suites/promqltest/parse_query/golden-3.5.3.jsonl") {
        let query = |line: &str| {
            serde_json::from_str::<Value>(line).expect("a golden line")["query"].as_str().map(str::to_owned)
        };
        all.extend(golden.lines().filter_map(query));
    }
    for entry in std::fs::read_dir(shared().join("real-queries")).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".rendered.txt") || name.ends_with(".exprs.txt") {
            let text = shared_text(&format!("real-queries/{name}")).expect("it was listed");
            all.extend(text.lines().map(str::to_owned));
        }
    }
    all
}

/// Breaks a text in one place: something is left out, doubled, put in, or taken from another text.
fn break_once(random: &mut Random, text: &mut String, others: &[String]) {
    let place = |random: &mut Random, text: &str| {
        let at = random.below(text.len() + 1);
        (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
    };
    let (a, b) = (place(random, text), place(random, text));
    let (a, b) = (a.min(b), a.max(b).min(a.min(b) + 12));
    let b = (b..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    match random.below(4) {
        0 => text.replace_range(a..b, ""),
        1 => {
            let doubled = text[a..b].to_owned();
            text.insert_str(a, &doubled);
        }
        2 => text.insert_str(a, PIECES[random.below(PIECES.len())]),
        _ => {
            let other = random.one_of(others);
            let from = place(random, other);
            let piece: String = other[from..].chars().take(9).collect();
            text.replace_range(a..b, &piece);
        }
    }
}

#[test]
fn broken_expressions_are_refused_or_print_to_the_same() {
    let all = expressions();
    let data = "up{job=\"a\"} 1 0\nup{job=\"a\"} 2 15\nup{job=\"b\"} 3 15\nnode_load1 NaN 30\na 4 0\na 2 30\nb{x=\"1\"} 7 30\n";
    let memory = Memory::read(data);
    let (mut parsed, mut refused) = (0, 0);
    let mut done = 0;
    for round in rounds(ROUNDS) {
        done += 1;
        for (i, expression) in all.iter().enumerate() {
            let seed = (i as u64).wrapping_mul(1_000_003).wrapping_add(round);
            let mut random = Random(seed);
            let mut text = expression.clone();
            for _ in 0..=random.below(BREAKS_MAX) {
                break_once(&mut random, &mut text, &all);
            }
            match promql::parse_with(&text, Features::ALL) {
                Err(error) => {
                    refused += 1;
                    let lines = text.bytes().filter(|b| *b == b'\n').count() as u32 + 1;
                    assert!(error.line <= lines && !error.message.is_empty(), "{text:?}: {error:?}");
                }
                Ok(expr) => {
                    parsed += 1;
                    check(&memory, seed, &text, &expr);
                }
            }
        }
    }
    println!("{} expressions broken {done} times: {refused} refused, {parsed} still parse", all.len());
    assert!(parsed > 20 && refused > 20);
}

fn check(memory: &Memory, seed: u64, text: &str, expr: &promql::Expr) {
    let printed = expr.to_string();
    // Prometheus prints infinity with its sign, which before `^` reads as an operator of its own, and a length below a
    // millisecond as none, which is no length.
    if !["Inf ^", "[0s", ":0s]"].iter().any(|odd| printed.contains(odd)) {
        for way in [printed.clone(), expr.pretty()] {
            let again = promql::parse_with(&way, Features::ALL)
                .unwrap_or_else(|error| panic!("seed {seed}: {text:?} -> {way:?}: {error}"));
            assert_eq!(again.to_string(), printed, "seed {seed}: {text:?}");
        }
    }
    let engine = Engine { limits: Limits { samples_max: 3_000, ..Limits::default() }, ..Engine::default() };
    let _ = engine.instant(memory, expr, UnixMs(31_000), &|| false);
    let range = RangeArgs { start: UnixMs(0), end: UnixMs(60_000), step_ms: 17_000 };
    let _ = engine.range(memory, expr, range, &|| false);
}
