//! `narthex query instant|range|series|labels`: questions to a running agent, to any server with Prometheus's API, or to
//! a data file without an agent.
//!
//! Flags are promtool's where it has them, and so is what JSON shows; times may also be `now`, or `-6h` before it, which
//! is by the server's clock. Tables and comma separated values are made here of the API's answer. Warnings go to
//! standard error. Exit status 1 when there is no answer.

mod answer;
mod json;
mod offline;
mod show;

use std::cell::Cell;
use std::io::IsTerminal;
use std::path::PathBuf;

use model::duration;

use super::args::{Arguments, Next, unknown};
use super::{Failure, help};
use crate::io::ask::ask;
use crate::web::Settings;
use crate::web::params::parse_time;

const FLAGS: [&str; 11] =
    ["server", "storage.path", "output", "time", "start", "end", "step", "match", "limit", "enable-feature", "help"];

/// Where an agent is asked unless the command line says.
const SERVER: &str = "http://localhost:9090";

/// How far back a range goes unless the command line says; promtool's.
const RANGE_SECONDS: f64 = 300.0;

/// How many steps a range has, about, unless the command line says; promtool's.
const STEPS: f64 = 250.0;

/// What an answer becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Output {
    #[default]
    Table,
    Json,
    Csv,
}

/// What the command line says.
#[derive(Debug, Default)]
struct Asked {
    server: Option<String>,
    storage_path: Option<PathBuf>,
    output: Output,
    time: Option<String>,
    start: Option<String>,
    end: Option<String>,
    step: Option<String>,
    matches: Vec<String>,
    limit: Option<String>,
    features: Settings,
}

/// Who answers.
enum Who {
    Server(String),
    File(Box<offline::File>),
}

/// Who answers, and what time it is there: asked once, so that both ends of a range go by the same.
struct Source {
    who: Who,
    now: Cell<Option<f64>>,
}

/// Runs the command.
///
/// # Errors
/// Wrong usage, or there is no answer.
pub fn main(mut arguments: Arguments) -> Result<(), Failure> {
    let mut asked = Asked::default();
    let (mut kind, mut operands) = (None, Vec::new());
    while let Some(next) = arguments.next()? {
        match next {
            Next::Flag(flag) if matches!(flag.as_str(), "help" | "h") => return help::print(help::QUERY),
            Next::Flag(flag) => asked.take(&flag, &mut arguments)?,
            Next::Operand(word) if kind.is_none() => kind = Some(word),
            Next::Operand(word) => operands.push(word),
        }
    }
    // promtool names the server first.
    if operands.first().is_some_and(|word| word.starts_with("http://") || word.starts_with("https://")) {
        asked.server = Some(operands.remove(0));
    }
    match kind.as_deref() {
        Some("instant") => asked.instant(&only(operands, "one expression")?),
        Some("range") => asked.range(&only(operands, "one expression")?),
        Some("series") => {
            asked.matches.append(&mut operands);
            asked.series()
        }
        Some("labels") if operands.len() < 2 => asked.labels(operands.first()),
        Some("labels") => Err(Failure::Usage("query labels takes at most one label's name".to_owned())),
        _ => Err(Failure::Usage("query what? 'narthex query instant|range|series|labels'".to_owned())),
    }
}

fn only(mut operands: Vec<String>, what: &str) -> Result<String, Failure> {
    match (operands.pop(), operands.is_empty()) {
        (Some(only), true) => Ok(only),
        _ => Err(Failure::Usage(format!("query needs {what}, in quotes when a shell would cut it"))),
    }
}

impl Asked {
    fn take(&mut self, flag: &str, arguments: &mut Arguments) -> Result<(), Failure> {
        match flag {
            "server" => self.server = Some(arguments.value()?),
            "storage.path" => self.storage_path = Some(arguments.value()?.into()),
            "output" | "format" | "o" => {
                self.output = match arguments.value()?.as_str() {
                    "table" => Output::Table,
                    "json" => Output::Json,
                    "csv" => Output::Csv,
                    other => return Err(Failure::Usage(format!("-o {other}: table, json or csv"))),
                }
            }
            "time" => self.time = Some(arguments.value()?),
            "start" => self.start = Some(arguments.value()?),
            "end" => self.end = Some(arguments.value()?),
            "step" => self.step = Some(arguments.value()?),
            "match" => self.matches.push(arguments.value()?),
            "limit" => self.limit = Some(arguments.value()?),
            "enable-feature" => {
                self.features.enable(&arguments.value()?).iter().for_each(|said| eprintln!("narthex: {said}"));
            }
            _ => return Err(unknown(flag, FLAGS)),
        }
        Ok(())
    }

    fn instant(self, expression: &str) -> Result<(), Failure> {
        let (output, source) = (self.output, self.source()?);
        let mut form = vec![("query", expression.to_owned())];
        if let Some(time) = &self.time {
            form.push(("time", number(source.time("time", time)?)));
        } else if let Who::File(_) = &source.who {
            form.push(("time", number(source.now()?)));
        }
        let body = source.ask("/api/v1/query", self.limited(form))?;
        let show = |out: &mut String, result: &str| match output {
            Output::Csv => show::csv(out, result, true),
            _ => show::instant(out, result),
        };
        print(&body, output, show)
    }

    fn range(self, expression: &str) -> Result<(), Failure> {
        let (output, source) = (self.output, self.source()?);
        let end = source.time("end", self.end.as_deref().unwrap_or("now"))?;
        let start = match &self.start {
            Some(start) => source.time("start", start)?,
            None => end - RANGE_SECONDS,
        };
        let step = match &self.step {
            Some(step) => seconds(step).ok_or_else(|| Failure::Usage(format!("--step={step}: 15s, 1m, 0.5 ...")))?,
            None => ((end - start) / STEPS).floor().max(1.0),
        };
        let mut form = vec![("query", expression.to_owned())];
        form.extend([("start", number(start)), ("end", number(end)), ("step", number(step))]);
        let body = source.ask("/api/v1/query_range", self.limited(form))?;
        let course = std::io::stdout().is_terminal().then_some([start, end, step]);
        let show = |out: &mut String, result: &str| match output {
            Output::Csv => show::csv(out, result, true),
            _ => show::range(out, result, course),
        };
        print(&body, output, show)
    }

    fn series(self) -> Result<(), Failure> {
        if self.matches.is_empty() {
            return Err(Failure::Usage(
                "query series needs a selector, for example '{__name__=~\"node_.*\"}'".to_owned(),
            ));
        }
        self.names("/api/v1/series".to_owned())
    }

    fn labels(self, name: Option<&String>) -> Result<(), Failure> {
        match name {
            None => self.names("/api/v1/labels".to_owned()),
            Some(name) => {
                let mut path = String::from("/api/v1/label/");
                escape(&mut path, name);
                self.names(path + "/values")
            }
        }
    }

    fn names(self, path: String) -> Result<(), Failure> {
        let (output, source) = (self.output, self.source()?);
        let mut form: Vec<(&str, String)> = self.matches.iter().map(|text| ("match[]", text.clone())).collect();
        for (name, given) in [("start", &self.start), ("end", &self.end)] {
            if let Some(text) = given {
                form.push((name, number(source.time(name, text)?)));
            }
        }
        let body = source.ask(&path, self.limited(form))?;
        let show = |out: &mut String, result: &str| match output {
            Output::Csv => show::csv(out, result, false),
            _ => show::list(out, result),
        };
        print(&body, output, show)
    }

    fn limited<'a>(&self, mut form: Vec<(&'a str, String)>) -> Vec<(&'a str, String)> {
        form.extend(self.limit.iter().map(|limit| ("limit", limit.clone())));
        form
    }

    fn source(&self) -> Result<Source, Failure> {
        let who = match (&self.server, &self.storage_path) {
            (Some(_), Some(_)) => return Err(Failure::Usage("--server or --storage.path, not both".to_owned())),
            (None, Some(folder)) => Who::File(Box::new(offline::File::open(folder.clone(), self.features.clone())?)),
            (server, None) => Who::Server(server.as_deref().unwrap_or(SERVER).trim_end_matches('/').to_owned()),
        };
        Ok(Source { who, now: Cell::new(None) })
    }
}

impl Source {
    /// Returns the body of the answer.
    fn ask(&self, path: &str, form: Vec<(&str, String)>) -> Result<String, Failure> {
        let mut text = String::new();
        for (name, value) in form {
            text.push_str(if text.is_empty() { "" } else { "&" });
            text.extend([name, "="]);
            escape(&mut text, &value);
        }
        let (status, body) = match &self.who {
            Who::File(file) => file.ask(path, &text),
            Who::Server(server) => {
                // The values of a label can only be got.
                let url = [server, path].concat();
                let told = match path.starts_with("/api/v1/label/") {
                    true => ask(&[&url, "?", &text].concat(), None),
                    false => ask(&url, Some(&text)),
                };
                told.map_err(|error| Failure::Fault(format!("{server}: {error}; --server says whom to ask")))?
            }
        };
        if body.starts_with('{') {
            return Ok(body);
        }
        let said: String = body.lines().next().unwrap_or("").chars().take(200).collect();
        Err(Failure::Fault(format!("{path} answered with status {status}: {said}")))
    }

    /// Returns what now is, in seconds: by the server's clock, or in a file by its newest sample.
    fn now(&self) -> Result<f64, Failure> {
        let now = match (self.now.get(), &self.who) {
            (Some(now), _) => now,
            (None, Who::File(file)) => file.newest().map_or(0.0, model::UnixMs::as_seconds),
            (None, Who::Server(_)) => self.server_time()?,
        };
        self.now.set(Some(now));
        Ok(now)
    }

    fn server_time(&self) -> Result<f64, Failure> {
        let body = self.ask("/api/v1/query", vec![("query", "time()".to_owned())])?;
        let mut now = None;
        let envelope = answer::envelope(&body).map_err(|error| Failure::Fault(error.to_string()))?;
        if !envelope.error.is_empty() {
            return Err(Failure::Fault(envelope.error));
        }
        let read =
            answer::each(envelope.result, &mut |_, points| now = points.first().and_then(|p| p.value.parse().ok()));
        read.map_err(|error| Failure::Fault(error.to_string()))?;
        now.ok_or_else(|| Failure::Fault("the server does not say what time it is".to_owned()))
    }

    /// Returns a time in seconds: since 1970, RFC 3339, `now`, or how long before now.
    fn time(&self, flag: &str, text: &str) -> Result<f64, Failure> {
        if text == "now" {
            return self.now();
        }
        if let Some(back) = text.strip_prefix('-')
            && let Ok(ms) = duration::parse_ms(back)
        {
            return Ok(self.now()? - ms as f64 / 1_000.0);
        }
        let wrong = |_| Failure::Usage(format!("--{flag}={text}: seconds since 1970, RFC 3339, now, or -6h"));
        parse_time(text).map(model::UnixMs::as_seconds).map_err(wrong)
    }
}

fn seconds(text: &str) -> Option<f64> {
    let parsed = text.parse().ok().or_else(|| Some(duration::parse_ms(text).ok()? as f64 / 1_000.0));
    parsed.filter(|seconds: &f64| seconds.is_finite() && *seconds > 0.0)
}

fn number(seconds: f64) -> String {
    format!("{seconds:.3}")
}

/// Appends a text with everything escaped but what a form and a path leave alone.
fn escape(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// Prints an answer; what is said beside it goes to standard error.
fn print(
    body: &str,
    output: Output,
    show: impl FnOnce(&mut String, &str) -> Result<(), json::NotJson>,
) -> Result<(), Failure> {
    let fault = |error: json::NotJson| Failure::Fault(error.to_string());
    let envelope = answer::envelope(body).map_err(fault)?;
    if !envelope.error.is_empty() {
        return Err(Failure::Fault(envelope.error));
    }
    envelope.notes.iter().for_each(|note| eprintln!("{note}"));
    if output == Output::Json {
        return help::print(&[envelope.result, "\n"].concat());
    }
    let mut out = String::new();
    show(&mut out, envelope.result).map_err(fault)?;
    help::print(&out)
}
