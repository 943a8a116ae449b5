//! Which collectors one request asks for: `collect[]=` and `exclude[]=` of `/metrics`.
//!
//! The rules and the words of refusals are node_exporter's. A name after `exclude[]=` need not exist. To exclude
//! everything leaves nothing; the peer then tells everything.

use crate::COLLECTORS;
use crate::lane::Lane;

/// The collectors that a request asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    collects: Vec<String>,
    excludes: Vec<String>,
}

impl Selection {
    /// Reads what a request asks for; `None` where it asks for everything.
    ///
    /// # Errors
    /// With the peer's words, when both are given.
    pub fn of(collects: Vec<String>, excludes: Vec<String>) -> Result<Option<Selection>, String> {
        match (collects.is_empty(), excludes.is_empty()) {
            (true, true) => Ok(None),
            (false, false) => Err("Combined collect and exclude queries are not allowed.".to_owned()),
            _ => Ok(Some(Selection { collects, excludes })),
        }
    }

    /// Returns whether a collector is asked for.
    pub fn wants(&self, name: &str) -> bool {
        match self.collects.is_empty() {
            true => !self.excludes.iter().any(|excluded| excluded == name),
            false => self.collects.iter().any(|collected| collected == name),
        }
    }

    /// Looks whether every collector that is asked for by name runs in a lane.
    ///
    /// # Errors
    /// With the peer's words for the first that does not.
    pub fn check(&self, lane: &Lane) -> Result<(), String> {
        let Some(name) = self.collects.iter().find(|name| lane.names().all(|running| running != name.as_str())) else {
            return Ok(());
        };
        let is_known = COLLECTORS.iter().any(|info| info.name == name);
        let what = if is_known { "disabled" } else { "missing" };
        Err(format!("Couldn't create filtered metrics handler: couldn't create collector: {what} collector: {name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    fn of(collects: &[&str], excludes: &[&str]) -> Result<Option<Selection>, String> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Selection::of(owned(collects), owned(excludes))
    }

    #[test]
    fn names_are_collected_or_excluded_but_not_both() {
        assert_eq!(of(&[], &[]), Ok(None));
        assert_eq!(of(&["cpu"], &["stat"]).expect_err("both"), "Combined collect and exclude queries are not allowed.");
        let collects = of(&["cpu", "cpu"], &[]).expect("good").expect("something");
        assert!(collects.wants("cpu") && !collects.wants("stat"));
        let excludes = of(&[], &["cpu", "nobody"]).expect("good").expect("something");
        assert!(!excludes.wants("cpu") && excludes.wants("stat"));
    }

    #[test]
    fn who_does_not_run_is_refused() {
        let mut settings = Settings::new();
        settings.set("no-collector.stat", None).expect("a switch");
        let lane = crate::lane(&settings).expect("good settings");
        let check = |name: &str| of(&[name], &[]).expect("good").expect("something").check(&lane);
        let start = "Couldn't create filtered metrics handler: couldn't create collector: ";
        assert_eq!(check("loadavg"), Ok(()));
        assert_eq!(check("stat"), Err(format!("{start}disabled collector: stat")));
        assert_eq!(check(""), Err(format!("{start}missing collector: ")));
        assert!(of(&[], &["nobody"]).expect("good").expect("something").check(&lane).is_ok());
    }
}
