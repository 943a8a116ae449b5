//! The script runner must be able to fail: scripts that pass are broken in one place each, and every break is seen.

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
