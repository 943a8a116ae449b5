//! Rows of the open block that were sent with a date which, as it turned out, had not come yet.
//!
//! A clock that was set back was ahead before. What was sent meanwhile keeps its dates; here it is counted. It is a look
//! at every line of the block, which happens once when the clock is set back.

use model::RowId;

use crate::codec::TokenReader;
use crate::epochs::Epoch;
use crate::head::{Head, Source};

impl Head {
    /// Returns how many rows were sent with dates later than it is, by an epoch's heir, where the epoch ends.
    pub fn rows_ahead(&self, epoch: &Epoch) -> u64 {
        let Some(heir) = epoch.heir else { return 0 };
        let of_epoch = self.spans.iter().filter(|span| span.epoch == epoch.number);
        let end = of_epoch.map(|span| span.tick_max).max().unwrap_or(i64::MIN);
        if end == i64::MIN {
            return 0;
        }
        // The tick that had the date which counts now.
        let tick = end.saturating_add(heir.offset).saturating_sub(epoch.offset);
        self.sources.iter().map(|source| self.lines_ahead(source, tick, epoch.number, heir.after)).sum()
    }

    /// Returns how many rows up to `until` the lines of a source have that are later than a tick of an epoch.
    fn lines_ahead(&self, source: &Source, tick: i64, epoch: u32, until: RowId) -> u64 {
        let mut streams = [Vec::new(), Vec::new(), Vec::new()];
        for (track, bytes) in [&source.tick, &source.base, &source.shape].into_iter().zip(&mut streams) {
            track.copy(&self.pool, 0, bytes);
        }
        let [ticks, bases, shapes] = streams;
        let (mut tick_reader, mut base_reader, mut shape_reader) =
            (TokenReader::default(), TokenReader::default(), TokenReader::default());
        let mut rows = 0;
        while let (Some(found), Some(base), Some(shape)) =
            (tick_reader.next_int(&ticks, 0), base_reader.next_int(&bases, 0), shape_reader.next_int(&shapes, 0))
        {
            let span = self.spans.iter().rev().find(|span| i64::from(span.first) <= base);
            let Some(span) = span.filter(|span| span.epoch == epoch && found > tick) else { continue };
            let first = span.id.plus((base - i64::from(span.first)) as u64);
            let len = source.shapes.get(shape as usize).map_or(0, |shape| u64::from(shape.len()));
            if first <= until {
                rows += if first.opening == until.opening { (until.n + 1 - first.n).min(len) } else { len };
            }
        }
        rows
    }
}
