//! What was done to a store, and what may be left of it: the judge, who knows nothing of pages.
//!
//! History is a list of events, each a row or a change of the cell, in order. What is found after a cut must be a
//! prefix of it (as far back as the ring still reaches), at least as long as what was acknowledged. The cell is an
//! acknowledgement: it names the newest row there was when it was kept, so a store that has it has that row.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Batch, Labels, Matcher, MetricKind, Outbox, Querier, ReadAt, RowId, SourceId, Tail, TimeRange};
use support::disk::FaultyDisk;
use tsdb::{Options, Recovery, Store};

use crate::now;

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    Row(Row),
    Cell { version: u32 },
}

/// A row: its id, its series, its time, the bits of its value.
pub type Row = (RowId, Labels, i64, u64);

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
    /// How many events there were when a cell was kept that never changes again.
    pub once: Option<usize>,
}

/// What one opening found.
#[derive(Debug, PartialEq)]
struct Found {
    rows: Vec<Row>,
    version: u32,
    has_once: bool,
    damaged: u64,
}

/// What a cell holds: its version, and the newest row there was.
pub fn cell(version: u32, newest: RowId) -> Vec<u8> {
    let mut bytes = version.to_le_bytes().to_vec();
    bytes.extend_from_slice(&newest.opening.to_le_bytes());
    bytes.extend_from_slice(&newest.n.to_le_bytes());
    bytes
}

/// Returns the version of the cell that a store has, 0 when it has none.
pub fn cell_version(store: &Store) -> u32 {
    store.cell("version").map_or(0, |bytes| bytes[..4].try_into().map_or(0, u32::from_le_bytes))
}

fn acknowledged(store: &Store) -> Option<RowId> {
    let bytes = store.cell("version")?;
    let (opening, n) = (bytes.get(4..8)?.try_into().ok()?, bytes.get(8..16)?.try_into().ok()?);
    Some(RowId { opening: u32::from_le_bytes(opening), n: u64::from_le_bytes(n) })
}

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

/// How a judge looks at a medium.
pub struct Court<'a> {
    /// How the store is opened.
    pub options: &'a Options,
    /// What stands between the store and the medium, for what it breaks on purpose.
    pub through: fn(FaultyDisk) -> Arc<dyn ReadAt>,
}

impl History {
    pub fn row(&mut self, row: Row) {
        self.opening = self.opening.max(row.0.opening);
        self.events.push(Event::Row(row));
    }

    /// Returns the place of a row among the events.
    pub fn place_of(&self, id: RowId) -> Option<usize> {
        // Rows come in the order of their ids; beside a change of the cell there is always a row close by.
        let key = |at: usize| self.events[at..].iter().find_map(row_of).map(|row| row.0);
        let (mut low, mut high) = (0, self.events.len());
        while low < high {
            let middle = (low + high) / 2;
            match key(middle) {
                Some(found) if found < id => low = middle + 1,
                _ => high = middle,
            }
        }
        let at = low + self.events[low..].iter().position(|event| row_of(event).is_some())?;
        row_of(&self.events[at]).is_some_and(|row| row.0 == id).then_some(at)
    }

    /// Opens what a cut left and says what is wrong with it: with the six claims of a power cut.
    pub fn judge(&self, disk: &FaultyDisk, tail: Option<&[u8]>, court: &Court<'_>) -> Result<(), String> {
        let first = self.open(disk, tail, court, self.opening, true)?;
        let place = self.place(&first.rows, first.version)?;
        if place < self.certain {
            return Err(format!("{} events were acknowledged, {place} are there", self.certain));
        }
        if !first.has_once && self.once.is_some_and(|once| once < place) {
            return Err("a cell that was kept is gone".to_owned());
        }
        self.again(disk, court, &first)
    }

    /// Opens a medium of which pages were destroyed: every row that is there was written so, and in order; what was
    /// acknowledged and is not there was in what `destroyed` names, and it is known that something was.
    pub fn judge_destroyed(
        &self,
        disk: &FaultyDisk,
        court: &Court<'_>,
        destroyed: &dyn Fn(RowId) -> bool,
    ) -> Result<u64, String> {
        let first = self.open(disk, None, court, self.opening, false)?;
        let mut wanted = self.events.iter().enumerate().filter_map(|(at, event)| Some((at, row_of(event)?)));
        let mut lost = 0;
        let mut lose = |at: usize, row: &Row| {
            if at < self.certain && row.0 >= self.oldest {
                lost += 1;
                if !destroyed(row.0) {
                    return Err(format!("row {} is lost, and its pages were not destroyed", row.0));
                }
            }
            Ok(())
        };
        for row in &first.rows {
            loop {
                let Some((at, expected)) = wanted.next() else { return Err(format!("row {} is new", row.0)) };
                if expected == row {
                    break;
                }
                if expected.0 >= row.0 {
                    return Err(format!("found {row:?} where {expected:?} was written"));
                }
                lose(at, expected)?;
            }
        }
        wanted.try_for_each(|(at, row)| lose(at, row))?;
        if lost > 0 && first.damaged == 0 {
            return Err(format!("{lost} rows are lost, and no page is counted"));
        }
        self.again(disk, court, &first)?;
        Ok(lost)
    }

    /// The second opening gives the same answer, and a row that is appended then has an id of its own.
    fn again(&self, disk: &FaultyDisk, court: &Court<'_>, first: &Found) -> Result<(), String> {
        let second = self.open(disk, None, court, self.opening + 1, false)?;
        if (&first.rows, first.version) != (&second.rows, second.version) {
            return Err(format!("{} rows at the first opening, {} at the second", first.rows.len(), second.rows.len()));
        }
        Ok(())
    }

    fn open(
        &self,
        disk: &FaultyDisk,
        tail: Option<&[u8]>,
        court: &Court<'_>,
        opening: u32,
        is_whole: bool,
    ) -> Result<Found, String> {
        let read = (court.through)(disk.clone());
        let opened = Store::open(&mut disk.clone(), read, tail, court.options.clone(), now(0));
        let (mut store, recovery) = opened.map_err(|error| format!("does not open: {error}"))?;
        let rows = rows(&store)?;
        let damaged = counted(&store, &recovery);
        if is_whole {
            agree(&store, &rows)?;
        }
        let (version, has_once) = (cell_version(&store), store.cell("once").is_some());
        if let Some(newest) = acknowledged(&store)
            && damaged == recovery.torn_pages
            && rows.last().is_none_or(|row| row.0 < newest)
            && newest >= self.oldest
        {
            return Err(format!("row {newest} is acknowledged and not there"));
        }
        let mut batch = Batch::new();
        batch.family("next", "", MetricKind::Gauge);
        batch.add(&[], 1.0);
        let next = store.append(now(1), &batch, SourceId(9), &Labels::empty()).rows.first;
        if !self.events.is_empty() && (next.opening <= opening.min(self.opening) || recovery.opening <= opening) {
            return Err(format!("opening {} again: a row would be {next}", recovery.opening));
        }
        Ok(Found { rows, version, has_once, damaged })
    }

    /// Returns how many events a store has that holds these rows and this version of the cell.
    fn place(&self, found: &[Row], version: u32) -> Result<usize, String> {
        let mut last = 0;
        if let Some(first) = found.first() {
            if first.0 > self.oldest && self.oldest != RowId::default() {
                return Err(format!("begins with row {}, the ring reached back to {}", first.0, self.oldest));
            }
            let from = self.place_of(first.0).ok_or_else(|| format!("row {} was never written", first.0))?;
            let mut wanted =
                self.events[from..].iter().zip(from..).filter_map(|(event, at)| Some((at, row_of(event)?)));
            for row in found {
                let Some((at, expected)) = wanted.next() else {
                    return Err(format!("row {} was never written", row.0));
                };
                if expected != row {
                    return Err(format!("found {row:?} where {expected:?} was written"));
                }
                last = at + 1;
            }
        }
        let behind = self.events[last..].iter().position(|event| row_of(event).is_some());
        let next_row = behind.map_or(self.events.len(), |at| last + at);
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
}

/// Returns how many pages the store says are not what they should be.
fn counted(store: &Store, recovery: &Recovery) -> u64 {
    recovery.damaged_blocks + recovery.torn_pages + store.reader().stats().damaged_pages
}

pub fn row_of(event: &Event) -> Option<&Row> {
    match event {
        Event::Row(row) => Some(row),
        Event::Cell { .. } => None,
    }
}

fn version_of(event: &Event) -> Option<u32> {
    match event {
        Event::Cell { version } => Some(*version),
        Event::Row(_) => None,
    }
}

/// Checks that selecting finds the same samples as walking the rows.
fn agree(store: &Store, rows: &[Row]) -> Result<(), String> {
    let mut by_series: BTreeMap<&[u8], Vec<(i64, u64)>> = BTreeMap::new();
    for (_, labels, at, bits) in rows {
        by_series.entry(labels.packed()).or_default().push((*at, *bits));
    }
    let (mut found, mut fault) = (0, None);
    store
        .reader()
        .select(&[Matcher::equal("__name__", "m")], TimeRange::ALL, &mut |labels, samples| {
            let points = samples.at.iter().zip(samples.floats).map(|(at, value)| (at.0, value.to_bits()));
            let same = by_series.get(labels.packed()).is_some_and(|wanted| points.eq(wanted.iter().copied()));
            found += 1;
            if !same {
                fault = Some(format!("{labels} has other samples than rows"));
            }
            same
        })
        .map_err(|error| fault.take().unwrap_or_else(|| format!("select: {error}")))?;
    if found != by_series.len() {
        return Err(format!("{} series have rows, {found} have samples", by_series.len()));
    }
    Ok(())
}
