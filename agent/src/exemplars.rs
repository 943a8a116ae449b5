//! The exemplars that are kept: so many of the newest, in memory, whoever brought them.
//!
//! Bounded by number, and each by the length of its labels, as with the peer; the oldest gives way. An exemplar that
//! comes again is not kept twice, and one that is older than the newest of its series is refused: both are counted. A
//! restart forgets them all. Source: Prometheus, `tsdb/exemplar.go`.

use std::collections::{BTreeMap, HashMap, VecDeque};

use model::{Batch, Exemplar, Labels, Matcher, MetricKind, TimeRange};

/// The longest labels of an exemplar, names and values together, in characters: OpenMetrics's and the peer's bound.
const LABEL_CHARS_MAX: usize = 128;

/// What was counted since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// How many are kept.
    pub held: u64,
    /// Of how many series.
    pub series: u64,
    /// Taken.
    pub taken: u64,
    /// Gave way to newer ones.
    pub overwritten: u64,
    /// Refused: the newest of their series came again.
    pub duplicate: u64,
    /// Refused: older than the newest of their series.
    pub out_of_order: u64,
    /// Refused: their labels are too long.
    pub labels: u64,
    /// Refused: more than are taken of one scrape.
    pub left_out: u64,
}

impl Counts {
    /// Adds the agent's own metrics about exemplars; none while nobody ever brought one.
    pub fn add_to(&self, out: &mut Batch) {
        if *self == Counts::default() {
            return;
        }
        let kinds = [MetricKind::Gauge, MetricKind::Counter];
        for (name, help, kind, value) in [
            ("narthex_exemplars", "Exemplars that are kept.", kinds[0], self.held),
            ("narthex_exemplars_series", "Series that have exemplars.", kinds[0], self.series),
            ("narthex_exemplars_appended_total", "Exemplars that were kept.", kinds[1], self.taken),
            (
                "narthex_exemplars_overwritten_total",
                "Exemplars that gave way to newer ones.",
                kinds[1],
                self.overwritten,
            ),
        ] {
            out.family(name, help, kind);
            out.add(&[], value as f64);
        }
        out.family("narthex_exemplars_refused_total", "Exemplars that were not kept, by reason.", kinds[1]);
        for (reason, count) in [
            ("duplicate", self.duplicate),
            ("out_of_order", self.out_of_order),
            ("labels", self.labels),
            ("scrape", self.left_out),
        ] {
            out.add(&[("reason", reason)], count as f64);
        }
    }
}

/// The newest exemplars.
#[derive(Debug)]
pub struct Exemplars {
    max: usize,
    kept: VecDeque<Exemplar>,
    /// Of each series that has some: how many, and the newest.
    series: HashMap<Labels, (usize, Exemplar)>,
    counts: Counts,
}

impl Exemplars {
    /// Returns room for so many; 0 keeps none.
    pub fn new(max: usize) -> Exemplars {
        Exemplars { max, kept: VecDeque::new(), series: HashMap::new(), counts: Counts::default() }
    }

    /// Makes room for so many from now on; the oldest give way.
    pub fn resize(&mut self, max: usize) {
        self.max = max;
        while self.kept.len() > max {
            self.drop_oldest();
        }
        self.kept.shrink_to(max);
    }

    /// Takes an exemplar; returns whether it is kept.
    pub fn add(&mut self, exemplar: Exemplar) -> bool {
        if self.max == 0 {
            return false;
        }
        let chars = |(name, value): (&str, &str)| name.chars().count() + value.chars().count();
        if exemplar.labels.iter().map(chars).sum::<usize>() > LABEL_CHARS_MAX {
            self.counts.labels += 1;
            return false;
        }
        if let Some((_, newest)) = self.series.get(&exemplar.series) {
            let is_timed = exemplar.has_time || newest.has_time;
            let is_same_time = exemplar.at == newest.at || !is_timed;
            if is_same_time && exemplar.labels == newest.labels && exemplar.value == newest.value {
                self.counts.duplicate += 1;
                return false;
            }
            let key = |exemplar: &Exemplar| (exemplar.at, ordered(exemplar.value));
            if key(&exemplar) < key(newest) {
                self.counts.out_of_order += 1;
                return false;
            }
        }
        if self.kept.len() >= self.max {
            self.drop_oldest();
        }
        let entry = self.series.entry(exemplar.series.clone()).or_insert_with(|| (0, exemplar.clone()));
        *entry = (entry.0 + 1, exemplar.clone());
        self.kept.push_back(exemplar);
        self.counts.taken += 1;
        true
    }

    /// Counts exemplars that nobody even tried to keep.
    pub fn leave_out(&mut self, count: u64) {
        self.counts.left_out += count;
    }

    fn drop_oldest(&mut self) {
        let Some(oldest) = self.kept.pop_front() else { return };
        self.counts.overwritten += 1;
        if let Some((count, _)) = self.series.get_mut(&oldest.series) {
            *count -= 1;
            if *count == 0 {
                self.series.remove(&oldest.series);
            }
        }
    }

    /// Returns the exemplars of a time whose series fit any of the selectors: series by their labels, each with its
    /// exemplars in the order in which they came.
    pub fn select(&self, range: TimeRange, selectors: &[&[Matcher]]) -> BTreeMap<&Labels, Vec<&Exemplar>> {
        let fits = |labels: &Labels| {
            selectors.iter().any(|matchers| matchers.iter().all(|matcher| matcher.matches_labels(labels)))
        };
        let mut found: BTreeMap<&Labels, Vec<&Exemplar>> =
            self.series.keys().filter(|labels| fits(labels)).map(|labels| (labels, Vec::new())).collect();
        for exemplar in self.kept.iter().filter(|exemplar| range.contains(exemplar.at)) {
            if let Some(exemplars) = found.get_mut(&exemplar.series) {
                exemplars.push(exemplar);
            }
        }
        found.retain(|_, exemplars| !exemplars.is_empty());
        found
    }

    /// Returns what is counted.
    pub fn counts(&self) -> Counts {
        Counts { held: self.kept.len() as u64, series: self.series.len() as u64, ..self.counts }
    }
}

/// Returns a key that orders floats.
fn ordered(value: f64) -> i64 {
    let bits = value.to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::UnixMs;

    fn exemplar(series: &str, trace: &str, value: f64, at: i64) -> Exemplar {
        Exemplar {
            series: Labels::from_pairs([("__name__", series)]),
            labels: Labels::from_pairs([("trace_id", trace)]),
            value,
            at: UnixMs(at),
            has_time: true,
        }
    }

    fn found(exemplars: &Exemplars, selector: &str, start: i64, end: i64) -> String {
        let matchers = promql::parse_selector(selector).expect("a selector");
        let range = TimeRange { start: UnixMs(start), end: UnixMs(end) };
        let all = exemplars.select(range, &[&matchers]);
        let show = |exemplar: &&Exemplar| exemplar.labels.get("trace_id").unwrap_or("-").to_owned();
        let shown = all
            .iter()
            .map(|(labels, list)| format!("{}:{}", labels.name(), list.iter().map(show).collect::<Vec<_>>().join(",")));
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_newest_are_kept_and_found_by_series_and_time() {
        let mut exemplars = Exemplars::new(3);
        for (series, trace, at) in [("b", "1", 10), ("a", "2", 20), ("b", "3", 30), ("b", "4", 40)] {
            assert!(exemplars.add(exemplar(series, trace, 1.0, at)));
        }
        assert_eq!(found(&exemplars, "{__name__=~\".+\"}", 0, 100), "a:2 b:3,4");
        assert_eq!(found(&exemplars, "b", 30, 39), "b:3");
        assert_eq!(found(&exemplars, "c", 0, 100), "");
        let counts = exemplars.counts();
        assert_eq!((counts.held, counts.series, counts.taken, counts.overwritten), (3, 2, 4, 1));
        exemplars.resize(1);
        assert_eq!(found(&exemplars, "{__name__=~\".+\"}", 0, 100), "b:4");
        exemplars.resize(0);
        assert!(!exemplars.add(exemplar("a", "5", 1.0, 50)) && exemplars.counts().held == 0);
        assert_eq!(exemplars.counts().series, 0);
    }

    #[test]
    fn what_comes_again_is_old_or_too_long_is_refused() {
        let mut exemplars = Exemplars::new(10);
        assert!(exemplars.add(exemplar("a", "1", 1.0, 10)));
        assert!(!exemplars.add(exemplar("a", "1", 1.0, 10)), "the same");
        assert!(!exemplars.add(exemplar("a", "0", 1.0, 9)), "older");
        assert!(!exemplars.add(exemplar("a", "0", -1.0, 10)), "of the same time and less");
        assert!(exemplars.add(exemplar("a", "1", 2.0, 10)), "of the same time and more");
        assert!(exemplars.add(exemplar("b", "1", 1.0, 1)), "of another series");
        let timeless = |at: i64| Exemplar { has_time: false, ..exemplar("c", "1", 1.0, at) };
        assert!(exemplars.add(timeless(1)));
        assert!(!exemplars.add(timeless(2)), "seen again in the next scrape");
        assert!(!exemplars.add(exemplar("a", &"é".repeat(121), 1.0, 99)), "129 characters");
        assert!(exemplars.add(exemplar("a", &"é".repeat(120), 1.0, 99)), "128 characters");
        let counts = exemplars.counts();
        assert_eq!((counts.duplicate, counts.out_of_order, counts.labels), (2, 2, 1));
    }
}
