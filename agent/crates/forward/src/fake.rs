//! The fake side of the seams, for this crate's tests: a ring in a `Vec`, and seeded random numbers.
//!
//! The ring follows the contract of [`model::Outbox`]: ids with gaps that are no samples, rows lost in the middle,
//! the oldest overwritten, undated rows that stop the walk, and reads that fail when told to.

use std::cell::Cell;
use std::collections::BTreeSet;

use model::{Labels, Mono, Now, Outbox, RowId, Sample, SelectError, Tail, TailRow, UnixMs, Value};

/// SplitMix64, seeded.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed ^ 0x5bf0_3635)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

pub fn now(ms: u64) -> Now {
    Now { mono: Mono(ms), wall: UnixMs(1_795_249_204_000 + ms as i64), wall_trusted: true }
}

pub fn row(n: u64, labels: &[(&str, &str)], at: i64, value: f64) -> TailRow {
    let sample = Sample { at: UnixMs(at), start: None, value: Value::Float(value) };
    TailRow { id: RowId { opening: 1, n }, labels: Labels::from_pairs(labels.iter().copied()), sample }
}

pub struct FakeOutbox {
    pub rows: Vec<TailRow>,
    pub lost: BTreeSet<RowId>,
    /// How many rows at the front were forgotten altogether; all were samples of opening 1.
    pub forgotten: u64,
    pub undated_from: Option<RowId>,
    pub fail_reads: Cell<u32>,
    pub reads: Cell<u64>,
    newest: RowId,
}

impl FakeOutbox {
    pub fn new() -> FakeOutbox {
        FakeOutbox {
            rows: Vec::new(),
            lost: BTreeSet::new(),
            forgotten: 0,
            undated_from: None,
            fail_reads: Cell::new(0),
            reads: Cell::new(0),
            newest: RowId { opening: 1, n: 0 },
        }
    }

    pub fn reopen(&mut self) {
        self.newest = RowId { opening: self.newest.opening + 1, n: 0 };
    }

    pub fn append(&mut self, labels: &[(&str, &str)], at: i64, value: f64) -> RowId {
        let id = self.newest.plus(1);
        self.newest = id;
        self.rows.push(TailRow { id, ..row(0, labels, at, value) });
        id
    }

    /// Takes an id that is no sample.
    pub fn skip(&mut self) {
        self.newest = self.newest.plus(1);
    }

    /// Overwrites the oldest rows and forgets that they ever were, so that a long life stays small.
    pub fn forget(&mut self, rows: usize) {
        self.rows.drain(..rows);
        self.forgotten += rows as u64;
    }

    /// Overwrites the oldest rows.
    pub fn overwrite(&mut self, rows: usize) {
        let oldest: Vec<RowId> = self.rows.iter().map(|r| r.id).filter(|id| !self.lost.contains(id)).collect();
        self.lost.extend(oldest.into_iter().take(rows));
    }
}

impl Outbox for FakeOutbox {
    fn since(&self, after: RowId, until: Option<RowId>, rows_max: usize, out: &mut Tail) -> Result<(), SelectError> {
        assert!(rows_max > 0);
        out.rows.clear();
        (out.until, out.overwritten, out.undated) = (after, 0, false);
        self.reads.set(self.reads.get() + 1);
        if self.fail_reads.get() > 0 {
            self.fail_reads.set(self.fail_reads.get() - 1);
            return Err(SelectError::Overwritten);
        }
        let end = until.unwrap_or(self.newest).min(self.newest);
        if after.opening <= 1 {
            out.overwritten = self.forgotten.min(end.n).saturating_sub(after.n);
        }
        for row in self.rows.iter().filter(|row| row.id > after && row.id <= end) {
            if self.undated_from.is_some_and(|from| row.id >= from) {
                out.undated = true;
                return Ok(());
            }
            if self.lost.contains(&row.id) {
                out.overwritten += 1;
            } else {
                out.rows.push(row.clone());
            }
            out.until = row.id;
            if out.rows.len() == rows_max {
                return Ok(());
            }
        }
        out.until = end.max(after);
        Ok(())
    }

    fn newest(&self) -> RowId {
        self.newest
    }
}
