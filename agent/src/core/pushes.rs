//! Pushed groups as core keeps them: changed by requests, told with every collection, saved now and then.
//!
//! A group is saved when it changes, at most every five minutes and at a stop: a script that pushes every second
//! would else write its group to the card every second. The peer writes its file as often. A kill so costs the pushes
//! of up to five minutes to a group that was pushed to before; what is in the ring stays there.
//!
//! What is too large for the saved state is served all the same, and said once.

use std::collections::BTreeMap;

use model::{Batch, MetricKind, Mono, Now, UnixMs};
use push::{Grouping, Groups, Mode, Refused};
use tsdb::Store;

use crate::os::paths::fnv1a;

/// How often one group is saved at most, in milliseconds: the peer's `--persistence.interval`.
const SAVE_MS: u64 = 300_000;
/// What the names of the cells begin with.
const CELL_PREFIX: &str = "push/";

/// What is asked of the groups.
pub enum Ask {
    /// Take this.
    Push(Grouping, Mode, Batch),
    /// Remove a group.
    Delete(Grouping),
    /// Remove all.
    Wipe,
    /// Tell what there is.
    List,
}

/// What became of it.
pub enum Told {
    /// It is done.
    Done,
    /// The push was refused.
    Refused(Refused),
    /// What there is.
    Groups(Groups),
}

/// Takes the answer.
pub type Reply = Box<dyn FnOnce(Told) + Send>;

/// The groups, and when each was saved.
pub struct Pushes {
    groups: Groups,
    saved: BTreeMap<Grouping, Mono>,
    changed: BTreeMap<Grouping, Mono>,
    batch: Batch,
    is_too_large_said: bool,
}

impl Pushes {
    /// Returns what was saved.
    pub fn new(store: &Store) -> Pushes {
        let mut groups = Groups::new();
        for name in store.cell_names(CELL_PREFIX) {
            if !store.cell(&name).is_some_and(|saved| groups.restore(&saved)) {
                log::warn!("a group of pushed metrics is lost: what was saved of it is not ours");
            }
        }
        Pushes {
            groups,
            saved: BTreeMap::new(),
            changed: BTreeMap::new(),
            batch: Batch::new(),
            is_too_large_said: false,
        }
    }

    /// Does what is asked; `at` is the wall time that rows appended now get.
    pub fn ask(&mut self, now: Now, at: UnixMs, ask: Ask, store: &mut Store) -> Told {
        let told = match ask {
            Ask::List => return Told::Groups(self.groups.clone()),
            Ask::Push(grouping, mode, batch) => {
                let known = |name: &str| known(store, name);
                let pushed = self.groups.push(at, grouping.clone(), mode, &batch, &known);
                self.note(now, grouping);
                pushed.map_or_else(Told::Refused, |()| Told::Done)
            }
            Ask::Delete(grouping) => {
                self.groups.delete(&grouping);
                self.note(now, grouping);
                Told::Done
            }
            Ask::Wipe => {
                let all: Vec<Grouping> = self.groups.iter().map(|(grouping, _)| grouping.clone()).collect();
                self.groups.wipe();
                all.into_iter().for_each(|grouping| self.note(now, grouping));
                Told::Done
            }
        };
        self.save(now, store);
        told
    }

    /// Adds everything to a collection that is printed.
    pub fn fill(&self, out: &mut Batch) {
        self.groups.fill_plain(out);
    }

    /// Returns everything as a batch of its own; `None` when nobody pushed.
    pub fn batch(&mut self) -> Option<&Batch> {
        if self.groups.is_empty() && self.batch.rows().is_empty() {
            return None;
        }
        // Once more after the last group went, so that its series end.
        self.batch.clear();
        self.groups.fill(&mut self.batch);
        Some(&self.batch)
    }

    /// Returns what is counted.
    pub fn counts(&self) -> push::Counts {
        self.groups.counts()
    }

    /// Returns how many groups there are.
    pub fn groups(&self) -> usize {
        self.groups.iter().count()
    }

    /// Returns when `save` has something to do.
    pub fn next_deadline(&self) -> Option<Mono> {
        self.changed.values().min().copied()
    }

    /// Saves what is due.
    pub fn save(&mut self, now: Now, store: &mut Store) {
        let due: Vec<Grouping> =
            self.changed.iter().filter(|(_, at)| **at <= now.mono).map(|(grouping, _)| grouping.clone()).collect();
        for grouping in due {
            self.changed.remove(&grouping);
            self.keep(now, grouping, store);
        }
    }

    /// Saves everything that changed, and into another store everything.
    pub fn save_all(&mut self, now: Now, store: &mut Store, is_other_store: bool) {
        if is_other_store {
            let all = self.groups.iter().map(|(grouping, _)| (grouping.clone(), now.mono));
            self.changed.extend(all);
        }
        self.changed.values_mut().for_each(|at| *at = now.mono);
        self.save(now, store);
    }

    fn note(&mut self, now: Now, grouping: Grouping) {
        let due = self.saved.get(&grouping).map_or(now.mono, |saved| saved.plus_ms(SAVE_MS));
        self.changed.entry(grouping).or_insert(due);
    }

    fn keep(&mut self, now: Now, grouping: Grouping, store: &mut Store) {
        let cell = cell_name(&grouping);
        let there = self.groups.get(&grouping).is_some();
        let bytes = if there { self.groups.save(&grouping) } else { Some(Vec::new()) };
        let kept = bytes.is_some_and(|bytes| store.put_cell(&cell, &bytes).is_ok());
        if !kept && !std::mem::replace(&mut self.is_too_large_said, true) {
            log::warn!("{}: too large to be kept across a restart, push less to one group", grouping.path());
        }
        match there {
            true => self.saved.insert(grouping, now.mono),
            false => self.saved.remove(&grouping),
        };
    }
}

/// Returns the kind of a family that this board tells of itself: a push may not claim another.
fn known(store: &Store, name: &str) -> Option<MetricKind> {
    let is_ours = name.starts_with("node_") || name.starts_with("narthex_");
    is_ours.then(|| store.reader().metadata(name)).flatten().map(|family| family.kind)
}

/// Names a group's cell: its path may be long, and what a cell is called is kept in memory.
fn cell_name(grouping: &Grouping) -> String {
    format!("{CELL_PREFIX}{:016x}", fnv1a(grouping.path().as_bytes()))
}
