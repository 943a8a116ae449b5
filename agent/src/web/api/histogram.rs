//! Native histograms as JSON: count, sum, and the buckets that hold something, each with its bounds.
//!
//! ```json
//! {"count":"3","sum":"1.5","buckets":[[1,"-1","-0.5","1"],[3,"-0.001","0.001","1"],[0,"0.5","1","1"]]}
//! ```
//!
//! The first number of a bucket says which bounds belong to it: 0 the upper, 1 the lower, 2 none, 3 both. Source:
//! Prometheus, `util/jsonutil`.

use model::histogram::{CUSTOM_BUCKETS_SCHEMA, exponential_bound};
use model::{Counts, Histogram, Span};

use crate::web::json;

/// Appends a histogram.
pub(super) fn write(out: &mut String, histogram: &Histogram) {
    let (count, zero) = match &histogram.counts {
        Counts::Integer { count, zero, .. } => (*count as f64, *zero as f64),
        Counts::Float { count, zero, .. } => (*count, *zero),
    };
    out.push_str("{\"count\":");
    json::float(out, count);
    out.push_str(",\"sum\":");
    json::float(out, histogram.sum);
    let mut buckets = Buckets { out, any: false };
    let is_custom = histogram.schema == CUSTOM_BUCKETS_SCHEMA;
    // The bucket around zero takes what it covers from its neighbours.
    let width = histogram.zero_threshold;
    let below: Vec<(i32, f64)> = populated(histogram, &histogram.negative_spans, false).collect();
    for (index, count) in below.into_iter().rev() {
        let (lower, upper) = (
            -exponential_bound(index, histogram.schema),
            -exponential_bound(index.saturating_sub(1), histogram.schema),
        );
        buckets.push(1, lower, if upper > -width { -width } else { upper }, count);
    }
    if !is_custom {
        buckets.push(3, -width, width, zero.max(0.0));
    }
    for (index, count) in populated(histogram, &histogram.positive_spans, true) {
        let (lower, upper) = match is_custom {
            true => {
                (custom(index.saturating_sub(1), &histogram.custom_bounds), custom(index, &histogram.custom_bounds))
            }
            false => {
                let lower = exponential_bound(index.saturating_sub(1), histogram.schema);
                (if lower < width { width } else { lower }, exponential_bound(index, histogram.schema))
            }
        };
        // The lowest custom bucket holds all that is below, negative infinity too.
        let bounds = if is_custom && index == 0 { 3 } else { 0 };
        buckets.push(bounds, lower, upper, count);
    }
    if buckets.any {
        out.push(']');
    }
    out.push('}');
}

struct Buckets<'a> {
    out: &'a mut String,
    any: bool,
}

impl Buckets<'_> {
    fn push(&mut self, bounds: u8, lower: f64, upper: f64, count: f64) {
        if count == 0.0 {
            return;
        }
        self.out.push_str(if self.any { "," } else { ",\"buckets\":[" });
        self.any = true;
        self.out.push('[');
        self.out.push(char::from(b'0' + bounds));
        for value in [lower, upper, count] {
            self.out.push(',');
            json::float(self.out, value);
        }
        self.out.push(']');
    }
}

/// Walks the buckets of one side: each with its index and its count.
fn populated<'a>(
    histogram: &'a Histogram,
    spans: &'a [Span],
    is_positive: bool,
) -> impl Iterator<Item = (i32, f64)> + 'a {
    let mut index = 0i32;
    let indexes = spans.iter().flat_map(move |span| {
        let first = index.saturating_add(span.offset);
        index = first.saturating_add_unsigned(span.length);
        first..index
    });
    let mut at = 0;
    indexes.map_while(move |index| {
        let count = match (&histogram.counts, is_positive) {
            (Counts::Integer { positive, .. }, true) => positive.get(at).map(|count| *count as f64),
            (Counts::Integer { negative, .. }, false) => negative.get(at).map(|count| *count as f64),
            (Counts::Float { positive, .. }, true) => positive.get(at).copied(),
            (Counts::Float { negative, .. }, false) => negative.get(at).copied(),
        };
        at += 1;
        Some((index, count?))
    })
}

fn custom(index: i32, bounds: &[f64]) -> f64 {
    match usize::try_from(index) {
        Ok(index) => bounds.get(index).copied().unwrap_or(f64::INFINITY),
        Err(_) => f64::NEG_INFINITY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(histogram: &Histogram, expected: &str) {
        let mut out = String::new();
        write(&mut out, histogram);
        assert_eq!(out, expected);
    }

    fn span(offset: i32, length: u32) -> Span {
        Span { offset, length }
    }

    fn histogram() -> Histogram {
        Histogram {
            schema: 1,
            zero_threshold: 0.001,
            sum: 18.4,
            positive_spans: vec![span(0, 2), span(1, 1)],
            negative_spans: vec![span(0, 1), span(1, 1)],
            custom_bounds: Vec::new(),
            counts: Counts::Integer { count: 12, zero: 2, positive: vec![1, 0, 3], negative: vec![4, 2] },
            hint: model::ResetHint::Unknown,
        }
    }

    #[test]
    fn buckets_have_their_bounds() {
        check(
            &histogram(),
            "{\"count\":\"12\",\"sum\":\"18.4\",\"buckets\":[[1,\"-2\",\"-1.414213562373095\",\"2\"],\
             [1,\"-1\",\"-0.7071067811865475\",\"4\"],[3,\"-0.001\",\"0.001\",\"2\"],\
             [0,\"0.7071067811865475\",\"1\",\"1\"],[0,\"2\",\"2.82842712474619\",\"3\"]]}",
        );
        let counts = Counts::Float { count: 0.0, zero: 0.0, positive: vec![0.0; 3], negative: vec![0.0; 2] };
        check(&Histogram { counts, sum: f64::NAN, ..histogram() }, "{\"count\":\"0\",\"sum\":\"NaN\"}");
    }

    #[test]
    fn custom_bounds_reach_from_one_infinity_to_the_other() {
        let custom = Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            positive_spans: vec![span(0, 3)],
            negative_spans: Vec::new(),
            custom_bounds: vec![0.5, 2.0],
            counts: Counts::Float { count: 6.0, zero: 0.0, positive: vec![1.5, 2.5, 2.0], negative: Vec::new() },
            ..histogram()
        };
        check(
            &custom,
            "{\"count\":\"6\",\"sum\":\"18.4\",\"buckets\":[[3,\"-Inf\",\"0.5\",\"1.5\"],\
             [0,\"0.5\",\"2\",\"2.5\"],[0,\"2\",\"+Inf\",\"2\"]]}",
        );
    }

    #[test]
    fn odd_histograms_do_no_harm() {
        let far = Histogram {
            positive_spans: vec![span(i32::MAX, u32::MAX), span(i32::MIN, 7)],
            negative_spans: vec![span(i32::MIN, 1), span(i32::MIN, 1)],
            ..histogram()
        };
        for schema in [-4, 0, 8, 40, -60] {
            write(&mut String::new(), &Histogram { schema, ..far.clone() });
        }
    }
}
