//! All groups together: what a push changes, what it must be consistent with, and what is printed and stored.
//!
//! A push is judged against the state as it would be: a label set that is there already, or a name that is of
//! another kind in another group or on this board, refuses the whole push; the group then keeps what it had and the
//! time of the failure. The limits bound everything together, so a stranger's pushes cannot grow the process.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use model::{Batch, MetricKind, UnixMs};

use crate::group::{Family, Group, Metric, Point, Unfit, families};
use crate::limits::{BYTES_MAX, GROUPS_MAX, METRICS_MAX};
use crate::path::Grouping;

const PUSH_TIME: (&str, &str) =
    ("push_time_seconds", "Last Unix time when changing this group in the Pushgateway succeeded.");
const FAILURE_TIME: (&str, &str) =
    ("push_failure_time_seconds", "Last Unix time when changing this group in the Pushgateway failed.");

/// Returns whether a family is told by the groups themselves, so that a pushed one of that name counts for nothing.
pub(crate) fn is_own(name: &str) -> bool {
    name == PUSH_TIME.0 || name == FAILURE_TIME.0
}

/// What a push does to the families that were there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `PUT`: none stays.
    Replace,
    /// `POST`: those of other names stay.
    Merge,
}

/// Why a push is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// What is pushed contradicts itself or another group; the peer's status is 400.
    Inconsistent(String),
    /// A limit would be passed: what of, and how many there may be.
    Full(&'static str, usize),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Inconsistent(why) => {
                write!(f, "pushed metrics are invalid or inconsistent with existing metrics: {why}")
            }
            Refused::Full(what, max) => write!(f, "at most {max} {what} are kept of all pushes: delete a group"),
        }
    }
}

impl std::error::Error for Refused {}

/// What is counted since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Pushes taken.
    pub pushes: u64,
    /// Pushes refused because they were inconsistent.
    pub inconsistent: u64,
    /// Pushes refused because of a limit.
    pub full: u64,
}

/// Every group by its labels.
#[derive(Debug, Clone, Default)]
pub struct Groups {
    groups: BTreeMap<Grouping, Group>,
    counts: Counts,
}

impl Groups {
    /// Returns no groups.
    pub fn new() -> Groups {
        Groups::default()
    }

    /// Returns whether nobody pushed anything that is still there.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Returns every group, in ascending order of labels.
    pub fn iter(&self) -> impl Iterator<Item = (&Grouping, &Group)> {
        self.groups.iter()
    }

    /// Returns one group.
    pub fn get(&self, grouping: &Grouping) -> Option<&Group> {
        self.groups.get(grouping)
    }

    /// Returns what is counted.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Takes a push. `known` tells the kind of a family that this board itself prints, if it does.
    ///
    /// # Errors
    /// With the reason; the group then is as before, but for the time of the failure.
    pub fn push(
        &mut self,
        now: UnixMs,
        grouping: Grouping,
        mode: Mode,
        batch: &Batch,
        known: &dyn Fn(&str) -> Option<MetricKind>,
    ) -> Result<(), Refused> {
        let pushed = self.judge(now, &grouping, mode, batch, known);
        let is_new = !self.groups.contains_key(&grouping);
        match &pushed {
            Ok(_) => self.counts.pushes += 1,
            Err(Refused::Inconsistent(_)) => self.counts.inconsistent += 1,
            Err(Refused::Full(..)) => self.counts.full += 1,
        }
        if pushed.is_err() && is_new && (self.groups.len() >= GROUPS_MAX || self.is_said_already(&grouping)) {
            return pushed.map(drop);
        }
        let group = self.groups.entry(grouping).or_default();
        match pushed {
            Ok(families) => {
                group.pushed = Some(now);
                group.families = families;
                Ok(())
            }
            Err(refused) => {
                group.failed = Some(now);
                Err(refused)
            }
        }
    }

    /// Removes a group; one that is not there is no error.
    pub fn delete(&mut self, grouping: &Grouping) {
        self.groups.remove(grouping);
    }

    /// Removes every group.
    pub fn wipe(&mut self) {
        self.groups.clear();
    }

    pub(crate) fn insert(&mut self, grouping: Grouping, group: Group) {
        if self.groups.len() < GROUPS_MAX {
            self.groups.insert(grouping, group);
        }
    }

    /// Returns the group's families as they would be.
    fn judge(
        &self,
        now: UnixMs,
        grouping: &Grouping,
        mode: Mode,
        batch: &Batch,
        known: &dyn Fn(&str) -> Option<MetricKind>,
    ) -> Result<BTreeMap<String, Family>, Refused> {
        let mut wanted = families(batch, grouping, now).map_err(|unfit| match unfit {
            Unfit::Timestamp => Refused::Inconsistent("pushed metrics must not have timestamps".to_owned()),
            Unfit::Twice { name, labels } => said_before(&name, &labels),
        })?;
        self.check_kinds(grouping, &wanted, known)?;
        self.check_series(grouping, &wanted)?;
        if let (Mode::Merge, Some(group)) = (mode, self.groups.get(grouping)) {
            for (name, family) in &group.families {
                wanted.entry(name.clone()).or_insert_with(|| family.clone());
            }
        }
        self.check_room(grouping, &wanted)?;
        Ok(wanted)
    }

    fn others<'a>(&'a self, grouping: &'a Grouping) -> impl Iterator<Item = (&'a Grouping, &'a Group)> {
        self.groups.iter().filter(move |(other, _)| *other != grouping)
    }

    fn check_kinds(
        &self,
        grouping: &Grouping,
        wanted: &BTreeMap<String, Family>,
        known: &dyn Fn(&str) -> Option<MetricKind>,
    ) -> Result<(), Refused> {
        for (name, family) in wanted {
            let elsewhere = self.others(grouping).find_map(|(_, group)| group.families.get(name));
            let kind = known(name).or(elsewhere.map(|family| family.kind));
            if let Some(kind) = kind.filter(|kind| kind.as_prometheus() != family.kind.as_prometheus()) {
                let [found, expected] = [family.kind, kind].map(|kind| kind.as_prometheus().to_uppercase());
                let why = format!("gathered metric family {name} has type {found} but should have {expected}");
                return Err(Refused::Inconsistent(why));
            }
        }
        Ok(())
    }

    fn check_series(&self, grouping: &Grouping, wanted: &BTreeMap<String, Family>) -> Result<(), Refused> {
        if self.is_said_already(grouping) {
            let labels: Vec<_> = grouping.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            return Err(said_before(PUSH_TIME.0, &labels));
        }
        for (name, family) in wanted {
            let there: HashSet<&[(String, String)]> = self
                .others(grouping)
                .filter_map(|(_, group)| group.families.get(name))
                .flat_map(|family| &family.metrics)
                .map(|metric| metric.labels.as_slice())
                .collect();
            if let Some(twice) = family.metrics.iter().find(|metric| there.contains(metric.labels.as_slice())) {
                return Err(said_before(name, &twice.labels));
            }
        }
        Ok(())
    }

    /// Returns whether another group's own families carry the same labels: `instance` empty and left out are one.
    fn is_said_already(&self, grouping: &Grouping) -> bool {
        let labels = own_labels(grouping);
        self.others(grouping).any(|(other, _)| own_labels(other) == labels)
    }

    fn check_room(&self, grouping: &Grouping, wanted: &BTreeMap<String, Family>) -> Result<(), Refused> {
        if !self.groups.contains_key(grouping) && self.groups.len() >= GROUPS_MAX {
            return Err(Refused::Full("groups", GROUPS_MAX));
        }
        let group = Group { families: wanted.clone(), ..Group::default() };
        let costs = self.others(grouping).map(|(_, group)| group.cost());
        let (metrics, bytes) = costs.fold(group.cost(), |sum, cost| (sum.0 + cost.0, sum.1 + cost.1));
        if metrics > METRICS_MAX {
            return Err(Refused::Full("metrics", METRICS_MAX));
        }
        if bytes > BYTES_MAX {
            return Err(Refused::Full("bytes", BYTES_MAX));
        }
        Ok(())
    }

    /// Adds everything to a batch, times of pushes included; a family that the batch has already in another kind is
    /// left out, because what the board says of itself comes first.
    pub fn fill(&self, out: &mut Batch) {
        self.fill_as(&|name| Cow::Borrowed(name), out);
    }

    /// As [`Groups::fill`], for a text that knows plain names only: what else there is in a name becomes an underscore.
    pub fn fill_plain(&self, out: &mut Batch) {
        self.fill_as(&plain, out);
    }

    fn fill_as(&self, shown: &Shown, out: &mut Batch) {
        let mut names: BTreeMap<&str, Vec<&Family>> = BTreeMap::new();
        for group in self.groups.values() {
            for (name, family) in &group.families {
                names.entry(name).or_default().push(family);
            }
        }
        let kinds: HashMap<String, MetricKind> = out
            .families()
            .iter()
            .filter(|family| names.contains_key(out.name(family)))
            .map(|family| (out.name(family).to_owned(), family.kind))
            .collect();
        for (name, families) in names {
            let first = families[0];
            if kinds.get(name).is_some_and(|kind| *kind != first.kind) {
                continue;
            }
            let help = families.iter().map(|family| family.help.as_str()).find(|help| !help.is_empty());
            out.family(&shown(name), help.unwrap_or_default(), first.kind);
            for metric in families.iter().flat_map(|family| &family.metrics) {
                add(out, metric, shown);
            }
        }
        self.fill_times(FAILURE_TIME, |group| group.failed, shown, out);
        self.fill_times(PUSH_TIME, |group| group.pushed, shown, out);
    }

    fn fill_times(
        &self,
        (name, help): (&str, &str),
        time: fn(&Group) -> Option<UnixMs>,
        shown: &Shown,
        out: &mut Batch,
    ) {
        if self.groups.is_empty() {
            return;
        }
        out.family(name, help, MetricKind::Gauge);
        for (grouping, group) in &self.groups {
            let labels = own_labels(grouping);
            let labels: Vec<(Cow<'_, str>, &str)> = labels.iter().map(|(name, value)| (shown(name), *value)).collect();
            let labels: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (&**name, *value)).collect();
            out.add(&labels, time(group).map_or(0.0, |at| at.0 as f64 / 1_000.0));
        }
    }
}

fn own_labels(grouping: &Grouping) -> BTreeMap<&str, &str> {
    let mut labels: BTreeMap<&str, &str> = grouping.iter().collect();
    labels.entry("instance").or_default();
    labels
}

fn said_before(name: &str, labels: &[(String, String)]) -> Refused {
    let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    let labels = labels.join(", ");
    Refused::Inconsistent(format!(
        "collected metric {name:?} {{{labels}}} was collected before with the same name and label values"
    ))
}

/// How names are shown.
type Shown = dyn for<'a> Fn(&'a str) -> Cow<'a, str>;

/// Returns a name with an underscore for each character that plain names have not.
fn plain(name: &str) -> Cow<'_, str> {
    let fits =
        |(at, c): (usize, char)| c.is_ascii_alphabetic() || matches!(c, '_' | ':') || (at > 0 && c.is_ascii_digit());
    if name.chars().enumerate().all(fits) {
        return Cow::Borrowed(name);
    }
    name.chars().enumerate().map(|(at, c)| if fits((at, c)) { c } else { '_' }).collect()
}

fn add(out: &mut Batch, metric: &Metric, shown: &Shown) {
    let labels: Vec<(Cow<'_, str>, &str)> =
        metric.labels.iter().map(|(name, value)| (shown(name), value.as_str())).collect();
    let labels = &mut labels.iter().map(|(name, value)| (&**name, *value)).collect::<Vec<(&str, &str)>>();
    match &metric.point {
        Point::Plain(value) => out.add(labels, *value),
        Point::Native(value) => {
            out.add(labels, 0.0);
            if let model::Value::Histogram(histogram) = value {
                out.histogram_last(histogram.clone());
            }
        }
        Point::Histogram { buckets, sum, count } => {
            add_bounds(out, "_bucket", "le", labels, buckets);
            out.add_suffixed("_sum", labels, *sum);
            out.add_suffixed("_count", labels, count.unwrap_or(0.0));
        }
        Point::Summary { quantiles, sum, count } => {
            add_bounds(out, "", "quantile", labels, quantiles);
            out.add_suffixed("_sum", labels, *sum);
            out.add_suffixed("_count", labels, *count);
        }
    }
}

fn add_bounds(out: &mut Batch, suffix: &str, label: &str, labels: &[(&str, &str)], places: &[(f64, f64)]) {
    for (bound, value) in places {
        let mut text = String::new();
        model::float::write_exposition(&mut text, *bound);
        let mut with: Vec<(&str, &str)> = labels.to_vec();
        with.push((label, &text));
        out.add_suffixed(suffix, &with, *value);
    }
}

#[cfg(test)]
mod tests;
