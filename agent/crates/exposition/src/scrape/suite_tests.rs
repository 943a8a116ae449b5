//! Runs the upstream parsers' own tables and corpora through ours: `suites/openmetrics` of the shared data.
//!
//! What a table expects and what we read are both written as one line an entry and compared. The raw text of a series,
//! which the peer's tables name too, is not part of our entries; its labels are. Where the data is not there, the test
//! says so and passes. Cases that the tables do not carry (their input is made by code) are counted as left out.

use std::path::PathBuf;

use serde_json::Value;

use super::*;
use crate::TextParser;
use lines::{expected, line_of};
use model::Batch;

#[path = "suite_tests/lines.rs"]
mod lines;
#[path = "suite_tests/textproto.rs"]
pub(super) mod textproto;

fn suite(path: &str) -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let base = std::env::var_os("NARTHEX_SHARED").map_or_else(|| root.join("../shared"), PathBuf::from);
    let path = base.join("suites/openmetrics").join(path);
    if path.exists() {
        return Some(path);
    }
    let message = format!("LEFT OUT: {} is not there; set NARTHEX_SHARED", path.display());
    assert!(std::env::var_os("NARTHEX_NOTHING_LEFT_OUT").is_none(), "{message}");
    println!("{message}");
    None
}

fn json(name: &str) -> Option<Value> {
    let text = std::fs::read_to_string(suite(name)?).expect("a readable table");
    Some(serde_json::from_str(&text).expect("JSON"))
}

/// Returns the cases of a table.
fn cases<'a>(suite: &'a Value, func: &str, var: &str) -> &'a [Value] {
    let tables = suite["tables"].as_array().expect("tables");
    let table = tables.iter().find(|table| table["func"] == func && table["var"] == var);
    table.and_then(|table| table["cases"].as_array()).unwrap_or_else(|| panic!("no table {func}/{var}"))
}

fn input(suite: &Value, func: &str) -> String {
    let strings = suite["strings"].as_array().expect("strings");
    let found = strings.iter().find(|string| string["func"] == func).expect("the input");
    found["value"].as_str().expect("text").to_owned()
}

/// Reads everything and returns a line for each entry, and the error.
pub(super) fn read(format: Format, bytes: &[u8], options: ScrapeOptions) -> (Vec<String>, Option<ScrapeError>) {
    let mut scrape = Scrape::new(format, bytes, options, Limits::default());
    let mut lines = Vec::new();
    loop {
        match scrape.next_entry() {
            Ok(Some(entry)) => lines.push(line_of(&entry)),
            Ok(None) => return (lines, None),
            Err(error) => return (lines, Some(error)),
        }
    }
}

fn check_entries(func: &str, format: Format, body: &str, options: ScrapeOptions, items: &[Value]) -> usize {
    let (found, error) = read(format, body.as_bytes(), options);
    let wanted: Vec<String> = items.iter().map(|item| expected(item, options.type_and_unit)).collect();
    for (i, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
        assert_eq!(found, wanted, "{func}, entry {i}");
    }
    assert_eq!((error, found.len()), (None, wanted.len()), "{func}");
    found.len()
}

/// What the tables' code adds to the inputs: NUL bytes, and the end.
const NULS: &str = "\n# HELP metric foo\0bar\nnull_byte_metric{a=\"abc\0\"} 1";

#[test]
fn prometheus_text_reads_as_the_tables_say() {
    let Some(suite) = json("textparse_prom_test.json") else { return };
    let mut entries = 0;
    for type_and_unit in [false, true] {
        let options = ScrapeOptions { type_and_unit, ..ScrapeOptions::default() };
        let body = input(&suite, "TestPromParse") + NULS;
        let items = cases(&suite, "TestPromParse", "exp");
        entries += check_entries("TestPromParse", Format::Text, &body, options, items);
    }
    let body = input(&suite, "TestUTF8PromParse");
    let items = cases(&suite, "TestUTF8PromParse", "exp");
    entries += check_entries("TestUTF8PromParse", Format::Text, &body, ScrapeOptions::default(), items);
    println!("{entries} entries of Prometheus text");
}

#[test]
fn openmetrics_reads_as_the_tables_say() {
    let Some(suite) = json("textparse_om_test.json") else { return };
    let skipping = ScrapeOptions { starts: true, skip_created: true, ..ScrapeOptions::default() };
    let mut entries = 0;
    for type_and_unit in [false, true] {
        let options = ScrapeOptions { type_and_unit, ..skipping };
        let body = input(&suite, "TestOpenMetricsParse") + NULS + "\n# EOF\n";
        let items = cases(&suite, "TestOpenMetricsParse", "exp");
        entries += check_entries("TestOpenMetricsParse", Format::OpenMetrics, &body, options, items);
    }
    let body = format!("{}\n# EOF\n", input(&suite, "TestOpenMetricsParse_UTF8").trim_end());
    let items = cases(&suite, "TestOpenMetricsParse_UTF8", "exp");
    entries += check_entries("TestOpenMetricsParse_UTF8", Format::OpenMetrics, &body, skipping, items);
    for case in cases(&suite, "TestSTParseFailures", "range") {
        let (found, error) = read(Format::OpenMetrics, case["input"].as_str().expect("text").as_bytes(), skipping);
        let since = |item: &Value| format!("since {}", item["st"].as_i64().unwrap_or(0));
        for (found, item) in found.iter().zip(case["expected"].as_array().expect("entries")) {
            let is_metadata = !item["help"].is_null() || !item["typ"].is_null();
            let wanted = if is_metadata { expected(item, false) } else { since(item) };
            assert!(found.ends_with(&wanted), "{found} not {wanted}");
            entries += 1;
        }
        assert_eq!((error, found.len()), (None, case["expected"].as_array().map_or(0, Vec::len)), "{}", case["name"]);
    }
    println!("{entries} entries of OpenMetrics");
}

fn bytes_of(input: &Value) -> Vec<u8> {
    match input["_bytes_latin1"].as_str() {
        Some(text) => text.chars().map(|c| c as u8).collect(),
        None => input.as_str().expect("text").as_bytes().to_vec(),
    }
}

fn check_errors(suite: &Value, format: Format, tables: &[(&str, &str)]) {
    let mut checked = 0;
    for (func, var) in tables {
        for case in cases(suite, func, var) {
            let bytes = bytes_of(&case["input"]);
            let (_, error) = read(format, &bytes, ScrapeOptions { skip_created: true, ..ScrapeOptions::default() });
            let wanted = case["err"].as_str().expect("an error");
            let wanted = if wanted == "EOF" { "" } else { wanted };
            let found = error.map(|error| error.what).unwrap_or_default();
            assert_eq!(found, wanted, "{func}: {:?}", String::from_utf8_lossy(&bytes));
            checked += 1;
        }
    }
    println!("{checked} errors as the tables have them");
}

#[test]
fn errors_are_those_of_the_tables() {
    if let Some(suite) = json("textparse_prom_test.json") {
        check_errors(&suite, Format::Text, &[("TestPromParseErrors", "cases"), ("TestPromNullByteHandling", "cases")]);
    }
    if let Some(suite) = json("textparse_om_test.json") {
        let tables = [("TestOpenMetricsParseErrors", "cases"), ("TestOMNullByteHandling", "cases")];
        check_errors(&suite, Format::OpenMetrics, &tables);
    }
}

#[test]
fn classic_histograms_become_native_as_the_tables_say() {
    let Some(suite) = json("textparse_nhcb_test.json") else { return };
    let options =
        ScrapeOptions { starts: true, skip_created: true, classic_to_native: true, ..ScrapeOptions::default() };
    let mut entries = 0;
    for (func, tail) in [
        ("TestNHCBParserOnOMParser", [NULS, "\n# EOF\n"].concat()),
        ("TestNHCBParserOMParser_MultipleHistograms", String::new()),
        ("TestNHCBParserErrorHandling", String::new()),
    ] {
        let body = input(&suite, func) + &tail;
        let body = if tail.is_empty() { format!("{}\n", body.trim_end()) } else { body };
        entries += check_entries(func, Format::OpenMetrics, &body, options, cases(&suite, func, "exp"));
    }
    let families = cases(&suite, "TestNHCBParserResetLastExponential", "testMetricFamilies");
    let body = textproto::delimited(families.iter().map(|text| text.as_str().expect("text")));
    let (found, error) = read(Format::Protobuf, &body, options);
    let items = cases(&suite, "TestNHCBParserResetLastExponential", "exp");
    let wanted: Vec<String> = items.iter().map(|item| expected(item, false)).collect();
    assert_eq!((found, error), (wanted, None));
    println!("{} entries with histograms made native", entries + items.len());
}

/// Which forms of a histogram come out, for each of the four settings; the table's names are replaced.
#[test]
fn a_histogram_that_is_native_already_is_left_so() {
    let Some(suite) = json("textparse_nhcb_test.json") else { return };
    let func = "TestNHCBParser_NoNHCBWhenExponential";
    let families = cases(&suite, "createTestProtoBufHistogram", "testMetricFamilies");
    let named = |var: &str, name: &str| -> Vec<String> {
        let text = serde_json::to_string(cases(&suite, func, var)).expect("JSON");
        let text = text.replace(r#"{"_id":"metric"}"#, &format!("{name:?}")).replace(r#"{"_id":"st"}"#, "1000");
        let items: Vec<Value> = serde_json::from_str(&text).expect("JSON");
        items.iter().map(|item| expected(&join(item), false)).collect()
    };
    let (mut checked, mut left_out) = (0, 0);
    for (i, family) in families.iter().enumerate() {
        let name = format!("test_histogram{}", i + 1);
        let body = textproto::delimited([family.as_str().expect("text")]);
        for (classic, nhcb) in [(false, false), (true, false), (false, true), (true, true)] {
            let options = ScrapeOptions {
                starts: true,
                classic_to_native: nhcb,
                keep_classic: classic,
                ..ScrapeOptions::default()
            };
            let key = format!("classic={classic}, nhcb={nhcb}");
            let tables = cases(&suite, func, "cases");
            // The second of three cases may be missing: which one a table is of is told by what it expects.
            let is_of = |case: &&Value| {
                let has_native = case["classic=false, nhcb=false"]["expectExponential"] == true;
                let has_classic = case["classic=true, nhcb=false"]["expectClassic"] == true;
                (has_classic, has_native) == [(true, false), (true, true), (false, true)][i]
            };
            let Some(case) = tables.iter().find(is_of).map(|case| &case[&key]) else {
                left_out += 1;
                continue;
            };
            let (found, error) = read(Format::Protobuf, &body, options);
            assert_eq!(error, None);
            let count = |lines: Vec<String>| lines.iter().filter(|line| found.contains(line)).count();
            let forms = ["exponentialSeries", "classicSeries", "nhcbSeries"].map(|var| count(named(var, &name)));
            let wanted = [("expectExponential", 1), ("expectClassic", 6), ("expectNHCB", 1)]
                .map(|(form, series)| if case[form] == true { series } else { 0 });
            assert_eq!(forms, wanted, "{name} {key}: {found:#?}");
            assert_eq!(found.len(), 2 + wanted.iter().sum::<usize>(), "{name} {key}: {found:#?}");
            checked += 1;
        }
    }
    println!("{checked} settings checked, {left_out} are not in the tables; text inputs are made by code: left out");
    assert!(checked >= 8);
}

/// Joins what the table writes as sums of texts.
fn join(item: &Value) -> Value {
    match item {
        Value::Object(map) if map.get("_op").is_some() => {
            let text = |side: &str| match &map[side]["_args"] {
                Value::Array(args) => format!("_bucket{{le={}}}", args[0]),
                _ => map[side].as_str().expect("text").to_owned(),
            };
            Value::String(text("l") + &text("r"))
        }
        Value::Object(map) if map.get("_id").is_some() => Value::Null,
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), join(value))).collect(),
        Value::Array(items) => items.iter().map(join).collect(),
        other => other.clone(),
    }
}

#[test]
fn names_are_not_mixed_up_between_histograms() {
    let Some(suite) = json("textparse_nhcb_test.json") else { return };
    let func = "TestNHCBNotCorruptMetricNameAfterRead";
    let options = ScrapeOptions { classic_to_native: true, ..ScrapeOptions::default() };
    let families = cases(&suite, func, "testMetricFamilies");
    let proto = textproto::delimited(families.iter().map(|text| text.as_str().expect("text")));
    let text = input(&suite, func);
    let open = format!("{}\n", text.trim_end());
    for (format, body) in
        [(Format::Protobuf, &proto[..]), (Format::Text, text.as_bytes()), (Format::OpenMetrics, open.as_bytes())]
    {
        let mut scrape = Scrape::new(format, body, options, Limits::default());
        let mut names = Vec::new();
        while let Some(entry) = scrape.next_entry().expect("good bytes") {
            match entry {
                Entry::Type { name, .. } => names.push(format!("type {name}")),
                Entry::Histogram(sample) => names.push(sample.name.to_owned()),
                Entry::Sample(sample) => names.push(format!("sample {}", sample.name)),
                _ => {}
            }
        }
        let wanted =
            ["type test_histogram_seconds", "test_histogram_seconds", "type different_metric", "different_metric"];
        assert_eq!(names, wanted, "{format:?}");
    }
}

#[test]
fn the_openmetrics_corpus_is_judged_as_prometheus_judges_it() {
    let (Some(folder), Some(accepted)) = (suite("parsers"), json("prometheus_accepts_bad.json")) else { return };
    let accepted: Vec<&str> = accepted.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    let (mut good, mut bad, mut lenient) = (0, 0, 0);
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        let Ok(text) = std::fs::read_to_string(path.join("test.json")) else { continue };
        let test: Value = serde_json::from_str(&text).expect("JSON");
        let body = std::fs::read(path.join(test["file"].as_str().expect("a file"))).expect("a readable file");
        let (_, error) = read(Format::OpenMetrics, &body, ScrapeOptions::default());
        match (test["shouldParse"] == true, accepted.contains(&name.as_str())) {
            (true, _) => {
                assert_eq!(error, None, "{name}");
                good += 1;
            }
            (false, true) => {
                // Prometheus refuses a label given twice when it stores the sample, and so loses the scrape too.
                let what = error.map(|error| error.what).unwrap_or_default();
                assert!(what.is_empty() || what.ends_with("is not unique: invalid sample"), "{name}: {what}");
                lenient += usize::from(what.is_empty());
            }
            (false, false) => {
                assert!(error.is_some(), "{name} is accepted");
                bad += 1;
            }
        }
    }
    println!("{good} good ones accepted, {bad} bad ones refused, {lenient} bad ones accepted as Prometheus does");
    assert!(good > 20 && bad > 50);
}

#[test]
fn the_old_text_corpus_is_judged_as_expfmt_judges_it() {
    let Some(folder) = suite("expfmt_fuzz") else { return };
    let (mut good, mut bad) = (0, 0);
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        let body = std::fs::read(&path).expect("a readable file");
        let mut batch = Batch::new();
        let strict = TextParser::new().parse(&body, &mut batch);
        if name.contains("error") {
            assert!(strict.is_err(), "{name} is accepted");
            bad += 1;
        } else {
            assert_eq!(strict, Ok(()), "{name}");
            // Prometheus has no times before 1970, expfmt has.
            let (_, error) = read(Format::Text, &body, ScrapeOptions::default());
            let what = error.map(|error| error.what).unwrap_or_default();
            assert!(
                what.is_empty() || what.starts_with("expected timestamp or new record, got \"-\""),
                "{name}: {what}"
            );
            good += 1;
        }
    }
    println!("{good} good ones accepted, {bad} bad ones refused");
}

#[test]
fn real_expositions_are_read_whole_by_every_way() {
    for (file, format) in [
        ("expfmt_text.txt", Format::Text),
        ("alltypes.237mfs.prom.txt", Format::Text),
        ("alltypes.5mfs.om.txt", Format::OpenMetrics),
        ("1histogram.om.txt", Format::OpenMetrics),
    ] {
        let Some(path) = suite(file) else { return };
        let body = std::fs::read(path).expect("a readable file");
        let (lines, error) = read(format, &body, ScrapeOptions::default());
        assert_eq!(error, None, "{file}");
        let samples = lines.iter().filter(|line| line.starts_with('[')).count();
        let mut batch = Batch::new();
        let filled = ScrapeFiller::new()
            .fill(format, &body, ScrapeOptions::default(), Limits::default(), &mut batch)
            .expect("a good body");
        assert_eq!((filled.samples as usize, batch.rows().len()), (samples, samples), "{file}");
        if format == Format::Text {
            let mut strict = Batch::new();
            TextParser::new().parse(&body, &mut strict).expect("a good body");
            assert_eq!(strict.rows().len(), samples, "{file}");
        }
    }
}
