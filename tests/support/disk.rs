//! A medium that loses power: it remembers what was written since the last sync, and at a cut each of these writes
//! meets a fate of its own.
//!
//! It implements the real seams, `Disk` and `ReadAt`. What is read is what was written, as with a page cache; what is
//! left after a cut is [`FaultyDisk::after`]. It can also be told to fail the n-th write or sync from now on, as when
//! the power goes within a call.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{Disk, ReadAt};

const SECTOR: usize = 512;
const PAGE: usize = 4096;

/// What becomes, at a cut, of the writes that no sync has followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// None is there.
    Gone,
    /// All are there, wholly.
    There,
    /// Only the last one is there: they were reordered.
    OnlyLast,
    /// All but the first are there.
    AllButFirst,
    /// Those before the last are there, and of the last one the first half, torn at a sector.
    TornSector,
    /// Those before the last are there, and of the last one the first half of its pages.
    TornPage,
    /// Of the last one only the second half is there, from a sector on.
    TornFront,
    /// Every page of every write is there or not, by the seed.
    Pages(u64),
    /// Every sector of every write is there or not, by the seed.
    Sectors(u64),
}

impl Fate {
    /// The fates that each cut is tried with.
    pub const ALL: [Fate; 11] = [
        Fate::Gone,
        Fate::There,
        Fate::OnlyLast,
        Fate::AllButFirst,
        Fate::TornSector,
        Fate::TornPage,
        Fate::TornFront,
        Fate::Pages(1),
        Fate::Pages(2),
        Fate::Sectors(3),
        Fate::Sectors(4),
    ];
}

#[derive(Default, Clone)]
struct Inner {
    /// What a cut leaves for certain.
    durable: Vec<u8>,
    /// What reading shows.
    shown: Vec<u8>,
    pending: Vec<(u64, Vec<u8>)>,
    /// How many writes and syncs there were.
    ops: u64,
    /// The operation from which on nothing works.
    fails_at: Option<u64>,
    /// Whether it works again after one failure; what was pending then is not certain, whatever it reads like.
    fails_once: bool,
}

/// The medium; clones are the same medium.
#[derive(Default, Clone)]
pub struct FaultyDisk(Arc<Mutex<Inner>>);

impl FaultyDisk {
    /// Returns a medium that holds these bytes for certain.
    pub fn holding(bytes: Vec<u8>) -> FaultyDisk {
        let inner = Inner { durable: bytes.clone(), shown: bytes, ..Inner::default() };
        FaultyDisk(Arc::new(Mutex::new(inner)))
    }

    /// Returns another medium in the same state.
    pub fn fork(&self) -> FaultyDisk {
        FaultyDisk(Arc::new(Mutex::new(self.lock().clone())))
    }

    /// Returns how many writes and syncs there were.
    pub fn ops(&self) -> u64 {
        self.lock().ops
    }

    /// Makes the n-th operation from now on fail, and all after it: `n` is 0 for the next one.
    pub fn fail_after(&self, n: u64) {
        let mut inner = self.lock();
        inner.fails_at = Some(inner.ops + n);
    }

    /// Makes the n-th operation from now on fail, and only that.
    pub fn fail_once(&self, n: u64) {
        let mut inner = self.lock();
        (inner.fails_at, inner.fails_once) = (Some(inner.ops + n), true);
    }

    /// Returns how many writes wait for a sync.
    pub fn pending(&self) -> usize {
        self.lock().pending.len()
    }

    /// Returns what reading shows now.
    pub fn bytes(&self) -> Vec<u8> {
        self.lock().shown.clone()
    }

    /// Returns what the medium holds when the power goes now.
    pub fn after(&self, fate: Fate) -> FaultyDisk {
        let inner = self.lock();
        let mut left = inner.durable.clone();
        let last = inner.pending.len().saturating_sub(1);
        let mut seed = 0x9e37_79b9_7f4a_7c15 ^ inner.ops;
        for (at, (offset, bytes)) in inner.pending.iter().enumerate() {
            let half = bytes.len() / 2;
            let kept: Vec<(usize, usize)> = match fate {
                Fate::Gone => vec![],
                Fate::There => vec![(0, bytes.len())],
                Fate::OnlyLast if at < last => vec![],
                Fate::AllButFirst if at == 0 => vec![],
                Fate::TornSector if at == last => vec![(0, half / SECTOR * SECTOR)],
                Fate::TornPage if at == last => vec![(0, half / PAGE * PAGE)],
                Fate::TornFront if at == last => vec![(half / SECTOR * SECTOR, bytes.len())],
                Fate::Pages(salt) => chosen(bytes.len(), PAGE, &mut seed, salt),
                Fate::Sectors(salt) => chosen(bytes.len(), SECTOR, &mut seed, salt),
                _ => vec![(0, bytes.len())],
            };
            for (from, to) in kept {
                left[*offset as usize + from..*offset as usize + to].copy_from_slice(&bytes[from..to]);
            }
        }
        FaultyDisk::holding(left)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Counts an operation; answers whether it fails.
    fn fails(&mut self) -> bool {
        let at = self.ops;
        self.ops += 1;
        match self.fails_at {
            Some(fails_at) if at == fails_at && self.fails_once => {
                self.fails_at = None;
                true
            }
            Some(fails_at) => at >= fails_at,
            None => false,
        }
    }
}

fn chosen(bytes: usize, unit: usize, seed: &mut u64, salt: u64) -> Vec<(usize, usize)> {
    let units = (0..bytes).step_by(unit).map(|from| (from, (from + unit).min(bytes)));
    units
        .filter(|_| {
            *seed ^= *seed << 13;
            *seed ^= *seed >> 7;
            *seed ^= *seed << 17;
            seed.wrapping_mul(salt | 1) >> 62 & 1 == 1
        })
        .collect()
}

fn cut() -> io::Error {
    io::Error::other("the power is gone")
}

impl Disk for FaultyDisk {
    fn len(&mut self) -> io::Result<u64> {
        Ok(self.lock().shown.len() as u64)
    }

    fn read(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.read_at(offset, buf)
    }

    /// A write that fails is pending like any other: how much of it is there nobody knows.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let inner = &mut *self.lock();
        let at = offset as usize;
        let gone = inner.fails_at.is_some_and(|fails_at| inner.ops > fails_at && !inner.fails_once);
        if gone {
            inner.ops += 1;
            return Err(cut());
        }
        let place = inner.shown.get_mut(at..at + bytes.len()).ok_or(io::ErrorKind::InvalidInput)?;
        place.copy_from_slice(bytes);
        inner.pending.push((offset, bytes.to_vec()));
        if inner.fails() { Err(cut()) } else { Ok(()) }
    }

    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        let inner = &mut *self.lock();
        inner.durable.resize(bytes as usize, 0);
        inner.shown.resize(bytes as usize, 0);
        Ok(())
    }

    /// A sync that fails forgets what was pending, as a page cache does: it is shown, and not there.
    fn sync(&mut self) -> io::Result<()> {
        let inner = &mut *self.lock();
        if inner.fails() {
            if inner.fails_once {
                inner.pending.clear();
            }
            return Err(cut());
        }
        for (offset, bytes) in std::mem::take(&mut inner.pending) {
            inner.durable[offset as usize..offset as usize + bytes.len()].copy_from_slice(&bytes);
        }
        Ok(())
    }
}

impl ReadAt for FaultyDisk {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let inner = self.lock();
        let at = offset as usize;
        let found = inner.shown.get(at..at + buf.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buf.copy_from_slice(found);
        Ok(())
    }
}
