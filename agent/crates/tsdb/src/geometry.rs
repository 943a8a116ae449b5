//! Where the areas lie in the data file, in pages. `LAYOUT.md` draws them.
//!
//! A new file's areas follow from its size. When the size changes at a start nothing is moved that can stay: the ring
//! is then a list of extents, in the order in which it is written, and the areas may lie elsewhere; the superblock
//! says where. Its own two copies stay where they were made, so they are found even when one of them is gone.

use crate::layout::PAGE;
use crate::wire::{Take, set_u32};

/// The most extents a ring may have: a few for each change of the size.
pub(crate) const EXTENTS_MAX: usize = 16;
/// The fewest pages a ring has.
pub(crate) const RING_PAGES_MIN: u32 = 32;
/// How far behind the first copy the second superblock lies at most.
pub(crate) const SECOND_PAGE_MAX: u32 = 1 + 2 * SPREAD + SLOT_PAGES_MAX;

const SPREAD: u32 = 32;
const SLOT_PAGES_MAX: u32 = 64;
/// Offsets of a block's bytes, as if the ring had one extent; see [`Geometry::run`].
const RUN: u64 = 1 << 63;

/// Pages that follow each other in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Extent {
    pub first: u32,
    pub pages: u32,
}

impl Extent {
    pub fn end(&self) -> u32 {
        self.first + self.pages
    }
}

/// Where checkpoints and the journal lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Areas {
    pub slots: [u32; 2],
    pub slot_pages: u32,
    pub journal: u32,
    pub journal_pages: u32,
}

/// Where everything lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub pages: u32,
    /// How many pages the file had when it was made: where the superblocks lie follows from that.
    pub origin: u32,
    pub areas: Areas,
    extents: [Extent; EXTENTS_MAX],
    extents_count: usize,
}

/// Returns a file's usual pages of a slot and of the journal, and the distance that is kept between areas, so that
/// losing what lies around one write spares the other copy.
fn sizes(pages: u32) -> (u32, u32, u32) {
    ((pages / 1024).clamp(4, SLOT_PAGES_MAX), (pages / 64).clamp(16, 2048), if pages >= 4096 { SPREAD } else { 0 })
}

impl Geometry {
    /// Returns the geometry of a new file.
    pub fn of(bytes: u64) -> Geometry {
        let pages = (bytes / PAGE as u64).min(u64::from(u32::MAX)) as u32;
        let (slot_pages, journal_pages, spread) = sizes(pages);
        let second = 1 + spread + slot_pages + spread;
        let slots = [1 + spread, second + 1 + spread];
        let journal = slots[1] + slot_pages + spread;
        let ring = journal + journal_pages + spread;
        let areas = Areas { slots, slot_pages, journal, journal_pages };
        let mut extents = [Extent::default(); EXTENTS_MAX];
        extents[0] = Extent { first: ring, pages: pages.saturating_sub(ring) };
        Geometry { pages, origin: pages, areas, extents, extents_count: 1 }
    }

    /// Returns this geometry with another size, other areas and another ring; `None` when that has too many extents.
    pub fn with(&self, pages: u32, areas: Areas, ring: &[Extent]) -> Option<Geometry> {
        let mut extents = [Extent::default(); EXTENTS_MAX];
        extents.get_mut(..ring.len())?.copy_from_slice(ring);
        Some(Geometry { pages, areas, extents, extents_count: ring.len(), ..*self })
    }

    pub fn spread(&self) -> u32 {
        sizes(self.origin).2
    }

    pub fn slot_pages(&self) -> u32 {
        self.areas.slot_pages
    }

    pub fn journal_pages(&self) -> u32 {
        self.areas.journal_pages
    }

    /// Returns the areas that a file of this size would have in front, as far as this one has room for them there.
    pub fn in_front(&self, pages: u32) -> Areas {
        let Areas { journal_pages, .. } = self.front();
        Areas { journal_pages: journal_pages.min(sizes(pages).1), ..self.front() }
    }

    fn front(&self) -> Areas {
        Geometry::of(u64::from(self.origin) * PAGE as u64).areas
    }

    /// Returns the areas of a file that has grown to this size, behind all that was there; `None` when the present
    /// ones are large enough, or there is no room for others.
    pub fn behind(&self, pages: u32) -> Option<Areas> {
        let (slot_pages, journal_pages, _) = sizes(pages);
        if self.areas.slot_pages >= slot_pages && self.areas.journal_pages >= journal_pages {
            return None;
        }
        let spread = SPREAD;
        let journal = pages.checked_sub(journal_pages)?;
        let second = journal.checked_sub(spread + slot_pages)?;
        let first = second.checked_sub(spread + slot_pages)?;
        let is_new = first.checked_sub(spread).is_some_and(|first| first >= self.pages);
        is_new.then_some(Areas { slots: [first, second], slot_pages, journal, journal_pages })
    }

    /// Returns the pages that a ring may have in a file of this size with these areas.
    pub fn regions(&self, pages: u32, areas: &Areas) -> Vec<Extent> {
        let (spread, front) = (self.spread(), self.front());
        let padded = |first: u32, pages: u32| (first.saturating_sub(spread), first + pages + spread);
        let mut taken = vec![
            padded(0, 1),
            padded(front.slots[0], front.slot_pages),
            padded(self.second(), 1),
            padded(front.slots[1], front.slot_pages),
            padded(areas.slots[0], areas.slot_pages),
            padded(areas.slots[1], areas.slot_pages),
            padded(areas.journal, areas.journal_pages),
        ];
        taken.sort_unstable();
        let (mut free, mut at) = (Vec::new(), 0);
        for (first, end) in taken {
            if first > at {
                free.push(Extent { first: at, pages: first.min(pages).saturating_sub(at) });
            }
            at = at.max(end);
        }
        free.push(Extent { first: at, pages: pages.saturating_sub(at) });
        free.retain(|extent| extent.pages > 0);
        free
    }

    fn second(&self) -> u32 {
        let (slot_pages, _, spread) = sizes(self.origin);
        1 + 2 * spread + slot_pages
    }

    pub fn superblock(&self, copy: u32) -> u64 {
        u64::from(copy & 1) * u64::from(self.second()) * PAGE as u64
    }

    pub fn slot(&self, copy: u32) -> u64 {
        u64::from(self.areas.slots[(copy & 1) as usize]) * PAGE as u64
    }

    pub fn journal(&self, seq: u64) -> u64 {
        (u64::from(self.areas.journal) + seq % u64::from(self.areas.journal_pages)) * PAGE as u64
    }

    /// Returns where a page of the ring lies in the file.
    pub fn ring(&self, page: u32) -> u64 {
        u64::from(self.physical(page)) * PAGE as u64
    }

    fn physical(&self, page: u32) -> u32 {
        let mut left = page;
        for extent in self.extents() {
            if left < extent.pages {
                return extent.first + left;
            }
            left -= extent.pages;
        }
        // Behind the ring: nothing is there, and nobody is led elsewhere.
        self.pages.saturating_add(left)
    }

    /// Returns how many pages of the ring lie together in the file from this one on, at most so many.
    pub fn together(&self, page: u32, most: u32) -> u32 {
        let mut left = page;
        for extent in self.extents() {
            if left < extent.pages {
                return most.min(extent.pages - left);
            }
            left -= extent.pages;
        }
        0
    }

    pub fn ring_pages(&self) -> u32 {
        self.extents().iter().map(|extent| extent.pages).sum()
    }

    pub fn extents(&self) -> &[Extent] {
        &self.extents[..self.extents_count]
    }

    /// Returns the file's pages that some pages of the ring are, the ring's end being followed by its start.
    pub fn pieces_of(&self, start: u32, pages: u32) -> Vec<Extent> {
        let (mut found, all) = (Vec::<Extent>::new(), self.ring_pages());
        for page in start..start + pages {
            let first = self.physical(page % all);
            match found.last_mut() {
                Some(last) if last.end() == first => last.pages += 1,
                _ => found.push(Extent { first, pages: 1 }),
            }
        }
        found
    }

    /// Returns an offset for a block's bytes from this page of the ring on: they may be cut up by [`Geometry::place`].
    pub fn run(&self, page: u32) -> u64 {
        RUN | (u64::from(page) * PAGE as u64)
    }

    /// Hands over what is to be written with its place in the file, in pieces where a block crosses extents.
    pub fn place(&self, offset: u64, mut bytes: Vec<u8>, write: &mut dyn FnMut(u64, Vec<u8>)) {
        if offset & RUN == 0 {
            return write(offset, bytes);
        }
        let mut page = ((offset & !RUN) / PAGE as u64) as u32;
        loop {
            let left = (bytes.len() / PAGE) as u32;
            let count = self.pieces_of(page, left).first().map_or(left, |first| first.pages);
            let rest = bytes.split_off(count as usize * PAGE);
            write(self.ring(page), bytes);
            if rest.is_empty() {
                return;
            }
            (page, bytes) = (page + count, rest);
        }
    }

    /// The bytes of a geometry in the superblock, from an offset on.
    pub fn put(&self, page: &mut [u8], from: usize) {
        let Areas { slots, slot_pages, journal, journal_pages } = self.areas;
        let head = [self.origin, slots[0], slots[1], slot_pages, journal, journal_pages, self.extents_count as u32];
        let extents = self.extents().iter().flat_map(|extent| [extent.first, extent.pages]);
        for (number, at) in head.into_iter().chain(extents).zip((from..).step_by(4)) {
            set_u32(page, at, number);
        }
    }

    /// Reads what [`Geometry::put`] wrote; `None` for what cannot be one of ours.
    pub fn take(pages: u32, take: &mut Take<'_>) -> Option<Geometry> {
        let origin = take.u32()?;
        let areas = Areas {
            slots: [take.u32()?, take.u32()?],
            slot_pages: take.u32().filter(|pages| (1..=SLOT_PAGES_MAX).contains(pages))?,
            journal: take.u32()?,
            journal_pages: take.u32().filter(|pages| (1..=2048).contains(pages))?,
        };
        let count = take.u32().filter(|count| (1..=EXTENTS_MAX as u32).contains(count))?;
        let mut ring = Vec::new();
        for _ in 0..count {
            ring.push(Extent { first: take.u32()?, pages: take.u32()? });
        }
        let made = Geometry::of(u64::from(origin) * PAGE as u64);
        if made.ring_pages() < RING_PAGES_MIN {
            return None;
        }
        let geometry = made.with(pages, areas, &ring)?;
        geometry.is_sane().then_some(geometry)
    }

    /// Whether nothing lies behind the end and nothing twice.
    fn is_sane(&self) -> bool {
        let Areas { slots, slot_pages, journal, journal_pages } = self.areas;
        let second = self.second();
        let fixed = [(0, 1), (second, 1), (slots[0], slot_pages), (slots[1], slot_pages), (journal, journal_pages)];
        let extents = self.extents().iter().map(|extent| (extent.first, extent.pages));
        let mut all: Vec<(u32, u32)> = fixed.into_iter().chain(extents).collect();
        all.sort_unstable();
        let ends = all.iter().all(|(first, pages)| first.checked_add(*pages).is_some_and(|end| end <= self.pages));
        ends && all.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0) && self.ring_pages() >= RING_PAGES_MIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::FILE_BYTES_MIN;

    #[test]
    fn areas_do_not_overlap_whatever_the_size() {
        for bytes in [FILE_BYTES_MIN, 1 << 20, 16 << 20, 256 << 20, 64 << 30] {
            let geometry = Geometry::of(bytes);
            assert!(geometry.is_sane(), "{bytes}");
            let region = geometry.regions(geometry.pages, &geometry.areas);
            assert_eq!(region.last(), geometry.extents().last());
            let mut page = vec![0; PAGE];
            geometry.put(&mut page, 28);
            assert_eq!(Geometry::take(geometry.pages, &mut Take::new(&page[28..])), Some(geometry));
        }
    }

    #[test]
    fn what_lies_around_one_write_spares_the_other_copy() {
        let geometry = Geometry::of(16 << 20);
        let mut places = vec![geometry.superblock(0), geometry.superblock(1), geometry.slot(0), geometry.slot(1)];
        places.extend([geometry.journal(0), geometry.ring(0)]);
        places.sort_unstable();
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] > 128 << 10), "{places:?}");
    }

    #[test]
    fn a_block_is_cut_up_where_it_crosses_extents() {
        let whole = Geometry::of(1 << 20);
        let ring = [Extent { first: 200, pages: 10 }, Extent { first: 100, pages: 60 }];
        let geometry = whole.with(whole.pages, whole.areas, &ring).expect("few extents");
        let mut written = Vec::new();
        let bytes = (0..5).flat_map(|page| [page; PAGE]).collect();
        geometry
            .place(geometry.run(8), bytes, &mut |offset, bytes| written.push((offset / 4096, bytes.len(), bytes[0])));
        assert_eq!(written, [(208, 2 * PAGE, 0), (100, 3 * PAGE, 2)]);
        assert_eq!(
            [(0, 16), (8, 16), (10, 16), (69, 16), (70, 16)].map(|(page, most)| geometry.together(page, most)),
            [10, 2, 16, 1, 0]
        );
        assert_eq!(geometry.pieces_of(68, 4), [Extent { first: 158, pages: 2 }, Extent { first: 200, pages: 2 }]);
    }

    #[test]
    fn what_overlaps_or_lies_behind_the_end_is_refused() {
        let good = Geometry::of(1 << 20);
        for ring in [[(3, 40)], [(good.areas.journal, 40)], [(220, 40)], [(u32::MAX, 40)], [(100, 3)]] {
            let ring = ring.map(|(first, pages)| Extent { first, pages });
            let forged = good.with(good.pages, good.areas, &ring).expect("few extents");
            let mut page = vec![0; PAGE];
            forged.put(&mut page, 28);
            assert_eq!(Geometry::take(good.pages, &mut Take::new(&page[28..])), None, "{ring:?}");
        }
    }
}
