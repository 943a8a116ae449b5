//! The cuts themselves: what each fate leaves of what is pending, judged once for every different outcome, counted by
//! what the disk was doing.
//!
//! Fates that leave the same bytes are one cut, and a moment at which nothing changed since the last one is none.

use std::collections::BTreeMap;

use support::disk::{Fate, FaultyDisk};
use tsdb::Store;

use crate::history::History;
use crate::life::{Plan, random};
use crate::now;

/// How many more fates are drawn at each moment, for pages and for sectors.
const DRAWN: u64 = 5;

/// How many cuts there were within what.
#[derive(Debug, Default, Clone)]
pub struct Counts(pub BTreeMap<&'static str, u64>);

impl Counts {
    pub fn add(&mut self, kind: &'static str) {
        *self.0.entry(kind).or_default() += 1;
    }

    pub fn take(&mut self, other: Counts) {
        other.0.into_iter().for_each(|(kind, count)| *self.0.entry(kind).or_default() += count);
    }

    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

/// Remembers the moment that was tried last.
#[derive(Default)]
pub struct Cuts {
    ops: u64,
    certain: usize,
    seed: u64,
}

impl Cuts {
    /// Judges every different outcome of a cut at this moment.
    pub fn try_all(
        &mut self,
        disk: &FaultyDisk,
        plan: &Plan,
        history: &History,
        kind: &'static str,
        counts: &mut Counts,
    ) -> Result<(), String> {
        if plan.fates.is_empty() || (self.ops, self.certain) == (disk.ops(), history.certain) {
            return Ok(());
        }
        (self.ops, self.certain) = (disk.ops(), history.certain);
        self.outcomes(disk, plan, &mut |left, fate| {
            counts.add(kind);
            history.judge(&left, None, &plan.court()).map_err(|fault| format!("{fate:?}: {fault}"))
        })
    }

    /// Calls for every different outcome of a cut at this moment.
    fn outcomes(
        &mut self,
        disk: &FaultyDisk,
        plan: &Plan,
        judge: &mut dyn FnMut(FaultyDisk, Fate) -> Result<(), String>,
    ) -> Result<(), String> {
        self.seed = (self.seed + plan.seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut seed = self.seed;
        let drawn = (0..2 * DRAWN).map(|at| {
            let salt = random(&mut seed);
            if at < DRAWN { Fate::Pages(salt) } else { Fate::Sectors(salt) }
        });
        let drawn: Vec<Fate> = if plan.fates.len() > 3 { drawn.collect() } else { Vec::new() };
        let mut judged: Vec<FaultyDisk> = Vec::new();
        for fate in plan.fates.iter().chain(&drawn) {
            let left = disk.after(*fate);
            if judged.iter().any(|other| other.is_same(&left)) {
                continue;
            }
            judged.push(left.fork());
            judge(left, *fate)?;
        }
        Ok(())
    }
}

/// Opens what a medium holds with a cut at every operation of that.
pub fn opens_after(
    disk: &FaultyDisk,
    plan: &Plan,
    tail: Option<&[u8]>,
    history: &History,
    kind: &'static str,
    counts: &mut Counts,
    cuts: &mut Cuts,
) -> Result<(), String> {
    for n in 0.. {
        let made = disk.fork();
        made.fail_after(n);
        let read = (plan.through)(made.clone());
        if Store::open(&mut made.clone(), read, tail, plan.options.clone(), now(0)).is_ok() {
            return Ok(());
        }
        cuts.outcomes(&made, plan, &mut |left, fate| {
            counts.add(kind);
            let fault = history.judge(&left, None, &plan.court());
            fault.map_err(|fault| format!("cut at operation {n} of {kind}, {fate:?}: {fault}"))
        })?;
    }
    Ok(())
}
