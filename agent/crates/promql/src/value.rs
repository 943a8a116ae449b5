//! Values: what an engine hands out ([`Answer`]), and what passes between nodes while it evaluates ([`Series`]).
//!
//! A series between nodes is dense: one float for each step, where the staleness marker's bits mean that there is no
//! sample (no arithmetic can make those bits: they are a signalling NaN). Histograms, where there are any, lie beside
//! the floats. So a float series costs eight bytes a step.

use std::sync::Arc;

use model::{Labels, UnixMs, Value, is_stale_nan, stale_nan};

use crate::hist::Hist;
use crate::stats::SampleStats;

/// The result of a query.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The value.
    pub value: QueryValue,
    /// What may be wrong with it, `PromQL warning: ...`.
    pub warnings: Vec<String>,
    /// What is good to know, `PromQL info: ...`.
    pub infos: Vec<String>,
    /// How many samples were looked at; only where the engine counts them.
    pub samples: Option<SampleStats>,
}

/// The value of a query.
#[derive(Debug, Clone)]
pub enum QueryValue {
    /// One number.
    Scalar(UnixMs, f64),
    /// A text.
    Text(UnixMs, String),
    /// Series with one sample each.
    Vector(Vec<VectorItem>),
    /// Series with many samples each, sorted by labels.
    Matrix(Vec<MatrixSeries>),
}

/// One sample of a vector.
#[derive(Debug, Clone)]
pub struct VectorItem {
    /// The series.
    pub labels: Labels,
    /// When.
    pub at: UnixMs,
    /// What.
    pub value: Value,
}

/// One series of a matrix.
#[derive(Debug, Clone)]
pub struct MatrixSeries {
    /// The series.
    pub labels: Labels,
    /// Its samples, ascending by time.
    pub points: Vec<(UnixMs, Value)>,
}

/// The steps of an evaluation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grid {
    pub start: i64,
    pub step: i64,
    pub steps: usize,
}

impl Grid {
    /// Returns the time of a step.
    pub fn at(&self, step: usize) -> i64 {
        self.start.saturating_add(self.step.saturating_mul(step as i64))
    }

    /// Returns the grid of the first step only.
    pub fn first(&self) -> Grid {
        Grid { steps: 1, ..*self }
    }
}

/// One sample between nodes.
#[derive(Debug, Clone)]
pub(crate) enum Point {
    Float(f64),
    Hist(Arc<Hist>),
}

/// One series between nodes.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub labels: Labels,
    /// Whether the metric name is to be taken off at the end.
    pub drop_name: bool,
    pub floats: Vec<f64>,
    /// Empty, or one for each step.
    pub hists: Vec<Option<Arc<Hist>>>,
}

impl Series {
    /// Returns a series without samples.
    pub fn new(labels: Labels, drop_name: bool, steps: usize) -> Series {
        Series { labels, drop_name, floats: vec![stale_nan(); steps], hists: Vec::new() }
    }

    /// Returns the sample of a step.
    pub fn get(&self, step: usize) -> Option<Point> {
        match self.hists.get(step) {
            Some(Some(hist)) => Some(Point::Hist(hist.clone())),
            _ => self.float(step).map(Point::Float),
        }
    }

    /// Returns the float of a step, if that is what there is.
    pub fn float(&self, step: usize) -> Option<f64> {
        let value = self.floats[step];
        (!is_stale_nan(value)).then_some(value)
    }

    /// Returns the histogram of a step, if that is what there is.
    pub fn hist(&self, step: usize) -> Option<&Arc<Hist>> {
        self.hists.get(step).and_then(Option::as_ref)
    }

    /// Returns whether there is a sample at a step.
    pub fn has(&self, step: usize) -> bool {
        !is_stale_nan(self.floats[step]) || self.hist(step).is_some()
    }

    /// Sets or removes the sample of a step.
    pub fn set(&mut self, step: usize, point: Option<Point>) {
        if let Some(slot) = self.hists.get_mut(step) {
            *slot = None;
        }
        self.floats[step] = match point {
            None => stale_nan(),
            Some(Point::Float(value)) => value,
            Some(Point::Hist(hist)) => {
                if self.hists.is_empty() {
                    self.hists.resize(self.floats.len(), None);
                }
                self.hists[step] = Some(hist);
                stale_nan()
            }
        };
    }

    /// Returns how many samples there are.
    pub fn len(&self) -> usize {
        (0..self.floats.len()).filter(|step| self.has(*step)).count()
    }

    /// Returns what it counts for against the limit of samples: its steps, whether they have a sample or not, because
    /// that is the memory it takes, and for histograms one in 16 bytes, as in Prometheus.
    pub fn weight(&self) -> usize {
        self.floats.len() + self.hists.iter().flatten().map(|hist| hist.weight()).sum::<usize>()
    }

    /// Returns whether there is no sample at all.
    pub fn is_empty(&self) -> bool {
        !(0..self.floats.len()).any(|step| self.has(step))
    }

    /// Makes a series of one step one of many equal steps.
    pub fn repeat(mut self, steps: usize) -> Series {
        let value = self.floats.first().copied().unwrap_or_else(stale_nan);
        self.floats.resize(steps, value);
        if let Some(hist) = self.hists.first().cloned() {
            self.hists.resize(steps, hist);
        }
        self
    }
}

/// What a node evaluates to.
#[derive(Debug, Clone)]
pub(crate) enum Val {
    /// One number for each step.
    Scalar(Vec<f64>),
    Vector(Vec<Series>),
    Text,
}

impl Point {
    /// Returns the value as it is handed out.
    pub fn into_value(self) -> Value {
        match self {
            Point::Float(value) => Value::Float(value),
            Point::Hist(hist) => Value::Histogram(Arc::new(hist.to_model())),
        }
    }
}
