//! Which devices, mount points or file system types are told: the peer's pairs of `-include` and `-exclude` flags.
//!
//! The patterns match anywhere in a name, as Go's `MatchString`. Giving `-include` puts the default `-exclude` out
//! of force; giving both is refused where the peer refuses it. Answers are remembered by name, because the same
//! names come at every collection and an engine run for each would be most of the work.

use model::Pattern;

use crate::settings::{Settings, SettingsError};

/// How many names are remembered; when there are more, the memory starts anew.
const NAMES_MAX: usize = 1_024;

/// A pair of patterns and the answers given so far, sorted by name.
pub struct Filter {
    include: Option<Pattern>,
    exclude: Option<Pattern>,
    answers: Vec<(String, bool)>,
}

impl Filter {
    /// Reads a pair of flags of which one may be given; `alias` is an older name of the `-exclude` flag, which
    /// `-include` puts out of force too. An empty value is none, but that it puts the default out of force.
    pub fn new(
        settings: &Settings,
        include: &str,
        (exclude, default): (&str, &str),
        alias: Option<&str>,
    ) -> Result<Filter, SettingsError> {
        let has_text = |flag: &str| settings.value(flag).is_some_and(|text| !text.is_empty());
        let is_given = settings.value(exclude).is_some();
        let alias = alias.filter(|alias| has_text(alias));
        let clash = match alias {
            Some(alias) if is_given => Some(alias),
            _ => (has_text(include) && has_text(exclude)).then_some(include),
        };
        if let Some(flag) = clash {
            let what = format!("is mutually exclusive with --{exclude}");
            return Err(SettingsError { flag: flag.to_owned(), what });
        }
        let default = if is_given || has_text(include) { "" } else { default };
        let exclude = alias.filter(|_| !has_text(include)).unwrap_or(exclude);
        Filter::both(settings, (include, ""), (exclude, default))
    }

    /// Reads a pair of flags that may both be given, with their defaults.
    pub fn both(
        settings: &Settings,
        (include, included): (&str, &str),
        (exclude, excluded): (&str, &str),
    ) -> Result<Filter, SettingsError> {
        Ok(Filter {
            include: settings.pattern(include, included)?,
            exclude: settings.pattern(exclude, excluded)?,
            answers: Vec::new(),
        })
    }

    /// Reads a pair of flags as [`Filter::both`] does, whose patterns must match a whole name.
    pub fn whole(
        settings: &Settings,
        (include, included): (&str, &str),
        (exclude, excluded): (&str, &str),
    ) -> Result<Filter, SettingsError> {
        let pattern = |flag: &str, default: &str| {
            let text = settings.value(flag).unwrap_or(default);
            let made = Pattern::new(text);
            made.map(Some).map_err(|error| SettingsError { flag: flag.to_owned(), what: error.reason })
        };
        Ok(Filter { include: pattern(include, included)?, exclude: pattern(exclude, excluded)?, answers: Vec::new() })
    }

    /// Returns whether a name is told.
    pub fn is_wanted(&mut self, name: &str) -> bool {
        if self.include.is_none() && self.exclude.is_none() {
            return true;
        }
        let at = match self.answers.binary_search_by(|(known, _)| known.as_str().cmp(name)) {
            Ok(at) => return self.answers[at].1,
            Err(at) => at,
        };
        let is_wanted = self.include.as_ref().is_none_or(|pattern| pattern.is_match_once(name))
            && !self.exclude.as_ref().is_some_and(|pattern| pattern.is_match_once(name));
        if self.answers.len() >= NAMES_MAX {
            self.answers.clear();
            self.answers.push((name.to_owned(), is_wanted));
        } else {
            self.answers.insert(at, (name.to_owned(), is_wanted));
        }
        is_wanted
    }
}

#[cfg(all(test, feature = "netdev"))]
mod tests {
    use super::*;

    fn check(flags: &[(&str, &str)], wanted: &[&str], unwanted: &[&str]) {
        let mut settings = Settings::new();
        for (flag, value) in flags {
            settings.set(flag, Some(value)).expect("a known flag");
        }
        let mut filter = filter(&settings).expect("good patterns");
        for _ in 0..2 {
            wanted.iter().for_each(|name| assert!(filter.is_wanted(name), "{name} {flags:?}"));
            unwanted.iter().for_each(|name| assert!(!filter.is_wanted(name), "{name} {flags:?}"));
        }
    }

    const INCLUDE: &str = "collector.netdev.device-include";
    const EXCLUDE: &str = "collector.netdev.device-exclude";

    fn filter(settings: &Settings) -> Result<Filter, SettingsError> {
        Filter::new(settings, INCLUDE, (EXCLUDE, "^lo$"), None)
    }

    #[test]
    fn patterns_match_anywhere_and_include_overrides_the_default() {
        check(&[], &["eth0", "lo0"], &["lo"]);
        check(&[(INCLUDE, "o$")], &["lo"], &["eth0"]);
        check(&[(EXCLUDE, "eth")], &["lo"], &["eth0", "veth1"]);
        check(&[(EXCLUDE, "")], &["lo", "eth0"], &[]);
        check(&[(INCLUDE, ""), (EXCLUDE, "")], &["lo", "eth0"], &[]);
        check(&[(INCLUDE, "")], &["eth0"], &["lo"]);
        check(&[(INCLUDE, ""), (EXCLUDE, "eth")], &["lo"], &["eth0"]);
        check(&[(INCLUDE, "eth"), (EXCLUDE, "")], &["eth0"], &["lo"]);
    }

    #[cfg(feature = "diskstats")]
    #[test]
    fn an_older_name_counts_for_the_flag_that_was_not_given() {
        let [include, exclude, old] =
            ["device-include", "device-exclude", "ignored-devices"].map(|name| format!("collector.diskstats.{name}"));
        let wanted = |flags: &[(&str, &str)]| {
            let mut settings = Settings::new();
            flags.iter().for_each(|(flag, value)| assert!(settings.set(flag, Some(value)).is_ok(), "{flag}"));
            let mut filter = Filter::new(&settings, &include, (&exclude, "^ram"), Some(&old)).ok()?;
            Some(["ram0", "sda", "sdb"].map(|name| filter.is_wanted(name)))
        };
        assert_eq!(wanted(&[]), Some([false, true, true]));
        assert_eq!(wanted(&[(&old, "sda")]), Some([true, false, true]));
        assert_eq!(wanted(&[(&old, "")]), Some([false, true, true]));
        assert_eq!(wanted(&[(&old, "sda"), (&include, "sd")]), Some([false, true, true]));
        assert_eq!(wanted(&[(&old, ""), (&exclude, "sdb")]), Some([true, true, false]));
        assert_eq!(wanted(&[(&old, "sda"), (&exclude, "sdb")]), None);
        assert_eq!(wanted(&[(&old, "sda"), (&exclude, "")]), None);
    }

    #[test]
    fn more_names_than_are_remembered_get_right_answers() {
        let mut filter = filter(&Settings::new()).expect("good patterns");
        for _ in 0..2 {
            (0..NAMES_MAX + 10).for_each(|i| assert!(filter.is_wanted(&format!("eth{i}"))));
            assert!(!filter.is_wanted("lo") && filter.answers.len() <= NAMES_MAX);
        }
    }

    #[test]
    fn both_at_once_are_refused() {
        let mut settings = Settings::new();
        settings.set(INCLUDE, Some("a")).expect("a known flag");
        settings.set(EXCLUDE, Some("b")).expect("a known flag");
        assert!(filter(&settings).is_err_and(|error| error.what.contains("mutually exclusive")));
    }
}
