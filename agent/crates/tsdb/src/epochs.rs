//! Clock epochs: which elapsed time was which wall time.
//!
//! A stored row has an epoch and a tick (elapsed milliseconds); the epoch's entry says what to add. So giving a boot
//! its date changes one entry here and no block. A block's spans carry the entry as it was when the block was
//! sealed, for the day when this bounded table has forgotten an old one.
//!
//! Until the clock is trusted an epoch is provisional: max(last known time, build date) + elapsed. A later boot that
//! is trusted settles earlier ones that never were: they keep their place between their neighbours, marked `Placed`.
//! Not here yet: re-dating unsent rows after a step back (a step in either direction begins a new epoch).

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

/// One epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Epoch {
    pub number: u32,
    pub dated: Dated,
    /// Which boot, as the system names it; 0 when unknown.
    pub boot: u64,
    /// Wall time less elapsed time.
    pub offset: i64,
}

impl Epoch {
    pub const BYTES: usize = 21;

    pub fn put(&self, out: &mut Vec<u8>) {
        put_u32(out, self.number);
        out.push(match self.dated {
            Dated::No => 0,
            Dated::Yes => 1,
            Dated::Placed => 2,
        });
        put_u64(out, self.boot);
        put_i64(out, self.offset);
    }

    pub fn take(take: &mut Take<'_>) -> Option<Epoch> {
        let number = take.u32()?;
        let dated = match take.u8()? {
            0 => Dated::No,
            1 => Dated::Yes,
            2 => Dated::Placed,
            _ => return None,
        };
        let epoch = Epoch { number, dated, boot: take.u64()?, offset: take.i64()? };
        (number < u32::MAX && epoch.offset.unsigned_abs() < OFFSET_MAX).then_some(epoch)
    }

    pub fn wall(&self, tick: i64) -> i64 {
        self.offset.saturating_add(tick)
    }
}

/// The table, ascending by number.
#[derive(Debug, Clone, Default)]
pub(crate) struct Epochs {
    entries: Vec<Epoch>,
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
            Ok(at) => self.entries[at] = epoch,
            Err(at) => self.entries.insert(at, epoch),
        }
        if self.entries.len() > EPOCHS_MAX {
            self.entries.remove(0);
        }
    }
}
