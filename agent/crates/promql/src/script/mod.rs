//! Runs scripts in Prometheus's test language (`*.test`): `load` series, `eval` expressions, compare.
//!
//! ```text
//! load 5m
//!   http_requests{job="api"} 0+10x10
//! eval instant at 50m sum by (job) (http_requests)
//!   {job="api"} 100
//! ```
//!
//! `read` makes commands of the text, `series` values of a series line, `store` keeps them, `compare` judges. An
//! instant eval is run several times: as written, with `@` set on its selectors and evaluated at other times, and each
//! of these as a range query; all must agree. Every `eval` line is one case, whatever goes wrong with it.
//! In a file below a folder named `v3.5` positions in annotations and reset hints are not compared, because that level
//! has none. For unit tests of rules there are [`Data`], which lets time pass, and the notations of what is expected.

mod compare;
mod lazy;
mod notation;
mod read;
mod series;
mod store;

pub use lazy::Data;
pub use notation::{histogram_text, labels_text, parse_histogram, parse_labels, quoted};

use model::UnixMs;

use crate::ast::{At, Expr, ExprKind};
use crate::engine::{Engine, Limits, RangeArgs};
use crate::parse::{Features, parse_with};
use crate::value::{Answer, QueryValue};
use read::{Command, Eval, When};
use store::Store;

/// How many cases passed and failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Cases that gave what was expected.
    pub passed: u64,
    /// Cases that did not, and errors of the script itself.
    pub failed: u64,
}

/// What became of one case.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The script.
    pub file: String,
    /// The line of the `eval`, from 1.
    pub line: usize,
    /// The expression, or the line of the script that is wrong.
    pub expr: String,
    /// `None` when it passed, else why not.
    pub failure: Option<String>,
}

/// Runs a script. Each case is reported once, in order.
pub fn run(text: &str, file: &str, report: &mut dyn FnMut(&Outcome)) -> Tally {
    let mut runner = Runner {
        store: Store::default(),
        engine: Engine {
            limits: Limits { samples_max: 10_000, ..Limits::default() },
            delayed_name_removal: true,
            ..Engine::default()
        },
        old: file.split(['/', '\\']).any(|part| part == "v3.5"),
    };
    let mut tally = Tally::default();
    for (line, command) in read::commands(text) {
        let (expr, result) = match command {
            Ok(Command::Clear) => {
                runner.store = Store::default();
                continue;
            }
            Ok(Command::Load(load)) => match runner.store.load(&load) {
                Ok(()) => continue,
                Err(error) => ("load".to_owned(), Err(error)),
            },
            Ok(Command::Eval(eval)) => (eval.expr.clone(), runner.eval(&eval)),
            Err((text, error)) => (text, Err(error)),
        };
        match result {
            Ok(()) => tally.passed += 1,
            Err(_) => tally.failed += 1,
        }
        report(&Outcome { file: file.to_owned(), line, expr, failure: result.err() });
    }
    tally
}

struct Runner {
    store: Store,
    engine: Engine,
    /// Whether the script is of a level without positions in annotations.
    old: bool,
}

/// Functions whose value depends on the time of evaluation; of `start` and `end` an instant query's is just that.
const TIME_FUNCTIONS: [&str; 13] = [
    "start",
    "end",
    "days_in_month",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "hour",
    "minute",
    "month",
    "year",
    "predict_linear",
    "time",
    "timestamp",
];

impl Runner {
    fn eval(&self, eval: &Eval) -> Result<(), String> {
        match eval.when {
            When::Range { start, end, step } => {
                let range = RangeArgs { start: UnixMs(start), end: UnixMs(end), step_ms: step };
                self.judge(eval, &eval.expr, &|expr| self.engine.range(&self.store, expr, range, &|| false))
            }
            When::Instant(at) => {
                self.instant(eval, &eval.expr, at, at)?;
                if let Some((text, times)) = self.rewritten(eval, at)? {
                    for time in times {
                        self.instant(eval, &text, time, at)
                            .map_err(|error| format!("rewritten as `{text}` at {time} ms: {error}"))?;
                    }
                }
                Ok(())
            }
        }
    }

    /// Runs an expression at a time whose result must be that expected at `at`, also as a range query.
    fn instant(&self, eval: &Eval, text: &str, time: i64, at: i64) -> Result<(), String> {
        self.judge(eval, text, &|expr| self.engine.instant(&self.store, expr, UnixMs(time), &|| false))?;
        let names_range = ["start()", "end()", "range()", "step()"].iter().any(|name| text.contains(name));
        if eval.wants_failure() || eval.matrix.is_some() || eval.text.is_some() || (!self.old && names_range) {
            return Ok(());
        }
        let _ = at;
        let range = RangeArgs { start: UnixMs(time - 60_000), end: UnixMs(time + 60_000), step_ms: 60_000 };
        let expr = parse_with(text, Features::ALL).map_err(|error| error.to_string())?;
        let answer = self
            .engine
            .range(&self.store, &expr, range, &|| false)
            .map_err(|error| format!("as a range query at {time} ms: {error}"))?;
        compare::middle(eval, &answer.value, UnixMs(time), self.old)
            .map_err(|error| format!("as a range query around {time} ms: {error}"))
    }

    fn judge(
        &self,
        eval: &Eval,
        text: &str,
        run: &dyn Fn(&Expr) -> Result<Answer, crate::error::EvalError>,
    ) -> Result<(), String> {
        let result = match parse_with(text, Features::ALL) {
            Ok(expr) => run(&expr).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match result {
            Err(message) => eval.judge_failure(&message),
            Ok(_) if eval.wants_failure() => Err("expected a failure, but it has an answer".into()),
            Ok(answer) => {
                compare::annotations(eval, &answer, self.old)?;
                match &answer.value {
                    QueryValue::Matrix(_) => compare::matrix(eval, &answer.value, self.old),
                    _ => compare::vector(eval, &answer.value, self.old),
                }
            }
        }
    }

    /// Returns the expression with `@` set everywhere, and the times at which it must give the same.
    fn rewritten(&self, eval: &Eval, at: i64) -> Result<Option<(String, Vec<i64>)>, String> {
        let mut expr = match parse_with(&eval.expr, Features::ALL) {
            Ok(expr) => expr,
            Err(_) if eval.wants_failure() => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let mut depends = false;
        expr.walk(&mut |node| {
            depends |= matches!(&node.kind, ExprKind::Call(call) if TIME_FUNCTIONS.contains(&call.function.name));
        });
        if depends {
            return Ok(None);
        }
        pin(&mut expr, UnixMs(at));
        let times = match at {
            0 => vec![-1_000, 0, 1_000],
            at => vec![at.saturating_mul(-10), 0, at / 5, at, at.saturating_mul(10)],
        };
        Ok(Some((expr.to_string(), times)))
    }
}

/// Sets `@` on every selector and outermost subquery that has no time of its own.
fn pin(expr: &mut Expr, time: UnixMs) {
    let set = |at: &mut Option<At>| {
        if !matches!(at, Some(At::Time(_))) {
            *at = Some(At::Time(time));
        }
    };
    match &mut expr.kind {
        ExprKind::Number { .. } | ExprKind::Text(_) => {}
        ExprKind::Vector(selector) => set(&mut selector.at),
        ExprKind::Matrix(matrix) => set(&mut matrix.selector.at),
        ExprKind::Subquery(subquery) => set(&mut subquery.at),
        ExprKind::Paren(inner) | ExprKind::Unary { expr: inner, .. } => pin(inner, time),
        ExprKind::Binary(binary) => {
            pin(&mut binary.lhs, time);
            pin(&mut binary.rhs, time);
        }
        ExprKind::Call(call) => call.args.iter_mut().for_each(|arg| pin(arg, time)),
        ExprKind::Aggregate(aggregate) => {
            pin(&mut aggregate.expr, time);
            if let Some(param) = &mut aggregate.param {
                pin(param, time);
            }
        }
    }
}
