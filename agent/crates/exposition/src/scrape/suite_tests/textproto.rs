//! Encodes the text form of `MetricFamily` messages, as the upstream tables hold it, so that they can be read.
//!
//! Only what those texts and our own use: `name: value` and `name: < ... >`, one a line or not. Field numbers are client_model's.

/// Returns the messages, each behind its length.
pub(crate) fn delimited<'a>(families: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let mut out = Vec::new();
    for family in families {
        let mut rest = family;
        let message = message("family", &mut rest);
        put_varint(&mut out, message.len() as u64);
        out.extend(message);
    }
    out
}

/// A field's number and how it is written: `m`essage, `t`ext, `d`ouble, `u`nsigned, `z`igzag.
fn field(message: &str, name: &str) -> (u64, char, &'static str) {
    match (message, name) {
        ("family", "name") => (1, 't', ""),
        ("family", "help") => (2, 't', ""),
        ("family", "type") => (3, 'e', ""),
        ("family", "metric") => (4, 'm', "metric"),
        ("metric", "label") => (1, 'm', "label"),
        ("metric", "counter") => (3, 'm', "counter"),
        ("metric", "gauge") => (2, 'm', "gauge"),
        ("metric", "summary") => (4, 'm', "summary"),
        ("metric", "untyped") => (5, 'm', "gauge"),
        ("counter" | "gauge", "value") => (1, 'd', ""),
        ("counter", "exemplar") => (2, 'm', "exemplar"),
        ("counter", "start_timestamp") => (3, 'm', "timestamp"),
        ("summary", "sample_count") => (1, 'u', ""),
        ("summary", "sample_sum") => (2, 'd', ""),
        ("summary", "quantile") => (3, 'm', "quantile"),
        ("quantile", "quantile") => (1, 'd', ""),
        ("quantile", "value") => (2, 'd', ""),
        ("exemplar", "label") => (1, 'm', "label"),
        ("exemplar", "value") => (2, 'd', ""),
        ("exemplar", "timestamp") => (3, 'm', "timestamp"),
        ("family", "unit") => (5, 't', ""),
        ("bucket", "exemplar") => (3, 'm', "exemplar"),
        ("histogram", "sample_count_float") => (4, 'd', ""),
        ("histogram", "zero_count_float") => (8, 'd', ""),
        ("histogram", "positive_count") => (14, 'd', ""),
        ("histogram", "exemplars") => (16, 'm', "exemplar"),
        ("metric", "histogram") => (7, 'm', "histogram"),
        ("metric", "timestamp_ms") => (6, 'u', ""),
        ("label", "name") => (1, 't', ""),
        ("label", "value") => (2, 't', ""),
        ("histogram", "sample_count") => (1, 'u', ""),
        ("histogram", "sample_sum") => (2, 'd', ""),
        ("histogram", "bucket") => (3, 'm', "bucket"),
        ("histogram", "schema") => (5, 'z', ""),
        ("histogram", "zero_threshold") => (6, 'd', ""),
        ("histogram", "zero_count") => (7, 'u', ""),
        ("histogram", "negative_span") => (9, 'm', "span"),
        ("histogram", "negative_delta") => (10, 'z', ""),
        ("histogram", "positive_span") => (12, 'm', "span"),
        ("histogram", "positive_delta") => (13, 'z', ""),
        ("histogram", "start_timestamp") => (15, 'm', "timestamp"),
        ("bucket", "cumulative_count") => (1, 'u', ""),
        ("bucket", "upper_bound") => (2, 'd', ""),
        ("span", "offset") => (1, 'z', ""),
        ("span", "length") => (2, 'u', ""),
        ("timestamp", "seconds") => (1, 'u', ""),
        ("timestamp", "nanos") => (2, 'u', ""),
        other => panic!("no field {other:?}"),
    }
}

/// Encodes fields up to the closing bracket or the end.
fn message(kind: &str, rest: &mut &str) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        *rest = rest.trim_start();
        if rest.is_empty() {
            return out;
        }
        if let Some(behind) = rest.strip_prefix('>') {
            *rest = behind;
            return out;
        }
        let (name, behind) = rest.split_once(':').expect("a field");
        *rest = behind.trim_start();
        let (number, form, inner) = field(kind, name);
        if form == 'm' {
            *rest = rest.strip_prefix('<').expect("a message");
            let inner = message(inner, rest);
            put_bytes(&mut out, number, &inner);
            continue;
        }
        if let Some(quoted) = rest.strip_prefix('"') {
            let (text, behind) = quoted.split_once('"').expect("a closing quote");
            put_bytes(&mut out, number, text.as_bytes());
            *rest = behind;
            continue;
        }
        let word = rest.split_whitespace().next().expect("a value");
        *rest = &rest[word.len()..];
        match form {
            'd' => {
                put_varint(&mut out, number << 3 | 1);
                out.extend(word.parse::<f64>().expect("a number").to_le_bytes());
            }
            form => {
                put_varint(&mut out, number << 3);
                let value = match form {
                    'e' => ["COUNTER", "GAUGE", "SUMMARY", "UNTYPED", "HISTOGRAM", "GAUGE_HISTOGRAM"]
                        .iter()
                        .position(|name| *name == word)
                        .expect("a type") as u64,
                    'z' => {
                        let value: i64 = word.parse().expect("an integer");
                        (value << 1 ^ value >> 63) as u64
                    }
                    _ => word.parse().expect("an integer"),
                };
                put_varint(&mut out, value);
            }
        }
    }
}

fn put_bytes(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    put_varint(out, number << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend(bytes);
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
