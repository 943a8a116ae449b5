//! The superblock, and the heads of the data file's pages. `LAYOUT.md` draws every byte.
//!
//! Where things lie is in `geometry`. A page is 4 KiB and carries its checksum, its kind, the file's id and its own number; whoever reads one
//! checks all of them. Nothing here does I/O but [`read_superblocks`].

use model::Disk;

use crate::OpenError;
use crate::crc::crc32c;
pub(crate) use crate::geometry::Geometry;
use crate::geometry::SECOND_PAGE_MAX;
use crate::wire::{Take, set_u32, set_u64};

/// The unit of writing.
pub(crate) const PAGE: usize = 4096;
/// What a journal page carries beside its head.
pub(crate) const JOURNAL_PAYLOAD: usize = PAGE - JOURNAL_HEAD;
/// The most bytes of the stream that a journal page carries, squeezed.
pub(crate) const JOURNAL_UNPACKED_MAX: usize = 3 * JOURNAL_PAYLOAD;
/// What a page of a block or checkpoint carries beside its head.
pub(crate) const BLOB_PAYLOAD: usize = PAGE - BLOB_HEAD;
/// The format's version; another one is refused.
pub(crate) const VERSION: u32 = 3;
/// The smallest file that is accepted.
pub const FILE_BYTES_MIN: u64 = 256 << 10;
/// The largest file that is accepted: page numbers are 32 bits wide, and a board's card is no larger.
pub const FILE_BYTES_MAX: u64 = 4 << 40;

/// Numbers that only grow (rows, blocks, journal pages) never come near this; what claims more is not one of ours,
/// and nothing that is added to them overflows.
pub(crate) const NUMBER_MAX: u64 = 1 << 56;

/// The most openings of one file.
const OPENING_MAX: u32 = u32::MAX - 8;

const MAGIC: [u8; 8] = *b"NARTHEX\n";
const JOURNAL_HEAD: usize = 56;
const BLOB_HEAD: usize = 32;

/// What kind of page it is.
pub(crate) const KIND_JOURNAL: [u8; 4] = *b"NXjp";
pub(crate) const KIND_BLOCK: [u8; 4] = *b"NXbk";
pub(crate) const KIND_CHECKPOINT: [u8; 4] = *b"NXck";

/// The root of the file; two copies, written by turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Superblock {
    pub file: u32,
    pub opening: u32,
    /// How often areas or extents were moved: a checkpoint of another layout does not count.
    pub layout: u32,
    /// The first block that counts: what lies in the ring of earlier ones is left over from before a change of size.
    pub floor: u64,
    pub geometry: Geometry,
}

impl Superblock {
    pub fn page(&self) -> Vec<u8> {
        let mut page = vec![0; PAGE];
        page[..8].copy_from_slice(&MAGIC);
        set_u32(&mut page, 12, VERSION);
        set_u32(&mut page, 16, self.file);
        set_u32(&mut page, 20, self.geometry.pages);
        set_u32(&mut page, 24, self.opening);
        set_u32(&mut page, 28, self.layout);
        set_u64(&mut page, 32, self.floor);
        self.geometry.put(&mut page, 40);
        let crc = crc32c(&page[12..]);
        set_u32(&mut page, 8, crc);
        page
    }

    fn parse(page: &[u8]) -> Option<Superblock> {
        let mut take = Take::new(page.get(8..)?);
        let crc = take.u32()?;
        if page[..8] != MAGIC || crc != crc32c(&page[12..]) || take.u32()? != VERSION {
            return None;
        }
        let (file, pages, opening, layout) = (take.u32()?, take.u32()?, take.u32()?, take.u32()?);
        let floor = take.u64().filter(|floor| *floor < NUMBER_MAX)?;
        let bytes = u64::from(pages) * PAGE as u64;
        let sane = (FILE_BYTES_MIN..=FILE_BYTES_MAX).contains(&bytes) && opening < OPENING_MAX;
        let geometry = Geometry::take(pages, &mut take).filter(|_| sane)?;
        Some(Superblock { file, opening, layout, floor, geometry })
    }
}

/// What stands where the superblocks belong.
pub(crate) enum Found {
    /// The newer of the whole ones, and how many were damaged.
    Ours(Superblock, u32),
    /// Only zeros: a file whose creation was cut short.
    Nothing,
}

/// Reads both superblocks of a file that is not empty.
pub(crate) fn read_superblocks(disk: &mut dyn Disk, bytes: u64) -> Result<Found, OpenError> {
    let mut first = vec![0; PAGE];
    let have = bytes.min(PAGE as u64) as usize;
    disk.read(0, &mut first[..have]).map_err(|source| OpenError::Io { doing: "reading the superblock", source })?;
    let one = Superblock::parse(&first);
    // The second lies where the first says, or somewhere close by.
    let places = match &one {
        Some(one) => vec![one.geometry.superblock(1)],
        None => (1..=u64::from(SECOND_PAGE_MAX)).map(|page| page * PAGE as u64).collect(),
    };
    let (mut second, mut two, mut blank) = (vec![0; PAGE], None, true);
    for place in places {
        if two.is_some() || disk.read(place, &mut second).is_err() {
            break;
        }
        two = Superblock::parse(&second)
            .filter(|two| one.is_none_or(|one| one.file == two.file) && two.geometry.superblock(1) == place);
        blank &= second.iter().all(|byte| *byte == 0);
    }
    let damaged = u32::from(one.is_none()) + u32::from(two.is_none());
    if let Some(newer) = one.into_iter().chain(two).max_by_key(|found| found.opening) {
        return Ok(Found::Ours(newer, damaged));
    }
    if blank && first.iter().all(|byte| *byte == 0) {
        return Ok(Found::Nothing);
    }
    Err(refusal(&first))
}

/// Says what a file is that is not ours.
fn refusal(first: &[u8]) -> OpenError {
    let version = u32::from_le_bytes([first[12], first[13], first[14], first[15]]);
    if first[..8] == MAGIC && version != VERSION {
        return OpenError::Version { found: version, expected: VERSION };
    }
    if first[..8] == MAGIC {
        return OpenError::Damaged;
    }
    let mut found = [0; 8];
    found.copy_from_slice(&first[..8]);
    OpenError::NotOurs { found }
}

/// The head of a journal page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JournalHead {
    pub opening: u32,
    pub block: u64,
    pub seq: u64,
    /// The newest page that was known to be synced when this one was made.
    pub synced: u64,
    /// Where in the block's stream of records the payload begins.
    pub offset: u32,
    /// The running checksum of the stream up to there.
    pub prior: u32,
    pub used: u32,
    /// How many bytes of the stream the payload is when it is unpacked; 0 where it stands as it is.
    pub unpacked: u32,
}

impl JournalHead {
    pub fn page(&self, file: u32, payload: &[u8], page: &mut [u8]) {
        page[4..8].copy_from_slice(&KIND_JOURNAL);
        set_u32(page, 8, file);
        set_u32(page, 12, self.opening);
        set_u64(page, 16, self.block);
        set_u64(page, 24, self.seq);
        set_u64(page, 32, self.synced);
        set_u32(page, 40, self.offset);
        set_u32(page, 44, self.prior);
        set_u32(page, 48, self.used);
        set_u32(page, 52, self.unpacked);
        page[JOURNAL_HEAD..JOURNAL_HEAD + payload.len()].copy_from_slice(payload);
        seal(page);
    }

    pub fn parse(file: u32, page: &[u8]) -> Option<JournalHead> {
        let mut take = checked(file, KIND_JOURNAL, page)?;
        let head = JournalHead {
            opening: take.u32()?,
            block: take.u64()?,
            seq: take.u64()?,
            synced: take.u64()?,
            offset: take.u32()?,
            prior: take.u32()?,
            used: take.u32()?,
            unpacked: take.u32().filter(|bytes| *bytes as usize <= JOURNAL_UNPACKED_MAX)?,
        };
        let sane = head.seq < NUMBER_MAX && head.synced <= head.seq && head.block < NUMBER_MAX;
        (sane && head.used as usize <= JOURNAL_PAYLOAD).then_some(head)
    }

    pub fn payload<'a>(&self, page: &'a [u8]) -> &'a [u8] {
        &page[JOURNAL_HEAD..JOURNAL_HEAD + self.used as usize]
    }
}

/// The head of a page of a block or a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlobHead {
    pub index: u32,
    pub block: u64,
    pub pages: u32,
    pub opening: u32,
}

impl BlobHead {
    pub fn page(&self, file: u32, kind: [u8; 4], page: &mut [u8]) {
        page[4..8].copy_from_slice(&kind);
        set_u32(page, 8, file);
        set_u32(page, 12, self.index);
        set_u64(page, 16, self.block);
        set_u32(page, 24, self.pages);
        set_u32(page, 28, self.opening);
        seal(page);
    }

    pub fn parse(file: u32, kind: [u8; 4], page: &[u8]) -> Option<BlobHead> {
        let mut take = checked(file, kind, page)?;
        let head = BlobHead { index: take.u32()?, block: take.u64()?, pages: take.u32()?, opening: take.u32()? };
        (head.block < NUMBER_MAX).then_some(head)
    }

    pub fn payload(page: &[u8]) -> &[u8] {
        &page[BLOB_HEAD..]
    }

    pub fn payload_mut(page: &mut [u8]) -> &mut [u8] {
        &mut page[BLOB_HEAD..]
    }
}

fn seal(page: &mut [u8]) {
    let crc = crc32c(&page[4..PAGE]);
    set_u32(page, 0, crc);
}

/// Returns whether a page of any kind is as it was written.
pub(crate) fn is_whole(page: &[u8]) -> bool {
    Take::new(page).u32().is_some_and(|crc| crc == crc32c(&page[4..PAGE]))
}

/// Returns what follows the common head of a page that is whole, of this kind and of this file.
fn checked(file: u32, kind: [u8; 4], page: &[u8]) -> Option<Take<'_>> {
    let mut take = Take::new(page.get(..PAGE)?);
    let crc = take.u32()?;
    let right = take.bytes(4)? == kind && take.u32()? == file && crc == crc32c(&page[4..PAGE]);
    right.then_some(take)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_come_back_and_every_flipped_bit_is_noticed() {
        let head =
            JournalHead { opening: 3, block: 9, seq: 77, synced: 70, offset: 4040, prior: 5, used: 3, unpacked: 9 };
        let mut page = vec![0; PAGE];
        head.page(42, b"abc", &mut page);
        assert_eq!(JournalHead::parse(42, &page), Some(head));
        assert_eq!(head.payload(&page), b"abc");
        assert_eq!(JournalHead::parse(43, &page), None);
        for bit in 0..PAGE * 8 {
            page[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(JournalHead::parse(42, &page), None);
            page[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
