//! Which collectors run and how: node_exporter's flags as a map from name to values.
//!
//! Flags come one at a time, by the names people know (`collector.cpu`, `no-collector.arp`, `path.procfs`), and are
//! checked against the collectors' own tables at once: an unknown name is an error that names the nearest one, and
//! a flag of the peer's that nothing here serves yet is told apart, so that a unit file carries over with a warning.
//! Values are believed only when a collector is made, and [`lane`] then reports every bad one.

use std::collections::BTreeMap;
use std::fmt;

use model::Pattern;

use crate::collector::{CollectorInfo, FlagInfo};
use crate::host::Host;
use crate::lane::Lane;
use crate::waiting::Waiting;
use crate::{COLLECTORS, peer};

/// Flags that belong to no collector.
pub const PATHS: &[FlagInfo] = &[
    FlagInfo { name: "path.procfs", default: "/proc", help: "procfs mountpoint." },
    FlagInfo { name: "path.sysfs", default: "/sys", help: "sysfs mountpoint." },
    FlagInfo { name: "path.rootfs", default: "/", help: "rootfs mountpoint." },
    FlagInfo { name: "path.udev.data", default: "/run/udev/data", help: "udev data path." },
    FlagInfo {
        name: "collector.disable-defaults",
        default: "false",
        help: "Set all collectors to disabled by default.",
    },
];

/// The most values one repeated flag may have.
pub const VALUES_MAX: usize = 256;

/// What a flag needs and whether anything serves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlagUse {
    /// Whether a value must follow.
    pub takes_value: bool,
    /// Whether a collector here reads it; else the peer knows it and it changes nothing.
    pub is_served: bool,
}

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError {
    /// The flag, without leading dashes.
    pub flag: String,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--{}: {}", self.flag, self.what)
    }
}

impl std::error::Error for SettingsError {}

/// Every setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsErrors(pub Vec<SettingsError>);

impl fmt::Display for SettingsErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            write!(f, "{}{error}", if i == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for SettingsErrors {}

/// Flag values by name, without leading dashes. Empty means: node_exporter's defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    values: BTreeMap<String, Vec<String>>,
}

impl Settings {
    /// Returns the defaults.
    pub fn new() -> Settings {
        Settings::default()
    }

    /// Sets one flag, given as on a command line but for the dashes: `collector.cpu.info`, `no-collector.arp`.
    /// A repeated flag keeps all its values; a repeated switch counts as given last.
    ///
    /// # Errors
    /// An unknown name (with the nearest known one), a value too many or too few.
    pub fn set(&mut self, flag: &str, value: Option<&str>) -> Result<FlagUse, SettingsError> {
        let fail = |what: String| SettingsError { flag: flag.to_owned(), what };
        let found = flag_use(flag).ok_or_else(|| fail(unknown(flag)))?;
        if let (true, None) = (found.takes_value, value) {
            return Err(fail("expected a value".to_owned()));
        }
        if let (false, Some("true" | "false") | None) | (true, _) = (found.takes_value, value) {
            let (name, value) = match flag.strip_prefix("no-") {
                Some(name) if !found.takes_value => (name, if value == Some("false") { "true" } else { "false" }),
                _ => (flag, value.unwrap_or("true")),
            };
            let values = self.values.entry(name.to_owned()).or_default();
            if !found.takes_value {
                values.clear();
            }
            if values.len() >= VALUES_MAX {
                return Err(fail(format!("at most {VALUES_MAX} values are accepted")));
            }
            values.push(value.to_owned());
            return Ok(found);
        }
        Err(fail("is a switch and takes no value".to_owned()))
    }

    /// Returns the value given last.
    pub fn value(&self, flag: &str) -> Option<&str> {
        self.values(flag).last().map(String::as_str)
    }

    /// Returns all values of a flag in the order given.
    pub fn values(&self, flag: &str) -> &[String] {
        self.values.get(flag).map_or(&[], Vec::as_slice)
    }

    /// Returns a switch.
    ///
    /// # Errors
    /// When its value is neither `true` nor `false`.
    pub fn switch(&self, flag: &str, default: bool) -> Result<bool, SettingsError> {
        match self.value(flag) {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(_) => Err(SettingsError { flag: flag.to_owned(), what: "expected true or false".to_owned() }),
        }
    }

    /// Returns a pattern that may match anywhere in a text, as Go's `MatchString`; empty means none, but where there is
    /// a default: there it matches everything, as with the peer.
    ///
    /// # Errors
    /// When it is no regular expression.
    pub fn pattern(&self, flag: &str, default: &str) -> Result<Option<Pattern>, SettingsError> {
        match self.value(flag).unwrap_or(default) {
            "" if default.is_empty() => Ok(None),
            text => match Pattern::new(&format!(".*(?:{text}).*")) {
                Ok(pattern) => Ok(Some(pattern)),
                Err(error) => Err(SettingsError { flag: flag.to_owned(), what: error.reason }),
            },
        }
    }

    /// Returns whether a collector is to run.
    ///
    /// # Errors
    /// When its switch is neither `true` nor `false`.
    pub fn is_on(&self, info: &CollectorInfo) -> Result<bool, SettingsError> {
        let default = info.default_on && !self.switch("collector.disable-defaults", false)?;
        match self.values.iter().find(|(name, _)| name.strip_prefix("collector.") == Some(info.name)) {
            Some((name, _)) => self.switch(name, default),
            None => Ok(default),
        }
    }

    /// Returns the machine with these paths.
    pub fn host(&self) -> Host {
        let mut host = Host::default();
        for (flag, path) in [
            ("path.procfs", &mut host.procfs),
            ("path.sysfs", &mut host.sysfs),
            ("path.rootfs", &mut host.rootfs),
            ("path.udev.data", &mut host.udev),
        ] {
            if let Some(value) = self.value(flag) {
                *path = value.into();
            }
        }
        host
    }
}

/// Returns what a flag needs, or `None` when neither we nor the peer know it.
pub fn flag_use(flag: &str) -> Option<FlagUse> {
    let served = |info: &FlagInfo| FlagUse { takes_value: !info.is_switch(), is_served: true };
    let own = |name: &str| {
        let is_collector = |info: &&CollectorInfo| name.strip_prefix("collector.") == Some(info.name);
        if COLLECTORS.iter().find(is_collector).is_some() {
            return Some(FlagUse { takes_value: false, is_served: true });
        }
        let mut flags = PATHS.iter().chain(COLLECTORS.iter().flat_map(|info| info.flags));
        flags.find(|info| info.name == name).map(served).or_else(|| peer::flag_use(name))
    };
    match own(flag) {
        Some(found) => Some(found),
        None => own(flag.strip_prefix("no-")?).filter(|found| !found.takes_value),
    }
}

/// Says that a flag is unknown and which known one is nearest.
fn unknown(flag: &str) -> String {
    let plain = flag.strip_prefix("no-").unwrap_or(flag);
    let own = PATHS.iter().chain(COLLECTORS.iter().flat_map(|info| info.flags)).map(|info| info.name.to_owned());
    let collectors = COLLECTORS.iter().map(|info| format!("collector.{}", info.name));
    let known = own.chain(collectors).chain(peer::names().map(str::to_owned));
    match known.min_by_key(|name| distance(plain, name)) {
        Some(nearest) => format!("no such flag, did you mean --{nearest}?"),
        None => "no such flag".to_owned(),
    }
}

/// Returns how many letters must be changed, added or dropped to turn one text into the other.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let next = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], next);
        }
    }
    row[b.len()]
}

/// Makes the lane of every collector that is to run.
///
/// # Errors
/// Every setting that cannot be used.
pub fn lane(settings: &Settings) -> Result<Lane, SettingsErrors> {
    lane_beside(settings, &Waiting::default(), &[])
}

/// Makes a lane beside others that hang: it shares with them which mounts are being asked, and reports the collectors
/// that hang as failed instead of running them.
///
/// # Errors
/// As [`lane`].
pub fn lane_beside(settings: &Settings, waiting: &Waiting, hanging: &[&'static str]) -> Result<Lane, SettingsErrors> {
    let mut errors = Vec::new();
    let mut collectors = Vec::new();
    let mut left_out = Vec::new();
    for info in COLLECTORS {
        match settings.is_on(info).and_then(|on| on.then(|| (info.make)(settings)).transpose()) {
            Ok(Some(_)) if hanging.contains(&info.name) => left_out.push(info.name),
            Ok(collector) => collectors.extend(collector),
            Err(error) => errors.push(error),
        }
    }
    if !errors.is_empty() {
        return Err(SettingsErrors(errors));
    }
    let host = Host { waiting: waiting.clone(), ..settings.host() };
    Ok(Lane::new(host, collectors).without(left_out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_set_by_the_peers_names() {
        let mut settings = Settings::new();
        settings.set("no-collector.loadavg", None).expect("a switch");
        settings.set("collector.stat.softirq", None).expect("a switch");
        settings.set("path.procfs", Some("proc")).expect("a path");
        let on = |name: &str| {
            let info = COLLECTORS.iter().find(|info| info.name == name).expect("listed");
            settings.is_on(info).expect("a switch")
        };
        assert!(!on("loadavg") && on("stat"));
        assert_eq!(settings.switch("collector.stat.softirq", false), Ok(true));
        assert_eq!(settings.host().procfs, std::path::Path::new("proc"));
    }

    #[test]
    fn an_empty_pattern_matches_all_where_there_is_a_default() {
        let mut settings = Settings::new();
        let flag = "collector.tapestats.ignored-devices";
        assert!(settings.pattern(flag, "").is_ok_and(|pattern| pattern.is_none()));
        settings.set(flag, Some("")).expect("a value");
        let pattern = settings.pattern(flag, "^$").expect("good");
        assert!(pattern.is_some_and(|pattern| pattern.is_match("st0")));
    }

    #[test]
    fn what_is_wrong_is_said_with_the_nearest_name() {
        let mut settings = Settings::new();
        let error = settings.set("collector.stats", None).expect_err("unknown");
        assert_eq!(error.to_string(), "--collector.stats: no such flag, did you mean --collector.stat?");
        assert_eq!(settings.set("path.procfs", None).expect_err("no value").what, "expected a value");
        let error = settings.set("collector.stat", Some("maybe")).expect_err("a switch");
        assert_eq!(error.what, "is a switch and takes no value");
        assert!(settings.set("no-path.procfs", None).is_err());
        assert_eq!(settings, Settings::new());
    }

    #[test]
    fn what_only_the_peer_serves_is_told_apart() {
        let mut settings = Settings::new();
        let unserved = FlagUse { takes_value: false, is_served: false };
        assert_eq!(settings.set("no-collector.perf", None), Ok(unserved));
        let unserved = FlagUse { takes_value: true, is_served: false };
        assert_eq!(settings.set("collector.perf.cpus", Some("1")), Ok(unserved));
    }

    #[test]
    fn defaults_can_be_switched_off() {
        let mut settings = Settings::new();
        settings.set("collector.disable-defaults", None).expect("a switch");
        settings.set("collector.loadavg", None).expect("a switch");
        let lane = lane(&settings).expect("good settings");
        assert_eq!(lane.names().collect::<Vec<_>>(), ["loadavg"]);
    }
}
