//! `narthex query`: the same questions to a data file without an agent, to the agent that runs on it, and to a real
//! Prometheus with the same samples; all say the same. What a terminal shows is looked at in a real one (`script`).

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value as Json;
use support::agent::{Agent, program};
use support::folder::Folder;
use support::peers::Peer;
use support::shared::peer;

use crate::held::QUICK;

fn query(words: &[&str], from: &str) -> Output {
    let mut command = Command::new(program());
    command.arg("query").args(words).arg(from).stdin(Stdio::null()).output().expect("the program runs")
}

fn texts(output: &Output) -> (String, String) {
    (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn good(words: &[&str], from: &str) -> String {
    let output = query(words, from);
    let (out, err) = texts(&output);
    assert!(output.status.success(), "{words:?} {from}: {out}{err}");
    out
}

/// Two series that rise and fall, a minute apart from 1,700,000,000 on for two hours.
fn history() -> String {
    let mut text = "# TYPE temperature gauge\n".to_owned();
    for (zone, offset) in [("cellar", 0), ("ro\\\"of", 30)] {
        for at in 0..120 {
            let value = f64::from((at + offset) % 60 - 30).abs() / 4.0;
            text += &format!("temperature{{zone=\"{zone}\"}} {value} {}\n", 1_700_000_000 + at * 60);
        }
    }
    text + "# EOF\n"
}

fn import(folder: &Folder, data: &Path) {
    let file = folder.write("history.om", history());
    let mut command = Command::new(program());
    command.args(["tsdb", "import", "--storage.size=16MB"]).arg(file);
    let output = command.arg(format!("--storage.path={}", data.display())).output().expect("it runs");
    assert!(output.status.success(), "{:?}", texts(&output));
}

const QUESTIONS: [&[&str]; 10] = [
    &["instant", "temperature", "--time=1700003600"],
    &["instant", "temperature[3m]", "--time=2023-11-14T23:13:20Z"],
    &["instant", "sum(temperature) + time()", "--time=1700003630.5"],
    &["instant", "scalar(sum(temperature))", "--time=1700003600"],
    &["instant", "\"a text\"", "--time=1700003600"],
    &["range", "temperature", "--start=1700000000", "--end=1700007140", "--step=5m"],
    &["range", "max(temperature)", "--start=1700000000", "--end=1700007140"],
    &["series", "temperature"],
    &["labels"],
    &["labels", "zone", "--match=temperature{zone!=\"cellar\"}"],
];

#[test]
fn a_file_its_agent_and_a_prometheus_answer_alike() {
    let mut agent = Agent::new(QUICK);
    import(agent.folder(), &agent.data_folder());
    let file = format!("--storage.path={}", agent.data_folder().display());
    let formats = ["table", "json", "csv"];
    let ask = |from: &str| -> Vec<String> {
        let all = QUESTIONS.iter().flat_map(|words| formats.map(|format| (*words, format!("--output={format}"))));
        all.map(|(words, format)| good(&[words, &[&format]].concat(), from)).collect()
    };
    let offline = ask(&file);
    // While it runs its own collections would be among the names.
    let own = ["--start=1700000000", "--end=1700007140"];
    agent.start();
    let server = format!("--server=http://{}", agent.address());
    for (at, words) in QUESTIONS.iter().enumerate() {
        for (format, expected) in formats.iter().zip(&offline[at * formats.len()..]) {
            let bounded: &[&str] = if matches!(words[0], "series" | "labels") { &own } else { &[] };
            let format = format!("-o{format}");
            assert_eq!(
                good(&[words, &[format.as_str()][..], bounded].concat(), &server),
                *expected,
                "{words:?} {format}"
            );
        }
    }
    println!("{} answers of a file are those of its agent", offline.len());
    // Now is the newest sample of a file, and the server's own time otherwise.
    let now = |from: &str| good(&["range", "time()", "--start=-1m", "--step=30", "-ojson"], from);
    let times = |text: &str| -> Vec<f64> {
        let result: Json = serde_json::from_str(text).expect("JSON");
        let values = result[0]["values"].as_array().expect("values").clone();
        values.iter().map(|pair| pair[0].as_f64().expect("a time")).collect()
    };
    assert!(times(&now(&server))[2] > 1_700_100_000.0);
    agent.terminate();
    assert!(times(&now(&file))[2] > 1_700_007_000.0);

    let Some(prometheus) = Peer::prometheus_with_history(&history(), &[]) else { return };
    let Some(promtool) = peer("promtool", "what promtool prints of the same questions") else { return };
    let server = format!("--server=http://{}/", prometheus.address);
    let theirs = ask(&server);
    assert_eq!(offline, theirs, "a file and a Prometheus say otherwise");
    // Of a text this promtool makes an error.
    let comparable = |words: &&&[&str]| matches!(words[0], "instant" | "range") && !words[1].starts_with('"');
    for words in QUESTIONS.iter().filter(comparable) {
        let (kind, expression, times) = (words[0], words[1], &words[2..]);
        let mut command = Command::new(&promtool);
        command.args(["query", kind, "--format=json"]).args(times);
        let output = command.arg(format!("http://{}", prometheus.address)).arg(expression).output().expect("it runs");
        let read = |text: &str| -> Json { serde_json::from_str(text).unwrap_or_else(|_| text.into()) };
        let ours = good(&[words, &["-ojson"][..]].concat(), &server);
        assert_eq!(read(&ours), read(&texts(&output).0), "{words:?}: {}", texts(&output).1);
    }
}

#[test]
fn tables_and_separated_values_are_for_people_and_spreadsheets() {
    let folder = Folder::new("query");
    let data = folder.path().join("data");
    import(&folder, &data);
    let file = format!("--storage.path={}", data.display());
    let table = good(&["instant", "temperature", "--time=1700003600"], &file);
    assert_eq!(table, "VALUE  SERIES\n  7.5  temperature{zone=\"cellar\"}\n    0  temperature{zone=\"ro\\\"of\"}\n");
    let csv = good(&["instant", "temperature", "--time=1700003600", "--output", "csv"], &file);
    let expected = "__name__,zone,timestamp,value\r\ntemperature,cellar,1700003600,7.5\r\n\
                    temperature,\"ro\"\"of\",1700003600,0\r\n";
    assert_eq!(csv, expected);
    let words = ["range", "temperature", "--start=1700000000", "--end=1700007140", "--step=60"];
    let piped = good(&words, &file);
    assert!(piped.starts_with("LAST  MIN  MAX  SERIES\n7.25    0  7.5  temperature{"), "{piped}");
    // In a terminal there is a curve: two falls and two rises, the other series half a turn later.
    let mut line = vec![program().display().to_string(), "query".to_owned()];
    line.extend(words.iter().map(|word| (*word).to_owned()));
    let script = Command::new("script").args(["-qec", &format!("{} '{file}'", line.join(" ")), "/dev/null"]).output();
    let Ok(output) = script else { panic!("script, of util-linux, is not there") };
    let shown = texts(&output).0.replace('\r', "");
    let curves: Vec<&str> = shown.lines().skip(1).filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(curves.len(), 2, "{shown}");
    assert!(curves.iter().all(|curve| curve.chars().count() == 48), "{shown}");
    assert!(curves[0].starts_with('█') && curves[1].starts_with('▁'), "{shown}");
}

#[test]
fn what_cannot_be_answered_is_said_with_the_next_step() {
    let folder = Folder::new("query");
    let data = folder.path().join("data");
    import(&folder, &data);
    let file = format!("--storage.path={}", data.display());
    let nobody = format!("--server=http://{}", support::agent::free_address());
    let none = format!("--storage.path={}", folder.path().join("no").display());
    for (words, from, code, part) in [
        (&["instant", "sum("][..], &file, 1, "bad_data: invalid parameter \"query\": 1:5: parse error: unclosed left"),
        (&["instant", "up"], &nobody, 1, "--server says whom to ask"),
        (&["instant", "up"], &none, 1, "there is no data file"),
        (&["instant"], &file, 2, "query needs one expression"),
        (&["instant", "up", "down"], &file, 2, "query needs one expression"),
        (&["series"], &file, 2, "query series needs a selector"),
        (&["ranges", "up"], &file, 2, "query what?"),
        (&["range", "up", "--step=-1"], &file, 2, "--step=-1: 15s, 1m"),
        (&["range", "up", "--start=soon"], &file, 2, "--start=soon: seconds since 1970"),
        (&["instant", "up", "-o", "xml"], &file, 2, "-o xml: table, json or csv"),
        (&["instant", "up", "--tim=1"], &file, 2, "did you mean --time?"),
        (&["instant", "up", "--server=http://localhost"], &file, 2, "not both"),
        (&["instant", "limitk(1, up)"], &file, 1, "promql-experimental-functions"),
    ] {
        let output = query(words, from);
        let (out, err) = texts(&output);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {out}{err}");
        assert!(err.contains(part) && out.is_empty(), "{words:?}: {out}{err}");
    }
    let on = "--enable-feature=promql-experimental-functions";
    good(&["instant", "limitk(1, temperature)", on], &file);
    // A warning does not stand among the answers.
    let output = query(&["instant", "quantile(7, temperature)", "--time=1700000000"], &file);
    assert!(texts(&output).1.starts_with("PromQL warning: quantile value should be between 0 and 1"), "{output:?}");
    assert_eq!(texts(&output).0, "VALUE  SERIES\n +Inf  {}\n");
}
