//! A medium that loses power: it remembers what was written since the last sync, and at a cut each of these writes
//! meets a fate of its own.
//!
//! It implements the real seams, `Disk` and `ReadAt`. What is read is what was written, as with a page cache; what is
//! left after a cut is [`FaultyDisk::after`]. It can also be told to fail the n-th write or sync from now on, as when
//! the power goes within a call; and to let a bit rot. A change of the size is a write like any other: without a
//! sync it may not be there. What it holds is shared page by page, so that thousands of cuts cost little memory.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{Disk, ReadAt};

const SECTOR: usize = 512;
const PAGE: usize = 4096;
/// How far around a write a card may destroy what lies there: one erase block.
pub const AROUND: usize = 128 << 10;

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
    /// All are there but the last, and that one destroyed its own place and the 128 KiB before or behind it, or both:
    /// they read as 0xff, as flash does that was erased.
    Erased {
        /// Whether what lies before it is gone.
        before: bool,
        /// Whether what lies behind it is gone.
        behind: bool,
    },
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

    /// Those that destroy what lies around the last write.
    pub const ERASED: [Fate; 3] = [
        Fate::Erased { before: true, behind: false },
        Fate::Erased { before: false, behind: true },
        Fate::Erased { before: true, behind: true },
    ];
}

type Page = Arc<[u8; PAGE]>;

/// Bytes by pages; a page that was never written takes no memory.
#[derive(Default, Clone)]
struct Image {
    pages: Vec<Option<Page>>,
    bytes: usize,
}

impl Image {
    fn resize(&mut self, bytes: usize) {
        self.pages.resize(bytes.div_ceil(PAGE), None);
        self.bytes = bytes;
        if !bytes.is_multiple_of(PAGE)
            && let Some(Some(page)) = self.pages.last_mut()
        {
            Arc::make_mut(page)[bytes % PAGE..].fill(0);
        }
    }

    /// Puts bytes in as far as there is room for them.
    fn put(&mut self, offset: usize, bytes: &[u8]) {
        let mut at = offset;
        let end = (offset + bytes.len()).min(self.bytes);
        while at < end {
            let (from, count) = (at % PAGE, (PAGE - at % PAGE).min(end - at));
            let page = self.pages[at / PAGE].get_or_insert_with(|| Arc::new([0; PAGE]));
            Arc::make_mut(page)[from..from + count].copy_from_slice(&bytes[at - offset..at - offset + count]);
            at += count;
        }
    }

    fn get(&self, offset: usize, buf: &mut [u8]) -> io::Result<()> {
        if offset + buf.len() > self.bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut at = offset;
        let mut rest = buf;
        while !rest.is_empty() {
            let count = (PAGE - at % PAGE).min(rest.len());
            let (now, later) = rest.split_at_mut(count);
            match &self.pages[at / PAGE] {
                Some(page) => now.copy_from_slice(&page[at % PAGE..at % PAGE + count]),
                None => now.fill(0),
            }
            (rest, at) = (later, at + count);
        }
        Ok(())
    }

    fn is_same(&self, other: &Image) -> bool {
        let same = |(a, b): (&Option<Page>, &Option<Page>)| match (a, b) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b) || a == b,
            (None, None) => true,
            (Some(page), None) | (None, Some(page)) => page.iter().all(|byte| *byte == 0),
        };
        self.bytes == other.bytes && self.pages.iter().zip(&other.pages).all(same)
    }
}

#[derive(Clone)]
enum Pending {
    Write(usize, Arc<[u8]>),
    Length(usize),
}

#[derive(Default, Clone)]
struct Inner {
    /// What a cut leaves for certain.
    durable: Image,
    /// What reading shows.
    shown: Image,
    pending: Vec<Pending>,
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
        let mut image = Image::default();
        image.resize(bytes.len());
        image.put(0, &bytes);
        FaultyDisk::with(image)
    }

    fn with(image: Image) -> FaultyDisk {
        let inner = Inner { durable: image.clone(), shown: image, ..Inner::default() };
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

    /// Returns the place and length of the newest write that waits for a sync.
    pub fn last_write(&self) -> Option<(u64, u64)> {
        match self.lock().pending.last()? {
            Pending::Write(offset, bytes) => Some((*offset as u64, bytes.len() as u64)),
            Pending::Length(_) => None,
        }
    }

    /// Returns what reading shows now.
    pub fn bytes(&self) -> Vec<u8> {
        let inner = self.lock();
        let mut bytes = vec![0; inner.shown.bytes];
        inner.shown.get(0, &mut bytes).expect("all of it is there");
        bytes
    }

    /// Returns whether reading shows the same on both.
    pub fn is_same(&self, other: &FaultyDisk) -> bool {
        let other = other.lock().shown.clone();
        self.lock().shown.is_same(&other)
    }

    /// Returns the size, as reading shows it.
    pub fn size(&self) -> u64 {
        self.lock().shown.bytes as u64
    }

    /// Turns bits of one byte over, in what is certain and in what is shown.
    pub fn rot(&self, offset: u64, bits: u8) {
        let inner = &mut *self.lock();
        for image in [&mut inner.durable, &mut inner.shown] {
            let mut byte = [0];
            if image.get(offset as usize, &mut byte).is_ok() {
                image.put(offset as usize, &[byte[0] ^ bits]);
            }
        }
    }

    /// Returns what a killed process leaves: all that was written is shown, and what was not synced is not certain.
    pub fn after_kill(&self) -> FaultyDisk {
        let killed = self.fork();
        (killed.lock().fails_at, killed.lock().fails_once) = (None, false);
        killed
    }

    /// Returns what the medium holds when the power goes now.
    pub fn after(&self, fate: Fate) -> FaultyDisk {
        let inner = self.lock();
        let mut left = inner.durable.clone();
        let last = inner.pending.len().saturating_sub(1);
        let mut seed = 0x9e37_79b9_7f4a_7c15 ^ inner.ops;
        for (at, pending) in inner.pending.iter().enumerate() {
            match pending {
                Pending::Length(bytes) => {
                    if !kept(fate, at, last, SECTOR, &mut seed).is_empty() {
                        left.resize(*bytes);
                    }
                }
                Pending::Write(offset, bytes) => {
                    for (from, to) in kept(fate, at, last, bytes.len(), &mut seed) {
                        left.put(offset + from, &bytes[from..to]);
                    }
                }
            }
        }
        if let (Fate::Erased { before, behind }, Some(Pending::Write(offset, bytes))) = (fate, inner.pending.last()) {
            let from = if before { offset.saturating_sub(AROUND) } else { *offset };
            let to = offset + bytes.len() + if behind { AROUND } else { 0 };
            left.put(from, &vec![0xff; to - from]);
        }
        FaultyDisk::with(left)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns which parts of the write with this place among the pending ones are there.
fn kept(fate: Fate, at: usize, last: usize, bytes: usize, seed: &mut u64) -> Vec<(usize, usize)> {
    let half = bytes / 2;
    match fate {
        Fate::Gone => vec![],
        Fate::OnlyLast if at < last => vec![],
        Fate::AllButFirst if at == 0 => vec![],
        Fate::TornSector if at == last => vec![(0, half / SECTOR * SECTOR)],
        Fate::TornPage if at == last => vec![(0, half / PAGE * PAGE)],
        Fate::TornFront if at == last => vec![(half / SECTOR * SECTOR, bytes)],
        Fate::Pages(salt) => chosen(bytes, PAGE, seed, salt),
        Fate::Sectors(salt) => chosen(bytes, SECTOR, seed, salt),
        _ => vec![(0, bytes)],
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

    /// Whether the power is gone already, and not just going.
    fn is_gone(&mut self) -> bool {
        let gone = self.fails_at.is_some_and(|fails_at| self.ops > fails_at && !self.fails_once);
        self.ops += u64::from(gone);
        gone
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
        Ok(self.size())
    }

    fn read(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.read_at(offset, buf)
    }

    /// A write that fails is pending like any other: how much of it is there nobody knows.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let inner = &mut *self.lock();
        if inner.is_gone() {
            return Err(cut());
        }
        let at = offset as usize;
        if at + bytes.len() > inner.shown.bytes {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        inner.shown.put(at, bytes);
        inner.pending.push(Pending::Write(at, bytes.into()));
        if inner.fails() { Err(cut()) } else { Ok(()) }
    }

    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        let inner = &mut *self.lock();
        if inner.is_gone() {
            return Err(cut());
        }
        inner.shown.resize(bytes as usize);
        inner.pending.push(Pending::Length(bytes as usize));
        if inner.fails() { Err(cut()) } else { Ok(()) }
    }

    /// A sync that fails forgets what was pending, as a page cache does: it is shown, and none, all or some of it is
    /// there. The size is the file system's own, and stays.
    fn sync(&mut self) -> io::Result<()> {
        let inner = &mut *self.lock();
        let (fails, mut seed) = (inner.fails(), inner.ops | 1);
        if fails && !inner.fails_once {
            return Err(cut());
        }
        let fate = match (fails, inner.ops % 3) {
            (true, 0) => Fate::Gone,
            (true, 1) => Fate::Pages(inner.ops),
            _ => Fate::There,
        };
        for (at, pending) in std::mem::take(&mut inner.pending).into_iter().enumerate() {
            match pending {
                Pending::Length(bytes) => inner.durable.resize(bytes),
                Pending::Write(offset, bytes) => {
                    for (from, to) in kept(fate, at, usize::MAX, bytes.len(), &mut seed) {
                        inner.durable.put(offset + from, &bytes[from..to]);
                    }
                }
            }
        }
        if fails { Err(cut()) } else { Ok(()) }
    }
}

impl ReadAt for FaultyDisk {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.lock().shown.get(offset as usize, buf)
    }
}
