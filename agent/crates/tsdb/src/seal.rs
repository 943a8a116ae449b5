//! A frozen head becomes a block of the ring: packed and squeezed in memory, then written a run of pages at a time.
//!
//! The order is what makes it safe: the block's pages, a sync, the checkpoint that says the block counts, a sync;
//! only then does the block enter the index and only then are the journal's pages free. A fault anywhere begins it
//! anew with the same bytes at the same place, where nothing is believed yet; after `PLACE_FAILURES_MAX` faults at
//! another place. Each step packs some thousand values or makes one write of `RUN_PAGES` pages, so the work per step is
//! bounded; readers find the rows in the frozen head until the end.

use model::Mono;

use crate::blob::Writer;
use crate::cells::{Commit, Small, checkpoint};
use crate::codec::TokenReader;
use crate::column::Sealer;
use crate::epochs::{Epoch, Epochs};
use crate::groups::Squeezer;
use crate::head::track::{Seek, Track};
use crate::head::{Head, Span};
use crate::index::{BlockIndex, Meta, Which};
use crate::layout::{BLOB_PAYLOAD, Geometry, KIND_BLOCK, KIND_CHECKPOINT};
use crate::options::Mutation;
use crate::ring::{Block, Ring};
use crate::series::Index;

/// A step that packs ends behind the column with which it has looked at so many values...
const STEP_VALUES: usize = 8_192;
/// ...or at so many bytes of tokens, or has squeezed a group.
const STEP_BYTES: usize = 16 << 10;
/// How often one place of the ring is tried.
const PLACE_FAILURES_MAX: u32 = 3;

/// What a step wants done.
pub(crate) enum Output {
    Write(u64, Vec<u8>),
    Sync,
    /// Nothing yet: there is more to pack.
    Later,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Pack,
    Pages,
    BlockSync,
    Checkpoint,
    CheckpointSync,
    Done,
}

/// Where the file and its areas are; the same for every block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site {
    pub file: u32,
    pub opening: u32,
    /// Which layout of the file this is, as the superblock counts them.
    pub layout: u32,
    pub geometry: Geometry,
    pub mutation: Mutation,
}

pub(crate) struct Sealing {
    site: Site,
    pub block: Block,
    meta: Meta,
    index: BlockIndex,
    packing: Option<Box<Packing>>,
    /// The block's bytes, once they are packed: what stands in front, the groups of index and table, those of the streams.
    parts: Vec<Box<[u8]>>,
    small: Small,
    next_series: u32,
    slot: u32,
    stage: Stage,
    at: usize,
    writer: Option<Writer>,
    failures: u32,
    /// Operations are on their way.
    pub waiting: bool,
    pub retry_at: Option<Mono>,
    pub bytes_written: u64,
}

/// What packing needs until it is done.
struct Packing {
    streams: Vec<Which>,
    lengths: Vec<u32>,
    sealer: Sealer,
    squeezer: Squeezer,
    tokens: Vec<u8>,
    /// The tokens of the times that were packed last.
    times: Vec<u8>,
}

impl Packing {
    /// Packs some streams; answers whether there are more.
    fn step(&mut self, head: &Head) -> bool {
        let Packing { streams, lengths, sealer, squeezer, tokens, times } = self;
        let (mut values, mut bytes) = (0, 0);
        while let Some(which) = streams.get(lengths.len()) {
            tokens.clear();
            head.copy(*which, 0, tokens);
            bytes += tokens.len();
            if let Which::Times(_) = which {
                if tokens == times && !tokens.is_empty() {
                    lengths.push(0);
                    continue;
                }
                times.clone_from(tokens);
            }
            let mut length = 0;
            let full = squeezer.add(&mut |out| {
                let before = out.len();
                values += match which {
                    Which::Values(_) => sealer.values(tokens, out),
                    _ => sealer.integers(tokens, out),
                };
                length = (out.len() - before) as u32;
            });
            lengths.push(length);
            if full || values >= STEP_VALUES || bytes >= STEP_BYTES {
                break;
            }
        }
        lengths.len() < streams.len()
    }
}

/// Returns the oldest and newest time of a block's rows, by the table as it is now.
pub(crate) fn time_range(spans: &[(Span, Option<Epoch>)], epochs: &Epochs) -> (i64, i64) {
    let mut range = (i64::MAX, i64::MIN);
    for (span, sealed) in spans {
        let Some(epoch) = epochs.get(span.epoch).or(sealed.as_ref()) else { continue };
        if span.tick_min <= span.tick_max {
            let (oldest, newest) = epoch.range(span.tick_min, span.tick_max);
            range = (range.0.min(oldest), range.1.max(newest));
        }
    }
    range
}

impl Sealing {
    /// Takes the place in the ring and notes the small state as it is at the end of the head's stream.
    pub fn new(site: Site, head: &Head, small: &Small, next_series: u32, slot: u32, ring: &mut Ring) -> Sealing {
        let index = BlockIndex::of(head, &|number| small.epochs.get(number).copied());
        let (oldest, newest) = time_range(&index.spans, &small.epochs);
        let first = index.spans.first().map(|(span, _)| span.id).unwrap_or_default();
        let end = head.newest().map_or(first, |id| id.plus(1));
        let meta = Meta {
            index_bytes: 0,
            table_bytes: head.table.len() as u32,
            series: head.table_series,
            rows: head.rows,
            first,
            end,
            epochs: (
                head.spans.iter().map(|span| span.epoch).min().unwrap_or(0),
                head.spans.iter().map(|span| span.epoch).max().unwrap_or(0),
            ),
            oldest: oldest.min(head.private_min),
            newest: newest.max(head.private_max),
            directory_bytes: 0,
        };
        let streams: Vec<Which> = index.streams().collect();
        let pages = head.sealed_bytes().div_ceil(BLOB_PAYLOAD) as u32;
        let start = ring.place(pages);
        Sealing {
            site,
            block: Block::new(head.block, start, pages, &meta),
            meta,
            index,
            packing: Some(Box::new(Packing {
                lengths: Vec::with_capacity(streams.len()),
                streams,
                sealer: Sealer::default(),
                squeezer: Squeezer::new(),
                tokens: Vec::new(),
                times: Vec::new(),
            })),
            parts: Default::default(),
            small: small.clone(),
            next_series,
            slot,
            stage: Stage::Pack,
            at: 0,
            writer: None,
            failures: 0,
            waiting: false,
            retry_at: None,
            bytes_written: 0,
        }
    }

    /// Returns what is to be done next; `None` when the block counts.
    pub fn step(&mut self, head: &Head) -> Option<Output> {
        let output = match self.stage {
            Stage::Pack => {
                if self.packing.as_mut().is_some_and(|packing| packing.step(head)) {
                    return Some(Output::Later);
                }
                self.packed(head);
                return self.step(head);
            }
            Stage::Pages => {
                let (offset, bytes) = self.next_run();
                Output::Write(offset, bytes)
            }
            Stage::BlockSync => {
                self.stage = Stage::Checkpoint;
                if self.site.mutation == Mutation::SkipBlockSync {
                    return self.step(head);
                }
                Output::Sync
            }
            Stage::Checkpoint => {
                self.stage = Stage::CheckpointSync;
                let (offset, bytes) = self.checkpoint();
                Output::Write(offset, bytes)
            }
            Stage::CheckpointSync => {
                self.stage = Stage::Done;
                Output::Sync
            }
            Stage::Done => return None,
        };
        if let Output::Write(_, bytes) = &output {
            self.bytes_written += bytes.len() as u64;
        }
        Some(output)
    }

    pub fn is_packing(&self) -> bool {
        self.stage == Stage::Pack
    }

    pub fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Begins anew after a fault, later.
    pub fn failed(&mut self, retry_at: Mono, ring: &Ring) {
        self.failures += 1;
        if self.stage != Stage::Pack {
            self.stage = Stage::Pages;
        }
        (self.at, self.writer, self.waiting) = (0, None, false);
        self.retry_at = Some(retry_at);
        if self.failures.is_multiple_of(PLACE_FAILURES_MAX) {
            let after = self.block.start + self.block.pages;
            self.block.start = if after + self.block.pages <= ring.pages { after } else { 0 };
        }
    }

    /// Puts the block together, now that every stream is packed.
    fn packed(&mut self, head: &Head) {
        let Some(packing) = self.packing.take() else { return };
        let Packing { mut squeezer, lengths, .. } = *packing;
        squeezer.cut();
        let (directory, groups) = squeezer.take();
        self.index.set_lengths(&lengths);
        let mut coded = Vec::new();
        self.index.put(&mut coded);
        self.meta.index_bytes = coded.len() as u32;
        for part in [&coded, &head.table] {
            squeezer.add(&mut |out| out.extend_from_slice(part));
            squeezer.cut();
        }
        let (front_directory, mut parts) = squeezer.take();
        self.meta.directory_bytes = (front_directory.len() + directory.len()) as u32;
        let mut front = Vec::new();
        self.meta.put(&mut front);
        front.extend_from_slice(&front_directory);
        front.extend_from_slice(&directory);
        parts.insert(0, front.into());
        parts.extend(groups);
        self.parts = parts;
        let pages = self.parts.iter().map(|part| part.len()).sum::<usize>().div_ceil(BLOB_PAYLOAD) as u32;
        assert!(pages <= self.block.pages, "{pages} pages in a place for {}", self.block.pages);
        self.block.pages = pages;
        (self.index, self.stage) = (BlockIndex::default(), Stage::Pages);
    }

    /// Pages are filled until a run is full; the last run also ends the stage.
    fn next_run(&mut self) -> (u64, Vec<u8>) {
        let Site { file, opening, geometry, .. } = self.site;
        let writer = self.writer.get_or_insert_with(|| {
            let Block { number, start, pages, .. } = self.block;
            Writer::new(file, KIND_BLOCK, geometry.run(start), number, pages, opening)
        });
        loop {
            if let Some(run) = writer.take_run() {
                return run;
            }
            let rest = from(&self.parts, self.at);
            if rest.is_empty() {
                break;
            }
            let some = rest.len().min(BLOB_PAYLOAD);
            writer.add(&rest[..some]);
            self.at += some;
        }
        self.stage = Stage::BlockSync;
        writer.finish().expect("a block has at least the page of its meta, and its last page is never in a full run")
    }

    fn checkpoint(&self) -> (u64, Vec<u8>) {
        let Site { file, opening, geometry, .. } = self.site;
        let Block { number, start, pages, .. } = self.block;
        let (next_series, layout) = (self.next_series, self.site.layout);
        let commit = Commit { block: number, start, pages, next_series, layout };
        write_checkpoint(file, opening, &geometry, self.slot, &commit, &self.small)
    }
}

/// Returns bytes from an offset on, as far as they lie together.
fn from(parts: &[Box<[u8]>], mut offset: usize) -> &[u8] {
    for part in parts {
        match part.get(offset..) {
            Some(rest) if !rest.is_empty() => return rest,
            _ => offset -= part.len(),
        }
    }
    &[]
}

/// Returns a checkpoint's pages and their place.
pub(crate) fn write_checkpoint(
    file: u32,
    opening: u32,
    geometry: &Geometry,
    slot: u32,
    commit: &Commit,
    small: &Small,
) -> (u64, Vec<u8>) {
    let bytes = checkpoint(commit, small, geometry.slot_pages() as usize * BLOB_PAYLOAD);
    let pages = bytes.len().div_ceil(BLOB_PAYLOAD) as u32;
    let mut writer = Writer::new(file, KIND_CHECKPOINT, geometry.slot(slot), commit.block, pages, opening);
    writer.add(&bytes);
    let (offset, mut all) = writer.take_run().unwrap_or((geometry.slot(slot), Vec::new()));
    all.extend(writer.finish().map(|(_, rest)| rest).unwrap_or_default());
    (offset, all)
}

/// Drops what the ring no longer holds from the index of series, and returns how many rows that were.
pub(crate) fn forget(ring: &mut Ring, index: &mut Index, block: &Block) -> u64 {
    let gone = ring.make_room(block.start, block.pages);
    if gone.is_empty() {
        return 0;
    }
    index.forget_before(ring.blocks.front().map_or(block.number, |oldest| oldest.number));
    gone.iter().map(|block| u64::from(block.rows)).sum()
}

impl Head {
    /// Appends a copy of one stream from an offset on.
    pub fn copy(&self, which: Which, from: usize, out: &mut Vec<u8>) {
        if let Some(track) = self.track(which) {
            track.copy(&self.pool, from, out);
        }
    }

    /// Appends a copy of one stream from somewhere before a place on, and returns a reader that begins there.
    pub fn seek(&self, which: Which, seek: Seek, out: &mut Vec<u8>) -> TokenReader {
        self.track(which).map_or_else(TokenReader::default, |track| track.seek(&self.pool, seek, out))
    }

    fn track(&self, which: Which) -> Option<&Track> {
        match which {
            Which::Tick(source) => self.sources.get(source as usize).map(|source| &source.tick),
            Which::Base(source) => self.sources.get(source as usize).map(|source| &source.base),
            Which::Shape(source) => self.sources.get(source as usize).map(|source| &source.shape),
            Which::Values(column) => self.columns.get(column as usize).map(|column| &column.values),
            Which::Times(column) => self.columns.get(column as usize).and_then(|column| column.times.as_deref()),
        }
    }
}
