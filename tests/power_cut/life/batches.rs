//! What a life appends: noise, series that come and go, late samples, a cell; each told to history as it should be found.

use model::{Batch, Labels, MetricKind, Outbox, RowId, SourceId, UnixMs};

use super::{Life, random};
use crate::history::{Event, cell};
use crate::{now, steps};

impl Life {
    pub(super) fn append(&mut self) {
        (self.step, self.ms) = (self.step + 1, self.ms + 1);
        self.stepped |= steps(self.ms) != self.steps;
        self.steps = steps(self.ms);
        let mut seed = (self.plan.seed << 32 | self.step).wrapping_mul(0x2545_f491_4f6c_dd1d) | 1;
        let mut batch = Batch::new();
        batch.family("m", "Some help.", MetricKind::Gauge);
        // Noise fills a block, and so do the labels of a series of which each second batch has another one; one series comes
        // and goes, one never changes.
        for series in 0..self.plan.noise {
            let value = f64::from_bits(random(&mut seed) >> 2);
            batch.add(&[("series", &series.to_string())], value);
        }
        batch.add(&[("series", "constant")], 1.0);
        let sometimes = |step: u64| step % 11 < 4;
        if sometimes(self.step) {
            batch.add(&[("series", "sometimes")], self.step as f64 / 10.0);
        }
        let mut vanished = Vec::new();
        if sometimes(self.step - 1) && !sometimes(self.step) {
            vanished.push(Labels::from_pairs([("__name__", "m"), ("series", "sometimes")]));
        }
        vanished.extend(self.fillers.take());
        if self.step % 2 == 1 {
            let text: String =
                (0..self.plan.filler).map(|_| (b'0' + (random(&mut seed) >> 9 & 63) as u8) as char).collect();
            batch.add(&[("series", "filler"), ("text", &text)], 1.0);
            self.fillers = Some(Labels::from_pairs([("__name__", "m"), ("series", "filler"), ("text", text.as_str())]));
        }
        self.append_batch(&batch, SourceId(1), &vanished);
        if self.step.is_multiple_of(3) {
            let mut batch = Batch::new();
            batch.family("m", "Some help.", MetricKind::Gauge);
            batch.add(&[("series", "late")], self.step as f64);
            batch.stamp_last(Some(UnixMs(now(self.ms).wall.0 - 1_234)), None);
            batch.add(&[("series", "other")], -(self.step as f64));
            self.append_batch(&batch, SourceId(2), &[]);
        }
        if self.history.once.is_none() {
            // Longer than a sector, so that a checkpoint can be torn.
            self.store.put_cell("once", &[7; 1_500]).expect("a small cell");
            self.history.once = Some(self.history.events.len());
        }
        if self.step.is_multiple_of(4) {
            self.version += 1;
            let newest = self.store.reader().newest();
            self.store.put_cell("version", &cell(self.version, newest)).expect("a small cell");
            self.history.events.push(Event::Cell { version: self.version });
        }
        self.take_ops();
    }

    fn append_batch(&mut self, batch: &Batch, source: SourceId, vanished: &[Labels]) {
        let now = now(self.ms);
        let appended = self.store.append(now, batch, source, &Labels::empty());
        assert_eq!((appended.refused.total(), appended.rows.len()), (0, batch.rows().len() as u64));
        for (at, row) in batch.rows().iter().enumerate() {
            let labels = Labels::from_packed(batch.packed(row)).expect("labels");
            let bits = row.value.float().expect("a float").to_bits();
            let time = row.at.unwrap_or(now.wall).0;
            self.history.row((appended.rows.first.plus(at as u64), labels, time, bits));
        }
        // After an opening it is not known which series a source had.
        let markers = if appended.vanished > 0 { vanished } else { &[] };
        assert_eq!(appended.vanished, markers.len() as u64);
        for (at, labels) in markers.iter().enumerate() {
            let id = RowId { opening: appended.rows.first.opening, n: appended.rows.end + at as u64 };
            self.history.row((id, labels.clone(), now.wall.0, model::STALE_NAN_BITS));
        }
    }
}
