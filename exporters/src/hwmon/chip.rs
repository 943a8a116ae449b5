//! One sensor chip: what it is called, and which files its sensors have.
//!
//! The number of a chip depends on the order in which drivers came, so it is called after its device where it has
//! one (`platform_coretemp_0`), else after its own `name`, else by its entry. Old drivers put the sensors' files
//! into the device's folder instead of the chip's; where both have one, the device's counts.

use crate::error::CollectError;
use crate::folder::{Desk, Folder};
use crate::host::{Host, Names, set_path};

use super::DIR;
use super::element::{Meaning, clean, split};

/// The most files of one chip; what is more is left out.
const FILES_MAX: usize = 1_024;

/// The number of the file that holds the chip's own name; the sensors' follow.
const NAME_FILE: (usize, &str) = (0, "name");

/// One chip.
#[derive(Default)]
pub(super) struct Chip {
    entry: String,
    /// Its folder.
    pub(super) folder: Folder,
    /// Whether its folder is there.
    pub(super) is_there: bool,
    /// What it is called, as long as no other is called so.
    pub(super) base: String,
    raw_name: String,
    /// What it calls itself; empty where it does not.
    pub(super) name: String,
    /// What it is called.
    pub(super) label: String,
    /// Its sensors in the order of their names.
    pub(super) sensors: Vec<Sensor>,
    /// The sensors' files as they were listed last: the chip's own and its device's.
    listed: [Vec<String>; 2],
}

/// A file by its number and name within the chip's folder.
pub(super) struct FileName {
    number: usize,
    /// Its name.
    pub(super) name: String,
}

impl FileName {
    /// Returns number and name.
    pub(super) fn as_ref(&self) -> (usize, &str) {
        (self.number, &self.name)
    }
}

/// One sensor.
pub(super) struct Sensor {
    /// Its name, such as `temp1`.
    pub(super) name: String,
    /// Its kind, such as `temp`.
    pub(super) kind: String,
    /// The file with its label.
    pub(super) label: Option<FileName>,
    /// Its other files.
    pub(super) elements: Vec<Element>,
}

/// One file of a sensor and what it means.
pub(super) struct Element {
    /// The file.
    pub(super) file: FileName,
    /// What it means.
    pub(super) meaning: Meaning,
}

impl Chip {
    /// Returns a chip of which only the entry is known.
    pub(super) fn new(entry: &str) -> Chip {
        Chip { entry: entry.to_owned(), folder: Folder::new([DIR, "/", entry].concat()), ..Chip::default() }
    }

    /// Returns the name of its folder.
    pub(super) fn entry(&self) -> &str {
        &self.entry
    }

    /// Looks which files it has and what it is called; returns whether that is news.
    pub(super) fn settle(&mut self, host: &Host, desk: &mut Desk, names: &mut Names) -> Result<bool, CollectError> {
        let was_there = std::mem::replace(&mut self.is_there, desk.enter(&host.sysfs, &mut self.folder)?);
        if !self.is_there {
            self.listed = Default::default();
            return Ok(was_there);
        }
        let mut is_news = !was_there;
        for (at, below) in ["", "/device"].into_iter().enumerate() {
            let is_listed = names.list_if_there(&host.sysfs, &[self.folder.dir(), below]);
            let is_listed = matches!(is_listed, Ok(true));
            let sensors = || names.iter().filter(|name| is_listed && split(name).is_some()).take(FILES_MAX);
            if !sensors().eq(self.listed[at].iter().map(String::as_str)) {
                self.listed[at] = sensors().map(str::to_owned).collect();
                is_news = true;
            }
        }
        let name = desk.text(&host.sysfs, &mut self.folder, NAME_FILE).ok().flatten().unwrap_or("");
        if is_news || self.raw_name != name {
            name.clone_into(&mut self.raw_name);
            self.name = clean(name);
            self.learn(host, desk);
            return Ok(true);
        }
        Ok(false)
    }

    fn learn(&mut self, host: &Host, desk: &mut Desk) {
        desk.leave(&mut self.folder);
        self.base = self.device(host).unwrap_or_default();
        if self.base.is_empty() {
            self.base.clone_from(if self.name.is_empty() { &self.entry } else { &self.name });
        }
        let mut files: Vec<(String, &str, &str)> = Vec::new();
        for (below, listed) in ["", "device/"].into_iter().zip(&self.listed) {
            for file in listed {
                let Some((kind, number, property)) = split(file) else { continue };
                let sensor = [kind, &number.to_string()].concat();
                // The later one of the same meaning counts.
                files.retain(|(known, _, of)| {
                    *known != sensor || split(of).is_none_or(|(_, _, known)| known != property)
                });
                files.push((sensor, below, file));
            }
        }
        files.sort();
        self.sensors.clear();
        for (number, (sensor, below, file)) in files.iter().enumerate() {
            let Some((kind, _, property)) = split(file) else { continue };
            if self.sensors.last().is_none_or(|last| last.name != *sensor) {
                let (name, kind) = (sensor.clone(), kind.to_owned());
                self.sensors.push(Sensor { name, kind, label: None, elements: Vec::new() });
            }
            let Some(last) = self.sensors.last_mut() else { continue };
            let has_plain = files.iter().any(|(other, _, file)| {
                other == sensor && split(file).is_some_and(|(_, _, property)| property.is_empty())
            });
            let file = FileName { number: number + NAME_FILE.0 + 1, name: [*below, *file].concat() };
            match property {
                "label" => last.label = Some(file),
                _ => last
                    .elements
                    .extend(Meaning::of(kind, property, has_plain).map(|meaning| Element { file, meaning })),
            }
        }
    }

    /// Returns what a chip is called after its device: the last two parts of the way to it.
    fn device(&self, host: &Host) -> Option<String> {
        let mut path = std::path::PathBuf::new();
        set_path(&mut path, &host.sysfs, &[self.folder.dir(), "/device"]);
        let path = std::fs::canonicalize(path).ok()?;
        let part = |path: &std::path::Path| clean(&path.file_name().unwrap_or_default().to_string_lossy());
        let (kind, name) = (path.parent().map(part).unwrap_or_default(), part(&path));
        Some(if kind.is_empty() || name.is_empty() { name } else { [kind.as_str(), "_", &name].concat() })
    }
}
