//! Answers as values that can be compared: made of the engine's own, or of the body of the peer's HTTP answer.
//!
//! Floats are equal within a relative error, NaN equals NaN. The order of an instant vector counts only where the
//! query defines one; a matrix is always sorted by labels. Warnings and infos are compared text by text.

use std::collections::{BTreeMap, BTreeSet};

use model::{Labels, UnixMs, Value as Sampled};
use promql::{Answer, EvalError, QueryValue};
use serde_json::Value;

/// The most warnings, and the most infos, that the HTTP API prints.
const NOTES_SHOWN_MAX: usize = 10;

/// Notes of level 3.14 that 3.5 does not make; left out before an answer is compared with one of 3.5.
const NEWER_NOTES: [&str; 1] =
    ["PromQL warning: sort is ineffective for range queries since results are always ordered by labels"];

/// An answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Body {
    /// The HTTP status.
    pub status: u16,
    /// The kind of error and its text, where there is one.
    pub error: Option<(String, String)>,
    /// `scalar`, `string`, `vector` or `matrix`; empty for an error.
    pub kind: String,
    /// The series, or the one number or text.
    pub rows: Vec<Row>,
    /// The warnings.
    pub warnings: BTreeSet<String>,
    /// The infos.
    pub infos: BTreeSet<String>,
}

/// One series.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Row {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its samples.
    pub points: Vec<(i64, Point)>,
}

/// One sample.
#[derive(Debug, Clone, PartialEq)]
pub enum Point {
    /// A float.
    Float(f64),
    /// A text, or anything that is compared as text.
    Text(String),
}

impl Body {
    /// Returns what the engine answered.
    pub fn of_engine(result: Result<Answer, EvalError>) -> Body {
        let answer = match result {
            Ok(answer) => answer,
            Err(error) => {
                let error = Some(("execution".to_owned(), error.to_string()));
                return Body { status: 422, error, ..Body::default() };
            }
        };
        let row = |labels: &Labels, points: &mut dyn Iterator<Item = (UnixMs, Sampled)>| Row {
            labels: labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            points: points
                .map(|(at, value)| match value {
                    Sampled::Float(value) => (at.0, Point::Float(value)),
                    Sampled::Histogram(hist) => (at.0, Point::Text(format!("{hist:?}"))),
                })
                .collect(),
        };
        let (kind, rows) = match answer.value {
            QueryValue::Scalar(at, value) => {
                ("scalar", vec![row(&Labels::empty(), &mut [(at, Sampled::Float(value))].into_iter())])
            }
            QueryValue::Text(at, text) => {
                ("string", vec![Row { points: vec![(at.0, Point::Text(text))], ..Row::default() }])
            }
            QueryValue::Vector(items) => {
                let rows = items.into_iter().map(|item| row(&item.labels, &mut [(item.at, item.value)].into_iter()));
                ("vector", rows.collect())
            }
            QueryValue::Matrix(all) => {
                let rows = all.into_iter().map(|series| row(&series.labels, &mut series.points.into_iter()));
                ("matrix", rows.collect())
            }
        };
        let (warnings, infos) = (shown(answer.warnings, "warning"), shown(answer.infos, "info"));
        Body { status: 200, kind: kind.to_owned(), rows, warnings, infos, error: None }
    }

    /// Returns what an expression that does not parse is answered.
    pub fn of_parse_error(error: &promql::ParseError) -> Body {
        let error = Some(("bad_data".to_owned(), format!("invalid parameter \"query\": {error}")));
        Body { status: 400, error, ..Body::default() }
    }

    /// Reads the body of an HTTP answer.
    pub fn of_http(status: u16, body: &Value) -> Body {
        Body::of_parts(status, &body["data"]["resultType"], &body["data"]["result"], body)
    }

    /// Reads an answer whose result lies beside its kind, as some goldens keep it.
    pub fn of_parts(status: u16, kind: &Value, result: &Value, rest: &Value) -> Body {
        let texts = |name: &str| -> BTreeSet<String> { list(&rest[name]).iter().map(text).collect() };
        let error = rest.get("error").map(|error| (text(&rest["errorType"]), text(error)));
        let kind = kind.as_str().unwrap_or("");
        let rows = match kind {
            "scalar" => vec![Row { points: vec![point(result, true)], ..Row::default() }],
            "string" => vec![Row { points: vec![point(result, false)], ..Row::default() }],
            _ => list(result).iter().map(row_of_json).collect(),
        };
        Body { status, error, kind: kind.to_owned(), rows, warnings: texts("warnings"), infos: texts("infos") }
    }

    /// Leaves out which group and series an error names as examples: which come first is a matter of chance in the peer.
    pub fn without_examples(mut self) -> Body {
        if let Some((_, text)) = &mut self.error
            && let (Some(from), Some(to)) = (text.find("match group {"), text.find(" on the "))
            && let Some(end) = text.find(": [{")
        {
            *text = format!("{}{}", &text[..from], &text[to..end]);
        }
        self
    }

    /// Leaves out what only the newer level says.
    pub fn without_newer_notes(mut self) -> Body {
        for notes in [&mut self.warnings, &mut self.infos] {
            notes.retain(|note| !NEWER_NOTES.iter().any(|newer| note.starts_with(newer)));
        }
        self
    }

    /// Says what differs from the answer wanted, if anything.
    pub fn differs(&self, wanted: &Body, tolerance: f64, is_ordered: bool) -> Option<String> {
        if (self.status, &self.error) != (wanted.status, &wanted.error) {
            return Some(format!(
                "found {} {:?}, wanted {} {:?}",
                self.status, self.error, wanted.status, wanted.error
            ));
        }
        if self.kind != wanted.kind {
            return Some(format!("found a {}, wanted a {}", self.kind, wanted.kind));
        }
        for (found, wanted) in [(&self.warnings, &wanted.warnings), (&self.infos, &wanted.infos)] {
            if found != wanted {
                return Some(format!("found {found:?}, wanted {wanted:?}"));
            }
        }
        let (mut found, mut wanted) = (self.rows.clone(), wanted.rows.clone());
        if self.kind == "vector" && !is_ordered {
            found.sort_by(|a, b| a.labels.cmp(&b.labels));
            wanted.sort_by(|a, b| a.labels.cmp(&b.labels));
        }
        if found.len() != wanted.len() {
            return Some(format!("found {} series, wanted {}: {found:?}\n  {wanted:?}", found.len(), wanted.len()));
        }
        found.iter().zip(&wanted).find_map(|(found, wanted)| found.differs(wanted, tolerance))
    }
}

impl Row {
    fn differs(&self, wanted: &Row, tolerance: f64) -> Option<String> {
        if self.labels != wanted.labels {
            return Some(format!("found {:?}, wanted {:?}", self.labels, wanted.labels));
        }
        if self.points.len() != wanted.points.len() {
            let (found, wanted) = (self.points.len(), wanted.points.len());
            return Some(format!("found {found} points, wanted {wanted}, of {:?}", self.labels));
        }
        let same = |a: &Point, b: &Point| match (a, b) {
            (Point::Float(a), Point::Float(b)) => is_close(*a, *b, tolerance),
            (a, b) => a == b,
        };
        let odd = |((at, a), (bt, b)): &(&(i64, Point), &(i64, Point))| at != bt || !same(a, b);
        let (found, wanted) = self.points.iter().zip(&wanted.points).find(odd)?;
        Some(format!("found {found:?}, wanted {wanted:?}, of {:?}", self.labels))
    }
}

/// Returns whether two floats are equal within a relative error; NaN equals NaN.
pub fn is_close(a: f64, b: f64, tolerance: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * a.abs().max(b.abs())
}

/// Returns whether a query says in what order an instant vector comes.
pub fn is_ordered(query: &str) -> bool {
    ["sort", "topk", "bottomk"].iter().any(|name| query.trim_start().starts_with(name))
}

/// Returns notes as the HTTP API prints them: some, and how many more there are.
fn shown(notes: Vec<String>, kind: &str) -> BTreeSet<String> {
    let more = notes.len().saturating_sub(NOTES_SHOWN_MAX);
    let mut shown: BTreeSet<String> = notes.into_iter().take(NOTES_SHOWN_MAX).collect();
    if more > 0 {
        shown.insert(format!("{more} more {kind} annotations omitted"));
    }
    shown
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn row_of_json(row: &Value) -> Row {
    let labels = row["metric"].as_object().into_iter().flatten().map(|(name, value)| (name.clone(), text(value)));
    let points = match row.get("value") {
        Some(one) => vec![point(one, true)],
        None => list(&row["values"]).iter().map(|one| point(one, true)).collect(),
    };
    Row { labels: labels.collect(), points }
}

/// Reads `[1435781451.781, "1.5"]`.
fn point(pair: &Value, is_number: bool) -> (i64, Point) {
    let at = pair[0].as_f64().unwrap_or_else(|| panic!("no time in {pair}"));
    let text = text(&pair[1]);
    let value = match text.parse() {
        Ok(value) if is_number => Point::Float(value),
        _ => Point::Text(text),
    };
    ((at * 1000.0).round() as i64, value)
}
