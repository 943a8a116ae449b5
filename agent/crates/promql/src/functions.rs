//! The functions of the language as data: name, types, and what carries them out.
//!
//! `parse` looks up names and types here, `eval` dispatches on [`Imp`]. Adding a function is a line here and its
//! body in `eval`.

use model::UnixMs;

use crate::ast::ValueType::{self, Matrix, Scalar, Text, Vector};
use crate::eval::simple;
use crate::eval::window::{self, WindowFn};

/// A function of the language.
#[derive(Debug)]
pub struct Function {
    /// The name.
    pub name: &'static str,
    /// The types of its arguments.
    pub args: &'static [ValueType],
    /// 0: exactly `args`; positive: the last is optional and so many are allowed; -1: the last may be repeated
    /// or absent.
    pub variadic: i8,
    /// What it returns.
    pub returns: ValueType,
    /// Whether it needs experimental functions to be switched on.
    pub experimental: bool,
    /// Whether its result depends on the time of evaluation even where its arguments do not.
    pub(crate) at_unsafe: bool,
    pub(crate) imp: Imp,
}

impl Function {
    /// Returns whether its results keep the metric's name.
    pub(crate) fn keeps_name(&self) -> bool {
        matches!(self.name, "last_over_time" | "first_over_time")
    }
}

/// What carries a function out.
pub(crate) enum Imp {
    /// From float to float; histograms vanish.
    Math(fn(f64) -> f64),
    /// From a time to a number; without argument the time of evaluation.
    Date(fn(UnixMs) -> f64),
    /// From the samples of a range to one.
    Window(WindowFn),
    /// Something of its own.
    Special(Special),
}

impl std::fmt::Debug for Imp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Imp::Math(_) => "math",
            Imp::Date(_) => "date",
            Imp::Window(_) => "window",
            Imp::Special(_) => "special",
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Special {
    Absent,
    AbsentOverTime,
    Clamp,
    ClampMax,
    ClampMin,
    End,
    HistogramAvg,
    HistogramCount,
    HistogramFraction,
    HistogramQuantile,
    HistogramQuantiles,
    HistogramStddev,
    HistogramStdvar,
    HistogramSum,
    Info,
    LabelJoin,
    LabelReplace,
    MaxOf,
    MinOf,
    Pi,
    Range,
    Round,
    Scalar,
    Sort,
    SortByLabel,
    SortByLabelDesc,
    SortDesc,
    Start,
    StartTimestamp,
    Step,
    Time,
    Timestamp,
    Vector,
}

const fn math(name: &'static str, body: fn(f64) -> f64) -> Function {
    make(name, &[Vector], 0, Vector, Imp::Math(body))
}

const fn date(name: &'static str, body: fn(UnixMs) -> f64) -> Function {
    Function { at_unsafe: true, ..make(name, &[Vector], 1, Vector, Imp::Date(body)) }
}

const fn over(name: &'static str, body: WindowFn) -> Function {
    make(name, &[Matrix], 0, Vector, Imp::Window(body))
}

const fn special(name: &'static str, args: &'static [ValueType], returns: ValueType, what: Special) -> Function {
    make(name, args, 0, returns, Imp::Special(what))
}

const fn make(name: &'static str, args: &'static [ValueType], variadic: i8, returns: ValueType, imp: Imp) -> Function {
    Function { name, args, variadic, returns, experimental: false, at_unsafe: false, imp }
}

const fn experimental(function: Function) -> Function {
    Function { experimental: true, ..function }
}

const fn at_unsafe(function: Function) -> Function {
    Function { at_unsafe: true, ..function }
}

const fn variadic(variadic: i8, function: Function) -> Function {
    Function { variadic, ..function }
}

/// All functions, in alphabetical order.
pub static FUNCTIONS: &[Function] = &[
    math("abs", f64::abs),
    special("absent", &[Vector], Vector, Special::Absent),
    special("absent_over_time", &[Matrix], Vector, Special::AbsentOverTime),
    math("acos", f64::acos),
    math("acosh", f64::acosh),
    math("asin", f64::asin),
    math("asinh", f64::asinh),
    math("atan", f64::atan),
    math("atanh", f64::atanh),
    over("avg_over_time", window::avg),
    math("ceil", f64::ceil),
    over("changes", window::changes),
    special("clamp", &[Vector, Scalar, Scalar], Vector, Special::Clamp),
    special("clamp_max", &[Vector, Scalar], Vector, Special::ClampMax),
    special("clamp_min", &[Vector, Scalar], Vector, Special::ClampMin),
    math("cos", f64::cos),
    math("cosh", f64::cosh),
    over("count_over_time", window::count),
    date("day_of_month", simple::day_of_month),
    date("day_of_week", simple::day_of_week),
    date("day_of_year", simple::day_of_year),
    date("days_in_month", simple::days_in_month),
    math("deg", simple::deg),
    over("delta", window::delta),
    over("deriv", window::deriv),
    experimental(make(
        "double_exponential_smoothing",
        &[Matrix, Scalar, Scalar],
        0,
        Vector,
        Imp::Window(window::double_exponential_smoothing),
    )),
    experimental(special("end", &[], Scalar, Special::End)),
    math("exp", f64::exp),
    experimental(over("first_over_time", window::first)),
    math("floor", f64::floor),
    special("histogram_avg", &[Vector], Vector, Special::HistogramAvg),
    special("histogram_count", &[Vector], Vector, Special::HistogramCount),
    special("histogram_fraction", &[Scalar, Scalar, Vector], Vector, Special::HistogramFraction),
    special("histogram_quantile", &[Scalar, Vector], Vector, Special::HistogramQuantile),
    experimental(variadic(
        9,
        special("histogram_quantiles", &[Vector, Text, Scalar, Scalar], Vector, Special::HistogramQuantiles),
    )),
    special("histogram_stddev", &[Vector], Vector, Special::HistogramStddev),
    special("histogram_stdvar", &[Vector], Vector, Special::HistogramStdvar),
    special("histogram_sum", &[Vector], Vector, Special::HistogramSum),
    date("hour", simple::hour),
    over("idelta", window::idelta),
    over("increase", window::increase),
    experimental(variadic(1, special("info", &[Vector, Vector], Vector, Special::Info))),
    over("irate", window::irate),
    variadic(-1, special("label_join", &[Vector, Text, Text, Text], Vector, Special::LabelJoin)),
    special("label_replace", &[Vector, Text, Text, Text, Text], Vector, Special::LabelReplace),
    over("last_over_time", window::last),
    math("ln", f64::ln),
    math("log10", f64::log10),
    math("log2", f64::log2),
    experimental(over("mad_over_time", window::mad)),
    experimental(special("max_of", &[Scalar, Scalar], Scalar, Special::MaxOf)),
    over("max_over_time", window::max),
    experimental(special("min_of", &[Scalar, Scalar], Scalar, Special::MinOf)),
    over("min_over_time", window::min),
    date("minute", simple::minute),
    date("month", simple::month),
    special("pi", &[], Scalar, Special::Pi),
    at_unsafe(make("predict_linear", &[Matrix, Scalar], 0, Vector, Imp::Window(window::predict_linear))),
    over("present_over_time", window::present),
    make("quantile_over_time", &[Scalar, Matrix], 0, Vector, Imp::Window(window::quantile)),
    math("rad", simple::rad),
    experimental(special("range", &[], Scalar, Special::Range)),
    over("rate", window::rate),
    over("resets", window::resets),
    variadic(1, special("round", &[Vector, Scalar], Vector, Special::Round)),
    special("scalar", &[Vector], Scalar, Special::Scalar),
    math("sgn", simple::sgn),
    math("sin", f64::sin),
    math("sinh", f64::sinh),
    special("sort", &[Vector], Vector, Special::Sort),
    experimental(variadic(-1, special("sort_by_label", &[Vector, Text], Vector, Special::SortByLabel))),
    experimental(variadic(-1, special("sort_by_label_desc", &[Vector, Text], Vector, Special::SortByLabelDesc))),
    special("sort_desc", &[Vector], Vector, Special::SortDesc),
    math("sqrt", f64::sqrt),
    experimental(special("start", &[], Scalar, Special::Start)),
    experimental(at_unsafe(special("start_timestamp", &[Vector], Vector, Special::StartTimestamp))),
    over("stddev_over_time", window::stddev),
    over("stdvar_over_time", window::stdvar),
    experimental(special("step", &[], Scalar, Special::Step)),
    over("sum_over_time", window::sum),
    math("tan", f64::tan),
    math("tanh", f64::tanh),
    at_unsafe(special("time", &[], Scalar, Special::Time)),
    at_unsafe(special("timestamp", &[Vector], Vector, Special::Timestamp)),
    experimental(over("ts_of_first_over_time", window::ts_of_first)),
    experimental(over("ts_of_last_over_time", window::ts_of_last)),
    experimental(over("ts_of_max_over_time", window::ts_of_max)),
    experimental(over("ts_of_min_over_time", window::ts_of_min)),
    special("vector", &[Scalar], Vector, Special::Vector),
    date("year", simple::year),
];

/// Returns the function of this name; names are case sensitive.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.binary_search_by(|function| function.name.cmp(name)).ok().map(|at| &FUNCTIONS[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_so_that_it_can_be_searched() {
        assert!(FUNCTIONS.is_sorted_by(|a, b| a.name < b.name));
        assert!(FUNCTIONS.iter().all(|function| find(function.name).is_some_and(|f| f.name == function.name)));
        assert!(find("rat").is_none() && find("RATE").is_none());
    }
}
