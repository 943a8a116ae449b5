//! Odd texts and what Prometheus 3.5.3 said to each when it scraped it (its `lastError`, empty where it took it).
//!
//! Asked over HTTP of the real program, one target a text. Where we differ on purpose, the text stands in `OURS`
//! with the reason.

use super::*;

fn error_of(format: Format, bytes: &[u8]) -> String {
    let mut scrape = Scrape::new(format, bytes, ScrapeOptions::default(), Limits::default());
    loop {
        match scrape.next_entry() {
            Ok(Some(_)) => {}
            Ok(None) => return String::new(),
            Err(error) => return error.what,
        }
    }
}

fn check(format: Format, asked: &[(&[u8], &str)], ours: &[(&[u8], &str)]) {
    let mut wrong = Vec::new();
    for (text, answer) in asked {
        let wanted = ours.iter().find(|(other, _)| other == text).map_or(*answer, |(_, ours)| *ours);
        let found = error_of(format, text);
        if found != wanted {
            wrong.push(format!("{}\n  found  {found}\n  wanted {wanted}", text.escape_ascii()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn odd_prometheus_text_is_judged_as_the_peer_judges_it() {
    check(Format::Text, PROMETHEUS, OURS_OF_PROMETHEUS);
}

#[test]
fn odd_openmetrics_is_judged_as_the_peer_judges_it() {
    check(Format::OpenMetrics, OPENMETRICS, OURS_OF_OPENMETRICS);
}

/// The reasons: 3.5.3 takes a bare name in braces for the metric's name and cuts its first and last letter off
/// (`{abc}` is `b`), which its next version does not; it takes a NUL byte for the end and drops the rest in silence;
/// and its word on bad names repeats the target's own labels, which are not known here.
#[rustfmt::skip]
const OURS_OF_PROMETHEUS: &[(&[u8], &str)] = &[
    (b"{abc} 1\n", "expected equal, got \"} \" (\"BCLOSE\") while parsing: \"{abc} \""),
    (b"a{b} 1\n", "expected equal, got \"} \" (\"BCLOSE\") while parsing: \"a{b} \""),
    (b"\0\na 1\n", "expected a valid start token, got \"\\x00\" (\"INVALID\") while parsing: \"\\x00\""),
    (b"a 1\n\0b 2\n", "expected a valid start token, got \"\\x00\" (\"INVALID\") while parsing: \"\\x00\""),
    (b"{\"\xff\"} 1\n", "invalid UTF-8 metric or label name: \"\\xff\""),
    (b"a{\"\xff\"=\"x\"} 1\n", "invalid UTF-8 metric or label name: \"\\xff\""),
    (b"a{\"\"=\"x\"} 1\n", "expected a label name that is not empty"),
];

/// As above, for OpenMetrics.
#[rustfmt::skip]
const OURS_OF_OPENMETRICS: &[(&[u8], &str)] = &[
    (b"{abc} 1\n# EOF\n", "expected equal, got \"} \" (\"BCLOSE\") while parsing: \"{abc} \""),
    (b"a{b} 1\n# EOF\n", "expected equal, got \"} \" (\"BCLOSE\") while parsing: \"a{b} \""),
    (b"a 1 # {bb,c=\"d\"} 1\n# EOF\n", "expected equal, got \",c\" (\"COMMA\") while parsing: \"a 1 # {bb,c\""),
];

/// Prometheus text.
#[rustfmt::skip]
const PROMETHEUS: &[(&[u8], &str)] = &[
    (b"  a 1\n", ""),
    (b"a 1 -5\n", "expected timestamp or new record, got \"-\" (\"INVALID\") while parsing: \"a 1 -\""),
    (b"a 1 2a\n", "expected next entry after timestamp, got \"a\" (\"INVALID\") while parsing: \"a 1 2a\""),
    (b"a 1\r\n", "strconv.ParseFloat: parsing \"1\\r\": invalid syntax while parsing: \"a 1\\r\""),
    (b"a{b=\"c\"}1\n", ""),
    (b"a{b=\"x\ny\"} 1\n", ""),
    (b"a{b=\"x\\\ny\"} 1\n", "expected label value, got \"\\\"x\\\\\\n\" (\"INVALID\") while parsing: \"a{b=\\\"x\\\\\\n\""),
    (b"{abc} 1\n", ""),
    (b"{\"abc\"} 1\n", ""),
    (b"{\"a b\",\"c\"} 1\n", "metric name already set while parsing: \"{\\\"a b\\\",\\\"c\\\"}\""),
    (b"a{\"b\"} 1\n", "metric name already set while parsing: \"a{\\\"b\\\"}\""),
    (b"a{b} 1\n", "metric name already set while parsing: \"a{b}\""),
    (b"{\"a\0b\"} 1\n", "expected label name, got \"\\\"a\\x00\" (\"INVALID\") while parsing: \"{\\\"a\\x00\""),
    (b"# TYPE \"a\0b\" gauge\n", "expected metric name after TYPE, got \"\\\"a\\x00\" (\"INVALID\") while parsing: \"# TYPE \\\"a\\x00\""),
    (b"a{b=\"1\",b=\"2\"} 1\n", "label name \"b\" is not unique: invalid sample"),
    (b"a{__name__=\"x\"} 1\n", "label name \"__name__\" is not unique: invalid sample"),
    (b"\0\na 1\n", ""),
    (b"a 1\n\0b 2\n", ""),
    (b"#foo\0bar\nb 2\n", ""),
    (b"# TYPE a gauge \na 1\n", "invalid metric type \"gauge \""),
    (b"# TYPE  a gauge\na 1\n", ""),
    (b"# TYPE a  gauge\na 1\n", "invalid metric type \" gauge\""),
    (b"# TYPE a\na 1\n", "invalid metric type \"\""),
    (b"# HELP\na 1\n", ""),
    (b"# HELPX a\na 1\n", ""),
    (b"# HELP \"a b\"x y\n{\"a b\"} 1\n", ""),
    (b"a 1 # {x=\"y\"} 1\n", "expected timestamp or new record, got \"#\" (\"INVALID\") while parsing: \"a 1 #\""),
    (b"a nan\n", ""),
    (b"a +nan\n", "strconv.ParseFloat: parsing \"+nan\": invalid syntax while parsing: \"a +nan\""),
    (b"a 1e999\n", "strconv.ParseFloat: parsing \"1e999\": value out of range while parsing: \"a 1e999\""),
    (b"a infinity\n", ""),
    (b"a 0x1\n", "strconv.ParseFloat: parsing \"0x1\": invalid syntax while parsing: \"a 0x1\""),
    (b"a .5\n", ""),
    (b"a 5.\n", ""),
    (b"a 1.e3\n", ""),
    (b"a\n", "expected value after metric, got \"\\n\" (\"INVALID\") while parsing: \"a\\n\""),
    (b"a{} 1\n", ""),
    (b"a{,} 1\n", "expected label name, got \",}\" (\"COMMA\") while parsing: \"a{,}\""),
    (b"a{b=\"c\",,} 1\n", "expected label name, got \",}\" (\"COMMA\") while parsing: \"a{b=\\\"c\\\",,}\""),
    (b"a{b=\"\\x\\\"\\\\\\n\"} 1\n", ""),
    (b"# bad \xff comment\na 1\n", ""),
    (b"# HELP a \xff\na 1\n", "help text \"\\xff\" is not a valid utf8 string"),
    (b"{\"\xff\"} 1\n", "invalid metric name or label names: {__name__=\"\\xff\", instance=\"127.0.0.1:19411\", job=\"c40\"}"),
    (b"a{\"\xff\"=\"x\"} 1\n", "invalid metric name or label names: {__name__=\"a\", instance=\"127.0.0.1:19411\", job=\"c41\", \"\\xff\"=\"x\"}"),
    (b"a{\"\"=\"x\"} 1\n", "invalid metric name or label names: {\"\"=\"x\", __name__=\"a\", instance=\"127.0.0.1:19411\", job=\"c42\"}"),
    (b"{\"\"} 1\n", "missing metric name (__name__ label)"),
    (b"a{b=\"c\" d=\"e\"} 1\n", ""),
    (b"a 99999999999999999999 99999999999999999999\n", "strconv.ParseInt: parsing \"99999999999999999999\": value out of range while parsing: \"a 99999999999999999999 99999999999999999999\""),
    (b"a 1 99999999999999999999\n", "strconv.ParseInt: parsing \"99999999999999999999\": value out of range while parsing: \"a 1 99999999999999999999\""),
    (b"# TYPE a histogram\na_bucket{le=\"1000000\"} 1\na_bucket{le=\"1e-7\"} 1\na_bucket{le=\"-0\"} 1\na_bucket{le=\"x\"} 1\n", ""),
    (b"# TYPE a gaugehistogram\na 1\n", "invalid metric type \"gaugehistogram\""),
    (b"# TYPE a summary\na{quantile=\"0.50\"} 1\na{le=\"1\"} 1\n", ""),
    (b"a 1{\n", "expected timestamp or new record, got \"{\" (\"INVALID\") while parsing: \"a 1{\""),
    (b"a 1 2 3\n", "expected next entry after timestamp, got \"3\\n\" (\"TIMESTAMP\") while parsing: \"a 1 2 3\\n\""),
    (b"a 1\n# TYPE a summary", ""),
    (b"# HELP a x", ""),
    (b"a{\"x\"=\"1\",} 1\n", ""),
    (b"{\"a\"=\"1\"} 1\n", "metric name not set while parsing: \"{\\\"a\\\"=\\\"1\\\"} 1\""),
    (b"{b=\"1\",\"a\"} 1\n", ""),
    (b"{\"a\"b=\"1\"} 1\n", "expected equal, got \"b=\" (\"LNAME\") while parsing: \"{\\\"a\\\"b=\""),
    (b"{\"a\" , b=\"1\"} 1\n", ""),
    (b"# TYPE \"a gauge\na 1\n", "expected metric name after TYPE, got \"\\\"a gauge\\na 1\\n\\n\" (\"INVALID\") while parsing: \"# TYPE \\\"a gauge\\na 1\\n\\n\""),
    (b"a:b{c:d=\"1\"} 1\n", "expected equal, got \":\" (\"INVALID\") while parsing: \"a:b{c:\""),
    (b"a -0\n", ""),
    (b"a --1\n", "strconv.ParseFloat: parsing \"--1\": invalid syntax while parsing: \"a --1\""),
    (b"a 1,5\n", "strconv.ParseFloat: parsing \"1,5\": invalid syntax while parsing: \"a 1,5\""),
    (b"{\"a\\nb\\\\c\\\"d\\q\"} 1\n", ""),
    (b"a{a=\"\"} 1\n", ""),
    (b"a{a=\"1\"}\n", "expected value after metric, got \"\\n\" (\"INVALID\") while parsing: \"a{a=\\\"1\\\"}\\n\""),
    (b"a{ 1\n", "expected label name, got \"1\" (\"INVALID\") while parsing: \"a{ 1\""),
    (b"a }\n", "strconv.ParseFloat: parsing \"}\": invalid syntax while parsing: \"a }\""),
    (b"1a 1\n", "expected a valid start token, got \"1\" (\"INVALID\") while parsing: \"1\""),
    (b"+ 1\n", "expected a valid start token, got \"+\" (\"INVALID\") while parsing: \"+\""),
];

/// OpenMetrics.
#[rustfmt::skip]
const OPENMETRICS: &[(&[u8], &str)] = &[
    (b"a 1\n# EOF", ""),
    (b"a 1 x\n# EOF\n", "strconv.ParseFloat: parsing \"x\": invalid syntax while parsing: \"a 1 x\""),
    (b"a 1 # foo\n# EOF\n", "expected a valid start token, got \"f\" (\"INVALID\") while parsing: \"f\""),
    (b"a 1 #\n# EOF\n", "strconv.ParseFloat: parsing \"#\": invalid syntax while parsing: \"a 1 #\""),
    (b"a 1 \n# EOF\n", "expected a valid start token, got \"\\n#\" (\"LINEBREAK\") while parsing: \"\\n#\""),
    (b"a  1\n# EOF\n", "expected value after metric, got \"  \" (\"INVALID\") while parsing: \"a  \""),
    (b"a{b=\"c\"}1\n# EOF\n", "expected value after metric, got \"1\" (\"INVALID\") while parsing: \"a{b=\\\"c\\\"}1\""),
    (b"a 1 # {bb,c=\"d\"} 1\n# EOF\n", "expected label name, got \",c\" (\"COMMA\") while parsing: \"a 1 # {bb,c\""),
    (b"a 1 # {\"bb\"} 1\n# EOF\n", "expected label name, got \"} \" (\"BCLOSE\") while parsing: \"a 1 # {\\\"bb\\\"} \""),
    (b"a 1 # {} 1\n# EOF\n", ""),
    (b"a 1 # {a=\"b\"} 1 1 1\n# EOF\n", "expected next entry after exemplar timestamp, got \" 1\\n\" (\"TIMESTAMP\") while parsing: \"a 1 # {a=\\\"b\\\"} 1 1 1\\n\""),
    (b"a 1 # {a=\"b\"} 1 x\n# EOF\n", "strconv.ParseFloat: parsing \"x\": invalid syntax while parsing: \"a 1 # {a=\\\"b\\\"} 1 x\""),
    (b"a 1 # {a=\"b\"} 1 \n# EOF\n", "expected timestamp or comment, got \" \\n\" (\"INVALID\") while parsing: \"a 1 # {a=\\\"b\\\"} 1 \\n\""),
    (b"a{b=\"c\"d=\"e\"} 1\n# EOF\n", "expected comma or brace close, got \"d=\" (\"LNAME\") while parsing: \"a{b=\\\"c\\\"d=\""),
    (b"a{b=\"c\", d=\"e\"} 1\n# EOF\n", "expected label name, got \" \" (\"INVALID\") while parsing: \"a{b=\\\"c\\\", \""),
    (b"a{b=\"c\",} 1\n# EOF\n", ""),
    (b"a{ b=\"c\"} 1\n# EOF\n", "expected label name, got \" \" (\"INVALID\") while parsing: \"a{ \""),
    (b"# HELP a \xff\na 1\n# EOF\n", "help text \"\\xff\" is not a valid utf8 string"),
    (b"# HELP a b\nb 1\n\n# EOF\n", "expected a valid start token, got \"\\n\" (\"INVALID\") while parsing: \"\\n\""),
    (b"# a comment\n# EOF\n", "expected a valid start token, got \"# a\" (\"INVALID\") while parsing: \"# a\""),
    (b"# TYPE a counter\na_total 1\na_created 12\n# EOF\n", ""),
    (b"a 1 -5\n# EOF\n", ""),
    (b"a 1 1e3\n# EOF\n", ""),
    (b"a 1 1e300\n# EOF\n", ""),
    (b"a{b=\"x\ny\"} 1\n# EOF\n", "expected label value, got \"\\\"x\\n\" (\"INVALID\") while parsing: \"a{b=\\\"x\\n\""),
    (b"{\"a\nb\"} 1\n# EOF\n", ""),
    (b"{abc} 1\n# EOF\n", ""),
    (b"a{b} 1\n# EOF\n", "metric name already set while parsing: \"a{b}\""),
    (b"{\"a\",\"b\"} 1\n# EOF\n", "metric name already set while parsing: \"{\\\"a\\\",\\\"b\\\"}\""),
    (b"# TYPE a gaugehistogram\na_bucket{le=\"1\"} 1\n# EOF\n", ""),
    (b"# HELP a \\\"x\\\" \\n \\\\\na 1\n# EOF\n", ""),
    (b"# UNIT a_seconds seconds\na_seconds 1\n# EOF\n", ""),
    (b"# TYPE a  counter\n# EOF\n", "invalid metric type \" counter\""),
    (b"# TYPE \"a\"counter\n# EOF\n", "expected text in TYPE"),
    (b"# TYPE\n# EOF\n", "expected a valid start token, got \"# TYPE\\n\" (\"INVALID\") while parsing: \"# TYPE\\n\""),
    (b"# EOF\r\n", "unexpected data after # EOF"),
    (b"a 1\r\n# EOF\n", "strconv.ParseFloat: parsing \"1\\r\": invalid syntax while parsing: \"a 1\\r\""),
    (b"a nan\n# EOF\n", ""),
    (b"a 1 # {a=\"b\"}1\n# EOF\n", "expected value after exemplar labels, got \"1\" (\"INVALID\") while parsing: \"a 1 # {a=\\\"b\\\"}1\""),
    (b"a 1 # {a=\"b\"} 1 # {a=\"b\"} 1\n# EOF\n", "strconv.ParseFloat: parsing \"#\": invalid syntax while parsing: \"a 1 # {a=\\\"b\\\"} 1 #\""),
    (b"a 1 2 # {a=\"b\"} 1 # {a=\"b\"} 1\n# EOF\n", "strconv.ParseFloat: parsing \"#\": invalid syntax while parsing: \"a 1 2 # {a=\\\"b\\\"} 1 #\""),
    (b"a 1 # {a=\"\xff\"} 1\n# EOF\n", "invalid UTF-8 label value: \"\\\"\\xff\\\"\""),
    (b"a 1 # {a=\"b\" c=\"d\"} 1\n# EOF\n", "expected comma or brace close, got \" \" (\"INVALID\") while parsing: \"a 1 # {a=\\\"b\\\" \""),
    (b"\0# EOF\n", "expected a valid start token, got \"\\x00\" (\"INVALID\") while parsing: \"\\x00\""),
    (b"a 1 #  {a=\"b\"} 1\n# EOF\n", "expected a valid start token, got \" {a=\\\"b\\\"} \" (\"TIMESTAMP\") while parsing: \" {a=\\\"b\\\"} \""),
    (b"a\t1\n# EOF\n", "expected value after metric, got \"\\t\" (\"INVALID\") while parsing: \"a\\t\""),
    (b"a 1\t\n# EOF\n", "strconv.ParseFloat: parsing \"1\\t\": invalid syntax while parsing: \"a 1\\t\""),
    (b" a 1\n# EOF\n", "expected a valid start token, got \" \" (\"INVALID\") while parsing: \" \""),
    (b"# EOF a\n", "unexpected data after # EOF"),
    (b"# TYPE a counter", "expected text in TYPE"),
    (b"# UNIT a_b b", "expected text in UNIT"),
    (b"a{b=\"c\\", "expected label value, got \"\\\"c\\\\\" (\"INVALID\") while parsing: \"a{b=\\\"c\\\\\""),
    (b"a 1 2", "expected next entry after timestamp, got \" 2\" (\"EOF\") while parsing: \"a 1 2\""),
    (b"a 1 # {a=\"b\"} 1", "data does not end with # EOF"),
    (b"a 1 # {a=\"b\"} 1 2", "expected next entry after exemplar timestamp, got \" 2\" (\"EOF\") while parsing: \"a 1 # {a=\\\"b\\\"} 1 2\""),
    (b"a{b=\"c\" ,d=\"e\"} 1\n# EOF\n", "expected comma or brace close, got \" \" (\"INVALID\") while parsing: \"a{b=\\\"c\\\" \""),
    (b"# HELP a", "expected text in HELP"),
    (b"a 1 +Inf\n# EOF\n", "invalid timestamp +Inf"),
];
