//! The first steps of opening: is this file ours, how large is it, which opening is this; or make it.
//!
//! Nothing is written to a file that is refused. The opening's number is certain before anything else is done, so no
//! row id is ever given twice, wherever the power goes. What follows is `recover`.

use std::fmt;
use std::io;
use std::sync::Arc;

use model::{Disk, Now, ReadAt};

use crate::blob::RUN_PAGES;
use crate::crc::crc32c;
use crate::geometry::Areas;
use crate::journal::Journal;
use crate::layout::{FILE_BYTES_MAX, FILE_BYTES_MIN, Found, Geometry, PAGE, Superblock, read_superblocks};
use crate::options::{Mutation, Options};
use crate::recover::Recover;
use crate::seal::Site;
use crate::store::State;
use crate::wire::put_u64;

/// Why a data file cannot be used. Nothing was written to it.
#[derive(Debug)]
pub enum OpenError {
    /// Something else is there.
    NotOurs {
        /// Its first bytes.
        found: [u8; 8],
    },
    /// Another version of this format is there.
    Version {
        /// Its version.
        found: u32,
        /// The one that is understood.
        expected: u32,
    },
    /// Ours once, but both superblocks are damaged.
    Damaged,
    /// The configured size is out of bounds.
    Size {
        /// What was asked for.
        bytes: u64,
    },
    /// The medium has no room for a file of the configured size.
    Room {
        /// How much is needed.
        bytes: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The medium failed.
    Io {
        /// What was being done.
        doing: &'static str,
        /// How it failed.
        source: io::Error,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::NotOurs { found } => write!(
                f,
                "this is no data file of narthex: it begins with \"{}\", and is left as it is",
                found.escape_ascii()
            ),
            OpenError::Version { found, expected } => {
                write!(f, "the data file has version {found}, this program understands version {expected}")
            }
            OpenError::Damaged => f.write_str("both superblocks of the data file are damaged"),
            OpenError::Size { bytes } => {
                write!(f, "a data file of {bytes} bytes, {FILE_BYTES_MIN} to {FILE_BYTES_MAX} are possible")
            }
            OpenError::Room { bytes, .. } => {
                write!(f, "a new data file needs {bytes} bytes, which could not be reserved")
            }
            OpenError::Io { doing, .. } => write!(f, "{doing} of the data file"),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            OpenError::Io { source, .. } | OpenError::Room { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// What opening found, to be said once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovery {
    /// Which opening of the file this is, from 1.
    pub opening: u32,
    /// Whether the file was made just now.
    pub created: bool,
    /// The file's size.
    pub file_bytes: u64,
    /// The size that the file had before, when it was given another one; else 0.
    pub resized_from: u64,
    /// How many rows had no room in the smaller file.
    pub rows_cut_off: u64,
    /// Whether the file keeps its size though another one was asked for: there is no room for more, or what is saved
    /// beside the rows does not fit into less.
    pub resize_refused: bool,
    /// Whether the file was shorter than it should be; the missing end was made anew, empty.
    pub truncated: bool,
    /// How many sealed blocks there are.
    pub blocks: u64,
    /// How many rows came back from the journal, and how many of them only from the tail file.
    pub rows_replayed: u64,
    /// See `rows_replayed`.
    pub rows_from_tail: u64,
    /// How many pages that should be whole are not.
    pub damaged_pages: u64,
    /// How many pages of the journal, and of the ring between blocks, hold neither nothing nor a whole page: what a power cut tore while it was
    /// written, or what was destroyed since. Which of the two cannot be told.
    pub torn_pages: u64,
    /// How many sealed blocks are lost because the page that describes them is damaged, or is not there: blocks are numbered
    /// one after the other.
    pub damaged_blocks: u64,
}

/// Everything that opening finds.
pub(crate) struct Opened {
    pub state: State,
    pub journal: Journal,
    pub site: Site,
    pub recovery: Recovery,
    pub slot: u32,
}

pub(crate) fn io(doing: &'static str) -> impl Fn(io::Error) -> OpenError {
    move |source| OpenError::Io { doing, source }
}

pub(crate) fn open(
    disk: &mut dyn Disk,
    read: &Arc<dyn ReadAt>,
    tail: Option<&[u8]>,
    options: &Options,
    now: Now,
) -> Result<Opened, OpenError> {
    let mut recovery = Recovery::default();
    let bytes = disk.len().map_err(io("reading the size"))?;
    let found = if bytes == 0 { Found::Nothing } else { read_superblocks(disk, bytes)? };
    let superblock = match found {
        Found::Ours(superblock, damaged) => {
            recovery.damaged_pages += u64::from(damaged);
            superblock
        }
        Found::Nothing => {
            recovery.created = true;
            create(disk, bytes, options, now)?
        }
    };
    let geometry = superblock.geometry;
    let file_bytes = u64::from(geometry.pages) * PAGE as u64;
    if !recovery.created && bytes != file_bytes {
        // A file that is too long was about to be made smaller, or larger.
        recovery.truncated = bytes < file_bytes;
        disk.set_len(file_bytes).map_err(io("setting the size"))?;
    }
    let opening = superblock.opening + u32::from(options.mutation != Mutation::KeepOpening);
    (recovery.opening, recovery.file_bytes) = (opening, file_bytes);
    let bumped = Superblock { opening, ..superblock };
    disk.write(geometry.superblock(opening), &bumped.page()).map_err(io("writing the superblock"))?;
    disk.sync().map_err(io("syncing the superblock"))?;
    let Superblock { file, layout, floor, .. } = superblock;
    let site = Site { file, opening, layout, geometry, mutation: options.mutation };
    let mut recover = Recover::new(disk, read.as_ref(), site, floor, options, recovery);
    recover.ring();
    recover.streams(tail, options.tail_bytes)?;
    recover.finish()
}

fn create(disk: &mut dyn Disk, bytes: u64, options: &Options, now: Now) -> Result<Superblock, OpenError> {
    if !(FILE_BYTES_MIN..=FILE_BYTES_MAX).contains(&options.file_bytes) {
        return Err(OpenError::Size { bytes: options.file_bytes });
    }
    let mut page = vec![0; PAGE];
    for at in (0..bytes.min(1 << 20)).step_by(PAGE) {
        let have = (bytes - at).min(PAGE as u64) as usize;
        disk.read(at, &mut page[..have]).map_err(io("reading the start"))?;
        if page[..have].iter().any(|byte| *byte != 0) {
            let mut found = [0; 8];
            found.copy_from_slice(&page[..8]);
            return Err(OpenError::NotOurs { found });
        }
    }
    let geometry = Geometry::of(options.file_bytes);
    let bytes = u64::from(geometry.pages) * PAGE as u64;
    disk.set_len(bytes).map_err(|source| OpenError::Room { bytes, source })?;
    let mut entropy = Vec::new();
    for number in [now.mono.0, now.wall.0 as u64, options.boot, options.file_bytes] {
        put_u64(&mut entropy, number);
    }
    let superblock = Superblock { file: crc32c(&entropy), opening: 0, layout: 0, floor: 0, geometry };
    match write_new(disk, &superblock) {
        // Where room cannot be reserved it is found out here. Nothing is left, so that the next attempt says so too.
        Err(OpenError::Io { source, .. }) if source.kind() == io::ErrorKind::StorageFull => {
            let _ = disk.set_len(0);
            Err(OpenError::Room { bytes, source })
        }
        written => written.map(|()| superblock),
    }
}

fn write_new(disk: &mut dyn Disk, superblock: &Superblock) -> Result<(), OpenError> {
    for copy in 0..2 {
        disk.write(superblock.geometry.superblock(copy), &superblock.page()).map_err(io("writing the superblock"))?;
    }
    disk.sync().map_err(io("syncing the superblock"))?;
    blank_areas(disk, &superblock.geometry.areas)
}

/// Writes zeros to slots and journal, which are zeros already: but by the file system's word, which notes each page that
/// is written for the first time, and that costs the medium more than the page. What a power cut leaves is zeros too.
pub(crate) fn blank_areas(disk: &mut dyn Disk, areas: &Areas) -> Result<(), OpenError> {
    let Areas { slots, slot_pages, journal, journal_pages } = *areas;
    let zeros = vec![0; RUN_PAGES * PAGE];
    for (first, pages) in [(slots[0], slot_pages), (slots[1], slot_pages), (journal, journal_pages)] {
        for at in (0..pages).step_by(RUN_PAGES) {
            let run = &zeros[..RUN_PAGES.min((pages - at) as usize) * PAGE];
            disk.write(u64::from(first + at) * PAGE as u64, run).map_err(io("making room for the journal"))?;
        }
    }
    Ok(())
}
