//! Unit tests for rules: promtool's files, run as promtool 3.5 runs them.
//!
//! ```yaml
//! rule_files: [rules.yml]
//! tests:
//!   - input_series: [{series: 'up{job="a"}', values: '0x5'}]
//!     alert_rule_test: [{eval_time: 5m, alertname: Down, exp_alerts: [{exp_labels: {job: a}}]}]
//!     promql_expr_test: [{expr: up, eval_time: 1m, exp_samples: [{labels: 'up{job="a"}', value: 0}]}]
//! ```
//! [`read`] reads a file, [`run`] evaluates the rules from time 0 on over the series as they come and returns what was
//! not as expected, in promtool's words. Rule files are handed in as texts; nothing here reads one.

mod diff;
mod file;
mod run;
mod show;

pub use file::{TestFile, read};
pub use run::{Settings, run};

#[cfg(test)]
mod tests;
