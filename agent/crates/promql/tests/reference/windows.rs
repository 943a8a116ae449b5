//! Functions of the samples of one range, as the documentation reads: plain sums, nothing kept from range to range.

/// A range: behind `from`, up to `to`, in milliseconds; and the time of evaluation.
pub struct Range<'a> {
    pub from: i64,
    pub to: i64,
    pub at: i64,
    pub samples: &'a [(i64, f64)],
}

/// Returns what a function makes of a range that is not empty.
pub fn window(name: &str, param: f64, range: &Range<'_>) -> Option<f64> {
    let values: Vec<f64> = range.samples.iter().map(|(_, value)| *value).collect();
    let n = values.len();
    let pairs = || values.windows(2);
    Some(match name {
        "rate" => extrapolated(range, true)? / ((range.to - range.from) as f64 / 1000.0),
        "increase" => extrapolated(range, true)?,
        "delta" => extrapolated(range, false)?,
        "irate" | "idelta" => {
            let [.., (before_at, before), (last_at, last)] = *range.samples else { return None };
            let change = if name == "irate" && last < before { last } else { last - before };
            if name == "irate" { change / ((last_at - before_at) as f64 / 1000.0) } else { change }
        }
        "changes" => {
            pairs().filter(|pair| pair[0] != pair[1] && !(pair[0].is_nan() && pair[1].is_nan())).count() as f64
        }
        "resets" => pairs().filter(|pair| pair[1] < pair[0]).count() as f64,
        "sum_over_time" => values.iter().sum(),
        "avg_over_time" => values.iter().sum::<f64>() / n as f64,
        "min_over_time" => values.iter().copied().fold(f64::NAN, |a, b| if b < a || a.is_nan() { b } else { a }),
        "max_over_time" => values.iter().copied().fold(f64::NAN, |a, b| if b > a || a.is_nan() { b } else { a }),
        "count_over_time" => n as f64,
        "last_over_time" => values[n - 1],
        "present_over_time" => 1.0,
        "stdvar_over_time" => variance(&values),
        "stddev_over_time" => variance(&values).sqrt(),
        "quantile_over_time" => quantile(param, &values),
        "mad_over_time" => {
            let median = quantile(0.5, &values);
            quantile(0.5, &values.iter().map(|value| (value - median).abs()).collect::<Vec<_>>())
        }
        "deriv" => line(range, range.samples[0].0)?.0,
        "predict_linear" => {
            let (slope, level) = line(range, range.at)?;
            slope * param + level
        }
        other => panic!("{other} is not made by the generator"),
    })
}

pub fn variance(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / values.len() as f64
}

pub fn quantile(q: f64, values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| b.is_nan().cmp(&a.is_nan()).then(a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal)));
    let rank = q * (sorted.len() - 1) as f64;
    let (below, weight) = (rank.floor() as usize, rank - rank.floor());
    sorted[below] * (1.0 - weight) + sorted[(below + 1).min(sorted.len() - 1)] * weight
}

fn extrapolated(range: &Range<'_>, is_counter: bool) -> Option<f64> {
    let [(first_at, first), .., (last_at, last)] = *range.samples else { return None };
    let mut change = last - first;
    if is_counter {
        change += range.samples.windows(2).filter(|pair| pair[1].1 < pair[0].1).map(|pair| pair[0].1).sum::<f64>();
    }
    let seconds = |ms: i64| ms as f64 / 1000.0;
    let sampled = seconds(last_at - first_at);
    let average = sampled / (range.samples.len() - 1) as f64;
    // Where the series seems to begin or end within the range, half an interval is added and no more.
    let reach = |gap: f64| if gap >= average * 1.1 { average / 2.0 } else { gap };
    let (mut before, after) = (reach(seconds(first_at - range.from)), reach(seconds(range.to - last_at)));
    if is_counter && change > 0.0 && first >= 0.0 {
        before = before.min(sampled * (first / change));
    }
    Some(change * ((sampled + before + after) / sampled))
}

/// Slope and level at a time of the line of least squares.
fn line(range: &Range<'_>, zero: i64) -> Option<(f64, f64)> {
    let n = range.samples.len() as f64;
    if range.samples.len() < 2 {
        return None;
    }
    let first = range.samples[0].1;
    if range.samples.iter().all(|(_, value)| *value == first) {
        return Some(if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) });
    }
    let points = || range.samples.iter().map(|(at, value)| ((at - zero) as f64 / 1000.0, *value));
    let sum = |of: &dyn Fn((f64, f64)) -> f64| points().map(of).sum::<f64>();
    let (x, y) = (sum(&|p| p.0) / n, sum(&|p| p.1) / n);
    let slope = (sum(&|p| p.0 * p.1) - n * x * y) / (sum(&|p| p.0 * p.0) - n * x * x);
    Some((slope, y - slope * x))
}
