//! The tree of an expression. Every node knows its bytes in the text, for errors and annotations.
//!
//! A tree that exists was type checked: the evaluator believes it. Trees are made by `parse` only, so that
//! `height` (for the depth limit) and `fixed` (evaluates the same at every step) are always right.

use model::{Matcher, UnixMs};

use crate::functions::Function;

/// The bytes of the text a node was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// The first byte.
    pub start: u32,
    /// One behind the last byte.
    pub end: u32,
    /// The line of the first byte, from 1.
    pub line: u32,
    /// The column of the first byte within its line, in bytes, from 1.
    pub column: u32,
}

impl Span {
    /// Returns the span of nothing at the beginning of the text.
    pub(crate) fn beginning() -> Span {
        Span { start: 0, end: 0, line: 1, column: 1 }
    }

    /// Returns the span from the start of this one to the end of another.
    pub(crate) fn to(self, other: Span) -> Span {
        Span { end: other.end, ..self }
    }
}

/// What an expression evaluates to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// One number.
    Scalar,
    /// Series with one sample each.
    Vector,
    /// Series with many samples each.
    Matrix,
    /// A text.
    Text,
}

impl ValueType {
    /// Returns the short name: `scalar`, `vector`, `matrix`, `string`.
    pub fn as_str(self) -> &'static str {
        match self {
            ValueType::Scalar => "scalar",
            ValueType::Vector => "vector",
            ValueType::Matrix => "matrix",
            ValueType::Text => "string",
        }
    }

    /// Returns the name as the documentation has it: `instant vector`.
    pub fn documented(self) -> &'static str {
        match self {
            ValueType::Vector => "instant vector",
            ValueType::Matrix => "range vector",
            other => other.as_str(),
        }
    }
}

/// One node.
#[derive(Debug, Clone)]
pub struct Expr {
    /// Where it stands in the text.
    pub span: Span,
    /// What it is.
    pub kind: ExprKind,
    /// The longest way down, for the depth limit.
    pub(crate) height: u32,
    /// Whether every step of a range query gives the same.
    pub(crate) fixed: bool,
}

/// What a node is.
#[derive(Debug, Clone)]
pub enum ExprKind {
    /// `1.5`, `0x1f`, `5m`.
    Number {
        /// The value, seconds for a duration.
        value: f64,
        /// Whether it was written as a duration and is printed as one.
        duration: bool,
    },
    /// `"text"`: bytes, because escapes can make any.
    Text(Vec<u8>),
    /// `(expr)`.
    Paren(Box<Expr>),
    /// `-expr`, `+expr`.
    Unary {
        /// Whether it is `-`.
        negate: bool,
        /// The operand.
        expr: Box<Expr>,
    },
    /// `a + b`.
    Binary(Box<Binary>),
    /// `up{job="node"}`.
    Vector(Box<VectorSelector>),
    /// `up{job="node"}[5m]`.
    Matrix(Box<MatrixSelector>),
    /// `expr[1h:1m]`.
    Subquery(Box<Subquery>),
    /// `rate(...)`.
    Call(Box<Call>),
    /// `sum by (job) (...)`.
    Aggregate(Box<Aggregate>),
}

/// A binary operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum BinaryOp {
    Or,
    And,
    Unless,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    TrimUpper,
    TrimLower,
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Atan2,
    Pow,
}

impl BinaryOp {
    /// Returns the operator as it is written.
    pub fn as_str(self) -> &'static str {
        use BinaryOp::*;
        match self {
            Or => "or",
            And => "and",
            Unless => "unless",
            Equal => "==",
            NotEqual => "!=",
            Less => "<",
            LessOrEqual => "<=",
            Greater => ">",
            GreaterOrEqual => ">=",
            TrimUpper => "</",
            TrimLower => ">/",
            Add => "+",
            Sub => "-",
            Mul => "*",
            Div => "/",
            Mod => "%",
            Atan2 => "atan2",
            Pow => "^",
        }
    }

    /// Returns how tightly it binds; larger binds tighter.
    pub(crate) fn precedence(self) -> u8 {
        use BinaryOp::*;
        match self {
            Or => 1,
            And | Unless => 2,
            Equal | NotEqual | Less | LessOrEqual | Greater | GreaterOrEqual | TrimUpper | TrimLower => 3,
            Add | Sub => 4,
            Mul | Div | Mod | Atan2 => 5,
            Pow => 6,
        }
    }

    /// Returns whether it is `and`, `or` or `unless`.
    pub fn is_set(self) -> bool {
        matches!(self, BinaryOp::Or | BinaryOp::And | BinaryOp::Unless)
    }

    /// Returns whether its result is one of its operands, name and all, and not something computed from both.
    pub(crate) fn keeps_name(self) -> bool {
        self.is_comparison() || matches!(self, BinaryOp::TrimUpper | BinaryOp::TrimLower)
    }

    /// Returns whether it compares.
    pub fn is_comparison(self) -> bool {
        use BinaryOp::*;
        matches!(self, Equal | NotEqual | Less | LessOrEqual | Greater | GreaterOrEqual)
    }
}

/// Two operands and how their series meet.
#[derive(Debug, Clone)]
pub struct Binary {
    /// The operator.
    pub op: BinaryOp,
    /// The left operand.
    pub lhs: Expr,
    /// The right operand.
    pub rhs: Expr,
    /// Whether `bool` stands behind the operator.
    pub bool_modifier: bool,
    /// How series meet; only where both sides are vectors.
    pub matching: Option<Matching>,
}

/// How many series of one side meet how many of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Cardinality {
    OneToOne,
    ManyToOne,
    OneToMany,
    ManyToMany,
}

impl Cardinality {
    /// Returns the name as Prometheus's API has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Cardinality::OneToOne => "one-to-one",
            Cardinality::ManyToOne => "many-to-one",
            Cardinality::OneToMany => "one-to-many",
            Cardinality::ManyToMany => "many-to-many",
        }
    }
}

/// `on(a, b) group_left(c) fill(0)`.
#[derive(Debug, Clone)]
pub struct Matching {
    /// How many meet how many.
    pub card: Cardinality,
    /// The labels of `on` or `ignoring`.
    pub labels: Vec<String>,
    /// Whether it is `on`.
    pub on: bool,
    /// The labels of `group_left` or `group_right`.
    pub include: Vec<String>,
    /// The value that stands in for a missing left side.
    pub fill_left: Option<f64>,
    /// The value that stands in for a missing right side.
    pub fill_right: Option<f64>,
}

/// `@ 123`, `@ start()`, `@ end()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// A fixed time.
    Time(UnixMs),
    /// The start of the query's range.
    Start,
    /// The end of the query's range.
    End,
}

/// How the ends of a range are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Extension {
    /// As ever.
    #[default]
    None,
    /// `anchored`: the sample before the range is its first.
    Anchored,
    /// `smoothed`: values at both ends are interpolated.
    Smoothed,
}

/// A length of time: constant, or an expression on the query's step and range.
#[derive(Debug, Clone, Default)]
pub struct Length {
    /// The milliseconds; where `expr` is present they follow from it at evaluation.
    pub ms: i64,
    /// The expression, where it is more than a literal.
    pub expr: Option<Box<DurationExpr>>,
}

impl Length {
    /// Returns whether nothing was written.
    pub(crate) fn is_zero(&self) -> bool {
        self.ms == 0 && self.expr.is_none()
    }
}

/// A node of arithmetic on durations, in seconds.
#[derive(Debug, Clone)]
pub struct DurationExpr {
    /// Where it stands in the text.
    pub span: Span,
    /// What it is.
    pub kind: DurationKind,
    pub(crate) height: u32,
}

/// What a node of duration arithmetic is.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub enum DurationKind {
    Number { seconds: f64, duration: bool },
    Step,
    Range,
    Paren(Box<DurationExpr>),
    Unary { negate: bool, expr: Box<DurationExpr> },
    Binary { op: BinaryOp, lhs: Box<DurationExpr>, rhs: Box<DurationExpr> },
    MinOf(Box<DurationExpr>, Box<DurationExpr>),
    MaxOf(Box<DurationExpr>, Box<DurationExpr>),
}

/// Which series, and as of when.
#[derive(Debug, Clone)]
pub struct VectorSelector {
    /// The metric name before the braces; empty when there is none.
    pub name: String,
    /// All matchers; the one for `name` is the last.
    pub matchers: Vec<Matcher>,
    /// How far back to look.
    pub offset: Length,
    /// The time it is pinned to.
    pub at: Option<At>,
    /// `anchored` or `smoothed`.
    pub extension: Extension,
}

/// A selector with a range.
#[derive(Debug, Clone)]
pub struct MatrixSelector {
    /// Which series.
    pub selector: VectorSelector,
    /// How long a range.
    pub range: Length,
}

/// An expression evaluated at many times within a range.
#[derive(Debug, Clone)]
pub struct Subquery {
    /// What is evaluated.
    pub expr: Expr,
    /// How long a range.
    pub range: Length,
    /// How often; `None`: the engine's default.
    pub step: Option<Length>,
    /// How far back to look.
    pub offset: Length,
    /// The time it is pinned to.
    pub at: Option<At>,
}

/// A function with its arguments.
#[derive(Debug, Clone)]
pub struct Call {
    /// Which function.
    pub function: &'static Function,
    /// Its arguments.
    pub args: Vec<Expr>,
}

/// An aggregation operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum AggregateOp {
    Sum,
    Avg,
    Count,
    Min,
    Max,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    CountValues,
    Quantile,
    Limitk,
    LimitRatio,
}

impl AggregateOp {
    /// All operators.
    pub(crate) const ALL: [AggregateOp; 14] = {
        use AggregateOp::*;
        [Sum, Avg, Count, Min, Max, Group, Stddev, Stdvar, Topk, Bottomk, CountValues, Quantile, Limitk, LimitRatio]
    };

    /// Returns the operator as it is written.
    pub fn as_str(self) -> &'static str {
        use AggregateOp::*;
        match self {
            Sum => "sum",
            Avg => "avg",
            Count => "count",
            Min => "min",
            Max => "max",
            Group => "group",
            Stddev => "stddev",
            Stdvar => "stdvar",
            Topk => "topk",
            Bottomk => "bottomk",
            CountValues => "count_values",
            Quantile => "quantile",
            Limitk => "limitk",
            LimitRatio => "limit_ratio",
        }
    }

    /// Returns whether it takes a parameter before the expression.
    pub fn takes_parameter(self) -> bool {
        use AggregateOp::*;
        matches!(self, Topk | Bottomk | CountValues | Quantile | Limitk | LimitRatio)
    }

    /// Returns whether it returns some of the series as they are.
    pub(crate) fn chooses(self) -> bool {
        use AggregateOp::*;
        matches!(self, Topk | Bottomk | Limitk | LimitRatio)
    }

    /// Returns whether it needs experimental functions to be switched on.
    pub fn is_experimental(self) -> bool {
        matches!(self, AggregateOp::Limitk | AggregateOp::LimitRatio)
    }
}

/// An aggregation over groups of series.
#[derive(Debug, Clone)]
pub struct Aggregate {
    /// Which operator.
    pub op: AggregateOp,
    /// What is aggregated.
    pub expr: Expr,
    /// The parameter, for the operators that take one.
    pub param: Option<Expr>,
    /// The labels of `by` or `without`.
    pub grouping: Vec<String>,
    /// Whether it is `without`.
    pub without: bool,
}

impl Expr {
    /// Returns what the expression evaluates to.
    pub fn value_type(&self) -> ValueType {
        let mut expr = self;
        loop {
            expr = match &expr.kind {
                ExprKind::Number { .. } => return ValueType::Scalar,
                ExprKind::Text(_) => return ValueType::Text,
                ExprKind::Paren(inner) => inner,
                ExprKind::Unary { expr, .. } => expr,
                ExprKind::Binary(binary) => match &binary.matching {
                    Some(_) => return ValueType::Vector,
                    None if binary.rhs.value_type() == ValueType::Vector => return ValueType::Vector,
                    None => &binary.lhs,
                },
                ExprKind::Vector(_) | ExprKind::Aggregate(_) => return ValueType::Vector,
                ExprKind::Matrix(_) | ExprKind::Subquery(_) => return ValueType::Matrix,
                ExprKind::Call(call) => return call.function.returns,
            };
        }
    }

    /// Hands every node to `visit`, parents before children.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr)) {
        let mut stack = vec![self];
        while let Some(expr) = stack.pop() {
            visit(expr);
            match &expr.kind {
                ExprKind::Number { .. } | ExprKind::Text(_) | ExprKind::Vector(_) | ExprKind::Matrix(_) => {}
                ExprKind::Paren(inner) | ExprKind::Unary { expr: inner, .. } => stack.push(inner),
                ExprKind::Binary(binary) => stack.extend([&binary.rhs, &binary.lhs]),
                ExprKind::Subquery(subquery) => stack.push(&subquery.expr),
                ExprKind::Call(call) => stack.extend(call.args.iter().rev()),
                ExprKind::Aggregate(aggregate) => {
                    stack.push(&aggregate.expr);
                    stack.extend(&aggregate.param);
                }
            }
        }
    }

    /// Returns all selectors of the expression, in the order of the text.
    pub fn selectors(&self) -> Vec<&VectorSelector> {
        let mut found = Vec::new();
        self.walk(&mut |expr| match &expr.kind {
            ExprKind::Vector(selector) => found.push(&**selector),
            ExprKind::Matrix(matrix) => found.push(&matrix.selector),
            _ => {}
        });
        found
    }

    /// Returns the expression inside all parentheses around it.
    pub(crate) fn unwrapped(&self) -> &Expr {
        let mut expr = self;
        while let ExprKind::Paren(inner) = &expr.kind {
            expr = inner;
        }
        expr
    }
}
