//! What the command line says about the web and its queries, by the peer's names.
//!
//! Feature flags are `--enable-feature`'s names. Those of the query language change what we do; the peer's other names are
//! accepted and change nothing, some because what they switch on is always on here, and that is said in the log.

use model::Pattern;
use promql::Features;

/// How many queries are computed at the same time, unless the command line says: what a small board has cores for.
pub const QUERIES_MAX_DEFAULT: usize = 2;

/// The peer's feature flags that change nothing here: what they switch on is always on (`true`), or we have nothing like
/// it. Those of the language are known to `promql`.
const WITHOUT_EFFECT: [(&str, bool); 20] = [
    ("native-histograms", true),
    ("expand-external-labels", true),
    ("promql-at-modifier", true),
    ("promql-negative-offset", true),
    ("remote-write-receiver", true),
    ("exemplar-storage", false),
    ("extra-scrape-metrics", false),
    ("new-service-discovery-manager", false),
    ("memory-snapshot-on-shutdown", false),
    ("auto-gomaxprocs", false),
    ("auto-gomemlimit", false),
    ("auto-reload-config", false),
    ("concurrent-rule-eval", false),
    ("delayed-compaction", false),
    ("metadata-wal-records", false),
    ("otlp-write-receiver", false),
    ("otlp-deltatocumulative", false),
    ("otlp-native-delta-ingestion", false),
    ("use-uncached-io", false),
    ("old-ui", false),
];

/// Those that scraping looks for: kinds and units as labels, and when counters began.
const OF_SCRAPES: [&str; 2] = ["type-and-unit-labels", "created-timestamp-zero-ingestion"];

/// What the command line says, believed.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which parts of the language are on.
    pub features: Features,
    /// Whether metric names are taken off series at the end of a query.
    pub delayed_name_removal: bool,
    /// Whether a query may be asked how many samples it looked at, at each step.
    pub per_step_stats: bool,
    /// The names that were given, as they were given.
    pub feature_names: Vec<String>,
    /// Every flag with its value, by name, for `/api/v1/status/flags`.
    pub flags: Vec<(String, String)>,
    /// How many queries are computed at the same time; more wait their turn.
    pub queries_max: usize,
    /// Which origins a browser may hand our answers to.
    pub cors_origin: Option<Pattern>,
    /// The folder we were started in.
    pub working_folder: String,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            features: Features::default(),
            delayed_name_removal: false,
            per_step_stats: false,
            feature_names: Vec::new(),
            flags: Vec::new(),
            queries_max: QUERIES_MAX_DEFAULT,
            cors_origin: Pattern::new(".*").ok(),
            working_folder: String::new(),
        }
    }
}

impl Settings {
    /// Switches on features, several with commas between them. Returns what there is to say about names that change
    /// nothing.
    pub fn enable(&mut self, names: &str) -> Vec<String> {
        let mut said = Vec::new();
        for name in names.split(',').filter(|name| !name.is_empty()) {
            self.feature_names.push(name.to_owned());
            if name == "promql-delayed-name-removal" {
                self.delayed_name_removal = true;
            } else if name == "promql-per-step-stats" {
                self.per_step_stats = true;
            } else if !OF_SCRAPES.contains(&name) && !self.features.enable(name) {
                let known = WITHOUT_EFFECT.iter().find(|(known, _)| *known == name);
                // As the peer: an unknown name is said and does no harm, so that unit files survive a change of level.
                let what =
                    known.map_or("is unknown", |(_, on)| if *on { "is always on" } else { "has no effect here" });
                said.push(format!("--enable-feature={name} {what}"));
            }
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_switched_on_by_the_peers_names() {
        let mut settings = Settings::default();
        let said = settings.enable("promql-experimental-functions,promql-delayed-name-removal,,no-such-thing");
        assert!(settings.features.experimental_functions && !settings.features.fill_modifiers);
        assert!(settings.delayed_name_removal);
        assert_eq!(said, ["--enable-feature=no-such-thing is unknown"]);
        assert_eq!(settings.enable("old-ui").len(), 1);
    }
}
