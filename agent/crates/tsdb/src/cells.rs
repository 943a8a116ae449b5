//! Small named states that survive a restart, and the checkpoint that carries them past the end of a journal.
//!
//! A cell is changed by a record in the journal like everything else, so what is recovered is one moment: a cell never
//! speaks of rows that were not kept. A checkpoint is the state at the end of a sealed block's stream; writing one is
//! what makes that block count, and only then are the journal's pages free. There are two slots, used by turns.
//!
//! ```text
//! payload = length u32, checksum u32, then: block u64, its start and pages u32 u32, next series u32, layout u32,
//!           last wall i64, epochs: count, entries; openings: count, each (opening u32, rows u64)
//!           cells: count, each (name, bytes); families: count, each as its record
//! ```

use std::collections::{BTreeMap, HashSet};

use model::MetricKind;
use model::labels::NAME;

use crate::crc::crc32c;
use crate::epochs::{Epoch, Epochs};
use crate::layout::NUMBER_MAX;
use crate::series::Index;
use crate::wire::{Take, put_block, put_i64, put_u32, put_u64, put_varint};

/// The most bytes all cells may have together, names included, as a share of a slot.
pub(crate) const CELLS_SHARE: (usize, usize) = (5, 8);
/// The most openings whose rows are remembered.
const OPENINGS_MAX: usize = 256;
/// The most metric names whose type, help and unit are kept.
const FAMILIES_MAX: usize = 8_192;
/// How many bytes their metadata may have together.
const FAMILIES_BYTES_MAX: usize = 1 << 20;
/// The longest help text that is kept, and the longest unit.
const HELP_BYTES_MAX: usize = 1_024;
const UNIT_BYTES_MAX: usize = 64;

/// Type, help and unit of a metric name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FamilyInfo {
    /// What kind it is.
    pub kind: MetricKind,
    /// The help text.
    pub help: String,
    /// The unit, empty when unknown.
    pub unit: String,
}

/// Everything small that a stream changes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Small {
    pub epochs: Epochs,
    pub cells: BTreeMap<String, Vec<u8>>,
    pub families: BTreeMap<String, FamilyInfo>,
    families_bytes: usize,
    /// How many rows each opening appended, of the newest ones.
    pub openings: Vec<(u32, u64)>,
    /// The newest time of a row by its tick.
    pub last_wall: i64,
}

impl Small {
    /// Returns how many bytes the cells have.
    pub fn cell_bytes(&self) -> usize {
        self.cells.iter().map(|(name, bytes)| name.len() + bytes.len() + 8).sum()
    }

    /// Notes that an opening has appended rows up to here.
    pub fn note_rows(&mut self, opening: u32, end: u64) {
        match self.openings.last_mut() {
            Some((last, rows)) if *last == opening => *rows = end.max(*rows),
            _ => self.openings.push((opening, end)),
        }
        if self.openings.len() > OPENINGS_MAX {
            self.openings.remove(0);
        }
    }

    /// Keeps a family; answers whether it is new or different.
    pub fn set_family(&mut self, name: &str, kind: MetricKind, help: &str, unit: &str) -> bool {
        let help = &help[..help.floor_char_boundary(HELP_BYTES_MAX)];
        let unit = &unit[..unit.floor_char_boundary(UNIT_BYTES_MAX)];
        let known = self.families.get(name);
        if known.is_some_and(|known| known.kind == kind && known.help == help && known.unit == unit) {
            return false;
        }
        let before = known.map_or(0, |known| family_bytes(name, known));
        let bytes = self.families_bytes - before + name.len() + help.len() + unit.len();
        if bytes > FAMILIES_BYTES_MAX || (known.is_none() && self.families.len() >= FAMILIES_MAX) {
            return false;
        }
        self.families_bytes = bytes;
        self.families.insert(name.to_owned(), FamilyInfo { kind, help: help.to_owned(), unit: unit.to_owned() });
        true
    }

    /// Forgets the metadata of metric names that no series has, once half of what may be kept is taken.
    pub fn keep_families(&mut self, index: &Index) {
        if self.families.len() * 2 <= FAMILIES_MAX && self.families_bytes * 2 <= FAMILIES_BYTES_MAX {
            return;
        }
        let mut names = HashSet::new();
        index.each_label(&mut |name, value| {
            if name == NAME {
                names.insert(value.to_owned());
            }
        });
        // A histogram's or summary's series carry suffixes.
        let there = |name: &str| {
            let suffixed = |suffix: &&str| names.contains(&format!("{name}{suffix}"));
            names.contains(name) || ["_sum", "_count", "_bucket", "_total", "_info"].iter().any(suffixed)
        };
        self.families.retain(|name, _| there(name));
        self.families_bytes = self.families.iter().map(|(name, family)| family_bytes(name, family)).sum();
    }

    pub fn take_cell(&mut self, take: &mut Take<'_>) -> Option<()> {
        let name = take.text()?;
        let bytes = take.block()?;
        if bytes.is_empty() {
            self.cells.remove(name);
        } else {
            self.cells.insert(name.to_owned(), bytes.to_vec());
        }
        Some(())
    }

    pub fn take_family(&mut self, take: &mut Take<'_>) -> Option<()> {
        let name = take.text()?;
        let kind = MetricKind::from_number(take.u8()?)?;
        let (help, unit) = (take.text()?, take.text()?);
        self.set_family(name, kind, help, unit);
        Some(())
    }
}

fn family_bytes(name: &str, family: &FamilyInfo) -> usize {
    name.len() + family.help.len() + family.unit.len()
}

/// Appends a cell as its record has it; empty bytes remove it.
pub(crate) fn put_cell(out: &mut Vec<u8>, name: &str, bytes: &[u8]) {
    put_block(out, name.as_bytes());
    put_block(out, bytes);
}

/// Appends a family as its record has it.
pub(crate) fn put_family(out: &mut Vec<u8>, name: &str, family: &FamilyInfo) {
    put_block(out, name.as_bytes());
    out.push(family.kind.number());
    put_block(out, family.help.as_bytes());
    put_block(out, family.unit.as_bytes());
}

/// What a checkpoint says of the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Commit {
    pub block: u64,
    pub start: u32,
    pub pages: u32,
    pub next_series: u32,
    /// The layout in which `start` is meant, as the superblock counts them.
    pub layout: u32,
}

/// Returns a checkpoint's bytes, at most `bytes_max`; families are left out before anything else is.
pub(crate) fn checkpoint(commit: &Commit, small: &Small, bytes_max: usize) -> Vec<u8> {
    let mut out = vec![0; 8];
    put_u64(&mut out, commit.block);
    [commit.start, commit.pages, commit.next_series, commit.layout]
        .iter()
        .for_each(|number| put_u32(&mut out, *number));
    put_i64(&mut out, small.last_wall);
    let mut cells = Vec::new();
    small.cells.iter().for_each(|(name, bytes)| put_cell(&mut cells, name, bytes));
    let openings_bytes = small.openings.len() * 12;
    let room = bytes_max.saturating_sub(out.len() + cells.len() + openings_bytes + 40) / Epoch::BYTES;
    let epochs = small.epochs.all();
    let epochs = &epochs[epochs.len().saturating_sub(room)..];
    put_varint(&mut out, epochs.len() as u64);
    epochs.iter().for_each(|epoch| epoch.put(&mut out));
    put_varint(&mut out, small.openings.len() as u64);
    for (opening, rows) in &small.openings {
        put_u32(&mut out, *opening);
        put_u64(&mut out, *rows);
    }
    put_varint(&mut out, small.cells.len() as u64);
    out.extend_from_slice(&cells);
    let (mut families, mut count) = (Vec::new(), 0);
    for (name, family) in &small.families {
        let before = families.len();
        put_family(&mut families, name, family);
        if out.len() + families.len() + 4 > bytes_max {
            families.truncate(before);
            break;
        }
        count += 1;
    }
    put_varint(&mut out, count);
    out.extend_from_slice(&families);
    let (length, crc) = ((out.len() - 8) as u32, crc32c(&out[8..]));
    out[..4].copy_from_slice(&length.to_le_bytes());
    out[4..8].copy_from_slice(&crc.to_le_bytes());
    out
}

/// Reads what [`checkpoint`] wrote.
pub(crate) fn parse_checkpoint(bytes: &[u8]) -> Option<(Commit, Small)> {
    let take = &mut Take::new(bytes);
    let (length, crc) = (take.u32()?, take.u32()?);
    let payload = take.bytes(length as usize)?;
    if crc32c(payload) != crc {
        return None;
    }
    let take = &mut Take::new(payload);
    let block = take.u64().filter(|block| *block < NUMBER_MAX)?;
    let (start, pages, next_series) = (take.u32()?, take.u32()?, take.u32()?);
    let commit = Commit { block, start, pages, next_series, layout: take.u32()? };
    let mut small = Small { last_wall: take.i64()?, ..Small::default() };
    for _ in 0..take.count()? {
        small.epochs.set(Epoch::take(take)?);
    }
    for _ in 0..take.count()? {
        small.openings.push((take.u32()?, take.u64().filter(|rows| *rows < NUMBER_MAX)?));
    }
    for _ in 0..take.count()? {
        small.take_cell(take)?;
    }
    for _ in 0..take.count()? {
        small.take_family(take)?;
    }
    Some((commit, small))
}
