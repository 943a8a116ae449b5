//! Series of the test language whose samples come as time passes: what unit tests of rules run on.
//!
//! A sample of a later time than was revealed is not there for anybody, as in Prometheus's `LazyLoader`; what rules
//! record is appended beside it. A sample that is not later than the series' last is left out without a word, as a
//! storage would refuse it. No clock: who owns the data says how far time has come.

use std::sync::Arc;

use model::{Labels, Matcher, Querier, SelectError, TimeRange, UnixMs, Value};

use super::series::{self, Slot};
use super::store::Store;
use crate::hist::Hist;

/// Series in memory, seen up to a time.
pub struct Data {
    step_ms: i64,
    waiting: Vec<Waiting>,
    store: Store,
}

/// A series that has samples to come.
struct Waiting {
    labels: Labels,
    place: usize,
    slots: Vec<Slot>,
    next: usize,
}

impl Data {
    /// Reads series and their values, one value each `step_ms` from time 0 on. The last of equal series counts, and an
    /// empty line ends all, both as in Prometheus.
    ///
    /// # Errors
    /// The first thing wrong, as `line:column: parse error: ..`; the first series stands on line 2, below its `load`.
    pub fn new(step_ms: i64, series: &[(String, String)]) -> Result<Data, String> {
        let text: String = series.iter().map(|(series, values)| format!("{series} {values}\n")).collect();
        let mut data = Data { step_ms, waiting: Vec::new(), store: Store::default() };
        for (at, line) in text.lines().map(str::trim).enumerate() {
            if line.is_empty() || line.starts_with('#') {
                break;
            }
            let number = at as u32 + 2;
            let (labels, rest) = series::labels_at(line).map_err(|mut error| {
                error.line = number;
                error.to_string()
            })?;
            let column = line.len() - rest.len() + 1;
            let slots = series::slots(rest).map_err(|error| format!("{number}:{column}: parse error: {error}"))?;
            data.waiting.retain(|other| other.labels != labels);
            let place = data.store.place(&labels);
            data.waiting.push(Waiting { labels, place, slots, next: 0 });
        }
        Ok(data)
    }

    /// Lets time pass: samples up to and at `until` are there from now on.
    pub fn reveal(&mut self, until: UnixMs) {
        for series in &mut self.waiting {
            while let Some(slot) = series.slots.get(series.next) {
                let at = UnixMs((series.next as i64).saturating_mul(self.step_ms));
                if at > until {
                    break;
                }
                self.store.push(series.place, at, slot);
                series.next += 1;
            }
        }
    }

    /// Appends a sample.
    pub fn append(&mut self, labels: &Labels, at: UnixMs, value: &Value) {
        let slot = match value {
            Value::Float(value) => Slot::Float(*value),
            Value::Histogram(histogram) => Slot::Hist(Arc::new(Hist::from_model(histogram)), false),
        };
        let place = self.store.place(labels);
        self.store.push(place, at, &slot);
    }
}

impl Querier for Data {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        visit: &mut model::seams::Visitor<'_>,
    ) -> Result<(), SelectError> {
        self.store.select(matchers, range, visit)
    }

    fn series(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        visit: &mut dyn FnMut(&Labels) -> bool,
    ) -> Result<(), SelectError> {
        self.store.series(matchers, range, visit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Engine, QueryValue};

    fn pair(series: &str, values: &str) -> (String, String) {
        (series.to_owned(), values.to_owned())
    }

    fn count(data: &Data) -> f64 {
        let expr = crate::parse("count_over_time(a[1h])").expect("an expression");
        let answer = Engine::default().instant(data, &expr, UnixMs(600_000), &|| false).expect("an answer");
        let QueryValue::Vector(items) = answer.value else { panic!("a vector") };
        items.first().and_then(|item| item.value.float()).unwrap_or(0.0)
    }

    #[test]
    fn samples_come_as_time_passes() {
        let mut data = Data::new(60_000, &[pair("a", "9"), pair("a", "1 2 _ 4 5")]).expect("series");
        assert_eq!(count(&data), 0.0);
        data.reveal(UnixMs(179_999));
        assert_eq!(count(&data), 2.0);
        data.reveal(UnixMs(180_000));
        assert_eq!(count(&data), 3.0);
        let labels = Labels::from_pairs([(model::labels::NAME, "a")]);
        data.append(&labels, UnixMs(180_000), &Value::Float(7.0));
        assert_eq!(count(&data), 3.0, "the time is taken");
        data.append(&labels, UnixMs(180_001), &Value::Float(7.0));
        assert_eq!(count(&data), 4.0);
    }

    #[test]
    fn errors_have_their_place() {
        let error = |series: &str, values: &str| Data::new(1, &[pair("a", "1"), pair(series, values)]).err();
        assert_eq!(
            error("up{job=\"p\"", "0").as_deref(),
            Some("3:12: parse error: unexpected character inside braces: '0'")
        );
        assert!(error("up", "0x").is_some_and(|error| error.starts_with("3:4: parse error: ")));
        assert!(error("up{a=~\"b\"}", "0").is_some());
        assert!(error("", "0x").is_some());
    }
}
