//! The flags of `narthex run` that are about queries and the web, by the peer's names. They win over the file.
//!
//! Each value is believed when it is read, so that nonsense is wrong usage and nothing starts. All flags with their values
//! are handed to the web, which shows them at `/api/v1/status/flags`.

use std::path::Path;

use model::Pattern;
use model::duration::{self, DisplayMs};

use super::Failure;
use super::args::Arguments;
use crate::config::Config;
use crate::web::Settings;

/// Their names.
pub const NAMES: [&str; 6] = [
    "enable-feature",
    "query.lookback-delta",
    "query.max-concurrency",
    "query.max-samples",
    "query.timeout",
    "web.cors.origin",
];

/// The most queries that may be computed at a time: each has a thread.
const QUERIES_MAX: usize = 64;

/// The most samples a query may hold, unless the command line says: 16 bytes each, so that two queries and a rule fit a
/// board with 512 MiB beside everything else. The peer's 50 million would be 800 MB.
const SAMPLES_MAX_DEFAULT: u64 = 2_000_000;

/// What they say.
#[derive(Debug, Clone)]
pub struct WebFlags {
    /// The most samples a query may hold.
    pub samples_max: u64,
    settings: Settings,
    cors_origin: String,
    lookback_ms: Option<u64>,
    timeout_ms: Option<u64>,
    /// What is to be said about feature flags, once there is a log.
    said: Vec<String>,
}

impl Default for WebFlags {
    fn default() -> WebFlags {
        WebFlags {
            samples_max: SAMPLES_MAX_DEFAULT,
            settings: Settings::default(),
            cors_origin: ".*".to_owned(),
            lookback_ms: None,
            timeout_ms: None,
            said: Vec::new(),
        }
    }
}

impl WebFlags {
    /// Returns which parts of the query language are on.
    pub fn features(&self) -> promql::Features {
        self.settings.features
    }

    /// Takes a flag with its value, if it is one of these.
    ///
    /// # Errors
    /// When the value makes no sense.
    pub fn take(&mut self, flag: &str, arguments: &mut Arguments) -> Result<bool, Failure> {
        if !NAMES.contains(&flag) {
            return Ok(false);
        }
        let text = arguments.value()?;
        let wrong = |expected: &str| Failure::Usage(format!("--{flag}={text}: {expected}"));
        let positive = |max: u64| text.parse().ok().filter(|number| (1..=max).contains(number));
        let length =
            || duration::parse_ms(&text).ok().filter(|ms| *ms > 0).ok_or_else(|| wrong("a duration such as 5m"));
        match flag {
            "enable-feature" => self.said.extend(self.settings.enable(&text)),
            "query.lookback-delta" => self.lookback_ms = Some(length()?),
            "query.timeout" => self.timeout_ms = Some(length()?),
            "query.max-concurrency" => {
                let expected = format!("1 to {QUERIES_MAX}");
                let count = positive(QUERIES_MAX as u64).ok_or_else(|| wrong(&expected))?;
                self.settings.queries_max = usize::try_from(count).unwrap_or(QUERIES_MAX);
            }
            "query.max-samples" => {
                self.samples_max = positive(i64::MAX as u64).ok_or_else(|| wrong("a number of samples, at least 1"))?;
            }
            _ => {
                let pattern = Pattern::new(&text).map_err(|error| wrong(&error.to_string()))?;
                (self.settings.cors_origin, self.cors_origin) = (Some(pattern), text.clone());
            }
        }
        Ok(true)
    }

    /// Lets the flags win over the file.
    pub fn win_over(&self, config: &mut Config) {
        config.query.lookback_ms = self.lookback_ms.unwrap_or(config.query.lookback_ms);
        config.query.timeout_ms = self.timeout_ms.unwrap_or(config.query.timeout_ms);
    }

    /// Logs what there is to say about them.
    pub fn say(&self) {
        self.said.iter().for_each(|said| log::warn!("{said}"));
    }

    /// Returns what the web needs to know of them. `others` are the flags that are not among these.
    pub fn settings(&self, config: &Config, others: &[(&str, String)]) -> Settings {
        let mut settings = self.settings.clone();
        let own = [
            ("enable-feature", settings.feature_names.join(",")),
            ("query.lookback-delta", DisplayMs(config.query.lookback_ms).to_string()),
            ("query.max-concurrency", settings.queries_max.to_string()),
            ("query.max-samples", self.samples_max.to_string()),
            ("query.timeout", DisplayMs(config.query.timeout_ms).to_string()),
            ("web.cors.origin", self.cors_origin.clone()),
        ];
        let all = own.iter().chain(others);
        settings.flags = all.map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        settings.flags.sort();
        settings.working_folder =
            std::env::current_dir().map_or_else(|_| String::new(), |folder| folder.to_string_lossy().into_owned());
        settings
    }
}

/// Returns a path as a flag's value, empty where there is none.
pub fn shown(path: Option<&Path>) -> String {
    path.map_or_else(String::new, |path| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::Next;

    fn taken(words: &[&str]) -> Result<WebFlags, Failure> {
        let mut arguments = Arguments::new(["narthex"].iter().chain(words).map(std::ffi::OsString::from));
        let mut flags = WebFlags::default();
        while let Some(next) = arguments.next()? {
            let Next::Flag(flag) = next else { panic!("a flag") };
            assert!(flags.take(&flag, &mut arguments)?, "{flag}");
        }
        Ok(flags)
    }

    #[test]
    fn flags_win_over_the_file_and_are_shown() {
        let words = ["--query.timeout=10s", "--query.max-samples", "7", "--enable-feature=native-histograms,x"];
        let flags = taken(&words).expect("they make sense");
        let mut config = Config::default();
        flags.win_over(&mut config);
        assert_eq!((config.query.timeout_ms, config.query.lookback_ms, flags.samples_max), (10_000, 300_000, 7));
        let settings = flags.settings(&config, &[("config.file", "x.yml".to_owned())]);
        let shown = |name: &str| settings.flags.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        assert_eq!(shown("query.timeout"), Some("10s"));
        assert_eq!((shown("enable-feature"), shown("config.file")), (Some("native-histograms,x"), Some("x.yml")));
        assert_eq!(flags.said.len(), 2);
    }

    #[test]
    fn nonsense_is_wrong_usage() {
        for word in [
            "--query.timeout=soon",
            "--query.timeout=0",
            "--query.max-concurrency=0",
            "--query.max-concurrency=65",
            "--query.max-samples=many",
            "--web.cors.origin=(",
        ] {
            assert!(matches!(taken(&[word]), Err(Failure::Usage(_))), "{word}");
        }
    }
}
