//! Giving the file another size while it is opened: growing keeps everything, shrinking keeps the newest that fits.
//!
//! Nothing is moved that can stay. The ring becomes a list of extents: what is kept, in the order of its age, then
//! what is free; so all of the new room is used before anything is overwritten. Only what lies behind the new end is
//! copied, to places that the oldest blocks had, which are given up first.
//!
//! The order makes it safe: the blocks that are given up no longer count; copies, the checkpoint of the new layout and
//! the journal's pages are written where nothing counts yet; a sync; then one superblock puts all of it in force, and
//! a sync. Cut before that, the old layout counts, and its checkpoint, journal and kept blocks are where they were.

use super::Recover;
use crate::blob::RUN_PAGES;
use crate::cells::{CELLS_SHARE, Commit};
use crate::geometry::{Areas, EXTENTS_MAX, Extent, Geometry, RING_PAGES_MIN};
use crate::layout::{BLOB_PAYLOAD, FILE_BYTES_MAX, FILE_BYTES_MIN, JournalHead, PAGE, Superblock};
use crate::open::{OpenError, blank_areas, io};
use crate::options::Mutation;
use crate::ring::{Block, Ring};
use crate::seal::write_checkpoint;

/// What is to become of the file.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pages: u32,
    areas: Areas,
    /// The journal is written anew at another place.
    pub moves_journal: bool,
    grows: bool,
}

/// How it becomes that.
struct Plan {
    geometry: Geometry,
    /// Which pages are copied where.
    moves: Vec<(Extent, u32)>,
    /// The page of the ring that becomes its first, and how many from there on are kept.
    start: u32,
    kept_pages: u32,
}

impl Target {
    /// Returns what to do to give a file this size; `None` when it has it, or when no file has that size.
    pub fn of(geometry: &Geometry, bytes: u64) -> Option<Target> {
        let bytes = Some(bytes).filter(|bytes| (FILE_BYTES_MIN..=FILE_BYTES_MAX).contains(bytes))?;
        let pages = u32::try_from(bytes / PAGE as u64).ok().filter(|pages| *pages != geometry.pages)?;
        let grows = pages > geometry.pages;
        let areas = if grows { geometry.behind(pages).unwrap_or(geometry.areas) } else { geometry.in_front(pages) };
        Some(Target { pages, areas, moves_journal: grows && areas != geometry.areas, grows })
    }

    pub fn grows(&self) -> bool {
        self.grows
    }
}

impl Recover<'_> {
    /// Does everything but put the new layout in force; false when the file has to keep its size.
    pub(super) fn prepare(&mut self, target: Target) -> Result<bool, OpenError> {
        let cells = self.state.small.cell_bytes();
        let room = target.areas.slot_pages as usize * BLOB_PAYLOAD * CELLS_SHARE.0 / CELLS_SHARE.1;
        let Some(plan) = self.plan(&target).filter(|_| cells <= room) else { return Ok(false) };
        if target.grows && !self.has_room(&target) {
            return Ok(false);
        }
        let old_pages = self.site.geometry.pages;
        self.keep(&plan);
        if !plan.moves.is_empty() {
            self.write_superblock()?;
        }
        for (from, to) in &plan.moves {
            self.copy(*from, *to)?;
        }
        self.take_over(&target, &plan)?;
        self.recovery.resized_from = u64::from(old_pages) * PAGE as u64;
        self.recovery.file_bytes = u64::from(target.pages) * PAGE as u64;
        Ok(true)
    }

    /// Makes the file longer, and writes zeros where slots and journal go: behind the old end, where nothing is. In front,
    /// where they go when a file shrinks, there may be blocks that still count, and all of it was written before. A
    /// medium that cannot reserve room shows here that it has none; then the file is as it was.
    fn has_room(&mut self, target: &Target) -> bool {
        let old = self.site.geometry;
        let has_room = self.disk.set_len(u64::from(target.pages) * PAGE as u64).is_ok()
            && (target.areas == old.areas || blank_areas(self.disk, &target.areas).is_ok());
        if !has_room {
            // Should that fail too, what is too much is cut off at the next opening.
            let _ = self.disk.set_len(u64::from(old.pages) * PAGE as u64);
        }
        has_room
    }

    /// Puts the layout that was prepared in force.
    pub(super) fn put_in_force(&mut self) -> Result<(), OpenError> {
        if self.site.mutation != Mutation::SkipResizeSync {
            self.disk.sync().map_err(io("syncing the new layout"))?;
        }
        self.write_superblock()?;
        // What is cut off here is cut off at the next opening otherwise.
        let _ = self.disk.set_len(u64::from(self.site.geometry.pages) * PAGE as u64);
        Ok(())
    }

    /// The next copy of the superblock, as the file is to be from now on; it counts as an opening.
    fn write_superblock(&mut self) -> Result<(), OpenError> {
        self.site.opening += 1;
        let crate::seal::Site { file, opening, layout, geometry, .. } = self.site;
        self.recovery.opening = opening;
        let page = Superblock { file, opening, layout, floor: self.floor, geometry }.page();
        self.disk.write(geometry.superblock(opening), &page).map_err(io("writing the superblock"))?;
        self.disk.sync().map_err(io("syncing the superblock"))
    }

    fn plan(&self, target: &Target) -> Option<Plan> {
        let old = &self.site.geometry;
        let regions = old.regions(target.pages, &target.areas);
        let ring_pages = regions.iter().map(|region| region.pages).sum::<u32>();
        if ring_pages < RING_PAGES_MIN {
            return None;
        }
        let room = ring_pages - self.options.block_pages_of(ring_pages);
        let (start, kept_pages) = kept(&self.state.ring, room);
        let (mut ring, mut moves, mut outside) = (Vec::new(), Vec::new(), Vec::new());
        for piece in old.pieces_of(start, kept_pages) {
            for (part, stays) in cut(piece, &regions) {
                outside.extend((!stays).then_some(ring.len()));
                ring.push(part);
            }
        }
        let mut free = less(&regions, &ring);
        // What has to move goes to free places, and may be cut up for that.
        for at in outside.into_iter().rev() {
            let from = ring.remove(at);
            for (part, to) in allot(from, &mut free)?.into_iter().rev() {
                moves.push((part, to));
                ring.insert(at, Extent { first: to, pages: part.pages });
            }
        }
        let kept = joined(&ring).len();
        ring.extend(&free);
        let mut ring = joined(&ring);
        while ring.len() > EXTENTS_MAX {
            let smallest = (kept..ring.len()).min_by_key(|at| ring[*at].pages)?;
            ring.remove(smallest);
        }
        let geometry = old.with(target.pages, target.areas, &ring)?;
        Some(Plan { geometry, moves, start, kept_pages })
    }

    /// Gives up the blocks that have no room.
    fn keep(&mut self, plan: &Plan) {
        let ring = &mut self.state.ring;
        let is_kept = |block: &Block| place(block.start, plan.start, ring.pages) + block.pages <= plan.kept_pages;
        let gone = ring.blocks.iter().take_while(|block| !is_kept(block)).count();
        let rows = ring.blocks.drain(..gone).map(|block| u64::from(block.rows)).sum::<u64>();
        self.state.stats.overwritten += rows;
        self.recovery.rows_cut_off = rows;
        let floor = ring.blocks.front().map_or(self.commit.block + 1, |block| block.number);
        self.state.index.forget_before(floor);
        self.floor = if self.site.mutation == Mutation::ForgetFloor { 0 } else { floor };
        self.recovery.blocks = ring.blocks.len() as u64;
    }

    fn copy(&mut self, from: Extent, to: u32) -> Result<(), OpenError> {
        for at in (0..from.pages).step_by(RUN_PAGES) {
            let mut bytes = vec![0; RUN_PAGES.min((from.pages - at) as usize) * PAGE];
            for (page, place) in bytes.chunks_mut(PAGE).zip(from.first + at..) {
                // A page that cannot be read is damaged there as here.
                if self.read.read_at(u64::from(place) * PAGE as u64, page).is_err() {
                    page.fill(0);
                }
            }
            self.disk.write(u64::from(to + at) * PAGE as u64, &bytes).map_err(io("moving a block"))?;
        }
        Ok(())
    }

    /// From here on everything is meant in the new layout; what of it is written counts nothing yet.
    fn take_over(&mut self, target: &Target, plan: &Plan) -> Result<(), OpenError> {
        let old = self.site.geometry;
        (self.site.geometry, self.site.layout) = (plan.geometry, self.site.layout + 1);
        let ring_pages = plan.geometry.ring_pages();
        let mut ring = Ring::new(ring_pages, self.options.block_pages_of(ring_pages));
        ring.next = plan.kept_pages;
        ring.blocks = self.state.ring.blocks.drain(..).collect();
        for block in &mut ring.blocks {
            block.start = place(block.start, plan.start, self.state.ring.pages);
        }
        self.state.ring = ring;
        let pages = self.commit.pages.min(plan.kept_pages);
        let layout = self.site.layout;
        self.commit = Commit { start: plan.kept_pages - pages, pages, layout, ..self.commit };
        if target.areas.journal != old.areas.journal {
            self.clear_journal()?;
        }
        self.slot = if target.areas.slots == old.areas.slots { self.slot ^ 1 } else { 0 };
        let (file, opening) = (self.site.file, self.site.opening);
        let (offset, bytes) = write_checkpoint(file, opening, &plan.geometry, self.slot, &self.commit, &self.committed);
        self.disk.write(offset, &bytes).map_err(io("writing a checkpoint"))
    }

    /// Wipes out what an earlier journal left in this place, and numbers pages behind it.
    fn clear_journal(&mut self) -> Result<(), OpenError> {
        let mut page = vec![0; PAGE];
        for at in 0..u64::from(self.site.geometry.journal_pages()) {
            let place = self.site.geometry.journal(at);
            if self.read.read_at(place, &mut page).is_err() {
                continue;
            }
            if let Some(head) = JournalHead::parse(self.site.file, &page) {
                self.next_seq = self.next_seq.max(head.seq + 1);
                self.disk.write(place, &vec![0; PAGE]).map_err(io("clearing the journal"))?;
            }
        }
        (self.first_seq, self.last_seq) = (None, None);
        Ok(())
    }
}

/// Returns how far behind `start` a page of a ring lies.
fn place(page: u32, start: u32, pages: u32) -> u32 {
    if page >= start { page - start } else { page + pages - start }
}

/// Returns from which page of the ring on there is room for everything, and how many pages that are.
fn kept(ring: &Ring, room: u32) -> (u32, u32) {
    let (mut start, mut pages) = (ring.next, 0);
    for block in ring.blocks.iter().rev() {
        let needed = place(ring.next, block.start, ring.pages);
        let needed = if needed == 0 { ring.pages } else { needed };
        if needed > room {
            break;
        }
        (start, pages) = (block.start, needed);
    }
    (start, pages)
}

/// Cuts an extent into parts that lie within the regions and parts that do not.
fn cut(piece: Extent, regions: &[Extent]) -> Vec<(Extent, bool)> {
    let (mut parts, mut at) = (Vec::new(), piece.first);
    let mut put = |from: u32, to: u32, stays: bool| {
        if from < to {
            parts.push((Extent { first: from, pages: to - from }, stays));
        }
    };
    for region in regions {
        let (from, to) = (region.first.max(at), region.end().min(piece.end()));
        if from < to {
            put(at, from, false);
            put(from, to, true);
            at = to;
        }
    }
    put(at, piece.end(), false);
    parts
}

/// Returns what of the regions is not taken.
fn less(regions: &[Extent], taken: &[Extent]) -> Vec<Extent> {
    let mut taken: Vec<Extent> = taken.to_vec();
    taken.sort_unstable_by_key(|extent| extent.first);
    let parts = regions.iter().flat_map(|region| cut(*region, &taken));
    parts.filter(|(_, is_taken)| !is_taken).map(|(part, _)| part).collect()
}

/// Finds free places for an extent: one, where there is one that is large enough. `None` when there is too little.
fn allot(extent: Extent, free: &mut Vec<Extent>) -> Option<Vec<(Extent, u32)>> {
    let (mut left, mut found) = (extent, Vec::new());
    while left.pages > 0 {
        let fits = free.iter().position(|place| place.pages >= left.pages);
        let at = fits.or_else(|| (0..free.len()).max_by_key(|at| free[*at].pages))?;
        let pages = left.pages.min(free[at].pages);
        found.push((Extent { first: left.first, pages }, free[at].first));
        left = Extent { first: left.first + pages, pages: left.pages - pages };
        free[at] = Extent { first: free[at].first + pages, pages: free[at].pages - pages };
        free.retain(|place| place.pages > 0);
    }
    Some(found)
}

fn joined(extents: &[Extent]) -> Vec<Extent> {
    let mut all: Vec<Extent> = Vec::new();
    for extent in extents {
        match all.last_mut() {
            Some(last) if last.end() == extent.first => last.pages += extent.pages,
            _ => all.push(*extent),
        }
    }
    all
}
