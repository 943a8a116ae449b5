//! Native histograms and start timestamps, through everything that may happen to them: the open block, the journal and
//! a restart, a sealed block, a ring that has gone round; bit for bit, by query and in the order of the outbox.
//!
//! Series change their layout now and then, are reset, have custom bounds, integer and float counts, and are floats for
//! a while or stale.

mod board;

use std::sync::Arc;

use board::{Board, options};
use model::{
    Batch, Counts, Histogram, Labels, MetricKind, Outbox, Querier, ResetHint, RowId, SeriesSamples, SourceId, Span,
    Steps, Tail, TimeRange, UnixMs, Value,
};
use tsdb::{Options, Reader};

/// A value with its start, as text in which every bit shows.
fn shown(value: &Value, start: Option<UnixMs>) -> String {
    let bits = |floats: &[f64]| floats.iter().map(|float| float.to_bits()).collect::<Vec<_>>();
    let Value::Histogram(found) = value else {
        return format!("{:?} {start:?}", value.float().map(f64::to_bits));
    };
    let counts = match &found.counts {
        Counts::Float { count, zero, positive, negative } => {
            format!("{:?} {:?} {:?}", bits(&[*count, *zero]), bits(positive), bits(negative))
        }
        integers => format!("{integers:?}"),
    };
    let Histogram { schema, zero_threshold, sum, hint, .. } = **found;
    let (spans, negative) = (&found.positive_spans, &found.negative_spans);
    let bounds = bits(&found.custom_bounds);
    format!("{schema} {:?} {hint:?} {spans:?} {negative:?} {bounds:?} {counts} {start:?}", bits(&[zero_threshold, sum]))
}

struct Seed(u64);

impl Seed {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// What one series does next.
fn next(seed: &mut Seed, last: &Histogram) -> Histogram {
    let mut found = last.clone();
    found.sum += seed.below(100) as f64 / 8.0;
    found.hint = if seed.below(20) == 0 { ResetHint::Reset } else { ResetHint::NotReset };
    if seed.below(25) == 0 {
        // Another layout: resolution, buckets, kind of counts, bounds.
        let buckets = 1 + seed.below(30) as usize;
        let is_custom = seed.below(3) == 0;
        found.schema = if is_custom { -53 } else { seed.below(9) as i32 };
        found.custom_bounds = (0..if is_custom { buckets - 1 } else { 0 }).map(|at| at as f64 * 0.1).collect();
        found.positive_spans = vec![Span { offset: seed.below(9) as i32 - 4, length: buckets as u32 }];
        found.counts = if seed.below(3) == 0 {
            Counts::Float { count: 0.5, zero: f64::from_bits(1), positive: vec![0.0; buckets], negative: Vec::new() }
        } else {
            Counts::Integer { count: 0, zero: 0, positive: vec![0; buckets], negative: Vec::new() }
        };
        return found;
    }
    match &mut found.counts {
        Counts::Integer { count, positive, .. } => {
            for bucket in positive.iter_mut() {
                let more = if seed.below(4) == 0 { seed.below(50) } else { 0 };
                (*bucket, *count) = (*bucket + more, *count + more);
            }
            *count = if seed.below(30) == 0 { 3 } else { *count };
        }
        Counts::Float { count, positive, .. } => {
            *count += 0.1;
            positive.iter_mut().for_each(|bucket| *bucket += seed.below(3) as f64 * 0.3);
        }
    }
    found
}

type Kept = Vec<(String, i64, String)>;

/// Returns the samples of a series as text.
fn told(labels: &Labels, samples: &SeriesSamples<'_>) -> Kept {
    let one = |(at, time): (usize, &UnixMs)| {
        let histogram = samples.histograms.iter().find(|(place, _)| *place == at).map(|(_, value)| value.clone());
        let value = histogram.unwrap_or(Value::Float(samples.floats[at]));
        (labels.to_string(), time.0, shown(&value, samples.starts.get(at).copied().flatten()))
    };
    samples.at.iter().enumerate().map(one).collect()
}

/// Returns every sample of the series `h`, by query.
fn selected(reader: &Reader) -> Kept {
    let mut found = Kept::new();
    let read = reader.select(&[], TimeRange::ALL, &mut |labels, samples| {
        found.append(&mut told(labels, &samples));
        true
    });
    read.expect("a selection");
    found.sort();
    found
}

/// Holds that what counts at steps is delivered, a histogram with the one before it, and nothing that is not there.
fn check_steps(reader: &Reader, kept: &Kept, first: UnixMs, step_ms: i64) {
    let steps = Steps { first, step_ms, count: 60 };
    let range = TimeRange { start: UnixMs(i64::MIN), end: steps.at(59) };
    let read = reader.select_steps(&[], range, steps, &mut |labels, samples| {
        let (found, name) = (told(labels, &samples), labels.to_string());
        assert!(found.iter().all(|sample| kept.binary_search(sample).is_ok()), "{found:?}");
        let all: Vec<_> = kept.iter().filter(|(labels, ..)| *labels == name).collect();
        let is_histogram = |at: usize| all[at].2.contains("Unknown") || all[at].2.contains("Reset");
        for step in 0..steps.count {
            let count = all.partition_point(|(_, at, _)| *at <= steps.at(step).0);
            let Some(at) = count.checked_sub(1) else { continue };
            assert!(found.binary_search(all[at]).is_ok(), "{:?} at {:?}", all[at], steps.at(step));
            if at > 0 && is_histogram(at) && is_histogram(at - 1) {
                assert!(found.binary_search(all[at - 1]).is_ok(), "what is before {:?}", all[at]);
            }
        }
        true
    });
    read.expect("a selection");
}

/// Returns the same as an upstream gets it, in steps of so many rows.
fn delivered(reader: &Reader, step: usize) -> Kept {
    let (mut tail, mut after, mut found) = (Tail::default(), RowId::default(), Kept::new());
    loop {
        reader.since(after, None, step, &mut tail).expect("rows");
        for row in &tail.rows {
            found.push((row.labels.to_string(), row.sample.at.0, shown(&row.sample.value, row.sample.start)));
        }
        if tail.until == after {
            found.sort();
            return found;
        }
        after = tail.until;
    }
}

#[test]
fn histograms_come_back_bit_for_bit_from_wherever_they_are() {
    for number in 1..=12 {
        let mut seed = Seed(number);
        let options = Options { file_bytes: 4 << 20, ..options() };
        let mut board = Board::new(options.clone());
        let plain = Counts::Integer { count: 0, zero: 0, positive: vec![0], negative: Vec::new() };
        let mut series = vec![
            Histogram {
                schema: 3,
                zero_threshold: 1e-128,
                sum: 0.0,
                positive_spans: vec![Span { offset: 0, length: 1 }],
                negative_spans: Vec::new(),
                custom_bounds: Vec::new(),
                counts: plain,
                hint: ResetHint::Unknown,
            };
            4
        ];
        let (mut kept, mut starts) = (Kept::new(), [None, Some(UnixMs(5)), None, Some(UnixMs(-7))]);
        for round in 0..240 {
            let mut batch = Batch::new();
            batch.family("h", "Help.", MetricKind::Histogram);
            for (place, last) in series.iter_mut().enumerate() {
                *last = next(&mut seed, last);
                let value = match seed.below(15) {
                    0 => Value::Float(seed.below(100) as f64 / 3.0),
                    1 => Value::Histogram(Arc::new(Histogram { sum: model::stale_nan(), ..last.clone() })),
                    _ => Value::Histogram(Arc::new(last.clone())),
                };
                if seed.below(40) == 0 {
                    starts[place] = Some(UnixMs(board.now.wall.0 - seed.below(1_000) as i64));
                }
                let name = place.to_string();
                batch.add(&[("n", name.as_str())], 0.0);
                batch.set(place, value.clone(), None, starts[place]);
                let labels = Labels::from_pairs([("__name__", "h"), ("n", name.as_str())]);
                kept.push((labels.to_string(), board.now.wall.0, shown(&value, starts[place])));
            }
            let appended = board.store.append(board.now, &batch, SourceId(1), &Labels::empty());
            assert_eq!(appended.refused.total(), 0);
            board.pass(15_000);
            if round % 60 == 59 {
                let mut kept = kept.clone();
                kept.sort();
                assert_eq!(selected(&board.store.reader()), kept, "seed {number}, round {round}");
                assert_eq!(delivered(&board.store.reader(), 7 + round), kept, "seed {number}, round {round}");
                // Open, then from the journal, then sealed, then sealed and opened again.
                match round / 60 {
                    0 | 2 => {
                        board.store.flush(board.now);
                        board.drain();
                        let now = board.now;
                        board = Board::open(board.disk.clone(), Vec::new(), options.clone(), now).0;
                        board.now = now;
                    }
                    _ => board.pass(7_200_000),
                }
                assert_eq!(selected(&board.store.reader()), kept, "seed {number}, round {round}, after");
                let begin = kept.iter().map(|(_, at, _)| *at).min().unwrap_or(0) + seed.below(90_000) as i64;
                check_steps(&board.store.reader(), &kept, UnixMs(begin), 1_000 + seed.below(120_000) as i64);
            }
        }
    }
}
