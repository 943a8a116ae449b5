//! From a path to a believed configuration, its rules and its receivers, or to everything that is wrong with them.
//!
//! Start, reload and `narthex check config` all come through here, so they cannot disagree. Errors of the
//! configuration, of each rule file and of the notification file are sorted by file and line. A file that is not
//! there, too long or not UTF-8 is an error like any other.

use std::path::Path;

use yaml::{Error, Errors, Map, Node};

use super::Config;
use super::clock::RawClock;
use super::collect::RawCollect;
use super::global::RawGlobal;
use super::gpio::{self, RawGpioLine};
use super::mqtt::{self, RawMqtt};
use super::outside::Outside;
use super::peer_sections;
use super::raw::{At, at, path};
use super::remote_write::{self, RawRemoteWrite};
use super::rule_files::{RawRuleFiles, RuleFile};
use super::scrape::RawScrapes;
use super::shown;
use super::storage::RawStorage;
use super::web::{RawQuery, RawWeb};

/// What the default configuration calls itself in messages.
const DEFAULT_NAME: &str = "builtin:default";

/// What came of loading a configuration.
#[derive(Default)]
pub struct Loaded {
    /// The configuration; `None` when there is any error.
    pub config: Option<Config>,
    /// The rule groups of all rule files.
    pub rules: Vec<rules::Group>,
    /// Whom to tell; `None` when nobody is named.
    pub notify: Option<notify::Config>,
    /// The file as it may be shown to anybody.
    pub shown: String,
    /// What is wrong, by file, line and column.
    pub errors: Errors,
    /// What is known and has no effect, and what looks odd; likewise.
    pub warnings: Errors,
}

/// Loads a file and all that it names.
pub fn load(file: &Path, outside: &Outside) -> Loaded {
    let name = file.to_string_lossy();
    match (outside.read)(file) {
        Ok(text) => load_text(&name, &text, file.parent().unwrap_or(Path::new("")), outside),
        Err(error) => Loaded { errors: unreadable(&name, &error).into(), ..Loaded::default() },
    }
}

/// Loads what an empty file means: for a start without any file.
pub fn load_default(outside: &Outside) -> Loaded {
    load_text(DEFAULT_NAME, "", Path::new(""), outside)
}

/// Loads a text; relative paths in it are joined to `base`.
pub fn load_text(name: &str, text: &str, base: &Path, outside: &Outside) -> Loaded {
    load_noting(name, text, base, outside, Errors::new())
}

/// As `load_text`, with a collection of errors that may note the keys that are asked for.
pub(super) fn load_noting(name: &str, text: &str, base: &Path, outside: &Outside, errors: Errors) -> Loaded {
    let mut loaded = Loaded { errors, ..Loaded::default() };
    match yaml::parse(name, text) {
        Ok(root) => loaded.fill(&root, base, outside),
        Err(errors) => loaded.errors.append(errors),
    }
    loaded.errors.sort();
    loaded.warnings.sort();
    loaded
}

impl Loaded {
    fn fill(&mut self, root: &Node, base: &Path, outside: &Outside) {
        let raw = RawConfig::read(root, &mut self.errors, &mut self.warnings);
        let notify = raw.notify_node(base, outside, &mut self.errors);
        self.notify = notify.and_then(|node| notify::load(&node, &mut self.errors, &mut self.warnings));
        let (config, rule_files) = raw.believe(base, outside, &mut self.errors, &mut self.warnings);
        for file in &rule_files {
            // Apart, because the keys of rule files are none of this file's.
            let mut errors = Errors::new();
            let options = rules::LoadOptions { features: outside.features, ..rules::LoadOptions::default() };
            let groups = rules::load_with(&file.name, &file.text, options, &mut errors);
            self.errors.append(errors);
            groups.iter().flat_map(|group| &group.warnings).for_each(|warning| self.warnings.push(warning.clone()));
            self.rules.extend(groups);
        }
        self.shown = shown::shown(root);
        self.config = self.errors.is_empty().then_some(config);
    }
}

/// A file's values with their places, before any is believed.
struct RawConfig {
    alert_relabel: Vec<relabel::Rule>,
    global: RawGlobal,
    storage: RawStorage,
    collect: RawCollect,
    gpio: Vec<RawGpioLine>,
    rule_files: RawRuleFiles,
    scrapes: RawScrapes,
    remote_write: Vec<RawRemoteWrite>,
    mqtt: Vec<RawMqtt>,
    notify: Option<Node>,
    alertmanager_config_file: Option<At<String>>,
    web: RawWeb,
    query: RawQuery,
    clock: RawClock,
}

impl RawConfig {
    fn read(root: &Node, errors: &mut Errors, warnings: &mut Errors) -> RawConfig {
        let mut map: Map = root.map(errors);
        let mut raw = RawConfig {
            alert_relabel: Vec::new(),
            global: RawGlobal::read(&mut map, errors, warnings),
            storage: RawStorage::read(&mut map, errors, warnings),
            collect: RawCollect::read(&mut map, errors),
            gpio: RawGpioLine::read_all(&mut map, errors),
            rule_files: RawRuleFiles::read(&mut map, errors),
            scrapes: RawScrapes::read(&mut map, errors),
            remote_write: RawRemoteWrite::read_all(&mut map, errors, warnings),
            mqtt: RawMqtt::read_all(&mut map, errors, warnings),
            notify: map.get("notify"),
            alertmanager_config_file: at(&mut map, "alertmanager_config_file", errors, Node::str),
            web: RawWeb::read(&mut map, errors),
            query: RawQuery::read(&mut map, errors),
            clock: RawClock::read(&mut map, errors),
        };
        raw.alert_relabel = peer_sections::check(&mut map, raw.global.names(), errors, warnings);
        map.finish(errors);
        raw
    }

    fn believe(
        self,
        base: &Path,
        outside: &Outside,
        errors: &mut Errors,
        warnings: &mut Errors,
    ) -> (Config, Vec<RuleFile>) {
        let global = self.global.believe(outside.env, errors);
        let config = Config {
            scrape: self.scrapes.believe(&global, base, outside, errors, warnings),
            global,
            storage: self.storage.believe(base, errors),
            collect: self.collect.believe(base, outside, errors),
            gpio: gpio::believe(self.gpio, errors),
            alert_relabel: self.alert_relabel,
            remote_write: remote_write::believe(self.remote_write, base, errors),
            mqtt: mqtt::believe(self.mqtt, base, errors),
            web: self.web.believe(base, errors),
            query: self.query.believe(errors),
            clock: self.clock.believe(),
        };
        (config, self.rule_files.believe(base, outside, errors, warnings))
    }

    /// Returns the Alertmanager-shaped part: written here, or in a file of its own.
    fn notify_node(&self, base: &Path, outside: &Outside, errors: &mut Errors) -> Option<Node> {
        let Some(at) = &self.alertmanager_config_file else { return self.notify.clone() };
        if self.notify.is_some() {
            at.complain("notify is there too", "either notify or alertmanager_config_file", errors);
        }
        let file = path(Some(at.clone()), base, errors)?;
        let name = file.to_string_lossy();
        let parsed = match (outside.read)(&file) {
            Ok(text) => yaml::parse(&name, &text),
            Err(error) => {
                let what = ["reading ", &name, ": ", &error.to_string()].concat();
                at.complain(what, "a file that can be read", errors);
                return None;
            }
        };
        parsed.map_err(|faults| errors.append(faults)).ok()
    }
}

fn unreadable(name: &str, error: &std::io::Error) -> Error {
    Error::of_file(name, ["reading: ", &error.to_string()].concat(), "a file that can be read")
}
