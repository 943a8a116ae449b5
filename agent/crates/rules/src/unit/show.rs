//! How promtool 3.5 prints what a unit test expected and what it got.
//!
//! Only texts are made here; what is equal is decided in `run`.

use promql::script::labels_text;

use super::file::Pairs;

/// An alert as it is compared and printed; both lists are in order of names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShownAlert {
    pub labels: Pairs,
    pub annotations: Pairs,
}

/// A sample as it is compared and printed.
#[derive(Debug, Clone)]
pub struct ShownSample {
    pub labels: Pairs,
    pub value: f64,
    /// Empty where it is a float.
    pub histogram: String,
}

fn pairs_text(pairs: &Pairs) -> String {
    labels_text(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

/// Returns alerts as a list, indented for a report.
pub fn alerts(alerts: &[ShownAlert]) -> String {
    if alerts.is_empty() {
        return "[]".to_owned();
    }
    let one = |(at, alert): (usize, &ShownAlert)| {
        let (labels, annotations) = (pairs_text(&alert.labels), pairs_text(&alert.annotations));
        format!("\n            {at}:\n              Labels:{labels}\n              Annotations:{annotations}")
    };
    let all: Vec<String> = alerts.iter().enumerate().map(one).collect();
    ["[", &all.join(","), "\n            ]"].concat()
}

/// Returns samples in one line.
pub fn samples(samples: &[ShownSample]) -> String {
    if samples.is_empty() {
        return "nil".to_owned();
    }
    let one = |sample: &ShownSample| {
        let value = if sample.histogram.is_empty() { scientific(sample.value) } else { sample.histogram.clone() };
        [&pairs_text(&sample.labels), " ", &value].concat()
    };
    samples.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Returns a float as Go's `FormatFloat(value, 'E', -1)` prints it: `2.5E+03`.
fn scientific(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let text = format!("{value:E}");
    let (digits, exponent) = text.split_once('E').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{digits}E{sign}{exponent:0>2}")
}

/// Returns a time as Go's `time.Duration` prints it: `1h30m0s`, `2.5s`, `10ms`.
pub fn go_duration(ms: u64) -> String {
    if ms == 0 {
        return "0s".to_owned();
    }
    if ms < 1000 {
        return format!("{ms}ms");
    }
    let (hours, minutes) = (ms / 3_600_000, ms / 60_000 % 60);
    let fraction = format!("{:03}", ms % 1000);
    let fraction = match fraction.trim_end_matches('0') {
        "" => String::new(),
        digits => [".", digits].concat(),
    };
    let seconds = format!("{}{fraction}s", ms / 1000 % 60);
    match (hours, minutes) {
        (0, 0) => seconds,
        (0, minutes) => format!("{minutes}m{seconds}"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_print_as_in_go() {
        for (value, expected) in [
            (1.0, "1E+00"),
            (0.0, "0E+00"),
            (2.9999999999999987, "2.9999999999999987E+00"),
            (5400.5, "5.4005E+03"),
            (-1e-7, "-1E-07"),
            (1e300, "1E+300"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(scientific(value), expected);
        }
        for (ms, expected) in [
            (0, "0s"),
            (10, "10ms"),
            (2_500, "2.5s"),
            (60_000, "1m0s"),
            (5_400_000, "1h30m0s"),
            (86_400_001, "24h0m0.001s"),
        ] {
            assert_eq!(go_duration(ms), expected);
        }
    }
}
