//! Clock epochs: which elapsed time was which wall time.
//!
//! A stored row has an epoch and a tick (elapsed milliseconds); the epoch's entry says what to add. So giving a boot
//! its date changes one entry here and no block. A block's spans carry the entry as it was when the block was
//! sealed, for the day when this bounded table has forgotten an old one.
//!
//! Until the clock is trusted an epoch is provisional: max(last known time, build date) + elapsed. A later boot that
//! is trusted settles earlier ones that never were: they keep their place between their neighbours, marked `Placed`.
//!
//! A clock that was set back was wrong before: the epoch that it ends gets an heir, another date for its rows behind
//! those that were sent. Those keep theirs for ever.

use model::RowId;

use crate::wire::{Take, put_i64, put_u32, put_u64};

/// The most epochs remembered; the oldest are forgotten.
pub(crate) const EPOCHS_MAX: usize = 1_024;

/// No clock differs from its elapsed time by so many milliseconds; what says so is not one of ours.
const OFFSET_MAX: u64 = 1 << 60;

/// How sure an epoch's date is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dated {
    /// The clock was never trusted so far.
    No,
    /// By a trusted clock.
    Yes,
    /// Never trusted, and over: kept between its neighbours.
    Placed,
}

/// What the rows of an epoch are dated by that were not sent when the clock was set back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heir {
    /// Rows behind this one.
    pub after: RowId,
    /// Wall time less elapsed time.
    pub offset: i64,
}

/// One epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Epoch {
    pub number: u32,
    pub dated: Dated,
    /// Which boot, as the system names it; 0 when unknown.
    pub boot: u64,
    /// Wall time less elapsed time.
    pub offset: i64,
    pub heir: Option<Heir>,
}

/// Set in the byte that says how sure a date is, where an heir follows.
const WITH_HEIR: u8 = 0x80;

impl Epoch {
    /// The most that one takes.
    pub const BYTES: usize = 41;

    pub fn put(&self, out: &mut Vec<u8>) {
        put_u32(out, self.number);
        let dated = match self.dated {
            Dated::No => 0,
            Dated::Yes => 1,
            Dated::Placed => 2,
        };
        out.push(dated | if self.heir.is_some() { WITH_HEIR } else { 0 });
        put_u64(out, self.boot);
        put_i64(out, self.offset);
        if let Some(heir) = self.heir {
            put_u32(out, heir.after.opening);
            put_u64(out, heir.after.n);
            put_i64(out, heir.offset);
        }
    }

    pub fn take(take: &mut Take<'_>) -> Option<Epoch> {
        let number = take.u32()?;
        let form = take.u8()?;
        let dated = match form & !WITH_HEIR {
            0 => Dated::No,
            1 => Dated::Yes,
            2 => Dated::Placed,
            _ => return None,
        };
        let mut epoch = Epoch { number, dated, boot: take.u64()?, offset: take.i64()?, heir: None };
        if form & WITH_HEIR != 0 {
            let after = RowId { opening: take.u32()?, n: take.u64()? };
            epoch.heir = Some(Heir { after, offset: take.i64()? });
        }
        let offsets = [epoch.offset, epoch.heir.map_or(0, |heir| heir.offset)];
        let sane = number < u32::MAX && offsets.iter().all(|offset| offset.unsigned_abs() < OFFSET_MAX);
        sane.then_some(epoch)
    }

    /// Returns the wall time of an instant, as it was when rows were read in it.
    pub fn wall(&self, tick: i64) -> i64 {
        self.offset.saturating_add(tick)
    }

    /// Returns the date of a row, which may have got another one since; of a batch its first row says it.
    pub fn date(&self, tick: i64, first: RowId) -> i64 {
        let heir = self.heir.filter(|heir| first > heir.after);
        heir.map_or(self.offset, |heir| heir.offset).saturating_add(tick)
    }

    /// Returns the oldest and newest date that rows between two ticks may have.
    pub fn range(&self, tick_min: i64, tick_max: i64) -> (i64, i64) {
        let other = self.heir.map_or(self.offset, |heir| heir.offset);
        (self.offset.min(other).saturating_add(tick_min), self.offset.max(other).saturating_add(tick_max))
    }
}

/// The table, ascending by number.
#[derive(Debug, Clone, Default)]
pub(crate) struct Epochs {
    entries: Vec<Epoch>,
    /// How often an epoch that was there got another entry.
    pub changes: u64,
}

impl Epochs {
    pub fn all(&self) -> &[Epoch] {
        &self.entries
    }

    pub fn newest(&self) -> Option<&Epoch> {
        self.entries.last()
    }

    pub fn get(&self, number: u32) -> Option<&Epoch> {
        self.entries.binary_search_by_key(&number, |epoch| epoch.number).ok().map(|at| &self.entries[at])
    }

    /// Puts in an epoch or changes it.
    pub fn set(&mut self, epoch: Epoch) {
        match self.entries.binary_search_by_key(&epoch.number, |entry| entry.number) {
            Ok(at) => {
                self.entries[at] = epoch;
                self.changes += 1;
            }
            Err(at) => self.entries.insert(at, epoch),
        }
        if self.entries.len() > EPOCHS_MAX {
            self.entries.remove(0);
        }
    }
}
