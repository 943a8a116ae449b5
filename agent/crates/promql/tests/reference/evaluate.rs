//! Evaluates a tree at one time, node by node. Floats only; slow and plain on purpose.

use std::collections::{BTreeMap, BTreeSet};

use promql::*;

use crate::support::memory::Memory;
use crate::windows::{Range, quantile, variance, window};

/// Labels by name, the metric's name among them.
pub type Labels = BTreeMap<String, String>;
/// Series with one sample each.
pub type Vector = Vec<(Labels, f64)>;
/// A query that has no answer, and why.
pub type Fault = &'static str;

const NAME: &str = "__name__";
const LOOKBACK: i64 = 300_000;

/// The data and the ends of the query's range.
pub struct Reference<'a> {
    pub memory: &'a Memory,
    pub start: i64,
    pub end: i64,
}

/// The samples of ranges, with the range's ends.
type Ranges = (Vec<(Labels, Vec<(i64, f64)>)>, i64, i64);

impl Reference<'_> {
    fn time(&self, at: i64, pinned: Option<At>, offset: &Length) -> i64 {
        let at = match pinned {
            None => at,
            Some(At::Time(time)) => time.0,
            Some(At::Start) => self.start,
            Some(At::End) => self.end,
        };
        at - offset.ms
    }

    /// The samples of all series a selector takes, behind `from` and up to `to`.
    fn select(&self, selector: &VectorSelector, from: i64, to: i64) -> Vec<(Labels, Vec<(i64, f64)>)> {
        let mut out = Vec::new();
        for (labels, samples) in &self.memory.series {
            let map: Labels = labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            if !selector.matchers.iter().all(|m| m.matches(map.get(&m.name).map_or("", String::as_str))) {
                continue;
            }
            let inside = samples.at.iter().zip(&samples.floats).filter(|(at, _)| at.0 > from && at.0 <= to);
            out.push((map, inside.map(|(at, value)| (at.0, *value)).collect()));
        }
        out
    }

    pub fn scalar(&self, expr: &Expr, at: i64) -> Result<f64, Fault> {
        Ok(match &expr.kind {
            ExprKind::Number { value, .. } => *value,
            ExprKind::Paren(inner) => self.scalar(inner, at)?,
            ExprKind::Binary(b) => operate(b.op, self.scalar(&b.lhs, at)?, self.scalar(&b.rhs, at)?).unwrap_or(0.0),
            ExprKind::Call(call) if call.function.name == "time" => at as f64 / 1000.0,
            ExprKind::Call(call) if call.function.name == "scalar" => match &self.vector(&call.args[0], at)?[..] {
                [(_, value)] => *value,
                _ => f64::NAN,
            },
            other => panic!("no scalar: {other:?}"),
        })
    }

    pub fn vector(&self, expr: &Expr, at: i64) -> Result<Vector, Fault> {
        let out = match &expr.kind {
            ExprKind::Paren(inner) => self.vector(inner, at)?,
            ExprKind::Unary { negate: false, expr } => self.vector(expr, at)?,
            ExprKind::Unary { expr, .. } => each(self.vector(expr, at)?, |value| Some(-value)),
            ExprKind::Vector(selector) => {
                self.newest(selector, at).into_iter().map(|(labels, _, value)| (labels, value)).collect()
            }
            ExprKind::Binary(binary) => self.binary(binary, at)?,
            ExprKind::Aggregate(aggregate) => self.aggregate(aggregate, at)?,
            ExprKind::Call(call) => self.call(call, at)?,
            other => panic!("no vector: {other:?}"),
        };
        let labels: BTreeSet<&Labels> = out.iter().map(|(labels, _)| labels).collect();
        if labels.len() == out.len() { Ok(out) } else { Err("same labels") }
    }

    /// The newest sample of each series, unless it is too old or marks the end.
    fn newest(&self, selector: &VectorSelector, at: i64) -> Vec<(Labels, i64, f64)> {
        let to = self.time(at, selector.at, &selector.offset);
        let all = self.select(selector, to - LOOKBACK, to).into_iter();
        let newest = all.filter_map(|(labels, samples)| samples.last().map(|(at, value)| (labels, *at, *value)));
        newest.filter(|(_, _, value)| !model::is_stale_nan(*value)).collect()
    }

    fn range(&self, expr: &Expr, at: i64) -> Result<Ranges, Fault> {
        match &expr.kind {
            ExprKind::Paren(inner) => self.range(inner, at),
            ExprKind::Matrix(matrix) => {
                let to = self.time(at, matrix.selector.at, &matrix.selector.offset);
                let mut all = self.select(&matrix.selector, to - matrix.range.ms, to);
                all.iter_mut().for_each(|(_, samples)| samples.retain(|(_, value)| !model::is_stale_nan(*value)));
                Ok((all, to - matrix.range.ms, to))
            }
            ExprKind::Subquery(subquery) => {
                let to = self.time(at, subquery.at, &subquery.offset);
                let (from, step) = (to - subquery.range.ms, subquery.step.as_ref().map_or(60_000, |step| step.ms));
                let mut all: BTreeMap<Labels, Vec<(i64, f64)>> = BTreeMap::new();
                for time in (from - step..=to).filter(|time| time % step == 0 && *time > from) {
                    for (labels, value) in self.vector(&subquery.expr, time)? {
                        all.entry(labels).or_default().push((time, value));
                    }
                }
                Ok((all.into_iter().collect(), from, to))
            }
            other => panic!("no range: {other:?}"),
        }
    }

    fn binary(&self, binary: &Binary, at: i64) -> Result<Vector, Fault> {
        let op = binary.op;
        let with_scalar = |all: Vector, scalar: f64, swapped: bool| {
            let keep = op.is_comparison() && !binary.bool_modifier;
            let result = |value: f64| {
                let pair = if swapped { (scalar, value) } else { (value, scalar) };
                let result = operate(op, pair.0, pair.1);
                match (op.is_comparison(), binary.bool_modifier) {
                    (true, true) => Some(f64::from(u8::from(result.is_some()))),
                    (true, false) => result.map(|_| value),
                    _ => result,
                }
            };
            if keep { filter(all, result) } else { each(all, result) }
        };
        let Some(matching) = &binary.matching else {
            return Ok(match binary.lhs.value_type() {
                ValueType::Scalar => with_scalar(self.vector(&binary.rhs, at)?, self.scalar(&binary.lhs, at)?, true),
                _ => with_scalar(self.vector(&binary.lhs, at)?, self.scalar(&binary.rhs, at)?, false),
            });
        };
        let (left, right) = (self.vector(&binary.lhs, at)?, self.vector(&binary.rhs, at)?);
        let named = |name: &String| matching.labels.contains(name);
        let key = |labels: &Labels| -> Labels {
            let keep = |name: &String| if matching.on { named(name) } else { name != NAME && !named(name) };
            labels.iter().filter(|(name, _)| keep(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        let has = |side: &Vector, labels: &Labels| side.iter().any(|(other, _)| key(other) == key(labels));
        match op {
            BinaryOp::And => return Ok(left.into_iter().filter(|(labels, _)| has(&right, labels)).collect()),
            BinaryOp::Unless => return Ok(left.into_iter().filter(|(labels, _)| !has(&right, labels)).collect()),
            BinaryOp::Or => {
                let more: Vector = right.into_iter().filter(|(labels, _)| !has(&left, labels)).collect();
                return Ok(left.into_iter().chain(more).collect());
            }
            _ => {}
        }
        let swapped = matching.card == Cardinality::OneToMany;
        let (many, one) = if swapped { (right, left) } else { (left, right) };
        if many.is_empty() || one.is_empty() {
            return Ok(Vec::new());
        }
        let mut ones: BTreeMap<Labels, (Labels, f64)> = BTreeMap::new();
        for (labels, value) in one {
            if ones.insert(key(&labels), (labels, value)).is_some() {
                return Err("duplicates on the one side");
            }
        }
        let (mut matched, mut out) = (BTreeSet::new(), Vec::new());
        for (labels, value) in many {
            let Some((partner, other)) = ones.get(&key(&labels)) else { continue };
            if matching.card == Cardinality::OneToOne && !matched.insert(key(&labels)) {
                return Err("many to one must be explicit");
            }
            let pair = if swapped { (*other, value) } else { (value, *other) };
            let result = match operate(op, pair.0, pair.1) {
                result if binary.bool_modifier => f64::from(u8::from(result.is_some())),
                Some(result) => result,
                None => continue,
            };
            let mut labels = labels;
            if !op.is_comparison() || binary.bool_modifier {
                labels.remove(NAME);
            }
            if matching.card == Cardinality::OneToOne {
                labels.retain(|name, _| named(name) == matching.on);
            }
            for name in &matching.include {
                labels.remove(name);
                labels.extend(partner.get(name).map(|value| (name.clone(), value.clone())));
            }
            out.push((labels, result));
        }
        Ok(out)
    }

    fn aggregate(&self, aggregate: &Aggregate, at: i64) -> Result<Vector, Fault> {
        let mut groups: BTreeMap<Labels, Vec<f64>> = BTreeMap::new();
        for (mut labels, value) in self.vector(&aggregate.expr, at)? {
            labels.retain(|name, _| aggregate.grouping.contains(name) != aggregate.without);
            if aggregate.without {
                labels.remove(NAME);
            }
            if aggregate.op == AggregateOp::CountValues {
                let mut text = String::new();
                model::float::write_plain(&mut text, value);
                labels.insert("v".to_owned(), text);
            }
            groups.entry(labels).or_default().push(value);
        }
        let param = aggregate.param.as_ref().filter(|param| param.value_type() == ValueType::Scalar);
        let param = param.map_or(Ok(0.0), |param| self.scalar(param, at))?;
        let value = |values: &[f64]| match aggregate.op {
            AggregateOp::Sum => values.iter().sum(),
            AggregateOp::Avg => values.iter().sum::<f64>() / values.len() as f64,
            AggregateOp::Count | AggregateOp::CountValues => values.len() as f64,
            AggregateOp::Group => 1.0,
            AggregateOp::Min => values.iter().fold(f64::NAN, |a, b| if *b < a || a.is_nan() { *b } else { a }),
            AggregateOp::Max => values.iter().fold(f64::NAN, |a, b| if *b > a || a.is_nan() { *b } else { a }),
            AggregateOp::Stdvar => variance(values),
            AggregateOp::Stddev => variance(values).sqrt(),
            AggregateOp::Quantile => quantile(param, values),
            other => panic!("{other:?} is left out"),
        };
        Ok(groups.into_iter().map(|(labels, values)| (labels, value(&values))).collect())
    }

    fn call(&self, call: &Call, at: i64) -> Result<Vector, Fault> {
        let (name, args) = (call.function.name, &call.args);
        if let Some(range) = args.iter().find(|arg| arg.value_type() == ValueType::Matrix) {
            return self.window(name, args, range, at);
        }
        let text = |i: usize| match &args[i].kind {
            ExprKind::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            other => panic!("no text: {other:?}"),
        };
        if name == "vector" {
            return Ok(vec![(Labels::new(), self.scalar(&args[0], at)?)]);
        }
        if let ("timestamp", ExprKind::Vector(selector)) = (name, &args[0].kind) {
            let all = self.newest(selector, at).into_iter();
            return Ok(each(all.map(|(labels, time, _)| (labels, time as f64 / 1000.0)).collect(), Some));
        }
        let all = self.vector(&args[usize::from(name == "histogram_quantile")], at)?;
        let bound = |i: usize| self.scalar(&args[i], at);
        Ok(match name {
            "sort_desc" => all,
            "abs" => each(all, |v| Some(v.abs())),
            "ceil" => each(all, |v| Some(v.ceil())),
            "floor" => each(all, |v| Some(v.floor())),
            "sqrt" => each(all, |v| Some(v.sqrt())),
            "deg" => each(all, |v| Some(v * 180.0 / std::f64::consts::PI)),
            "sgn" => each(all, |v| {
                Some(if v > 0.0 {
                    1.0
                } else if v < 0.0 {
                    -1.0
                } else {
                    v
                })
            }),
            "timestamp" => each(all, |_| Some(at as f64 / 1000.0)),
            "round" => {
                let unit = if args.len() > 1 { bound(1)? } else { 1.0 };
                each(all, |v| Some((v / unit + 0.5).floor() * unit))
            }
            "clamp_max" | "clamp" => {
                let (least, most) =
                    if name == "clamp" { (bound(1)?, bound(2)?) } else { (f64::NEG_INFINITY, bound(1)?) };
                each(all, |v| match v {
                    _ if most < least => None,
                    v => Some(larger(least, -larger(-v, -most))),
                })
            }
            "absent" if all.is_empty() => vec![(fixed_labels(&args[0]), 1.0)],
            "absent" => Vec::new(),
            "label_replace" => relabel(all, &text(1), |labels| {
                // The generator's only pattern is `(.)`.
                labels.get(&text(3)).filter(|value| value.chars().count() == 1).cloned()
            }),
            "label_join" => relabel(all, &text(1), |labels| {
                let values = (3..args.len()).map(|i| labels.get(&text(i)).cloned().unwrap_or_default());
                Some(values.collect::<Vec<_>>().join(&text(2)))
            }),
            "histogram_quantile" => histogram_quantile(bound(0)?, all),
            other => panic!("{other} is not made by the generator"),
        })
    }

    fn window(&self, name: &str, args: &[Expr], range: &Expr, at: i64) -> Result<Vector, Fault> {
        let param = args.iter().find(|arg| arg.value_type() == ValueType::Scalar);
        let param = param.map_or(Ok(0.0), |param| self.scalar(param, at))?;
        let (mut all, from, to) = self.range(range, at)?;
        all.retain(|(_, samples)| !samples.is_empty());
        if name == "absent_over_time" {
            return Ok(if all.is_empty() { vec![(fixed_labels(range), 1.0)] } else { Vec::new() });
        }
        let values = all.into_iter().filter_map(|(labels, samples)| {
            Some((labels, window(name, param, &Range { from, to, at, samples: &samples })?))
        });
        Ok(if name == "last_over_time" { values.collect() } else { each(values.collect(), Some) })
    }
}

/// Changes values, or leaves series out, and takes the names off.
fn each(all: Vector, change: impl Fn(f64) -> Option<f64>) -> Vector {
    let mut all = filter(all, change);
    all.iter_mut().for_each(|(labels, _)| {
        labels.remove(NAME);
    });
    all
}

fn filter(all: Vector, change: impl Fn(f64) -> Option<f64>) -> Vector {
    all.into_iter().filter_map(|(labels, value)| change(value).map(|value| (labels, value))).collect()
}

fn relabel(all: Vector, target: &str, value: impl Fn(&Labels) -> Option<String>) -> Vector {
    let set = |(mut labels, sample): (Labels, f64)| {
        if let Some(value) = value(&labels) {
            labels.insert(target.to_owned(), value);
            labels.retain(|_, value| !value.is_empty());
        }
        (labels, sample)
    };
    all.into_iter().map(set).collect()
}

/// The labels that a selector fixes to one value.
fn fixed_labels(expr: &Expr) -> Labels {
    let matchers = match &expr.kind {
        ExprKind::Paren(inner) => return fixed_labels(inner),
        ExprKind::Vector(selector) => &selector.matchers,
        ExprKind::Matrix(matrix) => &matrix.selector.matchers,
        _ => return Labels::new(),
    };
    let fixed = matchers.iter().filter(|m| m.op == model::MatchOp::Equal && m.name != NAME);
    let once = fixed.filter(|m| matchers.iter().filter(|other| other.name == m.name).count() == 1);
    once.map(|m| (m.name.clone(), m.value.clone())).collect()
}

/// Computes two numbers; a comparison gives the left one where it holds.
fn operate(op: BinaryOp, a: f64, b: f64) -> Option<f64> {
    match op {
        BinaryOp::Add => Some(a + b),
        BinaryOp::Sub => Some(a - b),
        BinaryOp::Mul => Some(a * b),
        BinaryOp::Div => Some(a / b),
        BinaryOp::Mod => Some(a % b),
        BinaryOp::Equal => (a == b).then_some(a),
        BinaryOp::NotEqual => (a != b).then_some(a),
        BinaryOp::Less => (a < b).then_some(a),
        BinaryOp::LessOrEqual => (a <= b).then_some(a),
        BinaryOp::Greater => (a > b).then_some(a),
        BinaryOp::GreaterOrEqual => (a >= b).then_some(a),
        other => panic!("{other:?} is not made by the generator"),
    }
}

fn histogram_quantile(q: f64, all: Vector) -> Vector {
    let mut families: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
    for (mut labels, count) in all {
        labels.remove(NAME);
        let Some(bound) = labels.remove("le").and_then(|le| le.parse().ok()) else { continue };
        families.entry(labels).or_default().push((bound, count));
    }
    let value = |mut buckets: Vec<(f64, f64)>| {
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let n = buckets.len();
        for i in 1..n {
            buckets[i].1 = buckets[i].1.max(buckets[i - 1].1);
        }
        let total = buckets[n - 1].1;
        if n < 2 || buckets[n - 1].0 != f64::INFINITY || total == 0.0 {
            return f64::NAN;
        }
        let rank = q * total;
        let found = buckets[..n - 1].iter().position(|(_, count)| *count >= rank).unwrap_or(n - 1);
        if found == n - 1 {
            return buckets[n - 2].0;
        }
        let (low, below) = if found == 0 { (0.0, 0.0) } else { buckets[found - 1] };
        low + (buckets[found].0 - low) * ((rank - below) / (buckets[found].1 - below))
    };
    families.into_iter().map(|(labels, buckets)| (labels, value(buckets))).collect()
}

/// The larger of two as in Go: infinity before what is no number, and that before any other.
fn larger(a: f64, b: f64) -> f64 {
    match a.is_nan() || b.is_nan() {
        true if a == f64::INFINITY || b == f64::INFINITY => f64::INFINITY,
        true => f64::NAN,
        false => a.max(b),
    }
}
