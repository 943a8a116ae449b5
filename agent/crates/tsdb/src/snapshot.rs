//! A consistent copy of a data file, also of one to which a store is writing meanwhile.
//!
//! Nothing is asked of that store: what protects it from a power cut is enough. The ring is copied first, then the
//! journal, then it is looked whether superblocks, checkpoints and journal are still as they were copied. If so there
//! was an instant at which all of them stood in the file as in the copy, and what the ring has beside that is pages
//! of a block that no checkpoint names, which is what a power cut leaves. If not, what changed is copied again.
//!
//! The copy is opened as any file after a power cut is. With what the tail file holds behind the journal it has every
//! row up to that instant. Nothing is kept in memory but a checksum for each piece.

use std::{fmt, io};

use model::{Disk, ReadAt};

use crate::OpenError;
use crate::crc::crc32c;
use crate::layout::{Found, Geometry, PAGE, read_superblocks};

/// What is read at once.
const PIECE_PAGES: u32 = 16;
/// How often what changes is copied again: a block is sealed every few minutes, and copying takes seconds.
const TRIES_MAX: u32 = 32;

/// Why there is no copy.
#[derive(Debug)]
pub enum SnapshotError {
    /// This is no data file of ours.
    Source(OpenError),
    /// It could not be read.
    Read(io::Error),
    /// The copy could not be written.
    Write(io::Error),
    /// Blocks are sealed faster than they can be copied.
    Restless,
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SnapshotError::Source(error) => error.fmt(f),
            SnapshotError::Read(_) => f.write_str("reading the data file"),
            SnapshotError::Write(_) => f.write_str("writing the copy"),
            SnapshotError::Restless => f.write_str("the data file changes faster than it can be copied"),
        }
    }
}

impl std::error::Error for SnapshotError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SnapshotError::Source(error) => error.source(),
            SnapshotError::Read(source) | SnapshotError::Write(source) => Some(source),
            SnapshotError::Restless => None,
        }
    }
}

/// Copies the data file `from`, which has so many bytes, to an empty disk; `tail` is then asked for what the tail file
/// holds. Returns that: it belongs to the copy's first opening.
///
/// # Errors
/// [`SnapshotError`].
pub fn snapshot(
    from: &dyn ReadAt,
    bytes: u64,
    tail: &mut dyn FnMut() -> Option<Vec<u8>>,
    to: &mut dyn Disk,
) -> Result<Option<Vec<u8>>, SnapshotError> {
    let mut tries = 0;
    'began: loop {
        let geometry = geometry(from, bytes)?;
        let mut copy = Copy { from, to: &mut *to, buf: vec![0; PIECE_PAGES as usize * PAGE] };
        copy.to.set_len(u64::from(geometry.pages) * PAGE as u64).map_err(SnapshotError::Write)?;
        let [mut roots, mut ring, mut journal] = areas(&geometry).map(Part::new);
        loop {
            tries += 1;
            if tries > TRIES_MAX {
                return Err(SnapshotError::Restless);
            }
            copy.again(&mut roots)?;
            copy.again(&mut ring)?;
            while copy.again(&mut journal)? {
                tries += 1;
                if tries > TRIES_MAX {
                    return Err(SnapshotError::Restless);
                }
            }
            let moved = copy.again(&mut roots)?;
            if moved && self::geometry(from, bytes)? != geometry {
                continue 'began;
            }
            // The tail goes on from the journal, and may already be of a later one.
            let held = tail();
            if !moved && !copy.again(&mut journal)? {
                copy.to.sync().map_err(SnapshotError::Write)?;
                return Ok(held);
            }
        }
    }
}

/// Returns the pages of superblocks and checkpoints, of the ring and whatever else there is, and of the journal.
fn areas(geometry: &Geometry) -> [Vec<(u32, u32)>; 3] {
    let page = |offset: u64| (offset / PAGE as u64) as u32;
    let of = &geometry.areas;
    let mut roots = vec![(page(geometry.superblock(0)), 1), (page(geometry.superblock(1)), 1)];
    roots.extend(of.slots.map(|slot| (slot, of.slot_pages)));
    let journal = vec![(of.journal, of.journal_pages)];
    let mut taken: Vec<(u32, u32)> = roots.iter().chain(&journal).copied().collect();
    taken.sort_unstable();
    let (mut rest, mut at) = (Vec::new(), 0);
    for (first, pages) in taken.into_iter().chain([(geometry.pages, 0)]) {
        if first > at {
            rest.push((at, first - at));
        }
        at = at.max(first + pages);
    }
    [roots, rest, journal]
}

fn geometry(from: &dyn ReadAt, bytes: u64) -> Result<Geometry, SnapshotError> {
    match read_superblocks(&mut ReadOnly(from), bytes).map_err(SnapshotError::Source)? {
        Found::Ours(superblock, _) => Ok(superblock.geometry),
        Found::Nothing => Err(SnapshotError::Source(OpenError::NotOurs { found: [0; 8] })),
    }
}

/// Some pages of the file, and what stood there when they were copied.
struct Part {
    pieces: Vec<(u32, u32)>,
    /// A checksum for each piece; none before it was copied.
    copied: Vec<Option<u32>>,
}

impl Part {
    fn new(runs: Vec<(u32, u32)>) -> Part {
        let cut = |(first, pages): (u32, u32)| {
            (0..pages).step_by(PIECE_PAGES as usize).map(move |at| (first + at, (pages - at).min(PIECE_PAGES)))
        };
        let pieces: Vec<(u32, u32)> = runs.into_iter().flat_map(cut).collect();
        let copied = vec![None; pieces.len()];
        Part { pieces, copied }
    }
}

struct Copy<'a> {
    from: &'a dyn ReadAt,
    to: &'a mut dyn Disk,
    buf: Vec<u8>,
}

impl Copy<'_> {
    /// Copies what is not as it was copied; returns whether anything was.
    fn again(&mut self, part: &mut Part) -> Result<bool, SnapshotError> {
        let mut changed = false;
        for ((first, pages), copied) in part.pieces.iter().zip(&mut part.copied) {
            let buf = &mut self.buf[..*pages as usize * PAGE];
            let offset = u64::from(*first) * PAGE as u64;
            self.from.read_at(offset, buf).map_err(SnapshotError::Read)?;
            let found = crc32c(buf);
            if *copied == Some(found) {
                continue;
            }
            // A new file is zeros already, and has room only for what is written.
            if copied.is_some() || buf.iter().any(|byte| *byte != 0) {
                self.to.write(offset, buf).map_err(SnapshotError::Write)?;
            }
            *copied = Some(found);
            changed = true;
        }
        Ok(changed)
    }
}

/// A disk that is only read.
struct ReadOnly<'a>(&'a dyn ReadAt);

impl Disk for ReadOnly<'_> {
    fn len(&mut self) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn read(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, buf)
    }
    fn write(&mut self, _: u64, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
    fn set_len(&mut self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}
