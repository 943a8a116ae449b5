//! Answers for people and for spreadsheets: a table, or comma separated values.
//!
//! ```text
//!                       LAST      MIN      MAX  SERIES
//! ▁▂▃▅▇█▇▅▃▂▁▁▂▃▅        0.5      0.1     0.75  node_load1{instance="pi:9090", job="node"}
//! ```
//!
//! What may be long comes last in a line, and what a terminal would obey is escaped. The curve of a range is drawn on a
//! terminal only: its lowest and its highest value are the series' own, and a gap is a gap.

use std::collections::BTreeSet;

use model::{Labels, labels::NAME};

use super::answer::{Point, each, seconds};
use super::json::NotJson;

/// The widest curve, in characters.
const CURVE_WIDTH_MAX: usize = 48;

/// The eighths of a character's height.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Both ends of a range and its step, in seconds.
pub type Course = [f64; 3];

/// Appends an instant answer as a table.
///
/// # Errors
/// When it is no answer.
pub fn instant(out: &mut String, result: &str) -> Result<(), NotJson> {
    let mut rows = Vec::new();
    // A range selector has many samples of a series, and their times matter.
    let mut most = 0;
    each(result, &mut |_, points| most = most.max(points.len()))?;
    each(result, &mut |labels, points| match points {
        [only] if most == 1 => rows.push([printable(&only.value), name_of(&labels)]),
        many => {
            let all: Vec<String> =
                many.iter().map(|point| format!("{} @{}", printable(&point.value), point.at)).collect();
            rows.push([all.join("\n"), name_of(&labels)]);
        }
    })?;
    table(out, ["VALUE", "SERIES"], &rows, 0);
    Ok(())
}

/// Appends a range's answer as a table, with a curve where its course is given.
///
/// # Errors
/// When it is no answer.
pub fn range(out: &mut String, result: &str, curve: Option<Course>) -> Result<(), NotJson> {
    let mut rows = Vec::new();
    each(result, &mut |labels, points| {
        let last = points.last().map_or(String::new(), |point| printable(&point.value));
        let floats =
            || points.iter().filter_map(|point| point.value.parse::<f64>().ok()).filter(|value| !value.is_nan());
        let extreme = |pick: fn(f64, f64) -> f64| floats().reduce(pick).map_or("-".to_owned(), plain);
        let drawn = curve.map_or(String::new(), |course| drawn(points, course));
        rows.push([drawn, last, extreme(f64::min), extreme(f64::max), name_of(&labels)]);
    })?;
    let first = usize::from(curve.is_none());
    table(out, ["", "LAST", "MIN", "MAX", "SERIES"], &rows, first);
    Ok(())
}

/// Appends label sets, names or values, one a line.
///
/// # Errors
/// When it is no answer.
pub fn list(out: &mut String, result: &str) -> Result<(), NotJson> {
    each(result, &mut |labels, _| {
        out.push_str(&name_of(&labels));
        out.push('\n');
    })
}

/// Appends comma separated values (RFC 4180): a column for each label's name, then time and value where there are some.
///
/// # Errors
/// When it is no answer.
pub fn csv(out: &mut String, result: &str, has_samples: bool) -> Result<(), NotJson> {
    let mut names: BTreeSet<String> = BTreeSet::new();
    each(result, &mut |labels, _| names.extend(labels.iter().map(|(name, _)| name.to_owned())))?;
    let samples: &[&str] = if has_samples { &["timestamp", "value"] } else { &[] };
    record(out, names.iter().map(String::as_str).chain(samples.iter().copied()));
    each(result, &mut |labels, points| {
        let columns = || names.iter().map(|name| labels.get(name).unwrap_or(""));
        if !has_samples {
            record(out, columns());
        }
        for point in points {
            record(out, columns().chain([point.at, &*point.value]));
        }
    })
}

fn record<'a>(out: &mut String, fields: impl Iterator<Item = &'a str>) {
    for (at, field) in fields.enumerate() {
        if at > 0 {
            out.push(',');
        }
        if field.contains([',', '"', '\n', '\r']) {
            out.extend(["\"", &field.replace('"', "\"\""), "\""]);
        } else {
            out.push_str(field);
        }
    }
    out.push_str("\r\n");
}

/// Appends rows under their heads, from column `first` on; numbers stand to the right, the last column is as wide as it
/// likes. A field of several lines takes several.
fn table<const N: usize>(out: &mut String, heads: [&str; N], rows: &[[String; N]], first: usize) {
    let width = |column: usize| {
        let fields = rows.iter().map(|row| row[column].as_str()).chain([heads[column]]);
        fields.flat_map(str::lines).map(|line| line.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut line = |fields: [&str; N]| {
        for (column, field) in fields.iter().enumerate().skip(first) {
            if column + 1 == N {
                out.extend([field, "\n"]);
            } else {
                // A curve begins on the left; numbers end on the right.
                let (left, right) = if heads[column].is_empty() { (0, 1) } else { (1, 0) };
                let pad = " ".repeat(widths[column].saturating_sub(field.chars().count()));
                out.extend([&pad[..pad.len() * left], field, &pad[..pad.len() * right], "  "]);
            }
        }
    };
    line(heads);
    for row in rows {
        let lines: Vec<Vec<&str>> = row.iter().map(|field| field.lines().collect()).collect();
        let most = lines.iter().map(Vec::len).max().unwrap_or(0);
        for at in 0..most {
            line(std::array::from_fn(|column| lines[column].get(at).copied().unwrap_or("")));
        }
    }
}

/// Draws a series: the mean of each stretch of time between the lowest and the highest of them.
fn drawn(points: &[Point<'_>], [start, end, step]: Course) -> String {
    let mut stretches = [(0.0, 0u32); CURVE_WIDTH_MAX];
    // Each step has its place, or several share one.
    let steps = ((end - start) / step).floor().max(0.0) + 1.0;
    let width = (steps as usize).clamp(1, CURVE_WIDTH_MAX);
    let share = width as f64 / (steps * step);
    for point in points {
        let Some(value) = point.value.parse::<f64>().ok().filter(|value| value.is_finite()) else { continue };
        let at = ((seconds(point) - start) * share) as usize;
        if let Some((sum, count)) = stretches.get_mut(at.min(width - 1)) {
            (*sum, *count) = (*sum + value, *count + 1);
        }
    }
    let mean = |(sum, count): &(f64, u32)| (*count > 0).then(|| sum / f64::from(*count));
    let means: Vec<Option<f64>> = stretches.iter().take(width).map(mean).collect();
    let lowest = means.iter().flatten().copied().fold(f64::INFINITY, f64::min);
    let highest = means.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max);
    let bar = |value: f64| {
        let height = if highest > lowest { (value - lowest) / (highest - lowest) * 7.99 } else { 0.0 };
        BARS[(height as usize).min(BARS.len() - 1)]
    };
    means.into_iter().map(|mean| mean.map_or(' ', bar)).collect()
}

fn plain(value: f64) -> String {
    let mut out = String::new();
    model::float::write_plain(&mut out, value);
    out
}

fn name_of(labels: &Labels) -> String {
    // What is only a name need not look like one.
    let text = match (labels.len(), labels.get(NAME)) {
        (1, Some(name)) => name.to_owned(),
        _ => labels.to_string(),
    };
    printable(&text)
}

/// Returns a text without what a terminal would obey.
fn printable(text: &str) -> String {
    if !text.contains(char::is_control) {
        return text.to_owned();
    }
    text.chars()
        .map(|letter| if letter.is_control() { letter.escape_default().to_string() } else { letter.to_string() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(write: impl Fn(&mut String) -> Result<(), NotJson>, expected: &str) {
        let mut out = String::new();
        write(&mut out).expect("an answer");
        assert_eq!(out, expected, "\n{out}");
    }

    const VECTOR: &str =
        r#"[{"metric":{"__name__":"up","a":"b,\"\u001b[2J"},"value":[1,"1"]},{"metric":{},"value":[2,"12.5"]}]"#;
    const MATRIX: &str =
        r#"[{"metric":{"a":"x"},"values":[[10,"1"],[20,"2"],[40,"3.5"]]},{"metric":{"b":"y"},"values":[[30,"NaN"]]}]"#;

    #[test]
    fn tables_line_up_and_terminals_are_not_obeyed() {
        check(|out| instant(out, VECTOR), "VALUE  SERIES\n    1  up{a=\"b,\\\"\\u{1b}[2J\"}\n 12.5  {}\n");
        check(|out| instant(out, "[5,\"7\"]"), "VALUE  SERIES\n    7  {}\n");
        check(
            |out| instant(out, MATRIX),
            "  VALUE  SERIES\n  1 @10  {a=\"x\"}\n  2 @20  \n3.5 @40  \nNaN @30  {b=\"y\"}\n",
        );
        check(|out| list(out, r#"[{"__name__":"up","a":"b"},{"a":"c"}]"#), "up{a=\"b\"}\n{a=\"c\"}\n");
        check(|out| list(out, r#"["a b","c\nd"]"#), "a b\nc\\nd\n");
    }

    #[test]
    fn a_range_shows_its_course() {
        let plain = "LAST  MIN  MAX  SERIES\n 3.5    1  3.5  {a=\"x\"}\n NaN    -    -  {b=\"y\"}\n";
        check(|out| range(out, MATRIX, None), plain);
        let drawn = "      LAST  MIN  MAX  SERIES\n▁▄ █   3.5    1  3.5  {a=\"x\"}\n       NaN    -    -  {b=\"y\"}\n";
        check(|out| range(out, MATRIX, Some([10.0, 40.0, 10.0])), drawn);
    }

    #[test]
    fn curves_have_gaps_and_a_bounded_width() {
        let point = |at: &'static str, value: &'static str| Point { at, value: value.into() };
        let points = [point("0", "5"), point("1", "5"), point("9", "5"), point("10", "+Inf")];
        assert_eq!(drawn(&points, [0.0, 10.0, 1.0]), "▁▁       ▁ ");
        assert_eq!(drawn(&points[..1], [0.0, 0.0, 1.0]), "▁");
        let many: Vec<String> = (0..1_000).map(|at| at.to_string()).collect();
        let points: Vec<Point<'_>> = many.iter().map(|at| Point { at, value: at.as_str().into() }).collect();
        let curve = drawn(&points, [0.0, 999.0, 1.0]);
        assert_eq!(
            (curve.chars().count(), curve.starts_with('▁'), curve.ends_with('█')),
            (CURVE_WIDTH_MAX, true, true)
        );
    }

    #[test]
    fn csv_has_a_column_for_each_label() {
        check(|out| csv(out, VECTOR, true), "__name__,a,timestamp,value\r\nup,\"b,\"\"\u{1b}[2J\",1,1\r\n,,2,12.5\r\n");
        check(|out| csv(out, r#"["a","b"]"#, false), "__name__\r\na\r\nb\r\n");
    }
}
