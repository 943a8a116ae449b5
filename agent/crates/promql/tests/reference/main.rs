//! The engine against a plain, slow evaluator of the same trees, over small random data.
//!
//! `evaluate` goes step by step and node by node as the documentation of the language reads; it shares the parser with
//! the engine and nothing else. Left out: `topk` and `bottomk`, where equal values make the answer a matter of order.
//! A range query is its instant queries, but that series which became the same are an error in more cases. The seed of
//! a difference is printed; `NARTHEX_FUZZ_SECONDS` makes it as long as one likes.

mod evaluate;
#[path = "../support/mod.rs"]
mod support;
mod windows;

use evaluate::{Fault, Reference};
use model::{UnixMs, Value, stale_nan};
use promql::{Engine, EvalError, Expr, QueryValue, RangeArgs};
use support::body::is_close;
use support::expressions::Maker;
use support::memory::Memory;
use support::random::{Random, rounds};

/// How many data sets, and how many expressions on each.
const DATA_SETS: usize = 10;
const ROUNDS: usize = 250;

const TOLERANCE: f64 = 1e-7;
const START: i64 = 10_000;
const LENGTH: i64 = 420_000;

/// Sorted text of labels, and a value.
type Row = (String, f64);

#[test]
fn the_engine_answers_as_a_plain_evaluator_does() {
    let (mut answers, mut faults, mut asked) = (0, 0, 0);
    for seed in rounds(DATA_SETS) {
        let mut maker = Maker { random: Random(seed) };
        let memory = with_markers(maker.data(UnixMs(START)));
        for round in 0..ROUNDS {
            let query = maker.vector(1 + round % 4).replace("@ 130", "@ 200");
            if query.contains("topk") || query.contains("bottomk") {
                continue;
            }
            let expr = promql::parse_with(&query, promql::Features::ALL).expect("a good expression");
            asked += 1;
            let at = START + (round as i64 * 7_919) % LENGTH;
            let wanted = at_once(&memory, &expr, at);
            let found = instant(&memory, &expr, at);
            match (&found, &wanted) {
                (Ok(found), Ok(wanted)) => {
                    answers += usize::from(!wanted.is_empty());
                    assert!(same(found, wanted), "seed {seed}: {query} at {at}\n found {found:?}\nwanted {wanted:?}");
                }
                (Err(_), Err(_)) => faults += 1,
                // Within a subquery the steps count together, as in a range.
                (Err(EvalError::Execution(text)), Ok(_)) if text.contains("same labelset") && query.contains(':') => {
                    faults += 1;
                }
                _ => panic!("seed {seed}: {query} at {at}\n found {found:?}\nwanted {wanted:?}"),
            }
            compare_range(&memory, &query, &expr, seed);
        }
    }
    println!("{asked} expressions: {answers} instant answers with series, {faults} faults, all the same");
    assert!(answers > asked / 4 && faults > 0);
}

/// Ends some series with a staleness marker, and interrupts others.
fn with_markers(mut memory: Memory) -> Memory {
    for (i, samples) in memory.series.values_mut().enumerate() {
        if i % 3 == 0 {
            let middle = samples.floats.len() / 2;
            samples.floats[middle] = stale_nan();
        }
        if i % 4 == 1 {
            let last = *samples.at.last().expect("samples");
            samples.at.push(UnixMs(last.0 + 15_000));
            samples.floats.push(stale_nan());
        }
    }
    memory
}

fn at_once(memory: &Memory, expr: &Expr, at: i64) -> Result<Vec<Row>, Fault> {
    rows(Reference { memory, start: at, end: at }.vector(expr, at)?)
}

fn rows(vector: evaluate::Vector) -> Result<Vec<Row>, Fault> {
    let mut rows: Vec<Row> = vector.into_iter().map(|(labels, value)| (format!("{labels:?}"), value)).collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(rows)
}

fn labels_text(labels: &model::Labels) -> String {
    let map: evaluate::Labels = labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    format!("{map:?}")
}

fn instant(memory: &Memory, expr: &Expr, at: i64) -> Result<Vec<Row>, EvalError> {
    let answer = Engine::default().instant(memory, expr, UnixMs(at), &|| false)?;
    let QueryValue::Vector(items) = answer.value else { panic!("a vector was asked for") };
    let mut rows: Vec<Row> =
        items.iter().map(|item| (labels_text(&item.labels), item.value.float().expect("a float"))).collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(rows)
}

fn same(found: &[Row], wanted: &[Row]) -> bool {
    let close = |a: f64, b: f64| is_close(a, b, TOLERANCE) || (a - b).abs() < TOLERANCE;
    found.len() == wanted.len() && found.iter().zip(wanted).all(|(a, b)| a.0 == b.0 && close(a.1, b.1))
}

fn compare_range(memory: &Memory, query: &str, expr: &Expr, seed: u64) {
    let (start, end, step) = (START - 10_000, START + LENGTH, 35_000);
    let range = RangeArgs { start: UnixMs(start), end: UnixMs(end), step_ms: step };
    let found = Engine::default().range(memory, expr, range, &|| false);
    let reference = Reference { memory, start, end };
    let wanted: Result<Vec<Vec<Row>>, Fault> =
        (start..=end).step_by(step as usize).map(|at| rows(reference.vector(expr, at)?)).collect();
    match (found, wanted) {
        (Ok(answer), Ok(wanted)) => {
            let QueryValue::Matrix(all) = answer.value else { panic!("a matrix was asked for") };
            for (at, wanted) in (start..).step_by(step as usize).zip(wanted) {
                let here = all.iter().filter_map(|series| {
                    let point = series.points.iter().find(|(time, _)| time.0 == at)?;
                    let Value::Float(value) = point.1 else { panic!("a float was asked for") };
                    Some((labels_text(&series.labels), value))
                });
                let mut found: Vec<Row> = here.collect();
                found.sort_by(|a, b| a.0.cmp(&b.0));
                assert!(same(&found, &wanted), "seed {seed}: {query} step {at}\n found {found:?}\nwanted {wanted:?}");
            }
        }
        (Err(_), Err(_)) => {}
        (Err(error), Ok(_)) if error.to_string().contains("same labelset") => {}
        (found, wanted) => {
            panic!("seed {seed}: {query}\n found {:?}\nwanted {wanted:?}", found.map(|answer| answer.value))
        }
    }
}
