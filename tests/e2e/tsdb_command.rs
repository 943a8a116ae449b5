//! `narthex tsdb`: text with timestamps goes into a data file and comes out again, and the file's condition is told.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value as Json;
use support::agent::{Agent, program};
use support::folder::Folder;
use support::wait;

use crate::held::{LONG, QUICK};

fn tsdb(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(program());
    command.arg("tsdb").args(words).arg(format!("--storage.path={}", folder.display())).stdin(Stdio::null());
    command.output().expect("the program runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Two hundred samples of two series, in the order of the text format, and their end.
fn text() -> String {
    let mut text = "# TYPE temperature gauge\n".to_owned();
    for series in 0..2 {
        for at in 0..100 {
            let value = f64::from(at * 7 % 11) / 8.0 - f64::from(series);
            text +=
                &format!("temperature{{zone=\"{series} \\\"\\\\\"}} {value} {}.{:03}\n", 1_700_000_000 + at * 15, at);
        }
    }
    text + "# EOF\n"
}

#[test]
fn what_is_imported_is_dumped_counted_and_verified() {
    let folder = Folder::new("tsdb");
    let (file, data) = (folder.write("in.om", text()), folder.path().join("data"));
    let output = tsdb(&data, &["import", "--storage.size=16MB", &file.display().to_string()]);
    assert!(output.status.success() && said(&output).contains("200 samples of 2 series"), "{}", said(&output));
    let output = tsdb(&data, &["dump"]);
    let lines =
        |text: &str| text.lines().filter(|line| !line.starts_with("# TYPE")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&said(&output)), lines(&text()));
    let output =
        tsdb(&data, &["dump", "--match={zone=~\"1.*\"}", "--min-time=1700000015000", "--max-time=1700000031000"]);
    assert_eq!(said(&output).lines().count(), 3, "{}", said(&output));
    let output = tsdb(&data, &["stats", "-o", "json"]);
    let stats: Json = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (stats["samples"].as_u64(), stats["series"].as_u64(), stats["blocks"].as_u64()),
        (Some(200), Some(2), Some(1))
    );
    let used = stats["used_bytes"].as_f64().expect("a number");
    assert!((stats["bytes_per_sample"].as_f64().expect("a number") - used / 200.0).abs() < 1e-6);
    assert_eq!((&stats["metrics"][0]["name"], &stats["metrics"][0]["series"]), (&"temperature".into(), &2.into()));
    assert!(said(&tsdb(&data, &["verify"])).contains("2 series, 200 samples decoded"));
}

/// Values that nothing predicts fill one block after the other while the one before is still being packed.
#[test]
fn what_fills_many_blocks_is_kept_whole() {
    let folder = Folder::new("tsdb");
    let (mut text, mut seed) = ("# TYPE noise gauge\n".to_owned(), 1u64);
    for series in 0..2_000 {
        for at in 0..6 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let value = (seed >> 11) as f64 / 1e9;
            text += &format!("noise{{n=\"{series}\"}} {value} {}\n", 1_700_000_000 + at * 15);
        }
    }
    let (file, data) = (folder.write("in.om", text + "# EOF\n"), folder.path().join("data"));
    let output = tsdb(&data, &["import", "--storage.size=4MB", &file.display().to_string()]);
    assert!(output.status.success() && said(&output).contains("12000 samples of 2000 series"), "{}", said(&output));
    let stats: Json = serde_json::from_slice(&tsdb(&data, &["stats", "-o", "json"]).stdout).expect("JSON");
    assert_eq!((stats["samples"].as_u64(), stats["series"].as_u64()), (Some(12_000), Some(2_000)), "{stats}");
    assert!(stats["blocks"].as_u64() > Some(1), "{stats}");
}

#[test]
fn a_flipped_bit_is_found_and_named() {
    let folder = Folder::new("tsdb");
    let (file, data) = (folder.write("in.om", text()), folder.path().join("data"));
    assert!(tsdb(&data, &["import", "--storage.size=1MB", &file.display().to_string()]).status.success());
    let ring = data.join("narthex.ring");
    let mut bytes = std::fs::read(&ring).expect("the file");
    let at = bytes.windows(4).rposition(|window| window == b"NXbk").expect("a block's page");
    bytes[at + 2_000] ^= 4;
    std::fs::write(&ring, bytes).expect("written");
    let output = tsdb(&data, &["verify"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("damaged"), "{}", said(&output));
}

#[test]
fn what_cannot_be_imported_is_told_with_its_line() {
    let folder = Folder::new("tsdb");
    let data = folder.path().join("data");
    for (text, expected) in [
        ("# TYPE a gauge\na 1 1700000000\na 2\n# EOF\n", ":3: a sample without a timestamp"),
        ("a 1 1700000000\nb{ 2 1700000000\n# EOF\n", "bad.om:2: expected label name"),
        ("a 1 1700000000\nb 2 1700000000\n", "bad.om:3: data does not end with # EOF"),
        ("a 1 -1\na 1 1700000000\na 1 9300000000\n# EOF\n", "2 samples were refused: time 2\n"),
    ] {
        let file = folder.write("bad.om", text);
        let output = tsdb(&data, &["import", "--storage.size=1MB", &file.display().to_string()]);
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains(expected), "{}", said(&output));
    }
    let agent = Agent::new(QUICK).started();
    let output = tsdb(&agent.data_folder(), &["stats"]);
    assert!(said(&output).contains("another agent is using this data file"), "{}", said(&output));
}

/// What the formats can say comes out so that it goes in again as it was.
#[test]
fn what_is_dumped_goes_in_again_bit_for_bit() {
    let folder = Folder::new("tsdb");
    let values = ["0", "-0", "NaN", "+Inf", "-Inf", "5e-324", "-1.7976931348623157e+308", "0.1", "1e+06"];
    let names = ["plain{a=\"b\"}", "{\"a name\",\"a \\\"label\\\"\"=\"ü\\n\",plain=\"\\\\\"}", "{\"ö\"}", "colon:ed"];
    let line = |name: &&str| {
        values
            .iter()
            .zip(1_700_000_000..)
            .fold(String::new(), |text, (value, at)| text + &format!("{name} {value} {at}.500\n"))
    };
    let long = format!("too_long{{a=\"{}\"}} 1 1700000000\n", "x".repeat(5_000));
    let text = names.iter().map(line).collect::<String>() + &long + "# EOF\n";
    let (file, data) = (folder.write("in.om", text), folder.path().join("data"));
    let output = tsdb(&data, &["import", "--storage.size=1MB", &file.display().to_string()]);
    assert!(
        said(&output).contains("36 samples of 4 series") && said(&output).contains("1 samples were refused: labels 1")
    );
    let dumped = said(&tsdb(&data, &["dump"]));
    let sorted = |text: &str| text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(sorted(&dumped), sorted(&(names.iter().map(line).collect::<String>() + "# EOF\n")));
    let (file, data) = (folder.write("out.om", &dumped), folder.path().join("again"));
    assert!(tsdb(&data, &["import", "--storage.size=1MB", &file.display().to_string()]).status.success());
    assert_eq!(said(&tsdb(&data, &["dump"])), dumped);
}

/// Copies an agent's data file; its tail is where a unit file would have put it.
fn snapshot(agent: &Agent, to: &Path) -> Output {
    let mut command = Command::new(program());
    command.args(["tsdb", "snapshot"]).arg(to).arg(format!("--storage.path={}", agent.data_folder().display()));
    command.env("RUNTIME_DIRECTORY", agent.folder().path().join("run")).output().expect("the program runs")
}

/// Returns the samples of a dump: time in milliseconds, and line.
fn dumped(data: &Path) -> Vec<(i64, String)> {
    let text = said(&tsdb(data, &["dump"]));
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let at = |line: &str| line.rsplit(' ').next().and_then(|at| at.replace('.', "").parse().ok()).expect("a time");
    let mut found: Vec<(i64, String)> = lines.map(|line| (at(line), line.to_owned())).collect();
    found.sort();
    found
}

/// The agent goes on while it is copied; what it has not synced for an hour is in the copy too.
#[test]
fn a_running_agent_is_copied_whole_up_to_an_instant() {
    let (folder, mut agent) = (Folder::new("snapshot"), Agent::new(QUICK).started());
    let count = |agent: &Agent| {
        let answer: Json = serde_json::from_str(&agent.query("count_over_time(up{job=\"node\"}[1h])")).expect("JSON");
        answer["data"]["result"][0]["value"][1].as_str().and_then(|n| n.parse::<u64>().ok()).unwrap_or_default()
    };
    let mut copies = Vec::new();
    for n in 0..3 {
        let before = count(&agent);
        wait::until_true(LONG, "another collection", || count(&agent) > before);
        let copy = folder.path().join(format!("copy-{n}"));
        let output = snapshot(&agent, &copy);
        assert!(output.status.success(), "{}", said(&output));
        assert!(tsdb(&copy, &["verify"]).status.success());
        copies.push((count(&agent), copy));
    }
    let output = snapshot(&agent, &copies[0].1);
    assert!(!output.status.success() && said(&output).contains("copy-0"), "{}", said(&output));
    agent.terminate();
    let all = dumped(&agent.data_folder());
    for (collections, copy) in &copies {
        let copied = dumped(copy);
        let newest = copied.last().expect("samples").0;
        let before = |all: &[(i64, String)]| -> Vec<_> { all.iter().filter(|(at, _)| *at < newest).cloned().collect() };
        assert_eq!(before(&copied), before(&all), "{copy:?}");
        let ups = copied.iter().filter(|(_, line)| line.starts_with("up{") && line.contains("job=\"node\"")).count();
        assert!(ups as u64 + 2 >= *collections && ups > 0, "{ups} of {collections} in {copy:?}");
    }
}
