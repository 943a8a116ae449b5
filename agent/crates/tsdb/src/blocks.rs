//! What the ring holds, block by block: for whoever shows it, copies it, or looks for damage.
//!
//! It is told from the index alone, without a read of the medium.

use model::{RowId, UnixMs};

use crate::layout::PAGE;
use crate::reader::Reader;

/// One sealed block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockInfo {
    /// Its number; they grow by one.
    pub number: u64,
    /// How many rows it has.
    pub rows: u32,
    /// The id of its first row.
    pub first: RowId,
    /// The id behind its last row.
    pub end: RowId,
    /// The oldest time of a row.
    pub oldest: UnixMs,
    /// The newest time of a row.
    pub newest: UnixMs,
    /// Where it lies in the data file: offsets and bytes.
    pub places: Vec<(u64, u64)>,
}

impl Reader {
    /// Returns the sealed blocks, oldest first.
    pub fn blocks(&self) -> Vec<BlockInfo> {
        let state = self.shared.read();
        let geometry = self.shared.geometry;
        let bytes = |pages: u32| u64::from(pages) * PAGE as u64;
        let blocks = state.ring.blocks.iter().map(|block| BlockInfo {
            number: block.number,
            rows: block.rows,
            first: block.first,
            end: block.end,
            oldest: UnixMs(block.oldest),
            newest: UnixMs(block.newest),
            places: geometry
                .pieces_of(block.start, block.pages)
                .into_iter()
                .map(|piece| (bytes(piece.first), bytes(piece.pages)))
                .collect(),
        });
        blocks.collect()
    }
}
