//! What was done to a store, and what may be left of it: the judge, who knows nothing of pages.
//!
//! History is a list of events, each a row or a change of the cell, in order. What is found after a cut must be a
//! prefix of it (as far back as the ring still reaches), at least as long as what was acknowledged.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Labels, Matcher, Outbox, Querier, RowId, Tail, TimeRange};
use support::disk::FaultyDisk;
use tsdb::{Options, Store};

use crate::now;

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    Row { id: RowId, labels: Labels, at: i64, bits: u64 },
    Cell { version: u32 },
}

/// Everything done so far.
#[derive(Default, Clone)]
pub struct History {
    pub events: Vec<Event>,
    /// How many events are acknowledged.
    pub certain: usize,
    /// The greatest opening any row was given.
    pub opening: u32,
    /// The oldest row that the ring still reached.
    pub oldest: RowId,
}

/// A row as it was found.
pub type Row = (RowId, Labels, i64, u64);

/// Returns all rows of a store.
pub fn rows(store: &Store) -> Result<Vec<Row>, String> {
    let reader = store.reader();
    let (mut tail, mut after, mut found) = (Tail::default(), RowId::default(), Vec::new());
    loop {
        reader.since(after, None, 997, &mut tail).map_err(|error| format!("since: {error}"))?;
        for row in &tail.rows {
            let bits = row.sample.value.float().ok_or("no float")?.to_bits();
            found.push((row.id, row.labels.clone(), row.sample.at.0, bits));
        }
        if tail.until == after {
            return if tail.undated { Err("undated rows".to_owned()) } else { Ok(found) };
        }
        after = tail.until;
    }
}

pub fn cell_version(store: &Store) -> u32 {
    store.cell("version").map_or(0, |bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

impl History {
    pub fn row(&mut self, id: RowId, labels: Labels, at: i64, bits: u64) {
        self.opening = self.opening.max(id.opening);
        self.events.push(Event::Row { id, labels, at, bits });
    }

    /// Opens what a cut left and says what is wrong with it.
    pub fn judge(&self, disk: &FaultyDisk, tail: Option<&[u8]>, options: &Options) -> Result<(), String> {
        let first = self.judge_opening(disk, tail, options, self.opening)?;
        let second = self.judge_opening(disk, None, options, self.opening + 1)?;
        if first != second {
            return Err(format!("{} events at the first opening, {} at the second", first.1, second.1));
        }
        Ok(())
    }

    /// Opens a medium whose bits rotted: every row that is there was written so, and in order. Returns how many of the
    /// acknowledged ones that the ring reached are not there.
    pub fn judge_rotten(&self, disk: &FaultyDisk, options: &Options) -> Result<u64, String> {
        let read = Arc::new(disk.clone());
        let opened = Store::open(&mut disk.clone(), read, None, options.clone(), now(0));
        let (store, _) = opened.map_err(|error| format!("rotten, does not open: {error}"))?;
        let found = rows(&store)?;
        let mut wanted = self.events.iter().enumerate().filter_map(|(at, event)| match event {
            Event::Row { id, labels, at: time, bits } => Some((at, (*id, labels, *time, *bits))),
            Event::Cell { .. } => None,
        });
        let mut lost = 0;
        for row in &found {
            loop {
                let Some((at, expected)) = wanted.next() else { return Err(format!("rotten row {} is new", row.0)) };
                if expected == (row.0, &row.1, row.2, row.3) {
                    break;
                }
                if expected.0 >= row.0 {
                    return Err(format!("rotten: found {row:?} where {expected:?} was written"));
                }
                lost += u64::from(expected.0 >= self.oldest && at < self.certain);
            }
        }
        Ok(lost + wanted.filter(|(at, row)| row.0 >= self.oldest && *at < self.certain).count() as u64)
    }

    /// Returns the rows that are there and at which event the store stands.
    fn judge_opening(
        &self,
        disk: &FaultyDisk,
        tail: Option<&[u8]>,
        options: &Options,
        opening: u32,
    ) -> Result<(Vec<RowId>, usize), String> {
        let read = Arc::new(disk.clone());
        let opened = Store::open(&mut disk.clone(), read, tail, options.clone(), now(0));
        let (store, recovery) = opened.map_err(|error| format!("does not open: {error}"))?;
        if !self.events.is_empty() && recovery.opening <= opening.min(self.opening) {
            return Err(format!("opening {} again", recovery.opening));
        }
        let found = rows(&store)?;
        let place = self.place(&found, cell_version(&store))?;
        if place < self.certain {
            return Err(format!("{} events were acknowledged, {place} are there", self.certain));
        }
        agree(&store, &found)?;
        Ok((found.into_iter().map(|row| row.0).collect(), place))
    }

    /// Returns how many events a store has that holds these rows and this version of the cell.
    fn place(&self, found: &[Row], version: u32) -> Result<usize, String> {
        let mut wanted = self.events.iter().enumerate().filter_map(|(at, event)| match event {
            Event::Row { id, labels, at: time, bits } => Some((at, (*id, labels, *time, *bits))),
            Event::Cell { .. } => None,
        });
        let mut last = 0;
        if let Some(first) = found.first() {
            if first.0 > self.oldest && self.oldest != RowId::default() {
                return Err(format!("begins with row {}, the ring reached back to {}", first.0, self.oldest));
            }
            let mut from = wanted.by_ref().skip_while(|(_, row)| row.0 < first.0);
            for row in found {
                let Some((at, expected)) = from.next() else { return Err(format!("row {} was never written", row.0)) };
                if expected != (row.0, &row.1, row.2, row.3) {
                    return Err(format!("found {row:?} where {expected:?} was written"));
                }
                last = at + 1;
            }
        }
        let next_row = wanted.next().map_or(self.events.len(), |(at, _)| at);
        let next_row = if found.is_empty() { self.first_row() } else { next_row };
        // Where in between the store stands is what the cell says.
        let mut place = last;
        let mut newest = self.events[..last].iter().rev().find_map(version_of).unwrap_or(0);
        for (at, event) in self.events[last..next_row].iter().enumerate() {
            if newest == version {
                break;
            }
            newest = version_of(event).unwrap_or(newest);
            place = last + at + 1;
        }
        if newest != version {
            return Err(format!("the cell has version {version}, rows end where it had {newest}"));
        }
        Ok(place)
    }

    fn first_row(&self) -> usize {
        let is_row = |event: &Event| matches!(event, Event::Row { .. });
        self.events.iter().position(is_row).unwrap_or(self.events.len())
    }
}

fn version_of(event: &Event) -> Option<u32> {
    match event {
        Event::Cell { version } => Some(*version),
        Event::Row { .. } => None,
    }
}

/// Checks that selecting finds the same samples as walking the rows.
fn agree(store: &Store, rows: &[Row]) -> Result<(), String> {
    let mut by_series: BTreeMap<&[u8], Vec<(i64, u64)>> = BTreeMap::new();
    for (_, labels, at, bits) in rows {
        by_series.entry(labels.packed()).or_default().push((*at, *bits));
    }
    let mut selected: BTreeMap<Vec<u8>, Vec<(i64, u64)>> = BTreeMap::new();
    let matcher = Matcher::equal("__name__", "m");
    store
        .reader()
        .select(&[matcher], TimeRange::ALL, &mut |labels, samples| {
            let points = samples.at.iter().zip(samples.floats).map(|(at, value)| (at.0, value.to_bits()));
            selected.insert(labels.packed().to_vec(), points.collect());
            true
        })
        .map_err(|error| format!("select: {error}"))?;
    for (labels, points) in &by_series {
        if selected.get(*labels) != Some(points) {
            let labels = Labels::from_packed(labels).unwrap_or_default();
            return Err(format!("{labels} has {} rows and other samples", points.len()));
        }
    }
    if selected.len() != by_series.len() {
        return Err(format!("{} series have rows, {} have samples", by_series.len(), selected.len()));
    }
    Ok(())
}
