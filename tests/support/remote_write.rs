//! Reads what a remote-write receiver gets: a Snappy block of a protobuf `WriteRequest`.
//!
//! Written from the two formats' descriptions and not from our own writer, so that a mistake there is not made here
//! again. Strict: what is not understood is an error, since no test sends it on purpose.

use std::collections::BTreeMap;

/// A sample as a receiver sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The labels in the order they came.
    pub labels: Vec<(String, String)>,
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// The value; a native histogram has its sum here.
    pub value: f64,
    /// Whether it is a native histogram.
    pub is_histogram: bool,
}

impl Sample {
    /// Returns a label's value, empty when there is none.
    pub fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    /// Returns the series as Prometheus writes it: `name{a="b",c="d"}`.
    pub fn series(&self) -> String {
        let rest: BTreeMap<&str, &str> =
            self.labels.iter().filter(|(n, _)| n != "__name__").map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let rest: Vec<String> = rest.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        let braces = if rest.is_empty() { String::new() } else { format!("{{{}}}", rest.join(",")) };
        format!("{}{braces}", self.label("__name__"))
    }

    /// Returns whether it marks the end of a series.
    pub fn is_stale(&self) -> bool {
        self.value.to_bits() == 0x7ff0_0000_0000_0002
    }
}

/// Reads a request's body.
///
/// # Errors
/// Says what is wrong with it.
pub fn read(body: &[u8]) -> Result<Vec<Sample>, String> {
    let request = unsnappy(body)?;
    let mut samples = Vec::new();
    each_field(&request, |field, value| match (field, value) {
        (1, Field::Bytes(series)) => read_series(series, &mut samples),
        (3, Field::Bytes(_)) => Ok(()),
        _ => Err(format!("field {field} in a write request")),
    })?;
    Ok(samples)
}

fn read_series(series: &[u8], samples: &mut Vec<Sample>) -> Result<(), String> {
    let mut labels: Vec<(String, String)> = Vec::new();
    let mut points = Vec::new();
    each_field(series, |field, value| {
        match (field, value) {
            (1, Field::Bytes(label)) => labels.push(read_label(label)?),
            (2, Field::Bytes(sample)) => points.push((read_point(sample, 1, 2)?, false)),
            (3, Field::Bytes(_)) => {}
            (4, Field::Bytes(histogram)) => points.push((read_point(histogram, 3, 15)?, true)),
            _ => return Err(format!("field {field} in a time series")),
        }
        Ok(())
    })?;
    if !labels.windows(2).all(|pair| pair[0].0 < pair[1].0) {
        return Err(format!("labels are not sorted: {labels:?}"));
    }
    if !points.windows(2).all(|pair| pair[0].0.1 < pair[1].0.1 || pair[0].1 != pair[1].1) {
        return Err(format!("samples are not ascending in time: {labels:?}"));
    }
    samples.extend(points.into_iter().map(|((value, at_ms), is_histogram)| Sample {
        labels: labels.clone(),
        at_ms,
        value,
        is_histogram,
    }));
    Ok(())
}

fn read_label(label: &[u8]) -> Result<(String, String), String> {
    let (mut name, mut text) = (String::new(), String::new());
    each_field(label, |field, value| {
        let Field::Bytes(bytes) = value else { return Err("a label that is no text".to_owned()) };
        let part = String::from_utf8(bytes.to_vec()).map_err(|e| e.to_string())?;
        match field {
            1 => name = part,
            2 => text = part,
            _ => return Err(format!("field {field} in a label")),
        }
        Ok(())
    })?;
    if name.is_empty() || text.is_empty() {
        Err(format!("an empty label: {name:?}={text:?}"))
    } else {
        Ok((name, text))
    }
}

/// Reads a value and a time out of a sample or a histogram, whose other fields are passed over.
fn read_point(sample: &[u8], value_field: u64, time_field: u64) -> Result<(f64, i64), String> {
    let mut point = (0.0, 0);
    each_field(sample, |field, value| {
        match value {
            Field::Fixed(bits) if field == value_field => point.0 = f64::from_bits(bits),
            Field::Varint(ms) if field == time_field => point.1 = ms as i64,
            _ if time_field == 2 => return Err(format!("field {field} in a sample")),
            _ => {}
        }
        Ok(())
    })?;
    Ok(point)
}

enum Field<'a> {
    Varint(u64),
    Fixed(u64),
    Bytes(&'a [u8]),
}

fn each_field(mut rest: &[u8], mut visit: impl FnMut(u64, Field<'_>) -> Result<(), String>) -> Result<(), String> {
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        let value = match key & 7 {
            0 => Field::Varint(varint(&mut rest)?),
            1 => Field::Fixed(u64::from_le_bytes(take(&mut rest, 8)?.try_into().expect("8 bytes"))),
            2 => {
                let length = varint(&mut rest)? as usize;
                Field::Bytes(take(&mut rest, length)?)
            }
            wire => return Err(format!("wire type {wire}")),
        };
        visit(key >> 3, value)?;
    }
    Ok(())
}

/// Decompresses a Snappy block (not the framed stream).
fn unsnappy(mut rest: &[u8]) -> Result<Vec<u8>, String> {
    let length = varint(&mut rest)? as usize;
    let mut out = Vec::new();
    while !rest.is_empty() {
        let tag = usize::from(take(&mut rest, 1)?[0]);
        if tag & 3 == 0 {
            let short = tag >> 2;
            let extra = if short < 60 { 0 } else { short - 59 };
            let literal = if extra == 0 { short } else { little_endian(take(&mut rest, extra)?) } + 1;
            out.extend_from_slice(take(&mut rest, literal)?);
            continue;
        }
        let (copy, offset) = match tag & 3 {
            1 => ((tag >> 2 & 7) + 4, (tag >> 5) << 8 | usize::from(take(&mut rest, 1)?[0])),
            2 => ((tag >> 2) + 1, little_endian(take(&mut rest, 2)?)),
            _ => ((tag >> 2) + 1, little_endian(take(&mut rest, 4)?)),
        };
        if offset == 0 || offset > out.len() {
            return Err(format!("a copy from {offset} back at {}", out.len()));
        }
        for _ in 0..copy {
            out.push(out[out.len() - offset]);
        }
    }
    if out.len() == length { Ok(out) } else { Err(format!("{} bytes where {length} were announced", out.len())) }
}

fn little_endian(bytes: &[u8]) -> usize {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | usize::from(*byte))
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], String> {
    let (head, tail) = rest.split_at_checked(length).ok_or("it ends too early")?;
    *rest = tail;
    Ok(head)
}

fn varint(rest: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("a number of more than 64 bits".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of the Snappy format description's kinds of elements, by hand.
    #[test]
    fn snappy_blocks_are_read_by_the_book() {
        assert_eq!(unsnappy(b"\x00").expect("empty"), b"");
        assert_eq!(unsnappy(b"\x03\x08abc").expect("a literal"), b"abc");
        // "ab", then 6 bytes from 2 back: a run that overlaps itself.
        assert_eq!(unsnappy(b"\x08\x04ab\x09\x02").expect("a short copy"), b"abababab");
        assert_eq!(unsnappy(b"\x05\x04ab\x0a\x02\x00").expect("a long copy"), b"ababa");
        let long: Vec<u8> = [&b"\x64\xf0\x63"[..], &[7; 100]].concat();
        assert_eq!(unsnappy(&long).expect("a long literal"), [7; 100]);
        assert!(unsnappy(b"\x08\x04ab\x09\x03").is_err(), "before the beginning");
        assert!(unsnappy(b"\x04\x08abc").is_err(), "too short");
    }

    /// `WriteRequest{up{job="a"} 1.5@7, 2@-1}` by hand.
    #[test]
    fn a_write_request_is_read_by_the_book() {
        let label = |name: &str, value: &str| {
            let inner =
                [&[0x0a, name.len() as u8], name.as_bytes(), &[0x12, value.len() as u8], value.as_bytes()].concat();
            [&[0x0a, inner.len() as u8], &inner[..]].concat()
        };
        let first = [&[0x12, 11, 0x09][..], &1.5f64.to_le_bytes(), &[0x10, 7]].concat();
        let series = [label("__name__", "up"), label("job", "a"), first].concat();
        let request = [&[0x0a, series.len() as u8], &series[..]].concat();
        let block = [&[request.len() as u8, 0xf0, request.len() as u8 - 1], &request[..]].concat();
        let samples = read(&block).expect("a request");
        assert_eq!((samples.len(), samples[0].value, samples[0].at_ms), (1, 1.5, 7));
        assert_eq!(samples[0].series(), "up{job=\"a\"}");
        let unsorted = [label("job", "a"), label("__name__", "up")].concat();
        assert!(read_series(&unsorted, &mut Vec::new()).is_err());
    }
}
