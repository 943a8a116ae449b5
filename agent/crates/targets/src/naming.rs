//! From the labels that a target sends to the labels that are stored: the target's own laid over or under, rules, limits.
//!
//! Done once a series; what came of it is remembered by `intake`. Texts of errors are the peer's.
//!
//! Source: Prometheus 3, `scrape/scrape.go` (`mutateSampleLabels`, `verifyLabelLimits`).

use model::labels::NAME;
use model::limits::LABELS_MAX;
use model::{Labels, LabelsBuilder};
use relabel::Verdict;

use crate::job::Job;

/// The most characters of a name or value that an error quotes.
const QUOTED_MAX: usize = 50;

/// What a series is called in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Named {
    /// This.
    As(Labels),
    /// Nothing: a rule dropped it.
    Dropped,
    /// Nothing: it cannot be held; the rest of the scrape can.
    TooLarge,
}

/// Names a series.
///
/// # Errors
/// When the whole scrape fails: a label limit, or a series without a name.
pub(crate) fn name(job: &Job, target: &Labels, metric: &str, sent: &[(&str, &str)]) -> Result<Named, String> {
    let mut labels = LabelsBuilder::new();
    let mut fits = labels.set(NAME, metric).is_ok();
    for (name, value) in sent {
        fits &= labels.set(name, value).is_ok();
    }
    if job.honor_labels {
        // A label that is sent empty counts as sent.
        for (name, value) in target.iter().filter(|(name, _)| !sent.iter().any(|(other, _)| other == name)) {
            fits &= labels.set(name, value).is_ok();
        }
    } else {
        fits &= lay_over(&mut labels, target);
    }
    if !fits {
        return Ok(Named::TooLarge);
    }
    match relabel::apply(&job.metric_relabel, &mut labels) {
        Verdict::Keep => {}
        Verdict::Drop => return Ok(Named::Dropped),
        Verdict::TooLong => return Ok(Named::TooLarge),
    }
    let labels = labels.finish();
    if labels.is_empty() {
        return Ok(Named::Dropped);
    }
    check(job, &labels)?;
    if labels.len() > LABELS_MAX { Ok(Named::TooLarge) } else { Ok(Named::As(labels)) }
}

/// Sets the target's labels; what the series says under such a name becomes `exported_` and the name.
fn lay_over(labels: &mut LabelsBuilder, target: &Labels) -> bool {
    let mut fits = true;
    let mut conflicts: Vec<(&str, String)> = Vec::new();
    for (name, value) in target.iter() {
        if let Some(existing) = labels.get(name) {
            conflicts.push((name, existing.to_owned()));
        }
        fits &= labels.set(name, value).is_ok();
    }
    conflicts.sort_by_key(|(name, _)| name.len());
    for (name, value) in conflicts {
        let mut exported = ["exported_", name].concat();
        while labels.get(&exported).is_some() {
            exported.insert_str(0, "exported_");
        }
        fits &= labels.set(&exported, &value).is_ok();
    }
    fits
}

fn check(job: &Job, labels: &Labels) -> Result<(), String> {
    let limits = &job.limits;
    let metric = labels.name();
    if metric.is_empty() {
        return Err("missing metric name (__name__ label)".to_owned());
    }
    let is_named = labels.iter().all(|(name, _)| job.names.accepts(name)) && accepts_metric(job, metric);
    if !is_named {
        return Err(format!("invalid metric name or label names: {labels}"));
    }
    let metric = quoted(metric);
    let count = labels.len() as u64;
    if limits.labels > 0 && count > limits.labels {
        let limit = limits.labels;
        return Err(format!("label_limit exceeded (metric: {metric}, number of labels: {count}, limit: {limit})"));
    }
    for (name, value) in labels.iter() {
        let (name_bytes, limit) = (name.len() as u64, limits.label_name_bytes);
        if limit > 0 && name_bytes > limit {
            let name = quoted(name);
            return Err(format!(
                "label_name_length_limit exceeded (metric: {metric}, label name: {name}, length: {name_bytes}, limit: {limit})"
            ));
        }
        let (value_bytes, limit) = (value.len() as u64, limits.label_value_bytes);
        if limit > 0 && value_bytes > limit {
            let (name, value) = (quoted(name), quoted(value));
            return Err(format!(
                "label_value_length_limit exceeded (metric: {metric}, label name: {name}, value: {value:?}, length: {value_bytes}, limit: {limit})"
            ));
        }
    }
    Ok(())
}

/// A metric's name may have colons where labels' names are of the old kind.
fn accepts_metric(job: &Job, metric: &str) -> bool {
    match job.names {
        relabel::NameScheme::Utf8 => true,
        relabel::NameScheme::Legacy => job.names.accepts(&metric.replace(':', "_")),
    }
}

fn quoted(text: &str) -> String {
    text.chars().take(QUOTED_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Limits;
    use crate::job::tests::job;

    const TARGET: [(&str, &str); 2] = [("instance", "plc:1"), ("job", "j")];

    fn check(job: &Job, sent: &[(&str, &str)], expected: Result<&[(&str, &str)], &str>) {
        let target = Labels::from_pairs(TARGET);
        let found = name(job, &target, "up", sent);
        let expected = expected.map(|pairs| Named::As(Labels::from_pairs(pairs.iter().copied().chain([(NAME, "up")]))));
        assert_eq!(found, expected.map_err(str::to_owned), "{sent:?}");
    }

    #[test]
    fn the_targets_labels_win_and_what_was_sent_is_exported() {
        let [instance, job_label] = TARGET;
        check(&job(), &[("a", "1")], Ok(&[("a", "1"), instance, job_label]));
        check(&job(), &[("job", "own")], Ok(&[("exported_job", "own"), instance, job_label]));
        check(
            &job(),
            &[("job", "own"), ("exported_job", "x")],
            Ok(&[("exported_exported_job", "own"), ("exported_job", "x"), instance, job_label]),
        );
        check(&job(), &[("job", "")], Ok(&[instance, job_label]));
    }

    #[test]
    fn honoured_labels_win_even_when_empty() {
        let [instance, job_label] = TARGET;
        let honoring = Job { honor_labels: true, ..job() };
        check(&honoring, &[("job", "own")], Ok(&[instance, ("job", "own")]));
        check(&honoring, &[("instance", "")], Ok(&[job_label]));
    }

    #[test]
    fn limits_are_told_in_the_peers_words() {
        let limited = |limits: Limits| Job { limits, ..job() };
        check(
            &limited(Limits { labels: 3, ..Limits::default() }),
            &[("a", "1")],
            Err("label_limit exceeded (metric: up, number of labels: 4, limit: 3)"),
        );
        check(
            &limited(Limits { label_name_bytes: 8, ..Limits::default() }),
            &[("longer_name", "1")],
            Err("label_name_length_limit exceeded (metric: up, label name: longer_name, length: 11, limit: 8)"),
        );
        check(
            &limited(Limits { label_value_bytes: 5, ..Limits::default() }),
            &[("a", "longer")],
            Err(
                "label_value_length_limit exceeded (metric: up, label name: a, value: \"longer\", length: 6, limit: 5)",
            ),
        );
    }

    #[test]
    fn old_names_are_asked_for_where_they_are_wanted() {
        let legacy = Job { names: relabel::NameScheme::Legacy, ..job() };
        let target = Labels::from_pairs(TARGET);
        assert!(matches!(name(&legacy, &target, "a:b", &[]), Ok(Named::As(_))));
        let error = name(&legacy, &target, "a.b", &[]).expect_err("a dot");
        assert!(error.starts_with("invalid metric name or label names: "), "{error}");
    }
}
