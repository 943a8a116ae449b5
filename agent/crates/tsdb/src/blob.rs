//! A run of bytes over numbered pages: a sealed block in the ring, a checkpoint in its slot.
//!
//! Writing fills pages one after the other and hands them out in runs of at most `RUN_PAGES`, so that sealing a large
//! block never needs a second copy of it. Reading checks every page it touches: its checksum, its kind, its number.
//! A page of another block means that the ring moved on under the reader, if its block has left the ring; any other
//! fault costs that page.

use model::{ReadAt, SelectError};

use crate::layout::{BLOB_PAYLOAD, BlobHead, Geometry, KIND_BLOCK, PAGE};

/// How many pages are handed out at once.
pub(crate) const RUN_PAGES: usize = 16;

/// The most bytes that are read of a ring by who does not wait: so there is an end to it soon, whatever is asked.
const AT_HAND_BYTES_MAX: usize = 256 << 10;

/// Fills pages with bytes as they come.
pub(crate) struct Writer {
    pub file: u32,
    pub kind: [u8; 4],
    pub head: BlobHead,
    /// Where in the file the next run goes.
    pub offset: u64,
    run: Vec<u8>,
    /// How much of the last page of the run is filled.
    filled: usize,
}

impl Writer {
    pub fn new(file: u32, kind: [u8; 4], offset: u64, block: u64, pages: u32, opening: u32) -> Writer {
        let head = BlobHead { index: 0, block, pages, opening };
        let run = Vec::with_capacity(run_bytes(pages));
        Writer { file, kind, head, offset, run, filled: BLOB_PAYLOAD }
    }

    /// Adds bytes.
    pub fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.filled == BLOB_PAYLOAD {
                self.finish_page();
                self.run.resize(self.run.len() + PAGE, 0);
                self.filled = 0;
            }
            let count = bytes.len().min(BLOB_PAYLOAD - self.filled);
            let page = self.run.len() - PAGE;
            let payload = BlobHead::payload_mut(&mut self.run[page..]);
            payload[self.filled..self.filled + count].copy_from_slice(&bytes[..count]);
            self.filled += count;
            bytes = &bytes[count..];
        }
    }

    /// Returns a run that is long enough to be written, with its place in the file.
    pub fn take_run(&mut self) -> Option<(u64, Vec<u8>)> {
        (self.run.len() > RUN_PAGES * PAGE).then(|| {
            let mut rest = Vec::with_capacity(run_bytes(self.head.pages - self.head.index));
            rest.extend(self.run.drain(self.run.len() - PAGE..));
            let run = std::mem::replace(&mut self.run, rest);
            let offset = self.offset;
            self.offset += run.len() as u64;
            (offset, run)
        })
    }

    /// Returns the rest.
    pub fn finish(&mut self) -> Option<(u64, Vec<u8>)> {
        self.finish_page();
        (!self.run.is_empty()).then(|| (self.offset, std::mem::take(&mut self.run)))
    }

    fn finish_page(&mut self) {
        if let Some(page) = self.run.len().checked_sub(PAGE) {
            self.head.page(self.file, self.kind, &mut self.run[page..]);
            self.head.index += 1;
        }
    }
}

/// Returns how much memory a run needs while it is filled: with the page behind it, that shows that it is full.
fn run_bytes(pages: u32) -> usize {
    PAGE * (pages as usize).min(RUN_PAGES + 1)
}

/// Why bytes of a block cannot be had.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The page is damaged.
    Damaged,
    /// Another block is there now.
    Overwritten,
    /// It cannot be had without waiting, or there is more to it than who does not wait may read.
    Away,
}

impl From<Fault> for SelectError {
    fn from(fault: Fault) -> SelectError {
        match fault {
            Fault::Overwritten => SelectError::Overwritten,
            Fault::Away => SelectError::Stopped,
            Fault::Damaged => SelectError::Io(std::io::Error::other("a page of the data file is damaged")),
        }
    }
}

/// Reads the pages of one file's ring.
pub(crate) struct Pages<'a> {
    pub read: &'a dyn ReadAt,
    pub file: u32,
    pub geometry: Geometry,
    /// Pages as they were read, and which they are: the first one's place in the ring, and how many.
    pages: Vec<u8>,
    run: (u32, u32),
    /// Which of them was looked at last: its block and place in that, and where in the buffer it is.
    held: Option<(u64, u32, usize)>,
    /// How many bytes may still be read where nothing is waited for; `None`: it may be waited, for all there is.
    at_hand: Option<usize>,
}

impl<'a> Pages<'a> {
    pub fn new(read: &'a dyn ReadAt, file: u32, geometry: Geometry) -> Pages<'a> {
        Pages { read, file, geometry, pages: Vec::new(), run: (0, 0), held: None, at_hand: None }
    }

    /// Returns it so that it never waits for the medium, and reads `AT_HAND_BYTES_MAX` at most.
    pub fn at_hand(self) -> Pages<'a> {
        Pages { at_hand: Some(AT_HAND_BYTES_MAX), ..self }
    }

    /// Appends `len` bytes of a block from `offset` on; what was read before a fault is kept.
    pub fn bytes(&mut self, block: u64, start: u32, offset: u32, len: u32, out: &mut Vec<u8>) -> Result<(), Fault> {
        let mut at = offset as usize;
        let end = at.checked_add(len as usize).ok_or(Fault::Damaged)?;
        self.run = (0, 0);
        while at < end {
            let index = (at / BLOB_PAYLOAD) as u32;
            let page = self.load(block, start, index, (end.div_ceil(BLOB_PAYLOAD) as u32).saturating_sub(index))?;
            let from = at % BLOB_PAYLOAD;
            let count = (end - at).min(BLOB_PAYLOAD - from);
            out.extend_from_slice(&BlobHead::payload(&self.pages[page..page + PAGE])[from..from + count]);
            at += count;
        }
        Ok(())
    }

    /// Reads the head of whatever page of a block is at this place of the ring.
    pub fn head(&mut self, place: u32) -> Option<BlobHead> {
        self.run = (0, 0);
        self.fetch(place, 1).ok().and_then(|page| self.parse(page))
    }

    /// Returns where in the buffer a page of a block is, of which so many are wanted from this one on.
    fn load(&mut self, block: u64, start: u32, index: u32, wanted: u32) -> Result<usize, Fault> {
        if let Some((_, _, page)) = self.held.filter(|held| (held.0, held.1) == (block, index)) {
            return Ok(page);
        }
        let place = start.checked_add(index).filter(|place| *place < self.geometry.ring_pages());
        let page = place.ok_or(Fault::Damaged).and_then(|place| self.fetch(place, wanted))?;
        let head = self.parse(page).ok_or(Fault::Damaged)?;
        if head.block != block {
            return Err(Fault::Overwritten);
        }
        if head.index != index {
            return Err(Fault::Damaged);
        }
        self.held = Some((block, index, page));
        Ok(page)
    }

    /// Returns where in the buffer the page at a place of the ring is, read with those behind it that are wanted too:
    /// each call of the system costs as much as reading some pages.
    fn fetch(&mut self, place: u32, wanted: u32) -> Result<usize, Fault> {
        let (first, count) = self.run;
        if (first..first + count).contains(&place) {
            return Ok((place - first) as usize * PAGE);
        }
        (self.held, self.run) = (None, (0, 0));
        let most = self.geometry.together(place, wanted.min(RUN_PAGES as u32)).max(1);
        // Of a run that cannot be read one page may be the only bad one.
        for count in [most, 1] {
            self.pages.resize(count as usize * PAGE, 0);
            let offset = self.geometry.ring(place);
            let read = match &mut self.at_hand {
                Some(left) => {
                    *left = left.checked_sub(self.pages.len()).ok_or(Fault::Away)?;
                    let read = self.read.read_at_hand(offset, &mut self.pages);
                    Ok(read.map_err(|_| Fault::Away)?)
                }
                None => self.read.read_at(offset, &mut self.pages),
            };
            if read.is_ok() {
                self.run = (place, count);
                return Ok(0);
            }
        }
        Err(Fault::Damaged)
    }

    fn parse(&self, page: usize) -> Option<BlobHead> {
        BlobHead::parse(self.file, KIND_BLOCK, self.pages.get(page..page + PAGE)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bytes(Vec<u8>);

    impl ReadAt for Bytes {
        fn read_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<()> {
            let from = offset as usize;
            let found = self.0.get(from..from + buf.len()).ok_or(std::io::ErrorKind::UnexpectedEof)?;
            buf.copy_from_slice(found);
            Ok(())
        }
    }

    #[test]
    fn bytes_come_back_over_pages_and_faults_are_told_apart() {
        let geometry = Geometry::of(1 << 20);
        let content: Vec<u8> = (0..100_000u32).map(|i| (i * 7 % 251) as u8).collect();
        let pages = content.len().div_ceil(BLOB_PAYLOAD) as u32;
        let mut file = vec![0; 1 << 20];
        let mut writer = Writer::new(5, KIND_BLOCK, geometry.ring(3), 9, pages, 1);
        let mut put = |(offset, run): (u64, Vec<u8>)| {
            file[offset as usize..offset as usize + run.len()].copy_from_slice(&run);
        };
        for part in content.chunks(777) {
            writer.add(part);
            writer.take_run().into_iter().for_each(&mut put);
        }
        writer.finish().into_iter().for_each(&mut put);
        let check = |file: &[u8], offset: u32, len: u32| {
            let bytes = Bytes(file.to_vec());
            let (mut pages, mut out) = (Pages::new(&bytes, 5, geometry), Vec::new());
            pages.bytes(9, 3, offset, len, &mut out).map(|()| out)
        };
        assert_eq!(check(&file, 0, 100_000).expect("whole"), content);
        assert_eq!(check(&file, 4_000, 200).expect("whole"), content[4_000..4_200]);
        let place = geometry.ring(4) as usize;
        file[place + 100] ^= 1;
        assert!(matches!(check(&file, 0, 10_000), Err(Fault::Damaged)));
        assert!(check(&file, 0, 4_064).is_ok());
        BlobHead { index: 1, block: 10, pages, opening: 1 }.page(5, KIND_BLOCK, &mut file[place..place + PAGE]);
        assert!(matches!(check(&file, 0, 10_000), Err(Fault::Overwritten)));
    }
}
