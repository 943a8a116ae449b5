//! `collect`: what is read from this board, by node_exporter's names.
//!
//! ```text
//! collect:
//!   disable: [thermal_zone]
//!   flags: {collector.filesystem.fs-types-exclude: ^(tmpfs|proc)$}
//! ```
//! Collectors and flags are those that are built in; a name that is none of them is an error. A flag's value is
//! checked by its collector. Job and instance label what is stored, not what `/metrics` prints.

use std::path::{Path, PathBuf};

use yaml::{Errors, Map, Node, nearest};

use super::global::interval;
use super::outside::Outside;
use super::raw::{At, at, or, path};

/// The flag that `textfile_directories` stands for.
const TEXTFILE_FLAG: &str = "collector.textfile.directory";

/// What is read from this board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collect {
    /// How often, in milliseconds; `None` is `global.scrape_interval`.
    pub interval_ms: Option<u64>,
    /// The `job` label.
    pub job: String,
    /// The `instance` label; `None` is host name and port.
    pub instance: Option<String>,
    /// Whether the collectors that are on by default run.
    pub defaults: bool,
    /// Collectors that run besides.
    pub enable: Vec<String>,
    /// Collectors that do not run.
    pub disable: Vec<String>,
    /// Values by node_exporter's flag names without the leading dashes, in the file's order; a flag may repeat.
    pub flags: Vec<(String, String)>,
    /// Where the kernel's file systems are.
    pub paths: Paths,
}

/// Where the kernel's file systems are: elsewhere in a container or a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// As `--path.procfs`.
    pub procfs: PathBuf,
    /// As `--path.sysfs`.
    pub sysfs: PathBuf,
    /// As `--path.rootfs`.
    pub rootfs: PathBuf,
    /// As `--path.udev.data`.
    pub udev: PathBuf,
    /// The device nodes.
    pub dev: PathBuf,
}

impl Default for Collect {
    fn default() -> Collect {
        Collect {
            interval_ms: None,
            job: "node".to_owned(),
            instance: None,
            defaults: true,
            enable: Vec::new(),
            disable: Vec::new(),
            flags: Vec::new(),
            paths: Paths::default(),
        }
    }
}

impl Default for Paths {
    fn default() -> Paths {
        Paths {
            procfs: "/proc".into(),
            sysfs: "/sys".into(),
            rootfs: "/".into(),
            udev: "/run/udev/data".into(),
            dev: "/dev".into(),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct RawCollect {
    interval: Option<At<u64>>,
    job: Option<At<String>>,
    instance: Option<At<String>>,
    defaults: Option<bool>,
    enable: Vec<At<String>>,
    disable: Vec<At<String>>,
    flags: Vec<At<String>>,
    textfile_directories: Vec<At<String>>,
    paths: RawPaths,
}

#[derive(Debug, Default)]
struct RawPaths {
    procfs: Option<At<String>>,
    sysfs: Option<At<String>>,
    rootfs: Option<At<String>>,
    udev: Option<At<String>>,
    dev: Option<At<String>>,
}

impl RawCollect {
    pub fn read(root: &mut Map, errors: &mut Errors) -> RawCollect {
        let Some(node) = root.get("collect") else { return RawCollect::default() };
        let mut map = node.map(errors);
        let raw = RawCollect {
            interval: at(&mut map, "interval", errors, Node::duration_ms),
            job: at(&mut map, "job", errors, Node::str),
            instance: at(&mut map, "instance", errors, Node::str),
            defaults: map.bool("defaults", errors),
            enable: texts(map.list("enable", errors), errors),
            disable: texts(map.list("disable", errors), errors),
            flags: flags(map.get("flags"), errors),
            textfile_directories: texts(map.list("textfile_directories", errors), errors),
            paths: RawPaths::read(&mut map, errors),
        };
        map.finish(errors);
        raw
    }

    pub fn believe(self, base: &Path, outside: &Outside, errors: &mut Errors) -> Collect {
        let default = Collect::default();
        let (enable, disable) = (self.enable, self.disable);
        for at in enable.iter().chain(&disable) {
            known("collector", at, &at.value, outside.collectors, errors);
        }
        for at in disable.iter().filter(|at| enable.iter().any(|other| other.value == at.value)) {
            at.complain(["the collector ", &at.value, " is both enabled and disabled"].concat(), "", errors);
        }
        Collect {
            interval_ms: self.interval.map(|at| interval(Some(at), 0, errors)).filter(|ms| *ms != 0),
            job: not_empty(self.job, errors).unwrap_or(default.job),
            instance: not_empty(self.instance, errors),
            defaults: self.defaults.unwrap_or(true),
            enable: values(enable),
            disable: values(disable),
            flags: believe_flags(self.flags, self.textfile_directories, base, outside, errors),
            paths: self.paths.believe(base, errors),
        }
    }
}

impl RawPaths {
    fn read(collect: &mut Map, errors: &mut Errors) -> RawPaths {
        let Some(node) = collect.get("paths") else { return RawPaths::default() };
        let mut map = node.map(errors);
        let raw = RawPaths {
            procfs: at(&mut map, "procfs", errors, Node::str),
            sysfs: at(&mut map, "sysfs", errors, Node::str),
            rootfs: at(&mut map, "rootfs", errors, Node::str),
            udev: at(&mut map, "udev", errors, Node::str),
            dev: at(&mut map, "dev", errors, Node::str),
        };
        map.finish(errors);
        raw
    }

    fn believe(self, base: &Path, errors: &mut Errors) -> Paths {
        let default = Paths::default();
        Paths {
            procfs: path(self.procfs, base, errors).unwrap_or(default.procfs),
            sysfs: path(self.sysfs, base, errors).unwrap_or(default.sysfs),
            rootfs: path(self.rootfs, base, errors).unwrap_or(default.rootfs),
            udev: path(self.udev, base, errors).unwrap_or(default.udev),
            dev: path(self.dev, base, errors).unwrap_or(default.dev),
        }
    }
}

fn texts(nodes: Vec<Node>, errors: &mut Errors) -> Vec<At<String>> {
    nodes.into_iter().filter_map(|node| node.str(errors).map(|value| At { value, node })).collect()
}

fn values(list: Vec<At<String>>) -> Vec<String> {
    list.into_iter().map(|at| at.value).collect()
}

/// Returns the flags' values; the node of each tells its name. A list is a flag given several times.
fn flags(node: Option<Node>, errors: &mut Errors) -> Vec<At<String>> {
    let Some(node) = node else { return Vec::new() };
    if !node.is_map() {
        node.complain("this is no map", "a map (flag: value)", errors);
    }
    let mut found = Vec::new();
    for flag in node.children() {
        let items = if flag.is_map() { Vec::new() } else { flag.children() };
        let given = if items.is_empty() { vec![flag.clone()] } else { items };
        let values = given.iter().filter_map(|item| item.str(errors));
        found.extend(values.map(|value| At { value, node: flag.clone() }));
    }
    found
}

fn believe_flags(
    given: Vec<At<String>>,
    textfile_directories: Vec<At<String>>,
    base: &Path,
    outside: &Outside,
    errors: &mut Errors,
) -> Vec<(String, String)> {
    let mut flags = Vec::new();
    for at in given {
        let name = at.node.name().unwrap_or("");
        let name = name.strip_prefix("--").unwrap_or(name).to_owned();
        known("flag", &at, &name, outside.collector_flags, errors);
        flags.push((name, at.value));
    }
    for at in textfile_directories {
        if let Some(directory) = path(Some(at), base, errors) {
            flags.push((TEXTFILE_FLAG.to_owned(), directory.to_string_lossy().into_owned()));
        }
    }
    flags
}

fn known(kind: &str, at: &At<String>, name: &str, names: &[&'static str], errors: &mut Errors) {
    if !names.contains(&name) {
        let near = nearest(name, names.iter().copied()).unwrap_or("");
        at.complain(["there is no ", kind, " ", name, " in this build"].concat(), near, errors);
    }
}

fn not_empty(given: Option<At<String>>, errors: &mut Errors) -> Option<String> {
    let at = given?;
    if at.value.is_empty() {
        at.complain("an empty text", "a label value", errors);
        return None;
    }
    Some(or(Some(at), String::new()))
}
