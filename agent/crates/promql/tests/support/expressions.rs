//! Random expressions and random small data, made of a seed: what parses and has something to say, mostly.
//!
//! Floats only, of the level of 3.5, so that a real Prometheus can be asked the same. Series have gaps, begin and end at
//! different times, fall now and then as counters do, and share labels across names so that they meet when names go.

use model::{Labels, UnixMs};

use super::memory::Memory;
use super::random::Random;

const SELECTORS: [&str; 12] = [
    "a_total",
    "b",
    "c",
    "c{x=\"1\"}",
    "{x=~\"1|2\"}",
    "b{x!=\"1\",y=~\".+\"}",
    "{__name__=~\"b|c\",y=\"p\"}",
    "nothing",
    "h_bucket",
    "{__name__=~\"b|e\"}",
    "e",
    "a_total{y=~\"p|\"}",
];
const OFFSETS: [&str; 8] = ["", "", "", "", " offset 45s", " offset -20s", " @ 130", " @ end()"];
const RANGES: [&str; 5] = ["[1m]", "[47s]", "[3m]", "[10s]", "[5m]"];
const SUBQUERIES: [&str; 5] = ["[1m:10s]", "[3m:45s]", "[2m:]", "[50s:7s]", "[1m:1m]"];
const WINDOWS: [&str; 20] = [
    "rate",
    "increase",
    "delta",
    "irate",
    "idelta",
    "deriv",
    "changes",
    "resets",
    "sum_over_time",
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "count_over_time",
    "last_over_time",
    "present_over_time",
    "stddev_over_time",
    "stdvar_over_time",
    "mad_over_time",
    "absent_over_time",
    "max_over_time",
];
const MATHS: [&str; 12] =
    ["abs", "ceil", "floor", "sgn", "round", "sqrt", "deg", "-", "+", "absent", "timestamp", "sort_desc"];
const AGGREGATES: [&str; 9] = ["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "sum"];
const GROUPS: [&str; 7] =
    ["", " by (x)", " by (y)", " by (x, y)", " without (x)", " without (y, le)", " by (__name__)"];
// Neither `^` nor `atan2`: their last digit is that of the machine's mathematics, and small differences then show.
const OPERATORS: [&str; 11] = ["+", "-", "*", "/", "%", "==", "!=", "<", ">", "<=", ">="];
const MATCHINGS: [&str; 9] = [
    "",
    "",
    "on (x)",
    "on (x, y)",
    "ignoring (y)",
    "on (x) group_left ()",
    "on (y) group_right (x)",
    "ignoring (y) group_left (y)",
    "on ()",
];

/// Makes expressions.
pub struct Maker {
    /// Where chance comes from.
    pub random: Random,
}

impl Maker {
    fn pick(&mut self, list: &[&'static str]) -> &'static str {
        list[self.random.below(list.len())]
    }

    /// Returns an expression whose value is a vector, at most so deep.
    pub fn vector(&mut self, depth: usize) -> String {
        if depth == 0 {
            return format!("{}{}", self.pick(&SELECTORS), self.pick(&OFFSETS));
        }
        let depth = depth - 1;
        match self.random.below(14) {
            0 | 1 => self.vector(0),
            2..=4 => self.window(depth),
            5 | 6 => format!("{}{} ({})", self.pick(&AGGREGATES), self.pick(&GROUPS), self.vector(depth)),
            7 => format!("{}({})", self.pick(&MATHS), self.vector(depth)),
            8 => {
                let operator = self.pick(&OPERATORS);
                let bool_modifier =
                    if self.random.once_in(3) && "=!<>".contains(&operator[..1]) { " bool" } else { "" };
                let (a, b) = (self.vector(depth), self.scalar(depth));
                let (a, b) = if self.random.once_in(2) { (a, b) } else { (b, a) };
                format!("({a} {operator}{bool_modifier} {b})")
            }
            9 | 10 => {
                let operator = self.pick(&OPERATORS);
                let (a, b) = (self.vector(depth), self.vector(depth));
                format!("({a} {operator} {} {b})", self.pick(&MATCHINGS))
            }
            11 => {
                let operator = self.pick(&["and", "or", "unless"]);
                let (a, b) = (self.vector(depth), self.vector(depth));
                format!("({a} {operator} {} {b})", self.pick(&["", "on (x)", "ignoring (y)", "on ()"]))
            }
            12 => {
                let (name, param) = match self.random.below(4) {
                    0 => ("topk", format!("{}", self.random.below(4))),
                    1 => ("bottomk", format!("{}", 1 + self.random.below(3))),
                    2 => ("quantile", format!("0.{}", self.random.below(10))),
                    _ => ("count_values", "\"v\"".to_owned()),
                };
                // Which of equal values is taken follows their order, which only stored series have; and the last digit of
                // what was added up in any order would show in a label.
                let depth = if name == "quantile" { depth } else { 0 };
                format!("{name}{} ({param}, {})", self.pick(&GROUPS), self.vector(depth))
            }
            _ => self.special(depth),
        }
    }

    fn special(&mut self, depth: usize) -> String {
        let (vector, scalar) = (self.vector(depth), self.scalar(depth));
        match self.random.below(7) {
            0 => format!("clamp_max({vector}, {scalar})"),
            1 => format!("clamp({vector}, 1, {scalar})"),
            2 => format!("label_replace({vector}, \"y\", \"$1\", \"x\", \"(.)\")"),
            3 => format!("label_join({vector}, \"x\", \"-\", \"y\", \"x\")"),
            4 => format!("vector({scalar})"),
            5 => format!("round({vector}, 0.5)"),
            _ => "histogram_quantile(0.8, h_bucket)".to_owned(),
        }
    }

    fn window(&mut self, depth: usize) -> String {
        let range = if depth > 0 && self.random.once_in(3) {
            format!("({}){}{}", self.vector(depth - 1), self.pick(&SUBQUERIES), self.pick(&OFFSETS))
        } else {
            format!("{}{}{}", self.pick(&SELECTORS), self.pick(&RANGES), self.pick(&OFFSETS))
        };
        match self.random.below(8) {
            0 => format!("quantile_over_time(0.{}, {range})", self.random.below(10)),
            // Pinned, the peer evaluates more than the range asks for, and says what it finds there.
            1 if !range.contains('@') => format!("predict_linear({range}, 60)"),
            _ => format!("{}({range})", self.pick(&WINDOWS)),
        }
    }

    fn scalar(&mut self, depth: usize) -> String {
        match self.random.below(6) {
            0 => "time()".to_owned(),
            1 if depth > 0 => format!("scalar({})", self.vector(depth - 1)),
            2 => "(2 - 5 % 3)".to_owned(),
            n => ["1", "2.5", "-3", "0"][n % 4].to_owned(),
        }
    }

    /// Returns small data that go with these expressions: from `start` on, for six minutes.
    pub fn data(&mut self, start: UnixMs) -> Memory {
        let mut memory = Memory::default();
        for (name, x, y) in [
            ("a_total", "1", "p"),
            ("a_total", "2", "p"),
            ("a_total", "2", "q"),
            ("b", "1", "p"),
            ("b", "2", "q"),
            ("b", "3", ""),
            ("c", "1", "p"),
            ("c", "1", "q"),
            ("c", "4", "q"),
            ("e", "1", "p"),
            ("e", "3", ""),
        ] {
            let labels = Labels::from_pairs([("__name__", name), ("x", x), ("y", y)]);
            self.series(&mut memory, &labels, start);
        }
        for le in ["0.1", "1", "+Inf"] {
            let labels = Labels::from_pairs([("__name__", "h_bucket"), ("le", le), ("x", "1")]);
            self.series(&mut memory, &labels, start);
        }
        memory
    }

    fn series(&mut self, memory: &mut Memory, labels: &Labels, start: UnixMs) {
        let is_counter = labels.name() != "b" && labels.name() != "c";
        let (begin, end) = (self.random.below(8) * 15_000, 120_000 + self.random.below(17) * 15_000);
        let jitter = if self.random.once_in(2) { 1 } else { 1_500 };
        let mut value = self.random.below(20) as f64;
        let mut at = begin;
        while at <= end {
            value = match is_counter {
                true if self.random.once_in(9) => self.random.below(3) as f64,
                true => value + self.random.below(5) as f64,
                false if self.random.once_in(25) => [f64::NAN, f64::INFINITY, -0.0][self.random.below(3)],
                false => (self.random.below(400) as f64 - 150.0) / 8.0,
            };
            if !self.random.once_in(7) {
                memory.add(labels, UnixMs(start.0 + (at + self.random.below(jitter)) as i64), value);
            }
            at += 15_000;
        }
    }
}
