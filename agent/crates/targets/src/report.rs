//! What is stored of a scrape itself: `up` and its companions, with the target's labels.
//!
//! These rows stand behind the target's own in the same batch, so that they have the same time. A scrape that failed
//! is a batch of these alone, and the store then ends the target's series.
//!
//! Source: Prometheus 3, `scrape/scrape.go` (`report`).

use model::{Batch, Labels, MetricKind, Value};

use crate::intake::Count;
use crate::job::Job;
use crate::pools::Reason;
use crate::target::report_labels;

const NAMES: [&str; 5] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
];

/// Beside them where `extra_scrape_metrics` says so.
const EXTRA_NAMES: [&str; 3] = ["scrape_timeout_seconds", "scrape_sample_limit", "scrape_body_size_bytes"];

/// What there is to report.
pub(crate) struct Report<'a> {
    pub up: bool,
    pub seconds: f64,
    pub count: Count,
    pub job: &'a Job,
    pub timeout_ms: u64,
    /// How long the body was; `None` when there was none.
    pub bytes: Option<usize>,
}

/// Returns the label sets of a target's report.
pub(crate) fn labels(job: &Job, target: &Labels) -> Vec<Labels> {
    let extra = EXTRA_NAMES.iter().filter(|_| job.extra_metrics);
    NAMES.iter().chain(extra).map(|name| report_labels(target, name)).collect()
}

/// Puts the report behind a batch's rows.
pub(crate) fn put(batch: &mut Batch, labels: &[Labels], report: &Report<'_>, failed: Option<Reason>) {
    let count = &report.count;
    let body = match (report.bytes, failed) {
        (_, Some(Reason::BodySize)) => -1.0,
        (bytes, _) => bytes.unwrap_or(0) as f64,
    };
    let values = [
        f64::from(u8::from(report.up)),
        report.seconds,
        count.scraped as f64,
        count.kept as f64,
        count.added as f64,
        report.timeout_ms as f64 / 1_000.0,
        report.job.limits.samples as f64,
        body,
    ];
    for (labels, value) in labels.iter().zip(values) {
        if batch.is_bare() {
            batch.add_bare(Value::Float(value), None, None);
        } else {
            batch.family(labels.name(), "", MetricKind::Gauge);
            batch.add_labels(labels, Value::Float(value));
        }
    }
}
