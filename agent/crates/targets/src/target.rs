//! From what discovery found to a target: its labels, its URL, its times. Or why it is none.
//!
//! Labels of the target come first, then those of its group, then the job's own (`job`, `__scheme__`,
//! `__metrics_path__`, `__scrape_interval__`, `__scrape_timeout__`, `__param_*`), then the job's rules. What begins
//! with `__meta_` goes afterwards, the rest that begins with `__` says how to scrape and is no label of a sample.
//!
//! Source: Prometheus 3, `scrape/target.go`.

use model::duration::{DisplayMs, parse_ms};
use model::labels::NAME;
use model::{Labels, LabelsBuilder};
use relabel::Verdict;

use crate::job::{ADDRESS, Job};

const SCHEME: &str = "__scheme__";
const PATH: &str = "__metrics_path__";
const INTERVAL: &str = "__scrape_interval__";
const TIMEOUT: &str = "__scrape_timeout__";
const PARAM: &str = "__param_";
const META: &str = "__meta_";
const RESERVED: &str = "__";

/// What became of one discovered label set.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// A target.
    Target(Box<Target>),
    /// A rule dropped it; the labels as they were discovered.
    Dropped(Labels),
    /// It is none, and why.
    Wrong(Labels, String),
}

/// A target as it is scraped. Two targets of a job are the same when `identity` is.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The labels before any rule ran.
    pub discovered: Labels,
    /// What every sample gets, unless it says otherwise and may.
    pub labels: Labels,
    /// All labels after the rules, which decide everything else.
    pub identity: Labels,
    /// What is fetched.
    pub url: String,
    /// How often, in milliseconds.
    pub interval_ms: u64,
    /// How long it may take, in milliseconds.
    pub timeout_ms: u64,
}

/// Returns the labels that rules for targets see.
pub fn discovered(job: &Job, target: &Labels, group: &Labels) -> Labels {
    let mut labels = LabelsBuilder::from(group);
    for (name, value) in target.iter() {
        // What was held before can be held again.
        let _ = labels.set(name, value);
    }
    let (interval, timeout) = (DisplayMs(job.interval_ms).to_string(), DisplayMs(job.timeout_ms).to_string());
    let own = [
        ("job", job.name.as_str()),
        (INTERVAL, &interval),
        (TIMEOUT, &timeout),
        (PATH, &job.metrics_path),
        (SCHEME, job.scheme),
    ];
    for (name, value) in own {
        default(&mut labels, name, value);
    }
    for (name, values) in &job.params {
        if let Some(first) = values.first() {
            default(&mut labels, &[PARAM, name].concat(), first);
        }
    }
    labels.finish()
}

fn default(labels: &mut LabelsBuilder, name: &str, value: &str) {
    if labels.get(name).is_none() {
        let _ = labels.set(name, value);
    }
}

/// Makes a target of discovered labels.
pub fn populate(job: &Job, discovered: Labels) -> Found {
    let mut labels = LabelsBuilder::from(&discovered);
    match relabel::apply(&job.relabel, &mut labels) {
        Verdict::Keep => {}
        Verdict::Drop => return Found::Dropped(discovered),
        Verdict::TooLong => return Found::Wrong(discovered, "a rule made a label that is too long".to_owned()),
    }
    // Rules that leave nothing dropped it, as with the peer.
    if labels.iter().next().is_none() {
        return Found::Dropped(discovered);
    }
    match believe(job, &discovered, labels) {
        Ok(target) => Found::Target(Box::new(target)),
        Err(what) => Found::Wrong(discovered, what),
    }
}

fn believe(job: &Job, discovered: &Labels, mut labels: LabelsBuilder) -> Result<Target, String> {
    let address = labels.get(ADDRESS).unwrap_or("").to_owned();
    if address.is_empty() {
        return Err("no address".to_owned());
    }
    if address.contains('/') {
        return Err(format!("{address:?} is not a valid hostname"));
    }
    let (interval_ms, timeout_ms) = times(&labels)?;
    let meta: Vec<String> =
        labels.iter().filter(|(name, _)| name.starts_with(META)).map(|(name, _)| name.to_owned()).collect();
    meta.iter().for_each(|name| _ = labels.remove(name));
    default(&mut labels, "instance", &address);
    let identity = labels.finish();
    let public = identity.filter(|name| !name.starts_with(RESERVED));
    let url = url(job, &identity, &address);
    Ok(Target { discovered: discovered.clone(), labels: public, identity, url, interval_ms, timeout_ms })
}

fn times(labels: &LabelsBuilder) -> Result<(u64, u64), String> {
    let read = |name: &str, what: &str| {
        let text = labels.get(name).unwrap_or("");
        match parse_ms(text) {
            Ok(0) => Err(format!("scrape {what} cannot be 0")),
            Ok(ms) => Ok(ms),
            Err(error) => Err(format!("error parsing scrape {what}: {error}")),
        }
    };
    let (interval, timeout) = (read(INTERVAL, "interval")?, read(TIMEOUT, "timeout")?);
    if timeout > interval {
        let shown = |name: &str| labels.get(name).unwrap_or("").to_owned();
        return Err(format!(
            "scrape timeout cannot be greater than scrape interval ({:?} > {:?})",
            shown(TIMEOUT),
            shown(INTERVAL)
        ));
    }
    Ok((interval, timeout))
}

/// Returns what is fetched; parameters ascending by name, as the peer encodes them.
fn url(job: &Job, labels: &Labels, address: &str) -> String {
    let mut params: Vec<(String, Vec<String>)> = job.params.clone();
    for (name, value) in labels.iter().filter_map(|(name, value)| Some((name.strip_prefix(PARAM)?, value))) {
        match params.iter_mut().find(|(known, values)| known == name && !values.is_empty()) {
            Some((_, values)) => values[0] = value.to_owned(),
            None => params.push((name.to_owned(), vec![value.to_owned()])),
        }
    }
    params.sort();
    let path = labels.get(PATH).unwrap_or("");
    let slash = if path.starts_with('/') || path.is_empty() { "" } else { "/" };
    let mut url = format!("{}://{address}{slash}", labels.get(SCHEME).unwrap_or("http"));
    escape_into(&mut url, path, b"-_.~/$&+,:;=@");
    let pairs = params.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
    for (index, (name, value)) in pairs.enumerate() {
        url.push(if index == 0 { '?' } else { '&' });
        escape_into(&mut url, name, b"-_.~ ");
        url.push('=');
        escape_into(&mut url, value, b"-_.~ ");
    }
    url
}

/// Appends a text with everything escaped but letters, digits and `plain`; a blank that is plain becomes `+`.
fn escape_into(out: &mut String, text: &str, plain: &[u8]) {
    for byte in text.bytes() {
        match byte {
            b' ' if plain.contains(&b' ') => out.push('+'),
            byte if byte.is_ascii_alphanumeric() || plain.contains(&byte) => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
}

/// Returns the label set of a report sample: the target's labels under this name.
pub(crate) fn report_labels(target: &Labels, name: &str) -> Labels {
    target.with(NAME, name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::tests::job;
    use relabel::{Action, NameScheme, Rule, Spec};

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied())
    }

    fn target(job: &Job, pairs: &[(&str, &str)]) -> Target {
        match populate(job, discovered(job, &labels(pairs), &Labels::empty())) {
            Found::Target(target) => *target,
            other => panic!("no target: {other:?}"),
        }
    }

    fn wrong(job: &Job, pairs: &[(&str, &str)]) -> String {
        match populate(job, discovered(job, &labels(pairs), &Labels::empty())) {
            Found::Wrong(_, what) => what,
            other => panic!("nothing wrong: {other:?}"),
        }
    }

    #[test]
    fn a_plain_target_gets_the_jobs_ways() {
        let found = target(&job(), &[(ADDRESS, "plc:9100"), ("__meta_x", "1"), ("line", "2")]);
        assert_eq!(found.labels, labels(&[("instance", "plc:9100"), ("job", "j"), ("line", "2")]));
        assert_eq!(
            (found.url.as_str(), found.interval_ms, found.timeout_ms),
            ("http://plc:9100/metrics", 15_000, 10_000)
        );
        assert!(found.discovered.get("__meta_x").is_some() && found.identity.get("__meta_x").is_none());
    }

    #[test]
    fn labels_of_a_target_win_over_its_groups_and_the_jobs() {
        let (job, group) = (job(), labels(&[("job", "group"), ("zone", "a"), ("line", "9")]));
        let found = discovered(&job, &labels(&[(ADDRESS, "h"), ("line", "1")]), &group);
        assert_eq!((found.get("job"), found.get("zone"), found.get("line")), (Some("group"), Some("a"), Some("1")));
    }

    #[test]
    fn urls_are_escaped_and_parameters_ordered() {
        let params = vec![
            ("module".to_owned(), vec!["a b".to_owned(), "c&d".to_owned()]),
            ("collect[]".to_owned(), vec!["é".to_owned()]),
        ];
        let job = Job { params, metrics_path: "m x/é".to_owned(), ..job() };
        let found = target(&job, &[(ADDRESS, "[::1]:80"), ("__param_module", "z"), ("__param_new", "1")]);
        assert_eq!(found.url, "http://[::1]:80/m%20x/%C3%A9?collect%5B%5D=%C3%A9&module=z&module=c%26d&new=1");
    }

    #[test]
    fn what_is_no_target_says_why() {
        assert_eq!(wrong(&job(), &[("a", "b")]), "no address");
        assert_eq!(wrong(&job(), &[(ADDRESS, "http://h")]), "\"http://h\" is not a valid hostname");
        assert_eq!(wrong(&job(), &[(ADDRESS, "h"), (INTERVAL, "0s")]), "scrape interval cannot be 0");
        assert!(wrong(&job(), &[(ADDRESS, "h"), (TIMEOUT, "x")]).starts_with("error parsing scrape timeout"));
        assert_eq!(
            wrong(&job(), &[(ADDRESS, "h"), (TIMEOUT, "20s")]),
            "scrape timeout cannot be greater than scrape interval (\"20s\" > \"15s\")"
        );
    }

    #[test]
    fn rules_may_drop_a_target() {
        let spec = Spec {
            source_labels: Some(vec![ADDRESS.to_owned()]),
            regex: Some("a.*".to_owned()),
            action: Some(Action::Keep),
            ..Spec::default()
        };
        let job = Job { relabel: vec![Rule::new(spec, NameScheme::Utf8).expect("it is right")], ..job() };
        let found = populate(&job, discovered(&job, &labels(&[(ADDRESS, "b:1")]), &Labels::empty()));
        assert!(matches!(found, Found::Dropped(labels) if labels.get(ADDRESS) == Some("b:1")));
    }
}
