//! The script runner must be able to fail: scripts that pass are broken in one place each, and every break is seen.

mod support;

use std::ops::Range;

use support::random::Random;
use support::{shared, shared_text};

/// Runs a script; returns (passed, failed).
fn run(text: &str) -> (u64, u64) {
    let tally = promql::script::run(text, "mutation.test", &mut |_| ());
    (tally.passed, tally.failed)
}

const SCRIPT: &str = r#"
load 1m
  requests_total{job="a"} 0+60x10
  requests_total{job="b"} 0+120x10
  size {{schema:0 sum:5 count:4 buckets:[1 2 1]}}x10

eval instant at 10m rate(requests_total[5m])
  expect no_warn
  expect no_info
  {job="a"} 1
  {job="b"} 2

eval instant at 10m sort_desc(sum by (job) (requests_total))
  expect ordered
  {job="b"} 1200
  {job="a"} 600

eval range from 8m to 10m step 1m sum(requests_total)
  {} 1440 1620 1800

eval instant at 10m size
  size {{schema:0 sum:5 count:4 buckets:[1 2 1]}}

eval instant at 10m 1 + 1
  2

eval instant at 10m "text"
  expect string "text"

eval instant at 10m rate(size[5m]) or vector(time())
  {} {{schema:0 sum:0 count:0 counter_reset_hint:gauge}}

eval instant at 10m requests_total + on() requests_total
  expect fail regex: many-to-many matching not allowed

eval instant at 10m topk(NaN, requests_total)
  expect fail msg: Parameter value is NaN

eval instant at 10m rate(size[5m]) > bool rate(size[5m])
  expect info msg: PromQL info: incompatible sample types encountered for binary operator ">": histogram > histogram (1:1)
"#;

/// Each pair is a text of the script and what it is broken into.
const BREAKS: [(&str, &str); 17] = [
    ("{job=\"a\"} 1\n", "{job=\"a\"} 1.00001\n"),
    ("{job=\"a\"} 1\n", ""),
    ("{job=\"a\"} 1\n", "{job=\"a\"} 1\n  {job=\"c\"} 1\n"),
    ("{job=\"a\"} 1\n", "{job=\"A\"} 1\n"),
    ("  {job=\"b\"} 1200\n  {job=\"a\"} 600\n", "  {job=\"a\"} 600\n  {job=\"b\"} 1200\n"),
    ("1440 1620 1800", "1440 1621 1800"),
    ("1440 1620 1800", "1440 _ 1800"),
    ("1440 1620 1800", "1440 1620"),
    (
        "size {{schema:0 sum:5 count:4 buckets:[1 2 1]}}\n\neval",
        "size {{schema:0 sum:5 count:4 buckets:[1 2 2]}}\n\neval",
    ),
    (
        "size {{schema:0 sum:5 count:4 buckets:[1 2 1]}}\n\neval",
        "size {{schema:0 sum:6 count:4 buckets:[1 2 1]}}\n\neval",
    ),
    ("\n  2\n", "\n  3\n"),
    ("string \"text\"", "string \"other\""),
    ("count:0 counter_reset_hint:gauge", "count:0 counter_reset_hint:reset"),
    ("regex: many-to-many", "regex: many-to-some"),
    ("value is NaN", "value is none"),
    ("(1:1)", "(1:2)"),
    ("  expect no_info\n  {job=\"a\"}", "  expect info\n  {job=\"a\"}"),
];

#[test]
fn every_broken_expectation_fails() {
    assert_eq!(run(SCRIPT), (10, 0));
    for (from, to) in BREAKS {
        assert_eq!(SCRIPT.matches(from).count(), 1, "{from:?} stands once");
        assert_eq!(run(&SCRIPT.replace(from, to)), (9, 1), "{from:?} -> {to:?} was not seen");
    }
    // A load that makes no sense is a failure of its own, and what needed its data fails too.
    let (passed, failed) = run(&SCRIPT.replace("0+60x10", "0+60y10"));
    assert!(passed + failed == 11 && failed >= 6, "{passed} passed, {failed} failed");
}

/// How many values of Prometheus's scripts are changed, one at a time.
const MUTATIONS: usize = 60;

/// An expected number in a script: the line of its `eval`, from 1, and its bytes.
struct Expected {
    eval: usize,
    bytes: Range<usize>,
}

/// Finds the expected numbers of a script: plain values of series, and counts and sums of histograms.
fn expected_numbers(text: &str) -> Vec<Expected> {
    let (mut found, mut eval, mut start) = (Vec::new(), None, 0);
    for (line, number) in text.split_inclusive('\n').zip(1..) {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            eval = None;
        } else if trimmed.starts_with("eval") {
            eval = Some(number);
        } else if let Some(eval) = eval.filter(|_| !trimmed.starts_with("expect")) {
            let numbers = if line.contains("{{") { histogram_numbers(line) } else { plain_numbers(line) };
            found.extend(numbers.into_iter().map(|at| Expected { eval, bytes: start + at.start..start + at.end }));
        }
        start += line.len();
    }
    found
}

/// Returns the numbers behind a series' labels or name, or the one number there is.
fn plain_numbers(line: &str) -> Vec<Range<usize>> {
    let blank = |line: &str| line.len() - line.trim_start().len();
    let begin = match (line.rfind('}'), line.trim().contains(char::is_whitespace)) {
        (Some(at), _) => at + 1,
        (None, true) => blank(line) + line.trim_start().find(char::is_whitespace).unwrap_or(0),
        (None, false) => 0,
    };
    let words = line[begin..].split_whitespace();
    let at = |word: &str| word.as_ptr() as usize - line.as_ptr() as usize;
    let is_number = |word: &&str| word.bytes().all(|b| b"0123456789.e+-".contains(&b)) && word.parse::<f64>().is_ok();
    words.filter(is_number).map(|word| at(word)..at(word) + word.len()).collect()
}

/// Returns the numbers behind `count:` and `sum:` of histograms that stand for one sample.
fn histogram_numbers(line: &str) -> Vec<Range<usize>> {
    let keys = ["count:", "sum:"].iter().flat_map(|key| line.match_indices(key));
    let ends = keys.map(|(at, key)| (at + key.len(), &line[at + key.len()..]));
    let number = |(at, rest): (usize, &str)| {
        let length = rest.find(|c: char| !"0123456789.e+-".contains(c)).unwrap_or(rest.len());
        rest[..length].parse::<f64>().ok().map(|_| at..at + length)
    };
    if line.contains("}}x") || line.contains("}}+") || line.contains("}}-") {
        return Vec::new();
    }
    ends.filter_map(number).collect()
}

/// Every one of Prometheus's own cases must be able to fail: a number that is off by a hundredth is seen, in the case
/// it belongs to and in no other.
#[test]
fn every_changed_number_of_prometheus_s_scripts_fails_its_case() {
    let Some(_) = shared_text("suites/promqltest/head/functions.test") else { return };
    let folder = std::fs::read_dir(shared().join("suites/promqltest/head")).expect("the folder of the file above");
    let mut names: Vec<String> = folder.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    let scripts: Vec<(String, String)> = names
        .into_iter()
        .filter(|name| name.ends_with(".test"))
        .filter_map(|name| shared_text(&format!("suites/promqltest/head/{name}")).map(|text| (name, text)))
        .collect();
    let all: Vec<(usize, Expected)> = scripts
        .iter()
        .enumerate()
        .flat_map(|(i, (_, text))| expected_numbers(text).into_iter().map(move |expected| (i, expected)))
        .collect();
    let mut random = Random(1);
    for _ in 0..MUTATIONS {
        let (i, expected) = random.one_of(&all);
        let (name, text) = &scripts[*i];
        let value: f64 = text[expected.bytes.clone()].parse().expect("a number");
        let changed = format!("{}", value + (value.abs() * 0.01).max(0.01));
        let mut broken = text.clone();
        broken.replace_range(expected.bytes.clone(), &changed);
        let mut failed = Vec::new();
        promql::script::run(&broken, name, &mut |outcome| {
            if outcome.failure.is_some() {
                failed.push(outcome.line);
            }
        });
        assert_eq!(failed, [expected.eval], "{name}:{}: {value} -> {changed} at {:?}", expected.eval, expected.bytes);
    }
    println!("{MUTATIONS} of {} expected numbers were changed, and each case failed", all.len());
    assert!(all.len() > 1_000, "only {} numbers were found", all.len());
}
