//! An answer of the query API, taken apart as far as printing needs it: series by series, sample by sample.
//!
//! What a value is shows in its shape, so the order of keys does not matter. Labels become a `Labels`, whose limits are
//! this program's: what another server stores beyond them is cut.

use std::borrow::Cow;

use model::Labels;

use super::json::{NotJson, Reader};

/// What stands around the data.
#[derive(Debug, Default)]
pub struct Envelope<'a> {
    /// What an error is, `bad_data: ...`; empty on success.
    pub error: String,
    /// Warnings and infos.
    pub notes: Vec<String>,
    /// The series, samples, names or values, as JSON.
    pub result: &'a str,
}

/// A sample.
#[derive(Debug, PartialEq, Eq)]
pub struct Point<'a> {
    /// Seconds since 1970, as they stand.
    pub at: &'a str,
    /// A number, or a histogram in the peer's notation.
    pub value: Cow<'a, str>,
}

/// Reads what stands around the data.
///
/// # Errors
/// When it is no JSON.
pub fn envelope(body: &str) -> Result<Envelope<'_>, NotJson> {
    let mut found = Envelope::default();
    let (mut kind, mut text) = (String::new(), String::new());
    Reader::new(body).object(&mut |key, reader| {
        match key {
            "errorType" => kind = reader.text()?.into_owned(),
            "error" => text = reader.text()?.into_owned(),
            "warnings" | "infos" => reader.list(&mut |reader| {
                found.notes.push(reader.text()?.into_owned());
                Ok(())
            })?,
            "data" if reader.peek() == b'{' => reader.object(&mut |key, reader| {
                let value = reader.skip()?;
                if key == "result" {
                    found.result = value;
                }
                Ok(())
            })?,
            "data" => found.result = reader.skip()?,
            _ => _ = reader.skip()?,
        }
        Ok(())
    })?;
    if !kind.is_empty() || !text.is_empty() {
        found.error = format!("{kind}: {text}");
    }
    Ok(found)
}

/// Hands out each series of a result with its samples; a scalar and a text are a series without labels, and what has
/// labels only, or is only a text of a list, one without samples: the text is its name.
///
/// # Errors
/// When it has another shape.
pub fn each(result: &str, visit: &mut dyn FnMut(Labels, &[Point<'_>])) -> Result<(), NotJson> {
    let mut points = Vec::new();
    let mut reader = Reader::new(result);
    // A pair of time and text, or a list of what has labels.
    let is_pair =
        result.trim_start().strip_prefix('[').is_some_and(|rest| !rest.trim_start().starts_with(['{', '"', ']']));
    if is_pair {
        points.push(pair(&mut reader)?);
        visit(Labels::empty(), &points);
        return Ok(());
    }
    reader.list(&mut |reader| {
        points.clear();
        if reader.peek() == b'"' {
            visit(Labels::from_pairs([(model::labels::NAME, &*reader.text()?)]), &points);
            return Ok(());
        }
        let mut found = None;
        let whole = *reader;
        reader.object(&mut |key, reader| {
            match key {
                "metric" => found = Some(labels(reader)?),
                "value" | "histogram" if reader.peek() == b'[' => points.push(pair(reader)?),
                "values" | "histograms" => reader.list(&mut |reader| {
                    points.push(pair(reader)?);
                    Ok(())
                })?,
                _ => _ = reader.skip()?,
            }
            Ok(())
        })?;
        let found = match found {
            Some(found) => found,
            None => labels(&mut { whole })?,
        };
        // Floats and histograms come one after the other.
        points.sort_by(|a, b| seconds(a).total_cmp(&seconds(b)));
        visit(found, &points);
        Ok(())
    })
}

/// Returns when a sample is, in seconds.
pub fn seconds(point: &Point<'_>) -> f64 {
    point.at.parse().unwrap_or(f64::NAN)
}

fn labels(reader: &mut Reader<'_>) -> Result<Labels, NotJson> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    reader.object(&mut |name, reader| {
        let value = reader.text()?;
        pairs.push((name.to_owned(), value.into_owned()));
        Ok(())
    })?;
    Ok(Labels::from_pairs(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))))
}

fn pair<'a>(reader: &mut Reader<'a>) -> Result<Point<'a>, NotJson> {
    let mut point = Point { at: "", value: Cow::Borrowed("") };
    reader.list(&mut |reader| {
        match reader.peek() {
            b'"' => point.value = reader.text()?,
            b'{' => point.value = Cow::Owned(histogram(reader)?),
            _ => point.at = reader.bare()?,
        }
        Ok(())
    })?;
    Ok(point)
}

/// Returns a histogram as the peer prints one: `{count:3, sum:1.5, [-1,-0.5):1, (0.5,1]:2}`.
fn histogram(reader: &mut Reader<'_>) -> Result<String, NotJson> {
    let mut out = String::from("{");
    reader.object(&mut |key, reader| {
        if key != "buckets" {
            let separator = if out.len() == 1 { "" } else { ", " };
            let value = reader.text()?;
            out.extend([separator, key, ":", &value]);
            return Ok(());
        }
        reader.list(&mut |reader| {
            let mut parts: Vec<Cow<'_, str>> = Vec::with_capacity(4);
            reader.list(&mut |reader| {
                parts.push(if reader.peek() == b'"' { reader.text()? } else { reader.bare()?.into() });
                Ok(())
            })?;
            let [bounds, lower, upper, count] = parts.as_slice() else {
                return Err(NotJson { at: 0, expected: "a bucket of four" });
            };
            let open = if matches!(&**bounds, "1" | "3") { "[" } else { "(" };
            let close = if matches!(&**bounds, "0" | "3") { "]:" } else { "):" };
            out.extend([", ", open, lower, ",", upper, close, count]);
            Ok(())
        })
    })?;
    out.push('}');
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(result: &str, expected: &[&str]) {
        let mut found = Vec::new();
        each(result, &mut |labels, points| {
            let points: Vec<String> = points.iter().map(|point| format!(" {}@{}", point.value, point.at)).collect();
            found.push(format!("{labels}{}", points.concat()));
        })
        .expect("an answer");
        assert_eq!(found, expected);
    }

    #[test]
    fn every_shape_of_answer_is_read() {
        check(r#"[1.5,"7"]"#, &["{} 7@1.5"]);
        check(r#"[{"metric":{"__name__":"up","a":"b"},"value":[1,"1"]}]"#, &["up{a=\"b\"} 1@1"]);
        check(r#"[{"metric":{},"values":[[1,"1"],[2,"NaN"]]}]"#, &["{} 1@1 NaN@2"]);
        check(r#"[{"__name__":"up","a":"b"},{"a":"c"}]"#, &["up{a=\"b\"}", "{a=\"c\"}"]);
        check(r#"["node","other"]"#, &["node", "other"]);
        check("[]", &[]);
        let buckets =
            r#"{"count":"3","sum":"1.5","buckets":[[1,"-1","-0.5","1"],[3,"-0.1","0.1","1"],[0,"0.5","1","1"]]}"#;
        let shown = "{count:3, sum:1.5, [-1,-0.5):1, [-0.1,0.1]:1, (0.5,1]:1}";
        check(&format!(r#"[{{"metric":{{}},"histogram":[3,{buckets}]}}]"#), &[&format!("{{}} {shown}@3")]);
        let both = format!(r#"[{{"metric":{{}},"values":[[1,"1"],[4,"2"]],"histograms":[[3,{buckets}]]}}]"#);
        check(&both, &[&format!("{{}} 1@1 {shown}@3 2@4")]);
    }

    #[test]
    fn the_envelope_is_taken_off() {
        let found = envelope(r#"{"status":"success","data":{"result":[1,"2"],"resultType":"scalar"},"infos":["i"]}"#);
        let found = found.expect("JSON");
        assert_eq!(
            (found.result, found.error.as_str(), found.notes.as_slice()),
            (r#"[1,"2"]"#, "", &["i".to_owned()][..])
        );
        let found = envelope(r#"{"status":"error","errorType":"bad_data","error":"no"}"#).expect("JSON");
        assert_eq!(found.error, "bad_data: no");
        assert_eq!(envelope(r#"{"status":"success","data":["a"]}"#).expect("JSON").result, r#"["a"]"#);
        assert!(each("[{\"metric\":3}]", &mut |_, _| {}).is_err() && each("7", &mut |_, _| {}).is_err());
    }
}
