//! What the command line says about the web and its queries, by the peer's names.
//!
//! Feature flags are `--enable-feature`'s names. Those that change what we do are listed in [`FEATURES`]; the peer's
//! other names are accepted and change nothing, some because what they switch on is always on here.

use model::Pattern;
use promql::Features;

/// How many queries are computed at the same time, unless the command line says: what a small board has cores for.
pub const QUERIES_MAX_DEFAULT: usize = 2;

/// The peer's feature flags, each with what it means here.
const FEATURES: [(&str, Meaning); 23] = [
    ("promql-experimental-functions", Meaning::Language(|features| features.experimental_functions = true)),
    ("promql-duration-expr", Meaning::Language(|features| features.duration_expressions = true)),
    ("promql-extended-range-selectors", Meaning::Language(|features| features.extended_range_selectors = true)),
    ("promql-binop-fill-modifiers", Meaning::Language(|features| features.fill_modifiers = true)),
    ("promql-delayed-name-removal", Meaning::DelayedNames),
    ("native-histograms", Meaning::Always),
    ("expand-external-labels", Meaning::Always),
    ("promql-at-modifier", Meaning::Always),
    ("promql-negative-offset", Meaning::Always),
    ("remote-write-receiver", Meaning::Nothing),
    ("exemplar-storage", Meaning::Nothing),
    ("extra-scrape-metrics", Meaning::Nothing),
    ("new-service-discovery-manager", Meaning::Nothing),
    ("promql-per-step-stats", Meaning::Nothing),
    ("memory-snapshot-on-shutdown", Meaning::Nothing),
    ("auto-gomaxprocs", Meaning::Nothing),
    ("auto-gomemlimit", Meaning::Nothing),
    ("auto-reload-config", Meaning::Nothing),
    ("concurrent-rule-eval", Meaning::Nothing),
    ("delayed-compaction", Meaning::Nothing),
    ("created-timestamp-zero-ingestion", Meaning::Nothing),
    ("metadata-wal-records", Meaning::Nothing),
    ("old-ui", Meaning::Nothing),
];

#[derive(Clone, Copy)]
enum Meaning {
    /// Switches on a part of the language.
    Language(fn(&mut Features)),
    /// Takes names off series at the end of a query.
    DelayedNames,
    /// Is on whether it is named or not.
    Always,
    /// Is known, and we have nothing like it.
    Nothing,
}

/// What the command line says, believed.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which parts of the language are on.
    pub features: Features,
    /// Whether metric names are taken off series at the end of a query.
    pub delayed_name_removal: bool,
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
            match FEATURES.iter().find(|(known, _)| *known == name).map(|(_, meaning)| *meaning) {
                Some(Meaning::Language(enable)) => enable(&mut self.features),
                Some(Meaning::DelayedNames) => self.delayed_name_removal = true,
                Some(Meaning::Always) => said.push(format!("--enable-feature={name} is always on")),
                Some(Meaning::Nothing) => said.push(format!("--enable-feature={name} has no effect here")),
                // As the peer: an unknown name is said and does no harm, so that unit files survive a change of level.
                None => said.push(format!("--enable-feature={name} is unknown")),
            }
        }
        said
    }

    /// Returns the names of the features that are on.
    pub fn enabled(&self) -> Vec<&'static str> {
        let is_on = |(name, meaning): &(&'static str, Meaning)| match meaning {
            Meaning::Always => true,
            Meaning::Nothing => false,
            _ => self.feature_names.iter().any(|given| given == name),
        };
        let mut names: Vec<&'static str> =
            FEATURES.iter().filter(|known| is_on(known)).map(|(name, _)| *name).collect();
        names.sort_unstable();
        names
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
        let enabled = settings.enabled();
        assert!(enabled.contains(&"promql-experimental-functions") && enabled.contains(&"native-histograms"));
        assert!(!enabled.contains(&"old-ui") && !enabled.contains(&"promql-duration-expr"), "{enabled:?}");
    }
}
