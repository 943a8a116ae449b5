//! Which rows of a batch are not stored, and why: counted by reason, because each asks for another remedy.
//!
//! A row that is stored already, with its time and its value, is no refusal and not counted.

/// How many rows were refused, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Refused {
    /// The index has `series_max` series.
    pub series_max: u64,
    /// Before 1970 or after 2262.
    pub time: u64,
    /// A histogram with too many buckets.
    pub histogram: u64,
    /// Not a label set.
    pub labels: u64,
    /// The same series twice in one batch.
    pub repeated: u64,
    /// More rows in one batch than a block of this file can hold.
    pub block_full: u64,
    /// New series for which the memory is lacking.
    pub memory: u64,
    /// Older than the newest sample of the series, and there is no window for late ones.
    pub out_of_order: u64,
    /// Older than the window for late samples.
    pub too_old: u64,
    /// The time of the series' newest sample, with another value.
    pub duplicate: u64,
}

impl Refused {
    /// Returns how many there are for any reason.
    pub fn total(&self) -> u64 {
        let order = self.out_of_order + self.too_old + self.duplicate;
        self.new_series() + self.time + self.histogram + self.labels + self.repeated + self.block_full + order
    }

    /// Returns how many there are for each reason, under the names that people see.
    pub fn by_reason(&self) -> [(&'static str, u64); 10] {
        [
            ("series_max", self.series_max),
            ("time", self.time),
            ("histogram", self.histogram),
            ("labels", self.labels),
            ("repeated", self.repeated),
            ("block_full", self.block_full),
            ("memory", self.memory),
            ("out_of_order", self.out_of_order),
            ("too_old", self.too_old),
            ("duplicate", self.duplicate),
        ]
    }

    /// Returns how many are of series for which there is no room.
    pub fn new_series(&self) -> u64 {
        self.series_max + self.memory
    }

    /// Adds what another append refused.
    pub fn add(&mut self, other: &Refused) {
        self.series_max += other.series_max;
        self.time += other.time;
        self.histogram += other.histogram;
        self.labels += other.labels;
        self.repeated += other.repeated;
        self.block_full += other.block_full;
        self.memory += other.memory;
        self.out_of_order += other.out_of_order;
        self.too_old += other.too_old;
        self.duplicate += other.duplicate;
    }
}

/// Why one row is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It is there already: neither refused nor stored again.
    Same,
    SeriesMax,
    Memory,
    Time,
    Histogram,
    Labels,
    Repeated,
    BlockFull,
    OutOfOrder,
    TooOld,
    Duplicate,
}

impl Refused {
    /// Counts a row.
    pub(crate) fn note(&mut self, reason: Reason) {
        let count = match reason {
            Reason::Same => return,
            Reason::SeriesMax => &mut self.series_max,
            Reason::Memory => &mut self.memory,
            Reason::Time => &mut self.time,
            Reason::Histogram => &mut self.histogram,
            Reason::Labels => &mut self.labels,
            Reason::Repeated => &mut self.repeated,
            Reason::BlockFull => &mut self.block_full,
            Reason::OutOfOrder => &mut self.out_of_order,
            Reason::TooOld => &mut self.too_old,
            Reason::Duplicate => &mut self.duplicate,
        };
        *count += 1;
    }
}
