//! What is asked of a job's targets, and what discovery says of them: plain values.
//!
//! The names are those of `prometheus.yml`; the configuration makes a [`Job`] of believed values only. A limit of 0 is
//! no limit, as there; what bounds a board all the same is in [`crate::limits`].

use model::Labels;
use relabel::{NameScheme, Rule};

/// One entry of `scrape_configs`, but for how its targets are reached and found.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// `job_name`, unique.
    pub name: String,
    /// How often a target is scraped, in milliseconds.
    pub interval_ms: u64,
    /// How long one scrape may take, in milliseconds; at most the interval.
    pub timeout_ms: u64,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// The path of the URL.
    pub metrics_path: String,
    /// What follows the question mark: names with their values.
    pub params: Vec<(String, Vec<String>)>,
    /// Whether a target's own `job` and `instance` count, instead of becoming `exported_job` and so on.
    pub honor_labels: bool,
    /// Whether a target's own timestamps count.
    pub honor_timestamps: bool,
    /// Whether a series with timestamps of its own gets a staleness marker when it goes.
    pub track_timestamps_staleness: bool,
    /// What a target may deliver.
    pub limits: Limits,
    /// The formats that are asked for, the best first.
    pub protocols: Vec<Protocol>,
    /// What a body is taken for whose `Content-Type` says nothing useful.
    pub fallback: Option<Protocol>,
    /// Whether bodies may come compressed.
    pub compression: bool,
    /// Whether limits and the body's size are reported beside `up`.
    pub extra_metrics: bool,
    /// What becomes of histograms.
    pub histograms: Histograms,
    /// Which names are accepted.
    pub names: NameScheme,
    /// Rules for targets.
    pub relabel: Vec<Rule>,
    /// Rules for samples.
    pub metric_relabel: Vec<Rule>,
}

/// What becomes of histograms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Histograms {
    /// `scrape_native_histograms`: whether native ones are taken.
    pub native: bool,
    /// `convert_classic_histograms_to_nhcb`: whether classic ones become native ones with their own bounds.
    pub convert: bool,
    /// `always_scrape_classic_histograms`: whether the classic series stay where there is a native one.
    pub classic_too: bool,
}

/// What a target may deliver; 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// `body_size_limit`, in bytes, uncompressed.
    pub body_bytes: u64,
    /// `sample_limit`, after relabelling.
    pub samples: u64,
    /// `label_limit`, after relabelling.
    pub labels: u64,
    /// `label_name_length_limit`, in bytes.
    pub label_name_bytes: u64,
    /// `label_value_length_limit`, in bytes.
    pub label_value_bytes: u64,
    /// `target_limit`: with more targets none of the job is scraped.
    pub targets: u64,
    /// `keep_dropped_targets`: how many dropped targets are remembered for the API.
    pub dropped_targets: u64,
}

/// A format that a target may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `PrometheusProto`
    Protobuf,
    /// `PrometheusText0.0.4`
    Text004,
    /// `PrometheusText1.0.0`
    Text100,
    /// `OpenMetricsText0.0.1`
    OpenMetrics001,
    /// `OpenMetricsText1.0.0`
    OpenMetrics100,
}

impl Protocol {
    /// All of them, by the peer's names, in the order of the names.
    pub const ALL: [(&'static str, Protocol); 5] = [
        ("OpenMetricsText0.0.1", Protocol::OpenMetrics001),
        ("OpenMetricsText1.0.0", Protocol::OpenMetrics100),
        ("PrometheusProto", Protocol::Protobuf),
        ("PrometheusText0.0.4", Protocol::Text004),
        ("PrometheusText1.0.0", Protocol::Text100),
    ];

    /// What is asked for when nothing is said but that native histograms are wanted, which only protobuf carries.
    pub const DEFAULT_NATIVE: [Protocol; 5] =
        [Protocol::Protobuf, Protocol::OpenMetrics100, Protocol::OpenMetrics001, Protocol::Text100, Protocol::Text004];

    /// What is asked for when nothing is said.
    pub const DEFAULT: [Protocol; 4] =
        [Protocol::OpenMetrics100, Protocol::OpenMetrics001, Protocol::Text100, Protocol::Text004];

    /// Returns the format of this name.
    pub fn parse(name: &str) -> Option<Protocol> {
        Protocol::ALL.iter().find(|(known, _)| *known == name).map(|(_, protocol)| *protocol)
    }

    /// Returns the name.
    pub fn as_str(self) -> &'static str {
        Protocol::ALL.iter().find(|(_, protocol)| *protocol == self).map_or("", |(name, _)| name)
    }

    /// Returns what an `Accept` header says of it.
    pub fn media_type(self) -> &'static str {
        match self {
            Protocol::Protobuf => {
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
            }
            Protocol::Text004 => "text/plain;version=0.0.4",
            Protocol::Text100 => "text/plain;version=1.0.0",
            Protocol::OpenMetrics001 => "application/openmetrics-text;version=0.0.1",
            Protocol::OpenMetrics100 => "application/openmetrics-text;version=1.0.0",
        }
    }
}

/// Targets that were found together, with the labels they share.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Group {
    /// What they were found in: a file and its place there, a name; tells groups of one discovery apart.
    pub source: String,
    /// What is known of each target: `__address__` at least.
    pub targets: Vec<Labels>,
    /// What holds for all of them, where a target says nothing else.
    pub labels: Labels,
}

impl Group {
    /// Returns the group of these addresses.
    pub fn of(source: impl Into<String>, addresses: &[String], labels: Labels) -> Group {
        let target = |address: &String| Labels::from_pairs([(ADDRESS, address.as_str())]);
        Group { source: source.into(), targets: addresses.iter().map(target).collect(), labels }
    }
}

/// The label that carries a target's host and port.
pub(crate) const ADDRESS: &str = "__address__";

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A job that says nothing but its name, `j`.
    pub fn job() -> Job {
        Job {
            name: "j".to_owned(),
            interval_ms: 15_000,
            timeout_ms: 10_000,
            scheme: "http",
            metrics_path: "/metrics".to_owned(),
            params: Vec::new(),
            honor_labels: false,
            honor_timestamps: true,
            track_timestamps_staleness: false,
            limits: Limits::default(),
            protocols: Protocol::DEFAULT.to_vec(),
            fallback: None,
            compression: true,
            extra_metrics: false,
            histograms: Histograms::default(),
            names: NameScheme::Utf8,
            relabel: Vec::new(),
            metric_relabel: Vec::new(),
        }
    }

    #[test]
    fn formats_have_their_names() {
        for (name, protocol) in Protocol::ALL {
            assert_eq!((Protocol::parse(name), protocol.as_str()), (Some(protocol), name));
        }
        assert_eq!(Protocol::parse("prometheusproto"), None);
    }
}
